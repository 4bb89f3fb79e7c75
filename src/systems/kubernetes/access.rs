//! What these credentials may do in the cluster, and what its workloads are made of. Nothing is changed.
//!
//! `SelfSubjectAccessReview`: <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access>.

use futures::future::BoxFuture;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Container;

use super::Cluster;
use crate::domain::ids::RegionId;
use crate::domain::readiness::{Fact, access};
use crate::domain::system::{Fault, Fitness};
use crate::domain::text::clean;

/// The API group, the resource with its subresource, and the verb.
pub type Action<'a> = (&'a str, &'a str, &'a str);

impl Cluster {
    /// Whether all of `actions` are allowed in this namespace.
    pub fn fitness<'a>(&'a self, actions: &'a [Action<'a>]) -> BoxFuture<'a, Result<Fitness, Fault>> {
        Box::pin(async move {
            let mut denied = Vec::new();
            for action @ (_, resource, verb) in actions {
                if !self.client.may(*action).await? {
                    denied.push(format!("{verb} {resource} in {}", self.namespace));
                }
            }
            Ok(Fitness { guards: vec![access(&denied, actions.len(), "the account in this cluster")] })
        })
    }

    /// What both regions ought to run alike. How many replicas there are is no part of it: a warm standby is small.
    pub fn facts(&self) -> BoxFuture<'_, Result<Vec<Fact>, Fault>> {
        Box::pin(async move {
            let Some(region) = &self.region else { return Ok(Vec::new()) };
            let deployments = self.client.deployments().await?;
            Ok(deployments.iter().flat_map(|it| facts(it, &self.namespace, region)).collect())
        })
    }
}

fn facts(deployment: &Deployment, namespace: &str, region: &RegionId) -> Vec<Fact> {
    let name = deployment.metadata.name.as_deref().unwrap_or_default();
    let pod = deployment.spec.template.spec.as_ref();
    let containers = pod.map(|pod| pod.containers.as_slice()).unwrap_or_default();
    let fact = |container: &Container, name: &str, value: String| Fact {
        subject: clean(&format!("{namespace}/{}", container.name)),
        name: name.to_owned(),
        region: region.clone(),
        value: clean(&value),
    };
    let of = |container: &Container| {
        let mut found = vec![fact(container, "image", container.image.clone().unwrap_or_default())];
        let requests = container.resources.as_ref().and_then(|it| it.requests.as_ref());
        found.extend(
            requests
                .into_iter()
                .flatten()
                .map(|(what, size)| fact(container, &format!("{what} request"), size.0.clone())),
        );
        found
    };
    // A pod's containers are told apart by the deployment that they belong to.
    let mut all: Vec<Fact> = containers.iter().flat_map(of).collect();
    all.iter_mut().for_each(|fact| fact.subject = format!("{}/{}", clean(name), fact.subject));
    all
}
