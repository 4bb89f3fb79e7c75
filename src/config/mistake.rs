//! What is wrong with a config file, where, and what to write instead: for people as rustc would say it, for machines as JSON.

use std::fmt;
use std::ops::Range;

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

/// A spot in a file, with the line that it is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The line, harmless for a terminal and without secrets.
    pub text: String,
    /// How many characters from `column` on are meant; at least 1.
    pub length: usize,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
pub struct Mistake {
    pub file: String,
    /// `None` for what is missing from the file as a whole.
    #[serde(flatten)]
    pub place: Option<Place>,
    pub what: String,
    /// What to write instead; empty when the words of `what` say it.
    pub help: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show("error", f)
    }
}

/// Something that is borne with, and told: the config is sound all the same.
pub struct Warning<'m>(pub &'m Mistake);

impl fmt::Display for Warning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.show("warning", f)
    }
}

impl Mistake {
    fn show(&self, degree: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{degree}: {}", self.what)?;
        let Some(place) = &self.place else {
            writeln!(f, "  --> {}", self.file)?;
            return if self.help.is_empty() { Ok(()) } else { writeln!(f, "   = help: {}", self.help) };
        };
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        let before: String = place.text.chars().take(place.column - 1).collect();
        let meant: String = place.text.chars().skip(place.column - 1).take(place.length).collect();
        let indent = " ".repeat(before.width());
        let carets = "^".repeat(meant.width().max(1));
        writeln!(f, "{margin}--> {}:{}:{}", self.file, place.line, place.column)?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {}", place.text)?;
        writeln!(f, "{margin} | {indent}{carets}")?;
        if self.help.is_empty() { Ok(()) } else { writeln!(f, "{margin} = help: {}", self.help) }
    }
}

/// All the mistakes that were found, in the order of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema, thiserror::Error)]
#[serde(transparent)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.0 {
            writeln!(f, "{mistake}")?;
        }
        let count = self.0.len();
        write!(f, "{count} mistake{}", if count == 1 { "" } else { "s" })
    }
}

/// The text of a file, or of several that are read as one, for finding places in it.
pub struct Source<'t> {
    /// Where each file begins in the text; the first begins at 0.
    files: Vec<(usize, String)>,
    text: &'t str,
    /// Parameters whose value is never shown when it was written in the file.
    secrets: Vec<&'static str>,
}

impl<'t> Source<'t> {
    pub fn new(file: String, text: &'t str, secrets: Vec<&'static str>) -> Self {
        Self::of_files(vec![(0, file)], text, secrets)
    }

    /// `files` say where each begins in `text`, the first at 0, each ending with a line.
    pub fn of_files(files: Vec<(usize, String)>, text: &'t str, secrets: Vec<&'static str>) -> Self {
        Self { files, text, secrets }
    }

    /// The file that leads to the others.
    pub fn main(&self) -> &str {
        self.files.first().map_or("", |(_, file)| file)
    }

    /// Where the file begins that byte `at` is in, and its name.
    fn part(&self, at: usize) -> (usize, &str) {
        self.files.iter().rev().find(|(start, _)| *start <= at).map_or((0, self.main()), |(start, file)| (*start, file))
    }

    /// The file that byte `at` is in.
    pub fn file(&self, at: usize) -> &str {
        self.part(at).1
    }

    /// Its place among those that are read as one; files that are not come after them.
    pub fn rank(&self, file: &str) -> usize {
        self.files.iter().position(|(_, known)| known == file).unwrap_or(self.files.len())
    }

