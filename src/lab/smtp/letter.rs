//! A letter read as far as a person would: its headers, its subject, and the first plain text in it.
//!
//! RFC 5322 (headers), 2045 (encodings of bodies), 2046 (multipart), 2047 (words in headers).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How deep parts may lie in parts.
const DEPTH: usize = 8;

pub struct Letter {
    /// Names as they came, unfolded values.
    pub headers: Vec<(String, String)>,
    pub text: String,
}

impl Letter {
    pub fn read(source: &[u8]) -> Self {
        let (headers, body) = split(source);
        let text = plain(&headers, body, DEPTH).unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
        Self { headers, text }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub fn subject(&self) -> String {
        words(self.header("subject").unwrap_or_default())
    }
}

fn find<'a>(headers: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
}

/// The headers and what follows the empty line.
fn split(source: &[u8]) -> (Vec<(String, String)>, &[u8]) {
    let (mut headers, mut rest): (Vec<(String, String)>, _) = (Vec::new(), source);
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            break;
        }
        match (line.strip_prefix([' ', '\t']), headers.last_mut()) {
            (Some(more), Some((_, value))) => *value = format!("{value} {}", more.trim_start()),
            _ => headers.extend(line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()))),
        }
    }
    (headers, rest)
}

/// The first plain text of a part.
fn plain(headers: &[(String, String)], body: &[u8], depth: usize) -> Option<String> {
    let kind = find(headers, "content-type").unwrap_or("text/plain");
    let lower = kind.to_ascii_lowercase();
    if lower.starts_with("multipart/") {
        let boundary = format!("--{}", parameter(kind, "boundary")?);
        let depth = depth.checked_sub(1)?;
        return parts(body, boundary.as_bytes()).into_iter().find_map(|part| {
            let (headers, body) = split(part);
            plain(&headers, body, depth)
        });
    }
    if !lower.starts_with("text/plain") {
        return None;
    }
    let bytes = match find(headers, "content-transfer-encoding").map(str::to_ascii_lowercase).as_deref() {
        Some("base64") => {
            let packed: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            STANDARD.decode(packed).ok()?
        }
        Some("quoted-printable") => unquoted(body, false),
        _ => body.to_vec(),
    };
    Some(String::from_utf8_lossy(&bytes).replace("\r\n", "\n"))
}

/// `boundary` of `multipart/mixed; boundary="x"`.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let found = value.split(';').skip(1).filter_map(|pair| pair.split_once('='));
    let (_, value) = found.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))?;
    Some(value.trim().trim_matches('"').to_owned())
}

/// What lies between the lines that begin with the boundary; the end of the line before one belongs to the boundary.
fn parts<'a>(body: &'a [u8], boundary: &[u8]) -> Vec<&'a [u8]> {
    let (mut found, mut from, mut at) = (Vec::new(), None, 0);
    while at < body.len() {
        let end = body[at..].iter().position(|byte| *byte == b'\n').map_or(body.len(), |length| at + length + 1);
        if body[at..end].starts_with(boundary) {
            found.extend(
                from.and_then(|from| body.get(from..at)).map(|part| part.strip_suffix(b"\r\n").unwrap_or(part)),
            );
            from = Some(end);
        }
        at = end;
    }
    found
}

/// Quoted-printable; in a header's word an underscore is a blank.
fn unquoted(text: &[u8], in_word: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'=', [b'\r', b'\n', more @ ..] | [b'\n', more @ ..]) => rest = more,
            (b'=', [high, low, more @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high * 16 + low);
                    rest = more;
                }
                _ => out.push(b'='),
            },
            (b'_', _) if in_word => out.push(b' '),
            (byte, _) => out.push(*byte),
        }
    }
    out
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// A header's value with its encoded words (`=?utf-8?b?…?=`) decoded. Blanks between two of them do not count.
fn words(value: &str) -> String {
    let (mut out, mut rest, mut after_word) = (String::new(), value, false);
    while let Some((before, tail)) = rest.split_once("=?") {
        let mut fields = tail.splitn(4, '?');
        let (_, kind, text, end) = (fields.next(), fields.next(), fields.next(), fields.next());
        let word = kind.zip(text).and_then(|(kind, text)| word(kind, text));
        let (Some(word), Some(after)) = (word, end.and_then(|end| end.strip_prefix('='))) else { break };
        if !(after_word && before.trim().is_empty()) {
            out += before;
        }
        out += &word;
        (rest, after_word) = (after, true);
    }
    out + rest
}

fn word(kind: &str, text: &str) -> Option<String> {
    let bytes = match kind {
        "b" | "B" => STANDARD.decode(text).ok()?,
        "q" | "Q" => unquoted(text.as_bytes(), true),
        _ => return None,
    };
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_letter_is_read() {
        let letter = Letter::read(b"Subject: Region\r\n lost\r\nMessage-ID: <1@x>\r\n\r\nHello,\r\n\r\nBye\r\n");
        assert_eq!((letter.subject().as_str(), letter.header("message-id")), ("Region lost", Some("<1@x>")));
        assert_eq!(letter.text, "Hello,\n\nBye\n");
        assert_eq!(letter.headers.len(), 2);
    }

    #[test]
    fn encoded_words_and_bodies_are_decoded() {
        let source = "Subject: =?utf-8?b?RFJJTEwg4oCU?= =?UTF-8?Q?_caf=C3=A9?= now\r\n\
                      Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
                      caf=C3=A9 a=\r\nb =zz";
        let letter = Letter::read(source.as_bytes());
        assert_eq!((letter.subject().as_str(), letter.text.as_str()), ("DRILL — café now", "café ab =zz"));
        assert_eq!(words("=?broken"), "=?broken");
        assert_eq!(words("a =?utf-8?x?y?= b"), "a =?utf-8?x?y?= b");
    }

    #[test]
    fn the_first_plain_text_is_found_however_deep() {
        let source = "Content-Type: multipart/mixed; boundary=\"out\"\r\n\r\nfor old clients\r\n--out\r\n\
                      Content-Type: multipart/alternative; boundary=in\r\n\r\n--in\r\nContent-Type: text/html\r\n\r\n<p>\r\n--in\r\n\
                      Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\naGVs\r\nbG8=\r\n--in--\r\n--out--\r\n";
        assert_eq!(Letter::read(source.as_bytes()).text, "hello");
        let mut nested = "\r\nx".to_owned();
        for at in 0..=DEPTH {
            if at == DEPTH {
                assert_eq!(Letter::read(nested.as_bytes()).text, "x");
            }
            nested =
                format!("Content-Type: multipart/mixed; boundary=b{at}\r\n\r\n--b{at}\r\n{nested}\r\n--b{at}--\r\n");
        }
        assert!(Letter::read(nested.as_bytes()).text.starts_with("--b"));
    }
}
