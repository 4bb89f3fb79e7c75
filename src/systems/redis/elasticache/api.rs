//! What Amazon's API says of a Global Datastore and its groups.
//! <https://docs.aws.amazon.com/AmazonElastiCache/latest/APIReference/API_DescribeGlobalReplicationGroups.html>

use roxmltree::{Document, Node};

use super::Group;
use crate::domain::system::Fault;
use crate::domain::text::clean;
use crate::systems::aws::Call;
use crate::systems::aws::signed::{Service, first};

const ELASTICACHE: Service = Service { name: "elasticache", id: "ElastiCache", version: "2015-02-02" };

/// A Global Datastore, as one region says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// `available`, `modifying`, `primary-only`, …
    pub status: String,
    pub members: Vec<Member>,
}

/// A member of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The id of its replication group.
    pub group: String,
    pub primary: bool,
    /// `associated`, or what it is in the middle of.
    pub status: String,
}

impl Told {
    pub fn is_available(&self) -> bool {
        self.status == "available"
    }

    /// The only member that is the primary.
    pub fn primary(&self) -> Option<&str> {
        let mut all = self.members.iter().filter(|member| member.primary);
        all.next().filter(|_| all.next().is_none()).map(|member| member.group.as_str())
    }

    pub fn member(&self, group: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.group == group)
    }
}

impl Member {
    pub fn is_associated(&self) -> bool {
        self.status == "associated"
    }
}

/// Where a group takes connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Its only primary node.
    Node(String),
    /// Any of its shards: a key belongs to one of them.
    Cluster(String),
}

impl Group {
    /// What the API of this region says of a datastore.
    ///
    /// # Errors
    /// When it does not answer, refuses, or knows no such datastore.
    pub async fn datastore(&self, id: &str, system: &str) -> Result<Told, Fault> {
        let params = [("GlobalReplicationGroupId", id), ("ShowMemberInfo", "true")].map(owned).into();
        let text = self.api.query(Call::Read, &ELASTICACHE, "DescribeGlobalReplicationGroups", params).await?;
        told(&text).ok_or_else(|| unread(system, "DescribeGlobalReplicationGroups"))
    }

    /// Where the API of this region says that a group of it takes connections.
    ///
    /// # Errors
    /// As [`datastore`](Self::datastore).
    pub async fn endpoint(&self, group: &str, system: &str) -> Result<Endpoint, Fault> {
        if let Some(given) = &self.endpoint {
            return Ok(Endpoint::Node(given.clone()));
        }
        let params = [("ReplicationGroupId", group)].map(owned).into();
        let text = self.api.query(Call::Read, &ELASTICACHE, "DescribeReplicationGroups", params).await?;
        endpoint(&text).ok_or_else(|| unread(system, "DescribeReplicationGroups"))
    }

