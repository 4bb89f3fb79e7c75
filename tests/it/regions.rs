//! Three regions: one serves, two can be fled to. Which one is chosen at the run, and everything after it knows where clients went.

use mayday::domain::command::Ask;
use mayday::domain::estate::DataClass;
use mayday::domain::health::Status;
use mayday::domain::incident::Severity;
use mayday::domain::kinds::StepRole;
use mayday::domain::recovery::Loss;
use mayday::domain::run::{Mode, Outcome};
use mayday::domain::target;
use mayday::domain::verdict::{RpoVerdict, rpo};
use mayday::domain::view::Snapshot;
use mayday::domain::wayback::FAILBACK;
use mayday::lab::faults::Condition;
use mayday::lab::{Extent, Lab, PRIMARY, Pace, STANDBY, THIRD, scenario};

use crate::common::{eventually, is_ready, one_crowd};
use crate::process::Home;

const SPEED: Pace = Pace(60.0);

fn order(view: &Snapshot) -> Vec<String> {
    target::table(view, "regional-failover", view.now).into_iter().map(|it| it.region.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_standbys_the_one_that_can_serve_is_gone_to_and_come_back_from() {
    let _crowd = one_crowd().await;
    let lab = Lab::start_with(SPEED, Extent::Three).await.unwrap();
    let home = Home::patient(&lab);
    let _engine = home.engine().await;
    let client = home.client();
    let seen = async |what: &str, holds: &dyn Fn(&Snapshot) -> bool| -> Snapshot {
        eventually(what, async || client.snapshot().await.ok().filter(|view| holds(view))).await
    };
    seen("the lab is healthy", &is_ready).await;
    let listed = home.says("plan list").await;
    listed.is(0, &["regional-failover@us-west-2", "regional-failover@eu-west-1", "the best first", "oldest copy"]);
    // A failover of the cache takes no target: while the nearer replica is there, Sentinel would pick that one, and the plan steers it.
    let ready = home.says("ready regional-failover").await;
    ready.is(0, &["regional-failover@us-west-2  ready", "regional-failover@eu-west-1  ready"]);
    home.says("plan show regional-failover@eu-west-1").await.is(0, &["steer-cache"]);
    assert!(!ready.out.contains("parity"), "a copy of one region is held against that of another: {}", ready.out);
    home.says("ready --without us-east-1").await.is(0, &["regional-failover@eu-west-1 without us-east-1"]);
    seen("the one whose plan is ready comes first", &|view| order(view) == [STANDBY, THIRD]).await;

    let scenario = scenario::all().unwrap().into_iter().find(|it| it.name == "three-regions").unwrap();
    assert_eq!(scenario.extent, Extent::Three);
    scenario::play(&lab.world, &scenario).await;
    let view = seen("a rule of the plan, and who cannot serve", &|view: &Snapshot| {
        let shut = view.region(&STANDBY.into(), view.now).status() == Status::Down;
        shut && !view.triggers(view.now).is_empty()
    })
    .await;
    assert_eq!(order(&view), [THIRD, STANDBY]);
    assert_eq!(view.triggers(view.now)[0].plan, Some("regional-failover@eu-west-1".into()));

    client.ask(&Ask::Declare { title: "dark".into(), severity: Severity::Sev1, drill: false }).await.unwrap();
    let unsaid = home.says("failover run regional-failover --yes --reason test").await;
    unsaid.is(5, &["--to us-west-2 or --to eu-west-1", "oldest copy"]);
    home.says("failover run regional-failover --to mars --yes --reason test").await.is(5, &["does not lead to mars"]);
    home.says("failover run regional-failover --to eu-west-1 --yes --reason test").await.is(0, &[]);

    let view = client.snapshot().await.unwrap();
    let run = view.state.run.as_ref().unwrap();
    assert_eq!((run.plan.id.as_str(), run.outcome), ("regional-failover@eu-west-1", Some(Outcome::Completed)));
    assert_eq!(view.state.serving(&view.estate).as_str(), THIRD);
    let incident = view.state.incident.as_ref().unwrap();
    let lost = rpo(&view.estate, incident, Some(run));
    // At this pace the application writes to the cache again before its loss is measured, and then it is only estimated.
    let known = |it: &RpoVerdict| match it.loss {
        Loss::Measured { .. } => true,
        Loss::Estimated { .. } => it.class == DataClass::ApplicationState,
        _ => false,
    };
    assert!(lost.iter().all(|it| it.met == Some(true) && known(it)), "{lost:?}");
    {
        let truth = lab.world.truth();
        let promoted = |name: &str| truth.rds.instance(name).is_some_and(|it| it.source.is_none());
        assert!(promoted("gennet-db-ireland") && !promoted("gennet-db-replica"), "one copy alone is promoted");
        assert_eq!(truth.client.served_by, Some(THIRD));
    }
    let way = run.step(&"move-dns".into()).unwrap().begun.as_ref().unwrap().receipt["way"].clone();
    assert_eq!(way, "arc");

    // The way back is the mirror image of the way that was gone, and of no other.
    lab.world.truth().faults.set(&format!("*@{PRIMARY}"), Condition::Up);
    home.says("wayback plan").await.is(0, &["caught-up-database-ireland", "Send clients to us-east-1"]);
    let made = mayday::domain::wayback::plan(&view.estate, &view.state, &view.plans, &FAILBACK.into()).unwrap();
    let promoted =
        made.steps.iter().find(|it| it.role == StepRole::Promotes && it.system.as_str() == "database-ireland");
    assert_eq!(promoted.unwrap().region, Some(PRIMARY.into()));
    let scaled = made.steps.iter().find(|it| it.role == StepRole::Capacity).unwrap();
    assert_eq!(scaled.system.as_str(), "k8s-primary");
}

#[tokio::test]
async fn a_rehearsal_towards_one_region_changes_nothing_in_either() {
    let _crowd = one_crowd().await;
    let lab = Lab::start_with(SPEED, Extent::Three).await.unwrap();
    let home = Home::patient(&lab);
    let _engine = home.engine().await;
    let client = home.client();
    eventually("the lab is healthy", async || client.snapshot().await.ok().filter(is_ready)).await;
    let plan = "planned-switchover@eu-west-1".into();
    let ask = Ask::StartRun { plan, mode: Mode::Rehearsal, reason: String::new(), unattended: true };
    client.ask(&ask).await.unwrap();
    let view = eventually("its end", async || {
        client.snapshot().await.ok().filter(|view| view.state.run.as_ref().is_some_and(|run| !run.is_open()))
    })
    .await;
    let steps = &view.state.run.as_ref().unwrap().plan.steps;
    let systems: Vec<&str> = steps.iter().map(|step| step.system.as_str()).collect();
    assert!(systems.contains(&"database-ireland") && systems.contains(&"k8s-ireland"), "{systems:?}");
    assert!(!systems.contains(&"database") && !systems.contains(&"k8s-standby"), "{systems:?}");
    assert!(lab.world.truth().ledger.is_empty());
}

const WAVES: &str = r#"
title = "The cache first, then the database"
about = "Two waves, with a look between them."

[[step]]
id = "cache"
title = "The cache's wave"
kind = "plan.run"
plan = "redis-failover"
pause = "1s"
gate = "confirm"
timeout = "5m"

[[step]]
id = "database"
title = "The database's wave"
kind = "plan.run"
plan = "database-failover"
needs = ["cache"]
gate = "confirm"
timeout = "5m"

[[step]]
id = "record"
title = "Write the record"
kind = "mayday.record"
needs = ["database"]
timeout = "1m"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_plan_calls_plans_in_waves_with_a_verdict_between() {
    let _crowd = one_crowd().await;
    let lab = Lab::start(SPEED).await.unwrap();
    let home = Home::patient(&lab);
    let text = std::fs::read_to_string(home.dir().join("config.toml")).unwrap();
    std::fs::write(home.dir().join("config.toml"), format!("plans_dir = \"plans\"\n{text}")).unwrap();
    std::fs::create_dir(home.dir().join("plans")).unwrap();
    std::fs::write(home.dir().join("plans/waves.toml"), WAVES).unwrap();
    let _engine = home.engine().await;
    let client = home.client();
    eventually("the lab is healthy", async || client.snapshot().await.ok().filter(is_ready)).await;
    let listed = home.says("plan show waves").await;
    listed.is(0, &["cache:failover", "database:writable", "plan.run"]);

    client.ask(&Ask::Declare { title: "waves".into(), severity: Severity::Sev3, drill: false }).await.unwrap();
    let ask = Ask::StartRun { plan: "waves".into(), mode: Mode::Live, reason: "test".into(), unattended: false };
    client.ask(&ask).await.unwrap();
    let gated = async |step: &str| -> Snapshot {
        eventually(&format!("the gate of {step}"), async || {
            let view = client.snapshot().await.ok()?;
            let run = view.state.run.as_ref()?;
            (run.phase(&step.into()) == mayday::domain::run::StepPhase::Gated).then_some(view)
        })
        .await
    };
    let confirm = async |step: &str| {
        let view = gated(step).await;
        let run = view.state.run.unwrap();
        let phrase = run.plan.step(&step.into()).unwrap().phrase.clone();
        client.ask(&Ask::Confirm { run: run.id, step: step.into(), phrase, seen: None }).await.unwrap();
    };
    confirm("cache:failover").await;
    let view = gated("cache").await;
    let run = view.state.run.as_ref().unwrap();
    let card = run.step(&"cache".into()).unwrap().card.clone().unwrap();
    let said =
        |name: &str| card.guards.iter().find(|it| it.name == name).map(|it| it.detail.clone()).unwrap_or_default();
    assert!(said("steps").contains("of") && said("served").contains("are well"), "{card:?}");
    assert!(card.summary.contains("give the verdict on redis-failover"), "{}", card.summary);
    assert!(run.plan.step(&"cache:record".into()).is_none(), "one run has one record");
    assert!(
        !view.state.incident.as_ref().unwrap().clocks.t5.contains_key(&mayday::domain::estate::Tier::Critical),
        "the other wave's client was not served yet"
    );
    assert_eq!(run.phase(&"database:failover".into()), mayday::domain::run::StepPhase::Waiting, "the pause holds");
    confirm("cache").await;
    confirm("database:failover").await;
    confirm("database").await;
    let view = eventually("the end", async || {
        client.snapshot().await.ok().filter(|view| view.state.run.as_ref().is_some_and(|run| !run.is_open()))
    })
    .await;
    let run = view.state.run.as_ref().unwrap();
    assert_eq!(run.outcome, Some(Outcome::Completed));
    let word = &run.step(&"database".into()).unwrap().detail;
    assert!(word.contains("database-failover has done its part") && word.contains("RTO critical met"), "{word}");
    assert!(view.state.incident.unwrap().clocks.t5.contains_key(&mayday::domain::estate::Tier::Critical));
}
