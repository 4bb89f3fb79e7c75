//! The review of a failover on the lab: written the moment the incident closes, the same with and without an engine, and true.

use std::fs;

use mayday::domain::command::Ask;
use mayday::domain::incident::Severity;
use mayday::domain::run::{Mode, Outcome};
use mayday::domain::verdict;
use mayday::lab::faults::Condition;
use mayday::lab::{Lab, PRIMARY, Pace};
use mayday::report::Review;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::common::{eventually, is_ready};
use crate::process::{EMPTY, Home};

const REFUSED: i32 = 5;

/// As it comes out of JSON: the last digit of a number may have changed.
fn through_json<T: Serialize + DeserializeOwned>(it: &T) -> T {
    serde_json::from_str(&serde_json::to_string(it).unwrap()).unwrap()
}

#[tokio::test]
async fn a_failover_ends_in_a_review_that_agrees_with_the_state() {
    let lab = Lab::start(Pace(100.0)).await.unwrap();
    let home = Home::patient(&lab);
    let engine = home.engine().await;
    let client = home.client();
    eventually("the lab is healthy", async || client.snapshot().await.ok().filter(is_ready)).await;
    lab.world.truth().faults.set(&format!("neo4j@{PRIMARY}"), Condition::Dark);
    client
        .ask(&Ask::Declare { title: "leave <us-east-1>".into(), severity: Severity::Sev2, drill: false })
        .await
        .unwrap();
    let (plan, reason) = ("regional-failover".into(), "the review is tested".into());
    client.ask(&Ask::StartRun { plan, mode: Mode::Live, reason, unattended: true }).await.unwrap();
    let view = eventually("the failover ends", async || {
        let view = client.snapshot().await.ok()?;
        let run = view.state.run.as_ref()?;
        assert!(!run.waits_for_human(false), "{:#?}", run.steps);
        run.outcome.is_some().then_some(view)
    })
    .await;
    let (incident, run) = (view.state.incident.clone().unwrap(), view.state.run.clone().unwrap());
    assert_eq!(run.outcome, Some(Outcome::Completed));
    client
        .ask(&Ask::CloseIncident { note: "moved".into(), despite: "a test ticks no boxes".into(), tell: false })
        .await
        .unwrap();

    let records = home.state().join("records");
    let file = |form: &str| records.join(format!("{}.{form}", incident.id));
    eventually("the review is written", async || file("json").exists().then_some(())).await;
    let review: Review = serde_json::from_str(&fs::read_to_string(file("json")).unwrap()).unwrap();
    assert_eq!(review.rto, through_json(&verdict::rto(&view.estate, &incident, view.now)));
    assert_eq!(review.rpo, through_json(&verdict::rpo(&view.estate, &incident, Some(&run))));
    assert_eq!(review.clocks, incident.clocks);
    let took = |id: &str| review.runs[0].steps.iter().find(|step| step.id.as_str() == id).and_then(|step| step.seconds);
    for (spec, step) in run.in_order() {
        let (begun, ended) = (step.begun.as_ref().unwrap().at, step.ended_at.unwrap());
        let seconds = through_json(&mayday::domain::time::seconds_between(begun, ended));
        assert_eq!(took(spec.id.as_str()), Some(seconds), "{}", spec.id);
    }
    assert!(review.runs[0].no_return.is_some(), "a database was promoted");
    assert_eq!(
        review.runs[0].critical.last(),
        run.plan.steps.last().map(|step| &step.id),
        "{:?}",
        review.runs[0].critical
    );
    assert!(fs::read_to_string(file("html")).unwrap().contains("leave &lt;us-east-1&gt;"));
    assert!(records.join(format!("{}.md", run.id)).exists(), "the plan's own record");

    let by_engine = home.says("report").await;
    by_engine.is(0, &["# Post-incident review: leave \\<us-east-1\\>", "was recomputed and fits; its head is"]);
    home.says("incident list").await.is(0, &[incident.id.as_str(), "sev2", "leave <us-east-1>"]);
    home.says(&format!("incident show {}", incident.id)).await.is(0, &["The whole of it: mayday report"]);
    home.says("report INC-19700101-1").await.is(REFUSED, &["there is no incident", "mayday incident list"]);
    drop(engine);
    let out = home.dir().join("review.html");
    home.says(&format!("report --format html --out {}", out.display())).await.is(0, &["review.html"]);
    assert!(fs::read_to_string(out).unwrap().starts_with("<!doctype html>"));
    let by_file = home.says("report -o json").await;
    let read: Value = serde_json::from_str(&by_file.out).unwrap();
    assert_eq!(read["rto"], serde_json::to_value(&review.rto).unwrap());
    assert_eq!(read["journal"]["verified"]["is"], "whole");
}

#[tokio::test]
async fn before_the_first_incident_there_is_nothing_to_report() {
    let home = Home::new(EMPTY);
    let _engine = home.engine().await;
    home.says("report").await.is(REFUSED, &["no incident was declared yet"]);
    home.says("incident list").await.is(0, &["No incident was declared yet."]);
}
