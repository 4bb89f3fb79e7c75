//! What each guard of the safety rules says of what was seen, and of what nobody could look at: a row each.

use std::sync::Arc;

use super::bench::{Bench, STANDBY, step};
use crate::domain::fact::guard::GuardVerdict::{self, Block, Pass, Warn};
use crate::domain::fact::recovery::{Loss, RecoveryPoint};
use crate::domain::fact::run::{FOUND, IN_PART, Mode, StepPhase, StepRun};
use crate::domain::fact::system::OldWriter;
use crate::domain::spec::kinds::StepRole;
use crate::domain::spec::plan::{Gate, Plan, StepSpec};
use crate::domain::time::{At, after, before};

/// What the card of a step says by this name.
fn guard(bench: &Bench, step: &str, name: &str) -> Option<(GuardVerdict, String)> {
    let card = bench.at(step).card.as_ref()?;
    let guard = card.guards.iter().find(|guard| guard.name == name)?;
    Some((guard.verdict, guard.detail.clone()))
}

#[track_caller]
fn says(what: &str, seen: Option<(GuardVerdict, String)>, verdict: GuardVerdict, words: &str) {
    let (is, detail) = seen.unwrap_or_else(|| panic!("{what}: there is no such guard"));
    assert!(is == verdict && detail.contains(words), "{what}: {is:?}, {detail}");
}

fn state<'b>(bench: &'b mut Bench, step: &str) -> &'b mut StepRun {
    bench.state.run.as_mut().unwrap().steps.get_mut(step).unwrap()
}

/// How the fence of the promotion came to be over.
#[derive(Clone, Copy)]
enum Fence {
    Stopped,
    /// Nothing was applied: it was found so.
    Found,
    /// It was found so just before it would have been applied.
    FoundLate,
    /// What answered was stopped; one of its clusters did not answer.
    InPart,
    ByHand,
    Skipped,
}

/// A run before its promotion.
fn before_promotion(fence: Fence) -> Bench {
    let mut bench = Bench::running();
    bench.finish("fence", "");
    let step = state(&mut bench, "fence");
    let found = "the API server did not answer";
    match fence {
        Fence::Stopped => {}
        Fence::Found => (step.attempts, step.begun, step.detail) = (0, None, found.into()),
        Fence::FoundLate => {
            step.begun.as_mut().unwrap().receipt.insert(FOUND.into(), found.into());
        }
        Fence::InPart => {
            step.begun.as_mut().unwrap().receipt.insert(IN_PART.into(), found.into());
        }
        Fence::ByHand => (step.attempts, step.phase) = (0, StepPhase::ByHand),
        Fence::Skipped => step.phase = StepPhase::Skipped,
    }
    bench
}

#[test]
fn an_old_writer_that_could_not_be_looked_at_is_not_gone() {
    use Fence::*;
    use OldWriter::*;
    let rows = [
        (Absent, Skipped, false, Pass, "there is no other writer"),
        (Unreachable, Skipped, false, Pass, "does not answer"),
        (OldWriter::Fenced, Skipped, false, Pass, "takes no writes"),
        (Reachable, Stopped, false, Pass, "`fence` stopped what writes to it"),
        (Reachable, ByHand, false, Pass, "`fence` stopped what writes to it"),
        (Reachable, Found, false, Block, "only found done (the API server did not answer)"),
        (Reachable, FoundLate, false, Block, "only found done (the API server did not answer)"),
        (Reachable, InPart, false, Block, "`fence` reached a part only (the API server did not answer)"),
        (Unreachable, InPart, false, Pass, "does not answer"),
        (Unknown, InPart, false, Block, "reached a part only"),
        (Reachable, Skipped, false, Block, "makes two writers"),
        (Reachable, Skipped, true, Pass, "hand over"),
        (Unknown, Stopped, false, Warn, "cannot tell"),
        (Unknown, ByHand, false, Warn, "cannot tell"),
        (Unknown, Found, false, Block, "only found done"),
        (Unknown, FoundLate, false, Block, "only found done"),
        (Unknown, Skipped, false, Block, "nothing fenced it"),
        (Unknown, Skipped, true, Block, "nothing fenced it"),
        (Unknown, Stopped, true, Warn, "cannot tell"),
    ];
    for (nth, (writer, fence, lossless, verdict, words)) in rows.into_iter().enumerate() {
        let mut bench = before_promotion(fence);
        let mut found = bench.sound(2);
        let facts = found.checked.promotion.as_mut().unwrap();
        (facts.old_writer, facts.lossless) = (writer, lossless);
        bench.prepared("promote", found);
        says(&format!("row {nth}, {writer:?}"), guard(&bench, "promote", "old-writer"), verdict, words);
    }
}

