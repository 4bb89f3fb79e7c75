//! `plan.run` once its plan was written out: the pause and the verdict behind the steps of a plan that another plan calls. It changes
//! nothing. Its gate is where somebody looks at what a wave did, before the next one begins.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::watch;

use super::clock::Timeline;
use super::published::Seen;
use crate::domain::estate::{Estate, Tier};
use crate::domain::health::Status;
use crate::domain::ids::StepId;
use crate::domain::kinds::{Param, ParamType, StepKind, StepRole, SystemKind, Undo};
use crate::domain::plan::{PLAN, RUN, StepSpec, part_of};
use crate::domain::rollup::of_service;
use crate::domain::run::{Run, StepPhase, StepRun};
use crate::domain::state::State;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};
use crate::domain::time::{At, seconds_between};
use crate::domain::verdict::rto;

/// The row of plans as something that a step can be about.
pub const KIND: SystemKind = SystemKind {
    name: "plan",
    title: "A plan of this estate",
    ambient: true,
    ways: &[],
    params: &[],
    probes: &[],
    steps: &[StepKind {
        name: RUN,
        title: "do the steps of another plan in this place, then pause and give a verdict on them",
        role: StepRole::Checks,
        undo: Undo::Nothing,
        instead: "",
        params: &[
            Param::required(
                PLAN,
                ParamType::Text,
                "the plan; where it leads to several regions, to the one that the calling plan leads to",
            ),
            Param::default("pause", ParamType::Span, "0s", "for how long its effect is looked at before the verdict"),
        ],
    }],
    backups: &[],
};

/// The verdict on the steps of one call.
pub(super) struct Wave {
    estate: Arc<Estate>,
    states: watch::Receiver<Arc<State>>,
    seen: Seen,
    time: Arc<Timeline>,
    id: StepId,
    plan: String,
    pause: f64,
}

impl Wave {
    /// # Errors
    /// When the step names no plan.
    pub fn new(
        estate: Arc<Estate>,
        states: watch::Receiver<Arc<State>>,
        seen: Seen,
        time: Arc<Timeline>,
        spec: &StepSpec,
    ) -> Result<Self, Fault> {
        let plan = spec.params.text(PLAN)?.to_owned();
        let pause = spec.params.opt_span("pause").unwrap_or_default().as_secs_f64();
        Ok(Self { estate, states, seen, time, id: spec.id.clone(), plan, pause })
    }

    /// The critical services where clients are served now that are not well.
    fn ill(&self, state: &State, now: At) -> Vec<String> {
        let serving = state.serving(&self.estate);
        self.seen.with(|readings| {
            let critical = self.estate.services.iter().filter(|service| service.tier == Tier::Critical);
            let seen = critical.map(|it| (it, of_service(&self.estate, readings, it, Some(&serving), now).status()));
            let ill = seen.filter(|(_, status)| *status >= Status::Unknown);
            ill.map(|(service, status)| format!("{} is {status} in {serving}", service.id)).collect()
        })
    }

    /// What the RTO's clocks say so far, in words, and whether one was missed.
    fn promised(&self, state: &State, now: At) -> (Vec<String>, bool) {
        let Some(incident) = &state.incident else { return (Vec::new(), false) };
        let verdicts = rto(&self.estate, incident, now);
        let words = verdicts.iter().filter_map(|it| {
            let elapsed = it.elapsed?;
            let standing = match (it.met, it.recovered) {
                (Some(false), _) => "missed",
                (_, true) => "met",
                _ => "running",
            };
            Some(format!("RTO {} {standing}: {elapsed:.0} of {:.0} s", it.tier, it.target))
        });
        (words.collect(), verdicts.iter().any(|it| it.met == Some(false)))
    }
}

/// The steps of the call in a run.
fn of_call<'r>(run: &'r Run, call: &'r StepId) -> impl Iterator<Item = (&'r StepSpec, &'r StepRun)> {
    run.in_order().filter(move |(spec, _)| part_of(&spec.id) == call.as_str())
}

/// What became of the steps of a call.
fn guards(run: &Run, call: &StepId) -> Vec<Guard> {
    let (mut done, mut all, mut guards) = (0, 0, Vec::new());
    for (spec, step) in of_call(run, call) {
        all += 1;
        match step.phase {
            StepPhase::Skipped => guards.push(Guard::warn("skipped", format!("{} was skipped", spec.id)).situational()),
            StepPhase::ByHand => {
                guards.push(
                    Guard::warn("by-hand", format!("{} was done by hand, and not verified", spec.id)).situational(),
                );
            }
            _ => {}
        }
        done += usize::from(step.phase.satisfies());
    }
    guards.insert(0, Guard::pass("steps", format!("{done} of {all} steps are done")).situational());
    guards
}

#[async_trait]
impl Step for Wave {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        Ok(Observed::NotDone { detail: format!("the verdict on {} is still to be given", self.plan) })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let (state, now) = (self.states.borrow().clone(), self.time.now());
        let pause = if self.pause > 0.0 { format!("look on for {:.0} s, then ", self.pause) } else { String::new() };
        let summary = format!("{pause}give the verdict on {}", self.plan);
        Ok(Preview { summary, diff: self.promised(&state, now).0, ..Preview::default() })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let (state, now) = (self.states.borrow().clone(), self.time.now());
        let Some(run) = state.run.as_ref().filter(|run| run.is_open() && run.step(&self.id).is_some()) else {
            return Ok(Checked::default());
        };
        let mut guards = guards(run, &self.id);
        let ill = self.ill(&state, now);
        guards.push(match ill.is_empty() {
            true => Guard::pass("served", "critical services are well where clients are served").situational(),
            false => Guard::block("served", ill.join(", ")).situational(),
        });
        if self.promised(&state, now).1 {
            guards.push(Guard::warn("rto", "an RTO is missed already").situational());
        }
        Ok(Checked { guards, promotion: None })
    }

    async fn apply(&self, _: &Value, _: &dyn StepLog) -> Result<Receipt, Fault> {
        Ok(Receipt::new())
    }

    async fn verify(&self, _: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        let (state, now) = (self.states.borrow().clone(), self.time.now());
        let run = state.run.as_ref().ok_or_else(|| Fault::permanent(KIND.name, "there is no run to judge"))?;
        let ended = of_call(run, &self.id).filter_map(|(_, step)| step.ended_at).max();
        let looked = ended.map_or(self.pause, |ended| seconds_between(ended, now));
        if looked < self.pause {
            return Ok(Verified::Pending { detail: format!("looking on for {looked:.0} of {:.0} s", self.pause) });
        }
        let ill = self.ill(&state, now);
        if !ill.is_empty() {
            return Ok(Verified::Pending { detail: ill.join(", ") });
        }
        let (mut words, _) = self.promised(&state, now);
        words.insert(0, format!("{} has done its part", self.plan));
        Ok(Verified::Holds { detail: words.join("; "), recovery_point: None })
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        Ok(Fitness { guards: vec![Guard::pass("plan", format!("{} is part of this plan", self.plan))] })
    }

    async fn revert(&self, _: &Begun, _: &dyn StepLog) -> Result<Receipt, Fault> {
        Err(Fault::permanent(KIND.name, "a verdict changes nothing that could be taken back"))
    }

    fn by_hand(&self) -> Vec<String> {
        vec![
            format!("# look at what {} did before you go on: services, clocks, what was skipped", self.plan),
            "mayday status".into(),
        ]
    }
}
