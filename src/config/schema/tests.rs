//! Every key that the config knows stands in its schema, and the other way round: the reader is asked for its keys.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::*;
use crate::config::{self, Mistake};

/// A small world of kinds, so that nothing has to be known of real ones.
mod world {
    use crate::domain::comms::{Audience, ChannelKind, Doubles, Purpose};
    use crate::domain::kinds::{BackupKind, Kinds, Param, ParamType, ProbeKind, StepKind, StepRole, SystemKind, Undo};

    const PARAMS: &[Param] = &[
        Param::required("where", ParamType::Text, "where it is"),
        Param::default("port", ParamType::Integer, "5432", "its port"),
        Param::optional("token", ParamType::Secret, "what lets one in"),
    ];
    const STORE: SystemKind = SystemKind {
        name: "store",
        title: "A store",
        ambient: false,
        ways: &[],
        params: PARAMS,
        probes: &[ProbeKind { name: "store.ping", title: "A ping", params: &[] }],
        steps: &[StepKind {
            name: "store.promote",
            title: "Promote it",
            role: StepRole::Promotes,
            undo: Undo::PointOfNoReturn,
            instead: "build it anew",
            params: &[Param::default("pace", ParamType::Choice(&["slow", "fast"]), "slow", "how")],
        }],
        backups: &[BackupKind { name: "store.copies", title: "Copies", dated: true, params: &[] }],
    };
    const DOOR: SystemKind = SystemKind {
        name: "door",
        title: "A door",
        ambient: true,
        ways: &[],
        params: &[],
        probes: &[ProbeKind {
            name: "door.knock",
            title: "A knock",
            params: &[Param::required("url", ParamType::Url, "where it is")],
        }],
        steps: &[],
        backups: &[],
    };
    const PIGEON: ChannelKind = ChannelKind {
        name: "pigeon",
        title: "A pigeon",
        audiences: &[Audience::Internal, Audience::Customers],
        carries: &[Purpose::Resolved],
        doubles: Doubles::Undetectable,
        params: &[Param::required("loft", ParamType::Text, "where it flies to")],
    };

    pub const KINDS: Kinds = Kinds(&[&STORE, &DOOR], &[&PIGEON]);
}

const SOUND: &str = r#"
[estate]
name = "A test"
[objectives]
[objectives.rto]
critical = "5m"
standard = "15m"
platform = "30m"
[objectives.rpo]
database = "1h"
[policy]
attempts = 3
[comms]
page = true
[comms.update_every]
sev1 = "15m"
[probe]
fall = 2
[[region]]
id = "here"
role = "primary"
[[region.probe]]
kind = "door.knock"
url = "https://here.example/"
[[region]]
id = "there"
role = "standby"
[[system]]
id = "db"
kind = "store"
class = "database"
where = "here"
[[system.probe]]
kind = "store.ping"
[[system.backup]]
kind = "store.copies"
max_age = "1d"
[[service]]
id = "api"
tier = "critical"
[[service.probe]]
kind = "door.knock"
url = "https://api.example/"
[[channel]]
id = "loft"
kind = "pigeon"
audience = "internal"
loft = "on the roof"
[contacts]
[contacts.pagerduty]
token = { env = "TOKEN" }
[[contacts.escalation]]
name = "Somebody"
[contacts.aws_support]
plan = "Enterprise"
[[dependency]]
name = "Sign-in"
region = "here"
[[checklist]]
id = "mine"
title = "Mine"
what = "Look"
[[checklist.check]]
kind = "door.knock"
url = "https://api.example/"
"#;

const PLAN: &str = "title = \"T\"\nabout = \"A\"\n[[step]]\nid = \"a\"\ntitle = \"A\"\nkind = \"store.promote\"\nsystem = \"db\"\ntimeout = \"2m\"\n";

/// A key that nobody knows, in so strange a word that all that are known are told.
const STRANGE: &str = "qqqqqqqqqqqqqqqq = 1\n";

fn valid(schema: &Value, text: &str) -> Result<(), String> {
    let value: Value = toml::from_str(text).map_err(|error| error.to_string())?;
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource("https://mayday.example/schema", schema.clone()).unwrap();
    let index = compiler.compile("https://mayday.example/schema", &mut schemas).unwrap();
    schemas.validate(&value, index).map_err(|error| format!("{error:#}"))
}

