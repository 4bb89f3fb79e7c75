//! The program: one function a subcommand.

use std::io::{self, Write};

use super::failure::Failure;
use super::places::Places;
use super::say::{ask, say};
use super::towards::find;
use super::{
    about, alerts, demo, drill, edit, engine, follow, init, journals, kinds, lab, notices, reports, settings, towards,
    watch,
};
use crate::api::client::Client;
use crate::cli::args::{
    ChecklistCommand, Cli, Command, Common, ConfigCommand, DrillCommand, EngineCommand, FailoverCommand, Format,
    HoldCommand, IncidentCommand, PlanCommand, RunArgs, SeverityArgs, StepCommand, WaybackCommand,
};
use crate::cli::exit::Exit;
use crate::cli::out::out;
use crate::cli::{self, backups, check, checklist, contacts, engines, plan, ready, status, wayback};
use crate::config;
use crate::domain::command::Ask;
use crate::domain::comms::{Answers, Duty, HandOver};
use crate::domain::ids::{PlanId, RegionId, RunId};
use crate::domain::readiness::Ready;
use crate::domain::run::Mode;
use crate::domain::view::Snapshot;
use crate::domain::wayback::FAILBACK;

/// Runs the program.
///
/// # Errors
/// What ends it early, with the exit code that says so.
pub async fn run(cli: Cli) -> Result<Exit, Failure> {
    let common = cli.common;
    if cli.cockpit.read_only && cli.command.is_some() {
        let text = "--read-only belongs to the cockpit (`mayday --read-only`) and does not hold back a command, so nothing was done → leave it out";
        return Err(Failure::new(Exit::Usage, text));
    }
    match cli.command {
        Some(Command::Demo(args)) => demo::run(&args, common.output).await,
        Some(Command::Lab(args)) => lab::run(&args, common.output).await,
        Some(Command::Drill(DrillCommand::Game(args))) => drill::game::run(&args, common.output).await,
        Some(Command::Kinds { name }) => {
            let known = name.as_deref().is_none_or(|name| cli::kinds::is_known(&kinds(), name));
            match cli::kinds::kinds(&kinds(), name.as_deref(), common.output == Format::Json, &mut out()) {
                Err(fault) if !known => Err(Failure::new(Exit::Usage, fault.to_string())),
                said => said.map(|()| Exit::Ok).map_err(Failure::from),
            }
        }
        Some(Command::Schema { name }) => about::schema(name.as_deref(), common.output),
        Some(Command::Keys) => about::keys(common.output),
        Some(Command::Themes) => about::themes(common.output),
        Some(Command::Completions { shell }) => about::completions(shell),
        Some(Command::Man) => about::man(),
        command => with_places(&common, command, &cli.cockpit).await,
    }
}

