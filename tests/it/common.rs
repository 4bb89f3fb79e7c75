//! What the tests of the drivers share: a small estate, specs from a few parameters, and waiting for a condition.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mayday::api::client::{Fed, Feed};
use mayday::domain::actor::Actor;
use mayday::domain::backup::{BackupLook, BackupSpec};
use mayday::domain::comms::{Audience, Channel, ChannelKind, ChannelSpec};
use mayday::domain::estate::{
    DataClass, Environment, Estate, Objectives, Policy, ProbeSpec, Region, RegionRole, Subject, SystemSpec,
};
use mayday::domain::event::{Event, Record};
use mayday::domain::health::Status;
use mayday::domain::journal::{Appended, Journal, JournalFault, Who};
use mayday::domain::kinds::{Need, Param};
use mayday::domain::params::Params;
use mayday::domain::plan::{Gate, StepSpec};
use mayday::domain::system::{Begun, Fault, Receipt, Step, StepLog, Surroundings, System};
use mayday::domain::time::{At, Span};
use mayday::domain::view::{Snapshot, Update};
use mayday::lab::{PRIMARY, STANDBY};
use mayday::systems::FACTORIES;
use mayday::systems::script::keeper;
use mayday::wiring::kinds;
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How long a condition may take to come true: only a bound for a test that fails.
const PATIENCE: Duration = Duration::from_secs(300);

/// So many labs are played through an incident at once: more of them would starve each other on a small machine, until what only waits
/// looks broken, and what is slow there has to be so by the lab's doing. Most of their time is waiting.
const AT_ONCE: u32 = 2;

static CROWDS: Semaphore = Semaphore::const_new(AT_ONCE as usize);

/// Held by a test that plays one lab through an incident.
pub async fn one_crowd() -> SemaphorePermit<'static> {
    CROWDS.acquire().await.expect("it is never closed")
}

/// Held by a test that plays several labs of its own at once.
pub async fn all_alone() -> SemaphorePermit<'static> {
    CROWDS.acquire_many(AT_ONCE).await.expect("it is never closed")
}

