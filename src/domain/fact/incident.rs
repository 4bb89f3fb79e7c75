//! Incidents: severity, phase and the clocks.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::checklist::Checklist;
use super::clocks::Clocks;
use super::recovery::RecoveryPoint;
use super::run::{Run, StepPhase};
use super::told::Told;
use crate::domain::actor::Actor;
use crate::domain::ids::{IncidentId, RegionId, SystemId};
use crate::domain::spec::classes::DataClass;
use crate::domain::spec::kinds::StepRole;
use crate::domain::spec::severity::Severity;
use crate::domain::time::At;
use crate::domain::words::words;

words! {
    /// How far an incident has come.
    Phase {
        Detected = "detected", Declared = "declared", Mitigating = "mitigating", Recovered = "recovered", Closed = "closed",
    }
}

/// An incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Incident {
    pub id: IncidentId,
    pub title: String,
    pub severity: Severity,
    pub phase: Phase,
    pub declared_by: Actor,
    pub commander: Option<Actor>,
    pub clocks: Clocks,
    /// The region that served when it was declared.
    pub region: RegionId,
    /// What was known at the declaration of the copies outside that region, per datastore.
    pub points: BTreeMap<SystemId, RecoveryPoint>,
    /// The data classes whose copies its runs promote or measure.
    #[serde(default)]
    pub touched: BTreeSet<DataClass>,
    /// How far the copies of a class had come, once a run had measured every one of them. A run that follows and measures nothing, as one
    /// that protects the new copies, changes nothing of it.
    #[serde(default)]
    pub measured: BTreeMap<DataClass, Vec<RecoveryPoint>>,
    pub closed_at: Option<At>,
    /// It is practice.
    #[serde(default)]
    pub drill: bool,
    #[serde(default)]
    pub checklist: Checklist,
    #[serde(default)]
    pub told: Told,
}

impl Incident {
    /// Whether a recovery point tells how much was lost. What was written after the failure was seen is a client's of the new copy: it
    /// hides how far the copy had come.
    pub fn tells(&self, point: &RecoveryPoint) -> bool {
        let seen = self.clocks.t1.max(self.clocks.last_well);
        self.clocks.was_well() || self.clocks.t1.is_none() || seen.is_none_or(|seen| point.at <= seen)
    }

    /// A run sets out: what will have to be measured after it.
    pub(in crate::domain) fn note_run(&mut self, run: &Run) {
        let counts = |role| matches!(role, StepRole::Promotes | StepRole::Measures);
        let steps = run.plan.steps.iter().filter(|step| run.mode.acts() && counts(step.role));
        self.touched.extend(steps.filter_map(|step| step.class));
    }

    /// A copy of a class was measured by a run. It counts once all that the run measures of the class are done, and tell the loss.
    pub(in crate::domain) fn note_measured(&mut self, run: &Run, class: DataClass) {
        let measures = run.in_order().filter(|(spec, _)| spec.role == StepRole::Measures && spec.class == Some(class));
        let done = measures.map(|(_, step)| step.point.clone().filter(|_| step.phase == StepPhase::Done));
        let points: Option<Vec<_>> = done.map(|point| point.filter(|point| self.tells(point))).collect();
        self.measured.extend(points.filter(|points| !points.is_empty()).map(|points| (class, points)));
    }
}
