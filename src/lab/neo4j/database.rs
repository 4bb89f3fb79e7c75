//! One database: its hosts, its leader, and what has arrived where.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use super::age;
use crate::lab::rows::Held;
use crate::lab::world::Tick;

/// A lost leader is noticed after 20 to 23 s, and an election takes 3 to 6 s.
const DETECTION: Duration = Duration::from_millis(21_500);
const ELECTION: Duration = Duration::from_millis(4_500);
/// How long a transaction takes to be applied elsewhere.
const NEAR: Duration = Duration::from_millis(50);
const FAR: Duration = Duration::from_millis(400);
/// A secondary pulls by itself, and lags more.
const SECONDARY: Duration = Duration::from_secs(3);
const RECREATION: Duration = Duration::from_secs(5);
/// So many transactions are kept for hosts that come back.
const LOG: usize = 20_000;

/// A transaction, and all that a host holds that has applied it.
#[derive(Clone, Copy, Debug)]
struct Logged {
    tx: u64,
    at: Timestamp,
    held: Held,
}

/// A server's part in a database.
#[derive(Clone, Debug)]
pub struct Host {
    pub server: usize,
    pub primary: bool,
    /// The last transaction applied here, and when the newest write was made that is held here.
    pub applied: u64,
    pub newest: Option<Timestamp>,
}

impl Host {
    pub fn primary(server: usize) -> Self {
        Self { server, primary: true, applied: 0, newest: None }
    }
    pub fn secondary(server: usize) -> Self {
        Self { primary: false, ..Self::primary(server) }
    }
}

pub struct Database {
    pub name: &'static str,
    pub id: String,
    pub hosts: Vec<Host>,
    /// The topology that was asked for.
    pub primaries: usize,
    pub secondaries: usize,
    pub leader: Option<usize>,
    pub term: i64,
    pub requested_online: bool,
    /// Until when its stores are being replaced.
    recreating: Option<Timestamp>,
    /// Since when there is no working leader.
    leaderless: Option<Timestamp>,
    pub committed: u64,
    log: VecDeque<Logged>,
}

impl Database {
    pub fn new(name: &'static str, hosts: Vec<Host>, now: Timestamp) -> Self {
        let primaries = hosts.iter().filter(|host| host.primary).count();
        let mut database = Self {
            name,
            id: format!("{:016X}", name.bytes().fold(7u64, |id, byte| id.wrapping_mul(0x100_0001b3) ^ u64::from(byte))),
            primaries,
            secondaries: hosts.len() - primaries,
            leader: hosts.first().map(|host| host.server),
            hosts,
            term: 1,
            requested_online: true,
            recreating: None,
            leaderless: None,
            committed: 41,
            log: VecDeque::new(),
        };
        database.commit(now);
        for host in &mut database.hosts {
            (host.applied, host.newest) = (database.committed, Some(now));
        }
        database
    }

    pub fn host(&self, server: usize) -> Option<&Host> {
        self.hosts.iter().find(|host| host.server == server)
    }

    pub fn online(&self) -> bool {
        self.requested_online && self.recreating.is_none()
    }

    /// Whether enough of its primaries are up for a transaction to be replicated.
    pub fn has_majority(&self, up: &[bool]) -> bool {
        let all = self.hosts.iter().filter(|host| host.primary);
        all.clone().filter(|host| up[host.server]).count() > all.count() / 2
    }

    /// A transaction, applied at the leader at once.
    pub fn commit(&mut self, at: Timestamp) {
        self.committed += 1;
        // None is older than the one before it: the leader gives them their order.
        let written = self.log.back().map_or(at, |last| last.at.max(at));
        let before = self.log.back().map_or(Held { count: self.committed - 1, ..Held::NOTHING }, |last| last.held);
        let held = before.and(&written.as_nanosecond().to_be_bytes());
        self.log.push_back(Logged { tx: self.committed, at: written, held });
        if self.log.len() > LOG {
            self.log.pop_front();
        }
        let (committed, leader) = (self.committed, self.leader);
        if let Some(host) = self.hosts.iter_mut().find(|host| leader == Some(host.server)) {
            (host.applied, host.newest) = (committed, Some(at));
        }
    }

