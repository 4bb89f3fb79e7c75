//! Drills: rehearsing the plan on a test estate, and what is left as evidence.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::chain::Chain;
use crate::domain::ids::{DrillId, PlanId, StepId};
use crate::domain::spec::classes::{DataClass, Tier};
use crate::domain::spec::drill::Cadence;
use crate::domain::spec::estate::Objectives;
use crate::domain::text::clean;
use crate::domain::time::At;
use crate::domain::words::words;

words! {
    /// The six steps of the plan's test procedure, and the clean-up that is part of passing.
    Stage {
        Isolate = "isolate",
        Simulate = "simulate",
        Execute = "execute",
        Verify = "verify",
        Measure = "measure",
        Document = "document",
        CleanUp = "clean-up",
    }
}

/// What came of a drill, as the journal keeps it: enough for the schedule, the trend and the forecast. The evidence is in its bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DrillResult {
    /// The drill's name in the config.
    pub name: String,
    pub cadence: Cadence,
    pub plan: PlanId,
    pub scenario: String,
    /// Where it was played: `lab`, or the name of the test estate.
    pub estate: String,
    /// How many times faster than life its estate lived; 0 in journals from before this was kept.
    #[serde(default)]
    pub pace: u64,
    pub started_at: At,
    pub passed: bool,
    /// Each stage with whether it passed, and a word on it.
    pub stages: Vec<(Stage, bool, String)>,
    /// Seconds from disruption to recovery, per tier; absent is unknown. All lengths are on one scale: the clock of the estate it was
    /// played on, of which an hour lasts an hour of life only at pace 1.
    pub rto: BTreeMap<Tier, f64>,
    /// Seconds lost, per data class; absent is unknown.
    pub rpo: BTreeMap<DataClass, f64>,
    /// Seconds that each step took.
    pub steps: BTreeMap<StepId, f64>,
    /// What the clean-up could not remove.
    pub left_behind: Vec<String>,
    /// Where the evidence is.
    pub bundle: String,
}

impl DrillResult {
    /// How many times faster than life its estate lived.
    pub fn lived(&self) -> u64 {
        match self.pace {
            0 => self.estate.rsplit_once(", ").and_then(|(_, it)| it.strip_suffix('x')?.parse().ok()).unwrap_or(1),
            pace => pace,
        }
    }

    /// Why its figures say nothing of what was promised; `None` if they do. What a fast estate does, and what Mayday and the network
    /// need for themselves, are not slowed down alike.
    pub fn incomparable(&self) -> Option<String> {
        let pace = self.lived();
        (pace > 1).then(|| format!("not comparable at {pace}x"))
    }

    /// What passing means: every stage was reached and passed, and nothing was left behind.
    pub fn earns_a_pass(&self) -> bool {
        let passed = |stage: &Stage| {
            let mut of = self.stages.iter().filter(|(it, _, _)| it == stage).peekable();
            of.peek().is_some() && of.all(|(_, passed, _)| *passed)
        };
        Stage::ALL.iter().all(passed) && self.left_behind.is_empty()
    }

    /// The same without anything in its texts that could harm a terminal.
    pub fn cleaned(mut self) -> Self {
        for text in [&mut self.name, &mut self.scenario, &mut self.estate, &mut self.bundle] {
            *text = clean(text);
        }
        self.stages.iter_mut().for_each(|(_, _, word)| *word = clean(word));
        self.left_behind.iter_mut().for_each(|what| *what = clean(what));
        self
    }
}

/// Something that was held against what it should be. What could not be looked at is unknown, and unknown is not a pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Check {
    /// `rows of orders are those from before`
    pub what: String,
    pub held: Option<bool>,
    pub detail: String,
}

/// Somebody who took part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Participant {
    pub name: String,
    /// `commander`, `answered the gates`, `automated`
    pub part: String,
}

/// All that a drill's evidence says, as it was gathered while it was played. What nobody looked at is absent, and is said to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DrillEvidence {
    pub drill: DrillId,
    pub result: DrillResult,
    pub ended_at: At,
    /// What went wrong on purpose, in a sentence or two.
    pub about: String,
    /// The plan that was exercised, and the SHA-256 of its file.
    pub plan_title: String,
    pub fingerprint: String,
    /// The version of Mayday.
    pub version: String,
    /// What the figures are held against.
    pub objectives: Objectives,
    /// A figure that is not in here was measured; these are estimates, and why.
    #[serde(default)]
    pub estimated: BTreeMap<DataClass, String>,
    pub participants: Vec<Participant>,
    /// Regions, services and data that the drill covered, and what it left out.
    pub scope: Vec<String>,
    pub left_out: Vec<String>,
    /// Whether backups could be restored from and data came over whole.
    pub integrity: Vec<Check>,
    /// What went otherwise than the plan says.
    pub deviations: Vec<String>,
    /// What has to be done about it.
    pub actions: Vec<String>,
    /// Whether the standby served long enough and the way back was walked; `None` was not tried.
    pub way_back: Check,
    /// The titles of the plan's steps, in its order.
    pub steps: Vec<(StepId, String)>,
    /// Of the journal that the drill was played in.
    #[serde(default)]
    pub journal: Option<Chain>,
}

/// A drill that has ended, as the state keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Drill {
    pub id: DrillId,
    pub ended_at: At,
    pub result: DrillResult,
}
