//! Reading the journal's file, with or without an engine that writes it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Row, SqlitePool};

use crate::domain::event::Record;
use crate::domain::journal::{Chain, JournalFault, Records};

/// Records fetched at once: enough to make the cost of a query small, few enough to stay small in memory.
const PAGE: i64 = 4000;

pub(super) type Hash = [u8; 32];

/// The journal's file in a state directory.
pub(super) fn file(dir: &Path) -> PathBuf {
    dir.join("journal.db")
}

/// Reads the journal of a state directory; changes nothing.
pub struct Reader {
    path: PathBuf,
    pool: SqlitePool,
}

/// Records in the form in which they are fetched fastest: one row for thousands.
pub(super) struct Page {
    /// A line each.
    pub bodies: String,
    /// In hex, one after the other.
    pub hashes: String,
}

impl Reader {
    /// # Errors
    /// When there is no journal, or its file cannot be read.
    pub async fn open(dir: &Path) -> Result<Self, JournalFault> {
        let path = file(dir);
        if !path.exists() {
            let next = "name the state directory of an engine with --state-dir".into();
            return Err(JournalFault { what: format!("there is no journal in {}", dir.display()), next });
        }
        let options = SqliteConnectOptions::new().filename(&path).read_only(true).busy_timeout(Duration::from_secs(2));
        let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await;
        Ok(Self { pool: pool.map_err(|error| explain(&path, &error))?, path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// At most [`PAGE`] records after `seq`.
    pub(super) async fn page(&self, after: u64) -> Result<Option<Page>, JournalFault> {
        const SQL: &str = "SELECT group_concat(body, char(10)), group_concat(hex(hash), '')
            FROM (SELECT body, hash FROM record WHERE seq > ? ORDER BY seq LIMIT ?)";
        let row = sqlx::query(SQL).bind(number(after)).bind(PAGE).fetch_one(&self.pool).await;
        let page = row.and_then(|row| {
            let (bodies, hashes): (Option<String>, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
            Ok(bodies.zip(hashes).map(|(bodies, hashes)| Page { bodies, hashes }))
        });
        page.map_err(|error| explain(&self.path, &error))
    }
}

#[async_trait]
impl Records for Reader {
    async fn read(&self, after: u64, limit: usize) -> Result<Vec<Record>, JournalFault> {
        let sql = "SELECT seq, body FROM record WHERE seq > ? ORDER BY seq LIMIT ?";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = sqlx::query(sql).bind(number(after)).bind(limit).fetch_all(&self.pool).await;
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
            let rows = sqlx::query(sql).bind(number(seq)).bind(PAGE).fetch_all(&self.pool).await.map_err(fault)?;
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

    async fn hash(&self, seq: u64) -> Result<Option<String>, JournalFault> {
        let row = sqlx::query("SELECT lower(hex(hash)) FROM record WHERE seq = ?").bind(number(seq));
        let row = row.fetch_optional(&self.pool).await.map_err(|error| explain(&self.path, &error))?;
        row.map(|row| row.try_get(0)).transpose().map_err(|error| explain(&self.path, &error))
    }
}

/// As SQLite has numbers.
fn number(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// What a failure of the database means, and what to do.
pub(super) fn explain(path: &Path, error: &sqlx::Error) -> JournalFault {
    let text = error.to_string();
    let next = if text.contains("full") {
        "free space on that disk; what was not written is kept and written then"
    } else if ["readonly", "unable to open", "denied", "Read-only"].iter().any(|word| text.contains(word)) {
        "make the state directory writable, or choose another with --state-dir"
    } else if text.contains("not a database") || text.contains("malformed") {
        "keep the file for the review, and start with an empty directory by --state-dir"
    } else {
        "look at the disk: is there room, does it fail? what was not written is kept and tried again"
    };
    JournalFault { what: format!("{}: {text}", path.display()), next: next.into() }
}

pub(super) fn hash(previous: &[u8], body: &str) -> Hash {
    Sha256::new().chain_update(previous).chain_update(body.as_bytes()).finalize().into()
}

pub(super) fn corrupt(seq: u64, why: &str) -> JournalFault {
    const NEXT: &str = "keep the state directory as evidence (`mayday journal export` reads what is there), and work with an empty \
        one by --state-dir";
    let what = format!("record {seq} {why}: the journal was altered after it was written");
    JournalFault { what, next: NEXT.into() }
}
