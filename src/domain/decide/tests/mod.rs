//! The safety rules, each with its own test, and properties over random histories.

pub mod bench;
mod drills;
mod bench;
mod checklist;
mod histories;
mod outlook;
mod rules;
