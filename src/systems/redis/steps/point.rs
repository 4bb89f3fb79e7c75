//! `redis.recovery-point`: the newest heartbeat on the copy that serves now.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::super::Redis;
use super::super::look::Sight;
use super::nothing_to_change;
use crate::domain::ids::RegionId;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};
use crate::domain::time::{At, before};

pub struct Point {
    pub redis: Arc<Redis>,
    pub region: Option<RegionId>,
}

#[async_trait]
impl Step for Point {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        Ok(match &self.redis.heartbeat_key {
            Some(key) => Observed::NotDone { detail: format!("`{key}` is not read yet") },
            None => {
                Observed::Impossible { why: "no `heartbeat_key` is set, so what was lost cannot be measured".into() }
            }
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let key = self.redis.heartbeat_key.as_deref().unwrap_or("?");
        Ok(Preview { summary: format!("reads `{key}` on the current master"), ..Preview::default() })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        Ok(Checked::default())
    }

    async fn apply(&self, _: &Value, _: &dyn StepLog) -> Result<Receipt, Fault> {
        nothing_to_change(&self.redis)
    }

    async fn verify(&self, _: &Begun, log: &dyn StepLog) -> Result<Verified, Fault> {
        let sight = self.redis.look().await;
        let server = match self.redis.serving(&sight, self.region.as_ref()).await {
            Ok(server) => server,
            Err(detail) => return Ok(Verified::Pending { detail }),
        };
        let place = self.redis.placed(&server.address);
        if let Some(why) = &server.heartbeat_untold {
            return Ok(Verified::Pending { detail: format!("the heartbeat on {place} is not told: {why}") });
        }
        let Some(at) = server.heartbeat else {
            return Ok(Verified::Broken { why: format!("{place} holds no heartbeat that can be read") });
        };
        if at > self.promoted_at(&sight, &server.address) {
            let detail =
                format!("the heartbeat {at} on {place} is newer than its promotion: it cannot tell what was lost");
            log.line(&detail);
            return Ok(Verified::Holds { detail, recovery_point: None });
        }
        let recovery_point = server.recovery_point(&self.redis, None);
        Ok(Verified::Holds { detail: format!("the newest heartbeat on {place} is {at}"), recovery_point })
    }

    async fn revert(&self, _: &Begun, _: &dyn StepLog) -> Result<Receipt, Fault> {
        nothing_to_change(&self.redis)
    }

    /// Read from whoever is the master now: in earnest another is.
    async fn fitness(&self) -> Result<Fitness, Fault> {
        let Some(key) = &self.redis.heartbeat_key else { return Ok(Fitness::default()) };
        let server = self.redis.master_now().await?;
        let place = self.redis.placed(&server.address);
        let guard = match server.heartbeat {
            None if server.heartbeat_untold.is_some() => Guard::block(
                "heartbeat",
                format!("`{key}` on {place} is not told: {}", server.heartbeat_untold.unwrap_or_default()),
            ),
            Some(at) => Guard::pass("heartbeat", format!("`{key}` on {place} is {at}")),
            None => {
                Guard::block("heartbeat", format!("`{key}` on {place} is no moment: what is lost cannot be measured"))
            }
        };
        Ok(Fitness { guards: vec![guard] })
    }

    fn by_hand(&self) -> Vec<String> {
        let mut lines = vec!["# Who serves:".to_owned()];
        lines.extend(self.redis.ask_all("GET-MASTER-ADDR-BY-NAME"));
        lines.push("# Its newest heartbeat, before the application writes again:".to_owned());
        let key = self.redis.heartbeat_key.as_deref().unwrap_or("HEARTBEAT_KEY");
        lines.extend(self.redis.find_master_by_hand(self.region.as_ref()));
        lines.push(self.redis.master_by_hand(&["GET", key]));
        lines
    }
}

impl Point {
    /// When the serving master became one, as the Sentinel says that has known it longest. An application that writes again hides what
    /// was lost before that moment. A master that none of them has ever seen promoted counts from the beginning of their memory. Without
    /// Sentinels only whoever promoted it knows; where that was not this engine, nothing is old enough.
    fn promoted_at(&self, sight: &Sight, master: &str) -> At {
        if self.redis.sentinels.is_empty() {
            return self.redis.promoted_when(master).unwrap_or(At::MIN);
        }
        let of = |view: &&super::super::look::View| view.master == master && view.epoch > 0;
        let known = sight.views.iter().filter(of).map(|view| view.master_for);
        known.max().map_or(At::MAX, |longest| before(At::now(), longest))
    }
}
