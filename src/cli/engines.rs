//! `mayday engines`: who leads, who follows, and whether all are there.

use std::fmt::Write;

use serde_json::{Value, json};

use super::text::{length, table};
use crate::domain::lead::{Engine, Engines};
use crate::domain::time::seconds_between;
use crate::domain::view::Snapshot;

/// For programs.
pub fn json(view: &Snapshot) -> Value {
    match view.live.engines.as_deref() {
        Some(engines) => {
            json!({ "now": view.now, "shared": true, "part": engines.words(), "trouble": engines.trouble(), "engines": engines })
        }
        None => json!({ "now": view.now, "shared": false, "part": "leads", "trouble": null, "engines": null }),
    }
}

/// For people.
pub fn text(view: &Snapshot) -> String {
    let Some(engines) = view.live.engines.as_deref() else {
        return format!(
            "One engine, {}: its journal is a file on this host, which no other engine shares.\n",
            view.version
        );
    };
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = compose(&mut out, view, engines);
    out
}

fn compose(out: &mut String, view: &Snapshot, engines: &Engines) -> std::fmt::Result {
    writeln!(out, "This engine, {}, {}.", engines.me, engines.words())?;
    if let Some(trouble) = engines.trouble() {
        writeln!(out, "! {trouble}")?;
    }
    match &engines.leader {
        Some(leader) if leader.lives => writeln!(
            out,
            "{} leads since {} ({} ago), term {}",
            leader.name,
            leader.since.strftime("%F %T UTC"),
            length(seconds_between(leader.since, view.now).max(0.0)),
            leader.term
        )?,
        Some(leader) => writeln!(
            out,
            "{} led last, term {}; it has given the lead up, or its lease has run out",
            leader.name, leader.term
        )?,
        None => writeln!(out, "nobody has led yet")?,
    }
    let rows: Vec<Vec<String>> = engines.all.iter().map(row).collect();
    write!(out, "{}", table(&["engine", "part", "behind", "version", "last heard of"], &rows))
}

fn row(engine: &Engine) -> Vec<String> {
    let part = match (engine.leads, engine.silent) {
        (true, None) => "leads",
        (true, Some(_)) => "led",
        (false, None) => "follows",
        (false, Some(_)) => "gone",
    };
    let behind = match engine.behind {
        0 => "-".to_owned(),
        1 => "1 record".to_owned(),
        count => format!("{count} records"),
    };
    let heard = engine.silent.map_or_else(|| "now".to_owned(), |seconds| format!("{} ago", length(seconds as f64)));
    vec![engine.name.clone(), part.into(), behind, engine.version.clone(), heard]
}

/// Whether fewer are there than are meant to be, nobody leads, or that is not known.
pub fn fails(view: &Snapshot) -> bool {
    view.live.engines.as_deref().is_some_and(|engines| engines.trouble().is_some())
}
