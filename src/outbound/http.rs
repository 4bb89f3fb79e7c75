//! HTTP clients that go where they are told.

use std::net::SocketAddr;
use std::sync::{Once, OnceLock};
use std::time::Duration;

use reqwest::Client;

use crate::domain::text::clean;

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(3);

/// Chooses *ring* for everything in this process that speaks TLS by the default provider. May be called again.
pub fn install_tls() {
    static ONCE: Once = Once::new();
    // An error means that a provider was chosen before: then that one serves.
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

/// The client for names that this host resolves. It is made once: each new one would read all of the host's trusted certificates.
///
/// # Errors
/// When they cannot be read.
pub fn client() -> Result<Client, String> {
    static MADE: OnceLock<Client> = OnceLock::new();
    match MADE.get() {
        Some(client) => Ok(client.clone()),
        None => make(None).map(|client| MADE.get_or_init(|| client).clone()),
    }
}

/// A client for which `name` is at `address`, whatever the host's resolver says.
///
/// # Errors
/// When the host's trusted certificates cannot be read.
pub fn pinned(name: &str, address: SocketAddr) -> Result<Client, String> {
    make(Some((name, address)))
}

/// A client that goes where it is told: no redirects, no proxies of the environment, no connections kept from before an incident.
fn make(pinned: Option<(&str, SocketAddr)>) -> Result<Client, String> {
    install_tls();
    let builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT)
        .pool_max_idle_per_host(0);
    let builder = match pinned {
        Some((name, address)) => builder.resolve(name, address),
        None => builder,
    };
    builder.build().map_err(|error| format!("no client can be made: {}", root(&error)))
}

/// The innermost cause: `connection refused`.
pub fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    clean(&causes.last().map(ToString::to_string).unwrap_or_default())
}
