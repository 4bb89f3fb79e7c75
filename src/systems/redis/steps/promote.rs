//! `redis.promote`: `REPLICAOF NO ONE` by hand, where there are no Sentinels or they lost their majority; then the other replicas are
//! pointed at the new master. While a majority of Sentinels lives they do it themselves, and a living one that sees a sane master
//! elsewhere puts the replica back about ten seconds later.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::super::Redis;
use super::super::client::{Peer, split};
use super::super::look::Sight;
use super::super::node::Server;
use super::super::writes::Writes;
use super::failover::writers;
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
        let rest = self.redis.rest_of(&target, sight.addresses(&self.redis).into_iter()).await;
        if let Some(words) = rest.words(&self.redis) {
            return Ok(Observed::NotDone { detail: format!("{place} is a master; {words}") });
        }
        let known = sight.views.iter().filter(|view| view.master == target.address).count();
        let said = match sight.asked {
            0 => "nobody who answers follows another".to_owned(),
            _ => format!("{known} of {} Sentinels name it", sight.views.len()),
        };
        Ok(Observed::Done { detail: format!("{place} is a master; {said}") })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let (sight, target) = self.target().await?;
        let master = target.follows.clone().unwrap_or_default();
        let (name, from) = (self.redis.full_name(&target.address), self.redis.full_name(&master));
        let mut diff = match target.master {
            true => vec![format!("  {name} is a master already")],
            false => vec![
                format!("  REPLICAOF NO ONE, at {name}"),
                format!("- {name} replica of {from}"),
                format!("+ {name} master"),
            ],
        };
        let rest = self.redis.rest_of(&target, sight.addresses(&self.redis).into_iter()).await;
        for server in &rest.astray {
            let other = self.redis.full_name(&server.address);
            let now = server
                .follows
                .as_deref()
                .map_or("master, fenced".to_owned(), |it| format!("replica of {}", self.redis.name(it)));
            diff.extend([
                format!("- {other} {now}"),
                format!("+ {other} replica of {}", self.redis.name(&target.address)),
            ]);
        }
        Ok(Preview {
            summary: format!("{name}: replica → master, by hand; {} others are pointed at it", rest.astray.len()),
            diff,
            pre_image: json!({ "node": target.address, "master": master }),
        })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let (sight, target) = self.target().await?;
        let mut guards = match sight.asked {
            0 => vec![self.redis.placed_guard(&sight.addresses(&self.redis))],
            _ => vec![sentinels(&sight)],
        };
        let master = target.follows.clone();
        if let Some(master) = master.as_deref().filter(|_| sight.asked == 0) {
            let mut others = self.redis.other_masters(&sight, master).await;
            others.masters.retain(|place| *place != self.redis.placed(&target.address));
            guards.push(writers("writers", &self.redis.placed(master), &others));
        }
        let answer = match &master {
            Some(master) => self.redis.server(master).await.ok(),
            None => None,
        };
        let old_writer = match &master {
            Some(master) => self.redis.old_writer(master).await,
            None => OldWriter::Absent,
        };
        let candidates = self.redis.servers(self.candidates(&sight)).await;
        let unread = candidates.iter().filter(|(_, answer)| answer.is_err()).map(|(at, _)| self.redis.full_name(at));
        let others = candidates.values().flatten().filter(|other| other.address != target.address);
        let others = others.map(|other| (self.redis.full_name(&other.address), other.offset));
        guards.extend(newest_replica(target.offset, others.collect(), unread.collect()));
        let recovery_point = target.recovery_point(&self.redis, answer.as_ref());
        // Without Sentinels there is no quorum to count on, which is why the guard above looks at them instead.
        let lossless = match (&master, old_writer) {
            (Some(master), OldWriter::Fenced) => self.redis.is_level(master, &target.address).await,
            _ => false,
        };
        let promotion = PromotionFacts { old_writer, quorum: None, recovery_point, lossless };
        Ok(Checked { guards, promotion: Some(promotion) })
    }

    async fn apply(&self, pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let (Some(node), Some(master)) = (noted(pre_image, "node"), noted(pre_image, "master")) else {
            return Err(Fault::permanent(&self.redis.id, "which replica was to be promoted is not journalled")
                .next("retry the step"));
        };
        let target = self.redis.server(node).await?;
        // Whether the old master was seen to hold nothing more: only then is it made to follow.
        let mut level = false;
        // One that was promoted before the engine died is not promoted again; the others may still have to be pointed at it.
        if !target.master {
            if target.follows.as_deref().unwrap_or_default() != master {
                let what = format!("{node} no longer follows {master}; nothing was sent");
                return Err(Fault::transient(&self.redis.id, what).next("nothing: it is being observed"));
            }
            level = self.is_level(master, node).await;
            self.redis.lift_fence(node, log).await?;
            log.line(&format!("REPLICAOF NO ONE at {node}"));
            let mut link = self.redis.client.connect(Peer::Server, node).await?;
            link.change(&["REPLICAOF", "NO", "ONE"]).await?;
            self.redis.promoted_now(node);
        }
        let mut receipt =
            Receipt::from([("node".to_owned(), node.to_owned()), ("followed".to_owned(), master.to_owned())]);
        // It is done, whatever becomes of the others: what is left of them is seen, and told.
        match self.point_others(node, level, log).await {
            Ok(done) => drop(receipt.insert("pointed".into(), done.join(", "))),
            Err(fault) => log.line(&format!("not all could be pointed at {node}: {}", fault.what)),
        }
        Ok(receipt)
    }

    async fn verify(&self, begun: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        let node = noted(&begun.pre_image, "node");
        let target = match node {
            Some(node) => self.redis.server(node).await?,
            None => self.target().await?.1,
        };
        let place = self.redis.placed(&target.address);
        if !target.master {
            return Ok(Verified::Pending { detail: format!("{place} is still a replica") });
        }
        if let Some(why) = target.writes.against() {
            return Ok(Verified::Pending { detail: format!("{place} is a master and {why}") });
        }
        let addresses = self.redis.look().await.addresses(&self.redis);
        let rest = self.redis.rest_of(&target, addresses.into_iter()).await;
        Ok(match rest.words(&self.redis) {
            Some(words) => Verified::Pending { detail: format!("{place} says it is a master; {words}") },
            None => {
                let aside = rest.aside(&self.redis);
                let detail = format!("{place} says it is a master, and no replica that answers follows another{aside}");
                Verified::Holds { detail, recovery_point: None }
            }
        })
    }

    async fn revert(&self, begun: &Begun, _: &dyn StepLog) -> Result<Receipt, Fault> {
        no_way_back(&self.redis, begun)
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        self.redis.fitness(Peer::Server, &["REPLICAOF", "NO", "ONE"]).await
    }

    fn by_hand(&self) -> Vec<String> {
        let all = self.redis.servers_named();
        let here = || all.iter().copied().find(|at| self.redis.region(at) == Some(&self.region));
        let named = self.node.as_deref().map(|node| self.redis.address(node));
        let node = named.or_else(|| here().map(String::as_str)).unwrap_or("HOST:PORT");
        let mut lines = match self.redis.sentinels.is_empty() {
            true => {
                vec![format!("# On the replica in {}, once nobody writes to the old master any more.", self.region)]
            }
            false => vec![format!("# Only without a majority of Sentinels, on the replica in {}.", self.region)],
        };
        lines.push(self.redis.server_by_hand(node, &["REPLICAOF", "NO", "ONE"]));
        if !self.redis.sentinels.is_empty() {
            let words = "# Sentinels that still live have to forget the old master, or they undo this when it returns:";
            lines.push(words.to_owned());
            lines.extend(self.redis.ask_all("REMOVE"));
        }
        lines.push("# Every other replica has to follow it:".to_owned());
        let port = split(node).map(|(_, port)| port.to_string()).unwrap_or_default();
        let host = split(node).map_or("HOST", |(host, _)| host);
        for other in all.iter().filter(|other| other.as_str() != node) {
            lines.push(self.redis.server_by_hand(other, &["REPLICAOF", host, &port]));
        }
        lines.push("# Point the application here, then verify:".to_owned());
        lines.push(self.redis.server_by_hand(node, &["ROLE"]));
        lines.push(self.redis.server_by_hand(node, &["SET", "mayday:canary", "1", "EX", "60"]));
        lines
    }
}

