//! `mayday lab`: the embedded lab by itself, with what standard clients need to reach it.

use std::io::{self, Write};
use std::time::Duration;

use reqwest::Url;
use serde_json::Value;

use super::failure::Failure;
use super::run::say;
use crate::cli::args::{Format, InboxArgs, LabArgs, LabCommand};
use crate::cli::exit::Exit;
use crate::cli::inbox;
use crate::domain::text::clean;
use crate::lab::scenario::{self, Scenario};
use crate::lab::{Lab, Pace, REGIONS, estate, handout};
use crate::outbound::http::{client, root};

/// How long the control page may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the lab until it is interrupted, or looks into the one that runs.
///
/// # Errors
/// When a loopback address cannot be listened on, or the directory cannot be written to; when no lab runs to be looked into.
pub async fn run(args: &LabArgs, format: Format) -> Result<Exit, Failure> {
    match &args.command {
        Some(LabCommand::Inbox(args)) => show_inbox(args, format).await,
        None => serve(args, format).await,
    }
}

async fn show_inbox(args: &InboxArgs, format: Format) -> Result<Exit, Failure> {
    let control = match &args.control {
        Some(url) => url.clone(),
        None => control_of(args)?,
    };
    let missing = |why: String| {
        Failure::unreachable(format!(
            "no lab answers at {}: {why} → start one with `mayday lab`, or name its --dir or --control",
            clean(&control)
        ))
    };
    let service = args.service.iter().map(|service| ("service", service));
    let url = Url::parse_with_params(&format!("{}/inbox", control.trim_end_matches('/')), service);
    let asked = client().map_err(Failure::failed)?.get(url.map_err(|error| missing(error.to_string()))?);
    let answer = asked.timeout(PATIENCE).send().await.map_err(|error| missing(root(&error.without_url())))?;
    let (status, body) = (answer.status(), answer.json::<Value>().await);
    let body = body.map_err(|error| missing(root(&error.without_url())))?;
    if !status.is_success() {
        let why = body["error"].as_str().map_or_else(|| status.to_string(), clean);
        return Err(Failure::new(Exit::Usage, format!("the lab refuses: {why}")));
    }
    let text = inbox::text(&body).map_err(missing)?;
    say(format, &body, text)
}

/// The control page of the lab that wrote into the directory.
fn control_of(args: &InboxArgs) -> Result<String, Failure> {
    let file = args.dir.join("lab.json");
    let why = |what: String| {
        Failure::unreachable(format!(
            "no lab is known at {}: {what} → start one with `mayday lab`, or name its --dir or --control",
            file.display()
        ))
    };
    let text = std::fs::read_to_string(&file).map_err(|error| why(error.to_string()))?;
    let known: Value = serde_json::from_str(&text).map_err(|error| why(error.to_string()))?;
    let control = known["endpoints"]["control"].as_str();
    control.map(str::to_owned).ok_or_else(|| why("it has no control page".into()))
}

async fn serve(args: &LabArgs, format: Format) -> Result<Exit, Failure> {
    let chosen = args.scenario.as_deref().map(find).transpose()?;
    let lab = start(Pace(args.speed)).await?;
    let dir = std::path::absolute(&args.dir)?;
    let mut files = handout::write(&lab.endpoints, &dir)?;
    let config = dir.join("config.toml");
    std::fs::write(&config, estate::config_for(&lab.endpoints, lab.world.pace).map_err(Failure::failed)?)?;
    files.push(config);
    let mut out = io::stdout();
    match format {
        Format::Json => writeln!(out, "{:#}", handout::json(&lab.endpoints, &dir))?,
        Format::Text => {
            for (name, address) in &lab.endpoints {
                writeln!(out, "{name:<32} {address}")?;
            }
            writeln!(out)?;
            files.iter().try_for_each(|file| writeln!(out, "wrote {}", file.display()))?;
            for region in REGIONS {
                writeln!(
                    out,
                    "\n. {}   # aws, kubectl, … now talk to {region}",
                    dir.join(format!("env.{region}")).display()
                )?;
            }
            writeln!(
                out,
                "mayday --config {} --state-dir {}",
                dir.join("config.toml").display(),
                dir.join("state").display()
            )?;
            writeln!(out, "\nThe lab runs until it is interrupted (Ctrl-C).")?;
        }
    }
    out.flush()?;
    let play = async {
        if let Some(chosen) = &chosen {
            scenario::play(&lab.world, chosen).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = play => {}
        stopped = tokio::signal::ctrl_c() => stopped?,
    }
    Ok(Exit::Ok)
}

/// Starts a lab.
///
/// # Errors
/// When a loopback address cannot be listened on.
pub async fn start(pace: Pace) -> Result<Lab, Failure> {
    let cannot = |error: io::Error| {
        Failure::failed(format!(
            "the lab cannot listen on loopback: {error} → it needs 127.0.0.1, 127.0.0.11 and 127.0.0.12"
        ))
    };
    Lab::start(pace).await.map_err(cannot)
}

/// A scenario by name.
///
/// # Errors
/// When there is none of that name: the error lists those there are.
pub fn find(name: &str) -> Result<Scenario, Failure> {
    let all = all()?;
    let known = all.iter().map(|it| it.name).collect::<Vec<_>>().join(", ");
    let missing = || Failure::new(Exit::Usage, format!("there is no scenario `{name}` → choose one of {known}"));
    all.into_iter().find(|it| it.name == name).ok_or_else(missing)
}

/// Every scenario.
///
/// # Errors
/// When one of them cannot be read: a mistake of the build.
pub fn all() -> Result<Vec<Scenario>, Failure> {
    scenario::all().map_err(|error| Failure::failed(format!("a scenario cannot be read: {error}")))
}
