//! Where things are kept: by flag, by environment, or by the XDG base directories.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use super::settings;
use crate::api::client::Client;
use crate::cli::args::Common;

/// A Unix socket's path has to fit this many bytes (`sun_path`, with its closing zero).
const SOCKET_PATH: usize = 107;

/// The files and folders of one engine.
#[derive(Clone, Debug)]
pub struct Places {
    pub config: PathBuf,
    pub state: PathBuf,
    pub socket: PathBuf,
    /// The socket was named: it may be another machine's, so no engine is started for it.
    pub foreign: bool,
    /// A user whose engine is believed besides this user's own and root's.
    pub trusted: Option<u32>,
}

impl Places {
    /// # Errors
    /// When there is no home to start from, or the socket's path is too long for the system.
    pub fn find(common: &Common) -> Result<Self, String> {
        let home =
            || ProjectDirs::from("", "", "mayday").ok_or("there is no home directory → name --config and --state-dir");
        let config = match &common.config {
            Some(path) => path.clone(),
            None => home()?.config_dir().join("config.toml"),
        };
        let state = match &common.state_dir {
            Some(path) => path.clone(),
            None => {
                let home = home()?;
                home.state_dir().unwrap_or_else(|| home.data_local_dir()).to_path_buf()
            }
        };
        let foreign = common.socket.is_some();
        let socket = common.socket.clone().unwrap_or_else(|| state.join("engine.sock"));
        let length = socket.as_os_str().len();
        if length > SOCKET_PATH {
            return Err(format!(
                "the path of the socket is {length} bytes long, and the system takes {SOCKET_PATH} ({}) → choose a shorter --state-dir",
                socket.display()
            ));
        }
        let trusted = common.engine_user.clone().or_else(settings::engine_user).as_deref().map(user).transpose()?;
        Ok(Self { config, state, socket, foreign, trusted })
    }

    /// Talks to the engine of these places, once there is one.
    pub fn client(&self) -> Client {
        Client::new(&self.socket).trusting(self.trusted).awaiting(|| eprintln!("waiting for the engine…"))
    }

    pub fn records(&self) -> PathBuf {
        self.state.join("records")
    }

    pub fn log(&self) -> PathBuf {
        self.state.join("engine.log")
    }

    /// The places of an engine that lives in one folder, config included.
    pub fn within(dir: &Path) -> Self {
        let (config, state) = (dir.join("config.toml"), dir.join("state"));
        let socket = state.join("engine.sock");
        Self { config, state, socket, foreign: false, trusted: None }
    }
}

/// A user by name or number.
fn user(named: &str) -> Result<u32, String> {
    let known = uzers::get_user_by_name(named).map(|user| user.uid());
    known.or_else(|| named.parse().ok()).ok_or_else(|| {
        format!("this host knows no user `{named}` → name the one that the engine runs as, with --engine-user or in cockpit.toml")
    })
}
