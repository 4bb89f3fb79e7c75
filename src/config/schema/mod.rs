//! JSON Schemas (draft-07, which editors know) of what people write: the config, plans, `cockpit.toml`. They are made from the tables
//! that validate, so that an editor offers what `mayday check` takes. A schema sees one file and one value at a time: what refers to
//! something else is for `mayday check`.

mod shape;

use serde_json::{Map, Value, json};

use super::cockpit::FLAGS;
use super::plans::{GIVEN_ROLES, OF_SEVERAL, can_be_given_a_role};
use super::{alerts, channels, contacts, drills, estate, include, journal, probes, targets, ways};
use crate::domain::checklist::Sight;
use crate::domain::comms::{ChannelKind, Comms};
use crate::domain::estate::{DataClass, Environment, OnTrigger, Policy, RegionRole, Tier};
use crate::domain::incident::Severity;
use crate::domain::kinds::{Kinds, Param, ProbeKind, StepKind, StepRole, SystemKind};
use crate::domain::plan::{Gate, WayName};
use shape::{Shape, choice, count, flag, kind, list_of, name, one_of, secret, span, text, texts};

/// The dialect of all schemas of files.
const DIALECT: &str = "http://json-schema.org/draft-07/schema#";

/// The config.
pub fn config(kinds: &Kinds) -> Value {
    let objectives = Shape::new()
        .needs("rto", spans(Tier::WORDS, true), "how soon each tier of services has to be back")
        .needs("rpo", spans(DataClass::WORDS, false), "how much of each class of data may be lost");
    let identity = Shape::new().needs("name", text(), "it heads every screen and report").with(
        "environment",
        choice(Environment::WORDS),
        "`test` is an estate that drills may break on purpose",
    );
    let identity = identity.with(
        "runs_in",
        text(),
        "where Mayday and its journal are: a region, or another word for a place outside",
    );
    let root = Shape::new()
        .with(include::KEY, texts(), "files that are read as if they stood in this one; relative to it")
        .with("plans_dir", text(), "the folder of your own plans; relative to this file")
        .needs("estate", identity.closed("[estate]"), "what is protected")
        .needs("objectives", objectives.closed("[objectives]"), "what was promised")
        .with(ways::KEY, words(WayName::WORDS), "the ways to move clients that the estate has, the preferred one first")
        .with("values", named_values(), "what plans call {name} in their texts")
        .with("policy", policy(), "how careful the engine is")
        .with("comms", comms(), "how people are told")
        .with("probe", pace(Shape::new()).closed("[probe]"), "what every probe does unless it says otherwise")
        .needs("region", list_of("region"), "one primary and one standby or more")
        .with("system", list_of("system"), "what can be watched and failed over")
        .needs("service", list_of("service"), "what users need")
        .with("channel", list_of("channel"), "the ways to reach people")
        .with("alerts", alerting(), "what is done with the alerts of other monitoring")
        .with("journal", ledger(), "where the journal is kept, when several engines share it")
        .with("contacts", people(), "whom to call")
        .with("dependency", list_of("dependency"), "what sits in one region, and people need")
        .with("drill", list_of("drill"), "what is rehearsed, and how often")
        .with("checklist", list_of("checklist"), "what is asked before an incident is closed");
    let mut schema = document(root, "Mayday: the config", definitions(kinds));
    // What is needed may stand in a file that is included.
    if let Some(needed) = schema.as_object_mut().and_then(|it| it.remove("required")) {
        schema["anyOf"] = json!([{ "required": [include::KEY] }, { "required": needed }]);
    }
    schema
}

/// A text for each name that plans may use.
fn named_values() -> Value {
    json!({
        "type": "object",
        "propertyNames": { "pattern": "^[a-z][a-z0-9_]*$", "not": { "enum": RegionRole::WORDS } },
        "additionalProperties": text(),
    })
}

fn map_of_texts() -> Value {
    json!({ "type": "object", "additionalProperties": text() })
}

