//! How a command answers: in text or in JSON.

use std::io::{self, Write};

use serde::Serialize;

use super::failure::Failure;
use crate::api::client::Client;
use crate::cli;
use crate::cli::args::Format;
use crate::cli::exit::Exit;
use crate::cli::out::out;
use crate::domain::command::Ask;

/// Prints one of the two.
pub fn say(format: Format, json: &impl Serialize, text: String) -> Result<Exit, Failure> {
    let text = match format {
        Format::Json => serde_json::to_string_pretty(json).map_err(io::Error::other)?,
        Format::Text => text,
    };
    writeln!(out(), "{}", text.trim_end())?;
    Ok(Exit::Ok)
}

pub(super) async fn ask(client: &Client, ask: Ask, format: Format) -> Result<Exit, Failure> {
    let mut accepted = client.ask(&ask).await?;
    let note = accepted.note.get_or_insert_with(|| cli::done::words(&ask)).clone();
    say(format, &accepted, note)
}
