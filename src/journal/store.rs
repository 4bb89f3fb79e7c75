//! What a store has to be able to do for several engines to share a journal in it: keep rows, compare a term and a tail at every put, and
//! hold the row of the lead. It hashes nothing and decides nothing.

use async_trait::async_trait;

use super::chain::{Hash, Pages, Row};
use crate::domain::journal::{Chain, JournalFault, Lead, Post, Presence, Term, Who};

/// What became of rows.
pub(super) enum Put {
    Durable,
    /// The store has refused them, or was never asked.
    NotWritten(JournalFault),
    /// No answer came.
    Unknown(JournalFault),
    /// The term is not that of the lead any more.
    Outdated,
    /// The tail is not the expected one; it ends at this record.
    Moved(u64),
}

#[async_trait]
pub(super) trait Store: Pages + Post {
    /// Where it is, in words without a secret.
    fn name(&self) -> String;
    async fn tail(&self) -> Result<(u64, Hash), JournalFault>;
    async fn find(&self, beginning: &str) -> Result<Option<u64>, JournalFault>;
    async fn leader(&self) -> Result<Option<Lead>, JournalFault>;
    /// Raises the term, where term and beat are still as they were seen. Whatever puts with an older term afterwards is outdated, also what
    /// was sent before and is still on its way.
    async fn lead(&self, who: &Who, over: Option<&Lead>) -> Result<Option<Term>, JournalFault>;
    async fn renew(&self, term: Term) -> Result<bool, JournalFault>;
    async fn resign(&self, term: Term) -> Result<(), JournalFault>;
    /// All rows, or none: with this term, after this tail, flushed to the disk.
    async fn put(&self, term: Term, expected: &Chain, rows: &[Row]) -> Put;
    async fn watch(&self, seq: u64);
    async fn meet(&self, who: &Who, seq: u64) -> Result<Vec<Presence>, JournalFault>;
    async fn close(&self);
}

/// Somebody else has written.
pub(super) fn moved_on(expected: &Chain, found: u64) -> JournalFault {
    JournalFault {
        what: format!(
            "it ends at record {found}, and this engine takes it to end at {} {}: another one has written",
            expected.records,
            expected.head.get(..8).unwrap_or_default()
        ),
        next: "nothing: what this engine had begun is looked at by the one that leads; `mayday engines` tells which"
            .into(),
    }
}

/// Somebody else leads.
pub(super) fn outdated(term: Term) -> JournalFault {
    JournalFault {
        what: format!("another engine has taken the lead since term {}", term.0),
        next: "nothing: this one follows it from now on; `mayday engines` tells which".into(),
    }
}
