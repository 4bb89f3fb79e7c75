//! Outcomes of effects. A report that does not fit the phase of its step is late news (of a step that was retried, or of an engine's
//! former life) and changes nothing.

use std::time::Duration;

use super::prepared::{looked_again, prepared};
use super::{Draft, checklist, comms};
use crate::domain::clock;
use crate::domain::fact::command::{Effect, Job, Report, WayBack};
use crate::domain::fact::event::Event;
use crate::domain::fact::health::Status;
use crate::domain::fact::run::{Run, StepPhase, StepRun};
use crate::domain::fact::system::{Observed, Receipt, Verified};
use crate::domain::fault::{Fault, FaultClass};
use crate::domain::ids::{RunId, StepId};
use crate::domain::spec::plan::StepSpec;
use crate::domain::time::after;

pub(super) fn report(draft: &mut Draft<'_>, report: &Report) {
    match report {
        Report::Started { version, anchor, drift } => {
            let (version, anchor, drift) = (version.clone(), anchor.clone(), *drift);
            let by = draft.state().clock.drift.0 - drift.0;
            draft.event(Event::EngineStarted { version, anchor, drift });
            // Where the two agree it is no news: the engine took the wall clock.
            if by.abs() >= clock::STEP && !drift.is_none() {
                draft.event(Event::ClockStepped { by, drift });
            }
            started(draft);
        }
        Report::Leads { engine, term } => draft.event(Event::LeadTaken { engine: engine.clone(), term: *term }),
        Report::ClockStepped { by, drift } => draft.event(Event::ClockStepped { by: *by, drift: *drift }),
        Report::Probe { probe, to, detail, last_healthy, trouble } => {
            // The first look of a life may only confirm what the last one left: steps wait for it all the same.
            let known = draft.state().probes.get(probe).map_or(Status::Unknown, |known| known.status);
            if known != *to {
                let (probe, to, detail) = (probe.clone(), *to, detail.clone());
                let (last_healthy, trouble) = (*last_healthy, *trouble);
                draft.event(Event::ProbeChanged { probe, to, detail, last_healthy, trouble });
            }
        }
        Report::Backup { backup, to, detail } => {
            draft.event(Event::BackupChanged { backup: backup.clone(), to: *to, detail: detail.clone() });
        }
        Report::Readiness { plans } => draft.event(Event::ReadinessAssessed { plans: plans.clone() }),
        Report::ItemSeen { item, evidence, detail } => checklist::seen(draft, item, *evidence, detail),
        Report::BaselineTaken { baseline } => checklist::baseline(draft, baseline),
        Report::Delivered { message, channel, part, attempt, outcome } => {
            comms::delivered(draft, (message, channel, *part), *attempt, outcome);
        }
        Report::Looked { message, channel, part, outcome } => comms::found(draft, (message, channel, *part), outcome),
        // What is due is started by `advance`.
        Report::CommsDue {} => {}
        Report::TriggerMet {} => super::ask::declare_met(draft),
        Report::DrillsDue {} => super::drills::begin_due(draft),
        Report::DrillOver { name, outcome } => super::drills::over(draft, name, outcome),
        of_step => reported_of_step(draft, of_step),
    }
}

/// **Rule 26.** An outcome that does not fit where its step stands is late news, and changes nothing.
fn reported_of_step(draft: &mut Draft<'_>, report: &Report) {
    match report {
        Report::Prepared { run, step, outcome } if is(draft, run, step, StepPhase::Preparing) => match outcome {
            Ok(preparation) => prepared(draft, run, step, preparation),
            Err(fault) => failed(draft, run, step, fault),
        },
        // A look that failed has learnt nothing: what is known grows old, and whoever answers it is told.
        Report::LookedAgain { run, step, outcome: Ok(found) } => looked_again(draft, run, step, found),
        Report::RunsAs { run, step, attempt, process }
            if (is(draft, run, step, StepPhase::Applying) || is(draft, run, step, StepPhase::Reverting))
                && attempts(draft, step) == *attempt =>
        {
            let (run, step, process) = (run.clone(), step.clone(), process.clone());
            draft.event(Event::StepRunsAs { run, step, process });
        }
        Report::GoesBy { run, step, attempt, receipt }
            if is(draft, run, step, StepPhase::Applying) && attempts(draft, step) == *attempt =>
        {
            let (run, step, receipt) = (run.clone(), step.clone(), receipt.clone());
            draft.event(Event::StepGoesBy { run, step, receipt });
        }
        Report::Printed { run, step, attempt, lines, file }
            if draft.state().run.as_ref().is_some_and(|current| current.id == *run) =>
        {
            let (run, step, lines, file) = (run.clone(), step.clone(), lines.clone(), file.clone());
            draft.event(Event::StepPrinted { run, step, attempt: *attempt, lines, file });
        }
        Report::Applied { run, step, attempt, outcome }
            if is(draft, run, step, StepPhase::Applying) && attempts(draft, step) == *attempt =>
        {
            applied(draft, run, step, outcome);
        }
        Report::Observed { run, step, outcome } if is(draft, run, step, StepPhase::Observing) => match outcome {
            Ok(observed) => observed_again(draft, run, step, observed),
            Err(fault) => failed(draft, run, step, fault),
        },
        Report::Verified { run, step, outcome } if is(draft, run, step, StepPhase::Verifying) => {
            verified(draft, run, step, outcome);
        }
        Report::Reverted { run, step, outcome } if is(draft, run, step, StepPhase::Reverting) => {
            let (run, step) = (run.clone(), step.clone());
            match outcome {
                Ok(receipt) => draft.event(Event::StepReverted { run, step, receipt: receipt.clone() }),
                Err(fault) => not_reverted(draft, run, step, fault),
            }
        }
        Report::RetryDue { run, step } if is(draft, run, step, StepPhase::Retrying) => {
            // A timer may fire a moment early; what is due by now is started by `advance`.
            let due = draft.state().run.as_ref().and_then(|run| run.step(step)).and_then(|step| step.retry_at);
            if let (Some(due), Some(job)) = (due.filter(|due| *due > draft.cx.now), draft.job(step)) {
                draft.effect(Effect::RetryAt(job, due));
            }
        }
        _ => {}
    }
    go_on_without(draft);
}

