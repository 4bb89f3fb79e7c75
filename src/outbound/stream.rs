//! Connections for protocols that are not HTTP: to whichever address of a name answers first, and with TLS where it is wanted.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsConnector;
use x509_cert::der::Decode;

use super::apart;
use super::wire::tls::{FIRST_VERSION, is_of_first_version, of_another};
use crate::domain::kinds::{Param, ParamType};
use crate::domain::params::Params;
use crate::domain::system::Fault;
use crate::domain::text::clean;

/// The rows of the tables of kinds for a system that can speak TLS.
pub const CA: Param = Param::optional(
    "ca",
    ParamType::Path,
    "only the authorities in this PEM file are trusted, or the server's own certificate; this host's when left out",
);
pub const CLIENT_CERTIFICATE: Param =
    Param::optional("client_certificate", ParamType::Path, "the PEM file with the certificate that Mayday shows");
pub const CLIENT_KEY: Param = Param::optional("client_key", ParamType::Path, "the PEM file with its private key");
pub const SERVER_NAME: Param = Param::optional(
    "server_name",
    ParamType::Text,
    "the name in the servers' certificates, where it is not the one that they are called by",
);
pub const CHECK_NAMES: Param = Param::default(
    "check_names",
    ParamType::Flag,
    "true",
    "false takes a certificate of the right authority whatever name is in it",
);

/// A second address of a name is tried when the first has not answered for so long (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);
/// Certificates are read anew after so long: they are replaced while Mayday runs.
const FRESH: Duration = Duration::from_secs(60);
/// A file of certificates is not larger.
const LARGEST: usize = 4 * 1024 * 1024;

/// A connection, with TLS or without.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// Connects to `host`, a name or an address without brackets: to all that the name stands for, the next one whenever those before are
/// slow or refuse.
///
/// # Errors
/// Permanent when that could not be tried: the name is not found, or this host has no room. Transient when nothing took the connection.
pub async fn dial(system: &str, host: &str, port: u16) -> Result<TcpStream, Fault> {
    let named = format!("{host}:{port}");
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| {
        Fault::permanent(system, format!("{named}: the name could not be looked up: {}", clean(&error.to_string())))
            .means("whether anybody is there is not known")
            .next("check the name, and the name servers of this host")
    })?;
    reach(found.collect()).await.map_err(|error| match is_ours(&error) {
        true => Fault::permanent(system, format!("{named}: could not be tried: {}", clean(&error.to_string())))
            .means("this host has no room for a connection"),
        false => Fault::transient(system, format!("{named}: {}", clean(&error.to_string()))),
    })
}

/// Whether this host failed, and nothing is learnt of the other side: no descriptor, no memory, no port of its own left (`errno(3)`).
fn is_ours(error: &io::Error) -> bool {
    const OURS: [i32; 5] = [12, 23, 24, 99, 105];
    error.raw_os_error().is_some_and(|code| OURS.contains(&code))
}

async fn reach(found: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut trying = FuturesUnordered::new();
    let mut rest = found.into_iter();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        match rest.next() {
            Some(next) => trying.push(TcpStream::connect(next)),
            None if trying.is_empty() => return Err(last),
            None => {}
        }
        tokio::select! {
            Some(outcome) = trying.next() => match outcome {
                Ok(stream) => {
                    // Small questions are not held back to be sent with others.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => last = error,
            },
            () = sleep(STAGGER), if rest.len() > 0 => {}
        }
    }
}

/// Whom to trust, who we are, and what the server is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    ca: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    name: Option<String>,
    any_name: bool,
    anybody: bool,
}

