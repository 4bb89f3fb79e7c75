//! One Sentinel: what it sees, what it believes, and what it does about it. Times are those of Redis 7.0 with the lab's
//! down-after: a failover promotes 0.2 s after it began and the address moves 0.9 s later.

use std::time::Duration;

use jiff::Timestamp;

use super::node::Node;
use super::{Deployment, Located, SENTINEL, age};
use crate::lab::faults::{Condition, Faults};
use crate::lab::world::Tick;

pub const DOWN_AFTER: Duration = Duration::from_secs(5);
pub const FAILOVER_TIMEOUT: Duration = Duration::from_secs(60);
pub const QUORUM: usize = 2;

/// From objectively down to the start of an automatic failover: votes are gathered.
const ELECTION: Duration = Duration::from_millis(200);
const PROMOTES_AFTER: Duration = Duration::from_millis(200);
const SWITCHES_AFTER: Duration = Duration::from_millis(1100);
const RECONFIGURES_AFTER: Duration = Duration::from_secs(2);
/// How long another Sentinel takes to hear of a new address.
const HELLO: Duration = Duration::from_millis(800);
/// A server that plays another role than this Sentinel believes is left alone for so long (`SENTINEL_PUBLISH_PERIOD * 4`), and
/// is found by the next INFO.
const CONVERTS_AFTER: Duration = Duration::from_secs(9);

/// A failover that this Sentinel leads.
#[derive(Clone, Debug)]
pub struct Failover {
    pub begun: Timestamp,
    pub candidate: usize,
    promoted: bool,
    switched: bool,
}

impl Failover {
    /// The word that `SENTINEL MASTER` shows.
    pub fn state(&self) -> &'static str {
        match (self.promoted, self.switched) {
            (false, _) => "send_slaveof_noone",
            (true, false) => "wait_promotion",
            (true, true) => "reconf_slaves",
        }
    }
}

/// One Sentinel. Indices are those of [`Deployment`]'s nodes and Sentinels.
#[derive(Clone, Debug)]
pub struct Sentinel {
    pub name: &'static str,
    pub region: &'static str,
    zone: &'static str,
    pub port: u16,
    pub run_id: String,
    pub started: Timestamp,
    /// Whom it believes to be the master, since which epoch and moment.
    pub master: usize,
    pub epoch: u64,
    pub believed_since: Timestamp,
    /// When it last reached each server and each Sentinel.
    pub nodes_seen: Vec<Timestamp>,
    pub sentinels_seen: Vec<Timestamp>,
    pub failover: Option<Failover>,
    last_attempt: Option<Timestamp>,
    odown_since: Option<Timestamp>,
    /// Since when a server plays another role than this Sentinel believes.
    astray_since: Vec<Option<Timestamp>>,
}

impl Sentinel {
    pub fn new((name, region, zone): Located, run_id: String, now: Timestamp, nodes: usize) -> Self {
        Self {
            name,
            region,
            zone,
            port: 0,
            run_id,
            started: now,
            master: 0,
            epoch: 0,
            believed_since: now,
            nodes_seen: vec![now; nodes],
            sentinels_seen: vec![now; super::SENTINELS.len()],
            failover: None,
            last_attempt: None,
            odown_since: None,
            astray_since: vec![None; nodes],
        }
    }

    /// How it behaves: alone, with its zone, or with its region.
    pub fn condition(&self, faults: &Faults) -> Condition {
        faults.of_member(SENTINEL, self.region, self.name, self.zone)
    }

    fn believe(&mut self, master: usize, epoch: u64, now: Timestamp) {
        self.master = master;
        self.epoch = epoch;
        self.believed_since = now;
        self.odown_since = None;
        self.astray_since.fill(None);
    }
}

/// `CKQUORUM`'s answer: how many are usable, and whether that is enough for the quorum and for a majority.
pub fn quorum_and_majority(usable: usize) -> (bool, bool) {
    (usable >= QUORUM, usable > super::SENTINELS.len() / 2)
}

