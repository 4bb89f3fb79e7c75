use super::bench::{Bench, STANDBY, apply, operator, step};
use crate::domain::actor::Origin;
use crate::domain::fact::command::{Ask, Effect, RefusalReason as Why, Report};
use crate::domain::fact::comms::Beside;
use crate::domain::fact::event::Event;
use crate::domain::fact::guard::{Guard, GuardVerdict};
use crate::domain::fact::health::Status;
use crate::domain::fact::incident::Phase;
use crate::domain::fact::recovery::Loss;
use crate::domain::fact::run::{Mode, StepPhase};
use crate::domain::fact::system::{Observed, OldWriter, Verified};
use crate::domain::fault::Fault;
use crate::domain::rule::{comms, verdict};
use crate::domain::spec::comms::Purpose;
use crate::domain::spec::estate::OnTrigger;
use crate::domain::spec::kinds::StepRole;
use crate::domain::spec::plan::Gate;
use crate::domain::spec::probe::{ProbeSpec, Subject};
use crate::domain::spec::severity::Severity;

#[test]
fn a_whole_failover_sets_every_clock() {
    let mut bench = Bench::running();
    for (name, phrase) in
        [("fence", ""), ("scale", ""), ("promote", "db"), ("measure", ""), ("dns", ""), ("client", "")]
    {
        bench.pass(10);
        bench.finish(name, phrase);
        assert_eq!(bench.phase(name), StepPhase::Done, "{name}");
    }
    let run = bench.state.run.as_ref().unwrap();
    assert!(!run.is_open());
    assert_eq!(bench.state.serving(&bench.estate).as_str(), STANDBY);
    let incident = bench.state.incident.as_ref().unwrap();
    assert_eq!(incident.phase, Phase::Recovered);
    let clocks = &incident.clocks;
    assert!(clocks.t1 < clocks.t2 && clocks.t2 < clocks.t3 && clocks.t3 < clocks.t4, "{clocks:?}");
    assert!(!clocks.t0_is_declaration);
    let rto = &verdict::rto(&bench.estate, incident, bench.now)[0];
    // 5 s before the failure was seen, 10 s to the declaration, 60 s of steps.
    assert_eq!((rto.elapsed, rto.since_declared, rto.met), (Some(75.0), Some(60.0), Some(true)));
}

#[test]
fn a_system_of_no_region_that_fails_is_no_disruption_of_clients() {
    let mut bench = Bench::new();
    let like = bench.estate.probes[0].clone();
    bench.estate.probes.push(ProbeSpec {
        id: "api@dns".into(),
        subject: Subject::System("dns".into()),
        region: None,
        ..like
    });
    bench.probe("us-east-1", Status::Healthy);
    bench.probe("dns", Status::Down);
    bench.pass(3600);
    let declared = |mut bench: Bench| {
        bench.ask(Ask::Declare { title: "dark".into(), severity: Severity::Sev1, drill: false }).unwrap();
        bench.state.incident.unwrap().clocks
    };
    let mut dark = Bench { estate: bench.estate.clone(), plans: bench.plans.clone(), ..Bench::new() };
    (dark.state, dark.readings, dark.now) = (bench.state.clone(), bench.readings.clone(), bench.now);
    assert!(declared(bench).t0_is_declaration, "an API that puts off whoever asks is no outage");
    dark.probe("us-east-1", Status::Down);
    dark.pass(10);
    let (now, clocks) = (dark.now, declared(dark));
    let t0 = clocks.disruption().unwrap().0;
    assert!(!clocks.t0_is_declaration && crate::domain::time::seconds_between(t0, now) < 60.0, "{clocks:?}");
}

