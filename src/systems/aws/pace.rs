//! The pace of reads: everybody in an account shares the rate of an API, so who is put off asks more rarely until he is answered again.
//! What changes something is never held back by it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);
/// A read waits so long for its turn at most; one that would wait longer is not sent.
const WAIT: Duration = Duration::from_secs(2);

/// How fast one API may be asked.
#[derive(Default)]
pub struct Pace(Mutex<Known>);

#[derive(Clone, Copy, Default)]
struct Known {
    /// How far apart reads are: longer each time that it puts us off, shorter with each answer.
    gap: Duration,
    /// When the next one has its turn.
    next: Option<Instant>,
}

impl Pace {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its turn. A look asks several things one after the other: put off once, they go apart from each other, so that a look as
    /// a whole gets through where a burst of it would not.
    ///
    /// # Errors
    /// How long it would have to wait, when that is too long for a read.
    pub async fn turn(&self) -> Result<(), Duration> {
        let left = self.turn_at(Instant::now())?;
        if !left.is_zero() {
            tokio::time::sleep(left).await;
        }
        Ok(())
    }

    /// Takes the next turn, and tells how far it is.
    fn turn_at(&self, now: Instant) -> Result<Duration, Duration> {
        let mut known = self.known();
        let turn = known.next.unwrap_or(now).max(now);
        let left = turn - now;
        if left > WAIT {
            return Err(left);
        }
        known.next = Some(turn + known.gap);
        Ok(left)
    }

    /// It put us off.
    pub fn throttled(&self) {
        let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |it| it.subsec_nanos());
        self.throttled_at(Instant::now(), f64::from(nanos % 1000) / 1000.0);
    }

    /// `dice` is from 0 to 1: not everybody comes back at the same moment.
    fn throttled_at(&self, now: Instant, dice: f64) {
        let mut known = self.known();
        known.gap = known.gap.saturating_mul(2).clamp(FIRST, LONGEST);
        known.next = Some(now + known.gap.mul_f64(0.75 + dice / 4.0));
    }

    /// It answered.
    pub fn answered(&self) {
        let mut known = self.known();
        // Quickly back to about the rate that others leave, and slowly beyond it.
        known.gap = known.gap.mul_f64(if known.gap > FIRST * 2 { 0.75 } else { 0.95 });
        if known.gap < FIRST / 4 {
            *known = Known::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(pace: &Pace, now: Instant) -> u128 {
        pace.known().next.map_or(0, |next| next.saturating_duration_since(now).as_millis())
    }

    #[test]
    fn who_is_put_off_again_and_again_asks_more_rarely_and_soon_as_before_when_answered() {
        let (pace, now) = (Pace::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pace.throttled_at(now, 1.0);
            pauses.push(left(&pace, now));
        }
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
        pace.throttled_at(now, 0.0);
        assert_eq!(left(&pace, now), 3750, "not everybody at the same moment");
        pace.answered();
        pace.throttled_at(now, 1.0);
        assert_eq!(left(&pace, now), 5000, "one answer is no peace");
        for _ in 0..50 {
            pace.answered();
        }
        assert_eq!(left(&pace, now), 0, "many are");
    }

    /// An account that lets five reads a second through, of which a look takes nine.
    #[test]
    fn a_look_of_many_reads_gets_through_where_its_burst_would_not() {
        let (pace, start) = (Pace::default(), Instant::now());
        let (mut now, mut asked) = (start, Vec::<Instant>::new());
        let mut look = || {
            (0..9).all(|_| {
                now += pace.turn_at(now).expect("near enough");
                let lately = asked.iter().filter(|at| now.duration_since(**at) < Duration::from_secs(1)).count();
                if lately < 5 {
                    asked.push(now);
                    pace.answered();
                } else {
                    pace.throttled_at(now, 0.5);
                }
                lately < 5
            })
        };
        let needed = (0..20).position(|_| look());
        assert!(needed.is_some_and(|looks| looks <= 3), "{needed:?}");
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
