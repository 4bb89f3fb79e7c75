//! The post-recovery checks against the lab: after a failover each item shows what is so, and what is broken there is seen to be.

use std::time::Duration;

use mayday::api::client::Client;
use mayday::cli::exit::Exit;
use mayday::domain::checklist::{Evidence, Finding, ItemState, Standing};
use mayday::domain::command::Ask;
use mayday::domain::ids::ItemId;
use mayday::domain::incident::Phase;
use mayday::domain::time::seconds_between;
use mayday::domain::view::Snapshot;
use mayday::lab::faults::Condition;
use mayday::lab::{Lab, PRIMARY, Pace, STANDBY};
use serde_json::Value;

use crate::common::{eventually, is_ready, one_crowd};
use crate::process::{Engine, Home, Said};

const ITEMS: [&str; 5] =
    ["services-healthy", "data-integrity", "performance-normal", "user-access", "monitoring-operational"];

/// So long at most until an item is seen as it is: it is looked at every second.
const PATIENCE: Duration = Duration::from_secs(90);

struct Site {
    lab: Lab,
    home: Home,
    client: Client,
    _engine: Engine,
}

impl Site {
    /// A lab that is well, and an engine that knows how it is when it is.
    async fn well() -> Self {
        let lab = Lab::start(Pace(100.0)).await.unwrap();
        let home = Home::patient(&lab);
        let _engine = home.engine().await;
        let client = home.client();
        let site = Self { lab, home, client, _engine };
        site.sees("everything was looked at, and better times are known", |view| {
            is_ready(view) && !view.state.baseline.latencies.is_empty() && !view.state.baseline.tallies.is_empty()
        })
        .await;
        site
    }

    async fn sees(&self, what: &str, holds: impl Fn(&Snapshot) -> bool) -> Snapshot {
        eventually(what, async || self.client.snapshot().await.ok().filter(|view| holds(view))).await
    }

    /// The region is left by the plan.
    async fn fail_over(&self) {
        self.lab.world.truth().faults.set(&format!("*@{PRIMARY}"), Condition::Dark);
        let run = self.home.says("failover run regional-failover --yes --reason test").await;
        assert!(
            [Exit::Ok, Exit::ObjectiveMissed].iter().any(|exit| run.code == Some(i32::from(exit.code()))),
            "{run:#?}"
        );
        self.sees("recovered", |view| view.state.incident.as_ref().is_some_and(|it| it.phase == Phase::Recovered))
            .await;
    }

    async fn evidence(&self, id: &str, evidence: Evidence) -> ItemState {
        let what = format!("{id} is {evidence}");
        let seen = self.sees(&what, |view| item(view, id).evidence() == Some(evidence));
        match tokio::time::timeout(PATIENCE, seen).await {
            Ok(view) => item(&view, id).clone(),
            Err(_) => {
                let view = self.client.snapshot().await.unwrap();
                panic!(
                    "{id} is not {evidence}: {:#?} {:#?}",
                    item(&view, id),
                    view.live.checklist.get::<ItemId>(&id.into())
                );
            }
        }
    }

    /// What the stores hold is what they held. Of the cache it is chance whether a client has written to it before its loss could be
    /// measured: then that is estimated, and the item as a whole unknown.
    async fn counts(&self) {
        self.sees("nothing speaks against the data, and what is held was compared", |view| {
            let look = view.live.checklist.get("data-integrity");
            let compared = |it: &Finding| it.of == "data-integrity.http.integrity" && it.evidence == Evidence::Pass;
            let seen = item(view, "data-integrity").evidence();
            look.is_some_and(|look| look.findings.iter().any(compared)) && seen.is_some_and(|it| it != Evidence::Fail)
        })
        .await;
    }
}

fn item<'v>(view: &'v Snapshot, id: &str) -> &'v ItemState {
    view.state.incident.as_ref().unwrap().checklist.item(&id.into()).unwrap()
}

fn open_items() -> i32 {
    i32::from(Exit::OpenItems.code())
}

