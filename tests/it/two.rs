//! Two engines and one journal: one leads, the other follows, and takes over when the first is killed, stopped or cut off. Nothing is done
//! twice, and nothing is lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use mayday::api::client::Client;
use mayday::api::protocol::ErrorCode;
use mayday::domain::command::Ask;
use mayday::domain::event::{Event, Record};
use mayday::domain::incident::Severity;
use mayday::domain::lead::Engines;
use mayday::domain::run::{Mode, Outcome};
use mayday::domain::view::Snapshot;
use mayday::lab::faults::Condition;
use mayday::lab::{Lab, PRIMARY, Pace};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::common::{all_alone, appends, eventually, is_ready, one_crowd};
use crate::crash::{Changes, changes, is_known};
use crate::process::{EMPTY, Engine, Home};

const SPEED: Pace = Pace(200.0);
const NOT_READY: i32 = 9;

/// Where the engines of a test keep their journal, as the config says it.
pub trait Store {
    fn toml(&self) -> String;
}

impl Store for TempDir {
    fn toml(&self) -> String {
        format!("sqlite = {{ path = {:?} }}", self.path().join("shared.db").display().to_string())
    }
}

/// Two hosts, as far as two engines of one machine can be that.
pub struct Pair {
    pub homes: [Home; 2],
}

pub const NAMES: [&str; 2] = ["bastion-1", "bastion-2"];

impl Pair {
    pub fn new(store: &dyn Store, lease: &str, home: impl Fn() -> Home) -> Self {
        let homes = [home(), home()];
        for home in &homes {
            let path = home.dir().join("config.toml");
            let config = fs::read_to_string(&path).unwrap();
            let journal = format!("journal = {{ {}, lease = \"{lease}\" }}\n", store.toml());
            fs::write(&path, journal + &config).unwrap();
        }
        Self { homes }
    }

    /// Starts one of them, that dies at the append that `crash` names, if it names one.
    pub fn start(&self, which: usize, crash: Option<&str>) -> Engine {
        let mut command = self.homes[which].mayday("engine --name");
        command.arg(NAMES[which]).env("MAYDAY_LOG", "warn").envs(crash.map(|crash| ("MAYDAY_CRASH", crash)));
        Engine::spawn(command, &self.homes[which].dir().join("engine.err"))
    }

    pub fn client(&self, which: usize) -> Client {
        self.homes[which].client()
    }

