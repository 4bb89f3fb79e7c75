//! HTTP clients that go where they are told.

use std::sync::{Once, OnceLock};
use std::time::Duration;

use reqwest::{Certificate, Client, Proxy};

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
        None => make_by(Via::Direct, None).map(|client| MADE.get_or_init(|| client).clone()),
    }
}

/// Which proxy is on the way.
#[derive(Clone, Copy)]
pub enum Via<'w> {
    /// None, whatever the environment says.
    Direct,
    /// What `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say, in either case.
    Environment,
    /// This one, for everything.
    By(&'w str),
}

/// A client that goes where it is told: no redirects, no connections kept from before an incident. Of `authorities`, in PEM, only those are
/// trusted; those of this host without any.
///
/// # Errors
/// When the trusted certificates cannot be read, or the proxy is none.
pub fn make_by(via: Via<'_>, authorities: Option<&[u8]>) -> Result<Client, String> {
    install_tls();
    let unusable = |error| format!("no client can be made: {}", root(&error));
    let mut builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .pool_max_idle_per_host(0);
    builder = match via {
        Via::Direct => builder.no_proxy(),
        Via::Environment => builder,
        Via::By(proxy) => builder.no_proxy().proxy(Proxy::all(proxy).map_err(unusable)?),
    };
    if let Some(pem) = authorities {
        builder = builder.tls_certs_only(Certificate::from_pem_bundle(pem).map_err(unusable)?);
    }
    builder.build().map_err(unusable)
}

/// The innermost cause: `connection refused`.
pub fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    clean(&causes.last().map(ToString::to_string).unwrap_or_default())
}
