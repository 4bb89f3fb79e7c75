//! The redis driver against the lab.

use std::sync::Arc;

use mayday::domain::estate::DataClass;
use mayday::domain::health::Status;
use mayday::domain::recovery::{Lag, Role, Survey};
use mayday::domain::system::{FaultClass, GuardVerdict, Observed, OldWriter, Step, System, Verified};
use mayday::domain::time::At;
use mayday::lab::faults::Condition;
use mayday::lab::{Lab, PRIMARY, Pace, STANDBY};
use serde_json::{Value, json};

use crate::common::{Log, begun, connect, eventually, probe, step, try_step};

const SENTINELS: [&str; 3] = ["sentinel-1", "sentinel-2", "sentinel-3"];

struct Bed {
    lab: Lab,
    redis: Arc<dyn System>,
}

async fn bed(pace: f64) -> Bed {
    let lab = Lab::start(Pace(pace)).await.unwrap();
    let given = given(&lab);
    let redis = connect("redis", Some(DataClass::ApplicationState), given);
    let bed = Bed { lab, redis };
    eventually("all replicas are linked", async || {
        let survey = bed.survey().await;
        survey.members.iter().all(|member| member.status == Status::Healthy).then_some(())
    })
    .await;
    bed
}

/// The lab's deployment as a config has it.
fn given(lab: &Lab) -> Value {
    let at = |name: &str| lab.endpoints[&format!("redis.{name}")].clone();
    json!({
        "master_name": "gennet-cache",
        "sentinels": SENTINELS.map(at),
        "nodes": {
            "redis-1": at("redis-1"), "redis-2": at("redis-2"), "redis-3": at("redis-3"),
            "sentinel-1": at("sentinel-1"), "sentinel-2": at("sentinel-2"), "sentinel-3": at("sentinel-3"),
        },
        "regions": {
            "redis-1": PRIMARY, "redis-2": PRIMARY, "redis-3": STANDBY,
            "sentinel-1": PRIMARY, "sentinel-2": STANDBY, "sentinel-3": STANDBY,
        },
        "heartbeat_key": "heartbeat",
        "timeout": "1s",
    })
}

impl Bed {
    fn set(&self, place: &str, condition: Condition) {
        self.lab.world.truth().faults.set(place, condition);
    }

    async fn survey(&self) -> Survey {
        self.redis.survey().await.unwrap()
    }

    fn step(&self, kind: &str, region: &str) -> Arc<dyn Step> {
        step(self.redis.as_ref(), kind, region, json!({ "region": region }))
    }

    /// A raw command, as `redis-cli` would send it.
    async fn ask(&self, name: &str, words: &[&str]) -> Result<redis::Value, redis::RedisError> {
        let client = redis::Client::open(format!("redis://{}", self.lab.endpoints[&format!("redis.{name}")])).unwrap();
        let mut link = client.get_multiplexed_async_connection().await?;
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(*word);
        });
        command.query_async(&mut link).await
    }

    async fn is_master(&self, name: &str) -> bool {
        let role: Vec<redis::Value> = redis::from_redis_value(self.ask(name, &["ROLE"]).await.unwrap()).unwrap();
        role[0] == redis::Value::BulkString(b"master".to_vec())
    }

    fn accepted(&self, action: &str) -> usize {
        let truth = self.lab.world.truth();
        truth.ledger.iter().filter(|it| it.action == action && it.accepted).count()
    }

    async fn status(&self, kind: &str) -> Status {
        self.redis.probe(&probe(kind, json!({}))).await.status
    }
}

async fn verdict(step: &dyn Step, name: &str) -> GuardVerdict {
    let checked = step.check().await.unwrap();
    let guard = checked.guards.iter().find(|guard| guard.name == name);
    guard.unwrap_or_else(|| panic!("no guard {name} in {:?}", checked.guards)).verdict
}

async fn is_done(step: &dyn Step) -> Option<()> {
    matches!(step.observe(None).await, Ok(Observed::Done { .. })).then_some(())
}

