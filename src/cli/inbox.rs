//! `mayday lab inbox`: what the lab's communication servers took.

use serde::Deserialize;
use serde_json::Value;

use super::text::table;
use crate::domain::text::clean;
use crate::domain::time::At;

/// How much of a message's words a line shows.
const WORDS: usize = 80;

/// A message as the lab's control page has it.
#[derive(Deserialize)]
struct Message {
    at: At,
    service: String,
    kind: String,
    #[serde(rename = "where")]
    to: Vec<String>,
    title: String,
    text: String,
}

/// For people: a line a message, the newest last.
///
/// # Errors
/// When it is not what a lab's control page answers.
pub fn text(messages: &Value) -> Result<String, String> {
    let messages = Vec::<Message>::deserialize(messages).map_err(|error| format!("no inbox of a lab: {error}"))?;
    if messages.is_empty() {
        return Ok("Nobody was told anything yet.".into());
    }
    let rows: Vec<Vec<String>> = messages
        .into_iter()
        .map(|it| {
            let at = it.at.strftime("%H:%M:%S").to_string();
            vec![at, clean(&it.service), clean(&it.kind), recipients(&it.to), words(&it.title, &it.text)]
        })
        .collect();
    Ok(table(&["at (UTC)", "service", "kind", "where", "what"], &rows))
}

fn recipients(to: &[String]) -> String {
    match to {
        [] => String::new(),
        [one] => clean(one),
        [first, rest @ ..] => format!("{} +{}", clean(first), rest.len()),
    }
}

fn words(title: &str, text: &str) -> String {
    let (title, text) = (clean(title), clean(text));
    let between = if title.is_empty() || text.is_empty() { "" } else { ": " };
    let whole = format!("{title}{between}{text}");
    if whole.chars().count() <= WORDS {
        return whole;
    }
    whole.chars().take(WORDS).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_when_where_and_what() {
        let message = |to: Value, title: &str, text: &str| {
            json!({
                "serial": 1, "at": "2026-01-02T03:04:05Z", "service": "smtp", "kind": "letter", "where": to,
                "title": title, "text": text, "mark": null, "details": {},
            })
        };
        let messages = json!([
            message(json!(["ada@x", "bob@x", "eve@x"]), "Down\u{1b}[2J", "We\nlook"),
            message(json!(["#incidents"]), "", &"x".repeat(WORDS + 1)),
        ]);
        let lines: Vec<String> = text(&messages).unwrap().lines().map(str::to_owned).collect();
        assert_eq!(lines[1], "03:04:05  smtp     letter  ada@x +2    Down[2J: We look");
        assert!(lines[2].ends_with("x…"), "{lines:?}");
        assert_eq!(text(&json!([])).unwrap(), "Nobody was told anything yet.");
        assert!(text(&json!({ "error": "x" })).is_err());
    }
}
