//! Whether more pods would find room: what the nodes have left, pod by pod. A server-side dry run cannot tell; only the scheduler knows
//! for sure (preferences, volumes, other clients), so this warns and never blocks.

use serde_json::Value;

use super::pods::has_ended;
use super::selector::{Labels, holds, labels};

/// The resources that decide; of the last one, each pod takes one.
const RESOURCES: [&str; 3] = ["cpu", "memory", "pods"];

/// Suffixes of quantities and what they multiply by
/// (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>).
const SUFFIXES: [(&str, f64); 16] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
    ("", 1.0),
];

/// Amounts, in the order of [`RESOURCES`].
pub type Amount = [f64; RESOURCES.len()];

pub fn quantity(text: &str) -> Option<f64> {
    let (suffix, factor) = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix))?;
    text.strip_suffix(suffix)?.parse::<f64>().ok().map(|number| number * factor)
}

/// A quantity may be written as a number.
fn read(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| quantity(value.as_str()?))
}

fn plus(one: Amount, other: Amount) -> Amount {
    std::array::from_fn(|nth| one[nth] + other[nth])
}

/// Which half of its `resources` a container is held by. Of requests it is the limit that counts, where there is only that.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Requests,
    Limits,
}

impl Half {
    fn name(self) -> &'static str {
        if self == Self::Limits { "limits" } else { "requests" }
    }

    fn of(self, container: &Value) -> Amount {
        let resources = &container["resources"];
        RESOURCES.map(|name| {
            let said = [&resources[self.name()][name], &resources["limits"][name]];
            said.into_iter().find_map(read).unwrap_or(0.0)
        })
    }
}

/// What a pod asks for.
pub fn requests(spec: &Value) -> Amount {
    sum(spec, Half::Requests)
}

/// What a pod may use at most, as far as it says so.
pub fn limits(spec: &Value) -> Amount {
    sum(spec, Half::Limits)
}

/// What a pod comes to: its containers together with the sidecars among its init containers, or an init container with the sidecars that
/// begin before it, whichever is more; and what its runtime class takes
/// (<https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers>).
fn sum(spec: &Value, half: Half) -> Amount {
    let list = |name: &str| spec[name].as_array().cloned().unwrap_or_default();
    let (mut sidecars, mut most) = ([0.0; RESOURCES.len()], [0.0_f64; RESOURCES.len()]);
    for init in list("initContainers") {
        let asked = plus(half.of(&init), sidecars);
        if init["restartPolicy"].as_str() == Some("Always") {
            sidecars = asked;
        }
        most = std::array::from_fn(|nth| most[nth].max(asked[nth]));
    }
    let together = list("containers").iter().map(|it| half.of(it)).fold(sidecars, plus);
    let whole = &spec["resources"][half.name()];
    let overhead = &spec["overhead"];
    std::array::from_fn(|nth| {
        let of_containers = most[nth].max(together[nth]);
        let asked =
            read(&whole[RESOURCES[nth]]).unwrap_or(of_containers) + read(&overhead[RESOURCES[nth]]).unwrap_or(0.0);
        if RESOURCES[nth] == "pods" { 1.0 } else { asked }
    })
}

/// A pod to find room for: what it asks for, and which nodes it may go to.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub amount: Amount,
    pub limits: Amount,
    spec: Value,
}

impl Asked {
    /// One by a template.
    pub fn by(template: &Value) -> Self {
        let spec = &template["spec"];
        Self { amount: requests(spec), limits: limits(spec), spec: spec.clone() }
    }
}

/// A node that takes pods.
#[derive(Clone, Debug, Default)]
pub struct Room {
    pub left: Amount,
    labels: Labels,
    taints: Vec<Value>,
}

impl Room {
    /// Whether the node's taints and the pod's own choice let it come here: `nodeSelector`, and what its affinity requires.
    fn lets_in(&self, spec: &Value) -> bool {
        let tolerations: Vec<&Value> = spec["tolerations"].as_array().into_iter().flatten().collect();
        let tolerated = |taint: &Value| tolerations.iter().any(|it| tolerates(it, taint));
        let chosen = spec["nodeSelector"].as_object().into_iter().flatten();
        let required =
            &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
        let terms: Vec<&Value> = required.as_array().into_iter().flatten().collect();
        let term =
            |it: &&Value| it["matchExpressions"].as_array().into_iter().flatten().all(|it| holds(it, &self.labels));
        self.taints.iter().all(tolerated)
            && chosen.into_iter().all(|(name, value)| self.labels.get(name).map(String::as_str) == value.as_str())
            && (terms.is_empty() || terms.iter().any(term))
    }
}

/// <https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>
fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let text = |of: &Value, name: &str| of[name].as_str().unwrap_or_default().to_owned();
    let (key, effect) = (text(toleration, "key"), text(toleration, "effect"));
    let exists = text(toleration, "operator") == "Exists";
    (effect.is_empty() || effect == text(taint, "effect"))
        && (key == text(taint, "key") || key.is_empty() && exists)
        && (exists || text(toleration, "value") == text(taint, "value"))
}

