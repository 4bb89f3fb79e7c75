use super::super::checklist::has_to_be_walked;
use super::bench::{Bench, operator};
use crate::domain::actor::Origin;
use crate::domain::fact::checklist::{Answer, ItemState, Standing};
use crate::domain::fact::command::{Ask, Preparation, RefusalReason as Why, Report};
use crate::domain::fact::event::Event;
use crate::domain::fact::findings::{Baseline, Evidence};
use crate::domain::fact::run::{Mode, StepPhase};
use crate::domain::fact::system::{Observed, Verified};
use crate::domain::spec::checklist::{Item, ItemSpec, PIN, Sight};
use crate::domain::spec::estate::Environment;
use crate::domain::spec::severity::Severity;

/// Mayday looks at the first; only a human can tell the second.
fn item(id: &str, sees: &[Sight]) -> ItemSpec {
    let (what, why) = ("look".to_owned(), "because".to_owned());
    let item = Item { id: id.into(), title: id.into(), what, why, sees: sees.to_vec(), checks: Vec::new() };
    ItemSpec { item, checks: Vec::new() }
}

fn listed(mut bench: Bench) -> Bench {
    bench.estate.checklist = vec![item("healthy", &[Sight::Services]), item("by-eye", &[])];
    bench
}

fn declared() -> Bench {
    let mut bench = listed(Bench::new());
    bench.ask(Ask::Declare { title: "x".into(), severity: Severity::Sev1, drill: false }).unwrap();
    bench
}

/// A declared incident whose live run is complete.
fn complete() -> Bench {
    let mut bench = declared();
    bench.probe(super::bench::STANDBY, crate::domain::fact::health::Status::Healthy);
    run(&mut bench, Mode::Live);
    bench
}

fn run(bench: &mut Bench, mode: Mode) {
    bench.start(mode, false).unwrap();
    for (step, phrase) in
        [("fence", ""), ("scale", ""), ("promote", "db"), ("measure", ""), ("dns", ""), ("client", "")]
    {
        bench.finish(step, phrase);
    }
    assert!(!bench.state.run.as_ref().unwrap().is_open());
}

fn sees(bench: &mut Bench, evidence: Evidence, detail: &str) {
    bench.report(Report::ItemSeen { item: "healthy".into(), evidence, detail: detail.into() });
}

fn tick(bench: &mut Bench, item: &str, note: &str) -> Result<(), Why> {
    let ask = Ask::TickItem { item: item.into(), note: note.into() };
    bench.ask(ask).map(|_| ()).map_err(|refusal| refusal.reason)
}

fn at<'b>(bench: &'b Bench, item: &str) -> &'b ItemState {
    bench.state.incident.as_ref().unwrap().checklist.item(&item.into()).unwrap()
}

fn close(bench: &mut Bench, despite: &str) -> Result<(), Why> {
    let ask = Ask::CloseIncident { note: "over".into(), despite: despite.into(), tell: false };
    bench.ask(ask).map(|_| ()).map_err(|refusal| refusal.reason)
}

#[test]
fn no_box_is_ticked_against_what_mayday_sees_without_a_reason() {
    for (evidence, words) in [
        (None, "unknown: not looked at yet"),
        (Some(Evidence::Fail), "fail: auth is down"),
        (Some(Evidence::Unknown), "unknown: auth is down"),
    ] {
        let mut bench = declared();
        if let Some(evidence) = evidence {
            sees(&mut bench, evidence, "auth is down");
        }
        assert_eq!(tick(&mut bench, "healthy", " "), Err(Why::ReasonMissing), "{words}");
        assert_eq!(at(&bench, "healthy").standing(), Standing::Open);
        tick(&mut bench, "healthy", "seen with my own eyes").unwrap();
        let Some(Answer::Ticked { by, note, against, .. }) = &at(&bench, "healthy").answer else { panic!("{words}") };
        assert_eq!(
            (by.name.as_str(), note.as_str(), against.as_deref()),
            ("ann", "seen with my own eyes", Some(words))
        );
    }
}

#[test]
fn what_is_seen_to_pass_and_what_only_a_human_can_tell_need_no_note() {
    let mut bench = declared();
    sees(&mut bench, Evidence::Pass, "all healthy");
    tick(&mut bench, "healthy", "").unwrap();
    tick(&mut bench, "by-eye", "").unwrap();
    let against = |event: &Event| matches!(event, Event::ItemTicked { against: Some(_), .. });
    assert_eq!(bench.events(against), 0);
    assert_eq!(bench.state.incident.as_ref().unwrap().checklist.open().count(), 0);
    assert_eq!(tick(&mut bench, "healthy", ""), Err(Why::Conflict), "it is ticked already");
    assert_eq!(tick(&mut bench, "nothing", ""), Err(Why::NotFound));
}

