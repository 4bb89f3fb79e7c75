//! What the subcommands print.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use mayday::cli::{check, init, kinds};
use mayday::config;
use mayday::wiring;

use crate::process::{EMPTY, Home};

/// `mayday` in a home of its own; `words` are separated by blanks. The config is `config.toml` in `dir`.
fn mayday(dir: &Path, words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mayday"));
    command.args(words.split_whitespace()).arg("--config").arg(dir.join("config.toml"));
    command.arg("--state-dir").arg(dir.join("state")).env("HOME", dir).env("XDG_CONFIG_HOME", dir);
    command.env_remove("MAYDAY_LOG").env_remove("MAYDAY_SOCKET").stdin(Stdio::null());
    command
}

/// What `mayday check` says of the example config, once `slip` has been made in it.
fn checked(words: &str, from: &str, to: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    assert!(from.is_empty() || init::EXAMPLE.contains(from), "the example has no {from:?}");
    fs::write(dir.path().join("config.toml"), init::EXAMPLE.replacen(from, to, 1)).unwrap();
    mayday(dir.path(), words).output().unwrap()
}

#[test]
fn check_refuses_what_an_engine_would_refuse_and_says_what_to_write() {
    for (from, to, says) in SLIPS {
        let said = checked("check", from, to);
        let out = String::from_utf8_lossy(&said.stdout);
        assert_eq!(said.status.code(), Some(7), "{to:?} was taken:\n{out}");
        assert!(out.contains(says), "after {from:?} → {to:?} nothing says {says:?}:\n{out}");
    }
}

/// What is written otherwise in the example, and what is then said.
const SLIPS: [(&str, &str, &str); 14] = [
    // What a probe could never look with.
    (
        "[estate]",
        "[[service]]\nid = \"more\"\ntier = \"standard\"\n[[service.probe]]\nkind = \"http.get\"\nurl = \"https://a.example\"\nclient_certificate = \"/a.pem\"\n[estate]",
        "`client_certificate` and `client_key` are only of use together",
    ),
    (
        "[estate]",
        "[[service]]\nid = \"more\"\ntier = \"standard\"\n[[service.probe]]\nkind = \"http.get\"\nurl = \"https://a.example\"\nheaders = { Authorization = \"Bearer x\" }\n[estate]",
        "the header `authorization` carries a secret",
    ),
    (
        "[estate]",
        "[[service]]\nid = \"more\"\ntier = \"standard\"\n[[service.probe]]\nkind = \"http.get\"\nurl = \"https://a.example\"\nexpect_status = [\"2xx\", 777]\nbody_matches = \"(\"\n[estate]",
        "`777` is no status",
    ),
    (
        "[estate]",
        "[[system]]\nid = \"metrics\"\nkind = \"prometheus\"\nurl = \"http://127.0.0.1:9090\"\n[[service]]\nid = \"more\"\ntier = \"standard\"\n[[service.probe]]\nkind = \"prometheus.query\"\nsystem = \"metrics\"\nquery = \"up\"\n[estate]",
        "nothing says which values are right",
    ),
    (
        "[estate]",
        "[[service]]\nid = \"more\"\ntier = \"standard\"\n[[service.probe]]\nkind = \"dns.answer\"\nname = \"a.example\"\ntype = \"ADRESS\"\n[estate]",
        "`type` cannot be `ADRESS`",
    ),
    // An address list that does not parse.
    ("sentinels = [", "sentinels = [\"sentinel-0\",", "this is not an address"),
    // Schemes that cannot be spoken: of the web, and of Neo4j.
    ("url = \"https://us-east-1.front", "url = \"ftp://us-east-1.front", "nothing here speaks `ftp`"),
    ("neo4j-1 = \"bolt://", "neo4j-1 = \"http://", "has no scheme that Neo4j's drivers know"),
    // Objectives in the wrong order.
    ("critical = \"5m\"", "critical = \"50m\"", "promises critical in 50m, later than standard in 15m"),
    // Relative paths: of a parameter that is one, whatever it is of.
    (
        "[estate]",
        "[[channel]]\nid = \"list\"\nkind = \"email\"\naudience = \"customers\"\nserver = \"smtp.example:587\"\nfrom = \"a@example.com\"\nto_file = \"customers.txt\"\n[estate]",
        "`customers.txt` is not an absolute path",
    ),
    // What only the channel itself knows.
    (
        "[estate]",
        "[[channel]]\nid = \"list\"\nkind = \"email\"\naudience = \"customers\"\nserver = \"smtp.example:587\"\nfrom = \"nobody\"\nto = [\"a@example.com\"]\n[estate]",
        "`from` is no e-mail address",
    ),
    (
        "[estate]",
        "[[channel]]\nid = \"list\"\nkind = \"email\"\naudience = \"customers\"\nserver = \"smtp.example:587\"\nfrom = \"a@example.com\"\nto = [\"a@\"]\n[estate]",
        "the channel `list` can never be used",
    ),
    // An unknown system, in a probe whose kind is unknown as well.
    (
        "[estate]",
        "[[service]]\nid = \"more\"\ntier = \"standard\"\n[[service.probe]]\nkind = \"rds.anwers\"\nsystem = \"databse\"\n[estate]",
        "there is no system `databse`",
    ),
    // A system that is there twice.
    (
        "[estate]",
        "[[system]]\nid = \"cache\"\nkind = \"nonsense\"\n[[system]]\nid = \"cache\"\n[estate]",
        "there is another system `cache`",
    ),
];

