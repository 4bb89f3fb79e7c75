//! Secrets: read from where the config says they are kept, when they are used, and kept out of everything that is written down.

use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

use crate::domain::params::SecretRef;
use crate::domain::system::Fault;

/// How long a file or a command may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// For how long a secret that was read is used.
const FRESH: Duration = Duration::from_secs(60);
/// More than this is no secret but somebody's log.
const LONGEST: usize = 64 * 1024;

/// A secret. Its `Debug` tells nothing, and its memory is wiped when it goes.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }
    /// The value itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Reads the secret that `system` needs. White space around it is dropped.
///
/// # Errors
/// When it is not there, is empty, or takes longer than five seconds. The fault names the place, never the value, and nothing that a
/// command printed.
pub async fn read(place: &SecretRef, system: &str) -> Result<Secret, Fault> {
    let fault = |what: String| {
        Fault::permanent(system, what)
            .means("nobody can log in to it without this secret")
            .next(format!("give the secret its place: {}", hint(place)))
    };
    let found = match timeout(PATIENCE, fetch(place)).await {
        Ok(found) => found.map_err(fault)?,
        Err(_) => return Err(fault(format!("{} gave no secret within {} s", name(place), PATIENCE.as_secs()))),
    };
    let text = std::str::from_utf8(&found).map_err(|_| fault(format!("{} is not text", name(place))))?.trim();
    match text.len() {
        0 => Err(fault(format!("{} is empty", name(place)))),
        1..=LONGEST => Ok(Secret::new(text)),
        _ => Err(fault(format!("{} is longer than {LONGEST} bytes", name(place)))),
    }
}

/// Reads the secret if there is one to read.
///
/// # Errors
/// As [`read`].
pub async fn read_opt(place: Option<&SecretRef>, system: &str) -> Result<Option<Secret>, Fault> {
    match place {
        Some(place) => read(place, system).await.map(Some),
        None => Ok(None),
    }
}

/// A secret that is used again and again. It is read anew after a minute: often enough to follow a rotation, and not once a probe. When
/// it cannot be read any more, the last one serves on: what keeps the secrets may be down with the region.
pub struct Keep {
    place: Option<SecretRef>,
    held: Mutex<Option<(Instant, Secret)>>,
}

impl Keep {
    pub fn new(place: Option<SecretRef>) -> Self {
        Self { place, held: Mutex::new(None) }
    }

    /// Whether there is a secret to read.
    pub fn is_some(&self) -> bool {
        self.place.is_some()
    }

    /// # Errors
    /// As [`read`], when it was never read.
    pub async fn read(&self, system: &str) -> Result<Option<Secret>, Fault> {
        let Some(place) = &self.place else { return Ok(None) };
        let mut held = self.held.lock().await;
        if let Some((since, secret)) = &*held
            && since.elapsed() < FRESH
        {
            return Ok(Some(secret.clone()));
        }
        let secret = match (read(place, system).await, held.take()) {
            (Ok(secret), _) => secret,
            (Err(fault), Some((_, last))) => {
                tracing::warn!(%fault, "the last one that was read serves on");
                last
            }
            (Err(fault), None) => return Err(fault),
        };
        *held = Some((Instant::now(), secret.clone()));
        Ok(Some(secret))
    }
}

async fn fetch(place: &SecretRef) -> Result<Zeroizing<Vec<u8>>, String> {
    let bytes = match place {
        SecretRef::Env(variable) => std::env::var(variable).map_err(|_| format!("{} is not set", name(place)))?.into(),
        SecretRef::File(path) => {
            tokio::fs::read(path).await.map_err(|error| format!("{} cannot be read: {}", name(place), error.kind()))?
        }
        SecretRef::Command(words) => run(words).await?,
    };
    Ok(Zeroizing::new(bytes))
}

async fn run(words: &[String]) -> Result<Vec<u8>, String> {
    let (program, arguments) = words.split_first().ok_or("the command that prints the secret is empty")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|error| format!("`{program}` cannot be run: {}", error.kind()))?;
    let printed = Zeroizing::new(output.stdout);
    if output.status.success() { Ok(printed.to_vec()) } else { Err(format!("`{program}` failed ({})", output.status)) }
}

/// What the place is called. Arguments of a command stay out: people put secrets there.
fn name(place: &SecretRef) -> String {
    match place {
        SecretRef::Env(variable) => format!("the environment variable {variable}"),
        SecretRef::File(path) => format!("the secret file {path}"),
        SecretRef::Command(words) => format!("the secret command `{}`", words.first().map_or("", String::as_str)),
    }
}

fn hint(place: &SecretRef) -> String {
    match place {
        SecretRef::Env(variable) => format!("set {variable} where the engine starts, and restart it"),
        SecretRef::File(path) => format!("`ls -l {path}`, as the user of the engine"),
        SecretRef::Command(words) => {
            format!("run `{}` by hand, as the user of the engine", words.first().map_or("", String::as_str))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> SecretRef {
        SecretRef::Command(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[tokio::test]
    async fn a_secret_is_read_and_never_shown() {
        let secret = read(&command(&["printf", " hunter2\n"]), "db").await.unwrap();
        assert_eq!(secret.expose(), "hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));

        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter3\n").unwrap();
        let place = SecretRef::File(file.path().display().to_string());
        assert_eq!(read(&place, "db").await.unwrap().expose(), "hunter3");
    }

    #[tokio::test]
    async fn a_secret_in_use_is_not_read_again_at_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hunter4").unwrap();
        let keep = Keep::new(Some(SecretRef::File(file.path().display().to_string())));
        assert_eq!(keep.read("db").await.unwrap().unwrap().expose(), "hunter4");
        drop(file);
        assert_eq!(keep.read("db").await.unwrap().unwrap().expose(), "hunter4", "it was read again");
        // As after a minute: it cannot be read any more.
        *keep.held.lock().await = Some((Instant::now() - FRESH, Secret::new("hunter5")));
        assert_eq!(keep.read("db").await.unwrap().unwrap().expose(), "hunter5", "the last one serves on");
        assert!(Keep::new(None).read("db").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_failure_names_the_place_and_not_the_value() {
        let failing = command(&["sh", "-c", "echo hunter2; echo hunter2 >&2; exit 3"]);
        for place in [failing, command(&["/nowhere/hunter", "hunter2"]), command(&[])] {
            let fault = read(&place, "db").await.unwrap_err();
            assert!(!format!("{fault} {fault:?}").contains("hunter2"), "{fault}");
        }
        let missing = read(&SecretRef::Env("MAYDAY_NO_SUCH_SECRET".into()), "db").await.unwrap_err();
        assert!(missing.to_string().contains("MAYDAY_NO_SUCH_SECRET"), "{missing}");
        assert!(read(&command(&["true"]), "db").await.is_err(), "an empty secret was taken");
    }
}
