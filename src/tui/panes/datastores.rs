//! Datastores: who takes the writes, how far the copies are behind, and what would be lost.

use ratatui::text::Line;

use crate::domain::estate::SystemSpec;
use crate::domain::health::Status;
use crate::domain::ids::SystemId;
use crate::domain::recovery::{Member, Role as Part};
use crate::domain::time::seconds_between;

use super::super::format::{age, class, column, fit, lag, length, width};
use super::super::look::Look;
use super::super::mark;
use super::super::theme::Role;
use super::Body;

/// What would be lost if the writer's region vanished now, in seconds; `None` is unknown.
pub fn exposure(look: &Look<'_>, store: &SystemId) -> Option<f64> {
    let point = look.snap.live.surveys.get(store)?.survey.standby_point.as_ref()?;
    Some(seconds_between(point.at, look.now).max(0.0))
}

pub fn body(look: &Look<'_>, columns: usize, height: usize) -> Body {
    let stores: Vec<&SystemSpec> = look.snap.estate.datastores().collect();
    let members =
        |store: &&SystemSpec| look.snap.live.surveys.get(&store.id).map_or(1, |known| known.survey.members.len());
    let rows: usize = stores.iter().map(|store| 1 + members(store)).sum();
    let roomy = rows + stores.len() <= height;
    let mut lines = Vec::new();
    for (index, store) in stores.iter().enumerate() {
        if roomy && index > 0 {
            lines.push(Line::default());
        }
        lines.push(title(look, store, columns));
        lines.extend(self::members(look, store, columns));
    }
    Body { lines, aside: "exposure = age of the standby's copy".into(), ..Body::default() }
}

/// The store, its class, what would be lost, and how old the knowledge is.
fn title(look: &Look<'_>, store: &SystemSpec, columns: usize) -> Line<'static> {
    let known = look.snap.live.surveys.get(&store.id);
    let kind = store.class.map_or("", class);
    let (exposed, role) = match exposure(look, &store.id) {
        Some(seconds) => {
            let target = store.class.and_then(|class| look.snap.estate.rpo(class)).map(|span| span.as_secs_f64());
            let over = target.is_some_and(|target| seconds > target);
            (format!("{} exposed", length(seconds)), if over { Role::Bad } else { Role::Text })
        }
        None => ("? exposure unknown".into(), Role::Unknown),
    };
    let when = known.and_then(|known| known.at).map(|at| look.since(at));
    let (seen, old) = match when {
        Some(seconds) => {
            let limit = look.snap.estate.policy.survey_every.as_secs_f64() * 3.0 + 5.0;
            (format!("seen {} ago", age(seconds)), seconds > limit)
        }
        None => ("never seen".into(), true),
    };
    let name = columns.saturating_sub(width(&exposed) + 2).min(if columns < 48 { 16 } else { 28 });
    let rest = columns.saturating_sub(name + width(&exposed) + 2);
    let seen = if width(&seen) <= rest { seen } else { String::new() };
    let kind = fit(kind, name.saturating_sub(width(store.id.as_str()) + 1)).into_owned();
    let gap = rest.saturating_sub(width(&seen));
    Line::from(vec![
        look.span(store.id.as_str().to_owned(), Role::Strong),
        look.span(column(&format!(" {kind}"), name.saturating_sub(width(store.id.as_str()))), Role::Faint),
        look.span(format!("{exposed}  {:gap$}", ""), role),
        look.span(seen, if old { Role::Warn } else { Role::Dim }),
    ])
}

fn members(look: &Look<'_>, store: &SystemSpec, columns: usize) -> Vec<Line<'static>> {
    let Some(known) = look.snap.live.surveys.get(&store.id) else {
        return vec![Line::from(look.span("  ? not surveyed yet", Role::Unknown))];
    };
    let mut lines: Vec<Line<'static>> = known.survey.members.iter().map(|found| member(look, found, columns)).collect();
    if let Some(fault) = &known.fault {
        let text = format!("  ? {fault}");
        lines.push(Line::from(look.span(fit(&text, columns).into_owned(), Role::Unknown)));
    }
    lines
}

fn member(look: &Look<'_>, member: &Member, columns: usize) -> Line<'static> {
    let state = mark::status(member.status);
    let writes = member.role == Part::Writer;
    let behind = match (writes, member.lag) {
        (true, _) => String::new(),
        (false, Some(behind)) => format!("lag {}", lag(behind)),
        (false, None) => "lag ?".into(),
    };
    let region = member.region.as_ref().map_or("?", |region| region.as_str());
    let wide = columns >= 50;
    let name = if wide { 20 } else { columns.saturating_sub(2 + 2 + 8 + 10) };
    let mut line = vec![
        look.span(format!(" {} ", state.glyph), state.role),
        look.span(column(mark::part(member.role), 8), if writes { Role::Accent } else { Role::Dim }),
        look.span(column(&member.name, name), if member.status == Status::Healthy { Role::Text } else { state.role }),
    ];
    if wide {
        line.push(look.span(format!(" {}", column(region, 10)), Role::Dim));
    }
    let role = if member.lag.is_none() { Role::Unknown } else { Role::Text };
    line.push(look.span(format!(" {}", column(&behind, 9)), role));
    let rest = columns.saturating_sub(3 + 8 + name + 11 + 10 + 1);
    if wide && rest > 6 {
        let words = if member.status == Status::Healthy {
            member.detail.clone()
        } else {
            format!("{} {}", state.word, member.detail)
        };
        line.push(look.span(format!(" {}", fit(&words, rest)), Role::Faint));
    }
    Line::from(line)
}
