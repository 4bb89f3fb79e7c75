//! State: the fold of the journal. `apply` is total and never fails: an event is a fact.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::domain::clock::ClockState;
use crate::domain::fact::about::About;
use crate::domain::fact::alert::Alerts;
use crate::domain::fact::backup::Worth;
use crate::domain::fact::bout::ProbeState;
use crate::domain::fact::checklist::Checklist;
use crate::domain::fact::comms::{Message, Outbox};
use crate::domain::fact::drill::{Drill, DrillResult};
use crate::domain::fact::event::{Event, Record};
use crate::domain::fact::findings::Baseline;
use crate::domain::fact::hold::{Armed, Hold};
use crate::domain::fact::incident::{Incident, Phase};
use crate::domain::fact::moved::Moved;
use crate::domain::fact::readiness::Brief;
use crate::domain::fact::run::{LastTime, Mode, Outcome, Reverting, Run, StepPhase, StepRun};
use crate::domain::fact::told::Told;
use crate::domain::ids::{BackupId, DrillId, IncidentId, PlanId, ProbeId, RegionId, SessionId, StepId};
use crate::domain::spec::classes::Tier;
use crate::domain::spec::kinds::StepRole;
use crate::domain::spec::plan::part_of;
use crate::domain::spec::severity::Severity;
use crate::domain::time::{At, seconds_between};

/// So many closed incidents are remembered by the state; the journal keeps all.
const PAST: usize = 50;

/// Of so many closed incidents all is remembered that it takes to tell of their end.
const CLOSED: usize = 3;

/// So many assessments are remembered by the state: a day of them at the shipped pace.
const ASSESSMENTS: usize = 96;

/// So many drills of a name are remembered by the state: a year of monthly ones.
const DRILLS: usize = 12;

/// A drill that the engine began and that has not ended by then is counted as lost: no drill takes so many seconds.
const LONGEST_DRILL: f64 = 12.0 * 60.0 * 60.0;

/// What is known of a backup across restarts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BackupState {
    pub worth: Worth,
    pub since: At,
    pub detail: String,
}

/// How ready the plans were at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReadinessState {
    pub at: At,
    pub plans: Vec<Brief>,
}

/// A closed incident, in a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PastIncident {
    pub id: IncidentId,
    pub title: String,
    pub severity: Severity,
    pub declared_at: Option<At>,
    pub closed_at: At,
}

/// Everything that follows from the journal. Its size depends on the estate and the plan, not on how long the incident lasts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct State {
    /// The number of the latest record that is folded in.
    pub seq: u64,
    pub at: Option<At>,
    /// Where clients are sent; `None` until a run moved them: the primary region of the estate.
    pub serving: Option<RegionId>,
    pub probes: BTreeMap<ProbeId, ProbeState>,
    /// What each backup was worth when that last changed.
    #[serde(default)]
    pub backups: BTreeMap<BackupId, BackupState>,
    /// What other monitoring says, and is not resolved.
    #[serde(default)]
    pub alerts: Alerts,
    /// How ready the plans were, the newest last.
    #[serde(default)]
    pub readiness: VecDeque<ReadinessState>,
    /// How things were while they were well.
    #[serde(default)]
    pub baseline: Baseline,
    pub hold: Option<Hold>,
    pub armed: BTreeMap<SessionId, Armed>,
    /// The open incident.
    pub incident: Option<Incident>,
    /// The incidents that were closed last, the newest first: what their end is told from.
    #[serde(default)]
    pub closed: VecDeque<Incident>,
    /// The run under way, or the latest one.
    pub run: Option<Run>,
    pub past: VecDeque<PastIncident>,
    /// Incidents declared so far, and runs of the open one: they number the next.
    pub incidents: u32,
    pub runs: u32,
    /// The run that sent clients to where they are, once one did.
    #[serde(default)]
    pub moved: Option<Moved>,
    /// How each step went the last time, by plan.
    pub history: BTreeMap<PlanId, BTreeMap<StepId, LastTime>>,

    /// The engine's clocks.
    #[serde(default)]
    pub clock: ClockState,

    /// When the journal began.
    #[serde(default)]
    pub began: Option<At>,
    /// The latest drills of each name, the newest last.
    #[serde(default)]
    pub drills: BTreeMap<String, VecDeque<Drill>>,
    /// How many there ever were: it numbers the next.
    #[serde(default)]
    pub drills_ended: u32,
    /// When the engine last began each by itself.
    #[serde(default)]
    pub drills_begun: BTreeMap<String, At>,
    /// The one that it began and that has not ended yet.
    #[serde(default)]
    pub drilling: Option<String>,

    /// What was said, and how it fares.
    #[serde(default)]
    pub outbox: Outbox,
}

