//! Probes: what is looked at, how often, and how many readings it takes to believe that something changed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::params::Params;
use crate::domain::ids::{ProbeId, RegionId, ServiceId, SystemId};
use crate::domain::time::Span;

/// How many readings it takes to believe that something changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hysteresis {
    /// So many of the latest `window` readings have to be worse than what is believed, for it to get worse.
    pub fall: u8,
    /// As many as `fall` when all of them have to be in a row.
    pub window: u8,
    /// So many in a row have to be better, for it to get better.
    pub rise: u8,
}

/// What a probe speaks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    Service(ServiceId),
    System(SystemId),
    Region(RegionId),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(id) => f.pad(id.as_str()),
            Self::System(id) => f.pad(id.as_str()),
            Self::Region(id) => f.pad(id.as_str()),
        }
    }
}

/// One scheduled observation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ProbeSpec {
    pub id: ProbeId,
    /// The name of a row of the table of probe kinds (`http.get`).
    pub kind: String,
    /// The system it looks at; for an ambient kind, the kind's own name.
    pub system: SystemId,
    pub subject: Subject,
    /// Where the thing it looks at is; `None` for what has no region (DNS).
    #[serde(default)]
    pub region: Option<RegionId>,
    pub every: Span,
    pub timeout: Span,
    /// So many failures of the latest `window` readings make it down.
    pub fall: u8,
    /// `None`: they have to be in a row.
    #[serde(default)]
    pub window: Option<u8>,
    /// So many successes in a row make it healthy again.
    pub rise: u8,
    pub params: Params,
}

/// A reading counts for so many periods of its probe, and the time that the probe may take: one look may be missed, and one be late ...
const LOOKS: f64 = 3.0;

/// ... by so many seconds on a busy machine.
const LATE: f64 = 2.0;

impl ProbeSpec {
    /// So many seconds after it was taken, a reading says something.
    pub fn stays_fresh(&self) -> f64 {
        self.every.as_secs_f64() * LOOKS + self.timeout.as_secs_f64() + LATE
    }
    pub fn hysteresis(&self) -> Hysteresis {
        Hysteresis { fall: self.fall, window: self.window.unwrap_or(self.fall), rise: self.rise }
    }
}

impl FromStr for Subject {
    type Err = String;

    /// `service:api`, `system:db` or `region:us-east-1`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("service", id)) => Ok(Self::Service(id.into())),
            Some(("system", id)) => Ok(Self::System(id.into())),
            Some(("region", id)) => Ok(Self::Region(id.into())),
            _ => Err(format!("`{text}` is not service:ID, system:ID or region:ID")),
        }
    }
}
