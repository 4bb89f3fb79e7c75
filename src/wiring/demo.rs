//! `mayday demo`: the lab, a private engine and the cockpit, on an incident. Everything it started ends with it.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::failure::Failure;
use super::places::Places;
use super::{cockpit, engine, follow, lab};
use crate::api::client::Client;
use crate::cli::args::{DemoArgs, Format};
use crate::cli::exit::Exit;
use crate::cli::status;
use crate::cli::text::table;
use crate::domain::command::Ask;
use crate::domain::estate::ProbeSpec;
use crate::domain::health::Status;
use crate::domain::ids::{PlanId, ProbeId};
use crate::domain::incident::Severity;
use crate::domain::run::Mode;
use crate::domain::time::{At, seconds_between};
use crate::domain::view::Snapshot;
use crate::lab::scenario::{self, Scenario};
use crate::lab::{Lab, Pace, estate, handout};

/// The longest that the lab may take to look healthy, or broken, to the engine: several rounds of its probes.
const SIGHT: Duration = Duration::from_secs(60);
/// The longest that what the engine sees may go on changing after the last event of a scenario.
const SETTLING: Duration = Duration::from_secs(240);
/// The longest that an engine may take to end in order.
const ENDING: Duration = Duration::from_secs(5);

/// Plays an incident.
///
/// # Errors
/// When the lab or the engine cannot be started, or the engine is lost.
pub async fn run(args: &DemoArgs, format: Format) -> Result<Exit, Failure> {
    if args.list {
        return list(format);
    }
    let chosen = lab::find(&args.scenario)?;
    let stage = Stage::set(Pace(args.speed)).await?;
    if let Some(dir) = &args.dir {
        handout::write(&stage.lab.endpoints, dir)?;
    }
    if let Some(control) = stage.lab.endpoints.get("control") {
        eprintln!(
            "break something yourself, from another terminal: mayday lab break PLACE CONDITION --control {control}"
        );
    }
    let outcome =
        if args.headless { headless(&stage, &chosen, format).await } else { attended(&stage, &chosen, args).await };
    stage.strike().await;
    outcome
}

fn list(format: Format) -> Result<Exit, Failure> {
    let all = lab::all()?;
    match format {
        Format::Json => {
            let rows: Vec<_> = all
                .iter()
                .map(|it| json!({ "name": it.name, "title": it.title, "about": it.about, "plan": it.plan }))
                .collect();
            println!("{:#}", json!(rows));
        }
        Format::Text => {
            let rows: Vec<Vec<String>> = all.iter().map(|it| vec![it.name.to_owned(), it.title.clone()]).collect();
            print!("{}", table(&["scenario", "what goes wrong"], &rows));
        }
    }
    Ok(Exit::Ok)
}

/// What a demo plays on: a lab in this process, and an engine in a child that ends when this process does, however it ends.
struct Stage {
    lab: Lab,
    places: Places,
    engine: Child,
    /// Removed at the end.
    _dir: TempDir,
}

impl Stage {
    async fn set(pace: Pace) -> Result<Self, Failure> {
        let lab = lab::start(pace).await?;
        let dir = tempfile::Builder::new().prefix("mayday-").tempdir()?;
        let places = Places::within(dir.path());
        let config = estate::config_for(&lab.endpoints, pace).map_err(Failure::failed)?;
        std::fs::write(&places.config, config)?;
        handout::write(&lab.endpoints, dir.path())?;
        let mut engine = engine::spawn(&places, Stdio::piped(), true)?;
        engine::wait(&places, &mut engine).await?;
        Ok(Self { lab, places, engine, _dir: dir })
    }

