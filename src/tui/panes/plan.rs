//! The plan: its steps in stages, those of one stage side by side in the graph. While nothing runs: the plans there are.

use ratatui::text::{Line, Span};

use crate::domain::ids::StepId;
use crate::domain::kinds::Undo;
use crate::domain::outlook::{Outlook, outlook};
use crate::domain::plan::{Gate, Plan, StepSpec};
use crate::domain::run::{Mode, Run, StepPhase, StepRun};
use crate::domain::time::seconds_between;
use crate::domain::verdict::{self, RtoVerdict};
use crate::domain::wayback::crossed;

use super::super::format::{clock, column, fit, right, width};
use super::super::look::Look;
use super::super::mark;
use super::super::theme::Role;
use super::super::widgets::row::Row as Pieces;
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

pub fn body(look: &Look<'_>, room: Room) -> Body {
    match look.app.shown_run() {
        Some(run) => of_run(look, run, room),
        None => of_peace(look, room.columns),
    }
}

/// A line of a run's graph.
enum Row<'a> {
    /// From the steps below on, something cannot be taken back.
    NoReturn,
    Step {
        gutter: usize,
        spec: &'a StepSpec,
        step: &'a StepRun,
    },
}

/// Where a step stands among those of its stage: alone, first, in the middle, last. The second column is for the critical path.
const GUTTERS: [[&str; 2]; 4] = [["─", "━"], ["┬", "┳"], ["├", "┣"], ["└", "┗"]];

/// The lines of a run in `height`: the line of no return is left out where there is no room for it.
fn rows(run: &Run, height: usize) -> Vec<Row<'_>> {
    let staged = stages(&run.plan);
    let is_final = |(_, spec): &&(usize, &StepSpec)| spec.undo == Undo::PointOfNoReturn;
    let border = staged.iter().find(is_final).map(|(stage, _)| *stage).filter(|_| staged.len() < height);
    let mut rows = Vec::new();
    for (index, &(stage, spec)) in staged.iter().enumerate() {
        let Some(step) = run.step(&spec.id) else { continue };
        let same = |at: Option<usize>| at.and_then(|at| staged.get(at)).is_some_and(|(other, _)| *other == stage);
        let (before, after) = (same(index.checked_sub(1)), same(Some(index + 1)));
        if !before && border == Some(stage) {
            rows.push(Row::NoReturn);
        }
        let gutter = match (before, after) {
            (false, false) => 0,
            (false, true) => 1,
            (true, true) => 2,
            (true, false) => 3,
        };
        rows.push(Row::Step { gutter, spec, step });
    }
    rows
}

/// The step on a line of the pane, counted from its first below the head.
pub fn step_at(run: &Run, height: usize, line: usize) -> Option<StepId> {
    match rows(run, height.saturating_sub(usize::from(run.is_open()))).get(line)? {
        Row::NoReturn => None,
        Row::Step { spec, .. } => Some(spec.id.clone()),
    }
}

fn of_run(look: &Look<'_>, run: &Run, Room { columns, height }: Room) -> Body {
    let chosen = look.app.step();
    let goal = goal(look, run);
    let left = outlook(run, look.snap.state.history.get(&run.plan.id), |spec| leads(spec, goal.as_ref()), look.now);
    let head = if run.is_open() { vec![budget(look, &left, goal.as_ref(), columns)] } else { Vec::new() };
    let mut lines = Vec::new();
    let mut reveal = None;
    for row in rows(run, height.saturating_sub(head.len())) {
        let Row::Step { gutter, spec, step } = row else {
            lines.push(no_return(look, run, columns));
            continue;
        };
        let is_chosen = chosen.as_ref() == Some(&spec.id);
        if is_chosen {
            reveal = Some(lines.len());
        }
        let critical = left.path.contains(&spec.id);
        let gutter = (GUTTERS[gutter][usize::from(critical)], critical);
        lines.push(line(look, gutter, spec, step, is_chosen, columns));
    }
    let over = run.steps.values().filter(|step| step.phase.is_over()).count();
    let state = match run.outcome {
        Some(outcome) => outcome.word().to_owned(),
        None => format!("{over}/{} {}", run.steps.len(), clock(look.since(run.started_at))),
    };
    let aside = format!("{} {state}", run.mode);
    let title = match run.mode {
        Mode::Live => run.plan.id.to_string(),
        mode => format!("{} · {}", mode.word().to_uppercase(), run.plan.id),
    };
    Body { title: Some(title), aside, head, lines, reveal, ..Body::default() }
}

