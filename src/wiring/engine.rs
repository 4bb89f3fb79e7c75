//! The engine as a process: running it, and starting it in the background when it is needed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{self, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::drill::automatic::Child;
use super::failure::Failure;
use super::ledger::{self, Opened};
use super::places::Places;
use super::reload::Reloader;
use super::{assemble, helm, kinds, log};
use crate::api::client::Client;
use crate::api::protocol::{ApiError, ErrorCode};
use crate::api::server::scrape::{self, Doorkeeper};
use crate::api::server::{self, Engines, Limits};
use crate::cli::args::EngineArgs;
use crate::cli::exit::Exit;
use crate::config;
use crate::domain::lead;
use crate::engine::Handle;
use crate::journal::{Lock, LockFault, folder};
use crate::outbound::secret::Keep;

/// How long the parts of an engine may take to end.
const PARTING: Duration = Duration::from_secs(3);
/// When the process ends, whatever hangs.
const LAST: Duration = Duration::from_secs(4);

/// How long a started engine may take to answer; a journal of a million events is replayed in a fraction of it.
const START: Duration = Duration::from_secs(20);

/// Runs an engine until it is told to stop. The terminal it was started from may go: SIGHUP does not end it.
///
/// # Errors
/// When the config is wrong, another engine holds the state directory, or the journal or the socket cannot be used.
pub async fn run(places: &Places, args: &EngineArgs) -> Result<(), Failure> {
    let signals = Signals::catch()?;
    let mut config = config::load(&places.config, &kinds())?;
    if args.until_stdin_closes {
        // What a drill plays on an estate is its own, and no part of the estate's journal.
        config.journal = config::journal::Journal::default();
    }
    let loaded = config.clone();
    let _lock = Lock::take(&places.state)?;
    log::bound(&places.log());
    let Opened { journal, state, pen } = ledger::open(&config.journal, places, args.name.as_deref()).await?;
    let listener = server::listen(&places.socket).map_err(|error| Failure::socket(&places.socket, &error))?;
    let metrics = match args.metrics {
        Some(address) => Some(scrape::listen(address).await.map_err(|error| Failure::metrics(address, &error))?),
        None => None,
    };
    let door =
        config.estate.alerts.token.clone().map(|token| Arc::new(Door(Keep::new(Some(token)))) as Arc<dyn Doorkeeper>);
    let driller = Arc::new(Child::new(places.clone()));
    let mut parts = assemble(config, journal.clone(), state, places.records(), Some(driller));
    parts.pen = pen.clone();
    let group = match &args.socket_group {
        Some(group) => Some(server::share(&places.socket, group).map_err(|why| Failure::shared(group, &why))?),
        None => None,
    };
    let engine = Handle::start(parts).await?;
    tracing::info!(socket = %places.socket.display(), "the engine runs");
    let stop = CancellationToken::new();
    let wanted = loaded.journal.engines;
    let (reloader, engines) = Reloader::new(places, journal, engine, loaded, stop.clone());
    let engines = Engines::new(engines, reloader.clone());
    tokio::spawn(reloader.clone().watch());
    let mut helm = pin!(helm::hold(reloader.clone(), pen, wanted, stop.clone()));
    if let Some(listener) = metrics {
        tokio::spawn(scrape::serve(listener, args.metrics_host.clone(), engines.clone(), door, stop.clone()));
    }
    let until_stdin_closes = args.until_stdin_closes;
    let (limits, socket) = (Limits { group, ..Limits::default() }, places.socket.clone());
    let mut serving = pin!(server::serve(listener, socket, engines, limits, stop.clone()));
    // In this task and in no other: it is heard while every thread of the others hangs.
    let mut served = false;
    let broken = tokio::select! {
        () = &mut serving => { served = true; false }
        () = signals.end(&reloader) => false,
        () = closed(), if until_stdin_closes => false,
        () = reloader.broken() => true,
        () = &mut helm => true,
    };
    stop.cancel();
    end_at_last(places.socket.clone());
    let _ = timeout(PARTING, async {
        if !served {
            serving.await;
        }
        reloader.now().stop().await;
    })
    .await;
    tracing::info!("the engine has stopped");
    match broken {
        false => Ok(()),
        true => Err(Failure::failed(
            "a part of the engine died by a defect of Mayday's (its log tells which), so all of it has ended; nothing is lost → start it again: mayday engine",
        )),
    }
}

/// Compares what a sender of alerts shows with the token of the config.
struct Door(Keep);

#[async_trait]
impl Doorkeeper for Door {
    async fn lets_in(&self, token: &str) -> Result<bool, String> {
        let kept = self.0.read("alerts").await.map_err(|fault| fault.what)?;
        // Of digests nothing can be learnt by how long it takes to tell them apart.
        Ok(kept.is_some_and(|kept| Sha256::digest(kept.expose()) == Sha256::digest(token)))
    }
}

