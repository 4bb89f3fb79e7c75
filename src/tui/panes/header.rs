//! The header: which incident, in what state this cockpit is, how the engine is reached; and every clock, always.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget};

use crate::domain::clock::{self as clocks_of, Drift};
use crate::domain::comms::{PageStanding, due, page_standing, unreached};
use crate::domain::decide::clocks_if_declared;
use crate::domain::estate::{DataClass, Tier};
use crate::domain::incident::{Clocks, Severity};
use crate::domain::recovery::Loss;
use crate::domain::remedy;
use crate::domain::time::seconds_between;
use crate::domain::verdict::{self, RpoVerdict, RtoVerdict};

use super::super::app::{App, Link};
use super::super::format::{self, age, clock, column, fit, length, right, width};
use super::super::keymap::{self, Action};
use super::super::look::Look;
use super::super::theme::Role;
use super::super::widgets::{digits, gauge::gauge};
use super::{Pane, drills};

/// Clocks take so many rows.
pub const CLOCKS: u16 = 3;
/// An engine that said something within so many seconds is live without a word about its age: it speaks every
/// second.
const FRESH: f64 = 2.5;
/// From this width on there is room for big digits.
const BIG: u16 = 116;
/// From this width on the name of the estate is shown beside an incident.
const NAMED: u16 = 100;
/// What is said where there is no room for the word.
const SHORT: &[(&str, &str)] = &[("estimated", "est."), ("measured", "meas"), ("exposed", "now")];

/// The first row: what holds for the whole screen.
pub fn bar(app: &App, look: Option<&Look<'_>>, area: Rect, buffer: &mut Buffer) {
    let bar = app.theme.of(Role::Bar);
    buffer.set_style(area, bar);
    let strong = app.theme.of(Role::Strong);
    let mut left = vec![Span::styled(" MAYDAY ", bar.patch(strong))];
    if let Some(look) = look {
        // Where there is little room, what has happened matters more than where.
        if area.width >= NAMED || look.snap.state.incident.is_none() {
            left.push(Span::styled(format!("{}  ", look.snap.estate.name), bar.patch(app.theme.of(Role::Dim))));
        }
        if look.app.run().is_some_and(|run| run.is_open() && !run.mode.acts()) {
            left.push(Span::styled(" REHEARSAL ", look.style(Role::BadgeCalm)));
        }
        left.extend(incident(look, bar));
    }
    let right = status(app, bar, area.width >= NAMED);
    let room = usize::from(area.width).saturating_sub(Line::from(right.clone()).width() + 1);
    let left = cut(left, room);
    Paragraph::new(Line::from(left)).render(area, buffer);
    Paragraph::new(Line::from(right).right_aligned()).render(area, buffer);
}

fn incident(look: &Look<'_>, bar: ratatui::style::Style) -> Vec<Span<'static>> {
    let Some(incident) = &look.snap.state.incident else {
        let mut words = vec![Span::styled("no incident", bar.patch(look.style(Role::Dim)))];
        if !look.snap.live.config_changed.is_empty() {
            let text = "  config changed on disk, not loaded → mayday engine reload";
            words.push(Span::styled(text, bar.patch(look.style(Role::Warn))));
        }
        if let Some((notice, role)) = drills::notice(look) {
            words.push(Span::styled(format!("  {notice}"), bar.patch(look.style(role))));
        }
        return words;
    };
    let badge = match incident.severity {
        Severity::Sev1 | Severity::Sev2 => Role::BadgeBad,
        Severity::Sev3 | Severity::Sev4 => Role::BadgeWarn,
    };
    let practice = if incident.drill { Span::styled(" DRILL ", look.style(Role::BadgeCalm)) } else { Span::default() };
    vec![
        Span::styled(format!(" {} ", incident.severity.word().to_uppercase()), look.style(badge)),
        practice,
        Span::styled(format!(" {} ", incident.id), bar.patch(look.style(Role::Strong))),
        Span::styled(format!("{}  ", incident.phase), bar.patch(look.style(Role::Accent))),
        Span::styled(incident.title.clone(), bar),
    ]
}

/// HOLD, whether this cockpit may act, and how the engine is reached, with the age of what is on screen.
fn status(app: &App, bar: ratatui::style::Style, wide: bool) -> Vec<Span<'static>> {
    let theme = &app.theme;
    let mut out = Vec::new();
    if app.mirror.as_ref().is_some_and(|mirror| !mirror.live.config_changed.is_empty()) {
        out.push(Span::styled(" config not loaded ", bar.patch(theme.of(Role::Warn))));
    }
    let held = app.mirror.as_ref().is_some_and(|mirror| mirror.state.hold.is_some());
    if held {
        out.push(Span::styled(keyed("HOLD", Action::Hold), theme.of(Role::BadgeWarn)));
        out.push(Span::styled(" ", bar));
    }
    let drift = app.mirror.as_ref().map_or_else(Drift::default, |mirror| mirror.state.clock.drift);
    if !drift.is_none() {
        out.push(Span::styled(format!(" HOST CLOCK {} off ", clocks_of::length(drift.0)), theme.of(Role::BadgeWarn)));
        out.push(Span::styled(" ", bar));
    }
    let here = app.mirror.as_ref().map_or(0, |mirror| mirror.live.attached.len());
    if here > 1 {
        out.push(Span::styled(format!(" {here} here "), bar.patch(theme.of(Role::Dim))));
    }
    out.extend(page(app).filter(|_| wide));
    out.extend(update(app, bar));
    out.push(match app.armed() {
        _ if app.read_only => Span::styled(" read-only ", theme.of(Role::BadgeCalm)),
        Some(left) => Span::styled(format!(" ARMED {}m ", (left / 60.0).ceil()), theme.of(Role::BadgeArmed)),
        None => Span::styled(" looking ", theme.of(Role::BadgeCalm)),
    });
    let silent = seconds_between(app.heard, app.at);
    let old = age(silent);
    out.push(match &app.link {
        Link::Live if silent < FRESH => Span::styled(" ● live ", bar.patch(theme.of(Role::Good))),
        Link::Live => Span::styled(format!(" ◌ waiting for the engine {old} "), bar.patch(theme.of(Role::Warn))),
        Link::Connecting => Span::styled(" ◌ connecting ", bar.patch(theme.of(Role::Busy))),
        Link::Lost { .. } => Span::styled(format!(" ✗ ENGINE LOST, {old} old "), theme.of(Role::BadgeBad)),
    });
    out
}

