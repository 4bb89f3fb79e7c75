//! One Redis server: its data, and how it follows another.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::super::faults::{Condition, Faults};
use super::super::world::Tick;
use super::{NODE, age};

/// How long a write is on its way to a replica in the same region, and in another.
const NEAR: Duration = Duration::from_millis(100);
const FAR: Duration = Duration::from_secs(1);
/// How long a full copy takes.
const FULL_SYNC: Duration = Duration::from_millis(500);
/// A link that is silent for so long is given up (`repl-timeout`).
pub const REPL_TIMEOUT: Duration = Duration::from_secs(10);
/// How often data is written to disk (`save 60 1`: something is written all the time).
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// So many writes are kept for replicas that reconnect.
const BACKLOG: usize = 20_000;

/// A value, and when it goes.
#[derive(Clone, Debug)]
pub struct Entry {
    pub value: Vec<u8>,
    pub expires: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct Write {
    at: Timestamp,
    /// The offsets of the stream before and after it.
    start: u64,
    end: u64,
    key: Vec<u8>,
    entry: Option<Entry>,
}

/// What a server holds, as of an offset in a history of writes.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Which history it is (the replication id): copies of different histories cannot be continued, only replaced.
    pub history: u64,
    pub offset: u64,
    keys: BTreeMap<Vec<u8>, Entry>,
    backlog: VecDeque<Write>,
}

impl Dataset {
    pub fn new(history: u64) -> Self {
        Self { history, offset: 0, keys: BTreeMap::new(), backlog: VecDeque::new() }
    }

    pub fn get(&self, key: &[u8], now: Timestamp) -> Option<&Entry> {
        self.keys.get(key).filter(|entry| entry.expires.is_none_or(|at| at > now))
    }

    pub fn len(&self, now: Timestamp) -> usize {
        self.keys.keys().filter(|key| self.get(key, now).is_some()).count()
    }

    /// All that is meant to stay: what expires goes by itself, and is no loss.
    pub fn lasting(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let stays = self.keys.iter().filter(|(_, entry)| entry.expires.is_none());
        stays.map(|(key, entry)| (key.as_slice(), entry.value.as_slice()))
    }

    /// A write at the master: `None` deletes.
    pub fn put(&mut self, key: &[u8], entry: Option<Entry>, at: Timestamp) {
        let bytes = key.len() + entry.as_ref().map_or(0, |entry| entry.value.len()) + 30;
        let start = self.offset;
        self.apply(Write { at, start, end: start + bytes as u64, key: key.to_vec(), entry });
    }

    fn apply(&mut self, write: Write) {
        self.offset = write.end;
        match write.entry.clone() {
            Some(entry) => self.keys.insert(write.key.clone(), entry),
            None => self.keys.remove(&write.key),
        };
        self.backlog.push_back(write);
        if self.backlog.len() > BACKLOG {
            self.backlog.pop_front();
        }
    }

    /// Whether `self` can be continued from what `source` still remembers.
    fn continues(&self, source: &Dataset) -> bool {
        let remembered = |first: &Write| first.start <= self.offset && self.offset <= source.offset;
        let current = self.offset == source.offset;
        self.history == source.history && (current || source.backlog.front().is_some_and(remembered))
    }

    /// Takes over what `source` wrote until `until`.
    fn follow(&mut self, source: &Dataset, until: Timestamp) {
        let from = source.backlog.partition_point(|write| write.end <= self.offset);
        for write in source.backlog.iter().skip(from).take_while(|write| write.at <= until) {
            self.apply(write.clone());
        }
    }
}

/// Whom a replica follows, and how the link is.
#[derive(Clone, Debug)]
pub struct Upstream {
    pub host: String,
    pub port: u16,
    /// When the master was last heard of.
    pub last_io: Option<Timestamp>,
    /// When the link was given up; `None` while it is up or not yet given up.
    pub down_since: Option<Timestamp>,
    syncing_since: Option<Timestamp>,
    pub synced: bool,
}

