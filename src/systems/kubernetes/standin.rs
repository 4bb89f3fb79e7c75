//! A stand-in for an API server, for tests: it keeps any kind of object, serves lists in pages, patches, knows the scale subresource, and
//! fails as it is told. What is scaled is at once what it was scaled to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::Cluster;
use super::access::Host;
use crate::domain::estate::SystemSpec;
use crate::domain::params::Params;

/// What it does to a request whose method and path hold this text.
#[derive(Clone)]
pub enum Fails {
    With(u16),
    After(Duration),
    /// Once, with this code, in the middle of a list.
    MidList(u16),
}

#[derive(Default)]
struct Shelf {
    /// By the path of their list; a kind that is not here is not known.
    lists: BTreeMap<String, BTreeMap<String, Value>>,
    fails: Vec<(String, Fails)>,
    asked: Vec<String>,
    /// How many objects a page has, whatever is asked for.
    page: usize,
    /// Pods that do not go when what minds them is scaled to zero.
    stuck: bool,
}

#[derive(Clone)]
pub struct Standin {
    pub url: String,
    shelf: Arc<Mutex<Shelf>>,
}

impl Standin {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let standin = Self { url: format!("http://{}", listener.local_addr().unwrap()), shelf: Arc::default() };
        let router = Router::new().fallback(serve).with_state(standin.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        for known in ["deployments", "statefulsets", "daemonsets", "replicasets"] {
            standin.knows(&format!("/apis/apps/v1/namespaces/shop/{known}"));
        }
        for known in ["jobs", "cronjobs"] {
            standin.knows(&format!("/apis/batch/v1/namespaces/shop/{known}"));
        }
        for known in ["pods", "resourcequotas"] {
            standin.knows(&format!("/api/v1/namespaces/shop/{known}"));
        }
        ["/api/v1/nodes", "/api/v1/pods"].iter().for_each(|path| standin.knows(path));
        standin.put("/api/v1/namespaces", json!({ "metadata": { "name": "shop" } }));
        standin
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap()
    }

    pub fn knows(&self, list: &str) {
        self.shelf().lists.entry(list.to_owned()).or_default();
    }

    pub fn forgets(&self, list: &str) {
        self.shelf().lists.remove(list);
    }

    /// Puts an object into a list.
    pub fn put(&self, list: &str, mut object: Value) {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        settle(&mut object, list);
        self.shelf().lists.entry(list.to_owned()).or_default().insert(name, object);
    }

    pub fn take(&self, list: &str, name: &str) {
        self.shelf().lists.get_mut(list).unwrap().remove(name);
    }

    pub fn get(&self, list: &str, name: &str) -> Value {
        self.shelf().lists[list][name].clone()
    }

    pub fn fails(&self, at: &str, how: Fails) {
        self.shelf().fails.push((at.to_owned(), how));
    }

    pub fn heals(&self) {
        self.shelf().fails.clear();
    }

    pub fn pages_of(&self, many: usize) {
        self.shelf().page = many;
    }

    pub fn holds_pods(&self) {
        self.shelf().stuck = true;
    }

    /// Requests so far whose method and path hold this.
    pub fn asked(&self, part: &str) -> usize {
        self.shelf().asked.iter().filter(|it| it.contains(part)).count()
    }

    /// A system of this server, with these parameters besides.
    pub fn cluster(&self, given: Value) -> Arc<Cluster> {
        let mut params: BTreeMap<String, Value> = given.as_object().unwrap().clone().into_iter().collect();
        params.entry("server".to_owned()).or_insert_with(|| self.url.clone().into());
        if !params.contains_key("namespaces") {
            params.entry("namespace".to_owned()).or_insert_with(|| "shop".into());
        }
        let spec = SystemSpec {
            id: "k8s".into(),
            kind: "kubernetes".into(),
            title: "k8s".into(),
            region: Some("east".into()),
            class: None,
            params: Params(params),
        };
        Arc::new(Cluster::of(&spec, &Host::this()).unwrap())
    }
}

/// A deployment, or something like it, of so many replicas; its pods are labelled with its name.
pub fn runs(name: &str, replicas: u64) -> Value {
    json!({
        "metadata": { "name": name, "generation": 1 },
        "spec": {
            "replicas": replicas, "selector": { "matchLabels": { "app": name } },
            "template": { "metadata": { "labels": { "app": name } }, "spec": { "containers": [{ "name": name, "image": "r.example/x:1" }] } },
        },
    })
}

/// A pod that runs, of an owner or of nobody.
pub fn pod(name: &str, app: &str, owner: Option<(&str, &str, &str)>) -> Value {
    let owner =
        owner.map(|(api, kind, name)| json!({ "apiVersion": api, "kind": kind, "name": name, "controller": true }));
    json!({
        "metadata": { "name": name, "labels": { "app": app }, "ownerReferences": owner.into_iter().collect::<Vec<_>>() },
        "spec": {}, "status": { "phase": "Running" },
    })
}

/// What the controllers of a kind would make of an object.
fn settle(object: &mut Value, list: &str) {
    let kind = list.rsplit('/').next().unwrap_or_default();
    let known = [("deployments", "Deployment"), ("statefulsets", "StatefulSet"), ("daemonsets", "DaemonSet")];
    let Some((_, kind)) = known.iter().find(|(plural, _)| *plural == kind) else { return };
    object["kind"] = (*kind).into();
    if *kind == "DaemonSet" || object["status"]["held"].as_bool() == Some(true) {
        return;
    }
    let (many, generation) = (object["spec"]["replicas"].clone(), object["metadata"]["generation"].clone());
    object["status"] = json!({
        "observedGeneration": generation, "replicas": many, "readyReplicas": many, "availableReplicas": many, "updatedReplicas": many,
    });
}

