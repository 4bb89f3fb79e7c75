//! Communications: what is said, to whom, by which way; and the narrow trait that a way to reach people implements.
//!
//! A *message* is what is said once: a page, an update, an answer to a page. It is composed for each audience, made durable, and may be
//! taken back until its `send_at`. It becomes one *delivery* a channel, of one or more *parts* (batches of recipients). Each part is
//! journalled before it is tried and after; a part whose outcome is not known is looked for before it is sent again, and where nobody
//! can look, it is not sent again by itself.

mod caveats;
mod outbox;
mod voice;
mod wording;

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::system::Receipt;
use crate::domain::chain::Chain;
use crate::domain::fault::Fault;
use crate::domain::ids::{ChannelId, IncidentId, MessageId};
use crate::domain::spec::comms::{Audience, ChannelSpec, ComponentStatus, Purpose, Text};
use crate::domain::spec::kinds::ChannelKind;
use crate::domain::spec::severity::Severity;
use crate::domain::time::At;

pub use caveats::caveats;
pub use outbox::{Acknowledged, Delivery, Outbox, Part, PartPhase, Posted};
pub use voice::{Counts, Voice};
pub use wording::{Bare, Beside, Clock, Component, Duty, Facts, HandOver, LossFacts, RunFacts, Wording, moment};

/// What is said once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Message {
    pub id: MessageId,
    pub incident: IncidentId,
    pub purpose: Purpose,
    pub severity: Severity,
    /// Every text is labelled DRILL, and only channels for drills are in `deliveries`.
    pub drill: bool,
    pub texts: BTreeMap<Audience, Text>,
    /// Components by the name that the status page knows, as of now.
    pub components: BTreeMap<String, ComponentStatus>,
    /// Nothing is sent before this; until then it can be taken back.
    pub send_at: At,
    /// When the next update is promised.
    pub next_due: Option<At>,
    /// Into how many parts each channel splits it: fixed when it is composed, so that a crash never shifts a batch.
    pub deliveries: BTreeMap<ChannelId, u32>,
    /// How far the journal had come when it was composed, and its head: whoever gets it can vouch for what came before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<Chain>,
    /// It only ends the page at its vendor, and tells nobody how things stand.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_page: bool,
}

impl Message {
    /// Whether it tells of the state of the incident, and so answers the cadence.
    pub fn is_update(&self) -> bool {
        self.purpose.is_update() && !self.only_page
    }
}

impl Parcel {
    /// What to hold the journal against: how many records it had, and its head then. Empty where that is not known.
    pub fn journal(&self) -> String {
        self.chain.as_ref().map_or_else(String::new, Chain::to_string)
    }
}

/// What a channel is handed for one part of one delivery: the same after a crash as before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Parcel {
    pub message: MessageId,
    pub incident: IncidentId,
    /// The title of the incident.
    pub title: String,
    pub purpose: Purpose,
    pub severity: Severity,
    pub drill: bool,
    pub text: Text,
    /// The journal's head when it was composed.
    pub chain: Option<Chain>,
    pub components: BTreeMap<String, ComponentStatus>,
    /// Counts from 0.
    pub part: u32,
    /// Into how many parts it was split when it was composed.
    pub parts: u32,
    /// Of a part that is what was left of another: whom it is for, by the marks that the channel gave. Empty for all of the part.
    pub only: Vec<String>,
    /// Everything that earlier deliveries on this channel for this incident left, the newest of each name: the vendor's id of the
    /// incident, the message to thread under.
    pub thread: Receipt,
}

/// Whether a part is with the vendor already.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    There(Receipt),
    /// It was looked for where it would be, and all of that was seen.
    NotThere,
    /// Nobody looked: whoever takes it drops a double, so that it can be sent again.
    Harmless,
    /// It cannot be told from outside.
    Untold(String),
}

/// What came of an attempt that a vendor may take in part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Handed {
    pub receipt: Receipt,
    /// Whether the part is done with, but for the rest. If not, the rest is all of it, and it is tried again as it is.
    pub taken: bool,
    /// Those who were not told and may be, each to be tried as a part of its own.
    pub rest: Vec<Rest>,
}

impl Handed {
    pub fn whole(receipt: Receipt) -> Self {
        Self { receipt, taken: true, rest: Vec::new() }
    }
}

/// Some of a part, who were not told yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Rest {
    /// Who, by marks that tell nobody else anything.
    pub only: Vec<String>,
    /// How long the vendor asks to wait with them; nothing is put off for the others.
    pub wait: std::time::Duration,
    /// In the vendor's words.
    pub why: String,
}

/// Makes the channels of one kind. Connecting is lazy: a factory fails only for parameters that can never work.
pub trait ChannelFactory: Send + Sync {
    fn kind(&self) -> &'static ChannelKind;
    fn connect(&self, spec: &ChannelSpec) -> Result<std::sync::Arc<dyn Channel>, Fault>;
}

/// A way to reach people.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Into how many parts a message is split: batches of recipients.
    ///
    /// # Errors
    /// When the recipients cannot be read: then nobody is told by this channel, and that is said.
    async fn parts(&self) -> Result<u32, Fault> {
        Ok(1)
    }

    /// Makes one attempt to deliver one part: at most one request that tells people something. What it returns is journalled; the names
    /// `id` and `link` are shown. A fault's class counts: *transient* means that nothing was sent, *ambiguous* that it may have been.
    /// Where the vendor said how long to wait, [`Fault::retry_after`](crate::domain::fault::Fault) says it.
    async fn deliver(&self, parcel: &Parcel) -> Result<Receipt, Fault>;

    /// The same, for channels whose vendor may take a part of it.
    ///
    /// # Errors
    /// As [`deliver`](Self::deliver).
    async fn hand_over(&self, parcel: &Parcel) -> Result<Handed, Fault> {
        self.deliver(parcel).await.map(Handed::whole)
    }

    /// What is wrong with what this host holds for it, a list of recipients for one. Nobody is asked over the network.
    async fn inspect(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether a part has arrived, after an attempt whose outcome is not known.
    async fn find(&self, parcel: &Parcel) -> Result<Found, Fault>;

    /// Whether it could deliver now, asked without telling anybody anything.
    ///
    /// # Errors
    /// Why it could not.
    async fn reach(&self) -> Result<String, Fault>;
}

/// What is left of a part: a part of its own from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Split {
    /// Whom it is for, by marks that tell nobody else anything.
    pub only: Vec<String>,
    /// When it is tried; at once when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<At>,
    /// In the vendor's words.
    pub why: String,
}
