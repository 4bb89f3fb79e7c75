//! Readiness: whether each plan would work right now, what stands against it, and how old that knowledge is.

use ratatui::text::{Line, Span};

use crate::domain::plan::Plan;
use crate::domain::readiness::{Brief, Finding};
use crate::domain::time::At;
use crate::domain::wayback::is_for_afterwards;

use super::super::format::{self, age, column, right, wrap};
use super::super::look::Look;
use super::super::mark;
use super::super::theme::Role;
use super::super::widgets::row::Row;
use super::super::widgets::sparkline::of_scores;
use super::{Body, Room};

const INDENT: usize = 3;

pub fn body(look: &Look<'_>, Room { columns, .. }: Room) -> Body {
    let known = look.snap.state.readiness_by_plan();
    let mut lines = Vec::new();
    for plan in &look.snap.plans {
        let brief = known.get(&plan.id).copied();
        lines.push(line(look, plan, brief, columns));
        let reasons = look.snap.live.readiness.get(&plan.id).map(|known| known.reasons()).unwrap_or_default();
        lines.extend(reasons.into_iter().flat_map(|finding| reason(look, finding, columns)));
    }
    // No row is older than that.
    let oldest = known.values().map(|(at, _)| *at).min();
    let aside = oldest.map_or_else(|| "not looked at yet".to_owned(), |at| steps(look.since(at)));
    Body { lines, aside, ..Body::default() }
}

/// In steps of ten seconds: what is looked at every few minutes need not go over the wire every second.
fn steps(seconds: f64) -> String {
    match seconds {
        ..10.0 => "seen now".into(),
        10.0..60.0 => format!("seen {} ago", age((seconds / 10.0).floor() * 10.0)),
        _ => format!("seen {} ago", age((seconds / 60.0).floor() * 60.0)),
    }
}

/// `● regional-failover  at risk   97 of 100  ▁▂▇█`
fn line(look: &Look<'_>, plan: &Plan, brief: Option<(At, &Brief)>, columns: usize) -> Line<'static> {
    let mut row = Row::new(columns);
    let name = columns.saturating_sub(3 + 11 + 4 + 14).clamp(16, 40).min(columns.saturating_sub(3 + 11 + 4));
    let Some((at, brief)) = brief else {
        row.left(look.span(" ? ", Role::Unknown));
        row.left(look.span(format::name(plan.id.as_str(), name), Role::Text));
        // In peace it has nothing to do: it is looked at once clients have moved.
        let home = look.snap.state.serving(&look.snap.estate) == look.snap.estate.primary();
        let (words, role) = match is_for_afterwards(&plan.id) && home {
            true => (" looked at after a failover", Role::Dim),
            false => (" not looked at yet", Role::Unknown),
        };
        row.left(look.span(words, role));
        return row.into_line();
    };
    let mark = mark::ready(brief.ready);
    let old = look.snap.estate.assessment_is_old(at, look.now);
    row.left(look.span(format!(" {} ", mark.glyph), mark.role));
    row.left(look.span(format::name(plan.id.as_str(), name), Role::Text));
    row.left(look.span(format!(" {}", column(mark.word, 10)), mark.role));
    row.left(look.span(right(&brief.score.to_string(), 3), if old { Role::Unknown } else { mark.role }));
    if old {
        row.left(look.span(format!("  {} old", age(look.since(at))), Role::Warn));
    } else {
        row.left(look.span(format!("  {}", trend(look, plan)), Role::Faint));
    }
    row.into_line()
}

/// The scores so far, the newest last.
fn trend(look: &Look<'_>, plan: &Plan) -> String {
    const SHOWN: usize = 12;
    let all = look.snap.state.readiness.iter().flat_map(|it| &it.plans).filter(|brief| brief.plan == plan.id);
    let scores: Vec<u8> = all.map(|brief| brief.score).collect();
    let oldest = scores.len().saturating_sub(SHOWN);
    of_scores(scores.into_iter().skip(oldest))
}

fn reason(look: &Look<'_>, finding: &Finding, columns: usize) -> Vec<Line<'static>> {
    let mark = mark::finds(finding.finds);
    let place = finding.step.as_ref().map_or_else(|| "plan".to_owned(), ToString::to_string);
    let text = format!("{place} · {}: {}", finding.name, finding.detail);
    let wrapped = wrap(&text, columns.saturating_sub(INDENT + 2)).into_iter().enumerate();
    wrapped
        .map(|(nth, text)| {
            let glyph = if nth == 0 { mark.glyph } else { " " };
            let indent = Span::raw(" ".repeat(INDENT));
            Line::from(vec![indent, look.span(format!("{glyph} "), mark.role), look.span(text, Role::Dim)])
        })
        .collect()
}
