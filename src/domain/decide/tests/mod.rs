//! The safety rules, each with its own test, and properties over random histories.

mod bench;
mod histories;
mod rules;