async fn with_places(
    common: &Common,
    command: Option<Command>,
    cockpit: &cli::args::CockpitArgs,
) -> Result<Exit, Failure> {
    let places = Places::find(common).map_err(|text| Failure::new(Exit::Usage, text))?;
    let format = common.output;
    match command {
        Some(Command::Init(args)) => init::run(args.path.as_ref().unwrap_or(&places.config), &args).await,
        Some(Command::Config(ConfigCommand::Edit)) => edit::run(&places).await,
        Some(Command::Check(args)) => {
            let loaded = check_all(&places);
            let mut warnings =
                loaded.as_ref().map(|config| super::warnings::warnings(config, &kinds())).unwrap_or_default();
            let tried = match &loaded {
                Ok(config) if args.connect => Some(super::connect::all(config).await),
                _ => None,
            };
            if let Ok(config) = &loaded {
                warnings.extend(super::inspect(&config.estate).await);
            }
            match format {
                Format::Json => writeln!(out(), "{:#}", check::answer(&loaded, &warnings, tried.as_deref()))?,
                Format::Text => {
                    check::check(&loaded, &warnings, args.verbose, &mut out())?;
                    tried.as_deref().map_or(Ok(()), |tried| cli::connect::text(tried, &mut out()))?;
                }
            }
            Ok(match loaded.is_ok() {
                false => Exit::Config,
                true if tried.is_some_and(|tried| cli::connect::fails(&tried)) => Exit::NotReady,
                true => Exit::Ok,
            })
        }
        Some(Command::Engine(args)) => match args.command {
            Some(EngineCommand::Stop) => {
                let accepted = places.client().stop().await.map_err(|error| engine::not_stopped(&places, error))?;
                say(format, &accepted, accepted.note.clone().unwrap_or_default())
            }
            Some(EngineCommand::Reload) => {
                let accepted = Client::new(&places.socket).reload().await?;
                say(format, &accepted, accepted.note.clone().unwrap_or_default())
            }
            None => engine::run(&places, &args).await.map(|()| Exit::Ok),
        },
        Some(Command::Journal(command)) => journals::run(&places, command, format).await,
        Some(Command::Drill(DrillCommand::Run(args))) => drill::run::run(&places, &args, format).await,
        Some(Command::Drill(DrillCommand::Look(command))) => drill::look(&places, &command, format).await,
        Some(Command::Report(args)) => reports::report(&places, args, format).await,
        Some(Command::Incident(IncidentCommand::List)) => reports::list(&places, format).await,
        Some(Command::Incident(IncidentCommand::Show { incident: Some(id) })) => {
            reports::show(&places, &id, format).await
        }
        None => {
            super::cockpit::needs_terminal()?;
            engine::ensure(&places).await?;
            let exit = super::cockpit::run(&places, cockpit).await?;
            // Nobody may be there to read it.
            let _ = writeln!(io::stderr(), "the engine goes on: `mayday` attaches again, `mayday engine stop` ends it");
            Ok(exit)
        }
        Some(command) => with_engine(&engine::ensure(&places).await?, command, format).await,
    }
}

/// The config, its plans, and the operator's own cockpit.toml.
fn check_all(places: &Places) -> Result<config::Config, config::Mistakes> {
    let folder = settings::folder();
    let own = settings::themes(folder.as_deref()).and_then(|library| settings::wanted(folder.as_deref(), &library));
    let loaded = config::load(&places.config, &kinds()).and_then(super::refuse::sound);
    match (loaded, own) {
        (loaded, Ok(_)) => loaded,
        (Ok(_), Err(own)) => Err(own),
        (Err(mut mistakes), Err(own)) => {
            mistakes.0.extend(own.0);
            Err(mistakes)
        }
    }
}

