//! The one clock: an engine whose host's wall clock is set, back and ahead, by a second and by days, goes on as if nothing had happened.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::SignedDuration;
use mayday::domain::actor::{Actor, Origin};
use mayday::domain::clock::Clock;
use mayday::domain::command::Ask;
use mayday::domain::comms::{Audience, Bare, Channel, Found, Parcel, Purpose};
use mayday::domain::drill::{Cadence, DrillResult};
use mayday::domain::estate::{DataClass, Estate, ProbeSpec, SystemSpec};
use mayday::domain::event::{Event, Record};
use mayday::domain::health::Reading;
use mayday::domain::ids::MessageId;
use mayday::domain::incident::Severity;
use mayday::domain::plan::{Gate, Plan, StepSpec};
use mayday::domain::recovery::{RecoveryPoint, Survey};
use mayday::domain::run::{Mode, Outcome};
use mayday::domain::schedule::DrillSpec;
use mayday::domain::system::{Begun, Checked, Fault, Observed, Preview, Receipt, Step, StepLog, System, Verified};
use mayday::domain::time::{At, Span, after, before, seconds_between};
use mayday::domain::view::Snapshot;
use mayday::engine::{Channels, Handle, Parts};
use mayday::journal::{SqliteJournal, replay};
use mayday::lab::STANDBY;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{channel_spec, estate, eventually, params, spec};

const HOUR: f64 = 3600.0;
const DAY: f64 = 24.0 * HOUR;

/// What a test may take between two looks, on a machine that has much else to do.
const SLACK: f64 = 240.0;

/// The clocks of a machine whose wall clock can be set.
struct Movable {
    boot: &'static str,
    start: Instant,
    born: At,
    wall: Mutex<f64>,
}

impl Movable {
    fn new() -> Arc<Self> {
        Self::booted("one", At::now())
    }

    fn booted(boot: &'static str, born: At) -> Arc<Self> {
        Arc::new(Self { boot, start: Instant::now(), born, wall: Mutex::new(0.0) })
    }

    /// The wall clock is so many seconds off from now on.
    fn set(&self, off: f64) {
        *self.wall.lock().unwrap() = off;
    }

    /// What a clock that nobody has set would show.
    fn truth(&self) -> At {
        after(self.born, self.start.elapsed())
    }
}

impl Clock for Movable {
    fn wall(&self) -> At {
        let off = SignedDuration::from_secs_f64(*self.wall.lock().unwrap());
        self.truth().saturating_add(off).unwrap()
    }

    fn uptime(&self) -> Duration {
        Duration::from_secs(1000) + self.start.elapsed()
    }

    fn boot(&self) -> Option<String> {
        Some(self.boot.into())
    }
}

/// Takes everything at once.
struct Desk(Mutex<Vec<Parcel>>);

#[async_trait]
impl Channel for Desk {
    async fn deliver(&self, parcel: &Parcel) -> Result<Receipt, Fault> {
        self.0.lock().unwrap().push(parcel.clone());
        Ok(Receipt::new())
    }
    async fn find(&self, _: &Parcel) -> Result<Found, Fault> {
        Ok(Found::NotThere)
    }
    async fn reach(&self) -> Result<String, Fault> {
        Ok("here".into())
    }
}

/// A store whose copy is ten seconds behind by the host's clock, and whose step cannot be looked at the first times.
struct Store {
    clock: Arc<Movable>,
    refusals: Arc<AtomicUsize>,
}

const BEHIND: Duration = Duration::from_secs(10);

#[async_trait]
impl System for Store {
    async fn probe(&self, _: &ProbeSpec) -> Reading {
        Reading::unknown("nothing is probed")
    }
    async fn survey(&self) -> Result<Survey, Fault> {
        let at = before(self.clock.wall(), BEHIND);
        let point = RecoveryPoint { at, region: Some(STANDBY.into()), source: "a test".into(), measured: false };
        Ok(Survey { standby_point: Some(point), ..Survey::default() })
    }
    fn step(&self, _: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        Ok(Arc::new(Shy(self.refusals.clone())))
    }
}

struct Shy(Arc<AtomicUsize>);

#[async_trait]
impl Step for Shy {
    async fn observe(&self, _: Option<&Begun>) -> Result<Observed, Fault> {
        let left = self.0.load(Ordering::SeqCst);
        if left > 0 {
            self.0.store(left - 1, Ordering::SeqCst);
            return Err(Fault::transient("store", "not now"));
        }
        Ok(Observed::Done { detail: "done".into() })
    }
    async fn preview(&self) -> Result<Preview, Fault> {
        Ok(Preview::default())
    }
    async fn check(&self) -> Result<Checked, Fault> {
        Ok(Checked::default())
    }
    async fn apply(&self, _: &Value, _: &dyn StepLog) -> Result<Receipt, Fault> {
        Ok(Receipt::new())
    }
    async fn verify(&self, _: &Begun, _: &dyn StepLog) -> Result<Verified, Fault> {
        Ok(Verified::Holds { detail: "done".into(), recovery_point: None })
    }
    async fn revert(&self, _: &Begun, _: &dyn StepLog) -> Result<Receipt, Fault> {
        Ok(Receipt::new())
    }
    fn by_hand(&self) -> Vec<String> {
        Vec::new()
    }
}

