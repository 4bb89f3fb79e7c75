//! Nothing is begun a second time beside what may still work, and nothing of which nobody knows without a person.

use super::bench::{Bench, apply};
use crate::domain::fact::command::{Ask, Effect, Job, RefusalReason as Why, Report, WayBack};
use crate::domain::fact::event::Event;
use crate::domain::fact::process::Process;
use crate::domain::fact::run::{StepPhase, StepRun};
use crate::domain::fact::system::{Begun, Observed};
use crate::domain::fault::Fault;

fn process(pid: i32) -> Process {
    Process { host: "here".into(), boot: "b".into(), pid, started: 7 }
}

fn runs_as(bench: &mut Bench, step: &str, attempt: u32, pid: i32) {
    let (run, process) = (bench.run(), process(pid));
    bench.report(Report::RunsAs { run, step: step.into(), attempt, process });
}

fn known(bench: &Bench, step: &str) -> Option<i32> {
    bench.at(step).begun.as_ref()?.process.as_ref().map(|it| it.pid)
}

fn observed(bench: &mut Bench, step: &str, seen: Observed) {
    bench.report(Report::Observed { run: bench.run(), step: step.into(), outcome: Ok(seen) });
}

fn retry(bench: &mut Bench, step: &str, reason: &str) -> Result<(), Why> {
    let ask = Ask::Retry { run: bench.run(), step: step.into(), reason: reason.into() };
    bench.ask(ask).map(drop).map_err(|refused| refused.reason)
}

/// The way of the latest effect that takes a step back.
fn way_back(bench: &Bench) -> Option<WayBack> {
    let of = |effect: &Effect| if let Effect::Revert(Job { way_back, .. }) = effect { Some(*way_back) } else { None };
    bench.effects.iter().rev().find_map(of)
}

fn applying() -> Bench {
    let mut bench = Bench::running();
    bench.prepared("fence", bench.sound(2));
    bench.confirm("fence", "").unwrap();
    bench
}

fn unknowable() -> Observed {
    Observed::Unknowable { why: "there is no `observe`".into() }
}

#[test]
fn a_process_is_journalled_while_its_step_acts_and_forgotten_when_its_end_was_heard_of() {
    let mut bench = applying();
    runs_as(&mut bench, "fence", 2, 1);
    runs_as(&mut bench, "scale", 1, 2);
    assert_eq!(bench.events(|event| matches!(event, Event::StepRunsAs { .. })), 0, "of no attempt that is under way");
    runs_as(&mut bench, "fence", 1, 3);
    assert_eq!(known(&bench, "fence"), Some(3));
    bench.applied("fence");
    assert_eq!(known(&bench, "fence"), None);
    runs_as(&mut bench, "fence", 1, 4);
    assert_eq!(known(&bench, "fence"), None, "late news");
}

#[test]
fn whoever_comes_after_a_crash_is_told_the_process() {
    let mut bench = applying();
    runs_as(&mut bench, "fence", 1, 3);
    bench.restart();
    let of = |effect: &Effect| if let Effect::Observe(job) = effect { Some(job.clone()) } else { None };
    let job = bench.effects.iter().find_map(of).unwrap();
    assert_eq!(job.begun.as_ref().unwrap().process, Some(process(3)));
    assert_eq!((bench.phase("fence"), bench.effects_on("fence", apply)), (StepPhase::Observing, 1));
}

#[test]
fn what_cannot_be_known_is_begun_again_by_a_person_alone_and_with_a_reason() {
    let mut bench = applying();
    runs_as(&mut bench, "fence", 1, 3);
    bench.restart();
    observed(&mut bench, "fence", unknowable());
    assert_eq!(bench.phase("fence"), StepPhase::Asking);
    assert_eq!(retry(&mut bench, "fence", " "), Err(Why::ReasonMissing));
    retry(&mut bench, "fence", "nothing ran: I looked").unwrap();
    let mut found = bench.sound(2);
    found.observed = unknowable();
    bench.prepared("fence", found.clone());
    assert_eq!((bench.phase("fence"), bench.effects_on("fence", apply)), (StepPhase::Gated, 1));
    bench.confirm("fence", "").unwrap();
    assert_eq!(bench.effects_on("fence", apply), 2);
    // That word was for one attempt.
    bench.restart();
    observed(&mut bench, "fence", unknowable());
    assert_eq!(bench.phase("fence"), StepPhase::Asking);
}