async fn with_engine(client: &Client, command: Command, format: Format) -> Result<Exit, Failure> {
    match command {
        Command::Plan(command) => plans(client, command, format).await,
        Command::Failover(FailoverCommand::Run(args)) => failover(client, args, format).await,
        Command::Failover(FailoverCommand::Follow) => follow::follow(client, format).await,
        Command::Failover(FailoverCommand::Abandon { reason }) => {
            let run = current_run(&client.snapshot().await?)?;
            ask(client, Ask::Abandon { run, reason }, format).await
        }
        Command::Failover(FailoverCommand::Revert { reason, phrase }) => {
            super::revert::revert(client, reason, phrase, format).await
        }
        Command::Wayback(WaybackCommand::Status) => {
            let view = client.snapshot().await?;
            say(format, &wayback::json(&view), wayback::text(&view))?;
            Ok(if wayback::fails(&view) { Exit::NotReady } else { Exit::Ok })
        }
        Command::Wayback(WaybackCommand::Plan) => {
            let view = client.snapshot().await?;
            let made = find(&view, FAILBACK)?;
            say(format, &*made, plan::show(&made))
        }
        Command::Step(command) => step(client, command, format).await,
        Command::Hold(HoldCommand::On { reason }) => ask(client, Ask::Hold { reason }, format).await,
        Command::Hold(HoldCommand::Off { reason }) => ask(client, Ask::Release { reason }, format).await,
        Command::ByHand { name, all } => {
            let steps = client.by_hand(&PlanId::from(name), !all).await?;
            say(format, &steps, plan::by_hand(&steps))
        }
        Command::Incident(command) => incident(client, command, format).await,
        Command::Watch(args) => watch::run(client, &args, format).await,
        Command::Notify(args) => notices::notify(client, args, format).await,
        Command::Outbox(command) => notices::outbox(client, command, format).await,
        Command::Alert { from: Some(from) } => {
            let taken = client.alerts(&alerts::sending(&from).await?).await?;
            say(format, &taken, taken.note.clone().unwrap_or_default())
        }
        Command::Alert { from: None } => {
            let view = client.snapshot().await?;
            say(format, &crate::cli::alerts::json(&view), crate::cli::alerts::text(&view))
        }
        Command::Metrics => {
            write!(out(), "{}", client.metrics().await?)?;
            Ok(Exit::Ok)
        }
        Command::Backups => {
            let view = client.snapshot().await?;
            say(format, &backups::json(&view), backups::text(&view))?;
            Ok(if backups::fails(&view) { Exit::NotReady } else { Exit::Ok })
        }
        Command::Ready(args) => {
            let plan = args.name.map(PlanId::from);
            if let Some(region) = args.without.map(RegionId::from) {
                let found = client.without(&region, plan.as_ref()).await?;
                say(format, &ready::without_json(&found), ready::without(&found, args.all))?;
                return Ok(if found.ready() > Ready::AtRisk { Exit::NotReady } else { Exit::Ok });
            }
            let found = client.assess(plan.as_ref()).await?;
            let text = match found.is_empty() {
                true => ready::without_plans(&client.snapshot().await?),
                false => ready::text(&found, args.all),
            };
            say(format, &ready::json(&found), text)?;
            Ok(if ready::fails(&found) { Exit::NotReady } else { Exit::Ok })
        }
        Command::Checklist(args) => checks(client, args.command, format).await,
        Command::Engines => {
            let view = client.snapshot().await?;
            say(format, &engines::json(&view), engines::text(&view))?;
            Ok(if engines::fails(&view) { Exit::NotReady } else { Exit::Ok })
        }
        Command::Contacts => {
            let view = client.snapshot().await?;
            say(format, &contacts::json(&view), contacts::text(&view))
        }
        other => {
            let verbose = matches!(other, Command::Status(args) if args.verbose);
            let view = client.snapshot().await?;
            say(format, &status::json(&view), if verbose { status::verbose(&view) } else { status::text(&view) })
        }
    }
}

async fn plans(client: &Client, command: PlanCommand, format: Format) -> Result<Exit, Failure> {
    let view = client.snapshot().await?;
    match command {
        PlanCommand::List => say(format, &plan::list_json(&view), plan::list(&view)),
        PlanCommand::Show { name } => {
            let found = find(&view, &name)?;
            say(format, &*found, plan::show(&found))
        }
        PlanCommand::Preview { name } => {
            let steps = client.preview(&find(&view, &name)?.id).await?;
            say(format, &steps, plan::preview(&steps))
        }
    }
}

async fn failover(client: &Client, args: RunArgs, format: Format) -> Result<Exit, Failure> {
    let view = client.snapshot().await?;
    let plan = towards::plan(&view, &args).await?;
    if args.mode.acts() && args.yes && args.reason.is_empty() {
        return Err(Failure::new(Exit::Usage, "an unattended live run needs a reason → give one with --reason"));
    }
    if args.mode.acts() && view.state.incident.is_none() {
        let drill = args.mode == Mode::Drill;
        let reason = args.reason.clone();
        let title = if reason.is_empty() { "Manual failover requested".to_owned() } else { reason };
        client.ask(&Ask::Declare { title, severity: args.severity, drill }).await?;
    }
    client.ask(&Ask::StartRun { plan, mode: args.mode, reason: args.reason, unattended: args.yes }).await?;
    follow::follow(client, format).await
}

fn current_run(view: &Snapshot) -> Result<RunId, Failure> {
    let none = || Failure::new(Exit::Refused, "nothing was run yet → mayday failover run PLAN");
    view.state.run.as_ref().map(|run| run.id.clone()).ok_or_else(none)
}

