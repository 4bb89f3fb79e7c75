//! Every scenario of the lab, watched by the real engine: what it sees, what it proposes, and what it refuses.

use std::collections::{BTreeMap, BTreeSet};

use mayday::api::client::Client;
use mayday::api::protocol::ErrorCode;
use mayday::domain::backup::Worth;
use mayday::domain::command::Ask;
use mayday::domain::estate::{DataClass, Subject, Tier};
use mayday::domain::health::Status;
use mayday::domain::ids::{PlanId, StepId};
use mayday::domain::incident::Severity;
use mayday::domain::live::ProbeLive;
use mayday::domain::readiness::{Finds, Ready};
use mayday::domain::recovery::{Member, Role};
use mayday::domain::run::{Mode, StepRun};
use mayday::domain::time::At;
use mayday::domain::view::Snapshot;
use mayday::lab::faults::Condition;
use mayday::lab::scenario::{self, Scenario};
use mayday::lab::{Lab, PRIMARY, Pace, STANDBY, estate};

use tokio::sync::SemaphorePermit;

use crate::common::{eventually, is_steady, one_crowd};
use crate::process::{Engine, Home, said, unhurried};

/// A lab, the engine that watches it, and a scenario.
struct Stage {
    lab: Lab,
    home: Home,
    client: Client,
    scenario: Scenario,
    _engine: Engine,
    _crowd: SemaphorePermit<'static>,
}

impl Stage {
    async fn set(name: &str, pace: f64) -> Self {
        Self::tuned(name, pace, |_| ()).await
    }

    /// With a config that is a little different; and with patience, for a machine that may have much else to do.
    async fn tuned(name: &str, pace: f64, tune: impl FnOnce(&mut toml::Table)) -> Self {
        let scenario = scenario::all().unwrap().into_iter().find(|it| it.name == name).unwrap();
        let crowd = one_crowd().await;
        let lab = Lab::start(Pace(pace)).await.unwrap();
        let mut config: toml::Table = estate::config_for(&lab.endpoints, lab.world.pace).unwrap().parse().unwrap();
        unhurried(&mut config, "2s");
        tune(&mut config);
        let home = Home::new(&config.to_string());
        let engine = home.engine().await;
        let client = home.client();
        let stage = Self { lab, home, client, scenario, _engine: engine, _crowd: crowd };
        let mut well = BTreeSet::new();
        // Not all at the same moment: a busy machine is not what is looked for.
        eventually("everything well", async || {
            let view = stage.view().await;
            let healthy = view.live.probes.iter().filter(|(_, it)| it.status == Status::Healthy);
            well.extend(healthy.map(|(id, _)| id.clone()));
            (well.len() == view.estate.probes.len() && is_steady(&view)).then_some(())
        })
        .await;
        stage
    }

    async fn play(&self) {
        scenario::play(&self.lab.world, &self.scenario).await;
    }

    fn set_fault(&self, place: &str, condition: Condition) {
        self.lab.world.truth().faults.set(place, condition);
    }

    async fn view(&self) -> Snapshot {
        self.client.snapshot().await.unwrap()
    }

    async fn sees(&self, what: &str, holds: impl Fn(&Snapshot) -> bool) -> Snapshot {
        eventually(what, async || {
            let view = self.view().await;
            holds(&view).then_some(view)
        })
        .await
    }

    /// Looks on until every probe has looked so many times, and the condition holds at the end.
    async fn looks_on(&self, times: usize, mut each: impl FnMut(&Snapshot)) {
        let mut looks: BTreeMap<String, (At, usize)> = BTreeMap::new();
        eventually("every probe goes on looking", async || {
            let view = self.view().await;
            each(&view);
            for (id, known) in &view.live.probes {
                let (at, count) = looks.entry(id.to_string()).or_insert((known.at, 0));
                *count += usize::from(std::mem::replace(at, known.at) != known.at);
            }
            (looks.len() == view.estate.probes.len() && looks.values().all(|(_, count)| *count >= times)).then_some(())
        })
        .await;
    }

