//! `kubernetes.restart`: new pods of the same version, a few at a time, as `kubectl rollout restart` and Argo's own `restart` make them.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::super::Cluster;
use super::super::pods::without_room;
use super::super::rights::{action, look_at};
use super::super::sorts::SERVING;
use super::super::workload::{RESTARTED, Workload};
use super::{counted, listed, titled};
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};
use crate::domain::time::At;
use crate::systems::shell::quoted;

pub struct Restart {
    pub cluster: Arc<Cluster>,
    pub names: Vec<String>,
}

impl Restart {
    /// The workloads that want pods; who wants none has nothing to restart.
    async fn workloads(&self) -> Result<Vec<Workload>, Fault> {
        let all: Vec<Workload> =
            self.cluster.serving(&self.names).await?.all.into_iter().filter(|it| it.wanted > 0).collect();
        if let Some(other) = all.iter().find(|it| !it.sort.is_known) {
            let what = format!("nobody knows how {} is restarted: it is of a kind of its own", other.called());
            return Err(Fault::permanent(&self.cluster.id, what).next("restart it by hand, or by a script step"));
        }
        Ok(all)
    }
}

fn is_told(it: &Workload, since: At) -> bool {
    it.restarted.is_some_and(|at| at >= since)
}

/// What makes new pods of it.
fn patch(it: &Workload, now: At) -> Value {
    match &*it.sort.kind {
        // A changed template would be a new version to Argo, with all its canary steps.
        "Rollout" => json!({ "spec": { "restartAt": now.to_string() } }),
        _ => json!({ "spec": { "template": { "metadata": { "annotations": { RESTARTED: now.to_string() } } } } }),
    }
}

/// Why pods find no room, if that can be seen: it is no reason to fail that nobody may look.
pub async fn why_pending(cluster: &Cluster) -> Option<String> {
    for spot in &cluster.spots {
        if let Some(why) = spot.pods().await.ok().as_deref().and_then(without_room) {
            return Some(why);
        }
    }
    None
}

#[async_trait]
impl Step for Restart {
    async fn observe(&self, begun: Option<&Begun>) -> Result<Observed, Fault> {
        let all = self.workloads().await?;
        let Some(begun) = begun else { return Ok(Observed::NotDone { detail: listed(all.iter()) }) };
        let untold: Vec<&Workload> = all.iter().filter(|it| !is_told(it, begun.at)).collect();
        if !untold.is_empty() {
            return Ok(Observed::NotDone { detail: format!("not restarted: {}", listed(untold.into_iter())) });
        }
        Ok(match all.iter().all(Workload::is_settled) {
            true => Observed::Done { detail: format!("all {} were restarted", counted(&all)) },
            false => Observed::InProgress { detail: listed(all.iter().filter(|it| !it.is_settled())) },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let all = self.workloads().await?;
        let pods: u64 = all.iter().map(|it| it.wanted).sum();
        let diff = all.iter().map(|it| format!("+ {} {RESTARTED} now", titled(it))).collect();
        let summary = format!("new pods for {} of {}, {pods} in all", counted(&all), self.cluster.place());
        Ok(Preview { summary, diff, pre_image: Value::Null })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let all = self.workloads().await?;
        let busy: Vec<&Workload> = all.iter().filter(|it| !it.is_settled()).collect();
        let mut guards = vec![match busy.is_empty() {
            true => Guard::pass("settled", "no other rollout is under way"),
            false => Guard::warn("settled", format!("not as wanted already: {}", listed(busy.into_iter()))),
        }];
        let held = all.iter().filter_map(|it| Some(format!("{}: {}", it.called(), it.holds_back?)));
        let held: Vec<String> = held.collect();
        if !held.is_empty() {
            guards.push(Guard::block("strategy", held.join("; ")));
        }
        Ok(Checked { guards, promotion: None })
    }

    async fn apply(&self, _: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let (mut receipt, now) = (Receipt::new(), At::now());
        for it in self.workloads().await? {
            log.line(&format!("restart {}", titled(&it)));
            it.spot.client.patch(&format!("restart {}", titled(&it)), &it.path, &patch(&it, now)).await?;
            receipt.insert(it.key(), now.to_string());
        }
        Ok(receipt)
    }

    async fn verify(&self, begun: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        let all = self.workloads().await?;
        let waiting: Vec<&Workload> = all.iter().filter(|it| !is_told(it, begun.at) || !it.is_settled()).collect();
        if waiting.is_empty() {
            let detail = format!("{} run new pods", counted(&all));
            return Ok(Verified::Holds { detail, recovery_point: None });
        }
        let detail = listed(waiting.into_iter());
        Ok(match why_pending(&self.cluster).await {
            Some(why) => Verified::Pending { detail: format!("{detail}; {why}") },
            None => Verified::Pending { detail },
        })
    }

    async fn revert(&self, _: &Begun, _: &dyn StepLog) -> Result<Receipt, Fault> {
        Err(Fault::permanent(
            &self.cluster.id,
            "the pods run the same version as before: there is nothing to go back to",
        ))
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        let all = self.workloads().await?;
        let own = SERVING.iter().filter(|it| !it.group().contains('.')).map(|it| look_at(it));
        let told = all.iter().map(|it| action(it.sort.group(), &it.sort.plural, "patch"));
        self.cluster.fitness(own.chain(told).collect::<BTreeSet<_>>()).await
    }

    fn by_hand(&self) -> Vec<String> {
        let names = self.names.iter().map(|name| {
            let kind = if name.contains('/') { "" } else { "deployment/" };
            format!(" {}", quoted(&format!("{kind}{name}")))
        });
        let which = if self.names.is_empty() { " deployment,statefulset".to_owned() } else { names.collect() };
        let mut lines = Vec::new();
        for spot in &self.cluster.spots {
            let kubectl = spot.kubectl();
            lines.push(format!("{kubectl} rollout restart{which}"));
            lines.push("# Only where there are Argo Rollouts: kubectl argo rollouts restart NAME".to_owned());
            lines.push("# Verify: each answers `successfully rolled out`".to_owned());
            lines.push(format!(
                "for d in $({kubectl} get deployments,statefulsets -o name); do {kubectl} rollout status \"$d\"; done"
            ));
        }
        lines
    }
}
