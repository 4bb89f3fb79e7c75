//! A walk over a TOML document that keeps the position of everything, goes on after a mistake, and knows which keys were asked for.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fill::{Values, fill};
use super::mistake::{Mistake, Source};
use super::suggest::{nearest, one_of};
use crate::domain::text::clean;
use crate::domain::time::Span;

/// Text with its position.
pub type Text = Spanned<String>;

/// One file under reading: where its mistakes are gathered.
pub struct Doc<'t> {
    pub source: Source<'t>,
    mistakes: RefCell<Vec<Mistake>>,
    /// What `{name}` in a text stands for; `None` where braces mean nothing.
    values: Option<Values>,
}

impl<'t> Doc<'t> {
    pub fn new(source: Source<'t>, values: Option<Values>) -> Self {
        Self { source, mistakes: RefCell::default(), values }
    }

    pub fn say(&self, at: &Range<usize>, what: impl Into<String>, help: impl Into<String>) {
        self.push(Mistake {
            file: self.source.file(at.start).to_owned(),
            place: Some(self.source.place(at)),
            what: what.into(),
            help: help.into(),
        });
    }

    /// For what is missing from the file as a whole.
    pub fn say_of_file(&self, what: impl Into<String>, help: impl Into<String>) {
        self.push(Mistake { file: self.source.main().to_owned(), place: None, what: what.into(), help: help.into() });
    }

    /// For what is wrong in another file that this one leads to.
    pub fn push(&self, mistake: Mistake) {
        self.mistakes.borrow_mut().push(mistake);
    }

    /// Whether nothing has been said so far.
    pub fn is_sound(&self) -> bool {
        self.mistakes.borrow().is_empty()
    }

    /// The mistakes so far, in the order of the files; those about a file as a whole come last.
    pub fn into_mistakes(self) -> Vec<Mistake> {
        let mut found = self.mistakes.into_inner();
        let rank = |it: &Mistake| self.source.rank(&it.file);
        found.sort_by_key(|it| it.place.as_ref().map_or((usize::MAX, 0, 0), |at| (rank(it), at.line, at.column)));
        // A value that is read by more than one rule says once what is wrong with it.
        let mut once: Vec<Mistake> = Vec::new();
        found.retain(|it| {
            let new = !once.contains(it);
            if new {
                once.push(it.clone());
            }
            new
        });
        found
    }

    /// The root table, or `None` when the text is not TOML (which has then been said).
    pub fn parse(text: &'t str, doc: &Doc<'_>) -> Option<Spanned<DeTable<'t>>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let at = error.span().unwrap_or(0..0);
            doc.say(&at, format!("this is not TOML: {}", error.message()), "");
        }
        errors.is_empty().then_some(root)
    }

    /// The text with its placeholders filled in; only plans have any.
    fn expand(&self, text: &str, at: &Range<usize>) -> String {
        let Some(values) = &self.values else {
            return text.to_owned();
        };
        let (filled, unknown) = fill(text, values);
        for name in unknown {
            let known: Vec<&str> = values.keys().map(String::as_str).collect();
            let help = match nearest(&name, &known) {
                Some(meant) => format!("did you mean {{{meant}}}?"),
                None => format!("add {name} = \"…\" to the [values] of the config, or write {{{{ for a brace"),
            };
            self.say(at, format!("nothing says what {{{name}}} stands for"), help);
        }
        filled
    }
}

/// A table under reading.
pub struct Table<'d> {
    doc: &'d Doc<'d>,
    map: &'d DeTable<'d>,
    /// Its header.
    pub at: Range<usize>,
    /// As it is called in messages: `[[region]]`.
    what: String,
    asked: RefCell<Vec<&'static str>>,
}

impl<'d> Table<'d> {
    pub fn new(doc: &'d Doc<'d>, map: &'d DeTable<'d>, at: Range<usize>, what: &str) -> Self {
        Self { doc, map, at, what: what.into(), asked: RefCell::default() }
    }

    pub fn doc(&self) -> &'d Doc<'d> {
        self.doc
    }

    /// The field of that name, which is a known one from now on.
    pub fn get(&self, key: &'static str) -> Option<Field<'d>> {
        self.asked.borrow_mut().push(key);
        let value = self.map.get(key)?;
        Some(Field { doc: self.doc, name: key.into(), value })
    }

    /// The same; its absence is a mistake.
    pub fn need(&self, key: &'static str, help: impl Into<String>) -> Option<Field<'d>> {
        let field = self.get(key);
        if field.is_none() {
            self.say(format!("{} has no `{key}`", self.what), help);
        }
        field
    }

    /// A mistake of the table as a whole.
    pub fn say(&self, what: impl Into<String>, help: impl Into<String>) {
        self.doc.say(&self.at, what, help);
    }

    /// Every key and value, for tables whose keys are not fixed.
    pub fn entries(&self) -> impl Iterator<Item = (Text, Field<'d>)> {
        self.map.iter().map(|(key, value)| {
            let name = key.get_ref().to_string();
            (Spanned::new(key.span(), name.clone()), Field { doc: self.doc, name, value })
        })
    }

    /// Reports the keys that nobody asked for.
    pub fn close(self) {
        let asked = self.asked.into_inner();
        for key in self.map.keys().filter(|key| !asked.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref();
            let place = Some(self.doc.source.place_of_key(&key.span()));
            let what = format!("{} has no key `{}`", self.what, clean(name));
            let file = self.doc.source.file(key.span().start).to_owned();
            self.doc.push(Mistake { file, place, what, help: one_of(name, &asked) });
        }
    }
}

/// The value of a key. Every getter says what is wrong and answers `None` if it cannot give what was asked for.
#[derive(Clone)]
pub struct Field<'d> {
    doc: &'d Doc<'d>,
    name: String,
    value: &'d Spanned<DeValue<'d>>,
}

impl<'d> Field<'d> {
    pub fn doc(&self) -> &'d Doc<'d> {
        self.doc
    }

