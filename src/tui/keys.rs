//! How keys are written: in the table, in cockpit.toml and on the screen.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// How a key is written in the table: `a`, `A`, `Ctrl-a`, `Shift-Tab`, `Enter`, `F1`.
pub fn name(key: KeyEvent) -> String {
    let control = if key.modifiers.contains(KeyModifiers::CONTROL) { "Ctrl-" } else { "" };
    let alt = if key.modifiers.contains(KeyModifiers::ALT) { "Alt-" } else { "" };
    let base = match key.code {
        KeyCode::Char(' ') => "Space".into(),
        KeyCode::Char(c) => c.to_string(),
        KeyCode::BackTab => "Shift-Tab".into(),
        KeyCode::F(number) => format!("F{number}"),
        KeyCode::Esc => "Esc".into(),
        KeyCode::Enter => "Enter".into(),
        KeyCode::PageUp => "PageUp".into(),
        KeyCode::PageDown => "PageDown".into(),
        other => format!("{other:?}"),
    };
    format!("{control}{alt}{base}")
}

/// Keys with a name of their own.
const NAMED: &[&str] = &[
    "Space",
    "Enter",
    "Esc",
    "Tab",
    "Shift-Tab",
    "Up",
    "Down",
    "Left",
    "Right",
    "Home",
    "End",
    "PageUp",
    "PageDown",
    "Backspace",
    "Delete",
    "Insert",
];

/// Whether a text is a key as [`name`] writes it.
pub fn is_key(text: &str) -> bool {
    let text = text.strip_prefix("Ctrl-").unwrap_or(text);
    let base = text.strip_prefix("Alt-").unwrap_or(text);
    let function = base.strip_prefix('F').and_then(|number| number.parse().ok());
    let single = base.chars().count() == 1 && base.chars().all(|c| !c.is_control() && !c.is_whitespace());
    single || NAMED.contains(&base) || function.is_some_and(|number: u8| (1..=12).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::super::keymap::TABLE;
    use super::*;

    #[test]
    fn keys_are_named_as_in_the_table() {
        let key = |code, modifiers| name(KeyEvent::new(code, modifiers));
        assert_eq!(key(KeyCode::Char('A'), KeyModifiers::SHIFT), "A");
        assert_eq!(key(KeyCode::Char('l'), KeyModifiers::CONTROL), "Ctrl-l");
        assert_eq!(key(KeyCode::BackTab, KeyModifiers::SHIFT), "Shift-Tab");
        assert_eq!(key(KeyCode::Home, KeyModifiers::NONE), "Home");
        assert_eq!(key(KeyCode::Char(' '), KeyModifiers::NONE), "Space");
        for key in TABLE.iter().flat_map(|row| row.keys).chain(&["Space", "Ctrl-Alt-x", "F12"]) {
            assert!(is_key(key), "{key}");
        }
        for wrong in ["", "Hyper-x", "F13", "ab", " ", "Ctrl-"] {
            assert!(!is_key(wrong), "{wrong}");
        }
    }
}
