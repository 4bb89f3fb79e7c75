//! `redis.failover`: one Sentinel is told to fail over, after everything that it does not check itself was checked.
//!
//! `SENTINEL FAILOVER` asks nobody: it was seen to promote with two of three Sentinels stopped. It takes no target, and a second call
//! after a finished failover goes back. So: gate on CKQUORUM of a majority, steer by replica-priority, and compare the master with
//! the pre-image just before the one call. A master that lives is demoted by the Sentinels themselves, and its writes are held back
//! until then where that is allowed: nothing else has to fence it.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::super::Redis;
use super::super::client::Peer;
use super::super::look::{Sight, View};
use super::super::node::two_writers;
use super::{Others, no_way_back, noted};
use crate::domain::ids::RegionId;
use crate::domain::recovery::RecoveryPoint;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, OldWriter, Preview, PromotionFacts, Receipt, Step, StepLog,
    Verified,
};

pub struct Failover {
    pub redis: Arc<Redis>,
    pub region: RegionId,
}

#[async_trait]
impl Step for Failover {
    async fn observe(&self, begun: Option<&Begun>) -> Result<Observed, Fault> {
        let sight = self.redis.look().await;
        if sight.views.is_empty() {
            return Err(self.nobody(&sight));
        }
        // Once they name a master there, they are still pointing replicas at it for some seconds: what was begun is done all the same.
        let is_there = sight.agreed().is_some_and(|master| self.redis.region(master) == Some(&self.region));
        if sight.failover_runs() && !(begun.is_some() && is_there) {
            return Ok(Observed::InProgress { detail: "a Sentinel leads a failover".into() });
        }
        if !sight.majority_answers() && sight.refuses() {
            // Who refuses lives: that is no lost quorum, and nothing that cannot be mended by another password.
            return Ok(Observed::Unknowable { why: format!("{}; who refuses does not tell", sight.summary()) });
        }
        if !sight.majority_answers() {
            let why = format!(
                "{}; a failover needs {}; redis.promote is the way without them",
                sight.summary(),
                sight.majority()
            );
            return Ok(Observed::Impossible { why });
        }
        let Some(master) = sight.agreed() else {
            return Ok(Observed::InProgress { detail: "the Sentinels do not agree on a master yet".into() });
        };
        let place = self.redis.placed(master);
        if self.redis.region(master) != Some(&self.region) {
            return Ok(Observed::NotDone { detail: format!("the master is {place}") });
        }
        let others = self.redis.other_masters(&sight, master).await.masters;
        if !others.is_empty() {
            // For some ten seconds after a failover that is so, until the Sentinels demote the old one.
            let detail = two_writers(&place, &others);
            return Ok(match begun {
                Some(_) => Observed::InProgress { detail },
                None => Observed::NotDone { detail },
            });
        }
        Ok(match self.redis.serving(&sight, Some(&self.region)).await {
            Ok(_) => Observed::Done { detail: format!("the master is {place}, and says so") },
            Err(why) => Observed::InProgress { detail: why },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let sight = self.redis.look().await;
        let Some(leader) = self.leader(&sight) else { return Err(self.nobody(&sight)) };
        let (from, to) = (self.redis.name(&leader.master), leader.would_promote());
        let to = to.map_or("nobody".to_owned(), |replica| self.redis.full_name(&replica.address));
        let name = &self.redis.master_name;
        Ok(Preview {
            summary: format!("master of {name}: {from} → {to}"),
            diff: vec![
                format!("  SENTINEL FAILOVER {name}, asked of {}", leader.sentinel),
                format!("- {name} {}", self.redis.placed(&leader.master)),
                format!("+ {name} {to}"),
            ],
            pre_image: json!({ "master": leader.master, "epoch": leader.epoch, "sentinel": leader.sentinel }),
        })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let sight = self.redis.look().await;
        let mut guards = vec![self.quorum(&sight)];
        let Some(leader) = self.leader(&sight) else { return Ok(Checked { guards, promotion: None }) };
        guards.push(self.redis.placed_guard(sight.told()));
        guards.extend(self.target(leader));
        guards.push(self.writers(&sight, leader).await);
        let (old_writer, lossless) = self.handover(&sight, leader).await;
        let recovery_point = self.point(leader).await;
        let promotion = PromotionFacts { old_writer, quorum: Some(sight.authorized()), recovery_point, lossless };
        Ok(Checked { guards, promotion: Some(promotion) })
    }

    async fn apply(&self, pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let master = noted(pre_image, "master").unwrap_or_default();
        let sight = self.redis.look().await;
        let Some(leader) = self.leader(&sight) else { return Err(self.nobody(&sight)) };
        if leader.master != master || leader.failover {
            return Err(Fault::transient(
                &self.redis.id,
                format!("the master is no longer {master}; nothing was sent"),
            )
            .means("a failover now could go back to where it came from")
            .next("nothing: it is being observed"));
        }
        if self.redis.region(&leader.master) == Some(&self.region) {
            let what = format!("the Sentinels have their master in {} already; nothing was sent", self.region);
            return Err(Fault::permanent(&self.redis.id, what)
                .means("a failover now would lead away from there, and stop no other writer")
                .next("make every other master a replica (REPLICAOF), then retry"));
        }
        if self.redis.region(&leader.master).is_none() {
            let what = format!("{} is the master, and belongs to no region: nothing was sent", leader.master);
            return Err(Fault::permanent(&self.redis.id, what)
                .means("where a failover would lead from cannot be told")
                .next("list it in `nodes` and `regions`"));
        }
        if !sight.authorized() {
            return Err(Fault::permanent(
                &self.redis.id,
                format!("no majority authorizes a failover: {}", sight.summary()),
            )
            .means("a Sentinel would promote all the same, and the others may disagree")
            .next("bring Sentinels back, or use redis.promote"));
        }
        let mut link = self.redis.client.connect(Peer::Sentinel, &leader.sentinel).await?;
        let target = leader.would_promote().map(|replica| replica.address.clone()).unwrap_or_default();
        if !target.is_empty() {
            self.redis.lift_fence(&target, log).await?;
        }
        let hands_over = self.handover(&sight, leader).await == (OldWriter::HandsOver, true);
        if hands_over {
            self.redis.hold_writes(&leader.master, &target, leader.down_after / 2, log).await?;
        }
        log.line(&format!("SENTINEL FAILOVER {} at {}", self.redis.master_name, leader.sentinel));
        if let Err(fault) = link.change(&["SENTINEL", "FAILOVER", &self.redis.master_name]).await {
            if hands_over {
                self.redis.resume(&leader.master).await;
            }
            return Err(fault);
        }
        if hands_over {
            self.redis.demote(&leader.master, &target, log).await;
        }
        Ok(Receipt::from([
            ("sentinel".to_owned(), leader.sentinel.clone()),
            ("from".to_owned(), leader.master.clone()),
            ("epoch-before".to_owned(), leader.epoch.to_string()),
        ]))
    }

    async fn verify(&self, begun: &Begun, log: &dyn StepLog) -> Result<Verified, Fault> {
        let sight = self.redis.look().await;
        let old = noted(&begun.pre_image, "master").unwrap_or_default();
        if let Some(master) = sight.agreed()
            && master != old
            && !sight.failover_runs()
            && self.redis.region(master) != Some(&self.region)
        {
            let place = self.redis.placed(master);
            return Ok(Verified::Broken { why: format!("the Sentinels made {place} the master, not {}", self.region) });
        }
        let server = match self.redis.serving(&sight, Some(&self.region)).await {
            Ok(server) => server,
            Err(detail) => return Ok(Verified::Pending { detail }),
        };
        // About ten seconds long the old master, if it lives, is one as well; where its writes were not held back, they are thrown away.
        if !old.is_empty() && old != server.address && self.redis.old_writer(old).await == OldWriter::Reachable {
            let detail = format!("{} is the master; {old} is one too until it is demoted", server.address);
            log.line(&detail);
            return Ok(Verified::Pending { detail });
        }
        let epoch = sight.newest().map_or(0, |view| view.epoch);
        let detail =
            format!("{} says it is the master, a majority names it, epoch {epoch}", self.redis.placed(&server.address));
        Ok(Verified::Holds { detail, recovery_point: None })
    }

    async fn revert(&self, begun: &Begun, _: &dyn StepLog) -> Result<Receipt, Fault> {
        no_way_back(&self.redis, begun)
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        let mut fitness =
            self.redis.fitness(Peer::Sentinel, &["SENTINEL", "FAILOVER", &self.redis.master_name]).await?;
        let sight = self.redis.look().await;
        if !sight.views.is_empty() {
            fitness.guards.push(self.redis.placed_guard(sight.told()));
        }
        Ok(fitness)
    }

    fn by_hand(&self) -> Vec<String> {
        let (redis, region) = (&self.redis, &self.region);
        let mut lines = vec!["# A majority has to answer OK; do not go on from a minority.".to_owned()];
        lines.extend(redis.ask_all("CKQUORUM"));
        lines
            .push(format!("# FAILOVER takes no target: replicas outside {region} need a larger slave-priority, or 0."));
        let near = redis.sentinel_near(Some(region));
        lines.extend(near.map(|at| redis.ask_by_hand(at, "REPLICAS")));
        lines.push("# Once, on one Sentinel. A second call goes back.".to_owned());
        lines.extend(near.map(|at| redis.ask_by_hand(at, "FAILOVER")));
        lines.push(format!("# Verify: all name the same address in {region}, and it says `master`."));
        lines.extend(redis.ask_all("GET-MASTER-ADDR-BY-NAME"));
        lines.extend(redis.find_master_by_hand(Some(region)));
        lines.push(redis.master_by_hand(&["ROLE"]));
        lines
    }
}

/// What could not be read never counts as nobody. A dead region's servers are among the unread in earnest, so that alone only warns; but
/// one that turned Mayday away lives.
pub fn writers(name: &str, place: &str, others: &Others) -> Guard {
    if others.masters.is_empty() && !others.refused.is_empty() {
        let who = others.refused.join(", ");
        let why = format!("whether {who} takes writes besides {place} is unknown: it answers, and turned Mayday away");
        return Guard::block(name, why);
    }
    match (&others.masters[..], others.read, &others.unread[..]) {
        ([], _, []) => Guard::pass(name, format!("nobody but {place} takes writes")),
        ([], 0, unread) => Guard::block(
            name,
            format!("whether anybody but {place} takes writes is unknown: {} did not answer", unread.join(", ")),
        ),
        ([], read, unread) => Guard::warn(
            name,
            format!(
                "none of the {read} that answer takes writes besides {place}; of {} it is not known: no answer",
                unread.join(", ")
            ),
        ),
        (masters, ..) => Guard::block(
            name,
            format!(
                "{}: what one of them takes will be thrown away; stop one before anything is promoted",
                two_writers(place, masters)
            ),
        ),
    }
}

impl Failover {
    /// How the old writer stands, and whether nothing will be lost: its writes can be held back until the replica has them all, or it is
    /// fenced and the replica has them.
    async fn handover(&self, sight: &Sight, leader: &View) -> (OldWriter, bool) {
        if self.redis.region(&leader.master) == Some(&self.region) {
            return (OldWriter::Absent, false);
        }
        let picked = leader.would_promote().filter(|it| self.redis.region(&it.address) == Some(&self.region));
        match (self.redis.old_writer(&leader.master).await, picked) {
            // Sentinels that see it gone, or that have no majority, demote nobody.
            (OldWriter::Reachable, Some(picked)) if sight.authorized() && !leader.master_down => {
                let level = picked.link_down.is_zero();
                (OldWriter::HandsOver, level && self.redis.can_hand_over(&leader.master).await)
            }
            (OldWriter::Fenced, Some(picked)) => {
                (OldWriter::Fenced, self.redis.is_level(&leader.master, &picked.address).await)
            }
            (old_writer, _) => (old_writer, false),
        }
    }

    /// The Sentinel to tell: one that knows the newest epoch, in the target region if there is one.
    fn leader<'a>(&self, sight: &'a Sight) -> Option<&'a View> {
        sight.views.iter().max_by_key(|view| (view.epoch, self.redis.region(&view.sentinel) == Some(&self.region)))
    }

