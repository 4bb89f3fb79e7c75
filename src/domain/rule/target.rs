//! Where to flee to, in an estate with several standby regions: each of them with what is known of it, the best first. Nothing is chosen
//! here for good: a person types the region, or names it on the command line.
//!
//! What counts, in this order: the region stands as seen from here; its copies are there and not older than the RPO allows; its plan would
//! work by the latest look (and that look is not old); its score; and last the order of the config. What is not known counts as worse than
//! what is known to be well, and as better than what is known to be broken.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::rollup::{Readings, of_service, roll_up};
use super::state::State;
use crate::domain::fact::health::Status;
use crate::domain::fact::live::SurveyLive;
use crate::domain::fact::recovery::{Lag, Member, RecoveryPoint, Role};
use crate::domain::ids::{PlanId, RegionId, SystemId};
use crate::domain::readiness::{Finds, Ready};
use crate::domain::spec::estate::{Estate, SystemSpec};
use crate::domain::spec::kinds::StepRole;
use crate::domain::spec::plan::{Plan, StepSpec, name_of, towards};
use crate::domain::spec::probe::Subject;
use crate::domain::time::{At, seconds_between};

/// What is known around a choice. Everything is of this life of the engine, or of its journal.
#[derive(Clone, Copy)]
pub struct Seen<'s> {
    pub estate: &'s Estate,
    pub state: &'s State,
    pub surveys: &'s BTreeMap<SystemId, SurveyLive>,
    /// The newest recovery point known of each store, also of one that nobody can look at any more.
    pub points: &'s BTreeMap<SystemId, RecoveryPoint>,
    pub readings: &'s Readings,
    pub now: At,
}

/// The copy of one datastore in a region.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct CopyThere {
    pub store: SystemId,
    /// How far it is behind, in seconds; `None` where that is not known, or its system speaks of something else than time.
    pub behind: Option<f64>,
    /// The same in words: `1.2 s`, `0 bytes`, `unknown`.
    pub words: String,
    /// Whether the RPO allows that; `None` is unknown.
    pub within: Option<bool>,
}

/// One region that a plan can lead to.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Choice {
    pub plan: PlanId,
    pub region: RegionId,
    /// The worst that is seen from here of the region and of the services in it.
    pub status: Status,
    /// How long the region's own probe took from here, in milliseconds: the distance.
    pub far: Option<u32>,
    pub copies: Vec<CopyThere>,
    /// What the latest look said of its room, in words; `None` when it said nothing.
    pub room: Option<(Finds, String)>,
    pub ready: Ready,
    pub score: Option<u8>,
    /// How old that look is, in seconds.
    pub looked: Option<f64>,
}

/// What stands over the cells of a choice.
pub const HEAD: [&str; 5] = ["region", "from here", "oldest copy", "room", "plan"];

impl Choice {
    /// The oldest copy: one that is too old or not there before one that is not known, and that before all others.
    fn worst_copy(&self) -> Option<&CopyThere> {
        let grade = |copy: &CopyThere| match copy.within {
            Some(false) => 2,
            None => 1,
            Some(true) => 0,
        };
        let age = |copy: &CopyThere| copy.behind.unwrap_or(0.0);
        self.copies.iter().max_by(|a, b| grade(a).cmp(&grade(b)).then(age(a).total_cmp(&age(b))))
    }

    /// A row of a table, under [`HEAD`].
    pub fn cells(&self) -> [String; 5] {
        let far = self.far.map(|far| format!(", {far} ms")).unwrap_or_default();
        let copy = self.worst_copy().map(|copy| format!("{}: {}", copy.store, copy.words));
        let room = self.room.as_ref().map(|(finds, words)| match finds {
            Finds::Pass => "enough".to_owned(),
            _ => words.clone(),
        });
        let plan = match (self.looked, self.score) {
            (Some(_), Some(score)) => format!("{}, {score} of 100", self.ready),
            _ => "not looked at yet".to_owned(),
        };
        let unknown = || "unknown".to_owned();
        [
            self.region.to_string(),
            format!("{}{far}", self.status),
            copy.unwrap_or_else(unknown),
            room.unwrap_or_else(unknown),
            plan,
        ]
    }
}

/// What makes one region better than another; the smallest is the best.
type Rank = (u8, u8, Ready, u8);

fn rank(choice: &Choice) -> Rank {
    let stands = match choice.status {
        Status::Healthy | Status::Degraded => 0,
        Status::Unknown => 1,
        Status::Down => 2,
    };
    let copies = choice.copies.iter().map(|copy| match copy.within {
        Some(true) => 0,
        None => 1,
        Some(false) => 2,
    });
    (stands, copies.max().unwrap_or(1), choice.ready, 100 - choice.score.unwrap_or(0).min(100))
}

/// The regions that the plan called `name` leads to, the best first; empty when it leads to none that could be chosen.
pub fn choices(seen: &Seen<'_>, plans: &[Arc<Plan>], name: &str) -> Vec<Choice> {
    let of_name = plans.iter().filter(|plan| plan.name() == name);
    let mut all: Vec<Choice> = of_name.filter_map(|plan| Some(choice(seen, &plan.id, plan.target.as_ref()?))).collect();
    all.sort_by_key(rank);
    all
}

