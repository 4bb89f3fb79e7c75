//! The Neo4j driver against ArcadeDB, which speaks Bolt and knows of no cluster. Needs `pip install arcadedb-embedded`.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use mayday::domain::estate::DataClass;
use mayday::domain::health::{Reading, Status};
use mayday::domain::recovery::Role;
use mayday::domain::system::{System, Verified};
use mayday::lab::STANDBY;
use serde_json::json;

use crate::common::{Log, begun, connect, eventually, probe, step};
use crate::python::interpreter;
use crate::server::{Server, free_port};

const PASSWORD: &str = "peerspassword";

fn graph(server: &Server, password: &str) -> Arc<dyn System> {
    let given = json!({
        "servers": { "only": format!("bolt://{}", server.address) },
        "regions": { "only": STANDBY },
        "username": "root",
        "password": { "command": ["printf", password] },
        // The first transaction of a fresh virtual machine may be slow.
        "timeout": "30s",
    });
    connect("neo4j", Some(DataClass::Database), given)
}

async fn read(graph: &Arc<dyn System>, kind: &str) -> Reading {
    graph.probe(&probe(kind, json!({}))).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ArcadeDB: .ci/run installs it"]
async fn a_bolt_server_that_knows_no_cluster_is_asked_and_not_guessed_at() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/bolt_server.py");
    let mut command = Command::new(interpreter());
    command.arg("-B").arg(script).arg(folder.path()).args([&port.to_string(), &free_port().to_string(), PASSWORD]);
    let mut server = Server::start(&mut command, port);
    let only = graph(&server, PASSWORD);
    eventually("it takes the login and answers a query", async || {
        server.lives();
        (read(&only, "neo4j.server").await.status == Status::Healthy).then_some(())
    })
    .await;

    // SHOW SERVERS is refused: the picture is smaller, and what it says of its own database counts.
    let leads = read(&only, "neo4j.leader").await;
    assert_eq!(leads.status, Status::Healthy, "{leads:?}");
    let survey = only.survey().await.unwrap();
    assert_eq!(survey.members[0].role, Role::Writer, "{survey:#?}");
    assert!(survey.notes.iter().any(|note| note.contains("SHOW SERVERS is not told")), "{survey:#?}");
    let leader = step(&*only, "neo4j.leader", STANDBY, json!({ "region": STANDBY }));
    let verified = leader.verify(&begun(json!(null), Default::default()), &Log::default()).await;
    assert!(matches!(verified, Ok(Verified::Holds { .. })), "{verified:?}");

    let stranger = graph(&server, "hunter2hunter2");
    let (turned_away, leads) = (read(&stranger, "neo4j.server").await, read(&stranger, "neo4j.leader").await);
    assert_eq!((turned_away.status, leads.status), (Status::Unknown, Status::Unknown), "{turned_away:?} {leads:?}");
    let fault = stranger.survey().await.unwrap_err();
    assert!(fault.next.contains("check `username` and `password`"), "{fault}");
    for told in [turned_away.detail, leads.detail, fault.to_string()] {
        assert!(told.contains("Authentication failed") && !told.contains("hunter2"), "{told}");
    }

    server.kill();
    assert_eq!(read(&only, "neo4j.server").await.status, Status::Down);
    assert_eq!(read(&only, "neo4j.leader").await.status, Status::Down, "a dead server leads nothing");
}
