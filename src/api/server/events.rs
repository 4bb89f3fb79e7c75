//! The stream of events: first everything, then every change; everything again for a listener that could not keep up.

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use axum::response::sse::Event as Sse;

use super::{NOT_YOURS, Peer, Site};
use crate::api::protocol::{ApiError, ErrorCode, EventsQuery};
use crate::domain::actor::Actor;
use crate::domain::ids::SessionId;
use crate::domain::live::Attached;
use crate::domain::time::At;
use crate::domain::view::{Snapshot, Update};
use crate::engine::Handle;

/// One listener.
pub(super) struct Feed {
    engine: Handle,
    snapshot: Option<Box<Snapshot>>,
    updates: Receiver<Update>,
    stop: CancellationToken,
    _attachment: Option<Attachment>,
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
        let attach = |session: String| Attachment::new(&site.engine, session.into(), peer, query.read_only);
        let attachment = query.session.map(attach).transpose()?;
        let (snapshot, updates) = site.engine.subscribe();
        let (engine, stop) = (site.engine, site.stop);
        let snapshot = Some(Box::new(snapshot));
        Ok(Self { engine, snapshot, updates, stop, _attachment: attachment, _permit: permit })
    }

    /// The next event; `None` when the engine ends.
    pub async fn next(&mut self) -> Option<Sse> {
        loop {
            if let Some(snapshot) = self.snapshot.take() {
                return sse("snapshot", &snapshot);
            }
            let update = tokio::select! {
                update = self.updates.recv() => update,
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
    engine: Handle,
    session: SessionId,
    since: At,
    actor: Actor,
}

impl Attachment {
    /// # Errors
    /// When another user is attached by that name: a session is its user's.
    fn new(engine: &Handle, session: SessionId, peer: &Peer, read_only: bool) -> Result<Self, ApiError> {
        let actor = peer.actor();
        let since = engine.snapshot().now;
        let who =
            Attached { name: actor.name.clone(), uid: peer.uid.unwrap_or(u32::MAX), since, read_only, looks_at: None };
        if !engine.attach(session.clone(), who) {
            return Err(ApiError::new(ErrorCode::Forbidden, NOT_YOURS, "attach a cockpit of your own"));
        }
        Ok(Self { engine: engine.clone(), session, since, actor })
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let (engine, session, actor, since) =
            (self.engine.clone(), self.session.clone(), self.actor.clone(), self.since);
        tokio::spawn(async move { engine.detach(&session, actor, since).await });
    }
}
