//! Amazon RDS: a database with a standby in another zone of its region, and a read replica in the other region.
//!
//! The API of each region is asked for itself, and both at once: a dark region costs a bounded wait and hides nothing of the other.
//!
//! What an installation can look like:
//!
//! | installation | Mayday |
//! |---|---|
//! | PostgreSQL, MySQL, MariaDB, SQL Server, Oracle; any port | supported: `rds.connect` speaks the first words of each; nobody logs in |
//! | PostgreSQL, MySQL, MariaDB with a role that may log in (`username`, `password`) | `rds.login`, `rds.writable`, promotions and the survey run one statement: whether it takes writes is seen; by TLS with RDS's authorities |
//! | tokens of IAM | supported: `password = { command = ["aws", "rds", "generate-db-auth-token", …] }`; read anew each minute |
//! | MariaDB's `ed25519` and `parsec`, MySQL's `sha256_password` and `authentication_kerberos`; PostgreSQL's GSS and client certificates | the login is unknown: "what answers is no … server"; `rds.connect` does without |
//! | SQL Server, Oracle, Db2 with a role | refused: "how to log in to it is not known here"; that they take writes is concluded from the API and the greeting |
//! | a login that is refused (password changed, `pg_hba.conf`) | unknown, "refused"; `rds.writable` stops and asks a person |
//! | a replica that was promoted before while its source goes on | refused as a split-brain, as long as both serve |
//! | a replica of a whole cluster (`ReadReplicaSourceDBClusterIdentifier`) | known as a replica; promoting it is refused by nobody but RDS |
//! | a name that this host cannot resolve, a resolver that hangs | unknown, and no old writer is gone because of it |
//! | Db2 | the API is believed; `rds.connect` is unknown: "how its engine greets" is not known |
//! | a host that MySQL has blocked or does not know | unknown, "refused"; the writer counts as alive |
//! | a server that takes no more clients (`1040`) | down for clients, and alive for a promotion |
//! | Multi-AZ instance, cross-region replica, either encrypted | supported; a `kms_key` of another region is refused by a guard |
//! | an encrypted replica across regions of `aws-cn` or `aws-us-gov` | refused by a guard: it wants a signed URL |
//! | a member of an Aurora cluster or of a Multi-AZ cluster, also of a global one | watched, with who writes by DescribeDBClusters and DescribeGlobalClusters; every step but `rds.writable` is refused: "is a member of the Aurora cluster …", and so are its backups; its lag is not told |
//! | snapshots of RDS, of AWS Backup, and copies of either in the other region | counted; those made by hand at home are not |
//! | automated backups replicated to the other region | counted |
//! | hundreds of snapshots | read to the end |
//! | RDS Proxy, custom endpoints | set `address` and `replica_address` |

mod backups;
mod database;
mod greeting;
mod lag;
mod probes;
mod seen;
mod session;
mod snapshots;
mod steps;
mod survey;

use std::sync::Arc;

use async_trait::async_trait;

use self::database::{Database, Port};
use self::greeting::{ENGINES, Engine};
use self::lag::LagMetric;
use self::seen::Seen;
use self::session::{AUTHORITY, DATABASE, ENCRYPTED, Login, PASSWORD, USERNAME};
use crate::domain::backup::{BackupLook, BackupSpec};
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::ids::RegionId;
use crate::domain::kinds::{Param, ParamType, ProbeKind, StepKind, StepRole, SystemKind, To, Undo, WayOut};
use crate::domain::plan::StepSpec;
use crate::domain::readiness::Fact;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::systems::aws::{ACCESS_KEY_ID, Aws, PROFILE, SECRET_ACCESS_KEY};
use crate::systems::permits::{IAM_ENDPOINT_URL, IAM_WAY, Permits, STS_ENDPOINT_URL};

/// The words of the parameter `which`.
const SIDES: &[&str] = &["primary", "replica"];
/// The words of the parameter `expect`.
const EXPECTED: &[&str] = &["either", "writes", "reads"];
const WHICH: Param = Param::default("which", ParamType::Choice(SIDES), "primary", "which of the two databases");

