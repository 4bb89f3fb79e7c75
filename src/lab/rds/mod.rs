//! RDS, CloudWatch and STS, and the truth about the databases: a Multi-AZ PostgreSQL in the primary region and its cross-region read
//! replica, with a replication that lags, a failover between zones, and a promotion that is one-way and takes its time.

mod api;
mod cloudwatch;
mod describe;
mod endpoint;
mod iam;
mod query;
mod sts;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use jiff::Timestamp;

use super::Site;
use super::faults::{Condition, Faults};
use super::rows::{Held, Rows};
use super::world::{PRIMARY, Pace, STANDBY, Tick};

/// The writer, and its replica in the other region.
pub const WRITER: &str = "gennet-db";
pub const REPLICA: &str = "gennet-db-replica";

/// How long a write needs to the other region.
const REPLICATION: Duration = Duration::from_millis(1200);
/// How long a promotion takes, from the call to a database that takes writes.
const PROMOTION: Duration = Duration::from_secs(70);
/// How long a failover to the other zone takes, by itself or by a reboot.
const FAILOVER: Duration = Duration::from_secs(75);
/// How long a reboot in place takes.
const REBOOT: Duration = Duration::from_secs(30);
/// The API goes on naming the old zone for so long after a failover.
const ZONE_SHOWN_LATE: Duration = Duration::from_secs(90);
/// How often the replica tells CloudWatch its lag.
const METRIC: Duration = Duration::from_secs(60);

const EVENTS: usize = 256;
const DATAPOINTS: usize = 256;

/// What an instance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Available,
    /// Serves, and refuses to be promoted or rebooted.
    BackingUp,
    /// Being promoted; its connections are cut.
    Promoting {
        until: Timestamp,
    },
    /// Does not serve.
    Rebooting {
        until: Timestamp,
        failover: bool,
    },
}

impl State {
    /// The API's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::BackingUp => "backing-up",
            Self::Promoting { .. } => "modifying",
            Self::Rebooting { .. } => "rebooting",
        }
    }

    fn serves(self) -> bool {
        matches!(self, Self::Available | Self::BackingUp)
    }
}

/// A database.
pub struct Instance {
    pub name: &'static str,
    pub region: &'static str,
    pub state: State,
    /// The instance that this one follows.
    pub source: Option<&'static str>,
    /// Where it runs, and where its standby is kept, if it is Multi-AZ.
    zones: (&'static str, Option<&'static str>),
    /// Until then the API names the zones the other way round.
    zones_shown_late_until: Option<Timestamp>,
    pub created: Timestamp,
    newest: Option<Timestamp>,
    rows: Rows,
    /// Its storage was damaged.
    damaged: bool,
}

impl Instance {
    fn new(
        name: &'static str,
        region: &'static str,
        source: Option<&'static str>,
        zones: (&'static str, Option<&'static str>),
        created: Timestamp,
    ) -> Self {
        let (state, zones_shown_late_until, newest) = (State::Available, None, None);
        let (rows, damaged) = (Rows::default(), false);
        Self { name, region, state, source, zones, zones_shown_late_until, created, newest, rows, damaged }
    }

    fn take(&mut self, written: Timestamp) {
        self.newest = Some(written);
        self.rows.push(written);
    }

    /// What damages its storage damages it once.
    fn suffer(&mut self, faults: &Faults) {
        if faults.condition("rds", Some(self.region)) != Condition::Corrupt {
            self.damaged = false;
        } else if !std::mem::replace(&mut self.damaged, true) {
            self.rows.lose_one();
        }
    }

    /// The zones as the API tells them.
    fn shown_zones(&self) -> (&'static str, Option<&'static str>) {
        match (self.zones_shown_late_until, self.zones) {
            (Some(_), (zone, Some(other))) => (other, Some(zone)),
            (_, zones) => zones,
        }
    }

    /// Whether it answers clients: it is in a state to, and the zone that it runs in is there.
    fn serves(&self, faults: &Faults) -> bool {
        self.state.serves() && faults.zone(self.zones.0).reachable()
    }

    pub fn multi_az(&self) -> bool {
        self.zones.1.is_some()
    }
}

/// Something that RDS tells in its events.
pub struct Event {
    pub at: Timestamp,
    pub instance: &'static str,
    pub category: &'static str,
    pub message: &'static str,
}

/// Why something cannot be done, as the API says it.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
}

impl Refusal {
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }
    fn state(message: String) -> Self {
        Self::new(400, "InvalidDBInstanceState", message)
    }
}

