//! How a delivery fares, in words: the same on the screen and on the command line.

use crate::domain::fact::comms::{Delivery, PartPhase};
use crate::domain::rule::describe::{Said, Tone};
use crate::domain::time::{At, length, seconds_between};

/// From when on it is said for how long something is being sent, in seconds: an answer that was lost is looked for in silence.
const SLOW: f64 = 10.0;

/// In a line, as of `now`.
pub fn standing(it: &Delivery, now: At) -> Said {
    let of = if it.parts.len() > 1 { format!(" {} of {} parts", it.sent(), it.filled()) } else { String::new() };
    let why = it.trouble().map(|fault| format!(": {}", fault.what)).unwrap_or_default();
    match it.phase() {
        PartPhase::Sent => {
            let took = it.took().map(|took| format!(" in {took:.1} s")).unwrap_or_default();
            let caveats = it.caveats();
            let tone = if caveats.is_empty() { Tone::Good } else { Tone::Warn };
            let but = if caveats.is_empty() { String::new() } else { format!(", but {}", caveats.join("; ")) };
            (tone, format!("sent{of}{took}{but}"))
        }
        PartPhase::Waiting => (Tone::Plain, format!("waits{of}")),
        PartPhase::Trying => {
            let trying = it.parts.iter().filter(|part| part.phase == PartPhase::Trying);
            let longest = trying.filter_map(|part| part.began).map(|began| seconds_between(began, now));
            match longest.fold(0.0, f64::max) {
                seconds if seconds < SLOW => (Tone::Busy, format!("being sent{of}")),
                seconds => (Tone::Warn, format!("being sent{of} for {}, no clear answer yet", length(seconds))),
            }
        }
        PartPhase::Retrying => {
            let again = it.next().map(|at| length(seconds_between(now, at))).unwrap_or_default();
            (Tone::Warn, format!("not sent{of}, tried again in {again}{why}"))
        }
        PartPhase::Failed => {
            let failed = it.parts.iter().filter(|part| part.phase == PartPhase::Failed).count();
            (Tone::Bad, format!("FAILED{}{why}", some(failed, it)))
        }
        PartPhase::Unknown => {
            let unknown = it.parts.iter().filter(|part| part.phase == PartPhase::Unknown).count();
            (Tone::Unknown, format!("UNKNOWN{}, look before sending it again{why}", some(unknown, it)))
        }
    }
}

/// How many of several parts it is that this is said of, and how many are sent.
fn some(count: usize, it: &Delivery) -> String {
    match it.filled() {
        0 | 1 => String::new(),
        all => format!(" {count} of {all} parts, {} sent", it.sent()),
    }
}
