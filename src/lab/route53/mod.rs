//! Route 53 over REST-XML, and the truth about the zones: what was changed, what the name servers already answer, and what the
//! health checks see.

mod api;
mod batch;
pub mod checks;
mod records;
mod routing;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hickory_proto::rr::{RData, RecordType};
use jiff::Timestamp;

use self::batch::Batch;
use self::checks::{HealthCheck, InSight, Settings};
use self::records::{Policy, qualified};
use super::s3::{SWITCH, SWITCH_BUCKET};
use super::world::{Extent, FRONT_DOORS, PRIMARY, Pace, STANDBY, Tick};
use super::{Site, arc};

pub use self::records::RecordSet;

/// How long a change needs until every name server answers by it.
const PROPAGATION: Duration = Duration::from_secs(30);

/// The health check of the primary's record, which counts others.
const GUARD: &str = "hc-app-us-east-1";

/// How many changes `GetChange` remembers.
const REMEMBERED: usize = 512;

/// The name servers that the delegation sets of the lab name.
const NAME_SERVERS: [&str; 4] =
    ["ns-1.lab.gennet.example", "ns-2.lab.gennet.example", "ns-3.lab.gennet.example", "ns-4.lab.gennet.example"];

/// A hosted zone.
pub struct Zone {
    pub id: String,
    /// With the final dot.
    pub name: String,
    /// What the API lists: every accepted change at once.
    records: Vec<RecordSet>,
    /// What the name servers answer by: changes that are in sync.
    served: Vec<RecordSet>,
    /// Its owner has opted in to accelerated recovery.
    pub accelerated: bool,
}

/// An accepted change on its way to the name servers.
struct Change {
    id: String,
    zone: String,
    comment: Option<String>,
    submitted: Timestamp,
    due: Timestamp,
    /// The zone once this change is in sync; taken when it is.
    after: Option<Vec<RecordSet>>,
}

