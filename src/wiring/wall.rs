//! A wall clock that a test sets under a running engine. Not part of a release build.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::clock::Clock;
use crate::domain::time::At;

/// Names a file that holds by how many seconds the wall clock is off; where it is not there, the clock is right.
const VARIABLE: &str = "MAYDAY_WALL_CLOCK";

/// Wraps `clock` if the environment asks for it.
pub(super) fn set_by_file(clock: Arc<dyn Clock>) -> Arc<dyn Clock> {
    match std::env::var_os(VARIABLE) {
        Some(file) => Arc::new(SetByFile { clock, file: file.into() }),
        None => clock,
    }
}

struct SetByFile {
    clock: Arc<dyn Clock>,
    file: PathBuf,
}

impl Clock for SetByFile {
    fn wall(&self) -> At {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let off = SignedDuration::try_from_secs_f64(text.trim().parse().unwrap_or(0.0)).unwrap_or_default();
        let wall = self.clock.wall();
        wall.saturating_add(off).unwrap_or(wall)
    }

    fn uptime(&self) -> Duration {
        self.clock.uptime()
    }

    fn boot(&self) -> Option<String> {
        self.clock.boot()
    }
}
