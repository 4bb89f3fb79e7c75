//! `kubernetes.restart`: new pods of the same version, by the annotation that `kubectl rollout restart` sets.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::super::Cluster;
use super::super::workload::{RESTARTED, Workload};
use super::listed;
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};
use crate::domain::time::At;
use crate::systems::shell::quoted;

pub struct Restart {
    pub cluster: Arc<Cluster>,
    pub deployments: Vec<String>,
}

impl Restart {
    /// The deployments that want pods; who wants none has nothing to restart.
    async fn workloads(&self) -> Result<Vec<Workload>, Fault> {
        let all = self.cluster.workloads(&self.deployments).await?;
        Ok(all.into_iter().filter(|it| it.wanted > 0).collect())
    }
}

fn is_told(it: &Workload, since: At) -> bool {
    it.restarted.is_some_and(|at| at >= since)
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
            true => Observed::Done { detail: "every deployment was restarted".into() },
            false => Observed::InProgress { detail: listed(all.iter().filter(|it| !it.is_settled())) },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let all = self.workloads().await?;
        let pods: u64 = all.iter().map(|it| it.wanted).sum();
        let diff = all.iter().map(|it| format!("+ deployment {} {RESTARTED} now", it.name)).collect();
        let summary = format!("new pods for {} deployments of {}, {pods} in all", all.len(), self.cluster.namespace);
        Ok(Preview { summary, diff, pre_image: Value::Null })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let all = self.workloads().await?;
        let busy: Vec<&Workload> = all.iter().filter(|it| !it.is_settled()).collect();
        let guard = match busy.is_empty() {
            true => Guard::pass("settled", "no other rollout is under way"),
            false => Guard::warn("settled", format!("not as wanted already: {}", listed(busy.into_iter()))),
        };
        Ok(Checked { guards: vec![guard], promotion: None })
    }

    async fn apply(&self, _: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let (mut receipt, now) = (Receipt::new(), At::now());
        for it in self.workloads().await? {
            log.line(&format!("restart deployment {}", it.name));
            let patch =
                json!({ "spec": { "template": { "metadata": { "annotations": { RESTARTED: now.to_string() } } } } });
            self.cluster.client.patch_deployment(&it.name, patch).await?;
            receipt.insert(it.name, now.to_string());
        }
        Ok(receipt)
    }

    async fn verify(&self, begun: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        let all = self.workloads().await?;
        let waiting: Vec<&Workload> = all.iter().filter(|it| !is_told(it, begun.at) || !it.is_settled()).collect();
        if waiting.is_empty() {
            let detail = format!("{} deployments run new pods", all.len());
            return Ok(Verified::Holds { detail, recovery_point: None });
        }
        let detail = listed(waiting.into_iter());
        Ok(match self.cluster.without_room().await? {
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
        self.cluster.fitness(&[("apps", "deployments", "patch")]).await
    }

    fn by_hand(&self) -> Vec<String> {
        let kubectl = self.cluster.client.kubectl();
        let names = self.deployments.iter().map(|name| format!(" deployment/{}", quoted(name)));
        let which = if self.deployments.is_empty() { " deployment".to_owned() } else { names.collect() };
        vec![
            format!("{kubectl} rollout restart{which}"),
            "# Verify: each answers `successfully rolled out`".to_owned(),
            format!("for d in $({kubectl} get deployments -o name); do {kubectl} rollout status \"$d\"; done"),
        ]
    }
}