    fn nobody(&self, sight: &Sight) -> Fault {
        Fault::transient(&self.redis.id, sight.summary()).means("who the master is cannot be told").next(sight.advice())
    }

    fn quorum(&self, sight: &Sight) -> Guard {
        if sight.authorized() {
            return Guard::pass("sentinels", format!("{}, and a majority would authorize it", sight.summary()));
        }
        let refused = sight.views.iter().find_map(|view| view.authorizes.as_ref().err());
        let why = refused.cloned().unwrap_or_else(|| sight.summary());
        Guard::block("sentinels", format!("no majority would authorize it, though a Sentinel would obey: {why}"))
    }

    /// Whether the master is the only one.
    async fn writers(&self, sight: &Sight, leader: &View) -> Guard {
        const NAME: &str = "writers";
        let place = self.redis.placed(&leader.master);
        let others = self.redis.other_masters(sight, &leader.master).await;
        writers(NAME, &place, &others)
    }

    /// Whether there is a fit replica in the region, and whether it is the one that Sentinel would pick.
    fn target(&self, leader: &View) -> Vec<Guard> {
        let here = |address: &str| self.redis.region(address) == Some(&self.region);
        let fit = leader.replicas.iter().find(|replica| here(&replica.address) && leader.eligible(replica));
        let Some(fit) = fit else {
            let why = format!("no replica in {} is fit: down, of priority 0, or cut off too long", self.region);
            return vec![Guard::block("replica", why)];
        };
        let found = format!("{} is fit, priority {}", self.redis.full_name(&fit.address), fit.priority);
        let steering = match leader.would_promote() {
            Some(picked) if here(&picked.address) => {
                Guard::pass("steering", format!("Sentinel would pick {}", self.redis.placed(&picked.address)))
            }
            Some(picked) => Guard::block(
                "steering",
                format!(
                    "Sentinel would pick {} (priority {}): run redis.steer first, or raise its replica-priority above {}",
                    self.redis.placed(&picked.address),
                    picked.priority,
                    fit.priority
                ),
            )
            .settled_by("redis.steer"),
            None => Guard::block("steering", "Sentinel would pick nobody"),
        };
        vec![Guard::pass("replica", found), steering]
    }

