//! Pods, and whose they are.

use serde_json::Value;

use super::selector::{Labels, labels};
use super::workload::Owner;
use crate::domain::text::clean;

/// A pod that has not ended, so that it may still do something.
#[derive(Clone, Debug)]
pub struct Pod {
    pub name: String,
    pub labels: Labels,
    pub owner: Option<Owner>,
    /// It is being ended, and goes on working for as long as `terminationGracePeriodSeconds`.
    pub leaving: bool,
}

/// The pods that have not ended.
pub fn living(all: &[Value]) -> Vec<Pod> {
    all.iter().filter(|pod| !has_ended(pod)).map(Pod::of).collect()
}

pub fn has_ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// Why pods find no room, in the scheduler's words; `None` when all have a node.
pub fn without_room(pods: &[Value]) -> Option<String> {
    let words: Vec<String> = pods.iter().filter_map(unschedulable).collect();
    words.first().map(|first| format!("{} pods find no room: {first}", words.len()))
}

fn unschedulable(pod: &Value) -> Option<String> {
    let conditions = pod["status"]["conditions"].as_array()?;
    let is = |it: &&Value| it["type"].as_str() == Some("PodScheduled") && it["status"].as_str() == Some("False");
    let found = conditions.iter().find(is)?;
    Some(clean(found["message"].as_str().or(found["reason"].as_str()).unwrap_or_default()))
}

impl Pod {
    fn of(pod: &Value) -> Self {
        Self {
            name: pod["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
            labels: labels(pod),
            owner: Owner::of(pod),
            leaving: pod["metadata"]["deletionTimestamp"].is_string(),
        }
    }

    /// Who minds it, past the ReplicaSet in between: by the label that a Deployment and a Rollout give to both, which saves reading the
    /// ReplicaSets of all older versions.
    pub fn minder(&self) -> Option<Owner> {
        let owner = self.owner.clone()?;
        if owner.kind != "ReplicaSet" {
            return Some(owner);
        }
        let by = |label: &str, api_version: &str, kind: &str| {
            let name = owner.name.strip_suffix(self.labels.get(label)?)?.strip_suffix('-')?;
            Some(Owner { api_version: api_version.to_owned(), kind: kind.to_owned(), name: name.to_owned() })
        };
        let rollout = by("rollouts-pod-template-hash", "argoproj.io/v1alpha1", "Rollout");
        rollout.or_else(|| by("pod-template-hash", "apps/v1", "Deployment")).or(Some(owner))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_replica_set_is_passed_over_and_a_bare_one_is_not() {
        let minder = |labels: Value, owner: Value| {
            let pod = json!({ "metadata": { "name": "p", "labels": labels, "ownerReferences": [owner] } });
            living(&[pod])[0].minder().map(|it| it.words())
        };
        let owner =
            |kind: &str, name: &str| json!({ "apiVersion": "apps/v1", "kind": kind, "name": name, "controller": true });
        let set = owner("ReplicaSet", "web-api-7d9f");
        assert_eq!(minder(json!({ "pod-template-hash": "7d9f" }), set.clone()).unwrap(), "Deployment web-api");
        assert_eq!(minder(json!({ "rollouts-pod-template-hash": "7d9f" }), set.clone()).unwrap(), "Rollout web-api");
        assert_eq!(minder(json!({}), set).unwrap(), "ReplicaSet web-api-7d9f");
        assert_eq!(minder(json!({}), owner("StatefulSet", "queue")).unwrap(), "StatefulSet queue");
        assert_eq!(
            minder(json!({}), json!({ "kind": "Secret", "name": "x" })),
            None,
            "an owner that does not control it"
        );
    }

    #[test]
    fn a_pod_that_is_being_ended_still_lives_and_one_that_ended_does_not() {
        let pod = |phase: &str, leaving: bool| {
            let end = leaving.then_some("2026-11-23T04:00:00Z");
            json!({ "metadata": { "name": "p", "deletionTimestamp": end }, "status": { "phase": phase } })
        };
        let found =
            living(&[pod("Running", true), pod("Pending", false), pod("Succeeded", false), pod("Failed", false)]);
        assert_eq!(found.iter().map(|it| it.leaving).collect::<Vec<_>>(), [true, false]);
    }
}
