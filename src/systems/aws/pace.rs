//! The pace of reads: everybody in an account shares the rate of an API, so who is put off asks more rarely until he is answered again.
//! What changes something is never held back by it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);
/// A read waits so long for its turn at most; one that would wait longer is not sent.
const WAIT: Duration = Duration::from_millis(600);

/// How fast one API may be asked.
#[derive(Default)]
pub struct Pace(Mutex<Known>);

#[derive(Clone, Copy, Default)]
struct Known {
    /// How often it put us off, less how often it answered since.
    refusals: u32,
    until: Option<Instant>,
}

impl Pace {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its turn.
    ///
    /// # Errors
    /// How long it would have to wait, when that is too long for a read.
    pub async fn turn(&self) -> Result<(), Duration> {
        let left = self.left(Instant::now());
        if left > WAIT {
            return Err(left);
        }
        if !left.is_zero() {
            tokio::time::sleep(left).await;
        }
        Ok(())
    }

    fn left(&self, now: Instant) -> Duration {
        self.known().until.map(|until| until.saturating_duration_since(now)).unwrap_or_default()
    }

    /// It put us off.
    pub fn throttled(&self) {
        let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |it| it.subsec_nanos());
        self.throttled_at(Instant::now(), f64::from(nanos % 1000) / 1000.0);
    }

    /// `dice` is from 0 to 1: not everybody comes back at the same moment.
    fn throttled_at(&self, now: Instant, dice: f64) {
        let mut known = self.known();
        known.refusals = (known.refusals + 1).min(16);
        let pause = FIRST.saturating_mul(1 << (known.refusals - 1).min(8)).min(LONGEST);
        known.until = Some(now + pause.mul_f64(0.75 + dice / 4.0));
    }

    /// It answered.
    pub fn answered(&self) {
        let mut known = self.known();
        known.refusals = known.refusals.saturating_sub(1);
        known.until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_put_off_again_and_again_asks_more_rarely_and_soon_as_before_when_answered() {
        let (pace, now) = (Pace::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pace.throttled_at(now, 1.0);
            pauses.push(pace.left(now).as_millis());
        }
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
        pace.throttled_at(now, 0.0);
        assert_eq!(pace.left(now).as_millis(), 3750, "not everybody at the same moment");
        pace.answered();
        assert!(pace.left(now).is_zero());
        pace.throttled_at(now, 1.0);
        assert_eq!(pace.left(now).as_millis(), 5000, "one answer is no peace");
    }

    #[tokio::test]
    async fn a_read_that_would_wait_long_is_not_sent() {
        let pace = Pace::default();
        assert_eq!(pace.turn().await, Ok(()));
        for _ in 0..5 {
            pace.throttled();
        }
        assert!(pace.turn().await.is_err());
    }
}
