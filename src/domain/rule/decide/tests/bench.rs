//! A test bench: a small estate with one plan, a state, and a hand that plays operators and outcomes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::decision::decide;
use super::super::{Context, Decision};
use crate::domain::actor::{Actor, Origin};
use crate::domain::chain::Chain;
use crate::domain::fact::command::{Ask, Command, Effect, Envelope, Preparation, Refusal, Report};
use crate::domain::fact::comms::{Counts, Voice};
use crate::domain::fact::event::{Event, Record};
use crate::domain::fact::findings::Baseline;
use crate::domain::fact::health::{Reading, Status, Trouble};
use crate::domain::fact::live::{ProbeLive, SurveyLive};
use crate::domain::fact::recovery::RecoveryPoint;
use crate::domain::fact::run::{Mode, StepPhase, StepRun};
use crate::domain::fact::system::{Checked, Observed, OldWriter, Preview, PromotionFacts};
use crate::domain::ids::{ProbeId, RunId, SessionId, StepId, SystemId};
use crate::domain::rule::rollup::Readings;
use crate::domain::rule::state::State;
use crate::domain::spec::classes::{DataClass, Tier};
use crate::domain::spec::estate::{Estate, Objectives, Policy, Region, RegionRole, Service, SystemSpec};
use crate::domain::spec::kinds::{StepRole, Undo};
use crate::domain::spec::params::Params;
use crate::domain::spec::plan::{Gate, Plan, StepSpec};
use crate::domain::spec::probe::{ProbeSpec, Subject};
use crate::domain::spec::severity::Severity;
use crate::domain::time::{At, Span, after, before};

pub const STANDBY: &str = "us-west-2";

fn region(id: &str, role: RegionRole) -> Region {
    Region { id: id.into(), role, title: id.into(), systems: Default::default() }
}

pub fn estate() -> Estate {
    let probe = |region: &str| ProbeSpec {
        id: format!("api@{region}").into(),
        kind: "http.get".into(),
        system: "http".into(),
        subject: Subject::Service("api".into()),
        region: Some(region.into()),
        every: Span::secs(5),
        timeout: Span::secs(2),
        fall: 3,
        window: None,
        rise: 2,
        params: Params::default(),
    };
    Estate {
        name: "Test".into(),
        environment: crate::domain::spec::estate::Environment::Production,
        runs_in: None,
        regions: vec![region("us-east-1", RegionRole::Primary), region(STANDBY, RegionRole::Standby)],
        services: vec![Service { id: "api".into(), title: "API".into(), tier: Tier::Critical }],
        systems: vec![SystemSpec {
            id: "db".into(),
            kind: "rds".into(),
            title: "Database".into(),
            region: None,
            class: Some(DataClass::Database),
            params: Params::default(),
        }],
        probes: vec![probe("us-east-1"), probe(STANDBY)],
        backups: Vec::new(),
        contacts: Default::default(),
        dependencies: Vec::new(),
        drills: Vec::new(),
        checklist: Vec::new(),
        channels: Vec::new(),
        comms: Default::default(),
        alerts: Default::default(),
        objectives: Objectives {
            rto: [(Tier::Critical, Span::secs(300))].into(),
            rpo: [(DataClass::Database, Span::secs(3600))].into(),
        },
        policy: Policy::default(),
    }
}

pub fn step(id: &str, role: StepRole, gate: Gate, needs: &[&str]) -> StepSpec {
    StepSpec {
        id: id.into(),
        title: id.into(),
        kind: format!("test.{role}"),
        system: "db".into(),
        needs: needs.iter().map(|need| StepId::from(*need)).collect(),
        gate,
        yes: matches!(gate, Gate::Confirm),
        timeout: Span::secs(60),
        phrase: "db".into(),
        recovers: if role == StepRole::Synthetic { vec![Tier::Critical] } else { Vec::new() },
        class: matches!(role, StepRole::Promotes | StepRole::Measures).then_some(DataClass::Database),
        region: (role == StepRole::Traffic).then(|| STANDBY.into()),
        role,
        undo: if role == StepRole::Promotes { Undo::PointOfNoReturn } else { Undo::Revert },
        params: Params::default(),
        ways: Vec::new(),
        own_role: false,
        optional: false,
    }
}

