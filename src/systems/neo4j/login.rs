//! Logins that do not lock anybody out. Neo4j locks a user for everybody after three wrong passwords (`dbms.security.auth_max_failed_attempts`),
//! and one that is tried at every look keeps it locked. So logins go to a server one after the other, and a password that was refused is
//! tried again only after a while, or when it is another.
//! <https://neo4j.com/docs/operations-manual/current/configuration/configuration-settings/>

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use tokio::time::Instant;

use crate::domain::system::Fault;
use crate::outbound::secret::Secret;

/// What the code of an error that refuses the user begins with (<https://neo4j.com/docs/status-codes/current/errors/all-errors/>).
pub const SECURITY: &str = "Neo.ClientError.Security.";
/// The code of a login that is refused and does not say why.
pub const UNAUTHORIZED: &str = "Neo.ClientError.Security.Unauthorized";

/// How long a refused password is not tried; each refusal doubles it.
const FIRST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(600);

/// A refusal that still counts.
struct Refused {
    password: Secret,
    fault: Fault,
    since: Instant,
    pause: Duration,
}

/// What came of the last login at a server.
#[derive(Default)]
pub struct Gate(Option<Refused>);

impl Gate {
    /// # Errors
    /// When this password was refused lately.
    pub fn admits(&self, password: &Secret, now: Instant) -> Result<(), Fault> {
        let past = |it: &Refused| now.saturating_duration_since(it.since);
        let same = |it: &&Refused| it.password.expose() == password.expose() && past(it) < it.pause;
        let Some(refused) = self.0.as_ref().filter(same) else { return Ok(()) };
        let mut fault = refused.fault.clone();
        let left = refused.pause.saturating_sub(past(refused)).as_secs();
        fault.what = format!("{}; it is tried again in {left} s, so that nobody is locked out", fault.what);
        fault.next = format!("{}; another password is tried as soon as it is read", fault.next);
        Err(fault)
    }

    pub fn refused(&mut self, password: Secret, fault: &Fault, now: Instant) {
        let before = self.0.as_ref().filter(|it| it.password.expose() == password.expose());
        let pause = before.map_or(FIRST, |it| (it.pause * 2).min(LONGEST));
        self.0 = Some(Refused { password, fault: fault.clone(), since: now, pause });
    }

    pub fn admitted(&mut self) {
        self.0 = None;
    }
}

/// The gates of all servers.
#[derive(Default)]
pub struct Gates(Mutex<BTreeMap<String, Arc<Turn<Gate>>>>);

impl Gates {
    /// Waits for one's turn at a server.
    pub async fn turn(&self, url: &str) -> OwnedMutexGuard<Gate> {
        let gate = self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(url.to_owned()).or_default().clone();
        gate.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_password_waits_and_another_does_not() {
        let (mut gate, wrong, mut now) = (Gate::default(), Secret::new("stale"), Instant::now());
        let fault = Fault::permanent("graph", "bolt://g: unauthorized");
        for pause in [60, 120, 240, 480, 600, 600] {
            gate.refused(wrong.clone(), &fault, now);
            assert!(gate.admits(&wrong, now).unwrap_err().what.contains(&format!("again in {pause} s")));
            assert!(gate.admits(&Secret::new("fresh"), now).is_ok());
            now += Duration::from_secs(pause - 1);
            assert!(gate.admits(&wrong, now).is_err(), "{pause}");
            now += Duration::from_secs(1);
            assert!(gate.admits(&wrong, now).is_ok(), "{pause}");
        }
        gate.admitted();
        gate.refused(wrong.clone(), &fault, now);
        assert!(gate.admits(&wrong, now).unwrap_err().what.contains("again in 60 s"), "it begins anew");
    }
}
