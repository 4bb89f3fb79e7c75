//! One database: what the API of its region says of it, and whether it answers its clients.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbInstanceAutomatedBackup, SourceType};
use futures::future::BoxFuture;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::greeting::{self, Engine, No};
use super::seen::{Seen, seen};
use super::session::{Login, Says};
use super::snapshots;
use crate::domain::backup::BackupCopy;
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

/// What is kept of a database in another region.
#[derive(Clone, Debug)]
pub struct Window {
    pub oldest: Option<At>,
    pub newest: Option<At>,
    pub keeps_days: Option<i32>,
    pub status: String,
}

/// How a database is reached by its clients.
pub struct Port {
    /// Where it takes connections, if not where the API says.
    pub address: Option<String>,
    /// Whether this host can reach it.
    pub connect: bool,
    /// What runs there, if the config says so.
    pub engine: Option<Engine>,
    /// Who may log in, if anybody.
    pub login: Option<Arc<Login>>,
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
    /// How it is spoken to, if not as the API says.
    engine: Option<Engine>,
    login: Option<Arc<Login>>,
    client: OnceCell<Client>,
    /// Where the API last said that it takes connections, and what runs there: when the API is silent, the port is what can still be tried.
    endpoint: Mutex<Option<(String, String)>>,
    /// For the API, and for the port.
    patience: [Patience; 2],
}

impl Database {
    pub fn new(system: &str, name: &str, region: RegionId, aws: Aws, port: Port) -> Self {
        let (system, name) = (system.to_owned(), name.to_owned());
        let (client, endpoint) = (OnceCell::new(), Mutex::default());
        let patience = [Patience::new(LOOK), Patience::new(LOOK)];
        let Port { address, connect, engine, login } = port;
        Self { system, name, region, aws, address, connect, engine, login, client, endpoint, patience }
    }

