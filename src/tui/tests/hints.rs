//! What the hint says: two urgent things are both said, no trouble is called quiet, and no plan is named that is not there.

use std::sync::Arc;

use crate::domain::command::Ask;
use crate::domain::health::Status;
use crate::domain::ids::SystemId;
use crate::domain::live::LiveChange;
use crate::domain::recovery::Role;
use crate::tui::advice::advice;

use super::scene::Scene;
use super::stage::{Stage, options};

/// The writer of a store does not answer; everything else does.
fn without_writer(store: &str) -> Scene {
    let mut scene = Scene::peace();
    let mut taken = scene.snap.live.surveys[&SystemId::from(store)].clone();
    for member in taken.survey.members.iter_mut().filter(|member| member.role == Role::Writer) {
        member.status = Status::Down;
    }
    scene.live(LiveChange::Survey { system: store.into(), taken });
    scene
}

fn hint(stage: &Stage) -> String {
    let advice = advice(&stage.app);
    let word = |key: Option<&str>, text: &str| format!("{} {text}", key.unwrap_or("-"));
    let also = advice.also.map(|it| format!(" | {}", word(it.key, &it.text))).unwrap_or_default();
    word(advice.key, &advice.text) + &also
}

#[test]
fn a_hold_does_not_hide_an_outage() {
    let mut scene = Scene::dark();
    scene.ask(Ask::Hold { reason: String::new() });
    let mut stage = Stage::new(scene);
    let text = stage.text(80, 24);
    assert!(text.contains("▸ D  declare an incident"), "{text}");
    assert!(text.contains("▸ A  to release the HOLD"), "{text}");
    let tall = stage.text(80, 40);
    for words in ["▸ D  declare an incident: us-east-1 is down", "rule met in ", "\n ▸ A  to release the HOLD"] {
        assert!(tall.contains(words), "{words}: {tall}");
    }
    stage.keys("A y");
    assert!(stage.text(80, 24).contains("▸ H  HOLD is on"), "{}", stage.text(80, 24));
    let calm = Stage::new({
        let mut scene = Scene::peace();
        scene.ask(Ask::Hold { reason: String::new() });
        scene
    });
    assert!(hint(&calm).starts_with("A arm this cockpit, to release the HOLD"), "{}", hint(&calm));
}

#[test]
fn a_gate_does_not_hide_that_people_wait_for_news() {
    let mut scene = Scene::gates();
    Arc::make_mut(&mut scene.snap.estate).channels = super::estate::channels();
    scene.pass(3600);
    let stage = Stage::new(scene);
    let said = hint(&stage);
    assert!(said.contains("fence-primary") && said.contains("| u UPDATE OVERDUE"), "{said}");
    let text = stage.text(80, 24);
    assert!(text.contains("UPDATE OVERDUE") && text.contains("· u"), "the badge carries its key: {text}");
}

#[test]
fn a_store_without_its_writer_is_trouble_and_the_plan_that_fits_is_named() {
    let stage = Stage::new(without_writer("database"));
    let said = hint(&stage);
    assert!(said.starts_with("D declare an incident: database: its writer gennet-db is down"), "{said}");
    assert!(said.ends_with("then database-failover"), "{said}");
    let stage = Stage::new(without_writer("graph"));
    assert!(
        hint(&stage).starts_with("D ") && !hint(&stage).contains("then"),
        "no plan of this estate fits: {}",
        hint(&stage)
    );
}

#[test]
fn what_a_probe_finds_down_of_a_store_is_not_green_in_its_pane() {
    let mut scene = Scene::peace();
    let mut probe = scene.snap.estate.probes[0].clone();
    probe.id = "cache.redis.master".into();
    probe.kind = "redis.master".into();
    probe.subject = crate::domain::estate::Subject::System("cache".into());
    probe.region = None;
    Arc::make_mut(&mut scene.snap.estate).probes.push(probe);
    scene.hear("cache.redis.master", Status::Down, "no answer in 2 s");
    let stage = Stage::new(scene);
    assert!(stage.text(120, 40).contains("cache ✗ redis.master is down"), "{}", stage.text(120, 40));
    assert!(hint(&stage).starts_with("D declare an incident: cache: redis.master is down"), "{}", hint(&stage));
}

#[test]
fn half_of_the_services_degraded_is_not_quiet() {
    let mut scene = Scene::peace();
    for service in ["api-gateway", "auth", "grn-engine"] {
        scene.hear(&format!("{service}@us-east-1"), Status::Degraded, "slow");
    }
    let stage = Stage::new(scene);
    assert!(hint(&stage).starts_with("D declare an incident: 3 of 6 services degraded"), "{}", hint(&stage));
    assert!(stage.text(120, 40).contains("us-east-1: 3 of 6 degraded"), "{}", stage.text(120, 40));
}

#[test]
fn no_plan_is_named_that_the_estate_does_not_have() {
    let mut scene = Scene::declared();
    scene.snap.plans.retain(|plan| plan.id.as_str() != "regional-failover");
    let mut stage = Stage::new(scene);
    stage.keys("A y");
    assert!(hint(&stage).starts_with("r run a plan: choose which"), "{}", hint(&stage));
    let mut stage = Stage::new(Scene::declared());
    stage.keys("A y");
    assert!(hint(&stage).starts_with("r run a plan: regional-failover fits"), "{}", hint(&stage));
}