#[test]
fn looking_changes_nothing() {
    let mut bench = Bench::running();
    bench.prepared("fence", bench.sound(2));
    let confirm = Ask::Confirm { run: bench.run(), step: "fence".into(), phrase: String::new(), seen: None };
    let refused = bench.ask_in_cockpit("one", confirm.clone()).unwrap_err();
    assert_eq!(refused.reason, Why::NotArmed);
    bench.ask_in_cockpit("two", Ask::Arm {}).unwrap();
    assert_eq!(bench.ask_in_cockpit("one", confirm.clone()).unwrap_err().reason, Why::NotArmed);
    bench.pass(3600);
    assert_eq!(bench.ask_in_cockpit("two", confirm.clone()).unwrap_err().reason, Why::NotArmed, "arming expires");
    let read_only = Origin::Cockpit { session: "two".into(), read_only: true };
    for ask in [Ask::Arm {}, Ask::Hold { reason: String::new() }, confirm] {
        let refused = bench.ask_as(operator("ann", 1), read_only.clone(), ask).unwrap_err();
        assert_eq!(refused.reason, Why::ReadOnly);
    }
    assert_eq!(bench.effects_on("fence", apply), 0);
}

#[test]
fn a_new_engine_disarms_every_cockpit() {
    let mut bench = Bench::running();
    bench.ask_in_cockpit("one", Ask::Arm {}).unwrap();
    bench.report(Report::Started { version: "2".into(), anchor: None, drift: Default::default() });
    assert!(bench.state.armed.is_empty());
}

#[test]
fn nothing_starts_under_hold_and_it_survives_a_restart() {
    let mut bench = Bench::running();
    bench.prepared("fence", bench.sound(2));
    bench.prepared("scale", bench.sound(2));
    bench.confirm("fence", "").unwrap();
    bench.ask(Ask::Hold { reason: "wait".into() }).unwrap();
    bench.confirm("scale", "").unwrap();
    assert_eq!(bench.phase("scale"), StepPhase::Ready, "answered, but held");
    bench.applied("fence");
    bench.verified("fence");
    assert_eq!(bench.phase("fence"), StepPhase::Done, "what was in flight finishes");
    assert_eq!(bench.phase("promote"), StepPhase::Waiting, "what comes after does not begin");
    bench.restart();
    assert_eq!(bench.effects_on("scale", apply), 0);
    bench.ask(Ask::Release { reason: String::new() }).unwrap();
    assert_eq!(bench.effects_on("scale", apply), 0, "its evidence is of another engine's life");
    bench.prepared("scale", bench.sound(2));
    assert_eq!(bench.effects_on("scale", apply), 1, "and its answer stands");
    assert_eq!(bench.phase("promote"), StepPhase::Preparing);
}

#[test]
fn one_run_at_a_time() {
    let mut bench = Bench::running();
    assert_eq!(bench.start(Mode::Live, false).unwrap_err().reason, Why::Conflict);
    assert_eq!(bench.start(Mode::Rehearsal, false).unwrap_err().reason, Why::Conflict);
}

#[test]
fn a_live_run_needs_an_incident_and_an_incident_stays_open_during_one() {
    let mut bench = Bench::new();
    assert_eq!(bench.start(Mode::Live, false).unwrap_err().reason, Why::Conflict);
    let mut bench = Bench::running();
    assert_eq!(
        bench.ask(Ask::CloseIncident { note: String::new(), despite: String::new(), tell: false }).unwrap_err().reason,
        Why::Conflict
    );
}

fn blocks(bench: &Bench, step: &str) -> Vec<String> {
    bench.at(step).card.as_ref().unwrap().blocks().map(|guard| guard.name.clone()).collect()
}

/// A run whose fence was skipped, with the promotion prepared on these facts.
fn promotion(old_writer: OldWriter, quorum: Option<bool>, lost: Option<u64>) -> Bench {
    let mut bench = Bench::running();
    bench.prepared("fence", bench.sound(2));
    bench.ask(Ask::Skip { run: bench.run(), step: "fence".into(), reason: "test".into() }).unwrap();
    let mut found = bench.sound(lost.unwrap_or(0));
    let facts = found.checked.promotion.as_mut().unwrap();
    (facts.old_writer, facts.quorum) = (old_writer, quorum);
    if lost.is_none() {
        facts.recovery_point = None;
    }
    bench.prepared("promote", found);
    bench
}

