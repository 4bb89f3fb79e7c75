//! The trait of the durable event log.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

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

/// The number of a lead. Whoever takes the lead raises it; whoever appends with an older one is fenced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term(pub u64);

/// An engine, as the others that share its journal know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Who {
    /// Made at random with its state directory: two engines never share one.
    pub engine: String,
    /// What people call it: its host's name, if it was given no other.
    pub name: String,
    pub version: String,
}

/// Who leads, as the store says.
#[derive(Clone, Debug, PartialEq)]
pub struct Lead {
    pub term: Term,
    pub who: Who,
    /// Raised by every renewal: whoever waits for the end of a lead watches it, and needs no clock but its own.
    pub beat: u64,
    /// By the store's clock.
    pub since: At,
    /// Given up in order: nobody has to wait.
    pub resigned: bool,
}

/// An engine that shares a journal, as it was last heard of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Presence {
    pub who: Who,
    /// How far it has read.
    pub seq: u64,
    /// How long ago that was, in seconds, by the store's clock.
    pub silent: f64,
}

/// Records that were written, or were to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    pub records: Vec<Record>,
    /// The hash of the first of them, in hex.
    pub first: String,
    /// The chain with them.
    pub chain: Chain,
}

/// What became of an append. All of its records are there, or none.
#[derive(Clone, Debug, PartialEq)]
pub enum Appended {
    /// They survive the death of the process and of the machine.
    Durable(Written),
    NotWritten(JournalFault),
    /// No answer came: reading the record after the expected tail tells, once nothing of it can be under way any more.
    Unknown(Written, JournalFault),
    /// Somebody else leads, or has written: whoever appended has to stop acting.
    Fenced(JournalFault),
}

/// The durable event log, which engines may share. Safety is the comparison at every append: of the term, and of the tail. Leads are taken
/// one after the other; a lease, which is the engine's business, only tells when nobody leads any more.
#[async_trait]
pub trait Journal: Records {
    /// How far the store has come.
    async fn tail(&self) -> Result<Chain, JournalFault>;
    /// At most `limit` records after that point, proven to follow it, and the chain with them.
    ///
    /// # Errors
    /// Also when what follows does not fit it: then it is another history than the one that was read so far.
    async fn pages(&self, after: &Chain, limit: usize) -> Result<(Vec<Record>, Chain), JournalFault>;
    /// Who leads, or led last.
    async fn leader(&self) -> Result<Option<Lead>, JournalFault>;
    /// Takes the lead, if it is still as it was seen; `None` if somebody came first. Nothing that was begun with an older term is written
    /// after this.
    async fn lead(&self, who: &Who, over: Option<&Lead>) -> Result<Option<Term>, JournalFault>;
    /// Says that the leader lives; `false` if it leads no longer.
    async fn renew(&self, term: Term) -> Result<bool, JournalFault>;
    /// Gives the lead up.
    async fn resign(&self, term: Term) -> Result<(), JournalFault>;
    /// Appends all events, each with who caused it, or none: numbered on from `expected`, each chained to the one before.
    async fn append(&self, term: Term, expected: &Chain, at: At, events: Vec<(Actor, Event)>) -> Appended;
    /// Returns once there may be records after `seq`; now and then without any.
    async fn watch(&self, seq: u64);
    /// Tells the others that this engine is there, and hears of them; itself is among them.
    async fn meet(&self, who: &Who, seq: u64) -> Result<Vec<Presence>, JournalFault>;
    /// Whether the store is still the one that was opened and nobody else keeps it; `whole`: and whether all of the chain fits.
    ///
    /// # Errors
    /// When it is not: nothing is appended then.
    async fn check(&self, whole: bool) -> Result<(), JournalFault>;
    /// Keeps the fold of the records up to its last one beside the journal, so that the next start reads only what came after.
    ///
    /// # Errors
    /// When it cannot be written: nothing is lost but time.
    async fn keep(&self, state: &State) -> Result<(), JournalFault>;
    /// Where engines that share it leave what they ask of the leader; `None` where nobody shares it.
    fn post(&self) -> Option<&dyn Post> {
        None
    }
    /// Ends in order.
    async fn close(&self);
}

/// What engines that share a journal hand one another. It is no record: what comes of it is.
#[async_trait]
pub trait Post: Send + Sync {
    /// Leaves something for the leader, under a name that nothing else has.
    async fn leave(&self, id: &str, text: &str) -> Result<(), JournalFault>;
    /// What was left and nobody has taken, the oldest first.
    async fn left(&self) -> Result<Vec<(String, String)>, JournalFault>;
    /// Takes it; `false` if it is taken already. Whoever left it takes it back so.
    async fn take(&self, id: &str) -> Result<bool, JournalFault>;
    async fn answer(&self, id: &str, text: &str) -> Result<(), JournalFault>;
    async fn answered(&self, id: &str) -> Result<Option<String>, JournalFault>;
}
