//! The steps of RDS.

mod failover;
mod promote;
mod protect;
mod writable;

use std::sync::Arc;

use self::failover::Failover;
use self::promote::Promote;
use self::protect::{Backups, CreateReplica, SetAside};
use self::writable::Writable;
use super::Rds;
use super::database::Database;
use super::greeting::No;
use super::seen::Seen;
use super::session::Says;
use crate::domain::plan::StepSpec;
use crate::domain::system::{Begun, Fault, Guard, Receipt, Step};
use crate::systems::looking::Looking;
use crate::systems::permits::{Need, On};
use crate::systems::shell::quoted;

pub fn step(rds: &Arc<Rds>, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
    let rds = rds.clone();
    match spec.kind.as_str() {
        "rds.promote-replica" => Ok(Arc::new(Promote { rds, region: spec.region.clone() })),
        "rds.set-aside" => Ok(Arc::new(SetAside { rds, region: spec.region.clone() })),
        "rds.backups" => {
            let days = i32::try_from(spec.params.integer("days")?).unwrap_or(i32::MAX);
            Ok(Arc::new(Backups { rds, region: spec.region.clone(), days }))
        }
        "rds.create-replica" => {
            let key = spec.params.text("kms_key")?.to_owned();
            Ok(Arc::new(CreateReplica { rds, region: spec.region.clone(), key }))
        }
        "rds.failover-az" => Ok(Arc::new(Failover { rds, region: spec.region.clone() })),
        "rds.writable" => Ok(Arc::new(Looking(Writable { rds, region: spec.region.clone() }))),
        other => Err(Fault::permanent(&rds.id, format!("there is no step `{other}`")).next("run `mayday kinds`")),
    }
}

/// What a client meets at a database that follows nobody by its API's word.
pub enum Met {
    /// It is served, as far as could be seen: the words say how far.
    Served(String),
    /// Not yet.
    Waits(String),
    /// It answers, and the login that would have shown whether it takes writes came to nothing on our side.
    Unseen(String),
}

/// Asks as a client does; the words follow what is said of the database.
async fn met(database: &Database, seen: &Seen) -> Met {
    match database.answers(Some(seen)).await {
        None => return Met::Served(String::new()),
        Some(Err(no)) => return Met::Waits(format!(", but {}", no.words())),
        Some(Ok(())) => {}
    }
    match database.says(Some(seen)).await {
        None => Met::Served(" and answers clients".to_owned()),
        Some(Ok(Says::TakesWrites)) => Met::Served(", answers clients and takes writes".to_owned()),
        Some(Ok(says)) => Met::Waits(format!(" and answers clients, but {}", says.words())),
        Some(Err(No::Refused(why) | No::Unasked(why))) => {
            Met::Unseen(format!(" and answers clients; whether it takes writes was not seen: {why}"))
        }
        Some(Err(no)) => Met::Waits(format!(" and answers clients, but {}", no.words())),
    }
}

/// Whether the login works that shows whether a database takes writes; nothing where nobody may log in.
async fn login_guard(database: &Database) -> Option<Guard> {
    const NAME: &str = "login";
    Some(match database.says(database.look().await.as_ref().ok()).await? {
        Ok(says) => Guard::pass(NAME, format!("{} says that it {}", database.name, says.words())),
        Err(no) => {
            Guard::warn(NAME, format!("whether {} takes writes could not be seen: {}", database.name, no.words()))
        }
    })
}

/// Actions on a database, for the question whether they are allowed.
fn on(database: &Database, actions: &[&'static str]) -> Vec<Need> {
    let on = On::database(database.region.as_str(), &database.name);
    actions.iter().map(|action| Need::new(action, on.clone())).collect()
}

fn no_way_back(rds: &Rds, _: &Begun) -> Result<Receipt, Fault> {
    Err(Fault::permanent(&rds.id, "there is no way back from this step").next("see `mayday kinds` for what there is"))
}

/// `aws rds <verb> --region … --db-instance-identifier …`
fn aws_rds(database: &Database, verb: &str) -> String {
    format!("aws rds {verb} --region {} --db-instance-identifier {}", database.region, quoted(&database.name))
}

/// A look at `fields` of a database.
fn describe(database: &Database, fields: &str) -> String {
    let query = quoted(&format!("DBInstances[0].[{fields}]"));
    format!("{} --query {query} --output text", aws_rds(database, "describe-db-instances"))
}
