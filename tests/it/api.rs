//! The API over its socket: who may talk, what is answered, what garbage does (nothing), and what a stream of events promises.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mayday::api::client::{Client, Fed, Feed};
use mayday::api::openapi;
use mayday::api::protocol::{DRAFTS, EVENTS, ErrorCode, LOOKS, RELOAD, REPORT, ROUTES, Route, STOP, WITHOUT};
use mayday::api::server::{self, Limits};
use mayday::domain::actor::Actor;
use mayday::domain::command::Ask;
use mayday::domain::comms::Bare;
use mayday::domain::ids::SessionId;
use mayday::domain::live::Attached;
use mayday::domain::plan::Plan;
use mayday::domain::view::Update;
use mayday::engine::clock::Machine;
use mayday::engine::{Channels, Handle, Parts};
use mayday::journal::{SqliteJournal, replay};
use mayday::lab::STANDBY;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::common::{Validator, estate, eventually, follow, spec};

/// How long an answer may take: only a bound for a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);
/// Lets go of whoever dawdles, soon.
const BRIEF: Limits = Limits {
    connections: 4,
    observers: 2,
    head: 32 * 1024,
    body: 64 * 1024,
    sending: Duration::from_millis(200),
    group: None,
    taking: Duration::from_millis(200),
};

/// An engine of an empty estate, and its server, in this process.
struct Site {
    dir: TempDir,
    socket: PathBuf,
    engine: Handle,
    client: Client,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Site {
    async fn start(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(dir.path()).await.unwrap();
        let state = replay(journal.reader()).await.unwrap();
        let plan = Plan {
            id: "wait".into(),
            title: "Wait".into(),
            about: "For the standby".into(),
            steps: vec![spec("mayday.healthy", STANDBY, json!({}))],
            fingerprint: "0".repeat(64),
            target: None,
        };
        let parts = Parts {
            rota: None,
            driller: None,
            channels: Channels::none(),
            wording: Arc::new(Bare),
            estate: estate(),
            plans: vec![Arc::new(plan)],
            journal: Arc::new(journal),
            pen: None,
            state,
            systems: BTreeMap::new(),
            reporter: Arc::new(mayday::report::Reports),
            records: dir.path().join("records"),
            clock: Arc::new(Machine::new()),
            apart: None,
        };
        let engine = Handle::start(parts).await.unwrap();
        // It is journalled: what comes after it in a test is the test's doing.
        eventually("the plan is held against reality", async || {
            (!engine.snapshot().live.readiness.is_empty()).then_some(())
        })
        .await;
        let socket = dir.path().join("engine.sock");
        let listener = server::listen(&socket).unwrap();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server::serve(listener, socket.clone(), engine.clone(), limits, stop.clone()));
        Self { client: Client::new(&socket), dir, socket, engine, stop, serving }
    }

    async fn note(&self, text: &str) {
        self.client.ask(&Ask::Note { text: text.into() }).await.unwrap();
    }

    async fn hold(&self) {
        self.client.ask(&Ask::Hold { reason: "the end".into() }).await.unwrap();
    }

    /// Something changes that is not journalled.
    fn stir(&self, number: u32) {
        let who = Attached {
            name: format!("{number} {}", "a".repeat(200)),
            uid: 7,
            since: jiff::Timestamp::now(),
            read_only: true,
            looks_at: None,
        };
        self.engine.attach("stirring".into(), who);
    }
}

/// What is answered to these bytes until the other side closes; `None` if it does not.
async fn say(socket: &Path, bytes: &[u8]) -> Option<String> {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    // It may be closed before everything is said.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.ok()?.ok();
    Some(String::from_utf8_lossy(&answer).into_owned())
}

/// A request whose connection ends with the answer.
fn request(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: mayday\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Status, media type and body.
fn parts(answer: &str) -> (u16, &str, Value) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let media = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
    let value =
        if media.starts_with("text/plain") { body.into() } else { serde_json::from_str(body).unwrap_or_default() };
    (status, media, value)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn the_socket_is_for_its_owner_and_a_dead_engines_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("engine.sock");
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let listener = server::listen(&socket).unwrap();
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(mode(dir.path()), 0o755, "the folder may be anybody's, such as /tmp");
    assert_eq!(server::listen(&socket).unwrap_err().kind(), ErrorKind::AddrInUse);
    drop(listener);
    assert!(socket.exists(), "what a killed engine leaves behind");
    drop(server::listen(&socket).unwrap());
    let file = dir.path().join("precious");
    fs::write(&file, "not a socket").unwrap();
    assert_eq!(server::listen(&file).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read_to_string(&file).unwrap(), "not a socket");
}

