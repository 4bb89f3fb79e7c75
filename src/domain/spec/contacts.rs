//! Whom to call, as configured: where it is asked who is on call, who is next, and who helps from outside.

use serde::{Deserialize, Serialize};

use super::params::SecretRef;
use crate::domain::time::Span;

/// A person, or a desk that always answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Contact {
    pub name: String,
    /// What they are called for: `head of platform`.
    #[serde(default)]
    pub role: Option<String>,
    #[serde(default)]
    pub phone: Option<String>,
    #[serde(default)]
    pub link: Option<String>,
}

/// The support plan with the cloud.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Support {
    /// `Business, 1 hour for production down`
    pub plan: String,
    /// The account that a case is opened for.
    #[serde(default)]
    pub account: Option<String>,
    #[serde(default)]
    pub phone: Option<String>,
    #[serde(default)]
    pub link: Option<String>,
}

/// Where PagerDuty is asked who is on call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PagerDuty {
    pub token: SecretRef,
    /// The REST API: PagerDuty's own unless it is said otherwise.
    pub url: String,
    /// Only these escalation policies, by id; all when empty.
    #[serde(default)]
    pub policies: Vec<String>,
    pub every: Span,
}

/// `[contacts]` of the config.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Contacts {
    #[serde(default)]
    pub pagerduty: Option<PagerDuty>,
    /// Whom to call when nobody answers, in this order.
    #[serde(default)]
    pub escalation: Vec<Contact>,
    #[serde(default)]
    pub support: Option<Support>,
}

impl Contacts {
    pub fn is_empty(&self) -> bool {
        self.pagerduty.is_none() && self.escalation.is_empty() && self.support.is_none()
    }
}