    /// A run of a plan, in an incident.
    async fn run(&self, plan: &str, unattended: bool) {
        let (title, reason) = (self.scenario.title.clone(), "a test".to_owned());
        self.client.ask(&Ask::Declare { title, severity: Severity::Sev1, drill: false }).await.unwrap();
        let ask = Ask::StartRun { plan: plan.into(), mode: Mode::Live, reason, unattended };
        self.client.ask(&ask).await.unwrap();
    }

    /// The step, once it waits for a human.
    async fn waits(&self, step: &str) -> StepRun {
        let id = StepId::from(step);
        let waits = |view: &Snapshot| view.state.run.as_ref().is_some_and(|run| run.phase(&id).waits_for_human());
        let view = self.sees(&format!("{step} waits for a human"), waits).await;
        view.state.run.unwrap().step(&id).unwrap().clone()
    }

    async fn confirm(&self, step: &str) -> Result<(), ErrorCode> {
        let run = self.view().await.state.run.unwrap();
        let phrase = run.plan.step(&step.into()).unwrap().phrase.clone();
        let ask = Ask::Confirm { run: run.id, step: step.into(), phrase, seen: None };
        self.client.ask(&ask).await.map(drop).map_err(|error| error.code)
    }

    /// The step waits because of this guard, and its gate cannot be answered.
    async fn is_blocked(&self, step: &str, guard: &str, words: &str) {
        let waiting = self.waits(step).await;
        let card = waiting.card.as_ref().unwrap();
        let found = card.blocks().find(|it| it.name == guard);
        let found = found.unwrap_or_else(|| panic!("`{guard}` does not stand against {step}: {card:#?}"));
        assert!(found.detail.contains(words), "{found:?}");
        assert_eq!(self.confirm(step).await, Err(ErrorCode::Refused));
    }

    fn changes(&self, action: &str) -> usize {
        self.lab.world.truth().ledger.iter().filter(|it| it.action == action).count()
    }
}

fn probe<'v>(
    view: &'v Snapshot,
    kind: &str,
    region: Option<&str>,
    subject: impl Fn(&Subject) -> bool,
) -> &'v ProbeLive {
    let fits = view.estate.probes.iter().find(|it| {
        it.kind == kind && it.region.as_ref().map(|region| region.as_str()) == region && subject(&it.subject)
    });
    &view.live.probes[&fits.unwrap().id]
}

/// The probe of a region's front door.
fn door<'v>(view: &'v Snapshot, region: &str) -> &'v ProbeLive {
    probe(view, "http.get", Some(region), |it| matches!(it, Subject::Region(_)))
}

fn of_system<'v>(view: &'v Snapshot, kind: &str, region: Option<&str>) -> &'v ProbeLive {
    probe(view, kind, region, |it| matches!(it, Subject::System(_)))
}

fn members<'v>(view: &'v Snapshot, store: &str) -> &'v [Member] {
    &view.live.surveys[store].survey.members
}

fn writers<'v>(view: &'v Snapshot, store: &str) -> Vec<&'v str> {
    members(view, store).iter().filter(|it| it.role == Role::Writer).map(|it| it.name.as_str()).collect()
}

/// No rule of the plan counts, and nobody has declared anything.
fn is_calm(view: &Snapshot) {
    assert_eq!(view.triggers(view.now), [], "{:#?}", view.live.probes);
    assert!(view.state.incident.is_none());
}

