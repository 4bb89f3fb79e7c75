//! The RDS driver against the lab.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mayday::domain::estate::DataClass;
use mayday::domain::health::Status;
use mayday::domain::recovery::{Lag, Role};
use mayday::domain::system::{
    Begun, FaultClass, GuardVerdict, Observed, OldWriter, PromotionFacts, Receipt, Step, System, Verified,
};
use mayday::domain::time::At;
use mayday::lab::faults::Condition;
use mayday::lab::rds::{REPLICA, State, WRITER};
use mayday::lab::{Lab, PRIMARY, Pace, STANDBY};
use serde_json::{Value, json};

use crate::common::{Log, begun, connect, eventually, looked_at, probe, step};

/// Fast enough for the tests, and slow enough for a promotion to be seen under way.
async fn lab() -> Lab {
    let lab = Lab::start(Pace(200.0)).await.unwrap();
    eventually("the replica's lag is known", async || {
        let survey = database(&lab, json!({})).survey().await.unwrap();
        survey.standby_point
    })
    .await;
    lab
}

fn database(lab: &Lab, more: Value) -> Arc<dyn System> {
    let mut given = json!({
        "instance": WRITER,
        "replica": REPLICA,
        "address": lab.endpoints["rds.endpoint.gennet-db"],
        "replica_address": lab.endpoints["rds.endpoint.gennet-db-replica"],
        "endpoint_url": lab.endpoints["rds.us-east-1"],
        "replica_endpoint_url": lab.endpoints["rds.us-west-2"],
        "cloudwatch_endpoint_url": lab.endpoints["cloudwatch.us-west-2"],
        "access_key_id": "LABKEY",
        "secret_access_key": { "command": ["printf", "labsecret"] },
    });
    given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    connect("rds", Some(DataClass::Database), given)
}

fn set(lab: &Lab, place: &str, condition: Condition) {
    lab.world.truth().faults.set(place, condition);
}

fn promotions(lab: &Lab) -> (usize, usize) {
    let truth = lab.world.truth();
    let all = truth.ledger.iter().filter(|it| it.action == "PromoteReadReplica");
    let (accepted, refused): (Vec<_>, Vec<_>) = all.partition(|it| it.accepted);
    (accepted.len(), refused.len())
}

async fn facts(step: &dyn Step) -> PromotionFacts {
    step.check().await.unwrap().promotion.unwrap()
}

async fn guard(step: &dyn Step, name: &str) -> GuardVerdict {
    let guards = step.check().await.unwrap().guards;
    guards.iter().find(|guard| guard.name == name).unwrap_or_else(|| panic!("no guard {name} in {guards:?}")).verdict
}

async fn holds(step: &dyn Step, begun: &Begun) -> String {
    eventually("verified", async || match step.verify(begun, &Log::default()).await.unwrap() {
        Verified::Holds { detail, .. } => Some(detail),
        Verified::Pending { .. } => None,
        other => panic!("{other:?}"),
    })
    .await
}

#[tokio::test]
async fn the_survey_tells_roles_lag_and_what_would_survive() {
    let lab = lab().await;
    let survey = database(&lab, json!({})).survey().await.unwrap();
    let [writer, replica] = survey.members.as_slice() else { panic!("{:?}", survey.members) };
    assert_eq!((writer.role, writer.status), (Role::Writer, Status::Healthy), "{writer:?}");
    assert!(writer.detail.contains("us-east-1a + us-east-1b"), "{writer:?}");
    assert_eq!((replica.role, replica.status), (Role::Replica, Status::Healthy), "{replica:?}");
    assert!(matches!(replica.lag, Some(Lag::Seconds(lag)) if (0.0..30.0).contains(&lag)), "{replica:?}");
    let point = survey.standby_point.unwrap();
    assert!(!point.measured && point.source.contains("ReplicaLag"), "{point:?}");
    assert_eq!(point.region.unwrap().as_str(), STANDBY);
    assert!(survey.notes.iter().any(|note| note.contains("kept 7 days")), "{:?}", survey.notes);
}

#[tokio::test]
async fn a_dark_region_costs_a_bounded_wait_and_hides_nothing_of_the_other() {
    let lab = lab().await;
    let rds = database(&lab, json!({}));
    set(&lab, "*@us-east-1", Condition::Dark);
    let started = Instant::now();
    let survey = rds.survey().await.unwrap();
    // Three seconds: one bounded look, and nothing one after the other.
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(survey.members[0].status, Status::Down, "{:?}", survey.members[0]);
    assert_eq!(survey.members[1].status, Status::Healthy, "{:?}", survey.members[1]);
    assert!(survey.standby_point.is_some());
}

