//! Amazon ElastiCache with a Global Datastore: a replication group in each region, one of which takes writes. Who that is, Amazon's API says,
//! and only that changes it; whether it takes writes, and how new a copy is, the servers say themselves.
//! <https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Redis-Global-Datastore.html>
//!
//! | installation                              | what Mayday does                                                                    |
//! |-------------------------------------------|-------------------------------------------------------------------------------------|
//! | a Global Datastore of two or three regions | all: probes, survey, `elasticache.failover` (`FailoverGlobalReplicationGroup`, asked of the region that will serve) |
//! | cluster mode                              | the same by the API; a key belongs to one shard, so no write is tried and no heartbeat read: what a failover loses is unknown, and the gate asks |
//! | users, a password (AUTH), TLS             | `username`, `password`, `tls`, as with `redis`                                      |
//! | no `heartbeat_key`                        | how new the copy is, is unknown: Amazon's replication is asynchronous, and a failover waits for nothing |
//! | servers that this host does not reach     | the API is believed about roles; whether writes are taken is unknown                |
//! | the primary's region is dark              | the other regions' API is asked; one that is silent never counts as agreement. Where its servers are is known by `endpoints`, or from before |
//! | regions that name different primaries     | told; nothing is failed over                                                        |
//! | a datastore that is `modifying` or `primary-only` | refused by a guard: Amazon takes no failover then                            |
//! | a replication group without a Global Datastore | Amazon fails over within the region by itself; watch it with `kind = "redis"`; there is nothing in another region to go to |
//! | MemoryDB                                  | not failed over, in its regions neither: `FailoverShard` is "designed for testing" and may be blocked in large events; a Multi-Region cluster takes writes in every region, so only clients have to be moved. Watch it with `kind = "redis-cluster"` |
//! | `aws-cn`, `aws-us-gov`, profiles, proxies, FIPS | as with `rds`                                                                 |

mod api;
mod failover;
mod look;
mod probes;
mod steps;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use self::api::Endpoint;
use self::failover::Failover;
use self::steps::{Point, Writable};
use super::client::Client;
use super::params::{HEARTBEAT_KEY, PASSWORD, TIMEOUT, TLS, USERNAME};
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::ids::RegionId;
use crate::domain::kinds::{Param, ParamType, ProbeKind, StepKind, StepRole, SystemKind, To, Undo, WayOut};
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::domain::time::At;
use crate::outbound::stream;
use crate::systems::aws::{ACCESS_KEY_ID, Aws, PROFILE, SECRET_ACCESS_KEY};
use crate::systems::looking::Looking;
use crate::systems::permits::{IAM_ENDPOINT_URL, IAM_WAY, Permits, STS_ENDPOINT_URL};

const REGION: Param = Param::required("region", ParamType::Region, "where the primary has to be");
const SERVING: Param =
    Param::optional("region", ParamType::Region, "where the primary has to be; anywhere when it is left out");

/// The row of the table of kinds.
pub static KIND: SystemKind = SystemKind {
    name: "elasticache",
    title: "Amazon ElastiCache with a Global Datastore",
    ambient: false,
    ways: &[
        WayOut::new("endpoints", To::Members("regions"), "the servers of ElastiCache"),
        WayOut::new("api_urls", To::Members("regions"), "the API of ElastiCache"),
        IAM_WAY,
    ],
    params: &[
        Param::required("datastore", ParamType::Text, "the id of the Global Datastore, with its prefix: ldgnf-orders"),
        Param::required("regions", ParamType::Regions, "the region of each replication group, by its id"),
        Param::optional(
            "endpoints",
            ParamType::Map,
            "the host:port of each group's primary endpoint, by its id; what the API says when left out",
        ),
        Param::optional(
            "api_urls",
            ParamType::Map,
            "an endpoint of ElastiCache other than AWS's own, by the group's id",
        ),
        USERNAME,
        PASSWORD,
        TLS,
        stream::CA,
        stream::CLIENT_CERTIFICATE,
        stream::CLIENT_KEY,
        stream::SERVER_NAME,
        stream::CHECK_NAMES,
        HEARTBEAT_KEY,
        TIMEOUT,
        STS_ENDPOINT_URL,
        IAM_ENDPOINT_URL,
        PROFILE,
        ACCESS_KEY_ID,
        SECRET_ACCESS_KEY,
    ],
    probes: &[
        ProbeKind {
            name: "elasticache.datastore",
            title: "The Global Datastore is available, and its regions agree on the primary",
            params: &[],
        },
        ProbeKind { name: "elasticache.primary", title: "The primary takes writes", params: &[] },
        ProbeKind { name: "elasticache.ping", title: "The group of the probe's region answers PING", params: &[] },
    ],
    steps: &[
        StepKind {
            name: "elasticache.failover",
            title: "Make another region's replication group the primary of the Global Datastore",
            role: StepRole::Promotes,
            undo: Undo::PointOfNoReturn,
            instead: "once the datastore is available again, run elasticache.failover towards the old region",
            params: &[REGION],
        },
        StepKind {
            name: "elasticache.recovery-point",
            title: "Read the newest heartbeat on the primary",
            role: StepRole::Measures,
            undo: Undo::Nothing,
            instead: "",
            params: &[SERVING],
        },
        StepKind {
            name: "elasticache.writable",
            title: "Write and read a canary key on the primary",
            role: StepRole::Checks,
            undo: Undo::Nothing,
            instead: "",
            params: &[SERVING],
        },
    ],
    backups: &[],
};

