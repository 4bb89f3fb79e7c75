//! What is outside hangs or floods: a login program, a mount, a secret's command, a server, the engine itself. Nobody else waits for it.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use mayday::domain::health::Status;
use mayday::domain::ids::ProbeId;
use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::common::eventually;
use crate::process::{EMPTY, Home};

/// Each of these would stop an engine that waits for it in its own threads.
const STRANGERS: &str = r#"
[probe]
every = "200ms"
timeout = "200ms"

[[system]]
id = "cluster"
kind = "kubernetes"
kubeconfig = "DIR/kubeconfig"
[[system.probe]]
id = "cluster-nodes"
kind = "kubernetes.nodes"
region = "us-east-1"

[[system]]
id = "mounted"
kind = "redis"
master_name = "main"
sentinels = ["127.0.0.1:1"]
regions = { "127.0.0.1:1" = "us-east-1" }
password = { file = "DIR/mount" }
sentinel_password = { file = "DIR/mount" }
[[system.probe]]
id = "mounted-sentinels"
kind = "redis.sentinels"
region = "us-east-1"

[[system]]
id = "flooding"
kind = "redis"
master_name = "main"
sentinels = ["127.0.0.1:1"]
regions = { "127.0.0.1:1" = "us-east-1" }
sentinel_password = { command = ["yes", "a secret without end"] }
[[system.probe]]
id = "flooding-sentinels"
kind = "redis.sentinels"
region = "us-east-1"

[[service]]
id = "others"
tier = "standard"
[[service.probe]]
id = "endless"
kind = "http.get"
url = "http://ENDLESS/"
region = "us-east-1"
[[service.probe]]
id = "silent"
kind = "http.get"
url = "http://SILENT/"
region = "us-east-1"
[[service.probe]]
id = "well"
kind = "http.get"
url = "http://WELL/"
region = "us-west-2"
"#;

const KUBECONFIG: &str = r#"{
  "apiVersion": "v1", "kind": "Config", "current-context": "c",
  "clusters": [{ "name": "c", "cluster": { "server": "http://127.0.0.1:1" } }],
  "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
  "users": [{ "name": "u", "user": { "exec": {
    "apiVersion": "client.authentication.k8s.io/v1", "command": "sleep", "args": ["1000"], "interactiveMode": "Never"
  } } }]
}"#;

/// Serves every connection in one way.
async fn serve(answer: &'static [u8], endless: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut goes_on = stream.write_all(answer).await.is_ok();
                while endless && goes_on {
                    goes_on = stream.write_all(&[b'a'; 65_536]).await.is_ok();
                }
                if answer.is_empty() {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    address
}

fn resident_megabytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_that_hang_or_flood_hold_up_nobody() {
    let home = Home::new(EMPTY);
    let dir = home.dir().display().to_string();
    let well = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", false).await;
    let endless = serve(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", true).await;
    let silent = serve(b"", false).await;
    let strangers = STRANGERS.replace("DIR", &dir).replace("ENDLESS", &endless);
    let strangers = strangers.replace("SILENT", &silent).replace("WELL", &well);
    std::fs::write(home.dir().join("config.toml"), format!("{EMPTY}{strangers}")).unwrap();
    std::fs::write(home.dir().join("kubeconfig"), KUBECONFIG).unwrap();
    // Who opens it to read waits for a writer that never comes, as for a server that is gone.
    let made = std::process::Command::new("mkfifo").arg(home.dir().join("mount")).status().unwrap();
    assert!(made.success());

    let mut engine = home.engine().await;
    let id = ProbeId::from("well");
    let mut seen = Vec::new();
    let looked = |view: &mayday::domain::view::Snapshot| view.live.probes.get(&id).map(|it| (it.at, it.status));
    eventually("the others keep their pace", async || {
        let view = home.client().snapshot().await.unwrap();
        match looked(&view) {
            Some((at, Status::Healthy)) if seen.last() != Some(&at) => seen.push(at),
            _ => {}
        }
        (seen.len() > 40).then_some(())
    })
    .await;
    let view = home.client().snapshot().await.unwrap();
    for stranger in ["cluster-nodes", "mounted-sentinels", "flooding-sentinels", "silent"] {
        let live = view.live.probes.get(&ProbeId::from(stranger));
        assert!(live.is_none_or(|live| live.status != Status::Healthy), "{stranger}: {live:?}");
    }
    home.says("status").await.is(0, &["us-west-2"]);
    home.says("hold on").await.is(0, &[]);
    let megabytes = resident_megabytes(engine.pid().as_raw_pid().unsigned_abs());
    // Unoptimised and with its symbols it needs more than it is promised to.
    assert!(megabytes < 300, "{megabytes} MB");
    engine.signal(Signal::TERM);
    engine.end().await;
    assert!(!home.socket().exists(), "it ended in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_an_engine_that_is_stopped_is_told_so() {
    let home = Home::new(EMPTY);
    let engine = home.engine().await;
    engine.signal(Signal::STOP);
    let mut status =
        home.mayday("status").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(status.stderr.take().unwrap());
    let first = tokio::task::spawn_blocking(move || said.lines().next()).await.unwrap();
    engine.signal(Signal::CONT);
    assert_eq!(first.unwrap().unwrap(), "waiting for the engine…");
    let ended = tokio::task::spawn_blocking(move || status.wait()).await.unwrap().unwrap();
    assert!(ended.success());
}
