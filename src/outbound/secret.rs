//! Secrets: read from where the config says they are kept, when they are used, and kept out of everything that is written down.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{Instant, timeout};
use zeroize::Zeroizing;

use super::apart::{self, Flight};
use super::child;
use crate::domain::params::SecretRef;
use crate::domain::system::Fault;

/// How long a file or a command may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// For how long a secret that was read is used.
const FRESH: Duration = Duration::from_secs(60);
/// For how long a secret is waited for that is read anew while the last one would do.
const ANEW: Duration = Duration::from_millis(500);
/// How soon that is tried again when it failed.
const AGAIN: Duration = Duration::from_secs(10);
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
    // A command is ended by itself, so that its end can be told.
    let found = match timeout(PATIENCE + Duration::from_secs(1), fetch(place)).await {
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
    held: Held,
    /// When it could not be read for the last time, and why: a program that fails is not begun at every look.
    failed: Arc<Mutex<Option<(Instant, Fault)>>>,
    reading: Flight<Result<Secret, Fault>>,
}

type Held = Arc<Mutex<Option<(Instant, Secret)>>>;

impl Keep {
    pub fn new(place: Option<SecretRef>) -> Self {
        Self { place, held: Held::default(), failed: Arc::default(), reading: Flight::default() }
    }

    /// Whether there is a secret to read.
    pub fn is_some(&self) -> bool {
        self.place.is_some()
    }

    /// # Errors
    /// As [`read`], when it was never read.
    pub async fn read(&self, system: &str) -> Result<Option<Secret>, Fault> {
        let Some(place) = &self.place else { return Ok(None) };
        let last = match &*lock(&self.held) {
            Some((since, secret)) if since.elapsed() < FRESH => return Ok(Some(secret.clone())),
            held => held.as_ref().map(|(_, secret)| secret.clone()),
        };
        if last.is_none()
            && let Some(fault) = self.failed_lately()
        {
            return Err(fault);
        }
        let reading = self.reading.join(|landing| {
            let (place, system) = (place.clone(), system.to_owned());
            let (held, failed) = (self.held.clone(), self.failed.clone());
            tokio::spawn(async move {
                let found = read(&place, &system).await;
                keep(&held, &found);
                let why = found.as_ref().err().filter(|_| matches!(place, SecretRef::Command(_)));
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = why.map(|why| (Instant::now(), why.clone()));
                landing.send_replace(Some(found));
            });
        });
        let found = match last {
            // Nobody waits for a rotation: what is read later serves the next one.
            Some(last) => {
                return Ok(Some(timeout(ANEW, reading).await.ok().flatten().and_then(Result::ok).unwrap_or(last)));
            }
            None => reading.await,
        };
        let broken = || Fault::transient(system, format!("{} could not be read: Mayday has no room", name(place)));
        found.unwrap_or_else(|| Err(broken())).map(Some)
    }
}

impl Keep {
    /// Why its program failed a moment ago, if it did.
    fn failed_lately(&self) -> Option<Fault> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.as_ref().filter(|(at, _)| at.elapsed() < AGAIN).map(|(_, fault)| fault.clone())
    }
}

fn lock(held: &Held) -> std::sync::MutexGuard<'_, Option<(Instant, Secret)>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps what was found; what was not found is looked for again a while later.
fn keep(held: &Held, found: &Result<Secret, Fault>) {
    let mut held = lock(held);
    match (found, &mut *held) {
        (Ok(secret), _) => *held = Some((Instant::now(), secret.clone())),
        (Err(fault), Some((since, _))) => {
            tracing::warn!(%fault, "the last one that was read serves on");
            *since = Instant::now().checked_sub(FRESH - AGAIN).unwrap_or(*since);
        }
        (Err(_), None) => {}
    }
}

async fn fetch(place: &SecretRef) -> Result<Zeroizing<Vec<u8>>, String> {
    match place {
        SecretRef::Env(variable) => {
            let value = std::env::var(variable).map_err(|_| format!("{} is not set", name(place)))?;
            Ok(Zeroizing::new(value.into()))
        }
        SecretRef::File(path) => match apart::file(path.as_ref(), LONGEST).await {
            Ok(bytes) => Ok(Zeroizing::new(bytes.to_vec())),
            Err(kind) => Err(format!("{} cannot be read: {kind}", name(place))),
        },
        SecretRef::Command(words) => run(words).await,
    }
}

async fn run(words: &[String]) -> Result<Zeroizing<Vec<u8>>, String> {
    let (program, arguments) = words.split_first().ok_or("the command that prints the secret is empty")?;
    let mut command = Command::new(program);
    command.args(arguments);
    let left = child::output(command, LONGEST, PATIENCE).await;
    let left = left.map_err(|lost| format!("`{program}` {}", lost.words(PATIENCE)))?;
    if left.status.success() { Ok(left.printed) } else { Err(format!("`{program}` failed ({})", left.status)) }
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
        *lock(&keep.held) = Some((Instant::now() - FRESH, Secret::new("hunter5")));
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
        let flood = read(&command(&["yes", "hunter2"]), "db").await.unwrap_err();
        assert!(flood.what.contains("printed without end") && !flood.to_string().contains("hunter2"), "{flood}");
    }
}
