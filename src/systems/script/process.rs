//! Runs a command without a shell, kept by a process of its own, so that all of it can be ended.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::environment::passed;
use super::keeper::{self, By, Told};
use crate::domain::process::Process;
use crate::domain::text::clean;
use crate::outbound::redact;
use crate::outbound::secret::Secret;
use crate::outbound::tree::{Tree, identity};
use crate::systems::shell::quoted;

/// A line is cut here.
const LONGEST: usize = 4096;
/// How long output is waited for after the program has ended: what it left running may hold the pipe for ever.
const GRACE: Duration = Duration::from_millis(200);

/// How a command ended.
pub enum Ended {
    /// With this code, or by a signal.
    Exited(Result<i32, i32>),
    /// It took too long, and was killed with all that it had started.
    Killed,
    /// Its keeper was ended by somebody: what it still does is not in sight.
    Unkept,
}

impl Ended {
    pub fn words(&self) -> String {
        match self {
            Self::Exited(Ok(code)) => format!("exited with {code}"),
            Self::Exited(Err(signal)) => format!("was ended by signal {signal}"),
            Self::Killed => "took too long and was killed, with all that it had started".into(),
            Self::Unkept => "lost the process that keeps it: nothing tells whether it still runs".into(),
        }
    }
}

/// As one would type it.
pub fn typed(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// Ends it with all that it has started, unless it has ended by itself: also when the caller gives up waiting.
struct Lease(Option<Tree>);

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(tree) = self.0 {
            tree.end();
        }
    }
}

/// What is around a command.
#[derive(Default)]
pub struct Around {
    /// What Mayday itself says.
    pub own: BTreeMap<&'static str, String>,
    /// The variables of the engine that it gets by their names, and nothing else.
    pub only: Option<Vec<String>>,
    /// Where it is run.
    pub cwd: Option<String>,
    pub secret: Option<(Secret, By)>,
}

/// A command behind a gate: it has done nothing, and never will unless it is let [`go`](Self::go).
pub struct Waiting {
    /// Dropped first: without its keeper, orphans would get away.
    lease: Lease,
    child: Child,
    /// Our end of what its keeper has for its standard input.
    gate: UnixStream,
    /// What is said to open it.
    word: Zeroizing<Vec<u8>>,
    /// What is taken out of what it prints.
    secret: Option<Secret>,
    program: String,
}

impl Waiting {
    /// Starts what will become `words`.
    ///
    /// # Errors
    /// When it cannot be started: then nothing happened.
    pub fn start(words: &[String], around: &Around) -> Result<Self, String> {
        let program = clean(words.first().ok_or("the command is empty")?);
        let cannot = |error: std::io::Error| format!("`{program}` cannot be started: {}", error.kind());
        let (ours, its) = std::os::unix::net::UnixStream::pair().map_err(cannot)?;
        ours.set_nonblocking(true).map_err(cannot)?;
        let gate = UnixStream::from_std(ours).map_err(cannot)?;
        let secret = around.secret.as_ref().map(|(secret, by)| (secret.expose(), *by));
        let word = keeper::word(secret)?;
        let mut command = keeper::command(words, secret.is_some());
        command.env_clear().envs(passed(around.only.as_deref())).envs(&around.own).kill_on_drop(true);
        if let Some(cwd) = &around.cwd {
            command.current_dir(cwd);
        }
        command.stdin(OwnedFd::from(its)).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(cannot)?;
        let lease = Lease(pid(&child).and_then(Tree::of));
        let secret = around.secret.as_ref().map(|(secret, _)| secret.clone());
        Ok(Self { lease, child, gate, word, secret, program })
    }

    /// By what it can be known again; `None` where the system does not tell.
    pub fn process(&self) -> Option<Process> {
        pid(&self.child).and_then(identity)
    }

