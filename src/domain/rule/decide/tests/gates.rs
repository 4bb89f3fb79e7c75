//! One confirmation is enough, and it never counts for what is not so any more.

use super::super::gate::ripe;
use super::bench::{Bench, apply, operator};
use crate::domain::actor::Origin;
use crate::domain::fact::command::{Ask, Preparation, RefusalReason as Why, Report};
use crate::domain::fact::event::Event;
use crate::domain::fact::guard::Guard;
use crate::domain::fact::run::StepPhase;
use crate::domain::fact::system::{Observed, OldWriter};

/// The gate of `fence` is open, and its evidence has grown too old.
fn old() -> Bench {
    let mut bench = Bench::running();
    bench.prepared("fence", bench.sound(2));
    bench.pass(61);
    bench
}

fn look(bench: &mut Bench, step: &str, found: Preparation) {
    bench.report(Report::LookedAgain { run: bench.run(), step: step.into(), outcome: Ok(Box::new(found)) });
}

#[test]
fn an_answer_on_old_evidence_counts_once_the_same_is_seen_anew() {
    let mut bench = old();
    let decision = bench.confirm("fence", "").unwrap();
    assert!(decision.note.unwrap().contains("goes on by itself"));
    assert_eq!((bench.phase("fence"), bench.effects_on("fence", apply)), (StepPhase::Preparing, 0), "it looks first");
    bench.prepared("fence", bench.sound(2));
    assert_eq!((bench.phase("fence"), bench.effects_on("fence", apply)), (StepPhase::Applying, 1));
    let by = bench.records.iter().find(|it| matches!(it.event, Event::GateConfirmed { .. })).unwrap();
    assert_eq!(by.actor, operator("ann", 1), "the answer is whose it was");
}

#[test]
fn an_answer_does_not_count_for_what_has_changed_and_the_change_is_told() {
    for (change, words) in [("guard", "ttl warns"), ("change", "the change is another")] {
        let mut bench = old();
        bench.confirm("fence", "").unwrap();
        let mut found = bench.sound(2);
        match change {
            "guard" => found.checked.guards.push(Guard::warn("ttl", "clients keep it")),
            _ => found.preview.diff.push("+ more".into()),
        }
        bench.prepared("fence", found.clone());
        assert_eq!((bench.phase("fence"), bench.effects_on("fence", apply)), (StepPhase::Gated, 0), "{words}");
        let changed = bench.at("fence").changed.clone().unwrap();
        assert!(changed.what.iter().any(|it| it.contains(words)), "{changed:?}");
        bench.confirm("fence", "").unwrap();
        assert_eq!(bench.phase("fence"), StepPhase::Applying, "asked again, and answered");
    }
}

#[test]
fn guards_are_run_again_before_an_old_answer_counts() {
    let mut bench = Bench::running();
    bench.finish("fence", "");
    bench.prepared("promote", bench.sound(2));
    bench.pass(61);
    bench.confirm("promote", "db").unwrap();
    let mut found = bench.sound(2);
    found.checked.promotion.as_mut().unwrap().quorum = Some(false);
    bench.prepared("promote", found);
    assert_eq!((bench.phase("promote"), bench.effects_on("promote", apply)), (StepPhase::Blocked, 0));
    // The answer is gone: what is sound again asks again.
    let sound = bench.sound(2);
    look(&mut bench, "promote", sound);
    assert_eq!((bench.phase("promote"), bench.effects_on("promote", apply)), (StepPhase::Gated, 0));
}

#[test]
fn a_new_engine_knows_no_answer_that_waited_for_a_look() {
    let mut bench = old();
    bench.confirm("fence", "").unwrap();
    bench.restart();
    bench.prepared("fence", bench.sound(2));
    assert_eq!((bench.phase("fence"), bench.effects_on("fence", apply)), (StepPhase::Gated, 0));
}

#[test]
fn two_people_are_two_also_on_old_evidence() {
    let mut bench = Bench::running();
    for (step, phrase) in [("fence", ""), ("scale", ""), ("promote", "db"), ("measure", "")] {
        bench.finish(step, phrase);
    }
    bench.prepared("dns", bench.sound(2));
    bench.pass(61);
    bench.confirm("dns", "").unwrap();
    bench.prepared("dns", bench.sound(2));
    assert_eq!((bench.phase("dns"), bench.effects_on("dns", apply)), (StepPhase::Gated, 0), "one of two");
    assert_eq!(bench.confirm("dns", "").unwrap_err().reason, Why::SecondPerson);
    bench.pass(61);
    let ask = Ask::Confirm { run: bench.run(), step: "dns".into(), phrase: String::new(), seen: None };
    bench.ask_as(operator("bob", 2), Origin::CommandLine, ask).unwrap();
    bench.prepared("dns", bench.sound(2));
    assert_eq!(bench.effects_on("dns", apply), 1, "two of two");
}

