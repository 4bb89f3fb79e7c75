//! The chosen step: what its gate would show, and what it says while it works. While nothing runs: the chosen plan.

use ratatui::text::{Line, Span};

use crate::domain::plan::Plan;
use crate::domain::run::Run;

use super::super::format::{self, column, fit, length, wrap};
use super::super::layers::card;
use super::super::look::Look;
use super::super::mark;
use super::super::theme::Role;
use super::graph::{self, Drawing};
use super::{Body, Room};

pub fn body(look: &Look<'_>, Room { columns, height }: Room) -> Body {
    match look.app.shown_run() {
        Some(run) => of_run(look, run, columns, height),
        None => of_peace(look, columns, height),
    }
}

fn of_run(look: &Look<'_>, run: &Run, columns: usize, height: usize) -> Body {
    let found = look.app.step().and_then(|id| Some((run.plan.step(&id)?, run.step(&id)?)));
    let Some((spec, step)) = found else { return Body::default() };
    let mut lines = card::lines(look, run, spec, step, columns, height);
    let mut log = log(look, spec.id.as_str(), columns);
    if let Some(printed) = step.printed.as_ref().filter(|_| log.is_empty()) {
        // The engine that heard it is gone; this is what the journal kept.
        let faint = |line: &String| Line::from(look.span(fit(line, columns).into_owned(), Role::Dim));
        log = printed.lines.iter().map(faint).collect();
    }
    // The newest of the log is worth more than the end of the card.
    let ends_matter = !log.is_empty() && step.phase.is_in_flight();
    if !log.is_empty() {
        if lines.len() + log.len() + 1 < height || !ends_matter {
            lines.push(Line::default());
        }
        lines.extend(log);
    }
    let aside = format!("{} {}", mark::phase(step.phase).glyph, mark::phase(step.phase).word);
    Body { title: Some(spec.id.to_string()), aside, lines, ends_matter, ..Body::default() }
}

fn log(look: &Look<'_>, step: &str, columns: usize) -> Vec<Line<'static>> {
    let lines = look.snap.live.logs.get(step).into_iter().flatten();
    lines
        .map(|line| {
            Line::from(vec![
                look.span(format!("{} ", look.time_of_day(line.at)), Role::Faint),
                look.span(fit(&line.text, columns.saturating_sub(9)).into_owned(), Role::Dim),
            ])
        })
        .collect()
}

fn of_peace(look: &Look<'_>, columns: usize, height: usize) -> Body {
    let Some(plan) = look.snap.plans.get(look.app.plan_at) else { return Body::default() };
    let title = wrap(&plan.title, columns).into_iter();
    let mut lines: Vec<Line<'static>> = title.map(|text| Line::from(look.span(text, Role::Strong))).collect();
    lines.extend(wrap(&plan.about, columns).into_iter().map(|text| Line::from(look.span(text, Role::Text))));
    lines.push(Line::default());
    lines.extend(match Drawing::of(plan, columns, height.saturating_sub(lines.len())) {
        Some(drawing) => graph::of_plan(look, plan, &drawing),
        None => steps(look, plan, columns),
    });
    Body { title: Some(plan.id.to_string()), aside: format!("{} steps", plan.steps.len()), lines, ..Body::default() }
}

/// How many lines the chosen plan takes while nothing runs.
pub fn height(look: &Look<'_>, columns: usize) -> u16 {
    u16::try_from(of_peace(look, columns, usize::from(u16::MAX)).lines.len()).unwrap_or(u16::MAX)
}

fn steps(look: &Look<'_>, plan: &Plan, columns: usize) -> Vec<Line<'static>> {
    let history = look.snap.state.history.get(&plan.id);
    let name = 26.min(columns / 2);
    plan.steps
        .iter()
        .map(|spec| {
            let undo = mark::undo(spec.undo);
            let last = history.and_then(|steps| steps.get(&spec.id));
            let last = last.map_or(String::new(), |last| format!("  took {}", length(last.seconds)));
            let what = format!("{}{last}", mark::gate(spec.gate));
            Line::from(vec![
                look.span(format!("{} ", undo.glyph), undo.role),
                look.span(format::name(spec.id.as_str(), name), Role::Text),
                Span::raw(" "),
                look.span(column(spec.role.word(), 10), Role::Dim),
                look.span(fit(&what, columns.saturating_sub(name + 13)).into_owned(), Role::Faint),
            ])
        })
        .collect()
}
