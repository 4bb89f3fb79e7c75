//! The real cockpit in a pseudo-terminal: whatever happens to it, the terminal is given back, and nothing that it shows does harm.

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

use crate::common::eventually;
use crate::process::{EMPTY, Home, said};

const ENTERS: &[u8] = b"\x1b[?1049h";
const LEAVES: &[u8] = b"\x1b[?1049l";
/// Bytes that a pseudo-terminal holds at the least before it makes whoever writes wait.
const LINE: usize = 8192;
const SHOWS_CURSOR: &[u8] = b"\x1b[?25h";

/// What a terminal got: all of it, and what it shows.
struct Got {
    raw: Vec<u8>,
    screen: vt100::Parser,
}

/// A cockpit in a terminal.
pub struct Cockpit {
    master: Box<dyn MasterPty + Send>,
    keys: mpsc::Sender<Vec<u8>>,
    /// Bytes that the line has taken.
    taken: Arc<AtomicUsize>,
    child: Box<dyn Child + Send + Sync>,
    got: Arc<Mutex<Got>>,
    pid_file: PathBuf,
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

impl Cockpit {
    /// Through a shell that says afterwards what it got back: `left with CODE`, and the modes of the terminal.
    pub fn open(home: &Home, name: &str, words: &str, vars: &[(&str, &str)]) -> Self {
        let pair = native_pty_system().openpty(size(100, 30)).unwrap();
        let pid_file = home.dir().join(format!("{name}.pid"));
        let mut command = CommandBuilder::new("sh");
        let inner = format!("echo $$ > '{}'; exec \"$0\" \"$@\"", pid_file.display());
        command.args(["-c", "sh -c \"$0\" \"$@\"; code=$?; echo; echo left with $code; stty -a", &inner]);
        command.arg(env!("CARGO_BIN_EXE_mayday"));
        command.args(words.split_whitespace());
        command.arg("--config");
        command.arg(home.dir().join("config.toml"));
        command.arg("--state-dir");
        command.arg(home.state());
        for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("COLORTERM", "truecolor")] {
            command.env(name, value);
        }
        command.env("XDG_CONFIG_HOME", home.dir().join("xdg"));
        for name in ["LC_ALL", "NO_COLOR", "MAYDAY_SOCKET", "MAYDAY_THEME", "RUST_BACKTRACE"] {
            command.env_remove(name);
        }
        vars.iter().for_each(|(name, value)| command.env(name, value));
        let child = pair.slave.spawn_command(command).unwrap();
        let got = Arc::new(Mutex::new(Got { raw: Vec::new(), screen: vt100::Parser::new(30, 100, 0) }));
        let (mut reader, into) = (pair.master.try_clone_reader().unwrap(), got.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 8192];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                let mut got = into.lock().unwrap();
                got.raw.extend(&bytes[..count]);
                got.screen.process(&bytes[..count]);
            }
        });
        // In a thread of its own: a line that is full must not hold up whoever waits for what comes of it.
        let (keys, typed) = mpsc::channel::<Vec<u8>>();
        let (mut line, taken) = (pair.master.take_writer().unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = taken.clone();
        std::thread::spawn(move || {
            for bytes in typed {
                if line.write_all(&bytes).and_then(|()| line.flush()).is_err() {
                    return;
                }
                count.fetch_add(bytes.len(), Ordering::SeqCst);
            }
        });
        Self { master: pair.master, keys, taken, child, got, pid_file }
    }

    pub fn screen(&self) -> String {
        self.got.lock().unwrap().screen.screen().contents()
    }

    fn count(&self, bytes: &[u8]) -> usize {
        let got = self.got.lock().unwrap();
        got.raw.windows(bytes.len()).filter(|window| *window == bytes).count()
    }

    pub fn press(&self, keys: &str) {
        self.types(keys.as_bytes());
    }

    fn types(&self, bytes: &[u8]) {
        self.keys.send(bytes.to_owned()).unwrap();
    }

    pub async fn shows(&self, words: &str) {
        let what = format!("`{words}` is shown");
        let found = eventually_or(&what, async || self.screen().contains(words).then_some(())).await;
        assert!(found.is_some(), "{what}:\n{}", self.screen());
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        let text = fs::read_to_string(&self.pid_file).unwrap();
        Pid::from_raw(text.trim().parse().unwrap()).unwrap()
    }

    /// How the cockpit was left, once the shell around it has its terminal back: the main screen, the cursor, lines and echo.
    pub async fn left(&mut self, code: i32) {
        self.shows(&format!("left with {code}")).await;
        let status: ExitStatus = eventually("the shell ends", async || self.child.try_wait().unwrap()).await;
        assert!(status.success());
        eventually("the modes are told", async || self.screen().contains("icanon").then_some(())).await;
        let screen = self.screen();
        for mode in ["icanon", "echo", "isig"] {
            assert!(screen.split_whitespace().any(|word| word == mode), "no {mode} in\n{screen}");
        }
        assert_eq!(self.count(ENTERS), self.count(LEAVES), "the main screen is back");
        let got = self.got.lock().unwrap();
        assert!(!got.screen.screen().alternate_screen() && !got.screen.screen().hide_cursor());
        let last = |bytes: &[u8]| got.raw.windows(bytes.len()).rposition(|window| window == bytes);
        assert!(last(SHOWS_CURSOR) > last(ENTERS));
        assert!(last(b"\x1b[?2004l") > last(b"\x1b[?2004h"), "pasting is as it was");
    }
}

