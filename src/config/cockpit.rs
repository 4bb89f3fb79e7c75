//! `cockpit.toml`: how one operator's cockpit looks and which keys it has. It is theirs, not the estate's: many operators attach to one
//! engine, each with their own.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::mistake::{Mistakes, Source};
use super::read::{Doc, Table};
use super::suggest::one_of;

/// What an operator wants; what is left out is as the program has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cockpit {
    pub theme: Option<String>,
    pub mouse: Option<bool>,
    pub ascii: Option<bool>,
    pub reduced_motion: Option<bool>,
    /// A user whose engine is believed besides the operator's own and root's.
    pub engine_user: Option<String>,
    /// The keys of an action, by its name.
    pub keys: Wishes,
}

/// Its switches.
pub const FLAGS: &[&str] = &["mouse", "ascii", "reduced_motion"];

/// Keys by the action that they are wanted for.
pub type Wishes = BTreeMap<String, Vec<String>>;

/// What stands against a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    pub action: String,
    /// Which of its keys; `None` for all of them together.
    pub key: Option<usize>,
    pub what: String,
    pub help: String,
}

/// What there is to choose from.
pub struct Choices<'a> {
    pub themes: &'a [&'a str],
    pub actions: &'a [&'a str],
    /// Says what stands against the keys that are wanted, all of it.
    pub check: &'a dyn Fn(&Wishes) -> Vec<Complaint>,
}

/// Reads it from its text; `origin` is where that is from.
///
/// # Errors
/// All the mistakes that there are.
pub fn parse(text: &str, origin: &Path, choices: &Choices<'_>) -> Result<Cockpit, Mistakes> {
    let doc = Doc::new(Source::new(origin.display().to_string(), text, Vec::new()), None);
    let Some(root) = Doc::parse(text, &doc) else {
        return Err(Mistakes(doc.into_mistakes()));
    };
    let root = Table::new(&doc, root.get_ref(), root.span(), "cockpit.toml");
    let flag = |name| root.get(name).and_then(|field| field.flag());
    let read = Cockpit {
        theme: root.get("theme").and_then(|field| field.word(choices.themes)),
        mouse: flag("mouse"),
        ascii: flag("ascii"),
        reduced_motion: flag("reduced_motion"),
        engine_user: root.get("engine_user").and_then(|field| field.text()).map(toml::Spanned::into_inner),
        keys: root.get("keys").and_then(|field| field.table("[keys]")).map(|it| keys(&it, choices)).unwrap_or_default(),
    };
    root.close();
    let mistakes = doc.into_mistakes();
    if mistakes.is_empty() { Ok(read) } else { Err(Mistakes(mistakes)) }
}

fn keys(table: &Table<'_>, choices: &Choices<'_>) -> Wishes {
    let (mut wishes, mut places) = (Wishes::new(), BTreeMap::<String, (Range<usize>, Vec<Range<usize>>)>::new());
    for (name, field) in table.entries() {
        let (at, action) = (name.span(), name.into_inner());
        if !choices.actions.contains(&action.as_str()) {
            let help = format!("{}; `mayday keys` lists them", one_of_few(&action, choices.actions));
            table.doc().say(&at, format!("nothing that can be done is called `{action}`"), help);
            continue;
        }
        let Some(texts) = field.texts() else { continue };
        places.insert(action.clone(), (at, texts.iter().map(toml::Spanned::span).collect()));
        wishes.insert(action, texts.into_iter().map(toml::Spanned::into_inner).collect());
    }
    for complaint in (choices.check)(&wishes) {
        let Some((name, each)) = places.get(&complaint.action) else { continue };
        let at = complaint.key.and_then(|key| each.get(key)).unwrap_or(name);
        table.doc().say(at, complaint.what, complaint.help);
    }
    wishes
}

/// What was probably meant; not all there is, which is too much for a line.
fn one_of_few(wrong: &str, words: &[&str]) -> String {
    super::suggest::nearest(wrong, words).map_or_else(|| "look for its name".to_owned(), |word| one_of(wrong, &[word]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Cockpit, Mistakes> {
        let complain = |wishes: &Wishes| -> Vec<Complaint> {
            let bad = wishes.iter().filter(|(_, keys)| keys.iter().any(|key| key == "Hyper-x"));
            let of = |(action, _): (&String, _)| Complaint {
                action: action.clone(),
                key: Some(0),
                what: "no key".into(),
                help: String::new(),
            };
            bad.map(of).collect()
        };
        let choices = Choices { themes: &["dark", "light"], actions: &["hold", "arm"], check: &complain };
        parse(text, Path::new("cockpit.toml"), &choices)
    }

    #[test]
    fn what_is_wanted_is_read() {
        let read = read("theme = \"light\"\nmouse = true\n[keys]\nhold = [\"F9\", \"H\"]\n").unwrap();
        assert_eq!((read.theme.as_deref(), read.mouse, read.ascii), (Some("light"), Some(true), None));
        assert_eq!(read.keys["hold"], ["F9", "H"]);
        assert_eq!(
            super::parse("", Path::new("c"), &Choices { themes: &[], actions: &[], check: &|_| Vec::new() }).unwrap(),
            Cockpit::default()
        );
    }

    #[test]
    fn every_mistake_is_told_at_once_in_its_place() {
        let text = "theme = \"drak\"\nmouse = 1\nmuose = true\n[keys]\nhodl = [\"H\"]\narm = [\"Hyper-x\"]\nhold = 7\n";
        let said = read(text).unwrap_err().to_string();
        for word in
            ["did you mean `dark`", "`mouse` is", "no key `muose`", "did you mean `hold`", "error: no key", ":6:"]
        {
            assert!(said.contains(word), "no {word} in {said}");
        }
        assert!(said.ends_with("6 mistakes"), "{said}");
    }
}
