//! The figures that Mayday promises, measured on this machine: `cargo bench --profile dist`, with `-- replay` for those whose name has a
//! word in it. Ends with 1 if one is missed.

mod terminal;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mayday::api::client::Client;
use mayday::domain::actor::Actor;
use mayday::domain::command::Ask;
use mayday::domain::event::{Event, Record};
use mayday::domain::health::Status;
use mayday::domain::incident::Severity;
use mayday::domain::journal::{Journal, Records};
use mayday::domain::run::{Mode, Outcome, Run};
use mayday::domain::time::seconds_between;
use mayday::domain::view::Snapshot;
use mayday::engine::Pen;
use mayday::journal::{SqliteJournal, replay, resume};
use mayday::lab::faults::Condition;
use mayday::lab::kubernetes::SERVICES;
use mayday::lab::rds::{REPLICA, State};
use mayday::lab::world::{FRONT_DOORS, Mutation, Truth};
use mayday::lab::{Lab, PRIMARY, Pace, estate};
use tempfile::TempDir;
use tokio::time::sleep;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const MAYDAY: &str = env!("CARGO_BIN_EXE_mayday");
/// How long anything is waited for before the measurement counts as failed.
const PATIENCE: Duration = Duration::from_secs(300);

/// A figure with its target, as they are printed.
struct Figure {
    name: String,
    target: String,
    measured: String,
    met: bool,
}

