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

/// Controls, marks that turn the text around them, and what is drawn as nothing: Unicode's `Default_Ignorable_Code_Point` (it hides a
/// difference between two names, or a message inside another), separators of lines, and the annotations of U+FFF9 to U+FFFB.
pub fn is_harmful(c: char) -> bool {
    c.is_control() || INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// From the property file of Unicode 16, <https://www.unicode.org/Public/16.0.0/ucd/DerivedCoreProperties.txt>.
const INVISIBLE: [(char, char); 17] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

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
    fn nothing_hides_between_the_letters() {
        for c in
            ['\u{61c}', '\u{ad}', '\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}', '\u{34f}', '\u{180e}', '\u{206a}']
        {
            assert_eq!(clean(&format!("ad{c}min")), "admin", "{:x}", u32::from(c));
        }
        let tagged: String = "hi".chars().chain(('\u{e0000}'..='\u{e007f}').chain(['\u{fe0f}', '\u{e0100}'])).collect();
        assert_eq!((clean(&tagged), clean_lines(&tagged)), ("hi".into(), "hi".into()));
        assert_eq!(
            clean("naïve façade – 日本語 עברית العربية 한국어 ✓ ⠋"),
            "naïve façade – 日本語 עברית العربية 한국어 ✓ ⠋"
        );
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        let cut = clean(&"é".repeat(5000));
        assert_eq!(cut.chars().count(), LONGEST + 1);
        assert!(cut.ends_with('…'));
    }
}
