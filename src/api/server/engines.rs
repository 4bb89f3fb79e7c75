//! Which engine answers: the one that was started, or the one that took its place when another config was loaded.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::api::protocol::{Accepted, ApiError, ErrorCode};
use crate::domain::actor::{Actor, Origin};
use crate::domain::command::Ask;
use crate::engine::{self, Denied, Handle};

/// How long somebody who asked between two engines waits for the next one.
const SUCCESSION: Duration = Duration::from_secs(8);

/// Loads another config into what runs.
#[async_trait]
pub trait Reload: Send + Sync {
    /// # Errors
    /// Why not. Nothing happened then.
    async fn reload(self: Arc<Self>, by: Actor) -> Result<Accepted, ApiError>;
}

/// The engine of now, and of later.
#[derive(Clone)]
pub struct Engines {
    current: watch::Receiver<Handle>,
    /// Kept where nobody else does: a closed channel would look like news.
    _source: Option<Arc<watch::Sender<Handle>>>,
    reload: Option<Arc<dyn Reload>>,
}

/// One that stays.
impl From<Handle> for Engines {
    fn from(engine: Handle) -> Self {
        let (source, current) = watch::channel(engine);
        Self { current, _source: Some(Arc::new(source)), reload: None }
    }
}

impl Engines {
    /// Those that `reload` puts in one another's place.
    pub fn new(current: watch::Receiver<Handle>, reload: Arc<dyn Reload>) -> Self {
        Self { current, _source: None, reload: Some(reload) }
    }

    pub fn now(&self) -> Handle {
        self.current.borrow().clone()
    }

    /// Returns once another engine than `known` is in its place; `false` when none will be.
    pub async fn replaced(&self, known: &Handle) -> bool {
        self.current.clone().wait_for(|engine| !engine.is(known)).await.is_ok()
    }

    /// Asks the engine of now; an engine that rests has done nothing of it, so the next one is asked.
    pub(super) async fn ask(
        &self,
        stop: &CancellationToken,
        actor: &Actor,
        origin: &Origin,
        ask: &Ask,
    ) -> Result<engine::Accepted, ApiError> {
        loop {
            let engine = self.now();
            let denied = match engine.ask(actor.clone(), origin.clone(), ask.clone()).await {
                Ok(accepted) => return Ok(accepted),
                Err(denied) => denied,
            };
            match denied {
                Denied::Refused(refusal) => return Err(ApiError::from(refusal)),
                Denied::Journal(fault) => return Err(ApiError::from(fault)),
                Denied::Stopped => {}
            }
            let goes_on = tokio::select! {
                replaced = timeout(SUCCESSION, self.replaced(&engine)) => replaced.unwrap_or(false),
                () = stop.cancelled() => false,
            };
            if !goes_on {
                let next = "start it again: mayday engine";
                return Err(ApiError::new(ErrorCode::Stopping, "the engine is stopping", next));
            }
        }
    }

    pub(super) async fn reload(&self, by: Actor) -> Result<Accepted, ApiError> {
        match &self.reload {
            Some(reload) => reload.clone().reload(by).await,
            None => {
                let what = "this engine belongs to the program that started it and keeps its config";
                Err(ApiError::new(ErrorCode::Refused, what, "end that program and start it again"))
            }
        }
    }
}