/// Where every header of a TOML text stands: the line after it, and the way to its table.
fn tables(text: &str) -> Vec<(usize, Vec<String>)> {
    let mut counts = BTreeMap::<String, usize>::new();
    let mut found = vec![(1, Vec::new())];
    for (at, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with('[')) {
        let words: Vec<&str> = line.trim_matches(['[', ']']).split('.').collect();
        if line.starts_with("[[") {
            *counts.entry(words.join(".")).or_default() += 1;
            counts.retain(|name, _| !name.starts_with(&format!("{}.", words.join("."))));
        }
        let mut way = Vec::new();
        for end in 1..=words.len() {
            way.push(words[end - 1].to_owned());
            way.extend(counts.get(&words[..end].join(".")).map(|count| (count - 1).to_string()));
        }
        found.push((at + 2, way));
    }
    found
}

/// What a schema says of a value, with references and kinds resolved.
fn follow(root: &Value, schema: &Value, value: &Value) -> Value {
    let mut at = schema;
    loop {
        if let Some(pointer) = at["$ref"].as_str() {
            at = root.pointer(pointer.trim_start_matches('#')).unwrap();
        } else if let Some(all) = at["oneOf"].as_array() {
            at = all.iter().find(|it| it["properties"]["kind"]["const"] == value["kind"]).unwrap();
        } else {
            return at.clone();
        }
    }
}

/// The keys that a schema has for the table at the end of a way.
fn keys(root: &Value, value: &Value, way: &[String]) -> BTreeSet<String> {
    let (mut here, mut value) = (follow(root, root, value), value);
    for word in way {
        let next = match word.parse::<usize>() {
            Ok(at) => {
                value = &value[at];
                follow(root, &here["items"], value)
            }
            Err(_) => {
                value = &value[word];
                follow(root, &here["properties"][word], value)
            }
        };
        here = next;
    }
    here["properties"].as_object().unwrap_or_else(|| panic!("{way:?} has no keys")).keys().cloned().collect()
}

