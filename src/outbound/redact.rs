//! Takes secrets out of what comes back from outside: also where they come back written otherwise than they were sent.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use zeroize::Zeroizing;

/// What stands in the place of a secret.
const GONE: &str = "…";
/// A shorter piece of Base64 may stand there by chance.
const LEAST: usize = 8;
/// What `encodeURIComponent` leaves as it is.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// An answer without the secret. JSON is read first: a text in it can be escaped in many ways, and a replacement in the raw answer could
/// break it.
pub fn answer(body: &str, secret: &str) -> String {
    if secret.is_empty() {
        return body.to_owned();
    }
    let forms = forms(secret);
    match serde_json::from_str::<Value>(body) {
        // Without a backslash nothing is escaped; with one, what is read counts, and nothing that reading it passed over.
        Ok(mut value) => match (purge(&mut value, &forms), body.contains('\\')) {
            (false, false) => without(body, &forms).into_owned(),
            _ => value.to_string(),
        },
        Err(_) => without(body, &forms).into_owned(),
    }
}

/// A text without the secret.
pub fn text(text: &str, secret: &str) -> String {
    if secret.is_empty() { text.to_owned() } else { without(text, &forms(secret)).into_owned() }
}

/// Takes it out of every text of a value; says whether there was one.
fn purge(value: &mut Value, forms: &[Zeroizing<String>]) -> bool {
    match value {
        Value::String(text) => match without(text, forms) {
            Cow::Owned(clean) => {
                *text = clean;
                true
            }
            Cow::Borrowed(_) => false,
        },
        Value::Array(items) => items.iter_mut().fold(false, |found, item| purge(item, forms) | found),
        Value::Object(fields) => {
            let named = fields.keys().any(|name| matches!(without(name, forms), Cow::Owned(_)));
            if named {
                let old = std::mem::take(fields);
                fields.extend(old.into_iter().map(|(name, item)| (without(&name, forms).into_owned(), item)));
            }
            fields.values_mut().fold(named, |found, item| purge(item, forms) | found)
        }
        // A secret of digits alone, told as a number.
        Value::Number(number) => {
            let found = forms.first().is_some_and(|secret| number.to_string() == **secret);
            if found {
                *value = GONE.into();
            }
            found
        }
        Value::Null | Value::Bool(_) => false,
    }
}

fn without<'t>(text: &'t str, forms: &[Zeroizing<String>]) -> Cow<'t, str> {
    let mut out = Cow::Borrowed(text);
    for form in forms.iter().filter(|form| !form.is_empty()) {
        if out.contains(form.as_str()) {
            out = Cow::Owned(out.replace(form.as_str(), GONE));
        }
    }
    out
}

/// The secret as it is, and as it may come back: in a URL, a form, JSON, or inside Base64 (of `user:secret`, for instance). One of several
/// lines, a key or an account's JSON, comes back line by line.
fn forms(secret: &str) -> Vec<Zeroizing<String>> {
    let mut forms = of_one(secret);
    if secret.contains('\n') {
        let lines = secret.lines().map(str::trim).filter(|line| line.len() >= LEAST);
        forms.extend(lines.flat_map(of_one));
    }
    forms
}

fn of_one(secret: &str) -> Vec<Zeroizing<String>> {
    let mut forms = vec![secret.to_owned()];
    for set in [NON_ALPHANUMERIC, COMPONENT] {
        let upper = utf8_percent_encode(secret, set).to_string();
        forms.extend([upper.replace("%20", "+"), lower_hex(&upper), upper]);
    }
    forms.push(form_urlencoded::byte_serialize(secret.as_bytes()).collect());
    let json = Value::from(secret).to_string();
    let json = json.trim_start_matches('"').strip_suffix('"').unwrap_or_default();
    forms.extend([json.to_owned(), json.replace('/', "\\/")]);
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        forms.extend(
            (0..3).map(|before| inside(secret, before, |bytes| engine.encode(bytes))).filter(|it| it.len() >= LEAST),
        );
    }
    // The secret itself is the first; of the others a longer one is not to be spoilt by a shorter.
    forms[1..].sort_by_key(|form| std::cmp::Reverse(form.len()));
    let mut seen = std::collections::BTreeSet::new();
    forms.retain(|form| seen.insert(form.clone()));
    forms.into_iter().map(Zeroizing::new).collect()
}

