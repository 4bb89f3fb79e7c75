//! The journal as a ledger: the contract of its stores that need nothing installed, what an engine makes of an answer that never came, and
//! a journal that moves.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use mayday::config::{self, journal::Kept};
use mayday::domain::actor::Actor;
use mayday::domain::event::{Event, Record};
use mayday::domain::journal::{Appended, Chain, Journal, JournalFault, Lead, Post, Presence, Records, Term, Who};
use mayday::domain::params::SecretRef;
use mayday::domain::state::State;
use mayday::domain::time::At;
use mayday::engine::clock::Machine;
use mayday::engine::{Lease, Pen, campaign};
use mayday::journal::{Place, SharedJournal, SqliteJournal};
use mayday::wiring::kinds;
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::common::{eventually, write};
use crate::ledger_contract::{self as contract, lead, note, who};
use crate::process::{EMPTY, Home};

/// A journal that engines share, as each of `count` of them has it.
async fn shared(dir: &TempDir, count: usize) -> Vec<Arc<dyn Journal>> {
    let mut all: Vec<Arc<dyn Journal>> = Vec::new();
    for number in 0..count {
        let own = dir.path().join(format!("engine-{number}"));
        fs::create_dir_all(&own).unwrap();
        all.push(Arc::new(SharedJournal::file(&dir.path().join("shared.db"), &own).await.unwrap()));
    }
    all
}

#[tokio::test]
async fn the_file_of_one_engine_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::open(dir.path()).await.unwrap());
    contract::appends_for_its_term_and_tail_alone(journal.clone(), journal.clone()).await;
    contract::leads_one_after_the_other(journal.clone(), journal.clone()).await;
    contract::one_of_many_wins(&[journal.clone(), journal.clone(), journal.clone()]).await;
    assert!(journal.post().is_none(), "nobody shares it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_engines_share_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let journals = shared(&dir, 3).await;
    let (one, two) = (journals[0].clone(), journals[1].clone());
    contract::appends_for_its_term_and_tail_alone(one.clone(), two.clone()).await;
    contract::leads_one_after_the_other(one.clone(), two.clone()).await;
    contract::one_of_many_wins(&journals).await;
    contract::hands_over_once(one.clone(), two.clone()).await;
    contract::meets(one.clone(), two.clone()).await;
    contract::wakes(one.clone(), two.clone()).await;
    let tail = one.tail().await.unwrap();
    for journal in &journals {
        journal.close().await;
    }
    drop((journals, one, two));
    assert_eq!(shared(&dir, 1).await[0].verify().await.unwrap(), tail, "it survives");
}

#[tokio::test]
async fn a_shared_journal_that_is_older_than_what_was_seen_of_it_is_not_taken_for_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (file, own) = (dir.path().join("shared.db"), dir.path().join("engine"));
    fs::create_dir_all(&own).unwrap();
    let opened = async || SharedJournal::file(&file, &own).await;
    let journal = opened().await.unwrap();
    write(&journal, vec![note("one")]).await.unwrap();
    journal.close().await;
    let old = fs::read(&file).unwrap();
    let journal = opened().await.unwrap();
    write(&journal, vec![note("two"), note("three")]).await.unwrap();
    journal.close().await;
    let new = fs::read(&file).unwrap();
    let put = |bytes: &[u8]| {
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{suffix}", file.display()));
        }
        // Another file: what still has the old one open keeps that.
        let _ = fs::remove_file(&file);
        fs::write(&file, bytes).unwrap();
    };
    put(&old);
    let refused = opened().await.err().unwrap();
    assert!(refused.what.contains("ends at record 1, and this host has seen 3: 2 are lost"), "{refused}");
    // Another history of the same length.
    let stranger = dir.path().join("stranger");
    fs::create_dir_all(&stranger).unwrap();
    let journal = SharedJournal::file(&file, &stranger).await.unwrap();
    write(&journal, vec![note("zwei"), note("drei")]).await.unwrap();
    journal.close().await;
    let refused = opened().await.err().unwrap();
    assert!(refused.what.contains("the history was rewritten"), "{refused}");
    fs::remove_file(&file).unwrap();
    let refused = opened().await.err().unwrap();
    assert!(refused.what.contains("another journal"), "{refused}");
    put(&new);
    opened().await.unwrap().close().await;
    // A person says that it is to go on all the same; that is journalled.
    put(&old);
    let (place, person, at) = (Place::File(&file), Actor::named("ada", Some(1000)), At::now());
    // The engine that wrote the old copy leads there for ever, by its own words.
    const SHORT: std::time::Duration = std::time::Duration::from_millis(50);
    let accept = async |phrase: Option<&'static str>| {
        SharedJournal::accept(&place, &own, phrase, (person.clone(), &who("one")), (at, SHORT)).await
    };
    let told = accept(Some("yes")).await.unwrap_err();
    assert!(told.next.contains("mayday journal accept 'shorter by 2 records'"), "{told}");
    assert!(accept(Some("shorter by 2 records")).await.unwrap().is_some());
    assert!(accept(None).await.unwrap().is_none(), "once is enough");
    let journal = opened().await.unwrap();
    let last = journal.read(1, 10).await.unwrap();
    assert!(
        matches!(&last[..], [it] if matches!(it.event, Event::JournalAccepted { records: 3, .. }) && it.actor == person)
    );
}

