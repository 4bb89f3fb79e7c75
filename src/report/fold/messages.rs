//! Messages: what was said, and what became of it on each channel.

use std::collections::BTreeMap;

use super::super::review::{Delivered, DeliveryReview, MessageReview};
use super::super::text::tidy;
use crate::domain::comms::{Message, Text, caveats};
use crate::domain::event::{Event, Record};
use crate::domain::ids::{ChannelId, MessageId};
use crate::domain::system::Receipt;
use crate::domain::time::At;

#[derive(Default)]
pub struct Messages(Vec<Track>);

struct Track {
    review: MessageReview,
    channels: BTreeMap<ChannelId, Channel>,
}

#[derive(Default)]
struct Channel {
    parts: u32,
    attempts: u32,
    states: BTreeMap<u32, Delivered>,
    at: Option<At>,
    receipt: Receipt,
    /// Of each part.
    receipts: Vec<Receipt>,
    fault: Option<String>,
}

/// The message that an event is about.
pub fn of(event: &Event) -> Option<&MessageId> {
    match event {
        Event::MessageComposed { message } => Some(&message.id),
        Event::MessageRecalled { message }
        | Event::DeliveryTrying { message, .. }
        | Event::DeliverySent { message, .. }
        | Event::DeliveryFailed { message, .. }
        | Event::DeliveryUnknown { message, .. }
        | Event::DeliverySplit { message, .. }
        | Event::DeliverySettled { message, .. }
        | Event::DeliveryRetried { message, .. } => Some(message),
        _ => None,
    }
}

impl Messages {
    pub fn has(&self, id: &MessageId) -> bool {
        self.0.iter().any(|track| &track.review.id == id)
    }

    pub fn take(&mut self, record: &Record) {
        if let Event::MessageComposed { message } = &record.event {
            self.0.push(Track::new(message, record));
        }
        let Some(id) = of(&record.event) else { return };
        let Some(track) = self.0.iter_mut().find(|track| &track.review.id == id) else { return };
        match &record.event {
            Event::MessageRecalled { .. } => track.review.recalled = Some((record.at, record.actor.clone())),
            Event::DeliveryTrying { channel, part, .. } => {
                let known = track.channels.entry(channel.clone()).or_default();
                known.attempts += 1;
                known.states.insert(*part, Delivered::Waiting);
            }
            Event::DeliverySent { channel, part, receipt, .. } => {
                let known = track.channels.entry(channel.clone()).or_default();
                known.states.insert(*part, Delivered::Sent);
                known.at = Some(record.at);
                let receipt: Receipt = receipt.iter().map(|(name, value)| (tidy(name), tidy(value))).collect();
                known.receipt.extend(receipt.clone());
                known.receipts.push(receipt);
            }
            Event::DeliveryFailed { channel, part, fault, at, .. } => {
                let state = if at.is_some() { Delivered::Waiting } else { Delivered::Failed };
                track.trouble(channel, *part, state, fault.to_string());
            }
            Event::DeliveryUnknown { channel, part, fault, .. } => {
                track.trouble(channel, *part, Delivered::Unknown, fault.to_string());
            }
            Event::DeliverySplit { channel, rest, .. } => {
                let known = track.channels.entry(channel.clone()).or_default();
                known.parts = known.parts.saturating_add(u32::try_from(rest.len()).unwrap_or(u32::MAX));
            }
            Event::DeliverySettled { channel, arrived, reason, .. } => {
                let known = track.channels.entry(channel.clone()).or_default();
                let settled = if *arrived { Delivered::Sent } else { Delivered::Failed };
                let unknown = known.states.values_mut().filter(|state| **state == Delivered::Unknown);
                unknown.for_each(|state| *state = settled);
                known.fault = Some(tidy(&format!("{} has looked: {reason}", record.actor)));
            }
            Event::DeliveryRetried { channel, .. } => {
                let known = track.channels.entry(channel.clone()).or_default();
                known.states.retain(|_, state| *state == Delivered::Sent);
            }
            _ => {}
        }
    }

    pub fn review(self) -> Vec<MessageReview> {
        self.0.into_iter().map(Track::review).collect()
    }
}

impl Track {
    fn new(message: &Message, record: &Record) -> Self {
        let text = |text: &Text| Text {
            subject: tidy(&text.subject),
            body: text.body.lines().map(tidy).collect::<Vec<_>>().join("\n"),
        };
        let review = MessageReview {
            id: message.id.clone(),
            purpose: message.purpose,
            at: record.at,
            by: record.actor.clone(),
            texts: message.texts.iter().map(|(audience, its)| (*audience, text(its))).collect(),
            next_due: message.next_due,
            recalled: None,
            deliveries: Vec::new(),
        };
        let channel = |parts: &u32| Channel { parts: *parts, ..Channel::default() };
        let channels = message.deliveries.iter().map(|(id, parts)| (id.clone(), channel(parts))).collect();
        Self { review, channels }
    }

    fn trouble(&mut self, channel: &ChannelId, part: u32, state: Delivered, why: String) {
        let known = self.channels.entry(channel.clone()).or_default();
        known.states.insert(part, state);
        known.fault = Some(tidy(&why));
    }

    fn review(self) -> MessageReview {
        let recalled = self.review.recalled.is_some();
        let delivery = |(channel, it): (ChannelId, Channel)| DeliveryReview {
            channel,
            state: if recalled { Delivered::Recalled } else { it.state() },
            parts: it.parts,
            sent: u32::try_from(it.states.values().filter(|state| **state == Delivered::Sent).count())
                .unwrap_or(it.parts),
            attempts: it.attempts,
            at: it.at,
            fault: it.fault.clone().filter(|_| it.state() != Delivered::Sent),
            caveats: caveats(it.receipts.iter()),
            receipt: it.receipt,
        };
        MessageReview { deliveries: self.channels.into_iter().map(delivery).collect(), ..self.review }
    }
}

impl Channel {
    /// The part that is worst off speaks for all; a part that nothing is known of yet waits.
    fn state(&self) -> Delivered {
        let any = |wanted| self.states.values().any(|state| *state == wanted);
        if any(Delivered::Failed) {
            Delivered::Failed
        } else if any(Delivered::Unknown) {
            Delivered::Unknown
        } else if any(Delivered::Waiting) || (self.states.len() as u64) < u64::from(self.parts) {
            Delivered::Waiting
        } else {
            Delivered::Sent
        }
    }
}
