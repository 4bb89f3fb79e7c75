//! From a journal to a review, and to its documents.

use async_trait::async_trait;

use super::fold::{Lister, Reviewer};
use super::page;
use super::review::{Brief, Review, Verified};
use crate::domain::ids::IncidentId;
use crate::domain::journal::{JournalFault, Records};
use crate::domain::review::{Documents, Reporter};
use crate::domain::time::At;

/// Records that are read at once.
const PAGE: usize = 2000;

/// The one who writes reviews.
pub struct Reports;

#[async_trait]
impl Reporter for Reports {
    async fn review(
        &self,
        records: &dyn Records,
        incident: Option<&IncidentId>,
        now: At,
    ) -> Result<Option<Documents>, JournalFault> {
        Ok(review(records, incident, now).await?.map(|review| documents(&review)))
    }
}

/// The review of an incident, or of the latest one, with its place in the journal's chain.
///
/// # Errors
/// When the journal cannot be read. One that was altered is read, and the review says so.
pub async fn review(
    records: &dyn Records,
    incident: Option<&IncidentId>,
    now: At,
) -> Result<Option<Review>, JournalFault> {
    let mut reviewer = Reviewer::new(incident.cloned());
    each(records, |record| reviewer.take(record)).await?;
    let Some(mut review) = reviewer.finish(now) else { return Ok(None) };
    let range = &mut review.journal;
    (range.first_hash, range.last_hash) = (records.hash(range.first).await?, records.hash(range.last).await?);
    range.verified = match records.verify().await {
        Ok(chain) => Verified::Whole { records: chain.records, head: chain.head },
        Err(fault) => Verified::Broken { why: fault.what },
    };
    Ok(Some(review))
}

/// Every incident in a line, the newest first.
///
/// # Errors
/// When the journal cannot be read.
pub async fn list(records: &dyn Records, now: At) -> Result<Vec<Brief>, JournalFault> {
    let mut lister = Lister::default();
    each(records, |record| lister.take(record)).await?;
    Ok(lister.finish(now))
}

async fn each(
    records: &dyn Records,
    mut take: impl FnMut(&crate::domain::event::Record) + Send,
) -> Result<(), JournalFault> {
    let mut after = 0;
    loop {
        let page = records.read(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.seq;
        page.iter().for_each(&mut take);
    }
}

pub fn documents(review: &Review) -> Documents {
    let document = page::document(review);
    // Plain data with names for keys: it always has a JSON form.
    let json = serde_json::to_string_pretty(review).unwrap_or_default();
    Documents {
        incident: review.incident.clone(),
        markdown: document.markdown(),
        html: document.html(),
        json: json + "\n",
        files: Vec::new(),
    }
}
