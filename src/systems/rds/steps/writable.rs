//! `rds.writable`: the region's database follows nobody, answers clients, and says itself that it takes writes, where somebody may log in.

use std::sync::Arc;

use async_trait::async_trait;

use super::super::Rds;
use super::super::database::Database;
use super::super::greeting::Engine;
use super::{Met, describe, met};
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
        let reach = match database.answers(Some(&seen)).await {
            Some(Ok(())) => format!("{words} and answers clients"),
            Some(Err(no)) => return Ok(Guard::warn("reach", format!("{words}, but {}", no.words()))),
            None => {
                let what = format!("{words}; whether it answers clients is not known: nobody may try");
                return Ok(Guard::warn("reach", what));
            }
        };
        Ok(match database.says(Some(&seen)).await {
            None => Guard::pass("reach", reach),
            // What it will be is not what it is.
            Some(Ok(says)) => Guard::pass("reach", format!("{reach}; now it {}", says.words())),
            Some(Err(no)) => {
                Guard::warn("reach", format!("{reach}; whether it takes writes could not be seen: {}", no.words()))
            }
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
        Ok(match met(database, &seen).await {
            Met::Waits(words) => Verified::Pending { detail: format!("{detail}{words}") },
            Met::Served(words) => Verified::Holds { detail: format!("{detail}{words}"), recovery_point: None },
            // It will not come by waiting, and a guess is not what this step is for.
            Met::Unseen(words) => Verified::Broken { why: format!("{detail}{words}") },
        })
    }

    fn by_hand(&self) -> Vec<String> {
        let database = self.database();
        vec![
            "# available, and nobody that it follows".to_owned(),
            describe(database, "DBInstanceStatus,ReadReplicaSourceDBInstanceIdentifier,Endpoint.Address"),
            "# what it says of itself, with RDS's authorities (https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem):".to_owned(),
            match database.engine() {
                Some(Engine::MySql) => {
                    "mysql --host \"$ADDRESS\" --user \"$ROLE\" -p --ssl-mode=VERIFY_IDENTITY --ssl-ca=global-bundle.pem -e 'select @@global.read_only, @@global.innodb_read_only'".to_owned()
                }
                Some(Engine::SqlServer | Engine::Oracle) => "# write something, by a client of its own".to_owned(),
                Some(Engine::Postgres) | None => {
                    "psql \"host=$ADDRESS user=$ROLE sslmode=verify-full sslrootcert=global-bundle.pem\" -c 'select pg_is_in_recovery()'".to_owned()
                }
            },
        ]
    }
}
