//! A document in Markdown, as Mayday itself writes it, on a terminal: headings coloured, tables in columns, escapes undone.

use ratatui::text::{Line, Span};

use super::super::format::{column, width, wrap};
use super::super::look::Look;
use super::super::theme::Role;
use super::heading;

/// A column of a table is no wider, but for the last one, which takes what is left.
const COLUMN: usize = 22;
/// ... and at least this much.
const LAST: usize = 18;

pub fn lines(look: &Look<'_>, text: &str, columns: usize) -> Vec<Line<'static>> {
    let (mut out, mut rows): (Vec<Line<'static>>, Vec<Vec<String>>) = (Vec::new(), Vec::new());
    for line in text.lines() {
        if let Some(row) = line.strip_prefix("| ") {
            rows.push(cells(row));
            continue;
        }
        if line.starts_with("|-") {
            continue;
        }
        table(look, &std::mem::take(&mut rows), columns, &mut out);
        out.extend(block(look, line, columns));
    }
    table(look, &rows, columns, &mut out);
    out
}

fn block(look: &Look<'_>, line: &str, columns: usize) -> Vec<Line<'static>> {
    if let Some(title) = line.strip_prefix("## ") {
        return vec![heading(look, &plain(title))];
    }
    if let Some(title) = line.strip_prefix("# ") {
        let lines = wrap(&plain(title), columns).into_iter();
        return lines.map(|text| Line::from(look.span(text, Role::Strong))).collect();
    }
    if line == "---" {
        return vec![Line::from(look.span("─".repeat(columns), Role::Faint))];
    }
    let (lead, rest, role) = if let Some(rest) = line.strip_prefix("- [ ] ") {
        ("☐ ", rest, Role::Text)
    } else if let Some(rest) = line.strip_prefix("- [x] ") {
        ("✓ ", rest, Role::Text)
    } else if let Some(rest) = line.strip_prefix("- ") {
        ("• ", rest, Role::Text)
    } else if let Some(rest) = line.strip_prefix("> ") {
        ("│ ", rest, Role::Dim)
    } else {
        ("", line, Role::Text)
    };
    let wrapped = wrap(&plain(rest), columns.saturating_sub(width(lead)));
    if wrapped.is_empty() {
        return vec![Line::default()];
    }
    let loud = rest.starts_with("**") || rest.contains(": **");
    let role = if loud && role == Role::Text { Role::Strong } else { role };
    let lines = wrapped.into_iter().enumerate().map(|(at, text)| {
        let lead = if at == 0 || lead.starts_with('│') { lead.to_owned() } else { " ".repeat(width(lead)) };
        Line::from(vec![look.span(lead, Role::Dim), look.span(text, role)])
    });
    lines.collect()
}

/// The first row is the head. Columns that are empty throughout are left out.
fn table(look: &Look<'_>, rows: &[Vec<String>], columns: usize, out: &mut Vec<Line<'static>>) {
    let Some((_, body)) = rows.split_first() else { return };
    let filled = |at: usize| body.iter().any(|row| row.get(at).is_some_and(|cell| !cell.is_empty()));
    let shown: Vec<usize> = (0..rows[0].len()).filter(|at| filled(*at)).collect();
    let Some((last, others)) = shown.split_last() else { return };
    let most = columns.saturating_sub(LAST) / others.len().max(1);
    let natural =
        |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| width(&plain(cell))).max().unwrap_or(0);
    let mut widths: Vec<usize> =
        others.iter().map(|at| natural(*at).min(COLUMN).min(most.saturating_sub(2)).max(1)).collect();
    let used: usize = widths.iter().map(|width| width + 2).sum();
    widths.push(natural(*last).min(columns.saturating_sub(used)).max(1));
    for (nth, row) in rows.iter().enumerate() {
        let wrapped: Vec<(Vec<String>, Role)> = shown
            .iter()
            .zip(&widths)
            .map(|(at, width)| {
                let cell = row.get(*at).map_or("", String::as_str);
                let role = match (nth, cell.starts_with("**")) {
                    (0, _) => Role::Dim,
                    (_, true) => Role::Strong,
                    _ => Role::Text,
                };
                (wrap(&plain(cell), *width), role)
            })
            .collect();
        let height = wrapped.iter().map(|(lines, _)| lines.len()).max().unwrap_or(1).max(1);
        out.extend((0..height).map(|line| {
            let cell = |((lines, role), width): (&(Vec<String>, Role), &usize)| -> Span<'static> {
                let text = lines.get(line).map_or("", String::as_str);
                look.span(format!("{}  ", column(text, *width)), *role)
            };
            Line::from(wrapped.iter().zip(&widths).map(cell).collect::<Vec<_>>())
        }));
    }
}

/// The cells of a row, still escaped.
fn cells(row: &str) -> Vec<String> {
    let (mut cells, mut cell, mut escaped) = (Vec::new(), String::new(), false);
    for c in row.chars() {
        if c == '|' && !escaped {
            cells.push(std::mem::take(&mut cell).trim().to_owned());
        } else {
            cell.push(c);
        }
        escaped = c == '\\' && !escaped;
    }
    cells
}

/// The text without its marks: bold is told by colour, and an escaped character is itself.
fn plain(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text.chars().peekable());
    while let Some(c) = rest.next() {
        match c {
            '\\' => out.extend(rest.next()),
            '*' if rest.peek() == Some(&'*') => {
                rest.next();
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_escaped_is_itself_again() {
        assert_eq!(plain("a\\|b \\`c\\` \\<d\\> **e** \\*\\*f\\\\"), "a|b `c` <d> e **f\\");
        assert_eq!(cells("a \\| b | c |"), ["a \\| b", "c"]);
    }
}
