//! Keeps the evidence of open gates fresh while somebody is attached: whoever confirms one then has nothing to wait for.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::sleep;

use super::{Handle, runner};
use crate::domain::command::{Job, Report};
use crate::domain::decide::ripe;

/// How often gates are looked through, as a part of how long evidence is good.
const PART: u32 = 12;
/// No more often than this.
const LEAST: Duration = Duration::from_millis(500);

pub(super) fn start(engine: &Handle) {
    engine.spawn(watch(engine.clone()));
}

async fn watch(engine: Handle) {
    let pause = (engine.estate().policy.evidence_expires.0 / PART).max(LEAST);
    loop {
        sleep(pause).await;
        if !engine.shared.is_attended() {
            continue;
        }
        let jobs = ripe(engine.estate(), &engine.shared.state(), engine.shared.now());
        join_all(jobs.into_iter().map(|job| look(&engine, job))).await;
    }
}

async fn look(engine: &Handle, job: Job) {
    let outcome = runner::look_at(&engine.shared, &job).await.map(Box::new);
    engine.report(Report::LookedAgain { run: job.run, step: job.step.id, outcome }).await;
}
