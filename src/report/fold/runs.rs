//! Runs: their steps, what went wrong on the way, and how long it took the last time.

use std::collections::BTreeMap;

use super::super::review::{Before, Difference, RunReview, StepReview};
use super::super::text::tidy;
use super::super::trend::is_slower;
use crate::domain::drill::DrillResult;
use crate::domain::event::{Event, Prepared, Record};
use crate::domain::ids::{DrillId, PlanId, RunId, StepId};
use crate::domain::plan::StepSpec;
use crate::domain::run::{Printed, Run, StepRun};
use crate::domain::state::State;
use crate::domain::time::{At, seconds_between};
use crate::domain::wayback::{crossed, is_crossed};

#[derive(Default)]
pub struct Runs(Vec<Track>);

/// What the run itself does not keep.
struct Track {
    id: RunId,
    before: BTreeMap<StepId, Before>,
    gates: BTreeMap<StepId, (At, Option<At>)>,
    faults: BTreeMap<StepId, Vec<(At, String)>>,
    /// As it was when it was last looked at.
    run: Option<Run>,
}

impl Runs {
    pub fn has(&self, id: &RunId) -> bool {
        self.0.iter().any(|track| &track.id == id)
    }

    /// `state` and `drills` are those from before the run.
    pub fn begin(&mut self, record: &Record, state: &State, drills: &BTreeMap<PlanId, (DrillId, DrillResult)>) {
        let Event::RunStarted { run, plan, .. } = &record.event else { return };
        self.keep(state);
        let before = before(&plan.id, state, drills);
        let (gates, faults) = (BTreeMap::new(), BTreeMap::new());
        self.0.push(Track { id: run.clone(), before, gates, faults, run: None });
    }

    /// Keeps the latest run of the state, before it is replaced or told.
    pub fn keep(&mut self, state: &State) {
        if let (Some(track), Some(run)) = (self.0.last_mut(), &state.run)
            && track.id == run.id
        {
            track.run = Some(run.clone());
        }
    }

    pub fn take(&mut self, record: &Record) {
        let Some((run, step)) = record.event.step() else { return };
        let Some(track) = self.0.iter_mut().find(|track| &track.id == run) else { return };
        match &record.event {
            Event::StepPrepared { verdict: Prepared::Gate, .. } => {
                track.gates.entry(step.clone()).or_insert((record.at, None));
            }
            Event::GateConfirmed { cleared: true, .. } | Event::GuardsOverridden { cleared: true, .. } => {
                if let Some(gate) = track.gates.get_mut(step) {
                    gate.1.get_or_insert(record.at);
                }
            }
            Event::StepUncertain { fault, .. }
            | Event::StepRetrying { fault, .. }
            | Event::StepFailed { fault, .. } => {
                track.faults.entry(step.clone()).or_default().push((record.at, tidy(&fault.to_string())));
            }
            Event::StepUnknowable { why, .. } => {
                track.faults.entry(step.clone()).or_default().push((record.at, tidy(why)));
            }
            _ => {}
        }
    }

    pub fn review(self) -> (Vec<RunReview>, Vec<Run>) {
        let kept = || self.0.iter().filter_map(|track| Some((track, track.run.as_ref()?)));
        let reviews = kept().map(|(track, run)| track.review(run)).collect();
        (reviews, kept().map(|(_, run)| run.clone()).collect())
    }
}

/// How the steps of a plan went the last time, by a run or by a drill, whichever was later.
fn before(plan: &PlanId, state: &State, drills: &BTreeMap<PlanId, (DrillId, DrillResult)>) -> BTreeMap<StepId, Before> {
    let runs = state.history.get(plan).into_iter().flatten();
    let mut all: BTreeMap<StepId, Before> = runs
        .map(|(step, last)| {
            let of = format!("{} run", last.mode);
            (step.clone(), Before { at: last.at, of, seconds: last.seconds })
        })
        .collect();
    if let Some((drill, result)) = drills.get(plan) {
        for (step, seconds) in &result.steps {
            let new = Before { at: result.started_at, of: format!("drill {drill}"), seconds: *seconds };
            if all.get(step).is_none_or(|known| known.at < new.at) {
                all.insert(step.clone(), new);
            }
        }
    }
    all
}

