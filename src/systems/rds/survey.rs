//! Members, roles, lag and the recovery point.

use super::Rds;
use super::database::Database;
use super::greeting::No;
use super::seen::{Cluster, Seen};
use super::session::Says;
use crate::domain::health::Status;
use crate::domain::recovery::{Lag, Member, Role, Survey};
use crate::domain::system::Fault;
use crate::domain::time::{At, Span, seconds_between};
use crate::systems::aws::told;

/// A database as its API and its clients see it.
struct Sight {
    seen: Result<Seen, Fault>,
    answers: Option<Result<(), No>>,
    /// What it says of itself, where somebody may log in.
    says: Option<Result<Says, No>>,
}

impl Sight {
    async fn of(database: &Database) -> Self {
        // Where it takes connections may be known without the API; then neither waits for the other.
        let (seen, answers) = tokio::join!(database.look(), database.answers(None));
        let answers = match (&seen, answers) {
            (Ok(seen), None) => database.answers(Some(seen)).await,
            (_, answers) => answers,
        };
        let says = match &answers {
            Some(Ok(())) => database.says(seen.as_ref().ok()).await,
            _ => None,
        };
        Self { seen, answers, says }
    }

    fn status(&self) -> Status {
        match (&self.answers, &self.says, &self.seen) {
            (Some(Err(No::Silent(_) | No::Full(_))), ..) | (_, Some(Err(No::Silent(_) | No::Full(_))), _) => {
                Status::Down
            }
            (Some(Err(No::Refused(_) | No::Unasked(_))), _, Err(_)) => Status::Unknown,
            // Its API calls it a writer, and it is none.
            (_, Some(Ok(Says::Follows | Says::ReadOnly(_))), Ok(seen)) if !seen.follows() && seen.serves() => {
                Status::Degraded
            }
            (.., Ok(seen)) => seen.health(),
            (Some(Ok(())), _, Err(_)) => Status::Healthy,
            (None, _, Err(_)) => Status::Unknown,
        }
    }

    fn words(&self) -> String {
        let words = match (&self.seen, &self.answers) {
            (Ok(seen), Some(Err(no))) => format!("{}; {}", seen.words(), no.words()),
            (Ok(seen), _) => seen.words(),
            (Err(fault), Some(Ok(()))) => format!("answers clients; {}", told(fault)),
            (Err(fault), _) => told(fault),
        };
        match &self.says {
            None => words,
            Some(Ok(says)) => format!("{words}; it {}", says.words()),
            Some(Err(no)) => format!("{words}; whether it takes writes was not seen: {}", no.words()),
        }
    }

    /// Whether it takes its data from another one, by the API or else by its own word.
    fn follows(&self) -> bool {
        match &self.seen {
            Ok(seen) => seen.follows(),
            Err(_) => matches!(self.says, Some(Ok(Says::Follows))),
        }
    }
}

impl Rds {
    pub async fn survey(&self) -> Survey {
        let (primary, replica) = tokio::join!(Sight::of(&self.primary), Sight::of(&self.replica));
        // A primary that nobody tells anything about has been the writer so far.
        let (copy, sight, writer) = match primary.follows() && !replica.follows() {
            true => (&self.primary, &primary, &replica),
            false => (&self.replica, &replica, &primary),
        };
        let mut notes = Vec::new();
        for (database, sight) in [(&self.primary, &primary), (&self.replica, &replica)] {
            notes.extend(sight.seen.as_ref().ok().and_then(|seen| seen.clustered(&database.name)));
        }
        let lag = match sight.seen.as_ref().is_ok_and(|seen| seen.cluster.is_some()) {
            // The metrics of a cluster have other names.
            true => Ok(None),
            false => self.lag_of(copy).newest().await,
        };
        let lag = lag.unwrap_or_else(|fault| {
            notes.push(format!("ReplicaLag is unknown: {}", fault.what));
            None
        });
        let point = lag.filter(|_| sight.seen.as_ref().is_ok_and(Seen::follows)).map(|lag| lag.point(&copy.region));
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
        Err(_) => match &sight.says {
            Some(Ok(Says::TakesWrites)) => Role::Writer,
            Some(Ok(Says::Follows)) => Role::Replica,
            _ => silent,
        },
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
