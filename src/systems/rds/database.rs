//! One database: what the API of its region says of it, and whether it answers its clients.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbInstance, DbSnapshot, SourceType};
use futures::future::BoxFuture;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::postgres;
use crate::domain::backup::{BackupCopy, CopyState, copy};
use crate::domain::health::Status;
use crate::domain::ids::RegionId;
use crate::domain::system::Fault;
use crate::domain::text::clean;
use crate::domain::time::At;
use crate::systems::aws::{Aws, Call, is_silence, moment};
use crate::systems::patience::Patience;

/// The longest that a look may take: a dark region must not hold up what the other one says.
pub const LOOK: Duration = Duration::from_millis(2500);

/// The error of a call that does not fit the state of an instance.
const WRONG_STATE: &str = "InvalidDBInstanceState";

/// The error of a call for a name that is taken.
const TAKEN: &str = "DBInstanceAlreadyExists";
/// The error of a call about an instance that is not there.
const MISSING: &str = "DBInstanceNotFound";

/// The API's words for the state of an instance in which it serves its clients; anything else is a state in between, or a failure.
const SERVING: [&str; 6] = [
    "available",
    "backing-up",
    "configuring-enhanced-monitoring",
    "configuring-iam-database-auth",
    "storage-config-upgrade",
    "storage-optimization",
];
/// The words that begin a state which ends only when somebody does something.
const FAILED: [&str; 6] = ["failed", "incompatible-", "inaccessible-", "restore-error", "stopped", "storage-full"];

/// What the API says of a database.
#[derive(Clone, Debug)]
pub struct Seen {
    pub status: String,
    pub zone: String,
    /// Where the standby of a Multi-AZ instance is.
    pub other_zone: Option<String>,
    pub multi_az: bool,
    /// Whom it follows.
    pub source: Option<String>,
    /// Why replication stands still, if the API says that it does.
    pub broken: Option<String>,
    pub endpoint: Option<String>,
    /// Up to then the writer can be restored in its own region.
    pub restorable: Option<At>,
    pub retention_days: i32,
    pub arn: Option<String>,
    pub encrypted: bool,
    /// What a replica ought to share with its source: engine, size, parameters.
    pub traits: BTreeMap<&'static str, String>,
}

/// What is kept of a database in another region.
#[derive(Clone, Debug)]
pub struct Window {
    pub oldest: Option<At>,
    pub newest: Option<At>,
    pub keeps_days: Option<i32>,
    pub status: String,
}

impl Seen {
    pub fn serves(&self) -> bool {
        SERVING.contains(&self.status.as_str())
    }

    pub fn is_available(&self) -> bool {
        self.status == "available"
    }

    pub fn health(&self) -> Status {
        match () {
            () if FAILED.iter().any(|word| self.status.starts_with(word)) => Status::Down,
            () if self.serves() && self.broken.is_none() => Status::Healthy,
            () => Status::Degraded,
        }
    }

    /// `available, Multi-AZ us-east-1a + us-east-1b`
    pub fn words(&self) -> String {
        let zones = match (&self.other_zone, self.multi_az) {
            (Some(other), _) => format!("Multi-AZ {} + {other}", self.zone),
            (None, true) => format!("Multi-AZ {}", self.zone),
            (None, false) => self.zone.clone(),
        };
        match &self.broken {
            Some(why) => format!("{}, {zones}, replication {why}", self.status),
            None => format!("{}, {zones}", self.status),
        }
    }
}

/// A database, by its identifier in its region.
pub struct Database {
    pub system: String,
    pub name: String,
    pub region: RegionId,
    aws: Aws,
    /// Where it takes connections, if not where the API says.
    address: Option<String>,
    /// Whether this host can reach it.
    connect: bool,
    client: OnceCell<Client>,
    /// Where the API last said that it takes connections: when the API is silent, the port is what can still be tried.
    endpoint: Mutex<Option<String>>,
    /// For the API, and for the port.
    patience: [Patience; 2],
}

