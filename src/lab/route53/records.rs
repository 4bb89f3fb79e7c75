//! Record sets: what they hold, how they are ordered, how they are read from and written as XML.

use std::str::FromStr;

use hickory_proto::rr::{RData, RecordType};
use roxmltree::Node;

use super::super::world::FRONT_DOORS;
use super::super::xml::{child, children, leaf, node, optional, text};

/// The types Route 53 takes, of those that the lab can serve.
const TYPES: [&str; 10] = ["A", "AAAA", "CAA", "CNAME", "MX", "NAPTR", "NS", "SOA", "SRV", "TXT"];

/// What Route 53 knows of a record set and the lab does not: refused rather than ignored.
const UNKNOWN_HERE: [&str; 6] = [
    "Region",
    "GeoLocation",
    "MultiValueAnswer",
    "TrafficPolicyInstanceId",
    "CidrRoutingConfig",
    "GeoProximityLocation",
];

/// Which of several record sets of one name and type is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Simple,
    Weighted(u8),
    Failover { primary: bool },
}

impl Policy {
    /// Whether record sets of these policies may stand beside each other.
    pub fn mixes_with(self, other: Self) -> bool {
        matches!((self, other), (Self::Weighted(_), Self::Weighted(_)) | (Self::Failover { .. }, Self::Failover { .. }))
    }
}

/// What Route 53 calls a resource record set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSet {
    /// In lower case, with the final dot.
    pub name: String,
    pub kind: RecordType,
    pub identifier: Option<String>,
    pub policy: Policy,
    pub ttl: u32,
    /// In presentation format, sorted: their order means nothing.
    pub values: Vec<String>,
    /// The id of a health check.
    pub check: Option<String>,
    /// What it stands for, instead of values of its own: `values` are then what that has.
    pub alias: Option<Alias>,
}

/// A load balancer that a record stands for. The lab knows one in each region: it is the region's front door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    pub zone: String,
    /// With the final dot.
    pub name: String,
    pub evaluates: bool,
}

impl Alias {
    fn from_xml(from: Node<'_, '_>) -> Result<Self, String> {
        let needed =
            |name: &str| text(from, name).map(str::to_owned).ok_or_else(|| format!("an AliasTarget needs {name}"));
        let evaluates = needed("EvaluateTargetHealth")? == "true";
        Ok(Self { zone: needed("HostedZoneId")?, name: qualified(&needed("DNSName")?), evaluates })
    }

    fn values(&self) -> Vec<String> {
        let door = FRONT_DOORS.iter().find(|(region, _)| self.name.contains(region));
        door.map(|(_, ip)| ip.to_string()).into_iter().collect()
    }
}

/// How the API writes a name: `*` as an octal escape.
fn escaped(name: &str) -> String {
    name.replace('*', "\\052")
}

impl RecordSet {
    /// A record set of the simple policy.
    pub fn simple(name: &str, kind: RecordType, ttl: u32, values: &[&str]) -> Self {
        let mut values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        values.sort();
        Self {
            name: name.into(),
            kind,
            identifier: None,
            policy: Policy::Simple,
            ttl,
            values,
            check: None,
            alias: None,
        }
    }

    /// This record set as one of several.
    pub fn one_of_many(mut self, identifier: &str, policy: Policy, check: &str) -> Self {
        self.identifier = Some(identifier.into());
        self.policy = policy;
        self.check = Some(check.into());
        self
    }

    /// Labels from the root down, then type, then identifier: the order in which Route 53 lists.
    pub fn key(&self) -> (String, String, String) {
        sort_key(&self.name, &self.kind.to_string(), self.identifier.as_deref().unwrap_or_default())
    }

    /// Whether it is the same entry of the zone, whatever it holds.
    pub fn same_entry(&self, other: &Self) -> bool {
        self.name == other.name && self.kind == other.kind && self.identifier == other.identifier
    }

    /// As Route 53 names a record set in its messages.
    pub fn described(&self) -> String {
        let identifier = self.identifier.iter().map(|id| format!(", set identifier='{id}'")).collect::<String>();
        format!("[name='{}', type='{}'{identifier}]", self.name, self.kind)
    }

    /// The values as DNS carries them.
    pub fn rdata(&self) -> impl Iterator<Item = RData> {
        self.values.iter().filter_map(|value| RData::try_from_str(self.kind, value).ok())
    }

