//! Pictures: lengths against what was promised, and the course of an incident with its steps. SVG within the page, in the page's colours.

use std::fmt::Write;

use super::text::escape;
use super::words::length;

/// A picture. `svg` is made here alone, and every text in it is escaped.
#[derive(Clone, Debug)]
pub struct Figure {
    pub(super) svg: String,
    pub caption: String,
}

pub(super) const WIDTH: f64 = 960.0;

/// A length against a limit.
pub struct Bar {
    label: String,
    seconds: Option<f64>,
    limit: f64,
    met: Option<bool>,
}

impl Bar {
    pub fn new(label: &str, seconds: Option<f64>, limit: f64, met: Option<bool>) -> Self {
        Self { label: label.into(), seconds, limit, met }
    }
}

/// Each bar on a scale of its own, on which the limit stands at the same place: what reaches beyond it is plain to see.
pub fn bars(bars: &[Bar]) -> Figure {
    const ROW: f64 = 30.0;
    const LEFT: f64 = 190.0;
    const RIGHT: f64 = 150.0;
    let worst = bars.iter().filter_map(|bar| Some(bar.seconds? / bar.limit)).fold(1.0, f64::max);
    // The limit stands at three quarters unless something went far beyond it.
    let scale = (WIDTH - LEFT - RIGHT) / worst.max(4.0 / 3.0);
    let height = ROW * bars.len() as f64 + 22.0;
    let mut svg = open(height, "lengths against what was promised");
    let limit = LEFT + scale;
    for (bar, nth) in bars.iter().zip(0u32..) {
        let y = f64::from(nth) * ROW;
        let (tone, words) = match (bar.seconds, bar.met) {
            (None, _) => ("unknown", "unknown".to_owned()),
            (Some(seconds), Some(true)) => ("good", length(seconds)),
            (Some(seconds), Some(false)) => ("bad", format!("{} MISSED", length(seconds))),
            (Some(seconds), None) => ("unknown", format!("{} so far", length(seconds))),
        };
        let long = bar.seconds.map_or(0.0, |seconds| (seconds / bar.limit * scale).max(2.0));
        let track = WIDTH - LEFT - RIGHT;
        put(
            &mut svg,
            format_args!(
                "<text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                LEFT - 12.0,
                y + 19.0,
                escape(&bar.label)
            ),
        );
        put(
            &mut svg,
            format_args!(
                "<rect class=\"track\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{track:.1}\" height=\"14\" rx=\"3\"/>",
                y + 8.0
            ),
        );
        put(
            &mut svg,
            format_args!(
                "<rect class=\"bar {tone}\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{long:.1}\" height=\"14\" rx=\"3\"/>",
                y + 8.0
            ),
        );
        let x = WIDTH - RIGHT + 12.0;
        put(
            &mut svg,
            format_args!(
                "<text x=\"{x:.1}\" y=\"{:.1}\"><tspan class=\"strong\">{}</tspan> <tspan class=\"dim\">/ {}</tspan></text>",
                y + 19.0,
                escape(&words),
                escape(&length(bar.limit))
            ),
        );
    }
    put(
        &mut svg,
        format_args!(
            "<line class=\"limit\" x1=\"{limit:.1}\" x2=\"{limit:.1}\" y1=\"0\" y2=\"{:.1}\"/>",
            height - 18.0
        ),
    );
    put(&mut svg, format_args!("<text class=\"limit mid\" x=\"{limit:.1}\" y=\"{:.1}\">promised</text>", height - 4.0));
    svg.push_str("</svg>");
    Figure { svg, caption: "What it took or lost, as a share of what was promised for each.".into() }
}

pub(super) fn open(height: f64, title: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\">", escape(title))
}

fn put(svg: &mut String, element: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = svg.write_fmt(element);
}
