//! Neo4j over Bolt: every server is asked directly, and a leader is believed when it can replicate and says so itself.
//!
//! There is no call that makes a server the leader. Elections are automatic while a majority of a database's primaries lives; when
//! it does not, the documented disaster procedure is what is left, and its parts are steps here.
//! <https://neo4j.com/docs/operations-manual/current/clustering/multi-region-deployment/disaster-recovery/>
//!
//! What an installation can look like:
//!
//! | installation                     | what Mayday does                                                                                 |
//! |----------------------------------|--------------------------------------------------------------------------------------------------|
//! | Enterprise cluster, 5.x, 2025.x  | all: probes, survey, recovery points, every step of the disaster procedure                        |
//! | the same before 5.24             | there is no `dbms.cluster.statusCheck`: whether a leader can replicate is taken from `SHOW DATABASES` |
//! | cluster of 4.4                   | probes, survey, recovery points, by `dbms.cluster.role`; no `SHOW SERVERS`, so the server steps cannot be done: "no server tells which servers there are" |
//! | single server, Community         | the same smaller picture: it leads itself; there is nothing to fail over to                       |
//! | Aura                             | `neo4j+s://`, one server of one region: what its user may not ask is unknown, and told            |
//! | a user without `SHOW SERVERS`    | a smaller picture; one who may not ask for `statusCheck` of a cluster, or gets no answer to it, does not know its leader: unknown |
//! | a load balancer, a container, a pod before each server | known by its name in `SHOW SERVERS`, by `statusCheck`, or by the address that it announces (`SHOW SETTINGS`); where none of these tells, unknown: "which of the cluster's servers … is, is not told" |
//! | an alias of a database           | told: "is another name of the database …", and nobody leads it                                     |
//! | `bolt://`, `neo4j://`, each with `+s` and `+ssc` | all six, each to that one server; `ca` for a private authority, `client_certificate`, `server_name` |
//! | routing policies, `http://`, a password in the URI | refused by `mayday check`, with what to write instead                            |
//! | a stale password                 | unknown "refused"; tried again after 60 s, 2, 4, 8, 10 min, or when the secret changes: the user is not locked for others |
//! | SSO, Kerberos, bearer tokens     | not spoken: a native user with a password is needed                                               |

mod client;
mod login;
mod look;
mod packed;
mod place;
mod probes;
mod relay;
mod session;
mod steps;
mod survey;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::ids::RegionId;
use crate::domain::kinds::{Param, ParamType, ProbeKind, StepKind, StepRole, SystemKind, To, Undo, WayOut};
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, RegionOf, Step, Surroundings, System};
use crate::outbound::stream;
use client::Client;
use place::{Place, Security};

const SERVER: Param = Param::required("server", ParamType::Text, "the server's name or id, as SHOW SERVERS has it");

