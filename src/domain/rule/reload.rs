//! Taking another config in the middle of life: when that can be, and what the new estate must not leave without an owner.

use std::collections::BTreeSet;

use super::state::State;
use crate::domain::fact::command::{Refusal, RefusalReason};
use crate::domain::fact::comms::PartPhase;
use crate::domain::ids::ChannelId;
use crate::domain::spec::estate::{Estate, Service};

/// Something is being sent or looked for this moment: worth a short wait.
pub fn is_sending(state: &State) -> bool {
    !senders(state).is_empty()
}

/// The channels that are at it.
fn senders(state: &State) -> BTreeSet<&ChannelId> {
    let deliveries = state.outbox.messages.iter().flat_map(|it| &it.deliveries);
    let at_it = deliveries.filter(|(_, it)| it.parts.iter().any(|part| part.phase == PartPhase::Trying));
    at_it.map(|(channel, _)| channel).collect()
}

/// Whether an engine in this state may come to rest and hand over to one with the estate `new`.
///
/// # Errors
/// Everything that stands against it, in words.
pub fn may(state: &State, old: &Estate, new: &Estate) -> Result<(), Refusal> {
    let refuse = |why: String, next: &str| Err(Refusal::new(RefusalReason::Conflict, why, next));
    if let Some(run) = state.run.as_ref().filter(|run| run.is_open()) {
        let why = format!(
            "{} is under way ({}): its plan and its systems stay as they are until it has ended",
            run.id, run.plan.id
        );
        return refuse(why, "follow it to its end, or abandon it; then: mayday engine reload");
    }
    if state.run.as_ref().is_some_and(|run| run.steps.values().any(|step| step.phase.is_in_flight())) {
        return refuse("a step is still being observed".into(), "wait until it has ended; then: mayday engine reload");
    }
    if let Some(name) = &state.drilling {
        return refuse(
            format!("the drill {name} is being played"),
            "wait until it has ended; then: mayday engine reload",
        );
    }
    let senders: Vec<&str> = senders(state).into_iter().map(ChannelId::as_str).collect();
    if !senders.is_empty() {
        let why = format!("{} is sending, and whether it arrived is not known yet", senders.join(", "));
        return refuse(
            why,
            "try again in a moment (mayday outbox list); a relay that hangs can be left out by a new engine: mayday engine stop",
        );
    }
    let lost = lost(state, old, new);
    if !lost.is_empty() {
        let why = format!("the new config would leave something behind: {}", lost.join("; "));
        return refuse(why, "put it back into the config, or finish what needs it; then: mayday engine reload");
    }
    Ok(())
}

/// What is still needed and is not in the new estate, each in a few words.
fn lost(state: &State, old: &Estate, new: &Estate) -> Vec<String> {
    let mut lost = Vec::new();
    let serving = state.serving(old);
    if !new.regions.iter().any(|region| region.id == serving) {
        lost.push(format!("region {serving} serves clients now"));
    }
    let open = state.outbox.messages.iter().flat_map(|it| &it.deliveries).filter(|(_, it)| !it.is_settled());
    let channels: BTreeSet<_> = open.map(|(channel, _)| channel).filter(|id| new.channel(id).is_none()).collect();
    lost.extend(channels.into_iter().map(|id| format!("channel {id} has messages that have not gone out")));
    // What a failover left is undone, protected and led back with what it was made with.
    let needed = match (&state.incident, &state.moved) {
        (Some(incident), _) => format!("{} is open", incident.id),
        (None, Some(moved)) => format!("clients were moved by {} and are not back", moved.run),
        (None, None) => return lost,
    };
    for region in &old.regions {
        let same = new.regions.iter().find(|it| it.id == region.id);
        match same {
            None if region.id != serving => lost.push(format!("region {} ({needed})", region.id)),
            Some(it) if it.role != region.role => {
                lost.push(format!("region {} would no longer be the {} ({needed})", region.id, region.role));
            }
            _ => {}
        }
    }
    let gone = old.services.iter().filter(|it| new.service(&it.id).is_none());
    lost.extend(gone.map(|it| format!("service {} ({needed})", it.id)));
    let gone = old.systems.iter().filter(|it| new.system(&it.id).is_none_or(|known| known.kind != it.kind));
    lost.extend(gone.map(|it| format!("system {} ({needed})", it.id)));
    if state.incident.is_none() {
        return lost;
    }
    if old.objectives != new.objectives {
        lost.push(format!("the objectives that the incident is measured by ({needed})"));
    }
    let tier = |it: &&Service| new.service(&it.id).is_some_and(|known| known.tier != it.tier);
    lost.extend(old.services.iter().filter(tier).map(|it| format!("service {} is {} ({needed})", it.id, it.tier)));
    if old.environment != new.environment {
        lost.push(format!("the estate is {} ({needed})", old.environment));
    }
    lost
}
