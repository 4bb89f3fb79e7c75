//! Plans that are made, not read: the way back from the run that moved traffic, and the protection of whichever region serves.
//!
//! What a failover did to one region is done to the other: its plan is mirrored step by step, and between the stop of the writers and
//! the promotion every datastore has to show that its copy at home has everything. That makes the way back a switchover: nothing is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::domain::fact::health::Status;
use crate::domain::fact::moved::Moved;
use crate::domain::fact::recovery::{Lag, Member, RecoveryPoint, Role, Survey};
use crate::domain::fact::run::{Run, StepPhase};
use crate::domain::ids::{PlanId, RegionId, StepId, SystemId};
use crate::domain::rule::state::State;
use crate::domain::rule::target::regions_of;
use crate::domain::spec::checklist::PIN;
use crate::domain::spec::estate::{Estate, SystemSpec};
use crate::domain::spec::kinds::{StepRole, Undo};
use crate::domain::spec::params::Params;
use crate::domain::spec::plan::{CAUGHT_UP, Gate, Plan, StepSpec, Way, name_of, towards};
use crate::domain::time::{At, Span};

/// The plan that brings clients home; it is made when it is asked for.
pub const FAILBACK: &str = "failback";

/// The plan that gives the serving region its copies and backups again; it is turned around when the other region serves.
pub const REPROTECT: &str = "reprotect";

/// Whether only a failover gives the plan something to do: in peace there is nothing to protect again and nobody to keep anywhere, so that it
/// says nothing of readiness.
pub fn is_for_afterwards(plan: &PlanId) -> bool {
    [REPROTECT, PIN].contains(&name_of(plan))
}

/// The parameter of [`CAUGHT_UP`]: the datastore.
pub const STORE: &str = "store";

/// What Mayday itself acts through.
const MAYDAY: &str = "mayday";

/// A copy that is near at the start of a way back has caught up within this, on an idle PostgreSQL too: that writes once in 5 minutes.
const CATCH_UP: Span = Span::secs(15 * 60);

/// The plan called `id` as things stand: of the engine's list, or made for this moment.
///
/// # Errors
/// Why there is none, in words.
pub fn plan(estate: &Estate, state: &State, plans: &[Arc<Plan>], id: &PlanId) -> Result<Arc<Plan>, String> {
    let id = &meant(estate, state, id, plans)?;
    let listed = plans.iter().find(|plan| &plan.id == id);
    match (id.as_str(), listed) {
        (FAILBACK, None) => failback(estate, state).map(Arc::new),
        (_, Some(plan)) if plan.name() == REPROTECT && state.serving(estate) == estate.primary() => {
            let away = plan.target.clone().unwrap_or_else(|| estate.standby());
            sound(Mirror::between(estate, away).plan(plan, |_| true)).map(Arc::new)
        }
        (_, Some(plan)) => Ok(plan.clone()),
        (_, None) => {
            // One that cannot be made now is no choice.
            let made = failback(estate, state).is_ok().then_some(FAILBACK);
            let known: Vec<&str> = plans.iter().map(|plan| plan.id.as_str()).chain(made).collect();
            Err(format!("there is no plan `{id}`: choose one of {}", known.join(", ")))
        }
    }
}

/// The plan that is meant by a bare name, where plans of that name lead to several regions: for what comes after a failover, the one to the
/// region that clients went to.
///
/// # Errors
/// When only a person can say which, in words.
fn meant(estate: &Estate, state: &State, id: &PlanId, plans: &[Arc<Plan>]) -> Result<PlanId, String> {
    let regions = regions_of(plans, id.as_str());
    if regions.is_empty() || plans.iter().any(|plan| plan.id == *id) {
        return Ok(id.clone());
    }
    let serving = state.serving(estate);
    let away =
        if serving == estate.primary() { state.moved.as_ref().map(|moved| moved.from.clone()) } else { Some(serving) };
    match away.filter(|away| is_for_afterwards(id) && regions.contains(&away.as_str())) {
        Some(away) => Ok(towards(id.as_str(), &away)),
        None => Err(format!(
            "`{id}` leads to one of several regions, and which one has to be said: {}",
            regions.iter().map(|region| format!("--to {region}")).collect::<Vec<_>>().join(" or ")
        )),
    }
}