impl Database {
    pub fn new(system: &str, name: &str, region: RegionId, aws: Aws, address: Option<String>, connect: bool) -> Self {
        let (system, name) = (system.to_owned(), name.to_owned());
        let (client, endpoint) = (OnceCell::new(), Mutex::default());
        let patience = [Patience::new(LOOK), Patience::new(LOOK)];
        Self { system, name, region, aws, address, connect, client, endpoint, patience }
    }

    async fn client(&self) -> Result<&Client, Fault> {
        self.client.get_or_try_init(async || Ok(Client::new(&self.aws.config().await?))).await
    }

    /// # Errors
    /// When the API does not answer within [`LOOK`], or refuses; also when there is no such database.
    pub fn look(&self) -> BoxFuture<'_, Result<Seen, Fault>> {
        self.look_at(&self.name)
    }

    /// Whatever has another identifier in the same region.
    fn look_at<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Seen, Fault>> {
        Box::pin(async move {
            let looking = async {
                let asked = self.client().await?.describe_db_instances().db_instance_identifier(name);
                let answer = self.aws.ask(Call::Read, "DescribeDBInstances", asked.send()).await?;
                let seen = answer.db_instances().first().map(seen);
                // What the API tells of another is nothing about this one.
                if name == self.name
                    && let Some(endpoint) = seen.as_ref().and_then(|seen| seen.endpoint.clone())
                {
                    *self.endpoint.lock().unwrap_or_else(PoisonError::into_inner) = Some(endpoint);
                }
                seen.ok_or_else(|| {
                    Fault::permanent(&self.system, format!("there is no database {name} in {}", self.region))
                })
            };
            let [patience, _] = &self.patience;
            let wait = patience.now();
            let answer = timeout(wait.long, looking).await.unwrap_or_else(|_| {
                let what = format!("RDS in {} did not answer {}", self.region, wait.words());
                Err(Fault::transient(&self.system, what).next("see whether this host reaches the endpoint, then retry"))
            });
            patience.learn(wait, answer.as_ref().err().is_none_or(|fault| !is_silence(fault)));
            answer
        })
    }

    /// As [`look`](Self::look); `None` when there is no database of that name.
    ///
    /// # Errors
    /// When the API does not answer, or refuses.
    pub fn find(&self) -> BoxFuture<'_, Result<Option<Seen>, Fault>> {
        self.find_called(&self.name)
    }

    /// The same of whatever has another identifier in the same region.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn find_called<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Seen>, Fault>> {
        Box::pin(async move {
            match self.look_at(name).await {
                Err(fault) if fault.what.contains(MISSING) => Ok(None),
                other => other.map(Some),
            }
        })
    }

    /// Whether it answers a client. `None` when this host is not to try, or never learnt where.
    pub fn answers<'a>(&'a self, seen: Option<&'a Seen>) -> BoxFuture<'a, Option<Result<(), String>>> {
        Box::pin(async move {
            let told = || seen.and_then(|seen| seen.endpoint.clone());
            let known = || self.endpoint.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match self.address.clone().or_else(told).or_else(known).filter(|_| self.connect) {
                Some(address) => {
                    let [_, patience] = &self.patience;
                    let wait = patience.now();
                    let answer = postgres::answers(&address, wait.long).await;
                    patience.learn(wait, answer.is_ok());
                    Some(answer)
                }
                None => None,
            }
        })
    }

    /// Whether a failover to the other zone ended since `since`, as the API's events tell. They have no number there, only words.
    ///
    /// # Errors
    /// When the API does not answer, or refuses.
    pub fn failed_over_since(&self, since: At) -> BoxFuture<'_, Result<bool, Fault>> {
        Box::pin(async move {
            let asked = self
                .client()
                .await?
                .describe_events()
                .source_identifier(&self.name)
                .source_type(SourceType::DbInstance)
                .start_time(aws_sdk_rds::primitives::DateTime::from_secs(since.as_second()));
            let answer = self.aws.ask(Call::Read, "DescribeEvents", asked.send()).await?;
            Ok(answer.events().iter().any(|event| {
                let told = event.message().is_some_and(|text| text.contains("Multi-AZ instance failover completed"));
                told && event.date().and_then(moment).is_some_and(|at| at >= since)
            }))
        })
    }

    /// Its automated snapshots.
    ///
    /// # Errors
    /// When the API does not answer, or refuses.
    pub fn snapshots(&self) -> BoxFuture<'_, Result<Vec<BackupCopy>, Fault>> {
        Box::pin(async move {
            let asked = self.client().await?.describe_db_snapshots().db_instance_identifier(&self.name);
            let asked = asked.snapshot_type("automated");
            let answer = self.aws.ask(Call::Read, "DescribeDBSnapshots", asked.send()).await?;
            let told = |it: &DbSnapshot| {
                let at = it.snapshot_create_time().and_then(moment)?;
                let size = it.allocated_storage().and_then(|size| u64::try_from(size).ok()).map(|size| size << 30);
                Some(copy(
                    at,
                    state(it.status().unwrap_or_default()),
                    it.db_snapshot_identifier().unwrap_or_default(),
                    size,
                ))
            };
            Ok(answer.db_snapshots().iter().filter_map(told).collect())
        })
    }

    /// What this region keeps of the backups of `source`, a database of another one; `None` when it keeps none.
    ///
    /// # Errors
    /// When the API does not answer, or refuses.
    pub fn replicated_backups<'a>(&'a self, source: &'a str) -> BoxFuture<'a, Result<Option<Window>, Fault>> {
        Box::pin(async move {
            let asked = self.client().await?.describe_db_instance_automated_backups().db_instance_identifier(source);
            let answer = match self.aws.ask(Call::Read, "DescribeDBInstanceAutomatedBackups", asked.send()).await {
                Err(fault) if fault.what.contains("DBInstanceAutomatedBackupNotFound") => return Ok(None),
                other => other?,
            };
            let backups = answer.db_instance_automated_backups();
            let elsewhere = backups.iter().find(|it| it.region().is_some_and(|region| region != self.region.as_str()));
            Ok(elsewhere.map(|it| {
                let window = it.restore_window();
                Window {
                    oldest: window.and_then(|it| it.earliest_time()).and_then(moment),
                    newest: window.and_then(|it| it.latest_time()).and_then(moment),
                    keeps_days: it.backup_retention_period(),
                    status: clean(it.status().unwrap_or("unknown")),
                }
            }))
        })
    }

    /// Calls `PromoteReadReplica`, once.
    ///
    /// # Errors
    /// Ambiguous also when it does not fit the state: then it may be under way already.
    pub fn promote(&self) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            let asked = self.client().await?.promote_read_replica().db_instance_identifier(&self.name);
            self.aws.ask(Call::Mutation, "PromoteReadReplica", asked.send()).await.map(drop).map_err(look_again)
        })
    }

    /// Calls `ModifyDBInstance` with another name, once and at once: `from` may be the new name, on the way back.
    ///
    /// # Errors
    /// Ambiguous also when it does not fit the state: then it may be under way already.
    pub fn rename<'a>(&'a self, from: &'a str, to: &'a str) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let asked = self.client().await?.modify_db_instance().db_instance_identifier(from);
            let asked = asked.new_db_instance_identifier(to).apply_immediately(true);
            self.aws.ask(Call::Mutation, "ModifyDBInstance", asked.send()).await.map(drop).map_err(look_again)
        })
    }

    /// Calls `ModifyDBInstance` with the number of days that automated backups are kept, once and at once.
    ///
    /// # Errors
    /// Ambiguous also when it does not fit the state: then it may be under way already.
    pub fn keep_backups(&self, days: i32) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            let asked = self.client().await?.modify_db_instance().db_instance_identifier(&self.name);
            let asked = asked.backup_retention_period(days).apply_immediately(true);
            self.aws.ask(Call::Mutation, "ModifyDBInstance", asked.send()).await.map(drop).map_err(look_again)
        })
    }

    /// Calls `CreateDBInstanceReadReplica` in this database's region, once.
    ///
    /// # Errors
    /// Ambiguous also when the name is taken: it may be the replica that was asked for before.
    pub fn create_of<'a>(&'a self, source: &'a str, key: Option<&'a str>) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let asked = self.client().await?.create_db_instance_read_replica().db_instance_identifier(&self.name);
            let asked = asked.source_db_instance_identifier(source).set_kms_key_id(key.map(str::to_owned));
            self.aws
                .ask(Call::Mutation, "CreateDBInstanceReadReplica", asked.send())
                .await
                .map(drop)
                .map_err(look_again)
        })
    }

    /// Calls `RebootDBInstance` with `ForceFailover`, once.
    ///
    /// # Errors
    /// Ambiguous also when it does not fit the state: then it may be under way already.
    pub fn fail_over(&self) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            let asked =
                self.client().await?.reboot_db_instance().db_instance_identifier(&self.name).force_failover(true);
            self.aws.ask(Call::Mutation, "RebootDBInstance", asked.send()).await.map(drop).map_err(look_again)
        })
    }
}

