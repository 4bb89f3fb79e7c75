//! In which process a step does its work: known before the work begins, so that whoever comes after a crash can tell whether it goes on.

use serde::{Deserialize, Serialize};

/// A process by what no other one ever shares: the number alone is given again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Process {
    /// The name of the host: of another host's processes nothing is known here.
    pub host: String,
    /// The identity of that host's boot: no process outlives it.
    pub boot: String,
    pub pid: i32,
    /// When it began, in clock ticks since that boot.
    pub started: u64,
}

/// What became of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Lives,
    /// It has ended, and something that it had started has not.
    Left,
    /// It has ended, and nothing is known to be left of it.
    Ended,
    /// It cannot be seen from here: it ran on another host.
    Unknown,
}
