//! The schedule of drills: what is rehearsed, when each is due, what came of the past ones, and where nothing may be broken.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use jiff::ToSpan;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::drill::{Cadence, DrillResult};
use super::estate::{Environment, Estate, SystemSpec, words};
use super::ids::{DrillId, PlanId, StepId};
use super::state::State;
use super::system::Fault;
use super::time::{At, after};

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

/// `[[drill]]` of the config: what is rehearsed, how often, and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DrillSpec {
    pub name: String,
    pub cadence: Cadence,
    pub plan: PlanId,
    /// What goes wrong: a scenario of the lab.
    pub scenario: String,
    /// How many times faster the lab lives.
    pub speed: u64,
    /// The folder of the evidence; `drills` in the state directory when left out.
    pub bundles: Option<String>,
    /// The engine begins it by itself when it is due.
    pub automatic: bool,
    /// The config of a test estate that it is played on; the lab when left out.
    pub estate: Option<String>,
    /// On a test estate: the command that makes the failure, and the one that puts everything back.
    pub fail: Vec<String>,
    pub restore: Vec<String>,
}

impl DrillSpec {
    /// The plan's own schedule: an automated test a month, a full drill a quarter, a complete exercise a year; all at the pace of real
    /// life, because only then do their figures say anything of what was promised.
    pub fn shipped(plan: &PlanId) -> Vec<Self> {
        let drill = |cadence: Cadence, scenario: &str| Self {
            name: cadence.word().into(),
            cadence,
            plan: plan.clone(),
            scenario: scenario.into(),
            speed: 1,
            bundles: None,
            automatic: false,
            estate: None,
            fail: Vec::new(),
            restore: Vec::new(),
        };
        vec![
            drill(Cadence::Monthly, "region-dark"),
            drill(Cadence::Quarterly, "region-dark"),
            drill(Cadence::Annual, "region-returns"),
        ]
    }
}

/// A drill that has ended, as the state keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Drill {
    pub id: DrillId,
    pub ended_at: At,
    pub result: DrillResult,
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

impl Cadence {
    /// When the next one is due after one at `at`: on the same day of the calendar, in UTC.
    pub fn next(self, at: At) -> At {
        let span = match self {
            Self::Monthly => 1.month(),
            Self::Quarterly => 3.months(),
            Self::Annual => 1.year(),
        };
        at.to_zoned(TimeZone::UTC).saturating_add(span).timestamp()
    }

    /// How long after that it is merely due, and not overdue.
    pub fn grace(self) -> Duration {
        const DAY: u64 = 24 * 60 * 60;
        Duration::from_secs(match self {
            Self::Monthly => 7 * DAY,
            Self::Quarterly => 14 * DAY,
            Self::Annual => 30 * DAY,
        })
    }
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