/// RDS has no idempotency tokens: a call that does not fit the state may be the answer to one that was made before.
fn look_again(fault: Fault) -> Fault {
    if !fault.what.contains(WRONG_STATE) && !fault.what.contains(TAKEN) {
        return fault;
    }
    Fault::ambiguous(fault.system, fault.what).means("it may be under way already").next("Mayday looks at it again")
}

fn seen(it: &DbInstance) -> Seen {
    let text = |text: Option<&str>| clean(text.unwrap_or_default());
    let stuck = it.status_infos().iter().find(|info| info.normal() == Some(false));
    let endpoint = it.endpoint().and_then(|at| Some(format!("{}:{}", at.address()?, at.port()?)));
    Seen {
        status: text(it.db_instance_status()),
        zone: text(it.availability_zone()),
        other_zone: it.secondary_availability_zone().map(clean),
        multi_az: it.multi_az().unwrap_or(false),
        source: it.read_replica_source_db_instance_identifier().map(clean).filter(|source| !source.is_empty()),
        broken: stuck.map(|info| text(info.status().or(info.message()))),
        endpoint,
        restorable: it.latest_restorable_time().and_then(moment),
        retention_days: it.backup_retention_period().unwrap_or(0),
        arn: it.db_instance_arn().map(clean),
        encrypted: it.storage_encrypted().unwrap_or(false),
        traits: traits(it),
    }
}

