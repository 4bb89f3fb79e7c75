//! `include = ["conf.d/*.toml"]`: files that are read as if they stood in the config. Their lists of tables are added to its own, their
//! tables are laid over one another, and what is set twice is a mistake. Positions stay true: all files are one text, end to end.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::disk::{digest, hidden, read_text};
use super::mistake::{Mistake, Source};
use super::read::{Doc, Field};

/// The key.
pub const KEY: &str = "include";

/// The config and what it includes, end to end.
pub struct Gathered {
    pub text: String,
    /// Where each file begins in `text`, with its name as it is told; the config itself is the first.
    pub files: Vec<(usize, String)>,
    /// All of them as paths, with the hash of what was read.
    pub read: Vec<(PathBuf, [u8; 32])>,
    /// What is wrong with an `include`: where, what, and what to do about it.
    wrong: Vec<(Range<usize>, String, String)>,
    /// What is odd about it.
    odd: Vec<(Range<usize>, String, String)>,
}

/// Reads what `text`, the config at `origin`, includes.
pub fn gather(text: &str, origin: &Path) -> Gathered {
    let files = vec![(0, origin.display().to_string())];
    let read = vec![(origin.to_owned(), digest(text.as_bytes()))];
    let mut all = Gathered { text: text.to_owned(), files, read, wrong: Vec::new(), odd: Vec::new() };
    let dir = origin.parent().unwrap_or(Path::new("."));
    for (at, pattern) in patterns(text) {
        match matches(dir, &pattern) {
            Ok(found) if found.is_empty() => {
                let what = format!("`{pattern}` matches no file, so nothing is included");
                all.odd.push((
                    at,
                    what,
                    "it is relative to this file; leave it out if nothing is meant to be there".into(),
                ));
            }
            Ok(found) => found.into_iter().for_each(|path| all.take(&at, path, origin)),
            Err((what, help)) => all.wrong.push((at, what, help)),
        }
    }
    all
}

/// The patterns of a config, as far as they can be read; what is wrong with the rest is said when the config is read.
fn patterns(text: &str) -> Vec<(Range<usize>, String)> {
    let (root, _) = DeTable::parse_recoverable(text);
    let Some(DeValue::Array(items)) = root.get_ref().get(KEY).map(|it| it.get_ref()) else { return Vec::new() };
    items.iter().filter_map(|it| Some((it.span(), it.get_ref().as_str()?.to_owned()))).collect()
}

