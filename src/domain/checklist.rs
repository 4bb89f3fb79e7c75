//! The checklist: what has to be true before an incident is over, what Mayday sees of each item, and what a human says about it.

use super::estate::words;

words! {
    /// What Mayday itself sees of an item.
    Evidence {
        Pass = "pass",
        Fail = "fail",
        /// It could not be looked at, or nothing is configured that could be looked at. Unknown is never a pass.
        Unknown = "unknown",
    }
}
