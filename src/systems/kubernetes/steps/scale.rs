//! `kubernetes.scale`: gives the region what carries the full load. An autoscaler would take replicas away again that are only asked for
//! from the deployment, so its minimum is raised with them, and before them.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::super::Cluster;
use super::super::capacity::{Amount, asked_for, beyond, fitting, left};
use super::super::workload::Workload;
use super::{noted, restore};
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};
use crate::domain::text::clean;
use crate::systems::shell::quoted;

pub struct Scale {
    pub cluster: Arc<Cluster>,
    /// So many replicas of each deployment are enough; what carries the full load when left out.
    pub each: Option<u64>,
}

impl Scale {
    fn wanted(&self) -> BTreeMap<String, u64> {
        let enough = |full: u64| self.each.map_or(full, |each| each.min(full));
        self.cluster.full.iter().map(|(name, full)| (name.clone(), enough(*full))).collect()
    }

    fn load(&self) -> &'static str {
        if self.each.is_some() { "what a standby needs" } else { "the full load" }
    }

    /// Every deployment that carries load, with what it has to come to.
    async fn targets(&self) -> Result<Vec<(Workload, u64)>, Fault> {
        let full = self.wanted();
        if full.is_empty() {
            return Err(Fault::permanent(
                &self.cluster.id,
                "`replicas` of the system does not say what carries the full load",
            )
            .next("add [system.replicas] to the config, then run `mayday check`"));
        }
        let names: Vec<String> = full.keys().cloned().collect();
        let workloads = self.cluster.workloads(&names).await?;
        Ok(workloads.into_iter().filter_map(|it| full.get(&it.name).map(|full| (it, *full))).collect())
    }

    /// What the pods ask for that are missing.
    async fn missing(&self, targets: &[(Workload, u64)]) -> Result<Vec<Amount>, Fault> {
        let deployments = self.cluster.client.deployments().await?;
        let missing = targets.iter().flat_map(|(it, full)| {
            let deployment = deployments.iter().find(|one| one.metadata.name.as_deref() == Some(&it.name));
            let asked = deployment.map(asked_for).unwrap_or_default();
            std::iter::repeat_n(asked, usize::try_from(full.saturating_sub(it.all)).unwrap_or(0))
        });
        Ok(missing.collect())
    }

    /// How many of the missing pods would find room. It is no reason to wait that nobody may look.
    async fn room(&self, missing: &[Amount]) -> Guard {
        match tokio::try_join!(self.cluster.client.nodes(), self.cluster.client.all_pods()) {
            Ok((nodes, pods)) => room(fitting(left(&nodes, &pods), missing.iter().copied()), missing.len()),
            Err(fault) => Guard::warn("room", format!("whether the nodes have room is not known: {}", fault.what)),
        }
    }

    /// What the namespace's quotas would refuse of the missing pods: `Err` says it.
    async fn quota(&self, missing: &[Amount]) -> Result<Result<String, String>, Fault> {
        let quotas = self.cluster.client.quotas().await?;
        if let Some(untold) = quotas.iter().find(|quota| quota.status.is_none()) {
            let name = clean(untold.metadata.name.as_deref().unwrap_or_default());
            return Err(Fault::transient(&self.cluster.id, format!("quota {name} does not say yet how much is used")));
        }
        Ok(match quotas.iter().find_map(|quota| beyond(quota, missing)) {
            Some(why) => Err(why),
            None => Ok(format!("{} quotas allow the {} pods that are missing", quotas.len(), missing.len())),
        })
    }
}

fn unread(fault: &Fault) -> Guard {
    Guard::warn("quota", format!("what the namespace's quotas allow is not known: {}", fault.what))
}

fn room(fit: usize, all: usize) -> Guard {
    match fit == all {
        true => Guard::pass("room", format!("the nodes have room for the {all} pods that are missing")),
        false => Guard::warn("room", format!("the nodes have room for {fit} of {all} pods, unless nodes are added")),
    }
}

/// Those that do not carry the full load yet: `api-gateway 1 of 4, auth 1 of 3`.
fn short(targets: &[(Workload, u64)]) -> String {
    let short = targets.iter().filter(|(it, full)| !it.carries(*full));
    short.map(|(it, full)| format!("{} {} of {full}", it.name, it.available)).collect::<Vec<_>>().join(", ")
}

