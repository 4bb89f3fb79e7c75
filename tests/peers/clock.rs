//! The real engine on a host whose wall clock is set under it: libfaketime moves what it is told to be now, and nothing else.

use std::fs;
use std::path::{Path, PathBuf};

use mayday::api::client::Client;
use mayday::domain::command::Ask;
use mayday::domain::comms::Purpose;
use mayday::domain::event::Event;
use mayday::domain::health::Status;
use mayday::domain::ids::PlanId;
use mayday::domain::incident::Severity;
use mayday::domain::run::{Mode, Outcome};
use mayday::domain::time::seconds_between;
use mayday::domain::verdict;
use mayday::domain::view::Snapshot;
use mayday::lab::scenario;
use mayday::lab::{Lab, Pace};

use crate::common::{eventually, is_ready, one_crowd};
use crate::process::{Engine, Home, said};

const LIBRARY: &str = "faketime/libfaketime.so.1";
const HOUR: f64 = 3600.0;
/// What a loaded machine may take for a whole test: far less than any step of the clock.
const SLACK: f64 = 1200.0;

/// A home whose engines believe the clock in a file.
struct Host {
    home: Home,
    client: Client,
    file: PathBuf,
}

impl Host {
    fn new(home: Home) -> Self {
        let file = home.dir().join("faketime");
        fs::write(&file, "+0").unwrap();
        Self { client: home.client(), home, file }
    }

    /// The wall clock of the engine's host is so many seconds off from now on.
    fn set(&self, off: f64) {
        // At once, or not at all: it is read at any time.
        let draft = self.file.with_extension("draft");
        fs::write(&draft, format!("{off:+}s")).unwrap();
        fs::rename(draft, &self.file).unwrap();
    }

    async fn engine(&self) -> Engine {
        let mut command = self.home.mayday("engine");
        command.env("LD_PRELOAD", library()).env("FAKETIME_TIMESTAMP_FILE", &self.file);
        command.env("DONT_FAKE_MONOTONIC", "1").env("FAKETIME_NO_CACHE", "1");
        let words = self.home.dir().join("engine.err");
        let mut engine = Engine::spawn(command, &words);
        eventually("the engine answers", async || {
            assert!(!engine.has_ended(), "{}", fs::read_to_string(&words).unwrap());
            self.client.snapshot().await.ok()
        })
        .await;
        engine
    }

    async fn view(&self) -> Snapshot {
        self.client.snapshot().await.unwrap()
    }

    async fn sees(&self, what: &str, holds: impl Fn(&Snapshot) -> bool) -> Snapshot {
        eventually(what, async || Some(self.view().await).filter(&holds)).await
    }

    /// The engine has seen by how much its wall clock is off, and its own time is that of this test.
    async fn sees_step(&self, off: f64) {
        let seen = |view: &Snapshot| (view.state.clock.drift.0 + off).abs() < 5.0;
        let view = self.sees("the step is seen", seen).await;
        let own = seconds_between(jiff::Timestamp::now(), view.now);
        assert!(own.abs() < 60.0, "the engine's time is {own} s off");
    }
}

fn library() -> PathBuf {
    let folders = [format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH), "/usr/lib".into(), "/usr/lib64".into()];
    let found = folders.iter().map(|folder| Path::new(folder).join(LIBRARY)).find(|path| path.exists());
    found.expect("libfaketime is installed: .ci/install-peers")
}

