//! Programs whose output is wanted: in a process group of their own, for a limited time and with limited
//! output. One that does not end by itself is ended with all that it started; what an orderly one leaves behind (an agent) is its own.

use std::io::ErrorKind;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::tree::Tree;
use crate::domain::text::clean;

/// How long output is waited for after the program has ended: what it left running may hold the pipe for ever.
const GRACE: Duration = Duration::from_millis(200);
/// A program that complains more than this is ended.
const COMPLAINTS: usize = 1024 * 1024;
/// So much of a complaint is kept.
const LINE: usize = 300;

/// Ends a program with all that it has started, unless it has ended by itself: also when the caller gives up waiting.
pub struct Group(Option<Tree>);

impl Group {
    pub fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Tree::of(i32::try_from(id).ok()?)))
    }

    /// It has ended by itself.
    pub fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(tree) = self.0 {
            tree.end();
        }
    }
}

/// What a program left.
pub struct Left {
    pub status: ExitStatus,
    pub printed: Zeroizing<Vec<u8>>,
    /// The last line of what it complained of; it may hold anything.
    pub complaint: Zeroizing<String>,
}

/// Why there is nothing of a program.
#[derive(Debug, PartialEq, Eq)]
pub enum Lost {
    NotStarted(ErrorKind),
    /// It printed too much, and was killed.
    Flood,
    /// It took too long, and was killed.
    Late,
}

impl Lost {
    pub fn words(&self, patience: Duration) -> String {
        match self {
            Self::NotStarted(kind) => format!("cannot be run: {kind}"),
            Self::Flood => "printed without end, and was killed".into(),
            Self::Late => format!("did not end within {} s, and was killed", patience.as_secs()),
        }
    }
}

/// Runs a program that prints at most `most` bytes, for at most `patience`.
///
/// # Errors
/// When it cannot be started, prints more, or takes longer. Nothing of it runs on then.
pub async fn output(mut command: Command, most: usize, patience: Duration) -> Result<Left, Lost> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| Lost::NotStarted(error.kind()))?;
    let mut group = Group::of(&child);
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (mut printed, mut complaint) = (Zeroizing::new(Vec::with_capacity(most + 1)), Zeroizing::new(Vec::new()));
    let ended = {
        let mut reading =
            pin!(async { tokio::try_join!(take(out, &mut printed, most), last_line(err, &mut complaint)) });
        let running = async {
            tokio::select! {
                status = child.wait() => match timeout(GRACE, &mut reading).await {
                    Ok(Err(flood)) => Err(flood),
                    Ok(Ok(_)) | Err(_) => Ok(status),
                },
                read = &mut reading => match read {
                    Ok(_) => Ok(child.wait().await),
                    Err(flood) => Err(flood),
                },
            }
        };
        timeout(patience, running).await
    };
    let status = match ended {
        Ok(Ok(Ok(status))) => status,
        Ok(Err(flood)) => return Err(flood),
        Ok(Ok(Err(_))) | Err(_) => return Err(Lost::Late),
    };
    group.ended();
    let complaint = Zeroizing::new(clean(String::from_utf8_lossy(&complaint).trim()));
    Ok(Left { status, printed, complaint })
}

async fn take(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>, most: usize) -> Result<(), Lost> {
    let Some(from) = from else { return Ok(()) };
    // A pipe that breaks has nothing more to give.
    let _ = from.take(most as u64 + 1).read_to_end(into).await;
    if into.len() > most { Err(Lost::Flood) } else { Ok(()) }
}

async fn last_line(from: Option<impl AsyncRead + Unpin>, line: &mut Vec<u8>) -> Result<(), Lost> {
    let Some(mut from) = from else { return Ok(()) };
    let (mut buffer, mut total, mut fresh) = ([0; 4096], 0, false);
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        if read == 0 {
            return Ok(());
        }
        total += read;
        if total > COMPLAINTS {
            return Err(Lost::Flood);
        }
        for byte in &buffer[..read] {
            match byte {
                b'\n' => fresh = true,
                byte if byte.is_ascii_whitespace() && (fresh || line.is_empty()) => {}
                byte => {
                    if fresh {
                        line.clear();
                        fresh = false;
                    }
                    if line.len() < LINE {
                        line.push(*byte);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Pid, Signal};

    use super::*;

    async fn sh(script: &str) -> Result<Left, Lost> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        output(command, 1000, Duration::from_secs(20)).await
    }

    #[tokio::test]
    async fn a_program_is_heard_and_its_last_complaint_is_kept() {
        let left = sh("echo one; echo first >&2; echo ' second ' >&2; echo >&2; exit 3").await.unwrap();
        assert_eq!((left.status.code(), left.printed.as_slice()), (Some(3), &b"one\n"[..]));
        assert_eq!(*left.complaint, "second");
        // What holds the pipe on is not waited for.
        let left = sh("sleep 300 & echo $!").await.unwrap();
        let behind = String::from_utf8_lossy(&left.printed).trim().parse().unwrap();
        rustix::process::kill_process(Pid::from_raw(behind).unwrap(), Signal::KILL).unwrap();
    }

    #[tokio::test]
    async fn who_prints_or_complains_without_end_is_ended() {
        for flood in ["yes", "yes >&2", "yes & wait"] {
            assert_eq!(sh(flood).await.err(), Some(Lost::Flood), "{flood}");
        }
        let mut hanging = Command::new("sleep");
        hanging.arg("300");
        assert_eq!(output(hanging, 10, Duration::from_millis(1)).await.err(), Some(Lost::Late));
    }
}
