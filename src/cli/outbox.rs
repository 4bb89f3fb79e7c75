//! `mayday notify` and `mayday outbox`: what would be said, what was said, and what became of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::text::{length, table};
use crate::domain::comms::{Audience, Delivery, Message, PartPhase, Posted, due, moment, standing};
use crate::domain::ids::ChannelId;
use crate::domain::time::{At, seconds_between};
use crate::domain::view::Snapshot;

/// What would be sent, for people.
pub fn draft(message: &Message, only: &[Audience]) -> String {
    let mut out = String::new();
    for (audience, text) in message.texts.iter().filter(|(audience, _)| only.is_empty() || only.contains(audience)) {
        out += &format!("── {audience} ──\n{}\n\n{}\n\n", text.subject, text.body);
    }
    let ways: Vec<&str> = message.deliveries.keys().map(|id| id.as_str()).collect();
    out + &format!(
        "Nothing was sent. It would go out by {}.",
        if ways.is_empty() { "no channel".into() } else { ways.join(", ") }
    )
}

/// Every message with its deliveries, for programs.
pub fn json(view: &Snapshot) -> Value {
    let delivery = |(id, it): (&crate::domain::ids::ChannelId, &Delivery)| {
        json!({
            "channel": id,
            "phase": it.phase(),
            "parts": it.parts.len(),
            "sent": it.sent(),
            "done_at": it.done(),
            "took_seconds": it.took(),
            "id": it.receipt("id"),
            "link": it.receipt("link"),
            "next_try_at": it.next(),
            "fault": it.trouble(),
            "caveats": it.caveats(),
        })
    };
    let message = |it: &Posted| {
        json!({
            "message": &*it.message,
            "by": it.by,
            "at": it.at,
            "recalled": it.recalled,
            "settled": it.is_settled(),
            "deliveries": it.deliveries.iter().map(delivery).collect::<Vec<_>>(),
        })
    };
    json!({
        "due": due(&view.estate, &view.state),
        "lead": view.state.outbox.lead,
        "acknowledged": view.state.outbox.acknowledged,
        "messages": view.state.outbox.messages.iter().map(message).collect::<Vec<_>>(),
    })
}

/// The same for people.
pub fn text(view: &Snapshot) -> String {
    let mut rows = Vec::new();
    for posted in &view.state.outbox.messages {
        let message = &posted.message;
        if let Some((by, at)) = &posted.recalled {
            let words = format!("taken back by {by} at {}", moment(*at));
            rows.push(vec![message.id.to_string(), message.purpose.to_string(), String::new(), words]);
            continue;
        }
        for (channel, delivery) in &posted.deliveries {
            let mark = delivery.receipt("link").or(delivery.receipt("id"));
            let mark = mark.map(|it| format!("  {it}")).unwrap_or_default();
            let words = format!("{}{mark}", standing(delivery, view.now).1);
            rows.push(vec![message.id.to_string(), message.purpose.to_string(), channel.to_string(), words]);
        }
    }
    let next = next(view);
    if rows.is_empty() {
        return format!("Nothing was said yet.\n{next}");
    }
    format!("{}{next}", table(&["message", "purpose", "channel", "what became of it"], &rows))
}

/// What has changed of a message's deliveries since it was told last: a line each, for whoever waits for it.
pub fn news(posted: &Posted, now: At, told: &mut BTreeMap<ChannelId, PartPhase>) -> Vec<String> {
    let mut lines = Vec::new();
    for (channel, delivery) in &posted.deliveries {
        let phase = delivery.phase();
        if told.insert(channel.clone(), phase) != Some(phase) {
            lines.push(format!("{channel}: {}", standing(delivery, now).1));
        }
    }
    if !lines.is_empty() {
        let sent = posted.deliveries.values().filter(|it| it.phase() == PartPhase::Sent).count();
        lines.push(format!("{sent} of {} channels have it", posted.deliveries.len()));
    }
    lines
}

/// The next update, in a line.
pub fn next(view: &Snapshot) -> String {
    let Some(next) = due(&view.estate, &view.state) else { return "No update is due.".into() };
    let left = seconds_between(view.now, next.at);
    let when = if left < 0.0 { format!("OVERDUE by {}", length(-left)) } else { format!("due in {}", length(left)) };
    format!("Next update {when}: {} ({}).", next.purpose, next.why)
}