/// The keys that the reader told when it met the strange one.
fn told(mistake: &Mistake) -> BTreeSet<String> {
    mistake.help.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Some tables ask for `system` only to refuse it, and some only where it is in doubt.
fn but_system(mut keys: BTreeSet<String>) -> BTreeSet<String> {
    keys.remove("system");
    keys
}

fn strange(text: &str) -> (String, Vec<Vec<String>>) {
    let all = tables(text);
    let mut lines: Vec<&str> = text.lines().collect();
    for (line, _) in all.iter().rev() {
        lines.insert(line - 1, STRANGE.trim_end());
    }
    (lines.join("\n"), all.into_iter().map(|(_, way)| way).collect())
}

fn same_keys(schema: &Value, text: &str, mistakes: &[Mistake]) {
    let value: Value = toml::from_str(text).unwrap();
    let (_, ways) = strange(text);
    let mistakes: Vec<&Mistake> = mistakes.iter().filter(|it| it.what.contains("qqqq")).collect();
    assert_eq!(mistakes.len(), ways.len(), "{mistakes:#?}");
    for (way, mistake) in ways.iter().zip(mistakes) {
        let (ours, theirs) = (but_system(keys(schema, &value, way)), but_system(told(mistake)));
        assert_eq!(ours, theirs, "the schema and the reader differ in the keys of {way:?}");
    }
}

#[test]
fn the_config_and_its_schema_know_the_same_keys() {
    let schema = config(&world::KINDS);
    config::parse(SOUND, Path::new("config.toml"), &world::KINDS).unwrap_or_else(|why| panic!("{why}"));
    valid(&schema, SOUND).unwrap();
    let (text, _) = strange(SOUND);
    let mistakes = config::parse(&text, Path::new("config.toml"), &world::KINDS).unwrap_err();
    same_keys(&schema, SOUND, &mistakes.0);
}

#[test]
fn a_drill_has_the_keys_of_its_table() {
    let schema = config(&world::KINDS);
    let keys = schema["definitions"]["drill"]["properties"].as_object().unwrap();
    assert_eq!(keys.len(), drills::DRILL.len());
    assert!(drills::DRILL.iter().all(|row| keys[row.name]["description"] == row.help));
}

#[test]
fn plans_and_their_schema_know_the_same_keys() {
    let schema = plan(&world::KINDS);
    valid(&schema, PLAN).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (text, _) = strange(PLAN);
    std::fs::create_dir(dir.path().join("plans")).unwrap();
    std::fs::write(dir.path().join("plans/mine.toml"), text).unwrap();
    let own = format!("plans_dir = \"plans\"\n{SOUND}");
    let mistakes = config::parse(&own, &dir.path().join("config.toml"), &world::KINDS).unwrap_err();
    same_keys(&schema, PLAN, &mistakes.0);
}

#[test]
fn a_text_of_a_plan_may_hold_a_placeholder_and_a_config_may_not() {
    let schema = plan(&world::KINDS);
    valid(&schema, &PLAN.replace("\"2m\"", "\"{patience}\"")).unwrap();
    valid(&schema, &PLAN.replace("\"2m\"", "\"soon\"")).unwrap_err();
    valid(&config(&world::KINDS), &SOUND.replace("\"1d\"", "\"{patience}\"")).unwrap_err();
}

#[test]
fn what_is_broken_is_refused_by_both() {
    let schema = config(&world::KINDS);
    for (from, to) in [
        ("critical = \"5m\"\n", ""),
        ("\"5m\"", "5"),
        ("\"5m\"", "\"soon\""),
        ("[[service]]", "[[sevrice]]"),
        ("tier = \"critical\"", "tier = \"crucial\""),
        ("tier = \"critical\"\n", ""),
        ("kind = \"store.ping\"", "kind = \"store.pnig\""),
        ("kind = \"door.knock\"\nurl", "kind = \"door.knock\"\nulr"),
        ("https://here.example/", "here.example"),
        ("where = \"here\"", "where = \"here\"\nport = \"5432\""),
        ("where = \"here\"", "where = \"here\"\ntoken = \"in the open\""),
        ("{ env = \"TOKEN\" }", "{ env = \"TOKEN\", file = \"t\" }"),
        ("audience = \"internal\"", "audience = \"public\""),
        ("attempts = 3", "attempts = 0"),
        ("fall = 2", "fall = 101"),
        ("max_age = \"1d\"\n", ""),
        ("id = \"db\"", "id = \"d b\""),
        ("page = true", "page = \"yes\""),
    ] {
        let broken = SOUND.replacen(from, to, 1);
        assert_ne!(broken, SOUND, "{from}");
        assert!(config::parse(&broken, Path::new("c"), &world::KINDS).is_err(), "the reader took {to:?} for {from:?}");
        assert!(valid(&schema, &broken).is_err(), "the schema took {to:?} for {from:?}");
    }
}

#[test]
fn a_cockpit_is_held_against_the_themes_and_actions_that_there_are() {
    let schema = cockpit(&["dark", "light"], &["hold", "arm"]);
    valid(&schema, "theme = \"dark\"\nmouse = true\n[keys]\nhold = [\"F9\"]\n").unwrap();
    for wrong in ["theme = \"drak\"", "muose = true", "mouse = 1", "[keys]\nhodl = [\"H\"]", "[keys]\nhold = 7"] {
        valid(&schema, wrong).unwrap_err();
    }
    let choices = config::cockpit::Choices { themes: &["dark"], actions: &["hold"], check: &|_| Vec::new() };
    let mistakes = config::cockpit::parse(STRANGE, Path::new("c"), &choices).unwrap_err();
    assert_eq!(keys(&schema, &json!({}), &[]), told(&mistakes.0[0]));
}

#[test]
fn a_length_of_time_is_read_as_the_pattern_says() {
    let schema = json!({ "properties": { "it": span() } });
    for text in ["250ms", "1h30m", " 5m ", "5", "m", "5 m", "-1s", "5y", "", "1m 2s"] {
        let says = valid(&schema, &format!("it = \"{text}\""));
        assert_eq!(says.is_ok(), text.parse::<crate::domain::time::Span>().is_ok(), "{text:?}");
    }
}
