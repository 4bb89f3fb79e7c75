//! Route 53 over REST-XML, and the truth about the zones.

use std::io;

use jiff::Timestamp;

use super::Site;
use super::world::Tick;

pub struct Zones;

impl Zones {
    pub fn gennet(_now: Timestamp) -> Self {
        Self
    }

    pub fn tick(&mut self, _tick: &Tick<'_>) {}
}

pub async fn start(_site: &mut Site<'_>) -> io::Result<()> {
    Ok(())
}
