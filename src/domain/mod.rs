//! The pure core: words, rules and decisions. No I/O, no clock, no randomness; imports nothing of the rest of the crate.

pub mod actor;
pub mod backup;
pub mod command;
pub mod contacts;
pub mod decide;
pub mod estate;
pub mod event;
pub mod health;
pub mod ids;
pub mod incident;
pub mod journal;
pub mod kinds;
pub mod live;
pub mod params;
pub mod plan;
pub mod readiness;
pub mod recovery;
pub mod run;
pub mod state;
pub mod system;
pub mod text;
pub mod time;
pub mod trigger;
pub mod verdict;
pub mod view;
