//! Backups: how old the newest good copy of everything is, against what is allowed, where it lies, and what is wrong with it.

use ratatui::text::{Line, Span};

use crate::domain::backup::{BackupSpec, Judged, Worth};
use crate::domain::estate::DataClass;

use super::super::format::{self, column, length, right, rough_age, wrap};
use super::super::look::Look;
use super::super::mark;
use super::super::theme::Role;
use super::super::widgets::row::{Piece, Row};
use super::{Body, Room};

/// Where a reason begins.
const INDENT: usize = 3;

pub fn body(look: &Look<'_>, Room { columns, .. }: Room) -> Body {
    let judged = look.snap.backups(look.now);
    if judged.is_empty() {
        let words = "No backup is watched: add a [[system.backup]] to the config.";
        return Body { lines: vec![Line::from(look.span(words, Role::Unknown))], ..Body::default() };
    }
    let mut lines = Vec::new();
    for (spec, judged) in &judged {
        lines.push(line(look, spec, judged, columns));
        let role = mark::worth(judged.worth).role;
        let words = wrap(&judged.words(), columns.saturating_sub(INDENT));
        lines.extend(
            words
                .into_iter()
                .filter(|text| !text.is_empty())
                .map(|text| Line::from(vec![Span::raw(" ".repeat(INDENT)), look.span(text, role)])),
        );
    }
    let wrong = judged.iter().filter(|(_, judged)| judged.worth != Worth::Fresh).count();
    let aside =
        if wrong == 0 { format!("{} fresh", judged.len()) } else { format!("{wrong} of {} not fresh", judged.len()) };
    Body { head: vec![restores(look, columns)], lines, aside, ..Body::default() }
}

/// `● RDS daily snapshots   fresh    9h00m/1d2h  us-east-1 us-west-2`
fn line(look: &Look<'_>, spec: &BackupSpec, judged: &Judged, columns: usize) -> Line<'static> {
    let mark = mark::worth(judged.worth);
    let live = look.snap.live.backups.get(&spec.id);
    // What is watched for more than its age may have none: then nothing of it is missing.
    let ageless = judged.age.is_none() && spec.max_age.is_none() && judged.worth == Worth::Fresh;
    let old = judged.age.map_or_else(|| if ageless { "no age" } else { "?" }.to_owned(), rough_age);
    let allowed = spec.max_age.map_or_else(String::new, |span| format!("/{}", length(span.as_secs_f64())));
    let regions: Vec<&str> =
        live.map(|live| live.look.places(spec).into_iter().map(|region| region.as_str()).collect()).unwrap_or_default();
    let role = if judged.age.is_none() && !ageless { Role::Unknown } else { mark.role };
    let mut row = Row::new(columns);
    let name = columns.saturating_sub(3 + 9 + 13).min(32);
    row.left(look.span(format!(" {} ", mark.glyph), mark.role));
    row.left(look.span(column(&spec.title, name), Role::Text));
    row.left(look.span(format!(" {} ", column(mark.word, 8)), mark.role));
    row.left(look.span(right(&format!("{old}{allowed}"), 11), if role == Role::Good { Role::Text } else { role }));
    let place = if regions.is_empty() { "where ?".to_owned() } else { regions.join(" ") };
    row.left(look.span(format!("  {place}"), if regions.is_empty() { Role::Unknown } else { Role::Faint }));
    row.into_line()
}

/// What a restore would lose, by class: a copy that follows its source follows it into corruption, too.
fn restores(look: &Look<'_>, columns: usize) -> Line<'static> {
    let mut row = Row::new(columns);
    row.left(Piece::from(look.span(" a restore loses ", Role::Dim)).or(look.span(" loses ", Role::Dim)).or("").rank(9));
    for (nth, class) in DataClass::ALL.iter().enumerate() {
        let Some(target) = look.snap.estate.rpo(*class) else { continue };
        let lost = look.snap.restore_exposure(*class, look.now);
        let (glyph, role) = match lost {
            None => ("?", Role::Unknown),
            Some(lost) if lost > target.as_secs_f64() => ("✗", Role::Bad),
            Some(_) => ("✓", Role::Good),
        };
        let words = format!("{} {glyph} {}  ", format::class(*class), lost.map_or_else(String::new, rough_age));
        row.left(Piece::from(look.span(words, role)).rank(nth));
    }
    row.into_line()
}
