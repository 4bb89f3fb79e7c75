//! What may be wrong with a sound config: secrets that are not where it says, seen from here. The engine may run as somebody else and
//! with another environment, so nothing is refused for it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;
use std::{env, fs};

use serde_json::Value;

use super::{Config, secret_names};
use crate::domain::kinds::Kinds;
use crate::domain::params::SecretRef;
use crate::domain::text::clean;

/// The token of `[contacts.pagerduty]` is a field and no parameter of a kind.
const TOKEN: &str = "token";

/// Every variable that is not set and every file that is not there, each with who needs it, as sentences.
pub fn warnings(config: &Config, kinds: &Kinds) -> Vec<String> {
    let mut names: BTreeSet<&str> = secret_names(kinds).into_iter().collect();
    names.insert(TOKEN);
    let mut found = BTreeSet::new();
    for value in [serde_json::to_value(&config.estate), serde_json::to_value(&config.plans)].into_iter().flatten() {
        walk(&value, "the config", &names, &mut found);
    }
    found.into_iter().collect()
}

/// `owner` is the nearest thing around `value` that has a name.
fn walk(value: &Value, owner: &str, names: &BTreeSet<&str>, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, owner, names, found)),
        Value::Object(fields) => {
            let named = fields.get("id").and_then(Value::as_str).map(|id| format!("`{}`", clean(id)));
            let owner = named.as_deref().unwrap_or(owner);
            for (name, value) in fields {
                let secret = names.contains(name.as_str()).then(|| serde_json::from_value(value.clone()).ok());
                match secret.flatten() {
                    Some(place) => found.extend(missing(&place).map(|why| format!("{owner}: `{name}` {why}"))),
                    None => walk(value, owner, names, found),
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

/// Whether a program is where it is said to be, or in one of the folders of `PATH`.
fn is_found(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).is_file();
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| folder.join(program).is_file())
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
