//! Plans: steps in a dependency graph, and the rules a graph has to keep to be safe.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::classes::{DataClass, Tier};
use super::kinds::{StepRole, Undo};
use super::params::Params;
use crate::domain::ids::{PlanId, RegionId, StepId, SystemId};
use crate::domain::time::Span;
use crate::domain::words::words;

/// The kind of step that waits until a datastore's copy has everything its drained writer wrote.
pub const CAUGHT_UP: &str = "mayday.caught-up";

/// The kind of step that calls a plan, and its parameter that names it.
pub const RUN: &str = "plan.run";
pub const PLAN: &str = "plan";
/// Stands between the step that calls a plan and a step of that plan.
pub const OF: char = ':';

/// The call that a step is part of; empty for one that the plan itself has.
pub fn part_of(id: &StepId) -> &str {
    id.as_str().rsplit_once(OF).map_or("", |(part, _)| part)
}

words! {
    /// What has to be answered before a step may act.
    Gate {
        /// Nothing: only for steps that change nothing.
        Auto = "auto",
        /// One key.
        Confirm = "confirm",
        /// The name of the target, typed.
        Typed = "typed",
        /// Two different operators.
        TwoPerson = "two-person",
    }
}

words! {
    /// The ways to move clients, in the order in which they are best taken.
    WayName {
        /// The switches of an ARC cluster: a data plane in five regions.
        Arc = "arc",
        /// An object in the standby's bucket that an inverted health check looks at.
        Object = "object",
        /// The dials of Global Accelerator: a control plane in us-west-2.
        Accelerator = "accelerator",
        /// A change of records: the control plane of DNS.
        Records = "records",
    }
}

/// One of several ways to the effect of a step: the first one that answers is taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Way {
    pub name: WayName,
    pub kind: String,
    pub system: SystemId,
    pub params: Params,
}

/// One step, with its parameters validated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StepSpec {
    pub id: StepId,
    pub title: String,
    /// The name of a row of the table of step kinds (`rds.promote-replica`).
    pub kind: String,
    /// The system it acts on; for an ambient kind, the kind's own name.
    pub system: SystemId,
    pub needs: Vec<StepId>,
    pub gate: Gate,
    /// Whether `--yes` may answer the gate of an unattended run.
    pub yes: bool,
    /// How long its effect may take to show.
    pub timeout: Span,
    /// What a typed gate asks for; the system's id unless the plan says otherwise.
    pub phrase: String,
    /// The tiers that are recovered once this step is verified: its end is their t5.
    #[serde(default)]
    pub recovers: Vec<Tier>,
    /// The data class this step promotes or measures.
    #[serde(default)]
    pub class: Option<DataClass>,
    /// The region this step makes the serving one, for steps that fail over.
    #[serde(default)]
    pub region: Option<RegionId>,
    /// Filled from the row of its kind when the plan is read, so that a run never depends on the build that resumes it.
    pub role: StepRole,
    pub undo: Undo,
    pub params: Params,
    /// The ways to its effect, the preferred one first; kind, system and parameters are those of the first. Empty where there is one only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<Way>,
    /// Its role is the plan's word, and not its kind's: what its mirror image would be, nobody but its writer knows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_role: bool,
    /// A failure of it is told, and the run goes on without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

impl StepSpec {
    /// Whether a run can do without it: nothing of data, clients or capacity hangs on it.
    pub fn may_be_optional(&self) -> bool {
        let plain = matches!(self.role, StepRole::Changes | StepRole::Checks | StepRole::Synthetic | StepRole::Records);
        plain && self.recovers.is_empty()
    }

    /// This step by one of its ways alone.
    pub fn by(&self, way: &Way) -> Self {
        let Way { kind, system, params, .. } = way.clone();
        Self { kind, system, params, ways: Vec::new(), ..self.clone() }
    }
}

/// A plan: what is done, in which order, and who has to agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Plan {
    pub id: PlanId,
    pub title: String,
    /// When to use it, in a sentence or two.
    pub about: String,
    /// In the order of the file, which respects `needs`.
    pub steps: Vec<StepSpec>,
    /// SHA-256 of the file it was read from, in hex: a run is resumed only with the plan it started with.
    pub fingerprint: String,
    /// Where it leads, in an estate with several standby regions: a plan is there once for each of them, as `NAME@REGION`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<RegionId>,
}

/// Stands between the name of a plan and the region that it leads to.
pub const TO: char = '@';

/// What a plan is called that leads to `region`, one of several.
pub fn towards(name: &str, region: &RegionId) -> PlanId {
    PlanId::from(format!("{name}{TO}{region}"))
}

/// The name of a plan without the region that it leads to.
pub fn name_of(id: &PlanId) -> &str {
    id.as_str().split_once(TO).map_or(id.as_str(), |(name, _)| name)
}

impl Plan {
    /// Its name, whichever of several regions it leads to.
    pub fn name(&self) -> &str {
        name_of(&self.id)
    }

    /// Whether it is meant by `id`: its own, or the bare name, which means the plan to every region.
    pub fn is_called(&self, id: &PlanId) -> bool {
        self.id == *id || self.name() == id.as_str()
    }

    pub fn step(&self, id: &StepId) -> Option<&StepSpec> {
        self.steps.iter().find(|step| &step.id == id)
    }

