//! The safety rules, each with its own test, and properties over random histories.

mod alerts;
mod arrival;
pub mod bench;
mod checklist;
mod clock;
mod closing;
mod comms;
mod drills;
mod gates;
mod health;
mod histories;
mod mail;
mod outlook;
mod people;
mod reload;
mod rules;
mod scripts;
mod twice;
mod undo;
mod unseen;
