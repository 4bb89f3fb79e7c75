//! The drivers of Route 53, RDS and S3 against servers that others wrote to speak as AWS does: moto and MiniStack. What they lack is
//! told by [`Emulator`], and has to come out as unknown. Needs `pip install boto3 moto[server] ministack`.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use mayday::domain::backup::{BackupLook, CopyState};
use mayday::domain::estate::DataClass;
use mayday::domain::health::{Reading, Status};
use mayday::domain::recovery::Role;
use mayday::domain::system::{Guard, GuardVerdict, Observed, System};
use mayday::domain::time::{At, Span, seconds_between};
use mayday::lab::{PRIMARY, STANDBY};
use serde_json::{Value, json};

use crate::common::{Log, connect, eventually, looked_at, probe, step};
use crate::python::{interpreter, run};
use crate::server::{Server, free_port};

/// One of the servers, and what it cannot do.
pub struct Emulator {
    program: &'static str,
    /// Whether it names the answer to GetBucketVersioning as AWS does: the SDK for Rust reads no other.
    tells_versioning: bool,
    /// Whether record sets can be listed from an identifier on.
    pages: bool,
    /// Whether a batch that is refused has changed nothing.
    whole_batches: bool,
    /// Whether CloudWatch speaks as the SDK for Rust does: CBOR, each operation at a path of its own.
    tells_lag: bool,
    /// Whether GetHealthCheckStatus is there.
    tells_health: bool,
    /// Whether it makes automated snapshots, and tells of replicated backups.
    backs_up: bool,
    /// A replica in another region is refused by one that knows sources of its own region only.
    replica_region: &'static str,
}

pub const MOTO: Emulator = Emulator {
    program: "moto_server",
    tells_versioning: false,
    pages: false,
    whole_batches: false,
    tells_lag: false,
    tells_health: true,
    backs_up: true,
    replica_region: STANDBY,
};
pub const MINISTACK: Emulator = Emulator {
    program: "ministack",
    tells_versioning: true,
    pages: true,
    whole_batches: true,
    tells_lag: true,
    tells_health: false,
    backs_up: false,
    replica_region: PRIMARY,
};

/// An emulator that runs, with an estate in it.
pub struct Bed {
    emulator: Emulator,
    server: Server,
    pub endpoint: String,
    zone: String,
    /// Another zone of the same account.
    other: String,
}

impl Bed {
    pub async fn of(emulator: Emulator) -> Self {
        let port = free_port();
        let beside = Path::new(&interpreter()).with_file_name(emulator.program);
        let mut command = Command::new(beside);
        match emulator.program {
            "moto_server" => drop(command.args(["-H", "127.0.0.1", "-p", &port.to_string()])),
            // It would start databases in containers if there were a Docker, and listen for devices on a port of its own.
            _ => drop(command.envs([
                ("BIND_HOST", "127.0.0.1"),
                ("GATEWAY_PORT", &port.to_string()),
                ("DOCKER_HOST", "tcp://127.0.0.1:1"),
                ("IOT_MTLS_ENABLED", "0"),
            ])),
        }
        let mut server = Server::start(&mut command, port);
        eventually("the server takes connections", async || {
            server.lives();
            tokio::net::TcpStream::connect(&server.address).await.ok()
        })
        .await;
        let endpoint = format!("http://{}", server.address);
        let given = [("PEER_ENDPOINT", endpoint.clone()), ("PEER_REPLICA_REGION", emulator.replica_region.to_owned())];
        let zones = run("aws_servers.py", given).await;
        let (zone, other) = zones.trim().split_once(' ').expect("there are two zones");
        let (zone, other) = (zone.to_owned(), other.to_owned());
        Self { emulator, server, endpoint, zone, other }
    }

    /// A connection with the credentials that everybody has here.
    fn connect(&self, kind: &str, class: Option<DataClass>, given: Value) -> Arc<dyn System> {
        let mut given = given;
        given["access_key_id"] = "LABKEY".into();
        given["secret_access_key"] = json!({ "command": ["printf", "labsecret"] });
        connect(kind, class, given)
    }

