//! What is only looked at: the newest heartbeat on the primary, and whether it takes a write and gives it back.

use std::sync::Arc;

use async_trait::async_trait;

use super::ElastiCache;
use super::look::Sight;
use crate::domain::ids::RegionId;
use crate::domain::system::{Fault, FaultClass, Guard, StepLog, Verified};
use crate::domain::time::At;
use crate::systems::looking::Look;
use crate::systems::redis::writes;

/// The group that takes writes, in the region if one is asked for. `Err` holds why not yet.
fn serving<'s>(cache: &ElastiCache, sight: &'s Sight, region: Option<&RegionId>) -> Result<&'s str, String> {
    let group = sight.primary()?;
    match region.filter(|wanted| cache.region(group) != Some(*wanted)) {
        Some(wanted) => Err(format!("the primary is {}, not in {wanted}", cache.placed(group))),
        None => Ok(group),
    }
}

fn unknown(cache: &ElastiCache, why: String) -> Fault {
    Fault::transient(&cache.id, why).means("who takes writes is not known").next("look at the regions' APIs")
}

/// `elasticache.recovery-point`
pub struct Point {
    pub cache: Arc<ElastiCache>,
    pub region: Option<RegionId>,
}

#[async_trait]
impl Look for Point {
    fn system(&self) -> &str {
        &self.cache.id
    }

    fn summary(&self) -> String {
        let key = self.cache.heartbeat_key.as_deref().unwrap_or("?");
        format!("read `{key}` on the primary")
    }

    async fn look(&self, log: &dyn StepLog) -> Result<Verified, Fault> {
        if self.cache.heartbeat_key.is_none() {
            return Ok(Verified::Broken {
                why: "no `heartbeat_key` is set, so what was lost cannot be measured".into(),
            });
        }
        let sight = self.cache.look().await;
        let group = match serving(&self.cache, &sight, self.region.as_ref()) {
            Ok(group) => group,
            Err(detail) => return Ok(Verified::Pending { detail }),
        };
        let (server, place) = (self.cache.server(group).await?, self.cache.placed(group));
        let Some(at) = server.heartbeat else {
            let why = server.untold.unwrap_or_else(|| "it holds no heartbeat that can be read".into());
            return Ok(Verified::Pending { detail: format!("{place}: {why}") });
        };
        // An application that writes again hides what was lost; only this engine knows when it had it promoted.
        if at > self.cache.promoted_when(group).unwrap_or(At::MIN) {
            let detail =
                format!("the heartbeat {at} on {place} may be newer than its promotion: it cannot tell what was lost");
            log.line(&detail);
            return Ok(Verified::Holds { detail, recovery_point: None });
        }
        let recovery_point = self.cache.point(group).await;
        Ok(Verified::Holds { detail: format!("the newest heartbeat on {place} is {at}"), recovery_point })
    }

    async fn reach(&self) -> Result<Guard, Fault> {
        let sight = self.cache.look().await;
        let group = sight.primary().map_err(|why| unknown(&self.cache, why))?;
        let (server, place) = (self.cache.server(group).await?, self.cache.placed(group));
        Ok(match server.heartbeat {
            Some(at) => Guard::pass("heartbeat", format!("the heartbeat on {place} is {at}")),
            None => {
                let why = server.untold.unwrap_or_else(|| "no moment".into());
                Guard::block("heartbeat", format!("what is lost cannot be measured on {place}: {why}"))
            }
        })
    }

    fn by_hand(&self) -> Vec<String> {
        let key = self.cache.heartbeat_key.as_deref().unwrap_or("HEARTBEAT_KEY");
        by_hand(&self.cache, &["GET", key])
    }
}

/// `elasticache.writable`
pub struct Writable {
    pub cache: Arc<ElastiCache>,
    pub region: Option<RegionId>,
}

#[async_trait]
impl Look for Writable {
    fn system(&self) -> &str {
        &self.cache.id
    }

    fn summary(&self) -> String {
        format!("write `{}` to the primary and read it back", writes::CANARY)
    }

    async fn look(&self, log: &dyn StepLog) -> Result<Verified, Fault> {
        let sight = self.cache.look().await;
        let group = match serving(&self.cache, &sight, self.region.as_ref()) {
            Ok(group) => group,
            Err(detail) => return Ok(Verified::Pending { detail }),
        };
        let place = self.cache.placed(group);
        let mut link = match self.cache.link(group).await {
            Ok(link) => link,
            Err(fault) if fault.class == FaultClass::Permanent => return Ok(Verified::Broken { why: fault.what }),
            Err(fault) => return Ok(Verified::Pending { detail: fault.what }),
        };
        Ok(match writes::canary(&mut link).await {
            Ok(()) => {
                Verified::Holds { detail: format!("{place} took a write and gave it back"), recovery_point: None }
            }
            Err(why) => {
                log.line(&why);
                Verified::Pending { detail: format!("{place}: {why}") }
            }
        })
    }

    async fn reach(&self) -> Result<Guard, Fault> {
        let sight = self.cache.look().await;
        let group = sight.primary().map_err(|why| unknown(&self.cache, why))?;
        self.cache.link(group).await?;
        Ok(Guard::pass("reach", format!("{} is the primary, and lets us in", self.cache.placed(group))))
    }

    fn by_hand(&self) -> Vec<String> {
        by_hand(&self.cache, &["SET", writes::CANARY, "1", "EX", writes::CANARY_LIVES])
    }
}

/// A command at each group's primary node: one of them is the primary.
fn by_hand(cache: &ElastiCache, words: &[&str]) -> Vec<String> {
    let mut lines =
        vec!["# At the group that is PRIMARY (describe-global-replication-groups --show-member-info):".to_owned()];
    lines.extend(cache.groups.iter().map(|(name, group)| {
        let address = group.endpoint.clone().unwrap_or_else(|| format!("PRIMARY-ENDPOINT-OF-{name}:6379"));
        cache.client.by_hand(super::super::client::Peer::Server, &address, words)
    }));
    lines
}
