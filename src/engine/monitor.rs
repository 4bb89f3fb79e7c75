//! Schedules probes and surveys. Only changes of status are journalled; everything else is true now or nothing.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Handle;
use super::clock::Beats;
use crate::domain::command::Report;
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::{Reading, Status, Track};
use crate::domain::live::{LiveChange, SurveyLive};
use crate::domain::recovery::Survey;

/// The longest that a survey may take.
const SURVEY: Duration = Duration::from_secs(10);

pub(super) fn start(engine: &Handle) {
    let estate = engine.estate().clone();
    let permits = Arc::new(Semaphore::new(estate.policy.probe_concurrency.max(1) as usize));
    for probe in &estate.probes {
        engine.spawn(watch(engine.clone(), probe.clone(), permits.clone()));
    }
    for store in estate.datastores() {
        engine.spawn(survey(engine.clone(), store.clone()));
    }
}

/// A fixed share of the period, different for each name: probes of one period do not all go off at once.
fn offset(name: &str, every: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    every.mul_f64((hasher.finish() % 1000) as f64 / 1000.0)
}

pub(super) fn schedule(engine: &Handle, name: &str, every: Duration) -> Beats {
    // The first look comes soon, whatever the period: a cockpit that opens must not wait for it.
    let first = offset(name, every.min(Duration::from_secs(1)));
    Beats::new(engine, first, every.max(Duration::from_millis(10)))
}

async fn watch(engine: Handle, probe: ProbeSpec, permits: Arc<Semaphore>) {
    let known = engine.shared.state().probes.get(&probe.id).cloned();
    let ill = known.as_ref().filter(|known| known.status != Status::Healthy);
    let mut track = ill.map_or_else(Track::default, |it| Track::resume(it.began(), it.last_healthy));
    // What the journal holds, and whether this life has said anything yet.
    let (mut journalled, mut first) = (known.map_or(Status::Unknown, |known| known.status), true);
    let mut beats = schedule(&engine, probe.id.as_str(), probe.every.0);
    loop {
        beats.tick().await;
        let Ok(permit) = permits.acquire().await else { return };
        let reading = read(&engine, &probe).await;
        drop(permit);
        let at = engine.shared.now();
        let healthy_before = track.last_healthy;
        track.lapse(at, probe.stays_fresh());
        track.take(&reading, at, probe.hysteresis());
        let (to, detail, since) = (track.status, reading.detail.clone(), track.since);
        // True before it is decided on: a rule that hears of the change finds the reading that made it.
        engine.shared.live(LiveChange::Probe { probe: probe.id.clone(), at, status: to, reading, since });
        if first || to != journalled {
            let (last_healthy, trouble) = (healthy_before, track.trouble.filter(|_| to != Status::Healthy));
            engine.report(Report::Probe { probe: probe.id.clone(), to, detail, last_healthy, trouble }).await;
            (journalled, first) = (to, false);
        }
    }
}

async fn read(engine: &Handle, probe: &ProbeSpec) -> Reading {
    let Some(system) = engine.shared.systems.get(&probe.system) else {
        return Reading::unknown(format!("{} is not a system of this estate", probe.system));
    };
    let late = || Reading::down(format!("no answer within {}", probe.timeout));
    timeout(probe.timeout.0, system.probe(probe)).await.unwrap_or_else(|_| late())
}

async fn survey(engine: Handle, store: SystemSpec) {
    let mut beats = schedule(&engine, store.id.as_str(), engine.estate().policy.survey_every.0);
    let mut taken = SurveyLive { at: None, survey: Survey::default(), fault: None };
    loop {
        beats.tick().await;
        let Some(system) = engine.shared.systems.get(&store.id) else { return };
        match timeout(SURVEY, system.survey()).await {
            Ok(Ok(survey)) => {
                let survey = engine.shared.time.own_survey(survey);
                taken = SurveyLive { at: Some(engine.shared.now()), survey, fault: None };
            }
            Ok(Err(fault)) => taken.fault = Some(fault.to_string()),
            Err(_) => taken.fault = Some(format!("no answer within {} s", SURVEY.as_secs())),
        }
        engine.shared.live(LiveChange::Survey { system: store.id.clone(), taken: taken.clone() });
    }
}
