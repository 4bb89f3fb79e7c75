//! Kubernetes: what runs in one or several namespaces, of one or several clusters of a region.
//!
//! # What an installation can look like
//!
//! | It has | Mayday |
//! |---|---|
//! | a kubeconfig, several of them (`a:b`, `$KUBECONFIG`), `~/`, relative paths in it, a context or the current one | reads and merges them as kubectl does; a context that is not there is told with those that are |
//! | no kubeconfig, and Mayday runs in a pod | takes the pod's service account, and its token anew each minute; `in_pod = true` takes nothing else |
//! | `server` with `token` and `certificate_authority` | goes there; together with `kubeconfig`, `context`, `contexts` or `in_pod` it is refused: "`server` and `…` say two things about where the cluster is" |
//! | an `exec` login (EKS, GKE, AKS, OIDC) | runs it as a child with a limit of 20 s, keeps the token, renews it a minute before its end, and shows the program's own last line without arguments, variables and tokens |
//! | a login program that wants a terminal (`interactiveMode: Always`) | says "wants a terminal": an engine has none |
//! | `auth-provider` | says that Kubernetes gave it up in 1.26, and to use `exec` |
//! | tokens, token files, client certificates, user and password, `as`, `as-groups` | takes them, and reads files anew each minute |
//! | `proxy-url`, HTTPS_PROXY, HTTP_PROXY, NO_PROXY; proxies by http, https or socks5, with a password | chooses as kubectl does; another kind is told to be "not known: http, https or socks5" |
//! | `tls-server-name`, an authority of its own, `insecure-skip-tls-verify` | does as it says |
//! | several namespaces, or several clusters in a region | `namespaces = […]`, `contexts = […]`: workloads are called `shop/api` then; `namespace` beside `namespaces` is refused, as `context` beside `contexts` |
//! | Deployments, StatefulSets, Argo's Rollouts, and any custom kind with a scale subresource | probes, scales, fences them; restarts all but the last, which it says |
//! | two workloads of one name | asks for `statefulset/queue` or `deployment/queue` |
//! | DaemonSets and pods that nobody minds | a fence sees them, and is not done before they are gone or named in `except` |
//! | Jobs, CronJobs, KEDA's ScaledJobs | a fence holds them (`parallelism: 0`, `suspend`, `paused`), and gives them back |
//! | an operator's object above a StatefulSet | a fence scales it if it has a scale, else names it: it may start its pods again |
//! | HorizontalPodAutoscalers as v2, v2beta2 or v1, or none; KEDA's ScaledObjects | raises minimums before it scales up; a fence pauses KEDA, and needs no HorizontalPodAutoscaler |
//! | lists of any length | reads them to their end, anew when the server forgot the rest (410), and concludes nothing from a part |
//! | an API server that is slow, or refuses some kinds | says what it could not see; what only warns never holds a step up |
//! | an API server that takes up to 8 s for everything | is slow, and not silent: a fence waits that long once before it believes in silence |
//! | a namespace that is not there, by a slip in the config | a fence says "there is no namespace …": the server lists nothing of it, as of an empty one |
//! | a StatefulSet whose claims go when it is scaled down (`whenScaled: Delete`) | a fence is blocked by the guard `claims` |
//! | Deployments that are paused, StatefulSets with OnDelete or a partition | a restart is blocked by the guard `strategy` |
//! | workloads whose template is elsewhere (Argo's `workloadRef`, operators) | scaled; the guard `room` says that it cannot count them |
//! | quotas of pods, requests and limits | held against what is missing; quotas with scopes, of storage and of objects are passed over |
//! | `as-user-extra`, a kubeconfig's `extensions` | not read |
//!
//! A cluster that does not answer is out of reach for a fence only when its silence is its own: a name that is not found, a certificate that
//! does not fit, a proxy that is gone or forbids it (anything but 502 and 504, or Squid's `ERR_CONNECT_FAIL`) and a login that fails are told,
//! and are nobody's end. Of several clusters each is judged by itself: the ones that answer are stopped.

