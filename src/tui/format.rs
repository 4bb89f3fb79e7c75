//! How times, ages and lengths are written, and how text is fitted into columns.

use std::borrow::Cow;

use jiff::tz::TimeZone;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::domain::estate::DataClass;
use crate::domain::recovery::Lag;
use crate::domain::time::At;

pub use crate::domain::time::{brief as length, clock};

/// How old something is, in whole seconds, so that it does not flicker.
pub fn age(seconds: f64) -> String {
    length(seconds.max(0.0).floor())
}

/// How old something is where seconds do not matter: what changes every second goes over the wire every second.
pub fn rough_age(seconds: f64) -> String {
    if seconds < 60.0 { "<1m".into() } else { length((seconds / 60.0).floor() * 60.0) }
}

/// The time of day where the operator is.
pub fn time_of_day(at: At, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
}

/// A moment for the record: the day too.
pub fn moment(at: At, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A lag in the unit that its system speaks.
pub fn lag(lag: Lag) -> String {
    match lag {
        Lag::Seconds(seconds) => length(seconds),
        Lag::Bytes(0) => "0 B".into(),
        Lag::Bytes(bytes) if bytes < 10_240 => format!("{bytes} B"),
        Lag::Bytes(bytes) if bytes < 10 << 20 => format!("{} KiB", bytes >> 10),
        Lag::Bytes(bytes) => format!("{} MiB", bytes >> 20),
        Lag::Transactions(count) => format!("{count} tx"),
    }
}

/// The short name of a data class.
pub fn class(class: DataClass) -> &'static str {
    match class {
        DataClass::Database => "database",
        DataClass::ApplicationState => "app state",
        DataClass::UserData => "user data",
    }
}

/// How many columns a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// A text in at most `columns`, cut with `…` where it is longer.
pub fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    if text.width() <= columns {
        return Cow::Borrowed(text);
    }
    let (mut out, mut used) = (String::new(), 0);
    for c in text.chars() {
        let next = c.width().unwrap_or(0);
        if used + next + 1 > columns {
            break;
        }
        out.push(c);
        used += next;
    }
    out.truncate(out.trim_end().len());
    if columns > 0 {
        out.push('…');
    }
    Cow::Owned(out)
}

/// A name in at most `columns`, cut in the middle: names of one kind often differ only at their ends (`eu-central-1`, `eu-central-2`).
pub fn fit_name(name: &str, columns: usize) -> Cow<'_, str> {
    if name.width() <= columns || columns < 5 {
        return fit(name, columns);
    }
    let (mut tail, mut used) = (0, 0);
    for (at, c) in name.char_indices().rev() {
        used += c.width().unwrap_or(0);
        if used > columns / 2 - 1 {
            break;
        }
        tail = at;
    }
    let end = &name[tail..];
    Cow::Owned(format!("{}{end}", fit(name, columns - end.width())))
}

/// A name in exactly `columns`: cut in the middle, or filled up on the right.
pub fn name(text: &str, columns: usize) -> String {
    column(&fit_name(text, columns), columns)
}

/// A text in exactly `columns`: cut or filled up on the right.
pub fn column(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    let fill = columns.saturating_sub(text.width());
    format!("{text}{:fill$}", "")
}

/// A text in exactly `columns`, against the right edge.
pub fn right(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    let fill = columns.saturating_sub(text.width());
    format!("{:fill$}{text}", "")
}

/// Breaks a text into lines of at most `columns`, between words where it can.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        let mut word = word.to_owned();
        let gap = usize::from(!line.is_empty());
        if line.width() + gap + word.width() > columns && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        while word.width() > columns {
            let head: String = fit_hard(&word, columns);
            word = word[head.len()..].to_owned();
            if head.is_empty() {
                break;
            }
            lines.push(head);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// As many leading characters as fit, without a mark; at least one, so that whoever loops gets on.
fn fit_hard(text: &str, columns: usize) -> String {
    let mut used = 0;
    let mut out = String::new();
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > columns && !out.is_empty() {
            break;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_hold_for_wide_characters() {
        assert_eq!(fit("日本語テキスト", 7), "日本語…");
        assert_eq!(width(&column("日本語", 5)), 5);
        assert_eq!(width(&column("日", 5)), 5);
        assert_eq!(right("ab", 4), "  ab");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(fit("name of it", 9), "name of…");
    }

    #[test]
    fn names_are_told_apart_by_their_ends() {
        assert_eq!(fit_name("eu-central-1", 12), "eu-central-1");
        assert_eq!(fit_name("eu-central-1", 9), "eu-ce…l-1");
        assert_eq!(fit_name("eu-central-2", 6), "eu-…-2");
        assert_eq!(fit_name("eu-central-1", 4), "eu-…");
        for columns in 0..24 {
            assert!(width(&fit_name("日本語のポッド名前がとても長い-7", columns)) <= columns);
        }
        assert!(fit_name("日本語のポッド名前がとても長い-7", 9).ends_with("-7"));
        assert_eq!(name("ab", 4), "ab  ");
    }

    #[test]
    fn wrapping_loses_nothing_and_keeps_to_the_width() {
        let text = "one verylongwordthatdoesnotfit 日本語日本語 end";
        let lines = wrap(text, 8);
        assert!(lines.iter().all(|line| width(line) <= 8), "{lines:?}");
        assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
        assert_eq!(wrap("日", 1), ["日"]);
    }
}
