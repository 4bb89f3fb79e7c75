//! Datastores: who takes the writes, how far the copies are behind, and what would be lost.

use ratatui::text::Line;

use crate::domain::estate::SystemSpec;
use crate::domain::health::Status;
use crate::domain::recovery::{Member, Role as Part};
use crate::domain::remedy;

use super::super::format::{self, age, class, column, fit, lag, length, width};
use super::super::look::Look;
use super::super::mark;
use super::super::theme::Role;
use super::super::widgets::row::{Piece, Row};
use super::{Body, Room};

/// Most names of regions are no longer.
const REGION: usize = 12;

pub fn body(look: &Look<'_>, Room { columns, height }: Room) -> Body {
    let stores: Vec<&SystemSpec> = look.snap.estate.datastores().collect();
    let members =
        |store: &&SystemSpec| look.snap.live.surveys.get(&store.id).map_or(1, |known| rows(&known.survey.members));
    let needed: usize = stores.iter().map(|store| 1 + members(store)).sum();
    let roomy = needed + stores.len() <= height;
    let all =
        |store: &&SystemSpec| look.snap.live.surveys.get(&store.id).map_or(1, |it| it.survey.members.len().max(1));
    let each = stores.iter().map(|store| 2 + all(store)).sum::<usize>() <= height;
    let mut lines = Vec::new();
    for (index, store) in stores.iter().enumerate() {
        if roomy && index > 0 {
            lines.push(Line::default());
        }
        lines.push(title(look, store, columns));
        lines.extend(self::members(look, store, columns, each));
    }
    let aside = "copies outside the serving region".into();
    Body { lines, aside, short: "copies outside".into(), ..Body::default() }
}