impl Terms {
    /// By the parameters above.
    ///
    /// # Errors
    /// When they can never work together.
    pub fn of(system: &str, params: &Params) -> Result<Self, Fault> {
        let text = |row: &Param| params.opt_text(row.name).map(str::to_owned);
        let any_name = params.0.contains_key(CHECK_NAMES.name) && !params.flag(CHECK_NAMES.name);
        let (certificate, key) = (text(&CLIENT_CERTIFICATE), text(&CLIENT_KEY));
        if certificate.is_some() != key.is_some() {
            return Err(Fault::permanent(
                system,
                "a client certificate is used with its key, and one of them is not set",
            )
            .next("set `client_certificate` and `client_key`, or neither"));
        }
        let name = text(&SERVER_NAME);
        if let Some(name) = name.as_deref().filter(|name| ServerName::try_from(*name).is_err()) {
            return Err(Fault::permanent(system, format!("`{}` is no name of a server", clean(name)))
                .next("set `server_name` to a name of the certificate"));
        }
        Ok(Self { ca: text(&CA), certificate, key, name, any_name, anybody: false })
    }

    /// The same for whatever certificate is shown: what is said cannot be overheard, and who says it is not known.
    pub fn of_anybody(self) -> Self {
        Self { anybody: true, ..self }
    }

    /// The key of a parameter that only makes sense with TLS, if one is set.
    pub fn needless(params: &Params) -> Option<&'static str> {
        let rows = [CA, CLIENT_CERTIFICATE, CLIENT_KEY, SERVER_NAME];
        rows.iter().map(|row| row.name).find(|name| params.opt_text(name).is_some())
    }
}

/// TLS by the same terms, again and again.
pub struct Tls {
    terms: Terms,
    made: Mutex<Option<(Instant, Arc<ClientConfig>)>>,
}

impl Tls {
    pub fn new(terms: Terms) -> Self {
        Self { terms, made: Mutex::default() }
    }

    /// Speaks TLS over `stream` to the server that is called `host`.
    ///
    /// # Errors
    /// Permanent when the server was reached and one of the sides refuses the other, or a file cannot be read; transient when it did not
    /// answer.
    pub async fn wrap(
        &self,
        system: &str,
        host: &str,
        address: &str,
        stream: TcpStream,
    ) -> Result<Box<dyn Wire>, Fault> {
        let config = self.config(system).await?;
        let called = self.terms.name.as_deref().unwrap_or(host);
        let bad = |_| {
            Fault::permanent(system, format!("`{}` is no name that a certificate could hold", clean(called)))
                .next("set `server_name`")
        };
        let name = ServerName::try_from(called.to_owned()).map_err(bad)?;
        match TlsConnector::from(config).connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(refused(system, address, &error)
                .unwrap_or_else(|| Fault::transient(system, format!("{address}: {}", clean(&error.to_string()))))),
        }
    }

    async fn config(&self, system: &str) -> Result<Arc<ClientConfig>, Fault> {
        let last = {
            let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            match &*made {
                Some((at, config)) if at.elapsed() < FRESH => return Ok(config.clone()),
                made => made.as_ref().map(|(_, config)| config.clone()),
            }
        };
        let config = match (make(&self.terms).await, last) {
            (Ok(config), _) => Arc::new(config),
            // What was good a minute ago serves on: the disk may be gone with the region.
            (Err(_), Some(last)) => last,
            (Err(why), None) => return Err(Fault::permanent(system, why).means("nobody can be asked without it")),
        };
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), config.clone()));
        Ok(config)
    }
}

async fn make(terms: &Terms) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = if terms.anybody {
        Arc::new(Anybody(provider.clone()))
    } else {
        let (roots, own) = match &terms.ca {
            Some(path) => authorities(path).await?,
            None => (of_host().await?, Vec::new()),
        };
        let usual = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
        let usual = usual.map_err(|error| format!("no authority can be trusted: {error}"))?;
        Arc::new(Checking { usual, own, any_name: terms.any_name })
    };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?.dangerous().with_custom_certificate_verifier(verifier);
    let (Some(certificate), Some(key)) = (&terms.certificate, &terms.key) else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(certificate, &file(certificate).await?)?;
    let secret =
        PrivateKeyDer::from_pem_slice(&file(key).await?).map_err(|_| format!("{} holds no private key", clean(key)))?;
    let unusable =
        |error: Error| format!("{} and {} do not fit: {}", clean(certificate), clean(key), clean(&error.to_string()));
    builder.with_client_auth_cert(chain, secret).map_err(unusable)
}

