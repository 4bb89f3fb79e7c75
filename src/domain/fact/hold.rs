//! Who asked that nothing new starts, and who may act.

use serde::{Deserialize, Serialize};

use crate::domain::actor::Actor;
use crate::domain::time::At;

/// Who asked that nothing new starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Hold {
    pub by: Actor,
    pub at: At,
    pub reason: String,
}

/// Who armed a cockpit, and when it was last used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Armed {
    pub by: Actor,
    pub at: At,
}
