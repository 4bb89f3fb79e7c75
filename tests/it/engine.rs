//! The engine as a process: one of it, outliving terminals, surviving its own death, and honest when the disk or the platform is not.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use mayday::api::client::Client;
use mayday::api::protocol::ErrorCode;
use mayday::cli::exit::Exit;
use mayday::domain::command::Ask;
use mayday::domain::ids::StepId;
use mayday::domain::incident::Severity;
use mayday::domain::run::{Mode, StepPhase};
use mayday::lab::{Lab, Pace};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use rustix::process::{Pid, Resource, Rlimit, Signal};
use sqlx::{ConnectOptions, Connection};

use crate::common::{eventually, follow};
use crate::process::{EMPTY, Home, said};

const REFUSED: i32 = 5;
const UNREACHABLE: i32 = 6;
const CONFIG: i32 = 7;
const JOURNAL: i32 = 8;

#[test]
fn the_numbers_here_are_those_of_the_table() {
    for (exit, code) in
        [(Exit::Refused, REFUSED), (Exit::Unreachable, UNREACHABLE), (Exit::Config, CONFIG), (Exit::Journal, JOURNAL)]
    {
        assert_eq!(i32::from(exit.code()), code);
    }
}

async fn hold(client: &Client) {
    client.ask(&Ask::Hold { reason: "the end".into() }).await.unwrap();
}

async fn note(client: &Client) {
    client.ask(&Ask::Note { text: "a note".into() }).await.unwrap();
}

#[tokio::test]
async fn a_second_engine_is_refused_and_the_first_goes_on() {
    let home = Home::new(EMPTY);
    let engine = home.engine().await;
    let pid = engine.pid().to_string();
    home.says("engine").await.is(REFUSED, &["another engine", &format!("pid {pid}"), "mayday engine stop"]);
    hold(&home.client()).await;
}

#[tokio::test]
async fn commands_that_all_want_an_engine_get_one_and_the_same() {
    let home = Home::new(EMPTY);
    let all = (0..6).map(|_| home.says("status"));
    for said in futures::future::join_all(all).await {
        said.is(0, &["No incident is open."]);
    }
    let starts = home.client().records(0, 100).await.unwrap();
    assert_eq!(starts.len(), 1, "one engine, started once: {starts:?}");
    home.says("engine stop").await.is(0, &["the engine stops"]);
    eventually("its socket is gone", async || (!home.socket().exists()).then_some(())).await;
    home.says("engine stop").await.is(UNREACHABLE, &["no engine answers", "mayday engine"]);
}

#[tokio::test]
async fn however_often_it_is_killed_the_next_one_goes_on_and_who_watches_misses_nothing() {
    let home = Home::new(EMPTY);
    let wholes = Arc::new(AtomicUsize::new(0));
    let mut engine = home.engine().await;
    let follower = tokio::spawn(follow(home.client().feed(), wholes));
    for round in 1..=3 {
        for _ in 0..5 {
            note(&home.client()).await;
        }
        engine.kill().await;
        assert!(home.socket().exists() && home.state().join("engine.lock").exists(), "what the dead leave behind");
        engine = home.engine().await;
        let known = home.client().verify().await.unwrap().records;
        // Its start is an event too.
        assert_eq!(known, round * 6 + 1);
    }
    hold(&home.client()).await;
    assert_eq!(follower.await.unwrap().state, home.client().snapshot().await.unwrap().state);
    engine.kill().await;
    let _engine = home.engine().await;
    assert!(home.client().snapshot().await.unwrap().state.hold.is_some(), "a hold survives");
}

#[tokio::test]
async fn signals_that_ask_for_the_end_get_an_orderly_one() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = Home::new(EMPTY);
        let mut engine = home.engine().await;
        note(&home.client()).await;
        engine.signal(signal);
        assert_eq!(engine.end().await.code(), Some(0), "{signal:?}");
        assert!(!home.socket().exists());
        let words = fs::read_to_string(home.dir().join("engine.err")).unwrap();
        assert!(words.contains("the engine has stopped"), "{words}");
        home.says("journal verify").await.is(0, &["whole up to record 2, head ", "--head HEAD"]);
    }
}

