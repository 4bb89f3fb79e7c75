//! The Neo4j driver against a real Neo4j 5 Community, in a Java of its own: Maven's `org.neo4j.test:neo4j-harness`, which
//! `.ci/install-peers` puts beside the Python environment.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use mayday::domain::estate::DataClass;
use mayday::domain::health::{Reading, Status};
use mayday::domain::recovery::Role;
use mayday::domain::system::{Observed, System, Verified};
use mayday::lab::STANDBY;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{Log, begun, connect, eventually, probe, step};
use crate::python::interpreter;
use crate::server::{Server, free_port};

const PASSWORD: &str = "peerspassword";

/// Where the jars and the class are: beside the Python that was installed with them.
fn jars() -> PathBuf {
    let python = PathBuf::from(interpreter());
    python.parent().and_then(Path::parent).expect("MAYDAY_PEERS_PYTHON names it").join("neo4j")
}

struct Bed {
    _server: Server,
    port: u16,
    dir: TempDir,
}

/// A server that takes logins, and wants TLS for them or not.
async fn bed(tls: bool) -> Bed {
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    let jars = jars();
    let mut command = Command::new("java");
    command.arg("-cp").arg(format!("{}:{}/*", jars.display(), jars.display())).arg("Graph");
    command.arg(dir.path().join("graph")).arg(port.to_string());
    if tls {
        command.arg("tls");
    }
    let (server, said) = Server::talking(&mut command);
    let first = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line).map(|_| line)
    });
    let line = first.await.unwrap().unwrap();
    assert!(line.starts_with("bolt://"), "Neo4j does not start: {line:?}");
    Bed { _server: server, port, dir }
}

impl Bed {
    fn graph(&self, scheme: &str, password: &str, more: &Value) -> Arc<dyn System> {
        let mut given = json!({
            "servers": { "only": format!("{scheme}://localhost:{}", self.port) }, "regions": { "only": STANDBY },
            "password": { "command": ["printf", password] }, "timeout": "30s",
        });
        given.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        connect("neo4j", Some(DataClass::Database), given)
    }

    /// As somebody else would ask it.
    async fn run(&self, password: &str, database: &str, text: &str) -> Result<(), neo4rs::Error> {
        let graph = neo4rs::Graph::new(format!("bolt://127.0.0.1:{}", self.port), "neo4j", password).await?;
        let mut txn = graph.start_txn_on(database).await?;
        txn.run(neo4rs::query(text)).await?;
        txn.commit().await
    }
}

/// A file of that name anywhere in a folder.
fn found(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let look = |path: PathBuf| match path.is_dir() {
        true => found(&path, name),
        false => path.file_name().is_some_and(|it| it == name).then_some(path),
    };
    entries.into_iter().find_map(look)
}

