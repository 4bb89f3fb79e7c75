//! Looks at the items of the checklist while an incident is being mitigated, and once more whenever somebody is about to answer for
//! one. Only changes of evidence are journalled; the words and their age are live.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::driver::driver;
use super::ways::Silent;
use super::{Handle, no_system};
use crate::domain::checklist::{Evidence, Finding, Item, ItemLook, Sight};
use crate::domain::command::Report;
use crate::domain::estate::ProbeSpec;
use crate::domain::health::Status;
use crate::domain::ids::ItemId;
use crate::domain::incident::{Incident, Phase};
use crate::domain::kinds::StepRole;
use crate::domain::live::LiveChange;
use crate::domain::plan::{Plan, StepSpec};
use crate::domain::run::Run;
use crate::domain::sight;
use crate::domain::system::{Begun, Observed, Verified};
use crate::domain::view::Snapshot;

/// The longest that one look at one thing may take: somebody may be waiting for it.
const LOOK: Duration = Duration::from_secs(12);

/// No more often than this: a look makes transactions.
const LEAST: Duration = Duration::from_secs(1);

pub(super) fn start(engine: &Handle) {
    engine.spawn(watch(engine.clone()));
}

async fn watch(engine: Handle) {
    let every = engine.estate().policy.survey_every.0.max(LEAST);
    let mut beats = interval_at(Instant::now() + every, every);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        let state = engine.shared.state();
        let Some(incident) = &state.incident else { continue };
        // Before anything was done about it, everybody knows that it burns.
        if matches!(incident.phase, Phase::Mitigating | Phase::Recovered) {
            let items = incident.checklist.items.iter().map(|it| it.item.id.clone());
            join_all(items.map(|item| engine.look_at_item(item))).await;
        }
    }
}

impl Handle {
    /// Looks at one item of the open incident; what was seen is published, and journalled where it has changed.
    pub(super) async fn look_at_item(&self, item: ItemId) {
        let view = self.snapshot();
        let Some(incident) = &view.state.incident else { return };
        let Some(known) = incident.checklist.item(&item).filter(|it| it.item.is_watched()) else { return };
        let findings = findings(self, &view, incident, &known.item).await;
        let look = ItemLook { at: self.shared.now(), findings };
        let (evidence, detail) = (look.evidence(), look.detail());
        let before = known.seen.as_ref().map(|seen| seen.evidence);
        self.shared.live(LiveChange::Item { item: item.clone(), look });
        if before != Some(evidence) {
            self.report_first(Report::ItemSeen { item, evidence, detail }).await;
        }
    }
}

async fn findings(engine: &Handle, view: &Snapshot, incident: &Incident, item: &Item) -> Vec<Finding> {
    let sights = item.sees.iter().filter(|sight| !matches!(sight, Sight::Tallies));
    let seen = join_all(sights.map(|sight| see(engine, view, incident, *sight)));
    let checks = join_all(item.checks.iter().map(|id| async move {
        match engine.shared.check(id) {
            Some(check) => check_one(engine, incident, check).await,
            None => {
                let detail = format!("the config has no check `{id}` any more");
                (Finding::new(id.as_str(), Evidence::Unknown, detail), false)
            }
        }
    }));
    let (seen, checked) = futures::join!(seen, checks);
    let mut all: Vec<Finding> = seen.into_iter().chain(checked.iter().map(|(finding, _)| finding.clone())).collect();
    if item.sees.contains(&Sight::Tallies) && !checked.iter().any(|(_, counts)| *counts) {
        let detail = "nothing is configured that counts what the stores hold (see `mayday kinds`: http.integrity)";
        all.push(Finding::new(Sight::Tallies.word(), Evidence::Unknown, detail));
    }
    all
}

async fn see(engine: &Handle, view: &Snapshot, incident: &Incident, sight: Sight) -> Finding {
    match sight::look(sight, view, engine.shared.now()) {
        Some(finding) => finding,
        None if sight == Sight::Pinned => pinned(engine, view, incident).await,
        None => client_path(engine, view, incident).await,
    }
}

/// The steps of the plan that use the application as a client does: those of the incident's run, or of any plan for the region that
/// serves, each once.
fn synthetic<'v>(view: &'v Snapshot, incident: &Incident) -> Vec<&'v StepSpec> {
    let serving = view.state.serving(&view.estate);
    let run = view.state.run.as_ref().filter(|run| run.mode.acts() && run.incident.as_ref() == Some(&incident.id));
    let plans: Vec<&Plan> = match run {
        Some(run) => vec![&run.plan],
        None => view.plans.iter().map(|plan| &**plan).collect(),
    };
    let mut steps: Vec<&StepSpec> = Vec::new();
    for step in plans.into_iter().flat_map(|plan| &plan.steps) {
        let here = step.region.as_ref().is_none_or(|region| *region == serving);
        let known = steps.iter().any(|it| it.kind == step.kind && it.params == step.params);
        if step.role == StepRole::Synthetic && here && !known {
            steps.push(step);
        }
    }
    steps
}

/// Why nothing uses the application as a client does now: there may be such steps, for the region that does not serve yet.
fn no_path(view: &Snapshot, incident: &Incident) -> String {
    let serving = view.state.serving(&view.estate);
    let own = |run: &&Run| run.mode.acts() && run.incident.as_ref() == Some(&incident.id);
    let run = view.state.run.as_ref().filter(own).map(|run| &*run.plan);
    let plans = view.plans.iter().map(|plan| &**plan);
    let elsewhere = run.into_iter().chain(plans).find_map(|plan| {
        let step = plan.steps.iter().find(|step| step.role == StepRole::Synthetic)?;
        step.region.clone().filter(|region| *region != serving).map(|region| (plan.id.clone(), region))
    });
    match elsewhere {
        Some((plan, region)) => {
            format!("{serving} still serves: {plan} uses the application as a client does once {region} serves")
        }
        None => "no plan has a step that uses the application as a client does".into(),
    }
}

