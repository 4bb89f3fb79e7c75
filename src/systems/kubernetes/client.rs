//! The way to an API server: made when it is first needed, one attempt a call, every call bounded, and what a failure means.

use std::error::Error as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Node, PersistentVolumeClaim, Pod, ResourceQuota};
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Config, Error};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::access::Action;
use super::login::{LOGIN, Ready, log_in, unusable};
use crate::domain::estate::SystemSpec;
use crate::domain::params::SecretRef;
use crate::domain::system::{Fault, FaultClass};
use crate::domain::text::clean;
use crate::outbound::apart::Flight;
use crate::outbound::http::install_tls;
use crate::outbound::secret;
use crate::systems::patience::Patience;
use crate::systems::shell::quoted;

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer may take: a dark region must not hold up the others.
const READ: Duration = Duration::from_millis(2500);
const MUTATION: Duration = Duration::from_secs(10);
/// How long a call waits for the login: less than for an answer, so that one is not taken for the other.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long it waits for a new one while the old one serves.
const RENEWAL: Duration = Duration::from_millis(200);
/// So many objects are asked for at once, and so many times: no cluster has more.
const MOST: u32 = 1000;
const PAGES: usize = 50;

/// Where the credentials come from.
#[derive(Clone)]
enum Source {
    Kubeconfig { path: Option<String>, context: Option<String> },
    Server { url: http::Uri, token: Option<SecretRef>, authority: Option<String> },
}

/// An API server and a namespace.
pub struct Client {
    system: String,
    namespace: String,
    source: Source,
    /// Dropped when the server refuses the credentials, so that the next call reads them anew.
    inner: Arc<Mutex<Option<Made>>>,
    making: Flight<Result<kube::Client, Fault>>,
    patience: Patience,
}

/// A client, and for how long it is good.
#[derive(Clone)]
struct Made {
    client: kube::Client,
    renew: Option<Instant>,
    until: Option<Instant>,
}

fn held(inner: &Mutex<Option<Made>>) -> MutexGuard<'_, Option<Made>> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn make(system: &str, source: &Source) -> Result<Made, Fault> {
    install_tls();
    let mut ready = match source {
        Source::Kubeconfig { path, context } => log_in(system, path.clone(), context.clone()).await?,
        Source::Server { url, token, authority } => {
            let mut config = Config::new(url.clone());
            config.root_cert_file = authority.as_ref().map(Into::into);
            if let Some(token) = secret::read_opt(token.as_ref(), system).await? {
                config.auth_info.token = Some(token.expose().to_owned().into());
            }
            Ready { config, renew: None, until: None }
        }
    };
    // What a lost answer means is decided here and nowhere else.
    ready.config.default_retry = false;
    ready.config.connect_timeout = Some(CONNECT);
    let client = kube::Client::try_from(ready.config).map_err(|error| unusable(system, &error.to_string()))?;
    Ok(Made { client, renew: ready.renew, until: ready.until })
}

impl Client {
    /// # Errors
    /// When `server` is no URL.
    pub fn new(spec: &SystemSpec, namespace: &str) -> Result<Self, Fault> {
        let (params, system) = (&spec.params, spec.id.to_string());
        let text = |name: &str| params.opt_text(name).map(str::to_owned);
        let source = match params.opt_text("server") {
            Some(url) => {
                let wrong = |error| Fault::permanent(&system, format!("`server` is not a URL: {error}"));
                let url = url.parse().map_err(wrong)?;
                Source::Server { url, token: params.secret("token"), authority: text("certificate_authority") }
            }
            None => Source::Kubeconfig { path: text("kubeconfig"), context: text("context") },
        };
        Ok(Self {
            system,
            namespace: namespace.to_owned(),
            source,
            inner: Arc::default(),
            making: Flight::default(),
            patience: Patience::new(READ),
        })
    }