/// All databases, their events, and what CloudWatch was told.
pub struct Databases {
    instances: Vec<Instance>,
    /// Writes on their way to the replica: when they are due, and when they were made.
    on_the_way: VecDeque<(Timestamp, Timestamp)>,
    events: VecDeque<Event>,
    /// The replica's lag in seconds, as CloudWatch knows it.
    lags: VecDeque<(Timestamp, f64)>,
    /// Learnt with the first tick.
    pace: Pace,
}

impl Databases {
    pub fn gennet(now: Timestamp) -> Self {
        let writer = Instance::new(WRITER, PRIMARY, None, ("us-east-1a", Some("us-east-1b")), now);
        let replica = Instance::new(REPLICA, STANDBY, Some(WRITER), ("us-west-2a", None), now);
        Self {
            instances: vec![writer, replica],
            on_the_way: VecDeque::new(),
            events: VecDeque::new(),
            lags: VecDeque::new(),
            pace: Pace(1.0),
        }
    }

    pub fn tick(&mut self, tick: &Tick<'_>) {
        self.pace = tick.pace;
        for nth in 0..self.instances.len() {
            self.flee(nth, tick);
            self.move_on(nth, tick.now);
            self.instances[nth].suffer(tick.faults);
        }
        self.replicate(tick);
        self.measure(tick);
    }

    /// A Multi-AZ instance whose zone is gone fails over to the other one by itself.
    fn flee(&mut self, nth: usize, tick: &Tick<'_>) {
        let instance = &self.instances[nth];
        let stands = |zone: &str| tick.faults.zone(zone).reachable();
        let (zone, other) = instance.zones;
        if instance.state.serves() && !stands(zone) && other.is_some_and(stands) {
            self.begin_failover(nth, tick.now);
        }
    }

    fn begin_failover(&mut self, nth: usize, now: Timestamp) {
        let until = now + self.pace.scale(FAILOVER);
        self.instances[nth].state = State::Rebooting { until, failover: true };
        self.tell(now, self.instances[nth].name, "failover", "Multi-AZ instance failover started.");
    }

    /// Ends what has taken its time.
    fn move_on(&mut self, nth: usize, now: Timestamp) {
        let late = self.pace.scale(ZONE_SHOWN_LATE);
        let instance = &mut self.instances[nth];
        if instance.zones_shown_late_until.is_some_and(|until| until <= now) {
            instance.zones_shown_late_until = None;
        }
        let told = match instance.state {
            State::Promoting { until } if until <= now => {
                instance.source = None;
                self.on_the_way.clear();
                &[("configuration change", "Promoted Read Replica instance to a standalone database instance.")][..]
            }
            State::Rebooting { until, failover: true } if until <= now => {
                if let (zone, Some(other)) = instance.zones {
                    instance.zones = (other, Some(zone));
                    instance.zones_shown_late_until = Some(now + late);
                }
                &[("availability", "DB instance restarted"), ("failover", "Multi-AZ instance failover completed")][..]
            }
            State::Rebooting { until, .. } if until <= now => &[("availability", "DB instance restarted")][..],
            _ => return,
        };
        instance.state = State::Available;
        let name = instance.name;
        for (category, message) in told {
            self.tell(now, name, category, message);
        }
    }

    /// Brings over what is due, while both regions are there and the replica still follows.
    fn replicate(&mut self, tick: &Tick<'_>) {
        let open = |region| tick.faults.condition("rds", Some(region)).flows();
        let follows = |it: &Instance| it.source.is_some() && it.serves(tick.faults);
        if !(open(PRIMARY) && open(STANDBY) && self.instance(REPLICA).is_some_and(follows)) {
            return;
        }
        while let Some((_, written)) = self.on_the_way.pop_front_if(|(due, _)| *due <= tick.now) {
            if let Some(replica) = self.instance_mut(REPLICA) {
                replica.take(written);
            }
        }
    }

    /// The replica tells CloudWatch how far the newest transaction it has replayed lies back (the documented meaning of `ReplicaLag` for
    /// PostgreSQL): it grows while nothing arrives.
    fn measure(&mut self, tick: &Tick<'_>) {
        let due = self.lags.back().is_none_or(|(at, _)| *at + tick.pace.scale(METRIC) <= tick.now);
        let Some(replica) = self.instance(REPLICA) else { return };
        let follows = replica.source.is_some() && replica.serves(tick.faults);
        let (true, Some(newest)) = (due && follows && tick.faults.reachable("rds", STANDBY), replica.newest) else {
            return;
        };
        let lag = tick.now.duration_since(newest).as_secs_f64().max(0.0);
        if self.lags.len() == DATAPOINTS {
            self.lags.pop_front();
        }
        self.lags.push_back((tick.now, lag));
    }

