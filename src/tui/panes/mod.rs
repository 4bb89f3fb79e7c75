//! The panes: each turns the mirror into lines; this draws them all alike, with title, filter and scrolling.

pub mod backups;
pub mod datastores;
pub mod header;
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
use super::look::Look;
use super::theme::Role;

words! {
    /// The panes, in the order of their numbers.
    Pane {
        Services = "services",
        Datastores = "datastores",
        Plan = "plan",
        Step = "step",
        Timeline = "timeline",
        Incident = "incident",
        Backups = "backups",
        Readiness = "readiness",
    }
}

/// What a pane shows.
#[derive(Default)]
pub struct Body {
    /// Right of the title.
    pub aside: String,
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
    fn body(self, look: &Look<'_>, columns: usize, height: usize) -> Body {
        match self {
            Self::Services => services::body(look, columns),
            Self::Datastores => datastores::body(look, columns, height),
            Self::Plan => plan::body(look, columns),
            Self::Step => step::body(look, columns, height),
            Self::Timeline => timeline::body(look, columns),
            Self::Incident => incident::body(look, columns),
            Self::Backups => backups::body(look, columns),
            Self::Readiness => readiness::body(look, columns),
        }
    }

    /// Draws the pane: a title line, then its lines.
    pub fn draw(self, look: &Look<'_>, area: Rect, buffer: &mut Buffer) {
        if area.height < 2 || area.width < 8 {
            return;
        }
        let height = usize::from(area.height - 1);
        let mut body = self.body(look, usize::from(area.width), height);
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
        let shown = body.head.into_iter().chain(body.lines.into_iter().skip(top)).take(head + height);
        let text = Rect { y: area.y + 1, height: area.height - 1, ..area };
        Paragraph::new(shown.collect::<Vec<_>>()).render(text, buffer);
        let hidden = len.saturating_sub(top + height);
        if hidden > 0 && height > 0 {
            let mark = format!(" +{hidden} ");
            let x = area.right().saturating_sub(u16::try_from(width(&mark)).unwrap_or(0));
            buffer.set_string(x, area.bottom() - 1, mark, look.style(Role::Dim));
        }
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
        let columns = usize::from(area.width);
        let title =
            super::format::fit(&format!("{} {name}", self as usize + 1), columns.saturating_sub(2)).into_owned();
        let aside = if body.aside.is_empty() { String::new() } else { format!(" {}", body.aside) };
        let aside = super::format::fit(&aside, columns.saturating_sub(width(&title) + 4)).into_owned();
        let rule = columns.saturating_sub(width(&title) + 1 + width(&aside));
        let line = Line::from(vec![
            look.span(title, role),
            look.span(format!(" {}", "─".repeat(rule)), Role::Rule),
            look.span(aside, Role::Dim),
        ]);
        Paragraph::new(line).render(Rect { height: 1, ..area }, buffer);
    }
}
