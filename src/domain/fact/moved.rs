//! The run that sent clients to where they are now.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::ids::{RegionId, RunId, StepId};
use crate::domain::spec::estate::Policy;
use crate::domain::spec::plan::Plan;
use crate::domain::time::{At, after};

/// The run that sent clients to where they are now: what a way back is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Moved {
    pub run: RunId,
    pub plan: Arc<Plan>,
    pub from: RegionId,
    pub to: RegionId,
    /// When clients were seen to arrive: the commit window counts from here.
    pub at: At,
    /// The steps of that run which are in effect.
    pub done: BTreeSet<StepId>,
    /// Whether the writers of the old region were stopped there, and not only found silent.
    pub fenced: bool,
}

impl Moved {
    /// Until then the run may be reverted. Later, what customers wrote in the new region would be left behind.
    pub fn closes_at(&self, policy: &Policy) -> At {
        after(self.at, policy.commit_window.0)
    }
}
