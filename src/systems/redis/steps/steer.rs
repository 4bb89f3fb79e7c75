//! `redis.steer`: a failover takes no target, so the replicas outside the wanted region get priority 0, which means never.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::super::Redis;
use super::super::client::Peer;
use super::super::look::{Sight, View};
use crate::domain::ids::RegionId;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};

pub struct Steer {
    pub redis: Arc<Redis>,
    pub region: RegionId,
}

#[async_trait]
impl Step for Steer {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        let sight = self.redis.look().await;
        let (astray, unread) = (self.astray(&sight).await, self.unread(&sight).await);
        let strangers = self.redis.strangers(sight.told());
        if astray.is_empty() && !strangers.is_empty() {
            let who = strangers.join(", ");
            let detail = format!("{who} belongs to no region, so it is not steered: list it in `nodes` and `regions`");
            return Ok(Observed::NotDone { detail });
        }
        Ok(match (astray.is_empty(), unread.is_empty()) {
            (true, true) => Observed::Done { detail: format!("only replicas in {} can be promoted", self.region) },
            (false, _) => Observed::NotDone { detail: format!("{} could be promoted instead", self.names(&astray)) },
            (true, false) => Observed::NotDone {
                detail: format!("whether {} could be promoted instead is not known: no answer", unread.join(", ")),
            },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let astray = self.astray(&self.redis.look().await).await;
        let line = |(address, priority): (&String, &u64)| {
            let name = self.redis.name(address);
            [format!("- {name} replica-priority {priority}"), format!("+ {name} replica-priority 0")]
        };
        Ok(Preview {
            summary: format!("replica-priority of {}: 0", self.names(&astray)),
            diff: astray.iter().flat_map(line).collect(),
            pre_image: json!(astray),
        })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let sight = self.redis.look().await;
        let here = |address: &str| self.redis.region(address) == Some(&self.region);
        let fit =
            sight.newest().and_then(|view| view.replicas.iter().find(|it| here(&it.address) && view.eligible(it)));
        let guard = match fit {
            Some(fit) => Guard::pass("replica", format!("{} is fit", self.redis.placed(&fit.address))),
            None => {
                Guard::block("replica", format!("no fit replica in {}: nothing could be promoted at all", self.region))
            }
        };
        Ok(Checked { guards: vec![guard, self.redis.placed_guard(sight.told())], promotion: None })
    }

    async fn apply(&self, pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let targets = priorities(pre_image).into_keys().map(|address| (address, 0)).collect();
        self.set(&targets, log).await
    }

    /// Waits for the Sentinels: they learn a priority with their next INFO, up to ten seconds later.
    async fn verify(&self, _: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        let sight = self.redis.look().await;
        let here = |address: &str| self.redis.region(address) == Some(&self.region);
        let steered =
            sight.views.iter().filter(|view| view.would_promote().is_some_and(|it| here(&it.address))).count();
        let detail = format!("{steered} of {} Sentinels would promote a replica in {}", sight.asked, self.region);
        Ok(match steered >= sight.majority() {
            true => Verified::Holds { detail, recovery_point: None },
            false => Verified::Pending { detail },
        })
    }

    async fn revert(&self, begun: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let mut targets = priorities(&begun.pre_image);
        let now = self.redis.servers(targets.keys().cloned()).await;
        // What cannot be read is set all the same, or fails there.
        targets.retain(|address, priority| match now.get(address) {
            Some(Ok(server)) => server.priority != Some(*priority),
            _ => true,
        });
        self.set(&targets, log).await
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        let mut fitness = self.redis.fitness(Peer::Server, &["CONFIG", "SET", "replica-priority", "1"]).await?;
        let sight = self.redis.look().await;
        if !sight.views.is_empty() {
            fitness.guards.push(self.redis.placed_guard(sight.told()));
        }
        Ok(fitness)
    }

    fn by_hand(&self) -> Vec<String> {
        let outside = |address: &&String| self.redis.is_elsewhere(address, &self.region);
        let mut lines = vec![format!("# On every replica outside {}; note the old value first.", self.region)];
        for address in self.redis.servers_named().into_iter().filter(outside) {
            lines.push(self.redis.server_by_hand(address, &["CONFIG", "GET", "replica-priority"]));
            lines.push(self.redis.server_by_hand(address, &["CONFIG", "SET", "replica-priority", "0"]));
        }
        lines.push("# Verify: within ten seconds the Sentinels show it as slave-priority.".to_owned());
        lines.extend(self.redis.ask_all("REPLICAS"));
        lines
    }
}

fn priorities(pre_image: &Value) -> BTreeMap<String, u64> {
    serde_json::from_value(pre_image.clone()).unwrap_or_default()
}

/// Whether the Sentinels see it down, so that none would promote it. Without any Sentinel nobody has.
fn given_up(sight: &Sight, address: &str) -> bool {
    let down = |view: &View| {
        let replica = view.replicas.iter().find(|replica| replica.address == address);
        (view.master == address && view.master_down) || replica.is_some_and(|replica| replica.down)
    };
    !sight.views.is_empty() && sight.views.iter().all(down)
}

impl Steer {
    /// Replicas of other regions that answer and could be promoted, with their priority. One that does not answer cannot be, and of one
    /// that belongs to no region it is not known where it is.
    async fn astray(&self, sight: &Sight) -> BTreeMap<String, u64> {
        let outside = |address: &String| self.redis.is_elsewhere(address, &self.region);
        let servers = self.redis.servers(sight.addresses(&self.redis).into_iter().filter(outside)).await;
        let replicas = servers.into_values().flatten().filter(|server| !server.master);
        let priority =
            |server: super::super::node::Server| Some((server.address, server.priority.filter(|it| *it > 0)?));
        replicas.filter_map(priority).collect()
    }