/// Ends the process whatever hangs in it: what is not journalled by then is observed by the next engine.
fn end_at_last(socket: PathBuf) {
    // Without this thread the end is as good, only not as certain.
    let _ = std::thread::Builder::new().name("end".into()).spawn(move || {
        std::thread::sleep(LAST);
        let _ = std::fs::remove_file(socket);
        process::exit(1);
    });
}

/// Whoever held the other side of standard input is gone.
async fn closed() {
    let mut rest = Vec::new();
    // An error means the same as the end.
    let _ = tokio::io::stdin().read_to_end(&mut rest).await;
}

/// The signals that concern an engine. From the moment they are caught, none of them ends the process by itself.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Take the config that is on disk. A terminal that goes sends it too, which ends nothing.
    hang_up: Signal,
    /// A file has reached the limit that was set for this process: the write that did it fails, and says so.
    _file_size: Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        let file_size = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            _file_size: signal(file_size)?,
        })
    }

    /// Until somebody asks for the end.
    async fn end(mut self, reloader: &Arc<Reloader>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {}
            }
            // The end does not wait for a reload.
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                () = reloader.hung_up() => {}
            }
        }
    }
}

/// Why an engine was not stopped. Where none runs, the last thing to say is to start one.
pub fn not_stopped(places: &Places, error: ApiError) -> Failure {
    match error.code {
        ErrorCode::Unreachable if !places.socket.exists() => {
            let text = format!("no engine runs in {}, so there is nothing to stop", places.state.display());
            Failure::unreachable(text)
        }
        ErrorCode::Unreachable => Failure::unreachable(format!("{}: nothing was stopped", error.what)),
        _ => error.into(),
    }
}

/// A client of the engine of these places. One is started in the background if none answers.
///
/// # Errors
/// When none answers and none can be started: the last words of its log are part of the error.
pub async fn ensure(places: &Places) -> Result<Client, Failure> {
    let client = places.client();
    match client.snapshot().await {
        Ok(view) => {
            // Whatever is asked: that nobody leads, or that the journal is out of reach, has to be known.
            if let Some(trouble) = view.live.engines.as_deref().and_then(lead::Engines::trouble) {
                let _ = writeln!(io::stderr(), "{trouble} → mayday engines");
            }
            return Ok(client);
        }
        Err(error) if places.foreign => return Err(error.into()),
        Err(_) => {}
    }
    // Mistakes in the config are better told here than by the end of a log.
    config::load(&places.config, &kinds())?;
    let mut child = spawn(places, Stdio::null(), false)?;
    wait(places, &mut child).await?;
    // Whoever only asked how things stand has to know that something runs from now on.
    let _ =
        writeln!(io::stderr(), "started an engine in the background; it goes on running → mayday engine stop ends it");
    Ok(client)
}

/// Starts an engine in a process group of its own, so that keys pressed in this terminal do not reach it.
///
/// # Errors
/// When its log cannot be written or the process cannot be started.
pub fn spawn(places: &Places, stdin: Stdio, private: bool) -> Result<process::Child, Failure> {
    let cannot = |error: io::Error| Failure::failed(format!("an engine cannot be started: {error}"));
    let unusable = |error| LockFault::Unusable { dir: places.state.clone(), error };
    folder(&places.state)?;
    let log = log::open(&places.log()).map_err(unusable)?;
    let mut command = Command::new(std::env::current_exe().map_err(cannot)?);
    command.arg("engine").arg("--config").arg(&places.config).arg("--state-dir").arg(&places.state);
    if private {
        command.arg("--until-stdin-closes");
    }
    command.env_remove("MAYDAY_SOCKET").stdin(stdin).stdout(Stdio::null()).stderr(log).process_group(0);
    command.spawn().map_err(cannot)
}

/// Waits until a started engine answers.
///
/// # Errors
/// When it ends instead, or takes too long.
pub async fn wait(places: &Places, child: &mut process::Child) -> Result<(), Failure> {
    let (client, start) = (places.client(), Instant::now());
    loop {
        if client.snapshot().await.is_ok() {
            return Ok(());
        }
        let code = child.try_wait().ok().flatten().map(|status| status.code().unwrap_or_default());
        let exit = code.and_then(Exit::of);
        // Another command may have started one at the same moment: that one is as good, and may still be starting.
        let other = exit == Some(Exit::Refused);
        if (code.is_some() && !other) || start.elapsed() > START {
            let words = last_words(&places.log()).unwrap_or_default();
            // What kept it from starting is told here as it would have told it itself: on a full disk it cannot even log.
            let exit = exit.filter(|exit| !matches!(exit, Exit::Ok | Exit::Failed)).unwrap_or(Exit::Unreachable);
            let (why, log) = (exit.meaning(), places.log());
            let text = format!("no engine could be started: {why}; its log ({}) ends with:\n{words}", log.display());
            return Err(Failure::new(exit, text));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// The last lines of a log.
fn last_words(path: &Path) -> io::Result<String> {
    const TAIL: u64 = 2000;
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(6)..].join("\n"))
}
