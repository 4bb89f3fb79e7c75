//! A TCP connection to the first of several addresses that answers: RFC 8305 ("happy eyeballs"), as curl and browsers do. One dead
//! address of several is borne, and told.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use rustix::io::Errno;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::Silence;

/// So long one address is waited for before the next one is tried beside it (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// What this host says of itself, and not of who was called: no descriptor is left, no route leads there, a rule of its own forbids it.
const OF_THIS_HOST: [Errno; 8] = [
    Errno::MFILE,
    Errno::NFILE,
    Errno::NETUNREACH,
    Errno::NETDOWN,
    Errno::ADDRNOTAVAIL,
    Errno::AFNOSUPPORT,
    Errno::PERM,
    Errno::ACCESS,
];

/// Whether an error tells of this host, and nothing of who was called.
pub fn is_of_this_host(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| OF_THIS_HOST.iter().any(|it| it.raw_os_error() == code))
}

/// A connection.
pub struct Dialled {
    pub stream: TcpStream,
    pub peer: SocketAddr,
    /// Addresses of the same name that did not take it: `192.0.2.1:443: connection refused`.
    pub dead: Vec<String>,
}

/// Connects to the first of `addresses` that takes it. The caller bounds the time.
///
/// # Errors
/// When none of them does.
pub fn dial(addresses: Vec<SocketAddr>) -> BoxFuture<'static, Result<Dialled, Silence>> {
    Box::pin(async move {
        let mut waiting = by_turns(addresses).into_iter();
        let mut racing = FuturesUnordered::new();
        let mut failed: Vec<(SocketAddr, io::Error)> = Vec::new();
        loop {
            if let Some(next) = waiting.next() {
                racing.push(async move { (next, TcpStream::connect(next).await) });
            }
            let more = waiting.len() > 0;
            tokio::select! {
                landed = racing.next() => match landed {
                    Some((peer, Ok(stream))) => {
                        let dead = failed.iter().map(told).collect();
                        return Ok(Dialled { stream, peer, dead });
                    }
                    Some((peer, Err(error))) => failed.push((peer, error)),
                    None => return Err(why(&failed)),
                },
                () = sleep(STAGGER), if more => {}
            }
        }
    })
}

/// The families by turns, beginning with the first (RFC 8305, section 4).
fn by_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv4) else { return Vec::new() };
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for address in addresses {
        if address.is_ipv4() == first { own.push(address) } else { other.push(address) }
    }
    let mut turns = Vec::with_capacity(own.len() + other.len());
    let (mut own, mut other) = (own.into_iter(), other.into_iter());
    loop {
        let (one, two) = (own.next(), other.next());
        if one.is_none() && two.is_none() {
            return turns;
        }
        turns.extend(one.into_iter().chain(two));
    }
}

fn told((peer, error): &(SocketAddr, io::Error)) -> String {
    format!("{peer}: {}", error.kind())
}

fn why(failed: &[(SocketAddr, io::Error)]) -> Silence {
    let of_others: Vec<String> = failed.iter().filter(|(_, error)| !is_of_this_host(error)).map(told).collect();
    match (of_others.is_empty(), failed.first()) {
        (false, _) => Silence::Dead(of_others.join(", ")),
        (true, Some(it)) => Silence::Unasked(format!("{}: {}", it.0, it.1)),
        (true, None) => Silence::unasked("it has no address"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

    use super::*;

    fn listening() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn dead() -> SocketAddr {
        listening().1
    }

    #[tokio::test]
    async fn one_dead_address_is_borne_and_named() {
        let (gone, (_kept, alive)) = (dead(), listening());
        let dialled = dial(vec![gone, alive]).await.unwrap_or_else(|why| panic!("{why:?}"));
        assert_eq!((dialled.peer, dialled.dead), (alive, vec![format!("{gone}: connection refused")]));
        let why = dial(vec![gone, gone]).await.err().unwrap();
        assert_eq!(why, Silence::Dead(format!("{gone}: connection refused, {gone}: connection refused")));
    }

    #[tokio::test]
    async fn a_silent_address_does_not_keep_the_next_one_waiting() {
        // TEST-NET-1: nobody answers there, or there is no way to it; either way the second one is reached soon.
        let (silent, (_kept, alive)) = ("192.0.2.1:9".parse().unwrap(), listening());
        let started = Instant::now();
        assert_eq!(dial(vec![silent, alive]).await.unwrap_or_else(|why| panic!("{why:?}")).peer, alive);
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }

    #[test]
    fn what_this_host_lacks_says_nothing_of_the_target() {
        for (code, here) in [(24, true), (23, true), (101, true), (1, true), (111, false), (110, false), (113, false)] {
            let at = "192.0.2.1:1".parse().unwrap();
            let said = why(&[(at, io::Error::from_raw_os_error(code))]);
            assert_eq!(said.is_unknown(), here, "{said:?}");
            let both = [(at, io::Error::from_raw_os_error(code)), (at, io::Error::from_raw_os_error(111))];
            assert!(!why(&both).is_unknown(), "one of them was asked, and refused");
        }
        assert!(why(&[]).is_unknown());
    }

    #[test]
    fn the_families_take_turns() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let given = ["[::1]:1", "[::2]:1", "10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"].map(at).to_vec();
        let turns = ["[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1", "10.0.0.3:1"].map(at).to_vec();
        assert_eq!(by_turns(given), turns);
    }
}
