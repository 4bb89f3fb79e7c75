//! The driver of ElastiCache against a few lines of Amazon's API and of Redis.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use mayday::domain::estate::DataClass;
use mayday::domain::health::{Reading, Status};
use mayday::domain::recovery::Role;
use mayday::domain::system::{FaultClass, GuardVerdict, Observed, OldWriter, Step, System, Verified};
use mayday::lab::{Lab, PRIMARY, Pace, STANDBY};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::common::{Log, begun, connect, probe, step};

const GROUPS: [(&str, &str); 2] = [("orders-use1", PRIMARY), ("orders-usw2", STANDBY)];

/// What there is to know of the datastore, and what was asked of it.
#[derive(Default)]
struct Truth {
    primary: String,
    /// What a region's API still believes, where that is another.
    believes: BTreeMap<String, String>,
    status: String,
    /// Groups whose region is gone.
    dark: BTreeSet<String>,
    /// What the API says instead of an answer.
    refuses: Option<(u16, &'static str)>,
    cluster: bool,
    failovers: Vec<String>,
}

type Shared = Arc<Mutex<Truth>>;

fn told(truth: &Truth, group: &str) -> String {
    let primary = truth.believes.get(group).unwrap_or(&truth.primary);
    let member = |(name, region): &(&str, &str)| {
        let role = if name == primary { "PRIMARY" } else { "SECONDARY" };
        format!(
            "<GlobalReplicationGroupMember><ReplicationGroupId>{name}</ReplicationGroupId>\
             <ReplicationGroupRegion>{region}</ReplicationGroupRegion><Role>{role}</Role><Status>associated</Status>\
             </GlobalReplicationGroupMember>"
        )
    };
    let members: String = GROUPS.iter().map(member).collect();
    format!(
        "<R xmlns=\"http://elasticache.amazonaws.com/doc/2015-02-02/\"><GlobalReplicationGroups><GlobalReplicationGroup>\
         <GlobalReplicationGroupId>ldgnf-orders</GlobalReplicationGroupId><Status>{}</Status><Members>{members}</Members>\
         </GlobalReplicationGroup></GlobalReplicationGroups></R>",
        truth.status
    )
}

fn answered(truth: &mut Truth, group: &str, server: &str, form: &BTreeMap<String, String>) -> (u16, String) {
    if let Some((status, code)) = truth.refuses {
        return (
            status,
            format!("<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"),
        );
    }
    match form["Action"].as_str() {
        "DescribeGlobalReplicationGroups" => (200, told(truth, group)),
        "DescribeReplicationGroups" => {
            let (host, port) = server.rsplit_once(':').unwrap();
            let name = if truth.cluster { "ConfigurationEndpoint" } else { "PrimaryEndpoint" };
            (200, format!("<R><{name}><Address>{host}</Address><Port>{port}</Port></{name}></R>"))
        }
        "FailoverGlobalReplicationGroup" if truth.status == "available" => {
            truth.primary = form["PrimaryReplicationGroupId"].clone();
            truth.failovers.push(format!("{} at {group}", form["PrimaryRegion"]));
            (200, told(truth, group))
        }
        other => (
            400,
            format!("<E><Error><Code>InvalidGlobalReplicationGroupState</Code><Message>{other}</Message></Error></E>"),
        ),
    }
}

/// One request of HTTP/1.1, whose body is a form.
async fn api(mut stream: TcpStream, truth: &Shared, group: &str, server: &str) -> Option<()> {
    let (mut read, mut buffer) = (Vec::new(), [0; 8192]);
    let body = loop {
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0usize) {
            assert!(head.contains("/elasticache/aws4_request"), "it is not signed for the service: {head}");
            break body.to_owned();
        }
    };
    let form = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let (status, text) = answered(&mut truth.lock().unwrap(), group, server, &form);
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
    stream.write_all((head + &text).as_bytes()).await.ok()
}

