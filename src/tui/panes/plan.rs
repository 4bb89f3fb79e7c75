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

use super::super::format::{self, clock, column, fit, right, width};
use super::super::look::Look;
use super::super::mark;
use super::super::theme::Role;
use super::super::widgets::gauge::Gauge;
use super::super::widgets::row::{Piece, Row as Pieces};
use super::graph::{self, Drawing};
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

/// The step at a column and a line of the pane, counted from its first below the head.
pub fn step_at(run: &Run, Room { columns, height }: Room, line: usize, column: usize) -> Option<StepId> {
    let height = height.saturating_sub(usize::from(run.is_open()));
    if let Some(drawing) = Drawing::of(&run.plan, columns, height) {
        return graph::step_at(run, &drawing, line, column);
    }
    match rows(run, height).get(line)? {
        Row::NoReturn => None,
        Row::Step { spec, .. } => Some(spec.id.clone()),
    }
}

fn of_run(look: &Look<'_>, run: &Run, Room { columns, height }: Room) -> Body {
    let goal = goal(look, run);
    let left = outlook(run, look.snap.state.history.get(&run.plan.id), |spec| leads(spec, goal.as_ref()), look.now);
    let head = if run.is_open() { vec![budget(look, &left, goal.as_ref(), columns)] } else { Vec::new() };
    let room = height.saturating_sub(head.len());
    let (lines, reveal) = match Drawing::of(&run.plan, columns, room) {
        Some(drawing) => (graph::of_run(look, run, &left.path, &drawing), None),
        None => list(look, run, &left.path, Room { columns, height: room }),
    };
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
    let short = run.mode.to_string();
    Body { title: Some(title), aside, short, head, lines, reveal, ..Body::default() }
}

/// A line a step; and which of them has to be seen.
fn list(
    look: &Look<'_>,
    run: &Run,
    path: &[StepId],
    Room { columns, height }: Room,
) -> (Vec<Line<'static>>, Option<usize>) {
    let chosen = look.app.step();
    let mut lines = Vec::new();
    let mut reveal = None;
    for row in rows(run, height) {
        let Row::Step { gutter, spec, step } = row else {
            lines.push(no_return(look, run, columns));
            continue;
        };
        let is_chosen = chosen.as_ref() == Some(&spec.id);
        if is_chosen {
            reveal = Some(lines.len());
        }
        let critical = path.contains(&spec.id);
        let gutter = (GUTTERS[gutter][usize::from(critical)], critical);
        lines.push(line(look, run, gutter, spec, step, is_chosen, columns));
    }
    (lines, reveal)
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
    row.right(Piece::from(look.span("━ critical path", Role::Faint)).rank(9));
    let Some(projected) = left.projected() else {
        let (long, short) = (format!(" {name}: time left unknown "), format!(" {name} in ? "));
        row.left(Piece::from(look.span(long, Role::Unknown)).or(look.span(short, Role::Unknown)).rank(0));
        let words = format!("{} of {} steps left have no past timing", left.untimed, left.left);
        let short = look.span(format!("{} of {} have no past timing", left.untimed, left.left), Role::Dim);
        let least = look.span(format!("{} have no past timing", left.untimed), Role::Dim);
        row.left(Piece::from(look.span(words, Role::Dim)).or(short).or(least).rank(1));
        return row.into_line();
    };
    row.left(Piece::from(look.span(format!(" {name} in about {} ", clock(projected)), Role::Text)).rank(1));
    let spare = goal.and_then(|goal| Some(goal.target - goal.elapsed? - projected));
    if let Some(spare) = spare {
        let (words, role) = match spare {
            spare if spare >= 0.0 => (format!(" ✓ {} to spare", clock(spare)), Role::Good),
            spare => (format!(" ✗ {} too late", clock(-spare)), Role::Bad),
        };
        row.left(Piece::from(look.span(words, role)).rank(0).stays());
    }
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
    run: &Run,
    (gutter, critical): (&str, bool),
    spec: &StepSpec,
    step: &StepRun,
    chosen: bool,
    columns: usize,
) -> Line<'static> {
    let mark = mark::phase(step.phase);
    let phase = column(mark.word, 10);
    let time = elapsed(look, step);
    let time = right(&time, width(&time).max(5));
    let gate = if columns >= 52 { column(gate_word(spec, step), 9) } else { String::new() };
    let work = work(look, run, &spec.id, step, width(&gate));
    let no_return = spec.undo == Undo::PointOfNoReturn;
    let name = columns.saturating_sub(5 + 3 + width(&phase) + width(&gate) + width(&time));
    let id = format::name(spec.id.as_str(), name);
    let cursor = if chosen { "▸" } else { " " };
    let body = if chosen && look.app.focus == Pane::Plan { Role::Selected } else { text_role(step.phase) };
    Line::from(vec![
        look.span(cursor, Role::Accent),
        look.span(gutter.to_owned(), if critical { Role::Accent } else { Role::Rule }),
        look.span(format!(" {} ", mark.glyph), mark.role),
        look.span(id, body),
        look.span(if no_return { " !" } else { "  " }, Role::Warn),
        look.span(format!(" {phase}"), mark.role),
        work.map_or_else(|| look.span(gate, Role::Faint), |(text, role)| look.span(text, role)),
        look.span(time, Role::Dim),
    ])
}

/// How far a step under way has come, if it takes as long as the last time: `▰▰▰▱▱▱▱▱`. Full is late.
pub fn work(look: &Look<'_>, run: &Run, id: &StepId, step: &StepRun, columns: usize) -> Option<(String, Role)> {
    let (taken, last) = forecast(look, run, id, step)?;
    let gauge = Gauge::of(taken / last, None, columns.checked_sub(1)?);
    Some((format!("{}{} ", gauge.full, gauge.empty), if taken > last { Role::Warn } else { Role::Busy }))
}

/// For how long a step has been under way, and how long it took the last time.
pub fn forecast(look: &Look<'_>, run: &Run, id: &StepId, step: &StepRun) -> Option<(f64, f64)> {
    let begun = step.begun.as_ref().filter(|_| step.phase.is_in_flight())?;
    let last = look.snap.state.history.get(&run.plan.id)?.get(id)?;
    (last.seconds > 0.0).then(|| (look.since(begun.at).max(0.0), last.seconds))
}

pub fn text_role(phase: StepPhase) -> Role {
    match phase {
        StepPhase::Waiting => Role::Dim,
        phase if phase.waits_for_human() => Role::Strong,
        _ => Role::Text,
    }
}

pub fn gate_word(spec: &StepSpec, step: &StepRun) -> &'static str {
    if step.phase.is_over() || spec.gate == Gate::Auto { "" } else { mark::gate(spec.gate) }
}

/// How long it took, or has been going on.
pub fn elapsed(look: &Look<'_>, step: &StepRun) -> String {
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
            look.span(format::name(plan.id.as_str(), name), role),
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