fn status(code: u16) -> Response {
    let body =
        json!({ "kind": "Status", "status": "Failure", "code": code, "reason": "Told", "message": "told to fail" });
    (StatusCode::from_u16(code).unwrap(), axum::Json(body)).into_response()
}

fn found(value: Value) -> Response {
    axum::Json(value).into_response()
}

async fn serve(State(standin): State<Standin>, method: Method, uri: Uri, _: HeaderMap, body: Bytes) -> Response {
    let asked = format!("{method} {uri}");
    let (mut code, mut pause) = (None, None);
    {
        let mut shelf = standin.shelf();
        shelf.asked.push(asked.clone());
        let at = shelf.fails.iter().position(|(part, how)| {
            asked.contains(part.as_str()) && (!matches!(how, Fails::MidList(_)) || asked.contains("continue="))
        });
        match at.map(|at| (at, shelf.fails[at].1.clone())) {
            Some((_, Fails::With(with))) => code = Some(with),
            Some((_, Fails::After(long))) => pause = Some(long),
            Some((at, Fails::MidList(with))) => {
                shelf.fails.remove(at);
                code = Some(with);
            }
            None => {}
        }
    }
    if let Some(pause) = pause {
        tokio::time::sleep(pause).await;
    }
    if let Some(code) = code {
        return status(code);
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut shelf = standin.shelf();
    shelf.answer(&method, uri.path(), uri.query().unwrap_or_default(), &body)
}

impl Shelf {
    fn answer(&mut self, method: &Method, path: &str, query: &str, body: &Value) -> Response {
        if *method == Method::POST {
            return found(json!({ "status": { "allowed": true } }));
        }
        if let Some(document) = self.discovery(path) {
            return document;
        }
        if self.lists.contains_key(path) {
            return self.list(path, query);
        }
        let (object, scale) = path.strip_suffix("/scale").map_or((path, false), |it| (it, true));
        let Some((list, name)) = object.rsplit_once('/') else { return status(404) };
        if *method == Method::PATCH {
            let Some(object) = self.lists.get_mut(list).and_then(|it| it.get_mut(name)) else { return status(404) };
            merge(object, body);
            settle(object, list);
            let stopped = object["spec"]["replicas"] == 0 || object["spec"]["parallelism"] == 0;
            if stopped && !self.stuck {
                self.lists.iter_mut().filter(|(path, _)| path.ends_with("/pods")).for_each(|(_, pods)| {
                    pods.retain(|_, pod| pod["metadata"]["labels"]["app"] != name);
                });
            }
        }
        match self.lists.get(list).and_then(|it| it.get(name)) {
            Some(it) if scale => found(
                json!({ "spec": { "replicas": it["spec"]["replicas"] }, "status": { "replicas": it["status"]["replicas"].as_u64().unwrap_or(0) } }),
            ),
            Some(it) => found(it.clone()),
            None => status(404),
        }
    }

    fn discovery(&self, path: &str) -> Option<Response> {
        let groups = || {
            let mut all: Vec<String> = self
                .lists
                .keys()
                .filter_map(|it| it.strip_prefix("/apis/"))
                .map(|it| it.splitn(3, '/').take(2).collect::<Vec<_>>().join("/"))
                .collect();
            all.dedup();
            all
        };
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        Some(match parts.as_slice() {
            ["version"] => found(json!({ "gitVersion": "v1.0.0" })),
            ["apis"] => found(
                json!({ "groups": groups().iter().map(|it| json!({ "preferredVersion": { "groupVersion": it } })).collect::<Vec<_>>() }),
            ),
            ["apis", group] => {
                let known = groups().iter().any(|it| it.split('/').next() == Some(group));
                if known { found(json!({})) } else { status(404) }
            }
            ["apis", _, _] | ["api", _] => {
                let own = self.lists.iter().filter(|(list, _)| list.starts_with(&format!("{path}/")));
                let mut resources = Vec::new();
                for (list, objects) in own {
                    let plural = list.rsplit('/').next().unwrap();
                    let kind = objects.values().find_map(|it| it["kind"].as_str()).unwrap_or("ReplicaSet");
                    resources.push(json!({ "name": plural, "kind": kind, "namespaced": true }));
                    if objects.values().any(|it| it["spec"]["replicas"].is_u64()) {
                        resources
                            .push(json!({ "name": format!("{plural}/scale"), "kind": "Scale", "namespaced": true }));
                    }
                }
                found(json!({ "resources": resources }))
            }
            _ => return None,
        })
    }

    fn list(&self, path: &str, query: &str) -> Response {
        let after = query.split('&').find_map(|it| it.strip_prefix("continue=")).unwrap_or_default();
        let rest: Vec<&Value> =
            self.lists[path].iter().filter(|(name, _)| name.as_str() > after).map(|(_, it)| it).collect();
        let page = if self.page == 0 { rest.len() } else { self.page.min(rest.len()) };
        let last = rest[..page].last().filter(|_| page < rest.len()).map(|it| it["metadata"]["name"].clone());
        found(json!({ "metadata": { "continue": last.unwrap_or_default() }, "items": rest[..page] }))
    }
}

/// A merge patch (RFC 7396).
fn merge(into: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (name, value) in fields {
        match value {
            Value::Null => drop(into.as_object_mut().unwrap().remove(name)),
            value => merge(&mut into[name], value),
        }
    }
}
