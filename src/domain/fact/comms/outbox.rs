//! The outbox: what was said in the incident, and how each part of it fares on its way. A fold of the journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Message, Parcel, Split};
use crate::domain::actor::Actor;
use crate::domain::fact::event::{Event, Record};
use crate::domain::fact::system::Receipt;
use crate::domain::fault::Fault;
use crate::domain::ids::{ChannelId, IncidentId, MessageId};
use crate::domain::spec::comms::Purpose;
use crate::domain::time::{At, seconds_between};
use crate::domain::words::words;

/// By which a receipt says how many recipients were told, and that none was.
const ACCEPTED: &str = "accepted";

const NOBODY: &str = "0";

words! {
    /// How a part fares.
    PartPhase {
        /// Not begun.
        Waiting = "waiting",
        /// Begun; what became of it is not known yet.
        Trying = "trying",
        /// Nothing was sent; tried again at `next`.
        Retrying = "retrying",
        Sent = "sent",
        /// Nothing was sent, and it is not tried again by itself.
        Failed = "failed",
        /// It may have been sent, and nobody can look.
        Unknown = "unknown",
    }
}

/// One part of a delivery: a batch of recipients, or all of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Part {
    pub phase: PartPhase,
    pub attempts: u32,
    /// When it was first tried, counted anew when a human asks for another try.
    pub began: Option<At>,
    /// When it was settled.
    pub ended: Option<At>,
    /// When it is tried again.
    pub next: Option<At>,
    pub receipt: Receipt,
    pub fault: Option<Fault>,
    /// Of one that is what was left of another: whom it is for, by the marks that the channel gave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
}

impl Part {
    /// What is left of this one.
    fn left(&self, split: &Split, channel: &ChannelId) -> Self {
        let fault = Fault::transient(channel.as_str(), split.why.clone()).means("these were not told yet");
        let phase = if split.next.is_some() { PartPhase::Retrying } else { PartPhase::Waiting };
        // How long it is tried counts from the first try of the whole.
        let (began, next) = (self.began, split.next);
        Self { phase, began, next, fault: Some(fault), only: split.only.clone(), ..Self::default() }
    }
}

impl Default for Part {
    fn default() -> Self {
        Self {
            phase: PartPhase::Waiting,
            attempts: 0,
            began: None,
            ended: None,
            next: None,
            receipt: Receipt::new(),
            fault: None,
            only: Vec::new(),
        }
    }
}

impl Part {
    /// It is done with, and nobody was told by it: there was nobody in it, or all of it became parts of their own.
    pub fn was_empty(&self) -> bool {
        self.phase == PartPhase::Sent && self.receipt.get(ACCEPTED).is_some_and(|count| count == NOBODY)
    }

    /// Nothing more happens to it by itself.
    pub fn is_settled(&self) -> bool {
        matches!(self.phase, PartPhase::Sent | PartPhase::Failed | PartPhase::Unknown)
    }
}

/// One channel's part of a message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Delivery {
    /// Empty when the recipients could not be read: then nobody is told by this channel.
    pub parts: Vec<Part>,
    /// Why there are no parts.
    pub fault: Option<Fault>,
}

impl Delivery {
    pub fn is_settled(&self) -> bool {
        self.parts.iter().all(Part::is_settled)
    }

    /// The phase that speaks for all of it: what needs a human first, then what is under way.
    pub fn phase(&self) -> PartPhase {
        use PartPhase::{Failed, Retrying, Sent, Trying, Unknown, Waiting};
        let any = |phase: PartPhase| self.parts.iter().any(|part| part.phase == phase);
        let worst = [Unknown, Failed, Retrying, Trying, Waiting].into_iter().find(|phase| any(*phase));
        worst.unwrap_or(if self.parts.is_empty() { Failed } else { Sent })
    }

    /// How many parts somebody was told by.
    pub fn sent(&self) -> usize {
        self.parts.iter().filter(|part| part.phase == PartPhase::Sent && !part.was_empty()).count()
    }

    /// How many parts there is somebody in, as far as that is known.
    pub fn filled(&self) -> usize {
        self.parts.iter().filter(|part| !part.was_empty()).count()
    }

    /// Why it is not all sent.
    pub fn trouble(&self) -> Option<&Fault> {
        let open = self.parts.iter().filter(|part| part.phase != PartPhase::Sent);
        open.filter_map(|part| part.fault.as_ref()).next().or(self.fault.as_ref())
    }

    /// When its last part was sent, once all are.
    pub fn done(&self) -> Option<At> {
        (self.phase() == PartPhase::Sent).then(|| self.parts.iter().filter_map(|part| part.ended).max()).flatten()
    }

