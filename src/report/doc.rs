//! A document as it is meant, whatever it is written in.

use std::collections::BTreeSet;

use super::figure::Figure;
use super::text::Cell;

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
