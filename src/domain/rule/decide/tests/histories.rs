//! Whatever is asked and whatever happens, in whatever order, these hold.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::super::Decision;
use super::bench::{Bench, STANDBY, operator};
use crate::domain::actor::Origin;
use crate::domain::fact::command::{Ask, Effect, Preparation, Report};
use crate::domain::fact::event::Event;
use crate::domain::fact::health::Status;
use crate::domain::fact::process::Process;
use crate::domain::fact::run::{Mode, StepPhase};
use crate::domain::fact::system::{Observed, OldWriter, Verified};
use crate::domain::fault::Fault;
use crate::domain::rule::moves;
use crate::domain::rule::state::State;
use crate::domain::spec::kinds::StepRole;
use crate::domain::spec::plan::Gate;
use crate::domain::spec::severity::Severity;

const STEPS: [&str; 6] = ["fence", "promote", "scale", "measure", "dns", "client"];

/// One thing that happens: what, to which step, and how it turns out.
type Move = (u8, usize, u8);

fn play(bench: &mut Bench, (what, step, how): Move) -> Option<Decision> {
    let id = STEPS[step % STEPS.len()];
    bench.pass(u64::from(how % 8) * 5);
    let Some(run) = bench.state.run.as_ref().map(|run| run.id.clone()) else {
        let mode = if how % 4 == 0 { Mode::Rehearsal } else { Mode::Live };
        return bench.start(mode, how % 2 == 0).ok();
    };
    let (step, reason) = (id.into(), "because".to_owned());
    let phrase = ["db", "override db", ""][usize::from(how) % 3].to_owned();
    let ask = match what {
        0 => Ask::Confirm { run, step, phrase, seen: None },
        1 => Ask::Override { run, step, phrase: "override db".into(), reason },
        2 => Ask::Retry { run, step, reason },
        3 => Ask::Skip { run, step, reason },
        4 => Ask::MarkDone { run, step, reason },
        5 => Ask::Revert { run, step, reason },
        6 => Ask::Hold { reason },
        7 => Ask::Release { reason },
        8 => Ask::Refresh { run, step },
        9 if how == 0 => Ask::Abandon { run, reason },
        10 => return Some(prepare(bench, id, how)),
        11 => return Some(bench.applied(id)),
        12 => return Some(bench.verified(id)),
        13 => return Some(fail(bench, id, how)),
        14 => return Some(observe(bench, id, how)),
        15 => {
            return Some(bench.report(Report::Started {
                version: "x".into(),
                anchor: None,
                drift: Default::default(),
            }));
        }
        16 => return Some(bench.report(Report::RetryDue { run, step })),
        17 => {
            bench.probe(STANDBY, if how % 2 == 0 { Status::Healthy } else { Status::Down });
            return None;
        }
        18 => return bench.start(Mode::Live, how % 2 == 0).ok(),
        20..=22 | 24 => return Some(told(bench, what, id, how)),
        23 => {
            let phrase = if how % 2 == 0 { "revert failover" } else { "override revert failover" };
            Ask::RevertRun { run, phrase: phrase.into(), reason }
        }
        _ => return Some(bench.report(Report::Reverted { run, step, outcome: Ok(Default::default()) })),
    };
    let who = operator("someone", u32::from(how % 3));
    bench.ask_as(who, Origin::CommandLine, ask).ok()
}

fn prepare(bench: &mut Bench, id: &str, how: u8) -> Decision {
    let found = seen(bench, how);
    bench.prepared(id, found)
}

/// What is heard of a step besides how it went.
fn told(bench: &mut Bench, what: u8, id: &str, how: u8) -> Decision {
    let (run, step, attempt) = (bench.run(), id.into(), bench.at(id).attempts);
    bench.report(match what {
        20 => Report::LookedAgain { run, step, outcome: Ok(Box::new(seen(bench, how))) },
        21 => {
            let process = Process { host: "h".into(), boot: "b".into(), pid: 7, started: 1 };
            Report::RunsAs { run, step, attempt, process }
        }
        24 => Report::GoesBy { run, step, attempt, receipt: [("id".into(), "1".into())].into() },
        _ => Report::Printed { run, step, attempt, lines: vec!["said".into()], file: None },
    })
}

fn seen(bench: &Bench, how: u8) -> Preparation {
    let mut found = bench.sound(2);
    let facts = found.checked.promotion.as_mut().unwrap();
    match how % 6 {
        0 => facts.old_writer = OldWriter::Reachable,
        1 => facts.recovery_point = None,
        2 => facts.quorum = Some(false),
        3 => found.observed = Observed::Unknowable { why: "?".into() },
        4 if how < 12 => found.observed = Observed::Done { detail: "done".into() },
        4 => found.observed = Observed::InProgress { detail: "under way".into() },
        _ => {}
    }
    found
}

