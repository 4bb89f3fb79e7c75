//! RDS, CloudWatch and STS, and the truth about the databases: a Multi-AZ PostgreSQL in the primary region and its cross-region read
//! replica, with a replication that lags, a failover between zones, and a promotion that is one-way and takes its time.

mod api;
mod cloudwatch;
mod describe;
mod endpoint;
mod iam;
mod query;
pub mod session;
mod sts;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use jiff::Timestamp;

use super::Site;
use super::faults::{Condition, Faults};
use super::rows::{Held, Rows};
use super::world::{Extent, PRIMARY, Pace, THIRD, Tick, zone_of};

/// The writer, and its replica in the other region.
pub const WRITER: &str = "gennet-db";
pub const REPLICA: &str = "gennet-db-replica";
/// Another replica, in a lab of three regions.
const THIRD_REPLICA: &str = "gennet-db-ireland";

/// The database that the application in `region` uses.
fn name_in(region: &str) -> &'static str {
    match region {
        PRIMARY => WRITER,
        THIRD => THIRD_REPLICA,
        _ => REPLICA,
    }
}

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
/// How many days of backups a promoted replica keeps when nobody says.
const PROMOTED_RETENTION: u64 = 1;
/// How often the replica tells CloudWatch its lag.
const METRIC: Duration = Duration::from_secs(60);

/// How long a read replica takes to be made in the other region.
const CREATION: Duration = Duration::from_secs(600);
/// How long a new name takes.
const RENAMING: Duration = Duration::from_secs(60);
/// RDS for PostgreSQL writes something of its own so often, so that an idle database's log moves on, and the replica's lag with it.
const HEARTBEAT: Duration = Duration::from_secs(300);

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
    /// Being made from its source.
    Creating {
        until: Timestamp,
    },
    /// Being given another name; not there for anybody meanwhile.
    Renaming {
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
            Self::Creating { .. } => "creating",
            Self::Renaming { .. } => "renaming",
            Self::Rebooting { .. } => "rebooting",
        }
    }

    fn serves(self) -> bool {
        matches!(self, Self::Available | Self::BackingUp)
    }
}

/// A database.
pub struct Instance {
    pub name: String,
    pub region: &'static str,
    pub state: State,
    /// The instance that this one follows.
    pub source: Option<String>,
    /// Where it runs, and where its standby is kept, if it is Multi-AZ.
    zones: (&'static str, Option<&'static str>),
    /// Until then the API names the zones the other way round.
    zones_shown_late_until: Option<Timestamp>,
    pub created: Timestamp,
    /// The application's newest write.
    newest: Option<Timestamp>,
    rows: Rows,
    /// Its storage was damaged.
    damaged: bool,
    /// The newest transaction of all, RDS's own too.
    replayed: Option<Timestamp>,
    /// Transactions on their way here from the source: when they are due, when they were made, whether the application made them.
    on_the_way: VecDeque<(Timestamp, Timestamp, bool)>,
    /// The lag in seconds, as CloudWatch knows it.
    lags: VecDeque<(Timestamp, f64)>,
    /// How many days of automated backups are kept; without any there are none.
    retention: u64,
    renames_to: Option<String>,
    heartbeat_due: Option<Timestamp>,
}

