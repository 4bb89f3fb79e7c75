//! `kubectl` against the lab's Kubernetes. Needs `kubernetes-client`.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use mayday::lab::faults::Condition;
use mayday::lab::{Lab, Pace, handout};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

fn kubectl(dir: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("kubectl");
    command.args(["--kubeconfig", &dir.join("kubeconfig").display().to_string(), "--context", "us-west-2"]);
    command.args(["--cache-dir", &dir.join("cache").display().to_string(), "--namespace", "gennet"]).args(words);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// What it said, and whether it succeeded.
async fn tried(dir: &Path, words: &[&str]) -> (bool, String) {
    let done = kubectl(dir, words).output().await.expect("kubectl starts");
    (done.status.success(), [String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr)].concat())
}

async fn said(dir: &Path, words: &[&str]) -> String {
    let (success, said) = tried(dir, words).await;
    assert!(success, "kubectl {} failed:\n{said}", words.join(" "));
    said
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl: .ci/run installs it"]
async fn kubectl_finds_a_cluster_as_it_knows_it() {
    let lab = Lab::start(Pace(100.0)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    handout::write(&lab.endpoints, dir.path()).unwrap();
    let dir = dir.path();

    let all = said(dir, &["get", "deploy,pods,nodes,hpa"]).await;
    for part in
        ["deployment.apps/grn-engine", "1/1", "Running", "node/node-3", "Deployment/api-gateway", "cpu: 20%/70%"]
    {
        assert!(all.contains(part), "{part} is missing:\n{all}");
    }
    assert!(said(dir, &["version"]).await.contains("v1.32.4+lab"));
    assert!(said(dir, &["auth", "can-i", "patch", "deployments/scale"]).await.contains("yes"));

    watch_sees_the_rollout(dir).await;
    assert!(said(dir, &["get", "deploy", "auth"]).await.contains("3/3"));
    assert!(said(dir, &["scale", "deploy/auth", "--replicas=2", "--dry-run=server"]).await.contains("dry run"));
    let (success, told) = tried(dir, &["scale", "deploy/auth", "--replicas=2", "--current-replicas=7"]).await;
    assert!(!success && told.contains("7"), "{told}");
    assert!(said(dir, &["get", "deploy", "auth"]).await.contains("3/3"), "neither of them changed anything");

    said(dir, &["patch", "hpa", "grn-engine", "--type=merge", "-p", r#"{"spec":{"minReplicas":4}}"#]).await;
    said(dir, &["patch", "hpa", "api-gateway", "-p", r#"{"spec":{"minReplicas":4}}"#]).await;
    for name in ["deploy/grn-engine", "deploy/api-gateway"] {
        said(dir, &["wait", name, "--for=jsonpath={.status.availableReplicas}=4", "--timeout=30s"]).await;
    }
    said(dir, &["rollout", "restart", "deploy/auth"]).await;
    assert!(
        said(dir, &["rollout", "status", "deploy/auth", "--timeout=30s"]).await.contains("successfully rolled out")
    );
    let yaml = said(dir, &["get", "deploy", "auth", "-o", "yaml"]).await;
    assert!(yaml.contains("kubectl.kubernetes.io/restartedAt") && yaml.contains("revision: \"2\""), "{yaml}");
    assert!(tried(dir, &["get", "deploy", "nobody"]).await.1.contains("(NotFound)"));
    assert!(tried(dir, &["scale", "deploy/auth", "--replicas=-1"]).await.1.contains("replicas"));

    lab.world.truth().faults.set("kubernetes@us-west-2", Condition::Denied);
    let (success, told) = tried(dir, &["scale", "deploy/auth", "--replicas=0"]).await;
    assert!(!success && told.contains("forbidden"), "{told}");
    assert!(tried(dir, &["auth", "can-i", "patch", "deployments/scale"]).await.1.contains("no"));
}

/// A watch that was begun before `kubectl scale` tells of each pod that becomes ready.
async fn watch_sees_the_rollout(dir: &Path) {
    let mut watching = kubectl(dir, &["get", "deploy", "auth", "--watch"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut until = async |part: &str| {
        let seen = tokio::time::timeout(Duration::from_secs(30), async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains(part) {
                    return true;
                }
            }
            false
        });
        assert!(seen.await.unwrap_or(false), "the watch never said {part}");
    };
    until("1/1").await;
    said(dir, &["scale", "deploy/auth", "--replicas=3"]).await;
    said(dir, &["rollout", "status", "deploy/auth", "--timeout=30s"]).await;
    until("1/3").await;
    until("3/3").await;
    watching.kill().await.unwrap();
}
