//! `[journal]`: where the record of everything is kept, when it is not a file of the one engine's.

use std::path::PathBuf;
use std::time::Duration;

use super::params::{self, Context};
use super::read::Table;
use crate::domain::kinds::{Param, ParamType};
use crate::domain::params::{Params, SecretRef};

pub const JOURNAL: &[Param] = &[
    Param::default(
        "lease",
        ParamType::Span,
        "10s",
        "so long an engine leads after the store last heard of it, and no other one takes over before",
    ),
    Param::default("engines", ParamType::Integer, "2", "so many are meant to run: `mayday engines` fails with fewer"),
];

pub const POSTGRES: &[Param] = &[Param::required(
    "url",
    ParamType::Secret,
    "where its URL is kept: postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full",
)];

pub const SQLITE: &[Param] = &[Param::required(
    "path",
    ParamType::Path,
    "a file that several engines of one host share; never on a network file system",
)];

pub const S3: &[Param] = &[
    Param::required("bucket", ParamType::Text, "a bucket that none of the regions that may burn is needed for"),
    Param::required("region", ParamType::Text, "where it is"),
    Param::default("prefix", ParamType::Text, "mayday/", "what stands before the names of its objects"),
    Param::optional("endpoint_url", ParamType::Url, "an endpoint other than AWS's own"),
    Param::optional(
        "profile",
        ParamType::Text,
        "a profile of the AWS config; the usual chain of credentials when left out",
    ),
    Param::optional("access_key_id", ParamType::Text, "a key's name, where no profile is meant"),
    Param::optional("secret_access_key", ParamType::Secret, "where the key itself is kept"),
];

/// A lease that is shorter is lost by a network that hiccups; one that is longer leaves nobody to act for too long.
const LEASE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));
/// So many engines are meant to run, at most.
const MOST: u64 = 9;

/// Where the journal is kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Kept {
    /// In the state directory of the one engine.
    Beside,
    /// In a file that engines of one host share.
    File(PathBuf),
    /// In the PostgreSQL of this URL.
    Postgres(SecretRef),
    /// In a bucket of S3, with the parameters of [`S3`].
    Bucket(Params),
}

/// `[journal]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Journal {
    pub kept: Kept,
    pub lease: Duration,
    pub engines: u64,
}

impl Default for Journal {
    fn default() -> Self {
        Self { kept: Kept::Beside, lease: Duration::from_secs(10), engines: 1 }
    }
}

/// Reads it; what has mistakes is left out, and said.
pub fn read(root: &Table<'_>, context: &Context<'_>) -> Journal {
    let Some(field) = root.get("journal") else { return Journal::default() };
    let Some(table) = field.table("[journal]") else { return Journal::default() };
    let own = params::read(&table, "[journal]", JOURNAL, context);
    let postgres = table.get("postgres").and_then(|it| it.table("[journal.postgres]")).map(|table| {
        let given = params::read(&table, "[journal.postgres]", POSTGRES, context);
        table.close();
        given.secret("url").map(Kept::Postgres)
    });
    let file = table.get("sqlite").and_then(|it| it.table("[journal.sqlite]")).map(|table| {
        let given = params::read(&table, "[journal.sqlite]", SQLITE, context);
        table.close();
        given.opt_text("path").map(|path| Kept::File(path.into()))
    });
    let bucket = table.get("s3").and_then(|it| it.table("[journal.s3]")).map(|table| {
        let given = params::read(&table, "[journal.s3]", S3, context);
        table.close();
        Some(Kept::Bucket(given))
    });
    let mut places: Vec<Option<Kept>> = [postgres, bucket, file].into_iter().flatten().collect();
    let kept = match places.len() {
        1 => places.remove(0),
        0 => {
            field.say(
                "it says where the journal is kept, and names no place",
                "name `postgres`, `s3` or `sqlite`, or leave it out",
            );
            None
        }
        _ => {
            field.say("it is kept in more than one place", "name `postgres`, `s3` or `sqlite`");
            None
        }
    };
    let lease = own.opt_span("lease").unwrap_or(Journal::default().lease);
    if !(LEASE.0..=LEASE.1).contains(&lease) {
        let (least, most) = (LEASE.0.as_secs(), LEASE.1.as_secs());
        field.say(format!("its lease is {} s", lease.as_secs()), format!("between {least} s and {most} s"));
    }
    let engines = own.opt_integer("engines").unwrap_or(2);
    if !(1..=MOST).contains(&engines) {
        field.say(format!("it is shared by {engines} engines"), format!("between 1 and {MOST}"));
    }
    table.close();
    Journal { kept: kept.unwrap_or(Kept::Beside), lease, engines }
}
