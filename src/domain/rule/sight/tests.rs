use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::domain::actor::Actor;
use crate::domain::fact::clocks::Clocks;
use crate::domain::fact::contacts::OnCall;
use crate::domain::fact::event::{Event, Record};
use crate::domain::fact::findings::Sum;
use crate::domain::fact::health::Reading;
use crate::domain::fact::live::{Live, LiveChange, SurveyLive};
use crate::domain::fact::recovery::{Member, Survey};
use crate::domain::ids::ProbeId;
use crate::domain::rule::state::State;
use crate::domain::spec::classes::DataClass;
use crate::domain::spec::classes::Tier;
use crate::domain::spec::contacts::{Contacts, PagerDuty};
use crate::domain::spec::estate::{Estate, Policy, Region, RegionRole, Service, SystemSpec};
use crate::domain::spec::params::{Params, SecretRef};
use crate::domain::spec::severity::Severity;
use crate::domain::time::{after, before};

const EAST: &str = "us-east-1";
const WEST: &str = "us-west-2";

fn estate() -> Estate {
    let region = |id: &str, role| Region { id: id.into(), role, title: id.into(), systems: Default::default() };
    let probe = |(name, region): (&str, &str)| ProbeSpec {
        id: format!("{name}@{region}").into(),
        kind: "http.get".into(),
        system: "http".into(),
        subject: Subject::Service(name.into()),
        region: Some(region.into()),
        every: Span::secs(5),
        timeout: Span::secs(2),
        fall: 3,
        window: None,
        rise: 2,
        params: Params::default(),
    };
    let pagerduty = PagerDuty {
        token: SecretRef::Env("TOKEN".into()),
        url: "http://localhost".into(),
        policies: Vec::new(),
        every: Span::secs(60),
    };
    // What this knows nothing of is as it is when a config says nothing.
    let nothing = serde_json::json!({
        "name": "test", "environment": "production", "regions": [], "services": [], "systems": [], "probes": [],
        "objectives": { "rto": {}, "rpo": { "database": "1h" } }, "policy": Policy::default(),
    });
    Estate {
        regions: vec![region(EAST, RegionRole::Primary), region(WEST, RegionRole::Standby)],
        services: ["api", "auth"].map(|id| Service { id: id.into(), title: id.into(), tier: Tier::Critical }).into(),
        systems: vec![SystemSpec {
            id: "db".into(),
            kind: "rds".into(),
            title: "db".into(),
            region: None,
            class: Some(DataClass::Database),
            params: Params::default(),
        }],
        probes: [("api", EAST), ("auth", EAST), ("api", WEST), ("auth", WEST)].map(probe).into(),
        contacts: Contacts { pagerduty: Some(pagerduty), ..Contacts::default() },
        ..serde_json::from_value(nothing).unwrap()
    }
}

/// An open incident, probes that took 20 ms before it and take as long now, and somebody on call.
struct Stage {
    view: Snapshot,
}

impl Stage {
    fn new() -> Self {
        let now: At = "2026-11-23T03:00:00Z".parse().unwrap();
        let view = Snapshot {
            version: "test".into(),
            now,
            estate: Arc::new(estate()),
            plans: Vec::new(),
            state: State::default(),
            live: Live::default(),
            chain: None,
        };
        let mut stage = Self { view };
        let baseline = Baseline {
            latencies: [("api@us-east-1".into(), 20), ("auth@us-east-1".into(), 20)].into(),
            ..Baseline::default()
        };
        stage.event(Event::IncidentDeclared {
            incident: "INC-1".into(),
            title: "x".into(),
            severity: Severity::Sev1,
            clocks: Clocks::default(),
            region: EAST.into(),
            points: Default::default(),
            drill: false,
            promise: None,
        });
        stage.event(Event::ChecklistFixed { items: Vec::new(), baseline: Box::new(baseline) });
        for probe in ["api@us-east-1", "auth@us-east-1", "api@us-west-2", "auth@us-west-2"] {
            stage.tell(probe, Status::Healthy, Some(20));
        }
        stage.pass(60);
        for probe in ["api@us-east-1", "auth@us-east-1", "api@us-west-2", "auth@us-west-2"] {
            (0..5).for_each(|_| stage.tell(probe, Status::Healthy, Some(20)));
        }
        let people =
            vec![OnCall { name: "Ada".into(), level: 1, policy: "p".into(), phone: None, link: None, until: None }];
        stage.view.live.on_call.at = Some(stage.view.now);
        stage.view.live.on_call.people = people;
        stage
    }

    fn event(&mut self, event: Event) {
        let seq = self.view.state.seq + 1;
        self.view.state.apply(&Record { seq, at: self.view.now, actor: Actor::engine(), event });
    }

