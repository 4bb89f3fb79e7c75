//! The lab's front doors, its synthetic client and its control page.

use mayday::lab::app::{PLATFORM, TIERS, transact};
use mayday::lab::faults::Condition;
use mayday::lab::{Lab, PRIMARY, Pace, STANDBY};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::common::eventually;

async fn lab() -> Lab {
    Lab::start(Pace(200.0)).await.unwrap()
}

fn client() -> Client {
    mayday::outbound::http::client().unwrap()
}

async fn post(url: String, body: &Value) -> (StatusCode, Value) {
    let response = client().post(url).json(body).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

async fn get(url: String) -> (StatusCode, Value) {
    let response = client().get(url).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_front_door_tells_how_its_region_is() {
    let lab = lab().await;
    let door = &lab.endpoints["app.us-east-1"];
    assert_eq!(get(format!("{door}/healthz/auth")).await.0, StatusCode::OK);
    assert_eq!(get(format!("{door}/healthz/nobody")).await.0, StatusCode::NOT_FOUND);
    lab.world.truth().faults.set("auth@us-east-1", Condition::Refused);
    let body = eventually("unhealthy", async || {
        let (status, body) = get(format!("{door}/healthz/auth")).await;
        (status == StatusCode::SERVICE_UNAVAILABLE).then_some(body)
    })
    .await;
    assert_eq!((&body["service"], &body["ready"]), (&json!("auth"), &json!(0)));
    let (status, body) = post(format!("{door}/transaction?tier=critical"), &Value::Null).await;
    assert_eq!((status, &body["part"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("auth")));

    let (status, body) = post(format!("{door}/transaction?tier=standard"), &Value::Null).await;
    assert_eq!((status, &body["region"], &body["read"]), (StatusCode::OK, &json!(PRIMARY), &body["written"]));
    let (_, points) = get(format!("{door}/recovery-point")).await;
    assert_eq!(points["user-data"], body["written"]);
    assert_eq!(post(format!("{door}/transaction?tier=all"), &Value::Null).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_dark_region_does_not_answer_and_the_client_sees_it() {
    let lab = lab().await;
    eventually("asked", async || lab.world.truth().client.region).await;
    lab.world.truth().faults.set("app@us-east-1", Condition::Dark);
    let failed = lab.world.truth().client.failed;
    eventually("a failure", async || (lab.world.truth().client.failed > failed).then_some(())).await;
    assert!(lab.world.truth().client.outages.back().is_some_and(|outage| outage.to.is_none()));
    // DNS has an answer of its own to that: weight 0 is the last resort.
    eventually("sent west", async || (lab.world.truth().client.region == Some(STANDBY)).then_some(())).await;
}

#[tokio::test]
async fn a_tier_goes_through_what_it_needs_and_no_more() {
    let lab = lab().await;
    let truth = &mut *lab.world.truth();
    truth.faults.set("s3@us-east-1", Condition::Dark);
    let now = jiff::Timestamp::now();
    assert_eq!(transact(truth, PRIMARY, &TIERS[1], now).unwrap_err().part, "s3");
    assert!(transact(truth, PRIMARY, PLATFORM, now).is_err());
    let critical = transact(truth, PRIMARY, &TIERS[0], now);
    assert!(critical.err().is_none_or(|refusal| refusal.part != "s3"));
}

#[tokio::test]
async fn the_control_page_breaks_and_heals_and_says_what_can_be_broken() {
    let lab = lab().await;
    let control = &lab.endpoints["control"];
    let dark = json!({ "place": "*@us-east-1", "condition": "dark" });
    assert_eq!(post(format!("{control}/break"), &dark).await.0, StatusCode::OK);
    assert!(!lab.world.truth().faults.reachable("rds", PRIMARY));
    let (_, page) = get(format!("{control}/")).await;
    assert_eq!(page["faults"], json!({ "*@us-east-1": "dark" }));
    assert_eq!(page["regions"][STANDBY]["pods"]["auth"]["desired"], 1);
    for wrong in
        [json!({ "place": "*@mars", "condition": "dark" }), json!({ "place": "dns", "condition": "sad" }), json!([])]
    {
        let (status, body) = post(format!("{control}/break"), &wrong).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
        assert!(body["places"].as_array().unwrap().contains(&json!("rds@us-west-2")), "{body}");
        assert!(body["conditions"]["dark"].is_string());
    }
    assert_eq!(post(format!("{control}/heal"), &json!({ "place": "*@us-east-1" })).await.0, StatusCode::OK);
    assert!(lab.world.truth().faults.reachable("rds", PRIMARY));
    assert_eq!(post(format!("{control}/heal"), &json!({})).await.0, StatusCode::OK);
}