/// The RTO that a run works against: of the most urgent tier that it recovers and that is not recovered yet.
fn goal(look: &Look<'_>, run: &Run) -> Option<RtoVerdict> {
    let incident = look.snap.state.incident.as_ref().filter(|incident| run.incident.as_ref() == Some(&incident.id))?;
    let recovers = |tier| run.plan.steps.iter().any(|spec| spec.recovers.contains(&tier));
    let verdicts = verdict::rto(&look.snap.estate, incident, look.now).into_iter();
    verdicts.filter(|verdict| !verdict.recovered && recovers(verdict.tier)).min_by_key(|verdict| verdict.tier)
}

/// Whether the end of a step is what the run works towards: the end of the plan, where no RTO says more.
fn leads(spec: &StepSpec, goal: Option<&RtoVerdict>) -> bool {
    goal.is_none_or(|goal| spec.recovers.contains(&goal.tier))
}

/// What is left to be done against what is left of the RTO: `critical in about 2:10  ✓ 2:03 to spare`.
fn budget(look: &Look<'_>, left: &Outlook, goal: Option<&RtoVerdict>, columns: usize) -> Line<'static> {
    let mut row = Pieces::new(columns);
    let name = goal.map_or("the end", |goal| goal.tier.word());
    let legend = look.span("━ critical path", Role::Faint);
    let Some(projected) = left.projected() else {
        row.left(look.span(format!(" {name} in ? "), Role::Unknown));
        let words = format!("{} of {} steps left have no past timing", left.untimed, left.left);
        row.left(look.span(words, Role::Dim));
        row.right(legend);
        return row.into_line();
    };
    row.left(look.span(format!(" {name} in about {} ", clock(projected)), Role::Text));
    let spare = goal.and_then(|goal| Some(goal.target - goal.elapsed? - projected));
    match spare {
        Some(spare) if spare >= 0.0 => row.left(look.span(format!(" ✓ {} to spare", clock(spare)), Role::Good)),
        Some(spare) => row.left(look.span(format!(" ✗ {} too late", clock(-spare)), Role::Bad)),
        None => false,
    };
    row.right(legend);
    row.into_line()
}

/// The line that separates what can be taken back from what cannot: `╌╌ no way back from here ╌╌`, or since when it is crossed.
fn no_return(look: &Look<'_>, run: &Run, columns: usize) -> Line<'static> {
    let crossed = crossed(run);
    let words = match crossed.first() {
        _ if !run.mode.acts() => "╌╌ no way back from here, in a live run ".to_owned(),
        Some((_, at)) => format!("╌╌ no way back since {} ", look.time_of_day(*at)),
        None => "╌╌ ! no way back from here ".to_owned(),
    };
    let rest = "╌".repeat(columns.saturating_sub(2 + width(&words)));
    let role = if !crossed.is_empty() || !run.mode.acts() { Role::Dim } else { Role::Warn };
    Line::from(vec![look.span(format!(" {words}"), role), look.span(rest, Role::Rule)])
}

fn line(
    look: &Look<'_>,
    (gutter, critical): (&str, bool),
    spec: &StepSpec,
    step: &StepRun,
    chosen: bool,
    columns: usize,
) -> Line<'static> {
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
        look.span(cursor, Role::Accent),
        look.span(gutter.to_owned(), if critical { Role::Accent } else { Role::Rule }),
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