/// What the name servers say to a question.
pub enum Answer<'a> {
    /// None of their zones.
    Refused,
    /// The zone has no such name.
    NoName(&'a Zone),
    /// The name has nothing of this type.
    NoData(&'a Zone),
    /// A record set of the type asked for, or a `CNAME`.
    Found(&'a RecordSet),
}

/// All hosted zones, health checks and changes.
pub struct Zones {
    zones: Vec<Zone>,
    checks: BTreeMap<String, HealthCheck>,
    changes: VecDeque<Change>,
    /// Counts ids; never reused.
    serial: u64,
    throws: AtomicU64,
}

impl Zones {
    /// `gennet.example.` with a weighted record for each region and a failover pair.
    pub fn gennet(now: Timestamp, extent: Extent) -> Self {
        let zone = "gennet.example.";
        let soa = format!("{}. hostmaster.{zone} 1 7200 900 1209600 86400", NAME_SERVERS[0]);
        let servers = NAME_SERVERS.map(|server| format!("{server}."));
        let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
        let mut records = vec![
            RecordSet::simple(zone, RecordType::NS, 172_800, &servers),
            RecordSet::simple(zone, RecordType::SOA, 900, &[&soa]),
        ];
        let mut checks = BTreeMap::new();
        for (nth, (region, ip)) in extent.doors().iter().copied().enumerate() {
            let primary = nth == 0;
            let pair = [
                ("app", region, Policy::Weighted(if primary { 100 } else { 0 })),
                ("status", if primary { "primary" } else { "secondary" }, Policy::Failover { primary }),
            ];
            // A failover pair has two.
            for (host, identifier, policy) in pair.into_iter().take(if nth < 2 { 2 } else { 1 }) {
                let check = format!("hc-{host}-{region}");
                let set = RecordSet::simple(&format!("{host}.{zone}"), RecordType::A, 60, &[&ip.to_string()]);
                records.push(set.one_of_many(identifier, policy, &check));
                checks.insert(check.clone(), HealthCheck::new(&check, &check, Settings::http(ip, "/healthz"), now));
            }
        }
        // The primary leaves the answers when its door is shut, or when somebody wrote the object that takes it out.
        let (door, object) = ("hc-door-us-east-1", "hc-leave-us-east-1");
        for (id, settings) in [
            (door, Settings::http(FRONT_DOORS[0].1, "/healthz")),
            (object, Settings::no_object(SWITCH_BUCKET, STANDBY, SWITCH)),
            (GUARD, Settings::all_of(&[door, object])),
        ] {
            checks.insert(id.into(), HealthCheck::new(id, id, settings, now));
        }
        records.sort_by_key(RecordSet::key);
        let zone =
            Zone { id: "Z0GENNET".into(), name: zone.into(), served: records.clone(), records, accelerated: false };
        let throws = AtomicU64::new(0);
        let mut zones = Self { zones: vec![zone], checks, changes: VecDeque::new(), serial: 0, throws };
        zones.follow_switches();
        if extent == Extent::Three {
            extent.doors()[1..].iter().for_each(|(region, ip)| zones.follow_switch(region, *ip));
        }
        zones
    }

    /// Opts every zone in to accelerated recovery.
    pub fn accelerate(&mut self) {
        self.zones.iter_mut().for_each(|zone| zone.accelerated = true);
    }

    /// A standby is answered only while its door is open and its switch of the ARC cluster is on.
    fn follow_switch(&mut self, region: &str, ip: Ipv4Addr) {
        let (door, switch) = (format!("hc-door-{region}"), format!("hc-switch-{region}"));
        let guard = format!("hc-app-{region}");
        let all = Settings::all_of(&[door.as_str(), switch.as_str()]);
        for (id, settings) in
            [(door, Settings::http(ip, "/healthz")), (switch, Settings::switched(&arc::control(region))), (guard, all)]
        {
            let check = HealthCheck::new(&id, &id, settings, Timestamp::now());
            self.checks.insert(id, check);
        }
    }

    /// The primary leaves the answers also when its switch of the ARC cluster is turned.
    fn follow_switches(&mut self) {
        let id = "hc-switch-us-east-1";
        let switch = HealthCheck::new(id, id, Settings::switched(&arc::control(PRIMARY)), Timestamp::now());
        self.checks.insert(id.into(), switch);
        if let Some(guard) = self.checks.get_mut(GUARD) {
            guard.settings.children.push(id.into());
            guard.settings.enough = guard.settings.children.len();
        }
    }

    /// The front doors were opened at `port`: that is where the estate's health checks look.
    pub fn look_at_port(&mut self, port: u16) {
        for check in self.checks.values_mut().filter(|check| check.settings.ip.is_some()) {
            check.settings.port = port;
        }
    }

    pub fn tick(&mut self, tick: &Tick<'_>, sight: &InSight<'_>) {
        for check in self.checks.values_mut() {
            check.tick(tick, sight);
        }
        for change in &mut self.changes {
            if change.due <= tick.now
                && let Some(after) = change.after.take()
                && let Some(zone) = self.zones.iter_mut().find(|zone| zone.id == change.zone)
            {
                zone.served = after;
            }
        }
    }

    /// What the name servers answer now, by weights and health.
    pub fn answer(&self, name: &str, kind: RecordType) -> Answer<'_> {
        let name = qualified(name);
        let inside = |zone: &&Zone| name == zone.name || name.ends_with(&format!(".{}", zone.name));
        let Some(zone) = self.zones.iter().filter(inside).max_by_key(|zone| zone.name.len()) else {
            return Answer::Refused;
        };
        let of_kind =
            |kind| zone.served.iter().filter(|set| set.name == name && set.kind == kind).collect::<Vec<&RecordSet>>();
        for kind in [kind, RecordType::CNAME] {
            if let Some(found) = routing::choose(&of_kind(kind), |set| self.healthy(set), |below| self.throw(below)) {
                return Answer::Found(found);
            }
        }
        // What has no name of its own may be covered by a wildcard above it (RFC 4592).
        let named = zone.served.iter().any(|set| set.name == name);
        let above = name.split_once('.').map(|(_, rest)| format!("*.{rest}")).filter(|it| !named && *it != name);
        if let Some(above) = above.filter(|it| zone.served.iter().any(|set| set.name == *it)) {
            return self.answer(&above, kind);
        }
        // A name exists also when there is only something below it.
        let below = format!(".{name}");
        match zone.served.iter().any(|set| set.name == name || set.name.ends_with(&below)) {
            true => Answer::NoData(zone),
            false => Answer::NoName(zone),
        }
    }

    /// The address that a client without a cache is given for `name`.
    pub fn resolve(&self, name: &str) -> Option<Ipv4Addr> {
        match self.answer(name, RecordType::A) {
            Answer::Found(set) => set.rdata().find_map(|data| if let RData::A(a) = data { Some(a.0) } else { None }),
            _ => None,
        }
    }

    fn healthy(&self, set: &RecordSet) -> bool {
        set.check.as_ref().and_then(|id| self.checks.get(id)).is_none_or(|check| check.healthy(&self.checks))
    }

    /// A number below `below`, by splitmix64 over a counter: even, and the same in every run.
    fn throw(&self, below: u64) -> u64 {
        let mut z = self.throws.fetch_add(1, Ordering::Relaxed).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }

    fn zone(&self, id: &str) -> Option<&Zone> {
        self.zones.iter().find(|zone| zone.id == id)
    }

    /// Takes a batch, or says all that is wrong with it. Answers the id of the change.
    fn change(&mut self, zone: &str, batch: Batch, pace: Pace) -> Result<&Change, Vec<String>> {
        let missing: Vec<String> = batch
            .checks()
            .filter(|check| !self.checks.contains_key(*check))
            .map(|check| format!("The specified health check does not exist: {check}"))
            .collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        let Some(zone) = self.zones.iter_mut().find(|it| it.id == zone) else {
            return Err(vec![format!("No hosted zone found with ID: {zone}")]);
        };
        zone.records = batch.applied_to(&zone.name, &zone.records)?;
        self.serial += 1;
        if self.changes.len() == REMEMBERED {
            self.changes.pop_front();
        }
        let submitted = Timestamp::now();
        self.changes.push_back(Change {
            id: format!("C{:013}", self.serial),
            zone: zone.id.clone(),
            comment: batch.comment,
            submitted,
            due: submitted + pace.scale(PROPAGATION),
            after: Some(zone.records.clone()),
        });
        self.changes.back().ok_or_else(Vec::new)
    }
}

impl Zone {
    /// The record set of the zone's own SOA, for negative answers.
    pub fn soa(&self) -> Option<&RecordSet> {
        self.served.iter().find(|set| set.kind == RecordType::SOA && set.name == self.name)
    }
}

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    api::start(site).await
}
