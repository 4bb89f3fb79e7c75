use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::domain::fact::contacts::OnCall;
use crate::domain::fact::live::Live;
use crate::domain::fact::readiness::{Ready, access};
use crate::domain::fact::recovery::RecoveryPoint;
use crate::domain::fact::system::Preview;
use crate::domain::rule::decide::bench::{estate, plan, step};
use crate::domain::rule::state::State;
use crate::domain::spec::classes::DataClass;
use crate::domain::spec::contacts::PagerDuty;
use crate::domain::spec::params::SecretRef;
use crate::domain::spec::plan::Gate;
use crate::domain::time::{after, before};

fn finding(finds: Finds) -> Finding {
    Finding { step: None, name: "target".into(), finds, detail: String::new() }
}

fn assessment(finds: &[Finds]) -> Assessment {
    let findings = finds.iter().copied().map(finding).collect();
    Assessment { plan: "p".into(), at: At::UNIX_EPOCH, findings }
}

#[test]
fn the_worst_finding_decides_and_every_finding_counts() {
    use Finds::*;
    assert_eq!((assessment(&[Pass, Pass]).ready(), assessment(&[Pass, Pass]).score()), (Ready::Ready, 100));
    assert_eq!((assessment(&[Pass, Warn]).ready(), assessment(&[Pass, Warn]).score()), (Ready::AtRisk, 75));
    assert_eq!((assessment(&[Pass, Unknown]).ready(), assessment(&[Pass, Unknown]).score()), (Ready::Unknown, 50));
    assert_eq!((assessment(&[Warn, Fail]).ready(), assessment(&[Warn, Fail]).score()), (Ready::NotReady, 25));
}

#[test]
fn a_plan_of_which_nothing_is_known_is_not_ready() {
    assert_eq!((assessment(&[]).ready(), assessment(&[]).score()), (Ready::Unknown, 0));
}

fn fact(subject: &str, region: &str, value: &str) -> Fact {
    Fact { subject: subject.into(), name: "image".into(), region: region.into(), value: value.into() }
}

fn of(facts: &[Fact]) -> Vec<(Finds, String)> {
    let regions = ["us-east-1".into(), "us-west-2".into()];
    parity(facts, &regions).into_iter().map(|it| (it.finds, it.detail)).collect()
}

#[test]
fn sides_that_differ_are_told() {
    let same = [fact("api", "us-east-1", "1.4"), fact("api", "us-west-2", "1.4")];
    assert_eq!(of(&same), [(Finds::Pass, "1 facts are the same in both regions".into())]);
    let other = [fact("api", "us-east-1", "1.4"), fact("api", "us-west-2", "1.3")];
    assert_eq!(of(&other), [(Finds::Warn, "image of api differs: 1.4 in us-east-1, 1.3 in us-west-2".into())]);
    let one = [fact("api", "us-east-1", "1.4"), fact("api", "us-west-2", "1.4"), fact("web", "us-east-1", "2")];
    assert_eq!(of(&one), [(Finds::Warn, "web has no image in us-west-2".into())]);
}

#[test]
fn one_side_alone_is_not_alike() {
    let [(finds, detail)] = &of(&[fact("api", "us-east-1", "1.4")])[..] else { panic!("it says nothing") };
    assert!(*finds == Finds::Warn && detail.contains("only us-east-1 says what it runs"), "{finds}: {detail}");
    assert_eq!(of(&[]), [], "what has no sides has none that differ");
    assert_eq!(parity(&[fact("api", "us-east-1", "1.4")], &["us-east-1".into()]), [], "an estate of one region");
}

#[test]
fn denied_actions_block() {
    assert_eq!(access(&[], 3, "the role").verdict, GuardVerdict::Pass);
    let denied = access(&["rds:PromoteReadReplica".into()], 3, "the role");
    assert_eq!(denied.verdict, GuardVerdict::Block);
    assert!(denied.detail.contains("rds:PromoteReadReplica"));
}

#[test]
fn a_way_to_reach_people_that_is_shut_is_a_risk_and_stops_no_recovery() {
    let shut = Fault::transient("slack", "invalid_auth");
    let found = |reached| channel(&("ops".into(), reached));
    assert_eq!(found(Ok("signed in as mayday".into())).finds, Finds::Pass);
    let told = found(Err(shut));
    assert_eq!(told.finds, Finds::Warn);
    assert!(told.detail.contains("by ops") && told.detail.contains("invalid_auth"), "{told:?}");
}

fn fault() -> Fault {
    Fault::transient("http", "no answer within 5.0 s")
}

fn fit(guards: &[Guard]) -> Result<Fitness, Fault> {
    Ok(Fitness { guards: guards.to_vec() })
}

fn plan_of(steps: Vec<StepSpec>) -> Plan {
    Plan { steps, ..plan() }
}

