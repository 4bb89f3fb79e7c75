//! HTTP clients that go where they are told.

use std::net::SocketAddr;
use std::sync::{Once, OnceLock};
use std::time::Duration;

use reqwest::tls::TlsInfo;
use reqwest::{Certificate, Client, Proxy, Response};
use x509_cert::der::Decode;

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
        None => make(&Way::default()).map(|client| MADE.get_or_init(|| client).clone()),
    }
}

/// Which proxy is on the way.
#[derive(Clone, Copy, Default)]
pub enum Via<'w> {
    /// None, whatever the environment says: a probe sees what clients see.
    #[default]
    Direct,
    /// What `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say, in either case.
    Environment,
    /// This one, for everything.
    By(&'w str),
}

/// How a client differs from others.
#[derive(Default)]
pub struct Way<'w> {
    /// This name is at this address, whatever the host's resolver says.
    pub pinned: Option<(&'w str, SocketAddr)>,
    /// Only these authorities are trusted, in PEM; those of the host when left out.
    pub authorities: Option<&'w [u8]>,
}

/// A client that goes where it is told: no redirects, no proxies of the environment, no connections kept from before an incident.
///
/// # Errors
/// When the trusted certificates cannot be read.
pub fn make(way: &Way<'_>) -> Result<Client, String> {
    make_by(Via::Direct, way)
}

/// The same by a proxy.
///
/// # Errors
/// As [`make`], or when the proxy is none.
pub fn make_by(via: Via<'_>, way: &Way<'_>) -> Result<Client, String> {
    install_tls();
    let unusable = |error| format!("no client can be made: {}", root(&error));
    let mut builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .tls_info(true)
        .pool_max_idle_per_host(0);
    builder = match via {
        Via::Direct => builder.no_proxy(),
        Via::Environment => builder,
        Via::By(proxy) => builder.no_proxy().proxy(Proxy::all(proxy).map_err(unusable)?),
    };
    if let Some((name, address)) = way.pinned {
        builder = builder.resolve(name, address);
    }
    if let Some(pem) = way.authorities {
        builder = builder.tls_certs_only(Certificate::from_pem_bundle(pem).map_err(unusable)?);
    }
    builder.build().map_err(unusable)
}

/// Until when the certificate is good that a server showed; `None` without TLS.
pub fn certificate_ends(response: &Response) -> Option<jiff::Timestamp> {
    let shown = response.extensions().get::<TlsInfo>()?.peer_certificate()?;
    let certificate = x509_cert::Certificate::from_der(shown).ok()?;
    let since_1970 = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    jiff::Timestamp::from_second(i64::try_from(since_1970.as_secs()).ok()?).ok()
}

/// The innermost cause: `connection refused`.
pub fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    clean(&causes.last().map(ToString::to_string).unwrap_or_default())
}
