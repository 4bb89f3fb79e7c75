//! Persistence: when each server last wrote its data to disk.
//!
//! `rdb_last_save_time` is set when a server starts, too: it means something only where something was saved since
//! (<https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/>, `initServer` in Redis 7.0's `server.c`). Redis before
//! 7 does not count its saves; then a time that is that of the start tells nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;

use super::Redis;
use super::client::{Peer, fields, text};
use super::node::lines;
use crate::domain::backup::{BackupCopy, BackupLook, BackupSpec, CopyState, copy};
use crate::domain::kinds::BackupKind;
use crate::domain::system::{Fault, Guard};
use crate::domain::time::{At, before};

pub const KINDS: &[BackupKind] =
    &[BackupKind { name: "redis.snapshots", title: "What the servers last wrote to disk", dated: true, params: &[] }];

impl Redis {
    pub async fn backup(&self, spec: &BackupSpec) -> Result<BackupLook, Fault> {
        if spec.kind != KINDS[0].name {
            return Err(Fault::permanent(&self.id, format!("there is no backup kind `{}`", spec.kind)));
        }
        let addresses: Vec<&String> = self.servers_named().into_iter().collect();
        if addresses.is_empty() {
            return Err(Fault::permanent(&self.id, "no server is named, so nobody can be asked what is on disk")
                .next("list them in `nodes` and `regions`"));
        }
        let asked = join_all(addresses.iter().map(|address| self.saved(address))).await;
        // What nobody answers is unknown; one that answers is enough to know something.
        if let Some(Err(fault)) = asked.iter().find(|it| it.is_err()).filter(|_| asked.iter().all(Result::is_err)) {
            return Err(fault.clone());
        }
        let (mut copies, mut look) = (Vec::new(), BackupLook::default());
        look.partial = asked.iter().any(|outcome| matches!(outcome, Err(_) | Ok(Saved::Untold)));
        for (address, outcome) in addresses.iter().zip(asked) {
            let (name, warn) = (self.name(address), |words: String| Guard::warn("persistence", words));
            match outcome {
                Ok(Saved::Copy(saved)) => {
                    if saved.state == CopyState::Good {
                        look.regions.extend(self.region(address).cloned());
                    }
                    copies.push(saved);
                }
                Ok(Saved::Nothing) => {
                    look.guards.push(warn(format!("{name} writes nothing to disk: a restart loses everything")));
                }
                Ok(Saved::Untold) => {
                    look.guards.push(warn(format!("what {name} has on disk is not known: it does not say")))
                }
                Err(fault) => look.guards.push(warn(format!("what {name} has on disk is not known: {}", fault.what))),
            }
        }
        // Nobody has shown one, and not everybody has told: that is not the same as none.
        if copies.is_empty() && look.partial {
            let why = look.guards.iter().map(|guard| guard.detail.as_str()).collect::<Vec<_>>().join("; ");
            return Err(Fault::transient(&self.id, format!("whether anything is on disk is not known: {why}"))
                .next("let the user read INFO, and CONFIG GET save where that is there"));
        }
        Ok(BackupLook { copies: BackupLook::of(copies).copies, ..look })
    }

    /// The newest thing that a server has on disk.
    async fn saved(&self, address: &str) -> Result<Saved, Fault> {
        let mut link = self.client.connect(Peer::Server, address).await?;
        let info = text(&link.ask(&["INFO"]).await?).unwrap_or_default();
        // Where CONFIG is denied or renamed, only what was saved since the start tells that anything is.
        let rules = match link.ask(&["CONFIG", "GET", "save"]).await {
            Ok(answer) => fields(&answer).get("save").cloned(),
            Err(_) => None,
        };
        Ok(newest(&info, rules.as_deref(), self.name(address), At::now()))
    }
}

/// What a server says of its disk.
#[derive(Debug, PartialEq)]
enum Saved {
    Copy(BackupCopy),
    /// It keeps nothing there.
    Nothing,
    /// It says nothing of it, or has saved nothing since it started: the time that it gives is then that of the start.
    Untold,
}

/// A save that ended so soon after the start is taken for the start itself: both are told in whole seconds.
const AT_THE_START: i64 = 2;

fn newest(info: &str, rules: Option<&str>, name: &str, now: At) -> Saved {
    let lines = lines(info);
    let is = |key: &str, value: &str| lines.get(key) == Some(&value);
    let number = |key: &str| lines.get(key).and_then(|text| text.parse::<i64>().ok());
    if is("aof_enabled", "1") && is("aof_last_write_status", "ok") {
        // One that was just turned on holds nothing until it was written for the first time.
        return match (is("aof_current_size", "0"), held_until(&lines, now)) {
            (true, _) | (_, None) => Saved::Untold,
            (false, Some(until)) => {
                Saved::Copy(copy(until, CopyState::Good, &format!("{name}, append-only file"), None))
            }
        };
    }
    let saved = number("rdb_last_save_time").filter(|at| match number("rdb_saves") {
        Some(saves) => saves > 0,
        None => number("uptime_in_seconds").is_some_and(|up| (at - (now.as_second() - up)).abs() > AT_THE_START),
    });
    // What a full copy to a replica left on disk is no plan to save.
    if rules.is_some_and(|rules| rules.trim().is_empty()) {
        return Saved::Nothing;
    }
    let saved = saved.and_then(|at| At::from_second(at).ok());
    let Some((at, until)) = saved.zip(held_until(&lines, now)) else { return Saved::Untold };
    let state = if is("rdb_last_bgsave_status", "ok") { CopyState::Good } else { CopyState::Failed };
    Saved::Copy(copy(at.min(until), state, &format!("{name}, snapshot"), None))
}

