//! The way back after a failover: what moved, how long it may be undone, what is unprotected since, and the plan that returns.
//!
//! A failover is over when the estate is as safe as before: with copies outside the region that serves, with backups of the database
//! that is written to, and with a way home that loses nothing. Nothing of it happens by itself.

mod failback;
mod protection;
mod undo;

use super::rollup::Readings;
use super::state::State;
use crate::domain::fact::moved::Moved;
use crate::domain::spec::estate::Estate;
use crate::domain::time::{At, seconds_between};

pub use failback::{FAILBACK, REPROTECT, STORE, caught_up, is_drained_copy, is_for_afterwards, plan, protected_in};
pub use protection::{Gap, Unprotected, home_is_sound, unprotected};
pub use undo::{Undoing, against, back_to, closed, crossed, is_crossed, is_down, undoing};

/// Until when the move can be taken back, in words that fit what is true now.
#[derive(Clone, Debug, PartialEq)]
pub enum Window {
    /// So many seconds are left.
    Open(f64),
    /// So many seconds are left, but this speaks against it: only the longer phrase does it.
    Against(f64, Vec<String>),
    /// Nothing of it can be taken back.
    Nothing,
    Closed,
    /// Another run has changed things since: what it did rests on the move.
    Built,
}

impl Window {
    pub fn of(estate: &Estate, state: &State, moved: &Moved, readings: &Readings, now: At) -> Self {
        let left = seconds_between(now, moved.closes_at(&estate.policy));
        match &state.run {
            Some(run) if run.id != moved.run && run.mode.acts() => Self::Built,
            _ if left <= 0.0 => Self::Closed,
            Some(run) if run.id == moved.run => {
                let plan = undoing(run);
                let against = against(estate, state, run, &plan, readings, now);
                match (plan.back.is_empty(), against.is_empty()) {
                    (true, _) => Self::Nothing,
                    (false, true) => Self::Open(left),
                    (false, false) => Self::Against(left, against),
                }
            }
            // A rehearsal since, or nothing: the run itself is not there any more to be taken back.
            _ => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests;
