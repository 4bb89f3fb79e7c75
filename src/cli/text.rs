//! Words for values, the same in every subcommand.

use crate::domain::recovery::{Lag, Loss};

/// `1:05`, or `2:00:10`: for clocks that run.
pub fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// `0.4 s`, `72.3 s`, `5 min`, `2 h 10 min`: for lengths that are known.
pub fn length(seconds: f64) -> String {
    match seconds {
        s if s < 100.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} h {:.0} min", (s / 3600.0).floor(), s / 60.0 % 60.0),
    }
}

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
    fn lengths_and_clocks_read_well() {
        assert_eq!((clock(65.9), clock(7210.0), clock(-3.0)), ("1:05".into(), "2:00:10".into(), "0:00".into()));
        assert_eq!(
            (length(0.42), length(300.0), length(7800.0)),
            ("0.4 s".into(), "5 min".into(), "2 h 10 min".into())
        );
        assert_eq!(length_or_unknown(None), "unknown");
    }

    #[test]
    fn columns_line_up_under_wide_characters() {
        let rows = vec![vec!["日本".into(), "x".into()], vec!["a".into(), "y".into()]];
        assert_eq!(table(&["name", "v"], &rows), "name  v\n日本  x\na     y\n");
    }
}
