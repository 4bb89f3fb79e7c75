//! The ways to an API server: proxies, names in certificates, and what is silence and what is only our own trouble.

use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::super::Cluster;
use super::super::access::Host;
use super::super::standin::Standin;
use crate::domain::estate::SystemSpec;
use crate::domain::params::Params;
use crate::domain::system::Fault;

fn cluster(given: &Value) -> Result<Cluster, Fault> {
    let params = Params(given.as_object().unwrap().clone().into_iter().collect());
    let (id, region) = ("k8s".into(), Some("east".into()));
    let spec = SystemSpec { id, kind: "kubernetes".into(), title: "k8s".into(), region, class: None, params };
    Cluster::of(&spec, &Host::this())
}

/// A kubeconfig with one cluster, whose user has a token.
fn kubeconfig(dir: &Path, cluster: &Value) -> String {
    let path = dir.join("kubeconfig");
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c", "clusters": [{ "name": "c", "cluster": cluster }],
        "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
        "users": [{ "name": "u", "user": { "token": "t" } }],
    });
    std::fs::write(&path, text.to_string()).unwrap();
    path.display().to_string()
}

/// Several clusters of one system, each by its context, with the namespace `shop`.
pub fn of_contexts(dir: &Path, servers: &[(&str, String)]) -> Arc<Cluster> {
    let path = dir.join(format!("contexts-{}", servers.len()));
    let named = |of: &dyn Fn(&(&str, String)) -> Value| servers.iter().map(of).collect::<Vec<_>>();
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "users": [{ "name": "u", "user": { "token": "t" } }],
        "clusters": named(&|(name, url)| json!({ "name": name, "cluster": { "server": url } })),
        "contexts": named(&|(name, _)| json!({ "name": name, "context": { "cluster": name, "user": "u" } })),
    });
    std::fs::write(&path, text.to_string()).unwrap();
    let contexts: Vec<&str> = servers.iter().map(|(name, _)| *name).collect();
    let given = json!({ "kubeconfig": path.display().to_string(), "contexts": contexts, "namespace": "shop" });
    Arc::new(cluster(&given).unwrap())
}

/// How silent the only server of a cluster is.
async fn silence(cluster: &Cluster) -> Result<Option<String>, Fault> {
    cluster.silence(false).await.map(|all| all.into_iter().next().flatten())
}

type Heard = Arc<Mutex<Vec<String>>>;

/// A proxy that takes what is handed to it, and opens tunnels; says how each request began, and what credentials came with it.
async fn proxy() -> (String, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, heard) = (listener.local_addr().unwrap().to_string(), Heard::default());
    let told = heard.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let heard = heard.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let first = head.lines().next().unwrap().to_owned();
                let shown = head.to_ascii_lowercase().contains("proxy-authorization: basic");
                heard.lock().unwrap().push(format!("{first}{}", if shown { " with a password" } else { "" }));
                let asked = first.split(' ').nth(1).unwrap().to_owned();
                if first.starts_with("CONNECT") {
                    match TcpStream::connect(&asked).await {
                        Ok(mut server) => {
                            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                            let _ = copy_bidirectional(&mut client, &mut server).await;
                        }
                        Err(_) => client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await.unwrap(),
                    }
                    return;
                }
                let rest = asked.strip_prefix("http://").expect("the whole URL is asked for");
                let (server, path) = rest.split_once('/').unwrap();
                let mut server = TcpStream::connect(server).await.unwrap();
                server.write_all(head.replacen(&asked, &format!("/{path}"), 1).as_bytes()).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (address, told)
}

/// A proxy that connects nobody.
async fn forbidding(said: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = client.read(&mut head).await;
            let _ = client.write_all(format!("HTTP/1.1 {said}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
        }
    });
    address
}

/// TLS in front of another server, by a certificate for this name; with what it is trusted by.
async fn secured(upstream: &str, name: &str) -> (String, String) {
    crate::outbound::http::install_tls();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    let chain = vec![certificate.der().clone()];
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, private).unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let url = format!("https://{}", listener.local_addr().unwrap());
    let upstream = upstream.strip_prefix("http://").unwrap().to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = TcpStream::connect(upstream).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (url, certificate.pem())
}

#[tokio::test]
async fn a_server_without_tls_is_asked_for_by_its_whole_url() {
    let (server, dir) = (Standin::start().await, tempfile::tempdir().unwrap());
    let (address, heard) = proxy().await;
    let way = json!({ "server": server.url, "proxy-url": format!("http://ada:HUSH@{address}") });
    let cluster = cluster(&json!({ "kubeconfig": kubeconfig(dir.path(), &way) })).unwrap();
    assert_eq!(silence(&cluster).await.unwrap(), None);
    assert_eq!(*heard.lock().unwrap(), [format!("GET {}/version HTTP/1.1 with a password", server.url)]);
}

