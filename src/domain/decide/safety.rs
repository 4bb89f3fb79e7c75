//! The rules on promotions and on traffic: drivers report facts, this judges them. Each verdict is a guard on the gate's card.

use super::super::estate::{DataClass, Estate, Service, Tier};
use super::super::health::Status;
use super::super::ids::RegionId;
use super::super::incident::Clocks;
use super::super::kinds::StepRole;
use super::super::plan::StepSpec;
use super::super::recovery::Loss;
use super::super::rollup::of_service;
use super::super::run::{Run, StepPhase};
use super::super::state::State;
use super::super::system::{Guard, OldWriter, PromotionFacts};
use super::super::time::At;
use super::super::wayback::is_drained_copy;
use super::Context;

/// What would be lost if this copy were promoted now: nothing, if it was seen to have all of a drained writer; else counted back from the disruption, or from now while nothing is disrupted.
pub(super) fn expected_loss(
    state: &State,
    run: &Run,
    spec: &StepSpec,
    facts: Option<&PromotionFacts>,
    now: At,
) -> Loss {
    if is_drained_copy(run, spec) {
        return Loss::Measured { seconds: 0.0 };
    }
    let clocks = state.incident.as_ref().map(|incident| &incident.clocks);
    // While nothing fails, clients write on: what they write until now would be lost, too.
    let disruption = clocks.filter(|clocks| !clocks.was_well()).and_then(Clocks::written_until);
    match facts {
        Some(facts) if facts.lossless => Loss::Estimated { seconds: 0.0 },
        Some(facts) => Loss::of(facts.recovery_point.as_ref(), disruption.unwrap_or(now)),
        None => Loss::Unknown,
    }
}

/// The guards that hang on the role of a step, whatever its kind.
pub(super) fn guards(
    cx: &Context<'_>,
    state: &State,
    run: &Run,
    spec: &StepSpec,
    facts: Option<&PromotionFacts>,
) -> Vec<Guard> {
    match spec.role {
        StepRole::Promotes => promotion(cx, state, run, spec, facts),
        StepRole::Traffic => traffic(cx, run, spec),
        _ => Vec::new(),
    }
}

fn promotion(
    cx: &Context<'_>,
    state: &State,
    run: &Run,
    spec: &StepSpec,
    facts: Option<&PromotionFacts>,
) -> Vec<Guard> {
    let Some(facts) = facts else {
        return vec![Guard::block("facts", "the driver could not tell who writes now; nothing is promoted on a guess")];
    };
    let mut guards = vec![old_writer(run, spec, facts)];
    match facts.quorum {
        Some(true) => guards.push(Guard::pass("quorum", "a majority agrees")),
        Some(false) => guards.push(Guard::block("quorum", "quorum is lost: a promotion now can leave two writers")),
        None => {}
    }
    if let Some(class) = spec.class {
        guards.push(loss(cx.estate, class, expected_loss(state, run, spec, Some(facts), cx.now)));
    }
    guards
}

fn old_writer(run: &Run, spec: &StepSpec, facts: &PromotionFacts) -> Guard {
    let ancestors = run.plan.ancestors(&spec.id);
    let is_fence = |step: &&StepSpec| step.role == StepRole::Fences && ancestors.contains(&step.id);
    let fence = run.plan.steps.iter().filter(is_fence).find(|step| run.phase(&step.id).is_in_effect());
    match (facts.old_writer, fence) {
        (OldWriter::Absent, _) => Guard::pass("old-writer", "there is no other writer"),
        (OldWriter::Unreachable, _) => Guard::pass("old-writer", "the old writer does not answer"),
        (OldWriter::Fenced, _) => Guard::pass("old-writer", "the old writer takes no writes"),
        (_, _) if facts.lossless => {
            Guard::pass("old-writer", "both sides live and hand over: no write is lost or doubled")
        }
        (OldWriter::Reachable, Some(step)) => {
            Guard::pass("old-writer", format!("the old writer answers, but `{}` stopped what writes to it", step.id))
        }
        (OldWriter::Reachable, None) => Guard::block(
            "old-writer",
            "the old writer still answers and is not fenced: promoting now makes two writers",
        ),
        (OldWriter::Unknown, Some(step)) => {
            Guard::warn("old-writer", format!("cannot tell whether the old writer lives; `{}` is in effect", step.id))
        }
        (OldWriter::Unknown, None) => {
            Guard::block("old-writer", "cannot tell whether the old writer lives, and nothing fenced it")
        }
    }
}

