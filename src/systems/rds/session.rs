//! A login that runs one statement: whether a database takes writes is seen then, and not concluded from what its API says. Nothing is
//! written, and a role that may do nothing but log in will do.
//!
//! - PostgreSQL: `pg_is_in_recovery()`, and `default_transaction_read_only` where it counts for everybody
//!   (<https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-RECOVERY-CONTROL>). A role that has that setting of its own
//!   does not see what others have.
//! - MySQL, MariaDB: `read_only`, which RDS sets on a replica, and `innodb_read_only`, which Aurora sets on a reader
//!   (<https://dev.mysql.com/doc/refman/8.4/en/server-system-variables.html#sysvar_read_only>).
//!
//! Passwords go over TLS that is verified by RDS's own authorities, unless the config says otherwise
//! (<https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html>). A token of IAM is a password that a command prints.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::error::DatabaseError;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlSslMode};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions, Connection, Row};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::greeting::{Engine, FULL, No, unreached};
use crate::domain::estate::SystemSpec;
use crate::domain::kinds::{Param, ParamType};
use crate::domain::system::Fault;
use crate::domain::text::clean;
use crate::outbound::apart;
use crate::outbound::http::install_tls;
use crate::outbound::secret::{Keep, Secret};

/// How TLS is held to.
const TLS: [&str; 3] = ["full", "authority", "off"];

pub const USERNAME: Param = Param::optional(
    "username",
    ParamType::Text,
    "a role of the databases that may log in: then it is seen whether they take writes, and not concluded",
);
pub const PASSWORD: Param = Param::optional(
    "password",
    ParamType::Secret,
    "where its password is kept, or the command that prints a token of IAM (`aws rds generate-db-auth-token …`)",
);
pub const DATABASE: Param = Param::optional(
    "database",
    ParamType::Text,
    "the database that is logged in to; `postgres`, and none for MySQL, when left out",
);
pub const ENCRYPTED: Param = Param::default(
    "tls",
    ParamType::Choice(&TLS),
    "full",
    "`full` holds the certificate against name and authorities, `authority` against these alone (a tunnel, an address of your own), \
     `off` encrypts nothing",
);
pub const AUTHORITY: Param = Param::optional(
    "certificate_authority",
    ParamType::Text,
    "a PEM file with the authorities of the databases (RDS's `global-bundle.pem`), besides those of this host",
);

/// How long logging in and the statement may take together.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// RDS's bundle for all regions has 170 KB.
const LONGEST: usize = 4 * 1024 * 1024;

/// One row: whether it replays another's log; whether sessions may write unless they say otherwise, and who decided that.
const POSTGRES: &str =
    "select pg_is_in_recovery()::text, setting, source from pg_settings where name = 'default_transaction_read_only'";
/// Where a setting comes from that is this login's own and nobody else's (`pg_settings.source`).
const OWN: [&str; 5] = ["user", "database user", "client", "session", "override"];
/// One row of two settings.
const MYSQL: &str = "select cast(@@global.read_only as char), cast(@@global.innodb_read_only as char)";

/// PostgreSQL's codes for a server that takes nobody: `too_many_connections`, `cannot_connect_now`, `admin_shutdown`, `crash_shutdown`.
const NOBODY: [&str; 4] = ["53300", "57P03", "57P01", "57P02"];

/// What a database says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    TakesWrites,
    /// It follows another one.
    Follows,
    /// Why it takes none, in words that follow its name; it may follow somebody or be held.
    ReadOnly(String),
}

impl Says {
    /// `takes writes`, `replays another's log and takes no writes`
    pub fn words(&self) -> &str {
        match self {
            Self::TakesWrites => "takes writes",
            Self::Follows => "replays another's log and takes no writes",
            Self::ReadOnly(why) => why,
        }
    }
}

/// Who logs in, and how.
pub struct Login {
    system: String,
    username: String,
    password: Keep,
    database: Option<String>,
    tls: String,
    authority: Option<String>,
}

