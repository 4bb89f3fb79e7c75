//! What a message is written from, and the trait of who writes it.

use serde::{Deserialize, Serialize};

use crate::domain::spec::comms::{Purpose, Text};
use crate::domain::time::At;
use crate::domain::words::words;

words! {
    /// What is handed over.
    Duty { Command = "command", Communications = "communications", }
}

/// What somebody who hands over says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HandOver {
    pub duty: Duty,
    /// Who is to take it.
    pub to: String,
}

/// What a template can use. Times are UTC, lengths of time are written out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Facts {
    pub estate: String,
    pub incident: String,
    pub title: String,
    pub severity: String,
    pub phase: String,
    pub drill: bool,
    pub purpose: String,
    /// `14:05 UTC`
    pub now: String,
    pub declared: String,
    /// `12 min 30 s` since the disruption, `at least 12 min 30 s` when nobody saw it begin; empty when it is not known.
    pub lasting: String,
    pub region: String,
    /// Where clients are sent now.
    pub serving: String,
    /// Titles of services that are down in the serving region, and of those that are degraded or not known.
    pub down: Vec<String>,
    pub impaired: Vec<String>,
    pub components: Vec<Component>,
    pub commander: String,
    pub lead: String,
    pub acknowledged: String,
    pub run: Option<RunFacts>,
    pub clocks: Vec<Clock>,
    pub losses: Vec<LossFacts>,
    /// `14:20 UTC`; empty when no further update is promised.
    pub next_update: String,
    /// What the sender added.
    pub note: String,
    pub hand_over: Option<HandOver>,
    pub escalated: bool,
}

/// A component of the platform, as the status page calls it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Component {
    pub name: String,
    /// `major outage`
    pub status: String,
    pub affected: bool,
}

/// How far a run is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RunFacts {
    pub id: String,
    pub plan: String,
    pub done: usize,
    pub steps: usize,
    /// What is under way or waits for somebody; empty when nothing does.
    pub step: String,
    /// The words on that step.
    pub detail: String,
    pub ended: bool,
    /// `live` or `drill`.
    #[serde(default)]
    pub mode: String,
    /// It sends clients to another region.
    #[serde(default)]
    pub moves: bool,
}

/// How a tier stands against its RTO.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Clock {
    pub tier: String,
    pub elapsed: String,
    pub target: String,
    /// `met`, `MISSED`, `running`, `OVER`, or `unknown` when it may have begun earlier than it was seen
    pub standing: String,
}

/// What is lost of a class of data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LossFacts {
    pub class: String,
    /// `about 42s (estimated)`, or `unknown`
    pub lost: String,
    pub target: String,
}

/// What is said besides the state of things.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Beside {
    pub next_due: Option<At>,
    pub note: String,
    pub hand_over: Option<HandOver>,
    pub escalated: bool,
}

/// Writes the text for one audience.
pub trait Wording: Send + Sync {
    fn write(&self, purpose: Purpose, audience: crate::domain::spec::comms::Audience, facts: &Facts) -> Text;
}

/// The shortest true text: what is said where templates cannot be had.
pub struct Bare;

impl Wording for Bare {
    fn write(&self, purpose: Purpose, _: crate::domain::spec::comms::Audience, facts: &Facts) -> Text {
        Text { subject: format!("{}: {purpose}", facts.incident), body: facts.note.clone() }
    }
}

/// `14:05 UTC`
pub fn moment(at: At) -> String {
    at.strftime("%H:%M UTC").to_string()
}
