//! `mayday demo`: the lab, a private engine and the cockpit, on an incident.
//!
//! Lab and engine live in a process of their own in the background, as an engine does: a cockpit can be left and attached again, and no
//! key ends a run. Whoever has seen enough ends it by name; after a while without any cockpit it ends by itself.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::failure::Failure;
use super::places::Places;
use super::stage::{Folder, Stage, called_for, client_is_served, is_healthy, of_its_pace, until};
use super::sweep::{self, is_ours};
use super::{cockpit, follow, lab};
use crate::api::client::Client;
use crate::cli::args::{DemoArgs, Format};
use crate::cli::exit::Exit;
use crate::cli::out::out;
use crate::cli::text::table;
use crate::cli::{failover, status};
use crate::domain::command::Ask;
use crate::domain::estate::Environment;
use crate::domain::ids::PlanId;
use crate::domain::incident::Severity;
use crate::domain::run::Mode;
use crate::lab::scenario::{self, Scenario};
use crate::lab::{Pace, alive, handout};

/// How the folder of a demo's name begins.
const PREFIX: &str = "mayday-demo-";
/// What a demo says of itself, in its folder.
const CARD: &str = "demo.json";
/// Where this file is, the folder is kept when the demo ends.
const KEEP: &str = "keep";
/// What the background says when it cannot start.
const WORDS: &str = "demo.log";
/// A demo that nobody looks at any more ends by itself after so long.
const IDLE: Duration = Duration::from_secs(2 * 60 * 60);
/// How often it is looked whether anybody is there.
const ROUND: Duration = Duration::from_secs(30);
/// The longest that a demo may take to start, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Plays an incident.
///
/// # Errors
/// When the lab or the engine cannot be started, or the engine is lost.
pub async fn run(args: &DemoArgs, format: Format) -> Result<Exit, Failure> {
    if args.list {
        return list(format);
    }
    if args.end {
        return end(args).await;
    }
    let chosen = lab::find(args.scenario())?;
    match &args.host {
        Some(folder) => host(folder, &chosen, args).await,
        None if args.headless => alone(&chosen, args, format).await,
        None => attended(&chosen, args).await,
    }
}

fn list(format: Format) -> Result<Exit, Failure> {
    let all = lab::all()?;
    match format {
        Format::Json => {
            let rows: Vec<_> = all
                .iter()
                .map(|it| json!({ "name": it.name, "title": it.title, "about": it.about, "plan": it.plan }))
                .collect();
            writeln!(out(), "{:#}", json!(rows))?;
        }
        Format::Text => {
            let rows: Vec<Vec<String>> = all.iter().map(|it| vec![it.name.to_owned(), it.title.clone()]).collect();
            write!(out(), "{}", table(&["scenario", "what goes wrong"], &rows))?;
        }
    }
    Ok(Exit::Ok)
}

/// What a demo says of itself.
#[derive(Serialize, Deserialize)]
struct Card {
    scenario: String,
    pid: i32,
    /// The lab's control page.
    control: String,
}

/// A demo that goes on in the background.
struct Living {
    folder: PathBuf,
    card: Card,
}

impl Living {
    /// The one of this user, if one lives.
    fn find() -> Option<Self> {
        let entries = fs::read_dir(std::env::temp_dir()).ok()?;
        entries.flatten().find_map(|entry| {
            let ours = entry.file_name().to_string_lossy().starts_with(PREFIX) && is_ours(&entry.path());
            ours.then(|| Self::of(&entry.path())).flatten()
        })
    }

    /// The one in a folder, once it is ready and for as long as it lives.
    fn of(folder: &Path) -> Option<Self> {
        let card = serde_json::from_slice(&fs::read(folder.join(CARD)).ok()?).ok()?;
        alive::is_held(folder).then(|| Self { folder: folder.to_owned(), card })
    }

    fn places(&self) -> Places {
        Places::within(&self.folder)
    }

    /// What there is to know of it, for the screen.
    fn told(&self) -> Vec<String> {
        let (places, card) = (self.places(), &self.card);
        vec![
            format!(
                "demo {}: q leaves it running, mayday demo attaches again, mayday demo --end ends it",
                card.scenario
            ),
            format!("break more: mayday lab break PLACE CONDITION --control {}", card.control),
            format!("commands: mayday --config {} --state-dir {}", places.config.display(), places.state.display()),
        ]
    }
}