#[tokio::test]
async fn a_zone_that_is_lost_costs_strength_and_is_no_reason_to_leave_the_region() {
    let stage = Stage::set("az-outage", 200.0).await;
    stage.play().await;
    let started = stage.view().await.now;
    let view = stage
        .sees("the database in its other zone", |view| {
            let of = members(view, "database").iter().find(|it| it.name == "gennet-db");
            of.is_some_and(|it| it.status == Status::Healthy && it.detail.contains("us-east-1b + us-east-1a"))
        })
        .await;
    is_calm(&view);
    stage
        .sees("another cache master", |view| {
            let lost = members(view, "cache").iter().any(|it| it.name == "redis-1" && it.status == Status::Down);
            lost && matches!(writers(view, "cache")[..], [writer] if writer != "redis-1")
        })
        .await;
    stage
        .sees("a node that is gone", |view| {
            let nodes = of_system(view, "kubernetes.nodes", Some(PRIMARY));
            nodes.status == Status::Degraded && nodes.reading.detail.contains("2 of 3")
        })
        .await;
    let ready = || {
        let truth = stage.lab.world.truth();
        let cluster = &truth.kubernetes[PRIMARY];
        mayday::lab::kubernetes::SERVICES.iter().map(|service| cluster.ready(service.name)).sum::<usize>()
    };
    eventually("pods are made anew where there is room", async || (ready() == 14).then_some(())).await;
    stage
        .looks_on(4, |view| {
            is_calm(view);
            assert_ne!(door(view, PRIMARY).status, Status::Down);
        })
        .await;
    let served = || stage.lab.world.truth().client.last_success.is_some_and(|at| at > started);
    eventually("clients are served", async || served().then_some(())).await;
}

#[tokio::test]
async fn a_slow_region_is_degraded_and_not_dead() {
    let strict = |config: &mut toml::Table| {
        let door = &mut config["region"].as_array_mut().unwrap()[0]["probe"].as_array_mut().unwrap()[0];
        door.as_table_mut().unwrap().insert("slow".into(), "500ms".into());
    };
    let stage = Stage::tuned("slow-region", 200.0, strict).await;
    stage.play().await;
    stage
        .sees("a slow front door", |view| {
            let door = door(view, PRIMARY);
            door.status == Status::Degraded && door.reading.latency_ms.is_some_and(|took| took >= 600)
        })
        .await;
    stage
        .looks_on(4, |view| {
            is_calm(view);
            assert_ne!(door(view, PRIMARY).status, Status::Down);
        })
        .await;
    let view = stage.view().await;
    assert_eq!(door(&view, STANDBY).status, Status::Healthy);
    assert_eq!(stage.lab.world.truth().client.outages.len(), 0, "who waits is served");
    stage.sees("who writes", |view| writers(view, "cache") == ["redis-1"]).await;
}

#[tokio::test]
async fn a_front_door_that_flaps_is_seen_and_not_followed() {
    // Slow enough for the probes to hit both sides of the flap, whose period is no multiple of theirs: in step they could miss it for ever.
    let stage = Stage::tuned("flapping", 2.3, |config| unhurried(config, "1s")).await;
    let (world, chosen) = (stage.lab.world.clone(), stage.scenario.clone());
    let play = tokio::spawn(async move { scenario::play(&world, &chosen).await });
    let mut down = 0;
    while !play.is_finished() {
        stage
            .looks_on(1, |view| {
                is_calm(view);
                let door = door(view, PRIMARY);
                assert_ne!(door.status, Status::Down);
                down += usize::from(door.reading.status == Status::Down);
            })
            .await;
    }
    assert!(down > 0, "the flap was never seen");
    stage.looks_on(3, is_calm).await;
    assert_eq!(door(&stage.view().await, PRIMARY).status, Status::Healthy);
}