/// Whether another replica of the region holds more, by their offsets. One that could not be asked, or does not say, may.
fn newest_replica(own: Option<u64>, others: Vec<(String, Option<u64>)>, mut unread: Vec<String>) -> Option<Guard> {
    const NAME: &str = "newest-replica";
    unread.extend(others.iter().filter(|(_, offset)| offset.is_none()).map(|(name, _)| name.clone()));
    let known = others.into_iter().filter_map(|(name, offset)| Some((name, offset?)));
    let newest = known.max_by_key(|(_, offset)| *offset);
    let words = match (own, newest) {
        (Some(own), Some((name, offset))) if offset > own => {
            format!("{name} in the same region holds {} bytes more", offset - own)
        }
        (None, Some((name, _))) => {
            format!("whether {name} in the same region holds more is not known: no offset is told")
        }
        _ if unread.is_empty() => return None,
        _ => format!("whether {} in the same region holds more is not known: no answer", unread.join(", ")),
    };
    Some(Guard::warn(NAME, words))
}

/// Whether living Sentinels would undo it. One that does not answer this host may well live on another side of the network.
fn sentinels(sight: &Sight) -> Guard {
    const NAME: &str = "sentinels";
    if sight.majority_answers() {
        let why = "they fail over themselves, and put back what is promoted behind their back";
        return Guard::block(NAME, format!("{}: {why}; use redis.failover", sight.summary()));
    }
    if let Some(view) = sight.views.iter().find(|view| !view.master_down) {
        let why = format!("{} still sees a master and would make this a replica again", view.sentinel);
        return Guard::block(NAME, why);
    }
    if sight.refuses() {
        let why = "who refuses lives, and may put back what is promoted; fix the credentials, or stop it first";
        return Guard::block(NAME, format!("{}: {why}", sight.summary()));
    }
    Guard::warn(
        NAME,
        match sight.views.len() {
            0 => format!(
                "{}: whether they live where this host cannot see them is not known; one that does may undo this",
                sight.summary()
            ),
            living => format!(
                "{living} still live: when the old master returns they make this its replica; SENTINEL REMOVE first"
            ),
        },
    )
}