/// A plan: one file of `plans_dir`.
pub fn plan(kinds: &Kinds) -> Value {
    let steps = kinds.0.iter().flat_map(|system| system.steps.iter().map(move |step| (*system, step)));
    let step = |(system, step): (&SystemKind, &StepKind)| {
        let shape = Shape::of_plan()
            .needs("id", name(), "the name that `needs` and the journal use")
            .needs("title", text(), "what it does, in the imperative")
            .with("needs", texts(), "the steps that it waits for")
            .with("gate", choice(Gate::WORDS), "who lets it begin")
            .with("yes", flag(), "whether `--yes` answers its gate")
            .with(OF_SEVERAL, flag(), "it is there only where one of several standby regions is chosen")
            .needs("timeout", span(), "how long its effect may take to show")
            .with("phrase", text(), "what a typed gate asks for")
            .with("recovers", words(Tier::WORDS), "the tiers that are back once it is done")
            .with("class", choice(DataClass::WORDS), "the class of data that it moves")
            .with("region", text(), "a region of the estate");
        let shape = match step.role {
            StepRole::Traffic => shape
                .with("way", choice(WayName::WORDS), "what this way is called, where there are others")
                .with("other", list_of("way"), "other ways to the same effect, for estates that have them"),
            _ if can_be_given_a_role(step) => {
                shape.with("role", choice(GIVEN_ROLES), "what it does, where only the plan knows")
            }
            _ => shape,
        };
        let shape = shape.with("optional", flag(), "a failure of it is told, and the run goes on");
        of_kind(shape, system, step.name, step.params).closed(step.title)
    };
    let senders = kinds.0.iter().flat_map(|system| system.steps.iter().map(move |step| (*system, step)));
    let way = |(system, step): (&SystemKind, &StepKind)| {
        let shape = Shape::of_plan().needs("way", choice(WayName::WORDS), "what this way is called");
        of_kind(shape, system, step.name, step.params).closed(step.title)
    };
    let ways: Vec<Value> = senders.filter(|(_, step)| step.role == StepRole::Traffic).map(way).collect();
    let way = (!ways.is_empty()).then(|| ("way", one_of(ways.into_iter())));
    let root = Shape::of_plan()
        .needs("title", text(), "what the plan does, in a few words")
        .needs("about", text(), "when to use it, in a sentence or two")
        .needs("step", list_of("step"), "what is done, in any order: `needs` says what waits for what");
    let definitions = [("secret", secret()), ("step", one_of(steps.map(step)))].into_iter().chain(way);
    document(root, "Mayday: a plan", definitions)
}

/// An operator's `cockpit.toml`, with the themes and actions that there are.
pub fn cockpit(themes: &[&str], actions: &[&str]) -> Value {
    let keys = actions.iter().fold(Shape::new(), |shape, action| shape.with(action, texts(), ""));
    let root = FLAGS.iter().fold(Shape::new(), |shape, flag_name| shape.with(flag_name, flag(), ""));
    let root = root.with("engine_user", text(), "a user whose engine is believed besides your own and root's");
    let root = root.with("theme", choice(themes), "`mayday themes` lists them").with(
        "keys",
        keys.closed("[keys]"),
        "the keys of an action; `mayday keys` lists them",
    );
    document(root, "Mayday: cockpit.toml", [])
}

fn document<'n>(root: Shape, title: &str, definitions: impl IntoIterator<Item = (&'n str, Value)>) -> Value {
    let mut schema = root.closed(title);
    schema["$schema"] = json!(DIALECT);
    let definitions: Map<String, Value> = definitions.into_iter().map(|(name, it)| (name.to_owned(), it)).collect();
    if !definitions.is_empty() {
        schema["definitions"] = definitions.into();
    }
    schema
}

fn definitions(kinds: &Kinds) -> Vec<(&'static str, Value)> {
    let rows = |rows: &[Param], title: &str| Shape::new().rows(rows).closed(title);
    let region = Shape::new()
        .needs("id", name(), "the name its vendor gives it, like us-east-1")
        .needs("role", choice(RegionRole::WORDS), "")
        .with("title", text(), "")
        .with(targets::VALUES, named_values(), "of a standby: what names stand for in plans that lead there")
        .with(
            targets::SYSTEMS,
            map_of_texts(),
            "of a standby: for a system that plans name, the one that is meant there",
        )
        .with("probe", list_of("probe"), "how its front door is asked");
    let service = Shape::new()
        .needs("id", name(), "the name that the cockpit shows")
        .with("title", text(), "")
        .needs("tier", choice(&[Tier::Critical.word(), Tier::Standard.word()]), "how soon it has to be back")
        .needs("probe", list_of("probe"), "how it is watched");
    let item = Shape::new()
        .needs("id", name(), "one of the plan's, to change it, or a name of your own")
        .with("title", text(), "")
        .with("what", text(), "what there is to do")
        .with("why", text(), "")
        .with("sees", words(Sight::WORDS), "what Mayday looks at by itself")
        .with("off", flag(), "takes an item of the plan away")
        .with("check", list_of("check"), "probes that look while an incident is mitigated");
    vec![
        ("secret", secret()),
        ("region", region.closed("[[region]]")),
        ("service", service.closed("[[service]]")),
        ("system", one_of(kinds.0.iter().filter(|row| !row.ambient).map(|row| system(row)))),
        ("probe", one_of(by_probe(kinds, probe))),
        ("check", one_of(by_probe(kinds, check))),
        ("backup", one_of(backups(kinds))),
        ("channel", one_of(kinds.1.iter().map(|row| channel(row)))),
        ("dependency", rows(contacts::DEPENDENCY, "[[dependency]]")),
        ("drill", rows(drills::DRILL, "[[drill]]")),
        ("checklist", item.closed("[[checklist]]")),
    ]
}

