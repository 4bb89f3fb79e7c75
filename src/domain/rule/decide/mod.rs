//! `decide(state, command, now) -> events + effects`: every safety rule of Mayday, without I/O, clock or randomness.
//!
//! A command is either refused as a whole, with the reason, or it becomes events; effects are what the shell does once those events
//! are durable. What may start by itself is worked out anew after every command ([`advance`]), so that hold, release, crash and
//! resume need no cases of their own.
//!
//! Every rule has a number, and is said in a sentence where it is held.

mod advance;
mod alerts;
mod ask;
mod checklist;
mod closing;
mod comms;
mod decision;
mod drills;
mod gate;
mod parts;
mod people;
mod prepared;
mod report;
mod safety;
#[cfg(test)]
pub(in crate::domain) mod tests;
mod undo;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::moves;
use super::rollup::Readings;
use super::state::State;
use super::target::Seen;
use crate::domain::actor::{Actor, Origin};
use crate::domain::chain::Chain;
use crate::domain::fact::command::{Effect, Envelope, Job, Refusal, RefusalReason as Why};
use crate::domain::fact::comms::Voice;
use crate::domain::fact::event::{Event, Record};
use crate::domain::fact::findings::Baseline;
use crate::domain::fact::live::SurveyLive;
use crate::domain::fact::recovery::RecoveryPoint;
use crate::domain::fact::run::{StepPhase, StepRun};
use crate::domain::ids::{SessionId, StepId, SystemId};
use crate::domain::spec::estate::Estate;
use crate::domain::spec::plan::Plan;
use crate::domain::text::clean;
use crate::domain::time::At;

#[cfg(test)]
pub(in crate::domain) use tests::bench;

pub use ask::clocks_if_declared;
pub use checklist::has_to_be_walked;
pub use closing::open_checks;
pub use comms::wakes;
pub use decision::{decide, decide_reports, preview};
pub use gate::ripe;
pub use undo::phrase as revert_phrase;

/// What is true around a decision but not part of the journal.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub estate: &'a Estate,
    pub plans: &'a [Arc<Plan>],
    pub now: At,
    /// The latest known recovery points outside the serving region: journalled when an incident is declared.
    pub points: &'a BTreeMap<SystemId, RecoveryPoint>,
    /// How things were while they were well: journalled with it.
    pub baseline: &'a Baseline,
    pub voice: Voice<'a>,
    /// What the datastores looked like the last time: a way home is refused on what is not known.
    pub surveys: &'a BTreeMap<SystemId, SurveyLive>,
    /// How far the journal has come: it makes ids that no other history has.
    pub chain: &'a Chain,
    /// What the probes have said since this engine started.
    pub readings: &'a Readings,
}

impl<'a> Context<'a> {
    /// What a choice of regions goes by.
    fn seen(&self, state: &'a State) -> Seen<'a> {
        let Self { estate, surveys, points, readings, now, .. } = *self;
        Seen { estate, state, surveys, points, readings, now }
    }
}

/// What was decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// To be made durable, in this order, before anything else.
    pub events: Vec<(Actor, Event)>,
    /// To be done after that.
    pub effects: Vec<Effect>,
    /// A word for whoever asked.
    pub note: Option<String>,
}

/// A decision in the making: the state as it will be once the events so far are folded in.
struct Draft<'a> {
    cx: Context<'a>,
    envelope: &'a Envelope,
    before: &'a State,
    /// A copy, made when the first event is drafted.
    after: Option<Box<State>>,
    decision: Decision,
}

impl<'a> Draft<'a> {
    fn new(cx: Context<'a>, before: &'a State, envelope: &'a Envelope) -> Self {
        Self { cx, envelope, before, after: None, decision: Decision::default() }
    }

    fn state(&self) -> &State {
        self.after.as_deref().unwrap_or(self.before)
    }

    fn event(&mut self, event: Event) {
        let actor = self.envelope.actor.clone();
        self.event_by(actor, event);
    }

    fn event_by(&mut self, actor: Actor, event: Event) {
        let after = self.after.get_or_insert_with(|| Box::new(self.before.clone()));
        debug_assert!(moves::fits(after.run.as_ref(), &event), "a rule decides what its step cannot do: {event:?}");
        let record = Record { seq: after.seq + 1, at: self.cx.now, actor: actor.clone(), event: event.clone() };
        after.apply(&record);
        self.decision.events.push((actor, event));
    }

    fn effect(&mut self, effect: Effect) {
        self.decision.effects.push(effect);
    }

    /// The job of `step` as the draft stands now.
    fn job(&self, step: &StepId) -> Option<Job> {
        Job::of(self.state().run.as_ref()?, step)
    }

    fn effect_for(&mut self, step: &StepId, effect: fn(Job) -> Effect) {
        if let Some(job) = self.job(step) {
            self.effect(effect(job));
        }
    }
}

fn refuse<T>(reason: Why, why: impl Into<String>, next: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(reason, why, next))
}

/// The cockpit session a command came from.
fn session(envelope: &Envelope) -> Option<&SessionId> {
    match &envelope.origin {
        Origin::Cockpit { session, .. } => Some(session),
        _ => None,
    }
}

fn open_incident(draft: &Draft<'_>) -> Result<(), Refusal> {
    match draft.state().incident {
        Some(_) => Ok(()),
        None => {
            refuse(Why::Conflict, "no incident is open", "declare one first: press D, or `mayday incident declare`")
        }
    }
}

fn need_reason(reason: &str) -> Result<(), Refusal> {
    if clean(reason).is_empty() {
        refuse(Why::ReasonMissing, "this needs a reason", "say why, for the record")
    } else {
        Ok(())
    }
}

fn must_be(known: &StepRun, phases: &[StepPhase], otherwise: &str) -> Result<(), Refusal> {
    if phases.contains(&known.phase) {
        Ok(())
    } else {
        refuse(Why::Conflict, format!("the step is {}: {otherwise}", known.phase), "")
    }
}

/// A cockpit that is being used stays armed.
fn touch(draft: &mut Draft<'_>) {
    if let Some(session) = session(draft.envelope).cloned() {
        draft.event(Event::CockpitArmed { session });
    }
}