impl Login {
    /// As the config has it; `None` when it names nobody.
    ///
    /// # Errors
    /// When it names one half of a login alone.
    pub fn of(spec: &SystemSpec) -> Result<Option<Arc<Self>>, Fault> {
        let (params, system) = (&spec.params, spec.id.to_string());
        let text = |param: Param| params.opt_text(param.name).map(str::to_owned);
        let password = params.secret(PASSWORD.name);
        let username = match (text(USERNAME), password.is_some()) {
            (None, false) => return Ok(None),
            (Some(username), true) => username,
            _ => {
                return Err(Fault::permanent(&system, "`username` and `password` are only of use together")
                    .next("set both, or neither"));
            }
        };
        let (database, authority) = (text(DATABASE), text(AUTHORITY));
        let tls = text(ENCRYPTED).unwrap_or_else(|| "full".to_owned());
        Ok(Some(Arc::new(Self { system, username, password: Keep::new(password), database, tls, authority })))
    }

    /// Logs in at `address` (`host:port`) and asks. `None` for an engine that nobody can be logged in to here.
    ///
    /// # Errors
    /// Why it was not answered; that a login is refused says nothing of what others are served.
    pub fn ask<'a>(&'a self, engine: Engine, address: &'a str) -> BoxFuture<'a, Option<Result<Says, No>>> {
        Box::pin(async move {
            let asking = async {
                match engine {
                    Engine::Postgres => Some(self.postgres(address).await),
                    Engine::MySql => Some(self.mysql(address).await),
                    Engine::SqlServer | Engine::Oracle => None,
                }
            };
            let late = || No::Silent(format!("{address} answers no statement within {} s", PATIENCE.as_secs()));
            timeout(PATIENCE, asking).await.unwrap_or_else(|_| Some(Err(late())))
        })
    }

    async fn secret(&self) -> Result<Secret, No> {
        let read = self.password.read(&self.system).await.map_err(|fault| No::Unasked(fault.what))?;
        read.ok_or_else(|| No::Unasked("there is no password".to_owned()))
    }

    async fn authorities(&self) -> Result<Option<Arc<Zeroizing<Vec<u8>>>>, No> {
        let Some(path) = &self.authority else { return Ok(None) };
        let unread = |kind| No::Unasked(format!("the authorities in {} cannot be read: {kind}", clean(path)));
        apart::file(Path::new(path), LONGEST).await.map(Some).map_err(unread)
    }

    async fn postgres(&self, address: &str) -> Result<Says, No> {
        let (host, port) = parted(address)?;
        let (secret, authorities) = (self.secret().await?, self.authorities().await?);
        install_tls();
        let mode = match self.tls.as_str() {
            "off" => PgSslMode::Disable,
            "authority" => PgSslMode::VerifyCa,
            _ => PgSslMode::VerifyFull,
        };
        let database = self.database.as_deref().unwrap_or("postgres");
        // Some poolers refuse the settings that the driver would make of a session.
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(host)
            .port(port)
            .username(&self.username)
            .password(secret.expose())
            .database(database)
            .application_name("mayday")
            .extra_float_digits(None::<i8>)
            .statement_cache_capacity(0)
            .ssl_mode(mode)
            .disable_statement_logging();
        if let Some(pem) = authorities {
            options = options.ssl_root_cert_from_pem(pem.to_vec());
        }
        let told = |error: sqlx::Error| no(Engine::Postgres, address, &error);
        let mut session = PgConnection::connect_with(&options).await.map_err(told)?;
        let row = sqlx::raw_sql(POSTGRES).fetch_one(&mut session).await.map_err(told)?;
        let column = |nth: usize| row.try_get_unchecked::<String, _>(nth).map_err(told);
        let said = of_postgres(&column(0)?, &column(1)?, &column(2)?);
        // What is said is said; leaving in order keeps the server's log clean.
        let _ = session.close().await;
        Ok(said)
    }

