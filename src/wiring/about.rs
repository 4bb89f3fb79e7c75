//! What can be said of the program itself: its keys, its themes, its manual, and its words for a shell.

use std::io::Write;

use clap::CommandFactory;
use serde_json::json;

use super::failure::Failure;
use super::say::say;
use super::settings;
use crate::cli::args::{Cli, Format};
use crate::cli::exit::Exit;
use crate::cli::out::out;
use crate::cli::{schema, text};
use crate::tui::keymap::{self, Danger};
use crate::tui::overrides;
use crate::tui::theme::lint::lint;

/// The keys that count for this operator, by place.
///
/// # Errors
/// When `cockpit.toml` has mistakes.
pub fn keys(format: Format) -> Result<Exit, Failure> {
    let folder = settings::folder();
    let wanted = settings::wanted(folder.as_deref(), &settings::themes(folder.as_deref())?)?;
    let table = overrides::rebound(&wanted.keys).unwrap_or_else(|_| keymap::TABLE.to_vec());
    let danger = |danger| match danger {
        Danger::Looks => "looks",
        Danger::Speaks => "speaks",
        Danger::Changes => "changes",
    };
    let places = |row: &keymap::Binding| row.contexts.iter().map(|it| it.word()).collect::<Vec<_>>();
    let rows = table.iter().map(|row| {
        json!({ "action": row.action, "keys": row.keys, "in": places(row), "danger": danger(row.danger), "help": row.help })
    });
    let cells = table
        .iter()
        .map(|row| vec![row.keys.join(" "), row.action.to_string(), keymap::places(row.contexts), row.help.to_owned()]);
    let lines = text::table(&["keys", "action", "where", "what it does"], &cells.collect::<Vec<_>>());
    let place = folder.map_or_else(String::new, |folder| {
        format!("\nOther keys: in {}, under [keys], like hold = [\"F9\"]\n", folder.join("cockpit.toml").display())
    });
    say(format, &rows.collect::<Vec<_>>(), format!("{lines}{place}"))
}

/// The themes, and everything that is wrong with each.
///
/// # Errors
/// When the folder of themes cannot be read.
pub fn themes(format: Format) -> Result<Exit, Failure> {
    let library = settings::themes(settings::folder().as_deref())?;
    let linted: Vec<(&str, Vec<String>)> = library.names().map(|name| (name, lint(&library, name))).collect();
    let rows: Vec<_> = linted.iter().map(|(name, wrong)| json!({ "theme": name, "mistakes": wrong })).collect();
    let mut words = String::new();
    for (name, wrong) in &linted {
        let verdict = if wrong.is_empty() { "valid".to_owned() } else { format!("{} wrong", wrong.len()) };
        words += &format!("{name:<16} {verdict}\n");
        words.extend(wrong.iter().map(|wrong| format!("  ✗ {wrong}\n")));
    }
    say(format, &rows, words)?;
    Ok(if linted.iter().all(|(_, wrong)| wrong.is_empty()) { Exit::Ok } else { Exit::Config })
}

/// A schema, or the names of all.
///
/// # Errors
/// When there is none of that name, or the folder of themes cannot be read.
pub fn schema(name: Option<&str>, format: Format) -> Result<Exit, Failure> {
    let library = settings::themes(settings::folder().as_deref())?;
    let themes: Vec<&str> = library.names().collect();
    let words = schema::Words { kinds: super::kinds(), themes: &themes, actions: keymap::Action::WORDS };
    if let Some(name) = name.filter(|name| schema::names().all(|(known, _)| known != *name)) {
        return Err(Failure::new(Exit::Usage, schema::missing(name).to_string()));
    }
    schema::print(name, &words, format == Format::Json, &mut out())?;
    Ok(Exit::Ok)
}

/// # Errors
/// When it cannot be written.
pub fn completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mayday", &mut script);
    out().write_all(&script)?;
    Ok(Exit::Ok)
}

/// # Errors
/// When it cannot be written.
pub fn man() -> Result<Exit, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    out().write_all(&page)?;
    Ok(Exit::Ok)
}