#[test]
fn secrets_that_are_not_there_are_warnings_with_their_names() {
    let said = checked("check", "", "");
    let out = String::from_utf8_lossy(&said.stdout);
    assert_eq!(said.status.code(), Some(0), "{out}");
    assert!(out.contains("warning") && out.contains("is in the variable"), "{out}");
    let said = checked("check -o json", "", "");
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert!(said["warnings"].as_array().is_some_and(|it| !it.is_empty()) && said["leaves_primary"] == true, "{said}");
}

#[test]
fn a_config_that_no_plan_fits_says_so_first_and_details_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.toml"), BARE).unwrap();
    let said = mayday(dir.path(), "check").output().unwrap();
    let short = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said.status.code(), Some(0), "{short}");
    assert!(short.starts_with("NO PLAN LEAVES THE PRIMARY REGION"), "{short}");
    let lines = |text: &str| text.lines().filter(|line| line.contains("not offered: ")).count();
    assert!(lines(&short) > 0 && short.contains("check -v"), "{short}");
    let long = String::from_utf8(mayday(dir.path(), "check -v").output().unwrap().stdout).unwrap();
    assert_eq!(lines(&short), lines(&long));
    assert!(long.lines().count() > short.lines().count(), "{long}");
}

/// Nothing but a service on either side.
const BARE: &str = r#"
[estate]
name = "Bare"

[objectives.rto]
critical = "5m"
standard = "15m"
platform = "30m"

[objectives.rpo]

[[region]]
id = "east"
role = "primary"

[[region]]
id = "west"
role = "standby"

[[service]]
id = "shop"
tier = "critical"

[[service.probe]]
kind = "http.get"
url = "https://shop.example/"
"#;

#[test]
fn whoever_stops_reading_is_told_nothing_more_and_the_exit_code_stays() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.toml"), BARE).unwrap();
    for words in [
        "check",
        "check -o json",
        "kinds",
        "keys",
        "themes",
        "completions bash",
        "man",
        "demo --list",
        "demo --list -o json",
    ] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let said = mayday(dir.path(), words)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        assert_eq!(said.status.code(), Some(0), "{words}: {}", String::from_utf8_lossy(&said.stderr));
        assert!(said.stderr.is_empty(), "{words}: {}", String::from_utf8_lossy(&said.stderr));
    }
    let full =
        mayday(dir.path(), "kinds").stdout(File::options().write(true).open("/dev/full").unwrap()).output().unwrap();
    assert_eq!(full.status.code(), Some(1), "a full disk is a failure");
}

fn printed(print: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    print(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn check_tells_machines_what_is_wrong_and_where() {
    let loaded = config::parse("[estate]\nname = 1\n", Path::new("mayday.toml"), &wiring::kinds());
    let said = printed(|out| check::check_json(&loaded, &[], out).unwrap());
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["sound"], false);
    assert_eq!(said["mistakes"][0]["line"], 2);
    let said = printed(|out| check::check(&loaded, &[], false, out).unwrap());
    assert!(said.contains("--> mayday.toml:2:8"), "{said}");
}

#[test]
fn kinds_lists_every_row_and_tells_all_about_one() {
    let all = wiring::kinds();
    let list = printed(|out| kinds::kinds(&all, None, false, out).unwrap());
    for system in all.0 {
        for name in system.probes.iter().map(|it| it.name).chain(system.steps.iter().map(|it| it.name)) {
            assert!(list.contains(name), "{name} is not listed");
            let one = printed(|out| kinds::kinds(&all, Some(name), false, out).unwrap());
            assert!(one.contains(name), "{one}");
        }
    }
    let both = printed(|out| kinds::kinds(&all, Some("script.run"), false, out).unwrap());
    assert!(both.contains("probe script.run: ") && both.contains("step script.run: "), "{both}");
    let record = printed(|out| kinds::kinds(&all, Some("mayday.record"), false, out).unwrap());
    assert!(record.contains("step mayday.record") && record.contains("changes nothing"), "{record}");
}

#[test]
fn kinds_are_json_for_machines() {
    let all = wiring::kinds();
    let said = printed(|out| kinds::kinds(&all, Some("mayday.healthy"), true, out).unwrap());
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["name"], &said["role"]), (&"mayday.healthy".into(), &"checks".into()));
}

