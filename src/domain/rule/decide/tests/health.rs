//! What the rules say of health that they could not see, and of trouble that nobody saw begin.

use super::bench::{Bench, STANDBY, apply};
use crate::domain::fact::clocks::Onset;
use crate::domain::fact::command::Ask;
use crate::domain::fact::guard::GuardVerdict;
use crate::domain::fact::health::Status;
use crate::domain::fact::recovery::Loss;
use crate::domain::fact::run::{Mode, StepPhase};
use crate::domain::rule::verdict;
use crate::domain::spec::classes::Tier;
use crate::domain::spec::severity::Severity;
use crate::domain::time::seconds_between;

/// A run that has come to the step that moves traffic.
fn before_traffic() -> Bench {
    let mut bench = Bench::running();
    for (name, phrase) in [("fence", ""), ("scale", ""), ("promote", "db"), ("measure", "")] {
        bench.finish(name, phrase);
    }
    assert_eq!(bench.phase("dns"), StepPhase::Preparing);
    bench
}

fn standby(bench: &mut Bench) -> (GuardVerdict, String) {
    bench.prepared("dns", bench.sound(2));
    let card = bench.at("dns").card.as_ref().unwrap();
    let guard = card.guards.iter().find(|guard| guard.name == "standby-healthy").unwrap();
    (guard.verdict, guard.detail.clone())
}

#[test]
fn clients_are_not_sent_to_what_could_not_be_looked_at() {
    type Row = (&'static str, fn(&mut Bench), GuardVerdict, &'static str);
    let rows: [Row; 7] = [
        ("healthy", |_| {}, GuardVerdict::Pass, "are healthy"),
        ("slow", |bench| bench.probe(STANDBY, Status::Degraded), GuardVerdict::Warn, "not well: api is degraded"),
        ("down", |bench| bench.probe(STANDBY, Status::Down), GuardVerdict::Block, "api is down"),
        ("refused", |bench| bench.probe(STANDBY, Status::Unknown), GuardVerdict::Block, "api is unknown"),
        ("no reading", |bench| bench.readings.clear(), GuardVerdict::Block, "not looked at since this engine started"),
        ("too old", |bench| bench.stall(20), GuardVerdict::Block, "the last reading is too old"),
        ("no probe", |bench| bench.estate.probes.clear(), GuardVerdict::Block, "no probe looks at it"),
    ];
    for (what, so, verdict, words) in rows {
        let mut bench = before_traffic();
        so(&mut bench);
        let (seen, detail) = standby(&mut bench);
        assert!(seen == verdict && detail.contains(words), "{what}: {seen:?}, {detail}");
    }
}

#[test]
fn where_no_service_is_critical_nothing_says_that_the_standby_can_serve() {
    let mut bench = before_traffic();
    bench.estate.services[0].tier = Tier::Standard;
    let (seen, detail) = standby(&mut bench);
    assert!(seen == GuardVerdict::Warn && detail.contains("no service is critical"), "{seen:?}, {detail}");
}

#[test]
fn a_card_of_an_earlier_life_is_made_again_and_by_what_this_life_sees() {
    let mut bench = before_traffic();
    assert_eq!(standby(&mut bench).0, GuardVerdict::Pass);
    assert_eq!(bench.phase("dns"), StepPhase::Gated);
    let confirm = |bench: &mut Bench, uid| {
        let ask = Ask::Confirm { run: bench.run(), step: "dns".into(), phrase: String::new(), seen: None };
        let origin = crate::domain::actor::Origin::CommandLine;
        bench.ask_as(super::bench::operator(if uid == 1 { "ann" } else { "bob" }, uid), origin, ask)
    };
    bench.restart();
    let refused = confirm(&mut bench, 1);
    assert!(refused.is_err() || bench.phase("dns") != StepPhase::Ready, "{refused:?}");
    bench.probe(STANDBY, Status::Down);
    if bench.phase("dns") == StepPhase::Preparing {
        let (seen, detail) = standby(&mut bench);
        assert!(seen == GuardVerdict::Block && detail.contains("api is down"), "{detail}");
    }
    let _ = (confirm(&mut bench, 1), confirm(&mut bench, 2));
    assert_eq!(bench.effects_on("dns", apply), 0, "clients would have been sent to a dark region");
}

#[test]
fn a_step_that_moves_clients_waits_for_the_first_looks_of_a_new_engine() {
    let mut bench = Bench::running();
    for (name, phrase) in [("fence", ""), ("scale", ""), ("promote", "db")] {
        bench.finish(name, phrase);
    }
    bench.restart();
    bench.finish("measure", "");
    assert_eq!(bench.phase("dns"), StepPhase::Waiting, "nothing is known of the standby yet");
    // The first look confirms what the journal holds: nothing new is written, and what waited for it goes on.
    let before = bench.records.len();
    bench.probe(STANDBY, Status::Healthy);
    assert_eq!(bench.phase("dns"), StepPhase::Preparing);
    assert_eq!(bench.records.len(), before + 1, "{:?}", bench.records.last());
    assert_eq!(standby(&mut bench).0, GuardVerdict::Pass);
}

