//! `redis.writable`: a key with a short life, written to and read back from the master that clients are sent to.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::super::Redis;
use super::super::client::Peer;
use super::super::writes::{CANARY, CANARY_LIVES, canary};
use super::nothing_to_change;
use crate::domain::ids::RegionId;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};

pub struct Writable {
    pub redis: Arc<Redis>,
    pub region: Option<RegionId>,
}

#[async_trait]
impl Step for Writable {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        Ok(Observed::NotDone { detail: "no canary was written yet".into() })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let summary = format!("writes `{CANARY}` (gone after {CANARY_LIVES} s) to the agreed master and reads it back");
        Ok(Preview { summary, ..Preview::default() })
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
        let mut link = self.redis.client.connect(Peer::Server, &server.address).await?;
        let place = self.redis.placed(&server.address);
        Ok(match canary(&mut link).await {
            Ok(()) => {
                Verified::Holds { detail: format!("{place} took a write and gave it back"), recovery_point: None }
            }
            Err(why) => {
                log.line(&why);
                Verified::Pending { detail: format!("{place}: {why}") }
            }
        })
    }

    async fn revert(&self, _: &Begun, _: &dyn StepLog) -> Result<Receipt, Fault> {
        nothing_to_change(&self.redis)
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        let place = self.redis.placed(&self.redis.master_now().await?.address);
        Ok(Fitness { guards: vec![Guard::pass("reach", format!("{place} says it is the master"))] })
    }

    fn by_hand(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.redis.ask_all("GET-MASTER-ADDR-BY-NAME").collect();
        lines.extend(self.redis.find_master_by_hand(self.region.as_ref()));
        lines.push(self.redis.master_by_hand(&["SET", CANARY, "1", "EX", CANARY_LIVES]));
        lines.push(self.redis.master_by_hand(&["GET", CANARY]));
        lines
    }
}
