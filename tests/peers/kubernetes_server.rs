//! The Kubernetes driver against a real API server with its controllers (1.20, as Debian has the source), on loopback. There are no
//! kubelets: pods are made and stay where they are until they are taken away. Needs `etcd`, and `MAYDAY_PEERS_KUBE`, a folder with
//! `kube-apiserver` and `kube-controller-manager` (`.ci/build-kube FOLDER`); without it nothing is tested, and that is said aloud.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use mayday::domain::health::Status;
use mayday::domain::system::{GuardVerdict, Observed, Step, System, Verified};
use mayday::lab::PRIMARY;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{Log, begun, connect, eventually, looked_at, probe, step};
use crate::server::{Server, free_port};

const TOKEN: &str = "peers-token";
/// More than a page.
const BACKUPS: usize = 1100;

struct Bed {
    _servers: Vec<Server>,
    url: String,
    http: reqwest::Client,
    dir: TempDir,
}

impl Bed {
    async fn start(binaries: &Path) -> Self {
        mayday::outbound::http::install_tls();
        let dir = tempfile::tempdir().unwrap();
        let (etcd, peer, port) = (free_port(), free_port(), free_port());
        let at = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(at("tokens.csv"), format!("{TOKEN},admin,1,system:masters\n")).unwrap();
        std::fs::write(at("sa.key"), rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
        let own = |port: u16| format!("http://127.0.0.1:{port}");
        let mut store = Command::new("etcd");
        store.args(["--data-dir", &at("etcd"), "--unsafe-no-fsync"]);
        store.args(["--listen-client-urls", &own(etcd), "--advertise-client-urls", &own(etcd)]);
        store.args(["--listen-peer-urls", &own(peer), "--initial-advertise-peer-urls", &own(peer)]);
        store.args(["--initial-cluster", &format!("default={}", own(peer))]);
        let mut api = Command::new(binaries.join("kube-apiserver"));
        api.args([
            format!("--etcd-servers={}", own(etcd)),
            "--bind-address=127.0.0.1".into(),
            "--advertise-address=127.0.0.1".into(),
            format!("--secure-port={port}"),
            "--insecure-port=0".into(),
            format!("--cert-dir={}", at("pki")),
            format!("--token-auth-file={}", at("tokens.csv")),
            format!("--service-account-key-file={}", at("sa.key")),
            format!("--service-account-signing-key-file={}", at("sa.key")),
            format!("--service-account-issuer=https://127.0.0.1:{port}"),
            "--authorization-mode=RBAC".into(),
            "--service-cluster-ip-range=10.0.0.0/24".into(),
            "--endpoint-reconciler-type=none".into(),
            // No controller gives every namespace its account in time, and no pod here needs one.
            "--disable-admission-plugins=ServiceAccount".into(),
        ]);
        let servers = vec![Server::start(&mut store, etcd), Server::start(&mut api, port)];
        let http = reqwest::Client::builder().danger_accept_invalid_certs(true).no_proxy().build().unwrap();
        let mut bed = Self { _servers: servers, url: format!("https://127.0.0.1:{port}"), http, dir };
        eventually("the API server is ready", async || {
            let ready = bed.http.get(format!("{}/readyz", bed.url)).bearer_auth(TOKEN).send().await;
            ready.is_ok_and(|it| it.status().is_success()).then_some(())
        })
        .await;
        let mut controllers = Command::new(binaries.join("kube-controller-manager"));
        controllers.args([
            format!("--kubeconfig={}", bed.kubeconfig("admin", &json!({}))),
            "--bind-address=127.0.0.1".into(),
            format!("--secure-port={}", free_port()),
            "--port=0".into(),
            "--leader-elect=false".into(),
            format!("--cert-dir={}", bed.path("controllers").display()),
            "--controllers=deployment,replicaset,statefulset,daemonset,job,cronjob,garbagecollector".into(),
        ]);
        bed._servers.push(Server::start(&mut controllers, 0));
        bed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A kubeconfig of its own, whose user is the administrator, or who he says he is.
    fn kubeconfig(&self, name: &str, user: &Value) -> String {
        let mut who = json!({ "token": TOKEN });
        who.as_object_mut().unwrap().extend(user.as_object().unwrap().clone());
        let cluster = json!({ "server": self.url, "certificate-authority": self.path("pki/apiserver.crt") });
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{ "name": "c", "cluster": cluster }], "users": [{ "name": "u", "user": who }],
            "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
        });
        std::fs::write(self.path(name), text.to_string()).unwrap();
        self.path(name).display().to_string()
    }

    fn system(&self, user: &Value, more: Value) -> Arc<dyn System> {
        let mut given = json!({ "kubeconfig": self.kubeconfig("kubeconfig", user), "namespace": "shop" });
        given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        connect("kubernetes", None, given)
    }

    /// Makes an object, as soon as the server knows of its kind.
    async fn make(&self, list: &str, object: Value) {
        let url = format!("{}{list}", self.url);
        eventually(&format!("{list} takes {}", object["metadata"]["name"]), async || {
            let made = self.http.post(&url).bearer_auth(TOKEN).json(&object).send().await.unwrap();
            let (status, text) = (made.status().as_u16(), made.text().await.unwrap());
            match status {
                200..=299 | 409 => Some(()),
                404 | 429 | 500 | 503 => None,
                _ => panic!("{list}: {status} {text}"),
            }
        })
        .await;
    }

    async fn get(&self, path: &str) -> Value {
        let found = self.http.get(format!("{}{path}", self.url)).bearer_auth(TOKEN).send().await.unwrap();
        found.json().await.unwrap()
    }
}

