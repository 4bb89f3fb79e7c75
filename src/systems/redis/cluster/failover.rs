//! `redis-cluster.failover`: each shard's master is moved into the region by its own replica there. While the master lives it stops taking
//! writes until the replica has them all, so nothing is lost; without it the replica asks the other masters for their votes (`FORCE`), and
//! without a majority of them it takes over without asking (`TAKEOVER`), which only a person may want.
//! <https://redis.io/docs/latest/commands/cluster-failover/>

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::client::{Peer, is_refusal};
use super::Cluster;
use super::look::{SLOTS, Shard, Sight};
use crate::domain::ids::RegionId;
use crate::domain::recovery::RecoveryPoint;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, OldWriter, Preview, PromotionFacts, Receipt, Step, StepLog,
    Verified,
};

/// So long a replica tries (`CLUSTER_MF_TIMEOUT` in Redis 7.0's `cluster.h`), and a moment.
const ATTEMPT: Duration = Duration::from_millis(5500);

pub struct Failover {
    pub cluster: Arc<Cluster>,
    pub region: RegionId,
}

#[async_trait]
impl Step for Failover {
    async fn observe(&self, begun: Option<&Begun>) -> Result<Observed, Fault> {
        let (sight, shards) = self.look().await?;
        let astray = self.astray(&shards);
        if let Some(shard) = shards.iter().find(|shard| shard.master.moving) {
            return Ok(Observed::Impossible {
                why: format!("a slot is being moved at {}: finish that first", self.place(shard)),
            });
        }
        if Sight::covered(&shards) < SLOTS {
            let missing = SLOTS - Sight::covered(&shards);
            return Ok(Observed::Unknowable { why: format!("nobody who answers knows a master for {missing} slots") });
        }
        if let Some(shard) = astray.iter().find(|shard| self.candidate(&sight, shard).is_none()) {
            let why = format!("no replica of {} in {} answers and is linked", shard.words(), self.region);
            return Ok(Observed::Impossible { why });
        }
        let detail = || astray.iter().map(|shard| self.place(shard)).collect::<Vec<_>>().join(", ");
        Ok(match (astray.is_empty(), begun) {
            (true, _) => self.confirmed(&sight, &shards),
            (false, _) => Observed::NotDone { detail: format!("masters outside {}: {}", self.region, detail()) },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let (sight, shards) = self.look().await?;
        let (mut diff, mut moves) = (Vec::new(), BTreeMap::new());
        for shard in self.astray(&shards) {
            let Some(target) = self.candidate(&sight, shard) else { continue };
            let how = self.how(&sight, &shards, shard);
            diff.push(format!(
                "  CLUSTER FAILOVER{}{how}, at {}",
                if how.is_empty() { "" } else { " " },
                self.cluster.redis.full_name(&target)
            ));
            diff.push(format!(
                "- {} {}",
                shard.words(),
                self.cluster.redis.placed(&self.cluster.address(&shard.master))
            ));
            diff.push(format!("+ {} {}", shard.words(), self.cluster.redis.placed(&target)));
            moves.insert(shard.master.id.clone(), json!({ "target": target, "how": how }));
        }
        let summary = format!("{} shards: master → {}", moves.len(), self.region);
        Ok(Preview { summary, diff, pre_image: json!(moves) })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let (sight, shards) = self.look().await?;
        let astray = self.astray(&shards);
        let mut guards = vec![self.cluster.redis.placed_guard(&self.addresses(&shards))];
        for shard in &astray {
            guards.push(match self.candidate(&sight, shard) {
                Some(target) => {
                    Guard::pass("replica", format!("{} takes {}", self.cluster.redis.placed(&target), shard.words()))
                }
                None => Guard::block(
                    "replica",
                    format!("no replica of {} in {} answers and is linked", shard.words(), self.region),
                ),
            });
        }
        let mut old_writer = OldWriter::Absent;
        let mut lossless = !astray.is_empty();
        for shard in &astray {
            let one = self.old_writer(&sight, shard).await;
            lossless &= one == OldWriter::HandsOver;
            // The worst of all counts: one that nobody could ask, one that lives, one that is gone.
            let rank = |it: OldWriter| match it {
                OldWriter::Unknown => 3,
                OldWriter::HandsOver => 2,
                OldWriter::Absent => 0,
                _ => 1,
            };
            old_writer = if rank(one) > rank(old_writer) { one } else { old_writer };
        }
        let promotion = PromotionFacts {
            old_writer,
            quorum: Some(sight.has_majority(&shards)),
            recovery_point: self.point(&sight, &astray),
            lossless,
        };
        Ok(Checked { guards, promotion: Some(promotion) })
    }

    async fn apply(&self, pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let (sight, shards) = self.look().await?;
        let mut receipt = Receipt::new();
        for shard in self.astray(&shards) {
            let noted = pre_image.get(&shard.master.id);
            let target = noted.and_then(|it| it.get("target")).and_then(Value::as_str);
            let how = noted.and_then(|it| it.get("how")).and_then(Value::as_str).unwrap_or_default();
            // A shard that has another master than at the gate is left alone: it is looked at again.
            let Some(target) = target.filter(|it| self.candidate(&sight, shard).as_deref() == Some(*it)) else {
                continue;
            };
            // A command that was to be sent without its master would leave one that lives now no time to hand over.
            if how != self.how(&sight, &shards, shard) {
                let what = format!("the master of {} is not as it was at the gate", shard.words());
                return Err(Fault::transient(&*self.cluster.redis.id, what).next("nothing: it is being observed"));
            }
            log.line(&format!("CLUSTER FAILOVER {how} at {target}"));
            let mut link = self.cluster.redis.client.connect(Peer::Server, target).await?;
            let words: Vec<&str> = ["CLUSTER", "FAILOVER", how].into_iter().filter(|word| !word.is_empty()).collect();
            link.change(&words).await?;
            receipt.insert(shard.master.id.clone(), target.to_owned());
            self.wait_for(target).await;
        }
        Ok(receipt)
    }

    async fn verify(&self, begun: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        Ok(match self.observe(Some(begun)).await? {
            Observed::Done { detail } => Verified::Holds { detail, recovery_point: None },
            other => Verified::Pending { detail: other.words().to_owned() },
        })
    }

    async fn revert(&self, _: &Begun, _: &dyn StepLog) -> Result<Receipt, Fault> {
        Err(Fault::permanent(&*self.cluster.redis.id, "a promotion is not undone by promoting the old masters again")
            .next("start a failover towards the old region, with its own guards"))
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        let mut fitness = self.cluster.redis.fitness(Peer::Server, &["CLUSTER", "FAILOVER"]).await?;
        let (_, shards) = self.look().await?;
        fitness.guards.push(self.cluster.redis.placed_guard(&self.addresses(&shards)));
        for shard in &shards {
            let here =
                |row: &super::look::Row| self.cluster.redis.region(&self.cluster.address(row)) == Some(&self.region);
            if !here(&shard.master) && !shard.replicas.iter().any(here) {
                let why = format!("{} has no copy in {}: it could not be moved there", shard.words(), self.region);
                fitness.guards.push(Guard::block("replica", why));
            }
        }
        Ok(fitness)
    }

    fn by_hand(&self) -> Vec<String> {
        let redis = &self.cluster.redis;
        let mut lines = vec!["# Which node is whose replica:".to_owned()];
        let named = redis.servers_named();
        let near = || named.iter().filter(|address| redis.region(address) == Some(&self.region));
        lines.extend(near().next().map(|address| redis.client.by_hand(Peer::Server, address, &["CLUSTER", "NODES"])));
        lines.push(format!(
            "# On one replica of every shard whose master is outside {}. Add FORCE where its master is gone,",
            self.region
        ));
        lines.push("# and TAKEOVER only where a majority of masters is gone for good.".to_owned());
        lines.extend(near().map(|address| redis.client.by_hand(Peer::Server, address, &["CLUSTER", "FAILOVER"])));
        lines.push("# Verify: each says `master`, and cluster_state is ok.".to_owned());
        lines.extend(near().map(|address| redis.client.by_hand(Peer::Server, address, &["CLUSTER", "INFO"])));
        lines
    }
}

impl Failover {
    async fn look(&self) -> Result<(Sight, Vec<Shard>), Fault> {
        let sight = self.cluster.look(Duration::MAX).await;
        let shards = sight.shards();
        if shards.is_empty() {
            let refusal = sight.silent.values().find(|fault| is_refusal(fault)).cloned();
            let nobody = || Fault::transient(&*self.cluster.redis.id, sight.summary());
            return Err(refusal.unwrap_or_else(nobody).means("who holds which slots cannot be told"));
        }
        Ok((sight, shards))
    }

    /// Waits until `target` is a master, or its attempt is over. Replicas that ask for votes at the same time take them from each other.
    async fn wait_for(&self, target: &str) {
        let begun = Instant::now();
        while begun.elapsed() < ATTEMPT {
            if matches!(self.cluster.redis.server(target).await, Ok(server) if server.master) {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn addresses(&self, shards: &[Shard]) -> Vec<String> {
        let rows = shards.iter().flat_map(|shard| std::iter::once(&shard.master).chain(&shard.replicas));
        rows.map(|row| self.cluster.address(row)).collect()
    }

    fn place(&self, shard: &Shard) -> String {
        format!("{} ({})", self.cluster.redis.placed(&self.cluster.address(&shard.master)), shard.words())
    }

    fn astray<'a>(&self, shards: &'a [Shard]) -> Vec<&'a Shard> {
        let outside =
            |shard: &&Shard| self.cluster.redis.region(&self.cluster.address(&shard.master)) != Some(&self.region);
        shards.iter().filter(outside).collect()
    }

    /// The replica of the region that holds most. Without its master, one whose link has just gone down will do.
    fn candidate(&self, sight: &Sight, shard: &Shard) -> Option<String> {
        let master_lives = sight.view(&shard.master.id).is_some();
        let here = shard.replicas.iter().filter_map(|row| sight.view(&row.id)).map(|view| &view.server);
        let fit = here.filter(|server| self.cluster.redis.region(&server.address) == Some(&self.region));
        let fit = fit.filter(|server| !server.master && (server.link_up || !master_lives));
        fit.max_by_key(|server| server.offset).map(|server| server.address.clone())
    }

    /// The option that the command needs.
    fn how(&self, sight: &Sight, shards: &[Shard], shard: &Shard) -> &'static str {
        match (sight.view(&shard.master.id).is_some(), sight.has_majority(shards)) {
            (true, _) => "",
            (false, true) => "FORCE",
            (false, false) => "TAKEOVER",
        }
    }

    async fn old_writer(&self, sight: &Sight, shard: &Shard) -> OldWriter {
        if sight.view(&shard.master.id).is_some() {
            return OldWriter::HandsOver;
        }
        match self.cluster.redis.client.may_live(&self.cluster.address(&shard.master)).await {
            true => OldWriter::Unknown,
            false => OldWriter::Unreachable,
        }
    }

    fn point(&self, sight: &Sight, astray: &[&Shard]) -> Option<RecoveryPoint> {
        let of = |shard: &&Shard| self.cluster.newest_copy(sight, shard, |region| *region == self.region);
        astray.iter().map(of).collect::<Option<Vec<_>>>()?.into_iter().min_by_key(|point| point.at)
    }

    /// All masters are in the region by what is known; each has to say so, and to serve.
    fn confirmed(&self, sight: &Sight, shards: &[Shard]) -> Observed {
        for shard in shards {
            let Some(view) = sight.view(&shard.master.id) else {
                return Observed::InProgress { detail: format!("{} does not say so itself", self.place(shard)) };
            };
            if !view.server.master || !view.serves {
                return Observed::InProgress { detail: format!("{} does not serve yet", self.place(shard)) };
            }
            if let Some(why) = view.server.writes.against() {
                return Observed::InProgress { detail: format!("{} {why}", self.place(shard)) };
            }
        }
        Observed::Done {
            detail: format!("all {} shards have their master in {}, and each says so", shards.len(), self.region),
        }
    }
}
