//! The rules on promotions and on traffic: drivers report facts, this judges them. Each verdict is a guard on the gate's card.
//!
//! What each says when nobody could look (no reading, refused, timed out, half an answer, yesterday's answer):
//!
//! | guard             | when it could not look                                                                                        |
//! |-------------------|---------------------------------------------------------------------------------------------------------------|
//! | `facts`           | the driver told nothing: blocks                                                                               |
//! | `old-writer`      | unknown: blocks; warns where this run has stopped what writes to it. A fence that was only *found* done (its  |
//! |                   | API did not answer, say) counts as none                                                                       |
//! | `quorum`          | not counted is no majority: blocks. No guard where the system has no quorum to lose                           |
//! | `expected-loss`   | unknown, or read from a clock that runs ahead: blocks; without an RPO a known loss warns                      |
//! | `stores-writable` | not done, skipped, failed: blocks; done by a person and never verified, or nothing prepared at all: warns     |
//! | `at-capacity`     | the same                                                                                                      |
//! | `standby-healthy` | no probe, no reading, refused, too old, or no region named: blocks; no critical service to judge by: warns    |

use super::Context;
use crate::domain::fact::clocks::Clocks;
use crate::domain::fact::guard::Guard;
use crate::domain::fact::health::Status;
use crate::domain::fact::recovery::Loss;
use crate::domain::fact::run::{Run, StepPhase, StepRun};
use crate::domain::fact::system::{OldWriter, PromotionFacts};
use crate::domain::ids::RegionId;
use crate::domain::rule::rollup::{RollUp, of_service};
use crate::domain::rule::state::State;
use crate::domain::rule::wayback::is_drained_copy;
use crate::domain::spec::classes::{DataClass, Tier};
use crate::domain::spec::estate::{Estate, Service};
use crate::domain::spec::kinds::StepRole;
use crate::domain::spec::plan::StepSpec;
use crate::domain::time::At;

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
        Some(facts) if hands_over(facts) => Loss::Estimated { seconds: 0.0 },
        Some(facts) => Loss::of(facts.believed_point(now), disruption.unwrap_or(now)),
        None => Loss::Unknown,
    }
}

/// Both sides live and move the data between them: of a side that nobody could look at, that is not known.
fn hands_over(facts: &PromotionFacts) -> bool {
    facts.lossless && facts.old_writer != OldWriter::Unknown
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

/// **Rule 20.** Nothing is promoted on a guess, or without a quorum where there is one to ask.
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

/// What of a plan stops the writers of the store that a step promotes.
enum Fence<'r> {
    /// This run stopped them, or a person says so.
    Holds(&'r StepSpec),
    /// It was only found done, so this run has stopped nothing. With the words on what was found.
    Found(&'r StepSpec, &'r str),
    /// This run stopped what it could reach of them; and what it could not.
    InPart(&'r StepSpec, &'r str),
    None,
}

/// One fence that does not hold lets writers through, so all that come before have to.
fn fence<'r>(run: &'r Run, spec: &StepSpec) -> Fence<'r> {
    let before = run.plan.ancestors(&spec.id);
    let of = |(step, _): &(&StepSpec, &StepRun)| step.role == StepRole::Fences && before.contains(&step.id);
    let mut fence = Fence::None;
    for (step, state) in run.in_order().filter(of) {
        match state.phase.is_in_effect() {
            false => return Fence::None,
            true if state.was_done_here() => fence = Fence::Holds(step),
            true => {
                return match state.in_part() {
                    Some(rest) => Fence::InPart(step, rest),
                    None => Fence::Found(step, state.found().unwrap_or(&state.detail)),
                };
            }
        }
    }
    fence
}

/// **Rule 19.** No copy is promoted while the old writer may live and is not fenced.
fn old_writer(run: &Run, spec: &StepSpec, facts: &PromotionFacts) -> Guard {
    const NAME: &str = "old-writer";
    const LIVES: &str = "the old writer still answers and is not fenced: promoting now makes two writers";
    const UNTOLD: &str = "cannot tell whether the old writer lives, and nothing fenced it: look for yourself";
    match (facts.old_writer, fence(run, spec)) {
        (OldWriter::Absent, _) => Guard::pass(NAME, "there is no other writer"),
        (OldWriter::Unreachable, _) => Guard::pass(NAME, "the old writer does not answer"),
        (OldWriter::Fenced, _) => Guard::pass(NAME, "the old writer takes no writes"),
        (OldWriter::Reachable | OldWriter::HandsOver, _) if hands_over(facts) => {
            Guard::pass(NAME, "both sides live and hand over: no write is lost or doubled")
        }
        (OldWriter::HandsOver, _) => Guard::warn(
            NAME,
            "the old writer lives, and the handover itself demotes it; what it takes until then is lost",
        ),
        (OldWriter::Reachable, Fence::Holds(step)) => {
            Guard::pass(NAME, format!("the old writer answers, but `{}` stopped what writes to it", step.id))
        }
        (OldWriter::Unknown, Fence::Holds(step)) => {
            Guard::warn(NAME, format!("cannot tell whether the old writer lives; `{}` is in effect", step.id))
        }
        (OldWriter::Reachable, Fence::Found(step, found)) => {
            Guard::block(NAME, format!("{LIVES}; `{}` was only found done ({found})", step.id))
        }
        (OldWriter::Unknown, Fence::Found(step, found)) => {
            Guard::block(NAME, format!("{UNTOLD}; `{}` was only found done ({found})", step.id))
        }
        (OldWriter::Reachable, Fence::InPart(step, rest)) => {
            Guard::block(NAME, format!("{LIVES}; `{}` reached a part only ({rest})", step.id))
        }
        (OldWriter::Unknown, Fence::InPart(step, rest)) => {
            Guard::block(NAME, format!("{UNTOLD}; `{}` reached a part only ({rest})", step.id))
        }
        (OldWriter::Reachable, Fence::None) => Guard::block(NAME, LIVES),
        (OldWriter::Unknown, Fence::None) => Guard::block(NAME, UNTOLD),
    }
}