    /// Waits until one of them sees the engines so.
    pub async fn sees(&self, which: usize, what: &str, holds: impl Fn(&Engines) -> bool) -> Snapshot {
        let words = self.homes[which].dir().join("engine.err");
        let client = self.client(which);
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut last = None;
        loop {
            if let Ok(view) = client.snapshot().await {
                if view.live.engines.as_deref().is_some_and(&holds) {
                    return view;
                }
                last = view.live.engines;
            }
            assert!(Instant::now() < deadline, "{} {what}: {last:#?}\n{}", NAMES[which], fs::read_to_string(&words).unwrap_or_default());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The first leads, the second follows it.
    pub async fn both(&self) -> [Engine; 2] {
        let first = self.start(0, None);
        self.sees(0, "leads", |it| it.leads).await;
        let second = self.start(1, None);
        self.sees(1, "follows the first", follows).await;
        [first, second]
    }
}

fn follows(engines: &Engines) -> bool {
    !engines.leads && engines.living_leader().is_some_and(|leader| leader.name == NAMES[0]) && engines.present() == 2
}

fn empty(store: &dyn Store, lease: &str) -> Pair {
    Pair::new(store, lease, || Home::new(EMPTY))
}

fn note(text: &str) -> Ask {
    Ask::Note { text: text.into() }
}

fn notes(records: &[Record]) -> Vec<&str> {
    let text = |record: &Record| match &record.event {
        Event::NoteAdded { text } => Some(text.clone().leak() as &str),
        _ => None,
    };
    records.iter().filter_map(text).collect()
}

/// How often each engine took the lead, in order.
fn leads(records: &[Record]) -> Vec<&str> {
    let name = |record: &Record| match &record.event {
        Event::LeadTaken { engine, .. } => Some(engine.clone().leak() as &str),
        _ => None,
    };
    records.iter().filter_map(name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_leads_and_the_other_follows_shows_everything_and_passes_on_what_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let pair = empty(&dir, "10s");
    let _engines = pair.both().await;
    let (leader, follower) = (pair.client(0), pair.client(1));
    leader.ask(&note("at the leader")).await.unwrap();
    let begun = Instant::now();
    let accepted = follower.ask(&note("at the follower")).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let (here, there) = (leader.snapshot().await.unwrap(), follower.snapshot().await.unwrap());
    assert!(there.state.seq >= accepted.seq, "what was asked is shown where it was asked");
    assert_eq!((here.state, here.chain), (there.state, there.chain));
    let records = follower.records(0, 100).await.unwrap();
    assert_eq!(notes(&records), ["at the leader", "at the follower"]);
    assert_eq!(records, leader.records(0, 100).await.unwrap());
    let asked = records.iter().find(|it| matches!(&it.event, Event::NoteAdded { text } if text == "at the follower"));
    assert_eq!(asked.unwrap().actor.uid, Some(rustix::process::getuid().as_raw()), "whom the socket named");
    assert_eq!(leads(&records), [NAMES[0]]);

    let refused = follower.ask(&Ask::Release { reason: String::new() }).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Refused, "the leader's refusal comes back: {refused}");
    follower.ask(&Ask::Hold { reason: "seen from afar".into() }).await.unwrap();
    assert_eq!(leader.snapshot().await.unwrap().state.hold.unwrap().reason, "seen from afar");
    leader.ask(&Ask::Release { reason: String::new() }).await.unwrap();
    eventually("it is released there, too", async || {
        follower.snapshot().await.unwrap().state.hold.is_none().then_some(())
    })
    .await;
    pair.homes[1].says("engines").await.is(0, &["bastion-2, follows bastion-1", "bastion-1 leads since", "term 1"]);
    pair.homes[1].says("status").await.is(0, &["this one follows bastion-1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_leader_is_killed_the_other_leads_and_who_comes_back_follows() {
    let dir = tempfile::tempdir().unwrap();
    let pair = empty(&dir, "3s");
    let [mut first, second] = pair.both().await;
    pair.client(0).ask(&Ask::Hold { reason: "stays".into() }).await.unwrap();
    let begun = Instant::now();
    first.kill().await;
    pair.homes[1].says("engines").await.is(0, &["bastion-1 leads"]);
    let view = pair.sees(1, "leads", |it| it.leads && it.present() == 1).await;
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    assert_eq!(view.state.hold.unwrap().reason, "stays");
    pair.homes[1].says("engines").await.is(NOT_READY, &["bastion-2, leads", "1 of 2 engines are there", "gone"]);
    pair.client(1).ask(&note("by the second")).await.unwrap();
    let _first = pair.start(0, None);
    let back = pair.sees(0, "follows the second", |it| !it.leads && it.present() == 2).await;
    assert_eq!(back.live.engines.unwrap().words(), "follows bastion-2");
    assert_eq!(leads(&pair.client(0).records(0, 100).await.unwrap()), NAMES);
    // In order it is given up at once: nobody waits for the end of a lease.
    let begun = Instant::now();
    pair.homes[1].says("engine stop").await.is(0, &["the engine stops"]);
    pair.sees(0, "leads again", |it| it.leads).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    drop(second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_stopped_for_three_leases_wakes_as_a_follower() {
    let dir = tempfile::tempdir().unwrap();
    let pair = empty(&dir, "2s");
    let [first, _second] = pair.both().await;
    pair.client(0).ask(&note("before")).await.unwrap();
    first.signal(Signal::STOP);
    pair.sees(1, "leads", |it| it.leads).await;
    pair.client(1).ask(&note("meanwhile")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    first.signal(Signal::CONT);
    // Whatever it is asked in its first moments is done once, by the one that leads.
    let answer = pair.client(0).ask(&note("after")).await;
    pair.sees(0, "follows the second", |it| !it.leads && it.living_leader().is_some_and(|it| it.name == NAMES[1])).await;
    let records = pair.client(1).records(0, 100).await.unwrap();
    let expected: &[&str] = if answer.is_ok() { &["before", "meanwhile", "after"] } else { &["before", "meanwhile"] };
    assert_eq!(notes(&records), expected, "{answer:?}");
    assert_eq!(leads(&records), NAMES);
    pair.client(1).verify().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_does_not_follow_a_record_that_it_does_not_know_and_takes_no_lead() {
    let dir = tempfile::tempdir().unwrap();
    let pair = empty(&dir, "2s");
    let [mut first, _second] = pair.both().await;
    first.kill().await;
    pair.sees(1, "leads", |it| it.leads).await;
    let _first = pair.start(0, None);
    pair.sees(0, "follows", |it| !it.leads && it.living_leader().is_some()).await;
    // As a newer Mayday would write it.
    newer(&dir.path().join("shared.db")).await;
    let view = pair.sees(0, "stops", |it| it.stopped.is_some()).await;
    let why = view.live.engines.unwrap().stopped.unwrap();
    assert!(why.contains("of a newer Mayday (tide-turned)") && why.contains("start version"), "{why}");
    pair.homes[0].says("engines").await.is(NOT_READY, &["follows no longer", "tide-turned"]);
    // The other one finds that somebody has written, stops acting, and does not know the record either.
    pair.sees(1, "stops, too", |it| it.stopped.is_some() && !it.leads).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    for which in 0..2 {
        assert!(!pair.client(which).snapshot().await.unwrap().live.engines.unwrap().leads, "{}", NAMES[which]);
    }
}

async fn newer(file: &Path) {
    use sha2::{Digest, Sha256};
    use sqlx::{Connection, Row};
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(5));
    let mut connection = sqlx::sqlite::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
    let last = "SELECT seq, hash FROM record ORDER BY seq DESC LIMIT 1";
    let row = sqlx::query(last).fetch_one(&mut connection).await.unwrap();
    let (seq, hash): (i64, Vec<u8>) = (row.get::<i64, _>(0) + 1, row.get(1));
    let body = format!(
        r#"{{"seq":{seq},"at":"2036-11-29T05:00:00Z","actor":{{"name":"x","uid":1}},"event":{{"type":"tide-turned","by":3}}}}"#
    );
    let next = Sha256::new().chain_update(&hash).chain_update(&body).finalize().to_vec();
    let insert = sqlx::query("INSERT INTO record (seq, body, hash) VALUES (?, ?, ?)").bind(seq).bind(body).bind(next);
    insert.execute(&mut connection).await.unwrap();
    sqlx::query("COMMIT").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// How a failover with two engines went.
pub struct Played {
    pub crashed: bool,
    pub changes: Changes,
    /// How often each message was taken, of those that have a mark.
    pub said: BTreeMap<(String, String, String), usize>,
}

fn lab_pair(store: &dyn Store, lab: &Lab) -> Pair {
    Pair::new(store, "2s", || Home::patient(lab))
}

/// What happens to the leader in the middle.
#[derive(Clone, Copy)]
pub enum Blow<'b> {
    None,
    /// It dies at this append.
    Crash(&'b str),
    /// It is stopped once so many records were written since the run began, and goes on after three leases.
    Stop(u64),
}

/// A whole failover, begun at the leader, with a blow to it. Whoever leads then ends it.
pub async fn play(store: &dyn Store, blow: Blow<'_>) -> Played {
    let crash = if let Blow::Crash(at) = blow { Some(at) } else { None };
    let what = match blow {
        Blow::None => "no blow".to_owned(),
        Blow::Crash(at) => format!("killed {at}"),
        Blow::Stop(after) => format!("stopped after {after} records"),
    };
    let lab = Lab::start(SPEED).await.unwrap();
    let pair = lab_pair(store, &lab);
    let mut first = pair.start(0, crash);
    pair.sees(0, "leads", |it| it.leads).await;
    let _second = pair.start(1, None);
    let clients = [pair.client(0), pair.client(1)];
    eventually(&format!("the lab is healthy, and the plans were held against it ({what})"), async || {
        clients[0].snapshot().await.ok().filter(|view| is_ready(view) && is_known(view))
    })
    .await;
    pair.sees(1, "follows", follows).await;
    lab.world.truth().faults.set(&format!("neo4j@{PRIMARY}"), Condition::Refused);
    let title = "leave the region".into();
    clients[0].ask(&Ask::Declare { title, severity: Severity::Sev2, drill: false }).await.unwrap();
    let (plan, mode, reason) = ("regional-failover".into(), Mode::Live, "two engines".into());
    let start = Ask::StartRun { plan, mode, reason, unattended: true };
    let begun = clients[0].snapshot().await.unwrap().state.seq;
    // The leader may die while it answers; what it had journalled by then goes on.
    let _ = clients[0].ask(&start).await;
    let (mut crashed, mut stopped, mut seen) = (false, None::<Instant>, Vec::<Record>::new());
    let outcome = eventually(&format!("the failover ends ({what})"), async || {
        crashed |= first.has_ended();
        let view = clients[1].snapshot().await.ok()?;
        match (blow, stopped) {
            (Blow::Stop(after), None) if view.state.seq >= begun + after => {
                first.signal(Signal::STOP);
                stopped = Some(Instant::now());
            }
            (_, Some(at)) if at.elapsed() >= Duration::from_secs(6) => first.signal(Signal::CONT),
            _ => {}
        }
        let after = seen.last().map_or(0, |record| record.seq);
        seen.extend(clients[1].records(after, 10_000).await.ok()?);
        match &view.state.run {
            None if view.live.engines.is_some_and(|it| it.leads) => {
                let _ = clients[1].ask(&start).await;
                None
            }
            None => None,
            Some(run) if run.waits_for_human(false) => panic!("{what}: waits for a human: {:#?}", run.steps),
            Some(run) => run.outcome,
        }
    })
    .await;
    if let Some(at) = stopped {
        // It wakes after three leases, and has all the time it needs to do harm.
        tokio::time::sleep(Duration::from_secs(6).saturating_sub(at.elapsed())).await;
        first.signal(Signal::CONT);
        pair.sees(0, "follows", |it| !it.leads && it.living_leader().is_some()).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(outcome, Outcome::Completed, "{what}");
    let chain = clients[1].verify().await.unwrap();
    let journal = clients[1].records(0, 100_000).await.unwrap();
    assert!(chain.records as usize <= journal.len(), "{what}");
    assert!(journal.iter().zip(1..).all(|(record, seq)| record.seq == seq), "{what}: a number is missing");
    assert!(seen.iter().all(|record| journal.contains(record)), "{what}: an event that was shown is lost");
    let ends = journal.iter().filter(|it| matches!(it.event, Event::RunEnded { .. })).count();
    assert_eq!(ends, 1, "{what}");
    Played { crashed, changes: changes(&lab), said: said(&lab) }
}

/// What was said to people, and how often: nothing has the mark of another.
fn said(lab: &Lab) -> BTreeMap<(String, String, String), usize> {
    let mut said = BTreeMap::new();
    for message in lab.world.truth().inbox.of(None) {
        if let Some(mark) = &message.mark {
            let key = (message.service.to_owned(), format!("{} {:?}", message.kind, message.to), mark.clone());
            *said.entry(key).or_default() += 1;
        }
    }
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_leader_killed_at_every_twelfth_append_of_a_failover_the_other_ends_it_and_nothing_is_done_twice() {
    killed_at_every(12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes long; .ci/run plays it"]
async fn the_leader_killed_at_every_append_of_a_failover_the_other_ends_it_and_nothing_is_done_twice() {
    killed_at_every(1).await;
}

async fn killed_at_every(nth: usize) {
    let _alone = all_alone().await;
    let dir = tempfile::tempdir().unwrap();
    let calm = play(&dir, Blow::None).await;
    assert!(!calm.crashed);
    same(&calm, &calm, "no blow");
    let (mut kills, mut last) = (0, 0);
    for (when, numbers) in appends(nth) {
        for number in numbers {
            let dir = tempfile::tempdir().unwrap();
            let played = play(&dir, Blow::Crash(&format!("{when}:{number}"))).await;
            same(&calm, &played, &format!("killed {when} append {number}"));
            if !played.crashed {
                break;
            }
            (kills, last) = (kills + 1, last.max(number));
        }
    }
    println!("{kills} leaders killed at every {nth} of {last} appends; nothing was done or said twice");
    assert!(last > 30, "{kills} kills, the last at append {last}");
}

/// The same was changed, and nobody was told anything twice.
pub fn same(calm: &Played, played: &Played, what: &str) {
    assert_eq!(played.changes, calm.changes, "{what}");
    let twice: Vec<_> = played.said.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{what}: said twice: {twice:?}");
    assert!(!played.said.is_empty(), "{what}: nobody was told anything");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_leader_that_is_stopped_in_a_failover_and_wakes_has_no_effect_any_more() {
    let _crowd = one_crowd().await;
    let dir = tempfile::tempdir().unwrap();
    let calm = play(&dir, Blow::None).await;
    for after in [6, 20, 40] {
        let dir = tempfile::tempdir().unwrap();
        let played = play(&dir, Blow::Stop(after)).await;
        same(&calm, &played, &format!("stopped after {after} records"));
    }
}
