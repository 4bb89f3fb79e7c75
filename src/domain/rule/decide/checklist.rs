//! The rules of the checklist: no tick against what Mayday sees without a reason, no skip without one, nothing taken back in silence,
//! and no way to forget the list: a major incident whose run is complete is closed over open items with a reason only.
//!
//! Evidence that turns to fail opens a ticked item again: the tick said that it is well, and it is not. Evidence that only becomes
//! unknown does not: it contradicts nobody, and is shown beside the tick.

use super::{Draft, refuse};
use crate::domain::fact::checklist::{ItemState, Standing};
use crate::domain::fact::command::{Refusal, RefusalReason as Why};
use crate::domain::fact::event::Event;
use crate::domain::fact::findings::{Baseline, Evidence};
use crate::domain::fact::incident::Incident;
use crate::domain::fact::run::{Mode, Outcome, Run};
use crate::domain::ids::{ItemId, RegionId};
use crate::domain::spec::checklist::{Item, PIN};
use crate::domain::spec::severity::Severity;
use crate::domain::text::clean;

/// Fixes the items that are in force, and what is known of better times: the report needs nothing but the journal.
pub(super) fn fix(draft: &mut Draft<'_>) {
    let items = draft.cx.estate.checklist.iter().map(|spec| spec.item.clone()).collect();
    let baseline = Box::new(draft.cx.baseline.clone().or(&draft.state().baseline));
    draft.event(Event::ChecklistFixed { items, baseline });
}

/// What was normal in peace. While something burns, nothing is.
pub(super) fn baseline(draft: &mut Draft<'_>, baseline: &Baseline) {
    if draft.state().incident.is_none() && *baseline != draft.state().baseline {
        draft.event(Event::BaselineTaken { baseline: Box::new(baseline.clone()) });
    }
}

fn incident<'d>(draft: &'d Draft<'_>) -> Result<&'d Incident, Refusal> {
    let none = "the checklist belongs to an incident, and none is open";
    match &draft.state().incident {
        Some(incident) => Ok(incident),
        None => refuse(Why::Conflict, none, "declare one first: press D, or `mayday incident declare`"),
    }
}

fn found(draft: &Draft<'_>, id: &ItemId) -> Result<ItemState, Refusal> {
    let checklist = &incident(draft)?.checklist;
    match checklist.item(id) {
        Some(item) => Ok(item.clone()),
        None => {
            let known: Vec<&str> = checklist.items.iter().map(|it| it.item.id.as_str()).collect();
            let next =
                if known.is_empty() { "it is empty".into() } else { format!("its items are {}", known.join(", ")) };
            refuse(Why::NotFound, format!("the checklist has no item `{id}`"), next)
        }
    }
}

/// Looking is no decision; it only has to be something that there is.
pub(super) fn look(draft: &Draft<'_>, id: &ItemId) -> Result<(), Refusal> {
    found(draft, id).map(|_| ())
}

pub(super) fn tick(draft: &mut Draft<'_>, id: &ItemId, note: &str) -> Result<(), Refusal> {
    let (item, note) = (found(draft, id)?, clean(note));
    if item.standing() == Standing::Ticked {
        return refuse(Why::Conflict, format!("`{id}` is ticked already"), "reopen it first, with a reason");
    }
    let against = item.against();
    if let Some(against) = against.as_ref().filter(|_| note.is_empty()) {
        let why = format!("what Mayday sees of `{id}` stands against it ({against})");
        return refuse(Why::ReasonMissing, why, "fix it, or tick it with a note that says why it is true all the same");
    }
    draft.event(Event::ItemTicked { item: id.clone(), note, against });
    Ok(())
}

