//! `mayday demo`: the lab, a private engine and the cockpit, on an incident. Everything it started ends with it.

use std::io::Write;

use serde_json::json;

use super::failure::Failure;
use super::stage::{Stage, called_for, client_is_served, is_healthy, of_its_pace, until};
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
use crate::lab::{Pace, handout};

/// Plays an incident.
///
/// # Errors
/// When the lab or the engine cannot be started, or the engine is lost.
pub async fn run(args: &DemoArgs, format: Format) -> Result<Exit, Failure> {
    if args.list {
        return list(format);
    }
    let chosen = lab::find(&args.scenario)?;
    let stage = Stage::set(Pace(args.speed), Environment::Production).await?;
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
            writeln!(out(), "{:#}", json!(rows))?;
        }
        Format::Text => {
            let rows: Vec<Vec<String>> = all.iter().map(|it| vec![it.name.to_owned(), it.title.clone()]).collect();
            write!(out(), "{}", table(&["scenario", "what goes wrong"], &rows))?;
        }
    }
    Ok(Exit::Ok)
}

async fn attended(stage: &Stage, chosen: &Scenario, args: &DemoArgs) -> Result<Exit, Failure> {
    let play = async {
        scenario::play(&stage.lab.world, chosen).await;
        std::future::pending().await
    };
    tokio::select! {
        exit = cockpit::run(&stage.engine.places, &args.cockpit) => exit,
        never = play => never,
    }
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
