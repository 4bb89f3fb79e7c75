//! `mayday journal`: records, a line each.

use serde_json::Value;

use crate::domain::event::Record;

/// One line: number, time, who, what.
pub fn line(record: &Record) -> String {
    let (word, rest) = words(record);
    let time = record.at.strftime("%T");
    format!("{:>6}  {time}  {:<10}  {word:<18} {rest}", record.seq, record.actor).trim_end().to_owned()
}

/// The kind of an event, and its short fields.
fn words(record: &Record) -> (String, String) {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(&record.event) else { return Default::default() };
    let kind = fields.remove("type").and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
    let short = |(name, value): (&String, &Value)| match value {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(format!("{name}={text}")),
        Value::Number(_) | Value::Bool(_) => Some(format!("{name}={value}")),
        Value::Object(inner) if name == "fault" => Some(format!("{name}={}", inner.get("what")?.as_str()?)),
        Value::Object(inner) if name == "plan" => Some(format!("{name}={}", inner.get("id")?.as_str()?)),
        _ => None,
    };
    (kind, fields.iter().filter_map(short).collect::<Vec<_>>().join(" "))
}
