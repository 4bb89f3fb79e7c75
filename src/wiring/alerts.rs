//! What other monitoring says, read from a file or from stdin.

use std::path::Path;

use serde_json::Value;
use tokio::io::AsyncReadExt;

use super::failure::Failure;
use crate::cli::exit::Exit;
use crate::domain::text::clean;

/// More is no sending of alerts.
const LONGEST: u64 = 1024 * 1024;

/// The JSON in a file, or on stdin for `-`.
///
/// # Errors
/// When it cannot be read, or is no JSON.
pub async fn sending(from: &Path) -> Result<Value, Failure> {
    let name = if from == Path::new("-") { "stdin".to_owned() } else { clean(&from.display().to_string()) };
    let mut text = Vec::new();
    let read = match from == Path::new("-") {
        true => tokio::io::stdin().take(LONGEST + 1).read_to_end(&mut text).await,
        false => match tokio::fs::File::open(from).await {
            Ok(file) => file.take(LONGEST + 1).read_to_end(&mut text).await,
            Err(error) => Err(error),
        },
    };
    read.map_err(|error| Failure::new(Exit::Usage, format!("{name} cannot be read: {error}")))?;
    if text.len() as u64 > LONGEST {
        return Err(Failure::new(Exit::Usage, format!("{name} is longer than 1 MiB: it is no sending of alerts")));
    }
    serde_json::from_slice(&text).map_err(|error| Failure::new(Exit::Usage, format!("{name} is not JSON: {error}")))
}
