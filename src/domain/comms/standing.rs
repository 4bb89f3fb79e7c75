//! How a delivery fares, in words: the same on the screen and on the command line.

use super::super::describe::{Said, Tone};
use super::super::time::{At, seconds_between};
use super::{Delivery, PartPhase, length};

/// In a line, as of `now`.
pub fn standing(it: &Delivery, now: At) -> Said {
    let of = if it.parts.len() > 1 { format!(" {} of {} parts", it.sent(), it.parts.len()) } else { String::new() };
    let why = it.trouble().map(|fault| format!(": {}", fault.what)).unwrap_or_default();
    match it.phase() {
        PartPhase::Sent => {
            let took = it.took().map(|took| format!(" in {took:.1} s")).unwrap_or_default();
            (Tone::Good, format!("sent{of}{took}"))
        }
        PartPhase::Waiting => (Tone::Plain, format!("waits{of}")),
        PartPhase::Trying => (Tone::Busy, format!("being sent{of}")),
        PartPhase::Retrying => {
            let again = it.next().map(|at| length(seconds_between(now, at))).unwrap_or_default();
            (Tone::Warn, format!("not sent{of}, tried again in {again}{why}"))
        }
        PartPhase::Failed => (Tone::Bad, format!("FAILED{of}{why}")),
        PartPhase::Unknown => (Tone::Unknown, format!("UNKNOWN{of}, look before sending it again{why}")),
    }
}
