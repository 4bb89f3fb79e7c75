//! The body of an answer: read as far as it is needed, uncompressed, bounded in size and in time.

use std::io::Write;
use std::time::Duration;

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::talk::Heard;
use super::{Silence, causes};
use crate::domain::text::clean;

/// What some servers begin a text in UTF-8 with.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// How far a body is read.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// So many bytes, uncompressed.
    pub most: usize,
    /// Until then.
    pub until: Instant,
    /// A body that need not end is read no longer than until then.
    pub endless: Instant,
}

/// How reading ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// There is no more.
    Whole,
    /// What was looked for is there.
    Enough,
    /// There is more, and it was not read.
    Limit,
    /// It did not end in time.
    Time,
    /// It broke off: a client has but a part of it.
    Cut(Silence),
    /// It is compressed in a way that is not known here, or broken.
    Unreadable(String),
}

/// What was read.
#[derive(Clone, Debug)]
pub struct Body {
    pub bytes: Vec<u8>,
    pub end: End,
    charset: Option<String>,
}

impl Body {
    /// As text: UTF-8, or Latin-1 where the server says so.
    pub fn text(&self) -> String {
        match self.charset.as_deref() {
            Some("iso-8859-1" | "latin1" | "windows-1252") => self.bytes.iter().map(|byte| char::from(*byte)).collect(),
            // A mark at the beginning says how it is written, and is no part of it.
            _ => String::from_utf8_lossy(self.bytes.strip_prefix(MARK).unwrap_or(&self.bytes)).into_owned(),
        }
    }

    /// The server's word for how its text is written, where that is not known here.
    pub fn foreign(&self) -> Option<&str> {
        let known = ["utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin1", "windows-1252"];
        self.charset.as_deref().filter(|charset| !known.contains(charset))
    }

    /// Whether it is something else than text.
    pub fn is_binary(&self) -> bool {
        let beginning = &self.bytes[..self.bytes.len().min(512)];
        let odd = |byte: &&u8| matches!(**byte, 0..=8 | 14..=26 | 28..=31);
        beginning.iter().filter(odd).count() * 10 > beginning.len()
    }
}

enum Coding {
    Plain(Vec<u8>),
    Gzip(MultiGzDecoder<Vec<u8>>),
    Zlib(ZlibDecoder<Vec<u8>>),
    /// What some servers call `deflate` (RFC 9110, section 8.4.1.2, says that they do).
    Deflate(DeflateDecoder<Vec<u8>>),
    /// `deflate`, before its first byte tells which.
    Undecided,
}

impl Coding {
    fn of(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::Plain(Vec::new())),
            "gzip" | "x-gzip" => Some(Self::Gzip(MultiGzDecoder::new(Vec::new()))),
            "deflate" => Some(Self::Undecided),
            _ => None,
        }
    }

    fn take(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if let (Self::Undecided, Some(first)) = (&self, bytes.first()) {
            *self = match first & 0x0f {
                8 => Self::Zlib(ZlibDecoder::new(Vec::new())),
                _ => Self::Deflate(DeflateDecoder::new(Vec::new())),
            };
        }
        match self {
            Self::Plain(all) => all.write_all(bytes),
            Self::Gzip(coder) => coder.write_all(bytes).and_then(|()| coder.flush()),
            Self::Zlib(coder) => coder.write_all(bytes).and_then(|()| coder.flush()),
            Self::Deflate(coder) => coder.write_all(bytes).and_then(|()| coder.flush()),
            Self::Undecided => Ok(()),
        }
    }

    fn so_far(&self) -> &Vec<u8> {
        static NONE: Vec<u8> = Vec::new();
        match self {
            Self::Plain(all) => all,
            Self::Gzip(coder) => coder.get_ref(),
            Self::Zlib(coder) => coder.get_ref(),
            Self::Deflate(coder) => coder.get_ref(),
            Self::Undecided => &NONE,
        }
    }
}