fn choice(seen: &Seen<'_>, plan: &PlanId, region: &RegionId) -> Choice {
    let Seen { estate, state, readings, now, .. } = *seen;
    let own = roll_up(estate, readings, &Subject::Region(region.clone()), Some(region), now);
    let of = |service| of_service(estate, readings, service, Some(region), now).status();
    // A standby runs less than what it is scaled to: what serves nobody yet may be degraded, and is not down for that.
    let services = estate.services.iter().map(of).min().unwrap_or(Status::Unknown);
    let status = if own.is_probed() { own.status() } else { services };
    let far = own.said.iter().filter_map(|it| it.live?.reading.latency_ms).min();
    let known = state
        .readiness
        .iter()
        .rev()
        .find_map(|it| it.plans.iter().find(|brief| brief.plan == *plan).map(|brief| (it.at, brief)));
    let looked = known.map(|(at, _)| seconds_between(at, now));
    let ready = match known {
        Some((at, brief)) if !estate.assessment_is_old(at, now) => brief.ready,
        _ => Ready::Unknown,
    };
    Choice {
        plan: plan.clone(),
        region: region.clone(),
        status,
        far,
        copies: estate.stores_at(region).map(|store| copy(seen, store, region)).collect(),
        room: None,
        ready,
        score: known.map(|(_, brief)| brief.score),
        looked,
    }
}

fn copy(seen: &Seen<'_>, store: &SystemSpec, region: &RegionId) -> CopyThere {
    let unknown =
        |words: &str| CopyThere { store: store.id.clone(), behind: None, words: words.to_owned(), within: None };
    let rpo = store.class.and_then(|class| seen.estate.rpo(class)).map(|rpo| rpo.as_secs_f64());
    let timed = |behind: f64| CopyThere {
        behind: Some(behind),
        words: format!("{behind:.1} s"),
        within: rpo.map(|rpo| behind <= rpo),
        store: store.id.clone(),
    };
    // What was written later than clients could write is missing nowhere.
    let until = seen.state.incident.as_ref().and_then(|it| it.clocks.written_until()).unwrap_or(seen.now).min(seen.now);
    let of_point = |point: &RecoveryPoint| timed(seconds_between(point.at, until).max(0.0));
    let here = |point: &&RecoveryPoint| point.region.as_ref() == Some(region);
    let taken = seen.surveys.get(&store.id).map(|it| it.current(seen.estate.policy.survey_every, seen.now));
    let Some(Ok(survey)) = taken else {
        let known = seen.points.get(&store.id).filter(here);
        return known.map_or_else(|| unknown("unknown"), of_point);
    };
    let holds = |member: &&Member| {
        let copy = matches!(member.role, Role::Replica | Role::Writer) && member.status != Status::Down;
        copy && member.region.as_ref() == Some(region)
    };
    let mut members = survey.members.iter().filter(holds).peekable();
    if members.peek().is_none() {
        return CopyThere { within: Some(false), ..unknown("no copy there") };
    }
    if let Some(point) = survey.standby_point.as_ref().filter(here) {
        return of_point(point);
    }
    let level = |count: u64, unit: &str| CopyThere {
        within: (count == 0).then_some(true),
        ..unknown(&format!("{count} {unit}"))
    };
    match members.find_map(|member| member.lag) {
        Some(Lag::Seconds(behind)) => timed(behind),
        Some(Lag::Bytes(count)) => level(count, "bytes"),
        Some(Lag::Transactions(count)) => level(count, "transactions"),
        None => unknown("unknown"),
    }
}

/// The plans with those that lead to a better region before their like; the order of plans of different names stays. In an estate without
/// a choice it is the order of the list.
pub fn in_order<'p>(seen: &Seen<'_>, plans: &'p [Arc<Plan>]) -> Vec<&'p Plan> {
    let mut ordered: Vec<&Plan> = plans.iter().map(|plan| &**plan).collect();
    if !seen.estate.has_a_choice() {
        return ordered;
    }
    let mut ranks: BTreeMap<&RegionId, BTreeMap<&PlanId, Rank>> = BTreeMap::new();
    let mut names: Vec<&str> = Vec::new();
    for plan in plans {
        if !names.contains(&plan.name()) {
            names.push(plan.name());
        }
        if let Some(target) = &plan.target {
            ranks.entry(target).or_default().insert(&plan.id, rank(&choice(seen, &plan.id, target)));
        }
    }
    let nth = |plan: &Plan| names.iter().position(|name| *name == plan.name());
    ordered.sort_by_key(|plan| {
        let rank = plan.target.as_ref().and_then(|target| ranks.get(target)?.get(&plan.id)).copied();
        (nth(plan), rank)
    });
    ordered
}

/// The plan that `id` means when it is the bare name of one that leads to several regions: the one to `region`.
///
/// # Errors
/// When it does not lead there, in words.
pub fn to(plans: &[Arc<Plan>], id: &PlanId, region: &RegionId) -> Result<PlanId, String> {
    let name = name_of(id);
    let wanted = towards(name, region);
    if plans.iter().any(|plan| plan.id == wanted) {
        return Ok(wanted);
    }
    let known = regions_of(plans, name);
    // One that has no choice leads where it leads.
    let alone = plans.iter().find(|plan| plan.id == *id && leads_to(plan) == Some(region));
    match (alone, known.is_empty()) {
        (Some(plan), _) => Ok(plan.id.clone()),
        (None, true) => Err(format!("`{id}` does not lead to {region}")),
        (None, false) => Err(format!("`{name}` does not lead to {region}: choose one of {}", known.join(", "))),
    }
}

/// The regions that plans of this name lead to, in the order of the config.
pub fn regions_of<'p>(plans: &'p [Arc<Plan>], name: &str) -> Vec<&'p str> {
    plans.iter().filter(|plan| plan.name() == name).filter_map(|plan| Some(plan.target.as_ref()?.as_str())).collect()
}

/// Where a plan sends clients.
pub fn leads_to(plan: &Plan) -> Option<&RegionId> {
    let moves = |step: &&StepSpec| step.role == StepRole::Traffic;
    plan.target.as_ref().or_else(|| plan.steps.iter().find(moves)?.region.as_ref())
}

#[cfg(test)]
mod tests;
