//! The journal in a SQLite file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex as Shared, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row};
use tokio::sync::{Mutex, oneshot};

use super::anchor::{self, Keeper, Mark, Place, settled};
use super::doubt::Standing;
use super::reader::{Hash, Reader, explain, file, hash, hex};
use super::replay::broken;
use super::{snapshot, verify};
use crate::domain::actor::Actor;
use crate::domain::event::{Event, Record};
use crate::domain::journal::{Chain, Journal, JournalFault, Records};
use crate::domain::state::State;
use crate::domain::time::At;

/// "MYDY": marks the file as a journal of Mayday's.
pub(super) const APPLICATION: i32 = 0x4d59_4459;
/// The form of the file; a newer one is not touched. From the second on it knows which journal it is, and has an anchor.
pub(super) const VERSION: i32 = 2;

/// The journal in a SQLite file: write-ahead log, flushed to the disk at every commit.
pub struct SqliteJournal {
    writer: Mutex<Writer>,
    reader: Reader,
    keeper: Arc<Keeper>,
    /// The last record that is known to be durable.
    tail: Shared<Chain>,
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
        let path = file(dir);
        let fault = |error: sqlx::Error| explain(&path, &error);
        let broken = |error: io::Error| explain(&path, &sqlx::Error::Io(error));
        let standing = Standing::find(dir).await?;
        if let Some(fault) = standing.fault(dir) {
            return Err(fault);
        }
        let mut connection = connect(dir).await?;
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
                let mark = Mark::new(identity, tail.0, head(&tail), place.clone());
                anchor::create(dir, &mark).map_err(broken)?;
                mark
            }
        };
        let keeper = Arc::new(Keeper::start(dir, &path, found.clone()).map_err(broken)?);
        let (options, shared) = (options(dir), Shared::new(Chain { records: tail.0, head: head(&tail) }));
        let (connection, anchoring, severed) = (Some(connection), None, None);
        let mark = found.at(place);
        let writer = Writer { options, connection, tail, mark, anchoring, keeper: keeper.clone(), severed };
        Ok(Self { writer: Mutex::new(writer), reader: Reader::open(dir).await?, keeper, tail: shared })
    }

    pub fn reader(&self) -> &Reader {
        &self.reader
    }
}

fn head((records, head): &(u64, Hash)) -> String {
    if *records == 0 { String::new() } else { hex(head) }
}

fn options(dir: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file(dir))
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(2))
}

/// A connection that writes; the file is made if there is none.
pub(super) async fn connect(dir: &Path) -> Result<SqliteConnection, JournalFault> {
    let path = file(dir);
    let fault = |error: sqlx::Error| explain(&path, &error);
    // What SQLite keeps beside the file has the file's mode.
    let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    made.map_err(|error| fault(sqlx::Error::Io(error)))?;
    let mut connection = options(dir).connect().await.map_err(fault)?;
    match prepare(&mut connection, &path).await {
        Ok(()) => Ok(connection),
        Err(fault) => {
            // It has failed already.
            let _ = connection.close().await;
            Err(fault)
        }
    }
}

/// Makes the tables, or makes sure that they are ours.
async fn prepare(connection: &mut SqliteConnection, path: &Path) -> Result<(), JournalFault> {
    let fault = |error: sqlx::Error| explain(path, &error);
    let (application, version) = form(connection).await.map_err(fault)?;
    let tables: i64 = sqlx::query("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&mut *connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(fault)?;
    let fresh = application == 0 && tables == 0;
    if fresh || application == APPLICATION && version < VERSION {
        let records = "CREATE TABLE record (seq INTEGER PRIMARY KEY, body TEXT NOT NULL, hash BLOB NOT NULL) STRICT";
        let identity = identity().map_err(|error| fault(sqlx::Error::Io(error)))?;
        // All or nothing: what a full disk leaves half done would be taken for another program's.
        for sql in [
            "BEGIN IMMEDIATE",
            if fresh { records } else { "SELECT 1" },
            "CREATE TABLE journal (identity TEXT NOT NULL) STRICT",
            "INSERT INTO journal VALUES ('')",
            "PRAGMA application_id = 1297695833",
            "PRAGMA user_version = 2",
        ] {
            sqlx::query(sql).execute(&mut *connection).await.map_err(fault)?;
        }
        let named = sqlx::query("UPDATE journal SET identity = ?").bind(identity);
        named.execute(&mut *connection).await.map_err(fault)?;
        sqlx::query("COMMIT").execute(&mut *connection).await.map_err(fault)?;
        return Ok(());
    }
    let what = if application != APPLICATION {
        format!("{} is a database of another program", path.display())
    } else if version > VERSION {
        format!("{} was written by a newer Mayday (form {version}, this one knows {VERSION})", path.display())
    } else {
        return Ok(());
    };
    Err(JournalFault { what, next: "use the newer program, or another directory with --state-dir".into() })
}

/// Whose file it is, and in which form.
pub(super) async fn form(connection: &mut SqliteConnection) -> Result<(i32, i32), sqlx::Error> {
    let application = sqlx::query("PRAGMA application_id").fetch_one(&mut *connection).await?.try_get(0)?;
    let version = sqlx::query("PRAGMA user_version").fetch_one(connection).await?.try_get(0)?;
    Ok((application, version))
}

/// A name that no other journal has.
pub(super) fn identity() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(hex(&bytes))
}

pub(super) async fn known_identity(connection: &mut SqliteConnection) -> Result<String, sqlx::Error> {
    sqlx::query("SELECT identity FROM journal").fetch_one(connection).await?.try_get(0)
}