#[tokio::test]
async fn a_server_with_tls_is_reached_through_a_tunnel_and_known_by_another_name() {
    let (server, dir) = (Standin::start().await, tempfile::tempdir().unwrap());
    let (url, authority) = secured(&server.url, "api.cluster.example").await;
    let (address, heard) = proxy().await;
    std::fs::write(dir.path().join("ca.pem"), authority).unwrap();
    let way = |name: Option<&str>| {
        let mut way = json!({ "server": url, "proxy-url": address, "certificate-authority": "ca.pem" });
        way["tls-server-name"] = name.into();
        kubeconfig(dir.path(), &way)
    };
    let known = cluster(&json!({ "kubeconfig": way(Some("api.cluster.example")) })).unwrap();
    assert_eq!(silence(&known).await.unwrap(), None);
    let asked = heard.lock().unwrap()[0].clone();
    assert!(asked.starts_with("CONNECT 127.0.0.1:"), "{asked}");
    let other = cluster(&json!({ "kubeconfig": way(None) })).unwrap();
    let fault = silence(&other).await.unwrap_err();
    assert!(fault.what.contains("certificate"), "who shows a wrong certificate is there: {fault}");
}

#[tokio::test]
async fn our_own_trouble_is_nobodys_silence() {
    let dir = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = cluster(&json!({ "server": format!("http://{free}") })).unwrap();
    let silent = silence(&refused).await.unwrap().expect("nobody listens there");
    assert!(silent.contains("cannot be reached"), "{silent}");
    let unnamed = cluster(&json!({ "server": "http://no-such-name.invalid:6443" })).unwrap();
    assert!(silence(&unnamed).await.is_err(), "a name that is not found says nothing of who is there");
    let way = json!({ "server": "https://10.255.255.1:6443", "proxy-url": format!("http://{free}") });
    let behind = cluster(&json!({ "kubeconfig": kubeconfig(dir.path(), &way) })).unwrap();
    assert!(silence(&behind).await.is_err(), "a proxy that is gone hides whether the server is");
    let (address, _) = proxy().await;
    let way = json!({ "server": format!("https://{free}"), "proxy-url": format!("http://{address}") });
    let behind = cluster(&json!({ "kubeconfig": kubeconfig(dir.path(), &way) })).unwrap();
    let silent = silence(&behind).await.unwrap();
    assert!(silent.is_some(), "the proxy says that nobody is there");
    for said in ["403 Forbidden", "503 Service Unavailable"] {
        let way =
            json!({ "server": format!("https://{free}"), "proxy-url": format!("http://{}", forbidding(said).await) });
        let behind = cluster(&json!({ "kubeconfig": kubeconfig(dir.path(), &way) })).unwrap();
        let fault = silence(&behind).await.unwrap_err();
        assert!(
            fault.what.contains(&said[..3]),
            "a proxy that lets nobody through hides whether the server is: {fault}"
        );
    }
}

#[test]
fn what_says_two_things_is_refused() {
    for (given, words) in [
        (json!({ "server": "http://a", "kubeconfig": "/k" }), "`server` and `kubeconfig` say two things"),
        (json!({ "server": "http://a", "contexts": ["a"] }), "`server` and `contexts`"),
        (json!({ "in_pod": true, "context": "a" }), "`in_pod` and `context`"),
        (json!({ "context": "a", "contexts": ["a"] }), "`contexts` and `context`"),
        (json!({ "namespace": "a", "namespaces": ["a"] }), "`namespace` and `namespaces`"),
        (json!({ "namespaces": ["a", "a"] }), "has `a` twice"),
        (json!({ "server": "http://a b" }), "not a URL"),
    ] {
        let fault = cluster(&given).err().unwrap_or_else(|| panic!("{given} was taken"));
        assert!(fault.what.contains(words) && !fault.next.is_empty(), "{fault}");
    }
    for given in [json!({}), json!({ "in_pod": true }), json!({ "in_pod": false, "kubeconfig": "/k" })] {
        assert!(cluster(&given).is_ok(), "{given}");
    }
    let several = cluster(&json!({ "contexts": ["e1", "e2"], "namespaces": ["a", "b"] })).unwrap();
    assert_eq!(several.place(), "e1/a, e1/b, e2/a, e2/b");
    let hand: Vec<String> = several.spots.iter().map(|spot| spot.kubectl()).collect();
    assert_eq!(hand[2], "kubectl --context e2 -n a");
}
