//! ICMP: whether a host answers an echo (RFC 792, RFC 4443), by the kernel's own sockets for it, which need no privilege where
//! `net.ipv4.ping_group_range` allows them (<https://docs.kernel.org/networking/ip-sysctl.html>).
//!
//! # What an installation can look like
//!
//! | | |
//! |---|---|
//! | a group of the engine stands in `net.ipv4.ping_group_range` | asked, IPv4 and IPv6 |
//! | it does not | unknown: "this host does not permit it", with the setting to change |
//! | a host that answers no echo, as many firewalls and cloud networks have it | down: watch a port of it by `tcp.connect` instead |
//! | several addresses | the first that answers |

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket as Plain};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::stream::{FuturesUnordered, StreamExt};
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, socket_with};
use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};

use super::reach::{RESOLVER, Reach};
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::kinds::{Param, ParamType, ProbeKind, SystemKind};
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::domain::text::clean;
use crate::outbound::wire::dial::is_of_this_host;

/// What is sent back to us as it is.
const PAYLOAD: &[u8] = b"mayday looks whether you are there";
/// An echo may be lost: it is sent so often within the patience.
const TRIES: u32 = 3;

pub static KIND: SystemKind = SystemKind {
    name: "icmp",
    title: "ICMP echo",
    ambient: true,
    ways: &[],
    params: &[],
    probes: &[ProbeKind {
        name: "icmp.echo",
        title: "A host answers an echo (ping)",
        params: &[Param::required("host", ParamType::Text, "the name or the address of the host"), RESOLVER],
    }],
    steps: &[],
    backups: &[],
};

/// Makes the one connection there is: none.
pub struct IcmpFactory;

impl Factory for IcmpFactory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }
    fn connect(&self, _spec: &SystemSpec, _around: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        Ok(Arc::new(Icmp))
    }
}

struct Icmp;

#[async_trait]
impl System for Icmp {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        let patience = spec.timeout.0.mul_f64(0.9);
        let host = spec.params.opt_text("host").unwrap_or_default();
        let found = match Reach::of(&spec.params).find(host, 0, patience.mul_f64(0.4)).await {
            Ok(found) => found,
            Err(why) => return Reading::unknown(format!("{} cannot be found: {}", clean(host), why.words())),
        };
        any(&found, patience.mul_f64(0.55)).await
    }

    async fn survey(&self) -> Result<Survey, Fault> {
        Err(Fault::permanent(KIND.name, "a host that answers holds no data of yours")
            .next("remove `class` from it, and run `mayday check`"))
    }

    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        Err(Fault::permanent(KIND.name, format!("there is no step `{}`", spec.kind)).next("run `mayday kinds`"))
    }
}

/// The first address that answers; what could not be asked says nothing.
async fn any(found: &[SocketAddr], patience: Duration) -> Reading {
    let mut asked: FuturesUnordered<_> =
        found.iter().map(|at| async { (at.ip(), echo(at.ip(), patience).await) }).collect();
    let mut said = Reading::unknown("it has no address");
    while let Some((ip, outcome)) = asked.next().await {
        said = match outcome {
            Ok(took) => {
                return Reading::healthy(format!("{ip} answers in {:.1} ms", took.as_secs_f64() * 1000.0)).took(took);
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Reading::unknown(
                "this host does not permit echoes: put a group of the engine into net.ipv4.ping_group_range (sysctl)",
            ),
            Err(error) if is_of_this_host(&error) => Reading::unknown(format!("nobody could be asked: {ip}: {error}")),
            Err(error) => Reading::down(format!("{ip}: {}", error.kind())),
        };
    }
    said
}

async fn echo(ip: IpAddr, patience: Duration) -> io::Result<Duration> {
    static SEQUENCE: AtomicU16 = AtomicU16::new(1);
    let (family, protocol) = match ip {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
    };
    let made = socket_with(family, SocketType::DGRAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, Some(protocol))?;
    let socket = UdpSocket::from_std(Plain::from(made))?;
    socket.connect(SocketAddr::new(ip, 0)).await?;
    let started = Instant::now();
    let mut sent = Vec::new();
    let asking = async {
        loop {
            let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed);
            sent.push(sequence);
            socket.send(&request(ip, sequence)).await?;
            tokio::select! {
                answered = answer(&socket, ip, &sent) => return answered,
                () = sleep(patience / TRIES) => {}
            }
        }
    };
    match timeout(patience, asking).await {
        Ok(answered) => answered.map(|()| started.elapsed()),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// An echo request. The kernel fills in the identifier and the checksum.
fn request(ip: IpAddr, sequence: u16) -> Vec<u8> {
    let kind = if ip.is_ipv4() { 8 } else { 128 };
    let mut packet = vec![kind, 0, 0, 0, 0, 0];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(PAYLOAD);
    packet
}

/// Whether it is the reply to one of those that were sent.
fn is_reply(ip: IpAddr, packet: &[u8], sent: &[u16]) -> bool {
    let kind = if ip.is_ipv4() { 0 } else { 129 };
    let is_ours = |sequence: &[u8]| sent.iter().any(|one| one.to_be_bytes() == *sequence);
    packet.len() >= 8 && packet[0] == kind && is_ours(&packet[6..8]) && packet[8..] == *PAYLOAD
}

async fn answer(socket: &UdpSocket, ip: IpAddr, sent: &[u16]) -> io::Result<()> {
    let mut buffer = [0; 1500];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if is_reply(ip, &buffer[..length], sent) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::health::Status;

    #[test]
    fn only_an_echo_of_ours_is_a_reply() {
        let four: IpAddr = "127.0.0.1".parse().unwrap();
        let mut reply = request(four, 7);
        assert!(!is_reply(four, &reply, &[7]), "that is the request itself");
        reply[0] = 0;
        assert!(is_reply(four, &reply, &[6, 7]) && !is_reply(four, &reply, &[6]));
        assert!(!is_reply(four, &reply[..7], &[7]) && !is_reply("::1".parse().unwrap(), &reply, &[7]));
    }

    #[tokio::test]
    async fn loopback_answers_or_it_is_said_that_nobody_may_ask() {
        let seen = any(&["127.0.0.1:0".parse().unwrap()], Duration::from_secs(1)).await;
        let may_not = seen.status == Status::Unknown && seen.detail.contains("ping_group_range");
        assert!(seen.status == Status::Healthy || may_not, "{seen:?}");
        assert_eq!(any(&[], Duration::from_secs(1)).await.status, Status::Unknown);
    }
}