impl State {
    /// The latest that is known of each plan's readiness, and since when.
    pub fn readiness_by_plan(&self) -> BTreeMap<&PlanId, (At, &Brief)> {
        let all = self.readiness.iter().flat_map(|it| it.plans.iter().map(|brief| (&brief.plan, (it.at, brief))));
        all.collect()
    }

    /// Folds one record in.
    pub fn apply(&mut self, record: &Record) {
        self.seq = record.seq;
        self.at = Some(record.at);
        self.began.get_or_insert(record.at);
        match record.event.about() {
            About::Nothing => {}
            About::Engine => self.apply_to_engine(record),
            About::World => self.apply_to_world(record),
            About::Cockpit => self.apply_to_cockpits(record),
            About::Drill => self.apply_to_drills(record),
            About::Incident => {
                if matches!(record.event, Event::IncidentDeclared { .. }) {
                    let closed = &self.closed;
                    self.outbox.forget(|incident| closed.iter().any(|it| it.id == *incident));
                }
                self.outbox.apply(record);
                self.apply_to_incident(record);
            }
            About::Run | About::Step => self.apply_to_run(record),
        }
    }

    fn apply_to_engine(&mut self, record: &Record) {
        match &record.event {
            Event::EngineStarted { anchor, drift, .. } => {
                self.armed.clear();
                self.clock.begin(anchor.as_ref(), *drift);
                // What an earlier life saw proves nothing now, and what it was looking at is looked at when this one can.
                for step in self.run.iter_mut().flat_map(|run| run.steps.values_mut()) {
                    step.outdated = step.card.is_some();
                    step.answered = None;
                    if step.phase == StepPhase::Preparing {
                        step.phase = StepPhase::Waiting;
                    }
                }
            }
            Event::ClockStepped { by, drift } => {
                (self.clock.drift, self.clock.stepped) = (*drift, Some((record.at, *by)));
            }
            _ => {}
        }
    }

    fn apply_to_world(&mut self, record: &Record) {
        let at = record.at;
        match &record.event {
            Event::ProbeChanged { probe, to, detail, last_healthy, trouble } => {
                let known = ProbeState::changed(self.probes.remove(probe), *to, at, *last_healthy, *trouble);
                self.probes.insert(probe.clone(), ProbeState { detail: detail.clone(), ..known });
            }
            Event::BackupChanged { backup, to, detail } => {
                self.backups.insert(backup.clone(), BackupState { worth: *to, since: at, detail: detail.clone() });
            }
            Event::AlertHeard { alert } => self.alerts.take(alert, at),
            Event::ReadinessAssessed { plans } => {
                self.readiness.push_back(ReadinessState { at, plans: plans.clone() });
                if self.readiness.len() > ASSESSMENTS {
                    self.readiness.pop_front();
                }
            }
            Event::BaselineTaken { baseline } => self.baseline = Baseline::clone(baseline),
            _ => {}
        }
    }

    fn apply_to_cockpits(&mut self, record: &Record) {
        let (by, at) = (record.actor.clone(), record.at);
        match &record.event {
            Event::CockpitArmed { session } => {
                self.armed.insert(session.clone(), Armed { by, at });
            }
            Event::CockpitDisarmed { session } => {
                self.armed.remove(session);
            }
            Event::HoldSet { reason } => self.hold = Some(Hold { by, at, reason: reason.clone() }),
            Event::HoldReleased { .. } => self.hold = None,
            _ => {}
        }
    }

