//! A way for neo4rs over a connection of ours. neo4rs opens its own, and trusts only this host's authorities; so it is led to a door on
//! loopback, and what it says there is carried over a wire that was opened by our own terms. On the way it is seen how the server began
//! and how it ended, which neo4rs does not tell, and numbers are written as neo4rs reads them.

use std::future::pending;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::packed::Mender;
use crate::outbound::stream::Wire;

/// So much of what the server says first is kept: its version of Bolt, and its answer to the login.
const HEAD: usize = 1024;
/// The answers over one connection are not larger.
const LARGEST: usize = 64 * 1024 * 1024;

/// What was seen of the server.
#[derive(Default)]
pub struct Seen {
    pub head: Vec<u8>,
    pub error: Option<io::Error>,
    size: usize,
}

type Shared = Arc<Mutex<Seen>>;

/// Ends with whoever holds it.
pub struct Relay {
    uri: String,
    seen: Shared,
    task: AbortOnDropHandle<()>,
}

impl Relay {
    /// Opens a door for exactly one connection, which goes to `wire`.
    ///
    /// # Errors
    /// When this host has no room for it.
    pub async fn start(wire: Box<dyn Wire>) -> io::Result<Self> {
        let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let uri = format!("bolt://{}", door.local_addr()?);
        let seen = Shared::default();
        let task = AbortOnDropHandle::new(tokio::spawn(carry(door, wire, seen.clone())));
        Ok(Self { uri, seen, task })
    }

    /// Where the door is.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        seen(&self.seen)
    }

    /// Lets it say goodbye by itself, once nobody stands at the door any more.
    pub fn release(self) {
        drop(self.task.detach());
    }
}

fn seen(shared: &Shared) -> MutexGuard<'_, Seen> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How one direction ended.
enum End {
    Read(io::Result<()>),
    Write(io::Error),
}

/// Carries both ways until a side hangs up. What was seen is written down before the door is shut: who hears of the end may ask for it.
async fn carry(door: TcpListener, wire: Box<dyn Wire>, shared: Shared) {
    let Ok((ours, _)) = door.accept().await else { return };
    drop(door);
    // Small questions are not held back to be sent with others.
    let _ = ours.set_nodelay(true);
    let (mut from_us, mut to_us) = ours.into_split();
    let (mut from, mut to) = split(wire);
    let up = async {
        match pump(&mut from_us, &mut to, |bytes| Ok(bytes.to_vec())).await {
            End::Read(_) => drop(to.shutdown().await),
            // What the server said before it hung up is heard all the same.
            End::Write(error) => {
                seen(&shared).error = Some(error);
                pending::<()>().await;
            }
        }
    };
    let down = async {
        let mut mender = Mender::default();
        let look = |bytes: &[u8]| look(&shared, bytes).map(|()| mender.take(bytes));
        let ended = pump(&mut from, &mut to_us, look).await;
        // Half a message is half a message to whoever reads it, too.
        let _ = to_us.write_all(&mender.rest()).await;
        if let End::Read(Err(error)) = ended {
            seen(&shared).error = Some(error);
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}

fn look(shared: &Shared, bytes: &[u8]) -> io::Result<()> {
    let mut seen = seen(shared);
    let room = (HEAD - seen.head.len()).min(bytes.len());
    seen.head.extend_from_slice(&bytes[..room]);
    seen.size += bytes.len();
    match seen.size > LARGEST {
        true => Err(io::Error::new(io::ErrorKind::InvalidData, "its answers are too large")),
        false => Ok(()),
    }
}

/// Carries what `look` makes of the bytes.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut look: impl FnMut(&[u8]) -> io::Result<Vec<u8>>,
) -> End {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let count = match from.read(&mut bytes).await {
            Ok(0) => return End::Read(Ok(())),
            Ok(count) => count,
            Err(error) => return End::Read(Err(error)),
        };
        let seen = match look(&bytes[..count]) {
            Ok(seen) => seen,
            Err(error) => return End::Read(Err(error)),
        };
        let written = match to.write_all(&seen).await {
            Ok(()) => to.flush().await,
            broken => broken,
        };
        if let Err(error) = written {
            return End::Write(error);
        }
    }
}
