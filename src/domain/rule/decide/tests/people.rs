//! The rules on steps that need two people, and on whose a session is.

use super::bench::{Bench, STANDBY, apply, operator};
use crate::domain::actor::{Actor, Origin};
use crate::domain::fact::command::{Ask, RefusalReason as Why};
use crate::domain::fact::event::Event;
use crate::domain::fact::health::Status;
use crate::domain::fact::run::{Instead, StepPhase};

fn at_the_gate() -> Bench {
    let mut bench = Bench::running();
    for (name, phrase) in [("fence", ""), ("scale", ""), ("promote", "db"), ("measure", "")] {
        bench.finish(name, phrase);
    }
    bench.prepared("dns", bench.sound(2));
    bench
}

fn asks(bench: &Bench) -> [(Ask, StepPhase); 3] {
    let (run, step, reason) = (bench.run(), || "dns".into(), || "moved by the provider".to_owned());
    [
        (Ask::Confirm { run: run.clone(), step: step(), phrase: String::new(), seen: None }, StepPhase::Applying),
        (Ask::Skip { run: run.clone(), step: step(), reason: reason() }, StepPhase::Skipped),
        (Ask::MarkDone { run, step: step(), reason: reason() }, StepPhase::ByHand),
    ]
}

/// What becomes of it when `who` asks.
fn asked(bench: &mut Bench, who: &Actor, ask: &Ask) -> Result<(), Why> {
    let answer = bench.ask_as(who.clone(), Origin::CommandLine, ask.clone());
    answer.map(drop).map_err(|refusal| refusal.reason)
}

#[test]
fn whatever_ends_a_step_for_two_needs_two() {
    let (ann, bob) = (operator("ann", 1), operator("bob", 2));
    for (ask, end) in asks(&at_the_gate()) {
        let mut bench = at_the_gate();
        assert_eq!(asked(&mut bench, &ann, &ask), Ok(()));
        assert_eq!(bench.phase("dns"), StepPhase::Gated, "{ask:?} by one person");
        assert_eq!(asked(&mut bench, &operator("ann again", 1), &ask), Err(Why::SecondPerson));
        assert_eq!(asked(&mut bench, &bob, &ask), Ok(()));
        assert_eq!(bench.phase("dns"), end, "{ask:?}");
    }
}

#[test]
fn nobody_in_particular_is_one_of_two() {
    let root = operator("root", 0);
    let unknown = Actor { nameless: true, ..operator("uid 4242", 4242) };
    let su = Actor { login: Some(1), ..operator("deploy", 7) };
    let ann = Actor { login: Some(1), ..operator("ann", 1) };
    for (ask, end) in asks(&at_the_gate()) {
        let mut bench = at_the_gate();
        for who in [&root, &unknown] {
            assert_eq!(asked(&mut bench, who, &ask), Err(Why::SecondPerson), "{ask:?} by {who} as the first");
        }
        assert_eq!(asked(&mut bench, &ann, &ask), Ok(()));
        for who in [&root, &unknown, &su] {
            assert_eq!(asked(&mut bench, who, &ask), Err(Why::SecondPerson), "{ask:?} by {who} as the second");
        }
        assert_eq!(bench.phase("dns"), StepPhase::Gated);
        assert_eq!(asked(&mut bench, &operator("bob", 2), &ask), Ok(()));
        assert_eq!(bench.phase("dns"), end);
    }
}

#[test]
fn two_different_wishes_are_no_agreement() {
    let mut bench = at_the_gate();
    let [(confirm, _), (skip, _), (done, _)] = asks(&bench);
    let (ann, bob) = (operator("ann", 1), operator("bob", 2));
    for (who, ask) in [(&ann, &confirm), (&ann, &skip), (&bob, &done)] {
        assert_eq!(asked(&mut bench, who, ask), Ok(()));
        assert_eq!(bench.phase("dns"), StepPhase::Gated, "{ask:?}");
    }
    let wanted = bench.state.run.as_ref().unwrap().step(&"dns".into()).unwrap().wanted.clone().unwrap();
    assert_eq!((wanted.by.name.as_str(), wanted.wish), ("bob", Instead::Done));
    assert_eq!(asked(&mut bench, &ann, &done), Ok(()));
    assert_eq!(bench.phase("dns"), StepPhase::ByHand);
}

