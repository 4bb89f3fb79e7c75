//! What was promised for an estate, as the journal keeps it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::ids::{RegionId, SystemId};
use crate::domain::spec::classes::DataClass;
use crate::domain::spec::estate::{Environment, Objectives};

/// What was promised for an estate. The journal keeps it with a declared incident, so that a review needs no config, and a config that
/// changes later changes no verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Promise {
    /// The name of the estate.
    pub estate: String,
    pub environment: Environment,
    pub objectives: Objectives,
    /// What each datastore counts for.
    pub stores: BTreeMap<SystemId, DataClass>,
    /// Where there are several standby regions: the datastores that clients do not work with when they are sent to that one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub elsewhere: BTreeMap<RegionId, BTreeSet<SystemId>>,
}
