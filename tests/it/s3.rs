//! The S3 driver against the lab.

use std::sync::Arc;

use mayday::domain::estate::DataClass;
use mayday::domain::health::Status;
use mayday::domain::recovery::{Lag, Role};
use mayday::domain::system::{FaultClass, GuardVerdict, Observed, System, Verified};
use mayday::domain::time::{At, seconds_between};
use mayday::lab::faults::Condition;
use mayday::lab::{Lab, PRIMARY, Pace, STANDBY};
use serde_json::json;

use crate::common::{Log, begun, connect, eventually, looked_at, probe, step};

async fn lab() -> Lab {
    Lab::start(Pace(200.0)).await.unwrap()
}

fn buckets(lab: &Lab) -> Arc<dyn System> {
    let given = json!({
        "primary_bucket": "gennet-data",
        "standby_bucket": "gennet-data-dr",
        "primary_endpoint_url": lab.endpoints["s3.us-east-1"],
        "standby_endpoint_url": lab.endpoints["s3.us-west-2"],
        "access_key_id": "LABKEY",
        "secret_access_key": { "command": ["printf", "labsecret"] },
    });
    connect("s3", Some(DataClass::UserData), given)
}

/// The application in `region` writes now.
fn beat(lab: &Lab, region: &str, at: At) {
    let truth = &mut *lab.world.truth();
    truth.s3.write(region, at, &truth.faults).unwrap();
}

async fn arrived(lab: &Lab, at: At) {
    eventually("replicated", async || {
        let truth = lab.world.truth();
        truth.s3.newest(STANDBY, &truth.faults).filter(|newest| *newest >= at)
    })
    .await;
}

fn set(lab: &Lab, place: &str, condition: Condition) {
    lab.world.truth().faults.set(place, condition);
}

#[tokio::test]
async fn the_survey_knows_what_has_arrived() {
    let lab = lab().await;
    let s3 = buckets(&lab);
    let now = At::now();
    beat(&lab, PRIMARY, now);
    arrived(&lab, now).await;
    // Other applications of this lab may write too: only what is certain is asked for.
    let survey = s3.survey().await.unwrap();
    let point = survey.standby_point.unwrap();
    assert!(point.measured && point.region.as_ref().unwrap().as_str() == STANDBY);
    assert!(seconds_between(point.at, At::now()).abs() < 60.0, "{point:?}");
    let [primary, standby] = survey.members.as_slice() else { panic!("{:?}", survey.members) };
    assert_eq!((primary.role, primary.status), (Role::Writer, Status::Healthy), "{primary:?}");
    assert_eq!((standby.role, standby.status), (Role::Replica, Status::Healthy), "{standby:?}");
    assert!(matches!(standby.lag, Some(Lag::Seconds(lag)) if lag < 60.0), "{standby:?}");
}