/// The appends that engines are killed at, when every `nth` is to be: just before the first ones, and just after others.
pub fn appends(nth: usize) -> [(&'static str, std::iter::StepBy<std::ops::RangeFrom<usize>>); 2] {
    [("before", (1..).step_by(nth)), ("after", (1 + nth / 2..).step_by(nth))]
}

/// How soon it is looked again at first, and at most how rarely: what is waited for long is not looked at often, since every look costs the
/// small machine that has to bring it about.
const LOOKS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

/// Waits until `holds` answers something.
pub async fn eventually<T>(what: &str, mut holds: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let (mut pause, longest) = LOOKS;
    loop {
        if let Some(it) = holds().await {
            return it;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(pause).await;
        pause = longest.min(pause * 5 / 4);
    }
}

/// Writes as the one engine that a journal has.
pub async fn write(journal: &dyn Journal, events: Vec<(Actor, Event)>) -> Result<Vec<Record>, JournalFault> {
    write_at(journal, At::now(), events).await
}

pub async fn write_at(journal: &dyn Journal, at: At, events: Vec<(Actor, Event)>) -> Result<Vec<Record>, JournalFault> {
    let who = Who { engine: "the test".into(), name: "here".into(), version: "0".into() };
    let led = journal.leader().await?;
    let term = journal.lead(&who, led.as_ref()).await?.expect("nobody else leads");
    match journal.append(term, &journal.tail().await?, at, events).await {
        Appended::Durable(written) => Ok(written.records),
        Appended::NotWritten(fault) | Appended::Unknown(_, fault) | Appended::Fenced(fault) => Err(fault),
    }
}

/// The lab's two regions, and nothing in them.
pub fn estate() -> Arc<Estate> {
    let region = |id: &str, role| Region { id: id.into(), role, title: id.into(), systems: Default::default() };
    Arc::new(Estate {
        name: "lab".into(),
        environment: Environment::Production,
        runs_in: None,
        regions: vec![region(PRIMARY, RegionRole::Primary), region(STANDBY, RegionRole::Standby)],
        services: Vec::new(),
        systems: Vec::new(),
        probes: Vec::new(),
        backups: Vec::new(),
        contacts: Default::default(),
        dependencies: Vec::new(),
        drills: Vec::new(),
        checklist: Vec::new(),
        channels: Vec::new(),
        comms: Default::default(),
        alerts: Default::default(),
        objectives: Objectives { rto: Default::default(), rpo: Default::default() },
        policy: Policy::default(),
    })
}

/// Parameters as config validation would hand them over: `given`, and the defaults of the row.
pub fn params(row: &[Param], given: Value) -> Params {
    let Value::Object(given) = given else { panic!("parameters have to be an object") };
    let mut params = Params(given.into_iter().collect());
    for param in row {
        if let Need::Default(text) = param.need {
            let value =
                mayday::config::params::default_value(param.ty, text).expect("the contract test checks defaults");
            params.0.entry(param.name.to_owned()).or_insert(value);
        }
    }
    params
}

/// A connection to a system of `kind`, by its own factory; its id is its kind.
pub fn connect(kind: &str, class: Option<DataClass>, given: Value) -> Arc<dyn System> {
    connect_in(estate(), kind, class, given)
}

/// The same in an estate that is not the lab's.
pub fn connect_in(estate: Arc<Estate>, kind: &str, class: Option<DataClass>, given: Value) -> Arc<dyn System> {
    // As the program itself does, whose keeper ours is.
    keeper::keep_by(env!("CARGO_BIN_EXE_mayday"));
    let factory = FACTORIES.iter().find(|factory| factory.kind().name == kind).expect("there is such a kind");
    let params = params(factory.kind().params, given);
    let spec = SystemSpec { id: kind.into(), kind: kind.into(), title: kind.into(), region: None, class, params };
    factory.connect(&spec, &Surroundings { estate }).expect("it can be connected")
}

/// A channel's spec as config validation would hand it over; its id is its kind.
pub fn channel_spec(row: &ChannelKind, audience: Audience, params: Params) -> ChannelSpec {
    ChannelSpec {
        id: row.name.into(),
        kind: row.name.into(),
        title: row.title.into(),
        audience,
        drills: false,
        escalation: false,
        carries: row.carries.to_vec(),
        doubles: row.doubles,
        components: Vec::new(),
        params,
    }
}

/// A channel of `kind`, by its own factory.
pub fn try_channel(kind: &str, audience: Audience, given: Value) -> Result<Arc<dyn Channel>, Fault> {
    let found = mayday::channels::FACTORIES.iter().find(|factory| factory.kind().name == kind);
    let factory = found.expect("there is such a kind");
    factory.connect(&channel_spec(factory.kind(), audience, params(factory.kind().params, given)))
}

pub fn probe(kind: &str, given: Value) -> ProbeSpec {
    let (system, row) = kinds().probe(kind).expect("there is such a probe");
    ProbeSpec {
        id: kind.into(),
        kind: kind.into(),
        system: system.name.into(),
        subject: Subject::System(system.name.into()),
        region: None,
        every: Span::secs(5),
        timeout: Span::secs(5),
        fall: 1,
        window: None,
        rise: 1,
        params: params(row.params, given),
    }
}

/// One look at a backup of `kind`.
pub async fn looked_at(system: &Arc<dyn System>, kind: &str, given: Value) -> Result<BackupLook, Fault> {
    let (of, row) = kinds().backup(kind).expect("there is such a backup");
    let spec = BackupSpec {
        id: kind.into(),
        title: row.title.into(),
        kind: kind.into(),
        subject: of.name.into(),
        system: of.name.into(),
        class: None,
        region: None,
        every: Span::secs(60),
        max_age: None,
        retention: None,
        params: params(row.params, given),
    };
    system.backup(&spec).await
}

/// A step of `kind` that makes `region` the serving one.
pub fn step(system: &dyn System, kind: &str, region: &str, given: Value) -> Arc<dyn Step> {
    try_step(system, kind, region, given).expect("the step can be made")
}

/// A step that may be refused for its parameters.
pub fn try_step(system: &dyn System, kind: &str, region: &str, given: Value) -> Result<Arc<dyn Step>, Fault> {
    system.step(&spec(kind, region, given))
}

/// A step as a plan would have it, behind a gate; its id is its kind.
pub fn spec(kind: &str, region: &str, given: Value) -> StepSpec {
    let (of, row) = kinds().step(kind).expect("there is such a step");
    StepSpec {
        id: kind.into(),
        title: row.title.into(),
        kind: kind.into(),
        system: of.name.into(),
        needs: Vec::new(),
        gate: Gate::Confirm,
        yes: false,
        timeout: Span::secs(60),
        phrase: of.name.into(),
        recovers: Vec::new(),
        class: None,
        region: Some(region.into()),
        role: row.role,
        undo: row.undo,
        params: params(row.params, given),
        ways: Vec::new(),
        own_role: false,
        optional: false,
    }
}

/// What the journal would hold of a step.
pub fn begun(pre_image: Value, receipt: Receipt) -> Begun {
    Begun { at: At::now(), pre_image, receipt, process: None }
}

/// A step's log, kept.
#[derive(Default)]
pub struct Log(pub Mutex<Vec<String>>);

impl StepLog for Log {
    fn line(&self, text: &str) {
        self.0.lock().expect("no test panics in here").push(text.to_owned());
    }
}

/// Every probe has seen its subject healthy, and it is known how far every store has come.
pub fn is_ready(view: &Snapshot) -> bool {
    let seen = |id| view.live.probes.get(id).is_some_and(|it| it.status == Status::Healthy);
    view.estate.probes.iter().all(|it| seen(&it.id)) && is_steady(view)
}

/// Every datastore was looked at, and nothing was down lately: what a machine with too much to do let go down for a moment belongs, by the
/// rules of the clocks, to an incident that is declared right after it.
pub fn is_steady(view: &Snapshot) -> bool {
    let quiet = view.estate.policy.region_down.as_secs_f64();
    let known = |id| view.live.surveys.get(id).is_some_and(|it| it.survey.standby_point.is_some());
    view.estate.datastores().all(|it| known(&it.id))
        && view.state.probes.values().all(|it| it.trouble_at(view.now, quiet, None).is_none())
}

/// Follows a feed until the engine is held, and counts how often everything came. No record may be missing or come twice.
pub async fn follow(mut feed: Feed, wholes: Arc<AtomicUsize>) -> Snapshot {
    let mut view: Option<Snapshot> = None;
    loop {
        // A HOLD is seen before it is written.
        let mut written = false;
        match tokio::time::timeout(PATIENCE, feed.next()).await.expect("the feed goes on") {
            Fed::Snapshot(whole) => {
                assert!(view.as_ref().is_none_or(|view| view.state.seq <= whole.state.seq), "it went back in time");
                written = whole.state.hold.as_ref().is_some_and(|hold| Some(hold.at) <= whole.state.at);
                view = Some(*whole);
                wholes.fetch_add(1, Ordering::SeqCst);
            }
            Fed::Update(update) => {
                let view = view.as_mut().expect("first comes the whole");
                if let Update::Record { record } = &update {
                    assert_eq!(record.seq, view.state.seq + 1, "a record was lost or doubled");
                    written = matches!(record.event, Event::HoldSet { .. });
                }
                view.take(&update).unwrap();
            }
            Fed::Alive | Fed::Lost(_) => {}
        }
        if let Some(view) = view.take_if(|_| written) {
            return view;
        }
    }
}

/// A JSON Schema that values are held against.
pub struct Validator(boon::Schemas, boon::SchemaIndex);

impl Validator {
    pub fn new(schema: &Value) -> Self {
        const PLACE: &str = "https://mayday.example/schema";
        let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
        compiler.add_resource(PLACE, schema.clone()).expect("it is a URL");
        let index = compiler.compile(PLACE, &mut schemas).unwrap_or_else(|why| panic!("no schema: {why:#}"));
        Self(schemas, index)
    }

    /// What a name of the OpenAPI document stands for.
    pub fn of_api(document: &Value, name: &str) -> Self {
        let reference = format!("#/components/schemas/{name}");
        Self::new(&serde_json::json!({ "$ref": reference, "components": document["components"] }))
    }

    pub fn check(&self, value: &Value) -> Result<(), String> {
        self.0.validate(value, self.1).map_err(|why| format!("{why:#}"))
    }

    pub fn takes(&self, value: &Value) -> bool {
        self.check(value).is_ok()
    }
}
