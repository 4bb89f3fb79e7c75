//! `mayday init` and `mayday config edit` at a terminal, and where there is none.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::common::eventually;
use crate::process::{EMPTY, Home};

/// A command in a terminal, with all that it has said.
struct Talk {
    said: Arc<Mutex<String>>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    /// Up to here it has been read.
    read: usize,
}

impl Talk {
    fn begin(home: &Home, words: &str, vars: &[(&str, &str)]) -> Self {
        let pair =
            native_pty_system().openpty(PtySize { rows: 40, cols: 200, pixel_width: 0, pixel_height: 0 }).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_mayday"));
        command.args(words.split_whitespace());
        command.arg("--config");
        command.arg(home.dir().join("new/config.toml"));
        command.arg("--state-dir");
        command.arg(home.state());
        command.env("SSL_CERT_DIR", "/nonexistent");
        command.env("SSL_CERT_FILE", home.dir().join("stranger.pem"));
        ["MAYDAY_SOCKET", "REDIS_PASSWORD", "EMAIL_PASSWORD"].iter().for_each(|name| command.env_remove(name));
        vars.iter().for_each(|(name, value)| command.env(name, value));
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let said = Arc::new(Mutex::new(String::new()));
        let (mut reader, into) = (pair.master.try_clone_reader().unwrap(), said.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        let keys = pair.master.take_writer().unwrap();
        // The terminal lives as long as its reader.
        Self { said, keys, child, read: 0 }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits for words after those that were waited for before.
    async fn hears(&mut self, words: &str) {
        let from = self.read;
        let found = tokio::time::timeout(
            std::time::Duration::from_secs(60),
            eventually("words", async || self.said().get(from..).and_then(|rest| rest.find(words))),
        );
        let at = found.await.unwrap_or_else(|_| panic!("no `{words}` in\n{}", self.said()));
        self.read = from + at + words.len();
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    async fn answers(&mut self, question: &str, answer: &str) {
        self.hears(question).await;
        self.types(&format!("{answer}\n"));
    }

    async fn ends(&mut self) -> u32 {
        eventually("it ends", async || self.child.try_wait().unwrap()).await.exit_code()
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Answers every request with 200, for as long as the test lives.
async fn healthy() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = [0; 1024];
                let _ = stream.read(&mut bytes).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await;
            });
        }
    });
    format!("http://{address}/healthz")
}

/// A port that nobody listens on.
async fn dead() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