#[tokio::test]
async fn all_is_well_in_a_healthy_deployment() {
    let bed = bed(200.0).await;
    for kind in ["redis.sentinels", "redis.master", "redis.ping"] {
        let reading = bed.redis.probe(&probe(kind, json!({}))).await;
        assert_eq!(reading.status, Status::Healthy, "{kind}: {}", reading.detail);
    }
    let survey = bed.survey().await;
    let member = |name: &str| survey.members.iter().find(|member| member.name == name).unwrap();
    assert_eq!(member("redis-1").role, Role::Writer);
    assert_eq!(member("redis-1").lag, None);
    assert_eq!(member("redis-3").role, Role::Replica);
    assert!(matches!(member("redis-3").lag, Some(Lag::Seconds(_))), "{:?}", member("redis-3"));
    assert_eq!((member("sentinel-1").role, member("sentinel-1").region.clone()), (Role::Other, Some(PRIMARY.into())));
    assert_eq!(survey.members.len(), 6, "a Sentinel that has a name is no server: {:#?}", survey.members);
    let point = survey.standby_point.expect("the replica in the standby region has a recovery point");
    assert!(point.measured && point.region == Some(STANDBY.into()), "{point:?}");
}

#[tokio::test]
async fn a_planned_failover_converges_and_is_called_once() {
    let bed = bed(50.0).await;
    let failover = bed.step("redis.failover", STANDBY);
    assert!(matches!(failover.observe(None).await.unwrap(), Observed::NotDone { .. }));
    let checked = failover.check().await.unwrap();
    assert!(checked.guards.iter().all(|guard| guard.verdict == GuardVerdict::Pass), "{:?}", checked.guards);
    let facts = checked.promotion.unwrap();
    assert_eq!((facts.old_writer, facts.quorum, facts.lossless), (OldWriter::HandsOver, Some(true), true));
    assert!(facts.recovery_point.is_some());

    let preview = failover.preview().await.unwrap();
    assert!(preview.summary.contains("redis-1") && preview.summary.contains("redis-3"), "{}", preview.summary);
    let log = Log::default();
    let receipt = failover.apply(&preview.pre_image, &log).await.unwrap();
    let begun = begun(preview.pre_image.clone(), receipt);
    eventually("the failover is verified", async || {
        matches!(failover.verify(&begun, &log).await.unwrap(), Verified::Holds { .. }).then_some(())
    })
    .await;
    // Verified means that the old master takes no more writes, either.
    assert!(!bed.is_master("redis-1").await);
    is_done(failover.as_ref()).await.expect("observed as done");

    // Trap: a second call would fail back. The pre-image no longer fits, so nothing is sent.
    let fault = failover.apply(&preview.pre_image, &log).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Transient);
    assert_eq!(bed.accepted("SENTINEL FAILOVER"), 1);
    assert!(bed.is_master("redis-3").await);
}

#[tokio::test]
async fn a_sentinel_in_a_minority_would_obey_and_is_not_asked() {
    let bed = bed(200.0).await;
    bed.set("redis-sentinel@us-west-2", Condition::Dark);
    let failover = bed.step("redis.failover", STANDBY);
    eventually("the quorum is seen to be lost", async || {
        (verdict(failover.as_ref(), "sentinels").await == GuardVerdict::Block).then_some(())
    })
    .await;
    assert_eq!(failover.check().await.unwrap().promotion.unwrap().quorum, Some(false));
    assert!(matches!(failover.observe(None).await.unwrap(), Observed::Impossible { .. }));
    assert_eq!(bed.status("redis.sentinels").await, Status::Down);
    let pre_image = failover.preview().await.unwrap().pre_image;
    failover.apply(&pre_image, &Log::default()).await.unwrap_err();
    assert_eq!(bed.accepted("SENTINEL FAILOVER"), 0);

    // It is a trap because Redis itself says OK.
    bed.ask("sentinel-1", &["SENTINEL", "FAILOVER", "gennet-cache"]).await.unwrap();
    eventually("a minority promoted", async || bed.is_master("redis-3").await.then_some(())).await;
}

#[tokio::test]
async fn a_failover_under_way_is_ambiguous_and_not_repeated() {
    let bed = bed(1.0).await;
    let failover = bed.step("redis.failover", STANDBY);
    let pre_image = failover.preview().await.unwrap().pre_image;
    failover.apply(&pre_image, &Log::default()).await.unwrap();
    assert!(matches!(failover.observe(None).await.unwrap(), Observed::InProgress { .. }));
    let mut refused = 0;
    for name in SENTINELS {
        let answer = bed.ask(name, &["SENTINEL", "MASTER", "gennet-cache"]).await.unwrap();
        if format!("{answer:?}").contains("failover_in_progress") {
            let second = bed.ask(name, &["SENTINEL", "FAILOVER", "gennet-cache"]).await;
            refused += usize::from(second.is_err_and(|error| error.code() == Some("INPROG")));
        }
    }
    assert_eq!(refused, 1, "the Sentinel that leads the failover refuses a second one");
    let again = failover.apply(&pre_image, &Log::default()).await.unwrap_err();
    assert_eq!(again.class, FaultClass::Transient, "nothing was sent: {again}");
}

