//! The journal in a SQLite file.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex as Shared, PoisonError};

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::{Mutex, oneshot};

use super::anchor::{self, Keeper, Mark, Place, settled};
use super::chain::{self, Hash, Pages, Row, broken};
use super::doubt::Standing;
use super::file::{chain_of, connect, explain, insert, known_identity, options, tail};
use super::reader::{Reader, place};
use super::store::{moved_on, outdated};
use super::{snapshot, verify};
use crate::domain::actor::Actor;
use crate::domain::event::{Event, Record};
use crate::domain::journal::{Appended, Chain, Journal, JournalFault, Lead, Presence, Records, Term, Who};
use crate::domain::state::State;
use crate::domain::time::At;

/// The journal in a SQLite file: write-ahead log, flushed to the disk at every commit.
pub struct SqliteJournal {
    writer: Mutex<Writer>,
    reader: Reader,
    keeper: Arc<Keeper>,
    /// The last record that is known to be durable.
    tail: Shared<Chain>,
    /// Who leads. Nobody else can while this process holds the lock of the directory, so it is not written down.
    lead: Shared<Option<Lead>>,
}

struct Writer {
    options: SqliteConnectOptions,
    /// `None` after a failure: only a new connection knows for sure that the failed transaction is gone. (The driver counts
    /// transactions by itself; after a commit that failed it would take the next one for a part of that, and never commit it.)
    connection: Option<SqliteConnection>,
    /// The number and the hash of the last record that is known to be durable.
    tail: (u64, Hash),
    /// What the anchor says, once `anchoring` has its answer.
    mark: Mark,
    anchoring: Option<oneshot::Receiver<Result<(), JournalFault>>>,
    keeper: Arc<Keeper>,
    /// Why nothing is written any more until the engine starts again.
    severed: Option<JournalFault>,
}

impl SqliteJournal {
    /// Opens the journal of a state directory; an empty one is made if there is none.
    ///
    /// # Errors
    /// When the file cannot be read and written, is not a journal, is of a newer Mayday, or does not fit its anchor: the fault names the
    /// words that a person has to type to go on all the same.
    pub async fn open(dir: &Path) -> Result<Self, JournalFault> {
        let path = place(dir);
        let fault = |error: sqlx::Error| explain(&path, &error);
        let broken = |error: io::Error| explain(&path, &sqlx::Error::Io(error));
        let standing = Standing::find(dir).await?;
        if let Some(fault) = standing.fault(dir) {
            return Err(fault);
        }
        let mut connection = connect(&path).await?;
        let known =
            async { Ok::<_, sqlx::Error>((tail(&mut connection).await?, known_identity(&mut connection).await?)) };
        let (tail, identity) = match known.await.map_err(fault) {
            Ok(known) => known,
            Err(fault) => {
                // It has failed already.
                let _ = connection.close().await;
                return Err(fault);
            }
        };
        let place = Place::of(&path).map_err(broken)?;
        let found = match standing.mark {
            Some(mark) if mark.records > 0 => mark,
            _ => {
                let mark = Mark::new(identity, tail.0, chain_of(&tail).head, place.clone());
                anchor::create(dir, &mark).map_err(broken)?;
                mark
            }
        };
        let keeper = Arc::new(Keeper::start(dir, &path, found.clone()).map_err(broken)?);
        let (options, shared) = (options(&path), Shared::new(chain_of(&tail)));
        let (connection, anchoring, severed) = (Some(connection), None, None);
        let mark = found.at(place);
        let writer = Writer { options, connection, tail, mark, anchoring, keeper: keeper.clone(), severed };
        Ok(Self {
            writer: Mutex::new(writer),
            reader: Reader::open(dir).await?,
            keeper,
            tail: shared,
            lead: Shared::default(),
        })
    }

    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Takes rows in that were written elsewhere and follow its tail.
    pub(super) async fn take(&self, expected: &Chain, rows: &[Row], chain: &Chain) -> Result<(), JournalFault> {
        let mut writer = self.writer.lock().await;
        let path = self.reader.path();
        let refused = |appended| match appended {
            Appended::NotWritten(fault) | Appended::Unknown(_, fault) | Appended::Fenced(fault) => fault,
            Appended::Durable(_) => moved_on(expected, chain.records),
        };
        let mut connection = writer.ready(path, expected).await.map_err(refused)?;
        insert(&mut connection, rows).await.map_err(|(error, _)| explain(path, &error))?;
        writer.connection = Some(connection);
        writer.moved(chain);
        *self.tail.lock().unwrap_or_else(PoisonError::into_inner) = chain.clone();
        Ok(())
    }
}

