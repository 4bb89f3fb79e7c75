//! Words for values, the same in every subcommand.

use crate::domain::recovery::{Lag, Loss};

pub use crate::domain::time::{clock, length};

/// What is not known is said to be unknown.
pub fn length_or_unknown(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "unknown".to_owned(), length)
}

pub fn loss(loss: Loss) -> String {
    match loss {
        Loss::Unknown => "unknown".into(),
        Loss::Estimated { seconds } => format!("{} (estimated)", length(seconds)),
        Loss::Measured { seconds } => format!("{} (measured)", length(seconds)),
    }
}

/// In the unit that the system speaks.
pub fn lag(lag: Option<Lag>) -> String {
    match lag {
        None => "unknown".into(),
        Some(Lag::Seconds(seconds)) => length(seconds),
        Some(Lag::Bytes(bytes)) => format!("{bytes} bytes"),
        Some(Lag::Transactions(count)) => format!("{count} tx"),
    }
}

/// Before a length that is counted from the first look at something that had failed already.
pub fn at_least(bound: bool) -> &'static str {
    if bound { "at least " } else { "" }
}

pub fn met(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "met",
        Some(false) => "MISSED",
        None => "open",
    }
}

/// Columns as wide as their widest cell, two spaces apart; the last one is as long as it is.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    use unicode_width::UnicodeWidthStr;
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let all = || std::iter::once(&head).chain(rows);
    let width = |column: usize| all().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for row in all() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - cell.width() + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_under_wide_characters() {
        let rows = vec![vec!["日本".into(), "x".into()], vec!["a".into(), "y".into()]];
        assert_eq!(table(&["name", "v"], &rows), "name  v\n日本  x\na     y\n");
    }
}
