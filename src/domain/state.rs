//! State: the fold of the journal. `apply` is total and never fails: an event is a fact.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::actor::Actor;
use super::alert::Alerts;
use super::backup::Worth;
use super::checklist::{Baseline, Checklist};
use super::clock::ClockState;
use super::comms::{Message, Outbox};
use super::drill::DrillResult;
use super::event::{Event, Prepared, Record};
use super::health::{Status, Trouble};
use super::ids::{BackupId, DrillId, IncidentId, PlanId, ProbeId, RegionId, SessionId, StepId};
use super::incident::{Incident, Phase, Severity};
use super::kinds::StepRole;
use super::readiness::Brief;
use super::run::{
    Answered, Changed, Instead, LastTime, Mode, Outcome, Printed, Reverting, Run, StepPhase, StepRun, Wanted,
};
use super::schedule::Drill;
use super::system::Begun;
use super::time::{At, seconds_between};
use super::told::Told;
use super::wayback::Moved;

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

/// So many bouts of a probe are remembered.
const BOUTS: usize = 32;

/// What is known of a probe across restarts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ProbeState {
    pub status: Status,
    pub since: At,
    /// When it was last seen healthy before `since`.
    pub last_healthy: Option<At>,
    pub detail: String,
    /// The stretch of trouble that it is in.
    #[serde(default)]
    pub trouble: Option<Trouble>,
    /// When it was down lately, the newest last.
    #[serde(default)]
    pub bouts: VecDeque<Bout>,
}

/// A time in which a probe was down.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Bout {
    /// The last healthy reading before it, or, when there was none, the first that failed.
    pub from: At,
    /// Whether `from` is a healthy reading: that it began was seen.
    pub seen: bool,
    /// When it was believed to be down.
    pub detected: At,
    /// When it was no longer; `None` while it lasts.
    pub until: Option<At>,
}

impl ProbeState {
    /// The state after a change at `at`.
    fn changed(known: Option<Self>, to: Status, at: At, last_healthy: Option<At>, trouble: Option<Trouble>) -> Self {
        let mut bouts = known.map(|known| known.bouts).unwrap_or_default();
        if let Some(open) = bouts.back_mut().filter(|bout| bout.until.is_none()) {
            open.until = Some(at);
        }
        if to == Status::Down {
            let trouble = trouble.unwrap_or(Trouble { last_healthy, first_down: None });
            let from = trouble.last_healthy.or(trouble.first_down).unwrap_or(at);
            bouts.push_back(Bout { from, seen: trouble.last_healthy.is_some(), detected: at, until: None });
        }
        while bouts.len() > BOUTS {
            bouts.pop_front();
        }
        Self { status: to, since: at, last_healthy, detail: String::new(), trouble, bouts }
    }

    /// When the trouble began that it is in.
    pub fn began(&self) -> Option<Trouble> {
        let first_down = Some(self.since).filter(|_| self.status == Status::Down);
        let told = || Trouble { last_healthy: self.last_healthy, first_down };
        (self.status != Status::Healthy).then(|| self.trouble.unwrap_or_else(told))
    }

    /// The bout in which the trouble began that lasts, or that was over for no longer than `quiet` at `now`: a flap is one trouble.
    /// What began before `not_before` and is over belongs to an incident that is closed.
    pub fn trouble_at(&self, now: At, quiet: f64, not_before: Option<At>) -> Option<Bout> {
        let mut first: Option<Bout> = None;
        for bout in self.bouts.iter().rev() {
            let well_for = bout.until.map_or(0.0, |until| seconds_between(until, first.map_or(now, |it| it.from)));
            let closed = bout.until.is_some() && not_before.is_some_and(|closed| bout.from <= closed);
            if closed || well_for > quiet {
                break;
            }
            first = Some(bout_before(*bout, first));
        }
        first
    }
}

/// The earlier of two bouts of one trouble.
fn bout_before(bout: Bout, later: Option<Bout>) -> Bout {
    later.filter(|later| later.from < bout.from).unwrap_or(bout)
}

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

/// Who asked that nothing new starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Hold {
    pub by: Actor,
    pub at: At,
    pub reason: String,
}

