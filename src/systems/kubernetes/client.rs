//! The way to an API server: made when it is first needed, one attempt a call, every call bounded.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use http::Request;
use kube::Error;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::access::{Host, LOGIN, Proxy, Source, connect, log_in, unusable};
use super::ear::{Answer, Ear, READ};
use super::failure::{broken, fault, is_absent};
use super::lists::{Read, Reading};
use super::sorts::Told;
use crate::domain::system::{Fault, FaultClass};
use crate::outbound::apart::Flight;
use crate::outbound::http::install_tls;
use crate::systems::patience::Patience;
use crate::systems::shell::quoted;

/// How long one may take of a server that has just answered something else: a list of many pods takes its time.
const LIST: Duration = Duration::from_secs(12);
/// Just is this.
const JUST: Duration = Duration::from_secs(5);
const MUTATION: Duration = Duration::from_secs(10);
/// How long a call waits for the login: less than for an answer, so that one is not taken for the other.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long it waits for a new one while the old one serves.
const RENEWAL: Duration = Duration::from_millis(200);
/// How soon a login is tried again that failed, or whose credentials were refused: some accounts are locked by too many tries.
const AGAIN: Duration = Duration::from_secs(5);

/// An API server.
pub struct Client {
    system: String,
    source: Source,
    host: Host,
    login: Arc<Mutex<Login>>,
    making: Flight<Result<Made, Fault>>,
    pub patience: Patience,
    /// What is known of its answers, and the question whether it is there, put once at a time.
    pub ear: Arc<Ear>,
    pub asking: Flight<Result<Answer, Fault>>,
    /// What it said of its kinds.
    pub told: Told,
}

#[derive(Default)]
struct Login {
    /// Dropped when the server refuses the credentials, so that the next call reads them anew.
    made: Option<Made>,
    failed: Option<(Instant, Fault)>,
}

/// A client, and for how long it is good.
#[derive(Clone)]
pub struct Made {
    pub client: kube::Client,
    pub proxy: Option<Proxy>,
    pub server: http::Uri,
    begun: Instant,
    renew: Option<Instant>,
    until: Option<Instant>,
}

fn held<T>(inner: &Mutex<T>) -> MutexGuard<'_, T> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn make(system: &str, source: &Source, host: &Host) -> Result<Made, Fault> {
    install_tls();
    let begun = Instant::now();
    let ready = log_in(system, source, host).await?;
    let client = connect(&ready.config, ready.proxy.as_ref()).map_err(|why| unusable(system, &why))?;
    let server = ready.config.cluster_url;
    Ok(Made { client, proxy: ready.proxy, server, begun, renew: ready.renew, until: ready.until })
}

impl Client {
    pub fn new(system: &str, source: Source, host: Host) -> Self {
        Self {
            system: system.to_owned(),
            source,
            host,
            login: Arc::default(),
            making: Flight::default(),
            patience: Patience::new(READ),
            ear: Arc::default(),
            asking: Flight::default(),
            told: Told::default(),
        }
    }

    /// The id of the system that it belongs to.
    pub fn system(&self) -> &str {
        &self.system
    }

    /// `kubectl --context …`: what `by_hand` begins with.
    pub fn kubectl(&self) -> String {
        match &self.source {
            Source::Kubeconfig { files, context } => {
                let files = files.join(":");
                let (several, one) = match (files.is_empty(), files.contains(':')) {
                    (true, _) => (String::new(), String::new()),
                    (false, true) => (format!("KUBECONFIG={} ", quoted(&files)), String::new()),
                    (false, false) => (String::new(), format!(" --kubeconfig {}", quoted(&files))),
                };
                let context = context.iter().map(|it| format!(" --context {}", quoted(it))).collect::<String>();
                format!("{several}kubectl{one}{context}")
            }
            Source::Server { url, .. } => format!("kubectl --server {}", quoted(&url.to_string())),
            Source::Pod => "kubectl".to_owned(),
        }
    }