    fn buckets(&self, primary: &str, standby: &str) -> Arc<dyn System> {
        let given = json!({
            "primary_bucket": primary, "standby_bucket": standby,
            "primary_endpoint_url": self.endpoint, "standby_endpoint_url": self.endpoint,
        });
        self.connect("s3", Some(DataClass::UserData), given)
    }

    fn database(&self, instance: &str) -> Arc<dyn System> {
        let given = json!({
            "instance": instance, "replica": "gennet-db-replica", "connect": false,
            "replica_region": self.emulator.replica_region, "endpoint_url": self.endpoint,
            "replica_endpoint_url": self.endpoint, "cloudwatch_endpoint_url": self.endpoint,
        });
        self.connect("rds", Some(DataClass::Database), given)
    }

    fn zone(&self, zone: &str) -> Arc<dyn System> {
        self.connect("route53", None, json!({ "hosted_zone": zone, "endpoint_url": self.endpoint }))
    }
}

async fn read(system: &Arc<dyn System>, kind: &str, given: Value) -> Reading {
    system.probe(&probe(kind, given)).await
}

/// That something was learnt to be `status`, and that the words hold `part`.
#[track_caller]
fn is(reading: &Reading, status: Status, part: &str) {
    assert!(reading.status == status && reading.detail.contains(part), "{status:?} with `{part}`, but {reading:?}");
}

fn verdicts(look: &BackupLook, name: &str) -> Vec<GuardVerdict> {
    look.guards.iter().filter(|it| it.name == name).map(|Guard { verdict, .. }| *verdict).collect()
}

async fn route53_is_read(bed: &Bed) {
    let zone = bed.zone(&bed.zone);
    let record = async |given| read(&zone, "route53.record", given).await;
    is(&record(json!({ "record": "plain.gennet.example" })).await, Status::Healthy, "simple");
    is(&record(json!({ "record": "APP.gennet.example." })).await, Status::Healthy, "us-east-1 weight 100");
    let elsewhere = record(json!({ "record": "app.gennet.example", "expect": STANDBY })).await;
    is(&elsewhere, Status::Down, "expected us-west-2");
    is(&record(json!({ "record": "nobody.gennet.example" })).await, Status::Down, "no such record set");
    is(&record(json!({ "record": "app.gennet.example", "type": "AAAA" })).await, Status::Down, "no such record set");
    is(&record(json!({ "record": "near.gennet.example" })).await, Status::Healthy, "latency routing us-east-1");
    let paged = record(json!({ "record": "many.gennet.example", "expect": "119" })).await;
    match bed.emulator.pages {
        true => assert_eq!(paged.status, Status::Healthy, "the last of 120 record sets was not read: {paged:?}"),
        false => is(&paged, Status::Unknown, "only the first 100 record sets"),
    }
    let checked = record(json!({ "record": "checked.gennet.example" })).await;
    match bed.emulator.tells_health {
        true => is(&checked, Status::Healthy, "us-east-1 weight 100 healthy"),
        false => is(&checked, Status::Unknown, "GetHealthCheckStatus"),
    }
    let nowhere = bed.zone("Z0NOBODY");
    is(
        &read(&nowhere, "route53.record", json!({ "record": "app.gennet.example" })).await,
        Status::Unknown,
        "NoSuchHostedZone",
    );
}

/// The change itself is taken, and refused when the records are no longer what they were.
async fn route53_is_compared_and_swapped(bed: &Bed) {
    let zone = bed.zone(&bed.zone);
    let shift = step(&*zone, "route53.shift", STANDBY, json!({ "record": "app.gennet.example" }));
    let before = shift.preview().await.unwrap().pre_image;
    shift.apply(&before, &Log::default()).await.unwrap();
    let there = read(&zone, "route53.record", json!({ "record": "app.gennet.example", "expect": STANDBY })).await;
    is(&there, Status::Healthy, "us-west-2 weight 100");
    let again = shift.apply(&before, &Log::default()).await.unwrap_err();
    assert!(again.means.contains("nothing was overwritten"), "{again}");
}

