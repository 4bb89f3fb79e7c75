//! Trouble where clients are served, in the words of an incident's title; and the plan of this estate that fits it, if it has one.
//!
//! One reading for the hint, the form that declares, the list of plans and the header: none of them is calmer than another.

use super::rollup::{Said, said};
use super::target::{self, Seen};
use super::view::Snapshot;
use crate::domain::fact::health::Status;
use crate::domain::fact::recovery::Role;
use crate::domain::ids::{RegionId, ServiceId, SystemId};
use crate::domain::spec::classes::Tier;
use crate::domain::spec::estate::{Estate, SystemSpec};
use crate::domain::spec::kinds::StepRole;
use crate::domain::spec::plan::Plan;
use crate::domain::spec::probe::Subject;
use crate::domain::spec::severity::Severity;
use crate::domain::time::At;

/// What is in trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The region as a whole.
    Region,
    Services(Vec<ServiceId>),
    /// The services stand, more or less; where they keep their data does not.
    Stores(Vec<SystemId>),
    /// Half of the services or more answer badly.
    Degraded,
}

/// Trouble in the region that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub what: What,
    pub title: String,
    pub severity: Severity,
}

/// What is wrong in the region that serves, the worst of it; `None` when nothing is that somebody would declare.
pub fn trouble(view: &Snapshot, now: At) -> Option<Trouble> {
    let serving = view.state.serving(&view.estate);
    let services = &view.estate.services;
    let status = |of: &crate::domain::spec::estate::Service| view.service(of, &serving, now).status();
    let down: Vec<_> = services.iter().filter(|it| status(it) == Status::Down).collect();
    if view.region(&serving, now).status() == Status::Down || (!down.is_empty() && down.len() == services.len()) {
        let title = match down.len() {
            // The region's own probes say so, and its services do not say it yet.
            0 => format!("{serving} is down"),
            down => format!("{serving} is down: {down} of {} services", services.len()),
        };
        return Some(Trouble { what: What::Region, title, severity: Severity::Sev1 });
    }
    if !down.is_empty() {
        let critical = down.iter().any(|it| Estate::counts_for(it.tier, Tier::Critical));
        let names: Vec<&str> = down.iter().map(|it| it.id.as_str()).collect();
        return Some(Trouble {
            title: format!("{} down in {serving}", names.join(", ")),
            severity: if critical { Severity::Sev1 } else { Severity::Sev2 },
            what: What::Services(down.iter().map(|it| it.id.clone()).collect()),
        });
    }
    let stores: Vec<_> = view.stores().filter(|it| store_down(view, it, now).is_some()).collect();
    if !stores.is_empty() {
        let words = stores.iter().filter_map(|it| Some(format!("{}: {}", it.id, store_down(view, it, now)?)));
        return Some(Trouble {
            title: words.collect::<Vec<_>>().join("; "),
            severity: Severity::Sev2,
            what: What::Stores(stores.iter().map(|it| it.id.clone()).collect()),
        });
    }
    let degraded = services.iter().filter(|it| status(it) == Status::Degraded).count();
    (degraded > 0 && degraded * 2 >= services.len()).then(|| Trouble {
        what: What::Degraded,
        title: format!("{degraded} of {} services degraded in {serving}", services.len()),
        severity: Severity::Sev2,
    })
}

/// Why a datastore does not do its work for the region that serves, in a few words; `None` when nothing says that it does not.
pub fn store_down(view: &Snapshot, store: &SystemSpec, now: At) -> Option<String> {
    let seen = view.live.surveys.get(&store.id).and_then(|it| it.current(view.estate.policy.survey_every, now).ok());
    let writers: Vec<_> =
        seen.into_iter().flat_map(|it| &it.members).filter(|member| member.role == Role::Writer).collect();
    if !writers.is_empty() && writers.iter().all(|it| it.status == Status::Down) {
        let names: Vec<&str> = writers.iter().map(|it| it.name.as_str()).collect();
        return Some(format!("its writer {} is down", names.join(", ")));
    }
    probe_down(view, store, now)
}

/// The same where no member of the store is seen to be down: a probe says so, and nothing else does.
pub fn unseen_down(view: &Snapshot, store: &SystemSpec, now: At) -> Option<String> {
    let mut members = view.live.surveys.get(&store.id).into_iter().flat_map(|it| &it.survey.members);
    let seen = members.any(|member| member.role == Role::Writer && member.status == Status::Down);
    probe_down(view, store, now).filter(|_| !seen)
}

/// Whether what was seen of a store's members is overtaken: the latest look failed, or a probe has found the store down since. They may be
/// as they were, and nobody knows.
pub fn is_overtaken(view: &Snapshot, store: &SystemSpec, now: At) -> bool {
    let Some(known) = view.live.surveys.get(&store.id) else { return false };
    let down = probes_down(view, &store.id, now);
    known.fault.is_some() || down.iter().filter_map(|it| it.since).any(|since| known.at.is_none_or(|at| at <= since))
}