#[tokio::test]
async fn what_the_standby_writes_itself_is_no_recovery_point() {
    let lab = lab().await;
    let s3 = buckets(&lab);
    let measure = step(&*s3, "s3.recovery-point", STANDBY, json!({}));
    let nothing = begun(json!(null), Default::default());
    set(&lab, "*@us-east-1", Condition::Dark);
    beat(&lab, STANDBY, At::now());
    let seen = measure.verify(&nothing, &Log::default()).await.unwrap();
    // Nothing was replicated, unless the lab's own application was quicker than this test.
    match seen {
        Verified::Broken { why } => assert!(why.contains("no replicated object"), "{why}"),
        Verified::Holds { recovery_point: Some(point), .. } => assert!(point.source.contains(PRIMARY), "{point:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_recovery_point_is_read_while_the_primary_is_dark() {
    let lab = lab().await;
    let s3 = buckets(&lab);
    let written = At::now();
    beat(&lab, PRIMARY, written);
    arrived(&lab, written).await;
    set(&lab, "*@us-east-1", Condition::Dark);
    let measure = step(&*s3, "s3.recovery-point", STANDBY, json!({}));
    assert!(matches!(measure.observe(None).await.unwrap(), Observed::NotDone { .. }));
    let seen = measure.verify(&begun(json!(null), Default::default()), &Log::default()).await.unwrap();
    let Verified::Holds { recovery_point: Some(point), .. } = seen else { panic!("{seen:?}") };
    assert!(point.measured && point.source.contains("heartbeat/us-east-1"), "{point:?}");
    // S3 keeps whole seconds.
    assert!(seconds_between(written, point.at) > -1.0, "{point:?} is older than what had arrived ({written})");

    let survey = s3.survey().await.unwrap();
    assert_eq!(survey.members[0].status, Status::Down, "silence is down: {:?}", survey.members[0]);
    assert_eq!(survey.members[1].lag, None, "without the source nobody knows the lag; unknown is not zero");
    assert!(survey.standby_point.is_some());
}

#[tokio::test]
async fn replication_is_made_sure_of_by_a_canary() {
    let lab = lab().await;
    let s3 = buckets(&lab);
    let check = step(&*s3, "s3.replication", STANDBY, json!({ "canary": true }));
    let attempt = begun(json!(null), Default::default());
    let first = check.verify(&attempt, &Log::default()).await.unwrap();
    assert!(matches!(first, Verified::Pending { .. }), "{first:?}");
    eventually("the canary arrived", async || match check.verify(&attempt, &Log::default()).await.unwrap() {
        Verified::Holds { .. } => Some(()),
        Verified::Pending { .. } => None,
        broken => panic!("{broken:?}"),
    })
    .await;
    let puts = lab.world.truth().ledger.iter().filter(|it| it.action == "PutObject").count();
    assert_eq!(puts, 1, "asked again it looks for the one it wrote");
}

#[tokio::test]
async fn a_canary_times_the_way_of_an_object_to_the_other_region() {
    let lab = lab().await;
    let s3 = buckets(&lab);
    let look = async || looked_at(&s3, "s3.canary", json!({ "wait": "2s" })).await.unwrap();
    let before = At::now();
    let crossed = look().await;
    assert_eq!((crossed.guards[0].verdict, &crossed.regions[..]), (GuardVerdict::Pass, &[STANDBY.into()][..]));
    assert!(crossed.guards[0].detail.starts_with("crossed in "), "{:?}", crossed.guards);
    assert!(crossed.restorable().is_some_and(|at| at >= before), "{crossed:?}");
    // S3 tells whole seconds: the next canary has to be of another one.
    let written = crossed.restorable().unwrap();
    eventually("another second", async || (seconds_between(written, At::now()) > 1.5).then_some(())).await;
    set(&lab, "s3@us-west-2", Condition::Lagging);
    let stuck = look().await;
    assert_eq!(stuck.guards[0].verdict, GuardVerdict::Warn, "{:?}", stuck.guards);
    let told = stuck.restorable().unwrap();
    assert!(seconds_between(told, written) < 1.0, "the one before is what there is: {stuck:?}");
}

#[tokio::test]
async fn replication_that_is_off_is_seen() {
    let lab = lab().await;
    let s3 = buckets(&lab);
    let check = step(&*s3, "s3.replication", STANDBY, json!({}));
    assert!(matches!(check.observe(None).await.unwrap(), Observed::Done { .. }));
    lab.world.truth().s3.bucket_mut("gennet-data").unwrap().replicates_to = Vec::new();
    lab.world.truth().s3.bucket_mut("gennet-data-dr").unwrap().versioned = false;
    let Observed::NotDone { detail } = check.observe(None).await.unwrap() else { panic!("it is off") };
    assert!(detail.contains("versioning of gennet-data-dr") && detail.contains("no enabled rule"), "{detail}");
    assert_eq!(check.check().await.unwrap().guards[0].verdict, GuardVerdict::Warn);
    assert_eq!(s3.probe(&probe("s3.bucket", json!({ "bucket": "standby" }))).await.status, Status::Degraded);
}

#[tokio::test]
async fn a_bucket_is_seen_as_it_is() {
    let lab = lab().await;
    let s3 = buckets(&lab);
    let look = async |given| s3.probe(&probe("s3.bucket", given)).await;
    assert_eq!(look(json!({})).await.status, Status::Healthy);
    let now = At::now();
    beat(&lab, PRIMARY, now);
    assert_eq!(look(json!({ "max_age": "1h" })).await.status, Status::Healthy);
    for (condition, status) in [
        (Condition::Denied, Status::Unknown),
        (Condition::Throttled, Status::Unknown),
        (Condition::Refused, Status::Down),
        (Condition::Garbage, Status::Down),
        (Condition::Half, Status::Down),
    ] {
        set(&lab, "s3@us-east-1", condition);
        let seen = look(json!({})).await;
        assert_eq!(seen.status, status, "{condition:?}: {}", seen.detail);
    }
    set(&lab, "s3@us-west-2", Condition::Denied);
    let measure = step(&*s3, "s3.recovery-point", STANDBY, json!({}));
    let fault = measure.verify(&begun(json!(null), Default::default()), &Log::default()).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Permanent, "{fault}");
    let survey = s3.survey().await.unwrap();
    assert_eq!(survey.standby_point, None, "unknown is not a recovery point");
}

#[tokio::test]
async fn the_loss_of_the_source_is_told_where_the_plan_is_about_it() {
    let lab = lab().await;
    let s3 = buckets(&lab);
    let written = At::now();
    beat(&lab, PRIMARY, written);
    arrived(&lab, written).await;
    set(&lab, "s3@us-east-1", Condition::Refused);
    let nothing = begun(json!(null), Default::default());
    let strict = step(&*s3, "s3.replication", STANDBY, json!({}));
    assert_eq!(strict.verify(&nothing, &Log::default()).await.unwrap_err().class, FaultClass::Transient);
    let content = step(&*s3, "s3.replication", STANDBY, json!({ "source_may_be_lost": true }));
    let seen = content.verify(&nothing, &Log::default()).await.unwrap();
    let Verified::Holds { detail, .. } = seen else { panic!("{seen:?}") };
    assert!(detail.contains("gennet-data does not answer") && detail.contains("heartbeat/us-east-1"), "{detail}");
    // A refusal is no loss: somebody has to look.
    set(&lab, "s3@us-east-1", Condition::Denied);
    assert_eq!(content.verify(&nothing, &Log::default()).await.unwrap_err().class, FaultClass::Permanent);
}