fn fail(bench: &mut Bench, id: &str, how: u8) -> Decision {
    let (run, step, attempt) = (bench.run(), id.into(), bench.at(id).attempts);
    let fault = match how % 3 {
        0 => Fault::transient("db", "t"),
        1 => Fault::permanent("db", "p"),
        _ => Fault::ambiguous("db", "a"),
    };
    bench.report(Report::Applied { run, step, attempt, outcome: Err(fault) })
}

fn observe(bench: &mut Bench, id: &str, how: u8) -> Decision {
    let (run, step, words) = (bench.run(), id.into(), String::new());
    let outcome = match how % 4 {
        0 => Ok(Observed::NotDone { detail: words }),
        1 => Ok(Observed::Done { detail: words }),
        2 => Ok(Observed::Unknowable { why: words }),
        _ => {
            let outcome = Ok(Verified::Broken { why: words });
            return bench.report(Report::Verified { run, step, outcome });
        }
    };
    bench.report(Report::Observed { run, step, outcome })
}

/// What must be true of every decision, given the state before it.
fn holds(before: &State, after: &State, decision: &Decision) {
    for (actor, event) in &decision.events {
        let (Event::StepSkipped { step, .. }
        | Event::StepDoneByHand { step, .. }
        | Event::GuardsOverridden { step, .. }) = event
        else {
            continue;
        };
        let run = before.run.as_ref().unwrap();
        if run.plan.step(step).unwrap().gate == Gate::TwoPerson {
            let first = &run.step(step).unwrap().wanted.as_ref().expect("one person ended a step for two").by;
            assert!(first.is_somebody().is_ok() && actor.is_somebody().is_ok() && !first.is_same_person(actor));
        }
    }
    for effect in &decision.effects {
        let Effect::Apply(job) = effect else { continue };
        let id = &job.step.id;
        let intent = |event: &Event| matches!(event, Event::StepApplying { step, attempt, .. } if step == id && *attempt == job.attempt);
        assert!(decision.events.iter().any(|(_, event)| intent(event)), "{id}: applied without a journalled intent");
        assert!(after.hold.is_none(), "{id}: begun under HOLD");
        let run = after.run.as_ref().unwrap();
        assert_eq!(run.mode, Mode::Live, "{id}: a rehearsal applied something");
        assert!(job.step.needs.iter().all(|need| run.phase(need).satisfies()), "{id}: begun before what it needs");
        let known = run.step(id).unwrap();
        assert!(job.step.gate == Gate::Auto || known.cleared, "{id}: begun without an answer at its gate");
        let people = known.confirmed.iter().filter(|who| who.is_somebody().is_ok()).count();
        assert!(job.step.gate != Gate::TwoPerson || people >= 2, "{id}: begun by one person");
        let blocked = known.card.as_ref().unwrap().blocks().any(|guard| !known.overridden.contains(&guard.name));
        assert!(!blocked, "{id}: begun against a guard nobody overrode");
        let was = before.run.as_ref().map(|run| run.phase(id));
        let uncertain = [Some(StepPhase::Applying), Some(StepPhase::Asking), Some(StepPhase::Verifying)];
        assert!(!uncertain.contains(&was), "{id}: begun again while its outcome was open ({was:?})");
        if job.step.role == StepRole::Traffic && known.overridden.is_empty() {
            let ready = |step: &str| run.phase(&step.into()).is_in_effect();
            assert!(ready("promote") && ready("scale"), "{id}: traffic moved to what cannot serve");
        }
    }
}

fn histories() -> impl Strategy<Value = Vec<Move>> {
    vec((0u8..25, 0usize..6, 0u8..24), 1..160)
}

fn prepared_bench() -> Bench {
    let mut bench = Bench::new();
    bench.probe(STANDBY, Status::Healthy);
    bench.ask(Ask::Declare { title: "x".into(), severity: Severity::Sev1, drill: false }).unwrap();
    bench
}

/// What no history does, no rule needs: a row that is never walked is a rule that is gone, or a test that is missing.
#[test]
fn every_row_of_the_table_of_moves_is_walked() {
    let (mut runner, mut left) = (TestRunner::deterministic(), moves::rows());
    for _ in 0..20_000 {
        let history = histories().new_tree(&mut runner).unwrap().current();
        let mut bench = prepared_bench();
        for step in history {
            play(&mut bench, step);
        }
        for row in bench.records.iter().filter_map(|record| moves::row(&record.event)) {
            left.remove(&row);
        }
        if left.is_empty() {
            return;
        }
    }
    panic!("never walked: {:?}", left.into_iter().map(moves::words).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_hold_in_every_history(moves in histories()) {
        let mut bench = prepared_bench();
        for step in moves {
            let before = bench.state.clone();
            if let Some(decision) = play(&mut bench, step) {
                holds(&before, &bench.state, &decision);
            }
        }
        // The journal alone gives the same state, through its own form on disk.
        let mut replayed = State::default();
        for record in &bench.records {
            let text = serde_json::to_string(record).unwrap();
            replayed.apply(&serde_json::from_str(&text).unwrap());
        }
        prop_assert_eq!(replayed, bench.state);
    }
}
