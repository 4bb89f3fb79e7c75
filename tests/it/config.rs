//! Config files: every mistake is reported at once, in its place, with what to write instead.

use std::path::Path;

use insta::assert_snapshot;
use mayday::config::{self, Config, Mistakes};
use mayday::domain::checklist::Sight;
use mayday::domain::comms::{Audience, ChannelKind, Doubles, Purpose};
use mayday::domain::estate::{DataClass, Subject, Tier};
use mayday::domain::kinds::{Kinds, Param, ParamType, ProbeKind, StepKind, StepRole, SystemKind, Undo};
use mayday::domain::time::Span;
use proptest::prelude::*;

/// A small table of kinds, so that the messages here do not change with the vendors' rows.
const DB: SystemKind = SystemKind {
    name: "db",
    title: "Database",
    ambient: false,
    ways: &[],
    params: &[
        Param::required("address", ParamType::Address, "where it listens"),
        Param::optional("password", ParamType::Secret, "how to sign in"),
        Param::default("port_name", ParamType::Choice(&["main", "admin"]), "main", "which port"),
        Param::optional("members", ParamType::Map, "member to region"),
        Param::optional("retries", ParamType::Integer, "how many"),
    ],
    probes: &[ProbeKind { name: "db.ping", title: "Answers", params: &[] }],
    steps: &[StepKind {
        name: "db.promote",
        title: "Promote the replica",
        role: StepRole::Promotes,
        undo: Undo::PointOfNoReturn,
        instead: "build a new replica",
        params: &[Param::default("hold", ParamType::Span, "10s", "how long it has to hold")],
    }],
    backups: &[],
};
const WEB: SystemKind = SystemKind {
    name: "web",
    title: "HTTP",
    ambient: true,
    ways: &[],
    params: &[],
    probes: &[ProbeKind {
        name: "web.get",
        title: "Answers 200",
        params: &[Param::required("url", ParamType::Url, "what to fetch")],
    }],
    steps: &[
        StepKind {
            name: "web.check",
            title: "Fetch",
            role: StepRole::Synthetic,
            undo: Undo::Nothing,
            instead: "",
            params: &[Param::optional("region", ParamType::Region, "from where")],
        },
        StepKind {
            name: "web.move",
            title: "Move the traffic",
            role: StepRole::Traffic,
            undo: Undo::Revert,
            instead: "",
            params: &[],
        },
    ],
    backups: &[],
};
const CHAT: ChannelKind = ChannelKind {
    name: "chat",
    title: "a chat",
    audiences: &[Audience::Internal, Audience::Public],
    carries: &[Purpose::Investigating],
    doubles: Doubles::Recognised,
    params: &[Param::required("room", ParamType::Text, "where")],
};
const MAIL: ChannelKind = ChannelKind {
    name: "mail",
    title: "mail",
    audiences: &[Audience::Customers],
    carries: &[Purpose::Investigating],
    doubles: Doubles::Undetectable,
    params: &[],
};
const KINDS: Kinds = Kinds(&[&DB, &WEB], &[&CHAT, &MAIL]);

const GOOD: &str = r#"
[estate]
name = "Test"

[objectives.rto]
critical = "5m"
standard = "15m"
platform = "30m"

[objectives.rpo]
database = "1h"

[[region]]
id = "east"
role = "primary"

[[region]]
id = "west"
role = "standby"

[[system]]
id = "orders"
kind = "db"
class = "database"
region = "east"
address = "db.example:5432"
password = { env = "DB_PASSWORD" }

[[system.probe]]
kind = "db.ping"

[[service]]
id = "shop"
title = "Shop"
tier = "critical"

[[service.probe]]
kind = "web.get"
region = "east"
url = "https://shop.example/healthz"
"#;

fn parse(text: &str) -> Result<Config, Mistakes> {
    config::parse(text, Path::new("mayday.toml"), &KINDS)
}

/// A config in a folder with files beside it.
fn with_files(main: &str, files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Config, Mistakes>) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let origin = dir.path().join("mayday.toml");
    std::fs::write(&origin, main).unwrap();
    let loaded = config::load(&origin, &KINDS);
    (dir, loaded)
}

/// A service for a file of its own.
fn service(id: &str) -> String {
    format!(
        "[[service]]\nid = \"{id}\"\ntier = \"standard\"\n\n[[service.probe]]\nkind = \"web.get\"\nregion = \"east\"\nurl = \"https://{id}.example/\"\n"
    )
}

#[test]
fn included_files_are_read_in_the_order_of_their_names_as_if_they_stood_in_the_config() {
    let main = format!("include = [\"conf.d/*.toml\", \"values.toml\"]\n{GOOD}");
    let (dir, loaded) = with_files(
        &main,
        &[
            ("conf.d/20-b.toml", &service("b")),
            ("conf.d/10-a.toml", &service("a")),
            ("conf.d/.hidden.toml", "nonsense"),
            ("conf.d/readme.md", "nonsense"),
            ("values.toml", "[policy]\nsettle = \"7s\"\n"),
        ],
    );
    let config = loaded.unwrap();
    let ids: Vec<&str> = config.estate.services.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(
        ids,
        [&parse(GOOD).unwrap().estate.services.iter().map(|it| it.id.as_str()).collect::<Vec<_>>()[..], &["a", "b"]]
            .concat()
    );
    assert_eq!(config.estate.policy.settle, Span::secs(7));
    assert!(config.warnings.is_empty() && config.files.changed().is_empty());
    let glance = config.files.glance();
    std::fs::write(dir.path().join("conf.d/30-c.toml"), service("c")).unwrap();
    std::fs::write(dir.path().join("values.toml"), "").unwrap();
    std::fs::remove_file(dir.path().join("conf.d/10-a.toml")).unwrap();
    let changed = config.files.changed();
    let names: Vec<_> = changed.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["10-a.toml", "30-c.toml", "values.toml"]);
    assert_ne!(config.files.glance(), glance);
}