#[tokio::test]
async fn a_hang_up_is_passed_over() {
    let home = Home::new(EMPTY);
    let mut engine = home.engine().await;
    for _ in 0..3 {
        engine.signal(Signal::HUP);
        note(&home.client()).await;
    }
    assert!(!engine.has_ended());
}

/// No write to a file beyond so many bytes succeeds in that process, as on a full disk.
fn limit(engine: Pid, bytes: Option<u64>) {
    let maximum = rustix::process::getrlimit(Resource::Fsize).maximum;
    rustix::process::prlimit(Some(engine), Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}

#[tokio::test]
async fn the_terminal_it_was_started_from_may_go() {
    let home = Home::new(EMPTY);
    let pty = native_pty_system().openpty(PtySize::default()).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_mayday"));
    command.args(["engine", "--config"]);
    command.arg(home.dir().join("config.toml"));
    command.arg("--state-dir");
    command.arg(home.state());
    let mut engine = pty.slave.spawn_command(command).unwrap();
    let pid = Pid::from_raw(engine.process_id().unwrap() as i32).unwrap();
    let client = home.client();
    eventually("the engine answers", async || client.snapshot().await.ok()).await;
    drop((pty.slave, pty.master));
    // Something that it can tell nobody.
    limit(pid, Some(0));
    let refused = client.ask(&Ask::Note { text: "full".into() }).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Journal, "{refused}");
    limit(pid, None);
    hold(&client).await;
    client.stop().await.unwrap();
    let status = tokio::task::spawn_blocking(move || engine.wait().unwrap()).await.unwrap();
    assert!(status.success(), "{status:?}");
}

/// A shell's words that take root's right to write where it may not. The mode of a folder stops everybody else.
fn unprivileged() -> &'static str {
    if rustix::process::getuid().is_root() { "exec setpriv --bounding-set -dac_override --" } else { "exec" }
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_written_to_is_told_before_anything_is_done() {
    let home = Home::new(EMPTY);
    let read_only = |path: &std::path::Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    fs::create_dir(home.state()).unwrap();
    read_only(&home.state(), 0o500);
    let unprivileged = |words| said(home.mayday_after(unprivileged(), words));
    for words in ["engine", "status"] {
        unprivileged(words).await.is(JOURNAL, &["cannot be used", "Permission denied", "--state-dir"]);
    }
    read_only(&home.state(), 0o700);
    home.engine().await;
    let journal = home.state().join("journal.db");
    let before = fs::read(&journal).unwrap();
    read_only(&journal, 0o400);
    for words in ["engine", "status"] {
        unprivileged(words).await.is(JOURNAL, &["journal.db", "denied", "make the state directory writable"]);
    }
    assert_eq!(fs::read(&journal).unwrap(), before);
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_half_done_and_it_goes_on_when_there_is_room() {
    let home = Home::new(EMPTY);
    let engine = home.engine().await;
    let client = home.client();
    note(&client).await;
    let before = client.snapshot().await.unwrap().state;
    limit(engine.pid(), Some(0));
    for _ in 0..2 {
        let refused = client.ask(&Ask::Note { text: "full".into() }).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Journal, "{refused}");
        assert!(refused.to_string().contains("journal.db") && refused.to_string().contains("look at the disk"));
    }
    let view = client.snapshot().await.unwrap();
    assert_eq!(view.state, before, "what is not durable did not happen");
    assert!(view.live.journal_fault.is_some(), "and whoever looks is told");
    home.says("status").await.is(0, &["JOURNAL"]);
    let held = client.ask(&Ask::Hold { reason: "full".into() }).await.expect("HOLD holds whatever the disk does");
    assert!(held.note.is_some_and(|note| note.contains("not journalled yet")));
    let view = client.snapshot().await.unwrap();
    assert_eq!((view.state.seq, view.state.hold.is_some()), (before.seq, true), "it holds, and is not written");
    let refused = client.ask(&Ask::Release { reason: "no".into() }).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Journal, "{refused}");
    limit(engine.pid(), None);
    let view = eventually("the HOLD is written by itself", async || {
        client.snapshot().await.ok().filter(|view| view.state.seq > before.seq)
    })
    .await;
    assert_eq!((view.state.seq, view.live.journal_fault, view.state.hold.is_some()), (before.seq + 1, None, true));
    assert_eq!(client.verify().await.unwrap().records, before.seq + 1);
}

