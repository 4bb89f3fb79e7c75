//! What is left to do: everything that the incident has shown not to be as it should.

use super::super::review::{Action, Answer, Because, Delivered, Review, RunReview, StepReview};
use super::super::text::tidy;
use super::super::words::length;
use crate::domain::backup::Worth;
use crate::domain::describe;
use crate::domain::health::Status;
use crate::domain::readiness::Ready;
use crate::domain::run::{Outcome, StepPhase};
use crate::domain::state::State;

/// `end` is the state when the incident was closed, or now.
pub fn actions(review: &Review, end: Option<&State>) -> Vec<Action> {
    let mut all = Vec::new();
    let mut say = |because, what: String| all.push(Action { because, what });
    for it in review.rto.iter().filter(|it| it.met != Some(true)) {
        let (tier, allowed) = (it.tier, length(it.target));
        say(
            Because::Objective,
            match (it.met, it.elapsed) {
                (Some(false), Some(took)) if it.recovered => {
                    format!("RTO {tier}: {} instead of {allowed}: find what to shorten, or promise less", length(took))
                }
                (None, Some(_)) if it.recovered => {
                    format!("RTO {tier}: when it began is not known: find out, and watch it without a gap")
                }
                (_, Some(_)) => format!("RTO {tier}: no step verified that it is back within {allowed}"),
                (_, None) => format!("RTO {tier}: how long it took is not known: watch it with a probe"),
            },
        );
    }
    for it in review.rpo.iter().filter(|it| it.met != Some(true)) {
        let (class, allowed) = (it.class, length(it.target));
        say(
            Because::Objective,
            match it.loss.seconds() {
                Some(lost) => format!("RPO {class}: {} lost instead of {allowed}: copy it more often", length(lost)),
                None => format!("RPO {class}: what was lost is not known: find out, and measure it in the plan"),
            },
        );
    }
    review.runs.iter().for_each(|run| of_run(run, &mut say));
    for message in &review.messages {
        for it in message.deliveries.iter().filter(|it| !matches!(it.state, Delivered::Sent | Delivered::Recalled)) {
            let (id, channel, why) = (&message.id, &it.channel, it.fault.as_deref().unwrap_or("never tried"));
            say(
                Because::Delivery,
                match it.state {
                    Delivered::Failed => format!("{id} did not reach {channel}: {why}"),
                    Delivered::Unknown => format!("{id} may or may not have reached {channel}: look there. {why}"),
                    _ => format!("{id} has not reached {channel} yet: {why}"),
                },
            );
        }
    }
    for message in &review.messages {
        let sent = message.deliveries.iter().filter(|it| it.state == Delivered::Sent);
        for (channel, caveat) in sent.flat_map(|it| it.caveats.iter().map(move |caveat| (&it.channel, caveat))) {
            say(Because::Delivery, format!("{} to {channel}: {caveat}", message.id));
        }
    }
    for it in &review.checklist {
        match it.answer {
            Answer::Open => say(Because::Checklist, format!("{} is open: {}", it.title, it.detail)),
            Answer::Skipped => say(Because::Checklist, format!("{} was skipped: {}", it.title, it.note)),
            Answer::Ticked => {
                if let Some(against) = &it.against {
                    say(Because::Checklist, format!("{} was ticked against “{against}”: {}", it.title, it.note));
                }
            }
        }
    }
    if let Some(end) = end {
        of_state(end, review, &mut say);
    }
    all
}

fn of_run(run: &RunReview, say: &mut dyn FnMut(Because, String)) {
    if run.outcome == Some(Outcome::Abandoned) {
        say(Because::Run, format!("{} was abandoned: what it left half done has to be settled", run.id));
    }
    if run.outcome.is_none() {
        say(Because::Run, format!("{} is still open", run.id));
    }
    for step in run.steps.iter().filter(|_| run.mode.acts()) {
        of_step(step, say);
    }
}

fn of_step(step: &StepReview, say: &mut dyn FnMut(Because, String)) {
    let id = &step.id;
    match step.phase {
        StepPhase::ByHand => say(Because::Step, format!("{id} was done by hand ({}): let the plan do it", step.detail)),
        StepPhase::Skipped => say(Because::Step, format!("{id} was left out ({}): is it needed?", step.detail)),
        StepPhase::Reverted => say(Because::Step, format!("{id} was taken back: what it was for is not in place")),
        StepPhase::Failed | StepPhase::Blocked | StepPhase::Asking => {
            say(Because::Step, format!("{id} ended {}: {}", step.phase, step.detail));
        }
        _ => {
            if let Some((_, why)) = step.faults.last() {
                say(Because::Step, format!("{id} went wrong on the way before it was done: {why}"));
            }
        }
    }
    if !step.overridden.is_empty() {
        let guards = step.overridden.join(", ");
        say(Because::Override, format!("{id} went on against {guards}: was the guard wrong, or the plan?"));
    }
}

fn of_state(end: &State, review: &Review, say: &mut dyn FnMut(Because, String)) {
    if end.hold.is_some() {
        say(Because::Run, "HOLD is still set: nothing new starts".into());
    }
    for (probe, known) in end.probes.iter().filter(|(_, known)| known.status != Status::Healthy) {
        let (_, word) = describe::status(known.status);
        say(Because::Probe, tidy(&format!("{probe} is {word}: {}", known.detail)));
    }
    for (backup, known) in end.backups.iter().filter(|(_, known)| known.worth != Worth::Fresh) {
        let (_, word) = describe::worth(known.worth);
        say(Because::Backup, tidy(&format!("{backup} is {word}: {}", known.detail)));
    }
    let ran = |plan: &&crate::domain::ids::PlanId| review.runs.iter().any(|run| run.plan == **plan);
    for (plan, (_, brief)) in end.readiness_by_plan().into_iter().filter(|(plan, _)| ran(plan)) {
        if brief.ready != Ready::Ready {
            let (_, word) = describe::ready(brief.ready);
            say(Because::Readiness, tidy(&format!("{plan} is {word}: {}", brief.reasons.join(", "))));
        }
    }
}
