//! The schedule of drills: what is rehearsed, when each is due, what came of the past ones, and where nothing may be broken.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde::Serialize;

use super::state::State;
use crate::domain::fact::drill::{Drill, DrillResult};
use crate::domain::fault::Fault;
use crate::domain::ids::StepId;
use crate::domain::spec::drill::DrillSpec;
use crate::domain::spec::estate::{Environment, Estate, SystemSpec};
use crate::domain::time::{At, after};
use crate::domain::words::words;

words! {
    /// How a drill stands against its cadence.
    Standing {
        /// It passed, and not too long ago.
        Fresh = "fresh",
        /// It never passed, and the first one is not due yet.
        Untried = "untried",
        Due = "due",
        Overdue = "overdue",
    }
}

/// Begins a drill beside the engine: in a process of its own, on an estate of its own.
#[async_trait]
pub trait Driller: Send + Sync {
    /// Plays it to its end; it records its result itself.
    ///
    /// # Errors
    /// When it could not be begun, or ended without a result.
    async fn play(&self, name: &str) -> Result<(), Fault>;

    /// Holds a result that is said to have passed against its evidence, as of `now`.
    ///
    /// # Errors
    /// What speaks against it, in a few words.
    async fn check(&self, result: &DrillResult, now: At) -> Result<(), String>;
}

/// How a drill stands.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Due {
    pub spec: DrillSpec,
    pub standing: Standing,
    pub due_at: At,
    /// When the latest that passed was begun.
    pub passed_at: Option<At>,
    /// The latest, whatever came of it.
    pub last: Option<Drill>,
}

/// Every drill of the estate as of `now`, in the order of the config. What never passed is due one turn after the journal began.
pub fn schedule(estate: &Estate, state: &State, now: At) -> Vec<Due> {
    let of = |spec: &DrillSpec| {
        let known = state.drills.get(&spec.name);
        let last = known.and_then(|all| all.back()).cloned();
        let passed = known.into_iter().flatten().rev().find(|it| it.result.passed);
        let passed_at = passed.map(|it| it.result.started_at);
        let due_at = spec.cadence.next(passed_at.or(state.began).unwrap_or(now));
        let standing = match () {
            () if now >= after(due_at, spec.cadence.grace()) => Standing::Overdue,
            () if now >= due_at => Standing::Due,
            () if passed_at.is_none() => Standing::Untried,
            () => Standing::Fresh,
        };
        Due { spec: spec.clone(), standing, due_at, passed_at, last }
    };
    estate.drills.iter().map(of).collect()
}

/// Seconds that each step took in the past drills of a name, the oldest first; `None` where a drill did not time it.
pub fn trend<'s>(state: &'s State, name: &str) -> BTreeMap<&'s StepId, Vec<Option<f64>>> {
    let known: Vec<&DrillResult> = state.drills.get(name).into_iter().flatten().map(|it| &it.result).collect();
    let steps: BTreeSet<&StepId> = known.iter().flat_map(|it| it.steps.keys()).collect();
    steps.into_iter().map(|step| (step, known.iter().map(|it| it.steps.get(step).copied()).collect())).collect()
}

/// Why nothing may be broken on this estate on purpose; `own` is the estate that is protected, where there is one.
pub fn forbidden(estate: &Estate, own: Option<&Estate>) -> Option<String> {
    if estate.environment != Environment::Test {
        return Some(format!("{} is a production estate", estate.name));
    }
    let protected = own.filter(|own| own.environment == Environment::Production)?;
    let twin = |it: &SystemSpec| {
        // The protected estate may come from an engine, which does not tell the arguments of secret commands.
        let same = |other: &&SystemSpec| other.kind == it.kind && other.params.shown() == it.params.shown();
        protected.systems.iter().find(same).map(|other| (it.id.clone(), other.id.clone()))
    };
    let (here, there) = estate.systems.iter().find_map(twin)?;
    Some(format!("its system `{here}` is reached exactly like `{there}` of {}", protected.name))
}

#[cfg(test)]
mod tests;