impl Drop for Cockpit {
    fn drop(&mut self) {
        if let Ok(text) = fs::read_to_string(&self.pid_file)
            && let Some(pid) = text.trim().parse().ok().and_then(Pid::from_raw)
            && self.child.try_wait().is_ok_and(|ended| ended.is_none())
        {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As `eventually`, but whoever waits prints the screen when it does not come.
async fn eventually_or<T>(what: &str, holds: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    tokio::time::timeout(std::time::Duration::from_secs(60), eventually(what, holds)).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_left_as_it_was_found() {
    let home = Home::new(EMPTY);
    let _engine = home.engine().await;
    let mut cockpit = Cockpit::open(&home, "one", "", &[]);
    cockpit.shows("MAYDAY Empty").await;
    cockpit.shows("● live").await;
    assert!(cockpit.count(b"\x1b[?2026h") > 0 && cockpit.count(ENTERS) == 1, "whole frames, on a screen of its own");
    cockpit.press("q");
    cockpit.left(0).await;
    assert_eq!(cockpit.count(b"\x1b[?2026h"), cockpit.count(b"\x1b[?2026l") - 1, "no update is left open");
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_give_the_terminal_back() {
    let home = Home::new(EMPTY);
    let _engine = home.engine().await;
    for signal in [Signal::TERM, Signal::HUP] {
        let mut cockpit = Cockpit::open(&home, "one", "--mouse", &[]);
        cockpit.shows("● live").await;
        assert_eq!(cockpit.count(b"\x1b[?1000h"), 1);
        cockpit.signal(signal);
        cockpit.left(0).await;
        assert!(cockpit.count(b"\x1b[?1000l") > 0, "the mouse is the terminal's again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_gives_the_terminal_back_and_can_be_read() {
    let home = Home::new(EMPTY);
    let _engine = home.engine().await;
    let mut cockpit = Cockpit::open(&home, "one", "", &[("MAYDAY_COCKPIT_PANIC", "1")]);
    cockpit.left(101).await;
    assert!(cockpit.screen().contains("as the test asked"), "{}", cockpit.screen());
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_it_gives_the_terminal_back_and_resumed_it_takes_it_again() {
    let home = Home::new(EMPTY);
    let _engine = home.engine().await;
    let mut cockpit = Cockpit::open(&home, "one", "", &[]);
    cockpit.shows("● live").await;
    cockpit.press("\x1a");
    let stat = format!("/proc/{}/stat", cockpit.pid().as_raw_nonzero());
    eventually("it is stopped", async || fs::read_to_string(&stat).unwrap().contains(") T ").then_some(())).await;
    eventually("the main screen is back", async || (cockpit.count(LEAVES) == 1).then_some(())).await;
    cockpit.signal(Signal::CONT);
    eventually("it takes the screen again", async || (cockpit.count(ENTERS) == 2).then_some(())).await;
    cockpit.shows("● live").await;
    cockpit.press("?");
    cockpit.shows("where you are").await;
    cockpit.press("\x03");
    cockpit.left(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_sizes_ends_with_the_last() {
    let home = Home::new(EMPTY);
    let _engine = home.engine().await;
    let mut cockpit = Cockpit::open(&home, "one", "", &[]);
    cockpit.shows("● live").await;
    for step in 0..200u16 {
        let (columns, rows) = (1 + step * 37 % 240, 1 + step * 17 % 70);
        cockpit.master.resize(size(columns, rows)).unwrap();
    }
    cockpit.got.lock().unwrap().screen.screen_mut().set_size(40, 120);
    cockpit.master.resize(size(120, 40)).unwrap();
    cockpit.press("\x0c");
    let drawn = eventually_or("the last line of the last size is drawn", async || {
        let screen = cockpit.screen();
        let lines: Vec<&str> = screen.lines().collect();
        (lines.len() == 40 && lines[0].contains("MAYDAY") && lines[39].contains("? help")).then_some(())
    })
    .await;
    assert!(drawn.is_some(), "the last line of the last size is not drawn:\n{}", cockpit.screen());
    cockpit.press("q");
    cockpit.left(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_line_is_borne() {
    let home = Home::new(EMPTY);
    let _engine = home.engine().await;
    let mut cockpit = Cockpit::open(&home, "one", "", &[]);
    cockpit.shows("● live").await;
    let mut seed = 7u32;
    let mut garbage = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    // Nothing that leaves or suspends, and no Enter, which might send what was typed.
    let harmless = |byte: &u8| ![b'q', 0x03, 0x1a, b'\r', b'\n'].contains(byte);
    let noise: Vec<u8> = std::iter::repeat_with(&mut garbage).filter(harmless).take(20_000).collect();
    let broken =
        b"\x1b[\x1b[999;999;999M\x1b]52;c;!!!\x07\x1bP\x1b\\\x1b[<0;1;\xff\xfe\xc3\x28\x1b[200~pasted\x1b[2J\x1b[201~";
    // It comes to it all at once, and is more than the line between them holds.
    cockpit.signal(Signal::STOP);
    cockpit.types(broken);
    noise.chunks(512).for_each(|part| cockpit.types(part));
    eventually("the line is full", async || (cockpit.taken.load(Ordering::SeqCst) >= LINE).then_some(())).await;
    cockpit.signal(Signal::CONT);
    eventually("every layer is taken away", async || {
        if cockpit.screen().contains("nothing to step back from") {
            return Some(());
        }
        cockpit.press("\x1b");
        None
    })
    .await;
    cockpit.press("\x03");
    cockpit.left(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_from_outside_does_nothing_to_the_terminal() {
    let home = Home::new(EMPTY);
    let _engine = home.engine().await;
    let title = "\x1b]0;owned\x07\x1b[2J 日本語 \u{202e}gnp.exe";
    let mut command = home.mayday("incident declare");
    command.arg(title);
    said(command).await.is(0, &[]);
    let mut cockpit = Cockpit::open(&home, "one", "", &[]);
    cockpit.shows("SEV1").await;
    cockpit.press("5z");
    // Three keys in one breath would be a paste.
    eventually("the timeline has all the room", async || (!cockpit.screen().contains("1 services")).then_some(()))
        .await;
    cockpit.shows("declared INC-").await;
    cockpit.shows("日本語").await;
    assert_eq!(cockpit.count(b"\x1b]0;"), 0);
    assert_eq!(cockpit.count("\u{202e}".as_bytes()), 0);
    cockpit.press("q");
    cockpit.left(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_engine_is_told_with_the_age_of_what_is_shown_and_found_again() {
    let home = Home::new(EMPTY);
    let mut engine = home.engine().await;
    let mut cockpit = Cockpit::open(&home, "one", "", &[]);
    cockpit.shows("● live").await;
    engine.kill().await;
    cockpit.shows("✗ ENGINE LOST, ").await;
    cockpit.shows("what you see is old").await;
    let _again = home.engine().await;
    cockpit.shows("● live").await;
    cockpit.press("q");
    cockpit.left(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cockpits_see_each_other() {
    let home = Home::new(EMPTY);
    let _engine = home.engine().await;
    let mut one = Cockpit::open(&home, "one", "", &[]);
    one.shows("● live").await;
    one.press("6z");
    let mut other = Cockpit::open(&home, "other", "--read-only", &[]);
    other.shows(" read-only ").await;
    one.shows("2 here").await;
    other.press("8");
    one.shows("read-only, at readiness").await;
    other.press("H");
    other.shows("this cockpit is read-only").await;
    other.press("q");
    other.left(0).await;
    eventually("one is alone again", async || (!one.screen().contains("2 here")).then_some(())).await;
    one.press("q");
    one.left(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn own_keys_and_themes_count_and_their_mistakes_keep_nobody_out() {
    let home = Home::new(EMPTY);
    let _engine = home.engine().await;
    let own = home.dir().join("xdg/mayday");
    fs::create_dir_all(own.join("themes")).unwrap();
    let theme = "inherits = \"dark\"\n[palette]\npaper = { rgb = \"#010203\", ansi = \"reset\" }\n";
    fs::write(own.join("themes/mine.toml"), theme).unwrap();
    fs::write(own.join("cockpit.toml"), "theme = \"mine\"\n[keys]\nhold = [\"F9\"]\n").unwrap();
    let with_own = |words: &str| {
        let mut command = home.mayday(words);
        command.env("XDG_CONFIG_HOME", home.dir().join("xdg"));
        command
    };
    said(with_own("themes")).await.is(0, &["mine", "valid", "high-contrast"]);
    said(with_own("keys")).await.is(0, &["F9", "hold", "cockpit.toml"]);
    let mut cockpit = Cockpit::open(&home, "one", "", &[]);
    cockpit.shows("F9 hold").await;
    assert!(cockpit.count(b"48;2;1;2;3") > 0, "the background is of the own theme");
    cockpit.press("\x1b[20~");
    cockpit.shows("F9 releases").await;
    cockpit.press("q");
    cockpit.left(0).await;
    fs::write(own.join("cockpit.toml"), "theme = \"nobodys\"\n[keys]\nhold = [\"D\"]\nhodl = [\"x\"]\n").unwrap();
    let words = ["cannot be `nobodys`", "`D` is declare already", "`hodl`", "3 mistakes"];
    said(with_own("check")).await.is(7, &words);
    let mut cockpit = Cockpit::open(&home, "one", "", &[]);
    cockpit.shows("your cockpit.toml is passed over, 3 wrong in it").await;
    cockpit.shows("H release").await;
    cockpit.press("q");
    cockpit.left(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_told_to_whoever_cannot_see_a_screen() {
    let home = Home::new(EMPTY);
    let _engine = home.engine().await;
    let (mut child, heard) = listen(&home, "watch --clocks 1");
    heard.tells("Empty: us-east-1 serves").await;
    heard.tells("no incident is open").await;
    home.says("incident declare dark").await.is(0, &[]);
    heard.tells("trouble: declared INC-").await;
    heard.tells("clocks: critical RTO").await;
    assert!(!heard.0.lock().unwrap().contains('\x1b'), "no line moves a cursor");
    child.kill().await.unwrap();
    let (mut child, heard) = listen(&home, "watch -o json --clocks 1");
    heard.tells("\"watch\":\"clocks\"").await;
    child.kill().await.unwrap();
    let lines = heard.0.lock().unwrap().clone();
    let kind = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["watch"].clone();
    assert_eq!(kind(lines.lines().next().unwrap()), "opening");
    assert!(lines.lines().all(|line| kind(line).is_string()), "{lines}");
}

/// The lines of a command that goes on.
struct Heard(Arc<Mutex<String>>);

impl Heard {
    async fn tells(&self, words: &str) {
        eventually(&format!("`{words}` is told"), async || self.0.lock().unwrap().contains(words).then_some(())).await;
    }
}

fn listen(home: &Home, words: &str) -> (tokio::process::Child, Heard) {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let mut command = tokio::process::Command::from(home.mayday(words));
    let mut child = command.stdout(std::process::Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let out = child.stdout.take().unwrap();
    let heard = Arc::new(Mutex::new(String::new()));
    let into = heard.clone();
    tokio::spawn(async move {
        let mut lines = BufReader::new(out).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            into.lock().unwrap().push_str(&(line + "\n"));
        }
    });
    (child, Heard(heard))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_and_man_are_told_of_every_command() {
    let home = Home::new(EMPTY);
    for shell in ["bash", "zsh", "fish"] {
        home.says(&format!("completions {shell}")).await.is(0, &["failover", "watch"]);
    }
    home.says("man").await.is(0, &[".TH", "failover"]);
}

/// What makes a two-person gate possible: another user on the same engine. Only root can become somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_shares_an_engine_and_everybody_acts_in_their_own_name() {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let home = Home::new(EMPTY);
    let open = tempfile::tempdir().unwrap();
    let socket = open.path().join("engine.sock");
    fs::set_permissions(open.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let command = home.mayday(&format!("engine --socket {} --socket-group 65534", socket.display()));
    let _engine = crate::process::Engine::spawn(command, &home.dir().join("engine.err"));
    let client = mayday::api::client::Client::new(&socket);
    eventually("the engine answers", async || client.snapshot().await.ok()).await;
    let program = open.path().join("mayday");
    // By another process: a file that this one holds open for writing, a command that is begun beside it inherits, and nobody may run it.
    let copied = std::process::Command::new("cp").arg(env!("CARGO_BIN_EXE_mayday")).arg(&program).status();
    assert!(copied.unwrap().success());
    let as_user = |uid: u32, gid: u32, words: &str| {
        use std::os::unix::process::CommandExt;
        let mut command = std::process::Command::new(&program);
        command.args(words.split_whitespace()).arg("--socket").arg(&socket).uid(uid).gid(gid).env("HOME", "/");
        command
    };
    said(as_user(65534, 65534, "incident declare dark")).await.is(0, &[]);
    let incident = client.snapshot().await.unwrap().state.incident.unwrap();
    assert_eq!(incident.commander.unwrap().uid, Some(65534));
    said(as_user(64999, 64999, "status")).await.is(6, &["Permission denied"]);
}