    /// What `server` holds of what was written until then; `None` when that is too long ago to be told, or it is no host.
    pub fn held(&self, server: usize, until: Timestamp) -> Option<Held> {
        let applied = self.host(server)?.applied;
        let known = self.log.iter().take_while(|logged| logged.at <= until && logged.tx <= applied);
        known.last().map(|logged| logged.held)
    }

    pub fn tick(&mut self, up: &[bool], flows: &[bool], regions: &[&str], tick: &Tick<'_>) {
        if self.recreating.is_some_and(|until| until <= tick.now) {
            self.recreating = None;
        }
        if self.online() {
            self.elect(up, tick);
            self.replicate(flows, regions, tick);
        } else {
            self.leader = None;
        }
    }

    fn elect(&mut self, up: &[bool], tick: &Tick<'_>) {
        let majority = self.has_majority(up);
        if self.leader.is_some_and(|leader| up[leader]) && majority {
            self.leaderless = None;
            return;
        }
        let detection = if self.leader.is_some() { DETECTION } else { Duration::ZERO };
        let since = *self.leaderless.get_or_insert(tick.now);
        if age(since, tick.now) < tick.pace.scale(detection) {
            return;
        }
        if self.leader.take().is_some() {
            // It steps down, or is given up; the election takes its time from here.
            self.leaderless = Some(tick.now);
        } else if majority && age(since, tick.now) >= tick.pace.scale(ELECTION) {
            // Whoever leads holds all that was committed: a majority had it, and a majority elects.
            let candidates = self.hosts.iter_mut().filter(|host| host.primary && up[host.server]);
            if let Some(host) = candidates.max_by_key(|host| (host.applied, usize::MAX - host.server)) {
                let newest = self.log.back().map(|last| last.at);
                (host.applied, host.newest) = (self.committed, newest.or(host.newest));
                self.leader = Some(host.server);
                self.term += 1;
                self.leaderless = None;
            }
        }
    }

    /// Hosts apply what the leader committed, after a while. A secondary follows whoever leads, and nobody if nobody does. Where
    /// nothing flows, a majority has the transactions in its log all the same, and applies none.
    fn replicate(&mut self, flows: &[bool], regions: &[&str], tick: &Tick<'_>) {
        let Some(leader) = self.leader.filter(|leader| flows[*leader]) else { return };
        for host in self.hosts.iter_mut().filter(|host| flows[host.server] && host.server != leader) {
            let delay = match (host.primary, regions[host.server] == regions[leader]) {
                (false, _) => SECONDARY,
                (true, true) => NEAR,
                (true, false) => FAR,
            };
            let until = tick.now.saturating_sub(tick.pace.scale(delay)).unwrap_or(tick.now);
            let from = self.log.partition_point(|logged| logged.tx <= host.applied);
            if let Some(logged) = self.log.range(from..).take_while(|logged| logged.at <= until).last() {
                (host.applied, host.newest) = (logged.tx, Some(logged.at));
            }
        }
    }

    /// Its stores are replaced by what `seed` holds; what only others held is gone.
    pub fn recreate(&mut self, seed: usize, hosts: Vec<Host>, tick: &Tick<'_>) {
        let held = self.host(seed).map_or((0, None), |host| (host.applied, host.newest));
        self.hosts = hosts.into_iter().map(|host| Host { applied: held.0, newest: held.1, ..host }).collect();
        self.committed = held.0;
        self.log.retain(|logged| logged.tx <= held.0);
        self.leader = None;
        self.leaderless = None;
        self.recreating = tick.now.saturating_add(tick.pace.scale(RECREATION)).ok();
    }
}
