//! A line of pieces from both ends: a piece that does not fit any more is left out as a whole, except the first.

use ratatui::text::{Line, Span};

use super::super::format::{fit, width};

/// A line in the making.
pub struct Row {
    left: Vec<Span<'static>>,
    right: Vec<Span<'static>>,
    room: usize,
}

impl Row {
    pub fn new(columns: usize) -> Self {
        Self { left: Vec::new(), right: Vec::new(), room: columns }
    }

    /// Adds a piece after those on the left; says whether it fitted.
    pub fn left(&mut self, span: Span<'static>) -> bool {
        let span = if self.left.is_empty() {
            Span::styled(fit(&span.content, self.room).into_owned(), span.style)
        } else {
            span
        };
        let fits = self.take(&span);
        if fits {
            self.left.push(span);
        }
        fits
    }

    /// Adds a piece before those on the right.
    pub fn right(&mut self, span: Span<'static>) -> bool {
        let fits = self.take(&span);
        if fits {
            self.right.insert(0, span);
        }
        fits
    }

    fn take(&mut self, span: &Span<'static>) -> bool {
        let needs = width(&span.content);
        let fits = needs <= self.room;
        if fits {
            self.room -= needs;
        }
        fits
    }

    pub fn into_line(self) -> Line<'static> {
        let Self { mut left, right, room } = self;
        left.push(Span::raw(" ".repeat(room)));
        left.extend(right);
        Line::from(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        let mut row = Row::new(12);
        assert!(row.left("graph".into()));
        assert!(row.right("4s".into()));
        assert!(!row.left(" application".into()));
        assert_eq!(row.into_line().to_string(), "graph     4s");
    }
}