/// A kind of its own, with a scale subresource or without.
fn kind(group: &str, version: &str, plural: &str, kind: &str, scales: bool) -> Value {
    let scale = json!({ "status": {}, "scale": { "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas" } });
    let schema = json!({ "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } });
    let mut version = json!({ "name": version, "served": true, "storage": true, "schema": schema });
    if scales {
        version["subresources"] = scale;
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{group}") },
        "spec": {
            "group": group, "scope": "Namespaced", "versions": [version],
            "names": { "plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List") },
        },
    })
}

fn runs(api: &str, kind: &str, name: &str, replicas: Option<u64>) -> Value {
    let container = json!({ "name": "c", "image": "r.example/c:1", "resources": { "requests": { "cpu": "100m" } } });
    let mut object = json!({
        "apiVersion": api, "kind": kind, "metadata": { "name": name },
        "spec": {
            "selector": { "matchExpressions": [{ "key": "app", "operator": "In", "values": [name] }] },
            "template": { "metadata": { "labels": { "app": name } }, "spec": { "containers": [container] } },
        },
    });
    if let Some(replicas) = replicas {
        object["spec"]["replicas"] = replicas.into();
    }
    if kind == "StatefulSet" {
        object["spec"]["serviceName"] = name.into();
    }
    object
}

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const APPS: &str = "/apis/apps/v1/namespaces/shop";

