//! What one look finds, and how things were while they were well.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::ids::ProbeId;
use crate::domain::text::clean;
use crate::domain::time::At;
use crate::domain::words::words;

words! {
    /// What Mayday itself sees of an item, in the order of concern.
    Evidence {
        Pass = "pass",
        /// It could not be looked at, or nothing is configured that could be looked at. Unknown is never a pass.
        Unknown = "unknown",
        Fail = "fail",
    }
}

/// How much of something there is, and a digest of its content where it can be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Sum {
    pub count: u64,
    #[serde(default)]
    pub checksum: Option<String>,
}

/// What each store, or table, or bucket holds.
pub type Tally = BTreeMap<String, Sum>;

/// What was held of everything that was written until a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Tallied {
    pub until: At,
    pub tally: Tally,
}

/// How things were while they were well: what "normal" and "as before" mean.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Baseline {
    /// The median of a probe's latencies, in milliseconds.
    pub latencies: BTreeMap<ProbeId, u32>,
    /// By the check that counted.
    pub tallies: BTreeMap<ProbeId, Tallied>,
}

impl Baseline {
    pub fn is_empty(&self) -> bool {
        self.latencies.is_empty() && self.tallies.is_empty()
    }

    /// This one, and what only an older one knows.
    pub fn or(mut self, older: &Self) -> Self {
        for (probe, latency) in &older.latencies {
            self.latencies.entry(probe.clone()).or_insert(*latency);
        }
        for (check, tallied) in &older.tallies {
            self.tallies.entry(check.clone()).or_insert_with(|| tallied.clone());
        }
        self
    }
}

/// What one look at one thing found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Finding {
    /// The sight or the check.
    pub of: String,
    pub evidence: Evidence,
    pub detail: String,
}

impl Finding {
    pub fn new(of: impl Into<String>, evidence: Evidence, detail: impl AsRef<str>) -> Self {
        Self { of: of.into(), evidence, detail: clean(detail.as_ref()) }
    }
}

/// One look at all that is watched of an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ItemLook {
    pub at: At,
    pub findings: Vec<Finding>,
}

impl ItemLook {
    /// The worst finding counts; nothing to go by is unknown.
    pub fn evidence(&self) -> Evidence {
        self.findings.iter().map(|it| it.evidence).max().unwrap_or(Evidence::Unknown)
    }

    /// The words of what counts.
    pub fn detail(&self) -> String {
        let evidence = self.evidence();
        let words = self.findings.iter().filter(|it| it.evidence == evidence).map(|it| it.detail.as_str());
        let words = words.collect::<Vec<_>>().join("; ");
        if words.is_empty() { "nothing was looked at".into() } else { clean(&words) }
    }
}
