//! `redis.promote`: `REPLICAOF NO ONE` by hand, for when the Sentinels lost their majority. While a majority lives they do it
//! themselves, and a living Sentinel that sees a sane master elsewhere puts the replica back about ten seconds later.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::super::Redis;
use super::super::client::Peer;
use super::super::look::Sight;
use super::super::node::Server;
use super::{no_way_back, noted};
use crate::domain::ids::RegionId;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, OldWriter, Preview, PromotionFacts, Receipt, Step, StepLog,
    Verified,
};

pub struct Promote {
    pub redis: Arc<Redis>,
    pub region: RegionId,
    pub node: Option<String>,
}

#[async_trait]
impl Step for Promote {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        let (sight, target) = self.target().await?;
        let place = self.redis.placed(&target.address);
        if !target.master {
            let master = target.follows.as_deref().map_or("nobody", |master| self.redis.name(master));
            return Ok(Observed::NotDone { detail: format!("{place} is a replica of {master}") });
        }
        let known = sight.views.iter().filter(|view| view.master == target.address).count();
        let detail = format!("{place} is a master; {known} of {} Sentinels name it", sight.views.len());
        Ok(Observed::Done { detail })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let (_, target) = self.target().await?;
        let master = target.follows.clone().unwrap_or_default();
        let (name, from) = (self.redis.full_name(&target.address), self.redis.full_name(&master));
        Ok(Preview {
            summary: format!("{name}: replica → master, by hand"),
            diff: vec![
                format!("  REPLICAOF NO ONE, at {name}"),
                format!("- {name} replica of {from}"),
                format!("+ {name} master"),
            ],
            pre_image: json!({ "node": target.address, "master": master }),
        })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let (sight, target) = self.target().await?;
        let mut guards = vec![self.sentinels(&sight)];
        let master = target.follows.clone();
        let answer = match &master {
            Some(master) => self.redis.server(master).await.ok(),
            None => None,
        };
        let old_writer = match &master {
            Some(master) => self.redis.old_writer(master).await,
            None => OldWriter::Absent,
        };
        let candidates = self.redis.servers(self.candidates(&sight)).await;
        if let Some(newer) = candidates.values().flatten().find(|other| other.offset > target.offset) {
            let bytes = newer.offset - target.offset;
            let name = self.redis.full_name(&newer.address);
            guards.push(Guard::warn("newest-replica", format!("{name} in the same region holds {bytes} bytes more")));
        }
        let recovery_point = target.recovery_point(&self.redis, answer.as_ref());
        // Without Sentinels there is no quorum to count on, which is why the guard above looks at them instead.
        let promotion = PromotionFacts { old_writer, quorum: None, recovery_point, lossless: false };
        Ok(Checked { guards, promotion: Some(promotion) })
    }

    async fn apply(&self, pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let (Some(node), Some(master)) = (noted(pre_image, "node"), noted(pre_image, "master")) else {
            return Err(Fault::permanent(&self.redis.id, "which replica was to be promoted is not journalled")
                .next("retry the step"));
        };
        let target = self.redis.server(node).await?;
        if target.follows.as_deref().unwrap_or_default() != master {
            return Err(Fault::transient(
                &self.redis.id,
                format!("{node} no longer follows {master}; nothing was sent"),
            )
            .next("nothing: it is being observed"));
        }
        log.line(&format!("REPLICAOF NO ONE at {node}"));
        let mut link = self.redis.client.connect(Peer::Server, node).await?;
        link.change(&["REPLICAOF", "NO", "ONE"]).await?;
        Ok(Receipt::from([("node".to_owned(), node.to_owned()), ("followed".to_owned(), master.to_owned())]))
    }

    async fn verify(&self, begun: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        let node = noted(&begun.pre_image, "node");
        let target = match node {
            Some(node) => self.redis.server(node).await?,
            None => self.target().await?.1,
        };
        let place = self.redis.placed(&target.address);
        Ok(match target.master {
            true => Verified::Holds { detail: format!("{place} says it is a master"), recovery_point: None },
            false => Verified::Pending { detail: format!("{place} is still a replica") },
        })
    }

    async fn revert(&self, begun: &Begun, _: &dyn StepLog) -> Result<Receipt, Fault> {
        no_way_back(&self.redis, begun)
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        self.redis.fitness(Peer::Server, &["REPLICAOF", "NO", "ONE"]).await
    }

    fn by_hand(&self) -> Vec<String> {
        let here = || self.redis.servers_named().find(|at| self.redis.region(at) == Some(&self.region));
        let named = self.node.as_deref().map(|node| self.redis.address(node));
        let node = named.or_else(|| here().map(String::as_str)).unwrap_or("HOST:PORT");
        let mut lines = vec![
            format!("# Only without a majority of Sentinels, on the replica in {}.", self.region),
            self.redis.server_by_hand(node, &["REPLICAOF", "NO", "ONE"]),
            "# Sentinels that still live have to forget the old master, or they undo this when it returns:".to_owned(),
        ];
        lines.extend(self.redis.ask_all("REMOVE"));
        lines.push("# Point the application here, then verify:".to_owned());
        lines.push(self.redis.server_by_hand(node, &["ROLE"]));
        lines.push(self.redis.server_by_hand(node, &["SET", "mayday:canary", "1", "EX", "60"]));
        lines
    }
}

impl Promote {
    /// The servers of the region that may be meant.
    fn candidates(&self, sight: &Sight) -> Vec<String> {
        let all = sight.addresses(&self.redis).into_iter();
        all.filter(|address| self.redis.region(address) == Some(&self.region)).collect()
    }

    /// The server to promote: the named one, or the newest of the region that answers; one that is a master already comes first.
    async fn target(&self) -> Result<(Sight, Server), Fault> {
        let sight = self.redis.look().await;
        if let Some(node) = &self.node {
            let server = self.redis.server(self.redis.address(node)).await?;
            return Ok((sight, server));
        }
        let servers = self.redis.servers(self.candidates(&sight)).await;
        let best = servers.into_values().flatten().max_by_key(|server| (server.master, server.offset));
        let nobody = || {
            Fault::transient(&self.redis.id, format!("no server in {} answers", self.region))
                .next("name one in `node`, or list the servers in `nodes` and `regions`")
        };
        best.map(|server| (sight, server)).ok_or_else(nobody)
    }

    fn sentinels(&self, sight: &Sight) -> Guard {
        if sight.majority_answers() {
            let why = "they fail over themselves, and put back what is promoted behind their back";
            return Guard::block("sentinels", format!("{}: {why}; use redis.failover", sight.summary()));
        }
        if let Some(view) = sight.views.iter().find(|view| !view.master_down) {
            let why = format!("{} still sees a master and would make this a replica again", view.sentinel);
            return Guard::block("sentinels", why);
        }
        match sight.views.len() {
            0 => Guard::pass("sentinels", "no Sentinel answers, so none undoes it"),
            living => Guard::warn(
                "sentinels",
                format!(
                    "{living} still live: when the old master returns they make this its replica; SENTINEL REMOVE first"
                ),
            ),
        }
    }
}