#[async_trait]
impl Step for Scale {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        let targets = self.targets().await?;
        if targets.iter().any(|(it, full)| !it.asks_for(*full)) {
            return Ok(Observed::NotDone { detail: format!("below {}: {}", self.load(), short(&targets)) });
        }
        Ok(match targets.iter().all(|(it, full)| it.carries(*full)) {
            true => Observed::Done { detail: format!("every deployment carries {}", self.load()) },
            false => Observed::InProgress { detail: short(&targets) },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let targets = self.targets().await?;
        let mut diff = Vec::new();
        let short: Vec<_> = targets.iter().filter(|(it, full)| !it.asks_for(*full)).collect();
        for (it, full) in &short {
            if let Some(scaler) = it.autoscaler.as_ref().filter(|scaler| scaler.min < *full) {
                diff.push(format!("- autoscaler {} {}..{}", scaler.name, scaler.min, scaler.max));
                diff.push(format!("+ autoscaler {} {full}..{}", scaler.name, scaler.max.max(*full)));
            }
            if it.wanted < *full {
                diff.push(format!("- deployment {} replicas {}", it.name, it.wanted));
                diff.push(format!("+ deployment {} replicas {full}", it.name));
            }
        }
        let from: u64 = short.iter().map(|(it, _)| it.wanted).sum();
        let to: u64 = short.iter().map(|(it, full)| it.wanted.max(*full)).sum();
        let summary = match short.len() {
            0 => format!("every deployment asks for {} already", self.load()),
            many => format!("{many} deployments of {}: {from} → {to} replicas", self.cluster.namespace),
        };
        Ok(Preview { summary, diff, pre_image: noted(short.iter().map(|(it, _)| it)) })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let missing = self.missing(&self.targets().await?).await?;
        let mut guards = vec![self.room(&missing).await];
        // Some pods are better than none: here it is told, and long before, by `fitness`, it counts.
        match self.quota(&missing).await {
            Ok(Ok(_)) => {}
            Ok(Err(why)) => guards.push(Guard::warn("quota", why).situational()),
            Err(fault) => guards.push(unread(&fault).situational()),
        }
        Ok(Checked { guards, promotion: None })
    }

    async fn apply(&self, _: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let (mut receipt, client) = (Receipt::new(), &self.cluster.client);
        for (it, full) in self.targets().await? {
            if let Some(scaler) = it.autoscaler.as_ref().filter(|scaler| scaler.min < full) {
                let max = scaler.max.max(full);
                log.line(&format!("autoscaler {}: {}..{} → {full}..{max}", scaler.name, scaler.min, scaler.max));
                let patch = json!({ "spec": { "minReplicas": full, "maxReplicas": max } });
                client.patch_autoscaler(&scaler.name, patch).await?;
            }
            // Never down: what runs beyond the full load has its reason.
            if it.wanted < full {
                log.line(&format!("deployment {}: {} → {full} replicas", it.name, it.wanted));
                client.scale(&it.name, full).await?;
                receipt.insert(it.name, full.to_string());
            }
        }
        Ok(receipt)
    }

    async fn verify(&self, _: &Begun, log: &dyn StepLog) -> Result<Verified, Fault> {
        let targets = self.targets().await?;
        if targets.iter().all(|(it, full)| it.carries(*full)) {
            let all: u64 = targets.iter().map(|(it, _)| it.available).sum();
            let detail = format!("{} deployments carry {} with {all} replicas", targets.len(), self.load());
            return Ok(Verified::Holds { detail, recovery_point: None });
        }
        let mut detail = short(&targets);
        if let Some(why) = self.cluster.without_room().await? {
            log.line(&why);
            detail = format!("{detail}; {why}");
        }
        Ok(Verified::Pending { detail })
    }

    async fn revert(&self, begun: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault> {
        restore(&self.cluster, &begun.pre_image, log).await
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        let asked = [
            ("apps", "deployments", "patch"),
            ("apps", "deployments/scale", "patch"),
            ("autoscaling", "horizontalpodautoscalers", "patch"),
        ];
        let mut fitness = self.cluster.fitness(&asked).await?;
        let missing = self.missing(&self.targets().await?).await?;
        fitness.guards.push(match self.quota(&missing).await {
            Ok(Ok(words)) => Guard::pass("quota", words),
            Ok(Err(why)) => Guard::block("quota", why),
            Err(fault) => unread(&fault),
        });
        Ok(fitness)
    }

    fn by_hand(&self) -> Vec<String> {
        let kubectl = self.cluster.client.kubectl();
        let mut lines = vec![
            "# An autoscaler's minimum first, or it takes the replicas away again".to_owned(),
            format!("{kubectl} get hpa"),
        ];
        for (name, full) in self.wanted() {
            let (name, patch) = (quoted(&name), quoted(&json!({ "spec": { "minReplicas": full } }).to_string()));
            lines.push(format!("{kubectl} patch hpa {name} --type merge -p {patch} 2>/dev/null"));
            lines.push(format!("{kubectl} scale deployment {name} --replicas {full}"));
        }
        lines.push("# Verify: every deployment READY, and no pod Pending".to_owned());
        lines.push(format!("{kubectl} get deployments,hpa"));
        lines.push(format!("{kubectl} get pods --field-selector status.phase=Pending"));
        lines
    }
}
