//! Members, roles, lag and the recovery point.

use super::Rds;
use super::database::Database;
use super::greeting::No;
use super::seen::{Cluster, Seen};
use crate::domain::health::Status;
use crate::domain::recovery::{Lag, Member, Role, Survey};
use crate::domain::system::Fault;
use crate::domain::time::{At, Span, seconds_between};
use crate::systems::aws::told;

/// A database as its API and its clients see it.
struct Sight {
    seen: Result<Seen, Fault>,
    answers: Option<Result<(), No>>,
}

impl Sight {
    async fn of(database: &Database) -> Self {
        // Where it takes connections may be known without the API; then neither waits for the other.
        let (seen, answers) = tokio::join!(database.look(), database.answers(None));
        let answers = match (&seen, answers) {
            (Ok(seen), None) => database.answers(Some(seen)).await,
            (_, answers) => answers,
        };
        Self { seen, answers }
    }

    fn status(&self) -> Status {
        match (&self.answers, &self.seen) {
            (Some(Err(No::Silent(_) | No::Full(_))), _) => Status::Down,
            (Some(Err(No::Refused(_))), Err(_)) => Status::Unknown,
            (_, Ok(seen)) => seen.health(),
            (Some(Ok(())), Err(_)) => Status::Healthy,
            (None, Err(_)) => Status::Unknown,
        }
    }

    fn words(&self) -> String {
        match (&self.seen, &self.answers) {
            (Ok(seen), Some(Err(no))) => format!("{}; {}", seen.words(), no.words()),
            (Ok(seen), _) => seen.words(),
            (Err(fault), Some(Ok(()))) => format!("answers clients; {}", told(fault)),
            (Err(fault), _) => told(fault),
        }
    }
}

impl Rds {
    pub async fn survey(&self) -> Survey {
        let (primary, replica) = tokio::join!(Sight::of(&self.primary), Sight::of(&self.replica));
        // Only the API says who follows; a primary that it is silent about has been the writer so far.
        let follows = |sight: &Sight| sight.seen.as_ref().is_ok_and(Seen::follows);
        let (copy, sight, writer) = match follows(&primary) && !follows(&replica) {
            true => (&self.primary, &primary, &replica),
            false => (&self.replica, &replica, &primary),
        };
        let mut notes = Vec::new();
        for (database, sight) in [(&self.primary, &primary), (&self.replica, &replica)] {
            notes.extend(sight.seen.as_ref().ok().and_then(|seen| seen.clustered(&database.name)));
        }
        let lag = self.lag_of(copy).newest().await.unwrap_or_else(|fault| {
            notes.push(format!("ReplicaLag is unknown: {}", fault.what));
            None
        });
        let point = lag.filter(|_| follows(sight)).map(|lag| lag.point(&copy.region));
        notes.extend(writer.seen.as_ref().ok().and_then(restorable));
        let shown = |database: &Database, sight: &Sight, silent: Role| {
            let role = role(sight, silent);
            let lag = lag.filter(|lag| role == Role::Replica && database.region == copy.region && lag.is_fresh());
            member(database, sight, role, lag.map(|lag| Lag::Seconds(lag.lag)))
        };
        let members = vec![shown(&self.primary, &primary, Role::Writer), shown(&self.replica, &replica, Role::Unknown)];
        Survey { members, standby_point: point, notes }
    }
}

/// The part a database plays; `silent` when its API does not say.
fn role(sight: &Sight, silent: Role) -> Role {
    match &sight.seen {
        Ok(Seen { cluster: Some(Cluster { writes: None, .. }), .. }) => Role::Unknown,
        Ok(seen) if seen.follows() => Role::Replica,
        Ok(seen) if seen.serves() => Role::Writer,
        Ok(_) if silent == Role::Writer => Role::Writer,
        Ok(_) => Role::Other,
        Err(_) => silent,
    }
}

fn member(database: &Database, sight: &Sight, role: Role, lag: Option<Lag>) -> Member {
    let (name, region) = (database.name.clone(), Some(database.region.clone()));
    Member { name, region, role, status: sight.status(), lag, detail: sight.words() }
}

/// `restorable in its own region to 14:02:11Z, 4m ago; kept 7 days`
fn restorable(seen: &Seen) -> Option<String> {
    let at = seen.restorable?;
    let ago = std::time::Duration::from_secs_f64(seconds_between(at, At::now()).max(0.0).floor());
    let (clock, days) = (at.strftime("%H:%M:%SZ"), seen.retention_days);
    Some(format!("restorable in its own region to {clock}, {} ago; kept {days} days", Span(ago)))
}