/// Reads on until `enough` says so: it is shown all that is there so far, and how much of that it has seen before.
pub async fn read(heard: &mut Heard, reach: Reach, mut enough: impl FnMut(&[u8], usize) -> bool) -> Body {
    let charset = heard.header(CONTENT_TYPE).and_then(charset);
    let named = heard.header(CONTENT_ENCODING).unwrap_or_default().to_owned();
    let made = |bytes: Vec<u8>, end| Body { bytes, end, charset: charset.clone() };
    let Some(mut coding) = Coding::of(&named) else {
        return made(
            Vec::new(),
            End::Unreadable(format!("it is compressed as `{}`, which is not read here", clean(&named))),
        );
    };
    let until = if heard.length().is_some() { reach.until } else { reach.until.min(reach.endless) };
    let mut seen = 0;
    let end = loop {
        let frame = match timeout_at(until, heard.body.frame()).await {
            Err(_) => break End::Time,
            Ok(None) => break End::Whole,
            Ok(Some(Err(error))) if heard.is_ended_by_closing() && is_closed(&error) => break End::Whole,
            Ok(Some(Err(error))) => break End::Cut(heard.why(&error)),
            Ok(Some(Ok(frame))) => frame,
        };
        let Some(bytes) = frame.data_ref() else { continue };
        if let Err(error) = coding.take(bytes) {
            break End::Unreadable(format!("it says that it is `{}`, and is not: {}", clean(&named), error.kind()));
        }
        let so_far = coding.so_far();
        if so_far.len() > seen && enough(so_far, seen) {
            break End::Enough;
        }
        seen = so_far.len();
        if seen > reach.most {
            break End::Limit;
        }
    };
    let mut bytes = coding.so_far().clone();
    if end == End::Limit {
        bytes.truncate(reach.most);
    }
    made(bytes, end)
}

/// The other side closed the connection without TLS's farewell, as many appliances do: where nothing else ends the body, that does.
fn is_closed(error: &hyper::Error) -> bool {
    let eof = |error: &std::io::Error| error.kind() == std::io::ErrorKind::UnexpectedEof;
    causes(error).any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(eof))
}

fn charset(content_type: &str) -> Option<String> {
    let parts = content_type.split(';').skip(1).filter_map(|part| part.split_once('='));
    let (_, name) = parts.into_iter().find(|(key, _)| key.trim().eq_ignore_ascii_case("charset"))?;
    Some(name.trim().trim_matches('"').to_ascii_lowercase())
}

/// So long before its caller's patience ends a reader has to have told.
pub const MARGIN: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    fn uncoded(name: &str, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut coding = Coding::of(name).unwrap();
        // As it may come: in small pieces.
        bytes.chunks(3).try_for_each(|piece| coding.take(piece))?;
        Ok(coding.so_far().clone())
    }

    #[test]
    fn what_is_compressed_is_read_in_pieces() {
        let text = b"{\"status\":\"ok\"}".repeat(50);
        let level = flate2::Compression::default();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), level);
        let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), level);
        gzip.write_all(&text).unwrap();
        zlib.write_all(&text).unwrap();
        raw.write_all(&text).unwrap();
        assert_eq!(uncoded("gzip", &gzip.finish().unwrap()).unwrap(), text);
        assert_eq!(uncoded("deflate", &zlib.finish().unwrap()).unwrap(), text);
        assert_eq!(uncoded("Deflate", &raw.finish().unwrap()).unwrap(), text);
        assert_eq!(uncoded("identity", &text).unwrap(), text);
        assert!(uncoded("gzip", &text).is_err());
        assert!(Coding::of("br").is_none());
    }

    #[test]
    fn a_text_is_read_as_the_server_says_that_it_is_written() {
        let body = |bytes: &[u8], of: &str| Body { bytes: bytes.to_vec(), end: End::Whole, charset: charset(of) };
        assert_eq!(body(b"St\xf6rung", "text/plain; charset=ISO-8859-1").text(), "Störung");
        assert_eq!(body("Störung".as_bytes(), "text/plain").text(), "Störung");
        assert_eq!(body(b"\xef\xbb\xbf{\"ok\":true}", "application/json").text(), "{\"ok\":true}");
        let foreign = body(b"\x82", "text/html; charset=\"Shift_JIS\"");
        assert_eq!(foreign.foreign(), Some("shift_jis"));
        assert!(body(&[0, 1, 2, 3], "").is_binary() && !body(b"{\"status\":\"ok\"}\r\n", "").is_binary());
    }
}
