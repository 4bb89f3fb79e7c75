//! `mayday checklist`: what has to be true before the incident is over, what Mayday sees of it, and what people said.

use std::fmt::Write;

use serde_json::{Value, json};

use super::text::{clock, table};
use crate::domain::checklist::{Answer, Evidence, Item, ItemState};
use crate::domain::incident::Incident;
use crate::domain::time::seconds_between;
use crate::domain::view::Snapshot;

/// For programs.
pub fn json(view: &Snapshot) -> Value {
    match &view.state.incident {
        Some(incident) => {
            let items: Vec<Value> = incident.checklist.items.iter().map(|it| item_json(view, it)).collect();
            json!({ "incident": incident.id, "open": incident.checklist.open().count(), "items": items })
        }
        None => {
            let items: Vec<&Item> = view.estate.checklist.iter().map(|spec| &spec.item).collect();
            json!({ "incident": null, "open": 0, "items": items })
        }
    }
}

fn item_json(view: &Snapshot, it: &ItemState) -> Value {
    let look = view.live.checklist.get(&it.item.id);
    json!({
        "id": it.item.id, "title": it.item.title, "what": it.item.what, "why": it.item.why,
        "standing": it.standing(), "evidence": it.evidence(), "seen": it.seen, "look": look,
        "against": it.against(), "answer": it.answer, "reopened": it.reopened,
    })
}

/// Whether somebody still has to answer for an item.
pub fn is_open(view: &Snapshot) -> bool {
    view.state.incident.as_ref().is_some_and(|incident| incident.checklist.open().next().is_some())
}

/// For people.
pub fn text(view: &Snapshot) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = match &view.state.incident {
        Some(incident) => open(&mut out, view, incident),
        None => peace(&mut out, view),
    };
    out
}

fn open(out: &mut String, view: &Snapshot, incident: &Incident) -> std::fmt::Result {
    let items = &incident.checklist.items;
    let rows: Vec<Vec<String>> = items.iter().map(|it| row(view, it)).collect();
    write!(out, "{}", table(&["item", "", "Mayday sees", "", ""], &rows))?;
    for it in items {
        let id = &it.item.id;
        match &it.answer {
            Some(Answer::Ticked { by, note, against, .. }) => {
                let over = against.as_ref().map(|against| format!(", against {against}")).unwrap_or_default();
                let note = if note.is_empty() { String::new() } else { format!(": {note}") };
                writeln!(out, "{id} was ticked by {by}{over}{note}")?;
            }
            Some(Answer::Skipped { by, reason, .. }) => writeln!(out, "{id} was left out by {by}: {reason}")?,
            None => {}
        }
        if let Some(again) = it.reopened.as_ref().filter(|_| it.standing().is_open()) {
            writeln!(out, "{id} was opened again by {}: {}", again.by, again.reason)?;
        }
    }
    let count = incident.checklist.open().count();
    match count {
        0 => writeln!(out, "\nNothing is open → mayday incident close"),
        count => writeln!(out, "\n{count} of {} are open → mayday checklist tick ITEM", items.len()),
    }
}

fn row(view: &Snapshot, it: &ItemState) -> Vec<String> {
    let look = view.live.checklist.get(&it.item.id);
    let age = |at| format!("{} ago", clock(seconds_between(at, view.now)));
    let (word, detail, age) = match (it.item.is_watched(), look, &it.seen) {
        (false, ..) => ("-".to_owned(), "only a human can tell".to_owned(), String::new()),
        (true, Some(look), _) => (look.evidence().to_string(), look.detail(), age(look.at)),
        (true, None, Some(seen)) => (seen.evidence.to_string(), seen.detail.clone(), age(seen.at)),
        (true, None, None) => (Evidence::Unknown.to_string(), "not looked at yet".to_owned(), String::new()),
    };
    vec![it.item.id.to_string(), it.standing().to_string(), word, age, detail]
}

fn peace(out: &mut String, view: &Snapshot) -> std::fmt::Result {
    writeln!(out, "No incident is open. Before one is closed, these are asked:")?;
    let rows: Vec<Vec<String>> =
        view.estate.checklist.iter().map(|it| vec![it.item.id.to_string(), it.item.title.clone()]).collect();
    write!(out, "{}", table(&["item", ""], &rows))
}