#[test]
fn a_mistake_in_an_included_file_is_told_where_it_is() {
    let main = format!("include = [\"conf.d/*.toml\"]\n{GOOD}");
    let wrong = service("a").replace("standard", "important");
    let (dir, loaded) =
        with_files(&main, &[("conf.d/a.toml", &wrong), ("conf.d/b.toml", "\n[[service]]\nid = \"é\"\n")]);
    let found = loaded.unwrap_err().to_string().replace(&dir.path().display().to_string(), "");
    assert!(found.contains("--> /conf.d/a.toml:3:8\n") && found.contains("3 | tier = \"important\""), "{found}");
    assert!(found.contains("--> /conf.d/b.toml:3:6\n"), "{found}");
    let (dir, loaded) = with_files(&main, &[("conf.d/a.toml", &service("a")), ("conf.d/b.toml", "\n[[service]\n")]);
    let found = loaded.unwrap_err().to_string().replace(&dir.path().display().to_string(), "");
    assert!(found.contains("this is not TOML") && found.contains("--> /conf.d/b.toml:2:"), "{found}");
}

#[test]
fn what_an_include_cannot_be_is_said() {
    for (include, files, said) in [
        ("[\"c.toml\"]", &[("c.toml", "include = [\"d.toml\"]\n")][..], "an included file cannot include others"),
        ("[\"*.toml\"]", &[], "includes itself"),
        ("[\"c.toml\"]", &[], "c.toml cannot be read"),
        ("[\"*/c.toml\"]", &[], "* and ? can only stand in the name of the file"),
        ("\"c.toml\"", &[], "`include` is text, but has to be a list of texts"),
        ("[\"\"]", &[], "an `include` cannot be empty"),
        ("[\"c.toml\"]", &[("c.toml", "[estate]\nname = \"Twice\"\n")], "`name` is set twice: here, and in"),
        ("[\"c.toml\"]", &[("c.toml", "bogus = 1\n")], "the config has no key `bogus`"),
    ] {
        let (_dir, loaded) = with_files(&format!("include = {include}\n{GOOD}"), files);
        let found = loaded.unwrap_err().to_string();
        assert!(found.contains(said), "{include}: {found}");
    }
    let (_dir, loaded) = with_files(&format!("include = [\"conf.d/*.toml\"]\n{GOOD}"), &[]);
    let warnings = loaded.unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].what.contains("matches no file"), "{warnings:?}");
    assert_eq!(warnings[0].place.as_ref().map(|at| at.line), Some(1));
}

#[test]
fn a_good_config_is_an_estate() {
    let estate = parse(GOOD).unwrap().estate;
    assert_eq!((estate.primary().as_str(), estate.standby().as_str()), ("east", "west"));
    assert_eq!(estate.rto(Tier::Critical), Some(Span::secs(300)));
    assert_eq!(estate.rpo(DataClass::Database), Some(Span::secs(3600)));
    let [ping, get] = &estate.probes[..] else { panic!("{:?}", estate.probes) };
    assert_eq!((ping.id.as_str(), ping.system.as_str()), ("orders.db.ping.east", "orders"));
    assert_eq!((get.id.as_str(), get.system.as_str()), ("shop.web.get.east", "web"));
    assert_eq!(get.subject, Subject::Service("shop".into()));
    let system = &estate.systems[0];
    assert_eq!(system.params.text("port_name").unwrap(), "main");
    assert_eq!(system.params.secret("password"), Some(mayday::domain::params::SecretRef::Env("DB_PASSWORD".into())));
}

#[test]
fn the_checklist_is_the_plans_until_the_config_says_otherwise() {
    let ids = |text: &str| -> Vec<String> {
        parse(text).unwrap().estate.checklist.iter().map(|it| it.item.id.to_string()).collect()
    };
    let five = ["services-healthy", "data-integrity", "performance-normal", "user-access", "monitoring-operational"];
    assert_eq!(ids(GOOD), five);
    let own = "[[checklist]]\nid = \"support\"\ntitle = \"Support\"\nwhat = \"Ask.\"\n";
    assert_eq!(ids(&format!("{GOOD}\n{own}"))[5], "support");
    assert_eq!(ids(&format!("{GOOD}\n[[checklist]]\nid = \"user-access\"\noff = true\n")).len(), 4);
    let changed = "[[checklist]]\nid = \"user-access\"\nwhy = \"They pay.\"\nsees = [\"latency\"]\n\n[[checklist.check]]\nkind = \"web.get\"\nurl = \"https://shop.example/login\"\n";
    let estate = parse(&format!("{GOOD}\n{changed}")).unwrap().estate;
    let item = &estate.checklist[3];
    assert_eq!((item.item.title.as_str(), item.item.why.as_str()), ("User access restored", "They pay."));
    assert_eq!(item.item.sees, [Sight::Latency]);
    assert_eq!((item.checks[0].id.as_str(), item.checks[0].system.as_str()), ("user-access.web.get", "web"));
    assert_eq!(item.item.checks, [item.checks[0].id.clone()]);
}

