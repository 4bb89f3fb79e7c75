//! The cockpit on an engine's socket.

use std::path::Path;

use super::failure::Failure;
use crate::cli::args::CockpitArgs;
use crate::cli::exit::Exit;

/// Attaches a cockpit; the engine goes on when it is left.
///
/// # Errors
/// When there is no terminal to run in.
pub async fn run(_socket: &Path, _args: &CockpitArgs) -> Result<Exit, Failure> {
    Err(Failure::failed("the cockpit is not part of this build yet"))
}
