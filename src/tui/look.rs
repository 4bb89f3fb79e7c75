//! What everything that draws is given: the mirror, the time and the theme.

use ratatui::style::Style;
use ratatui::text::Span;

use crate::domain::time::{At, seconds_between};
use crate::domain::view::Snapshot;

use super::app::App;
use super::format;
use super::mark::Mark;
use super::theme::Role;

/// What is looked at, and how.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    pub app: &'a App,
    pub snap: &'a Snapshot,
    /// The engine's time.
    pub now: At,
}

impl Look<'_> {
    pub fn style(&self, role: Role) -> Style {
        self.app.theme.of(role)
    }
    pub fn span(&self, text: impl Into<String>, role: Role) -> Span<'static> {
        Span::styled(text.into(), self.style(role))
    }
    /// Glyph and word of a state, the word in `columns`.
    pub fn mark(&self, mark: Mark, columns: usize) -> Span<'static> {
        self.span(format!("{} {}", mark.glyph, format::column(mark.word, columns)), mark.role)
    }
    /// Seconds since `at`.
    pub fn since(&self, at: At) -> f64 {
        seconds_between(at, self.now)
    }
    pub fn time_of_day(&self, at: At) -> String {
        format::time_of_day(at, &self.app.options.zone)
    }
}
