//! How many connections a relay takes: as many as the config allows, until it turns one back. Then as many as it let in.

use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::transport::smtp::client::AsyncSmtpConnection;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// For how long a connection is kept that nobody uses: relays hang up on idle ones after a minute or more.
const FRESH: Duration = Duration::from_secs(30);

/// How long a relay may take to answer a command.
pub const ANSWER: Duration = Duration::from_secs(30);

/// The longest that a letter waits for its turn.
const TURN: Duration = Duration::from_secs(120);

/// So long after it turned one back a relay is tried with as many as before.
const AGAIN: Duration = Duration::from_secs(60);

pub struct Lanes {
    count: Mutex<Count>,
    free: Notify,
    /// Somebody was let in, or not, or has gone.
    settled: Notify,
    kept: tokio::sync::Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

struct Count {
    /// Those who have leave.
    used: usize,
    /// Of these, those who ask to be let in, and those whom the relay has let in.
    entering: usize,
    inside: usize,
    most: usize,
    /// As many as the config allows, and when the relay turned one back last.
    allowed: usize,
    turned: Option<Instant>,
}

/// The leave to use one connection.
pub struct Lane<'l> {
    lanes: &'l Lanes,
    place: AtomicU8,
}

/// Where the connection of a lane is.
const OUTSIDE: u8 = 0;
const ENTERING: u8 = 1;
const INSIDE: u8 = 2;

impl Lanes {
    pub fn new(most: usize) -> Self {
        let count = Count { used: 0, entering: 0, inside: 0, most, allowed: most, turned: None };
        Self { count: Mutex::new(count), free: Notify::new(), settled: Notify::new(), kept: Default::default() }
    }

    fn count(&self) -> std::sync::MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its turn.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn enter(&self) -> Result<Lane<'_>, String> {
        match timeout(TURN, self.turn()).await {
            Ok(()) => Ok(Lane { lanes: self, place: AtomicU8::new(OUTSIDE) }),
            Err(_) => Err(format!("the relay takes no more connections, and none was free for {} s", TURN.as_secs())),
        }
    }

    async fn turn(&self) {
        loop {
            let freed = self.free.notified();
            {
                let mut count = self.count();
                if count.turned.is_some_and(|at| at.elapsed() > AGAIN) {
                    (count.most, count.turned) = (count.allowed, None);
                }
                if count.used < count.most {
                    count.used += 1;
                    return;
                }
            }
            freed.await;
        }
    }

    /// A connection that was kept and is fresh.
    pub async fn kept(&self) -> Option<AsyncSmtpConnection> {
        loop {
            // The lock ends with the statement: the others need not wait for the relay's answer.
            let (connection, since) = self.kept.lock().await.pop()?;
            if since.elapsed() < FRESH {
                return Some(connection);
            }
            give_up(connection).await;
        }
    }

    /// Keeps a connection for the next letter; no more of them than there may be.
    pub async fn keep(&self, connection: AsyncSmtpConnection) {
        let most = self.count().most;
        let mut kept = self.kept.lock().await;
        kept.push((connection, Instant::now()));
        if kept.len() > most {
            let (oldest, _) = kept.remove(0);
            drop(kept);
            give_up(oldest).await;
        }
    }
}

impl Lane<'_> {
    /// This one asks to be let in.
    pub fn enters(&self) {
        self.leave();
        self.place.store(ENTERING, Ordering::Relaxed);
        self.lanes.count().entering += 1;
    }

    /// The relay has let this one in.
    pub fn is_in(&self) {
        self.leave();
        self.place.store(INSIDE, Ordering::Relaxed);
        self.lanes.count().inside += 1;
        self.lanes.settled.notify_waiters();
    }

    fn leave(&self) {
        let place = self.place.swap(OUTSIDE, Ordering::Relaxed);
        {
            let mut count = self.lanes.count();
            match place {
                ENTERING => count.entering = count.entering.saturating_sub(1),
                INSIDE => count.inside = count.inside.saturating_sub(1),
                _ => {}
            }
        }
        self.lanes.settled.notify_waiters();
    }

    /// This one was not let in. If others of ours are, or will be, there are no more than those from now on, and this waits until one of
    /// them is through; else the relay lets nobody in.
    pub async fn turn_back(&self) -> bool {
        self.leave();
        loop {
            let mut settled = pin!(self.lanes.settled.notified());
            // From here on it hears of everything.
            settled.as_mut().enable();
            {
                let mut count = self.lanes.count();
                if count.inside > 0 {
                    count.used = count.used.saturating_sub(1);
                    (count.most, count.turned) = (count.inside + count.entering, Some(Instant::now()));
                    break;
                }
                if count.entering == 0 {
                    return false;
                }
            }
            settled.await;
        }
        let came = timeout(TURN, self.lanes.turn()).await.is_ok();
        if !came {
            // The leave is given back when this one goes, so it has to have one.
            self.lanes.count().used += 1;
        }
        came
    }
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        self.leave();
        {
            let mut count = self.lanes.count();
            count.used = count.used.saturating_sub(1);
        }
        self.lanes.free.notify_one();
    }
}

/// Ends a connection that is of no more use; its transaction ends with it.
pub async fn give_up(mut connection: AsyncSmtpConnection) {
    let _ = timeout(ANSWER, connection.abort()).await;
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_is_turned_back_waits_for_those_who_were_let_in() {
        let lanes = Lanes::new(3);
        let (first, second, third) =
            (lanes.enter().await.unwrap(), lanes.enter().await.unwrap(), lanes.enter().await.unwrap());
        assert!(lanes.enter().now_or_never().is_none(), "three are all");
        assert!(!third.turn_back().await, "nobody is let in: there is nobody to wait for");
        first.is_in();
        second.is_in();
        let mut waits = Box::pin(third.turn_back());
        assert!(waits.as_mut().now_or_never().is_none(), "it waits");
        drop(first);
        assert!(waits.await, "and has its turn");
        let of = || {
            let count = lanes.count();
            (count.used, count.inside, count.most)
        };
        assert_eq!(of(), (2, 1, 2), "there are fewer from now on");
        third.enters();
        third.is_in();
        assert_eq!(of(), (2, 2, 2));
        drop((second, third));
        assert_eq!(of(), (0, 0, 2));
    }

    #[tokio::test]
    async fn who_is_turned_back_while_others_still_ask_waits_for_what_they_hear() {
        for (let_in, wanted) in [(true, true), (false, false)] {
            let lanes = Lanes::new(2);
            let (first, second) = (lanes.enter().await.unwrap(), lanes.enter().await.unwrap());
            first.enters();
            second.enters();
            let mut waits = Box::pin(second.turn_back());
            assert!(waits.as_mut().now_or_never().is_none(), "the first may be let in yet");
            if let_in {
                first.is_in();
            } else {
                assert!(!first.turn_back().await, "nobody is");
            }
            if let_in {
                assert!(waits.as_mut().now_or_never().is_none(), "it waits for its turn");
                drop(first);
            }
            assert_eq!(waits.await, wanted);
        }
    }
}
