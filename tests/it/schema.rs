//! The published schemas against what they are of: what is shipped, what is written wrong, and what the program really prints.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mayday::cli::init::EXAMPLE;
use mayday::cli::schema::{CONFIG_LINE, Words, names, schema};
use mayday::config::{self, BUILT_IN};
use mayday::domain::command::Ask;
use mayday::lab::estate::config_for;
use mayday::lab::{Lab, Pace};
use mayday::tui::keymap::Action;
use mayday::wiring::kinds;
use serde_json::{Value, json};

use crate::common::{Validator, eventually, is_ready};
use crate::process::{EMPTY, Home};

fn words() -> Words<'static> {
    Words { kinds: kinds(), themes: &["dark", "light"], actions: Action::WORDS }
}

fn validator(name: &str) -> Validator {
    Validator::new(&schema(name, &words()).unwrap_or_else(|| panic!("no schema {name}")))
}

#[track_caller]
fn valid(validator: &Validator, value: &Value, what: &str) {
    validator.check(value).unwrap_or_else(|why| panic!("{what}: {why}"));
}

fn toml(text: &str) -> Value {
    toml::from_str(text).unwrap_or_else(|why| panic!("{why}"))
}

/// The example with the channels that stand in its comments.
fn example_with_channels() -> String {
    let mut inside = false;
    let line = |line: &str| {
        inside = if inside { line.starts_with('#') } else { line.starts_with("# [[channel]]") };
        let bare = line.strip_prefix("# ").or(line.strip_prefix('#')).unwrap_or(line);
        // Between the channels stands a line of words.
        let words = bare.starts_with("A webhook sends");
        format!("{}\n", if inside && !words { bare } else { line })
    };
    EXAMPLE.lines().map(line).collect()
}

#[tokio::test]
async fn what_is_shipped_is_valid() {
    let (config, plan) = (validator("config"), validator("plan"));
    valid(&config, &toml(EXAMPLE), "config.example.toml");
    let with_channels = toml(&example_with_channels());
    assert_eq!(with_channels["channel"].as_array().unwrap().len(), 12);
    valid(&config, &with_channels, "the channels of config.example.toml");
    valid(&config, &toml(EMPTY), "a small config");
    let lab = Lab::start(Pace(200.0)).await.unwrap();
    valid(&config, &toml(&config_for(&lab.endpoints, lab.world.pace).unwrap()), "the lab's config");
    for (id, text) in BUILT_IN {
        valid(&plan, &toml(text), id);
    }
    let cockpit =
        "theme = \"dark\"\nmouse = true\nascii = false\nreduced_motion = true\n[keys]\nhold = [\"F9\", \"H\"]\n";
    valid(&validator("cockpit"), &toml(cockpit), "cockpit.toml");
}

/// Every place of a value once by what it is: the way to it without numbers, and the kind of the table that it is in.
fn places(value: &Value) -> Vec<String> {
    fn walk(value: &Value, pointer: String, sort: &str, found: &mut BTreeMap<String, String>) {
        found.entry(sort.to_owned()).or_insert(pointer.clone());
        match value {
            Value::Object(map) => {
                let kind = map.get("kind").and_then(Value::as_str).unwrap_or_default();
                for (key, it) in map {
                    walk(it, format!("{pointer}/{key}"), &format!("{sort}/{kind}:{key}"), found);
                }
            }
            Value::Array(items) => {
                for (at, it) in items.iter().enumerate() {
                    let kind = it["kind"].as_str().unwrap_or_default();
                    walk(it, format!("{pointer}/{at}"), &format!("{sort}/{kind}"), found);
                }
            }
            _ => {}
        }
    }
    let mut found = BTreeMap::new();
    walk(value, String::new(), "", &mut found);
    found.into_values().filter(|pointer| !pointer.is_empty()).collect()
}