/// Who armed a cockpit, and when it was last used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Armed {
    pub by: Actor,
    pub at: At,
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
        let at = record.at;
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
                (self.clock.drift, self.clock.stepped) = (*drift, Some((at, *by)));
            }
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
            Event::CockpitArmed { session } => {
                self.armed.insert(session.clone(), Armed { by: record.actor.clone(), at });
            }
            Event::CockpitDisarmed { session } => {
                self.armed.remove(session);
            }
            Event::HoldSet { reason } => {
                self.hold = Some(Hold { by: record.actor.clone(), at, reason: reason.clone() });
            }
            Event::HoldReleased { .. } => self.hold = None,
            Event::DrillBegun { name } => {
                self.drills_begun.insert(name.clone(), at);
                self.drilling = Some(name.clone());
            }
            Event::DrillLost { name, .. } => {
                self.drilling.take_if(|known| known == name);
            }
            Event::DrillEnded { drill, result } => self.end_drill(drill, result, at),
            Event::BaselineTaken { baseline } => self.baseline = Baseline::clone(baseline),
            _ => {
                if matches!(record.event, Event::IncidentDeclared { .. }) {
                    let closed = &self.closed;
                    self.outbox.forget(|incident| closed.iter().any(|it| it.id == *incident));
                }
                self.outbox.apply(record);
                self.apply_to_incident(record);
                self.apply_to_run(record);
            }
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
        let is_up = |step: &&super::plan::StepSpec| !technical(step.role) || run.phase(&step.id).satisfies();
        if technical(spec.role) && run.plan.steps.iter().all(|step| is_up(&step)) {
            incident.clocks.t4.get_or_insert(at);
        }
        for tier in &spec.recovers {
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
    pub fn serving(&self, estate: &super::estate::Estate) -> RegionId {
        self.serving.clone().unwrap_or_else(|| estate.primary())
    }
}

/// What a run has moved by now.
fn moved(run: &Run, from: RegionId, to: RegionId, at: At) -> Moved {
    let in_effect = |step: &&super::plan::StepSpec| run.phase(&step.id).is_in_effect();
    let done = run.plan.steps.iter().filter(in_effect).map(|step| step.id.clone()).collect();
    let mut fences = run.in_order().filter(|(spec, _)| spec.role == StepRole::Fences);
    // Without an attempt the region was only found silent.
    let fenced = fences.all(|(_, step)| step.was_done_here());
    Moved { run: run.id.clone(), plan: run.plan.clone(), from, to, at, done, fenced }
}

impl StepRun {
    fn apply(&mut self, record: &Record) {
        let at = record.at;
        match &record.event {
            Event::StepPreparing { .. } => {
                self.was_open = self.phase == StepPhase::Gated;
                self.phase = StepPhase::Preparing;
                self.ready_at.get_or_insert(at);
            }
            Event::StepPrepared { card, verdict, differs, .. } => {
                self.note_change(*verdict, differs, at);
                self.prepared(card, *verdict, at);
            }
            Event::StepLookedAgain { .. } => {
                self.outdated = false;
                if let Some(card) = &mut self.card {
                    card.at = at;
                }
            }
            Event::GateAnswered { .. } => self.answered = Some(Answered { by: record.actor.clone(), at }),
            Event::GateConfirmed { cleared, .. } => self.confirmed_by(&record.actor, *cleared),
            Event::GuardsOverridden { guards, cleared, .. } => {
                self.overridden.clone_from(guards);
                if let Some(first) = self.wanted.take().filter(|first| first.wish == Instead::Override) {
                    self.confirmed_by(&first.by, false);
                }
                self.confirmed_by(&record.actor, *cleared);
            }
            Event::SecondAwaited { wish, guards, reason, .. } => {
                let (by, wish, guards) = (record.actor.clone(), *wish, guards.clone());
                self.detail = format!("{by} wants {} ({reason}); a second person has to, too", wish.words());
                self.wanted = Some(Wanted { by, wish, guards });
            }
            Event::StepApplying { attempt, .. } => {
                self.attempts = *attempt;
                (self.reverts, self.vouched) = (0, false);
                self.begin(at);
                self.to(StepPhase::Applying, "");
            }
            Event::StepRunsAs { process, .. } => {
                if let Some(begun) = &mut self.begun {
                    begun.process = Some(process.clone());
                }
            }
            Event::StepApplied { receipt, .. } => {
                if let Some(begun) = &mut self.begun {
                    begun.receipt.clone_from(receipt);
                    // Its end was heard of.
                    begun.process = None;
                }
                self.to(StepPhase::Verifying, "applied; waiting for the effect");
            }
            Event::StepUncertain { fault, .. } => {
                self.fault = Some(fault.clone());
                self.to(StepPhase::Observing, &fault.what);
            }
            Event::StepNotDone { detail, .. } => self.to(StepPhase::Ready, detail),
            Event::StepFound { detail, .. } => self.to(StepPhase::Verifying, detail),
            Event::StepUnknowable { why, .. } => self.to(StepPhase::Asking, why),
            Event::StepVerified { detail, point, .. } => {
                self.point.clone_from(point);
                self.fault = None;
                self.end(StepPhase::Done, detail, at);
            }
            Event::StepRetrying { fault, at: due, .. } => {
                self.fault = Some(fault.clone());
                self.retry_at = Some(*due);
                self.retries += 1;
                // What failed like this has changed nothing.
                self.vouched |= self.phase == StepPhase::Applying;
                self.to(StepPhase::Retrying, &fault.what);
            }
            Event::StepFailed { fault, .. } => {
                self.fault = Some(fault.clone());
                self.to(StepPhase::Failed, &fault.what);
            }
            Event::StepRetried { reason, .. } => {
                let vouched = matches!(self.phase, StepPhase::Asking | StepPhase::Reverted);
                self.begin_anew();
                self.vouched = vouched;
                self.to(StepPhase::Waiting, reason);
            }
            Event::StepSkipped { reason, .. } => self.end(StepPhase::Skipped, reason, at),
            Event::StepDoneByHand { reason, .. } => self.end(StepPhase::ByHand, reason, at),
            Event::StepPrinted { lines, file, .. } => {
                self.printed = Some(Printed { lines: lines.clone(), file: file.clone() });
            }
            Event::StepReverting { reason, .. } => {
                self.reverts += 1;
                self.to(StepPhase::Reverting, reason);
            }
            Event::StepReverted { .. } => {
                self.reverts = 0;
                if let Some(begun) = &mut self.begun {
                    begun.process = None;
                }
                self.end(StepPhase::Reverted, "reverted", at);
            }
            _ => {}
        }
    }