/// Until when a server has heard of writes: what a replica that was cut off an hour ago writes to disk now is an hour old. `None` where it
/// does not say since when it is cut off, or holds half of a copy.
fn held_until(lines: &BTreeMap<&str, &str>, now: At) -> Option<At> {
    let is = |key: &str, value: &str| lines.get(key) == Some(&value);
    match (is("role", "slave"), is("master_link_status", "up")) {
        (false, _) | (true, true) => Some(now),
        (true, false) if is("master_sync_in_progress", "1") => None,
        (true, false) => {
            let secs = lines.get("master_link_down_since_seconds")?.parse().ok()?;
            Some(before(now, Duration::from_secs(secs)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "# Persistence\r\nloading:0\r\nrdb_last_save_time:1795428000\r\nrdb_last_bgsave_status:ok\r\nrdb_saves:3\r\n\
        aof_enabled:0\r\n";

    /// A hundred seconds after the save.
    const NOW: i64 = 1_795_428_100;

    fn of(info: &str, rules: Option<&str>) -> Option<(CopyState, i64)> {
        match newest(info, rules, "redis-1", At::from_second(NOW).unwrap()) {
            Saved::Copy(copy) => Some((copy.state, copy.at.as_second())),
            Saved::Nothing | Saved::Untold => None,
        }
    }

    #[test]
    fn a_server_that_does_not_say_is_not_one_that_saves_or_does_not() {
        let never = INFO.replace("rdb_saves:3", "rdb_saves:0");
        let broken = INFO.replace("rdb_last_save_time:1795428000\r\n", "");
        let stuck = INFO.replace("aof_enabled:0", "aof_enabled:1").replace("1795428000", "x");
        for (what, info) in
            [("an empty answer", ""), ("never saved", &never), ("half of it", &broken), ("stuck", &stuck)]
        {
            assert_eq!(newest(info, Some("3600 1"), "redis-1", At::UNIX_EPOCH), Saved::Untold, "{what}");
        }
        assert_eq!(newest(INFO, Some(""), "redis-1", At::UNIX_EPOCH), Saved::Nothing);
    }

    #[test]
    fn what_a_replica_that_was_cut_off_has_on_disk_is_as_old_as_its_link() {
        let now = At::from_second(NOW).unwrap();
        let log = "aof_enabled:1\r\naof_last_write_status:ok\r\naof_current_size:9\r\n";
        let of = |info: &str, link: &str| match newest(&format!("{info}role:slave\r\n{link}"), None, "redis-3", now) {
            Saved::Copy(copy) => Some(copy.at.as_second()),
            Saved::Nothing | Saved::Untold => None,
        };
        let down = |secs: i64| format!("master_link_status:down\r\nmaster_link_down_since_seconds:{secs}\r\n");
        let rows = [
            ("linked", of(log, "master_link_status:up\r\n"), Some(NOW)),
            ("cut off for an hour", of(log, &down(3600)), Some(1_795_424_500)),
            ("the same, with snapshots", of(INFO, &down(3600)), Some(1_795_424_500)),
            ("cut off after the snapshot", of(INFO, &down(30)), Some(1_795_428_000)),
            ("never linked", of(log, &down(-1)), None),
            ("it does not say since when", of(log, "master_link_status:down\r\n"), None),
            ("it holds half a copy", of(log, &format!("{}master_sync_in_progress:1\r\n", down(3))), None),
        ];
        for (what, found, wanted) in rows {
            assert_eq!(found, wanted, "{what}");
        }
    }

    #[test]
    fn the_time_of_a_start_is_no_save() {
        let uncounted = |up: &str| INFO.replace("rdb_saves:3", up);
        let now = At::from_second(NOW).unwrap();
        let rows = [
            ("it started then", uncounted("uptime_in_seconds:100"), false),
            ("a second off", uncounted("uptime_in_seconds:101"), false),
            ("it saved later", uncounted("uptime_in_seconds:5000"), true),
            ("when it started is not told", uncounted("x:1"), false),
            ("it counts none", INFO.replace("rdb_saves:3", "rdb_saves:0"), false),
            ("it counts three", INFO.to_owned(), true),
        ];
        for (what, info, is_copy) in rows {
            // CONFIG is denied, so whether saving is on is not told either.
            assert_eq!(matches!(newest(&info, None, "redis-1", now), Saved::Copy(_)), is_copy, "{what}");
        }
    }

    #[test]
    fn an_append_only_file_that_was_never_written_is_no_copy() {
        let on = "aof_enabled:1\r\naof_last_write_status:ok\r\naof_current_size:0\r\n";
        assert_eq!(newest(on, None, "redis-1", At::UNIX_EPOCH), Saved::Untold);
    }

    #[test]
    fn the_time_of_the_last_save_counts_only_where_saving_is_on() {
        assert_eq!(of(INFO, Some("3600 1")), Some((CopyState::Good, 1_795_428_000)));
        assert_eq!(of(INFO, None), Some((CopyState::Good, 1_795_428_000)));
        assert_eq!(of(INFO, Some("")), None);
    }

    #[test]
    fn a_save_that_failed_is_no_copy() {
        let failed = INFO.replace("status:ok", "status:err");
        assert_eq!(of(&failed, Some("3600 1")), Some((CopyState::Failed, 1_795_428_000)));
    }

    #[test]
    fn an_append_only_file_is_as_new_as_now() {
        let appending = INFO.replace("aof_enabled:0", "aof_enabled:1\r\naof_last_write_status:ok");
        assert_eq!(of(&appending, Some("")), Some((CopyState::Good, NOW)));
    }
}