    pub fn at(&self) -> Range<usize> {
        self.value.span()
    }

    pub fn value(&self) -> &'d DeValue<'d> {
        self.value.get_ref()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn say(&self, what: impl Into<String>, help: impl Into<String>) {
        self.doc.say(&self.at(), what, help);
    }

    /// Says that the value has the wrong type.
    pub fn wrong_type(&self, wanted: &str, help: impl Into<String>) {
        self.say(format!("`{}` is {}, but has to be {wanted}", self.name, called(self.value())), help);
    }

    pub fn text(&self) -> Option<Text> {
        match self.value() {
            DeValue::String(text) => Some(Spanned::new(self.at(), self.doc.expand(text, &self.at()))),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {
                let bare = &self.doc.source.text()[self.at()];
                self.wrong_type("text", format!("write \"{bare}\""));
                None
            }
            _ => {
                self.wrong_type("text", "");
                None
            }
        }
    }

    /// A text that parses as `T`, whose error says what is wrong.
    pub fn parsed<T: FromStr<Err: Display>>(&self, wanted: &str) -> Option<T> {
        let text = match self.value() {
            DeValue::String(_) => self.text()?.into_inner(),
            _ => {
                self.wrong_type(wanted, "");
                return None;
            }
        };
        text.parse().map_err(|error: T::Err| self.say(error.to_string(), "")).ok()
    }

    /// A length of time, longer than nothing.
    pub fn span(&self) -> Option<Span> {
        if let DeValue::Integer(number) = self.value() {
            self.wrong_type("a length of time", format!("write it with its unit, like \"{number}s\""));
            return None;
        }
        let span: Span = self.parsed("a length of time")?;
        if span.0.is_zero() {
            self.say(format!("`{}` cannot be zero", self.name), "");
            return None;
        }
        Some(span)
    }

    /// One of a set of words.
    pub fn word<T: FromStr>(&self, words: &[&str]) -> Option<T> {
        let text = self.text()?.into_inner();
        if !words.contains(&text.as_str()) {
            self.say(format!("`{}` cannot be `{text}`", self.name), one_of(&text, words));
        }
        text.parse().ok()
    }

    pub fn integer<T: TryFrom<i64>>(&self, range: RangeInclusive<i64>) -> Option<T> {
        let wanted = match *range.end() {
            i64::MAX => format!("a whole number from {} on", range.start()),
            end => format!("a whole number from {} to {end}", range.start()),
        };
        let DeValue::Integer(number) = self.value() else {
            self.wrong_type(&wanted, "");
            return None;
        };
        let number = i64::from_str_radix(number.as_str(), number.radix()).ok().filter(|number| range.contains(number));
        let fits = number.and_then(|number| T::try_from(number).ok());
        if fits.is_none() {
            self.say(format!("`{}` has to be {wanted}", self.name), "");
        }
        fits
    }

    pub fn flag(&self) -> Option<bool> {
        match self.value() {
            DeValue::Boolean(flag) => Some(*flag),
            _ => {
                self.wrong_type("true or false", "write it without quotes");
                None
            }
        }
    }

    /// A list of texts.
    pub fn texts(&self) -> Option<Vec<Text>> {
        let DeValue::Array(items) = self.value() else {
            self.wrong_type("a list of texts", "write it in brackets: [\"…\"]");
            return None;
        };
        let name = format!("an item of {}", self.name);
        items.iter().map(|value| Field { doc: self.doc, name: name.clone(), value }.text()).collect()
    }

    /// The name of something.
    pub fn id(&self) -> Option<Text> {
        let text = self.text()?;
        if !is_name(text.get_ref()) {
            self.say(format!("`{}` is not a name", self.name), NAME_HELP);
            return None;
        }
        Some(text)
    }

    pub fn table(&self, what: &str) -> Option<Table<'d>> {
        match self.value() {
            DeValue::Table(map) => Some(Table::new(self.doc, map, self.at(), what)),
            _ => {
                self.wrong_type("a table", format!("write it as {what}"));
                None
            }
        }
    }

    /// The tables of `[[name]]`.
    pub fn tables(&self, what: &str) -> Vec<Table<'d>> {
        let DeValue::Array(items) = self.value() else {
            self.wrong_type("a list of tables", format!("write each as {what}"));
            return Vec::new();
        };
        let each = items.iter().filter_map(|value| Field { doc: self.doc, name: self.name.clone(), value }.table(what));
        each.collect()
    }
}

/// What may name something, in words for [`is_name`].
pub const NAME_HELP: &str = "use up to 64 of a-z, A-Z, 0-9, `-`, `_` and `.`";

/// Names are typed, used on the wire and in the names of files.
pub fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.len() <= 64 && text.chars().all(plain)
}

fn called(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