/// `%2F` as `%2f`.
fn lower_hex(encoded: &str) -> String {
    let mut left = 0;
    let lower = |c: char| {
        left = if c == '%' { 2 } else { i32::max(left - 1, -1) };
        if left >= 0 { c.to_ascii_lowercase() } else { c }
    };
    encoded.chars().map(lower).collect()
}

/// The characters of the Base64 of anything with the secret after `before` bytes (modulo 3) that the secret alone decides.
fn inside(secret: &str, before: usize, encode: impl Fn(&[u8]) -> String) -> String {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(secret.as_bytes());
    let encoded = encode(&bytes);
    let (first, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    encoded.get(first..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "xo/xb \"q\" ü+1";

    fn tells(said: &str) -> bool {
        // What a reader would make of it.
        let read = serde_json::from_str::<Value>(said).map(|value| value.to_string()).unwrap_or_default();
        let escaped = Value::from(SECRET).to_string();
        said.contains(SECRET) || said.contains("xo/xb") || read.contains(escaped.trim_matches('"'))
    }

    #[test]
    fn a_secret_is_gone_however_it_is_written() {
        let escapes: String = SECRET.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        let slashed = Value::from(SECRET).to_string().replace('/', "\\/");
        for body in [
            format!("bad token {SECRET}."),
            format!("{{\"error\":\"{escapes}\"}}"),
            format!("{{\"error\":{slashed}, \"more\": [1, {{\"{escapes}\": null}}]}}"),
            format!("{{\"a\":\"{escapes}\",\"a\":\"x\"}}"),
            format!("broken {{\"error\":{slashed}"),
        ] {
            let said = answer(&body, SECRET);
            assert!(!tells(&said), "{body}: {said}");
        }
        let whole: Value = serde_json::from_str(&answer(&format!("{{\"id\":7,\"e\":\"{escapes}\"}}"), SECRET)).unwrap();
        assert_eq!(whole, serde_json::json!({ "id": 7, "e": GONE }), "what is left is JSON still");
    }

    #[test]
    fn neither_urls_nor_base64_bring_it_back() {
        let url = utf8_percent_encode(SECRET, NON_ALPHANUMERIC).to_string();
        let form: String = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        let component = utf8_percent_encode(SECRET, COMPONENT).to_string();
        for written in [url.clone(), lower_hex(&url), form, component] {
            assert_eq!(text(&format!("GET /?t={written}&x"), SECRET), format!("GET /?t={GONE}&x"));
        }
        for user in ["", "u", "us", "use"] {
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let encoded = engine.encode(format!("{user}{SECRET}:tail"));
                let said = text(&encoded, SECRET);
                assert!(said.contains(GONE) && said.chars().count() < 12 + user.len(), "{encoded}: {said}");
            }
        }
    }

    #[test]
    fn a_secret_of_several_lines_is_gone_line_by_line() {
        let key =
            "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA\n  n0tH1ng+/abc==\n}\n-----END PRIVATE KEY-----\n";
        for line in key.lines() {
            let said = text(&format!("+ echo {line} done"), key);
            let gone = line.len() < LEAST || !said.contains(line.trim());
            assert!(gone && said.ends_with(" done"), "{line}: {said}");
        }
        assert_eq!(text("a } b", key), "a } b", "what may stand there by chance stays");
    }

    #[test]
    fn what_holds_no_secret_stays_as_it_is() {
        for body in ["{ \"b\": 1, \"a\": \"x\" }", "plain", "", "{\"a\":1}"] {
            assert_eq!(answer(body, SECRET), body);
            assert_eq!(answer(body, ""), body);
        }
        assert_eq!(answer("{\"pin\":123456}", "123456"), format!("{{\"pin\":\"{GONE}\"}}"));
    }
}
