//! A real MariaDB. Its greeting: who only asks whether it is there is not counted as a client that broke off, which would block this host
//! after a hundred of them. And a login by TLS, which sees whether it takes writes. Needs `mariadbd` (Debian's `mariadb-server-core`).

use std::path::Path;
use std::process::{Command, Stdio};

use mayday::domain::health::Status;
use serde_json::{Value, json};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::{Connection, Executor};

use crate::common::{connect, eventually, probe};
use crate::server::{Authority, Server, free_port};

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

/// One that listens on loopback, with what is in `folder`.
fn start(folder: &Path, more: &[String]) -> Server {
    let at = |name: &str| format!("--{name}={}", folder.join(name).display());
    let datadir = format!("--datadir={}", folder.join("data").display());
    let is_root = rustix::process::getuid().is_root();
    let install = program(&["mariadb-install-db", "mysql_install_db"]);
    let mut made = Command::new(install);
    made.args(["--no-defaults", &datadir, "--auth-root-authentication-method=normal", "--skip-test-db"]);
    made.args(is_root.then_some("--user=root"));
    assert!(made.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success(), "its tables are made");
    let port = free_port();
    let mut command = Command::new(program(&["mariadbd", "mysqld"]));
    command.args(["--no-defaults", &datadir, &at("socket"), &at("pid-file"), "--bind-address=127.0.0.1"]);
    command.args([&format!("--port={port}"), "--max-connect-errors=2", "--skip-name-resolve=0"]);
    command.args(is_root.then_some("--user=root")).args(more);
    Server::start(&mut command, port)
}

/// The pair of databases that both are this one; no API answers.
fn given(address: &str, engine: &str, more: Value) -> Value {
    let mut given = json!({
        "instance": "orders", "replica": "orders-dr", "engine": engine, "address": address, "replica_address": address,
        "endpoint_url": "http://127.0.0.1:1", "replica_endpoint_url": "http://127.0.0.1:1",
        "access_key_id": "LABKEY", "secret_access_key": { "command": ["printf", "labsecret"] },
    });
    given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    given
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MariaDB: .ci/run installs it"]
async fn mariadb_is_greeted_as_a_client_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = start(folder.path(), &[]);
    let address = server.address.clone();
    let database = connect("rds", None, given(&address, "mariadb", json!({})));
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
    let other = connect("rds", None, given(&address, "postgres", json!({})));
    let seen = other.probe(&probe("rds.connect", json!({}))).await;
    assert!(seen.status == Status::Down && seen.detail.contains("no PostgreSQL server"), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs MariaDB: .ci/run installs it"]
async fn mariadb_says_by_tls_whether_it_takes_writes() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::in_folder(folder.path());
    let users = folder.path().join("users.sql");
    std::fs::write(&users, "create user watcher@'%' identified by 'read-only' require ssl;\n").unwrap();
    let at = |name: &str, path: &Path| format!("--{name}={}", path.display());
    let more = [
        at("init-file", &users),
        at("ssl-ca", &authority.bundle),
        at("ssl-cert", &authority.certificate),
        at("ssl-key", &authority.key),
    ];
    let mut server = start(folder.path(), &more);
    let address = server.address.clone();
    let bundle = authority.bundle.display().to_string();
    let watched = |more: Value| {
        let mut who = json!({
            "username": "watcher", "password": { "command": ["printf", "read-only"] }, "certificate_authority": bundle,
        });
        who.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        connect("rds", None, given(&address, "mariadb", who))
    };
    let database = watched(json!({}));
    let look = async || database.probe(&probe("rds.login", json!({ "expect": "writes" }))).await;
    let seen = eventually("it answers", async || {
        server.lives();
        Some(look().await).filter(|seen| seen.status == Status::Healthy)
    })
    .await;
    assert_eq!(seen.detail, "orders takes writes");
    let options =
        MySqlConnectOptions::new().host("127.0.0.1").port(address.rsplit_once(':').unwrap().1.parse().unwrap());
    let mut root =
        MySqlConnection::connect_with(&options.username("root").ssl_mode(MySqlSslMode::Disabled)).await.unwrap();
    root.execute("set global read_only = 1").await.unwrap();
    let held = look().await;
    assert!(held.status == Status::Down && held.detail.contains("read_only is on"), "{held:?}");
    root.execute("set global read_only = 0").await.unwrap();
    root.execute("alter user watcher@'%' identified by 'another'").await.unwrap();
    let refused = look().await;
    assert!(refused.status == Status::Unknown && refused.detail.contains("1045 "), "{refused:?}");
    let greeted = database.probe(&probe("rds.connect", json!({}))).await;
    assert_eq!(greeted.status, Status::Healthy, "whoever is refused is not down: {greeted:?}");
    // Who cannot be told by his certificate is told no password.
    let strange = watched(json!({ "certificate_authority": null }));
    let strange = strange.probe(&probe("rds.login", json!({}))).await;
    assert!(strange.status == Status::Unknown && strange.detail.contains("not trusted with a password"), "{strange:?}");
}
