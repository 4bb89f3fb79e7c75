//! Runs: one execution of a plan, step by step.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::guard::{Guard, GuardVerdict};
use super::recovery::{Loss, RecoveryPoint};
use super::system::{Begun, Observed};
use crate::domain::actor::Actor;
use crate::domain::fault::Fault;
use crate::domain::ids::{IncidentId, RunId, StepId};
use crate::domain::spec::classes::DataClass;
use crate::domain::spec::kinds::Undo;
use crate::domain::spec::plan::{Plan, StepSpec};
use crate::domain::time::At;
use crate::domain::words::words;

words! {
    /// What a run is for.
    Mode {
        Live = "live",
        /// For real, on a test estate: no one outside is told.
        Drill = "drill",
        /// Observations, guards and previews only: nothing is applied.
        Rehearsal = "rehearsal",
    }
}

words! {
    /// Where a step of a run stands.
    StepPhase {
        /// For the steps it needs.
        Waiting = "waiting",
        /// Being observed, checked and previewed.
        Preparing = "preparing",
        /// Its gate is open: somebody has to answer.
        Gated = "gated",
        /// A guard, or reality, stands against it.
        Blocked = "blocked",
        /// Answered for; starts as soon as nothing holds it.
        Ready = "ready",
        /// The change is being made.
        Applying = "applying",
        /// It may have happened: being observed before anything else.
        Observing = "observing",
        /// Waiting for the effect that a client would see.
        Verifying = "verifying",
        /// Failed transiently; tried again at `retry_at`.
        Retrying = "retrying",
        /// Whether it happened cannot be told: a human has to say.
        Asking = "asking",
        /// A human has to decide: retry, skip, done by hand or revert.
        Failed = "failed",
        Done = "done",
        Skipped = "skipped",
        /// Marked done by a human.
        ByHand = "by-hand",
        /// Observed and previewed only.
        Rehearsed = "rehearsed",
        Reverting = "reverting",
        Reverted = "reverted",
    }
}

impl Mode {
    /// Whether steps are applied.
    pub fn acts(self) -> bool {
        self != Self::Rehearsal
    }
}

impl StepPhase {
    /// Nothing more will happen to it by itself or by waiting.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Skipped | Self::ByHand | Self::Rehearsed | Self::Reverted)
    }
    /// Steps that need it may start.
    pub fn satisfies(self) -> bool {
        matches!(self, Self::Done | Self::Skipped | Self::ByHand | Self::Rehearsed)
    }
    /// Its effect is in place.
    pub fn is_in_effect(self) -> bool {
        matches!(self, Self::Done | Self::ByHand)
    }
    /// A human has to act before it goes on.
    pub fn waits_for_human(self) -> bool {
        matches!(self, Self::Gated | Self::Blocked | Self::Asking | Self::Failed)
    }
    /// The outside world is being changed, or may have been.
    pub fn is_acting(self) -> bool {
        matches!(self, Self::Applying | Self::Observing | Self::Reverting)
    }
    /// Something is under way in the outside world.
    pub fn is_in_flight(self) -> bool {
        matches!(self, Self::Preparing | Self::Applying | Self::Observing | Self::Verifying | Self::Reverting)
    }
}

/// How a step went the last time it was verified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LastTime {
    pub at: At,
    pub mode: Mode,
    /// From its first attempt to its verification.
    pub seconds: f64,
}

/// What a gate shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct GateCard {
    /// When the evidence was taken.
    pub at: At,
    pub observed: Observed,
    pub summary: String,
    pub diff: Vec<String>,
    pub guards: Vec<Guard>,
    /// For a promotion: what would be lost, of which class.
    pub loss: Option<(DataClass, Loss)>,
    pub undo: Undo,
    /// How this step went the last time; `None` if it never ran.
    pub last: Option<LastTime>,
    /// Seconds from now to the end of the plan by the longest chain of past durations; `None` if a step was never timed.
    pub projected: Option<f64>,
    /// Kept for `apply`; not shown.
    pub pre_image: serde_json::Value,
}

impl GateCard {
    pub fn blocks(&self) -> impl Iterator<Item = &Guard> {
        self.guards.iter().filter(|guard| guard.verdict == GuardVerdict::Block)
    }
}

words! {
    /// What somebody may want of a step instead of answering its gate; where the gate needs two people, this does, too.
    Instead {
        Skip = "skip",
        Done = "done",
        Override = "override",
    }
}

impl Instead {
    /// `it skipped`, after "wants".
    pub fn words(self) -> &'static str {
        match self {
            Self::Skip => "it skipped",
            Self::Done => "it called done",
            Self::Override => "its guards overridden",
        }
    }
}

/// What the first of two people wants of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Wanted {
    pub by: Actor,
    pub wish: Instead,
    /// Of an override: the guards that the first has seen.
    pub guards: Vec<String>,
}

/// A step of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StepRun {
    pub phase: StepPhase,
    /// Times that `apply` was begun.
    pub attempts: u32,
    pub begun: Option<Begun>,
    pub card: Option<GateCard>,
    /// The card was made in an earlier life of the engine: what it says was not looked at in this one.
    #[serde(default)]
    pub outdated: bool,
    /// Who answered its gate.
    pub confirmed: Vec<Actor>,
    /// Guards that were overridden, by name.
    pub overridden: Vec<String>,
    /// Whether the gate needs no further answer.
    pub cleared: bool,
    pub ready_at: Option<At>,
    pub ended_at: Option<At>,
    pub retry_at: Option<At>,
    pub retries: u32,
    pub fault: Option<Fault>,
    /// The latest word on it.
    pub detail: String,
    /// What it measured.
    pub point: Option<RecoveryPoint>,
    /// What the first of two people wants of it; nothing happens before the second wants the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Wanted>,
    /// How often taking it back was begun since it was last applied.
    #[serde(default)]
    pub reverts: u32,
    /// Nothing happened, by a person's word or by its own answer: it may be begun again, also where nothing can be observed.
    #[serde(default)]
    pub vouched: bool,
    /// Its gate was open when the look began that is under way.
    #[serde(default)]
    pub(in crate::domain) was_open: bool,
    /// Who answered its gate on evidence that was too old: it counts if the look that is under way says the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Answered>,
    /// What the evidence of its open gate says otherwise than it did at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Changed>,
    /// What a command of the operator's printed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub printed: Option<Printed>,
}