    fn apply_to_drills(&mut self, record: &Record) {
        match &record.event {
            Event::DrillBegun { name } => {
                self.drills_begun.insert(name.clone(), record.at);
                self.drilling = Some(name.clone());
            }
            Event::DrillLost { name, .. } => {
                self.drilling.take_if(|known| known == name);
            }
            Event::DrillEnded { drill, result } => self.end_drill(drill, result, record.at),
            _ => {}
        }
    }

    fn end_drill(&mut self, id: &DrillId, result: &DrillResult, at: At) {
        self.drills_ended += 1;
        self.drilling.take_if(|known| *known == result.name);
        let known = self.drills.entry(result.name.clone()).or_default();
        known.push_back(Drill { id: id.clone(), ended_at: at, result: result.clone() });
        if known.len() > DRILLS {
            known.pop_front();
        }
        let history = self.history.entry(result.plan.clone()).or_default();
        for (step, seconds) in &result.steps {
            // What happened in earnest says more than any drill.
            if history.get(step).is_none_or(|last| last.mode != Mode::Live) {
                history.insert(step.clone(), LastTime { at, mode: Mode::Drill, seconds: *seconds });
            }
        }
    }

    /// The drill that the engine has begun and that goes on, as far as it knows.
    pub fn drill_under_way(&self, now: At) -> Option<&str> {
        let name = self.drilling.as_deref()?;
        let begun = self.drills_begun.get(name)?;
        (seconds_between(*begun, now) < LONGEST_DRILL).then_some(name)
    }

    fn apply_to_incident(&mut self, record: &Record) {
        if let Event::IncidentDeclared { incident, title, severity, clocks, region, points, drill, .. } = &record.event
        {
            self.incidents += 1;
            self.runs = 0;
            self.incident = Some(Incident {
                id: incident.clone(),
                title: title.clone(),
                severity: *severity,
                phase: Phase::Declared,
                declared_by: record.actor.clone(),
                // The engine leads nobody.
                commander: record.actor.uid.is_some().then(|| record.actor.clone()),
                clocks: clocks.clone(),
                region: region.clone(),
                points: points.clone(),
                touched: BTreeSet::new(),
                measured: BTreeMap::new(),
                closed_at: None,
                drill: *drill,
                checklist: Checklist::default(),
                told: Told::default(),
            });
        }
        let Some(incident) = &mut self.incident else { return };
        incident.checklist.apply(record);
        let of_another = |message: &Message| message.incident != incident.id;
        if !matches!(&record.event, Event::MessageComposed { message } if of_another(message)) {
            incident.told.apply(record);
        }
        match &record.event {
            Event::SeverityChanged { severity, .. } => incident.severity = *severity,
            Event::TitleChanged { title } => incident.title.clone_from(title),
            Event::CommandTaken {} => incident.commander = Some(record.actor.clone()),
            Event::IncidentClosed { .. } => {
                self.past.push_front(PastIncident {
                    id: incident.id.clone(),
                    title: incident.title.clone(),
                    severity: incident.severity,
                    declared_at: incident.clocks.t2,
                    closed_at: record.at,
                });
                self.past.truncate(PAST);
                if let Some(closed) = self.incident.take() {
                    self.closed.push_front(Incident { phase: Phase::Closed, closed_at: Some(record.at), ..closed });
                    self.closed.truncate(CLOSED);
                }
            }
            _ => {}
        }
    }

    fn apply_to_run(&mut self, record: &Record) {
        if let Event::RunStarted { run, plan, mode, reason, unattended } = &record.event {
            self.runs += 1;
            let run = Run {
                id: run.clone(),
                incident: self.incident.as_ref().map(|incident| incident.id.clone()),
                plan: plan.clone(),
                mode: *mode,
                by: record.actor.clone(),
                reason: reason.clone(),
                unattended: *unattended,
                started_at: record.at,
                ended_at: None,
                outcome: None,
                steps: plan.steps.iter().map(|step| (step.id.clone(), StepRun::default())).collect(),
                reverting: None,
            };
            if let Some(incident) = &mut self.incident {
                incident.note_run(&run);
            }
            self.run = Some(run);
        }
        if let Event::RunEnded { outcome, .. } = &record.event {
            self.end_run(*outcome, record.at);
        }
        self.turn(record);
        let Some((run, step)) = record.event.step() else { return };
        let Some(current) = self.run.as_mut().filter(|current| &current.id == run) else { return };
        let Some(known) = current.steps.get_mut(step) else { return };
        known.apply(record);
        self.note_progress(record, &step.clone());
    }