    pub fn to_xml(&self) -> String {
        let (weight, failover) = match self.policy {
            Policy::Simple => (None, None),
            Policy::Weighted(weight) => (Some(weight), None),
            Policy::Failover { primary } => (None, Some(if primary { "PRIMARY" } else { "SECONDARY" })),
        };
        let values = self.values.iter().map(|value| node("ResourceRecord", [leaf("Value", value)]));
        let held = match &self.alias {
            Some(alias) => node(
                "AliasTarget",
                [
                    leaf("HostedZoneId", &alias.zone),
                    leaf("DNSName", &alias.name),
                    leaf("EvaluateTargetHealth", alias.evaluates),
                ],
            ),
            None => format!("{}{}", leaf("TTL", self.ttl), node("ResourceRecords", values)),
        };
        node(
            "ResourceRecordSet",
            [
                leaf("Name", escaped(&self.name)),
                leaf("Type", self.kind),
                optional("SetIdentifier", self.identifier.as_ref()),
                optional("Weight", weight),
                optional("Failover", failover),
                held,
                optional("HealthCheckId", self.check.as_ref()),
            ],
        )
    }

    /// Reads a `ResourceRecordSet` element.
    ///
    /// # Errors
    /// What is wrong with it, in Route 53's manner.
    pub fn from_xml(from: Node<'_, '_>) -> Result<Self, String> {
        let name = qualified(text(from, "Name").ok_or("a record set needs a Name")?);
        if let Some(unknown) = UNKNOWN_HERE.iter().find(|unknown| child(from, unknown).is_some()) {
            return Err(format!("{unknown} of {name} is not served by this lab"));
        }
        let kind = text(from, "Type").unwrap_or_default();
        let kind = RecordType::from_str(kind)
            .ok()
            .filter(|_| TYPES.contains(&kind))
            .ok_or_else(|| format!("Invalid type '{kind}' of record {name}"))?;
        let alias = child(from, "AliasTarget").map(Alias::from_xml).transpose()?;
        let ttl = if alias.is_some() { Some("60") } else { text(from, "TTL") };
        let ttl = ttl.and_then(|ttl| ttl.parse().ok()).filter(|ttl| *ttl <= i32::MAX as u32);
        let ttl = ttl.ok_or_else(|| format!("Expected TTL between 0 and 2147483647 for {name}"))?;
        let mut values: Vec<String> = child(from, "ResourceRecords")
            .into_iter()
            .flat_map(|records| children(records, "ResourceRecord"))
            .map(|record| text(record, "Value").unwrap_or_default().to_owned())
            .collect();
        if let Some(alias) = &alias {
            if !values.is_empty() {
                return Err(format!("{name} needs exactly one of [AliasTarget, all of [TTL, and ResourceRecords]]"));
            }
            values = alias.values();
        } else if values.is_empty() {
            return Err(format!("{name} needs exactly one of [AliasTarget, all of [TTL, and ResourceRecords]]"));
        }
        if let Some(wrong) = values.iter().find(|value| RData::try_from_str(kind, value).is_err()) {
            return Err(format!("Invalid Resource Record: '{wrong}' is not a value of type {kind}"));
        }
        values.sort();
        let identifier = text(from, "SetIdentifier").map(str::to_owned);
        let policy = policy_of(from, &name)?;
        if identifier.is_some() == (policy == Policy::Simple) {
            return Err(format!("{name}: a SetIdentifier is needed with, and only with, a routing policy"));
        }
        Ok(Self {
            name,
            kind,
            identifier,
            policy,
            ttl,
            values,
            check: text(from, "HealthCheckId").map(str::to_owned),
            alias,
        })
    }
}

fn policy_of(from: Node<'_, '_>, name: &str) -> Result<Policy, String> {
    match (text(from, "Weight"), text(from, "Failover")) {
        (None, None) => Ok(Policy::Simple),
        (Some(weight), None) => weight
            .parse()
            .map(Policy::Weighted)
            .map_err(|_| format!("Invalid weight '{weight}' of {name}: must be an integer between 0 and 255")),
        (None, Some("PRIMARY")) => Ok(Policy::Failover { primary: true }),
        (None, Some("SECONDARY")) => Ok(Policy::Failover { primary: false }),
        _ => {
            Err(format!("{name} has more than one routing policy, or a Failover that is neither PRIMARY nor SECONDARY"))
        }
    }
}

/// Where an entry stands in a listing.
pub fn sort_key(name: &str, kind: &str, identifier: &str) -> (String, String, String) {
    let name = qualified(name);
    let labels: Vec<&str> = name.trim_end_matches('.').rsplit('.').collect();
    (labels.join("."), kind.into(), identifier.into())
}

/// A name in lower case, with the final dot.
pub fn qualified(name: &str) -> String {
    let mut name = name.to_ascii_lowercase().replace("\\052", "*");
    if !name.ends_with('.') {
        name.push('.');
    }
    name
}