    /// Makes a group of this region the primary of a datastore: asked of the region that will serve, the other one may be gone.
    ///
    /// # Errors
    /// Ambiguous when it may have happened.
    pub async fn fail_over(&self, datastore: &str, group: &str) -> Result<(), Fault> {
        let params = [
            ("GlobalReplicationGroupId", datastore),
            ("PrimaryRegion", self.region.as_str()),
            ("PrimaryReplicationGroupId", group),
        ];
        let params = params.map(owned).into();
        self.api.query(Call::Mutation, &ELASTICACHE, "FailoverGlobalReplicationGroup", params).await.map(drop)
    }
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn unread(system: &str, operation: &str) -> Fault {
    Fault::permanent(system, format!("{operation} was answered, but not as ElastiCache answers"))
        .next("see whether the endpoint is the service's own")
}

fn child(node: Node<'_, '_>, name: &str) -> Option<String> {
    node.children().find(|it| it.tag_name().name() == name).and_then(|it| it.text()).map(clean)
}

fn told(text: &str) -> Option<Told> {
    let document = Document::parse(text).ok()?;
    let has = |node: &Node<'_, '_>, name: &str| node.children().any(|it| it.tag_name().name() == name);
    // Whatever the lists call their entries: a datastore has members, and a member has a region.
    let datastore = document.descendants().find(|it| has(it, "GlobalReplicationGroupId") && has(it, "Members"))?;
    let member = |node: Node<'_, '_>| {
        Some(Member {
            group: child(node, "ReplicationGroupId")?,
            primary: child(node, "Role")?.eq_ignore_ascii_case("primary"),
            status: child(node, "Status").unwrap_or_default().to_ascii_lowercase(),
        })
    };
    let members = datastore.descendants().filter(|it| has(it, "ReplicationGroupRegion"));
    let members: Option<Vec<Member>> = members.map(member).collect();
    let status = child(datastore, "Status")?.to_ascii_lowercase();
    Some(Told { status, members: members.filter(|all| !all.is_empty())? })
}

fn endpoint(text: &str) -> Option<Endpoint> {
    let document = Document::parse(text).ok()?;
    let named = |name: &str| {
        let node = document.descendants().find(|it| it.tag_name().name() == name)?;
        let (host, port) = (first(node, "Address")?, first(node, "Port")?);
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        Some(format!("{host}:{port}"))
    };
    match named("ConfigurationEndpoint") {
        Some(cluster) => Some(Endpoint::Cluster(cluster)),
        None => named("PrimaryEndpoint").map(Endpoint::Node),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = r#"<DescribeGlobalReplicationGroupsResponse xmlns="http://elasticache.amazonaws.com/doc/2015-02-02/">
        <DescribeGlobalReplicationGroupsResult><GlobalReplicationGroups><GlobalReplicationGroup>
          <GlobalReplicationGroupId>ldgnf-orders</GlobalReplicationGroupId><Status>available</Status><Engine>redis</Engine>
          <Members>
            <GlobalReplicationGroupMember><ReplicationGroupId>orders-use1</ReplicationGroupId>
              <ReplicationGroupRegion>us-east-1</ReplicationGroupRegion><Role>PRIMARY</Role><Status>associated</Status>
              <AutomaticFailover>enabled</AutomaticFailover></GlobalReplicationGroupMember>
            <GlobalReplicationGroupMember><ReplicationGroupId>orders-usw2</ReplicationGroupId>
              <ReplicationGroupRegion>us-west-2</ReplicationGroupRegion><Role>SECONDARY</Role><Status>associated</Status>
            </GlobalReplicationGroupMember>
          </Members></GlobalReplicationGroup></GlobalReplicationGroups></DescribeGlobalReplicationGroupsResult>
        </DescribeGlobalReplicationGroupsResponse>"#;

    #[test]
    fn a_datastore_is_read_as_amazon_writes_it() {
        let seen = told(TOLD).unwrap();
        assert!(seen.is_available() && seen.primary() == Some("orders-use1"), "{seen:?}");
        assert!(seen.member("orders-usw2").is_some_and(|it| !it.primary && it.is_associated()), "{seen:?}");
        let two = TOLD.replace("SECONDARY", "PRIMARY");
        assert_eq!(told(&two).unwrap().primary(), None, "two are none");
        for broken in ["", "<x/>", &TOLD.replace("Role>", "Part>"), &TOLD.replace("ReplicationGroupRegion", "Where")] {
            assert_eq!(told(broken), None, "half of it is not the whole");
        }
    }

    #[test]
    fn where_a_group_takes_connections_is_told_by_mode() {
        let node = "<R><NodeGroups><NodeGroup><PrimaryEndpoint><Address>m.x</Address><Port>6379</Port></PrimaryEndpoint></NodeGroup></NodeGroups></R>";
        assert_eq!(endpoint(node), Some(Endpoint::Node("m.x:6379".into())));
        let cluster = "<R><ConfigurationEndpoint><Address>c.x</Address><Port>6379</Port></ConfigurationEndpoint></R>";
        assert_eq!(endpoint(cluster), Some(Endpoint::Cluster("c.x:6379".into())));
        assert_eq!(endpoint("<R/>"), None);
    }
}
