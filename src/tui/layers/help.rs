//! What the keys do where the operator is, and everywhere else below that.

use ratatui::text::Line;

use super::super::format::{column, wrap};
use super::super::keymap::{self, Context};
use super::super::look::Look;
use super::super::theme::Role;
use super::heading;

/// The rows of `here` first, then those of the other places that have any of their own.
pub fn lines(look: &Look<'_>, here: Context, columns: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let others = Context::ALL.iter().copied().filter(|context| *context != here);
    for context in std::iter::once(here).chain(others) {
        let title = if context == here { format!("in {context}, where you are") } else { format!("in {context}") };
        lines.push(heading(look, &title));
        for row in keymap::rows(context) {
            let keys = row.keys.join(" ");
            let bound = look.app.unbound(row).is_none();
            let (key_role, role) = if bound { (Role::Key, Role::Text) } else { (Role::Faint, Role::Faint) };
            let room = columns.saturating_sub(20).max(10);
            for (index, text) in wrap(row.help, room).into_iter().enumerate() {
                let keys = if index == 0 { keys.as_str() } else { "" };
                lines.push(Line::from(vec![
                    look.span(format!("  {}", column(keys, 17)), key_role),
                    look.span(format!(" {text}"), role),
                ]));
            }
        }
        lines.push(Line::default());
    }
    lines.push(Line::from(
        look.span("Faint keys do nothing now: they need an armed cockpit that is not read-only.", Role::Dim),
    ));
    let options = &look.app.options;
    if !options.about.is_empty() {
        lines.extend([Line::default(), heading(look, "this engine")]);
        let all =
            options.about.iter().chain(&options.told).flat_map(|line| wrap(line, columns.saturating_sub(2).max(10)));
        lines.extend(all.map(|line| Line::from(look.span(format!("  {line}"), Role::Text))));
    }
    lines
}
