//! Text of a document: how it is meant, and what is left of one that came from outside.

use crate::domain::describe::Tone;
use crate::domain::text::is_harmful;

/// A few words, and how they are meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub tone: Tone,
    pub text: String,
    /// Names and numbers as machines write them.
    pub code: bool,
}

impl Cell {
    pub fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone, text: text.into(), code: false }
    }
    pub fn code(text: impl Into<String>) -> Self {
        Self { tone: Tone::Plain, text: text.into(), code: true }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(Tone::Plain, text)
    }
}

/// One line of text from outside, without what could move the cursor or turn the text around it.
pub(super) fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let c = if c.is_whitespace() { ' ' } else { c };
        if is_harmful(c) || (c == ' ' && out.ends_with(' ')) {
            continue;
        }
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    out
}

/// Text that is nothing but text, in an element or in an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in tidy(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