#[test]
fn a_promotion_is_refused_on_each_count() {
    let cases = [
        (OldWriter::Reachable, None, Some(30), vec!["old-writer"]),
        (OldWriter::Unknown, None, Some(30), vec!["old-writer"]),
        (OldWriter::Unreachable, Some(false), Some(30), vec!["quorum"]),
        (OldWriter::Unreachable, Some(true), None, vec!["expected-loss"]),
        (OldWriter::Unreachable, Some(true), Some(7200), vec!["expected-loss"]),
        (OldWriter::Fenced, Some(true), Some(30), vec![]),
        // The handover demotes it: no fence is needed, and what it takes until then still counts.
        (OldWriter::HandsOver, Some(true), Some(30), vec![]),
        (OldWriter::HandsOver, Some(false), Some(30), vec!["quorum"]),
        (OldWriter::HandsOver, Some(true), None, vec!["expected-loss"]),
    ];
    for (writer, quorum, lost, expected) in cases {
        let bench = promotion(writer, quorum, lost);
        assert_eq!(blocks(&bench, "promote"), expected, "{writer:?} {quorum:?} {lost:?}");
        let phase = if expected.is_empty() { StepPhase::Gated } else { StepPhase::Blocked };
        assert_eq!(bench.phase("promote"), phase);
    }
}

#[test]
fn a_promotion_without_facts_is_refused() {
    let mut bench = Bench::running();
    bench.finish("fence", "");
    let mut found = bench.sound(2);
    found.checked.promotion = None;
    bench.prepared("promote", found);
    assert_eq!(blocks(&bench, "promote"), ["facts"]);
    assert_eq!(bench.at("promote").card.as_ref().unwrap().loss.unwrap().1, Loss::Unknown);
}

#[test]
fn a_fence_in_effect_allows_a_reachable_writer() {
    let mut bench = Bench::running();
    bench.finish("fence", "");
    let mut found = bench.sound(2);
    found.checked.promotion.as_mut().unwrap().old_writer = OldWriter::Reachable;
    bench.prepared("promote", found);
    assert_eq!(bench.phase("promote"), StepPhase::Gated);
}

#[test]
fn an_override_takes_the_phrase_and_a_reason_and_is_journalled() {
    let mut bench = promotion(OldWriter::Reachable, None, Some(30));
    let ask = |phrase: &str, reason: &str| Ask::Override {
        run: bench.run(),
        step: "promote".into(),
        phrase: phrase.into(),
        reason: reason.into(),
    };
    let (wrong, bare, right) = (ask("db", "why"), ask("override db", " "), ask("override db", "it is cut off"));
    assert_eq!(bench.ask(wrong).unwrap_err().reason, Why::WrongPhrase);
    assert_eq!(bench.ask(bare).unwrap_err().reason, Why::ReasonMissing);
    bench.ask(right).unwrap();
    assert_eq!(bench.effects_on("promote", apply), 1);
    let is_override = |event: &Event| matches!(event, Event::GuardsOverridden { guards, reason, .. } if guards == &["old-writer"] && reason == "it is cut off");
    assert_eq!(bench.events(is_override), 1);
}

#[test]
fn what_is_impossible_cannot_be_overridden() {
    let mut bench = Bench::running();
    let mut found = bench.sound(2);
    found.observed = Observed::Impossible { why: "there is no replica".into() };
    bench.prepared("fence", found);
    let ask =
        Ask::Override { run: bench.run(), step: "fence".into(), phrase: "override db".into(), reason: "x".into() };
    assert_eq!(bench.ask(ask).unwrap_err().reason, Why::Unsafe);
}