#[test]
fn what_an_earlier_step_sees_to_says_nothing_of_readiness() {
    let steer = StepSpec { kind: "redis.steer".into(), ..step("steer", StepRole::Changes, Gate::Confirm, &[]) };
    let move_it = step("move", StepRole::Changes, Gate::Confirm, &["steer"]);
    let elsewhere = StepSpec { system: "another".into(), ..steer.clone() };
    let guard = Guard::block("steering", "Sentinel would pick another").settled_by("redis.steer");
    let found = |before: Option<&StepSpec>| {
        let plan = plan_of(before.into_iter().chain([&move_it]).cloned().collect());
        is_seen_to(&plan, &move_it, &guard)
    };
    assert!(found(Some(&steer)));
    assert!(!found(None) && !found(Some(&elsewhere)), "nobody sees to it");
    assert!(!is_seen_to(&plan_of(vec![steer, move_it.clone()]), &move_it, &Guard::block("writers", "two")));
}

/// The findings of one step, each as `name`, what it finds, and its words.
fn of_one(
    role: StepRole,
    observed: Result<Observed, Fault>,
    fitness: Result<Fitness, Fault>,
) -> Vec<(String, Finds, String)> {
    let spec = step("it", role, Gate::Confirm, &[]);
    let seen = StepPreview {
        step: spec.id.clone(),
        title: spec.title.clone(),
        kind: spec.kind.clone(),
        observed,
        preview: Ok(Preview::default()),
        checked: Ok(Checked::default()),
    };
    let found = of_step(&view(), &plan_of(vec![spec.clone()]), &spec, &seen, &fitness);
    found.into_iter().map(|it| (it.name, it.finds, it.detail)).collect()
}

