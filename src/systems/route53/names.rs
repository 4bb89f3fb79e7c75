//! Names as Route 53 writes them: with a final dot, and everything but letters, digits, `-` and `_` as an octal escape
//! (<https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html>: `\052` is `*`).

/// A name in the form in which names are compared: no escapes, lower case, no final dot.
pub fn plain(name: &str) -> String {
    let bytes = name.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let digits =
            bytes.get(at + 1..at + 4).filter(|it| bytes[at] == b'\\' && it.iter().all(|d| (b'0'..=b'7').contains(d)));
        let code = digits.map(|it| it.iter().fold(0_u32, |code, digit| code * 8 + u32::from(digit - b'0')));
        match code.and_then(|code| u8::try_from(code).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 4;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).trim_end_matches('.').to_ascii_lowercase()
}

/// Whether `name` lies in the zone called `zone`.
pub fn is_in(name: &str, zone: &str) -> bool {
    let (name, zone) = (plain(name), plain(zone));
    name == zone || name.strip_suffix(&zone).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_is_one_name_however_it_is_written() {
        for (written, name) in [
            ("\\052.Tenant.example.", "*.tenant.example"),
            ("*.tenant.example", "*.tenant.example"),
            ("a\\137b.example.", "a_b.example"),
            ("a\\055b.example", "a-b.example"),
            ("odd\\9.example", "odd\\9.example"),
            ("end\\05", "end\\05"),
            ("high\\777.example", "high\\777.example"),
        ] {
            assert_eq!(plain(written), name, "{written}");
        }
        assert!(is_in("app.shop.test.", "Shop.Test") && is_in("shop.test", "shop.test."));
        assert!(!is_in("app.workshop.test", "shop.test"));
    }
}
