//! Whether more pods would find room: what the nodes have left, pod by pod. A server-side dry run cannot tell; only the scheduler knows
//! for sure (taints, affinity, other clients), so this warns and never blocks. And whether quotas would let them be made.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, Pod, PodSpec, ResourceQuota};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::domain::text::clean;

/// The resources that decide.
const RESOURCES: [&str; 2] = ["cpu", "memory"];

/// Suffixes of quantities and what they multiply by
/// (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>).
const SUFFIXES: [(&str, f64); 14] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("", 1.0),
];

/// Amounts, in the order of [`RESOURCES`].
pub type Amount = [f64; RESOURCES.len()];

fn quantity(text: &str) -> Option<f64> {
    let (suffix, factor) = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix))?;
    text.strip_suffix(suffix)?.parse::<f64>().ok().map(|number| number * factor)
}

fn amount(of: Option<&BTreeMap<String, Quantity>>) -> Amount {
    RESOURCES.map(|name| of.and_then(|of| of.get(name)).and_then(|it| quantity(&it.0)).unwrap_or(0.0))
}

/// What a pod asks for.
fn requests(spec: &PodSpec) -> Amount {
    let asked = spec.containers.iter().map(|it| amount(it.resources.as_ref().and_then(|it| it.requests.as_ref())));
    asked.fold([0.0; RESOURCES.len()], |sum, more| std::array::from_fn(|nth| sum[nth] + more[nth]))
}

/// What a pod of a deployment asks for.
pub fn asked_for(deployment: &Deployment) -> Amount {
    let spec = deployment.spec.template.spec.as_ref();
    spec.map_or([0.0; RESOURCES.len()], requests)
}

/// What the ready nodes have left, node by node.
pub fn left(nodes: &[Node], pods: &[Pod]) -> Vec<Amount> {
    let usable = nodes
        .iter()
        .filter(|node| is_ready(node) && node.spec.as_ref().is_none_or(|it| it.unschedulable != Some(true)));
    let room = |node: &Node| {
        let name = node.metadata.name.as_deref();
        let here = pods.iter().filter(|pod| pod.spec.as_ref().is_some_and(|it| it.node_name.as_deref() == name));
        let taken = here.filter(|pod| !has_ended(pod)).filter_map(|pod| pod.spec.as_ref()).map(requests);
        let all = amount(node.status.as_ref().and_then(|it| it.allocatable.as_ref()));
        taken.fold(all, |left, taken| std::array::from_fn(|nth| left[nth] - taken[nth]))
    };
    usable.map(room).collect()
}

pub fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|it| it.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|it| it.type_ == "Ready" && it.status == "True"))
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// How many of these pods find room: each goes to the first node that has enough.
pub fn fitting(mut left: Vec<Amount>, pods: impl Iterator<Item = Amount>) -> usize {
    let mut fit = 0;
    for asked in pods {
        let found = left.iter_mut().find(|left| (0..asked.len()).all(|nth| left[nth] >= asked[nth]));
        if let Some(node) = found {
            *node = std::array::from_fn(|nth| node[nth] - asked[nth]);
            fit += 1;
        }
    }
    fit
}

/// The names by which quotas know what pods use, and how much of each so many pods more would use
/// (<https://kubernetes.io/docs/concepts/policy/resource-quotas/>).
fn uses(pods: &[Amount]) -> [(&'static str, f64); 6] {
    let of = |nth: usize| pods.iter().map(|pod| pod[nth]).sum::<f64>();
    let (count, cpu, memory) = (pods.len() as f64, of(0), of(1));
    [
        ("pods", count),
        ("count/pods", count),
        ("cpu", cpu),
        ("requests.cpu", cpu),
        ("memory", memory),
        ("requests.memory", memory),
    ]
}

/// What a quota would not allow of so many pods more: `quota gennet leaves no room for 12 pods more: pods 6 of 8 used`. One with a scope is
/// passed over: it is for other pods than those of deployments.
pub fn beyond(quota: &ResourceQuota, pods: &[Amount]) -> Option<String> {
    if quota.spec.as_ref().is_some_and(|it| it.scopes.is_some() || it.scope_selector.is_some()) {
        return None;
    }
    let status = quota.status.as_ref()?;
    let known = |of: &Option<BTreeMap<String, Quantity>>, name: &str| of.as_ref().and_then(|of| of.get(name)).cloned();
    let over = |(name, more): (&'static str, f64)| {
        let (hard, used) = (known(&status.hard, name)?, known(&status.used, name)?);
        let left = quantity(&hard.0)? - quantity(&used.0)?;
        // A little less than nothing is the rounding of milli-units.
        (more > left + 1e-6).then(|| format!("{name} {} of {} used", clean(&used.0), clean(&hard.0)))
    };
    let words = uses(pods).into_iter().find_map(over)?;
    let name = clean(quota.metadata.name.as_deref().unwrap_or_default());
    Some(format!("quota {name} leaves no room for {} pods more: {words}", pods.len()))
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn room_on_two_nodes_is_not_room_for_one_large_pod() {
        let left = vec![[1.0, 4e9], [1.0, 4e9]];
        assert_eq!(fitting(left.clone(), std::iter::once([1.5, 1e9])), 0);
        assert_eq!(fitting(left.clone(), std::iter::repeat_n([0.5, 1e9], 5)), 4);
        assert_eq!(fitting(left, std::iter::repeat_n([0.1, 3e9], 5)), 2, "memory decides too");
    }

    #[test]
    fn a_quota_is_what_is_left_of_it_and_its_names_are_many() {
        let quota = |hard: serde_json::Value, used: serde_json::Value| -> ResourceQuota {
            let object = serde_json::json!({
                "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "q" }, "spec": {},
                "status": { "hard": hard, "used": used },
            });
            serde_json::from_value(object).unwrap()
        };
        let pods = [[0.5, 536_870_912.0]; 4];
        let says = |hard, used| beyond(&quota(hard, used), &pods);
        assert_eq!(says(serde_json::json!({ "pods": "10" }), serde_json::json!({ "pods": "6" })), None);
        let over = says(serde_json::json!({ "pods": "9" }), serde_json::json!({ "pods": "6" })).unwrap();
        assert_eq!(over, "quota q leaves no room for 4 pods more: pods 6 of 9 used");
        let over = says(serde_json::json!({ "requests.cpu": "3" }), serde_json::json!({ "requests.cpu": "1500m" }));
        assert!(over.unwrap().ends_with("requests.cpu 1500m of 3 used"));
        let memory = |hard: &str| says(serde_json::json!({ "memory": hard }), serde_json::json!({ "memory": "1Gi" }));
        assert_eq!((memory("3Gi"), memory("2Gi").is_some()), (None, true));
    }
}
