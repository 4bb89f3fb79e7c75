//! `mayday config edit`: an editor on a copy; only what is sound takes the place of the config, and what was typed is never lost.

use std::fs::{File, TryLockError};
use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::time::Duration;
use std::{env, fs};

use tempfile::NamedTempFile;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

use super::failure::Failure;
use super::places::Places;
use super::{kinds, refuse};
use crate::api::client::Client;
use crate::cli::exit::Exit;
use crate::config;

/// How long another edit may take to put what it has in place: far longer than it needs.
const PATIENCE: Duration = Duration::from_secs(10);
const AGAIN: &str = "run `mayday config edit` again";

/// Why an edit came to nothing, and what to do next.
struct Stopped {
    exit: Exit,
    what: String,
    next: String,
}

impl Stopped {
    fn new(exit: Exit, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit, what: what.into(), next: next.into() }
    }

    /// Keeps what was typed, if anything was, and says where.
    fn told(self, copy: NamedTempFile, before: &[u8]) -> Failure {
        let Self { exit, what, next } = self;
        let gone = |error: io::Error| error.kind() == ErrorKind::NotFound;
        let nothing = config::read_file(copy.path()).map_or_else(gone, |now| now == before);
        if nothing {
            return Failure::new(exit, format!("{what} → {next}"));
        }
        let place = match copy.keep() {
            Ok((_, path)) => format!("your text is in {}", path.display()),
            Err(error) => format!("your text could not be kept: {}", error.error),
        };
        Failure::new(exit, format!("{what}; {place} → {next}"))
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::new(Exit::Failed, format!("the edit cannot go on: {error}"), AGAIN)
    }
}

/// Lets a person edit the config of these places.
///
/// # Errors
/// When there is none, no editor can be started, what was written is not sound and given up, or somebody else changed the file meanwhile.
pub async fn run(places: &Places) -> Result<Exit, Failure> {
    // A link stays a link: what it leads to is replaced.
    let path = fs::canonicalize(&places.config).map_err(|error| {
        Failure::new(Exit::Config, format!("{}: {error} → `mayday init` writes one", places.config.display()))
    })?;
    let before = config::read_file(&path)
        .map_err(|error| Failure::new(Exit::Config, format!("{} cannot be read: {error}", path.display())))?;
    let copy = copy(&path, &before).map_err(|error| {
        let folder = folder(&path).display();
        Failure::failed(format!(
            "no copy can be written in {folder}: {error} → run this as somebody who may write there"
        ))
    })?;
    match rounds(places, copy.path(), &path, &before).await {
        Ok(exit) => Ok(exit),
        Err(stopped) => Err(stopped.told(copy, &before)),
    }
}

/// Edits until what was written is sound, or given up.
async fn rounds(places: &Places, copy: &Path, path: &Path, before: &[u8]) -> Result<Exit, Stopped> {
    loop {
        edit(copy).await?;
        let written = config::read_file(copy)
            .map_err(|error| Stopped::new(Exit::Failed, format!("what was written cannot be read: {error}"), AGAIN))?;
        if written == before {
            println!("Nothing was changed.");
            return Ok(Exit::Ok);
        }
        let wrong = match String::from_utf8(written) {
            Err(_) => "what was written is not text in UTF-8".to_owned(),
            Ok(text) => match config::parse(&text, path, &kinds()).and_then(refuse::sound) {
                Ok(loaded) => {
                    loaded.warnings.iter().for_each(|odd| print!("{}", config::Warning(odd)));
                    return take(places, copy, path, before).await;
                }
                Err(mistakes) => mistakes.to_string(),
            },
        };
        println!("{wrong}; {} is as it was.", path.display());
        match choice().await? {
            Some(true) => {}
            Some(false) => {
                println!("Discarded; {} is as it was.", path.display());
                return Ok(Exit::Config);
            }
            None => {
                let what = "what was written is not valid, and nobody answers";
                let next = format!("fix it there; when it is valid, move it to {}", path.display());
                return Err(Stopped::new(Exit::Config, what, next));
            }
        }
    }
}

/// The folder that a file is in.
fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// A copy beside the file, with its mode. Hidden, so that no `include` takes it.
fn copy(path: &Path, text: &[u8]) -> io::Result<NamedTempFile> {
    let mut copy = tempfile::Builder::new().prefix(".mayday-edit-").suffix(".toml").tempfile_in(folder(path))?;
    copy.write_all(text)?;
    Ok(copy)
}

/// Runs the editor to its end.
async fn edit(path: &Path) -> Result<(), Stopped> {
    let named = ["VISUAL", "EDITOR"].iter().find_map(|name| env::var(name).ok().filter(|it| !it.trim().is_empty()));
    let editor = named.unwrap_or_else(|| "vi".into());
    // Ctrl-C belongs to the editor for as long as it runs.
    let _interrupt = signal(SignalKind::interrupt())?;
    // By a shell, as every program does that reads these variables: they may hold arguments.
    let status = Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("mayday").arg(path).status().await?;
    if status.success() {
        return Ok(());
    }
    // What a shell says of a program that is not there, or is none.
    let next = match status.code() {
        Some(126 | 127) => "set VISUAL or EDITOR to an editor that is here",
        _ => AGAIN,
    };
    Err(Stopped::new(Exit::Failed, format!("the editor ({editor}) ended with {status}, and nothing was changed"), next))
}

