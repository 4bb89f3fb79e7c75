//! The greeting of a real MariaDB: who only asks whether it is there is not counted as a client that broke off, which would block this host
//! after a hundred of them. Needs `mariadbd` (Debian's `mariadb-server-core`).

use std::process::{Command, Stdio};

use mayday::domain::health::Status;
use serde_json::json;

use crate::common::{connect, eventually, probe};
use crate::server::{Server, free_port};

/// Looks, more of them than the server lets break off.
const LOOKS: usize = 5;

fn program(names: &[&'static str]) -> &'static str {
    let runs = |name: &&&'static str| {
        Command::new(name)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|it| it.success())
    };
    names.iter().find(runs).unwrap_or_else(|| panic!("none of {names:?} is installed"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MariaDB: .ci/run installs it"]
async fn mariadb_is_greeted_as_a_client_does() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let at = |name: &str| format!("--{name}={}", folder.path().join(name).display());
    let datadir = format!("--datadir={}", data.display());
    let install = program(&["mariadb-install-db", "mysql_install_db"]);
    let mut made = Command::new(install);
    made.args(["--no-defaults", &datadir, "--auth-root-authentication-method=normal", "--skip-test-db"]);
    if rustix::process::getuid().is_root() {
        made.arg("--user=root");
    }
    assert!(made.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success(), "its tables are made");
    let port = free_port();
    let mut command = Command::new(program(&["mariadbd", "mysqld"]));
    command.args(["--no-defaults", &datadir, &at("socket"), &at("pid-file"), "--bind-address=127.0.0.1"]);
    command.args([&format!("--port={port}"), "--max-connect-errors=2", "--skip-name-resolve=0"]);
    if rustix::process::getuid().is_root() {
        command.arg("--user=root");
    }
    let mut server = Server::start(&mut command, port);
    let address = server.address.clone();
    let given = |engine: &str| {
        json!({
            "instance": "orders", "replica": "orders-dr", "engine": engine, "address": address, "replica_address": address,
            "endpoint_url": "http://127.0.0.1:1", "replica_endpoint_url": "http://127.0.0.1:1",
            "access_key_id": "LABKEY", "secret_access_key": { "command": ["printf", "labsecret"] },
        })
    };
    let database = connect("rds", None, given("mariadb"));
    let look = async || database.probe(&probe("rds.connect", json!({}))).await;
    eventually("it answers", async || {
        server.lives();
        (look().await.status == Status::Healthy).then_some(())
    })
    .await;
    for nth in 0..LOOKS {
        let seen = look().await;
        assert_eq!(seen.status, Status::Healthy, "look {nth}: {seen:?}");
    }
    let other = connect("rds", None, given("postgres"));
    let seen = other.probe(&probe("rds.connect", json!({}))).await;
    assert!(seen.status == Status::Down && seen.detail.contains("no PostgreSQL server"), "{seen:?}");
}
