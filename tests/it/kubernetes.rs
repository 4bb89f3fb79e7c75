//! The Kubernetes driver against the lab.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mayday::domain::health::Status;
use mayday::domain::run::IN_PART;
use mayday::domain::system::{Begun, FaultClass, GuardVerdict, Observed, Receipt, Step, System, Verified};
use mayday::domain::time::At;
use mayday::lab::faults::Condition;
use mayday::lab::kubernetes::SERVICES;
use mayday::lab::{Lab, PRIMARY, Pace, STANDBY};
use serde_json::{Map, Value, json};

use crate::common::{Log, begun, connect, eventually, probe, step, try_step};

async fn lab() -> Lab {
    Lab::start(Pace(200.0)).await.unwrap()
}

fn full() -> Value {
    SERVICES.iter().map(|service| (service.name.to_owned(), service.full.into())).collect::<Map<_, _>>().into()
}

fn cluster(lab: &Lab, region: &str, replicas: Value) -> Arc<dyn System> {
    let given = json!({
        "server": lab.endpoints[&format!("kubernetes.{region}")],
        "token": { "command": ["printf", "labtoken"] },
        "namespace": "gennet",
        "replicas": replicas,
    });
    connect("kubernetes", None, given)
}

fn set(lab: &Lab, place: &str, condition: Condition) {
    lab.world.truth().faults.set(place, condition);
}

/// Changes that were accepted in a region.
fn changes(lab: &Lab, region: &str) -> usize {
    let place = format!("kubernetes@{region}");
    lab.world.truth().ledger.iter().filter(|it| it.place == place && it.accepted).count()
}

async fn done(step: &dyn Step, begun: Option<&Begun>) {
    eventually("observed as done", async || match step.observe(begun).await.unwrap() {
        Observed::Done { .. } => Some(()),
        Observed::InProgress { .. } => None,
        other => panic!("{other:?}"),
    })
    .await;
}

async fn holds(step: &dyn Step, begun: &Begun) {
    eventually("verified", async || match step.verify(begun, &Log::default()).await.unwrap() {
        Verified::Holds { .. } => Some(()),
        Verified::Pending { .. } => None,
        other => panic!("{other:?}"),
    })
    .await;
}

#[tokio::test]
async fn deployments_and_nodes_are_seen_as_they_are() {
    let lab = lab().await;
    let k8s = cluster(&lab, PRIMARY, full());
    let look = async |name: &str| k8s.probe(&probe("kubernetes.deployment", json!({ "name": name }))).await;
    let auth = look("auth").await;
    assert_eq!((auth.status, auth.detail.as_str()), (Status::Healthy, "3 of 3 available"));
    assert_eq!(look("nobody").await.status, Status::Down);
    let nodes = k8s.probe(&probe("kubernetes.nodes", json!({}))).await;
    assert_eq!((nodes.status, nodes.detail.as_str()), (Status::Healthy, "3 of 3 nodes ready"));
    for condition in [Condition::Denied, Condition::Throttled] {
        set(&lab, "kubernetes@us-east-1", condition);
        assert_eq!(look("auth").await.status, Status::Unknown, "{condition:?} says nothing of the service");
        assert_eq!(k8s.probe(&probe("kubernetes.nodes", json!({}))).await.status, Status::Unknown, "{condition:?}");
    }
    set(&lab, "kubernetes@us-east-1", Condition::Dark);
    let started = Instant::now();
    assert_eq!(look("auth").await.status, Status::Unknown, "an API that is silent is no service that is down");
    assert!(started.elapsed() < Duration::from_secs(5), "a look is bounded: {:?}", started.elapsed());
    assert_eq!(k8s.probe(&probe("kubernetes.nodes", json!({}))).await.status, Status::Down);
}