/// One step moves names of two zones, each in a batch of its own; what was moved already is not sent again.
async fn two_zones_move_in_one_step(bed: &Bed) {
    let given = json!({ "hosted_zone": bed.zone, "endpoint_url": bed.endpoint, "zones": { "gennet.net": bed.other } });
    let zone = bed.connect("route53", None, given);
    let back = step(&*zone, "route53.shift", PRIMARY, json!({ "records": ["app.gennet.example", "*.gennet.net"] }));
    let away = step(&*zone, "route53.shift", STANDBY, json!({ "records": ["app.gennet.example", "*.gennet.net"] }));
    // The first of them is there already.
    let Observed::NotDone { detail } = away.observe(None).await.unwrap() else { panic!("one of them is to move") };
    assert!(detail.contains("*.gennet.net A: us-east-1 weight 100"), "{detail}");
    let before = away.preview().await.unwrap().pre_image;
    let log = Log::default();
    let receipt = away.apply(&before, &log).await.unwrap();
    assert!(receipt.keys().any(|key| key.starts_with("change-id@")), "{receipt:?}");
    assert!(log.0.lock().unwrap().iter().any(|line| line.contains("as it should be already")), "{:?}", log.0);
    assert!(matches!(away.observe(None).await.unwrap(), Observed::Done { .. }));
    let before = back.preview().await.unwrap().pre_image;
    let receipt = back.apply(&before, &Log::default()).await.unwrap();
    assert_eq!(receipt.keys().filter(|key| key.starts_with("change-id")).count(), 2, "{receipt:?}");
    assert!(matches!(back.observe(None).await.unwrap(), Observed::Done { .. }));
    let near = step(&*zone, "route53.shift", STANDBY, json!({ "record": "near.gennet.example" }));
    let Observed::Impossible { why } = near.observe(None).await.unwrap() else { panic!("nothing to shift") };
    assert!(why.contains("latency routing"), "{why}");
}

/// A member of an Aurora cluster is known as such, and every step leaves it alone.
async fn aurora_is_known_as_aurora(bed: &Bed) {
    let given = json!({
        "instance": "ledger-1", "replica": "gennet-db-replica", "connect": false,
        "replica_region": STANDBY, "endpoint_url": bed.endpoint,
        "replica_endpoint_url": bed.endpoint, "cloudwatch_endpoint_url": bed.endpoint,
    });
    let database = bed.connect("rds", Some(DataClass::Database), given);
    let seen = read(&database, "rds.instance", json!({})).await;
    assert!(seen.detail.contains("the Aurora cluster ledger"), "{seen:?}");
    let survey = database.survey().await.unwrap();
    assert!(
        survey.notes.iter().any(|note| note.contains("ledger-1 is a member of the Aurora cluster ledger")),
        "{:?}",
        survey.notes
    );
    let failover = step(&*database, "rds.failover-az", PRIMARY, json!({}));
    let Observed::Impossible { why } = failover.observe(None).await.unwrap() else { panic!("it is left alone") };
    assert!(why.contains("does not change"), "{why}");
}

async fn rds_is_read(bed: &Bed) {
    let database = bed.database("gennet-db");
    is(&read(&database, "rds.instance", json!({})).await, Status::Healthy, "available, Multi-AZ us-east-1a");
    is(&read(&database, "rds.instance", json!({ "which": "replica" })).await, Status::Healthy, "available");
    is(&read(&bed.database("nobody"), "rds.instance", json!({})).await, Status::Unknown, "DBInstanceNotFound");
    let survey = database.survey().await.unwrap();
    let roles: Vec<_> = survey.members.iter().map(|it| (it.name.as_str(), it.role, it.status)).collect();
    let expected =
        [("gennet-db", Role::Writer, Status::Healthy), ("gennet-db-replica", Role::Replica, Status::Healthy)];
    assert_eq!(roles, expected);
    match (survey.standby_point, bed.emulator.tells_lag) {
        (Some(point), true) => {
            assert!(point.source.contains("ReplicaLag 2.5 s") && !point.measured, "{point:?}");
            assert_eq!(point.region.unwrap().as_str(), bed.emulator.replica_region);
            assert!((0.0..600.0).contains(&seconds_between(point.at, At::now())), "{}", point.at);
        }
        (None, false) => {
            let told = survey.notes.iter().any(|note| note.starts_with("ReplicaLag is unknown: GetMetricData"));
            assert!(told, "{:?}", survey.notes);
        }
        (point, _) => panic!("{point:?}: {:?}", survey.notes),
    }
    let facts = database.facts().await.unwrap();
    let versions: Vec<_> = facts.iter().filter(|it| it.name == "engine version").map(|it| &*it.value).collect();
    assert_eq!(versions, ["16.4", "16.4"]);
}