    /// `kubectl --context … -n …`: what `by_hand` begins with.
    pub fn kubectl(&self) -> String {
        let config = match &self.source {
            Source::Kubeconfig { path, context } => {
                let path = path.iter().map(|path| format!(" --kubeconfig {}", quoted(path)));
                path.chain(context.iter().map(|context| format!(" --context {}", quoted(context)))).collect()
            }
            Source::Server { url, .. } => format!(" --server {}", quoted(&url.to_string())),
        };
        format!("kubectl{config} -n {}", quoted(&self.namespace))
    }

    /// The client there is, or the one that is just being made. Logging in goes on when nobody waits for it any more.
    async fn client(&self) -> Result<kube::Client, Fault> {
        let serving = match &*held(&self.inner) {
            Some(made) if made.renew.is_none_or(|at| at > Instant::now()) => return Ok(made.client.clone()),
            Some(made) => made.until.is_none_or(|at| at > Instant::now()).then(|| made.client.clone()),
            None => None,
        };
        let making = self.making.join(|landing| {
            let (system, source, inner) = (self.system.clone(), self.source.clone(), self.inner.clone());
            tokio::spawn(async move {
                let made = make(&system, &source).await;
                if let Ok(made) = &made {
                    *held(&inner) = Some(made.clone());
                }
                landing.send_replace(Some(made.map(|made| made.client)));
            });
        });
        let patience = if serving.is_some() { RENEWAL } else { PATIENCE };
        match (timeout(patience, making).await, serving) {
            (Ok(Some(Ok(client))), _) => Ok(client),
            // It is good for a while yet.
            (_, Some(client)) => Ok(client),
            (Ok(Some(Err(fault))), None) => Err(fault),
            (Ok(None), None) => Err(unusable(&self.system, "the login came to no end")),
            (Err(_), None) => {
                let what = format!("{LOGIN}is under way for more than {:.1} s", PATIENCE.as_secs_f64());
                Err(Fault::transient(&self.system, what)
                    .means("nothing was asked of the cluster, so nothing is known of it")
                    .next("run the login program of the kubeconfig by hand, as the engine's user"))
            }
        }
    }

    /// Reads.
    async fn read<T>(&self, what: &str, call: impl AsyncFnOnce(kube::Client) -> Result<T, Error>) -> Result<T, Fault> {
        let begun = Instant::now();
        // Its own time is limited, and what it waits for is no silence of the server.
        let client = self.client().await?;
        let wait = self.patience.now();
        let left = if wait.long < READ { wait.long } else { READ.saturating_sub(begun.elapsed()) };
        let asked = async { self.judge(what, FaultClass::Transient, call(client).await).await };
        let answer = timeout(left, asked).await.unwrap_or_else(|_| {
            let text = format!("the API server did not answer {} ({what})", wait.words());
            Err(broken(FaultClass::Transient, &self.system, text))
        });
        self.patience.learn(wait, !answer.as_ref().err().is_some_and(is_silence));
        answer
    }

    /// Changes, once.
    async fn change<T>(
        &self,
        what: &str,
        call: impl AsyncFnOnce(kube::Client) -> Result<T, Error>,
    ) -> Result<T, Fault> {
        let asked = async { self.judge(what, FaultClass::Ambiguous, call(self.client().await?).await).await };
        timeout(MUTATION, asked).await.unwrap_or_else(|_| {
            let text = format!("the API server did not answer within {:.1} s ({what})", MUTATION.as_secs_f64());
            Err(broken(FaultClass::Ambiguous, &self.system, text))
        })
    }

    async fn judge<T>(&self, what: &str, unsure: FaultClass, answer: Result<T, Error>) -> Result<T, Fault> {
        let error = match answer {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if let Error::Api(status) = &error
            && status.code == 401
        {
            *held(&self.inner) = None;
        }
        Err(fault(&self.system, what, unsure, &error))
    }

    pub async fn deployment(&self, name: &str) -> Result<Option<Deployment>, Fault> {
        let namespace = &self.namespace;
        self.read("get deployment", async |client| Api::<Deployment>::namespaced(client, namespace).get_opt(name).await)
            .await
    }

    /// All objects that there are, page by page: the first page alone would look like all of them.
    async fn list<K>(&self, what: &str, of: impl Fn(kube::Client) -> Api<K> + Send + Sync) -> Result<Vec<K>, Fault>
    where
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        let (mut found, mut from) = (Vec::new(), None::<String>);
        for _ in 0..PAGES {
            let page = ListParams { limit: Some(MOST), continue_token: from, ..ListParams::default() };
            let told = self.read(what, async |client| of(client).list(&page).await).await?;
            found.extend(told.items);
            from = told.metadata.continue_.filter(|token| !token.is_empty());
            if from.is_none() {
                return Ok(found);
            }
        }
        Err(Fault::permanent(&self.system, format!("{what}: there are more than {}", PAGES * MOST as usize))
            .means("not all of them were seen, so nothing is concluded from those that were"))
    }

