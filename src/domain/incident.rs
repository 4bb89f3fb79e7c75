//! Incidents: severity, phase and the clocks.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::actor::Actor;
use super::checklist::Checklist;
use super::estate::{DataClass, Tier, words};
use super::ids::{IncidentId, RegionId, SystemId};
use super::kinds::StepRole;
use super::recovery::RecoveryPoint;
use super::run::{Run, StepPhase};
use super::time::At;
use super::told::Told;

words! {
    /// How bad it is; `sev1` is worst.
    Severity { Sev1 = "sev1", Sev2 = "sev2", Sev3 = "sev3", Sev4 = "sev4", }
}

words! {
    /// How far an incident has come.
    Phase {
        Detected = "detected", Declared = "declared", Mitigating = "mitigating", Recovered = "recovered", Closed = "closed",
    }
}

/// The moments an incident is measured by. What has not happened, or was not seen, is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Clocks {
    /// Disruption: the last healthy reading before the failure, per tier.
    pub t0: BTreeMap<Tier, At>,
    /// Nothing was seen failing: t0 is the declaration.
    pub t0_is_declaration: bool,
    /// Tiers whose failure nobody saw begin: it was there at the first look. Their t0 is that look, and the truth is not later.
    #[serde(default)]
    pub t0_not_later: BTreeSet<Tier>,
    /// The latest healthy reading after t0 of what comes and goes: clients wrote until then.
    #[serde(default)]
    pub last_well: Option<At>,
    /// It was declared in a good phase of what comes and goes: clients wrote on.
    #[serde(default)]
    pub well_when_declared: bool,
    /// Detected: the first status change to down.
    pub t1: Option<At>,
    /// Declared.
    pub t2: Option<At>,
    /// First action: the first step that changes the world began.
    pub t3: Option<At>,
    /// Technically up: the last promotion, scaling and traffic step was verified.
    pub t4: Option<At>,
    /// Verified by a synthetic transaction through the client path, per tier.
    pub t5: BTreeMap<Tier, At>,
}

words! {
    /// What is known of the moment that t0 stands for.
    Onset {
        /// The last healthy reading before the failure.
        Seen = "seen",
        /// The failure was there at the first look: it began at that moment or before.
        NotLater = "not-later",
        /// Nothing was seen failing: it is the declaration.
        Declaration = "declaration",
    }
}

impl Onset {
    /// What t0 is, for a line beside the moment.
    pub fn words(self) -> &'static str {
        match self {
            Self::Seen => "the last healthy reading",
            Self::NotLater => "not later than this: it was failing when first looked at",
            Self::Declaration => "nothing was seen failing, so it is the declaration",
        }
    }
}

impl Clocks {
    /// The disruption of the whole: the earliest of all tiers.
    pub fn disruption(&self) -> Option<(At, Onset)> {
        let of = |(tier, at): (&Tier, &At)| (*at, self.onset(*tier));
        // Of two that begin together, the one that may have begun earlier.
        self.t0.iter().map(of).min_by_key(|(at, onset)| (*at, std::cmp::Reverse(*onset)))
    }

    /// What is known of a tier's t0.
    pub fn onset(&self, tier: Tier) -> Onset {
        match (self.t0_is_declaration, self.t0_not_later.contains(&tier)) {
            (true, _) => Onset::Declaration,
            (false, true) => Onset::NotLater,
            (false, false) => Onset::Seen,
        }
    }

    /// Nothing failed when it was declared: clients wrote on until somebody acted.
    pub fn was_well(&self) -> bool {
        self.t0_is_declaration || self.well_when_declared
    }

    /// Until when clients may have written to what failed, as far as it is known: what a copy lacks of that is lost.
    pub fn written_until(&self) -> Option<At> {
        let (t0, _) = self.disruption()?;
        // A region that is left on purpose takes writes until the first step stops them.
        let until = if self.was_well() { self.t3.or(self.t2) } else { self.last_well };
        Some(until.map_or(t0, |until| until.max(t0)))
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
    pub(super) fn note_run(&mut self, run: &Run) {
        let counts = |role| matches!(role, StepRole::Promotes | StepRole::Measures);
        let steps = run.plan.steps.iter().filter(|step| run.mode.acts() && counts(step.role));
        self.touched.extend(steps.filter_map(|step| step.class));
    }

    /// A copy of a class was measured by a run. It counts once all that the run measures of the class are done, and tell the loss.
    pub(super) fn note_measured(&mut self, run: &Run, class: DataClass) {
        let measures = run.in_order().filter(|(spec, _)| spec.role == StepRole::Measures && spec.class == Some(class));
        let done = measures.map(|(_, step)| step.point.clone().filter(|_| step.phase == StepPhase::Done));
        let points: Option<Vec<_>> = done.map(|point| point.filter(|point| self.tells(point))).collect();
        self.measured.extend(points.filter(|points| !points.is_empty()).map(|points| (class, points)));
    }
}
