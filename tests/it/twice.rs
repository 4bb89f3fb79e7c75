//! Whatever an engine has begun has one effect, however often engines die and others take it up: scripts are applied and reverted with a
//! crash at every append, a script outlives its engine and is waited for, and what every kind of step takes back, it takes back once.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use mayday::api::client::Client;
use mayday::domain::command::Ask;
use mayday::domain::event::Event;
use mayday::domain::ids::StepId;
use mayday::domain::incident::Severity;
use mayday::domain::kinds::Undo;
use mayday::domain::run::{Mode, Outcome, Run, StepPhase};
use mayday::domain::system::{Fault, Observed, Step};
use mayday::lab::kubernetes::SERVICES;
use mayday::lab::{Lab, PRIMARY, Pace, STANDBY};
use mayday::systems::FACTORIES;
use serde_json::{Map, Value, json};

use crate::common::{Log, all_alone, appends, begun, connect, eventually, step};
use crate::process::{EMPTY, Home};

const AT_ONCE: usize = 4;
const STEP: &str = "mark";
const PHRASE: &str = "revert twice";
/// They write what is so already when they are taken back twice; the tests of their drivers do that.
const ELSEWHERE: [&str; 3] = ["accelerator.dial", "arc.routing-control", "route53.standby-object"];

/// What the script does between its line and its mark.
#[derive(Clone, Copy)]
enum Work {
    Nothing,
    /// It does not end before it may go.
    Waits,
    /// So does what it left in a session of its own, having killed the engine, the keeper and itself.
    Escapes,
}

/// A home with a plan of one script, which leaves a line for every time that it runs and every time that it is taken back.
struct Bed {
    home: Home,
    observable: bool,
}

impl Bed {
    fn new(observable: bool, work: Work) -> Self {
        let home = Home::new(&format!("plans_dir = \"plans\"\n{EMPTY}"));
        let bed = Self { home, observable };
        let at = |name: &str| bed.path(name).display().to_string();
        let (applied, reverted, mark) = (at("applied"), at("reverted"), at("mark"));
        let waits = |then: &str| format!("until test -e {}; do sleep 0.05; done; {then}", at("go"));
        let does = |then: String| match work {
            Work::Nothing => then,
            Work::Waits => waits(&then),
            Work::Escapes => format!(
                "e=$(cut -d' ' -f4 /proc/$PPID/stat); setsid sh -c \"kill -9 $e $PPID $$; {}\" & wait",
                waits(&then)
            ),
        };
        let sh = |script: String| format!("[\"sh\", \"-c\", {}]", json!(script));
        let observe = format!("observe = {}", sh(format!("test -e {mark}")));
        let plan = format!(
            "title = \"Twice\"\nabout = \"A mark.\"\n[[step]]\nid = \"{STEP}\"\ntitle = \"Leave a mark\"\n\
             kind = \"script.run-reversible\"\ngate = \"confirm\"\ntimeout = \"5m\"\ncommand = {}\nrevert = {}\n{}\n",
            sh(format!("echo line >> {applied}; {}", does(format!("touch {mark}")))),
            sh(format!("echo line >> {reverted}; {}", does(format!("rm {mark}")))),
            if observable { observe.as_str() } else { "" },
        );
        fs::create_dir(bed.home.dir().join("plans")).unwrap();
        fs::write(bed.home.dir().join("plans/twice.toml"), plan).unwrap();
        bed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.dir().join(name)
    }

    fn lines(&self, name: &str) -> usize {
        fs::read_to_string(self.path(name)).unwrap_or_default().lines().count()
    }

    async fn declared(&self) -> Client {
        let client = self.home.client();
        eventually("the engine answers", async || client.snapshot().await.ok()).await;
        let declare = Ask::Declare { title: "twice".into(), severity: Severity::Sev3, drill: false };
        client.ask(&declare).await.unwrap();
        client
    }

