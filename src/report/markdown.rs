//! Documents as Markdown (GitHub's dialect: tables and task lists).

use std::fmt::{self, Write};

use super::doc::{Block, Column, Doc};
use super::text::{Cell, tidy};
use crate::domain::describe::Tone;

impl Doc {
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = compose(&mut out, self);
        out
    }
}

fn compose(out: &mut String, doc: &Doc) -> fmt::Result {
    writeln!(out, "# {}: {}\n", escape(&doc.kind), escape(&doc.title))?;
    if !doc.badges.is_empty() {
        let badges: Vec<String> = doc.badges.iter().map(cell).collect();
        writeln!(out, "{}\n", badges.join(" · "))?;
    }
    for sentence in &doc.summary {
        writeln!(out, "{}  ", begin(sentence))?;
    }
    for section in &doc.sections {
        writeln!(out, "\n## {}\n", escape(&section.title))?;
        for (at, it) in section.blocks.iter().filter(|it| !matches!(it, Block::Figure(_))).enumerate() {
            if at > 0 {
                out.push('\n');
            }
            block(out, it)?;
        }
    }
    writeln!(out, "\n---\n\n{}", begin(&doc.colophon))
}

fn block(out: &mut String, block: &Block) -> fmt::Result {
    match block {
        Block::Text(text) => writeln!(out, "{}", begin(text)),
        Block::Tiles(tiles) => tiles.iter().try_for_each(|tile| {
            let note = if tile.note.is_empty() { String::new() } else { format!(" ({})", escape(&tile.note)) };
            writeln!(out, "- {}: {}{note}", escape(&tile.label), cell(&tile.value))
        }),
        Block::Facts(facts) => {
            facts.iter().try_for_each(|(name, value)| writeln!(out, "- {}: {}", escape(name), cell(value)))
        }
        Block::Table { head, rows } => table(out, head, rows),
        Block::List(items) => items.iter().try_for_each(|item| writeln!(out, "- {}", cell(item))),
        Block::Boxes(items) => items.iter().try_for_each(|(ticked, item)| {
            let mark = if *ticked { 'x' } else { ' ' };
            writeln!(out, "- [{mark}] {}", cell(item))
        }),
        Block::Quote { of, lines } => {
            writeln!(out, "> **{}**", escape(of))?;
            lines.iter().try_for_each(|line| writeln!(out, "> {}  ", begin(line)))
        }
        Block::Figure(_) => Ok(()),
    }
}

fn table(out: &mut String, head: &[Column], rows: &[Vec<Cell>]) -> fmt::Result {
    let titles: Vec<String> = head.iter().map(|column| escape(&column.title)).collect();
    let rules: Vec<&str> = head.iter().map(|column| if column.number { "---:" } else { "---" }).collect();
    writeln!(out, "| {} |\n|{}|", titles.join(" | "), rules.join("|"))?;
    rows.iter().try_for_each(|row| {
        let cells: Vec<String> = row.iter().map(cell).collect();
        writeln!(out, "| {} |", cells.join(" | "))
    })
}

/// What stands out is bold; names keep their look without code spans, which cannot be escaped within a table.
fn cell(cell: &Cell) -> String {
    let text = escape(&cell.text);
    let loud = matches!(cell.tone, Tone::Bad | Tone::Strong | Tone::Warn) && !text.is_empty();
    if loud { format!("**{text}**") } else { text }
}

/// Text at the beginning of a line, where more characters mean something.
fn begin(text: &str) -> String {
    let text = escape(text);
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
    if text.starts_with(['-', '+', '=', '#']) {
        format!("\\{text}")
    } else if digits.len() < text.len() && digits.starts_with(['.', ')']) {
        let number = &text[..text.len() - digits.len()];
        format!("{number}\\{digits}")
    } else {
        text
    }
}

/// One line in which nothing means anything: what Markdown, or HTML within it, would read is escaped. An underline or a tilde within a
/// word means nothing.
pub(super) fn escape(text: &str) -> String {
    let text = tidy(text);
    let text = text.trim();
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied().unwrap_or(' ');
        let within_word = before.is_alphanumeric() && next.is_alphanumeric();
        let means = match c {
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '~' => true,
            '_' => !within_word,
            '&' => next.is_alphanumeric() || next == '#',
            '!' => next == '[',
            _ => false,
        };
        if means {
            out.push('\\');
        }
        out.push(c);
        before = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::doc::{Section, table};
    use super::*;

    #[test]
    fn what_markdown_would_read_is_escaped() {
        assert_eq!(escape("a|b `c` <script> *d* _e_ f_g"), "a\\|b \\`c\\` \\<script\\> \\*d\\* \\_e\\_ f_g");
        assert_eq!(escape("x\u{1b}[31m\ny &amp; R&D"), "x\\[31m y \\&amp; R\\&D");
        assert_eq!((begin("# a"), begin("1. b"), begin("- c")), ("\\# a".into(), "1\\. b".into(), "\\- c".into()));
    }

    proptest! {
        /// A cell stays one cell of one row, whatever it holds.
        #[test]
        fn no_text_leaves_its_cell(text in "\\PC*|[|`<>\\\\\n\r*_#\u{1b}\u{202e}a]{0,30}") {
            let rows = vec![vec![Cell::from(text.as_str()), Cell::from("end")]];
            let section = Section::new("s", vec![table(&["a", "b"], rows)]);
            let doc = Doc { sections: vec![section], ..Doc::default() };
            let text = doc.markdown();
            let row = text.lines().find(|line| line.ends_with("| end |")).expect("the row is one line");
            let mut bars = 0;
            let mut escaped = false;
            for c in row.chars() {
                match c {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    '|' => bars += 1,
                    '<' | '`' => prop_assert!(false, "{row}"),
                    _ => {}
                }
            }
            prop_assert_eq!(bars, 3, "{}", row);
        }
    }
}
