//! The journal in a SQLite file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row, SqlitePool};
use tokio::sync::Mutex;

use crate::domain::actor::Actor;
use crate::domain::event::{Event, Record};
use crate::domain::journal::{Chain, Journal, JournalFault};
use crate::domain::time::At;

/// "MYDY": marks the file as a journal of Mayday's.
const APPLICATION: i32 = 0x4d59_4459;
/// The form of the file; a newer one is not touched.
const VERSION: i32 = 1;
/// Records fetched at once: enough to make the cost of a query small, few enough to stay small in memory.
const PAGE: i64 = 4000;

type Hash = [u8; 32];

/// The journal in a SQLite file: write-ahead log, flushed to the disk at every commit.
pub struct SqliteJournal {
    path: PathBuf,
    writer: Mutex<Writer>,
    readers: SqlitePool,
}

struct Writer {
    connection: SqliteConnection,
    /// The last record's number and hash; `None` after a failure, until they are read again.
    tail: Option<(u64, Hash)>,
}

impl SqliteJournal {
    /// Opens the journal of a state directory; an empty one is made if there is none.
    ///
    /// # Errors
    /// When the file cannot be read and written, is not a journal, or is of a newer Mayday.
    pub async fn open(dir: &Path) -> Result<Self, JournalFault> {
        let path = dir.join("journal.db");
        let fault = |error: sqlx::Error| explain(&path, &error);
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(2));
        let mut connection = options.connect().await.map_err(fault)?;
        prepare(&mut connection, &path).await?;
        let readers =
            SqlitePoolOptions::new().max_connections(2).connect_with(options.read_only(true)).await.map_err(fault)?;
        let writer = Mutex::new(Writer { connection, tail: None });
        Ok(Self { path, writer, readers })
    }

    /// The bodies of at most [`PAGE`] records after `seq`, a line each: one row is far cheaper to fetch than thousands.
    pub(super) async fn page(&self, after: u64) -> Result<Option<String>, JournalFault> {
        const SQL: &str =
            "SELECT group_concat(body, char(10)) FROM (SELECT body FROM record WHERE seq > ? ORDER BY seq LIMIT ?)";
        let row = sqlx::query(SQL).bind(after as i64).bind(PAGE).fetch_one(&self.readers).await;
        row.and_then(|row| row.try_get(0)).map_err(|error| explain(&self.path, &error))
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
        for sql in [
            "CREATE TABLE record (seq INTEGER PRIMARY KEY, body TEXT NOT NULL, hash BLOB NOT NULL) STRICT",
            "PRAGMA application_id = 1297695833",
            "PRAGMA user_version = 1",
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

/// What a failure of the database means, and what to do.
fn explain(path: &Path, error: &sqlx::Error) -> JournalFault {
    let text = error.to_string();
    let next = if text.contains("full") {
        "free space on that disk; what was not written is kept and written then"
    } else if text.contains("readonly") || text.contains("unable to open") {
        "make the state directory writable, or choose another with --state-dir"
    } else if text.contains("not a database") || text.contains("malformed") {
        "keep the file for the review, and start with an empty directory by --state-dir"
    } else {
        "look at the disk; what was not written is kept and tried again"
    };
    JournalFault { what: format!("{}: {text}", path.display()), next: next.into() }
}

fn hash(previous: &[u8], body: &str) -> Hash {
    Sha256::new().chain_update(previous).chain_update(body.as_bytes()).finalize().into()
}

fn corrupt(seq: u64, why: &str) -> JournalFault {
    let what = format!("record {seq} {why}: the journal was altered after it was written");
    JournalFault { what, next: "keep the file as evidence; `mayday journal export` still reads what is there".into() }
}

impl Writer {
    async fn tail(&mut self) -> Result<(u64, Hash), sqlx::Error> {
        if let Some(tail) = self.tail {
            return Ok(tail);
        }
        let last = sqlx::query("SELECT seq, hash FROM record ORDER BY seq DESC LIMIT 1");
        let tail = match last.fetch_optional(&mut self.connection).await? {
            Some(row) => {
                let hash: Vec<u8> = row.try_get(1)?;
                let hash = hash.try_into().map_err(|_| sqlx::Error::Protocol("a hash has the wrong length".into()))?;
                (row.try_get::<i64, _>(0)? as u64, hash)
            }
            None => (0, [0; 32]),
        };
        Ok(*self.tail.insert(tail))
    }

    async fn append(&mut self, at: At, events: Vec<(Actor, Event)>) -> Result<Vec<Record>, sqlx::Error> {
        let (mut seq, mut head) = self.tail().await?;
        // Until the commit has succeeded nothing is known about the end of the file.
        self.tail = None;
        let mut records = Vec::with_capacity(events.len());
        let mut transaction = self.connection.begin().await?;
        for (actor, event) in events {
            seq += 1;
            let record = Record { seq, at, actor, event };
            let body = serde_json::to_string(&record).map_err(|error| sqlx::Error::Encode(error.into()))?;
            head = hash(&head, &body);
            let insert = sqlx::query("INSERT INTO record (seq, body, hash) VALUES (?, ?, ?)");
            insert.bind(seq as i64).bind(body).bind(&head[..]).execute(&mut *transaction).await?;
            records.push(record);
        }
        transaction.commit().await?;
        self.tail = Some((seq, head));
        Ok(records)
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn append(&self, at: At, events: Vec<(Actor, Event)>) -> Result<Vec<Record>, JournalFault> {
        let mut writer = self.writer.lock().await;
        writer.append(at, events).await.map_err(|error| explain(&self.path, &error))
    }

    async fn read(&self, after: u64, limit: usize) -> Result<Vec<Record>, JournalFault> {
        let sql = "SELECT seq, body FROM record WHERE seq > ? ORDER BY seq LIMIT ?";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = sqlx::query(sql).bind(after as i64).bind(limit).fetch_all(&self.readers).await;
        let rows = rows.map_err(|error| explain(&self.path, &error))?;
        let record = |row: &sqlx::sqlite::SqliteRow| {
            let (seq, body) = (row.try_get::<i64, _>(0), row.try_get::<String, _>(1));
            let body = body.map_err(|error| explain(&self.path, &error))?;
            serde_json::from_str(&body).map_err(|_| corrupt(seq.unwrap_or_default() as u64, "cannot be read"))
        };
        rows.iter().map(record).collect()
    }

    async fn verify(&self) -> Result<Chain, JournalFault> {
        let fault = |error: sqlx::Error| explain(&self.path, &error);
        let (mut seq, mut head): (u64, Hash) = (0, [0; 32]);
        loop {
            let sql = "SELECT seq, body, hash FROM record WHERE seq > ? ORDER BY seq LIMIT ?";
            let rows = sqlx::query(sql).bind(seq as i64).bind(PAGE).fetch_all(&self.readers).await.map_err(fault)?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let found = row.try_get::<i64, _>(0).map_err(fault)? as u64;
                if found != seq + 1 {
                    return Err(corrupt(seq + 1, "is missing"));
                }
                seq = found;
                let (body, kept): (String, Vec<u8>) = (row.try_get(1).map_err(fault)?, row.try_get(2).map_err(fault)?);
                head = hash(&head, &body);
                if kept != head {
                    return Err(corrupt(seq, "does not fit the chain"));
                }
            }
        }
        let hex = |hash: &Hash| hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Chain { records: seq, head: if seq == 0 { String::new() } else { hex(&head) } })
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
        assert_eq!(replay(&journal).await.unwrap(), folded);
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