#[test]
fn every_slip_in_a_checklist_is_said_at_once() {
    let wrong = r#"
[[checklist]]
id = "mine"

[[checklist]]
id = "user-access"
sees = ["latancy"]
of = true

[[checklist.check]]
kind = "web.gte"

[[checklist]]
id = "user-access"

[[checklist]]
id = "nobodys"
off = true
"#;
    let found = parse(&format!("{GOOD}{wrong}")).unwrap_err();
    let said: Vec<String> = found.0.iter().map(|it| format!("{}; {}", it.what, it.help)).collect();
    assert_eq!(
        said,
        [
            "the item `mine` needs a `title` and `what` to do; an item of your own says both; `why` is well spent too",
            "Mayday cannot look at `latancy` by itself; did you mean `latency`?",
            "[[checklist]] has no key `of`; did you mean `off`?",
            "there is no kind of probe `web.gte`; did you mean `web.get`?",
            "there is another [[checklist]] `user-access`; every id is used once",
            "there is no item `nobodys` to turn off; only an item of the plan can be turned off",
        ]
    );
}

/// Channels, each with what is said about it.
const CHANNELS: &[(&str, &str)] = &[
    ("kind = \"chat\"\naudience = \"internal\"\ndrills = true\nroom = \"#r\"", ""),
    ("kind = \"mail\"", ""),
    (
        "kind = \"mail\"\ndrills = true",
        "a drill never reaches the customers audience; leave `drills` out: in a drill this channel does not exist",
    ),
    (
        "kind = \"chat\"\naudience = \"public\"\ndrills = true\nroom = \"#r\"",
        "a drill never reaches the public audience; leave `drills` out: in a drill this channel does not exist",
    ),
    (
        "kind = \"chat\"\naudience = \"customers\"\nroom = \"#r\"",
        "a channel of kind `chat` is not for the customers audience; there are `internal`, `public`",
    ),
    ("kind = \"chat\"\nroom = \"#r\"", "a channel of kind `chat` needs `audience`; say who reads it: internal, public"),
    ("kind = \"chat\"\naudience = \"public\"", "a channel of kind `chat` needs `room`; room: where"),
    ("kind = \"chta\"", "there is no kind of channel `chta`; did you mean `chat`?"),
    (
        "kind = \"mail\"\n[[channel]]\nid = \"it\"\nkind = \"mail\"",
        "there is another channel `it`; every id is used once",
    ),
    (
        "kind = \"mail\"\n[comms]\ntake_back = 5",
        "`take_back` is a whole number, but has to be a length of time; write it with its unit, like \"5s\"",
    ),
    ("kind = \"mail\"\n[comms.components]\nshp = \"Shop\"", "there is no service `shp`; did you mean `shop`?"),
    (
        "kind = \"mail\"\n[comms.update_every]\nsev5 = \"5m\"",
        "[comms.update_every] has no key `sev5`; did you mean `sev1`?",
    ),
];

#[test]
fn channels_are_held_against_their_kinds_and_a_drill_reaches_nobody_outside() {
    for (channel, expected) in CHANNELS {
        let text = format!("{GOOD}\n[[channel]]\nid = \"it\"\n{channel}\n");
        let said = match parse(&text) {
            Ok(config) => {
                let [spec] = &config.estate.channels[..] else { panic!("{:?}", config.estate.channels) };
                assert_eq!(spec.carries, [Purpose::Investigating]);
                String::new()
            }
            Err(found) => found.0.iter().map(|it| format!("{}; {}", it.what, it.help)).collect::<Vec<_>>().join("\n"),
        };
        assert_eq!(said, *expected, "of {channel}");
    }
}

