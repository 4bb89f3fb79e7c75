//! A real PostgreSQL: a login by TLS, with SCRAM, sees whether it takes writes, before and after it is promoted. Needs Debian's `postgresql`.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use mayday::domain::estate::DataClass;
use mayday::domain::health::Status;
use mayday::domain::recovery::Role;
use mayday::domain::system::System;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{connect, eventually, probe};
use crate::server::{Authority, Server, free_port};

/// It refuses to run as root: then it runs as nobody.
const NOBODY: u32 = 65534;

/// A database, and its files.
struct Bed {
    folder: TempDir,
    bundle: String,
    port: u16,
}

/// One of PostgreSQL's programs: Debian keeps them by version.
fn program(name: &str) -> Command {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|all| all.flatten().map(|it| it.path().join("bin").join(name)).filter(|it| it.exists()).collect())
        .unwrap_or_default();
    found.sort();
    let mut command = Command::new(found.pop().unwrap_or_else(|| panic!("{name} is not installed")));
    if rustix::process::getuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir("/");
    command
}

fn own(path: &Path) {
    if rustix::process::getuid().is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::in_folder(folder.path());
        std::fs::set_permissions(&authority.key, std::fs::Permissions::from_mode(0o600)).unwrap();
        [folder.path(), &authority.key, &authority.certificate].into_iter().for_each(own);
        let bed = Self { bundle: authority.bundle.display().to_string(), folder, port: free_port() };
        let data = bed.data();
        let mut made = program("initdb");
        made.args(["--auth=scram-sha-256", "--username=postgres", "--no-sync", "--pgdata", &data]);
        // Both are asked for a password once, and nobody logs in by it.
        made.arg(format!("--pwfile={}", bed.write("password", "superuser\n")));
        assert!(made.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success(), "it is made");
        let role = bed.write("role.sql", "create role watcher login password 'read-only'\n");
        let mut single = program("postgres");
        single.args(["--single", "-D", &data, "postgres"]).stdin(std::fs::File::open(role).unwrap());
        assert!(single.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success(), "the role is made");
        bed
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        own(&path);
        path.display().to_string()
    }

    fn start(&self) -> Server {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let mut command = program("postgres");
        command.args(["-D", &self.data(), "-p", &self.port.to_string()]);
        for (name, value) in [
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("unix_socket_directories", String::new()),
            ("ssl", "on".to_owned()),
            ("ssl_cert_file", at("leaf.pem")),
            ("ssl_key_file", at("leaf.key")),
        ] {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        Server::start(&mut command, self.port)
    }

    fn watched(&self, more: Value) -> Arc<dyn System> {
        let address = format!("127.0.0.1:{}", self.port);
        let mut given = json!({
            "instance": "orders", "replica": "orders-dr", "address": address, "replica_address": address,
            "endpoint_url": "http://127.0.0.1:1", "replica_endpoint_url": "http://127.0.0.1:1",
            "access_key_id": "LABKEY", "secret_access_key": { "command": ["printf", "labsecret"] },
            "username": "watcher", "password": { "command": ["printf", "read-only"] }, "certificate_authority": self.bundle,
        });
        given.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        connect("rds", Some(DataClass::Database), given)
    }
}

async fn says(database: &dyn System, status: Status, words: &str) {
    eventually(words, async || {
        let seen = database.probe(&probe("rds.login", json!({}))).await;
        (seen.status == status && seen.detail.contains(words)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: .ci/run installs it"]
async fn postgresql_says_by_tls_whether_it_takes_writes() {
    let bed = Bed::new();
    let mut server = bed.start();
    let database = bed.watched(json!({}));
    says(&*database, Status::Healthy, "orders takes writes").await;
    server.lives();
    // No API answers: who is who is what they say themselves.
    let survey = database.survey().await.unwrap();
    assert_eq!((survey.members[0].role, survey.members[0].status), (Role::Writer, Status::Healthy), "{survey:?}");
    let refused = bed.watched(json!({ "password": { "command": ["printf", "yesterdays"] } }));
    says(&*refused, Status::Unknown, "28P01").await;
    let strange = bed.watched(json!({ "certificate_authority": null }));
    says(&*strange, Status::Unknown, "not trusted with a password").await;
    let plain = bed.watched(json!({ "tls": "off" }));
    says(&*plain, Status::Healthy, "orders takes writes").await;

    let stop = |how: &str| {
        let mut command = program("pg_ctl");
        command.args([how, "-D", &bed.data(), "-w"]);
        assert!(command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success(), "{how}");
    };
    stop("stop");
    drop(server);
    bed.write("data/standby.signal", "");
    let _standby = bed.start();
    says(&*database, Status::Healthy, "orders replays another's log and takes no writes").await;
    assert_eq!(database.survey().await.unwrap().members[1].role, Role::Replica);
    stop("promote");
    says(&*database, Status::Healthy, "orders takes writes").await;
}
