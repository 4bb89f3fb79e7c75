//! What needs real servers or vendors' own clients: `.ci/run` installs them and runs these with `--ignored`.

mod aws_rds;
mod aws_route53_s3;
mod aws_servers;
mod bolt_server;
mod clock;
#[allow(dead_code)] // the other test binary uses all of it
#[path = "../it/common.rs"]
mod common;
mod editor;
mod journal_bucket;
mod kubectl;
mod kubernetes_server;
#[path = "../it/ledger_contract.rs"]
mod ledger_contract;
mod mail_server;
mod mariadb;
mod neo4j_python;
mod neo4j_server;
#[path = "../it/pair.rs"]
mod pair;
mod postgres;
mod postgres_login;
#[allow(dead_code)] // the other test binary uses all of it
#[path = "../it/process.rs"]
mod process;
mod prometheus;
mod python;
mod redis_cli;
mod redis_kinds;
mod redis_server;
mod server;
mod slack_emulator;
mod vendors;
