//! Probes, scaling and restarts of whatever serves, on servers as they are.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::Cluster;
use super::super::standin::{Fails, Standin, pod, runs};
use super::{APPS, CORE, Deaf, begun, made};
use crate::domain::estate::ProbeSpec;
use crate::domain::health::{Reading, Status};
use crate::domain::system::{GuardVerdict, Observed, Verified};

async fn look(cluster: &Cluster, kind: &str, given: Value, timeout: &str) -> Reading {
    let spec: ProbeSpec = serde_json::from_value(json!({
        "id": "p", "kind": kind, "system": "k8s", "subject": { "system": "k8s" }, "region": null, "every": "5s",
        "timeout": timeout, "fall": 1, "rise": 1, "window": null, "params": given,
    }))
    .expect("it is a probe");
    cluster.probe(&spec).await
}

async fn named(cluster: &Cluster, name: &str) -> (Status, String) {
    let reading = look(cluster, "kubernetes.deployment", json!({ "name": name }), "5s").await;
    (reading.status, reading.detail)
}

#[tokio::test]
async fn a_service_may_be_anything_that_runs_pods() {
    let server = Standin::start().await;
    server.put(&format!("{APPS}/deployments"), runs("api", 2));
    server.put(&format!("{APPS}/statefulsets"), runs("queue", 1));
    let mut agent = runs("agent", 0);
    agent["status"] = json!({ "desiredNumberScheduled": 2, "numberAvailable": 1, "observedGeneration": 1 });
    server.put(&format!("{APPS}/daemonsets"), agent);
    server.put("/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts", runs("cart", 3));
    let mut clones = runs("clones", 1);
    clones["kind"] = "CloneSet".into();
    clones["status"] = json!({ "readyReplicas": 1 });
    server.put("/apis/apps.kruise.io/v1alpha1/namespaces/shop/clonesets", clones);
    let cluster = server.cluster(json!({}));
    for (name, status, words) in [
        ("api", Status::Healthy, "2 of 2 available"),
        ("queue", Status::Healthy, "StatefulSet queue: 1 of 1 available"),
        ("statefulset/queue", Status::Healthy, "StatefulSet queue"),
        ("agent", Status::Degraded, "DaemonSet agent: 1 of 2 available"),
        ("cart", Status::Down, "Rollout cart: 0 of 3 available"),
        ("clones", Status::Healthy, "CloneSet clones: 1 of 1"),
        ("nobody", Status::Down, "no deployment nobody and nothing else of that name"),
        ("deployment/queue", Status::Down, "no deployment"),
    ] {
        let (seen, detail) = named(&cluster, name).await;
        assert!(seen == status && detail.contains(words), "{name}: {seen:?} {detail}");
    }
    server.fails("statefulsets", Fails::With(403));
    assert_eq!(named(&cluster, "api").await.0, Status::Healthy);
    let (status, detail) = named(&cluster, "queue").await;
    assert!(status == Status::Unknown && detail.contains("403"), "what may not be seen is not gone: {detail}");
}

#[tokio::test]
async fn slow_is_not_silent_and_a_login_that_takes_long_is_neither() {
    let server = Standin::start().await;
    server.fails("GET /api/v1/nodes", Fails::After(Duration::from_secs(3)));
    let reading = look(&server.cluster(json!({})), "kubernetes.nodes", json!({}), "2s").await;
    assert!(reading.status == Status::Unknown && reading.detail.contains("answers, but"), "{reading:?}");
    server.heals();
    server.fails("GET /", Fails::After(Duration::from_secs(9)));
    let reading = look(&server.cluster(json!({})), "kubernetes.nodes", json!({}), "2s").await;
    assert_eq!((reading.status, reading.detail.as_str()), (Status::Down, "the API server does not answer"));
    server.heals();
    let slow = server.cluster(json!({ "token": { "command": ["sh", "-c", "sleep 1; echo x"] } }));
    server.fails("GET /", Fails::After(Duration::from_secs(9)));
    let reading = look(&slow, "kubernetes.nodes", json!({}), "1300ms").await;
    assert!(reading.status == Status::Unknown && reading.detail.contains("login"), "{reading:?}");
}

#[tokio::test]
async fn the_time_that_a_login_takes_is_none_of_the_servers() {
    let server = Standin::start().await;
    server.put(&format!("{APPS}/deployments"), runs("api", 1));
    let slow = server.cluster(json!({ "token": { "command": ["sh", "-c", "sleep 1; echo x"] } }));
    server.fails("deployments/api", Fails::After(Duration::from_secs(2)));
    assert_eq!(named(&slow, "api").await.0, Status::Healthy, "each of them was within its time");
}

