//! What is known of an API server by its answers: when it spoke last, and how late.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long an answer may take of a server of which nothing is known: a dark region must not hold up the others.
pub const READ: Duration = Duration::from_millis(2500);
/// How late an answer may come and still be one. Whoever takes longer to say its version serves nobody.
pub const LATE: Duration = Duration::from_secs(8);
/// For so long one that answered late is known to be slow.
const SLOW: Duration = Duration::from_secs(30);
/// For so long it is believed that a whole wait brought nothing.
const MUTE: Duration = Duration::from_secs(15);

/// What is known of a server's answers.
#[derive(Default)]
pub struct Ear(Mutex<Heard>);

#[derive(Clone, Copy, Default)]
struct Heard {
    /// When it answered last, whatever it said.
    answered: Option<Instant>,
    /// The same where nobody waits so long.
    late: Option<Instant>,
    /// When a whole wait ended that brought nothing.
    mute: Option<Instant>,
}

impl Ear {
    fn known(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn heard(&self) {
        self.known().answered = Some(Instant::now());
    }

    /// Whether the server has answered anything since then.
    pub fn since(&self, since: Instant) -> bool {
        self.known().answered.is_some_and(|at| at >= since)
    }

    /// Whether it is known to answer late.
    pub fn is_slow(&self) -> bool {
        self.known().late.is_some_and(|at| at.elapsed() < SLOW)
    }

    /// What came of a question that was put at `begun`.
    pub fn learnt(&self, answered: bool, begun: Instant) {
        let (mut known, now) = (self.known(), Instant::now());
        if answered {
            known.answered = Some(now);
            known.late = if begun.elapsed() > READ { Some(now) } else { known.late };
        } else if begun.elapsed() >= LATE {
            known.mute = Some(now);
        }
    }

    /// Whether a whole wait brought nothing lately, and nothing has come since.
    pub fn is_mute(&self) -> bool {
        let known = *self.known();
        known.mute.is_some_and(|at| at.elapsed() < MUTE && known.answered.is_none_or(|answered| answered < at))
    }
}

/// What a question after the version came to.
#[derive(Clone)]
pub enum Answer {
    Answered,
    /// Nobody is there, in words.
    Nobody(String),
    /// Nothing came within [`LATE`].
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So long ago.
    fn ago(long: Duration) -> Instant {
        Instant::now().checked_sub(long).expect("this host runs for longer")
    }

    #[tokio::test]
    async fn who_answers_late_is_slow_and_nobody_after_a_whole_wait() {
        let ear = Ear::default();
        let begun = ago(READ + Duration::from_millis(500));
        ear.learnt(true, begun);
        assert!(ear.is_slow() && ear.since(begun) && !ear.is_mute());
        ear.known().late = Some(ago(SLOW));
        assert!(!ear.is_slow(), "that was long ago");
        ear.learnt(false, ago(LATE));
        assert!(ear.is_mute());
        ear.heard();
        assert!(!ear.is_mute(), "it has spoken since");
        ear.learnt(false, ago(Duration::from_secs(1)));
        assert!(!ear.is_mute(), "a connection that broke is no silence");
        ear.learnt(true, ago(Duration::from_secs(1)));
        assert!(!ear.is_slow(), "it was within the time that everybody waits");
    }
}
