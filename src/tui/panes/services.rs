//! Services by tier against regions: what is broken, at a glance.

use ratatui::text::{Line, Span};

use crate::domain::estate::{Region, Tier};
use crate::domain::health::Status;
use crate::domain::rollup::RollUp;

use super::super::format::{column, fit, fit_name, right, width};
use super::super::health::{self, Seen};
use super::super::look::Look;
use super::super::mark;
use super::super::theme::Role;
use super::super::widgets::row::{Piece, Row};
use super::super::widgets::sparkline::sparkline;
use super::{Body, Room, alerts};

/// Glyph and word of a status, and a blank.
const CELL: usize = 12;
/// From so many columns on a cell has room for all.
const WIDE: usize = 40;
/// So many alerts are in view without scrolling: they take no room from what Mayday sees itself.
const ALERTS: usize = 4;

pub fn body(look: &Look<'_>, Room { columns, .. }: Room) -> Body {
    let regions = &look.snap.estate.regions;
    let names = look.snap.estate.services.iter().map(|service| width(service.id.as_str())).max().unwrap_or(8);
    // A cell says in words how a service is before the name of the service is whole.
    let most = columns.saturating_sub(regions.len() * CELL).clamp(10, 26);
    let name = (names + 2).clamp(10, most);
    let cell = columns.saturating_sub(name) / regions.len().max(1);
    let mut lines = Vec::new();
    for tier in [Tier::Critical, Tier::Standard] {
        let services = look.snap.estate.services.iter().filter(|service| service.tier == tier);
        for (index, service) in services.enumerate() {
            if index == 0 {
                lines.push(Line::from(look.span(tier.word(), Role::Faint)));
            }
            let mut line = vec![look.span(
                format!(" {}", column(&fit_name(service.id.as_str(), name.saturating_sub(2)), name - 1)),
                Role::Text,
            )];
            for region in regions {
                let seen = health::service(look.snap, look.now, service, &region.id);
                line.extend(status(look, &seen, cell));
            }
            lines.push(Line::from(line));
        }
    }
    lines.extend(clients_path(look, name, columns.saturating_sub(name)));
    lines.extend(alerts::lines(look, columns));
    let (aside, short) = summary(look);
    let firing = alerts::firing(look).map(|words| format!(" · {words}")).unwrap_or_default();
    let aside = format!("{aside}{firing}");
    Body { head: head(look, name, cell), lines, aside, short, ..Body::default() }
}

