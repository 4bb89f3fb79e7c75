//! `redis.fence`: every master outside the region that will have the next one stops taking writes. `min-replicas-to-write` is set to more
//! replicas than anybody has, so each write is refused (NOREPLICAS) while reads go on; unlike a pause it stays until it is taken back, and
//! what it was before can be told from it.
//! <https://redis.io/docs/latest/operate/oss_and_stack/management/replication/#allow-writes-only-with-n-attached-replicas>

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::super::Redis;
use super::super::client::{Peer, is_refusal};
use super::super::node::Server;
use super::super::writes::{self, COUNTED_BY, FENCE, FENCED_BY, Writes};
use crate::domain::ids::RegionId;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};

pub struct Fence {
    pub redis: Arc<Redis>,
    /// Where the next master will be.
    pub region: RegionId,
}

/// What the servers outside the region say.
struct Outside {
    masters: Vec<Server>,
    silent: Vec<String>,
    refused: Vec<String>,
}

#[async_trait]
impl Step for Fence {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        Ok(self.seen(&self.outside().await))
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let (mut before, mut diff) = (BTreeMap::new(), Vec::new());
        for server in self.outside().await.masters {
            let mut link = self.redis.client.connect(Peer::Server, &server.address).await?;
            let Some(value) = writes::fence(&mut link).await.filter(|value| *value < FENCE) else { continue };
            let name = self.redis.full_name(&server.address);
            diff.push(format!("- {name} {FENCED_BY} {value}"));
            diff.push(format!("+ {name} {FENCED_BY} {}", value + FENCE));
            before.insert(server.address, value);
        }
        let names: Vec<_> = before.keys().map(|address| self.redis.name(address).to_owned()).collect();
        let summary = match names.is_empty() {
            true => "nothing: no master outside the region can be stopped".to_owned(),
            false => format!("{} refuses every write from now on, until that is taken back", names.join(", ")),
        };
        Ok(Preview { summary, diff, pre_image: json!(before) })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let outside = self.outside().await;
        let mut guards = vec![self.redis.placed_guard(&self.addresses().await)];
        for server in &outside.masters {
            let place = self.redis.placed(&server.address);
            let mut link = self.redis.client.connect(Peer::Server, &server.address).await?;
            guards.push(match (writes::fence(&mut link).await, writes::counts_replicas(&mut link).await) {
                (Some(_), Some(false)) => Guard::block("config", format!("{COUNTED_BY} is 0 on {place}: it counts no replicas, and would go on taking writes; set it to 10 first")),
                (Some(_), _) => Guard::pass("config", format!("{FENCED_BY} can be read on {place}")),
                (None, _) => Guard::block("config", format!("{place} does not tell {FENCED_BY}: CONFIG is denied or renamed there, so it cannot be stopped this way")),
            });
        }
        if !outside.refused.is_empty() {
            let who = outside.refused.join(", ");
            guards.push(Guard::block(
                "masters",
                format!("whether {who} takes writes is not known: it turned Mayday away"),
            ));
        }
        Ok(Checked { guards, promotion: None })
    }

    async fn apply(&self, pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let wanted = before(pre_image).into_iter().map(|(address, value)| (address, value + FENCE)).collect();
        self.set(&wanted, log).await
    }

    async fn verify(&self, _: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        Ok(match self.seen(&self.outside().await) {
            Observed::Done { detail } => Verified::Holds { detail, recovery_point: None },
            other => Verified::Pending { detail: other.words().to_owned() },
        })
    }

    async fn revert(&self, begun: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault> {
        self.set(&before(&begun.pre_image), log).await
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        let mut fitness = self.redis.fitness(Peer::Server, &["CONFIG", "SET", FENCED_BY, "1"]).await?;
        fitness.guards.push(self.redis.placed_guard(&self.addresses().await));
        Ok(fitness)
    }

    fn by_hand(&self) -> Vec<String> {
        let mut lines = vec![format!("# On the master outside {}; note the old value first.", self.region)];
        for address in self.redis.servers_named().into_iter().filter(|at| self.redis.is_elsewhere(at, &self.region)) {
            lines.push(self.redis.server_by_hand(address, &["ROLE"]));
            lines.push(self.redis.server_by_hand(address, &["CONFIG", "GET", FENCED_BY]));
            lines.push(self.redis.server_by_hand(address, &["CONFIG", "SET", FENCED_BY, &FENCE.to_string()]));
        }
        lines.push("# Verify: a write is refused with NOREPLICAS.".to_owned());
        let outside = |at: &&String| self.redis.is_elsewhere(at, &self.region);
        if let Some(address) = self.redis.servers_named().into_iter().find(outside) {
            lines.push(self.redis.server_by_hand(address, &["SET", writes::NOTHING, "", "XX"]));
        }
        lines
    }
}

