//! A Kubernetes API per region, and the truth about the cluster.

use std::io;

use jiff::Timestamp;

use super::Site;
use super::world::Tick;

pub struct Cluster;

impl Cluster {
    pub fn gennet(_region: &str, _now: Timestamp) -> Self {
        Self
    }

    pub fn tick(&mut self, _tick: &Tick<'_>) {}
}

pub async fn start(_site: &mut Site<'_>) -> io::Result<()> {
    Ok(())
}