#[tokio::test]
async fn stale_backups_are_shown_with_their_reasons_and_are_no_incident() {
    let stage = Stage::set("stale-backups", 200.0).await;
    let worths = |view: &Snapshot| -> BTreeMap<String, Worth> {
        view.backups(view.now).into_iter().map(|(spec, judged)| (spec.id.to_string(), judged.worth)).collect()
    };
    let before = stage.sees("every backup", |view| worths(view).values().all(|worth| *worth != Worth::Unknown)).await;
    assert!(worths(&before).values().all(|worth| *worth == Worth::Fresh), "{:#?}", worths(&before));
    stage.play().await;
    let expected = [
        ("config", Worth::Stale),
        ("database.daily", Worth::Stale),
        ("etcd", Worth::Stale),
        ("graph.chain", Worth::Stale),
        ("graph.full", Worth::Stale),
        ("volumes", Worth::Stale),
    ];
    let now = |view: &Snapshot| {
        let mut ill = worths(view);
        ill.retain(|_, worth| *worth != Worth::Fresh);
        ill == expected.map(|(id, worth)| (id.to_owned(), worth)).into()
    };
    let view = stage.sees("what is stale", now).await;
    for (spec, judged) in view.backups(view.now) {
        assert_eq!(judged.reasons.is_empty(), judged.worth == Worth::Fresh, "{}: {judged:?}", spec.id);
    }
    let ready = stage.client.assess(Some(&"regional-failover".into())).await.unwrap();
    let warned = |it: &mayday::domain::readiness::Finding| it.name == "backup" && it.finds == Finds::Warn;
    assert!(ready[0].findings.iter().any(warned), "{:#?}", ready[0]);
    stage.looks_on(2, is_calm).await;
    let status = stage.home.says("status -o json").await;
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    let shown = status["backups"].as_array().unwrap();
    assert_eq!(shown.iter().filter(|it| it["worth"] == "stale").count(), 6, "{shown:#?}");
}

#[tokio::test]
async fn lag_is_exposure_and_beyond_the_rpo_nothing_is_promoted() {
    let strict = |config: &mut toml::Table| {
        let rpo = config["objectives"]["rpo"].as_table_mut().unwrap();
        rpo.insert("database".into(), "1s".into());
    };
    let stage = Stage::tuned("replica-lag", 200.0, strict).await;
    stage.play().await;
    let all = |view: &Snapshot| DataClass::ALL.iter().map(|class| view.exposure(*class, view.now)).collect::<Vec<_>>();
    let exposed = |view: &Snapshot| all(view).iter().all(|it| it.is_some_and(|seconds| seconds > 5.0));
    let first = stage.sees("an exposure that grows", exposed).await;
    is_calm(&first);
    let more = |view: &Snapshot| all(view).iter().zip(all(&first)).all(|(now, then)| *now > then);
    let view = stage.sees("an exposure that grows on", more).await;
    for store in ["database", "cache", "objects"] {
        assert!(members(&view, store).iter().all(|it| it.status == Status::Healthy), "{:#?}", members(&view, store));
    }
    let plan = PlanId::from("regional-failover");
    let ready = &stage.client.assess(Some(&plan)).await.unwrap()[0];
    assert_eq!(ready.ready(), Ready::NotReady);
    let loss = ready.findings.iter().find(|it| it.name == "loss" && it.finds == Finds::Fail).unwrap();
    assert!(loss.detail.contains("1s is allowed"), "{loss:?}");
    stage.run(plan.as_str(), false).await;
    stage.waits("fence-primary").await;
    stage.confirm("fence-primary").await.unwrap();
    stage.is_blocked("promote-database", "expected-loss", "the RPO allows 1s").await;
    assert_eq!(stage.changes("PromoteReadReplica"), 0);
}