fn entries(home: &Home) -> Vec<String> {
    let folder = fs::read_dir(home.dir().join("new"));
    folder.into_iter().flatten().map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_is_looked_at_and_becomes_a_sound_config() {
    let home = Home::new(EMPTY);
    let (url, dead) = (healthy().await, dead().await);
    let mut talk = Talk::begin(&home, "init", &[]);
    talk.answers("Name of what is protected", "Bakery \"Ltd\"").await;
    talk.answers("Primary region", "us east").await;
    talk.answers("✗", "").await;
    talk.answers("Standby region", "us-east-1").await;
    talk.hears("✗").await;
    talk.answers("Standby region", "eu-west-1").await;
    talk.answers("First critical service", "oven").await;
    talk.answers("URL that answers 200", "nonsense").await;
    talk.hears("✗").await;
    talk.answers("Again:", &url).await;
    talk.hears("✓").await;
    talk.answers("The same in the standby", &format!("http://{dead}/")).await;
    talk.hears("cannot be seen from here").await;
    talk.answers("Enter keeps it", "").await;
    talk.answers("First datastore", "redis").await;
    talk.answers("Its name here", "cache").await;
    talk.answers("What it holds", "application-state").await;
    talk.answers("master_name", "main").await;
    talk.answers("sentinels", &dead).await;
    talk.answers("regions", "redis-1").await;
    talk.hears("not name=value").await;
    talk.answers("regions", "redis-1=us-east-1").await;
    talk.hears("password").await;
    drop(talk);
    assert_eq!(entries(&home), Vec::<String>::new(), "nothing is written before the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_typed_is_not_taken_and_ctrl_c_leaves_nothing() {
    let home = Home::new(EMPTY);
    let mut talk = Talk::begin(&home, "init", &[]);
    for question in ["Name", "Primary region", "Standby region", "First critical service"] {
        talk.answers(question, "").await;
    }
    talk.answers("URL that answers 200", &healthy().await).await;
    talk.answers("The same in the standby", "").await;
    talk.answers("First datastore", "").await;
    talk.answers("A way to tell people", "pigeon").await;
    talk.hears("none of them").await;
    talk.answers("A way to tell people", "statuspage").await;
    talk.answers("page", "p").await;
    talk.answers("token", "hunter2").await;
    talk.hears("a secret does not stand in the config").await;
    talk.hears("token").await;
    talk.types("\u{3}");
    talk.hears("nothing was written").await;
    assert_eq!(talk.ends().await, 1);
    assert_eq!(entries(&home), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn slips_of_the_hand_are_asked_again_and_what_looks_secret_is_not_repeated() {
    let home = Home::new(EMPTY);
    let mut talk = Talk::begin(&home, "init", &[]);
    talk.answers("Name", "xoxb-hunter-one").await;
    talk.hears("looks like a secret").await;
    talk.hears("Name").await;
    talk.keys.write_all(b"caf\xe9\n").unwrap();
    talk.hears("no text in UTF-8").await;
    talk.answers("Name", "Bakery").await;
    talk.answers("Primary region", "").await;
    talk.answers("Standby region", "").await;
    talk.answers("First critical service", "oven").await;
    talk.answers("URL that answers 200", &healthy().await).await;
    talk.hears("✓").await;
    talk.answers("The same in the standby", "nonsense").await;
    talk.hears("✗").await;
    // What is not needed can still be left out.
    talk.answers("Again (Enter: not there):", "").await;
    talk.answers("First datastore", "redis").await;
    talk.answers("Its name here", "").await;
    talk.answers("What it holds", "").await;
    talk.answers("master_name", "file:ghp_huntertwo").await;
    talk.hears("looks like a secret").await;
    talk.answers("master_name", "none").await;
    talk.answers("First datastore", "").await;
    talk.answers("A way to tell people", "statuspage").await;
    talk.answers("page", "no page").await;
    talk.answers("token", "").await;
    talk.hears("can never be used").await;
    talk.answers("A way to tell people", "").await;
    talk.hears("Wrote").await;
    assert_eq!(talk.ends().await, 0);
    // Once, where it was typed.
    for typed in ["hunter-one", "huntertwo"] {
        assert_eq!(talk.said().matches(typed).count(), 1, "{}", talk.said());
    }
    let written = fs::read_to_string(home.dir().join("new/config.toml")).unwrap();
    assert!(written.contains("Bakery") && !written.contains("hunter"), "{written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_is_told_before_anything_is_asked() {
    let home = Home::new(EMPTY);
    fs::write(home.dir().join("new"), "a file in the place of the folder").unwrap();
    let mut talk = Talk::begin(&home, "init", &[]);
    talk.hears("cannot be written").await;
    assert_eq!(talk.ends().await, 1);
    assert!(!talk.said().contains("Name of what"), "{}", talk.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn force_writes_where_a_link_leads() {
    let home = Home::new(EMPTY);
    let (link, real) = (home.dir().join("link.toml"), home.dir().join("real.toml"));
    fs::write(&real, "old").unwrap();
    std::os::unix::fs::symlink("real.toml", &link).unwrap();
    let words = format!("init {} --minimal", link.display());
    home.says(&words).await.is(1, &["exists and was left alone"]);
    home.says(&format!("{words} --force")).await.is(0, &["real.toml", "leads"]);
    assert!(link.is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains("[estate]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_input_leaves_nothing() {
    let home = Home::new(EMPTY);
    let mut talk = Talk::begin(&home, "init", &[]);
    talk.answers("Name", "x").await;
    talk.hears("Primary region").await;
    talk.types("\u{4}");
    talk.hears("nothing was written").await;
    assert_eq!(talk.ends().await, 1);
    assert_eq!(entries(&home), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_conversation_ends_in_a_file_that_check_calls_sound() {
    let home = Home::new(EMPTY);
    let (url, dead) = (healthy().await, dead().await);
    let mut talk = Talk::begin(&home, "init", &[]);
    for (question, answer) in
        [("Name", "Bakery"), ("Primary region", ""), ("Standby region", ""), ("First critical", "oven")]
    {
        talk.answers(question, answer).await;
    }
    talk.answers("URL that answers 200", &url).await;
    talk.hears("✓").await;
    talk.answers("The same in the standby", &url).await;
    talk.hears("✓").await;
    talk.answers("First datastore", "").await;
    talk.answers("A way to tell people", "email").await;
    talk.answers("server", &dead).await;
    talk.answers("password", "").await;
    talk.answers("from", "mayday@bakery.example").await;
    talk.answers("to", "team@bakery.example").await;
    talk.answers("Who reads it", "").await;
    talk.hears("cannot be seen from here").await;
    talk.answers("Enter keeps it", "").await;
    talk.hears("Wrote").await;
    assert_eq!(talk.ends().await, 0);
    let written = fs::read_to_string(home.dir().join("new/config.toml")).unwrap();
    assert!(written.lines().count() < 60, "{written}");
    assert!(written.contains("Bakery") && written.contains(&url) && written.contains("team@bakery.example"));
    let config = home.dir().join("new/config.toml");
    let check =
        std::process::Command::new(env!("CARGO_BIN_EXE_mayday")).arg("check").arg("--config").arg(&config).output();
    let check = check.unwrap();
    assert!(check.status.success(), "{}\n{written}", String::from_utf8_lossy(&check.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_nothing_is_asked_and_nothing_is_overwritten() {
    let home = Home::new(EMPTY);
    let path = |name: &str| home.dir().join(name).display().to_string();
    for (words, told) in [
        (format!("init {}", path("a/one.toml")), "no terminal"),
        (format!("init {} --minimal", path("two.toml")), "mayday config edit"),
        (format!("init {} --example", path("three.toml")), "Wrote"),
    ] {
        home.says(&words).await.is(0, &[told]);
        home.says(&words).await.is(1, &["exists and was left alone"]);
    }
    let (one, two) = (fs::read_to_string(path("a/one.toml")).unwrap(), fs::read_to_string(path("two.toml")).unwrap());
    assert_eq!(one, two);
    assert!(fs::read_to_string(path("three.toml")).unwrap().ends_with(mayday::cli::init::EXAMPLE));
    home.says(&format!("init {} --minimal --force", path("three.toml"))).await.is(0, &[]);
    assert_eq!(fs::read_to_string(path("three.toml")).unwrap(), one);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_with_mistakes_can_be_mended_or_given_up() {
    let home = Home::new(EMPTY);
    let (config, editor) = (home.dir().join("new/config.toml"), home.dir().join("editor.sh"));
    fs::create_dir(home.dir().join("new")).unwrap();
    fs::write(&config, EMPTY).unwrap();
    // The first time it breaks the file, the second time it mends it.
    let script = "#!/bin/sh\nif grep -q broken \"$1\"; then sed -i 's/broken/standard/; s/Empty/Full/' \"$1\"; else sed -i 's/\"standard\"/\"broken\"/' \"$1\"; fi\n";
    fs::write(&editor, script).unwrap();
    fs::set_permissions(&editor, Permissions::from_mode(0o700)).unwrap();
    let vars = [("VISUAL", ""), ("EDITOR", editor.to_str().unwrap())];
    let mut talk = Talk::begin(&home, "config edit", &vars);
    talk.hears("1 mistake").await;
    talk.answers("d discard", "d").await;
    talk.hears("Discarded").await;
    assert_eq!((talk.ends().await, fs::read_to_string(&config).unwrap().as_str()), (7, EMPTY));
    let mut talk = Talk::begin(&home, "config edit", &vars);
    talk.hears("1 mistake").await;
    talk.answers("d discard", "").await;
    talk.hears("is valid, and taken").await;
    assert_eq!(talk.ends().await, 0);
    assert!(fs::read_to_string(&config).unwrap().contains("Full"));
    assert_eq!(entries(&home), ["config.toml"]);
}
