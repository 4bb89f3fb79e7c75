//! What can happen to a journal's files while nobody looks: bits flip, ends are cut off, files are removed, copied, written anew. Every one
//! of it is found, or changes nothing; none is silent.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use mayday::domain::actor::Actor;
use mayday::domain::event::Event;
use mayday::domain::journal::{Journal, Records};
use mayday::domain::state::State;
use mayday::journal::{Reader, SqliteJournal, accept, doubts, resume, texts};
use sqlx::{ConnectOptions, Connection, Row};

use crate::common::{eventually, write};

const DATABASE: &str = "journal.db";
const LOG: &str = "journal.db-wal";
const ANCHOR: &str = "journal.anchor";
/// So many records lie in the database, and so many more in its log.
const RECORDS: [usize; 2] = [300, 150];

/// Chance that comes out the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// The files of a journal whose engine was killed, and what it had made durable.
struct Victim {
    dir: tempfile::TempDir,
    files: Vec<(&'static str, Vec<u8>)>,
    texts: Vec<(u64, String)>,
    state: State,
}

async fn fill(journal: &SqliteJournal, count: usize) {
    for number in 0..count {
        let text = format!("note {number}: the database team is looking at it");
        write(journal, vec![(Actor::engine(), Event::NoteAdded { text })]).await.unwrap();
    }
}

impl Victim {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(dir.path()).await.unwrap();
        fill(&journal, RECORDS[0]).await;
        journal.close().await;
        drop(journal);
        let journal = SqliteJournal::open(dir.path()).await.unwrap();
        fill(&journal, RECORDS[1]).await;
        let last = format!("\"records\":{}", RECORDS.iter().sum::<usize>());
        let anchored = async || String::from_utf8_lossy(&fs::read(dir.path().join(ANCHOR)).unwrap()).contains(&last);
        eventually("the anchor is written", async || anchored().await.then_some(())).await;
        let files = [DATABASE, LOG, ANCHOR].map(|name| (name, fs::read(dir.path().join(name)).unwrap()));
        assert!(files[1].1.len() > 100_000, "its end is in the log alone");
        let texts = texts(journal.reader(), 0, 10_000).await.unwrap();
        let state = resume(journal.reader()).await.unwrap();
        journal.close().await;
        Self { dir, files: files.into(), texts, state }
    }

