//! A plan as a graph, where there is room for it: stages from left to right, and the critical path in heavy lines.

use std::collections::BTreeMap;

use ratatui::text::{Line, Span};

use crate::domain::ids::StepId;
use crate::domain::kinds::Undo;
use crate::domain::plan::{Plan, StepSpec};
use crate::domain::run::{Run, StepRun};

use super::super::format::{column, fit, fit_name, length, width};
use super::super::look::Look;
use super::super::mark;
use super::super::theme::Role;
use super::super::widgets::graph::{Graph, Place, Stroke};
use super::plan;

/// A node says less in fewer columns than a line of a list.
const NODE: (usize, usize) = (18, 40);
/// Fewer stages are no graph.
const STAGES: usize = 3;

/// A graph with the sizes that it is drawn in.
pub struct Drawing {
    graph: Graph,
    /// Of each stage: what its longest name needs, where there is room for that.
    wide: Vec<usize>,
    high: usize,
}

impl Drawing {
    /// The graph of a plan in so much room; nothing where a list says more.
    pub fn of(plan: &Plan, columns: usize, height: usize) -> Option<Self> {
        let at = |id: &StepId| plan.steps.iter().position(|step| step.id == *id);
        let needs: Vec<Vec<usize>> = plan.steps.iter().map(|step| step.needs.iter().filter_map(at).collect()).collect();
        let graph = Graph::of(&needs);
        if graph.stages() < STAGES {
            return None;
        }
        let wide = widths(plan, &graph, columns.checked_sub(graph.between())?)?;
        // A node has a line for its name, one for its state, and one of air where there is room.
        let high = if graph.rows * 3 <= height + 1 { 3 } else { 2 };
        (graph.rows * high <= height + 1).then_some(Self { graph, wide, high })
    }

    /// How many lines it takes.
    pub fn height(&self) -> usize {
        (self.graph.rows * self.high).saturating_sub(self.high - 2)
    }
}

/// How wide each stage is in so many columns: as its longest name needs, the longest shortened first; nothing where that says too little.
fn widths(plan: &Plan, graph: &Graph, columns: usize) -> Option<Vec<usize>> {
    let mut wide = vec![NODE.0; graph.stages()];
    for (node, spec) in plan.steps.iter().enumerate() {
        let mark = if spec.undo == Undo::PointOfNoReturn { 2 } else { 0 };
        let stage = &mut wide[graph.stage_of(node)];
        *stage = (*stage).max(width(spec.id.as_str()) + 3 + 2 + mark).min(NODE.1);
    }
    while wide.iter().sum::<usize>() > columns {
        let widest = wide.iter_mut().max().filter(|widest| **widest > NODE.0)?;
        *widest -= 1;
    }
    let spare = (columns - wide.iter().sum::<usize>()) / wide.len();
    Some(wide.into_iter().map(|wide| wide + spare.min(NODE.1.saturating_sub(wide))).collect())
}

/// One stroke, or a letter of a node.
type Cell = (String, Role);

