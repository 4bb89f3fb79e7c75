use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority, and a folder with what it signed.
struct Desk {
    dir: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Desk {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "desk");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let desk = Self { dir: tempfile::tempdir().unwrap(), issuer };
        desk.put("ca.pem", &desk.issuer.pem());
        desk
    }

    fn put(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn at(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Signs a certificate for some names, and keeps it beside its key.
    fn sign(&self, stem: &str, names: &[&str]) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        self.put(&format!("{stem}.pem"), &signed.pem());
        self.put(&format!("{stem}.key"), &key.serialize_pem());
    }

    /// What `openssl req -x509` makes: its own authority, and the server's certificate at once.
    fn sign_itself(&self, stem: &str) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["elsewhere.example".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, stem);
        self.put(&format!("{stem}.pem"), &params.self_signed(&key).unwrap().pem());
        self.put(&format!("{stem}.key"), &key.serialize_pem());
    }

    /// A server that shows a certificate and sends back what it is sent; `wants_one` of its clients, too.
    async fn serve(&self, stem: &str, wants_one: bool) -> u16 {
        let pem = |name: String| std::fs::read(self.at(&name)).unwrap();
        let chain = CertificateDer::pem_slice_iter(&pem(format!("{stem}.pem"))).collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(&pem(format!("{stem}.key"))).unwrap();
        let provider = Arc::new(ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let builder = match wants_one {
            true => {
                let mut roots = RootCertStore::empty();
                roots.add(self.issuer.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
            false => builder.with_no_client_auth(),
        };
        let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut word = [0; 4];
                    let _ = stream.read_exact(&mut word).await;
                    let _ = stream.write_all(&word).await;
                    let _ = stream.shutdown().await;
                }
            }
        });
        port
    }
}

/// Sends a word and has it back, or why not.
async fn talk(port: u16, given: Value, anybody: bool) -> Result<(), Fault> {
    let Value::Object(given) = given else { panic!("not a table") };
    let terms = Terms { anybody, ..Terms::of("store", &Params(given.into_iter().collect()))? };
    let tls = Tls::new(terms);
    let stream = dial("store", "localhost", port).await?;
    let mut wire = tls.wrap("store", "localhost", "localhost:1", stream).await?;
    let told = |error: io::Error| {
        refused("store", "localhost:1", &error).unwrap_or_else(|| Fault::transient("store", error.to_string()))
    };
    wire.write_all(b"word").await.map_err(told)?;
    let mut back = [0; 4];
    wire.read_exact(&mut back).await.map_err(told)?;
    assert_eq!(&back, b"word");
    Ok(())
}

#[tokio::test]
async fn each_way_to_trust_lets_through_what_it_should_and_says_why_not() {
    let desk = Desk::new();
    desk.sign("local", &["localhost"]);
    desk.sign("other", &["redis.internal.example"]);
    desk.sign_itself("itself");
    let (local, other) = (desk.serve("local", false).await, desk.serve("other", false).await);
    let (itself, strict) = (desk.serve("itself", false).await, desk.serve("local", true).await);
    let (ca, own) = (desk.at("ca.pem"), desk.at("itself.pem"));
    let (certificate, key) = (desk.at("other.pem"), desk.at("other.key"));
    let rows: Vec<(&str, u16, Value, bool, Option<&str>)> = vec![
        ("a private authority", local, json!({ "ca": ca }), false, None),
        ("an authority that nobody named", local, json!({ "ca": own }), false, Some("not trusted here")),
        ("another name", other, json!({ "ca": ca }), false, Some("another name")),
        ("the name is told", other, json!({ "ca": ca, "server_name": "redis.internal.example" }), false, None),
        ("names are not looked at", other, json!({ "ca": ca, "check_names": false }), false, None),
        (
            "another authority, names not looked at",
            other,
            json!({ "ca": own, "check_names": false }),
            false,
            Some("not trusted"),
        ),
        ("its own certificate is the authority", itself, json!({ "ca": own }), false, None),
        ("whatever is shown", itself, json!({}), true, None),
        ("it wants a certificate", strict, json!({ "ca": ca }), false, Some("client's certificate")),
        (
            "it is shown one",
            strict,
            json!({ "ca": ca, "client_certificate": certificate, "client_key": key }),
            false,
            None,
        ),
        ("there is no such file", local, json!({ "ca": "/nowhere/ca.pem" }), false, Some("cannot be read")),
        ("the file holds something else", local, json!({ "ca": desk.at("local.key") }), false, Some("no certificate")),
    ];
    for (what, port, given, anybody, wanted) in rows {
        match (talk(port, given, anybody).await, wanted) {
            (Ok(()), None) => {}
            (Err(fault), Some(words)) => {
                assert!(fault.what.contains(words), "{what}: {fault}");
                assert_eq!(fault.class, crate::domain::system::FaultClass::Permanent, "{what}: somebody is there");
            }
            (outcome, _) => panic!("{what}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn who_does_not_speak_tls_and_who_is_not_found_are_told_apart_from_who_is_gone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let plain = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.write_all(b"-ERR unknown command\r\n").await;
        // It is closed when the client has read that.
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.read(&mut [0; 1024]).await;
    });
    let fault = talk(port, json!({}), true).await.unwrap_err();
    assert!(fault.what.contains("does not speak TLS"), "{fault}");
    plain.await.unwrap();
    let gone = talk(port, json!({}), true).await.unwrap_err();
    assert_eq!(gone.class, crate::domain::system::FaultClass::Transient, "{gone}");
    let nowhere = dial("store", "no-such-host.invalid", 1).await.unwrap_err();
    assert!(
        nowhere.class == crate::domain::system::FaultClass::Permanent && nowhere.what.contains("looked up"),
        "{nowhere}"
    );
}

#[test]
fn half_of_a_client_certificate_is_refused_before_anything_is_asked() {
    let given = |value: Value| Params(value.as_object().unwrap().clone().into_iter().collect());
    let fault = Terms::of("store", &given(json!({ "client_key": "/key.pem" }))).unwrap_err();
    assert!(fault.next.contains("client_certificate"), "{fault}");
    assert!(Terms::of("store", &given(json!({ "server_name": "not a name" }))).is_err());
    assert_eq!(Terms::needless(&given(json!({ "ca": "/ca.pem" }))), Some("ca"));
}
