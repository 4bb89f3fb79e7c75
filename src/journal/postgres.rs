//! The journal in PostgreSQL, or in a server that speaks its wire. Every operation is one statement and commits by itself: one round trip,
//! and nothing is left open by a client that dies.

use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{PgPool, Postgres, Row as _};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::chain::{Hash, Page, Pages, Row, unhex};
use super::ears::{Ears, tell};
use super::file::identity;
use super::store::{Put, Store};
use crate::domain::journal::{Chain, JournalFault, Lead, Post, Presence, Term, Who};
use crate::domain::time::At;

/// The form of the tables; newer ones are not touched.
const FORM: i32 = 1;
/// The longest that an answer is waited for.
const ANSWER: Duration = Duration::from_secs(3);
/// The longest that a page is waited for: it may come from far away.
const PATIENCE: Duration = Duration::from_secs(30);
/// Records fetched at once.
const PAGE: usize = 4000;
/// For how long it is watched before it is said that there is nothing new.
const WATCH: Duration = Duration::from_secs(1);

/// The tables, made by whoever comes first. The lock keeps two engines that start together from making them twice.
const SCHEMA: &str = "BEGIN;
SELECT pg_advisory_xact_lock(1297695833);
CREATE TABLE IF NOT EXISTS mayday_journal (one boolean PRIMARY KEY DEFAULT true CHECK (one), identity text NOT NULL, form integer NOT NULL);
CREATE TABLE IF NOT EXISTS mayday_record (seq bigint PRIMARY KEY, body text NOT NULL, hash bytea NOT NULL, term bigint NOT NULL);
CREATE TABLE IF NOT EXISTS mayday_lead (one boolean PRIMARY KEY DEFAULT true CHECK (one), term bigint NOT NULL, beat bigint NOT NULL,
    engine text NOT NULL, name text NOT NULL, version text NOT NULL, since timestamptz NOT NULL, resigned boolean NOT NULL);
CREATE TABLE IF NOT EXISTS mayday_engine (engine text PRIMARY KEY, name text NOT NULL, version text NOT NULL, seq bigint NOT NULL,
    seen timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS mayday_ask (id text PRIMARY KEY, text text NOT NULL, taken boolean NOT NULL DEFAULT false, answer text,
    at timestamptz NOT NULL DEFAULT clock_timestamp());
COMMIT;";

/// Whether it is ours, and keeps what it calls durable: `fsync` and `synchronous_commit` may be off for a whole server, a database or a
/// role (https://www.postgresql.org/docs/current/runtime-config-wal.html); other servers do not know the settings.
const ASKED: &str = "SELECT to_regclass('mayday_journal') IS NOT NULL AND to_regclass('mayday_ask') IS NOT NULL,
    coalesce(current_setting('fsync', true), 'on'), coalesce(current_setting('synchronous_commit', true), 'on'),
    coalesce(current_setting('server_encoding', true), 'UTF8')";

/// The row of the lead is locked for the statement: a take-over waits for it, and what comes after a take-over finds another term.
const PUT: &str = "WITH led AS (SELECT term FROM mayday_lead WHERE term = $1 AND NOT resigned FOR UPDATE),
    fit AS (SELECT true WHERE $2::bigint = 0 OR EXISTS (SELECT 1 FROM mayday_record WHERE seq = $2 AND hash = $3)),
    put AS (INSERT INTO mayday_record (seq, body, hash, term) SELECT new.seq, new.body, new.hash, led.term
        FROM unnest($4::bigint[], $5::text[], $6::bytea[]) AS new (seq, body, hash), led, fit RETURNING seq)
    SELECT (SELECT count(*) FROM led), (SELECT count(*) FROM put)";

const LEADER: &str =
    "SELECT term, beat, engine, name, version, extract(epoch FROM since)::float8, resigned FROM mayday_lead";

const LEAD_FIRST: &str = "INSERT INTO mayday_lead (term, beat, engine, name, version, since, resigned)
    VALUES (1, 0, $1, $2, $3, clock_timestamp(), false) ON CONFLICT DO NOTHING RETURNING term";

const LEAD_NEXT: &str =
    "UPDATE mayday_lead SET term = term + 1, beat = 0, name = $2, version = $3, resigned = false, engine = $1,
    since = CASE WHEN engine = $1 AND NOT resigned THEN since ELSE clock_timestamp() END
    WHERE term = $4 AND beat = $5 RETURNING term";

const MEET: &str =
    "INSERT INTO mayday_engine (engine, name, version, seq, seen) VALUES ($1, $2, $3, $4, clock_timestamp())
    ON CONFLICT (engine) DO UPDATE SET name = $2, version = $3, seq = $4, seen = clock_timestamp()";

const MET: &str =
    "SELECT engine, name, version, seq, extract(epoch FROM clock_timestamp() - seen)::float8 FROM mayday_engine
    WHERE seen > clock_timestamp() - interval '30 days' ORDER BY name, engine";

pub(super) struct PostgresStore {
    pool: PgPool,
    /// Host, port and database.
    name: String,
    ears: Mutex<Ears>,
}

/// Why a statement has no answer.
enum Failed {
    /// It was not sent.
    NotSent(JournalFault),
    /// It may have been carried out.
    NoAnswer(JournalFault),
    /// The server has refused it: its code, and what it said.
    Refused(String, JournalFault),
}

impl From<Failed> for JournalFault {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::NotSent(fault) | Failed::NoAnswer(fault) | Failed::Refused(_, fault) => fault,
        }
    }
}

