//! The panes: each turns the mirror into lines; this draws them all alike, with title, filter and scrolling.
//!
//! To add one: a file of its own with `pub fn body(look: &Look<'_>, room: Room) -> Body`, its `pub mod` line, and one row in
//! [`panes!`] below. The row gives it its name, its key and its place on the screen; keymap, help, palette, layout, scrolling, filter
//! and zoom follow from it.

mod alerts;
pub mod backups;
pub mod checklist;
pub mod communications;
pub mod datastores;
pub mod drills;
pub mod graph;
pub mod header;
pub mod headline;
pub mod incident;
pub mod plan;
pub mod readiness;
pub mod services;
pub mod step;
pub mod timeline;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Widget};

use crate::domain::estate::words;

use super::format::width;
use super::keymap::{self, Action};
use super::look::Look;
use super::theme::Role;
use super::widgets::row::{Piece, Row, cut_line};

/// Where a pane is shown when it has not all the room; see [`super::layout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It has a place of its own wherever there is room for it.
    Own,
    /// It takes turns in one place with the others of its kind.
    Aside,
    /// It wants room: asked for, it gets a whole column, or the whole of a small screen.
    Page,
    /// The same, but in peace it has a place of its own.
    Peace,
}

/// What is known of a pane besides its name.
struct Known {
    place: Place,
    body: fn(&Look<'_>, Room) -> Body,
}

macro_rules! panes {
    ($($module:ident $pane:ident $word:literal $key:literal $place:ident;)+) => {
        words! {
            /// The panes, in the order in which `Tab` goes through them.
            Pane { $($pane = $word,)+ }
        }
        const TABLE: &[Known] = &[$(Known { place: Place::$place, body: $module::body },)+];
        /// The keys that go to a pane, in the order of the table; the operator may have given others.
        pub const KEYS: &[&str] = &[$($key),+];
    };
}

panes! {
    // file     pane       name          key place
    services   Services   "services"   "1" Own;
    datastores Datastores "datastores" "2" Own;
    plan       Plan       "plan"       "3" Own;
    step       Step       "step"       "4" Own;
    timeline   Timeline   "timeline"   "5" Aside;
    incident   Incident   "incident"   "6" Page;
    backups    Backups    "backups"    "7" Peace;
    readiness  Readiness  "readiness"  "8" Peace;
    communications Communications "communications" "9" Page;
    drills     Drills     "drills"     "-" Page;
    checklist  Checklist  "checklist"  "0" Page;
}

/// The cells that a pane has for its lines, below its title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub columns: usize,
    pub height: usize,
}

/// Less of a title, or of what stands beside it, says nothing.
const TITLE: usize = 14;
const ASIDE: usize = 8;
/// How wide a pane is whose text is copied.
const COPIED: usize = 120;

/// What a pane shows.
#[derive(Default)]
pub struct Body {
    /// Right of the title.
    pub aside: String,
    /// The same where there is less room, if it can be said in fewer words.
    pub short: String,
    /// Instead of the pane's own name.
    pub title: Option<String>,
    /// Never scrolled nor filtered.
    pub head: Vec<Line<'static>>,
    pub lines: Vec<Line<'static>>,
    /// The line that has to be seen.
    pub reveal: Option<usize>,
    /// The end is what matters: it stays in view until the operator looks elsewhere.
    pub ends_matter: bool,
}

impl Pane {
    /// The key that goes to it.
    pub fn key(self) -> &'static str {
        keymap::of(Action::FocusPane).keys[self as usize]
    }

    /// The pane that a key goes to.
    pub fn of_key(key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|pane| pane.key() == key)
    }

    pub fn place(self) -> Place {
        TABLE[self as usize].place
    }

    /// The pane so many after this one in the table, around its ends.
    pub fn after(self, by: isize) -> Self {
        let len = Self::ALL.len();
        Self::ALL[(self as usize + len).saturating_add_signed(by) % len]
    }

    fn body(self, look: &Look<'_>, room: Room) -> Body {
        (TABLE[self as usize].body)(look, room)
    }

    /// What it would show if it had all the room it wants, as text.
    pub fn text(self, look: &Look<'_>) -> String {
        let mut body = self.body(look, Room { columns: COPIED, height: usize::MAX });
        self.filter(look, &mut body);
        let lines = body.head.into_iter().chain(body.lines);
        lines.map(|line| line.to_string().trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    /// Draws the pane: a title line, then its lines.
    pub fn draw(self, look: &Look<'_>, area: Rect, buffer: &mut Buffer) {
        if area.height < 2 || area.width < 8 {
            return;
        }
        let height = usize::from(area.height - 1);
        let mut body = self.body(look, Room { columns: usize::from(area.width), height });
        self.filter(look, &mut body);
        self.title(look, &body, area, buffer);
        let head = body.head.len().min(height);
        let height = height - head;
        let scroll = &look.app.scrolls[self as usize];
        let len = body.lines.len();
        if let Some(line) = body.reveal {
            scroll.reveal(line, height);
        }
        let top = if body.ends_matter { scroll.follow(len, height) } else { scroll.clamp(len, height) };
        let hidden = len.saturating_sub(top + height);
        let mark = if hidden > 0 && height > 0 { format!(" +{hidden} ") } else { String::new() };
        let shown = body.head.into_iter().chain(body.lines.into_iter().skip(top)).take(head + height);
        let shown = shown.map(|line| cut_line(line, usize::from(area.width)));
        let mut shown: Vec<Line<'static>> = shown.collect();
        // What says that there is more stands beside the last line, not over it.
        if let Some(last) = shown.last_mut().filter(|_| !mark.is_empty()) {
            *last = cut_line(std::mem::take(last), usize::from(area.width).saturating_sub(width(&mark)));
        }
        let text = Rect { y: area.y + 1, height: area.height - 1, ..area };
        Paragraph::new(shown).render(text, buffer);
        let x = area.right().saturating_sub(u16::try_from(width(&mark)).unwrap_or(0));
        buffer.set_string(x, area.bottom() - 1, mark, look.style(Role::Dim));
    }

    fn filter(self, look: &Look<'_>, body: &mut Body) {
        let Some((_, text)) = look.app.filter.as_ref().filter(|(pane, _)| *pane == self) else { return };
        let wanted = text.to_lowercase();
        body.lines.retain(|line| line.to_string().to_lowercase().contains(&wanted));
        body.reveal = None;
        body.aside = format!("/{text}  {} left", body.lines.len());
    }

    fn title(self, look: &Look<'_>, body: &Body, area: Rect, buffer: &mut Buffer) {
        let focused = look.app.focus == self;
        let role = if focused { Role::TitleFocused } else { Role::Title };
        let name = body.title.clone().unwrap_or_else(|| self.word().to_owned());
        let mut line = Row::new(usize::from(area.width));
        let title = look.span(format!("{} {name}", self.key()), role);
        line.left(Piece::from(title).rank(1).cut_to(TITLE));
        if !body.aside.is_empty() {
            let short = if body.short.is_empty() { body.aside.clone() } else { body.short.clone() };
            let aside = Piece::from(look.span(body.aside.clone(), Role::Dim)).or(look.span(short, Role::Dim));
            line.right(aside.rank(0).cut_to(ASIDE));
        }
        Paragraph::new(line.ruled(look.style(Role::Rule))).render(Rect { height: 1, ..area }, buffer);
    }
}
