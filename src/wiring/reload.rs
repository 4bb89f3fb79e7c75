//! Another config for the engine that runs: looked at first, then taken between two decisions. The process, its socket, its lock and
//! its journal stay; the parts that follow from the config are made anew, and who is attached listens on.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::drill::automatic::Child;
use super::places::Places;
use super::{assemble, kinds, refuse};
use crate::api::protocol::{Accepted, ApiError, ErrorCode};
use crate::api::server::Reload;
use crate::config::{self, Config, Files, Mistakes};
use crate::domain::actor::{Actor, Origin};
use crate::domain::command::Ask;
use crate::domain::journal::Journal;
use crate::domain::reload;
use crate::domain::state::State;
use crate::engine::{Denied, Handle, Parts};

/// How often the files of the config are glanced at.
const GLANCE: Duration = Duration::from_secs(2);
/// How long a delivery that is under way is waited for.
const SENDING: Duration = Duration::from_secs(5);

/// Knows how the engine of these places is made.
pub struct Reloader {
    places: Places,
    journal: Arc<dyn Journal>,
    current: watch::Sender<Handle>,
    /// As it was loaded.
    config: Mutex<Config>,
    /// One at a time.
    turn: tokio::sync::Mutex<()>,
    /// Cancelled when no engine could take over: then the process ends, and the next one goes on from the journal.
    stop: CancellationToken,
}

impl Reloader {
    pub fn new(
        places: &Places,
        journal: Arc<dyn Journal>,
        engine: Handle,
        config: Config,
        stop: CancellationToken,
    ) -> (Arc<Self>, watch::Receiver<Handle>) {
        let (current, engines) = watch::channel(engine);
        let (config, turn) = (Mutex::new(config), tokio::sync::Mutex::default());
        (Arc::new(Self { places: places.clone(), journal, current, config, turn, stop }), engines)
    }

    pub fn now(&self) -> Handle {
        self.current.borrow().clone()
    }

    /// Until a part of the engine of now has died.
    pub async fn broken(&self) {
        let mut engines = self.current.subscribe();
        loop {
            let engine = engines.borrow_and_update().clone();
            tokio::select! {
                () = engine.broken() => return,
                // What sends is kept here, so it lives.
                _ = engines.changed() => {}
            }
        }
    }

    fn config(&self) -> Config {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn files(&self) -> Files {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).files.clone()
    }

    /// What an engine of a config is made of, in this process.
    fn parts(&self, config: Config, state: State) -> Parts {
        let driller = Arc::new(Child::new(self.places.clone()));
        assemble(config, self.journal.clone(), state, self.places.records(), Some(driller))
    }

    /// Lets this process lead, once it has read all there is.
    ///
    /// # Errors
    /// Why not: it has taken the lead, and has to give it up.
    pub async fn promote(&self) -> Result<(), String> {
        let _turn = self.turn.lock().await;
        let old = self.now();
        old.catch_up().await.map_err(|fault| fault.to_string())?;
        let kept = old.rest(|_| Ok(())).await.map_err(|denied| denied.to_string())?;
        let parts = self.parts(self.config(), old.state_read());
        let engine = Handle::change(parts, kept).await.map_err(|fault| fault.to_string())?;
        self.current.send_replace(engine);
        Ok(())
    }

    /// Lets this process follow: what the engine that led had in flight ends here.
    pub async fn demote(&self) {
        let _turn = self.turn.lock().await;
        let old = self.now();
        let kept = old.halt().await;
        match Handle::change(self.parts(self.config(), old.state_read()), kept).await {
            Ok(engine) => drop(self.current.send_replace(engine)),
            // One that follows writes nothing, so there is nothing that could fail; the next process goes on in any case.
            Err(fault) => {
                tracing::error!(%fault, "this engine cannot follow");
                self.stop.cancel();
            }
        }
    }

    /// Tells, for as long as the process lives, when the files of the config are not what was loaded.
    pub async fn watch(self: Arc<Self>) {
        let mut beats = interval(GLANCE);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known = None;
        loop {
            beats.tick().await;
            let files = self.files();
            // On a mount that hangs, one thread waits and nothing else.
            let look = move || {
                let glance = files.glance();
                let same = known.as_ref() == Some(&(glance.clone(), files.clone()));
                let changed = if same { None } else { Some(names(&files.changed())) };
                ((glance, files), changed)
            };
            let Ok((seen, changed)) = tokio::task::spawn_blocking(look).await else { return };
            if let Some(changed) = changed
                && seen.1 == self.files()
            {
                self.now().config_changed(changed);
            }
            known = Some(seen);
        }
    }

