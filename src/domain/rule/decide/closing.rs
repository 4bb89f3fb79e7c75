//! The end of an incident: closing it, and what is told of it around that. Nothing is left half told: a page is resolved with it, and
//! what is still to be told of a closed incident can be told, as far as it is about its end.

use super::comms::{Wish, subject};
use super::{Draft, checklist, comms, refuse};
use crate::domain::fact::command::{Refusal, RefusalReason as Why};
use crate::domain::fact::event::Event;
use crate::domain::fact::incident::Incident;
use crate::domain::fact::run::Run;
use crate::domain::ids::{IncidentId, MessageId};
use crate::domain::rule::comms::{open_pages, outside};
use crate::domain::rule::state::State;
use crate::domain::spec::comms::{Audience, Purpose};
use crate::domain::text::clean;

/// What is told of a closed incident: that it held, and that it is over. Anything else is news of trouble, which is an incident.
pub(super) const AFTERWARDS: [Purpose; 2] = [Purpose::Monitoring, Purpose::Resolved];

/// Only what tells how things stand is told by hand; the rest is said by what it belongs to.
pub(super) fn tell(
    draft: &mut Draft<'_>,
    purpose: Purpose,
    wish: &Wish<'_>,
    despite: &str,
) -> Result<MessageId, Refusal> {
    if !purpose.is_update() {
        return refuse(
            Why::Conflict,
            format!("`{purpose}` is not an update"),
            "say investigating, identified, monitoring or resolved",
        );
    }
    let state = draft.state();
    match (subject(state, wish.incident), wish.incident) {
        (Some(found), _) if found.closed_at.is_some() => may_tell_of_closed(state, found, purpose, wish.audiences)?,
        (Some(_), _) => {}
        (None, Some(named)) => {
            let kept: Vec<&str> = state.closed.iter().map(|it| it.id.as_str()).collect();
            let next = match kept.is_empty() {
                true => "no incident was closed recently".to_owned(),
                false => format!("what is needed to tell of it is kept of {}", kept.join(", ")),
            };
            return refuse(Why::NotFound, format!("{named} is neither open nor closed recently"), next);
        }
        (None, None) => {
            if let Some(last) = state.closed.front() {
                let next =
                    format!("to tell of its end: mayday notify resolved --incident {}, or u in the cockpit", last.id);
                return refuse(Why::Conflict, format!("no incident is open; {} is closed", last.id), next);
            }
        }
    }
    if purpose == Purpose::Resolved {
        asked_once(draft, wish.incident, despite)?;
    }
    comms::compose(draft, purpose, wish)
}

/// Of a closed incident only its end is told; and while another is open, nobody outside reads that all is well.
///
/// **Rule 34.** Nobody outside reads that all is well while an incident is open.
fn may_tell_of_closed(
    state: &State,
    incident: &Incident,
    purpose: Purpose,
    audiences: &[Audience],
) -> Result<(), Refusal> {
    if !AFTERWARDS.contains(&purpose) {
        let why = format!("{} is closed: `{purpose}` would tell people that it goes on", incident.id);
        return refuse(Why::Conflict, why, "tell monitoring or resolved; if it has come back, declare an incident: D");
    }
    let inside = !audiences.is_empty() && audiences.iter().all(|it| *it == Audience::Internal);
    if let Some(open) = state.incident.as_ref().filter(|open| !open.drill && !inside) {
        let why = format!("{} is open: people outside would read that all is well", open.id);
        return refuse(Why::Conflict, why, "tell of it when that one is over, or the team alone: --audience internal");
    }
    Ok(())
}

/// How many checks are open of an incident in which something was changed, and people are told: then its end is asked about once.
pub fn open_checks(incident: &Incident, run: Option<&Run>) -> usize {
    let acted = incident.clocks.t3.is_some() || checklist::has_to_be_walked(incident, run);
    if acted && !incident.drill { incident.checklist.open().count() } else { 0 }
}

/// **Rule 35.** That all is over is told with open checks only by whoever says why.
fn asked_once(draft: &mut Draft<'_>, named: Option<&IncidentId>, despite: &str) -> Result<(), Refusal> {
    let state = draft.state();
    let Some(incident) = subject(state, named).filter(|it| it.closed_at.is_none()) else { return Ok(()) };
    let (open, all) = (open_checks(incident, state.run.as_ref()), incident.checklist.items.len());
    if open == 0 {
        return Ok(());
    }
    let despite = clean(despite);
    let why = format!("{open} of {all} items of the checklist are open, and people would read that all is restored");
    if despite.is_empty() {
        let next = "tell monitoring, or walk through them (w), or say why it is told all the same: --despite";
        return refuse(Why::ReasonMissing, why, next);
    }
    draft.event(Event::NoteAdded { text: format!("`resolved` is told with {open} of {all} checks open: {despite}") });
    Ok(())
}

/// Closes the open incident. What is told with it goes out like any update, and can be taken back as long; a page that is open is
/// resolved in any case.
///
/// **Rule 36.** An incident is not closed over an open run, and a page that is open is resolved with it.
pub(super) fn close(draft: &mut Draft<'_>, note: &str, despite: &str, tells: bool) -> Result<(), Refusal> {
    super::open_incident(draft)?;
    if let Some(run) = draft.state().run.as_ref().filter(|run| run.is_open() && run.mode.acts()) {
        let why = format!("the run {} of {} is still open", run.id, run.plan.id);
        return refuse(Why::Conflict, why, "let it end, or abandon it with a reason");
    }
    let told = match tells {
        true => {
            let take_back = draft.cx.estate.comms.take_back.0;
            Some(tell(draft, Purpose::Resolved, &Wish { take_back, ..Wish::default() }, despite)?)
        }
        false => None,
    };
    checklist::leave_open(draft, despite)?;
    let Some(incident) = draft.state().incident.as_ref().map(|it| it.id.clone()) else { return Ok(()) };
    if !open_pages(draft.cx.estate, draft.state(), &incident).is_empty() {
        // Without a channel that can be told so, it stays open, and that is said below.
        let _ = comms::compose(draft, Purpose::Resolved, &Wish { only_page: true, ..Wish::default() });
    }
    draft.event(Event::IncidentClosed { note: clean(note) });
    let left = outside(draft.cx.estate, draft.state(), &incident, draft.cx.now);
    draft.decision.note = match told {
        Some(message) => {
            Some(format!("{incident} is closed; {message} (resolved) goes out in {}", draft.cx.estate.comms.take_back))
        }
        None if left.untold().is_empty() => None,
        None => Some(format!(
            "{incident} is closed; still open outside: {} → mayday notify resolved --incident {incident}",
            left.brief()
        )),
    };
    Ok(())
}