/// Commands of Redis, one after the other.
async fn redis(stream: TcpStream, truth: &Shared, group: &str, region: &str) -> Option<()> {
    let (mut stream, mut kept) = (BufReader::new(stream), String::new());
    loop {
        let mut words = Vec::new();
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|count| *count > 0)?;
        for _ in 0..line.trim().strip_prefix('*')?.parse::<usize>().ok()? {
            let (mut size, mut word) = (String::new(), String::new());
            stream.read_line(&mut size).await.ok()?;
            stream.read_line(&mut word).await.ok()?;
            words.push(word.trim_end().to_owned());
        }
        let serves = truth.lock().unwrap().primary == group;
        let said = match (words[0].as_str(), words.get(1).map(String::as_str)) {
            ("INFO", _) => {
                let role = if serves { "master" } else { "slave" };
                let info = format!("role:{role}\r\nrun_id:{group}\r\n");
                format!("${}\r\n{info}\r\n", info.len())
            }
            ("PING", _) => "+PONG\r\n".into(),
            ("SET", _) if !serves => "-READONLY You can't write against a read only replica.\r\n".into(),
            ("SET", Some(key)) if key.ends_with("canary") => {
                words[2].clone_into(&mut kept);
                "+OK\r\n".into()
            }
            ("SET", _) => "$-1\r\n".into(),
            ("GET", Some("heartbeat")) => {
                let at = if region == PRIMARY { "2026-11-23T10:00:05Z" } else { "2026-11-23T10:00:00Z" };
                format!("${}\r\n{at}\r\n", at.len())
            }
            ("GET", _) => format!("${}\r\n{kept}\r\n", kept.len()),
            (other, _) => format!("-ERR unknown command '{other}'\r\n"),
        };
        stream.get_mut().write_all(said.as_bytes()).await.ok()?;
    }
}

struct Bed {
    truth: Shared,
    cache: Arc<dyn System>,
    _lab: Lab,
}

async fn bed() -> Bed {
    let lab = Lab::start(Pace(50.0)).await.unwrap();
    let truth: Shared =
        Arc::new(Mutex::new(Truth { primary: "orders-use1".into(), status: "available".into(), ..Truth::default() }));
    let mut urls = serde_json::Map::new();
    for (group, region) in GROUPS {
        let (door, servers) =
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        urls.insert(group.into(), format!("http://{}/", door.local_addr().unwrap()).into());
        let server = servers.local_addr().unwrap().to_string();
        let of_api = truth.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = door.accept().await {
                if !of_api.lock().unwrap().dark.contains(group) {
                    let _ = api(stream, &of_api, group, &server).await;
                }
            }
        });
        let of_redis = truth.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = servers.accept().await {
                let truth = of_redis.clone();
                if !truth.lock().unwrap().dark.contains(group) {
                    tokio::spawn(async move { redis(stream, &truth, group, region).await });
                }
            }
        });
    }
    let given = json!({
        "datastore": "ldgnf-orders", "regions": GROUPS.iter().copied().collect::<BTreeMap<_, _>>(), "api_urls": urls,
        "heartbeat_key": "heartbeat", "timeout": "1s", "access_key_id": "LABKEY",
        "secret_access_key": { "command": ["printf", "labsecret"] },
        "sts_endpoint_url": lab.endpoints["sts.us-west-2"], "iam_endpoint_url": lab.endpoints["iam"],
    });
    Bed { truth, cache: connect("elasticache", Some(DataClass::ApplicationState), given), _lab: lab }
}

impl Bed {
    fn set(&self, change: impl FnOnce(&mut Truth)) {
        change(&mut self.truth.lock().unwrap());
    }

    fn failovers(&self) -> Vec<String> {
        self.truth.lock().unwrap().failovers.clone()
    }

    fn failover(&self) -> Arc<dyn Step> {
        step(&*self.cache, "elasticache.failover", STANDBY, json!({ "region": STANDBY }))
    }

    async fn look(&self, kind: &str) -> Reading {
        let mut spec = probe(kind, json!({}));
        spec.region = Some(STANDBY.into());
        self.cache.probe(&spec).await
    }

