//! Taking a run back.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::Decision;
use super::bench::{Bench, STANDBY, step};
use crate::domain::fact::command::{Ask, Effect, Preparation, Refusal, RefusalReason as Why, Report};
use crate::domain::fact::health::Status;
use crate::domain::fact::run::{FOUND, Outcome, StepPhase};
use crate::domain::fact::system::Observed;
use crate::domain::fault::Fault;
use crate::domain::ids::StepId;
use crate::domain::rule::wayback::{Window, crossed, undoing};
use crate::domain::spec::kinds::{StepRole, Undo};
use crate::domain::spec::plan::{Gate, Plan};

const REVERT: &str = "revert failover";

/// A failover of what needs no promotion: fence, scale, dns.
fn movable() -> Bench {
    let mut bench = Bench::new();
    bench.plans = vec![std::sync::Arc::new(Plan {
        id: "failover".into(),
        title: "Move".into(),
        about: String::new(),
        steps: vec![
            step("fence", StepRole::Fences, Gate::Confirm, &[]),
            step("scale", StepRole::Capacity, Gate::Confirm, &[]),
            step("dns", StepRole::Traffic, Gate::Confirm, &["fence", "scale"]),
            step("client", StepRole::Synthetic, Gate::Auto, &["dns"]),
        ],
        fingerprint: "f".into(),
        target: None,
    })];
    started(bench)
}

fn started(mut bench: Bench) -> Bench {
    use crate::domain::fact::run::Mode;
    use crate::domain::spec::severity::Severity;
    bench.probe(STANDBY, Status::Healthy);
    bench.ask(Ask::Declare { title: "leave".into(), severity: Severity::Sev2, drill: false }).unwrap();
    bench.start(Mode::Live, false).unwrap();
    bench
}

fn go_back(bench: &mut Bench, phrase: &str) -> Result<Decision, Refusal> {
    bench.ask(Ask::RevertRun { run: bench.run(), phrase: phrase.into(), reason: "wrong region".into() })
}

fn reverted(bench: &mut Bench, step: &str) {
    bench.report(Report::Reverted { run: bench.run(), step: step.into(), outcome: Ok(Default::default()) });
}

fn going(bench: &Bench) -> Vec<&str> {
    let run = bench.state.run.as_ref().unwrap();
    run.steps.iter().filter(|(_, step)| step.phase == StepPhase::Reverting).map(|(id, _)| id.as_str()).collect()
}

#[test]
fn a_run_goes_back_from_its_end_one_step_at_a_time() {
    let mut bench = movable();
    ["fence", "scale", "dns", "client"].iter().for_each(|step| bench.finish(step, ""));
    assert_eq!(bench.state.run.as_ref().unwrap().outcome, Some(Outcome::Completed));
    assert_eq!(bench.state.moved.as_ref().unwrap().to.as_str(), STANDBY);
    go_back(&mut bench, REVERT).unwrap();
    for expected in ["dns", "scale", "fence"] {
        assert_eq!(going(&bench), [expected]);
        assert!(bench.state.run.as_ref().unwrap().is_open());
        reverted(&mut bench, expected);
    }
    let run = bench.state.run.as_ref().unwrap();
    assert_eq!((run.outcome, run.is_open()), (Some(Outcome::Reverted), false));
    assert_eq!(bench.state.serving(&bench.estate).as_str(), "us-east-1");
    assert_eq!(bench.state.moved, None);
}

#[test]
fn it_needs_its_phrase_a_reason_and_something_to_take_back() {
    let mut bench = movable();
    assert_eq!(go_back(&mut bench, REVERT).unwrap_err().reason, Why::Unsafe, "nothing was done");
    bench.finish("fence", "");
    assert_eq!(go_back(&mut bench, "revert").unwrap_err().reason, Why::WrongPhrase);
    let bare = Ask::RevertRun { run: bench.run(), phrase: REVERT.into(), reason: String::new() };
    assert_eq!(bench.ask(bare).unwrap_err().reason, Why::ReasonMissing);
    go_back(&mut bench, REVERT).unwrap();
    assert_eq!(go_back(&mut bench, REVERT).unwrap_err().reason, Why::Conflict, "it goes back already");
    let retry = Ask::Retry { run: bench.run(), step: "scale".into(), reason: String::new() };
    assert_eq!(bench.ask(retry).unwrap_err().reason, Why::Conflict, "nothing goes forward meanwhile");
}

