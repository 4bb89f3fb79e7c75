//! A drill from its isolation to its clean-up: what the plan's test procedure asks for, stage by stage. A stage that fails ends the
//! ones that rest on it, never the clean-up.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::super::failure::Failure;
use super::super::places::Places;
use super::super::stage::{Private, Stage, Trace, called_for, client_is_served, stop, until_well};
use super::super::{cockpit, kinds, lab};
use crate::api::client::Client;
use crate::cli::args::CockpitArgs;
use crate::cli::exit::Exit;
use crate::cli::status;
use crate::cli::text::{self, length};
use crate::config;
use crate::domain::command::Ask;
use crate::domain::drill::{Check, Stage as Part};
use crate::domain::estate::{Environment, Estate};
use crate::domain::event::Record;
use crate::domain::incident::Severity;
use crate::domain::journal::Chain;
use crate::domain::recovery::Loss;
use crate::domain::run::{Mode, Run};
use crate::domain::schedule::{DrillSpec, forbidden};
use crate::domain::target::likeliest;
use crate::domain::time::{At, seconds_between};
use crate::domain::verdict::RpoVerdict;
use crate::domain::view::Snapshot;
use crate::lab::scenario::{self, Scenario};
use crate::lab::world::Mutation;
use crate::lab::{Lab, Pace};
use crate::systems::script::environment;
use crate::systems::script::process::{Around, Ended, run as run_command, typed};

/// The longest that a run may take: every step has its own limit, so this is for a plan that hangs.
const LONGEST: Duration = Duration::from_secs(4 * 60 * 60);
/// The longest that a command of the operator's may take.
const COMMAND: Duration = Duration::from_secs(30 * 60);
/// So many records are asked for at once.
const PAGE: usize = 1000;

/// Who answers the gates.
pub enum Operator<'a> {
    /// Nobody: those that the plan lets an unattended run answer are.
    Automatic,
    /// Whoever sits at this terminal.
    Cockpit(&'a CockpitArgs),
}

/// What is played.
pub struct Order<'a> {
    pub spec: &'a DrillSpec,
    /// The estate that is protected, where one is known.
    pub own: Option<&'a Estate>,
    pub operator: Operator<'a>,
}

/// What was played, and all that is known of it.
#[derive(Default)]
pub struct Played {
    pub stages: Vec<(Part, bool, String)>,
    pub checks: Vec<Check>,
    /// The engine's whole at the end of the recovery.
    pub view: Option<Snapshot>,
    /// The journal that it was played in.
    pub records: Vec<Record>,
    pub chain: Option<Chain>,
    /// What was there only for the play.
    pub traces: Vec<Trace>,
    /// The config that it was played with.
    pub config: String,
    /// What went wrong on purpose, in a sentence or two.
    pub about: String,
    /// What the outside world says that was changed in it; only the lab can tell.
    pub changes: Vec<Mutation>,
}

impl Played {
    fn stage(&mut self, part: Part, outcome: Result<String, String>) -> bool {
        let (passed, word) = match outcome {
            Ok(word) => (true, word),
            Err(word) => (false, word),
        };
        eprintln!("{part:<9} {}: {word}", if passed { "ok" } else { "FAILED" });
        self.stages.push((part, passed, word));
        passed
    }

    /// What the clean-up could not remove.
    pub fn left_behind(&self) -> Vec<String> {
        self.traces.iter().filter(|trace| !trace.gone).map(|trace| trace.what.clone()).collect()
    }
}

/// What it is played on.
struct Ground {
    lab: Option<(Lab, Scenario)>,
    engine: Private,
    client: Client,
    severity: Severity,
    play: Option<JoinHandle<()>>,
}

