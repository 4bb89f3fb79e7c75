//! Who is not logged in learns that, and what logs in; he does not learn that a database is down. By the real program, with profiles as
//! people have them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use mayday::lab::{Lab, Pace};
use serde_json::Value;

use crate::common::eventually;
use crate::process::Home;

const PROFILES: &str = "
[profile sso]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = Recovery
region = us-east-1
[sso-session corp]
sso_start_url = https://corp.awsapps.example/start
sso_region = us-east-1
sso_registration_scopes = sso:account:access
[profile brokenproc]
credential_process = /bin/false
[profile slowproc]
credential_process = DIR/slow
[profile base]
aws_access_key_id = testing
aws_secret_access_key = testing
[profile mfa]
role_arn = arn:aws:iam::123456789012:role/dr/recovery-role
source_profile = base
mfa_serial = arn:aws:iam::123456789012:mfa/ada
[profile svc]
aws_access_key_id = testing
aws_secret_access_key = testing
services = lab
[services lab]
rds =
  endpoint_url = RDS
sts =
  endpoint_url = STS
iam =
  endpoint_url = IAM
";

const SLOW: &str = r#"#!/bin/sh
echo called >> DIR/calls
sleep 4
echo '{"Version":1,"AccessKeyId":"LABKEY","SecretAccessKey":"labsecret","SessionToken":"t","Expiration":"2036-01-01T00:00:00Z"}'
"#;

/// An estate with one database, reached with a profile.
fn config(lab: &Lab, profile: &str) -> String {
    let endpoints = match profile {
        "svc" => String::new(),
        _ => format!(
            "endpoint_url = {:?}\nreplica_endpoint_url = {:?}\nsts_endpoint_url = {:?}\niam_endpoint_url = {:?}\n",
            lab.endpoints["rds.us-east-1"],
            lab.endpoints["rds.us-west-2"],
            lab.endpoints["sts.us-west-2"],
            lab.endpoints["iam"],
        ),
    };
    format!(
        r#"
[estate]
name = "Shop"
[objectives.rto]
critical = "5m"
standard = "15m"
platform = "30m"
[objectives.rpo]
[[region]]
id = "us-east-1"
role = "primary"
[[region]]
id = "us-west-2"
role = "standby"
[[service]]
id = "nothing"
tier = "standard"
[[service.probe]]
kind = "script.run"
command = ["true"]
region = "us-west-2"
[[system]]
id = "orders"
kind = "rds"
instance = "gennet-db"
replica = "gennet-db-replica"
connect = false
profile = "{profile}"
{endpoints}
[[system.probe]]
id = "orders-api"
kind = "rds.instance"
region = "us-east-1"
"#
    )
}

struct Said {
    exit: Option<i32>,
    rows: Vec<Value>,
    all: String,
}

impl Said {
    /// The row of the probe.
    fn probe(&self) -> &Value {
        self.rows
            .iter()
            .find(|row| row["name"] == "orders-api")
            .unwrap_or_else(|| panic!("no row of the probe: {}", self.all))
    }
}

fn checked(lab: &Lab, profile: &str) -> Said {
    let home = Home::new(&config(lab, profile));
    let dir = home.dir().display().to_string();
    let text = PROFILES.replace("DIR", &dir).replace("RDS", &lab.endpoints["rds.us-east-1"]);
    let text = text.replace("STS", &lab.endpoints["sts.us-west-2"]).replace("IAM", &lab.endpoints["iam"]);
    fs::write(home.dir().join("aws"), text).unwrap();
    fs::write(home.dir().join("slow"), SLOW.replace("DIR", &dir)).unwrap();
    fs::set_permissions(home.dir().join("slow"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mayday"));
    command.args(["check", "--connect", "-o", "json", "--config"]).arg(home.dir().join("config.toml"));
    command.arg("--state-dir").arg(home.state());
    for name in ["AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "https_proxy"] {
        command.env_remove(name);
    }
    command.env("HOME", home.dir()).env("AWS_CONFIG_FILE", home.dir().join("aws"));
    command.env("AWS_SHARED_CREDENTIALS_FILE", home.dir().join("none")).env("AWS_EC2_METADATA_DISABLED", "true");
    let done = command.output().unwrap();
    let all = [String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr)].concat();
    let said: Value = serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {all}"));
    if let Ok(calls) = fs::read_to_string(home.dir().join("calls")) {
        assert_eq!(
            calls.lines().count(),
            1 + usize::from(calls.lines().count() > 1),
            "one at a time, and one for each region: {calls}"
        );
    }
    Said { exit: done.status.code(), rows: said["connections"].as_array().cloned().unwrap_or_default(), all }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_logged_in_is_told_what_logs_in_and_not_that_the_database_is_down() {
    let lab = Lab::start(Pace(50.0)).await.unwrap();
    eventually("the lab answers", async || lab.endpoints.get("iam").map(drop)).await;
    for (profile, seen, next) in [
        ("sso", "profile `sso` is not logged in", "aws sso login --profile sso"),
        ("brokenproc", "the `credential_process` of profile `brokenproc` failed", "run the `credential_process`"),
        ("mfa", "asks for a one-time code", "aws sts get-session-token"),
        ("nobody", "there is no profile `nobody`", "aws configure list-profiles"),
    ] {
        let said = tokio::task::block_in_place(|| checked(&lab, profile));
        let probe = said.probe();
        assert_eq!(probe["outcome"], "unknown", "{profile}: {}", said.all);
        for (part, wanted) in [("seen", seen), ("next", next)] {
            assert!(probe[part].as_str().unwrap().contains(wanted), "{profile}: {probe}");
        }
        assert_eq!(said.exit, Some(9), "{profile}");
        assert!(said.rows.iter().all(|row| row["outcome"] != "failed"), "nothing is down: {}", said.all);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_takes_its_time_and_endpoints_of_a_profile_work() {
    let lab = Lab::start(Pace(50.0)).await.unwrap();
    for profile in ["slowproc", "svc"] {
        let said = tokio::task::block_in_place(|| checked(&lab, profile));
        assert_eq!(said.probe()["outcome"], "ok", "{profile}: {}", said.all);
    }
}
