use super::*;
use crate::domain::actor::Actor;
use crate::domain::fact::drill::Stage;
use crate::domain::fact::event::{Event, Record};
use crate::domain::spec::classes::{DataClass, Tier};
use crate::domain::spec::drill::Cadence;
use std::time::Duration;

fn at(text: &str) -> At {
    text.parse().unwrap()
}

fn result(name: &str, cadence: Cadence, started_at: At, passed: bool) -> DrillResult {
    DrillResult {
        name: name.into(),
        cadence,
        plan: "failover".into(),
        scenario: "region-dark".into(),
        estate: "lab".into(),
        pace: 1,
        started_at,
        passed,
        stages: Stage::ALL.iter().map(|stage| (*stage, passed, String::new())).collect(),
        rto: [(Tier::Critical, 90.0)].into(),
        rpo: [(DataClass::Database, 2.0)].into(),
        steps: [("fence".into(), 4.0)].into(),
        left_behind: Vec::new(),
        bundle: "drills/x".into(),
    }
}

fn state(events: Vec<(At, Event)>) -> State {
    let mut state = State::default();
    for (seq, (at, event)) in (1..).zip(events) {
        state.apply(&Record { seq, at, actor: Actor::engine(), event });
    }
    state
}

fn ended(name: &str, cadence: Cadence, started: &str, passed: bool) -> (At, Event) {
    let started_at = at(started);
    let result = Box::new(result(name, cadence, started_at, passed));
    (after(started_at, Duration::from_secs(600)), Event::DrillEnded { drill: format!("D-{started}").into(), result })
}

fn estate() -> Estate {
    let mut estate = crate::domain::rule::decide::bench::estate();
    estate.drills = DrillSpec::shipped(&"failover".into());
    estate
}

fn standings(state: &State, now: &str) -> Vec<Standing> {
    schedule(&estate(), state, at(now)).into_iter().map(|it| it.standing).collect()
}

#[test]
fn the_next_one_is_due_on_the_same_day_of_the_calendar() {
    let next = |cadence: Cadence, from| cadence.next(at(from)).to_string();
    assert_eq!(next(Cadence::Monthly, "2026-01-31T10:00:00Z"), "2026-02-28T10:00:00Z");
    assert_eq!(next(Cadence::Monthly, "2028-01-31T10:00:00Z"), "2028-02-29T10:00:00Z");
    assert_eq!(next(Cadence::Quarterly, "2026-11-30T10:00:00Z"), "2027-02-28T10:00:00Z");
    assert_eq!(next(Cadence::Annual, "2028-02-29T10:00:00Z"), "2029-02-28T10:00:00Z");
}

#[test]
fn a_drill_is_fresh_then_due_then_overdue_and_one_that_failed_counts_for_nothing() {
    let started = (
        at("2026-01-01T00:00:00Z"),
        Event::EngineStarted { version: "1".into(), anchor: None, drift: Default::default() },
    );
    let fresh = state(vec![started.clone()]);
    assert_eq!(standings(&fresh, "2026-01-20T00:00:00Z"), [Standing::Untried; 3]);
    assert_eq!(standings(&fresh, "2026-02-02T00:00:00Z")[0], Standing::Due);
    assert_eq!(standings(&fresh, "2026-02-09T00:00:00Z")[0], Standing::Overdue);

    let failed = ended("monthly", Cadence::Monthly, "2026-02-03T00:00:00Z", false);
    let after_failure = state(vec![started.clone(), failed.clone()]);
    assert_eq!(standings(&after_failure, "2026-02-09T00:00:00Z")[0], Standing::Overdue);

    let passed = ended("monthly", Cadence::Monthly, "2026-02-09T00:00:00Z", true);
    let again = state(vec![started, failed, passed]);
    assert_eq!(standings(&again, "2026-03-08T23:59:59Z"), [Standing::Fresh, Standing::Untried, Standing::Untried]);
    assert_eq!(standings(&again, "2026-03-09T00:00:00Z")[0], Standing::Due);
    let due = schedule(&estate(), &again, at("2026-03-09T00:00:00Z")).remove(0);
    assert_eq!(due.passed_at, Some(at("2026-02-09T00:00:00Z")));
    assert!(due.last.unwrap().result.passed);
}

#[test]
fn a_pass_needs_every_stage_and_nothing_left_behind() {
    let good = result("monthly", Cadence::Monthly, at("2026-01-01T00:00:00Z"), true);
    assert!(good.earns_a_pass());
    let mut part = good.clone();
    part.stages.pop();
    assert!(!part.earns_a_pass(), "a stage was never reached");
    let mut ill = good.clone();
    ill.stages[3].1 = false;
    assert!(!ill.earns_a_pass());
    let mut messy = good;
    messy.left_behind.push("a process".into());
    assert!(!messy.earns_a_pass());
}

#[test]
fn the_trend_has_a_place_for_every_drill() {
    let (when, event) = ended("monthly", Cadence::Monthly, "2026-01-03T00:00:00Z", true);
    let Event::DrillEnded { drill, mut result } = event.clone() else { panic!("another event") };
    result.steps = [("dns".into(), 7.0)].into();
    let state = state(vec![(when, event), (when, Event::DrillEnded { drill, result })]);
    let trend = trend(&state, "monthly");
    assert_eq!(trend[&StepId::from("fence")], [Some(4.0), None]);
    assert_eq!(trend[&StepId::from("dns")], [None, Some(7.0)]);
}

#[test]
fn nothing_is_broken_in_production_nor_in_what_is_reached_like_it() {
    let production = estate();
    assert!(forbidden(&production, None).unwrap().contains("production"));
    let mut test = estate();
    test.environment = Environment::Test;
    assert_eq!(forbidden(&test, None), None);
    assert!(forbidden(&test, Some(&production)).unwrap().contains("`db`"));
    test.systems[0].params.0.insert("instance".into(), "staging".into());
    assert_eq!(forbidden(&test, Some(&production)), None);
}
