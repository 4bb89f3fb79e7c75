//! What a demo, a drill and a game are played on: a lab in this process, and an engine in a child that ends when this process does,
//! however it ends. Whoever sets a stage strikes it, and is told what did not go.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde::Serialize;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::failure::Failure;
use super::places::Places;
use super::{engine, lab, sweep};
use crate::api::client::Client;
use crate::domain::estate::{Environment, ProbeSpec};
use crate::domain::health::Status;
use crate::domain::ids::{PlanId, ProbeId, SystemId};
use crate::domain::target::likeliest;
use crate::domain::time::{At, seconds_between};
use crate::domain::view::Snapshot;
use crate::lab::{Extent, Lab, Pace, alive, estate, handout};

/// What to know of every length of time on a lab that does not live at life's own speed.
pub fn of_its_pace(speed: f64) -> Option<String> {
    (speed != 1.0).then(|| {
        format!("played at {speed} times the speed of life: no length above says whether an objective would be met (--speed 1 does)")
    })
}

/// The longest that the lab may take to look healthy, or broken, to the engine: several rounds of its probes.
const SIGHT: Duration = Duration::from_secs(60);
/// The longest that everything may take to be seen well before a drill.
const WELL: Duration = Duration::from_secs(240);
/// The longest that what the engine sees may go on changing after the last event of a scenario.
const SETTLING: Duration = Duration::from_secs(240);
/// The longest that an engine, or a server of the lab, may take to end in order.
const ENDING: Duration = Duration::from_secs(5);

/// Something that was there only for the play.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// `the process 4711 of the engine`
    pub what: String,
    pub gone: bool,
}

/// The folder of an engine: removed at the end, unless somebody wants to keep it. It is claimed for as long as this process lives;
/// without that the next one sweeps it away.
pub struct Folder {
    path: PathBuf,
    keep: bool,
    _alive: File,
}

impl Folder {
    /// A new one.
    fn make() -> io::Result<Self> {
        Self::claim(tempfile::Builder::new().prefix(sweep::PREFIX).tempdir()?.keep())
    }

    /// One that was made for this process.
    pub fn claim(path: PathBuf) -> io::Result<Self> {
        let alive = alive::claim(&path)?;
        Ok(Self { path, keep: false, _alive: alive })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is swept away by the next one; what is kept is nobody's any more, so that nobody sweeps it.
        let _ = if self.keep { alive::disclaim(&self.path) } else { std::fs::remove_dir_all(&self.path) };
    }
}

/// An engine with a folder of its own.
pub struct Private {
    pub places: Places,
    child: Child,
    dir: Folder,
}

impl Private {
    /// Starts one on an estate: `config` is told the folder, and says where the config is.
    ///
    /// # Errors
    /// When the folder cannot be made, or the engine does not start.
    pub async fn start(config: impl FnOnce(&Places) -> Result<Option<PathBuf>, Failure>) -> Result<Self, Failure> {
        sweep::sweep(&std::env::temp_dir()).await;
        Self::start_in(Folder::make()?, config).await
    }

    /// The same in a folder that is there already.
    ///
    /// # Errors
    /// When the engine does not start.
    pub async fn start_in(
        dir: Folder,
        config: impl FnOnce(&Places) -> Result<Option<PathBuf>, Failure>,
    ) -> Result<Self, Failure> {
        let mut places = Places::within(dir.path());
        if let Some(other) = config(&places)? {
            places.config = other;
        }
        let mut child = engine::spawn(&places, Stdio::piped(), true)?;
        if let Err(failure) = engine::wait(&places, &mut child).await {
            kill(&mut child);
            return Err(failure);
        }
        Ok(Self { places, child, dir })
    }

    /// Its folder outlives it.
    pub fn keep(&mut self) {
        self.dir.keep = true;
    }

    pub fn client(&self) -> Client {
        self.places.client()
    }