/// That nobody else will be woken while the page is not acknowledged.
fn page(app: &App) -> Option<Span<'static>> {
    let mirror = app.mirror.as_ref()?;
    match page_standing(&mirror.estate, &mirror.state)? {
        PageStanding::Open { escalates: None, escalated: false, .. } => {
            let words = format!(" NO ESCALATION · {} ", Pane::Communications.key());
            Some(Span::styled(words, app.theme.of(Role::BadgeWarn)))
        }
        _ => None,
    }
}

/// What is about to go out and can be taken back, or when the next update is due: amber, then red.
fn update(app: &App, bar: ratatui::style::Style) -> Option<Span<'static>> {
    let (mirror, now, theme) = (app.mirror.as_ref()?, app.now(), &app.theme);
    if let Some(posted) = mirror.state.outbox.recallable(now) {
        let left = seconds_between(now, posted.message.send_at).ceil();
        let key = keymap::key(Action::Tell);
        return Some(Span::styled(format!(" SENDING in {left:.0}s, {key} takes back "), theme.of(Role::BadgeWarn)));
    }
    if let Some(it) = unreached(&mirror.estate, &mirror.state) {
        let key = Pane::Communications.key();
        let who: Vec<&str> = it.audiences.iter().map(|audience| audience.word()).collect();
        let words = match it.everybody {
            true => format!(" UPDATE FAILED · {key} "),
            false => format!(" {} NOT TOLD · {key} ", who.join(", ")),
        };
        return Some(Span::styled(words, theme.of(Role::BadgeBad)));
    }
    let next = due(&mirror.estate, &mirror.state)?;
    let left = seconds_between(now, next.at);
    Some(match left {
        left if left < 0.0 => {
            let words = format!("UPDATE OVERDUE {}", age(-left));
            Span::styled(keyed(&words, Action::Tell), theme.of(Role::BadgeBad))
        }
        left if left < 120.0 => {
            Span::styled(keyed(&format!("update due {}", clock(left)), Action::Tell), theme.of(Role::BadgeWarn))
        }
        left => Span::styled(format!(" update {}m ", (left / 60.0).floor()), bar.patch(theme.of(Role::Dim))),
    })
}

/// A badge with the key that deals with it: ` UPDATE OVERDUE 27s · u `.
fn keyed(words: &str, action: Action) -> String {
    format!(" {words} · {} ", keymap::key(action))
}

