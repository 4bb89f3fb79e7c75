//! The driver of ARC's routing controls against the lab: five endpoints, some of them dead, and rules that refuse.

use std::sync::Arc;
use std::time::Instant;

use mayday::domain::health::Status;
use mayday::domain::system::{FaultClass, GuardVerdict, Observed, Step, System, Verified};
use mayday::lab::arc::{ENDPOINTS, FROZEN, control};
use mayday::lab::faults::Condition;
use mayday::lab::{Lab, PRIMARY, Pace, REGIONS, STANDBY};
use serde_json::{Value, json};

use crate::common::{Log, begun, connect, eventually, probe, step};

const APP: &str = "app.gennet.example";

async fn lab(pace: f64) -> Lab {
    Lab::start(Pace(pace)).await.unwrap()
}

fn cluster(lab: &Lab) -> Arc<dyn System> {
    let endpoints: Value =
        ENDPOINTS.iter().map(|it| ((*it).to_owned(), json!(lab.endpoints[&format!("arc.{it}")]))).collect();
    let controls: Value = REGIONS.iter().map(|it| ((*it).to_owned(), json!(control(it)))).collect();
    let given = json!({
        "endpoints": endpoints,
        "controls": controls,
        "name_servers": [lab.endpoints["dns"]],
        "answers": { "us-east-1": "127.0.0.11", "us-west-2": "127.0.0.12" },
        "access_key_id": "LABKEY",
        "secret_access_key": { "command": ["printf", "labsecret"] },
    });
    connect("arc", None, given)
}

fn switch(cluster: &Arc<dyn System>, to: &str) -> Arc<dyn Step> {
    step(&**cluster, "arc.routing-control", to, json!({ "record": APP }))
}

fn set(lab: &Lab, place: &str, condition: Condition) {
    lab.world.truth().faults.set(place, condition);
}

fn changes(lab: &Lab) -> usize {
    let truth = lab.world.truth();
    truth.ledger.iter().filter(|it| it.action == "UpdateRoutingControlStates" && it.accepted).count()
}

async fn holds(step: &dyn Step, begun: &mayday::domain::system::Begun) {
    eventually("clients have moved", async || match step.verify(begun, &Log::default()).await.unwrap() {
        Verified::Holds { .. } => Some(()),
        Verified::Pending { .. } => None,
        other => panic!("{other:?}"),
    })
    .await;
}

#[tokio::test]
async fn two_of_five_endpoints_may_be_dead_and_clients_move_within_5_s() {
    let pace = 4.0;
    let lab = lab(pace).await;
    let cluster = cluster(&lab);
    let look = async || cluster.probe(&probe("arc.controls", json!({}))).await;
    let well = look().await;
    assert!(well.status == Status::Healthy && well.detail.contains("5 of 5"), "{well:?}");
    set(&lab, "arc@us-east-1", Condition::Refused);
    set(&lab, "arc@ap-northeast-1", Condition::Refused);
    set(&lab, "route53", Condition::Dark);
    let worse = look().await;
    assert!(worse.status == Status::Degraded && worse.detail.contains("3 of 5"), "{worse:?}");
    // Whichever endpoint is asked first, all of these come to the same.
    for _ in 0..ENDPOINTS.len() {
        let leave = switch(&cluster, STANDBY);
        assert!(matches!(leave.observe(None).await.unwrap(), Observed::NotDone { .. }));
        let guards = leave.check().await.unwrap().guards;
        assert!(guards.iter().all(|it| it.verdict == GuardVerdict::Pass), "{guards:#?}");
        let preview = leave.preview().await.unwrap();
        assert_eq!(preview.summary, "us-east-1 On, us-west-2 Off → us-east-1 Off, us-west-2 On");
        let began = Instant::now();
        let receipt = leave.apply(&preview.pre_image, &Log::default()).await.unwrap();
        let begun = begun(preview.pre_image, receipt);
        holds(&*leave, &begun).await;
        let took = began.elapsed().as_secs_f64() * pace;
        assert!(took < 5.0, "{took} s on the lab's clock");
        leave.revert(&begun, &Log::default()).await.unwrap();
        leave.revert(&begun, &Log::default()).await.unwrap();
        assert!(lab.world.truth().arc.is_on(&control(PRIMARY)) && !lab.world.truth().arc.is_on(&control(STANDBY)));
    }
    assert_eq!(changes(&lab), 2 * ENDPOINTS.len(), "both switches at once, and a second revert finds nothing to do");
    for region in ENDPOINTS {
        set(&lab, &format!("arc@{region}"), Condition::Refused);
    }
    let fault = switch(&cluster, STANDBY).observe(None).await.unwrap_err();
    assert!(
        fault.class == FaultClass::Transient && fault.what.contains("no endpoint of the cluster answers"),
        "{fault}"
    );
    assert_eq!(look().await.status, Status::Down);
}

#[tokio::test]
async fn a_dark_endpoint_costs_a_moment_and_is_asked_last_from_then_on() {
    let lab = lab(200.0).await;
    let cluster = cluster(&lab);
    set(&lab, "arc@us-east-1", Condition::Dark);
    let began = Instant::now();
    // Whichever endpoint is asked first, each of the five comes first once.
    for _ in 0..ENDPOINTS.len() {
        assert!(matches!(switch(&cluster, STANDBY).observe(None).await.unwrap(), Observed::NotDone { .. }));
    }
    let took = began.elapsed().as_secs_f64();
    assert!(took < 1.4, "{took:.2} s: one endpoint's whole patience is 1.5 s");
}

#[tokio::test]
async fn a_rule_that_refuses_is_told_and_overridden_only_past_its_guard() {
    let lab = lab(200.0).await;
    let cluster = cluster(&lab);
    lab.world.truth().arc.frozen = true;
    let leave = switch(&cluster, STANDBY);
    let preview = leave.preview().await.unwrap();
    let fault = leave.apply(&preview.pre_image, &Log::default()).await.unwrap_err();
    assert!(fault.class == FaultClass::Permanent && fault.means.contains(FROZEN), "{fault}");
    assert_eq!(changes(&lab), 0);
    // Tried again, it stands on the card, and blocks until somebody types that it shall not count.
    let again = switch(&cluster, STANDBY);
    let guards = again.check().await.unwrap().guards;
    let rule = guards.iter().find(|it| it.name == "safety-rule").unwrap();
    assert!(rule.verdict == GuardVerdict::Block && rule.detail.contains(FROZEN), "{rule:?}");
    let receipt = again.apply(&preview.pre_image, &Log::default()).await.unwrap();
    assert_eq!(receipt["overridden"], FROZEN);
    holds(&*again, &begun(preview.pre_image, receipt)).await;
    let guards = switch(&cluster, PRIMARY).check().await.unwrap().guards;
    assert!(!guards.iter().any(|it| it.name == "safety-rule"), "the next change is asked anew");
}

#[tokio::test]
async fn silence_after_the_change_is_ambiguous_and_a_refusal_is_final() {
    let lab = lab(200.0).await;
    let cluster = cluster(&lab);
    let leave = switch(&cluster, STANDBY);
    let preview = leave.preview().await.unwrap();
    for region in ENDPOINTS {
        set(&lab, &format!("arc@{region}"), Condition::Dark);
    }
    let fault = leave.apply(&preview.pre_image, &Log::default()).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Ambiguous, "{fault}");
    for region in ENDPOINTS {
        set(&lab, &format!("arc@{region}"), Condition::Denied);
    }
    let fault = leave.observe(None).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Permanent, "{fault}");
    assert!(leave.by_hand().iter().filter(|line| line.starts_with("aws route53-recovery-cluster")).count() == 5);
}
