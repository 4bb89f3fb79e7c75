//! The engine as a process: running it, and starting it in the background when it is needed.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::places::Places;
use super::{assemble, kinds};
use crate::api::client::Client;
use crate::api::server;
use crate::config;
use crate::engine::Handle;
use crate::journal::{Lock, SqliteJournal, replay};

/// How long a started engine may take to answer; a journal of a million events is replayed in a fraction of it.
const START: Duration = Duration::from_secs(20);

/// Runs an engine until it is told to stop. The terminal it was started from may go: SIGHUP does not end it.
///
/// # Errors
/// When the config is wrong, another engine holds the state directory, or the journal or the socket cannot be used.
pub async fn run(places: &Places, until_stdin_closes: bool) -> Result<(), Failure> {
    let config = config::load(&places.config, &kinds())?;
    let _lock = Lock::take(&places.state)?;
    let journal = SqliteJournal::open(&places.state).await?;
    let state = replay(&journal).await?;
    let listener = server::listen(&places.socket).map_err(|error| Failure::socket(&places.socket, &error))?;
    let engine = Handle::start(assemble(config, Arc::new(journal), state, places.records())).await?;
    tracing::info!(socket = %places.socket.display(), "the engine runs");
    let stop = CancellationToken::new();
    tokio::spawn(wait_for_the_end(stop.clone(), until_stdin_closes));
    let served = server::serve(listener, places.socket.clone(), engine.clone(), stop).await;
    engine.stop().await;
    tracing::info!("the engine has stopped");
    served.map_err(|error| Failure::socket(&places.socket, &error))
}

async fn wait_for_the_end(stop: CancellationToken, until_stdin_closes: bool) {
    let closed = async {
        if until_stdin_closes {
            let mut rest = Vec::new();
            // An error means the same as the end: whoever held the other side is gone.
            let _ = tokio::io::stdin().read_to_end(&mut rest).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    let on = |kind| async move {
        match signal(kind) {
            Ok(mut signals) => {
                signals.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    let hang_ups = async {
        // Registered so that it no longer ends the process.
        if let Ok(mut signals) = signal(SignalKind::hangup()) {
            while signals.recv().await.is_some() {}
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = on(SignalKind::terminate()) => {}
        () = on(SignalKind::interrupt()) => {}
        () = closed => {}
        () = hang_ups => {}
    }
    stop.cancel();
}

/// A client of the engine of these places. One is started in the background if none answers.
///
/// # Errors
/// When none answers and none can be started: the last words of its log are part of the error.
pub async fn ensure(places: &Places) -> Result<Client, Failure> {
    let client = Client::new(&places.socket);
    match client.snapshot().await {
        Ok(_) => return Ok(client),
        Err(error) if places.foreign => return Err(error.into()),
        Err(_) => {}
    }
    // Mistakes in the config are better told here than by the end of a log.
    config::load(&places.config, &kinds())?;
    let mut child = spawn(places, Stdio::null(), false)?;
    wait(places, &mut child).await?;
    Ok(client)
}

/// Starts an engine in a process group of its own, so that keys pressed in this terminal do not reach it.
///
/// # Errors
/// When its log cannot be written or the process cannot be started.
pub fn spawn(places: &Places, stdin: Stdio, private: bool) -> Result<Child, Failure> {
    let cannot = |error: io::Error| Failure::failed(format!("an engine cannot be started: {error}"));
    fs::create_dir_all(&places.state).map_err(cannot)?;
    let log = File::options().create(true).append(true).open(places.log()).map_err(cannot)?;
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
pub async fn wait(places: &Places, child: &mut Child) -> Result<(), Failure> {
    let (client, start) = (Client::new(&places.socket), Instant::now());
    loop {
        if client.snapshot().await.is_ok() {
            return Ok(());
        }
        let ended = child.try_wait().ok().flatten();
        if ended.is_some() || start.elapsed() > START {
            // Another command may have started one at the same moment: that one is as good.
            if ended.is_some() && client.snapshot().await.is_ok() {
                return Ok(());
            }
            let words = last_words(&places.log()).unwrap_or_default();
            return Err(Failure::unreachable(format!(
                "no engine could be started; its log ({}) ends with:\n{words}",
                places.log().display()
            )));
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
