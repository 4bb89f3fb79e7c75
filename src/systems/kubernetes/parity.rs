//! What both regions ought to run alike. How many replicas there are is no part of it: a warm standby is small.

use futures::future::BoxFuture;
use serde_json::Value;

use super::Cluster;
use super::workload::Workload;
use crate::domain::ids::RegionId;
use crate::domain::readiness::Fact;
use crate::domain::system::Fault;
use crate::domain::text::clean;

impl Cluster {
    /// The images and requests of what serves.
    ///
    /// # Errors
    /// When any kind of it could not be looked at: what was not seen would look like what the other region lacks.
    pub fn facts(&self) -> BoxFuture<'_, Result<Vec<Fact>, Fault>> {
        Box::pin(async move {
            let Some(region) = &self.region else { return Ok(Vec::new()) };
            let serving = self.serving(&[]).await?;
            Ok(serving.all.iter().flat_map(|it| facts(it, region)).collect())
        })
    }
}

fn facts(it: &Workload, region: &RegionId) -> Vec<Fact> {
    let containers = ["containers", "initContainers"].map(|which| it.template["spec"][which].as_array());
    let of = |container: &Value| {
        let name = container["name"].as_str().unwrap_or_default();
        // A pod's containers are told apart by what they belong to.
        let subject = clean(&format!("{}/{}/{name}", it.name, it.spot.namespace));
        let fact = |name: &str, value: &str| Fact {
            subject: subject.clone(),
            name: name.to_owned(),
            region: region.clone(),
            value: clean(value),
        };
        let mut found = vec![fact("image", past_the_registry(container["image"].as_str().unwrap_or_default()))];
        let requests = container["resources"]["requests"].as_object().into_iter().flatten();
        found.extend(requests.map(|(what, size)| {
            let number = size.to_string();
            fact(&format!("{what} request"), size.as_str().unwrap_or(&number))
        }));
        found
    };
    containers.into_iter().flatten().flatten().flat_map(of).collect()
}

/// An image without the host that it is pulled from: each region has its own registry, and what it serves is told by the rest. The first
/// part is a host when it has a dot or a port, or is `localhost`
/// (<https://github.com/distribution/reference>, `splitDockerDomain`).
///
/// What Docker Hub calls `library/redis` is written `redis` there.
fn past_the_registry(image: &str) -> &str {
    let image = match image.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => rest,
        _ => image,
    };
    image.strip_prefix("library/").unwrap_or(image)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Spot;
    use super::super::sorts::STATEFUL_SET;
    use super::*;

    #[test]
    fn a_region_pulls_from_its_own_registry_and_runs_the_same() {
        for (image, told) in [
            ("111122223333.dkr.ecr.us-east-1.amazonaws.com/api:1.4", "api:1.4"),
            ("europe-docker.pkg.dev/shop/main/api@sha256:ab", "shop/main/api@sha256:ab"),
            ("localhost:5000/api:1", "api:1"),
            ("docker.io/library/redis:7", "redis:7"),
            ("library/redis:7", "redis:7"),
            ("redis:7", "redis:7"),
        ] {
            assert_eq!(past_the_registry(image), told);
        }
    }

    #[test]
    fn init_containers_and_stateful_sets_are_held_against_each_other_as_well() {
        let set = json!({ "metadata": { "name": "queue" }, "spec": { "template": { "spec": {
            "containers": [{ "name": "q", "image": "r.example/q:1", "resources": { "requests": { "cpu": 1, "memory": "1Gi" } } }],
            "initContainers": [{ "name": "migrate", "image": "r.example/m:2" }],
        } } } });
        let it = Workload::of(&set, &STATEFUL_SET, &Spot::alone("shop"));
        let told: Vec<String> =
            facts(&it, &"east".into()).iter().map(|it| format!("{} {}: {}", it.subject, it.name, it.value)).collect();
        assert_eq!(
            told,
            [
                "queue/shop/q image: q:1",
                "queue/shop/q cpu request: 1",
                "queue/shop/q memory request: 1Gi",
                "queue/shop/migrate image: m:2"
            ]
        );
    }
}
