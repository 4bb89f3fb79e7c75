//! What other monitoring says: by the socket, by the command line, and by the loopback port for who shows the token.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::eventually;
use crate::process::{EMPTY, Home};

const WITH_TOKEN: &str = r#"
[alerts]
token = { env = "ALERTS_TOKEN_OF_A_TEST_THAT_IS_NOT_SET" }
repeat = "1h"

[[alerts.count]]
labels = { alertname = "RegionDown" }
after = "1s"
"#;

fn firing(status: &str) -> Value {
    json!({
        "version": "4", "receiver": "mayday",
        "alerts": [{
            "status": status, "fingerprint": "5ef77f1f8a3ecb8d", "startsAt": "2026-11-30T05:47:00Z",
            "labels": { "alertname": "RegionDown", "region": "us-east-1", "severity": "critical" },
            "annotations": { "summary": "every probe fails" },
        }],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_is_shown_and_counts_only_where_the_config_says_so() {
    for (config, counts) in [(EMPTY.to_owned(), false), (format!("{EMPTY}{WITH_TOKEN}"), true)] {
        let home = Home::new(&config);
        let _engine = home.engine().await;
        let file = home.dir().join("sending.json");
        let take = async |sending: &Value, heard: &str| {
            std::fs::write(&file, sending.to_string()).unwrap();
            home.says(&format!("alert {}", file.display())).await.is(0, &[heard]);
        };
        take(&firing("firing"), "1 alert heard, 1 of them news").await;
        take(&firing("firing"), "1 alert heard, 0 of them news").await;
        let listed = home.says("alert").await;
        listed.is(0, &["alertmanager", "firing", "RegionDown (us-east-1): every probe fails"]);
        let status = home.says("status").await;
        status.is(0, &["RegionDown (us-east-1): every probe fails"]);
        assert_eq!(status.out.contains("alert rule "), counts, "{status:#?}");
        home.says("journal tail").await.is(0, &["alert of alertmanager firing: RegionDown"]);
        take(&firing("resolved"), "1 of them news").await;
        home.says("alert").await.is(0, &["No alert of other monitoring is known"]);
        let confirm = json!({ "Type": "SubscriptionConfirmation", "Message": "x", "SubscribeURL": "https://x" });
        std::fs::write(&file, confirm.to_string()).unwrap();
        home.says(&format!("alert {}", file.display())).await.is(2, &["follows no link"]);
    }
}

/// A request on the loopback port, and the first line of its answer.
async fn posted(at: SocketAddr, token: &str, body: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(at).await else { return String::new() };
    let request = format!(
        "POST /v1/alerts HTTP/1.1\r\nhost: {at}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loopback_port_takes_alerts_only_from_who_shows_the_token() {
    let home = Home::new(&format!("{EMPTY}\n[alerts]\ntoken = {{ file = \"token\" }}\n"));
    std::fs::write(home.dir().join("token"), "s3cret\n").unwrap();
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let _engine = home.engine_with(&["--metrics", &port.to_string()]).await;
    let body = firing("firing").to_string();
    let refused = eventually("the port answers", async || {
        let said = posted(port, "guessed", &body).await;
        (!said.is_empty()).then_some(said)
    })
    .await;
    assert!(refused.contains("403"), "{refused}");
    assert!(posted(port, "", &body).await.contains("403"));
    home.says("alert").await.is(0, &["No alert"]);
    assert!(posted(port, "s3cret", &body).await.contains("200"));
    home.says("alert").await.is(0, &["RegionDown"]);
    assert!(posted(port, "s3cret", "{}").await.contains("400"), "what it is not");
}
