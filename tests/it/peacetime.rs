//! Before it burns: what an engine says of backups, of the plans and of whom to call while the lab loses copies and takes permissions
//! away, as cron and the team's monitoring read it.

use mayday::api::client::Client;
use mayday::cli::exit::Exit;
use mayday::domain::backup::Worth;
use mayday::domain::view::Snapshot;
use mayday::lab::arc::ENDPOINTS;
use mayday::lab::faults::Condition;
use mayday::lab::{Lab, Pace, STANDBY};

use crate::common::{eventually, is_ready};
use crate::process::{Engine, Home, Said};

async fn site() -> (Lab, Home, Engine) {
    let lab = Lab::start(Pace(200.0)).await.unwrap();
    let home = Home::patient(&lab);
    let engine = home.engine().await;
    let client = home.client();
    until(&client, "everything was looked at", |view| {
        is_ready(view) && view.estate.backups.iter().all(|it| view.live.backups.contains_key(&it.id))
    })
    .await;
    (lab, home, engine)
}

async fn until(client: &Client, what: &str, holds: impl Fn(&Snapshot) -> bool) -> Snapshot {
    eventually(what, async || client.snapshot().await.ok().filter(|view| holds(view))).await
}

/// The worth of a backup, by a part of its id.
fn worth(view: &Snapshot, part: &str) -> Vec<Worth> {
    let all = view.backups(view.now).into_iter();
    all.filter(|(spec, _)| spec.id.as_str().contains(part)).map(|(_, judged)| judged.worth).collect()
}

fn not_well() -> i32 {
    i32::from(Exit::NotReady.code())
}

/// The one line of `said` that begins with `word`.
fn line<'s>(said: &'s Said, word: &str) -> &'s str {
    said.out.lines().find(|line| line.starts_with(word)).unwrap_or_else(|| panic!("no `{word}` in {said:#?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_that_are_not_made_or_fail_in_part_are_seen_and_mended_ones_too() {
    let (lab, home, _engine) = site().await;
    let client = home.client();
    let view = client.snapshot().await.unwrap();
    assert!(view.backups(view.now).iter().all(|(_, it)| it.worth == Worth::Fresh), "{:#?}", view.backups(view.now));
    home.says("backups").await.is(0, &["fresh"]);

    lab.world.truth().faults.set("neo4j-backups", Condition::Stale);
    lab.world.truth().faults.set(&format!("velero@{}", mayday::lab::PRIMARY), Condition::Partial);
    let view = until(&client, "both are seen", |view| {
        let (graph, objects) = (worth(view, "graph"), worth(view, "config"));
        graph.contains(&Worth::Stale) && objects.iter().any(|it| *it > Worth::Fresh)
    })
    .await;
    assert!(worth(&view, "cache.snapshots").contains(&Worth::Fresh), "the others are as they were");
    assert!(view.state.incident.is_none() && view.triggers(view.now).is_empty(), "an old copy is no outage");
    home.says("backups").await.is(not_well(), &["stale", "the newest good copy is"]);
    let metrics = home.says("metrics").await;
    assert!(metrics.out.contains("mayday_backup"), "{metrics:#?}");

    lab.world.truth().faults.heal_all();
    until(&client, "they are fresh again", |view| {
        view.backups(view.now).iter().all(|(_, it)| it.worth == Worth::Fresh)
    })
    .await;
    home.says("backups").await.is(0, &["fresh"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_without_a_permission_or_a_target_is_not_ready_and_nothing_is_changed() {
    let (lab, home, _engine) = site().await;
    let well = home.says("ready regional-failover").await;
    well.is(0, &["regional-failover"]);

    lab.world.truth().faults.set(&format!("kubernetes@{STANDBY}"), Condition::ReadOnly);
    lab.world.truth().faults.set("iam", Condition::ReadOnly);
    // A look that a busy machine left without an answer is unknown, and the next one is not.
    let poor = eventually("it is not ready", async || {
        let poor = home.says("ready regional-failover").await;
        line(&poor, "regional-failover").contains("not-ready").then_some(poor)
    })
    .await;
    poor.is(not_well(), &["not-ready", "access"]);
    for step in ["scale-standby", "move-dns"] {
        let denied = |line: &&str| line.contains(step) && line.contains("access") && line.trim().starts_with("fail");
        assert!(poor.out.lines().find(denied).is_some(), "no denial of {step} in {poor:#?}");
    }

    lab.world.truth().faults.heal_all();
    lab.world.truth().faults.set("route53", Condition::Dark);
    let without = home.says("ready regional-failover --all").await;
    without.is(0, &["by object; if it fails: arc, records", "the API of Route 53 does not answer"]);
    lab.world.truth().faults.set(&format!("s3@{STANDBY}"), Condition::Dark);
    let spare = home.says("ready regional-failover --all").await;
    assert!(spare.out.contains("by arc, because of object"), "{spare:#?}");
    for region in ENDPOINTS {
        lab.world.truth().faults.set(&format!("arc@{region}"), Condition::Refused);
    }
    home.says("ready regional-failover").await.is(not_well(), &["no way to move clients answers", "unknown"]);
    let truth = lab.world.truth();
    let changes: Vec<_> = truth.ledger.iter().filter(|it| it.accepted && it.target != "mayday:canary").collect();
    assert!(changes.is_empty(), "{changes:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_on_call_is_told_with_its_age_and_a_silent_pagerduty_is_no_excuse() {
    let (lab, home, _engine) = site().await;
    let client = home.client();
    until(&client, "PagerDuty has told", |view| view.live.on_call.at.is_some()).await;
    home.says("contacts").await.is(0, &["Ada Okafor", "+1 5550100", "Mateo Silva"]);
    lab.world.truth().faults.set("pagerduty", Condition::Denied);
    until(&client, "it is refused", |view| view.live.on_call.fault.is_some()).await;
    let said = home.says("contacts").await;
    said.is(0, &["Ada Okafor", "refused"]);
    assert!(!said.out.contains("labpagerduty"), "a secret: {said:#?}");
}
