//! What protects a promoted database again: `rds.set-aside` frees the old one's name, `rds.backups` switches automated backups on, and
//! `rds.create-replica` makes a replica in the region that was left.
//!
//! The old instance keeps its data under another name until somebody drops it: what it wrote last may be what the failover lost.
//! <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_RenameInstance.html>: the name and with it the endpoint change, which
//! takes up to ten minutes. <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ReadRepl.XRgn.html>: a replica is made from
//! the region where it shall be, of a source that keeps automated backups; an encrypted one needs a key of that region.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::super::Rds;
use super::super::database::Database;
use super::super::seen::Seen;
use super::{aws_rds, describe, no_way_back, on};
use crate::domain::ids::RegionId;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};
use crate::domain::time::At;
use crate::systems::aws::partition;
use crate::systems::shell::quoted;

/// Gives the database of a region another name, so that a replica can have its own.
pub struct SetAside {
    pub rds: Arc<Rds>,
    pub region: Option<RegionId>,
}

impl SetAside {
    fn database(&self) -> &Database {
        self.rds.of_region(self.region.as_ref())
    }

    fn new_name(begun: &Value) -> Option<&str> {
        begun["as"].as_str()
    }
}

/// A database that stands on its own.
fn stands_alone(seen: &Seen) -> bool {
    seen.source.is_none()
}