impl Track {
    fn review(&self, run: &Run) -> RunReview {
        let steps: Vec<StepReview> = run.in_order().map(|(spec, step)| self.step(spec, step)).collect();
        RunReview {
            id: run.id.clone(),
            plan: run.plan.id.clone(),
            title: tidy(&run.plan.title),
            fingerprint: run.plan.fingerprint.clone(),
            mode: run.mode,
            by: run.by.clone(),
            reason: tidy(&run.reason),
            unattended: run.unattended,
            started_at: run.started_at,
            ended_at: run.ended_at,
            outcome: run.outcome,
            critical: critical(run),
            no_return: crossed(run).first().map(|(spec, at)| (spec.id.clone(), *at)),
            steps,
        }
    }

    fn step(&self, spec: &StepSpec, step: &StepRun) -> StepReview {
        let begun = step.begun.as_ref();
        let begun_at = begun.map(|begun| begun.at);
        let clean = |(name, value): (&String, &String)| (tidy(name), tidy(value));
        StepReview {
            id: spec.id.clone(),
            title: tidy(&spec.title),
            kind: spec.kind.clone(),
            role: spec.role,
            undo: spec.undo,
            gate: spec.gate,
            phase: step.phase,
            gated: self.gates.get(&spec.id).copied(),
            printed: step.printed.as_ref().map(|it| Printed {
                lines: it.lines.iter().map(|line| tidy(line)).collect(),
                file: it.file.as_deref().map(tidy),
            }),
            begun_at,
            ended_at: step.ended_at,
            seconds: begun_at.zip(step.ended_at).map(|(begun, ended)| seconds_between(begun, ended)),
            attempts: step.attempts,
            confirmed_by: step.confirmed.clone(),
            overridden: step.overridden.iter().map(|guard| tidy(guard)).collect(),
            faults: self.faults.get(&spec.id).cloned().unwrap_or_default(),
            detail: tidy(&step.detail),
            receipt: begun.map(|begun| begun.receipt.iter().map(clean).collect()).unwrap_or_default(),
            expected_loss: step.card.as_ref().and_then(|card| card.loss),
            no_return: is_crossed(spec, step),
            before: self.before.get(&spec.id).cloned(),
        }
    }
}

/// From the step that ended last back along whichever need ended last: had one of these been shorter, the run had been too.
fn critical(run: &Run) -> Vec<StepId> {
    let ended = |id: &StepId| run.step(id).and_then(|step| step.ended_at);
    let last = |ids: &mut dyn Iterator<Item = &StepId>| {
        ids.filter_map(|id| Some((ended(id)?, id.clone()))).max_by_key(|(at, _)| *at).map(|(_, id)| id)
    };
    let mut chain = Vec::new();
    let mut next = last(&mut run.plan.steps.iter().map(|step| &step.id));
    while let Some(id) = next {
        let needs = run.plan.step(&id).map(|step| step.needs.as_slice()).unwrap_or_default();
        chain.push(id);
        next = last(&mut needs.iter()).filter(|id| !chain.contains(id));
    }
    chain.reverse();
    chain
}

/// Steps that took clearly longer, or clearly less, than the last time.
pub fn differences(runs: &[RunReview]) -> Vec<Difference> {
    let of = |run: &RunReview, step: &StepReview| {
        let (seconds, before) = (step.seconds?, step.before.clone()?);
        let differs = is_slower(seconds, before.seconds) || is_slower(before.seconds, seconds);
        differs.then(|| Difference { run: run.id.clone(), step: step.id.clone(), seconds, before })
    };
    let all = runs.iter().filter(|run| run.mode.acts());
    all.flat_map(|run| run.steps.iter().filter_map(move |step| of(run, step))).collect()
}