fn failback(estate: &Estate, state: &State) -> Result<Plan, String> {
    let home = estate.primary();
    let Some(moved) = state.moved.as_ref().filter(|moved| moved.to != home && state.serving(estate) != home) else {
        return Err(format!("{home} serves: there is nothing to come back from"));
    };
    if !moved.plan.steps.iter().any(|step| step.role == StepRole::Fences) {
        return Err(format!(
            "{} stops no writers, so a way back made from it could lose writes; write a plan of your own",
            moved.plan.id
        ));
    }
    let mut movers = moved.plan.steps.iter().filter(|step| step.role == StepRole::Traffic).peekable();
    if movers.peek().is_none() {
        return Err(format!(
            "clients were moved by what Mayday does not know as a way to move them, so it cannot move them back: take {} \
             back, or write failback.toml",
            moved.run
        ));
    }
    if let Some(step) = movers.find(|step| step.own_role) {
        return Err(format!(
            "`{}` moves clients by a command, of which nobody can make a mirror image: take {} back, or write \
             failback.toml",
            step.id, moved.run
        ));
    }
    sound(compose(estate, moved))
}

/// A made plan is held to the same rules as one that was read.
fn sound(plan: Plan) -> Result<Plan, String> {
    match plan.mistakes().first() {
        None => Ok(plan),
        Some(mistake) => Err(format!("the plan that was made is not valid: step `{}` {}", mistake.step, mistake.what)),
    }
}

/// Capacity at home, drain, catch up, promote, verify, clients, record.
fn compose(estate: &Estate, moved: &Moved) -> Plan {
    let turned = Mirror::between(estate, moved.to.clone());
    let mut plan = turned.plan(&moved.plan, |step| has_a_way_back(moved, step));
    let ids = |plan: &Plan, role: StepRole| -> Vec<StepId> {
        plan.steps.iter().filter(|step| step.role == role).map(|step| step.id.clone()).collect()
    };
    let (rooms, drains) = (ids(&plan, StepRole::Capacity), ids(&plan, StepRole::Fences));
    let catches: Vec<StepSpec> =
        estate.stores_at(&moved.to).map(|store| catch_up(store, &moved.from, &drains)).collect();
    let caught: Vec<StepId> = catches.iter().map(|step| step.id.clone()).collect();
    for nth in 0..plan.steps.len() {
        let before = plan.ancestors_of_all(&rooms);
        let step = &mut plan.steps[nth];
        match step.role {
            // Room first: the pause without a writer is as short as can be.
            StepRole::Fences if !before.contains(&step.id) => {
                step.needs.extend(rooms.clone());
                step.gate = Gate::Typed;
                step.title = format!("Drain {}: {}", moved.to, step.title);
            }
            StepRole::Promotes => step.needs.extend(drains.iter().chain(&caught).cloned()),
            StepRole::Traffic => step.needs.extend(caught.clone()),
            _ => {}
        }
    }
    plan.steps.extend(catches);
    plan.order();
    let left_out = moved.plan.steps.iter().filter(|step| step.role.mutates() && !has_a_way_back(moved, step));
    let left_out: Vec<&str> = left_out.map(|step| step.id.as_str()).collect();
    let without = match left_out.is_empty() {
        true => String::new(),
        false => format!(" It leaves out what has no mirror image or was not done: {}.", left_out.join(", ")),
    };
    (plan.id, plan.target) = (FAILBACK.into(), None);
    plan.title = format!("Move clients back to {}", moved.from);
    plan.about = format!("Made from what {} did. Nothing is lost: {} is drained first.{without}", moved.run, moved.to);
    plan.seal()
}

/// What is mirrored: stopping, room, promotions that were made, clients, and the looks that go with them.
fn has_a_way_back(moved: &Moved, step: &StepSpec) -> bool {
    let promoted =
        |it: &StepSpec| it.role == StepRole::Promotes && it.system == step.system && moved.done.contains(&it.id);
    match step.role {
        StepRole::Fences | StepRole::Capacity | StepRole::Traffic | StepRole::Synthetic | StepRole::Records => true,
        StepRole::Promotes => moved.done.contains(&step.id),
        // A store that was not moved is led from where it will: only what was promoted has to be seen to write.
        StepRole::Checks => step.system.as_str() == MAYDAY || moved.plan.steps.iter().any(promoted),
        StepRole::Measures | StepRole::Changes | StepRole::Guided => false,
    }
}