/// What the plan can do without is left out when it fails: that is told, and nothing waits for it.
///
/// **Rule 27.** What a plan can do without holds nothing up.
fn go_on_without(draft: &mut Draft<'_>) {
    let Some(run) = draft.state().run.as_ref().filter(|run| run.is_open() && run.reverting.is_none()) else { return };
    let stuck = |(spec, step): &(&StepSpec, &StepRun)| {
        let phase = matches!(step.phase, StepPhase::Failed | StepPhase::Asking | StepPhase::Blocked);
        // One that could not be taken back is no failure to go on without.
        spec.optional && phase && step.reverts == 0
    };
    let words = |step: &StepRun| {
        let blocks: Vec<&str> = step.card.iter().flat_map(|card| card.blocks()).map(|guard| &*guard.detail).collect();
        let why = match (step.phase, &step.fault) {
            (StepPhase::Blocked, _) if !blocks.is_empty() => blocks.join("; "),
            // Why it was uncertain says more than that nobody can tell.
            (StepPhase::Asking, Some(fault)) => format!("{}; {}", fault.what, step.detail),
            _ => step.detail.clone(),
        };
        format!("it is optional, and it did not work: {why}")
    };
    let left: Vec<(StepId, String)> =
        run.in_order().filter(stuck).map(|(spec, step)| (spec.id.clone(), words(step))).collect();
    let run = run.id.clone();
    for (step, reason) in left {
        draft.event(Event::StepSkipped { run: run.clone(), step, reason });
    }
}

/// One that cannot be taken back stops the way back of the whole run.
///
/// **Rule 28.** A step that cannot be taken back stops the way back of the whole run.
fn not_reverted(draft: &mut Draft<'_>, run: RunId, step: StepId, fault: &Fault) {
    draft.event(Event::StepFailed { run: run.clone(), step: step.clone(), fault: fault.clone() });
    if draft.state().run.as_ref().is_some_and(Run::goes_back) {
        draft.event(Event::RunRevertStopped { run, step, why: fault.what.clone() });
    }
}

fn is(draft: &Draft<'_>, run: &RunId, step: &StepId, phase: StepPhase) -> bool {
    draft.state().run.as_ref().is_some_and(|current| &current.id == run && current.phase(step) == phase)
}

fn attempts(draft: &Draft<'_>, step: &StepId) -> u32 {
    draft.state().run.as_ref().and_then(|run| run.step(step)).map_or(0, |step| step.attempts)
}

/// After a replay: whatever was under way is looked at again; nothing is assumed to have happened or not.
///
/// **Rule 29.** After a crash whatever was under way is observed before anything else.
fn started(draft: &mut Draft<'_>) {
    comms::started(draft);
    let Some(run) = draft.state().run.clone() else { return };
    for (spec, step) in run.in_order() {
        let id = &spec.id;
        match step.phase {
            StepPhase::Applying => {
                let fault = Fault::ambiguous("mayday", "the engine died while this was being applied")
                    .means("it may have happened")
                    .next("nothing: it is being observed");
                draft.event(Event::StepUncertain { run: run.id.clone(), step: id.clone(), fault });
                draft.effect_for(id, Effect::Observe);
            }
            StepPhase::Observing => draft.effect_for(id, Effect::Observe),
            StepPhase::Verifying => draft.effect_for(id, Effect::Verify),
            StepPhase::Reverting => draft.effect_for(id, resume_revert),
            StepPhase::Retrying => {
                if let (Some(job), Some(at)) = (draft.job(id), step.retry_at) {
                    draft.effect(Effect::RetryAt(job, at));
                }
            }
            _ => {}
        }
    }
}

