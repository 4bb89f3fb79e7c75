//! The last edge before the terminal: every cell is looked at once more, whoever drew it. Text from outside was cleaned before it
//! was kept; this makes sure, and it is where a terminal without Unicode or colour gets what it can show.

use ratatui::buffer::Buffer;
use ratatui::style::Color;
use unicode_width::UnicodeWidthStr;

use crate::domain::text::is_harmful;

use super::theme::Depth;

/// What stands for a glyph on a terminal that only knows ASCII; anything else becomes `?`.
const ASCII: &[(&str, &str)] = &[
    ("●◉", "*"),
    ("○◌◔", "o"),
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
    ("┏┳┣┗┓┛┫┻╋", "="),
    ("┃", "|"),
    ("│╎", "|"),
    ("╭╮╰╯┌┐└┘├┤┬┴┼", "+"),
    ("…", "~"),
    ("·•", "."),
    ("–—−", "-"),
    ("▰█▀▄▌▐", "#"),
    ("▱░", "."),
    ("▪", "+"),
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
    halves(buffer);
}

/// Half of a wide character, the rest of which something else was drawn over: it would hide what stands there.
fn halves(buffer: &mut Buffer) {
    let columns = usize::from(buffer.area.width).max(1);
    for at in 0..buffer.content.len() {
        if buffer.content[at].symbol().len() == 1 || buffer.content[at].symbol().width() < 2 {
            continue;
        }
        let last = (at + 1) % columns == 0;
        if last || buffer.content.get(at + 1).is_some_and(|next| !next.symbol().trim().is_empty()) {
            buffer.content[at].set_symbol(" ");
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
    fn half_a_character_hides_nothing() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 1));
        buffer.set_string(0, 0, "日本", Style::new());
        buffer[(3, 0)].set_symbol("│");
        harden(&mut buffer, false, Depth::True);
        let symbols: Vec<&str> = buffer.content.iter().map(|cell| cell.symbol()).collect();
        assert_eq!(symbols[..5], ["日", " ", " ", "│", " "]);
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