/// A live run of a plan of these steps.
fn running(steps: Vec<StepSpec>) -> Bench {
    let mut bench = Bench::running();
    bench.state.run = None;
    let plan = Plan { steps, ..Plan::clone(&bench.plans[0]) };
    bench.plans = vec![Arc::new(plan)];
    bench.start(Mode::Live, false).unwrap();
    bench
}

#[test]
fn every_fence_that_comes_before_has_to_hold_and_no_other_counts() {
    let fence = |id: &str| step(id, StepRole::Fences, Gate::Confirm, &[]);
    let promote = |needs: &[&str]| step("promote", StepRole::Promotes, Gate::Typed, needs);
    let judged = |mut bench: Bench, over: &[&str], skipped: &[&str]| {
        over.iter().for_each(|id| bench.finish(id, ""));
        for id in skipped {
            bench.prepared(id, bench.sound(2));
            let (run, reason) = (bench.run(), "no time".to_owned());
            bench.ask(crate::domain::fact::command::Ask::Skip { run, step: (*id).into(), reason }).unwrap();
        }
        let mut found = bench.sound(2);
        found.checked.promotion.as_mut().unwrap().old_writer = OldWriter::Reachable;
        bench.prepared("promote", found);
        guard(&bench, "promote", "old-writer")
    };
    let two = || vec![fence("one"), fence("two"), promote(&["one", "two"])];
    says("both", judged(running(two()), &["one", "two"], &[]), Pass, "stopped what writes to it");
    says("one of two", judged(running(two()), &["one"], &["two"]), Block, "two writers");
    says("the other of two", judged(running(two()), &["two"], &["one"]), Block, "two writers");
    let apart = vec![fence("one"), promote(&[])];
    says("a fence of something else", judged(running(apart), &["one"], &[]), Block, "two writers");
}

#[test]
fn a_majority_that_was_not_counted_is_none() {
    let judged = |quorum| {
        let mut bench = before_promotion(Fence::Stopped);
        let mut found = bench.sound(2);
        found.checked.promotion.as_mut().unwrap().quorum = quorum;
        bench.prepared("promote", found);
        guard(&bench, "promote", "quorum")
    };
    says("a majority", judged(Some(true)), Pass, "a majority agrees");
    says("none", judged(Some(false)), Block, "quorum is lost");
    assert_eq!(judged(None), None, "a system without a quorum has none to lose");
}

#[test]
fn a_loss_that_nobody_knows_is_not_no_loss() {
    // The failure was seen 15 s before the declaration and the preparation, and the RPO is an hour.
    type Row = (&'static str, fn(&mut Bench) -> Option<At>, bool, GuardVerdict, &'static str);
    let rows: [Row; 8] = [
        ("as much as is allowed", |bench| Some(before(bench.now, secs(3615))), false, Pass, "3600.0 s"),
        ("a second more", |bench| Some(before(bench.now, secs(3616))), false, Block, "3601 s of database data"),
        ("nothing is known", |_| None, false, Block, "unknown is not zero"),
        ("newer than the failure", |bench| Some(bench.now), false, Pass, "about 0.0 s"),
        ("a minute ahead of now", |bench| Some(after(bench.now, secs(60))), false, Pass, "about 0.0 s"),
        ("further ahead", |bench| Some(after(bench.now, secs(61))), false, Block, "unknown is not zero"),
        ("handed over", |_| None, true, Pass, "about 0.0 s"),
        (
            "no RPO",
            |bench| {
                bench.estate.objectives.rpo.clear();
                Some(before(bench.now, secs(20)))
            },
            false,
            Warn,
            "5.0 s of database data; no RPO is set",
        ),
    ];
    for (what, point, lossless, verdict, words) in rows {
        let mut bench = before_promotion(Fence::Stopped);
        let at = point(&mut bench);
        let mut found = bench.sound(2);
        let facts = found.checked.promotion.as_mut().unwrap();
        facts.lossless = lossless;
        facts.recovery_point =
            at.map(|at| RecoveryPoint { at, region: Some(STANDBY.into()), source: "test".into(), measured: false });
        bench.prepared("promote", found);
        says(what, guard(&bench, "promote", "expected-loss"), verdict, words);
    }
}

