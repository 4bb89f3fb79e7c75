//! `mayday lab`: the embedded lab by itself, with what standard clients need to reach it.

use std::io::{self, Write};

use tokio::signal::unix::{SignalKind, signal};

use super::failure::Failure;
use super::{sweep, visit};
use crate::cli::args::{Format, LabArgs};
use crate::cli::exit::Exit;
use crate::cli::out::out;
use crate::lab::scenario::{self, Scenario};
use crate::lab::{Extent, Lab, Pace, estate, handout};

/// Runs the lab until it is interrupted, or looks into the one that runs.
///
/// # Errors
/// When a loopback address cannot be listened on, or the directory cannot be written to; when no lab runs to be looked into.
pub async fn run(args: &LabArgs, format: Format) -> Result<Exit, Failure> {
    match &args.command {
        Some(command) => visit::run(command, format).await,
        None => serve(args, format).await,
    }
}

async fn serve(args: &LabArgs, format: Format) -> Result<Exit, Failure> {
    let chosen = args.scenario.as_deref().map(find).transpose()?;
    // What one that was killed left behind.
    sweep::sweep(&std::env::temp_dir()).await;
    let extent = chosen.as_ref().map(|chosen| chosen.extent).unwrap_or_default();
    let lab = start(Pace(args.speed), extent).await?;
    let dir = std::path::absolute(&args.dir)?;
    let mut files = handout::write(&lab.endpoints, &dir)?;
    let config = dir.join("config.toml");
    std::fs::write(&config, estate::config_for(&lab.endpoints, lab.world.pace).map_err(Failure::failed)?)?;
    files.push(config);
    let mut out = out();
    match format {
        Format::Json => writeln!(out, "{:#}", handout::json(&lab.endpoints, &dir))?,
        Format::Text => {
            for (name, address) in &lab.endpoints {
                writeln!(out, "{name:<32} {address}")?;
            }
            writeln!(out)?;
            files.iter().try_for_each(|file| writeln!(out, "wrote {}", file.display()))?;
            for region in lab.world.extent.regions() {
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
    let stopped = stopped()?;
    tokio::select! {
        () = play => {}
        () = stopped => {}
    }
    Ok(Exit::Ok)
}

/// Until somebody asks for the end: from now on none of these signals ends the process before it has put away what it made.
///
/// # Errors
/// When signals cannot be caught.
pub fn stopped() -> io::Result<impl Future<Output = ()>> {
    let [mut interrupt, mut terminate] = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Starts a lab.
///
/// # Errors
/// When a loopback address cannot be listened on.
pub async fn start(pace: Pace, extent: Extent) -> Result<Lab, Failure> {
    let cannot = |error: io::Error| {
        let doors: Vec<String> = extent.doors().iter().map(|(_, ip)| ip.to_string()).collect();
        Failure::failed(format!(
            "the lab cannot listen on loopback: {error} → it needs 127.0.0.1 and {}",
            doors.join(", ")
        ))
    };
    Lab::start_with(pace, extent).await.map_err(cannot)
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
