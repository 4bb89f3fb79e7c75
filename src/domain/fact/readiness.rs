//! What is known of whether a plan would work right now.

use serde::{Deserialize, Serialize};

use super::guard::{Guard, GuardVerdict};
use crate::domain::ids::{PlanId, RegionId, StepId};
use crate::domain::time::At;
use crate::domain::words::words;

words! {
    /// What one finding says, in the order of concern.
    Finds { Pass = "pass", Warn = "warn", Unknown = "unknown", Fail = "fail", }
}

impl From<GuardVerdict> for Finds {
    fn from(verdict: GuardVerdict) -> Self {
        match verdict {
            GuardVerdict::Pass => Self::Pass,
            GuardVerdict::Warn => Self::Warn,
            GuardVerdict::Block => Self::Fail,
        }
    }
}

words! {
    /// What all findings of a plan come to.
    Ready { Ready = "ready", AtRisk = "at-risk", Unknown = "unknown", NotReady = "not-ready", }
}

/// One thing that a plan depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Finding {
    /// `None`: the whole plan depends on it.
    pub step: Option<StepId>,
    /// Short and stable: `target`, `access`, `quorum`, `loss`, `parity`, `backup`, `control-plane`, `channel`.
    pub name: String,
    pub finds: Finds,
    pub detail: String,
}

/// The guard of a step that moves clients: whether the way that it takes leads through the region that it leaves. It warns at the gate,
/// where the way may be open all the same; a plan that depends on it is not ready.
pub const CONTROL_PLANE_GUARD: &str = "control-plane";

/// A plan held against reality.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Assessment {
    pub plan: PlanId,
    pub at: At,
    pub findings: Vec<Finding>,
}

impl Assessment {
    pub fn ready(&self) -> Ready {
        match self.findings.iter().map(|it| it.finds).max() {
            Some(Finds::Pass) => Ready::Ready,
            Some(Finds::Warn) => Ready::AtRisk,
            Some(Finds::Unknown) | None => Ready::Unknown,
            Some(Finds::Fail) => Ready::NotReady,
        }
    }

    /// Of 100: a pass counts whole, a warning half, anything else nothing. No finding is worth nothing.
    pub fn score(&self) -> u8 {
        let worth = |it: &Finding| match it.finds {
            Finds::Pass => 2,
            Finds::Warn => 1,
            Finds::Unknown | Finds::Fail => 0,
        };
        let (got, all) = (self.findings.iter().map(worth).sum::<usize>(), self.findings.len() * 2);
        u8::try_from(got * 100 / all.max(1)).unwrap_or(100)
    }

    /// What is not as it should be, the worst first.
    pub fn reasons(&self) -> Vec<&Finding> {
        let mut all: Vec<&Finding> = self.findings.iter().filter(|it| it.finds != Finds::Pass).collect();
        all.sort_by_key(|it| std::cmp::Reverse(it.finds));
        all
    }

    /// What the journal keeps.
    pub fn brief(&self) -> Brief {
        let reasons = self.reasons();
        let named = reasons.iter().map(|it| match &it.step {
            Some(step) => format!("{step}: {}", it.name),
            None => it.name.clone(),
        });
        Brief { plan: self.plan.clone(), ready: self.ready(), score: self.score(), reasons: named.collect() }
    }
}

/// An assessment in a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Brief {
    pub plan: PlanId,
    pub ready: Ready,
    pub score: u8,
    /// `move-dns: access`
    #[serde(default)]
    pub reasons: Vec<String>,
}

/// Something that ought to be the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Fact {
    /// `deployment api-gateway`
    pub subject: String,
    /// `image`
    pub name: String,
    pub region: RegionId,
    pub value: String,
}

/// What keeps a kind of step from being fit, from a list of things it may or may not do: one guard.
pub fn access(denied: &[String], asked: usize, who: &str) -> Guard {
    match denied {
        [] => Guard::pass("access", format!("{who} may do all {asked} things that it takes")),
        _ => Guard::block("access", format!("{who} may not: {}", denied.join(", "))),
    }
}
