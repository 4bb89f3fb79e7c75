//! What may be wrong with a sound config: secrets and files that are not where it says, seen from here. The engine may run as somebody else and
//! with another environment, so nothing is refused for it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::{env, fs};

use serde_json::Value;

use crate::config::Config;
use crate::domain::kinds::{Kinds, ParamType};
use crate::domain::params::SecretRef;
use crate::domain::text::clean;
use crate::outbound::program::is_found;

/// The token of `[contacts.pagerduty]` is a field and no parameter of a kind.
const TOKEN: &str = "token";

/// Every variable that is not set and every file that is not there, each with who needs it, as sentences.
pub fn warnings(config: &Config, kinds: &Kinds) -> Vec<String> {
    let names = Names {
        secrets: kinds.names_of(ParamType::Secret).chain([TOKEN]).collect(),
        paths: kinds.names_of(ParamType::Path).collect(),
        lists: kinds.names_of(ParamType::Paths).collect(),
    };
    let mut found = BTreeSet::new();
    for value in [serde_json::to_value(&config.estate), serde_json::to_value(&config.plans)].into_iter().flatten() {
        walk(&value, "the config", &names, &mut found);
    }
    found.into_iter().collect()
}

/// Of the parameters that lead somewhere on this host.
struct Names {
    secrets: BTreeSet<&'static str>,
    paths: BTreeSet<&'static str>,
    /// Paths with `:` between them.
    lists: BTreeSet<&'static str>,
}

/// `owner` is the nearest thing around `value` that has a name.
fn walk(value: &Value, owner: &str, names: &Names, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, owner, names, found)),
        Value::Object(fields) => {
            let named = fields.get("id").and_then(Value::as_str).map(|id| format!("`{}`", clean(id)));
            let owner = named.as_deref().unwrap_or(owner);
            for (name, value) in fields {
                let secret = names.secrets.contains(name.as_str()).then(|| serde_json::from_value(value.clone()).ok());
                let several = names.lists.contains(name.as_str());
                let path = value.as_str().filter(|_| several || names.paths.contains(name.as_str()));
                match (secret.flatten(), path) {
                    (Some(place), _) => found.extend(missing(&place).map(|why| format!("{owner}: `{name}` {why}"))),
                    (None, Some(path)) => {
                        let parts = path.split(|c| several && c == ':');
                        let absent = parts.filter_map(absent);
                        found.extend(absent.map(|why| format!("{owner}: `{name}` {why}")));
                    }
                    (None, None) => walk(value, owner, names, found),
                }
            }
        }
        _ => {}
    }
}

/// Why a file cannot be read, if so. A pipe may be one that the secret is handed over by: it is not opened for this.
fn unreadable(path: &str) -> Option<String> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) => return Some(error.to_string()),
    };
    if found.is_dir() {
        return Some("it is a folder".into());
    }
    found.is_file().then(|| fs::File::open(path).err()).flatten().map(|error| error.to_string())
}

/// A file or folder of the engine's host; what it holds is for the one that needs it to judge.
fn absent(path: &str) -> Option<String> {
    // Whose home it is, the engine knows.
    if path.starts_with("~/") {
        return None;
    }
    let error = fs::metadata(path).err()?;
    Some(format!("is {}, which cannot be looked at from here: {error} → the engine has to read it", clean(path)))
}

fn missing(place: &SecretRef) -> Option<String> {
    let tell = "→ the engine needs it: set it where the engine is started";
    match place {
        SecretRef::Env(name) if env::var_os(OsStr::new(name)).is_none_or(|value| value.is_empty()) => {
            Some(format!("is in the variable {}, which is not set here {tell}", clean(name)))
        }
        SecretRef::File(path) => {
            let why = unreadable(path)?;
            let path = clean(path);
            Some(format!("is in the file {path}, which cannot be read from here: {why} → the engine has to read it"))
        }
        SecretRef::Command(words) => {
            let program = words.first().filter(|program| !is_found(program))?;
            let program = clean(program);
            Some(format!("is printed by {program}, which is not found here → the engine has to run it"))
        }
        SecretRef::Env(_) => None,
    }
}
