//! Incidents: severity, phase and the clocks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::actor::Actor;
use super::checklist::Checklist;
use super::estate::{Tier, words};
use super::ids::{IncidentId, RegionId, SystemId};
use super::recovery::RecoveryPoint;
use super::time::At;
use super::told::Told;

words! {
    /// How bad it is; `sev1` is worst.
    Severity { Sev1 = "sev1", Sev2 = "sev2", Sev3 = "sev3", Sev4 = "sev4", }
}

words! {
    /// How far an incident has come.
    Phase {
        Detected = "detected", Declared = "declared", Mitigating = "mitigating", Recovered = "recovered", Closed = "closed",
    }
}

/// The moments an incident is measured by. What has not happened, or was not seen, is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Clocks {
    /// Disruption: the last healthy reading before the failure, per tier.
    pub t0: BTreeMap<Tier, At>,
    /// Nothing was seen failing: t0 is the declaration.
    pub t0_is_declaration: bool,
    /// Detected: the first status change to down.
    pub t1: Option<At>,
    /// Declared.
    pub t2: Option<At>,
    /// First action: the first step that changes the world began.
    pub t3: Option<At>,
    /// Technically up: the last promotion, scaling and traffic step was verified.
    pub t4: Option<At>,
    /// Verified by a synthetic transaction through the client path, per tier.
    pub t5: BTreeMap<Tier, At>,
}

/// An incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub id: IncidentId,
    pub title: String,
    pub severity: Severity,
    pub phase: Phase,
    pub declared_by: Actor,
    pub commander: Option<Actor>,
    pub clocks: Clocks,
    /// The region that served when it was declared.
    pub region: RegionId,
    /// What was known at the declaration of the copies outside that region, per datastore.
    pub points: BTreeMap<SystemId, RecoveryPoint>,
    pub closed_at: Option<At>,
    /// It is practice.
    #[serde(default)]
    pub drill: bool,
    #[serde(default)]
    pub checklist: Checklist,
    #[serde(default)]
    pub told: Told,
}