    /// All that `id` waits for, near and far.
    pub fn ancestors(&self, id: &StepId) -> BTreeSet<StepId> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&StepId> = self.step(id).map(|step| step.needs.iter().collect()).unwrap_or_default();
        while let Some(next) = open.pop() {
            if found.insert(next.clone()) {
                open.extend(self.step(next).into_iter().flat_map(|step| step.needs.iter()));
            }
        }
        found
    }

    /// Whether it helps when a region is lost: it moves clients, and waits for nothing that only a living writer can show. One that waits
    /// for copies to catch up is for leaving a region on purpose.
    pub fn flees(&self) -> bool {
        self.steps.iter().any(|step| step.role == StepRole::Traffic)
            && !self.steps.iter().any(|step| step.kind == CAUGHT_UP)
    }

    /// Whether a region that is lost is left by it: clients are sent to another one, after its writers were stopped or a store was promoted.
    pub fn leaves(&self, region: &RegionId) -> bool {
        let moves = |step: &StepSpec| matches!(step.role, StepRole::Fences | StepRole::Promotes);
        self.flees()
            && self.steps.iter().any(moves)
            && self
                .steps
                .iter()
                .any(|step| step.role == StepRole::Traffic && step.region.as_ref().is_some_and(|to| to != region))
    }

    /// Steps that wait for `id`, near and far, in the order of the plan.
    pub fn descendants(&self, id: &StepId) -> Vec<StepId> {
        self.steps.iter().map(|step| step.id.clone()).filter(|other| self.ancestors(other).contains(id)).collect()
    }

    /// The longest chain from each step's start to the end of the plan, by `cost` in seconds a step: what a projected finish adds up.
    pub fn longest_chain(&self, cost: impl Fn(&StepSpec) -> f64) -> Vec<(StepId, f64)> {
        let mut finish: Vec<(StepId, f64)> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let start = step
                .needs
                .iter()
                .filter_map(|need| finish.iter().find(|(id, _)| id == need))
                .map(|(_, at)| *at)
                .fold(0.0, f64::max);
            finish.push((step.id.clone(), start + cost(step)));
        }
        finish
    }

    /// What makes the graph unsafe or senseless. Empty means sound. (`needs` that name no step, and cycles, included.)
    pub fn mistakes(&self) -> Vec<PlanMistake> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        for step in &self.steps {
            let mut say = |what: String| found.push(PlanMistake { step: step.id.clone(), what });
            if !seen.insert(&step.id) {
                say("is not the only step of this name".into());
            }
            for need in &step.needs {
                if self.step(need).is_none() {
                    say(format!("needs `{need}`, which is not a step of this plan"));
                } else if !seen.contains(need) && *need != step.id {
                    say(format!("needs `{need}`, which comes after it; put it before"));
                }
            }
            let ancestors = self.ancestors(&step.id);
            if ancestors.contains(&step.id) {
                say(format!("waits for itself ({})", self.cycle_through(&step.id)));
                continue;
            }
            if step.role.mutates() && step.gate == Gate::Auto {
                say(format!("changes the world ({}) behind no gate; use confirm, typed or two-person", step.role));
            }
            if step.gate == Gate::TwoPerson && step.yes {
                say("a two-person gate cannot be answered by --yes".into());
            }
            if matches!(step.role, StepRole::Promotes | StepRole::Measures) && step.class.is_none() {
                say(format!("a step that {} needs `class`, the data class it is about", step.role));
            }
            if step.own_role && step.role == StepRole::Traffic && step.region.is_none() {
                say("moves clients, and does not say where to: give it `region`".into());
            }
            if step.optional && !step.may_be_optional() {
                let why = match step.role {
                    StepRole::Promotes => "makes a copy the writer",
                    StepRole::Fences => "stops the writers",
                    StepRole::Capacity => "gives the standby room",
                    StepRole::Traffic => "moves clients",
                    StepRole::Measures => "measures what was lost",
                    StepRole::Guided => "is done by hand",
                    _ => "recovers a tier",
                };
                say(format!("cannot be optional: it {why}, and the recovery hangs on that"));
            }
            if step.role == StepRole::Traffic {
                let first = |role| matches!(role, StepRole::Promotes | StepRole::Capacity | StepRole::Measures);
                // A plan that is called is held to it by itself: what comes after it moves clients of its own.
                let part = |other: &&StepSpec| part_of(&other.id) == part_of(&step.id);
                for before in self.steps.iter().filter(|step| first(step.role)).filter(part) {
                    if !ancestors.contains(&before.id) {
                        say(format!(
                            "moves traffic without waiting for `{}`, which {}",
                            before.id,
                            match before.role {
                                StepRole::Promotes => "makes a store writable",
                                StepRole::Capacity => "gives the standby capacity",
                                _ => "has to read the promoted copy before clients write to it",
                            }
                        ));
                    }
                }
            }
        }
        found
    }

    fn cycle_through(&self, id: &StepId) -> String {
        let mut path = vec![id.clone()];
        while let Some(step) = path.last().and_then(|last| self.step(last)) {
            let Some(next) = step.needs.iter().find(|need| *need == id || self.ancestors(need).contains(id)) else {
                break;
            };
            path.push(next.clone());
            if next == id {
                break;
            }
        }
        path.iter().map(StepId::as_str).collect::<Vec<_>>().join(" → ")
    }
}

/// What is wrong with a plan, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanMistake {
    pub step: StepId,
    pub what: String,
}
