//! The walkthrough, one page at a time over the whole screen: what to do, why, what Mayday sees and how old that is, and the keys.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Widget};

use crate::domain::checklist::Standing;
use crate::domain::ids::ItemId;
use crate::domain::walkthrough::{self, Act, Fact, Key, Page, Stage};

use super::super::advice::{Advice, press};
use super::super::app::{App, Scroll};
use super::super::format::{age, column, fit, width, wrap};
use super::super::keymap::{self, Action, Danger};
use super::super::look::Look;
use super::super::mark;
use super::super::theme::Role;
use super::super::widgets::row::{Row, cut_line};
use super::key_lines;

/// The column of labels.
const LABEL: usize = 6;
/// The column of what a fact is about is as wide as it needs to be, within these.
const OF: (usize, usize) = (8, 22);
/// No line of text is longer than is pleasant to read.
const PLEASANT: usize = 100;

/// Where the operator is in it.
pub struct Walk {
    pub key: Key,
    pub scroll: Scroll,
}

impl Walk {
    /// At what is to be done now.
    pub fn begin(app: &App) -> Option<Self> {
        let pages = pages(app);
        let at = pages.get(walkthrough::current(&pages))?;
        Some(Self { key: at.key.clone(), scroll: Scroll::default() })
    }

    /// Goes to another page, stopping at the ends.
    pub fn go(&mut self, app_pages: &[Page], by: isize) {
        let at = app_pages.iter().position(|page| page.key == self.key).unwrap_or(0);
        let at = at.saturating_add_signed(by).min(app_pages.len().saturating_sub(1));
        if let Some(page) = app_pages.get(at) {
            *self = Self { key: page.key.clone(), scroll: Scroll::default() };
        }
    }

    /// From an item that was answered to the next page that is not done.
    pub fn leave(&mut self, pages: &[Page], item: &ItemId) {
        if self.key != Key::Item(item.clone()) {
            return;
        }
        let at = pages.iter().position(|page| page.key == self.key).unwrap_or(0);
        let next = pages.iter().skip(at + 1).chain(pages.iter().take(at)).find(|page| !page.done);
        if let Some(page) = next.or(pages.last()) {
            *self = Self { key: page.key.clone(), scroll: Scroll::default() };
        }
    }
}

/// Every page as things stand.
pub fn pages(app: &App) -> Vec<Page> {
    app.mirror.as_ref().map(|mirror| walkthrough::pages(mirror, app.now())).unwrap_or_default()
}

/// The page that is shown: the one that was asked for, or what is to be done where that is gone.
pub fn page(app: &App, walk: &Walk) -> Option<Page> {
    let mut pages = pages(app);
    let at = pages.iter().position(|page| page.key == walk.key).unwrap_or_else(|| walkthrough::current(&pages));
    (at < pages.len()).then(|| pages.swap_remove(at))
}

/// The action of the keymap that does it.
pub fn action(act: Act) -> Action {
    match act {
        Act::Declare => Action::Declare,
        Act::TakeCommand => Action::TakeCommand,
        Act::SetSeverity => Action::SetSeverity,
        Act::RunPlan => Action::RunPlan,
        Act::AnswerStep => Action::Open,
        Act::Release => Action::Hold,
        Act::Close => Action::CloseIncident,
        Act::Tick => Action::GoOn,
        Act::Report => Action::Report,
        Act::Acknowledge => Action::Acknowledge,
        Act::Tell => Action::Tell,
    }
}

