//! Triggers: what the plan says a regional failover begins with. They tell what is met, by which evidence, and what will be met when;
//! a human declares. The standby has none: its trouble is no reason to leave the region that serves.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rollup::{Readings, RollUp, of_service, roll_up};
use super::state::State;
use crate::domain::fact::health::Status;
use crate::domain::ids::{PlanId, RegionId};
use crate::domain::spec::estate::Estate;
use crate::domain::spec::plan::Plan;
use crate::domain::spec::probe::Subject;
use crate::domain::spec::severity::Severity;
use crate::domain::time::{At, after, seconds_between};
use crate::domain::words::words;

words! {
    /// The rules of the plan, besides the one that anybody may declare at any time.
    Rule {
        /// The serving region does not answer for longer than `policy.region_down`.
        RegionUnavailable = "region-unavailable",
        /// At least half of its services have failed their health checks for longer than `policy.checks_down`.
        ChecksFailing = "checks-failing",
        /// An alert of other monitoring, which the config counts, fires for the serving region.
        AlertFiring = "alert-firing",
    }
}

impl Rule {
    /// For a line on a screen.
    pub fn title(self) -> &'static str {
        match self {
            Self::RegionUnavailable => "region rule",
            Self::ChecksFailing => "health check rule",
            Self::AlertFiring => "alert rule",
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
/// Their conditions hold since readings of this life of the engine say so.
pub fn triggers<'a>(
    estate: &Estate,
    state: &State,
    readings: &Readings,
    now: At,
    plans: impl Iterator<Item = &'a Plan>,
) -> Vec<Trigger> {
    let region = state.serving(estate);
    let plan = plans.into_iter().find(|plan| plan.flees());
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
    let dark = unavailable(estate, readings, &region, now)
        .map(|(since, evidence)| made(Rule::RegionUnavailable, since, estate.policy.region_down.0, evidence));
    let failing = failing(estate, readings, &region, now)
        .map(|(since, evidence)| made(Rule::ChecksFailing, since, estate.policy.checks_down.0, evidence));
    let alert = state.alerts.counted(estate, &region, now).map(|(heard, rule)| {
        let evidence = format!("the alert of {} fires: {}", heard.alert.source, heard.alert.words());
        made(Rule::AlertFiring, heard.since, rule.after.0, evidence)
    });
    let mut all: Vec<Trigger> = dark.into_iter().chain(failing).chain(alert).collect();
    all.sort_by_key(|trigger| trigger.met_at);
    all
}

/// Every probe of the region itself is down.
fn unavailable(estate: &Estate, readings: &Readings, region: &RegionId, now: At) -> Option<(At, String)> {
    let seen = roll_up(estate, readings, &Subject::Region(region.clone()), Some(region), now);
    let (since, all) = (seen.all_down_since()?, seen.said.len());
    Some((since, format!("{all} of {all} probes of {region} are down")))
}

/// At least half of the services of the region are down. What is unknown counts for neither side, and is told.
fn failing(estate: &Estate, readings: &Readings, region: &RegionId, now: At) -> Option<(At, String)> {
    let seen = |service| of_service(estate, readings, service, Some(region), now);
    let seen: Vec<RollUp<'_>> = estate.services.iter().map(seen).collect();
    let mut since: Vec<At> = seen.iter().filter_map(RollUp::down_since).collect();
    let (all, needed) = (seen.len(), seen.len().div_ceil(2).max(1));
    since.sort();
    // The condition holds since the service that made it half.
    let at = *since.get(needed - 1)?;
    let unknown = match seen.iter().filter(|it| it.status() == Status::Unknown).count() {
        0 => String::new(),
        count => format!("; {count} could not be looked at"),
    };
    Some((at, format!("{} of {all} services of {region} are down{unknown}", since.len())))
}

#[cfg(test)]
mod tests;
