//! The checklist: what has to be true before the incident is over, what Mayday sees of each item, and what people said.

use ratatui::text::{Line, Span};

use crate::domain::checklist::{Answer, Item, ItemState, Sight};

use super::super::format::{column, fit, rough_age, wrap};
use super::super::keymap::{self, Action};
use super::super::look::Look;
use super::super::mark;
use super::super::theme::Role;
use super::super::widgets::row::Row;
use super::{Body, Room};

const INDENT: usize = 4;
const EVIDENCE: usize = 7;

pub fn body(look: &Look<'_>, room: Room) -> Body {
    let Some(incident) = &look.snap.state.incident else { return peace(look, room) };
    let items = &incident.checklist.items;
    let lines = items.iter().flat_map(|it| item(look, it, room.columns)).collect();
    let open = incident.checklist.open().count();
    let key = keymap::key(Action::Walk);
    let aside =
        if open == 0 { "nothing open".to_owned() } else { format!("{open} of {} open · {key} walks", items.len()) };
    Body { lines, aside, ..Body::default() }
}

/// What would be asked.
fn peace(look: &Look<'_>, room: Room) -> Body {
    let mut lines =
        vec![Line::from(look.span("Before an incident is closed, these are asked:", Role::Dim)), Line::default()];
    for spec in &look.snap.estate.checklist {
        lines.push(Line::from(
            look.span(format!(" ○ {}", fit(&spec.item.title, room.columns.saturating_sub(3))), Role::Text),
        ));
        lines.extend(sights(look, &spec.item, room.columns));
    }
    Body { lines, ..Body::default() }
}

fn sight(sight: Sight) -> &'static str {
    match sight {
        Sight::Services => "every service",
        Sight::RecoveryPoints => "recovery points",
        Sight::Tallies => "counts and checksums",
        Sight::Latency => "how fast services answer",
        Sight::ClientPath => "the clients' path",
        Sight::Pinned => "whether clients are pinned",
        Sight::Watching => "probes and whoever pages people",
    }
}

/// What Mayday looks at by itself.
fn sights(look: &Look<'_>, item: &Item, columns: usize) -> Vec<Line<'static>> {
    let words: Vec<&str> =
        item.sees.iter().map(|it| sight(*it)).chain(item.checks.iter().map(|it| it.as_str())).collect();
    let text = match words.is_empty() {
        true => "only a human can tell".to_owned(),
        false => format!("Mayday looks at {}", words.join(", ")),
    };
    indented(look, &text, Role::Faint, columns)
}

/// `✓ All services healthy                       ● pass     <1m`
fn item(look: &Look<'_>, it: &ItemState, columns: usize) -> Vec<Line<'static>> {
    let standing = mark::standing(it.standing());
    let live = look.snap.live.checklist.get(&it.item.id);
    let at = live.map(|known| known.at).or(it.seen.as_ref().map(|seen| seen.at));
    let age = at.map(|at| rough_age(look.since(at))).unwrap_or_default();
    let evidence = live.map(|known| known.evidence()).filter(|_| it.item.is_watched()).or_else(|| it.evidence());
    let mut row = Row::new(columns);
    row.left(look.span(format!(" {} ", standing.glyph), standing.role));
    row.right(look.span(format!(" {}", super::super::format::right(&age, 5)), Role::Faint));
    match evidence.map(mark::evidence) {
        Some(mark) => row.right(look.mark(mark, EVIDENCE)),
        None => row.right(look.span(column("· by eye", EVIDENCE + 2), Role::Dim)),
    };
    let left = columns.saturating_sub(3 + 6 + EVIDENCE + 2 + 1);
    row.left(
        look.span(
            fit(&it.item.title, left).into_owned(),
            if it.standing().is_open() { Role::Strong } else { Role::Text },
        ),
    );
    let mut lines = vec![row.into_line()];
    let detail = live.map(|known| known.detail()).or_else(|| it.seen.as_ref().map(|seen| seen.detail.clone()));
    if let Some(detail) = detail.filter(|_| it.item.is_watched()) {
        lines.extend(indented(look, &detail, Role::Dim, columns));
    }
    if let Some(again) = it.reopened.as_ref().filter(|_| it.standing().is_open()) {
        lines.extend(indented(look, &format!("! open again, by {}: {}", again.by, again.reason), Role::Warn, columns));
    }
    let said = match &it.answer {
        Some(Answer::Ticked { by, at, note, against }) => {
            let over = if against.is_some() { " against the evidence" } else { "" };
            Some(with(format!("{by} {}{over}", look.time_of_day(*at)), note))
        }
        Some(Answer::Skipped { by, at, reason }) => {
            Some(with(format!("{by} {} left it out", look.time_of_day(*at)), reason))
        }
        None => None,
    };
    lines.extend(said.into_iter().flat_map(|said| indented(look, &said, standing.role, columns)));
    lines
}

fn with(what: String, note: &str) -> String {
    if note.is_empty() { what } else { format!("{what}: {note}") }
}

fn indented(look: &Look<'_>, text: &str, role: Role, columns: usize) -> Vec<Line<'static>> {
    let lines = wrap(text, columns.saturating_sub(INDENT));
    lines.into_iter().map(|text| Line::from(vec![Span::raw(" ".repeat(INDENT)), look.span(text, role)])).collect()
}