#[test]
fn after_the_commit_window_only_an_override_takes_it_back() {
    let mut bench = movable();
    ["fence", "scale", "dns", "client"].iter().for_each(|step| bench.finish(step, ""));
    bench.pass(30 * 60 + 1);
    let refused = go_back(&mut bench, REVERT).unwrap_err();
    assert_eq!(refused.reason, Why::Unsafe);
    assert!(refused.why.contains("commit window") && refused.next.contains("override revert failover"), "{refused}");
    let one = Ask::Revert { run: bench.run(), step: "dns".into(), reason: "back".into() };
    assert_eq!(bench.ask(one).unwrap_err().reason, Why::Unsafe, "no single step either");
    go_back(&mut bench, "override revert failover").unwrap();
    assert_eq!(going(&bench), ["dns"]);
}

#[test]
fn clients_do_not_go_back_to_stores_that_were_superseded() {
    let mut bench = Bench::running();
    for (name, phrase) in [("fence", ""), ("scale", ""), ("promote", "db"), ("measure", ""), ("dns", "")] {
        bench.finish(name, phrase);
    }
    // The synthetic client is still being waited for.
    bench.verified("client");
    bench.prepared("client", bench.sound(0));
    bench.verified("client");
    let refused = go_back(&mut bench, REVERT).unwrap_err();
    assert_eq!(refused.reason, Why::Unsafe);
    assert!(refused.why.contains("promote") && refused.why.contains("out of date"), "{refused}");
    go_back(&mut bench, "override revert failover").unwrap();
    assert_eq!(going(&bench), ["dns"]);
    reverted(&mut bench, "dns");
    reverted(&mut bench, "scale");
    let run = bench.state.run.as_ref().unwrap();
    assert_eq!(run.outcome, Some(Outcome::Reverted));
    assert_eq!(bench.phase("promote"), StepPhase::Done, "there is no way back from it");
    assert_eq!(bench.phase("fence"), StepPhase::Done, "and its fence keeps the old writer out");
}

#[test]
fn a_failure_stops_the_way_back_until_somebody_decides() {
    let mut bench = movable();
    ["fence", "scale", "dns", "client"].iter().for_each(|step| bench.finish(step, ""));
    go_back(&mut bench, REVERT).unwrap();
    let outcome = Err(Fault::permanent("dns", "access denied"));
    bench.report(Report::Reverted { run: bench.run(), step: "dns".into(), outcome });
    assert!(going(&bench).is_empty());
    let run = bench.state.run.as_ref().unwrap();
    assert!(run.is_open() && run.waits_for_human(false));
    go_back(&mut bench, REVERT).unwrap();
    assert_eq!(going(&bench), ["dns"], "asked again, it goes on where it stopped");
}

#[test]
fn hold_and_a_new_engine_stop_and_continue_it() {
    let mut bench = movable();
    ["fence", "scale"].iter().for_each(|step| bench.finish(step, ""));
    bench.ask(Ask::Hold { reason: "wait".into() }).unwrap();
    // The gate of dns was being prepared.
    go_back(&mut bench, REVERT).unwrap();
    assert!(going(&bench).is_empty(), "nothing begins under HOLD");
    bench.ask(Ask::Release { reason: String::new() }).unwrap();
    assert_eq!(going(&bench), ["scale"]);
    let restarted = bench.report(Report::Started { version: "next".into(), anchor: None, drift: Default::default() });
    let again = |effect: &Effect| matches!(effect, Effect::Revert(job) if job.step.id.as_str() == "scale");
    assert!(restarted.effects.iter().any(again), "{restarted:?}");
    reverted(&mut bench, "scale");
    assert_eq!(going(&bench), ["fence"]);
}

#[test]
fn clients_are_not_sent_back_to_a_region_that_is_down_without_the_longer_phrase() {
    let mut bench = movable();
    ["fence", "scale", "dns", "client"].iter().for_each(|step| bench.finish(step, ""));
    bench.probe("us-east-1", Status::Down);
    let refused = go_back(&mut bench, REVERT).unwrap_err();
    assert!(refused.why.contains("us-east-1 is DOWN: API"), "{refused}");
    let moved = bench.state.moved.clone().unwrap();
    let window = |bench: &Bench| Window::of(&bench.estate, &bench.state, &moved, &bench.readings, bench.now);
    assert!(matches!(window(&bench), Window::Against(_, why) if refused.why == why.join("; ")), "W says what V does");
    go_back(&mut bench, &format!("override {REVERT}")).unwrap();
    bench.probe("us-east-1", Status::Healthy);
    assert!(matches!(window(&bench), Window::Open(_)));
}

