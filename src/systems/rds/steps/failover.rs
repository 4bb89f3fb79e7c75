//! `rds.failover-az`: the standby in the other zone takes over. Its copy is written in step with the writer, so nothing is lost.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::super::Rds;
use super::super::database::Database;
use super::{Met, aws_rds, describe, met, no_way_back, on};
use crate::domain::ids::RegionId;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, OldWriter, Preview, PromotionFacts, Receipt, Step, StepLog,
    Verified,
};
use crate::systems::permits::{Need, On};

pub struct Failover {
    pub rds: Arc<Rds>,
    /// Whose database it is; the primary's of the config when left out.
    pub region: Option<RegionId>,
}

#[async_trait]
impl Step for Failover {
    async fn observe(&self, begun: Option<&Begun>) -> Result<Observed, Fault> {
        let database = self.database();
        let seen = database.look().await?;
        let detail = format!("{} is {} in {}", database.name, seen.status, seen.zone);
        if let Some(why) = seen.clustered(&database.name) {
            return Ok(Observed::Impossible { why });
        }
        if !seen.multi_az {
            let why = format!("{} is not Multi-AZ: there is no other zone to fail over to", database.name);
            return Ok(Observed::Impossible { why });
        }
        let Some(begun) = begun else { return Ok(Observed::NotDone { detail }) };
        Ok(match (seen.serves(), self.is_over(&seen.zone, begun).await?) {
            (true, true) => Observed::Done { detail },
            (true, false) => Observed::NotDone { detail },
            (false, _) => Observed::InProgress { detail },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let (name, seen) = (&self.database().name, self.database().look().await?);
        let other = seen.other_zone.unwrap_or_else(|| "its other zone".into());
        Ok(Preview {
            summary: format!("{name}: {} → {other}, 1 to 2 minutes without a writer", seen.zone),
            diff: vec![
                format!("  RebootDBInstance {name} ForceFailover=true, in {}", self.database().region),
                format!("- {name} writes in {}", seen.zone),
                format!("+ {name} writes in {other}"),
            ],
            pre_image: json!({ "zone": seen.zone }),
        })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let (name, seen) = (&self.database().name, self.database().look().await?);
        let available = match seen.is_available() {
            true => Guard::pass("available", format!("{name} is available")),
            false => Guard::block("available", format!("{name} is {}: RDS refuses to reboot it", seen.status)),
        };
        let standby = match (&seen.other_zone, seen.multi_az) {
            (Some(zone), true) => Guard::pass("multi-az", format!("its standby is in {zone}")),
            (None, true) => Guard::warn("multi-az", "it is Multi-AZ, and the API does not say where its standby is"),
            (_, false) => Guard::block("multi-az", "it is not Multi-AZ"),
        };
        let promotion =
            PromotionFacts { old_writer: OldWriter::Fenced, quorum: None, recovery_point: None, lossless: true };
        Ok(Checked { guards: vec![available, standby], promotion: Some(promotion) })
    }

    async fn apply(&self, _: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let database = self.database();
        log.line(&format!("RebootDBInstance {} ForceFailover=true in {}", database.name, database.region));
        database.fail_over().await?;
        Ok(Receipt::from([("rebooted".to_owned(), database.name.clone())]))
    }

    async fn verify(&self, begun: &Begun, log: &dyn StepLog) -> Result<Verified, Fault> {
        let database = self.database();
        let seen = database.look().await?;
        let detail = format!("{} is {} in {}", database.name, seen.status, seen.zone);
        log.line(&detail);
        if !seen.serves() || !self.is_over(&seen.zone, begun).await? {
            return Ok(Verified::Pending { detail });
        }
        Ok(match met(database, &seen).await {
            Met::Waits(words) => Verified::Pending { detail: format!("{detail}{words}") },
            Met::Served(words) | Met::Unseen(words) => {
                Verified::Holds { detail: format!("{detail}{words}"), recovery_point: None }
            }
        })
    }

    async fn revert(&self, begun: &Begun, _: &dyn StepLog) -> Result<Receipt, Fault> {
        no_way_back(&self.rds, begun)
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        // Its events have no resources of their own.
        let mut needs = on(self.database(), &["rds:RebootDBInstance", "rds:DescribeDBInstances"]);
        needs.push(Need::new("rds:DescribeEvents", On::Any));
        self.rds.permits.fitness(&needs).await
    }

    fn by_hand(&self) -> Vec<String> {
        let database = self.database();
        let zones = "DBInstanceStatus,MultiAZ,AvailabilityZone,SecondaryAvailabilityZone";
        vec![
            "# It must be Multi-AZ and `available`".to_owned(),
            describe(database, zones),
            "# Once: 1 to 2 minutes without a writer".to_owned(),
            format!("{} --force-failover", aws_rds(database, "reboot-db-instance")),
            "# Verify: the event comes first, the zones may be shown minutes late".to_owned(),
            format!(
                "aws rds describe-events --region {} --source-type db-instance --source-identifier {} --duration 15",
                database.region,
                crate::systems::shell::quoted(&database.name)
            ),
            describe(database, zones),
        ]
    }
}

impl Failover {
    fn database(&self) -> &Database {
        self.rds.of_region(self.region.as_ref())
    }

    /// The API may name the old zone for minutes, so either sign will do: another zone, or the event that it is over.
    async fn is_over(&self, zone: &str, begun: &Begun) -> Result<bool, Fault> {
        let moved = begun.pre_image["zone"].as_str().is_some_and(|old| old != zone);
        Ok(moved || self.database().failed_over_since(begun.at).await?)
    }
}