/// Each slip, as `from` → `to` in the good config, and what is said about it.
const SLIPS: &[(&str, &str, &str)] = &[
    (
        "name = \"Test\"",
        "nme = \"Test\"",
        "[estate] has no `name`; it heads every screen and report\n[estate] has no key `nme`; did you mean `name`?",
    ),
    ("[estate]\nname = \"Test\"", "", "there is no [estate]; begin with [estate] and its name = \"…\""),
    (
        "role = \"standby\"",
        "role = \"primary\"",
        "there are 2 primary regions: east, west; clients are served by one; all others are standbys, and which one is fled to is chosen at the run\nthere is no standby region; add a [[region]] with role = \"standby\"",
    ),
    ("role = \"standby\"", "role = \"stanby\"", "`role` cannot be `stanby`; did you mean `standby`?"),
    (
        "critical = \"5m\"",
        "critical = 300",
        "`critical` is a whole number, but has to be a length of time; write it with its unit, like \"300s\"",
    ),
    (
        "critical = \"5m\"",
        "critical = \"5 minutes\"",
        "`5 minutes` is not a length of time; write it like 250ms, 90s, 5m, 1h30m or 7d; ",
    ),
    ("critical = \"5m\"", "critical = \"0s\"", "`critical` cannot be zero; "),
    ("platform = \"30m\"", "", "[objectives.rto] has no `platform`; how soon it has to be back, like \"5m\""),
    ("database = \"1h\"", "", "[objectives.rpo] has no `database`; how much may be lost, like \"1h\""),
    ("id = \"west\"", "id = \"east\"", "there is another region `east`; every id is used once"),
    ("id = \"west\"", "id = \"w/st\"", "`id` is not a name; use up to 64 of a-z, A-Z, 0-9, `-`, `_` and `.`"),
    ("kind = \"db\"", "kind = \"bd\"", "there is no kind of system `bd`; did you mean `db`?"),
    (
        "kind = \"db\"\n",
        "kind = \"web\"\n",
        "`web` needs no [[system]]; leave the table out; probes and steps name its kinds alone",
    ),
    ("kind = \"db.ping\"", "", "[[system.probe]] has no `kind`; its own are db.ping"),
    ("kind = \"db.ping\"", "kind = \"db.pong\"", "there is no kind of probe `db.pong`; did you mean `db.ping`?"),
    (
        "kind = \"db.ping\"",
        "kind = \"db.ping\"\n[[system.probe]]\nkind = \"db.ping\"",
        "there is another probe `orders.db.ping.east`; give this one an `id` of its own",
    ),
    (
        "kind = \"db.ping\"",
        "kind = \"db.ping\"\nregion = \"west\"",
        "its system is in east, not in west; leave `region` out, or name another system",
    ),
    (
        "kind = \"db.ping\"",
        "kind = \"db.ping\"\nevery = \"1s\"\ntimeout = \"2s\"",
        "the timeout (2s) is longer than the interval (1s); a probe has to end before its next look: shorten `timeout` or lengthen `every`",
    ),
    ("kind = \"db.ping\"", "kind = \"db.ping\"\nfall = 0", "`fall` has to be a whole number from 1 to 100; "),
    (
        "kind = \"db.ping\"",
        "kind = \"db.ping\"\nfall = 4\nwindow = 3",
        "the latest 3 readings never hold 4 failures; make `window` as large as `fall` at least, or leave it out: they have to be in a row then",
    ),
    ("region = \"east\"\naddress", "region = \"esat\"\naddress", "there is no region `esat`; did you mean `east`?"),
    (
        "class = \"database\"",
        "class = \"data\"",
        "`class` cannot be `data`; there are `database`, `application-state`, `user-data`",
    ),
    ("address = \"db.example:5432\"", "", "a system of kind `db` needs `address`; address: where it listens"),
    (
        "address = \"db.example:5432\"",
        "adress = \"db.example:5432\"",
        "a system of kind `db` needs `address`; address: where it listens\n[[system]] has no key `adress`; did you mean `address`?",
    ),
    ("db.example:5432", "db.example", "this is not an address; write it as host:port, like db.example.com:5432"),
    ("address =", "retries = -1\naddress =", "`retries` has to be a whole number from 0 on; "),
    ("address =", "members = { a = 1 }\naddress =", "`a` is a whole number, but has to be text; write \"1\""),
    ("address =", "port_name = \"mian\"\naddress =", "`port_name` cannot be `mian`; did you mean `main`?"),
    (
        "{ env = \"DB_PASSWORD\" }",
        "{ env = \"A\", file = \"b\" }",
        "`password` has to be kept in exactly one place; name where it is kept: { env = \"NAME\" }, { file = \"path\" } or { command = [\"program\", \"argument\"] }",
    ),
    ("tier = \"critical\"", "tier = \"platform\"", "`tier` cannot be `platform`; there are `critical`, `standard`"),
    (
        "[[service.probe]]\nkind = \"web.get\"\nregion = \"east\"\nurl = \"https://shop.example/healthz\"",
        "",
        "a service without a probe would always be unknown; add a [[service.probe]]",
    ),
    ("kind = \"web.get\"", "kind = \"web.get\"\nsystem = \"orders\"", "`web` needs no system; leave it out"),
    (
        "kind = \"web.get\"\nregion = \"east\"\nurl = \"https://shop.example/healthz\"",
        "kind = \"db.ping\"\nsystem = \"oders\"",
        "there is no system `oders`; did you mean `orders`?",
    ),
    (
        "kind = \"web.get\"\nregion = \"east\"\nurl = \"https://shop.example/healthz\"",
        "kind = \"db.ping\"\nregion = \"west\"",
        "there is no system of kind `db` in west; there is only `orders`",
    ),
    ("https://shop.example/healthz", "/healthz", "this is not an absolute URL; write it like https://host:port/path"),
    (
        "https://shop.example/healthz",
        "https://me:secret@shop.example",
        "a URL in a config file cannot carry credentials; leave out what stands before the @",
    ),
    ("[estate]", "plan_dir = \"plans\"\n[estate]", "the config has no key `plan_dir`; did you mean `plans_dir`?"),
    ("[estate]", "[policy]\npoll_floor = \"5s\"\n[estate]", "poll_ceiling (2s) is below its floor (5s); "),
    ("name = \"Test\"", "name = ", "this is not TOML: string values must be quoted, expected literal string; "),
];

