//! S3 over REST, and the truth about the buckets: real bytes in versions, and a replication that takes its time.

mod api;
pub mod backups;
mod listing;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::Duration;

use axum::body::Bytes;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::Site;
use super::faults::Faults;
use super::rows::Held;
use super::world::{ALL, Extent, PRIMARY, STANDBY, THIRD, Tick};

/// How long an object needs to the other region.
const REPLICATION: Duration = Duration::from_secs(4);

/// How many versions of an object are kept: what the buckets' lifecycle rule says.
const KEPT: usize = 64;

/// The most a bucket holds in bytes: it all lies in memory.
const ROOM: usize = 64 << 20;

/// How much users have stored when the world begins.
const USERS_OBJECTS: u64 = 24;

/// What users store lies below this.
const USERS: &str = "users/";

/// The bucket of the standby region that a health check looks into, and the key of the object that takes the primary out of the answers.
pub const SWITCH_BUCKET: &str = "gennet-switch";
pub const SWITCH: &str = "leave-us-east-1";

/// Where engines can keep a journal that they share: with Object Lock, so that nobody takes a version away.
pub const JOURNAL_BUCKET: &str = "gennet-journal";
const JOURNAL_LOCKED_DAYS: u32 = 30;

/// Where the application leaves its heartbeats, one key for each region that writes.
const HEARTBEAT: &str = "heartbeat/";

/// How far an object came on its way to the other region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    Pending,
    Completed,
    Replica,
}

impl Replication {
    fn word(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Completed => "COMPLETED",
            Self::Replica => "REPLICA",
        }
    }
}

/// One version of an object.
#[derive(Clone, Debug)]
pub struct Version {
    pub id: String,
    /// Kept by replication, as S3 keeps it.
    pub at: Timestamp,
    /// `None` is a delete marker.
    pub body: Option<Bytes>,
    pub content_type: Option<String>,
    /// `x-amz-meta-…`, without the prefix.
    pub metadata: BTreeMap<String, String>,
    pub replication: Option<Replication>,
}

/// An entity tag is opaque to clients; hashing megabytes at every listing would cost more than all else in the lab.
const ETAG_HEAD: usize = 1 << 10;

impl Version {
    /// Opaque to clients, equal for equal bytes.
    fn etag(&self) -> String {
        let body = self.body.as_deref().unwrap_or_default();
        let head = &body[..body.len().min(ETAG_HEAD)];
        let digest = Sha256::new().chain_update(head).chain_update(body.len().to_be_bytes()).finalize();
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("\"{hex}\"")
    }
}

/// A bucket.
pub struct Bucket {
    pub name: &'static str,
    pub region: &'static str,
    pub created: Timestamp,
    /// Whether versioning is enabled; suspended otherwise.
    pub versioned: bool,
    /// Object Lock: for how many days every version is kept.
    pub locked_days: Option<u32>,
    /// The buckets that new objects are replicated to.
    pub replicates_to: Vec<&'static str>,
    /// By key; the newest version is the last one.
    objects: BTreeMap<String, VecDeque<Version>>,
    /// What is on its way: when it is due, to which bucket, the key, the version.
    outbox: VecDeque<(Timestamp, &'static str, String, String)>,
    size: usize,
}

impl Bucket {
    fn new(name: &'static str, region: &'static str, replicates_to: &[&'static str], created: Timestamp) -> Self {
        let (replicates_to, objects, outbox) = (replicates_to.to_vec(), BTreeMap::new(), VecDeque::new());
        Self { name, region, created, versioned: true, locked_days: None, replicates_to, objects, outbox, size: 0 }
    }

    /// The newest version of `key`, a delete marker too.
    fn latest(&self, key: &str) -> Option<&Version> {
        self.objects.get(key)?.back()
    }

    fn version(&self, key: &str, id: &str) -> Option<&Version> {
        self.objects.get(key)?.iter().find(|version| version.id == id)
    }

    fn push(&mut self, key: &str, version: Version) {
        self.size += version.body.as_ref().map_or(0, Bytes::len);
        let versions = self.objects.entry(key.to_owned()).or_default();
        if version.id == "null" {
            versions.retain(|old| old.id != "null");
        }
        versions.push_back(version);
        while versions.len() > KEPT {
            let gone = versions.pop_front().and_then(|version| version.body);
            self.size -= gone.map_or(0, |body| body.len());
        }
    }

    /// Removes one version for good. Says whether it was there.
    fn expunge(&mut self, key: &str, id: &str) -> bool {
        let Some(versions) = self.objects.get_mut(key) else { return false };
        let Some(at) = versions.iter().position(|version| version.id == id) else { return false };
        let gone = versions.remove(at).and_then(|version| version.body);
        self.size -= gone.map_or(0, |body| body.len());
        if versions.is_empty() {
            self.objects.remove(key);
        }
        true
    }
}

/// All buckets, of both regions.
pub struct Buckets {
    buckets: Vec<Bucket>,
    /// Counts versions; never reused.
    serial: u64,
    /// So many of the next conditional writes meet another one of the same object.
    pub meetings: u32,
    /// How long replication takes at the lab's pace; learnt with the first tick.
    lag: Duration,
    /// Backups that broken jobs did not make, by prefix.
    missed: BTreeMap<&'static str, Vec<(String, VecDeque<Version>)>>,
}

impl Buckets {
    /// `gennet-data` replicating to `gennet-data-dr`, and `gennet-backups` with the backups of a week.
    pub fn gennet(now: Timestamp, extent: Extent) -> Self {
        let copies: Vec<&'static str> = extent
            .regions()
            .iter()
            .filter(|region| **region != PRIMARY)
            .map(|region| Self::data_bucket(region))
            .collect();
        let mut buckets = vec![
            Bucket::new("gennet-data", PRIMARY, &copies, now),
            Bucket::new("gennet-data-dr", STANDBY, &[], now),
            Bucket::new(backups::BUCKET, STANDBY, &[], now),
            Bucket::new(SWITCH_BUCKET, STANDBY, &[], now),
            Bucket { locked_days: Some(JOURNAL_LOCKED_DAYS), ..Bucket::new(JOURNAL_BUCKET, STANDBY, &[], now) },
        ];
        if extent == Extent::Three {
            buckets.push(Bucket::new(Self::data_bucket(THIRD), THIRD, &[], now));
        }
        let mut all = Self { buckets, serial: 0, meetings: 0, lag: REPLICATION, missed: BTreeMap::new() };
        all.seed_data(now, extent);
        all.seed_backups(now);
        all
    }

