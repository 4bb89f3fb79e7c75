//! The last edge before the terminal: every cell is looked at once more, whoever drew it. Text from outside was cleaned before it
//! was kept; this makes sure, and it is where a terminal without Unicode or colour gets what it can show.

use ratatui::buffer::Buffer;
use ratatui::style::Color;

use crate::domain::text::is_harmful;

use super::theme::Depth;

/// What stands for a glyph on a terminal that only knows ASCII; anything else becomes `?`.
const ASCII: &[(&str, &str)] = &[
    ("●◉", "*"),
    ("○◌", "o"),
    ("◐◎", "@"),
    ("◆", "#"),
    ("■", "!"),
    ("✓", "v"),
    ("✗×", "x"),
    ("▸▹›→», ", ">"),
    ("←‹«", "<"),
    ("↻↶", "%"),
    ("─╌╴╶", "-"),
    ("═━", "="),
    ("┏┳┣┗", "="),
    ("│┃╎", "|"),
    ("╭╮╰╯┌┐└┘├┤┬┴┼", "+"),
    ("…·•", "."),
    ("–—−", "-"),
    ("▰█▀▄▌▐", "#"),
    ("▱░", "."),
    ("▁▂", "_"),
    ("▃▄", "-"),
    ("▅▆", "="),
    ("▇", "^"),
    ("≈", "~"),
    ("≥", ">"),
    ("≤", "<"),
    ("’‘", "'"),
    ("“”", "\""),
];

/// Makes every cell harmless, and fit for the terminal.
pub fn harden(buffer: &mut Buffer, ascii: bool, depth: Depth) {
    for cell in &mut buffer.content {
        let symbol = cell.symbol();
        let plain = symbol.len() == 1 && symbol.as_bytes()[0].is_ascii_graphic();
        if !plain && symbol != " " && !symbol.is_empty() {
            if symbol.chars().any(is_harmful) {
                cell.set_symbol("?");
            } else if ascii {
                let stands = stand_in(symbol);
                cell.set_symbol(stands);
            }
        }
        if depth == Depth::None {
            cell.set_fg(Color::Reset).set_bg(Color::Reset);
        }
    }
}

fn stand_in(symbol: &str) -> &'static str {
    let first = symbol.chars().next().unwrap_or(' ');
    ASCII.iter().find(|(glyphs, _)| glyphs.contains(first)).map_or("?", |(_, ascii)| ascii)
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn nothing_harmful_gets_past() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 4, 1));
        buffer[(0, 0)].set_symbol("\u{1b}[31m");
        buffer[(1, 0)].set_symbol("a\u{202e}");
        buffer[(2, 0)].set_symbol("●");
        harden(&mut buffer, false, Depth::True);
        let symbols: Vec<&str> = buffer.content.iter().map(|cell| cell.symbol()).collect();
        assert_eq!(symbols, ["?", "?", "●", " "]);
    }

    #[test]
    fn ascii_is_ascii_and_no_colour_is_none() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
        buffer.set_string(0, 0, "●✗╭─▰ 日本 ok", Style::new().fg(Color::Red).bg(Color::Blue));
        harden(&mut buffer, true, Depth::None);
        let text: String = buffer.content.iter().map(|cell| cell.symbol()).collect();
        assert!(text.is_ascii(), "{text}");
        assert!(text.starts_with("*x+-# ?"), "{text}");
        assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    }
}