#[test]
fn a_typed_gate_asks_for_the_name() {
    let mut bench = Bench::running();
    bench.finish("fence", "");
    bench.prepared("promote", bench.sound(2));
    assert_eq!(bench.confirm("promote", "").unwrap_err().reason, Why::WrongPhrase);
    bench.confirm("promote", "db").unwrap();
    assert_eq!(bench.effects_on("promote", apply), 1);
}

#[test]
fn two_persons_are_two_user_ids() {
    let mut bench = Bench::running();
    for (name, phrase) in [("fence", ""), ("scale", ""), ("promote", "db"), ("measure", "")] {
        bench.finish(name, phrase);
    }
    bench.prepared("dns", bench.sound(2));
    bench.confirm("dns", "").unwrap();
    assert_eq!(bench.phase("dns"), StepPhase::Gated);
    let confirm = Ask::Confirm { run: bench.run(), step: "dns".into(), phrase: String::new(), seen: None };
    let again = bench.ask_as(operator("ann by another name", 1), Origin::CommandLine, confirm.clone());
    assert_eq!(again.unwrap_err().reason, Why::SecondPerson);
    bench.ask_as(operator("bob", 2), Origin::CommandLine, confirm).unwrap();
    assert_eq!(bench.effects_on("dns", apply), 1);
}

#[test]
fn dns_moves_last() {
    let mut bench = Bench::running();
    for (name, phrase) in [("fence", ""), ("scale", ""), ("promote", "db")] {
        bench.finish(name, phrase);
    }
    let mut early = bench.plans[0].as_ref().clone();
    early.steps[4].needs = vec!["measure".into()];
    let what: Vec<String> = early.mistakes().into_iter().map(|mistake| mistake.what).collect();
    assert_eq!(what, ["moves traffic without waiting for `scale`, which gives the standby capacity"]);

    bench.probe(STANDBY, Status::Down);
    bench.finish("measure", "");
    bench.prepared("dns", bench.sound(2));
    assert_eq!(blocks(&bench, "dns"), ["standby-healthy"]);
    bench.probe(STANDBY, Status::Healthy);
    bench.ask(Ask::Refresh { run: bench.run(), step: "dns".into() }).unwrap();
    bench.prepared("dns", bench.sound(2));
    assert_eq!(bench.phase("dns"), StepPhase::Gated);
}

#[test]
fn dns_does_not_move_past_a_skipped_promotion() {
    let mut bench = Bench::running();
    bench.finish("fence", "");
    bench.finish("scale", "");
    bench.prepared("promote", bench.sound(2));
    bench.ask(Ask::Skip { run: bench.run(), step: "promote".into(), reason: "test".into() }).unwrap();
    bench.finish("measure", "");
    bench.prepared("dns", bench.sound(2));
    assert_eq!(blocks(&bench, "dns"), ["stores-writable"]);
}

#[test]
fn a_rehearsal_applies_nothing() {
    let mut bench = Bench::new();
    bench.probe(STANDBY, Status::Healthy);
    bench.start(Mode::Rehearsal, false).unwrap();
    for name in ["fence", "promote", "scale", "measure", "dns", "client"] {
        bench.prepared(name, bench.sound(2));
        assert_eq!(bench.phase(name), StepPhase::Rehearsed);
    }
    assert!(!bench.state.run.as_ref().unwrap().is_open());
    assert!(bench.effects.iter().all(|effect| matches!(effect, Effect::Prepare(_))), "{:?}", bench.effects);
}

