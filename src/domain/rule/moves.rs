//! How a step gets from phase to phase: one table. The fold of a step goes by it, and nothing is decided that it does not have.

use crate::domain::fact::event::{Event, Prepared};
use crate::domain::fact::run::{Run, StepPhase};
use crate::domain::ids::{RunId, StepId};
use StepPhase::{
    Applying, Asking, Blocked, ByHand, Done, Failed, Gated, Observing, Preparing, Ready, Rehearsed, Retrying, Reverted,
    Reverting, Skipped, Verifying, Waiting,
};

/// What an event says of a step, as far as its phase goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Preparing,
    Prepared(Prepared),
    LookedAgain,
    Answered,
    /// Whether the gate needs no further answer.
    Confirmed(bool),
    /// The same; by half it was only in journals of older builds.
    Overridden(bool),
    SecondAwaited,
    Applying,
    RunsAs,
    GoesBy,
    Printed,
    Applied,
    Uncertain,
    NotDone,
    Found,
    Unknowable,
    Verified,
    Retrying,
    Failed,
    Retried,
    Skipped,
    DoneByHand,
    Reverting,
    Reverted,
}

/// What a look may find at a step: it was begun for it, or its gate is open meanwhile.
const LOOKED_AT: &[StepPhase] = &[Preparing, Gated, Blocked];

/// Where a person's word may end a step: it is not over, and nothing is being changed.
const SETTLED: &[StepPhase] = &[Waiting, Preparing, Gated, Blocked, Ready, Verifying, Retrying, Asking, Failed];

/// What can happen to a step: the phases in which it can, and the one that it leads to; `None` where it stays.
const MOVES: &[(Says, &[StepPhase], Option<StepPhase>)] = &[
    (Says::Preparing, &[Waiting, Ready, Retrying, Gated, Blocked], Some(Preparing)),
    (Says::Prepared(Prepared::AlreadyDone), LOOKED_AT, Some(Verifying)),
    (Says::Prepared(Prepared::InProgress), LOOKED_AT, Some(Verifying)),
    (Says::Prepared(Prepared::Blocked), LOOKED_AT, Some(Blocked)),
    (Says::Prepared(Prepared::Gate), LOOKED_AT, Some(Gated)),
    (Says::Prepared(Prepared::Clear), LOOKED_AT, Some(Ready)),
    (Says::Prepared(Prepared::Rehearsed), LOOKED_AT, Some(Rehearsed)),
    (Says::LookedAgain, &[Gated, Blocked], None),
    (Says::Answered, &[Gated], None),
    (Says::Confirmed(false), &[Gated], None),
    (Says::Confirmed(true), &[Gated], Some(Ready)),
    (Says::Overridden(true), &[Blocked], Some(Ready)),
    (Says::SecondAwaited, SETTLED, None),
    (Says::Applying, &[Ready], Some(Applying)),
    (Says::RunsAs, &[Applying, Reverting], None),
    (Says::GoesBy, &[Applying], None),
    // What a command printed may arrive when all is over.
    (Says::Printed, StepPhase::ALL, None),
    (Says::Applied, &[Applying], Some(Verifying)),
    (Says::Uncertain, &[Preparing, Applying, Observing, Verifying], Some(Observing)),
    (Says::NotDone, &[Observing], Some(Ready)),
    // One that changes nothing itself is looked for when its turn comes.
    (Says::Found, &[Observing, Ready], Some(Verifying)),
    (Says::Unknowable, &[Preparing, Gated, Blocked, Observing], Some(Asking)),
    (Says::Verified, &[Verifying], Some(Done)),
    (Says::Retrying, &[Preparing, Applying, Observing], Some(Retrying)),
    (Says::Failed, &[Preparing, Applying, Observing, Verifying, Reverting], Some(Failed)),
    (Says::Retried, &[Failed, Blocked, Asking, Retrying, Reverted], Some(Waiting)),
    (Says::Skipped, SETTLED, Some(Skipped)),
    (Says::DoneByHand, SETTLED, Some(ByHand)),
    // A run that goes back takes with it whatever was tried.
    (
        Says::Reverting,
        &[Waiting, Preparing, Gated, Blocked, Ready, Observing, Verifying, Retrying, Asking, Failed, Done],
        Some(Reverting),
    ),
    (Says::Reverted, &[Reverting], Some(Reverted)),
];

fn row_of(says: Says) -> Option<usize> {
    MOVES.iter().position(|(it, ..)| *it == says)
}