/// A cockpit on the demo that lives, or on a new one. Leaving it ends nothing.
async fn attended(chosen: &Scenario, args: &DemoArgs) -> Result<Exit, Failure> {
    cockpit::needs_terminal()?;
    let living = match Living::find() {
        Some(living) if args.scenario.is_some() && living.card.scenario != chosen.name => {
            let text = format!(
                "another demo goes on ({}) → `mayday demo` attaches to it, `mayday demo --end` ends it",
                living.card.scenario
            );
            return Err(Failure::new(Exit::Refused, text));
        }
        Some(living) => living,
        None => begin(chosen, args).await?,
    };
    if let Some(dir) = &args.dir {
        fs::create_dir_all(dir)?;
        fs::copy(living.folder.join("lab.json"), dir.join("lab.json"))?;
    }
    let exit = cockpit::run_telling(&living.places(), &args.cockpit, living.told()).await?;
    // Nobody may be there to read it.
    let mut words = io::stderr();
    let _ = living.told().iter().try_for_each(|line| writeln!(words, "{line}"));
    let hours = IDLE.as_secs() / 3600;
    let _ = writeln!(words, "it ends by itself {hours} hours after the last cockpit was left, and its folder with it");
    Ok(exit)
}

/// Starts one in the background, and waits until it is ready.
async fn begin(chosen: &Scenario, args: &DemoArgs) -> Result<Living, Failure> {
    sweep::sweep(&std::env::temp_dir()).await;
    let folder = tempfile::Builder::new().prefix(PREFIX).tempdir()?;
    let words = File::create(folder.path().join(WORDS))?;
    // Whoever fails takes the folder along; what is open stays readable.
    let mut said = File::open(folder.path().join(WORDS))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["demo", "--scenario", chosen.name, "--speed", &args.speed.to_string(), "--host"]).arg(folder.path());
    // In a group of its own: keys that are pressed in this terminal do not reach it.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(words).process_group(0);
    let mut child = command.spawn()?;
    match ready(folder.path(), &mut child, &mut said).await {
        Ok(living) => {
            // From now on the process in the background removes it.
            let _ = folder.keep();
            Ok(living)
        }
        Err(failure) => {
            // It is ours, and it is of no use.
            let _ = child.kill();
            let _ = child.wait();
            Err(failure)
        }
    }
}

