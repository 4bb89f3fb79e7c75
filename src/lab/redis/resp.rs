//! RESP, the protocol of Redis: commands in, replies out, in version 2 or (after `HELLO 3`) version 3.
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// What a server answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Simple(&'static str),
    /// With its code in front: `ERR unknown command`.
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Null,
    Array(Vec<Reply>),
    /// A map in RESP3, a flat array of keys and values in RESP2.
    Map(Vec<(&'static str, Reply)>),
}

impl Reply {
    pub const OK: Reply = Reply::Simple("OK");

    pub fn text(text: impl Into<String>) -> Self {
        Self::Bulk(text.into().into_bytes())
    }
    pub fn error(text: impl Into<String>) -> Self {
        Self::Error(text.into())
    }

    /// Appends the wire form.
    pub fn encode(&self, resp3: bool, out: &mut Vec<u8>) {
        match self {
            Self::Simple(text) => line(out, '+', text),
            Self::Error(text) => line(out, '-', text),
            Self::Integer(number) => line(out, ':', number),
            Self::Bulk(bytes) => {
                line(out, '$', bytes.len());
                out.extend_from_slice(bytes);
                out.extend_from_slice(b"\r\n");
            }
            Self::Null if resp3 => out.extend_from_slice(b"_\r\n"),
            Self::Null => out.extend_from_slice(b"$-1\r\n"),
            Self::Array(items) => {
                line(out, '*', items.len());
                items.iter().for_each(|item| item.encode(resp3, out));
            }
            Self::Map(entries) => {
                if resp3 {
                    line(out, '%', entries.len());
                } else {
                    line(out, '*', entries.len() * 2);
                }
                for (key, value) in entries {
                    Self::text(*key).encode(resp3, out);
                    value.encode(resp3, out);
                }
            }
        }
    }
}

fn line(out: &mut Vec<u8>, kind: char, rest: impl std::fmt::Display) {
    out.extend_from_slice(format!("{kind}{rest}\r\n").as_bytes());
}

/// Bounds on what a client may send, so that noise on the port costs no memory.
const MOST_ARGUMENTS: usize = 1024;
const LONGEST_ARGUMENT: usize = 1 << 20;

/// The next command: an array of bulk strings, or words on a line as typed into `nc`. `None` at the end of the stream.
///
/// # Errors
/// When the connection breaks, or what came is not RESP (`InvalidData`, with the words of Redis).
pub async fn read_command<R: AsyncBufRead + Unpin>(from: &mut R) -> io::Result<Option<Vec<Vec<u8>>>> {
    let Some(first) = read_line(from).await? else { return Ok(None) };
    let Some(count) = first.strip_prefix(b"*") else {
        return Ok(Some(first.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).map(<[u8]>::to_vec).collect()));
    };
    let count = number(count, MOST_ARGUMENTS).ok_or_else(|| invalid("invalid multibulk length"))?;
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let header = read_line(from).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let length = header.strip_prefix(b"$").ok_or_else(|| invalid("expected '$'"))?;
        let length = number(length, LONGEST_ARGUMENT).ok_or_else(|| invalid("invalid bulk length"))?;
        let mut word = vec![0; length + 2];
        from.read_exact(&mut word).await?;
        word.truncate(length);
        words.push(word);
    }
    Ok(Some(words))
}

async fn read_line<R: AsyncBufRead + Unpin>(from: &mut R) -> io::Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    let read = from.take(LONGEST_ARGUMENT as u64).read_until(b'\n', &mut text).await?;
    while text.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        text.pop();
    }
    Ok((read > 0).then_some(text))
}

fn number(digits: &[u8], most: usize) -> Option<usize> {
    let number: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (number <= most).then_some(number)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("ERR Protocol error: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn parse(mut bytes: &[u8]) -> io::Result<Option<Vec<Vec<u8>>>> {
        read_command(&mut bytes).await
    }

    #[tokio::test]
    async fn commands_come_in_both_forms() {
        let expected = Some(vec![b"GET".to_vec(), b"a b".to_vec()]);
        assert_eq!(parse(b"*2\r\n$3\r\nGET\r\n$3\r\na b\r\n").await.unwrap(), expected);
        assert_eq!(parse(b"PING  x\r\n").await.unwrap(), Some(vec![b"PING".to_vec(), b"x".to_vec()]));
        assert_eq!(parse(b"").await.unwrap(), None);
        for wrong in [&b"*x\r\n"[..], b"*1\r\nGET\r\n", b"*1\r\n$99999999\r\n", b"*2\r\n$3\r\nGET\r\n"] {
            assert!(parse(wrong).await.is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn maps_are_flat_in_resp2() {
        let map = Reply::Map(vec![("name", Reply::text("x")), ("none", Reply::Null)]);
        let encode = |resp3| {
            let mut out = Vec::new();
            map.encode(resp3, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(encode(false), "*4\r\n$4\r\nname\r\n$1\r\nx\r\n$4\r\nnone\r\n$-1\r\n");
        assert_eq!(encode(true), "%2\r\n$4\r\nname\r\n$1\r\nx\r\n$4\r\nnone\r\n_\r\n");
    }
}
