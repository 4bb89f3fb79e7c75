//! `mayday config edit`: an editor on a copy; only what is sound takes the place of the config.

use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::{env, fs};

use tempfile::NamedTempFile;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::failure::Failure;
use super::kinds;
use super::places::Places;
use crate::api::client::Client;
use crate::cli::exit::Exit;
use crate::config;

/// Lets a person edit the config of these places.
///
/// # Errors
/// When there is none, no editor can be started, what was written is not sound and given up, or somebody else changed the file meanwhile.
pub async fn run(places: &Places) -> Result<Exit, Failure> {
    // A link stays a link: what it leads to is replaced.
    let path = fs::canonicalize(&places.config).map_err(|error| {
        Failure::new(Exit::Config, format!("{}: {error} → `mayday init` writes one", places.config.display()))
    })?;
    let before = fs::read(&path)?;
    let copy = copy(&path, &before)?;
    let mut again = true;
    while again {
        edit(copy.path()).await?;
        let text = fs::read_to_string(copy.path())?;
        if text.as_bytes() == before {
            println!("Nothing was changed.");
            return Ok(Exit::Ok);
        }
        match config::parse(&text, &path, &kinds()) {
            Ok(loaded) => {
                loaded.warnings.iter().for_each(|odd| print!("{}", config::Warning(odd)));
                return take(places, copy, &path, &before).await;
            }
            Err(mistakes) => {
                println!("{mistakes}; {} is as it was.", path.display());
                again = match choice().await? {
                    Some(again) => again,
                    None => return Err(kept(copy, Exit::Config, "what was written is not sound, and nobody answers")?),
                };
            }
        }
    }
    println!("Discarded; {} is as it was.", path.display());
    Ok(Exit::Config)
}

/// A copy beside the file, with its mode. Hidden, so that no `include` takes it.
fn copy(path: &Path, text: &[u8]) -> io::Result<NamedTempFile> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut copy = tempfile::Builder::new().prefix(".mayday-edit-").suffix(".toml").tempfile_in(dir)?;
    copy.write_all(text)?;
    Ok(copy)
}

/// Runs the editor to its end.
async fn edit(path: &Path) -> Result<(), Failure> {
    let named = ["VISUAL", "EDITOR"].iter().find_map(|name| env::var(name).ok().filter(|it| !it.trim().is_empty()));
    let editor = named.unwrap_or_else(|| "vi".into());
    // Ctrl-C belongs to the editor for as long as it runs.
    let _interrupt = signal(SignalKind::interrupt())?;
    // By a shell, as every program does that reads these variables: they may hold arguments.
    let status = Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("mayday").arg(path).status().await?;
    if status.success() {
        return Ok(());
    }
    let text = format!(
        "the editor ({editor}) ended with {status}; nothing was changed → set VISUAL or EDITOR to one that is here"
    );
    Err(Failure::failed(text))
}

/// Whether to edit again; `None` when nobody answers.
async fn choice() -> Result<Option<bool>, Failure> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    loop {
        print!("e edit again, d discard what was written [e]: ");
        io::stdout().flush()?;
        let read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line).map(|count| (count, line))
        });
        let (count, line) = tokio::select! {
            read = read => read.map_err(io::Error::other)??,
            _ = tokio::signal::ctrl_c() => (0, String::new()),
        };
        match line.trim() {
            _ if count == 0 => {
                println!();
                return Ok(None);
            }
            "" | "e" => return Ok(Some(true)),
            "d" => return Ok(Some(false)),
            _ => {}
        }
    }
}

/// Puts the copy in the place of the config, in one step and with its mode and owner.
async fn take(places: &Places, copy: NamedTempFile, path: &Path, before: &[u8]) -> Result<Exit, Failure> {
    if fs::read(path).is_ok_and(|now| now != before) {
        return Err(kept(copy, Exit::Refused, "somebody else changed the config meanwhile, and it was left alone")?);
    }
    let was = fs::metadata(path)?;
    // An editor may have put a file of its own in the place of the copy.
    fs::set_permissions(copy.path(), fs::Permissions::from_mode(was.mode() & 0o7777))?;
    let is = fs::metadata(copy.path())?;
    if (is.uid(), is.gid()) != (was.uid(), was.gid()) {
        chown(copy.path(), Some(was.uid()), Some(was.gid()))?;
    }
    fs::File::open(copy.path())?.sync_all()?;
    fs::rename(copy.path(), path)?;
    println!("{} is sound, and taken.", path.display());
    if Client::new(&places.socket).snapshot().await.is_ok() {
        println!("The engine that runs has the one from before → mayday engine reload");
    }
    Ok(Exit::Ok)
}

/// Keeps what was written, and says where.
fn kept(copy: NamedTempFile, exit: Exit, why: &str) -> io::Result<Failure> {
    let (_, path): (_, PathBuf) = copy.keep().map_err(|error| error.error)?;
    Ok(Failure::new(exit, format!("{why}; it is kept in {}", path.display())))
}