    /// Lets it do its work for at most `patience`, and hands on every line that it prints, without its secret.
    ///
    /// # Errors
    /// When the command cannot be started: then nothing happened.
    pub async fn go(mut self, patience: Duration, line: &(dyn Fn(&str) + Send + Sync)) -> Result<Ended, String> {
        let (out, err) = (self.child.stdout.take(), self.child.stderr.take());
        let secret = self.secret.take();
        let mut reading =
            pin!(async { tokio::join!(lines(out, secret.as_ref(), line), lines(err, secret.as_ref(), line)) });
        let (child, gate, word) = (&mut self.child, &mut self.gate, &self.word);
        let running = async {
            // One that has ended already says so by its exit code.
            let _ = gate.write_all(word).await;
            // Where a shell stands at the gate, the secret ends here.
            let _ = if keeper::keeps() { Ok(()) } else { gate.shutdown().await };
            tokio::select! {
                status = child.wait() => {
                    let _ = timeout(GRACE, &mut reading).await;
                    status
                }
                _ = &mut reading => child.wait().await,
            }
        };
        let Ok(Ok(status)) = timeout(patience, running).await else {
            // The lease ends it.
            return Ok(Ended::Killed);
        };
        let told = told(&self.gate);
        if told.is_none() && keeper::keeps() {
            // The lease ends what of it can still be found.
            return Ok(Ended::Unkept);
        }
        self.lease.0 = None;
        match told {
            Some(Told::Exited(code)) => Ok(Ended::Exited(Ok(code))),
            Some(Told::Signalled(signal)) => Ok(Ended::Exited(Err(signal))),
            Some(Told::Unstarted(why)) => Err(format!("`{}` cannot be started: {why}", self.program)),
            None => Ok(Ended::Exited(code(status))),
        }
    }
}

/// Runs `words` for at most `patience`, and hands on every line that it prints.
///
/// # Errors
/// When it cannot be started: then nothing happened.
pub async fn run(
    words: &[String],
    around: &Around,
    patience: Duration,
    line: &(dyn Fn(&str) + Send + Sync),
) -> Result<Ended, String> {
    Waiting::start(words, around)?.go(patience, line).await
}

fn pid(child: &Child) -> Option<i32> {
    child.id().and_then(|id| i32::try_from(id).ok())
}

/// What a keeper that has ended left in the socket: one line, which is there as a whole or not at all.
fn told(gate: &UnixStream) -> Option<Told> {
    let mut buffer = [0; 256];
    let read = rustix::io::read(gate, &mut buffer).ok()?;
    Told::parse(&String::from_utf8_lossy(&buffer[..read]))
}

fn code(status: ExitStatus) -> Result<i32, i32> {
    status.code().ok_or_else(|| status.signal().unwrap_or_default())
}

/// A secret may come back so many times as long as it is, written for a URL.
const WIDEST: usize = 3;

/// Hands on what comes, line by line. A long line is cut, but not through a secret: that has to be seen as a whole to be known.
async fn lines(from: Option<impl AsyncRead + Unpin>, secret: Option<&Secret>, line: &(dyn Fn(&str) + Send + Sync)) {
    let Some(mut from) = from else { return };
    let whole = secret.map_or(0, |secret| secret.expose().len() * WIDEST);
    let bare = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        match secret {
            Some(secret) => redact::text(text.trim_end(), secret.expose()),
            None => text.trim_end().to_owned(),
        }
    };
    let (mut buffer, mut held) = ([0; 4096], Vec::new());
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        held.extend_from_slice(&buffer[..read]);
        while let Some(end) = held.iter().position(|byte| *byte == b'\n') {
            let rest = held.split_off(end + 1);
            line(&bare(&held));
            held = rest;
        }
        if read == 0 && !held.is_empty() {
            line(&bare(&held));
            return;
        }
        if held.len() > LONGEST + whole {
            let text = bare(&held);
            let (first, rest) = text.split_at(text.floor_char_boundary(text.len().saturating_sub(whole)));
            if !first.is_empty() {
                line(first);
            }
            held = rest.as_bytes().to_vec();
        }
        if read == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    async fn printed(script: &str, secret: &str) -> Vec<String> {
        let all = Mutex::new(Vec::new());
        let keep = |line: &str| all.lock().unwrap().push(line.to_owned());
        let around = Around { secret: Some((Secret::new(secret), By::Stdin)), ..Around::default() };
        let words = ["sh", "-c", script].map(str::to_owned);
        run(&words, &around, Duration::from_secs(20), &keep).await.unwrap();
        all.into_inner().unwrap()
    }

    #[tokio::test]
    async fn a_secret_does_not_come_back_in_pieces() {
        let secret = "first-line-of-it\nsecond-line-of-it";
        for before in [0, 4080, 4090, 8180, 20_000] {
            let script = format!(
                "read -r a; head -c {before} /dev/zero | tr '\\0' x; printf '%s and on\\n' \"$a\"; cat; echo; echo end"
            );
            let all = printed(&script, secret).await;
            let text = all.concat();
            assert!(all.last().is_some_and(|line| line == "end"), "{before}: {all:?}");
            assert_eq!(text.matches('x').count(), before, "nothing else is lost");
            assert!(!text.contains("line-of-it") && !text.contains("first-") && !text.contains("second-"), "{before}");
        }
    }
}
