//! The code behind a step, and what a look at it may take.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::border::Carried;
use super::output::Output;
use super::shared::Shared;
use super::ways::{Way, Ways};
use super::{Handle, builtin, no_system};
use crate::domain::command::{Job, Report};
use crate::domain::ids::{RunId, StepId};
use crate::domain::journal::JournalFault;
use crate::domain::live::{LiveChange, LogLine};
use crate::domain::plan::{self, StepSpec};
use crate::domain::process::Process;
use crate::domain::system::{Fault, Receipt, Step, StepLog};
use crate::domain::text::clean;

/// The longest that one look at reality may take.
const LOOK: Duration = Duration::from_secs(30);

/// Lines of a step go to whoever watches; they are not journalled.
pub(super) struct Log {
    engine: Handle,
    run: RunId,
    step: StepId,
    attempt: u32,
    /// How long the journal is waited for: what is to be done has to fit into the step's time, too.
    patience: Duration,
    printed: Mutex<Output>,
}

impl Log {
    pub fn new(engine: &Handle, job: &Job) -> Self {
        let (run, step, attempt) = (job.run.clone(), job.step.id.clone(), job.attempt);
        let patience = job.step.timeout.0 / 2;
        Self { engine: engine.clone(), run, step, attempt, patience, printed: Mutex::default() }
    }

    /// Keeps what a command printed: beside the reviews, and its end in the journal.
    pub async fn keep(&self) {
        let output = std::mem::take(&mut *self.printed.lock().unwrap_or_else(PoisonError::into_inner));
        if output.is_empty() {
            return;
        }
        let (run, step, attempt) = (self.run.clone(), self.step.clone(), self.attempt);
        let lines = output.tail();
        let file = output.write(&self.engine.shared.archive.folder, &run, &step, attempt).await;
        self.engine.report(Report::Printed { run, step, attempt, lines, file }).await;
    }
}

#[async_trait]
impl StepLog for Log {
    fn line(&self, text: &str) {
        let line = LogLine { at: self.engine.shared.now(), text: clean(text) };
        self.engine.shared.live(LiveChange::Log { step: self.step.clone(), line });
    }

    fn printed(&self, text: &str) {
        self.line(text);
        self.printed.lock().unwrap_or_else(PoisonError::into_inner).take(&clean(text));
    }

    async fn runs_as(&self, process: &Process) -> Result<(), Fault> {
        let (run, step, process) = (self.run.clone(), self.step.clone(), process.clone());
        let report = Report::RunsAs { run, step, attempt: self.attempt, process };
        self.witnessed(report, "in which process the step would run").await
    }

    async fn goes_by(&self, receipt: &Receipt) -> Result<(), Fault> {
        let (run, step, receipt) = (self.run.clone(), self.step.clone(), receipt.clone());
        let report = Report::GoesBy { run, step, attempt: self.attempt, receipt };
        self.witnessed(report, "by which way the step would go").await
    }
}

impl Log {
    /// Has the journal hold something before it begins.
    async fn witnessed(&self, report: Report, which: &str) -> Result<(), Fault> {
        let fault = |what: String, next: String| {
            let what = format!("it cannot be journalled {which}: {what}");
            Fault::transient("mayday", what).means("it was not begun, and nothing happened").next(next)
        };
        match timeout(self.patience, self.engine.witness(report)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(JournalFault { what, next })) => Err(fault(what, next)),
            Err(_) => {
                let what = format!("no answer within {} s", self.patience.as_secs());
                Err(fault(what, "see whether the disk of the journal works, then retry the step".into()))
            }
        }
    }
}

pub(super) fn driver(shared: &Shared, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
    driver_of(shared, &shared.systems, spec)
}

/// The code behind a step, of these systems.
pub(super) fn driver_of(shared: &Shared, systems: &builtin::Systems, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
    if !spec.ways.is_empty() {
        let way = |way: &plan::Way| Way { name: way.name, step: driver_of(shared, systems, &spec.by(way)) };
        return Ok(Arc::new(Ways { system: spec.system.to_string(), ways: spec.ways.iter().map(way).collect() }));
    }
    let system = systems.get(&spec.system).ok_or_else(|| no_system(&spec.system))?;
    let step = system.step(spec)?;
    // Mayday's own steps live by the engine's time as it is.
    let own = builtin::IDS.contains(&spec.system.as_str());
    Ok(if own { step } else { Arc::new(Carried { step, time: shared.time.clone() }) })
}

/// A look that takes too long has learnt nothing.
pub(super) async fn look<T>(spec: &StepSpec, what: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let late = || Fault::transient(spec.system.as_str(), format!("no answer within {} s", LOOK.as_secs()));
    timeout(LOOK, what).await.unwrap_or_else(|_| Err(late()))
}

/// Whether something that an earlier attempt began still works: nothing is begun beside it.
pub(super) fn step_still_runs(step: &dyn Step, job: &Job) -> bool {
    job.begun.as_ref().is_some_and(|begun| step.still_runs(begun))
}

/// Polls at 1 % of the time waited so far, within the policy's bounds: what takes long is asked for rarely, and yet no wait is
/// lengthened by more than about 1 %.
pub(super) fn poll_pause(policy: &crate::domain::estate::Policy, waited: Duration) -> Duration {
    (waited / 100).clamp(policy.poll_floor.0, policy.poll_ceiling.0)
}