impl Writer {
    async fn append(&mut self, path: &Path, expected: &Chain, at: At, events: Vec<(Actor, Event)>) -> Appended {
        let (written, rows) = match chain::draft(expected, at, events) {
            Ok(drafted) => drafted,
            Err(fault) => return Appended::NotWritten(fault),
        };
        let mut connection = match self.ready(path, expected).await {
            Ok(connection) => connection,
            Err(refused) => return refused,
        };
        match insert(&mut connection, &rows).await {
            Ok(()) => {
                self.connection = Some(connection);
                self.moved(&written.chain);
                Appended::Durable(written)
            }
            Err((error, begun)) => {
                // SQLite clears its log away when the last connection closes: that is nobody's theft.
                let told = self.keeper.new_log().await;
                // It has failed already.
                let _ = connection.close().await;
                let fault = told.err().unwrap_or_else(|| explain(path, &error));
                if begun { Appended::Unknown(written, fault) } else { Appended::NotWritten(fault) }
            }
        }
    }

    /// A connection to a file that is still ours and ends where whoever appends takes it to end.
    async fn ready(&mut self, path: &Path, expected: &Chain) -> Result<SqliteConnection, Appended> {
        if let Some(severed) = &self.severed {
            return Err(Appended::NotWritten(severed.clone()));
        }
        self.anchored().await.map_err(Appended::NotWritten)?;
        self.keeper.look(false).await.map_err(Appended::NotWritten)?;
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.reconnect().await.map_err(|error| Appended::NotWritten(explain(path, &error)))?,
        };
        if chain_of(&self.tail) == *expected {
            return Ok(connection);
        }
        self.connection = Some(connection);
        Err(Appended::Fenced(moved_on(expected, self.tail.0)))
    }

    /// What is durable now; the anchor follows.
    fn moved(&mut self, tail: &Chain) {
        self.tail = (tail.records, chain::unhex(&tail.head).unwrap_or_default());
        self.mark = self.mark.next(tail.records, tail.head.clone());
        self.anchoring = Some(self.keeper.write(self.mark.clone()));
    }

    /// Until the anchor of the last commit is durable; one that failed is tried again.
    async fn anchored(&mut self) -> Result<(), JournalFault> {
        let Some(answer) = self.anchoring.take() else { return Ok(()) };
        if settled(answer).await.is_ok() {
            return Ok(());
        }
        let again = settled(self.keeper.write(self.mark.clone())).await;
        if again.is_err() {
            let (failed, answer) = oneshot::channel();
            drop(failed);
            self.anchoring = Some(answer);
        }
        again
    }

    /// A commit whose end nobody heard may have come through: the tail is what is found.
    async fn reconnect(&mut self) -> Result<SqliteConnection, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        let found = tail(&mut connection).await?;
        if found != self.tail {
            self.moved(&chain_of(&found));
        }
        Ok(connection)
    }

    /// Brings all of the log into the file. Readers of the moment may keep a part of it back.
    async fn checkpoint(&mut self, whole: bool) -> Result<(), sqlx::Error> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        // A whole one waits for readers, and whoever writes waits with it: only for the end.
        let sql = if whole { "PRAGMA wal_checkpoint(TRUNCATE)" } else { "PRAGMA wal_checkpoint(PASSIVE)" };
        sqlx::query(sql).execute(connection).await.map(drop)
    }
}

