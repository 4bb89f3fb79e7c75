//! Global Accelerator against the lab.

use std::sync::Arc;

use mayday::domain::health::Status;
use mayday::domain::system::{FaultClass, GuardVerdict, Observed, Step, System, Verified};
use mayday::lab::accelerator::LISTENER;
use mayday::lab::faults::Condition;
use mayday::lab::{Lab, PRIMARY, Pace, STANDBY};
use serde_json::json;

use crate::common::{Log, begun, connect, eventually, probe, step};

fn listener(lab: &Lab) -> Arc<dyn System> {
    let given = json!({
        "listener": LISTENER,
        "endpoint_url": lab.endpoints["accelerator"],
        "access_key_id": "LABKEY",
        "secret_access_key": { "command": ["printf", "labsecret"] },
    });
    connect("accelerator", None, given)
}

fn dial(listener: &Arc<dyn System>, to: &str) -> Arc<dyn Step> {
    step(&**listener, "accelerator.dial", to, json!({}))
}

fn turned(lab: &Lab) -> Vec<String> {
    let truth = lab.world.truth();
    truth.ledger.iter().filter(|it| it.action == "UpdateEndpointGroup").map(|it| it.target.clone()).collect()
}

#[tokio::test]
async fn the_dials_open_the_target_first_and_go_back() {
    let lab = Lab::start(Pace(50.0)).await.unwrap();
    let listener = listener(&lab);
    let well = eventually("the endpoints are healthy", async || {
        let seen = listener.probe(&probe("accelerator.groups", json!({}))).await;
        (seen.status == Status::Healthy).then_some(seen)
    })
    .await;
    assert_eq!(well.detail, "us-east-1 100 %, us-west-2 0 %");
    let leave = dial(&listener, STANDBY);
    assert!(matches!(leave.observe(None).await.unwrap(), Observed::NotDone { .. }));
    let guards = leave.check().await.unwrap().guards;
    assert!(guards.iter().all(|it| it.verdict == GuardVerdict::Pass), "{guards:?}");
    let preview = leave.preview().await.unwrap();
    assert_eq!(preview.summary, "us-east-1 100 %, us-west-2 0 % → us-east-1 0 %, us-west-2 100 %");
    let receipt = leave.apply(&preview.pre_image, &Log::default()).await.unwrap();
    let done = begun(preview.pre_image, receipt);
    assert_eq!(turned(&lab), ["us-west-2 100", "us-east-1 0"], "at no moment nobody is served");
    let mut waited = Vec::new();
    eventually("it is deployed", async || match leave.verify(&done, &Log::default()).await.unwrap() {
        Verified::Pending { detail } => {
            waited.push(detail);
            None
        }
        Verified::Holds { detail, .. } => detail.contains("deployed").then_some(()),
        other => panic!("{other:?}"),
    })
    .await;
    assert!(waited.iter().any(|it| it.contains("being deployed")), "{waited:?}");
    leave.revert(&done, &Log::default()).await.unwrap();
    leave.revert(&done, &Log::default()).await.unwrap();
    assert_eq!(turned(&lab)[2..], ["us-east-1 100", "us-west-2 0"], "a second revert finds nothing to do");
}

#[tokio::test]
async fn what_stands_against_it_is_told() {
    let lab = Lab::start(Pace(200.0)).await.unwrap();
    let listener = listener(&lab);
    lab.world.truth().faults.set("app@us-west-2", Condition::Dark);
    let guards = dial(&listener, STANDBY).check().await.unwrap().guards;
    let endpoints = guards.iter().find(|it| it.name == "endpoints").unwrap();
    assert!(endpoints.verdict == GuardVerdict::Block && endpoints.detail.contains("is healthy"), "{endpoints:?}");
    let nowhere = dial(&listener, "eu-west-1").observe(None).await.unwrap();
    assert!(
        matches!(&nowhere, Observed::Impossible { why } if why.contains("no endpoint group in eu-west-1")),
        "{nowhere:?}"
    );
    lab.world.truth().faults.set("accelerator", Condition::Denied);
    let refused = dial(&listener, PRIMARY).observe(None).await.unwrap_err();
    assert!(refused.class == FaultClass::Permanent && refused.what.contains("refused (403)"), "{refused}");
    assert_eq!(listener.probe(&probe("accelerator.groups", json!({}))).await.status, Status::Unknown);
    lab.world.truth().faults.set("accelerator", Condition::Refused);
    let silent = dial(&listener, PRIMARY).apply(&json!({}), &Log::default()).await.unwrap_err();
    assert_eq!(silent.class, FaultClass::Transient, "it never arrived: {silent}");
    assert_eq!(listener.probe(&probe("accelerator.groups", json!({}))).await.status, Status::Down);
}
