//! `kubernetes.scale`: gives the region what carries the full load. An autoscaler would take replicas away again that are only asked for
//! from the workload, so its minimum is raised with them, and before them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::super::capacity::{Asked, fitting, left};
use super::super::quota::{beyond, name as quota_name};
use super::super::rights::{action, tell as right_to_tell};
use super::super::workload::Workload;
use super::super::{Cluster, Spot, lists};
use super::restart::why_pending;
use super::{amount, bound, counted, noted, restore, tell, titled};
use crate::domain::system::{
    Begun, Checked, Fault, Fitness, Guard, Observed, Preview, Receipt, Step, StepLog, Verified,
};
use crate::systems::shell::quoted;

pub struct Scale {
    pub cluster: Arc<Cluster>,
    /// So many replicas of each workload are enough; what carries the full load when left out.
    pub each: Option<u64>,
}

/// Every workload that carries load, with what it has to come to.
struct Targets {
    all: Vec<(Workload, u64)>,
    /// Why it is not known whether an autoscaler would take replicas away again.
    unscaled: Option<Fault>,
}

impl Scale {
    fn wanted(&self) -> BTreeMap<String, u64> {
        let enough = |full: u64| self.each.map_or(full, |each| each.min(full));
        self.cluster.full.iter().map(|(name, full)| (name.clone(), enough(*full))).collect()
    }

    fn load(&self) -> &'static str {
        if self.each.is_some() { "what a standby needs" } else { "the full load" }
    }

    async fn targets(&self) -> Result<Targets, Fault> {
        let full = self.wanted();
        if full.is_empty() {
            return Err(Fault::permanent(
                &self.cluster.id,
                "`replicas` of the system does not say what carries the full load",
            )
            .next("add [system.replicas] to the config, then run `mayday check`"));
        }
        let names: Vec<String> = full.keys().cloned().collect();
        // One for each name, in their order.
        let census = self.cluster.serving(&names).await?;
        Ok(Targets { all: census.all.into_iter().zip(full.into_values()).collect(), unscaled: census.unscaled })
    }

    /// How many of the missing pods would find room. It is no reason to wait that nobody may look, or that looking takes long.
    async fn room(&self, targets: &[(Workload, u64)]) -> Guard {
        let opaque = targets.iter().filter(|(it, full)| it.all < *full && it.template["spec"].is_null());
        let opaque: Vec<String> = opaque.map(|(it, _)| it.called()).collect();
        if !opaque.is_empty() {
            let what =
                format!("what the pods of {} ask for is not known: their template is elsewhere", opaque.join(", "));
            return Guard::warn("room", what);
        }
        let (mut fit, mut all) = (0, 0);
        for client in &self.cluster.clients {
            let here = targets.iter().filter(|(it, _)| Arc::ptr_eq(&it.spot.client, client));
            let missing: Vec<Asked> = here.flat_map(missing).collect();
            let nodes = client.list_of("list nodes", "/api/v1/nodes");
            let pods = client.list_of("list all pods", "/api/v1/pods");
            match tokio::try_join!(nodes, pods) {
                Ok((nodes, pods)) => fit += fitting(&mut left(&nodes, &pods), missing.iter()),
                Err(fault) => {
                    return Guard::warn("room", format!("whether the nodes have room is not known: {}", fault.what));
                }
            }
            all += missing.len();
        }
        room(fit, all)
    }

    /// What the namespaces' quotas would refuse of the missing pods: the inner error says it.
    async fn quota(&self, targets: &[(Workload, u64)]) -> Result<Result<String, String>, Fault> {
        let (mut many, mut all) = (0, 0);
        for spot in &self.cluster.spots {
            let here = targets.iter().filter(|(it, _)| Arc::ptr_eq(&it.spot, spot));
            let missing: Vec<Asked> = here.flat_map(missing).collect();
            let quotas = quotas(spot).await?;
            if let Some(untold) = quotas.iter().find(|quota| quota["status"].is_null()) {
                let what = format!("quota {} does not say yet how much is used", quota_name(untold));
                return Err(Fault::transient(&self.cluster.id, what));
            }
            if let Some(why) = quotas.iter().find_map(|quota| beyond(quota, &missing)) {
                return Ok(Err(why));
            }
            (many, all) = (many + quotas.len(), all + missing.len());
        }
        Ok(Ok(format!("{many} quotas allow the {all} pods that are missing")))
    }
}

