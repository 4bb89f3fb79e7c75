//! The way out of a company: calls to AWS leave by the proxy of the environment, to the endpoints that the partition and FIPS make of them,
//! and a proxy that lets nobody through says nothing of what is behind it. By the real program.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::process::Home;

/// An estate with a database and a zone of AWS's own, in two regions.
fn config(primary: &str, standby: &str) -> String {
    format!(
        r#"
plans_dir = "plans"
[estate]
name = "Shop"
[objectives.rto]
critical = "5m"
standard = "15m"
platform = "30m"
[objectives.rpo]
[[region]]
id = "{primary}"
role = "primary"
[[region]]
id = "{standby}"
role = "standby"
[[service]]
id = "nothing"
tier = "standard"
[[service.probe]]
kind = "script.run"
command = ["true"]
region = "{standby}"
[[system]]
id = "orders"
kind = "rds"
instance = "orders"
replica = "orders-dr"
connect = false
access_key_id = "LABKEY"
secret_access_key = {{ command = ["printf", "labsecret"] }}
[[system.probe]]
id = "orders-api"
kind = "rds.instance"
region = "{primary}"
[[system]]
id = "zone"
kind = "route53"
hosted_zone = "Z0123456789"
name_servers = ["127.0.0.1:1"]
access_key_id = "LABKEY"
secret_access_key = {{ command = ["printf", "labsecret"] }}
[[system.probe]]
id = "zone-record"
kind = "route53.record"
record = "app.shop.test"
"#
    )
}

const PLAN: &str = r#"
title = "Promote"
about = "When the primary is lost."
[[step]]
id = "promote"
title = "Promote the replica"
kind = "rds.promote-replica"
class = "database"
system = "orders"
region = "{standby}"
gate = "confirm"
timeout = "2m"
"#;

/// A proxy that refuses every tunnel, and says which were wanted.
fn refusing() -> (String, Arc<Mutex<BTreeSet<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, wanted) = (listener.local_addr().unwrap().to_string(), Arc::new(Mutex::new(BTreeSet::new())));
    let told = wanted.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let length = stream.read(&mut head).unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            if let Some(at) = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()) {
                told.lock().unwrap().insert(at.to_owned());
            }
            let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
        }
    });
    (address, wanted)
}

/// What `check --connect` says by such a proxy, and where it wanted to go.
fn checked(regions: (&str, &str), fips: &str) -> (Value, BTreeSet<String>) {
    let home = Home::new(&config(regions.0, regions.1));
    std::fs::create_dir(home.dir().join("plans")).unwrap();
    std::fs::write(home.dir().join("plans/promote.toml"), PLAN.replace("{standby}", regions.1)).unwrap();
    let (proxy, wanted) = refusing();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mayday"));
    command.args(["check", "--connect", "-o", "json", "--config"]).arg(home.dir().join("config.toml"));
    command.arg("--state-dir").arg(home.state()).env("HOME", home.dir());
    for name in ["AWS_PROFILE", "https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "AWS_ENDPOINT_URL"] {
        command.env_remove(name);
    }
    command.env("HTTPS_PROXY", format!("http://ada:HUSH@{proxy}")).env("AWS_USE_FIPS_ENDPOINT", fips);
    let done = command.output().unwrap();
    let all = [String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr)].concat();
    assert!(!all.contains("HUSH"), "{all}");
    assert!(all.contains(&format!("by the proxy {proxy}")), "it is said who stood in the way: {all}");
    let said = serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {all}"));
    let wanted = wanted.lock().unwrap().clone();
    (said, wanted)
}

#[test]
fn calls_leave_by_the_proxy_to_the_endpoints_of_their_partition() {
    for (regions, fips, hosts) in [
        (
            ("us-east-1", "us-west-2"),
            "false",
            ["rds.us-east-1.amazonaws.com", "sts.us-west-2.amazonaws.com", "route53.amazonaws.com"],
        ),
        (
            ("us-east-1", "us-west-2"),
            "true",
            ["rds-fips.us-east-1.amazonaws.com", "sts-fips.us-west-2.amazonaws.com", "route53-fips.amazonaws.com"],
        ),
        (
            ("us-gov-east-1", "us-gov-west-1"),
            "false",
            ["rds.us-gov-east-1.amazonaws.com", "sts.us-gov-west-1.amazonaws.com", "route53.us-gov.amazonaws.com"],
        ),
        (
            ("cn-north-1", "cn-northwest-1"),
            "false",
            ["rds.cn-north-1.amazonaws.com.cn", "sts.cn-northwest-1.amazonaws.com.cn", "route53.amazonaws.com.cn"],
        ),
    ] {
        let (said, wanted) = checked(regions, fips);
        for host in hosts {
            assert!(wanted.contains(&format!("{host}:443")), "{host} of {regions:?}, FIPS {fips}: {wanted:?}");
        }
        let rows = said["connections"].as_array().cloned().unwrap_or_default();
        for name in ["orders-api", "zone-record"] {
            let row = rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no row {name}: {said}"));
            assert_eq!(row["outcome"], "unknown", "what a proxy hides is not down: {row}");
        }
    }
}
