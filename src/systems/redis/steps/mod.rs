//! The steps of Redis: one file each.

mod failover;
mod fence;
mod handover;
mod point;
mod promote;
mod repoint;
mod steer;
mod writable;

use std::sync::Arc;

use serde_json::Value;

use super::client::{Peer, is_refusal, split};
use super::look::Sight;
use super::node::Server;
use super::writes::Writes;
use super::{Redis, managed};
use crate::domain::ids::RegionId;
use crate::domain::plan::StepSpec;
use crate::domain::system::{Begun, Fault, OldWriter, Receipt, Step};
use crate::systems::shell::quoted;

pub fn step(redis: &Arc<Redis>, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
    let redis = Arc::clone(redis);
    let region = spec.region.clone().or_else(|| spec.params.opt_text("region").map(RegionId::from));
    let kind = spec.kind.as_str();
    if !matches!(kind, "redis.writable" | "redis.recovery-point") {
        managed::refuse_step(&redis.id, kind, redis.servers_named().into_iter())?;
    }
    if matches!(kind, "redis.failover" | "redis.steer") && redis.sentinels.is_empty() {
        return Err(Fault::permanent(redis.id.as_str(), format!("`{kind}` cannot be done: there are no Sentinels"))
            .next("use redis.fence and redis.promote, or list the Sentinels in `sentinels`"));
    }
    let required = || region.clone().map_or_else(|| spec.params.text("region").map(RegionId::from), Ok);
    Ok(match kind {
        "redis.fence" => Arc::new(fence::Fence { redis, region: required()? }),
        "redis.failover" => Arc::new(failover::Failover { redis, region: required()? }),
        "redis.promote" => {
            let node = spec.params.opt_text("node").map(str::to_owned);
            Arc::new(promote::Promote { redis, region: required()?, node })
        }
        "redis.steer" => Arc::new(steer::Steer { redis, region: required()? }),
        "redis.recovery-point" => Arc::new(point::Point { redis, region }),
        "redis.writable" => Arc::new(writable::Writable { redis, region }),
        other => return Err(Fault::permanent(&redis.id, format!("redis has no step `{other}`"))),
    })
}

/// A text of the pre-image.
fn noted<'a>(pre_image: &'a Value, key: &str) -> Option<&'a str> {
    pre_image.get(key)?.as_str()
}

/// Where a shell reads the master's host and port, once [`Redis::find_master_by_hand`] has put them there.
const MASTER: &str = "-h \"$1\" -p \"$2\"";

/// A step that changes nothing has nothing to apply or to revert.
fn nothing_to_change(redis: &Redis) -> Result<Receipt, Fault> {
    Err(Fault::permanent(&redis.id, "this step changes nothing").next("verify it instead"))
}

fn no_way_back(redis: &Redis, begun: &Begun) -> Result<Receipt, Fault> {
    let from = noted(&begun.pre_image, "master").map_or("the old master", |master| redis.name(master));
    Err(Fault::permanent(&redis.id, format!("a promotion is not undone by promoting {from} again"))
        .next("start a failover towards the old region, with its own guards"))
}

/// What the servers besides the master say.
struct Others {
    /// Those that say that they are masters, too.
    masters: Vec<String>,
    /// How many said anything.
    read: usize,
    /// Those that could not be asked: whether they take writes is not known.
    unread: Vec<String>,
    /// Those among them that turned us away: they live.
    refused: Vec<String>,
}

impl Redis {
    /// The commands that ask every Sentinel.
    fn ask_all(&self, subcommand: &str) -> impl Iterator<Item = String> {
        self.sentinels.iter().map(move |at| self.ask_by_hand(at, subcommand))
    }

    fn ask_by_hand(&self, sentinel: &str, subcommand: &str) -> String {
        self.client.by_hand(Peer::Sentinel, sentinel, &["SENTINEL", subcommand, &self.master_name])
    }

    /// A Sentinel to paste commands for: one of this region, which is not the one that is left, if there is one.
    fn sentinel_near(&self, region: Option<&RegionId>) -> Option<&str> {
        let near = self.sentinels.iter().find(|at| region.is_some() && self.region(at) == region);
        near.or(self.sentinels.last()).map(String::as_str)
    }

    /// Asks whom clients are sent to, and keeps it for the commands that follow. Without Sentinels it is a server of the region.
    fn find_master_by_hand(&self, region: Option<&RegionId>) -> Option<String> {
        if let Some(sentinel) = self.sentinel_near(region) {
            return Some(format!("set -- $({})", self.ask_by_hand(sentinel, "GET-MASTER-ADDR-BY-NAME")));
        }
        let named = self.servers_named();
        let near = named.iter().find(|at| region.is_some() && self.region(at) == region).or(named.first())?;
        let (host, port) = split(near)?;
        Some(format!("set -- {} {port}  # the server whose ROLE is master", quoted(host)))
    }