#[test]
fn what_nobody_looked_at_is_no_pass() {
    use Finds::*;
    use StepRole::*;
    let not_tried = || Ok(Observed::NotDone { detail: "not tried yet: 2 transactions in a row".into() });
    let answers = || fit(&[Guard::pass("reach", "it answers (204)")]);
    let done = |detail: &str| Ok(Observed::Done { detail: detail.into() });
    let unseen = || Ok(Observed::Unknowable { why: "in eu-central-1, checkout is unknown".into() });
    let impossible = || Ok(Observed::Impossible { why: "no such record".into() });
    type Row =
        (&'static str, StepRole, Result<Observed, Fault>, Result<Fitness, Fault>, &'static [(&'static str, Finds)]);
    let rows: [Row; 13] = [
        ("it could be tried", Synthetic, not_tried(), answers(), &[("reach", Pass)]),
        ("its address refuses", Synthetic, not_tried(), Err(fault()), &[("access", Unknown)]),
        ("nobody can ask", Synthetic, not_tried(), fit(&[]), &[("target", Unknown)]),
        ("it could not be observed", Synthetic, Err(fault()), answers(), &[("target", Unknown), ("reach", Pass)]),
        ("nothing was read", Checks, unseen(), Err(fault()), &[("target", Unknown), ("access", Unknown)]),
        ("it is so", Checks, done("healthy"), fit(&[]), &[("target", Pass)]),
        ("it is not so yet", Checks, not_tried(), fit(&[]), &[("target", Unknown)]),
        ("the measure is told", Measures, not_tried(), answers(), &[("reach", Pass)]),
        ("it can be changed", Capacity, not_tried(), answers(), &[("target", Pass), ("reach", Pass)]),
        (
            "it may be changed by nobody knows whom",
            Capacity,
            not_tried(),
            Err(fault()),
            &[("target", Pass), ("access", Unknown)],
        ),
        ("it cannot be", Traffic, impossible(), answers(), &[("target", Fail), ("reach", Pass)]),
        (
            "a fence that nobody could reach",
            Fences,
            done("out of reach"),
            Err(fault()),
            &[("target", Unknown), ("access", Unknown)],
        ),
        ("a fence that holds", Fences, done("scaled to zero"), answers(), &[("target", Pass), ("reach", Pass)]),
    ];
    for (what, role, observed, fitness, wanted) in rows {
        let found = of_one(role, observed, fitness);
        let short: Vec<(&str, Finds)> = found.iter().map(|(name, finds, _)| (name.as_str(), *finds)).collect();
        assert_eq!(short, wanted, "{what}: {found:?}");
        assert!(
            found.iter().all(|(_, finds, words)| *finds != Pass || !words.contains("not tried yet") || role.acts())
        );
    }
    let script = of_one(Changes, unseen(), fit(&[]));
    assert_eq!(script[0].1, Warn, "a script without `observe` is a risk that was chosen");
}

#[test]
fn guards_that_belong_to_now_do_not_speak_of_readiness() {
    let spec = step("it", StepRole::Checks, Gate::Auto, &[]);
    let seen = |guard: Guard| StepPreview {
        step: spec.id.clone(),
        title: String::new(),
        kind: spec.kind.clone(),
        observed: Ok(Observed::NotDone { detail: "no canary yet".into() }),
        preview: Ok(Preview::default()),
        checked: Ok(Checked { guards: vec![guard], promotion: None }),
    };
    let finds = |guard| target(&spec, &seen(guard), &fit(&[])).map(|(finds, _)| finds);
    assert_eq!(finds(Guard::pass("program", "it is there")), None);
    assert_eq!(finds(Guard::warn("clients", "they are cut off").situational()), Some(Finds::Unknown));
}

fn view() -> Snapshot {
    Snapshot {
        version: "test".into(),
        now: "2026-11-23T12:00:00Z".parse().unwrap(),
        estate: Arc::new(estate()),
        plans: Vec::new(),
        state: State::default(),
        live: Live::default(),
        chain: None,
    }
}

#[test]
fn what_a_promotion_would_lose_is_known_or_it_is_not_ready() {
    use crate::domain::fact::system::OldWriter;
    use Finds::*;
    let mut view = view();
    let now = view.now;
    let at = |seconds| Some(before(now, Duration::from_secs(seconds)));
    let ahead = Some(after(now, Duration::from_secs(61)));
    type Row = (&'static str, Option<At>, OldWriter, Option<bool>, bool, &'static [(&'static str, Finds)]);
    let rows: [Row; 9] = [
        ("a second", at(1), OldWriter::Reachable, Some(true), false, &[("quorum", Pass), ("loss", Pass)]),
        ("as much as is allowed", at(3600), OldWriter::Reachable, None, false, &[("loss", Pass)]),
        ("a second more", at(3601), OldWriter::Reachable, None, false, &[("loss", Fail)]),
        ("nobody knows", None, OldWriter::Reachable, None, false, &[("loss", Unknown)]),
        ("a clock runs ahead", ahead, OldWriter::Reachable, None, false, &[("loss", Unknown)]),
        ("handed over", None, OldWriter::Reachable, None, true, &[]),
        ("no majority", at(1), OldWriter::Reachable, Some(false), false, &[("quorum", Fail), ("loss", Pass)]),
        ("the old writer refuses", at(1), OldWriter::Unknown, None, false, &[("old-writer", Unknown), ("loss", Pass)]),
        ("there is no old writer", at(1), OldWriter::Absent, None, false, &[("loss", Pass)]),
    ];
    let spec = step("promote", StepRole::Promotes, Gate::Typed, &[]);
    let point = |at| RecoveryPoint { at, region: None, source: "test".into(), measured: false };
    let short = |view: &Snapshot, facts: Option<&PromotionFacts>| {
        promotion_ready(view, &spec, facts).map(|(name, finds, _)| (name, finds)).collect::<Vec<_>>()
    };
    for (what, at, old_writer, quorum, lossless, wanted) in rows {
        let facts = PromotionFacts { old_writer, quorum, recovery_point: at.map(point), lossless };
        assert_eq!(short(&view, Some(&facts)), wanted, "{what}");
    }
    assert_eq!(short(&view, None), [("loss", Unknown)], "the driver told nothing");
    Arc::make_mut(&mut view.estate).objectives.rpo.remove(&DataClass::Database);
    let facts = PromotionFacts {
        old_writer: OldWriter::Absent,
        quorum: None,
        recovery_point: at(1).map(point),
        lossless: false,
    };
    assert_eq!(short(&view, Some(&facts)), [("loss", Warn)], "nobody has said what may be lost");
}

#[test]
fn who_is_on_call_is_not_nobody_because_nobody_was_asked() {
    let mut view = view();
    let token = SecretRef::Env("TOKEN".into());
    let pagerduty = PagerDuty { token, url: "http://localhost".into(), policies: Vec::new(), every: Span::secs(60) };
    Arc::make_mut(&mut view.estate).contacts.pagerduty = Some(pagerduty);
    let said = |view: &Snapshot| {
        let plan = crate::domain::rule::decide::bench::plan();
        let found = own_needs(view, &plan, &"us-east-1".into()).into_iter().find(|it| it.name == "on-call").unwrap();
        (found.finds, found.detail)
    };
    let (finds, detail) = said(&view);
    assert!(finds == Finds::Warn && detail == "who is on call is not known: PagerDuty was not asked yet", "{detail}");
    view.live.on_call.at = Some(view.now);
    assert_eq!(said(&view), (Finds::Warn, "nobody is on call".to_owned()));
    let ada = OnCall { name: "Ada".into(), level: 1, policy: "p".into(), phone: None, link: None, until: None };
    view.live.on_call.people.push(ada);
    assert_eq!(said(&view), (Finds::Pass, "Ada is on call".to_owned()));
    view.live.on_call.at = Some(before(view.now, Duration::from_secs(86_400)));
    assert!(said(&view).1.contains("who is on call is not known"), "yesterday's answer");
}
