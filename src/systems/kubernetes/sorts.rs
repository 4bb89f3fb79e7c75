//! What runs pods: a table of the kinds that every cluster has or many have, and how any other is found that has a scale subresource.
//!
//! Scale: <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#scale-subresource>;
//! discovery: <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api>.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::lists::part;

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
pub(super) const BELIEVED: Duration = Duration::from_secs(600);

/// What a server said of its kinds, by API version, and of its groups.
#[derive(Default)]
pub struct Told {
    pub(super) kinds: Mutex<BTreeMap<String, (Instant, Vec<Sort>)>>,
    pub(super) groups: Mutex<BTreeMap<String, (Instant, bool)>>,
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