#[tokio::test]
async fn two_cache_masters_are_shown_and_nothing_is_promoted_until_one_is_gone() {
    let stage = Stage::set("split-brain", 200.0).await;
    stage.play().await;
    let view = stage.sees("two writers", |view| writers(view, "cache").len() == 2).await;
    assert!(writers(&view, "cache").contains(&"redis-1"));
    let survey = &view.live.surveys["cache"].survey;
    assert!(survey.notes.iter().any(|note| note.contains("2 masters take writes")), "{:?}", survey.notes);
    let view = stage
        .sees("a master that is not the only one", |view| {
            of_system(view, "redis.master", None).status == Status::Degraded
        })
        .await;
    let said = &of_system(&view, "redis.master", None).reading.detail;
    assert!(said.contains("redis-1") && said.contains("2 masters take writes"), "{said}");
    is_calm(&view);
    stage.run("redis-failover", false).await;
    stage.is_blocked("failover", "writers", "2 masters take writes").await;
    assert_eq!(stage.changes("SENTINEL FAILOVER"), 0);
    stage.set_fault("redis-1@us-east-1", Condition::Up);
    stage.sees("one writer again", |view| matches!(writers(view, "cache")[..], [writer] if writer != "redis-1")).await;
    let lost = || stage.lab.world.truth().client.lost_by_store.contains_key("redis");
    eventually("what only the old master took is gone", async || lost().then_some(())).await;
}

#[tokio::test]
async fn without_the_control_plane_clients_are_moved_by_the_object() {
    let stage = Stage::set("control-plane-down", 200.0).await;
    // In peace the health checks were looked at, and that is remembered.
    stage.client.assess(Some(&PlanId::from("regional-failover"))).await.unwrap();
    stage.play().await;
    let view = stage.sees("a rule of the plan", |view| !view.triggers(view.now).is_empty()).await;
    assert_eq!(view.triggers(view.now)[0].plan, Some("regional-failover".into()));
    stage.run("regional-failover", true).await;
    let over = |view: &Snapshot| view.state.run.as_ref().is_some_and(|run| !run.is_open());
    let view = stage.sees("the end of the run", over).await;
    let card = view.state.run.as_ref().unwrap().step(&"move-dns".into()).unwrap().card.clone().unwrap();
    assert!(card.summary.starts_with("by object: write s3://gennet-switch/leave-us-east-1"), "{}", card.summary);
    let said = |name: &str| card.guards.iter().find(|it| it.name == name).unwrap().detail.clone();
    assert!(said("way").contains("by object; if it fails: arc, records"), "{}", said("way"));
    let check = said("object-check");
    assert!(check.contains("is inverted and looks at") && check.contains("does not answer"), "{check}");
    let incident = view.state.incident.unwrap();
    assert!(Tier::ALL.iter().all(|tier| incident.clocks.t5.contains_key(tier)), "{:?}", incident.clocks);
    assert_eq!((stage.changes("ChangeResourceRecordSets"), stage.changes("PutObject")), (0, 1));
}

#[tokio::test]
async fn a_release_that_the_standby_has_not_got_is_found_before_it_is_needed() {
    let stage = Stage::set("stale-backups", 200.0).await;
    let plan = PlanId::from("regional-failover");
    let parity = async |finds: Finds| {
        let found = stage.client.assess(Some(&plan)).await.unwrap().remove(0).findings;
        found.into_iter().find(|it| it.name == "parity" && it.finds == finds && it.detail.contains("image"))
    };
    assert_eq!(parity(Finds::Warn).await, None);
    stage.set_fault("kubernetes@us-west-2", Condition::Drift);
    let found = eventually("the older release is found", async || parity(Finds::Warn).await).await;
    assert!(found.detail.contains("1.42.0 in us-east-1") && found.detail.contains(STANDBY), "{found:?}");
    stage.looks_on(3, is_calm).await;
}

#[tokio::test]
async fn the_demo_lists_every_scenario_and_tells_how_things_stand_when_nothing_has_to_be_failed_over() {
    let _crowd = one_crowd().await;
    let home = Home::new(crate::process::EMPTY);
    let listed = said(home.mayday("demo --list")).await;
    for scenario in scenario::all().unwrap() {
        listed.is(0, &[scenario.name]);
    }
    let told = said(home.mayday("demo --headless --scenario stale-backups --speed 50")).await;
    told.is(
        0,
        &["Backups stop", "nothing has to be failed over", "No incident is open.", "the newest attempt is partial"],
    );
}
