//! PackStream, the way in which Bolt writes values. What it can say and JSON cannot becomes text (moments, in RFC 3339) or null (nodes,
//! points, spans of time): nothing here asks for those. <https://neo4j.com/docs/bolt/current/packstream/>

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use serde_json::{Map, Number, Value};

/// Nothing that is asked nests deeper.
const DEEPEST: u8 = 32;

/// Appends a structure: its tag and its fields.
pub fn structure(tag: u8, fields: &[Value], out: &mut Vec<u8>) {
    out.extend([0xb0 | fields.len() as u8, tag]);
    fields.iter().for_each(|field| encode(field, out));
}

pub fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0xc0),
        Value::Bool(flag) => out.push(if *flag { 0xc3 } else { 0xc2 }),
        Value::Number(number) => encode_number(number, out),
        Value::String(text) => {
            sized(out, 0x80, [0xd0, 0xd1, 0xd2], text.len());
            out.extend_from_slice(text.as_bytes());
        }
        Value::Array(items) => {
            sized(out, 0x90, [0xd4, 0xd5, 0xd6], items.len());
            items.iter().for_each(|item| encode(item, out));
        }
        Value::Object(entries) => {
            sized(out, 0xa0, [0xd8, 0xd9, 0xda], entries.len());
            for (key, value) in entries {
                encode(&Value::from(key.as_str()), out);
                encode(value, out);
            }
        }
    }
}

fn encode_number(number: &Number, out: &mut Vec<u8>) {
    match number.as_i64() {
        Some(tiny @ -16..=127) => out.push(tiny as u8),
        Some(whole) => {
            out.push(0xcb);
            out.extend(whole.to_be_bytes());
        }
        None => {
            out.push(0xc1);
            out.extend(number.as_f64().unwrap_or(f64::NAN).to_be_bytes());
        }
    }
}

/// A size in the marker itself where that is possible, else after one of three markers for 8, 16 and 32 bits.
fn sized(out: &mut Vec<u8>, tiny: u8, markers: [u8; 3], size: usize) {
    match size {
        0..=15 => out.push(tiny | size as u8),
        16..=0xff => out.extend([markers[0], size as u8]),
        0x100..=0xffff => {
            out.push(markers[1]);
            out.extend((size as u16).to_be_bytes());
        }
        _ => {
            out.push(markers[2]);
            out.extend((size as u32).to_be_bytes());
        }
    }
}

/// Reads a message: the tag of its structure, and the fields. `None` if the bytes are not PackStream.
pub fn message(mut bytes: &[u8]) -> Option<(u8, Vec<Value>)> {
    let marker = take(&mut bytes, 1)?[0];
    if marker & 0xf0 != 0xb0 {
        return None;
    }
    let tag = take(&mut bytes, 1)?[0];
    let fields = (0..marker & 0x0f).map(|_| decode(&mut bytes, DEEPEST)).collect::<Option<Vec<_>>>()?;
    Some((tag, fields))
}

fn decode(bytes: &mut &[u8], depth: u8) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    let marker = take(bytes, 1)?[0];
    let small = usize::from(marker & 0x0f);
    Some(match marker {
        0xc0 => Value::Null,
        0xc1 => {
            Number::from_f64(f64::from_be_bytes(take(bytes, 8)?.try_into().ok()?)).map_or(Value::Null, Value::Number)
        }
        0xc2 => Value::Bool(false),
        0xc3 => Value::Bool(true),
        0x00..=0x7f | 0xf0..=0xff => i64::from(marker as i8).into(),
        0xc8..=0xcb => signed(take(bytes, 1 << (marker - 0xc8))?).into(),
        0xcc..=0xce => {
            let size = length(bytes, marker - 0xcc)?;
            take(bytes, size)?;
            Value::Null
        }
        0x80..=0x8f => text(bytes, small)?,
        0xd0..=0xd2 => {
            let size = length(bytes, marker - 0xd0)?;
            text(bytes, size)?
        }
        0x90..=0x9f => list(bytes, small, depth)?,
        0xd4..=0xd6 => {
            let size = length(bytes, marker - 0xd4)?;
            list(bytes, size, depth)?
        }
        0xa0..=0xaf => map(bytes, small, depth)?,
        0xd8..=0xda => {
            let size = length(bytes, marker - 0xd8)?;
            map(bytes, size, depth)?
        }
        0xb0..=0xbf => {
            let tag = take(bytes, 1)?[0];
            let fields = (0..small).map(|_| decode(bytes, depth)).collect::<Option<Vec<_>>>()?;
            moment(tag, &fields).map_or(Value::Null, |at| at.to_string().into())
        }
        _ => return None,
    })
}

