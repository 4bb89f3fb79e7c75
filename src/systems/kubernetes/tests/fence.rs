//! A fence is done when no pod that could write is left, whoever made it.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::standin::{Fails, Standin, pod, runs};
use super::ways::of_contexts;
use super::{APPS, BATCH, CORE, Deaf, begun, made};
use crate::domain::system::{FaultClass, GuardVerdict, Observed, Step, Verified};

const ROLLOUTS: &str = "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts";
const SCALED: &str = "/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects";
const CLONES: &str = "/apis/apps.kruise.io/v1alpha1/namespaces/shop/clonesets";

/// A namespace as people have it: beside deployments all that else runs pods.
async fn estate() -> Standin {
    let server = Standin::start().await;
    let list = |path: &str, kind: &str| format!("{path}/{kind}");
    server.put(&list(APPS, "deployments"), runs("api", 2));
    server.put(&list(APPS, "statefulsets"), runs("queue", 1));
    let mut agent = runs("agent", 0);
    agent["status"] = json!({ "desiredNumberScheduled": 1, "currentNumberScheduled": 1, "numberAvailable": 1, "observedGeneration": 1 });
    server.put(&list(APPS, "daemonsets"), agent);
    server.put(
        &list(BATCH, "jobs"),
        json!({ "metadata": { "name": "import" }, "spec": { "parallelism": 3 }, "status": { "active": 3 } }),
    );
    server.put(&list(BATCH, "jobs"), json!({ "metadata": { "name": "old" }, "spec": {}, "status": { "conditions": [{ "type": "Complete", "status": "True" }] } }));
    server.put(
        &list(BATCH, "cronjobs"),
        json!({ "metadata": { "name": "nightly" }, "spec": { "schedule": "0 1 * * *" } }),
    );
    server.put(ROLLOUTS, runs("cart", 3));
    let mut clones = runs("clones", 1);
    clones["kind"] = "CloneSet".into();
    server.put(CLONES, clones);
    for (name, app, owner) in [
        ("api-7d9f-x", "api", None),
        ("queue-0", "queue", Some(("apps/v1", "StatefulSet", "queue"))),
        ("agent-x", "agent", Some(("apps/v1", "DaemonSet", "agent"))),
        ("import-x", "import", Some(("batch/v1", "Job", "import"))),
        ("clones-x", "clones", Some(("apps.kruise.io/v1alpha1", "CloneSet", "clones"))),
        ("debug", "debug", None),
    ] {
        server.put(&list(CORE, "pods"), pod(name, app, owner));
    }
    server
}

fn detail(observed: Observed) -> String {
    match observed {
        Observed::NotDone { detail } => format!("not done: {detail}"),
        Observed::InProgress { detail } => format!("in progress: {detail}"),
        Observed::Done { detail } => format!("done: {detail}"),
        other => panic!("{other:?}"),
    }
}

async fn applied(fence: &dyn Step) -> crate::domain::system::Begun {
    let preview = fence.preview().await.unwrap();
    fence.apply(&preview.pre_image, &Deaf).await.unwrap();
    begun(preview.pre_image)
}

