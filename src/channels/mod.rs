//! One file per way to reach people.

pub mod pagerduty;
