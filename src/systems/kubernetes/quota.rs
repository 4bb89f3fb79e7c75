//! What a namespace's quotas would allow of more pods (<https://kubernetes.io/docs/concepts/policy/resource-quotas/>).

use serde_json::Value;

use super::capacity::{Asked, quantity};
use crate::domain::text::clean;

/// The names by which quotas know what pods use, and how much of each so many pods more would use.
fn uses(pods: &[Asked]) -> [(&'static str, f64); 8] {
    let of = |nth: usize| pods.iter().map(|pod| pod.amount[nth]).sum::<f64>();
    let at_most = |nth: usize| pods.iter().map(|pod| pod.limits[nth]).sum::<f64>();
    let (cpu, memory, count) = (of(0), of(1), of(2));
    [
        ("pods", count),
        ("count/pods", count),
        ("cpu", cpu),
        ("requests.cpu", cpu),
        ("memory", memory),
        ("requests.memory", memory),
        ("limits.cpu", at_most(0)),
        ("limits.memory", at_most(1)),
    ]
}

/// The name of a quota.
pub fn name(quota: &Value) -> String {
    clean(quota["metadata"]["name"].as_str().unwrap_or_default())
}

/// What a quota would not allow of so many pods more: `quota gennet leaves no room for 12 pods more: pods 6 of 8 used`. One with a scope is
/// passed over: it is for other pods than those of deployments.
pub fn beyond(quota: &Value, pods: &[Asked]) -> Option<String> {
    let spec = &quota["spec"];
    if !spec["scopes"].is_null() || !spec["scopeSelector"].is_null() {
        return None;
    }
    let known = |of: &str, name: &str| match &quota["status"][of][name] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        number => Some(number.to_string()),
    };
    let over = |(name, more): (&'static str, f64)| {
        let (hard, used) = (known("hard", name)?, known("used", name)?);
        let left = quantity(&hard)? - quantity(&used)?;
        // A little less than nothing is the rounding of milli-units.
        (more > left + 1e-6).then(|| clean(&format!("{name} {used} of {hard} used")))
    };
    let words = uses(pods).into_iter().find_map(over)?;
    Some(format!("quota {} leaves no room for {} pods more: {words}", name(quota), pods.len()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_quota_is_what_is_left_of_it_and_its_names_are_many() {
        let resources = json!({ "requests": { "cpu": "500m", "memory": "512Mi" }, "limits": { "cpu": "1" } });
        let pods = vec![Asked::by(&json!({ "spec": { "containers": [{ "resources": resources }] } })); 4];
        let says = |hard: Value, used: Value| {
            let quota = json!({ "metadata": { "name": "q" }, "spec": {}, "status": { "hard": hard, "used": used } });
            beyond(&quota, &pods)
        };
        assert_eq!(says(json!({ "pods": "10" }), json!({ "pods": "6" })), None);
        let over = says(json!({ "pods": "9" }), json!({ "pods": "6" })).unwrap();
        assert_eq!(over, "quota q leaves no room for 4 pods more: pods 6 of 9 used");
        let over = says(json!({ "requests.cpu": "3" }), json!({ "requests.cpu": "1500m" }));
        assert!(over.unwrap().ends_with("requests.cpu 1500m of 3 used"));
        let limits = says(json!({ "limits.cpu": "5" }), json!({ "limits.cpu": "2" }));
        assert!(limits.unwrap().ends_with("limits.cpu 2 of 5 used"));
        let memory = |hard: &str| says(json!({ "memory": hard }), json!({ "memory": "1Gi" }));
        assert_eq!((memory("3Gi"), memory("2Gi").is_some()), (None, true));
    }
}
