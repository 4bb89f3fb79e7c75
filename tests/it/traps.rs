//! The files of `tests/scenarios`, each played by the real engine on a lab of its own: faults, what operators ask for, and what the
//! journal, the outside world and the verdicts have to say afterwards. There is one for every trap that a failover can fall into, and
//! some for what Mayday must not say while it cannot know.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use futures::FutureExt;
use mayday::api::client::Client;
use mayday::api::protocol::ErrorCode;
use mayday::cli::status;
use mayday::domain::backup::Worth;
use mayday::domain::checklist::{Evidence, ItemState};
use mayday::domain::command::Ask;
use mayday::domain::estate::{DataClass, Tier};
use mayday::domain::event::Record;
use mayday::domain::health::Status;
use mayday::domain::hidden::HiddenDependency;
use mayday::domain::incident::Onset;
use mayday::domain::kinds::Undo;
use mayday::domain::readiness::Ready;
use mayday::domain::recovery::{Loss, Role};
use mayday::domain::run::{Outcome, StepPhase};
use mayday::domain::view::Snapshot;
use mayday::lab::faults::Condition;
use mayday::lab::{Lab, Pace, estate};
use serde::Deserialize;
use serde_json::Value;

use crate::common::{eventually, is_steady, one_crowd};
use crate::process::{Engine, Home, unhurried};

/// So much of the journal is shown of what went wrong.
const LATEST: usize = 25;
const SPEED: f64 = 200.0;
/// So many traps are known.
const TRAPS: usize = 15;

/// A file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    title: String,
    about: String,
    /// Laid over the config of the lab.
    #[serde(default)]
    config: toml::Table,
    /// Plans of its own, by id.
    #[serde(default)]
    plans: BTreeMap<String, String>,
    /// One after the other.
    #[serde(rename = "do")]
    acts: Vec<Act>,
    expect: Expect,
}

/// Something that is waited for, and then done; what is not there is not.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Act {
    when: Option<When>,
    /// On the lab's clock.
    after: Option<String>,
    /// Until every probe has looked so many times again.
    looks: Option<usize>,
    #[serde(rename = "break")]
    place: Option<String>,
    condition: Option<String>,
    /// A place, or `*` for everything.
    heal: Option<String>,
    /// The engine dies as with power loss, and another one is started.
    #[serde(default)]
    kill: bool,
    /// The wall clock of the engine's host is so many seconds off from now on.
    clock: Option<f64>,
    /// A command; the run under way, and the phrase that a gate asks for, are filled in.
    ask: Option<toml::Table>,
    /// It is refused, with these words.
    refused: Option<String>,
}

/// What is waited for: all that is said has to hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct When {
    step: Option<String>,
    phase: Option<StepPhase>,
    /// The guard that blocks the step.
    guard: Option<String>,
    /// The step has come to an end, by itself or by a human.
    settled: Option<bool>,
    run: Option<Outcome>,
    /// A rule of the plan counts.
    trigger: Option<bool>,
    /// A record, as in `expect.journal`.
    journal: Option<String>,
    /// So many members of a store take writes.
    writers: Option<BTreeMap<String, usize>>,
    backup: Option<String>,
    worth: Option<Worth>,
    /// An item of the checklist, and what Mayday sees of it.
    item: Option<String>,
    evidence: Option<Evidence>,
}