    pub fn instance(&self, name: &str) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.name == name)
    }

    pub fn instance_mut(&mut self, name: &str) -> Option<&mut Instance> {
        self.instances.iter_mut().find(|instance| instance.name == name)
    }

    fn tell(&mut self, at: Timestamp, instance: &'static str, category: &'static str, message: &'static str) {
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(Event { at, instance, category, message });
    }

    /// Begins to promote a replica.
    ///
    /// # Errors
    /// When it follows nobody, or is not `available`.
    fn promote(&mut self, name: &str, region: &str, now: Timestamp) -> Result<(), Refusal> {
        let until = now + self.pace.scale(PROMOTION);
        let instance = self.found(name, region)?;
        if instance.source.is_none() {
            return Err(Refusal::state(format!("DB Instance {name} is not a read replica.")));
        }
        if instance.state != State::Available {
            let state = instance.state.word();
            return Err(Refusal::state(format!("Database instance is not in available state: it is {state}.")));
        }
        instance.state = State::Promoting { until };
        Ok(())
    }

    /// Begins to reboot an instance, in the other zone if it is to fail over.
    ///
    /// # Errors
    /// When it is not `available`, or has no other zone, or that one is gone.
    fn reboot(
        &mut self,
        name: &str,
        region: &str,
        failover: bool,
        faults: &Faults,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let until = now + self.pace.scale(REBOOT);
        let instance = self.found(name, region)?;
        if instance.state != State::Available {
            let state = instance.state.word();
            return Err(Refusal::state(format!("Instance {name} is not in available state: it is {state}.")));
        }
        if failover && !instance.multi_az() {
            let why = "The force failover option cannot be used: the instance is not configured for Multi-AZ.";
            return Err(Refusal::new(400, "InvalidParameterCombination", why));
        }
        if let Some(zone) = instance.zones.1.filter(|zone| failover && !faults.zone(zone).reachable()) {
            return Err(Refusal::state(format!("The standby of {name} in {zone} cannot take over now.")));
        }
        if !failover {
            instance.state = State::Rebooting { until, failover };
        } else if let Some(nth) = self.instances.iter().position(|instance| instance.name == name) {
            self.begin_failover(nth, now);
        }
        Ok(())
    }

    fn found(&mut self, name: &str, region: &str) -> Result<&mut Instance, Refusal> {
        let found = self.instances.iter_mut().find(|instance| instance.name == name && instance.region == region);
        found.ok_or_else(|| Refusal::new(404, "DBInstanceNotFound", format!("DBInstance {name} not found.")))
    }

    /// The instance that the application in `region` uses, if it can be reached.
    fn used(&self, region: &str, faults: &Faults) -> Result<&Instance, String> {
        let condition = faults.condition("rds", Some(region));
        if !(condition.serves() || matches!(condition, Condition::Denied | Condition::Throttled)) {
            return Err(format!("the database in {region} does not answer ({condition:?})"));
        }
        let used = self.instances.iter().find(|instance| instance.region == region);
        let used = used.ok_or_else(|| format!("there is no database in {region}"))?;
        match used.serves(faults) {
            true => Ok(used),
            false if used.state.serves() => Err(format!("{} is in {}, which is gone", used.name, used.zones.0)),
            false => Err(format!("{} is {}", used.name, used.state.word())),
        }
    }

    /// A write by the application in `region`, at `at`: lands on the writer that this region uses.
    ///
    /// # Errors
    /// Why it was not taken, in a few words.
    pub fn write(&mut self, region: &str, at: Timestamp, faults: &Faults) -> Result<(), String> {
        let used = self.used(region, faults)?;
        if used.source.is_some() {
            return Err("cannot execute INSERT in a read-only transaction".into());
        }
        let name = used.name;
        if let Some(used) = self.instance_mut(name) {
            used.take(at);
        }
        if self.instances.iter().any(|instance| instance.source == Some(name)) {
            self.on_the_way.push_back((at + self.pace.scale(REPLICATION), at));
        }
        Ok(())
    }

    /// The newest write that the application in `region` can read from the copy it uses; `None` when that cannot be read.
    pub fn newest(&self, region: &str, faults: &Faults) -> Option<Timestamp> {
        self.used(region, faults).ok()?.newest
    }

    /// What the copy that the application in `region` uses holds of what was written until then; `None` when that cannot be told.
    pub fn held(&self, region: &str, until: Timestamp, faults: &Faults) -> Option<Held> {
        self.used(region, faults).ok()?.rows.until(until)
    }
}

/// Starts the APIs of both regions and the databases' own endpoints.
///
/// # Errors
/// When a loopback address cannot be listened on.
pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    query::start(site, "rds", api::answer).await?;
    query::start(site, "sts", sts::answer).await?;
    query::start_global(site, iam::PLACE, iam::answer).await?;
    cloudwatch::start(site).await?;
    endpoint::start(site).await
}

#[cfg(test)]
mod tests;
