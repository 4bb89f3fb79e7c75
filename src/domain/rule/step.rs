//! The fold of a step of a run: what each event makes of it.

use super::moves::step_to;
use crate::domain::actor::Actor;
use crate::domain::fact::event::{Event, Prepared, Record};
use crate::domain::fact::run::{Answered, Changed, GateCard, Instead, Printed, StepPhase, StepRun, Wanted};
use crate::domain::fact::system::Begun;
use crate::domain::time::At;

impl StepRun {
    /// Folds in what was heard of it.
    pub(super) fn apply(&mut self, record: &Record) {
        let to = step_to(self.phase, &record.event);
        let at = record.at;
        match &record.event {
            Event::StepPreparing { .. } => {
                self.was_open = self.phase == StepPhase::Gated;
                self.ready_at.get_or_insert(at);
            }
            Event::StepPrepared { card, verdict, differs, .. } => {
                self.note_change(*verdict, differs, at);
                self.prepared(card, *verdict, at);
            }
            Event::StepLookedAgain { .. } => {
                self.outdated = false;
                if let Some(card) = &mut self.card {
                    card.at = at;
                }
            }
            Event::GateAnswered { .. } => self.answered = Some(Answered { by: record.actor.clone(), at }),
            Event::GateConfirmed { cleared, .. } => self.confirmed_by(&record.actor, *cleared),
            Event::GuardsOverridden { guards, cleared, .. } => {
                self.overridden.clone_from(guards);
                if let Some(first) = self.wanted.take().filter(|first| first.wish == Instead::Override) {
                    self.confirmed_by(&first.by, false);
                }
                self.confirmed_by(&record.actor, *cleared);
            }
            Event::SecondAwaited { wish, guards, reason, .. } => {
                let (by, wish, guards) = (record.actor.clone(), *wish, guards.clone());
                self.detail = format!("{by} wants {} ({reason}); a second person has to, too", wish.words());
                self.wanted = Some(Wanted { by, wish, guards });
            }
            Event::StepApplying { attempt, .. } => {
                self.attempts = *attempt;
                (self.reverts, self.vouched) = (0, false);
                self.begin(at);
                self.say("");
            }
            Event::StepRunsAs { process, .. } => {
                if let Some(begun) = &mut self.begun {
                    begun.process = Some(process.clone());
                }
            }
            Event::StepGoesBy { receipt, .. } => {
                if let Some(begun) = &mut self.begun {
                    begun.receipt.extend(receipt.clone());
                }
            }
            Event::StepApplied { receipt, .. } => {
                if let Some(begun) = &mut self.begun {
                    begun.receipt.clone_from(receipt);
                    // Its end was heard of.
                    begun.process = None;
                }
                self.say("applied; waiting for the effect");
            }
            Event::StepUncertain { fault, .. } => {
                self.fault = Some(fault.clone());
                self.say(&fault.what);
            }
            Event::StepNotDone { detail, .. } => self.say(detail),
            Event::StepFound { detail, .. } => self.say(detail),
            Event::StepUnknowable { why, .. } => self.say(why),
            Event::StepVerified { detail, point, .. } => {
                self.point.clone_from(point);
                self.fault = None;
                self.end(detail, at);
            }
            Event::StepRetrying { fault, at: due, .. } => {
                self.fault = Some(fault.clone());
                self.retry_at = Some(*due);
                self.retries += 1;
                // What failed like this has changed nothing.
                self.vouched |= self.phase == StepPhase::Applying;
                self.say(&fault.what);
            }
            Event::StepFailed { fault, .. } => {
                self.fault = Some(fault.clone());
                self.say(&fault.what);
            }
            Event::StepRetried { reason, .. } => {
                let vouched = matches!(self.phase, StepPhase::Asking | StepPhase::Reverted);
                self.begin_anew();
                self.vouched = vouched;
                self.say(reason);
            }
            Event::StepSkipped { reason, .. } => self.end(reason, at),
            Event::StepDoneByHand { reason, .. } => self.end(reason, at),
            Event::StepPrinted { lines, file, .. } => {
                self.printed = Some(Printed { lines: lines.clone(), file: file.clone() });
            }
            Event::StepReverting { reason, .. } => {
                self.reverts += 1;
                self.say(reason);
            }
            Event::StepReverted { .. } => {
                self.reverts = 0;
                if let Some(begun) = &mut self.begun {
                    begun.process = None;
                }
                self.end("reverted", at);
            }
            _ => {}
        }
        self.phase = to;
    }

    /// A look has ended. Whoever confirmed what is otherwise now has confirmed nothing.
    fn note_change(&mut self, verdict: Prepared, differs: &[String], at: At) {
        (self.answered, self.was_open) = (None, false);
        if !differs.is_empty() {
            self.confirmed.clear();
            self.changed = Some(Changed { at, what: differs.to_vec() });
        } else if verdict != Prepared::Gate {
            self.changed = None;
        }
    }

    /// As if never tried in this run, but for what `begun` holds of it.
    pub(super) fn begin_anew(&mut self) {
        (self.answered, self.changed, self.was_open) = (None, None, false);
        (self.phase, self.fault, self.retries, self.ended_at, self.cleared) =
            (StepPhase::Waiting, None, 0, None, false);
        self.confirmed.clear();
        self.overridden.clear();
        self.wanted = None;
    }

    fn say(&mut self, detail: &str) {
        if !detail.is_empty() {
            detail.clone_into(&mut self.detail);
        }
    }

    fn end(&mut self, detail: &str, at: At) {
        self.wanted = None;
        self.say(detail);
        self.ended_at = Some(at);
    }

    fn begin(&mut self, at: At) {
        let pre_image = self.card.as_ref().map(|card| card.pre_image.clone()).unwrap_or_default();
        self.begun.get_or_insert_with(|| Begun { at, pre_image, receipt: Default::default(), process: None });
    }

    fn prepared(&mut self, card: &GateCard, verdict: Prepared, at: At) {
        self.card = Some(card.clone());
        self.outdated = false;
        if verdict != Prepared::Blocked {
            // Whoever wanted past guards that are gone has said nothing about the next ones.
            self.wanted = self.wanted.take().filter(|first| first.wish != Instead::Override);
        }
        let words = if card.summary.is_empty() { card.observed.words() } else { card.summary.as_str() };
        match verdict {
            Prepared::AlreadyDone | Prepared::InProgress => {
                self.begin(at);
                self.say(card.observed.words());
            }
            Prepared::Blocked => {
                let why = card.blocks().next().map_or(card.observed.words(), |guard| guard.detail.as_str());
                self.say(why);
            }
            Prepared::Gate => self.say(words),
            Prepared::Clear => self.say(words),
            Prepared::Rehearsed => self.end(words, at),
        }
    }

    fn confirmed_by(&mut self, actor: &Actor, cleared: bool) {
        if !self.confirmed.iter().any(|known| known.is_same_person(actor)) {
            self.confirmed.push(actor.clone());
        }
        if cleared {
            self.changed = None;
            self.cleared = true;
        }
    }
}
