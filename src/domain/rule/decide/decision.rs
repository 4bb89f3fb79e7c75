//! The order in which a decision is made: may it be asked, what becomes of it, what starts by itself.

use super::{Context, Decision, Draft, advance, ask, closing, comms, report};
use crate::domain::actor::{Actor, Origin};
use crate::domain::fact::command::{Command, Envelope, Refusal, Report};
use crate::domain::fact::comms::Message;
use crate::domain::rule::state::State;
use crate::domain::spec::comms::Purpose;

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

/// The message that would be composed for a purpose now; `None` when there is no incident to tell that of.
pub fn preview(cx: &Context<'_>, state: &State, purpose: Purpose, note: &str) -> Option<Message> {
    let command = Command::Report(Report::CommsDue {});
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