fn refused(said: &Said, words: &[&str]) {
    said.is(i32::from(Exit::Refused.code()), words);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_every_item_is_seen_ticked_and_the_incident_is_closed() {
    let _crowd = one_crowd().await;
    let site = Site::well().await;
    site.home.says("checklist").await.is(0, &["No incident is open", "All services healthy"]);
    site.fail_over().await;
    site.counts().await;
    for id in ITEMS.into_iter().filter(|id| *id != "data-integrity") {
        let seen = site.evidence(id, Evidence::Pass).await;
        assert!(!seen.seen.unwrap().detail.is_empty(), "{id}");
    }
    let list = site.home.says("checklist list -o json").await;
    list.is(open_items(), &[]);
    let list: Value = serde_json::from_str(&list.out).unwrap();
    assert_eq!(list["open"], 5);
    let integrity = list["items"].as_array().unwrap().iter().find(|it| it["id"] == "data-integrity").unwrap();
    let findings = integrity["look"]["findings"].as_array().unwrap();
    assert!(findings.iter().any(|it| it["detail"].as_str().unwrap().contains("4 stores held")), "{integrity:#}");

    refused(
        &site.home.says("incident close --note over").await,
        &["5 items of the checklist are open", "mayday checklist"],
    );
    refused(&site.home.says("checklist tick nothing").await, &["no item `nothing`", "services-healthy"]);
    for id in &ITEMS[..4] {
        site.home.says(&format!("checklist tick {id} --note looked-up")).await.is(open_items(), &["ticked"]);
    }
    site.home
        .says("checklist skip monitoring-operational --reason tomorrow")
        .await
        .is(0, &["Nothing is open", "tomorrow"]);
    site.home.says("incident close --note over").await.is(0, &[]);
    let view = site.client.snapshot().await.unwrap();
    assert!(view.state.incident.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_copy_that_lost_a_row_is_seen_before_and_after_the_tick() {
    let _crowd = one_crowd().await;
    let site = Site::well().await;
    site.fail_over().await;
    site.counts().await;
    site.home.says("checklist tick data-integrity --note looked-up").await.is(open_items(), &["ticked"]);
    site.lab.world.truth().faults.set(&format!("rds@{STANDBY}"), Condition::Corrupt);
    let failing = site.evidence("data-integrity", Evidence::Fail).await;
    assert!(failing.seen.as_ref().unwrap().detail.contains("rds"), "{failing:?}");
    let again =
        site.sees("it is open again", |view| item(view, "data-integrity").standing() == Standing::Reopened).await;
    assert!(item(&again, "data-integrity").reopened.as_ref().unwrap().was.is_some());

    refused(&site.home.says("checklist tick data-integrity").await, &["stands against it", "rds"]);
    site.lab.world.truth().faults.heal_all();
    refused(&site.home.says("checklist tick data-integrity").await, &["stands against it"]);
    let note = site.home.says("checklist tick data-integrity --note restored-by-hand").await;
    note.is(open_items(), &["restored-by-hand", "against fail"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_who_cannot_sign_in_and_a_pager_that_is_deaf_are_seen_at_the_tick() {
    let _crowd = one_crowd().await;
    let site = Site::well().await;
    site.fail_over().await;
    for id in ["user-access", "monitoring-operational"] {
        site.evidence(id, Evidence::Pass).await;
    }
    site.lab.world.truth().faults.set(&format!("auth@{STANDBY}"), Condition::Refused);
    site.lab.world.truth().faults.set("pagerduty", Condition::Dark);
    // What is asked anew at the tick cannot be what was true a while ago.
    eventually("nobody can sign in", async || {
        let said = site.home.says("checklist tick user-access").await;
        assert_eq!(said.code, Some(i32::from(Exit::Refused.code())), "{said:#?}");
        said.err.contains("auth").then_some(())
    })
    .await;
    site.evidence("monitoring-operational", Evidence::Fail).await;
    let view = site.client.snapshot().await.unwrap();
    let look = view.live.checklist.get("user-access").unwrap();
    assert!(seconds_between(look.at, view.now) < 300.0 && look.findings.len() == 2, "{look:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_normal_survives_the_engine_that_knew_it() {
    let _crowd = one_crowd().await;
    let mut site = Site::well().await;
    let known = site.client.snapshot().await.unwrap().state.baseline;
    site._engine.kill().await;
    site.lab.world.truth().faults.set(&format!("*@{PRIMARY}"), Condition::Dark);
    site._engine = site.home.engine().await;
    let ask = Ask::Declare { title: "dark".into(), severity: mayday::domain::incident::Severity::Sev1, drill: false };
    site.client.ask(&ask).await.unwrap();
    let view = site.client.snapshot().await.unwrap();
    let fixed = &view.state.incident.as_ref().unwrap().checklist.baseline;
    assert!(known.latencies.keys().all(|probe| fixed.latencies.contains_key(probe)), "{fixed:?}");
    assert_eq!(fixed.tallies, known.tallies, "nothing was counted while it burnt");
}