#[tokio::test]
async fn it_names_and_stops_whatever_runs_and_is_not_done_while_a_pod_lives() {
    let server = estate().await;
    let cluster = server.cluster(json!({}));
    let fence = made(&cluster, "kubernetes.fence", json!({}));
    let seen = detail(fence.observe(None).await.unwrap());
    for part in [
        "not done",
        "api 1 of 2",
        "StatefulSet queue 1 of 1",
        "DaemonSet agent 1 pods",
        "Job import 1 of 3",
        "CronJob nightly",
        "Rollout cart 0 of 3",
        "CloneSet clones 1 of 1",
        "pod debug",
    ] {
        assert!(seen.contains(part), "{part} is missing: {seen}");
    }
    assert!(!seen.contains("Job old"), "{seen}");
    let preview = fence.preview().await.unwrap();
    for line in [
        "+ deployment api replicas 0",
        "+ StatefulSet queue replicas 0",
        "+ Rollout cart replicas 0",
        "+ CloneSet clones replicas 0",
        "+ CronJob nightly suspended",
        "- Job import parallelism 3",
    ] {
        assert!(preview.diff.iter().any(|it| it == line), "{line} is missing: {:#?}", preview.diff);
    }
    let told = fence.check().await.unwrap().guards;
    let staying = told.iter().find(|guard| guard.name == "staying").expect("it is told before");
    assert!(
        staying.verdict == GuardVerdict::Warn
            && staying.detail.contains("DaemonSet agent")
            && staying.detail.contains("except"),
        "{staying:?}"
    );
    let fit = fence.fitness().await.unwrap().guards;
    assert!(fit.iter().any(|guard| guard.name == "staying" && guard.verdict == GuardVerdict::Block), "{fit:?}");

    let begun = applied(&*fence).await;
    for (list, name, pointer, is) in [
        (format!("{APPS}/deployments"), "api", "/spec/replicas", json!(0)),
        (format!("{APPS}/statefulsets"), "queue", "/spec/replicas", json!(0)),
        (ROLLOUTS.to_owned(), "cart", "/spec/replicas", json!(0)),
        (CLONES.to_owned(), "clones", "/spec/replicas", json!(0)),
        (format!("{BATCH}/cronjobs"), "nightly", "/spec/suspend", json!(true)),
        (format!("{BATCH}/jobs"), "import", "/spec/parallelism", json!(0)),
    ] {
        assert_eq!(server.get(&list, name).pointer(pointer), Some(&is), "{name}");
    }
    let mut import = server.get(&format!("{BATCH}/jobs"), "import");
    import["status"] = json!({});
    server.put(&format!("{BATCH}/jobs"), import);
    let Verified::Broken { why } = fence.verify(&begun, &Deaf).await.unwrap() else { panic!("two of them go on") };
    assert!(why.contains("DaemonSet agent") && why.contains("pod debug") && why.contains("`except`"), "{why}");
    assert!(detail(fence.observe(Some(&begun)).await.unwrap()).starts_with("in progress"));

    let excused = made(&cluster, "kubernetes.fence", json!({ "except": ["daemonset/agent", "debug"] }));
    assert!(matches!(excused.verify(&begun, &Deaf).await.unwrap(), Verified::Holds { .. }));
    assert!(detail(excused.observe(Some(&begun)).await.unwrap()).starts_with("done"));
    server.put(&format!("{CORE}/pods"), pod("other-1", "other", None));
    assert!(detail(excused.observe(None).await.unwrap()).contains("pod other-1"), "whoever made it");
    server.take(&format!("{CORE}/pods"), "other-1");

    fence.revert(&begun, &Deaf).await.unwrap();
    assert_eq!(server.get(&format!("{APPS}/statefulsets"), "queue")["spec"]["replicas"], 1);
    assert_eq!(server.get(&format!("{BATCH}/cronjobs"), "nightly")["spec"]["suspend"], false);
    assert_eq!(server.get(&format!("{BATCH}/jobs"), "import")["spec"]["parallelism"], 3);
    assert_eq!(server.get(ROLLOUTS, "cart")["spec"]["replicas"], 3);
    assert_eq!(server.get(CLONES, "clones")["spec"]["replicas"], 1);
}

#[tokio::test]
async fn a_pod_that_is_being_ended_is_waited_for() {
    let server = estate().await;
    server.holds_pods();
    let fence =
        made(&server.cluster(json!({})), "kubernetes.fence", json!({ "deployments": ["queue", "deployment/api"] }));
    let begun = applied(&*fence).await;
    let Verified::Pending { detail: words } = fence.verify(&begun, &Deaf).await.unwrap() else { panic!("pods run") };
    assert!(words.contains("StatefulSet queue 1 of 0") && !words.contains("cart"), "only what was named: {words}");
    for name in ["queue-0", "api-7d9f-x"] {
        server.take(&format!("{CORE}/pods"), name);
    }
    assert!(matches!(fence.verify(&begun, &Deaf).await.unwrap(), Verified::Holds { .. }));
    assert_eq!(server.get(ROLLOUTS, "cart")["spec"]["replicas"], 3, "the rest is left alone");
    let nobody = made(&server.cluster(json!({})), "kubernetes.fence", json!({ "deployments": ["nobody"] }));
    assert!(nobody.observe(None).await.unwrap_err().what.contains("no deployment nobody"));
}

