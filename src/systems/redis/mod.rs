//! Redis and Valkey, with Sentinels or with replication alone: every Sentinel is asked, and only what a majority of them says is believed;
//! without Sentinels every server is asked, and only one that is alone in calling itself the master is believed.
//!
//! A connection lives for one look: a Sentinel or a server that went away and came back is never spoken to over a stale one, and
//! no client library reconnects and repeats a command behind our back.
//!
//! What an installation can look like (after <https://redis.io/docs/latest/operate/oss_and_stack/management/>):
//!
//! | installation                                  | what Mayday does                                                                        |
//! |-----------------------------------------------|-----------------------------------------------------------------------------------------|
//! | a master, replicas, three or more Sentinels   | all: probes, survey, `redis.steer`, `redis.failover`, `redis.fence`, `redis.promote`    |
//! | a master and replicas, no Sentinels           | `sentinels` is left out: `redis.fence` and `redis.promote` (which points the other replicas there); `redis.failover` and `redis.steer` are refused: "there are no Sentinels" |
//! | a single server                               | probes, survey, snapshots; no step has anywhere to go                                   |
//! | Valkey 7.2 and later, Redis 5 to 8            | the same                                                                                |
//! | names in the config, addresses at Sentinels   | one server is one server by its `run_id`; else by what its name resolves to; one that is in no `nodes` keeps steps from being ready: "belongs to no region" |
//! | ACL users, `default off`; their own on Sentinels | `username`, `password`, `sentinel_username`, `sentinel_password`; a lacking permission is named by `mayday ready`, what it forbids to read is unknown |
//! | TLS, with a private authority, a client certificate, other names | `tls`, `ca`, `client_certificate`, `client_key`, `server_name`, `check_names`; `sentinel_tls` where Sentinels differ |
//! | `CONFIG` renamed or denied                    | what it would tell is unknown (snapshots, steering, fences); nothing is guessed         |
//! | `CLIENT PAUSE … WRITE` denied, or before 6.2  | a planned failover goes on the Sentinels' own handover alone, and the gate says what may be lost |
//! | Redis Cluster                                 | `kind = "redis-cluster"`, see [`cluster`]                                               |
//! | ElastiCache with a Global Datastore           | `kind = "elasticache"`, see [`elasticache`]                                             |
//! | other ElastiCache, MemoryDB                   | read as servers without Sentinels; its steps are refused: "is Amazon's: it takes no REPLICAOF and no CONFIG" |
//! | Azure Cache, Memorystore, Redis Enterprise    | read as servers without Sentinels; what the service denies its user is told by `mayday ready`, and who fails over is the service: a step of kind `script.run`. Redis Enterprise's discovery service is no Sentinel: `sentinels` is left out |
//! | KeyDB's active replicas, Dragonfly            | a role that is none of Redis is unknown, and told: "which is none of Redis or Valkey"; they are watched by `tcp.connect` |
//! | Unix sockets, several databases               | a socket is refused by `mayday check` ("is not host:port"); database 0 holds the heartbeat |

mod access;
mod backups;
mod client;
pub mod cluster;
pub mod elasticache;
mod identity;
mod look;
mod managed;
mod node;
mod params;
mod probes;
mod steps;
mod survey;
mod writes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::domain::backup::{BackupLook, BackupSpec};
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::ids::RegionId;
use crate::domain::kinds::SystemKind;
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::domain::time::At;
use client::Client;
use identity::Identities;

pub use cluster::ClusterFactory;
pub use elasticache::ElastiCacheFactory;
pub use params::KIND;

/// Connects to Redis.
pub struct RedisFactory;

impl Factory for RedisFactory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }

    fn connect(&self, spec: &SystemSpec, _: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        Ok(Arc::new(Connected(Arc::new(Redis::new(spec)?))))
    }
}

/// One deployment: a master, its replicas and, unless there are none, their Sentinels.
struct Redis {
    id: String,
    master_name: String,
    sentinels: Vec<String>,
    /// By address or name.
    regions: BTreeMap<String, RegionId>,
    /// Address by name.
    nodes: BTreeMap<String, String>,
    heartbeat_key: Option<String>,
    client: Client,
    identities: Identities,
    /// What this engine promoted by hand, and when.
    promoted: Mutex<BTreeMap<String, At>>,
}

