//! The scenes that are looked at: how each came to be.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::actor::Actor;
use crate::domain::alert::{self, Alert, Ringing};
use crate::domain::checklist::{Baseline, Evidence};
use crate::domain::command::{Ask, Report};
use crate::domain::ids::{ProbeId, StepId};
use crate::domain::live::{Attached, Live, LiveChange, ProbeLive};
use crate::domain::run::{LastTime, Mode};
use crate::domain::sight::median;
use crate::domain::state::State;
use crate::domain::system::OldWriter;
use crate::domain::time::{At, before};
use crate::domain::view::Snapshot;

use super::estate::{EAST, estate, plans};
use super::scene::Scene;

impl Scene {
    /// Peace: everything was looked at and is healthy.
    pub fn peace() -> Self {
        let now: At = "2026-11-23T14:00:00Z".parse().unwrap();
        let snap = Snapshot {
            version: "0.1.0".into(),
            now,
            estate: Arc::new(estate()),
            plans: plans().into_iter().map(Arc::new).collect(),
            state: State::default(),
            live: Live::default(),
            chain: None,
        };
        let mut scene = Self {
            snap,
            records: Vec::new(),
            effects: VecDeque::new(),
            errands: VecDeque::new(),
            sent: Vec::new(),
            session: "tty1".into(),
            alice: Actor::named("alice", Some(1000)),
            points: BTreeMap::new(),
            baseline: Baseline::default(),
            seen: BTreeMap::new(),
            since: BTreeMap::new(),
            old_writer: OldWriter::Unreachable,
            dark: false,
        };
        scene.report(Report::Started { version: "0.1.0".into(), anchor: None, drift: Default::default() });
        let who = Attached { name: "alice".into(), uid: 1000, since: now, read_only: false, looks_at: None };
        scene.live(LiveChange::Attached { session: scene.session.clone(), who });
        for _ in 0..20 {
            scene.pass(5);
        }
        let known = scene.snap.live.probes.iter();
        let latency = |(id, live): (&ProbeId, &ProbeLive)| {
            Some((id.clone(), median(live.history.iter().flatten().copied().collect())?))
        };
        scene.baseline.latencies = known.filter_map(latency).collect();
        scene.look_at_backups();
        scene.assess();
        scene.name_who_is_on_call();
        scene
    }

    /// Other monitoring has alerts of its own: two fire, and one of them was not repeated for a day; of one its sender cannot tell.
    pub fn alerted() -> Self {
        let mut scene = Self::peace();
        let now = scene.snap.now;
        let alert = |id: &str, is, name: &str| Alert {
            id: id.into(),
            is,
            source: "alertmanager".into(),
            labels: [(alert::NAME.to_owned(), name.to_owned()), (alert::REGION.to_owned(), EAST.to_owned())].into(),
            summary: "the old writer does not answer".into(),
            starts_at: None,
        };
        let (firing, unknown) = (Ringing::Firing, Ringing::Unknown);
        scene.ask_by_hand(Ask::TakeAlerts { alerts: vec![alert("a1", firing, "OldNews")] });
        scene.snap.state.alerts.0.values_mut().for_each(|it| it.last = before(now, Duration::from_secs(86_400)));
        let alerts = vec![alert("a2", firing, "PodsPending"), alert("a3", unknown, "QueueDepth")];
        scene.ask_by_hand(Ask::TakeAlerts { alerts });
        scene.pass(1);
        scene
    }

    /// The primary region goes dark, and the probes have seen it.
    pub fn dark() -> Self {
        let mut scene = Self::peace();
        scene.dark = true;
        for _ in 0..4 {
            scene.pass(5);
        }
        scene
    }

    pub fn declared() -> Self {
        let mut scene = Self::dark();
        let severity = crate::domain::incident::Severity::Sev1;
        scene.ask(Ask::Declare { title: "us-east-1 is down: 6 of 6 services".into(), severity, drill: false });
        scene.pass(5);
        scene
    }

    /// People can be told; the incident is declared, and whoever is on call is paged.
    pub fn paged() -> Self {
        let mut scene = Self::dark();
        Arc::make_mut(&mut scene.snap.estate).channels = super::estate::channels();
        let severity = crate::domain::incident::Severity::Sev1;
        scene.ask(Ask::Declare { title: "us-east-1 is down: 6 of 6 services".into(), severity, drill: false });
        scene.pass(1);
        scene.carry();
        scene.ask(Ask::Arm {});
        scene
    }