async fn rds_backups_are_read(bed: &Bed) {
    let database = bed.database("gennet-db");
    let week = Some(Span::secs(7 * 86_400));
    let look = looked_at(&database, "rds.snapshots", json!({})).await.unwrap();
    assert_eq!((look.keeps, look.regions[0].as_str(), look.regions.len()), (week, PRIMARY, 1));
    assert!(look.copies.iter().all(|it| it.state == CopyState::Good && it.name.starts_with("rds:gennet-db")));
    assert_eq!(look.copies.len(), usize::from(bed.emulator.backs_up), "one made by hand is none of them");
    let told = if bed.emulator.backs_up { vec![] } else { vec![GuardVerdict::Warn] };
    assert_eq!(verdicts(&look, "replication"), told, "what is not known is not passed over");
    let look = looked_at(&database, "rds.point-in-time", json!({})).await.unwrap();
    assert_eq!((look.keeps, verdicts(&look, "replication")), (week, told));
    assert!((-5.0..600.0).contains(&seconds_between(look.point.unwrap(), At::now())), "{:?}", look.point);
    assert!(looked_at(&bed.database("nobody"), "rds.snapshots", json!({})).await.is_err());
}

async fn s3_is_read(bed: &Bed) {
    let buckets = bed.buckets("gennet-data", "gennet-data-dr");
    let fresh = async |side, age| read(&buckets, "s3.bucket", json!({ "bucket": side, "max_age": age })).await;
    is(&fresh("primary", "1h").await, Status::Healthy, "heartbeat/us-east-1");
    is(&fresh("standby", "1h").await, Status::Healthy, "heartbeat/by-itself");
    is(&read(&bed.buckets("gennet-plain", "gennet-data"), "s3.bucket", json!({})).await, Status::Degraded, "version");
    is(&read(&bed.buckets("nobody", "gennet-data"), "s3.bucket", json!({})).await, Status::Unknown, "NoSuchBucket");
    let survey = buckets.survey().await.unwrap();
    let roles: Vec<_> = survey.members.iter().map(|it| (it.name.as_str(), it.role, it.status)).collect();
    let expected = [("gennet-data", Role::Writer, Status::Healthy), ("gennet-data-dr", Role::Replica, Status::Healthy)];
    assert_eq!(roles, expected);
    assert_eq!(survey.standby_point, None, "nothing replicates here: what lies there by itself proves nothing");
    assert_eq!(survey.members[1].lag, None);
}

/// Versioning that cannot be read is not taken for versioning.
async fn s3_is_not_guessed_at(bed: &Bed) {
    let buckets = bed.buckets("gennet-data", "gennet-data-dr");
    let unreadable = "GetBucketVersioning was answered, but not as AWS answers";
    is(&read(&buckets, "s3.bucket", json!({ "max_age": "1h" })).await, Status::Unknown, unreadable);
    let survey = buckets.survey().await.unwrap();
    assert!(survey.members.iter().all(|it| it.status == Status::Unknown), "{:?}", survey.members);
    assert_eq!(survey.standby_point, None);
    let refused = looked_at(&buckets, "s3.protection", json!({})).await.unwrap_err();
    assert!(refused.what.contains(unreadable), "{refused}");
}