#[test]
fn an_override_for_two_goes_past_no_guard_that_the_first_has_not_seen() {
    let mut bench = at_the_gate();
    let (ann, bob) = (operator("ann", 1), operator("bob", 2));
    let (run, phrase) = (bench.run(), "override db".to_owned());
    let over = Ask::Override { run: run.clone(), step: "dns".into(), phrase, reason: "we know".into() };
    let refresh = Ask::Refresh { run: run.clone(), step: "dns".into() };
    // One confirmed while nothing stood against it; that is no agreement to go past what came later.
    let [(confirm, _), ..] = asks(&bench);
    assert_eq!(asked(&mut bench, &ann, &confirm), Ok(()));
    bench.probe(STANDBY, Status::Down);
    assert_eq!(asked(&mut bench, &ann, &refresh), Ok(()));
    bench.prepared("dns", bench.sound(2));
    assert_eq!(bench.phase("dns"), StepPhase::Blocked);
    assert_eq!(asked(&mut bench, &bob, &over), Ok(()));
    assert_eq!((bench.phase("dns"), bench.effects_on("dns", apply)), (StepPhase::Blocked, 0), "one person overrode");
    assert_eq!(asked(&mut bench, &bob, &over), Err(Why::SecondPerson));
    // Seen by the second, and not by the first.
    let mut more = bench.sound(2);
    more.checked.guards.push(crate::domain::fact::guard::Guard::block("quota", "the quota is used up"));
    assert_eq!(asked(&mut bench, &ann, &refresh), Ok(()));
    bench.prepared("dns", more);
    assert_eq!(asked(&mut bench, &ann, &over), Ok(()));
    assert_eq!((bench.phase("dns"), bench.effects_on("dns", apply)), (StepPhase::Blocked, 0), "past an unseen guard");
    assert_eq!(asked(&mut bench, &bob, &over), Ok(()));
    assert_eq!(bench.effects_on("dns", apply), 1);
    let overridden = bench.records.iter().filter(|it| matches!(it.event, Event::GuardsOverridden { .. })).count();
    assert_eq!(overridden, 1);
}

#[test]
fn a_step_that_is_tried_anew_needs_both_anew() {
    let mut bench = at_the_gate();
    let [_, (skip, _), _] = asks(&bench);
    let (ann, bob) = (operator("ann", 1), operator("bob", 2));
    bench.probe(STANDBY, Status::Down);
    let (refresh, retry) = (
        Ask::Refresh { run: bench.run(), step: "dns".into() },
        Ask::Retry { run: bench.run(), step: "dns".into(), reason: "x".into() },
    );
    assert_eq!(asked(&mut bench, &ann, &refresh), Ok(()));
    bench.prepared("dns", bench.sound(2));
    assert_eq!(asked(&mut bench, &ann, &skip), Ok(()));
    assert_eq!(asked(&mut bench, &ann, &retry), Ok(()));
    bench.prepared("dns", bench.sound(2));
    assert_eq!(asked(&mut bench, &bob, &skip), Ok(()));
    assert_eq!(bench.phase("dns"), StepPhase::Blocked, "the first one's wish was of another try");
}

#[test]
fn a_session_is_its_users() {
    let mut bench = Bench::running();
    bench.prepared("fence", bench.sound(2));
    bench.ask_in_cockpit("s", Ask::Arm {}).unwrap();
    let origin = Origin::Cockpit { session: "s".into(), read_only: false };
    let confirm = Ask::Confirm { run: bench.run(), step: "fence".into(), phrase: String::new(), seen: None };
    for ask in [Ask::Disarm {}, Ask::Arm {}, confirm.clone()] {
        let refused = bench.ask_as(operator("mallory", 66), origin.clone(), ask).unwrap_err();
        assert_eq!(refused.reason, Why::NotArmed);
    }
    bench.ask_in_cockpit("s", confirm).unwrap();
    assert_eq!(bench.effects_on("fence", apply), 1);
}