#[tokio::test]
async fn on_a_full_disk_no_engine_starts() {
    let home = Home::new(EMPTY);
    home.engine().await;
    for words in ["engine", "status"] {
        let full = said(home.mayday_after("ulimit -f 0; exec", words)).await;
        full.is(JOURNAL, &["the journal cannot be written"].map(|it| if words == "engine" { "room" } else { it }));
    }
    home.says("journal verify").await.is(0, &["whole up to record 1, head "]);
}

/// The changes that the lab accepted.
fn changes(lab: &Lab) -> Vec<String> {
    let truth = lab.world.truth();
    let accepted = truth.ledger.iter().filter(|it| it.accepted);
    accepted.map(|it| format!("{} {} {}", it.place, it.action, it.target)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_on_a_disk_that_fills_up_loses_nothing_and_does_nothing_twice() {
    let lab = Lab::start(Pace(200.0)).await.unwrap();
    let home = Home::of(&lab);
    let engine = home.engine().await;
    let client = home.client();
    let fence = StepId::from("fence-primary");
    let phase = async || Some(client.snapshot().await.ok()?.state.run?.phase(&fence));
    let is = async |wanted| phase().await.filter(|phase| *phase == wanted).map(drop);
    client.ask(&Ask::Declare { title: "a full disk".into(), severity: Severity::Sev2, drill: false }).await.unwrap();
    let (plan, reason) = ("regional-failover".into(), "test".into());
    client.ask(&Ask::StartRun { plan, mode: Mode::Live, reason, unattended: false }).await.unwrap();
    eventually("the gate opens", async || is(StepPhase::Gated).await).await;
    let run = client.snapshot().await.unwrap().state.run.unwrap().id;
    let confirm = Ask::Confirm { run, step: fence.clone(), phrase: String::new(), seen: None };
    limit(engine.pid(), Some(0));
    let refused = client.ask(&confirm).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Journal, "{refused}");
    assert_eq!(phase().await, Some(StepPhase::Gated));
    assert_eq!(changes(&lab), [""; 0], "nothing is done that is not journalled first");
    limit(engine.pid(), None);
    client.ask(&confirm).await.unwrap();
    eventually("the change is made", async || (!changes(&lab).is_empty()).then_some(())).await;
    // Whatever comes of it cannot be written down now, and is kept.
    limit(engine.pid(), Some(0));
    let told = async || client.snapshot().await.ok()?.live.journal_fault;
    eventually("it is told that the disk is full", async || {
        // Unless the outcome was faster than the disk filled up.
        client.ask(&Ask::Note { text: "is there room?".into() }).await.unwrap_err();
        told().await
    })
    .await;
    limit(engine.pid(), None);
    eventually("the step is done", async || is(StepPhase::Done).await).await;
    let mut changes = changes(&lab);
    let all = changes.len();
    changes.sort();
    changes.dedup();
    assert_eq!(changes.len(), all, "a change was made twice: {changes:#?}");
    let records = client.records(0, 10_000).await.unwrap();
    assert!(records.iter().zip(1..).all(|(record, seq)| record.seq == seq));
    assert!(client.verify().await.unwrap().records as usize >= records.len());
}

/// What somebody with the file in hands could do.
async fn tamper(home: &Home, sql: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(home.state().join("journal.db"));
    let mut connection = options.connect().await.unwrap();
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_journal_that_was_altered_is_found_and_no_engine_acts_on_it() {
    let altered = "UPDATE record SET body = replace(body, 'a note', 'a lie') WHERE seq = 3";
    for (sql, what) in [
        (altered, "record 3 does not fit the chain"),
        ("DELETE FROM record WHERE seq = 3", "record 3 is missing"),
        ("UPDATE record SET hash = zeroblob(32) WHERE seq = 4", "record 4 does not fit the chain"),
    ] {
        let home = Home::new(EMPTY);
        let mut engine = home.engine().await;
        for _ in 0..4 {
            note(&home.client()).await;
        }
        tamper(&home, sql).await;
        home.says("journal verify").await.is(JOURNAL, &[what, "as evidence"]);
        engine.kill().await;
        home.says("journal verify").await.is(JOURNAL, &[what, "as evidence"]);
        home.says("engine").await.is(JOURNAL, &[what, "as evidence", "--state-dir"]);
        home.says("status").await.is(JOURNAL, &[what, "as evidence", "--state-dir"]);
        let read = home.says("journal export").await;
        read.is(0, &["engine-started"]);
        assert_eq!(read.out.lines().count(), if sql.starts_with("DELETE") { 4 } else { 5 });
    }
    let home = Home::new(EMPTY);
    home.says("journal verify").await.is(JOURNAL, &["there is no journal", "--state-dir"]);
    fs::create_dir(home.state()).unwrap();
    fs::write(home.state().join("journal.db"), "this is no database, but long enough to be looked at").unwrap();
    home.says("engine").await.is(JOURNAL, &["not a database", "--state-dir"]);
}

#[tokio::test]
async fn a_journal_that_was_cut_is_opened_by_its_phrase_and_by_nothing_else() {
    let home = Home::new(EMPTY);
    let mut engine = home.engine().await;
    for _ in 0..4 {
        note(&home.client()).await;
    }
    let head = home.client().snapshot().await.unwrap().chain.unwrap();
    home.says("status").await.is(0, &["journal  5 records, head ", &head.head[..16]]);
    home.says("journal accept").await.is(REFUSED, &["another engine"]);
    engine.signal(Signal::TERM);
    engine.end().await;
    home.says("journal accept").await.is(0, &["nothing to accept"]);
    home.says(&format!("journal verify --head {}", &head.head[..16])).await.is(0, &["at record 5"]);
    tamper(&home, "DELETE FROM record WHERE seq > 3").await;
    let lost = "it ends at record 3, and 5 were durable: 2 are lost";
    home.says("journal verify").await.is(JOURNAL, &[lost, "cut or replaced"]);
    for words in ["engine", "status", "journal accept", "journal accept yes"] {
        home.says(words).await.is(JOURNAL, &[lost, "mayday journal accept 'shorter by 2 records'"]);
    }
    home.says("journal tail").await.is(0, &["a note"]);
    let mut accept = home.mayday("journal accept");
    accept.arg("shorter by 2 records");
    said(accept).await.is(0, &["accepted, and written into the journal"]);
    home.says("journal verify").await.is(0, &["whole up to record 4"]);
    home.says(&format!("journal verify --head {}", head.head)).await.is(JOURNAL, &["never had the head", &head.head]);
    let _engine = home.engine().await;
    home.says("journal tail").await.is(0, &["took the journal as it is (shorter by 2 records)"]);
    home.says(&format!("journal verify --head {}", head.head)).await.is(JOURNAL, &["never had the head"]);
    home.says("journal verify --head nothing").await.is(2, &["is no head"]);
}

#[tokio::test]
async fn an_engine_whose_files_are_removed_begins_nothing_and_says_so() {
    let home = Home::new(EMPTY);
    let engine = home.engine().await;
    note(&home.client()).await;
    for name in ["journal.db", "journal.db-wal"] {
        fs::rename(home.state().join(name), home.dir().join(name)).unwrap();
    }
    let why = ["was removed or replaced while the engine ran", "put the files back"];
    home.says("incident declare nothing").await.is(JOURNAL, &why);
    // It holds whatever becomes of the journal.
    home.says("hold on").await.is(0, &["held; not journalled yet", why[0], why[1]]);
    home.says("status").await.is(0, &["JOURNAL", "was removed or replaced"]);
    for name in ["journal.db", "journal.db-wal"] {
        fs::rename(home.dir().join(name), home.state().join(name)).unwrap();
    }
    let written = async || (home.client().snapshot().await.unwrap().state.seq == 3).then_some(());
    eventually("the HOLD is journalled", written).await;
    drop(engine);
    home.says("journal verify").await.is(0, &["whole up to record 3"]);
}

#[tokio::test]
async fn records_of_a_newer_mayday_are_read_by_all_but_the_engine() {
    let home = Home::new(EMPTY);
    let mut engine = home.engine().await;
    home.says("incident declare trouble").await.is(0, &[]);
    engine.signal(Signal::TERM);
    engine.end().await;
    let last = append_unknown(&home).await;
    home.says("journal verify").await.is(0, &[&format!("whole up to record {last}")]);
    for words in ["engine", "status"] {
        home.says(words).await.is(JOURNAL, &["of a newer Mayday (tide-turned)", "start the newer version"]);
    }
    home.says("journal tail").await.is(0, &["tide-turned: of a newer Mayday"]);
    home.says("journal export").await.is(0, &[r#""event":{"type":"tide-turned","height":3}"#]);
    home.says("report").await.is(0, &["trouble", "tide-turned: of a newer Mayday"]);
}

/// What a newer Mayday would have appended: chained like everything else. Its number.
async fn append_unknown(home: &Home) -> u64 {
    use sha2::{Digest, Sha256};
    use sqlx::Row;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(home.state().join("journal.db"));
    let mut connection = options.connect().await.unwrap();
    let last = sqlx::query("SELECT seq, hash FROM record ORDER BY seq DESC LIMIT 1");
    let row = last.fetch_one(&mut connection).await.unwrap();
    let (seq, head): (i64, Vec<u8>) = (row.get::<i64, _>(0) + 1, row.get(1));
    let body = format!(
        r#"{{"seq":{seq},"at":"{}","actor":{{"name":"mayday","uid":null}},"event":{{"type":"tide-turned","height":3}}}}"#,
        jiff::Timestamp::now()
    );
    let hash: [u8; 32] = Sha256::new().chain_update(head).chain_update(&body).finalize().into();
    let insert = sqlx::query("INSERT INTO record (seq, body, hash) VALUES (?, ?, ?)");
    insert.bind(seq).bind(body).bind(&hash[..]).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    seq as u64
}

#[tokio::test]
async fn whatever_makes_no_sense_ends_in_its_exit_code_and_says_what_to_do() {
    let home = Home::new(EMPTY);
    home.says("explode").await.is(2, &["unrecognized subcommand"]);
    home.says("").await.is(2, &["needs a terminal", "mayday status"]);
    home.says("failover run nothing").await.is(REFUSED, &["there is no plan `nothing`", "choose one of"]);
    home.says("plan preview nothing").await.is(REFUSED, &["there is no plan `nothing`"]);
    home.says("by-hand nothing").await.is(REFUSED, &["there is no plan `nothing`", "choose one of"]);
    home.says("failover follow").await.is(REFUSED, &["nothing was run yet", "mayday failover run"]);
    home.says("hold off").await.is(REFUSED, &["nothing is held"]);
    home.says("status --socket nowhere.sock").await.is(UNREACHABLE, &["no engine answers on nowhere.sock"]);
    let wrong = Home::new("[estate]\nname = 1\n");
    for words in ["check", "engine", "status"] {
        wrong.says(words).await.is(CONFIG, &["config.toml:2:8"]);
    }
    fs::remove_file(wrong.dir().join("config.toml")).unwrap();
    wrong.says("status").await.is(CONFIG, &["config.toml", "mayday init"]);
    assert!(!wrong.state().exists(), "nothing is made for a config that is wrong");
}

#[tokio::test]
async fn something_else_at_the_socket_is_not_taken_for_an_engine() {
    let home = Home::new(EMPTY);
    let socket = home.dir().join("other.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let other = axum::Router::new().fallback(|| async { "I am somebody else" });
    let serving = tokio::spawn(async move { axum::serve(listener, other).await });
    let mut command = home.mayday("status");
    said({
        command.arg("--socket").arg(&socket);
        command
    })
    .await
    .is(UNREACHABLE, &["is no engine of this version"]);
    let mut command = home.mayday("engine");
    command.arg("--socket").arg(&socket);
    said(command).await.is(UNREACHABLE, &["another engine answers there", "--state-dir"]);
    serving.abort();
}
