//! The simulated truth: one value behind one lock, moved on by a ticker. Wire servers read and change it; nothing else does.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::faults::{Condition, Faults};
use super::inbox::Inbox;
use super::{
    accelerator, app, arc, client, kubernetes, neo4j, pagerduty, rds, redis, route53, s3, slack, smtp, statuspage,
};

/// The two regions of the lab.
pub const PRIMARY: &str = "us-east-1";
pub const STANDBY: &str = "us-west-2";
pub const REGIONS: [&str; 2] = [PRIMARY, STANDBY];

/// A second standby, in a lab of three regions.
pub const THIRD: &str = "eu-west-1";
/// Every region that a lab can have.
pub static ALL: [&str; 3] = [PRIMARY, STANDBY, THIRD];

/// The availability zones of each region.
pub const ZONES: [(&str, [&str; 3]); 3] = [
    (PRIMARY, ["us-east-1a", "us-east-1b", "us-east-1c"]),
    (STANDBY, ["us-west-2a", "us-west-2b", "us-west-2c"]),
    (THIRD, ["eu-west-1a", "eu-west-1b", "eu-west-1c"]),
];

/// The loopback addresses of the application's front doors: what DNS answers, and what health checks look at.
pub static FRONT_DOORS: [(&str, Ipv4Addr); 3] = [
    (PRIMARY, Ipv4Addr::new(127, 0, 0, 11)),
    (STANDBY, Ipv4Addr::new(127, 0, 0, 12)),
    (THIRD, Ipv4Addr::new(127, 0, 0, 13)),
];

/// How far the lab's estate reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u8")]
pub enum Extent {
    /// A primary and a standby.
    #[default]
    Two,
    /// A primary and two standbys, with ARC's switches behind every record.
    Three,
}

impl TryFrom<u8> for Extent {
    type Error = String;

    fn try_from(regions: u8) -> Result<Self, String> {
        match regions {
            2 => Ok(Self::Two),
            3 => Ok(Self::Three),
            other => Err(format!("a lab has 2 or 3 regions, not {other}")),
        }
    }
}

impl Extent {
    pub fn regions(self) -> &'static [&'static str] {
        match self {
            Self::Two => &ALL[..2],
            Self::Three => &ALL,
        }
    }
    pub fn doors(self) -> &'static [(&'static str, Ipv4Addr)] {
        &FRONT_DOORS[..self.regions().len()]
    }
}

/// The first zone of a region.
pub fn zone_of(region: &str) -> &'static str {
    ZONES.iter().find(|(of, _)| *of == region).map_or(ZONES[0].1[0], |(_, zones)| zones[0])
}

/// How fast the lab lives. Only durations are scaled: its timestamps are the real time, so that ages and lags mean what they say.
#[derive(Clone, Copy, Debug)]
pub struct Pace(pub f64);

impl Pace {
    /// How long something of `nominal` length takes in this lab.
    pub fn scale(self, nominal: Duration) -> Duration {
        nominal.div_f64(self.0)
    }
}

/// A change that somebody made through a wire protocol: what the tests count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mutation {
    pub at: Timestamp,
    /// `rds@us-west-2`
    pub place: String,
    /// The protocol's own word: `PromoteReadReplica`.
    pub action: String,
    pub target: String,
    /// Whether it was accepted.
    pub accepted: bool,
}

/// What is handed to every part of the world when time passes.
pub struct Tick<'a> {
    pub now: Timestamp,
    pub pace: Pace,
    pub faults: &'a Faults,
}

/// Everything that is the case.
pub struct Truth {
    pub faults: Faults,
    /// What was changed. What was said is in the inbox.
    pub ledger: Vec<Mutation>,
    pub inbox: Inbox,
    pub route53: route53::Zones,
    pub arc: arc::Cluster,
    pub accelerator: accelerator::Accelerator,
    pub rds: rds::Databases,
    pub s3: s3::Buckets,
    pub kubernetes: BTreeMap<&'static str, kubernetes::Cluster>,
    pub redis: redis::Deployment,
    pub neo4j: neo4j::Cluster,
    pub slack: slack::Workspace,
    pub statuspage: statuspage::Page,
    pub pagerduty: pagerduty::Account,
    pub greylist: smtp::Greylist,
    pub client: client::SyntheticClient,
}

impl Truth {
    pub fn record(&mut self, place: &str, action: &str, target: &str, accepted: bool) {
        let at = Timestamp::now();
        self.ledger.push(Mutation { at, place: place.into(), action: action.into(), target: target.into(), accepted });
    }
}

/// The shared world.
#[derive(Clone)]
pub struct World {
    truth: Arc<Mutex<Truth>>,
    pub pace: Pace,
    pub extent: Extent,
}

/// How often time passes in the world.
const TICK: Duration = Duration::from_millis(10);

impl World {
    pub fn new(pace: Pace, extent: Extent) -> Self {
        let now = Timestamp::now();
        let clusters = extent.regions().iter().map(|region| (*region, kubernetes::Cluster::gennet(region, now)));
        let truth = Truth {
            faults: Faults::default(),
            ledger: Vec::new(),
            inbox: Inbox::default(),
            route53: route53::Zones::gennet(now, extent),
            arc: arc::Cluster::gennet(extent),
            accelerator: accelerator::Accelerator::gennet(now, extent),
            rds: rds::Databases::gennet(now, extent),
            s3: s3::Buckets::gennet(now, extent),
            kubernetes: clusters.collect(),
            redis: redis::Deployment::gennet(now, extent),
            neo4j: neo4j::Cluster::gennet(now, extent),
            slack: slack::Workspace::gennet(now),
            statuspage: statuspage::Page::gennet(now),
            pagerduty: pagerduty::Account::default(),
            greylist: smtp::Greylist::default(),
            client: client::SyntheticClient::default(),
        };
        Self { truth: Arc::new(Mutex::new(truth)), pace, extent }
    }

    /// The truth, locked. Never held across an await.
    pub fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn condition(&self, system: &str, region: Option<&str>) -> Condition {
        self.truth().faults.condition(system, region)
    }

    /// Lets time pass until the future is dropped.
    pub async fn live(self) {
        let mut beat = tokio::time::interval(TICK);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            self.pass(Timestamp::now());
        }
    }

    /// One moment: every part moves on to `now`.
    pub fn pass(&self, now: Timestamp) {
        let truth = &mut *self.truth();
        let faults = truth.faults.clone();
        let tick = Tick { now, pace: self.pace, faults: &faults };
        let serving = app::serving(truth);
        let (s3, arc) = (&truth.s3, &truth.arc);
        let object = |bucket: &str, key: &str| s3.answers(bucket, key, &faults);
        let switch = |arn: &str| arc.is_on(arn);
        truth.route53.tick(&tick, &route53::checks::InSight { serving: &serving, object: &object, switch: &switch });
        truth.rds.tick(&tick);
        truth.s3.tick(&tick);
        for cluster in truth.kubernetes.values_mut() {
            cluster.tick(&tick);
        }
        truth.redis.tick(&tick);
        truth.neo4j.tick(&tick);
        truth.pagerduty.tick(&mut truth.inbox, &tick);
        client::tick(truth, &tick);
    }
}