/// What people run beside deployments.
async fn fill(bed: &Bed) {
    bed.make("/api/v1/namespaces", json!({ "metadata": { "name": "shop" } })).await;
    bed.make(CRDS, kind("argoproj.io", "v1alpha1", "rollouts", "Rollout", true)).await;
    bed.make(CRDS, kind("apps.kruise.io", "v1alpha1", "clonesets", "CloneSet", true)).await;
    bed.make(&format!("{APPS}/deployments"), runs("apps/v1", "Deployment", "api", Some(2))).await;
    bed.make(&format!("{APPS}/statefulsets"), runs("apps/v1", "StatefulSet", "queue", Some(1))).await;
    bed.make(&format!("{APPS}/daemonsets"), runs("apps/v1", "DaemonSet", "agent", None)).await;
    bed.make("/api/v1/nodes", json!({ "metadata": { "name": "n1" } })).await;
    let cart = json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": { "name": "cart" }, "spec": { "replicas": 3 } });
    bed.make("/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts", cart).await;
    let clones = json!({ "apiVersion": "apps.kruise.io/v1alpha1", "kind": "CloneSet", "metadata": { "name": "clones" }, "spec": { "replicas": 1 } });
    bed.make("/apis/apps.kruise.io/v1alpha1/namespaces/shop/clonesets", clones).await;
    let template =
        json!({ "spec": { "restartPolicy": "Never", "containers": [{ "name": "c", "image": "r.example/c:1" }] } });
    let job = json!({ "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "import" }, "spec": { "parallelism": 2, "template": template } });
    bed.make("/apis/batch/v1/namespaces/shop/jobs", job).await;
    let nightly = json!({
        "apiVersion": "batch/v1beta1", "kind": "CronJob", "metadata": { "name": "nightly" },
        "spec": { "schedule": "0 1 * * *", "jobTemplate": { "spec": { "template": template } } },
    });
    bed.make("/apis/batch/v1beta1/namespaces/shop/cronjobs", nightly).await;
    let target = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "api" });
    let hpa = json!({
        "apiVersion": "autoscaling/v2beta2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "api-hpa" },
        "spec": { "scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3 },
    });
    bed.make("/apis/autoscaling/v2beta2/namespaces/shop/horizontalpodautoscalers", hpa).await;
    let debug = json!({ "metadata": { "name": "debug" }, "spec": { "containers": [{ "name": "c", "image": "r.example/c:1" }] } });
    bed.make("/api/v1/namespaces/shop/pods", debug).await;
}

async fn seen(bed: &Bed, name: &str) -> (Status, String) {
    let reading =
        bed.system(&json!({}), json!({})).probe(&probe("kubernetes.deployment", json!({ "name": name }))).await;
    (reading.status, reading.detail)
}

/// The binaries, when there are any. A test that passes keeps what it prints to itself, so this goes past it.
fn binaries() -> Option<PathBuf> {
    let named = std::env::var_os("MAYDAY_PEERS_KUBE").filter(|it| !it.is_empty());
    if named.is_none() {
        let skipped = "SKIPPED, not passed: no real API server was tried. Run `.ci/build-kube FOLDER`, and set MAYDAY_PEERS_KUBE to that folder.";
        writeln!(std::io::stderr(), "\n{skipped}").expect("standard error is there");
    }
    named.map(PathBuf::from)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcd and MAYDAY_PEERS_KUBE with kube-apiserver and kube-controller-manager"]
async fn a_real_server_with_all_that_people_run_in_it() {
    let Some(binaries) = binaries() else { return };
    let bed = Bed::start(&binaries).await;
    fill(&bed).await;
    eventually("the controllers have made pods", async || {
        let pods = bed.get("/api/v1/namespaces/shop/pods").await;
        (pods["items"].as_array().map_or(0, Vec::len) >= 7).then_some(())
    })
    .await;
    everything_is_seen(&bed).await;
    everything_is_stopped_and_given_back(&bed).await;
    scaling_finds_the_older_autoscaler(&bed).await;
    an_account_with_few_rights_is_told_apart_from_kinds_that_are_not_there(&bed).await;
    a_namespace_that_is_none_is_told(&bed).await;
    every_page_of_the_backups_is_read(&bed).await;
}

async fn everything_is_seen(bed: &Bed) {
    for (name, words) in [
        ("api", "0 of 2 available, a change is not acted on yet|0 of 2 available"),
        ("queue", "StatefulSet queue: 0 of 1 available"),
        ("cart", "Rollout cart: 0 of 3 available"),
        ("clones", "CloneSet clones: 0 of 1 available"),
        ("nobody", "no deployment nobody and nothing else"),
    ] {
        let (status, detail) = seen(bed, name).await;
        assert!(
            status == Status::Down && words.split('|').any(|it| detail.contains(it)),
            "{name}: {status:?} {detail}"
        );
    }
}

fn fence(bed: &Bed, except: Value) -> Arc<dyn Step> {
    step(&*bed.system(&json!({}), json!({})), "kubernetes.fence", PRIMARY, json!({ "except": except }))
}

async fn everything_is_stopped_and_given_back(bed: &Bed) {
    let strict = fence(bed, json!([]));
    let Observed::NotDone { detail } = strict.observe(None).await.unwrap() else { panic!("all of it runs") };
    for part in [
        "api 2 of 2",
        "StatefulSet queue 1 of 1",
        "DaemonSet agent 1 pods",
        "Job import 2 of 2",
        "CronJob nightly",
        "Rollout cart",
        "pod debug",
    ] {
        assert!(detail.contains(part), "{part} is missing: {detail}");
    }
    let preview = strict.preview().await.unwrap();
    strict.apply(&preview.pre_image, &Log::default()).await.unwrap();
    let begun = begun(preview.pre_image, Default::default());
    let why = eventually("only what nothing stops is left", async || {
        match strict.verify(&begun, &Log::default()).await.unwrap() {
            Verified::Broken { why } => Some(why),
            Verified::Pending { .. } => None,
            other => panic!("{other:?}"),
        }
    })
    .await;
    assert!(why.contains("DaemonSet agent") && why.contains("pod debug") && !why.contains("queue"), "{why}");
    let excused = fence(bed, json!(["daemonset/agent", "pod/debug"]));
    assert!(matches!(excused.verify(&begun, &Log::default()).await.unwrap(), Verified::Holds { .. }));
    assert_eq!(bed.get("/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/cart").await["spec"]["replicas"], 0);
    strict.revert(&begun, &Log::default()).await.unwrap();
    for (path, pointer, was) in [
        (format!("{APPS}/deployments/api"), "/spec/replicas", json!(2)),
        (format!("{APPS}/statefulsets/queue"), "/spec/replicas", json!(1)),
        ("/apis/batch/v1/namespaces/shop/jobs/import".into(), "/spec/parallelism", json!(2)),
        ("/apis/batch/v1beta1/namespaces/shop/cronjobs/nightly".into(), "/spec/suspend", json!(false)),
        ("/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/cart".into(), "/spec/replicas", json!(3)),
    ] {
        assert_eq!(bed.get(&path).await.pointer(pointer), Some(&was), "{path}");
    }
}

async fn scaling_finds_the_older_autoscaler(bed: &Bed) {
    let full = json!({ "replicas": { "api": 4, "queue": 2, "cart": 5, "clones": 2 } });
    let scale = step(&*bed.system(&json!({}), full), "kubernetes.scale", PRIMARY, json!({}));
    let preview = scale.preview().await.unwrap();
    assert!(preview.diff.contains(&"- autoscaler api-hpa 1..3".to_owned()), "{:?}", preview.diff);
    assert!(scale.check().await.unwrap().guards.iter().all(|it| it.verdict != GuardVerdict::Block));
    scale.apply(&preview.pre_image, &Log::default()).await.unwrap();
    let hpa = bed.get("/apis/autoscaling/v2beta2/namespaces/shop/horizontalpodautoscalers/api-hpa").await;
    assert_eq!((&hpa["spec"]["minReplicas"], &hpa["spec"]["maxReplicas"]), (&json!(4), &json!(4)));
    assert_eq!(bed.get("/apis/apps.kruise.io/v1alpha1/namespaces/shop/clonesets/clones").await["spec"]["replicas"], 2);
    scale.revert(&begun(preview.pre_image, Default::default()), &Log::default()).await.unwrap();
    assert_eq!(bed.get(&format!("{APPS}/statefulsets/queue")).await["spec"]["replicas"], 1);
}

/// An account that may look at what Kubernetes itself has, and at nothing else, as somebody who is not the administrator.
async fn an_account_with_few_rights_is_told_apart_from_kinds_that_are_not_there(bed: &Bed) {
    let who = json!({ "as": "mayday", "as-groups": ["system:authenticated"] });
    let rules = json!([
        { "apiGroups": ["apps", "batch", ""], "resources": ["*"], "verbs": ["get", "list", "patch"] },
        { "apiGroups": ["argoproj.io"], "resources": ["*"], "verbs": ["get", "list", "patch"] },
    ]);
    let api = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop";
    bed.make(&format!("{api}/roles"), json!({ "metadata": { "name": "few" }, "rules": rules })).await;
    let binding = json!({
        "metadata": { "name": "few" }, "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "few" },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "mayday" }],
    });
    bed.make(&format!("{api}/rolebindings"), binding).await;
    let system = bed.system(&who, json!({}));
    let fence = step(&*system, "kubernetes.fence", PRIMARY, json!({}));
    // KEDA's kinds are not there, and that is told by 403 as well; autoscalers are refused, and no fence needs them.
    eventually("the role counts", async || fence.observe(None).await.ok()).await;
    let guards = fence.fitness().await.unwrap().guards;
    let access = guards.iter().find(|it| it.name == "access").unwrap();
    assert!(access.verdict == GuardVerdict::Pass || !access.detail.contains("keda"), "{access:?}");
    assert!(!guards.iter().any(|it| it.name == "unseen"), "{guards:?}");
    let nodes = system.probe(&probe("kubernetes.nodes", json!({}))).await;
    assert!(nodes.status == Status::Unknown && nodes.detail.contains("403"), "{nodes:?}");
}

/// A real server lists nothing of a namespace that there is not, and calls that an answer.
async fn a_namespace_that_is_none_is_told(bed: &Bed) {
    bed.make("/api/v1/namespaces", json!({ "metadata": { "name": "empty" } })).await;
    let fence = |namespace: &str| {
        step(&*bed.system(&json!({}), json!({ "namespace": namespace })), "kubernetes.fence", PRIMARY, json!({}))
    };
    assert!(matches!(fence("empty").observe(None).await.unwrap(), Observed::Done { .. }));
    let fault = fence("shpo").observe(None).await.unwrap_err();
    assert_eq!(fault.what, "there is no namespace shpo");
    let guards = fence("empty").fitness().await.unwrap().guards;
    assert!(guards.iter().all(|it| it.verdict != GuardVerdict::Block), "{guards:?}");
}

async fn every_page_of_the_backups_is_read(bed: &Bed) {
    let group = "/apis/velero.io/v1/namespaces/velero";
    bed.make("/api/v1/namespaces", json!({ "metadata": { "name": "velero" } })).await;
    for (plural, of) in
        [("backups", "Backup"), ("schedules", "Schedule"), ("backupstoragelocations", "BackupStorageLocation")]
    {
        bed.make(CRDS, kind("velero.io", "v1", plural, of, false)).await;
    }
    let start = jiff::Timestamp::now() - Duration::from_secs(3600 * BACKUPS as u64);
    let backup = |nth: usize| {
        let at = start + Duration::from_secs(3600 * nth as u64);
        json!({
            "apiVersion": "velero.io/v1", "kind": "Backup", "metadata": { "name": format!("hourly-{nth:05}") },
            "spec": { "storageLocation": "default" }, "status": { "phase": "Completed", "startTimestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string() },
        })
    };
    let location = json!({
        "apiVersion": "velero.io/v1", "kind": "BackupStorageLocation", "metadata": { "name": "default" },
        "spec": { "config": { "region": "us-west-2" } }, "status": { "phase": "Available" },
    });
    bed.make(&format!("{group}/backupstoragelocations"), location).await;
    let list = format!("{group}/backups");
    let all = (0..BACKUPS).map(|nth| bed.make(&list, backup(nth)));
    stream::iter(all).buffer_unordered(16).collect::<()>().await;
    let look = looked_at(&bed.system(&json!({}), json!({})), "kubernetes.velero", json!({})).await.unwrap();
    let newest = look.restorable().expect("there are good ones");
    let age = jiff::Timestamp::now().duration_since(newest).as_secs();
    assert!(age < 3 * 3600, "the newest is on the second page: {age} s");
}
