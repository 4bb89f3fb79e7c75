//! The cluster's truth as the objects of the API.

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::backups::VELERO_NAMESPACE;
use super::resources::Resource;
use super::{Autoscaler, Cluster, Deployment, Kind, NAMESPACE, NODE_CPU, NODE_MEMORY, Node, POD_CPU, POD_MEMORY, Pod};

/// A moment as Kubernetes writes it.
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The same name in the same cluster is the same object, so its uid may be made of them.
fn uid(region: &str, kind: Kind, name: &str) -> String {
    let hash = Sha256::digest(format!("{region}/{kind:?}/{name}"));
    let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn condition(kind: &str, holds: bool, reason: &str, since: Timestamp) -> Value {
    let status = if holds { "True" } else { "False" };
    json!({
        "type": kind, "status": status, "reason": reason, "message": "",
        "lastTransitionTime": moment(since), "lastUpdateTime": moment(since),
    })
}

/// What so many pods ask for.
fn amounts(pods: u64) -> Value {
    let (cpu, memory) = (format!("{}m", pods * POD_CPU), format!("{}Mi", pods * POD_MEMORY));
    json!({ "pods": pods.to_string(), "requests.cpu": cpu, "requests.memory": memory })
}

impl Cluster {
    /// The object as the API serves it, but for its resource version; `None` if there is none.
    pub(super) fn object(&self, kind: Kind, name: &str) -> Option<Value> {
        match kind {
            Kind::Namespace => [NAMESPACE, VELERO_NAMESPACE].contains(&name).then(|| {
                let mut object = self.frame(kind, name, self.created);
                object["status"] = json!({ "phase": "Active" });
                object
            }),
            Kind::Node => self.nodes.iter().find(|it| it.name == name).map(|node| self.node(node)),
            Kind::Deployment => self.deployments.iter().find(|it| it.name == name).map(|it| self.deployment(it)),
            Kind::Autoscaler => self.autoscalers.iter().find(|it| it.name == name).map(|it| self.autoscaler(it)),
            Kind::Quota => (name == NAMESPACE).then(|| {
                let mut object = self.frame(kind, name, self.created);
                object["spec"] = json!({ "hard": amounts(self.quota) });
                object["status"] = json!({ "hard": amounts(self.quota), "used": amounts(self.pods.len() as u64) });
                object
            }),
            Kind::Claim | Kind::Snapshot | Kind::Backup | Kind::Schedule | Kind::BackupLocation => {
                let mut own = self.backups.objects.iter().filter(|(of, named, _)| *of == kind && named == name);
                own.next().map(|(_, _, object)| object.clone())
            }
            Kind::Pod => self.pods.iter().find(|it| it.name == name).map(|pod| self.pod(pod)),
        }
    }

    pub(super) fn frame(&self, kind: Kind, name: &str, created: Timestamp) -> Value {
        let resource = Resource::of(kind);
        let mut metadata = json!({
            "name": name,
            "uid": uid(self.region, kind, name),
            "creationTimestamp": moment(created),
        });
        if resource.namespaced {
            metadata["namespace"] = resource.namespace.into();
        }
        json!({ "apiVersion": resource.api_version(), "kind": resource.object, "metadata": metadata })
    }

    fn node(&self, node: &Node) -> Value {
        let mut object = self.frame(Kind::Node, node.name, self.created);
        object["metadata"]["labels"] = json!({ "kubernetes.io/hostname": node.name, "topology.kubernetes.io/region": self.region, "topology.kubernetes.io/zone": node.zone });
        let room = json!({ "cpu": format!("{NODE_CPU}m"), "memory": format!("{NODE_MEMORY}Mi"), "pods": "110" });
        let reason = if node.ready { "KubeletReady" } else { "NodeStatusUnknown" };
        object["spec"] = json!({ "providerID": format!("lab:///{}/{}", node.zone, node.name) });
        object["status"] = json!({
            "capacity": room,
            "allocatable": room,
            "conditions": [condition("Ready", node.ready, reason, node.since)],
            "nodeInfo": { "kubeletVersion": "v1.32.4+lab", "operatingSystem": "linux", "architecture": "amd64" },
        });
        object
    }

    fn deployment(&self, deployment: &Deployment) -> Value {
        let name = deployment.name;
        let mut object = self.frame(Kind::Deployment, name, self.created);
        object["metadata"]["generation"] = deployment.generation.into();
        object["metadata"]["labels"] = json!({ "app": name });
        object["metadata"]["annotations"] = deployment.annotations.clone();
        object["spec"] = deployment.spec.clone();
        object["status"] = self.rollout(deployment);
        object
    }

    /// The status of a deployment; numbers that are 0 are left out, as the API server leaves them out.
    fn rollout(&self, deployment: &Deployment) -> Value {
        let living: Vec<&Pod> = self.pods_of(deployment.name).filter(|pod| pod.leaving.is_none()).collect();
        let count = |holds: &dyn Fn(&Pod) -> bool| living.iter().filter(|pod| holds(pod)).count() as u64;
        let (all, ready) = (living.len() as u64, count(&|pod| pod.ready.is_some()));
        let updated = count(&|pod| pod.revision == deployment.revision);
        let wanted = deployment.replicas;
        let available = ready >= wanted - wanted / 4;
        let complete = all == wanted && updated == wanted && ready == wanted;
        let progress = if complete { "NewReplicaSetAvailable" } else { "ReplicaSetUpdated" };
        let serves = if available { "MinimumReplicasAvailable" } else { "MinimumReplicasUnavailable" };
        let mut status = json!({
            "observedGeneration": deployment.observed,
            "conditions": [
                condition("Available", available, serves, deployment.changed),
                condition("Progressing", true, progress, deployment.changed),
            ],
        });
        let numbers = [
            ("replicas", all),
            ("updatedReplicas", updated),
            ("readyReplicas", ready),
            ("availableReplicas", ready),
            ("unavailableReplicas", wanted.saturating_sub(ready)),
        ];
        for (field, number) in numbers.into_iter().filter(|(_, number)| *number > 0) {
            status[field] = number.into();
        }
        status
    }

    fn autoscaler(&self, autoscaler: &Autoscaler) -> Value {
        let name = autoscaler.name;
        let mut object = self.frame(Kind::Autoscaler, name, self.created);
        object["metadata"]["annotations"] = autoscaler.annotations.clone();
        object["spec"] = autoscaler.spec.clone();
        let (active, reason) = if autoscaler.off { (false, "ScalingDisabled") } else { (true, "ValidMetricFound") };
        let mut status = json!({
            "currentReplicas": self.desired(name),
            "desiredReplicas": autoscaler.desired,
            "conditions": [condition("ScalingActive", active, reason, self.created)],
        });
        if active {
            let current = json!({ "averageUtilization": 20, "averageValue": "100m" });
            status["currentMetrics"] =
                json!([{ "type": "Resource", "resource": { "name": "cpu", "current": current } }]);
        }
        object["status"] = status;
        object
    }

    fn pod(&self, pod: &Pod) -> Value {
        let mut object = self.frame(Kind::Pod, &pod.name, pod.created);
        // As a deployment's ReplicaSet makes it: the name is the set's, with something of its own.
        let set = pod.name.rsplit_once('-').map_or(pod.name.as_str(), |(set, _)| set);
        let hash = set.rsplit_once('-').map_or("", |(_, hash)| hash);
        object["metadata"]["labels"] = json!({ "app": pod.service, "pod-template-hash": hash });
        object["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "controller": true,
            "blockOwnerDeletion": true, "uid": uid(self.region, Kind::Deployment, set),
        }]);
        if let Some(leaving) = pod.leaving {
            object["metadata"]["deletionTimestamp"] = moment(leaving).into();
        }
        let owner = self.deployments.iter().find(|it| it.name == pod.service);
        let mut spec = owner.map_or_else(|| json!({}), |it| it.template["spec"].clone());
        let ready = pod.ready.is_some();
        let mut conditions =
            vec![condition("PodScheduled", pod.placed.is_some(), "", pod.placed.map_or(pod.created, |(_, at)| at))];
        let mut status = json!({ "phase": "Pending" });
        match pod.placed {
            Some((node, since)) => {
                spec["nodeName"] = self.nodes[node].name.into();
                let state = json!({ "running": { "startedAt": moment(since) } });
                status = json!({ "phase": "Running", "startTime": moment(since), "podIP": format!("10.0.{node}.1") });
                status["containerStatuses"] = json!([{ "name": pod.service, "ready": ready, "restartCount": 0, "started": true, "state": state }]);
                conditions.push(condition("Ready", ready, if ready { "" } else { "ContainersNotReady" }, since));
            }
            None => {
                conditions[0]["reason"] = "Unschedulable".into();
                conditions[0]["message"] =
                    format!("0/{} nodes are available: Insufficient cpu.", self.nodes.len()).into();
            }
        }
        status["conditions"] = conditions.into();
        object["spec"] = spec;
        object["status"] = status;
        object
    }
}

/// The scale subresource of a deployment as it is served.
pub fn scale(deployment: &Value) -> Value {
    let metadata = &deployment["metadata"];
    let mut own = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        own[field] = metadata[field].clone();
    }
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": own,
        "spec": { "replicas": deployment["spec"]["replicas"] },
        "status": {
            "replicas": deployment["status"]["replicas"].as_u64().unwrap_or(0),
            "selector": format!("app={}", metadata["name"].as_str().unwrap_or_default()),
        },
    })
}