    /// A run is taken back, stops on the way, or goes forward again.
    fn turn(&mut self, record: &Record) {
        let Some(current) = &mut self.run else { return };
        match &record.event {
            Event::RunReverting { run, reason } if *run == current.id => {
                (current.ended_at, current.outcome) = (None, None);
                let (by, at, reason) = (record.actor.clone(), record.at, reason.clone());
                current.reverting = Some(Reverting { by, at, reason, stopped: false });
            }
            Event::RunRevertStopped { run, .. } if *run == current.id => {
                if let Some(reverting) = &mut current.reverting {
                    reverting.stopped = true;
                }
            }
            Event::StepRetried { run, .. } if *run == current.id => current.reverting = None,
            _ => {}
        }
    }

    fn end_run(&mut self, outcome: Outcome, at: At) {
        // Clients who were moved by what is no step of traffic are back when all of the run is: nothing else says so.
        let silent = |run: &Run| run.plan.steps.iter().all(|step| step.role != StepRole::Traffic);
        if outcome == Outcome::Reverted
            && let Some(run) = self.run.as_ref().filter(|run| silent(run))
            && let Some(moved) = self.moved.take_if(|moved| moved.run == run.id)
        {
            self.serving = Some(moved.from);
        }
        if let Some(run) = &mut self.run {
            run.ended_at = Some(at);
            run.outcome = Some(outcome);
        }
    }

    /// What a step's progress means for the clocks, the history and the serving region.
    fn note_progress(&mut self, record: &Record, id: &StepId) {
        let Some(run) = &self.run else { return };
        let Some(spec) = run.plan.step(id) else { return };
        let (at, live) = (record.at, run.mode.acts());
        match &record.event {
            Event::StepApplying { .. } if spec.role.mutates() && live => {
                if let Some(incident) = &mut self.incident {
                    incident.clocks.t3.get_or_insert(at);
                    if incident.phase == Phase::Declared {
                        incident.phase = Phase::Mitigating;
                    }
                }
            }
            Event::StepVerified { .. } => {
                let begun = run.steps.get(id).and_then(|step| step.begun.as_ref().map(|begun| begun.at));
                if let (Some(begun), true) = (begun, live) {
                    let last = LastTime { at, mode: run.mode, seconds: seconds_between(begun, at) };
                    self.history.entry(run.plan.id.clone()).or_default().insert(id.clone(), last);
                }
                self.note_proof(id, at);
                self.note_recovery(id, at);
            }
            Event::StepDoneByHand { .. } => self.note_recovery(id, at),
            Event::StepReverting { .. } => self.send_back(id),
            Event::StepReverted { .. } if spec.role == StepRole::Traffic => {
                let moved = self.moved.take_if(|moved| moved.run == run.id).map(|moved| moved.from);
                self.serving = moved.or_else(|| self.incident.as_ref().map(|incident| incident.region.clone()));
            }
            Event::StepReverted { .. } => {
                if let Some(moved) = self.moved.as_mut().filter(|moved| moved.run == run.id) {
                    moved.done.remove(id);
                }
            }
            _ => {}
        }
    }

    /// A client has used the region that a step names: whatever moved clients there, they are served there now.
    fn note_proof(&mut self, id: &StepId, at: At) {
        let Some(run) = self.run.as_ref().filter(|run| run.mode.acts()) else { return };
        let Some(spec) = run.plan.step(id) else { return };
        let Some(region) =
            spec.region.as_ref().filter(|_| spec.role == StepRole::Synthetic && !spec.recovers.is_empty())
        else {
            return;
        };
        let from = self.serving.clone().or_else(|| self.incident.as_ref().map(|incident| incident.region.clone()));
        if let Some(from) = from.filter(|from| from != region) {
            self.moved = Some(moved(run, from, region.clone(), at));
            self.serving = Some(region.clone());
        }
    }