mod access;
mod backups;
mod capacity;
mod census;
mod client;
mod ear;
mod failure;
mod lists;
mod parity;
mod pods;
mod presence;
mod probes;
mod quota;
mod rights;
mod scalers;
mod selector;
mod sorts;
#[cfg(test)]
mod standin;
mod steps;
#[cfg(test)]
mod tests;
mod told;
mod workload;
mod writers;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use self::access::{Host, Source};
use self::client::Client;
use crate::domain::backup::{BackupLook, BackupSpec};
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::ids::RegionId;
use crate::domain::kinds::{Param, ParamType, ProbeKind, StepKind, StepRole, SystemKind, To, Undo, WayOut};
use crate::domain::params::Params;
use crate::domain::plan::StepSpec;
use crate::domain::readiness::Fact;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::systems::shell::quoted;

const WHICH: Param = Param::optional(
    "deployments",
    ParamType::List,
    "which ones: deployments or others, `statefulset/queue` where two have a name; all of the namespace when left out",
);

pub static KIND: SystemKind = SystemKind {
    name: "kubernetes",
    title: "What runs in namespaces of Kubernetes clusters",
    ambient: false,
    ways: &[WayOut::new("server", To::Own, "the API of Kubernetes")],
    params: &[
        Param::optional(
            "kubeconfig",
            ParamType::Paths,
            "the kubeconfig's path, or several with : between them; $KUBECONFIG or ~/.kube/config if left out",
        ),
        Param::optional("context", ParamType::Text, "the context of the kubeconfig; its current one when left out"),
        Param::optional("contexts", ParamType::List, "several contexts, where a region has several clusters"),
        Param::default(
            "in_pod",
            ParamType::Flag,
            "false",
            "log in as the pod that Mayday runs in, and in no other way",
        ),
        Param::optional("server", ParamType::Url, "the API server's URL, instead of a kubeconfig"),
        Param::optional("token", ParamType::Secret, "the bearer token, with `server`"),
        Param::optional(
            "certificate_authority",
            ParamType::Text,
            "a PEM file that the server's certificate is checked by",
        ),
        Param::optional("namespace", ParamType::Text, "where the workloads are; `default` when left out"),
        Param::optional("namespaces", ParamType::List, "several namespaces: what runs there is called `shop/api` then"),
        Param::optional(
            "replicas",
            ParamType::Numbers,
            "how many replicas of each workload carry the full load: what kubernetes.scale scales up to",
        ),
    ],
    probes: &[
        ProbeKind {
            name: "kubernetes.deployment",
            title: "A workload has the replicas it asks for, and they serve",
            params: &[Param::required(
                "name",
                ParamType::Text,
                "a deployment, StatefulSet, DaemonSet, Rollout or anything else that has a scale; `statefulset/queue` where two have a name",
            )],
        },
        ProbeKind { name: "kubernetes.nodes", title: "The cluster's nodes are ready", params: &[] },
    ],
    steps: &[
        StepKind {
            name: "kubernetes.scale",
            title: "Scale the workloads up to what carries the full load",
            role: StepRole::Capacity,
            undo: Undo::Revert,
            instead: "",
            params: &[],
        },
        StepKind {
            name: "kubernetes.standby",
            title: "Give the workloads of a region that does not serve a standby's size",
            role: StepRole::Changes,
            undo: Undo::Revert,
            instead: "",
            params: &[Param::default("each", ParamType::Integer, "1", "so many replicas of each workload")],
        },
        StepKind {
            name: "kubernetes.fence",
            title: "Stop what writes: scale all of it to zero, until no pod is left",
            role: StepRole::Fences,
            undo: Undo::Revert,
            instead: "",
            params: &[
                WHICH,
                Param::optional(
                    "except",
                    ParamType::List,
                    "what may go on because it writes nothing: `daemonset/log-agent`, `cronjob/report`, `pod/debug`",
                ),
            ],
        },
        StepKind {
            name: "kubernetes.restart",
            title: "Restart the workloads, a few pods at a time",
            role: StepRole::Changes,
            undo: Undo::PointOfNoReturn,
            instead: "the pods run the same version as before: there is nothing to go back to",
            params: &[WHICH],
        },
    ],
    backups: backups::KINDS,
};

