//! What ends the program early: words for a person, and an exit code.

use std::io;
use std::path::Path;

use crate::api::protocol::ApiError;
use crate::api::server::NotShared;
use crate::cli::exit::Exit;
use crate::config::Mistakes;
use crate::domain::journal::JournalFault;
use crate::domain::system::Fault;
use crate::journal::LockFault;

/// A failure with its exit code.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub text: String,
}

impl Failure {
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into() }
    }
    pub fn failed(text: impl Into<String>) -> Self {
        Self::new(Exit::Failed, text)
    }
    pub fn unreachable(text: impl Into<String>) -> Self {
        Self::new(Exit::Unreachable, text)
    }
    pub fn socket(path: &Path, error: &io::Error) -> Self {
        Self::unreachable(format!("cannot listen on {}: {error} → choose another --state-dir", path.display()))
    }
    pub fn shared(group: &str, why: &NotShared) -> Self {
        Self::new(Exit::Usage, format!("the engine cannot be shared with the group {group}: {why}"))
    }
    pub fn metrics(address: std::net::SocketAddr, error: &io::Error) -> Self {
        Self::new(Exit::Usage, format!("metrics cannot be served on {address}: {error} → choose another --metrics"))
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::new(Exit::from(&error), error.to_string())
    }
}

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Self {
        Self::new(Exit::Config, mistakes.to_string())
    }
}

impl From<LockFault> for Failure {
    fn from(fault: LockFault) -> Self {
        let exit = match fault {
            LockFault::Held { .. } => Exit::Refused,
            LockFault::Unusable { .. } | LockFault::Open { .. } => Exit::Journal,
        };
        Self::new(exit, fault.to_string())
    }
}

impl From<JournalFault> for Failure {
    fn from(fault: JournalFault) -> Self {
        Self::new(Exit::Journal, fault.to_string())
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::failed(fault.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::failed(error.to_string())
    }
}
