//! The operator's own keys: put into the table of keys, and checked with it as a whole, so that every mistake is told at once.

use std::collections::BTreeMap;

use super::keymap::{Action, Binding, Context, TABLE, is_key};
use super::panes;

/// Keys by the name of the action that they are wanted for.
pub type Wishes = BTreeMap<String, Vec<String>>;

/// What stands against a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    pub action: Action,
    /// Which of its keys; `None` for all of them together.
    pub key: Option<usize>,
    pub what: String,
    pub help: String,
}

/// The table with these keys. A wish is for the first row of its action; the others (`Ctrl-c`, the palette's arrows) stay as they are.
///
/// # Errors
/// All that stands against them.
pub fn rebound(wishes: &Wishes) -> Result<Vec<Binding>, Vec<Complaint>> {
    let mut table = TABLE.to_vec();
    let mut complaints = Vec::new();
    let mut wanted = Vec::new();
    for (name, keys) in wishes {
        let Ok(action) = name.parse::<Action>() else { continue };
        complaints.extend(mistakes(action, keys));
        if let Some(row) = table.iter_mut().find(|row| row.action == action) {
            row.keys = leaked(keys);
            wanted.push(action);
        }
    }
    complaints.extend(conflicts(&table, &wanted));
    if complaints.is_empty() { Ok(table) } else { Err(complaints) }
}

/// Keys that live as long as the table does, which is as long as the process: they are bound once.
fn leaked(keys: &[String]) -> &'static [&'static str] {
    let keys: Vec<&'static str> = keys.iter().map(|key| &*Box::leak(key.clone().into_boxed_str())).collect();
    Box::leak(keys.into_boxed_slice())
}

/// What is wrong with the keys of one action by themselves.
fn mistakes(action: Action, keys: &[String]) -> Vec<Complaint> {
    let complain = |key, what: String, help: &str| Complaint { action, key, what, help: help.into() };
    if action == Action::Back {
        return vec![complain(None, "Esc always steps back".into(), "leave this line out")];
    }
    if action == Action::FocusPane && keys.len() != panes::KEYS.len() {
        let what = format!("there are {} panes, and {} keys for them", panes::KEYS.len(), keys.len());
        return vec![complain(None, what, "give each pane its key, in their order")];
    }
    if keys.is_empty() {
        return vec![complain(None, format!("{action} needs a key"), "leave this line out to keep its own")];
    }
    let row = TABLE.iter().find(|row| row.action == action);
    let typed = row.and_then(|row| row.contexts.iter().find(|context| context.takes_text()));
    let mut found = Vec::new();
    for (at, key) in keys.iter().enumerate() {
        if !is_key(key) {
            let help = "write it like a, A, Space, Enter, F5, Ctrl-a, Alt-a, PageUp";
            found.push(complain(Some(at), format!("`{key}` is no key"), help));
        } else if let Some(context) = typed.filter(|_| key.chars().count() == 1 || key == "Space") {
            let what = format!("`{key}` is text in {context}, so it cannot be {action} there");
            found.push(complain(Some(at), what, "use a key with Ctrl, or one that is no letter"));
        }
        if keys[..at].contains(key) {
            found.push(complain(Some(at), format!("`{key}` is here twice"), ""));
        }
    }
    found
}

/// Keys that would mean two things in one place. The wish is complained about; where two wishes meet, the later one.
fn conflicts(table: &[Binding], wanted: &[Action]) -> Vec<Complaint> {
    let mut found: Vec<Complaint> = Vec::new();
    for context in Context::ALL {
        let rows: Vec<&Binding> = table.iter().filter(|row| row.contexts.contains(context)).collect();
        for (at, row) in rows.iter().enumerate() {
            let first = |row: &Binding| TABLE.iter().find(|own| own.action == row.action).map(|own| own.contexts);
            let is_wish = wanted.contains(&row.action) && first(row) == Some(row.contexts);
            for (index, key) in row.keys.iter().enumerate().filter(|_| is_wish) {
                let other = rows.iter().enumerate().find(|(other, known)| {
                    let later = !wanted.contains(&known.action) || *other < at;
                    *other != at && later && known.keys.contains(key)
                });
                let told = |it: &Complaint| it.action == row.action && it.key == Some(index);
                if let Some((_, other)) = other.filter(|_| !found.iter().any(told)) {
                    found.push(Complaint {
                        action: row.action,
                        key: Some(index),
                        what: format!("`{key}` is {} already in {context}", other.action),
                        help: format!("choose another key, or give {} one", other.action),
                    });
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(wishes: &[(&str, &[&str])]) -> Result<Vec<Binding>, Vec<Complaint>> {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        rebound(&wishes.iter().map(|(action, wanted)| ((*action).to_owned(), keys(wanted))).collect())
    }

    fn told(wishes: &[(&str, &[&str])]) -> Vec<String> {
        wish(wishes).unwrap_err().into_iter().map(|it| format!("{}: {}", it.action, it.what)).collect()
    }

    #[test]
    fn a_wish_is_the_key_and_the_only_one() {
        let table = wish(&[("hold", &["F9", "Ctrl-h"]), ("declare", &["H"])]).unwrap();
        let keys = |action| table.iter().find(|row| row.action == action).unwrap().keys;
        assert_eq!(keys(Action::Hold), ["F9", "Ctrl-h"]);
        assert_eq!(keys(Action::Declare), ["H"], "which hold has given away");
        assert_eq!(table.len(), TABLE.len());
    }

    #[test]
    fn conflicts_are_refused() {
        assert_eq!(told(&[("hold", &["D"])]), ["hold: `D` is declare already in the cockpit"]);
        assert_eq!(told(&[("hold", &["F9"]), ("arm", &["F9"])]).len(), 1, "the later of the two");
        assert_eq!(told(&[("hold", &["Esc"])]), ["hold: `Esc` is back already in the cockpit"]);
        assert_eq!(told(&[("hold", &["Ctrl-c"])]), ["hold: `Ctrl-c` is detach already in the cockpit"]);
    }

    #[test]
    fn every_mistake_is_told() {
        let found = told(&[
            ("back", &["F2"]),
            ("hold", &[]),
            ("submit", &["s"]),
            ("zoom", &["Hyper-z", "F3", "F3"]),
            ("focus-pane", &["1", "2"]),
        ]);
        assert_eq!(found.len(), 6, "{found:#?}");
    }
}
