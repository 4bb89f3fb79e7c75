//! What is left of a run: its longest chain, by how long each step took the last time.

use std::collections::BTreeMap;

use crate::domain::fact::run::{LastTime, Run};
use crate::domain::ids::StepId;
use crate::domain::spec::plan::StepSpec;
use crate::domain::time::{At, seconds_between};

/// A step that was never timed weighs so many seconds where chains are compared: enough to make the longer chain the longer one.
const UNTIMED: f64 = 0.1;

/// What is left before some steps of a run are over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outlook {
    /// The steps of the longest chain that is left, in its order: a second lost on one of them is a second lost.
    pub path: Vec<StepId>,
    /// Seconds along it, without those of steps that were never timed.
    pub seconds: f64,
    /// How many steps that are left were never timed.
    pub untimed: usize,
    /// How many steps are left.
    pub left: usize,
}

impl Outlook {
    /// Seconds to the end; `None` if a step was never timed.
    pub fn projected(&self) -> Option<f64> {
        (self.untimed == 0).then_some(self.seconds)
    }
}

/// What is left before every step that is a `goal` is over, at `now`. What a step under way has taken already is not left any more.
pub fn outlook(
    run: &Run,
    history: Option<&BTreeMap<StepId, LastTime>>,
    goal: impl Fn(&StepSpec) -> bool,
    now: At,
) -> Outlook {
    let plan = &run.plan;
    let wanted = |spec: &StepSpec| {
        let leads = |other: &StepSpec| other.id == spec.id || plan.ancestors(&other.id).contains(&spec.id);
        plan.steps.iter().filter(|other| goal(other)).any(leads)
    };
    let last = |spec: &StepSpec| history.and_then(|steps| steps.get(&spec.id)).map(|last| last.seconds);
    let mut found = Outlook::default();
    // Of every step that is left: when it ends, in seconds from now, and the step of its chain before it.
    let mut ends: BTreeMap<&StepId, (f64, Option<&StepId>)> = BTreeMap::new();
    for spec in plan.steps.iter().filter(|spec| !run.phase(&spec.id).is_over() && wanted(spec)) {
        let before = spec.needs.iter().filter_map(|need| Some((ends.get(need)?.0, need)));
        let before = before.max_by(|one, other| one.0.total_cmp(&other.0));
        let begun = run.step(&spec.id).and_then(|step| step.begun.as_ref());
        let taken = begun.map_or(0.0, |begun| seconds_between(begun.at, now).max(0.0));
        let cost = last(spec).map_or(UNTIMED, |seconds| (seconds - taken).max(0.0));
        found.left += 1;
        found.untimed += usize::from(last(spec).is_none());
        ends.insert(&spec.id, (before.map_or(0.0, |(end, _)| end) + cost, before.map(|(_, need)| need)));
    }
    let latest = ends.iter().max_by(|one, other| one.1.0.total_cmp(&other.1.0)).map(|(id, _)| *id);
    let mut at = latest;
    while let Some(step) = at {
        found.path.insert(0, step.clone());
        at = ends.get(step).and_then(|(_, before)| *before);
    }
    let untimed = found.path.iter().filter_map(|id| plan.step(id)).filter(|spec| last(spec).is_none()).count();
    let seconds = latest.and_then(|id| ends.get(id)).map_or(0.0, |(end, _)| *end);
    found.seconds = (seconds - untimed as f64 * UNTIMED).max(0.0);
    found
}
