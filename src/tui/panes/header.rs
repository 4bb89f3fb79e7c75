//! The header: which incident, in what state this cockpit is, how the engine is reached; and every clock, always.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget};

use crate::domain::clock::{self as clocks_of, Drift};
use crate::domain::comms::{PageStanding, due, page_standing, unreached};
use crate::domain::decide::clocks_if_declared;
use crate::domain::estate::{DataClass, Tier};
use crate::domain::incident::Clocks;
use crate::domain::outlook::outlook;
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Loss;
use crate::domain::remedy;
use crate::domain::time::{At, seconds_between};
use crate::domain::verdict::{self, RpoVerdict, RtoVerdict};

use super::super::app::{App, Link};
use super::super::format::{self, age, clock, column, length, right, width};
use super::super::keymap::{self, Action};
use super::super::look::Look;
use super::super::theme::Role;
use super::super::widgets::digits;
use super::super::widgets::gauge::Gauge;
use super::super::widgets::row::{Piece, Row, cut_line};
use super::headline::{self, rank};
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
/// The columns of the RPO when nothing of it is missing, and when nothing that decides is.
const RPO: usize = 36;
const RPO_LEAST: usize = 31;
/// What is said where there is no room for the word.
const SHORT: &[(&str, &str)] = &[("estimated", "est."), ("measured", "meas"), ("exposed", "now")];

/// The first row: what holds for the whole screen. What has happened and how long is left are cut last.
pub fn bar(app: &App, look: Option<&Look<'_>>, area: Rect, buffer: &mut Buffer) {
    let bar = app.theme.of(Role::Bar);
    buffer.set_style(area, bar);
    let mut row = Row::new(usize::from(area.width));
    let peace = look.is_none_or(|look| look.snap.state.incident.is_none());
    if peace {
        row.left(Piece::from(Span::styled(" MAYDAY ", bar.patch(app.theme.of(Role::Strong)))).or("").rank(rank::TITLE));
    }
    if let Some(look) = look {
        let name = if peace { format!("{}  ", look.snap.estate.name) } else { format!("  {}", look.snap.estate.name) };
        let name = Piece::from(Span::styled(name, bar.patch(app.theme.of(Role::Dim)))).cut_to(8);
        let headline = headline::pieces(look, bar);
        // Where there is little room, what has happened matters more than where.
        if peace {
            row.left(name.rank(rank::PHASE));
            headline.into_iter().chain(calm(look, bar)).for_each(|piece| row.add(piece));
        } else {
            headline.into_iter().for_each(|piece| row.add(piece));
            if area.width >= NAMED {
                row.left(name.rank(rank::NAME));
            }
        }
    }
    for piece in status(app, bar, area.width >= NAMED).into_iter().rev() {
        row.right(piece);
    }
    let line = row.into_line();
    Paragraph::new(line.style(bar)).render(area, buffer);
}

/// In peace: that there is no incident, and what should be seen to.
fn calm(look: &Look<'_>, bar: ratatui::style::Style) -> Vec<Piece> {
    let words = Span::styled(" no incident ", bar.patch(look.style(Role::Dim)));
    let mut out = vec![Piece::from(words).rank(rank::ID)];
    if !look.snap.live.config_changed.is_empty() {
        let text = " config changed on disk, not loaded → mayday engine reload";
        out.push(Piece::from(Span::styled(text, bar.patch(look.style(Role::Warn)))).rank(rank::ID));
    }
    if let Some((notice, role)) = drills::notice(look) {
        out.push(Piece::from(Span::styled(format!(" {notice}"), bar.patch(look.style(role)))).rank(rank::LEFT));
    }
    out
}