/// What has to be so at the end. Records are written as their type, and their step if they are about one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    /// These records are there, in this order, with any others between them.
    #[serde(default)]
    journal: Vec<String>,
    #[serde(default)]
    never: Vec<String>,
    /// How often a record is there.
    #[serde(default)]
    counts: BTreeMap<String, usize>,
    /// Changes that the outside world took: an action, or an action and its place.
    #[serde(default)]
    changes: BTreeMap<String, usize>,
    serving: Option<String>,
    /// No rule of the plan counts.
    calm: Option<bool>,
    #[serde(default)]
    phases: BTreeMap<String, StepPhase>,
    #[serde(default)]
    undo: BTreeMap<String, Undo>,
    #[serde(default)]
    writers: BTreeMap<String, usize>,
    #[serde(default)]
    backups: BTreeMap<String, Worth>,
    /// By plan: a finding of its readiness that is not a pass.
    #[serde(default)]
    finds: BTreeMap<String, String>,
    /// By plan: what its readiness comes to.
    #[serde(default)]
    ready: BTreeMap<String, Ready>,
    /// Without this region ...
    without: Option<String>,
    /// ... a plan comes to this,
    #[serde(default)]
    ready_without: BTreeMap<String, Ready>,
    /// ... and what has a hidden dependency on it is this, with words of what that is.
    #[serde(default)]
    hidden: BTreeMap<String, String>,
    /// By step: words of its commands for a shell.
    #[serde(default)]
    by_hand: BTreeMap<String, String>,
    /// Messages that the lab's communication servers took, by service; `customers` is mail to anybody but the team.
    #[serde(default)]
    told: BTreeMap<String, usize>,
    /// `met`, `missed` or `unknown`.
    #[serde(default)]
    rto: BTreeMap<Tier, String>,
    /// `known` (measured, or estimated where a client's write may have hidden it) or `unknown`.
    #[serde(default)]
    rpo: BTreeMap<DataClass, String>,
    /// What is known of the moment that the disruption began.
    onset: Option<Onset>,
    /// By step of the run: words of the latest said of it.
    #[serde(default)]
    says: BTreeMap<String, String>,
    /// By step of the run: words of a guard on its card.
    #[serde(default)]
    card: BTreeMap<String, String>,
    /// Items of the checklist that nobody has answered for, among others.
    #[serde(default)]
    open: Vec<String>,
}

/// A lab, and the engine that watches it.
struct Stage {
    lab: Lab,
    home: Home,
    client: Client,
    engine: Engine,
}

impl Stage {
    async fn set(scenario: &Scenario) -> Self {
        let lab = Lab::start(Pace(SPEED)).await.unwrap();
        let text = estate::config_for(&lab.endpoints, lab.world.pace).unwrap();
        let mut config: toml::Table = text.parse().unwrap();
        unhurried(&mut config, "2s");
        lay_over(&mut config, &scenario.config);
        if !scenario.plans.is_empty() {
            config.insert("plans_dir".into(), "plans".into());
        }
        let home = Home::new(&config.to_string());
        for (id, text) in &scenario.plans {
            fs::create_dir_all(home.dir().join("plans")).unwrap();
            fs::write(home.dir().join("plans").join(format!("{id}.toml")), text).unwrap();
        }
        let (engine, client) = (home.engine().await, home.client());
        let stage = Self { lab, home, client, engine };
        let mut well = BTreeSet::new();
        // Not all at the same moment: a busy machine is not what is looked for.
        stage
            .sees_with("everything well", |view| {
                let healthy = view.live.probes.iter().filter(|(_, it)| it.status == Status::Healthy);
                well.extend(healthy.map(|(id, _)| id.clone()));
                well.len() == view.estate.probes.len() && is_steady(view)
            })
            .await;
        stage
    }

    async fn sees_with(&self, what: &str, mut holds: impl FnMut(&Snapshot) -> bool) -> Snapshot {
        eventually(what, async || self.client.snapshot().await.ok().filter(|view| holds(view))).await
    }

    async fn view(&self) -> Snapshot {
        self.sees_with("the engine answers", |_| true).await
    }

    async fn records(&self) -> Vec<Record> {
        let mut all = Vec::<Record>::new();
        loop {
            let more = self.client.records(all.last().map_or(0, |it| it.seq), 1000).await.unwrap();
            if more.is_empty() {
                return all;
            }
            all.extend(more);
        }
    }

