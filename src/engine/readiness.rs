//! Holds the plans against reality, on a schedule and at every gate. Nothing is changed by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::clock::Beats;
use super::driver::driver_of;
use super::{Handle, builtin, runner};
use crate::domain::command::{Refusal, RefusalReason, Report};
use crate::domain::comms::Channel;
use crate::domain::estate::Estate;
use crate::domain::health::Status;
use crate::domain::hidden::{self, Left, Without};
use crate::domain::ids::{ChannelId, PlanId, RegionId, SystemId};
use crate::domain::kinds::StepRole;
use crate::domain::live::LiveChange;
use crate::domain::plan::{Plan, StepSpec};
use crate::domain::readiness::{Assessment, Evidence, Fact, Finds, assess};
use crate::domain::system::{Fault, Fitness};
use crate::domain::text::clean;
use crate::domain::view::{Snapshot, StepPreview};
use crate::domain::wayback::is_for_afterwards;

/// How long the first assessment waits for the first looks at stores and backups.
const SETTLE: Duration = Duration::from_secs(20);

/// The longest that a question about the fitness of a step, or about facts, may take.
const ASK: Duration = Duration::from_secs(15);

/// The longest that a way to reach people may take to say that it could.
const REACH: Duration = Duration::from_secs(5);

pub(super) fn start(engine: &Handle, gates: mpsc::Receiver<PlanId>) {
    engine.spawn(run(engine.clone(), gates));
}

async fn run(engine: Handle, mut gates: mpsc::Receiver<PlanId>) {
    first_looks(&engine).await;
    let every = engine.estate().policy.readiness_every.0.max(Duration::from_secs(1));
    let mut beats = Beats::new(&engine, Duration::ZERO, every);
    let mut waits = Waits::default();
    loop {
        let plan = tokio::select! {
            () = beats.tick() => None,
            () = waits.over(&engine) => None,
            plan = gates.recv() => match plan {
                Some(plan) => Some(plan),
                None => return,
            },
        };
        // As of before it is looked at: what arrives meanwhile is a reason to look once more.
        let inputs = inputs(&engine.snapshot());
        let found = engine.assess(plan.as_ref()).await;
        if plan.is_none() {
            waits.found(&found, inputs, every);
        }
    }
}

/// A finding that was unknown, or stood against a plan, is looked at again when what it waited for is there, and not a quarter of an hour later: an engine that
/// has just started would say for so long what was true in its first seconds.
#[derive(Default)]
struct Waits {
    open: bool,
    /// What was known when it was looked at.
    inputs: BTreeSet<String>,
    /// By the latest, whatever has become known: longer each time.
    pause: Duration,
    since: Option<Instant>,
}

impl Waits {
    const FIRST: Duration = Duration::from_secs(5);
    const LOOK: Duration = Duration::from_secs(1);

    fn found(&mut self, found: &[Assessment], inputs: BTreeSet<String>, every: Duration) {
        self.open = found.iter().flat_map(|it| &it.findings).any(|it| it.finds >= Finds::Unknown);
        let grown = !inputs.is_subset(&self.inputs);
        self.pause = if grown { Self::FIRST } else { (self.pause * 2).clamp(Self::FIRST, every.max(Self::FIRST)) };
        (self.inputs, self.since) = (inputs, Some(Instant::now()));
    }

    /// Whether to look again, `after` the last look.
    fn is_over(&self, after: Duration, inputs: &BTreeSet<String>) -> bool {
        let grown = !inputs.is_subset(&self.inputs);
        self.open && after >= if grown { Self::FIRST.min(self.pause) } else { self.pause }
    }

    /// Waits for that. In an incident the rates of the APIs belong to those who mitigate it.
    async fn over(&self, engine: &Handle) {
        loop {
            sleep(Self::LOOK).await;
            let view = engine.snapshot();
            let after = self.since.map(|since| since.elapsed()).unwrap_or_default();
            if view.state.incident.is_none() && self.is_over(after, &inputs(&view)) {
                return;
            }
        }
    }
}

/// What plans are held against and is known now.
fn inputs(view: &Snapshot) -> BTreeSet<String> {
    let surveys = view.live.surveys.iter().filter(|(_, it)| it.fault.is_none());
    let points = surveys.clone().filter(|(_, it)| it.survey.standby_point.is_some());
    let backups = view.live.backups.iter().filter(|(_, it)| it.fault.is_none());
    let probes = view.live.probes.iter().filter(|(_, it)| it.status != Status::Unknown);
    let all = surveys.map(|(id, _)| format!("store {id}"));
    let all = all.chain(points.map(|(id, _)| format!("copy of {id}")));
    let all = all.chain(backups.map(|(id, _)| format!("backup {id}")));
    all.chain(probes.map(|(id, _)| format!("probe {id}"))).collect()
}

