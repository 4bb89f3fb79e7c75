//! What lies over the cockpit. The topmost layer handles input first; `Esc` takes it away.

pub mod card;
pub mod contacts;
pub mod form;
pub mod help;
pub mod markdown;
pub mod next;
pub mod palette;
pub mod plans;
pub mod shell;
pub mod targets;
pub mod tell;
pub mod walk;
pub mod wayback;

use ratatui::Frame;
use ratatui::crossterm::event::KeyEvent;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Paragraph, Widget};

use crate::domain::command::Ask;
use crate::domain::ids::StepId;

use super::app::Scroll;
use super::format::{column, fit, width, wrap};
use super::keymap::{self, Action, Context};
use super::look::Look;
use super::theme::Role;
use super::widgets::row::cut_line;

pub use form::{Field, Form, Purpose};
pub use walk::Walk;

/// How wide a layer is whose text is copied.
const COPIED: usize = 120;
pub use tell::Tell;

/// One layer.
pub enum Layer {
    Card(Card),
    Question(Question),
    Form(Box<Form>),
    Plans(Plans),
    Reader(Reader),
    Palette(Box<palette::Palette>),
    Walk(walk::Walk),
    Tell(Box<Tell>),
}

/// The card of a step.
pub struct Card {
    pub step: StepId,
    pub scroll: Scroll,
}

/// Yes or no.
pub struct Question {
    pub title: String,
    pub lines: Vec<String>,
    pub ask: Ask,
    pub said: String,
}

/// The list of plans.
pub struct Plans {
    pub at: usize,
}

/// A text to read.
pub struct Reader {
    pub title: String,
    pub text: Text,
    pub scroll: Scroll,
}

/// What a reader shows.
pub enum Text {
    /// As it is; what starts with `#` is a remark.
    Plain(Vec<String>),
    /// What the keys do there.
    Keys(Context),
    /// Whom to call.
    Contacts,
    /// A document as Mayday writes it.
    Markdown(String),
    /// What is unprotected, and how to move clients back.
    WayBack,
}

impl Layer {
    pub fn context(&self) -> Context {
        match self {
            Self::Card(_) => Context::Card,
            Self::Question(_) => Context::Question,
            Self::Form(_) => Context::Form,
            Self::Plans(_) => Context::Plans,
            Self::Reader(_) => Context::Reader,
            Self::Palette(_) => Context::Palette,
            Self::Walk(_) => Context::Walk,
            Self::Tell(tell) if tell.is_editing() => Context::Editor,
            Self::Tell(_) => Context::Tell,
        }
    }

    /// Whether a key, bound to `action` or to nothing, is text for this layer.
    pub fn takes_text(&self, action: Option<Action>) -> bool {
        match self {
            Self::Form(form) => match action {
                None => true,
                Some(Action::Less | Action::More) => !form.is_choosing(),
                Some(_) => false,
            },
            Self::Palette(_) => action.is_none(),
            Self::Tell(tell) => tell.is_editing() && action.is_none(),
            _ => false,
        }
    }

    pub fn type_key(&mut self, key: KeyEvent) {
        match self {
            Self::Form(form) => form.type_key(key),
            Self::Palette(palette) => palette.type_key(key),
            Self::Tell(tell) => tell.type_key(key),
            _ => {}
        }
    }

    pub fn type_text(&mut self, text: &str) {
        match self {
            Self::Form(form) => form.type_text(text),
            Self::Palette(palette) => palette.type_text(text),
            Self::Tell(tell) => tell.type_text(text),
            _ => {}
        }
    }

    pub fn scroll(&self) -> Option<&Scroll> {
        match self {
            Self::Card(card) => Some(&card.scroll),
            Self::Reader(reader) => Some(&reader.scroll),
            Self::Walk(walk) => Some(&walk.scroll),
            Self::Tell(tell) => Some(&tell.scroll),
            Self::Form(form) => Some(&form.scroll),
            _ => None,
        }
    }

    /// The operator reads on: what was kept in view is so no longer.
    pub fn looks_elsewhere(&self) {
        if let Self::Form(form) = self {
            form.follows.set(false);
        }
    }

