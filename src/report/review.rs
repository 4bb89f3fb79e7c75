//! What is known of an incident when one looks back at it. Plain data with stable names: it is also what `-o json` prints.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::actor::Actor;
use crate::domain::checklist::Evidence;
use crate::domain::comms::{Audience, Purpose, Text};
use crate::domain::describe::Tone;
use crate::domain::estate::{DataClass, words};
use crate::domain::ids::{ChannelId, IncidentId, ItemId, MessageId, PlanId, RegionId, RunId, StepId};
use crate::domain::incident::{Clocks, Phase, Severity};
use crate::domain::kinds::{StepRole, Undo};
use crate::domain::plan::Gate;
use crate::domain::recovery::Loss;
use crate::domain::run::{Mode, Outcome, Printed, StepPhase};
use crate::domain::system::Receipt;
use crate::domain::time::At;
use crate::domain::verdict::{Promise, RpoVerdict, RtoVerdict};

/// The form of the JSON; it changes only when a field changes its meaning or goes.
pub const FORMAT: u32 = 1;

/// An incident in review. All lengths are in seconds; what is not known is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Review {
    pub format: u32,
    pub incident: IncidentId,
    pub title: String,
    pub severity: Severity,
    pub phase: Phase,
    pub drill: bool,
    /// The region that served when it was declared.
    pub region: RegionId,
    /// Up to when it tells: of a closed incident, until what follows of it had happened.
    pub as_of: At,
    pub declared_by: Actor,
    pub commander: Option<Actor>,
    pub communications: Option<Actor>,
    pub closed_at: Option<At>,
    pub closed_by: Option<Actor>,
    /// The note it was closed with.
    pub closing: String,
    /// A few sentences that tell it.
    pub summary: Vec<String>,
    /// What it is held against; `None` in journals from before this was kept, and then there are no verdicts.
    pub promise: Option<Promise>,
    pub clocks: Clocks,
    pub rto: Vec<RtoVerdict>,
    pub rpo: Vec<RpoVerdict>,
    pub severities: Vec<SeverityChange>,
    pub timeline: Vec<Entry>,
    /// Of the timeline, what people decided; the reasons are in the words.
    pub decisions: Vec<Entry>,
    pub notes: Vec<Entry>,
    pub runs: Vec<RunReview>,
    pub messages: Vec<MessageReview>,
    pub checklist: Vec<ItemReview>,
    /// What took otherwise than the last time.
    pub differences: Vec<Difference>,
    pub actions: Vec<Action>,
    pub people: Vec<Person>,
    pub journal: JournalRange,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SeverityChange {
    pub at: At,
    pub by: Actor,
    pub to: Severity,
    pub reason: String,
}