    async fn act(&mut self, act: &Act) {
        if let Some(when) = &act.when {
            let mut records = self.records().await;
            eventually(&format!("{when:?}"), async || {
                let view = self.client.snapshot().await.ok()?;
                if when.journal.is_some() && records.last().is_none_or(|last| last.seq < view.state.seq) {
                    records = self.records().await;
                }
                when.holds(&view, &records).then_some(())
            })
            .await;
        }
        if let Some(after) = &act.after {
            let nominal = after.parse::<mayday::domain::time::Span>().unwrap().0;
            tokio::time::sleep(self.lab.world.pace.scale(nominal)).await;
        }
        if let Some(looks) = act.looks {
            self.looks_on(looks).await;
        }
        if let Some(place) = &act.place {
            assert!(mayday::lab::faults::places().contains(place), "no place {place}");
            let condition = Condition::named(act.condition.as_ref().unwrap(), None).unwrap();
            self.lab.world.truth().faults.set(place, condition);
        }
        match act.heal.as_deref() {
            Some("*") => self.lab.world.truth().faults.heal_all(),
            Some(place) => self.lab.world.truth().faults.set(place, Condition::Up),
            None => {}
        }
        if let Some(off) = act.clock {
            self.home.set_clock(off);
            let seen = |view: &Snapshot| (view.state.clock.drift.0 + off).abs() < 5.0;
            self.sees_with("the engine sees that its clock was set", seen).await;
        }
        if act.kill {
            self.engine.kill().await;
            self.engine = self.home.engine().await;
        }
        if let Some(ask) = &act.ask {
            self.ask(ask, act.refused.as_deref()).await;
        }
    }

    /// Until every probe has looked so many times more.
    async fn looks_on(&self, times: usize) {
        let mut looks = BTreeMap::new();
        eventually("every probe goes on looking", async || {
            let view = self.client.snapshot().await.ok()?;
            for (id, known) in &view.live.probes {
                let (at, count) = looks.entry(id.clone()).or_insert((known.at, 0));
                *count += usize::from(std::mem::replace(at, known.at) != known.at);
            }
            looks.values().all(|(_, count)| *count >= times).then_some(())
        })
        .await;
    }

    async fn ask(&self, ask: &toml::Table, refused: Option<&str>) {
        let ask = self.filled_in(ask).await;
        match (self.client.ask(&ask).await, refused) {
            (Ok(_), None) => {}
            (Err(error), Some(words)) => {
                assert_eq!(error.code, ErrorCode::Refused, "{error}");
                assert!(error.to_string().contains(words), "{ask:?}: {error}, not `{words}`");
            }
            (Ok(_), Some(words)) => panic!("{ask:?} was not refused: {words}"),
            (Err(error), None) => panic!("{ask:?}: {error}"),
        }
    }

    async fn filled_in(&self, ask: &toml::Table) -> Ask {
        let mut ask = serde_json::to_value(ask).unwrap();
        let view = self.view().await;
        if let (Some(step), Some(run)) = (ask["step"].as_str(), &view.state.run) {
            let phrase = run.plan.step(&step.into()).unwrap().phrase.clone();
            let fields = ask.as_object_mut().unwrap();
            fields.insert("run".into(), run.id.as_str().into());
            if fields["command"] == "confirm" {
                fields.entry("phrase").or_insert(phrase.into());
            }
        }
        serde_json::from_value(ask).unwrap()
    }

    /// What is not as it should be.
    async fn judge(&self, expect: &Expect) -> Vec<String> {
        let (view, records) = (self.view().await, self.records().await);
        let mut wrong = in_journal(expect, &records);
        wrong.extend(in_world(expect, &self.lab));
        wrong.extend(in_state(expect, &view));
        for (plan, name) in &expect.finds {
            let found = self.client.assess(Some(&plan.as_str().into())).await.unwrap();
            let stands = found[0].reasons().iter().any(|it| it.name == *name);
            wrong.extend((!stands).then(|| format!("readiness of {plan} does not find `{name}`")));
        }
        for (plan, wanted) in &expect.ready {
            let found = self.client.assess(Some(&plan.as_str().into())).await.unwrap()[0].ready();
            wrong.extend((found != *wanted).then(|| format!("{plan} is {found}, not {wanted}")));
        }
        if let Some(region) = &expect.without {
            let found = self.client.without(&region.as_str().into(), None).await.unwrap();
            for (plan, wanted) in &expect.ready_without {
                let ready = found.assessments.iter().find(|it| it.plan.as_str() == plan).map(|it| it.ready());
                wrong.extend(
                    (ready != Some(*wanted)).then(|| format!("{plan} without {region} is {ready:?}: {found:#?}")),
                );
            }
            for (of, words) in &expect.hidden {
                let named = |it: &&HiddenDependency| it.of == *of && it.what.contains(words) && !it.rid.is_empty();
                let there = found.hidden.iter().any(|it| named(&it));
                wrong.extend((!there).then(|| format!("no hidden dependency of {of} ({words}): {:#?}", found.hidden)));
            }
        }
        for (step, words) in &expect.by_hand {
            let plan = &view.state.run.as_ref().unwrap().plan.id;
            let steps = self.client.by_hand(plan, false).await.unwrap();
            let said = steps.iter().any(|it| it.step.as_str() == step && it.lines.iter().any(|it| it.contains(words)));
            wrong.extend((!said).then(|| format!("the commands of {step} do not say `{words}`")));
        }
        wrong
    }
}