pub static KIND: SystemKind = SystemKind {
    name: "rds",
    title: "A database of Amazon RDS and its read replica in the other region",
    ambient: false,
    ways: &[
        WayOut::new("endpoint_url", To::Primary("region"), "the API of RDS"),
        WayOut::new("address", To::Primary("region"), "the database itself"),
        WayOut::new("replica_endpoint_url", To::Standby("replica_region"), "the API of RDS"),
        WayOut::new("replica_address", To::Standby("replica_region"), "the replica itself"),
        WayOut::new("cloudwatch_endpoint_url", To::Standby("replica_region"), "CloudWatch"),
        WayOut::new("primary_cloudwatch_endpoint_url", To::Primary("region"), "CloudWatch"),
        IAM_WAY,
    ],
    params: &[
        Param::required("instance", ParamType::Text, "the identifier of the database"),
        Param::required("replica", ParamType::Text, "the identifier of its read replica in the other region"),
        Param::optional("primary_region", ParamType::Region, "where the database is; the primary region when left out"),
        Param::optional("replica_region", ParamType::Region, "where the replica is; the standby region when left out"),
        Param::default(
            "connect",
            ParamType::Flag,
            "true",
            "whether this host can reach the databases' ports; without that only the API can be believed",
        ),
        Param::optional(
            "engine",
            ParamType::Choice(ENGINES),
            "what runs there; what the API says, or else by the port, when left out",
        ),
        USERNAME,
        PASSWORD,
        DATABASE,
        ENCRYPTED,
        AUTHORITY,
        Param::optional("address", ParamType::Address, "where the database takes connections; the API's when left out"),
        Param::optional("replica_address", ParamType::Address, "the same for the replica"),
        Param::optional("endpoint_url", ParamType::Url, "an endpoint of RDS other than AWS's own"),
        Param::optional("replica_endpoint_url", ParamType::Url, "the same for the replica's region"),
        Param::optional(
            "cloudwatch_endpoint_url",
            ParamType::Url,
            "an endpoint of CloudWatch other than AWS's own, for the replica's region",
        ),
        Param::optional(
            "primary_cloudwatch_endpoint_url",
            ParamType::Url,
            "the same for the primary's region, where a replica lives after a failover",
        ),
        STS_ENDPOINT_URL,
        IAM_ENDPOINT_URL,
        PROFILE,
        ACCESS_KEY_ID,
        SECRET_ACCESS_KEY,
    ],
    probes: &[
        ProbeKind { name: "rds.instance", title: "What the API says of the database", params: &[WHICH] },
        ProbeKind {
            name: "rds.connect",
            title: "The database answers a client in the words of its engine",
            params: &[WHICH],
        },
        ProbeKind {
            name: "rds.login",
            title: "The database answers a statement, and says whether it takes writes",
            params: &[
                WHICH,
                Param::default(
                    "expect",
                    ParamType::Choice(EXPECTED),
                    "either",
                    "what it should do: anything else is down; roles change in a failover",
                ),
            ],
        },
    ],
    steps: &[
        StepKind {
            name: "rds.promote-replica",
            title: "Promote the cross-region read replica",
            role: StepRole::Promotes,
            undo: Undo::PointOfNoReturn,
            instead: "make a new replica in the old region and come back by promoting that one",
            params: &[],
        },
        StepKind {
            name: "rds.failover-az",
            title: "Fail over to the standby in the other zone of the region",
            role: StepRole::Promotes,
            // Going back is another failover, with another minute or two of outage.
            undo: Undo::PointOfNoReturn,
            instead: "run it again: the first zone takes over, with another outage of 1 to 2 minutes",
            params: &[],
        },
        StepKind {
            name: "rds.set-aside",
            title: "Give the region's old database another name; its data stays",
            role: StepRole::Changes,
            undo: Undo::Revert,
            instead: "",
            params: &[],
        },
        StepKind {
            name: "rds.backups",
            title: "Keep automated backups of the region's database",
            role: StepRole::Changes,
            undo: Undo::Revert,
            instead: "",
            params: &[Param::default("days", ParamType::Integer, "7", "for how many days they are kept")],
        },
        StepKind {
            name: "rds.create-replica",
            title: "Make a replica in the region of the database in the other one",
            role: StepRole::Changes,
            undo: Undo::PointOfNoReturn,
            instead: "delete the replica by hand: Mayday deletes no database",
            params: &[Param::default(
                "kms_key",
                ParamType::Text,
                "alias/aws/rds",
                "the key of an encrypted replica, in its own region",
            )],
        },
        StepKind {
            name: "rds.writable",
            title: "See that the region's database is a writer and takes connections",
            role: StepRole::Checks,
            undo: Undo::Nothing,
            instead: "",
            params: &[],
        },
    ],
    backups: backups::KINDS,
};