fn catch_up(store: &SystemSpec, home: &RegionId, drains: &[StepId]) -> StepSpec {
    let params = BTreeMap::from([(STORE.to_owned(), Value::from(store.id.as_str()))]);
    StepSpec {
        id: StepId::new(format!("caught-up-{}", store.id)),
        title: format!("See that {} has all of {}", home, store.title),
        kind: CAUGHT_UP.into(),
        system: MAYDAY.into(),
        needs: drains.to_vec(),
        gate: Gate::Auto,
        yes: true,
        timeout: CATCH_UP,
        phrase: MAYDAY.into(),
        recovers: Vec::new(),
        class: store.class,
        region: Some(home.clone()),
        role: StepRole::Measures,
        undo: Undo::Nothing,
        params: Params(params),
        ways: Vec::new(),
        own_role: false,
        optional: false,
    }
}

/// The primary and one standby, each in the place of the other.
struct Mirror<'a> {
    estate: &'a Estate,
    primary: RegionId,
    standby: RegionId,
}

impl<'a> Mirror<'a> {
    fn between(estate: &'a Estate, standby: RegionId) -> Self {
        Self { estate, primary: estate.primary(), standby }
    }

    fn region(&self, region: &RegionId) -> RegionId {
        match region {
            it if *it == self.primary => self.standby.clone(),
            it if *it == self.standby => self.primary.clone(),
            it => it.clone(),
        }
    }

    /// The system of the same kind in the other region; one that spans both is its own.
    fn system(&self, id: &SystemId) -> SystemId {
        let Some((spec, region)) = self.estate.system(id).and_then(|spec| Some((spec, spec.region.as_ref()?))) else {
            return id.clone();
        };
        let there = self.region(region);
        let twin = self.estate.systems.iter().find(|it| it.kind == spec.kind && it.region.as_ref() == Some(&there));
        twin.map_or_else(|| id.clone(), |twin| twin.id.clone())
    }

    fn text(&self, text: &str) -> String {
        let swapped = swap(text, self.primary.as_str(), self.standby.as_str());
        swap(&swapped, "primary", "standby")
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::from(self.region(&RegionId::from(text.as_str())).as_str()),
            other => other.clone(),
        }
    }

    fn step(&self, step: &StepSpec, ids: &BTreeMap<StepId, StepId>, needs: BTreeSet<StepId>) -> StepSpec {
        let system = self.system(&step.system);
        let phrase = if step.phrase == step.system.as_str() { system.to_string() } else { self.text(&step.phrase) };
        let params = |of: &Params| Params(of.0.iter().map(|(name, value)| (name.clone(), self.value(value))).collect());
        let way = |way: &Way| Way { system: self.system(&way.system), params: params(&way.params), ..way.clone() };
        StepSpec {
            id: ids[&step.id].clone(),
            title: self.text(&step.title),
            system,
            phrase,
            needs: needs.iter().map(|need| ids[need].clone()).collect(),
            region: step.region.as_ref().map(|region| self.region(region)),
            params: params(&step.params),
            ways: step.ways.iter().map(way).collect(),
            ..step.clone()
        }
    }

    /// The steps that are kept, turned around. What waited for one that is not kept waits for what that one waited for.
    fn plan(&self, plan: &Plan, keep: impl Fn(&StepSpec) -> bool) -> Plan {
        let kept: BTreeSet<&StepId> = plan.steps.iter().filter(|step| keep(step)).map(|step| &step.id).collect();
        let ids = plan.steps.iter().map(|step| (step.id.clone(), StepId::new(self.text(step.id.as_str())))).collect();
        let mut steps = Vec::new();
        for step in plan.steps.iter().filter(|step| kept.contains(&step.id)) {
            let (mut needs, mut open) = (BTreeSet::new(), step.needs.clone());
            while let Some(need) = open.pop() {
                match kept.contains(&need) {
                    true => drop(needs.insert(need)),
                    false => open.extend(plan.step(&need).into_iter().flat_map(|it| it.needs.iter().cloned())),
                }
            }
            steps.push(self.step(step, &ids, needs));
        }
        Plan { title: self.text(&plan.title), about: self.text(&plan.about), steps, ..plan.clone() }.seal()
    }
}

/// `a` in the place of `b` and `b` in the place of `a`.
fn swap(text: &str, a: &str, b: &str) -> String {
    text.split(a).map(|part| part.replace(b, a)).collect::<Vec<_>>().join(b)
}

impl Plan {
    fn ancestors_of_all(&self, ids: &[StepId]) -> BTreeSet<StepId> {
        ids.iter().flat_map(|id| self.ancestors(id)).collect()
    }

