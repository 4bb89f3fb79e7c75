//! Effects: what is done to the outside world once the intent is durable. Each ends in a report, and whatever is not certain is
//! reported as uncertain.

use tokio::time::{Instant, sleep, timeout};

use super::driver::{Log, driver, driver_of, look, poll_pause, step_still_runs};
use super::pen::lead_lost;
use super::shared::Shared;
use super::{Handle, builtin, clock, courier, way_back};
use crate::domain::command::{Effect, Job, Preparation, Report};
use crate::domain::plan::StepSpec;
use crate::domain::run::{FOUND, StepPhase};
use crate::domain::system::{Begun, Checked, Fault, FaultClass, Observed, Preview, Receipt, StepLog, Verified};
use crate::domain::view::{StepByHand, StepPreview};

/// Begins an effect; its report comes by itself.
pub(super) fn perform(engine: &Handle, effect: Effect) {
    let handle = engine.clone();
    engine.spawn(async move {
        let report = match effect {
            Effect::Prepare(job) => prepare(&handle, job).await,
            Effect::Apply(job) => apply(&handle, job).await,
            Effect::Observe(job) => Some(observe(&handle, job).await),
            Effect::Verify(job) => verify(&handle, job).await,
            Effect::Revert(job) => Some(way_back::revert(&handle, job).await),
            Effect::RetryAt(job, at) => {
                clock::until(&handle.shared.time, at).await;
                Some(Report::RetryDue { run: job.run, step: job.step.id })
            }
            Effect::Drill(name) => handle.shared.pen.while_it_may(super::drills::play(&handle, name)).await,
            Effect::Deliver(errand) => Some(courier::deliver(&handle, errand).await),
            Effect::Find(errand) => Some(courier::find(&handle, errand).await),
        };
        if let Some(report) = report {
            handle.report(report).await;
        }
    });
}

async fn prepare(engine: &Handle, job: Job) -> Option<Report> {
    let outcome = look_at(&engine.shared, &job).await.map(Box::new);
    Some(Report::Prepared { run: job.run, step: job.step.id, outcome })
}

pub(super) async fn look_at(shared: &Shared, job: &Job) -> Result<Preparation, Fault> {
    let (spec, step) = (&job.step, driver(shared, &job.step)?);
    let observed = look(spec, step.observe(job.begun.as_ref())).await?;
    if matches!(observed, Observed::NotDone { .. } | Observed::Unknowable { .. } | Observed::Impossible { .. }) {
        let (preview, checked) = tokio::try_join!(look(spec, step.preview()), look(spec, step.check()))?;
        return Ok(Preparation { observed, preview, checked });
    }
    Ok(Preparation { observed, preview: Preview::default(), checked: Checked::default() })
}

/// What a whole plan would do, step by step, without a run.
pub(super) async fn preview(shared: &Shared, systems: &builtin::Systems, spec: &StepSpec) -> StepPreview {
    let (observed, preview, checked) = match driver_of(shared, systems, spec) {
        Ok(step) => tokio::join!(look(spec, step.observe(None)), look(spec, step.preview()), look(spec, step.check())),
        Err(fault) => (Err(fault.clone()), Err(fault.clone()), Err(fault)),
    };
    StepPreview {
        step: spec.id.clone(),
        title: spec.title.clone(),
        kind: spec.kind.clone(),
        observed,
        preview,
        checked,
    }
}

pub(super) fn by_hand(shared: &Shared, spec: &StepSpec) -> StepByHand {
    let lines = match driver(shared, spec) {
        Ok(step) => step.by_hand(),
        Err(fault) => vec![format!("# {fault}")],
    };
    StepByHand { step: spec.id.clone(), title: spec.title.clone(), lines }
}

async fn apply(engine: &Handle, job: Job) -> Option<Report> {
    let log = Log::new(engine, &job);
    let outcome = apply_once(engine, &job, &log).await;
    log.keep().await;
    Some(Report::Applied { run: job.run, step: job.step.id, attempt: job.attempt, outcome })
}