/// fence → promote → measure, scale; all → dns → client.
pub fn plan() -> Plan {
    Plan {
        id: "failover".into(),
        title: "Failover".into(),
        about: String::new(),
        steps: vec![
            step("fence", StepRole::Fences, Gate::Confirm, &[]),
            step("promote", StepRole::Promotes, Gate::Typed, &["fence"]),
            step("scale", StepRole::Capacity, Gate::Confirm, &[]),
            step("measure", StepRole::Measures, Gate::Auto, &["promote"]),
            step("dns", StepRole::Traffic, Gate::TwoPerson, &["promote", "scale", "measure"]),
            step("client", StepRole::Synthetic, Gate::Auto, &["dns"]),
        ],
        fingerprint: "f".into(),
        target: None,
    }
}

pub fn operator(name: &str, uid: u32) -> Actor {
    Actor::named(name, Some(uid))
}

/// The bench.
pub struct Bench {
    pub estate: Estate,
    pub plans: Vec<Arc<Plan>>,
    pub state: State,
    pub baseline: Baseline,
    pub now: At,
    pub records: Vec<Record>,
    /// Effects in the order in which they were asked for.
    pub effects: Vec<Effect>,
    /// The parts of each channel; one each when nobody counts.
    pub counts: Option<Counts>,
    pub surveys: BTreeMap<SystemId, SurveyLive>,
    pub readings: Readings,
}

impl Bench {
    pub fn new() -> Self {
        let now = "2026-11-23T03:00:00Z".parse().unwrap();
        let plans = vec![Arc::new(plan())];
        Self {
            estate: estate(),
            plans,
            state: State::default(),
            baseline: Baseline::default(),
            now,
            records: Vec::new(),
            effects: Vec::new(),
            counts: None,
            surveys: BTreeMap::new(),
            readings: Readings::new(),
        }
    }

    /// A bench with a healthy standby, a primary that went down, a declared incident and a live run.
    pub fn running() -> Self {
        let mut bench = Self::new();
        bench.probe(STANDBY, Status::Healthy);
        bench.probe("us-east-1", Status::Healthy);
        bench.pass(60);
        bench.probe("us-east-1", Status::Down);
        bench.pass(10);
        bench.ask(Ask::Declare { title: "east is dark".into(), severity: Severity::Sev1, drill: false }).unwrap();
        bench.start(Mode::Live, false).unwrap();
        bench
    }

    /// Time goes by, and the probes go on to say what they say.
    pub fn pass(&mut self, seconds: u64) {
        self.stall(seconds);
        self.readings.values_mut().for_each(|live| live.at = self.now);
    }

    /// Time goes by, and nobody reads.
    pub fn stall(&mut self, seconds: u64) {
        self.now = after(self.now, Duration::from_secs(seconds));
    }

    pub fn probe(&mut self, region: &str, to: Status) {
        self.probe_since(region, to, Some(before(self.now, Duration::from_secs(5))));
    }

    /// A probe says something else, which it was last healthy before; never, as far as is known, for `None`.
    pub fn probe_since(&mut self, region: &str, to: Status, last_healthy: Option<At>) {
        let (probe, detail) = (ProbeId::from(format!("api@{region}")), String::new());
        let since = Some(last_healthy.filter(|_| to == Status::Down).unwrap_or(self.now));
        let trouble = Trouble { last_healthy, first_down: Some(self.now).filter(|_| to == Status::Down) };
        let reading = Reading::new(to, "as told");
        let live = ProbeLive { at: self.now, status: to, reading, since, history: Default::default() };
        self.readings.insert(probe.clone(), live);
        let trouble = Some(trouble).filter(|_| to != Status::Healthy);
        self.report(Report::Probe { probe, to, detail, last_healthy, trouble });
    }

    /// The engine dies, and the next one has read nothing yet.
    pub fn restart(&mut self) -> Decision {
        self.readings.clear();
        self.report(Report::Started { version: "2".into(), anchor: None, drift: Default::default() })
    }

    pub fn start(&mut self, mode: Mode, unattended: bool) -> Result<Decision, Refusal> {
        let ask = Ask::StartRun { plan: "failover".into(), mode, reason: "test".into(), unattended };
        self.ask(ask)
    }

    /// Asked on the command line by ann.
    pub fn ask(&mut self, ask: Ask) -> Result<Decision, Refusal> {
        self.ask_as(operator("ann", 1), Origin::CommandLine, ask)
    }

    pub fn ask_in_cockpit(&mut self, session: &str, ask: Ask) -> Result<Decision, Refusal> {
        let origin = Origin::Cockpit { session: SessionId::from(session), read_only: false };
        self.ask_as(operator("ann", 1), origin, ask)
    }

