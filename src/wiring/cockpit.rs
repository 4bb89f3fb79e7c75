//! The cockpit on an engine's socket.

use std::io::IsTerminal;

use super::failure::Failure;
use super::places::Places;
use super::settings;
use crate::cli::args::CockpitArgs;
use crate::cli::exit::Exit;
use crate::config::cockpit::Cockpit;
use crate::engine::clock::Machine;
use crate::tui::socket::Socket;
use crate::tui::{self, Options, TuiError, keymap, overrides};

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
pub async fn run(places: &Places, args: &CockpitArgs) -> Result<Exit, Failure> {
    run_telling(places, args, Vec::new()).await
}

/// The same on an engine of which there is more to know: `told` is on screen in the help and above the timeline.
///
/// # Errors
/// As [`run`].
pub async fn run_telling(places: &Places, args: &CockpitArgs, told: Vec<String>) -> Result<Exit, Failure> {
    needs_terminal()?;
    #[cfg(debug_assertions)]
    super::crash::of_cockpit();
    let about = vec![
        format!("state directory  {}", places.state.display()),
        format!("config           {}", places.config.display()),
        format!("socket           {}", places.socket.display()),
    ];
    let options = Options { about, told, ..options(args) };
    tui::run(Socket::new(&places.socket, places.trusted, args.read_only), options, &Machine::new()).await?;
    Ok(Exit::Ok)
}

/// What flags, environment and the operator's own file ask for, in this order. A mistake in that file is no reason to keep anybody out
/// of the cockpit: it is passed over as a whole, and said.
fn options(args: &CockpitArgs) -> Options {
    let folder = settings::folder();
    let mut options = Options::of_environment();
    let own = settings::themes(folder.as_deref()).and_then(|library| {
        options.themes = library;
        settings::wanted(folder.as_deref(), &options.themes)
    });
    let own = own.unwrap_or_else(|mistakes| {
        let count = mistakes.0.len();
        options.notice = Some(format!("your cockpit.toml is passed over, {count} wrong in it → mayday check"));
        Cockpit::default()
    });
    if let Ok(table) = overrides::rebound(&own.keys) {
        keymap::bind(table);
    }
    options.ascii |= args.ascii || own.ascii.unwrap_or(false);
    options.mouse = args.mouse || own.mouse.unwrap_or(false);
    options.reduced_motion = args.reduced_motion || own.reduced_motion.unwrap_or(false);
    if let Some(theme) = args.theme.clone().filter(|theme| !theme.is_empty()).or(own.theme) {
        options.theme = theme;
    }
    options
}

impl From<TuiError> for Failure {
    fn from(error: TuiError) -> Self {
        match error {
            TuiError::Options(_) => Self::new(Exit::Usage, error.to_string()),
            TuiError::Terminal(_) => Self::failed(error.to_string()),
        }
    }
}
