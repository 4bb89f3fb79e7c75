//! There and back: a region is lost or left on purpose, clients are moved; it returns, the data is protected from it again, and clients
//! come home without a write being lost.

use mayday::domain::command::Ask;
use mayday::domain::incident::Severity;
use mayday::domain::recovery::Loss;
use mayday::domain::run::{Mode, Outcome};
use mayday::domain::verdict::{RpoVerdict, rpo};
use mayday::domain::view::Snapshot;
use mayday::domain::wayback::{FAILBACK, Gap, REPROTECT, home_is_sound, unprotected};
use mayday::lab::faults::Condition;
use mayday::lab::{Lab, PRIMARY, Pace, STANDBY};

use crate::common::{eventually, is_ready, one_crowd};
use crate::process::Home;

const SPEED: Pace = Pace(60.0);
const REFUSED: i32 = 5;

fn gaps(view: &Snapshot) -> Vec<Gap> {
    unprotected(&view.estate, &view.state, &view.live.surveys, &view.live.probes, view.now)
        .into_iter()
        .map(|it| it.gap)
        .collect()
}

/// Runs a plan with every gate that it allows answered, until it has ended.
async fn run(home: &Home, plan: &str) {
    let client = home.client();
    let before = client.snapshot().await.unwrap().state.run.map(|run| run.id);
    let (reason, mode) = ("the way back".to_owned(), Mode::Live);
    client.ask(&Ask::StartRun { plan: plan.into(), mode, reason, unattended: true }).await.unwrap();
    let outcome = eventually(&format!("{plan} ends"), async || {
        let view = client.snapshot().await.ok()?;
        let run = view.state.run.filter(|run| Some(&run.id) != before.as_ref())?;
        assert!(!run.waits_for_human(false), "{plan} waits for a human: {:#?}", run.steps);
        run.outcome
    })
    .await;
    assert_eq!(outcome, Outcome::Completed, "{plan}");
}

fn losses(view: &Snapshot) -> Vec<RpoVerdict> {
    rpo(&view.estate, view.state.incident.as_ref().unwrap(), view.state.run.as_ref())
}

async fn until_sound(home: &Home) {
    let client = home.client();
    eventually("clients could be brought back", async || {
        let view = client.snapshot().await.ok()?;
        home_is_sound(&view.estate, &view.state, &view.live.surveys, &view.live.probes, &PRIMARY.into(), view.now).ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn there_and_back_again_without_a_lost_write() {
    let _crowd = one_crowd().await;
    let lab = Lab::start(SPEED).await.unwrap();
    let home = Home::of(&lab);
    let _engine = home.engine().await;
    let client = home.client();
    eventually("the lab is healthy", async || client.snapshot().await.ok().filter(is_ready)).await;

    lab.world.truth().faults.set(&format!("*@{PRIMARY}"), Condition::Dark);
    client.ask(&Ask::Declare { title: "dark".into(), severity: Severity::Sev1, drill: false }).await.unwrap();
    run(&home, "regional-failover").await;
    let view = client.snapshot().await.unwrap();
    let lost = losses(&view);
    assert!(lost.iter().any(|it| matches!(it.loss, Loss::Measured { .. })), "{lost:?}");
    assert_eq!(view.state.serving(&view.estate).as_str(), STANDBY);
    assert!(!view.state.moved.as_ref().unwrap().fenced, "a silent region was not stopped, only silent");
    assert!(gaps(&view).contains(&Gap::NoCopy), "{:?}", gaps(&view));

    lab.world.truth().faults.heal_all();
    eventually("the old writer is seen beside the new one", async || {
        let view = client.snapshot().await.ok()?;
        (gaps(&view).contains(&Gap::SplitHistory) && gaps(&view).contains(&Gap::NotFenced)).then_some(())
    })
    .await;
    home.says("wayback status").await.is(9, &["split-history", "not-fenced", "mayday failover run reprotect"]);
    home.says("wayback plan").await.is(0, &["caught-up-database", "mayday.caught-up", "promote-database"]);
    home.says("failover run failback --yes --reason back").await.is(REFUSED, &["split-history"]);

    run(&home, REPROTECT).await;
    {
        let truth = lab.world.truth();
        let kept = truth.rds.instances().find(|it| it.name.starts_with("gennet-db-until-"));
        assert!(kept.is_some_and(|it| it.source.is_none()), "the old database keeps its data");
        assert!(!truth.ledger.iter().any(|change| change.action.contains("DeleteDB")));
    }
    until_sound(&home).await;
    assert_eq!(losses(&client.snapshot().await.unwrap()), lost, "what the failover measured stays measured");
    home.says("wayback status").await.is(9, &["builds on it"]);

    let lost_writes = lab.world.truth().client.lost_writes;
    run(&home, FAILBACK).await;
    let view = client.snapshot().await.unwrap();
    assert_eq!(view.state.serving(&view.estate).as_str(), PRIMARY);
    assert_eq!(losses(&view), lost, "the way back loses nothing, and makes nothing good");
    eventually("the client is served from home", async || {
        (lab.world.truth().client.served_by == Some(PRIMARY)).then_some(())
    })
    .await;
    let served = lab.world.truth().client.succeeded;
    eventually("it goes on there", async || (lab.world.truth().client.succeeded > served + 5).then_some(())).await;
    assert_eq!(lab.world.truth().client.lost_writes, lost_writes, "{:?}", lab.world.truth().client.lost_by_store);
    home.says("failover run failback --yes --reason again").await.is(REFUSED, &["nothing to come back from"]);

    run(&home, REPROTECT).await;
    eventually("everything is protected", async || {
        let view = client.snapshot().await.ok()?;
        (!gaps(&view).iter().any(|gap| gap.blocks())).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_region_is_left_on_purpose_and_come_back_to_without_a_lost_write() {
    let _crowd = one_crowd().await;
    let lab = Lab::start(SPEED).await.unwrap();
    let home = Home::of(&lab);
    let _engine = home.engine().await;
    let client = home.client();
    eventually("the lab is healthy", async || client.snapshot().await.ok().filter(is_ready)).await;
    home.says("ready planned-switchover").await.is(0, &["ready"]);

    client
        .ask(&Ask::Declare { title: "a storm is forecast".into(), severity: Severity::Sev3, drill: false })
        .await
        .unwrap();
    let served_by = async |region: &'static str| {
        eventually("the client is served", async || (lab.world.truth().client.served_by == Some(region)).then_some(()))
            .await;
        let served = lab.world.truth().client.succeeded;
        eventually("it goes on", async || (lab.world.truth().client.succeeded > served + 5).then_some(())).await;
    };
    for (plan, region) in [("planned-switchover", STANDBY), (FAILBACK, PRIMARY)] {
        run(&home, plan).await;
        let view = client.snapshot().await.unwrap();
        assert_eq!(view.state.serving(&view.estate).as_str(), region);
        let losses = losses(&view);
        assert!(losses.iter().all(|it| it.loss == Loss::Measured { seconds: 0.0 }), "{plan}: {losses:?}");
        served_by(region).await;
        {
            let truth = lab.world.truth();
            assert_eq!(truth.client.lost_writes, 0, "{plan}: {:?}", truth.client.lost_by_store);
        }
        if region == STANDBY {
            assert!(view.state.moved.as_ref().unwrap().fenced, "its writers were stopped while they lived");
            run(&home, REPROTECT).await;
            until_sound(&home).await;
        }
    }
    run(&home, REPROTECT).await;
}
