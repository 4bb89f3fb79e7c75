//! What the subcommands print.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use mayday::cli::{check, init, kinds};
use mayday::config;
use mayday::wiring;

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
const SLIPS: [(&str, &str, &str); 9] = [
    // An address list that does not parse.
    ("sentinels = [", "sentinels = [\"sentinel-0\",", "this is not an address"),
    // Schemes that cannot be spoken: of the web, and of one server of Neo4j.
    ("url = \"https://us-east-1.front", "url = \"ftp://us-east-1.front", "nothing here speaks `ftp`"),
    ("neo4j-1 = \"bolt://", "neo4j-1 = \"neo4j://", "does not lead to one server"),
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