impl Redis {
    fn new(spec: &SystemSpec) -> Result<Self, Fault> {
        let (params, id) = (&spec.params, spec.id.as_str());
        let (sentinels, nodes) = (params.list("sentinels"), params.map("nodes"));
        let regions: BTreeMap<String, RegionId> =
            params.map("regions").into_iter().map(|(key, region)| (key, region.into())).collect();
        let wrong = nodes.iter().find(|(_, address)| client::split(address).is_none());
        if let Some((name, address)) = wrong {
            let what = format!("`{address}`, the address of `{name}` in `nodes`, is not host:port");
            return Err(Fault::permanent(id, what).next("write it like 10.0.0.5:6379 or [2001:db8::5]:6379"));
        }
        let master_name = match params.opt_text("master_name") {
            Some(name) => name.to_owned(),
            None if sentinels.is_empty() => String::new(),
            None => {
                return Err(Fault::permanent(id, "the Sentinels cannot be asked about a master without its name")
                    .next("set `master_name` to what `sentinel monitor` calls it"));
            }
        };
        let redis = Self {
            id: id.to_owned(),
            master_name,
            sentinels,
            regions,
            nodes,
            heartbeat_key: params.opt_text("heartbeat_key").map(str::to_owned),
            client: Client::new(spec)?,
            identities: Identities::default(),
            promoted: Mutex::default(),
        };
        if redis.sentinels.is_empty() && redis.servers_named().is_empty() {
            return Err(Fault::permanent(id, "neither Sentinels nor servers are listed, so nobody can be asked")
                .next("list the Sentinels in `sentinels`, or the servers in `nodes` and `regions`"));
        }
        managed::refuse_sentinels(&redis)?;
        Ok(redis)
    }

    /// The servers that the config names, by their addresses; it names Sentinels beside them.
    fn servers_named(&self) -> BTreeSet<&String> {
        let by_address =
            self.regions.keys().filter(|key| !self.nodes.contains_key(*key) && client::split(key).is_some());
        self.nodes.values().chain(by_address).filter(|address| !self.sentinels.contains(address)).collect()
    }

    fn promoted_now(&self, address: &str) {
        self.promoted.lock().unwrap_or_else(PoisonError::into_inner).insert(address.to_owned(), At::now());
    }

    fn promoted_when(&self, address: &str) -> Option<At> {
        self.promoted.lock().unwrap_or_else(PoisonError::into_inner).get(address).copied()
    }

    fn is_named(&self, address: &str) -> bool {
        self.servers_named().into_iter().any(|own| own == address)
    }

    /// Whether a region is known for whatever is at `address`. What belongs nowhere is neither steered nor counted as another region's.
    fn is_elsewhere(&self, address: &str, region: &RegionId) -> bool {
        self.region(address).is_some_and(|own| own != region)
    }

    /// The name of the server or Sentinel at `address`, or the address.
    fn name<'a>(&'a self, address: &'a str) -> &'a str {
        self.nodes.iter().find(|(_, at)| *at == address).map_or(address, |(name, _)| name)
    }

    /// Both the name and the address, for texts that an engineer acts on.
    fn full_name(&self, address: &str) -> String {
        match self.name(address) {
            name if name == address => address.to_owned(),
            name => format!("{name} ({address})"),
        }
    }

    fn address<'a>(&'a self, node: &'a str) -> &'a str {
        self.nodes.get(node).map_or(node, String::as_str)
    }

    fn region(&self, address: &str) -> Option<&RegionId> {
        self.regions.get(address).or_else(|| self.regions.get(self.name(address)))
    }

    /// `redis-3 (10.1.0.3:6379) in us-west-2`
    fn placed(&self, address: &str) -> String {
        let region = self.region(address).map_or("an unknown region", RegionId::as_str);
        format!("{} in {region}", self.full_name(address))
    }
}

/// The shape the engine drives.
struct Connected(Arc<Redis>);

#[async_trait]
impl System for Connected {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        self.0.probe(spec).await
    }
    fn refuses(&self, spec: &ProbeSpec) -> Option<Fault> {
        let asks_nobody = spec.kind == "redis.sentinels" && self.0.sentinels.is_empty();
        let fault = || Fault::permanent(self.0.id.as_str(), "there are no Sentinels to ask");
        asks_nobody.then(|| fault().next("take the probe out, or list the Sentinels in `sentinels`"))
    }
    async fn survey(&self) -> Result<Survey, Fault> {
        self.0.survey().await
    }
    async fn backup(&self, spec: &BackupSpec) -> Result<BackupLook, Fault> {
        self.0.backup(spec).await
    }

    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        steps::step(&self.0, spec)
    }
}
