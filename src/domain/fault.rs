//! Failures, as a tired person needs them.

use serde::{Deserialize, Serialize};

/// How a failure is to be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FaultClass {
    /// Nothing happened; the same call may succeed later. Retried with backoff.
    Transient,
    /// The same call will fail again. A human decides.
    Permanent,
    /// It may have happened. Observed before anything else; never retried blindly.
    Ambiguous,
}

/// A failure as a tired person needs it: what failed, on which system, what it means for the recovery, what to do next.
/// Text from outside has to be passed through [`clean`](super::text::clean) before it is put here; secrets never are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, thiserror::Error)]
#[error("{system}: {what}{}{}", dash(.means), arrow(.next))]
pub struct Fault {
    pub class: FaultClass,
    pub system: String,
    pub what: String,
    /// What it means for the recovery; empty when the words of `what` say it all.
    #[serde(default)]
    pub means: String,
    /// What to press or run next.
    #[serde(default)]
    pub next: String,
    /// How long the vendor asked to be left alone, where it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<super::time::Span>,
}

fn dash(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" — {text}") }
}

fn arrow(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" → {text}") }
}

impl Fault {
    pub fn new(class: FaultClass, system: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            class,
            system: system.into(),
            what: what.into(),
            means: String::new(),
            next: String::new(),
            retry_after: None,
        }
    }
    pub fn transient(system: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(FaultClass::Transient, system, what)
    }
    pub fn permanent(system: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(FaultClass::Permanent, system, what)
    }
    pub fn ambiguous(system: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(FaultClass::Ambiguous, system, what)
    }
    pub fn means(mut self, means: impl Into<String>) -> Self {
        self.means = means.into();
        self
    }
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }
    pub fn retry_after(mut self, pause: std::time::Duration) -> Self {
        self.retry_after = Some(super::time::Span(pause));
        self
    }
}
