//! What a cockpit needs of an engine: the whole, then every change, and a way to ask. The socket's client implements it; so can a test.

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::domain::command::Ask;
use crate::domain::comms::Message;
use crate::domain::event::Record;
use crate::domain::ids::{PlanId, SessionId};
use crate::domain::live::Gaze;
use crate::domain::review::Documents;
use crate::domain::view::{Snapshot, StepByHand, Update};

/// What arrives from the engine, in order.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// Attached, or attached again: this is the whole, and what was known before is forgotten.
    Connected(Box<Snapshot>),
    Update(Update),
    /// Nothing has changed, and the engine is there.
    Alive,
    /// The engine does not answer; the connection goes on trying by itself.
    Lost {
        why: String,
    },
}

/// A connection to an engine that mends itself.
#[async_trait]
pub trait Connection: Send + Sync + 'static {
    /// This cockpit's name at the engine.
    fn session(&self) -> SessionId;
    /// Whether the engine refuses every command of this cockpit.
    fn is_read_only(&self) -> bool;
    /// Starts listening. The channel is bounded; its end is the end of the connection. Called once.
    fn listen(&self) -> mpsc::Receiver<Arrival>;
    /// # Errors
    /// The refusal, or why the engine could not be asked, in words for the operator: what it means and what to do next.
    async fn ask(&self, ask: Ask) -> Result<Option<String>, String>;
    /// The steps of a plan, as commands for a shell.
    ///
    /// # Errors
    /// In words for the operator.
    async fn by_hand(&self, plan: PlanId) -> Result<Vec<StepByHand>, String>;
    /// Every update as it would be sent now.
    ///
    /// # Errors
    /// In words for the operator.
    async fn drafts(&self) -> Result<Vec<Message>, String>;
    /// At most `limit` records after `seq`, in order.
    ///
    /// # Errors
    /// In words for the operator.
    async fn records(&self, after: u64, limit: usize) -> Result<Vec<Record>, String>;
    /// The review of the open or the latest incident.
    ///
    /// # Errors
    /// In words for the operator.
    async fn report(&self) -> Result<Documents, String>;
    /// Tells the others what this cockpit looks at. Nobody has to hear it.
    async fn looks(&self, at: Gaze);
    /// The whole once more, after updates were missed; it arrives as [`Arrival::Connected`].
    async fn resync(&self);
}