type Asked<'q> = Query<'q, Postgres, PgArguments>;

impl PostgresStore {
    /// Connects, and makes the tables if they are missing.
    ///
    /// # Errors
    /// When the URL is none, the server does not answer or lets nobody in, keeps nothing durably, or the tables are of a newer Mayday.
    pub async fn open(url: &str) -> Result<Self, JournalFault> {
        let store = Self::unasked(url)?;
        store.prepare().await?;
        Ok(store)
    }

    /// The same without a word to the server, which may be gone: its tables are there from before.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn unasked(url: &str) -> Result<Self, JournalFault> {
        // What was given holds a password: nothing of it is told.
        let options = PgConnectOptions::from_str(url).map_err(|_| JournalFault {
            what: "what was given as the URL of the journal is none".into(),
            next: "write postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full".into(),
        })?;
        let database = options.get_database().unwrap_or("(its user's database)");
        let name = format!("PostgreSQL at {}:{}/{database}", options.get_host(), options.get_port());
        let options = options.application_name("mayday");
        // A connection that has died is found out by the statement that it was to carry, and what that means is dealt with there: looking
        // first would cost every append a round trip.
        let pool = PgPoolOptions::new().max_connections(6).acquire_timeout(ANSWER).test_before_acquire(false);
        Ok(Self { pool: pool.connect_lazy_with(options), name, ears: Mutex::default() })
    }

    async fn prepare(&self) -> Result<(), JournalFault> {
        let row = self.one(sqlx::query(ASKED)).await?;
        let read = |error: sqlx::Error| self.explain(&error);
        let (made, fsync, commit, encoding): (bool, String, String, String) = (
            row.try_get(0).map_err(read)?,
            row.try_get(1).map_err(read)?,
            row.try_get(2).map_err(read)?,
            row.try_get(3).map_err(read)?,
        );
        let unfit =
            |what: String, next: &str| JournalFault { what: format!("{}: {what}", self.name), next: next.into() };
        if fsync == "off" || commit == "off" {
            let what = "it calls written what a crash may lose (fsync or synchronous_commit is off)".into();
            return Err(unfit(what, "set both on, for this role at least: ALTER ROLE … SET synchronous_commit = on"));
        }
        if encoding != "UTF8" {
            return Err(unfit(format!("its texts are in {encoding}"), "make a database for it with ENCODING 'UTF8'"));
        }
        if !made {
            self.make().await?;
        }
        let named = identity().map_err(|error| unfit(error.to_string(), "see whether /dev/urandom can be read"))?;
        let mine = "INSERT INTO mayday_journal (identity, form) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        self.all(sqlx::query(mine).bind(named).bind(FORM), ANSWER).await?;
        let form: i32 = self.one(sqlx::query("SELECT form FROM mayday_journal")).await?.try_get(0).map_err(read)?;
        if form > FORM {
            let what = format!("its tables were made by a newer Mayday (form {form}, this one knows {FORM})");
            return Err(unfit(what, "use the newer program"));
        }
        Ok(())
    }

    async fn make(&self) -> Result<(), JournalFault> {
        let mut connection = self.pool.acquire().await.map_err(|error| self.explain(&error))?;
        let made = timeout(PATIENCE, sqlx::raw_sql(SCHEMA).execute(&mut *connection)).await;
        // One that failed in the middle is still in its transaction.
        drop(connection.detach());
        match made {
            Ok(made) => made.map(drop).map_err(|error| self.explain(&error)),
            Err(_) => Err(self.silent(PATIENCE)),
        }
    }

    /// Every row that a statement answers. A connection that did not answer is used no more.
    async fn all(&self, asked: Asked<'_>, patience: Duration) -> Result<Vec<PgRow>, Failed> {
        let mut connection = self.pool.acquire().await.map_err(|error| Failed::NotSent(self.explain(&error)))?;
        let outcome = timeout(patience, asked.fetch_all(&mut *connection)).await;
        match outcome {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(sqlx::Error::Database(error))) => {
                let (code, error) = (error.code().unwrap_or_default().into_owned(), sqlx::Error::Database(error));
                Err(Failed::Refused(code, self.explain(&error)))
            }
            Ok(Err(error)) => {
                drop(connection.detach());
                Err(Failed::NoAnswer(self.explain(&error)))
            }
            Err(_) => {
                drop(connection.detach());
                Err(Failed::NoAnswer(self.silent(patience)))
            }
        }
    }

    async fn one(&self, asked: Asked<'_>) -> Result<PgRow, JournalFault> {
        self.some(asked).await?.ok_or_else(|| self.explain(&sqlx::Error::RowNotFound))
    }

    async fn some(&self, asked: Asked<'_>) -> Result<Option<PgRow>, JournalFault> {
        Ok(self.all(asked, ANSWER).await?.into_iter().next())
    }

    fn read<T>(&self, found: Result<T, sqlx::Error>) -> Result<T, JournalFault> {
        found.map_err(|error| self.explain(&error))
    }

    fn silent(&self, patience: Duration) -> JournalFault {
        JournalFault {
            what: format!("{} has not answered within {} s", self.name, patience.as_secs()),
            next: "see whether it is up, and reachable from this host".into(),
        }
    }

    /// What a failure means, and what to do.
    fn explain(&self, error: &sqlx::Error) -> JournalFault {
        let code = error.as_database_error().and_then(|it| it.code()).unwrap_or_default().into_owned();
        let next = match code.get(..2).unwrap_or_default() {
            "28" => "give the URL's user a password that the server takes, and let it in from this host (pg_hba.conf)",
            "42" => "give the user of the URL the right to make and write tables in its schema",
            "25" => "name the server that takes writes: this one is a read-only copy",
            "3D" => "make that database: createdb",
            "53" => "give the server room: its disk, memory or connections are used up",
            _ => "see whether it is up, and reachable from this host",
        };
        JournalFault { what: format!("{}: {error}", self.name), next: next.into() }
    }
}

