//! The second floor: what follows from the facts. The fold of the journal, the readings of it, and the decisions.

pub mod chosen;
pub mod comms;
pub mod decide;
pub mod describe;
pub mod hidden;
pub mod journal;
mod moves;
pub mod outlook;
pub mod readiness;
pub mod reload;
pub mod remedy;
pub mod review;
pub mod rollup;
pub mod schedule;
pub mod scorecard;
pub mod sight;
pub mod state;
mod step;
pub mod target;
pub mod trigger;
pub mod verdict;
pub mod view;
pub mod walkthrough;
pub mod wayback;