    pub async fn deployments(&self) -> Result<Vec<Deployment>, Fault> {
        self.list("list deployments", |client| Api::namespaced(client, &self.namespace)).await
    }

    pub async fn autoscalers(&self) -> Result<Vec<HorizontalPodAutoscaler>, Fault> {
        self.list("list autoscalers", |client| Api::namespaced(client, &self.namespace)).await
    }

    /// The pods of the namespace.
    pub async fn pods(&self) -> Result<Vec<Pod>, Fault> {
        self.list("list pods", |client| Api::namespaced(client, &self.namespace)).await
    }

    /// The pods of all namespaces: what they ask for is taken from the nodes.
    pub async fn all_pods(&self) -> Result<Vec<Pod>, Fault> {
        self.list("list all pods", Api::all).await
    }

    pub async fn nodes(&self) -> Result<Vec<Node>, Fault> {
        self.list("list nodes", Api::all).await
    }

    /// What the namespace may use.
    pub async fn quotas(&self) -> Result<Vec<ResourceQuota>, Fault> {
        self.list("list quotas", |client| Api::namespaced(client, &self.namespace)).await
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The names of the namespace's claims.
    pub async fn claims(&self) -> Result<Vec<String>, Fault> {
        let of = |client| Api::<PersistentVolumeClaim>::namespaced(client, &self.namespace);
        let claims = self.list("list claims", of).await?;
        Ok(claims.into_iter().filter_map(|it| it.metadata.name).collect())
    }

    /// The custom resources of a kind.
    pub async fn dynamic(&self, resource: &ApiResource, namespace: &str) -> Result<Vec<DynamicObject>, Fault> {
        let what = format!("list {}", resource.plural);
        self.list(&what, |client| Api::<DynamicObject>::namespaced_with(client, namespace, resource)).await
    }

    /// Whether these credentials may do something in the namespace.
    pub async fn may(&self, (group, resource, verb): Action<'_>) -> Result<bool, Fault> {
        let (resource, part) = resource.split_once('/').map_or((resource, None), |(it, part)| (it, Some(part)));
        let attributes = ResourceAttributes {
            namespace: Some(self.namespace.clone()),
            group: Some(group.to_owned()),
            resource: Some(resource.to_owned()),
            subresource: part.map(str::to_owned),
            verb: Some(verb.to_owned()),
            ..Default::default()
        };
        let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
        let review = SelfSubjectAccessReview { spec, ..Default::default() };
        // It is created, and kept nowhere.
        let asked =
            self.read("ask for access", async |client| Api::all(client).create(&PostParams::default(), &review).await);
        Ok(asked.await?.status.is_some_and(|status| status.allowed))
    }

    pub async fn scale(&self, deployment: &str, replicas: u64) -> Result<(), Fault> {
        let (namespace, patch) = (&self.namespace, merge(serde_json::json!({ "spec": { "replicas": replicas } })));
        let what = format!("scale {deployment}");
        self.change(&what, async |client| {
            let api = Api::<Deployment>::namespaced(client, namespace);
            api.patch_scale(deployment, &PatchParams::default(), &patch).await
        })
        .await
        .map(drop)
    }

    pub async fn patch_autoscaler(&self, name: &str, patch: Value) -> Result<(), Fault> {
        let (namespace, patch) = (&self.namespace, merge(patch));
        let what = format!("patch autoscaler {name}");
        self.change(&what, async |client| {
            let api = Api::<HorizontalPodAutoscaler>::namespaced(client, namespace);
            api.patch(name, &PatchParams::default(), &patch).await
        })
        .await
        .map(drop)
    }

    pub async fn patch_deployment(&self, name: &str, patch: Value) -> Result<(), Fault> {
        let (namespace, patch) = (&self.namespace, merge(patch));
        let what = format!("patch deployment {name}");
        self.change(&what, async |client| {
            let api = Api::<Deployment>::namespaced(client, namespace);
            api.patch(name, &PatchParams::default(), &patch).await
        })
        .await
        .map(drop)
    }
}

/// Says the value that is wanted, so that the same patch twice is the same as once.
fn merge(patch: Value) -> Patch<Value> {
    Patch::Merge(patch)
}

/// What a failed call means. `unsure` is the class of a failure that leaves open whether the call arrived.
fn fault(system: &str, what: &str, unsure: FaultClass, error: &Error) -> Fault {
    let root = || {
        let causes = std::iter::successors(error.source(), |cause| (*cause).source());
        clean(&causes.last().map_or_else(|| error.to_string(), ToString::to_string))
    };
    match error {
        Error::Api(status) => {
            let words = clean(&format!("{} {}", status.reason, status.message));
            let text = format!("{what}: {} {words}", status.code);
            match status.code {
                401 | 403 => Fault::permanent(system, text)
                    .means("these credentials may not do it; nothing was changed")
                    .next("log in with the role for recovery, then retry"),
                409 | 429 => Fault::transient(system, format!("{text} ({THROTTLED})"))
                    .means("nothing was changed by it")
                    .next("wait a little, then retry"),
                500.. => broken(unsure, system, text),
                _ => Fault::permanent(system, text).means("nothing was changed"),
            }
        }
        Error::Service(cause) if never_sent(cause.as_ref()) => {
            Fault::transient(system, format!("the API server cannot be reached: {}", root()))
                .means("nothing was changed by it")
                .next("see whether this host reaches it, then retry")
        }
        Error::Auth(_) => Fault::permanent(system, format!("{what}: {}", root()))
            .means("nothing was changed")
            .next("log in, then retry"),
        _ => broken(unsure, system, format!("{what} broke: {}", root())),
    }
}

/// A call that came to no answer.
fn broken(unsure: FaultClass, system: &str, what: String) -> Fault {
    let fault = Fault::new(unsure, system, what);
    match unsure {
        FaultClass::Ambiguous => {
            fault.means("it may have happened").next("Mayday looks before anything is tried again")
        }
        _ => fault.next("see whether this host reaches the API server, then retry"),
    }
}

/// What marks a refusal that says nothing about the cluster's health.
pub const THROTTLED: &str = "busy";

/// Whether a failed read was met with silence. An error, a full queue, a refusal are answers, and while this host still logs in nobody was
/// asked.
pub fn is_silence(fault: &Fault) -> bool {
    let answered = fault.what.contains(THROTTLED) || fault.what.contains(": 5");
    let asked = !fault.what.contains(LOGIN);
    fault.class == FaultClass::Transient && asked && !answered
}

/// Whether the connection was never made, so that nothing can have been sent.
fn never_sent(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |cause| (*cause).source());
    causes.into_iter().any(|cause| {
        let client = cause.downcast_ref::<hyper_util::client::legacy::Error>();
        client.is_some_and(hyper_util::client::legacy::Error::is_connect)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_silence_is_silence() {
        assert!(is_silence(&Fault::transient("k8s", "the API server did not answer within 2.5 s (list deployments)")));
        assert!(!is_silence(&Fault::transient("k8s", "list deployments: 429 TooManyRequests (busy)")));
        assert!(!is_silence(&Fault::transient("k8s", "list deployments: 503 ServiceUnavailable")));
        assert!(!is_silence(&Fault::permanent("k8s", "list deployments: 403 Forbidden")));
        assert!(!is_silence(&Fault::transient("k8s", format!("{LOGIN}is under way for more than 1.5 s"))));
    }
}
