//! The pane of drills, and what the header says of those that are due.

use std::time::Duration;

use crate::domain::command::Ask;
use crate::domain::drill::{DrillResult, Stage as Part};
use crate::domain::estate::{DataClass, Environment, Tier};
use crate::domain::incident::Severity;
use crate::domain::schedule::DrillSpec;
use crate::domain::time::before;

use super::scene::Scene;
use super::stage::Stage;

const DAY: u64 = 24 * 60 * 60;

/// The engine was begun so many days ago; monthly drills were played, the last one of which failed.
fn drilled(days: u64) -> Scene {
    let mut scene = Scene::peace();
    let mut estate = (*scene.snap.estate).clone();
    estate.drills = DrillSpec::shipped(&"regional-failover".into());
    scene.snap.estate = estate.into();
    let now = scene.snap.now;
    scene.snap.state.began = Some(before(now, Duration::from_secs(days * DAY)));
    for (ago, took, passed) in [(60, 4.0, true), (35, 6.0, true), (3, 9.0, false)] {
        let spec = scene.snap.estate.drills[0].clone();
        let why = if passed { "reads and writes" } else { "the client is not served" };
        let result = DrillResult {
            name: spec.name,
            cadence: spec.cadence,
            plan: spec.plan,
            scenario: spec.scenario,
            estate: "lab".into(),
            pace: 1,
            started_at: before(now, Duration::from_secs(ago * DAY)),
            passed,
            stages: Part::ALL.iter().map(|it| (*it, passed || *it != Part::Verify, why.into())).collect(),
            rto: [(Tier::Critical, 72.0), (Tier::Standard, 80.0)].into(),
            rpo: [(DataClass::Database, 2.0)].into(),
            steps: [("fence-primary".into(), took), ("move-dns".into(), took * 3.0)].into(),
            left_behind: Vec::new(),
            bundle: "drills/monthly".into(),
        };
        scene.ask_by_hand(Ask::RecordDrill { result: Box::new(result) });
    }
    scene
}

#[test]
fn drills_are_shown_with_their_standing_their_result_and_their_trend() {
    let mut stage = Stage::new(drilled(200));
    stage.keys("-");
    let text = stage.text(120, 40);
    for words in ["OVERDUE", "the client is not served", "critical 1:12 of 5:00", "27s"] {
        assert!(text.contains(words), "no {words} in {text}");
    }
}

#[test]
fn the_header_says_what_is_overdue_and_nothing_while_nothing_is() {
    let late = Stage::new(drilled(200));
    assert!(late.text(80, 24).lines().next().unwrap().contains("✗ quarterly drill OVERDUE"), "{}", late.text(80, 24));
    let mut quiet = Scene::peace();
    let mut estate = (*quiet.snap.estate).clone();
    estate.drills = DrillSpec::shipped(&"regional-failover".into());
    quiet.snap.estate = estate.into();
    let quiet = Stage::new(quiet);
    assert!(!quiet.text(80, 24).contains("drill"), "{}", quiet.text(80, 24));
}

#[test]
fn what_is_under_way_is_said_to_be_rehearsal_drill_or_live() {
    let first = |stage: &Stage, columns| stage.text(columns, 24).lines().next().unwrap_or_default().to_owned();
    let live = Stage::new(Scene::gates());
    assert!(first(&live, 100).contains(" LIVE RUN ") && !first(&live, 100).contains("DRILL"), "{}", first(&live, 100));
    // Nothing is under way, and nothing is practice.
    assert!(!first(&Stage::new(Scene::declared()), 100).contains(" LIVE RUN "));
    let mut scene = Scene::dark();
    std::sync::Arc::make_mut(&mut scene.snap.estate).environment = Environment::Test;
    scene.ask(Ask::Declare { title: "practice".into(), severity: Severity::Sev2, drill: true });
    let drill = Stage::new(scene);
    for columns in [60, 80, 120] {
        assert!(first(&drill, columns).contains(" DRILL "), "{}", first(&drill, columns));
    }
    // One that the engine plays on a lab of its own.
    let mut stage = Stage::new(Scene::peace());
    let state = &mut stage.app.mirror.as_mut().unwrap().state;
    state.drilling = Some("monthly".into());
    state.drills_begun.insert("monthly".into(), stage.at);
    assert!(first(&stage, 120).contains("DRILL monthly is played"), "{}", first(&stage, 120));
}
