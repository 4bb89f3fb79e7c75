//! `mayday report`, `mayday incident list|show`: looking back.

use serde_json::Value;

use super::text::{length_or_unknown, loss, met, table};
use crate::report::review::{Brief, Review};

/// Every incident in a line.
pub fn list(briefs: &[Brief]) -> String {
    if briefs.is_empty() {
        return "No incident was declared yet.".into();
    }
    let row = |it: &Brief| {
        let all: Vec<Option<bool>> = it.rto.iter().map(|it| it.met).chain(it.rpo.iter().map(|it| it.met)).collect();
        let verdict = match all.contains(&Some(false)) {
            true => Some(false),
            false if all.contains(&None) => None,
            false => Some(true),
        };
        let word = if all.is_empty() { "" } else { met(verdict) };
        let ended = it.closed_at.map_or_else(|| "open".into(), |at| at.strftime("%F %T").to_string());
        let drill = if it.drill { "drill: " } else { "" };
        vec![
            it.incident.to_string(),
            it.severity.to_string(),
            it.declared_at.strftime("%F %T").to_string(),
            ended,
            word.to_owned(),
            format!("{drill}{}", it.title),
        ]
    };
    let head = ["incident", "severity", "declared (UTC)", "closed (UTC)", "objectives", "title"];
    table(&head, &briefs.iter().map(row).collect::<Vec<_>>())
}

/// An incident at a glance; the whole of it is in the report.
pub fn show(review: &Review) -> String {
    let rto = review.rto.iter().map(|it| {
        let took = format!("{}{}", super::text::at_least(it.at_least), length_or_unknown(it.elapsed));
        vec![format!("RTO {}", it.tier), took, format!("of {}", super::text::length(it.target)), met(it.met).into()]
    });
    let rpo = review.rpo.iter().map(|it| {
        let lost = loss(it.loss);
        vec![format!("RPO {}", it.class), lost, format!("of {}", super::text::length(it.target)), met(it.met).into()]
    });
    let verdicts = table(&["objective", "took or lost", "promised", "verdict"], &rto.chain(rpo).collect::<Vec<_>>());
    let actions: Vec<String> = review.actions.iter().map(|it| format!("  {}: {}", it.because, it.what)).collect();
    let open =
        if actions.is_empty() { "No open actions.".into() } else { format!("Open actions:\n{}", actions.join("\n")) };
    let drill = if review.drill { " (drill)" } else { "" };
    format!(
        "{} {} {}{drill}: {}\n{}\n\n{verdicts}\n{open}\n\nThe whole of it: mayday report {}\n",
        review.incident,
        review.severity,
        review.phase,
        review.title,
        review.summary.join("\n"),
        review.incident
    )
}

/// The whole review, for programs.
pub fn json(review: &Review) -> Value {
    serde_json::to_value(review).unwrap_or_default()
}