/// Connects to RDS.
pub struct RdsFactory;

impl Factory for RdsFactory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }

    fn connect(&self, spec: &SystemSpec, around: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        let params = &spec.params;
        let region = params.opt_text("primary_region").map_or_else(|| around.estate.primary(), RegionId::from);
        let replica_region = match params.opt_text("replica_region") {
            Some(region) => RegionId::from(region),
            None => around
                .estate
                .only_standby()
                .map_err(|why| Fault::permanent(spec.id.as_str(), why).next("add replica_region"))?,
        };
        let connect = params.flag("connect");
        let engine = params.opt_text("engine").and_then(Engine::of);
        let login = Login::of(spec)?;
        let database = |name: &str, region: &RegionId, prefix: &str| -> Result<Database, Fault> {
            let aws = Aws::new(spec, region.as_str(), params.opt_text(&format!("{prefix}endpoint_url")));
            let address = params.opt_text(&format!("{prefix}address")).map(str::to_owned);
            let port = Port { address, connect, engine, login: login.clone() };
            Ok(Database::new(spec.id.as_str(), params.text(name)?, region.clone(), aws, port))
        };
        let replica = database("replica", &replica_region, "replica_")?;
        let cloudwatch = Aws::new(spec, replica_region.as_str(), params.opt_text("cloudwatch_endpoint_url"));
        let lag = LagMetric::new(spec.id.as_str(), &replica.name, cloudwatch);
        let primary = database("instance", &region, "")?;
        let cloudwatch = Aws::new(spec, region.as_str(), params.opt_text("primary_cloudwatch_endpoint_url"));
        let primary_lag = LagMetric::new(spec.id.as_str(), &primary.name, cloudwatch);
        // Asked of the region that survives.
        let permits = Permits::new(spec, replica_region.as_str());
        Ok(Arc::new(Connected(Arc::new(Rds { id: spec.id.to_string(), primary, replica, lag, primary_lag, permits }))))
    }
}

/// The two databases, and what CloudWatch knows of the way between them.
struct Rds {
    id: String,
    primary: Database,
    replica: Database,
    lag: LagMetric,
    /// Of the primary, once it follows the replica.
    primary_lag: LagMetric,
    permits: Permits,
}

impl Rds {
    /// The database of a region.
    fn of_region(&self, region: Option<&RegionId>) -> &Database {
        if region == Some(&self.replica.region) { &self.replica } else { &self.primary }
    }

    /// The database of the other region.
    fn other(&self, database: &Database) -> &Database {
        if database.region == self.replica.region { &self.primary } else { &self.replica }
    }

    fn lag_of(&self, database: &Database) -> &LagMetric {
        if database.region == self.replica.region { &self.lag } else { &self.primary_lag }
    }

    /// What a promoted replica would do differently: RDS inherits neither parameter group nor size.
    async fn facts(&self) -> Result<Vec<Fact>, Fault> {
        let (primary, replica) = tokio::join!(self.primary.look(), self.replica.look());
        let sides = [(&self.primary, primary?), (&self.replica, replica?)];
        let of = |(database, seen): &(&Database, Seen)| {
            let fact = |(name, value): (&str, &String)| Fact {
                subject: format!("database {}", self.id),
                name: name.to_owned(),
                region: database.region.clone(),
                value: value.clone(),
            };
            seen.traits.iter().map(|(name, value)| fact((name, value))).collect::<Vec<_>>()
        };
        Ok(sides.iter().flat_map(of).collect())
    }

    fn of_side(&self, spec: &ProbeSpec) -> &Database {
        if spec.params.opt_text("which") == Some("replica") { &self.replica } else { &self.primary }
    }
}

/// The shape the engine drives.
struct Connected(Arc<Rds>);

#[async_trait]
impl System for Connected {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        self.0.probe(spec).await
    }
    fn refuses(&self, spec: &ProbeSpec) -> Option<Fault> {
        self.0.refuses(spec)
    }
    async fn survey(&self) -> Result<Survey, Fault> {
        Ok(self.0.survey().await)
    }
    async fn backup(&self, spec: &BackupSpec) -> Result<BackupLook, Fault> {
        self.0.backup(spec).await
    }
    async fn facts(&self) -> Result<Vec<Fact>, Fault> {
        self.0.facts().await
    }
    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        steps::step(&self.0, spec)
    }
}
