//! Servers as they are in the field: each of them is well, or says why nothing can be told of it, in the words that a probe has for it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{RData, Record, RecordType};
use mayday::domain::health::{Reading, Status};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;

use crate::common::{connect, probe};

async fn look(kind: &str, given: Value) -> Reading {
    let system = kind.split('.').next().unwrap();
    connect(system, None, json!({})).probe(&probe(kind, given)).await
}

pub async fn get(given: Value) -> Reading {
    look("http.get", given).await
}

pub fn is(seen: &Reading, status: Status, words: &str) {
    assert!(seen.status == status && seen.detail.contains(words), "expected {status} and `{words}`: {seen:?}");
}

/// Reads the head of a request.
pub async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    while !read.windows(4).any(|it| it == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(length) if length > 0 => read.extend_from_slice(&buffer[..length]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// A server that answers each request with what `answer` makes of it, and closes.
pub async fn server(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> String {
    at("127.0.0.1:0", answer).await
}

async fn at(address: &str, answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let asked = head(&mut stream).await;
                let _ = stream.write_all(&answer(&asked)).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    format!("http://{address}")
}

pub fn ok(body: &[u8], headers: &str) -> Vec<u8> {
    said("200 OK", body, headers)
}

fn said(status: &str, body: &[u8], headers: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn a_marker_far_down_a_page_is_found_and_beyond_the_limit_nothing_is_claimed() {
    let page =
        |filling: usize| [b"<!doctype html>".to_vec(), vec![b' '; filling], b"<!-- build-ok -->".to_vec()].concat();
    let (large, larger) = (page(400_000), page(5 * 1024 * 1024));
    let large = server(move |_| ok(&large, "")).await;
    is(&get(json!({ "url": large, "body_contains": "build-ok" })).await, Status::Healthy, "200");
    is(&get(json!({ "url": large, "body_contains": "build-not" })).await, Status::Down, "is not in the answer");
    let larger = server(move |_| ok(&larger, "")).await;
    let patient = json!({ "url": larger, "body_contains": "build-ok" });
    let seen = get(patient).await;
    is(&seen, Status::Unknown, "only the first 4 MiB were read");
}

#[tokio::test]
async fn what_is_compressed_or_in_another_alphabet_is_read_or_said_to_be_unread() {
    use std::io::Write;
    let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    coder.write_all(b"{\"status\":\"ok\"}").unwrap();
    let packed = coder.finish().unwrap();
    let gzip = packed.clone();
    let gzip = server(move |_| ok(&gzip, "content-encoding: gzip\r\n")).await;
    is(&get(json!({ "url": gzip, "body_contains": "\"ok\"" })).await, Status::Healthy, "200");
    is(&get(json!({ "url": gzip, "json_pointer": "/status", "json_equals": "ok" })).await, Status::Healthy, "200");
    let brotli = server(move |_| ok(&packed, "content-encoding: br\r\n")).await;
    let seen = get(json!({ "url": brotli, "body_contains": "ok" })).await;
    is(&seen, Status::Unknown, "compressed as `br`");
    assert!(seen.detail.is_ascii(), "{seen:?}");
    let latin = server(|_| ok(b"St\xf6rung: keine", "content-type: text/plain; charset=iso-8859-1\r\n")).await;
    is(&get(json!({ "url": latin, "body_contains": "Störung" })).await, Status::Healthy, "200");
    let foreign = server(|_| ok(b"\x82\xa0", "content-type: text/plain; charset=shift_jis\r\n")).await;
    is(&get(json!({ "url": foreign, "body_contains": "あ" })).await, Status::Unknown, "shift_jis");
    let binary = server(|_| said("500 Oops", &[0, 1, 2, 3, 255], "")).await;
    is(&get(json!({ "url": binary })).await, Status::Down, "5 bytes that are no text");
}

#[tokio::test]
async fn a_body_without_an_end_is_no_outage_and_one_that_does_not_come_is() {
    let endless = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", endless.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = endless.accept().await {
            tokio::spawn(async move {
                head(&mut stream).await;
                let begin = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
                let _ = stream.write_all(begin.as_bytes()).await;
                while stream.write_all(b"6\r\n: hi\n\n\r\n").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
        }
    });
    is(&get(json!({ "url": url })).await, Status::Healthy, "has no end");
    is(&get(json!({ "url": url, "body_contains": ": hi" })).await, Status::Healthy, "200");
    is(&get(json!({ "url": url, "body_contains": "never" })).await, Status::Unknown, "did not end in time");
    let half = server(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec()).await;
    is(&get(json!({ "url": half })).await, Status::Down, "only 4 of 100 bytes came");
    let old = server(|_| b"HTTP/1.0 200 OK\nServer: old\n\nok".to_vec()).await;
    is(&get(json!({ "url": old, "body_contains": "ok" })).await, Status::Healthy, "200");
    let bare = server(|_| b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok".to_vec()).await;
    is(&get(json!({ "url": bare })).await, Status::Healthy, "200");
}

#[tokio::test]
async fn a_redirect_says_where_it_leads_and_is_followed_only_where_that_was_asked() {
    let goal = server(|asked| {
        let proof = if asked.to_ascii_lowercase().contains("authorization") { "proof was shown" } else { "goal" };
        ok(proof.as_bytes(), "")
    })
    .await;
    let to = |place: &str| {
        let header = format!("location: {place}\r\n");
        server(move |_| said("302 Found", b"", &header))
    };
    let moved = to(&goal).await;
    let away = to("https://login.example/start?state=hunter2").await;
    let seen = get(json!({ "url": away })).await;
    is(&seen, Status::Down, "302 Found, and leads to https://login.example/start");
    assert!(!seen.detail.contains("hunter2"), "{seen:?}");
    is(&get(json!({ "url": away, "follow": 3 })).await, Status::Unknown, "another scheme is never followed");
    let inside = to("http://169.254.169.254/latest/meta-data/").await;
    is(&get(json!({ "url": inside, "follow": 3 })).await, Status::Unknown, "a link-local address");
    let token = json!({ "command": ["printf", "hunter2"] });
    let followed = json!({ "url": moved, "follow": 1, "body_contains": "goal", "bearer_token": token });
    is(&get(followed).await, Status::Healthy, "200");
    is(&get(json!({ "url": moved })).await, Status::Down, "leads to");
    is(&get(json!({ "url": moved, "expect_status": [200, 302] })).await, Status::Healthy, "302");
    let relative = server(|asked| match asked.starts_with("GET /end ") {
        true => ok(b"end", ""),
        false => said("307 Temporary Redirect", b"", "location: /end\r\n"),
    })
    .await;
    is(&get(json!({ "url": relative, "follow": 2, "body_contains": "end" })).await, Status::Healthy, "200");
    let circle = server(|_| said("302 Found", b"", "location: /\r\n")).await;
    is(&get(json!({ "url": circle, "follow": 3 })).await, Status::Down, "leads to");
}

#[tokio::test]
async fn who_asks_and_how_is_the_configs_business() {
    let strict = server(|asked| {
        let lower = asked.to_ascii_lowercase();
        let right = asked.starts_with("POST ")
            && asked.contains("Basic cHJvYmU6czNjcmV0LXBhc3M=")
            && lower.contains("x-probe: 1")
            && lower.contains("user-agent: mayday/");
        if right { ok(b"welcome", "") } else { said("401 Unauthorized", b"login first", "") }
    })
    .await;
    let secret = json!({ "command": ["printf", "s3cret-pass"] });
    is(&get(json!({ "url": strict })).await, Status::Unknown, "Mayday is refused: 401 login first");
    let whole = json!({
        "url": strict, "method": "POST", "headers": { "X-Probe": "1" }, "username": "probe", "password": secret,
        "body_matches": "^wel+come$", "body_lacks": "(?i)error",
    });
    is(&get(whole).await, Status::Healthy, "200");
    let unread = json!({ "url": strict, "bearer_token": { "file": "/nonexistent/token" } });
    is(&get(unread).await, Status::Unknown, "/nonexistent/token");
    let json = server(|_| ok(b"{\"db\":{\"up\":false,\"lag\":7}}", "")).await;
    let at = |pointer: &str, equals: Option<&str>| {
        let mut given = json!({ "url": json, "json_pointer": pointer });
        if let Some(equals) = equals {
            given["json_equals"] = json!(equals);
        }
        get(given)
    };
    is(&at("/db/lag", Some("7")).await, Status::Healthy, "200");
    is(&at("/db/lag", None).await, Status::Healthy, "200");
    is(&at("/db/up", None).await, Status::Down, "/db/up is false");
    is(&at("/db/lag", Some("0")).await, Status::Down, "is `7`, expected `0`");
    is(&at("/db/missing", None).await, Status::Down, "nothing is at /db/missing");
}

pub struct Authority {
    pub pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

pub fn authority() -> Authority {
    let mut about = CertificateParams::new(Vec::new()).unwrap();
    about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    about.distinguished_name.push(DnType::CommonName, "Field Root");
    let key = KeyPair::generate().unwrap();
    let made = about.self_signed(&key).unwrap();
    Authority { pem: made.pem(), der: made.der().clone(), issuer: Issuer::new(about, key) }
}

pub fn leaf(of: &Authority) -> (String, CertificateDer<'static>, KeyPair) {
    let about = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let made = about.signed_by(&key, &of.issuer).unwrap();
    (made.pem(), made.der().clone(), key)
}

/// How a server ends an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    Polite,
    /// TCP ends, and TLS does not.
    Rude,
}

pub async fn secured(config: ServerConfig, answer: &'static [u8], farewell: Farewell) -> SocketAddr {
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            serve(&mut stream, answer).await;
            match farewell {
                Farewell::Polite => drop(stream.shutdown().await),
                Farewell::Rude => drop(stream.get_mut().0.shutdown().await),
            }
        }
    });
    address
}

async fn serve(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), answer: &[u8]) {
    head(stream).await;
    let _ = stream.write_all(answer).await;
    let _ = stream.flush().await;
}