/// **Rule 21.** No copy is promoted when more would be lost than the RPO allows, or nobody knows how much.
fn loss(estate: &Estate, class: DataClass, loss: Loss) -> Guard {
    let target = estate.rpo(class);
    match (loss.seconds(), target) {
        (None, _) => Guard::block(
            "expected-loss",
            "how much would be lost is unknown, and unknown is not zero: find out how new the copy is",
        ),
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
///
/// **Rule 22.** Clients are moved last: to stores that accept writes, with the capacity that the plan prepares.
fn traffic(cx: &Context<'_>, run: &Run, spec: &StepSpec) -> Vec<Guard> {
    let mut guards = prepared(run, spec);
    guards.push(match &spec.region {
        Some(region) => healthy(cx, region),
        None => Guard::block(
            "standby-healthy",
            "the step names no region, so nobody can look whether clients would be served: see for yourself, and set \
             its `region` in the plan",
        ),
    });
    guards
}

/// What the plan has made ready for the clients that come.
fn prepared(run: &Run, spec: &StepSpec) -> Vec<Guard> {
    let before = run.plan.ancestors(&spec.id);
    let (mut guards, mut steps) = (Vec::new(), 0);
    for (name, role) in [("stores-writable", StepRole::Promotes), ("at-capacity", StepRole::Capacity)] {
        for step in run.plan.steps.iter().filter(|step| step.role == role && before.contains(&step.id)) {
            steps += 1;
            let id = &step.id;
            let not = |how: &str| format!("`{id}` {how}: clients would be sent to what cannot serve them");
            match run.phase(id) {
                StepPhase::Done => {}
                StepPhase::ByHand => guards.push(Guard::warn(
                    name,
                    format!("`{id}` was done by hand, and Mayday has not verified it: try a write there first"),
                )),
                StepPhase::Skipped => guards.push(Guard::block(name, not("was skipped"))),
                _ => guards.push(Guard::block(name, not("is not done"))),
            }
        }
    }
    match (guards.is_empty(), steps) {
        (true, 0) => guards.push(Guard::warn(
            "stores-writable",
            "the plan prepares no store and no capacity before this: nothing says that clients can write there",
        )),
        (true, _) => guards
            .push(Guard::pass("stores-writable", "every store and all capacity that this plan prepares is verified")),
        (false, _) => {}
    }
    guards
}

fn critical(estate: &Estate) -> impl Iterator<Item = &Service> {
    estate.services.iter().filter(|service| service.tier == Tier::Critical)
}

/// **Rule 23.** Clients are moved only to a region whose critical services are seen to be healthy; unknown is not healthy.
fn healthy(cx: &Context<'_>, region: &RegionId) -> Guard {
    const NAME: &str = "standby-healthy";
    let seen: Vec<_> = critical(cx.estate)
        .map(|service| (service, of_service(cx.estate, cx.readings, service, Some(region), cx.now)))
        .collect();
    let words = |(service, seen): &(&Service, RollUp<'_>)| {
        let why = seen.worst().map_or("no probe looks at it", |worst| worst.detail);
        format!("{} is {}: {why}", service.id, seen.status())
    };
    let ill = |bad: fn(Status) -> bool| {
        let ill = seen.iter().filter(|(_, seen)| bad(seen.status())).map(words);
        ill.collect::<Vec<_>>().join(", ")
    };
    let (dark, slow) = (ill(|status| status >= Status::Unknown), ill(|status| status == Status::Degraded));
    match (seen.len(), dark.is_empty(), slow.is_empty()) {
        (0, ..) => Guard::warn(NAME, "no service is critical: nothing says that the region can serve"),
        (_, false, _) => Guard::block(NAME, format!("in {region}, {dark}")),
        (_, true, false) => Guard::warn(NAME, format!("{region} serves, but not well: {slow}")),
        (_, true, true) => Guard::pass(NAME, format!("critical services in {region} are healthy")),
    }
}

/// Clients would be sent to a region of which not every probe has looked since this engine started: that is known in a moment.
pub(super) fn is_early(cx: &Context<'_>, spec: &StepSpec) -> bool {
    let Some(region) = spec.region.as_ref().filter(|_| spec.role == StepRole::Traffic) else { return false };
    let early = |service| of_service(cx.estate, cx.readings, service, Some(region), cx.now).is_early(cx.readings);
    critical(cx.estate).any(early)
}