#[test]
fn what_was_found_done_is_no_point_of_no_return_of_this_run() {
    let mut bench = Bench::running();
    bench.finish("fence", "");
    let done = Observed::Done { detail: "a Sentinel has promoted it".into() };
    let found = Preparation { observed: done, ..bench.sound(2) };
    bench.prepared("promote", found);
    bench.verified("promote");
    let run = bench.state.run.clone().unwrap();
    assert!(run.step(&"promote".into()).unwrap().begun.is_some() && crossed(&run).is_empty());
    // Found just before it would have been changed: the same. An attempt before it may have been the one.
    for (attempts, found, expected) in [(1, true, 0), (1, false, 1), (2, true, 1)] {
        let mut run = run.clone();
        let step = run.steps.get_mut(&StepId::from("promote")).unwrap();
        step.attempts = attempts;
        let receipt = &mut step.begun.as_mut().unwrap().receipt;
        if found {
            receipt.insert(FOUND.to_owned(), "there".to_owned());
        }
        assert_eq!(crossed(&run).len(), expected, "{attempts} attempts, found: {found}");
        assert!(!undoing(&run).back.contains(&"fence".into()), "its fence stays in any case");
    }
}

/// A plan of any shape: what each step is, and which of the ones before it it needs.
fn any_plan() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    vec((0u8..5, any::<u8>(), 0u8..8), 1..10)
}

proptest! {
    #[test]
    fn what_goes_back_rests_under_nothing_that_stays(shape in any_plan()) {
        let names: Vec<String> = (0..shape.len()).map(|nth| format!("s{nth}")).collect();
        let of = |nth: usize, (kind, mask, _): (u8, u8, u8)| {
            let needs: Vec<&str> = (0..nth).filter(|it| mask >> (it % 8) & 1 == 1).map(|it| names[it].as_str()).collect();
            let role = [StepRole::Fences, StepRole::Promotes, StepRole::Capacity, StepRole::Traffic, StepRole::Checks][usize::from(kind)];
            step(&names[nth], role, Gate::Confirm, &needs)
        };
        let steps: Vec<_> = shape.iter().enumerate().map(|(nth, it)| of(nth, *it)).collect();
        let mut bench = Bench::new();
        bench.plans = vec![std::sync::Arc::new(Plan { id: "failover".into(), title: String::new(), about: String::new(), steps, fingerprint: String::new(), target: None })];
        let mut run = started(bench).state.run.unwrap();
        for ((_, _, how), name) in shape.iter().zip(&names) {
            let known = run.steps.get_mut(&StepId::from(name.as_str())).unwrap();
            (known.phase, known.attempts) = [
                (StepPhase::Done, 1), (StepPhase::Done, 1), (StepPhase::Done, 0), (StepPhase::ByHand, 0),
                (StepPhase::Failed, 1), (StepPhase::Reverted, 1), (StepPhase::Skipped, 1), (StepPhase::Waiting, 0),
            ][usize::from(*how)];
        }
        let found = undoing(&run);
        for (nth, id) in found.back.iter().enumerate() {
            let spec = run.plan.step(id).unwrap();
            let known = run.step(id).unwrap();
            prop_assert!(spec.undo == Undo::Revert && known.attempts > 0 && known.phase != StepPhase::Reverted);
            prop_assert!(!found.back[nth + 1..].iter().any(|later| run.plan.ancestors(later).contains(id)), "{id} goes before what rests on it");
            prop_assert!(!found.stays.iter().any(|(stays, _)| run.plan.ancestors(stays).contains(id)), "{id} is taken from under what stays");
        }
        let both = found.back.iter().chain(found.stays.iter().map(|(id, _)| id)).count();
        let distinct: std::collections::BTreeSet<_> = found.back.iter().chain(found.stays.iter().map(|(id, _)| id)).collect();
        prop_assert_eq!(both, distinct.len());
    }
}