fn before(pre_image: &Value) -> BTreeMap<String, u64> {
    serde_json::from_value(pre_image.clone()).unwrap_or_default()
}

impl Fence {
    async fn addresses(&self) -> Vec<String> {
        self.redis.look().await.addresses(&self.redis).into_iter().collect()
    }

    async fn outside(&self) -> Outside {
        let all = self.addresses().await.into_iter();
        let servers = self.redis.servers(all.filter(|at| self.redis.is_elsewhere(at, &self.region))).await;
        let mut outside = Outside { masters: Vec::new(), silent: Vec::new(), refused: Vec::new() };
        for (address, answer) in servers {
            match answer {
                Ok(server) if server.master => outside.masters.push(server),
                Ok(_) => {}
                Err(fault) if is_refusal(&fault) => outside.refused.push(self.redis.placed(&address)),
                // It speaks, and not as Redis does: it may well take writes.
                Err(_) if self.redis.client.may_live(&address).await => {
                    outside.refused.push(self.redis.placed(&address))
                }
                Err(_) => outside.silent.push(self.redis.placed(&address)),
            }
        }
        outside
    }

    fn seen(&self, outside: &Outside) -> Observed {
        let open = |server: &&Server| !matches!(server.writes, Writes::Fenced(_));
        let names = |servers: &[&Server]| {
            servers.iter().map(|it| self.redis.placed(&it.address)).collect::<Vec<_>>().join(", ")
        };
        let (open, fenced): (Vec<&Server>, Vec<&Server>) = outside.masters.iter().partition(open);
        let silent = match outside.silent.is_empty() {
            true => String::new(),
            false => format!("; {} does not answer, and cannot be stopped from here", outside.silent.join(", ")),
        };
        match () {
            () if !open.is_empty() => Observed::NotDone { detail: format!("{} takes writes{silent}", names(&open)) },
            () if !outside.refused.is_empty() => Observed::Unknowable {
                why: format!("whether {} takes writes is not known: it turned Mayday away", outside.refused.join(", ")),
            },
            () if fenced.is_empty() => {
                Observed::Done { detail: format!("no master that answers is outside {}{silent}", self.region) }
            }
            () => Observed::Done { detail: format!("{} refuses every write{silent}", names(&fenced)) },
        }
    }

    /// Setting a value is the same done once or twice, so a server at a time may fail without harm.
    async fn set(&self, wanted: &BTreeMap<String, u64>, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let mut receipt = Receipt::new();
        for (address, value) in wanted {
            let mut link = self.redis.client.connect(Peer::Server, address).await?;
            if writes::fence(&mut link).await != Some(*value) {
                link.change(&["CONFIG", "SET", FENCED_BY, &value.to_string()]).await?;
            }
            log.line(&format!("{FENCED_BY} of {}: {value}", self.redis.name(address)));
            receipt.insert(address.clone(), value.to_string());
        }
        Ok(receipt)
    }
}

impl Redis {
    /// Takes a fence away that was left on a server which is about to be the master, or is none any more.
    ///
    /// # Errors
    /// When it is fenced, and that cannot be taken back.
    pub async fn lift_fence(&self, address: &str, log: &dyn StepLog) -> Result<(), Fault> {
        let mut link = self.client.connect(Peer::Server, address).await?;
        let Some(value) = writes::fence(&mut link).await.filter(|value| *value >= FENCE) else { return Ok(()) };
        log.line(&format!("{FENCED_BY} of {}: {}", self.name(address), value - FENCE));
        link.change(&["CONFIG", "SET", FENCED_BY, &(value - FENCE).to_string()]).await.map(drop)
    }
}