    /// For SIGHUP, which nobody waits for an answer of. A terminal that goes sends one too: with nothing new on disk nothing happens.
    pub async fn hung_up(self: &Arc<Self>) {
        let files = self.files();
        let changed = tokio::task::spawn_blocking(move || files.changed()).await.unwrap_or_default();
        if changed.is_empty() {
            return;
        }
        match self.clone().reload(Actor::engine()).await {
            Ok(accepted) => tracing::info!("{}", accepted.note.unwrap_or_default()),
            Err(error) => tracing::error!("SIGHUP: {error}"),
        }
    }

    async fn load(&self) -> Result<Config, ApiError> {
        let path = self.places.config.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(&path, &kinds()).and_then(refuse::sound)).await;
        let unsound = |mistakes: Mistakes| {
            let next = "the engine goes on with the config that it has; fix it, then: mayday engine reload";
            ApiError::new(ErrorCode::Config, mistakes.to_string(), next)
        };
        let failed = |_| ApiError::new(ErrorCode::Refused, "the config could not be read", "run `mayday check`");
        loaded.map_err(failed)?.map_err(unsound)
    }

    /// Puts an engine with this config in the place of the one that runs.
    async fn take(&self, config: Config) -> Result<Handle, ApiError> {
        let old = self.now();
        let begun = Instant::now();
        while reload::is_sending(&old.snapshot().state) && begun.elapsed() < SENDING {
            sleep(Duration::from_millis(50)).await;
        }
        let (before, after) = (old.estate().clone(), config.estate.clone());
        let kept = old.rest(move |state| reload::may(state, &before, &after)).await.map_err(denied)?;
        let parts = self.parts(config.clone(), old.state_read());
        match Handle::succeed(parts, kept).await {
            Ok(engine) => {
                *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
                self.current.send_replace(engine.clone());
                Ok(engine)
            }
            Err(fault) => {
                self.stop.cancel();
                Err(fault.into())
            }
        }
    }
}

#[async_trait]
impl Reload for Reloader {
    async fn reload(self: Arc<Self>, by: Actor) -> Result<Accepted, ApiError> {
        // In a task of its own: whoever asked may hang up, and an engine that has come to rest needs its successor all the same.
        let reloaded = tokio::spawn(async move { self.settle(by).await }).await;
        let failed = |_| ApiError::new(ErrorCode::Stopping, "the reload broke off", "look at the engine's log");
        reloaded.map_err(failed)?
    }
}

impl Reloader {
    async fn settle(&self, by: Actor) -> Result<Accepted, ApiError> {
        let _turn = self.turn.lock().await;
        let config = self.load().await?;
        let files = self.files();
        let changed = tokio::task::spawn_blocking(move || names(&files.changed())).await.unwrap_or_default();
        if changed.is_empty() && config.files == self.files() {
            let seq = self.now().snapshot().state.seq;
            return Ok(Accepted { seq, note: Some("the config is the one that is loaded; nothing to do".into()) });
        }
        if config.journal != self.config().journal {
            let what = "where the journal is kept cannot change while an engine runs";
            let next = "restart it: mayday engine stop, then mayday engine; `mayday journal copy` moves a journal";
            return Err(ApiError::new(ErrorCode::Refused, what, next));
        }
        let engine = self.take(config).await?;
        let text = format!("config reloaded: {}", changed.join(", "));
        // For the record; that it cannot be written is told by the journal's own word, and changes nothing about the config.
        let written = engine.ask(by, Origin::CommandLine, Ask::Note { text }).await;
        let mut note = format!("the config is loaded ({}); nothing that was under way was lost", changed.join(", "));
        if let Err(fault) = written {
            tracing::error!(%fault, "the reload is not in the journal");
            note += &format!("; the reload itself is NOT in the journal: {fault}");
        }
        Ok(Accepted { seq: engine.snapshot().state.seq, note: Some(note) })
    }
}

fn denied(denied: Denied) -> ApiError {
    match denied {
        Denied::Refused(refusal) => ApiError::from(refusal),
        Denied::Journal(fault) => ApiError::from(fault),
        Denied::Stopped => {
            ApiError::new(ErrorCode::Stopping, "the engine is stopping", "start it again: mayday engine")
        }
    }
}

/// The files' own names: the paths are the same for all who read this.
fn names(files: &[PathBuf]) -> Vec<String> {
    let name = |path: &PathBuf| path.file_name().map(|it| crate::domain::text::clean(&it.to_string_lossy()));
    files.iter().filter_map(name).collect()
}