#[tokio::test]
async fn scaling_up_raises_the_autoscalers_first_and_never_goes_down() {
    let lab = lab().await;
    let k8s = cluster(&lab, STANDBY, full());
    let scale = step(&*k8s, "kubernetes.scale", STANDBY, json!({}));
    assert!(matches!(scale.observe(None).await.unwrap(), Observed::NotDone { .. }));
    let preview = scale.preview().await.unwrap();
    assert_eq!(preview.summary, "6 deployments of gennet: 6 → 18 replicas");
    assert!(preview.diff.contains(&"- autoscaler api-gateway 1..10".to_owned()), "{:?}", preview.diff);
    assert!(preview.diff.contains(&"+ deployment auth replicas 3".to_owned()), "{:?}", preview.diff);
    assert!(scale.check().await.unwrap().guards.iter().all(|guard| guard.verdict == GuardVerdict::Pass));
    assert_eq!(changes(&lab, STANDBY), 0, "looking changes nothing");
    scale.apply(&preview.pre_image, &Log::default()).await.unwrap();
    let begun = begun(preview.pre_image, Receipt::new());
    holds(&*scale, &begun).await;
    done(&*scale, Some(&begun)).await;
    let after = changes(&lab, STANDBY);
    assert_eq!(after, 8, "two autoscalers and six deployments");
    assert!(SERVICES.iter().all(|it| lab.world.truth().kubernetes[STANDBY].desired(it.name) == it.full));
    // A cluster that runs more than the full load is left alone.
    let less = cluster(&lab, STANDBY, json!({ "auth": 1, "api-gateway": 2 }));
    let scale_less = step(&*less, "kubernetes.scale", STANDBY, json!({}));
    done(&*scale_less, None).await;
    scale_less.apply(&Value::Null, &Log::default()).await.unwrap();
    assert_eq!(changes(&lab, STANDBY), after);
    scale.revert(&begun, &Log::default()).await.unwrap();
    assert!(SERVICES.iter().all(|it| lab.world.truth().kubernetes[STANDBY].desired(it.name) == 1));
}

#[tokio::test]
async fn missing_room_is_told_before_and_after() {
    let lab = lab().await;
    let k8s = cluster(&lab, STANDBY, json!({ "auth": 40 }));
    let scale = step(&*k8s, "kubernetes.scale", STANDBY, json!({}));
    let guards = scale.check().await.unwrap().guards;
    assert_eq!(guards[0].verdict, GuardVerdict::Warn);
    assert!(guards[0].detail.contains("of 39 pods"), "{guards:?}");
    let preview = scale.preview().await.unwrap();
    scale.apply(&preview.pre_image, &Log::default()).await.unwrap();
    let begun = begun(preview.pre_image, Receipt::new());
    eventually("the scheduler's words", async || match scale.verify(&begun, &Log::default()).await.unwrap() {
        Verified::Pending { detail } => detail.contains("Insufficient cpu").then_some(()),
        other => panic!("{other:?}"),
    })
    .await;
}

#[tokio::test]
async fn a_quota_that_would_refuse_pods_is_told_long_before() {
    let lab = lab().await;
    let k8s = cluster(&lab, STANDBY, full());
    let scale = step(&*k8s, "kubernetes.scale", STANDBY, json!({}));
    let quota = async || {
        let guards = scale.fitness().await.unwrap().guards;
        guards.into_iter().find(|guard| guard.name == "quota").unwrap()
    };
    assert_eq!(quota().await.verdict, GuardVerdict::Pass);
    set(&lab, "kubernetes@us-west-2", Condition::Full);
    let refused = eventually("the quota is cut", async || {
        Some(quota().await).filter(|guard| guard.verdict == GuardVerdict::Block)
    })
    .await;
    assert!(refused.detail.contains("no room for 12 pods more: pods 6 of 8 used"), "{refused:?}");
    let guards = scale.check().await.unwrap().guards;
    let told = guards.iter().find(|guard| guard.name == "quota").unwrap();
    assert_eq!(told.verdict, GuardVerdict::Warn, "in an outage some pods are better than none");
    let preview = scale.preview().await.unwrap();
    scale.apply(&preview.pre_image, &Log::default()).await.unwrap();
    let pods = || SERVICES.iter().map(|it| lab.world.truth().kubernetes[STANDBY].ready(it.name)).sum::<usize>();
    eventually("as many as the quota allows", async || (pods() == 8).then_some(())).await;
    set(&lab, "kubernetes@us-west-2", Condition::Up);
    holds(&*scale, &begun(preview.pre_image, Receipt::new())).await;
}

