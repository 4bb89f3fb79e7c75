//! Which alerts of other monitoring count, and for how long one does that is not repeated.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::params::SecretRef;
use crate::domain::ids::RegionId;
use crate::domain::time::Span;

/// `[[alerts.count]]`: which alerts count for a trigger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AlertRule {
    /// The labels that it has to have.
    pub labels: BTreeMap<String, String>,
    /// The region that it speaks for; the one of its label `region`, or else the one that serves, when left out.
    #[serde(default)]
    pub region: Option<RegionId>,
    /// So long it has to fire.
    pub after: Span,
}

/// `[alerts]`: what is done with alerts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AlertPolicy {
    /// What a sender on the loopback port has to know; without it that port takes none.
    #[serde(default)]
    pub token: Option<SecretRef>,
    /// An alert that was not repeated for longer counts no more.
    pub repeat: Span,
    #[serde(default)]
    pub count: Vec<AlertRule>,
}

impl Default for AlertPolicy {
    /// A little longer than the `repeat_interval` that Alertmanager has by default.
    fn default() -> Self {
        Self { token: None, repeat: Span::secs(5 * 3600), count: Vec::new() }
    }
}
