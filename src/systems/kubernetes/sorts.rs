//! What runs pods: a table of the kinds that every cluster has or many have, and how any other is found that has a scale subresource.
//!
//! Scale: <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#scale-subresource>;
//! discovery: <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api>.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::time::Instant;

use super::client::Client;
use super::lists::part;
use crate::domain::system::Fault;

/// How something is told to run less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knob {
    /// The scale subresource.
    Scale,
    /// `spec.suspend`.
    Suspend,
    /// `spec.parallelism`: a Job at zero ends its pods and keeps what it has done, on servers that know no `suspend` as well.
    Parallelism,
    /// KEDA's annotation.
    Pause,
    /// Not at all: pods of a DaemonSet, and pods that nobody minds.
    None,
}

/// A kind of object that runs pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    pub kind: Cow<'static, str>,
    group: Cow<'static, str>,
    /// The newest first: an older server has only the last.
    versions: Cow<'static, [Cow<'static, str>]>,
    pub plural: Cow<'static, str>,
    pub knob: Knob,
    /// Whether it stands in the table below.
    pub is_known: bool,
}

const fn sort(
    kind: &'static str,
    group: &'static str,
    versions: &'static [Cow<'static, str>],
    plural: &'static str,
    knob: Knob,
) -> Sort {
    let (kind, group, plural) = (Cow::Borrowed(kind), Cow::Borrowed(group), Cow::Borrowed(plural));
    Sort { kind, group, versions: Cow::Borrowed(versions), plural, knob, is_known: true }
}