async fn step(client: &Client, command: StepCommand, format: Format) -> Result<Exit, Failure> {
    let run = current_run(&client.snapshot().await?)?;
    let asked = match command {
        StepCommand::Confirm { step, phrase } => Ask::Confirm { run, step: step.into(), phrase, seen: None },
        StepCommand::Override { step, phrase, reason } => Ask::Override { run, step: step.into(), phrase, reason },
        StepCommand::Retry { step, reason } => Ask::Retry { run, step: step.into(), reason },
        StepCommand::Skip { step, reason } => Ask::Skip { run, step: step.into(), reason },
        StepCommand::Done { step, reason } => Ask::MarkDone { run, step: step.into(), reason },
        StepCommand::Revert { step, reason } => Ask::Revert { run, step: step.into(), reason },
    };
    ask(client, asked, format).await
}

/// Answers for an item, then shows the list: the exit code says whether anything is open.
async fn checks(client: &Client, command: Option<ChecklistCommand>, format: Format) -> Result<Exit, Failure> {
    match command {
        None | Some(ChecklistCommand::List) => {}
        Some(ChecklistCommand::Look { item: Some(item) }) => {
            client.ask(&Ask::LookAtItem { item: item.into() }).await?;
        }
        Some(ChecklistCommand::Look { item: None }) => {
            let view = client.snapshot().await?;
            for it in view.state.incident.iter().flat_map(|incident| &incident.checklist.items) {
                client.ask(&Ask::LookAtItem { item: it.item.id.clone() }).await?;
            }
        }
        Some(ChecklistCommand::Tick { item, note }) => {
            client.ask(&Ask::TickItem { item: item.into(), note }).await?;
        }
        Some(ChecklistCommand::Skip { item, reason }) => {
            client.ask(&Ask::SkipItem { item: item.into(), reason }).await?;
        }
        Some(ChecklistCommand::Reopen { item, reason }) => {
            client.ask(&Ask::ReopenItem { item: item.into(), reason }).await?;
        }
    }
    let view = client.snapshot().await?;
    say(format, &checklist::json(&view), checklist::text(&view))?;
    Ok(if checklist::is_open(&view) { Exit::OpenItems } else { Exit::Ok })
}

async fn incident(client: &Client, command: IncidentCommand, format: Format) -> Result<Exit, Failure> {
    match command {
        IncidentCommand::Declare { title, severity, drill } => {
            let declare = Ask::Declare { title, severity, drill };
            match format {
                // The incident itself is the answer.
                Format::Json => drop(client.ask(&declare).await?),
                Format::Text => drop(ask(client, declare, format).await?),
            }
        }
        IncidentCommand::Show { .. } | IncidentCommand::List => {}
        IncidentCommand::Close { note, despite, tell } => {
            return ask(client, Ask::CloseIncident { note, despite, tell }, format).await;
        }
        IncidentCommand::Title { title } => return ask(client, Ask::SetTitle { title }, format).await,
        IncidentCommand::Ack => return ask(client, Ask::Acknowledge {}, format).await,
        IncidentCommand::Lead { duty: Duty::Command } => return ask(client, Ask::TakeCommand {}, format).await,
        IncidentCommand::Lead { duty: Duty::Communications } => {
            return ask(client, Ask::TakeCommunications {}, format).await;
        }
        IncidentCommand::Handoff { duty, to, note } => {
            return ask(client, Ask::HandOver { hand_over: HandOver { duty, to }, note }, format).await;
        }
        IncidentCommand::Severity(args) => return ask(client, severity(args)?, format).await,
    }
    let view = client.snapshot().await?;
    let text = match &view.state.incident {
        Some(it) => format!("{} {} {}: {}\n{}", it.id, it.severity, it.phase, it.title, status::verdicts(&view)),
        None => "No incident is open.".into(),
    };
    say(format, &view.state.incident, text)
}

fn severity(args: SeverityArgs) -> Result<Ask, Failure> {
    match (args.severity, args.affected, args.broken, args.data) {
        (Some(severity), ..) => Ok(Ask::SetSeverity { severity, reason: args.reason }),
        (None, Some(affected), Some(broken), Some(data)) => {
            Ok(Ask::AssessSeverity { answers: Answers { affected, broken, data } })
        }
        _ => Err(Failure::new(Exit::Usage, "say a severity, or answer --affected, --broken and --data")),
    }
}
