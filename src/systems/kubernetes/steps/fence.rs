//! `kubernetes.fence`: what writes to the old stores is stopped before new writers are made. At zero replicas an autoscaler is off, so
//! it takes none of this back.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::super::Cluster;
use super::super::workload::Workload;
use super::{noted, restore};
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};
use crate::systems::kubernetes::client::is_silence;
use crate::systems::shell::quoted;

pub struct Fence {
    pub cluster: Arc<Cluster>,
    pub deployments: Vec<String>,
}

/// What an API server's silence means here.
const OUT_OF_REACH: &str = "nothing there can be stopped from here, and clients are about to be sent elsewhere";

impl Fence {
    /// The deployments, each with how many of its pods still run; `None`, with why, when the API server cannot be reached. A refusal,
    /// an error or a full queue is not silence: what writes there may well go on.
    async fn workloads(&self) -> Result<Result<Vec<(Workload, usize)>, String>, Fault> {
        // One after the other: pods that are made in between are seen.
        let seen = async {
            let all = self.cluster.workloads(&self.deployments).await?;
            let pods = self.cluster.client.pods().await?;
            Ok(all
                .into_iter()
                .map(|it| {
                    let running = it.running(&pods);
                    (it, running)
                })
                .collect())
        };
        match seen.await {
            Ok(all) => Ok(Ok(all)),
            Err(fault) if is_silence(&fault) => Ok(Err(format!("{}: {OUT_OF_REACH}", fault.what))),
            Err(fault) => Err(fault),
        }
    }
}

/// Those that may write, in words; `None` if there are none.
fn writing(all: &[(Workload, usize)]) -> Option<String> {
    let may = |(it, running): &&(Workload, usize)| it.wanted > 0 || it.all > 0 || *running > 0 || !it.observed;
    let words = |(it, running): &(Workload, usize)| format!("{} {running} of {} pods", it.name, it.wanted);
    let all: Vec<String> = all.iter().filter(may).map(words).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

#[async_trait]
impl Step for Fence {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        let all = match self.workloads().await? {
            Ok(all) => all,
            Err(detail) => return Ok(Observed::Done { detail }),
        };
        Ok(match writing(&all) {
            None => Observed::Done { detail: "everything is scaled to zero".into() },
            Some(writing) if all.iter().all(|(it, _)| it.wanted == 0) => {
                Observed::InProgress { detail: format!("still ending: {writing}") }
            }
            Some(writing) => Observed::NotDone { detail: format!("still writing: {writing}") },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let all = match self.workloads().await? {
            Ok(all) => all,
            Err(summary) => return Ok(Preview { summary, ..Preview::default() }),
        };
        let running: Vec<&Workload> = all.iter().map(|(it, _)| it).filter(|it| it.wanted > 0).collect();
        let mut diff = Vec::new();
        for it in &running {
            diff.push(format!("- deployment {} replicas {}", it.name, it.wanted));
            diff.push(format!("+ deployment {} replicas 0", it.name));
        }
        let replicas: u64 = running.iter().map(|it| it.wanted).sum();
        let summary = format!("{} deployments of {}: {replicas} → 0 replicas", running.len(), self.cluster.namespace);
        Ok(Preview { summary, diff, pre_image: noted(running.into_iter()) })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let guard = match self.workloads().await? {
            Ok(_) => {
                Guard::warn("clients", "whoever is still served there is cut off until clients are sent elsewhere")
                    .situational()
            }
            Err(why) => Guard::warn("reachable", why),
        };
        Ok(Checked { guards: vec![guard], promotion: None })
    }

    async fn apply(&self, _: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let mut receipt = Receipt::new();
        let all = self.cluster.workloads(&self.deployments).await?;
        for it in all.iter().filter(|it| it.wanted > 0) {
            log.line(&format!("deployment {}: {} → 0 replicas", it.name, it.wanted));
            self.cluster.client.scale(&it.name, 0).await?;
            receipt.insert(it.name.clone(), "0".into());
        }
        Ok(receipt)
    }

    async fn verify(&self, _: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        let all = match self.workloads().await? {
            Ok(all) => all,
            Err(detail) => return Ok(Verified::Holds { detail, recovery_point: None }),
        };
        Ok(match writing(&all) {
            None => Verified::Holds { detail: "every pod is gone".into(), recovery_point: None },
            Some(writing) => Verified::Pending { detail: format!("still ending: {writing}") },
        })
    }

    async fn revert(&self, begun: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault> {
        restore(&self.cluster, &begun.pre_image, log).await
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        self.cluster
            .fitness(&[
                ("apps", "deployments", "patch"),
                ("apps", "deployments/scale", "patch"),
                ("autoscaling", "horizontalpodautoscalers", "patch"),
                ("", "pods", "list"),
            ])
            .await
    }

    fn by_hand(&self) -> Vec<String> {
        let kubectl = self.cluster.client.kubectl();
        let which = match self.deployments.is_empty() {
            true => "--all".to_owned(),
            false => self.deployments.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(" "),
        };
        vec![
            "# Note the replicas first: they are the way back".to_owned(),
            format!("{kubectl} get deployments"),
            format!("{kubectl} scale deployment {which} --replicas 0"),
            "# Verify: no pod is left".to_owned(),
            format!("{kubectl} get pods"),
        ]
    }
}