#[tokio::test]
async fn without_a_fit_replica_nothing_is_promoted() {
    let bed = bed(200.0).await;
    for name in ["redis-2", "redis-3"] {
        bed.ask(name, &["CONFIG", "SET", "replica-priority", "0"]).await.unwrap();
    }
    let failover = bed.step("redis.failover", STANDBY);
    assert_eq!(verdict(failover.as_ref(), "replica").await, GuardVerdict::Block);
    let pre_image = failover.preview().await.unwrap().pre_image;
    let fault = failover.apply(&pre_image, &Log::default()).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Permanent);
    assert!(fault.what.contains("NOGOODSLAVE"), "{fault}");
}

#[tokio::test]
async fn priorities_steer_and_are_put_back() {
    let bed = bed(200.0).await;
    bed.ask("redis-3", &["CONFIG", "SET", "replica-priority", "200"]).await.unwrap();
    let failover = bed.step("redis.failover", STANDBY);
    assert_eq!(verdict(failover.as_ref(), "steering").await, GuardVerdict::Block);

    let (steer, log) = (bed.step("redis.steer", STANDBY), Log::default());
    let preview = steer.preview().await.unwrap();
    let receipt = steer.apply(&preview.pre_image, &log).await.unwrap();
    let begun = begun(preview.pre_image, receipt);
    assert!(matches!(steer.verify(&begun, &log).await.unwrap(), Verified::Holds { .. }));
    is_done(steer.as_ref()).await.expect("steered");
    assert_eq!(verdict(failover.as_ref(), "steering").await, GuardVerdict::Pass);
    steer.revert(&begun, &log).await.unwrap();
    assert_eq!(verdict(failover.as_ref(), "steering").await, GuardVerdict::Block);
}

#[tokio::test]
async fn a_dark_region_fails_over_by_itself_and_the_loss_is_measured() {
    let bed = bed(50.0).await;
    let written = At::now();
    {
        let truth = &mut *bed.lab.world.truth();
        truth.redis.write(PRIMARY, written, &truth.faults.clone()).unwrap();
        truth.faults.set("*@us-east-1", Condition::Dark);
    }
    let failover = bed.step("redis.failover", STANDBY);
    eventually("the Sentinels failed over", async || is_done(failover.as_ref()).await).await;
    assert_eq!(bed.accepted("SENTINEL FAILOVER"), 0, "nobody had to be told");

    let point = bed.step("redis.recovery-point", STANDBY);
    let verified = point.verify(&begun(json!(null), Default::default()), &Log::default()).await.unwrap();
    let Verified::Holds { recovery_point: Some(point), .. } = verified else { panic!("{verified:?}") };
    // What was written just before the region went dark had not arrived.
    assert!(point.measured && point.at < written, "{point:?}");

    // Once the application writes again, the heartbeat hides what was lost: then it is unknown, not nothing.
    {
        let truth = &mut *bed.lab.world.truth();
        truth.redis.write(STANDBY, At::now(), &truth.faults.clone()).unwrap();
    }
    let point = bed.step("redis.recovery-point", STANDBY);
    let verified = point.verify(&begun(json!(null), Default::default()), &Log::default()).await.unwrap();
    assert!(matches!(verified, Verified::Holds { recovery_point: None, .. }), "{verified:?}");

    let writable = bed.step("redis.writable", STANDBY);
    let verified = writable.verify(&begun(json!(null), Default::default()), &Log::default()).await.unwrap();
    assert!(matches!(verified, Verified::Holds { .. }), "{verified:?}");

    let survey = bed.survey().await;
    let gone = survey.members.iter().find(|member| member.name == "redis-1").unwrap();
    assert_eq!((gone.status, gone.lag), (Status::Down, None), "a missing lag is unknown, not zero");
    assert_eq!(survey.standby_point, None, "nothing outside the writer's region answers");

    // The returning old master is demoted, and takes what the new one holds.
    bed.set("*@us-east-1", Condition::Up);
    eventually("the old master is demoted", async || (!bed.is_master("redis-1").await).then_some(())).await;
    assert!(bed.is_master("redis-3").await);
}

