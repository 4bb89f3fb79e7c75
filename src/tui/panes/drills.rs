//! Drills: when each is due, what came of the last one, how the time of each step has gone; and the incidents that were.

use std::collections::VecDeque;

use ratatui::text::Line;

use crate::domain::drill::DrillResult;
use crate::domain::estate::Tier;
use crate::domain::schedule::{Drill, Due, Standing, schedule, trend};

use super::super::format::{clock, column, fit, length, moment, name, right, rough_age, wrap};
use super::super::look::Look;
use super::super::mark;
use super::super::theme::Role;
use super::super::widgets::row::Row;
use super::super::widgets::sparkline::sparkline;
use super::{Body, Room};

const INDENT: usize = 3;
/// So many drills are in a trend.
const SHOWN: usize = 12;

pub fn body(look: &Look<'_>, room: Room) -> Body {
    let columns = room.columns;
    let all = schedule(&look.snap.estate, &look.snap.state, look.now);
    let mut lines = Vec::new();
    for due in &all {
        lines.push(stands(look, due, columns));
        if let Some(drill) = &due.last {
            lines.extend(outcome(look, drill, columns));
            lines.extend(steps(look, &due.spec.name, columns));
        }
    }
    if all.is_empty() {
        lines.push(Line::from(look.span("No drill is planned: the config has no [[drill]].", Role::Dim)));
    }
    lines.extend(past(look, columns));
    let under_way = look.snap.state.drill_under_way(look.now);
    let aside = under_way.map_or_else(|| urgent(&all), |name| format!("the engine plays {name}"));
    Body { lines, aside, ..Body::default() }
}

/// The worst standing in a few words.
fn urgent(all: &[Due]) -> String {
    let count = |standing| all.iter().filter(|it| it.standing == standing).count();
    match (count(Standing::Overdue), count(Standing::Due)) {
        (0, 0) => "nothing is due".into(),
        (0, due) => format!("{due} due"),
        (overdue, _) => format!("{overdue} OVERDUE"),
    }
}

/// What the header says of drills: which one is played now, on a lab of its own; or the worst of those that are due.
pub fn notice(look: &Look<'_>) -> Option<(String, Role)> {
    if let Some(name) = look.snap.state.drill_under_way(look.now) {
        return Some((format!("DRILL {name} is played "), Role::BadgeCalm));
    }
    let all = schedule(&look.snap.estate, &look.snap.state, look.now);
    let of = |standing| all.iter().find(|it| it.standing == standing);
    let due = of(Standing::Overdue).or_else(|| of(Standing::Due))?;
    let mark = mark::due(due.standing);
    Some((format!("{} {} drill {}", mark.glyph, due.spec.name, mark.word), mark.role))
}

/// `✓ monthly   fresh     due 2026-12-25  passed 3d ago`
fn stands(look: &Look<'_>, due: &Due, columns: usize) -> Line<'static> {
    let mark = mark::due(due.standing);
    let mut row = Row::new(columns);
    row.left(look.span(format!(" {} ", mark.glyph), mark.role));
    row.left(look.span(column(&due.spec.name, 12.min(columns / 4)), Role::Strong));
    row.left(look.span(format!(" {}", column(mark.word, 9)), mark.role));
    row.left(look.span(format!("due {}", due.due_at.strftime("%F")), Role::Text));
    let passed = due
        .passed_at
        .map_or_else(|| "  never passed".to_owned(), |at| format!("  passed {} ago", rough_age(look.since(at))));
    row.left(look.span(passed, Role::Dim));
    row.into_line()
}

fn outcome(look: &Look<'_>, drill: &Drill, columns: usize) -> Vec<Line<'static>> {
    let result = &drill.result;
    let (glyph, word, role) = if result.passed { ("✓", "passed", Role::Good) } else { ("✗", "FAILED", Role::Bad) };
    let text = format!("{glyph} {} {word} on {}: {}", drill.id, result.estate, figures(look, result));
    let mut lines = indented(look, &text, role, columns);
    let failed = result.stages.iter().filter(|(_, passed, _)| !passed);
    for (stage, _, why) in failed {
        lines.extend(indented(look, &format!("✗ {stage}: {why}"), Role::Bad, columns));
    }
    for what in &result.left_behind {
        lines.extend(indented(look, &format!("! left behind: {what}"), Role::Warn, columns));
    }
    lines
}

/// `critical 1:12 of 5:00, lost 2 s at most`
fn figures(look: &Look<'_>, result: &DrillResult) -> String {
    let rto = |tier: &Tier| {
        let target =
            look.snap.estate.rto(*tier).map_or_else(String::new, |it| format!(" of {}", clock(it.as_secs_f64())));
        let seconds = result.rto.get(tier)?;
        Some(format!("{tier} {}{target}", clock(*seconds)))
    };
    let recovered: Vec<String> = Tier::ALL.iter().filter_map(rto).collect();
    let recovered = if recovered.is_empty() { "recovery not measured".into() } else { recovered.join(", ") };
    let lost = result.rpo.values().copied().reduce(f64::max);
    let lost = lost.map_or_else(|| "loss unknown".to_owned(), |seconds| format!("lost {} at most", length(seconds)));
    format!("{recovered}; {lost}")
}

fn indented(look: &Look<'_>, text: &str, role: Role, columns: usize) -> Vec<Line<'static>> {
    let wrapped = wrap(text, columns.saturating_sub(INDENT)).into_iter();
    wrapped.map(|text| Line::from(look.span(format!("{}{text}", " ".repeat(INDENT)), role))).collect()
}

/// How long each step of the latest drill took, and in those before it: `fence-primary   3.2 s  ▃▅▂`
fn steps(look: &Look<'_>, drill: &str, columns: usize) -> Vec<Line<'static>> {
    let trend = trend(&look.snap.state, drill);
    let width = columns.saturating_sub(INDENT + 9 + SHOWN + 2).min(24);
    let line = |(step, seconds): (&&crate::domain::ids::StepId, &Vec<Option<f64>>)| {
        let latest = seconds.last().copied().flatten();
        let latest = latest.map_or_else(|| "not timed".to_owned(), length);
        let millis: VecDeque<Option<u32>> =
            seconds.iter().map(|it| it.map(|seconds| (seconds * 1000.0) as u32)).collect();
        Line::from(vec![
            look.span(format!("{}{}", " ".repeat(INDENT), name(step.as_str(), width)), Role::Dim),
            look.span(right(&latest, 9), Role::Text),
            look.span(format!("  {}", sparkline(&millis, SHOWN).trim_start()), Role::Faint),
        ])
    };
    trend.iter().map(line).collect()
}

fn past(look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let mut lines = vec![Line::default(), Line::from(look.span("incidents so far", Role::Title))];
    let known = &look.snap.state.past;
    if known.is_empty() {
        lines.push(Line::from(look.span(" none was closed yet", Role::Dim)));
    }
    lines.extend(known.iter().map(|past| {
        let when = moment(past.closed_at, &look.app.options.zone);
        let text = format!(" {when}  {} {}  {}", past.id, past.severity, past.title);
        Line::from(look.span(fit(&text, columns).into_owned(), Role::Text))
    }));
    lines
}
