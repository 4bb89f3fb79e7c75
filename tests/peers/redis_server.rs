//! The Redis driver against real servers: a master, two replicas, three Sentinels, all on loopback. Needs `redis-server`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use mayday::domain::estate::DataClass;
use mayday::domain::health::Status;
use mayday::domain::recovery::Role;
use mayday::domain::system::{GuardVerdict, Observed, OldWriter, Receipt, System, Verified};
use mayday::lab::{PRIMARY, STANDBY};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::common::{Log, begun, connect, eventually, probe, step};
use crate::server::{Server, free_port};

const MASTER: &str = "gennet-cache";

/// What differs between beds: the program, and lines of its config files.
pub struct Kind {
    pub program: PathBuf,
    pub server: String,
    pub sentinel: String,
    /// Whether ports speak TLS.
    pub tls: bool,
}

impl Default for Kind {
    fn default() -> Self {
        Self { program: "redis-server".into(), server: String::new(), sentinel: String::new(), tls: false }
    }
}

impl Kind {
    pub fn start(&self, dir: &TempDir, port: u16, sentinel: bool, config: &str) -> Server {
        let file = dir.path().join(format!("{port}.conf"));
        let listens = if self.tls { format!("port 0\ntls-port {port}") } else { format!("port {port}") };
        let own = dir.path().join(port.to_string());
        std::fs::create_dir_all(&own).unwrap();
        let common = format!("bind 127.0.0.1\n{listens}\ndir {}\n", own.display());
        let extra = if sentinel { &self.sentinel } else { &self.server };
        std::fs::write(&file, common + config + extra).unwrap();
        let mut command = Command::new(&self.program);
        command.arg(&file);
        if sentinel {
            command.arg("--sentinel");
        }
        Server::start(&mut command, port)
    }
}

fn start(dir: &TempDir, port: u16, sentinel: bool, config: &str) -> Server {
    Kind::default().start(dir, port, sentinel, config)
}

pub struct Bed {
    pub servers: Vec<Server>,
    pub sentinels: Vec<Server>,
    pub redis: Arc<dyn System>,
    _dir: TempDir,
}

/// redis-1 is the master and, with redis-2, in the primary region; redis-3 is in the standby.
async fn bed() -> Bed {
    let bed = bed_of(&Kind::default(), |_| {}).await;
    eventually("Sentinels know everyone", async || {
        for sentinel in &bed.sentinels {
            knows_everyone(sentinel, &bed.servers[2]).await?;
        }
        Some(())
    })
    .await;
    bed
}

/// The same of another kind, with `change` made to what the config says.
pub async fn bed_of(kind: &Kind, change: impl FnOnce(&mut Value)) -> Bed {
    let dir = tempfile::tempdir().unwrap();
    let ports = [free_port(), free_port(), free_port()];
    let quiet = "save \"\"\nappendonly no\nrepl-diskless-sync-delay 0\n";
    let servers: Vec<Server> = ports
        .iter()
        .enumerate()
        .map(|(nth, port)| {
            let follows = if nth == 0 { String::new() } else { format!("replicaof 127.0.0.1 {}\n", ports[0]) };
            // Sentinel prefers the smaller number: the standby is steered to.
            let priority = if nth == 2 { 10 } else { 100 };
            kind.start(&dir, *port, false, &format!("{quiet}{follows}replica-priority {priority}\n"))
        })
        .collect();
    let watch = format!(
        "sentinel monitor {MASTER} 127.0.0.1 {} 2\nsentinel down-after-milliseconds {MASTER} 1000\nsentinel failover-timeout {MASTER} 3000\n",
        ports[0]
    );
    let sentinels: Vec<Server> = (0..3).map(|_| kind.start(&dir, free_port(), true, &watch)).collect();
    let named = |of: &[Server]| of.iter().map(|it| it.address.clone()).collect::<Vec<_>>();
    let regions = [PRIMARY, PRIMARY, STANDBY];
    let nodes: Map<String, Value> =
        servers.iter().zip(1..).map(|(it, number)| (format!("redis-{number}"), it.address.clone().into())).collect();
    let of_regions: Map<String, Value> =
        regions.iter().zip(1..).map(|(region, number)| (format!("redis-{number}"), (*region).into())).collect();
    let mut given = json!({
        "master_name": MASTER, "sentinels": named(&sentinels), "nodes": nodes, "regions": of_regions,
        "heartbeat_key": "heartbeat",
    });
    change(&mut given);
    let redis = connect("redis", Some(DataClass::ApplicationState), given);
    let bed = Bed { servers, sentinels, redis, _dir: dir };
    eventually("Sentinels agree and replicas follow", async || {
        let master = bed.redis.probe(&probe("redis.master", json!({}))).await;
        let sentinels = bed.redis.probe(&probe("redis.sentinels", json!({}))).await;
        let alone = bed.redis.refuses(&probe("redis.sentinels", json!({}))).is_some();
        if master.status != Status::Healthy || sentinels.status != Status::Healthy && !alone {
            return None;
        }
        let survey = bed.redis.survey().await.ok()?;
        let follow = survey.members.iter().filter(|it| it.role == Role::Replica && it.status == Status::Healthy);
        (follow.count() == 2).then_some(())
    })
    .await;
    bed
}