    /// Ends the engine in order, or by force if it does not, and removes its folder.
    pub async fn end(mut self) -> Vec<Trace> {
        let pid = self.child.id();
        drop(self.child.stdin.take());
        let start = Instant::now();
        let mut in_order = false;
        while start.elapsed() < ENDING && !in_order {
            in_order = !matches!(self.child.try_wait(), Ok(None));
            sleep(Duration::from_millis(20)).await;
        }
        if !in_order {
            // It is ours, and it does not end by itself.
            kill(&mut self.child);
        }
        let socket_gone = !self.places.socket.exists();
        let path = self.dir.path().to_path_buf();
        // Whether it is gone is looked at below.
        drop(self.dir);
        vec![
            Trace { what: format!("the process {pid} of the engine, ended in order"), gone: in_order },
            Trace { what: format!("the socket {}", self.places.socket.display()), gone: socket_gone },
            Trace { what: format!("the folder {}", path.display()), gone: !path.exists() },
        ]
    }
}

fn kill(child: &mut Child) {
    // It may have ended by itself meanwhile.
    let _ = child.kill();
    let _ = child.wait();
}

/// A lab and an engine on it.
pub struct Stage {
    pub lab: Lab,
    pub engine: Private,
}

impl Stage {
    /// # Errors
    /// When the lab or the engine cannot be started.
    pub async fn set(pace: Pace, extent: Extent, environment: Environment) -> Result<Self, Failure> {
        sweep::sweep(&std::env::temp_dir()).await;
        Self::set_in(Folder::make()?, pace, extent, environment).await
    }

    /// The same in a folder that is there already.
    ///
    /// # Errors
    /// When the lab or the engine cannot be started.
    pub async fn set_in(dir: Folder, pace: Pace, extent: Extent, environment: Environment) -> Result<Self, Failure> {
        let lab = lab::start(pace, extent).await?;
        let engine = Private::start_in(dir, |places| {
            let config = estate::config_for(&lab.endpoints, pace).map_err(Failure::failed)?;
            let mut config: toml::Table =
                config.parse().map_err(|error| Failure::failed(format!("the lab: {error}")))?;
            if let Some(estate) = config.get_mut("estate").and_then(toml::Value::as_table_mut) {
                estate.insert("environment".into(), environment.word().into());
            }
            std::fs::write(&places.config, config.to_string())?;
            if let Some(dir) = places.config.parent() {
                handout::write(&lab.endpoints, dir)?;
            }
            Ok(None)
        })
        .await?;
        Ok(Self { lab, engine })
    }

    pub fn client(&self) -> Client {
        self.engine.client()
    }

    pub async fn strike(self) -> Vec<Trace> {
        let Self { lab, engine } = self;
        let mut traces = engine.end().await;
        traces.push(stop(lab).await);
        traces
    }
}

/// Stops a lab: all its servers, and everything that was broken or changed in it, go with it.
pub async fn stop(lab: Lab) -> Trace {
    let endpoints = lab.endpoints.clone();
    drop(lab);
    let mut open = Vec::new();
    for (name, address) in &endpoints {
        if still_listens(address).await {
            open.push(name.as_str());
        }
    }
    let what = match open.is_empty() {
        true => format!("the {} servers of the lab, with all that was broken and changed in it", endpoints.len()),
        false => format!("servers of the lab: {}", open.join(", ")),
    };
    Trace { what, gone: open.is_empty() }
}

async fn still_listens(address: &str) -> bool {
    let host = address.split_once("://").map_or(address, |(_, rest)| rest);
    let Ok(address) = host.trim_end_matches('/').parse::<SocketAddr>() else { return false };
    let start = Instant::now();
    while start.elapsed() < ENDING {
        if TcpStream::connect(address).await.is_err() {
            return false;
        }
        sleep(Duration::from_millis(20)).await;
    }
    true
}

