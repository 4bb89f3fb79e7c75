//! What the platform does to a command line when it is down, refuses, throttles or hangs: an unattended run of one step ends by itself,
//! says which system it was and what to do, has changed nothing, and leaves the documented exit code.

use futures::{StreamExt, stream};
use mayday::cli::exit::Exit;
use mayday::lab::faults::Condition;
use mayday::lab::{Lab, Pace, estate};

use crate::common::all_alone;
use crate::process::Home;

/// Runs at once: most of their time is waiting.
const AT_ONCE: usize = 2;

/// A step of each system that changes something, and the places that it needs.
const STEPS: [(&str, &str, &[&str]); 5] = [
    ("dns-zone", "kind = \"route53.shift\"\nrecord = \"{record}\"", &["route53"]),
    ("database", "kind = \"rds.promote-replica\"\nclass = \"database\"", &["rds@us-west-2"]),
    ("k8s-standby", "kind = \"kubernetes.scale\"", &["kubernetes@us-west-2"]),
    (
        "cache",
        "kind = \"redis.failover\"\nclass = \"application-state\"",
        &["redis-sentinel@us-east-1", "redis-sentinel@us-west-2"],
    ),
    ("graph", "kind = \"neo4j.cordon\"\nserver = \"neo4j-1\"", &["neo4j@us-east-1", "neo4j@us-west-2"]),
];

/// What is wrong, and what an engineer is told to look at: any of these words.
const CONDITIONS: [(Condition, &[&str]); 4] = [
    (Condition::Refused, &["reaches", "network"]),
    (Condition::Denied, &["log in", "password"]),
    (Condition::Throttled, &["wait a little"]),
    (Condition::Dark, &["reaches", "network"]),
];

async fn ends_well((system, step, places): (&str, &str, &[&str]), (condition, advice): (Condition, &[&str])) {
    let lab = Lab::start(Pace(200.0)).await.unwrap();
    let config = estate::config_for(&lab.endpoints, lab.world.pace).unwrap();
    let home = Home::new(&format!("plans_dir = \"plans\"\n{config}"));
    let plan = format!(
        "title = \"One step\"\nabout = \"A test\"\n[[step]]\nid = \"one\"\ntitle = \"One\"\nsystem = \"{system}\"\n\
         gate = \"typed\"\nyes = true\ntimeout = \"1m\"\nregion = \"{{standby}}\"\n{step}\n"
    );
    std::fs::create_dir(home.dir().join("plans")).unwrap();
    std::fs::write(home.dir().join("plans/one.toml"), plan).unwrap();
    for place in places {
        lab.world.truth().faults.set(place, condition);
    }
    let _engine = home.engine().await;
    let said = home.says("failover run one --yes --reason a-test").await;
    said.is(i32::from(Exit::WaitsForHuman.code()), &["one is failed", "mayday step retry"]);
    let why = said.err.lines().find(|line| line.contains("one is failed")).unwrap();
    assert!(why.contains(system), "no system: {why}");
    let (what, next) = why.split_once(" → ").unwrap_or_else(|| panic!("no advice: {why}"));
    assert!(
        advice.iter().any(|word| next.contains(word)),
        "advice for another trouble than {condition:?}: {what} → {next}"
    );
    let truth = lab.world.truth();
    let changes: Vec<_> = truth.ledger.iter().filter(|it| it.accepted).collect();
    assert!(changes.is_empty(), "{changes:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_against_a_broken_platform_ends_waits_and_says_why() {
    let _alone = all_alone().await;
    let all = STEPS.into_iter().flat_map(|step| CONDITIONS.map(|condition| ends_well(step, condition)));
    stream::iter(all).buffer_unordered(AT_ONCE).collect::<()>().await;
}