const V1: &[Cow<'static, str>] = &[Cow::Borrowed("v1")];
const ALPHA: &[Cow<'static, str>] = &[Cow::Borrowed("v1alpha1")];
/// CronJobs were `v1beta1` up to 1.20.
const CRON: &[Cow<'static, str>] = &[Cow::Borrowed("v1"), Cow::Borrowed("v1beta1")];

pub static DEPLOYMENT: Sort = sort("Deployment", "apps", V1, "deployments", Knob::Scale);
pub static STATEFUL_SET: Sort = sort("StatefulSet", "apps", V1, "statefulsets", Knob::Scale);
pub static DAEMON_SET: Sort = sort("DaemonSet", "apps", V1, "daemonsets", Knob::None);
pub static CRON_JOB: Sort = sort("CronJob", "batch", CRON, "cronjobs", Knob::Suspend);
pub static JOB: Sort = sort("Job", "batch", V1, "jobs", Knob::Parallelism);
pub static ROLLOUT: Sort = sort("Rollout", "argoproj.io", ALPHA, "rollouts", Knob::Scale);
pub static SCALED_JOB: Sort = sort("ScaledJob", "keda.sh", ALPHA, "scaledjobs", Knob::Pause);
pub static SCALED_OBJECT: Sort = sort("ScaledObject", "keda.sh", ALPHA, "scaledobjects", Knob::None);
pub static POD: Sort = sort("Pod", "", V1, "pods", Knob::None);

/// What serves clients: it is probed, scaled, restarted and held against the other region.
pub static SERVING: [&Sort; 3] = [&DEPLOYMENT, &STATEFUL_SET, &ROLLOUT];
/// What may make pods that write, in the order in which it is stopped: what makes others comes first.
pub static WRITING: [&Sort; 7] = [&CRON_JOB, &SCALED_JOB, &JOB, &DEPLOYMENT, &STATEFUL_SET, &ROLLOUT, &DAEMON_SET];

impl Sort {
    /// One that a server told of.
    pub fn told(api_version: &str, kind: &str, plural: &str, scales: bool) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self {
            kind: Cow::Owned(kind.to_owned()),
            group: Cow::Owned(group.to_owned()),
            versions: Cow::Owned(vec![Cow::Owned(version.to_owned())]),
            plural: Cow::Owned(plural.to_owned()),
            knob: if scales { Knob::Scale } else { Knob::None },
            is_known: false,
        }
    }

    pub fn group(&self) -> &str {
        &self.group
    }

    /// Where all of them in a namespace are, for each version that a server may have.
    pub fn paths(&self, namespace: &str) -> impl Iterator<Item = String> {
        let root = if self.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", self.group) };
        let (namespace, plural) = (part(namespace), self.plural.clone());
        self.versions.iter().map(move |version| format!("{root}/{version}/namespaces/{namespace}/{plural}"))
    }

    /// `rollouts.argoproj.io`; what belongs to Kubernetes itself is `statefulsets`.
    pub fn resource(&self) -> String {
        match self.group.contains('.') {
            true => format!("{}.{}", self.plural, self.group),
            false => self.plural.to_string(),
        }
    }

    /// Whether people may mean it by this word: `statefulset`, `statefulsets`, `rollouts.argoproj.io`.
    pub fn is_called(&self, word: &str) -> bool {
        let word = word.to_ascii_lowercase();
        word == self.kind.to_ascii_lowercase() || word == *self.plural || word == self.resource()
    }

    /// Whether an object's `apiVersion` and `kind`, as an owner is told, are of this sort.
    pub fn is_of(&self, api_version: &str, kind: &str) -> bool {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        kind == self.kind && group == self.group
    }
}

/// How long it is believed what kinds a server has.
const BELIEVED: Duration = Duration::from_secs(600);
/// So many groups are asked at once.
const AT_ONCE: usize = 8;

/// What a server said of its kinds, by API version, and of its groups.
#[derive(Default)]
pub struct Told {
    kinds: Mutex<BTreeMap<String, (Instant, Vec<Sort>)>>,
    groups: Mutex<BTreeMap<String, (Instant, bool)>>,
}

impl Client {
    /// Every custom kind of this server that has a scale subresource. A group that does not answer (an aggregated API that is down) is
    /// passed over: whatever it has, its pods are seen.
    ///
    /// # Errors
    /// When the list of groups could not be read.
    pub fn scalable(&self) -> BoxFuture<'_, Result<Vec<Sort>, Fault>> {
        Box::pin(async move {
            let groups = self.get("list API groups", "/apis").await?.unwrap_or_default();
            let preferred = |group: &Value| Some(group["preferredVersion"]["groupVersion"].as_str()?.to_owned());
            let of = groups["groups"].as_array().into_iter().flatten().filter_map(preferred);
            let custom = of.filter(|version| {
                let group = version.split('/').next().unwrap_or_default();
                group.contains('.') && !group.ends_with(".k8s.io")
            });
            let asked: Vec<BoxFuture<'_, Vec<Sort>>> = custom.map(|version| self.kinds_or_none(version)).collect();
            let told: Vec<Vec<Sort>> = futures::stream::iter(asked).buffered(AT_ONCE).collect().await;
            Ok(told.into_iter().flatten().filter(|it| it.knob == Knob::Scale).collect())
        })
    }

    fn kinds_or_none(&self, version: String) -> BoxFuture<'_, Vec<Sort>> {
        Box::pin(async move { self.kinds_of(&version).await.unwrap_or_default() })
    }

    /// The sort of an object by its `apiVersion` and `kind`; `None` when the server does not know it.
    ///
    /// # Errors
    /// When the server did not say.
    pub async fn sort_of(&self, api_version: &str, kind: &str) -> Result<Option<Sort>, Fault> {
        let known = WRITING.iter().find(|it| it.is_of(api_version, kind));
        if let Some(known) = known {
            return Ok(Some((*known).clone()));
        }
        Ok(self.kinds_of(api_version).await?.into_iter().find(|it| it.kind == kind))
    }

    /// All objects of a sort in a namespace, with the path of their list. Where the server has no such kind there are none: to an account
    /// with few rights it says 403 of that as well, and then its groups tell.
    ///
    /// # Errors
    /// When they could not be looked at.
    pub fn all_of<'a>(
        &'a self,
        sort: &'a Sort,
        namespace: &'a str,
    ) -> BoxFuture<'a, Result<(String, Vec<Value>), Fault>> {
        Box::pin(self.all_listed(sort, namespace))
    }

    async fn all_listed(&self, sort: &Sort, namespace: &str) -> Result<(String, Vec<Value>), Fault> {
        let what = format!("list {}", sort.resource());
        for path in sort.paths(namespace) {
            match self.list(&what, &path).await {
                Ok(Some(found)) => return Ok((path, found)),
                Ok(None) => {}
                Err(_) if self.lacks(sort).await => break,
                Err(fault) => return Err(fault),
            }
        }
        Ok((String::new(), Vec::new()))
    }

    /// Whether the server said that it has no such group at all.
    pub async fn lacks(&self, sort: &Sort) -> bool {
        let group = sort.group();
        if !group.contains('.') {
            return false;
        }
        let lock = || self.told.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = lock().get(group).filter(|(at, _)| at.elapsed() < BELIEVED) {
            return *known;
        }
        let Ok(found) = self.get("look for an API group", &format!("/apis/{}", part(group))).await else {
            return false;
        };
        lock().insert(group.to_owned(), (Instant::now(), found.is_none()));
        found.is_none()
    }

    async fn kinds_of(&self, api_version: &str) -> Result<Vec<Sort>, Fault> {
        let lock = || self.told.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, known)) = lock().get(api_version)
            && at.elapsed() < BELIEVED
        {
            return Ok(known.clone());
        }
        let root = if api_version.contains('/') { "/apis" } else { "/api" };
        let path = api_version.split('/').map(part).collect::<Vec<_>>().join("/");
        let list = self.get("list API kinds", &format!("{root}/{path}")).await?.unwrap_or_default();
        let all: Vec<&Value> = list["resources"].as_array().into_iter().flatten().collect();
        let name = |it: &Value| it["name"].as_str().unwrap_or_default().to_owned();
        let scaled: Vec<String> =
            all.iter().filter_map(|it| name(it).strip_suffix("/scale").map(str::to_owned)).collect();
        let own = all.iter().filter(|it| !name(it).contains('/') && it["namespaced"].as_bool() == Some(true));
        let of = |it: &&Value| {
            Sort::told(api_version, it["kind"].as_str().unwrap_or_default(), &name(it), scaled.contains(&name(it)))
        };
        let told: Vec<Sort> = own.map(of).collect();
        lock().insert(api_version.to_owned(), (Instant::now(), told.clone()));
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sort_is_known_by_its_words_and_its_paths() {
        assert!(STATEFUL_SET.is_called("StatefulSet") && STATEFUL_SET.is_called("statefulsets"));
        assert!(ROLLOUT.is_called("rollouts.argoproj.io") && !ROLLOUT.is_called("deployment"));
        let paths: Vec<String> = CRON_JOB.paths("shop").collect();
        assert_eq!(paths, ["/apis/batch/v1/namespaces/shop/cronjobs", "/apis/batch/v1beta1/namespaces/shop/cronjobs"]);
        assert_eq!(POD.paths("a b").next().unwrap(), "/api/v1/namespaces/a%20b/pods");
        assert!(JOB.is_of("batch/v1", "Job") && !JOB.is_of("batch.volcano.sh/v1alpha1", "Job"));
        let told = Sort::told("apps.kruise.io/v1alpha1", "CloneSet", "clonesets", true);
        assert_eq!((told.knob, told.resource().as_str()), (Knob::Scale, "clonesets.apps.kruise.io"));
        assert_eq!(told.paths("n").next().unwrap(), "/apis/apps.kruise.io/v1alpha1/namespaces/n/clonesets");
    }
}
