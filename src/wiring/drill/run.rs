//! `mayday drill run`: plays a drill, writes its evidence, and has the engine take the result down.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::engine;
use super::super::failure::Failure;
use super::super::places::Places;
use super::super::say::say;
use super::bundle;
use super::play::{Operator, Order, Played, play};
use crate::api::client::Client;
use crate::cli::args::{DrillRunArgs, Format};
use crate::cli::exit::Exit;
use crate::cli::{drill, status};
use crate::domain::command::Ask;
use crate::domain::drill::{DrillResult, Stage};
use crate::domain::ids::DrillId;
use crate::domain::run::StepRun;
use crate::domain::schedule::{Drill, DrillSpec};
use crate::domain::time::{At, after, seconds_between};
use crate::domain::view::Snapshot;

/// Where the protected estate is known from.
struct Home {
    client: Client,
    view: Snapshot,
}

/// Plays a drill.
///
/// # Errors
/// When there is none of the name, it is refused, or its result cannot be taken down.
pub async fn run(places: &Places, args: &DrillRunArgs, format: Format) -> Result<Exit, Failure> {
    let home = match args.unrecorded {
        true => None,
        false => {
            let client = engine::ensure(places).await?;
            let view = client.snapshot().await?;
            Some(Home { client, view })
        }
    };
    let spec = chosen(args, home.as_ref())?;
    let operator = if args.attended { Operator::Cockpit(&args.cockpit) } else { Operator::Automatic };
    let own = home.as_ref().map(|home| &*home.view.estate);
    let began = tokio::time::Instant::now();
    // By the engine's time, where there is one to take it down.
    let started_at = home.as_ref().map_or_else(jiff::Timestamp::now, |home| home.view.now);
    let played = play(&Order { spec: &spec, own, operator }).await?;
    let folder = spec.bundles.as_ref().map_or_else(|| places.state.join("drills"), PathBuf::from);
    let folder = std::path::absolute(folder.join(format!("{}-{}", spec.name, started_at.strftime("%Y%m%dT%H%M%SZ"))))?;
    let mut result = result(&spec, started_at, &played, &folder);
    let expected = expected(home.as_ref(), started_at);
    let past = home.as_ref().map(|home| past(&home.view, &spec)).unwrap_or_default();
    // The evidence says of itself that it was written: where it cannot be, the result says so and there is no evidence.
    let written =
        |played: &Played| format!("{} records and the evidence in {}", played.records.len(), folder.display());
    result.stages.push((Stage::Document, true, written(&played)));
    result.passed = result.earns_a_pass();
    let mut drill = Drill { id: expected, ended_at: after(started_at, began.elapsed()), result };
    match bundle::write(&folder, &drill, &played, &past) {
        Ok(()) => eprintln!("{:<9} ok: {}", Stage::Document, folder.display()),
        Err(error) => {
            let word = format!("{} cannot be written: {error}", folder.display());
            eprintln!("{:<9} FAILED: {word}", Stage::Document);
            drill.result.stages.pop();
            drill.result.stages.push((Stage::Document, false, word));
            drill.result.passed = false;
        }
    }
    if let Some(home) = &home {
        let id = taken_down(&home.client, &drill.result).await?;
        if id != drill.id {
            // Another drill ended meanwhile: the evidence bears the number that the journal gave.
            drill.id = id;
            bundle::write(&folder, &drill, &played, &past)?;
        }
    }
    let text = match &home {
        Some(home) => drill::show(&home.client.snapshot().await?, &drill),
        None => drill::show_alone(&drill),
    };
    say(format, &json!(drill), text)?;
    Ok(if drill.result.passed { Exit::Ok } else { Exit::Failed })
}

