//! A deployment and its autoscaler, as far as a recovery is concerned.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use serde::{Deserialize, Serialize};

use super::Cluster;
use crate::domain::health::Status;
use crate::domain::system::Fault;
use crate::domain::text::clean;
use crate::domain::time::At;

/// The annotation by which `kubectl rollout restart` makes new pods.
pub const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";

/// What an autoscaler may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Autoscaler {
    pub name: String,
    pub min: u64,
    pub max: u64,
}

/// What is wanted of a deployment, and what there is.
#[derive(Clone, Debug)]
pub struct Workload {
    pub name: String,
    pub wanted: u64,
    pub available: u64,
    pub updated: u64,
    pub all: u64,
    /// Whether the controller has acted by the newest spec: before that its numbers are of the one before.
    pub observed: bool,
    pub restarted: Option<At>,
    pub autoscaler: Option<Autoscaler>,
    /// The labels of its pods.
    labels: BTreeMap<String, String>,
}

fn number(value: Option<i32>) -> u64 {
    value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
}

impl Workload {
    pub fn of(deployment: &Deployment, autoscalers: &[HorizontalPodAutoscaler]) -> Self {
        let name = clean(deployment.metadata.name.as_deref().unwrap_or_default());
        let (spec, status) = (&deployment.spec, deployment.status.as_ref());
        let generation = deployment.metadata.generation.unwrap_or(0);
        let annotations = spec.template.metadata.as_ref().and_then(|it| it.annotations.as_ref());
        let minds = |it: &&HorizontalPodAutoscaler| {
            let target = &it.spec.scale_target_ref;
            target.kind == "Deployment" && target.name == name
        };
        Self {
            // Left out, it is one (the API reference).
            wanted: spec.replicas.map_or(1, |replicas| number(Some(replicas))),
            available: number(status.and_then(|it| it.available_replicas)),
            updated: number(status.and_then(|it| it.updated_replicas)),
            all: number(status.and_then(|it| it.replicas)),
            observed: status.and_then(|it| it.observed_generation).unwrap_or(0) >= generation,
            restarted: annotations.and_then(|it| it.get(RESTARTED)).and_then(|text| text.parse().ok()),
            autoscaler: autoscalers.iter().find(minds).and_then(autoscaler),
            labels: spec.selector.match_labels.clone().unwrap_or_default(),
            name,
        }
    }

    /// How many of these pods are its own and have not ended. A deployment's status leaves out those that are being ended, which go on
    /// working for as long as `terminationGracePeriodSeconds`.
    pub fn running(&self, pods: &[Pod]) -> usize {
        let has_ended = |pod: &Pod| {
            let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
            matches!(phase, Some("Succeeded" | "Failed"))
        };
        let labelled = |pod: &Pod| {
            let labels = pod.metadata.labels.as_ref();
            labels.is_some_and(|has| self.labels.iter().all(|(name, value)| has.get(name) == Some(value)))
        };
        // A selector without plain labels says nothing here: then every pod that is called so may be its own.
        let called = |pod: &Pod| {
            let name = pod.metadata.name.as_deref().and_then(|name| name.strip_prefix(&self.name));
            name.is_some_and(|rest| rest.starts_with('-'))
        };
        let own = |pod: &&Pod| if self.labels.is_empty() { called(pod) } else { labelled(pod) };
        pods.iter().filter(own).filter(|pod| !has_ended(pod)).count()
    }

    /// Every wanted replica is of the newest version and serves, and none of an older one is left.
    pub fn is_settled(&self) -> bool {
        self.observed && self.available == self.wanted && self.updated == self.wanted && self.all == self.wanted
    }

    /// It asks for `full` replicas at least, and no autoscaler will take them away.
    pub fn asks_for(&self, full: u64) -> bool {
        self.wanted >= full && self.autoscaler.as_ref().is_none_or(|it| it.min >= full)
    }

    /// At least `full` replicas serve, and will stay.
    pub fn carries(&self, full: u64) -> bool {
        self.observed && self.asks_for(full) && self.available >= full
    }

    pub fn health(&self) -> Status {
        match (self.wanted, self.available) {
            (0, _) | (_, 0) => Status::Down,
            (wanted, available) if available < wanted || !self.observed => Status::Degraded,
            _ => Status::Healthy,
        }
    }

    /// `3 of 4 available, HPA 4..10`
    pub fn words(&self) -> String {
        let autoscaler = self.autoscaler.as_ref().map_or(String::new(), |it| format!(", HPA {}..{}", it.min, it.max));
        let pending = if self.observed { "" } else { ", a change is not acted on yet" };
        match self.wanted {
            0 => format!("scaled to zero{pending}"),
            wanted => format!("{} of {wanted} available{autoscaler}{pending}", self.available),
        }
    }
}