/// An empty full copy begins no chain, whatever comes after it.
async fn a_chain_of_copies_is_read(bed: &Bed) {
    let buckets = bed.buckets("gennet-data", "gennet-data-dr");
    let given = json!({
        "bucket": "gennet-backups", "full": "neo4j/gennet-", "increments": "neo4j/increment-", "suffix": ".backup",
        "gap": "7h",
    });
    let look = looked_at(&buckets, "s3.chain", given).await.unwrap();
    assert_eq!(look.restorable().map(|at| at.to_string()).as_deref(), Some("2026-11-22T16:00:00Z"));
    assert_eq!((look.copies.len(), verdicts(&look, "chain")), (4, vec![GuardVerdict::Pass]));
}

async fn s3_backups_are_read(bed: &Bed) {
    let buckets = bed.buckets("gennet-data", "gennet-data-dr");
    let given = json!({ "bucket": "gennet-backups", "prefix": "neo4j/gennet-", "suffix": ".backup" });
    let look = looked_at(&buckets, "s3.objects", given).await.unwrap();
    let copies: Vec<_> = look.copies.iter().map(|it| (it.at.to_string(), it.state, it.size)).collect();
    let expected = [
        ("2026-11-23T04:00:00Z".to_owned(), CopyState::Failed, Some(0)),
        ("2026-11-22T04:00:00Z".to_owned(), CopyState::Good, Some(1000)),
        ("2026-11-21T04:00:00Z".to_owned(), CopyState::Good, Some(1000)),
    ];
    assert_eq!(copies, expected);
    assert_eq!((look.keeps, look.regions[0].as_str()), (Some(Span::secs(30 * 86_400)), STANDBY));
    assert_eq!(verdicts(&look, "versioning"), [GuardVerdict::Pass]);

    let look = looked_at(&buckets, "s3.protection", json!({})).await.unwrap();
    assert!(look.guards.iter().all(|it| it.verdict == GuardVerdict::Pass), "{:?}", look.guards);
    assert_eq!((look.guards.len(), look.point), (5, None));
    let back = bed.buckets("gennet-data-dr", "gennet-plain");
    let look = looked_at(&back, "s3.protection", json!({})).await.unwrap();
    assert_eq!(verdicts(&look, "replication"), [GuardVerdict::Block]);
    assert_eq!(verdicts(&look, "versioning"), [GuardVerdict::Pass, GuardVerdict::Warn]);
    assert_eq!(verdicts(&look, "lifecycle"), [GuardVerdict::Pass, GuardVerdict::Warn]);

    // Neither of them carries objects over.
    let look = looked_at(&buckets, "s3.canary", json!({ "wait": "1s" })).await.unwrap();
    assert_eq!((verdicts(&look, "canary"), look.restorable()), (vec![GuardVerdict::Warn], None));
}

/// A server that is gone is never healthy.
async fn silence_is_told(bed: &mut Bed) {
    bed.server.kill();
    let refused = "refused";
    is(&read(&bed.buckets("gennet-data", "gennet-data-dr"), "s3.bucket", json!({})).await, Status::Down, refused);
    is(&read(&bed.database("gennet-db"), "rds.instance", json!({})).await, Status::Unknown, refused);
    let record = json!({ "record": "plain.gennet.example" });
    is(&read(&bed.zone(&bed.zone), "route53.record", record).await, Status::Down, refused);
}

async fn is_read_as_aws(emulator: Emulator) {
    let mut bed = Bed::of(emulator).await;
    route53_is_read(&bed).await;
    route53_is_compared_and_swapped(&bed).await;
    if bed.emulator.whole_batches {
        two_zones_move_in_one_step(&bed).await;
    }
    rds_is_read(&bed).await;
    aurora_is_known_as_aurora(&bed).await;
    rds_backups_are_read(&bed).await;
    a_chain_of_copies_is_read(&bed).await;
    match bed.emulator.tells_versioning {
        true => {
            s3_is_read(&bed).await;
            s3_backups_are_read(&bed).await;
        }
        false => s3_is_not_guessed_at(&bed).await,
    }
    silence_is_told(&mut bed).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs moto: .ci/run installs it"]
async fn moto_is_read_as_aws() {
    is_read_as_aws(MOTO).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MiniStack: .ci/run installs it"]
async fn ministack_is_read_as_aws() {
    is_read_as_aws(MINISTACK).await;
}