    /// Seconds from the first try to the last answer, once all is sent.
    pub fn took(&self) -> Option<f64> {
        let began = self.parts.iter().filter_map(|part| part.began).min()?;
        Some(seconds_between(began, self.done()?))
    }

    /// When something of it is tried again by itself.
    pub fn next(&self) -> Option<At> {
        self.parts.iter().filter_map(|part| part.next).min()
    }

    /// What did not go as it should although it was sent.
    pub fn caveats(&self) -> Vec<String> {
        super::caveats(self.parts.iter().map(|part| &part.receipt))
    }

    /// The newest value that the vendor gave for a name.
    pub fn receipt(&self, name: &str) -> Option<&str> {
        self.parts.iter().rev().find_map(|part| part.receipt.get(name)).map(String::as_str)
    }
}

/// A message, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Posted {
    pub message: Arc<Message>,
    pub by: Actor,
    pub at: At,
    /// Who took it back, and when; nothing of it was sent.
    pub recalled: Option<(Actor, At)>,
    pub deliveries: BTreeMap<ChannelId, Delivery>,
}

impl Posted {
    pub fn is_settled(&self) -> bool {
        self.recalled.is_some() || self.deliveries.values().all(Delivery::is_settled)
    }

    /// It can still be taken back.
    pub fn is_recallable(&self, now: At) -> bool {
        self.recalled.is_none() && now < self.message.send_at
    }

    fn said(&self) -> bool {
        self.recalled.is_none()
    }

    /// Every way to everybody has failed for good: what was written, nobody has read. A doubt is no failure.
    pub fn reached_nobody(&self) -> bool {
        self.deliveries.values().all(|it| it.phase() == PartPhase::Failed && it.sent() == 0)
    }
}

/// Somebody works on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Acknowledged {
    pub by: String,
    pub at: At,
}

/// Everything about communications that follows from the journal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Outbox {
    /// The oldest first: those of the latest incident, and of earlier ones what is not settled.
    pub messages: Vec<Posted>,
    /// Composed so far in the incident: it numbers the next.
    pub composed: u32,
    /// Who speaks for the incident.
    pub lead: Option<Actor>,
    pub acknowledged: Option<Acknowledged>,
}

impl Outbox {
    pub fn get(&self, id: &MessageId) -> Option<&Posted> {
        self.messages.iter().find(|it| &it.message.id == id)
    }

    pub fn part(&self, id: &MessageId, channel: &ChannelId, part: u32) -> Option<&Part> {
        self.get(id)?.deliveries.get(channel)?.parts.get(part as usize)
    }

    /// What was said of an incident and not taken back, the oldest first.
    pub fn of<'o>(&'o self, incident: &'o IncidentId) -> impl DoubleEndedIterator<Item = &'o Posted> {
        self.messages.iter().filter(move |it| &it.message.incident == incident && it.said())
    }

    /// The latest update on the state of an incident that was told to somebody, or still may be.
    pub fn latest<'o>(&'o self, incident: &'o IncidentId) -> Option<&'o Posted> {
        self.of(incident).rfind(|it| it.message.is_update() && !it.reached_nobody())
    }

    /// The first page of an incident.
    pub fn page<'o>(&'o self, incident: &'o IncidentId) -> Option<&'o Posted> {
        self.of(incident).find(|it| it.message.purpose == Purpose::Page)
    }

    /// The message that can still be taken back, the newest first.
    pub fn recallable(&self, now: At) -> Option<&Posted> {
        self.messages.iter().rfind(|it| it.is_recallable(now))
    }

    /// What a channel is handed for a part; what earlier deliveries on the channel left comes with it.
    pub fn parcel(
        &self,
        id: &MessageId,
        channel: &ChannelId,
        title: &str,
        audience: crate::domain::spec::comms::Audience,
        part: u32,
    ) -> Option<Parcel> {
        let posted = self.get(id)?;
        let message = &posted.message;
        let mut thread = Receipt::new();
        for earlier in self.of(&message.incident) {
            let parts = earlier.deliveries.get(channel).into_iter().flat_map(|it| &it.parts);
            thread.extend(parts.flat_map(|part| part.receipt.clone()));
        }
        Some(Parcel {
            message: id.clone(),
            incident: message.incident.clone(),
            title: title.to_owned(),
            purpose: message.purpose,
            severity: message.severity,
            drill: message.drill,
            text: message.texts.get(&audience)?.clone(),
            chain: message.chain.clone(),
            components: message.components.clone(),
            part,
            parts: message.deliveries.get(channel).copied()?,
            only: self.part(id, channel, part)?.only.clone(),
            thread,
        })
    }

    /// Another incident begins: what is settled is forgotten, but for incidents that something may still be told of.
    pub fn forget(&mut self, kept: impl Fn(&IncidentId) -> bool) {
        self.messages.retain(|it| !it.is_settled() || kept(&it.message.incident));
    }

