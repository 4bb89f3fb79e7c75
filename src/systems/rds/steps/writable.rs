//! `rds.writable`: the region's database follows nobody and answers clients.

use std::sync::Arc;

use async_trait::async_trait;

use super::super::Rds;
use super::super::database::Database;
use super::describe;
use crate::domain::ids::RegionId;
use crate::domain::system::{Fault, Guard, StepLog, Verified};
use crate::systems::looking::Look;

pub struct Writable {
    pub rds: Arc<Rds>,
    pub region: Option<RegionId>,
}

impl Writable {
    fn database(&self) -> &Database {
        self.rds.of_region(self.region.as_ref())
    }
}

#[async_trait]
impl Look for Writable {
    fn system(&self) -> &str {
        &self.rds.id
    }

    fn summary(&self) -> String {
        format!("look whether {} follows nobody and answers clients", self.database().name)
    }

    async fn reach(&self) -> Result<Guard, Fault> {
        let database = self.database();
        let seen = database.look().await?;
        let words = format!("{} is {} in {}", database.name, seen.status, seen.zone);
        Ok(match database.answers(Some(&seen)).await {
            Some(Ok(())) => Guard::pass("reach", format!("{words} and answers clients")),
            Some(Err(no)) => Guard::warn("reach", format!("{words}, but {}", no.words())),
            None => Guard::warn("reach", format!("{words}; whether it answers clients is not known: nobody may try")),
        })
    }

    async fn look(&self, _: &dyn StepLog) -> Result<Verified, Fault> {
        let database = self.database();
        let seen = database.look().await?;
        let detail = format!("{} is {} in {}", database.name, seen.status, seen.zone);
        if seen.follows() {
            let whom = seen.source.clone().unwrap_or_else(|| seen.words());
            return Ok(Verified::Pending { detail: format!("{detail} and follows {whom}: it takes no writes") });
        }
        if seen.cluster.as_ref().is_some_and(|cluster| cluster.writes.is_none()) {
            return Ok(Verified::Pending { detail: format!("{detail}: {}", seen.words()) });
        }
        if !seen.serves() {
            return Ok(Verified::Pending { detail });
        }
        Ok(match database.answers(Some(&seen)).await {
            Some(Err(no)) => Verified::Pending { detail: format!("{detail}, but {}", no.words()) },
            Some(Ok(())) => Verified::Holds { detail: format!("{detail} and answers clients"), recovery_point: None },
            None => Verified::Holds { detail, recovery_point: None },
        })
    }

    fn by_hand(&self) -> Vec<String> {
        let database = self.database();
        vec![
            "# available, and nobody that it follows".to_owned(),
            describe(database, "DBInstanceStatus,ReadReplicaSourceDBInstanceIdentifier,Endpoint.Address"),
            "# then a write of your own:".to_owned(),
            "psql \"host=$ADDRESS sslmode=require\" -c 'create temporary table mayday_canary ()'".to_owned(),
        ]
    }
}