/// An engine with a store, a channel and a plan, on a machine whose clock can be set.
struct Site {
    dir: TempDir,
    clock: Arc<Movable>,
    take_back: Span,
    refusals: Arc<AtomicUsize>,
    desk: Arc<Desk>,
}

impl Site {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: Movable::new(),
            take_back: Span::secs(5),
            refusals: Arc::default(),
            desk: Arc::new(Desk(Mutex::default())),
        }
    }

    fn estate(&self) -> Estate {
        let mut estate = Estate::clone(&estate());
        estate.systems.push(SystemSpec {
            id: "script".into(),
            kind: "script".into(),
            title: "the store".into(),
            region: None,
            class: Some(DataClass::Database),
            params: params(&[], json!({})),
        });
        let row = mayday::channels::FACTORIES.iter().map(|it| it.kind()).find(|it| it.name == "webhook").unwrap();
        estate.channels.push(channel_spec(row, Audience::Internal, params(&[], json!({}))));
        estate.comms.take_back = self.take_back;
        estate.policy.survey_every = Span::millis(200);
        estate.policy.retry_floor = Span::secs(3);
        estate.drills = DrillSpec::shipped(&"wait".into());
        estate
    }

    async fn engine(&self) -> Handle {
        let journal = SqliteJournal::open(self.dir.path()).await.unwrap();
        let state = replay(journal.reader()).await.unwrap();
        let estate = self.estate();
        let mut step = spec("script.run", STANDBY, json!({ "command": ["true"] }));
        step.gate = Gate::Auto;
        let plan = Plan {
            id: "wait".into(),
            title: "Wait".into(),
            about: "For the store".into(),
            steps: vec![step],
            fingerprint: "0".repeat(64),
            target: None,
        };
        let store: Arc<dyn System> = Arc::new(Store { clock: self.clock.clone(), refusals: self.refusals.clone() });
        let desk: Arc<dyn Channel> = self.desk.clone();
        let parts = Parts {
            rota: None,
            driller: None,
            channels: Channels::new(&estate, [("webhook".into(), desk)].into()),
            wording: Arc::new(Bare),
            estate: Arc::new(estate),
            plans: vec![Arc::new(plan)],
            journal: Arc::new(journal),
            pen: None,
            state,
            systems: [("script".into(), store)].into(),
            reporter: Arc::new(mayday::report::Reports),
            records: self.dir.path().join("records"),
            clock: self.clock.clone(),
            apart: None,
        };
        Handle::start(parts).await.unwrap()
    }

    /// Sets the wall clock, and waits until the engine has seen it.
    async fn set(&self, engine: &Handle, off: f64) {
        self.clock.set(off);
        eventually("the engine sees the step", async || {
            let drift = engine.snapshot().state.clock.drift.0;
            ((drift + off).abs() < 0.3).then_some(())
        })
        .await;
    }

    fn has_sent(&self) -> bool {
        self.desk.0.lock().unwrap().iter().any(|it| it.purpose == Purpose::Investigating)
    }

    /// The engine's time is that of a clock which nobody has set.
    #[track_caller]
    fn is_true(&self, view: &Snapshot) {
        let off = seconds_between(self.clock.truth(), view.now);
        assert!((-SLACK..1.0).contains(&off), "the engine's time is {off} s off");
    }
}

/// The update, and when it was fixed.
fn update(record: &Record) -> Option<(MessageId, At)> {
    match &record.event {
        Event::MessageComposed { message } if message.purpose == Purpose::Investigating => {
            Some((message.id.clone(), message.send_at))
        }
        _ => None,
    }
}

async fn ask(engine: &Handle, ask: Ask) {
    let anna = Actor::named("anna", Some(1));
    engine.ask(anna, Origin::CommandLine, ask).await.unwrap();
}

async fn declare(engine: &Handle) {
    ask(engine, Ask::Declare { title: "it burns".into(), severity: Severity::Sev1, drill: false }).await;
}

/// Each in an engine of its own, at the same time.
async fn over_steps(test: impl AsyncFn(f64)) {
    let steps = [-DAY, -HOUR, -1.0, 1.0, HOUR, DAY];
    futures::future::join_all(steps.map(|off| test(off))).await;
}