#[tokio::test]
async fn keda_is_paused_and_given_back_as_it_was() {
    let server = Standin::start().await;
    server.put(&format!("{APPS}/deployments"), runs("api", 2));
    server.put(SCALED, json!({ "metadata": { "name": "api-keda" }, "spec": { "scaleTargetRef": { "name": "api" }, "minReplicaCount": 2 } }));
    let fence = made(&server.cluster(json!({})), "kubernetes.fence", json!({}));
    let begun = applied(&*fence).await;
    let paused = |server: &Standin| {
        server.get(SCALED, "api-keda")["metadata"]["annotations"]["autoscaling.keda.sh/paused-replicas"].clone()
    };
    assert_eq!(paused(&server), "0");
    assert!(matches!(fence.verify(&begun, &Deaf).await.unwrap(), Verified::Holds { .. }));
    assert!(detail(fence.observe(Some(&begun)).await.unwrap()).starts_with("done"));
    fence.revert(&begun, &Deaf).await.unwrap();
    assert_eq!(
        (paused(&server), server.get(&format!("{APPS}/deployments"), "api")["spec"]["replicas"].clone()),
        (Value::Null, json!(2))
    );

    let zero = json!({ "metadata": { "name": "api-keda" }, "spec": { "scaleTargetRef": { "name": "api" } } });
    server.put(SCALED, zero);
    server.put(&format!("{APPS}/deployments"), runs("api", 0));
    let seen = detail(fence.observe(None).await.unwrap());
    assert!(seen.contains("not done") && seen.contains("api"), "KEDA would start it again: {seen}");
}

#[tokio::test]
async fn what_could_not_be_seen_is_not_nobody() {
    let server = Standin::start().await;
    server.put(&format!("{APPS}/deployments"), runs("api", 1));
    server.fails("cronjobs", Fails::With(403));
    let fence = made(&server.cluster(json!({})), "kubernetes.fence", json!({}));
    assert!(detail(fence.observe(None).await.unwrap()).contains("api 0 of 1"), "what is seen is stopped all the same");
    let begun = applied(&*fence).await;
    assert_eq!(server.get(&format!("{APPS}/deployments"), "api")["spec"]["replicas"], 0);
    let fault = fence.verify(&begun, &Deaf).await.unwrap_err();
    assert!(fault.class == FaultClass::Permanent && fault.what.contains("cronjobs"), "{fault}");
    assert!(fence.observe(None).await.is_err());
    server.heals();
    assert!(matches!(fence.verify(&begun, &Deaf).await.unwrap(), Verified::Holds { .. }));
    // An account with few rights is refused what the server does not even have.
    server.fails("argoproj.io/v1alpha1", Fails::With(403));
    server.fails("keda.sh/v1alpha1", Fails::With(403));
    assert!(matches!(fence.verify(&begun, &Deaf).await.unwrap(), Verified::Holds { .. }));
    server.knows(ROLLOUTS);
    let other = made(&server.cluster(json!({})), "kubernetes.fence", json!({}));
    assert!(other.verify(&begun, &Deaf).await.unwrap_err().what.contains("rollouts"));
}

#[tokio::test]
async fn it_needs_no_autoscalers_and_a_slow_list_is_not_a_server_that_is_gone() {
    let server = estate().await;
    server.fails("horizontalpodautoscalers", Fails::With(403));
    server.fails("/namespaces/shop/pods", Fails::After(Duration::from_secs(3)));
    let fence = made(&server.cluster(json!({})), "kubernetes.fence", json!({}));
    let seen = detail(fence.observe(None).await.unwrap());
    assert!(seen.starts_with("not done") && seen.contains("StatefulSet queue"), "{seen}");
    assert_eq!(server.asked("horizontalpodautoscalers"), 0);
}

#[tokio::test]
async fn every_page_is_read_and_a_list_that_expires_is_begun_anew() {
    let server = Standin::start().await;
    server.pages_of(2);
    for nth in 0..7 {
        server.put(&format!("{CORE}/pods"), pod(&format!("p{nth}"), "x", None));
    }
    server.fails("/namespaces/shop/pods", Fails::MidList(410));
    let fence = made(&server.cluster(json!({})), "kubernetes.fence", json!({}));
    let seen = detail(fence.observe(None).await.unwrap());
    assert!((0..7).all(|nth| seen.contains(&format!("pod p{nth}"))), "{seen}");
    server.fails("/namespaces/shop/pods", Fails::MidList(500));
    assert!(fence.observe(None).await.is_err(), "from half of a list nothing is concluded");
}

#[tokio::test]
async fn old_servers_have_cron_jobs_under_another_name() {
    let server = Standin::start().await;
    server.forgets(&format!("{BATCH}/cronjobs"));
    let old = "/apis/batch/v1beta1/namespaces/shop/cronjobs";
    server.put(old, json!({ "metadata": { "name": "nightly" }, "spec": {} }));
    let fence = made(&server.cluster(json!({})), "kubernetes.fence", json!({}));
    let begun = applied(&*fence).await;
    assert_eq!(server.get(old, "nightly")["spec"]["suspend"], true);
    fence.revert(&begun, &Deaf).await.unwrap();
    assert_eq!(server.get(old, "nightly")["spec"]["suspend"], false);
}