/// What the ready nodes have left, node by node, when the pods that wait for a node have found theirs.
pub fn left(nodes: &[Value], pods: &[Value]) -> Vec<Room> {
    let usable = nodes.iter().filter(|node| is_ready(node) && node["spec"]["unschedulable"].as_bool() != Some(true));
    let living = || pods.iter().filter(|pod| !has_ended(pod));
    let on = |pod: &Value| pod["spec"]["nodeName"].as_str().unwrap_or_default().to_owned();
    let room = |node: &Value| {
        let name = node["metadata"]["name"].as_str().unwrap_or_default();
        let allocatable = &node["status"]["allocatable"];
        // A node that says nothing of pods takes any number.
        let bound = |name: &str| read(&allocatable[name]).unwrap_or(if name == "pods" { f64::INFINITY } else { 0.0 });
        let taken = living().filter(|pod| on(pod) == name).map(|pod| requests(&pod["spec"]));
        let left = taken.fold(RESOURCES.map(bound), |left, taken| std::array::from_fn(|nth| left[nth] - taken[nth]));
        let keeps_out = |it: &&Value| matches!(it["effect"].as_str(), Some("NoSchedule" | "NoExecute"));
        let taints = node["spec"]["taints"].as_array().into_iter().flatten().filter(keeps_out).cloned().collect();
        Room { left, labels: labels(node), taints }
    };
    let mut rooms: Vec<Room> = usable.map(room).collect();
    let waiting: Vec<Asked> = living().filter(|pod| on(pod).is_empty()).map(Asked::by).collect();
    fitting(&mut rooms, waiting.iter());
    rooms
}

pub fn is_ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|it| it["type"].as_str() == Some("Ready") && it["status"].as_str() == Some("True"))
}

/// How many of these pods find room: each goes to the first node that has enough and lets it in.
pub fn fitting<'a>(rooms: &mut [Room], pods: impl Iterator<Item = &'a Asked>) -> usize {
    let mut fit = 0;
    for pod in pods {
        let enough = |room: &Room| (0..pod.amount.len()).all(|nth| room.left[nth] >= pod.amount[nth]);
        if let Some(room) = rooms.iter_mut().find(|room| enough(room) && room.lets_in(&pod.spec)) {
            room.left = std::array::from_fn(|nth| room.left[nth] - pod.amount[nth]);
            fit += 1;
        }
    }
    fit
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_are_read() {
        let cases = [
            ("500m", 0.5),
            ("2", 2.0),
            ("512Mi", 536_870_912.0),
            ("1.5Gi", 1_610_612_736.0),
            ("3e2", 300.0),
            ("2k", 2000.0),
        ];
        for (text, number) in cases {
            assert_eq!(quantity(text), Some(number), "{text}");
        }
        assert_eq!(quantity("much"), None);
    }

    fn pod(cpu: &str) -> Value {
        json!({ "containers": [{ "resources": { "requests": { "cpu": cpu, "memory": "1Gi" } } }] })
    }

    fn node(name: &str, cpu: &str, spec: Value) -> Value {
        json!({
            "metadata": { "name": name, "labels": { "zone": name } }, "spec": spec,
            "status": {
                "allocatable": { "cpu": cpu, "memory": "64Gi", "pods": "4" },
                "conditions": [{ "type": "Ready", "status": "True" }],
            },
        })
    }

    fn fit(nodes: &[Value], pods: &[Value], spec: &Value, many: usize) -> usize {
        let asked = Asked::by(&json!({ "spec": spec }));
        fitting(&mut left(nodes, pods), std::iter::repeat_n(&asked, many))
    }

    #[test]
    fn room_on_two_nodes_is_not_room_for_one_large_pod() {
        let nodes = [node("a", "1", json!({})), node("b", "1", json!({}))];
        assert_eq!(fit(&nodes, &[], &pod("1500m"), 1), 0);
        assert_eq!(fit(&nodes, &[], &pod("500m"), 5), 4);
        assert_eq!(fit(&nodes, &[], &pod("1m"), 20), 8, "a node takes only so many pods");
    }

    #[test]
    fn every_pod_counts_those_that_wait_and_those_that_begin_as_well() {
        let nodes = [node("a", "4", json!({}))];
        let placed = json!({ "spec": { "nodeName": "a", "containers": pod("1")["containers"] }, "status": { "phase": "Running" } });
        let waits = json!({ "spec": pod("2"), "status": { "phase": "Pending" } });
        let ended = json!({ "spec": { "nodeName": "a", "containers": pod("4")["containers"] }, "status": { "phase": "Succeeded" } });
        assert_eq!(fit(&nodes, &[placed.clone(), ended], &pod("1"), 9), 3);
        assert_eq!(fit(&nodes, &[placed, waits], &pod("1"), 9), 1, "who waits goes first");
        let init = json!({
            "initContainers": [
                { "restartPolicy": "Always", "resources": { "requests": { "cpu": "500m" } } },
                { "resources": { "limits": { "cpu": "3" } } },
            ],
            "containers": [{ "resources": { "requests": { "cpu": "1" } } }],
            "overhead": { "cpu": "250m" },
        });
        assert_eq!(requests(&init)[0], 3.75, "the init container and the sidecar before it, and the runtime");
        assert_eq!(limits(&init)[0], 3.25, "who says no limit has none");
    }

    #[test]
    fn a_node_that_keeps_a_pod_out_has_no_room_for_it() {
        let tainted = json!({ "taints": [{ "key": "role", "value": "db", "effect": "NoSchedule" }] });
        let nodes = [node("a", "4", tainted), node("b", "4", json!({ "unschedulable": true }))];
        let mut spec = pod("1");
        assert_eq!(fit(&nodes, &[], &spec, 1), 0);
        spec["tolerations"] = json!([{ "key": "role", "value": "db" }]);
        assert_eq!(fit(&nodes, &[], &spec, 1), 1);
        spec["nodeSelector"] = json!({ "zone": "b" });
        assert_eq!(fit(&nodes, &[], &spec, 1), 0);
        spec["nodeSelector"] = Value::Null;
        let term = |operator: &str| {
            json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{ "matchExpressions": [{ "key": "zone", "operator": operator, "values": ["a"] }] }],
        } } })
        };
        spec["affinity"] = term("In");
        assert_eq!(fit(&nodes, &[], &spec, 1), 1);
        spec["affinity"] = term("NotIn");
        assert_eq!(fit(&nodes, &[], &spec, 1), 0);
    }
}
