//! TLS as a client that remembers what it was shown: until when the whole chain is good, and whether the server wanted a certificate.
//!
//! TLS 1.2 (with forward secrecy alone) and 1.3. A certificate that stands itself in the file of authorities is trusted as it is, as
//! OpenSSL does: `openssl req -x509` makes certificates that are their own authority, which webpki refuses for a server.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_cert::der::Decode;

use super::{Silence, causes};
use crate::domain::text::clean;
use crate::domain::time::At;

/// More certificates of a chain are not looked at for their end.
const LONGEST_CHAIN: usize = 10;

/// What a TLS client trusts and brings along. Made once, used for each connection.
#[derive(Clone)]
pub struct Tls {
    trusts: Arc<WebPkiServerVerifier>,
    /// Certificates that are trusted as they are.
    named: Arc<Vec<CertificateDer<'static>>>,
    identity: Option<Arc<CertifiedKey>>,
    only_13: bool,
}

/// What is given for a [`Tls`], in PEM.
#[derive(Default)]
pub struct Means<'m> {
    /// The only authorities to trust; those of this host when left out.
    pub authorities: Option<&'m [u8]>,
    /// A client certificate with its chain, and its key.
    pub identity: Option<(&'m [u8], &'m [u8])>,
    /// TLS 1.2 is not spoken.
    pub only_13: bool,
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The authorities that this host trusts, read once.
async fn of_host() -> Result<Arc<WebPkiServerVerifier>, String> {
    static READ: OnceCell<Arc<WebPkiServerVerifier>> = OnceCell::const_new();
    let read = || {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        match (roots.is_empty(), found.errors.first()) {
            (true, Some(error)) => Err(format!("this host's trusted authorities cannot be read: {error}")),
            (true, None) => Err("this host trusts no authority: install ca-certificates".into()),
            (false, _) => trusting(roots),
        }
    };
    let reading = || async move {
        let read = tokio::task::spawn_blocking(read).await;
        read.unwrap_or_else(|_| Err("this host's trusted authorities cannot be read".into()))
    };
    READ.get_or_try_init(reading).await.cloned()
}

fn trusting(roots: RootCertStore) -> Result<Arc<WebPkiServerVerifier>, String> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().map_err(|error| error.to_string())
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(none) if none.is_empty() => Err("there is no certificate in it (PEM)".into()),
        Ok(read) => Ok(read),
        Err(error) => Err(format!("it is no PEM: {error}")),
    }
}

/// A connection, and what was shown while it was made.
pub type Secured = (TlsStream<TcpStream>, Arc<Witness>);

impl Tls {
    /// # Errors
    /// What is wrong with what was given, without any of it.
    pub async fn new(means: &Means<'_>) -> Result<Self, String> {
        let (trusts, named) = match means.authorities {
            None => (of_host().await?, Vec::new()),
            Some(pem) => {
                let named = certificates(pem).map_err(|why| format!("the authorities cannot be used: {why}"))?;
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(named.iter().cloned());
                (trusting(roots).map_err(|why| format!("the authorities cannot be used: {why}"))?, named)
            }
        };
        let identity = match means.identity {
            None => None,
            Some((chain, key)) => {
                let chain =
                    certificates(chain).map_err(|why| format!("the client certificate cannot be used: {why}"))?;
                let key = PrivateKeyDer::from_pem_slice(key)
                    .map_err(|_| "the key of the client certificate is no private key in PEM".to_owned())?;
                let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
                    format!("the client certificate and its key do not fit: {}", clean(&error.to_string()))
                })?;
                Some(Arc::new(certified))
            }
        };
        Ok(Self { trusts, named: Arc::new(named), identity, only_13: means.only_13 })
    }

    fn config(&self, witness: &Arc<Witness>, http: bool) -> Result<ClientConfig, Error> {
        let versions = if self.only_13 { &[&TLS13][..] } else { &[&TLS13, &TLS12][..] };
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(witness.clone())
            .with_client_cert_resolver(witness.clone());
        if http {
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        }
        Ok(config)
    }

    /// Shakes hands on `stream` with whoever is called `host`. The caller bounds the time.
    ///
    /// # Errors
    /// When there is no TLS with it.
    pub fn secure<'s>(
        &'s self,
        stream: TcpStream,
        host: &'s str,
        http: bool,
    ) -> BoxFuture<'s, Result<Secured, Silence>> {
        Box::pin(async move {
            let name = ServerName::try_from(host.trim_end_matches('.').to_owned())
                .map_err(|_| Silence::Unasked(format!("no certificate can be for `{}`", clean(host))))?;
            let witness =
                Arc::new(Witness { tls: self.clone(), shown: Mutex::default(), asked: AtomicBool::new(false) });
            let config = self.config(&witness, http).map_err(Silence::unasked)?;
            match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
                Ok(stream) => Ok((stream, witness)),
                Err(error) => Err(witness.why(&error)),
            }
        })
    }
}