#[test]
fn a_rehearsal_in_an_incident_is_told_to_nobody() {
    let mut bench = Bench::new();
    bench.probe(STANDBY, Status::Healthy);
    bench.ask(Ask::Declare { title: "east is dark".into(), severity: Severity::Sev1, drill: false }).unwrap();
    bench.start(Mode::Rehearsal, false).unwrap();
    for name in ["fence", "promote", "scale", "measure", "dns", "client"] {
        bench.prepared(name, bench.sound(2));
    }
    assert!(!bench.state.run.as_ref().unwrap().is_open());
    let incident = bench.state.incident.as_ref().unwrap();
    let (purpose, beside) = (Purpose::Investigating, Beside::default());
    let told = comms::facts(&bench.estate, (&bench.state, &bench.readings), incident, purpose, &beside, bench.now);
    assert_eq!(told.run, None, "nobody is told that anything was recovered");
    assert!(incident.clocks.t3.is_none() && incident.clocks.t5.is_empty() && incident.touched.is_empty());
    assert!(bench.state.history.is_empty() && bench.state.moved.is_none());
}

#[test]
fn unattended_answers_only_what_the_plan_allows() {
    let mut bench = Bench::new();
    bench.ask(Ask::Declare { title: "x".into(), severity: Severity::Sev2, drill: false }).unwrap();
    bench.start(Mode::Live, true).unwrap();
    bench.prepared("fence", bench.sound(2));
    assert_eq!(bench.effects_on("fence", apply), 1);
    bench.applied("fence");
    bench.verified("fence");
    bench.prepared("promote", bench.sound(2));
    assert_eq!(bench.phase("promote"), StepPhase::Gated, "a typed gate waits for a human unless the plan says yes");
}

#[test]
fn old_evidence_is_not_confirmed() {
    let mut bench = Bench::running();
    bench.prepared("fence", bench.sound(2));
    bench.pass(61);
    let decision = bench.confirm("fence", "").unwrap();
    assert!(decision.note.unwrap().contains("evidence is old"));
    assert_eq!((bench.phase("fence"), bench.effects_on("fence", apply)), (StepPhase::Preparing, 0));
}

fn applying() -> Bench {
    let mut bench = Bench::running();
    bench.prepared("fence", bench.sound(2));
    bench.confirm("fence", "").unwrap();
    bench
}

fn outcome(bench: &mut Bench, fault: Fault) {
    let (run, attempt) = (bench.run(), bench.at("fence").attempts);
    bench.report(Report::Applied { run, step: "fence".into(), attempt, outcome: Err(fault) });
}

#[test]
fn a_transient_failure_is_tried_again_a_bounded_number_of_times() {
    let mut bench = applying();
    for pause in [1, 2, 4, 8] {
        outcome(&mut bench, Fault::transient("db", "throttled"));
        assert_eq!(bench.phase("fence"), StepPhase::Retrying);
        let due = Report::RetryDue { run: bench.run(), step: "fence".into() };
        bench.report(due.clone());
        assert_eq!(bench.phase("fence"), StepPhase::Retrying, "not due yet");
        bench.pass(pause);
        bench.report(due);
        assert_eq!(bench.phase("fence"), StepPhase::Preparing, "observed again first");
        bench.prepared("fence", bench.sound(2));
        assert_eq!(bench.phase("fence"), StepPhase::Applying, "the gate was answered already");
    }
    outcome(&mut bench, Fault::transient("db", "throttled"));
    assert_eq!(bench.phase("fence"), StepPhase::Failed);
}

#[test]
fn what_may_have_happened_is_observed_before_anything_else() {
    let mut bench = applying();
    outcome(&mut bench, Fault::ambiguous("db", "timed out"));
    assert_eq!(bench.phase("fence"), StepPhase::Observing);
    assert_eq!(bench.effects_on("fence", apply), 1);
    let run = bench.run();
    bench.report(Report::Observed {
        run,
        step: "fence".into(),
        outcome: Ok(Observed::Done { detail: "it is".into() }),
    });
    assert_eq!((bench.phase("fence"), bench.effects_on("fence", apply)), (StepPhase::Verifying, 1));
}