#[tokio::test]
async fn promoting_by_hand_is_for_when_the_sentinels_are_gone() {
    let bed = bed(50.0).await;
    let promote = bed.step("redis.promote", STANDBY);
    assert_eq!(verdict(promote.as_ref(), "sentinels").await, GuardVerdict::Block, "a majority lives");

    // The region and one more Sentinel are lost: nobody is authorized to fail over.
    bed.set("redis-sentinel@us-west-2", Condition::Dark);
    bed.set("*@us-east-1", Condition::Dark);
    // Whether they live where this host cannot see them, nobody knows.
    eventually("the sentinels are out of the way", async || {
        (verdict(promote.as_ref(), "sentinels").await == GuardVerdict::Warn).then_some(())
    })
    .await;
    let checked = promote.check().await.unwrap();
    assert_eq!(checked.promotion.unwrap().old_writer, OldWriter::Unreachable);
    let preview = promote.preview().await.unwrap();
    let receipt = promote.apply(&preview.pre_image, &Log::default()).await.unwrap();
    let begun = begun(preview.pre_image, receipt);
    let verified = promote.verify(&begun, &Log::default()).await.unwrap();
    assert!(matches!(verified, Verified::Holds { .. }), "{verified:?}");
    assert!(bed.is_master("redis-3").await);

    // When the old master and the Sentinels return, they put it back: their word counts.
    bed.lab.world.truth().faults.heal_all();
    eventually("the Sentinels put it back", async || (!bed.is_master("redis-3").await).then_some(())).await;
}

#[tokio::test]
async fn an_old_writer_that_only_turns_us_away_is_not_called_dead() {
    let bed = bed(200.0).await;
    for (condition, expected) in [
        (Condition::Denied, OldWriter::Unknown),
        (Condition::Throttled, OldWriter::Unknown),
        (Condition::Garbage, OldWriter::Unknown),
        (Condition::Dark, OldWriter::Unreachable),
    ] {
        bed.set("redis@us-east-1", condition);
        let facts = bed.step("redis.failover", STANDBY).check().await.unwrap().promotion.unwrap();
        // In the dark the Sentinels may be faster than we are: then there is no old writer to speak of.
        let moved = facts.old_writer == OldWriter::Absent && condition == Condition::Dark;
        assert!(facts.old_writer == expected || moved, "{condition:?}: {:?}", facts.old_writer);
    }
}

#[tokio::test]
async fn probes_tell_what_is_wrong() {
    let bed = bed(1.0).await;
    bed.set("redis-sentinel@us-east-1", Condition::Refused);
    assert_eq!(bed.status("redis.sentinels").await, Status::Degraded);
    assert_eq!(bed.status("redis.master").await, Status::Healthy);
    bed.set("redis@us-east-1", Condition::Refused);
    assert_eq!(bed.status("redis.master").await, Status::Down);
    assert_eq!(bed.status("redis.ping").await, Status::Degraded);
    let rows =
        [(Condition::Half, Status::Down), (Condition::Garbage, Status::Down), (Condition::Denied, Status::Unknown)];
    for (condition, status) in rows {
        bed.set("redis@us-east-1", condition);
        assert_eq!(bed.status("redis.master").await, status, "{condition:?}");
    }
}

/// Another connection to the same deployment, as another config has it.
fn known_as(bed: &Bed, change: impl FnOnce(&mut Value)) -> Arc<dyn System> {
    let mut given = given(&bed.lab);
    change(&mut given);
    connect("redis", Some(DataClass::ApplicationState), given)
}

async fn applied(step: &dyn Step) -> mayday::domain::system::Begun {
    let (preview, log) = (step.preview().await.unwrap(), Log::default());
    let receipt = step.apply(&preview.pre_image, &log).await.unwrap();
    begun(preview.pre_image, receipt)
}