pub fn shown(chain: Vec<CertificateDer<'static>>, key: &KeyPair, clients: Option<&Authority>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    builder.with_single_cert(chain, key).unwrap()
}

pub fn kept(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

pub const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

#[tokio::test]
async fn a_certificate_that_is_its_own_authority_is_trusted_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    // As `openssl req -x509` makes it: CA:TRUE.
    let mut about = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let made = about.self_signed(&key).unwrap();
    let own = kept(dir.path(), "self.pem", &made.pem());
    let server = secured(shown(vec![made.der().clone()], &key, None), ANSWER, Farewell::Polite).await;
    let url = format!("https://{server}/");
    is(&get(json!({ "url": url, "certificate_authority": own })).await, Status::Healthy, "200");
    let other = kept(dir.path(), "other.pem", &authority().pem);
    is(&get(json!({ "url": url, "certificate_authority": other })).await, Status::Down, "`certificate_authority`");
    let elsewhere = format!("https://localhost:{}/", server.port());
    let seen = get(json!({ "url": elsewhere, "certificate_authority": own })).await;
    is(&seen, Status::Down, "is for another name");
    let tls = json!({ "address": server.to_string(), "certificate_authority": own });
    is(&look("tcp.tls", tls).await, Status::Healthy, "speaks TLS 1.3");
    let soon = json!({ "address": server.to_string(), "certificate_authority": own, "certificate": "900000d" });
    is(&look("tcp.tls", soon).await, Status::Degraded, "its certificate ends in");
}