#[test]
fn every_slip_is_said_once_with_what_to_write_instead() {
    for (from, to, expected) in SLIPS {
        assert!(GOOD.contains(from), "{from:?} is not in the config");
        let found = parse(&GOOD.replacen(from, to, 1)).expect_err(&format!("{to:?} was taken"));
        let said: Vec<String> = found.0.iter().map(|it| format!("{}; {}", it.what, it.help)).collect();
        assert_eq!(said.join("\n"), *expected, "after {from:?} → {to:?}");
    }
}

#[test]
fn mistakes_are_said_all_at_once_in_the_order_of_the_file() {
    let text = GOOD.replace("\"east\"\nrole", "\"east\"\nrol").replace("5432", "0").replace("shop.example", "a b");
    assert_snapshot!(parse(&text).unwrap_err(), @r#"
    error: [[region]] has no `role`
      --> mayday.toml:13:1
       |
    13 | [[region]]
       | ^^^^^^^^^^
       = help: primary or standby

    error: [[region]] has no key `rol`
      --> mayday.toml:15:1
       |
    15 | rol …
       | ^^^
       = help: did you mean `role`?

    error: this is not an address
      --> mayday.toml:26:11
       |
    26 | address = "db.example:0"
       |           ^^^^^^^^^^^^^^
       = help: write it as host:port, like db.example.com:5432

    error: this is not a URL: invalid uri character
      --> mayday.toml:40:7
       |
    40 | url = "https://a b/healthz"
       |       ^^^^^^^^^^^^^^^^^^^^^
       = help: write it like https://host:port/path

    4 mistakes
    "#);
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_repeated() {
    let text = GOOD.replace("{ env = \"DB_PASSWORD\" }", "\"hunter2\"");
    let found = parse(&text).unwrap_err();
    assert_snapshot!(found, @r#"
    error: `password` is a secret, and a secret does not belong in a config file
      --> mayday.toml:27:12
       |
    27 | password = "…"
       |            ^^^
       = help: name where it is kept: { env = "NAME" }, { file = "path" } or { command = ["program", "argument"] }

    1 mistake
    "#);
    assert!(!serde_json::to_string(&found).unwrap().contains("hunter2"));
    let misspelt = parse(&text.replace("password", "pasword")).unwrap_err().to_string();
    assert!(misspelt.contains("pasword") && !misspelt.contains("hunter2"), "{misspelt}");
}

#[test]
fn mistakes_are_json_for_machines() {
    let found = parse(&GOOD.replace("tier = \"critical\"", "tier = \"critcal\"")).unwrap_err();
    assert_snapshot!(serde_json::to_string_pretty(&found).unwrap(), @r#"
    [
      {
        "file": "mayday.toml",
        "line": 35,
        "column": 8,
        "text": "tier = \"critcal\"",
        "length": 9,
        "what": "`tier` cannot be `critcal`",
        "help": "did you mean `critical`?"
      }
    ]
    "#);
}

#[test]
fn a_config_that_cannot_be_read_says_how_to_get_one() {
    let found = config::load(Path::new("/nowhere/mayday.toml"), &KINDS).unwrap_err();
    assert!(found.to_string().contains("`mayday init` writes one"), "{found}");
}

const PLAN: &str = r#"
title = "Move to {standby}"
about = "When {primary} is gone."

[[step]]
id = "promote"
title = "Promote the database"
kind = "db.promote"
gate = "typed"
timeout = "5m"

[[step]]
id = "move"
title = "Move the traffic"
kind = "web.move"
needs = ["promote"]
timeout = "2m"

[[step]]
id = "verify"
title = "Buy something"
kind = "web.check"
needs = ["move"]
region = "{standby}"
recovers = ["critical"]
timeout = "1m"
"#;

/// Reads the good config together with one plan of the operator's own.
fn parse_with_plan(plan: &str) -> Result<Config, Mistakes> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("plans")).unwrap();
    std::fs::write(dir.path().join("plans/move.toml"), plan).unwrap();
    std::fs::write(dir.path().join("plans/README.md"), "not a plan").unwrap();
    let origin = dir.path().join("mayday.toml");
    std::fs::write(&origin, format!("plans_dir = \"plans\"\n{GOOD}")).unwrap();
    config::load(&origin, &KINDS)
}

#[test]
fn a_plan_of_the_operators_own_is_read_against_the_estate() {
    let config = parse_with_plan(PLAN).unwrap();
    let plan = config.plans.iter().find(|plan| plan.id.as_str() == "move").unwrap();
    assert_eq!((plan.title.as_str(), plan.about.as_str()), ("Move to west", "When east is gone."));
    assert_eq!(plan.fingerprint.len(), 64);
    let [promote, traffic, verify] = &plan.steps[..] else { panic!("{plan:?}") };
    assert_eq!((promote.gate.word(), promote.yes, promote.phrase.as_str()), ("typed", false, "orders"));
    assert_eq!((promote.class, promote.params.text("hold").unwrap()), (Some(DataClass::Database), "10s"));
    assert_eq!((traffic.gate.word(), traffic.yes), ("confirm", true));
    assert_eq!((verify.gate.word(), verify.system.as_str()), ("auto", "web"));
    assert_eq!(verify.region.as_ref().map(|it| it.as_str()), Some("west"));
    assert_eq!(verify.params.text("region").unwrap(), "west");
}

#[test]
fn a_plan_that_cannot_be_read_is_named_and_hides_no_mistake_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir(at("plans")).unwrap();
    // What an editor leaves beside a file that is being written.
    std::os::unix::fs::symlink("ann@host.1", at("plans/.#move.toml")).unwrap();
    std::fs::write(at("plans/move.toml"), PLAN).unwrap();
    std::fs::write(at("mayday.toml"), format!("plans_dir = \"plans\"\n{GOOD}")).unwrap();
    config::load(&at("mayday.toml"), &KINDS).unwrap();

    std::fs::write(at("plans/latin.toml"), b"title = \"caf\xe9\"").unwrap();
    std::os::unix::fs::symlink("nowhere", at("plans/dangling.toml")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", at("plans/device.toml")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(at("plans/pipe.toml")).status().unwrap().success());
    std::fs::write(at("plans/move.toml"), PLAN.replace("\"typed\"", "\"tped\"")).unwrap();
    let found = config::load(&at("mayday.toml"), &KINDS).unwrap_err().to_string();
    for said in [
        "it is not text in UTF-8",
        "plans/latin.toml",
        "plans/dangling.toml",
        "it is no regular file",
        "plans/device.toml",
        "plans/pipe.toml",
        "plans/move.toml:",
    ] {
        assert!(found.contains(said), "no `{said}` in {found}");
    }
}

#[test]
fn a_mistake_in_a_region_or_in_a_kind_is_told_alone_and_hides_none_of_a_plan() {
    let wrong_plan = PLAN.replace("[\"critical\"]", "[\"critcal\"]");
    for (from, to, said) in [
        ("role = \"standby\"", "role = \"standy\"", "`role` cannot be `standy`"),
        ("role = \"standby\"", "role = \"primary\"", "there are 2 primary regions"),
        ("kind = \"db\"", "kind = \"dbb\"", "there is no kind of system `dbb`"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("plans")).unwrap();
        std::fs::write(at("plans/move.toml"), &wrong_plan).unwrap();
        assert!(GOOD.contains(from), "{from}");
        std::fs::write(at("mayday.toml"), format!("plans_dir = \"plans\"\n{}", GOOD.replacen(from, to, 1))).unwrap();
        let found = config::load(&at("mayday.toml"), &KINDS).unwrap_err();
        let all: Vec<&str> = found.0.iter().map(|it| it.what.as_str()).collect();
        assert!(all.iter().any(|it| it.contains(said)), "{all:?}");
        assert!(all.contains(&"there is no tier `critcal`"), "after {to}: {all:?}");
        let no_more_than = if to.contains("primary") { 3 } else { 2 };
        assert!(all.len() <= no_more_than, "after {to}: {all:?}");
    }
}

#[test]
fn what_is_no_file_is_neither_waited_for_nor_read() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir(at("conf.d")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(at("conf.d/10.toml")).status().unwrap().success());
    std::os::unix::fs::symlink("/dev/zero", at("conf.d/30.toml")).unwrap();
    std::fs::write(at("mayday.toml"), format!("include = [\"conf.d/*.toml\"]\n{GOOD}")).unwrap();
    let found = config::load(&at("mayday.toml"), &KINDS).unwrap_err().to_string();
    for file in ["10.toml", "30.toml"] {
        assert!(found.contains(&format!("{file} cannot be read: it is no regular file")), "{found}");
    }
    let found = config::load(&at("conf.d/10.toml"), &KINDS).unwrap_err().to_string();
    assert!(found.contains("the config cannot be read: it is no regular file"), "{found}");
}

#[test]
fn a_plan_that_is_unsafe_or_senseless_is_refused() {
    let slips = [
        (
            "needs = [\"promote\"]",
            "",
            "step `move` moves traffic without waiting for `promote`, which makes a store writable; ",
        ),
        ("needs = [\"promote\"]", "needs = [\"promot\"]", "there is no step `promot`; did you mean `promote`?"),
        (
            "gate = \"typed\"",
            "gate = \"auto\"",
            "step `promote` changes the world (promotes) behind no gate; use confirm, typed or two-person; ",
        ),
        ("gate = \"typed\"", "gate = \"tped\"", "`gate` cannot be `tped`; did you mean `typed`?"),
        ("id = \"verify\"", "id = \"move\"", "step `move` is not the only step of this name; every id is used once"),
        (
            "kind = \"db.promote\"",
            "kind = \"db.promte\"",
            "there is no kind of step `db.promte`; did you mean `db.promote`?",
        ),
        (
            "gate = \"typed\"",
            "gate = \"typed\"\nneeds = [\"verify\"]",
            "step `promote` needs `verify`, which comes after it; put it before; ",
        ),
        // Both are said whatever else is wrong with the step.
        (
            "id = \"verify\"",
            "id = \"move\"\ngate = \"nonsense\"",
            "step `move` is not the only step of this name; every id is used once",
        ),
        (
            "kind = \"db.promote\"",
            "system = \"ordrs\"\nkind = \"db.promte\"",
            "there is no system `ordrs`; did you mean `orders`?",
        ),
        ("[\"critical\"]", "[\"critcal\"]", "there is no tier `critcal`; did you mean `critical`?"),
        (
            "region = \"{standby}\"",
            "region = \"{stanby}\"",
            "nothing says what {stanby} stands for; did you mean {standby}?",
        ),
        ("timeout = \"5m\"", "", "[[step]] has no `timeout`; how long its effect may take to show, like \"2m\""),
    ];
    for (from, to, expected) in slips {
        let found = parse_with_plan(&PLAN.replacen(from, to, 1)).expect_err(&format!("{to:?} was taken"));
        let twice = found.0.iter().enumerate().find(|(at, it)| found.0[..*at].contains(it));
        assert!(twice.is_none(), "told twice: {twice:?}");
        let first = &found.0[0];
        assert_eq!(format!("{}; {}", first.what, first.help), expected, "after {from:?} → {to:?}");
        assert!(first.file.ends_with("plans/move.toml") && first.place.is_some(), "{found}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(at in 0..GOOD.len(), length in 0usize..40, with in "[\\PC\n\"'={}\\[\\]]{0,12}") {
        let (at, end) = (GOOD.floor_char_boundary(at), GOOD.floor_char_boundary((at + length).min(GOOD.len())));
        let text = format!("{}{with}{}", &GOOD[..at], &GOOD[end.max(at)..]);
        if let Err(found) = parse(&text) {
            prop_assert!(!found.0.is_empty());
            let _ = found.to_string();
        }
    }

    #[test]
    fn no_plan_makes_the_parser_panic(at in 0..PLAN.len(), length in 0usize..40, with in "\\PC{0,8}") {
        let (at, end) = (PLAN.floor_char_boundary(at), PLAN.floor_char_boundary((at + length).min(PLAN.len())));
        let _ = parse_with_plan(&format!("{}{with}{}", &PLAN[..at], &PLAN[end.max(at)..]));
    }
}

/// The good config with a plan that has other ways, in an estate that has these.
/// A third region, with what is different there.
const NORTH: &str = r#"
[[region]]
id = "north"
role = "standby"

[region.values]
door = "https://north.shop.example"

[region.systems]
orders = "orders-north"

[[system]]
id = "orders-north"
kind = "db"
class = "database"
region = "east"
address = "north.db.example:5432"
"#;

#[test]
fn a_plan_is_there_once_for_each_region_that_it_can_lead_to() {
    let read = |text: &str, plan: &str| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("plans")).unwrap();
        std::fs::write(dir.path().join("plans/move.toml"), plan).unwrap();
        let origin = dir.path().join("mayday.toml");
        std::fs::write(&origin, format!("plans_dir = \"plans\"\n{text}")).unwrap();
        config::load(&origin, &KINDS)
    };
    let three = format!("{GOOD}\n{NORTH}");
    let plan = PLAN.replace("kind = \"db.promote\"\n", "kind = \"db.promote\"\nsystem = \"orders\"\n");
    let config = read(&three, &plan).unwrap();
    let own: Vec<_> = config.plans.iter().filter(|plan| plan.name() == "move").collect();
    let seen = |at: usize| {
        let plan = &own[at];
        let target = plan.target.as_ref().map(|it| it.as_str());
        (plan.id.as_str(), target, plan.title.as_str(), plan.steps[0].system.as_str())
    };
    assert_eq!(own.len(), 2);
    assert_eq!(seen(0), ("move@west", Some("west"), "Move to west", "orders"));
    assert_eq!(seen(1), ("move@north", Some("north"), "Move to north", "orders-north"));
    assert_eq!(own[1].steps[2].region, Some("north".into()));

    let alone = plan.replace("{standby}", "west").replace("system = \"orders\"\n", "system = \"orders-north\"\n");
    let config = read(&three, &alone).unwrap();
    let found: Vec<&str> = config.plans.iter().map(|plan| plan.id.as_str()).filter(|id| id.contains("move")).collect();
    assert_eq!(found, ["move"], "what says where it goes goes there");

    let rows = [
        (three.replace("orders = \"orders-north\"", "orders = \"orders-nort\""), "there is no system `orders-nort`"),
        (three.replace("door =", "standby ="), "`standby` cannot name a value"),
        (
            format!("{GOOD}\n{}", NORTH.replace("\"standby\"", "\"primary\"")),
            "there are 2 primary regions: east, north",
        ),
        (three.clone(), "nothing says what {door} stands for"),
    ];
    let with_door = plan.replace("title = \"Buy something\"", "title = \"Buy something at {door}\"");
    for (text, words) in rows {
        let said = read(&text, &with_door).unwrap_err().to_string();
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_plan_that_calls_plans_is_written_out() {
    const CALLING: Kinds = Kinds(&[&DB, &WEB, &mayday::engine::waves::KIND], &[&CHAT, &MAIL]);
    let read = |files: &[(&str, &str)]| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("plans")).unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(format!("plans/{name}.toml")), text).unwrap();
        }
        let origin = dir.path().join("mayday.toml");
        std::fs::write(&origin, format!("plans_dir = \"plans\"\n{GOOD}")).unwrap();
        config::load(&origin, &CALLING)
    };
    let call = |id: &str, plan: &str, needs: &str| {
        format!(
            "\n[[step]]\nid = \"{id}\"\ntitle = \"Wave {id}\"\nkind = \"plan.run\"\nplan = \"{plan}\"\ngate = \"confirm\"\ntimeout = \"5m\"\n{needs}"
        )
    };
    let head = "title = \"Both\"\nabout = \"One after the other.\"\n";
    let both = format!("{head}{}{}", call("one", "move", ""), call("two", "move", "needs = [\"one\"]\n"));
    let config = read(&[("move", PLAN), ("both", &both)]).unwrap();
    let found = config.plans.iter().find(|plan| plan.id.as_str() == "both").unwrap();
    let shape: Vec<(&str, Vec<&str>)> =
        found.steps.iter().map(|it| (it.id.as_str(), it.needs.iter().map(|need| need.as_str()).collect())).collect();
    assert_eq!(
        shape,
        [
            ("one:promote", vec![]),
            ("one:move", vec!["one:promote"]),
            ("one:verify", vec!["one:move"]),
            ("one", vec!["one:verify"]),
            ("two:promote", vec!["one"]),
            ("two:move", vec!["two:promote"]),
            ("two:verify", vec!["two:move"]),
            ("two", vec!["two:verify"]),
        ]
    );
    assert_eq!(found.steps[3].kind, "plan.run");
    let alone = config.plans.iter().find(|plan| plan.id.as_str() == "move").unwrap();
    assert_eq!((alone.steps.len(), found.fingerprint == alone.fingerprint), (3, false));

    let said = |files: &[(&str, &str)]| read(files).unwrap_err().to_string();
    let nobody = format!("{head}{}", call("one", "moove", ""));
    let text = said(&[("move", PLAN), ("both", &nobody)]);
    assert!(text.contains("step `one` calls the plan `moove`") && text.contains("did you mean `move`?"), "{text}");
    let round = format!("{head}{}", call("one", "round", ""));
    let text = said(&[("round", &round)]);
    assert!(text.contains("calls the plan that it is part of (round → round)"), "{text}");
}