/// Whether to edit again; `None` when nobody answers.
async fn choice() -> Result<Option<bool>, Stopped> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    loop {
        print!("e edit again, d discard what was written [e]: ");
        io::stdout().flush()?;
        let read = tokio::task::spawn_blocking(|| {
            let mut line = Vec::new();
            io::stdin().lock().read_until(b'\n', &mut line).map(|_| line)
        });
        let line = tokio::select! {
            read = read => read.map_err(io::Error::other)??,
            _ = tokio::signal::ctrl_c() => Vec::new(),
        };
        match String::from_utf8_lossy(&line).trim() {
            _ if line.is_empty() => {
                println!();
                return Ok(None);
            }
            "" | "e" => return Ok(Some(true)),
            "d" => return Ok(Some(false)),
            _ => {}
        }
    }
}

/// Takes the copy as the config, and says so.
async fn take(places: &Places, copy: &Path, path: &Path, before: &[u8]) -> Result<Exit, Stopped> {
    put(copy, path, before, PATIENCE).await?;
    println!("{} is valid, and taken.", path.display());
    if Client::new(&places.socket).snapshot().await.is_ok() {
        println!("The engine that runs has the one from before → mayday engine reload");
    }
    Ok(Exit::Ok)
}

/// Puts the copy in the place of the config as it was `before`, in one step and with its mode and owner.
async fn put(copy: &Path, path: &Path, before: &[u8], patience: Duration) -> Result<(), Stopped> {
    let _alone = alone(path, patience).await?;
    match config::read_file(path) {
        Ok(now) if now == before => {}
        Ok(_) => {
            let what = "somebody else changed the config meanwhile, and it was left alone";
            return Err(Stopped::new(Exit::Refused, what, format!("{AGAIN}, and make your changes there")));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let what = format!("{} was removed meanwhile", path.display());
            return Err(Stopped::new(Exit::Refused, what, "if it is still wanted, move your text to where it was"));
        }
        Err(error) => {
            let what = format!("{} cannot be read any more: {error}", path.display());
            return Err(Stopped::new(Exit::Refused, what, format!("fix that, then {AGAIN}")));
        }
    }
    replace(copy, path).map_err(|error| {
        let what = format!("{} cannot be replaced: {error}", path.display());
        let next = format!("see who may write in {}, and move your text there as that user", folder(path).display());
        Stopped::new(Exit::Failed, what, next)
    })
}

fn replace(copy: &Path, path: &Path) -> io::Result<()> {
    let was = fs::metadata(path)?;
    // An editor may have put a file of its own in the place of the copy.
    fs::set_permissions(copy, fs::Permissions::from_mode(was.mode() & 0o7777))?;
    let is = fs::metadata(copy)?;
    if (is.uid(), is.gid()) != (was.uid(), was.gid()) {
        chown(copy, Some(was.uid()), Some(was.gid()))?;
    }
    File::open(copy)?.sync_all()?;
    fs::rename(copy, path)
}

/// Keeps other edits from comparing and replacing for as long as the value lives. What is locked is the folder: nothing is left in it.
/// Where the file system locks no folders there is nothing to hold, and what remains is the moment between comparing and replacing.
async fn alone(path: &Path, patience: Duration) -> Result<Option<File>, Stopped> {
    let Ok(folder) = File::open(folder(path)) else { return Ok(None) };
    let held = timeout(patience, async {
        loop {
            match folder.try_lock() {
                Ok(()) => return true,
                Err(TryLockError::WouldBlock) => sleep(Duration::from_millis(20)).await,
                Err(TryLockError::Error(_)) => return false,
            }
        }
    });
    let held = held.await;
    match held {
        Ok(held) => Ok(held.then_some(folder)),
        Err(_) => {
            let what = format!("another edit of {} is being put in place and does not end", path.display());
            Err(Stopped::new(Exit::Refused, what, format!("wait for it, then {AGAIN}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn of_edits_at_once_one_is_taken_and_the_others_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        for round in 0..20 {
            let before = fs::read(&path).unwrap_or_default();
            fs::write(&path, &before).unwrap();
            let edits: Vec<_> = (0..4)
                .map(|number| {
                    let (path, before) = (path.clone(), before.clone());
                    let written = copy(&path, format!("round = {round}\nedit = {number}\n").as_bytes()).unwrap();
                    tokio::spawn(async move {
                        match put(written.path(), &path, &before, PATIENCE).await {
                            Ok(()) => None,
                            Err(stopped) => Some(stopped.told(written, &before)),
                        }
                    })
                })
                .collect();
            let mut taken = 0;
            for edit in edits {
                match edit.await.unwrap() {
                    None => taken += 1,
                    Some(failure) => {
                        assert_eq!(failure.exit, Exit::Refused);
                        let (_, kept) = failure.text.split_once("your text is in ").unwrap();
                        let (kept, _) = kept.split_once(" → ").unwrap();
                        assert!(fs::read_to_string(kept).unwrap().starts_with(&format!("round = {round}\n")));
                    }
                }
            }
            assert_eq!(taken, 1, "in round {round}");
        }
    }

    #[tokio::test]
    async fn an_edit_that_cannot_be_put_in_place_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        let try_it = async || {
            let written = copy(&path, b"mine").unwrap();
            let stopped = put(written.path(), &path, b"before", Duration::from_millis(50)).await.unwrap_err();
            stopped.told(written, b"before").text
        };
        let said = try_it().await;
        assert!(said.contains("was removed meanwhile; your text is in "), "{said}");
        fs::write(&path, "before").unwrap();
        let other = File::open(dir.path()).unwrap();
        other.lock().unwrap();
        let said = try_it().await;
        assert!(said.contains("another edit") && said.contains("your text is in "), "{said}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
    }

    #[tokio::test]
    async fn nothing_is_kept_where_nothing_was_typed() {
        let dir = tempfile::tempdir().unwrap();
        let written = copy(&dir.path().join("config.toml"), b"before").unwrap();
        let said = Stopped::new(Exit::Failed, "no editor", AGAIN).told(written, b"before").text;
        assert_eq!(said, format!("no editor → {AGAIN}"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