/// What becomes of an append of which nobody hears.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Lost {
    /// It was written; the answer was swallowed.
    Answer,
    /// It never arrived.
    Question,
    /// It is written once somebody has looked that it was not.
    Late,
}

/// An append, as it was asked for.
type Asked = (Term, Chain, At, Vec<(Actor, Event)>);

/// A journal behind a line that fails.
struct Line {
    journal: Arc<dyn Journal>,
    lost: Option<Lost>,
    armed: AtomicBool,
    /// What is still on its way.
    under_way: Mutex<Option<Asked>>,
    arrived: Mutex<Option<Appended>>,
}

#[async_trait]
impl Journal for Line {
    async fn append(&self, term: Term, expected: &Chain, at: At, events: Vec<(Actor, Event)>) -> Appended {
        let (true, Some(lost)) = (self.armed.swap(false, Ordering::SeqCst), self.lost) else {
            return self.journal.append(term, expected, at, events).await;
        };
        let fault = JournalFault { what: "no answer".into(), next: "look".into() };
        let meant = match lost {
            Lost::Answer => self.journal.append(term, expected, at, events.clone()).await,
            Lost::Question | Lost::Late => {
                // What it would be is told by a journal of its own.
                let dir = tempfile::tempdir().unwrap();
                let elsewhere = SharedJournal::file(&dir.path().join("x.db"), dir.path()).await.unwrap();
                for record in self.journal.read(0, 1000).await.unwrap() {
                    let copied = lead(&elsewhere, "copy").await;
                    let tail = elsewhere.tail().await.unwrap();
                    elsewhere.append(copied, &tail, record.at, vec![(record.actor, record.event)]).await;
                }
                let copied = lead(&elsewhere, "copy").await;
                elsewhere.append(copied, expected, at, events.clone()).await
            }
        };
        if lost == Lost::Late {
            *self.under_way.lock().await = Some((term, expected.clone(), at, events));
        }
        let Appended::Durable(meant) = meant else { panic!("{meant:?}") };
        Appended::Unknown(meant, fault)
    }