    pub fn ask_as(&mut self, actor: Actor, origin: Origin, ask: Ask) -> Result<Decision, Refusal> {
        self.send(Envelope { actor, origin, command: Command::Ask(ask) })
    }

    pub fn report(&mut self, report: Report) -> Decision {
        let command = Command::Report(report);
        let envelope = Envelope { actor: Actor::engine(), origin: Origin::Engine, command };
        self.send(envelope).expect("reports are never refused")
    }

    fn send(&mut self, envelope: Envelope) -> Result<Decision, Refusal> {
        let points = BTreeMap::new();
        let cx = Context {
            estate: &self.estate,
            plans: &self.plans,
            now: self.now,
            points: &points,
            baseline: &self.baseline,
            voice: Voice { counts: self.counts.as_ref(), ..Voice::mute() },
            surveys: &self.surveys,
            chain: &Chain::default(),
            readings: &self.readings,
        };
        let decision = decide(&cx, &self.state, &envelope)?;
        for (actor, event) in &decision.events {
            let record = Record { seq: self.state.seq + 1, at: self.now, actor: actor.clone(), event: event.clone() };
            self.state.apply(&record);
            self.records.push(record);
        }
        self.effects.extend(decision.effects.iter().cloned());
        Ok(decision)
    }

    pub fn run(&self) -> RunId {
        self.state.run.as_ref().unwrap().id.clone()
    }

    pub fn at(&self, step: &str) -> &StepRun {
        self.state.run.as_ref().unwrap().steps.get(step).unwrap()
    }

    pub fn phase(&self, step: &str) -> StepPhase {
        self.at(step).phase
    }

    /// What a driver would say of a step that can go on.
    pub fn sound(&self, lost: u64) -> Preparation {
        let recovery_point = RecoveryPoint {
            at: before(self.now, Duration::from_secs(lost)),
            region: Some(STANDBY.into()),
            source: "test".into(),
            measured: false,
        };
        let promotion = PromotionFacts {
            old_writer: OldWriter::Unreachable,
            quorum: Some(true),
            recovery_point: Some(recovery_point),
            lossless: false,
        };
        Preparation {
            observed: Observed::NotDone { detail: "not done".into() },
            preview: Preview { summary: "change it".into(), ..Preview::default() },
            checked: Checked { guards: Vec::new(), promotion: Some(promotion) },
        }
    }

    pub fn prepared(&mut self, step: &str, found: Preparation) -> Decision {
        self.report(Report::Prepared { run: self.run(), step: step.into(), outcome: Ok(Box::new(found)) })
    }

    pub fn confirm(&mut self, step: &str, phrase: &str) -> Result<Decision, Refusal> {
        self.ask(Ask::Confirm { run: self.run(), step: step.into(), phrase: phrase.into(), seen: None })
    }

    pub fn applied(&mut self, step: &str) -> Decision {
        let attempt = self.at(step).attempts;
        self.report(Report::Applied { run: self.run(), step: step.into(), attempt, outcome: Ok(Default::default()) })
    }

    pub fn verified(&mut self, step: &str) -> Decision {
        self.measured(step, None)
    }

    pub fn measured(&mut self, step: &str, recovery_point: Option<RecoveryPoint>) -> Decision {
        use crate::domain::fact::system::Verified;
        let outcome = Ok(Verified::Holds { detail: "there".into(), recovery_point });
        self.report(Report::Verified { run: self.run(), step: step.into(), outcome })
    }

    /// Takes a step from its preparation to done.
    pub fn finish(&mut self, step: &str, phrase: &str) {
        self.prepared(step, self.sound(2));
        if self.phase(step) == StepPhase::Gated {
            self.confirm(step, phrase).unwrap();
        }
        if self.phase(step) == StepPhase::Gated {
            let ask = Ask::Confirm { run: self.run(), step: step.into(), phrase: phrase.into(), seen: None };
            self.ask_as(operator("bob", 2), Origin::CommandLine, ask).unwrap();
        }
        self.applied(step);
        self.verified(step);
    }

    pub fn effects_on(&self, step: &str, which: fn(&Effect) -> Option<&crate::domain::fact::command::Job>) -> usize {
        self.effects.iter().filter_map(which).filter(|job| job.step.id.as_str() == step).count()
    }

    pub fn events(&self, which: fn(&Event) -> bool) -> usize {
        self.records.iter().filter(|record| which(&record.event)).count()
    }
}

/// The job of an `Apply`.
pub fn apply(effect: &Effect) -> Option<&crate::domain::fact::command::Job> {
    match effect {
        Effect::Apply(job) => Some(job),
        _ => None,
    }
}