impl Instance {
    fn new(
        name: &str,
        region: &'static str,
        source: Option<String>,
        zones: (&'static str, Option<&'static str>),
        created: Timestamp,
    ) -> Self {
        let retention = if source.is_none() { describe::RETENTION } else { 0 };
        Self {
            name: name.to_owned(),
            region,
            state: State::Available,
            source,
            zones,
            zones_shown_late_until: None,
            created,
            newest: None,
            rows: Rows::default(),
            damaged: false,
            replayed: None,
            on_the_way: VecDeque::new(),
            lags: VecDeque::new(),
            retention,
            renames_to: None,
            heartbeat_due: None,
        }
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
    pub instance: String,
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

/// All databases, and their events.
pub struct Databases {
    instances: Vec<Instance>,
    events: VecDeque<Event>,
    /// Learnt with the first tick.
    pace: Pace,
}

impl Databases {
    pub fn gennet(now: Timestamp, extent: Extent) -> Self {
        let writer = Instance::new(WRITER, PRIMARY, None, ("us-east-1a", Some("us-east-1b")), now);
        let replica =
            |region| Instance::new(name_in(region), region, Some(WRITER.into()), (zone_of(region), None), now);
        let replicas = extent.regions().iter().copied().filter(|region| *region != PRIMARY).map(replica);
        Self { instances: std::iter::once(writer).chain(replicas).collect(), events: VecDeque::new(), pace: Pace(1.0) }
    }

    pub fn tick(&mut self, tick: &Tick<'_>) {
        self.pace = tick.pace;
        for nth in 0..self.instances.len() {
            self.flee(nth, tick);
            self.move_on(nth, tick.now);
            self.instances[nth].suffer(tick.faults);
        }
        for nth in 0..self.instances.len() {
            self.beat(nth, tick);
            self.replicate(nth, tick);
            self.measure(nth, tick);
        }
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
        self.tell(now, &self.instances[nth].name.clone(), "failover", "Multi-AZ instance failover started.");
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
                instance.on_the_way.clear();
                instance.retention = PROMOTED_RETENTION;
                &[("configuration change", "Promoted Read Replica instance to a standalone database instance.")][..]
            }
            State::Rebooting { until, failover: true } if until <= now => {
                if let (zone, Some(other)) = instance.zones {
                    instance.zones = (other, Some(zone));
                    instance.zones_shown_late_until = Some(now + late);
                }
                &[("availability", "DB instance restarted"), ("failover", "Multi-AZ instance failover completed")][..]
            }
            State::Creating { until } if until <= now => &[("creation", "DB instance created")][..],
            State::Renaming { until } if until <= now => {
                if let Some(name) = instance.renames_to.take() {
                    instance.name = name;
                }
                &[("configuration change", "Renamed DB instance")][..]
            }
            State::Rebooting { until, .. } if until <= now => &[("availability", "DB instance restarted")][..],
            _ => return,
        };
        instance.state = State::Available;
        let name = instance.name.clone();
        for (category, message) in told {
            self.tell(now, &name, category, message);
        }
    }

    /// A transaction on a writer, by the application or by RDS itself.
    fn commit(&mut self, nth: usize, at: Timestamp, of_application: bool) {
        let due = at + self.pace.scale(REPLICATION);
        let writer = &mut self.instances[nth];
        writer.replayed = Some(at);
        if of_application {
            writer.take(at);
        }
        let name = writer.name.clone();
        for replica in self.instances.iter_mut().filter(|it| it.source.as_deref() == Some(name.as_str())) {
            replica.on_the_way.push_back((due, at, of_application));
        }
    }

    /// RDS's own write.
    fn beat(&mut self, nth: usize, tick: &Tick<'_>) {
        let every = tick.pace.scale(HEARTBEAT);
        let writer = &mut self.instances[nth];
        let due = *writer.heartbeat_due.get_or_insert(tick.now + every);
        if due <= tick.now {
            writer.heartbeat_due = Some(tick.now + every);
            if writer.source.is_none() && writer.serves(tick.faults) && tick.faults.reachable("rds", writer.region) {
                self.commit(nth, tick.now, false);
            }
        }
    }

    /// Brings over what is due, while both regions are there and the replica still follows.
    fn replicate(&mut self, nth: usize, tick: &Tick<'_>) {
        let open = |region| tick.faults.condition("rds", Some(region)).flows();
        let replica = &self.instances[nth];
        let source = replica.source.as_deref().and_then(|source| self.instance(source));
        if !source.is_some_and(|source| open(source.region)) || !open(replica.region) || !replica.serves(tick.faults) {
            return;
        }
        let replica = &mut self.instances[nth];
        while let Some((_, written, of_application)) = replica.on_the_way.pop_front_if(|(due, ..)| *due <= tick.now) {
            replica.replayed = Some(written);
            if of_application {
                replica.take(written);
            }
        }
    }