#[test]
fn nobody_hands_over_to_or_from_what_could_not_be_looked_at() {
    let mut bench = before_promotion(Fence::Stopped);
    let mut found = bench.sound(2);
    let facts = found.checked.promotion.as_mut().unwrap();
    (facts.old_writer, facts.lossless, facts.recovery_point) = (OldWriter::Unknown, true, None);
    bench.prepared("promote", found);
    assert_eq!(bench.at("promote").card.as_ref().unwrap().loss.unwrap().1, Loss::Unknown);
}

fn secs(seconds: u64) -> std::time::Duration {
    std::time::Duration::from_secs(seconds)
}

#[test]
fn a_loss_counts_from_when_clients_wrote_last_and_from_now_while_they_write() {
    type Row = (&'static str, fn(&mut Bench), f64);
    let rows: [Row; 6] = [
        ("it was seen failing, and the copy is newer", |_| {}, 0.0),
        ("nothing was seen failing: t0 is only the declaration", |bench| clocks(bench).t0_is_declaration = true, 100.0),
        ("it was well when it was declared", |bench| clocks(bench).well_when_declared = true, 100.0),
        ("no t0 is known", |bench| clocks(bench).t0.clear(), 100.0),
        (
            "it was well again for a while",
            |bench| {
                let at = before(bench.now, secs(60));
                clocks(bench).last_well = Some(at);
            },
            40.0,
        ),
        ("there is no incident", |bench| bench.state.incident = None, 100.0),
    ];
    for (what, so, seconds) in rows {
        let mut bench = before_promotion(Fence::Stopped);
        bench.pass(1000);
        so(&mut bench);
        bench.prepared("promote", bench.sound(100));
        let loss = bench.at("promote").card.as_ref().unwrap().loss.unwrap().1;
        assert_eq!(loss, Loss::Estimated { seconds }, "{what}");
    }
}

fn clocks(bench: &mut Bench) -> &mut crate::domain::fact::clocks::Clocks {
    &mut bench.state.incident.as_mut().unwrap().clocks
}

/// A run that has come to the step that moves traffic.
fn before_traffic() -> Bench {
    let mut bench = Bench::running();
    for (name, phrase) in [("fence", ""), ("scale", ""), ("promote", "db"), ("measure", "")] {
        bench.finish(name, phrase);
    }
    bench
}

#[test]
fn clients_are_not_sent_to_what_nobody_has_verified() {
    use StepPhase::*;
    let (stores, capacity) = ("stores-writable", "at-capacity");
    let rows = [
        (Done, Done, stores, Pass, "is verified"),
        (ByHand, Done, stores, Warn, "`promote` was done by hand"),
        (Done, ByHand, capacity, Warn, "`scale` was done by hand"),
        (Skipped, Done, stores, Block, "`promote` was skipped"),
        (Done, Skipped, capacity, Block, "`scale` was skipped"),
        (Failed, Done, stores, Block, "`promote` is not done"),
        (Reverted, Done, stores, Block, "`promote` is not done"),
        (Done, Rehearsed, capacity, Block, "`scale` is not done"),
        (ByHand, Skipped, capacity, Block, "`scale` was skipped"),
    ];
    for (promote, scale, name, verdict, words) in rows {
        let mut bench = before_traffic();
        state(&mut bench, "promote").phase = promote;
        state(&mut bench, "scale").phase = scale;
        bench.prepared("dns", bench.sound(2));
        let what = format!("promote {promote}, scale {scale}");
        says(&what, guard(&bench, "dns", name), verdict, words);
        if verdict != Pass {
            let pass = bench.at("dns").card.as_ref().unwrap().guards.iter().any(|it| it.detail.contains("is verified"));
            assert!(!pass, "{what}: it says that all is verified");
        }
    }
}

#[test]
fn where_nothing_is_prepared_nothing_is_verified() {
    let fence = step("fence", StepRole::Fences, Gate::Confirm, &[]);
    let dns = step("dns", StepRole::Traffic, Gate::Confirm, &["fence"]);
    let mut bench = running(vec![fence, dns]);
    bench.finish("fence", "");
    bench.prepared("dns", bench.sound(2));
    says("no store, no capacity", guard(&bench, "dns", "stores-writable"), Warn, "prepares no store");
}

#[test]
fn clients_are_not_sent_nobody_knows_where() {
    let mut bench = before_traffic();
    let run = bench.state.run.as_mut().unwrap();
    let plan = Arc::make_mut(&mut run.plan);
    plan.steps.iter_mut().for_each(|step| step.region = None);
    bench.prepared("dns", bench.sound(2));
    says("no region", guard(&bench, "dns", "standby-healthy"), Block, "names no region");
}