/// HOLD, whether this cockpit may act, and how the engine is reached, with the age of what is on screen; each with its rank.
fn status(app: &App, bar: ratatui::style::Style, wide: bool) -> Vec<Piece> {
    let theme = &app.theme;
    let piece = |text: String, style, rank| Piece::from(Span::styled(text, style)).rank(rank);
    let mut out = Vec::new();
    if app.mirror.as_ref().is_some_and(|mirror| !mirror.live.config_changed.is_empty()) {
        out.push(piece(" config not loaded ".into(), bar.patch(theme.of(Role::Warn)), rank::UPDATE));
    }
    let held = app.mirror.as_ref().is_some_and(|mirror| mirror.state.hold.is_some());
    if held {
        let badge = theme.of(Role::BadgeWarn);
        let long = Piece::from(Span::styled(keyed("HOLD", Action::Hold), badge));
        out.push(long.or(Span::styled(" HOLD ", badge)).rank(rank::ALARM).stays());
    }
    let drift = app.mirror.as_ref().map_or_else(Drift::default, |mirror| mirror.state.clock.drift);
    if !drift.is_none() {
        let words = format!(" HOST CLOCK {} off ", clocks_of::length(drift.0));
        out.push(piece(words, theme.of(Role::BadgeWarn), rank::UPDATE));
    }
    if let Some(engines) = app.mirror.as_ref().and_then(|mirror| mirror.live.engines.as_deref()) {
        let (style, rank) = match engines.trouble() {
            Some(_) => (theme.of(Role::BadgeWarn), rank::ALARM),
            None => (bar.patch(theme.of(Role::Dim)), rank::OTHERS),
        };
        out.push(piece(format!(" {} ", engines.badge()), style, rank));
    }
    let here = app.mirror.as_ref().map_or(0, |mirror| mirror.live.attached.len());
    if here > 1 {
        out.push(piece(format!(" {here} here "), bar.patch(theme.of(Role::Dim)), rank::OTHERS));
    }
    out.extend(page(app).filter(|_| wide).map(|span| Piece::from(span).rank(rank::PAGE)));
    out.extend(update(app, bar).map(|piece| piece.rank(rank::UPDATE)));
    out.push(match app.armed() {
        _ if app.read_only => piece(" read-only ".into(), theme.of(Role::BadgeCalm), rank::ARMED),
        Some(left) => piece(format!(" ARMED {}m ", (left / 60.0).ceil()), theme.of(Role::BadgeArmed), rank::ARMED),
        None => piece(" view only ".into(), theme.of(Role::BadgeCalm), rank::ARMED),
    });
    out.push(reached(app, bar));
    out
}

