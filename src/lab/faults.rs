//! What can be broken, and how. A place is a system in a region, written `rds@us-east-1`, or one member of it, `redis-1@us-east-1`;
//! `*@us-east-1` is a whole region, `us-east-1a` an availability zone, and `route53` a system that has no region.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::kubernetes::backups::{SNAPSHOTS, VELERO};
use super::kubernetes::{NODES, SERVICES};
use super::world::{ALL, Extent, PRIMARY, STANDBY, ZONES};
use super::{accelerator, arc, neo4j, pagerduty, redis, s3, slack, smtp, statuspage, webhook};

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
    /// What is changed is changed, and the answer to it is lost; whoever only looks is answered.
    LostAnswers,
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
    /// Everything answers, and no data flows to or from it any more.
    Lagging,
    /// Its peers no longer reach it; its clients do.
    CutOff,
    /// What runs there is an older version than elsewhere.
    Drift,
    /// What was stored there is damaged: a row is lost, for good.
    Corrupt,
    /// Its quota is used up.
    Full,
}

impl Condition {
    /// Whether anything comes through.
    pub fn reachable(self) -> bool {
        !matches!(self, Self::Dark | Self::Refused)
    }

    /// Whether peers reach each other.
    pub fn linked(self) -> bool {
        self.reachable() && self != Self::CutOff
    }

    /// Whether data flows between peers.
    pub fn flows(self) -> bool {
        self.linked() && self != Self::Lagging
    }

    /// Whether the application's own clients are served, however slowly.
    pub fn serves(self) -> bool {
        self.reachable() && !matches!(self, Self::Half | Self::Garbage | Self::Denied | Self::Throttled)
    }

    /// The condition of a word of [`CONDITIONS`], or `up`; `by` says how slow.
    ///
    /// # Errors
    /// When there is none of that name, or `by` stands with another than `slow`.
    pub fn named(word: &str, by: Option<Duration>) -> Result<Self, String> {
        let known = CONDITIONS.iter().find(|(known, ..)| *known == word).map(|(_, condition, _)| *condition);
        let known = known.or((word == "up").then_some(Self::Up));
        match (known.ok_or_else(|| format!("there is no condition `{word}`"))?, by) {
            (Self::Slow(_), Some(by)) => Ok(Self::Slow(by)),
            (_, Some(_)) => Err(format!("`by` says how slow something is: it means nothing to `{word}`")),
            (condition, None) => Ok(condition),
        }
    }
}

/// The words of `break`: name, what it does.
pub const CONDITIONS: [(&str, Condition, &str); 16] = [
    ("dark", Condition::Dark, "packets are lost: connections hang"),
    ("refused", Condition::Refused, "nothing listens: connections are refused"),
    ("slow", Condition::Slow(Duration::from_secs(2)), "every answer takes two seconds longer, or as long as `by` says"),
    ("half", Condition::Half, "connections break in the middle of an answer"),
    ("lost-answers", Condition::LostAnswers, "changes are made, and the answers to them are lost (APIs of RDS)"),
    ("garbage", Condition::Garbage, "what answers does not speak the protocol"),
    ("denied", Condition::Denied, "credentials are refused"),
    ("throttled", Condition::Throttled, "too many requests"),
    ("stale", Condition::Stale, "no copies are made any more"),
    ("partial", Condition::Partial, "copies fail in part"),
    ("read-only", Condition::ReadOnly, "nobody may change anything"),
    ("lagging", Condition::Lagging, "everything answers, and no data is replicated to or from it"),
    ("cut-off", Condition::CutOff, "its peers no longer reach it; its clients do"),
    ("drift", Condition::Drift, "an older version is deployed than elsewhere"),
    ("corrupt", Condition::Corrupt, "a row that the database (rds) holds there is lost, once and for good"),
    ("full", Condition::Full, "a quota is used up: nothing more is started"),
];