#[tokio::test]
async fn a_fence_stops_what_runs_and_gives_it_back() {
    // Slow enough for pods to be seen ending.
    let lab = Lab::start(Pace(20.0)).await.unwrap();
    let k8s = cluster(&lab, PRIMARY, full());
    let fence = step(&*k8s, "kubernetes.fence", PRIMARY, json!({}));
    assert!(matches!(fence.observe(None).await.unwrap(), Observed::NotDone { .. }));
    let preview = fence.preview().await.unwrap();
    assert_eq!(preview.summary, "6 deployments of gennet: 18 → 0 replicas");
    fence.apply(&preview.pre_image, &Log::default()).await.unwrap();
    let begun = begun(preview.pre_image, Receipt::new());
    holds(&*fence, &begun).await;
    let running = |it: &mayday::lab::kubernetes::Service| lab.world.truth().kubernetes[PRIMARY].pods(it.name);
    assert_eq!(SERVICES.iter().map(running).sum::<usize>(), 0, "a pod that is being ended may still write");
    done(&*fence, Some(&begun)).await;
    fence.revert(&begun, &Log::default()).await.unwrap();
    let k8s = cluster(&lab, PRIMARY, full());
    eventually("all is back", async || {
        let ready = |it: &mayday::lab::kubernetes::Service| {
            lab.world.truth().kubernetes[PRIMARY].ready(it.name) as u64 == it.full
        };
        SERVICES.iter().all(ready).then_some(())
    })
    .await;
    assert!(matches!(
        step(&*k8s, "kubernetes.fence", PRIMARY, json!({})).observe(None).await.unwrap(),
        Observed::NotDone { .. }
    ));
}

#[tokio::test]
async fn only_silence_counts_as_out_of_reach() {
    let lab = lab().await;
    let fence = step(&*cluster(&lab, PRIMARY, full()), "kubernetes.fence", PRIMARY, json!({}));
    for (condition, class) in
        [(Condition::Denied, FaultClass::Permanent), (Condition::Throttled, FaultClass::Transient)]
    {
        set(&lab, "kubernetes@us-east-1", condition);
        assert_eq!(fence.observe(None).await.unwrap_err().class, class);
    }
    set(&lab, "kubernetes@us-east-1", Condition::Dark);
    let Observed::Done { detail } = fence.observe(None).await.unwrap() else { panic!("a dark region is out of reach") };
    assert!(detail.contains("nothing there can be stopped from here"), "{detail}");
}

#[tokio::test]
async fn a_fence_that_reaches_one_of_two_clusters_says_what_it_did_not_reach() {
    let lab = lab().await;
    let (clusters, contexts): (Vec<Value>, Vec<Value>) = [PRIMARY, STANDBY]
        .iter()
        .map(|region| {
            let server = &lab.endpoints[&format!("kubernetes.{region}")];
            let context = json!({ "cluster": region, "user": "lab", "namespace": "gennet" });
            (json!({ "name": region, "cluster": { "server": server } }), json!({ "name": region, "context": context }))
        })
        .unzip();
    let users = json!([{ "name": "lab", "user": { "token": "labtoken" } }]);
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "clusters": clusters, "contexts": contexts, "users": users,
        "current-context": PRIMARY,
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config.to_string()).unwrap();
    let given = json!({ "kubeconfig": file.path(), "contexts": [PRIMARY, STANDBY], "namespace": "gennet" });
    let fence = step(&*connect("kubernetes", None, given), "kubernetes.fence", PRIMARY, json!({}));
    set(&lab, "kubernetes@us-west-2", Condition::Dark);
    let preview = fence.preview().await.unwrap();
    let receipt = fence.apply(&preview.pre_image, &Log::default()).await.unwrap();
    assert!(receipt[IN_PART].contains("nothing there can be stopped from here"), "{receipt:?}");
    set(&lab, "kubernetes@us-west-2", Condition::Up);
    let receipt = fence.apply(&preview.pre_image, &Log::default()).await.unwrap();
    assert_eq!(receipt.get(IN_PART), None, "tried again, it reached both");
}