    pub fn text(&self) -> &'t str {
        self.text
    }

    /// Where `at` (bytes of the text) is. A range over several lines is cut at the end of its first.
    pub fn place(&self, at: &Range<usize>) -> Place {
        let start = self.text.floor_char_boundary(at.start);
        let from = self.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[from..].lines().next().unwrap_or_default();
        let meant = self.text.get(start..at.end.min(from + line.len())).unwrap_or_default();
        Place {
            line: self.text[self.part(start).0..start].matches('\n').count() + 1,
            column: self.text[from..start].chars().count() + 1,
            text: harmless(&self.without_secrets(line)),
            length: meant.chars().count().max(1),
        }
    }

    /// Where a key is, without its value: what a key that nobody knows holds might be a secret.
    pub fn place_of_key(&self, at: &Range<usize>) -> Place {
        let mut place = self.place(at);
        place.text = place.text.chars().take(place.column - 1 + place.length).collect::<String>() + " …";
        place
    }

    /// The line up to the first secret that is written in it.
    fn without_secrets(&self, line: &str) -> String {
        let values = self.secrets.iter().filter_map(|name| literal_of(line, name));
        values.chain(password_of(line)).min().map_or_else(|| line.to_owned(), |at| format!("{}\"…\"", &line[..at]))
    }
}

/// Where the value of `name = "value"` begins in a line, if it is not a table.
fn literal_of(line: &str, name: &str) -> Option<usize> {
    line.match_indices(name).find_map(|(at, _)| {
        let starts = !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let after = line[at + name.len()..].trim_start_matches(['"', '\'']).trim_start();
        let value = after.strip_prefix('=')?.trim_start();
        (starts && !value.is_empty() && !value.starts_with('{')).then(|| line.len() - value.len())
    })
}

/// Where the password of a URL begins that is written in a line: `postgres://me:secret@db/x`.
fn password_of(line: &str) -> Option<usize> {
    line.match_indices("://").find_map(|(at, scheme)| {
        let from = at + scheme.len();
        let authority = line[from..].split(['/', '"', '\'', ' ']).next()?;
        let (login, _) = authority.rsplit_once('@')?;
        Some(from + login.find(':')? + 1)
    })
}

/// Character for character, so that columns stay true.
fn harmless(line: &str) -> String {
    line.chars().map(|c| if c == '\t' { ' ' } else { c }).map(|c| if is_plain(c) { c } else { '\u{fffd}' }).collect()
}

fn is_plain(c: char) -> bool {
    c == ' ' || !crate::domain::text::clean(c.encode_utf8(&mut [0; 4])).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source<'_> {
        Source::new("mayday.toml".into(), text, vec!["password"])
    }

    #[test]
    fn the_caret_stands_under_what_is_meant() {
        let text = "a = 1\ntitle = \"日本\" # x\n";
        let place = source(text).place(&(14..22));
        assert_eq!((place.line, place.column, place.length), (2, 9, 4));
        let said = Mistake { file: "mayday.toml".into(), place: Some(place), what: "no".into(), help: "yes".into() };
        let expected =
            "error: no\n --> mayday.toml:2:9\n  |\n2 | title = \"日本\" # x\n  |         ^^^^^^\n  = help: yes\n";
        assert_eq!(said.to_string(), expected);
    }

    #[test]
    fn a_secret_in_the_file_is_never_shown() {
        for line in [
            "password = \"hunter2\"",
            "a = 1, password='hunter2'",
            "\"password\" = hunter2",
            "{ password = \"hunter2\" }",
            "url = \"postgres://me:hunter2@db/x\"",
        ] {
            let place = source(line).place(&(0..1));
            assert!(!place.text.contains("hunter2"), "{}", place.text);
        }
        let line = "password = { env = \"NAME\" }";
        assert_eq!(source(line).place(&(0..1)).text, line);
        let line = "pasword = \"hunter2\"";
        assert_eq!(source(line).place_of_key(&(0..7)).text, "pasword …");
    }

    #[test]
    fn a_place_beyond_the_text_is_its_end() {
        assert_eq!(source("a").place(&(7..9)).line, 1);
        assert_eq!(source("é").place(&(1..1)).column, 1);
        assert_eq!(source("").place(&(0..0)).length, 1);
        assert_eq!(source("x = \"\u{1b}[2J\"").place(&(0..1)).text, "x = \"\u{fffd}[2J\"");
    }
}