fn resume_revert(job: Job) -> Effect {
    Effect::Revert(Job { way_back: WayBack::Resumed, ..job })
}

fn applied(draft: &mut Draft<'_>, run: &RunId, step: &StepId, outcome: &Result<Receipt, Fault>) {
    match outcome {
        Ok(receipt) => {
            draft.event(Event::StepApplied { run: run.clone(), step: step.clone(), receipt: receipt.clone() });
            draft.effect_for(step, Effect::Verify);
        }
        Err(fault) => failed(draft, run, step, fault),
    }
}

fn observed_again(draft: &mut Draft<'_>, run: &RunId, step: &StepId, observed: &Observed) {
    let (run, id) = (run.clone(), step.clone());
    match observed {
        Observed::NotDone { detail } if attempts(draft, step) >= draft.cx.estate.policy.attempts => {
            let what = format!("tried {} times, and still: {detail}", attempts(draft, step));
            let fault = Fault::permanent("mayday", what).next("look by hand, then retry, mark it done or skip it");
            draft.event(Event::StepFailed { run, step: id, fault });
        }
        Observed::NotDone { detail } => draft.event(Event::StepNotDone { run, step: id, detail: detail.clone() }),
        Observed::InProgress { detail } | Observed::Done { detail } => {
            draft.event(Event::StepFound { run, step: id, detail: detail.clone() });
            draft.effect_for(step, Effect::Verify);
        }
        Observed::Impossible { why } => {
            let fault = Fault::permanent("mayday", why.clone()).next("fix it, then retry the step");
            draft.event(Event::StepFailed { run, step: id, fault });
        }
        Observed::Unknowable { why } => draft.event(Event::StepUnknowable { run, step: id, why: why.clone() }),
    }
}

fn verified(draft: &mut Draft<'_>, run: &RunId, step: &StepId, outcome: &Result<Verified, Fault>) {
    let (run, id) = (run.clone(), step.clone());
    let fault = match outcome {
        Ok(Verified::Holds { detail, recovery_point }) => {
            let (detail, point) = (detail.clone(), recovery_point.clone());
            return draft.event(Event::StepVerified { run, step: id, detail, point });
        }
        Ok(Verified::HoldsForNow { detail }) => {
            let region = draft.job(step).and_then(|job| job.step.region);
            draft.event(Event::StepVerified { run, step: id, detail: detail.clone(), point: None });
            return checklist::unpinned(draft, region.as_ref());
        }
        Ok(Verified::Pending { detail }) => {
            let limit = draft.job(step).map(|job| job.step.timeout.to_string()).unwrap_or_default();
            Fault::permanent("mayday", format!("no effect to be seen after {limit}: {detail}"))
                .means("the change may still come; nothing that depends on it has started")
                .next("look by hand, then retry, mark it done or skip it")
        }
        Ok(Verified::Broken { why }) => Fault::permanent("mayday", why.clone()).next("fix it, then retry the step"),
        Err(fault) => fault.clone(),
    };
    draft.event(Event::StepFailed { run, step: id, fault });
}

/// Meets a failure by its class.
///
/// **Rule 30.** What failed for a moment is tried again so often; what may have happened is observed, and never tried blindly; the
/// rest is a person's.
fn failed(draft: &mut Draft<'_>, run: &RunId, step: &StepId, fault: &Fault) {
    let (run, id, fault) = (run.clone(), step.clone(), fault.clone());
    let policy = &draft.cx.estate.policy;
    let retries = draft.state().run.as_ref().and_then(|run| run.step(step)).map_or(0, |step| step.retries);
    match fault.class {
        FaultClass::Transient if retries + 1 < policy.attempts => {
            let pause = policy.retry_floor.0.saturating_mul(1 << retries.min(16)).min(policy.retry_ceiling.0);
            retry(draft, run, id, fault, pause);
        }
        FaultClass::Ambiguous => {
            draft.event(Event::StepUncertain { run, step: id, fault });
            draft.effect_for(step, Effect::Observe);
        }
        FaultClass::Transient | FaultClass::Permanent => draft.event(Event::StepFailed { run, step: id, fault }),
    }
}

fn retry(draft: &mut Draft<'_>, run: RunId, step: StepId, fault: Fault, pause: Duration) {
    let at = after(draft.cx.now, pause);
    draft.event(Event::StepRetrying { run, step: step.clone(), fault, at });
    if let Some(job) = draft.job(&step) {
        draft.effect(Effect::RetryAt(job, at));
    }
}