#[tokio::test]
#[ignore = "needs libfaketime"]
async fn back_by_an_hour_during_an_incident_stops_nothing() {
    let _crowd = one_crowd().await;
    let lab = Lab::start(Pace(20.0)).await.unwrap();
    let host = Host::new(Home::of(&lab));
    let mut engine = host.engine().await;
    host.sees("all is well", is_ready).await;
    let chosen = scenario::all().unwrap().into_iter().find(|it| it.name == "region-dark").unwrap();
    scenario::play(&lab.world, &chosen).await;
    host.sees("the region is down", |view| !view.triggers(view.now).is_empty()).await;
    let declare = Ask::Declare { title: "dark".into(), severity: Severity::Sev1, drill: false };
    host.client.ask(&declare).await.unwrap();
    let tell = Ask::Tell {
        purpose: Purpose::Investigating,
        texts: Default::default(),
        audiences: Vec::new(),
        note: "we look".into(),
        incident: None,
        despite: String::new(),
    };
    host.client.ask(&tell).await.unwrap();
    host.set(-HOUR);
    host.sees_step(-HOUR).await;
    host.sees("what was about to be sent is sent", |view| {
        let mut update = view.state.outbox.messages.iter().filter(|it| it.message.purpose == Purpose::Investigating);
        update.any(|it| it.is_settled())
    })
    .await;
    let reason = "a test".to_owned();
    let run = Ask::StartRun { plan: "regional-failover".into(), mode: Mode::Live, reason, unattended: true };
    host.client.ask(&run).await.unwrap();
    host.sees("a step was verified", |view| {
        view.state.run.as_ref().is_some_and(|run| run.steps.values().any(|step| step.ended_at.is_some()))
    })
    .await;
    // The engine dies on the way, and the next one is told the wrong time from its first breath.
    engine.kill().await;
    let _engine = host.engine().await;
    host.sees_step(-HOUR).await;
    let shown = said(host.home.mayday("status")).await;
    shown.is(0, &["CLOCK", "behind the engine's time"]);
    let ended = |view: &Snapshot| {
        let run = view.state.run.as_ref().unwrap();
        assert!(!run.waits_for_human(false), "{:#?}", run.steps);
        !run.is_open()
    };
    let view = host.sees("the run has ended", ended).await;
    assert_eq!(view.state.run.as_ref().unwrap().outcome, Some(Outcome::Completed));
    let incident = view.state.incident.as_ref().unwrap();
    for rto in verdict::rto(&view.estate, incident, view.now) {
        let elapsed = rto.elapsed.unwrap();
        assert!(rto.recovered && (0.1..SLACK).contains(&elapsed), "{rto:?}");
    }
    for rpo in verdict::rpo(&view.estate, incident, view.state.run.as_ref()) {
        assert!(rpo.loss.seconds().unwrap() < SLACK, "{rpo:?}");
    }
    let records = host.client.records(0, 10_000).await.unwrap();
    assert!(records.windows(2).all(|pair| pair[0].at <= pair[1].at), "time went back in the journal");
    let steps = records.iter().filter(|it| matches!(it.event, Event::ClockStepped { .. })).count();
    assert_eq!(steps, 1, "it is told once");
}

#[tokio::test]
#[ignore = "needs libfaketime"]
async fn ahead_and_back_with_a_record_in_between_stops_nothing() {
    let _crowd = one_crowd().await;
    let lab = Lab::start(Pace(20.0)).await.unwrap();
    let host = Host::new(Home::of(&lab));
    // An engine that is born on a host with a wrong clock, and one that lives when it is put right.
    host.set(HOUR);
    let mut engine = host.engine().await;
    host.client.ask(&Ask::Note { text: "written in an hour".into() }).await.unwrap();
    engine.kill().await;
    host.set(0.0);
    let _engine = host.engine().await;
    let view = host.sees("it says so", |view| !view.state.clock.drift.is_none()).await;
    assert!((view.state.clock.drift.0 - HOUR).abs() < SLACK, "{:?}", view.state.clock);
    // Forward and back once more, while it runs, with a record in between.
    host.set(HOUR);
    host.sees("the step is seen", |view| view.state.clock.drift.0.abs() < SLACK).await;
    host.client.ask(&Ask::Note { text: "in between".into() }).await.unwrap();
    host.set(0.0);
    host.sees("the way back is seen", |view| view.state.clock.drift.0 > SLACK).await;
    // Nothing is frozen: it sees an outage, in its time, and does something about it.
    host.sees("all is well", is_ready).await;
    let chosen = scenario::all().unwrap().into_iter().find(|it| it.name == "region-dark").unwrap();
    let before = host.view().await.now;
    scenario::play(&lab.world, &chosen).await;
    let view = host
        .sees("a rule of the plan is met", |view| view.triggers(view.now).iter().any(|it| it.is_met(view.now)))
        .await;
    assert!((0.0..SLACK).contains(&seconds_between(before, view.now)));
    let declare = Ask::Declare { title: "dark".into(), severity: Severity::Sev1, drill: false };
    host.client.ask(&declare).await.unwrap();
    let (plan, reason) = (PlanId::from("regional-failover"), "a test".to_owned());
    host.client.ask(&Ask::StartRun { plan, mode: Mode::Live, reason, unattended: true }).await.unwrap();
    let ended = |view: &Snapshot| {
        let run = view.state.run.as_ref().unwrap();
        assert!(!run.waits_for_human(false), "{:#?}", run.steps);
        !run.is_open()
    };
    let view = host.sees("the run has ended", ended).await;
    assert_eq!(view.state.run.as_ref().unwrap().outcome, Some(Outcome::Completed));
    let incident = view.state.incident.as_ref().unwrap();
    for rpo in verdict::rpo(&view.estate, incident, view.state.run.as_ref()) {
        let lost = rpo.loss.seconds().unwrap();
        assert!(lost < SLACK, "what others date is read by the wall clock: {rpo:?}");
    }
    let ages: Vec<f64> =
        view.live.probes.values().map(|it| seconds_between(it.at, view.now)).filter(|age| *age < -1.0).collect();
    assert!(ages.is_empty(), "looks of the future: {ages:?}");
    assert!(view.live.probes.values().any(|it| it.status == Status::Healthy));
}