fn probe_down(view: &Snapshot, store: &SystemSpec, now: At) -> Option<String> {
    probes_down(view, &store.id, now).first().map(|it| format!("{} is down", it.probe.kind))
}

/// The probes of a system, where it serves, that find it down.
pub fn probes_down<'v>(view: &'v Snapshot, system: &SystemId, now: At) -> Vec<Said<'v>> {
    let serving = view.state.serving(&view.estate);
    let subject = Subject::System(system.clone());
    let here = |region: &Option<RegionId>| region.as_ref().is_none_or(|region| *region == serving);
    let probes = view.estate.probes.iter().filter(|it| it.subject == subject && here(&it.region));
    probes.map(|it| said(it, &view.live.probes, now)).filter(|it| it.status == Status::Down).collect()
}

/// The plan of this estate that leaves the primary region, if it has one; of several regions to the one that is best as of `now`.
pub fn leaving(view: &Snapshot, now: At) -> Option<&Plan> {
    in_order(view, now).find(|plan| plan.flees())
}

fn in_order(view: &Snapshot, now: At) -> impl Iterator<Item = &Plan> {
    target::in_order(&Seen::of(view, now), &view.plans).into_iter()
}

/// The plan of this estate that fits what is wrong now; `None` when nothing is wrong, or none of them is known to fit. The plans lead
/// from the primary to the standby: where the standby serves or is down, too, none of them helps.
pub fn plan_for(view: &Snapshot, now: At) -> Option<&Plan> {
    let serving = view.state.serving(&view.estate);
    if serving != view.estate.primary() {
        return None;
    }
    let refuge = |plan: &&Plan| {
        let target = plan.target.clone().unwrap_or_else(|| view.estate.standby());
        view.region(&target, now).status() != Status::Down
    };
    let what = trouble(view, now).map(|it| it.what);
    let met = !view.triggers(now).is_empty();
    match what {
        Some(What::Region) => leaving(view, now).filter(refuge),
        _ if met => leaving(view, now).filter(refuge),
        Some(What::Stores(stores)) => stores.iter().find_map(|store| promoting(view, store, now)),
        Some(What::Services(_) | What::Degraded) => {
            let store = view.stores().find(|it| store_down(view, it, now).is_some());
            store.map_or_else(|| restarting(view, &serving), |store| promoting(view, &store.id, now))
        }
        None => None,
    }
}

/// Promotes another member of a store without moving clients, by the fewest steps.
fn promoting<'v>(view: &'v Snapshot, store: &SystemId, now: At) -> Option<&'v Plan> {
    let fits = |plan: &&Plan| {
        let promotes = plan.steps.iter().any(|it| it.role == StepRole::Promotes && it.system == *store);
        promotes && plan.steps.iter().all(|it| it.role != StepRole::Traffic)
    };
    in_order(view, now).filter(fits).min_by_key(|plan| plan.steps.len())
}

/// Changes nothing but the workload of a region.
fn restarting<'v>(view: &'v Snapshot, region: &RegionId) -> Option<&'v Plan> {
    let store = |system: &SystemId| view.estate.datastores().any(|it| it.id == *system);
    let here = |step: &crate::domain::spec::plan::StepSpec| {
        let of = step.region.as_ref().or_else(|| view.estate.system(&step.system)?.region.as_ref());
        of == Some(region) && !store(&step.system)
    };
    let restarts = |plan: &&Plan| {
        let mut changes = plan.steps.iter().filter(|it| it.role.mutates()).peekable();
        let workload = |role| matches!(role, StepRole::Changes | StepRole::Capacity);
        changes.peek().is_some() && changes.all(|it| workload(it.role) && here(it))
    };
    view.plans.iter().map(|plan| &**plan).find(restarts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::tests::scene::Scene;

    #[test]
    fn a_region_that_is_gone_is_left_and_a_healthy_one_is_not() {
        let peace = Scene::peace();
        assert_eq!(trouble(&peace.snap, peace.snap.now), None);
        assert_eq!(plan_for(&peace.snap, peace.snap.now), None);
        let dark = Scene::dark();
        let found = trouble(&dark.snap, dark.snap.now).unwrap();
        assert_eq!((found.what, found.severity), (What::Region, Severity::Sev1));
        assert_eq!(plan_for(&dark.snap, dark.snap.now).unwrap().id.as_str(), "regional-failover");
    }

    #[test]
    fn no_plan_is_named_that_the_estate_does_not_have() {
        let mut dark = Scene::dark();
        dark.snap.plans.retain(|plan| plan.id.as_str() != "regional-failover");
        assert_eq!(plan_for(&dark.snap, dark.snap.now), None);
    }
}