/// What a table of a kind has: the kind, the system that it is about unless it needs none, and the parameters.
fn of_kind(shape: Shape, system: &SystemKind, name: &str, params: &[Param]) -> Shape {
    let shape = shape.needs("kind", kind(name), "`mayday kinds` lists them");
    let shape = match system.ambient {
        true => shape,
        false => shape.with("system", text(), "the system that it is about, where several are of this kind"),
    };
    shape.rows(params)
}

fn system(row: &SystemKind) -> Value {
    let shape = Shape::new()
        .needs("id", name(), "the name that probes, plans and typed phrases use")
        .needs("kind", kind(row.name), "`mayday kinds` lists them")
        .with("title", text(), "")
        .with("class", choice(DataClass::WORDS), "what it holds; a system with a class is a datastore")
        .with("region", text(), "where it is, if it is in one region")
        .with("probe", list_of("probe"), "how it is watched")
        .with("backup", list_of("backup"), "its copies");
    shape.rows(row.params).closed(row.title)
}

fn by_probe(kinds: &Kinds, shape: fn(&SystemKind, &ProbeKind) -> Value) -> impl Iterator<Item = Value> {
    kinds.0.iter().flat_map(move |system| system.probes.iter().map(move |probe| shape(system, probe)))
}

fn probe(system: &SystemKind, row: &ProbeKind) -> Value {
    let shape = Shape::new().with("id", name(), "").with("region", text(), "the region that it is about");
    of_kind(pace(shape), system, row.name, row.params).closed(row.title)
}

fn check(system: &SystemKind, row: &ProbeKind) -> Value {
    let shape = Shape::new().with("id", name(), "").with("region", text(), "the region that it is about").with(
        "timeout",
        span(),
        "how long it may take",
    );
    of_kind(shape, system, row.name, row.params).closed(row.title)
}

fn backups(kinds: &Kinds) -> impl Iterator<Item = Value> {
    let rows = kinds.0.iter().flat_map(|system| system.backups.iter().map(move |backup| (*system, backup)));
    rows.map(|(system, row)| {
        let shape = Shape::new()
            .with("id", name(), "")
            .with("title", text(), "")
            .with("region", text(), "where the copies lie, when no API tells")
            .with("class", choice(DataClass::WORDS), "what it counts for")
            .with("every", span(), "how often it is looked at")
            .with("retention", span(), "how far back copies have to go");
        let about = "how old the newest good copy may be";
        let shape = match row.dated {
            true => shape.needs("max_age", span(), about),
            false => shape.with("max_age", span(), about),
        };
        of_kind(shape, system, row.name, row.params).closed(row.title)
    })
}

fn channel(row: &ChannelKind) -> Value {
    let audiences: Vec<&str> = row.audiences.iter().map(|it| it.word()).collect();
    let (schema, about) = (choice(&audiences), "who reads it");
    let shape = Shape::new()
        .needs("id", name(), "the name that the outbox shows")
        .needs("kind", kind(row.name), "`mayday kinds` lists them")
        .with("title", text(), "");
    let shape = match audiences.len() {
        1 => shape.with("audience", schema, about),
        _ => shape.needs("audience", schema, about),
    };
    let shape = shape.with("drills", flag(), "whether it exists in a drill too; only for the internal audience").with(
        "escalation",
        flag(),
        "paged when nobody acknowledges in time",
    );
    shape.rows(row.params).closed(row.title)
}