fn loss(estate: &Estate, class: DataClass, loss: Loss) -> Guard {
    let target = estate.rpo(class);
    match (loss.seconds(), target) {
        (None, _) => Guard::block("expected-loss", "how much would be lost is unknown, and unknown is not zero"),
        (Some(seconds), Some(target)) if seconds > target.as_secs_f64() => Guard::block(
            "expected-loss",
            format!("{seconds:.0} s of {class} data would be lost; the RPO allows {target}"),
        ),
        (Some(seconds), Some(target)) => {
            Guard::pass("expected-loss", format!("about {seconds:.1} s of {class} data; the RPO allows {target}"))
        }
        (Some(seconds), None) => {
            Guard::warn("expected-loss", format!("about {seconds:.1} s of {class} data; no RPO is set"))
        }
    }
}

/// Traffic moves last: only to stores that accept writes, and to a region whose services are healthy and at capacity.
fn traffic(cx: &Context<'_>, run: &Run, spec: &StepSpec) -> Vec<Guard> {
    let before = run.plan.ancestors(&spec.id);
    let of = |role: StepRole| run.plan.steps.iter().filter(move |step| step.role == role);
    let mut guards = Vec::new();
    for (name, role) in [("stores-writable", StepRole::Promotes), ("at-capacity", StepRole::Capacity)] {
        let not_done = |step: &&StepSpec| before.contains(&step.id) && !run.phase(&step.id).is_in_effect();
        for step in of(role).filter(not_done) {
            let how = if run.phase(&step.id) == StepPhase::Skipped { "was skipped" } else { "is not done" };
            guards.push(Guard::block(
                name,
                format!("`{}` {how}: clients would be sent to what cannot serve them", step.id),
            ));
        }
    }
    if guards.is_empty() {
        guards.push(Guard::pass("stores-writable", "every store and all capacity that this plan prepares is verified"));
    }
    if let Some(region) = &spec.region {
        guards.push(healthy(cx, region));
    }
    guards
}

fn critical(estate: &Estate) -> impl Iterator<Item = &Service> {
    estate.services.iter().filter(|service| service.tier == Tier::Critical)
}

fn healthy(cx: &Context<'_>, region: &RegionId) -> Guard {
    let (mut ill, mut asked) = (Vec::new(), 0);
    for service in critical(cx.estate) {
        let seen = of_service(cx.estate, cx.readings, service, Some(region), cx.now);
        asked += 1;
        if seen.status() >= Status::Unknown {
            let why = seen.worst().map_or("no probe looks at it", |worst| worst.detail);
            ill.push(format!("{} is {}: {why}", service.id, seen.status()));
        }
    }
    match (asked, ill.is_empty()) {
        (0, _) => Guard::warn("standby-healthy", "no service is critical: nothing says that the region can serve"),
        (_, true) => Guard::pass("standby-healthy", format!("critical services in {region} are healthy")),
        (_, false) => Guard::block("standby-healthy", format!("in {region}, {}", ill.join(", "))),
    }
}

/// Clients would be sent to a region of which not every probe has looked since this engine started: that is known in a moment.
pub(super) fn is_early(cx: &Context<'_>, spec: &StepSpec) -> bool {
    let Some(region) = spec.region.as_ref().filter(|_| spec.role == StepRole::Traffic) else { return false };
    let early = |service| of_service(cx.estate, cx.readings, service, Some(region), cx.now).is_early(cx.readings);
    critical(cx.estate).any(early)
}
