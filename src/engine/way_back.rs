//! Taking a step back. Whoever comes after a crash, or tries it another time, looks first: what is taken back already is left alone.

use tokio::time::{Instant, sleep, timeout};

use super::Handle;
use super::driver::{Log, driver, look, poll_pause, step_still_runs};
use super::pen::lead_lost;
use crate::domain::command::{Job, Report, WayBack};
use crate::domain::plan::StepSpec;
use crate::domain::run::FOUND;
use crate::domain::system::{Begun, Fault, FaultClass, Observed, Receipt, Step, StepLog};

pub(super) async fn revert(engine: &Handle, job: Job) -> Report {
    let log = Log::new(engine, &job);
    let outcome = revert_once(engine, &job, &log).await;
    log.keep().await;
    Report::Reverted { run: job.run, step: job.step.id, outcome }
}

/// Restores the pre-image, unless it is restored, and waits until reality no longer shows the step as done.
async fn revert_once(engine: &Handle, job: &Job, log: &Log) -> Result<Receipt, Fault> {
    let spec = &job.step;
    let step = driver(&engine.shared, spec)?;
    let Some(begun) = &job.begun else {
        return Err(Fault::permanent(
            spec.system.as_str(),
            "was never applied in this run, so there is nothing to restore",
        ));
    };
    if let Some(found) = settled_before(engine, job, &*step, begun, log).await? {
        log.line(&format!("taken back already: {found}"));
        return Ok(Receipt::from([(FOUND.to_owned(), found)]));
    }
    log.line("reverting");
    let late = || {
        Fault::ambiguous(spec.system.as_str(), format!("no answer within {}", spec.timeout))
            .next("look by hand, then retry the revert")
    };
    let reverted = engine.shared.pen.while_it_may(timeout(spec.timeout.0, step.revert(begun, log))).await;
    let receipt = reverted.ok_or_else(lead_lost)?.unwrap_or_else(|_| Err(late()))?;
    let (policy, start) = (&engine.shared.estate.policy, Instant::now());
    while start.elapsed() < spec.timeout.0 {
        match look(spec, step.observe(Some(begun))).await {
            Ok(Observed::Done { .. }) | Err(_) => {}
            // Waiting tells no more: that nobody saw it goes into the journal.
            Ok(Observed::Unknowable { why }) => {
                log.line(&format!("reverted, and nothing tells whether that worked: {why}"));
                return Ok(Receipt::from([("not verified".to_owned(), why)]).into_iter().chain(receipt).collect());
            }
            Ok(_) => {
                log.line("reverted");
                return Ok(receipt);
            }
        }
        sleep(poll_pause(policy, start.elapsed())).await;
    }
    Err(Fault::permanent(
        spec.system.as_str(),
        format!("the change is still in effect {} after it was taken back", spec.timeout),
    )
    .next("look by hand, then retry the revert"))
}

/// Waits until nothing that was begun before still works. What it was taken back by already, or `None`: then it may be taken back now.
async fn settled_before(
    engine: &Handle,
    job: &Job,
    step: &dyn Step,
    begun: &Begun,
    log: &Log,
) -> Result<Option<String>, Fault> {
    let (spec, start) = (&job.step, Instant::now());
    let mut last = String::new();
    loop {
        let runs = step_still_runs(step, job);
        if job.way_back == WayBack::First && !runs {
            return Ok(None);
        }
        let waits_for = match look(spec, step.taken_back(begun)).await {
            Ok(Observed::Done { detail }) if job.way_back != WayBack::First => return Ok(Some(detail)),
            Ok(Observed::Done { .. } | Observed::NotDone { .. }) => return Ok(None),
            Ok(Observed::Unknowable { why }) => return may_begin(spec, job.way_back, &why).map(|()| None),
            Ok(Observed::Impossible { why }) => {
                return Err(Fault::permanent(spec.system.as_str(), why).next("fix it, then revert the step again"));
            }
            Ok(Observed::InProgress { detail }) => detail,
            Err(fault) if fault.class == FaultClass::Permanent => return Err(fault),
            Err(fault) => fault.to_string(),
        };
        if start.elapsed() >= spec.timeout.0 {
            let what = format!("{waits_for}, for more than {}", spec.timeout);
            return Err(Fault::permanent(spec.system.as_str(), what)
                .means("the revert was not begun: nothing is begun beside what may still work")
                .next("wait for it or end it by hand, then revert the step again"));
        }
        if waits_for != last {
            log.line(&format!("waiting: {waits_for}"));
            last = waits_for;
        }
        sleep(poll_pause(&engine.shared.estate.policy, start.elapsed())).await;
    }
}

/// Where nothing tells whether it was taken back, only a person may have it begun: one who asked for it knowing that.
fn may_begin(spec: &StepSpec, way_back: WayBack, why: &str) -> Result<(), Fault> {
    if way_back != WayBack::Resumed {
        return Ok(());
    }
    let what = format!("the engine died while it was taken back, and whether that happened cannot be told: {why}");
    Err(Fault::permanent(spec.system.as_str(), what)
        .means("it was not begun again")
        .next("look by hand; revert the step again if it was not taken back, skip it if it was"))
}