#[test]
fn a_kind_that_does_not_exist_is_met_with_what_was_meant() {
    let refused = kinds::kinds(&wiring::kinds(), Some("mayday.helthy"), false, &mut Vec::new()).unwrap_err();
    assert_eq!(refused.to_string(), "kinds: there is no kind `mayday.helthy` → did you mean `mayday.healthy`?");
}

fn out(said: &Output) -> String {
    String::from_utf8(said.stdout.clone()).unwrap()
}

fn err(said: &Output) -> String {
    String::from_utf8(said.stderr.clone()).unwrap()
}

#[test]
fn a_fresh_install_has_nothing_to_list_and_that_is_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.toml"), BARE).unwrap();
    let said = |words: &str| mayday(dir.path(), words).output().unwrap();
    let list = said("incident list -o json");
    assert_eq!((list.status.code(), out(&list).trim()), (Some(0), "[]"), "{}", err(&list));
    assert!(err(&list).contains("nothing was recorded in"), "{}", err(&list));
    let tail = said("journal tail -o json");
    assert_eq!((tail.status.code(), out(&tail).as_str()), (Some(0), ""), "{}", err(&tail));
    let report = said("report -o json");
    let answer: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!((report.status.code(), &answer["exit"]), (Some(5), &5.into()), "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("no incident was declared yet"), "{answer}");
    assert_eq!(said("journal verify").status.code(), Some(8), "what is not there proves nothing");
    // A journal that was there and is gone is no fresh install.
    fs::create_dir_all(dir.path().join("state")).unwrap();
    fs::write(dir.path().join("state/journal.anchor"), "1").unwrap();
    assert_eq!(said("incident list").status.code(), Some(8));
}

#[test]
fn an_engine_that_does_not_run_is_not_offered_to_be_started_by_whoever_stops_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.toml"), BARE).unwrap();
    let said = mayday(dir.path(), "engine stop").output().unwrap();
    assert_eq!(said.status.code(), Some(6));
    let words = err(&said);
    assert!(words.contains("nothing to stop") && !words.contains("start"), "{words}");
}

#[test]
fn a_name_that_nothing_has_is_bad_usage_and_what_there_is_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    for (words, known) in
        [("schema NOPE", "openapi"), ("kinds nope", "redis.ping"), ("demo --scenario nope", "region-dark")]
    {
        let said = mayday(dir.path(), words).output().unwrap();
        assert_eq!(said.status.code(), Some(2), "{words}: {}", err(&said));
        assert!(err(&said).contains(known), "{words}: {}", err(&said));
    }
}

#[test]
fn keys_says_where_each_works() {
    let dir = tempfile::tempdir().unwrap();
    let said = out(&mayday(dir.path(), "keys").output().unwrap());
    assert!(said.lines().next().unwrap().contains("where"), "{said}");
    let line = |key: &str, action: &str| {
        let found = said.lines().find(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some(key) && words.next() == Some(action)
        });
        found.unwrap_or_else(|| panic!("no {key} {action} in {said}")).to_owned()
    };
    assert!(line("c", "confirm").contains("a step's card"));
    assert!(line("H", "hold").contains("everywhere but in a form"), "{}", line("H", "hold"));
    assert!(line("U", "tell-now").contains("everywhere but in"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_is_answered_by_what_happened() {
    let home = Home::new(EMPTY);
    let _engine = home.engine().await;
    home.says("hold on --reason tea").await.is(0, &["HOLD is on"]);
    home.says("hold off").await.is(0, &["HOLD is off"]);
    let status = home.says("status").await;
    status.is(0, &["us-east-1 (serving)", "us-west-2 (standby)"]);
    status.is(0, &["not healthy", "nothing", "script.run"]);
    home.says("incident declare dark").await.is(0, &["sev1 declared: dark"]);
    home.says("incident ack").await.is(0, &["acknowledged: you work on it"]);
    home.says("incident close --note over --despite practice").await.is(0, &["the incident is closed"]);
    home.says("drill run nope").await.is(5, &["there is no drill `nope`"]);
    let plans = home.says("plan list").await;
    assert!(!plans.out.contains("failback"), "nothing was moved, so there is no way back: {plans:?}");
}