impl When {
    fn holds(&self, view: &Snapshot, records: &[Record]) -> bool {
        let run = view.state.run.as_ref();
        let step = self.step.as_ref().map(|id| run.and_then(|run| run.step(&id.as_str().into())));
        let of_step = |holds: &dyn Fn(&mayday::domain::run::StepRun) -> bool| step.flatten().is_some_and(holds);
        let blocked_by = |name: &String| {
            let blocks = |step: &mayday::domain::run::StepRun| {
                let card = step.card.as_ref();
                step.phase == StepPhase::Blocked && card.is_some_and(|it| it.blocks().any(|it| it.name == *name))
            };
            of_step(&blocks)
        };
        let judged =
            |id: &String| view.backups(view.now).iter().find(|(it, _)| it.id.as_str() == id).map(|it| it.1.worth);
        self.phase.is_none_or(|phase| of_step(&|step| step.phase == phase))
            && self.guard.as_ref().is_none_or(blocked_by)
            && self.settled.is_none_or(|settled| of_step(&|step| step.phase.is_over() == settled))
            && self.run.is_none_or(|outcome| run.and_then(|run| run.outcome) == Some(outcome))
            && self.trigger.is_none_or(|wanted| wanted != view.triggers(view.now).is_empty())
            && self.journal.as_ref().is_none_or(|wanted| records.iter().any(|record| is(record, wanted)))
            && self.writers.iter().flatten().all(|(store, count)| writers(view, store) == *count)
            && self.backup.as_ref().is_none_or(|id| judged(id) == self.worth)
            && self.item.as_ref().is_none_or(|id| item(view, id).and_then(|it| it.evidence()) == self.evidence)
    }
}

fn lay_over(under: &mut toml::Table, over: &toml::Table) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => lay_over(under, over),
            _ => {
                under.insert(key.clone(), value.clone());
            }
        }
    }
}

/// `step-applying promote-database`: the type of a record, and its step if one is named.
fn is(record: &Record, wanted: &str) -> bool {
    let event: Value = serde_json::to_value(&record.event).unwrap();
    let (kind, step) = wanted.split_once(' ').map_or((wanted, None), |(kind, step)| (kind, Some(step)));
    event["type"] == kind && step.is_none_or(|step| event["step"] == step)
}

fn writers(view: &Snapshot, store: &str) -> usize {
    let known = view.live.surveys.get(store).into_iter().flat_map(|known| &known.survey.members);
    known.filter(|member| member.role == Role::Writer).count()
}

fn item<'v>(view: &'v Snapshot, id: &str) -> Option<&'v ItemState> {
    view.state.incident.as_ref()?.checklist.item(&id.into())
}

fn in_journal(expect: &Expect, records: &[Record]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut rest = records.iter();
    for wanted in &expect.journal {
        if !rest.any(|record| is(record, wanted)) {
            wrong.push(format!("the journal has no `{wanted}` in its place"));
            rest = records.iter();
        }
    }
    let count = |wanted: &str| records.iter().filter(|record| is(record, wanted)).count();
    wrong.extend(expect.never.iter().filter(|it| count(it) > 0).map(|it| format!("the journal has `{it}`")));
    let differs = |(wanted, times): (&String, &usize)| {
        let found = count(wanted);
        (found != *times).then(|| format!("the journal has `{wanted}` {found} times, not {times}"))
    };
    wrong.extend(expect.counts.iter().filter_map(differs));
    wrong
}

