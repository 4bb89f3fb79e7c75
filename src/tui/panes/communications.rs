//! Communications: the next update, who speaks and who answered the page, and how every message fares on every channel.

use ratatui::text::{Line, Span};

use crate::domain::comms::{PageStanding, Posted, Purpose, due, left_open, moment, page_standing, standing, unreached};
use crate::domain::incident::Incident;
use crate::domain::time::{At, seconds_between};

use super::super::format::{age, clock, column, fit, name, width, wrap};
use super::super::keymap::{self, Action};
use super::super::look::Look;
use super::super::mark;
use super::super::theme::Role;
use super::{Body, Room};

const LABEL: usize = 11;

pub fn body(look: &Look<'_>, Room { columns, .. }: Room) -> Body {
    let mut lines = Vec::new();
    let speaks = !look.snap.estate.channels.is_empty();
    if let Some(incident) = look.snap.state.incident.as_ref().filter(|_| speaks) {
        lines.extend(next(look, columns));
        lines.extend(failed(look, columns));
        lines.extend(page(look, columns));
        lines.extend(people(look, incident, columns));
        lines.push(Line::default());
    }
    lines.extend(afterwards(look, columns));
    let state = &look.snap.state;
    let other = |posted: &&Posted| state.incident.as_ref().is_some_and(|it| it.id != posted.message.incident);
    let messages = state.outbox.messages.iter().rev().filter(|it| !other(it) || !it.is_settled());
    let said: Vec<Line<'static>> = messages.flat_map(|posted| message(look, posted, columns)).collect();
    if said.is_empty() {
        lines.extend(ways(look, columns));
    }
    lines.extend(said);
    let open = look.snap.state.outbox.messages.iter().filter(|posted| !posted.is_settled()).count();
    let aside = if open > 0 { format!("{open} on the way") } else { String::new() };
    Body { lines, aside, ..Body::default() }
}

/// The newest update, where it reached nobody.
fn failed(look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let Some(it) = unreached(&look.snap.estate, &look.snap.state) else { return Vec::new() };
    let who: Vec<&str> = it.audiences.iter().map(|audience| audience.word()).collect();
    let retry = keymap::key(Action::Retry);
    let words = match it.everybody {
        true => format!("{} reached NOBODY: it does not count as told → {retry} tries it again", it.message),
        false => format!("{} did not reach {} → {retry} tries it again", it.message, who.join(", ")),
    };
    row(look, "FAILED", &words, Role::Bad, columns)
}

/// What the last incident has left open outside.
fn afterwards(look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let Some(left) = left_open(&look.snap.estate, &look.snap.state, look.now) else { return Vec::new() };
    let words = format!("{} is closed, and this is open outside → {} tells", left.incident, keymap::key(Action::Tell));
    let mut lines = row(look, "closed", &words, Role::Warn, columns);
    lines.extend(left.lines().into_iter().flat_map(|(tone, words)| row(look, "", &words, mark::tone(tone), columns)));
    lines.push(Line::default());
    lines
}

/// How soon the next update is due: the words and how they are meant. Amber comes before red.
pub fn countdown(look: &Look<'_>, at: At) -> (String, Role) {
    match -look.since(at) {
        left if left < 0.0 => (format!("OVERDUE {}", clock(-left)), Role::Bad),
        left if left < 120.0 => (format!("due in {}", clock(left)), Role::Warn),
        left => (format!("due in {}m", (left / 60.0).floor()), Role::Text),
    }
}

fn next(look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let key = keymap::key(Action::Tell);
    if let Some(posted) = look.snap.state.outbox.recallable(look.now) {
        let left = seconds_between(look.now, posted.message.send_at).ceil();
        let words = format!("{} goes out in {left:.0} s → {key} or Esc takes it back", posted.message.id);
        return row(look, "sending", &words, Role::Warn, columns);
    }
    let Some(next) = due(&look.snap.estate, &look.snap.state) else {
        return row(look, "next", "nothing is due: `resolved` was told", Role::Good, columns);
    };
    let (when, role) = countdown(look, next.at);
    let moved = if next.moved { "! " } else { "" };
    let mut lines = row(look, "next", &format!("{when}, at {}", moment(next.at)), role, columns);
    let say = format!("{moved}{}: {} → {key} shows it", next.purpose, next.why);
    lines.extend(row(look, "say", &say, Role::Accent, columns));
    lines
}

fn page(look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let (key, call) = (keymap::key(Action::Acknowledge), keymap::key(Action::Contacts));
    let Some(standing) = page_standing(&look.snap.estate, &look.snap.state) else { return Vec::new() };
    let (words, role) = match standing {
        PageStanding::Acknowledged(known) => {
            (format!("acknowledged by {} at {}", known.by, moment(known.at)), Role::Good)
        }
        PageStanding::Over => ("over: `resolved` was told, and nobody is awaited any more".to_owned(), Role::Good),
        PageStanding::Nobody => (format!("nobody was paged → {call}: whom to call, {key} acknowledges"), Role::Warn),
        PageStanding::Open { escalates: Some(at), .. } if look.since(at) < 0.0 => {
            (format!("nobody has acknowledged; escalates in {} → {key}", clock(-look.since(at))), Role::Warn)
        }
        PageStanding::Open { since, escalates: None, escalated: false } => {
            let waits = age(look.since(since));
            let words = format!(
                "NOBODY has acknowledged for {waits}, and nobody else is woken → {key}, or {call}: whom to call"
            );
            (words, Role::Bad)
        }
        PageStanding::Open { since, escalated, .. } => {
            let also = if escalated { ", the escalation was paged too" } else { "" };
            let waits = age(look.since(since));
            (format!("NOBODY has acknowledged for {waits}{also} → {key}, or {call}: whom to call"), Role::Bad)
        }
    };
    row(look, "page", &words, role, columns)
}