#[tokio::test]
async fn where_iam_does_not_say_whether_a_step_is_allowed_that_is_unknown() {
    let lab = lab().await;
    let judges =
        json!({ "iam_endpoint_url": lab.endpoints["iam"], "sts_endpoint_url": lab.endpoints["sts.us-west-2"] });
    let promote = step(&*database(&lab, judges), "rds.promote-replica", STANDBY, json!({}));
    let allowed = promote.fitness().await.unwrap().guards;
    assert!(allowed.iter().any(|it| it.name == "access" && it.verdict == GuardVerdict::Pass), "{allowed:?}");
    set(&lab, "iam", Condition::Denied);
    let fault = promote.fitness().await.unwrap_err();
    assert!(fault.what.contains("IAM does not say") && fault.next.contains("SimulatePrincipalPolicy"), "{fault}");
}

#[tokio::test]
async fn copies_elsewhere_that_could_not_be_looked_at_are_not_told_as_none() {
    let lab = lab().await;
    let rds = database(&lab, json!({}));
    let whole = looked_at(&rds, "rds.snapshots", json!({})).await.unwrap();
    assert!(!whole.partial, "{whole:?}");
    set(&lab, "rds@us-west-2", Condition::Denied);
    let half = looked_at(&rds, "rds.snapshots", json!({})).await.unwrap();
    assert!(half.partial && half.regions == [PRIMARY.into()], "{half:?}");
}

#[tokio::test]
async fn probes_tell_the_api_from_the_database() {
    let lab = lab().await;
    let rds = database(&lab, json!({}));
    let look = async |kind: &str, which: &str| rds.probe(&probe(kind, json!({ "which": which }))).await.status;
    for which in ["primary", "replica"] {
        assert_eq!(look("rds.instance", which).await, Status::Healthy);
        assert_eq!(look("rds.connect", which).await, Status::Healthy);
    }
    lab.world.truth().rds.instance_mut(REPLICA).unwrap().state = State::BackingUp;
    assert_eq!(look("rds.instance", "replica").await, Status::Healthy);
    set(&lab, "rds@us-east-1", Condition::Denied);
    assert_eq!(look("rds.instance", "primary").await, Status::Unknown);
    assert_eq!(look("rds.connect", "primary").await, Status::Healthy, "a refused API is no database that is down");
    set(&lab, "rds@us-east-1", Condition::Dark);
    assert_eq!(look("rds.instance", "primary").await, Status::Unknown);
    assert_eq!(look("rds.connect", "primary").await, Status::Down);
}

#[tokio::test]
async fn a_promotion_is_one_call_and_is_believed_when_the_database_answers() {
    let lab = lab().await;
    let rds = database(&lab, json!({}));
    let promote = step(&*rds, "rds.promote-replica", STANDBY, json!({}));
    assert!(matches!(promote.observe(None).await.unwrap(), Observed::NotDone { .. }));
    assert_eq!(facts(&*promote).await.old_writer, OldWriter::Reachable);
    set(&lab, "*@us-east-1", Condition::Dark);
    let judged = facts(&*promote).await;
    assert_eq!((judged.old_writer, judged.quorum, judged.lossless), (OldWriter::Unreachable, None, false));
    assert!(judged.recovery_point.unwrap().at <= At::now());
    let preview = promote.preview().await.unwrap();
    assert!(preview.summary.contains("replica → database of its own"), "{preview:?}");
    let begun = begun(preview.pre_image.clone(), Receipt::new());
    promote.apply(&preview.pre_image, &Log::default()).await.unwrap();
    assert!(matches!(promote.observe(Some(&begun)).await.unwrap(), Observed::InProgress { .. }));
    // Called again while it is under way: refused by RDS, and looked at again by us.
    let again = promote.apply(&preview.pre_image, &Log::default()).await.unwrap_err();
    assert_eq!(again.class, FaultClass::Ambiguous);
    assert!(holds(&*promote, &begun).await.contains("answers clients"));
    assert!(matches!(promote.observe(None).await.unwrap(), Observed::Done { .. }));
    assert_eq!(promotions(&lab), (1, 1));
    let writable = step(&*rds, "rds.writable", STANDBY, json!({}));
    holds(&*writable, &begun).await;
    assert_eq!(rds.survey().await.unwrap().members[1].role, Role::Writer);
    assert_eq!(promote.revert(&begun, &Log::default()).await.unwrap_err().class, FaultClass::Permanent);
}

