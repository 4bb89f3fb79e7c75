//! A journal that engines share in a real PostgreSQL, behind a line that can be cut. Needs `initdb` and `postgres` (Debian's `postgresql`).

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use mayday::domain::command::Ask;
use mayday::domain::event::Event;
use mayday::domain::journal::{Chain, Journal, Records};
use mayday::domain::time::At;
use mayday::engine::clock::Machine;
use mayday::engine::{Lease, Pen, campaign};
use mayday::journal::SharedJournal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::common::eventually;
use crate::ledger_contract::{self as contract, note, who};
use crate::pair::{Blow, NAMES, Pair, Store, follows, killed_at_every, play, same};
use crate::process::{EMPTY, Home};
use crate::server::{Server, free_port};

/// Nobody's, whom the server does not refuse to run as.
const NOBODY: u32 = 65534;

fn program(name: &str) -> PathBuf {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = debian.map(|it| it.path().join("bin").join(name)).filter(|it| it.exists()).collect();
    found.sort();
    found.pop().unwrap_or_else(|| name.into())
}

/// As somebody else, where this is root.
fn plainly(program: &Path) -> Command {
    if !rustix::process::getuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]).arg(program);
    command
}

/// A server, and its files.
struct Bed {
    server: Server,
    port: u16,
    dir: TempDir,
}