    fn pass(&mut self, seconds: u64) {
        self.view.now = after(self.view.now, Duration::from_secs(seconds));
    }

    fn tell(&mut self, probe: &str, status: Status, latency_ms: Option<u32>) {
        let reading = Reading { status, detail: String::new(), latency_ms };
        let now = self.view.now;
        let known = self.view.live.probes.get(&ProbeId::from(probe)).filter(|known| known.status == status);
        let since = known.map_or(Some(now), |known| known.since);
        self.view.live.apply(LiveChange::Probe { probe: probe.into(), at: now, status, reading, since });
    }

    fn sees(&self, sight: Sight) -> (Evidence, String) {
        let finding = look(sight, &self.view, self.view.now).unwrap();
        (finding.evidence, finding.detail)
    }

    #[track_caller]
    fn is(&self, sight: Sight, evidence: Evidence, part: &str) {
        let (seen, detail) = self.sees(sight);
        assert!(seen == evidence && detail.contains(part), "{seen}: {detail}");
    }
}

#[test]
fn services_have_to_be_healthy_where_clients_are_and_for_long_enough() {
    let mut stage = Stage::new();
    stage.is(Sight::Services, Evidence::Pass, "2 services in us-east-1");
    stage.tell("auth@us-west-2", Status::Down, None);
    stage.is(Sight::Services, Evidence::Pass, "us-east-1");
    stage.tell("auth@us-east-1", Status::Degraded, None);
    stage.is(Sight::Services, Evidence::Fail, "auth is degraded");
    stage.tell("auth@us-east-1", Status::Healthy, None);
    stage.pass(3);
    stage.is(Sight::Services, Evidence::Unknown, "not for 10s yet");
}

#[test]
fn what_was_not_looked_at_lately_is_unknown_and_who_stopped_reporting_fails() {
    let mut stage = Stage::new();
    stage.pass(60);
    stage.is(Sight::Services, Evidence::Unknown, "api is unknown");
    stage.is(Sight::Watching, Evidence::Fail, "do not report any more");
    stage.is(Sight::Latency, Evidence::Unknown, "does not report");
    stage.view.live.probes.clear();
    stage.is(Sight::Watching, Evidence::Unknown, "not every probe has looked yet");
}

#[test]
fn latency_is_held_against_the_region_that_served_before() {
    let mut stage = Stage::new();
    stage.is(Sight::Latency, Evidence::Pass, "was 20 ms");
    stage.view.state.serving = Some(WEST.into());
    stage.is(Sight::Latency, Evidence::Pass, "us-west-2: 20 ms, was 20 ms");
    (0..2).for_each(|_| stage.tell("auth@us-west-2", Status::Healthy, Some(900)));
    stage.is(Sight::Latency, Evidence::Pass, "us-west-2");
    stage.tell("auth@us-west-2", Status::Healthy, Some(900));
    stage.is(Sight::Latency, Evidence::Fail, "auth@us-west-2 takes 900 ms, and took 20 ms");
    (0..3).for_each(|_| stage.tell("auth@us-west-2", Status::Healthy, Some(110)));
    stage.is(Sight::Latency, Evidence::Pass, "was 20 ms");
    stage.view.state.incident.as_mut().unwrap().checklist.baseline = Baseline::default();
    stage.is(Sight::Latency, Evidence::Unknown, "is not known");
}

#[test]
fn monitoring_includes_whoever_would_be_paged() {
    let mut stage = Stage::new();
    stage.is(Sight::Watching, Evidence::Pass, "Ada is on call");
    stage.view.live.on_call.fault = Some("refused".into());
    stage.is(Sight::Watching, Evidence::Fail, "PagerDuty does not answer");
    stage.view.live.on_call.fault = None;
    stage.view.live.on_call.people.clear();
    stage.is(Sight::Watching, Evidence::Fail, "nobody is on call");
    stage.view.live.on_call.at = Some(before(stage.view.now, Duration::from_secs(191)));
    stage.is(Sight::Watching, Evidence::Unknown, "has not answered");
    stage.view.live.on_call.at = None;
    stage.is(Sight::Watching, Evidence::Unknown, "was not asked yet");
    Arc::make_mut(&mut stage.view.estate).contacts.pagerduty = None;
    stage.is(Sight::Watching, Evidence::Unknown, "no PagerDuty is configured");
    stage.tell("auth@us-east-1", Status::Unknown, None);
    stage.is(Sight::Watching, Evidence::Unknown, "auth@us-east-1");
    Arc::make_mut(&mut stage.view.estate).probes.clear();
    stage.is(Sight::Watching, Evidence::Unknown, "nothing is watched");
    stage.view.live.journal_fault = Some("disk full".into());
    stage.is(Sight::Watching, Evidence::Fail, "disk full");
}