/// Looks once more, then makes the change at most once.
async fn apply_once(engine: &Handle, job: &Job, log: &Log) -> Result<Receipt, Fault> {
    let spec = &job.step;
    let step = driver(&engine.shared, spec)?;
    let ran = step_still_runs(&*step, job);
    match look(spec, step.observe(job.begun.as_ref())).await.map_err(nothing_happened)? {
        Observed::InProgress { detail } if ran => {
            // It may come to its end yet: that is waited for, and nothing is begun beside it.
            return Err(Fault::ambiguous(spec.system.as_str(), detail).next("nothing: it is being watched"));
        }
        Observed::Done { detail } | Observed::InProgress { detail } => {
            log.line(&format!("nothing to change: {detail}"));
            return Ok(Receipt::from([(FOUND.to_owned(), detail)]));
        }
        Observed::Impossible { why } => {
            return Err(Fault::permanent(spec.system.as_str(), why).next("fix it, then retry the step"));
        }
        Observed::NotDone { .. } | Observed::Unknowable { .. } => {}
    }
    let pre_image = job.begun.as_ref().map(|begun| begun.pre_image.clone()).unwrap_or_default();
    // Last thing before the change: it was decided before the HOLD came.
    if let Some(hold) = engine.shared.held_by() {
        let what = format!("HOLD (set by {}) came before the change was made", hold.by);
        return Err(Fault::transient("mayday", what).means("nothing was changed").next("mayday hold off"));
    }
    log.line(&format!("applying (attempt {})", job.attempt));
    let late = || {
        Fault::ambiguous(spec.system.as_str(), format!("no answer within {}", spec.timeout))
            .means("the change may or may not have been made")
            .next("nothing: it is being observed")
    };
    let applying = timeout(spec.timeout.0, step.apply(&pre_image, log));
    let applied = engine.shared.pen.while_it_may(applying).await;
    let outcome = applied.map_or_else(|| Err(lead_lost()), |in_time| in_time.unwrap_or_else(|_| Err(late())));
    match &outcome {
        Ok(_) => log.line("applied"),
        Err(fault) => log.line(&fault.to_string()),
    }
    outcome
}

/// A look that failed before a change cannot have changed anything.
fn nothing_happened(fault: Fault) -> Fault {
    if fault.class == FaultClass::Ambiguous { Fault { class: FaultClass::Transient, ..fault } } else { fault }
}

/// Observes until reality gives an answer. "Not done" counts only when it is seen twice: what was just asked for may take a moment
/// to show.
async fn observe(engine: &Handle, job: Job) -> Report {
    let (spec, log) = (&job.step, Log::new(engine, &job));
    let policy = &engine.shared.estate.policy;
    let (begun_at, mut not_done, mut watched) = (Instant::now(), 0, false);
    let observed = loop {
        let (outcome, runs) = match driver(&engine.shared, spec) {
            Ok(step) => {
                let runs = step_still_runs(&*step, &job);
                (look(spec, step.observe(job.begun.as_ref())).await, runs)
            }
            Err(fault) => (Err(fault), false),
        };
        match outcome {
            Ok(Observed::InProgress { detail }) if runs && begun_at.elapsed() < spec.timeout.0 => {
                if !std::mem::replace(&mut watched, true) {
                    log.line(&format!("watching until it ends: {detail}"));
                }
            }
            Ok(Observed::InProgress { detail }) if runs => {
                let why =
                    format!("{detail} after {}; it was not ended: wait and retry, or end it by hand", spec.timeout);
                break Observed::Unknowable { why };
            }
            Ok(Observed::NotDone { detail }) if not_done > 0 => break Observed::NotDone { detail },
            Ok(Observed::NotDone { .. }) => not_done += 1,
            Ok(seen) => break seen,
            Err(fault) if begun_at.elapsed() >= spec.timeout.0 => {
                break Observed::Unknowable { why: fault.to_string() };
            }
            Err(fault) => log.line(&format!("cannot observe yet: {fault}")),
        }
        sleep(poll_pause(policy, begun_at.elapsed())).await;
    };
    log.line(&format!("observed: {}", observed.words()));
    Report::Observed { run: job.run, step: job.step.id, outcome: Ok(observed) }
}

async fn verify(engine: &Handle, job: Job) -> Option<Report> {
    let (spec, log) = (&job.step, Log::new(engine, &job));
    let policy = &engine.shared.estate.policy;
    let nothing =
        || Begun { at: engine.shared.now(), pre_image: Default::default(), receipt: Receipt::new(), process: None };
    let begun = job.begun.clone().unwrap_or_else(nothing);
    let (start, mut last) = (Instant::now(), String::new());
    let outcome = loop {
        let step = match driver(&engine.shared, spec) {
            Ok(step) => step,
            Err(fault) => break Err(fault),
        };
        let pending = match look(spec, step.verify(&begun, &log)).await {
            Ok(Verified::Pending { detail }) => detail,
            Ok(settled) => break Ok(settled),
            Err(fault) if fault.class == FaultClass::Permanent => break Err(fault),
            Err(fault) => fault.to_string(),
        };
        if pending != last {
            log.line(&pending);
            last.clone_from(&pending);
        }
        if start.elapsed() >= spec.timeout.0 {
            break Ok(Verified::Pending { detail: pending });
        }
        sleep(poll_pause(policy, start.elapsed())).await;
        // An operator may have settled the step by a word.
        if !still_verifying(engine, &job) {
            return None;
        }
    };
    Some(Report::Verified { run: job.run, step: job.step.id, outcome })
}

fn still_verifying(engine: &Handle, job: &Job) -> bool {
    let state = engine.shared.state();
    state.run.as_ref().is_some_and(|run| run.id == job.run && run.phase(&job.step.id) == StepPhase::Verifying)
}
