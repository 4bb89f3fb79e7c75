//! The checklist: what has to be true before an incident is over, what Mayday sees of each item, and what a human says about it.
//!
//! An item is *watched* when there is something that Mayday can look at by itself; what it sees is its evidence. A human ticks it or
//! skips it. A tick is never taken back in silence: when evidence turns to fail after it, the item is open again, with the tick and the
//! reason beside it, and somebody has to answer once more.

use serde::{Deserialize, Serialize};

use super::event::{Event, Record};
use super::findings::{Baseline, Evidence};
use crate::domain::actor::Actor;
use crate::domain::ids::ItemId;
use crate::domain::spec::checklist::Item;
use crate::domain::time::At;
use crate::domain::words::words;

/// What was seen when the evidence last changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Seen {
    pub evidence: Evidence,
    pub detail: String,
    pub at: At,
}

/// What a human says about an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Answer {
    Ticked { by: Actor, at: At, note: String, against: Option<String> },
    Skipped { by: Actor, at: At, reason: String },
}

/// Why an item is open again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Reopened {
    pub by: Actor,
    pub at: At,
    pub reason: String,
    /// What had been said before.
    pub was: Option<Answer>,
}

words! {
    /// Where an item stands.
    Standing {
        Open = "open",
        /// It had been answered.
        Reopened = "reopened",
        Ticked = "ticked",
        Skipped = "skipped",
    }
}

impl Standing {
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Reopened)
    }
}

/// An item of an incident's checklist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ItemState {
    pub item: Item,
    pub seen: Option<Seen>,
    pub answer: Option<Answer>,
    pub reopened: Option<Reopened>,
}

impl ItemState {
    pub fn new(item: Item) -> Self {
        Self { item, seen: None, answer: None, reopened: None }
    }

    pub fn standing(&self) -> Standing {
        match (&self.answer, &self.reopened) {
            (Some(Answer::Ticked { .. }), _) => Standing::Ticked,
            (Some(Answer::Skipped { .. }), _) => Standing::Skipped,
            (None, Some(_)) => Standing::Reopened,
            (None, None) => Standing::Open,
        }
    }

    /// What is known of a watched item; `None` for one that only a human can tell.
    pub fn evidence(&self) -> Option<Evidence> {
        self.item.is_watched().then(|| self.seen.as_ref().map_or(Evidence::Unknown, |seen| seen.evidence))
    }

    /// What stands against a tick now, in words: evidence that fails or is unknown.
    pub fn against(&self) -> Option<String> {
        match (self.evidence()?, &self.seen) {
            (Evidence::Pass, _) => None,
            (evidence, Some(seen)) => Some(format!("{evidence}: {}", seen.detail)),
            (evidence, None) => Some(format!("{evidence}: not looked at yet")),
        }
    }

    fn apply(&mut self, record: &Record) {
        let (by, at) = (record.actor.clone(), record.at);
        match &record.event {
            Event::ItemSeen { evidence, detail, .. } => {
                self.seen = Some(Seen { evidence: *evidence, detail: detail.clone(), at });
            }
            Event::ItemTicked { note, against, .. } => {
                let (note, against) = (note.clone(), against.clone());
                self.answer = Some(Answer::Ticked { by, at, note, against });
            }
            Event::ItemSkipped { reason, .. } => {
                self.answer = Some(Answer::Skipped { by, at, reason: reason.clone() });
            }
            Event::ItemReopened { reason, .. } => {
                self.reopened = Some(Reopened { by, at, reason: reason.clone(), was: self.answer.take() });
            }
            _ => {}
        }
    }
}

/// The checklist of an incident: fixed when it is declared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Checklist {
    pub items: Vec<ItemState>,
    pub baseline: Baseline,
}

impl Checklist {
    pub fn item(&self, id: &ItemId) -> Option<&ItemState> {
        self.items.iter().find(|it| &it.item.id == id)
    }

    /// The items that nobody has answered for, or that are open again.
    pub fn open(&self) -> impl Iterator<Item = &ItemState> {
        self.items.iter().filter(|it| it.standing().is_open())
    }

    /// Folds one record in.
    pub fn apply(&mut self, record: &Record) {
        match &record.event {
            Event::ChecklistFixed { items, baseline } => {
                self.items = items.iter().cloned().map(ItemState::new).collect();
                self.baseline = Baseline::clone(baseline);
            }
            Event::ItemAdded { item } => self.items.push(ItemState::new(item.clone())),
            Event::ItemSeen { item, .. }
            | Event::ItemTicked { item, .. }
            | Event::ItemSkipped { item, .. }
            | Event::ItemReopened { item, .. } => {
                if let Some(known) = self.items.iter_mut().find(|it| &it.item.id == item) {
                    known.apply(record);
                }
            }
            _ => {}
        }
    }
}