/// Whether a Sentinel knows both others and both replicas, with the priority of the one that is steered to. Sentinels learn of each
/// other and of replicas every few seconds; one that leads a failover before that promotes whom it happens to know.
async fn knows_everyone(sentinel: &Server, steered: &Server) -> Option<()> {
    let client = redis::Client::open(format!("redis://{}", sentinel.address)).ok()?;
    let mut link = client.get_multiplexed_async_connection().await.ok()?;
    type Entries = Vec<HashMap<String, String>>;
    let others: Entries = redis::cmd("SENTINEL").arg("SENTINELS").arg(MASTER).query_async(&mut link).await.ok()?;
    let replicas: Entries = redis::cmd("SENTINEL").arg("REPLICAS").arg(MASTER).query_async(&mut link).await.ok()?;
    let up = |it: &&HashMap<String, String>| {
        it.get("flags").is_some_and(|flags| !flags.contains("down") && !flags.contains("disconnected"))
    };
    let first = replicas.iter().find(|it| it.get("name") == Some(&steered.address))?;
    let all = others.iter().filter(up).count() == 2 && replicas.iter().filter(up).count() == 2;
    (all && first.get("slave-priority").is_some_and(|it| it == "10")).then_some(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server: .ci/run installs it"]
async fn a_failover_by_sentinels_goes_where_it_is_steered() {
    let bed = bed().await;
    let failover = step(&*bed.redis, "redis.failover", STANDBY, json!({}));
    assert!(matches!(failover.observe(None).await.unwrap(), Observed::NotDone { .. }));
    eventually("every guard passes", async || {
        let checked = failover.check().await.unwrap();
        checked.guards.iter().all(|guard| guard.verdict == GuardVerdict::Pass).then_some(())
    })
    .await;
    let preview = failover.preview().await.unwrap();
    failover.apply(&preview.pre_image, &Log::default()).await.unwrap();
    let begun = begun(preview.pre_image, Receipt::new());
    eventually("verified", async || match failover.verify(&begun, &Log::default()).await {
        Ok(Verified::Holds { .. }) => Some(()),
        Ok(Verified::Broken { why }) => panic!("{why}"),
        _ => None,
    })
    .await;
    assert!(matches!(failover.observe(Some(&begun)).await.unwrap(), Observed::Done { .. }));
    let writable = step(&*bed.redis, "redis.writable", STANDBY, json!({ "region": STANDBY }));
    eventually("a canary", async || match writable.verify(&begun, &Log::default()).await {
        Ok(Verified::Holds { .. }) => Some(()),
        _ => None,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server: .ci/run installs it"]
async fn a_master_that_is_killed_is_replaced_and_comes_back_as_a_replica() {
    let mut bed = bed().await;
    let failover = step(&*bed.redis, "redis.failover", STANDBY, json!({}));
    bed.servers[0].kill();
    eventually("the Sentinels replace it", async || match failover.observe(None).await {
        Ok(Observed::Done { .. }) => Some(()),
        _ => None,
    })
    .await;
    let port: u16 = bed.servers[0].address.rsplit_once(':').unwrap().1.parse().unwrap();
    bed.servers[0] = start(&bed._dir, port, false, "save \"\"\nappendonly no\nreplica-priority 100\n");
    eventually("the old master follows", async || {
        let survey = bed.redis.survey().await.ok()?;
        let old = survey.members.iter().find(|it| it.name == "redis-1")?;
        (old.role == Role::Replica && old.status == Status::Healthy).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs redis-server: .ci/run installs it"]
async fn without_a_majority_the_sentinels_are_not_told_and_a_replica_is_promoted_by_hand() {
    let mut bed = bed().await;
    for sentinel in &mut bed.sentinels[..2] {
        sentinel.kill();
    }
    let failover = step(&*bed.redis, "redis.failover", STANDBY, json!({}));
    eventually("no majority", async || match failover.observe(None).await {
        Ok(Observed::Impossible { .. }) => Some(()),
        _ => None,
    })
    .await;
    let refused = failover.apply(&json!({ "master": bed.servers[0].address }), &Log::default()).await;
    assert!(refused.is_err(), "one of three Sentinels would have obeyed");
    bed.servers[0].kill();
    bed.sentinels[2].kill();
    let promote = step(&*bed.redis, "redis.promote", STANDBY, json!({}));
    assert_eq!(promote.check().await.unwrap().promotion.unwrap().old_writer, OldWriter::Unreachable);
    let preview = promote.preview().await.unwrap();
    promote.apply(&preview.pre_image, &Log::default()).await.unwrap();
    let begun = begun(preview.pre_image, Receipt::new());
    eventually("promoted", async || match promote.verify(&begun, &Log::default()).await {
        Ok(Verified::Holds { .. }) => Some(()),
        Ok(Verified::Broken { why }) => panic!("{why}"),
        _ => None,
    })
    .await;
}
