//! The way back after a failover: what moved, how long it may be undone, what is unprotected since, and the plan that returns.
//!
//! A failover is over when the estate is as safe as before: with copies outside the region that serves, with backups of the database
//! that is written to, and with a way home that loses nothing. Nothing of it happens by itself.

mod failback;
mod protection;
mod undo;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::estate::Policy;
use super::ids::{RegionId, RunId, StepId};
use super::plan::Plan;
use super::state::State;
use super::time::{At, after, seconds_between};

pub use failback::{CAUGHT_UP, FAILBACK, REPROTECT, STORE, caught_up, is_drained_copy, plan, protected_in};
pub use protection::{Gap, Unprotected, home_is_sound, unprotected};
pub use undo::{Undoing, undoing};

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

/// Until when the move can be taken back, in words that fit what is true now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Window {
    /// So many seconds are left.
    Open(f64),
    Closed,
    /// Another run has changed things since: what it did rests on the move.
    Built,
}

impl Window {
    pub fn of(state: &State, moved: &Moved, policy: &Policy, now: At) -> Self {
        let left = seconds_between(now, moved.closes_at(policy));
        match &state.run {
            Some(run) if run.id != moved.run && run.mode.acts() => Self::Built,
            _ if left > 0.0 => Self::Open(left),
            _ => Self::Closed,
        }
    }
}

impl Moved {
    /// Until then the run may be reverted. Later, what customers wrote in the new region would be left behind.
    pub fn closes_at(&self, policy: &Policy) -> At {
        after(self.at, policy.commit_window.0)
    }
}
