//! Remembers how things are while they are well: how fast probes answer, and what the stores hold. It is kept in memory, journalled
//! now and then, so that a new engine knows it too, and fixed with the incident when one is declared.

use std::time::Duration;

use tokio::time::timeout;

use super::Handle;
use super::clock::Beats;
use crate::domain::checklist::{Baseline, Tallied};
use crate::domain::command::Report;
use crate::domain::health::Status;
use crate::domain::live::ProbeLive;
use crate::domain::rollup::RollUp;
use crate::domain::sight::median;
use crate::domain::time::{At, before, seconds_between};
use crate::domain::view::Snapshot;

/// How often it is taken.
const LEAST: Duration = Duration::from_secs(1);

/// How often it is journalled: an engine that dies knows better times that are no older than this.
const JOURNAL: Duration = Duration::from_secs(60 * 60);

/// So many answers make a median that one slow look does not move.
const ANSWERS: usize = 5;

pub(super) fn start(engine: &Handle) {
    engine.spawn(watch(engine.clone()));
}

async fn watch(engine: Handle) {
    let every = engine.estate().policy.survey_every.0.max(LEAST);
    let mut beats = Beats::new(&engine, every, every);
    let mut journalled: Option<At> = None;
    loop {
        beats.tick().await;
        let view = engine.snapshot();
        if view.state.incident.is_some() || !is_well(&view) {
            continue;
        }
        let taken = take(&engine, &view).await;
        let whole = is_whole(&view, &taken);
        engine.shared.keep(taken.clone());
        if whole && journalled.is_none_or(|at| seconds_between(at, view.now) >= JOURNAL.as_secs_f64()) {
            engine.report(Report::BaselineTaken { baseline: taken }).await;
            journalled = Some(view.now);
        }
    }
}

/// Whether nothing is wrong with a service where clients are sent: what is taken then is what better times were.
fn is_well(view: &Snapshot) -> bool {
    let serving = view.state.serving(&view.estate);
    let seen = view.estate.services.iter().map(|service| view.service(service, &serving, view.now));
    let mut seen = seen.filter(RollUp::is_probed).peekable();
    seen.peek().is_some() && seen.all(|it| it.status() == Status::Healthy)
}

async fn take(engine: &Handle, view: &Snapshot) -> Baseline {
    let mut baseline = Baseline::default();
    for (probe, live) in &view.live.probes {
        if let Some(latency) = latency(live) {
            baseline.latencies.insert(probe.clone(), latency);
        }
    }
    // Until a moment that replicas have reached: what is still on its way is not lost.
    let until = before(view.now, view.estate.policy.settle.0);
    for check in engine.estate().checklist.iter().flat_map(|it| &it.checks) {
        let Some(system) = engine.shared.systems.get(&check.system).filter(|it| it.tallies(&check.kind)) else {
            continue;
        };
        let told = engine.shared.time.to_wall(until);
        if let Ok(Ok(tally)) = timeout(check.timeout.0, system.tally(check, told)).await {
            baseline.tallies.insert(check.id.clone(), Tallied { until, tally });
        }
    }
    baseline.or(&engine.shared.baseline())
}

/// The median of the latest answers of a probe that is well.
fn latency(live: &ProbeLive) -> Option<u32> {
    let answered: Vec<u32> = live.history.iter().flatten().copied().collect();
    (live.status == Status::Healthy && answered.len() >= ANSWERS).then(|| median(answered)).flatten()
}

/// Whether it knows all that can be known: every probe that tells how fast its target is, and every check that counts.
fn is_whole(view: &Snapshot, baseline: &Baseline) -> bool {
    let mut timed = view.live.probes.iter().filter(|(_, live)| live.reading.latency_ms.is_some());
    timed.all(|(probe, _)| baseline.latencies.contains_key(probe)) && !baseline.is_empty()
}
