//! Readings: what the API says, whether a client is answered, and what the database says of itself. They are different things: the API of
//! a region may be down while its databases serve, and the other way round.

use std::time::Instant;

use tokio::time::timeout;

use super::Rds;
use super::database::Database;
use super::greeting::No;
use super::session::Says;
use crate::domain::estate::ProbeSpec;
use crate::domain::health::Reading;
use crate::domain::system::Fault;
use crate::systems::aws::told as told_of;

impl Rds {
    pub async fn probe(&self, spec: &ProbeSpec) -> Reading {
        let (started, database) = (Instant::now(), self.of_side(spec));
        if spec.kind == "rds.instance"
            && let Err(fault) = database.logged_in_of(spec.timeout.0).await
        {
            return Reading::unknown(told_of(&fault)).took(started.elapsed());
        }
        // A little sooner than the caller, who takes silence for a target that is down.
        let patience = spec.timeout.0.mul_f64(0.9);
        let reading = match spec.kind.as_str() {
            // An API that does not answer is no database that is down.
            "rds.instance" => {
                let late = || Reading::unknown(format!("RDS in {} does not answer", database.region));
                timeout(patience, told(database)).await.unwrap_or_else(|_| late())
            }
            "rds.login" => {
                let expected = spec.params.opt_text("expect").unwrap_or("either");
                let late = || Reading::down(format!("{} answers no statement", database.name));
                timeout(patience, told_by_itself(database, expected)).await.unwrap_or_else(|_| late())
            }
            _ => {
                let late = || Reading::down(format!("{} answers no client", database.name));
                timeout(patience, asked(database)).await.unwrap_or_else(|_| late())
            }
        };
        reading.took(started.elapsed())
    }

    /// Why a probe could never tell anything.
    pub fn refuses(&self, spec: &ProbeSpec) -> Option<Fault> {
        let what = match self.of_side(spec).may_log_in() {
            Ok(()) => return None,
            Err(what) => what,
        };
        (spec.kind == "rds.login").then(|| {
            Fault::permanent(&self.id, what).next("set `username` and `password` of the system, or take the probe out")
        })
    }
}

/// Where it takes connections is asked of the API only when the config does not say.
async fn told_by_itself(database: &Database, expected: &str) -> Reading {
    let said = match database.says(None).await {
        Some(said) => Some(said),
        None => database.says(database.look().await.as_ref().ok()).await,
    };
    let name = &database.name;
    match said {
        None => Reading::unknown(format!(
            "{name} was not logged in to: where it takes connections is not known, how to log in to it is not known here, or `connect = false`"
        )),
        Some(Err(No::Refused(why))) => Reading::unknown(format!("refused: {why}")),
        Some(Err(No::Unasked(why))) => Reading::unknown(why),
        Some(Err(No::Silent(why) | No::Full(why))) => Reading::down(why),
        Some(Ok(says)) => match (expected, &says) {
            ("writes", Says::Follows | Says::ReadOnly(_)) => {
                Reading::down(format!("{name} {}, and should take them", says.words()))
            }
            ("reads", Says::TakesWrites) => Reading::down(format!("{name} takes writes, and should only read")),
            _ => Reading::healthy(format!("{name} {}", says.words())),
        },
    }
}

async fn told(database: &Database) -> Reading {
    match database.look().await {
        Ok(seen) => Reading::new(seen.health(), seen.words()),
        Err(fault) => Reading::unknown(told_of(&fault)),
    }
}

/// Where it takes connections is asked of the API only when the config does not say.
async fn asked(database: &Database) -> Reading {
    let answer = match database.answers(None).await {
        Some(answer) => Some(answer),
        None => database.answers(database.look().await.as_ref().ok()).await,
    };
    match answer {
        Some(Ok(())) => Reading::healthy(format!("{} answers a client", database.name)),
        Some(Err(No::Refused(why))) => Reading::unknown(format!("refused: {why}")),
        Some(Err(No::Unasked(why))) => Reading::unknown(why),
        Some(Err(No::Silent(why) | No::Full(why))) => Reading::down(why),
        None => {
            Reading::unknown("where it takes connections is not known, or how its engine greets, or `connect = false`")
        }
    }
}
