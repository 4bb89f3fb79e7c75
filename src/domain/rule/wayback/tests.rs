use std::collections::BTreeMap;
use std::time::Duration;

use super::failback::{FAILBACK, REPROTECT, caught_up, plan, protected_in};
use super::protection::{Gap, unprotected};
use crate::domain::fact::health::Status;
use crate::domain::fact::live::SurveyLive;
use crate::domain::fact::recovery::{Lag, Member, RecoveryPoint, Role, Survey};
use crate::domain::fact::run::StepPhase;
use crate::domain::ids::SystemId;
use crate::domain::rule::decide::bench::{Bench, STANDBY, estate};
use crate::domain::rule::state::State;
use crate::domain::spec::kinds::StepRole;
use crate::domain::spec::plan::{Gate, Plan};
use crate::domain::time::{At, before};
use std::sync::Arc;

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
fn what_could_not_be_looked_at_is_not_protected() {
    type Row = (&'static str, fn(&mut SurveyLive), &'static [Gap]);
    let rows: [Row; 7] = [
        ("whole", |_| {}, &[]),
        ("refused", |taken| taken.fault = Some("403".into()), &[Gap::Unknown]),
        ("never answered", |taken| taken.at = None, &[Gap::Unknown]),
        ("yesterday's answer", |taken| taken.at = Some(before(now(), Duration::from_secs(86_400))), &[Gap::Unknown]),
        ("nobody knows how far it is behind", |taken| taken.survey.standby_point = None, &[Gap::Unknown]),
        ("the copy refuses", |taken| taken.survey.members[1].status = Status::Unknown, &[Gap::NoCopy]),
        ("nobody knows where the copy is", |taken| taken.survey.members[1].region = None, &[Gap::NoCopy]),
    ];
    for (what, so, wanted) in rows {
        let members = vec![member("new", STANDBY, Role::Writer, None), member("copy", HOME, Role::Replica, None)];
        let (state, mut surveys) = away(members, Some(point(4, false)));
        surveys.values_mut().for_each(so);
        let found = unprotected(&estate(), &state, &surveys, &BTreeMap::new(), now());
        assert_eq!(found.iter().map(|it| it.gap).collect::<Vec<_>>(), wanted, "{what}: {found:?}");
    }
}

#[test]
fn a_backup_that_was_never_looked_at_protects_nothing() {
    use crate::domain::fact::backup::Worth;
    use crate::domain::rule::state::BackupState;
    use crate::domain::spec::backup::BackupSpec;
    let mut estate = estate();
    estate.backups.push(BackupSpec {
        id: "db.snapshots".into(),
        title: "Snapshots".into(),
        kind: "rds.snapshots".into(),
        subject: "db".into(),
        system: "db".into(),
        class: None,
        region: None,
        every: crate::domain::time::Span::secs(60),
        max_age: None,
        retention: None,
        params: Default::default(),
    });
    let members = vec![member("new", STANDBY, Role::Writer, None), member("copy", HOME, Role::Replica, None)];
    let (mut state, surveys) = away(members, Some(point(4, false)));
    let said = |state: &State| {
        let found = unprotected(&estate, state, &surveys, &BTreeMap::new(), now());
        found.into_iter().map(|it| it.detail).collect::<Vec<_>>()
    };
    assert_eq!(said(&state), ["Snapshots: not looked at yet"]);
    let mut known = BackupState { worth: Worth::Unknown, since: now(), detail: "403".into() };
    state.backups.insert("db.snapshots".into(), known.clone());
    assert_eq!(said(&state), ["Snapshots: unknown (403)"]);
    known.worth = Worth::Fresh;
    state.backups.insert("db.snapshots".into(), known);
    assert_eq!(said(&state), [""; 0]);
}

#[test]
fn a_region_that_was_only_silent_is_not_taken_for_silent_still() {
    let rows = [
        ("healthy", Some(Status::Healthy), Some(Gap::NotFenced)),
        ("slow", Some(Status::Degraded), Some(Gap::NotFenced)),
        ("dark", Some(Status::Down), None),
        ("refused", Some(Status::Unknown), Some(Gap::Unknown)),
        ("no reading", None, Some(Gap::Unknown)),
    ];
    for (what, status, wanted) in rows {
        let mut bench = failed_over();
        bench.state.moved.as_mut().unwrap().fenced = false;
        bench.readings.clear();
        status.into_iter().for_each(|status| bench.probe(HOME, status));
        let found = unprotected(&bench.estate, &bench.state, &BTreeMap::new(), &bench.readings, bench.now);
        let of_region = found.iter().find(|it| it.store.is_none()).map(|it| it.gap);
        assert_eq!(of_region, wanted, "{what}");
    }
    let mut fenced = failed_over();
    assert!(fenced.state.moved.as_ref().unwrap().fenced, "its writers were stopped");
    fenced.probe(HOME, Status::Healthy);
    let found = unprotected(&fenced.estate, &fenced.state, &BTreeMap::new(), &fenced.readings, fenced.now);
    assert!(found.iter().all(|it| it.store.is_some()), "{found:?}");
}