    /// Folds one record in.
    pub fn apply(&mut self, record: &Record) {
        let at = record.at;
        match &record.event {
            Event::IncidentDeclared { .. } => {
                (self.composed, self.lead, self.acknowledged) = (0, None, None);
            }
            Event::CommunicationsTaken {} => self.lead = Some(record.actor.clone()),
            Event::PageAcknowledged { by } => {
                self.acknowledged.get_or_insert_with(|| Acknowledged { by: by.clone(), at });
            }
            Event::MessageComposed { message } => {
                self.composed += 1;
                let of = |parts: &u32| Delivery { parts: vec![Part::default(); *parts as usize], fault: None };
                let deliveries = message.deliveries.iter().map(|(id, parts)| (id.clone(), of(parts))).collect();
                let (by, message) = (record.actor.clone(), Arc::new(Message::clone(message)));
                self.messages.push(Posted { message, by, at, recalled: None, deliveries });
            }
            Event::MessageRecalled { message } => {
                if let Some(posted) = self.messages.iter_mut().find(|it| &it.message.id == message) {
                    posted.recalled = Some((record.actor.clone(), at));
                }
            }
            Event::DeliveryTrying { message, channel, part, .. }
            | Event::DeliverySent { message, channel, part, .. }
            | Event::DeliveryFailed { message, channel, part, .. }
            | Event::DeliveryUnknown { message, channel, part, .. } => {
                self.apply_to_part(message, channel, *part, record);
            }
            Event::DeliverySplit { message, channel, part, rest } => {
                if let Some(delivery) = self.delivery(message, channel)
                    && let Some(whole) = delivery.parts.get(*part as usize).cloned()
                {
                    delivery.parts.extend(rest.iter().map(|split| whole.left(split, channel)));
                }
            }
            Event::DeliverySettled { message, channel, arrived, reason } => {
                let (by, way) = (record.actor.to_string(), channel.as_str());
                let parts = self.delivery(message, channel).into_iter().flat_map(|it| &mut it.parts);
                for part in parts.filter(|part| part.phase == PartPhase::Unknown) {
                    part.ended = Some(at);
                    if *arrived {
                        (part.phase, part.fault) = (PartPhase::Sent, None);
                    } else {
                        let fault = Fault::permanent(way, format!("{by} has looked, and it has not arrived: {reason}"));
                        let fault = fault.means("nobody is told by it").next("mayday outbox retry");
                        (part.phase, part.fault) = (PartPhase::Failed, Some(fault));
                    }
                }
            }
            Event::DeliveryRetried { message, channel, .. } => {
                let parts = self.delivery(message, channel).into_iter().flat_map(|it| &mut it.parts);
                for part in parts.filter(|part| !matches!(part.phase, PartPhase::Sent | PartPhase::Trying)) {
                    (part.phase, part.began, part.ended, part.next) = (PartPhase::Waiting, None, None, None);
                }
            }
            _ => {}
        }
    }

    fn delivery(&mut self, message: &MessageId, channel: &ChannelId) -> Option<&mut Delivery> {
        self.messages.iter_mut().find(|it| &it.message.id == message)?.deliveries.get_mut(channel)
    }

    fn apply_to_part(&mut self, message: &MessageId, channel: &ChannelId, number: u32, record: &Record) {
        let Some(delivery) = self.delivery(message, channel) else { return };
        let Some(part) = delivery.parts.get_mut(number as usize) else {
            if let Event::DeliveryFailed { fault, .. } = &record.event {
                delivery.fault = Some(fault.clone());
            }
            return;
        };
        let ended = Some(record.at);
        match &record.event {
            Event::DeliveryTrying { attempt, .. } => {
                (part.phase, part.attempts, part.next) = (PartPhase::Trying, *attempt, None);
                part.began.get_or_insert(record.at);
            }
            Event::DeliverySent { receipt, .. } => {
                (part.phase, part.ended, part.fault) = (PartPhase::Sent, ended, None);
                part.receipt.clone_from(receipt);
            }
            Event::DeliveryFailed { fault, at: Some(next), .. } => {
                (part.phase, part.next, part.fault) = (PartPhase::Retrying, Some(*next), Some(fault.clone()));
            }
            Event::DeliveryFailed { fault, at: None, .. } => {
                (part.phase, part.ended, part.next) = (PartPhase::Failed, ended, None);
                part.fault = Some(fault.clone());
            }
            Event::DeliveryUnknown { fault, .. } => {
                (part.phase, part.ended, part.fault) = (PartPhase::Unknown, ended, Some(fault.clone()));
            }
            _ => {}
        }
    }
}