/// What is probed the way clients come: no region's own.
fn clients_path(look: &Look<'_>, name: usize, cell: usize) -> Vec<Line<'static>> {
    let path = look.snap.clients_path(look.now);
    let mut lines: Vec<Line<'static>> = Vec::new();
    if !path.is_empty() {
        lines.push(Line::from(look.span("along the clients' path", Role::Faint)));
    }
    lines.extend(path.into_iter().map(|(service, seen)| {
        let mut line = vec![look.span(
            format!(" {}", column(&fit_name(service.id.as_str(), name.saturating_sub(2)), name - 1)),
            Role::Text,
        )];
        line.extend(status(look, &health::of(seen), cell));
        Line::from(line)
    }));
    lines
}

/// The columns in which all that has to be said of every service is.
pub fn width_needed(look: &Look<'_>) -> usize {
    let names = look.snap.estate.services.iter().map(|service| width(service.id.as_str())).max().unwrap_or(8);
    (names + 2).clamp(10, 26) + look.snap.estate.regions.len() * CELL
}

/// How many lines are worth their room, with the two of the regions.
pub fn height(look: &Look<'_>) -> usize {
    let services = &look.snap.estate.services;
    let tiers = [Tier::Critical, Tier::Standard].iter().filter(|tier| services.iter().any(|it| it.tier == **tier));
    let (path, alerts) = (look.snap.clients_path(look.now).len(), look.snap.state.alerts.0.len().min(ALERTS));
    let headed = |lines: usize| if lines > 0 { lines + 1 } else { 0 };
    2 + tiers.count() + services.len() + headed(path) + headed(alerts)
}

/// The regions: their names, their parts, and how they are themselves.
fn head(look: &Look<'_>, name: usize, cell: usize) -> Vec<Line<'static>> {
    let serving = look.snap.state.serving(&look.snap.estate);
    let mut first = vec![Span::raw(" ".repeat(name))];
    let mut second = vec![look.span(column("region", name), Role::Faint)];
    for region in &look.snap.estate.regions {
        let serves = region.id == serving;
        let (part, role) = if serves { ("serving".to_owned(), Role::Strong) } else { (role_word(region), Role::Dim) };
        let title = format!("{} {part}", region.id);
        let title = if width(&title) < cell { title } else { region.id.to_string() };
        first.push(look.span(column(&fit_name(&title, cell.saturating_sub(1)), cell), role));
        second.extend(status(look, &health::region(look.snap, look.now, &region.id), cell));
    }
    vec![Line::from(first), Line::from(second)]
}

fn role_word(region: &Region) -> String {
    region.role.word().to_owned()
}

/// Glyph, word, and what else there is room for: how fast it answers, or, of what serves nobody, what was seen of it.
fn status(look: &Look<'_>, seen: &Seen<'_>, cell: usize) -> Vec<Span<'static>> {
    let mark = mark::status(seen.status);
    let word = if seen.status == Status::Healthy { Role::Text } else { mark.role };
    let serves = seen.status < Status::Unknown;
    // What was seen of it is worth more than a straight edge.
    let tight = !serves && cell < WIDE;
    let words = match cell {
        ..11 => column(&fit(mark.word, cell.saturating_sub(3)), cell.saturating_sub(2)),
        _ if tight => format!("{} ", mark.word),
        _ => column(mark.word, 9),
    };
    let mut used = 2 + width(&words);
    let mut out = vec![look.span(format!("{} ", mark.glyph), mark.role), look.span(words, word)];
    if !serves && cell >= used + 8 {
        out.push(look.span(column(seen.detail, cell - used - 2), Role::Faint));
        used = cell - 2;
    }
    if let Some(latency) = seen.latency.filter(|_| serves && cell >= used + 7) {
        out.push(look.span(right(&format!("{latency}ms"), 6), Role::Dim));
        used += 6;
    }
    let still = look.app.options.reduced_motion;
    if let Some(history) = seen.history.filter(|_| serves && cell >= used + 9 && !still) {
        let room = (cell - used - 3).min(24);
        out.push(look.span(format!(" {}", sparkline(history, room)), Role::Faint));
        used += room + 1;
    }
    out.push(Span::raw(" ".repeat(cell.saturating_sub(used))));
    out
}

/// How the services of each region are, in a line: that of the region which serves is whole as long as any.
pub fn strip(look: &Look<'_>, columns: usize) -> Line<'static> {
    let serving = look.snap.state.serving(&look.snap.estate);
    let mut line = Row::new(columns);
    line.left(Piece::from(look.span("services ", Role::Faint)).or("").rank(9));
    for region in &look.snap.estate.regions {
        let services = look.snap.estate.services.iter();
        let statuses: Vec<Status> =
            services.map(|service| health::service(look.snap, look.now, service, &region.id).status).collect();
        let worst = Status::worst(statuses.iter().copied());
        let mark = mark::status(worst);
        let count = statuses.iter().filter(|status| **status == worst).count();
        let serves = region.id == serving;
        let role = if serves { Role::Strong } else { Role::Dim };
        let words = look.span(format!("{} {count} of {} {}", mark.glyph, statuses.len(), mark.word), mark.role);
        let name = |name: String| look.span(name, role);
        let long = name(format!("  {}{} ", region.id, if serves { " serves" } else { "" }));
        let piece = Piece::of(vec![long, words.clone()])
            .or_spans(vec![name(format!("  {} ", region.id)), words.clone()])
            .or_spans(vec![name(format!("  {} ", fit_name(region.id.as_str(), 12))), words]);
        line.left(piece.rank(usize::from(!serves)).cut_to(12));
    }
    line.into_line()
}

/// How the services are where clients are sent, and the same without the region. What was not looked at is no trouble, and not health
/// either.
fn summary(look: &Look<'_>) -> (String, String) {
    let serving = look.snap.state.serving(&look.snap.estate);
    let services = &look.snap.estate.services;
    let seen: Vec<_> = services.iter().map(|it| look.snap.service(it, &serving, look.now)).collect();
    let early = |it: &RollUp<'_>| it.status() == Status::Unknown && it.is_early(&look.snap.live.probes);
    let with = |status| seen.iter().filter(|it| it.status() == status && !early(it)).count();
    let counts = [
        (with(Status::Down), "down"),
        (with(Status::Degraded), "degraded"),
        (with(Status::Unknown), "unknown"),
        (seen.iter().filter(|it| early(it)).count(), "not looked at yet"),
    ];
    let words: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(n, word)| format!("{n} {word}")).collect();
    let short = match (words.len(), counts.iter().find(|(count, _)| *count > 0)) {
        (0, _) => "all healthy".to_owned(),
        (1, Some((count, word))) => format!("{count} of {} {word}", services.len()),
        _ => words.join(", "),
    };
    (format!("{serving}: {short}"), short)
}
