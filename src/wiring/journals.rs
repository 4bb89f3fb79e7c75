//! `mayday journal`: from the engine if one answers; else from its file, so that what happened can be read when no engine can start.

use std::io::{self, Write};

use super::engine;
use super::failure::Failure;
use super::places::Places;
use super::run::say;
use crate::api::client::{Client, Fed};
use crate::cli::args::{Format, JournalCommand};
use crate::cli::exit::Exit;
use crate::cli::journal;
use crate::cli::out::out;
use crate::domain::event::Record;
use crate::domain::journal::{Chain, Records};
use crate::domain::view::Update;
use crate::journal::Reader;

/// Records that are asked for at once.
const PAGE: usize = 1000;

/// Reads the journal.
///
/// # Errors
/// When it cannot be read, or was altered.
pub async fn run(places: &Places, command: JournalCommand, format: Format) -> Result<Exit, Failure> {
    match command {
        JournalCommand::Verify => {
            let chain = Source::find(places).await?.verify().await?;
            let text = format!("{} records, nothing altered; head {}", chain.records, chain.head);
            say(format, &chain, text)
        }
        JournalCommand::Export => export(&Source::find(places).await?).await,
        JournalCommand::Tail { lines, follow } => {
            let client = engine::ensure(places).await?;
            tail(&client, lines, follow, format).await
        }
    }
}

/// Where the journal is read from.
pub(super) enum Source {
    Engine(Client),
    File(Reader),
}

impl Source {
    pub async fn find(places: &Places) -> Result<Self, Failure> {
        let client = Client::new(&places.socket);
        match client.snapshot().await {
            Ok(_) => Ok(Self::Engine(client)),
            Err(error) if places.foreign => Err(error.into()),
            Err(_) => Ok(Self::File(Reader::open(&places.state).await?)),
        }
    }

    async fn verify(&self) -> Result<Chain, Failure> {
        Ok(match self {
            Self::Engine(client) => client.verify().await?,
            Self::File(reader) => reader.verify().await?,
        })
    }

    pub async fn records(&self, after: u64) -> Result<Vec<Record>, Failure> {
        Ok(match self {
            Self::Engine(client) => client.records(after, PAGE).await?,
            Self::File(reader) => reader.read(after, PAGE).await?,
        })
    }
}

async fn export(source: &Source) -> Result<Exit, Failure> {
    let mut after = 0;
    loop {
        let records = source.records(after).await?;
        let Some(last) = records.last() else { return Ok(Exit::Ok) };
        after = last.seq;
        for record in &records {
            writeln!(out(), "{}", serde_json::to_string(record).map_err(io::Error::other)?)?;
        }
    }
}

async fn tail(client: &Client, lines: usize, follow: bool, format: Format) -> Result<Exit, Failure> {
    let mut after = client.snapshot().await?.state.seq.saturating_sub(lines as u64);
    let mut feed = client.feed();
    loop {
        for record in client.records(after, PAGE).await? {
            after = record.seq;
            let line = match format {
                Format::Json => serde_json::to_string(&record).map_err(io::Error::other)?,
                Format::Text => journal::line(&record),
            };
            writeln!(out(), "{line}")?;
        }
        if !follow {
            return Ok(Exit::Ok);
        }
        loop {
            match feed.next().await {
                Fed::Update(Update::Record { record }) if record.seq > after => break,
                Fed::Snapshot(view) if view.state.seq > after => break,
                Fed::Lost(error) => eprintln!("{error}; looking for it again"),
                _ => {}
            }
        }
    }
}