/// One server.
#[derive(Clone, Debug)]
pub struct Node {
    pub name: &'static str,
    pub region: &'static str,
    pub zone: &'static str,
    /// Known once it listens.
    pub port: u16,
    pub run_id: String,
    pub started: Timestamp,
    /// When it last wrote its data to disk.
    pub saved: Timestamp,
    /// How often it did since it started.
    pub saves: u64,
    /// So many linked replicas a write needs (`min-replicas-to-write`).
    pub min_replicas: u64,
    /// Until when writes wait (`CLIENT PAUSE … WRITE`).
    pub paused: Option<Timestamp>,
    /// `None`: it is a master.
    pub upstream: Option<Upstream>,
    pub priority: u64,
    pub data: Dataset,
}

impl Node {
    /// How it behaves: alone, with its zone, or with its region.
    pub fn condition(&self, faults: &Faults) -> Condition {
        faults.of_member(NODE, self.region, self.name, self.zone)
    }

    pub fn is_master(&self) -> bool {
        self.upstream.is_none()
    }

    /// `REPLICAOF host port`.
    pub fn follow(&mut self, host: &str, port: u16, now: Timestamp) {
        if self.upstream.as_ref().is_some_and(|up| up.port == port && up.host == host) {
            return;
        }
        let host = host.to_owned();
        self.upstream =
            Some(Upstream { host, port, last_io: None, down_since: Some(now), syncing_since: None, synced: false });
    }

    /// `REPLICAOF NO ONE`: what had not arrived is gone, and a new history begins.
    pub fn promote(&mut self, history: u64) {
        if self.upstream.take().is_some() {
            self.data.history = history;
            self.data.backlog.clear();
        }
    }

    /// Writes its data to disk when that is due and the server runs.
    pub fn save(&mut self, tick: &Tick<'_>) {
        let runs = self.condition(tick.faults).reachable();
        if runs && age(self.saved, tick.now) >= tick.pace.scale(SAVE_EVERY) {
            self.saved = tick.now;
            self.saves += 1;
        }
    }

    /// Follows `source` for a moment; `None` if there is no such server.
    pub fn replicate(&mut self, source: Option<&Node>, tick: &Tick<'_>) {
        let condition = self.condition(tick.faults);
        let Some(up) = &mut self.upstream else { return };
        let linked = |source: &&Node| condition.linked() && source.condition(tick.faults).linked();
        let Some(source) = source.filter(linked) else {
            let refused = condition == Condition::Refused;
            let silent = up.last_io.is_none_or(|heard| age(heard, tick.now) >= tick.pace.scale(REPL_TIMEOUT));
            if refused || silent {
                up.down_since.get_or_insert(tick.now);
            }
            up.syncing_since = None;
            return;
        };
        if !(condition.flows() && source.condition(tick.faults).flows()) {
            // The link lives, and nothing that was written comes over it.
            up.last_io = Some(tick.now);
            return;
        }
        if !up.synced && !self.data.continues(&source.data) {
            let since = *up.syncing_since.get_or_insert(tick.now);
            if age(since, tick.now) < tick.pace.scale(FULL_SYNC) {
                return;
            }
            self.data = source.data.clone();
        }
        up.synced = self.data.continues(&source.data);
        up.syncing_since = None;
        up.down_since = None;
        up.last_io = Some(tick.now);
        let delay = tick.pace.scale(if self.region == source.region { NEAR } else { FAR });
        self.data.follow(&source.data, tick.now.saturating_sub(delay).unwrap_or(tick.now));
    }

    /// Whether writes wait for the end of a pause.
    pub fn is_paused(&self, now: Timestamp) -> bool {
        self.is_master() && self.paused.is_some_and(|until| until > now)
    }

    pub fn link_up(&self) -> bool {
        self.upstream.as_ref().is_some_and(|up| up.synced && up.down_since.is_none())
    }
}
