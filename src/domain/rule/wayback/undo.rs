//! What of a run can be taken back, in which order, what stays, and what speaks against it: the one place that the plan's pane, the way
//! back, the forms and the review read it from.

use crate::domain::fact::health::Status;
use crate::domain::fact::moved::Moved;
use crate::domain::fact::run::{Run, StepPhase, StepRun};
use crate::domain::ids::{RegionId, StepId};
use crate::domain::rule::rollup::{Readings, of_service, roll_up};
use crate::domain::rule::state::State;
use crate::domain::spec::estate::{Estate, Policy};
use crate::domain::spec::kinds::{StepRole, Undo};
use crate::domain::spec::plan::StepSpec;
use crate::domain::spec::probe::Subject;
use crate::domain::time::At;

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
        _ if spec.undo != Undo::Revert && !is_crossed(spec, step) => {
            Standing::Stays("was found done, and not by this run")
        }
        _ if spec.undo != Undo::Revert => Standing::Stays("there is no way back from it"),
        _ => Standing::Goes,
    }
}

/// Whether a run has gone over a point of no return at this step, or may have. One that was only found done, because the system did it
/// by itself or somebody before, is none of this run's.
pub fn is_crossed(spec: &StepSpec, step: &StepRun) -> bool {
    let by_hand = step.phase == StepPhase::ByHand;
    // An attempt before one that found it done may have done it.
    let tried = step.attempts > 1 || (step.attempts == 1 && step.found().is_none());
    spec.undo == Undo::PointOfNoReturn && (by_hand || tried)
}

/// The points of no return that a run has gone over, or may have, each with when: the earliest first.
pub fn crossed(run: &Run) -> Vec<(&StepSpec, At)> {
    let steps = run.in_order().filter(|(spec, step)| run.mode.acts() && is_crossed(spec, step));
    let at = |step: &StepRun| step.begun.as_ref().map(|begun| begun.at).or(step.ended_at);
    let mut found: Vec<_> = steps.filter_map(|(spec, step)| Some((spec, at(step)?))).collect();
    found.sort_by_key(|(_, at)| *at);
    found
}

/// Where clients go if a run is taken back; `None` if that moves nobody.
pub fn back_to(run: &Run, plan: &Undoing, moved: Option<&Moved>) -> Option<RegionId> {
    let moves = |id: &StepId| run.plan.step(id).is_some_and(|step| step.role == StepRole::Traffic);
    let moved = moved.filter(|moved| moved.run == run.id)?;
    plan.back.iter().any(moves).then(|| moved.from.clone())
}

/// What is wrong with a region that clients would be sent to: that it is down. `None` is no proof that it is well.
pub fn is_down(estate: &Estate, readings: &Readings, region: &RegionId, now: At) -> Option<String> {
    let subject = Subject::Region(region.clone());
    let itself = roll_up(estate, readings, &subject, Some(region), now).status() == Status::Down;
    let down = |service: &&crate::domain::spec::estate::Service| {
        of_service(estate, readings, service, Some(region), now).status() == Status::Down
    };
    let down: Vec<&str> = estate.services.iter().filter(down).map(|service| service.title.as_str()).collect();
    match (itself, down.is_empty()) {
        (false, true) => None,
        (true, true) => Some(format!("{region} is DOWN")),
        (_, false) => Some(format!("{region} is DOWN: {}", down.join(", "))),
    }
}

/// Why a run should not be taken back, although it can; the longer phrase overrides it. Empty when nothing speaks against it.
pub fn against(estate: &Estate, state: &State, run: &Run, plan: &Undoing, readings: &Readings, now: At) -> Vec<String> {
    let moved = state.moved.as_ref().filter(|moved| moved.run == run.id);
    let mut found: Vec<String> = moved.and_then(|moved| closed(moved, &estate.policy, now)).into_iter().collect();
    let moves = |id: &StepId| run.plan.step(id).is_some_and(|step| step.role == StepRole::Traffic);
    let promoted = run.plan.steps.iter().find(|step| {
        step.role == StepRole::Promotes
            && run.step(&step.id).is_some_and(|it| it.attempts > 0)
            && run.phase(&step.id).is_in_effect()
    });
    if let Some(promoted) = promoted.filter(|_| plan.back.iter().any(moves)) {
        found.push(format!(
            "`{}` stays: clients would go back to stores that are out of date, and writes would split in two",
            promoted.id
        ));
    }
    let target = back_to(run, plan, moved).and_then(|region| is_down(estate, readings, &region, now));
    found.extend(target.map(|what| format!("{what}: clients would be sent to what does not serve")));
    found
}

/// That the commit window of a move is over.
pub fn closed(moved: &Moved, policy: &Policy, now: At) -> Option<String> {
    let closed = Some(moved.closes_at(policy)).filter(|closes| *closes < now)?;
    Some(format!(
        "the commit window closed at {}: customers have worked in the new region since",
        closed.strftime("%H:%M:%SZ")
    ))
}
