//! Names of things: one type a kind of thing, so that a region can never be passed where a service is meant.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn new(id: impl Into<Arc<str>>) -> Self { Self(id.into()) }
            pub fn as_str(&self) -> &str { &self.0 }
        }
        impl From<&str> for $name { fn from(id: &str) -> Self { Self(id.into()) } }
        impl From<String> for $name { fn from(id: String) -> Self { Self(id.into()) } }
        impl Borrow<str> for $name { fn borrow(&self) -> &str { &self.0 } }
        impl fmt::Display for $name { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(&self.0) } }
        impl fmt::Debug for $name { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{:?}", &self.0) } }
    )+};
}

ids! {
    /// A region of the estate, by its vendor's name (`us-east-1`).
    RegionId;
    /// A service that users need.
    ServiceId;
    /// A connection to something that can be watched or failed over; a system with a data class is a datastore.
    SystemId;
    /// One scheduled observation.
    ProbeId;
    /// A backup that is watched.
    BackupId;
    /// A plan, by the stem of its file.
    PlanId;
    /// A step within a plan.
    StepId;
    /// An incident (`INC-20261123-1`).
    IncidentId;
    /// One execution of a plan (`INC-20261123-1.2`).
    RunId;
    /// One attached cockpit.
    SessionId;
    /// A way to reach people.
    ChannelId;
    /// What is said once (`INC-20261123-1.m3`).
    MessageId;
    /// An item of a checklist.
    ItemId;
    /// One drill (`DRILL-20261123-1`).
    DrillId;
}