    async fn statuses(&self) -> [Status; 3] {
        let kinds = ["elasticache.datastore", "elasticache.primary", "elasticache.ping"];
        [self.look(kinds[0]).await.status, self.look(kinds[1]).await.status, self.look(kinds[2]).await.status]
    }
}

async fn verdict(step: &dyn Step, name: &str) -> GuardVerdict {
    let guards = step.check().await.unwrap().guards;
    guards.iter().find(|guard| guard.name == name).unwrap_or_else(|| panic!("no guard {name} in {guards:?}")).verdict
}

#[tokio::test]
async fn a_global_datastore_is_moved_once_and_believed_by_its_servers() {
    let bed = bed().await;
    assert_eq!(bed.statuses().await, [Status::Healthy; 3]);
    let survey = bed.cache.survey().await.unwrap();
    let roles: Vec<Role> = survey.members.iter().map(|member| member.role).collect();
    assert_eq!(roles, [Role::Writer, Role::Replica], "{survey:#?}");
    let point = survey.standby_point.expect("the copy's heartbeat is read");
    assert!(point.measured && point.at == "2026-11-23T10:00:00Z".parse().unwrap(), "{point:?}");

    let failover = bed.failover();
    assert!(matches!(failover.observe(None).await.unwrap(), Observed::NotDone { .. }));
    let checked = failover.check().await.unwrap();
    assert!(checked.guards.iter().all(|guard| guard.verdict == GuardVerdict::Pass), "{:?}", checked.guards);
    let facts = checked.promotion.unwrap();
    assert_eq!((facts.old_writer, facts.quorum, facts.lossless), (OldWriter::HandsOver, None, false));
    assert!(facts.recovery_point.is_some(), "it waits for nothing, so what is lost counts");
    let fitness = failover.fitness().await.unwrap();
    assert!(fitness.guards.iter().any(|guard| guard.name == "access"), "{fitness:?}");

    let (preview, log) = (failover.preview().await.unwrap(), Log::default());
    let receipt = failover.apply(&preview.pre_image, &log).await.unwrap();
    assert_eq!(bed.failovers(), [format!("{STANDBY} at orders-usw2")], "asked once, of the region that will serve");
    let made = begun(preview.pre_image.clone(), receipt);
    let verified = failover.verify(&made, &log).await.unwrap();
    assert!(matches!(&verified, Verified::Holds { detail, .. } if detail.contains("orders-usw2")), "{verified:?}");
    assert!(matches!(failover.observe(None).await.unwrap(), Observed::Done { .. }));
    let again = failover.apply(&preview.pre_image, &log).await.unwrap_err();
    assert!(again.class == FaultClass::Transient && again.what.contains("nothing was sent"), "{again}");
    assert_eq!(bed.failovers().len(), 1);

    let writable = step(&*bed.cache, "elasticache.writable", STANDBY, json!({ "region": STANDBY }));
    assert!(matches!(writable.verify(&made, &log).await.unwrap(), Verified::Holds { .. }));
    let point = step(&*bed.cache, "elasticache.recovery-point", STANDBY, json!({ "region": STANDBY }));
    let Verified::Holds { recovery_point: Some(point), .. } = point.verify(&made, &log).await.unwrap() else {
        panic!("the heartbeat is older than the promotion")
    };
    assert!(point.measured);
}