#[tokio::test]
async fn a_connection_that_ends_without_a_farewell_ends_the_answer_where_nothing_else_does() {
    let (dir, root) = (tempfile::tempdir().unwrap(), authority());
    let trusted = kept(dir.path(), "root.pem", &root.pem);
    let (_, certificate, key) = leaf(&root);
    let open: &[u8] = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"status\":\"ok\"}";
    let rude = secured(shown(vec![certificate.clone()], &key, None), open, Farewell::Rude).await;
    let look = async |at: SocketAddr, part: &str| {
        let url = format!("https://{at}/");
        get(json!({ "url": url, "certificate_authority": trusted, "body_contains": part })).await
    };
    is(&look(rude, "\"ok\"").await, Status::Healthy, "200");
    let cut: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"status\":\"ok\"}";
    let cut = secured(shown(vec![certificate], &key, None), cut, Farewell::Rude).await;
    is(&look(cut, "nothing").await, Status::Down, "only 15 of 100 bytes came");
}

#[tokio::test]
async fn a_server_that_wants_to_know_who_asks_is_not_down() {
    let (dir, root) = (tempfile::tempdir().unwrap(), authority());
    let trusted = kept(dir.path(), "root.pem", &root.pem);
    let (_, certificate, key) = leaf(&root);
    let server = secured(shown(vec![certificate], &key, Some(&root)), ANSWER, Farewell::Polite).await;
    let url = format!("https://{server}/");
    let plain = json!({ "url": url, "certificate_authority": trusted });
    is(&get(plain).await, Status::Unknown, "Mayday is refused: it wants a client certificate");
    let with = async |authority: &Authority| {
        let (pem, _, key) = leaf(authority);
        let certificate = kept(dir.path(), "client.pem", &pem);
        let key = kept(dir.path(), "client.key", &key.serialize_pem());
        let given = json!({
            "url": url, "certificate_authority": trusted, "client_certificate": certificate, "client_key": { "file": key },
        });
        get(given).await
    };
    is(&with(&root).await, Status::Healthy, "200");
    is(&with(&authority()).await, Status::Unknown, "Mayday is refused");
}