/// The row of the table of kinds.
pub static KIND: SystemKind = SystemKind {
    name: "neo4j",
    title: "Neo4j",
    ambient: false,
    ways: &[WayOut::new("servers", To::Members("regions"), "Neo4j")],
    params: &[
        Param::required(
            "servers",
            ParamType::Map,
            "the bolt:// or neo4j:// URI of every server, by its name; +s or +ssc for TLS",
        ),
        Param::required("regions", ParamType::Regions, "the region of each server, by its name"),
        Param::default("username", ParamType::Text, "neo4j", "who logs in; the disaster steps need an administrator"),
        Param::required("password", ParamType::Secret, "its password"),
        Param::default("database", ParamType::Text, "neo4j", "the database that is watched and measured"),
        Param::default(
            "heartbeat_query",
            ParamType::Text,
            "MATCH (h:Heartbeat) RETURN max(h.at) AS at",
            "returns the time of the newest write in its only column: a datetime, RFC 3339 text, or a number since 1970",
        ),
        stream::CA,
        stream::CLIENT_CERTIFICATE,
        stream::CLIENT_KEY,
        stream::SERVER_NAME,
        stream::CHECK_NAMES,
        Param::default("timeout", ParamType::Span, "3s", "how long one server may take to answer"),
    ],
    probes: &[
        ProbeKind {
            name: "neo4j.server",
            title: "Servers answer RETURN 1",
            params: &[Param::optional(
                "server",
                ParamType::Text,
                "one server by name; all of the probe's region when it is left out",
            )],
        },
        ProbeKind { name: "neo4j.leader", title: "The database has a leader that can replicate", params: &[] },
    ],
    steps: &[
        StepKind {
            name: "neo4j.leader",
            title: "A server of the region leads the database and can replicate",
            role: StepRole::Checks,
            undo: Undo::Nothing,
            instead: "",
            params: &[Param::required("region", ParamType::Region, "where the leader has to be")],
        },
        StepKind {
            name: "neo4j.recovery-point",
            title: "Read the newest heartbeat from the leader",
            role: StepRole::Measures,
            undo: Undo::Nothing,
            instead: "",
            params: &[Param::optional(
                "region",
                ParamType::Region,
                "where the leader has to be; anywhere when left out",
            )],
        },
        StepKind {
            name: "neo4j.cordon",
            title: "Keep a lost server from being given databases",
            role: StepRole::Changes,
            undo: Undo::Revert,
            instead: "",
            params: &[SERVER],
        },
        StepKind {
            name: "neo4j.start-databases",
            title: "Start databases that are stopped",
            role: StepRole::Changes,
            undo: Undo::Revert,
            instead: "",
            params: &[Param::optional("databases", ParamType::List, "which; all that are stopped when it is left out")],
        },
        StepKind {
            name: "neo4j.recreate-database",
            title: "Make a database without a writer writable again, from what the survivors hold",
            role: StepRole::Promotes,
            undo: Undo::PointOfNoReturn,
            instead: "restore the database from its newest backup with a seedURI",
            params: &[
                Param::optional("database", ParamType::Text, "which; the system's own when it is left out"),
                Param::optional(
                    "seeding_servers",
                    ParamType::List,
                    "whose stores may be used; the newest when left out",
                ),
                Param::optional("primaries", ParamType::Integer, "how many primaries it gets; as before when left out"),
                Param::optional(
                    "secondaries",
                    ParamType::Integer,
                    "how many secondaries it gets; as before when left out",
                ),
            ],
        },
        StepKind {
            name: "neo4j.deallocate",
            title: "Move the databases off a lost server",
            role: StepRole::Changes,
            undo: Undo::PointOfNoReturn,
            instead: "when the server returns: ENABLE SERVER, then REALLOCATE DATABASES",
            params: &[SERVER],
        },
        StepKind {
            name: "neo4j.drop-server",
            title: "Remove a deallocated server from the cluster",
            role: StepRole::Changes,
            undo: Undo::PointOfNoReturn,
            instead: "add a fresh server to the cluster; the dropped one cannot come back with its old identity",
            params: &[SERVER],
        },
    ],
    backups: &[],
};

/// Connects to Neo4j.
pub struct Neo4jFactory;

impl Factory for Neo4jFactory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }

    fn connect(&self, spec: &SystemSpec, around: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        let estate = &around.estate;
        let home = estate.has_a_choice().then(|| estate.primary());
        Ok(Arc::new(Connected(Arc::new(Neo4j { home, ..Neo4j::new(spec)? }))))
    }
}

/// One cluster.
struct Neo4j {
    id: String,
    /// `bolt://` addresses by name.
    servers: BTreeMap<String, String>,
    regions: RegionOf,
    database: String,
    heartbeat_query: String,
    client: Client,
    /// The primary region, where there are several standbys: no call makes a server lead, so that any region but this one will do for those
    /// who leave it.
    home: Option<RegionId>,
}

impl Neo4j {
    fn new(spec: &SystemSpec) -> Result<Self, Fault> {
        let params = &spec.params;
        let (servers, id) = (params.map("servers"), spec.id.as_str());
        if servers.is_empty() {
            return Err(
                Fault::permanent(id, "no server is listed, so nobody can be asked").next("list them in `servers`")
            );
        }
        let mut trusted = false;
        for url in servers.values() {
            trusted |= Place::of(id, url)?.security == Security::Trusted;
        }
        if let Some(name) = stream::Terms::needless(params).filter(|_| !trusted) {
            let what = format!("`{name}` is set, and no server is asked by TLS that checks a certificate");
            return Err(
                Fault::permanent(id, what).next("write the servers with bolt+s:// or neo4j+s://, or take it out")
            );
        }
        Ok(Self {
            id: spec.id.to_string(),
            servers,
            regions: params.map("regions").into_iter().map(|(name, region)| (name, region.into())).collect(),
            // Neo4j knows a database by its name in small letters, however it is written.
            database: params.text("database")?.to_lowercase(),
            heartbeat_query: params.text("heartbeat_query")?.to_owned(),
            client: Client::new(spec)?,
            home: None,
        })
    }

    fn region(&self, server: &str) -> Option<&RegionId> {
        self.regions.get(server)
    }

    /// `neo4j-2 in us-west-2`
    fn placed(&self, server: &str) -> String {
        format!("{server} in {}", self.region(server).map_or("an unknown region", RegionId::as_str))
    }
}

/// The shape the engine drives.
struct Connected(Arc<Neo4j>);

#[async_trait]
impl System for Connected {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        self.0.probe(spec).await
    }
    async fn survey(&self) -> Result<Survey, Fault> {
        self.0.survey().await
    }
    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        steps::step(&self.0, spec)
    }
}
