//! What people write about answers that are right: sets of statuses, patterns, JSON pointers, headers. One place reads them for the config
//! and for those who hold answers against them.

use std::ops::RangeInclusive;

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::domain::text::clean;

/// The longest pattern.
const LONGEST: usize = 1000;

/// The memory that a pattern may take, in bytes. `regex` looks at each byte of a text a bounded number of times.
const MEMORY: usize = 1 << 20;

/// A regular expression, as <https://docs.rs/regex/#syntax> says, without look-around and backreferences.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn pattern(text: &str) -> Result<Regex, String> {
    if text.len() > LONGEST {
        return Err(format!("this pattern is longer than {LONGEST} bytes"));
    }
    let made = RegexBuilder::new(text).size_limit(MEMORY).dfa_size_limit(MEMORY).build();
    made.map_err(|error| {
        let words = error.to_string();
        let why = words.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("this is not a regular expression: {}", clean(why))
    })
}

/// A JSON pointer (RFC 6901): empty for the whole document, or keys that each begin with `/`.
///
/// # Errors
/// What is wrong with it.
pub fn pointer(text: &str) -> Result<(), String> {
    if text.is_empty() || text.starts_with('/') {
        return Ok(());
    }
    Err(format!("`{}` is not a JSON pointer: write it like /status/code", clean(text)))
}

/// A set of HTTP statuses: `204`, `"2xx"`, `["200-299", 401]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(Vec<RangeInclusive<u16>>);

impl Statuses {
    /// 200 to 299.
    pub fn success() -> Self {
        Self(vec![200..=299])
    }

    /// # Errors
    /// What is wrong with it.
    pub fn read(value: &Value) -> Result<Self, String> {
        let one = |value: &Value| match value {
            Value::Number(number) => Self::one(&number.to_string()),
            Value::String(text) => Self::one(text),
            _ => Err("a status is a number, or a text like \"2xx\" or \"200-299\"".into()),
        };
        let ranges: Result<Vec<_>, String> = match value {
            Value::Array(items) if items.is_empty() => Err("no status would be right".into()),
            Value::Array(items) => items.iter().map(one).collect(),
            single => one(single).map(|range| vec![range]),
        };
        ranges.map(Self)
    }

    fn one(text: &str) -> Result<RangeInclusive<u16>, String> {
        let wrong = || format!("`{}` is no status: write it like 200, \"2xx\" or \"200-299\"", clean(text));
        let number =
            |text: &str| text.trim().parse::<u16>().ok().filter(|it| (100..=599).contains(it)).ok_or_else(wrong);
        let lower = text.trim().to_ascii_lowercase();
        if let Some(class) = lower.strip_suffix("xx") {
            let class = number(&format!("{class}00"))?;
            return Ok(class..=class + 99);
        }
        match lower.split_once('-') {
            Some((from, to)) => {
                let (from, to) = (number(from)?, number(to)?);
                if from <= to { Ok(from..=to) } else { Err(wrong()) }
            }
            None => number(&lower).map(|only| only..=only),
        }
    }

    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

/// Headers that carry secrets: they have parameters of their own, which name where the secret is kept.
const SECRET_HEADERS: [&str; 6] =
    ["authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token", "x-vault-token"];

/// A header of a request.
///
/// # Errors
/// What is wrong with it; its value is not repeated.
pub fn header(name: &str, value: &str) -> Result<(http::HeaderName, http::HeaderValue), String> {
    let known =
        http::HeaderName::try_from(name).map_err(|_| format!("`{}` is not the name of a header", clean(name)))?;
    if SECRET_HEADERS.contains(&known.as_str()) {
        return Err(format!(
            "the header `{known}` carries a secret, and a secret does not belong in a config file: use `bearer_token`, \
             `username` and `password`, or `api_key`"
        ));
    }
    let value = http::HeaderValue::try_from(value).map_err(|_| {
        format!("the value of the header `{known}` cannot be sent: it has characters that no header has")
    })?;
    Ok((known, value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn statuses_are_single_ranges_and_classes() {
        let set = |value: Value| Statuses::read(&value).unwrap_or_else(|why| panic!("{value}: {why}"));
        assert!(set(json!(204)).contains(204) && !set(json!(204)).contains(200));
        assert!(set(json!("2xx")).contains(299) && !set(json!("2XX")).contains(300));
        let several = set(json!([200, "301-302", "4xx"]));
        let right = [200, 301, 302, 404].into_iter().all(|it| several.contains(it));
        assert!(right && !several.contains(201) && !several.contains(303));
        for wrong in [json!(99), json!("6xx"), json!("x"), json!("300-200"), json!([]), json!([true]), json!("")] {
            assert!(Statuses::read(&wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn a_pattern_is_bounded() {
        assert!(pattern(r#""status"\s*:\s*"(ok|up)""#).unwrap().is_match(r#"{"status": "up"}"#));
        for wrong in ["(", "a{1000}{1000}{1000}", "(?=x)", &"a".repeat(2000)] {
            let why = pattern(wrong).unwrap_err();
            assert!(!why.is_empty() && !why.contains('\n'), "{why}");
        }
    }

    #[test]
    fn a_secret_is_no_header_of_a_config() {
        assert!(header("X-Probe", "1").is_ok());
        for (name, value) in
            [("Authorization", "Bearer hunter2"), ("cookie", "hunter2"), ("a b", "hunter2"), ("x", "hunter2\n")]
        {
            let why = header(name, value).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
        assert!(pointer("/a/b").is_ok() && pointer("").is_ok() && pointer("a").is_err());
    }
}