#[test]
fn a_value_of_another_type_is_refused_by_the_schema_and_by_the_reader_wherever_it_stands() {
    let sound = toml(&example_with_channels());
    let (validator, places) = (validator("config"), places(&sound));
    assert!(places.len() > 100, "{}", places.len());
    for place in places {
        let mut broken = sound.clone();
        let value = broken.pointer_mut(&place).unwrap();
        *value = if value.is_i64() { json!("seven") } else { json!(7) };
        let text = toml::to_string(&broken).unwrap();
        assert!(config::parse(&text, Path::new("config.toml"), &kinds()).is_err(), "the reader took a 7 at {place}");
        assert!(!validator.takes(&broken), "the schema took a 7 at {place}");
    }
}

#[test]
fn a_plan_with_a_slip_is_refused() {
    let plan = validator("plan");
    let (_, sound) = BUILT_IN[0];
    for (from, to) in [
        ("kind = \"kubernetes.fence\"", "kind = \"kubernetes.fense\""),
        ("gate = \"confirm\"", "gate = \"conform\""),
        ("timeout = \"2m\"\n", ""),
        ("timeout = \"2m\"", "timeout = 2"),
        ("needs = [", "need = ["),
        ("[[step]]", "[[stpe]]"),
        ("title = \"Fail over", "tittle = \"Fail over"),
    ] {
        let broken = sound.replacen(from, to, 1);
        assert_ne!(broken, sound, "{from} is in no plan");
        assert!(!plan.takes(&toml(&broken)), "the schema took {to}");
    }
}

#[tokio::test]
async fn init_names_the_schema_and_lays_it_there() {
    let home = Home::new(EMPTY);
    let path = home.dir().join("new/config.toml");
    home.says(&format!("init {}", path.display())).await.is(0, &["config.schema.json"]);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().next(), Some(CONFIG_LINE));
    let named = path.parent().unwrap().join(CONFIG_LINE.trim_start_matches("#:schema "));
    let laid: Value = serde_json::from_str(&std::fs::read_to_string(named).unwrap()).unwrap();
    let validator = Validator::new(&laid);
    valid(&validator, &toml(&text), "what init writes");
    assert!(!validator.takes(&toml(&text.replace("[[service]]", "[[sevrice]]"))));
    let printed = home.says("schema config").await;
    assert_eq!(serde_json::from_str::<Value>(&printed.out).unwrap(), laid, "{}", printed.err);
}

#[tokio::test]
async fn the_names_are_told_and_each_prints_a_schema() {
    let home = Home::new(EMPTY);
    let list = home.says("schema").await;
    for (name, _) in names() {
        assert!(list.out.lines().any(|line| line.starts_with(name)), "{name}: {list:#?}");
    }
    for (name, _) in names() {
        let printed = home.says(&format!("schema {name}")).await;
        let printed: Value = serde_json::from_str(&printed.out).unwrap_or_else(|why| panic!("{name}: {why}"));
        // In peace `incident show` prints nothing but null.
        if name != "openapi" {
            assert_eq!(Validator::new(&printed).takes(&Value::Null), name == "incident", "{name}");
        }
    }
    home.says("schema confg").await.is(2, &["did you mean `config`"]);
    home.says("schema nope").await.is(2, &["there is no schema `nope`", "config, plan, cockpit", "journal"]);
}

/// What `mayday WORDS -o json` prints is what the schema says, and has no key that the schema does not have.
async fn holds(home: &Home, name: &str, words: &str) -> Value {
    let said = home.says(&format!("{words} -o json")).await;
    // Before the answer of some stands what the engine said to the ask.
    let answers: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(&said.out).into_iter().collect();
    let answer = answers.unwrap_or_else(|why| panic!("{words}: {why}: {said:#?}")).pop();
    let answer = answer.unwrap_or_else(|| panic!("{words}: {said:#?}"));
    told(name, words, &answer);
    answer
}