/// How the engine is reached: that it is lost is said on every screen.
fn reached(app: &App, bar: ratatui::style::Style) -> Piece {
    let theme = &app.theme;
    let old = age(seconds_between(app.heard, app.at));
    let forms = |words: [String; 3], style| {
        let [long, short, least] = words.map(|words| Span::styled(words, style));
        Piece::from(long).or(short).or(least).rank(rank::ALARM).stays()
    };
    match &app.link {
        Link::Live if seconds_between(app.heard, app.at) < FRESH => {
            Piece::from(Span::styled(" ● live ", bar.patch(theme.of(Role::Good)))).rank(rank::LIVE)
        }
        Link::Live => forms(
            [format!(" ◌ waiting for the engine {old} "), format!(" ◌ waiting {old} "), " ◌ waiting ".into()],
            bar.patch(theme.of(Role::Warn)),
        ),
        Link::Connecting => {
            Piece::from(Span::styled(" ◌ connecting ", bar.patch(theme.of(Role::Busy)))).rank(rank::LIVE)
        }
        Link::Lost { .. } => forms(
            [format!(" ✗ ENGINE LOST, {old} old "), format!(" ✗ LOST {old} "), " ✗ LOST ".into()],
            theme.of(Role::BadgeBad),
        ),
    }
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

/// What is about to go out and can be taken back, who was not reached, or when the next update is due: amber, then red.
fn update(app: &App, bar: ratatui::style::Style) -> Option<Piece> {
    let (mirror, now, theme) = (app.mirror.as_ref()?, app.now(), &app.theme);
    // Its key is part of every form: a badge that does not say what to press is of no help.
    let forms = |long: String, short: String, role| {
        let style = theme.of(role);
        Piece::from(Span::styled(long, style)).or(Span::styled(short, style))
    };
    if let Some(posted) = mirror.state.outbox.recallable(now) {
        let left = seconds_between(now, posted.message.send_at).ceil();
        let long = format!(" SENDING in {left:.0}s, {} takes back ", keymap::key(Action::Tell));
        return Some(forms(long, keyed(&format!("SENDING {left:.0}s"), Action::Tell), Role::BadgeWarn));
    }
    if let Some(it) = unreached(&mirror.estate, &mirror.state) {
        let key = Pane::Communications.key();
        let who: Vec<&str> = it.audiences.iter().map(|audience| audience.word()).collect();
        let (long, short) = match it.everybody {
            true => (format!(" UPDATE FAILED · {key} "), format!(" FAILED · {key} ")),
            false => (format!(" {} NOT TOLD · {key} ", who.join(", ")), format!(" NOT TOLD · {key} ")),
        };
        return Some(forms(long, short, Role::BadgeBad));
    }
    let next = due(&mirror.estate, &mirror.state)?;
    let left = seconds_between(now, next.at);
    Some(match left {
        left if left < 0.0 => {
            let long = keyed(&format!("UPDATE OVERDUE {}", age(-left)), Action::Tell);
            forms(long, keyed("OVERDUE", Action::Tell), Role::BadgeBad)
        }
        left if left < 120.0 => {
            let long = keyed(&format!("update due {}", clock(left)), Action::Tell);
            forms(long, keyed(&format!("due {}", clock(left)), Action::Tell), Role::BadgeWarn)
        }
        left => {
            let words = format!(" update {}m ", (left / 60.0).floor());
            Span::styled(words, bar.patch(theme.of(Role::Dim))).into()
        }
    })
}

/// A badge with the key that deals with it: ` UPDATE OVERDUE 27s · u `.
fn keyed(words: &str, action: Action) -> String {
    format!(" {words} · {} ", keymap::key(action))
}

/// The three rows of clocks: RTO per tier on the left, RPO per data class on the right; big digits where there is room.
pub fn clocks(look: &Look<'_>, area: Rect, buffer: &mut Buffer) {
    let big = if area.width >= BIG && !look.app.options.reduced_motion { big(look, area, buffer) } else { 0 };
    let area = Rect { x: area.x + big, width: area.width - big, ..area };
    let columns = usize::from(area.width);
    let state = &look.snap.state;
    let verdicts = state.incident.as_ref().map(|it| verdict::rto(&look.snap.estate, it, look.now)).unwrap_or_default();
    let ghost = if state.incident.is_none() { ghost(look) } else { None };
    let needs = if ghost.is_some() { LABEL + TIER + GHOST + 1 } else { Widths::needs(&verdicts) };
    // What is promised is read together with what is spent: the clocks have what they need first.
    let rpo = (columns * 9 / 20)
        .max(RPO.min(columns.saturating_sub(needs)))
        .min(columns.saturating_sub(needs))
        .max(RPO_LEAST);
    let rpo = rpo.min(columns);
    let rto = columns - rpo;
    let lines: Vec<(Line<'static>, Line<'static>)> = match &state.incident {
        Some(incident) => {
            let run = look.app.shown_run();
            let fit = Widths::of(&verdicts, rto);
            let mut rtos = verdicts.into_iter();
            let mut rpos = verdict::rpo(&look.snap.estate, incident, run).into_iter();
            (0..CLOCKS)
                .map(|row| (rto_line(look, row, rtos.next(), &fit), rpo_line(look, row, rpos.next(), rpo)))
                .collect()
        }
        None => {
            let left = |row| target_line(look, row, ghost.as_ref(), rto.saturating_sub(1));
            let lost = ghost.as_ref().and_then(Clocks::written_until);
            (0..CLOCKS).map(|row| (left(row), exposure_line(look, row, lost, rpo))).collect()
        }
    };
    for (row, (left, right)) in (area.y..).zip(lines) {
        let (left, right) = (cut_line(left, rto.saturating_sub(1)), cut_line(right, rpo));
        buffer.set_line(area.x, row, &left, u16::try_from(rto).unwrap_or(area.width));
        let x = area.x + u16::try_from(rto).unwrap_or(area.width);
        buffer.set_line(x, row, &right, u16::try_from(rpo).unwrap_or(0));
    }
}

/// How the rows of the RTO are laid out: alike, whatever their clocks show.
struct Widths {
    label: usize,
    /// Of the gauge.
    bar: usize,
    /// Of what is spent, with the promise or without; 0 where there is room for neither.
    spent: usize,
    whole: bool,
    words: usize,
    since: bool,
}

const LABEL: usize = 5;
const TIER: usize = 9;
/// `! would be 12:34 of 5:00`
const GHOST: usize = 24;

impl Widths {
    /// The columns that clock, promise and what is left of it take.
    fn needs(verdicts: &[RtoVerdict]) -> usize {
        let widest = |of: fn(&RtoVerdict) -> String| verdicts.iter().map(|it| width(&of(it))).max().unwrap_or(0);
        LABEL + TIER + 1 + widest(|it| spent(it, true)) + 1 + widest(left_words) + 1
    }

    fn of(verdicts: &[RtoVerdict], columns: usize) -> Self {
        let widest = |of: fn(&RtoVerdict) -> String| verdicts.iter().map(|it| width(&of(it))).max().unwrap_or(0);
        let words = widest(left_words);
        let rest = columns.saturating_sub(TIER + words + 1);
        let with = |label: usize, spent: usize| label + spent + 2 <= rest;
        let (both, one) = (widest(|it| spent(it, true)), widest(|it| spent(it, false)));
        let (label, spent, whole) = match () {
            () if with(LABEL, both) => (LABEL, both, true),
            () if with(1, both) => (1, both, true),
            () if with(LABEL, one) => (LABEL, one, false),
            () if with(1, one) => (1, one, false),
            () if LABEL < rest => (LABEL, 0, false),
            () => (1, 0, false),
        };
        let left = rest.saturating_sub(label + spent + 2);
        let since = left >= 12 + SINCE;
        let bar = (if since { left - SINCE } else { left }).min(if whole { 24 } else { 0 });
        Self { label, bar, spent, whole, words, since }
    }
}

/// `  12:34 since declared`
const SINCE: usize = 23;

/// `0:47/5:00`, or without the promise.
fn spent(verdict: &RtoVerdict, whole: bool) -> String {
    let bound = if verdict.at_least { ">" } else { "" };
    let elapsed = verdict.elapsed.map_or("?".into(), |elapsed| format!("{bound}{}", clock(elapsed)));
    if whole { format!("{elapsed}/{}", clock(verdict.target)) } else { elapsed }
}

fn left_words(verdict: &RtoVerdict) -> String {
    let (glyph, words, _) = standing(verdict);
    format!("{glyph} {words}")
}

/// The label of a column of clocks, in the first row.
fn label(look: &Look<'_>, row: u16, text: &str) -> Span<'static> {
    look.span(if row == 0 { format!(" {text} ") } else { "     ".into() }, Role::Accent)
}

/// How a clock stands: glyph, word and colour.
pub fn standing(verdict: &RtoVerdict) -> (&'static str, String, Role) {
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

fn rto_line(look: &Look<'_>, row: u16, verdict: Option<RtoVerdict>, fit: &Widths) -> Line<'static> {
    let label = |text| if fit.label == LABEL { label(look, row, text) } else { look.span(" ", Role::Accent) };
    let Some(verdict) = verdict else { return Line::from(label("RTO")) };
    let (_, _, role) = standing(&verdict);
    let gauge = Gauge::of(verdict.elapsed.unwrap_or(0.0) / verdict.target, forecast(look, &verdict), fit.bar);
    let gap = if fit.bar > 0 { " " } else { "" };
    let spent =
        if fit.spent > 0 { format!("{gap}{} ", right(&spent(&verdict, fit.whole), fit.spent)) } else { String::new() };
    let since = verdict.since_declared.filter(|_| fit.since);
    let since = since.map(|since| format!("  {} since declared", clock(since))).unwrap_or_default();
    Line::from(vec![
        label("RTO"),
        look.span(column(verdict.tier.word(), TIER), Role::Text),
        look.span(gauge.full, if role == Role::Text { Role::Busy } else { role }),
        look.span(gauge.ahead, Role::Dim),
        look.span(gauge.empty, Role::Rule),
        // One style with what follows: every second both change, and a change of style costs 36 bytes on the wire.
        look.span(spent, role),
        look.span(column(&left_words(&verdict), fit.words), role),
        look.span(since, Role::Dim),
    ])
}

/// The share of the RTO that will be spent when the run under way has recovered this tier, where every step left was timed.
fn forecast(look: &Look<'_>, verdict: &RtoVerdict) -> Option<f64> {
    let run = look.app.shown_run().filter(|run| run.is_open() && run.mode.acts() && !verdict.recovered)?;
    let recovers = |spec: &StepSpec| spec.recovers.contains(&verdict.tier);
    let left = outlook(run, look.snap.state.history.get(&run.plan.id), recovers, look.now);
    let seconds = left.projected().filter(|_| left.left > 0)?;
    Some((verdict.elapsed? + seconds) / verdict.target)
}

fn rpo_line(look: &Look<'_>, row: u16, verdict: Option<RpoVerdict>, columns: usize) -> Line<'static> {
    let Some(verdict) = verdict else { return Line::from(label(look, row, "RPO")) };
    let (seconds, how) = told(verdict.loss);
    class_line(look, row, columns, verdict.class, verdict.target, seconds, how)
}

fn told(loss: Loss) -> (Option<f64>, &'static str) {
    let how = match loss {
        Loss::Unknown => "",
        Loss::Estimated { .. } => "estimated",
        Loss::Measured { .. } => "measured",
    };
    (loss.seconds(), how)
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
    let over = if role == Role::Bad { " OVER" } else { "" };
    let quiet = if role == Role::Good { Role::Dim } else { role };
    let mut line = Row::new(columns);
    line.left(Piece::from(label(look, row, "RPO")).or(" ").rank(0));
    line.left(Piece::from(look.span(column(format::class(class), 10), Role::Text)).rank(0).stays());
    line.left(Piece::from(look.span(format!("{glyph} {lost}"), role)).rank(1).stays());
    line.left(Piece::from(look.span(format!(" of {}", column(&length(target), 3)), role)).rank(2));
    line.left(Piece::from(look.span(over, role)).rank(3));
    let short = SHORT.iter().find(|(long, _)| *long == how).map_or(how, |(_, short)| short);
    line.left(Piece::from(look.span(format!(" {how}"), quiet)).or(look.span(format!(" {short}"), quiet)).rank(4));
    line.into_line()
}

/// The clocks that would count if what is seen were declared now; `None` while there is nothing to declare.
fn ghost(look: &Look<'_>) -> Option<Clocks> {
    remedy::trouble(look.snap, look.now)?;
    let clocks = clocks_if_declared(&look.snap.estate, &look.snap.state, look.now);
    (!clocks.t0_is_declaration).then_some(clocks)
}

/// In peace: what was promised. In trouble that nobody has declared: how much of it has gone by.
fn target_line(look: &Look<'_>, row: u16, ghost: Option<&Clocks>, columns: usize) -> Line<'static> {
    let tier = Tier::ALL.get(usize::from(row)).copied();
    let found = tier.and_then(|tier| Some((tier, look.snap.estate.rto(tier)?)));
    let Some((tier, target)) = found else { return Line::from(label(look, row, "RTO")) };
    let target = target.as_secs_f64();
    let gone = ghost.and_then(|ghost| ghost.t0.get(&tier)).map(|t0| seconds_between(*t0, look.now).max(0.0));
    let (words, promise, role) = match gone {
        None => (format!("○ target {}", clock(target)), String::new(), Role::Dim),
        Some(gone) if gone > target => {
            (format!("✗ would be {}", clock(gone)), format!(" of {}", clock(target)), Role::Bad)
        }
        Some(gone) => (format!("! would be {}", clock(gone)), format!(" of {}", clock(target)), Role::Warn),
    };
    let mut line = Row::new(columns);
    line.left(Piece::from(label(look, row, "RTO")).or(" ").rank(3));
    line.left(Piece::from(look.span(column(tier.word(), TIER), Role::Text)).rank(0).stays());
    line.left(Piece::from(look.span(words, role)).rank(1).stays());
    line.left(Piece::from(look.span(promise, role)).rank(2));
    line.into_line()
}

/// In peace: what would be lost if the serving region vanished now. In trouble that nobody has declared: what is lost of what was written
/// until it began. The worst datastore of the class counts; unknown is worst.
fn exposure_line(look: &Look<'_>, row: u16, written_until: Option<At>, columns: usize) -> Line<'static> {
    let class = DataClass::ALL.get(usize::from(row)).copied();
    let found = class.and_then(|class| Some((class, look.snap.estate.rpo(class)?)));
    let Some((class, target)) = found else { return Line::from(label(look, row, "RPO")) };
    let (seconds, how) = match written_until {
        Some(at) => told(look.snap.loss_if_declared(class, at)),
        None => (look.snap.exposure(class, look.now), "exposed"),
    };
    class_line(look, row, columns, class, target.as_secs_f64(), seconds, how)
}

/// Draws what is left of the most urgent RTO in big digits; says how many columns that took.
fn big(look: &Look<'_>, area: Rect, buffer: &mut Buffer) -> u16 {
    let Some(incident) = &look.snap.state.incident else { return 0 };
    let Some(verdict) = headline::urgent(look, incident) else { return 0 };
    let Some(elapsed) = verdict.elapsed else { return 0 };
    let (_, _, role) = standing(&verdict);
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
