//! What the cockpit promises of the wire to its terminal: measured on the real program in a pseudo-terminal of 120x40.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use mayday::api::server::{self, Limits};
use mayday::domain::command::Ask;
use mayday::domain::estate::{ProbeSpec, Subject};
use mayday::domain::health::Reading;
use mayday::domain::incident::Severity;
use mayday::domain::params::Params;
use mayday::domain::plan::StepSpec;
use mayday::domain::recovery::Survey;
use mayday::domain::run::{Mode, Run};
use mayday::domain::state::State;
use mayday::domain::system::{Fault, Step, System};
use mayday::domain::time::Span;
use mayday::engine::Handle;
use mayday::journal::SqliteJournal;
use mayday::lab::{Lab, Pace, estate};
use mayday::{config, wiring};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::{Figure, MAYDAY, PATIENCE, Result, Stage, median, milliseconds, scratch, socket};

const COLUMNS: u16 = 120;
const ROWS: u16 = 40;
/// So many probes report every five seconds while keys are pressed.
const CROWD: usize = 10_000;

/// All the figures of the wire.
pub async fn measure() -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let stage = Stage::set(Pace(1.0)).await?;
    let path = stage.client.socket().to_path_buf();
    let mut starts = Vec::new();
    for _ in 0..15 {
        let path = path.clone();
        starts.push(spawn_blocking(move || start(&path)).await??);
    }
    figures.push(Figure::below("cockpit: start to the first true frame", 100.0, median(starts), "ms"));
    let quiet = path.clone();
    let idle = spawn_blocking(move || idle(&quiet)).await??;
    figures.push(Figure::below("cockpit, idle in peace, at 120x40", 250.0, idle, "B/s"));
    stage.client.ask(&Ask::Declare { title: "bench".into(), severity: Severity::Sev2, drill: false }).await?;
    let clocks = path.clone();
    let idle = spawn_blocking(move || self::idle(&clocks)).await??;
    figures.push(Figure::below("cockpit, idle with every clock running", 250.0, idle, "B/s"));
    let (plan, reason) = ("regional-failover".into(), "bench".into());
    stage.client.ask(&Ask::StartRun { plan, mode: Mode::Live, reason, unattended: false }).await?;
    let waits = |run: &Run| run.waits_for_human(false);
    stage.until("a gate open", |view| view.state.run.as_ref().is_some_and(waits)).await?;
    let idle = spawn_blocking(move || self::idle(&path)).await??;
    figures.push(Figure::below("cockpit, with a run that waits at a gate", 1000.0, idle, "B/s"));
    drop(stage);
    let crowd = Crowd::start().await?;
    let path = crowd.socket.clone();
    let mut times = spawn_blocking(move || keys(&path)).await??;
    crowd.end().await;
    times.sort_by(f64::total_cmp);
    let worst = times[times.len() * 99 / 100];
    figures.push(Figure::below("cockpit: key to screen under 10,000 probes, p99", 20.0, worst, "ms"));
    Ok(figures)
}

/// A cockpit in a pseudo-terminal, read by a thread.
struct Cockpit {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    got: Arc<Mutex<(vt100::Parser, usize)>>,
    _master: Box<dyn MasterPty + Send>,
}

