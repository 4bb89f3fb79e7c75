//! Practice: breaking the lab by hand, and drills from their beginning to their evidence.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mayday::cli::exit::Exit;
use mayday::domain::actor::Actor;
use mayday::domain::event::Event;
use mayday::domain::run::Mode;
use mayday::domain::time::{At, before};
use mayday::journal::SqliteJournal;
use mayday::lab::faults::{Condition, places};
use mayday::lab::{Lab, Pace};
use serde_json::Value;

use crate::common::{eventually, one_crowd, write_at};
use crate::process::{EMPTY, Home, said};

const DAY: u64 = 24 * 60 * 60;

/// A plan that a drill of this estate may be named after; on the lab, the lab's own plan of that name is played.
const PLAN: &str = r#"
title = "Leave the region"
about = "When it has to be left."

[[step]]
id = "healthy"
title = "Wait until the standby is healthy"
kind = "mayday.healthy"
region = "us-west-2"
timeout = "1m"
"#;

/// An estate whose plan is rehearsed; `more` is added to its config.
fn home(more: &str) -> Home {
    let home = Home::new(&format!("plans_dir = \"plans\"\n{EMPTY}\n{more}"));
    fs::create_dir(home.dir().join("plans")).unwrap();
    fs::write(home.dir().join("plans/regional-failover.toml"), PLAN).unwrap();
    home
}

fn code(exit: Exit) -> i32 {
    i32::from(exit.code())
}