/// Where a step in `phase` gets by an event. A record is a fact, also where it cannot have been so by this table: what an older Mayday
/// has decided is not undone by a newer one.
pub(super) fn step_to(phase: StepPhase, event: &Event) -> StepPhase {
    let leads = says(event).and_then(row_of).and_then(|row| MOVES[row].2);
    leads.unwrap_or(phase)
}

/// Whether what is about to be journalled of a step of this run can happen to it.
pub(super) fn fits(run: Option<&Run>, event: &Event) -> bool {
    let of = |(id, step): (&RunId, &StepId)| run.filter(|run| run.id == *id)?.step(step);
    let can = |phase, says| row_of(says).is_some_and(|row| MOVES[row].1.contains(&phase));
    event.step().and_then(of).is_none_or(|step| says(event).is_none_or(|says| can(step.phase, says)))
}

fn says(event: &Event) -> Option<Says> {
    Some(match event {
        Event::StepPreparing { .. } => Says::Preparing,
        Event::StepPrepared { verdict, .. } => Says::Prepared(*verdict),
        Event::StepLookedAgain { .. } => Says::LookedAgain,
        Event::GateAnswered { .. } => Says::Answered,
        Event::GateConfirmed { cleared, .. } => Says::Confirmed(*cleared),
        Event::GuardsOverridden { cleared, .. } => Says::Overridden(*cleared),
        Event::SecondAwaited { .. } => Says::SecondAwaited,
        Event::StepApplying { .. } => Says::Applying,
        Event::StepRunsAs { .. } => Says::RunsAs,
        Event::StepGoesBy { .. } => Says::GoesBy,
        Event::StepPrinted { .. } => Says::Printed,
        Event::StepApplied { .. } => Says::Applied,
        Event::StepUncertain { .. } => Says::Uncertain,
        Event::StepNotDone { .. } => Says::NotDone,
        Event::StepFound { .. } => Says::Found,
        Event::StepUnknowable { .. } => Says::Unknowable,
        Event::StepVerified { .. } => Says::Verified,
        Event::StepRetrying { .. } => Says::Retrying,
        Event::StepFailed { .. } => Says::Failed,
        Event::StepRetried { .. } => Says::Retried,
        Event::StepSkipped { .. } => Says::Skipped,
        Event::StepDoneByHand { .. } => Says::DoneByHand,
        Event::StepReverting { .. } => Says::Reverting,
        Event::StepReverted { .. } => Says::Reverted,
        _ => return None,
    })
}

/// The rows by number, for tests of what walks them.
#[cfg(test)]
pub(super) fn rows() -> std::collections::BTreeSet<usize> {
    (0..MOVES.len()).collect()
}

#[cfg(test)]
pub(super) fn row(event: &Event) -> Option<usize> {
    row_of(says(event)?)
}

#[cfg(test)]
pub(super) fn words(row: usize) -> String {
    format!("{:?} from {:?}", MOVES[row].0, MOVES[row].1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rule::decide::bench::Bench;

    #[test]
    fn what_is_decided_has_to_fit_and_what_is_recorded_is_a_fact() {
        let mut bench = Bench::running();
        let step = StepId::from("promote");
        let verified = Event::StepVerified { run: bench.run(), step: step.clone(), detail: "x".into(), point: None };
        for phase in StepPhase::ALL {
            let run = bench.state.run.as_mut().unwrap();
            run.steps.get_mut(&step).unwrap().phase = *phase;
            assert_eq!(fits(Some(&*run), &verified), *phase == Verifying, "{phase}");
            assert_eq!(step_to(*phase, &verified), Done, "{phase}");
        }
        let other = Event::StepVerified { run: "another".into(), step, detail: "x".into(), point: None };
        assert!(fits(bench.state.run.as_ref(), &other), "of another run's steps nothing is known");
    }

    #[test]
    fn every_phase_can_be_come_to_and_all_that_are_not_over_can_be_left() {
        for phase in StepPhase::ALL {
            let comes = MOVES.iter().any(|(.., to)| to.is_some_and(|to| to == *phase));
            let leaves = MOVES.iter().any(|(_, from, to)| from.contains(phase) && to.is_some_and(|to| to != *phase));
            assert!(comes, "{phase}");
            assert!(leaves || phase.is_over(), "{phase}");
        }
    }

    #[test]
    fn every_row_is_of_another_event() {
        for (at, (says, ..)) in MOVES.iter().enumerate() {
            assert_eq!(row_of(*says), Some(at), "{says:?}");
        }
    }
}
