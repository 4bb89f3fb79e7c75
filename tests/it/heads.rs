//! Answers with heads as they are in the field, and proxies on the way to them.

use std::sync::{Arc, Mutex};

use mayday::domain::health::Status;
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::common::{connect, probe};
use crate::odd::{ANSWER, Farewell, authority, get, head, is, kept, leaf, ok, secured, server, shown};

#[tokio::test]
async fn a_head_as_old_servers_write_it_is_read_as_curl_does() {
    let answers: [(&str, String); 7] = [
        ("a folded header", "X-Old: one\r\n two\r\ncontent-length: 2\r\n\r\nok".into()),
        ("a blank before the colon", "Server : x\r\ncontent-length: 2\r\n\r\nok".into()),
        ("a line that is no header", "this is none\r\ncontent-length: 2\r\n\r\nok".into()),
        ("many headers", format!("{}content-length: 2\r\n\r\nok", "set-cookie: a=b\r\n".repeat(1500))),
        ("a large head", format!("x-big: {}\r\ncontent-length: 2\r\n\r\nok", "x".repeat(100_000))),
        ("trailers", "transfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n".into()),
        ("no length at all", "connection: close\r\n\r\nok".into()),
    ];
    for (what, answer) in answers {
        let url = server(move |_| format!("HTTP/1.1 200 OK\r\n{answer}").into_bytes()).await;
        let seen = get(json!({ "url": url, "body_contains": "ok" })).await;
        assert_eq!(seen.status, Status::Healthy, "{what}: {seen:?}");
    }
    let early = server(|_| [&b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"[..], &ok(b"ok", "")].concat()).await;
    is(&get(json!({ "url": early, "body_contains": "ok" })).await, Status::Healthy, "200");
    let marked = server(|_| ok(b"\xef\xbb\xbf{\"up\":true}", "content-type: application/json\r\n")).await;
    is(&get(json!({ "url": marked, "json_pointer": "/up" })).await, Status::Healthy, "200");
    let none = server(|_| b"ok".to_vec()).await;
    assert_eq!(get(json!({ "url": none })).await.status, Status::Down, "HTTP/0.9 is none that clients speak");
}

/// A proxy that leads everything to `target`, or answers with `says`; and what it was asked.
async fn proxy(target: String, says: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let kept = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = head(&mut stream).await;
            let is_tunnel = request.starts_with("CONNECT ");
            kept.lock().unwrap().push(request);
            let _ = stream.write_all(says.as_bytes()).await;
            if is_tunnel && says.contains("200") {
                let mut there = TcpStream::connect(&target).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut there).await;
            }
        }
    });
    (format!("http://{address}"), asked)
}

const OPEN: &str = "HTTP/1.1 200 Connection established\r\nVia: p\r\n\r\n";

#[tokio::test]
async fn a_probe_goes_by_a_proxy_where_it_is_told_to() {
    let (dir, root) = (tempfile::tempdir().unwrap(), authority());
    let trusted = kept(dir.path(), "root.pem", &root.pem);
    let (_, certificate, key) = leaf(&root);
    let server = secured(shown(vec![certificate], &key, None), ANSWER, Farewell::Polite).await;
    // A name that only the proxy's own side knows: the certificate is for it all the same.
    let url = format!("https://localhost:{}/x", server.port());
    let by = |proxy: &str| json!({ "url": url, "certificate_authority": trusted, "proxy": proxy });
    let (way, asked) = proxy(server.to_string(), OPEN).await;
    is(&get(by(&way)).await, Status::Healthy, "200");
    let first = asked.lock().unwrap()[0].clone();
    assert!(first.starts_with(&format!("CONNECT localhost:{} HTTP/1.1\r\n", server.port())), "{first}");

    let plain = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let (way, asked) = proxy(String::new(), plain).await;
    let given = json!({ "url": "http://only.inside.invalid/health?a=b", "proxy": way, "body_contains": "ok" });
    is(&get(given).await, Status::Healthy, "200");
    let first = asked.lock().unwrap()[0].clone();
    assert!(first.starts_with("GET http://only.inside.invalid/health?a=b HTTP/1.1\r\n"), "{first}");
    assert_ne!(get(json!({ "url": "http://only.inside.invalid/" })).await.status, Status::Healthy, "not directly");
}

#[tokio::test]
async fn a_proxy_that_fails_says_nothing_of_the_server() {
    for (says, status, words) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", Status::Unknown, "answers 407"),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", Status::Unknown, "Mayday is refused: the proxy"),
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", Status::Down, "cannot reach it (503"),
        ("SSH-2.0-OpenSSH\r\n\r\n", Status::Unknown, "does not answer as a proxy does"),
    ] {
        let (way, _) = proxy(String::new(), says).await;
        is(&get(json!({ "url": "https://app.invalid/", "proxy": way })).await, status, words);
    }
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for scheme in ["http", "https"] {
        let given = json!({ "url": format!("{scheme}://app.invalid/"), "proxy": format!("http://{gone}") });
        is(&get(given).await, Status::Unknown, "nobody could be asked: the proxy 127.0.0.1:");
    }
    let system = connect("http", None, json!({}));
    let refuses = |more: Value| {
        let mut given = json!({ "url": "https://app.invalid/" });
        given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        system.refuses(&probe("http.get", given)).map(|fault| fault.what).unwrap_or_default()
    };
    assert!(refuses(json!({ "proxy": "socks5://p:1" })).contains("http://"));
    assert!(refuses(json!({ "proxy": "http://p:1", "resolver": "127.0.0.1:53" })).contains("either `resolver`"));
    assert_eq!(refuses(json!({ "proxy": "environment" })), "");
}