#[tokio::test]
async fn an_answer_that_is_lost_is_ambiguous_and_reality_tells() {
    let lab = lab().await;
    let promote = step(&*database(&lab, json!({})), "rds.promote-replica", STANDBY, json!({}));
    let preview = promote.preview().await.unwrap();
    set(&lab, "rds@us-west-2", Condition::Half);
    let lost = promote.apply(&preview.pre_image, &Log::default()).await.unwrap_err();
    assert_eq!(lost.class, FaultClass::Ambiguous, "{lost}");
    set(&lab, "rds@us-west-2", Condition::Up);
    let begun = begun(preview.pre_image, Receipt::new());
    eventually("observed as done", async || match promote.observe(Some(&begun)).await.unwrap() {
        Observed::Done { .. } => Some(()),
        Observed::InProgress { .. } => None,
        other => panic!("{other:?}"),
    })
    .await;
    assert_eq!(promotions(&lab), (1, 0));
}

#[tokio::test]
async fn nothing_is_promoted_during_a_backup_or_on_a_guess() {
    let lab = lab().await;
    let rds = database(&lab, json!({}));
    let promote = step(&*rds, "rds.promote-replica", STANDBY, json!({}));
    assert_eq!(guard(&*promote, "available").await, GuardVerdict::Pass);
    lab.world.truth().rds.instance_mut(REPLICA).unwrap().state = State::BackingUp;
    assert_eq!(guard(&*promote, "available").await, GuardVerdict::Block);
    let refused = promote.apply(&json!(null), &Log::default()).await.unwrap_err();
    assert_eq!(refused.class, FaultClass::Ambiguous);
    assert!(matches!(promote.observe(None).await.unwrap(), Observed::NotDone { .. }));
    lab.world.truth().rds.instance_mut(REPLICA).unwrap().state = State::Available;
    // Without CloudWatch the loss is unknown, and unknown is not zero.
    set(&lab, "cloudwatch@us-west-2", Condition::Denied);
    assert_eq!(facts(&*promote).await.recovery_point, None);
    assert_eq!(guard(&*promote, "replica-lag").await, GuardVerdict::Warn);
    // Who may not ask does not know whether the old writer lives.
    set(&lab, "rds@us-east-1", Condition::Denied);
    let unreachable = database(&lab, json!({ "connect": false }));
    let promote = step(&*unreachable, "rds.promote-replica", STANDBY, json!({}));
    assert_eq!(facts(&*promote).await.old_writer, OldWriter::Unknown);
}

#[tokio::test]
async fn refusals_and_throttling_leave_nothing_half_done() {
    let lab = lab().await;
    let promote = step(&*database(&lab, json!({})), "rds.promote-replica", STANDBY, json!({}));
    for (condition, class) in
        [(Condition::Denied, FaultClass::Permanent), (Condition::Throttled, FaultClass::Transient)]
    {
        set(&lab, "rds@us-west-2", condition);
        assert_eq!(promote.observe(None).await.unwrap_err().class, class);
        assert_eq!(promote.apply(&json!(null), &Log::default()).await.unwrap_err().class, class);
    }
    assert_eq!(promotions(&lab), (0, 0));
}

#[tokio::test]
async fn the_other_zone_takes_over_and_the_event_tells_before_the_zones_do() {
    let lab = lab().await;
    let rds = database(&lab, json!({}));
    let failover = step(&*rds, "rds.failover-az", PRIMARY, json!({}));
    assert!(matches!(failover.observe(None).await.unwrap(), Observed::NotDone { .. }));
    let judged = facts(&*failover).await;
    assert!(judged.lossless);
    let preview = failover.preview().await.unwrap();
    assert!(preview.summary.contains("us-east-1a → us-east-1b"), "{preview:?}");
    let begun = begun(preview.pre_image.clone(), Receipt::new());
    failover.apply(&preview.pre_image, &Log::default()).await.unwrap();
    assert!(matches!(failover.observe(Some(&begun)).await.unwrap(), Observed::InProgress { .. }));
    holds(&*failover, &begun).await;
    assert!(matches!(failover.observe(Some(&begun)).await.unwrap(), Observed::Done { .. }));
    let another = Begun { at: At::now(), ..begun };
    eventually("the zones are told", async || {
        let zone = failover.preview().await.unwrap().pre_image["zone"].as_str().unwrap().to_owned();
        (zone == "us-east-1b").then_some(())
    })
    .await;
    let another = Begun { pre_image: failover.preview().await.unwrap().pre_image, ..another };
    assert!(
        matches!(failover.observe(Some(&another)).await.unwrap(), Observed::NotDone { .. }),
        "a failover from before is not this one"
    );
}

