//! The items of the checklist, as configured: what each is about, and what Mayday can look at of it.

use serde::{Deserialize, Serialize};

use super::probe::ProbeSpec;
use crate::domain::ids::{ItemId, ProbeId, RegionId};
use crate::domain::words::words;

words! {
    /// What Mayday can look at by itself, besides the checks that the config adds.
    Sight {
        /// Every service is healthy in the region that serves, for as long as `policy.settle`.
        Services = "services",
        /// How far each promoted store had come was measured, is within its RPO, and the stores agree with each other.
        RecoveryPoints = "recovery-points",
        /// Counts and checksums of what was written before the incident are what they were.
        Tallies = "tallies",
        /// Probes answer about as fast as before the incident.
        Latency = "latency",
        /// The plan's own synthetic transactions, along the path of a client, succeed.
        ClientPath = "client-path",
        /// Probes report, and whoever pages people answers.
        Watching = "watching",
        /// What sends clients to the region that serves was set, and is not only how things happen to stand.
        Pinned = "pinned",
    }
}

/// An item, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Item {
    pub id: ItemId,
    pub title: String,
    /// What to do.
    pub what: String,
    /// Why it matters.
    pub why: String,
    #[serde(default)]
    pub sees: Vec<Sight>,
    /// The checks that the config adds, by id.
    #[serde(default)]
    pub checks: Vec<ProbeId>,
}

/// The item that stays open while clients are served and nothing keeps it so, and the plan that keeps it so.
pub const PIN: &str = "pin-clients";

impl Item {
    /// Clients are served from `region` as things happen to stand.
    pub fn pin(region: &RegionId) -> Self {
        Self {
            id: PIN.into(),
            title: format!("Clients pinned to {region}"),
            what: format!(
                "Once the API that moves clients answers again, run the plan {PIN} (mayday failover run {PIN}), or use its commands by hand \
                 (mayday by-hand {PIN}). Until then do not let the other region pass its health checks."
            ),
            why: format!(
                "Clients were found in {region}, and nobody sent them there: health checks did. When the other region passes them again, clients go \
                 back by themselves, to stores that are out of date."
            ),
            sees: vec![Sight::Pinned],
            checks: Vec::new(),
        }
    }

    /// Whether Mayday looks at anything; otherwise only a human can tell.
    pub fn is_watched(&self) -> bool {
        !self.sees.is_empty() || !self.checks.is_empty()
    }
}

/// `[[checklist]]` of the config: an item, and how its checks look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ItemSpec {
    pub item: Item,
    pub checks: Vec<ProbeSpec>,
}
