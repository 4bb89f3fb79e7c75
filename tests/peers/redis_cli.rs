//! `redis-cli` against the lab's Redis and Sentinels. Needs `redis-tools`.

use mayday::lab::{Lab, Pace};
use tokio::process::Command;

use crate::common::eventually;

/// What a server answers, as redis-cli prints it.
async fn ask(address: &str, words: &[&str]) -> String {
    let (host, port) = address.rsplit_once(':').expect("host:port");
    let done = Command::new("redis-cli").args(["-h", host, "-p", port]).args(words).output().await;
    let done = done.expect("redis-cli starts");
    assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-cli: .ci/run installs it"]
async fn redis_cli_finds_a_deployment_as_it_knows_it() {
    let lab = Lab::start(Pace(50.0)).await.unwrap();
    let at = |name: &str| lab.endpoints[&format!("redis.{name}")].as_str();
    let (master, sentinel) = (at("redis-1"), at("sentinel-2"));
    assert_eq!(ask(master, &["PING"]).await, "PONG");
    assert!(ask(master, &["ROLE"]).await.starts_with("master"));
    assert!(ask(master, &["INFO", "replication"]).await.contains("connected_slaves:2"));
    assert!(ask(at("redis-3"), &["ROLE"]).await.starts_with("slave"));
    assert!(ask(at("redis-3"), &["SET", "canary", "1"]).await.contains("READONLY"));
    let named = master.replace(':', "\n");
    assert_eq!(ask(sentinel, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "gennet-cache"]).await, named);
    assert!(ask(sentinel, &["SENTINEL", "CKQUORUM", "gennet-cache"]).await.starts_with("OK 3 usable Sentinels"));
    assert!(ask(sentinel, &["SENTINEL", "MASTERS"]).await.contains("config-epoch"));
    assert!(ask(sentinel, &["SENTINEL", "REPLICAS", "gennet-cache"]).await.contains("slave-repl-offset"));
    assert_eq!(ask(sentinel, &["SENTINEL", "FAILOVER", "gennet-cache"]).await, "OK");
    eventually("another master", async || {
        let now = ask(sentinel, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "gennet-cache"]).await;
        (now != named).then_some(())
    })
    .await;
    assert!(ask(sentinel, &["SENTINEL", "FAILOVER", "nobody"]).await.contains("No such master"));
}