/// Waits until everything was looked at once: an engine that has just started knows nothing, and that is no finding.
async fn first_looks(engine: &Handle) {
    let start = Instant::now();
    while start.elapsed() < SETTLE {
        let (view, estate) = (engine.snapshot(), engine.estate());
        let stores = estate.datastores().all(|store| view.live.surveys.contains_key(&store.id));
        let backups = estate.backups.iter().all(|spec| view.live.backups.contains_key(&spec.id));
        if stores && backups {
            return;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

impl Handle {
    /// Holds one plan, or all, against reality; publishes and journals what was found.
    pub async fn assess(&self, only: Option<&PlanId>) -> Vec<Assessment> {
        // Asked for by name, any plan is looked at.
        let counts = |plan: &&std::sync::Arc<Plan>| match only {
            Some(only) => plan.is_called(only),
            None => !is_for_afterwards(&plan.id),
        };
        let plans = self.plans().iter().filter(counts);
        let mut assessments = Vec::new();
        let mut facts = BTreeMap::new();
        let reach = self.reach().await;
        let here = Through { systems: &self.shared.systems, gone: None };
        // One after the other: the rates of the APIs belong to everybody, most of all in an incident.
        for plan in plans {
            assessments.push(one(self, here, plan, &mut facts, &reach).await);
        }
        if assessments.is_empty() {
            return assessments;
        }
        let briefs = assessments.iter().map(Assessment::brief).collect();
        self.report(Report::Readiness { plans: briefs }).await;
        self.shared.live(LiveChange::Readiness { assessments: assessments.clone() });
        assessments
    }
}

impl Handle {
    /// Holds one plan, or all, against reality with and without a region, and says what breaks. Nothing of it is journalled: it is no
    /// finding of now.
    ///
    /// # Errors
    /// When the estate has no such region, or nobody here can take one away.
    pub async fn without(&self, region: &RegionId, only: Option<&PlanId>) -> Result<Without, Refusal> {
        let estate = self.estate();
        let known: Vec<&str> = estate.regions.iter().map(|it| it.id.as_str()).collect();
        if !known.contains(&region.as_str()) {
            let why = format!("there is no region `{}`", clean(region.as_str()));
            return Err(Refusal::new(RefusalReason::NotFound, why, format!("choose one of {}", known.join(", "))));
        }
        let nobody = || Refusal::new(RefusalReason::Conflict, "this engine cannot take a region away", "");
        let Left { mut systems, clusters, own: needs } = self.shared.apart.as_ref().ok_or_else(nobody)?.without(region);
        let own = builtin::IDS.map(SystemId::from).into_iter();
        systems.extend(own.filter_map(|id| Some((id.clone(), self.shared.systems.get(&id)?.clone()))));
        let reach = self.reach().await;
        let (mut facts, mut assessments, mut found) = (BTreeMap::new(), Vec::new(), needs);
        let counts = |plan: &&Arc<Plan>| match only {
            Some(only) => plan.is_called(only),
            None => plan.leaves(region),
        };
        let here = Through { systems: &self.shared.systems, gone: None };
        let there = Through { systems: &systems, gone: Some(region) };
        for plan in self.plans().iter().filter(counts) {
            let before = one(self, here, plan, &mut facts, &reach).await;
            let mut after = one(self, there, plan, &mut facts, &reach).await;
            hidden::still_leans(&before, &mut after);
            hidden::not_played(&mut after, plan, &clusters);
            found.extend(hidden::broken(&before, &after, region));
            assessments.push(after);
        }
        found.sort_by_key(|it| std::cmp::Reverse(it.finds));
        Ok(Without { region: region.clone(), assessments, hidden: found })
    }
}

/// What each way to reach people said.
type Reach = Vec<(ChannelId, Result<String, Fault>)>;

impl Handle {
    /// Asks every way to reach people whether it could, without telling anybody anything.
    async fn reach(&self) -> Reach {
        let ask = async |(id, channel): (&ChannelId, &Arc<dyn Channel>)| {
            let late = || Fault::transient(id.as_str(), format!("no answer within {} s", REACH.as_secs()));
            (id.clone(), timeout(REACH, channel.reach()).await.unwrap_or_else(|_| Err(late())))
        };
        join_all(self.shared.channels.iter().map(ask)).await
    }
}

type Facts = BTreeMap<SystemId, Result<Vec<Fact>, Fault>>;

/// The systems that a plan is looked at through, and the region that they are cut off from.
#[derive(Clone, Copy)]
struct Through<'e> {
    systems: &'e builtin::Systems,
    gone: Option<&'e RegionId>,
}

async fn one(engine: &Handle, through: Through<'_>, plan: &Plan, facts: &mut Facts, reach: &Reach) -> Assessment {
    let shared = &engine.shared;
    let previews = join_all(plan.steps.iter().map(|spec| runner::preview(shared, through.systems, spec))).await;
    let fitness = join_all(plan.steps.iter().map(|spec| fitness(engine, through, spec))).await;
    let estate = engine.estate();
    let mut parity = Vec::new();
    for kind in kinds_of(estate, plan) {
        let mut told = Ok(Vec::new());
        for spec in
            estate.systems.iter().filter(|it| it.kind == kind && estate.has_part_in(&it.id, plan.target.as_ref()))
        {
            if !facts.contains_key(&spec.id) {
                facts.insert(spec.id.clone(), facts_of(engine, &spec.id).await);
            }
            match (&mut told, &facts[&spec.id]) {
                (Ok(all), Ok(more)) => all.extend(more.iter().cloned()),
                (Ok(_), Err(fault)) => told = Err(fault.clone()),
                (Err(_), _) => {}
            }
        }
        parity.push(told);
    }
    let steps: Vec<(&StepPreview, &Result<Fitness, Fault>)> = previews.iter().zip(&fitness).collect();
    let view = engine.snapshot();
    let evidence = Evidence {
        steps,
        parity,
        reach: reach.clone(),
        threatened: through.gone.cloned().unwrap_or_else(|| view.state.serving(&view.estate)),
    };
    assess(&view, plan, &evidence)
}

async fn fitness(engine: &Handle, through: Through<'_>, spec: &StepSpec) -> Result<Fitness, Fault> {
    let there = engine.estate().system(&spec.system).and_then(|it| it.region.clone());
    // Of a region that is gone nobody asks whether its writers could be stopped.
    if spec.role == StepRole::Fences && through.gone.is_some() && there.as_ref() == through.gone {
        return Ok(Fitness::default());
    }
    let step = driver_of(&engine.shared, through.systems, spec)?;
    let late = || Fault::transient(spec.system.as_str(), format!("no answer within {} s", ASK.as_secs()));
    timeout(ASK, step.fitness()).await.unwrap_or_else(|_| Err(late()))
}

/// The kinds of system that a plan changes.
fn kinds_of(estate: &Estate, plan: &Plan) -> BTreeSet<String> {
    let touched = plan.steps.iter().filter(|step| step.role.mutates());
    touched.filter_map(|step| Some(estate.system(&step.system)?.kind.clone())).collect()
}

/// What a system says that ought to be the same on both sides.
async fn facts_of(engine: &Handle, id: &SystemId) -> Result<Vec<Fact>, Fault> {
    let Some(system) = engine.shared.systems.get(id) else { return Ok(Vec::new()) };
    let late = || Fault::transient(id.as_str(), format!("no answer within {} s", ASK.as_secs()));
    timeout(ASK, system.facts()).await.unwrap_or_else(|_| Err(late()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::readiness::Finding;

    fn found(finds: Finds) -> Vec<Assessment> {
        let finding = Finding { step: None, name: "loss".into(), finds, detail: String::new() };
        let at = "2026-11-23T14:00:00Z".parse().unwrap();
        vec![Assessment { plan: "p".into(), at, findings: vec![finding] }]
    }

    fn known(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn what_was_unknown_is_looked_at_again_when_what_it_waited_for_is_there() {
        let (every, second) = (Duration::from_secs(900), Duration::from_secs(1));
        let mut waits = Waits::default();
        waits.found(&found(Finds::Unknown), known(&["store database"]), every);
        assert!(!waits.is_over(second, &known(&["store database"])));
        assert!(waits.is_over(5 * second, &known(&["store database"])), "soon, whatever else it waits for");
        waits.found(&found(Finds::Unknown), known(&["store database"]), every);
        waits.found(&found(Finds::Unknown), known(&["store database"]), every);
        assert!(!waits.is_over(10 * second, &known(&["store database"])), "and more rarely each time");
        let more = known(&["store database", "copy of database"]);
        assert!(waits.is_over(10 * second, &more), "but at once when more is known");
        waits.found(&found(Finds::Fail), more.clone(), every);
        assert!(waits.is_over(5 * second, &more), "what stood against it may be mended");
        waits.found(&found(Finds::Pass), more.clone(), every);
        assert!(!waits.is_over(every, &known(&["store database", "copy of database", "backup b"])));
    }
}
