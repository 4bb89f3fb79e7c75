//! A command line taken apart.

/// The verb, in capitals, and what follows it.
pub fn split(line: &str) -> (String, &str) {
    let line = line.trim_end();
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    (verb.to_ascii_uppercase(), rest.trim_start())
}

/// The address and the parameters of `FROM:<ada@x> SIZE=10`; the empty address is that of notices.
pub fn path<'a>(rest: &'a str, word: &str) -> Option<(&'a str, impl Iterator<Item = (&'a str, &'a str)>)> {
    let head = rest.get(..word.len()).filter(|head| head.eq_ignore_ascii_case(word))?;
    let rest = rest[head.len()..].strip_prefix(':')?.trim_start();
    let (address, parameters) = rest.strip_prefix('<')?.split_once('>')?;
    let sound = |c: char| c.is_ascii_graphic() || !c.is_ascii();
    let whole =
        address.is_empty() || address.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
    if !whole || !address.chars().all(sound) {
        return None;
    }
    Some((address, parameters.split_ascii_whitespace().map(|word| word.split_once('=').unwrap_or((word, "")))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_taken_apart() {
        assert_eq!(split("ehlo  me"), ("EHLO".into(), "me"));
        assert_eq!(split("quit\t"), ("QUIT".into(), ""));
        let (address, parameters) = path("from:<ada@x> SIZE=10 BODY=8BITMIME", "FROM").unwrap();
        assert_eq!((address, parameters.collect::<Vec<_>>()), ("ada@x", vec![("SIZE", "10"), ("BODY", "8BITMIME")]));
        assert_eq!(path("FROM:<>", "FROM").unwrap().0, "");
        for wrong in ["TO:<a@x>", "FROM:a@x", "FROM:<a>", "FROM:<a@>", "FROM:<a b@x>", "F", "FROM", "FRÖM:<a@x>"] {
            assert!(path(wrong, "FROM").is_none(), "{wrong}");
        }
    }
}
