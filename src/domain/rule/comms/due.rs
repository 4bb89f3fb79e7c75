//! When the next update is due, and which one the state of things calls for: one reading for header, pane and command line.

use serde::Serialize;

use crate::domain::fact::incident::{Incident, Phase};
use crate::domain::fact::run::Run;
use crate::domain::rule::state::State;
use crate::domain::spec::comms::Purpose;
use crate::domain::spec::estate::Estate;
use crate::domain::time::{At, after};

/// The next update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Proposal {
    /// When it is due by what was promised.
    pub at: At,
    /// What there is to say now.
    pub purpose: Purpose,
    /// Things have moved on since the last update: it is worth saying before it is due.
    pub moved: bool,
    /// Why this one, in a few words.
    pub why: &'static str,
}

/// The next update of the open incident; `None` when there is none, when its end has been told, or when there is no way to
/// tell anybody.
pub fn due(estate: &Estate, state: &State) -> Option<Proposal> {
    let incident = state.incident.as_ref().filter(|_| !estate.channels.is_empty())?;
    let said = state.outbox.latest(&incident.id).map(|it| &it.message);
    if said.is_some_and(|it| it.purpose == Purpose::Resolved) {
        return None;
    }
    let declared = incident.clocks.t2.or(state.at)?;
    let every = estate.comms.every(incident.severity).0;
    let at = match said {
        // Of a promise that was made in words, the words count.
        Some(message) => message.next_due.unwrap_or_else(|| after(message.send_at, every)),
        None => after(declared, estate.comms.first_update.0.min(every)),
    };
    let (purpose, why) = stage(incident, state.run.as_ref(), said.map(|it| it.purpose));
    Some(Proposal { at, purpose, moved: said.is_none_or(|it| it.purpose != purpose), why })
}

/// How far the recovery has come, in the words of status pages. An update never goes back behind what was said, except that trouble
/// that goes on after all was said to be up is being worked on again.
fn stage(incident: &Incident, run: Option<&Run>, said: Option<Purpose>) -> (Purpose, &'static str) {
    let run = run.filter(|run| run.incident.as_ref() == Some(&incident.id) && run.mode.acts());
    let is_over = run.is_none_or(|run| !run.is_open());
    let checked = incident.checklist.open().next().is_none();
    match (incident.phase, incident.clocks.t4) {
        (Phase::Recovered, _) if said == Some(Purpose::Monitoring) && is_over && checked => {
            (Purpose::Resolved, "clients are served, the run has ended, and nothing is left to check")
        }
        (Phase::Recovered, _) if said == Some(Purpose::Monitoring) && is_over => {
            (Purpose::Monitoring, "clients are served again; the checklist is not through")
        }
        (Phase::Recovered, _) => (Purpose::Monitoring, "clients are served again"),
        (_, Some(_)) => (Purpose::Monitoring, "the standby is up; it is being verified"),
        (Phase::Mitigating, _) => (Purpose::Identified, "the plan is under way: something is being changed"),
        _ if said == Some(Purpose::Monitoring) => (Purpose::Monitoring, "nothing has changed"),
        _ if said == Some(Purpose::Identified) => (Purpose::Identified, "nothing has changed"),
        // That a plan was chosen is no news of what is wrong.
        _ if run.is_some_and(Run::is_open) => (Purpose::Investigating, "a plan was chosen; nothing is changed yet"),
        _ => (Purpose::Investigating, "nothing has been done yet"),
    }
}