#[test]
fn leaving_out_and_opening_again_need_a_reason() {
    let mut bench = declared();
    let skip = |reason: &str| Ask::SkipItem { item: "healthy".into(), reason: reason.into() };
    let reopen = |reason: &str| Ask::ReopenItem { item: "healthy".into(), reason: reason.into() };
    assert_eq!(bench.ask(skip("")).unwrap_err().reason, Why::ReasonMissing);
    assert_eq!(bench.ask(reopen("x")).unwrap_err().reason, Why::Conflict, "it is open");
    bench.ask(skip("it has no users")).unwrap();
    assert_eq!(at(&bench, "healthy").standing(), Standing::Skipped);
    assert_eq!(bench.ask(skip("again")).unwrap_err().reason, Why::Conflict);
    assert_eq!(bench.ask(reopen(" ")).unwrap_err().reason, Why::ReasonMissing);
    bench.ask(reopen("it has users")).unwrap();
    assert_eq!(at(&bench, "healthy").standing(), Standing::Reopened);
}

#[test]
fn evidence_that_turns_bad_after_a_tick_opens_the_item_again_and_says_so() {
    let mut bench = declared();
    sees(&mut bench, Evidence::Pass, "all healthy");
    tick(&mut bench, "healthy", "").unwrap();
    sees(&mut bench, Evidence::Unknown, "no answer");
    assert_eq!(at(&bench, "healthy").standing(), Standing::Ticked, "what is not known contradicts nobody");
    sees(&mut bench, Evidence::Fail, "auth is down");
    let known = at(&bench, "healthy");
    assert_eq!(known.standing(), Standing::Reopened);
    let again = known.reopened.as_ref().unwrap();
    assert!(again.reason.contains("auth is down") && again.by.uid.is_none(), "{again:?}");
    assert!(matches!(again.was, Some(Answer::Ticked { .. })), "who had ticked it is not forgotten");
    sees(&mut bench, Evidence::Pass, "all healthy");
    assert_eq!(at(&bench, "healthy").standing(), Standing::Reopened, "somebody has to look");
    tick(&mut bench, "healthy", "").unwrap();
}

#[test]
fn a_tick_against_failing_evidence_stands_while_nothing_new_is_seen() {
    let mut bench = declared();
    sees(&mut bench, Evidence::Fail, "auth is down");
    tick(&mut bench, "healthy", "the check is broken, not auth").unwrap();
    sees(&mut bench, Evidence::Fail, "auth is still down");
    assert_eq!(at(&bench, "healthy").standing(), Standing::Ticked);
    let seen = |event: &Event| matches!(event, Event::ItemSeen { .. });
    assert_eq!(bench.events(seen), 1, "only changes are worth a record");
}

#[test]
fn a_major_incident_is_not_closed_over_open_items_in_silence_and_never_blocked_for_ever() {
    let mut bench = complete();
    assert_eq!(close(&mut bench, ""), Err(Why::ReasonMissing));
    sees(&mut bench, Evidence::Pass, "all healthy");
    tick(&mut bench, "healthy", "").unwrap();
    assert_eq!(close(&mut bench, ""), Err(Why::ReasonMissing), "one is still open");
    close(&mut bench, "nobody is awake to ask").unwrap();
    assert!(bench.state.incident.is_none());
    let left = |event: &Event| matches!(event, Event::ItemSkipped { item, reason } if item.as_str() == "by-eye" && reason.contains("nobody is awake"));
    assert_eq!(bench.events(left), 1, "what was left open is in the journal, with the reason");
}

#[test]
fn a_list_that_was_walked_is_closed_without_a_word() {
    let mut bench = complete();
    sees(&mut bench, Evidence::Pass, "all healthy");
    tick(&mut bench, "healthy", "").unwrap();
    bench.ask(Ask::SkipItem { item: "by-eye".into(), reason: "no".into() }).unwrap();
    close(&mut bench, "").unwrap();
}

