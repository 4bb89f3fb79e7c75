//! What other monitoring says, below the services: an alert is no probe of Mayday's, and counts for nothing unless the config says so.

use ratatui::text::Line;

use crate::domain::alert::{Heard, Ringing};
use crate::domain::time::seconds_between;

use super::super::format::{fit, rough_age};
use super::super::look::Look;
use super::super::theme::Role;

/// A line for each, those that fire first; none without any.
pub fn lines(look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let mut heard: Vec<&Heard> = look.snap.state.alerts.0.values().collect();
    heard.sort_by_key(|it| (is_old(look, it), it.alert.is, it.since));
    let head = (!heard.is_empty()).then(|| Line::from(look.span("alerts of other monitoring", Role::Faint)));
    head.into_iter().chain(heard.into_iter().map(|it| line(look, it, columns))).collect()
}

/// `2 alerts fire`; nothing when none does.
pub fn firing(look: &Look<'_>) -> Option<String> {
    let fires = |it: &&Heard| it.alert.is == Ringing::Firing && !is_old(look, it);
    match look.snap.state.alerts.0.values().filter(fires).count() {
        0 => None,
        1 => Some("1 alert fires".into()),
        all => Some(format!("{all} alerts fire")),
    }
}

fn is_old(look: &Look<'_>, heard: &Heard) -> bool {
    heard.is_old(&look.snap.estate.alerts, look.now)
}

fn line(look: &Look<'_>, heard: &Heard, columns: usize) -> Line<'static> {
    let serving = look.snap.state.serving(&look.snap.estate);
    let counted = look.snap.state.alerts.counted(&look.snap.estate, &serving, look.now);
    let counts = counted.is_some_and(|(it, _)| it.alert.id == heard.alert.id);
    let (glyph, role) = match (heard.alert.is, is_old(look, heard)) {
        // Silence is no good news, and no news either.
        (_, true) | (Ringing::Unknown, _) => ("?", Role::Unknown),
        (Ringing::Firing, _) if counts => ("✗", Role::Bad),
        (Ringing::Firing, _) => ("!", Role::Warn),
        (Ringing::Resolved, _) => ("✓", Role::Good),
    };
    let since = match is_old(look, heard) {
        true => format!("not repeated for {}", rough_age(seconds_between(heard.last, look.now))),
        false => format!("{} for {}", heard.alert.is, rough_age(seconds_between(heard.since, look.now))),
    };
    let counts = if counts { ", counts for a trigger" } else { "" };
    let words = format!("{} {since}{counts}: {}", heard.alert.source, heard.alert.words());
    let room = columns.saturating_sub(3);
    Line::from(vec![
        look.span(format!(" {glyph} "), role),
        look.span(fit(&words, room).into_owned(), if role == Role::Bad { Role::Strong } else { Role::Text }),
    ])
}