#[tokio::test]
async fn whoever_asks_is_known_by_the_kernels_word() {
    let site = Site::start(Limits::default()).await;
    site.note("who am I?").await;
    let records = site.client.records(0, 100).await.unwrap();
    assert_eq!(records.last().unwrap().actor.uid, Some(rustix::process::getuid().as_raw()));
    if rustix::process::getuid().is_root() {
        refuses_another_user(&site).await;
    }
}

/// Even where the mode of the socket would let them in. Only root can be somebody else.
async fn refuses_another_user(site: &Site) {
    const NOBODY: u32 = 65534;
    fs::set_permissions(site.dir.path(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&site.socket, Permissions::from_mode(0o666)).unwrap();
    // Where the tests were built, nobody may be allowed to look.
    let program = site.dir.path().join("mayday");
    fs::copy(env!("CARGO_BIN_EXE_mayday"), &program).unwrap();
    let mut command = Command::new(program);
    command.args(["hold", "on"]).arg("--socket").arg(&site.socket).arg("--state-dir").arg(site.dir.path());
    command.arg("--config").arg("none").current_dir("/").uid(NOBODY).gid(NOBODY);
    let refused = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(5), "{words}");
    assert!(words.contains("belongs to another user"), "{words}");
    assert_eq!(site.client.snapshot().await.unwrap().state.hold, None);
}

/// Whether a value is what a schema of the document says.
fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let mut root = schema.clone();
    root["components"] = document["components"].clone();
    Validator::new(&root).check(value)
}

fn schema<'d>(document: &'d Value, route: &Route, status: &str, media: &str) -> &'d Value {
    let answers = &document["paths"][route.path][route.method.to_lowercase()]["responses"][status]["content"];
    answers.get(media).map(|content| &content["schema"]).unwrap_or_else(|| panic!("no {media} of {}", route.path))
}

#[tokio::test]
async fn every_route_answers_as_the_document_says() {
    let site = Site::start(Limits::default()).await;
    let document = openapi::document();
    // The last one ends the engine.
    let (last, rest) = ROUTES.split_last().unwrap();
    assert_eq!((last, document["paths"].as_object().unwrap().len()), (&STOP, ROUTES.len()));
    for route in rest.iter().filter(|route| **route != EVENTS).chain([last]) {
        let body = match route.request {
            "" => "",
            "Sending" => r#"{"alerts":[{"status":"firing","labels":{"alertname":"a test"}}]}"#,
            _ => r#"{"command":"hold","reason":"a test"}"#,
        };
        let answer =
            say(&site.socket, request(route.method, &route.path.replace("{id}", "wait"), body).as_bytes()).await;
        let answer = answer.unwrap();
        let (status, media, value) = parts(&answer);
        // What is about an attached cockpit, an incident, a region, or a config is refused where there is none.
        if [LOOKS, REPORT, RELOAD, WITHOUT].contains(route) {
            let error = schema(&document, route, "default", "application/json");
            assert!([400, 409].contains(&status), "{}: {status}", route.path);
            fits(&document, error, &value).unwrap_or_else(|why| panic!("{}: {why}", route.path));
            continue;
        }
        assert_eq!((status, media), (200, route.media()), "{}", route.path);
        fits(&document, schema(&document, route, "200", media), &value)
            .unwrap_or_else(|why| panic!("{}: {why}", route.path));
        assert!(
            value.is_object()
                // Without an incident there is nothing to tell.
                || *route == DRAFTS && value == json!([])
                || value.as_array().is_some_and(|it| !it.is_empty())
                || value.as_str().is_some_and(|it| !it.is_empty()),
            "{}: an empty answer proves nothing",
            route.path
        );
    }
    timeout(PATIENCE, site.serving).await.expect("it was told to stop").unwrap();
    assert!(!site.socket.exists());
}

