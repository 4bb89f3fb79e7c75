//! Where a call runs that may never come back: beside everything else, once at a time, and joined by whoever else wants the same. A
//! file on a mount that hangs costs one thread for as long as it hangs, and no more.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use zeroize::Zeroizing;

/// A stack for work that reads a file or two.
const STACK: usize = 512 * 1024;

type Landing<T> = watch::Receiver<Option<T>>;

/// Work that is under way once at most.
pub struct Flight<T>(Mutex<Option<Landing<T>>>);

impl<T> Default for Flight<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Flight<T> {
    fn slot(&self) -> MutexGuard<'_, Option<Landing<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins what is under way, or has `start` begin it, which hands the outcome to what it is given. Whoever gives up waiting leaves
    /// it under way. `None` when it could not be begun, or ended without an outcome.
    pub async fn join(&self, start: impl FnOnce(watch::Sender<Option<T>>)) -> Option<T> {
        let mut landing = {
            let mut slot = self.slot();
            let open = |it: &&Landing<T>| it.borrow().is_none() && it.has_changed().is_ok();
            let under_way = slot.as_ref().filter(open).cloned();
            under_way.unwrap_or_else(|| {
                let (sender, landing) = watch::channel(None);
                *slot = Some(landing.clone());
                start(sender);
                landing
            })
        };
        let landed = landing.wait_for(Option::is_some).await.ok().and_then(|landed| (*landed).clone());
        let mut slot = self.slot();
        // It may be a secret: it is kept no longer than needed.
        if slot.as_ref().is_some_and(|it| it.borrow().is_some()) {
            *slot = None;
        }
        landed
    }
}

/// Runs `work` in a thread of its own. When there is none to be had, `work` is dropped, and whoever waits for it learns that.
pub fn thread(name: &str, work: impl FnOnce() + Send + 'static) {
    let begun = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(work);
    if let Err(error) = begun {
        tracing::warn!(%error, "no thread could be started");
    }
}

type Content = Result<Arc<Zeroizing<Vec<u8>>>, ErrorKind>;

/// By path. What is read is named in the config, so there are few.
static READS: Mutex<BTreeMap<PathBuf, Arc<Flight<Content>>>> = Mutex::new(BTreeMap::new());

/// A file's first `most` bytes and one more, if there is one.
///
/// # Errors
/// When it cannot be read, or no thread could be started to read it (out of memory).
pub async fn file(path: &Path, most: usize) -> Content {
    let flight = READS.lock().unwrap_or_else(PoisonError::into_inner).entry(path.to_owned()).or_default().clone();
    let owned = path.to_owned();
    let read = flight.join(|landing| {
        thread("file", move || {
            let content = read(&owned, most);
            landing.send_replace(Some(content));
        });
    });
    read.await.unwrap_or(Err(ErrorKind::OutOfMemory))
}

fn read(path: &Path, most: usize) -> Content {
    let file = std::fs::File::open(path).map_err(|error| error.kind())?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.kind())?;
    Ok(Arc::new(bytes))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_file_that_hangs_costs_one_thread_and_is_read_when_it_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hangs");
        // Nobody writes to it: opening it hangs, as on a mount whose server is gone.
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let flight = READS.lock().unwrap().entry(path.clone()).or_default().clone();
        for _ in 0..20 {
            assert!(timeout(Duration::from_millis(5), file(&path, 100)).await.is_err(), "it cannot be read");
        }
        let joined = file(&path, 100);
        let (writer, read) = tokio::join!(tokio::fs::write(&path, "at last"), joined);
        writer.unwrap();
        assert_eq!(read.unwrap().as_slice(), b"at last");
        assert!(flight.slot().is_none(), "what was read is not kept");
    }

    #[tokio::test]
    async fn who_comes_later_joins_and_what_ends_without_an_outcome_is_begun_anew() {
        let (flight, begun) = (Arc::new(Flight::<u32>::default()), Arc::new(AtomicUsize::new(0)));
        assert_eq!(flight.join(drop).await, None);
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let mut gone = Some(gone);
        let mut start = |landing: watch::Sender<Option<u32>>| {
            begun.fetch_add(1, Ordering::Relaxed);
            let gone = gone.take().unwrap();
            tokio::spawn(async move {
                let _ = gone.await;
                landing.send_replace(Some(7));
            });
        };
        assert!(timeout(Duration::from_millis(5), flight.join(&mut start)).await.is_err());
        let later = flight.join(|_| panic!("a second one was begun"));
        go.send(()).unwrap();
        assert_eq!((later.await, begun.load(Ordering::Relaxed)), (Some(7), 1));
    }
}