#[test]
fn what_cannot_be_known_is_asked() {
    let mut bench = applying();
    bench.report(Report::Started { version: "2".into(), anchor: None, drift: Default::default() });
    assert_eq!(bench.phase("fence"), StepPhase::Observing, "the engine died while it was applied");
    let why = "the script has no observe command".to_owned();
    bench.report(Report::Observed {
        run: bench.run(),
        step: "fence".into(),
        outcome: Ok(Observed::Unknowable { why }),
    });
    assert_eq!(bench.phase("fence"), StepPhase::Asking);
    assert_eq!(bench.effects_on("fence", apply), 1);
    bench.ask(Ask::MarkDone { run: bench.run(), step: "fence".into(), reason: "I looked".into() }).unwrap();
    assert_eq!(bench.phase("fence"), StepPhase::ByHand);
    assert_eq!(bench.phase("promote"), StepPhase::Preparing);
}

#[test]
fn late_news_change_nothing() {
    let mut bench = applying();
    outcome(&mut bench, Fault::ambiguous("db", "timed out"));
    bench.report(Report::Observed {
        run: bench.run(),
        step: "fence".into(),
        outcome: Ok(Observed::NotDone { detail: "no".into() }),
    });
    assert_eq!(bench.at("fence").attempts, 2);
    let seq = bench.state.seq;
    let outcome = Ok(Default::default());
    bench.report(Report::Applied { run: bench.run(), step: "fence".into(), attempt: 1, outcome });
    assert_eq!(bench.state.seq, seq, "the first attempt's answer came after the second began");
}

#[test]
fn a_step_is_reverted_only_from_the_end_and_only_if_it_can_be() {
    let mut bench = Bench::running();
    for (name, phrase) in [("fence", ""), ("scale", ""), ("promote", "db"), ("measure", ""), ("dns", "")] {
        bench.finish(name, phrase);
    }
    let mut revert = |step: &str| {
        let ask = Ask::Revert { run: bench.run(), step: step.into(), reason: "back".into() };
        bench.ask(ask).map(|_| ()).map_err(|refusal| refusal.reason)
    };
    assert_eq!(revert("scale"), Err(Why::Conflict), "dns rests on it");
    assert_eq!(revert("promote"), Err(Why::Unsafe), "there is no way back");
    revert("dns").unwrap();
    let outcome = Ok(Default::default());
    bench.report(Report::Reverted { run: bench.run(), step: "dns".into(), outcome });
    assert_eq!(bench.phase("dns"), StepPhase::Reverted);
    assert_eq!(bench.state.serving(&bench.estate).as_str(), "us-east-1");
    assert!(bench.state.run.as_ref().unwrap().waits_for_human(false));
}

#[test]
fn words_of_a_human_need_a_reason() {
    let mut bench = Bench::running();
    bench.prepared("fence", bench.sound(2));
    let (run, step) = (bench.run(), "fence");
    for ask in [
        Ask::Skip { run: run.clone(), step: step.into(), reason: " ".into() },
        Ask::MarkDone { run: run.clone(), step: step.into(), reason: String::new() },
        Ask::Abandon { run, reason: "\u{7}".into() },
    ] {
        assert_eq!(bench.ask(ask).unwrap_err().reason, Why::ReasonMissing);
    }
}

#[test]
fn an_effect_that_does_not_show_fails_the_step_and_starts_nothing() {
    let mut bench = applying();
    bench.applied("fence");
    let outcome = Ok(Verified::Pending { detail: "still old".into() });
    bench.report(Report::Verified { run: bench.run(), step: "fence".into(), outcome });
    assert_eq!((bench.phase("fence"), bench.phase("promote")), (StepPhase::Failed, StepPhase::Waiting));
    assert!(bench.at("fence").fault.as_ref().unwrap().what.contains("still old"));
}

