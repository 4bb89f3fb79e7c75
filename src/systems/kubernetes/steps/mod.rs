//! The steps of Kubernetes: one file each.

mod fence;
mod restart;
mod scale;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Cluster;
use super::workload::{Autoscaler, Workload};
use crate::domain::plan::StepSpec;
use crate::domain::system::{Fault, Receipt, Step, StepLog};

pub fn step(cluster: &Arc<Cluster>, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
    let cluster = cluster.clone();
    let deployments = spec.params.list("deployments");
    Ok(match spec.kind.as_str() {
        "kubernetes.scale" => Arc::new(scale::Scale { cluster, each: None }),
        "kubernetes.standby" => Arc::new(scale::Scale { cluster, each: Some(spec.params.integer("each")?) }),
        "kubernetes.fence" => Arc::new(fence::Fence { cluster, deployments }),
        "kubernetes.restart" => Arc::new(restart::Restart { cluster, deployments }),
        other => {
            let what = format!("there is no step `{other}`");
            return Err(Fault::permanent(&cluster.id, what).next("run `mayday kinds`"));
        }
    })
}

/// What a deployment was before a step changed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Before {
    replicas: u64,
    autoscaler: Option<Autoscaler>,
}

/// By deployment; a pre-image that is none is of no deployment.
fn before(pre_image: &Value) -> BTreeMap<String, Before> {
    serde_json::from_value(pre_image.clone()).unwrap_or_default()
}

fn noted<'a>(workloads: impl Iterator<Item = &'a Workload>) -> Value {
    let all: BTreeMap<&str, Before> = workloads
        .map(|it| (it.name.as_str(), Before { replicas: it.wanted, autoscaler: it.autoscaler.clone() }))
        .collect();
    serde_json::to_value(all).unwrap_or_default()
}

/// `api-gateway 1 of 4, auth 0 of 3`
fn listed<'a>(workloads: impl Iterator<Item = &'a Workload>) -> String {
    workloads.map(|it| format!("{} {} of {}", it.name, it.available, it.wanted)).collect::<Vec<_>>().join(", ")
}

/// Puts deployments back to what they were, as far as they are not: the autoscaler first, or it would act by the wrong bounds.
async fn restore(cluster: &Cluster, pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
    let (all, mut receipt) = (before(pre_image), Receipt::new());
    let names: Vec<String> = all.keys().cloned().collect();
    // Without a name all would be meant.
    let now = if names.is_empty() { Vec::new() } else { cluster.workloads(&names).await? };
    for (name, Before { replicas, autoscaler }) in all {
        let now = now.iter().find(|it| it.name == name);
        let is_so = now.is_some_and(|now| now.autoscaler == autoscaler);
        if let Some(Autoscaler { name, min, max }) = autoscaler.filter(|_| !is_so) {
            log.line(&format!("autoscaler {name}: {min}..{max}"));
            let patch = serde_json::json!({ "spec": { "minReplicas": min, "maxReplicas": max } });
            cluster.client.patch_autoscaler(&name, patch).await?;
        }
        if now.is_none_or(|now| now.wanted != replicas) {
            log.line(&format!("deployment {name}: {replicas} replicas"));
            cluster.client.scale(&name, replicas).await?;
        }
        receipt.insert(name, replicas.to_string());
    }
    Ok(receipt)
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_was_before_survives_the_journal() {
        let image =
            serde_json::json!({ "auth": { "replicas": 1, "autoscaler": { "name": "auth", "min": 1, "max": 4 } } });
        let before = super::before(&image);
        assert_eq!(before["auth"].replicas, 1);
        assert_eq!(serde_json::to_value(before).unwrap(), image);
        assert!(super::before(&serde_json::Value::Null).is_empty());
    }
}
