//! `[comms]` of the config: how soon people are told, and by which names the public knows what is broken.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::ids::ServiceId;
use crate::domain::spec::severity::Severity;
use crate::domain::time::Span;

/// How an estate speaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Comms {
    /// For how long what was sent by hand can be taken back before it goes out.
    pub take_back: Span,
    /// Whether a declared incident pages whoever is on call by itself.
    pub page: bool,
    /// How soon after the declaration the first update is due.
    pub first_update: Span,
    /// How long an update is good for, by severity: then the next one is due.
    pub update_every: BTreeMap<Severity, Span>,
    /// How soon somebody has to acknowledge the page, by severity; then the escalation is paged.
    pub acknowledge_within: BTreeMap<Severity, Span>,
    /// For how long a channel that fails without having sent anything is tried again; then a human decides.
    pub give_up: Span,
    /// The status page's name for the component that a service is part of.
    #[serde(default)]
    pub components: BTreeMap<ServiceId, String>,
}

/// Minutes, from the worst severity to the least.
const UPDATE_EVERY: [u64; 4] = [15, 30, 60, 240];

const ACKNOWLEDGE_WITHIN: [u64; 4] = [5, 10, 30, 60];

impl Default for Comms {
    fn default() -> Self {
        let minutes = |of: [u64; 4]| Severity::ALL.iter().copied().zip(of.map(|it| Span::secs(it * 60))).collect();
        Self {
            take_back: Span::secs(5),
            page: true,
            first_update: Span::secs(5 * 60),
            update_every: minutes(UPDATE_EVERY),
            acknowledge_within: minutes(ACKNOWLEDGE_WITHIN),
            give_up: Span::secs(30 * 60),
            components: BTreeMap::new(),
        }
    }
}

impl Comms {
    /// For how long an update is good.
    pub fn every(&self, severity: Severity) -> Span {
        self.update_every.get(&severity).copied().unwrap_or(Span::secs(60 * 60))
    }
    /// How soon the page has to be acknowledged.
    pub fn acknowledge(&self, severity: Severity) -> Span {
        self.acknowledge_within.get(&severity).copied().unwrap_or(Span::secs(30 * 60))
    }
}
