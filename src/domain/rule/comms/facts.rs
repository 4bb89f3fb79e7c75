//! The facts that a message is written from: read from the journal, and nothing else.

use std::collections::BTreeMap;

use crate::domain::actor::Actor;
use crate::domain::fact::clocks::Onset;
use crate::domain::fact::comms::{Beside, Clock, Component, Facts, LossFacts, RunFacts, moment};
use crate::domain::fact::health::Status;
use crate::domain::fact::incident::Incident;
use crate::domain::fact::recovery::Loss;
use crate::domain::fact::run::Run;
use crate::domain::ids::RegionId;
use crate::domain::rule::rollup::{Readings, RollUp, of_service};
use crate::domain::rule::state::State;
use crate::domain::rule::verdict;
use crate::domain::spec::comms::{ComponentStatus, Purpose};
use crate::domain::spec::estate::{Estate, Service};
use crate::domain::spec::kinds::StepRole;
use crate::domain::time::{At, length, seconds_between};

/// The facts as of `now`.
pub fn facts(
    estate: &Estate,
    (state, readings): (&State, &Readings),
    incident: &Incident,
    purpose: Purpose,
    beside: &Beside,
    now: At,
) -> Facts {
    let name = |actor: Option<&Actor>| actor.map_or_else(|| "nobody yet".to_owned(), ToString::to_string);
    // Whoever reads it has a wall clock beside them.
    let said = |at: At| moment(state.clock.drift.to_wall(at));
    let t0 = incident.clocks.disruption();
    // A rehearsal changes nothing, and nobody is told of it.
    let run = state.run.as_ref().filter(|run| run.mode.acts() && run.incident.as_ref() == Some(&incident.id));
    let sight = Sight { estate, readings, serving: state.serving(estate), now };
    let services = |wanted: fn(Status) -> bool| -> Vec<String> {
        let fits = estate.services.iter().filter(|it| wanted(sight.status(it)));
        fits.map(|it| it.title.clone()).collect()
    };
    Facts {
        estate: estate.name.clone(),
        incident: incident.id.to_string(),
        title: incident.title.clone(),
        severity: incident.severity.to_string(),
        phase: incident.phase.to_string(),
        drill: incident.drill,
        purpose: purpose.to_string(),
        now: said(now),
        declared: incident.clocks.t2.map(said).unwrap_or_default(),
        lasting: t0.map(|(t0, onset)| lasting(seconds_between(t0, now), onset)).unwrap_or_default(),
        region: incident.region.to_string(),
        serving: state.serving(estate).to_string(),
        down: services(|status| status == Status::Down),
        impaired: services(|status| matches!(status, Status::Degraded | Status::Unknown)),
        components: component_facts(estate, state, readings, now),
        commander: name(incident.commander.as_ref()),
        lead: name(state.outbox.lead.as_ref()),
        acknowledged: state.outbox.acknowledged.as_ref().map(|it| it.by.clone()).unwrap_or_default(),
        run: run.map(run_facts),
        clocks: verdict::rto(estate, incident, now).iter().map(clock).collect(),
        losses: verdict::rpo(estate, incident, run).iter().map(loss).collect(),
        next_update: beside.next_due.map(said).unwrap_or_default(),
        note: beside.note.clone(),
        hand_over: beside.hand_over.clone(),
        escalated: beside.escalated,
    }
}

fn run_facts(run: &Run) -> RunFacts {
    let current = run
        .in_order()
        .find(|(_, step)| step.phase.waits_for_human())
        .or_else(|| run.in_order().find(|(_, step)| step.phase.is_in_flight()));
    RunFacts {
        id: run.id.to_string(),
        plan: run.plan.title.clone(),
        done: run.in_order().filter(|(_, step)| step.phase.is_over()).count(),
        steps: run.plan.steps.len(),
        step: current.map(|(spec, step)| format!("{} ({})", spec.title, step.phase)).unwrap_or_default(),
        detail: current.map(|(_, step)| step.detail.clone()).unwrap_or_default(),
        ended: !run.is_open(),
        mode: run.mode.to_string(),
        moves: run.plan.steps.iter().any(|step| step.role == StepRole::Traffic),
    }
}

fn clock(it: &verdict::RtoVerdict) -> Clock {
    let standing = match (it.recovered, it.met) {
        (true, Some(true)) => "met",
        (true, None) => "unknown",
        (true, Some(false)) => "MISSED",
        (false, Some(false)) => "OVER",
        (false, _) => "running",
    };
    Clock {
        tier: it.tier.to_string(),
        elapsed: it.elapsed.map_or_else(
            || "unknown".into(),
            |seconds| lasting(seconds, if it.at_least { Onset::NotLater } else { Onset::Seen }),
        ),
        target: length(it.target),
        standing: standing.into(),
    }
}