impl Bed {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        if rustix::process::getuid().is_root() {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
            chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let mut made = plainly(&program("initdb"));
        made.args(["--username=mayday", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
            .arg(&data);
        let made = made.stdout(Stdio::null()).stderr(Stdio::inherit()).status().unwrap();
        assert!(made.success(), "a cluster is made");
        let port = free_port();
        let mut bed = Self { server: Self::serve(&data, port), port, dir };
        bed.answers().await;
        bed
    }

    fn serve(data: &Path, port: u16) -> Server {
        let mut command = plainly(&program("postgres"));
        command.arg("-D").arg(data).args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", ""]);
        Server::start(&mut command, port)
    }

    async fn answers(&mut self) {
        let own = tempfile::tempdir().unwrap();
        eventually("PostgreSQL answers", async || {
            self.server.lives();
            SharedJournal::postgres(&url(self.port), own.path()).await.ok()
        })
        .await;
    }

    /// As power loss would, and on again.
    async fn restart(&mut self) {
        self.server.kill();
        let data = self.dir.path().join("data");
        // Its children end when they notice.
        eventually("nothing listens any more", async || {
            let _ = fs::remove_file(data.join("postmaster.pid"));
            std::net::TcpListener::bind(("127.0.0.1", self.port)).is_ok().then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.server = Self::serve(&data, self.port);
        self.answers().await;
    }

    /// A journal of its own in this server, as each of `count` engines has it.
    async fn journals(&self, count: usize) -> (Vec<TempDir>, Vec<Arc<dyn Journal>>) {
        let (mut dirs, mut journals): (Vec<TempDir>, Vec<Arc<dyn Journal>>) = Default::default();
        for _ in 0..count {
            let dir = tempfile::tempdir().unwrap();
            journals.push(Arc::new(SharedJournal::postgres(&url(self.port), dir.path()).await.unwrap()));
            dirs.push(dir);
        }
        (dirs, journals)
    }
}

fn url(port: u16) -> String {
    format!("postgres://mayday@127.0.0.1:{port}/postgres?sslmode=disable")
}

/// Where engines find it, by its port.
struct Served(u16);

impl Store for Served {
    fn toml(&self) -> String {
        format!("postgres = {{ url = {{ command = [\"printf\", {:?}] }} }}", url(self.0))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: .ci/run installs it"]
async fn postgres_keeps_the_contract_of_the_ledger() {
    let mut bed = Bed::start().await;
    let (_dirs, journals) = bed.journals(3).await;
    let (one, two) = (journals[0].clone(), journals[1].clone());
    contract::appends_for_its_term_and_tail_alone(one.clone(), two.clone()).await;
    contract::leads_one_after_the_other(one.clone(), two.clone()).await;
    contract::one_of_many_wins(&journals).await;
    contract::hands_over_once(one.clone(), two.clone()).await;
    contract::meets(one.clone(), two.clone()).await;
    contract::wakes(one.clone(), two.clone()).await;
    let tail = one.tail().await.unwrap();
    bed.restart().await;
    let (_more, again) = bed.journals(1).await;
    assert_eq!(again[0].verify().await.unwrap(), tail, "what was durable survives the server's death");
    // Whoever made connections before finds them dead, and new ones alive.
    eventually("the old ones go on", async || one.tail().await.ok().filter(|found| *found == tail)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: .ci/run installs it"]
async fn a_url_that_leads_nowhere_or_lets_nobody_in_is_told_without_its_password() {
    let bed = Bed::start().await;
    let dir = tempfile::tempdir().unwrap();
    let port = bed.port;
    for (url, words) in [
        (format!("postgres://mayday:hunter2@127.0.0.1:{port}/nowhere"), "createdb"),
        (format!("postgres://stranger:hunter2@127.0.0.1:{port}/postgres"), "password that the server takes"),
        ("postgres://mayday:hunter2@127.0.0.1:1/postgres".to_owned(), "reachable from this host"),
        ("hunter2".to_owned(), "postgres://USER"),
    ] {
        let told = SharedJournal::postgres(&url, dir.path()).await.err().unwrap().to_string();
        assert!(told.contains(words) && !told.contains("hunter2"), "{told}");
    }
}

/// What a line does with what comes to it.
const THROUGH: u8 = 0;
/// New connections are refused, and those that there were are cut.
const CUT: u8 = 1;
/// The next answer is swallowed, and its connection cut.
const SWALLOWS: u8 = 2;
/// Nothing goes through, and nobody is told.
const SILENT: u8 = 3;

/// A line between engines and the store.
struct Line {
    port: u16,
    does: Arc<AtomicU8>,
    serving: JoinHandle<()>,
}

impl Line {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (own, does) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU8::new(THROUGH)));
        let serving = tokio::spawn({
            let does = does.clone();
            async move {
                while let Ok((near, _)) = listener.accept().await {
                    tokio::spawn(carry(near, port, does.clone()));
                }
            }
        });
        Self { port: own, does, serving }
    }

    fn set(&self, does: u8) {
        self.does.store(does, Ordering::SeqCst);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn carry(near: TcpStream, port: u16, does: Arc<AtomicU8>) {
    if does.load(Ordering::SeqCst) == CUT {
        return;
    }
    let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let ((mut from_near, mut to_near), (mut from_far, mut to_far)) = (near.into_split(), far.into_split());
    let waits = async |does: &AtomicU8| {
        while does.load(Ordering::SeqCst) == SILENT {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let there = async {
        let mut bytes = vec![0; 65536];
        while let Ok(count @ 1..) = from_near.read(&mut bytes).await {
            waits(&does).await;
            if to_far.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
    };
    let back = async {
        let mut bytes = vec![0; 65536];
        while let Ok(count @ 1..) = from_far.read(&mut bytes).await {
            waits(&does).await;
            // The server has answered, so it is done; nobody hears of it.
            let swallowed = does.compare_exchange(SWALLOWS, THROUGH, Ordering::SeqCst, Ordering::SeqCst).is_ok();
            if swallowed || to_near.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
    };
    let cut = async {
        while does.load(Ordering::SeqCst) != CUT {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! { () = there => {}, () = back => {}, () = cut => {} }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: .ci/run installs it"]
async fn a_commit_whose_answer_is_swallowed_is_found_and_not_made_twice() {
    let bed = Bed::start().await;
    let line = Line::to(bed.port).await;
    let dir = tempfile::tempdir().unwrap();
    let journal = Arc::new(SharedJournal::postgres(&url(line.port), dir.path()).await.unwrap());
    let lease = Lease { length: Duration::from_secs(60), clock: Arc::new(Machine::new()) };
    let pen = Pen::shared(journal.clone(), who("one"), lease, Chain::default());
    campaign(&pen).await;
    for round in 0..10 {
        pen.append(At::now(), vec![note(&format!("heard {round}"))]).await.unwrap();
        line.set(SWALLOWS);
        // What the server had prepared for it may be asked for first, and is asked for again then.
        let answer = pen.append(At::now(), vec![note(&format!("lost {round}"))]).await;
        if answer.is_err() {
            line.set(THROUGH);
            pen.append(At::now(), vec![note(&format!("lost {round}"))]).await.unwrap();
        }
    }
    line.set(THROUGH);
    let texts: Vec<String> = journal
        .read(0, 100)
        .await
        .unwrap()
        .into_iter()
        .filter_map(|record| match record.event {
            Event::NoteAdded { text } => Some(text),
            _ => None,
        })
        .collect();
    let expected: Vec<String> = (0..10).flat_map(|round| [format!("heard {round}"), format!("lost {round}")]).collect();
    assert_eq!(texts, expected);
    assert_eq!(journal.verify().await.unwrap(), pen.tail());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: .ci/run installs it"]
async fn a_leader_that_is_cut_off_stops_and_says_so_and_the_other_leads() {
    let bed = Bed::start().await;
    for fault in [CUT, SILENT] {
        let line = Line::to(bed.port).await;
        let pair = Pair::new(&Served(bed.port), "3s", || Home::new(EMPTY));
        // The first finds the store behind the line.
        let config = pair.homes[0].dir().join("config.toml");
        let text = fs::read_to_string(&config).unwrap().replace(&bed.port.to_string(), &line.port.to_string());
        fs::write(&config, text).unwrap();
        let [_first, mut second] = pair.both().await;
        let sent = pair.client(0).ask(&Ask::Note { text: "before".into() }).await.unwrap();
        line.set(fault);
        let begun = Instant::now();
        pair.sees(1, "leads", |it| it.leads).await;
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        pair.client(1).ask(&Ask::Note { text: "meanwhile".into() }).await.unwrap();
        let view = pair.sees(0, "says that it is cut off", |it| !it.leads && it.fault.is_some()).await;
        assert!(view.state.seq >= sent.seq, "it shows what it knows");
        pair.homes[0].says("status").await.is(0, &["the shared journal cannot be reached from here"]);
        pair.homes[0].says("engines").await.is(9, &["cannot be reached"]);
        // A HOLD holds where it was asked for, and says that it holds nowhere else.
        pair.homes[0].says("hold on --reason here").await.is(0, &["ON THIS ENGINE ALONE"]);
        assert!(pair.client(0).snapshot().await.unwrap().state.hold.is_some());
        let refused = pair.client(0).ask(&Ask::Note { text: "lost".into() }).await.unwrap_err();
        assert!(refused.what.contains("nothing was done"), "{refused}");
        line.set(THROUGH);
        pair.sees(0, "follows the other", |it| it.living_leader().is_some_and(|it| it.name == NAMES[1])).await;
        // It leads again when the other one dies, and its HOLD is the first thing that it writes.
        second.kill().await;
        pair.sees(0, "leads again", |it| it.leads).await;
        let view = eventually("its HOLD is written", async || {
            let view = pair.client(0).snapshot().await.ok()?;
            let records = pair.client(0).records(0, 1000).await.ok()?;
            records.iter().any(|it| matches!(it.event, Event::HoldSet { .. })).then_some(view)
        })
        .await;
        assert_eq!(view.state.hold.unwrap().reason, "here");
        pair.client(0).ask(&Ask::Release { reason: String::new() }).await.unwrap();
        pair.client(0).verify().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: .ci/run installs it"]
async fn an_engine_that_starts_while_the_store_is_gone_shows_what_was_known_and_follows_when_it_is_back() {
    let bed = Bed::start().await;
    let line = Line::to(bed.port).await;
    let pair = Pair::new(&Served(line.port), "3s", || Home::new(EMPTY));
    let mut first = pair.start(0, None);
    pair.sees(0, "leads", |it| it.leads).await;
    let noted = pair.client(0).ask(&Ask::Note { text: "known".into() }).await.unwrap();
    // An orderly end keeps what is known.
    pair.client(0).stop().await.unwrap();
    first.end().await;
    line.set(CUT);
    // One that has never seen the journal has nothing to show.
    pair.homes[1].says("engine").await.is(8, &["reachable from this host"]);
    let _first = pair.start(0, None);
    let view = pair.sees(0, "shows what was known", |it| it.fault.is_some() && !it.leads).await;
    assert_eq!(view.state.seq, noted.seq);
    pair.homes[0].says("status").await.is(0, &["the shared journal cannot be reached from here"]);
    line.set(THROUGH);
    pair.sees(0, "leads", |it| it.leads).await;
    pair.client(0).ask(&Ask::Note { text: "back".into() }).await.unwrap();
    pair.client(0).verify().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: .ci/run installs it"]
async fn a_server_that_is_restarted_costs_nothing_but_time() {
    let mut bed = Bed::start().await;
    let pair = Pair::new(&Served(bed.port), "10s", || Home::new(EMPTY));
    let _engines = pair.both().await;
    pair.client(0).ask(&Ask::Note { text: "before".into() }).await.unwrap();
    bed.restart().await;
    eventually("somebody writes again", async || {
        let leads = pair.client(0).snapshot().await.ok()?.live.engines?.leads;
        pair.client(usize::from(!leads)).ask(&Ask::Note { text: "after".into() }).await.ok()
    })
    .await;
    pair.sees(1, "follows, or leads", |it| it.leads || follows(it)).await;
    pair.client(1).verify().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs PostgreSQL: .ci/run installs it"]
async fn a_failover_ends_well_on_postgres_whenever_its_leader_is_killed_or_stopped() {
    killed_at_every(9, async || Own(Bed::start().await)).await;
    let calm = play(&Own(Bed::start().await), Blow::None).await;
    for after in [6, 30] {
        let played = play(&Own(Bed::start().await), Blow::Stop(after)).await;
        same(&calm, &played, &format!("stopped after {after} records"));
    }
}

/// A server of its own for each failover.
struct Own(Bed);

impl Store for Own {
    fn toml(&self) -> String {
        Served(self.0.port).toml()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: .ci/run installs it"]
async fn an_append_is_durable_within_ten_milliseconds_at_the_median() {
    let bed = Bed::start().await;
    let (_dirs, journals) = bed.journals(1).await;
    let term = contract::lead(&*journals[0], "one").await;
    let (mut tail, mut times) = (Chain::default(), Vec::new());
    for number in 0..300 {
        let begun = Instant::now();
        let appended = journals[0].append(term, &tail, At::now(), vec![note(&format!("{number}"))]).await;
        times.push(begun.elapsed());
        let mayday::domain::journal::Appended::Durable(written) = appended else { panic!("{appended:?}") };
        tail = written.chain;
    }
    times.sort();
    println!("append on PostgreSQL, median of 300: {:?}", times[150]);
    assert!(times[150] < Duration::from_millis(10), "{:?}", times[150]);
}
