//! What the preparation of a step comes to: its card, and whether its gate is opened.

use super::gate::is_open_to_looks;
use super::{Draft, gate, safety};
use crate::domain::fact::command::{Effect, Preparation};
use crate::domain::fact::event::{Event, Prepared};
use crate::domain::fact::guard::GuardVerdict;
use crate::domain::fact::run::{GateCard, Mode, Run, StepRun};
use crate::domain::fact::system::Observed;
use crate::domain::fault::Fault;
use crate::domain::ids::{RunId, StepId};
use crate::domain::rule::outlook::outlook;
use crate::domain::spec::kinds::StepRole;
use crate::domain::spec::plan::{Gate, StepSpec};

/// What a look by itself found.
pub(super) fn looked_again(draft: &mut Draft<'_>, run: &RunId, step: &StepId, found: &Preparation) {
    let Some(current) = draft.state().run.clone().filter(|current| current.id == *run) else { return };
    let (Some(spec), Some(known)) = (current.plan.step(step), current.step(step)) else { return };
    if !current.is_open() || current.goes_back() || !is_open_to_looks(&current, spec, known) {
        return;
    }
    let card = card(draft, &current, spec, found);
    if known.card.as_ref().is_some_and(|before| before.is_the_same(&card)) {
        return draft.event(Event::StepLookedAgain { run: run.clone(), step: step.clone() });
    }
    prepared(draft, run, step, found);
}

/// **Rule 24.** What may have happened and cannot be looked at is asked of a person, and never begun again by itself.
pub(super) fn prepared(draft: &mut Draft<'_>, run: &RunId, step: &StepId, found: &Preparation) {
    let Some(current) = draft.state().run.clone() else { return };
    let (Some(spec), Some(known)) = (current.plan.step(step), current.step(step)) else { return };
    let card = card(draft, &current, spec, found);
    let verdict = judge(&current, spec, known, &card);
    let (run, step) = (run.clone(), step.clone());
    let unknown = matches!(card.observed, Observed::Unknowable { .. }) && !known.vouched;
    if unknown && known.begun.is_some() && spec.role.acts() {
        let why = card.observed.words().to_owned();
        draft.event(Event::StepUnknowable { run, step, why });
        return;
    }
    let process = known.begun.as_ref().and_then(|begun| begun.process.as_ref());
    let process = process.filter(|_| verdict == Prepared::InProgress && spec.role.acts());
    let differs = gate::differs(known, &card, verdict);
    draft.event(Event::StepPrepared {
        run: run.clone(),
        step: step.clone(),
        card: Box::new(card),
        verdict,
        differs: differs.clone(),
    });
    if let Some(process) = process {
        // An effect is waited for when the process has ended, and not before.
        let what = format!("process {} of an earlier attempt may still run", process.pid);
        let fault = Fault::ambiguous("mayday", what).next("nothing: it is being watched");
        draft.event(Event::StepUncertain { run, step: step.clone(), fault });
        return draft.effect_for(&step, Effect::Observe);
    }
    match verdict {
        Prepared::AlreadyDone | Prepared::InProgress => draft.effect_for(&step, Effect::Verify),
        Prepared::Gate if current.unattended && spec.yes && spec.gate != Gate::TwoPerson => {
            draft.event_by(current.by.clone(), Event::GateConfirmed { run, step, cleared: true, unattended: true });
        }
        Prepared::Gate => gate::answered(draft, &run, spec, known, &differs),
        _ => {}
    }
}

pub(super) fn card(draft: &Draft<'_>, run: &Run, spec: &StepSpec, found: &Preparation) -> GateCard {
    let (cx, state) = (&draft.cx, draft.state());
    let facts = found.checked.promotion.as_ref();
    let mut guards = found.checked.guards.clone();
    guards.extend(safety::guards(cx, state, run, spec, facts));
    guards.sort_by_key(|guard| match guard.verdict {
        GuardVerdict::Block => 0,
        GuardVerdict::Warn => 1,
        GuardVerdict::Pass => 2,
    });
    let promotes = spec.role == StepRole::Promotes;
    let loss =
        spec.class.filter(|_| promotes).map(|class| (class, safety::expected_loss(state, run, spec, facts, cx.now)));
    let history = state.history.get(&run.plan.id);
    GateCard {
        at: cx.now,
        observed: found.observed.clone(),
        summary: found.preview.summary.clone(),
        diff: found.preview.diff.clone(),
        guards,
        loss,
        undo: spec.undo,
        last: history.and_then(|steps| steps.get(&spec.id)).cloned(),
        projected: outlook(run, history, |_| true, cx.now).projected(),
        pre_image: found.preview.pre_image.clone(),
    }
}

/// **Rule 25.** A rehearsal ends before anything is changed; what is done already is not done again.
fn judge(run: &Run, spec: &StepSpec, known: &StepRun, card: &GateCard) -> Prepared {
    if run.mode == Mode::Rehearsal {
        return Prepared::Rehearsed;
    }
    match card.observed {
        Observed::Done { .. } => return Prepared::AlreadyDone,
        Observed::InProgress { .. } => return Prepared::InProgress,
        Observed::Impossible { .. } => return Prepared::Blocked,
        Observed::NotDone { .. } | Observed::Unknowable { .. } => {}
    }
    if card.blocks().any(|guard| !known.overridden.contains(&guard.name)) {
        Prepared::Blocked
    } else if known.cleared {
        Prepared::Clear
    } else if spec.gate != Gate::Auto {
        Prepared::Gate
    } else if spec.role.acts() {
        Prepared::Clear
    } else {
        Prepared::InProgress
    }
}
