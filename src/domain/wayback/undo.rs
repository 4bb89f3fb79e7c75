//! What of a run can be taken back, in which order, and what stays.

use super::super::ids::StepId;
use super::super::kinds::Undo;
use super::super::plan::StepSpec;
use super::super::run::{Run, StepPhase, StepRun};

/// What taking a run back comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Undoing {
    /// Taken back one at a time, in this order: what came last goes first.
    pub back: Vec<StepId>,
    /// What stays as it is, and why: the points of no return, and what they rest on.
    pub stays: Vec<(StepId, String)>,
}

/// Goes through the steps of a run from its end. What changed something is taken back; a point of no return stays, and with it
/// everything that it rests on: its fence keeps the old writer from coming back.
pub fn undoing(run: &Run) -> Undoing {
    let mut found = Undoing::default();
    let mut rested_on: Vec<(StepId, StepId)> = Vec::new();
    for spec in run.plan.steps.iter().rev().filter(|spec| spec.role.mutates()) {
        let Some(step) = run.step(&spec.id) else { continue };
        let keeps = rested_on.iter().find(|(below, _)| *below == spec.id).map(|(_, above)| above.clone());
        match standing(spec, step) {
            Standing::Untouched => {}
            Standing::Stays(why) => {
                let below = run.plan.ancestors(&spec.id).into_iter();
                rested_on.extend(below.map(|below| (below, spec.id.clone())));
                found.stays.push((spec.id.clone(), why.to_owned()));
            }
            Standing::Goes => match keeps {
                Some(above) => found.stays.push((spec.id.clone(), format!("{above} rests on it"))),
                None => found.back.push(spec.id.clone()),
            },
        }
    }
    found
}

enum Standing {
    /// This run changed nothing by it, or took it back already.
    Untouched,
    Goes,
    Stays(&'static str),
}

fn standing(spec: &StepSpec, step: &StepRun) -> Standing {
    match step.phase {
        StepPhase::Reverted => Standing::Untouched,
        StepPhase::ByHand => Standing::Stays("was done by hand, and is taken back by hand"),
        _ if step.attempts == 0 => Standing::Untouched,
        StepPhase::Skipped => Standing::Stays("was tried, then skipped: what it left is not known"),
        _ if spec.undo != Undo::Revert => Standing::Stays("there is no way back from it"),
        _ => Standing::Goes,
    }
}
