//! `mayday failover revert`: what goes back is shown and confirmed as a whole, then followed.

use std::io::{self, BufRead, IsTerminal, Write};

use super::failure::Failure;
use super::follow;
use crate::api::client::Client;
use crate::cli::args::Format;
use crate::cli::exit::Exit;
use crate::domain::command::Ask;
use crate::domain::decide::revert_phrase;
use crate::domain::run::{Outcome, Run};
use crate::domain::view::Snapshot;
use crate::domain::wayback::{against, undoing};

/// Takes the latest run back and follows it.
///
/// # Errors
/// When it is refused, or the engine is lost.
pub async fn revert(client: &Client, reason: String, phrase: String, format: Format) -> Result<Exit, Failure> {
    let view = client.snapshot().await?;
    let none = || Failure::new(Exit::Refused, "nothing was run yet → mayday failover run PLAN");
    let run = view.state.run.as_ref().ok_or_else(none)?;
    let phrase = if phrase.is_empty() && io::stdin().is_terminal() { asked(&view, run).await? } else { phrase };
    let accepted = client.ask(&Ask::RevertRun { run: run.id.clone(), phrase, reason }).await?;
    if let (Some(note), Format::Text) = (accepted.note, format) {
        eprintln!("{note}");
    }
    let exit = follow::follow(client, format).await?;
    let run = client.snapshot().await?.state.run;
    Ok(if run.is_some_and(|run| run.outcome == Some(Outcome::Reverted)) { Exit::Ok } else { exit })
}

/// Shows what goes back and what stays, and asks for the phrase.
async fn asked(view: &Snapshot, run: &Run) -> Result<String, Failure> {
    let found = undoing(run);
    found.back.iter().for_each(|step| eprintln!("  goes back  {step}"));
    found.stays.iter().for_each(|(step, why)| eprintln!("  stays      {step}: {why}"));
    let against = against(&view.estate, &view.state, run, &found, &view.live.probes, view.now);
    against.iter().for_each(|why| eprintln!("  AGAINST    {why}"));
    let longer = if against.is_empty() { "" } else { "override " };
    eprint!("  type {longer}{} to go on: ", revert_phrase(run));
    io::stderr().flush()?;
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    Ok(line.await.map_err(io::Error::other)??.trim().to_owned())
}