/// The graph of a run: each step with its state, and what is left of the critical path.
pub fn of_run(look: &Look<'_>, run: &Run, path: &[StepId], drawing: &Drawing) -> Vec<Line<'static>> {
    let way = way(run, path);
    let heavy = |from: &StepSpec, to: &StepSpec| way.contains(&from.id) && way.contains(&to.id);
    let node = |spec: &StepSpec, wide: usize| match run.step(&spec.id) {
        Some(step) => [title(look, spec, step, wide), state(look, run, spec, step, wide)],
        None => [Vec::new(), Vec::new()],
    };
    draw(look, &run.plan, drawing, heavy, node)
}

/// The critical path from its beginning: what is left of it, and before that, step by step, what was waited for longest.
fn way(run: &Run, path: &[StepId]) -> Vec<StepId> {
    let ended = |id: &StepId| run.step(id).and_then(|step| step.ended_at);
    let mut way = path.to_vec();
    if way.is_empty() {
        way.extend(run.plan.steps.iter().map(|spec| &spec.id).max_by_key(|id| ended(id)).cloned());
    }
    let mut at = way.first().cloned();
    while let Some(spec) = at.and_then(|id| run.plan.step(&id)) {
        let over = spec.needs.iter().filter(|need| run.phase(need).is_over());
        at = over.max_by_key(|need| ended(need)).cloned();
        way.extend(at.clone());
    }
    way
}

/// The graph of a plan that does not run: what each step may do, and the way that took longest the last time.
pub fn of_plan(look: &Look<'_>, plan: &Plan, drawing: &Drawing) -> Vec<Line<'static>> {
    let known = look.snap.state.history.get(&plan.id);
    let seconds = |spec: &StepSpec| known.and_then(|steps| steps.get(&spec.id)).map(|last| last.seconds);
    let path = longest(plan, |spec| seconds(spec).unwrap_or(0.1));
    let heavy = |from: &StepSpec, to: &StepSpec| path.contains(&from.id) && path.contains(&to.id);
    let node = |spec: &StepSpec, wide: usize| {
        let undo = mark::undo(spec.undo);
        let name = fit_name(spec.id.as_str(), wide.saturating_sub(4)).into_owned();
        let took = seconds(spec).map_or_else(String::new, length);
        let gate = column(mark::gate(spec.gate), 9);
        let role = column(spec.role.word(), wide.saturating_sub(3 + 1 + 9 + width(&took) + 1));
        [
            vec![(" ".into(), Role::Text), (format!("{} ", undo.glyph), undo.role), (name, Role::Text)],
            vec![("   ".into(), Role::Text), (role + " ", Role::Dim), (gate, Role::Faint), (took, Role::Dim)],
        ]
    };
    draw(look, plan, drawing, heavy, node)
}

/// The chain of steps that takes longest.
fn longest(plan: &Plan, cost: impl Fn(&StepSpec) -> f64) -> Vec<StepId> {
    let finish = plan.longest_chain(cost);
    let end = |id: &StepId| finish.iter().find(|(step, _)| step == id).map_or(0.0, |(_, end)| *end);
    let mut at = finish.iter().max_by(|one, other| one.1.total_cmp(&other.1)).map(|(id, _)| id.clone());
    let mut path = Vec::new();
    while let Some(id) = at {
        let needs = plan.step(&id).map(|spec| spec.needs.as_slice()).unwrap_or_default().iter();
        at = needs.max_by(|one, other| end(one).total_cmp(&end(other))).cloned();
        path.push(id);
    }
    path
}

/// Draws nodes, each in two lines, and what leads from one to the other.
fn draw(
    look: &Look<'_>,
    plan: &Plan,
    drawing: &Drawing,
    heavy: impl Fn(&StepSpec, &StepSpec) -> bool,
    node: impl Fn(&StepSpec, usize) -> [Vec<Cell>; 2],
) -> Vec<Line<'static>> {
    let Drawing { graph, wide, high } = drawing;
    let last = graph.stages() - 1;
    let columns = graph.column(last, wide) + wide[last];
    let mut canvas: Vec<Vec<Cell>> = vec![vec![(" ".into(), Role::Text); columns]; drawing.height()];
    let strokes: BTreeMap<(usize, usize), Stroke> =
        graph.strokes(wide, *high, |from, to| heavy(&plan.steps[from], &plan.steps[to]));
    strokes.iter().for_each(|(at, it)| stroke(&mut canvas, *at, *it));
    for (at, place) in graph.places() {
        let wide_here = wide[place.stage];
        let [title, state] = node(&plan.steps[at], wide_here);
        let (x, y) = (graph.column(place.stage, wide), place.row * high);
        let end = write(&mut canvas, x, y, &title);
        write(&mut canvas, x, y + 1, &state);
        if place.leads_on {
            let heavy = strokes.get(&(x + wide_here, y)).is_some_and(|next| next.heavy);
            let line = Stroke { glyph: if heavy { '━' } else { '─' }, heavy };
            (end + 1..x + wide_here).for_each(|x| stroke(&mut canvas, (x, y), line));
        }
    }
    canvas.into_iter().map(|row| spans(look, row)).collect()
}

fn stroke(canvas: &mut [Vec<Cell>], (x, y): (usize, usize), stroke: Stroke) {
    if let Some(cell) = canvas.get_mut(y).and_then(|row| row.get_mut(x)) {
        *cell = (stroke.glyph.to_string(), if stroke.heavy { Role::Accent } else { Role::Rule });
    }
}

/// The step at a cell of the graph, if there is one.
pub fn step_at(run: &Run, drawing: &Drawing, line: usize, at: usize) -> Option<StepId> {
    let hit = |place: &Place| {
        let x = drawing.graph.column(place.stage, &drawing.wide);
        (x..x + drawing.wide[place.stage]).contains(&at)
            && (place.row * drawing.high..place.row * drawing.high + 2).contains(&line)
    };
    let (node, _) = drawing.graph.places().into_iter().find(|(_, place)| hit(place))?;
    run.plan.steps.get(node).map(|step| step.id.clone())
}

/// `▸✓ fence-primary`
fn title(look: &Look<'_>, spec: &StepSpec, step: &StepRun, wide: usize) -> Vec<Cell> {
    let chosen = look.app.step().as_ref() == Some(&spec.id);
    let mark = mark::phase(step.phase);
    let last = if spec.undo == Undo::PointOfNoReturn { " !" } else { "" };
    let name = fit_name(spec.id.as_str(), wide.saturating_sub(3 + 2 + width(last))).into_owned();
    let role = if chosen { Role::Selected } else { plan::text_role(step.phase) };
    vec![
        (if chosen { "▸".into() } else { " ".into() }, Role::Accent),
        (format!("{} ", mark.glyph), mark.role),
        (name, role),
        (last.to_owned(), Role::Warn),
    ]
}

/// `  GATE  typed      0:15`
fn state(look: &Look<'_>, run: &Run, spec: &StepSpec, step: &StepRun, wide: usize) -> Vec<Cell> {
    let mark = mark::phase(step.phase);
    let time = plan::elapsed(look, step);
    let room = wide.saturating_sub(3 + 10 + width(&time) + 2);
    let gate = plan::gate_word(spec, step);
    let gate = if width(gate) <= room { gate } else { "" };
    let work = plan::work(look, run, &spec.id, step, room.min(12)).filter(|_| room >= 5);
    let more = work.map_or((column(gate, room), Role::Faint), |(text, role)| (column(&text, room), role));
    let word = fit(mark.word, wide.saturating_sub(3)).into_owned();
    vec![("   ".into(), Role::Text), (column(&word, 10), mark.role), more, (format!(" {time}"), Role::Dim)]
}

/// Writes pieces from `x` on; says where they end, without the blanks at their end.
fn write(canvas: &mut [Vec<Cell>], x: usize, y: usize, pieces: &[Cell]) -> usize {
    let (mut at, mut end) = (x, x);
    let Some(row) = canvas.get_mut(y) else { return x };
    for (c, role) in pieces.iter().flat_map(|(text, role)| text.chars().map(move |c| (c, *role))) {
        let letter = c.to_string();
        let needs = width(&letter);
        // What takes no column belongs to the letter before it.
        if needs == 0 {
            if let Some(before) = at.checked_sub(1).and_then(|at| row.get_mut(at)) {
                before.0.push(c);
            }
            continue;
        }
        if at + needs > row.len() {
            break;
        }
        row[at] = (letter, role);
        row[at + 1..at + needs].fill((String::new(), role));
        at += needs;
        if c != ' ' {
            end = at;
        }
    }
    end
}

fn spans(look: &Look<'_>, row: Vec<Cell>) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut open: Option<Cell> = None;
    for (text, role) in row {
        match &mut open {
            Some((so_far, same)) if *same == role => so_far.push_str(&text),
            _ => {
                spans.extend(open.take().map(|(text, role)| look.span(text, role)));
                open = Some((text, role));
            }
        }
    }
    spans.extend(open.map(|(text, role)| look.span(text, role)));
    Line::from(spans)
}
