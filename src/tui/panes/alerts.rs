//! What other monitoring says, below the services: an alert is no probe of Mayday's, and counts for nothing unless the config says so.

use ratatui::text::Line;

use crate::domain::alert::{Heard, Ringing};

use super::super::format::rough_age;
use super::super::look::Look;
use super::super::theme::Role;
use super::super::widgets::row::{Piece, Row};

/// A line for each: what counts for a trigger first, and what was not repeated last; none without any.
pub fn lines(look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let known = &look.snap.state.alerts;
    let serving = look.snap.state.serving(&look.snap.estate);
    let counted = known.counted(&look.snap.estate, &serving, look.now).map(|(heard, _)| heard.alert.id.as_str());
    let how = |heard: &Heard| match heard.alert.is {
        // Silence is no good news, and no news either.
        _ if is_old(look, heard) => (3, "?", Role::Unknown, "not repeated for "),
        _ if counted == Some(heard.alert.id.as_str()) => (0, "✗", Role::Bad, "counts, for "),
        Ringing::Firing => (1, "!", Role::Warn, "for "),
        Ringing::Unknown | Ringing::Resolved => (2, "?", Role::Unknown, "unknown for "),
    };
    let mut all: Vec<(&Heard, _)> = known.0.values().map(|heard| (heard, how(heard))).collect();
    all.sort_by_key(|(_, (order, ..))| *order);
    let head = (!all.is_empty()).then(|| Line::from(look.span("alerts of other monitoring", Role::Faint)));
    let rows = all.into_iter().map(|(heard, (order, glyph, role, words))| {
        let since = if order == 3 { heard.last } else { heard.began() };
        let mut row = Row::new(columns);
        row.left(Piece::from(look.span(format!(" {glyph} "), role)).rank(0).stays());
        row.left(Piece::from(look.span(heard.alert.words(), Role::Text)).rank(1).cut_to(12));
        let long = look.span(format!("{words}{}", rough_age(look.since(since))), role);
        row.right(Piece::from(long).or(look.span(rough_age(look.since(since)), role)).rank(0));
        row.into_line()
    });
    head.into_iter().chain(rows).collect()
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
