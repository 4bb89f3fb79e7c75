//! The palette: everything that can be done, found by a few letters of its name.

use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use ratatui::crossterm::event::KeyEvent;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use tui_textarea::TextArea;

use super::super::app::App;
use super::super::format::{column, fit, width};
use super::super::keymap::{self, Action, Context};
use super::super::look::Look;
use super::super::panes::Pane;
use super::super::theme::Role;
use super::Sheet;
use super::form::{edit_line, window};

/// The columns of the titles, with their mark.
const TITLE: usize = 26;

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
    /// The characters of the title that were looked for.
    pub matched: Vec<u32>,
}

/// What choosing it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Does {
    Act(Action),
    Theme(String),
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
        edit_line(&mut self.area, key);
        self.at = 0;
    }
    pub fn type_text(&mut self, text: &str) {
        self.area.insert_str(text.replace('\n', " "));
        self.at = 0;
    }
    fn query(&self) -> String {
        self.area.lines().concat()
    }

    /// What matches, best first.
    pub fn found(&self, app: &App) -> Vec<Item> {
        let mut finder = Finder::new(&self.query());
        let found = items(app).into_iter().filter_map(|item| {
            let (score, matched) = finder.find(&item.title)?;
            Some((score, Item { matched, ..item }))
        });
        let mut scored: Vec<(u32, Item)> = found.collect();
        scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
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
            let help = column(&item.help, columns.saturating_sub(TITLE + 8));
            let mut line = vec![look.span(format!("{mark} "), role)];
            line.extend(title(look, item, role));
            line.push(look.span(help, if at == self.at { Role::Selected } else { Role::Dim }));
            line.push(look.span(format!(" {}", fit(item.key, 7)), Role::Key));
            lines.push(Line::from(line));
        }
        if found.is_empty() {
            lines.push(Line::from(look.span("  no match", Role::Dim)));
        }
        while lines.len() <= room {
            lines.push(Line::default());
        }
        let mut sheet = Sheet::new("find an action", lines, columns);
        sheet.cursor = Some((0, width(": ") + cursor));
        sheet.keys = vec![("Enter", "do it".into()), ("↑/↓", "choose".into()), ("Esc", "back".into())];
        sheet
    }
}

/// The title in its column, what was looked for underlined as well as coloured.
fn title(look: &Look<'_>, item: &Item, role: Role) -> Vec<Span<'static>> {
    let found = look.style(role).patch(look.style(Role::Key)).add_modifier(Modifier::UNDERLINED);
    let shown = column(&item.title, TITLE - 2);
    let spans = (0u32..).zip(shown.chars()).map(|(at, c)| {
        let style = if item.matched.contains(&at) { found } else { look.style(role) };
        Span::styled(c.to_string(), style)
    });
    spans.collect()
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
            matched: Vec::new(),
        })
        .collect();
    let extra = |title: String, help: String, does| Item { title, key: "", help, does, matched: Vec::new() };
    if !app.read_only {
        let plans = app.mirror.iter().flat_map(|mirror| mirror.plans.iter().enumerate());
        items.extend(plans.map(|(at, plan)| extra(format!("run {}", plan.id), plan.title.clone(), Does::Plan(at))));
    }
    items.extend(Pane::ALL.iter().map(|pane| Item {
        key: pane.key(),
        ..extra(format!("pane {pane}"), format!("Go to the pane of {pane}."), Does::Pane(*pane))
    }));
    let theme = |name: &str| {
        extra(format!("theme {name}"), format!("Switch to the theme {name}."), Does::Theme(name.to_owned()))
    };
    items.extend(app.options.themes.names().map(theme));
    items
}

/// Finds titles by a few letters of theirs, in any words' order; keeps its memory between titles.
struct Finder {
    pattern: Pattern,
    matcher: Matcher,
    buffer: Vec<char>,
}

impl Finder {
    fn new(query: &str) -> Self {
        let pattern = Pattern::new(query, CaseMatching::Ignore, Normalization::Smart, AtomKind::Fuzzy);
        Self { pattern, matcher: Matcher::new(Config::DEFAULT), buffer: Vec::new() }
    }

    /// How well a title matches, higher is better, and which of its characters do; `None` if it does not.
    fn find(&mut self, title: &str) -> Option<(u32, Vec<u32>)> {
        let mut at = Vec::new();
        let score = self.pattern.indices(Utf32Str::new(title, &mut self.buffer), &mut self.matcher, &mut at)?;
        at.sort_unstable();
        Some((score, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(query: &str, title: &str) -> Option<u32> {
        Finder::new(query).find(title).map(|(score, _)| score)
    }

    #[test]
    fn letters_in_their_order_are_found_and_whole_words_first() {
        assert!(score("hld", "hold / release").is_some());
        assert!(score("xyz", "hold / release").is_none());
        assert!(score("hold", "hold / release") > score("hold", "something that has old things held"));
        assert!(score("release hold", "hold / release").is_some(), "words in any order");
        assert!(score("日", "日本").is_some());
        assert_eq!(Finder::new("th").find("switch theme").unwrap().1, [7, 8]);
    }
}