#[test]
fn a_step_that_said_itself_that_nothing_happened_asks_nobody() {
    let mut bench = applying();
    let (run, fault) = (bench.run(), Fault::transient("script", "exited with 75"));
    bench.report(Report::Applied { run, step: "fence".into(), attempt: 1, outcome: Err(fault) });
    bench.pass(60);
    bench.report(Report::RetryDue { run: bench.run(), step: "fence".into() });
    let mut found = bench.sound(2);
    found.observed = unknowable();
    bench.prepared("fence", found);
    assert_eq!((bench.phase("fence"), bench.effects_on("fence", apply)), (StepPhase::Applying, 2));
}

#[test]
fn a_process_that_still_runs_is_watched_and_its_effect_is_not_waited_for_before_it_ends() {
    let mut bench = applying();
    runs_as(&mut bench, "fence", 1, 3);
    bench.restart();
    observed(&mut bench, "fence", Observed::Unknowable { why: "process 3 still runs after 60 s".into() });
    retry(&mut bench, "fence", "it has to go on").unwrap();
    let mut found = bench.sound(2);
    found.observed = Observed::InProgress { detail: "process 3 still runs".into() };
    bench.prepared("fence", found);
    assert_eq!(bench.phase("fence"), StepPhase::Observing);
    assert!(matches!(bench.effects.last(), Some(Effect::Observe(_))), "{:?}", bench.effects.last());
    assert_eq!(bench.effects_on("fence", apply), 1);
}

#[test]
fn a_revert_is_taken_up_by_looking_and_a_person_may_have_it_again() {
    let mut bench = applying();
    bench.applied("fence");
    bench.verified("fence");
    let revert = |bench: &Bench| Ask::Revert { run: bench.run(), step: "fence".into(), reason: "wrong".into() };
    bench.ask(revert(&bench)).unwrap();
    assert_eq!(way_back(&bench), Some(WayBack::First));
    runs_as(&mut bench, "fence", 1, 5);
    assert_eq!(known(&bench, "fence"), Some(5));
    bench.restart();
    assert_eq!((way_back(&bench), bench.phase("fence")), (Some(WayBack::Resumed), StepPhase::Reverting));
    let (run, fault) = (bench.run(), Fault::permanent("script", "it cannot be told"));
    bench.report(Report::Reverted { run, step: "fence".into(), outcome: Err(fault) });
    bench.ask(revert(&bench)).unwrap();
    assert_eq!(way_back(&bench), Some(WayBack::Again));
    bench.report(Report::Reverted { run: bench.run(), step: "fence".into(), outcome: Ok(Default::default()) });
    assert_eq!((bench.phase("fence"), known(&bench, "fence")), (StepPhase::Reverted, None));
    assert_eq!(bench.at("fence").reverts, 0, "applied another time, it is taken back for the first time");
}

#[test]
fn what_an_older_mayday_wrote_of_a_step_is_read() {
    let begun: Begun = serde_json::from_str(r#"{"at":"2026-11-29T05:00:00Z","pre_image":null,"receipt":{}}"#).unwrap();
    assert_eq!(begun.process, None);
    let mut old = serde_json::to_value(StepRun::default()).unwrap();
    for name in ["reverts", "vouched"] {
        assert!(old.as_object_mut().unwrap().remove(name).is_some(), "{name}");
    }
    assert_eq!(serde_json::from_value::<StepRun>(old).unwrap(), StepRun::default());
}
