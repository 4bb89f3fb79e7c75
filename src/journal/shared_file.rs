//! The journal in a SQLite file that several engines of one host share. SQLite's own locks keep them apart, which no network file system
//! can be trusted to do (https://www.sqlite.org/faq.html#q5).

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Row as _};
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::chain::{Hash, Page, Pages, Row};
use super::file::{chain_of, connect, explain, put, tail};
use super::reader::Reader;
use super::store::{Put, Store};
use crate::domain::journal::{Chain, JournalFault, Lead, Post, Presence, Records, Term, Who};
use crate::domain::time::At;

/// How often it is looked whether there is something new, and after how many looks without it is said that there is nothing.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS: usize = 20;

/// How often it is tried to make the file, and how soon again.
const TRIES: usize = 3;
const AGAIN: Duration = Duration::from_millis(200);

const TABLES: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS lead (one INTEGER PRIMARY KEY CHECK (one = 1), term INTEGER NOT NULL, beat INTEGER NOT NULL,
        engine TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, since REAL NOT NULL, resigned INTEGER NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS engine (engine TEXT PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL, seq INTEGER NOT NULL,
        seen REAL NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS ask (id TEXT PRIMARY KEY, text TEXT NOT NULL, taken INTEGER NOT NULL DEFAULT 0, answer TEXT,
        at REAL NOT NULL DEFAULT (unixepoch('subsec'))) STRICT",
];

const LEAD_FIRST: &str =
    "INSERT INTO lead VALUES (1, 1, 0, ?1, ?2, ?3, unixepoch('subsec'), 0) ON CONFLICT DO NOTHING RETURNING term";

const LEAD_NEXT: &str = "UPDATE lead SET term = term + 1, beat = 0, engine = ?1, name = ?2, version = ?3, resigned = 0,
    since = CASE WHEN engine = ?1 AND resigned = 0 THEN since ELSE unixepoch('subsec') END
    WHERE term = ?4 AND beat = ?5 RETURNING term";

const MEET: &str = "INSERT INTO engine VALUES (?1, ?2, ?3, ?4, unixepoch('subsec'))
    ON CONFLICT (engine) DO UPDATE SET name = ?2, version = ?3, seq = ?4, seen = unixepoch('subsec')";

const MET: &str = "SELECT engine, name, version, seq, max(unixepoch('subsec') - seen, 0.0) FROM engine
    WHERE seen > unixepoch() - 2592000 ORDER BY name, engine";

pub(super) struct SharedFile {
    path: PathBuf,
    /// `None` after a failure: only a new connection knows for sure what became of a transaction.
    writer: Mutex<Option<SqliteConnection>>,
    reader: Reader,
}

impl SharedFile {
    /// Opens the file; it is made if there is none.
    ///
    /// # Errors
    /// When it cannot be read and written, is not a journal, or is of a newer Mayday.
    pub async fn open(path: &Path) -> Result<Self, JournalFault> {
        let mut tries = 0;
        let connection = loop {
            match Self::prepared(path).await {
                Ok(connection) => break connection,
                // Another engine may be making it at this moment.
                Err(_) if tries < TRIES => tries += 1,
                Err(fault) => return Err(fault),
            }
            sleep(AGAIN).await;
        };
        let reader = Reader::at(path.to_path_buf()).await?;
        Ok(Self { path: path.into(), writer: Mutex::new(Some(connection)), reader })
    }

    async fn prepared(path: &Path) -> Result<SqliteConnection, JournalFault> {
        let mut connection = connect(path).await?;
        for table in TABLES {
            if let Err(error) = sqlx::query(table).execute(&mut connection).await {
                // It has failed already.
                let _ = connection.close().await;
                return Err(explain(path, &error));
            }
        }
        Ok(connection)
    }

    fn fault(&self, error: &sqlx::Error) -> JournalFault {
        explain(&self.path, error)
    }

    async fn connection(&self, kept: Option<SqliteConnection>) -> Result<SqliteConnection, JournalFault> {
        match kept {
            Some(connection) => Ok(connection),
            None => connect(&self.path).await,
        }
    }

    /// The one row that a statement answers, if it does.
    async fn some(
        &self,
        asked: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<Option<SqliteRow>, JournalFault> {
        Ok(self.all(asked).await?.into_iter().next())
    }

    async fn all(
        &self,
        asked: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<Vec<SqliteRow>, JournalFault> {
        let mut writer = self.writer.lock().await;
        let mut connection = self.connection(writer.take()).await?;
        match asked.fetch_all(&mut connection).await {
            Ok(rows) => {
                *writer = Some(connection);
                Ok(rows)
            }
            Err(error) => {
                // It has failed already.
                let _ = connection.close().await;
                Err(self.fault(&error))
            }
        }
    }

    fn read<T>(&self, found: Result<T, sqlx::Error>) -> Result<T, JournalFault> {
        found.map_err(|error| self.fault(&error))
    }
}

/// Within a transaction that is open: puts the rows, unless the term or the tail is another.
async fn compare_and_put(
    connection: &mut SqliteConnection,
    term: Term,
    expected: &Chain,
    rows: &[Row],
) -> Result<Option<Put>, sqlx::Error> {
    let led = sqlx::query("SELECT 1 FROM lead WHERE term = ? AND resigned = 0").bind(term.0 as i64);
    if led.fetch_optional(&mut *connection).await?.is_none() {
        return Ok(Some(Put::Outdated));
    }
    let found = tail(connection).await?;
    if chain_of(&found) != *expected {
        return Ok(Some(Put::Moved(found.0)));
    }
    put(connection, rows).await.map(|()| None)
}

/// What became of them. Of a failure: whether the commit had begun, so that it may have come through.
async fn settle(connection: &mut SqliteConnection, asked: (Term, &Chain, &[Row])) -> Result<Put, (sqlx::Error, bool)> {
    let not_begun = |error| (error, false);
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await.map_err(not_begun)?;
    let (term, expected, rows) = asked;
    if let Some(refused) = compare_and_put(connection, term, expected, rows).await.map_err(not_begun)? {
        sqlx::query("ROLLBACK").execute(&mut *connection).await.map_err(not_begun)?;
        return Ok(refused);
    }
    sqlx::query("COMMIT").execute(&mut *connection).await.map_err(|error| (error, true))?;
    Ok(Put::Durable)
}

#[async_trait]
impl Pages for SharedFile {
    async fn page(&self, after: u64) -> Result<Option<Page>, JournalFault> {
        self.reader.page(after).await
    }

    async fn rows(&self, after: u64, limit: usize) -> Result<Vec<Row>, JournalFault> {
        self.reader.rows(after, limit).await
    }

    async fn stored(&self, seq: u64) -> Result<Option<String>, JournalFault> {
        self.reader.stored(seq).await
    }

    async fn identity(&self) -> Result<Option<String>, JournalFault> {
        self.reader.identity().await
    }
}

#[async_trait]
impl Store for SharedFile {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    async fn tail(&self) -> Result<(u64, Hash), JournalFault> {
        self.reader.tail().await
    }

    async fn find(&self, beginning: &str) -> Result<Option<u64>, JournalFault> {
        self.reader.find(beginning).await
    }

    async fn leader(&self) -> Result<Option<Lead>, JournalFault> {
        let asked = sqlx::query("SELECT term, beat, engine, name, version, since, resigned FROM lead");
        let Some(row) = self.some(asked).await? else { return Ok(None) };
        let read = || {
            let who = Who { engine: row.try_get(2)?, name: row.try_get(3)?, version: row.try_get(4)? };
            let (term, beat): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            let since = At::from_microsecond((row.try_get::<f64, _>(5)? * 1e6) as i64).unwrap_or(At::UNIX_EPOCH);
            let resigned = row.try_get::<i64, _>(6)? != 0;
            Ok(Lead { term: Term(term as u64), who, beat: beat as u64, since, resigned })
        };
        self.read(read()).map(Some)
    }

    async fn lead(&self, who: &Who, over: Option<&Lead>) -> Result<Option<Term>, JournalFault> {
        let asked = sqlx::query(if over.is_some() { LEAD_NEXT } else { LEAD_FIRST });
        let asked = asked.bind(who.engine.clone()).bind(who.name.clone()).bind(who.version.clone());
        let asked = match over {
            Some(lead) => asked.bind(lead.term.0 as i64).bind(lead.beat as i64),
            None => asked,
        };
        let term = |row: SqliteRow| self.read(row.try_get::<i64, _>(0)).map(|term| Term(term as u64));
        self.some(asked).await?.map(term).transpose()
    }

    async fn renew(&self, term: Term) -> Result<bool, JournalFault> {
        let sql = "UPDATE lead SET beat = beat + 1 WHERE term = ? AND resigned = 0 RETURNING beat";
        Ok(self.some(sqlx::query(sql).bind(term.0 as i64)).await?.is_some())
    }

    async fn resign(&self, term: Term) -> Result<(), JournalFault> {
        let sql = "UPDATE lead SET resigned = 1, beat = beat + 1 WHERE term = ? RETURNING beat";
        self.some(sqlx::query(sql).bind(term.0 as i64)).await.map(drop)
    }

    async fn put(&self, term: Term, expected: &Chain, rows: &[Row]) -> Put {
        let mut writer = self.writer.lock().await;
        let mut connection = match self.connection(writer.take()).await {
            Ok(connection) => connection,
            Err(fault) => return Put::NotWritten(fault),
        };
        match settle(&mut connection, (term, expected, rows)).await {
            Ok(put) => {
                *writer = Some(connection);
                put
            }
            Err((error, begun)) => {
                // It has failed already.
                let _ = connection.close().await;
                let fault = self.fault(&error);
                if begun { Put::Unknown(fault) } else { Put::NotWritten(fault) }
            }
        }
    }

    async fn watch(&self, seq: u64) {
        for _ in 0..LOOKS {
            sleep(LOOK).await;
            // Whoever watches reads next, and hears of a fault there.
            if self.reader.tail().await.map_or(true, |(last, _)| last > seq) {
                return;
            }
        }
    }

    async fn meet(&self, who: &Who, seq: u64) -> Result<Vec<Presence>, JournalFault> {
        let asked = sqlx::query(MEET).bind(who.engine.clone()).bind(who.name.clone()).bind(who.version.clone());
        self.all(asked.bind(seq as i64)).await?;
        let read = |row: &SqliteRow| {
            let who = Who { engine: row.try_get(0)?, name: row.try_get(1)?, version: row.try_get(2)? };
            Ok(Presence { who, seq: row.try_get::<i64, _>(3)? as u64, silent: row.try_get(4)? })
        };
        let rows = self.all(sqlx::query(MET)).await?;
        self.read(rows.iter().map(read).collect())
    }

    async fn close(&self) {
        self.reader.close().await;
        if let Some(connection) = self.writer.lock().await.take()
            && let Err(error) = connection.close().await
        {
            tracing::error!(%error, "the journal's file could not be closed in order");
        }
    }
}

#[async_trait]
impl Post for SharedFile {
    async fn leave(&self, id: &str, text: &str) -> Result<(), JournalFault> {
        self.all(sqlx::query("DELETE FROM ask WHERE at < unixepoch() - 3600")).await?;
        let asked = sqlx::query("INSERT INTO ask (id, text) VALUES (?, ?)");
        self.all(asked.bind(id.to_owned()).bind(text.to_owned())).await.map(drop)
    }

    async fn left(&self) -> Result<Vec<(String, String)>, JournalFault> {
        let rows = self.all(sqlx::query("SELECT id, text FROM ask WHERE taken = 0 ORDER BY at")).await?;
        self.read(rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect())
    }

    async fn take(&self, id: &str) -> Result<bool, JournalFault> {
        let asked = sqlx::query("UPDATE ask SET taken = 1 WHERE id = ? AND taken = 0 RETURNING id");
        Ok(self.some(asked.bind(id.to_owned())).await?.is_some())
    }

    async fn answer(&self, id: &str, text: &str) -> Result<(), JournalFault> {
        let asked = sqlx::query("UPDATE ask SET answer = ?2 WHERE id = ?1");
        self.all(asked.bind(id.to_owned()).bind(text.to_owned())).await.map(drop)
    }

    async fn answered(&self, id: &str) -> Result<Option<String>, JournalFault> {
        let row = self.some(sqlx::query("SELECT answer FROM ask WHERE id = ?").bind(id.to_owned())).await?;
        Ok(row.map(|row| self.read(row.try_get(0))).transpose()?.flatten())
    }
}
