//! `decide(state, command, now) -> events + effects`: every safety rule of Mayday, without I/O, clock or randomness.
//!
//! A command is either refused as a whole, with the reason, or it becomes events; effects are what the shell does once those events
//! are durable. What may start by itself is worked out anew after every command ([`advance`]), so that hold, release, crash and
//! resume need no cases of their own.

mod advance;
mod alerts;
mod ask;
mod checklist;
mod closing;
mod comms;
mod drills;
mod gate;
mod parts;
mod people;
mod report;
mod safety;
#[cfg(test)]
pub(super) mod tests;
mod undo;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::actor::{Actor, Origin};
use super::checklist::Baseline;
use super::command::{Command, Effect, Envelope, Job, Refusal, RefusalReason, Report};
use super::comms::{Message, Purpose, Voice};
use super::estate::Estate;
use super::event::{Event, Record};
use super::ids::{StepId, SystemId};
use super::journal::Chain;
use super::live::SurveyLive;
use super::plan::Plan;
use super::recovery::RecoveryPoint;
use super::rollup::Readings;
use super::state::State;
use super::target::Seen;
use super::time::At;

pub use ask::clocks_if_declared;
pub use checklist::has_to_be_walked;
pub use closing::open_checks;
pub use gate::ripe;
#[cfg(test)]
pub(in crate::domain) use tests::bench;
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

/// Decides on one command.
///
/// # Errors
/// A refusal, when the command does not fit the state of things or a safety rule stands against it. Nothing happened then.
pub fn decide(cx: &Context<'_>, state: &State, envelope: &Envelope) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(*cx, state, envelope);
    match &envelope.command {
        Command::Ask(command) => {
            ask::permit(cx, state, envelope, command)?;
            ask::ask(&mut draft, command)?;
        }
        Command::Report(report) => report::report(&mut draft, report),
    }
    advance::advance(&mut draft);
    comms::advance(&mut draft);
    Ok(draft.decision)
}

/// Decides on what was reported, in its order and as one: it becomes durable together, and what may start is worked out once.
pub fn decide_reports(cx: &Context<'_>, state: &State, reports: &[Report]) -> Decision {
    let command = Command::Report(Report::CommsDue {});
    let envelope = Envelope { actor: Actor::engine(), origin: Origin::Engine, command };
    let mut draft = Draft::new(*cx, state, &envelope);
    for report in reports {
        report::report(&mut draft, report);
    }
    advance::advance(&mut draft);
    comms::advance(&mut draft);
    draft.decision
}

/// When something of communications comes due by itself.
pub use comms::wakes;

/// The message that would be composed for a purpose now; `None` when there is no incident to tell that of.
pub fn preview(cx: &Context<'_>, state: &State, purpose: Purpose, note: &str) -> Option<Message> {
    let command = Command::Report(super::command::Report::CommsDue {});
    let envelope = Envelope { actor: Actor::engine(), origin: Origin::Engine, command };
    let take_back = cx.estate.comms.take_back.0;
    // Where none is open, the end of the last one can still be told.
    let last = state.closed.front().filter(|_| state.incident.is_none());
    if last.is_some() && !closing::AFTERWARDS.contains(&purpose) {
        return None;
    }
    let incident = last.map(|it| &it.id);
    let wish = comms::Wish { take_back, note, incident, ..Default::default() };
    comms::draft_message(&Draft::new(*cx, state, &envelope), purpose, &wish)
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

fn refuse<T>(reason: RefusalReason, why: impl Into<String>, next: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(reason, why, next))
}

/// The cockpit session a command came from.
fn session(envelope: &Envelope) -> Option<&super::ids::SessionId> {
    match &envelope.origin {
        Origin::Cockpit { session, .. } => Some(session),
        _ => None,
    }
}
