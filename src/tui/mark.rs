//! How a state is shown: always a glyph, a word and a colour together, so that none of them has to be trusted alone.

use crate::domain::backup::Worth;
use crate::domain::checklist::{Evidence, Standing};
use crate::domain::describe::{self, Tone};
use crate::domain::health::Status;
use crate::domain::kinds::Undo;
use crate::domain::plan::Gate;
use crate::domain::readiness::{Finds, Ready};
use crate::domain::recovery::Role as Part;
use crate::domain::run::StepPhase;
use crate::domain::schedule;
use crate::domain::system::GuardVerdict;
use crate::domain::walkthrough::Progress;

use super::theme::Role;

/// A glyph, a word and the colour they are drawn in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub glyph: &'static str,
    pub word: &'static str,
    pub role: Role,
}

const fn mark(glyph: &'static str, word: &'static str, role: Role) -> Mark {
    Mark { glyph, word, role }
}

/// A domain's word with the glyph that stands before it.
fn said(glyph: &'static str, (tone, word): (Tone, &'static str)) -> Mark {
    mark(glyph, word, self::tone(tone))
}

/// The role that a line of the journal is drawn in.
pub fn tone(tone: Tone) -> Role {
    match tone {
        Tone::Quiet => Role::Dim,
        Tone::Plain => Role::Text,
        Tone::Strong => Role::Strong,
        Tone::Good => Role::Good,
        Tone::Warn => Role::Warn,
        Tone::Bad => Role::Bad,
        Tone::Unknown => Role::Unknown,
        Tone::Busy => Role::Busy,
        Tone::Accent => Role::Accent,
    }
}

pub fn status(status: Status) -> Mark {
    let glyph = match status {
        Status::Healthy => "●",
        Status::Degraded => "◐",
        Status::Unknown => "?",
        Status::Down => "✗",
    };
    said(glyph, describe::status(status))
}

/// How a drill stands against its schedule.
pub fn due(standing: schedule::Standing) -> Mark {
    match standing {
        schedule::Standing::Fresh => mark("✓", "fresh", Role::Good),
        schedule::Standing::Untried => mark("○", "untried", Role::Dim),
        schedule::Standing::Due => mark("!", "due", Role::Warn),
        schedule::Standing::Overdue => mark("✗", "OVERDUE", Role::Bad),
    }
}

pub fn phase(phase: StepPhase) -> Mark {
    match phase {
        StepPhase::Waiting => mark("○", "waiting", Role::Faint),
        StepPhase::Preparing => mark("◌", "looking", Role::Busy),
        StepPhase::Gated => mark("◆", "GATE", Role::Warn),
        StepPhase::Blocked => mark("■", "BLOCKED", Role::Bad),
        StepPhase::Ready => mark("▹", "ready", Role::Busy),
        StepPhase::Applying => mark("▸", "applying", Role::Busy),
        StepPhase::Observing => mark("◎", "observing", Role::Busy),
        StepPhase::Verifying => mark("◐", "verifying", Role::Busy),
        StepPhase::Retrying => mark("↻", "retrying", Role::Warn),
        StepPhase::Asking => mark("?", "ASKING", Role::Warn),
        StepPhase::Failed => mark("✗", "FAILED", Role::Bad),
        StepPhase::Done => mark("✓", "done", Role::Good),
        StepPhase::Skipped => mark("»", "skipped", Role::Dim),
        StepPhase::ByHand => mark("✓", "by hand", Role::Good),
        StepPhase::Rehearsed => mark("✓", "rehearsed", Role::Good),
        StepPhase::Reverting => mark("↶", "reverting", Role::Busy),
        StepPhase::Reverted => mark("↶", "reverted", Role::Warn),
    }
}

pub fn worth(worth: Worth) -> Mark {
    let glyph = match worth {
        Worth::Fresh => "●",
        Worth::Weak => "◐",
        Worth::Unknown => "?",
        Worth::Stale | Worth::Missing => "✗",
    };
    said(glyph, describe::worth(worth))
}

pub fn ready(ready: Ready) -> Mark {
    let glyph = match ready {
        Ready::Ready => "●",
        Ready::AtRisk => "◐",
        Ready::Unknown => "?",
        Ready::NotReady => "✗",
    };
    said(glyph, describe::ready(ready))
}

pub fn finds(finds: Finds) -> Mark {
    match finds {
        Finds::Pass => mark("✓", "pass", Role::Good),
        Finds::Warn => mark("!", "warn", Role::Warn),
        Finds::Unknown => mark("?", "unknown", Role::Unknown),
        Finds::Fail => mark("✗", "FAIL", Role::Bad),
    }
}

pub fn guard(verdict: GuardVerdict) -> Mark {
    match verdict {
        GuardVerdict::Pass => mark("✓", "pass", Role::Good),
        GuardVerdict::Warn => mark("!", "warn", Role::Warn),
        GuardVerdict::Block => mark("✗", "BLOCK", Role::Bad),
    }
}

/// What Mayday sees of an item of the checklist.
pub fn evidence(evidence: Evidence) -> Mark {
    match evidence {
        Evidence::Pass => mark("✓", "pass", Role::Good),
        Evidence::Unknown => mark("?", "unknown", Role::Unknown),
        Evidence::Fail => mark("✗", "FAIL", Role::Bad),
    }
}

/// Where an item of the checklist stands.
pub fn standing(standing: Standing) -> Mark {
    match standing {
        Standing::Open => mark("○", "open", Role::Warn),
        Standing::Reopened => mark("!", "OPEN AGAIN", Role::Bad),
        Standing::Ticked => mark("✓", "ticked", Role::Good),
        Standing::Skipped => mark("»", "skipped", Role::Dim),
    }
}

/// How far a stage of the walkthrough has come.
pub fn progress(progress: Progress) -> Mark {
    match progress {
        Progress::Done => mark("✓", "done", Role::Good),
        Progress::Now => mark("▸", "now", Role::Strong),
        Progress::Ahead => mark("○", "ahead", Role::Dim),
    }
}

/// The part a member of a datastore plays.
pub fn part(part: Part) -> &'static str {
    match part {
        Part::Writer => "writer",
        Part::Replica => "replica",
        Part::Other => "other",
        Part::Unknown => "unknown",
    }
}

/// What a gate asks for.
pub fn gate(gate: Gate) -> &'static str {
    match gate {
        Gate::Auto => "",
        Gate::Confirm => "confirm",
        Gate::Typed => "typed",
        Gate::TwoPerson => "2 people",
    }
}

pub fn undo(undo: Undo) -> Mark {
    match undo {
        Undo::Nothing => mark("·", "changes nothing", Role::Dim),
        Undo::Revert => mark("↶", "can be reverted", Role::Good),
        Undo::PointOfNoReturn => mark("!", "POINT OF NO RETURN", Role::Warn),
    }
}