#[async_trait]
impl Step for SetAside {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        let (name, seen) = (&self.database().name, self.database().find().await?);
        Ok(match seen {
            None => Observed::Done { detail: format!("no database is named {name}") },
            Some(seen) if seen.cluster.is_some() => {
                Observed::Impossible { why: seen.clustered(name).unwrap_or_default() }
            }
            Some(seen) if !stands_alone(&seen) => Observed::Done { detail: format!("{name} is a replica already") },
            Some(seen) if seen.status == "renaming" => Observed::InProgress { detail: format!("{name} is renaming") },
            Some(seen) => {
                Observed::NotDone { detail: format!("{name} is {} and has a history of its own", seen.status) }
            }
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let database = self.database();
        let name = &database.name;
        let new = format!("{name}-until-{}", At::now().strftime("%Y%m%d-%H%M"));
        Ok(Preview {
            summary: format!("{name} → {new}; its data stays until somebody drops it"),
            diff: vec![
                format!("  ModifyDBInstance {name} NewDBInstanceIdentifier={new}, in {}", database.region),
                format!("- {name}"),
                format!("+ {new}"),
            ],
            pre_image: json!({ "as": new }),
        })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let other = self.rds.other(self.database());
        let guard = match other.look().await? {
            seen if stands_alone(&seen) && seen.serves() => {
                Guard::pass("other-writer", format!("{} in {} is the writer", other.name, other.region))
            }
            seen => Guard::block(
                "other-writer",
                format!(
                    "{} is {} and no writer: the database to be set aside may be the only one",
                    other.name, seen.status
                ),
            ),
        };
        let endpoint = Guard::warn("endpoint", "its endpoint changes with its name: what still uses it is cut off");
        Ok(Checked { guards: vec![guard, endpoint.situational()], promotion: None })
    }

    async fn apply(&self, pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let database = self.database();
        let new = Self::new_name(pre_image)
            .ok_or_else(|| Fault::permanent(&self.rds.id, "the journal holds no new name").next("retry the step"))?;
        log.line(&format!("ModifyDBInstance {} NewDBInstanceIdentifier={new}", database.name));
        database.rename(&database.name, new).await?;
        Ok(Receipt::from([("renamed-to".to_owned(), new.to_owned())]))
    }

    async fn verify(&self, _: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        Ok(match self.observe(None).await? {
            Observed::Done { detail } => Verified::Holds { detail, recovery_point: None },
            other => Verified::Pending { detail: other.words().to_owned() },
        })
    }

    async fn revert(&self, begun: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let database = self.database();
        let Some(new) = Self::new_name(&begun.pre_image) else { return no_way_back(&self.rds, begun) };
        let (back, aside) = (database.find().await?, database.find_called(new).await?);
        if back.is_some_and(|seen| stands_alone(&seen)) || aside.is_some_and(|seen| seen.status == "renaming") {
            log.line(&format!("{} has its name back, or gets it", database.name));
            return Ok(Receipt::from([("renamed-to".to_owned(), database.name.clone())]));
        }
        log.line(&format!("ModifyDBInstance {new} NewDBInstanceIdentifier={}", database.name));
        database.rename(new, &database.name).await?;
        Ok(Receipt::from([("renamed-to".to_owned(), database.name.clone())]))
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        self.rds.permits.fitness(&on(self.database(), &["rds:ModifyDBInstance", "rds:DescribeDBInstances"])).await
    }

    fn by_hand(&self) -> Vec<String> {
        let database = self.database();
        let new = quoted(&format!("{}-old", database.name));
        vec![
            "# The old database keeps its data under another name".to_owned(),
            format!(
                "{} --new-db-instance-identifier {new} --apply-immediately",
                aws_rds(database, "modify-db-instance")
            ),
            "# Verify: under its old name there is nothing".to_owned(),
            describe(database, "DBInstanceStatus"),
        ]
    }
}

/// Switches automated backups on, or makes them be kept for longer.
pub struct Backups {
    pub rds: Arc<Rds>,
    pub region: Option<RegionId>,
    pub days: i32,
}

impl Backups {
    fn database(&self) -> &Database {
        self.rds.of_region(self.region.as_ref())
    }
}

#[async_trait]
impl Step for Backups {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        let seen = self.database().look().await?;
        if let Some(why) = seen.clustered(&self.database().name) {
            return Ok(Observed::Impossible { why });
        }
        let detail = format!("{} keeps backups for {} days", self.database().name, seen.retention_days);
        Ok(match seen.retention_days >= self.days {
            true => Observed::Done { detail },
            false => Observed::NotDone { detail },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let (database, seen) = (self.database(), self.database().look().await?);
        let (name, days) = (&database.name, seen.retention_days);
        Ok(Preview {
            summary: format!("{name}: automated backups kept {days} → {} days", self.days),
            diff: vec![
                format!("  ModifyDBInstance {name}, in {}", database.region),
                format!("- BackupRetentionPeriod {days}"),
                format!("+ BackupRetentionPeriod {}", self.days),
            ],
            pre_image: json!({ "days": days }),
        })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let seen = self.database().look().await?;
        let guard = match seen.retention_days {
            0 => Guard::warn(
                "first-backup",
                "the first backup begins at once, and input and output may stall for a moment",
            ),
            _ => Guard::pass("first-backup", "backups run already: nothing is interrupted"),
        };
        Ok(Checked { guards: vec![guard.situational()], promotion: None })
    }

    async fn apply(&self, _: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let database = self.database();
        log.line(&format!("ModifyDBInstance {} BackupRetentionPeriod={}", database.name, self.days));
        database.keep_backups(self.days).await?;
        Ok(Receipt::from([("days".to_owned(), self.days.to_string())]))
    }

    /// Not by the setting: by a moment that the database can be restored to, later than the one before the change.
    async fn verify(&self, begun: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        let (name, seen) = (&self.database().name, self.database().look().await?);
        let to = |at: At| {
            format!("{name} keeps {} days and can be restored to {}", seen.retention_days, at.strftime("%T UTC"))
        };
        Ok(match seen.restorable {
            _ if seen.retention_days < self.days => {
                Verified::Pending { detail: format!("{name} still keeps {} days", seen.retention_days) }
            }
            Some(at) if seen.serves() => Verified::Holds { detail: to(at), recovery_point: None },
            _ => Verified::Pending {
                detail: format!(
                    "{name} is {}; nothing to restore to since {}",
                    seen.status,
                    begun.at.strftime("%T UTC")
                ),
            },
        })
    }

    async fn revert(&self, begun: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let days = begun.pre_image["days"].as_i64().and_then(|days| i32::try_from(days).ok());
        let Some(days) = days else { return no_way_back(&self.rds, begun) };
        if self.database().look().await?.retention_days != days {
            log.line(&format!("ModifyDBInstance {} BackupRetentionPeriod={days}", self.database().name));
            self.database().keep_backups(days).await?;
        }
        Ok(Receipt::from([("days".to_owned(), days.to_string())]))
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        self.rds.permits.fitness(&on(self.database(), &["rds:ModifyDBInstance", "rds:DescribeDBInstances"])).await
    }

    fn by_hand(&self) -> Vec<String> {
        let (database, days) = (self.database(), self.days);
        vec![
            format!("{} --backup-retention-period {days} --apply-immediately", aws_rds(database, "modify-db-instance")),
            "# Verify: the moment it can be restored to moves on".to_owned(),
            describe(database, "BackupRetentionPeriod,LatestRestorableTime"),
        ]
    }
}

/// Makes a replica in a region of the database in the other one.
pub struct CreateReplica {
    pub rds: Arc<Rds>,
    pub region: Option<RegionId>,
    /// The key of an encrypted copy, of the replica's region.
    pub key: String,
}

impl CreateReplica {
    fn sides(&self) -> (&Database, &Database) {
        let replica = self.rds.of_region(self.region.as_ref());
        (replica, self.rds.other(replica))
    }
}

/// Whether an encrypted copy could be made with `key` in `region`: keys belong to one region, and two partitions want a signed URL besides.
fn key_guard(source: &Seen, key: &str, region: &RegionId) -> Option<Guard> {
    const NAME: &str = "key";
    let partition = partition::of(region.as_str());
    let of = key.strip_prefix("arn:").and_then(|rest| rest.split(':').nth(2));
    match (source.encrypted, of) {
        (false, _) => None,
        (true, _) if partition.signs_copies => Some(Guard::block(
            NAME,
            format!(
                "{} wants a signed URL for the copy of an encrypted database, which Mayday does not make: create the replica by hand (`b`), \
                 the `aws` command signs by `--source-region`",
                partition.name
            ),
        )),
        (true, Some(elsewhere)) if elsewhere != region.as_str() => {
            Some(Guard::block(NAME, format!("`kms_key` is of {elsewhere}: a copy in {region} needs a key of {region}")))
        }
        (true, _) => Some(Guard::pass(NAME, format!("encrypted with {key} in {region}"))),
    }
}

#[async_trait]
impl Step for CreateReplica {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        let (replica, source) = self.sides();
        let (name, from) = (&replica.name, &source.name);
        let found = replica.find().await?;
        if let Some(why) = found.as_ref().and_then(|seen| seen.clustered(name)) {
            return Ok(Observed::Impossible { why });
        }
        Ok(match found {
            None => Observed::NotDone { detail: format!("there is no {name} in {}", replica.region) },
            Some(Seen { source: None, .. }) => {
                let why = format!(
                    "{name} in {} has a history of its own: set it aside under another name first",
                    replica.region
                );
                Observed::Impossible { why }
            }
            Some(Seen { source: Some(whom), .. }) if whom.rsplit(':').next() != Some(from.as_str()) => {
                Observed::Impossible { why: format!("{name} follows {whom}, not {from}") }
            }
            Some(seen) if seen.serves() => Observed::Done { detail: format!("{name} follows {from}") },
            Some(seen) => Observed::InProgress { detail: format!("{name} is {}", seen.status) },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let (replica, source) = self.sides();
        let (name, region, from) = (&replica.name, &replica.region, &source.name);
        Ok(Preview {
            summary: format!("{name} in {region}: a new replica of {from} in {}", source.region),
            diff: vec![format!("  CreateDBInstanceReadReplica, in {region}"), format!("+ {name} follows {from}")],
            pre_image: Value::Null,
        })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let seen = self.sides().1.look().await?;
        let backups = match seen.retention_days {
            0 => Guard::block("source-backups", "the source keeps no automated backups: RDS makes no replica of it"),
            days => Guard::pass("source-backups", format!("the source keeps backups for {days} days")),
        };
        let writer = match stands_alone(&seen) && seen.serves() {
            true => Guard::pass("source", format!("the source is {}", seen.words())),
            false => Guard::block("source", format!("the source is no writer: {}", seen.words())),
        };
        let inherited = Guard::warn("settings", "parameter group, Multi-AZ and alarms are not inherited").situational();
        let mut guards = vec![backups, writer, inherited];
        guards.extend(key_guard(&seen, &self.key, &self.sides().0.region));
        Ok(Checked { guards, promotion: None })
    }

    async fn apply(&self, _: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let (replica, source) = self.sides();
        let seen = source.look().await?;
        let Some(arn) = &seen.arn else {
            return Err(Fault::permanent(&self.rds.id, format!("the API does not say the ARN of {}", source.name)));
        };
        log.line(&format!("CreateDBInstanceReadReplica {} of {arn} in {}", replica.name, replica.region));
        replica.create_of(arn, seen.encrypted.then_some(self.key.as_str())).await?;
        Ok(Receipt::from([("created".to_owned(), replica.name.clone())]))
    }

    async fn verify(&self, _: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        let (replica, _) = self.sides();
        let detail = match self.observe(None).await? {
            Observed::Done { detail } => detail,
            Observed::Impossible { why } => return Ok(Verified::Broken { why }),
            other => return Ok(Verified::Pending { detail: other.words().to_owned() }),
        };
        Ok(match self.rds.lag_of(replica).newest().await? {
            Some(lag) if lag.is_fresh() => {
                Verified::Holds { detail: format!("{detail}, ReplicaLag {:.1} s", lag.lag), recovery_point: None }
            }
            _ => Verified::Pending { detail: format!("{detail}; CloudWatch has no ReplicaLag of it yet") },
        })
    }

    async fn revert(&self, begun: &Begun, _: &dyn StepLog) -> Result<Receipt, Fault> {
        no_way_back(&self.rds, begun)
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        let actions = ["rds:CreateDBInstanceReadReplica", "rds:DescribeDBInstances"];
        self.rds.permits.fitness(&on(self.sides().0, &actions)).await
    }

    fn by_hand(&self) -> Vec<String> {
        let (replica, source) = self.sides();
        let field = quoted("DBInstances[0].DBInstanceArn");
        vec![
            format!("arn=$({} --query {field} --output text)", aws_rds(source, "describe-db-instances")),
            "# Once, in the region of the replica".to_owned(),
            format!(
                "{} --source-db-instance-identifier \"$arn\" --source-region {} --kms-key-id {}",
                aws_rds(replica, "create-db-instance-read-replica"),
                source.region,
                quoted(&self.key)
            ),
            "# Verify".to_owned(),
            aws_rds(replica, "wait db-instance-available"),
            describe(replica, "DBInstanceStatus,ReadReplicaSourceDBInstanceIdentifier"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::system::GuardVerdict::{Block, Pass};

    #[test]
    fn an_encrypted_copy_needs_a_key_of_its_own_region() {
        let (mut encrypted, plain) = (Seen::for_test("available"), Seen::for_test("available"));
        encrypted.encrypted = true;
        let arn = |region: &str| format!("arn:aws:kms:{region}:1:key/k");
        for (seen, key, region, wanted) in [
            (&plain, "alias/aws/rds".to_owned(), "us-west-2", None),
            (&encrypted, "alias/aws/rds".to_owned(), "us-west-2", Some(Pass)),
            (&encrypted, arn("us-west-2"), "us-west-2", Some(Pass)),
            (&encrypted, arn("us-east-1"), "us-west-2", Some(Block)),
            (&encrypted, "alias/aws/rds".to_owned(), "us-gov-west-1", Some(Block)),
        ] {
            let guard = key_guard(seen, &key, &RegionId::from(region));
            assert_eq!(guard.map(|it| it.verdict), wanted, "{key} in {region}");
        }
    }
}