/// Connects to ElastiCache.
pub struct ElastiCacheFactory;

impl Factory for ElastiCacheFactory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }

    fn connect(&self, spec: &SystemSpec, around: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        let (params, id) = (&spec.params, spec.id.as_str());
        let (endpoints, urls) = (params.map("endpoints"), params.map("api_urls"));
        let regions = params.map("regions");
        if let Some(stranger) = endpoints.keys().chain(urls.keys()).find(|group| !regions.contains_key(*group)) {
            return Err(Fault::permanent(id, format!("`{stranger}` is the id of no replication group in `regions`"))
                .next("name every group in `regions`, by its id"));
        }
        if let Some((group, address)) = endpoints.iter().find(|(_, address)| super::client::split(address).is_none()) {
            return Err(Fault::permanent(id, format!("`{address}`, the endpoint of `{group}`, is not host:port"))
                .next("write it like master.orders.abc123.use1.cache.amazonaws.com:6379"));
        }
        let groups: BTreeMap<String, Group> = regions
            .into_iter()
            .map(|(name, region)| {
                let api = Aws::new(spec, &region, urls.get(&name).map(String::as_str));
                let group =
                    Group { region: RegionId::from(region.as_str()), api, endpoint: endpoints.get(&name).cloned() };
                (name, group)
            })
            .collect();
        if groups.len() < 2 {
            return Err(Fault::permanent(id, "a Global Datastore has a replication group in two regions at least")
                .next("name them in `regions`; a group without a Global Datastore is watched with kind = \"redis\""));
        }
        // Asked of a region that survives.
        let primary = around.estate.primary();
        let home = groups.values().map(|group| &group.region).find(|region| **region != primary).unwrap_or(&primary);
        let permits = Permits::new(spec, home.as_str());
        Ok(Arc::new(Connected(Arc::new(ElastiCache {
            id: id.to_owned(),
            datastore: params.text("datastore")?.to_owned(),
            groups,
            heartbeat_key: params.opt_text("heartbeat_key").map(str::to_owned),
            client: Client::new(spec)?,
            permits,
            endpoints: Mutex::default(),
            promoted: Mutex::default(),
        }))))
    }
}

/// One replication group, and the API of its region.
struct Group {
    region: RegionId,
    api: Aws,
    /// Where its primary node is, as the config says.
    endpoint: Option<String>,
}

/// One Global Datastore.
struct ElastiCache {
    id: String,
    datastore: String,
    /// By the id of each group.
    groups: BTreeMap<String, Group>,
    heartbeat_key: Option<String>,
    client: Client,
    permits: Permits,
    /// Where each group takes connections, as its API said last.
    endpoints: Mutex<BTreeMap<String, Endpoint>>,
    /// When this engine had which group promoted.
    promoted: Mutex<BTreeMap<String, At>>,
}

impl ElastiCache {
    /// `orders-usw2 in us-west-2`
    fn placed(&self, group: &str) -> String {
        let region = self.groups.get(group).map_or("a region that is not in `regions`", |it| it.region.as_str());
        format!("{group} in {region}")
    }

    fn region(&self, group: &str) -> Option<&RegionId> {
        self.groups.get(group).map(|it| &it.region)
    }

    /// The id of the group of a region.
    fn of_region(&self, region: &RegionId) -> Option<&str> {
        self.groups.iter().find(|(_, group)| group.region == *region).map(|(name, _)| name.as_str())
    }

    fn promoted_now(&self, group: &str) {
        self.promoted.lock().unwrap_or_else(PoisonError::into_inner).insert(group.to_owned(), At::now());
    }

    fn promoted_when(&self, group: &str) -> Option<At> {
        self.promoted.lock().unwrap_or_else(PoisonError::into_inner).get(group).copied()
    }
}

/// The shape the engine drives.
struct Connected(Arc<ElastiCache>);

#[async_trait]
impl System for Connected {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        self.0.probe(spec).await
    }
    async fn survey(&self) -> Result<Survey, Fault> {
        self.0.survey().await
    }
    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        let cache = self.0.clone();
        let region = spec.region.clone().or_else(|| spec.params.opt_text("region").map(RegionId::from));
        match spec.kind.as_str() {
            "elasticache.failover" => {
                let region = region.map_or_else(|| spec.params.text("region").map(RegionId::from), Ok)?;
                Ok(Arc::new(Failover { cache, region }))
            }
            "elasticache.recovery-point" => Ok(Arc::new(Looking(Point { cache, region }))),
            "elasticache.writable" => Ok(Arc::new(Looking(Writable { cache, region }))),
            other => Err(Fault::permanent(&cache.id, format!("elasticache has no step `{other}`"))),
        }
    }
}
