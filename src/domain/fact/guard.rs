//! Guards: what was looked at before something is changed, and whether it stands against that.

use serde::{Deserialize, Serialize};

/// What a guard found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GuardVerdict {
    Pass,
    /// Shown at the gate; blocks nothing.
    Warn,
    /// Stops the step until it passes or an operator overrides it with the typed phrase and a reason.
    Block,
}

/// One thing that was looked at before a step may act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Guard {
    /// Short and stable: `old-writer`, `quorum`, `expected-loss`, `not-backing-up`.
    pub name: String,
    pub verdict: GuardVerdict,
    pub detail: String,
    /// It asks whether now is the time for the step. In peacetime it is not, and that says nothing of readiness.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub situational: bool,
    /// The kind of step that sees to it: where a plan has one before, this says nothing of how ready the plan is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_by: Option<String>,
}

impl Guard {
    pub fn new(name: &str, verdict: GuardVerdict, detail: impl Into<String>) -> Self {
        Self { name: name.into(), verdict, detail: detail.into(), situational: false, settled_by: None }
    }
    pub fn settled_by(self, kind: &str) -> Self {
        Self { settled_by: Some(kind.into()), ..self }
    }
    pub fn situational(self) -> Self {
        Self { situational: true, ..self }
    }
    pub fn pass(name: &str, detail: impl Into<String>) -> Self {
        Self::new(name, GuardVerdict::Pass, detail)
    }
    pub fn warn(name: &str, detail: impl Into<String>) -> Self {
        Self::new(name, GuardVerdict::Warn, detail)
    }
    pub fn block(name: &str, detail: impl Into<String>) -> Self {
        Self::new(name, GuardVerdict::Block, detail)
    }
}
