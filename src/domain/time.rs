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
