//! The plan: its steps in stages, those of one stage side by side in the graph. While nothing runs: the plans there are.

use ratatui::text::{Line, Span};

use crate::domain::ids::StepId;
use crate::domain::kinds::Undo;
use crate::domain::plan::{Gate, Plan, StepSpec};
use crate::domain::run::{Run, StepPhase, StepRun};
use crate::domain::time::seconds_between;

use super::super::format::{clock, column, fit, right, width};
use super::super::look::Look;
use super::super::mark;
use super::super::theme::Role;
use super::{Body, Pane, Room};

/// Steps by stage: a step stands one stage after the last of those it needs.
fn stages(plan: &Plan) -> Vec<(usize, &StepSpec)> {
    let finish = plan.longest_chain(|_| 1.0);
    let stage = |spec: &StepSpec| finish.iter().find(|(id, _)| *id == spec.id).map_or(0, |(_, at)| *at as usize);
    let mut staged: Vec<(usize, &StepSpec)> = plan.steps.iter().map(|spec| (stage(spec), spec)).collect();
    staged.sort_by_key(|(stage, _)| *stage);
    staged
}

/// The steps in the order in which they are shown.
pub fn order(run: &Run) -> Vec<StepId> {
    stages(&run.plan).into_iter().map(|(_, spec)| spec.id.clone()).collect()
}

pub fn body(look: &Look<'_>, Room { columns, .. }: Room) -> Body {
    match look.app.shown_run() {
        Some(run) => of_run(look, run, columns),
        None => of_peace(look, columns),
    }
}

fn of_run(look: &Look<'_>, run: &Run, columns: usize) -> Body {
    let staged = stages(&run.plan);
    let chosen = look.app.step();
    let mut lines = Vec::new();
    let mut reveal = None;
    for (index, (stage, spec)) in staged.iter().enumerate() {
        let Some(step) = run.step(&spec.id) else { continue };
        let same = |at: Option<usize>| at.and_then(|at| staged.get(at)).is_some_and(|(other, _)| other == stage);
        let gutter = match (same(index.checked_sub(1)), same(Some(index + 1))) {
            (false, false) => "─",
            (false, true) => "┬",
            (true, true) => "├",
            (true, false) => "└",
        };
        let is_chosen = chosen.as_ref() == Some(&spec.id);
        if is_chosen {
            reveal = Some(lines.len());
        }
        lines.push(line(look, gutter, spec, step, is_chosen, columns));
    }
    let over = run.steps.values().filter(|step| step.phase.is_over()).count();
    let state = match run.outcome {
        Some(outcome) => outcome.word().to_owned(),
        None => format!("{over}/{} {}", run.steps.len(), clock(look.since(run.started_at))),
    };
    let aside = format!("{} {state}", run.mode);
    Body { title: Some(run.plan.id.to_string()), aside, lines, reveal, ..Body::default() }
}

fn line(look: &Look<'_>, gutter: &str, spec: &StepSpec, step: &StepRun, chosen: bool, columns: usize) -> Line<'static> {
    let mark = mark::phase(step.phase);
    let phase = column(mark.word, 10);
    let time = right(&elapsed(look, step), 5);
    let gate = if columns >= 52 { column(gate_word(spec, step), 9) } else { String::new() };
    let no_return = spec.undo == Undo::PointOfNoReturn;
    let name = columns.saturating_sub(5 + 3 + width(&phase) + width(&gate) + width(&time));
    let id = column(spec.id.as_str(), name);
    let cursor = if chosen { "▸" } else { " " };
    let body = if chosen && look.app.focus == Pane::Plan { Role::Selected } else { text_role(step.phase) };
    Line::from(vec![
        look.span(format!("{cursor}{gutter}"), if chosen { Role::Accent } else { Role::Rule }),
        look.span(format!(" {} ", mark.glyph), mark.role),
        look.span(id, body),
        look.span(if no_return { " !" } else { "  " }, Role::Warn),
        look.span(format!(" {phase}"), mark.role),
        look.span(gate, Role::Faint),
        look.span(time, Role::Dim),
    ])
}

fn text_role(phase: StepPhase) -> Role {
    match phase {
        StepPhase::Waiting => Role::Dim,
        phase if phase.waits_for_human() => Role::Strong,
        _ => Role::Text,
    }
}

fn gate_word(spec: &StepSpec, step: &StepRun) -> &'static str {
    if step.phase.is_over() || spec.gate == Gate::Auto { "" } else { mark::gate(spec.gate) }
}

/// How long it took, or has been going on.
fn elapsed(look: &Look<'_>, step: &StepRun) -> String {
    let from = step.begun.as_ref().map(|begun| begun.at).or(step.ready_at.filter(|_| !step.phase.is_over()));
    let until = step.ended_at.unwrap_or(look.now);
    from.map_or(String::new(), |from| clock(seconds_between(from, until)))
}

fn of_peace(look: &Look<'_>, columns: usize) -> Body {
    let plans = &look.snap.plans;
    let lines = plans.iter().enumerate().map(|(at, plan)| {
        let chosen = at == look.app.plan_at;
        let mark = if chosen { "▸ " } else { "  " };
        let role = if chosen && look.app.focus == Pane::Plan { Role::Selected } else { Role::Text };
        let name = 24.min(columns / 2);
        Line::from(vec![
            look.span(mark, Role::Accent),
            look.span(column(plan.id.as_str(), name), role),
            Span::raw(" "),
            look.span(fit(&plan.title, columns.saturating_sub(name + 3)).into_owned(), Role::Dim),
        ])
    });
    let lines = lines.collect();
    Body {
        title: Some("plans".into()),
        aside: format!("{} known", plans.len()),
        lines,
        reveal: Some(look.app.plan_at),
        ..Body::default()
    }
}