fn traits(it: &DbInstance) -> BTreeMap<&'static str, String> {
    let group = it.db_parameter_groups().first().and_then(|group| group.db_parameter_group_name());
    let storage = it.allocated_storage().map(|size| format!("{size} GiB"));
    let said = [
        ("engine", it.engine().map(clean)),
        ("engine version", it.engine_version().map(clean)),
        ("instance class", it.db_instance_class().map(clean)),
        ("parameter group", group.map(clean)),
        ("storage", storage),
    ];
    said.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The API's words for a snapshot; what it does not say is still being made.
fn state(status: &str) -> CopyState {
    match status {
        "available" => CopyState::Good,
        "failed" => CopyState::Failed,
        _ => CopyState::Running,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(status: &str) -> Seen {
        let (zone, status) = ("us-east-1a".to_owned(), status.to_owned());
        let (other_zone, source, broken, endpoint, restorable) = (None, None, None, None, None);
        let traits = BTreeMap::new();
        Seen {
            status,
            zone,
            other_zone,
            multi_az: false,
            source,
            broken,
            endpoint,
            restorable,
            retention_days: 7,
            arn: None,
            encrypted: true,
            traits,
        }
    }

    #[test]
    fn a_state_that_nobody_listed_is_neither_well_nor_down() {
        let cases = [
            ("available", Status::Healthy),
            ("backing-up", Status::Healthy),
            ("modifying", Status::Degraded),
            ("rebooting", Status::Degraded),
            ("a word of next year's", Status::Degraded),
            ("incompatible-network", Status::Down),
            ("stopped", Status::Down),
        ];
        for (word, health) in cases {
            assert_eq!(seen(word).health(), health, "{word}");
        }
    }

    #[test]
    fn a_call_that_does_not_fit_the_state_is_looked_at_again() {
        use crate::domain::system::FaultClass;
        let fault = Fault::permanent("database", "PromoteReadReplica was refused (400): InvalidDBInstanceState no");
        assert_eq!(look_again(fault).class, FaultClass::Ambiguous);
        assert_eq!(look_again(Fault::permanent("database", "AccessDenied")).class, FaultClass::Permanent);
    }
}