async fn file(path: &str) -> Result<Vec<u8>, String> {
    let read = apart::file(Path::new(path), LARGEST).await;
    read.map(|bytes| bytes.to_vec()).map_err(|kind| format!("{} cannot be read: {kind}", clean(path)))
}

fn certificates(path: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(format!("{} holds no certificate in PEM", clean(path))),
    }
}

async fn authorities(path: &str) -> Result<(Arc<RootCertStore>, Vec<CertificateDer<'static>>), String> {
    let found = certificates(path, &file(path).await?)?;
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.iter().cloned());
    if taken == 0 {
        return Err(format!("{} holds no certificate of an authority", clean(path)));
    }
    Ok((Arc::new(roots), found))
}

/// The authorities that this host trusts, read once.
async fn of_host() -> Result<Arc<RootCertStore>, String> {
    static READ: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = READ.get() {
        return Ok(roots.clone());
    }
    let load = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(load.map(|found| found.certs).unwrap_or_default());
    if roots.is_empty() {
        return Err("this host has no trusted authorities: install ca-certificates, or set `ca`".into());
    }
    Ok(READ.get_or_init(|| Arc::new(roots)).clone())
}

/// What an error of TLS means, if it is one in which a side refuses the other: then somebody is there.
pub fn refused(system: &str, address: &str, error: &io::Error) -> Option<Fault> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    let (what, next) = match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => (
            "its certificate is of an authority that is not trusted here".into(),
            "set `ca` to the file of that authority",
        ),
        Error::InvalidCertificate(
            why @ (CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }),
        ) => (of_another(why), "set `server_name` to a name in it, or `check_names = false` where it has none"),
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            ("its certificate has expired".into(), "have it renewed")
        }
        Error::InvalidCertificate(why) if is_of_first_version(why) => {
            (FIRST_VERSION.into(), "look at it with `openssl x509 -text`")
        }
        Error::InvalidCertificate(why) => (
            format!("its certificate cannot be trusted: {}", clean(&why.to_string())),
            "look at it with `openssl s_client`",
        ),
        Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::HandshakeFailure
            | AlertDescription::AccessDenied,
        ) => (
            "it refuses this client's certificate, or wants one".into(),
            "set `client_certificate` and `client_key` to what it trusts",
        ),
        Error::InvalidMessage(_) => {
            ("it answers, but does not speak TLS".into(), "take TLS out of the config, or try its other port")
        }
        _ => return None,
    };
    Some(Fault::permanent(system, format!("{address}: {what}")).next(next))
}

/// As everybody checks, but that a certificate which is itself in the file of authorities is trusted by that alone, as long as it is good:
/// `openssl req -x509` makes such.
struct Checking {
    usual: Arc<WebPkiServerVerifier>,
    own: Vec<CertificateDer<'static>>,
    any_name: bool,
}

impl fmt::Debug for Checking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Checking")
    }
}

/// Whether a certificate is within its dates.
fn is_good(certificate: &[u8], now: UnixTime) -> bool {
    let Ok(certificate) = x509_cert::Certificate::from_der(certificate) else { return false };
    let validity = certificate.tbs_certificate().validity();
    let (from, until) = (validity.not_before.to_unix_duration(), validity.not_after.to_unix_duration());
    (from.as_secs()..=until.as_secs()).contains(&now.as_secs())
}

impl ServerCertVerifier for Checking {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = self.usual.verify_server_cert(shown, between, name, ocsp, now);
        match &found {
            // The name is looked at last: the chain is good then.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.any_name => Ok(ServerCertVerified::assertion()),
            Err(_) if self.own.iter().any(|own| own.as_ref() == shown.as_ref()) && is_good(shown, now) => {
                Ok(ServerCertVerified::assertion())
            }
            _ => found,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, shown, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, shown, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// Takes whatever certificate is shown, as long as its key is used.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, shown, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, shown, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
