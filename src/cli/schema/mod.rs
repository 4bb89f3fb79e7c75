//! `mayday schema`: JSON Schemas (draft-07) of what people write and of what `-o json` prints, and the OpenAPI document.

pub mod shapes;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::{fs, iter};

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::api::openapi;
use crate::api::protocol::Accepted;
use crate::config::schema as written;
use crate::config::suggest::nearest;
use crate::domain::event::Record;
use crate::domain::incident::Incident;
use crate::domain::kinds::Kinds;
use crate::domain::plan::Plan;
use crate::domain::schedule::Drill;
use crate::domain::system::Fault;
use crate::domain::text::clean;
use crate::domain::view::{StepByHand, StepPreview};
use crate::report::review::{Brief, Review};

/// What the schemas of files are made from.
pub struct Words<'a> {
    pub kinds: Kinds,
    /// Of the cockpit of whoever asks.
    pub themes: &'a [&'a str],
    pub actions: &'a [&'a str],
}

/// A schema of what is printed: its name, what prints it, and its type.
type Output = (&'static str, &'static str, fn(SchemaGenerator) -> Schema);

/// Schemas of what people write.
const FILES: &[(&str, &str)] = &[
    ("config", "the config file"),
    ("plan", "a plan: one file of `plans_dir`"),
    ("cockpit", "cockpit.toml: how one operator's cockpit looks, and its keys"),
];

const OPENAPI: (&str, &str) = ("openapi", "the API over the engine's socket (OpenAPI 3.1, not a JSON Schema)");

fn of<T: JsonSchema>(generator: SchemaGenerator) -> Schema {
    generator.into_root_schema_for::<T>()
}

/// Every answer that `-o json` prints.
const OUTPUTS: &[Output] = &[
    ("status", "mayday status -o json", of::<shapes::StatusAnswer>),
    ("engines", "mayday engines -o json", of::<shapes::EnginesAnswer>),
    ("backups", "mayday backups -o json", of::<shapes::BackupsAnswer>),
    ("ready", "mayday ready -o json", of::<Vec<shapes::ReadyAnswer>>),
    ("without", "mayday ready --without REGION -o json", of::<shapes::WithoutAnswer>),
    ("contacts", "mayday contacts -o json", of::<shapes::ContactsAnswer>),
    ("check", "mayday check -o json", of::<shapes::CheckAnswer>),
    ("plan-list", "mayday plan list -o json", of::<Vec<shapes::PlanLine>>),
    ("plan-show", "mayday plan show -o json", of::<Plan>),
    ("plan-preview", "mayday plan preview -o json", of::<Vec<StepPreview>>),
    ("by-hand", "mayday by-hand -o json", of::<Vec<StepByHand>>),
    ("failover", "mayday failover run -o json", of::<shapes::RunAnswer>),
    ("wayback", "mayday wayback status -o json", of::<shapes::WayBackAnswer>),
    ("checklist", "mayday checklist -o json", of::<shapes::ChecklistAnswer>),
    ("outbox", "mayday outbox list -o json", of::<shapes::OutboxAnswer>),
    ("incident", "mayday incident declare -o json, and show: the open one", of::<Option<Incident>>),
    ("incident-list", "mayday incident list -o json", of::<Vec<Brief>>),
    ("report", "mayday report -o json, and incident show NAME", of::<Review>),
    ("drill-list", "mayday drill list -o json", of::<shapes::DrillsAnswer>),
    ("drill-show", "mayday drill show -o json", of::<Drill>),
    ("drill-schedule", "mayday drill schedule -o json", of::<shapes::ScheduleAnswer>),
    ("watch", "a line of mayday watch -o json", of::<shapes::WatchLine>),
    ("journal", "a line of mayday journal tail -o json, and of journal export", of::<Record>),
    ("error", "what a command prints with -o json when it fails", of::<shapes::FailureAnswer>),
    ("accepted", "what is asked and needs no other answer: step, hold, note … -o json", of::<Accepted>),
];

/// The file in which `mayday init` lays the schema beside the config, so that an editor finds it without a network.
const BESIDE: &str = "config.schema.json";

/// The first line of a config: by it an editor with Taplo completes and checks what is written.
pub const CONFIG_LINE: &str = "#:schema ./config.schema.json";

