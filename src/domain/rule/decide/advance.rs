//! What starts by itself: the one place where a step begins. Nothing begins under HOLD.

use super::{Context, Draft, safety, undo};
use crate::domain::fact::command::Effect;
use crate::domain::fact::event::Event;
use crate::domain::fact::run::{Outcome, Run, StepPhase, StepRun};
use crate::domain::ids::{RunId, StepId};
use crate::domain::time::seconds_between;

/// What is next for a step that can go on.
enum Next {
    Prepare,
    Apply,
    /// It changes nothing itself (a check, or a human's work): only its effect is waited for.
    Look,
}

/// Starts all that may start, and ends a run that has nothing left.
///
/// **Rule 10.** Nothing begins under HOLD.
pub(super) fn advance(draft: &mut Draft<'_>) {
    let Some(run) = draft.state().run.as_ref().filter(|run| run.is_open()) else { return };
    let id = run.id.clone();
    if run.reverting.is_some() {
        return undo::go_on(draft, &id);
    }
    if run.steps.values().all(|step| step.phase.is_over() && step.phase != StepPhase::Reverted) {
        let mode = Some(run.mode);
        draft.event(Event::RunEnded { run: id, outcome: Outcome::Completed, reason: String::new(), mode });
        return;
    }
    if draft.state().hold.is_some() {
        return;
    }
    let cx = draft.cx;
    let due: Vec<(StepId, Next)> =
        run.in_order().filter_map(|(spec, step)| Some((spec.id.clone(), next(&cx, run, &spec.id, step)?))).collect();
    for (step, next) in due {
        begin(draft, &id, &step, &next);
    }
}

/// **Rule 11.** A step begins when all that it needs is over well, and not before.
fn next(cx: &Context<'_>, run: &Run, id: &StepId, step: &StepRun) -> Option<Next> {
    let spec = run.plan.step(id)?;
    match step.phase {
        StepPhase::Waiting | StepPhase::Retrying | StepPhase::Ready if safety::is_early(cx, spec) => None,
        StepPhase::Waiting => spec.needs.iter().all(|need| run.phase(need).satisfies()).then_some(Next::Prepare),
        StepPhase::Retrying => step.retry_at.is_none_or(|due| due <= cx.now).then_some(Next::Prepare),
        StepPhase::Ready if is_stale(cx, step) => Some(Next::Prepare),
        StepPhase::Ready if spec.role.acts() => Some(Next::Apply),
        StepPhase::Ready => Some(Next::Look),
        _ => None,
    }
}

/// Whether the evidence on a step's card is too old to act on.
///
/// **Rule 12.** Nothing acts, and nobody answers, on evidence that is too old or of an earlier life of the engine.
pub(super) fn is_stale(cx: &Context<'_>, step: &StepRun) -> bool {
    if step.outdated {
        return true;
    }
    let age = step.card.as_ref().map(|card| seconds_between(card.at, cx.now));
    age.is_none_or(|age| age > cx.estate.policy.evidence_expires.as_secs_f64())
}

/// Makes the preparation of a step again.
pub(super) fn prepare(draft: &mut Draft<'_>, run: &RunId, step: &StepId) {
    draft.event(Event::StepPreparing { run: run.clone(), step: step.clone() });
    draft.effect_for(step, Effect::Prepare);
}

fn begin(draft: &mut Draft<'_>, run: &RunId, step: &StepId, next: &Next) {
    let (run, step) = (run.clone(), step.clone());
    match next {
        Next::Prepare => prepare(draft, &run, &step),
        Next::Apply => {
            let attempt = draft.job(&step).map_or(1, |job| job.attempt + 1);
            draft.event(Event::StepApplying { run, step: step.clone(), attempt });
            draft.effect_for(&step, Effect::Apply);
        }
        Next::Look => {
            draft.event(Event::StepFound { run, step: step.clone(), detail: "confirmed; looking".into() });
            draft.effect_for(&step, Effect::Verify);
        }
    }
}