    /// What somebody does who has looked at the marks.
    async fn decide(&self, client: &Client, run: &Run) {
        let (run_id, step, reason) = (run.id.clone(), STEP.into(), "I looked".to_owned());
        let known = &run.steps[&StepId::from(STEP)];
        assert!(!self.observable, "it can be observed, and yet somebody is asked: {known:#?}");
        let ask = match known.phase {
            StepPhase::Asking if self.lines("applied") == 0 => Ask::Retry { run: run_id, step, reason },
            StepPhase::Asking => Ask::MarkDone { run: run_id, step, reason },
            StepPhase::Failed if self.lines("reverted") == 0 => back(run),
            StepPhase::Failed => Ask::Skip { run: run_id, step, reason },
            StepPhase::Skipped => Ask::Abandon { run: run_id, reason },
            other => panic!("{other}: {known:#?}"),
        };
        // An engine that dies over it is asked again.
        let _ = client.ask(&ask).await;
    }
}

fn start() -> Ask {
    Ask::StartRun { plan: "twice".into(), mode: Mode::Live, reason: "test".into(), unattended: true }
}

fn back(run: &Run) -> Ask {
    Ask::RevertRun { run: run.id.clone(), phrase: PHRASE.into(), reason: "test".into() }
}

/// Applies and reverts the script, with engines that die where `crash` says. Says whether one did.
async fn play(observable: bool, crash: Option<&str>) -> bool {
    let what = format!("observable: {observable}, crash: {crash:?}");
    let bed = Bed::new(observable, Work::Nothing);
    let mut engine = bed.home.doomed_engine(crash);
    let client = bed.declared().await;
    // The engine may die while it answers; what it had journalled by then goes on.
    let _ = client.ask(&start()).await;
    let mut crashed = false;
    let by_hand = eventually(&what, async || {
        if engine.has_ended() {
            crashed = true;
            engine = bed.home.doomed_engine(None);
        }
        let view = client.snapshot().await.ok()?;
        let Some(run) = &view.state.run else {
            let _ = client.ask(&start()).await;
            return None;
        };
        let by_hand = run.phase(&StepId::from(STEP)) == StepPhase::ByHand;
        match run.outcome {
            Some(Outcome::Completed) if !by_hand => drop(client.ask(&back(run)).await),
            Some(_) => return Some(by_hand),
            None if run.waits_for_human(false) => bed.decide(&client, run).await,
            None => {}
        }
        None
    })
    .await;
    // What was done by hand is taken back by hand.
    assert_eq!((bed.lines("applied"), bed.lines("reverted")), (1, usize::from(!by_hand)), "{what}");
    assert!(!observable || !by_hand, "{what}");
    crashed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_script_has_one_effect_when_its_engine_dies_at_every_third_append() {
    dying_at_every(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes minutes; .ci/run plays it"]
async fn a_script_has_one_effect_whenever_its_engine_dies() {
    dying_at_every(1).await;
}

async fn dying_at_every(nth: usize) {
    let _alone = all_alone().await;
    for observable in [true, false] {
        assert!(!play(observable, None).await);
        let mut last = 0;
        for (when, numbers) in appends(nth) {
            let trials = stream::iter(numbers)
                .map(|number| async move { (number, play(observable, Some(&format!("{when}:{number}"))).await) });
            let mut trials = Box::pin(trials.buffered(AT_ONCE));
            while let Some((number, crashed)) = trials.next().await {
                // Past the last append there is nothing left to die at.
                if !crashed {
                    break;
                }
                last = last.max(number);
            }
        }
        // To begin, to apply, the process, its end, its proof; to revert, the process, its end.
        assert!(last >= 7, "died at append {last} at last");
    }
}

/// An engine dies in the middle of a script, and another one comes.
async fn killed_in_the_middle(observable: bool) -> (Bed, Client, crate::process::Engine) {
    let bed = Bed::new(observable, Work::Waits);
    let mut engine = bed.home.engine().await;
    let client = bed.declared().await;
    client.ask(&start()).await.unwrap();
    eventually("the script works", async || (bed.lines("applied") == 1).then_some(())).await;
    engine.kill().await;
    let engine = bed.home.engine().await;
    (bed, client, engine)
}

async fn phase(client: &Client, wanted: StepPhase) -> Run {
    eventually(&format!("the step is {wanted}"), async || {
        let run = client.snapshot().await.ok()?.state.run?;
        (run.phase(&StepId::from(STEP)) == wanted).then_some(run)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_outlives_its_engine_is_waited_for_and_no_other_is_begun() {
    let _alone = all_alone().await;
    for (observable, then) in [(true, StepPhase::Done), (false, StepPhase::Asking)] {
        let (bed, client, _engine) = killed_in_the_middle(observable).await;
        let watched = phase(&client, StepPhase::Observing).await;
        let known = watched.steps[&StepId::from(STEP)].begun.clone().unwrap().process.unwrap();
        let said = |record: &mayday::domain::event::Record| matches!(&record.event, Event::StepRunsAs { process, .. } if *process == known);
        assert!(client.records(0, 10_000).await.unwrap().iter().any(said), "{known:?}");
        // As long as it lives nobody is asked, and nothing is begun.
        let stat = format!("/proc/{}/stat", known.pid);
        assert!(fs::exists(&stat).unwrap(), "{stat}");
        fs::write(bed.path("go"), "").unwrap();
        phase(&client, then).await;
        eventually("the script has ended", async || {
            let stat = fs::read_to_string(&stat).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        })
        .await;
        assert_eq!(bed.lines("applied"), 1, "observable: {observable}");
        assert!(bed.path("mark").exists(), "it came to its end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_kills_all_who_watch_it_is_not_begun_again_while_its_work_goes_on() {
    let _alone = all_alone().await;
    let bed = Bed::new(true, Work::Escapes);
    let mut engine = bed.home.engine().await;
    let client = bed.declared().await;
    client.ask(&start()).await.unwrap();
    eventually("the engine is killed by the script", async || engine.has_ended().then_some(())).await;
    let _engine = bed.home.engine().await;
    let asking = phase(&client, StepPhase::Asking).await;
    assert_eq!(bed.lines("applied"), 1, "{asking:#?}");
    fs::write(bed.path("go"), "").unwrap();
    eventually("what was left comes to its end", async || bed.path("mark").exists().then_some(())).await;
    assert_eq!(bed.lines("applied"), 1);
}

#[tokio::test]
async fn a_child_in_a_session_of_its_own_is_ended_with_its_script() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    // Its parent is gone at once, and its session is its own.
    let script =
        format!("(setsid sh -c 'echo $$ > {0}.draft; mv {0}.draft {0}; exec sleep 300' &) ; sleep 300", file.display());
    let system = connect("script", None, json!({}));
    let step = step(&*system, "script.run", STANDBY, json!({ "command": ["sh", "-c", script] }));
    let log = Log::default();
    let mut applying = Box::pin(step.apply(&Value::Null, &log));
    let escaped = eventually("it runs", async || {
        let _ = tokio::time::timeout(Duration::from_millis(50), &mut applying).await;
        fs::read_to_string(&file).ok()
    })
    .await;
    drop(applying);
    let stat = format!("/proc/{}/stat", escaped.trim());
    eventually("it is ended", async || {
        let stat = fs::read_to_string(&stat).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    })
    .await;
}

/// Every change that was accepted; what a verification writes to see that it can is none.
fn changes(lab: &Lab) -> usize {
    lab.world.truth().ledger.iter().filter(|it| it.accepted && it.target != "mayday:canary").count()
}

/// What could not be asked for now is asked for again.
async fn patient<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, Fault>) -> T {
    eventually(what, async || match ask().await {
        Ok(it) => Some(it),
        Err(fault) => {
            println!("{what}: {fault}");
            None
        }
    })
    .await
}

/// Applies a step, takes it back, and takes it back once more, as an engine does that died in between.
async fn taken_back_once(lab: &Lab, kind: &str, step: Arc<dyn Step>) {
    let log = Log::default();
    let preview = patient(kind, async || step.preview().await).await;
    let receipt = step.apply(&preview.pre_image, &log).await.unwrap_or_else(|fault| panic!("{kind}: {fault}"));
    let begun = begun(preview.pre_image, receipt);
    let seen = async |wanted: fn(&Observed) -> bool| {
        eventually(kind, async || step.observe(Some(&begun)).await.ok().filter(wanted).map(drop)).await;
    };
    seen(|seen| matches!(seen, Observed::Done { .. })).await;
    let before = changes(lab);
    step.revert(&begun, &log).await.unwrap_or_else(|fault| panic!("{kind}: {fault}"));
    // Before it is to be seen, too.
    step.revert(&begun, &log).await.unwrap_or_else(|fault| panic!("{kind}, at once again: {fault}"));
    seen(|seen| !matches!(seen, Observed::Done { .. } | Observed::InProgress { .. })).await;
    let after = changes(lab);
    assert!(after > before, "{kind}: nothing was taken back");
    step.revert(&begun, &log).await.unwrap_or_else(|fault| panic!("{kind}, again: {fault}"));
    assert_eq!(changes(lab), after, "{kind}: taken back twice");
}

/// Every step of the lab's systems that can be taken back, as it could be applied.
fn revertible(lab: &Lab) -> Vec<(&'static str, Arc<dyn Step>)> {
    [in_aws(lab), in_clusters(lab)].into_iter().flatten().collect()
}

fn in_aws(lab: &Lab) -> Vec<(&'static str, Arc<dyn Step>)> {
    let at = |name: &str| lab.endpoints[name].clone();
    let aws = |mut given: Value| {
        given["access_key_id"] = "LABKEY".into();
        given["secret_access_key"] = json!({ "command": ["printf", "labsecret"] });
        given
    };
    let zone = aws(json!({ "hosted_zone": "Z0GENNET", "endpoint_url": at("route53"), "name_servers": [at("dns")] }));
    let rds = aws(json!({
        "instance": mayday::lab::rds::WRITER,
        "replica": mayday::lab::rds::REPLICA,
        "address": at("rds.endpoint.gennet-db"),
        "replica_address": at("rds.endpoint.gennet-db-replica"),
        "endpoint_url": at("rds.us-east-1"),
        "replica_endpoint_url": at("rds.us-west-2"),
        "cloudwatch_endpoint_url": at("cloudwatch.us-west-2"),
    }));
    let s3 = aws(json!({
        "primary_bucket": "gennet-data",
        "standby_bucket": "gennet-data-dr",
        "primary_endpoint_url": at("s3.us-east-1"),
        "standby_endpoint_url": at("s3.us-west-2"),
    }));
    let (zone, rds, s3) = (connect("route53", None, zone), connect("rds", None, rds), connect("s3", None, s3));
    let app = "app.gennet.example";
    let forced = json!({ "record": app, "identifier": PRIMARY });
    vec![
        ("rds.backups", step(&*rds, "rds.backups", PRIMARY, json!({ "days": 30 }))),
        ("rds.set-aside", step(&*rds, "rds.set-aside", PRIMARY, json!({}))),
        ("route53.force-health-check", step(&*zone, "route53.force-health-check", STANDBY, forced)),
        ("route53.shift", step(&*zone, "route53.shift", STANDBY, json!({ "record": app }))),
        ("s3.replicate", step(&*s3, "s3.replicate", STANDBY, json!({}))),
    ]
}

fn in_clusters(lab: &Lab) -> Vec<(&'static str, Arc<dyn Step>)> {
    let at = |name: &str| lab.endpoints[name].clone();
    let full: Map<String, Value> = SERVICES.iter().map(|it| (it.name.to_owned(), it.full.into())).collect();
    let cluster = |region: &str| {
        let server = at(&format!("kubernetes.{region}"));
        let token = json!({ "command": ["printf", "labtoken"] });
        connect(
            "kubernetes",
            None,
            json!({ "server": server, "token": token, "namespace": "gennet", "replicas": full }),
        )
    };
    let neo4j: Map<String, Value> = ["neo4j-1", "neo4j-2", "neo4j-3"]
        .iter()
        .map(|it| ((*it).to_owned(), at(&format!("neo4j.{it}")).into()))
        .collect();
    let neo4j = json!({
        "servers": neo4j,
        "regions": { "neo4j-1": PRIMARY, "neo4j-2": STANDBY, "neo4j-3": STANDBY },
        "password": { "command": ["printf", "labpassword"] },
    });
    let nodes = ["redis-1", "redis-2", "redis-3", "sentinel-1", "sentinel-2", "sentinel-3"];
    let redis = json!({
        "master_name": "gennet-cache",
        "sentinels": [at("redis.sentinel-1"), at("redis.sentinel-2"), at("redis.sentinel-3")],
        "nodes": nodes.iter().map(|it| ((*it).to_owned(), at(&format!("redis.{it}")).into())).collect::<Map<_, _>>(),
        "regions": {
            "redis-1": PRIMARY, "redis-2": PRIMARY, "redis-3": STANDBY,
            "sentinel-1": PRIMARY, "sentinel-2": STANDBY, "sentinel-3": STANDBY,
        },
        "heartbeat_key": "heartbeat",
    });
    let (neo4j, redis) = (connect("neo4j", None, neo4j), connect("redis", None, redis));
    vec![
        ("kubernetes.scale", step(&*cluster(STANDBY), "kubernetes.scale", STANDBY, json!({}))),
        ("kubernetes.standby", step(&*cluster(STANDBY), "kubernetes.standby", STANDBY, json!({ "each": 2 }))),
        ("kubernetes.fence", step(&*cluster(PRIMARY), "kubernetes.fence", PRIMARY, json!({}))),
        ("neo4j.cordon", step(&*neo4j, "neo4j.cordon", STANDBY, json!({ "server": "neo4j-1" }))),
        ("neo4j.start-databases", step(&*neo4j, "neo4j.start-databases", STANDBY, json!({}))),
        ("redis.fence", step(&*redis, "redis.fence", STANDBY, json!({ "region": STANDBY }))),
        ("redis.steer", step(&*redis, "redis.steer", STANDBY, json!({ "region": STANDBY }))),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_every_kind_takes_back_it_takes_back_once() {
    let _alone = all_alone().await;
    let lab = Lab::start(Pace(200.0)).await.unwrap();
    let steps = revertible(&lab);
    let tried: BTreeSet<&str> =
        steps.iter().map(|(kind, _)| *kind).chain(["script.run-reversible"]).chain(ELSEWHERE).collect();
    let kinds = FACTORIES.iter().flat_map(|it| it.kind().steps).filter(|it| it.undo == Undo::Revert);
    assert_eq!(tried, kinds.map(|it| it.name).collect(), "one that is not tried may do it twice");
    for (kind, step) in steps {
        prepare(&lab, kind).await;
        taken_back_once(&lab, kind, step).await;
    }
}

/// Makes that there is something to do for a step.
async fn prepare(lab: &Lab, kind: &str) {
    if kind != "neo4j.start-databases" {
        return;
    }
    // Only the leader takes it.
    eventually("a database is stopped", async || {
        for name in ["neo4j-1", "neo4j-2", "neo4j-3"] {
            let place = lab.endpoints[&format!("neo4j.{name}")].clone();
            let graph = neo4rs::Graph::new(place, "neo4j", "labpassword").await.ok()?;
            let asked = async {
                let mut txn = graph.start_txn_on("system").await?;
                txn.run(neo4rs::query("STOP DATABASE analytics")).await?;
                txn.commit().await
            };
            if asked.await.is_ok() {
                return Some(());
            }
        }
        None
    })
    .await;
}