    /// The replica tells CloudWatch how far the newest transaction it has replayed lies back (the documented meaning of `ReplicaLag` for
    /// PostgreSQL): it grows while nothing arrives.
    fn measure(&mut self, nth: usize, tick: &Tick<'_>) {
        let replica = &mut self.instances[nth];
        let due = replica.lags.back().is_none_or(|(at, _)| *at + tick.pace.scale(METRIC) <= tick.now);
        let follows = replica.source.is_some() && replica.serves(tick.faults);
        let told = due && follows && tick.faults.reachable("rds", replica.region);
        let (true, Some(replayed)) = (told, replica.replayed) else { return };
        let lag = tick.now.duration_since(replayed).as_secs_f64().max(0.0);
        if replica.lags.len() == DATAPOINTS {
            replica.lags.pop_front();
        }
        replica.lags.push_back((tick.now, lag));
    }

    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter()
    }

    pub fn instance(&self, name: &str) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.name == name)
    }

    pub fn instance_mut(&mut self, name: &str) -> Option<&mut Instance> {
        self.instances.iter_mut().find(|instance| instance.name == name)
    }

    fn tell(&mut self, at: Timestamp, instance: &str, category: &'static str, message: &'static str) {
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(Event { at, instance: instance.to_owned(), category, message });
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

    /// Begins to make a read replica in `region` of a database in the other one.
    ///
    /// # Errors
    /// When the name is taken, there is no such source, it keeps no backups, or no key for the copy was named: a key belongs to one
    /// region, so that the copy of an encrypted database needs one of its own
    /// (<https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstanceReadReplica.html>).
    fn create_replica(
        &mut self,
        name: &str,
        source_arn: &str,
        region: &'static str,
        key: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if self.instance(name).is_some() {
            return Err(Refusal::new(400, "DBInstanceAlreadyExists", format!("DB Instance {name} already exists")));
        }
        let of = |it: &&Instance| describe::arn(it.region, "db", &it.name) == source_arn;
        let source =
            self.instances.iter().find(of).ok_or_else(|| {
                Refusal::new(404, "DBInstanceNotFound", format!("DBInstance {source_arn} not found."))
            })?;
        if source.retention == 0 {
            return Err(Refusal::state("Automated backups are not enabled for this database instance.".into()));
        }
        if !source.state.serves() {
            return Err(Refusal::state(format!("The source {source_arn} is {}.", source.state.word())));
        }
        if key.is_none() {
            let why = "The source is encrypted: KmsKeyId of a key in the destination region is needed.";
            return Err(Refusal::new(400, "InvalidParameterCombination", why));
        }
        let mut replica = Instance::new(name, region, Some(source.name.clone()), (zone_of(region), None), now);
        (replica.newest, replica.replayed, replica.rows) = (source.newest, source.replayed, source.rows.clone());
        replica.state = State::Creating { until: now + self.pace.scale(CREATION) };
        self.instances.push(replica);
        Ok(())
    }

    /// Changes how long backups are kept, or begins to give another name.
    ///
    /// # Errors
    /// When it is not `available`, or the new name is taken.
    fn modify(
        &mut self,
        name: &str,
        region: &str,
        retention: Option<u64>,
        new_name: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if let Some(taken) = new_name.filter(|new| self.instance(new).is_some()) {
            return Err(Refusal::new(400, "DBInstanceAlreadyExists", format!("DB Instance {taken} already exists")));
        }
        let until = now + self.pace.scale(RENAMING);
        let instance = self.found(name, region)?;
        if instance.state != State::Available {
            let state = instance.state.word();
            return Err(Refusal::state(format!("Database instance is not in available state: it is {state}.")));
        }
        if let Some(days) = retention {
            instance.retention = days;
        }
        if let Some(new) = new_name {
            instance.renames_to = Some(new.to_owned());
            instance.state = State::Renaming { until };
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
        let name = name_in(region);
        let used = self.instances.iter().find(|instance| instance.region == region && instance.name == name);
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
        let name = used.name.clone();
        if let Some(nth) = self.instances.iter().position(|instance| instance.name == name) {
            self.commit(nth, at, true);
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
