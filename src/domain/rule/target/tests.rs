use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::domain::command::{Ask, RefusalReason};
use crate::domain::decide::bench::{Bench, STANDBY, plan};
use crate::domain::estate::{ProbeSpec, Region, RegionRole};
use crate::domain::event::{Event, Record};
use crate::domain::incident::Severity;
use crate::domain::kinds::StepRole;
use crate::domain::readiness::Brief;
use crate::domain::recovery::Survey;
use crate::domain::run::Mode;
use crate::domain::time::before;
use crate::domain::verdict::Promise;
use crate::domain::wayback::{self, FAILBACK, REPROTECT, unprotected};

const THIRD: &str = "eu-west-1";

/// The bench's estate with a third region, in which `db-eu` stands in for `db`; its plan is there once for each standby.
fn bench() -> Bench {
    let mut bench = Bench::new();
    let systems = BTreeMap::from([(SystemId::from("db"), SystemId::from("db-eu"))]);
    let third = Region { id: THIRD.into(), role: RegionRole::Standby, title: THIRD.into(), systems };
    bench.estate.regions.push(third);
    let copy = SystemSpec { id: "db-eu".into(), ..bench.estate.systems[0].clone() };
    bench.estate.systems.push(copy);
    let probe =
        ProbeSpec { id: format!("api@{THIRD}").into(), region: Some(THIRD.into()), ..bench.estate.probes[0].clone() };
    bench.estate.probes.push(probe);
    bench.plans = vec![towards_region(STANDBY, "db"), towards_region(THIRD, "db-eu")];
    for region in ["us-east-1", STANDBY, THIRD] {
        bench.probe(region, Status::Healthy);
    }
    bench
}

fn towards_region(region: &str, store: &str) -> Arc<Plan> {
    let mut made = plan();
    for step in &mut made.steps {
        step.system = store.into();
        step.region = step.region.as_ref().map(|_| region.into());
    }
    let region = RegionId::from(region);
    Arc::new(Plan { id: towards("failover", &region), target: Some(region), ..made })
}

fn survey(bench: &mut Bench, store: &str, region: &str, behind: Option<u64>) {
    let at = |seconds| before(bench.now, Duration::from_secs(seconds));
    let member = |region: &str, role| Member {
        name: format!("{store} in {region}"),
        region: Some(region.into()),
        role,
        status: Status::Healthy,
        lag: None,
        detail: String::new(),
    };
    let point = behind.map(|behind| RecoveryPoint {
        at: at(behind),
        region: Some(region.into()),
        source: "lag".into(),
        measured: false,
    });
    let members = vec![member("us-east-1", Role::Writer), member(region, Role::Replica)];
    let survey = Survey { members, standby_point: point, notes: Vec::new() };
    let taken = SurveyLive { at: Some(bench.now), survey, fault: None };
    bench.surveys.insert(store.into(), taken);
}

fn assessed(bench: &mut Bench, region: &str, ready: Ready, score: u8) {
    let brief = Brief { plan: towards("failover", &region.into()), ready, score, reasons: Vec::new() };
    let event = Event::ReadinessAssessed { plans: vec![brief] };
    let record =
        Record { seq: bench.state.seq + 1, at: bench.now, actor: crate::domain::actor::Actor::engine(), event };
    bench.state.apply(&record);
}

fn order(bench: &Bench) -> Vec<String> {
    let points = BTreeMap::new();
    let seen = Seen {
        estate: &bench.estate,
        state: &bench.state,
        surveys: &bench.surveys,
        points: &points,
        readings: &bench.readings,
        now: bench.now,
    };
    let all = choices(&seen, &bench.plans, "failover");
    let ordered: Vec<&str> = in_order(&seen, &bench.plans).into_iter().map(|plan| plan.id.as_str()).collect();
    let chosen: Vec<&str> = all.iter().map(|choice| choice.plan.as_str()).collect();
    assert_eq!(ordered, chosen, "the plan that a trigger names is the first of the table");
    all.into_iter().map(|choice| choice.region.to_string()).collect()
}

fn known() -> Bench {
    let mut bench = bench();
    survey(&mut bench, "db", STANDBY, Some(2));
    survey(&mut bench, "db-eu", THIRD, Some(3));
    assessed(&mut bench, STANDBY, Ready::Ready, 100);
    assessed(&mut bench, THIRD, Ready::Ready, 100);
    bench
}

#[test]
fn what_is_known_to_be_better_comes_first_and_the_order_of_the_config_decides_the_rest() {
    type Change = fn(&mut Bench);
    let rows: [(&str, Change, [&str; 2]); 8] = [
        ("nothing speaks for either", |_| (), [STANDBY, THIRD]),
        ("one is down", |it| it.probe(STANDBY, Status::Down), [THIRD, STANDBY]),
        ("of one nothing is known", |it| drop(it.readings.remove(&*format!("api@{STANDBY}"))), [THIRD, STANDBY]),
        ("its copy is older than the RPO", |it| survey(it, "db", STANDBY, Some(4000)), [THIRD, STANDBY]),
        ("how old its copy is is unknown", |it| survey(it, "db", STANDBY, None), [THIRD, STANDBY]),
        ("its copy lies elsewhere", |it| survey(it, "db", "us-east-2", Some(1)), [THIRD, STANDBY]),
        ("its plan would not work", |it| assessed(it, STANDBY, Ready::NotReady, 90), [THIRD, STANDBY]),
        ("its plan is less ready", |it| assessed(it, STANDBY, Ready::Ready, 97), [THIRD, STANDBY]),
    ];
    for (what, change, wanted) in rows {
        let mut bench = known();
        change(&mut bench);
        assert_eq!(order(&bench), wanted, "{what}");
    }
    let mut down = known();
    down.probe(STANDBY, Status::Down);
    assessed(&mut down, THIRD, Ready::NotReady, 10);
    assert_eq!(order(&down), [THIRD, STANDBY], "a region that is down is no refuge, however ready it was");
}

