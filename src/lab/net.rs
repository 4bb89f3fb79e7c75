//! Listeners whose connections suffer what the world's faults say: every wire server of the lab stands behind one.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep, sleep};

use super::faults::Condition;
use super::world::World;

/// How often a connection that hangs looks whether it may go on.
const RECHECK: Duration = Duration::from_millis(25);

/// Where a server stands: the system and, for most, the region.
#[derive(Clone, Debug)]
pub struct Place {
    pub system: &'static str,
    pub region: Option<&'static str>,
    /// The name and the zone of a member that can be broken by itself.
    member: Option<(&'static str, &'static str)>,
}

impl Place {
    pub const fn regional(system: &'static str, region: &'static str) -> Self {
        Self { system, region: Some(region), member: None }
    }
    pub const fn global(system: &'static str) -> Self {
        Self { system, region: None, member: None }
    }
    pub const fn member(system: &'static str, region: &'static str, name: &'static str, zone: &'static str) -> Self {
        Self { system, region: Some(region), member: Some((name, zone)) }
    }
    pub fn condition(&self, world: &World) -> Condition {
        match (self.region, self.member) {
            (Some(region), Some((name, zone))) => world.truth().faults.of_member(self.system, region, name, zone),
            (region, _) => world.condition(self.system, region),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.region {
            Some(region) => write!(f, "{}@{region}", self.system),
            None => f.write_str(self.system),
        }
    }
}

/// A TCP listener in a place of the world.
pub struct GatedListener {
    inner: TcpListener,
    world: World,
    place: Place,
    /// Whether the server itself breaks off the answers that [`Condition::Half`] is about.
    leaves_halves: bool,
}

impl GatedListener {
    /// Listens on `ip`, on any free port when `port` is 0.
    pub async fn bind(world: &World, place: Place, ip: IpAddr, port: u16) -> io::Result<Self> {
        let inner = TcpListener::bind((ip, port)).await?;
        Ok(Self { inner, world: world.clone(), place, leaves_halves: false })
    }

    /// For a protocol in which not every answer matters: its server chooses the one that breaks off.
    pub fn leaving_halves(mut self) -> Self {
        self.leaves_halves = true;
        self
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// The next connection that the place lets in.
    pub async fn next(&mut self) -> (GatedStream, SocketAddr) {
        loop {
            match self.inner.accept().await {
                Ok((_, _)) if self.place.condition(&self.world) == Condition::Refused => {}
                Ok((stream, peer)) => {
                    // Small answers of chatty protocols must not wait for Nagle.
                    let _ = stream.set_nodelay(true);
                    let (world, place) = (self.world.clone(), self.place.clone());
                    let stream = GatedStream { halves: !self.leaves_halves, ..GatedStream::new(stream, world, place) };
                    return (stream, peer);
                }
                // Out of descriptors, or the peer was gone at once: pause and go on serving the others.
                Err(_) => sleep(RECHECK).await,
            }
        }
    }
}

impl axum::serve::Listener for GatedListener {
    type Io = GatedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (GatedStream, SocketAddr) {
        self.next().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.address()
    }
}

/// A connection that suffers the faults of its place.
pub struct GatedStream {
    inner: TcpStream,
    world: World,
    place: Place,
    pause: Pin<Box<Sleep>>,
    /// Whether the pause of a slow place was served for the answer under way.
    paused: bool,
    /// Whether answers break off here, and whether one did.
    halves: bool,
    halved: bool,
}

impl GatedStream {
    fn new(inner: TcpStream, world: World, place: Place) -> Self {
        Self { inner, world, place, pause: Box::pin(sleep(Duration::ZERO)), paused: false, halves: true, halved: false }
    }

    /// Ready once bytes may flow, or with an error once the connection is broken.
    fn poll_gate(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Condition>> {
        loop {
            match self.place.condition(&self.world) {
                Condition::Dark => {
                    ready!(self.pause.as_mut().poll(cx));
                    self.pause.as_mut().reset(Instant::now() + RECHECK);
                }
                Condition::Refused => {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                condition => return Poll::Ready(Ok(condition)),
            }
        }
    }
}

impl AsyncRead for GatedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_gate(cx))?;
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        // Whoever asks anew waits anew.
        self.paused = false;
        // What arrived while the place went dark was lost on the way.
        if buf.filled().len() > before && self.place.condition(&self.world) == Condition::Dark {
            buf.set_filled(before);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for GatedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match ready!(self.poll_gate(cx))? {
            Condition::Slow(by) => {
                if !self.paused {
                    self.pause.as_mut().reset(Instant::now() + by);
                    self.paused = true;
                }
                ready!(self.pause.as_mut().poll(cx));
                Pin::new(&mut self.inner).poll_write(cx, bytes)
            }
            Condition::Half if self.halves => {
                if self.halved {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                self.halved = true;
                let half = &bytes[..bytes.len().div_ceil(2)];
                Pin::new(&mut self.inner).poll_write(cx, half)
            }
            Condition::Garbage => {
                let noise: Vec<u8> = bytes.iter().map(|byte| byte ^ 0x5a).collect();
                Pin::new(&mut self.inner).poll_write(cx, &noise)
            }
            _ => Pin::new(&mut self.inner).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