    /// Ends the engine in order, or by force if it does not.
    async fn strike(mut self) {
        drop(self.engine.stdin.take());
        let start = Instant::now();
        while start.elapsed() < ENDING {
            if !matches!(self.engine.try_wait(), Ok(None)) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
        // It is ours, and it does not end by itself.
        let _ = self.engine.kill();
        let _ = self.engine.wait();
    }
}

/// Waits until what the engine sees is so.
async fn until(client: &Client, what: &str, holds: impl Fn(&Snapshot) -> bool) -> Result<Snapshot, Failure> {
    let wait = async {
        loop {
            let view = client.snapshot().await?;
            if holds(&view) {
                return Ok(view);
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let late = || Failure::failed(format!("the engine did not see {what} within {} s", SIGHT.as_secs()));
    timeout(SIGHT, wait).await.unwrap_or_else(|_| Err(late()))
}

/// Every probe and every datastore was seen, and all is well.
fn is_healthy(view: &Snapshot) -> bool {
    let probes =
        view.estate.probes.iter().all(|it| view.live.probes.get(&it.id).is_some_and(|it| it.status == Status::Healthy));
    let known = |id| view.live.surveys.get(id).is_some_and(|it| it.survey.standby_point.is_some());
    probes && view.estate.datastores().all(|store| known(&store.id))
}

/// The plan that a scenario calls for, as soon as a rule of the plan begins to count; `None` when the scenario was played to its end
/// and nothing has to be failed over.
async fn called_for(client: &Client, play: &JoinHandle<()>, chosen: &Scenario) -> Result<Option<PlanId>, Failure> {
    let mut quiet = Quiet::default();
    let start = Instant::now();
    let mut over: Option<(Instant, At)> = None;
    loop {
        let view = client.snapshot().await?;
        if let Some(trigger) = view.triggers().into_iter().next() {
            let named = chosen.plan.as_deref().map(PlanId::from);
            let missing = || Failure::failed(format!("{}, and no plan answers that", trigger.evidence));
            return named.or(trigger.plan).ok_or_else(missing).map(Some);
        }
        if play.is_finished() && over.is_none() {
            eprintln!("all of it has happened {} s after the start", start.elapsed().as_secs());
            over = Some((Instant::now(), view.now));
        }
        if let Some((since, at)) = over {
            if quiet.is_settled(&view, at) {
                return Ok(None);
            }
            if since.elapsed() > SETTLING {
                eprintln!("what the engine sees has not settled within {} s", SETTLING.as_secs());
                return Ok(None);
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// What the engine believed, and since when.
#[derive(Default)]
struct Quiet {
    statuses: BTreeMap<ProbeId, Status>,
    since: Option<At>,
}

impl Quiet {
    /// Whether no status has changed for as long as one can take to, and every store and every backup was looked at since `over`.
    fn is_settled(&mut self, view: &Snapshot, over: At) -> bool {
        let statuses: BTreeMap<ProbeId, Status> =
            view.live.probes.iter().map(|(id, known)| (id.clone(), known.status)).collect();
        if self.since.is_none() || self.statuses != statuses {
            (self.statuses, self.since) = (statuses, Some(view.now));
        }
        let turns = |it: &ProbeSpec| it.every.0 * u32::from(it.fall.max(it.rise) + 1) + it.timeout.0;
        let longest = view.estate.probes.iter().map(turns).max().unwrap_or_default();
        let calm = self.since.is_some_and(|since| seconds_between(since, view.now) > longest.as_secs_f64());
        let stores = view.estate.datastores().all(|it| view.live.surveys.get(&it.id).and_then(|it| it.at) > Some(over));
        let backups =
            view.estate.backups.iter().all(|it| view.live.backups.get(&it.id).and_then(|it| it.at) > Some(over));
        calm && stores && backups
    }
}

async fn attended(stage: &Stage, chosen: &Scenario, args: &DemoArgs) -> Result<Exit, Failure> {
    let play = async {
        scenario::play(&stage.lab.world, chosen).await;
        std::future::pending().await
    };
    tokio::select! {
        exit = cockpit::run(&stage.places.socket, &args.cockpit) => exit,
        never = play => never,
    }
}

async fn headless(stage: &Stage, chosen: &Scenario, format: Format) -> Result<Exit, Failure> {
    let client = Client::new(&stage.places.socket);
    until(&client, "the lab healthy", is_healthy).await?;
    eprintln!("the lab is healthy; {}", chosen.title);
    let world = stage.lab.world.clone();
    let play = tokio::spawn({
        let chosen = chosen.clone();
        async move { scenario::play(&world, &chosen).await }
    });
    let plan = match called_for(&client, &play, chosen).await {
        Ok(Some(plan)) => plan,
        Ok(None) => return stands(&client, format).await,
        Err(failure) => {
            play.abort();
            return Err(failure);
        }
    };
    let severity: Severity = chosen.severity.parse().map_err(Failure::failed)?;
    client.ask(&Ask::Declare { title: chosen.title.clone(), severity, drill: false }).await?;
    let reason = format!("demo: {}", chosen.name);
    client.ask(&Ask::StartRun { plan, mode: Mode::Live, reason, unattended: true }).await?;
    let exit = follow::follow(&client, format).await?;
    let served = client_is_served(&stage.lab).await;
    play.abort();
    eprintln!("the synthetic client {}", if served { "reads and writes again" } else { "is NOT served" });
    Ok(if served || exit != Exit::Ok { exit } else { Exit::Failed })
}

/// How things stand after a scenario that calls for no failover.
async fn stands(client: &Client, format: Format) -> Result<Exit, Failure> {
    let view = client.snapshot().await?;
    match format {
        Format::Json => println!("{:#}", status::json(&view)),
        Format::Text => print!("{}", status::text(&view)),
    }
    eprintln!("nothing has to be failed over");
    Ok(Exit::Ok)
}

/// Whether the lab's own client, which knows nothing of Mayday, has written and read since the run ended.
async fn client_is_served(lab: &Lab) -> bool {
    let since = jiff::Timestamp::now();
    let served = async {
        while lab.world.truth().client.last_success.is_none_or(|at| at <= since) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SIGHT, served).await.is_ok()
}
