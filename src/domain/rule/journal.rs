//! The trait of the durable event log.

use async_trait::async_trait;

use super::state::State;
use crate::domain::actor::Actor;
use crate::domain::chain::Chain;
use crate::domain::fact::event::{Event, Record};
use crate::domain::time::At;

/// Why the journal could not be read or written: what failed, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("journal: {what} → {next}")]
pub struct JournalFault {
    pub what: String,
    pub next: String,
}

/// What the journal holds, with or without somebody who writes it.
#[async_trait]
pub trait Records: Send + Sync {
    /// At most `limit` records after `seq`, in order.
    async fn read(&self, after: u64, limit: usize) -> Result<Vec<Record>, JournalFault>;
    /// Reads everything and recomputes the chain.
    ///
    /// # Errors
    /// Also when a record was altered, removed or inserted: the fault names the first one that does not fit.
    async fn verify(&self) -> Result<Chain, JournalFault>;
    /// The chain's hash at a record, in hex, as it was written; `None` if there is no such record.
    async fn hash(&self, seq: u64) -> Result<Option<String>, JournalFault>;
    /// The newest record whose hash begins so, in hex; `None` if there is none.
    async fn find(&self, head: &str) -> Result<Option<u64>, JournalFault>;
}

/// The durable event log. One writer; an event that `append` returned survives the death of the process and of the machine.
#[async_trait]
pub trait Journal: Records {
    /// Appends all events, each with who caused it, or none: numbered on from the last, each chained to the one before.
    async fn append(&self, at: At, events: Vec<(Actor, Event)>) -> Result<Vec<Record>, JournalFault>;
    /// The latest record that is known to be durable, and the chain up to it.
    fn tail(&self) -> Chain;
    /// Whether the files are still those that were opened and nobody else writes them; `whole`: and whether all of the chain fits.
    ///
    /// # Errors
    /// When they are not: nothing is appended then.
    async fn check(&self, whole: bool) -> Result<(), JournalFault>;
    /// Keeps the fold of the records up to its last one beside the journal, so that the next start reads only what came after.
    ///
    /// # Errors
    /// When it cannot be written: nothing is lost but time.
    async fn keep(&self, state: &State) -> Result<(), JournalFault>;
    /// Ends in order: the file alone is the whole journal then.
    async fn close(&self);
}
