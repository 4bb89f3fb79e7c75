//! The pane of drills, and what the header says of those that are due.

use std::time::Duration;

use crate::domain::command::Ask;
use crate::domain::drill::{DrillResult, Stage as Part};
use crate::domain::estate::{DataClass, Tier};
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