/// Writes the schema of the config into its directory, where [`CONFIG_LINE`] points. A file of that name that is not ours stays.
///
/// # Errors
/// When it cannot be written.
pub fn lay_beside(config: &Path, kinds: &Kinds) -> io::Result<PathBuf> {
    let path = config.with_file_name(BESIDE);
    let schema = written::config(kinds);
    let is_ours = |text: &str| text.contains(schema["title"].as_str().unwrap_or_default());
    match fs::read_to_string(&path) {
        Ok(text) if !is_ours(&text) => {
            let what = "there is another file of that name, which was left alone";
            Err(io::Error::new(io::ErrorKind::AlreadyExists, what))
        }
        _ => fs::write(&path, format!("{schema:#}\n")).map(|()| path),
    }
}

/// Every name with what it is of.
pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    let outputs = OUTPUTS.iter().map(|(name, about, _)| (*name, *about));
    FILES.iter().copied().chain(outputs).chain(iter::once(OPENAPI))
}

/// The schema of that name.
pub fn schema(name: &str, words: &Words<'_>) -> Option<Value> {
    match name {
        "config" => Some(written::config(&words.kinds)),
        "plan" => Some(written::plan(&words.kinds)),
        "cockpit" => Some(written::cockpit(words.themes, words.actions)),
        "openapi" => Some(openapi::document()),
        _ => {
            let (_, about, of) = OUTPUTS.iter().find(|(known, ..)| *known == name)?;
            let mut schema = of(SchemaSettings::draft07().for_serialize().into_generator()).to_value();
            schema["title"] = json!(about);
            Some(schema)
        }
    }
}

/// That there is no schema of that name: what was meant, and what there is.
pub fn missing(name: &str) -> Fault {
    let known: Vec<&str> = names().map(|(name, _)| name).collect();
    let meant = nearest(name, &known).map(|meant| format!("did you mean `{meant}`? ")).unwrap_or_default();
    let what = format!("there is no schema `{}`", clean(name));
    Fault::permanent("schema", what).next(format!("{meant}there are: {}", known.join(", ")))
}

/// Prints the schema of that name, or the names.
///
/// # Errors
/// When there is none of that name, or `out` cannot be written to.
pub fn print(name: Option<&str>, words: &Words<'_>, json: bool, out: &mut impl Write) -> Result<(), Fault> {
    let said = match name {
        None if json => {
            let all: Vec<Value> = names().map(|(name, of)| json!({ "name": name, "of": of })).collect();
            writeln!(out, "{:#}", Value::from(all))
        }
        None => names().try_for_each(|(name, of)| writeln!(out, "{name:<15} {of}")),
        Some(name) => {
            let Some(schema) = schema(name, words) else { return Err(missing(name)) };
            writeln!(out, "{schema:#}")
        }
    };
    said.map_err(|error| Fault::permanent("schema", format!("the output cannot be written: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::openapi::tests::references;

    const WORDS: Words<'static> = Words { kinds: Kinds(&[], &[]), themes: &["dark"], actions: &["hold"] };

    #[test]
    fn every_name_has_a_schema_whose_references_resolve() {
        for (name, _) in names() {
            let schema = schema(name, &WORDS).unwrap_or_else(|| panic!("no schema {name}"));
            let mut found = Vec::new();
            references(&schema, &mut found);
            for reference in found {
                assert!(schema.pointer(reference.trim_start_matches('#')).is_some(), "{name}: {reference}");
            }
        }
    }

    #[test]
    fn a_name_that_is_nearly_right_is_met_with_what_was_meant() {
        let refused = print(Some("confg"), &WORDS, false, &mut Vec::new()).unwrap_err();
        assert!(refused.to_string().contains("`config`"), "{refused}");
    }

    #[test]
    fn a_schema_is_laid_beside_the_config_and_nobody_elses_file_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.toml");
        for _ in 0..2 {
            let path = lay_beside(&config, &WORDS.kinds).unwrap();
            assert!(CONFIG_LINE.ends_with(path.file_name().unwrap().to_str().unwrap()));
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), written::config(&WORDS.kinds));
        }
        fs::write(dir.path().join(BESIDE), "{}").unwrap();
        lay_beside(&config, &WORDS.kinds).unwrap_err();
        assert_eq!(fs::read_to_string(dir.path().join(BESIDE)).unwrap(), "{}");
    }
}