/// Plays a drill.
///
/// # Errors
/// When it is refused: then nothing was broken, and nothing has to be taken down.
pub async fn play(order: &Order<'_>) -> Result<Played, Failure> {
    let mut played = Played::default();
    let ground = match &order.spec.estate {
        None => on_the_lab(order.spec, &mut played).await,
        Some(file) => on_an_estate(order, Path::new(file), &mut played).await?,
    };
    let mut ground = match ground {
        Ok((ground, word)) => {
            played.stage(Part::Isolate, Ok(word));
            ground
        }
        Err(why) => {
            played.stage(Part::Isolate, Err(why));
            return Ok(played);
        }
    };
    tokio::select! {
        () = attempt(order, &mut ground, &mut played) => {}
        _ = tokio::signal::ctrl_c() => {
            played.stage(Part::Execute, Err("interrupted".into()));
        }
    }
    gather(&ground, &mut played).await;
    clean_up(order.spec, ground, &mut played).await;
    Ok(played)
}

type Isolated = Result<(Ground, String), String>;

async fn on_the_lab(spec: &DrillSpec, played: &mut Played) -> Isolated {
    let chosen = lab::find(&spec.scenario).map_err(|failure| failure.text)?;
    let severity = chosen.severity.parse()?;
    played.about = format!("{}. {}", chosen.title, chosen.about);
    let Stage { lab, engine } =
        Stage::set(Pace(spec.speed as f64), chosen.extent, Environment::Test).await.map_err(|failure| failure.text)?;
    played.config = std::fs::read_to_string(&engine.places.config).map_err(|error| error.to_string())?;
    let client = engine.client();
    let word = format!("a lab in this process, {} times as fast as life; an engine of its own", spec.speed);
    Ok((Ground { lab: Some((lab, chosen)), engine, client, severity, play: None }, word))
}

/// On a test estate; the outer error is a refusal.
async fn on_an_estate(order: &Order<'_>, file: &Path, played: &mut Played) -> Result<Isolated, Failure> {
    let loaded = config::load(file, &kinds())?;
    if let Some(why) = forbidden(&loaded.estate, order.own) {
        let next = "drill on the lab, or on an estate with environment = \"test\" and systems of its own";
        return Err(Failure::new(Exit::Refused, format!("nothing is broken there: {why} → {next}")));
    }
    if order.spec.fail.is_empty() || order.spec.restore.is_empty() {
        let text = format!(
            "the drill {} names no commands `fail` and `restore` → see [[drill]] in the config",
            order.spec.name
        );
        return Err(Failure::new(Exit::Usage, text));
    }
    environment::pass(&loaded.estate.policy.script_environment);
    played.config = std::fs::read_to_string(file)?;
    played.about = format!("On {}: {}", loaded.estate.name, typed(&order.spec.fail));
    let start = Private::start(|_: &Places| Ok(Some(file.to_path_buf()))).await;
    Ok(match start {
        Ok(engine) => {
            let client = engine.client();
            let word = format!("the test estate {}, and an engine of its own", loaded.estate.name);
            Ok((Ground { lab: None, engine, client, severity: Severity::Sev1, play: None }, word))
        }
        Err(failure) => Err(failure.text),
    })
}

/// The stages that have to be played in their order.
async fn attempt(order: &Order<'_>, ground: &mut Ground, played: &mut Played) {
    let simulated = simulate(order.spec, ground).await.map_err(|failure| failure.text);
    if !played.stage(Part::Simulate, simulated) {
        return;
    }
    let executed = execute(order, ground).await.map_err(|failure| failure.text);
    let done = played.stage(Part::Execute, executed);
    let Ok(view) = ground.client.snapshot().await else { return };
    if done {
        let pace = if ground.lab.is_some() { order.spec.speed } else { 1 };
        played.checks = integrity(ground, &view).await;
        let outcome = summed(&played.checks);
        played.stage(Part::Verify, outcome);
        played.stage(Part::Measure, measured(&view, pace));
    }
    played.view = Some(view);
}