impl Figure {
    fn below(name: &str, limit: f64, measured: f64, unit: &str) -> Self {
        let figure =
            |value: f64| if value < 10.0 { format!("{value:.2} {unit}") } else { format!("{value:.0} {unit}") };
        let (target, met) = (format!("< {}", figure(limit).replace(".00", "")), measured < limit);
        Self { name: name.into(), target, measured: figure(measured), met }
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    match tokio::runtime::Runtime::new().map_err(Into::into).and_then(|runtime| runtime.block_on(measure(&wanted))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("could not be measured: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and prints; whether all targets are met.
async fn measure(wanted: &impl Fn(&str) -> bool) -> Result<bool> {
    println!("{:<44} {:<16} {:<24}", "figure", "target", "measured");
    let mut all = true;
    let mut show = |figure: Figure| {
        let word = if figure.met { "" } else { "MISSED" };
        println!("{:<44} {:<16} {:<24} {word}", figure.name, figure.target, figure.measured);
        all &= figure.met;
    };
    if wanted("start") {
        show(start()?);
    }
    if wanted("append") {
        show(append().await?);
    }
    if wanted("replay") {
        replayed().await?.into_iter().for_each(&mut show);
    }
    if wanted("idle") {
        idle().await?.into_iter().for_each(&mut show);
    }
    if wanted("cockpit") {
        terminal::measure().await?.into_iter().for_each(&mut show);
    }
    if wanted("probes") {
        many_probes().await?.into_iter().for_each(&mut show);
    }
    if wanted("people") {
        show(people().await?);
    }
    if wanted("failover") {
        for speed in [5.0, 10.0, 20.0, 50.0] {
            show(failover(Pace(speed), false).await?);
        }
        // What waits for a region that is silent waits as long at every speed of the lab: only at that of life does it say something.
        show(failover(Pace(1.0), true).await?);
    }
    Ok(all)
}

/// On the disk that the build is on: `/tmp` may be memory.
fn scratch() -> Result<TempDir> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

/// From the start of the process to its end.
fn start() -> Result<Figure> {
    let mut times = Vec::new();
    for _ in 0..50 {
        let since = Instant::now();
        let status = Command::new(MAYDAY).arg("--help").stdout(Stdio::null()).status()?;
        times.push(milliseconds(since));
        assert!(status.success());
    }
    Ok(Figure::below("start of `mayday --help`, median of 50", 20.0, median(times), "ms"))
}

/// What a journal is made of: mostly what was seen, and what people say. As long as the records of a real failover are.
fn event(number: usize) -> (Actor, Event) {
    let region = if number.is_multiple_of(3) { "us-east-1" } else { "us-west-2" };
    if number.is_multiple_of(10) {
        let person = Actor::named("engineer", Some(1000));
        let text = format!(
            "note {number}: the database team is looking at it, the vendor was called (case 4711-{number}); the replica in {region} is \
            43 s behind and catching up, the connection pools of checkout and search were emptied by hand, next look in ten minutes"
        );
        return (person, Event::NoteAdded { text });
    }
    let to = if number.is_multiple_of(2) { Status::Down } else { Status::Healthy };
    let service = number % 40;
    let probe = format!("service-{service}.http.get.{region}").into();
    let detail = format!(
        "https://service-{service}.{region}.gennet.example:443/healthz: connection refused (os error 111) in 3 of 3 looks within 2s; the \
        last answer was 200 in {} ms, from 10.{}.{}.17",
        number % 900,
        number % 250,
        number % 240
    );
    let event = Event::ProbeChanged { probe, to, detail, last_healthy: Some(Timestamp::now()), trouble: None };
    (Actor::engine(), event)
}

async fn append() -> Result<Figure> {
    let dir = scratch()?;
    let pen = Pen::alone(Arc::new(SqliteJournal::open(dir.path()).await?)).await?;
    let mut times = Vec::new();
    for number in 0..1000 {
        let since = Instant::now();
        pen.append(Timestamp::now(), vec![event(number)]).await?;
        times.push(milliseconds(since));
    }
    Ok(Figure::below("journal append, on disk, median of 1000", 5.0, median(times), "ms"))
}

/// A journal of a million records: what an engine's start, a verification and a fold from the first record take.
async fn replayed() -> Result<[Figure; 4]> {
    const EVENTS: usize = 1_000_000;
    const BATCH: usize = 10_000;
    let dir = scratch()?;
    let journal = Arc::new(SqliteJournal::open(dir.path()).await?);
    let pen = Pen::alone(journal.clone()).await?;
    for batch in 0..EVENTS / BATCH {
        let events = (0..BATCH).map(|number| event(batch * BATCH + number)).collect();
        pen.append(Timestamp::now(), events).await?;
    }
    let since = Instant::now();
    let state = replay(journal.reader()).await?;
    let folded = since.elapsed().as_secs_f64();
    assert_eq!(state.seq, EVENTS as u64);
    journal.keep(&state).await?;
    journal.close().await;
    drop((journal, pen));
    let bytes = fs::metadata(dir.path().join("journal.db"))?.len() as f64 / EVENTS as f64;
    let since = Instant::now();
    let journal = SqliteJournal::open(dir.path()).await?;
    assert_eq!(resume(journal.reader()).await?, state);
    let started = since.elapsed().as_secs_f64();
    let since = Instant::now();
    let chain = journal.verify().await?;
    let verified = since.elapsed().as_secs_f64();
    assert_eq!(chain.records, EVENTS as u64);
    let size = Figure {
        name: "  a record of it takes so much on disk".into(),
        target: "> 350 bytes (real)".into(),
        measured: format!("{bytes:.0} bytes"),
        met: bytes > 350.0,
    };
    Ok([
        Figure::below("start on 1,000,000 records: state known", 0.5, started, "s"),
        Figure::below("verification of 1,000,000 records", 2.0, verified, "s"),
        Figure::below("first start of another build: all folded", 10.0, folded, "s"),
        size,
    ])
}

/// An engine in a process of its own, on a lab in this one.
struct Stage {
    lab: Lab,
    engine: Ended,
    client: Client,
    _dir: TempDir,
}

impl Stage {
    async fn set(pace: Pace) -> Result<Self> {
        let lab = Lab::start(pace).await?;
        let (engine, client, dir) = engine(&estate::config_for(&lab.endpoints, pace)?)?;
        let stage = Self { lab, engine, client, _dir: dir };
        stage.until("the lab healthy", is_ready).await?;
        Ok(stage)
    }

    async fn until(&self, what: &str, holds: impl Fn(&Snapshot) -> bool) -> Result<Snapshot> {
        until(&self.client, what, Duration::from_millis(50), holds).await
    }
}

/// A process that ends with the value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An engine of a config, in a directory of its own.
fn engine(config: &str) -> Result<(Ended, Client, TempDir)> {
    let dir = scratch()?;
    let (path, state) = (dir.path().join("config.toml"), dir.path().join("state"));
    fs::write(&path, config)?;
    let mut command = Command::new(MAYDAY);
    command.arg("engine").arg("--config").arg(path).arg("--state-dir").arg(&state).arg("--until-stdin-closes");
    let engine = command.env("MAYDAY_LOG", "warn").stdin(Stdio::piped()).spawn()?;
    Ok((Ended(engine), Client::new(socket(&state)?), dir))
}

/// Looks once in `every` until something holds.
async fn until(client: &Client, what: &str, every: Duration, holds: impl Fn(&Snapshot) -> bool) -> Result<Snapshot> {
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        if let Ok(view) = client.snapshot().await
            && holds(&view)
        {
            return Ok(view);
        }
        sleep(every).await;
    }
    Err(format!("the engine did not see {what}").into())
}

/// A socket's path has to be short, and the build's may be long.
fn socket(state: &Path) -> Result<std::path::PathBuf> {
    let path = state.join("engine.sock");
    if path.as_os_str().len() > 107 {
        Err("the build's directory has too long a path for a socket".into())
    } else {
        Ok(path)
    }
}

fn is_ready(view: &Snapshot) -> bool {
    let seen = |id| view.live.probes.get(id).is_some_and(|it| it.status == Status::Healthy);
    let known = |id| view.live.surveys.get(id).is_some_and(|it| it.survey.standby_point.is_some());
    view.estate.probes.iter().all(|it| seen(&it.id)) && view.estate.datastores().all(|store| known(&store.id))
}

/// The lab's whole estate watched at its real pace, by nobody attached.
async fn idle() -> Result<[Figure; 2]> {
    const LONG: Duration = Duration::from_secs(20);
    let stage = Stage::set(Pace(1.0)).await?;
    let pid = stage.engine.0.id();
    let (since, before) = (Instant::now(), cpu_seconds(pid)?);
    sleep(LONG).await;
    let share = (cpu_seconds(pid)? - before) / since.elapsed().as_secs_f64() * 100.0;
    Ok([
        Figure::below("idle engine: resident memory", 60.0, resident_megabytes(pid)?, "MB"),
        Figure::below("idle engine: share of a core over 20 s", 1.0, share, "%"),
    ])
}

/// An estate of 10,000 probes, each an HTTP request over a connection of its own, every ten seconds.
async fn many_probes() -> Result<[Figure; 3]> {
    const LONG: Duration = Duration::from_secs(30);
    let (server, url) = answering(|| true).await?;
    let (engine, client, _dir) = engine(&many(&url))?;
    until(&client, "10,000 healthy probes", Duration::from_secs(1), |view| healthy(view) == PROBES).await?;
    let pid = engine.0.id();
    let (since, before, seen) = (Instant::now(), cpu_seconds(pid)?, Timestamp::now());
    sleep(LONG).await;
    let share = (cpu_seconds(pid)? - before) / since.elapsed().as_secs_f64() * 100.0;
    let memory = resident_megabytes(pid)?;
    let view = client.snapshot().await?;
    let late = view.live.probes.values().map(|it| seconds_between(it.at, view.now)).fold(0.0, f64::max);
    if view.live.probes.values().any(|it| it.at <= seen || it.status != Status::Healthy) {
        return Err("a probe was left out".into());
    }
    server.abort();
    Ok([
        Figure::below("10,000 probes every 10 s: share of a core", 100.0, share, "%"),
        Figure::below("10,000 probes every 10 s: resident memory", 150.0, memory, "MB"),
        Figure::below("10,000 probes every 10 s: oldest reading", 13.0, late, "s"),
    ])
}

/// What people ask for while every one of 10,000 probes changes at every look, a thousand a second.
async fn people() -> Result<Figure> {
    const ASKS: usize = 200;
    let began = Instant::now();
    // Well for one round of looks, ill for the next.
    let (server, url) = answering(move || (began.elapsed().as_secs() / 10).is_multiple_of(2)).await?;
    let (_engine, client, _dir) = engine(&many(&url))?;
    let changed = |view: &Snapshot| view.state.seq > 2 * PROBES as u64;
    until(&client, "every probe changed twice", Duration::from_secs(1), changed).await?;
    let mut times = Vec::new();
    for number in 0..ASKS {
        let ask = match number % 4 {
            0 => Ask::Hold { reason: "wait".into() },
            1 => Ask::Declare { title: "bench".into(), severity: Severity::Sev2, drill: false },
            2 => Ask::Release { reason: String::new() },
            _ => Ask::CloseIncident { note: "bench".into(), despite: "a bench ticks nothing".into(), tell: false },
        };
        let since = Instant::now();
        client.ask(&ask).await?;
        times.push(milliseconds(since));
        sleep(Duration::from_millis(50)).await;
    }
    server.abort();
    times.sort_by(f64::total_cmp);
    let slowest = times[ASKS * 99 / 100];
    Ok(Figure::below("HOLD, declare while 10,000 probes change: p99", 100.0, slowest, "ms"))
}

const PROBES: usize = 10_000;

fn healthy(view: &Snapshot) -> usize {
    view.live.probes.values().filter(|it| it.status == Status::Healthy).count()
}

/// A server that answers 200 while it is well, and 503 while it is not.
async fn answering(
    well: impl Fn() -> bool + Clone + Send + Sync + 'static,
) -> Result<(tokio::task::JoinHandle<std::io::Result<()>>, String)> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let answer = move || async move {
        if well() { axum::http::StatusCode::OK } else { axum::http::StatusCode::SERVICE_UNAVAILABLE }
    };
    let router = axum::Router::new().route("/", axum::routing::get(answer));
    Ok((tokio::spawn(async move { axum::serve(listener, router).await }), url))
}

/// The config of an estate with [`PROBES`] probes of that URL.
fn many(url: &str) -> String {
    const SERVICES: usize = 100;
    let mut config = MANY.to_owned();
    for service in 0..SERVICES {
        config += &format!("[[service]]\nid = \"service-{service}\"\ntier = \"standard\"\n");
        for probe in 0..PROBES / SERVICES {
            let region = if probe % 2 == 0 { "east" } else { "west" };
            config += &format!(
                "[[service.probe]]\nid = \"probe-{service}-{probe}\"\nkind = \"http.get\"\nregion = \"{region}\"\nurl = \"{url}\"\n"
            );
        }
    }
    config
}

/// What the estate of many probes begins with.
const MANY: &str = r#"
[estate]
name = "Many"
environment = "test"
[objectives.rto]
critical = "5m"
standard = "15m"
platform = "30m"
[objectives.rpo]
[probe]
every = "10s"
timeout = "2s"
fall = 1
rise = 1
[[region]]
id = "east"
role = "primary"
[[region]]
id = "west"
role = "standby"
"#;

/// Linux tells programs their times in hundredths of a second, whatever its own clock does.
const USER_HZ: f64 = 100.0;

/// Of a process and of those that it has waited for.
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything; state is the first field after it, utime the twelfth.
    let fields = stat.rsplit_once(") ").ok_or("no such process")?.1.split(' ');
    let ticks: u64 = fields.skip(11).take(4).map(str::parse::<u64>).sum::<std::result::Result<_, _>>()?;
    Ok(ticks as f64 / USER_HZ)
}

fn resident_megabytes(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no resident memory")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

/// What the plan's longest chain cannot do without: a change, and how the world shows its effect.
struct Wait {
    action: &'static str,
    place: String,
    holds: fn(&Truth) -> bool,
}

/// The writers' pods are gone, then the replica is promoted, then the zone's servers answer without the region that is left.
fn critical_path() -> [Wait; 3] {
    let gone = |truth: &Truth| SERVICES.iter().all(|it| truth.kubernetes[PRIMARY].pods(it.name) == 0);
    let promoted = |truth: &Truth| {
        let replica = truth.rds.instance(REPLICA);
        replica.is_some_and(|it| it.source.is_none() && it.state == State::Available)
    };
    let served = |truth: &Truth| truth.route53.resolve("app.gennet.example") == Some(FRONT_DOORS[1].1);
    [
        Wait { action: "PATCH deployments/scale", place: format!("kubernetes@{PRIMARY}"), holds: gone },
        Wait { action: "PromoteReadReplica", place: "rds@us-west-2".into(), holds: promoted },
        Wait { action: "PutObject", place: "s3@us-west-2".into(), holds: served },
    ]
}

impl Wait {
    /// From the last call that the world accepted for it.
    fn began(&self, truth: &Truth) -> Option<Timestamp> {
        let its = |it: &&Mutation| it.accepted && it.action == self.action && it.place == self.place;
        truth.ledger.iter().rfind(its).map(|it| it.at)
    }

    /// How long the world takes, in seconds.
    async fn takes(self, lab: &Lab) -> f64 {
        loop {
            {
                let truth = lab.world.truth();
                if let Some(began) = self.began(&truth).filter(|_| (self.holds)(&truth)) {
                    return seconds_between(began, Timestamp::now());
                }
            }
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// The whole regional failover, from the command to the end of its record, held against what the world alone takes on its longest chain.
async fn failover(pace: Pace, dark: bool) -> Result<Figure> {
    let stage = Stage::set(pace).await?;
    // A living leader of the graph cannot be made to step down.
    let (place, condition) = if dark { ("*", Condition::Dark) } else { ("neo4j", Condition::Refused) };
    stage.lab.world.truth().faults.set(&format!("{place}@{PRIMARY}"), condition);
    if dark {
        stage.until("the region dark", is_lost).await?;
    }
    stage.client.ask(&Ask::Declare { title: "bench".into(), severity: Severity::Sev2, drill: false }).await?;
    let (plan, reason) = ("regional-failover".into(), "bench".into());
    stage.client.ask(&Ask::StartRun { plan, mode: Mode::Live, reason, unattended: true }).await?;
    let path = critical_path();
    // In a dark region nobody can be stopped.
    let waits = path.into_iter().skip(usize::from(dark)).map(|wait| wait.takes(&stage.lab));
    let over = |run: &Run| run.outcome.is_some() || run.waits_for_human(false);
    let (waits, view) = tokio::join!(
        futures::future::join_all(waits),
        stage.until("the end", |view| view.state.run.as_ref().is_some_and(over))
    );
    let run = view?.state.run.ok_or("there was no run")?;
    if run.outcome != Some(Outcome::Completed) {
        return Err(format!("the failover did not end well: {:#?}", run.steps).into());
    }
    let took = duration(&stage.client.records(0, 100_000).await?)?;
    let path: f64 = waits.iter().sum();
    let (over, allowed) = (took - path, path * 0.01 + 1.0);
    Ok(Figure {
        name: format!("failover at {}x{}: longer than its path", pace.0, if dark { ", region dark" } else { "" }),
        target: format!("< {allowed:.2} s (1 % + 1 s)"),
        measured: format!("{over:.2} s ({took:.1} of {path:.1} s)"),
        met: over < allowed,
    })
}

/// No service of the primary region is healthy any more.
fn is_lost(view: &Snapshot) -> bool {
    let mut there = view.estate.probes.iter().filter(|it| it.region.as_ref().is_some_and(|it| it.as_str() == PRIMARY));
    there.all(|it| view.live.probes.get(&it.id).is_some_and(|it| it.status != Status::Healthy))
}

/// From the start of the run to its end, as journalled.
fn duration(records: &[Record]) -> Result<f64> {
    let at = |is: fn(&Event) -> bool| records.iter().rfind(|record| is(&record.event)).map(|record| record.at);
    let began = at(|event| matches!(event, Event::RunStarted { .. }));
    let ended = at(|event| matches!(event, Event::RunEnded { .. }));
    began.zip(ended).map(|(began, ended)| seconds_between(began, ended)).ok_or_else(|| "no whole run".into())
}
