//! Looking at a cluster once: its slots, its nodes, and how new the copies outside a region are.

use std::time::Duration;

use super::super::client::is_refusal;
use super::super::node::Server;
use super::Cluster;
use super::look::{SLOTS, Shard, Sight};
use crate::domain::estate::ProbeSpec;
use crate::domain::health::{Reading, Status};
use crate::domain::recovery::{Member, RecoveryPoint, Role, Survey};
use crate::domain::system::Fault;
use crate::domain::text::clean;

impl Cluster {
    pub async fn probe(&self, spec: &ProbeSpec) -> Reading {
        let sight = self.look(spec.timeout.0.mul_f64(0.9)).await;
        match spec.kind.as_str() {
            "redis-cluster.slots" => self.slots(&sight),
            "redis-cluster.ping" => self.nodes(&sight, spec),
            other => Reading::unknown(format!("redis-cluster has no probe `{other}`")),
        }
    }

    fn slots(&self, sight: &Sight) -> Reading {
        let shards = sight.shards();
        if sight.views.is_empty() {
            let refusal = sight.silent.values().find(|fault| is_refusal(fault));
            return match refusal {
                Some(fault) => Reading::unknown(format!("refused: {}", fault.what)),
                None => Reading::down(sight.summary()),
            };
        }
        let (mut down, mut dark, mut weak) = (Vec::new(), Vec::new(), Vec::new());
        let covered = Sight::covered(&shards);
        if covered < SLOTS {
            down.push(format!("{} of {SLOTS} slots have no master", SLOTS - covered));
        }
        for shard in &shards {
            self.judge(shard, sight, &mut down, &mut dark, &mut weak);
        }
        match () {
            () if !down.is_empty() => Reading::down(down.join("; ")),
            () if !dark.is_empty() => Reading::unknown(dark.join("; ")),
            () if !weak.is_empty() => Reading::degraded(weak.join("; ")),
            () => Reading::healthy(format!("{SLOTS} slots, {} shards, {}", shards.len(), sight.summary())),
        }
    }

    fn judge(
        &self,
        shard: &Shard,
        sight: &Sight,
        down: &mut Vec<String>,
        dark: &mut Vec<String>,
        weak: &mut Vec<String>,
    ) {
        let address = self.address(&shard.master);
        let place = format!("{} ({})", self.redis.placed(&address), shard.words());
        match (sight.view(&shard.master.id), sight.silent.get(&address)) {
            (Some(view), _) if !view.serves => down.push(format!("{place} says that the cluster is down")),
            (Some(view), _) => match view.server.writes.against() {
                Some(why) => down.push(format!("{place} {why}")),
                None if shard.replicas.is_empty() => weak.push(format!("{place} has no replica")),
                None => {}
            },
            (None, Some(fault)) if is_refusal(fault) => dark.push(format!("{place} refuses: {}", fault.what)),
            (None, Some(fault)) => down.push(format!("{place} does not answer: {}", fault.what)),
            (None, None) if shard.master.failed => down.push(format!("{place} has failed, as the cluster says")),
            (None, None) => dark.push(format!("{place} is not in `nodes`, so it is not asked")),
        }
        if shard.master.moving {
            weak.push(format!("slots are being moved at {place}"));
        }
        for replica in &shard.replicas {
            let place = self.redis.placed(&self.address(replica));
            match sight.view(&replica.id) {
                None => weak.push(format!("a replica of {}, {place}, does not answer", shard.words())),
                Some(view) if !view.server.link_up => {
                    weak.push(format!("a replica of {}, {place}, is not linked", shard.words()));
                }
                Some(_) => {}
            }
        }
    }

