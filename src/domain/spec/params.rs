//! The parameters of a system, probe or step, as validated against its row in the tables of `kinds`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::fault::Fault;
use crate::domain::time::Span;

/// Parameters by name. Config validation has checked them and filled the defaults, so a getter fails only for a parameter
/// that the row does not declare or that is optional and absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Params(pub BTreeMap<String, Value>);

impl Params {
    pub fn text(&self, name: &str) -> Result<&str, Fault> {
        self.opt_text(name).ok_or_else(|| missing(name))
    }
    pub fn opt_text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }
    pub fn integer(&self, name: &str) -> Result<u64, Fault> {
        self.opt_integer(name).ok_or_else(|| missing(name))
    }
    pub fn opt_integer(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_u64()
    }
    pub fn opt_decimal(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.as_f64()
    }
    pub fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }
    pub fn span(&self, name: &str) -> Result<Duration, Fault> {
        self.opt_span(name).ok_or_else(|| missing(name))
    }
    pub fn opt_span(&self, name: &str) -> Option<Duration> {
        self.opt_text(name)?.parse::<Span>().ok().map(|span| span.0)
    }
    /// A list of texts; empty when absent.
    pub fn list(&self, name: &str) -> Vec<String> {
        let items = self.0.get(name).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
    }
    /// A table of texts; empty when absent.
    pub fn map(&self, name: &str) -> BTreeMap<String, String> {
        let items = self.0.get(name).and_then(Value::as_object);
        items.into_iter().flatten().filter_map(|(key, item)| Some((key.clone(), item.as_str()?.to_owned()))).collect()
    }
    /// A table of whole numbers; empty when absent.
    pub fn numbers(&self, name: &str) -> BTreeMap<String, u64> {
        let items = self.0.get(name).and_then(Value::as_object);
        items.into_iter().flatten().filter_map(|(key, item)| Some((key.clone(), item.as_u64()?))).collect()
    }
    /// The same without the arguments of commands that print secrets: people put secrets there.
    pub fn shown(&self) -> Self {
        let shown = |value: &Value| {
            let place =
                value.as_object().filter(|it| it.len() == 1).and_then(|_| serde_json::from_value(value.clone()).ok());
            place.map_or_else(|| value.clone(), |place: SecretRef| serde_json::json!(place.shown()))
        };
        Self(self.0.iter().map(|(name, value)| (name.clone(), shown(value))).collect())
    }
    pub fn secret(&self, name: &str) -> Option<SecretRef> {
        serde_json::from_value(self.0.get(name)?.clone()).ok()
    }
}

fn missing(name: &str) -> Fault {
    Fault::permanent("mayday", format!("the parameter `{name}` is not set")).next("run `mayday check`")
}

/// Where a secret is kept. The secret itself is read at the moment of use by the shell and is never part of any domain value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SecretRef {
    /// An environment variable of the engine.
    Env(String),
    /// A file; surrounding white space is dropped.
    File(String),
    /// A command, without a shell, that prints it.
    Command(Vec<String>),
}

impl SecretRef {
    /// Where it is, as far as others may know: of a command the program, and none of its arguments.
    pub fn shown(&self) -> Self {
        match self {
            Self::Command(words) if words.len() > 1 => Self::Command(vec![words[0].clone(), "…".into()]),
            other => other.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_of_a_secret_command_are_not_shown() {
        let params: Params = serde_json::from_value(serde_json::json!({
            "password": { "command": ["vault", "read", "-token=hunter2"] },
            "token": { "env": "TOKEN" },
            "command": ["check", "--deep"],
            "headers": { "command": "x" },
        }))
        .unwrap();
        let shown = params.shown();
        assert!(!serde_json::to_string(&shown).unwrap().contains("hunter2"));
        assert_eq!(shown.secret("password"), Some(SecretRef::Command(vec!["vault".into(), "…".into()])));
        for name in ["token", "command", "headers"] {
            assert_eq!(shown.0[name], params.0[name], "{name} is no secret command");
        }
    }
}