/// To whom the lab's channel for mail to the team writes.
const TEAM: &str = "team@gennet.example";

fn in_world(expect: &Expect, lab: &Lab) -> Vec<String> {
    let truth = lab.world.truth();
    let changes = expect.changes.iter().filter_map(|(wanted, times)| {
        let fits = |it: &&mayday::lab::world::Mutation| {
            *wanted == it.action || *wanted == format!("{} {}", it.action, it.place)
        };
        let found = truth.ledger.iter().filter(|it| it.accepted).filter(fits).count();
        (found != *times).then(|| format!("the world took {wanted} {found} times, not {times}"))
    });
    let told = expect.told.iter().filter_map(|(service, times)| {
        let found = match service.as_str() {
            "customers" => truth.inbox.of(Some("smtp")).filter(|it| it.to.iter().any(|to| to != TEAM)).count(),
            service => truth.inbox.of(Some(service)).count(),
        };
        (found != *times).then(|| format!("{service} was told {found} times, not {times}"))
    });
    changes.chain(told).collect()
}

fn in_state(expect: &Expect, view: &Snapshot) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut differs = |what: String, found: String, wanted: String| {
        if found != wanted {
            wrong.push(format!("{what} is {found}, not {wanted}"));
        }
    };
    if let Some(serving) = &expect.serving {
        differs("serving".into(), view.state.serving(&view.estate).to_string(), serving.clone());
    }
    if let Some(calm) = expect.calm {
        differs("calm".into(), view.triggers(view.now).is_empty().to_string(), calm.to_string());
    }
    if let Some(wanted) = expect.onset {
        let found = view.state.incident.as_ref().and_then(|it| it.clocks.disruption());
        differs("t0".into(), format!("{:?}", found.map(|(_, onset)| onset)), format!("{:?}", Some(wanted)));
    }
    let run = view.state.run.as_ref();
    for (step, phase) in &expect.phases {
        let found = run.map(|run| run.phase(&step.as_str().into()).to_string()).unwrap_or_default();
        differs(step.clone(), found, phase.to_string());
    }
    for (step, words) in &expect.says {
        let said = run.and_then(|run| run.step(&step.as_str().into()));
        let said =
            said.map(|it| format!("{} {}", it.detail, it.fault.as_ref().map_or("", |fault| fault.what.as_str())));
        if !said.as_ref().is_some_and(|said| said.contains(words)) {
            differs(format!("what {step} says"), said.unwrap_or_default(), words.clone());
        }
    }
    for (step, words) in &expect.card {
        let card = run.and_then(|run| run.step(&step.as_str().into())?.card.as_ref());
        let guards: Vec<&str> = card.into_iter().flat_map(|it| &it.guards).map(|it| it.detail.as_str()).collect();
        if !guards.iter().any(|detail| detail.contains(words.as_str())) {
            differs(format!("the card of {step}"), guards.join(" | "), words.clone());
        }
    }
    for id in &expect.open {
        let open = item(view, id).is_some_and(|it| it.standing().is_open());
        differs(format!("{id} is open"), open.to_string(), "true".into());
    }
    for (step, undo) in &expect.undo {
        let found = run.and_then(|run| run.step(&step.as_str().into())?.card.as_ref().map(|card| card.undo));
        differs(format!("the way back from {step}"), format!("{found:?}"), format!("{:?}", Some(*undo)));
    }
    for (store, count) in &expect.writers {
        differs(format!("writers of {store}"), writers(view, store).to_string(), count.to_string());
    }
    for (spec, judged) in view.backups(view.now) {
        if let Some(worth) = expect.backups.get(spec.id.as_str()) {
            differs(format!("backup {}", spec.id), judged.worth.to_string(), worth.to_string());
        }
    }
    for it in status::rto(view) {
        let met = it.met.map_or("unknown", |met| if met { "met" } else { "missed" });
        if let Some(wanted) = expect.rto.get(&it.tier) {
            differs(format!("RTO {}", it.tier), met.into(), wanted.clone());
            let shorter = it.since_declared.zip(it.elapsed).is_some_and(|(declared, all)| declared <= all);
            differs(format!("RTO {} from the declaration is shorter", it.tier), shorter.to_string(), "true".into());
        }
    }
    for it in status::rpo(view) {
        let how = if it.loss == Loss::Unknown { "unknown" } else { "known" };
        if let Some(wanted) = expect.rpo.get(&it.class) {
            differs(format!("RPO {}", it.class), how.into(), wanted.clone());
        }
    }
    wrong
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn name(file: &Path) -> &str {
    file.file_stem().unwrap().to_str().unwrap()
}