    async fn point(&self, leader: &View) -> Option<RecoveryPoint> {
        let picked = leader.would_promote()?.address.clone();
        let mut servers = self.redis.servers([picked.clone(), leader.master.clone()]).await;
        let master = servers.remove(&leader.master).and_then(Result::ok);
        servers.remove(&picked)?.ok()?.recovery_point(&self.redis, master.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::system::GuardVerdict::{self, Block, Pass, Warn};

    fn others(masters: &[&str], read: usize, unread: &[&str]) -> Others {
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Others { masters: all(masters), read, unread: all(unread), refused: Vec::new() }
    }

    #[test]
    fn who_turned_us_away_lives() {
        let refused = Others { refused: vec!["r3".into()], ..others(&[], 1, &["r3"]) };
        let guard = writers("writers", "r1", &refused);
        assert!(guard.verdict == Block && guard.detail.contains("turned Mayday away"), "{guard:?}");
    }

    #[test]
    fn who_could_not_be_asked_is_not_nobody() {
        let rows: [(Others, GuardVerdict, &str); 5] = [
            (others(&[], 2, &[]), Pass, "nobody but r1"),
            (others(&[], 0, &["r2", "r3"]), Block, "unknown: r2, r3 did not answer"),
            (others(&[], 1, &["r3"]), Warn, "of r3 it is not known"),
            (others(&["r2"], 2, &[]), Block, "2 masters take writes"),
            (others(&["r2"], 1, &["r3"]), Block, "2 masters take writes"),
        ];
        for (others, verdict, words) in rows {
            let guard = writers("writers", "r1", &others);
            assert!(guard.verdict == verdict && guard.detail.contains(words), "{guard:?}");
        }
    }
}