/// The files that a pattern means, by name. `*` and `?` stand for parts of the file's name; hidden files are passed over.
fn matches(dir: &Path, pattern: &str) -> Result<Vec<PathBuf>, (String, String)> {
    let wild = |text: &str| text.contains(['*', '?']);
    let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    if wild(folder) {
        let what = format!("`{pattern}`: * and ? can only stand in the name of the file");
        return Err((what, "name each folder: [\"conf.d/*.toml\", \"teams/*.toml\"]".into()));
    }
    let folder = if pattern.starts_with('/') && folder.is_empty() { PathBuf::from("/") } else { dir.join(folder) };
    if !wild(name) {
        return Ok(vec![folder.join(name)]);
    }
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err((format!("{} cannot be read: {error}", folder.display()), String::new())),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| (format!("{} cannot be read: {error}", folder.display()), String::new()))?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if !hidden(&entry.path()) && fits(name, &file) && !entry.path().is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a name fits a pattern with `*` and `?`.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut on, mut star) = (0, 0, None);
    while on < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, on));
                at += 1;
            }
            Some(c) if *c == '?' || *c == name[on] => (at, on) = (at + 1, on + 1),
            _ => match star {
                Some((back, taken)) => {
                    star = Some((back, taken + 1));
                    (at, on) = (back + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

impl Gathered {
    fn take(&mut self, at: &Range<usize>, path: PathBuf, origin: &Path) {
        let same =
            |other: &Path| fs::canonicalize(other).ok().zip(fs::canonicalize(&path).ok()).is_some_and(|(a, b)| a == b);
        if same(origin) {
            let what = format!("{} includes itself", origin.display());
            self.wrong.push((at.clone(), what, "leave it out, or keep what is included in a folder of its own".into()));
            return;
        }
        if self.read.iter().any(|(known, _)| known == &path || same(known)) {
            return;
        }
        match read_text(&path) {
            Ok(text) => {
                if !self.text.ends_with('\n') {
                    self.text.push('\n');
                }
                self.files.push((self.text.len(), path.display().to_string()));
                self.text.push_str(&text);
                self.read.push((path, digest(text.as_bytes())));
            }
            Err(error) => {
                let what = format!("{} cannot be read: {error}", path.display());
                self.wrong.push((at.clone(), what, "it is relative to this file".into()));
            }
        }
    }

    pub fn source(&self, secrets: Vec<&'static str>) -> Source<'_> {
        Source::of_files(self.files.clone(), &self.text, secrets)
    }

    /// What is odd, as it is told.
    pub fn warnings(&self, source: &Source<'_>) -> Vec<Mistake> {
        let told = self.odd.iter().map(|(at, what, help)| Mistake {
            file: source.file(at.start).to_owned(),
            place: Some(source.place(at)),
            what: what.clone(),
            help: help.clone(),
        });
        told.collect()
    }

    /// The root of all files together, or `None` when one of them is not TOML (which has then been said).
    pub fn root<'t>(&'t self, doc: &Doc<'_>) -> Option<Spanned<DeTable<'t>>> {
        for (at, what, help) in &self.wrong {
            doc.say(at, what.clone(), help.clone());
        }
        let end = |next: usize| self.files.get(next).map_or(self.text.len(), |(start, _)| *start);
        let mut main = None;
        let mut sound = true;
        for (number, (start, _)) in self.files.iter().enumerate() {
            let (root, errors) = DeTable::parse_recoverable(&self.text[*start..end(number + 1)]);
            for error in &errors {
                let at = error.span().unwrap_or(0..0);
                doc.say(&moved(&at, *start), format!("this is not TOML: {}", error.message()), "");
            }
            sound &= errors.is_empty();
            match &mut main {
                None => main = Some(root),
                Some(main) => lay(main.get_mut(), shifted(root.into_inner(), *start), doc, true),
            }
        }
        main.filter(|_| sound)
    }
}

/// Lays a table over another one. What an included file may not say is said.
fn lay<'t>(base: &mut DeTable<'t>, over: DeTable<'t>, doc: &Doc<'_>, root: bool) {
    for (key, value) in over {
        let (at, name) = (key.span(), key.get_ref().to_string());
        if root && name == KEY {
            let what = "an included file cannot include others";
            doc.say(&at, what, format!("put it into the `include` of {}", doc.source.main()));
            continue;
        }
        let Some(known) = base.get_mut(name.as_str()) else {
            base.insert(key, value);
            continue;
        };
        let first = known.span();
        match (known.get_mut(), value.into_inner()) {
            (DeValue::Table(known), DeValue::Table(more)) => lay(known, more, doc, false),
            (DeValue::Array(known), DeValue::Array(more)) if of_tables(known) && of_tables(&more) => {
                more.into_iter().for_each(|item| known.push(item));
            }
            _ => {
                let (file, line) = (doc.source.file(first.start), doc.source.place(&first).line);
                doc.say(
                    &at,
                    format!("`{name}` is set twice: here, and in {file}, line {line}"),
                    "leave one of them out",
                );
            }
        }
    }
}

fn of_tables(items: &[Spanned<DeValue<'_>>]) -> bool {
    !items.is_empty() && items.iter().all(|item| matches!(item.get_ref(), DeValue::Table(_)))
}

fn moved(at: &Range<usize>, by: usize) -> Range<usize> {
    at.start + by..at.end + by
}

/// The same table, `by` bytes further on.
fn shifted(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    let entries = table.into_iter().map(|(key, value)| {
        let at = moved(&key.span(), by);
        (Spanned::new(at, key.into_inner()), shifted_value(value, by))
    });
    entries.collect()
}

fn shifted_value(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let at = moved(&value.span(), by);
    let inner = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(shifted(table, by)),
        DeValue::Array(items) => DeValue::Array(items.into_iter().map(|item| shifted_value(item, by)).collect()),
        plain => plain,
    };
    Spanned::new(at, inner)
}

/// Holds what stands under the key against what can stand there; the files themselves have been read by then.
pub fn check(field: &Field<'_>) {
    let help = "write it like [\"conf.d/*.toml\"]";
    if field.texts().is_some_and(|texts| texts.iter().any(|text| text.get_ref().trim().is_empty())) {
        field.say("an `include` cannot be empty", help);
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn stars_stand_for_any_part_of_a_name() {
        for (pattern, name, fit) in [
            ("*.toml", "a.toml", true),
            ("*.toml", "a.toml~", false),
            ("*.toml", ".toml", true),
            ("1?-*.toml", "10-slack.toml", true),
            ("1?-*.toml", "1-slack.toml", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("", "", true),
            ("a", "", false),
        ] {
            assert_eq!(fits(pattern, name), fit, "{pattern} {name}");
        }
    }
}
