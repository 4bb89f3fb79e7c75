//! Drills: rehearsing the plan on a test estate, and what is left as evidence.

use serde::{Deserialize, Serialize};

use super::estate::words;

words! {
    /// How often the plan asks for a kind of drill.
    Cadence {
        /// An automated test.
        Monthly = "monthly",
        /// A full drill.
        Quarterly = "quarterly",
        /// The complete exercise.
        Annual = "annual",
    }
}

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrillResult {
    /// The drill's name in the config.
    pub name: String,
    pub cadence: Cadence,
    pub plan: super::ids::PlanId,
    pub scenario: String,
    /// Where it was played: `lab`, or the name of the test estate.
    pub estate: String,
    pub started_at: super::time::At,
    pub passed: bool,
    /// Each stage with whether it passed, and a word on it.
    pub stages: Vec<(Stage, bool, String)>,
    /// Seconds from disruption to recovery, per tier; absent is unknown.
    pub rto: std::collections::BTreeMap<super::estate::Tier, f64>,
    /// Seconds lost, per data class; absent is unknown.
    pub rpo: std::collections::BTreeMap<super::estate::DataClass, f64>,
    /// Seconds that each step took, on the clock of the estate it was played on.
    pub steps: std::collections::BTreeMap<super::ids::StepId, f64>,
    /// What the clean-up could not remove.
    pub left_behind: Vec<String>,
    /// Where the evidence is.
    pub bundle: String,
}
