//! The cockpit on an engine's socket.

use std::io::IsTerminal;
use std::path::Path;

use super::failure::Failure;
use crate::cli::args::CockpitArgs;
use crate::cli::exit::Exit;
use crate::tui::socket::Socket;
use crate::tui::{self, Options, TuiError};

/// Whether there is a terminal to run in: asked before an engine is started for nothing.
///
/// # Errors
/// When there is none.
pub fn needs_terminal() -> Result<(), Failure> {
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        return Ok(());
    }
    let text = "the cockpit needs a terminal → run it in one, or use the commands: mayday status, mayday --help";
    Err(Failure::new(Exit::Usage, text))
}

/// Attaches a cockpit; the engine goes on when it is left.
///
/// # Errors
/// When there is no terminal to run in, or the options are not right.
pub async fn run(socket: &Path, args: &CockpitArgs) -> Result<Exit, Failure> {
    needs_terminal()?;
    let mut options = Options::of_environment();
    options.ascii |= args.ascii;
    if let Some(theme) = &args.theme {
        options.theme.clone_from(theme);
    }
    tui::run(Socket::new(socket, args.read_only), options).await?;
    Ok(Exit::Ok)
}

impl From<TuiError> for Failure {
    fn from(error: TuiError) -> Self {
        match error {
            TuiError::Options(_) => Self::new(Exit::Usage, error.to_string()),
            TuiError::Terminal(_) => Self::failed(error.to_string()),
        }
    }
}