#[tokio::test]
async fn a_refusal_logs_in_anew_once_and_not_at_every_look() {
    let dir = tempfile::tempdir().unwrap();
    let counter = dir.path().join("logins").display().to_string();
    let script = format!("echo x >> {counter}; echo token");
    let server = Standin::start().await;
    let cluster = server.cluster(json!({ "token": { "command": ["sh", "-c", script] } }));
    server.fails("deployments/api", Fails::With(401));
    for _ in 0..5 {
        assert_eq!(named(&cluster, "api").await.0, Status::Unknown);
    }
    let logins = std::fs::read_to_string(dir.path().join("logins")).unwrap().lines().count();
    assert_eq!(logins, 1, "an account is not tried out");
}

#[tokio::test]
async fn scaling_up_goes_on_where_only_warnings_fail() {
    let server = Standin::start().await;
    server.put(&format!("{APPS}/deployments"), runs("api", 1));
    server.put(&format!("{APPS}/statefulsets"), runs("queue", 1));
    server.fails("GET /api/v1/nodes", Fails::With(403));
    server.fails("resourcequotas", Fails::With(403));
    server.fails("horizontalpodautoscalers", Fails::With(403));
    let scale = made(&server.cluster(json!({ "replicas": { "api": 3, "queue": 2 } })), "kubernetes.scale", json!({}));
    let guards = scale.check().await.unwrap().guards;
    let warned: Vec<&str> = guards.iter().map(|it| it.name.as_str()).collect();
    assert!(guards.iter().all(|it| it.verdict == GuardVerdict::Warn), "{guards:?}");
    assert_eq!(warned, ["room", "quota", "autoscalers"]);
    let preview = scale.preview().await.unwrap();
    assert_eq!(preview.summary, "2 workloads of shop: 2 → 5 replicas");
    scale.apply(&preview.pre_image, &Deaf).await.unwrap();
    let begun = begun(preview.pre_image);
    assert!(matches!(scale.verify(&begun, &Deaf).await.unwrap(), Verified::Holds { .. }));
    let Observed::Done { detail } = scale.observe(Some(&begun)).await.unwrap() else { panic!("they carry the load") };
    assert!(detail.contains("not known"), "what could not be seen is told: {detail}");
    scale.revert(&begun, &Deaf).await.unwrap();
    assert_eq!(server.get(&format!("{APPS}/statefulsets"), "queue")["spec"]["replicas"], 1);
}