impl Cockpit {
    fn open(path: &Path) -> Result<Self> {
        let size = PtySize { rows: ROWS, cols: COLUMNS, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size)?;
        let mut command = CommandBuilder::new(MAYDAY);
        command.arg("--socket");
        command.arg(path);
        for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("COLORTERM", "truecolor")] {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command)?;
        let got = Arc::new(Mutex::new((vt100::Parser::new(ROWS, COLUMNS, 0), 0)));
        let (mut reader, into) = (pair.master.try_clone_reader()?, got.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 65_536];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                if let Ok(mut got) = into.lock() {
                    got.0.process(&bytes[..count]);
                    got.1 += count;
                }
            }
        });
        Ok(Self { child, keys: pair.master.take_writer()?, got, _master: pair.master })
    }

    fn see<T>(&self, look: impl Fn(&(vt100::Parser, usize)) -> T) -> Result<T> {
        self.got.lock().map(|got| look(&got)).map_err(|_| "the reader of the terminal has failed".into())
    }

    /// Waits until the screen is as wanted; says how long that took.
    fn until(&self, since: Instant, wanted: impl Fn(&str) -> bool) -> Result<f64> {
        while since.elapsed() < PATIENCE {
            if self.see(|(screen, _)| wanted(&screen.screen().contents()))? {
                return Ok(milliseconds(since));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Err(format!("the cockpit does not show it:\n{}", self.see(|(screen, _)| screen.screen().contents())?).into())
    }

    fn press(&mut self, key: &[u8]) -> Result<Instant> {
        let since = Instant::now();
        self.keys.write_all(key)?;
        self.keys.flush()?;
        Ok(since)
    }
}

impl Drop for Cockpit {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_true(screen: &str) -> bool {
    screen.contains("● live") && screen.contains("1 services")
}

fn start(path: &Path) -> Result<f64> {
    let since = Instant::now();
    Cockpit::open(path)?.until(since, is_true)
}

/// Bytes a second to the terminal, once all is drawn, while the probes go on.
fn idle(path: &Path) -> Result<f64> {
    const LONG: Duration = Duration::from_secs(30);
    let cockpit = Cockpit::open(path)?;
    cockpit.until(Instant::now(), is_true)?;
    std::thread::sleep(Duration::from_secs(3));
    let (since, before) = (Instant::now(), cockpit.see(|(_, bytes)| *bytes)?);
    std::thread::sleep(LONG);
    Ok((cockpit.see(|(_, bytes)| *bytes)? - before) as f64 / since.elapsed().as_secs_f64())
}

/// From a key to what it does on the screen: help comes, and goes.
fn keys(path: &Path) -> Result<Vec<f64>> {
    const HELP: &str = "where you are";
    let mut cockpit = Cockpit::open(path)?;
    cockpit.until(Instant::now(), is_true)?;
    let mut times = Vec::new();
    for number in 0..500u64 {
        // At every moment of the second, so that what is drawn by itself is met as well.
        std::thread::sleep(Duration::from_millis(5 + number * 7 % 31));
        let since = cockpit.press(b"?")?;
        times.push(cockpit.until(since, |screen| screen.contains(HELP))?);
        std::thread::sleep(Duration::from_millis(5 + number * 11 % 29));
        let since = cockpit.press(b"\x1b")?;
        times.push(cockpit.until(since, |screen| !screen.contains(HELP))?);
    }
    Ok(times)
}

/// An engine in this process, with the lab's estate and ten thousand probes more.
struct Crowd {
    socket: std::path::PathBuf,
    engine: Handle,
    serving: JoinHandle<()>,
    stop: CancellationToken,
    _lab: Lab,
    _dir: tempfile::TempDir,
}

impl Crowd {
    async fn start() -> Result<Self> {
        let lab = Lab::start(Pace(1.0)).await?;
        let dir = scratch()?;
        let text = estate::config_for(&lab.endpoints, Pace(1.0))?;
        let mut config = config::parse(&text, &dir.path().join("config.toml"), &wiring::kinds())?;
        config.estate.probes.extend((0..CROWD).map(|number| ProbeSpec {
            id: format!("crowd-{number}").into(),
            kind: "crowd".into(),
            system: "crowd".into(),
            subject: Subject::System("crowd".into()),
            region: None,
            every: Span::secs(5),
            timeout: Span::secs(2),
            fall: 3,
            window: None,
            rise: 2,
            params: Params::default(),
        }));
        let journal = Arc::new(SqliteJournal::open(dir.path()).await?);
        let mut parts = wiring::assemble(config, journal, State::default(), dir.path().join("records"), None);
        parts.systems.insert("crowd".into(), Arc::new(Talker));
        let socket = socket(dir.path())?;
        let listener = server::listen(&socket)?;
        let engine = Handle::start(parts).await?;
        let stop = CancellationToken::new();
        let serving = server::serve(listener, socket.clone(), engine.clone(), Limits::default(), stop.clone());
        Ok(Self { socket, engine, serving: tokio::spawn(serving), stop, _lab: lab, _dir: dir })
    }

    async fn end(self) {
        self.stop.cancel();
        let _ = self.serving.await;
        self.engine.stop().await;
    }
}

/// Always has something to say.
struct Talker;

#[async_trait]
impl System for Talker {
    async fn probe(&self, probe: &ProbeSpec) -> Reading {
        let latency = probe.id.as_str().bytes().map(u32::from).sum::<u32>() % 90;
        Reading { latency_ms: Some(latency), ..Reading::healthy("as ever") }
    }

    async fn survey(&self) -> std::result::Result<Survey, Fault> {
        Err(Fault::permanent("crowd", "keeps nothing"))
    }

    fn step(&self, _: &StepSpec) -> std::result::Result<Arc<dyn Step>, Fault> {
        Err(Fault::permanent("crowd", "does nothing"))
    }
}
