//! Field and label selectors: which objects a list or a watch is about.

use serde_json::Value;

/// Terms that all have to hold.
#[derive(Clone, Debug, Default)]
pub struct Selector(Vec<Term>);

#[derive(Clone, Debug)]
struct Term {
    /// From the object's root to a text.
    path: Vec<String>,
    equal: bool,
    value: String,
}

impl Selector {
    /// # Errors
    /// When it is written in a way that this lab does not know: sets, and bare labels.
    pub fn new(fields: Option<&String>, labels: Option<&String>) -> Result<Self, String> {
        let mut terms = Vec::new();
        for text in fields.into_iter().flat_map(|all| all.split(',')).filter(|text| !text.is_empty()) {
            terms.push(term(text, |key| key.split('.').map(str::to_owned).collect())?);
        }
        for text in labels.into_iter().flat_map(|all| all.split(',')).filter(|text| !text.is_empty()) {
            terms.push(term(text, |key| vec!["metadata".into(), "labels".into(), key.to_owned()])?);
        }
        Ok(Self(terms))
    }

    pub fn takes(&self, object: &Value) -> bool {
        self.0.iter().all(|term| {
            let found = term.path.iter().fold(object, |value, field| &value[field.as_str()]);
            (found.as_str().unwrap_or_default() == term.value) == term.equal
        })
    }
}

fn term(text: &str, path: impl Fn(&str) -> Vec<String>) -> Result<Term, String> {
    let (key, equal, value) = if let Some((key, value)) = text.split_once("!=") {
        (key, false, value)
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (key, true, value)
    } else {
        return Err(format!("this lab selects by KEY=VALUE and KEY!=VALUE, not by `{text}`"));
    };
    Ok(Term { path: path(key.trim()), equal, value: value.trim().to_owned() })
}
