//! What these credentials may do in the cluster. Nothing is changed.
//!
//! `SelfSubjectAccessReview`: <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access>.

use std::collections::BTreeSet;

use futures::future::{BoxFuture, join_all};

use super::client::review;
use super::sorts::{Knob, Sort};
use super::{Cluster, Spot};
use crate::domain::readiness::access;
use crate::domain::system::{Fault, Fitness};
use crate::domain::text::clean;

/// The API group, the resource with its subresource, and the verb.
pub type Action = (String, String, &'static str);

pub fn action(group: &str, resource: &str, verb: &'static str) -> Action {
    (group.to_owned(), resource.to_owned(), verb)
}

/// What it takes to see a kind.
pub fn look_at(sort: &Sort) -> Action {
    action(sort.group(), &sort.plural, "list")
}

/// What it takes to tell a kind how much to run.
pub fn tell(sort: &Sort) -> Option<Action> {
    match sort.knob {
        Knob::Scale => Some(action(sort.group(), &format!("{}/scale", sort.plural), "patch")),
        Knob::Suspend | Knob::Parallelism | Knob::Pause => Some(action(sort.group(), &sort.plural, "patch")),
        Knob::None => None,
    }
}

impl Cluster {
    /// Whether all of `actions` are allowed in each of the namespaces.
    ///
    /// # Errors
    /// When it could not be asked.
    pub fn fitness(&self, actions: BTreeSet<Action>) -> BoxFuture<'_, Result<Fitness, Fault>> {
        Box::pin(async move {
            let mut asked = Vec::new();
            for spot in &self.spots {
                asked.extend(actions.iter().map(|action| spot.denied(action)));
            }
            let denied: Vec<Option<String>> = join_all(asked).await.into_iter().collect::<Result<_, _>>()?;
            let denied: Vec<String> = denied.into_iter().flatten().collect();
            Ok(Fitness { guards: vec![access(&denied, actions.len(), "the account in this cluster")] })
        })
    }
}

impl Spot {
    /// What these credentials may not do here, in words, if that is so.
    fn denied<'a>(&'a self, (group, resource, verb): &'a Action) -> BoxFuture<'a, Result<Option<String>, Fault>> {
        Box::pin(async move {
            let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
            let asked = review(&self.namespace, group, resource, verb);
            let answer = self.client.question("ask for access", path, &asked).await?;
            let status = &answer["status"];
            let allowed = status["allowed"].as_bool() == Some(true);
            // An authorizer that failed may be why.
            let why = status["evaluationError"].as_str().filter(|why| !why.is_empty());
            let why = why.map(|why| clean(&format!(" ({why})"))).unwrap_or_default();
            Ok((!allowed).then(|| format!("{verb} {resource} in {}{why}", self.namespace)))
        })
    }
}
