//! Drills, as configured: what is rehearsed, how often, and where.

use std::time::Duration;

use jiff::ToSpan;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::domain::ids::PlanId;
use crate::domain::time::At;
use crate::domain::words::words;

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