#[tokio::test]
async fn a_server_that_sentinels_call_by_its_address_is_the_one_that_the_config_calls_by_its_name() {
    let bed = bed(200.0).await;
    let named = known_as(&bed, |given| {
        let text = given.to_string().replace("127.0.0.1", "localhost");
        *given = serde_json::from_str(&text).unwrap();
    });
    let survey = named.survey().await.unwrap();
    assert_eq!(survey.members.len(), 6, "{:#?}", survey.members);
    assert!(survey.members.iter().all(|it| it.region.is_some()), "{:#?}", survey.members);
    let master = named.probe(&probe("redis.master", json!({}))).await;
    assert!(master.status == Status::Healthy && master.detail.contains("redis-1 (localhost:"), "{master:?}");
    let failover = step(&*named, "redis.failover", STANDBY, json!({ "region": STANDBY }));
    let checked = failover.check().await.unwrap();
    assert!(checked.guards.iter().all(|guard| guard.verdict == GuardVerdict::Pass), "{:?}", checked.guards);
    let steer = step(&*named, "redis.steer", STANDBY, json!({ "region": STANDBY }));
    let preview = steer.preview().await.unwrap();
    assert!(preview.diff.iter().any(|line| line.contains("redis-2")), "{preview:?}");
    assert!(!preview.diff.iter().any(|line| line.contains("redis-3")), "{preview:?}");
}

#[tokio::test]
async fn a_server_that_belongs_to_no_region_is_neither_steered_nor_passed_over() {
    let bed = bed(200.0).await;
    let blind = known_as(&bed, |given| {
        let nodes = given["nodes"].as_object_mut().unwrap();
        nodes.remove("redis-2");
        given["regions"].as_object_mut().unwrap().remove("redis-2");
    });
    let failover = step(&*blind, "redis.failover", STANDBY, json!({ "region": STANDBY }));
    assert_eq!(verdict(failover.as_ref(), "nodes").await, GuardVerdict::Block);
    let steer = step(&*blind, "redis.steer", STANDBY, json!({ "region": STANDBY }));
    let fitness = steer.fitness().await.unwrap();
    assert!(fitness.guards.iter().any(|it| it.verdict == GuardVerdict::Block && it.detail.contains("no region")));
    let observed = steer.observe(None).await.unwrap();
    assert!(matches!(&observed, Observed::NotDone { detail } if detail.contains("no region")), "{observed:?}");
    assert_eq!(steer.preview().await.unwrap().pre_image, json!({}), "nothing unknown is steered");
}

#[tokio::test]
async fn a_master_that_refuses_writes_is_not_healthy() {
    let bed = bed(200.0).await;
    bed.ask("redis-1", &["CONFIG", "SET", "min-replicas-to-write", "9"]).await.unwrap();
    let reading = bed.redis.probe(&probe("redis.master", json!({}))).await;
    assert!(reading.status == Status::Down && reading.detail.contains("NOREPLICAS"), "{reading:?}");
    let writable = bed.step("redis.writable", PRIMARY);
    let verified = writable.verify(&begun(json!(null), Default::default()), &Log::default()).await.unwrap();
    assert!(matches!(&verified, Verified::Pending { detail } if detail.contains("NOREPLICAS")), "{verified:?}");
    let survey = bed.survey().await;
    let master = survey.members.iter().find(|it| it.name == "redis-1").unwrap();
    assert!(master.status == Status::Degraded && master.detail.contains("refuses writes"), "{master:?}");
    bed.ask("redis-1", &["CONFIG", "SET", "min-replicas-to-write", "2"]).await.unwrap();
    assert_eq!(bed.status("redis.master").await, Status::Healthy, "two are linked");
    assert_eq!(bed.accepted("SET"), 0, "it is tried without writing");
}

#[tokio::test]
async fn who_turns_us_away_may_take_writes() {
    let bed = bed(200.0).await;
    bed.set("redis@us-west-2", Condition::Denied);
    let failover = bed.step("redis.failover", STANDBY);
    assert_eq!(verdict(failover.as_ref(), "writers").await, GuardVerdict::Block);
    let fault = bed.redis.survey().await.unwrap();
    let denied = fault.members.iter().find(|it| it.name == "redis-3").unwrap();
    assert_eq!(denied.status, Status::Unknown);
    // Nobody can be read: that is refused, and not gone.
    bed.set("redis@us-east-1", Condition::Denied);
    assert_eq!(bed.status("redis.ping").await, Status::Unknown);
    let alone = known_as(&bed, without_sentinels);
    let reading = alone.probe(&probe("redis.master", json!({}))).await;
    assert!(reading.status == Status::Unknown && reading.detail.contains("refused"), "{reading:?}");
    let fault = alone.survey().await.unwrap_err();
    assert!(fault.what.contains("no permissions"), "{fault}");
}

