//! The operator's own: `cockpit.toml` and themes in the XDG config directory. They are the person's, not the estate's, so they count for
//! every engine that this person attaches to.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use crate::config::cockpit::{self, Choices, Cockpit, Complaint};
use crate::config::{Mistake, Mistakes, read_text};
use crate::tui::keymap::Action;
use crate::tui::overrides;
use crate::tui::theme::Library;

/// The folder of the operator's own files, if there is a home.
pub fn folder() -> Option<PathBuf> {
    Some(ProjectDirs::from("", "", "mayday")?.config_dir().to_path_buf())
}

/// The themes there are: those built in, and those in the folder `themes`.
///
/// # Errors
/// When a file that is there cannot be read.
pub fn themes(folder: Option<&Path>) -> Result<Library, Mistakes> {
    let mut library = Library::default();
    let Some(dir) = folder.map(|folder| folder.join("themes")) else { return Ok(library) };
    let unreadable = |path: &Path, error: &std::io::Error| Mistakes(vec![mistake(path, error)]);
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(library),
        Err(error) => return Err(unreadable(&dir, &error)),
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    for path in files.iter().filter(|path| path.extension().is_some_and(|ext| ext == "toml")) {
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        library.add(name.to_owned(), read_text(path).map_err(|error| unreadable(path, &error))?);
    }
    Ok(library)
}

/// What the operator wants of the cockpit; nothing, if there is no file.
///
/// # Errors
/// All the mistakes in it.
pub fn wanted(folder: Option<&Path>, library: &Library) -> Result<Cockpit, Mistakes> {
    let Some(path) = folder.map(|folder| folder.join("cockpit.toml")) else { return Ok(Cockpit::default()) };
    let text = match read_text(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Cockpit::default()),
        Err(error) => return Err(Mistakes(vec![mistake(&path, &error)])),
    };
    let themes: Vec<&str> = library.names().collect();
    let check = |wishes: &cockpit::Wishes| -> Vec<Complaint> {
        let complaints = overrides::rebound(wishes).err().unwrap_or_default().into_iter();
        let told = complaints.map(|it| {
            let overrides::Complaint { action, key, what, help } = it;
            Complaint { action: action.word().to_owned(), key, what, help }
        });
        told.collect()
    };
    cockpit::parse(&text, &path, &Choices { themes: &themes, actions: Action::WORDS, check: &check })
}

/// Whose engine the operator's own file says is to be believed. A file with mistakes names nobody: `mayday check` tells them.
pub fn engine_user() -> Option<String> {
    let folder = folder();
    let library = themes(folder.as_deref()).unwrap_or_default();
    wanted(folder.as_deref(), &library).ok()?.engine_user
}

fn mistake(path: &Path, error: &std::io::Error) -> Mistake {
    let what = format!("it cannot be read: {error}");
    Mistake { file: path.display().to_string(), place: None, what, help: String::new() }
}