/// Whether the server has surely not carried out what it refused: an error of what was asked, not of the server's own end. A commit that
/// waits for a copy and is cut short may be there (class 57), and 40003 says that itself
/// (https://www.postgresql.org/docs/current/errcodes-appendix.html).
fn surely_not(code: &str) -> bool {
    matches!(code.get(..2), Some("22" | "23" | "25" | "42" | "53")) || matches!(code, "40001" | "40P01")
}

/// As PostgreSQL has numbers.
fn number(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn moment(seconds: f64) -> At {
    At::from_microsecond((seconds * 1e6) as i64).unwrap_or(At::UNIX_EPOCH)
}

#[async_trait]
impl Pages for PostgresStore {
    async fn page(&self, after: u64) -> Result<Option<Page>, JournalFault> {
        Ok(Page::of(&self.rows(after, PAGE).await?))
    }

    async fn rows(&self, after: u64, limit: usize) -> Result<Vec<Row>, JournalFault> {
        let sql = "SELECT seq, body, hash FROM mayday_record WHERE seq > $1 ORDER BY seq LIMIT $2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.all(sqlx::query(sql).bind(number(after)).bind(limit), PATIENCE).await?;
        let row = |row: &PgRow| {
            let (seq, body): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
            Ok(Row { seq: seq as u64, body: body.into_bytes(), hash: row.try_get(2)? })
        };
        self.read(rows.iter().map(row).collect())
    }

    async fn stored(&self, seq: u64) -> Result<Option<String>, JournalFault> {
        let asked = sqlx::query("SELECT encode(hash, 'hex') FROM mayday_record WHERE seq = $1").bind(number(seq));
        self.some(asked).await?.map(|row| self.read(row.try_get(0))).transpose()
    }

    async fn identity(&self) -> Result<Option<String>, JournalFault> {
        let row = self.one(sqlx::query("SELECT identity FROM mayday_journal")).await?;
        self.read(row.try_get(0)).map(Some)
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn tail(&self) -> Result<(u64, Hash), JournalFault> {
        let sql = "SELECT seq, encode(hash, 'hex') FROM mayday_record ORDER BY seq DESC LIMIT 1";
        let Some(row) = self.some(sqlx::query(sql)).await? else { return Ok((0, [0; 32])) };
        let (seq, hash): (i64, String) = (self.read(row.try_get(0))?, self.read(row.try_get(1))?);
        let short = || self.explain(&sqlx::Error::Protocol("a hash has the wrong length".into()));
        Ok((seq as u64, unhex(&hash).ok_or_else(short)?))
    }

    async fn find(&self, beginning: &str) -> Result<Option<u64>, JournalFault> {
        let sql = "SELECT seq FROM mayday_record WHERE encode(hash, 'hex') LIKE $1 || '%' ORDER BY seq DESC LIMIT 1";
        let found = self.all(sqlx::query(sql).bind(beginning.to_owned()), PATIENCE).await?;
        let seq = |row: &PgRow| self.read(row.try_get::<i64, _>(0)).map(|seq| seq as u64);
        found.first().map(seq).transpose()
    }

    async fn leader(&self) -> Result<Option<Lead>, JournalFault> {
        let Some(row) = self.some(sqlx::query(LEADER)).await? else { return Ok(None) };
        let read = || {
            let who = Who { engine: row.try_get(2)?, name: row.try_get(3)?, version: row.try_get(4)? };
            let (term, beat): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            let since = moment(row.try_get(5)?);
            Ok(Lead { term: Term(term as u64), who, beat: beat as u64, since, resigned: row.try_get(6)? })
        };
        self.read(read()).map(Some)
    }

    async fn lead(&self, who: &Who, over: Option<&Lead>) -> Result<Option<Term>, JournalFault> {
        let asked = sqlx::query(if over.is_some() { LEAD_NEXT } else { LEAD_FIRST });
        let asked = asked.bind(who.engine.clone()).bind(who.name.clone()).bind(who.version.clone());
        let asked = match over {
            Some(lead) => asked.bind(number(lead.term.0)).bind(number(lead.beat)),
            None => asked,
        };
        let term = |row: PgRow| self.read(row.try_get::<i64, _>(0)).map(|term| Term(term as u64));
        self.some(asked).await?.map(term).transpose()
    }

    async fn renew(&self, term: Term) -> Result<bool, JournalFault> {
        let sql = "UPDATE mayday_lead SET beat = beat + 1 WHERE term = $1 AND NOT resigned RETURNING beat";
        Ok(self.some(sqlx::query(sql).bind(number(term.0))).await?.is_some())
    }

    async fn resign(&self, term: Term) -> Result<(), JournalFault> {
        let sql = "UPDATE mayday_lead SET resigned = true, beat = beat + 1 WHERE term = $1 RETURNING beat";
        self.some(sqlx::query(sql).bind(number(term.0))).await.map(drop)
    }

    async fn put(&self, term: Term, expected: &Chain, rows: &[Row]) -> Put {
        let (seqs, mut bodies, hashes): (Vec<i64>, Vec<String>, Vec<Vec<u8>>) = (
            rows.iter().map(|row| number(row.seq)).collect(),
            Vec::with_capacity(rows.len()),
            rows.iter().map(|row| row.hash.clone()).collect(),
        );
        for row in rows {
            match String::from_utf8(row.body.clone()) {
                Ok(body) => bodies.push(body),
                Err(error) => return Put::NotWritten(self.explain(&sqlx::Error::Encode(error.into()))),
            }
        }
        let head = unhex(&expected.head).map_or_else(Vec::new, |head| head.to_vec());
        let asked = sqlx::query(PUT).bind(number(term.0)).bind(number(expected.records)).bind(head);
        let answer = self.all(asked.bind(seqs).bind(bodies).bind(hashes), ANSWER).await;
        let counts = |row: &PgRow| Some((row.try_get::<i64, _>(0).ok()?, row.try_get::<i64, _>(1).ok()?));
        match answer.map(|found| found.first().and_then(counts)) {
            Ok(Some((1, put))) if put == number(rows.len() as u64) => {
                tell(&self.pool);
                Put::Durable
            }
            Ok(Some((0, _))) => Put::Outdated,
            Ok(Some(_)) => self.moved().await,
            Ok(None) => Put::Unknown(self.explain(&sqlx::Error::RowNotFound)),
            // The number of the first is taken.
            Err(Failed::Refused(code, _)) if code == "23505" => self.moved().await,
            Err(Failed::Refused(code, fault)) if surely_not(&code) => Put::NotWritten(fault),
            Err(Failed::NotSent(fault)) => Put::NotWritten(fault),
            Err(Failed::NoAnswer(fault) | Failed::Refused(_, fault)) => Put::Unknown(fault),
        }
    }

    async fn watch(&self, seq: u64) {
        let begun = Instant::now();
        let mut ears = self.ears.lock().await;
        while begun.elapsed() < WATCH {
            ears.wait(&self.pool).await;
            let asked = sqlx::query("SELECT 1 FROM mayday_record WHERE seq > $1 LIMIT 1").bind(number(seq));
            // Whoever watches reads next, and hears of a fault there.
            if self.some(asked).await.map_or(true, |found| found.is_some()) {
                return;
            }
        }
    }

    async fn meet(&self, who: &Who, seq: u64) -> Result<Vec<Presence>, JournalFault> {
        let asked = sqlx::query(MEET).bind(who.engine.clone()).bind(who.name.clone()).bind(who.version.clone());
        self.all(asked.bind(number(seq)), ANSWER).await?;
        let rows = self.all(sqlx::query(MET), ANSWER).await?;
        let read = |row: &PgRow| {
            let who = Who { engine: row.try_get(0)?, name: row.try_get(1)?, version: row.try_get(2)? };
            Ok(Presence { who, seq: row.try_get::<i64, _>(3)? as u64, silent: row.try_get(4)? })
        };
        self.read(rows.iter().map(read).collect())
    }

    async fn close(&self) {
        // One that is still used ends with its use.
        let _ = timeout(Duration::from_secs(1), self.pool.close()).await;
    }
}

impl PostgresStore {
    /// Nothing was put, because it ends elsewhere.
    async fn moved(&self) -> Put {
        self.tail().await.map_or_else(Put::NotWritten, |(seq, _)| Put::Moved(seq))
    }
}

#[async_trait]
impl Post for PostgresStore {
    async fn leave(&self, id: &str, text: &str) -> Result<(), JournalFault> {
        let old = "DELETE FROM mayday_ask WHERE at < clock_timestamp() - interval '1 hour'";
        self.all(sqlx::query(old), ANSWER).await?;
        let asked = sqlx::query("INSERT INTO mayday_ask (id, text) VALUES ($1, $2)");
        Ok(self.all(asked.bind(id.to_owned()).bind(text.to_owned()), ANSWER).await.map(drop)?)
    }

    async fn left(&self) -> Result<Vec<(String, String)>, JournalFault> {
        let rows = self.all(sqlx::query("SELECT id, text FROM mayday_ask WHERE NOT taken ORDER BY at"), ANSWER).await?;
        self.read(rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect())
    }

    async fn take(&self, id: &str) -> Result<bool, JournalFault> {
        let asked = sqlx::query("UPDATE mayday_ask SET taken = true WHERE id = $1 AND NOT taken RETURNING id");
        Ok(self.some(asked.bind(id.to_owned())).await?.is_some())
    }

    async fn answer(&self, id: &str, text: &str) -> Result<(), JournalFault> {
        let asked = sqlx::query("UPDATE mayday_ask SET answer = $2 WHERE id = $1");
        Ok(self.all(asked.bind(id.to_owned()).bind(text.to_owned()), ANSWER).await.map(drop)?)
    }

    async fn answered(&self, id: &str) -> Result<Option<String>, JournalFault> {
        let asked = sqlx::query("SELECT answer FROM mayday_ask WHERE id = $1");
        let row = self.some(asked.bind(id.to_owned())).await?;
        Ok(row.map(|row| self.read(row.try_get(0))).transpose()?.flatten())
    }
}
