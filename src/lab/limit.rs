//! Rate limits: so many at once, then one every so often, at the lab's pace.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::world::Pace;

/// How long somebody is asked to wait who is refused for nothing that they did, at the nominal pace.
pub const PENALTY: Duration = Duration::from_secs(30);

/// One limit for each key: a token, a channel.
pub struct Limit {
    every: Duration,
    burst: u32,
    /// When each key will have been still for as long as it has to be; in the past is as good as absent.
    due: BTreeMap<String, Instant>,
}

impl Limit {
    /// `burst` at once, and then one `every` so often (nominal).
    pub fn new(every: Duration, burst: u32) -> Self {
        Self { every, burst, due: BTreeMap::new() }
    }

    /// Counts one more of `key`.
    ///
    /// # Errors
    /// How long it has to wait; then it did not count.
    pub fn take(&mut self, key: &str, now: Instant, pace: Pace) -> Result<(), Duration> {
        self.due.retain(|_, due| *due > now);
        let every = pace.scale(self.every);
        let due = self.due.get(key).copied().unwrap_or(now);
        let wait = due.saturating_duration_since(now + every * self.burst.saturating_sub(1));
        if !wait.is_zero() {
            return Err(wait);
        }
        self.due.insert(key.to_owned(), due + every);
        Ok(())
    }
}

/// `Retry-After` knows whole seconds only: rounded up, so that nobody is told to come back too early.
pub fn retry_after(wait: Duration) -> String {
    wait.as_secs_f64().ceil().max(1.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_at_a_time() {
        let (second, start) = (Duration::from_secs(1), Instant::now());
        let mut limit = Limit::new(2 * second, 3);
        let pace = Pace(2.0);
        for _ in 0..3 {
            assert_eq!(limit.take("a", start, pace), Ok(()));
        }
        assert_eq!(limit.take("a", start, pace), Err(second));
        assert_eq!(limit.take("b", start, pace), Ok(()));
        assert_eq!(limit.take("a", start + second, pace), Ok(()));
        assert_eq!(limit.take("a", start + second, pace), Err(second));
        for _ in 0..3 {
            assert_eq!(limit.take("a", start + 9 * second, pace), Ok(()));
        }
    }

    #[test]
    fn nobody_is_told_to_come_back_too_early() {
        assert_eq!(retry_after(Duration::from_millis(5)), "1");
        assert_eq!(retry_after(Duration::from_millis(29_001)), "30");
    }
}