fn loss(it: &verdict::RpoVerdict) -> LossFacts {
    let lost = match it.loss {
        Loss::Unknown => "unknown".into(),
        Loss::Estimated { seconds } => format!("about {} (estimated)", length(seconds)),
        Loss::Measured { seconds } => format!("{} (measured)", length(seconds)),
    };
    LossFacts { class: it.class.to_string(), lost, target: length(it.target) }
}

/// How long something lasts whose beginning was seen, or was not.
fn lasting(seconds: f64, onset: Onset) -> String {
    if onset == Onset::NotLater { format!("at least {}", length(seconds)) } else { length(seconds) }
}

/// What customers see of the services: where they are sent, and along the path by which they come.
struct Sight<'a> {
    estate: &'a Estate,
    readings: &'a Readings,
    serving: RegionId,
    now: At,
}

impl Sight<'_> {
    /// The worse of the two; unknown if it is probed in neither place.
    fn status(&self, service: &Service) -> Status {
        let seen = |region| of_service(self.estate, self.readings, service, region, self.now);
        let places = [seen(Some(&self.serving)), seen(None)];
        Status::worst(places.iter().filter(|it| it.is_probed()).map(RollUp::status))
    }
}

/// Every component whose state is known. Nothing is said of one that is not: a status page knows no “unknown”.
pub fn components(estate: &Estate, state: &State, readings: &Readings, now: At) -> BTreeMap<String, ComponentStatus> {
    let sight = Sight { estate, readings, serving: state.serving(estate), now };
    let mut by_name: BTreeMap<&str, Vec<Option<Status>>> = BTreeMap::new();
    for (service, component) in &estate.comms.components {
        let status = estate.service(service).map(|service| sight.status(service));
        by_name.entry(component).or_default().push(status);
    }
    let status = |all: &[Option<Status>]| {
        let count = |wanted: Status| all.iter().filter(|it| **it == Some(wanted)).count();
        match (count(Status::Down), count(Status::Degraded), count(Status::Healthy)) {
            (down, ..) if down == all.len() => Some(ComponentStatus::MajorOutage),
            (1.., ..) => Some(ComponentStatus::PartialOutage),
            (_, 1.., _) => Some(ComponentStatus::Degraded),
            (_, _, healthy) if healthy == all.len() => Some(ComponentStatus::Operational),
            _ => None,
        }
    };
    by_name.iter().filter_map(|(name, all)| Some(((*name).to_owned(), status(all)?))).collect()
}

fn component_facts(estate: &Estate, state: &State, readings: &Readings, now: At) -> Vec<Component> {
    let known = components(estate, state, readings, now).into_iter();
    known
        .map(|(name, status)| Component {
            name,
            status: status.word().replace('-', " "),
            affected: status != ComponentStatus::Operational,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ServiceId;
    use crate::domain::rule::decide::bench::Bench;

    #[test]
    fn the_public_is_told_only_what_is_known() {
        use Status::*;
        let rows = [
            ("both are well", Healthy, Some(Healthy), Some(ComponentStatus::Operational)),
            ("both are down", Down, Some(Down), Some(ComponentStatus::MajorOutage)),
            ("one is down", Down, Some(Healthy), Some(ComponentStatus::PartialOutage)),
            ("one is down, and the other was not looked at", Down, None, Some(ComponentStatus::PartialOutage)),
            ("one is slow", Degraded, Some(Healthy), Some(ComponentStatus::Degraded)),
            ("one is slow, and the other refuses", Degraded, Some(Unknown), Some(ComponentStatus::Degraded)),
            ("one is well, and the other refuses", Healthy, Some(Unknown), None),
            ("one is well, and the other was not looked at", Healthy, None, None),
            ("both refuse", Unknown, Some(Unknown), None),
        ];
        for (what, first, second, wanted) in rows {
            let mut bench = Bench::new();
            let second_service = Service { id: "web".into(), ..bench.estate.services[0].clone() };
            bench.estate.services.push(second_service);
            bench.estate.probes.truncate(1);
            let mut probe = bench.estate.probes[0].clone();
            (probe.id, probe.subject) =
                ("web@us-east-1".into(), crate::domain::spec::probe::Subject::Service("web".into()));
            bench.estate.probes.push(probe);
            bench.estate.comms.components =
                ["api", "web"].map(|id| (ServiceId::from(id), "App".to_owned())).into_iter().collect();
            bench.probe("us-east-1", first);
            if let Some(second) = second {
                let like = bench.readings.values().next().unwrap().clone();
                let live = crate::domain::fact::live::ProbeLive { status: second, ..like };
                bench.readings.insert("web@us-east-1".into(), live);
            }
            let told = components(&bench.estate, &bench.state, &bench.readings, bench.now);
            assert_eq!(told.get("App").copied(), wanted, "{what}");
        }
    }
}
