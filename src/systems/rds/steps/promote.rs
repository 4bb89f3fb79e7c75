//! `rds.promote-replica`: the cross-region read replica becomes a database of its own. One-way, and called in its own region, so that
//! the loss of the other does not matter.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::super::Rds;
use super::super::database::Database;
use super::super::greeting::No;
use super::super::seen::Seen;
use super::{Met, aws_rds, describe, login_guard, met, no_way_back, on};
use crate::domain::ids::RegionId;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, OldWriter, Preview, PromotionFacts, Receipt, Step, StepLog,
    Verified,
};
use crate::systems::aws::is_silence;
use crate::systems::shell::quoted;

pub struct Promote {
    pub rds: Arc<Rds>,
    /// Where the replica is that is promoted; the replica's region of the config when left out.
    pub region: Option<RegionId>,
}

#[async_trait]
impl Step for Promote {
    async fn observe(&self, begun: Option<&Begun>) -> Result<Observed, Fault> {
        let name = &self.replica().name;
        let seen = self.replica().look().await?;
        if let Some(why) = seen.clustered(name) {
            return Ok(Observed::Impossible { why });
        }
        if begun.is_none()
            && let Some(why) = self.split_brain(&seen).await
        {
            return Ok(Observed::Impossible { why });
        }
        Ok(match &seen {
            Seen { source: None, .. } if seen.serves() => Observed::Done { detail: format!("{name} follows nobody") },
            Seen { source: None, status, .. } => {
                Observed::InProgress { detail: format!("{name} follows nobody and is {status}") }
            }
            // The API has no word of its own for a promotion.
            Seen { status, .. } if status == "modifying" => {
                Observed::InProgress { detail: format!("{name} is being modified") }
            }
            Seen { source: Some(source), status, .. } => {
                Observed::NotDone { detail: format!("{name} follows {source} and is {status}") }
            }
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let (name, seen) = (&self.replica().name, self.replica().look().await?);
        let source = seen.source.unwrap_or_else(|| "nobody".into());
        Ok(Preview {
            summary: format!("{name}: replica → database of its own in {}", self.replica().region),
            diff: vec![
                format!("  PromoteReadReplica {name}, in {}", self.replica().region),
                format!("- {name} follows {source}"),
                format!("+ {name} follows nobody and takes writes"),
            ],
            pre_image: json!({ "source": source, "status": seen.status }),
        })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let (rds, replica) = (&*self.rds, self.replica());
        let (seen, lag, old_writer) = tokio::join!(replica.look(), rds.lag_of(replica).newest(), self.old_writer());
        let seen = seen?;
        let mut guards = vec![ready(&replica.name, &seen)];
        let point = match lag {
            Ok(Some(lag)) => Some(lag.point(&replica.region)),
            Ok(None) => {
                guards.push(Guard::warn("replica-lag", "CloudWatch has no ReplicaLag of the last 30 minutes"));
                None
            }
            Err(fault) => {
                guards.push(Guard::warn("replica-lag", fault.what));
                None
            }
        };
        if let Some(why) = &seen.broken {
            guards.push(Guard::warn("replication", format!("the API says that replication is {why}")));
        }
        guards.push(
            Guard::warn("settings", "parameter group, alarms and backups are not inherited: see the checklist")
                .situational(),
        );
        let promotion = PromotionFacts { old_writer, quorum: None, recovery_point: point, lossless: false };
        Ok(Checked { guards, promotion: Some(promotion) })
    }

    async fn apply(&self, _: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let replica = self.replica();
        log.line(&format!("PromoteReadReplica {} in {}", replica.name, replica.region));
        replica.promote().await?;
        Ok(Receipt::from([("promoted".to_owned(), replica.name.clone())]))
    }

    async fn verify(&self, _: &Begun, log: &dyn StepLog) -> Result<Verified, Fault> {
        let (replica, seen) = (self.replica(), self.replica().look().await?);
        let detail = format!("{} is {}", replica.name, seen.status);
        log.line(&detail);
        if seen.status.starts_with("failed") || seen.status.starts_with("incompatible-") {
            return Ok(Verified::Broken { why: detail });
        }
        if let Some(source) = &seen.source {
            return Ok(Verified::Pending { detail: format!("{detail} and still follows {source}") });
        }
        if !seen.serves() {
            return Ok(Verified::Pending { detail });
        }
        Ok(match met(replica, &seen).await {
            Met::Waits(words) => Verified::Pending { detail: format!("{detail}, follows nobody{words}") },
            // That it follows nobody is the API's word, and it answers: a password that was changed undoes neither.
            Met::Served(words) | Met::Unseen(words) => {
                Verified::Holds { detail: format!("{detail}, follows nobody{words}"), recovery_point: None }
            }
        })
    }

    async fn revert(&self, begun: &Begun, _: &dyn StepLog) -> Result<Receipt, Fault> {
        no_way_back(&self.rds, begun)
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        let needs = on(self.replica(), &["rds:PromoteReadReplica", "rds:DescribeDBInstances"]);
        let (fitness, login) = tokio::join!(self.rds.permits.fitness(&needs), login_guard(self.replica()));
        let mut fitness = fitness?;
        fitness.guards.extend(login);
        Ok(fitness)
    }

    fn by_hand(&self) -> Vec<String> {
        let (primary, replica) = (self.rds.other(self.replica()), self.replica());
        vec![
            format!(
                "# Is data corrupt rather than lost? {} repeats every write, wrong ones too: do not promote it, but",
                replica.name
            ),
            "# restore a new database to a moment before, with the backups that are kept in this region:".to_owned(),
            format!(
                "# aws rds describe-db-instance-automated-backups --region {} --db-instance-identifier {}",
                quoted(replica.region.as_str()),
                quoted(&primary.name)
            ),
            format!(
                "# aws rds restore-db-instance-to-point-in-time --region {} --source-db-instance-automated-backups-arn ARN --target-db-instance-identifier {} --restore-time 2026-01-31T12:00:00Z",
                quoted(replica.region.as_str()),
                quoted(&format!("{}-restored", primary.name))
            ),
            format!("# {} must be a replica and `available`; a backup that runs has to end first", replica.name),
            describe(replica, "DBInstanceStatus,ReadReplicaSourceDBInstanceIdentifier"),
            "# Run once. This cannot be undone.".to_owned(),
            aws_rds(replica, "promote-read-replica"),
            "# Verify: waits until it is available; then it has to follow nobody".to_owned(),
            aws_rds(replica, "wait db-instance-available"),
            describe(replica, "DBInstanceStatus,ReadReplicaSourceDBInstanceIdentifier"),
        ]
    }
}

/// Whether the API would take the call.
fn ready(name: &str, seen: &Seen) -> Guard {
    match seen.status.as_str() {
        "available" => Guard::pass("available", format!("{name} is available")),
        "backing-up" => {
            Guard::block("available", format!("{name} is backing up: RDS promotes nothing meanwhile; wait"))
        }
        other => Guard::block("available", format!("{name} is {other}: RDS refuses to promote it")),
    }
}

impl Promote {
    fn replica(&self) -> &Database {
        match &self.region {
            Some(region) => self.rds.of_region(Some(region)),
            None => &self.rds.replica,
        }
    }

    /// A replica that was promoted before, by whomever, while its source goes on: what is written there never comes here, and nobody may
    /// take this one for the copy that a failover needs.
    async fn split_brain(&self, seen: &Seen) -> Option<String> {
        if seen.follows() || !seen.serves() {
            return None;
        }
        let (replica, source) = (self.replica(), self.rds.other(self.replica()));
        let other = source.look().await.ok().filter(|other| !other.follows() && other.serves())?;
        Some(format!(
            "{} follows nobody, and {} in {} is {} and follows nobody, either: each has writes that the other lacks (split-brain), and nothing is left to promote. If {} \
             is out of date, set it aside and make a new replica; if clients write to it already, mark this step as done",
            replica.name, source.name, source.region, other.status, replica.name
        ))
    }

    /// The writer is gone only when neither its API nor its port answers: either alone may be cut off.
    async fn old_writer(&self) -> OldWriter {
        let primary = self.rds.other(self.replica());
        let (seen, answers) = tokio::join!(primary.look(), primary.answers(None));
        let answers = match (&seen, answers) {
            (Ok(seen), None) => primary.answers(Some(seen)).await,
            (_, answers) => answers,
        };
        old_writer(&seen, answers.as_ref())
    }
}

/// What the API says of the old writer, and what its port says, if that was tried.
fn old_writer(seen: &Result<Seen, Fault>, answers: Option<&Result<(), No>>) -> OldWriter {
    match (seen, answers) {
        // Whom it refuses, it refuses alive.
        (_, Some(Ok(()) | Err(No::Refused(_) | No::Full(_)))) => OldWriter::Reachable,
        (Ok(seen), _) if seen.serves() => OldWriter::Reachable,
        (Ok(seen), _) if seen.status == "stopped" => OldWriter::Fenced,
        (Ok(_), _) => OldWriter::Unknown,
        // Of an API that only puts us off, or of a port that nobody tried or could try, nothing is known.
        (Err(fault), Some(Err(No::Silent(_)))) if is_silence(fault) => OldWriter::Unreachable,
        (Err(_), _) => OldWriter::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(status: &str) -> Result<Seen, Fault> {
        Ok(Seen::for_test(status))
    }

    #[test]
    fn a_writer_is_gone_only_when_everything_was_tried_and_nothing_answers() {
        let (silent, open, dead) = (
            || Err(Fault::transient("database", "RDS in us-east-1 did not answer within 2.5 s")),
            Some(Ok(())),
            Some(Err(No::Silent("no answer".to_owned()))),
        );
        let full = Some(Err(No::Full("1040 Too many connections".to_owned())));
        let unasked = Some(Err(No::Unasked("no such name".to_owned())));
        let logged_out = || {
            Err(Fault::transient("database", format!("{}they are still being got", crate::systems::aws::login::NONE)))
        };
        let throttled = || Err(Fault::transient("database", "DescribeDBInstances is throttled: SlowDown"));
        let denied = || Err(Fault::permanent("database", "DescribeDBInstances was refused (403): AccessDenied"));
        let rows = [
            ("both are silent", silent(), dead.clone(), OldWriter::Unreachable),
            ("the API is silent, and the port answers", silent(), open.clone(), OldWriter::Reachable),
            ("the API is silent, and nobody tried the port", silent(), None, OldWriter::Unknown),
            ("the API puts us off, and the port is silent", throttled(), dead.clone(), OldWriter::Unknown),
            ("the API refuses, and the port is silent", denied(), dead.clone(), OldWriter::Unknown),
            ("the API refuses, and the port answers", denied(), open, OldWriter::Reachable),
            ("the API is silent, and the port takes nobody more", silent(), full, OldWriter::Reachable),
            ("the API is silent, and this host finds no such name", silent(), unasked, OldWriter::Unknown),
            ("nobody is logged in, and the port is silent", logged_out(), dead.clone(), OldWriter::Unknown),
            ("the API says that it serves", seen("available"), dead.clone(), OldWriter::Reachable),
            ("the API says that it serves, and nobody tried", seen("backing-up"), None, OldWriter::Reachable),
            ("it is stopped", seen("stopped"), dead.clone(), OldWriter::Fenced),
            ("it is something in between", seen("rebooting"), dead, OldWriter::Unknown),
        ];
        for (what, seen, answers, wanted) in rows {
            assert_eq!(old_writer(&seen, answers.as_ref()), wanted, "{what}");
        }
    }
}
