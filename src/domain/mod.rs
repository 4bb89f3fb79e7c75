//! The pure core: words, rules and decisions. No I/O, no clock, no randomness; imports nothing of the rest of the crate.
//!
//! It stands on three floors, each of which knows only what is below it:
//!
//! - [`rule`]: what follows. The fold of the journal, readings of it, decisions.
//! - [`fact`]: what happened and what was seen: events and what they carry, runs, incidents, messages, readings of the world.
//! - [`spec`]: what was configured: the estate, plans, kinds, objectives, channels.
//!
//! Beside them is what every floor speaks of: who acts ([`actor`]), [`ids`], [`time`] and [`clock`], [`text`], [`fault`], the
//! [`chain`], and the macro of [`words`]. No file imports another one in a circle. `tests/it/architecture.rs` holds both.
//!
//! The rest of the house asks for a thing by its subject (`domain::backup::Worth`), whatever floor it is on: that table is below.

pub mod actor;
pub mod chain;
pub mod clock;
pub mod fact;
pub mod fault;
pub mod ids;
pub mod rule;
pub mod spec;
pub mod text;
pub mod time;
pub mod words;

pub use fact::{command, event, live, process, recovery, run, told};
pub use rule::{
    decide, describe, hidden, outlook, reload, remedy, review, rollup, scorecard, sight, trigger, view, walkthrough,
};
pub use spec::{expect, kinds, params, plan};

pub mod alert {
    pub use super::fact::alert::*;
    pub use super::spec::alert::*;
}

pub mod backup {
    pub use super::fact::backup::*;
    pub use super::spec::backup::*;
}

pub mod checklist {
    pub use super::fact::checklist::*;
    pub use super::fact::findings::*;
    pub use super::spec::checklist::*;
}

pub mod comms {
    pub use super::fact::comms::*;
    pub use super::rule::comms::*;
    pub use super::spec::comms::*;
    pub use super::spec::kinds::ChannelKind;
    pub use super::spec::severity::{Affected, Answers, Broken, Data};
}

pub mod contacts {
    pub use super::fact::contacts::*;
    pub use super::spec::contacts::*;
}

pub mod drill {
    pub use super::fact::drill::*;
    pub use super::spec::drill::*;
}

pub mod estate {
    pub use super::spec::classes::*;
    pub use super::spec::estate::*;
    pub use super::spec::probe::{ProbeSpec, Subject};
    pub(crate) use super::words::words;
}

pub mod health {
    pub use super::fact::health::*;
    pub use super::spec::probe::Hysteresis;
}

pub mod incident {
    pub use super::fact::clocks::*;
    pub use super::fact::incident::*;
    pub use super::spec::severity::Severity;
}

pub mod journal {
    pub use super::chain::*;
    pub use super::rule::journal::*;
}

pub mod readiness {
    pub use super::fact::readiness::*;
    pub use super::rule::readiness::*;
}

pub mod schedule {
    pub use super::fact::drill::Drill;
    pub use super::rule::schedule::*;
    pub use super::spec::drill::DrillSpec;
}

pub mod state {
    pub use super::fact::bout::*;
    pub use super::fact::hold::*;
    pub use super::rule::state::*;
}

pub mod system {
    pub use super::fact::guard::*;
    pub use super::fact::system::*;
    pub use super::fault::*;
}

pub mod verdict {
    pub use super::fact::promise::*;
    pub use super::rule::verdict::*;
}

pub mod wayback {
    pub use super::fact::moved::*;
    pub use super::rule::wayback::*;
}
