//! Backups, as configured: what is copied, how fresh a copy has to be, and how long it is kept.

use serde::{Deserialize, Serialize};

use super::classes::DataClass;
use super::params::Params;
use crate::domain::ids::{BackupId, RegionId, SystemId};
use crate::domain::time::Span;

/// A backup of the estate: what is copied, how fresh a copy has to be, and how long it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BackupSpec {
    pub id: BackupId,
    pub title: String,
    /// The name of a row of the table of backup kinds (`rds.snapshots`).
    pub kind: String,
    /// Whose data is copied.
    pub subject: SystemId,
    /// Who is asked for the copies; for an ambient kind, the kind's own name.
    pub system: SystemId,
    /// What its recovery point counts for.
    #[serde(default)]
    pub class: Option<DataClass>,
    /// Where the copies lie, when their system cannot tell.
    #[serde(default)]
    pub region: Option<RegionId>,
    /// How often it is looked at.
    pub every: Span,
    /// How old the newest good copy may be.
    pub max_age: Option<Span>,
    /// How far back copies have to go.
    pub retention: Option<Span>,
    pub params: Params,
}