    /// What it shows, as text: for the clipboard.
    pub fn text(&self, look: &Look<'_>) -> String {
        let columns = COPIED;
        let lines = match self {
            Self::Card(card) => card::sheet(look, card, columns, usize::MAX).lines,
            Self::Reader(Reader { text: Text::Plain(text), .. }) => return text.join("\n"),
            Self::Reader(reader) => reader.sheet(look, columns).lines,
            _ => Vec::new(),
        };
        lines.iter().map(|line| line.to_string().trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    /// Draws itself in the middle of `area`, which leaves the clocks free.
    pub fn draw(&self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect) {
        let most = usize::from(area.width.saturating_sub(4)).max(1);
        let sheet = match self {
            Self::Card(card) => card::sheet(look, card, most, usize::from(area.height.saturating_sub(4))),
            Self::Question(question) => question.sheet(look, most),
            Self::Form(form) => form.sheet(look, most),
            Self::Plans(plans) => plans::sheet(look, plans, most),
            Self::Reader(reader) => reader.sheet(look, most),
            Self::Palette(palette) => palette.sheet(look, most, usize::from(area.height)),
            Self::Walk(walk) => return walk::draw(look, walk, frame, area),
            Self::Tell(tell) => tell.sheet(look, most),
        };
        sheet.draw(look, frame, area, self.scroll());
    }
}

/// What a layer looks like before it is placed.
pub struct Sheet {
    pub title: String,
    /// Drawn in the colours of danger.
    pub danger: bool,
    pub lines: Vec<Line<'static>>,
    /// Always shown below the lines, whatever is scrolled.
    pub keys: Vec<(&'static str, String)>,
    pub width: usize,
    /// Where the cursor is: line and column of `lines`.
    pub cursor: Option<(usize, usize)>,
    /// The line that has to be seen.
    pub reveal: Option<usize>,
}

impl Sheet {
    pub fn new(title: impl Into<String>, lines: Vec<Line<'static>>, width: usize) -> Self {
        Self { title: title.into(), danger: false, lines, keys: Vec::new(), width, cursor: None, reveal: None }
    }

    fn draw(self, look: &Look<'_>, frame: &mut Frame<'_>, area: Rect, scroll: Option<&Scroll>) {
        let keys = key_lines(look, &self.keys, self.width);
        let room = usize::from(area.height).saturating_sub(2);
        let foot = if keys.is_empty() { 0 } else { keys.len() + 1 };
        let height = self.lines.len().min(room.saturating_sub(foot));
        let place = centre(area, self.width + 4, height + foot + 2);
        let border = if self.danger { Role::LayerDanger } else { Role::LayerBorder };
        let title = fit(&self.title, usize::from(place.width).saturating_sub(4)).into_owned();
        let block = Block::bordered()
            .border_type(BorderType::Rounded)
            .border_style(look.style(border))
            .style(look.style(Role::Layer))
            .title(Line::from(format!(" {title} ")).style(look.style(Role::Strong)));
        clear_around(look, place, area, frame);
        Clear.render(place, frame.buffer_mut());
        let inner = block.inner(place);
        block.render(place, frame.buffer_mut());
        let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
        let own = Scroll::default();
        let scroll = scroll.unwrap_or(&own);
        if let Some(line) = self.reveal {
            scroll.reveal(line, height);
        }
        let top = scroll.clamp(self.lines.len(), height);
        let (above, more) = (top > 0, self.lines.len() > top + height);
        let columns = usize::from(inner.width);
        let shown = self.lines.into_iter().skip(top).take(height).map(|line| cut_line(line, columns));
        let shown: Vec<Line<'static>> = shown.collect();
        let text = Rect { height: u16::try_from(height).unwrap_or(u16::MAX).min(inner.height), ..inner };
        Paragraph::new(shown).render(text, frame.buffer_mut());
        if (above || more) && inner.height > text.height {
            let mark = Rect { y: text.bottom(), height: 1, ..inner };
            let key = |ways: [Action; 2], plain: &'static str| {
                let mut rows = keymap::rows(look.app.context());
                rows.find(|row| ways.contains(&row.action)).map_or(plain, |row| row.keys[0])
            };
            let (up, down) = (key([Action::Up, Action::PageUp], "Up"), key([Action::Down, Action::PageDown], "Down"));
            let words = match (above, more) {
                (true, true) => format!("… {up} {down}: more"),
                (true, false) => format!("… {up}: more above"),
                (false, _) => format!("… {down}: more"),
            };
            Line::from(look.span(words, Role::Accent)).right_aligned().render(mark, frame.buffer_mut());
        }
        let below = u16::try_from(keys.len()).unwrap_or(0).min(inner.height);
        let foot = Rect { y: inner.bottom() - below, height: below, ..inner };
        Paragraph::new(keys).render(foot, frame.buffer_mut());
        if let Some((line, at)) = self.cursor.filter(|(line, _)| (top..top + height).contains(line)) {
            let x = inner.x + u16::try_from(at).unwrap_or(0).min(inner.width.saturating_sub(1));
            frame.set_cursor_position(Position { x, y: inner.y + u16::try_from(line - top).unwrap_or(0) });
        }
    }
}

/// A column of air on both sides, so that nothing below touches the border.
fn clear_around(look: &Look<'_>, place: Rect, area: Rect, frame: &mut Frame<'_>) {
    let x = place.x.saturating_sub(1).max(area.x);
    let air = Rect { x, width: (place.right() + 1).min(area.right()).saturating_sub(x), ..place };
    Clear.render(air, frame.buffer_mut());
    // A wide character begins before the air and ends in it.
    for y in air.y..air.bottom() {
        let before = x.checked_sub(1).and_then(|x| frame.buffer_mut().cell_mut((x, y)));
        if let Some(cell) = before.filter(|cell| width(cell.symbol()) > 1) {
            cell.set_symbol(" ");
        }
    }
    frame.buffer_mut().set_style(air, look.style(Role::Screen));
}

/// Keys with what they do, flowing over as many lines as they need.
pub fn key_lines(look: &Look<'_>, keys: &[(&'static str, String)], columns: usize) -> Vec<Line<'static>> {
    let (mut lines, mut line, mut used) = (Vec::new(), Vec::new(), 0);
    for (key, what) in keys {
        let needs = width(key) + 1 + width(what) + 3;
        if used + needs > columns + 3 && used > 0 {
            lines.push(Line::from(std::mem::take(&mut line)));
            used = 0;
        }
        line.push(look.span(*key, Role::Key));
        line.push(look.span(format!(" {what}   "), Role::Dim));
        used += needs;
    }
    if !line.is_empty() {
        lines.push(Line::from(line));
    }
    lines.into_iter().map(|line| cut_line(line, columns)).collect()
}

