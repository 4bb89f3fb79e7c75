//! The timeline: the latest of the journal, in local time.

use std::sync::Arc;

use ratatui::text::Line;

use crate::domain::actor::Actor;
use crate::domain::describe::describe;
use crate::domain::event::{Event, Record};

use super::super::format::{column, fit, wrap};
use super::super::look::Look;
use super::super::mark;
use super::super::theme::Role;
use super::{Body, Pane, Room};

/// So many lines of the journal are worth more than what there is to know besides.
const LEAST: usize = 4;
/// From so many lines on, each may take more than one.
const TALL: usize = 16;
/// From so many columns on, whoever did it has some of them.
const NAMED: usize = 56;

pub fn body(look: &Look<'_>, Room { columns, height }: Room) -> Body {
    // Where there is little room, only people are named: most is done by the engine itself.
    let who = match columns {
        90.. => 12,
        NAMED.. => 8,
        _ => 0,
    };
    // Nothing of a line is cut where there is room for two of each, or somebody wants to read.
    let whole = height >= TALL || look.app.zoomed && look.app.focus == Pane::Timeline;
    let gap = usize::from(who > 0);
    let room = columns.saturating_sub(8 + 1 + who + gap + 2);
    let engine = Actor::engine();
    let lines: Vec<Line<'static>> = look
        .app
        .records
        .iter()
        .enumerate()
        .filter(|(at, record)| !keeps_armed(record, at.checked_sub(1).and_then(|at| look.app.records.get(at))))
        .flat_map(|(_, record)| {
            let (tone, mut text) = describe(record);
            if who == 0 && record.actor != engine {
                text = format!("{}: {text}", record.actor.name);
            }
            let role = mark::tone(tone);
            let (glyph, words) = glyph(role);
            let mut parts = if whole { wrap(&text, room) } else { vec![fit(&text, room).into_owned()] }.into_iter();
            let first = Line::from(vec![
                look.span(format!("{} ", look.time_of_day(record.at)), Role::Faint),
                look.span(format!("{}{:gap$}", column(&record.actor.name, who), ""), Role::Dim),
                look.span(format!("{glyph} "), role),
                look.span(parts.next().unwrap_or_default(), words),
            ]);
            let indent = columns.saturating_sub(room);
            let rest = parts.map(|part| Line::from(look.span(format!("{:indent$}{part}", ""), words)));
            std::iter::once(first).chain(rest).collect::<Vec<_>>()
        })
        .collect();
    let aside = format!("#{}", look.snap.state.seq);
    let told = look.app.options.told.iter().filter(|_| height > LEAST + look.app.options.told.len());
    let head = told.map(|line| Line::from(look.span(fit(line, columns).into_owned(), Role::Dim))).collect();
    Body { head, lines, aside, ends_matter: true, ..Body::default() }
}

/// An answer keeps a cockpit armed, and the journal says so each time; the timeline need not.
fn keeps_armed(record: &Record, before: Option<&Arc<Record>>) -> bool {
    let answers = |before: &Event| matches!(before, Event::GateConfirmed { .. } | Event::GuardsOverridden { .. });
    matches!(record.event, Event::CockpitArmed { .. }) && before.is_some_and(|before| answers(&before.event))
}

/// What stands before a line, and how its words are drawn: the glyph has the colour, so that a page of trouble can still be read.
fn glyph(role: Role) -> (&'static str, Role) {
    match role {
        Role::Good => ("✓", Role::Text),
        Role::Warn => ("!", Role::Strong),
        Role::Bad => ("✗", Role::Strong),
        Role::Unknown => ("?", Role::Text),
        Role::Busy => ("▸", Role::Text),
        Role::Accent => ("◆", Role::Accent),
        Role::Strong => ("›", Role::Strong),
        role => (" ", role),
    }
}