    /// Puts every step after those it needs, and leaves the order alone otherwise.
    fn order(&mut self) {
        let mut open = std::mem::take(&mut self.steps);
        while !open.is_empty() {
            let ready = |step: &StepSpec| step.needs.iter().all(|need| !open.iter().any(|it| it.id == *need));
            // Without one that is ready there is a cycle, which `mistakes` says.
            let nth = open.iter().position(ready).unwrap_or(0);
            let mut step = open.remove(nth);
            let mut seen = BTreeSet::new();
            step.needs.retain(|need| seen.insert(need.clone()));
            self.steps.push(step);
        }
    }

    /// The fingerprint of a plan that no file holds: of its steps.
    fn seal(self) -> Self {
        // Steps are plain data: they can always be written as JSON.
        let text = serde_json::to_vec(&self.steps).unwrap_or_default();
        let fingerprint = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { fingerprint, ..self }
    }
}

/// Whether the copy of a datastore in `home` has everything, now that nothing was written since `drained`. The recovery point is then
/// the moment of the drain.
///
/// Two signs will do. The copy itself is at its writer's very position. Or it has replayed something that was written after the
/// drain: replication keeps the order, so it has everything from before.
///
/// # Errors
/// What is missing, in words.
pub fn caught_up(survey: &Survey, home: &RegionId, drained: At) -> Result<(String, RecoveryPoint), String> {
    let here = |member: &&Member| member.region.as_ref() == Some(home) && member.status == Status::Healthy;
    let found = |detail: String| {
        let source = format!("drained writer: {detail}");
        (detail, RecoveryPoint { at: drained, region: Some(home.clone()), source, measured: true })
    };
    let point = survey.standby_point.as_ref().filter(|point| point.region.as_ref() == Some(home));
    if let Some(point) = point.filter(|point| point.at >= drained) {
        return Ok(found(format!("{} is from after the drain", point.source)));
    }
    let level = |member: &&Member| match member.lag {
        Some(Lag::Bytes(0) | Lag::Transactions(0)) => true,
        // A lag in seconds may be an old one, unless it was read from the copy itself.
        Some(Lag::Seconds(lag)) => lag == 0.0 && point.is_some_and(|point| point.measured),
        _ => false,
    };
    let mut copies = survey.members.iter().filter(here).filter(|it| matches!(it.role, Role::Replica | Role::Writer));
    if let Some(copy) = copies.clone().find(|it| it.role == Role::Writer || level(it)) {
        return Ok(found(format!("{} is level with its writer", copy.name)));
    }
    Err(match (copies.next(), point) {
        (None, _) => format!("there is no healthy copy in {home}"),
        (Some(copy), Some(point)) => {
            format!("{} has come to {}: {}", copy.name, point.at.strftime("%H:%M:%SZ"), point.source)
        }
        (Some(copy), None) => format!("how far {} has come is not known: {}", copy.name, copy.detail),
    })
}

/// Whether a healthy copy of a datastore follows in `region`, and one member alone is seen to take writes.
///
/// # Errors
/// What is missing, in words.
pub fn protected_in(survey: &Survey, region: &RegionId) -> Result<String, String> {
    let writers: Vec<&Member> =
        survey.members.iter().filter(|it| it.role == Role::Writer && it.status != Status::Down).collect();
    if writers.len() > 1 {
        return Err(format!(
            "{} each take writes",
            writers.iter().map(|it| it.placed()).collect::<Vec<_>>().join(" and ")
        ));
    }
    if writers.is_empty() {
        return Err("nobody is seen to take writes, so nobody knows whom a copy would follow".into());
    }
    let there = |it: &&Member| it.region.as_ref() == Some(region) && matches!(it.role, Role::Replica | Role::Writer);
    match survey.members.iter().filter(there).find(|it| it.status == Status::Healthy) {
        Some(copy) => Ok(format!("{}: {}", copy.name, copy.detail)),
        None => Err(format!("there is no healthy copy in {region} yet")),
    }
}

/// Whether this run has seen that the copy which `step` promotes has everything its drained writer wrote.
pub fn is_drained_copy(run: &Run, step: &StepSpec) -> bool {
    let of_store = |it: &&StepSpec| it.kind == CAUGHT_UP && it.params.opt_text(STORE) == Some(step.system.as_str());
    let before = run.plan.ancestors(&step.id);
    let mut steps = run.plan.steps.iter().filter(of_store).filter(|it| before.contains(&it.id));
    steps.any(|it| run.phase(&it.id) == StepPhase::Done)
}
