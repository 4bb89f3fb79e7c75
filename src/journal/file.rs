//! The SQLite file that records are kept in: whose it is, how it is made, and how it is written, all or nothing.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row as _};

use super::chain::{self, Hash, Row, head_of, hex};
use crate::domain::actor::Actor;
use crate::domain::event::Event;
use crate::domain::journal::{Chain, JournalFault};
use crate::domain::time::At;

/// "MYDY": marks the file as a journal of Mayday's.
pub(super) const APPLICATION: i32 = 0x4d59_4459;
/// The form of the file; a newer one is not touched. From the second on it knows which journal it is, and has an anchor.
pub(super) const VERSION: i32 = 2;

pub(super) fn chain_of((records, head): &(u64, Hash)) -> Chain {
    Chain { records: *records, head: head_of(*records, head) }
}

pub(super) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(2))
}

/// A connection that writes; the file is made if there is none.
pub(super) async fn connect(path: &Path) -> Result<SqliteConnection, JournalFault> {
    let fault = |error: sqlx::Error| explain(path, &error);
    // What SQLite keeps beside the file has the file's mode.
    let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map_err(|error| fault(sqlx::Error::Io(error)))?;
    let mut connection = options(path).connect().await.map_err(fault)?;
    match prepare(&mut connection, path).await {
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
) -> Result<Chain, sqlx::Error> {
    sqlx::query("UPDATE journal SET identity = ?").bind(identity.to_owned()).execute(&mut *connection).await?;
    let tail = chain_of(&tail(connection).await?);
    let (written, rows) = chain::draft(&tail, at, vec![event]).map_err(|fault| sqlx::Error::Protocol(fault.what))?;
    insert(connection, &rows).await.map_err(|(error, _)| error)?;
    Ok(written.chain)
}

/// All or nothing. Of a failure: whether the commit had begun, so that it may have come through.
pub(super) async fn insert(connection: &mut SqliteConnection, rows: &[Row]) -> Result<(), (sqlx::Error, bool)> {
    let not_begun = |error| (error, false);
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await.map_err(not_begun)?;
    put(connection, rows).await.map_err(not_begun)?;
    sqlx::query("COMMIT").execute(&mut *connection).await.map_err(|error| (error, true))?;
    Ok(())
}

/// Within a transaction.
pub(super) async fn put(connection: &mut SqliteConnection, rows: &[Row]) -> Result<(), sqlx::Error> {
    for row in rows {
        let body = std::str::from_utf8(&row.body).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let insert = sqlx::query("INSERT INTO record (seq, body, hash) VALUES (?, ?, ?)");
        insert.bind(row.seq as i64).bind(body).bind(&row.hash[..]).execute(&mut *connection).await?;
    }
    Ok(())
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