/// The end of what a command printed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Printed {
    pub lines: Vec<String>,
    /// The file on the engine's host that has more of it.
    pub file: Option<String>,
}

/// An answer to a gate that waits for a look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Answered {
    pub by: Actor,
    pub at: At,
}

/// What has changed while a gate was open, and when that was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Changed {
    pub at: At,
    pub what: Vec<String>,
}

/// The receipt's word for what was found just before it would have been changed: then nothing was changed.
pub const FOUND: &str = "found";

/// Of a receipt: what a step could not reach, in words. It did what it could, and proves no more than that.
pub const IN_PART: &str = "in-part";

impl StepRun {
    /// What the last attempt found done, instead of doing it.
    pub fn found(&self) -> Option<&str> {
        self.begun.as_ref()?.receipt.get(FOUND).map(String::as_str)
    }

    /// Its gate is open, or was before the look that is under way.
    pub fn was_open(&self) -> bool {
        self.was_open || self.phase == StepPhase::Gated
    }

    /// What it could not reach when it acted.
    pub fn in_part(&self) -> Option<&str> {
        self.begun.as_ref()?.receipt.get(IN_PART).map(String::as_str)
    }

    /// This run did it, or a person says that it is done. What was only found done may have been found so because nobody could look, and
    /// what was done in part leaves the rest as it was.
    pub fn was_done_here(&self) -> bool {
        self.phase == StepPhase::ByHand || (self.attempts > 0 && self.found().is_none() && self.in_part().is_none())
    }
}

impl Default for StepRun {
    fn default() -> Self {
        Self {
            phase: StepPhase::Waiting,
            attempts: 0,
            begun: None,
            card: None,
            outdated: false,
            confirmed: Vec::new(),
            overridden: Vec::new(),
            cleared: false,
            ready_at: None,
            ended_at: None,
            retry_at: None,
            retries: 0,
            fault: None,
            detail: String::new(),
            point: None,
            wanted: None,
            reverts: 0,
            vouched: false,
            was_open: false,
            answered: None,
            changed: None,
            printed: None,
        }
    }
}

words! {
    /// How a run ended.
    Outcome {
        /// Every step is done, skipped or done by hand.
        Completed = "completed",
        /// Ended by an operator before that.
        Abandoned = "abandoned",
        /// Taken back as far as it can be.
        Reverted = "reverted",
    }
}

/// A run that is being taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Reverting {
    pub by: Actor,
    pub at: At,
    pub reason: String,
    /// A step could not be taken back; nothing goes on until somebody has decided.
    pub stopped: bool,
}

/// One execution of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Run {
    pub id: RunId,
    pub incident: Option<IncidentId>,
    /// The plan as it was when the run started: a run is resumed only with this.
    pub plan: Arc<Plan>,
    pub mode: Mode,
    pub by: Actor,
    pub reason: String,
    /// Gates are answered by `--yes` where the plan allows it.
    pub unattended: bool,
    pub started_at: At,
    pub ended_at: Option<At>,
    pub outcome: Option<Outcome>,
    pub steps: BTreeMap<StepId, StepRun>,
    #[serde(default)]
    pub reverting: Option<Reverting>,
}

impl Run {
    pub fn step(&self, id: &StepId) -> Option<&StepRun> {
        self.steps.get(id)
    }
    pub fn phase(&self, id: &StepId) -> StepPhase {
        self.steps.get(id).map_or(StepPhase::Waiting, |step| step.phase)
    }
    pub fn is_open(&self) -> bool {
        self.ended_at.is_none()
    }
    /// It is being taken back, and nothing has stopped that.
    pub fn goes_back(&self) -> bool {
        self.is_open() && self.reverting.as_ref().is_some_and(|it| !it.stopped)
    }
    /// Steps in the order of the plan, with what became of them.
    pub fn in_order(&self) -> impl Iterator<Item = (&StepSpec, &StepRun)> {
        self.plan.steps.iter().filter_map(|spec| self.steps.get(&spec.id).map(|step| (spec, step)))
    }
    /// Open, but nothing is under way and nothing will start by itself: a human has to act. Under HOLD (`held`) nothing starts.
    pub fn waits_for_human(&self, held: bool) -> bool {
        if self.goes_back() {
            return held && !self.steps.values().any(|step| step.phase.is_in_flight());
        }
        let starts = |spec: &StepSpec, step: &StepRun| match step.phase {
            // A run that stopped on its way back starts nothing by itself.
            _ if self.reverting.is_some() => false,
            StepPhase::Ready | StepPhase::Retrying => true,
            StepPhase::Waiting => spec.needs.iter().all(|need| self.phase(need).satisfies()),
            _ => false,
        };
        let busy = |(spec, step): (&StepSpec, &StepRun)| step.phase.is_in_flight() || (!held && starts(spec, step));
        self.is_open() && !self.in_order().any(busy)
    }
}
