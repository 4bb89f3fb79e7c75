//! Readings: what the API says, and whether a client is answered. They are two things: the API of a region may be down while its
//! databases serve, and the other way round.

use std::time::Instant;

use super::Rds;
use crate::domain::estate::ProbeSpec;
use crate::domain::health::Reading;

impl Rds {
    pub async fn probe(&self, spec: &ProbeSpec) -> Reading {
        let started = Instant::now();
        let database = self.of_side(spec);
        let seen = database.look().await;
        if spec.kind == "rds.instance" {
            let reading = match seen {
                Ok(seen) => Reading::new(seen.health(), seen.words()),
                // An API that does not answer is no database that is down.
                Err(fault) => Reading::unknown(fault.what),
            };
            return reading.took(started.elapsed());
        }
        let reading = match database.answers(seen.as_ref().ok()).await {
            Some(Ok(())) => Reading::healthy(format!("{} answers a client", database.name)),
            Some(Err(why)) => Reading::down(why),
            None => Reading::unknown("where it takes connections is not known, or `connect = false`"),
        };
        reading.took(started.elapsed())
    }
}
