//! What the API says of a database, and what that comes to.

use std::collections::BTreeMap;

use aws_sdk_rds::types::DbInstance;

use crate::domain::health::Status;
use crate::domain::text::clean;
use crate::domain::time::At;
use crate::systems::aws::moment;

/// The API's words for the state of an instance in which it serves its clients; anything else is a state in between, or a failure.
/// (<https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/accessing-monitoring.html>).
const SERVING: [&str; 10] = [
    "available",
    "backing-up",
    "configuring-associated-roles",
    "configuring-enhanced-monitoring",
    "configuring-iam-database-auth",
    "configuring-log-exports",
    "resetting-master-credentials",
    "storage-config-upgrade",
    "storage-initialization",
    "storage-optimization",
];
/// The words that begin a state which ends only when somebody does something.
const FAILED: [&str; 6] = ["failed", "incompatible-", "inaccessible-", "restore-error", "stopped", "storage-full"];

/// What the API says of a database.
#[derive(Clone, Debug)]
pub struct Seen {
    pub status: String,
    pub zone: String,
    /// Where the standby of a Multi-AZ instance is.
    pub other_zone: Option<String>,
    pub multi_az: bool,
    /// Whom it follows: a database, or a whole cluster.
    pub source: Option<String>,
    /// Why replication stands still, if the API says that it does.
    pub broken: Option<String>,
    pub endpoint: Option<String>,
    /// Up to then the writer can be restored in its own region.
    pub restorable: Option<At>,
    pub retention_days: i32,
    pub arn: Option<String>,
    pub encrypted: bool,
    /// The API's word for what runs there: `postgres`, `sqlserver-ee`.
    pub engine: String,
    /// The cluster that it is a member of: Aurora's, or a Multi-AZ one.
    pub cluster: Option<Cluster>,
    /// What a replica ought to share with its source: engine, size, parameters.
    pub traits: BTreeMap<&'static str, String>,
}

/// A cluster that an instance belongs to: it is promoted and failed over as a whole, by calls of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    pub name: String,
    pub aurora: bool,
    /// Whether this member writes; `None` when that was not told.
    pub writes: Option<bool>,
}

impl Cluster {
    /// `the Aurora cluster ledger`
    pub fn words(&self) -> String {
        format!("the {} cluster {}", if self.aurora { "Aurora" } else { "Multi-AZ" }, self.name)
    }
}

#[cfg(test)]
impl Seen {
    pub fn for_test(status: &str) -> Self {
        seen(&DbInstance::builder().db_instance_status(status).availability_zone("us-east-1a").build())
    }
}

impl Seen {
    pub fn serves(&self) -> bool {
        SERVING.contains(&self.status.as_str())
    }

    /// Whether it takes its data from another one.
    pub fn follows(&self) -> bool {
        self.source.is_some() || self.cluster.as_ref().is_some_and(|cluster| cluster.writes == Some(false))
    }

    /// Why no step of this kind may touch it.
    pub fn clustered(&self, name: &str) -> Option<String> {
        let cluster = self.cluster.as_ref()?;
        let by_hand = match cluster.aurora {
            true => "`aws rds failover-global-cluster` or `switchover-global-cluster` moves it",
            false => "`aws rds failover-db-cluster` moves it",
        };
        Some(format!(
            "{name} is a member of {}, which `kind = \"rds\"` watches and does not change: {by_hand}; use a script step for that",
            cluster.words()
        ))
    }

    pub fn is_available(&self) -> bool {
        self.status == "available"
    }

    pub fn health(&self) -> Status {
        match () {
            () if FAILED.iter().any(|word| self.status.starts_with(word)) => Status::Down,
            () if self.serves() && self.broken.is_none() => Status::Healthy,
            () => Status::Degraded,
        }
    }

    /// `available, Multi-AZ us-east-1a + us-east-1b`
    pub fn words(&self) -> String {
        match &self.cluster {
            Some(cluster) => {
                let part = match cluster.writes {
                    Some(true) => "writer",
                    Some(false) => "reader",
                    None => "a member that may or may not write",
                };
                format!("{}, {part} of {}", self.status, cluster.words())
            }
            None => self.own_words(),
        }
    }

