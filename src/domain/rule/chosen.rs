//! [`target`](super::target) as a cockpit and the command line know it: with the findings of the latest looks.

use super::target::{Choice, Seen, choices};
use super::view::Snapshot;
use crate::domain::ids::PlanId;
use crate::domain::spec::plan::name_of;
use crate::domain::time::At;

/// The findings that say whether a region has room for everybody.
const CAPACITY: [&str; 2] = ["room", "quota"];

/// [`choices`] with the findings of the latest looks, as a cockpit and the command line know them.
pub fn table(view: &Snapshot, name: &str, now: At) -> Vec<Choice> {
    let mut all = choices(&Seen::of(view, now), &view.plans, name);
    for choice in &mut all {
        let known = view.live.readiness.get(&choice.plan);
        let said = known.into_iter().flat_map(|it| &it.findings).filter(|it| CAPACITY.contains(&it.name.as_str()));
        choice.room = said.max_by_key(|it| it.finds).map(|it| (it.finds, it.detail.clone()));
    }
    all
}

/// The plan that another estate calls `wanted`, as `view` has it: by its own name, else to the best region, else where its name leads alone.
pub fn likeliest(view: &Snapshot, wanted: &PlanId) -> PlanId {
    let has = |id: &PlanId| view.plans.iter().any(|plan| plan.id == *id);
    let bare = PlanId::from(name_of(wanted));
    let best = || table(view, bare.as_str(), view.now).into_iter().next().map(|choice| choice.plan);
    match has(wanted) {
        true => wanted.clone(),
        false => best().or_else(|| Some(bare.clone()).filter(has)).unwrap_or_else(|| wanted.clone()),
    }
}