#[tokio::test]
async fn an_autoscaler_is_found_in_whichever_version_there_is_and_keda_before_its_own() {
    for version in ["v2", "v2beta2", "v1"] {
        let server = Standin::start().await;
        server.put(&format!("{APPS}/deployments"), runs("api", 1));
        let hpas = format!("/apis/autoscaling/{version}/namespaces/shop/horizontalpodautoscalers");
        let target = json!({ "kind": "Deployment", "name": "api" });
        server.put(&hpas, json!({ "metadata": { "name": "api-hpa" }, "spec": { "scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 2 } }));
        let scale = made(&server.cluster(json!({ "replicas": { "api": 3 } })), "kubernetes.scale", json!({}));
        let preview = scale.preview().await.unwrap();
        assert!(preview.diff.contains(&"- autoscaler api-hpa 1..2".to_owned()), "{version}: {:?}", preview.diff);
        scale.apply(&preview.pre_image, &Deaf).await.unwrap();
        let bounds = |server: &Standin| server.get(&hpas, "api-hpa")["spec"].clone();
        assert_eq!(
            (bounds(&server)["minReplicas"].clone(), bounds(&server)["maxReplicas"].clone()),
            (json!(3), json!(3)),
            "{version}"
        );
        scale.revert(&begun(preview.pre_image), &Deaf).await.unwrap();
        assert_eq!(
            (bounds(&server)["minReplicas"].clone(), bounds(&server)["maxReplicas"].clone()),
            (json!(1), json!(2)),
            "{version}"
        );

        let scaled = "/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects";
        server.put(
            scaled,
            json!({
                "metadata": { "name": "api-keda", "annotations": { "autoscaling.keda.sh/paused-replicas": "1" } },
                "spec": { "scaleTargetRef": { "name": "api" }, "minReplicaCount": 0 },
            }),
        );
        let preview = scale.preview().await.unwrap();
        scale.apply(&preview.pre_image, &Deaf).await.unwrap();
        let keda = server.get(scaled, "api-keda");
        assert_eq!(keda["spec"]["minReplicaCount"], 3);
        assert!(keda["metadata"]["annotations"]["autoscaling.keda.sh/paused-replicas"].is_null(), "{keda}");
        assert_eq!(bounds(&server)["minReplicas"], 1, "KEDA would take it back");
    }
}

#[tokio::test]
async fn two_of_one_name_are_asked_for_by_their_kind() {
    let server = Standin::start().await;
    server.put(&format!("{APPS}/deployments"), runs("queue", 1));
    server.put(&format!("{APPS}/statefulsets"), runs("queue", 1));
    let fault = made(&server.cluster(json!({ "replicas": { "queue": 2 } })), "kubernetes.scale", json!({}))
        .observe(None)
        .await
        .unwrap_err();
    assert!(fault.what.contains("several: queue, statefulsets/queue"), "{fault}");
    let scale = made(&server.cluster(json!({ "replicas": { "statefulset/queue": 2 } })), "kubernetes.scale", json!({}));
    scale.apply(&Value::Null, &Deaf).await.unwrap();
    assert_eq!(server.get(&format!("{APPS}/deployments"), "queue")["spec"]["replicas"], 1);
    assert_eq!(server.get(&format!("{APPS}/statefulsets"), "queue")["spec"]["replicas"], 2);
}

#[tokio::test]
async fn a_restart_is_told_to_each_kind_in_its_own_words() {
    let server = Standin::start().await;
    server.put(&format!("{APPS}/statefulsets"), runs("queue", 1));
    let rollouts = "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts";
    server.put(rollouts, runs("cart", 3));
    let restart = made(&server.cluster(json!({})), "kubernetes.restart", json!({}));
    restart.apply(&Value::Null, &Deaf).await.unwrap();
    let set = server.get(&format!("{APPS}/statefulsets"), "queue");
    assert!(
        set["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"].is_string(),
        "{set}"
    );
    assert!(server.get(rollouts, "cart")["spec"]["restartAt"].is_string());
    let mut by_hand = runs("queue", 1);
    by_hand["spec"]["updateStrategy"] = json!({ "type": "OnDelete" });
    server.put(&format!("{APPS}/statefulsets"), by_hand);
    let guards = restart.check().await.unwrap().guards;
    assert!(guards.iter().any(|it| it.verdict == GuardVerdict::Block && it.detail.contains("OnDelete")), "{guards:?}");
}

#[tokio::test]
async fn several_namespaces_are_one_system() {
    let server = Standin::start().await;
    server.put(&format!("{APPS}/deployments"), runs("api", 1));
    for list in ["deployments", "statefulsets", "daemonsets"] {
        server.knows(&format!("/apis/apps/v1/namespaces/cart/{list}"));
    }
    for list in ["pods", "resourcequotas"] {
        server.knows(&format!("/api/v1/namespaces/cart/{list}"));
    }
    for list in ["jobs", "cronjobs"] {
        server.knows(&format!("/apis/batch/v1/namespaces/cart/{list}"));
    }
    server.put("/apis/apps/v1/namespaces/cart/deployments", runs("api", 2));
    server.put("/apis/apps/v1/namespaces/cart/deployments", runs("web", 1));
    let given = json!({ "namespaces": ["shop", "cart"], "replicas": { "cart/api": 4, "web": 2 } });
    let cluster = server.cluster(given);
    assert_eq!(named(&cluster, "cart/api").await.1, "2 of 2 available");
    assert_eq!(named(&cluster, "api").await.1, "shop/api: 1 of 1 available; cart/api: 2 of 2 available");
    let scale = made(&cluster, "kubernetes.scale", json!({}));
    assert_eq!(scale.preview().await.unwrap().summary, "2 deployments of shop, cart: 3 → 6 replicas");
    scale.apply(&Value::Null, &Deaf).await.unwrap();
    assert_eq!(server.get(&format!("{APPS}/deployments"), "api")["spec"]["replicas"], 1);
    let fence = made(&cluster, "kubernetes.fence", json!({}));
    let preview = fence.preview().await.unwrap();
    fence.apply(&preview.pre_image, &Deaf).await.unwrap();
    server.put("/api/v1/namespaces/cart/pods", pod("left", "x", None));
    let Observed::InProgress { detail } = fence.observe(Some(&begun(Value::Null))).await.unwrap() else {
        panic!("a pod is left")
    };
    assert!(detail.contains("pod left"), "{detail}");
    fence.revert(&begun(preview.pre_image), &Deaf).await.unwrap();
    assert_eq!(server.get("/apis/apps/v1/namespaces/cart/deployments", "api")["spec"]["replicas"], 4);
    assert_eq!(server.get(&format!("{APPS}/deployments"), "api")["spec"]["replicas"], 1);
    assert!(server.asked(CORE) > 0);
}
