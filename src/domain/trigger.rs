//! Triggers: what the plan says a regional failover begins with. They tell what is met, by which evidence, and what will be met when;
//! a human declares. The standby has none: its trouble is no reason to leave the region that serves.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::estate::{Estate, Subject, words};
use super::health::Status;
use super::ids::{PlanId, RegionId, ServiceId};
use super::incident::Severity;
use super::kinds::StepRole;
use super::plan::Plan;
use super::state::State;
use super::time::{At, after, seconds_between};

words! {
    /// The rules of the plan, besides the one that anybody may declare at any time.
    Rule {
        /// The serving region does not answer for longer than `policy.region_down`.
        RegionUnavailable = "region-unavailable",
        /// At least half of its services have failed their health checks for longer than `policy.checks_down`.
        ChecksFailing = "checks-failing",
    }
}

impl Rule {
    /// For a line on a screen.
    pub fn title(self) -> &'static str {
        match self {
            Self::RegionUnavailable => "region rule",
            Self::ChecksFailing => "health check rule",
        }
    }
}

/// A rule whose condition holds now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Trigger {
    pub rule: Rule,
    pub region: RegionId,
    /// Since when its condition holds.
    pub since: At,
    /// When it is met, if the condition goes on to hold.
    pub met_at: At,
    pub evidence: String,
    pub severity: Severity,
    /// The plan that leaves the region.
    pub plan: Option<PlanId>,
}

impl Trigger {
    pub fn is_met(&self, now: At) -> bool {
        self.met_at <= now
    }

    /// Until it is met; negative once it is.
    pub fn seconds_left(&self, now: At) -> f64 {
        seconds_between(now, self.met_at)
    }
}

/// The rules whose condition holds, the soonest met first. Statuses have their hysteresis behind them: a flap is no outage.
pub fn triggers<'a>(estate: &Estate, state: &State, plans: impl Iterator<Item = &'a Plan>) -> Vec<Trigger> {
    let region = state.serving(estate);
    let plan = plans.into_iter().find(|plan| plan.steps.iter().any(|step| step.role == StepRole::Traffic));
    let plan = plan.map(|plan| plan.id.clone());
    let made = |rule, since: At, wait: Duration, evidence| Trigger {
        rule,
        region: region.clone(),
        since,
        met_at: after(since, wait),
        evidence,
        severity: Severity::Sev1,
        plan: plan.clone(),
    };
    let dark = unavailable(estate, state, &region)
        .map(|(since, evidence)| made(Rule::RegionUnavailable, since, estate.policy.region_down.0, evidence));
    let failing = failing(estate, state, &region)
        .map(|(since, evidence)| made(Rule::ChecksFailing, since, estate.policy.checks_down.0, evidence));
    let mut all: Vec<Trigger> = dark.into_iter().chain(failing).collect();
    all.sort_by_key(|trigger| trigger.met_at);
    all
}

/// Since when a probe's target is known to be down: counted from the last time it was well.
fn down_since(estate: &Estate, state: &State, wanted: impl Fn(&Subject) -> bool, region: &RegionId) -> Vec<Option<At>> {
    let probes = estate.probes.iter().filter(|it| wanted(&it.subject));
    let here = probes.filter(|it| it.region.is_none() || it.region.as_ref() == Some(region));
    let of = |known: &super::state::ProbeState| {
        (known.status == Status::Down).then(|| known.last_healthy.unwrap_or(known.since))
    };
    here.map(|probe| state.probes.get(&probe.id).and_then(of)).collect()
}

/// Every probe of the region itself is down.
fn unavailable(estate: &Estate, state: &State, region: &RegionId) -> Option<(At, String)> {
    let probes = down_since(estate, state, |it| *it == Subject::Region(region.clone()), region);
    let since = probes.iter().copied().collect::<Option<Vec<At>>>()?.into_iter().max()?;
    Some((since, format!("{} of {} probes of {region} are down", probes.len(), probes.len())))
}

/// At least half of the services of the region are down.
fn failing(estate: &Estate, state: &State, region: &RegionId) -> Option<(At, String)> {
    let down = |id: &ServiceId| {
        let wanted = |it: &Subject| *it == Subject::Service(id.clone());
        down_since(estate, state, wanted, region).into_iter().flatten().min()
    };
    let mut since: Vec<At> = estate.services.iter().filter_map(|service| down(&service.id)).collect();
    let (all, needed) = (estate.services.len(), estate.services.len().div_ceil(2).max(1));
    since.sort();
    // The condition holds since the service that made it half.
    let at = *since.get(needed - 1)?;
    Some((at, format!("{} of {all} services of {region} are down", since.len())))
}

#[cfg(test)]
mod tests;