/// The pods of a workload that are missing.
fn missing((it, full): &(Workload, u64)) -> impl Iterator<Item = Asked> + use<> {
    let many = usize::try_from(full.saturating_sub(it.all)).unwrap_or(0);
    std::iter::repeat_n(Asked::by(&it.template), many)
}

async fn quotas(spot: &Spot) -> Result<Vec<Value>, Fault> {
    let path = format!("/api/v1/namespaces/{}/resourcequotas", lists::part(&spot.namespace));
    spot.client.list_of("list quotas", &path).await
}

fn unread(fault: &Fault) -> Guard {
    Guard::warn("quota", format!("what the namespace's quotas allow is not known: {}", fault.what))
}

/// Nobody knows whether an autoscaler takes back what was scaled up: that is told, and is no reason not to scale up.
fn doubt(fault: &Fault) -> Guard {
    let what = format!("whether an autoscaler takes replicas away again is not known: {}", fault.what);
    Guard::warn("autoscalers", what)
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
    short.map(|(it, full)| format!("{} {} of {full}", it.called(), it.available)).collect::<Vec<_>>().join(", ")
}

#[async_trait]
impl Step for Scale {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        let Targets { all, unscaled } = self.targets().await?;
        if all.iter().any(|(it, full)| !it.asks_for(*full)) {
            return Ok(Observed::NotDone { detail: format!("below {}: {}", self.load(), short(&all)) });
        }
        let doubt = unscaled.map(|fault| format!("; {}", doubt(&fault).detail)).unwrap_or_default();
        Ok(match all.iter().all(|(it, full)| it.carries(*full)) {
            true => Observed::Done {
                detail: format!("all {} carry {}{doubt}", counted(all.iter().map(|(it, _)| it)), self.load()),
            },
            false => Observed::InProgress { detail: short(&all) },
        })
    }

    async fn preview(&self) -> Result<Preview, Fault> {
        let targets = self.targets().await?.all;
        let mut diff = Vec::new();
        let short: Vec<_> = targets.iter().filter(|(it, full)| !it.asks_for(*full)).collect();
        for (it, full) in &short {
            if let Some(scaler) = it.scaler.as_ref().filter(|scaler| !scaler.bounds.leaves(*full)) {
                let (_, then) = scaler.bounds.kept_at(*full);
                diff.push(format!("- autoscaler {} {}", then.name, shown(&scaler.bounds.words())));
                diff.push(format!("+ autoscaler {} {}", then.name, shown(&then.words())));
            }
            if it.wanted < *full {
                diff.push(format!("- {} {}", titled(it), amount(it, it.wanted)));
                diff.push(format!("+ {} {}", titled(it), amount(it, *full)));
            }
        }
        let from: u64 = short.iter().map(|(it, _)| it.wanted).sum();
        let to: u64 = short.iter().map(|(it, full)| it.wanted.max(*full)).sum();
        let summary = match short.len() {
            0 => format!("every workload asks for {} already", self.load()),
            _ => {
                let counted = counted(short.iter().map(|(it, _)| it));
                format!("{counted} of {}: {from} → {to} replicas", self.cluster.place())
            }
        };
        Ok(Preview { summary, diff, pre_image: noted(short.iter().map(|(it, _)| it)) })
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let targets = self.targets().await?;
        let (room, quota) = tokio::join!(self.room(&targets.all), self.quota(&targets.all));
        let mut guards = vec![room];
        // Some pods are better than none: here it is told, and long before, by `fitness`, it counts.
        match quota {
            Ok(Ok(_)) => {}
            Ok(Err(why)) => guards.push(Guard::warn("quota", why).situational()),
            Err(fault) => guards.push(unread(&fault).situational()),
        }
        guards.extend(targets.unscaled.iter().map(doubt));
        Ok(Checked { guards, promotion: None })
    }

    async fn apply(&self, _: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
        let mut receipt = Receipt::new();
        for (it, full) in self.targets().await?.all {
            if let Some(scaler) = it.scaler.as_ref().filter(|scaler| !scaler.bounds.leaves(full)) {
                let (patch, then) = scaler.bounds.kept_at(full);
                log.line(&format!("autoscaler {}: {} → {}", then.name, scaler.bounds.words(), then.words()));
                bound(&it, &patch).await?;
            }
            // Never down: what runs beyond the full load has its reason.
            if it.wanted < full {
                log.line(&format!("{}: {} → {full}", titled(&it), amount(&it, it.wanted)));
                tell(&it, full).await?;
                receipt.insert(it.key(), full.to_string());
            }
        }
        Ok(receipt)
    }

    async fn verify(&self, _: &Begun, log: &dyn StepLog) -> Result<Verified, Fault> {
        let targets = self.targets().await?.all;
        if targets.iter().all(|(it, full)| it.carries(*full)) {
            let all: u64 = targets.iter().map(|(it, _)| it.available).sum();
            let counted = counted(targets.iter().map(|(it, _)| it));
            let detail = format!("{counted} carry {} with {all} replicas", self.load());
            return Ok(Verified::Holds { detail, recovery_point: None });
        }
        let mut detail = short(&targets);
        if let Some(why) = why_pending(&self.cluster).await {
            log.line(&why);
            detail = format!("{detail}; {why}");
        }
        Ok(Verified::Pending { detail })
    }

    async fn revert(&self, begun: &Begun, log: &dyn StepLog) -> Result<Receipt, Fault> {
        restore(&self.cluster, &begun.pre_image, log).await
    }

    async fn fitness(&self) -> Result<Fitness, Fault> {
        let Targets { all, unscaled } = self.targets().await?;
        let mut rights: BTreeSet<_> = all.iter().filter_map(|(it, _)| right_to_tell(&it.sort)).collect();
        rights.extend(all.iter().filter_map(|(it, _)| it.scaler.as_ref()).map(|scaler| match scaler.bounds.keda {
            Some(_) => action("keda.sh", "scaledobjects", "patch"),
            None => action("autoscaling", "horizontalpodautoscalers", "patch"),
        }));
        let mut fitness = self.cluster.fitness(rights).await?;
        fitness.guards.push(match self.quota(&all).await {
            Ok(Ok(words)) => Guard::pass("quota", words),
            Ok(Err(why)) => Guard::block("quota", why),
            Err(fault) => unread(&fault),
        });
        fitness.guards.extend(unscaled.iter().map(doubt));
        Ok(fitness)
    }

    fn by_hand(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for spot in &self.cluster.spots {
            let kubectl = spot.kubectl();
            lines.push("# An autoscaler's minimum first, or it takes the replicas away again".to_owned());
            lines.push(format!("{kubectl} get hpa"));
            for (name, full) in self.wanted() {
                let own = spot.own_part(&name);
                // It says another namespace or cluster than this one.
                if spot.label.is_empty() || own != name || !name.contains('/') {
                    let kind = if own.contains('/') { "" } else { "deployment/" };
                    let (hpa, own) = (own.rsplit('/').next().unwrap_or(own), quoted(&format!("{kind}{own}")));
                    let patch = quoted(&json!({ "spec": { "minReplicas": full } }).to_string());
                    lines.push(format!("{kubectl} patch hpa {} --type merge -p {patch} 2>/dev/null", quoted(hpa)));
                    lines.push(format!("{kubectl} scale {own} --replicas {full}"));
                }
            }
            lines.push("# Verify: every workload READY, and no pod Pending".to_owned());
            lines.push(format!("{kubectl} get deployments,statefulsets,hpa"));
            lines.push(format!("{kubectl} get pods --field-selector status.phase=Pending"));
        }
        lines
    }
}

/// `1..10` of `HPA 1..10`: that it is an autoscaler is said already.
fn shown(words: &str) -> &str {
    words.strip_prefix("HPA ").unwrap_or(words)
}