    /// As after the kill: the same files, with the same content.
    fn restore(&self) {
        let _ = fs::remove_file(self.path("journal.db-shm"));
        for (name, bytes) in &self.files {
            fs::write(self.path(name), bytes).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn flip(&self, file: usize, byte: usize, bit: usize) {
        let (name, bytes) = &self.files[file];
        let mut bytes = bytes.clone();
        bytes[byte] ^= 1 << bit;
        fs::write(self.path(name), bytes).unwrap();
    }

    /// What a look at the files says, as `mayday journal verify` and `export` do.
    async fn looked_at(&self) -> Option<Vec<(u64, String)>> {
        let reader = Reader::open(self.dir.path()).await.ok()?;
        let verified = reader.verify().await.is_ok();
        let texts = texts(&reader, 0, 10_000).await.ok();
        reader.close().await;
        texts.filter(|_| verified)
    }

    /// What an engine would go on from.
    async fn opened(&self) -> Option<State> {
        let journal = SqliteJournal::open(self.dir.path()).await.ok()?;
        let state = resume(journal.reader()).await.ok();
        journal.close().await;
        state
    }

    /// Why it is not opened.
    async fn doubt(&self) -> String {
        doubts(self.dir.path()).await.unwrap().map_or_else(String::new, |fault| fault.to_string())
    }
}

#[tokio::test]
async fn two_hundred_flipped_bits_are_found_or_change_nothing() {
    let victim = Victim::new().await;
    let (mut dice, mut found, mut harmless, mut silent) = (Dice(0x9e37_79b9_7f4a_7c15), 0, 0, Vec::new());
    for number in 0..200 {
        // Now the database, now its log, sometimes the anchor.
        let file = [0, 1, 0, 1, 0, 1, 0, 1, 0, 2][number % 10];
        let (byte, bit) = (dice.below(victim.files[file].1.len()), dice.below(8));
        victim.restore();
        victim.flip(file, byte, bit);
        let looked = victim.looked_at().await;
        victim.restore();
        victim.flip(file, byte, bit);
        let opened = victim.opened().await;
        let untouched = looked.as_ref().is_none_or(|texts| *texts == victim.texts)
            && opened.as_ref().is_none_or(|state| *state == victim.state);
        match (looked, opened) {
            _ if !untouched => silent.push(format!("bit {bit} of byte {byte} of {}", victim.files[file].0)),
            (Some(_), Some(_)) => harmless += 1,
            _ => found += 1,
        }
    }
    println!("200 bit flips: {found} found, {harmless} harmless, {} silent", silent.len());
    assert_eq!(silent, [""; 0]);
    assert!(found >= 100, "the bits were flipped where something is: {found}");
}

/// Where a row of a database's page says that it is number 100: one flipped bit makes that a 36, in its old place.
#[tokio::test]
async fn a_record_that_is_given_another_number_is_found() {
    let victim = Victim::new().await;
    let bytes = &victim.files[0].1;
    // A row: its length, its number, and how long its header is.
    let places = (0..bytes.len() - 2).filter(|at| bytes[*at] == 100 && (3..=6).contains(&bytes[at + 1]));
    let mut found = 0;
    for byte in places {
        victim.restore();
        victim.flip(0, byte, 6);
        match victim.looked_at().await {
            None => found += 1,
            Some(texts) => assert_eq!(texts, victim.texts, "byte {byte}"),
        }
    }
    assert!(found > 0);
}

#[tokio::test]
async fn a_log_that_is_cut_anywhere_is_found() {
    let victim = Victim::new().await;
    let (mut dice, length) = (Dice(0x2545_f491_4f6c_dd1d), victim.files[1].1.len());
    for _ in 0..40 {
        victim.restore();
        let at = dice.below(length) as u64;
        File::options().write(true).open(victim.path(LOG)).unwrap().set_len(at).unwrap();
        let doubt = victim.doubt().await;
        assert!(doubt.contains("journal accept 'shorter by "), "cut at {at} of {length}: {doubt}");
        assert_eq!(victim.looked_at().await, None, "cut at {at}");
        assert_eq!(victim.opened().await, None, "cut at {at}");
    }
}

async fn sql(dir: &Path, sql: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.join(DATABASE));
    let mut connection = options.connect().await.unwrap();
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Writes the whole chain anew with one word changed, as somebody with this program's source could.
async fn rewrite(dir: &Path) {
    use sha2::{Digest, Sha256};
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.join(DATABASE));
    let mut connection = options.connect().await.unwrap();
    let rows = sqlx::query("SELECT seq, body FROM record ORDER BY seq").fetch_all(&mut connection).await.unwrap();
    let mut head = [0; 32];
    for row in rows {
        let (seq, body): (i64, String) = (row.get(0), row.get(1));
        let body = if seq == 7 { body.replace("looking", "sleeping") } else { body };
        head = Sha256::new().chain_update(head).chain_update(&body).finalize().into();
        let update = sqlx::query("UPDATE record SET body = ?, hash = ? WHERE seq = ?");
        update.bind(body).bind(&head[..]).bind(seq).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

#[tokio::test]
async fn what_was_cut_removed_copied_or_written_anew_is_opened_only_by_a_phrase_that_says_so() {
    for (attack, phrase) in [
        ("delete", "shorter by 5 records"),
        ("remove", "all 450 records are gone"),
        ("empty", "all 450 records are gone"),
        ("rewrite", "another history up to record 450"),
        ("replace", "another journal, no other engine has the original"),
        ("copy", "no other engine has the original"),
        ("unanchored", "without its anchor"),
        ("both", "the journal and its anchor are gone"),
    ] {
        let mut victim = Victim::new().await;
        let spare = tempfile::tempdir().unwrap();
        let other = SqliteJournal::open(spare.path()).await.unwrap();
        fill(&other, 500).await;
        other.close().await;
        victim.restore();
        match attack {
            "delete" => sql(victim.dir.path(), "DELETE FROM record WHERE seq > 445").await,
            "remove" => fs::remove_file(victim.path(DATABASE)).unwrap(),
            "both" => {
                [DATABASE, LOG, ANCHOR].iter().for_each(|name| fs::remove_file(victim.path(name)).unwrap());
                fs::write(victim.path("journal.fold"), "of an earlier engine").unwrap();
            }
            "empty" => fs::write(victim.path(DATABASE), "").unwrap(),
            "rewrite" => rewrite(victim.dir.path()).await,
            "replace" => {
                fs::remove_file(victim.path(LOG)).unwrap();
                // Beside it first: a number that was just given back would be given to it.
                fs::copy(spare.path().join(DATABASE), victim.path("other")).unwrap();
                fs::rename(victim.path("other"), victim.path(DATABASE)).unwrap();
            }
            "copy" => {
                let copy = tempfile::tempdir().unwrap();
                for (name, bytes) in &victim.files {
                    fs::write(copy.path().join(name), bytes).unwrap();
                }
                victim.dir = copy;
            }
            _ => fs::remove_file(victim.path(ANCHOR)).unwrap(),
        }
        let dir = victim.dir.path();
        let refused = SqliteJournal::open(dir).await.err().expect(attack).to_string();
        assert!(refused.contains(&format!("mayday journal accept '{phrase}'")), "{attack}: {refused}");
        let person = Actor::named("ada", Some(1000));
        let now = jiff::Timestamp::now();
        accept(dir, "yes", person.clone(), now).await.expect_err("any other word does nothing");
        assert_eq!(SqliteJournal::open(dir).await.err().expect(attack).to_string(), refused);
        let accepted = accept(dir, phrase, person.clone(), now).await.unwrap();
        assert!(accepted.is_some(), "{attack}");
        let journal = SqliteJournal::open(dir).await.unwrap();
        journal.verify().await.unwrap();
        let last = journal.read(journal.tail().await.unwrap().records - 1, 1).await.unwrap().remove(0);
        assert_eq!(last.actor, person, "{attack}");
        assert!(matches!(&last.event, Event::JournalAccepted { phrase: said, .. } if said == phrase), "{last:?}");
        fill(&journal, 1).await;
        assert!(accept(dir, phrase, person, now).await.unwrap().is_none(), "{attack}: once is enough");
    }
}

#[tokio::test]
async fn after_an_orderly_end_the_file_alone_is_the_whole_journal() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = SqliteJournal::open(dir.path()).await.unwrap();
    fill(&journal, 50).await;
    let chain = journal.tail().await.unwrap();
    journal.close().await;
    fs::copy(dir.path().join(DATABASE), copy.path().join(DATABASE)).unwrap();
    let reader = Reader::open(copy.path()).await.unwrap();
    assert_eq!(reader.verify().await.unwrap(), chain);
    assert_eq!(reader.find(&chain.head[..12]).await.unwrap(), Some(50));
    assert_eq!(reader.find("0000000000000000").await.unwrap(), None);
}

#[tokio::test]
async fn files_that_go_or_change_under_a_running_engine_stop_it_until_they_are_back() {
    for name in [DATABASE, LOG, ANCHOR] {
        let dir = tempfile::tempdir().unwrap();
        let (path, aside) = (dir.path().join(name), dir.path().join("aside"));
        let journal = SqliteJournal::open(dir.path()).await.unwrap();
        fill(&journal, 3).await;
        journal.check(true).await.unwrap();
        fs::rename(&path, &aside).unwrap();
        let note = || vec![(Actor::engine(), Event::NoteAdded { text: "into nothing".into() })];
        for replaced in [false, true] {
            if replaced {
                fs::copy(&aside, &path).unwrap();
            }
            let told = journal.check(false).await.unwrap_err();
            assert!(told.what.contains("was removed or replaced while the engine ran"), "{name}: {told}");
            assert_eq!(write(&journal, note()).await.unwrap_err(), told);
        }
        assert_eq!(journal.tail().await.unwrap().records, 3);
        fs::rename(&aside, &path).unwrap();
        journal.check(false).await.unwrap();
        assert_eq!(write(&journal, note()).await.unwrap()[0].seq, 4);
    }
    // Somebody else's hand on the anchor.
    let dir = tempfile::tempdir().unwrap();
    let journal = SqliteJournal::open(dir.path()).await.unwrap();
    fill(&journal, 3).await;
    journal.check(false).await.unwrap();
    let bytes = fs::read(dir.path().join(ANCHOR)).unwrap();
    fs::write(dir.path().join(ANCHOR), String::from_utf8(bytes).unwrap().replace("\"records\":3", "\"records\":2"))
        .unwrap();
    let told = journal.check(false).await.unwrap_err();
    assert!(told.what.contains("written by somebody else"), "{told}");
}