    fn master_by_hand(&self, words: &[&str]) -> String {
        self.client.by_hand_at(Peer::Server, MASTER, words)
    }

    fn server_by_hand(&self, address: &str, words: &[&str]) -> String {
        self.client.by_hand(Peer::Server, address, words)
    }

    /// The master that clients are sent to, confirmed by itself, and by region if one is asked for. `Err` holds why not yet.
    async fn serving(&self, sight: &Sight, region: Option<&RegionId>) -> Result<Server, String> {
        if self.sentinels.is_empty() {
            return self.serving_alone(region).await;
        }
        let Some(master) = sight.agreed() else {
            return Err(format!("no majority agrees on a master: {}", sight.summary()));
        };
        let place = self.placed(master);
        if let Some(wanted) = region.filter(|wanted| self.region(master) != Some(*wanted)) {
            return Err(format!("the master is {place}, not in {wanted}"));
        }
        match self.server(master).await {
            Ok(server) if server.master => takes_writes(&place, server),
            Ok(_) => Err(format!("{place} is only a replica yet")),
            Err(fault) => Err(fault.what),
        }
    }

    /// Without Sentinels: the only server that says it is the master, as long as none that lives keeps from us what it is.
    async fn serving_alone(&self, region: Option<&RegionId>) -> Result<Server, String> {
        let servers = self.servers(self.servers_named().into_iter().cloned()).await;
        if let Some(fault) = servers.values().filter_map(|it| it.as_ref().err()).find(|fault| is_refusal(fault)) {
            return Err(format!("whether there is another master is not known: {}", fault.what));
        }
        let mut masters: Vec<Server> = servers.into_values().flatten().filter(|server| server.master).collect();
        let names = || masters.iter().map(|server| self.placed(&server.address)).collect::<Vec<_>>();
        match &masters[..] {
            [] => Err("no server that answers is a master".into()),
            [only] => {
                let place = self.placed(&only.address);
                match region.filter(|wanted| self.region(&only.address) != Some(*wanted)) {
                    Some(wanted) => Err(format!("the master is {place}, not in {wanted}")),
                    None => takes_writes(&place, masters.swap_remove(0)),
                }
            }
            _ => Err(format!("{} masters take writes: {}", masters.len(), names().join(" and "))),
        }
    }

    /// Whoever is the master now, wherever it is.
    ///
    /// # Errors
    /// When no majority names one, or it does not say so itself: then nobody knows.
    async fn master_now(&self) -> Result<Server, Fault> {
        let sight = self.look().await;
        self.serving(&sight, None)
            .await
            .map_err(|why| Fault::transient(&self.id, why).means("who takes writes is not known").next(sight.advice()))
    }

    /// Whoever else says that it is a master.
    async fn other_masters(&self, sight: &Sight, master: &str) -> Others {
        let others = sight.addresses(self).into_iter().filter(|address| address != master);
        let servers = self.servers(others).await;
        let without = |wanted: fn(&Fault) -> bool| {
            let of = servers.iter().filter(move |(_, answer)| answer.as_ref().is_err_and(wanted));
            of.map(|(address, _)| self.placed(address)).collect()
        };
        Others {
            masters: self.masters(servers.values()),
            read: servers.values().flatten().count(),
            unread: without(|_| true),
            refused: without(is_refusal),
        }
    }

    /// How the server that was the writer answers.
    async fn old_writer(&self, address: &str) -> OldWriter {
        match self.server(address).await {
            Ok(server) if server.master && matches!(server.writes, Writes::Fenced(_)) => OldWriter::Fenced,
            Ok(server) if server.master => OldWriter::Reachable,
            Ok(_) => OldWriter::Fenced,
            // It says something, if only to turn us away: whether it takes writes from others is not known.
            Err(_) if self.client.may_live(address).await => OldWriter::Unknown,
            Err(_) => OldWriter::Unreachable,
        }
    }
}

/// A master that says so and refuses every write serves nobody.
fn takes_writes(place: &str, server: Server) -> Result<Server, String> {
    match (&server.writes, server.writes.against()) {
        (Writes::Refuses(_) | Writes::Fenced(_), Some(why)) => Err(format!("{place} is the master and {why}")),
        _ => Ok(server),
    }
}