/// Every place that can be broken: systems without a region, zones, whole regions, what each region has, and members.
pub fn places() -> Vec<String> {
    const GLOBAL: [&str; 12] = [
        "route53",
        "dns",
        "iam",
        accelerator::PLACE,
        s3::backups::PLACES[0],
        s3::backups::PLACES[1],
        slack::PLACE,
        statuspage::PLACE,
        pagerduty::PLACE,
        pagerduty::EVENTS_PLACE,
        smtp::PLACE,
        webhook::PLACE,
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
    let in_regions = ALL.iter().flat_map(|region| regional.iter().map(move |system| format!("{system}@{region}")));
    let of = |extent| redis::members(extent).chain(neo4j::members(extent));
    let members: BTreeSet<String> =
        of(Extent::Two).chain(of(Extent::Three)).map(|(name, region)| format!("{name}@{region}")).collect();
    let zones = ZONES.iter().flat_map(|(_, zones)| zones.iter()).copied();
    let switches = arc::ENDPOINTS.iter().map(|region| format!("{}@{region}", arc::SYSTEM));
    GLOBAL.into_iter().chain(zones).map(str::to_owned).chain(in_regions).chain(members).chain(switches).collect()
}

/// Control planes of the whole world, and the region that each lives in.
const HOMES: [(&str, &str); 3] = [("route53", PRIMARY), ("iam", PRIMARY), (accelerator::PLACE, STANDBY)];

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
        let regional = |region: &str| self.0.get(&format!("*@{region}"));
        let home = || HOMES.iter().find(|(it, _)| *it == system).and_then(|(_, home)| regional(home));
        // What is slow or refuses in a region says nothing of a control plane there; what is gone takes it along.
        let inherited = match region {
            Some(region) => regional(region),
            None => home().filter(|condition| !condition.reachable()),
        };
        own.or(inherited).copied().unwrap_or_default()
    }

    /// Whether data can flow to and from `system` in `region`.
    pub fn reachable(&self, system: &str, region: &str) -> bool {
        self.condition(system, Some(region)).reachable()
    }

    /// How an availability zone behaves.
    pub fn zone(&self, zone: &str) -> Condition {
        self.0.get(zone).copied().unwrap_or_default()
    }

    /// How one member of a system behaves: by its own fault, by its zone's, else as its system does there.
    pub fn of_member(&self, system: &str, region: &str, member: &str, zone: &str) -> Condition {
        let own = self.0.get(&format!("{member}@{region}")).or_else(|| self.0.get(zone)).copied();
        own.unwrap_or_else(|| self.condition(system, Some(region)))
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

    #[test]
    fn a_region_takes_the_control_planes_along_that_live_there() {
        let mut faults = Faults::default();
        faults.set("*@us-east-1", Condition::Lagging);
        assert_eq!(faults.condition("route53", None), Condition::Up);
        faults.set("*@us-east-1", Condition::Dark);
        assert_eq!(faults.condition("route53", None), Condition::Dark);
        assert_eq!(faults.condition("iam", None), Condition::Dark);
        assert_eq!(faults.condition("dns", None), Condition::Up, "name servers are everywhere");
        faults.set("*@us-east-1", Condition::Up);
        faults.set("*@us-west-2", Condition::Dark);
        assert_eq!(faults.condition("route53", None), Condition::Up);
    }

    #[test]
    fn a_member_suffers_with_its_zone_its_system_and_alone() {
        let mut faults = Faults::default();
        let redis = |faults: &Faults, member, zone| faults.of_member("redis", "us-east-1", member, zone);
        faults.set("us-east-1a", Condition::Dark);
        assert_eq!(redis(&faults, "redis-1", "us-east-1a"), Condition::Dark);
        assert_eq!(redis(&faults, "redis-2", "us-east-1b"), Condition::Up);
        assert_eq!(faults.condition("redis", Some("us-east-1")), Condition::Up, "the region lives");
        faults.set("redis@us-east-1", Condition::Denied);
        assert_eq!(redis(&faults, "redis-2", "us-east-1b"), Condition::Denied);
        faults.set("redis-2@us-east-1", Condition::CutOff);
        assert_eq!(redis(&faults, "redis-2", "us-east-1b"), Condition::CutOff);
    }

    #[test]
    fn a_condition_is_named_and_only_what_is_slow_is_so_by_something() {
        let by = Some(Duration::from_millis(900));
        assert_eq!(Condition::named("slow", by), Ok(Condition::Slow(Duration::from_millis(900))));
        assert_eq!(Condition::named("up", None), Ok(Condition::Up));
        assert!(Condition::named("dark", by).is_err() && Condition::named("gone", None).is_err());
    }
}
