//! The timeline: the latest of the journal, in local time.

use ratatui::text::Line;

use super::super::describe::describe;
use super::super::format::{column, fit};
use super::super::look::Look;
use super::super::theme::Role;
use super::Body;

pub fn body(look: &Look<'_>, columns: usize) -> Body {
    let who = if columns >= 90 { 12 } else { 8 };
    let lines: Vec<Line<'static>> = look
        .app
        .records
        .iter()
        .map(|record| {
            let (role, text) = describe(record);
            let room = columns.saturating_sub(8 + 1 + who + 1);
            Line::from(vec![
                look.span(format!("{} ", look.time_of_day(record.at)), Role::Faint),
                look.span(format!("{} ", column(&record.actor.name, who)), Role::Dim),
                look.span(fit(&text, room).into_owned(), role),
            ])
        })
        .collect();
    let aside = format!("#{}", look.snap.state.seq);
    let reveal = (look.app.focus != super::Pane::Timeline).then_some(lines.len().saturating_sub(1));
    Body { lines, aside, reveal, ends_matter: true, ..Body::default() }
}
