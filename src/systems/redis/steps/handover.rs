//! A planned handover. The Sentinels demote the old master some ten seconds after they promoted another; what it takes until then is thrown
//! away. So where that is allowed, its writes are held back (`CLIENT PAUSE … WRITE`, from 6.2 on: clients wait, reads go on), nothing is
//! promoted before the replica has all that it took, and it is made a replica as soon as there is another master. Sentinels wait too, for
//! they publish: the pause has to be over before they find the master gone. It ends by itself, whatever becomes of Mayday.
//! <https://redis.io/docs/latest/commands/client-pause/>

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::Redis;
use super::super::access::May;
use super::super::client::{Peer, split, text};
use super::super::node::lines;
use crate::domain::system::{Fault, StepLog};

/// The pause in milliseconds, unless it is ended before.
const PAUSE: &str = "10000";
/// So long at most a replica may take to hold what its master took.
const CATCH_UP: Duration = Duration::from_secs(2);
/// So long it may take to be the master once the Sentinels were told.
const PROMOTION: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(50);

impl Redis {
    /// Whether writes at `address` can be held back, and it can be made a replica.
    pub async fn can_hand_over(&self, address: &str) -> bool {
        for command in [&["CLIENT", "PAUSE", "1", "WRITE"][..], &["REPLICAOF", "NO", "ONE"]] {
            let may = match self.may(Peer::Server, address, command).await {
                Ok(May::Yes) => true,
                Ok(May::No(_)) | Err(_) => false,
                // Before 7 nobody can ask; 6.2 brought the pause of writes alone.
                Ok(May::Untold(why)) => !why.contains("no permissions") && self.version(address).await >= Some((6, 2)),
            };
            if !may {
                return false;
            }
        }
        true
    }

    async fn version(&self, address: &str) -> Option<(u64, u64)> {
        let mut link = self.client.connect(Peer::Server, address).await.ok()?;
        let info = text(&link.ask(&["INFO", "server"]).await.ok()?)?;
        let mut parts = lines(&info).get("redis_version")?.split('.').map(str::parse);
        Some((parts.next()?.ok()?, parts.next()?.ok()?))
    }

    /// Whether `target` holds all that `master`, which takes no more writes, took.
    pub async fn is_level(&self, master: &str, target: &str) -> bool {
        match (self.offset(master, "master_repl_offset").await, self.offset(target, "slave_repl_offset").await) {
            (Ok(wanted), Ok(held)) => held >= wanted,
            _ => false,
        }
    }

    /// Holds back the writes of `master` until `target` has all that it took.
    ///
    /// # Errors
    /// When that did not come about: the writes go on then.
    pub async fn hold_writes(
        &self,
        master: &str,
        target: &str,
        patience: Duration,
        log: &dyn StepLog,
    ) -> Result<(), Fault> {
        let mut link = self.client.connect(Peer::Server, master).await?;
        log.line(&format!("CLIENT PAUSE {PAUSE} WRITE at {master}"));
        let paused = link.change(&["CLIENT", "PAUSE", PAUSE, "WRITE"]).await;
        let caught_up = match paused {
            Ok(_) => self.caught_up(master, target, patience.min(CATCH_UP)).await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = caught_up {
            self.resume(master).await;
            return Err(Fault::transient(
                &self.id,
                format!("{}; nothing was promoted, and writes go on at {master}", fault.what),
            )
            .means("a promotion now would lose what the replica does not hold yet")
            .next("retry when the replica is level with its master"));
        }
        log.line(&format!("{target} holds all that {master} took"));
        Ok(())
    }

    async fn caught_up(&self, master: &str, target: &str, patience: Duration) -> Result<(), Fault> {
        // The key of the heartbeat and a try to write would wait as clients do: only INFO is asked.
        let wanted = self.offset(master, "master_repl_offset").await?;
        let begun = Instant::now();
        loop {
            let held = self.offset(target, "slave_repl_offset").await?;
            if held >= wanted {
                return Ok(());
            }
            if begun.elapsed() > patience {
                let behind = wanted - held;
                return Err(Fault::transient(
                    &self.id,
                    format!("{target} is still {behind} bytes behind after {:.1} s", patience.as_secs_f64()),
                ));
            }
            sleep(LOOK).await;
        }
    }

    async fn offset(&self, address: &str, key: &str) -> Result<u64, Fault> {
        let mut link = self.client.connect(Peer::Server, address).await?;
        let info = text(&link.ask(&["INFO", "replication"]).await?).unwrap_or_default();
        let untold = || Fault::transient(&self.id, format!("{address} does not tell how much it holds"));
        lines(&info).get(key).and_then(|text| text.parse().ok()).ok_or_else(untold)
    }

    /// Makes `master` a replica of `target` once that is a master, and lets whoever waits go on: their writes are refused there now, and
    /// they look for the new one. The Sentinels do the same some seconds later, if it fails here.
    pub async fn demote(&self, master: &str, target: &str, log: &dyn StepLog) {
        let begun = Instant::now();
        while begun.elapsed() < PROMOTION {
            if matches!(self.server(target).await, Ok(server) if server.master) {
                let called = self.called_by_others(target);
                if let Some((host, port)) = split(&called) {
                    log.line(&format!("REPLICAOF {host} {port} at {master}"));
                    if let Err(fault) = self.point_at(master, host, port).await {
                        log.line(&format!("{master} is left to the Sentinels: {}", fault.what));
                    }
                }
                break;
            }
            sleep(LOOK).await;
        }
        self.resume(master).await;
    }

    /// Lets writes go on; if that cannot be said, they do by themselves in a while.
    pub async fn resume(&self, address: &str) {
        if let Ok(mut link) = self.client.connect(Peer::Server, address).await {
            let _ = link.change(&["CLIENT", "UNPAUSE"]).await;
        }
    }
}