fn without_sentinels(given: &mut Value) {
    let given = given.as_object_mut().unwrap();
    given.remove("sentinels");
    given.remove("master_name");
    for table in ["nodes", "regions"] {
        given[table].as_object_mut().unwrap().retain(|name, _| !name.starts_with("sentinel"));
    }
}

#[tokio::test]
async fn replication_without_sentinels_is_fenced_promoted_and_pointed_anew_by_hand() {
    let bed = bed(50.0).await;
    // The lab's are out of the way: with living ones this is undone.
    bed.set("redis-sentinel@us-east-1", Condition::Dark);
    bed.set("redis-sentinel@us-west-2", Condition::Dark);
    let alone = known_as(&bed, without_sentinels);
    let of = |kind: &str| step(&*alone, kind, STANDBY, json!({ "region": STANDBY }));
    let reading = alone.probe(&probe("redis.master", json!({}))).await;
    assert!(reading.status == Status::Healthy && reading.detail.contains("the only one"), "{reading:?}");
    for refused in ["redis.failover", "redis.steer"] {
        let fault = try_step(&*alone, refused, STANDBY, json!({ "region": STANDBY })).err().unwrap();
        assert!(fault.what.contains("no Sentinels") && fault.next.contains("redis.promote"), "{fault}");
    }
    assert!(alone.refuses(&probe("redis.sentinels", json!({}))).is_some());

    let promote = of("redis.promote");
    assert_eq!(promote.check().await.unwrap().promotion.unwrap().old_writer, OldWriter::Reachable, "fence it first");
    let fence = of("redis.fence");
    assert!(matches!(fence.observe(None).await.unwrap(), Observed::NotDone { .. }));
    let fenced = applied(fence.as_ref()).await;
    is_done(fence.as_ref()).await.expect("fenced");
    let verified = fence.verify(&fenced, &Log::default()).await.unwrap();
    assert!(matches!(verified, Verified::Holds { .. }), "{verified:?}");
    let reading = alone.probe(&probe("redis.master", json!({}))).await;
    assert!(reading.status == Status::Down && reading.detail.contains("fenced"), "{reading:?}");

    eventually("the replica has all of it", async || {
        let facts = promote.check().await.unwrap().promotion.unwrap();
        (facts.old_writer == OldWriter::Fenced && facts.lossless).then_some(())
    })
    .await;
    let promoted = applied(promote.as_ref()).await;
    eventually("all follow the new master", async || {
        matches!(promote.verify(&promoted, &Log::default()).await.unwrap(), Verified::Holds { .. }).then_some(())
    })
    .await;
    assert!(bed.is_master("redis-3").await && !bed.is_master("redis-2").await);
    assert!(!bed.is_master("redis-1").await, "it was fenced and level, so it follows");
    is_done(promote.as_ref()).await.expect("promoted");
    eventually("it takes writes", async || {
        let verified = of("redis.writable").verify(&begun(json!(null), Default::default()), &Log::default()).await;
        matches!(verified, Ok(Verified::Holds { .. })).then_some(())
    })
    .await;
    // No fence is left for the day on which it is promoted again.
    let left = bed.ask("redis-1", &["CONFIG", "GET", "min-replicas-to-write"]).await.unwrap();
    let left: Vec<String> = redis::from_redis_value(left).unwrap();
    assert_eq!(left, ["min-replicas-to-write", "0"]);
    // The heartbeat is older than the promotion: what was lost can be measured.
    let point = of("redis.recovery-point").verify(&promoted, &Log::default()).await.unwrap();
    assert!(matches!(point, Verified::Holds { recovery_point: Some(_), .. }), "{point:?}");
}

#[tokio::test]
async fn when_no_sentinel_answers_the_servers_are_believed_as_far_as_they_go() {
    let bed = bed(200.0).await;
    bed.set("redis-sentinel@us-east-1", Condition::Dark);
    bed.set("redis-sentinel@us-west-2", Condition::Dark);
    let reading = bed.redis.probe(&probe("redis.master", json!({}))).await;
    assert!(reading.status == Status::Degraded && reading.detail.contains("0 of 3 Sentinels"), "{reading:?}");
}