/// A moment in one of its four forms: in UTC since Bolt 5, in local seconds before, each by an offset or by the name of a zone.
/// <https://neo4j.com/docs/bolt/current/bolt/structure-semantics/>
fn moment(tag: u8, fields: &[Value]) -> Option<Timestamp> {
    let [secs, nanos, zone] = fields else { return None };
    let (secs, nanos) = (secs.as_i64()?, i32::try_from(nanos.as_i64()?).ok()?);
    match tag {
        b'I' | b'i' => Timestamp::new(secs, nanos).ok(),
        b'F' => Timestamp::new(secs.checked_sub(zone.as_i64()?)?, nanos).ok(),
        b'f' => {
            let clock: DateTime = Offset::UTC.to_datetime(Timestamp::new(secs, nanos).ok()?);
            let zone = TimeZone::get(zone.as_str()?).ok()?;
            zone.to_ambiguous_zoned(clock).compatible().ok().map(|at| at.timestamp())
        }
        _ => None,
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(head)
}

fn signed(bytes: &[u8]) -> i64 {
    let fill = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { -1 } else { 0 };
    bytes.iter().fold(fill, |number, byte| (number << 8) | i64::from(*byte))
}

/// A size of 8, 16 or 32 bits.
fn length(bytes: &mut &[u8], which: u8) -> Option<usize> {
    Some(take(bytes, 1 << which)?.iter().fold(0, |size, byte| (size << 8) | usize::from(*byte)))
}

fn text(bytes: &mut &[u8], size: usize) -> Option<Value> {
    Some(String::from_utf8_lossy(take(bytes, size)?).into_owned().into())
}

fn list(bytes: &mut &[u8], size: usize, depth: u8) -> Option<Value> {
    (0..size).map(|_| decode(bytes, depth)).collect::<Option<Vec<_>>>().map(Value::Array)
}

fn map(bytes: &mut &[u8], size: usize, depth: u8) -> Option<Value> {
    let entry = |_| {
        let Value::String(key) = decode(bytes, depth)? else { return None };
        Some((key, decode(bytes, depth)?))
    };
    (0..size).map(entry).collect::<Option<Map<_, _>>>().map(Value::Object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(bytes: &[u8]) -> Option<Value> {
        decode(&mut &*bytes, DEEPEST)
    }

    #[test]
    fn what_is_written_is_read() {
        let long = "é".repeat(200);
        let value = json!({
            "numbers": [-17, -16, -1, 0, 127, 128, 40_000, i64::MIN, i64::MAX, 1.5], "long": long, "many": vec![1; 300],
            "none": null, "flags": [true, false], "nested": { "a": {} },
        });
        let mut bytes = Vec::new();
        structure(0x71, std::slice::from_ref(&value), &mut bytes);
        assert_eq!(message(&bytes), Some((0x71, vec![value])));
        for cut in 0..bytes.len() {
            assert_eq!(message(&bytes[..cut]), None, "cut at {cut}");
        }
        assert_eq!(read(&[0x91; 64]), None, "nested without end");
    }

    #[test]
    fn numbers_are_read_with_their_sign() {
        for (bytes, number) in [(&[0xf0][..], -16), (&[0xff], -1), (&[0xc8, 0x80], -128), (&[0xc9, 0xff, 0x00], -256)] {
            assert_eq!(read(bytes), Some(json!(number)), "{bytes:x?}");
        }
    }

    #[test]
    fn moments_are_read_in_each_of_their_forms() {
        // 2026-11-30T06:00:00Z, and the same hour at +01:00.
        let forms = [
            (b'I', json!([1_796_018_400, 5, 3600])),
            (b'i', json!([1_796_018_400, 5, "Europe/Vienna"])),
            (b'F', json!([1_796_022_000, 5, 3600])),
            (b'f', json!([1_796_022_000, 5, "Europe/Vienna"])),
        ];
        for (tag, fields) in forms {
            let mut bytes = Vec::new();
            structure(tag, fields.as_array().unwrap(), &mut bytes);
            assert_eq!(read(&bytes), Some(json!("2026-11-30T06:00:00.000000005Z")), "{}", char::from(tag));
        }
        // A local time is of no zone: it is no moment.
        let mut bytes = Vec::new();
        structure(b'd', &[json!(1_796_018_400), json!(0)], &mut bytes);
        assert_eq!(read(&bytes), Some(Value::Null));
    }
}
