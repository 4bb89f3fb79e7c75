//! A real Prometheus that watches itself, and a real Alertmanager that tells Mayday: Debian's programs, which `.ci/install-peers` unpacks
//! beside the Python environment.

use std::path::{Path, PathBuf};
use std::process::Command;

use mayday::domain::health::{Reading, Status};
use mayday::domain::system::Verified;
use mayday::lab::STANDBY;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{Log, begun, connect, eventually, probe, step};
use crate::process::{EMPTY, Home};
use crate::python::interpreter;
use crate::server::{Server, free_port};

fn program(name: &str) -> PathBuf {
    let python = PathBuf::from(interpreter());
    let folder = python.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    folder.join("debian/usr/bin").join(name)
}

/// Writes `text` down in `dir`.
fn kept(dir: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn prometheus(dir: &TempDir, alertmanager: u16) -> Server {
    let port = free_port();
    let rules = kept(
        dir,
        "rules.yml",
        "groups:\n- name: test\n  interval: 1s\n  rules:\n  - alert: RegionDown\n    expr: vector(1)\n    labels: { region: us-east-1 }\n    annotations: { summary: a test }\n",
    );
    let config = format!(
        "global: {{ scrape_interval: 1s }}\nrule_files: [ {} ]\nscrape_configs:\n- job_name: own\n  static_configs: [ {{ targets: [ '127.0.0.1:{port}' ] }} ]\n- job_name: gone\n  static_configs: [ {{ targets: [ '127.0.0.1:1' ] }} ]\nalerting:\n  alertmanagers:\n  - static_configs: [ {{ targets: [ '127.0.0.1:{alertmanager}' ] }} ]\n",
        rules.display()
    );
    let config = kept(dir, "prometheus.yml", &config);
    let mut command = Command::new(program("prometheus"));
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", dir.path().join("tsdb").display()))
        // An Alertmanager that was not there yet is told again soon.
        .arg("--rules.alert.resend-delay=1s")
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    Server::start(&mut command, port)
}

fn alertmanager(dir: &TempDir, port: u16, webhook: &str) -> Server {
    let config = format!(
        "route: {{ receiver: mayday, group_wait: 1s, group_interval: 1s }}\nreceivers:\n- name: mayday\n  webhook_configs:\n  - url: {webhook}\n    http_config: {{ authorization: {{ credentials: s3cret }} }}\n"
    );
    let config = kept(dir, "alertmanager.yml", &config);
    let mut command = Command::new(program("prometheus-alertmanager"));
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", dir.path().join("alertmanager").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=");
    Server::start(&mut command, port)
}

#[tokio::test]
#[ignore = "needs Prometheus"]
async fn what_prometheus_knows_is_read_as_it_says_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = prometheus(&dir, 1);
    let system = connect("prometheus", None, json!({ "url": format!("http://{}/", server.address) }));
    let ask = async |given: Value| -> Reading { system.probe(&probe("prometheus.query", given)).await };
    let wait = async |status: Status, given: Value| -> Reading {
        eventually("Prometheus says so", async || {
            let seen = ask(given.clone()).await;
            (seen.status == status).then_some(seen)
        })
        .await
    };
    let own = json!({ "query": "up{job=\"own\"}", "down_below": 1 });
    wait(Status::Healthy, own.clone()).await;
    let all = wait(Status::Down, json!({ "query": "up", "down_below": 1 })).await;
    assert!(all.detail.contains("job=\"gone\"") && all.detail.contains("1 of 2"), "{all:?}");
    for (given, status, words) in [
        (json!({ "query": "scalar(vector(7))", "degraded_above": 5 }), Status::Degraded, "is 7, above 5"),
        (json!({ "query": "vector(0) / 0", "down_above": 5 }), Status::Unknown, "is not a number"),
        (json!({ "query": "no_such_metric", "down_above": 5 }), Status::Unknown, "finds nothing"),
        (json!({ "query": "no_such_metric", "down_above": 5, "empty": "healthy" }), Status::Healthy, "finds nothing"),
        (json!({ "query": "up[5m]", "down_above": 5 }), Status::Unknown, "an instant vector or a scalar"),
        (json!({ "query": "up{", "down_above": 5 }), Status::Unknown, "the query was refused (400)"),
        (json!({ "query": "up" }), Status::Unknown, "nothing says which values are right"),
    ] {
        let seen = ask(given.clone()).await;
        assert!(seen.status == status && seen.detail.contains(words), "{given}: {seen:?}");
    }
    let holds = step(&*system, "prometheus.holds", STANDBY, own);
    let verified = holds.verify(&begun(Value::Null, Default::default()), &Log::default()).await.unwrap();
    assert!(matches!(verified, Verified::Holds { .. }), "{verified:?}");
    assert!(holds.by_hand().iter().any(|line| line.contains("--data-urlencode")), "{:?}", holds.by_hand());
    drop(server);
    let dead = ask(json!({ "query": "up", "down_below": 1 })).await;
    assert_eq!(dead.status, Status::Unknown, "a dead Prometheus says nothing: {dead:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Prometheus and Alertmanager"]
async fn an_alert_of_prometheus_arrives_by_alertmanager() {
    let home = Home::new(&format!("{EMPTY}\n[alerts]\ntoken = {{ file = \"token\" }}\n"));
    std::fs::write(home.dir().join("token"), "s3cret").unwrap();
    let (dir, door, port) = (tempfile::tempdir().unwrap(), free_port(), free_port());
    let _engine = home.engine_with(&["--metrics", &format!("127.0.0.1:{door}")]).await;
    let _alertmanager = alertmanager(&dir, port, &format!("http://127.0.0.1:{door}/v1/alerts"));
    let _prometheus = prometheus(&dir, port);
    let client = home.client();
    let heard = eventually("the alert is heard", async || {
        let view = client.snapshot().await.ok()?;
        view.state.alerts.0.into_values().next()
    })
    .await;
    assert_eq!(heard.alert.words(), "RegionDown (us-east-1): a test");
    assert!(heard.alert.starts_at.is_some(), "{heard:?}");
}