impl Deployment {
    /// Whether a Sentinel finds a server subjectively down.
    pub(super) fn node_down(&self, sentinel: &Sentinel, node: usize, tick: &Tick<'_>) -> bool {
        let gone = !self.nodes[node].condition(tick.faults).linked();
        gone && age(sentinel.nodes_seen[node], tick.now) > tick.pace.scale(DOWN_AFTER)
    }

    pub(super) fn sentinel_down(&self, sentinel: &Sentinel, other: usize, tick: &Tick<'_>) -> bool {
        let gone = !self.sentinels[other].condition(tick.faults).linked();
        gone && age(sentinel.sentinels_seen[other], tick.now) > tick.pace.scale(DOWN_AFTER)
    }

    /// How many Sentinels one can count on, itself included.
    pub(super) fn usable(&self, sentinel: &Sentinel, tick: &Tick<'_>) -> usize {
        (0..self.sentinels.len()).filter(|other| !self.sentinel_down(sentinel, *other, tick)).count()
    }

    pub(super) fn tick_sentinel(&mut self, index: usize, tick: &Tick<'_>) {
        if !self.sentinels[index].condition(tick.faults).linked() {
            return;
        }
        self.look_around(index, tick);
        self.hear(index, tick);
        if self.sentinels[index].failover.is_some() {
            self.advance_failover(index, tick);
        } else {
            self.consider_failover(index, tick);
        }
        self.convert_astray(index, tick);
    }