fn autoscaler(it: &HorizontalPodAutoscaler) -> Option<Autoscaler> {
    let spec = &it.spec;
    // Left out, it is one (the API reference).
    let min = spec.min_replicas.map_or(1, |min| number(Some(min)));
    Some(Autoscaler { name: it.metadata.name.clone()?, min, max: number(Some(spec.max_replicas)) })
}

impl Cluster {
    /// All deployments of the namespace, or those of these names.
    ///
    /// # Errors
    /// When the API server does not answer; also when one of the names is not there.
    pub fn workloads<'a>(&'a self, names: &'a [String]) -> BoxFuture<'a, Result<Vec<Workload>, Fault>> {
        Box::pin(async move {
            let (deployments, autoscalers) = tokio::join!(self.client.deployments(), self.client.autoscalers());
            let (deployments, autoscalers) = (deployments?, autoscalers?);
            let all: Vec<Workload> = deployments.iter().map(|it| Workload::of(it, &autoscalers)).collect();
            if let Some(missing) = names.iter().find(|name| all.iter().all(|it| it.name != **name)) {
                let what = format!("there is no deployment {missing} in namespace {}", self.namespace);
                return Err(Fault::permanent(&self.id, what).next("run `mayday check`, and look at the config"));
            }
            Ok(all.into_iter().filter(|it| names.is_empty() || names.contains(&it.name)).collect())
        })
    }

    /// Why pods of the namespace find no room, in the scheduler's words; `None` when all have a node.
    pub fn without_room(&self) -> BoxFuture<'_, Result<Option<String>, Fault>> {
        Box::pin(async move {
            let pods = self.client.pods().await?;
            let words: Vec<String> = pods.iter().filter_map(unschedulable).collect();
            Ok(words.first().map(|first| format!("{} pods find no room: {first}", words.len())))
        })
    }
}

fn unschedulable(pod: &Pod) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|it| it.type_ == "PodScheduled" && it.status == "False")?;
    Some(clean(found.message.as_deref().or(found.reason.as_deref()).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(generation: i64, observed: i64, wanted: i64, available: i64) -> Workload {
        let deployment = serde_json::json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "auth", "generation": generation },
            "spec": { "replicas": wanted, "selector": {}, "template": {} },
            "status": { "observedGeneration": observed, "replicas": available, "updatedReplicas": available, "availableReplicas": available },
        });
        Workload::of(&serde_json::from_value(deployment).unwrap(), &[])
    }

    #[test]
    fn numbers_of_an_older_generation_prove_nothing() {
        assert!(workload(3, 3, 4, 4).carries(4));
        assert!(!workload(4, 3, 4, 4).carries(4), "the controller has not seen the change");
        assert!(!workload(4, 3, 4, 4).is_settled());
        assert_eq!(workload(4, 3, 4, 4).health(), Status::Degraded);
    }

    #[test]
    fn an_autoscaler_that_may_take_replicas_away_is_not_ready() {
        let mut workload = workload(1, 1, 4, 4);
        workload.autoscaler = Some(Autoscaler { name: "auth".into(), min: 1, max: 10 });
        assert!(!workload.asks_for(4));
        workload.autoscaler = Some(Autoscaler { name: "auth".into(), min: 4, max: 10 });
        assert!(workload.carries(4) && !workload.carries(5));
    }

    #[test]
    fn pods_that_no_label_tells_are_not_nobodys() {
        let pod = |name: &str, app: &str, phase: &str| -> Pod {
            let object = serde_json::json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "labels": { "app": app } },
                "status": { "phase": phase },
            });
            serde_json::from_value(object).unwrap()
        };
        let pods = [
            pod("auth-7d9f-x", "auth", "Running"),
            pod("auth-7d9f-y", "auth", "Succeeded"),
            pod("authors-55c-z", "authors", "Running"),
            pod("other-1-a", "auth", "Pending"),
        ];
        let mut it = workload(1, 1, 0, 0);
        assert_eq!(it.running(&pods), 1, "without plain labels the name counts");
        it.labels = [("app".to_owned(), "auth".to_owned())].into();
        assert_eq!(it.running(&pods), 2, "with labels they count, whatever the name");
        assert_eq!(it.running(&[]), 0);
    }

    #[test]
    fn nothing_wanted_is_nothing_served() {
        assert_eq!(workload(1, 1, 0, 0).health(), Status::Down);
        assert_eq!(workload(1, 1, 3, 0).health(), Status::Down);
        assert_eq!(workload(1, 1, 3, 2).health(), Status::Degraded);
        assert_eq!(workload(1, 1, 3, 3).health(), Status::Healthy);
    }
}
