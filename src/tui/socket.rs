//! The cockpit's connection over an engine's socket.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Notify, mpsc};

use super::connection::{Arrival, Connection};
use crate::api::client::{Client, Fed};
use crate::domain::command::Ask;
use crate::domain::comms::Message;
use crate::domain::event::Record;
use crate::domain::ids::{PlanId, SessionId};
use crate::domain::live::Gaze;
use crate::domain::review::Documents;
use crate::domain::view::StepByHand;

/// Changes that may wait for the screen; more make the engine's stream wait, which ends in a new snapshot.
const WAITING: usize = 1024;

/// An engine behind a socket.
pub struct Socket {
    client: Client,
    session: SessionId,
    read_only: bool,
    /// Asks the listening task for the whole.
    resync: Arc<Notify>,
}

impl Socket {
    /// A session of its own on the engine; it is attached while it listens. `trusted` is a user whose engine is believed besides this
    /// user's own and root's.
    pub fn new(path: &Path, trusted: Option<u32>, read_only: bool) -> Self {
        let session = SessionId::from(format!("{}-{}", std::process::id(), jiff::Timestamp::now().as_nanosecond()));
        let client = Client::cockpit(path, session.clone(), read_only).trusting(trusted);
        Self { client, session, read_only, resync: Arc::new(Notify::new()) }
    }
}

#[async_trait]
impl Connection for Socket {
    fn session(&self) -> SessionId {
        self.session.clone()
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn listen(&self) -> mpsc::Receiver<Arrival> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let (client, resync) = (self.client.clone(), self.resync.clone());
        tokio::spawn(async move {
            let mut feed = client.feed();
            loop {
                let arrival = tokio::select! {
                    fed = feed.next() => match fed {
                        Fed::Snapshot(whole) => Arrival::Connected(whole),
                        Fed::Update(update) => Arrival::Update(update),
                        Fed::Alive => Arrival::Alive,
                        Fed::Lost(error) => Arrival::Lost { why: error.to_string() },
                    },
                    // A snapshot may be newer than changes that are still under way; those are known then, and fold to nothing.
                    () = resync.notified() => match client.snapshot().await {
                        Ok(whole) => Arrival::Connected(Box::new(whole)),
                        Err(error) => Arrival::Lost { why: error.to_string() },
                    },
                };
                if sender.send(arrival).await.is_err() {
                    return;
                }
            }
        });
        receiver
    }

    async fn ask(&self, ask: Ask) -> Result<Option<String>, String> {
        self.client.ask(&ask).await.map(|accepted| accepted.note).map_err(|error| error.to_string())
    }

    async fn by_hand(&self, plan: PlanId) -> Result<Vec<StepByHand>, String> {
        self.client.by_hand(&plan, true).await.map_err(|error| error.to_string())
    }

    async fn drafts(&self) -> Result<Vec<Message>, String> {
        self.client.drafts("").await.map_err(|error| error.to_string())
    }

    async fn records(&self, after: u64, limit: usize) -> Result<Vec<Record>, String> {
        self.client.records(after, limit).await.map_err(|error| error.to_string())
    }

    async fn report(&self) -> Result<Documents, String> {
        self.client.report(None).await.map_err(|error| error.to_string())
    }

    async fn looks(&self, at: Gaze) {
        // An engine that does not hear it shows less of this cockpit, and is otherwise told of as lost.
        let _ = self.client.looks(&at).await;
    }

    async fn resync(&self) {
        self.resync.notify_one();
    }
}
