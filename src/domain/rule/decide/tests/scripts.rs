//! Commands of the operator's in a plan: those that move clients, those that a run can do without, and what they print.

use std::sync::Arc;

use super::bench::{Bench, STANDBY, plan, step};
use crate::domain::fact::command::{Ask, Report};
use crate::domain::fact::event::Event;
use crate::domain::fact::guard::Guard;
use crate::domain::fact::run::StepPhase;
use crate::domain::fact::system::Observed;
use crate::domain::fault::Fault;
use crate::domain::rule::wayback;
use crate::domain::spec::kinds::{StepRole, Undo};
use crate::domain::spec::plan::{Gate, Plan, StepSpec};

/// A bench whose one plan has these steps, and runs.
fn running(steps: Vec<StepSpec>) -> Bench {
    let mut bench = Bench::new();
    let made = Plan { steps, ..plan() };
    assert_eq!(made.mistakes(), []);
    bench.plans = vec![Arc::new(made)];
    bench.probe(STANDBY, crate::domain::fact::health::Status::Healthy);
    bench.pass(60);
    bench.probe("us-east-1", crate::domain::fact::health::Status::Down);
    bench.pass(10);
    let severity = crate::domain::spec::severity::Severity::Sev1;
    bench.ask(Ask::Declare { title: "east is dark".into(), severity, drill: false }).unwrap();
    bench.start(crate::domain::fact::run::Mode::Live, false).unwrap();
    bench
}

fn script(id: &str, needs: &[&str]) -> StepSpec {
    StepSpec { undo: Undo::Revert, ..step(id, StepRole::Changes, Gate::Confirm, needs) }
}

fn mover(id: &str, needs: &[&str]) -> StepSpec {
    let of = StepSpec { own_role: true, ..step(id, StepRole::Traffic, Gate::Confirm, needs) };
    StepSpec { undo: Undo::Revert, ..of }
}

fn client(needs: &[&str]) -> StepSpec {
    StepSpec { region: Some(STANDBY.into()), ..step("client", StepRole::Synthetic, Gate::Auto, needs) }
}

fn failed(bench: &mut Bench, step: &str, fault: Fault) {
    let (run, attempt) = (bench.run(), bench.at(step).attempts);
    bench.report(Report::Applied { run, step: step.into(), attempt, outcome: Err(fault) });
}

#[test]
fn a_command_that_moves_clients_is_known_to_have_moved_them_and_back() {
    let mut bench = running(vec![mover("dns", &[]), client(&["dns"])]);
    bench.finish("dns", "");
    assert_eq!(bench.state.serving(&bench.estate).as_str(), STANDBY);
    let moved = bench.state.moved.clone().unwrap();
    assert_eq!((moved.from.as_str(), moved.to.as_str()), ("us-east-1", STANDBY));
    let failback = wayback::plan(&bench.estate, &bench.state, &bench.plans, &wayback::FAILBACK.into());
    let why = failback.unwrap_err();
    assert!(why.contains("stops no writers") || why.contains("write failback.toml"), "{why}");
}

#[test]
fn nobody_makes_a_mirror_image_of_a_command() {
    let fence = StepSpec { undo: Undo::Revert, ..step("fence", StepRole::Fences, Gate::Confirm, &[]) };
    let mut bench = running(vec![fence.clone(), mover("dns", &["fence"]), client(&["dns"])]);
    bench.finish("fence", "");
    bench.finish("dns", "");
    let why = wayback::plan(&bench.estate, &bench.state, &bench.plans, &wayback::FAILBACK.into()).unwrap_err();
    assert!(why.contains("`dns` moves clients by a command") && why.contains("failback.toml"), "{why}");

    let mut bench = running(vec![fence, script("dns", &["fence"]), client(&["dns"])]);
    for step in ["fence", "dns", "client"] {
        bench.finish(step, "");
    }
    let why = wayback::plan(&bench.estate, &bench.state, &bench.plans, &wayback::FAILBACK.into()).unwrap_err();
    assert!(why.contains("does not know as a way to move them"), "{why}");
}

