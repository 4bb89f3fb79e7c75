//! Who stands between the engine and a command of the operator's: this same program, as a process of its own.
//!
//! - It waits at a gate until the engine has journalled which process it is. An engine that dies before that leaves nothing that has run.
//! - It takes in the orphans of all that the command starts, so that the whole of it can be ended: a session of its own is no way out.
//! - It outlives the engine, and the command with it, whose output goes on being read. As long as the keeper lives, the command does.
//!
//! It shares a socket with the engine as its standard input: in comes the word that opens the gate, with a secret for the command if there
//! is one, and out goes a line, how it ended.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, setsid, wait};
use zeroize::Zeroizing;

use crate::outbound::tree::{MARK, mark};

/// By this name the program knows that it is a keeper.
const NAME: &str = "mayday-script";
/// What opens the gate.
pub const GO: &[u8] = b"go\n";
/// The exit code of a keeper that was never let through, and of one whose command cannot be started.
const UNBEGUN: u8 = 125;
/// How long output is waited for after the command has ended: what it left running may hold the pipe for ever.
const GRACE: Duration = Duration::from_secs(1);
/// Where there is no keeper, a shell stands at the gate. What comes after the word is the command's standard input.
const GATE: &str = r#"read -r go || exit 125; exec "$@" </dev/null"#;
const GATE_WITH_SECRET: &str = r#"read -r go || exit 125; exec "$@""#;
/// What stands behind the word: nothing, or a secret by either way, and how long it is.
const NOTHING: u8 = b'-';
const STDIN: u8 = b's';
const DESCRIPTOR: u8 = b'd';
/// The command's variable with the path that it can read its secret from.
const SECRET: &str = "MAYDAY_SECRET";
/// So much a pipe holds that nobody reads yet.
const LONGEST: usize = 64 * 1024;

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Commands are kept by `program` from now on, which begins with [`main`]. Without one, a shell opens the gate and nobody takes in
/// orphans: that is for programs that are not Mayday, such as its own tests.
pub fn keep_by(program: impl Into<PathBuf>) {
    // The first one that is named stays.
    let _ = PROGRAM.set(program.into());
}

/// Whether there is a keeper.
pub(super) fn keeps() -> bool {
    PROGRAM.get().is_some()
}

/// What opens the gate.
///
/// # Errors
/// When the secret cannot be handed over so.
pub(super) fn word(secret: Option<(&str, By)>) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut word = Zeroizing::new(GO.to_vec());
    let (kind, text) = match secret {
        None => (NOTHING, ""),
        Some((text, By::Stdin)) => (STDIN, text),
        Some((_, By::Descriptor)) if !keeps() => return Err("there is nobody who could hand over a descriptor".into()),
        Some((text, By::Descriptor)) => (DESCRIPTOR, text),
    };
    if text.len() > LONGEST {
        return Err(format!("the secret is longer than {LONGEST} bytes"));
    }
    if keeps() {
        word.push(kind);
        word.extend(u32::try_from(text.len()).unwrap_or_default().to_be_bytes());
    }
    word.extend(text.as_bytes());
    Ok(word)
}

/// What starts `words` behind the gate.
pub(super) fn command(words: &[String], secret: bool) -> tokio::process::Command {
    let mut command = match PROGRAM.get() {
        Some(program) => {
            let mut command = Command::new(program);
            command.arg0(NAME);
            command
        }
        None => {
            let mut command = Command::new("sh");
            command.args(["-c", if secret { GATE_WITH_SECRET } else { GATE }, NAME]).process_group(0);
            command
        }
    };
    command.args(words);
    command.into()
}

/// The life of a keeper, if this process was started as one; to be called before anything else.
pub fn main() -> Option<ExitCode> {
    let mut words = std::env::args_os();
    (words.next()? == NAME).then(|| ExitCode::from(keep(words.collect())))
}