fn with_ways(traffic: &str, other: &str) -> Result<Config, Mistakes> {
    let dir = tempfile::tempdir().unwrap();
    let plan = PLAN
        .replace("kind = \"web.move\"\n", "kind = \"web.move\"\nway = \"records\"\n")
        .replace("\n[[step]]\nid = \"verify\"", &format!("\n{other}\n[[step]]\nid = \"verify\""));
    std::fs::create_dir(dir.path().join("plans")).unwrap();
    std::fs::write(dir.path().join("plans/move.toml"), plan).unwrap();
    let origin = dir.path().join("mayday.toml");
    std::fs::write(&origin, format!("plans_dir = \"plans\"\n{traffic}\n{GOOD}")).unwrap();
    config::load(&origin, &KINDS)
}

#[test]
fn a_step_has_the_ways_that_the_estate_has_in_its_order() {
    const OBJECT: &str = "[[step.other]]\nway = \"object\"\nkind = \"web.move\"\n";
    let ways = |traffic: &str, other: &str| -> Vec<String> {
        let plans = with_ways(traffic, other).unwrap().plans;
        let plan = plans.iter().find(|plan| plan.id.as_str() == "move").unwrap();
        plan.steps[1].ways.iter().map(|way| way.name.to_string()).collect()
    };
    assert_eq!(ways("traffic = [\"object\", \"records\"]", OBJECT), ["object", "records"]);
    assert_eq!(ways("traffic = [\"records\", \"object\"]", OBJECT), ["records", "object"]);
    assert_eq!(ways("", OBJECT), Vec::<String>::new(), "an estate that says nothing has records alone");
    assert_eq!(ways("traffic = [\"object\"]", OBJECT), Vec::<String>::new(), "one way is no choice");
    // What the estate has not is not read: what it names may not exist.
    assert_eq!(ways("", "[[step.other]]\nway = \"arc\"\nkind = \"none.such\"\n"), Vec::<String>::new());
    let said = |traffic: &str, other: &str| with_ways(traffic, other).unwrap_err().to_string();
    let rows = [
        ("traffic = [\"objekt\"]", OBJECT, "there is no way to move clients called `objekt`"),
        ("traffic = []", OBJECT, "`traffic` names no way to move clients"),
        ("traffic = [\"object\", \"object\"]", OBJECT, "`object` is there twice"),
        ("traffic = [\"arc\"]", OBJECT, "none of its ways (object, records) is one that the estate has"),
        ("traffic = [\"object\"]", "[[step.other]]\nkind = \"web.move\"\n", "`way`"),
        (
            "traffic = [\"object\"]",
            "[[step.other]]\nway = \"object\"\nkind = \"db.promote\"\n",
            "does not move clients",
        ),
    ];
    for (traffic, other, words) in rows {
        let said = said(traffic, other);
        assert!(said.contains(words), "{traffic} {other}: {said}");
    }
}
