//! The picture of an incident: its clocks, and its steps below them on the same axis.

use std::fmt::Write;

use super::figure::{Figure, WIDTH, open};
use super::review::{Review, RunReview, StepReview};
use super::text::escape;
use super::words::{clock, length};
use crate::domain::incident::Onset;
use crate::domain::time::{At, seconds_between};

const LEFT: f64 = 210.0;
const RIGHT: f64 = 74.0;
const ROW: f64 = 22.0;
/// Labels of clocks stand on so many lines, so that near ones do not cover each other.
const LANES: usize = 4;
const LANE: f64 = 15.0;
/// A label takes about so much of the axis.
const LABEL: f64 = 112.0;

/// The axis: from t0, or the declaration, to when the last thing happened that is drawn.
struct Axis {
    from: At,
    seconds: f64,
}

impl Axis {
    fn x(&self, at: At) -> f64 {
        let share = (seconds_between(self.from, at) / self.seconds).clamp(0.0, 1.0);
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }
}

/// `None` when there is nothing to draw.
pub fn course(review: &Review) -> Option<Figure> {
    let clocks = &review.clocks;
    let from = clocks.disruption().map(|(at, _)| at).or(clocks.t2)?;
    let acting: Vec<&RunReview> = review.runs.iter().filter(|run| run.mode.acts()).collect();
    let steps = || acting.iter().flat_map(|run| &run.steps);
    let ends = steps().filter_map(|step| step.ended_at).chain(clocks.t5.values().copied()).chain(clocks.t4);
    let until = ends.chain(clocks.t3).chain(clocks.t2).max()?;
    let axis = Axis { from, seconds: (seconds_between(from, until) * 1.02).max(1.0) };
    let rows = steps().count() as f64;
    let top = LANE * LANES as f64 + 18.0;
    let bottom = top + rows * ROW + 6.0;
    let mut svg = open(bottom + 24.0, "the clocks of the incident and the steps of its runs");
    // Writing to a String cannot fail.
    let _ = draw(&mut svg, review, &acting, &axis, (top, bottom));
    svg.push_str("</svg>");
    let caption = "Dark bars made the run as long as it was; light ones ran beside them; grey is waiting at a gate. \
        Times are since the disruption (t0).";
    Some(Figure { svg, caption: caption.into() })
}

fn draw(
    svg: &mut String,
    review: &Review,
    acting: &[&RunReview],
    axis: &Axis,
    (top, bottom): (f64, f64),
) -> std::fmt::Result {
    scale(svg, axis, top, bottom)?;
    marks(svg, review, axis, bottom)?;
    let mut y = top;
    for run in acting {
        for step in &run.steps {
            bar(svg, run, step, axis, y)?;
            y += ROW;
        }
    }
    for (_, at) in acting.iter().filter_map(|run| run.no_return.as_ref()) {
        let x = axis.x(*at);
        write!(svg, "<line class=\"point\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\"/>", top - 12.0)?;
        write!(svg, "<text class=\"point\" x=\"{:.1}\" y=\"{:.1}\">point of no return</text>", x + 4.0, top - 4.0)?;
    }
    Ok(())
}

/// The ticks of the axis, at round lengths.
fn scale(svg: &mut String, axis: &Axis, top: f64, bottom: f64) -> std::fmt::Result {
    const STEPS: [f64; 12] = [1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 21_600.0, 86_400.0];
    let step = STEPS.into_iter().find(|step| axis.seconds / step <= 9.0).unwrap_or(axis.seconds / 8.0);
    let mut at = 0.0;
    while at <= axis.seconds {
        let x = LEFT + at / axis.seconds * (WIDTH - LEFT - RIGHT);
        write!(svg, "<line class=\"rule\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>")?;
        write!(svg, "<text class=\"dim mid\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>", bottom + 15.0, clock(at))?;
        at += step;
    }
    Ok(())
}

/// t0 to t5, each label on the first lane where it covers no other.
fn marks(svg: &mut String, review: &Review, axis: &Axis, bottom: f64) -> std::fmt::Result {
    let clocks = &review.clocks;
    let mut all: Vec<(At, String)> = Vec::new();
    let moments = [
        (clocks.t1, "t1 detected"),
        (clocks.t2, "t2 declared"),
        (clocks.t3, "t3 first action"),
        (clocks.t4, "t4 technically up"),
    ];
    let bound = clocks.disruption().is_some_and(|(_, onset)| onset == Onset::NotLater);
    all.push((axis.from, if bound { "t0 disrupted, or before" } else { "t0 disrupted" }.into()));
    all.extend(moments.into_iter().filter_map(|(at, name)| Some((at?, name.to_owned()))));
    let verified = review.rto.iter().filter_map(|it| Some((*clocks.t5.get(&it.tier)?, format!("t5 {}", it.tier))));
    all.extend(verified);
    all.sort_by_key(|(at, _)| *at);
    let mut free = [f64::MIN; LANES];
    for (at, name) in all {
        let x = axis.x(at);
        // Near the right edge a label stands before its mark.
        let left = if x + LABEL > WIDTH { x - LABEL } else { x };
        let lane = (0..LANES).find(|lane| free[*lane] <= left).unwrap_or(LANES - 1);
        free[lane] = left + LABEL;
        let y = LANE * (lane as f64 + 1.0);
        let (class, text_x) = if left < x { (" class=\"end\"", x - 4.0) } else { ("", x + 4.0) };
        write!(svg, "<line class=\"mark\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\"/>", y - 10.0)?;
        write!(svg, "<text{class} x=\"{text_x:.1}\" y=\"{y:.1}\">{}</text>", escape(&name))?;
    }
    Ok(())
}

fn bar(svg: &mut String, run: &RunReview, step: &StepReview, axis: &Axis, y: f64) -> std::fmt::Result {
    let critical = run.critical.contains(&step.id);
    let weight = if critical { " strong" } else { "" };
    write!(
        svg,
        "<text class=\"end{weight}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        LEFT - 10.0,
        y + 15.0,
        escape(&short(step.id.as_str()))
    )?;
    if let Some((opened, answered)) = step.gated {
        let end = answered.or(step.begun_at).or(step.ended_at).unwrap_or(opened);
        rect(svg, "wait", axis, (opened, end), y)?;
    }
    let Some(begun) = step.begun_at else {
        let x = step.ended_at.map_or(LEFT, |at| axis.x(at));
        return write!(svg, "<text class=\"dim\" x=\"{:.1}\" y=\"{:.1}\">{}</text>", x + 5.0, y + 15.0, step.phase);
    };
    let end = step.ended_at.unwrap_or(begun);
    rect(svg, if critical { "critical" } else { "" }, axis, (begun, end), y)?;
    let words = step.seconds.map_or_else(|| step.phase.to_string(), length);
    write!(
        svg,
        "<text class=\"dim\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        axis.x(end).max(axis.x(begun) + 2.0) + 5.0,
        y + 15.0,
        escape(&words)
    )
}

fn rect(svg: &mut String, class: &str, axis: &Axis, (from, to): (At, At), y: f64) -> std::fmt::Result {
    let (x, end) = (axis.x(from), axis.x(to));
    let width = (end - x).max(2.0);
    write!(
        svg,
        "<rect class=\"bar {class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"12\" rx=\"2\"/>",
        y + 5.0
    )
}

/// A name that fits beside the bars.
fn short(name: &str) -> String {
    const LONGEST: usize = 28;
    if name.chars().count() <= LONGEST {
        name.to_owned()
    } else {
        name.chars().take(LONGEST - 1).chain(['…']).collect()
    }
}
