//! The checklist: what was seen of each item, and what a human said of it.

use super::super::review::{Answer, ItemReview};
use super::super::text::tidy;
use crate::domain::event::{Event, Record};
use crate::domain::ids::ItemId;

#[derive(Default)]
pub struct Items(Vec<ItemReview>);

impl Items {
    pub fn take(&mut self, record: &Record) {
        match &record.event {
            Event::ChecklistFixed { items, .. } => {
                for item in items {
                    self.item(&item.id).title = tidy(&item.title);
                }
            }
            Event::ItemAdded { item } => self.item(&item.id).title = tidy(&item.title),
            Event::ItemSeen { item, evidence, detail } => {
                let known = self.item(item);
                (known.evidence, known.detail, known.seen_at) = (Some(*evidence), tidy(detail), Some(record.at));
            }
            Event::ItemTicked { item, note, against } => {
                self.answered(record, item, Answer::Ticked, note);
                self.item(item).against = against.as_deref().map(tidy);
            }
            Event::ItemSkipped { item, reason } => self.answered(record, item, Answer::Skipped, reason),
            Event::ItemReopened { item, reason } => self.answered(record, item, Answer::Open, reason),
            _ => {}
        }
    }

    fn answered(&mut self, record: &Record, item: &ItemId, answer: Answer, note: &str) {
        let known = self.item(item);
        (known.answer, known.note, known.against) = (answer, tidy(note), None);
        (known.by, known.at) = (Some(record.actor.clone()), Some(record.at));
    }

    fn item(&mut self, id: &ItemId) -> &mut ItemReview {
        let at = self.0.iter().position(|item| &item.id == id).unwrap_or_else(|| {
            self.0.push(ItemReview {
                id: id.clone(),
                title: tidy(id.as_str()),
                answer: Answer::Open,
                by: None,
                at: None,
                note: String::new(),
                against: None,
                evidence: None,
                detail: String::new(),
                seen_at: None,
            });
            self.0.len() - 1
        });
        &mut self.0[at]
    }

    pub fn review(self) -> Vec<ItemReview> {
        self.0
    }
}