    async fn tail(&self) -> Result<Chain, JournalFault> {
        self.journal.tail().await
    }
    async fn pages(&self, after: &Chain, limit: usize) -> Result<(Vec<Record>, Chain), JournalFault> {
        self.journal.pages(after, limit).await
    }
    async fn leader(&self) -> Result<Option<Lead>, JournalFault> {
        self.journal.leader().await
    }
    async fn lead(&self, who: &Who, over: Option<&Lead>) -> Result<Option<Term>, JournalFault> {
        self.journal.lead(who, over).await
    }
    async fn renew(&self, term: Term) -> Result<bool, JournalFault> {
        self.journal.renew(term).await
    }
    async fn resign(&self, term: Term) -> Result<(), JournalFault> {
        self.journal.resign(term).await
    }
    async fn watch(&self, seq: u64) {
        self.journal.watch(seq).await;
    }
    async fn meet(&self, who: &Who, seq: u64) -> Result<Vec<Presence>, JournalFault> {
        self.journal.meet(who, seq).await
    }
    async fn check(&self, whole: bool) -> Result<(), JournalFault> {
        self.journal.check(whole).await
    }
    async fn keep(&self, state: &State) -> Result<(), JournalFault> {
        self.journal.keep(state).await
    }
    fn post(&self) -> Option<&dyn Post> {
        self.journal.post()
    }
    async fn close(&self) {
        self.journal.close().await;
    }
}

#[async_trait]
impl Records for Line {
    async fn read(&self, after: u64, limit: usize) -> Result<Vec<Record>, JournalFault> {
        self.journal.read(after, limit).await
    }
    async fn verify(&self) -> Result<Chain, JournalFault> {
        self.journal.verify().await
    }
    async fn hash(&self, seq: u64) -> Result<Option<String>, JournalFault> {
        let found = self.journal.hash(seq).await?;
        // Just after somebody has looked.
        if let Some((term, tail, at, events)) = self.under_way.lock().await.take() {
            *self.arrived.lock().await = Some(self.journal.append(term, &tail, at, events).await);
        }
        Ok(found)
    }
    async fn find(&self, head: &str) -> Result<Option<u64>, JournalFault> {
        self.journal.find(head).await
    }
}

fn lease() -> Lease {
    Lease { length: std::time::Duration::from_secs(60), clock: Arc::new(Machine::new()) }
}

fn texts(records: &[Record]) -> Vec<&str> {
    let text = |record: &Record| match &record.event {
        Event::NoteAdded { text } => text.as_str().to_owned().leak() as &str,
        other => panic!("{other:?}"),
    };
    records.iter().map(text).collect()
}

