//! `mayday backups`: every copy that matters, how old it is, and what is wrong with it.

use serde_json::{Value, json};

use super::text::{length, length_or_unknown, table};
use crate::domain::backup::Worth;
use crate::domain::estate::DataClass;
use crate::domain::time::seconds_between;
use crate::domain::view::Snapshot;

/// For programs.
pub fn json(view: &Snapshot) -> Value {
    let rows = view.backups(view.now).into_iter().map(|(spec, judged)| {
        let live = view.live.backups.get(&spec.id);
        json!({
            "id": spec.id, "title": spec.title, "subject": spec.subject, "class": spec.class, "worth": judged.worth,
            "reasons": judged.reasons, "point": judged.point, "age_seconds": judged.age, "allowed": spec.max_age,
            "retention": spec.retention, "regions": live.map(|live| live.look.places(spec)),
            "seen": live.and_then(|live| live.at), "fault": live.and_then(|live| live.fault.as_ref()),
            "copies": live.map(|live| &live.look.copies),
        })
    });
    json!({ "now": view.now, "backups": rows.collect::<Vec<_>>(), "exposure": exposure(view) })
}

/// By class: what would be lost if the serving region vanished, and if the data had to be restored.
pub fn exposure(view: &Snapshot) -> Value {
    let of = |class: &DataClass| {
        let told = json!({
            "region_lost_seconds": view.exposure(*class, view.now),
            "restored_seconds": view.restore_exposure(*class, view.now),
            "rpo": view.estate.rpo(*class),
        });
        (class.to_string(), told)
    };
    DataClass::ALL
        .iter()
        .filter(|class| view.estate.rpo(**class).is_some())
        .map(of)
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// For people.
pub fn text(view: &Snapshot) -> String {
    let judged = view.backups(view.now);
    if judged.is_empty() {
        return "No backup is watched → add a [[system.backup]] to the config.\n".into();
    }
    let rows: Vec<Vec<String>> = judged
        .iter()
        .map(|(spec, judged)| {
            let live = view.live.backups.get(&spec.id);
            let regions =
                live.map(|live| live.look.places(spec).into_iter().map(ToString::to_string).collect::<Vec<_>>());
            let seen = live.and_then(|live| live.at).map(|at| length(seconds_between(at, view.now)) + " ago");
            vec![
                spec.title.clone(),
                judged.worth.to_string(),
                length_or_unknown(judged.age),
                spec.max_age.map_or_else(String::new, |span| span.to_string()),
                regions.filter(|it| !it.is_empty()).map_or_else(|| "?".into(), |it| it.join(" ")),
                seen.unwrap_or_else(|| "not yet".into()),
                judged.words(),
            ]
        })
        .collect();
    let mut out = table(&["backup", "", "newest", "allowed", "in", "seen", ""], &rows);
    out.push('\n');
    let classes = DataClass::ALL.iter().filter_map(|class| Some((*class, view.estate.rpo(*class)?)));
    let rows: Vec<Vec<String>> = classes
        .map(|(class, rpo)| {
            let lost = length_or_unknown(view.exposure(class, view.now));
            vec![class.to_string(), lost, length_or_unknown(view.restore_exposure(class, view.now)), rpo.to_string()]
        })
        .collect();
    out + &table(&["class", "lost with the region", "lost by a restore", "RPO"], &rows)
}

/// Whether any backup would not do in earnest.
pub fn fails(view: &Snapshot) -> bool {
    view.backups(view.now).iter().any(|(_, judged)| judged.worth > Worth::Weak)
}