    fn nodes(&self, sight: &Sight, spec: &ProbeSpec) -> Reading {
        let here = |address: &&String| spec.region.is_none() || self.redis.region(address) == spec.region.as_ref();
        let up = sight.views.keys().filter(here).count();
        let faults: Vec<&Fault> =
            sight.silent.iter().filter(|(address, _)| here(address)).map(|(_, fault)| fault).collect();
        let all = up + faults.len();
        match faults.first() {
            None if all == 0 => Reading::unknown("no node is known here: list them in `nodes` and `regions`"),
            None => Reading::healthy(format!("{up}/{all} answer")),
            Some(_) if up == 0 && faults.iter().any(|fault| is_refusal(fault)) => {
                let refusal = faults.iter().find(|fault| is_refusal(fault));
                Reading::unknown(format!("refused: {}", refusal.map_or("", |fault| fault.what.as_str())))
            }
            Some(fault) if up == 0 => Reading::down(&fault.what),
            Some(fault) => Reading::degraded(format!("{up}/{all} answer; {}", fault.what)),
        }
    }

    /// # Errors
    /// When no node answers.
    pub async fn survey(&self) -> Result<Survey, Fault> {
        let sight = self.look(Duration::MAX).await;
        let shards = sight.shards();
        if sight.views.is_empty() {
            let fault = sight.silent.values().find(|fault| is_refusal(fault)).or(sight.silent.values().next());
            let nobody = || Fault::transient(&*self.redis.id, "no node answers");
            return Err(fault.cloned().unwrap_or_else(nobody).means("roles, lag and the recovery point are unknown"));
        }
        let answered = sight.views.iter().map(|(address, view)| {
            let master = shards.iter().find(|shard| shard.replicas.iter().any(|it| it.id == view.id));
            let master = master.and_then(|shard| sight.view(&shard.master.id)).map(|view| &view.server);
            self.member(address, &view.server, master)
        });
        let silent = sight.silent.iter().map(|(address, fault)| Member {
            name: clean(self.redis.name(address)),
            region: self.redis.region(address).cloned(),
            role: Role::Unknown,
            status: if is_refusal(fault) { Status::Unknown } else { Status::Down },
            lag: None,
            detail: clean(&fault.what),
        });
        let covered = Sight::covered(&shards);
        let mut notes = Vec::new();
        if covered < SLOTS {
            notes.push(format!("{} of {SLOTS} slots have no master", SLOTS - covered));
        }
        Ok(Survey {
            members: answered.chain(silent).collect(),
            standby_point: self.standby_point(&sight, &shards),
            notes,
        })
    }

    fn member(&self, address: &str, server: &Server, master: Option<&Server>) -> Member {
        let (role, status, detail) = match (server.master, server.writes.against(), server.link_up) {
            (true, Some(why), _) => (Role::Writer, Status::Degraded, why),
            (true, None, _) => (Role::Writer, Status::Healthy, format!("{} replicas", server.followers.len())),
            (false, _, true) => (Role::Replica, Status::Healthy, "linked to its master".to_owned()),
            (false, _, false) => (Role::Replica, Status::Degraded, "its link to the master is down".to_owned()),
        };
        let (name, region) = (clean(self.redis.name(address)), self.redis.region(address).cloned());
        Member { name, region, role, status, lag: server.lag(master), detail: clean(&detail) }
    }

    /// The oldest of what the shards have outside their masters' regions: a cluster is as new as its oldest shard, and one shard that
    /// nobody outside holds makes it unknown.
    fn standby_point(&self, sight: &Sight, shards: &[Shard]) -> Option<RecoveryPoint> {
        let of = |shard: &Shard| {
            let writers_region = self.redis.region(&self.address(&shard.master))?;
            self.newest_copy(sight, shard, |region| region != writers_region)
        };
        let points: Option<Vec<RecoveryPoint>> = shards.iter().map(of).collect();
        points.filter(|_| Sight::covered(shards) == SLOTS)?.into_iter().min_by_key(|point| point.at)
    }

    /// The newest copy of a shard among the replicas of the regions that are wanted.
    pub fn newest_copy(
        &self,
        sight: &Sight,
        shard: &Shard,
        wanted: impl Fn(&crate::domain::ids::RegionId) -> bool,
    ) -> Option<RecoveryPoint> {
        let master = sight.view(&shard.master.id).map(|view| &view.server);
        let copies = shard
            .replicas
            .iter()
            .filter_map(|row| sight.view(&row.id))
            .filter(|view| self.redis.region(&view.server.address).is_some_and(&wanted));
        copies.filter_map(|view| view.server.recovery_point(&self.redis, master)).max_by_key(|point| point.at)
    }
}
