//! Redis Cluster: many masters, each with a share of the 16384 slots, and their replicas. Every node of the config is asked, and each is
//! believed only about itself. <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>
//!
//! | installation                           | what Mayday does                                                                       |
//! |----------------------------------------|----------------------------------------------------------------------------------------|
//! | every shard has a replica in each region | probes, survey, `redis-cluster.failover`: `CLUSTER FAILOVER` per shard, without loss while its master lives |
//! | masters of a region are gone, a majority of masters lives | the cluster fails over by itself; the step sees it, and forces what is left (`FORCE`) |
//! | a majority of masters is gone          | the cluster is down; `TAKEOVER` per shard, and the quorum guard asks a person first      |
//! | nodes in the config by name            | known by their node id, which each tells of itself                                     |
//! | users, TLS                             | as with `redis`                                                                        |
//! | resharding under way                   | told by the probe; it is not hindered, and the step refuses: "a slot is being moved"   |
//! | a heartbeat                            | none: a key belongs to one shard. Recovery points are derived from the replicas' links |
//! | ElastiCache with cluster mode, MemoryDB | read; the step is refused: "which is Amazon's"                                         |

mod failover;
mod look;
mod probes;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::params::{PASSWORD, REGIONS, TIMEOUT, TLS, USERNAME};
use super::{Redis, managed};
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::ids::RegionId;
use crate::domain::kinds::{Param, ParamType, ProbeKind, StepKind, StepRole, SystemKind, To, Undo, WayOut};
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::outbound::stream;

/// The row of the table of kinds.
pub static KIND: SystemKind = SystemKind {
    name: "redis-cluster",
    title: "Redis Cluster",
    ambient: false,
    ways: &[WayOut::new("nodes", To::Members("regions"), "Redis Cluster")],
    params: &[
        Param::required("nodes", ParamType::Map, "the host:port of every node, by a name"),
        REGIONS,
        USERNAME,
        PASSWORD,
        TLS,
        stream::CA,
        stream::CLIENT_CERTIFICATE,
        stream::CLIENT_KEY,
        stream::SERVER_NAME,
        stream::CHECK_NAMES,
        TIMEOUT,
    ],
    probes: &[
        ProbeKind { name: "redis-cluster.slots", title: "Every slot has a master that takes writes", params: &[] },
        ProbeKind { name: "redis-cluster.ping", title: "Nodes answer", params: &[] },
    ],
    steps: &[StepKind {
        name: "redis-cluster.failover",
        title: "Make replicas of a region the masters of their shards",
        role: StepRole::Promotes,
        undo: Undo::PointOfNoReturn,
        instead: "once the old region's nodes are replicas in sync, run redis-cluster.failover towards it",
        params: &[Param::required("region", ParamType::Region, "where every shard's master has to be")],
    }],
    backups: &[],
};

/// Connects to a cluster.
pub struct ClusterFactory;

impl Factory for ClusterFactory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }

    fn connect(&self, spec: &SystemSpec, _: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        let redis = Redis::new(spec)?;
        Ok(Arc::new(Connected(Arc::new(Cluster { redis, ids: Mutex::default() }))))
    }
}

/// One cluster: the nodes of the config, without Sentinels.
struct Cluster {
    redis: Redis,
    /// Addresses of the config by node id, as each told of itself.
    ids: Mutex<BTreeMap<String, String>>,
}

/// The shape the engine drives.
struct Connected(Arc<Cluster>);

#[async_trait]
impl System for Connected {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        self.0.probe(spec).await
    }
    async fn survey(&self) -> Result<Survey, Fault> {
        self.0.survey().await
    }
    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        managed::refuse_step(&self.0.redis.id, &spec.kind, self.0.redis.servers_named().into_iter())?;
        match spec.kind.as_str() {
            "redis-cluster.failover" => {
                let named = spec.region.clone().map_or_else(|| spec.params.text("region").map(RegionId::from), Ok);
                Ok(Arc::new(failover::Failover { cluster: self.0.clone(), region: named? }))
            }
            other => Err(Fault::permanent(self.0.redis.id.as_str(), format!("redis-cluster has no step `{other}`"))),
        }
    }
}
