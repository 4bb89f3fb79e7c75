//! Steps that need two people: who counts, and whether both want the same. Whatever ends such a step or gets past its guards needs the
//! two that its gate needs; otherwise one person's skip would be a way around the other.

use super::{Draft, refuse};
use crate::domain::actor::{Actor, Nobody};
use crate::domain::fact::command::{Refusal, RefusalReason as Why};
use crate::domain::fact::event::Event;
use crate::domain::fact::run::{Instead, StepRun};
use crate::domain::ids::RunId;
use crate::domain::spec::plan::{Gate, StepSpec};
use crate::domain::text::clean;

/// Whether the sender can be one of the two at all.
///
/// **Rule 16.** A gate for two is answered by two people: neither root, nor the engine, nor a number without a name.
fn counts(draft: &Draft<'_>) -> Result<(), Refusal> {
    let actor = &draft.envelope.actor;
    let (why, next) = match actor.is_somebody() {
        Ok(()) => return Ok(()),
        Err(Nobody::Root) => (
            "this step needs two people, and root is nobody in particular".to_owned(),
            "log in as yourself, and answer from your own account",
        ),
        Err(Nobody::Nameless) => (
            format!("this step needs two people, and {actor} has no account that this host knows"),
            "answer from an account of your own",
        ),
        Err(Nobody::Engine) => ("this step needs two people".to_owned(), "two people have to answer it"),
    };
    refuse(Why::SecondPerson, why, next)
}

/// Whether the sender may confirm a gate for two.
///
/// **Rule 17.** Whoever has become another user is still one person.
pub(super) fn may_confirm(draft: &Draft<'_>, known: &StepRun) -> Result<(), Refusal> {
    counts(draft)?;
    let actor = &draft.envelope.actor;
    match known.confirmed.iter().find(|other| other.is_same_person(actor)) {
        None => Ok(()),
        Some(other) if other.uid == actor.uid => refuse(
            Why::SecondPerson,
            "you confirmed already; a second person has to",
            "ask someone else to attach and confirm",
        ),
        Some(other) => refuse(
            Why::SecondPerson,
            format!("you confirmed already, as {other}: both were one login; a second person has to"),
            "ask someone else to attach and confirm",
        ),
    }
}

/// Whether somebody other than the actor, who counts, has confirmed.
pub(super) fn another_confirmed(actor: &Actor, known: &StepRun) -> bool {
    known.confirmed.iter().any(|other| other.is_somebody().is_ok() && !other.is_same_person(actor))
}

/// Whether what is asked for may happen now. For two people the first one's wish is noted instead, and the second has to want the same;
/// of an override, past no guard that the first has not seen.
///
/// **Rule 18.** What takes the place of a gate for two, a skip, a word that it is done, an override, takes two as well.
pub(super) fn agree(
    draft: &mut Draft<'_>,
    run: &RunId,
    spec: &StepSpec,
    known: &StepRun,
    wish: Instead,
    guards: &[String],
    reason: &str,
) -> Result<bool, Refusal> {
    if spec.gate != Gate::TwoPerson {
        return Ok(true);
    }
    counts(draft)?;
    let actor = &draft.envelope.actor;
    let same = known.wanted.as_ref().filter(|first| first.wish == wish);
    if let Some(first) = same.filter(|first| guards.iter().all(|guard| first.guards.contains(guard))) {
        if !first.by.is_same_person(actor) {
            return Ok(true);
        }
        let why = "you asked for this already; a second person has to, too";
        return refuse(Why::SecondPerson, why, "ask someone else to attach and ask for the same");
    }
    draft.event(Event::SecondAwaited {
        run: run.clone(),
        step: spec.id.clone(),
        wish,
        guards: guards.to_vec(),
        reason: clean(reason),
    });
    let words = wish.words();
    draft.decision.note = Some(format!("noted: you want {words}; it happens once a second person wants the same"));
    Ok(false)
}