fn read(file: &Path) -> Scenario {
    let scenario = toml::from_str::<Scenario>(&fs::read_to_string(file).unwrap());
    scenario.unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Plays one; says what was not as it should be, a panic of its own included.
async fn play(file: &Path) -> Vec<String> {
    let scenario = read(file);
    let mut stage = Stage::set(&scenario).await;
    let played = async {
        for act in &scenario.acts {
            stage.act(act).await;
        }
        stage.judge(&scenario.expect).await
    };
    let wrong = std::panic::AssertUnwindSafe(played).catch_unwind().await;
    let words = |panic: Box<dyn std::any::Any + Send>| {
        let text = panic.downcast_ref::<String>().cloned();
        vec![text.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned())).unwrap_or_default()]
    };
    let mut wrong = wrong.unwrap_or_else(words);
    if !wrong.is_empty() {
        let records = stage.records().await;
        let latest = records.iter().skip(records.len().saturating_sub(LATEST));
        wrong.extend(latest.map(|record| format!("{} {:?}", record.seq, record.event)));
    }
    wrong
}

#[test]
fn every_trap_has_a_file_and_every_file_says_what_it_is_about_and_is_played() {
    let files = files();
    for trap in 1..=TRAPS {
        let prefix = format!("trap-{trap:02}-");
        assert!(files.iter().any(|file| name(file).starts_with(&prefix)), "there is no {prefix}*.toml");
    }
    for file in &files {
        let scenario = read(file);
        assert!(!scenario.title.is_empty() && !scenario.about.is_empty() && !scenario.acts.is_empty(), "{file:?}");
    }
    let played: BTreeSet<String> = PLAYED.iter().map(|test| test.replace('_', "-")).collect();
    let there: BTreeSet<String> = files.iter().map(|file| name(file).to_owned()).collect();
    assert_eq!(played, there, "each has its row below");
}

/// Plays the file that a test is named after.
async fn is_not_fallen_into(test: &str) {
    let _crowd = one_crowd().await;
    let wanted = test.replace('_', "-");
    let file = files().into_iter().find(|file| name(file) == wanted).expect("the file is there");
    let wrong = play(&file).await;
    assert!(wrong.is_empty(), "{}:\n{}", read(&file).title, wrong.join("\n"));
}

macro_rules! played {
    (always: [$($file:ident,)*] at_length: [$($long:ident,)*]) => {
        const PLAYED: &[&str] = &[$(stringify!($file),)* $(stringify!($long),)*];
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $file() {
                is_not_fallen_into(stringify!($file)).await;
            }
        )*
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "takes minutes with its like; .ci/run plays it"]
            async fn $long() {
                is_not_fallen_into(stringify!($long)).await;
            }
        )*
    };
}

played! {
    always: [
        clock_back,
        clock_forward_and_back,
        dark_while_dead,
        flap,
        started_in_outage,
        trap_01_two_writers,
        trap_02_crash,
        trap_03_failback,
        trap_04_minority,
        trap_05_corruption,
        trap_06_older_store,
        trap_07_missing_lag,
        trap_08_by_arc,
        trap_08_control_plane,
        trap_08_pinned_later,
        trap_08_without,
        trap_09_wrong_region,
        trap_10_dns_first,
        trap_11_success_on_200,
        trap_12_lost_answer,
        trap_13_drill_in_production,
        trap_14_bad_backups,
        trap_15_one_number,
    ]
    // More ways into a trap that has a file above.
    at_length: [
        trap_08_arc_falls,
        trap_08_by_object,
        trap_08_known_before,
        trap_08_not_served,
        trap_08_without_by_records,
        trap_13_drill_tells_nobody,
    ]
}