    fn own_words(&self) -> String {
        let zones = match (&self.other_zone, self.multi_az) {
            (Some(other), _) => format!("Multi-AZ {} + {other}", self.zone),
            (None, true) => format!("Multi-AZ {}", self.zone),
            (None, false) => self.zone.clone(),
        };
        match &self.broken {
            Some(why) => format!("{}, {zones}, replication {why}", self.status),
            None => format!("{}, {zones}", self.status),
        }
    }
}

/// As the SDK reads it.
pub fn seen(it: &DbInstance) -> Seen {
    let text = |text: Option<&str>| clean(text.unwrap_or_default());
    let stuck = it.status_infos().iter().find(|info| info.normal() == Some(false));
    let source = it.read_replica_source_db_instance_identifier().filter(|source| !source.is_empty());
    let source = source.or(it.read_replica_source_db_cluster_identifier()).filter(|source| !source.is_empty());
    let endpoint = it.endpoint().and_then(|at| Some(format!("{}:{}", at.address()?, at.port()?)));
    Seen {
        status: text(it.db_instance_status()),
        zone: text(it.availability_zone()),
        other_zone: it.secondary_availability_zone().map(clean),
        multi_az: it.multi_az().unwrap_or(false),
        source: source.map(clean),
        broken: stuck.map(|info| text(info.status().or(info.message()))),
        endpoint,
        restorable: it.latest_restorable_time().and_then(moment),
        retention_days: it.backup_retention_period().unwrap_or(0),
        arn: it.db_instance_arn().map(clean),
        encrypted: it.storage_encrypted().unwrap_or(false),
        engine: text(it.engine()),
        cluster: it.db_cluster_identifier().filter(|name| !name.is_empty()).map(|name| Cluster {
            name: clean(name),
            aurora: it.engine().is_some_and(|engine| engine.starts_with("aurora")),
            writes: None,
        }),
        traits: traits(it),
    }
}

fn traits(it: &DbInstance) -> BTreeMap<&'static str, String> {
    let group = it.db_parameter_groups().first().and_then(|group| group.db_parameter_group_name());
    let storage = it.allocated_storage().map(|size| format!("{size} GiB"));
    let said = [
        ("engine", it.engine().map(clean)),
        ("engine version", it.engine_version().map(clean)),
        ("instance class", it.db_instance_class().map(clean)),
        ("parameter group", group.map(clean)),
        ("storage", storage),
    ];
    said.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(status: &str) -> Seen {
        Seen::for_test(status)
    }

    #[test]
    fn a_member_of_a_cluster_is_known_as_such_and_left_alone() {
        let with = |aurora, writes| {
            let it = DbInstance::builder().db_instance_identifier("ledger-1").db_cluster_identifier("ledger");
            let it = it.engine(if aurora { "aurora-postgresql" } else { "mysql" }).db_instance_status("available");
            let mut seen = super::seen(&it.build());
            seen.cluster.as_mut().unwrap().writes = writes;
            seen
        };
        let reader = with(true, Some(false));
        assert!(
            reader.follows() && reader.words() == "available, reader of the Aurora cluster ledger",
            "{}",
            reader.words()
        );
        assert!(reader.clustered("ledger-1").unwrap().contains("failover-global-cluster"));
        let multi = with(false, Some(true));
        assert!(
            !multi.follows() && multi.words().contains("writer of the Multi-AZ cluster ledger"),
            "{}",
            multi.words()
        );
        assert!(with(true, None).words().contains("may or may not write"));
        assert_eq!(seen("available").clustered("orders"), None);
    }

    #[test]
    fn who_follows_a_whole_cluster_is_no_writer() {
        let it = DbInstance::builder().db_instance_status("available").read_replica_source_db_instance_identifier("");
        assert!(!super::seen(&it.clone().build()).follows());
        let follower = super::seen(&it.read_replica_source_db_cluster_identifier("orders-cluster").build());
        assert!(follower.follows() && follower.source.as_deref() == Some("orders-cluster"), "{follower:?}");
    }

    #[test]
    fn a_state_that_nobody_listed_is_neither_well_nor_down() {
        let cases = [
            ("available", Status::Healthy),
            ("backing-up", Status::Healthy),
            ("modifying", Status::Degraded),
            ("rebooting", Status::Degraded),
            ("a word of next year's", Status::Degraded),
            ("incompatible-network", Status::Down),
            ("stopped", Status::Down),
        ];
        for (word, health) in cases {
            assert_eq!(seen(word).health(), health, "{word}");
        }
    }
}
