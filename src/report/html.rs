//! Documents as one HTML page: no script, no font and no image from anywhere; light and dark as the reader's system has it, and print.

use std::fmt::{self, Write};

use super::doc::{Block, Column, Doc, Tile};
use super::text::{Cell, escape};
use crate::domain::describe::Tone;

const STYLE: &str = include_str!("style.css");

/// Nothing may be loaded or run, even if a text should ever get through: the page is complete.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

impl Doc {
    /// One page that needs nothing else: no script, no font, no image from anywhere.
    pub fn html(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = compose(&mut out, self);
        out
    }
}

fn compose(out: &mut String, doc: &Doc) -> fmt::Result {
    let (kind, title) = (escape(&doc.kind), escape(&doc.title));
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{kind}: {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>"
    )?;
    writeln!(out, "<header>\n<p class=\"kind\">{kind}</p>\n<h1>{title}</h1>")?;
    if !doc.badges.is_empty() {
        let badges: Vec<String> = doc.badges.iter().map(|it| span("badge", it)).collect();
        writeln!(out, "<p class=\"badges\">{}</p>", badges.join(" "))?;
    }
    if !doc.summary.is_empty() {
        let sentences: Vec<String> = doc.summary.iter().map(|it| escape(it)).collect();
        writeln!(out, "<p class=\"summary\">{}</p>", sentences.join(" "))?;
    }
    writeln!(out, "</header>\n<nav><ul>")?;
    for (section, anchor) in doc.sections.iter().zip(doc.anchors()) {
        writeln!(out, "<li><a href=\"#{anchor}\">{}</a></li>", escape(&section.title))?;
    }
    writeln!(out, "</ul></nav>\n<main>")?;
    for (section, anchor) in doc.sections.iter().zip(doc.anchors()) {
        writeln!(out, "<section id=\"{anchor}\">\n<h2>{}</h2>", escape(&section.title))?;
        section.blocks.iter().try_for_each(|it| block(out, it))?;
        writeln!(out, "</section>")?;
    }
    writeln!(out, "</main>\n<footer>{}</footer>\n</body>\n</html>", escape(&doc.colophon))
}

fn block(out: &mut String, block: &Block) -> fmt::Result {
    match block {
        Block::Text(text) => writeln!(out, "<p>{}</p>", escape(text)),
        Block::Tiles(tiles) => {
            writeln!(out, "<div class=\"tiles\">")?;
            tiles.iter().try_for_each(|it| tile(out, it))?;
            writeln!(out, "</div>")
        }
        Block::Facts(facts) => {
            writeln!(out, "<dl>")?;
            facts.iter().try_for_each(|(name, value)| {
                writeln!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escape(name), inline(value))
            })?;
            writeln!(out, "</dl>")
        }
        Block::Table { head, rows } => table(out, head, rows),
        Block::List(items) => {
            writeln!(out, "<ul>")?;
            items.iter().try_for_each(|item| writeln!(out, "<li>{}</li>", inline(item)))?;
            writeln!(out, "</ul>")
        }
        Block::Boxes(items) => {
            writeln!(out, "<ul class=\"boxes\">")?;
            items.iter().try_for_each(|(ticked, item)| {
                let (class, mark) = if *ticked { ("box ticked", "☑") } else { ("box", "☐") };
                writeln!(out, "<li><span class=\"{class}\">{mark}</span> {}</li>", inline(item))
            })?;
            writeln!(out, "</ul>")
        }
        Block::Quote { of, lines } => {
            let lines: Vec<String> = lines.iter().map(|line| escape(line)).collect();
            let (of, text) = (escape(of), lines.join("<br>\n"));
            writeln!(out, "<details><summary>{of}</summary>\n<blockquote>{text}</blockquote></details>")
        }
        Block::Figure(figure) => {
            let caption = escape(&figure.caption);
            writeln!(
                out,
                "<figure>\n<div class=\"wide\">{}</div>\n<figcaption>{caption}</figcaption>\n</figure>",
                figure.svg
            )
        }
    }
}

fn tile(out: &mut String, tile: &Tile) -> fmt::Result {
    let tone = tile.value.tone;
    writeln!(
        out,
        "<div class=\"tile {tone}\"><p class=\"label\">{}</p><p class=\"value\">{}</p><p class=\"note\">{}</p></div>",
        escape(&tile.label),
        escape(&tile.value.text),
        escape(&tile.note)
    )
}

fn table(out: &mut String, head: &[Column], rows: &[Vec<Cell>]) -> fmt::Result {
    let class = |number: bool| if number { " class=\"number\"" } else { "" };
    writeln!(out, "<div class=\"wide\"><table>\n<thead><tr>")?;
    for column in head {
        write!(out, "<th scope=\"col\"{}>{}</th>", class(column.number), escape(&column.title))?;
    }
    writeln!(out, "</tr></thead>\n<tbody>")?;
    for row in rows {
        write!(out, "<tr>")?;
        for (at, it) in row.iter().enumerate() {
            let number = head.get(at).is_some_and(|column| column.number);
            write!(out, "<td{}>{}</td>", class(number), inline(it))?;
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody>\n</table></div>")
}

fn inline(cell: &Cell) -> String {
    match cell.tone {
        _ if cell.code => format!("<code>{}</code>", escape(&cell.text)),
        Tone::Plain => escape(&cell.text),
        _ => span("tone", cell),
    }
}

fn span(class: &str, cell: &Cell) -> String {
    format!("<span class=\"{class} {}\">{}</span>", cell.tone, escape(&cell.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let text = escape("<script>alert('x')</script> & \"q\"\u{1b}[0m\u{202e}");
        assert_eq!(text, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;q&quot;[0m");
    }

    #[test]
    fn a_page_needs_nothing_from_anywhere() {
        let page = Doc { kind: "Review".into(), title: "x".into(), ..Doc::default() }.html();
        for wanted in ["prefers-color-scheme: dark", "@media print", "<title>Review: x</title>"] {
            assert!(page.contains(wanted), "{wanted}");
        }
        for barred in ["<script", "http:", "https:", "url(", "@import"] {
            assert!(!page.contains(barred), "{barred}");
        }
    }
}
