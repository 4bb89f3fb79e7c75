//! What was told of an incident, as far as its walkthrough needs it: who took the page, and what became of the latest update.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::{Event, Record};
use crate::domain::ids::{ChannelId, MessageId};
use crate::domain::spec::comms::Purpose;
use crate::domain::time::At;

/// Who answered the page, and how that was learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Acknowledged {
    pub by: String,
    pub at: At,
}

/// The latest update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LastUpdate {
    pub message: MessageId,
    pub purpose: Purpose,
    pub at: At,
    /// When the next one is promised.
    pub next_due: Option<At>,
    /// What is known of each channel's delivery: its worst part counts.
    pub channels: BTreeMap<ChannelId, Delivered>,
}

/// What became of a delivery, in the order of concern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Delivered {
    Sent,
    /// Under way, or yet to come.
    Waiting,
    /// It may have been sent; a human has to look.
    Unknown,
    Failed,
}

impl LastUpdate {
    /// How many channels it stands so with.
    pub fn count(&self, wanted: Delivered) -> usize {
        self.channels.values().filter(|it| **it == wanted).count()
    }
}

/// What was told so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Told {
    pub acknowledged: Option<Acknowledged>,
    pub update: Option<LastUpdate>,
}

impl Told {
    /// Folds one record in.
    pub fn apply(&mut self, record: &Record) {
        let at = record.at;
        match &record.event {
            Event::PageAcknowledged { by } => self.acknowledged = Some(Acknowledged { by: by.clone(), at }),
            Event::MessageComposed { message } if message.is_update() => {
                let channels = message.deliveries.keys().map(|channel| (channel.clone(), Delivered::Waiting)).collect();
                let (id, purpose, next_due) = (message.id.clone(), message.purpose, message.next_due);
                self.update = Some(LastUpdate { message: id, purpose, at, next_due, channels });
            }
            Event::MessageRecalled { message } => {
                self.update.take_if(|known| known.message == *message);
            }
            Event::DeliverySent { message, channel, .. } => self.note(message, channel, Delivered::Sent),
            Event::DeliveryFailed { message, channel, at: None, .. } => self.note(message, channel, Delivered::Failed),
            Event::DeliveryUnknown { message, channel, .. } => self.note(message, channel, Delivered::Unknown),
            Event::DeliverySettled { message, channel, arrived, .. } => {
                if let Some(known) = self.update.as_mut().filter(|known| known.message == *message) {
                    let what = if *arrived { Delivered::Sent } else { Delivered::Failed };
                    known.channels.insert(channel.clone(), what);
                }
            }
            Event::DeliveryRetried { message, channel, .. } => {
                if let Some(known) = self.update.as_mut().filter(|known| known.message == *message) {
                    known.channels.insert(channel.clone(), Delivered::Waiting);
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, message: &MessageId, channel: &ChannelId, what: Delivered) {
        let Some(known) = self.update.as_mut().filter(|known| known.message == *message) else { return };
        let before = known.channels.entry(channel.clone()).or_insert(Delivered::Waiting);
        // One part that is not with people outweighs the others that are.
        *before = if *before == Delivered::Waiting { what } else { (*before).max(what) };
    }
}
