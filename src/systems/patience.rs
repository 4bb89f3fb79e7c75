//! How long a target is waited for: a target that was silent for a while, with all the patience that it deserves, is asked again and
//! again, and not waited for as long each time. A failover from a dark region waits for it where nothing else can tell; each wait is
//! RTO.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So long a silence is remembered. Then it is waited for in full again: what became slow is not taken for silent from then on.
const REMEMBERED: Duration = Duration::from_secs(15);
/// Nothing may have been answered for so long before that silence: a server that is slow with one thing answers others meanwhile.
const NOTHING: Duration = Duration::from_secs(5);
/// The share of the full patience that is left then. An answer takes milliseconds where there is one.
const SHORT: u32 = 5;

/// What is known of the answers of one target.
pub struct Patience {
    full: Duration,
    known: Mutex<Known>,
}

#[derive(Clone, Copy)]
struct Known {
    /// An answer of any kind, or the beginning.
    answered: Instant,
    /// The end of a wait of the full length that brought none.
    silent: Option<Instant>,
}

impl Patience {
    pub fn new(full: Duration) -> Self {
        Self { full, known: Mutex::new(Known { answered: Instant::now(), silent: None }) }
    }

    /// How long to wait for an answer that is asked for now.
    pub fn now(&self) -> Wait {
        self.at(Instant::now())
    }

    fn at(&self, now: Instant) -> Wait {
        let known = self.known();
        let is_silent = known.silent.is_some_and(|silent| {
            now.saturating_duration_since(silent) < REMEMBERED
                && silent.saturating_duration_since(known.answered) > NOTHING + self.full
        });
        Wait { long: if is_silent { self.full / SHORT } else { self.full }, full: self.full }
    }

    /// `wait` is over. A short one that brought no answer does not say that none would have come.
    pub fn learn(&self, wait: Wait, answered: bool) {
        let (mut known, now) = (self.known(), Instant::now());
        if answered {
            known.answered = now;
        } else if wait.long == wait.full {
            known.silent = Some(now);
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    pub long: Duration,
    full: Duration,
}

impl Wait {
    /// `within 2.5 s`, `within 0.5 s, nor within 2.5 s shortly before`
    pub fn words(self) -> String {
        let within = |span: Duration| format!("within {:.1} s", span.as_secs_f64());
        match self.long == self.full {
            true => within(self.full),
            false => format!("{}, nor {} shortly before", within(self.long), within(self.full)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Duration = Duration::from_millis(2500);

    fn known(answered: u64, silent: Option<u64>) -> (Patience, Instant) {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let known = Known { answered: at(answered), silent: silent.map(at) };
        (Patience { full: FULL, known: Mutex::new(known) }, start)
    }

    #[test]
    fn only_what_was_silent_altogether_and_lately_is_waited_for_less() {
        for (answered, silent, now, short) in [
            (0, None, 100, false),
            (0, Some(20), 21, true),
            (0, Some(20), 34, true),
            (0, Some(20), 36, false),
            // It answered other things just before, or has answered since.
            (15, Some(20), 21, false),
            (22, Some(20), 23, false),
        ] {
            let (patience, start) = known(answered, silent);
            let wait = patience.at(start + Duration::from_secs(now));
            assert_eq!(wait.long < FULL, short, "answered {answered}, silent {silent:?}, now {now}");
        }
    }

    #[test]
    fn a_short_wait_proves_no_silence() {
        let (patience, _) = known(0, None);
        patience.learn(Wait { long: FULL / SHORT, full: FULL }, false);
        assert!(patience.known().silent.is_none());
        patience.learn(Wait { long: FULL, full: FULL }, false);
        assert!(patience.known().silent.is_some());
    }

    #[test]
    fn a_wait_is_told_as_it_was() {
        assert_eq!(Wait { long: FULL, full: FULL }.words(), "within 2.5 s");
        assert_eq!(Wait { long: FULL / SHORT, full: FULL }.words(), "within 0.5 s, nor within 2.5 s shortly before");
    }
}