fn centre(area: Rect, columns: usize, rows: usize) -> Rect {
    let columns = u16::try_from(columns).unwrap_or(u16::MAX).min(area.width);
    let rows = u16::try_from(rows).unwrap_or(u16::MAX).min(area.height);
    Rect { x: area.x + (area.width - columns) / 2, y: area.y + (area.height - rows) / 3, width: columns, height: rows }
}

impl Question {
    fn sheet(&self, look: &Look<'_>, most: usize) -> Sheet {
        let columns = most.min(58);
        let text = self.lines.iter().flat_map(|line| wrap(line, columns));
        let lines = text.map(|line| Line::from(look.span(line, Role::Text))).collect();
        let mut sheet = Sheet::new(self.title.clone(), lines, columns);
        sheet.keys = vec![(keymap::key(Action::Yes), "yes".into()), ("Esc", "no".into())];
        sheet
    }
}

impl Reader {
    fn sheet(&self, look: &Look<'_>, most: usize) -> Sheet {
        let (lines, columns) = match &self.text {
            Text::Keys(context) => (help::lines(look, *context, most.min(92)), most.min(92)),
            Text::WayBack => (wayback::lines(look, most.min(92)), most.min(92)),
            Text::Contacts => (contacts::lines(look, most.min(100)), most.min(100)),
            Text::Markdown(text) => (markdown::lines(look, text, most.min(110)), most.min(110)),
            Text::Plain(text) => {
                let columns = text.iter().map(|line| width(line)).max().unwrap_or(0).clamp(40, most.max(40)).min(most);
                (plain(look, text, columns), columns)
            }
        };
        let mut sheet = Sheet::new(self.title.clone(), lines, columns);
        let word = |action| (keymap::key(action), keymap::of(action).title.to_owned());
        sheet.keys = vec![word(Action::Down), word(Action::Up), word(Action::Copy), ("Esc", "back".into())];
        sheet
    }
}

fn plain(look: &Look<'_>, text: &[String], columns: usize) -> Vec<Line<'static>> {
    let wrapped = shell::wrap(text, columns).into_iter().map(|line| {
        let role = if line.trim_start().starts_with('#') { Role::Dim } else { Role::Text };
        (line, role)
    });
    wrapped.map(|(line, role)| Line::from(look.span(column(&line, columns), role))).collect()
}

/// A heading within a layer.
pub fn heading(look: &Look<'_>, text: &str) -> Line<'static> {
    Line::from(Span::styled(text.to_owned(), look.style(Role::Accent)))
}
