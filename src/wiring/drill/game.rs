//! `mayday drill game`: a day on which something goes wrong, and nobody at the terminal knows what. At its end there is a score card.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::super::cockpit;
use super::super::failure::Failure;
use super::super::say::say;
use super::super::stage::{Stage, called_for, of_its_pace, until_well};
use crate::api::client::Client;
use crate::cli::args::{Format, GameArgs};
use crate::cli::exit::Exit;
use crate::cli::game;
use crate::domain::command::Ask;
use crate::domain::estate::Environment;
use crate::domain::event::Record;
use crate::domain::ids::PlanId;
use crate::domain::incident::Severity;
use crate::domain::run::{Mode, StepPhase};
use crate::domain::scorecard::score;
use crate::domain::time::after;
use crate::lab::hidden::draw;
use crate::lab::{Extent, Pace, scenario};

/// The longest that the automatic operator goes on trying.
const LONGEST: Duration = Duration::from_secs(20 * 60);
/// How long it waits before it tries a step again, on the lab's clock.
const AGAIN: Duration = Duration::from_secs(15);
const PAGE: usize = 1000;

/// Plays a game; the exit code is 0 only if every objective was met.
///
/// # Errors
/// When the lab or the engine cannot be started, or the engine is lost.
pub async fn run(args: &GameArgs, format: Format) -> Result<Exit, Failure> {
    if !args.headless {
        cockpit::needs_terminal()?;
    }
    // Nobody knows what day it is going to be; whoever wants the same one again is told at the end.
    let seed = args.seed.unwrap_or_else(|| jiff::Timestamp::now().as_microsecond().unsigned_abs() % 100_000);
    let day = draw(seed);
    let pace = Pace(args.speed);
    let stage = Stage::set(pace, Extent::Two, Environment::Production).await?;
    let client = stage.client();
    let played = async {
        until_well(&client).await?;
        let broken_at = after(client.snapshot().await?.now, pace.scale(day.disruption));
        let (world, chosen) = (stage.lab.world.clone(), day.scenario.clone());
        let play = tokio::spawn(async move { scenario::play(&world, &chosen).await });
        let outcome = if args.headless {
            eprintln!("the lab is healthy; the automatic operator plays day {seed}");
            operate(&client, &play, pace).await
        } else {
            cockpit::run(&stage.engine.places, &args.cockpit).await.map(drop)
        };
        play.abort();
        outcome?;
        let view = client.snapshot().await?;
        let records = all_records(&client).await?;
        Ok::<_, Failure>(score(&view.estate, &records, broken_at, view.live.refused))
    };
    let played = played.await;
    stage.strike().await;
    let card = played?;
    let pace_word = of_its_pace(args.speed);
    say(
        format,
        &json!({ "seed": seed, "happened": day.scenario.about, "speed": args.speed, "comparable": pace_word.is_none(), "card": card }),
        game::text(seed, &day.scenario.about, &card, pace_word.as_deref()),
    )?;
    let rto = card.rto.iter().all(|it| it.met == Some(true));
    let rpo = card.rpo.iter().all(|it| it.met == Some(true));
    Ok(if rto && rpo && !card.rto.is_empty() { Exit::Ok } else { Exit::ObjectiveMissed })
}

async fn all_records(client: &Client) -> Result<Vec<Record>, Failure> {
    let mut all = Vec::<Record>::new();
    loop {
        let more = client.records(all.last().map_or(0, |it| it.seq), PAGE).await?;
        if more.is_empty() {
            return Ok(all);
        }
        all.extend(more);
    }
}

/// Does what a calm human would: declares as soon as a rule counts, runs the plan, and looks again at what does not go on.
async fn operate(client: &Client, play: &tokio::task::JoinHandle<()>, pace: Pace) -> Result<(), Failure> {
    let Some(plan) = called_for(client, play, Some(PlanId::from("regional-failover"))).await? else {
        return Err(Failure::failed("nothing was seen that has to be failed over"));
    };
    let view = client.snapshot().await?;
    let title =
        view.triggers(view.now).into_iter().next().map_or_else(|| "the region is lost".to_owned(), |it| it.evidence);
    client.ask(&Ask::Declare { title, severity: Severity::Sev1, drill: false }).await?;
    let reason = "game day".to_owned();
    client.ask(&Ask::StartRun { plan, mode: Mode::Live, reason, unattended: true }).await?;
    let start = Instant::now();
    loop {
        let view = client.snapshot().await?;
        let Some(run) = &view.state.run else { return Err(Failure::failed("the run is gone")) };
        if !run.is_open() {
            break;
        }
        if start.elapsed() > LONGEST {
            return Err(Failure::failed("the automatic operator has given up"));
        }
        if run.waits_for_human(false) {
            sleep(pace.scale(AGAIN)).await;
            for (spec, step) in run.in_order() {
                let (run, step_id) = (run.id.clone(), spec.id.clone());
                let reason = "looked again".to_owned();
                let ask = match step.phase {
                    StepPhase::Blocked => Ask::Refresh { run, step: step_id },
                    StepPhase::Failed => Ask::Retry { run, step: step_id, reason },
                    _ => continue,
                };
                client.ask(&ask).await?;
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
    client
        .ask(&Ask::CloseIncident {
            note: "clients are served from the standby".into(),
            despite: "the operator of a game ticks no boxes".into(),
            tell: false,
        })
        .await?;
    Ok(())
}
