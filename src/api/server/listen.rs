//! The socket and its connections: each is bounded in size and in time, so that none of them can harm the engine or the others.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::patient::Patient;
use super::{Engines, Peer, Site, router};

/// How much is borne with. A peer is a program of a trusted user, so what goes beyond is a mistake, and still must not harm.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; more wait until one ends.
    pub connections: usize,
    /// Streams of events at once: always fewer than connections, so that requests get through however many watch.
    pub observers: usize,
    /// The largest head of a request, in bytes.
    pub head: usize,
    /// The largest body of a request, in bytes.
    pub body: usize,
    /// The longest that the head of a request may take from its beginning, and its body after that.
    pub sending: Duration,
    /// The group that the socket is shared with, as [`super::share`] said.
    pub group: Option<u32>,
    /// The longest that a peer may take none of what it is sent: a stopped terminal keeps no connection for good.
    pub taking: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            observers: 128,
            head: 32 * 1024,
            body: 64 * 1024,
            sending: Duration::from_secs(5),
            group: None,
            taking: Duration::from_secs(60),
        }
    }
}

/// How long answers under way may take when the engine ends.
const FAREWELL: Duration = Duration::from_secs(1);
/// The pause when a connection cannot be accepted: out of descriptors, most likely.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// Listens on a socket that only its owner can open, in a folder that exists. One that a dead engine left behind is replaced.
///
/// # Errors
/// When another engine answers there, something else is there, or the path cannot be listened on.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
        Ok(there) if !there.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is no socket is there"));
        }
        Ok(_) if BlockingStream::connect(path).is_ok() => {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another engine answers there"));
        }
        Ok(_) => fs::remove_file(path)?,
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves until `stop` is cancelled; a request to stop cancels it too. Answers under way are finished then, and streams end.
pub async fn serve(
    listener: UnixListener,
    path: PathBuf,
    engines: impl Into<Engines>,
    limits: Limits,
    stop: CancellationToken,
) {
    let engines = engines.into();
    let observers = Arc::new(Semaphore::new(limits.observers));
    let app = router(Site { engines, observers, limits, stop: stop.clone() });
    let connections = Arc::new(Semaphore::new(limits.connections));
    let talks = TaskTracker::new();
    loop {
        let (stream, permit) = tokio::select! {
            accepted = accept(&listener, &connections) => accepted,
            () = stop.cancelled() => break,
        };
        let talk = talk(stream, app.clone(), limits, stop.clone());
        talks.spawn(async move {
            talk.await;
            drop(permit);
        });
    }
    drop(listener);
    // A socket that stays behind is recognised and replaced by the next engine.
    let _ = fs::remove_file(path);
    talks.close();
    // Whoever is slower than that finds the engine gone.
    let _ = timeout(FAREWELL, talks.wait()).await;
}

/// The next connection, once there is room for it.
async fn accept(listener: &UnixListener, connections: &Arc<Semaphore>) -> (UnixStream, Option<OwnedSemaphorePermit>) {
    // Fails only when the semaphore is closed, which nobody does.
    let permit = connections.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(EXHAUSTED).await;
            }
        }
    }
}

/// One connection from its first byte to its last.
async fn talk(stream: UnixStream, app: Router, limits: Limits, stop: CancellationToken) {
    let peer = Peer::of(&stream).await;
    let service = TowerToHyperService::new(app.layer(Extension(peer)));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.sending).max_buf_size(limits.head);
    let talk = builder.serve_connection(TokioIo::new(Patient::new(stream, limits.taking)), service);
    let mut talk = pin!(talk);
    // How a connection ends is its peer's concern.
    tokio::select! {
        _ = talk.as_mut() => return,
        () = stop.cancelled() => {}
    }
    talk.as_mut().graceful_shutdown();
    let _ = talk.await;
}
