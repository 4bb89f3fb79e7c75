//! The facts that a message is written from: read from the journal, and nothing else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::actor::Actor;
use super::super::estate::{Estate, Service, words};
use super::super::health::Status;
use super::super::ids::RegionId;
use super::super::incident::{Incident, Onset};
use super::super::kinds::StepRole;
use super::super::recovery::Loss;
use super::super::rollup::{Readings, RollUp, of_service};
use super::super::run::Run;
use super::super::state::State;
use super::super::time::{At, length, seconds_between};
use super::super::verdict;
use super::{ComponentStatus, Purpose, Text};

words! {
    /// What is handed over.
    Duty { Command = "command", Communications = "communications", }
}

/// What somebody who hands over says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HandOver {
    pub duty: Duty,
    /// Who is to take it.
    pub to: String,
}

/// What a template can use. Times are UTC, lengths of time are written out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Facts {
    pub estate: String,
    pub incident: String,
    pub title: String,
    pub severity: String,
    pub phase: String,
    pub drill: bool,
    pub purpose: String,
    /// `14:05 UTC`
    pub now: String,
    pub declared: String,
    /// `12 min 30 s` since the disruption, `at least 12 min 30 s` when nobody saw it begin; empty when it is not known.
    pub lasting: String,
    pub region: String,
    /// Where clients are sent now.
    pub serving: String,
    /// Titles of services that are down in the serving region, and of those that are degraded or not known.
    pub down: Vec<String>,
    pub impaired: Vec<String>,
    pub components: Vec<Component>,
    pub commander: String,
    pub lead: String,
    pub acknowledged: String,
    pub run: Option<RunFacts>,
    pub clocks: Vec<Clock>,
    pub losses: Vec<LossFacts>,
    /// `14:20 UTC`; empty when no further update is promised.
    pub next_update: String,
    /// What the sender added.
    pub note: String,
    pub hand_over: Option<HandOver>,
    pub escalated: bool,
}

/// A component of the platform, as the status page calls it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Component {
    pub name: String,
    /// `major outage`
    pub status: String,
    pub affected: bool,
}

/// How far a run is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RunFacts {
    pub id: String,
    pub plan: String,
    pub done: usize,
    pub steps: usize,
    /// What is under way or waits for somebody; empty when nothing does.
    pub step: String,
    /// The words on that step.
    pub detail: String,
    pub ended: bool,
    /// `live` or `drill`.
    #[serde(default)]
    pub mode: String,
    /// It sends clients to another region.
    #[serde(default)]
    pub moves: bool,
}

/// How a tier stands against its RTO.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Clock {
    pub tier: String,
    pub elapsed: String,
    pub target: String,
    /// `met`, `MISSED`, `running`, `OVER`, or `unknown` when it may have begun earlier than it was seen
    pub standing: String,
}

/// What is lost of a class of data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LossFacts {
    pub class: String,
    /// `about 42s (estimated)`, or `unknown`
    pub lost: String,
    pub target: String,
}

/// What is said besides the state of things.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Beside {
    pub next_due: Option<At>,
    pub note: String,
    pub hand_over: Option<HandOver>,
    pub escalated: bool,
}

/// Writes the text for one audience.
pub trait Wording: Send + Sync {
    fn write(&self, purpose: Purpose, audience: super::Audience, facts: &Facts) -> Text;
}

/// The shortest true text: what is said where templates cannot be had.
pub struct Bare;

impl Wording for Bare {
    fn write(&self, purpose: Purpose, _: super::Audience, facts: &Facts) -> Text {
        Text { subject: format!("{}: {purpose}", facts.incident), body: facts.note.clone() }
    }
}

/// `14:05 UTC`
pub fn moment(at: At) -> String {
    at.strftime("%H:%M UTC").to_string()
}

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
    use super::super::super::decide::bench::Bench;
    use super::super::super::ids::ServiceId;
    use super::*;

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
                ("web@us-east-1".into(), super::super::super::estate::Subject::Service("web".into()));
            bench.estate.probes.push(probe);
            bench.estate.comms.components =
                ["api", "web"].map(|id| (ServiceId::from(id), "App".to_owned())).into_iter().collect();
            bench.probe("us-east-1", first);
            if let Some(second) = second {
                let like = bench.readings.values().next().unwrap().clone();
                let live = super::super::super::live::ProbeLive { status: second, ..like };
                bench.readings.insert("web@us-east-1".into(), live);
            }
            let told = components(&bench.estate, &bench.state, &bench.readings, bench.now);
            assert_eq!(told.get("App").copied(), wanted, "{what}");
        }
    }
}