/// Lets the failure happen, and waits until a rule of the plan counts.
async fn simulate(spec: &DrillSpec, ground: &mut Ground) -> Result<String, Failure> {
    let client = &ground.client;
    until_well(client).await?;
    let start = Instant::now();
    let play = match &ground.lab {
        Some((lab, chosen)) => {
            let (world, chosen) = (lab.world.clone(), chosen.clone());
            tokio::spawn(async move { scenario::play(&world, &chosen).await })
        }
        None => {
            command(&spec.fail).await.map_err(Failure::failed)?;
            // All of it has happened: what it broke stays broken until it is restored.
            tokio::spawn(async {})
        }
    };
    let play = ground.play.insert(play);
    let plan = called_for(client, play, Some(spec.plan.clone())).await?;
    let view = client.snapshot().await?;
    let trigger = view.triggers(view.now).into_iter().next();
    let (Some(plan), Some(trigger)) = (plan, trigger) else {
        return Err(Failure::failed("nothing was seen that has to be failed over"));
    };
    let title = format!("Drill {}: {}", spec.name, spec.scenario);
    client.ask(&Ask::Declare { title, severity: ground.severity, drill: true }).await?;
    Ok(format!("{} after {:.1} s; {plan} answers it", trigger.evidence, start.elapsed().as_secs_f64()))
}

