//! Text from outside (pod names, HTTP bodies, error messages): made harmless before it is kept, shown or put in a template.

/// The longest text from outside that is kept.
pub const LONGEST: usize = 400;

/// One line without control characters, escape sequences' introducers or bidirectional overrides, at most [`LONGEST`] characters.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST));
    let mut kept = 0;
    for c in text.chars() {
        let c = if c.is_whitespace() { ' ' } else { c };
        if is_harmful(c) || (c == ' ' && out.ends_with(' ')) {
            continue;
        }
        if kept == LONGEST {
            out.push('…');
            break;
        }
        out.push(c);
        kept += 1;
    }
    out.truncate(out.trim_end().len());
    out
}

/// The longest text of several lines that is kept.
const LONGEST_TEXT: usize = 8000;

/// The same for a text of several lines, which keeps its line breaks and the spaces at the beginning of a line.
pub fn clean_lines(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let kept: String =
            line.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !is_harmful(*c)).collect();
        out.push_str(kept.trim_end());
        out.push('\n');
        if out.len() > LONGEST_TEXT {
            out.truncate(out.floor_char_boundary(LONGEST_TEXT));
            out.push('…');
            break;
        }
    }
    out.trim().to_owned()
}

/// Controls, and marks that turn or hide the text around them.
pub fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_lose_their_teeth() {
        assert_eq!(clean("\u{1b}[31mred\u{7}\r\nnext\tline"), "[31mred next line");
        assert_eq!(clean("pod\u{202e}gnp.exe"), "podgnp.exe");
        assert_eq!(clean("日本  語 "), "日本 語");
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        let cut = clean(&"é".repeat(5000));
        assert_eq!(cut.chars().count(), LONGEST + 1);
        assert!(cut.ends_with('…'));
    }
}
