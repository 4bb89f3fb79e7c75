//! TOML to a validated estate and its plans. Every mistake is reported at once, with file, line, column and what to write instead.
//!
//! A config file is read by walking it: [`read`] keeps positions and knows which keys were asked for, [`params`] holds a table against
//! the rows of its kind, and what refers to something (a region, a system, a step) is checked where its position is known.

mod alerts;
mod backups;
mod channels;
mod checklist;
pub mod cockpit;
mod compose;
mod contacts;
mod disk;
mod drills;
mod estate;
mod files;
mod fill;
mod include;
pub mod journal;
mod known;
mod mistake;
pub mod params;
mod plans;
mod probes;
mod read;
pub mod schema;
pub mod suggest;
mod targets;
mod ways;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub use disk::{read_file, read_text};
pub use files::{Files, Glance};
pub use mistake::{Mistake, Mistakes, Place, Warning};
pub use plans::{BUILT_IN, LeftOut};

use crate::domain::estate::Estate;
use crate::domain::kinds::{Kinds, ParamType};
use crate::domain::plan::Plan;
use crate::messages::Templates;
use read::{Doc, Table};

/// A config without a mistake.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub estate: Estate,
    /// Built-in ones first, then those of `plans_dir`.
    pub plans: Vec<Plan>,
    /// Built-in plans that do not fit this estate.
    pub left_out: Vec<LeftOut>,
    /// The texts of messages.
    pub templates: Templates,
    /// Where the journal is kept.
    pub journal: journal::Journal,
    /// The file it was read from.
    pub origin: PathBuf,
    /// That file and all others that it was read from, as they were then.
    pub files: Files,
    /// What is odd, and borne with.
    pub warnings: Vec<Mistake>,
}

/// Reads a config file and the plans it leads to.
///
/// # Errors
/// All the mistakes that there are.
pub fn load(path: &Path, kinds: &Kinds) -> Result<Config, Mistakes> {
    match read_text(path) {
        Ok(text) => parse(&text, path, kinds),
        Err(error) => {
            let what = format!("the config cannot be read: {error}");
            let help = if error.kind() == ErrorKind::NotFound { "`mayday init` writes one to start from" } else { "" };
            Err(Mistakes(vec![Mistake { file: path.display().to_string(), place: None, what, help: help.into() }]))
        }
    }
}

/// Reads a config from its text. `origin` is where the text is from: relative paths in it start at its directory.
///
/// # Errors
/// All the mistakes that there are.
pub fn parse(text: &str, origin: &Path, kinds: &Kinds) -> Result<Config, Mistakes> {
    let dir = origin.parent().unwrap_or(Path::new("."));
    let gathered = include::gather(text, origin);
    let source = gathered.source(secret_names(kinds));
    let warnings = gathered.warnings(&source);
    let doc = Doc::new(source, None);
    let Some(root) = gathered.root(&doc) else {
        return Err(Mistakes(doc.into_mistakes()));
    };
    let root = Table::new(&doc, root.get_ref(), root.span(), "the config");
    let (mut estate, known) = estate::read(&root, kinds, dir);
    let plans_dir = root.get("plans_dir").and_then(|it| it.text());
    if let Some(field) = root.get(include::KEY) {
        include::check(&field);
    }
    let folders = folders(dir, plans_dir.as_ref(), &root);
    let drills = drills::read(&root, &known.params());
    let journal = journal::read(&root, &known.params());
    root.close();
    let read = plans::read(&estate, &known, plans_dir.map(|dir| (dir, &doc)));
    if read.mistakes.is_empty() {
        estate.drills = drills::settled(&doc, drills, &read.plans);
    }
    let mut mistakes = doc.into_mistakes();
    mistakes.extend(read.mistakes);
    if !mistakes.is_empty() {
        return Err(Mistakes(mistakes));
    }
    let (plans, left_out, templates) = (read.plans, read.left_out, known.templates);
    let files = Files::of_read(origin, folders, &gathered.read);
    Ok(Config { estate, plans, left_out, templates, journal, origin: origin.into(), files, warnings })
}

/// The folders that a config leads to: its plans and its templates.
fn folders(dir: &Path, plans: Option<&read::Text>, root: &Table<'_>) -> Vec<PathBuf> {
    let comms = root.get("comms").and_then(|it| it.value().as_table()?.get("templates")?.get_ref().as_str());
    plans.map(|it| it.get_ref().as_str()).into_iter().chain(comms).map(|it| dir.join(it)).collect()
}

/// The names of all parameters that are secrets: what is written in their place is never shown.
fn secret_names(kinds: &Kinds) -> Vec<&'static str> {
    kinds.names_of(ParamType::Secret).collect()
}