/// Waits until what the engine sees is so.
///
/// # Errors
/// When it does not see it in time, or is lost.
pub async fn until(client: &Client, what: &str, holds: impl Fn(&Snapshot) -> bool) -> Result<Snapshot, Failure> {
    let wait = async {
        loop {
            let view = client.snapshot().await?;
            if holds(&view) {
                return Ok(view);
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let late = || Failure::failed(format!("the engine did not see {what} within {} s", SIGHT.as_secs()));
    timeout(SIGHT, wait).await.unwrap_or_else(|_| Err(late()))
}

/// Waits until every probe has found its subject healthy, and every datastore was seen: not all at the same moment, because what is
/// slow for a moment on a busy machine is not what is looked for.
///
/// # Errors
/// When that does not happen in time, or the engine is lost.
pub async fn until_well(client: &Client) -> Result<(), Failure> {
    let start = Instant::now();
    let mut well = BTreeSet::new();
    loop {
        let view = client.snapshot().await?;
        let healthy = view.live.probes.iter().filter(|(_, it)| it.status == Status::Healthy);
        well.extend(healthy.map(|(id, _)| id.clone()));
        let ill = view.estate.probes.iter().find(|it| !well.contains(&it.id));
        let unseen = view.estate.datastores().find(|it| !is_seen(&view, &it.id));
        if ill.is_none() && unseen.is_none() {
            return Ok(());
        }
        if start.elapsed() > WELL {
            let what = ill.map(|it| it.id.to_string()).or(unseen.map(|it| it.id.to_string())).unwrap_or_default();
            return Err(Failure::failed(format!("{what} was not seen healthy within {} s", WELL.as_secs())));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn is_seen(view: &Snapshot, store: &SystemId) -> bool {
    view.live.surveys.get(store).is_some_and(|it| it.survey.standby_point.is_some())
}

/// Every probe and every datastore was seen, and all is well.
pub fn is_healthy(view: &Snapshot) -> bool {
    let probes =
        view.estate.probes.iter().all(|it| view.live.probes.get(&it.id).is_some_and(|it| it.status == Status::Healthy));
    probes && view.estate.datastores().all(|store| is_seen(view, &store.id))
}

/// The plan that what happens calls for, as soon as a rule of the plan begins to count: the one that is `wanted`, else the rule's own.
/// `None` when everything has happened (`play` is over) and nothing has to be failed over.
///
/// # Errors
/// When no plan answers the rule, or the engine is lost.
pub async fn called_for(
    client: &Client,
    play: &JoinHandle<()>,
    wanted: Option<PlanId>,
) -> Result<Option<PlanId>, Failure> {
    let mut quiet = Quiet::default();
    let start = Instant::now();
    let mut over: Option<(Instant, At)> = None;
    loop {
        let view = client.snapshot().await?;
        if let Some(trigger) = view.triggers(view.now).into_iter().next() {
            let missing = || Failure::failed(format!("{}, and no plan answers that", trigger.evidence));
            let wanted = wanted.map(|wanted| likeliest(&view, &wanted));
            return wanted.or(trigger.plan).ok_or_else(missing).map(Some);
        }
        if play.is_finished() && over.is_none() {
            eprintln!("all of it has happened {} s after the start", start.elapsed().as_secs());
            over = Some((Instant::now(), view.now));
        }
        if let Some((since, at)) = over {
            if quiet.is_settled(&view, at) {
                return Ok(None);
            }
            if since.elapsed() > SETTLING {
                eprintln!("what the engine sees has not settled within {} s", SETTLING.as_secs());
                return Ok(None);
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// What the engine believed, and since when.
#[derive(Default)]
struct Quiet {
    statuses: BTreeMap<ProbeId, Status>,
    since: Option<At>,
}

impl Quiet {
    /// Whether no status has changed for as long as one can take to, and every store and every backup was looked at since `over`.
    fn is_settled(&mut self, view: &Snapshot, over: At) -> bool {
        let statuses: BTreeMap<ProbeId, Status> =
            view.live.probes.iter().map(|(id, known)| (id.clone(), known.status)).collect();
        if self.since.is_none() || self.statuses != statuses {
            (self.statuses, self.since) = (statuses, Some(view.now));
        }
        let turns = |it: &ProbeSpec| it.every.0 * u32::from(it.fall.max(it.rise) + 1) + it.timeout.0;
        let longest = view.estate.probes.iter().map(turns).max().unwrap_or_default();
        let calm = self.since.is_some_and(|since| seconds_between(since, view.now) > longest.as_secs_f64());
        let stores = view.estate.datastores().all(|it| view.live.surveys.get(&it.id).and_then(|it| it.at) > Some(over));
        let backups =
            view.estate.backups.iter().all(|it| view.live.backups.get(&it.id).and_then(|it| it.at) > Some(over));
        calm && stores && backups
    }
}

/// Whether the lab's own client, which knows nothing of Mayday, has written and read since the run ended.
pub async fn client_is_served(lab: &Lab) -> bool {
    let since = jiff::Timestamp::now();
    let served = async {
        while lab.world.truth().client.last_success.is_none_or(|at| at <= since) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SIGHT, served).await.is_ok()
}