/// Somebody may log in, by the lab's role.
fn watched(lab: &Lab, password: &str) -> Arc<dyn System> {
    use mayday::lab::rds::session::ROLE;
    database(lab, json!({ "username": ROLE, "password": { "command": ["printf", password] }, "tls": "off" }))
}

#[tokio::test]
async fn a_login_sees_that_writes_are_taken_before_and_after_a_promotion() {
    let lab = lab().await;
    let rds = watched(&lab, mayday::lab::rds::session::PASSWORD);
    let look = async |which: &str, expect: &str| {
        rds.probe(&probe("rds.login", json!({ "which": which, "expect": expect }))).await
    };
    let (writer, replica) = (look("primary", "writes").await, look("replica", "either").await);
    assert!(writer.status == Status::Healthy && writer.detail == "gennet-db takes writes", "{writer:?}");
    assert!(replica.status == Status::Healthy && replica.detail.contains("replays another's log"), "{replica:?}");
    assert_eq!(look("replica", "writes").await.status, Status::Down);
    let survey = rds.survey().await.unwrap();
    assert!(survey.members[0].detail.ends_with("it takes writes"), "{:?}", survey.members);
    // The API is refused: what the databases say of themselves tells who is who.
    set(&lab, "rds@us-west-2", Condition::Denied);
    assert_eq!(rds.survey().await.unwrap().members[1].role, Role::Replica);
    set(&lab, "rds@us-west-2", Condition::Up);

    let promote = step(&*rds, "rds.promote-replica", STANDBY, json!({}));
    let writable = step(&*rds, "rds.writable", STANDBY, json!({}));
    let preview = promote.preview().await.unwrap();
    let begun = begun(preview.pre_image.clone(), Receipt::new());
    promote.apply(&preview.pre_image, &Log::default()).await.unwrap();
    assert!(holds(&*promote, &begun).await.ends_with("answers clients and takes writes"));
    assert!(holds(&*writable, &begun).await.ends_with("answers clients and takes writes"));
}

#[tokio::test]
async fn a_login_that_is_refused_is_unknown_and_stops_who_wants_to_see() {
    let lab = lab().await;
    let rds = watched(&lab, "yesterdays");
    let refused = rds.probe(&probe("rds.login", json!({}))).await;
    assert!(refused.status == Status::Unknown && refused.detail.contains("28P01"), "{refused:?}");
    assert!(!refused.detail.contains("yesterdays"), "{refused:?}");
    let writer = &rds.survey().await.unwrap().members[0];
    assert!(writer.status == Status::Healthy && writer.detail.contains("was not seen"), "{writer:?}");
    let writable = step(&*rds, "rds.writable", PRIMARY, json!({}));
    let Verified::Broken { why } = writable.verify(&begun(Value::Null, Receipt::new()), &Log::default()).await.unwrap()
    else {
        panic!("nobody saw it")
    };
    assert!(why.contains("whether it takes writes was not seen"), "{why}");
    assert_eq!(writable.fitness().await.unwrap().guards[0].verdict, GuardVerdict::Warn, "it is told long before");
    let unwatched = database(&lab, json!({}));
    assert!(unwatched.refuses(&probe("rds.login", json!({}))).is_some());
    assert!(unwatched.refuses(&probe("rds.connect", json!({}))).is_none());
}

#[tokio::test]
async fn a_replica_that_was_promoted_long_ago_is_no_copy_that_a_failover_could_take() {
    let lab = lab().await;
    let rds = database(&lab, json!({}));
    let promote = step(&*rds, "rds.promote-replica", STANDBY, json!({}));
    let preview = promote.preview().await.unwrap();
    let begun = begun(preview.pre_image.clone(), Receipt::new());
    promote.apply(&preview.pre_image, &Log::default()).await.unwrap();
    holds(&*promote, &begun).await;
    assert!(matches!(promote.observe(Some(&begun)).await.unwrap(), Observed::Done { .. }), "this run did it");
    let Observed::Impossible { why } = promote.observe(None).await.unwrap() else { panic!("the old writer goes on") };
    assert!(why.contains("split-brain") && why.contains("gennet-db in us-east-1"), "{why}");
    set(&lab, "rds@us-east-1", Condition::Dark);
    assert!(matches!(promote.observe(None).await.unwrap(), Observed::Done { .. }), "nobody else is seen");
}
