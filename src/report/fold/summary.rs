//! A few sentences that tell an incident.

use super::super::review::{Delivered, Review};
use super::super::words::{count, length, loss, moment};
use crate::domain::incident::Onset;
use crate::domain::time::seconds_between;

pub fn summary(review: &Review) -> Vec<String> {
    let mut lines = vec![opening(review)];
    lines.extend(recovery(review));
    lines.extend(losses(review));
    lines.push(doing(review));
    lines.extend(told(review));
    lines.push(ending(review));
    lines
}

fn opening(review: &Review) -> String {
    let clocks = &review.clocks;
    let what = if review.drill { "a drill" } else { "an incident" };
    let when = clocks.t2.map_or_else(String::new, |at| format!(" at {}", moment(at)));
    let after = match clocks.disruption().zip(clocks.t2) {
        Some(((t0, Onset::Seen), t2)) => {
            format!(", {} after the last healthy reading", length(seconds_between(t0, t2)))
        }
        Some(((t0, Onset::NotLater), t2)) => format!(
            ", {} after the first look that failed: it began at {} or before, and nobody saw when",
            length(seconds_between(t0, t2)),
            moment(t0)
        ),
        Some(((_, Onset::Declaration), _)) | None => "; nothing was seen failing before".into(),
    };
    format!("{} declared {what} of {} in {}{when}{after}.", review.declared_by, review.severity, review.region)
}

fn recovery(review: &Review) -> Vec<String> {
    let of = |it: &crate::domain::verdict::RtoVerdict| {
        let (tier, allowed) = (it.tier, length(it.target));
        match (it.recovered, it.elapsed, it.met) {
            (true, Some(took), Some(true)) => {
                format!("{tier} was back after {}. Target {allowed}: met.", length(took))
            }
            (true, Some(took), Some(false)) => {
                format!("{tier} was back after {}. Target {allowed}: MISSED.", length(took))
            }
            (true, Some(took), None) => format!(
                "{tier} was back after {} at least, from the first look that failed; whether {allowed} were kept is not known.",
                length(took)
            ),
            (true, None, _) => format!("{tier} was back; after how long is not known."),
            (false, _, _) => format!("Recovery of {tier} was not verified."),
        }
    };
    review.rto.iter().map(of).collect()
}

fn losses(review: &Review) -> Option<String> {
    let of = |it: &crate::domain::verdict::RpoVerdict| format!("{} {}", it.class, loss(it.loss));
    let all: Vec<String> = review.rpo.iter().map(of).collect();
    (!all.is_empty()).then(|| format!("What was lost: {}.", all.join(", ")))
}

fn doing(review: &Review) -> String {
    let acting: Vec<_> = review.runs.iter().filter(|run| run.mode.acts()).collect();
    let steps: usize = acting.iter().map(|run| run.steps.iter().filter(|step| step.phase.is_over()).count()).sum();
    let people = review.people.iter().filter(|it| it.who.uid.is_some()).count();
    let against = review.decisions.iter().filter(|it| it.against_advice).count();
    let advice = match against {
        0 => String::new(),
        number => format!(" {} against Mayday's advice.", count(number, "decision went", "decisions went")),
    };
    let what = match acting.len() {
        0 => "No plan was run".to_owned(),
        runs => format!("{} with {}", count(runs, "run", "runs"), count(steps, "step", "steps")),
    };
    let mut what = what;
    if let Some(first) = what.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    format!("{what}, by {}.{advice}", count(people, "person", "people"))
}

fn told(review: &Review) -> Option<String> {
    let all = || review.messages.iter().flat_map(|message| &message.deliveries);
    let lost = all().filter(|it| matches!(it.state, Delivered::Failed | Delivered::Unknown)).count();
    let sent = all().filter(|it| it.state == Delivered::Sent).count();
    let trouble = match lost {
        0 => String::new(),
        number => format!("; {} or may not have arrived", count(number, "delivery failed", "deliveries failed")),
    };
    let messages = count(review.messages.len(), "message", "messages");
    (!review.messages.is_empty())
        .then(|| format!("People were told by {messages} in {}{trouble}.", count(sent, "delivery", "deliveries")))
}

fn ending(review: &Review) -> String {
    match (review.closed_at, &review.closed_by) {
        (Some(at), by) => {
            let by = by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
            let note = if review.closing.is_empty() { String::new() } else { format!(": {}", review.closing) };
            format!("Closed at {}{by}{note}{}", moment(at), if note.ends_with(['.', '!', '?']) { "" } else { "." })
        }
        (None, _) => format!("It is still open, as of {}.", moment(review.as_of)),
    }
}
