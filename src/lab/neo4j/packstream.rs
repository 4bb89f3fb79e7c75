//! PackStream, the binary form of values that Bolt speaks. <https://neo4j.com/docs/bolt/current/packstream/>

use std::collections::BTreeMap;

use jiff::Timestamp;

pub type Map = BTreeMap<String, Value>;

/// A value on the wire.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Bytes(Vec<u8>),
    Text(String),
    List(Vec<Value>),
    Map(Map),
    Struct(u8, Vec<Value>),
    /// A moment with an offset of zero, written in the form that the connection's version knows.
    Moment(Timestamp),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}
impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl Value {
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
    pub fn int(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }
    pub fn map(&self) -> Option<&Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    /// Appends the wire form. `utc`: moments are written as Bolt 5 does.
    pub fn encode(&self, utc: bool, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(0xc0),
            Self::Bool(flag) => out.push(if *flag { 0xc3 } else { 0xc2 }),
            Self::Int(number) => encode_int(*number, out),
            Self::Float(number) => {
                out.push(0xc1);
                out.extend_from_slice(&number.to_be_bytes());
            }
            Self::Bytes(bytes) => {
                sized(out, None, [0xcc, 0xcd, 0xce], bytes.len());
                out.extend_from_slice(bytes);
            }
            Self::Text(text) => {
                sized(out, Some(0x80), [0xd0, 0xd1, 0xd2], text.len());
                out.extend_from_slice(text.as_bytes());
            }
            Self::List(items) => {
                sized(out, Some(0x90), [0xd4, 0xd5, 0xd6], items.len());
                items.iter().for_each(|item| item.encode(utc, out));
            }
            Self::Map(entries) => {
                sized(out, Some(0xa0), [0xd8, 0xd9, 0xda], entries.len());
                for (key, value) in entries {
                    Self::from(key.as_str()).encode(utc, out);
                    value.encode(utc, out);
                }
            }
            Self::Struct(tag, fields) => {
                out.extend([0xb0 | fields.len() as u8, *tag]);
                fields.iter().for_each(|field| field.encode(utc, out));
            }
            Self::Moment(at) => {
                // `I` counts seconds in UTC, `F` in local time; with an offset of zero they are the same number.
                let fields = vec![at.as_second().into(), i64::from(at.subsec_nanosecond()).into(), 0.into()];
                Self::Struct(if utc { b'I' } else { b'F' }, fields).encode(utc, out);
            }
        }
    }

    /// Reads one value off the front. `None` if the bytes are not PackStream.
    pub fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Self::decode_within(bytes, 32)
    }

    fn decode_within(bytes: &mut &[u8], depth: u8) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        let marker = take(bytes, 1)?[0];
        let small = usize::from(marker & 0x0f);
        Some(match marker {
            0xc0 => Self::Null,
            0xc1 => Self::Float(f64::from_be_bytes(take(bytes, 8)?.try_into().ok()?)),
            0xc2 => Self::Bool(false),
            0xc3 => Self::Bool(true),
            0x00..=0x7f | 0xf0..=0xff => Self::Int(i64::from(marker as i8)),
            0xc8..=0xcb => Self::Int(signed(take(bytes, 1 << (marker - 0xc8))?)),
            0xcc..=0xce => {
                let size = length(bytes, marker - 0xcc)?;
                Self::Bytes(take(bytes, size)?.to_vec())
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
                let fields = (0..small).map(|_| Self::decode_within(bytes, depth)).collect::<Option<_>>()?;
                Self::Struct(tag, fields)
            }
            _ => return None,
        })
    }
}

fn encode_int(number: i64, out: &mut Vec<u8>) {
    if let Ok(tiny @ -16..) = i8::try_from(number) {
        out.extend(tiny.to_be_bytes());
    } else if let Ok(small) = i8::try_from(number) {
        out.push(0xc8);
        out.extend(small.to_be_bytes());
    } else if let Ok(medium) = i16::try_from(number) {
        out.push(0xc9);
        out.extend(medium.to_be_bytes());
    } else if let Ok(large) = i32::try_from(number) {
        out.push(0xca);
        out.extend(large.to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend(number.to_be_bytes());
    }
}

/// A size in the marker itself where that is possible, else after one of three markers for 8, 16 and 32 bits.
fn sized(out: &mut Vec<u8>, tiny: Option<u8>, markers: [u8; 3], size: usize) {
    match (tiny, size) {
        (Some(tiny), 0..=15) => out.push(tiny | size as u8),
        (_, 0..=0xff) => out.extend([markers[0], size as u8]),
        (_, 0x100..=0xffff) => {
            out.push(markers[1]);
            out.extend((size as u16).to_be_bytes());
        }
        _ => {
            out.push(markers[2]);
            out.extend((size as u32).to_be_bytes());
        }
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
    String::from_utf8(take(bytes, size)?.to_vec()).ok().map(Value::Text)
}

fn list(bytes: &mut &[u8], size: usize, depth: u8) -> Option<Value> {
    (0..size).map(|_| Value::decode_within(bytes, depth)).collect::<Option<_>>().map(Value::List)
}

fn map(bytes: &mut &[u8], size: usize, depth: u8) -> Option<Value> {
    let entry = |_| {
        let Value::Text(key) = Value::decode_within(bytes, depth)? else { return None };
        Some((key, Value::decode_within(bytes, depth)?))
    };
    (0..size).map(entry).collect::<Option<_>>().map(Value::Map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let long = "é".repeat(200);
        let values = [-17, -16, -1, 0, 127, 128, -129, 40_000, -2_147_483_649, i64::MAX].map(Value::Int);
        let map = Map::from([("a".to_owned(), Value::List(values.into())), ("b".to_owned(), Value::Text(long))]);
        let value =
            Value::Struct(0x71, vec![Value::Map(map), Value::Float(1.5), Value::Null, Value::Bytes(vec![7; 300])]);
        let mut bytes = Vec::new();
        value.encode(true, &mut bytes);
        assert_eq!(Value::decode(&mut bytes.as_slice()), Some(value));
        for cut in 0..bytes.len() {
            assert_eq!(Value::decode(&mut &bytes[..cut]), None, "cut at {cut}");
        }
        assert_eq!(Value::decode(&mut [0x91; 64].as_slice()), None, "nested without end");
    }
}