#[test]
fn what_no_live_run_was_needed_for_is_closed_freely() {
    let mut bench = declared();
    close(&mut bench, "").unwrap();
    let mut minor = listed(Bench::new());
    minor.probe(super::bench::STANDBY, crate::domain::fact::health::Status::Healthy);
    minor.ask(Ask::Declare { title: "x".into(), severity: Severity::Sev3, drill: false }).unwrap();
    run(&mut minor, Mode::Live);
    close(&mut minor, "").unwrap();
}

#[test]
fn a_drill_has_its_checklist_too_and_ends_without_being_asked() {
    let mut bench = listed(Bench::new());
    bench.estate.environment = Environment::Test;
    bench.probe(super::bench::STANDBY, crate::domain::fact::health::Status::Healthy);
    bench.ask(Ask::Declare { title: "practice".into(), severity: Severity::Sev1, drill: true }).unwrap();
    run(&mut bench, Mode::Drill);
    sees(&mut bench, Evidence::Fail, "auth is down");
    assert_eq!(tick(&mut bench, "healthy", ""), Err(Why::ReasonMissing), "the same rules");
    let incident = bench.state.incident.as_ref().unwrap();
    assert!(!has_to_be_walked(incident, bench.state.run.as_ref()));
    close(&mut bench, "").unwrap();
}

#[test]
fn the_items_and_the_better_times_are_fixed_when_it_is_declared() {
    let mut bench = listed(Bench::new());
    let latency = |name: &str, ms| Baseline { latencies: [(name.into(), ms)].into(), ..Baseline::default() };
    bench.report(Report::BaselineTaken { baseline: latency("old", 7) });
    bench.baseline = latency("new", 9);
    bench.ask(Ask::Declare { title: "x".into(), severity: Severity::Sev1, drill: false }).unwrap();
    bench.estate.checklist.clear();
    bench.report(Report::BaselineTaken { baseline: latency("burning", 900) });
    let checklist = &bench.state.incident.as_ref().unwrap().checklist;
    assert_eq!(checklist.items.len(), 2, "a config that changes does not change what was promised");
    let known: Vec<(&str, u32)> =
        checklist.baseline.latencies.iter().map(|(probe, ms)| (probe.as_str(), *ms)).collect();
    assert_eq!(known, [("new", 9), ("old", 7)], "a new engine knows what the last one journalled");
    assert!(!bench.state.baseline.latencies.contains_key("burning"), "what burns is not normal");
}

#[test]
fn looking_is_enough_to_answer_for_an_item_and_read_only_is_not() {
    let mut bench = declared();
    let ask = Ask::TickItem { item: "by-eye".into(), note: String::new() };
    let read_only = Origin::Cockpit { session: "two".into(), read_only: true };
    let refused = bench.ask_as(operator("ann", 1), read_only, ask.clone()).unwrap_err();
    assert_eq!(refused.reason, Why::ReadOnly);
    bench.ask_in_cockpit("one", ask).unwrap();
    let late = Report::ItemSeen { item: "healthy".into(), evidence: Evidence::Fail, detail: String::new() };
    close(&mut bench, "").unwrap();
    assert!(bench.report(late).events.is_empty(), "late news of a closed incident");
    assert_eq!(tick(&mut bench, "by-eye", ""), Err(Why::Conflict), "no incident, no list");
}

#[test]
fn clients_that_nobody_sent_over_are_an_open_item_until_they_are_pinned() {
    let mut bench = declared();
    bench.probe(super::bench::STANDBY, crate::domain::fact::health::Status::Healthy);
    bench.start(Mode::Live, false).unwrap();
    for (step, phrase) in [("fence", ""), ("scale", ""), ("promote", "db"), ("measure", "")] {
        bench.finish(step, phrase);
    }
    let found = Preparation { observed: Observed::Done { detail: "there".into() }, ..bench.sound(2) };
    bench.prepared("dns", found);
    let outcome = Ok(Verified::HoldsForNow { detail: "name servers say so".into() });
    let report = Report::Verified { run: bench.run(), step: "dns".into(), outcome };
    bench.report(report.clone());
    assert_eq!(bench.phase("dns"), StepPhase::Done, "clients are served: the clocks do not wait for it");
    assert!(at(&bench, PIN).standing().is_open() && at(&bench, PIN).item.title.contains(super::bench::STANDBY));
    bench.report(report);
    assert_eq!(bench.state.incident.as_ref().unwrap().checklist.items.len(), 3, "it is there once");
    let refused = tick(&mut bench, PIN, "");
    assert_eq!(refused, Err(Why::ReasonMissing), "what was not seen to be pinned is not ticked without a word");
}