/// Spans in at most `columns`.
fn cut(spans: Vec<Span<'static>>, columns: usize) -> Vec<Span<'static>> {
    let mut left = columns;
    let mut out = Vec::new();
    for span in spans {
        let text = fit(&span.content, left).into_owned();
        left -= width(&text).min(left);
        out.push(Span::styled(text, span.style));
    }
    out
}

/// The three rows of clocks: RTO per tier on the left, RPO per data class on the right; big digits where there is room.
pub fn clocks(look: &Look<'_>, area: Rect, buffer: &mut Buffer) {
    let big = if area.width >= BIG && !look.app.options.reduced_motion { big(look, area, buffer) } else { 0 };
    let area = Rect { x: area.x + big, width: area.width - big, ..area };
    let columns = usize::from(area.width);
    let rpo = columns * 9 / 20;
    let rto = columns - rpo;
    let state = &look.snap.state;
    let lines: Vec<(Line<'static>, Line<'static>)> = match &state.incident {
        Some(incident) => {
            let run = look.app.shown_run();
            let mut rtos = verdict::rto(&look.snap.estate, incident, look.now).into_iter();
            let mut rpos = verdict::rpo(&look.snap.estate, incident, run).into_iter();
            (0..CLOCKS)
                .map(|row| (rto_line(look, row, rtos.next(), rto), rpo_line(look, row, rpos.next(), rpo)))
                .collect()
        }
        None => {
            let ghost = ghost(look);
            (0..CLOCKS).map(|row| (target_line(look, row, ghost.as_ref()), exposure_line(look, row, rpo))).collect()
        }
    };
    for (row, (left, right)) in (area.y..).zip(lines) {
        buffer.set_line(area.x, row, &left, u16::try_from(rto).unwrap_or(area.width));
        let x = area.x + u16::try_from(rto).unwrap_or(area.width);
        buffer.set_line(x, row, &right, u16::try_from(rpo).unwrap_or(0));
    }
}

/// The label of a column of clocks, in the first row.
fn label(look: &Look<'_>, row: u16, text: &str) -> Span<'static> {
    look.span(if row == 0 { format!(" {text} ") } else { "     ".into() }, Role::Accent)
}

/// How a clock stands: glyph, word and colour.
fn standing(verdict: &RtoVerdict) -> (&'static str, String, Role) {
    let Some(elapsed) = verdict.elapsed else { return ("?", "unknown".into(), Role::Unknown) };
    let left = verdict.target - elapsed;
    match (verdict.recovered, verdict.met) {
        (true, Some(true)) => ("✓", "met".into(), Role::Good),
        (true, None) => ("?", "unknown".into(), Role::Unknown),
        (true, Some(false)) => ("✗", "MISSED".into(), Role::Bad),
        (false, Some(false)) => ("✗", format!("OVER {}", clock(-left)), Role::Bad),
        (false, _) if left < verdict.target * 0.4 => ("!", format!("{} left", clock(left)), Role::Warn),
        (false, _) => ("◔", format!("{} left", clock(left)), Role::Text),
    }
}

fn rto_line(look: &Look<'_>, row: u16, verdict: Option<RtoVerdict>, columns: usize) -> Line<'static> {
    let Some(verdict) = verdict else { return Line::from(label(look, row, "RTO")) };
    let (glyph, words, role) = standing(&verdict);
    let bound = if verdict.at_least { ">" } else { "" };
    let elapsed = verdict.elapsed.map_or("?".into(), |elapsed| format!("{bound}{}", clock(elapsed)));
    let spent = format!("{elapsed}/{}", clock(verdict.target));
    let since = verdict.since_declared.map(|since| format!("  {} since declared", clock(since)));
    let since = since.filter(|since| 5 + 9 + 16 + 1 + 12 + 13 + width(since) <= columns).unwrap_or_default();
    let bar = columns.saturating_sub(5 + 9 + 1 + 11 + 1 + 13 + width(&since)).min(24);
    let (full, empty) = gauge(verdict.elapsed.unwrap_or(0.0) / verdict.target, bar);
    Line::from(vec![
        label(look, row, "RTO"),
        look.span(column(verdict.tier.word(), 9), Role::Text),
        look.span(full, if role == Role::Text { Role::Busy } else { role }),
        look.span(empty, Role::Rule),
        // One style with what follows: every second both change, and a change of style costs 36 bytes on the wire.
        look.span(format!(" {} ", right(&spent, 11)), role),
        look.span(column(&format!("{glyph} {words}"), 13), role),
        look.span(since, Role::Dim),
    ])
}

fn rpo_line(look: &Look<'_>, row: u16, verdict: Option<RpoVerdict>, columns: usize) -> Line<'static> {
    let Some(verdict) = verdict else { return Line::from(label(look, row, "RPO")) };
    let how = match verdict.loss {
        Loss::Unknown => "",
        Loss::Estimated { .. } => "estimated",
        Loss::Measured { .. } => "measured",
    };
    let seconds = verdict.loss.seconds();
    class_line(look, row, columns, verdict.class, verdict.target, seconds, how)
}

/// One data class: what is or would be lost, against what may be.
fn class_line(
    look: &Look<'_>,
    row: u16,
    columns: usize,
    class: DataClass,
    target: f64,
    seconds: Option<f64>,
    how: &str,
) -> Line<'static> {
    let (glyph, role) = match seconds {
        None => ("?", Role::Unknown),
        Some(seconds) if seconds > target => ("✗", Role::Bad),
        Some(_) => ("✓", Role::Good),
    };
    let (lost, how) = match seconds {
        Some(seconds) => (right(&length(seconds), 7), how),
        None => ("unknown".into(), ""),
    };
    let words = format!("{glyph} {lost} of {} ", column(&length(target), 3));
    let over = if role == Role::Bad { "OVER " } else { "" };
    let room = columns.saturating_sub(5 + 10 + width(&words) + width(over));
    let how = SHORT.iter().find(|(long, _)| *long == how && width(long) > room).map_or(how, |(_, short)| short);
    Line::from(vec![
        label(look, row, "RPO"),
        look.span(column(format::class(class), 10), Role::Text),
        look.span(words, role),
        look.span(over, role),
        look.span(fit(how, room).into_owned(), if role == Role::Good { Role::Dim } else { role }),
    ])
}

/// The clocks that would count if what is seen were declared now; `None` while there is nothing to declare.
fn ghost(look: &Look<'_>) -> Option<Clocks> {
    remedy::trouble(look.snap, look.now)?;
    let clocks = clocks_if_declared(&look.snap.estate, &look.snap.state, look.now);
    (!clocks.t0_is_declaration).then_some(clocks)
}

/// In peace: what was promised. In trouble that nobody has declared: how much of it has gone by.
fn target_line(look: &Look<'_>, row: u16, ghost: Option<&Clocks>) -> Line<'static> {
    let tier = Tier::ALL.get(usize::from(row)).copied();
    let found = tier.and_then(|tier| Some((tier, look.snap.estate.rto(tier)?)));
    let Some((tier, target)) = found else { return Line::from(label(look, row, "RTO")) };
    let target = target.as_secs_f64();
    let gone = ghost.and_then(|ghost| ghost.t0.get(&tier)).map(|t0| seconds_between(*t0, look.now).max(0.0));
    let (words, role) = match gone {
        None => (format!("○ target {}", clock(target)), Role::Dim),
        Some(gone) if gone > target => (format!("✗ would be {} of {}", clock(gone), clock(target)), Role::Bad),
        Some(gone) => (format!("! would be {} of {}", clock(gone), clock(target)), Role::Warn),
    };
    Line::from(vec![label(look, row, "RTO"), look.span(column(tier.word(), 9), Role::Text), look.span(words, role)])
}

/// In peace: what would be lost if the serving region vanished now. The worst datastore of the class counts; unknown is worst.
fn exposure_line(look: &Look<'_>, row: u16, columns: usize) -> Line<'static> {
    let class = DataClass::ALL.get(usize::from(row)).copied();
    let found = class.and_then(|class| Some((class, look.snap.estate.rpo(class)?)));
    let Some((class, target)) = found else { return Line::from(label(look, row, "RPO")) };
    let seconds = look.snap.exposure(class, look.now);
    class_line(look, row, columns, class, target.as_secs_f64(), seconds, "exposed")
}

/// Draws what is left of the most urgent RTO in big digits; says how many columns that took.
fn big(look: &Look<'_>, area: Rect, buffer: &mut Buffer) -> u16 {
    let Some(incident) = &look.snap.state.incident else { return 0 };
    let verdicts = verdict::rto(&look.snap.estate, incident, look.now);
    let Some(verdict) = verdicts.iter().find(|verdict| !verdict.recovered).or(verdicts.first()) else { return 0 };
    let Some(elapsed) = verdict.elapsed else { return 0 };
    let (_, _, role) = standing(verdict);
    let (seconds, word) = match (verdict.recovered, verdict.target - elapsed) {
        (true, _) => (elapsed, "took"),
        (false, left) if left >= 0.0 => (left, "left"),
        (false, left) => (-left, "OVER"),
    };
    let rows = digits::rows(&clock(seconds));
    for (y, row) in (area.y..).zip(&rows) {
        buffer.set_string(area.x + 1, y, row, look.style(role));
    }
    let x = area.x + 2 + u16::try_from(width(&rows[0])).unwrap_or(0);
    buffer.set_string(x, area.y, verdict.tier.word(), look.style(Role::Text));
    buffer.set_string(x, area.y + 1, word, look.style(role));
    (x - area.x) + 10
}