/// Connects to clusters.
pub struct KubernetesFactory;

impl Factory for KubernetesFactory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }

    fn connect(&self, spec: &SystemSpec, _: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        Ok(Arc::new(Connected(Arc::new(Cluster::of(spec, &Host::this())?))))
    }
}

/// The namespaces and clusters of one `[[system]]`.
struct Cluster {
    id: String,
    region: Option<RegionId>,
    /// What carries the full load, by workload.
    full: BTreeMap<String, u64>,
    /// The API servers, and what each is called.
    clients: Vec<Arc<Client>>,
    contexts: Vec<String>,
    spots: Vec<Arc<Spot>>,
}

/// One namespace of one cluster.
struct Spot {
    client: Arc<Client>,
    namespace: String,
    /// What stands before the names of workloads: nothing where there is only one spot.
    label: String,
    /// What people may write before a name.
    prefixes: Vec<String>,
}

impl fmt::Debug for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spot({}{})", self.label, self.namespace)
    }
}

impl Spot {
    /// A name without what may stand before it.
    fn own_part<'n>(&self, name: &'n str) -> &'n str {
        self.prefixes.iter().find_map(|prefix| name.strip_prefix(prefix.as_str())).unwrap_or(name)
    }

    /// `kubectl --context … -n …`
    fn kubectl(&self) -> String {
        format!("{} -n {}", self.client.kubectl(), quoted(&self.namespace))
    }

    /// Of several of one system when `context` or `several` says so.
    fn new(client: Arc<Client>, namespace: &str, context: Option<&str>, several: bool) -> Arc<Self> {
        let label = match context {
            Some(context) => format!("{context}/{namespace}/"),
            None if several => format!("{namespace}/"),
            None => String::new(),
        };
        // The longest first: what is left is the name.
        let with = context.map(|it| [format!("{it}/{namespace}/"), format!("{it}/")]).into_iter().flatten();
        let prefixes = with.chain([format!("{namespace}/")]).collect();
        Arc::new(Self { client, namespace: namespace.to_owned(), label, prefixes })
    }

    #[cfg(test)]
    fn alone(namespace: &str) -> Arc<Self> {
        Self::new(Arc::new(Client::new("k8s", Source::Pod, Host::this())), namespace, None, false)
    }

    #[cfg(test)]
    fn among(namespace: &str, context: Option<&str>) -> Arc<Self> {
        Self::new(Arc::new(Client::new("k8s", Source::Pod, Host::this())), namespace, context, true)
    }
}

