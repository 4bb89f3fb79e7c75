//! The rules on drills.

use std::time::Duration;

use super::bench::{Bench, STANDBY};
use crate::domain::fact::command::{Ask, Effect, RefusalReason as Why, Report};
use crate::domain::fact::drill::{DrillResult, Stage};
use crate::domain::fact::event::Event;
use crate::domain::fact::health::Status;
use crate::domain::fact::run::Mode;
use crate::domain::fault::Fault;
use crate::domain::spec::classes::{DataClass, Tier};
use crate::domain::spec::drill::Cadence;
use crate::domain::spec::drill::DrillSpec;
use crate::domain::spec::severity::Severity;
use crate::domain::time::{At, after};

const DAY: u64 = 24 * 60 * 60;

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.estate.drills = DrillSpec::shipped(&"failover".into());
    bench.estate.drills[0].automatic = true;
    bench.report(Report::Started { version: "1".into(), anchor: None, drift: Default::default() });
    bench
}

fn result(started_at: At) -> DrillResult {
    DrillResult {
        name: "monthly".into(),
        cadence: Cadence::Monthly,
        plan: "failover".into(),
        scenario: "region-dark".into(),
        estate: "lab".into(),
        pace: 1,
        started_at,
        passed: true,
        stages: Stage::ALL.iter().map(|stage| (*stage, true, String::new())).collect(),
        rto: [(Tier::Critical, 90.0)].into(),
        rpo: [(DataClass::Database, 2.0)].into(),
        steps: [("fence".into(), 4.0), ("promote".into(), 30.0)].into(),
        left_behind: Vec::new(),
        bundle: "drills/x".into(),
    }
}

fn record(bench: &mut Bench, result: DrillResult) -> Result<(), Why> {
    bench.ask(Ask::RecordDrill { result: Box::new(result) }).map(drop).map_err(|refusal| refusal.reason)
}

fn begun(bench: &mut Bench) -> usize {
    let decision = bench.report(Report::DrillsDue {});
    decision.effects.iter().filter(|effect| matches!(effect, Effect::Drill(name) if name == "monthly")).count()
}

#[test]
fn a_result_is_taken_down_once_and_numbered() {
    let mut bench = bench();
    let at = bench.now;
    bench.pass(600);
    assert_eq!(record(&mut bench, result(at)), Ok(()));
    assert_eq!(record(&mut bench, result(at)), Err(Why::Conflict));
    let known = &bench.state.drills["monthly"];
    assert_eq!((known.len(), known[0].id.as_str()), (1, "DRILL-20261123-1"));
}

#[test]
fn no_result_is_taken_down_that_cannot_be_true() {
    let mut bench = bench();
    let at = bench.now;
    assert_eq!(record(&mut bench, result(after(at, Duration::from_secs(1)))), Err(Why::Conflict));
    assert_eq!(record(&mut bench, DrillResult { name: "weekly".into(), ..result(at) }), Err(Why::NotFound));
    let mut part = result(at);
    part.stages.retain(|(stage, _, _)| *stage != Stage::Verify);
    assert_eq!(record(&mut bench, part.clone()), Err(Why::Unsafe));
    let messy = DrillResult { left_behind: vec!["a socket".into()], ..result(at) };
    assert_eq!(record(&mut bench, messy), Err(Why::Unsafe));
    assert_eq!(record(&mut bench, DrillResult { passed: false, ..part }), Ok(()));
    assert!(!bench.state.drills["monthly"][0].result.passed);
}

#[test]
fn a_cockpit_cannot_say_that_a_drill_passed_even_when_it_is_armed() {
    let mut bench = bench();
    bench.ask_in_cockpit("s", Ask::Arm {}).unwrap();
    let ask = Ask::RecordDrill { result: Box::new(result(bench.now)) };
    assert_eq!(bench.ask_in_cockpit("s", ask).unwrap_err().reason, Why::Unsafe);
}

#[test]
fn texts_of_a_result_are_harmless() {
    let mut bench = bench();
    let at = bench.now;
    record(&mut bench, DrillResult { estate: "lab\u{1b}[2J".into(), ..result(at) }).unwrap();
    assert_eq!(bench.state.drills["monthly"][0].result.estate, "lab[2J");
}

#[test]
fn the_times_of_a_drill_are_the_forecast_until_a_live_run_knows_better() {
    let mut bench = bench();
    let at = bench.now;
    record(&mut bench, result(at)).unwrap();
    let known = |bench: &Bench| {
        let last = bench.state.history["failover"]["fence"].clone();
        (last.mode, last.seconds)
    };
    assert_eq!(known(&bench), (Mode::Drill, 4.0));
    bench.probe(STANDBY, Status::Healthy);
    bench.ask(Ask::Declare { title: "x".into(), severity: Severity::Sev1, drill: false }).unwrap();
    bench.start(Mode::Live, false).unwrap();
    bench.prepared("fence", bench.sound(2));
    bench.confirm("fence", "db").unwrap();
    bench.pass(9);
    bench.applied("fence");
    bench.verified("fence");
    assert_eq!(known(&bench), (Mode::Live, 9.0));
    let later = DrillResult { started_at: bench.now, ..result(at) };
    record(&mut bench, later).unwrap();
    assert_eq!(known(&bench), (Mode::Live, 9.0));
}

#[test]
fn an_automatic_drill_begins_once_when_it_is_due() {
    let mut bench = bench();
    assert_eq!(begun(&mut bench), 0, "the first one is due a month after the beginning");
    bench.pass(31 * DAY);
    assert_eq!(begun(&mut bench), 1);
    assert_eq!(begun(&mut bench), 0, "it is under way");
    let fault = Fault::permanent("mayday", "it died");
    bench.report(Report::DrillOver { name: "monthly".into(), outcome: Err(fault) });
    bench.pass(3 * DAY);
    assert_eq!(begun(&mut bench), 0, "a human looks at why it died");
    assert_eq!(bench.events(|event| matches!(event, Event::DrillLost { .. })), 1);
    let at = bench.now;
    record(&mut bench, result(at)).unwrap();
    bench.pass(31 * DAY);
    assert_eq!(begun(&mut bench), 1, "the next month");
}

#[test]
fn no_drill_begins_by_itself_while_anything_is_the_matter() {
    let due = || {
        let mut bench = bench();
        bench.pass(31 * DAY);
        bench
    };
    let mut held = due();
    held.ask(Ask::Hold { reason: String::new() }).unwrap();
    assert_eq!(begun(&mut held), 0);
    held.ask(Ask::Release { reason: String::new() }).unwrap();
    assert_eq!(begun(&mut held), 1);
    let mut burning = due();
    burning.ask(Ask::Declare { title: "x".into(), severity: Severity::Sev1, drill: false }).unwrap();
    assert_eq!(begun(&mut burning), 0);
    let mut failing = due();
    failing.probe("us-east-1", Status::Healthy);
    failing.probe("us-east-1", Status::Down);
    assert_eq!(begun(&mut failing), 0, "a rule of the plan counts");
    let mut rehearsing = due();
    rehearsing.start(Mode::Rehearsal, false).unwrap();
    assert_eq!(begun(&mut rehearsing), 0);
}
