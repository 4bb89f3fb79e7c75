//! The steps of Kubernetes: one file each.

mod fence;
mod restart;
mod scale;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Cluster;
use super::scalers::{Autoscaler, PAUSED};
use super::sorts::Knob;
use super::workload::Workload;
use crate::domain::plan::StepSpec;
use crate::domain::system::{Fault, Receipt, Step, StepLog};

pub fn step(cluster: &Arc<Cluster>, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
    let cluster = cluster.clone();
    let names = spec.params.list("deployments");
    Ok(match spec.kind.as_str() {
        "kubernetes.scale" => Arc::new(scale::Scale { cluster, each: None }),
        "kubernetes.standby" => Arc::new(scale::Scale { cluster, each: Some(spec.params.integer("each")?) }),
        "kubernetes.fence" => Arc::new(fence::Fence { cluster, names, except: spec.params.list("except") }),
        "kubernetes.restart" => Arc::new(restart::Restart { cluster, names }),
        other => {
            let what = format!("there is no step `{other}`");
            return Err(Fault::permanent(&cluster.id, what).next("run `mayday kinds`"));
        }
    })
}

/// What a workload was before a step changed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Before {
    replicas: u64,
    autoscaler: Option<Autoscaler>,
}

/// By workload; a pre-image that is none is of no workload.
fn before(pre_image: &Value) -> BTreeMap<String, Before> {
    serde_json::from_value(pre_image.clone()).unwrap_or_default()
}

fn noted<'a>(workloads: impl Iterator<Item = &'a Workload>) -> Value {
    let bounds = |it: &Workload| it.scaler.as_ref().map(|it| it.bounds.clone());
    let all: BTreeMap<String, Before> =
        workloads.map(|it| (it.key(), Before { replicas: it.wanted, autoscaler: bounds(it) })).collect();
    serde_json::to_value(all).unwrap_or_default()
}

/// `api-gateway 1 of 4, StatefulSet queue 0 of 3`
fn listed<'a>(workloads: impl Iterator<Item = &'a Workload>) -> String {
    workloads.map(|it| format!("{} {} of {}", it.called(), it.available, it.wanted)).collect::<Vec<_>>().join(", ")
}

/// `6 deployments`, `3 workloads` when they are of several kinds.
fn counted<'a>(workloads: impl IntoIterator<Item = &'a Workload>) -> String {
    let (mut many, mut deployments) = (0, true);
    for it in workloads {
        many += 1;
        deployments &= it.sort.kind == "Deployment";
    }
    format!("{many} {}", if deployments { "deployments" } else { "workloads" })
}

/// `deployment auth`, `StatefulSet queue`
fn titled(it: &Workload) -> String {
    match &*it.sort.kind {
        "Deployment" => format!("deployment {}", it.called()),
        _ => it.called(),
    }
}

/// What is said of a kind that is held, and not counted.
fn amount(it: &Workload, replicas: u64) -> String {
    match (it.sort.knob, replicas) {
        (Knob::Suspend, 0) => "suspended".to_owned(),
        (Knob::Pause, 0) => "paused".to_owned(),
        (Knob::Suspend | Knob::Pause, _) => "runs".to_owned(),
        (Knob::Parallelism, many) => format!("parallelism {many}"),
        (_, many) => format!("replicas {many}"),
    }
}

/// Tells a workload how much to run, by the knob that its kind has.
fn tell(it: &Workload, replicas: u64) -> BoxFuture<'_, Result<(), Fault>> {
    Box::pin(async move {
        let what = format!("set {} to {}", titled(it), amount(it, replicas));
        let client = &it.spot.client;
        match it.sort.knob {
            Knob::Scale => {
                let patch = json!({ "spec": { "replicas": replicas } });
                client.patch(&what, &format!("{}/scale", it.path), &patch).await
            }
            Knob::Suspend => client.patch(&what, &it.path, &json!({ "spec": { "suspend": replicas == 0 } })).await,
            Knob::Parallelism => client.patch(&what, &it.path, &json!({ "spec": { "parallelism": replicas } })).await,
            Knob::Pause => {
                let paused = (replicas == 0).then_some("true");
                client.patch(&what, &it.path, &json!({ "metadata": { "annotations": { PAUSED: paused } } })).await
            }
            Knob::None => Ok(()),
        }
    })
}

/// Tells the autoscaler of a workload something.
async fn bound(it: &Workload, patch: &Value) -> Result<(), Fault> {
    let Some(scaler) = &it.scaler else { return Ok(()) };
    it.spot.client.patch(&format!("patch autoscaler {}", scaler.bounds.name), &scaler.path, patch).await
}

/// Puts workloads back to what they were, as far as they are not: the autoscaler first, or it would act by the wrong bounds.
async fn restore(cluster: &Cluster, pre_image: &Value, log: &dyn StepLog) -> Result<Receipt, Fault> {
    let (all, mut receipt) = (before(pre_image), Receipt::new());
    let keys: Vec<String> = all.keys().cloned().collect();
    // Without a key nothing was changed.
    let now = if keys.is_empty() { Vec::new() } else { cluster.keyed(&keys).await? };
    let mut gone = Vec::new();
    for (key, Before { replicas, autoscaler }) in all {
        let Some(now) = now.iter().find(|it| it.key() == key) else {
            gone.push(key);
            continue;
        };
        let bounds = now.scaler.as_ref().map(|it| &it.bounds);
        if let Some(was) = autoscaler.filter(|was| bounds.is_some_and(|now| now != was)) {
            log.line(&format!("autoscaler {}: {}", was.name, was.words()));
            bound(now, &was.patch()).await?;
        }
        if now.wanted != replicas {
            log.line(&format!("{}: {}", titled(now), amount(now, replicas)));
            tell(now, replicas).await?;
        }
        receipt.insert(key, replicas.to_string());
    }
    for key in &gone {
        log.line(&format!("{key} is not there any more"));
    }
    // A Job that is gone has ended, and is nobody's loss.
    match gone.iter().find(|key| !key.contains("jobs/")) {
        Some(key) => Err(Fault::permanent(&cluster.id, format!("{key} is not there any more: it cannot be put back"))
            .means("everything else was put back")
            .next("deploy it anew, then mark the step as done")),
        None => Ok(receipt),
    }
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