    /// Servers outside the region that do not answer this host, and that no Sentinel has given up.
    async fn unread(&self, sight: &Sight) -> Vec<String> {
        let outside = |address: &String| self.redis.is_elsewhere(address, &self.region);
        let servers = self.redis.servers(sight.addresses(&self.redis).into_iter().filter(outside)).await;
        let silent = servers.into_iter().filter(|(_, answer)| answer.is_err()).map(|(address, _)| address);
        let unread = silent.filter(|address| !given_up(sight, address));
        unread.map(|address| self.redis.name(&address).to_owned()).collect()
    }

    fn names(&self, servers: &BTreeMap<String, u64>) -> String {
        servers.keys().map(|address| self.redis.name(address)).collect::<Vec<_>>().join(", ")
    }

    /// Setting a value is the same done once or twice, so a server at a time may fail without harm.
    async fn set(&self, targets: &BTreeMap<String, u64>, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let mut receipt = Receipt::new();
        for (address, priority) in targets {
            let mut link = self.redis.client.connect(Peer::Server, address).await?;
            link.change(&["CONFIG", "SET", "replica-priority", &priority.to_string()]).await?;
            log.line(&format!("replica-priority of {}: {priority}", self.redis.name(address)));
            receipt.insert(address.clone(), priority.to_string());
        }
        Ok(receipt)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::look::Replica;
    use super::*;

    fn view(master: &str, master_down: bool, replica_down: bool) -> View {
        View {
            sentinel: "s1:26379".into(),
            id: String::new(),
            others: 2,
            master: master.into(),
            master_run_id: String::new(),
            epoch: 1,
            master_down,
            master_down_for: Duration::ZERO,
            failover: false,
            down_after: Duration::from_secs(1),
            master_for: Duration::ZERO,
            authorizes: Ok("OK".into()),
            replicas: vec![Replica { address: "r2:6379".into(), down: replica_down, ..Replica::default() }],
        }
    }

    #[test]
    fn only_what_every_sentinel_has_given_up_cannot_be_promoted() {
        let rows = [
            ("no Sentinel answers", vec![], "r2:6379", false),
            ("all see it down", vec![view("r1:6379", false, true); 3], "r2:6379", true),
            ("one sees it up", vec![view("r1:6379", false, true), view("r1:6379", false, false)], "r2:6379", false),
            ("nobody knows it", vec![view("r1:6379", false, true)], "r9:6379", false),
            ("the master is down", vec![view("r1:6379", true, false)], "r1:6379", true),
            ("the master is up", vec![view("r1:6379", false, false)], "r1:6379", false),
        ];
        for (what, views, address, wanted) in rows {
            let sight = Sight { asked: 3, views, silent: Vec::new() };
            assert_eq!(given_up(&sight, address), wanted, "{what}");
        }
    }
}
