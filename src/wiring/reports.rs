//! `mayday report` and what looks back: by the engine if one answers; else from the journal's file, so that a review can be written when
//! no engine can start.

use std::io::{self, Write};
use std::path::Path;

use super::failure::Failure;
use super::journals::Source;
use super::places::Places;
use super::say::say;
use crate::cli;
use crate::cli::args::{Format, ReportArgs, ReportFormat};
use crate::cli::exit::Exit;
use crate::cli::out::out;
use crate::domain::ids::IncidentId;
use crate::domain::journal::Records;
use crate::domain::review::Documents;
use crate::domain::time::At;
use crate::report::fold::Lister;
use crate::report::reports;
use crate::report::review::Review;

/// Prints the review of an incident, or writes it to a file.
///
/// # Errors
/// When the journal cannot be read, there is no such incident, or the file cannot be written.
pub async fn report(places: &Places, args: ReportArgs, output: Format) -> Result<Exit, Failure> {
    let documents = documents(places, args.incident.map(IncidentId::from)).await?;
    let format = args.format.unwrap_or(match output {
        Format::Json => ReportFormat::Json,
        Format::Text => ReportFormat::Md,
    });
    let text = match format {
        ReportFormat::Md => &documents.markdown,
        ReportFormat::Html => &documents.html,
        ReportFormat::Json => &documents.json,
    };
    match &args.out {
        None => write!(out(), "{text}")?,
        Some(path) => {
            put(path, text)?;
            eprintln!("the review of {} is in {}", documents.incident, path.display());
        }
    }
    Ok(Exit::Ok)
}

fn put(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| {
        Failure::failed(format!("{}: {error} → choose another --out, or leave it out to print it", path.display()))
    })
}

async fn documents(places: &Places, incident: Option<IncidentId>) -> Result<Documents, Failure> {
    match Source::of(places).await? {
        Source::Engine(client) => Ok(client.report(incident.as_ref()).await?),
        Source::Fresh => Err(missing(incident.as_ref())),
        Source::File(reader) => of_records(&reader, incident.as_ref()).await,
        Source::Shared(journal) => of_records(&*journal, incident.as_ref()).await,
    }
}

async fn of_records(journal: &dyn Records, incident: Option<&IncidentId>) -> Result<Documents, Failure> {
    let review = reports::review(journal, incident, At::now()).await?;
    Ok(reports::documents(&review.ok_or_else(|| missing(incident))?))
}

fn missing(incident: Option<&IncidentId>) -> Failure {
    Failure::new(
        Exit::Refused,
        match incident {
            Some(id) => format!("there is no incident `{id}` in this journal → mayday incident list"),
            None => "no incident was declared yet → mayday incident declare, or look at another --state-dir".into(),
        },
    )
}

/// Prints one incident at a glance.
///
/// # Errors
/// As [`report`].
pub async fn show(places: &Places, incident: &str, format: Format) -> Result<Exit, Failure> {
    let documents = documents(places, Some(incident.into())).await?;
    let review: Review = serde_json::from_str(&documents.json).map_err(io::Error::other)?;
    say(format, &cli::report::json(&review), cli::report::show(&review))
}

/// Prints every incident in a line.
///
/// # Errors
/// When the journal cannot be read.
pub async fn list(places: &Places, format: Format) -> Result<Exit, Failure> {
    let (source, mut lister, mut after) = (Source::of(places).await?, Lister::default(), 0);
    loop {
        let records = source.records(after).await?;
        let Some(last) = records.last() else { break };
        after = last.seq;
        records.iter().for_each(|record| lister.take(record));
    }
    let briefs = lister.finish(At::now());
    say(format, &briefs, cli::report::list(&briefs))
}