#[test]
fn a_client_who_is_served_elsewhere_corrects_what_serves() {
    let mut bench = running(vec![script("dns", &[]), client(&["dns"])]);
    bench.finish("dns", "");
    assert_eq!(bench.state.serving(&bench.estate).as_str(), "us-east-1", "nothing says what the command did");
    bench.finish("client", "");
    assert_eq!(bench.state.serving(&bench.estate).as_str(), STANDBY);
    assert_eq!(bench.state.moved.as_ref().map(|moved| moved.to.as_str()), Some(STANDBY));
    let (run, phrase) = (bench.run(), format!("revert {}", bench.state.run.as_ref().unwrap().plan.id));
    if bench.ask(Ask::RevertRun { run: run.clone(), phrase: phrase.clone(), reason: "back".into() }).is_err() {
        let phrase = format!("override {phrase}");
        bench.ask(Ask::RevertRun { run: run.clone(), phrase, reason: "back".into() }).unwrap();
    }
    bench.report(Report::Reverted { run, step: "dns".into(), outcome: Ok(Default::default()) });
    assert_eq!(bench.state.serving(&bench.estate).as_str(), "us-east-1", "and all of it taken back takes them back");
}

#[test]
fn a_look_at_the_standby_that_recovers_nothing_moves_nobody() {
    let look = StepSpec { recovers: Vec::new(), ..client(&[]) };
    let mut bench = running(vec![look]);
    bench.finish("client", "");
    assert_eq!(bench.state.serving(&bench.estate).as_str(), "us-east-1");
}

#[test]
fn a_run_goes_on_without_what_is_optional_and_says_so() {
    let optional = |id: &str| StepSpec { optional: true, ..script(id, &[]) };
    for (what, fail) in [
        ("it failed", (|bench| failed(bench, "warm", Fault::permanent("script", "exited with 1"))) as fn(&mut Bench)),
        ("nobody can tell", |bench| {
            failed(bench, "warm", Fault::ambiguous("script", "exited with 1"));
            let outcome = Ok(Observed::Unknowable { why: "exited with 1".into() });
            bench.report(Report::Observed { run: bench.run(), step: "warm".into(), outcome });
        }),
    ] {
        let mut bench = running(vec![optional("warm"), script("dns", &["warm"])]);
        bench.prepared("warm", bench.sound(2));
        bench.confirm("warm", "").unwrap();
        fail(&mut bench);
        assert_eq!((bench.phase("warm"), bench.phase("dns")), (StepPhase::Skipped, StepPhase::Preparing), "{what}");
        assert!(bench.at("warm").detail.contains("optional") && bench.at("warm").detail.contains("exited with 1"));
    }
    let mut bench = running(vec![optional("warm"), script("dns", &["warm"])]);
    let mut found = bench.sound(2);
    found.checked.guards.push(Guard::block("program", "not found: warm-up"));
    bench.prepared("warm", found);
    assert_eq!((bench.phase("warm"), bench.phase("dns")), (StepPhase::Skipped, StepPhase::Preparing));
    assert!(bench.at("warm").detail.contains("not found: warm-up"), "{}", bench.at("warm").detail);
}

#[test]
fn what_data_and_clients_hang_on_is_never_optional_and_says_where_it_goes() {
    let said = |step: StepSpec| {
        let plan = Plan { steps: vec![step], ..plan() };
        plan.mistakes().into_iter().map(|it| it.what).collect::<Vec<_>>().join("; ")
    };
    assert!(said(StepSpec { optional: true, ..mover("dns", &[]) }).contains("cannot be optional: it moves clients"));
    assert!(said(StepSpec { optional: true, ..client(&[]) }).contains("cannot be optional: it recovers a tier"));
    assert!(said(StepSpec { region: None, ..mover("dns", &[]) }).contains("does not say where to"));
    assert_eq!(said(StepSpec { optional: true, ..script("warm", &[]) }), "");
}

#[test]
fn what_a_command_printed_is_in_the_journal() {
    let mut bench = running(vec![script("dns", &[])]);
    bench.prepared("dns", bench.sound(2));
    bench.confirm("dns", "").unwrap();
    let (run, lines, file) = (bench.run(), vec!["moved 3 names".to_owned()], Some("/x/dns.1.txt".to_owned()));
    bench.report(Report::Printed { run, step: "dns".into(), attempt: 1, lines: lines.clone(), file });
    bench.applied("dns");
    assert_eq!(bench.at("dns").printed.as_ref().map(|it| it.lines.clone()), Some(lines));
    assert_eq!(bench.events(|event| matches!(event, Event::StepPrinted { .. })), 1);
    bench.restart();
    assert!(bench.at("dns").printed.is_some(), "whoever comes after a crash reads it");
}
