//! A file of recipients, as people and spreadsheets write it: in any of their encodings, a list or a table. What cannot be read is named
//! by its line, and never by its content: customers' addresses are nobody's business.

use std::borrow::Cow;

use lettre::Address;

/// A line from which somebody may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// Counts from 1.
    pub line: usize,
    pub why: &'static str,
}

/// What a file holds.
#[derive(Debug, Default)]
pub struct Lines {
    pub addresses: Vec<Address>,
    pub bad: Vec<Bad>,
}

/// What Windows-1252 has where Latin-1 has control characters; the five that it leaves open stay what they are.
const WINDOWS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Words that name the column of addresses, the surest first.
const EXACT: &[&str] = &["email", "e-mail", "mail", "email address", "e-mail address", "address", "e-mail-adresse"];
const ALIKE: &str = "mail";

/// What spreadsheets put between two cells.
const BETWEEN: [char; 3] = [',', ';', '\t'];

/// A row has no more lines.
const MOST_LINES: usize = 20;

/// The text of a file: UTF-8 or UTF-16 by its mark, UTF-16 by its zeros, else UTF-8 where it is that, and Windows-1252 where it is not.
pub fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [first, 0, ..] if *first != 0 => utf16(bytes, u16::from_le_bytes),
        [0, second, ..] if *second != 0 => utf16(bytes, u16::from_be_bytes),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => bytes.iter().map(|byte| windows(*byte)).collect::<String>().into(),
        },
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Cow<'static, str> {
    let (pairs, _) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    String::from_utf16_lossy(&units).into()
}

fn windows(byte: u8) -> char {
    match byte {
        0x80..=0x9f => WINDOWS[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// White space, and what spreadsheets and chats leave that looks like nothing.
fn bare(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{a0}'))
}

/// Everybody in a text. A table with a heading is read by its column of addresses alone: others may hold whose account it is.
pub fn read(text: &str) -> Lines {
    let mut read = Lines::default();
    let (mut column, mut begun) = (None, false);
    let unix = text.replace("\r\n", "\n").replace('\r', "\n");
    for (at, line) in records(&unix) {
        let line = bare(&line);
        let is_order = !begun && line.to_ascii_lowercase().starts_with("sep=");
        if line.is_empty() || line.starts_with('#') || is_order {
            continue;
        }
        let is_first = !std::mem::replace(&mut begun, true);
        if is_first && !line.contains('@') {
            let heads = cells(line);
            let found = heading(&heads);
            // One column alone is a list, whatever stands in a line of it.
            column = found.filter(|_| heads.len() > 1);
            if found.is_some() || heads.len() > 1 {
                continue;
            }
        }
        if let Err(why) = take(line, column, &mut read.addresses) {
            read.bad.push(Bad { line: at + 1, why });
        }
    }
    read
}

/// The rows of a table with the number of their first line. A cell in quotes may have ends of lines in it; quotes that open no cell, or
/// that nothing ends soon, are none.
fn records(text: &str) -> Vec<(usize, Cow<'_, str>)> {
    let lines: Vec<&str> = text.split('\n').collect();
    let (mut rows, mut at) = (Vec::with_capacity(lines.len()), 0);
    while at < lines.len() {
        let more = if is_open(lines[at]) { ending(&lines[at..]) } else { 0 };
        let row: Cow<'_, str> = if more == 0 { lines[at].into() } else { lines[at..=at + more].join(" ").into() };
        rows.push((at, row));
        at += more + 1;
    }
    rows
}

/// How many more lines the row has whose first line ends within quotes; none where they are not ended.
fn ending(lines: &[&str]) -> usize {
    let ends = |more: &usize| !is_open(&lines[..=*more].join("\n"));
    (1..lines.len().min(MOST_LINES)).find(ends).unwrap_or(0)
}

/// Whether a text ends within quotes that opened a cell.
fn is_open(text: &str) -> bool {
    // Most lines have none, and lists may be long.
    if !text.contains('"') {
        return false;
    }
    let (mut open, mut fresh) = (false, true);
    for c in text.chars() {
        if c == '"' && (open || fresh) {
            open = !open;
        }
        // Two quotes are one: a cell goes on after the second.
        fresh = c == '"' || BETWEEN.contains(&c) || (fresh && c.is_whitespace());
    }
    open
}

/// The column that a heading calls the one of addresses.
fn heading(heads: &[String]) -> Option<usize> {
    let lower: Vec<String> = heads.iter().map(|it| bare(it).to_lowercase()).collect();
    let exact = EXACT.iter().find_map(|word| lower.iter().position(|it| it == word));
    exact.or_else(|| lower.iter().position(|it| it.contains(ALIKE)))
}

fn take(line: &str, column: Option<usize>, all: &mut Vec<Address>) -> Result<(), &'static str> {
    // Most are nothing but an address, which is found out in a fraction of the time that a table takes: lists may be long.
    if let (None, Ok(address)) = (column, one(line)) {
        all.push(address);
        return Ok(());
    }
    let cells = cells(line);
    let asked: Vec<&String> = match column {
        Some(column) => cells.get(column).into_iter().collect(),
        None => cells.iter().collect(),
    };
    let (before, mut wrong) = (all.len(), None);
    for cell in asked {
        for text in people(cell) {
            match one(&text) {
                Ok(address) => all.push(address),
                Err(why) if text.contains('@') => wrong = wrong.or(Some(why)),
                Err(_) => {}
            }
        }
    }
    match (wrong, all.len() - before) {
        (Some(why), _) => Err(why),
        (None, 0) => Err("there is no address in it"),
        (None, _) => Ok(()),
    }
}

/// The cells of a line of a table: quotes hold what is between cells together, and two of them are one.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted, mut angle) = (Vec::new(), String::new(), false, false);
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => drop(rest.next()),
            '"' => quoted = !quoted,
            c if BETWEEN.contains(&c) && !quoted && !angle => {
                cells.push(std::mem::take(&mut cell));
                continue;
            }
            _ => {}
        }
        angle = !quoted && (c == '<' || (angle && c != '>'));
        cell.push(c);
    }
    cells.push(cell);
    cells
}