    /// Waits for credentials as long as a look of `whole` has time for that.
    ///
    /// # Errors
    /// When there are none.
    pub async fn logged_in_of(&self, whole: Duration) -> Result<(), Fault> {
        self.aws.logged_in_of(whole).await
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
            // Whoever has no credentials does not learn that the API is silent.
            self.aws.logged_in(Call::Read).await?;
            let looking = async {
                let asked = self.client().await?.describe_db_instances().db_instance_identifier(name);
                let answer = self.aws.ask(Call::Read, "DescribeDBInstances", asked.send()).await?;
                let seen = answer.db_instances().first().map(seen);
                // What the API tells of another is nothing about this one.
                if name == self.name
                    && let Some(seen) = &seen
                    && let Some(endpoint) = &seen.endpoint
                {
                    let known = Some((endpoint.clone(), seen.engine.clone()));
                    *self.endpoint.lock().unwrap_or_else(PoisonError::into_inner) = known;
                }
                seen.ok_or_else(|| {
                    Fault::permanent(&self.system, format!("there is no database {name} in {}", self.region))
                })
            };
            let [patience, _] = &self.patience;
            let wait = patience.now();
            let mut answer = match timeout(wait.long, looking).await {
                Ok(answer) => answer,
                Err(_) => {
                    let what = format!("RDS in {} did not answer {}", self.region, wait.words());
                    let silent = Fault::transient(&self.system, what);
                    Err(self
                        .aws
                        .deaf("DescribeDBInstances")
                        .await
                        .unwrap_or_else(|| silent.next("see whether this host reaches the endpoint, then retry")))
                }
            };
            patience.learn(wait, answer.as_ref().err().is_none_or(|fault| !is_silence(fault)));
            // The instance was told: that its cluster is not takes nothing from it.
            if let Ok(seen) = &mut answer
                && let Some(cluster) = seen.cluster.as_mut()
            {
                cluster.writes = timeout(LOOK, self.writes_in(&cluster.name, name)).await.ok().flatten();
            }
            answer
        })
    }

    /// Whether the instance `name` is what `cluster` writes by, and that the one which its global cluster writes by; `None` when it is not told.
    async fn writes_in(&self, cluster: &str, name: &str) -> Option<bool> {
        let client = self.client().await.ok()?;
        let asked = client.describe_db_clusters().db_cluster_identifier(cluster);
        let answer = self.aws.ask(Call::Read, "DescribeDBClusters", asked.send()).await.ok()?;
        let found = answer.db_clusters().first()?;
        let member = found.db_cluster_members().iter().find(|it| it.db_instance_identifier() == Some(name))?;
        if member.is_cluster_writer() != Some(true) {
            return Some(false);
        }
        let answer =
            self.aws.ask(Call::Read, "DescribeGlobalClusters", client.describe_global_clusters().send()).await.ok()?;
        let mut members = answer.global_clusters().iter().flat_map(|it| it.global_cluster_members());
        let own = members.find(|it| it.db_cluster_arn().is_some() && it.db_cluster_arn() == found.db_cluster_arn());
        // One that is in no global cluster writes for itself.
        own.map_or(Some(true), |own| own.is_writer())
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

    /// Where it is reached by clients, and in which words. `None` when this host is not to try, or never learnt where, or how it greets.
    fn reached(&self, seen: Option<&Seen>) -> Option<(Engine, String)> {
        let known = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let told = seen.and_then(|seen| Some((seen.endpoint.clone()?, seen.engine.clone()))).or(known);
        let address = self.address.clone().or_else(|| told.as_ref().map(|(endpoint, _)| endpoint.clone()));
        let address = address.filter(|_| self.connect)?;
        let engine = match (self.engine, told) {
            (Some(engine), _) => engine,
            // How one greets that is not known here, nobody can tell.
            (None, Some((_, word))) if !word.is_empty() => Engine::of(&word)?,
            (None, _) => Engine::by_port(&address),
        };
        Some((engine, address))
    }

    /// Whether it answers a client. `None` when this host is not to try, or never learnt where.
    pub fn answers<'a>(&'a self, seen: Option<&'a Seen>) -> BoxFuture<'a, Option<Result<(), No>>> {
        Box::pin(async move {
            let (engine, address) = self.reached(seen)?;
            let [_, patience] = &self.patience;
            let wait = patience.now();
            let answer = greeting::answers(engine, &address, wait.long).await;
            patience.learn(wait, !matches!(answer, Err(No::Silent(_))));
            Some(answer)
        })
    }

    /// What it says of itself to who logs in. `None` when nobody may, or nobody knows how.
    pub fn says<'a>(&'a self, seen: Option<&'a Seen>) -> BoxFuture<'a, Option<Result<Says, No>>> {
        Box::pin(async move {
            let (engine, address) = self.reached(seen)?;
            self.login.as_ref()?.ask(engine, &address).await
        })
    }

    /// Whether anybody may log in, and it is known how, as far as the config says.
    ///
    /// # Errors
    /// Why not.
    pub fn may_log_in(&self) -> Result<(), String> {
        match (&self.login, self.engine) {
            (None, _) => Err(format!("nobody may log in to {}", self.name)),
            (Some(_), Some(engine @ (Engine::SqlServer | Engine::Oracle))) => {
                Err(format!("how to log in to {} is not known here", engine.name()))
            }
            _ => Ok(()),
        }
    }

    /// What runs there, as far as that is known without asking.
    pub fn engine(&self) -> Option<Engine> {
        self.engine.or_else(|| self.reached(None).map(|(engine, _)| engine))
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

    /// The snapshots of the instance `of` in this region: taken here, or brought here from another region. Read to the end.
    ///
    /// # Errors
    /// When the API does not answer, or refuses.
    pub fn snapshots<'a>(
        &'a self,
        of: &'a str,
        from: snapshots::Origin,
    ) -> BoxFuture<'a, Result<Vec<BackupCopy>, Fault>> {
        Box::pin(async move {
            let mut found = Vec::new();
            for kind in from.kinds() {
                let mut marker = None;
                loop {
                    let asked = self.client().await?.describe_db_snapshots().db_instance_identifier(of);
                    let asked = asked.snapshot_type(*kind).set_marker(marker);
                    let answer = self.aws.ask(Call::Read, "DescribeDBSnapshots", asked.send()).await?;
                    found.extend(answer.db_snapshots().iter().filter_map(|it| from.told(it, kind, &self.region)));
                    marker = answer.marker().filter(|it| !it.is_empty()).map(str::to_owned);
                    if marker.is_none() {
                        break;
                    }
                }
            }
            Ok(found)
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
            let elsewhere =
                backups.iter().filter(|it| it.region().is_some_and(|region| region != self.region.as_str()));
            // What is kept of one that had the name before is told beside what goes on.
            let until = |it: &&DbInstanceAutomatedBackup| {
                it.restore_window().and_then(|it| it.latest_time()).map(|at| at.secs())
            };
            let elsewhere = elsewhere.max_by_key(|it| (it.status() == Some("replicating"), until(it)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_does_not_fit_the_state_is_looked_at_again() {
        use crate::domain::system::FaultClass;
        let fault = Fault::permanent("database", "PromoteReadReplica was refused (400): InvalidDBInstanceState no");
        assert_eq!(look_again(fault).class, FaultClass::Ambiguous);
        assert_eq!(look_again(Fault::permanent("database", "AccessDenied")).class, FaultClass::Permanent);
    }
}