/// A line of the timeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Entry {
    /// The number of its record.
    pub seq: u64,
    pub at: At,
    pub by: Actor,
    pub tone: Tone,
    pub words: String,
    /// Somebody went on against what Mayday advised.
    #[serde(default)]
    pub against_advice: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RunReview {
    pub id: RunId,
    pub plan: PlanId,
    pub title: String,
    /// SHA-256 of the plan's file.
    pub fingerprint: String,
    pub mode: Mode,
    pub by: Actor,
    pub reason: String,
    pub unattended: bool,
    pub started_at: At,
    pub ended_at: Option<At>,
    pub outcome: Option<Outcome>,
    /// In the order of the plan.
    pub steps: Vec<StepReview>,
    /// The chain of steps that made the run as long as it was.
    pub critical: Vec<StepId>,
    /// The first step that cannot be taken back, and when it was begun.
    pub no_return: Option<(StepId, At)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StepReview {
    pub id: StepId,
    pub title: String,
    pub kind: String,
    pub role: StepRole,
    pub undo: Undo,
    pub gate: Gate,
    pub phase: StepPhase,
    /// When its gate opened and when it was answered.
    pub gated: Option<(At, Option<At>)>,
    /// When the first attempt was begun.
    pub begun_at: Option<At>,
    pub ended_at: Option<At>,
    /// From the first attempt to the end.
    pub seconds: Option<f64>,
    pub attempts: u32,
    pub confirmed_by: Vec<Actor>,
    pub overridden: Vec<String>,
    /// What went wrong on the way, in order.
    pub faults: Vec<(At, String)>,
    pub detail: String,
    pub receipt: Receipt,
    /// What the gate said would be lost.
    pub expected_loss: Option<(DataClass, Loss)>,
    /// The run has gone over a point of no return here, or may have.
    #[serde(default)]
    pub no_return: bool,
    /// The end of what a command of the operator's printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub printed: Option<Printed>,
    /// How long it took before this run, and where that was.
    pub before: Option<Before>,
}

/// How a step went the last time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Before {
    pub at: At,
    /// `drill DRILL-20261101-1`, `live run`
    pub of: String,
    pub seconds: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Difference {
    pub run: RunId,
    pub step: StepId,
    pub seconds: f64,
    pub before: Before,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MessageReview {
    pub id: MessageId,
    pub purpose: Purpose,
    pub at: At,
    pub by: Actor,
    pub texts: BTreeMap<Audience, Text>,
    /// When the next update was promised.
    pub next_due: Option<At>,
    pub recalled: Option<(At, Actor)>,
    pub deliveries: Vec<DeliveryReview>,
}

words! {
    /// What became of a delivery.
    Delivered {
        Sent = "sent",
        /// Not every part is.
        Waiting = "waiting",
        Failed = "failed",
        /// It may have been sent.
        Unknown = "unknown",
        Recalled = "recalled",
    }
}

/// One channel's part of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DeliveryReview {
    pub channel: ChannelId,
    pub state: Delivered,
    pub parts: u32,
    pub sent: u32,
    pub attempts: u32,
    /// When the last part was sent.
    pub at: Option<At>,
    /// What the vendor gave for the last part: its id, a link.
    pub receipt: Receipt,
    pub fault: Option<String>,
    /// What did not go as it should although it was sent: recipients who were refused, components that the page does not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caveats: Vec<String>,
}

words! {
    /// What a human said of an item.
    Answer { Open = "open", Ticked = "ticked", Skipped = "skipped", }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ItemReview {
    pub id: ItemId,
    pub title: String,
    pub answer: Answer,
    pub by: Option<Actor>,
    pub at: Option<At>,
    /// The note, or the reason.
    pub note: String,
    /// The evidence that stood against the tick.
    pub against: Option<String>,
    pub evidence: Option<Evidence>,
    pub detail: String,
    pub seen_at: Option<At>,
}

words! {
    /// Why something has to be done.
    Because {
        Objective = "objective",
        Step = "step",
        Override = "override",
        Delivery = "delivery",
        Checklist = "checklist",
        Probe = "probe",
        Backup = "backup",
        Readiness = "readiness",
        Run = "run",
    }
}

/// Something that is left to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Action {
    pub because: Because,
    pub what: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Person {
    pub who: Actor,
    /// `declared`, `commander`, `answered 4 gates`
    pub did: Vec<String>,
    pub first_at: At,
}

/// Which part of the journal it was written from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct JournalRange {
    pub first: u64,
    pub last: u64,
    /// The chain's hash at the first and at the last of them: the latter vouches for everything before it.
    pub first_hash: Option<String>,
    pub last_hash: Option<String>,
    pub verified: Verified,
}

/// Whether the chain was recomputed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Verified {
    /// Nobody has looked.
    #[default]
    NotYet,
    /// Every record fits.
    Whole { records: u64, head: String },
    /// Something was altered after it was written.
    Broken { why: String },
}

impl RunReview {
    pub fn step(&self, id: &StepId) -> Option<&StepReview> {
        self.steps.iter().find(|step| &step.id == id)
    }
}

impl MessageReview {
    /// When all of it was with everybody it was for.
    pub fn sent_at(&self) -> Option<At> {
        let all = self.deliveries.iter().filter(|it| it.state == Delivered::Sent);
        all.filter_map(|it| it.at).max()
    }
}

/// An incident in a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Brief {
    pub incident: IncidentId,
    pub title: String,
    pub severity: Severity,
    pub drill: bool,
    pub declared_at: At,
    pub closed_at: Option<At>,
    pub commander: Option<Actor>,
    pub runs: u32,
    /// As far as it came: of an open one, as of the latest record.
    pub rto: Vec<RtoVerdict>,
    pub rpo: Vec<RpoVerdict>,
}