#[tokio::test]
async fn a_lost_answer_is_ambiguous_and_the_same_again_does_no_harm() {
    let lab = lab().await;
    let scale = step(&*cluster(&lab, STANDBY, json!({ "auth": 3 })), "kubernetes.scale", STANDBY, json!({}));
    let preview = scale.preview().await.unwrap();
    // Answers come late enough to be cut in two once the patch has arrived.
    set(&lab, "kubernetes@us-west-2", Condition::Slow(Duration::from_millis(300)));
    let world = lab.world.clone();
    let cut = std::thread::spawn(move || {
        while !world.truth().ledger.iter().any(|it| it.place == "kubernetes@us-west-2") {
            std::thread::sleep(Duration::from_millis(1));
        }
        world.truth().faults.set("kubernetes@us-west-2", Condition::Half);
    });
    let lost = scale.apply(&preview.pre_image, &Log::default()).await.unwrap_err();
    assert_eq!(lost.class, FaultClass::Ambiguous, "{lost}");
    cut.join().unwrap();
    set(&lab, "kubernetes@us-west-2", Condition::Up);
    scale.apply(&preview.pre_image, &Log::default()).await.unwrap();
    scale.apply(&preview.pre_image, &Log::default()).await.unwrap();
    let begun = begun(preview.pre_image, Receipt::new());
    holds(&*scale, &begun).await;
    assert_eq!(changes(&lab, STANDBY), 1);
}

#[tokio::test]
async fn a_restart_makes_new_pods_once() {
    let lab = lab().await;
    let restart = step(
        &*cluster(&lab, PRIMARY, full()),
        "kubernetes.restart",
        PRIMARY,
        json!({ "deployments": ["auth", "workflow"] }),
    );
    let begun = Begun { at: At::now(), pre_image: Value::Null, receipt: Receipt::new(), process: None };
    assert!(matches!(restart.observe(Some(&begun)).await.unwrap(), Observed::NotDone { .. }));
    assert_eq!(restart.preview().await.unwrap().diff.len(), 2);
    restart.apply(&Value::Null, &Log::default()).await.unwrap();
    assert_eq!(changes(&lab, PRIMARY), 2);
    holds(&*restart, &begun).await;
    done(&*restart, Some(&begun)).await;
    let later = Begun { at: At::now(), ..begun };
    assert!(matches!(restart.observe(Some(&later)).await.unwrap(), Observed::NotDone { .. }), "that was another one");
}

#[tokio::test]
async fn what_cannot_work_says_so() {
    let lab = lab().await;
    let nothing = step(&*cluster(&lab, STANDBY, json!({})), "kubernetes.scale", STANDBY, json!({}));
    assert!(nothing.observe(None).await.unwrap_err().to_string().contains("[system.replicas]"));
    let missing = step(&*cluster(&lab, STANDBY, json!({ "nobody": 2 })), "kubernetes.scale", STANDBY, json!({}));
    assert!(missing.observe(None).await.unwrap_err().what.contains("no deployment nobody"));
    let absent = connect("kubernetes", None, json!({ "kubeconfig": "/nowhere/config" }));
    let fault = step(&*absent, "kubernetes.fence", PRIMARY, json!({})).observe(None).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Permanent, "{fault}");
    assert!(try_step(&*absent, "kubernetes.restart", PRIMARY, json!({})).is_ok());
}