/// Runs the plan to its end.
async fn execute(order: &Order<'_>, ground: &Ground) -> Result<String, Failure> {
    let client = &ground.client;
    let plan = likeliest(&client.snapshot().await?, &order.spec.plan);
    let reason = format!("drill {}", order.spec.name);
    if let Operator::Cockpit(args) = &order.operator {
        cockpit::run(&ground.engine.places, args).await?;
    } else {
        client.ask(&Ask::StartRun { plan: plan.clone(), mode: Mode::Drill, reason, unattended: true }).await?;
    }
    let start = Instant::now();
    loop {
        let view = client.snapshot().await?;
        let run = view.state.run.as_ref().ok_or_else(|| Failure::failed(format!("{plan} was never run")))?;
        if !run.is_open() {
            let done = run.steps.values().filter(|step| step.phase.is_in_effect()).count();
            let completed = run.outcome == Some(crate::domain::run::Outcome::Completed);
            let word = format!("{plan}: {done} of {} steps done", run.steps.len());
            return if completed { Ok(word) } else { Err(Failure::failed(format!("{word}, then abandoned"))) };
        }
        if run.waits_for_human(view.state.hold.is_some()) || start.elapsed() > LONGEST {
            return Err(Failure::failed(stuck(run)));
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Where a run does not go on, and why.
fn stuck(run: &Run) -> String {
    let waiting = run.in_order().filter(|(_, step)| step.phase.waits_for_human());
    let words: Vec<String> = waiting
        .map(|(spec, step)| {
            let why = step.fault.as_ref().map_or(step.detail.as_str(), |fault| fault.what.as_str());
            format!("{} is {}: {why}", spec.id, step.phase)
        })
        .collect();
    if words.is_empty() { "the run does not end".into() } else { words.join("; ") }
}

/// Whether the data came over whole, and clients are served: read from the outside where that is possible.
async fn integrity(ground: &Ground, view: &Snapshot) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some((lab, _)) = &ground.lab {
        let served = client_is_served(lab).await;
        let truth = lab.world.truth();
        let detail = format!("{} transactions so far", truth.client.succeeded);
        checks.push(Check {
            what: "a client that knows nothing of Mayday reads and writes".into(),
            held: Some(served),
            detail,
        });
        checks.push(ledger(truth.client.lost_writes, truth.client.lost_last, view));
    }
    let recovered: Vec<String> =
        status::rto(view).iter().filter(|it| !it.recovered).map(|it| it.tier.to_string()).collect();
    checks.push(Check {
        what: "every tier was used through the path of its clients".into(),
        held: Some(recovered.is_empty()),
        detail: if recovered.is_empty() { "synthetic transactions succeeded".into() } else { recovered.join(", ") },
    });
    checks.push(known_loss(view));
    checks.push(one_writer(view));
    checks
}

/// What a client knows to be lost against what Mayday says. The RPO counts up to t0, the last moment at which the region was seen
/// healthy: what was acknowledged after that, before it broke, is lost as well and in no RPO.
fn ledger(lost: u64, last: Option<At>, view: &Snapshot) -> Check {
    let rpo = status::rpo(view);
    let worst = rpo.iter().map(|it| it.loss.seconds()).collect::<Option<Vec<f64>>>();
    let worst = worst.map(|all| all.into_iter().fold(0.0, f64::max));
    let t0 = view.state.incident.as_ref().and_then(|it| it.clocks.t0.values().min().copied());
    let after_t0 = last.zip(t0).map(|(last, t0)| seconds_between(t0, last)).filter(|late| *late > 0.0);
    let (held, words) = match (lost, worst, after_t0) {
        (0, _, _) => (Some(true), "it misses nothing that was acknowledged to it".to_owned()),
        (_, None, _) => (None, "the RPO is not known".into()),
        (_, Some(_), Some(late)) => (
            Some(true),
            format!(
                "the last was acknowledged {late:.1} s after t0, the last healthy reading: the RPO counts up to t0, not these"
            ),
        ),
        (_, Some(worst), None) if worst > 0.0 => (Some(true), format!("within the RPO of {worst:.1} s")),
        (..) => (Some(false), "the RPO says that nothing was lost, and that is not explained".into()),
    };
    let detail = format!("{lost} acknowledged writes lost by the client's own ledger; {words}");
    Check { what: "the client's own ledger of lost writes fits the RPO".into(), held, detail }
}

/// What was lost has to be known of every class. It is an estimate where a client's write to the new copy may have hidden it.
fn known_loss(view: &Snapshot) -> Check {
    let (unknown, known): (Vec<_>, Vec<_>) = status::rpo(view).into_iter().partition(|it| it.loss == Loss::Unknown);
    let classes = |of: &[RpoVerdict]| of.iter().map(|it| it.class.to_string()).collect::<Vec<_>>().join(", ");
    let estimated = known.into_iter().filter(|it| matches!(it.loss, Loss::Estimated { .. })).collect::<Vec<_>>();
    let detail = match (unknown.is_empty(), estimated.is_empty()) {
        (false, _) => format!("unknown of {}", classes(&unknown)),
        (true, false) => {
            format!("estimated for {}, because clients may have written before it was measured", classes(&estimated))
        }
        (true, true) => "measured on the copies that serve now".into(),
    };
    Check { what: "what was lost is known of every data class".into(), held: Some(unknown.is_empty()), detail }
}

/// Of the members of a datastore that answer, one takes writes.
fn one_writer(view: &Snapshot) -> Check {
    let split = view.split();
    Check {
        what: "no datastore has two writers that answer".into(),
        held: Some(split.is_none()),
        detail: split.map_or_else(|| "one at most".into(), |(store, all)| format!("{store}: {}", all.join(", "))),
    }
}

fn summed(checks: &[Check]) -> Result<String, String> {
    let failed: Vec<String> = checks
        .iter()
        .filter(|it| it.held != Some(true))
        .map(|it| format!("not true that {} ({})", it.what, it.detail))
        .collect();
    if failed.is_empty() { Ok(format!("{} checks hold", checks.len())) } else { Err(failed.join("; ")) }
}

/// The figures against what was promised, on the clock of the estate it was played on. One that lives faster than life cannot be held
/// against anything: it only has to be known.
fn measured(view: &Snapshot, pace: u64) -> Result<String, String> {
    let scaled = |seconds: Option<f64>| seconds.map(|it| it * pace as f64).map_or_else(|| "unknown".to_owned(), length);
    if pace > 1 {
        let rto =
            status::rto(view).into_iter().map(|it| (it.recovered, format!("RTO {} {}", it.tier, scaled(it.elapsed))));
        let rpo = status::rpo(view).into_iter().map(|it| {
            let seconds = it.loss.seconds();
            (seconds.is_some(), format!("RPO {} {}", it.class, scaled(seconds)))
        });
        let (known, missing): (Vec<_>, Vec<_>) = rto.chain(rpo).partition(|(known, _)| *known);
        let words = |all: Vec<(bool, String)>| all.into_iter().map(|(_, words)| words).collect::<Vec<_>>().join(", ");
        return match missing.is_empty() {
            true => Ok(format!("not comparable at {pace}x: {}", words(known))),
            false => Err(format!("could not be measured: {}", words(missing))),
        };
    }
    let rto = status::rto(view).into_iter().map(|it| {
        let words = it.elapsed.map_or_else(|| "unknown".to_owned(), length);
        let bound = text::at_least(it.at_least);
        (it.met == Some(true), format!("RTO {} {bound}{words} of {}", it.tier, length(it.target)))
    });
    let rpo = status::rpo(view).into_iter().map(|it| {
        let words = it.loss.seconds().map_or_else(|| "unknown".to_owned(), length);
        (it.met == Some(true), format!("RPO {} {words} of {}", it.class, length(it.target)))
    });
    let (met, missed): (Vec<_>, Vec<_>) = rto.chain(rpo).partition(|(met, _)| *met);
    let words = |all: Vec<(bool, String)>| all.into_iter().map(|(_, words)| words).collect::<Vec<_>>().join(", ");
    if missed.is_empty() { Ok(words(met)) } else { Err(format!("missed: {}", words(missed))) }
}

/// Takes along what is to be kept, while it is still there.
async fn gather(ground: &Ground, played: &mut Played) {
    let client = &ground.client;
    if played.view.is_none() {
        played.view = client.snapshot().await.ok();
    }
    if let Some(run) = played.view.as_ref().and_then(|view| view.state.run.as_ref()).filter(|run| run.is_open()) {
        let ask = Ask::Abandon { run: run.id.clone(), reason: "the drill ends here".into() };
        // Refused while something is being changed; the engine ends all the same.
        let _ = client.ask(&ask).await;
    }
    // Refused when none was declared.
    let _ = client
        .ask(&Ask::CloseIncident {
            note: "the drill is over".into(),
            despite: "the drill looks at integrity by itself".into(),
            tell: false,
        })
        .await;
    while let Ok(more) = client.records(played.records.last().map_or(0, |it| it.seq), PAGE).await {
        if more.is_empty() {
            break;
        }
        played.records.extend(more);
    }
    played.chain = client.verify().await.ok();
    if let Some((lab, _)) = &ground.lab {
        played.changes = lab.world.truth().ledger.clone();
    }
}

/// Removes everything that was there only for the drill, and looks whether it is gone.
async fn clean_up(spec: &DrillSpec, ground: Ground, played: &mut Played) {
    if let Some(play) = &ground.play {
        play.abort();
    }
    let Ground { lab, engine, client, .. } = ground;
    match lab {
        Some((lab, _)) => {
            played.traces.extend(engine.end().await);
            played.traces.push(stop(lab).await);
        }
        None => {
            played.traces.push(restored(spec, &client).await);
            played.traces.extend(engine.end().await);
        }
    }
    let left = played.left_behind();
    let outcome = match (left.is_empty(), &played.chain) {
        (true, Some(chain)) => {
            Ok(format!("{} things are gone; journal of {} records", played.traces.len(), chain.records))
        }
        (true, None) => Err("the journal of the drill could not be verified".into()),
        (false, _) => Err(format!("left behind: {}", left.join("; "))),
    };
    played.stage(Part::CleanUp, outcome);
}

/// Puts a test estate back, and looks whether it is well again.
async fn restored(spec: &DrillSpec, client: &Client) -> Trace {
    let what = |word: &str| format!("what was broken and changed on the test estate: {word}");
    match command(&spec.restore).await {
        Err(why) => Trace { what: what(&why), gone: false },
        Ok(()) => match until_well(client).await {
            Ok(()) => Trace { what: what("restored, and healthy again"), gone: true },
            Err(failure) => Trace { what: what(&failure.text), gone: false },
        },
    }
}

/// Runs a command of the operator's; an error has its last words.
async fn command(words: &[String]) -> Result<(), String> {
    let last = Mutex::new(String::new());
    let line = |text: &str| {
        if let Ok(mut last) = last.lock() {
            text.clone_into(&mut last);
        }
    };
    let ended = run_command(words, &Around::default(), COMMAND, &line).await?;
    if matches!(ended, Ended::Exited(Ok(0))) {
        return Ok(());
    }
    let last = last.into_inner().unwrap_or_default();
    Err(format!("`{}` {}: {}", typed(words), ended.words(), crate::domain::text::clean(&last)))
}