#[test]
fn a_copy_follows_only_a_writer_that_is_seen() {
    let survey = |members| Survey { members, ..Survey::default() };
    let says = |members| protected_in(&survey(members), &HOME.into());
    let (writer, copy) = (|| member("new", STANDBY, Role::Writer, None), || member("copy", HOME, Role::Replica, None));
    let with = |status, it: Member| Member { status, ..it };
    let rows = [
        ("it follows", vec![writer(), copy()], None),
        ("two writers", vec![writer(), member("old", HOME, Role::Writer, None), copy()], Some("each take writes")),
        (
            "one of two may write",
            vec![writer(), with(Status::Unknown, member("old", HOME, Role::Writer, None))],
            Some("each take writes"),
        ),
        ("nobody is seen to write", vec![copy()], Some("nobody is seen to take writes")),
        ("the writer is silent", vec![with(Status::Down, writer()), copy()], Some("nobody is seen to take writes")),
        ("the copy refuses", vec![writer(), with(Status::Unknown, copy())], Some("no healthy copy")),
        (
            "the copy is elsewhere",
            vec![writer(), member("copy", STANDBY, Role::Replica, None)],
            Some("no healthy copy"),
        ),
        ("nobody answers", Vec::new(), Some("nobody is seen to take writes")),
    ];
    for (what, members, wanted) in rows {
        match (says(members), wanted) {
            (Ok(_), None) => {}
            (Err(why), Some(words)) => assert!(why.contains(words), "{what}: {why}"),
            (said, _) => panic!("{what}: {said:?}"),
        }
    }
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
    use crate::domain::fact::command::{Ask, RefusalReason};
    use crate::domain::fact::run::Mode;
    let mut bench = failed_over();
    let start = || Ask::StartRun { plan: FAILBACK.into(), mode: Mode::Live, reason: "back".into(), unattended: false };
    assert_eq!(bench.ask(start()).unwrap_err().reason, RefusalReason::Unsafe, "the database was not looked at");
    let copies = vec![member("new", STANDBY, Role::Writer, None), member("copy", HOME, Role::Replica, None)];
    bench.surveys = away(copies, None).1;
    bench.surveys.values_mut().for_each(|taken| taken.at = Some(bench.now));
    let refused = bench.ask(start()).unwrap_err();
    assert!(refused.why.contains("how far the copy outside us-west-2 is behind is not known"), "{refused}");
    let copies = vec![member("new", STANDBY, Role::Writer, None), member("copy", HOME, Role::Replica, None)];
    bench.surveys = away(copies, Some(RecoveryPoint { at: bench.now, ..point(0, false) })).1;
    bench.surveys.values_mut().for_each(|taken| taken.at = Some(bench.now));
    let refused = bench.ask(start()).unwrap_err();
    assert!(refused.why.contains("nothing probes"), "{refused}");
    let of_region = &mut bench.estate.probes[0];
    of_region.subject = crate::domain::spec::probe::Subject::Region(HOME.into());
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
    let protect = crate::domain::rule::decide::bench::step("backups", StepRole::Changes, Gate::Confirm, &[]);
    let steps = vec![crate::domain::spec::plan::StepSpec { region: Some(STANDBY.into()), ..protect }];
    let plan_of = Plan { id: REPROTECT.into(), steps, ..Plan::clone(&bench.plans[0]) };
    bench.plans.push(Arc::new(plan_of));
    let region = |bench: &Bench| {
        plan(&bench.estate, &bench.state, &bench.plans, &REPROTECT.into()).unwrap().steps[0].region.clone().unwrap()
    };
    assert_eq!(region(&bench).as_str(), STANDBY);
    bench.state.serving = Some(HOME.into());
    assert_eq!(region(&bench).as_str(), HOME);
}
