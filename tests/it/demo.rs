//! The demo goes on when its cockpit is left, is found again, and ends by name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::eventually;
use crate::process::{EMPTY, Home, said};
use crate::terminal::Cockpit;

/// A place in which nobody else's demo is. What lives in it ends with it.
pub struct Place(Home, tempfile::TempDir);

impl Place {
    pub fn new() -> Self {
        Self(Home::new(EMPTY), tempfile::tempdir().unwrap())
    }

    fn dir(&self) -> String {
        self.1.path().display().to_string()
    }

    pub fn open(&self, name: &str, words: &str) -> Cockpit {
        Cockpit::open(&self.0, name, words, &[("TMPDIR", &self.dir())])
    }

    fn mayday(&self, words: &str) -> Command {
        let mut command = self.0.mayday(words);
        command.env("TMPDIR", self.dir());
        command
    }

    /// The folders of demos.
    pub fn folders(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.1.path()).unwrap().flatten().map(|entry| entry.path());
        entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("mayday-demo-")).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.mayday("demo --end --delete").stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

async fn incidents(folder: &Path) -> crate::process::Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mayday"));
    command.args(["incident", "list", "--state-dir"]).arg(folder.join("state"));
    command.arg("--config").arg(folder.join("config.toml")).env_remove("MAYDAY_SOCKET");
    said(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_is_left_found_again_and_ended_by_name() {
    let place = Place::new();
    let mut one = place.open("one", "demo");
    one.shows("● live").await;
    // Where it is, and how to break more of it, is on screen.
    one.press("5");
    one.press("z");
    one.shows("mayday lab break PLACE CONDITION --control").await;
    one.shows("mayday demo attaches again").await;
    one.press("\x03");
    one.left(0).await;
    one.shows("mayday demo --end").await;
    let folders = place.folders();
    let [folder] = &folders[..] else { panic!("{folders:?}") };

    // The engine is the same one, and a second cockpit is beside the first.
    let mut two = place.open("two", "demo");
    two.shows("● live").await;
    let mut three = place.open("three", "demo --read-only");
    three.shows("2 here").await;
    assert_eq!(place.folders(), folders, "no second demo was begun");
    // Without a terminal nothing is attached, and nothing is begun.
    said(place.mayday("demo --scenario flapping")).await.is(2, &["needs a terminal"]);
    three.press("q");
    three.left(0).await;
    two.press("q");
    two.left(0).await;

    said(place.mayday("demo --end")).await.is(2, &["--keep or --delete"]);
    assert!(folder.join("demo.json").exists(), "it goes on");
    said(place.mayday("demo --end --keep")).await.is(0, &["its folder is kept", "mayday report"]);
    eventually("the engine has ended", async || (!folder.join("state/engine.sock").exists()).then_some(())).await;
    incidents(folder).await.is(0, &["No incident was declared yet."]);
    said(place.mayday("demo --end --keep")).await.is(5, &["no demo goes on"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_that_is_ended_by_a_signal_leaves_nothing() {
    let place = Place::new();
    let mut command = place.mayday("demo --headless --scenario flapping");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let left = || fs::read_dir(place.1.path()).unwrap().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    let running = |path: &PathBuf| path.join("state/engine.sock").exists();
    eventually("its engine runs", async || left().iter().any(running).then_some(())).await;
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    let status = eventually("it ends", async || child.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(1));
    assert_eq!(left(), [""; 0].map(PathBuf::from));
}
