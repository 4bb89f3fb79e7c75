use std::collections::BTreeMap;
use std::time::Duration;

use super::super::decide::bench::{Bench, STANDBY, estate};
use super::super::health::Status;
use super::super::ids::SystemId;
use super::super::kinds::StepRole;
use super::super::live::SurveyLive;
use super::super::plan::{Gate, Plan};
use super::super::recovery::{Lag, Member, RecoveryPoint, Role, Survey};
use super::super::run::StepPhase;
use super::super::state::State;
use super::super::time::{At, before};
use super::*;

const HOME: &str = "us-east-1";

fn now() -> At {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

fn member(name: &str, region: &str, role: Role, lag: Option<Lag>) -> Member {
    let (name, region) = (name.into(), Some(region.into()));
    Member { name, region, role, status: Status::Healthy, lag, detail: "follows".into() }
}

fn point(seconds_old: u64, measured: bool) -> RecoveryPoint {
    let at = before(now(), Duration::from_secs(seconds_old));
    RecoveryPoint { at, region: Some(HOME.into()), source: "test".into(), measured }
}

fn away(members: Vec<Member>, standby_point: Option<RecoveryPoint>) -> (State, BTreeMap<SystemId, SurveyLive>) {
    let survey = Survey { members, standby_point, notes: Vec::new() };
    let live = SurveyLive { at: Some(now()), survey, fault: None };
    (State { serving: Some(STANDBY.into()), ..State::default() }, BTreeMap::from([("db".into(), live)]))
}

fn gaps(members: Vec<Member>, point: Option<RecoveryPoint>) -> Vec<Gap> {
    let (state, surveys) = away(members, point);
    unprotected(&estate(), &state, &surveys, &BTreeMap::new(), now()).into_iter().map(|it| it.gap).collect()
}

#[test]
fn what_is_unprotected_is_said() {
    let writer = || member("new", STANDBY, Role::Writer, None);
    assert_eq!(gaps(vec![writer()], None), [Gap::NoCopy]);
    assert_eq!(gaps(vec![writer(), member("old", HOME, Role::Writer, None)], None), [Gap::SplitHistory]);
    let replica = || member("copy", HOME, Role::Replica, None);
    assert_eq!(gaps(vec![writer(), replica()], Some(point(4000, false))), [Gap::Behind]);
    assert_eq!(gaps(vec![writer(), replica()], Some(point(4, false))), []);
    let dead = Member { status: Status::Down, ..replica() };
    assert_eq!(gaps(vec![writer(), dead], Some(point(4, false))), [Gap::NoCopy]);
    let (state, _) = away(Vec::new(), None);
    let unseen = unprotected(&estate(), &state, &BTreeMap::new(), &BTreeMap::new(), now());
    assert_eq!(unseen[0].gap, Gap::Unknown, "what was not looked at is not protected");
}

#[test]
fn a_copy_has_caught_up_when_it_is_level_or_has_replayed_something_newer() {
    let drained = before(now(), Duration::from_secs(30));
    let says = |members, standby_point| {
        let survey = Survey { members, standby_point, notes: Vec::new() };
        caught_up(&survey, &HOME.into(), drained)
    };
    let copy = |lag| vec![member("copy", HOME, Role::Replica, lag)];
    assert!(says(copy(Some(Lag::Bytes(0))), None).is_ok());
    assert!(says(copy(Some(Lag::Transactions(0))), None).is_ok());
    assert!(says(copy(Some(Lag::Bytes(1))), None).is_err());
    assert!(says(copy(None), None).unwrap_err().contains("not known"), "a missing lag is not zero");
    assert!(says(copy(Some(Lag::Seconds(0.0))), Some(point(60, false))).is_err(), "a lag that may be an old one");
    assert!(says(copy(Some(Lag::Seconds(0.0))), Some(point(60, true))).is_ok(), "read from the copy itself");
    let (_, proof) = says(copy(Some(Lag::Seconds(5.0))), Some(point(10, false))).unwrap();
    assert_eq!((proof.at, proof.measured), (drained, true), "what was replayed is from after the drain");
    assert!(says(vec![member("other", STANDBY, Role::Writer, None)], None).unwrap_err().contains("no healthy copy"));
}

/// The bench's failover, done.
fn failed_over() -> Bench {
    let mut bench = Bench::running();
    for (name, phrase) in
        [("fence", ""), ("scale", ""), ("promote", "db"), ("measure", ""), ("dns", ""), ("client", "")]
    {
        bench.finish(name, phrase);
    }
    bench
}

#[test]
fn the_way_back_is_the_failover_mirrored_and_loses_nothing() {
    let bench = failed_over();
    let made = plan(&bench.estate, &bench.state, &bench.plans, &FAILBACK.into()).unwrap();
    assert_eq!(made.mistakes(), []);
    let ids: Vec<&str> = made.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, ["scale", "fence", "caught-up-db", "promote", "dns", "client"]);
    let step = |id: &str| made.step(&id.into()).unwrap();
    assert_eq!(step("dns").region, Some(HOME.into()));
    assert_eq!(step("fence").gate, Gate::Typed, "the drain is an outage");
    assert!(made.ancestors(&"fence".into()).contains("scale"), "room comes first");
    for before in ["fence", "caught-up-db"] {
        assert!(made.ancestors(&"promote".into()).contains(before), "{before}");
    }
    let again = plan(&bench.estate, &bench.state, &bench.plans, &FAILBACK.into()).unwrap();
    assert_eq!(made, again, "the same state makes the same plan, with the same fingerprint");
    assert_eq!(made.fingerprint.len(), 64);
}