#[tokio::test]
async fn a_dark_region_is_left_without_being_asked() {
    let bed = bed().await;
    let failover = bed.failover();
    bed.set(|truth| {
        truth.dark.insert("orders-use1".into());
    });
    let facts = failover.check().await.unwrap().promotion.unwrap();
    assert_eq!(facts.old_writer, OldWriter::Unknown, "where its servers are was never told");
    bed.set(|truth| truth.dark.clear());
    assert_eq!(bed.statuses().await, [Status::Healthy; 3]);
    bed.set(|truth| {
        truth.dark.insert("orders-use1".into());
    });
    assert_eq!(bed.statuses().await, [Status::Degraded, Status::Down, Status::Healthy]);
    let facts = failover.check().await.unwrap().promotion.unwrap();
    assert_eq!(facts.old_writer, OldWriter::Unreachable);
    let preview = failover.preview().await.unwrap();
    failover.apply(&preview.pre_image, &Log::default()).await.unwrap();
    let verified = failover.verify(&begun(preview.pre_image, Default::default()), &Log::default()).await.unwrap();
    assert!(matches!(verified, Verified::Holds { .. }), "{verified:?}");
    bed.set(|truth| {
        truth.dark.insert("orders-usw2".into());
    });
    assert_eq!(bed.look("elasticache.datastore").await.status, Status::Unknown, "silent APIs say nothing of clients");
    assert!(bed.cache.survey().await.is_err());
}

#[tokio::test]
async fn what_amazon_does_not_say_is_unknown_and_what_it_would_refuse_is_not_asked() {
    let bed = bed().await;
    let failover = bed.failover();
    bed.set(|truth| truth.status = "modifying".into());
    assert_eq!(verdict(&*failover, "datastore").await, GuardVerdict::Block);
    assert_eq!(bed.look("elasticache.datastore").await.status, Status::Degraded);
    bed.set(|truth| {
        truth.status = "available".into();
        truth.believes.insert("orders-usw2".into(), "orders-usw2".into());
    });
    assert_eq!(verdict(&*failover, "primary").await, GuardVerdict::Block);
    assert!(matches!(failover.observe(None).await.unwrap(), Observed::Unknowable { .. }), "the regions differ");
    assert_eq!(bed.statuses().await, [Status::Degraded, Status::Unknown, Status::Healthy]);
    assert!(bed.cache.survey().await.unwrap().standby_point.is_none());
    for refusal in
        [(403, "AccessDenied"), (404, "GlobalReplicationGroupNotFoundFault"), (400, "Throttling"), (503, "x")]
    {
        bed.set(|truth| truth.refuses = Some(refusal));
        let seen = bed.look("elasticache.datastore").await;
        assert!(seen.status == Status::Unknown && seen.detail.contains(refusal.1), "{seen:?}");
        assert!(failover.observe(None).await.is_err());
    }
    bed.set(|truth| {
        (truth.refuses, truth.cluster) = (None, true);
        truth.believes.clear();
    });
    let seen = bed.look("elasticache.primary").await;
    assert!(seen.status == Status::Unknown && seen.detail.contains("cluster mode"), "{seen:?}");
    assert!(failover.check().await.unwrap().promotion.unwrap().recovery_point.is_none(), "unknown, and never none");
    assert!(bed.failovers().is_empty());
}

#[test]
fn what_can_never_be_a_datastore_is_refused_in_words() {
    let factory = mayday::systems::FACTORIES.iter().find(|it| it.kind().name == "elasticache").unwrap();
    let refused = |given: Value| {
        let params = crate::common::params(factory.kind().params, given);
        let spec = mayday::domain::estate::SystemSpec {
            id: "cache".into(),
            kind: "elasticache".into(),
            title: "cache".into(),
            region: None,
            class: None,
            params,
        };
        let around = mayday::domain::system::Surroundings { estate: crate::common::estate() };
        factory.connect(&spec, &around).err().map(|fault| fault.to_string()).unwrap_or_default()
    };
    let regions = json!({ "a": PRIMARY, "b": STANDBY });
    for (more, words) in [
        (json!({ "regions": { "a": PRIMARY } }), "two regions at least"),
        (json!({ "regions": regions, "endpoints": { "c": "x:1" } }), "`c` is the id of no replication group"),
        (json!({ "regions": regions, "endpoints": { "a": "x" } }), "is not host:port"),
    ] {
        let mut given = json!({ "datastore": "d" });
        given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let why = refused(given);
        assert!(why.contains(words), "{why}");
    }
}
