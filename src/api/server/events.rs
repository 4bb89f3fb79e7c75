//! The stream of events: first everything, then every change; everything again for a listener that could not keep up.

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use axum::response::sse::Event as Sse;

use super::{Engines, NOT_YOURS, Peer, Site};
use crate::api::protocol::{ApiError, ErrorCode, EventsQuery};
use crate::domain::actor::Actor;
use crate::domain::ids::SessionId;
use crate::domain::live::Attached;
use crate::domain::time::At;
use crate::domain::view::{Snapshot, Update};
use crate::engine::Handle;

/// One listener.
pub(super) struct Feed {
    engines: Engines,
    engine: Handle,
    snapshot: Option<Box<Snapshot>>,
    updates: Receiver<Update>,
    stop: CancellationToken,
    attachment: Option<Attachment>,
    _permit: OwnedSemaphorePermit,
}

impl Feed {
    /// # Errors
    /// When too many listen already.
    pub fn open(site: Site, peer: &Peer, query: EventsQuery) -> Result<Self, ApiError> {
        let many = |_| {
            let what = format!("{} cockpits and followers watch this engine already", site.limits.observers);
            ApiError::new(ErrorCode::Refused, what, "end some of them; commands work all the same")
        };
        let permit = site.observers.clone().try_acquire_owned().map_err(many)?;
        let attach = |session: String| Attachment::new(&site.engines, session.into(), peer, query.read_only);
        let attachment = query.session.map(attach).transpose()?;
        let engine = site.engine();
        let (snapshot, updates) = engine.subscribe();
        let snapshot = Some(Box::new(snapshot));
        let (engines, stop) = (site.engines, site.stop);
        Ok(Self { engines, engine, snapshot, updates, stop, attachment, _permit: permit })
    }

    /// Listens to the engine that is now in the place of the one that rests.
    fn follow(&mut self) {
        self.engine = self.engines.now();
        if let Some(attachment) = &self.attachment {
            attachment.attach(&self.engine);
        }
        let (snapshot, updates) = self.engine.subscribe();
        (self.snapshot, self.updates) = (Some(Box::new(snapshot)), updates);
    }

    /// The next event; `None` when the engine ends.
    pub async fn next(&mut self) -> Option<Sse> {
        loop {
            if let Some(snapshot) = self.snapshot.take() {
                return sse("snapshot", &snapshot);
            }
            let update = tokio::select! {
                update = self.updates.recv() => update,
                true = self.engines.replaced(&self.engine) => {
                    self.follow();
                    continue;
                }
                () = self.stop.cancelled() => return None,
            };
            match update {
                Ok(update) => return sse("update", &update),
                Err(RecvError::Lagged(_)) => {
                    let (snapshot, updates) = self.engine.subscribe();
                    (self.snapshot, self.updates) = (Some(Box::new(snapshot)), updates);
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

fn sse(name: &str, value: &impl serde::Serialize) -> Option<Sse> {
    Sse::default().event(name).json_data(value).ok()
}

/// A cockpit is attached for as long as it listens.
struct Attachment {
    engines: Engines,
    session: SessionId,
    since: At,
    actor: Actor,
    who: Attached,
}

impl Attachment {
    /// # Errors
    /// When another user is attached by that name: a session is its user's.
    fn new(engines: &Engines, session: SessionId, peer: &Peer, read_only: bool) -> Result<Self, ApiError> {
        let actor = peer.actor();
        let engine = engines.now();
        let since = engine.snapshot().now;
        let who =
            Attached { name: actor.name.clone(), uid: peer.uid.unwrap_or(u32::MAX), since, read_only, looks_at: None };
        if !engine.attach(session.clone(), who.clone()) {
            return Err(ApiError::new(ErrorCode::Forbidden, NOT_YOURS, "attach a cockpit of your own"));
        }
        Ok(Self { engines: engines.clone(), session, since, actor, who })
    }

    /// An engine that was handed who is attached knows already, with what that cockpit looks at.
    fn attach(&self, engine: &Handle) {
        if engine.holder(&self.session).is_none() {
            engine.attach(self.session.clone(), self.who.clone());
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let (engines, session, actor, since) =
            (self.engines.clone(), self.session.clone(), self.actor.clone(), self.since);
        tokio::spawn(async move {
            let engine = engines.now();
            engine.detach(&session, actor.clone(), since).await;
            // One that rests may have handed on already that this cockpit is attached and armed.
            if engine.rests() && engines.replaced(&engine).await {
                engines.now().detach(&session, actor, since).await;
            }
        });
    }
}