/// What to do on this page, for the line that always says what is next.
pub fn advice(app: &App, walk: &Walk) -> Option<Advice> {
    let page = page(app, walk)?;
    let last = pages(app).last().is_some_and(|last| last.key == page.key);
    let act = page.acts.first().copied().filter(|_| !page.done);
    let Some(act) = act else {
        return Some(match (page.done, last) {
            (true, true) => press(Action::Back, Role::Good, "done: this was the last page, back to the cockpit"),
            (true, false) => press(Action::NextPage, Role::Good, "done; on to the next page"),
            (false, true) => press(Action::Back, Role::Good, "nothing to press here; back to the cockpit, or wait"),
            (false, false) => {
                press(Action::NextPage, Role::Good, "nothing to press here; on to the next page, or wait")
            }
        });
    };
    let changes = keymap::of(action(act)).danger == Danger::Changes || act == Act::RunPlan;
    if changes && app.armed().is_none() && !app.read_only {
        return Some(press(Action::Arm, Role::Warn, format!("arm this cockpit, to {}", words(&page, act))));
    }
    Some(press(Action::GoOn, Role::Warn, words(&page, act)))
}

/// What `Enter` does, in a few words.
fn words(page: &Page, act: Act) -> String {
    match act {
        Act::Declare => "declare an incident".into(),
        Act::TakeCommand => "take command".into(),
        Act::SetSeverity => "change the severity".into(),
        Act::RunPlan => "choose a plan and run it".into(),
        Act::AnswerStep => "open the card of the step that waits".into(),
        Act::Release => "release the HOLD".into(),
        Act::Close => "close the incident".into(),
        Act::Tick => format!("tick “{}”", page.title),
        Act::Report => "read the report".into(),
        Act::Acknowledge => "acknowledge: you work on it".into(),
        Act::Tell => "see what would be said, and send it".into(),
    }
}

pub fn draw(look: &Look<'_>, walk: &Walk, frame: &mut Frame<'_>, area: Rect) {
    let pages = pages(look.app);
    let Some(page) = page(look.app, walk) else { return };
    Clear.render(area, frame.buffer_mut());
    frame.buffer_mut().set_style(area, look.style(Role::Screen));
    let area = beside(look, &pages, &page, area, frame);
    let columns = usize::from(area.width);
    let keys = key_lines(look, &keys(look, &page), columns);
    let air = usize::from(area.height >= 22);
    let mut head = vec![strip(look, &pages, page.stage, columns)];
    head.extend((0..air).map(|_| Line::default()));
    head.push(title(look, &pages, &page, columns));
    let foot = keys.len() + air;
    let height = usize::from(area.height).saturating_sub(head.len() + foot);
    let lines = lines(look, &page, columns, air > 0);
    let top = walk.scroll.clamp(lines.len(), height);
    let hidden = lines.len().saturating_sub(top + height);
    let mark = if hidden > 0 { format!(" … {}: {hidden} more ", keymap::key(Action::Down)) } else { String::new() };
    let mut shown = head;
    shown.extend(lines.into_iter().skip(top).take(height));
    let mut shown: Vec<Line<'static>> = shown.into_iter().map(|line| cut_line(line, columns)).collect();
    if let Some(last) = shown.last_mut().filter(|_| hidden > 0) {
        *last = cut_line(std::mem::take(last), columns.saturating_sub(width(&mark)));
    }
    Paragraph::new(shown).render(area, frame.buffer_mut());
    if hidden > 0 {
        let y = area.bottom().saturating_sub(u16::try_from(foot).unwrap_or(0) + 1).max(area.y);
        let place = Rect { y, height: 1, ..area };
        Line::from(look.span(mark, Role::Accent)).right_aligned().render(place, frame.buffer_mut());
    }
    let below = u16::try_from(keys.len()).unwrap_or(0).min(area.height);
    Paragraph::new(keys).render(Rect { y: area.bottom() - below, height: below, ..area }, frame.buffer_mut());
}

/// From so many columns on, all pages are listed beside the one that is shown, which is no wider than is pleasant.
const BESIDE: u16 = 170;
const SHOWN: u16 = 124;