impl SqliteJournal {
    fn led(&self) -> std::sync::MutexGuard<'_, Option<Lead>> {
        self.lead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leads(&self, term: Term) -> bool {
        self.led().as_ref().is_some_and(|lead| lead.term == term && !lead.resigned)
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn tail(&self) -> Result<Chain, JournalFault> {
        Ok(self.tail.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn pages(&self, after: &Chain, limit: usize) -> Result<(Vec<Record>, Chain), JournalFault> {
        chain::pages(&self.reader, after, limit).await
    }

    async fn leader(&self) -> Result<Option<Lead>, JournalFault> {
        Ok(self.led().clone())
    }

    async fn lead(&self, who: &Who, over: Option<&Lead>) -> Result<Option<Term>, JournalFault> {
        // What an older term has at the file is finished first.
        let _writer = self.writer.lock().await;
        let mut led = self.led();
        if led.as_ref().map(|it| (it.term, it.beat)) != over.map(|it| (it.term, it.beat)) {
            return Ok(None);
        }
        let term = Term(over.map_or(0, |it| it.term.0) + 1);
        *led = Some(Lead { term, who: who.clone(), beat: 0, since: At::now(), resigned: false });
        Ok(Some(term))
    }

    async fn renew(&self, term: Term) -> Result<bool, JournalFault> {
        let mut led = self.led();
        let Some(lead) = led.as_mut().filter(|lead| lead.term == term && !lead.resigned) else { return Ok(false) };
        lead.beat += 1;
        Ok(true)
    }

    async fn resign(&self, term: Term) -> Result<(), JournalFault> {
        if let Some(lead) = self.led().as_mut().filter(|lead| lead.term == term) {
            lead.resigned = true;
        }
        Ok(())
    }

    async fn append(&self, term: Term, expected: &Chain, at: At, events: Vec<(Actor, Event)>) -> Appended {
        let mut writer = self.writer.lock().await;
        if !self.leads(term) {
            return Appended::Fenced(outdated(term));
        }
        let appended = writer.append(self.reader.path(), expected, at, events).await;
        *self.tail.lock().unwrap_or_else(PoisonError::into_inner) = chain_of(&writer.tail);
        appended
    }

    async fn watch(&self, _: u64) {
        // Only the leader writes here, and it knows what it has written.
        std::future::pending::<()>().await;
    }

    async fn meet(&self, who: &Who, seq: u64) -> Result<Vec<Presence>, JournalFault> {
        Ok(vec![Presence { who: who.clone(), seq, silent: 0.0 }])
    }

    async fn check(&self, whole: bool) -> Result<(), JournalFault> {
        if whole && let Err(fault) = self.verify().await {
            // A memory that was altered is not acted on, and that does not pass by itself.
            self.writer.lock().await.severed = Some(fault);
        }
        let mut writer = self.writer.lock().await;
        if let Some(severed) = &writer.severed {
            return Err(severed.clone());
        }
        writer.anchored().await?;
        self.keeper.look(true).await?;
        writer.checkpoint(false).await.map_err(|error| explain(self.reader.path(), &error))
    }

    async fn keep(&self, state: &State) -> Result<(), JournalFault> {
        let Some(head) = self.reader.stored(state.seq).await? else { return Ok(()) };
        let (file, state) = (self.reader.dir().join(snapshot::OWN), state.clone());
        let journal = self.reader.identity().await?.unwrap_or_default();
        let kept = tokio::task::spawn_blocking(move || snapshot::keep(&file, &journal, &head, &state));
        let kept = kept.await.map_err(broken)?;
        kept.map_err(|error| explain(self.reader.path(), &sqlx::Error::Io(error)))
    }

    async fn close(&self) {
        let mut writer = self.writer.lock().await;
        let path = self.reader.path();
        self.reader.close().await;
        let ended = async {
            writer.anchored().await?;
            writer.checkpoint(true).await.map_err(|error| explain(path, &error))
        };
        if let Err(fault) = ended.await {
            tracing::error!(%fault, "the journal could not be closed in order; what is durable stays so");
        }
        if let Some(connection) = writer.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::error!(%error, "the journal's file could not be closed in order");
        }
    }
}

#[async_trait]
impl Records for SqliteJournal {
    async fn read(&self, after: u64, limit: usize) -> Result<Vec<Record>, JournalFault> {
        self.reader.read(after, limit).await
    }

    async fn verify(&self) -> Result<Chain, JournalFault> {
        let known = self.tail.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let chain = self.reader.verify().await?;
        // What this engine wrote itself counts more than any anchor.
        let there = known.records == 0 || self.reader.stored(known.records).await? == Some(known.head.clone());
        if chain.records < known.records || !there {
            return Err(verify::cut(&chain, &known));
        }
        Ok(chain)
    }

    async fn hash(&self, seq: u64) -> Result<Option<String>, JournalFault> {
        self.reader.hash(seq).await
    }

    async fn find(&self, head: &str) -> Result<Option<u64>, JournalFault> {
        self.reader.find(head).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::bench::write;
    use crate::journal::replay;

    fn note(text: &str) -> (Actor, Event) {
        (Actor::engine(), Event::NoteAdded { text: text.into() })
    }

    async fn filled(dir: &Path) -> SqliteJournal {
        let journal = SqliteJournal::open(dir).await.unwrap();
        write(&journal, vec![note("one"), note("two")]).await.unwrap();
        write(&journal, vec![note("three")]).await.unwrap();
        journal
    }

    /// What somebody with the file in hands could do.
    async fn tamper(dir: &Path, sql: &'static str) {
        let options = SqliteConnectOptions::new().filename(dir.join("journal.db"));
        let mut connection = options.connect().await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    #[tokio::test]
    async fn records_survive_and_go_on_where_they_ended() {
        let dir = tempfile::tempdir().unwrap();
        let head = filled(dir.path()).await.verify().await.unwrap();
        let journal = SqliteJournal::open(dir.path()).await.unwrap();
        assert_eq!(journal.verify().await.unwrap(), head);
        let four = write(&journal, vec![note("four")]).await.unwrap();
        assert_eq!(four[0].seq, 4);
        let all = journal.read(1, 2).await.unwrap();
        assert_eq!(all.iter().map(|record| record.seq).collect::<Vec<_>>(), [2, 3]);
        let mut folded = State::default();
        for record in journal.read(0, 100).await.unwrap() {
            folded.apply(&record);
        }
        assert_eq!(replay(journal.reader()).await.unwrap(), folded);
        assert_eq!(folded.seq, 4);
    }

    #[tokio::test]
    async fn what_was_altered_is_named() {
        for (sql, expected) in [
            ("UPDATE record SET body = replace(body, 'two', 'too') WHERE seq = 2", "record 2 does not fit"),
            ("DELETE FROM record WHERE seq = 2", "record 2 is missing"),
            ("UPDATE record SET hash = zeroblob(32) WHERE seq = 3", "record 3 does not fit"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let journal = filled(dir.path()).await;
            tamper(dir.path(), sql).await;
            let fault = journal.verify().await.unwrap_err();
            assert!(fault.what.contains(expected), "{sql}: {fault}");
            assert_eq!(replay(journal.reader()).await.unwrap_err(), fault, "an engine does not start from it");
        }
    }

    #[tokio::test]
    async fn a_foreign_or_newer_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        drop(filled(dir.path()).await);
        tamper(dir.path(), "PRAGMA user_version = 9").await;
        let refused = SqliteJournal::open(dir.path()).await.err().unwrap();
        assert!(refused.what.contains("newer Mayday"), "{refused}");
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("journal.db"), b"this is no database, but long enough to be looked at")
            .unwrap();
        let refused = SqliteJournal::open(other.path()).await.err().unwrap();
        assert!(refused.what.contains("not a database"), "{refused}");
    }

    #[tokio::test]
    async fn a_batch_that_fails_leaves_nothing_and_the_next_one_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let journal = filled(dir.path()).await;
        let trigger = "CREATE TRIGGER full BEFORE INSERT ON record WHEN new.body LIKE '%five%' BEGIN SELECT RAISE(ABORT, 'disk is full'); END";
        tamper(dir.path(), trigger).await;
        let fault = write(&journal, vec![note("four"), note("five")]).await.unwrap_err();
        assert!(fault.next.contains("free space"), "{fault}");
        let after = write(&journal, vec![note("six")]).await.unwrap();
        assert_eq!(after[0].seq, 4, "nothing of the failed batch is there");
        journal.verify().await.unwrap();
    }
}