/// The number and the hash of the last record.
pub(super) async fn tail(connection: &mut SqliteConnection) -> Result<(u64, Hash), sqlx::Error> {
    let last = sqlx::query("SELECT seq, hash FROM record ORDER BY seq DESC LIMIT 1");
    let Some(row) = last.fetch_optional(connection).await? else { return Ok((0, [0; 32])) };
    let hash: Vec<u8> = row.try_get(1)?;
    let hash = hash.try_into().map_err(|_| sqlx::Error::Protocol("a hash has the wrong length".into()))?;
    Ok((row.try_get::<i64, _>(0)? as u64, hash))
}

/// Appends a first record to a journal that goes on under another name.
pub(super) async fn begin_again(
    connection: &mut SqliteConnection,
    identity: &str,
    event: (Actor, Event),
    at: At,
) -> Result<(Vec<Record>, (u64, Hash)), sqlx::Error> {
    sqlx::query("UPDATE journal SET identity = ?").bind(identity.to_owned()).execute(&mut *connection).await?;
    let tail = tail(connection).await?;
    write(connection, tail, at, vec![event]).await
}

impl Writer {
    async fn append(&mut self, path: &Path, at: At, events: Vec<(Actor, Event)>) -> Result<Vec<Record>, JournalFault> {
        let fault = |error: sqlx::Error| explain(path, &error);
        if let Some(severed) = &self.severed {
            return Err(severed.clone());
        }
        self.anchored().await?;
        self.keeper.look(false).await?;
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.reconnect().await.map_err(fault)?,
        };
        match write(&mut connection, self.tail, at, events).await {
            Ok((records, tail)) => {
                (self.connection, self.tail) = (Some(connection), tail);
                self.mark = self.mark.next(tail.0, head(&tail));
                self.anchoring = Some(self.keeper.write(self.mark.clone()));
                Ok(records)
            }
            Err(error) => {
                // SQLite clears its log away when the last connection closes: that is nobody's theft.
                self.keeper.new_log().await?;
                // It has failed already.
                let _ = connection.close().await;
                Err(fault(error))
            }
        }
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

    async fn reconnect(&self) -> Result<SqliteConnection, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        if tail(&mut connection).await? == self.tail {
            return Ok(connection);
        }
        // A commit that was reported as failed and is there all the same: this engine has not acted on it, so it must not go on.
        let what = "it does not end where it was left; restart the engine, which takes it as it is";
        Err(sqlx::Error::Protocol(what.into()))
    }

    /// Brings all of the log into the file. Readers of the moment may keep a part of it back.
    async fn checkpoint(&mut self, whole: bool) -> Result<(), sqlx::Error> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        // A whole one waits for readers, and whoever writes waits with it: only for the end.
        let sql = if whole { "PRAGMA wal_checkpoint(TRUNCATE)" } else { "PRAGMA wal_checkpoint(PASSIVE)" };
        sqlx::query(sql).execute(connection).await.map(drop)
    }
}

/// All or nothing; the new tail.
async fn write(
    connection: &mut SqliteConnection,
    (mut seq, mut head): (u64, Hash),
    at: At,
    events: Vec<(Actor, Event)>,
) -> Result<(Vec<Record>, (u64, Hash)), sqlx::Error> {
    let mut records = Vec::with_capacity(events.len());
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    for (actor, event) in events {
        seq += 1;
        let record = Record { seq, at, actor, event };
        let body = serde_json::to_string(&record).map_err(|error| sqlx::Error::Encode(error.into()))?;
        head = hash(&head, body.as_bytes());
        let insert = sqlx::query("INSERT INTO record (seq, body, hash) VALUES (?, ?, ?)");
        insert.bind(seq as i64).bind(body).bind(&head[..]).execute(&mut *connection).await?;
        records.push(record);
    }
    sqlx::query("COMMIT").execute(&mut *connection).await?;
    Ok((records, (seq, head)))
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn append(&self, at: At, events: Vec<(Actor, Event)>) -> Result<Vec<Record>, JournalFault> {
        let mut writer = self.writer.lock().await;
        let records = writer.append(self.reader.path(), at, events).await?;
        let tail = Chain { records: writer.tail.0, head: head(&writer.tail) };
        *self.tail.lock().unwrap_or_else(PoisonError::into_inner) = tail;
        Ok(records)
    }

    fn tail(&self) -> Chain {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
        let (dir, state) = (self.reader.dir().to_path_buf(), state.clone());
        let journal = self.reader.identity().await?.unwrap_or_default();
        let kept = tokio::task::spawn_blocking(move || snapshot::keep(&dir, &journal, &head, &state));
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
        let known = self.tail();
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
    use crate::journal::replay;

    fn note(text: &str) -> (Actor, Event) {
        (Actor::engine(), Event::NoteAdded { text: text.into() })
    }

    async fn filled(dir: &Path) -> SqliteJournal {
        let journal = SqliteJournal::open(dir).await.unwrap();
        let now = jiff::Timestamp::now();
        journal.append(now, vec![note("one"), note("two")]).await.unwrap();
        journal.append(now, vec![note("three")]).await.unwrap();
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
        let four = journal.append(jiff::Timestamp::now(), vec![note("four")]).await.unwrap();
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
        let now = jiff::Timestamp::now();
        let fault = journal.append(now, vec![note("four"), note("five")]).await.unwrap_err();
        assert!(fault.next.contains("free space"), "{fault}");
        let after = journal.append(now, vec![note("six")]).await.unwrap();
        assert_eq!(after[0].seq, 4, "nothing of the failed batch is there");
        journal.verify().await.unwrap();
    }
}