    /// What users have stored, in both regions for long.
    fn seed_data(&mut self, now: Timestamp, extent: Extent) {
        for nth in 1..=USERS_OBJECTS {
            let (key, body) =
                (format!("users/{nth:04}/network.json"), Bytes::from(format!("{{\"edges\": {}}}", nth * 7)));
            for region in extent.regions() {
                let replication = if *region == PRIMARY { Replication::Completed } else { Replication::Replica };
                self.serial += 1;
                let version = Version {
                    id: format!("{:032x}", self.serial),
                    at: now,
                    body: Some(body.clone()),
                    content_type: Some("application/json".into()),
                    metadata: BTreeMap::new(),
                    replication: Some(replication),
                };
                if let Some(bucket) = self.bucket_mut(Self::data_bucket(region)) {
                    bucket.push(&key, version);
                }
            }
        }
    }

    pub fn tick(&mut self, tick: &Tick<'_>) {
        self.lag = tick.pace.scale(REPLICATION);
        self.miss_backups(tick.faults, tick.now);
        let pairs: Vec<(usize, usize)> = self.pairs().collect();
        for (from, to) in pairs {
            let open = |bucket: &Bucket| tick.faults.condition("s3", Some(bucket.region)).flows();
            if open(&self.buckets[from]) && open(&self.buckets[to]) {
                self.replicate(from, to, tick.now);
            }
        }
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let place = |name: &str| self.buckets.iter().position(|bucket| bucket.name == name);
        let to =
            move |bucket: &'_ Bucket| bucket.replicates_to.iter().filter_map(|name| place(name)).collect::<Vec<_>>();
        self.buckets.iter().enumerate().flat_map(move |(from, bucket)| to(bucket).into_iter().map(move |to| (from, to)))
    }

    fn replicate(&mut self, from: usize, to: usize, now: Timestamp) {
        let name = self.buckets[to].name;
        let due = |bucket: &Bucket| bucket.outbox.iter().position(|(due, to, ..)| *due <= now && *to == name);
        while let Some(nth) = due(&self.buckets[from]) {
            let Some((_, _, key, id)) = self.buckets[from].outbox.remove(nth) else { return };
            let versions = self.buckets[from].objects.get_mut(&key);
            // It may have been deleted or have expired on the way.
            let Some(version) = versions.and_then(|all| all.iter_mut().find(|version| version.id == id)) else {
                continue;
            };
            version.replication = Some(Replication::Completed);
            let copy = Version { replication: Some(Replication::Replica), ..version.clone() };
            self.buckets[to].push(&key, copy);
        }
    }

    pub fn bucket(&self, name: &str) -> Option<&Bucket> {
        self.buckets.iter().find(|bucket| bucket.name == name)
    }

    /// Whether anybody who asks for an object by its name is given it.
    pub fn answers(&self, bucket: &str, key: &str, faults: &Faults) -> bool {
        let bucket = self.bucket(bucket).filter(|bucket| faults.condition("s3", Some(bucket.region)).serves());
        bucket.and_then(|bucket| bucket.latest(key)).is_some_and(|version| version.body.is_some())
    }

    pub fn bucket_mut(&mut self, name: &str) -> Option<&mut Bucket> {
        self.buckets.iter_mut().find(|bucket| bucket.name == name)
    }

