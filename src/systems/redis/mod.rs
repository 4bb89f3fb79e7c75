//! Redis with Sentinels: every Sentinel is asked, and only what a majority of them says is believed.
//!
//! A connection lives for one look: a Sentinel or a server that went away and came back is never spoken to over a stale one, and
//! no client library reconnects and repeats a command behind our back.

mod access;
mod backups;
mod client;
mod look;
mod node;
mod probes;
mod steps;
mod survey;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::backup::{BackupLook, BackupSpec};
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::ids::RegionId;
use crate::domain::kinds::{Param, ParamType, ProbeKind, StepKind, StepRole, SystemKind, To, Undo, WayOut};
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use client::Client;

const REGION: Param = Param::required("region", ParamType::Region, "where the master has to be");
const SERVING: Param =
    Param::optional("region", ParamType::Region, "where the master has to be; anywhere when it is left out");

/// The row of the table of kinds.
pub static KIND: SystemKind = SystemKind {
    name: "redis",
    title: "Redis with Sentinels",
    ambient: false,
    ways: &[WayOut::new("nodes", To::Members("regions"), "Redis and its Sentinels")],
    params: &[
        Param::required("master_name", ParamType::Text, "what the Sentinels call the master"),
        Param::required("sentinels", ParamType::Addresses, "every Sentinel, as host:port"),
        Param::required(
            "regions",
            ParamType::Regions,
            "the region of each server and Sentinel, by its address or its name in `nodes`",
        ),
        Param::optional(
            "nodes",
            ParamType::Map,
            "names for the addresses of servers and Sentinels, and servers that no Sentinel knows yet",
        ),
        Param::optional("username", ParamType::Text, "the ACL user on the servers"),
        Param::optional("password", ParamType::Secret, "its password"),
        Param::optional("sentinel_password", ParamType::Secret, "the password of the Sentinels"),
        Param::optional("heartbeat_key", ParamType::Text, "a key that the application keeps writing the time to"),
        Param::default("timeout", ParamType::Span, "2s", "how long one server may take to answer"),
    ],
    probes: &[
        ProbeKind { name: "redis.sentinels", title: "Sentinels: quorum and agreement", params: &[] },
        ProbeKind { name: "redis.master", title: "The agreed master says that it is one", params: &[] },
        ProbeKind {
            name: "redis.ping",
            title: "Servers answer PING",
            params: &[Param::optional(
                "node",
                ParamType::Text,
                "one server by address or name; all of the probe's region when it is left out",
            )],
        },
    ],
    steps: &[
        StepKind {
            name: "redis.failover",
            title: "Have the Sentinels make another region's replica the master",
            role: StepRole::Promotes,
            // A second failover is no undo: it has no target either, and the writes that were lost stay lost.
            undo: Undo::PointOfNoReturn,
            instead: "once the old region's replicas are in sync, run redis.failover towards it: the same guards apply",
            params: &[REGION],
        },
        StepKind {
            name: "redis.promote",
            title: "Make a replica the master by hand, without Sentinels",
            role: StepRole::Promotes,
            undo: Undo::PointOfNoReturn,
            instead: "make the old master a replica of this one when it returns; what it alone holds is lost then",
            params: &[
                REGION,
                Param::optional("node", ParamType::Text, "which replica, by address or name; the newest when left out"),
            ],
        },
        StepKind {
            name: "redis.steer",
            title: "Set replica-priority so that a failover can only go to one region",
            role: StepRole::Changes,
            undo: Undo::Revert,
            instead: "",
            params: &[REGION],
        },
        StepKind {
            name: "redis.recovery-point",
            title: "Read the newest heartbeat on the current master",
            role: StepRole::Measures,
            undo: Undo::Nothing,
            instead: "",
            params: &[SERVING],
        },
        StepKind {
            name: "redis.writable",
            title: "Write and read a canary key on the agreed master",
            role: StepRole::Checks,
            undo: Undo::Nothing,
            instead: "",
            params: &[SERVING],
        },
    ],
    backups: backups::KINDS,
};

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

/// One deployment: a master, its replicas and their Sentinels.
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
}

impl Redis {
    fn new(spec: &SystemSpec) -> Result<Self, Fault> {
        let params = &spec.params;
        let sentinels = params.list("sentinels");
        if sentinels.is_empty() {
            return Err(Fault::permanent(spec.id.as_str(), "no Sentinel is listed").next("list all in `sentinels`"));
        }
        Ok(Self {
            id: spec.id.to_string(),
            master_name: params.text("master_name")?.to_owned(),
            sentinels,
            regions: params.map("regions").into_iter().map(|(key, region)| (key, region.into())).collect(),
            nodes: params.map("nodes"),
            heartbeat_key: params.opt_text("heartbeat_key").map(str::to_owned),
            client: Client::new(spec)?,
        })
    }

    /// The servers that the config names, by their addresses; it names Sentinels beside them.
    fn servers_named(&self) -> impl Iterator<Item = &String> {
        self.nodes.values().filter(|address| !self.sentinels.contains(address))
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