fn json_of(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_of_the_lab_is_broken_and_healed_by_hand() {
    let lab = Lab::start(Pace(1.0)).await.unwrap();
    let home = Home::new(EMPTY);
    let lab_says = async |words: &str| home.says(&format!("lab {words} --control {}", lab.endpoints["control"])).await;
    let now = |place: &str, region: &str| lab.world.truth().faults.condition(place, Some(region));

    lab_says("faults").await.is(0, &["Nothing is broken."]);
    lab_says("break rds@us-east-1 dark").await.is(0, &["rds@us-east-1", "dark"]);
    lab_says("break app@us-west-2 slow --by 900ms").await.is(0, &["slow by 0.9 s"]);
    assert_eq!((now("rds", "us-east-1"), now("rds", "us-west-2")), (Condition::Dark, Condition::Up));
    lab_says("heal rds@us-east-1").await.is(0, &["app@us-west-2"]);
    assert_eq!(now("rds", "us-east-1"), Condition::Up);
    lab_says("heal").await.is(0, &["Nothing is broken."]);
    assert_eq!(now("app", "us-west-2"), Condition::Up);

    let usage = i32::from(Exit::Usage.code());
    lab_says("break rds@mars dark").await.is(usage, &["no place `rds@mars`", "mayday lab break --list"]);
    lab_says("break rds@us-east-1 gone").await.is(usage, &["no condition `gone`"]);
    lab_says("break rds@us-east-1").await.is(usage, &["<CONDITION>"]);
    let list = home.says("lab break --list").await;
    list.is(0, &["cut-off", "its clients do"]);
    assert!(places().iter().all(|place| list.out.contains(place)), "{list:#?}");
    let unreachable = i32::from(Exit::Unreachable.code());
    home.says("lab heal --dir /nonexistent").await.is(unreachable, &["no lab is known", "--control"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_is_played_judged_documented_and_taken_down_and_nothing_of_it_is_left() {
    let _crowd = one_crowd().await;
    let home = home("");
    let played = home.says("drill run monthly --speed 20 -o json").await;
    played.is(code(Exit::Ok), &["isolate", "clean-up"]);
    let drill: Value = serde_json::from_str(&played.out).unwrap();
    let result = &drill["result"];
    assert_eq!((&result["passed"], &result["left_behind"]), (&true.into(), &Value::Array(Vec::new())), "{drill:#}");
    assert_eq!(result["stages"].as_array().unwrap().len(), 7, "{drill:#}");
    for tier in ["critical", "standard", "platform"] {
        assert!(result["rto"][tier].as_f64().is_some_and(|seconds| seconds > 0.0), "{drill:#}");
    }

    let bundle = PathBuf::from(result["bundle"].as_str().unwrap());
    let text = |name: &str| fs::read_to_string(bundle.join(name)).unwrap();
    assert!(text("evidence.md").contains(drill["id"].as_str().unwrap()), "{}", text("evidence.md"));
    let evidence = text("evidence.md");
    assert!(evidence.contains("not comparable at 20x") && !evidence.contains("| met |"), "{evidence}");
    assert!(evidence.contains("by the client's own ledger"), "{evidence}");
    assert!(text("evidence.html").contains("</html>") && text("junit.xml").contains("failures=\"0\""));
    assert!(text("journal.jsonl").contains("\"mode\":\"drill\""), "its own journal, in its own mode");
    assert_eq!(json_of(&bundle.join("fingerprint.json"))["config_sha256"].as_str().unwrap().len(), 64);
    let traces = json_of(&bundle.join("clean-up.json"));
    assert!(traces.as_array().unwrap().iter().all(|trace| trace["gone"] == true), "{traces:#}");
    let changes = json_of(&bundle.join("changes.json"));
    let promoted = |it: &&Value| it["action"] == "PromoteReadReplica" && it["accepted"] == true;
    assert_eq!(changes.as_array().unwrap().iter().filter(promoted).count(), 1, "{changes:#}");

    home.says("drill schedule").await.is(code(Exit::Ok), &["monthly", "fresh", "untried"]);
    home.says("drill list").await.is(code(Exit::Ok), &["DRILL-", "passed"]);
    home.says("drill show monthly").await.is(code(Exit::Ok), &["promote-database", "RTO critical"]);
    home.says("drill timer quarterly").await.is(code(Exit::Ok), &["OnCalendar=quarterly", "drill run quarterly"]);
    let view = home.client().snapshot().await.unwrap();
    let last = &view.state.history["regional-failover"]["promote-database"];
    assert!(last.mode == Mode::Drill && last.seconds > 0.0, "{last:?}");
    assert_eq!(view.state.incidents, 0, "the drill was no incident of this estate");

    let failed = home.says("drill run quarterly --speed 100 --scenario stale-backups").await;
    failed.is(code(Exit::Failed), &["nothing was seen that has to be failed over", "FAILED"]);
    let view = home.client().snapshot().await.unwrap();
    assert!(!view.state.drills["quarterly"][0].result.passed);
    home.says("drill show quarterly").await.is(code(Exit::Ok), &["FAILED"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_drill_is_played_on_production_or_under_a_name_that_nobody_knows() {
    let home = home("");
    let production = home.dir().join("config.toml").display().to_string();
    let refused = home.says(&format!("drill run monthly --estate {production}")).await;
    refused.is(code(Exit::Refused), &["is a production estate", "environment = \"test\""]);
    home.says("drill run weekly").await.is(code(Exit::Refused), &["monthly, quarterly, annual"]);
    home.says("drill show monthly").await.is(code(Exit::Refused), &["none was played yet"]);
    assert!(home.client().snapshot().await.unwrap().state.drills.is_empty());
    assert!(!home.state().join("drills").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_estate_is_broken_by_its_own_command_and_put_back_by_another() {
    let _crowd = one_crowd().await;
    let home = home("");
    let up = home.dir().join("up");
    fs::write(&up, "").unwrap();
    let looks = |region: &str, command: &str| {
        format!(
            "[[service.probe]]\nkind = \"script.run\"\ncommand = {command}\nevery = \"200ms\"\ntimeout = \"150ms\"\nregion = \"{region}\"\n"
        )
    };
    // Where it is missing, `ls` exits with 2, as a check does that finds something critical.
    let is_up = format!("[\"ls\", {up:?}]");
    let service = format!(
        "[[service]]\nid = \"api\"\ntier = \"critical\"\n{}{}",
        looks("us-east-1", &is_up),
        looks("us-west-2", "[\"true\"]")
    );
    let own = EMPTY
        .split("[[service]]")
        .next()
        .unwrap()
        .replace("name = \"Empty\"", "name = \"Staging\"\nenvironment = \"test\"");
    let regions = &EMPTY[EMPTY.find("[[region]]").unwrap()..];
    fs::write(home.dir().join("staging.toml"), format!("plans_dir = \"plans\"\n{own}\n{service}\n{regions}")).unwrap();
    let drill = format!(
        "[[drill]]\nname = \"staging\"\ncadence = \"monthly\"\nestate = \"staging.toml\"\nfail = [\"rm\", {up:?}]\nrestore = [\"touch\", {up:?}]\n"
    );
    let config = fs::read_to_string(home.dir().join("config.toml")).unwrap();
    fs::write(home.dir().join("config.toml"), config + &drill).unwrap();

    let played = home.says("drill run staging -o json").await;
    let drill: Value = serde_json::from_str(&played.out).unwrap_or_else(|_| panic!("{played:#?}"));
    let passed = |stage: &str| {
        let stages = drill["result"]["stages"].as_array().unwrap();
        stages.iter().find(|it| it[0] == stage).map(|it| it[1] == true)
    };
    for stage in ["isolate", "simulate", "execute", "document", "clean-up"] {
        assert_eq!(passed(stage), Some(true), "{stage}: {drill:#}");
    }
    assert_eq!(passed("verify"), Some(false), "its plan uses no tier as a client would: {drill:#}");
    assert_eq!((played.code, &drill["result"]["estate"]), (Some(code(Exit::Failed)), &"Staging".into()));
    assert!(up.exists(), "it was put back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_plays_an_automatic_drill_that_is_due_once() {
    let _crowd = one_crowd().await;
    let home = home("[[drill]]\nname = \"monthly\"\ncadence = \"monthly\"\nautomatic = true\nspeed = 20\n");
    fs::create_dir_all(home.state()).unwrap();
    let journal = SqliteJournal::open(&home.state()).await.unwrap();
    let long_ago = before(At::now(), Duration::from_secs(40 * DAY));
    let started = Event::EngineStarted { version: "0".into(), anchor: None, drift: Default::default() };
    write_at(&journal, long_ago, vec![(Actor::engine(), started)]).await.unwrap();
    drop(journal);

    let _engine = home.engine().await;
    let client = home.client();
    home.says("drill schedule").await.is(code(Exit::NotReady), &["overdue", "mayday drill run monthly"]);
    let view = eventually("the drill has ended", async || {
        client.snapshot().await.ok().filter(|view| view.state.drills.contains_key("monthly"))
    })
    .await;
    let drill = &view.state.drills["monthly"][0];
    assert!(drill.result.passed, "{drill:#?}");
    home.says("drill schedule").await.is(code(Exit::Ok), &["fresh"]);
    let begun = said(home.mayday("journal export")).await;
    assert_eq!(begun.out.matches("drill-begun").count(), 1, "{}", begun.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_game_ends_in_a_score_card_and_its_seed_plays_it_again() {
    let _crowd = one_crowd().await;
    let home = Home::new(EMPTY);
    let played = home.says("drill game --headless --seed 4 --speed 20 -o json").await;
    let card: Value = serde_json::from_str(&played.out).unwrap_or_else(|_| panic!("{played:#?}"));
    assert_eq!(card["seed"], 4);
    assert_eq!(card["happened"], mayday::lab::hidden::draw(4).scenario.about);
    let card = &card["card"];
    assert!(card["detect"].as_f64().is_some() && card["declare"].as_f64().is_some(), "{card:#}");
    assert_eq!((&card["closed"], card["rto"].as_array().unwrap().len()), (&true.into(), 3), "{card:#}");
    assert!(card["points"].as_u64().unwrap() > 0, "{card:#}");
}