/// The drill that is asked for, with what the command line says otherwise.
fn chosen(args: &DrillRunArgs, home: Option<&Home>) -> Result<DrillSpec, Failure> {
    let shipped = DrillSpec::shipped(&"regional-failover".into());
    let known = home.map_or(&shipped, |home| &home.view.estate.drills);
    let mut spec = super::find(known, &args.name)?.clone();
    if let Some(estate) = &args.estate {
        spec.estate = Some(estate.display().to_string());
    }
    if let Some(speed) = args.speed {
        spec.speed = speed;
    }
    if let Some(scenario) = &args.scenario {
        spec.scenario.clone_from(scenario);
    }
    if let Some(bundles) = &args.bundles {
        spec.bundles = Some(bundles.display().to_string());
    }
    Ok(spec)
}

/// The number that the journal will give, unless another drill ends meanwhile; without one, a name by its time.
fn expected(home: Option<&Home>, at: At) -> DrillId {
    let number = home.map(|home| (home.view.now.strftime("%Y%m%d").to_string(), home.view.state.drills_ended + 1));
    DrillId::new(match number {
        Some((day, number)) => format!("DRILL-{day}-{number}"),
        None => format!("DRILL-{}-unrecorded", at.strftime("%Y%m%dT%H%M%SZ")),
    })
}

/// Earlier drills of the same plan, the oldest first.
fn past(view: &Snapshot, spec: &DrillSpec) -> Vec<(DrillId, DrillResult)> {
    let mut past: Vec<&Drill> = view.state.drills.values().flatten().filter(|it| it.result.plan == spec.plan).collect();
    past.sort_by_key(|it| it.ended_at);
    past.into_iter().map(|it| (it.id.clone(), it.result.clone())).collect()
}

fn result(spec: &DrillSpec, started_at: At, played: &Played, folder: &Path) -> DrillResult {
    let view = played.view.as_ref();
    let estate = match (&spec.estate, view) {
        (Some(_), Some(view)) => view.estate.name.clone(),
        (Some(file), None) => file.clone(),
        (None, _) if spec.speed == 1 => "lab".into(),
        (None, _) => format!("lab, {}x", spec.speed),
    };
    // The lab's clock runs faster: what takes a minute there is over in a few seconds. Every figure is on that clock.
    let pace = if spec.estate.is_none() { spec.speed as f64 } else { 1.0 };
    let run = view.and_then(|view| view.state.run.as_ref());
    let took = |step: &StepRun| Some(seconds_between(step.begun.as_ref()?.at, step.ended_at?) * pace);
    let steps = run.into_iter().flat_map(|run| run.in_order());
    DrillResult {
        name: spec.name.clone(),
        cadence: spec.cadence,
        plan: spec.plan.clone(),
        scenario: spec.scenario.clone(),
        estate,
        pace: pace as u64,
        started_at,
        passed: false,
        stages: played.stages.clone(),
        rto: view
            .into_iter()
            .flat_map(status::rto)
            .filter(|it| it.recovered)
            .filter_map(|it| Some((it.tier, it.elapsed? * pace)))
            .collect(),
        rpo: view
            .into_iter()
            .flat_map(status::rpo)
            .filter_map(|it| Some((it.class, it.loss.seconds()? * pace)))
            .collect(),
        steps: steps.filter_map(|(spec, step)| Some((spec.id.clone(), took(step)?))).collect(),
        left_behind: played.left_behind(),
        bundle: folder.display().to_string(),
    }
}

/// Has the engine take the result down; says under which number.
async fn taken_down(client: &Client, result: &DrillResult) -> Result<DrillId, Failure> {
    let lost = |why: String| {
        let played = drill::outcome(result);
        Failure::unreachable(format!(
            "the drill {played}, and its result could not be taken down: {why} → its evidence is in {}",
            result.bundle
        ))
    };
    client
        .ask(&Ask::RecordDrill { result: Box::new(result.clone()) })
        .await
        .map_err(|error| lost(error.to_string()))?;
    let view = client.snapshot().await.map_err(|error| lost(error.to_string()))?;
    let known = view.state.drills.get(&result.name).into_iter().flatten();
    let ours = known.rev().find(|it| it.result.started_at == result.started_at);
    ours.map(|it| it.id.clone()).ok_or_else(|| lost("the engine does not show it".into()))
}
