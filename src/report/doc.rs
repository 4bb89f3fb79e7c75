//! A document as it is meant, whatever it is written in.

use std::collections::BTreeSet;

use super::figure::Figure;
use super::{html, markdown};
use crate::domain::describe::Tone;
use crate::domain::text::is_harmful;

/// A document: what it is, and its sections.
#[derive(Clone, Debug, Default)]
pub struct Doc {
    /// What kind of document it is: `Post-incident review`.
    pub kind: String,
    pub title: String,
    /// Short words beside the title: severity, verdict, that it is a drill.
    pub badges: Vec<Cell>,
    /// What it says, in a few sentences.
    pub summary: Vec<String>,
    pub sections: Vec<Section>,
    /// The last line: by what and from what it was written.
    pub colophon: String,
}

#[derive(Clone, Debug, Default)]
pub struct Section {
    pub title: String,
    pub blocks: Vec<Block>,
}

#[derive(Clone, Debug)]
pub enum Block {
    Text(String),
    /// Figures that are read first.
    Tiles(Vec<Tile>),
    Facts(Vec<(String, Cell)>),
    Table {
        head: Vec<Column>,
        rows: Vec<Vec<Cell>>,
    },
    List(Vec<Cell>),
    /// Boxes, ticked or not.
    Boxes(Vec<(bool, Cell)>),
    /// Somebody's words, as they were sent.
    Quote {
        of: String,
        lines: Vec<String>,
    },
    /// Only where pictures can be shown; tables hold the same figures.
    Figure(Figure),
}

/// A figure with its name and what it means.
#[derive(Clone, Debug)]
pub struct Tile {
    pub label: String,
    pub value: Cell,
    pub note: String,
}

#[derive(Clone, Debug)]
pub struct Column {
    pub title: String,
    /// Numbers stand against the right edge.
    pub number: bool,
}

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

impl Section {
    pub fn new(title: &str, blocks: Vec<Block>) -> Self {
        Self { title: title.into(), blocks }
    }
}

/// A table; columns whose title starts with `#` hold numbers.
pub fn table(head: &[&str], rows: Vec<Vec<Cell>>) -> Block {
    let column = |title: &&str| match title.strip_prefix('#') {
        Some(title) => Column { title: title.into(), number: true },
        None => Column { title: (*title).into(), number: false },
    };
    Block::Table { head: head.iter().map(column).collect(), rows }
}

impl Doc {
    pub fn markdown(&self) -> String {
        markdown::write(self)
    }

    /// One page that needs nothing else: no script, no font, no image from anywhere.
    pub fn html(&self) -> String {
        html::write(self)
    }

    /// Titles of sections as anchors, each once.
    pub(super) fn anchors(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let anchor = |section: &Section| {
            let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
            let mut name: String = section.title.chars().map(plain).collect();
            while !seen.insert(name.clone()) {
                name.push('-');
            }
            name
        };
        self.sections.iter().map(anchor).collect()
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