    async fn mysql(&self, address: &str) -> Result<Says, No> {
        let (host, port) = parted(address)?;
        let (secret, authorities) = (self.secret().await?, self.authorities().await?);
        install_tls();
        let mode = match self.tls.as_str() {
            "off" => MySqlSslMode::Disabled,
            "authority" => MySqlSslMode::VerifyCa,
            _ => MySqlSslMode::VerifyIdentity,
        };
        // A token of IAM is sent as it is, which only TLS makes fit to be sent.
        let mut options = MySqlConnectOptions::new()
            .host(host)
            .port(port)
            .username(&self.username)
            .password(secret.expose())
            .enable_cleartext_plugin(self.tls != "off")
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None::<String>)
            .set_names(false)
            .statement_cache_capacity(0)
            .ssl_mode(mode)
            .disable_statement_logging();
        if let Some(database) = &self.database {
            options = options.database(database);
        }
        if let Some(pem) = authorities {
            options = options.ssl_ca_from_pem(pem.to_vec());
        }
        let told = |error: sqlx::Error| no(Engine::MySql, address, &error);
        let mut session = MySqlConnection::connect_with(&options).await.map_err(told)?;
        let row = sqlx::raw_sql(MYSQL).fetch_one(&mut session).await.map_err(told)?;
        let column = |nth: usize| row.try_get_unchecked::<String, _>(nth).map_err(told);
        let said = of_mysql(&column(0)?, &column(1)?);
        let _ = session.close().await;
        Ok(said)
    }
}

fn of_postgres(recovery: &str, read_only: &str, source: &str) -> Says {
    match (recovery, read_only) {
        ("false", "off") => Says::TakesWrites,
        ("false", "on") if OWN.contains(&source) => Says::TakesWrites,
        ("false", "on") => {
            Says::ReadOnly(format!("takes no writes: default_transaction_read_only is on ({})", clean(source)))
        }
        ("true", _) => Says::Follows,
        (other, _) => Says::ReadOnly(format!("says what nobody understands of itself: {}", clean(other))),
    }
}

/// MariaDB has more words for it than two.
fn of_mysql(read_only: &str, innodb: &str) -> Says {
    let is_off = |word: &str| matches!(word, "0" | "OFF");
    match (is_off(read_only), is_off(innodb)) {
        (true, true) => Says::TakesWrites,
        (_, false) => Says::ReadOnly("takes no writes: innodb_read_only is on".to_owned()),
        (false, _) => Says::ReadOnly("takes no writes: read_only is on".to_owned()),
    }
}

/// `host:port`; an address of IPv6 stands in brackets.
fn parted(address: &str) -> Result<(&str, u16), No> {
    let parts =
        address.rsplit_once(':').and_then(|(host, port)| Some((host.trim_matches(['[', ']']), port.parse().ok()?)));
    parts.ok_or_else(|| No::Unasked(format!("{} is no address of a server", clean(address))))
}

/// Why a login or its statement came to nothing.
fn no(engine: Engine, address: &str, error: &sqlx::Error) -> No {
    let certificate = |error: &std::io::Error| {
        error.get_ref().and_then(|it| it.downcast_ref::<rustls::Error>()).map(|it| clean(&it.to_string()))
    };
    let unverified = |why: String| No::Unasked(format!("{} is not trusted with a password: {why}", clean(address)));
    match error {
        sqlx::Error::Io(error) => certificate(error).map_or_else(|| unreached(address, error), unverified),
        sqlx::Error::Tls(error) => unverified(clean(&error.to_string())),
        sqlx::Error::Configuration(error) => No::Unasked(clean(&error.to_string())),
        sqlx::Error::Database(said) => complaint(address, said.as_ref()),
        other => {
            let why = clean(&other.to_string());
            No::Silent(format!("what answers at {} is no {} server: {why}", clean(address), engine.name()))
        }
    }
}

/// What a server says instead of an answer.
fn complaint(address: &str, said: &(dyn DatabaseError + 'static)) -> No {
    let number = said.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number);
    let code = said.code().unwrap_or_default();
    let shown = number.map_or_else(|| code.to_string(), |number| number.to_string());
    let words = clean(&format!("{address}: {shown} {}", said.message()));
    // A role or a database may have a limit of its own, which says nothing of others.
    let is_own = [" for role ", " for database "].iter().any(|it| words.contains(it));
    match number.map_or_else(|| NOBODY.contains(&&*code) && !is_own, |number| FULL.contains(&number)) {
        true => No::Full(words),
        false => No::Refused(words),
    }
}

#[cfg(test)]
mod tests;
