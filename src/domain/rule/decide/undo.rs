//! Taking a whole run back: from its last change to the point of no return, one step at a time.

use super::{Draft, refuse};
use crate::domain::fact::command::{Effect, Refusal, RefusalReason as Why};
use crate::domain::fact::event::Event;
use crate::domain::fact::run::{Outcome, Run, StepPhase};
use crate::domain::ids::RunId;
use crate::domain::rule::wayback::{Undoing, against, closed, undoing};
use crate::domain::text::clean;

/// What confirms the whole of it; with `override ` before it, against what speaks against it.
pub fn phrase(run: &Run) -> String {
    format!("revert {}", run.plan.id)
}

/// Begins to take a run back.
///
/// **Rule 31.** A run is taken back by a typed phrase, and not while something of it is under way.
pub(super) fn begin(draft: &mut Draft<'_>, run: &Run, typed: &str, reason: &str) -> Result<(), Refusal> {
    let phrase = phrase(run);
    if !run.mode.acts() {
        return refuse(Why::Conflict, "a rehearsal changed nothing", "");
    }
    if run.goes_back() {
        return refuse(Why::Conflict, format!("{} is going back already", run.id), "");
    }
    let busy = |phase: StepPhase| phase.is_in_flight() && phase != StepPhase::Preparing;
    if let Some((id, step)) = run.steps.iter().find(|(_, step)| busy(step.phase)) {
        let why = format!("`{id}` is {}", step.phase);
        return refuse(Why::Conflict, why, "hold (H), wait until it has settled, then revert the run");
    }
    let plan = undoing(run);
    if plan.back.is_empty() {
        return refuse(Why::Unsafe, format!("nothing of {} can be taken back{}", run.id, stays(&plan)), "");
    }
    let typed = typed.trim();
    let overrides = typed == format!("override {phrase}");
    if !overrides && typed != phrase {
        return refuse(Why::WrongPhrase, "that is not the phrase", format!("type: {phrase}"));
    }
    let against = against(draft.cx.estate, draft.state(), run, &plan, draft.cx.readings, draft.cx.now);
    if !against.is_empty() && !overrides {
        let why = against.join("; ");
        let next = format!("go forward and fail back later; or, if it has to be, type: override {phrase}");
        return refuse(Why::Unsafe, why, next);
    }
    draft.event(Event::RunReverting { run: run.id.clone(), reason: clean(reason) });
    draft.decision.note = Some(format!("{} steps go back{}", plan.back.len(), stays(&plan)));
    Ok(())
}

fn stays(plan: &Undoing) -> String {
    let words = |(id, why): &(_, String)| format!("{id} ({why})");
    let words: Vec<String> = plan.stays.iter().map(words).collect();
    if words.is_empty() { String::new() } else { format!("; what stays: {}", words.join(", ")) }
}

/// Whether a run may still be taken back: until so long after it had moved clients.
///
/// **Rule 32.** A run is taken back no later than the commit window: after it, what clients wrote in the new region would be left
/// behind.
pub(super) fn window(draft: &Draft<'_>, run: &Run) -> Result<(), Refusal> {
    let moved = draft.state().moved.as_ref().filter(|moved| moved.run == run.id);
    let Some(why) = moved.and_then(|moved| closed(moved, &draft.cx.estate.policy, draft.cx.now)) else { return Ok(()) };
    refuse(Why::Unsafe, why, "come back with the failback plan: mayday wayback plan")
}

/// Takes the next step back, or ends the run when none is left. One at a time, and nothing under HOLD.
///
/// **Rule 33.** Steps go back one at a time, the last first, and none under HOLD.
pub(super) fn go_on(draft: &mut Draft<'_>, id: &RunId) {
    let held = draft.state().hold.is_some();
    let Some(run) = draft.state().run.as_ref().filter(|run| run.goes_back()) else { return };
    let reason = run.reverting.as_ref().map(|it| it.reason.clone()).unwrap_or_default();
    if held || run.steps.values().any(|step| step.phase == StepPhase::Reverting) {
        return;
    }
    match undoing(run).back.first().cloned() {
        Some(step) => {
            draft.event(Event::StepReverting { run: id.clone(), step: step.clone(), reason });
            draft.effect_for(&step, Effect::Revert);
        }
        None => {
            let mode = Some(run.mode);
            draft.event(Event::RunEnded { run: id.clone(), outcome: Outcome::Reverted, reason, mode });
        }
    }
}