/// Until when a server's certificates are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its own.
    pub ends: At,
    /// The first moment at which the chain that was shown does not hold any more.
    pub chain_ends: At,
}

/// Sits in on one handshake.
pub struct Witness {
    tls: Tls,
    shown: Mutex<Option<Shown>>,
    /// The server wanted a client certificate.
    asked: AtomicBool,
}

impl fmt::Debug for Witness {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Witness")
    }
}

impl Witness {
    pub fn shown(&self) -> Option<Shown> {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the other side broke off, as far as TLS knows.
    pub fn why(&self, error: &(dyn std::error::Error + 'static)) -> Silence {
        let asked = self.asked.load(Ordering::Relaxed);
        let tls = causes(error).find_map(|cause| cause.downcast_ref::<Error>());
        let eof = |cause: &(dyn std::error::Error + 'static)| {
            cause.downcast_ref::<io::Error>().is_some_and(|it| it.kind() == io::ErrorKind::UnexpectedEof)
        };
        let lost = || match causes(error).any(eof) {
            true => "it hung up in the middle".to_owned(),
            false => causes(error).last().map(|cause| clean(&cause.to_string())).unwrap_or_default(),
        };
        let wants = "it wants a client certificate: give it `client_certificate` and `client_key`";
        match tls {
            Some(Error::AlertReceived(alert)) => self.alert(*alert, asked, wants),
            Some(Error::PeerIncompatible(why)) => self.nothing_in_common(&format!("{why:?}")),
            // OpenSSL reads it, so that others may be let in.
            Some(Error::InvalidCertificate(why)) if is_of_first_version(why) => Silence::Refused(FIRST_VERSION.into()),
            Some(Error::InvalidCertificate(why)) => Silence::Dead(of_certificate(why)),
            Some(other) => Silence::Dead(clean(&other.to_string())),
            // After TLS 1.3's handshake a server that was given none may only hang up.
            None if asked && self.tls.identity.is_none() && is_hung_up(error) => Silence::Refused(wants.into()),
            None => Silence::Dead(lost()),
        }
    }

    fn alert(&self, alert: AlertDescription, asked: bool, wants: &str) -> Silence {
        use AlertDescription as Alert;
        match alert {
            _ if asked && self.tls.identity.is_none() => Silence::Refused(wants.into()),
            Alert::CertificateRequired => Silence::Refused(wants.into()),
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
            | Alert::HandshakeFailure
                if asked =>
            {
                Silence::Refused(format!("it does not take Mayday's client certificate ({alert:?})"))
            }
            Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity => {
                self.nothing_in_common(&format!("{alert:?}"))
            }
            other => Silence::Dead(format!("it breaks off TLS ({other:?})")),
        }
    }

    fn nothing_in_common(&self, why: &str) -> Silence {
        match self.tls.only_13 {
            true => Silence::Dead(format!("it does not speak TLS 1.3, which `tls_minimum` asks for ({why})")),
            false => Silence::Refused(format!(
                "it has no TLS in common with Mayday, which speaks 1.2 with forward secrecy, and 1.3 ({why})"
            )),
        }
    }

    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), Error> {
        if self.tls.named.iter().any(|named| named == end_entity) {
            return as_it_is(end_entity, name, now);
        }
        self.tls.trusts.verify_server_cert(end_entity, intermediates, name, ocsp, now).map(drop)
    }
}

fn is_hung_up(error: &(dyn std::error::Error + 'static)) -> bool {
    let hung = |kind| {
        matches!(kind, io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe)
    };
    causes(error).any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|it| hung(it.kind()))
            || cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message)
    })
}

/// A certificate that was named: only its time and its name are left to look at.
fn as_it_is(certificate: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
    let (from, until) = validity(certificate).ok_or(CertificateError::BadEncoding)?;
    if now.as_secs() < from.as_secs() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now.as_secs() > until.as_secs() {
        return Err(CertificateError::Expired.into());
    }
    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
}

/// From when and until when, since 1970.
fn validity(certificate: &CertificateDer<'_>) -> Option<(Duration, Duration)> {
    let parsed = x509_cert::Certificate::from_der(certificate).ok()?;
    let validity = parsed.tbs_certificate().validity();
    Some((validity.not_before.to_unix_duration(), validity.not_after.to_unix_duration()))
}

fn moment(since_1970: Duration) -> Option<At> {
    At::from_second(i64::try_from(since_1970.as_secs()).ok()?).ok()
}

/// So many names of a certificate are told.
const NAMED: usize = 3;

