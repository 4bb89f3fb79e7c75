//! One file per subcommand: it says what is printed, and nothing else.

pub mod alerts;
pub mod args;
pub mod backups;
pub mod check;
pub mod checklist;
pub mod connect;
pub mod contacts;
pub mod done;
pub mod drill;
pub mod engines;
pub mod exit;
pub mod failover;
pub mod faults;
pub mod game;
pub mod inbox;
pub mod init;
pub mod journal;
pub mod kinds;
pub mod out;
pub mod outbox;
pub mod plan;
pub mod ready;
pub mod report;
pub mod schema;
pub mod status;
mod steps;
pub mod text;
pub mod watch;
pub mod wayback;

/// The scenario of a demo that names none; the lab's table has it first.
pub const DEFAULT_SCENARIO: &str = "region-dark";
