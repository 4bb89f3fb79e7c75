//! `mayday wayback`: what is unprotected since the failover, and how clients come back.

use std::fmt::Write;

use serde_json::{Value, json};

use super::text::{length, table};
use crate::domain::view::Snapshot;
use crate::domain::wayback::{FAILBACK, Moved, REPROTECT, Unprotected, Window, home_is_sound, unprotected};

fn gaps(view: &Snapshot) -> Vec<Unprotected> {
    unprotected(&view.estate, &view.state, &view.live.surveys, &view.live.probes, view.now)
}

fn window(view: &Snapshot, moved: &Moved) -> Window {
    Window::of(&view.estate, &view.state, moved, &view.live.probes, view.now)
}

/// Why clients cannot be brought back now; `None` when they can.
fn obstacle(view: &Snapshot, moved: &Moved) -> Option<String> {
    home_is_sound(&view.estate, &view.state, &view.live.surveys, &view.live.probes, &moved.from, view.now).err()
}

/// The failover that clients have not come back from.
fn away(view: &Snapshot) -> Option<&Moved> {
    view.state.moved.as_ref().filter(|moved| moved.to != view.estate.primary())
}

/// Whether anything is unprotected.
pub fn fails(view: &Snapshot) -> bool {
    !gaps(view).is_empty()
}

/// For programs.
pub fn json(view: &Snapshot) -> Value {
    let moved = view.state.moved.as_ref();
    json!({
        "serving": view.state.serving(&view.estate),
        "moved": moved.map(|moved| json!({
            "run": moved.run, "plan": moved.plan.id, "from": moved.from, "to": moved.to, "at": moved.at, "fenced": moved.fenced,
            "revert_until": moved.closes_at(&view.estate.policy),
            "revert_seconds_left": match window(view, moved) {
                Window::Open(left) | Window::Against(left, _) => Some(left),
                Window::Nothing | Window::Closed | Window::Built => None,
            },
            "revert_despite": match window(view, moved) {
                Window::Against(_, why) => why,
                _ => Vec::new(),
            },
        })),
        "unprotected": gaps(view),
        "failback": away(view).map(|moved| json!({ "to": moved.from, "refused_because": obstacle(view, moved) })),
    })
}

/// For people.
pub fn text(view: &Snapshot) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = compose(&mut out, view);
    out
}

fn compose(out: &mut String, view: &Snapshot) -> std::fmt::Result {
    writeln!(out, "{} serves", view.state.serving(&view.estate))?;
    if let Some(moved) = &view.state.moved {
        let at = moved.at.strftime("%F %T UTC");
        writeln!(out, "{} moved clients from {} at {at}", moved.run, moved.from)?;
        match window(view, moved) {
            Window::Open(left) => {
                writeln!(out, "it can be reverted for {}: mayday failover revert --reason …", length(left))?;
            }
            Window::Against(left, why) => {
                writeln!(out, "it should not be reverted ({} left): {}", length(left), why.join("; "))?;
                writeln!(
                    out,
                    "  if it has to be: mayday failover revert --phrase 'override revert {}' --reason …",
                    moved.plan.id
                )?;
            }
            Window::Nothing => writeln!(out, "nothing of it can be reverted: clients come back by a failback only")?,
            Window::Closed => writeln!(out, "its commit window has closed: clients come back by a failback only")?,
            Window::Built => writeln!(out, "a later run builds on it: clients come back by a failback only")?,
        }
    }
    let gaps = gaps(view);
    if gaps.is_empty() {
        writeln!(out, "\nnothing is unprotected")?;
    } else {
        let row = |it: &Unprotected| {
            vec![it.store.as_ref().map_or("region".into(), ToString::to_string), it.gap.to_string(), it.detail.clone()]
        };
        let rows: Vec<_> = gaps.iter().map(row).collect();
        write!(out, "\n{}", table(&["unprotected", "what", "detail"], &rows))?;
    }
    match away(view).map(|moved| (moved, obstacle(view, moved))) {
        None => Ok(()),
        Some((_, Some(why))) => {
            writeln!(out, "\nclients cannot be moved back yet: {why}\n→ mayday failover run {REPROTECT} --reason …")
        }
        Some((moved, None)) => {
            writeln!(
                out,
                "\nclients can be brought back to {}\n→ mayday failover run {FAILBACK} --reason …",
                moved.from
            )
        }
    }
}