async fn client_path(engine: &Handle, view: &Snapshot, incident: &Incident) -> Finding {
    let of = Sight::ClientPath.word();
    let steps = synthetic(view, incident);
    if steps.is_empty() {
        return Finding::new(of, Evidence::Unknown, no_path(view, incident));
    }
    let looks = join_all(steps.iter().map(|spec| verify(engine, spec))).await;
    let worst = looks.iter().map(|(evidence, _)| *evidence).max().unwrap_or(Evidence::Unknown);
    if worst == Evidence::Pass {
        return Finding::new(of, worst, format!("{} transactions along the client's path succeed", steps.len()));
    }
    let words: Vec<String> = looks.into_iter().filter(|(it, _)| *it == worst).map(|(_, words)| words).collect();
    Finding::new(of, worst, words.join(", "))
}

/// The steps that send clients to the region that serves: of the incident's run, or of the one that moved them.
fn senders<'v>(view: &'v Snapshot, incident: &Incident) -> Vec<&'v StepSpec> {
    let serving = view.state.serving(&view.estate);
    let run = view.state.run.as_ref().filter(|run| run.incident.as_ref() == Some(&incident.id)).map(|run| &*run.plan);
    let moved = view.state.moved.as_ref().map(|moved| &*moved.plan);
    let of = |plan: &'v Plan| -> Vec<&'v StepSpec> {
        let sends = |step: &&StepSpec| step.role == StepRole::Traffic && step.region.as_ref() == Some(&serving);
        plan.steps.iter().filter(sends).collect()
    };
    run.into_iter().chain(moved).map(of).find(|steps| !steps.is_empty()).unwrap_or_default()
}

async fn pinned(engine: &Handle, view: &Snapshot, incident: &Incident) -> Finding {
    let looks = join_all(senders(view, incident).into_iter().map(|spec| async move {
        let step = match driver(&engine.shared, spec) {
            Ok(step) => step,
            Err(fault) => return (Evidence::Unknown, fault.to_string()),
        };
        match timeout(LOOK, step.stays()).await {
            Ok(Ok(Observed::Done { detail })) => (Evidence::Pass, detail),
            Ok(Ok(Observed::NotDone { detail } | Observed::Impossible { why: detail })) => {
                (Evidence::Fail, format!("nothing keeps clients where they are: {detail}"))
            }
            Ok(Ok(other)) => (Evidence::Unknown, other.words().to_owned()),
            Ok(Err(fault)) => (Evidence::Unknown, format!("not known to be pinned: {}", fault.what)),
            Err(_) => (Evidence::Unknown, format!("{}: no answer within {} s", spec.id, LOOK.as_secs())),
        }
    }))
    .await;
    let worst = looks.into_iter().max_by_key(|(evidence, _)| *evidence);
    let (evidence, words) = worst.unwrap_or((Evidence::Unknown, "no step of a plan sends clients there".into()));
    Finding::new(Sight::Pinned.word(), evidence, words)
}

/// What a client would be told is a fail; what could not be asked is unknown.
async fn verify(engine: &Handle, spec: &StepSpec) -> (Evidence, String) {
    let step = match driver(&engine.shared, spec) {
        Ok(step) => step,
        Err(fault) => return (Evidence::Unknown, fault.to_string()),
    };
    let begun =
        Begun { at: engine.shared.now(), pre_image: Default::default(), receipt: Default::default(), process: None };
    match timeout(LOOK, step.verify(&begun, &Silent)).await {
        Ok(Ok(Verified::Holds { detail, .. } | Verified::HoldsForNow { detail })) => (Evidence::Pass, detail),
        Ok(Ok(Verified::Pending { detail } | Verified::Broken { why: detail })) => {
            (Evidence::Fail, format!("{}: {detail}", spec.id))
        }
        Ok(Err(fault)) => (Evidence::Unknown, fault.to_string()),
        Err(_) => (Evidence::Unknown, format!("{}: no answer within {} s", spec.id, LOOK.as_secs())),
    }
}

/// A check of the config: what counts is held against the baseline, anything else is a probe. Says also whether it counts.
async fn check_one(engine: &Handle, incident: &Incident, check: &ProbeSpec) -> (Finding, bool) {
    let id = check.id.as_str();
    let Some(system) = engine.shared.systems.get(&check.system) else {
        return (Finding::new(id, Evidence::Unknown, no_system(&check.system).to_string()), false);
    };
    let late = || Finding::new(id, Evidence::Unknown, format!("no answer within {}", check.timeout));
    if !system.tallies(&check.kind) {
        let reading = match timeout(check.timeout.0, system.probe(check)).await {
            Ok(reading) => reading,
            Err(_) => return (late(), false),
        };
        let evidence = match reading.status {
            Status::Healthy => Evidence::Pass,
            Status::Unknown => Evidence::Unknown,
            Status::Degraded | Status::Down => Evidence::Fail,
        };
        return (Finding::new(id, evidence, reading.detail), false);
    }
    let Some(then) = incident.checklist.baseline.tallies.get(&check.id) else {
        let detail = "what the stores held before the incident was not counted, so nothing can be compared";
        return (Finding::new(id, Evidence::Unknown, detail), true);
    };
    let until = engine.shared.time.to_wall(then.until);
    let finding = match timeout(check.timeout.0, system.tally(check, until)).await {
        Ok(Ok(now)) => sight::compare(id, then, &now),
        Ok(Err(fault)) => Finding::new(id, Evidence::Unknown, fault.to_string()),
        Err(_) => late(),
    };
    (finding, true)
}