    /// A first update is out: one channel is slow, one does not say what became of it.
    pub fn told() -> Self {
        let mut scene = Self::paged();
        scene.pass(30);
        scene.tell();
        scene.pass(6);
        scene.report(Report::CommsDue {});
        scene.pass(1);
        scene.carry();
        scene
    }

    pub fn gates() -> Self {
        let mut scene = Self::declared();
        scene.ask(Ask::Arm {});
        scene.start("regional-failover");
        scene.pass(3);
        scene.perform_all();
        scene.pass(4);
        scene
    }

    /// The fence stands; the promotion of the database waits for its typed gate.
    pub fn typed() -> Self {
        let mut scene = Self::gates();
        scene.confirm("fence-primary");
        scene.perform_all();
        scene.pass(5);
        scene.confirm("scale-standby");
        scene.perform("scale-standby");
        scene
    }

    /// Under way: the fence stands, the database is being promoted, the cache waits for its gate.
    pub fn running() -> Self {
        let mut scene = Self::gates();
        scene.confirm("fence-primary");
        scene.perform_all();
        scene.confirm("scale-standby");
        scene.perform("scale-standby");
        scene.pass(5);
        scene.confirm("promote-database");
        scene.perform("promote-database");
        scene.log("promote-database", "PromoteReadReplica accepted for gennet-db-replica");
        scene.pass(5);
        scene.log("promote-database", "status modifying, still a replica of gennet-db");
        scene.pass(5);
        scene
    }

    /// The same by people who have done it before: every step was timed, and the critical path is known.
    pub fn practised() -> Self {
        let mut scene = Self::running();
        let run = scene.snap.state.run.as_ref().unwrap();
        let (plan, steps) = (run.plan.id.clone(), run.plan.steps.clone());
        let seconds = |step: &str| match step {
            "promote-database" => 74.0,
            "scale-standby" => 31.0,
            "move-dns" => 62.0,
            _ => 4.0,
        };
        let last = |step: &str| LastTime { at: scene.snap.now, mode: Mode::Drill, seconds: seconds(step) };
        let timed = steps.iter().map(|spec| (spec.id.clone(), last(spec.id.as_str()))).collect();
        scene.snap.state.history.insert(plan, timed);
        scene
    }

    /// The guards of the promotions stand against them.
    pub fn blocked() -> Self {
        let mut scene = Self::gates();
        scene.old_writer = OldWriter::Unknown;
        let run = scene.snap.state.run.as_ref().unwrap().id.clone();
        scene.ask(Ask::Skip { run, step: "fence-primary".into(), reason: "the region does not answer".into() });
        scene.perform_all();
        scene.pass(4);
        scene
    }

    pub fn held() -> Self {
        let mut scene = Self::running();
        scene.ask(Ask::Hold { reason: "is the east coming back?".into() });
        scene.pass(5);
        scene
    }

    pub fn recovered() -> Self {
        let mut scene = Self::running();
        scene.perform_all();
        scene.pass(20);
        scene.confirm("promote-cache");
        scene.perform_all();
        scene.pass(10);
        scene.perform_all();
        scene.confirm("move-dns");
        scene.pass(30);
        scene.perform_all();
        scene.pass(8);
        scene
    }

    /// Recovered, and looked at: one item is ticked and failed after that, one fails, one is left out.
    pub fn walked() -> Self {
        let mut scene = Self::recovered();
        scene.look_at_items();
        let tick = |item: &str| Ask::TickItem { item: item.into(), note: String::new() };
        scene.ask(tick("services-healthy"));
        scene.ask(tick("user-access"));
        scene.ask(Ask::SkipItem { item: "support-asked".into(), reason: "their desk opens at eight".into() });
        let lost = "of what was written until 14:01:30 UTC, rds misses 1 of 4127 that it held";
        scene.seen.insert("data-integrity.http.integrity".into(), (Evidence::Fail, lost.into()));
        let login = "nobody can sign in: 503 the session cannot be kept";
        scene.seen.insert("user-access.http.login".into(), (Evidence::Fail, login.into()));
        scene.pass(5);
        scene.look_at_items();
        scene.pass(7);
        scene
    }
}

/// The commands of a step, as an engine would print them.
pub fn by_hand(step: &StepId) -> Vec<String> {
    vec![
        "# in the standby region".into(),
        format!("aws rds promote-read-replica --db-instance-identifier {step} --region us-west-2"),
        "# verify".into(),
        format!("aws rds describe-db-instances --db-instance-identifier {step} --region us-west-2"),
    ]
}
