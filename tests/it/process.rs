//! The real program in processes of its own, in a home of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use mayday::api::client::Client;
use mayday::lab::{Lab, estate};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::common::eventually;

/// How long a command may take: only a bound for a test that fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// An estate with next to nothing in it: what it has stays unknown, so that nothing happens by itself.
pub const EMPTY: &str = r#"
[estate]
name = "Empty"

[objectives.rto]
critical = "5m"
standard = "15m"
platform = "30m"

[objectives.rpo]

[[service]]
id = "nothing"
tier = "standard"

[[service.probe]]
kind = "script.run"
command = ["/nonexistent"]
every = "1h"
region = "us-west-2"

[[region]]
id = "us-east-1"
role = "primary"

[[region]]
id = "us-west-2"
role = "standby"
"#;

/// Probes that look so often, wait as long, and find nothing slow.
pub fn unhurried(config: &mut toml::Table, every: &str) {
    for name in ["every", "timeout"] {
        config["probe"].as_table_mut().unwrap().insert(name.into(), every.into());
    }
    for region in config["region"].as_array_mut().unwrap() {
        for probe in region["probe"].as_array_mut().unwrap() {
            probe.as_table_mut().unwrap().remove("slow");
        }
    }
}

/// An authority that nobody shows anything of.
const STRANGER: &str = "stranger.pem";

/// By how many seconds the wall clock is off.
const WALL: &str = "wall-clock";

/// The config and the state directory of an engine. An engine that was started in the background ends with it.
pub struct Home(TempDir);

impl Home {
    pub fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.toml"), config).unwrap();
        let stranger = rcgen::generate_simple_self_signed(["stranger.example".to_owned()]).unwrap();
        fs::write(dir.path().join(STRANGER), stranger.cert.pem()).unwrap();
        Self(dir)
    }

    /// With the lab's estate.
    pub fn of(lab: &Lab) -> Self {
        Self::new(&estate::config_for(&lab.endpoints, lab.world.pace).unwrap())
    }

    /// With the lab's estate, and probes that look rarely and wait long: where nothing has to be detected, a busy machine must not make
    /// anything look broken.
    pub fn patient(lab: &Lab) -> Self {
        let mut config: toml::Table = estate::config_for(&lab.endpoints, lab.world.pace).unwrap().parse().unwrap();
        unhurried(&mut config, "5s");
        config["probe"].as_table_mut().unwrap().insert("rise".into(), 1.into());
        for (name, every) in [("survey_every", "1s"), ("backups_every", "10s")] {
            config["policy"].as_table_mut().unwrap().insert(name.into(), every.into());
        }
        Self::new(&config.to_string())
    }

    /// The wall clock of the engines of this home is so many seconds off from now on.
    pub fn set_clock(&self, off: f64) {
        // At once, or not at all: it is read at any time.
        let draft = self.dir().join("wall-clock.draft");
        fs::write(&draft, off.to_string()).unwrap();
        fs::rename(draft, self.dir().join(WALL)).unwrap();
    }

    pub fn dir(&self) -> &Path {
        self.0.path()
    }

    pub fn state(&self) -> PathBuf {
        self.dir().join("state")
    }

    pub fn socket(&self) -> PathBuf {
        self.state().join("engine.sock")
    }

    pub fn client(&self) -> Client {
        Client::new(self.socket())
    }

    /// `mayday` in this home; `words` are separated by blanks.
    pub fn mayday(&self, words: &str) -> Command {
        self.wrapped(Command::new(env!("CARGO_BIN_EXE_mayday")), words)
    }

    /// The same, begun by a shell with words that end in `exec` something.
    pub fn mayday_after(&self, first: &str, words: &str) -> Command {
        let mut shell = Command::new("bash");
        shell.arg("-c").arg(format!("{first} \"$0\" \"$@\"")).arg(env!("CARGO_BIN_EXE_mayday"));
        self.wrapped(shell, words)
    }

    fn wrapped(&self, mut command: Command, words: &str) -> Command {
        command.args(words.split_whitespace()).arg("--config").arg(self.dir().join("config.toml"));
        command.arg("--state-dir").arg(self.state());
        // Unoptimised, reading the few hundred authorities that a host trusts takes longer than all else.
        command.env("SSL_CERT_FILE", self.dir().join(STRANGER)).env("SSL_CERT_DIR", "/nonexistent");
        command.env("MAYDAY_WALL_CLOCK", self.dir().join(WALL));
        for variable in ["MAYDAY_LOG", "MAYDAY_SOCKET"] {
            command.env_remove(variable);
        }
        command
    }

    pub async fn says(&self, words: &str) -> Said {
        said(self.mayday(words)).await
    }

    /// Starts an engine that dies at the append that `crash` names, if it names one.
    pub fn doomed_engine(&self, crash: Option<&str>) -> Engine {
        let mut command = self.mayday("engine");
        command.env("MAYDAY_LOG", "off").envs(crash.map(|crash| ("MAYDAY_CRASH", crash)));
        Engine::spawn(command, Path::new("/dev/null"))
    }

    /// Starts an engine, and waits until it answers.
    pub async fn engine(&self) -> Engine {
        self.engine_with(&[]).await
    }

    /// The same with further arguments.
    pub async fn engine_with(&self, arguments: &[&str]) -> Engine {
        let mut command = self.mayday("engine");
        command.args(arguments);
        let mut engine = Engine::spawn(command, &self.dir().join("engine.err"));
        let (client, words) = (self.client(), self.dir().join("engine.err"));
        eventually("the engine answers", async || {
            assert!(!engine.has_ended(), "{}", fs::read_to_string(&words).unwrap());
            client.snapshot().await.ok()
        })
        .await;
        engine
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.socket().exists() {
            let _ = self.mayday("engine stop").stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

pub async fn said(command: Command) -> Said {
    let mut command = tokio::process::Command::from(command);
    let output = timeout(PATIENCE, command.stdin(Stdio::null()).kill_on_drop(true).output()).await;
    let output = output.unwrap_or_else(|_| panic!("no end: {command:?}")).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

impl Said {
    /// This exit code, and all of these words for people.
    #[track_caller]
    pub fn is(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for word in words {
            assert!(self.err.contains(word) || self.out.contains(word), "no `{word}` in {self:#?}");
        }
    }
}

/// An engine in a process of its own; it is killed with the value.
pub struct Engine(Child);

impl Engine {
    /// Its words for people go to a file.
    pub fn spawn(mut command: Command, words: &Path) -> Self {
        let words = File::options().create(true).append(true).open(words).unwrap();
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(words).spawn().unwrap())
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub async fn end(&mut self) -> ExitStatus {
        eventually("the engine ends", async || self.0.try_wait().unwrap()).await
    }

    /// As power loss would.
    pub async fn kill(&mut self) {
        self.0.kill().unwrap();
        self.end().await;
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