fn told(name: &str, asked: &str, answer: &Value) {
    valid(&validator(name), answer, asked);
    let whole = schema(name, &words()).unwrap();
    let (schema, rows) = match answer {
        Value::Array(rows) => (&whole["items"], rows.clone()),
        other => (&whole, vec![other.clone()]),
    };
    let schema = match schema["$ref"].as_str() {
        Some(reference) => whole.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    let Some(known) = schema["properties"].as_object() else { return };
    for row in rows {
        let strange: BTreeSet<&String> =
            row.as_object().into_iter().flat_map(|row| row.keys()).filter(|key| !known.contains_key(*key)).collect();
        assert!(strange.is_empty(), "{asked}: the schema `{name}` does not know {strange:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_printed_for_programs_is_what_the_schemas_say() {
    let lab = Lab::start(Pace(200.0)).await.unwrap();
    let home = Home::patient(&lab);
    let _engine = home.engine().await;
    let client = home.client();
    eventually("everything was looked at", async || client.snapshot().await.ok().filter(is_ready)).await;
    let peace = holds(&home, "status", "status").await;
    assert!(peace["incident"].is_null() && !peace["services"].as_array().unwrap().is_empty());
    holds(&home, "checklist", "checklist").await;

    holds(&home, "incident", "incident declare Practice --severity sev2").await;
    holds(&home, "failover", "failover run regional-failover --mode rehearsal").await;
    holds(&home, "accepted", "hold on --reason tea").await;
    let status = holds(&home, "status", "status").await;
    assert!(!status["run"]["steps"].as_array().unwrap().is_empty());
    for (name, words) in [
        ("backups", "backups"),
        ("ready", "ready"),
        ("without", "ready --without us-east-1"),
        ("contacts", "contacts"),
        ("check", "check"),
        ("plan-list", "plan list"),
        ("plan-show", "plan show regional-failover"),
        ("plan-preview", "plan preview redis-failover"),
        ("by-hand", "by-hand redis-failover"),
        ("wayback", "wayback status"),
        ("checklist", "checklist"),
        ("outbox", "outbox list"),
        ("incident", "incident show"),
        ("incident-list", "incident list"),
        ("report", "report"),
        ("drill-list", "drill list"),
        ("drill-schedule", "drill schedule"),
    ] {
        let answer = holds(&home, name, words).await;
        assert!(answer.as_array().is_none_or(|it| !it.is_empty()), "{words}: an empty answer proves nothing");
    }
    let lines = home.says("journal tail --lines 1000 -o json").await;
    assert!(lines.out.lines().count() > 10, "{lines:#?}");
    let journal = validator("journal");
    for line in lines.out.lines() {
        valid(&journal, &serde_json::from_str(line).unwrap(), "journal tail");
    }
    let snapshot = serde_json::to_value(client.snapshot().await.unwrap()).unwrap();
    let document = schema("openapi", &self::words()).unwrap();
    valid(&Validator::of_api(&document, "Snapshot"), &snapshot, "the API's snapshot");
}

#[test]
fn an_ask_that_the_engine_would_not_read_is_none_of_the_document() {
    let ask = Validator::of_api(&schema("openapi", &words()).unwrap(), "Ask");
    for right in [
        json!({ "command": "arm" }),
        json!({ "command": "hold" }),
        json!({ "command": "declare", "title": "T", "severity": "sev1" }),
        json!({ "command": "tell", "purpose": "identified", "audiences": ["public"], "note": "n" }),
    ] {
        valid(&ask, &right, "a right ask");
        serde_json::from_value::<Ask>(right).unwrap();
    }
    for wrong in [
        json!({ "command": "explode" }),
        json!({ "command": "hold", "force": true }),
        json!({ "command": "declare", "title": "T" }),
        json!({ "command": "declare", "title": "T", "severity": "sev9" }),
        json!({ "command": "confirm", "run": "r", "step": 1 }),
        json!({ "title": "T" }),
    ] {
        assert!(!ask.takes(&wrong), "{wrong}");
        assert!(serde_json::from_value::<Ask>(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn a_mistake_of_a_config_is_told_as_the_schema_says() {
    for text in ["[estate]\nname = 1\n", EXAMPLE] {
        let mut out = Vec::new();
        let read = config::parse(text, Path::new("config.toml"), &kinds());
        mayday::cli::check::check_json(&read, &[], &mut out).unwrap();
        told("check", "check", &serde_json::from_slice(&out).unwrap());
    }
}
