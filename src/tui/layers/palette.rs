//! The palette: everything that can be done, found by a few letters of its name.

use ratatui::crossterm::event::KeyEvent;
use ratatui::text::Line;
use tui_textarea::TextArea;

use super::super::app::App;
use super::super::format::{column, fit, width};
use super::super::keymap::{self, Action, Context};
use super::super::look::Look;
use super::super::panes::Pane;
use super::super::theme::{BUILT_IN, Role};
use super::Sheet;
use super::form::window;

/// What is being looked for.
pub struct Palette {
    area: TextArea<'static>,
    pub at: usize,
}

/// Something that can be chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub title: String,
    pub key: &'static str,
    pub help: String,
    pub does: Does,
}

/// What choosing it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    Act(Action),
    Theme(&'static str),
    Pane(Pane),
    /// Opens the list with this plan chosen.
    Plan(usize),
}

impl Default for Palette {
    fn default() -> Self {
        Self { area: TextArea::new(vec![String::new()]), at: 0 }
    }
}

impl Palette {
    pub fn type_key(&mut self, key: KeyEvent) {
        self.area.input(key);
        self.at = 0;
    }
    pub fn type_text(&mut self, text: &str) {
        self.area.insert_str(text);
        self.at = 0;
    }
    fn query(&self) -> String {
        self.area.lines().concat()
    }

    /// What matches, best first.
    pub fn found(&self, app: &App) -> Vec<Item> {
        let query = self.query();
        let mut scored: Vec<(u32, Item)> =
            items(app).into_iter().filter_map(|item| Some((score(&query, &item.title)?, item))).collect();
        scored.sort_by_key(|(score, _)| *score);
        scored.into_iter().map(|(_, item)| item).collect()
    }

    pub fn sheet(&self, look: &Look<'_>, most: usize, height: usize) -> Sheet {
        let columns = most.min(72);
        let (shown, cursor) = window(&self.query(), self.area.cursor().1, columns.saturating_sub(2));
        let mut lines =
            vec![Line::from(vec![look.span(": ", Role::Key), look.span(column(&shown, columns - 2), Role::Selected)])];
        let found = self.found(look.app);
        let room = height.saturating_sub(7).clamp(3, 14);
        let top = self.at.saturating_sub(room - 1);
        for (at, item) in found.iter().enumerate().skip(top).take(room) {
            let role = if at == self.at { Role::Selected } else { Role::Text };
            let mark = if at == self.at { "▸" } else { " " };
            let title = column(&format!("{mark} {}", item.title), 26);
            let help = column(&item.help, columns.saturating_sub(26 + 8));
            lines.push(Line::from(vec![
                look.span(title, role),
                look.span(help, if at == self.at { Role::Selected } else { Role::Dim }),
                look.span(format!(" {}", fit(item.key, 7)), Role::Key),
            ]));
        }
        if found.is_empty() {
            lines.push(Line::from(look.span("  nothing is called that", Role::Dim)));
        }
        while lines.len() <= room {
            lines.push(Line::default());
        }
        let mut sheet = Sheet::new("what shall be done?", lines, columns);
        sheet.cursor = Some((0, width(": ") + cursor));
        sheet.keys = vec![("Enter", "do it".into()), ("↑/↓", "choose".into()), ("Esc", "back".into())];
        sheet
    }
}

/// Everything that is bound in the cockpit now, the themes, the panes and the plans.
fn items(app: &App) -> Vec<Item> {
    let plain = [Action::Up, Action::Down, Action::FocusPane, Action::Palette, Action::Back];
    let rows = keymap::rows(Context::Main).filter(|row| !plain.contains(&row.action) && app.unbound(row).is_none());
    let mut items: Vec<Item> = rows
        .map(|row| Item {
            title: row.title.into(),
            key: row.keys[0],
            help: row.help.into(),
            does: Does::Act(row.action),
        })
        .collect();
    let extra = |title: String, help: String, does| Item { title, key: "", help, does };
    if !app.read_only {
        let plans = app.mirror.iter().flat_map(|mirror| mirror.plans.iter().enumerate());
        items.extend(plans.map(|(at, plan)| extra(format!("run {}", plan.id), plan.title.clone(), Does::Plan(at))));
    }
    items.extend(Pane::ALL.iter().map(|pane| Item {
        key: pane.key(),
        ..extra(format!("pane {pane}"), format!("Go to the pane of {pane}."), Does::Pane(*pane))
    }));
    let themes = BUILT_IN.iter().map(|(name, _)| *name);
    items.extend(
        themes.map(|name| extra(format!("theme {name}"), format!("Switch to the theme {name}."), Does::Theme(name))),
    );
    items
}

/// How well a text matches: the letters have to occur in their order; fewer and earlier gaps are better. Lower is better.
fn score(query: &str, text: &str) -> Option<u32> {
    let text = text.to_lowercase();
    let (mut at, mut score, mut last) = (0, 0u32, None);
    for c in query.to_lowercase().chars().filter(|c| !c.is_whitespace()) {
        let found = text[at..].find(c)? + at;
        let gap = last.map_or(found * 2, |last: usize| found - last);
        let starts_word = found == 0 || !text[..found].ends_with(char::is_alphanumeric);
        score += u32::try_from(gap).unwrap_or(u32::MAX / 1024) * if starts_word { 1 } else { 3 };
        at = found + c.len_utf8();
        last = Some(at);
    }
    Some(score)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_in_their_order_are_found_and_whole_words_first() {
        assert!(score("hld", "hold / release").is_some());
        assert!(score("xyz", "hold / release").is_none());
        assert!(score("hold", "hold / release") < score("hold", "something that has old things held"));
        assert!(score("rel", "hold / release").is_some());
        assert!(score("日", "日本").is_some());
    }
}