#[tokio::test]
async fn a_chain_ends_with_the_first_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let root = authority();
    let trusted = kept(dir.path(), "root.pem", &root.pem);
    // The authority between ends long before the certificate that it has signed.
    let mut between = CertificateParams::new(Vec::new()).unwrap();
    between.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    between.distinguished_name.push(DnType::CommonName, "Field Inter");
    between.not_after = rcgen::date_time_ymd(2060, 1, 1);
    let between_key = KeyPair::generate().unwrap();
    let made = between.signed_by(&between_key, &root.issuer).unwrap();
    let between = Authority { pem: made.pem(), der: made.der().clone(), issuer: Issuer::new(between, between_key) };
    let (_, certificate, key) = leaf(&between);
    let server = secured(shown(vec![certificate, between.der.clone()], &key, None), ANSWER, Farewell::Polite).await;
    let look = async |least: &str| {
        let url = format!("https://{server}/");
        get(json!({ "url": url, "certificate_authority": trusted, "certificate": least })).await
    };
    is(&look("30d").await, Status::Healthy, "200");
    is(&look("20000d").await, Status::Degraded, "a certificate of its chain ends in");
}

/// A name server: `app.field.test` has two addresses, of which the first is dead; `six.field.test` has one of IPv6.
async fn names() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let Ok(asked) = Message::from_vec(&buffer[..length]) else { continue };
            let mut reply = Message::response(asked.metadata.id, asked.metadata.op_code);
            reply.add_queries(asked.queries.iter().cloned());
            let query = &asked.queries[0];
            let record = |data: RData| Record::from_rdata(query.name().clone(), 60, data);
            match (query.name().to_ascii().as_str(), query.query_type()) {
                ("app.field.test.", RecordType::A) => {
                    reply.add_answer(record(RData::A(A::new(127, 0, 0, 2))));
                    reply.add_answer(record(RData::A(A::new(127, 0, 0, 9))));
                }
                ("six.field.test.", RecordType::AAAA) => {
                    reply.add_answer(record(RData::AAAA(AAAA::new(0, 0, 0, 0, 0, 0, 0, 1))));
                }
                ("lost.field.test.", _) => reply.metadata.response_code = ResponseCode::ServFail,
                ("app.field.test." | "six.field.test.", _) => {}
                _ => reply.metadata.response_code = ResponseCode::NXDomain,
            }
            let _ = socket.send_to(&reply.to_vec().unwrap(), from).await;
        }
    });
    address
}

#[tokio::test]
async fn one_dead_address_of_two_is_no_outage() {
    let resolver = names().await.to_string();
    let second = at("127.0.0.9:0", |_| ok(b"ok", "")).await;
    let port = second.rsplit_once(':').unwrap().1.to_owned();
    let of = |host: &str| json!({ "url": format!("http://{host}:{port}/"), "resolver": resolver });
    is(&get(of("app.field.test")).await, Status::Healthy, "does not answer: 127.0.0.2:");
    is(&get(of("nobody.field.test")).await, Status::Down, "NXDOMAIN");
    is(&get(of("lost.field.test")).await, Status::Unknown, "cannot tell");
    let silent = json!({ "url": format!("http://app.field.test:{port}/"), "resolver": "127.0.0.1:1" });
    is(&get(silent).await, Status::Unknown, "nobody could be asked");
}

#[tokio::test]
async fn names_and_values_are_taken_in_every_form() {
    let server = names().await.to_string();
    let six = json!({ "name": "six.field.test", "type": "AAAA", "server": server, "expect": ["0:0:0:0:0:0:0:1"] });
    is(&look("dns.answer", six).await, Status::Healthy, "::1");
    let foreign = json!({ "name": "bücher.field.test", "type": "aaaa", "server": server });
    is(&look("dns.answer", foreign).await, Status::Down, "NXDOMAIN");
    let lost = json!({ "name": "lost.field.test", "server": server });
    is(&look("dns.answer", lost).await, Status::Unknown, "cannot tell");
    let silent = json!({ "name": "app.field.test", "server": "127.0.0.1:1" });
    is(&look("dns.answer", silent).await, Status::Down, "127.0.0.1:1");
}