pub(super) fn skip(draft: &mut Draft<'_>, id: &ItemId, reason: &str) -> Result<(), Refusal> {
    let (item, reason) = (found(draft, id)?, clean(reason));
    if !item.standing().is_open() {
        return refuse(
            Why::Conflict,
            format!("`{id}` is {} already", item.standing()),
            "reopen it first, with a reason",
        );
    }
    if reason.is_empty() {
        return refuse(Why::ReasonMissing, "leaving an item out needs a reason", "say why, for the record");
    }
    draft.event(Event::ItemSkipped { item: id.clone(), reason });
    Ok(())
}

pub(super) fn reopen(draft: &mut Draft<'_>, id: &ItemId, reason: &str) -> Result<(), Refusal> {
    let (item, reason) = (found(draft, id)?, clean(reason));
    if item.standing().is_open() {
        return refuse(Why::Conflict, format!("`{id}` is open"), "");
    }
    if reason.is_empty() {
        return refuse(Why::ReasonMissing, "opening an item again needs a reason", "say why, for the record");
    }
    draft.event(Event::ItemReopened { item: id.clone(), reason });
    Ok(())
}

/// What Mayday sees now; only a change is worth a record.
///
/// **Rule 37.** A tick is never taken back in silence: evidence that turns to fail opens the item again.
pub(super) fn seen(draft: &mut Draft<'_>, id: &ItemId, evidence: Evidence, detail: &str) {
    let Ok(item) = found(draft, id) else { return };
    let before = item.seen.as_ref().map(|seen| seen.evidence);
    if before == Some(evidence) {
        return;
    }
    draft.event(Event::ItemSeen { item: id.clone(), evidence, detail: clean(detail) });
    if evidence == Evidence::Fail && item.standing() == Standing::Ticked {
        let reason = format!("it was ticked, and now it fails: {}", clean(detail));
        draft.event(Event::ItemReopened { item: id.clone(), reason: clean(&reason) });
    }
}

/// Clients are served, and nobody has sent them there: that is an open item until somebody has pinned them.
pub(super) fn unpinned(draft: &mut Draft<'_>, region: Option<&RegionId>) {
    let id = ItemId::from(PIN);
    let (Some(region), Ok(incident)) = (region, incident(draft)) else { return };
    match incident.checklist.item(&id).map(ItemState::standing) {
        None => draft.event(Event::ItemAdded { item: Item::pin(region) }),
        Some(standing) if standing.is_open() => {}
        Some(_) => {
            let reason = format!("clients are in {region} again as things happen to stand: nobody has sent them there");
            draft.event(Event::ItemReopened { item: id, reason });
        }
    }
}

/// Leaves open items out, each with the reason; refuses where the list has to be walked and none is given.
///
/// **Rule 38.** After a major recovery the checklist is walked, or whoever closes says why not.
pub(super) fn leave_open(draft: &mut Draft<'_>, despite: &str) -> Result<(), Refusal> {
    let despite = clean(despite);
    let open: Vec<ItemId> = incident(draft)?.checklist.open().map(|it| it.item.id.clone()).collect();
    if open.is_empty() {
        return Ok(());
    }
    if despite.is_empty() {
        let state = draft.state();
        if !state.incident.as_ref().is_some_and(|it| has_to_be_walked(it, state.run.as_ref())) {
            return Ok(());
        }
        let names: Vec<&str> = open.iter().map(ItemId::as_str).collect();
        let why = format!("{} items of the checklist are open: {}", open.len(), names.join(", "));
        let next = "walk through them (w, or `mayday checklist`), or close with the reason why they stay open";
        return refuse(Why::ReasonMissing, why, next);
    }
    for item in open {
        draft.event(Event::ItemSkipped {
            item,
            reason: clean(&format!("left open when the incident was closed: {despite}")),
        });
    }
    Ok(())
}

/// A major incident that a live run has brought to its end: then people are tired, and forget.
pub fn has_to_be_walked(incident: &Incident, run: Option<&Run>) -> bool {
    let run = run.filter(|run| run.incident.as_ref() == Some(&incident.id));
    incident.severity <= Severity::Sev2
        && run.is_some_and(|run| run.mode == Mode::Live && run.outcome == Some(Outcome::Completed))
}