    /// A look has ended. Whoever confirmed what is otherwise now has confirmed nothing.
    fn note_change(&mut self, verdict: Prepared, differs: &[String], at: At) {
        (self.answered, self.was_open) = (None, false);
        if !differs.is_empty() {
            self.confirmed.clear();
            self.changed = Some(Changed { at, what: differs.to_vec() });
        } else if verdict != Prepared::Gate {
            self.changed = None;
        }
    }

    /// As if never tried in this run, but for what `begun` holds of it.
    fn begin_anew(&mut self) {
        (self.answered, self.changed, self.was_open) = (None, None, false);
        (self.phase, self.fault, self.retries, self.ended_at, self.cleared) =
            (StepPhase::Waiting, None, 0, None, false);
        self.confirmed.clear();
        self.overridden.clear();
        self.wanted = None;
    }

    fn to(&mut self, phase: StepPhase, detail: &str) {
        self.phase = phase;
        if !detail.is_empty() {
            detail.clone_into(&mut self.detail);
        }
    }

    fn end(&mut self, phase: StepPhase, detail: &str, at: At) {
        self.wanted = None;
        self.to(phase, detail);
        self.ended_at = Some(at);
    }

    fn begin(&mut self, at: At) {
        let pre_image = self.card.as_ref().map(|card| card.pre_image.clone()).unwrap_or_default();
        self.begun.get_or_insert_with(|| Begun { at, pre_image, receipt: Default::default(), process: None });
    }

    fn prepared(&mut self, card: &super::run::GateCard, verdict: Prepared, at: At) {
        self.card = Some(card.clone());
        self.outdated = false;
        if verdict != Prepared::Blocked {
            // Whoever wanted past guards that are gone has said nothing about the next ones.
            self.wanted = self.wanted.take().filter(|first| first.wish != Instead::Override);
        }
        let words = if card.summary.is_empty() { card.observed.words() } else { card.summary.as_str() };
        match verdict {
            Prepared::AlreadyDone | Prepared::InProgress => {
                self.begin(at);
                self.to(StepPhase::Verifying, card.observed.words());
            }
            Prepared::Blocked => {
                let why = card.blocks().next().map_or(card.observed.words(), |guard| guard.detail.as_str());
                self.to(StepPhase::Blocked, why);
            }
            Prepared::Gate => self.to(StepPhase::Gated, words),
            Prepared::Clear => self.to(StepPhase::Ready, words),
            Prepared::Rehearsed => self.end(StepPhase::Rehearsed, words, at),
        }
    }

    fn confirmed_by(&mut self, actor: &Actor, cleared: bool) {
        if !self.confirmed.iter().any(|known| known.is_same_person(actor)) {
            self.confirmed.push(actor.clone());
        }
        if cleared {
            self.changed = None;
            self.cleared = true;
            self.phase = StepPhase::Ready;
        }
    }
}