    fn look_around(&mut self, index: usize, tick: &Tick<'_>) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].condition(tick.faults).linked() {
                self.sentinels[index].nodes_seen[node] = tick.now;
            }
        }
        for other in 0..self.sentinels.len() {
            if self.sentinels[other].condition(tick.faults).linked() {
                self.sentinels[index].sentinels_seen[other] = tick.now;
            }
        }
    }

    /// Takes over the belief of a Sentinel that knows a newer epoch.
    fn hear(&mut self, index: usize, tick: &Tick<'_>) {
        let heard = |other: &&Sentinel| {
            other.condition(tick.faults).linked() && age(other.believed_since, tick.now) >= tick.pace.scale(HELLO)
        };
        let newest = self.sentinels.iter().filter(heard).max_by_key(|other| other.epoch);
        let Some((master, epoch)) = newest.map(|other| (other.master, other.epoch)) else { return };
        let own = &mut self.sentinels[index];
        if epoch > own.epoch {
            own.believe(master, epoch, tick.now);
            own.failover = None;
        }
    }

    /// An automatic failover: enough Sentinels find the master down, and enough are there to authorize one of them.
    fn consider_failover(&mut self, index: usize, tick: &Tick<'_>) {
        let master = self.sentinels[index].master;
        let agree = |other: &&Sentinel| {
            other.condition(tick.faults).linked() && other.master == master && self.node_down(other, master, tick)
        };
        let own = &self.sentinels[index];
        if !self.node_down(own, master, tick) || self.sentinels.iter().filter(agree).count() < QUORUM {
            self.sentinels[index].odown_since = None;
            return;
        }
        let since = *self.sentinels[index].odown_since.get_or_insert(tick.now);
        let own = &self.sentinels[index];
        let leads = !(0..index).any(|earlier| self.sentinels[earlier].condition(tick.faults).linked());
        let rested = own.last_attempt.is_none_or(|at| age(at, tick.now) > tick.pace.scale(FAILOVER_TIMEOUT * 2));
        let elected = age(since, tick.now) >= tick.pace.scale(ELECTION);
        if leads && rested && elected && quorum_and_majority(self.usable(own, tick)) == (true, true) {
            self.begin_failover(index, tick);
        }
    }

    /// Begins a failover; `false` when no replica is fit to be promoted.
    pub(super) fn begin_failover(&mut self, index: usize, tick: &Tick<'_>) -> bool {
        let candidate = self.best_replica(index, tick);
        let own = &mut self.sentinels[index];
        own.last_attempt = Some(tick.now);
        own.failover =
            candidate.map(|candidate| Failover { begun: tick.now, candidate, promoted: false, switched: false });
        own.failover.is_some()
    }

    /// What `sentinelSelectSlave` picks: not down, not of priority 0, its link not broken for longer than ten times down-after
    /// (counted from the master's own end); the lowest priority first, then the largest offset.
    fn best_replica(&self, index: usize, tick: &Tick<'_>) -> Option<usize> {
        let own = &self.sentinels[index];
        let master_down = match self.node_down(own, own.master, tick) {
            true => age(own.nodes_seen[own.master], tick.now),
            false => Duration::ZERO,
        };
        let patience = tick.pace.scale(DOWN_AFTER * 10) + master_down;
        let fit = |node: &Node| {
            let up = node.upstream.as_ref()?;
            let down_for = up.down_since.map_or(Duration::ZERO, |since| age(since, tick.now));
            (node.priority > 0 && down_for <= patience).then_some(())
        };
        let reached = |at: &usize| !self.node_down(own, *at, tick);
        let fit = |at: &usize| *at != own.master && reached(at) && fit(&self.nodes[*at]).is_some();
        let rank = |at: &usize| (self.nodes[*at].priority, u64::MAX - self.nodes[*at].data.offset, *at);
        (0..self.nodes.len()).filter(fit).min_by_key(rank)
    }

    fn advance_failover(&mut self, index: usize, tick: &Tick<'_>) {
        let Some(mut failover) = self.sentinels[index].failover.clone() else { return };
        let since = age(failover.begun, tick.now);
        let reached = self.nodes[failover.candidate].condition(tick.faults).linked();
        if !failover.switched && !reached {
            self.sentinels[index].failover = None;
            return;
        }
        if !failover.promoted && since >= tick.pace.scale(PROMOTES_AFTER) {
            let history = self.next_history();
            self.nodes[failover.candidate].promote(history);
            failover.promoted = true;
        }
        if !failover.switched && since >= tick.pace.scale(SWITCHES_AFTER) {
            let epoch = self.sentinels.iter().map(|other| other.epoch).max().unwrap_or_default() + 1;
            failover.switched = true;
            self.sentinels[index].believe(failover.candidate, epoch, tick.now);
        }
        let over = since >= tick.pace.scale(RECONFIGURES_AFTER);
        if over {
            self.reconfigure_replicas(failover.candidate, tick);
        }
        self.sentinels[index].failover = (!over).then_some(failover);
    }

    /// Points the replicas at the new master. The old master is no replica yet: it is found astray later.
    fn reconfigure_replicas(&mut self, master: usize, tick: &Tick<'_>) {
        let (host, port) = self.address(master);
        for (at, node) in self.nodes.iter_mut().enumerate() {
            if at != master && !node.is_master() && node.condition(tick.faults).linked() {
                node.follow(&host, port, tick.now);
            }
        }
    }

    /// `+convert-to-slave`, `+fix-slave-config`: a server that plays another role than this Sentinel believes, while the master
    /// it believes in looks sane, is put in its place. This reverts a bare `REPLICAOF NO ONE`, and demotes a returning old
    /// master. It takes no majority.
    fn convert_astray(&mut self, index: usize, tick: &Tick<'_>) {
        let own = &self.sentinels[index];
        let master = own.master;
        let reached = |at: usize| self.nodes[at].condition(tick.faults).linked();
        let sane = reached(master) && self.nodes[master].is_master() && own.failover.is_none();
        let (host, port) = self.address(master);
        for at in (0..self.nodes.len()).filter(|at| *at != master) {
            let follows = self.nodes[at].upstream.as_ref().is_some_and(|up| up.port == port);
            let own = &mut self.sentinels[index];
            if follows || !self.nodes[at].condition(tick.faults).linked() {
                own.astray_since[at] = None;
                continue;
            }
            let since = *own.astray_since[at].get_or_insert(tick.now);
            if sane && age(since, tick.now) >= tick.pace.scale(CONVERTS_AFTER) {
                self.nodes[at].follow(&host, port, tick.now);
            }
        }
    }
}