#[test]
fn while_nothing_fails_a_loss_is_counted_from_now() {
    let mut bench = Bench::new();
    bench.probe(STANDBY, Status::Healthy);
    bench.probe("us-east-1", Status::Healthy);
    let title = "leave on purpose".into();
    bench.ask(Ask::Declare { title, severity: Severity::Sev3, drill: false }).unwrap();
    bench.start(Mode::Live, false).unwrap();
    bench.finish("fence", "");
    bench.pass(3600);
    // The copy stopped ten minutes before the declaration, and clients have been writing for an hour since.
    bench.prepared("promote", bench.sound(4200));
    let card = bench.at("promote").card.as_ref().unwrap();
    assert_eq!(card.loss.unwrap().1, Loss::Estimated { seconds: 4200.0 });
    let guard = card.guards.iter().find(|guard| guard.name == "expected-loss").unwrap();
    assert_eq!(guard.verdict, GuardVerdict::Block, "{}", guard.detail);
}

fn declared(bench: &mut Bench) {
    bench.ask(Ask::Declare { title: "east".into(), severity: Severity::Sev1, drill: false }).unwrap();
}

#[test]
fn a_failure_that_nobody_saw_begin_began_no_later_than_the_first_look() {
    let mut bench = Bench::new();
    bench.probe(STANDBY, Status::Healthy);
    let first_look = bench.now;
    bench.probe_since("us-east-1", Status::Down, None);
    bench.pass(30);
    declared(&mut bench);
    let incident = bench.state.incident.clone().unwrap();
    assert_eq!(incident.clocks.disruption(), Some((first_look, Onset::NotLater)));
    let rto = &verdict::rto(&bench.estate, &incident, bench.now)[0];
    assert_eq!((rto.elapsed, rto.at_least, rto.met), (Some(30.0), true, None));
    // It was back within what was promised, counted from the first look: whether that is all of it nobody knows.
    let mut back = incident.clone();
    back.clocks.t5.insert(Tier::Critical, bench.now);
    assert_eq!(verdict::rto(&bench.estate, &back, bench.now)[0].met, None);
    // What is too long already by a lower bound is too long.
    bench.pass(300);
    assert_eq!(verdict::rto(&bench.estate, &incident, bench.now)[0].met, Some(false));
}

#[test]
fn a_flap_declared_in_a_good_phase_began_with_its_first_failure() {
    let mut bench = Bench::new();
    bench.probe(STANDBY, Status::Healthy);
    bench.probe("us-east-1", Status::Healthy);
    bench.pass(600);
    let began = crate::domain::time::before(bench.now, std::time::Duration::from_secs(5));
    for _ in 0..3 {
        bench.probe("us-east-1", Status::Down);
        bench.pass(30);
        bench.probe("us-east-1", Status::Healthy);
        bench.pass(30);
    }
    declared(&mut bench);
    let clocks = bench.state.incident.as_ref().unwrap().clocks.clone();
    assert_eq!(clocks.disruption(), Some((began, Onset::Seen)));
    assert!(clocks.well_when_declared);
    // Clients write in the good phases: what the copy lacks of that is lost, too.
    bench.start(Mode::Live, false).unwrap();
    bench.finish("fence", "");
    bench.prepared("promote", bench.sound(100));
    assert_eq!(bench.at("promote").card.as_ref().unwrap().loss.unwrap().1, Loss::Estimated { seconds: 100.0 });
}

#[test]
fn a_flap_declared_in_a_bad_phase_counts_losses_from_its_last_good_one() {
    let mut bench = Bench::new();
    bench.probe(STANDBY, Status::Healthy);
    bench.probe("us-east-1", Status::Healthy);
    bench.pass(600);
    let began = crate::domain::time::before(bench.now, std::time::Duration::from_secs(5));
    bench.probe("us-east-1", Status::Down);
    bench.pass(30);
    bench.probe("us-east-1", Status::Healthy);
    bench.pass(60);
    bench.probe("us-east-1", Status::Down);
    bench.pass(10);
    declared(&mut bench);
    let clocks = &bench.state.incident.as_ref().unwrap().clocks;
    assert_eq!(clocks.disruption(), Some((began, Onset::Seen)));
    assert_eq!(seconds_between(clocks.written_until().unwrap(), bench.now), 15.0);
}

#[test]
fn trouble_that_was_over_for_long_or_was_closed_is_another() {
    let mut bench = Bench::new();
    bench.probe("us-east-1", Status::Healthy);
    bench.pass(60);
    bench.probe("us-east-1", Status::Down);
    bench.pass(30);
    bench.probe("us-east-1", Status::Healthy);
    bench.pass(301);
    declared(&mut bench);
    assert_eq!(bench.state.incident.as_ref().unwrap().clocks.disruption().unwrap().1, Onset::Declaration);

    let mut again = Bench::new();
    again.probe("us-east-1", Status::Healthy);
    again.probe("us-east-1", Status::Down);
    declared(&mut again);
    again.pass(30);
    again.probe("us-east-1", Status::Healthy);
    again.ask(Ask::CloseIncident { note: "over".into(), despite: "a test".into(), tell: false }).unwrap();
    again.pass(10);
    declared(&mut again);
    assert_eq!(again.state.incident.as_ref().unwrap().clocks.disruption().unwrap().1, Onset::Declaration);
}
