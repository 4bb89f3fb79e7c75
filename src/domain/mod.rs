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
//!
//! # Words
//!
//! Where the field has a word, it is used: failover, failback, fencing, quorum, runbook step, on-call, RTO and RPO. These are our own:
//!
//! | word | what it stands for |
//! |---|---|
//! | estate | all that is protected, as configured: regions, services, systems, channels |
//! | class | a class of data: what one RPO is promised for |
//! | subject | what a probe speaks for: a service, a system or a region |
//! | reading, trouble, bout | what one look of a probe saw; a stretch of readings that are not healthy; a time in which it was down |
//! | survey | one look at a datastore: its members, their roles and lags, and the point that its copies have reached |
//! | worth | what a backup is worth: fresh, weak, unknown, stale, missing |
//! | tally | how much a store holds, and a digest of it, to hold against another time or another store |
//! | sight, finding | what Mayday can look at by itself for the checklist; what one look at it found |
//! | pin | to make it certain that clients stay where they are found |
//! | guard | something that was looked at before a change, and whether it stands against it |
//! | card | what a gate shows: what will change, what would be lost, what stands against it |
//! | cleared, vouched | the gate needs no further answer; it is certain that an attempt changed nothing |
//! | found, found done | seen to be done already, and not by this run: nothing was changed |
//! | way | one of several ways to the same effect, as a switch or a record that moves clients |
//! | moved | the run that sent clients to where they are now |
//! | undoing | what of a run can be taken back, and what stays |
//! | outlook | the longest chain of a run that is left, and how long it took the last time |
//! | promise, verdict | what was promised when an incident was declared; how its clocks stand against that |
//! | onset | what is known of the moment that t0 stands for |
//! | brief, assessment | how ready a plan is, as the journal keeps it; the same with every finding |
//! | hidden dependency, doors | what a plan silently needs of the region that it leaves; the ways into it, which are shut to try it |
//! | message, delivery, part | what is said once; its way by one channel; one batch of recipients of that |
//! | outbox, outside | all that was said of an incident; what of it is still open with people |
//! | wish, voice, wording | what somebody asks to be told; how an engine speaks; who writes the texts |
//! | errand, job | all it takes to deliver a part; all it takes to act on a step |
//! | draft | a decision in the making, and the state as it will be then |
//! | anchor, drift | where an engine's time stood when it began; how far it is ahead of the wall clock |
//! | live | what is true now and in no journal |
//! | outdated | seen in an earlier life of the engine, which proves nothing now |

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

pub use fact::{command, event, lead, live, objects, process, recovery, run, told};
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

pub mod target {
    pub use super::rule::chosen::*;
    pub use super::rule::target::*;
}

pub mod verdict {
    pub use super::fact::promise::*;
    pub use super::rule::verdict::*;
}

pub mod wayback {
    pub use super::fact::moved::*;
    pub use super::rule::wayback::*;
}