fn pace(shape: Shape) -> Shape {
    let counts = count(probes::MOST);
    shape
        .with("every", span(), "how often it looks")
        .with("timeout", span(), "how long it waits for an answer; no longer than `every`")
        .with("fall", counts.clone(), "so many failures make it down")
        .with("window", counts.clone(), "among so many of the latest readings; in a row when left out")
        .with("rise", counts, "so many successes in a row make it healthy again")
}

/// The type has the words and the defaults of what its table reads.
fn policy() -> Value {
    let told = Told::of::<Policy>(&Policy::default());
    let shape = estate::policy_spans().fold(Shape::new(), |shape, key| told.field(shape, key, span()));
    let shape = estate::policy_numbers().fold(shape, |shape, key| told.field(shape, key, count(estate::POLICY_MOST)));
    let shape = told.field(shape, "on_trigger", choice(OnTrigger::WORDS));
    told.field(shape, "script_environment", texts()).closed("[policy]")
}

fn comms() -> Value {
    let told = Told::of::<Comms>(&Comms::default());
    let shape = channels::spans().fold(Shape::new(), |shape, key| told.field(shape, key, span()));
    let by_severity = || spans(Severity::WORDS, false);
    let shape = channels::by_severity().fold(shape, |shape, key| told.field(shape, key, by_severity()));
    let components = map_of_texts();
    told.field(told.field(shape, "page", flag()), "components", components)
        .with("templates", text(), "a folder with texts of your own")
        .closed("[comms]")
}

fn ledger() -> Value {
    let postgres = Shape::new().rows(journal::POSTGRES).closed("[journal.postgres]");
    let s3 = Shape::new().rows(journal::S3).closed("[journal.s3]");
    let sqlite = Shape::new().rows(journal::SQLITE).closed("[journal.sqlite]");
    let mut either = Shape::new()
        .rows(journal::JOURNAL)
        .with("postgres", postgres, "in PostgreSQL, or a server that speaks its wire")
        .with("s3", s3, "in a bucket of Amazon S3, or of a server that writes on conditions as it does")
        .with("sqlite", sqlite, "in a file, for engines of one host")
        .closed("[journal]");
    either["oneOf"] = json!([{ "required": ["postgres"] }, { "required": ["s3"] }, { "required": ["sqlite"] }]);
    either
}

fn alerting() -> Value {
    let rule = Shape::new().rows(alerts::COUNT).closed("[[alerts.count]]");
    Shape::new()
        .rows(alerts::ALERTS)
        .with(
            "count",
            json!({ "type": "array", "items": rule }),
            "which of them count for a trigger; none when left out",
        )
        .closed("[alerts]")
}

fn people() -> Value {
    let rows = |rows: &[Param], title: &str| Shape::new().rows(rows).closed(title);
    let escalation = json!({ "type": "array", "items": rows(contacts::ESCALATION, "[[contacts.escalation]]") });
    Shape::new()
        .with("pagerduty", rows(contacts::PAGERDUTY, "[contacts.pagerduty]"), "who is on call")
        .with("escalation", escalation, "whom to call next")
        .with("aws_support", rows(contacts::SUPPORT, "[contacts.aws_support]"), "who helps from outside")
        .closed("[contacts]")
}

fn words(words: &[&str]) -> Value {
    json!({ "type": "array", "items": choice(words) })
}

/// A length of time for each word.
fn spans(words: &[&str], needed: bool) -> Value {
    let put = |shape: Shape, word: &&str| match needed {
        true => shape.needs(word, span(), ""),
        false => shape.with(word, span(), ""),
    };
    words.iter().fold(Shape::new(), put).closed("")
}

/// What a type says of its fields: their docstrings, and its defaults.
struct Told {
    schema: Value,
    defaults: Value,
}

impl Told {
    fn of<T: schemars::JsonSchema + serde::Serialize>(default: &T) -> Self {
        let schema = schemars::schema_for!(T).to_value();
        Self { schema, defaults: serde_json::to_value(default).unwrap_or_default() }
    }

    fn field(&self, shape: Shape, key: &str, mut schema: Value) -> Shape {
        if let Some(default) = self.defaults.get(key) {
            schema["default"] = default.clone();
        }
        let about = self.schema["properties"][key]["description"].as_str().unwrap_or_default();
        shape.with(key, schema, about)
    }
}

#[cfg(test)]
mod tests;
