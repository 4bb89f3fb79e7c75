//! Readings: what the API says, and whether a client is answered. They are two things: the API of a region may be down while its
//! databases serve, and the other way round.

use std::time::Instant;

use tokio::time::timeout;

use super::Rds;
use super::database::Database;
use super::greeting::No;
use crate::domain::estate::ProbeSpec;
use crate::domain::health::Reading;
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
            _ => {
                let late = || Reading::down(format!("{} answers no client", database.name));
                timeout(patience, asked(database)).await.unwrap_or_else(|_| late())
            }
        };
        reading.took(started.elapsed())
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
        Some(Err(No::Silent(why) | No::Full(why))) => Reading::down(why),
        None => {
            Reading::unknown("where it takes connections is not known, or how its engine greets, or `connect = false`")
        }
    }
}