/// Lists all pages where there is room; says what is left for the one that is shown.
fn beside(look: &Look<'_>, pages: &[Page], shown: &Page, area: Rect, frame: &mut Frame<'_>) -> Rect {
    if area.width < BESIDE {
        return area;
    }
    let list = Rect { x: area.x + SHOWN + 4, width: area.width - SHOWN - 4, ..area };
    let columns = usize::from(list.width);
    let mut lines = vec![Line::from(look.span("all pages", Role::Title))];
    let mut stage = None;
    for page in pages {
        if stage != Some(page.stage) {
            lines.extend([Line::default(), Line::from(look.span(page.stage.to_string(), Role::Faint))]);
            stage = Some(page.stage);
        }
        let (glyph, word, role) = state(look, page);
        let here = page.key == shown.key;
        let mut row = Row::new(columns);
        row.left(look.span(if here { "▸" } else { " " }, Role::Accent));
        row.left(look.span(format!("{glyph} "), role));
        row.left(look.span(page.title.clone(), if here { Role::Strong } else { Role::Text }));
        row.right(look.span(word, role));
        lines.push(row.into_line());
    }
    Paragraph::new(lines).render(list, frame.buffer_mut());
    Rect { width: SHOWN, ..area }
}

/// `✓ alert ─ ✓ assess ─ ▸ execute ─ ○ communicate ─ ○ recover 0/5 ─ ○ review`; where there is less room, only the stage that is shown
/// has its name.
fn strip(look: &Look<'_>, pages: &[Page], shown: Stage, columns: usize) -> Line<'static> {
    let whole = stages(look, pages, shown, true);
    let line = if whole.width() <= columns { whole } else { stages(look, pages, shown, false) };
    cut_line(line, columns)
}

fn stages(look: &Look<'_>, pages: &[Page], shown: Stage, names: bool) -> Line<'static> {
    let mut spans = Vec::new();
    for (stage, progress, done, all) in walkthrough::stages(pages) {
        let mark = mark::progress(progress);
        let name = if names || stage == shown { format!(" {stage}") } else { String::new() };
        let count = if stage == Stage::Recover { format!(" {done}/{all}") } else { String::new() };
        let gap = if spans.is_empty() { "" } else { " ─ " };
        spans.push(look.span(gap, Role::Rule));
        let role = if stage == shown { Role::TitleFocused } else { mark.role };
        spans.push(look.span(format!("{}{name}{count}", mark.glyph), role));
    }
    Line::from(spans)
}

/// The title, and which page of how many this is.
fn title(look: &Look<'_>, pages: &[Page], page: &Page, columns: usize) -> Line<'static> {
    let at = pages.iter().position(|other| other.key == page.key).unwrap_or(0);
    let place = format!(" {} {} of {}", page.stage, at + 1, pages.len());
    let (glyph, word, role) = state(look, page);
    let title = format!("{glyph} {} ", fit(&page.title, columns.saturating_sub(width(&place) + width(word) + 8)));
    let rule = columns.saturating_sub(width(&title) + width(word) + 3 + width(&place));
    Line::from(vec![
        look.span(title, Role::TitleFocused),
        look.span("─".repeat(rule), Role::Rule),
        look.span(format!(" {word} ·"), role),
        look.span(place, Role::Dim),
    ])
}

fn state(look: &Look<'_>, page: &Page) -> (&'static str, &'static str, Role) {
    if let Key::Item(id) = &page.key {
        let incident = look.snap.state.incident.as_ref();
        let standing = incident.and_then(|it| it.checklist.item(id)).map_or(Standing::Open, |it| it.standing());
        let mark = mark::standing(standing);
        return (mark.glyph, mark.word, mark.role);
    }
    match page.done {
        true => ("✓", "done", Role::Good),
        false => ("○", "open", Role::Warn),
    }
}

fn lines(look: &Look<'_>, page: &Page, columns: usize, airy: bool) -> Vec<Line<'static>> {
    let mut out = Vec::new();
    out.extend(airy.then(Line::default));
    out.extend(labelled(look, "do", &page.what, Role::Text, columns));
    out.extend(airy.then(Line::default));
    out.extend(labelled(look, "why", &page.why, Role::Dim, columns));
    out.push(Line::default());
    let of = page.facts.iter().map(|fact| width(short(&fact.of))).max().unwrap_or(0).clamp(OF.0, OF.1).min(columns / 3);
    for (nth, fact) in page.facts.iter().enumerate() {
        out.extend(fact_lines(look, fact, nth == 0, of, columns));
    }
    if !page.said.is_empty() {
        out.push(Line::default());
        for text in &page.said {
            let role = if page.done { Role::Good } else { Role::Warn };
            out.extend(labelled(look, if page.done { "said" } else { "!" }, text, role, columns));
        }
    }
    out
}

fn labelled(look: &Look<'_>, label: &str, text: &str, role: Role, columns: usize) -> Vec<Line<'static>> {
    let room = columns.saturating_sub(LABEL).clamp(10, PLEASANT);
    let lines = wrap(text, room).into_iter().enumerate();
    lines
        .map(|(nth, text)| {
            let label = if nth == 0 { label } else { "" };
            Line::from(vec![look.span(column(label, LABEL), Role::Accent), look.span(text, role)])
        })
        .collect()
}

/// `sees  ✗ http.integrity   of what was written …, rds misses 1 of 40      3s ago`
fn fact_lines(look: &Look<'_>, fact: &Fact, first: bool, of: usize, columns: usize) -> Vec<Line<'static>> {
    let mark = fact.evidence.map(mark::evidence);
    let glyph = mark.map_or("·", |mark| mark.glyph);
    let role = mark.map_or(Role::Dim, |mark| mark.role);
    let old = fact.at.map(|at| format!("{} ago", age(look.since(at)))).unwrap_or_default();
    let room = columns.saturating_sub(LABEL + 2 + of + 1 + width(&old) + 1).max(10);
    let words = if role == Role::Good || role == Role::Dim { Role::Text } else { role };
    let mut out = Vec::new();
    for (nth, text) in wrap(&fact.text, room).into_iter().enumerate() {
        let mut row = Row::new(columns);
        row.left(look.span(column(if first && nth == 0 { "sees" } else { "" }, LABEL), Role::Accent));
        if nth == 0 {
            row.right(look.span(old.clone(), Role::Faint));
            row.left(look.span(format!("{glyph} "), role));
            row.left(look.span(format!("{} ", column(short(&fact.of), of)), Role::Dim));
        } else {
            row.left(Span::raw(" ".repeat(2 + of + 1)));
        }
        row.left(look.span(text, words));
        out.push(row.into_line());
    }
    out
}

/// A check without the item that it belongs to: `data-integrity.http.integrity` is `http.integrity`.
fn short(of: &str) -> &str {
    of.split_once('.').map_or(of, |(_, kind)| if kind.contains('.') { kind } else { of })
}

/// The keys that do something on this page.
fn keys(look: &Look<'_>, page: &Page) -> Vec<(&'static str, String)> {
    let app = look.app;
    let mut keys = Vec::new();
    if let Some(act) = page.acts.first() {
        let what = if *act == Act::Tick { "tick".to_owned() } else { words(page, *act) };
        keys.push((keymap::key(Action::GoOn), what));
    }
    if matches!(page.key, Key::Item(_)) && app.has_incident() {
        if page.done {
            keys.push((keymap::key(Action::ReopenItem), "reopen".into()));
        } else {
            keys.push((keymap::key(Action::SkipItem), "skip".into()));
        }
        keys.push((keymap::key(Action::LookAtItem), "look again".into()));
    }
    if page.stage == Stage::Alert {
        keys.push((keymap::key(Action::Contacts), keymap::of(Action::Contacts).title.into()));
    }
    if app.armed().is_none() && !app.read_only {
        keys.push((keymap::key(Action::Arm), "arm".into()));
    }
    keys.push((keymap::key(Action::NextPage), "next".into()));
    keys.push((keymap::key(Action::PreviousPage), "previous".into()));
    keys.push(("Esc", "back".into()));
    keys
}
