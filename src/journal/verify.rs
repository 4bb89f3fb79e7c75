//! The proof of the chain. Fetching a page and proving the one before go on side by side.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::anchor::{self, Anchor};
use super::reader::{Hash, Page, Reader, corrupt, explain, hash, hex};
use super::replay::broken;
use crate::domain::journal::{Chain, JournalFault};

/// Records that are looked at one by one where a page does not fit.
const ROWS: i64 = 500;

/// The whole chain, recomputed from its first record.
pub(super) async fn whole(journal: &Reader) -> Result<Chain, JournalFault> {
    let (mut seq, mut head): (u64, Hash) = (0, [0; 32]);
    let mut proof = None;
    loop {
        let page = journal.page(seq).await?.map(Arc::new);
        if let Some((task, from, before)) = proof.take() {
            let task: tokio::task::JoinHandle<Option<Hash>> = task;
            match task.await.map_err(broken)? {
                Some(next) => head = next,
                None => return Err(first_that_does_not_fit(journal, from, before).await),
            }
        }
        let Some(page) = page else { break };
        if !is_gapless(&page, seq) {
            return Err(first_that_does_not_fit(journal, seq, head).await);
        }
        proof = Some((
            spawn_blocking({
                let page = page.clone();
                move || prove(head, &page)
            }),
            seq,
            head,
        ));
        seq = page.last;
    }
    Ok(Chain { records: seq, head: if seq == 0 { String::new() } else { hex(&head) } })
}

/// Whether its numbers follow that of the record before.
pub(super) fn is_gapless(page: &Page, before: u64) -> bool {
    page.first == before + 1 && page.in_order
}

/// The chain's head after the page, if every record of it fits.
pub(super) fn prove(mut head: Hash, page: &Page) -> Option<Hash> {
    let mut kept = page.hashes();
    for body in page.bodies() {
        head = hash(&head, body);
        if kept.next()? != head {
            return None;
        }
    }
    kept.next().is_none().then_some(head)
}

/// Names the record.
pub(super) async fn first_that_does_not_fit(journal: &Reader, mut seq: u64, mut head: Hash) -> JournalFault {
    loop {
        let rows = match journal.rows(seq, ROWS).await {
            Ok(rows) if rows.is_empty() => return corrupt(seq, "or one near it cannot be read in its place"),
            Ok(rows) => rows,
            Err(fault) => return fault,
        };
        for (found, body, kept) in rows {
            if found != seq + 1 {
                return corrupt(seq + 1, "is missing");
            }
            (seq, head) = (found, hash(&head, &body));
            if kept != head {
                return corrupt(seq, "does not fit the chain");
            }
        }
    }
}

/// The anchor beside the journal.
pub(super) fn anchor(journal: &Reader) -> Result<Anchor, JournalFault> {
    anchor::load(journal.dir()).map_err(|error| explain(journal.path(), &sqlx::Error::Io(error)))
}

/// Whether a chain that is whole reaches as far as the anchor says, and is the same there. Without an anchor, as beside a copy of the
/// file alone, there is nothing to hold it against.
pub(super) async fn fits(journal: &Reader, chain: &Chain, anchor: Anchor) -> Result<(), JournalFault> {
    let mark = match anchor {
        Anchor::Known(mark) => mark,
        Anchor::Missing => return Ok(()),
        Anchor::Unreadable => return Err(unfit("the anchor beside it cannot be read".into())),
    };
    if journal.identity().await?.is_some_and(|it| it != mark.journal) {
        return Err(unfit("the anchor beside it is another journal's".into()));
    }
    let there = mark.records == 0 || journal.stored(mark.records).await?.as_ref() == Some(&mark.head);
    let durable = Chain { records: mark.records, head: mark.head };
    if chain.records < durable.records || !there { Err(cut(chain, &durable)) } else { Ok(()) }
}

/// A chain that is whole, and does not hold what was durable.
pub(super) fn cut(chain: &Chain, durable: &Chain) -> JournalFault {
    let (have, had) = (chain.records, durable.records);
    if have < had {
        return unfit(format!("it ends at record {have}, and {had} were durable: {} are lost", had - have));
    }
    unfit(format!("its record {had} is not the one that was durable"))
}

fn unfit(why: String) -> JournalFault {
    JournalFault {
        what: format!("{why}. What is there fits together, but the journal was cut or replaced after it was written"),
        next: "keep the state directory as evidence and put the files back that belong here; `mayday journal accept` tells what going \
            on without them means"
            .into(),
    }
}
