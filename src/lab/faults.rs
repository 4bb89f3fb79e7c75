//! What can be broken, and how. A place is a system in a region, written `rds@us-east-1`; `*@us-east-1` is a whole region and
//! `route53` a system that has none.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::kubernetes::backups::{SNAPSHOTS, VELERO};
use super::kubernetes::{NODES, SERVICES};
use super::world::REGIONS;
use super::{s3, slack, statuspage};

/// How a place behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    #[default]
    Up,
    /// Packets are lost: connections open or hang, nothing answers.
    Dark,
    /// Nothing listens.
    Refused,
    /// Every answer takes so much longer.
    Slow(Duration),
    /// The connection breaks in the middle of an answer.
    Half,
    /// What answers does not speak the protocol.
    Garbage,
    /// Credentials are refused (403, NOPERM, Unauthorized).
    Denied,
    /// Too many requests.
    Throttled,
    /// What makes copies makes none any more; the newest are days old.
    Stale,
    /// What makes copies fails in part.
    Partial,
    /// Whoever asks may look and not change.
    ReadOnly,
}

/// The words of `break`: name, what it does.
pub const CONDITIONS: [(&str, Condition, &str); 10] = [
    ("dark", Condition::Dark, "packets are lost: connections hang"),
    ("refused", Condition::Refused, "nothing listens: connections are refused"),
    ("slow", Condition::Slow(Duration::from_secs(2)), "every answer takes two seconds longer"),
    ("half", Condition::Half, "connections break in the middle of an answer"),
    ("garbage", Condition::Garbage, "what answers does not speak the protocol"),
    ("denied", Condition::Denied, "credentials are refused"),
    ("throttled", Condition::Throttled, "too many requests"),
    ("stale", Condition::Stale, "no copies are made any more"),
    ("partial", Condition::Partial, "copies fail in part"),
    ("read-only", Condition::ReadOnly, "nobody may change anything"),
];

/// Every place that can be broken: systems without a region, whole regions, and what each region has.
pub fn places() -> Vec<String> {
    const GLOBAL: [&str; 8] = [
        "route53",
        "dns",
        "iam",
        s3::backups::PLACES[0],
        s3::backups::PLACES[1],
        slack::PLACE,
        statuspage::PLACE,
        "pagerduty",
    ];
    const REGIONAL: [&str; 13] = [
        "*",
        "rds",
        "rds-backups",
        "cloudwatch",
        "sts",
        "s3",
        "kubernetes",
        VELERO,
        SNAPSHOTS,
        "redis",
        "redis-sentinel",
        "neo4j",
        "app",
    ];
    let services = SERVICES.iter().map(|service| service.name);
    let regional: Vec<&str> = REGIONAL.into_iter().chain(services).chain(NODES).collect();
    let in_regions = REGIONS.iter().flat_map(|region| regional.iter().map(move |system| format!("{system}@{region}")));
    GLOBAL.into_iter().map(str::to_owned).chain(in_regions).collect()
}

/// What is broken now.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Faults(BTreeMap<String, Condition>);

impl Faults {
    pub fn set(&mut self, place: &str, condition: Condition) {
        if condition == Condition::Up {
            self.0.remove(place);
        } else {
            self.0.insert(place.to_owned(), condition);
        }
    }

    pub fn heal_all(&mut self) {
        self.0.clear();
    }

    /// How `system` in `region` behaves: its own fault first, then its region's.
    pub fn condition(&self, system: &str, region: Option<&str>) -> Condition {
        let own = match region {
            Some(region) => self.0.get(&format!("{system}@{region}")),
            None => None,
        };
        let own = own.or_else(|| self.0.get(system));
        let regional = region.and_then(|region| self.0.get(&format!("*@{region}")));
        own.or(regional).copied().unwrap_or_default()
    }

    /// Whether data can flow to and from `system` in `region`.
    pub fn reachable(&self, system: &str, region: &str) -> bool {
        !matches!(self.condition(system, Some(region)), Condition::Dark | Condition::Refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_fault_wins() {
        let mut faults = Faults::default();
        faults.set("*@us-east-1", Condition::Dark);
        faults.set("rds@us-east-1", Condition::Denied);
        assert_eq!(faults.condition("rds", Some("us-east-1")), Condition::Denied);
        assert_eq!(faults.condition("redis", Some("us-east-1")), Condition::Dark);
        assert_eq!(faults.condition("rds", Some("us-west-2")), Condition::Up);
        faults.set("*@us-east-1", Condition::Up);
        assert_eq!(faults.condition("redis", Some("us-east-1")), Condition::Up);
    }
}
