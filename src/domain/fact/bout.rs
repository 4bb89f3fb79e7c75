//! What the journal knows of a probe: how it is, and the times in which it was down.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::health::{Status, Trouble};
use crate::domain::time::{At, seconds_between};

/// So many bouts of a probe are remembered.
const BOUTS: usize = 32;

/// What is known of a probe across restarts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ProbeState {
    pub status: Status,
    pub since: At,
    /// When it was last seen healthy before `since`.
    pub last_healthy: Option<At>,
    pub detail: String,
    /// The stretch of trouble that it is in.
    #[serde(default)]
    pub trouble: Option<Trouble>,
    /// When it was down lately, the newest last.
    #[serde(default)]
    pub bouts: VecDeque<Bout>,
}

/// A time in which a probe was down.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Bout {
    /// The last healthy reading before it, or, when there was none, the first that failed.
    pub from: At,
    /// Whether `from` is a healthy reading: that it began was seen.
    pub seen: bool,
    /// When it was believed to be down.
    pub detected: At,
    /// When it was no longer; `None` while it lasts.
    pub until: Option<At>,
}

impl ProbeState {
    /// The state after a change at `at`.
    pub(in crate::domain) fn changed(
        known: Option<Self>,
        to: Status,
        at: At,
        last_healthy: Option<At>,
        trouble: Option<Trouble>,
    ) -> Self {
        let mut bouts = known.map(|known| known.bouts).unwrap_or_default();
        if let Some(open) = bouts.back_mut().filter(|bout| bout.until.is_none()) {
            open.until = Some(at);
        }
        if to == Status::Down {
            let trouble = trouble.unwrap_or(Trouble { last_healthy, first_down: None });
            let from = trouble.last_healthy.or(trouble.first_down).unwrap_or(at);
            bouts.push_back(Bout { from, seen: trouble.last_healthy.is_some(), detected: at, until: None });
        }
        while bouts.len() > BOUTS {
            bouts.pop_front();
        }
        Self { status: to, since: at, last_healthy, detail: String::new(), trouble, bouts }
    }

    /// When the trouble began that it is in.
    pub fn began(&self) -> Option<Trouble> {
        let first_down = Some(self.since).filter(|_| self.status == Status::Down);
        let told = || Trouble { last_healthy: self.last_healthy, first_down };
        (self.status != Status::Healthy).then(|| self.trouble.unwrap_or_else(told))
    }

    /// The bout in which the trouble began that lasts, or that was over for no longer than `quiet` at `now`: a flap is one trouble.
    /// What began before `not_before` and is over belongs to an incident that is closed.
    pub fn trouble_at(&self, now: At, quiet: f64, not_before: Option<At>) -> Option<Bout> {
        let mut first: Option<Bout> = None;
        for bout in self.bouts.iter().rev() {
            let well_for = bout.until.map_or(0.0, |until| seconds_between(until, first.map_or(now, |it| it.from)));
            let closed = bout.until.is_some() && not_before.is_some_and(|closed| bout.from <= closed);
            if closed || well_for > quiet {
                break;
            }
            first = Some(bout_before(*bout, first));
        }
        first
    }
}

/// The earlier of two bouts of one trouble.
fn bout_before(bout: Bout, later: Option<Bout>) -> Bout {
    later.filter(|later| later.from < bout.from).unwrap_or(bout)
}
