//! Whether a master takes writes. One that says `role:master` can refuse every write: too few replicas, no memory left, a disk that is
//! full, a data set that is still loaded. Redis decides that before a command is carried out, so it can be asked without writing:
//! `SET … XX` of a key that nobody ever set changes nothing and is told to nobody.
//! <https://redis.io/docs/latest/commands/set/>, `processCommand` in Redis 7.0's `server.c`

use std::collections::BTreeMap;

use super::client::{Link, fields, text};
use crate::domain::time::At;

/// The key that is never set. An ACL that lets Mayday write its canary covers it.
pub const NOTHING: &str = "mayday:nothing";
/// The key that is written and read back, and for how many seconds it stays.
pub const CANARY: &str = "mayday:canary";
pub const CANARY_LIVES: &str = "60";
/// What `redis.fence` adds to `min-replicas-to-write`: nobody has so many replicas, and what was there before can be told from it.
pub const FENCE: u64 = 1_000_000;
/// Redis before 5 calls it `min-slaves-to-write`, and later ones know both.
pub const FENCED_BY: &str = "min-replicas-to-write";
/// How many seconds a replica may be behind that counts; with 0 `min-replicas-to-write` is not looked at (`refreshGoodSlavesCount` in Redis
/// 7.0's `replication.c`).
pub const COUNTED_BY: &str = "min-replicas-max-lag";

/// What a server does with a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writes {
    Takes,
    /// It would refuse one now, and why.
    Refuses(String),
    /// The same by `redis.fence`: it stays so until somebody takes that back. What `min-replicas-to-write` was before.
    Fenced(u64),
    /// It could not be tried, and something speaks against it.
    Doubtful(String),
    /// It could not be tried, and nothing speaks against it.
    Untried(String),
    /// A replica.
    Follows,
}

impl Writes {
    /// Why clients cannot write there, as far as that is known.
    pub fn against(&self) -> Option<String> {
        match self {
            Self::Refuses(why) => Some(format!("refuses writes: {why}")),
            Self::Fenced(_) => Some("refuses writes: it is fenced".into()),
            Self::Doubtful(why) => Some(format!("may refuse writes: {why}")),
            Self::Takes | Self::Untried(_) | Self::Follows => None,
        }
    }
}

/// Tries what would be a write if its key existed. `info` is what the server just said of itself.
pub async fn tried(link: &mut Link, key: &str, info: &BTreeMap<&str, &str>) -> Writes {
    let refusal = match link.tell(&["SET", key, "", "XX"]).await {
        Ok(_) => return Writes::Takes,
        Err(refusal) => refusal,
    };
    match refusal.code.as_deref() {
        Some("NOREPLICAS") => match fence(link).await {
            Some(value) if value >= FENCE => Writes::Fenced(value - FENCE),
            _ => Writes::Refuses(words("NOREPLICAS").into()),
        },
        Some(code @ ("OOM" | "MISCONF" | "READONLY" | "LOADING" | "BUSY" | "MASTERDOWN" | "CLUSTERDOWN")) => {
            Writes::Refuses(words(code).into())
        }
        Some("NOPERM") => by_info(info, "the user may not try one"),
        Some(_) => by_info(info, &refusal.fault.what),
        None => Writes::Refuses(format!("it did not answer one in time ({})", refusal.fault.what)),
    }
}

/// Writes a key with a short life, and reads it back.
///
/// # Errors
/// Why that did not come about, in words.
pub async fn canary(link: &mut Link) -> Result<(), String> {
    let value = At::now().to_string();
    link.change(&["SET", CANARY, &value, "EX", CANARY_LIVES]).await.map_err(|fault| fault.what)?;
    match text(&link.ask(&["GET", CANARY]).await.map_err(|fault| fault.what)?) {
        Some(read) if read == value => Ok(()),
        _ => Err("it took a write and did not give it back".into()),
    }
}

/// How many replicas a write needs; `None` where CONFIG is denied.
pub async fn fence(link: &mut Link) -> Option<u64> {
    configured(link, FENCED_BY).await
}

/// Whether replicas are counted at all: a server that lets them be behind for ever (0) counts none, and refuses nothing for it. `None`
/// where CONFIG is denied.
pub async fn counts_replicas(link: &mut Link) -> Option<bool> {
    configured(link, COUNTED_BY).await.map(|seconds| seconds > 0)
}

async fn configured(link: &mut Link, name: &str) -> Option<u64> {
    let answer = link.ask(&["CONFIG", "GET", name]).await.ok()?;
    fields(&answer).get(name)?.parse().ok()
}

fn words(code: &str) -> &'static str {
    match code {
        "NOREPLICAS" => "too few replicas are linked to it (NOREPLICAS, `min-replicas-to-write`)",
        "OOM" => "its memory is full (OOM, `maxmemory`)",
        "MISCONF" => "it cannot save to disk, and takes no writes until it can (MISCONF)",
        "READONLY" => "it is read-only (READONLY)",
        "LOADING" => "it is still loading its data (LOADING)",
        "BUSY" => "a script keeps it busy (BUSY)",
        "CLUSTERDOWN" => "its cluster is down (CLUSTERDOWN)",
        _ => "its own master is gone (MASTERDOWN)",
    }
}

/// What speaks against it in INFO, for a user who may not try.
fn by_info(info: &BTreeMap<&str, &str>, why: &str) -> Writes {
    let is = |key: &str, value: &str| info.get(key) == Some(&value);
    let number = |key: &str| info.get(key).and_then(|text| text.parse::<u64>().ok());
    let full = match (number("maxmemory"), number("used_memory")) {
        (Some(most @ 1..), Some(used)) => used >= most && is("maxmemory_policy", "noeviction"),
        _ => false,
    };
    let refuses = |code| Writes::Refuses(words(code).into());
    match () {
        () if is("loading", "1") => refuses("LOADING"),
        () if full => refuses("OOM"),
        () if is("min_slaves_good_slaves", "0") => refuses("NOREPLICAS"),
        () if is("aof_enabled", "1") && is("aof_last_write_status", "err") => refuses("MISCONF"),
        () if is("rdb_last_bgsave_status", "err") => {
            Writes::Doubtful("its last save to disk failed, which stops writes unless it is told otherwise".into())
        }
        () => Writes::Untried(why.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_speaks_against_writes_is_seen_without_trying() {
        type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<&'a str>);
        let rows: [Row<'_>; 8] = [
            ("nothing", &[("maxmemory", "0"), ("used_memory", "9")], None),
            ("it loads", &[("loading", "1")], Some("LOADING")),
            ("full", &[("maxmemory", "5"), ("used_memory", "9"), ("maxmemory_policy", "noeviction")], Some("OOM")),
            (
                "full, and it evicts",
                &[("maxmemory", "5"), ("used_memory", "9"), ("maxmemory_policy", "allkeys-lru")],
                None,
            ),
            ("no good replica", &[("min_slaves_good_slaves", "0")], Some("NOREPLICAS")),
            ("the log cannot be written", &[("aof_enabled", "1"), ("aof_last_write_status", "err")], Some("MISCONF")),
            ("there is no log", &[("aof_enabled", "0"), ("aof_last_write_status", "err")], None),
            ("the last save failed", &[("rdb_last_bgsave_status", "err")], Some("may refuse")),
        ];
        for (what, info, wanted) in rows {
            let found = by_info(&info.iter().copied().collect(), "NOPERM").against();
            match (found, wanted) {
                (None, None) => {}
                (Some(found), Some(words)) => assert!(found.contains(words), "{what}: {found}"),
                other => panic!("{what}: {other:?}"),
            }
        }
    }
}
