//! The relay's certificate, made anew for each lab by an authority of its own.

use std::io;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// What a client may call the relay on this machine.
const LOCAL: [&str; 2] = ["localhost", "127.0.0.1"];

/// What speaks TLS as `host`, and the authority to trust for that, in PEM.
pub fn make(host: &str) -> io::Result<(TlsAcceptor, String)> {
    let mut about = CertificateParams::default();
    about.distinguished_name.push(DnType::CommonName, "Mayday lab authority");
    about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    about.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let authority = about.self_signed(&key).map_err(io::Error::other)?.pem();
    let issuer = Issuer::new(about, key);

    let names: Vec<String> = LOCAL.into_iter().chain([host]).map(str::to_owned).collect();
    let mut about = CertificateParams::new(names).map_err(io::Error::other)?;
    about.distinguished_name.push(DnType::CommonName, host);
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let certificate = about.signed_by(&key, &issuer).map_err(io::Error::other)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key))
        .map_err(io::Error::other)?;
    Ok((TlsAcceptor::from(Arc::new(config)), authority))
}
