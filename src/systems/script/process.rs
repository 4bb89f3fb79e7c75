//! Runs a command without a shell, in a process group of its own, so that all of it can be ended.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

use super::environment::passed;
use crate::domain::text::clean;
use crate::systems::shell::quoted;

/// A line is cut here.
const LONGEST: usize = 4096;
/// How long output is waited for after the program has ended: what it left running may hold the pipe for ever.
const GRACE: Duration = Duration::from_millis(200);

/// How a command ended.
pub enum Ended {
    /// With this code, or by a signal.
    Exited(Result<i32, i32>),
    /// It took too long; its whole group was killed.
    Killed,
}

impl Ended {
    pub fn words(&self) -> String {
        match self {
            Self::Exited(Ok(code)) => format!("exited with {code}"),
            Self::Exited(Err(signal)) => format!("was ended by signal {signal}"),
            Self::Killed => "took too long and was killed, with all that it had started".into(),
        }
    }
}

/// As one would type it.
pub fn typed(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// Kills the group unless the program has ended by itself: also when the caller gives up waiting.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // An error means that nobody is left in it.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Runs `words` for at most `patience`, and hands on every line that it prints.
///
/// # Errors
/// When it cannot be started: then nothing happened.
pub async fn run(
    words: &[String],
    environment: &BTreeMap<&'static str, String>,
    patience: Duration,
    line: &(dyn Fn(&str) + Send + Sync),
) -> Result<Ended, String> {
    let (program, arguments) = words.split_first().ok_or("the command is empty")?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(passed()).envs(environment).process_group(0).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().map_err(|error| format!("`{}` cannot be started: {}", clean(program), error.kind()))?;
    let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let mut reading = pin!(async { tokio::join!(lines(out, line), lines(err, line)) });
    let running = async {
        tokio::select! {
            status = child.wait() => {
                let _ = timeout(GRACE, &mut reading).await;
                status
            }
            _ = &mut reading => child.wait().await,
        }
    };
    match timeout(patience, running).await {
        Ok(Ok(status)) => {
            group.0 = None;
            Ok(Ended::Exited(code(status)))
        }
        // It was started, and it cannot be told how it ended: the group goes.
        Ok(Err(_)) | Err(_) => Ok(Ended::Killed),
    }
}

fn code(status: ExitStatus) -> Result<i32, i32> {
    status.code().ok_or_else(|| status.signal().unwrap_or_default())
}

async fn lines(from: Option<impl AsyncRead + Unpin>, line: &(dyn Fn(&str) + Send + Sync)) {
    let Some(mut from) = from else { return };
    let (mut buffer, mut held) = ([0; 4096], Vec::new());
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        held.extend_from_slice(&buffer[..read]);
        while let Some(end) = held.iter().position(|byte| *byte == b'\n') {
            let rest = held.split_off(end + 1);
            line(String::from_utf8_lossy(&held).trim_end());
            held = rest;
        }
        if held.len() > LONGEST || (read == 0 && !held.is_empty()) {
            line(String::from_utf8_lossy(&held).trim_end());
            held.clear();
        }
        if read == 0 {
            return;
        }
    }
}
