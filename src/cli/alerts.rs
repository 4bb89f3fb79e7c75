//! `mayday alert`: what other monitoring says.

use serde_json::{Value, json};

use super::text::{clock, table};
use crate::domain::alert::{Alert, Heard};
use crate::domain::time::seconds_between;
use crate::domain::view::Snapshot;

/// For programs.
pub fn json(view: &Snapshot) -> Value {
    let of = |heard: &Heard| {
        json!({
            "alert": heard.alert, "since": heard.since, "last": heard.last,
            "old": heard.is_old(&view.estate.alerts, view.now), "counts": counts(view, &heard.alert),
        })
    };
    json!({ "alerts": view.state.alerts.0.values().map(of).collect::<Vec<_>>() })
}

/// Whether it counts for a trigger now.
fn counts(view: &Snapshot, alert: &Alert) -> bool {
    let serving = view.state.serving(&view.estate);
    view.state.alerts.counted(&view.estate, &serving, view.now).is_some_and(|(heard, _)| heard.alert.id == alert.id)
}

/// For people; empty when there is none.
pub fn text(view: &Snapshot) -> String {
    if view.state.alerts.0.is_empty() {
        return "No alert of other monitoring is known.\n".into();
    }
    rows(view)
}

/// A line for each.
pub fn rows(view: &Snapshot) -> String {
    let row = |heard: &Heard| {
        let silent = if heard.is_old(&view.estate.alerts, view.now) {
            format!("NOT REPEATED for {}", clock(seconds_between(heard.last, view.now)))
        } else if counts(view, &heard.alert) {
            "counts for a trigger".into()
        } else {
            String::new()
        };
        let since = format!("for {}", clock(seconds_between(heard.began(), view.now)));
        vec![heard.alert.source.clone(), heard.alert.is.to_string(), since, silent, heard.alert.words()]
    };
    let rows: Vec<Vec<String>> = view.state.alerts.0.values().map(row).collect();
    table(&["alert of", "", "", "", ""], &rows)
}