#[tokio::test]
async fn the_stream_is_what_the_document_says() {
    let site = Site::start(Limits::default()).await;
    let document = openapi::document();
    let mut stream = UnixStream::connect(&site.socket).await.unwrap();
    stream.write_all(request("GET", EVENTS.path, "").as_bytes()).await.unwrap();
    let mut heard = String::new();
    let mut hear = async |end: &str| {
        while !heard.contains(end) {
            let mut buffer = [0; 4096];
            let count = timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
            assert_ne!(count, 0, "{heard}");
            heard.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        heard.clone()
    };
    hear("event: snapshot").await;
    site.note("a first update").await;
    let heard = hear("a first update").await;
    let update = heard.split("event: update\ndata: ").nth(1).unwrap().lines().next().unwrap();
    assert!(heard.to_lowercase().contains(&format!("content-type: {}", EVENTS.media())), "{heard}");
    fits(&document, schema(&document, &EVENTS, "200", EVENTS.media()), &serde_json::from_str(update).unwrap()).unwrap();
}

#[tokio::test]
async fn nonsense_is_answered_with_an_error_of_the_document() {
    let site = Site::start(BRIEF).await;
    let document = openapi::document();
    let seq = site.client.snapshot().await.unwrap().state.seq;
    let (huge, deep) = ("x".repeat(65 * 1024), "[".repeat(60_000));
    let cases = [
        ("unknown route", request("GET", "/v1/nothing", "")),
        ("wrong method", request("DELETE", "/v1/snapshot", "")),
        ("a method of nobody's", request("BREW", "/v1/commands", "")),
        ("no JSON", request("POST", "/v1/commands", "hold it")),
        ("JSON of another shape", request("POST", "/v1/commands", "[]")),
        ("deep JSON", request("POST", "/v1/commands", &deep)),
        ("unknown command", request("POST", "/v1/commands", r#"{"command":"explode"}"#)),
        ("unknown field", request("POST", "/v1/commands", r#"{"command":"hold","force":true}"#)),
        ("no body", request("POST", "/v1/commands", "")),
        ("huge body", request("POST", "/v1/commands", &huge)),
        ("half a body", request("POST", "/v1/commands", "{}").replace("length: 2", "length: 999")),
        ("no number", request("GET", "/v1/journal?after=yesterday", "")),
        ("less than nothing", request("GET", "/v1/journal?limit=-1", "")),
        ("no truth value", request("GET", "/v1/events?session=a&read_only=perhaps", "")),
        ("no text", request("GET", "/v1/plans/%ff/by-hand", "")),
        ("a path up and away", request("GET", "/v1/plans/..%2f..%2fetc%2fpasswd/by-hand", "")),
        ("no plan", request("POST", "/v1/plans/nothing/preview", "")),
    ];
    for (what, bytes) in cases {
        let answer = say(&site.socket, bytes.as_bytes()).await.unwrap_or_else(|| panic!("{what}: no end"));
        let (status, media, value) = parts(&answer);
        assert!((400..500).contains(&status), "{what}: {answer}");
        assert_eq!(media, "application/json", "{what}: {answer}");
        fits(&document, &document["components"]["schemas"]["Error"], &value)
            .unwrap_or_else(|why| panic!("{what}: {why}"));
        assert_ne!(value["next"], "", "{what}: says what to do");
    }
    // What the engine finds out meanwhile is its own.
    let records = site.client.records(seq, 100).await.unwrap();
    let asked: Vec<_> = records.iter().filter(|record| record.actor != Actor::engine()).collect();
    assert!(asked.is_empty(), "nothing of it was journalled: {asked:?}");
}

#[tokio::test]
async fn what_is_no_http_ends_its_own_connection_only() {
    let site = Site::start(BRIEF).await;
    let mut watcher = site.client.feed();
    assert!(matches!(watcher.next().await, Fed::Snapshot(_)));
    let long = "x".repeat(1024 * 1024);
    let mut cases: Vec<Vec<u8>> = [
        "\0\0\0\0\r\n\r\n".to_owned(),
        "GET /v1/snapshot HTTP/1.1\r\nho".to_owned(),
        "GET".to_owned(),
        String::new(),
        format!("GET /{long} HTTP/1.1\r\n\r\n"),
        format!("GET /v1/snapshot HTTP/1.1\r\nhost: {long}\r\n\r\n"),
        format!("GET /v1/snapshot HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(10_000)),
        "POST /v1/commands HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\n{}".to_owned(),
        "POST /v1/commands HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}".to_owned(),
        "POST /v1/commands HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
    ]
    .map(String::into_bytes)
    .into();
    // Noise, and requests with noise in them; always the same, so that a failure can be looked at.
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for number in 0..60 {
        let mut bytes = request("POST", "/v1/commands", r#"{"command":"note","text":"noise"}"#).into_bytes();
        let hits = if number % 2 == 0 { bytes.len() } else { 3 };
        for _ in 0..hits {
            let at = random() as usize % bytes.len();
            bytes[at] = random() as u8;
        }
        cases.push(bytes);
    }
    for bytes in &cases {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
        assert!(say(&site.socket, bytes).await.is_some(), "left open: {shown:?}");
    }
    site.note("all is well").await;
    let mut seen = None;
    while seen.as_deref() != Some("all is well") {
        match timeout(PATIENCE, watcher.next()).await.expect("the watcher is served") {
            Fed::Update(Update::Record { record }) => {
                seen = serde_json::to_value(&record.event).unwrap()["text"].as_str().map(str::to_owned);
            }
            Fed::Lost(error) => panic!("the watcher lost its stream: {error}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn dawdlers_take_no_place_for_good() {
    let site = Site::start(BRIEF).await;
    let mut dawdlers = Vec::new();
    // More than there is room for: of three kinds, and none of them ever goes on.
    for number in 0..3 * BRIEF.connections {
        let mut stream = UnixStream::connect(&site.socket).await.unwrap();
        let words =
            ["", "GET /v1/snap", "POST /v1/commands HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n{"][number % 3];
        stream.write_all(words.as_bytes()).await.unwrap();
        dawdlers.push(stream);
    }
    site.note("got through").await;
    for mut stream in dawdlers {
        timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.expect("let go").unwrap();
    }
}

#[tokio::test]
async fn who_takes_nothing_of_its_answer_is_let_go() {
    let site = Site::start(BRIEF).await;
    let mut stuck = UnixStream::connect(&site.socket).await.unwrap();
    let query = format!("{}?session=stuck", EVENTS.path);
    stuck.write_all(request("GET", &query, "").as_bytes()).await.unwrap();
    let attached = async || {
        let live = site.engine.snapshot().live;
        live.attached.contains_key(&SessionId::from("stuck"))
    };
    eventually("the stuck one is attached", async || attached().await.then_some(())).await;
    // Far more than a socket holds, and no more than a listener may be behind.
    for number in 0..4000 {
        site.stir(number);
    }
    eventually("the stuck one is let go", async || (!attached().await).then_some(())).await;
    site.note("the engine goes on").await;
}

#[tokio::test]
async fn there_is_room_for_so_many_observers_and_always_for_commands() {
    let site = Site::start(BRIEF).await;
    let mut feeds: Vec<Feed> = (0..BRIEF.observers).map(|_| site.client.feed()).collect();
    for feed in &mut feeds {
        assert!(matches!(feed.next().await, Fed::Snapshot(_)));
    }
    let answer = say(&site.socket, request("GET", EVENTS.path, "").as_bytes()).await.unwrap();
    let (status, _, value) = parts(&answer);
    assert_eq!((status, value["code"].as_str()), (409, Some("refused")), "{answer}");
    let Fed::Lost(error) = site.client.feed().next().await else { panic!("there is no room") };
    assert_eq!(error.code, ErrorCode::Refused, "the client is told why: {error}");
    site.note("got through").await;
    drop(feeds);
    let listens = async || matches!(site.client.feed().next().await, Fed::Snapshot(_)).then_some(());
    eventually("there is room again", listens).await;
}

#[tokio::test]
async fn who_is_refused_keeps_nobody_else_out() {
    let site = Site::start(Limits { sending: Duration::from_secs(600), ..BRIEF }).await;
    let mut feeds: Vec<Feed> = (0..BRIEF.observers).map(|_| site.client.feed()).collect();
    for feed in &mut feeds {
        assert!(matches!(feed.next().await, Fed::Snapshot(_)));
    }
    // Far more than there is room for, none of which ends by itself.
    let ask = format!("GET {} HTTP/1.1\r\nHost: mayday\r\n\r\n", EVENTS.path);
    let mut held = Vec::new();
    for _ in 0..BRIEF.connections * 10 {
        let mut stream = UnixStream::connect(&site.socket).await.unwrap();
        stream.write_all(ask.as_bytes()).await.unwrap();
        held.push(stream);
    }
    site.note("got through").await;
    drop(held);
}

#[tokio::test]
async fn many_observers_all_see_everything_once() {
    const OBSERVERS: usize = 100;
    let site = Site::start(Limits::default()).await;
    let wholes = Arc::new(AtomicUsize::new(0));
    let follower = |_| tokio::spawn(follow(site.client.feed(), wholes.clone()));
    let followers: Vec<_> = (0..OBSERVERS).map(follower).collect();
    let listen = async || (wholes.load(Ordering::SeqCst) == OBSERVERS).then_some(());
    eventually("all of them listen", listen).await;
    for number in 0..40 {
        site.note(&format!("note {number}")).await;
        site.stir(number);
    }
    site.hold().await;
    for follower in followers {
        assert_eq!(follower.await.unwrap().state, site.engine.snapshot().state);
    }
    assert_eq!(wholes.load(Ordering::SeqCst), OBSERVERS, "none of them needed everything twice");
}

/// Passes bytes on to the engine's socket, and breaks every connection after so many of them.
async fn break_after(bytes: u64, from: PathBuf, to: PathBuf) {
    let listener = UnixListener::bind(from).unwrap();
    loop {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = UnixStream::connect(&to).await.unwrap();
        tokio::spawn(async move {
            let (mut asks, mut asked) = near.split();
            let (answers, mut answered) = far.split();
            let mut answers = answers.take(bytes);
            tokio::select! {
                _ = tokio::io::copy(&mut asks, &mut answered) => {}
                _ = tokio::io::copy(&mut answers, &mut asked) => {}
            }
        });
    }
}

#[tokio::test]
async fn a_stream_that_breaks_is_taken_up_again_with_nothing_lost_or_doubled() {
    let site = Site::start(Limits::default()).await;
    let whole = serde_json::to_vec(&site.engine.snapshot()).unwrap().len() as u64;
    let relay = site.dir.path().join("relay.sock");
    let relaying = tokio::spawn(break_after(2 * whole, relay.clone(), site.socket.clone()));
    eventually("the relay listens", async || relay.exists().then_some(())).await;
    let wholes = Arc::new(AtomicUsize::new(0));
    let follower = tokio::spawn(follow(Client::new(&relay).feed(), wholes.clone()));
    let broken_often = async || {
        site.note("a note").await;
        (0..20).for_each(|number| site.stir(number));
        (wholes.load(Ordering::SeqCst) > 4).then_some(())
    };
    eventually("it has broken four times", broken_often).await;
    site.hold().await;
    assert_eq!(follower.await.unwrap().state, site.engine.snapshot().state);
    relaying.abort();
}

#[tokio::test]
async fn a_listener_that_cannot_keep_up_gets_everything_anew() {
    let site = Site::start(Limits::default()).await;
    let mut slow = site.client.feed();
    let Fed::Snapshot(mut view) = slow.next().await else { panic!("first comes the whole") };
    // More than the engine keeps for a listener, and than the socket holds.
    for number in 0..30_000 {
        site.stir(number);
    }
    site.note("the last word").await;
    let until = site.engine.snapshot().state.seq;
    let (mut wholes, mut updates) = (0, 0);
    while view.state.seq < until {
        match timeout(PATIENCE, slow.next()).await.expect("it is served at its own pace") {
            Fed::Snapshot(whole) => (view, wholes) = (whole, wholes + 1),
            Fed::Update(update) => {
                view.take(&update).unwrap();
                updates += 1;
            }
            Fed::Alive => {}
            Fed::Lost(error) => panic!("a slow listener is not let go: {error}"),
        }
    }
    assert_eq!(view.state, site.engine.snapshot().state);
    assert_eq!(view.live, site.engine.snapshot().live);
    assert!(wholes == 1 && updates < 30_000, "{wholes} times everything, {updates} updates");
}

#[tokio::test]
async fn a_cockpit_is_attached_while_it_listens_and_disarmed_when_it_goes() {
    let site = Site::start(Limits::default()).await;
    let session = SessionId::from("cockpit-1");
    let cockpit = Client::cockpit(&site.socket, session.clone(), false);
    let mut feed = cockpit.feed();
    let Fed::Snapshot(view) = feed.next().await else { panic!("first comes the whole") };
    assert!(view.live.attached.contains_key(&session));
    cockpit.ask(&Ask::Arm {}).await.unwrap();
    assert!(site.engine.snapshot().state.armed.contains_key(&session));
    drop(feed);
    let gone = async || {
        let view = site.engine.snapshot();
        (!view.live.attached.contains_key(&session) && view.state.armed.is_empty()).then_some(())
    };
    eventually("it is detached and disarmed", gone).await;
    let onlooker = Client::cockpit(&site.socket, "cockpit-2".into(), true);
    let refused = onlooker.ask(&Ask::Hold { reason: "no".into() }).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Refused);
}

#[tokio::test]
async fn a_session_is_its_users_and_one_that_came_back_is_not_gone() {
    let site = Site::start(Limits::default()).await;
    let uid = rustix::process::getuid().as_raw() + 1;
    let bob = Attached { name: "bob".into(), uid, since: jiff::Timestamp::now(), read_only: false, looks_at: None };
    assert!(site.engine.attach("bobs".into(), bob));
    let thief = Client::cockpit(&site.socket, "bobs".into(), false);
    for ask in [Ask::Arm {}, Ask::Disarm {}, Ask::Hold { reason: "x".into() }] {
        assert_eq!(thief.ask(&ask).await.unwrap_err().code, ErrorCode::Forbidden, "{ask:?}");
    }
    let Fed::Lost(error) = thief.feed().next().await else { panic!("attached as somebody else") };
    assert_eq!(error.code, ErrorCode::Forbidden);
    assert_eq!(site.engine.holder(&"bobs".into()), Some(uid));

    // The line dropped, the cockpit is back before that is noticed: the first connection's end disarms nothing.
    let own = Client::cockpit(&site.socket, "own".into(), false);
    let (mut first, mut second) = (own.feed(), own.feed());
    assert!(matches!(first.next().await, Fed::Snapshot(_)) && matches!(second.next().await, Fed::Snapshot(_)));
    own.ask(&Ask::Arm {}).await.unwrap();
    drop(first);
    site.stir(1);
    while !matches!(second.next().await, Fed::Alive) {}
    assert!(site.engine.holder(&"own".into()).is_some());
    assert!(site.engine.snapshot().state.armed.contains_key(&SessionId::from("own")));
    drop(second);
    eventually("it is gone", async || site.engine.snapshot().state.armed.is_empty().then_some(())).await;
}

#[tokio::test]
async fn nobodys_word_makes_a_drill_pass() {
    let site = Site::start(Limits::default()).await;
    let stages: Vec<Value> =
        mayday::domain::drill::Stage::ALL.iter().map(|stage| json!([stage, true, "fine"])).collect();
    let result = json!({
        "name": "monthly", "cadence": "monthly", "plan": "wait", "scenario": "region-dark", "estate": "lab",
        "started_at": "2026-01-01T00:00:00Z", "passed": true, "stages": stages, "rto": {}, "rpo": {}, "steps": {},
        "left_behind": [], "bundle": "/nowhere",
    });
    let ask = Ask::RecordDrill { result: serde_json::from_value(result).unwrap() };
    let refused = site.client.ask(&ask).await.unwrap_err();
    assert!(refused.to_string().contains("is not believed"), "{refused}");
    assert!(site.engine.snapshot().state.drills.is_empty());
}

#[tokio::test]
async fn the_end_of_the_engine_ends_streams_and_finishes_answers() {
    let site = Site::start(Limits::default()).await;
    let mut feed = site.client.feed();
    assert!(matches!(feed.next().await, Fed::Snapshot(_)));
    let accepted = site.client.stop().await.expect("the answer arrives although the engine ends");
    assert_eq!(accepted.note.as_deref(), Some("the engine stops"));
    timeout(PATIENCE, site.serving).await.unwrap().unwrap();
    assert!(site.stop.is_cancelled() && !site.socket.exists());
    while !matches!(timeout(PATIENCE, feed.next()).await.unwrap(), Fed::Lost(_)) {}
    assert_eq!(site.client.snapshot().await.unwrap_err().code, ErrorCode::Unreachable);
}