    /// Puts a version (`body` none: a delete marker) on top. Answers it, or `None` if there is no such bucket.
    fn store(
        &mut self,
        bucket: &str,
        key: &str,
        at: Timestamp,
        body: Option<Bytes>,
        content_type: Option<String>,
        metadata: BTreeMap<String, String>,
    ) -> Option<&Version> {
        self.serial += 1;
        let (serial, due) = (self.serial, at + self.lag);
        let bucket = self.bucket_mut(bucket)?;
        // Delete markers stay where they are: the replication rule says so.
        let replicates = bucket.versioned && !bucket.replicates_to.is_empty() && body.is_some();
        let id = if bucket.versioned { format!("{serial:032x}") } else { "null".into() };
        let replication = replicates.then_some(Replication::Pending);
        if replicates {
            let to = bucket.replicates_to.iter().map(|to| (due, *to, key.to_owned(), id.clone()));
            bucket.outbox.extend(to.collect::<Vec<_>>());
        }
        bucket.push(key, Version { id, at, body, content_type, metadata, replication });
        bucket.latest(key)
    }

    /// The bucket that the application in `region` uses.
    fn data_bucket(region: &str) -> &'static str {
        match region {
            PRIMARY => "gennet-data",
            THIRD => "gennet-data-ireland",
            _ => "gennet-data-dr",
        }
    }

    /// A write by the application in `region`, at `at`: lands in the bucket that this region uses.
    ///
    /// # Errors
    /// Why it was not taken, in a few words.
    pub fn write(&mut self, region: &str, at: Timestamp, faults: &Faults) -> Result<(), String> {
        match faults.condition("s3", Some(region)) {
            condition if condition.serves() => {}
            condition => return Err(format!("S3 in {region} does not take writes ({condition:?})")),
        }
        let key = format!("{HEARTBEAT}{region}");
        let body = Some(Bytes::from(at.to_string()));
        self.store(Self::data_bucket(region), &key, at, body, Some("text/plain".into()), BTreeMap::new());
        Ok(())
    }

    /// The newest write that the application in `region` can read from the copy it uses; `None` when that cannot be read.
    pub fn newest(&self, region: &str, faults: &Faults) -> Option<Timestamp> {
        if !faults.reachable("s3", region) {
            return None;
        }
        let bucket = self.bucket(Self::data_bucket(region))?;
        let beats = ALL.iter().filter_map(|region| bucket.latest(&format!("{HEARTBEAT}{region}")));
        beats.map(|version| version.at).max()
    }

    /// What the bucket that the application in `region` uses holds of users' objects written until then; `None` when that cannot be
    /// read.
    pub fn held(&self, region: &str, until: Timestamp, faults: &Faults) -> Option<Held> {
        if !faults.reachable("s3", region) {
            return None;
        }
        let bucket = self.bucket(Self::data_bucket(region))?;
        let newest = |versions: &VecDeque<Version>| versions.iter().rev().find(|it| it.at <= until).cloned();
        let all = bucket.objects.range(USERS.to_owned()..).take_while(|(key, _)| key.starts_with(USERS));
        let stored = all.filter_map(|(key, versions)| Some((key, newest(versions)?)));
        let stored = stored.filter(|(_, version)| version.body.is_some());
        Some(
            stored.fold(Held::NOTHING, |held, (key, version)| held.and(format!("{key}={}", version.etag()).as_bytes())),
        )
    }
}

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    api::start(site).await
}

#[cfg(test)]
mod tests {
    use super::super::faults::Condition;
    use super::super::world::Pace;
    use super::*;

    fn pass(buckets: &mut Buckets, now: Timestamp, faults: &Faults) {
        buckets.tick(&Tick { now, pace: Pace(1.0), faults });
    }

    #[test]
    fn heartbeats_cross_after_the_lag_and_not_while_a_side_is_dark() {
        let (start, mut faults) = (Timestamp::now(), Faults::default());
        let later = |seconds| start + Duration::from_secs(seconds);
        let mut buckets = Buckets::gennet(start, Extent::Two);
        buckets.write(PRIMARY, start, &faults).unwrap();
        pass(&mut buckets, later(3), &faults);
        assert_eq!(buckets.newest(STANDBY, &faults), None);
        faults.set("*@us-east-1", Condition::Dark);
        pass(&mut buckets, later(60), &faults);
        assert_eq!(buckets.newest(STANDBY, &faults), None);
        assert!(buckets.write(PRIMARY, later(60), &faults).is_err());
        faults.heal_all();
        pass(&mut buckets, later(61), &faults);
        assert_eq!(buckets.newest(STANDBY, &faults), Some(start));
    }

    #[test]
    fn old_versions_expire() {
        let (start, faults) = (Timestamp::now(), Faults::default());
        let mut buckets = Buckets::gennet(start, Extent::Two);
        for second in 0..200 {
            buckets.write(PRIMARY, start + Duration::from_secs(second), &faults).unwrap();
        }
        pass(&mut buckets, start + Duration::from_secs(300), &faults);
        for name in ["gennet-data", "gennet-data-dr"] {
            let bucket = buckets.bucket(name).unwrap();
            assert_eq!(bucket.objects["heartbeat/us-east-1"].len(), KEPT);
            assert!(bucket.size <= KEPT * 40 && bucket.outbox.is_empty());
        }
    }
}