#[tokio::test]
async fn a_wall_clock_that_is_set_is_journalled_and_shown_and_changes_nothing_else() {
    over_steps(async |off| {
        let site = Site::new();
        let engine = site.engine().await;
        declare(&engine).await;
        site.set(&engine, off).await;
        let view = engine.snapshot();
        site.is_true(&view);
        let (_, by) = view.state.clock.stepped.unwrap();
        assert!((by - off).abs() < 0.3, "it was set by {off}, and {by} was seen");
        let shown = mayday::cli::status::text(&view);
        let side = if off < 0.0 { "behind the engine's time" } else { "ahead of the engine's time" };
        assert!(shown.contains("CLOCK") && shown.contains(side), "{shown}");
        ask(&engine, Ask::Note { text: "a record in between".into() }).await;
        // And back.
        site.set(&engine, 0.0).await;
        let view = engine.snapshot();
        site.is_true(&view);
        assert!(!mayday::cli::status::text(&view).contains("CLOCK"));
        let records = engine.journal().read(0, 1000).await.unwrap();
        assert!(records.windows(2).all(|pair| pair[0].at <= pair[1].at), "time went back in the journal");
        let steps = records.iter().filter(|it| matches!(it.event, Event::ClockStepped { .. })).count();
        assert_eq!(steps, 2);
        engine.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_about_to_be_sent_goes_out_in_its_time_and_can_be_taken_back_until_then() {
    over_steps(async |off| {
        let site = Site::new();
        let engine = site.engine().await;
        declare(&engine).await;
        let told = Ask::Tell {
            purpose: Purpose::Investigating,
            texts: BTreeMap::new(),
            audiences: Vec::new(),
            note: "we look".into(),
            incident: None,
            despite: String::new(),
        };
        ask(&engine, told).await;
        site.set(&engine, off).await;
        eventually("it is sent", async || site.has_sent().then_some(())).await;
        let records = engine.journal().read(0, 1000).await.unwrap();
        // The wait is counted from the decision, which lies between the record before and the stamp of its own.
        let (before, (id, send_at)) = records.windows(2).find_map(|it| Some((it[0].at, update(&it[1])?))).unwrap();
        let sent =
            records.iter().find(|it| matches!(&it.event, Event::DeliveryTrying { message, .. } if *message == id));
        let waited = seconds_between(before, sent.unwrap().at);
        assert!((site.take_back.as_secs_f64()..SLACK).contains(&waited), "{off}: sent after {waited} s");
        assert!(sent.unwrap().at >= send_at, "{off}: sent before it was due");
        engine.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_long_take_back_is_not_cut_short() {
    let site = Site { take_back: Span::secs(3600), ..Site::new() };
    let engine = site.engine().await;
    declare(&engine).await;
    let told = Ask::Tell {
        purpose: Purpose::Investigating,
        texts: BTreeMap::new(),
        audiences: Vec::new(),
        note: "we look".into(),
        incident: None,
        despite: String::new(),
    };
    ask(&engine, told).await;
    site.set(&engine, DAY).await;
    // The courier looks whenever something is journalled.
    ask(&engine, Ask::Note { text: "something else".into() }).await;
    let view = engine.snapshot();
    let posted = view.state.outbox.messages.iter().find(|it| it.message.purpose == Purpose::Investigating).unwrap();
    let message = posted.message.id.clone();
    ask(&engine, Ask::Recall { message }).await;
    assert!(!site.has_sent());
    engine.stop().await;
}

#[tokio::test]
async fn a_cockpit_stays_armed_for_as_long_as_it_was_to_be() {
    over_steps(async |off| {
        let site = Site::new();
        let engine = site.engine().await;
        let anna = Actor::named("anna", Some(1));
        let cockpit = || Origin::Cockpit { session: "one".into(), read_only: false };
        engine.ask(anna.clone(), cockpit(), Ask::Arm {}).await.unwrap();
        ask(&engine, Ask::Hold { reason: "a test".into() }).await;
        site.set(&engine, off).await;
        engine.ask(anna.clone(), cockpit(), Ask::Release { reason: "a test".into() }).await.unwrap();
        engine.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_retry_comes_when_it_is_due() {
    over_steps(async |off| {
        let site = Site::new();
        site.refusals.store(1, Ordering::SeqCst);
        let engine = site.engine().await;
        // The first assessment looks at the step too.
        eventually("the plan is held against reality", async || {
            (!engine.snapshot().live.readiness.is_empty()).then_some(())
        })
        .await;
        site.refusals.store(1, Ordering::SeqCst);
        declare(&engine).await;
        let start = Ask::StartRun { plan: "wait".into(), mode: Mode::Live, reason: "a test".into(), unattended: true };
        ask(&engine, start).await;
        site.set(&engine, off).await;
        let run = eventually("the run ends", async || engine.snapshot().state.run.filter(|run| !run.is_open())).await;
        assert_eq!(run.outcome, Some(Outcome::Completed));
        let records = engine.journal().read(0, 1000).await.unwrap();
        let retry = records.iter().find_map(|it| match &it.event {
            Event::StepRetrying { at, .. } => Some((it.at, *at)),
            _ => None,
        });
        let (asked, due) = retry.expect("it was refused once");
        assert!((seconds_between(asked, due) - 3.0).abs() < 0.1);
        let took = seconds_between(asked, run.ended_at.unwrap());
        assert!((3.0..SLACK).contains(&took), "{off}: {took} s");
        engine.stop().await;
    })
    .await;
}

#[tokio::test]
async fn what_others_date_keeps_its_age() {
    over_steps(async |off| {
        let site = Site::new();
        let engine = site.engine().await;
        site.set(&engine, off).await;
        let seen = engine.snapshot().now;
        let view = eventually("the store is surveyed again", async || {
            let view = engine.snapshot();
            (view.live.surveys.get("script")?.at? > seen).then_some(view)
        })
        .await;
        let exposure = view.exposure(DataClass::Database, view.now).unwrap();
        let behind = BEHIND.as_secs_f64();
        assert!((behind - 1.0..behind + SLACK).contains(&exposure), "{off}: {exposure} s would be lost");
        engine.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_drill_is_taken_down_whatever_the_wall_clock_says() {
    over_steps(async |off| {
        let site = Site::new();
        let engine = site.engine().await;
        // The drill began by the engine's time, as `drill run` takes it.
        let started_at = engine.snapshot().now;
        site.set(&engine, off).await;
        let result = DrillResult {
            name: "monthly".into(),
            cadence: Cadence::Monthly,
            plan: "wait".into(),
            scenario: "region-dark".into(),
            estate: "lab".into(),
            pace: 1,
            started_at,
            passed: false,
            stages: Vec::new(),
            rto: BTreeMap::new(),
            rpo: BTreeMap::new(),
            steps: BTreeMap::new(),
            left_behind: Vec::new(),
            bundle: String::new(),
        };
        ask(&engine, Ask::RecordDrill { result: Box::new(result) }).await;
        let due = mayday::domain::schedule::schedule(engine.estate(), &engine.snapshot().state, engine.snapshot().now);
        assert!(due.iter().all(|it| seconds_between(engine.snapshot().now, it.due_at) > 20.0 * DAY), "{off}");
        engine.stop().await;
    })
    .await;
}

#[tokio::test]
async fn the_next_engine_of_the_same_boot_goes_on_in_an_incident_as_if_nothing_had_happened() {
    over_steps(async |off| {
        let site = Site::new();
        let first = site.engine().await;
        declare(&first).await;
        first.stop().await;
        drop(first);
        site.clock.set(off);
        let engine = site.engine().await;
        let view = engine.snapshot();
        site.is_true(&view);
        let (_, by) = view.state.clock.stepped.expect("it says so");
        assert!((by - off).abs() < 0.3, "{off}: {by}");
        engine.stop().await;
        drop(engine);
        // What is known is not told again.
        let engine = site.engine().await;
        let records = engine.journal().read(0, 1000).await.unwrap();
        assert_eq!(records.iter().filter(|it| matches!(it.event, Event::ClockStepped { .. })).count(), 1);
        assert!(!engine.snapshot().state.clock.drift.is_none(), "and is shown all the same");
        engine.stop().await;
    })
    .await;
}

#[tokio::test]
async fn ahead_and_back_with_a_record_in_between_freezes_no_engine_of_another_boot() {
    let mut site = Site::new();
    site.clock = Movable::booted("wrong", after(At::now(), Duration::from_secs(86_400)));
    let first = site.engine().await;
    ask(&first, Ask::Note { text: "written tomorrow".into() }).await;
    first.stop().await;
    drop(first);
    site.clock = Movable::booted("right", At::now());
    let engine = site.engine().await;
    let view = engine.snapshot();
    let ahead = seconds_between(site.clock.wall(), view.now);
    assert!((ahead - DAY).abs() < SLACK, "it begins at the latest record: {ahead}");
    assert!((view.state.clock.drift.0 - DAY).abs() < SLACK && view.state.clock.stepped.is_some());
    eventually("time goes on", async || (seconds_between(view.now, engine.snapshot().now) > 1.0).then_some(())).await;
    declare(&engine).await;
    let told = Ask::Tell {
        purpose: Purpose::Investigating,
        texts: BTreeMap::new(),
        audiences: Vec::new(),
        note: "we look".into(),
        incident: None,
        despite: String::new(),
    };
    ask(&engine, told).await;
    eventually("it is sent", async || site.has_sent().then_some(())).await;
    engine.stop().await;
}
