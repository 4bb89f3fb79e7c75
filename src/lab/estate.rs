//! The config file of the lab's estate: an ordinary one, with the addresses of a running lab filled in.

use std::time::Duration;

use super::Endpoints;
use super::world::{Pace, THIRD};

/// With `${…}` for what only a running lab knows: the name of an endpoint, or a length of time that follows the lab's pace, with
/// the shortest that it may become (`${2s:500ms}`).
pub const TEMPLATE: &str = include_str!("../../assets/lab/estate.toml");

/// The same for a lab of three regions.
pub const THREE: &str = include_str!("../../assets/lab/three-regions.toml");

/// The config of a lab with these endpoints, or the placeholder that means nothing to it.
///
/// # Errors
/// When the template and the lab's servers do not agree; a test makes sure that they do.
pub fn config_for(endpoints: &Endpoints, pace: Pace) -> Result<String, String> {
    let spread = endpoints.contains_key(&format!("kubernetes.{THIRD}"));
    filled(if spread { THREE } else { TEMPLATE }, endpoints, pace)
}

/// Any text with `${…}` for what only a running lab knows.
///
/// # Errors
/// The placeholder that means nothing to this lab.
pub fn filled(text: &str, endpoints: &Endpoints, pace: Pace) -> Result<String, String> {
    let mut parts = text.split("${");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').ok_or_else(|| format!("`${{{part}` does not end"))?;
        let value = endpoints.get(name).cloned().or_else(|| scaled(name, pace));
        text += &value.ok_or_else(|| format!("the lab has no `{name}`"))?;
        text += rest;
    }
    Ok(text)
}

/// `2s:500ms` at the lab's pace, in milliseconds.
fn scaled(text: &str, pace: Pace) -> Option<String> {
    let (nominal, least) = text.split_once(':')?;
    let length = pace.scale(duration(nominal)?).max(duration(least)?);
    Some(format!("{}ms", length.as_millis().max(1)))
}

/// `20s`, `900ms`, `5m`
pub(super) fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number = digits.parse().ok()?;
    match &text[digits.len()..] {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number * 60)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_follow_the_pace_down_to_their_least() {
        assert_eq!(scaled("2s:500ms", Pace(1.0)).as_deref(), Some("2000ms"));
        assert_eq!(scaled("2s:10ms", Pace(20.0)).as_deref(), Some("100ms"));
        assert_eq!(scaled("2s:500ms", Pace(200.0)).as_deref(), Some("500ms"));
        for wrong in ["2s", "rds.us-east-1", "2x:1s", ":1s"] {
            assert_eq!(scaled(wrong, Pace(1.0)), None);
        }
    }
}
