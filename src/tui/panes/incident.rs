//! The incident: what is said of it, every moment it is measured by, and who is here. In peace: who is here, and what there was.

use ratatui::text::Line;

use crate::domain::estate::Tier;
use crate::domain::incident::{Incident, Onset};
use crate::domain::live::Gaze;
use crate::domain::time::{At, seconds_between};

use super::super::format::{clock, column, fit, moment, rough_age, wrap};
use super::super::keymap::{self, Action};
use super::super::layers::wayback;
use super::super::look::Look;
use super::super::theme::Role;
use super::super::widgets::row::{Piece, Row};
use super::super::widgets::sparkline::of_lengths;
use super::{Body, Room, header, headline};

const LABEL: usize = 11;

pub fn body(look: &Look<'_>, Room { columns, .. }: Room) -> Body {
    let mut lines = Vec::new();
    match &look.snap.state.incident {
        Some(incident) => lines.extend(open(look, incident, columns)),
        None => {
            let seen = look.snap.state.incidents;
            let words =
                if seen == 0 { "No incident so far.".to_owned() } else { format!("No incident; {seen} so far.") };
            lines.push(Line::from(look.span(words, Role::Text)));
        }
    }
    lines.extend(attached(look, columns));
    let past = look.snap.state.past.iter();
    lines.extend(past.map(|past| {
        let when = moment(past.closed_at, &look.app.options.zone);
        let text = format!("{when} {} {} {}", past.id, past.severity, past.title);
        row(look, "closed", fit(&text, columns.saturating_sub(LABEL)).into_owned(), Role::Dim)
    }));
    Body { lines, ..Body::default() }
}

fn open(look: &Look<'_>, incident: &Incident, columns: usize) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'static>> =
        wrap(&incident.title, columns).into_iter().map(|text| Line::from(look.span(text, Role::Strong))).collect();
    let commander = incident.commander.as_ref().map_or("nobody".into(), ToString::to_string);
    lines.push(row(look, "commander", commander, Role::Text));
    lines.extend(spent(look, incident, columns));
    let clocks = &incident.clocks;
    let start = clocks.disruption().map(|(at, _)| at);
    let guessed = match clocks.disruption() {
        Some((_, Onset::Declaration)) => ", nothing was seen failing",
        Some((_, Onset::NotLater)) => " or before, not seen to begin",
        Some((_, Onset::Seen)) | None => "",
    };
    let moments = [
        (format!("t0 disrupted{guessed}"), start),
        ("t1 detected".into(), clocks.t1),
        ("t2 declared".into(), clocks.t2),
        ("t3 first action".into(), clocks.t3),
        ("t4 technically up".into(), clocks.t4),
    ];
    for (words, at) in moments {
        lines.push(moment_line(look, &words, at, start, columns));
    }
    let moved = look.snap.state.moved.iter();
    lines.extend(moved.flat_map(|moved| {
        let (words, role) = wayback::window(look, moved);
        // The key first: it is seen however little room there is for what speaks against it.
        let parts = wrap(&format!("{} shows it: {words}", keymap::key(Action::WayBack)), columns.saturating_sub(LABEL))
            .into_iter()
            .enumerate();
        parts.map(|(at, part)| row(look, if at == 0 { "way back" } else { "" }, part, role)).collect::<Vec<_>>()
    }));
    let tiers = Tier::ALL.iter().filter(|tier| look.snap.estate.rto(**tier).is_some());
    lines.extend(tiers.map(|tier| {
        moment_line(
            look,
            &format!("t5 {tier} verified"),
            clocks.t5.get(tier).copied(),
            clocks.t0.get(tier).copied(),
            columns,
        )
    }));
    lines
}

/// What the RTO was spent on so far, moment by moment: `RTO spent  ▂▃▇ to detect 0:05 · to declare 0:15 · since then 1:27`.
fn spent(look: &Look<'_>, incident: &Incident, columns: usize) -> Vec<Line<'static>> {
    let (clocks, urgent) = (&incident.clocks, headline::urgent(look, incident));
    let (Some((start, _)), Some(urgent)) = (clocks.disruption(), urgent) else { return Vec::new() };
    let verified = clocks.t5.get(&urgent.tier).copied();
    let moments = [
        ("to detect", clocks.t1),
        ("to declare", clocks.t2),
        ("to act", clocks.t3),
        ("to be up", clocks.t4),
        ("to be verified", verified),
        ("since then", verified.is_none().then_some(look.now)),
    ];
    let (mut before, mut parts) = (start, Vec::new());
    for (what, at) in moments.into_iter().filter_map(|(what, at)| Some((what, at?))) {
        // Where two came in another order, the later one took no time of its own.
        parts.push((what, seconds_between(before, at).max(0.0)));
        before = before.max(at);
    }
    let bars = match look.app.options.reduced_motion {
        true => String::new(),
        false => of_lengths(&parts.iter().map(|(_, seconds)| *seconds).collect::<Vec<_>>()) + " ",
    };
    let words: Vec<String> = parts.iter().map(|(what, seconds)| format!("{what} {}", clock(*seconds))).collect();
    let text =
        format!("{bars}{} of {}: {}", clock(urgent.elapsed.unwrap_or(0.0)), clock(urgent.target), words.join(" · "));
    let role = header::standing(&urgent).2;
    let parts = wrap(&text, columns.saturating_sub(LABEL)).into_iter().enumerate();
    parts.map(|(nth, part)| row(look, if nth == 0 { "RTO spent" } else { "" }, part, role)).collect()
}

fn moment_line(look: &Look<'_>, words: &str, at: Option<At>, start: Option<At>, columns: usize) -> Line<'static> {
    let Some(at) = at else {
        return Line::from(look.span(format!("{} {words}", column("—", LABEL - 1)), Role::Faint));
    };
    let after = start.map(|start| seconds_between(start, at)).filter(|after| *after >= 1.0);
    let after = after.map_or(String::new(), |after| format!("  +{}", clock(after)));
    let mut row = Row::new(columns);
    row.left(Piece::from(look.span(format!("{} ", column(&look.time_of_day(at), LABEL - 1)), Role::Dim)).rank(0));
    row.left(Piece::from(look.span(words.to_owned(), Role::Text)).rank(2).cut_to(1));
    // How long it took is what counts: it is never the part that is cut.
    row.left(Piece::from(look.span(after, Role::Dim)).rank(1));
    row.into_line()
}

fn attached(look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let who = look.snap.live.attached.iter();
    who.map(|(session, who)| {
        let armed = look.snap.state.armed.contains_key(session);
        let what = match (who.read_only, armed) {
            (true, _) => "read-only",
            (_, true) => "ARMED",
            _ => "view only",
        };
        let you = if *session == look.app.session { " (you)" } else { "" };
        let sees = match &who.looks_at {
            Some(Gaze { pane, step: Some(step) }) => format!(", at {pane}, {step}"),
            Some(Gaze { pane, step: None }) => format!(", at {pane}"),
            None => String::new(),
        };
        let text = format!("{}{you}, {what}{sees}, for {}", who.name, rough_age(look.since(who.since)));
        row(look, "attached", fit(&text, columns.saturating_sub(LABEL)).into_owned(), Role::Text)
    })
    .collect()
}

fn row(look: &Look<'_>, label: &str, text: String, role: Role) -> Line<'static> {
    Line::from(vec![look.span(column(label, LABEL), Role::Dim), look.span(text, role)])
}
