//! HTTP as clients see it.

use std::sync::Once;
use std::time::Duration;

/// How long a connection may take to open.
pub const CONNECT: Duration = Duration::from_secs(3);

/// Chooses *ring* for everything in this process that speaks TLS by the default provider. May be called again.
pub fn install_tls() {
    static ONCE: Once = Once::new();
    // An error means that a provider was chosen before: then that one serves.
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

/// A client that goes where it is told: no redirects, no proxies of the environment, no connections kept from before an incident.
///
/// # Errors
/// When the host's trusted certificates cannot be read.
pub fn client() -> reqwest::Result<reqwest::Client> {
    install_tls();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT)
        .pool_max_idle_per_host(0)
        .build()
}