#[test]
fn an_old_look_says_nothing_and_an_old_copy_is_counted_to_the_disruption() {
    let mut bench = known();
    bench.pass(3600);
    let points = BTreeMap::new();
    let seen = |bench: &Bench| -> Vec<(Ready, Option<bool>)> {
        let seen = Seen {
            estate: &bench.estate,
            state: &bench.state,
            surveys: &bench.surveys,
            points: &points,
            readings: &bench.readings,
            now: bench.now,
        };
        choices(&seen, &bench.plans, "failover").iter().map(|it| (it.ready, it.copies[0].within)).collect()
    };
    assert_eq!(seen(&bench), [(Ready::Unknown, None), (Ready::Unknown, None)], "the surveys are an hour old, too");
}

#[test]
fn a_run_says_where_it_goes() {
    let mut bench = known();
    bench.probe("us-east-1", Status::Down);
    bench.ask(Ask::Declare { title: "dark".into(), severity: Severity::Sev1, drill: false }).unwrap();
    let start =
        |plan: &str| Ask::StartRun { plan: plan.into(), mode: Mode::Live, reason: "test".into(), unattended: false };
    let refused = bench.ask(start("failover")).unwrap_err();
    assert_eq!(refused.reason, RefusalReason::NotFound);
    assert!(refused.why.contains("--to us-west-2 or --to eu-west-1"), "{}", refused.why);
    bench.ask(start("failover@eu-west-1")).unwrap();
    let run = bench.state.run.as_ref().unwrap();
    assert_eq!(run.plan.target, Some(THIRD.into()));
    assert_eq!(
        to(&bench.plans, &"failover".into(), &THIRD.into()).as_ref().map(PlanId::as_str),
        Ok("failover@eu-west-1")
    );
    let none = to(&bench.plans, &"failover".into(), &"mars".into()).unwrap_err();
    assert!(none.contains("choose one of us-west-2, eu-west-1"), "{none}");
}

/// Everything of the run is done, and clients are in the third region.
fn moved() -> Bench {
    let mut bench = known();
    bench.probe("us-east-1", Status::Down);
    bench.ask(Ask::Declare { title: "dark".into(), severity: Severity::Sev1, drill: false }).unwrap();
    let plan = "failover@eu-west-1".into();
    bench.ask(Ask::StartRun { plan, mode: Mode::Live, reason: "test".into(), unattended: false }).unwrap();
    for step in ["fence", "promote", "scale", "measure", "dns", "client"] {
        bench.finish(step, "db");
    }
    assert_eq!(bench.state.serving(&bench.estate).as_str(), THIRD);
    bench
}

#[test]
fn the_way_back_leads_from_where_clients_went() {
    let bench = moved();
    let made = wayback::plan(&bench.estate, &bench.state, &bench.plans, &FAILBACK.into()).unwrap();
    assert_eq!((made.target.as_ref(), made.title.as_str()), (None, "Move clients back to us-east-1"));
    let traffic = made.steps.iter().find(|step| step.role == StepRole::Traffic).unwrap();
    assert_eq!(traffic.region, Some("us-east-1".into()));
    let caught: Vec<&str> =
        made.steps.iter().filter(|it| it.id.as_str().starts_with("caught-up")).map(|it| it.id.as_str()).collect();
    assert_eq!(caught, ["caught-up-db-eu"], "what stands in for another region's store is none of this way");
}

#[test]
fn what_comes_after_a_failover_is_for_the_region_that_serves() {
    let mut bench = moved();
    for region in [STANDBY, THIRD] {
        let region = RegionId::from(region);
        let made = Plan { id: towards(REPROTECT, &region), target: Some(region), ..plan() };
        bench.plans.push(Arc::new(made));
    }
    let made = wayback::plan(&bench.estate, &bench.state, &bench.plans, &REPROTECT.into()).unwrap();
    assert_eq!(made.target, Some(THIRD.into()));
    let of = |bench: &Bench| -> Vec<String> {
        let open = unprotected(&bench.estate, &bench.state, &bench.surveys, &bench.readings, bench.now);
        open.into_iter().filter_map(|it| Some(it.store?.to_string())).collect()
    };
    bench.surveys.clear();
    assert_eq!(of(&bench), ["db-eu"], "nobody writes to the other copy's pair any more");
    bench.state.serving = None;
    assert_eq!(of(&bench), ["db", "db-eu"], "at home every copy counts");
}

#[test]
fn what_is_lost_is_that_of_the_copy_which_was_gone_to() {
    let bench = moved();
    let promise = Promise::of(&bench.estate);
    assert_eq!(promise.elsewhere[&RegionId::from(THIRD)].iter().map(SystemId::as_str).collect::<Vec<_>>(), ["db"]);
    assert_eq!(promise.elsewhere[&RegionId::from(STANDBY)].iter().map(SystemId::as_str).collect::<Vec<_>>(), ["db-eu"]);
    assert!(Promise::of(&Bench::new().estate).elsewhere.is_empty(), "two regions have no elsewhere");
}
