//! How many connections a relay takes: as many as the config allows, until it turns one back. Then as many as it let in.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::transport::smtp::client::AsyncSmtpConnection;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::relay::give_up;

/// For how long a connection is kept that nobody uses: relays hang up on idle ones after a minute or more.
const FRESH: Duration = Duration::from_secs(30);

/// The longest that a letter waits for its turn.
const TURN: Duration = Duration::from_secs(120);

/// So long after it turned one back a relay is tried with as many as before.
const AGAIN: Duration = Duration::from_secs(60);

pub struct Lanes {
    count: Mutex<Count>,
    free: Notify,
    kept: tokio::sync::Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

struct Count {
    /// Those who have leave.
    used: usize,
    /// Of these, those whom the relay has let in.
    inside: usize,
    most: usize,
    /// As many as the config allows, and when the relay turned one back last.
    allowed: usize,
    turned: Option<Instant>,
}

/// The leave to use one connection.
pub struct Lane<'l> {
    lanes: &'l Lanes,
    inside: AtomicBool,
}

impl Lanes {
    pub fn new(most: usize) -> Self {
        let count = Count { used: 0, inside: 0, most, allowed: most, turned: None };
        Self { count: Mutex::new(count), free: Notify::new(), kept: Default::default() }
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
            Ok(()) => Ok(Lane { lanes: self, inside: AtomicBool::new(false) }),
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
    /// The relay has let this one in.
    pub fn is_in(&self) {
        if !self.inside.swap(true, Ordering::Relaxed) {
            self.lanes.count().inside += 1;
        }
    }

    fn is_out(&self) {
        if self.inside.swap(false, Ordering::Relaxed) {
            let mut count = self.lanes.count();
            count.inside = count.inside.saturating_sub(1);
        }
    }

    /// This one was not let in. If others of ours are, there are no more than those from now on, and this waits until one of them is
    /// through; else the relay lets nobody in.
    pub async fn turn_back(&self) -> bool {
        self.is_out();
        {
            let mut count = self.lanes.count();
            if count.inside == 0 {
                return false;
            }
            count.used = count.used.saturating_sub(1);
            (count.most, count.turned) = (count.inside, Some(Instant::now()));
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
        self.is_out();
        let mut count = self.lanes.count();
        count.used = count.used.saturating_sub(1);
        drop(count);
        self.lanes.free.notify_one();
    }
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
        let of = |lanes: &Lanes| (lanes.count().used, lanes.count().most);
        assert_eq!(of(&lanes), (2, 2), "there are fewer from now on");
        drop((second, third));
        assert_eq!((lanes.count().used, lanes.count().inside), (0, 0));
    }
}