fn writers(stage: &mut Stage, regions: &[&str]) {
    let member = |region: &&str| Member {
        name: format!("db-{region}"),
        region: Some((*region).into()),
        role: Role::Writer,
        status: Status::Healthy,
        lag: None,
        detail: String::new(),
    };
    let survey = Survey { members: regions.iter().map(member).collect(), standby_point: None, notes: Vec::new() };
    let taken = SurveyLive { at: Some(stage.view.now), survey, fault: None };
    stage.view.live.apply(LiveChange::Survey { system: "db".into(), taken });
}

#[test]
fn stores_that_nobody_promoted_have_to_be_where_they_were() {
    let mut stage = Stage::new();
    stage.is(Sight::RecoveryPoints, Evidence::Unknown, "who writes to db is not known: it was not looked at yet");
    writers(&mut stage, &[EAST]);
    stage.is(Sight::RecoveryPoints, Evidence::Pass, "nothing was promoted");
    writers(&mut stage, &[WEST]);
    stage.is(Sight::RecoveryPoints, Evidence::Unknown, "db is written to in us-west-2");
    writers(&mut stage, &[EAST, WEST]);
    stage.is(Sight::RecoveryPoints, Evidence::Fail, "2 writers");
    let known = stage.view.live.surveys.values_mut().next().unwrap();
    known.survey.members[0].status = Status::Unknown;
    stage.is(Sight::RecoveryPoints, Evidence::Unknown, "db is written to in us-west-2");
}

#[test]
fn a_store_that_nobody_could_look_at_is_not_the_copy_that_it_was() {
    type Row = (&'static str, fn(&mut SurveyLive), Evidence, &'static str);
    let rows: [Row; 8] = [
        ("seen", |_| {}, Evidence::Pass, "nothing was promoted"),
        ("slow", |taken| taken.survey.members[0].status = Status::Degraded, Evidence::Pass, "nothing was promoted"),
        ("refused", |taken| taken.fault = Some("403".into()), Evidence::Unknown, "db is not known: 403"),
        ("never answered", |taken| taken.at = None, Evidence::Unknown, "it was not looked at yet"),
        (
            "yesterday's answer",
            |taken| taken.at = taken.at.map(|at| before(at, Duration::from_secs(3600))),
            Evidence::Unknown,
            "last looked at 1h ago",
        ),
        ("silent", |taken| taken.survey.members[0].status = Status::Down, Evidence::Unknown, "no writer is seen"),
        ("nobody leads", |taken| taken.survey.members.clear(), Evidence::Unknown, "no writer is seen in us-east-1"),
        ("nobody knows where", |taken| taken.survey.members[0].region = None, Evidence::Unknown, "no writer is seen"),
    ];
    for (what, so, evidence, words) in rows {
        let mut stage = Stage::new();
        writers(&mut stage, &[EAST]);
        so(stage.view.live.surveys.values_mut().next().unwrap());
        let (seen, detail) = stage.sees(Sight::RecoveryPoints);
        assert!(seen == evidence && detail.contains(words), "{what}: {seen}, {detail}");
    }
}

#[test]
fn counts_and_checksums_are_compared_store_by_store() {
    let sum = |count, checksum: &str| Sum { count, checksum: (!checksum.is_empty()).then(|| checksum.to_owned()) };
    let tally = |rds: Sum, redis: Sum| Tally::from([("rds".to_owned(), rds), ("redis".to_owned(), redis)]);
    let then = Tallied { until: At::UNIX_EPOCH, tally: tally(sum(10, "a"), sum(3, "")) };
    let is = |now: Tally, evidence, part: &str| {
        let found = compare("check", &then, &now);
        assert!(found.evidence == evidence && found.detail.contains(part), "{found:?}");
    };
    is(tally(sum(10, "a"), sum(5, "")), Evidence::Pass, "2 stores");
    is(tally(sum(9, "b"), sum(3, "")), Evidence::Fail, "rds misses 1 of 10");
    is(tally(sum(10, "b"), sum(3, "")), Evidence::Fail, "holds something else");
    is(tally(sum(10, ""), sum(3, "")), Evidence::Unknown, "no checksum any more");
    is(Tally::from([("rds".to_owned(), sum(10, "a"))]), Evidence::Unknown, "redis is not counted any more");
    let nothing = Tallied { until: At::UNIX_EPOCH, tally: Tally::new() };
    assert_eq!(compare("check", &nothing, &Tally::new()).evidence, Evidence::Unknown, "nothing is not everything");
}