#[test]
fn what_changes_after_the_first_of_two_has_confirmed_asks_both() {
    let mut bench = Bench::running();
    for (step, phrase) in [("fence", ""), ("scale", ""), ("promote", "db"), ("measure", "")] {
        bench.finish(step, phrase);
    }
    bench.prepared("dns", bench.sound(2));
    bench.confirm("dns", "").unwrap();
    let mut found = bench.sound(2);
    found.preview.summary = "another change".into();
    look(&mut bench, "dns", found);
    assert!(bench.at("dns").confirmed.is_empty() && bench.at("dns").changed.is_some());
}

#[test]
fn open_gates_ripen_and_a_look_that_sees_the_same_keeps_them_fresh() {
    let mut bench = Bench::running();
    bench.prepared("fence", bench.sound(2));
    bench.prepared("scale", bench.sound(2));
    let ripe = |bench: &Bench| -> Vec<String> {
        let jobs = ripe(&bench.estate, &bench.state, bench.now);
        jobs.iter().map(|job| job.step.id.to_string()).collect()
    };
    assert!(ripe(&bench).is_empty(), "it is fresh");
    bench.pass(45);
    assert_eq!(ripe(&bench), ["fence", "scale"]);
    let sound = bench.sound(2);
    look(&mut bench, "fence", sound);
    assert_eq!(ripe(&bench), ["scale"]);
    assert_eq!(bench.events(|it| matches!(it, Event::StepLookedAgain { .. })), 1);
    bench.pass(30);
    bench.confirm("fence", "").unwrap();
    assert_eq!(bench.phase("fence"), StepPhase::Applying, "75 s after the gate opened, at once");
}

#[test]
fn nobody_confirms_what_changed_while_they_typed() {
    let mut bench = Bench::running();
    bench.prepared("fence", bench.sound(2));
    let seen = Some(bench.now);
    bench.pass(45);
    let mut found = bench.sound(2);
    found.checked.guards.push(Guard::warn("ttl", "clients keep it"));
    look(&mut bench, "fence", found);
    let confirm = |seen| Ask::Confirm { run: "x".into(), step: "fence".into(), phrase: String::new(), seen };
    let with_run = |ask, run| match ask {
        Ask::Confirm { step, phrase, seen, .. } => Ask::Confirm { run, step, phrase, seen },
        other => other,
    };
    let run = bench.run();
    let refused = bench.ask(with_run(confirm(seen), run.clone())).unwrap_err();
    assert_eq!(refused.reason, Why::StaleEvidence);
    assert!(refused.why.contains("ttl warns"), "{refused}");
    assert_eq!(bench.effects_on("fence", apply), 0);
    bench.ask(with_run(confirm(Some(bench.now)), run)).unwrap();
    assert_eq!(bench.effects_on("fence", apply), 1);
}

#[test]
fn a_look_by_itself_starts_nothing() {
    let mut bench = Bench::running();
    bench.finish("fence", "");
    let mut found = bench.sound(2);
    found.checked.promotion.as_mut().unwrap().old_writer = OldWriter::Unknown;
    found.checked.promotion.as_mut().unwrap().quorum = Some(false);
    bench.prepared("promote", found.clone());
    let reason = String::from("it has to be");
    let ask = Ask::Override { run: bench.run(), step: "promote".into(), phrase: "override db".into(), reason };
    assert_eq!(bench.phase("promote"), StepPhase::Blocked);
    bench.pass(70);
    look(&mut bench, "promote", found);
    assert_eq!(bench.phase("promote"), StepPhase::Blocked);
    assert_eq!(bench.effects_on("promote", apply), 0);
    bench.ask(ask).unwrap();
    assert_eq!(bench.effects_on("promote", apply), 1, "on fresh evidence it is overridden");
    // Late news of a look changes nothing of a step that has gone on.
    let done = Preparation { observed: Observed::Done { detail: "late".into() }, ..bench.sound(2) };
    let before = bench.records.len();
    look(&mut bench, "promote", done);
    assert_eq!(bench.records.len(), before);
}