#[test]
fn there_is_no_way_back_from_home_or_without_a_fence() {
    let mut bench = Bench::running();
    let asked = |bench: &Bench| plan(&bench.estate, &bench.state, &bench.plans, &FAILBACK.into());
    assert!(asked(&bench).unwrap_err().contains("nothing to come back from"));
    bench = failed_over();
    let moved = bench.state.moved.as_mut().unwrap();
    let steps = moved.plan.steps.iter().filter(|step| step.role != StepRole::Fences).cloned().collect();
    moved.plan = Arc::new(Plan { steps, ..Plan::clone(&moved.plan) });
    assert!(asked(&bench).unwrap_err().contains("stops no writers"));
}

#[test]
fn clients_come_home_only_to_what_is_whole_and_has_settled() {
    use super::super::command::{Ask, RefusalReason};
    use super::super::run::Mode;
    let mut bench = failed_over();
    let start = || Ask::StartRun { plan: FAILBACK.into(), mode: Mode::Live, reason: "back".into(), unattended: false };
    assert_eq!(bench.ask(start()).unwrap_err().reason, RefusalReason::Unsafe, "the database was not looked at");
    let copies = vec![member("new", STANDBY, Role::Writer, None), member("copy", HOME, Role::Replica, None)];
    bench.surveys = away(copies, None).1;
    let refused = bench.ask(start()).unwrap_err();
    assert!(refused.why.contains("nothing probes"), "{refused}");
    let of_region = &mut bench.estate.probes[0];
    of_region.subject = super::super::estate::Subject::Region(HOME.into());
    assert!(bench.ask(start()).unwrap_err().why.contains("down"));
    bench.probe(HOME, Status::Healthy);
    bench.pass(5);
    assert!(bench.ask(start()).unwrap_err().why.contains("well for 5 s"));
    bench.pass(5);
    bench.ask(start()).unwrap();
    assert_eq!(bench.state.run.as_ref().unwrap().plan.id.as_str(), FAILBACK);
    for (name, phrase) in [("scale", ""), ("fence", "db")] {
        bench.finish(name, phrase);
    }
    bench.prepared("caught-up-db", bench.sound(2));
    bench.applied("caught-up-db");
    bench.measured("caught-up-db", Some(RecoveryPoint { at: bench.now, ..point(0, true) }));
    assert_eq!(bench.phase("caught-up-db"), StepPhase::Done);
    let measured = &bench.state.incident.as_ref().unwrap().measured;
    assert_eq!(measured, &BTreeMap::new(), "what a copy at home holds is not what the failover lost");
}

#[test]
fn protection_is_turned_around_when_home_serves() {
    let mut bench = failed_over();
    let protect = super::super::decide::bench::step("backups", StepRole::Changes, Gate::Confirm, &[]);
    let steps = vec![super::super::plan::StepSpec { region: Some(STANDBY.into()), ..protect }];
    let plan_of = Plan { id: REPROTECT.into(), steps, ..Plan::clone(&bench.plans[0]) };
    bench.plans.push(Arc::new(plan_of));
    let region = |bench: &Bench| {
        plan(&bench.estate, &bench.state, &bench.plans, &REPROTECT.into()).unwrap().steps[0].region.clone().unwrap()
    };
    assert_eq!(region(&bench).as_str(), STANDBY);
    bench.state.serving = Some(HOME.into());
    assert_eq!(region(&bench).as_str(), HOME);
}