impl Promote {
    /// Whether the old master is fenced, and its replica has all of it. One that is gone is not waited for: each wait is RTO.
    async fn is_level(&self, master: &str, node: &str) -> bool {
        let old = self.redis.within(Duration::from_secs(1), master, self.redis.server(master)).await;
        let fenced = matches!(old, Ok(server) if matches!(server.writes, Writes::Fenced(_)));
        fenced && self.redis.is_level(master, node).await
    }

    async fn point_others(&self, node: &str, level: bool, log: &dyn StepLog) -> Result<Vec<String>, Fault> {
        let target = self.redis.server(node).await?;
        let addresses = self.redis.look().await.addresses(&self.redis);
        let mut rest = self.redis.rest_of(&target, addresses.into_iter()).await;
        if level {
            rest.astray.append(&mut rest.fenced);
        }
        self.redis.repoint(node, &rest, log).await
    }

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
}

#[cfg(test)]
mod tests {
    use super::super::super::look::View;
    use super::*;
    use crate::domain::system::GuardVerdict::{self, Block, Warn};

    fn sight(answer: usize, master_down: bool, refused: usize, silent: usize) -> Sight {
        let view = View {
            sentinel: "s1:26379".into(),
            id: String::new(),
            others: 2,
            master: "r1:6379".into(),
            master_run_id: String::new(),
            epoch: 1,
            master_down,
            master_down_for: Duration::ZERO,
            failover: false,
            down_after: Duration::from_secs(1),
            master_for: Duration::ZERO,
            authorizes: Err("NOQUORUM".into()),
            replicas: Vec::new(),
        };
        let fault = |fault: Fault, count| std::iter::repeat_n(("s:26379".to_owned(), fault), count);
        let no = fault(Fault::permanent("cache", "s: NOAUTH"), refused);
        let late = fault(Fault::transient("cache", "s did not answer"), silent);
        Sight {
            asked: answer + refused + silent,
            views: std::iter::repeat_n(view, answer).collect(),
            silent: no.chain(late).collect(),
        }
    }

    #[test]
    fn sentinels_that_do_not_answer_are_not_sentinels_that_are_gone() {
        let rows: [(&str, Sight, GuardVerdict, &str); 6] = [
            ("a majority answers", sight(2, true, 0, 1), Block, "use redis.failover"),
            ("one sees a master", sight(1, false, 0, 2), Block, "still sees a master"),
            ("one lives and sees none", sight(1, true, 0, 2), Warn, "1 still live"),
            ("nobody answers", sight(0, true, 0, 3), Warn, "is not known"),
            ("all refuse", sight(0, true, 3, 0), Block, "who refuses lives"),
            ("one refuses, the rest are silent", sight(0, true, 1, 2), Block, "NOAUTH"),
        ];
        for (what, sight, verdict, words) in rows {
            let guard = sentinels(&sight);
            assert!(guard.verdict == verdict && guard.detail.contains(words), "{what}: {guard:?}");
        }
    }

    #[test]
    fn a_replica_that_could_not_be_asked_may_hold_more() {
        let of = |own: Option<u64>, others: &[Option<u64>], unread: &[&str]| {
            let others = others.iter().map(|offset| ("r3".to_owned(), *offset)).collect();
            let unread = unread.iter().map(|name| (*name).to_owned()).collect();
            newest_replica(own, others, unread).map(|guard| guard.detail)
        };
        let rows = [
            ("it is alone", of(Some(10), &[], &[]), None),
            ("as new as the other", of(Some(10), &[Some(10)], &[]), None),
            ("the other is newer", of(Some(10), &[Some(9), Some(12)], &[]), Some("holds 2 bytes more")),
            ("the other is silent", of(Some(10), &[], &["r4"]), Some("whether r4 in the same region")),
            ("some are silent, one is newer", of(Some(10), &[Some(12)], &["r4"]), Some("holds 2 bytes more")),
            ("the other does not say", of(Some(10), &[None], &[]), Some("whether r3 in the same region")),
            ("it does not say itself", of(None, &[Some(1)], &[]), Some("no offset is told")),
            ("it does not say itself, and is alone", of(None, &[], &[]), None),
        ];
        for (what, said, wanted) in rows {
            match (&said, wanted) {
                (None, None) => {}
                (Some(said), Some(words)) => assert!(said.contains(words), "{what}: {said}"),
                _ => panic!("{what}: {said:?}"),
            }
        }
    }
}
