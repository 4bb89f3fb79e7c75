//! Redis and its Sentinels over RESP, and the truth about the deployment.
//!
//! Places: `redis@REGION` for the servers of a region, `redis-sentinel@REGION` for its Sentinels.

mod commands;
mod node;
mod resp;
mod sentinel;
mod sentinel_commands;
mod serve;

use std::time::Duration;

use jiff::Timestamp;

use super::faults::{Condition, Faults};
use super::rows::Held;
use super::world::{Extent, PRIMARY, STANDBY, THIRD, Tick};
use node::{Dataset, Entry, Node};
use sentinel::Sentinel;

pub use serve::start;

/// The places of servers and of Sentinels.
pub const NODE: &str = "redis";
pub const SENTINEL: &str = "redis-sentinel";
/// What the Sentinels call the master.
pub const MASTER_NAME: &str = "gennet-cache";
/// The key that holds the moment of the application's newest write.
pub const HEARTBEAT: &str = "heartbeat";

/// Name, region, availability zone.
type Located = (&'static str, &'static str, &'static str);

const NODES: [Located; 3] =
    [("redis-1", PRIMARY, "us-east-1a"), ("redis-2", PRIMARY, "us-east-1b"), ("redis-3", STANDBY, "us-west-2a")];
const SENTINELS: [Located; 3] = [
    ("sentinel-1", PRIMARY, "us-east-1c"),
    ("sentinel-2", STANDBY, "us-west-2b"),
    ("sentinel-3", STANDBY, "us-west-2c"),
];
/// The same in a lab of three regions: one of each in every region.
const SPREAD_NODES: [Located; 3] =
    [("redis-1", PRIMARY, "us-east-1a"), ("redis-2", STANDBY, "us-west-2a"), ("redis-3", THIRD, "eu-west-1a")];
const SPREAD_SENTINELS: [Located; 3] =
    [("sentinel-1", PRIMARY, "us-east-1c"), ("sentinel-2", STANDBY, "us-west-2b"), ("sentinel-3", THIRD, "eu-west-1b")];

fn nodes(extent: Extent) -> [Located; 3] {
    if extent == Extent::Two { NODES } else { SPREAD_NODES }
}

fn sentinels(extent: Extent) -> [Located; 3] {
    if extent == Extent::Two { SENTINELS } else { SPREAD_SENTINELS }
}
const HOST: &str = "127.0.0.1";

/// Every server and Sentinel, with its region.
pub fn members(extent: Extent) -> impl Iterator<Item = (&'static str, &'static str)> {
    nodes(extent).into_iter().chain(sentinels(extent)).map(|(name, region, _)| (name, region))
}

/// How long ago `then` was; zero if it is yet to come.
fn age(then: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(then).try_into().unwrap_or_default()
}

/// A run id or replication id: 40 hexadecimal digits, the same in every lab.
fn hex_id(seed: u64) -> String {
    let word = |n: u64| (seed.wrapping_add(n).wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{:016x}{:016x}{:08x}", word(0), word(1), word(2) as u32)
}

/// Servers and Sentinels.
pub struct Deployment {
    nodes: Vec<Node>,
    sentinels: Vec<Sentinel>,
    histories: u64,
}

impl Deployment {
    pub fn gennet(now: Timestamp, extent: Extent) -> Self {
        let mut first = Dataset::new(1);
        for (key, value) in [("session:1042", "alice"), ("session:1043", "bob"), (HEARTBEAT, &now.to_string())] {
            first.put(key.as_bytes(), Some(Entry { value: value.into(), expires: None }), now);
        }
        let node = |(at, (name, region, zone)): (usize, &Located)| Node {
            name,
            region,
            zone,
            port: 6379 + at as u16,
            run_id: hex_id(at as u64 + 100),
            started: now,
            saved: now,
            saves: 1,
            min_replicas: 0,
            paused: None,
            upstream: None,
            // The standby region is preferred, so that a regional failover goes there without further ado.
            priority: if *region == STANDBY { 50 } else { 100 },
            data: first.clone(),
        };
        let sentinel =
            |(at, place): (usize, &Located)| Sentinel::new(*place, hex_id(at as u64 + 200), now, NODES.len());
        let mut nodes: Vec<Node> = nodes(extent).iter().enumerate().map(node).collect();
        let master = nodes[0].port;
        nodes[1..].iter_mut().for_each(|replica| replica.follow(HOST, master, now));
        Self { nodes, sentinels: sentinels(extent).iter().enumerate().map(sentinel).collect(), histories: 1 }
    }

    pub fn tick(&mut self, tick: &Tick<'_>) {
        for at in 0..self.nodes.len() {
            let port = self.nodes[at].upstream.as_ref().map(|up| up.port);
            match port.and_then(|port| self.by_port(port)) {
                Some(source) if source != at => {
                    if let Ok([node, source]) = self.nodes.get_disjoint_mut([at, source]) {
                        node.replicate(Some(source), tick);
                    }
                }
                _ => self.nodes[at].replicate(None, tick),
            }
        }
        self.nodes.iter_mut().for_each(|node| node.save(tick));
        for index in 0..self.sentinels.len() {
            self.tick_sentinel(index, tick);
        }
    }

    /// A write by the application in `region`, at `at`: lands on the writer that this region uses.
    ///
    /// # Errors
    /// Why it was not taken, in a few words.
    pub fn write(&mut self, region: &str, at: Timestamp, faults: &Faults) -> Result<(), String> {
        let found = self.taker_for(region, faults)?;
        let entry = Entry { value: at.to_string().into_bytes(), expires: None };
        self.nodes[found].data.put(HEARTBEAT.as_bytes(), Some(entry), at);
        Ok(())
    }

    /// The newest write that the application in `region` can read from the copy it uses; `None` when that cannot be read.
    pub fn newest(&self, region: &str, faults: &Faults) -> Option<Timestamp> {
        let copy = self.read_from(region, faults)?;
        let entry = self.nodes[copy].data.get(HEARTBEAT.as_bytes(), Timestamp::now())?;
        std::str::from_utf8(&entry.value).ok()?.parse().ok()
    }

    /// What the copy that the application in `region` uses holds, but for the heartbeat, which changes all the time; `None` when that
    /// cannot be read.
    pub fn held(&self, region: &str, faults: &Faults) -> Option<Held> {
        let data = &self.nodes[self.read_from(region, faults)?].data;
        let kept = data.lasting().filter(|(key, _)| *key != HEARTBEAT.as_bytes());
        Some(kept.fold(Held::NOTHING, |held, (key, value)| held.and(&[key, b"=", value, b"\n"].concat())))
    }

    /// Keeps a value for a while, as the application in `region` does.
    ///
    /// # Errors
    /// Why it was not taken, in a few words.
    pub fn set(
        &mut self,
        region: &str,
        key: &str,
        value: &str,
        expires: Timestamp,
        faults: &Faults,
    ) -> Result<(), String> {
        let found = self.taker_for(region, faults)?;
        let entry = Entry { value: value.into(), expires: Some(expires) };
        self.nodes[found].data.put(key.as_bytes(), Some(entry), Timestamp::now());
        Ok(())
    }

    /// The value of a key, as the application in `region` reads it.
    pub fn get(&self, region: &str, key: &str, faults: &Faults) -> Option<String> {
        let copy = self.read_from(region, faults)?;
        let entry = self.nodes[copy].data.get(key.as_bytes(), Timestamp::now())?;
        String::from_utf8(entry.value.clone()).ok()
    }

    /// The writer, else a copy nearby.
    fn read_from(&self, region: &str, faults: &Faults) -> Option<usize> {
        let near = || self.nodes.iter().position(|node| node.region == region && node.condition(faults).reachable());
        self.writer_for(region, faults).ok().or_else(near)
    }

    /// The writer as the application finds it: the master beside it that it never lost, when that is cut off from its peers only;
    /// what the Sentinels say; else any server that says it is a master (an application that was reconfigured by hand after a manual
    /// promotion).
    fn writer_for(&self, region: &str, faults: &Faults) -> Result<usize, String> {
        if !faults.reachable(NODE, region) {
            return Err(format!("Redis cannot be reached from {region}"));
        }
        let kept =
            |node: &Node| node.region == region && node.condition(faults) == Condition::CutOff && node.is_master();
        if let Some(at) = self.nodes.iter().position(kept) {
            return Ok(at);
        }
        let lives = |sentinel: &&Sentinel| sentinel.condition(faults).linked();
        let believed = self.sentinels.iter().filter(lives).max_by_key(|sentinel| sentinel.epoch);
        let believed = believed.or_else(|| self.sentinels.iter().max_by_key(|sentinel| sentinel.epoch));
        let serves = |at: &usize| self.nodes[*at].is_master() && self.nodes[*at].condition(faults).reachable();
        let said = believed.map(|sentinel| sentinel.master);
        if let Some(at) = said.filter(|at| self.nodes[*at].condition(faults).reachable()) {
            return if serves(&at) { Ok(at) } else { Err(format!("READONLY {} is a replica", self.nodes[at].name)) };
        }
        (0..self.nodes.len()).find(serves).ok_or_else(|| "the Redis master cannot be reached".into())
    }

    /// The writer, if it takes writes.
    fn taker_for(&self, region: &str, faults: &Faults) -> Result<usize, String> {
        let at = self.writer_for(region, faults)?;
        match self.nodes[at].is_paused(Timestamp::now()) {
            true => Err("the write waits: writes are held back (CLIENT PAUSE)".into()),
            false if self.lacks_replicas(at) => Err("NOREPLICAS Not enough good replicas to write.".into()),
            false => Ok(at),
        }
    }

    /// Whether fewer replicas are linked to a server than a write there needs.
    fn lacks_replicas(&self, at: usize) -> bool {
        let follows =
            |node: &&Node| node.link_up() && node.upstream.as_ref().is_some_and(|up| up.port == self.nodes[at].port);
        (self.nodes.iter().filter(follows).count() as u64) < self.nodes[at].min_replicas
    }

    fn by_port(&self, port: u16) -> Option<usize> {
        self.nodes.iter().position(|node| node.port == port)
    }

    /// A server's port, once it is known; replicas that followed it keep following it.
    fn listens_on(&mut self, node: usize, port: u16) {
        let before = std::mem::replace(&mut self.nodes[node].port, port);
        for up in self.nodes.iter_mut().filter_map(|node| node.upstream.as_mut()).filter(|up| up.port == before) {
            up.port = port;
        }
    }

    fn address(&self, node: usize) -> (String, u16) {
        (HOST.into(), self.nodes[node].port)
    }

    fn next_history(&mut self) -> u64 {
        self.histories += 1;
        self.histories
    }
}