fn keep(words: Vec<OsString>) -> u8 {
    // Of its own session, so that no terminal's signals reach it. Where the system refuses one of these, what is started can still be
    // ended as far as it stays in sight.
    let _ = setsid();
    let _ = set_child_subreaper(Some(getpid()));
    let mut line = [0; GO.len()];
    if std::io::stdin().read_exact(&mut line).is_err() || line != GO {
        return UNBEGUN;
    }
    let Some((program, arguments)) = words.split_first() else { return UNBEGUN };
    let Some((stdin, descriptor)) = handed() else { return UNBEGUN };
    let mut command = Command::new(program);
    if let Some(descriptor) = &descriptor {
        command.env(SECRET, format!("/dev/fd/{}", descriptor.as_raw_fd()));
    }
    command.envs(mark(getpid().as_raw_nonzero().get()).map(|mark| (MARK, mark)));
    command.args(arguments).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            tell(&format!("unstarted {}", error.kind()));
            return UNBEGUN;
        }
    };
    // It is the command's alone.
    drop(descriptor);
    let (done, both) = channel();
    pump(child.stdout.take(), std::io::stdout(), done.clone());
    pump(child.stderr.take(), std::io::stderr(), done);
    let (said, code) = outlast(i32::try_from(child.id()).ok().and_then(Pid::from_raw));
    if code != 0 {
        // What it left behind may do its work yet: until that is over, nobody begins it again. What a success leaves is a service.
        outlive();
    }
    let until = Instant::now() + GRACE;
    for _ in 0..2 {
        if both.recv_timeout(until.saturating_duration_since(Instant::now())).is_err() {
            break;
        }
    }
    tell(&said);
    code
}

/// The standard input of the command, and the descriptor that it gets besides: `None` where the engine did not say.
fn handed() -> Option<(Stdio, Option<OwnedFd>)> {
    let (mut head, mut input) = ([0; 5], std::io::stdin());
    input.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let mut secret = Zeroizing::new(vec![0; length.min(LONGEST)]);
    input.read_exact(&mut secret).ok()?;
    if head[0] == NOTHING {
        return Some((Stdio::null(), None));
    }
    let (reader, mut writer) = std::io::pipe().ok()?;
    writer.write_all(&secret).ok()?;
    match head[0] {
        STDIN => Some((reader.into(), None)),
        DESCRIPTOR => {
            // This one, and no other, outlives the start of the command.
            rustix::io::fcntl_setfd(&reader, rustix::io::FdFlags::empty()).ok()?;
            Some((Stdio::null(), Some(reader.into())))
        }
        _ => None,
    }
}

/// Waits until the command has ended, and lays all others to rest that end meanwhile. All children of a keeper are its command's doing.
fn outlast(command: Option<Pid>) -> (String, u8) {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if Some(pid) == command => {
                let signal = status.terminating_signal().unwrap_or_default();
                return match status.exit_status() {
                    Some(code) => (format!("exited {code}"), u8::try_from(code).unwrap_or(UNBEGUN)),
                    None => (format!("signalled {signal}"), u8::try_from(128 + signal).unwrap_or(UNBEGUN)),
                };
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return (format!("lost {error}"), UNBEGUN),
        }
    }
}

/// Waits until nothing is left of what the command has started, whatever session it went to.
fn outlive() {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(_) | Err(Errno::INTR) => {}
            // There is nobody left.
            Err(_) => return,
        }
    }
}

/// Hands output on, and goes on reading when nobody is there any more to hand it to: the command must not feel that the engine died.
fn pump(from: Option<impl Read + Send + 'static>, mut to: impl Write + Send + 'static, done: Sender<()>) {
    let Some(mut from) = from else { return };
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            // Nobody reads any more.
            let _ = to.write_all(&buffer[..read]).and_then(|()| to.flush());
        }
        let _ = done.send(());
    });
}

/// Says to the engine how it went, if there is still one.
fn tell(words: &str) {
    let line = format!("{words}\n");
    // An engine that is gone looks at what was done instead.
    let _ = rustix::io::write(std::io::stdin(), line.as_bytes());
}

/// How it went, as a keeper told it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    Exited(i32),
    Signalled(i32),
    Unstarted(String),
}

impl Told {
    /// `None` when nothing was told: there was no keeper, or it was ended itself.
    pub fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.trim_end().split_once(' ')?;
        match word {
            "exited" => rest.parse().ok().map(Self::Exited),
            "signalled" => rest.parse().ok().map(Self::Signalled),
            "unstarted" => Some(Self::Unstarted(rest.to_owned())),
            _ => None,
        }
    }
}

/// How a command gets its secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// As its standard input, to the end.
    Stdin,
    /// By a file descriptor: `$MAYDAY_SECRET` is the path that it can be read from, once.
    Descriptor,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_keeper_tells_is_understood() {
        assert_eq!(Told::parse("exited 75\n"), Some(Told::Exited(75)));
        assert_eq!(Told::parse("signalled 9\n"), Some(Told::Signalled(9)));
        assert_eq!(Told::parse("unstarted entity not found\n"), Some(Told::Unstarted("entity not found".into())));
        assert_eq!(Told::parse(""), None);
        assert_eq!(Told::parse("lost it\n"), None);
    }
}