/// That a certificate is for others: for whom, as far as it says so. Clients look at its alternative names alone; what old tools write into
/// the subject is no name to them (RFC 9525, section 2).
pub fn of_another(why: &CertificateError) -> String {
    const ANOTHER: &str = "its certificate is for another name";
    let CertificateError::NotValidForNameContext { presented, .. } = why else { return ANOTHER.into() };
    // They come as `DnsName("app.example")`.
    let bare = |text: &String| {
        let inner = text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(text);
        clean(inner.trim_matches('"'))
    };
    let names: Vec<String> = presented.iter().take(NAMED).map(bare).collect();
    match presented.len() {
        0 => "its certificate has no alternative names (subjectAltName), and a common name alone is no name to clients"
            .into(),
        all if all > NAMED => format!("{ANOTHER}: {} and {} more", names.join(", "), all - NAMED),
        _ => format!("{ANOTHER}: {}", names.join(", ")),
    }
}

/// What is said of a certificate without extensions, as `openssl x509 -req` makes them when it is given none.
pub const FIRST_VERSION: &str = "its certificate is of X.509's version 1, without any names for clients, and is not read \
                                 here: have one made with a subjectAltName";

/// webpki reads version 3 alone, and its reason is in a crate of its own.
pub fn is_of_first_version(why: &CertificateError) -> bool {
    matches!(why, CertificateError::Other(_)) && why.to_string().contains("UnsupportedCertVersion")
}

/// What a browser would say of it.
fn of_certificate(why: &CertificateError) -> String {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate, or one of its chain, has expired".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet".into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => of_another(why),
        CertificateError::UnknownIssuer => {
            "its certificate is of an authority that is not trusted here, or the server leaves out a part of its chain: \
             `certificate_authority` names one to trust"
                .into()
        }
        CertificateError::Revoked => "its certificate was revoked".into(),
        other => match other.to_string() {
            own if own.contains("CaUsedAsEndEntity") => {
                "its certificate is an authority's own, and not trusted as it is: name that very certificate in \
                 `certificate_authority`"
                    .into()
            }
            words => format!("its certificate cannot be trusted: {}", clean(&words)),
        },
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(end_entity, intermediates, server_name, ocsp, now)?;
        let own = validity(end_entity).map(|(_, until)| until);
        // A chain may carry certificates that it does not need: the first end that breaks it counts.
        let chain = std::iter::once(end_entity).chain(intermediates).take(LONGEST_CHAIN);
        let mut ends: Vec<Duration> = chain.filter_map(validity).map(|(_, until)| until).collect();
        ends.sort_unstable();
        let breaks = |end: &Duration| {
            let then = UnixTime::since_unix_epoch(*end + Duration::from_secs(1));
            self.verify(end_entity, intermediates, server_name, ocsp, then).is_err()
        };
        let chain_ends = ends.iter().filter(|end| end.as_secs() >= now.as_secs()).find(|end| breaks(end)).copied();
        let shown =
            own.and_then(|own| Some(Shown { ends: moment(own)?, chain_ends: moment(chain_ends.unwrap_or(own))? }));
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tls.trusts.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tls.trusts.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.tls.trusts.supported_verify_schemes()
    }
}

impl ResolvesClientCert for Witness {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.tls.identity.clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_too_old_to_be_read_is_told_from_a_wrong_one() {
        use base64::Engine;
        let old = "MIIBFzCBvQIUeSDoG7v/0vAmfHhOGZMHPj0FM4UwCgYIKoZIzj0EAwIwDjEMMAoGA1UEAwwDb2xkMB4XDTI2MTEzMDExNTA1NVoXDTI2MTIwOTExNTA1\
                   NVowDjEMMAoGA1UEAwwDb2xkMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAExT2VCtJpbxHfjfBGxfFTIwvU5SHj1u6l2yxeLOSjwWH/X5aZrc3OqmRX\
                   8F4g6OdHdkgcedUJ+oAOxxtMgfTCYDAKBggqhkjOPQQDAgNJADBGAiEAk/dCN/xP76HOu74AFjjQaiOxnCoknAaak4JLourGy/MCIQCYsgk7CmLodE25\
                   K4qu+YWiZuUWAMSvEIoguZ91IIDUIQ==";
        let old = CertificateDer::from(base64::prelude::BASE64_STANDARD.decode(old).unwrap());
        let Error::InvalidCertificate(why) = ParsedCertificate::try_from(&old).err().unwrap() else { panic!() };
        assert!(is_of_first_version(&why), "{why}");
        assert!(!is_of_first_version(&CertificateError::BadEncoding));
    }

    #[test]
    fn for_whom_a_certificate_is_is_told_where_it_says_so() {
        let of = |names: &[&str]| {
            let expected = ServerName::try_from("app.example").unwrap();
            let presented = names.iter().map(|name| format!("DnsName(\"{name}\")")).collect();
            of_certificate(&CertificateError::NotValidForNameContext { expected, presented })
        };
        assert!(of(&[]).contains("no alternative names"));
        assert_eq!(of(&["a.example"]), "its certificate is for another name: a.example");
        assert!(of(&["a", "b", "c", "d", "e"]).ends_with("a, b, c and 2 more"));
        assert_eq!(of_certificate(&CertificateError::NotValidForName), "its certificate is for another name");
    }
}