#[test]
fn before_anybody_declares_the_clock_that_would_run_is_shown() {
    let stage = Stage::new(Scene::dark());
    for (columns, rows) in [(80, 24), (120, 40)] {
        let text = stage.text(columns, rows);
        assert!(text.contains("critical ! would be 0:") && text.contains(" of 5:00"), "{text}");
    }
    let small = stage.text(60, 16);
    assert!(small.contains("critical ! would be 0:") && !small.contains("would be 0:20…"), "{small}");
    assert!(Stage::new(Scene::peace()).text(80, 24).contains("○ target 5:00"));
}

#[test]
fn what_was_not_looked_at_yet_is_neither_ill_nor_well() {
    let mut scene = Scene::peace();
    scene.snap.live.probes.clear();
    let stage = Stage::new(scene);
    let text = stage.text(120, 40);
    assert!(text.contains("us-east-1: 6 of 6 not looked at yet"), "{text}");
    assert!(hint(&stage).contains("looking for the first time: 14 of 14"), "{}", hint(&stage));
}

#[test]
fn the_walkthrough_leads_to_arming_and_back_from_its_last_page() {
    let mut stage = Stage::new(Scene::declared());
    stage.keys("w");
    assert!(hint(&stage).starts_with("A arm this cockpit, to choose a plan"), "{}", hint(&stage));
    stage.keys("A y");
    assert!(hint(&stage).starts_with("Enter choose a plan"), "{}", hint(&stage));
    let mut stage = Stage::new(Scene::recovered());
    stage.keys("w").keys(&"n ".repeat(20));
    assert!(!hint(&stage).starts_with("n "), "there is no page after the last one: {}", hint(&stage));
}

#[test]
fn a_read_only_cockpit_is_told_of_both_and_offered_neither() {
    let mut scene = Scene::dark();
    scene.ask(Ask::Hold { reason: String::new() });
    let said = hint(&Stage::with(scene, options(), true));
    assert!(said.starts_with("- us-east-1 is down") && said.contains("HOLD is on"), "{said}");
}

#[test]
fn the_help_says_where_the_engine_keeps_things_and_the_timeline_what_there_is_to_know_of_a_demo() {
    let line = "break more: mayday lab break PLACE CONDITION --control http://127.0.0.1:1";
    let options = crate::tui::app::Options { told: vec![line.into()], ..options() };
    let mut stage = Stage::with(Scene::peace(), options, false);
    stage.keys("5 z");
    assert!(stage.text(100, 30).contains(line), "{}", stage.text(100, 30));
    stage.keys("z ? G");
    let text = stage.text(120, 40);
    assert!(text.contains("state directory") && text.contains("/var/lib/mayday") && text.contains(line), "{text}");
}

#[test]
fn what_other_monitoring_says_is_shown_and_is_not_quiet() {
    let stage = Stage::new(Scene::alerted());
    let said = hint(&stage);
    assert!(said.starts_with("1 no region is in trouble, but alertmanager says PodsPending (us-east-1)"), "{said}");
    let rows = ["alerts of other monitoring", "! PodsPending", "? QueueDepth", "? OldNews"];
    // What fires comes first: a small screen has room for no more.
    for (columns, lines, seen) in [(80, 24, 2), (120, 40, 4), (250, 70, 4)] {
        let text = stage.text(columns, lines);
        let missing: Vec<&&str> = rows.iter().take(seen).filter(|words| !text.contains(**words)).collect();
        assert!(missing.is_empty(), "{missing:?} not in {text}");
    }
    assert!(stage.text(120, 40).contains("not repeated for 1d"), "{}", stage.text(120, 40));
}

/// A key that is named does what is said: in a layer the keys of the cockpit below do something else.
#[test]
fn the_hint_speaks_of_what_is_on_top() {
    let mut stage = Stage::new(Scene::paged());
    stage.keys("u");
    assert!(
        hint(&stage).starts_with("Enter send “investigating” to internal · public · customers"),
        "{}",
        hint(&stage)
    );
    stage.keys("e");
    assert!(hint(&stage).starts_with("Ctrl-s keep what was written"), "{}", hint(&stage));
    let mut stage = Stage::new(Scene::gates());
    for (keys, says) in [
        ("?", "Esc back, then Enter: answer the gate of fence-primary"),
        ("Esc i", "Enter note"),
        ("Esc :", "Enter do what is chosen"),
        ("Esc Enter", "c confirm fence-primary"),
    ] {
        stage.keys(keys);
        assert!(hint(&stage).starts_with(says), "{keys}: {}", hint(&stage));
    }
    let mut stage = Stage::new(Scene::declared());
    stage.keys("r");
    assert!(hint(&stage).starts_with("A arm this cockpit, to run regional-failover"), "{}", hint(&stage));
    stage.keys("A y");
    assert!(hint(&stage).starts_with("Enter run regional-failover (live)"), "{}", hint(&stage));
    stage.keys("Esc S");
    assert!(hint(&stage).starts_with("Enter next field: how bad is it?"), "{}", hint(&stage));
}