#[tokio::test]
async fn an_append_that_nobody_answered_is_looked_for_and_is_there_once_or_not_at_all() {
    for (lost, expected) in [
        (Lost::Answer, &["before", "lost", "after"][..]),
        (Lost::Question, &["before", "after"]),
        (Lost::Late, &["before", "after"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (under_way, arrived) = (Mutex::default(), Mutex::default());
        let (journal, armed) = (shared(&dir, 1).await.remove(0), AtomicBool::new(false));
        let line = Arc::new(Line { journal, lost: Some(lost), armed, under_way, arrived });
        let pen = Pen::shared(line.clone(), who("one"), lease(), Chain::default());
        campaign(&pen).await;
        pen.append(At::now(), vec![note("before")]).await.unwrap();
        line.armed.store(true, Ordering::SeqCst);
        let answer = pen.append(At::now(), vec![note("lost")]).await;
        assert_eq!(answer.is_ok(), lost == Lost::Answer, "{lost:?}: {answer:?}");
        assert!(pen.leads(), "{lost:?}");
        pen.append(At::now(), vec![note("after")]).await.unwrap();
        let arrived = line.arrived.lock().await.take();
        let late = matches!(arrived, Some(Appended::Fenced(_)));
        assert_eq!(late, lost == Lost::Late, "what arrives late is written no more: {arrived:?}");
        assert_eq!(texts(&line.read(0, 10).await.unwrap()), expected, "{lost:?}");
        assert_eq!(pen.tail(), line.verify().await.unwrap());
    }
}

#[tokio::test]
async fn whoever_lost_the_lead_writes_and_does_nothing_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let journals = shared(&dir, 2).await;
    let pen = Pen::shared(journals[0].clone(), who("one"), lease(), Chain::default());
    assert!(!pen.may_act(), "it follows");
    pen.append(At::now(), vec![note("as a follower")]).await.unwrap_err();
    campaign(&pen).await;
    pen.append(At::now(), vec![note("as the leader")]).await.unwrap();
    assert_eq!(pen.while_it_may(async { 7 }).await, Some(7));
    lead(&*journals[1], "two").await;
    pen.append(At::now(), vec![note("too late")]).await.unwrap_err();
    assert!(!pen.leads() && !pen.may_act());
    let mut done = false;
    assert_eq!(pen.while_it_may(async { done = true }).await, None);
    assert!(!done, "nothing of it was begun");
    assert_eq!(texts(&journals[1].read(0, 10).await.unwrap()), ["as the leader"]);
}

fn sharing(file: &Path) -> String {
    format!("journal = {{ sqlite = {{ path = {:?} }} }}\n{EMPTY}", file.display().to_string())
}

#[tokio::test]
async fn a_journal_moves_with_its_chain_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(&sharing(&dir.path().join("shared.db")));
    fs::create_dir_all(home.state()).unwrap();
    let own = SqliteJournal::open(&home.state()).await.unwrap();
    for number in 0..2500 {
        write(&own, vec![note(&format!("note {number}"))]).await.unwrap();
    }
    let chain = own.tail().await.unwrap();
    own.close().await;
    drop(own);
    let copied = format!("copied {} records", chain.records);
    home.says("journal copy own shared").await.is(0, &[&copied, &chain.head]);
    home.says("journal verify").await.is(0, &["whole up to record 2500", &chain.head]);
    home.says("journal copy own shared").await.is(0, &[&copied]);
    let there = dir.path().join("there");
    let back = format!("journal copy shared {}", there.display());
    home.says(&back).await.is(0, &[&copied, &chain.head]);
    let engine = home.engine().await;
    eventually("an engine goes on from it", async || {
        home.client().verify().await.ok().filter(|found| found.records > chain.records)
    })
    .await;
    assert_eq!(home.client().find_head(&chain.head).await.unwrap(), Some(chain.records));
    home.says("journal copy own shared").await.is(5, &["another engine"]);
    drop(engine);
    home.says("journal copy own shared").await.is(8, &["there is another journal already"]);
    assert_eq!(SqliteJournal::open(&there).await.unwrap().verify().await.unwrap(), chain);
}

#[test]
fn where_the_journal_is_kept_is_read_and_mistakes_are_said() {
    let read = |text: &str| config::parse(&format!("{text}\n{EMPTY}"), Path::new("config.toml"), &kinds());
    let postgres = read("journal = { postgres = { url = { env = \"JOURNAL\" } } }").unwrap().journal;
    assert_eq!(
        (postgres.kept, postgres.lease.as_secs(), postgres.engines),
        (Kept::Postgres(SecretRef::Env("JOURNAL".into())), 10, 2)
    );
    let file = read("journal = { sqlite = { path = \"/srv/j.db\" }, lease = \"4s\", engines = 3 }").unwrap().journal;
    assert_eq!((file.kept, file.lease.as_secs(), file.engines), (Kept::File("/srv/j.db".into()), 4, 3));
    assert_eq!(read("").unwrap().journal.kept, Kept::Beside);
    for (text, words) in [
        ("journal = {}", "names no place"),
        ("journal = { lease = \"4s\" }", "names no place"),
        ("journal = { sqlite = { path = \"j.db\" } }", "path"),
        ("journal = { sqlite = {} }", "needs `path`"),
        ("journal = { postgres = { url = \"postgres://me:secret@db/x\" } }", "name where it is kept"),
        ("journal = { sqlite = { path = \"/j\" }, postgres = { url = { env = \"J\" } } }", "more than one place"),
        ("journal = { sqlite = { path = \"/j\" }, lease = \"1s\" }", "between 2 s and 300 s"),
        ("journal = { sqlite = { path = \"/j\" }, engines = 0 }", "between 1 and 9"),
        ("journal = { sqlit = { path = \"/j\" } }", "sqlite"),
    ] {
        let told = read(text).unwrap_err().to_string();
        assert!(told.contains(words) && !told.contains("me:secret"), "{text}: {told}");
    }
}