/// The store and its class; how old the copy is that would survive, and how old this knowledge is.
fn title(look: &Look<'_>, store: &SystemSpec, columns: usize) -> Line<'static> {
    let split = look.snap.split().filter(|(split, _)| **split == store.id);
    let (exposed, role) = match look.snap.store_exposure(&store.id, look.now) {
        Some(seconds) => {
            let target = store.class.and_then(|class| look.snap.estate.rpo(class)).map(|span| span.as_secs_f64());
            let over = target.is_some_and(|target| seconds > target);
            (format!("copy {} old", length(seconds)), if over { Role::Bad } else { Role::Text })
        }
        None => ("copy age unknown".into(), Role::Unknown),
    };
    let (exposed, role) = match split {
        Some((_, writers)) => (format!("✗ {} WRITERS", writers.len()), Role::Bad),
        None => (exposed, role),
    };
    let when = look.snap.live.surveys.get(&store.id).and_then(|known| known.at).map(|at| look.since(at));
    let (seen, seen_role) = match when {
        Some(seconds) => {
            let limit = look.snap.estate.policy.survey_every.as_secs_f64() * 3.0 + 5.0;
            (seen_words(seconds), if seconds > limit { Role::Warn } else { Role::Faint })
        }
        None => ("never seen".into(), Role::Warn),
    };
    let mut line = Row::new(columns);
    line.left(Piece::from(look.span(store.id.as_str().to_owned(), Role::Strong)).rank(1).cut_to(6));
    line.right(Piece::from(look.span(exposed, role)).rank(0).stays());
    let kind = look.span(format!(" {}", store.class.map_or("", class)), Role::Faint);
    let seen = look.span(format!("  {seen}"), seen_role);
    // Where the row of a member says it already, it is not said twice.
    let down = remedy::unseen_down(look.snap, store, look.now).map(|why| look.span(format!(" ✗ {why}"), Role::Bad));
    // Where there is no room for all, trouble goes first: no pane is calmer than the timeline.
    let pieces = if seen_role == Role::Warn { [seen, kind] } else { [kind, seen] };
    for piece in down.into_iter().chain(pieces) {
        line.left(piece);
    }
    line.into_line()
}

/// In steps of five seconds: nothing changes faster than it is surveyed, and every change goes over the wire.
fn seen_words(seconds: f64) -> String {
    let steps = (seconds / 5.0).floor() * 5.0;
    if steps < 5.0 { "seen now".into() } else { format!("seen {} ago", age(steps)) }
}

/// Who holds data has a line of its own, and so has everybody `each` there is room for.
fn members(look: &Look<'_>, store: &SystemSpec, columns: usize, each: bool) -> Vec<Line<'static>> {
    let Some(known) = look.snap.live.surveys.get(&store.id) else {
        return vec![Line::from(look.span("  ? not surveyed yet", Role::Unknown))];
    };
    // What may have changed since is drawn as it was, and as not known.
    let overtaken = remedy::is_overtaken(look.snap, store, look.now);
    let now = |member: &Member| match overtaken && member.status != Status::Down {
        true => Member { status: Status::Unknown, ..member.clone() },
        false => member.clone(),
    };
    let seen: Vec<Member> = known.survey.members.iter().map(now).collect();
    let (others, data): (Vec<&Member>, Vec<&Member>) =
        seen.iter().partition(|member| !each && member.role == Part::Other && member.lag.is_none());
    let mut lines: Vec<Line<'static>> = data.into_iter().map(|found| member(look, found, columns)).collect();
    lines.extend(self::others(look, &others, columns));
    if let Some(fault) = &known.fault {
        let text = format!("  ? {fault}");
        lines.push(Line::from(look.span(fit(&text, columns).into_owned(), Role::Unknown)));
    }
    lines
}

/// What holds no data (Sentinels, members that are syncing) in one line: how many there are, and who is in trouble.
fn others(look: &Look<'_>, others: &[&Member], columns: usize) -> Option<Line<'static>> {
    let worst = Status::worst(others.iter().map(|member| member.status));
    let state = mark::status(worst);
    let ill: Vec<&str> =
        others.iter().filter(|member| member.status != Status::Healthy).map(|member| member.name.as_str()).collect();
    let words = match ill.is_empty() {
        true => {
            let names: Vec<&str> = others.iter().map(|member| member.name.as_str()).collect();
            format!("{} of {} healthy: {}", others.len(), others.len(), names.join(", "))
        }
        false => format!("{} of {} healthy, not {}", others.len() - ill.len(), others.len(), ill.join(", ")),
    };
    let room = columns.saturating_sub(3 + 8);
    (!others.is_empty()).then(|| {
        Line::from(vec![
            look.span(format!(" {} ", state.glyph), state.role),
            look.span(column(mark::part(Part::Other), 8), Role::Dim),
            look.span(fit(&words, room).into_owned(), if ill.is_empty() { Role::Dim } else { state.role }),
        ])
    })
}

/// How many lines a store's members take.
pub fn rows(members: &[Member]) -> usize {
    let others = members.iter().filter(|member| member.role == Part::Other && member.lag.is_none()).count();
    (members.len() - others + usize::from(others > 0)).max(1)
}

/// The columns of the longest name of a member and of a region: what is seen of a member has the rest.
fn widest(look: &Look<'_>) -> (usize, usize) {
    let members = look.snap.live.surveys.values().flat_map(|it| &it.survey.members);
    let names = members.map(|member| width(&member.name)).max().unwrap_or(0);
    let regions = look.snap.estate.regions.iter().map(|region| width(region.id.as_str())).max().unwrap_or(0);
    (names.max(10), regions.clamp(6, REGION))
}

fn member(look: &Look<'_>, member: &Member, columns: usize) -> Line<'static> {
    let state = mark::status(member.status);
    let writes = member.role == Part::Writer;
    let behind = match (member.role, member.lag) {
        (Part::Writer, _) | (Part::Other, None) => String::new(),
        (_, Some(behind)) => format!("lag {}", lag(behind)),
        (_, None) => "lag ?".into(),
    };
    let region = member.region.as_ref().map(|region| region.as_str());
    let (names, regions) = widest(look);
    let wide = columns >= 3 + 8 + 20 + 1 + REGION + 11;
    let behind = if wide { column(&behind, 10) } else { behind };
    // Where there is much room, a name has what it needs, and what was seen of it the rest; how far it is behind is never cut.
    let name =
        if wide { names.min((columns / 3).clamp(20, 32)) } else { columns.saturating_sub(3 + 8 + 1 + width(&behind)) };
    let health = if member.status == Status::Healthy { Role::Text } else { state.role };
    let mut line = vec![
        look.span(format!(" {} ", state.glyph), state.role),
        look.span(column(mark::part(member.role), 8), if writes { Role::Accent } else { Role::Dim }),
        look.span(format::name(&member.name, name), health),
    ];
    if wide {
        line.push(look.span(format!(" {}", format::name(region.unwrap_or("?"), regions)), Role::Dim));
    }
    let role = match (member.lag, member.status) {
        (None, _) => Role::Unknown,
        (Some(_), Status::Unknown) => Role::Faint,
        (Some(_), _) => Role::Text,
    };
    line.push(look.span(format!(" {behind}"), role));
    let rest = columns.saturating_sub(3 + 8 + name + 1 + regions + 11 + 1);
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