async fn read(graph: &Arc<dyn System>, kind: &str) -> Reading {
    graph.probe(&probe(kind, json!({}))).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a JDK and Neo4j's harness: .ci/run installs them"]
async fn community_is_a_smaller_picture_and_not_a_silent_server() {
    let bed = bed(false).await;
    // A first password lets in, and nothing may be asked until it is changed.
    let fresh = read(&bed.graph("bolt", "neo4j", &json!({})), "neo4j.leader").await;
    assert!(fresh.status == Status::Unknown && fresh.detail.contains("must be changed"), "{fresh:?}");
    let change = format!("ALTER CURRENT USER SET PASSWORD FROM 'neo4j' TO '{PASSWORD}'");
    bed.run("neo4j", "system", &change).await.unwrap();

    for scheme in ["bolt", "neo4j"] {
        let graph = bed.graph(scheme, PASSWORD, &json!({}));
        for kind in ["neo4j.server", "neo4j.leader"] {
            let reading = read(&graph, kind).await;
            assert_eq!(reading.status, Status::Healthy, "{scheme} {kind}: {}", reading.detail);
        }
    }
    let graph = bed.graph("neo4j", PASSWORD, &json!({}));
    let survey = graph.survey().await.unwrap();
    let only = &survey.members[0];
    assert_eq!((survey.members.len(), only.role, only.status), (1, Role::Writer, Status::Healthy), "{survey:#?}");
    assert!(survey.notes.iter().any(|note| note.contains("SHOW SERVERS is not told")), "{survey:#?}");
    let cordon = step(&*graph, "neo4j.cordon", STANDBY, json!({ "server": "only" }));
    let observed = cordon.observe(None).await.unwrap();
    assert!(
        matches!(&observed, Observed::Unknowable { why } if why.contains("which servers there are")),
        "{observed:?}"
    );
    let dropped = step(&*graph, "neo4j.drop-server", STANDBY, json!({ "server": "only" }));
    assert!(!matches!(dropped.observe(None).await.unwrap(), Observed::Done { .. }), "nobody was seen to be gone");

    let written = "CREATE (:Heartbeat {at: datetime('2026-11-23T10:00:00Z')})";
    bed.run(PASSWORD, "neo4j", written).await.unwrap();
    let point = step(&*graph, "neo4j.recovery-point", STANDBY, json!({ "region": STANDBY }));
    let verified = point.verify(&begun(json!(null), Default::default()), &Log::default()).await.unwrap();
    let Verified::Holds { recovery_point: Some(point), .. } = verified else { panic!("{verified:?}") };
    assert_eq!(point.at.to_string(), "2026-11-23T10:00:00Z");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a JDK and Neo4j's harness: .ci/run installs them"]
async fn a_stale_password_locks_nobody_out() {
    let bed = bed(false).await;
    let change = format!("ALTER CURRENT USER SET PASSWORD FROM 'neo4j' TO '{PASSWORD}'");
    bed.run("neo4j", "system", &change).await.unwrap();
    let stale = bed.graph("bolt", "hunter2", &json!({}));
    for _ in 0..5 {
        let (server, leader) = tokio::join!(read(&stale, "neo4j.server"), read(&stale, "neo4j.leader"));
        for reading in [server, leader] {
            assert!(reading.status == Status::Unknown && reading.detail.contains("unauthorized"), "{reading:?}");
        }
        assert!(stale.survey().await.is_err());
    }
    // Three wrong ones lock it for five seconds, for everybody.
    bed.run(PASSWORD, "neo4j", "RETURN 1").await.expect("others are let in all the while");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a JDK and Neo4j's harness: .ci/run installs them"]
async fn every_scheme_of_tls_trusts_whom_it_says() {
    let bed = bed(true).await;
    let ca = json!({ "ca": found(bed.dir.path(), "public.crt").expect("it made one").display().to_string() });
    let stranger = KeyPair::generate().unwrap();
    let stranger = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&stranger).unwrap();
    let elsewhere = bed.dir.path().join("stranger.pem");
    std::fs::write(&elsewhere, stranger.pem()).unwrap();
    let other = json!({ "ca": elsewhere.display().to_string() });
    let none = json!({});
    // Who is let in hears that the first password has to be changed: that is an answer.
    let rows = [
        ("bolt+ssc", &none, "must be changed"),
        ("neo4j+ssc", &none, "must be changed"),
        ("bolt+s", &ca, "must be changed"),
        ("neo4j+s", &ca, "must be changed"),
        ("bolt+s", &other, "trusted"),
    ];
    for (scheme, more, words) in rows {
        let reading = read(&bed.graph(scheme, "neo4j", more), "neo4j.leader").await;
        assert!(reading.status == Status::Unknown && reading.detail.contains(words), "{scheme} {more}: {reading:?}");
    }
    let plain = bed.graph("bolt", "neo4j", &none);
    let fault = plain.survey().await.unwrap_err();
    assert!(fault.next.contains("bolt+s://"), "{fault}");
    eventually("it goes on answering", async || {
        let reading = read(&bed.graph("bolt+ssc", "neo4j", &none), "neo4j.leader").await;
        reading.detail.contains("must be changed").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a JDK and Neo4j's harness: .ci/run installs them"]
async fn a_moment_is_read_as_the_server_means_it() {
    let bed = bed(false).await;
    let change = format!("ALTER CURRENT USER SET PASSWORD FROM 'neo4j' TO '{PASSWORD}'");
    bed.run("neo4j", "system", &change).await.unwrap();
    let moment = Some("2026-11-23T10:00:00Z");
    // A driver that takes the sign off a small number would read -1 as 255.
    let rows = [
        ("RETURN datetime('2026-11-23T10:00:00Z') AS at", moment),
        ("RETURN 1795428000 AS at", moment),
        ("RETURN 1795428000000 AS at", moment),
        ("RETURN '2026-11-23T11:00:00+01:00' AS at", moment),
        ("RETURN -1 AS at", None),
        ("RETURN -16 AS at", None),
        ("RETURN null AS at", None),
    ];
    for (query, wanted) in rows {
        let graph = bed.graph("bolt", PASSWORD, &json!({ "heartbeat_query": query }));
        let step = step(&*graph, "neo4j.recovery-point", STANDBY, json!({ "region": STANDBY }));
        let verified = step.verify(&begun(json!(null), Default::default()), &Log::default()).await.unwrap();
        let seen = match &verified {
            Verified::Holds { recovery_point: Some(point), .. } => Some(point.at.to_string()),
            Verified::Broken { why } if why.contains("returns no moment") => None,
            other => panic!("{query}: {other:?}"),
        };
        assert_eq!(seen.as_deref(), wanted, "{query}");
    }
}