#[test]
fn warnings_are_shown_and_block_nothing() {
    let mut bench = Bench::running();
    let mut found = bench.sound(2);
    found.checked.guards = vec![Guard::pass("a", ""), Guard::warn("b", "")];
    bench.prepared("fence", found);
    assert_eq!(bench.phase("fence"), StepPhase::Gated);
    let card = bench.at("fence").card.as_ref().unwrap();
    assert_eq!(card.guards[0].verdict, GuardVerdict::Warn, "what matters comes first");
}

#[test]
fn a_plan_with_a_cycle_or_an_open_end_is_unsound() {
    let mut plan = super::bench::plan();
    plan.steps =
        vec![step("a", StepRole::Checks, Gate::Auto, &["b"]), step("b", StepRole::Changes, Gate::Auto, &["a", "c"])];
    let what: Vec<String> = plan.mistakes().into_iter().map(|mistake| mistake.what).collect();
    assert!(what.contains(&"waits for itself (a → b → a)".to_owned()), "{what:?}");
    assert!(what.contains(&"needs `c`, which is not a step of this plan".to_owned()), "{what:?}");
}

#[test]
fn a_rule_that_is_met_declares_only_where_the_policy_says_so_and_not_what_was_closed() {
    let failing = |on_trigger| {
        let mut bench = Bench::new();
        bench.estate.policy.on_trigger = on_trigger;
        bench.probe("us-east-1", Status::Healthy);
        bench.pass(60);
        bench.probe("us-east-1", Status::Down);
        bench
    };
    let mut bench = failing(OnTrigger::Propose);
    bench.pass(600);
    bench.report(Report::TriggerMet {});
    assert!(bench.state.incident.is_none(), "a trigger proposes, a human declares");

    let mut bench = failing(OnTrigger::Declare);
    bench.report(Report::TriggerMet {});
    assert!(bench.state.incident.is_none(), "it is not met yet");
    bench.pass(600);
    bench.ask(Ask::Hold { reason: String::new() }).unwrap();
    bench.report(Report::TriggerMet {});
    assert!(bench.state.incident.is_none(), "nothing automatic happens on hold");
    bench.ask(Ask::Release { reason: String::new() }).unwrap();
    bench.report(Report::TriggerMet {});
    let incident = bench.state.incident.clone().unwrap();
    assert_eq!((incident.severity, incident.commander), (Severity::Sev1, None));
    assert!(bench.state.run.is_none(), "no run begins by itself");

    bench.ask(Ask::CloseIncident { note: "a false alarm".into(), despite: String::new(), tell: false }).unwrap();
    bench.pass(600);
    bench.report(Report::TriggerMet {});
    assert!(bench.state.incident.is_none(), "a human has looked at this one");
    bench.probe("us-east-1", Status::Healthy);
    bench.pass(60);
    bench.probe("us-east-1", Status::Down);
    bench.pass(600);
    bench.report(Report::TriggerMet {});
    assert!(bench.state.incident.is_some(), "this is another one");
}

#[test]
fn a_region_that_returns_takes_nothing_back_by_itself() {
    let mut bench = Bench::running();
    bench.estate.policy.on_trigger = OnTrigger::Declare;
    for (name, phrase) in
        [("fence", ""), ("scale", ""), ("promote", "db"), ("measure", ""), ("dns", ""), ("client", "")]
    {
        bench.finish(name, phrase);
    }
    bench.ask(Ask::CloseIncident { note: "over".into(), despite: String::new(), tell: false }).unwrap();
    let (effects, run) = (bench.effects.len(), bench.run());
    // It comes back with stale data, and goes again: no rule is about a region that does not serve.
    for status in [Status::Healthy, Status::Down, Status::Healthy] {
        bench.probe("us-east-1", status);
        bench.pass(3600);
        bench.report(Report::TriggerMet {});
    }
    assert_eq!((bench.effects.len(), bench.run()), (effects, run));
    assert_eq!(bench.state.serving(&bench.estate).as_str(), STANDBY);
    assert!(bench.state.incident.as_ref().is_none_or(|incident| incident.phase == Phase::Closed));
}