/// Where the clusters are that a config speaks of, each with what it is called where there are several.
fn sources(id: &str, params: &Params) -> Result<Vec<(Option<String>, Source)>, Fault> {
    let twice = |one: &str, other: &str, about: &str| {
        Err(Fault::permanent(id, format!("`{one}` and `{other}` say two things about {about}"))
            .next(format!("take `{other}` out")))
    };
    let has = |name: &str| params.0.contains_key(name) && (name != "in_pod" || params.flag(name));
    for first in ["server", "in_pod"] {
        let others = ["in_pod", "kubeconfig", "context", "contexts"].into_iter().filter(|it| *it != first);
        if let Some(other) = others.into_iter().find(|other| has(first) && has(other)) {
            return twice(first, other, "where the cluster is");
        }
    }
    if has("context") && has("contexts") {
        return twice("contexts", "context", "which cluster it is");
    }
    let text = |name: &str| params.opt_text(name).map(str::to_owned);
    if let Some(url) = params.opt_text("server") {
        let wrong = |error| {
            Fault::permanent(id, format!("`server` is not a URL: {error}"))
                .next("write it like https://k8s.example:6443")
        };
        let url = url.parse().map_err(wrong)?;
        let source = Source::Server { url, token: params.secret("token"), authority: text("certificate_authority") };
        return Ok(vec![(None, source)]);
    }
    if params.flag("in_pod") {
        return Ok(vec![(None, Source::Pod)]);
    }
    let files: Vec<String> = text("kubeconfig").into_iter().collect();
    let of = |context: Option<String>| Source::Kubeconfig { files: files.clone(), context };
    let contexts = distinct(id, "contexts", params)?;
    Ok(match contexts.is_empty() {
        true => vec![(None, of(text("context")))],
        false => contexts.into_iter().map(|it| (Some(it.clone()), of(Some(it)))).collect(),
    })
}

/// A list in which nothing stands twice.
fn distinct(id: &str, name: &str, params: &Params) -> Result<Vec<String>, Fault> {
    let all = params.list(name);
    if let Some(twice) = all.iter().enumerate().find_map(|(at, it)| all[..at].contains(it).then_some(it)) {
        return Err(Fault::permanent(id, format!("`{name}` has `{twice}` twice")).next("take one of them out"));
    }
    Ok(all)
}

impl Cluster {
    fn of(spec: &SystemSpec, host: &Host) -> Result<Self, Fault> {
        let (params, id) = (&spec.params, spec.id.to_string());
        let sources = sources(&id, params)?;
        let mut namespaces = distinct(&id, "namespaces", params)?;
        match params.opt_text("namespace") {
            Some(_) if !namespaces.is_empty() => {
                return Err(Fault::permanent(
                    &id,
                    "`namespace` and `namespaces` say two things about where the workloads are",
                )
                .next("take `namespace` out"));
            }
            only if namespaces.is_empty() => namespaces = vec![only.unwrap_or("default").to_owned()],
            _ => {}
        }
        let several = sources.len() > 1;
        let made = sources
            .into_iter()
            .map(|(context, source)| (context.unwrap_or_default(), Arc::new(Client::new(&id, source, host.clone()))));
        let (contexts, clients): (Vec<String>, Vec<Arc<Client>>) = made.unzip();
        let spots = contexts.iter().zip(&clients).flat_map(|(context, client)| {
            let context = several.then_some(context.as_str());
            let of = |it: &String| Spot::new(client.clone(), it, context, namespaces.len() > 1);
            namespaces.iter().map(of).collect::<Vec<_>>()
        });
        let spots = spots.collect();
        Ok(Self { id, region: spec.region.clone(), full: params.numbers("replicas"), clients, contexts, spots })
    }

    /// `gennet`, or every namespace that there is: where things are, in words.
    fn place(&self) -> String {
        let name = |spot: &Arc<Spot>| match spot.label.is_empty() {
            true => spot.namespace.clone(),
            false => spot.label.trim_end_matches('/').to_owned(),
        };
        crate::domain::text::clean(&self.spots.iter().map(name).collect::<Vec<_>>().join(", "))
    }
}

/// The shape the engine drives.
struct Connected(Arc<Cluster>);

#[async_trait]
impl System for Connected {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        self.0.probe(spec).await
    }

    async fn survey(&self) -> Result<Survey, Fault> {
        Err(Fault::permanent(&self.0.id, "Mayday reads no data out of a cluster")
            .next("remove `class` from it, and run `mayday check`"))
    }

    async fn backup(&self, spec: &BackupSpec) -> Result<BackupLook, Fault> {
        self.0.backup(spec).await
    }

    async fn facts(&self) -> Result<Vec<Fact>, Fault> {
        self.0.facts().await
    }

    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        steps::step(&self.0, spec)
    }
}