async fn ready(folder: &Path, child: &mut Child, said: &mut File) -> Result<Living, Failure> {
    let start = Instant::now();
    loop {
        if let Some(living) = Living::of(folder) {
            return Ok(living);
        }
        let ended = child.try_wait()?.is_some();
        if ended || start.elapsed() > PATIENCE {
            let mut words = String::new();
            said.read_to_string(&mut words)?;
            let words = words.trim().trim_start_matches("mayday: ");
            return Err(Failure::failed(format!("the demo cannot be started: {words}")));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Lab and engine, until somebody ends them or nobody has looked for long.
async fn host(folder: &Path, chosen: &Scenario, args: &DemoArgs) -> Result<Exit, Failure> {
    // The terminal may go: that is what this process is for.
    let _hang_up = signal(SignalKind::hangup())?;
    let stopped = lab::stopped()?;
    let mut stage =
        Stage::set_in(Folder::claim(folder.to_owned())?, Pace(args.speed), chosen.extent, Environment::Production)
            .await?;
    let control = stage.lab.endpoints.get("control").cloned().unwrap_or_default();
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let card =
        serde_json::to_vec(&Card { scenario: chosen.name.to_owned(), pid, control }).map_err(io::Error::other)?;
    // At once, or not at all: it is looked for from now on.
    let draft = folder.join("demo.draft");
    fs::write(&draft, card)?;
    fs::rename(draft, folder.join(CARD))?;
    let client = stage.client();
    let play = async {
        scenario::play(&stage.lab.world, chosen).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = stopped => {}
        () = forgotten(&client) => {}
        () = play => {}
    }
    if folder.join(KEEP).exists() {
        // What is kept is a journal and a config, and no demo any more.
        let _ = fs::remove_file(folder.join(CARD));
        stage.engine.keep();
    }
    stage.strike().await;
    Ok(Exit::Ok)
}

/// Until no cockpit has been there for long.
async fn forgotten(client: &Client) {
    let mut seen = Instant::now();
    while seen.elapsed() < IDLE {
        sleep(ROUND).await;
        if client.snapshot().await.is_ok_and(|view| !view.live.attached.is_empty()) {
            seen = Instant::now();
        }
    }
}

/// Ends the demo that goes on; its folder is kept if that is wanted.
async fn end(args: &DemoArgs) -> Result<Exit, Failure> {
    let Some(living) = Living::find() else {
        return Err(Failure::new(Exit::Refused, "no demo goes on, so there is nothing to end → mayday demo"));
    };
    let folder = living.folder.display().to_string();
    let keep = match (args.keep, args.delete) {
        (true, _) => true,
        (_, true) => false,
        _ => match asked(&folder)? {
            Some(keep) => keep,
            None => {
                eprintln!("the demo goes on");
                return Ok(Exit::Ok);
            }
        },
    };
    if keep {
        File::create(living.folder.join(KEEP))?;
    }
    let pid = living.card.pid;
    let process = Pid::from_raw(pid).ok_or_else(|| Failure::failed("the demo does not say which process it is"))?;
    kill_process(process, Signal::TERM).map_err(io::Error::from)?;
    let start = Instant::now();
    while alive::is_held(&living.folder) {
        if start.elapsed() > PATIENCE {
            return Err(Failure::failed(format!("the demo does not end → end its process by hand: kill {pid}")));
        }
        sleep(Duration::from_millis(20)).await;
    }
    let places = living.places();
    match keep {
        true => eprintln!(
            "the demo has ended, its folder is kept: mayday report --config {} --state-dir {}",
            places.config.display(),
            places.state.display()
        ),
        false => eprintln!("the demo has ended, and {folder} is deleted"),
    }
    Ok(Exit::Ok)
}

/// Whether to keep the folder; `None` when the demo is to go on.
fn asked(folder: &str) -> Result<Option<bool>, Failure> {
    if !io::stdin().is_terminal() {
        let text = "whether to keep the demo's folder cannot be asked without a terminal → say --keep or --delete";
        return Err(Failure::new(Exit::Usage, text));
    }
    eprintln!("End the demo? Its lab, its engine and a run under way end. The folder is {folder}.");
    eprint!("y: end it and delete the folder · k: end it and keep the folder · n: it goes on  [n] ");
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(match line.trim() {
        "y" => Some(false),
        "k" => Some(true),
        _ => None,
    })
}

/// Without a cockpit: everything it started ends with it, by a signal too.
async fn alone(chosen: &Scenario, args: &DemoArgs, format: Format) -> Result<Exit, Failure> {
    let stopped = lab::stopped()?;
    let stage = Stage::set(Pace(args.speed), chosen.extent, Environment::Production).await?;
    if let Some(dir) = &args.dir {
        handout::write(&stage.lab.endpoints, dir)?;
    }
    if let Some(control) = stage.lab.endpoints.get("control") {
        eprintln!(
            "break something yourself, from another terminal: mayday lab break PLACE CONDITION --control {control}"
        );
    }
    let outcome = tokio::select! {
        outcome = headless(&stage, chosen, format) => outcome,
        () = stopped => Err(Failure::failed("the demo was ended by a signal; nothing of it is left")),
    };
    stage.strike().await;
    outcome
}

async fn headless(stage: &Stage, chosen: &Scenario, format: Format) -> Result<Exit, Failure> {
    let client = stage.client();
    until(&client, "the lab healthy", is_healthy).await?;
    eprintln!("the lab is healthy; {}", chosen.title);
    let world = stage.lab.world.clone();
    let play = tokio::spawn({
        let chosen = chosen.clone();
        async move { scenario::play(&world, &chosen).await }
    });
    let plan = match called_for(&client, &play, chosen.plan.as_deref().map(PlanId::from)).await {
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
    let word = of_its_pace(stage.lab.world.pace.0);
    let pace = if word.is_some() { failover::Pace::Another } else { failover::Pace::OfLife };
    let exit = follow::follow_at(pace, &client, format).await?;
    let served = client_is_served(&stage.lab).await;
    play.abort();
    if let Some(word) = word {
        eprintln!("{word}");
    }
    eprintln!("the synthetic client {}", if served { "reads and writes again" } else { "is NOT served" });
    Ok(if served || exit != Exit::Ok { exit } else { Exit::Failed })
}

/// How things stand after a scenario that calls for no failover.
async fn stands(client: &Client, format: Format) -> Result<Exit, Failure> {
    let view = client.snapshot().await?;
    match format {
        Format::Json => writeln!(out(), "{:#}", status::json(&view))?,
        Format::Text => write!(out(), "{}", status::text(&view))?,
    }
    eprintln!("nothing has to be failed over");
    Ok(Exit::Ok)
}