/// The people of a cell: one, or several with something between them.
fn people(cell: &str) -> Vec<String> {
    let cell = bare(cell);
    if one(cell).is_ok() {
        return vec![cell.to_owned()];
    }
    let inner = cell.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(cell);
    if one(inner).is_ok() {
        return vec![inner.to_owned()];
    }
    let parts = |by: fn(char) -> bool| inner.split(by).map(bare).filter(|it| !it.is_empty()).map(str::to_owned);
    let listed: Vec<String> = parts(|c| BETWEEN.contains(&c)).collect();
    match listed.iter().all(|it| one(it).is_ok() || !it.contains('@')) {
        true => listed,
        false => parts(|c| BETWEEN.contains(&c) || c.is_whitespace()).collect(),
    }
}

/// An address that a relay takes without an extension that few have (SMTPUTF8): a name of a host in other letters is written as
/// resolvers know it, and what stands before the @ has no other writing.
pub fn one(text: &str) -> Result<Address, &'static str> {
    const NONE: &str = "there is no address in it";
    let text = bare(text);
    let text = text.strip_prefix("mailto:").unwrap_or(text);
    let text = text.strip_prefix('\'').and_then(|it| it.strip_suffix('\'')).unwrap_or(text);
    let address = match text.parse::<Address>() {
        Ok(address) => address,
        // A name beside it may be written in any way.
        Err(_) => {
            let (_, inner) = text.rsplit_once('<').ok_or(NONE)?;
            bare(inner.trim_end_matches('>')).parse().map_err(|_| NONE)?
        }
    };
    if !address.user().is_ascii() {
        return Err("what stands before the @ is not ASCII, which few relays take");
    }
    if address.domain().is_ascii() {
        return Ok(address);
    }
    match url::Host::parse(address.domain()) {
        Ok(url::Host::Domain(domain)) => Address::new(address.user(), domain).map_err(|_| NONE),
        _ => Err("what stands behind the @ is no name of a host"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8]) -> (Vec<String>, Vec<usize>) {
        let read = read(&decoded(bytes));
        (read.addresses.iter().map(ToString::to_string).collect(), read.bad.iter().map(|bad| bad.line).collect())
    }

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn every_encoding_that_spreadsheets_write_is_read() {
        let text = "ada@x.example\r\n\"Curie, Marie\" <marie@x.example>\r\no'brien@x.example\r\n";
        let wanted = ["ada@x.example", "marie@x.example", "o'brien@x.example"].map(str::to_owned).to_vec();
        let marked = |text: &str, mark: &[u8]| [mark, text.as_bytes()].concat();
        for (how, bytes) in [
            ("UTF-8", text.as_bytes().to_vec()),
            ("with a mark", marked(text, &[0xef, 0xbb, 0xbf])),
            ("old Macs", text.replace("\r\n", "\r").into_bytes()),
            ("UTF-16, little", utf16(&format!("\u{feff}{text}"), u16::to_le_bytes)),
            ("UTF-16, big", utf16(&format!("\u{feff}{text}"), u16::to_be_bytes)),
            ("UTF-16 without a mark", utf16(text, u16::to_le_bytes)),
            ("UTF-16 without a mark, big", utf16(text, u16::to_be_bytes)),
        ] {
            assert_eq!(told(&bytes), (wanted.clone(), vec![]), "{how}");
        }
        let latin =
            b"J\xfcrgen M\xfcller <jm@x.example>\nbob@x.example\ninfo@m\xfcller.example\n\x93Ann\x94 <ann@x.example>\n";
        let wanted = ["jm@x.example", "bob@x.example", "info@xn--mller-kva.example", "ann@x.example"];
        assert_eq!(told(latin).0, wanted, "Latin-1 and Windows-1252");
        assert_eq!(told(latin).1, Vec::<usize>::new());
    }

    #[test]
    fn tables_are_read_by_their_column_of_addresses() {
        for (how, text, wanted) in [
            ("commas", "email,name\na@x.example,Alice\n\"b@x.example\",\"Bob\"\n", vec!["a@x.example", "b@x.example"]),
            ("semicolons", "sep=;\nName;E-Mail\n\"Curie; Marie\";m@x.example\n", vec!["m@x.example"]),
            ("tabs", "name\temail\nA\ta@x.example\n", vec!["a@x.example"]),
            ("no heading", "a@x.example,Alice\nBob,b@x.example\n", vec!["a@x.example", "b@x.example"]),
            ("whose account it is", "owner_email,email\nsales@us.example,a@x.example\n", vec!["a@x.example"]),
            ("several in a cell", "email,n\n\"a@x.example; b@x.example\",2\n", vec!["a@x.example", "b@x.example"]),
            (
                "several in a line",
                "a@x.example, b@x.example; c@x.example",
                vec!["a@x.example", "b@x.example", "c@x.example"],
            ),
            ("two quotes", "name,email\n\"Bob \"\"B\"\" Ray\",b@x.example\n", vec!["b@x.example"]),
            (
                "a link, and blanks that are none",
                "mailto:a@x.example\u{200b}\n\u{a0}'b@x.example'\n",
                vec!["a@x.example", "b@x.example"],
            ),
            (
                "ends of lines in a cell",
                "name,email\n\"Acme\nInc; \"\"B\"\"\n\",a@x.example\nBob,b@x.example\n",
                vec!["a@x.example", "b@x.example"],
            ),
            (
                "quotes that nothing ends",
                "\"Bob, b@x.example\nann@x.example\nthe 5\" disk, c@x.example\n",
                vec!["b@x.example", "ann@x.example", "c@x.example"],
            ),
            ("no table at all", "# us\n\n Ada <a@x.example> \n<b@x.example>\n", vec!["a@x.example", "b@x.example"]),
        ] {
            let (addresses, bad) = told(text.as_bytes());
            assert_eq!((addresses, bad), (wanted.iter().map(|it| (*it).to_owned()).collect(), vec![]), "{how}");
        }
    }

    #[test]
    fn who_cannot_be_read_is_named_by_the_line() {
        let text = "email,name\na@x.example,A\n,B\nc@@x.example,C\né@x.example,D\ne@x.example f@x.example,E\n";
        assert_eq!(
            told(text.as_bytes()),
            (["a", "e", "f"].map(|it| format!("{it}@x.example")).to_vec(), vec![3, 4, 5])
        );
        assert_eq!(told(b"nobody\na@x.example\n").1, [1], "one word alone is no heading of a table");
        let both = told(b"a@x.example, b@@x.example\n");
        assert_eq!(both, (vec!["a@x.example".to_owned()], vec![1]), "one is told, and the line is named");
        assert!(read("é@x.example").bad[0].why.contains("before the @"));
        let table = b"name,email\n\"A\nB\",a@x.example\nC,c@@x.example\n";
        assert_eq!(told(table), (vec!["a@x.example".to_owned()], vec![4]), "lines are counted as an editor does");
    }
}
