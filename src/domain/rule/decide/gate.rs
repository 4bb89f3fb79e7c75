//! Gates: who opens one, and on which evidence. Nobody confirms what is no longer so, and nobody has to confirm twice what still is:
//! an answer to evidence that is too old waits for the next look, whose guards are run like any other's, and counts only if that look
//! says the same in what matters.

use super::advance::{is_stale, prepare};
use super::{Draft, must_be, need_reason, people, refuse, touch};
use crate::domain::fact::command::{Job, Refusal, RefusalReason as Why};
use crate::domain::fact::event::{Event, Prepared};
use crate::domain::fact::run::{GateCard, Instead, Run, StepPhase, StepRun};
use crate::domain::fact::system::Observed;
use crate::domain::ids::RunId;
use crate::domain::rule::state::State;
use crate::domain::spec::estate::Estate;
use crate::domain::spec::plan::{Gate, StepSpec};
use crate::domain::text::clean;
use crate::domain::time::{At, seconds_between};

/// Evidence on an open gate is taken anew when it has reached this part of its age.
const RIPE: f64 = 2.0 / 3.0;

/// **Rule 13.** A gate is answered by whoever has seen what is so now; a typed one by the name of its target.
pub(super) fn confirm(
    draft: &mut Draft<'_>,
    run: &RunId,
    spec: &StepSpec,
    known: &StepRun,
    phrase: &str,
    seen: Option<At>,
) -> Result<(), Refusal> {
    must_be(known, &[StepPhase::Gated], "its gate is not open")?;
    if spec.gate == Gate::Typed && phrase.trim() != spec.phrase {
        return refuse(Why::WrongPhrase, "that is not the name this gate asks for", format!("type {}", spec.phrase));
    }
    if spec.gate == Gate::TwoPerson {
        people::may_confirm(draft, known)?;
    }
    let changed = known.changed.as_ref().filter(|changed| seen.is_some_and(|seen| seen < changed.at));
    if let Some(changed) = changed {
        let why = format!("it has changed since you looked: {}", changed.what.join("; "));
        return refuse(Why::StaleEvidence, why, "nothing was confirmed: read the card again, then confirm");
    }
    let (run, step) = (run.clone(), spec.id.clone());
    if is_stale(&draft.cx, known) {
        draft.event(Event::GateAnswered { run: run.clone(), step: step.clone() });
        prepare(draft, &run, &step);
        let words = "confirmed; the evidence is old, so Mayday looks again first: it goes on by itself if nothing has \
                     changed";
        draft.decision.note = Some(words.into());
    } else {
        let cleared = spec.gate != Gate::TwoPerson || people::another_confirmed(&draft.envelope.actor, known);
        draft.event(Event::GateConfirmed { run, step, cleared, unattended: false });
    }
    touch(draft);
    Ok(())
}

/// After a look at a step whose gate was answered on old evidence: the answer counts if the look has opened the gate again, and says
/// the same.
pub(super) fn answered(draft: &mut Draft<'_>, run: &RunId, spec: &StepSpec, before: &StepRun, differs: &[String]) {
    let Some(answer) = before.answered.as_ref().filter(|_| differs.is_empty()) else { return };
    let cleared = spec.gate != Gate::TwoPerson || people::another_confirmed(&answer.by, before);
    let (run, step) = (run.clone(), spec.id.clone());
    draft.event_by(answer.by.clone(), Event::GateConfirmed { run, step, cleared, unattended: false });
}

/// What a look at a step whose gate was open says otherwise than its card.
pub(super) fn differs(known: &StepRun, card: &GateCard, verdict: Prepared) -> Vec<String> {
    let before = known.card.as_ref().filter(|_| known.was_open() && verdict == Prepared::Gate);
    before.map(|before| before.differs(card)).unwrap_or_default()
}

/// **Rule 14.** A guard is overridden by a typed phrase with a reason, and only by whoever has seen it as it is now.
pub(super) fn override_guards(
    draft: &mut Draft<'_>,
    run: &RunId,
    spec: &StepSpec,
    known: &StepRun,
    (phrase, reason): (&str, &str),
) -> Result<(), Refusal> {
    must_be(known, &[StepPhase::Blocked], "no guard stands against it")?;
    let card = known.card.as_ref();
    if card.is_none_or(|card| matches!(card.observed, Observed::Impossible { .. }) || card.blocks().next().is_none()) {
        return refuse(
            Why::Unsafe,
            "it cannot be done as things stand; there is no guard to override",
            "fix it, then retry the step",
        );
    }
    if phrase.trim() != format!("override {}", spec.phrase) {
        return refuse(Why::WrongPhrase, "that is not the phrase", format!("type: override {}", spec.phrase));
    }
    need_reason(reason)?;
    if is_stale(&draft.cx, known) {
        // What stands against it may be something else by now: nobody overrides what they have not seen.
        prepare(draft, run, &spec.id);
        draft.decision.note =
            Some("the evidence was too old; Mayday is looking again: override what you see then".into());
        return Ok(());
    }
    let guards: Vec<String> =
        card.map(|card| card.blocks().map(|guard| guard.name.clone()).collect()).unwrap_or_default();
    if people::agree(draft, run, spec, known, Instead::Override, &guards, reason)? {
        let (run, step, reason) = (run.clone(), spec.id.clone(), clean(reason));
        draft.event(Event::GuardsOverridden { run, step, guards, reason, cleared: true });
    }
    touch(draft);
    Ok(())
}

/// Open gates whose evidence is about to be too old to act on, as jobs to look at: so that one confirmation is enough.
pub fn ripe(estate: &Estate, state: &State, now: At) -> Vec<Job> {
    let limit = estate.policy.evidence_expires.as_secs_f64() * RIPE;
    let Some(run) = state.run.as_ref().filter(|run| run.is_open() && !run.goes_back()) else { return Vec::new() };
    let old = |step: &StepRun| step.card.as_ref().is_some_and(|card| seconds_between(card.at, now) >= limit);
    let steps = run.in_order().filter(|(spec, step)| is_open_to_looks(run, spec, step) && (old(step) || step.outdated));
    steps.filter_map(|(spec, _)| Job::of(run, &spec.id)).collect()
}

/// A look by itself may open a gate and close it, and never starts anything: what was answered for already, or answers by itself, is
/// looked at when it is its turn.
///
/// **Rule 15.** A look by itself begins nothing.
pub(super) fn is_open_to_looks(run: &Run, spec: &StepSpec, step: &StepRun) -> bool {
    let waits = match step.phase {
        StepPhase::Gated => true,
        StepPhase::Blocked => !run.unattended,
        _ => false,
    };
    waits && spec.gate != Gate::Auto && !step.cleared
}
