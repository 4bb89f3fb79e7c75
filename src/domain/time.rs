//! Time as the domain sees it: instants are handed in, never read here.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant (UTC, RFC 3339 on the wire).
pub type At = jiff::Timestamp;

/// Seconds from `earlier` to `later`; negative if they are the other way round.
pub fn seconds_between(earlier: At, later: At) -> f64 {
    later.duration_since(earlier).as_secs_f64()
}

/// `at` moved back by `span`, saturating at the ends of time.
pub fn before(at: At, span: Duration) -> At {
    at.saturating_sub(span).unwrap_or(at)
}

/// `at` moved on by `span`, saturating at the ends of time.
pub fn after(at: At, span: Duration) -> At {
    at.saturating_add(span).unwrap_or(at)
}

/// A running clock: `2:14`, `1:02:03`. Whole seconds that have passed; never negative.
pub fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// Tenths of a second count below ten seconds, where they are not none. Cut as [`clock`] is, so that one length is the same everywhere.
fn tenths(seconds: f64) -> Option<String> {
    let tenths = (seconds * 10.0 + 1e-6).floor();
    (tenths < 100.0 && tenths % 10.0 != 0.0).then(|| format!("{:.1}", tenths / 10.0))
}

/// A length of time in words, for texts and tables: `0.4 s`, `41 s`, `3 min 54 s`, `2 h 10 min`. Never negative.
pub fn length(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match (tenths(seconds.max(0.0)), whole / 3600, whole / 60 % 60, whole % 60) {
        (Some(tenths), ..) => format!("{tenths} s"),
        (None, 0, 0, seconds) => format!("{seconds} s"),
        (None, 0, minutes, 0) => format!("{minutes} min"),
        (None, 0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (None, hours, 0, _) => format!("{hours} h"),
        (None, hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}

/// The same where columns are few: `0.4s`, `41s`, `3m20s`, `1h05m`, `2d4h`.
pub fn brief(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match (tenths(seconds.max(0.0)), whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60) {
        (Some(tenths), ..) => format!("{tenths}s"),
        (None, 0, 0, 0, seconds) => format!("{seconds}s"),
        (None, 0, 0, minutes, 0) => format!("{minutes}m"),
        (None, 0, 0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (None, 0, hours, 0, _) => format!("{hours}h"),
        (None, 0, hours, minutes, _) => format!("{hours}h{minutes:02}m"),
        (None, days, hours, ..) => format!("{days}d{hours}h"),
    }
}

/// Clocks of different hosts may differ by so many seconds and be right enough.
const APART: f64 = 60.0;

/// Whether a moment that is said to be past lies so far after `now` that a clock or a time zone is wrong: how old what it dates is,
/// nobody knows.
pub fn is_ahead(at: At, now: At) -> bool {
    seconds_between(now, at) > APART
}

/// A length of time as people write it: `250ms`, `90s`, `5m`, `1h30m`, `7d`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Span {
    /// How it is written, as a regular expression of JSON Schema; a test holds it against [`FromStr`].
    pub const PATTERN: &'static str = r"^\s*([0-9]+(d|h|m|s|ms))+\s*$";

    pub const fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }
    pub fn as_secs_f64(self) -> f64 {
        self.0.as_secs_f64()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_millis() as u64;
        if left == 0 {
            return f.write_str("0s");
        }
        for (unit, millis) in UNITS {
            if left >= millis {
                write!(f, "{}{unit}", left / millis)?;
                left %= millis;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a length of time; write it like 250ms, 90s, 5m, 1h30m or 7d");
        let (mut rest, mut total) = (text.trim(), 0u64);
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let (_, millis) = UNITS.iter().find(|(unit, _)| *unit == &rest[..end]).ok_or_else(wrong)?;
            total = number.checked_mul(*millis).and_then(|n| total.checked_add(n)).ok_or_else(wrong)?;
            rest = &rest[end..];
        }
        Ok(Self(Duration::from_millis(total)))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": Span::PATTERN, "examples": ["250ms", "90s", "1h30m"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_length_is_the_same_as_a_clock_in_words_and_in_few_columns() {
        let cases = [
            (-1.0, "0:00", "0 s", "0s"),
            (0.42, "0:00", "0.4 s", "0.4s"),
            (2.0, "0:02", "2 s", "2s"),
            (9.99, "0:09", "9.9 s", "9.9s"),
            (41.9, "0:41", "41 s", "41s"),
            (99.96, "1:39", "1 min 39 s", "1m39s"),
            (200.0, "3:20", "3 min 20 s", "3m20s"),
            (263.6, "4:23", "4 min 23 s", "4m23s"),
            (300.0, "5:00", "5 min", "5m"),
            (3600.0, "1:00:00", "1 h", "1h"),
            (3723.0, "1:02:03", "1 h 02 min", "1h02m"),
            (187_200.0, "52:00:00", "52 h", "2d4h"),
            (f64::NAN, "0:00", "0 s", "0s"),
        ];
        for (seconds, running, words, columns) in cases {
            assert_eq!(
                (clock(seconds).as_str(), length(seconds).as_str(), brief(seconds).as_str()),
                (running, words, columns)
            );
        }
    }

    #[test]
    fn a_moment_is_ahead_when_clocks_that_differ_a_little_do_not_explain_it() {
        let now: At = "2026-11-23T12:00:00Z".parse().unwrap();
        for (seconds, ahead) in [(0, false), (60, false), (61, true), (86_400, true)] {
            assert_eq!(is_ahead(after(now, Duration::from_secs(seconds)), now), ahead, "{seconds} s");
            assert!(!is_ahead(before(now, Duration::from_secs(seconds)), now), "{seconds} s ago");
        }
    }

    #[test]
    fn spans_read_as_they_are_written() {
        for text in ["250ms", "1s500ms", "5m", "1h30m", "7d", "0s"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for wrong in ["", "5", "m", "5 m", "-1s", "5y", "99999999999999999999d"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong:?} was taken");
        }
    }
}
