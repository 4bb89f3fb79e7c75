//! A mail relay: submission over SMTP with STARTTLS (`smtp`) and over implicit TLS (`smtps`). What it takes goes to the inbox.
//!
//! RFC 5321 and its extensions: 1870 (SIZE), 2920 (pipelining), 3207 (STARTTLS), 3463 (status codes), 4954 (authentication), 6152.

mod command;
mod letter;
mod session;
mod tls;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::Site;
use super::net::{GatedListener, GatedStream, Place};
use super::world::{Pace, World};
use session::Session;

/// The place of its faults, and the name of its endpoint.
pub const PLACE: &str = "smtp";
/// The endpoint with TLS from the first byte, and the file with the authority that signed the certificate of both.
const TLS_ENDPOINT: &str = "smtps";
const AUTHORITY_ENDPOINT: &str = "smtp.ca";
/// The file with the addresses of GenNet's customers.
const CUSTOMERS_ENDPOINT: &str = "smtp.customers";
const CUSTOMERS: usize = 1000;

/// These open nothing but the lab.
pub const USER: &str = "lab";
pub const PASSWORD: &str = "labmail";

/// What the relay calls itself.
const HOST: &str = "mail.gennet.example";

/// The largest letter in bytes, and the most recipients of one (as SES has it).
const LARGEST: usize = 1 << 20;
const RECIPIENTS: usize = 50;

/// Nobody has a mailbox of this name: such a recipient is refused for good.
const NOBODY: &str = "bounce";

/// Recipients whose names begin so are refused until the sender tries again after a while.
const GREY: &str = "grey";
const GREY_FOR: Duration = Duration::from_secs(60);

/// The most pairs of sender and recipient that are remembered for that.
const PAIRS: usize = 1000;

/// When each pair of sender and recipient was seen first.
#[derive(Default)]
pub struct Greylist(BTreeMap<(String, String), Timestamp>);

impl Greylist {
    /// Whether a letter from `from` may be taken for `to` now.
    fn admits(&mut self, from: &str, to: &str, now: Timestamp, pace: Pace) -> bool {
        if !to.starts_with(GREY) {
            return true;
        }
        if self.0.len() >= PAIRS {
            self.0.clear();
        }
        let seen = *self.0.entry((from.to_owned(), to.to_owned())).or_insert(now);
        now.duration_since(seen).unsigned_abs() >= pace.scale(GREY_FOR)
    }
}

/// What all connections share.
struct Server {
    world: World,
    tls: TlsAcceptor,
}

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    let (tls, authority) = tls::make(HOST)?;
    let file = site.files.join("ca.pem");
    std::fs::write(&file, authority)?;
    site.endpoints.insert(AUTHORITY_ENDPOINT.into(), file.display().to_string());
    let customers = site.files.join("customers.txt");
    let list: String = (1..=CUSTOMERS).map(|at| format!("customer-{at}@customers.example\n")).collect();
    std::fs::write(&customers, list)?;
    site.endpoints.insert(CUSTOMERS_ENDPOINT.into(), customers.display().to_string());
    let server = Arc::new(Server { world: site.world.clone(), tls });
    for (endpoint, secure) in [(PLACE, false), (TLS_ENDPOINT, true)] {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        // The answer that is broken off is the one to a letter: a greeting that is broken off would only ever say that nothing happened.
        let listener = GatedListener::bind(site.world, Place::global(PLACE), loopback, 0).await?.leaving_halves();
        site.endpoints.insert(endpoint.into(), listener.address()?.to_string());
        site.tasks.spawn(serve(listener, server.clone(), secure));
    }
    Ok(())
}

async fn serve(mut listener: GatedListener, server: Arc<Server>, secure: bool) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.next().await;
        // A connection that breaks is the client's business; the next one is served all the same.
        connections.spawn(attend(stream, server.clone(), secure));
        while connections.try_join_next().is_some() {}
    }
}

/// One connection, from its greeting to its end.
async fn attend(stream: GatedStream, server: Arc<Server>, secure: bool) -> io::Result<()> {
    let mut session = Session::new(server.world.clone());
    let stream = if secure {
        session.is_secure();
        let mut stream = server.tls.accept(stream).await?;
        session.greet(&mut stream).await?;
        return session.talk(stream).await.map(drop);
    } else {
        let mut stream = stream;
        session.greet(&mut stream).await?;
        session.talk(stream).await?
    };
    if let Some(stream) = stream {
        let stream = server.tls.accept(stream).await?;
        // What was said in the open counts for nothing.
        session = Session::new(server.world.clone());
        session.is_secure();
        session.talk(stream).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grey_recipient_is_admitted_to_those_who_come_back() {
        let (mut list, now, pace) = (Greylist::default(), Timestamp::now(), Pace(60.0));
        assert!(list.admits("a@x", "ada@x", now, pace));
        let later = now + Duration::from_millis(999);
        for at in [now, later] {
            assert!(!list.admits("a@x", "grey.ada@x", at, pace));
        }
        assert!(list.admits("a@x", "grey.ada@x", now + Duration::from_secs(1), pace));
        assert!(!list.admits("b@x", "grey.ada@x", now + Duration::from_secs(1), pace));
    }
}
