//! A journal that moves to another store: every record as it was written, so that heads that were noted outside are found there, too.

use std::time::Duration;

use super::chain::{self, Pages, Row};
use super::shared::SharedJournal;
use super::sqlite::SqliteJournal;
use super::store::{Put, moved_on, outdated};
use crate::domain::journal::{Chain, Journal, JournalFault, Term, Who};

/// Records that are copied at once.
const ROWS: usize = 1000;

/// Where a journal can be copied to.
pub enum Target<'t> {
    Own(&'t SqliteJournal),
    Shared(&'t SharedJournal),
}

impl Target<'_> {
    fn pages(&self) -> &dyn Pages {
        match self {
            Self::Own(journal) => journal.reader(),
            Self::Shared(journal) => journal.reading(),
        }
    }

    async fn tail(&self) -> Result<Chain, JournalFault> {
        match self {
            Self::Own(journal) => journal.tail().await,
            Self::Shared(journal) => journal.tail().await,
        }
    }

    async fn put(&self, term: Term, expected: &Chain, rows: &[Row], chain: &Chain) -> Result<(), JournalFault> {
        match self {
            Self::Own(journal) => journal.take(expected, rows, chain).await,
            Self::Shared(journal) => match journal.store().put(term, expected, rows).await {
                Put::Durable => Ok(()),
                Put::NotWritten(fault) | Put::Unknown(fault) => Err(fault),
                Put::Outdated => Err(outdated(term)),
                Put::Moved(found) => Err(moved_on(expected, found)),
            },
        }
    }
}

/// Copies every record, and proves both. A copy that broke off goes on where it ended. Of an engine that shares the target nothing may be heard
/// for a `lease`.
///
/// # Errors
/// When the journal was altered, the target holds another one or is in use, or one of them cannot be read or written.
pub async fn copy(from: &dyn Pages, to: &Target<'_>, who: &Who, lease: Duration) -> Result<Chain, JournalFault> {
    let whole = chain::whole(from).await?;
    let mut tail = to.tail().await?;
    if tail.records > 0 && from.stored(tail.records).await?.as_ref() != Some(&tail.head) {
        return Err(JournalFault {
            what: format!("there is another journal already ({} records): nothing was copied", tail.records),
            next: "name a place where there is none".into(),
        });
    }
    let term = match to {
        Target::Own(_) => Term(0),
        Target::Shared(journal) => journal.lead_alone(who, lease).await?,
    };
    let copied = async {
        while tail.records < whole.records {
            let rows = from.rows(tail.records, ROWS.min((whole.records - tail.records) as usize)).await?;
            let (_, chain) = chain::follow(&tail, &rows)?;
            to.put(term, &tail, &rows, &chain).await?;
            tail = chain;
        }
        chain::whole(to.pages()).await
    };
    let copied = copied.await;
    if let Target::Shared(journal) = to {
        journal.resign(term).await?;
    }
    match copied? {
        found if found == whole => Ok(whole),
        found => Err(JournalFault {
            what: format!("the copy ends at {found}, and the journal at {whole}"),
            next: "copy it once more; if it stays, keep both".into(),
        }),
    }
}