    /// Logs in, unless that is done.
    ///
    /// # Errors
    /// When it cannot, or takes longer than anybody waits for it.
    pub fn ready(&self) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move { self.made().await.map(drop) })
    }

    /// The client there is, or the one that is just being made. Logging in goes on when nobody waits for it any more.
    pub async fn made(&self) -> Result<Made, Fault> {
        let serving = {
            let login = held(&self.login);
            let serving = match &login.made {
                Some(made) if made.renew.is_none_or(|at| at > Instant::now()) => return Ok(made.clone()),
                Some(made) => made.until.is_none_or(|at| at > Instant::now()).then(|| made.clone()),
                None => None,
            };
            match (&login.failed, serving) {
                (Some((at, _)), Some(serving)) if at.elapsed() < AGAIN => return Ok(serving),
                (Some((at, fault)), None) if at.elapsed() < AGAIN => return Err(fault.clone()),
                (_, serving) => serving,
            }
        };
        let making = self.making.join(|landing| {
            let (system, source, host) = (self.system.clone(), self.source.clone(), self.host.clone());
            let login = self.login.clone();
            tokio::spawn(async move {
                let made = make(&system, &source, &host).await;
                match &made {
                    Ok(made) => *held(&login) = Login { made: Some(made.clone()), failed: None },
                    Err(fault) => held(&login).failed = Some((Instant::now(), fault.clone())),
                }
                landing.send_replace(Some(made));
            });
        });
        let patience = if serving.is_some() { RENEWAL } else { PATIENCE };
        match (timeout(patience, making).await, serving) {
            (Ok(Some(Ok(made))), _) => Ok(made),
            // It is good for a while yet.
            (_, Some(made)) => Ok(made),
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

    /// Drops a client whose credentials were refused; says whether another login may bring others.
    fn forget(&self, refused: &Made) -> bool {
        let mut login = held(&self.login);
        let is_old = refused.begun.elapsed() >= AGAIN;
        if is_old && login.made.as_ref().is_some_and(|it| it.begun == refused.begun) {
            login.made = None;
        }
        is_old
    }

    /// Reads; the outer error is that nobody answered. Credentials that are refused are read anew once.
    fn read<'a>(&'a self, asked: Asked<'a>) -> BoxFuture<'a, Result<Result<String, Error>, Fault>> {
        Box::pin(async move {
            let made = self.made().await?;
            let answer = self.ask(&asked, &made).await?;
            let is_refused = matches!(&answer, Err(Error::Api(status)) if status.code == 401);
            if is_refused && self.forget(&made) {
                let made = self.made().await?;
                return self.ask(&asked, &made).await;
            }
            Ok(answer)
        })
    }

    /// One question. The time that the login took is none of the server's.
    async fn ask(&self, asked: &Asked<'_>, made: &Made) -> Result<Result<String, Error>, Fault> {
        let just = Instant::now().checked_sub(JUST).unwrap_or_else(Instant::now);
        let answers = self.ear.since(just) || self.ear.is_slow();
        let wait = self.patience.now();
        let long = if answers { LIST } else { wait.long };
        let answer = timeout(long, made.client.request_text(asked.request())).await;
        if matches!(answer, Ok(Ok(_) | Err(Error::Api(_)))) {
            self.ear.heard();
            self.patience.learn(wait, true);
        } else if answer.is_err() && !answers {
            self.patience.learn(wait, false);
        }
        answer.map_err(|_| {
            let text = match answers {
                true => format!("the API server answers, but not within {} s ({})", long.as_secs(), asked.what),
                false => format!("the API server did not answer {} ({})", wait.words(), asked.what),
            };
            broken(FaultClass::Transient, &self.system, text)
        })
    }

    fn judged<T>(&self, what: &str, answer: Result<T, Error>) -> Result<T, Fault> {
        answer.map_err(|error| fault(&self.system, what, FaultClass::Transient, &error))
    }

    /// An object, if there is one, and if the server knows of its kind.
    ///
    /// # Errors
    /// When nobody answered, or with a refusal.
    pub fn get<'a>(&'a self, what: &'a str, path: &'a str) -> BoxFuture<'a, Result<Option<Value>, Fault>> {
        Box::pin(async move {
            match self.read(Asked { what, method: "GET", path, body: None }).await?.and_then(|text| parsed(&text)) {
                Err(error) if is_absent(&error) => Ok(None),
                answer => self.judged(what, answer).map(Some),
            }
        })
    }

    /// All objects that there are; `None` when the server knows of no such kind.
    ///
    /// # Errors
    /// When any page of them was not answered, or refused: from a part of them nothing is concluded.
    pub fn list<'a>(&'a self, what: &'a str, path: &'a str) -> BoxFuture<'a, Result<Option<Vec<Value>>, Fault>> {
        Box::pin(async move {
            let mut reading = Reading::of(path);
            let came = loop {
                let page = reading.next();
                let answer = self.read(Asked { what, method: "GET", path: &page, body: None }).await?;
                if let Some(came) = reading.take(answer.and_then(|text| parsed(&text))) {
                    break came;
                }
            };
            let unseen = "not all of them were seen, so nothing is concluded from those that were";
            match came {
                Read::All(found) => Ok(Some(found)),
                Read::Broken(error) if is_absent(&error) => Ok(None),
                Read::Broken(error) => self.judged(what, Err(error)),
                Read::Endless(many) => {
                    Err(Fault::permanent(&self.system, format!("{what}: there are more than {many}")).means(unseen))
                }
                Read::Expires => {
                    let text = format!("{what}: the list ended before its last page, again and again");
                    Err(Fault::transient(&self.system, text).means(unseen).next("wait a little, then retry"))
                }
            }
        })
    }

    /// The same of a kind that every server has.
    ///
    /// # Errors
    /// As [`list`](Self::list); also when the server says that it has none.
    pub fn list_of<'a>(&'a self, what: &'a str, path: &'a str) -> BoxFuture<'a, Result<Vec<Value>, Fault>> {
        Box::pin(async move {
            let absent = || {
                Fault::permanent(&self.system, format!("{what}: 404, the server knows nothing of it"))
                    .next("see whether `server` or the kubeconfig leads to an API server of Kubernetes")
            };
            self.list(what, path).await?.ok_or_else(absent)
        })
    }

    /// Creates what is kept nowhere, and only asks something.
    ///
    /// # Errors
    /// When nobody answered, or with a refusal.
    pub fn question<'a>(
        &'a self,
        what: &'a str,
        path: &'a str,
        body: &'a Value,
    ) -> BoxFuture<'a, Result<Value, Fault>> {
        Box::pin(async move {
            let answer = self.read(Asked { what, method: "POST", path, body: Some((JSON, body)) }).await?;
            self.judged(what, answer.and_then(|text| parsed(&text)))
        })
    }

    /// Changes, once, by saying the value that is wanted: the same patch twice is the same as once.
    ///
    /// # Errors
    /// When it was refused, or may have happened.
    pub fn patch<'a>(&'a self, what: &'a str, path: &'a str, patch: &'a Value) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let made = self.made().await?;
            let asked = Asked { what, method: "PATCH", path, body: Some((MERGE, patch)) };
            match timeout(MUTATION, made.client.request_text(asked.request())).await {
                Ok(Ok(_)) => {
                    self.ear.heard();
                    Ok(())
                }
                Ok(Err(error)) => {
                    if matches!(&error, Error::Api(status) if status.code == 401) {
                        self.forget(&made);
                    }
                    Err(fault(&self.system, what, FaultClass::Ambiguous, &error))
                }
                Err(_) => {
                    let text = format!("the API server did not answer within {:.1} s ({what})", MUTATION.as_secs_f64());
                    Err(broken(FaultClass::Ambiguous, &self.system, text))
                }
            }
        })
    }
}

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";

/// What is asked of a server, by a path that a list or a table of kinds made.
pub struct Asked<'a> {
    pub what: &'a str,
    pub method: &'a str,
    pub path: &'a str,
    pub body: Option<(&'a str, &'a Value)>,
}

impl Asked<'_> {
    pub fn request(&self) -> Request<Vec<u8>> {
        let (kind, body) = self.body.map_or((JSON, Vec::new()), |(kind, body)| (kind, body.to_string().into_bytes()));
        let built = Request::builder().method(self.method).uri(self.path);
        let built = built.header("content-type", kind).header("accept", JSON).body(body);
        built.unwrap_or_else(|_| Request::new(Vec::new()))
    }
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(Error::SerdeError)
}

/// Whether these credentials may do something in a namespace, as
/// <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access> asks it.
pub fn review(namespace: &str, group: &str, resource: &str, verb: &str) -> Value {
    let (resource, part) = resource.split_once('/').map_or((resource, None), |(it, part)| (it, Some(part)));
    json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": {
            "namespace": namespace, "group": group, "resource": resource, "subresource": part, "verb": verb,
        } },
    })
}
