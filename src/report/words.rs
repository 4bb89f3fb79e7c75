//! How lengths, moments and verdicts are written in documents: to the second, and in UTC.

use super::text::Cell;
use crate::domain::describe::Tone;
use crate::domain::recovery::Loss;
use crate::domain::time::At;

pub use crate::domain::time::{clock, length};

pub fn length_or_unknown(seconds: Option<f64>) -> Cell {
    seconds.map_or_else(|| Cell::new(Tone::Unknown, "unknown"), |seconds| length(seconds).into())
}

pub fn loss(loss: Loss) -> String {
    match loss {
        Loss::Unknown => "unknown".into(),
        Loss::Estimated { seconds } => format!("{} (estimated)", length(seconds)),
        Loss::Measured { seconds } => format!("{} (measured)", length(seconds)),
    }
}

/// A verdict; what could still have gone either way, or could not be told, is not one.
pub fn met(met: Option<bool>) -> Cell {
    match met {
        Some(true) => Cell::new(Tone::Good, "met"),
        Some(false) => Cell::new(Tone::Bad, "MISSED"),
        None => Cell::new(Tone::Unknown, "not known"),
    }
}

/// `14:02:11`: the day stands elsewhere.
pub fn time(at: At) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// `2026-11-25 14:02:11 UTC`
pub fn moment(at: At) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `one step`, `3 steps`
pub fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("one {one}") } else { format!("{number} {many}") }
}
