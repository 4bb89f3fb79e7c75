//! Persistence: when each server last wrote its data to disk.
//!
//! `rdb_last_save_time` is set when a server starts, too: it means something only where saving is on
//! (<https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/>).

use std::collections::BTreeMap;

use futures::future::join_all;

use super::Redis;
use super::client::{Peer, fields, text};
use crate::domain::backup::{BackupCopy, BackupLook, BackupSpec, CopyState, copy};
use crate::domain::kinds::BackupKind;
use crate::domain::system::{Fault, Guard};
use crate::domain::time::At;

pub const KINDS: &[BackupKind] =
    &[BackupKind { name: "redis.snapshots", title: "What the servers last wrote to disk", dated: true, params: &[] }];

impl Redis {
    pub async fn backup(&self, spec: &BackupSpec) -> Result<BackupLook, Fault> {
        if spec.kind != KINDS[0].name {
            return Err(Fault::permanent(&self.id, format!("there is no backup kind `{}`", spec.kind)));
        }
        let addresses: Vec<&String> = self.servers_named().collect();
        let asked = join_all(addresses.iter().map(|address| self.saved(address))).await;
        let (mut copies, mut look, mut silent) = (Vec::new(), BackupLook::default(), None);
        for (address, outcome) in addresses.iter().zip(asked) {
            match outcome {
                Ok(Some(saved)) => {
                    if saved.state == CopyState::Good {
                        look.regions.extend(self.region(address).cloned());
                    }
                    copies.push(saved);
                }
                Ok(None) => {
                    let words = format!("{} writes nothing to disk: a restart loses everything", self.name(address));
                    look.guards.push(Guard::warn("persistence", words));
                }
                Err(fault) => silent = Some(fault),
            }
        }
        // What nobody answers is unknown; one that answers is enough to know something.
        if let (true, Some(fault)) = (copies.is_empty() && look.guards.is_empty(), silent) {
            return Err(fault);
        }
        Ok(BackupLook { copies: BackupLook::of(copies).copies, ..look })
    }

    /// The newest thing that a server has on disk; `None` when it keeps nothing there.
    async fn saved(&self, address: &str) -> Result<Option<BackupCopy>, Fault> {
        let mut link = self.client.connect(Peer::Server, address).await?;
        let info = text(&link.ask(&["INFO", "persistence"]).await?).unwrap_or_default();
        // Managed servers forbid CONFIG; they save.
        let rules = match link.ask(&["CONFIG", "GET", "save"]).await {
            Ok(answer) => fields(&answer).get("save").cloned(),
            Err(_) => None,
        };
        Ok(newest(&info, rules.as_deref(), self.name(address), At::now()))
    }
}

fn newest(info: &str, rules: Option<&str>, name: &str, now: At) -> Option<BackupCopy> {
    let lines: BTreeMap<&str, &str> = info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
    let is = |key: &str, value: &str| lines.get(key) == Some(&value);
    if is("aof_enabled", "1") && !is("aof_last_write_status", "err") {
        return Some(copy(now, CopyState::Good, &format!("{name}, append-only file"), None));
    }
    if rules.is_some_and(|rules| rules.trim().is_empty()) {
        return None;
    }
    let at = At::from_second(lines.get("rdb_last_save_time")?.parse().ok()?).ok()?;
    let state = if is("rdb_last_bgsave_status", "ok") { CopyState::Good } else { CopyState::Failed };
    Some(copy(at, state, &format!("{name}, snapshot"), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str =
        "# Persistence\r\nloading:0\r\nrdb_last_save_time:1795428000\r\nrdb_last_bgsave_status:ok\r\naof_enabled:0\r\n";

    fn of(info: &str, rules: Option<&str>) -> Option<(CopyState, i64)> {
        newest(info, rules, "redis-1", At::UNIX_EPOCH).map(|copy| (copy.state, copy.at.as_second()))
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
        assert_eq!(of(&appending, Some("")), Some((CopyState::Good, 0)));
    }
}