#[tokio::test]
async fn an_operator_that_would_start_it_again_is_named() {
    let server = Standin::start().await;
    let mut queue = runs("queue", 1);
    queue["metadata"]["ownerReferences"] =
        json!([{ "apiVersion": "queues.example/v1", "kind": "Broker", "name": "main", "controller": true }]);
    server.put(&format!("{APPS}/statefulsets"), queue);
    let seen = detail(made(&server.cluster(json!({})), "kubernetes.fence", json!({})).observe(None).await.unwrap());
    assert!(seen.contains("StatefulSet queue 0 of 1 pods, minded by Broker main"), "{seen}");
}

#[tokio::test]
async fn of_two_clusters_the_one_that_answers_is_stopped_whatever_the_other_does() {
    let (server, dir) = (Standin::start().await, tempfile::tempdir().unwrap());
    server.put(&format!("{APPS}/deployments"), runs("api", 2));
    server.put(&format!("{CORE}/pods"), pod("api-0", "api", None));
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let both = of_contexts(dir.path(), &[("e1", format!("http://{gone}")), ("e2", server.url.clone())]);
    let fence = made(&both, "kubernetes.fence", json!({}));
    let seen = detail(fence.observe(None).await.unwrap());
    assert!(seen.starts_with("not done") && seen.contains("e2/shop/api 1 of 2"), "it goes on writing: {seen}");
    let guards = fence.check().await.unwrap().guards;
    assert!(guards.iter().any(|it| it.name == "reachable" && it.detail.contains("e1: ")), "{guards:?}");
    let begun = applied(&*fence).await;
    assert_eq!(server.get(&format!("{APPS}/deployments"), "api")["spec"]["replicas"], 0);
    let Verified::Holds { detail: words, .. } = fence.verify(&begun, &Deaf).await.unwrap() else {
        panic!("it is stopped")
    };
    assert!(words.contains("every pod is gone") && words.contains("e1: the API server cannot be reached"), "{words}");
    let none = of_contexts(dir.path(), &[("e1", format!("http://{gone}"))]);
    let words = detail(made(&none, "kubernetes.fence", json!({})).observe(None).await.unwrap());
    assert!(words.starts_with("done") && words.contains("nothing there can be stopped"), "{words}");
}

#[tokio::test]
async fn a_server_that_takes_long_for_everything_is_not_out_of_reach() {
    let server = Standin::start().await;
    server.put(&format!("{APPS}/deployments"), runs("api", 2));
    server.fails("GET /", Fails::After(Duration::from_millis(2600)));
    let cluster = server.cluster(json!({}));
    let fence = made(&cluster, "kubernetes.fence", json!({}));
    let seen = detail(fence.observe(None).await.unwrap());
    assert!(seen.starts_with("not done") && seen.contains("api 0 of 2"), "{seen}");
}

#[tokio::test]
async fn a_namespace_that_is_none_is_not_one_that_is_empty() {
    let server = Standin::start().await;
    let fence = |namespace: &str| {
        for list in ["deployments", "statefulsets", "daemonsets"] {
            server.knows(&format!("/apis/apps/v1/namespaces/{namespace}/{list}"));
        }
        server.knows(&format!("/api/v1/namespaces/{namespace}/pods"));
        made(&server.cluster(json!({ "namespace": namespace })), "kubernetes.fence", json!({}))
    };
    assert!(detail(fence("shop").observe(None).await.unwrap()).starts_with("done"));
    let fault = fence("shpo").observe(None).await.unwrap_err();
    assert!(fault.what == "there is no namespace shpo" && fault.class == FaultClass::Permanent, "{fault}");
}

#[tokio::test]
async fn what_would_lose_its_volumes_by_being_stopped_is_told_before() {
    let server = Standin::start().await;
    let mut queue = runs("queue", 1);
    queue["spec"]["persistentVolumeClaimRetentionPolicy"] = json!({ "whenScaled": "Delete" });
    server.put(&format!("{APPS}/statefulsets"), queue);
    let fence = made(&server.cluster(json!({})), "kubernetes.fence", json!({}));
    for guards in [fence.check().await.unwrap().guards, fence.fitness().await.unwrap().guards] {
        let told = guards.iter().find(|it| it.name == "claims").expect("nothing brings them back");
        assert!(told.verdict == GuardVerdict::Block && told.detail.contains("StatefulSet queue"), "{told:?}");
    }
    let other = made(&server.cluster(json!({})), "kubernetes.fence", json!({ "except": ["statefulset/queue"] }));
    assert!(other.check().await.unwrap().guards.iter().all(|it| it.name != "claims"));
}
