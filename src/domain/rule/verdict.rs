//! Verdicts: how the clocks stand against what was promised. Read from the state at any moment, during an incident and after it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::fact::clocks::Onset;
use crate::domain::fact::incident::Incident;
use crate::domain::fact::promise::Promise;
use crate::domain::fact::recovery::Loss;
use crate::domain::fact::run::Run;
use crate::domain::ids::SystemId;
use crate::domain::spec::classes::{DataClass, Tier};
use crate::domain::spec::estate::{Estate, Region};
use crate::domain::spec::kinds::StepRole;
use crate::domain::spec::plan::StepSpec;
use crate::domain::time::{At, seconds_between};

/// How a tier stands against its RTO. All lengths are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RtoVerdict {
    pub tier: Tier,
    pub target: f64,
    /// t5 − t0 once recovered; until then, now − t0. `None` if t0 is unknown.
    pub elapsed: Option<f64>,
    /// The same from the declaration (t5 − t2).
    pub since_declared: Option<f64>,
    pub recovered: bool,
    /// `None` while it can still go either way, or if t0 is unknown.
    pub met: Option<bool>,
    /// `elapsed` is a lower bound: the failure was there at the first look.
    #[serde(default)]
    pub at_least: bool,
}

/// How a data class stands against its RPO. All lengths are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RpoVerdict {
    pub class: DataClass,
    pub target: f64,
    pub loss: Loss,
    /// `None` while the loss is unknown.
    pub met: Option<bool>,
}

impl Promise {
    pub fn of(estate: &Estate) -> Self {
        let stores = estate.datastores().filter_map(|store| Some((store.id.clone(), store.class?)));
        let apart = |region: &Region| {
            let here: BTreeSet<&SystemId> = estate.stores_at(&region.id).map(|store| &store.id).collect();
            let all = estate.datastores().map(|store| &store.id);
            all.filter(|id| !here.contains(id)).cloned().collect::<BTreeSet<SystemId>>()
        };
        let elsewhere = estate.standbys().map(|region| (region.id.clone(), apart(region)));
        Self {
            elsewhere: elsewhere.filter(|(_, apart)| !apart.is_empty()).collect(),
            estate: estate.name.clone(),
            environment: estate.environment,
            objectives: estate.objectives.clone(),
            stores: stores.collect(),
        }
    }

    /// The RTO of every tier that has one, as of `now`.
    pub fn rto(&self, incident: &Incident, now: At) -> Vec<RtoVerdict> {
        let clocks = &incident.clocks;
        let of_tier = |tier: Tier| {
            let target = self.objectives.rto.get(&tier)?.as_secs_f64();
            let t5 = clocks.t5.get(&tier).copied();
            let until = t5.or(incident.closed_at).unwrap_or(now);
            let elapsed = clocks.t0.get(&tier).map(|t0| seconds_between(*t0, until));
            let at_least = clocks.onset(tier) == Onset::NotLater;
            let since_declared = clocks.t2.map(|t2| seconds_between(t2, until));
            let met = match elapsed {
                Some(seconds) if seconds > target => Some(false),
                // It may have begun earlier: that it took no longer than promised cannot be said.
                Some(_) if t5.is_some() && !at_least => Some(true),
                _ => None,
            };
            Some(RtoVerdict { tier, target, elapsed, since_declared, recovered: t5.is_some(), met, at_least })
        };
        Tier::ALL.iter().filter_map(|tier| of_tier(*tier)).collect()
    }

    /// The RPO of every data class that has one. The loss is measured once every measuring step of a run for that class was done; until
    /// then, and when clients wrote to the copy before it was measured, it is estimated from what was known at the declaration and from
    /// what `run` has measured so far, the worst datastore counting.
    pub fn rpo(&self, incident: &Incident, run: Option<&Run>) -> Vec<RpoVerdict> {
        let of_class = |class: DataClass| {
            let target = self.objectives.rpo.get(&class)?.as_secs_f64();
            let loss = self.loss(incident, run.filter(|run| run.mode.acts()), class);
            Some(RpoVerdict { class, target, loss, met: loss.seconds().map(|seconds| seconds <= target) })
        };
        DataClass::ALL.iter().filter_map(|class| of_class(*class)).collect()
    }

    fn loss(&self, incident: &Incident, run: Option<&Run>, class: DataClass) -> Loss {
        let clocks = &incident.clocks;
        let Some(disruption) = clocks.written_until() else { return Loss::Unknown };
        if let Some(points) = incident.measured.get(&class) {
            return Loss::worst(points.iter().map(|point| Loss::of(Some(point), disruption)));
        }
        let of_class = |spec: &StepSpec| spec.role == StepRole::Measures && spec.class == Some(class);
        let steps = run.into_iter().flat_map(Run::in_order).filter(|(spec, _)| of_class(spec));
        let points = steps.filter_map(|(_, step)| step.point.as_ref()).filter(|point| incident.tells(point));
        let measured = points.map(|point| Loss::of(Some(point), disruption));
        let apart = run.and_then(|run| self.elsewhere.get(run.plan.target.as_ref()?));
        let counts = |store: &SystemId| apart.is_none_or(|apart| !apart.contains(store));
        let stores = self.stores.iter().filter(|(store, its)| **its == class && counts(store));
        let estimated = stores.map(|(store, _)| Loss::of(incident.points.get(store), disruption));
        match Loss::worst(estimated.chain(measured)) {
            Loss::Measured { seconds } => Loss::Estimated { seconds },
            loss => loss,
        }
    }
}

/// [`Promise::rto`] of the estate as it is.
pub fn rto(estate: &Estate, incident: &Incident, now: At) -> Vec<RtoVerdict> {
    Promise::of(estate).rto(incident, now)
}

/// [`Promise::rpo`] of the estate as it is.
pub fn rpo(estate: &Estate, incident: &Incident, run: Option<&Run>) -> Vec<RpoVerdict> {
    Promise::of(estate).rpo(incident, run)
}

#[cfg(test)]
mod tests;
