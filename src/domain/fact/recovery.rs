//! Recovery points: how much would be lost. Missing data is unknown, never zero; bytes and transactions are never seconds.

use serde::{Deserialize, Serialize};

use super::health::Status;
use crate::domain::ids::RegionId;
use crate::domain::time::{At, seconds_between};

/// How far a copy is behind, in the unit its system speaks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Lag {
    Seconds(f64),
    Bytes(u64),
    Transactions(u64),
}

/// The newest moment a data class can be restored to, and where that copy is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RecoveryPoint {
    pub at: At,
    /// Where the copy is kept; `None` when that is not known.
    pub region: Option<RegionId>,
    /// How it was learnt: `ReplicaLag 1.8 s`, `latest restorable time`, `heartbeat on the promoted copy`.
    pub source: String,
    /// Read from the copy itself rather than derived from a lag.
    pub measured: bool,
}

/// The part a member plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes the writes.
    Writer,
    /// Follows the writer.
    Replica,
    /// Neither: a Sentinel, a member that is syncing.
    Other,
    Unknown,
}

/// One member of a datastore.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Member {
    pub name: String,
    pub region: Option<RegionId>,
    pub role: Role,
    pub status: Status,
    /// Unknown is `None`; a writer has none either.
    pub lag: Option<Lag>,
    /// A few cleaned words: `available, multi-AZ us-east-1a`, `link down 12 s`.
    pub detail: String,
}

impl Member {
    /// `gennet-db in us-east-1`
    pub fn placed(&self) -> String {
        match &self.region {
            Some(region) => format!("{} in {region}", self.name),
            None => self.name.clone(),
        }
    }
}

/// What a datastore looked like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Survey {
    pub members: Vec<Member>,
    /// The newest recovery point outside the writer's region: what would survive its loss.
    pub standby_point: Option<RecoveryPoint>,
    /// Things worth a line: `latest restorable time 14:02:11 (4 min ago)`.
    pub notes: Vec<String>,
}

/// What a failover would lose, or lost, of one data class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Loss {
    Unknown,
    Estimated { seconds: f64 },
    Measured { seconds: f64 },
}

impl Loss {
    /// What was written after `point` and up to `disruption` is lost; a copy that is newer than the disruption lost nothing.
    pub fn of(point: Option<&RecoveryPoint>, disruption: At) -> Loss {
        let Some(point) = point else {
            return Loss::Unknown;
        };
        let seconds = seconds_between(point.at, disruption).max(0.0);
        if point.measured { Loss::Measured { seconds } } else { Loss::Estimated { seconds } }
    }

    /// The largest; unknown if any is, and if there is none to go by.
    pub fn worst(losses: impl Iterator<Item = Loss>) -> Loss {
        let size = |loss: &Loss| loss.seconds().unwrap_or(f64::INFINITY);
        losses.max_by(|a, b| size(a).total_cmp(&size(b))).unwrap_or(Loss::Unknown)
    }

    pub fn seconds(self) -> Option<f64> {
        match self {
            Loss::Unknown => None,
            Loss::Estimated { seconds } | Loss::Measured { seconds } => Some(seconds),
        }
    }
}