    fn note_recovery(&mut self, id: &StepId, at: At) {
        let Some(run) = self.run.as_ref().filter(|run| run.mode.acts()) else { return };
        let Some(spec) = run.plan.step(id) else { return };
        if spec.role == StepRole::Traffic
            && let Some(region) = &spec.region
        {
            let from = self.serving.clone().or_else(|| self.incident.as_ref().map(|incident| incident.region.clone()));
            if let Some(from) = from.filter(|from| from != region) {
                self.moved = Some(moved(run, from, region.clone(), at));
            }
            self.serving = Some(region.clone());
        }
        if let Some(moved) = &mut self.moved {
            if moved.run == run.id {
                moved.done.insert(id.clone());
            } else if spec.role == StepRole::Fences {
                moved.fenced = true;
            }
        }
        let Some(incident) = &mut self.incident else { return };
        // Once clients have left the region, what its copies hold tells how the way back went, and nothing of what was lost.
        let left = self.serving.as_ref().is_some_and(|serving| *serving != incident.region);
        let of_left = run.step(id).and_then(|step| step.point.as_ref()?.region.as_ref()) == Some(&incident.region);
        if let (StepRole::Measures, Some(class), false) = (spec.role, spec.class, left && of_left) {
            incident.note_measured(run, class);
        }
        let technical = |role| matches!(role, StepRole::Promotes | StepRole::Capacity | StepRole::Traffic);
        let is_up =
            |step: &&crate::domain::spec::plan::StepSpec| !technical(step.role) || run.phase(&step.id).satisfies();
        if technical(spec.role) && run.plan.steps.iter().all(|step| is_up(&step)) {
            incident.clocks.t4.get_or_insert(at);
        }
        // Of plans that are called one after the other the last client of a tier has to be served.
        let others = run.plan.steps.iter().filter(|it| it.id != spec.id && !part_of(&spec.id).is_empty());
        let all_served = |tier: &Tier| {
            others.clone().filter(|it| it.recovers.contains(tier)).all(|it| run.phase(&it.id).satisfies())
        };
        for tier in spec.recovers.iter().filter(|tier| all_served(tier)) {
            incident.clocks.t5.entry(*tier).or_insert(at);
        }
        let recovers_all =
            run.plan.steps.iter().flat_map(|step| &step.recovers).all(|tier| incident.clocks.t5.contains_key(tier));
        if recovers_all && !spec.recovers.is_empty() {
            incident.phase = Phase::Recovered;
        }
    }

    /// Steps that wait for one that is being taken back wait again.
    fn send_back(&mut self, id: &StepId) {
        let Some(run) = &mut self.run else { return };
        for later in run.plan.descendants(id) {
            if let Some(step) = run.steps.get_mut(&later).filter(|step| !step.phase.is_over()) {
                step.begin_anew();
            }
        }
    }

    /// The region clients are sent to.
    pub fn serving(&self, estate: &crate::domain::spec::estate::Estate) -> RegionId {
        self.serving.clone().unwrap_or_else(|| estate.primary())
    }
}

/// What a run has moved by now.
fn moved(run: &Run, from: RegionId, to: RegionId, at: At) -> Moved {
    let in_effect = |step: &&crate::domain::spec::plan::StepSpec| run.phase(&step.id).is_in_effect();
    let done = run.plan.steps.iter().filter(in_effect).map(|step| step.id.clone()).collect();
    let mut fences = run.in_order().filter(|(spec, _)| spec.role == StepRole::Fences);
    // Without an attempt the region was only found silent.
    let fenced = fences.all(|(_, step)| step.was_done_here());
    Moved { run: run.id.clone(), plan: run.plan.clone(), from, to, at, done, fenced }
}