fn people(look: &Look<'_>, incident: &Incident, columns: usize) -> Vec<Line<'static>> {
    let who = |actor: Option<String>, key: Action| {
        let known = actor.is_some();
        let words = actor.unwrap_or_else(|| format!("nobody → {} takes it", keymap::key(key)));
        (words, if known { Role::Text } else { Role::Warn })
    };
    let (commander, command) = who(incident.commander.as_ref().map(ToString::to_string), Action::TakeCommand);
    let lead = look.snap.state.outbox.lead.as_ref().map(ToString::to_string);
    let (lead, leads) = who(lead, Action::TakeCommunications);
    let mut lines = row(look, "commander", &commander, command, columns);
    lines.extend(row(look, "speaks", &lead, leads, columns));
    if let Some(first) = look.snap.live.on_call.people.first() {
        lines.extend(row(look, "on call", &first.name, Role::Text, columns));
    }
    lines
}

fn message(look: &Look<'_>, posted: &Posted, columns: usize) -> Vec<Line<'static>> {
    let message = &posted.message;
    let drill = if message.drill { " DRILL" } else { "" };
    let what = if message.purpose == Purpose::Page { "page".into() } else { message.purpose.to_string() };
    let short = message.id.as_str().rsplit('.').next().and_then(|id| id.split('-').next()).unwrap_or_default();
    let head = format!("{short} {what}{drill} · {} by {}", look.time_of_day(message.send_at), posted.by);
    let mut lines = vec![Line::from(look.span(fit(&head, columns).into_owned(), Role::Strong))];
    if let Some((by, _)) = &posted.recalled {
        lines.push(Line::from(look.span(format!("  – taken back by {by}; nothing was sent"), Role::Dim)));
        return lines;
    }
    let names = posted.deliveries.keys().map(|id| width(id.as_str())).max().unwrap_or(0).min(20);
    for (channel, delivery) in &posted.deliveries {
        let (tone, words) = standing(delivery, look.now);
        let role = mark::tone(tone);
        let link = delivery.receipt("link").or(delivery.receipt("id")).map(|it| format!("  {it}")).unwrap_or_default();
        let at = delivery.done().map(|at| format!(" at {}", look.time_of_day(at))).unwrap_or_default();
        let room = columns.saturating_sub(names + 5);
        let words = fit(&format!("{words}{at}"), room).into_owned();
        let left = room.saturating_sub(width(&words));
        lines.push(Line::from(vec![
            Span::raw("  "),
            look.span(format!("{} ", glyph(role)), role),
            look.span(format!("{} ", name(channel.as_str(), names)), Role::Dim),
            look.span(words, role),
            look.span(fit(&link, left).into_owned(), Role::Faint),
        ]));
    }
    lines
}

fn glyph(role: Role) -> &'static str {
    match role {
        Role::Good => "✓",
        Role::Bad => "✗",
        Role::Warn => "!",
        Role::Unknown => "?",
        Role::Busy => "◔",
        _ => "○",
    }
}

/// In peace: whether each channel could deliver.
fn ways(look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let channels = &look.snap.estate.channels;
    if channels.is_empty() {
        return vec![Line::from(
            look.span("No channel is set up: nobody can be told → [[channel]] in the config", Role::Warn),
        )];
    }
    let names = channels.iter().map(|it| width(it.id.as_str())).max().unwrap_or(0).min(20);
    let lines = |spec: &crate::domain::comms::ChannelSpec| {
        let (role, words) = match look.snap.live.channels.get(&spec.id) {
            None => (Role::Unknown, "not asked yet".to_owned()),
            Some(known) => match &known.reach {
                Ok(words) => (Role::Good, words.clone()),
                Err(fault) => (Role::Bad, fault.what.clone()),
            },
        };
        let room = columns.saturating_sub(names + 14);
        let said = if role == Role::Good { Role::Dim } else { role };
        let mut parts = wrap(&words, room).into_iter();
        let first = Line::from(vec![
            look.span(format!("{} ", glyph(role)), role),
            look.span(format!("{} ", name(spec.id.as_str(), names)), Role::Text),
            look.span(column(spec.audience.word(), 10), Role::Dim),
            look.span(parts.next().unwrap_or_default(), said),
        ]);
        let rest = parts.map(|part| Line::from(vec![Span::raw(" ".repeat(names + 13)), look.span(part, said)]));
        std::iter::once(first).chain(rest).collect::<Vec<_>>()
    };
    channels.iter().flat_map(lines).collect()
}

/// A label, and a text that goes on below it where it is long.
fn row(look: &Look<'_>, label: &str, text: &str, role: Role, columns: usize) -> Vec<Line<'static>> {
    let parts = wrap(text, columns.saturating_sub(LABEL)).into_iter().enumerate();
    let line = |(nth, text)| {
        let label = if nth == 0 { label } else { "" };
        Line::from(vec![look.span(column(label, LABEL), Role::Dim), look.span(text, role)])
    };
    parts.map(line).collect()
}
