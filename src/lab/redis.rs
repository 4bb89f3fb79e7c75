//! Redis and its Sentinels over RESP, and the truth about the deployment.

use std::io;

use jiff::Timestamp;

use super::Site;
use super::faults::Faults;
use super::world::Tick;

pub struct Deployment;

impl Deployment {
    pub fn gennet(_now: Timestamp) -> Self {
        Self
    }

    pub fn tick(&mut self, _tick: &Tick<'_>) {}

    /// A write by the application in `region`, at `at`: lands on the writer that this region uses.
    ///
    /// # Errors
    /// Why it was not taken, in a few words.
    pub fn write(&mut self, _region: &str, _at: Timestamp, _faults: &Faults) -> Result<(), String> {
        Ok(())
    }

    /// The newest write that the application in `region` can read from the copy it uses; `None` when that cannot be read.
    pub fn newest(&self, _region: &str, _faults: &Faults) -> Option<Timestamp> {
        None
    }
}

pub async fn start(_site: &mut Site<'_>) -> io::Result<()> {
    Ok(())
}
