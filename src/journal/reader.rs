//! Reading the journal's file, with or without an engine that writes it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Row as _, SqlitePool};

use super::chain::{self, Hash, Page, Pages, Row};
use super::file::{self, explain};
use super::verify;
use crate::domain::event::Record;
use crate::domain::journal::{Chain, JournalFault, Records};

/// Records fetched at once: enough to make the cost of a query small, few enough to stay small in memory.
const PAGE: i64 = 4000;

/// The journal's file in a state directory.
pub(super) fn place(dir: &Path) -> PathBuf {
    dir.join("journal.db")
}

/// Reads the journal of a state directory; changes nothing.
pub struct Reader {
    path: PathBuf,
    pool: SqlitePool,
}

impl Reader {
    /// # Errors
    /// When there is no journal, or its file cannot be read.
    pub async fn open(dir: &Path) -> Result<Self, JournalFault> {
        if !place(dir).exists() {
            let next = "name the state directory of an engine with --state-dir".into();
            return Err(JournalFault { what: format!("there is no journal in {}", dir.display()), next });
        }
        Self::at(place(dir)).await
    }

    /// Of a file that exists.
    pub(super) async fn at(path: PathBuf) -> Result<Self, JournalFault> {
        let options = SqliteConnectOptions::new().filename(&path).read_only(true).busy_timeout(Duration::from_secs(2));
        let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await;
        Ok(Self { pool: pool.map_err(|error| explain(&path, &error))?, path })
    }

    /// Whether an anchor lies beside it: without one, nobody can tell here whether its end was cut off.
    pub fn is_anchored(&self) -> bool {
        !matches!(super::anchor::load(self.dir()), Ok(super::anchor::Anchor::Missing))
    }

    /// Ends its connections, as far as nobody uses them for long.
    pub async fn close(&self) {
        // One that is still used ends with its use.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.pool.close()).await;
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number and the hash of the last record.
    pub(super) async fn tail(&self) -> Result<(u64, Hash), JournalFault> {
        let fault = |error: sqlx::Error| explain(&self.path, &error);
        let mut connection = self.pool.acquire().await.map_err(fault)?;
        file::tail(&mut connection).await.map_err(fault)
    }

    /// The number of the last record; 0 if there is none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn last(&self) -> Result<u64, JournalFault> {
        Ok(self.tail().await?.0)
    }

    pub(super) fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }
}

#[async_trait]
impl Pages for Reader {
    async fn page(&self, after: u64) -> Result<Option<Page>, JournalFault> {
        const SQL: &str = "SELECT CAST(group_concat(body, '') AS BLOB), CAST(group_concat(hash, '') AS BLOB),
            group_concat(octet_length(body)), group_concat(seq)
            FROM (SELECT seq, body, hash FROM record WHERE seq > ? ORDER BY seq LIMIT ?)";
        let row = sqlx::query(SQL).bind(number(after)).bind(PAGE).fetch_one(&self.pool).await;
        let page = row.and_then(|row| {
            let Some(numbers) = row.try_get::<Option<String>, _>(3)? else { return Ok(None) };
            let mut numbers = numbers.split(',').map(|number| number.parse::<u64>().unwrap_or(0));
            let first = numbers.next().unwrap_or(0);
            let (mut last, mut in_order) = (first, true);
            for number in numbers {
                in_order &= number == last + 1;
                last = number;
            }
            // What is not there, or no number, fits no chain.
            let bytes = |at: usize| row.try_get::<Option<Vec<u8>>, _>(at).map(Option::unwrap_or_default);
            let (bodies, hashes, lengths): (_, _, Option<String>) = (bytes(0)?, bytes(1)?, row.try_get(2)?);
            let mut end = 0_usize;
            let ends = lengths.iter().flat_map(|it| it.split(',')).map(|length| {
                end = end.saturating_add(length.parse().unwrap_or(usize::MAX));
                end
            });
            let mut ends: Vec<usize> = ends.collect();
            if ends.last() != Some(&bodies.len()) {
                ends.clear();
            }
            Ok(Some(Page { first, last, in_order, bodies, ends, hashes }))
        });
        page.map_err(|error| explain(&self.path, &error))
    }

    async fn rows(&self, after: u64, limit: usize) -> Result<Vec<Row>, JournalFault> {
        let sql = "SELECT seq, CAST(body AS BLOB), hash FROM record WHERE seq > ? ORDER BY seq LIMIT ?";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = sqlx::query(sql).bind(number(after)).bind(limit).fetch_all(&self.pool).await;
        let row = |row: &sqlx::sqlite::SqliteRow| {
            Ok(Row { seq: row.try_get::<i64, _>(0)? as u64, body: row.try_get(1)?, hash: row.try_get_unchecked(2)? })
        };
        rows.and_then(|rows| rows.iter().map(row).collect()).map_err(|error| explain(&self.path, &error))
    }

    async fn stored(&self, seq: u64) -> Result<Option<String>, JournalFault> {
        let row = sqlx::query("SELECT lower(hex(hash)) FROM record WHERE seq = ?").bind(number(seq));
        let row = row.fetch_optional(&self.pool).await.map_err(|error| explain(&self.path, &error))?;
        row.map(|row| row.try_get(0)).transpose().map_err(|error| explain(&self.path, &error))
    }

    async fn identity(&self) -> Result<Option<String>, JournalFault> {
        let fault = |error: sqlx::Error| explain(&self.path, &error);
        let mut connection = self.pool.acquire().await.map_err(fault)?;
        let (application, version) = file::form(&mut connection).await.map_err(fault)?;
        if application != file::APPLICATION || version > file::VERSION {
            return Ok(None);
        }
        if version < 2 {
            return Ok(Some(String::new()));
        }
        file::known_identity(&mut connection).await.map(Some).map_err(fault)
    }
}

#[async_trait]
impl Records for Reader {
    async fn read(&self, after: u64, limit: usize) -> Result<Vec<Record>, JournalFault> {
        self.rows(after, limit).await?.iter().map(Row::record).collect()
    }

    async fn verify(&self) -> Result<Chain, JournalFault> {
        // First: whoever writes meanwhile moves it on.
        let anchor = verify::anchor(self.dir())?;
        let chain = chain::whole(self).await?;
        verify::fits(self, &chain, anchor).await?;
        Ok(chain)
    }

    async fn hash(&self, seq: u64) -> Result<Option<String>, JournalFault> {
        self.stored(seq).await
    }

    async fn find(&self, head: &str) -> Result<Option<u64>, JournalFault> {
        let sql = "SELECT seq FROM record WHERE lower(hex(hash)) LIKE ? || '%' ORDER BY seq DESC LIMIT 1";
        let Some(plain) = chain::beginning(head) else { return Ok(None) };
        let row = sqlx::query(sql).bind(plain).fetch_optional(&self.pool).await;
        let seq = row.and_then(|row| row.map(|row| row.try_get::<i64, _>(0)).transpose());
        seq.map(|seq| seq.map(|seq| seq as u64)).map_err(|error| explain(&self.path, &error))
    }
}

/// As SQLite has numbers.
fn number(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
