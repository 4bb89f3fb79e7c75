//! The journal in a SQLite file.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row};
use tokio::sync::Mutex;

use super::reader::{Hash, Reader, explain, file, hash};
use crate::domain::actor::Actor;
use crate::domain::event::{Event, Record};
use crate::domain::journal::{Chain, Journal, JournalFault, Records};
use crate::domain::time::At;

/// "MYDY": marks the file as a journal of Mayday's.
const APPLICATION: i32 = 0x4d59_4459;
/// The form of the file; a newer one is not touched.
const VERSION: i32 = 1;
/// The journal in a SQLite file: write-ahead log, flushed to the disk at every commit.
pub struct SqliteJournal {
    writer: Mutex<Writer>,
    reader: Reader,
}

struct Writer {
    options: SqliteConnectOptions,
    /// `None` after a failure: only a new connection knows for sure that the failed transaction is gone. (The driver counts
    /// transactions by itself; after a commit that failed it would take the next one for a part of that, and never commit it.)
    connection: Option<SqliteConnection>,
    /// The number and the hash of the last record that is known to be durable.
    tail: (u64, Hash),
}

impl SqliteJournal {
    /// Opens the journal of a state directory; an empty one is made if there is none.
    ///
    /// # Errors
    /// When the file cannot be read and written, is not a journal, or is of a newer Mayday.
    pub async fn open(dir: &Path) -> Result<Self, JournalFault> {
        let path = file(dir);
        let fault = |error: sqlx::Error| explain(&path, &error);
        // What SQLite keeps beside the file has the file's mode.
        let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        made.map_err(|error| fault(sqlx::Error::Io(error)))?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(2));
        let mut connection = options.connect().await.map_err(fault)?;
        prepare(&mut connection, &path).await?;
        let tail = tail(&mut connection).await.map_err(fault)?;
        let writer = Mutex::new(Writer { options, connection: Some(connection), tail });
        Ok(Self { writer, reader: Reader::open(dir).await? })
    }

    pub fn reader(&self) -> &Reader {
        &self.reader
    }
}

/// Makes the table, or makes sure that it is ours.
async fn prepare(connection: &mut SqliteConnection, path: &Path) -> Result<(), JournalFault> {
    let fault = |error: sqlx::Error| explain(path, &error);
    let application: i32 = pragma(connection, "PRAGMA application_id").await.map_err(fault)?;
    let version: i32 = pragma(connection, "PRAGMA user_version").await.map_err(fault)?;
    let tables: i64 = sqlx::query("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&mut *connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(fault)?;
    if application == 0 && tables == 0 {
        // All or nothing: what a full disk leaves half done would be taken for another program's.
        for sql in [
            "BEGIN IMMEDIATE",
            "CREATE TABLE record (seq INTEGER PRIMARY KEY, body TEXT NOT NULL, hash BLOB NOT NULL) STRICT",
            "PRAGMA application_id = 1297695833",
            "PRAGMA user_version = 1",
            "COMMIT",
        ] {
            sqlx::query(sql).execute(&mut *connection).await.map_err(fault)?;
        }
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

async fn pragma(connection: &mut SqliteConnection, sql: &'static str) -> Result<i32, sqlx::Error> {
    sqlx::query(sql).fetch_one(connection).await?.try_get(0)
}

/// The number and the hash of the last record.
async fn tail(connection: &mut SqliteConnection) -> Result<(u64, Hash), sqlx::Error> {
    let last = sqlx::query("SELECT seq, hash FROM record ORDER BY seq DESC LIMIT 1");
    let Some(row) = last.fetch_optional(connection).await? else { return Ok((0, [0; 32])) };
    let hash: Vec<u8> = row.try_get(1)?;
    let hash = hash.try_into().map_err(|_| sqlx::Error::Protocol("a hash has the wrong length".into()))?;
    Ok((row.try_get::<i64, _>(0)? as u64, hash))
}

impl Writer {
    async fn append(&mut self, at: At, events: Vec<(Actor, Event)>) -> Result<Vec<Record>, sqlx::Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.reconnect().await?,
        };
        match write(&mut connection, self.tail, at, events).await {
            Ok((records, tail)) => {
                (self.connection, self.tail) = (Some(connection), tail);
                Ok(records)
            }
            Err(error) => {
                // It has failed already.
                let _ = connection.close().await;
                Err(error)
            }
        }
    }

    async fn reconnect(&self) -> Result<SqliteConnection, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        if tail(&mut connection).await? == self.tail {
            return Ok(connection);
        }
        // A commit that was reported as failed and is there all the same: this engine has not acted on it, so it must not go on.
        Err(sqlx::Error::Protocol(
            "it does not end where it was left; restart the engine, which takes it as it is".into(),
        ))
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
        head = hash(&head, &body);
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
        writer.append(at, events).await.map_err(|error| explain(self.reader.path(), &error))
    }
}

#[async_trait]
impl Records for SqliteJournal {
    async fn read(&self, after: u64, limit: usize) -> Result<Vec<Record>, JournalFault> {
        self.reader.read(after, limit).await
    }

    async fn verify(&self) -> Result<Chain, JournalFault> {
        self.reader.verify().await
    }

    async fn hash(&self, seq: u64) -> Result<Option<String>, JournalFault> {
        self.reader.hash(seq).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::state::State;
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
