//! Values of neo4rs as JSON, and back. What JSON cannot say becomes text (moments, in RFC 3339) or null (nodes, points, spans of time,
//! and local times, which are of no zone and therefore no moment): nothing here asks for those.

use std::collections::HashMap;

use chrono::{FixedOffset, NaiveDateTime};
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use neo4rs::{BoltDateTime, BoltDateTimeZoneId, BoltList, BoltNull, BoltString, BoltType, DeError, Row};
use serde::de::IgnoredAny;
use serde_json::{Map, Number, Value};

/// A value for a query.
pub fn bolt(value: Value) -> BoltType {
    match value {
        Value::Null => BoltType::Null(BoltNull),
        Value::Bool(flag) => flag.into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().unwrap_or(f64::NAN).into(),
        },
        Value::String(text) => text.into(),
        Value::Array(items) => BoltType::List(BoltList::from(items.into_iter().map(bolt).collect::<Vec<_>>())),
        Value::Object(entries) => {
            BoltType::Map(entries.into_iter().map(|(key, value)| (BoltString::from(key), bolt(value))).collect())
        }
    }
}

/// All columns of a row.
///
/// # Errors
/// When it is none.
pub fn columns(row: &Row) -> Result<Map<String, Value>, DeError> {
    let names: HashMap<String, IgnoredAny> = row.to_strict()?;
    let column = |name: String| {
        let value = row.get::<BoltType>(&name).map_or(Value::Null, json);
        (name, value)
    };
    Ok(names.into_keys().map(column).collect())
}

/// A value of an answer.
pub fn json(value: BoltType) -> Value {
    match value {
        BoltType::Boolean(flag) => flag.value.into(),
        BoltType::Integer(whole) => whole.value.into(),
        BoltType::Float(number) => Number::from_f64(number.value).map_or(Value::Null, Value::Number),
        BoltType::String(text) => text.value.into(),
        BoltType::List(items) => items.into_iter().map(json).collect(),
        BoltType::Map(entries) => entries.value.into_iter().map(|(key, value)| (key.value, json(value))).collect(),
        BoltType::DateTime(at) => told(moment(&at)),
        BoltType::DateTimeZoneId(at) => told(moment_in_zone(at)),
        _ => Value::Null,
    }
}

fn told(moment: Option<Timestamp>) -> Value {
    moment.map_or(Value::Null, |at| at.to_string().into())
}

fn moment(at: &BoltDateTime) -> Option<Timestamp> {
    let at = chrono::DateTime::<FixedOffset>::try_from(at).ok()?;
    Timestamp::new(at.timestamp(), i32::try_from(at.timestamp_subsec_nanos()).ok()?).ok()
}

/// A local time and the name of its zone: of an hour that the clock shows twice, the first.
fn moment_in_zone(at: BoltDateTimeZoneId) -> Option<Timestamp> {
    let (clock, zone): (NaiveDateTime, String) = at.try_into().ok()?;
    let clock = clock.and_utc();
    let clock = Timestamp::new(clock.timestamp(), i32::try_from(clock.timestamp_subsec_nanos()).ok()?).ok()?;
    let zoned = TimeZone::get(&zone).ok()?.to_ambiguous_zoned(Offset::UTC.to_datetime(clock));
    zoned.compatible().ok().map(|at| at.timestamp())
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use super::*;

    #[test]
    fn what_is_given_is_read() {
        let long = "é".repeat(200);
        let given = value!({
            "numbers": [-17, -16, -1, 0, 127, 128, 40_000, i64::MIN, i64::MAX, 1.5], "long": long, "many": vec![1; 300],
            "none": null, "flags": [true, false], "nested": { "a": {} },
        });
        assert_eq!(json(bolt(given.clone())), given);
    }

    #[test]
    fn moments_are_read_in_each_of_their_forms() {
        // 2026-11-30T06:00:00Z, and the same hour at +01:00.
        let utc = chrono::DateTime::from_timestamp(1_796_018_400, 5).unwrap();
        let there = chrono::DateTime::from_timestamp(1_796_022_000, 5).unwrap().naive_utc();
        let forms = [
            BoltType::from(utc.with_timezone(&FixedOffset::east_opt(3600).unwrap())),
            BoltType::from(utc.fixed_offset()),
            BoltType::from((there, "Europe/Vienna")),
        ];
        for form in forms {
            assert_eq!(json(form.clone()), value!("2026-11-30T06:00:00.000000005Z"), "{form:?}");
        }
        // A local time is of no zone: it is no moment. Nor is one of a zone that nobody knows.
        assert_eq!(json(BoltType::from(there)), Value::Null);
        assert_eq!(json(BoltType::from((there, "Nowhere/Atall"))), Value::Null);
    }
}
