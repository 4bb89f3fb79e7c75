//! The chain: each record is held to the one before by SHA-256. Nothing here knows where records are kept: a store hands them out as
//! [`Pages`], and what is proven of one is proven of all.

use std::sync::Arc;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tokio::task::{JoinError, spawn_blocking};

use crate::domain::actor::Actor;
use crate::domain::event::{Event, Record};
use crate::domain::journal::{Chain, JournalFault, Written};
use crate::domain::time::At;

/// Records that are looked at one by one where a page does not fit.
const ROWS: usize = 500;

pub type Hash = [u8; 32];

/// A record as it is kept: its number, its text, and the chain's hash with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub seq: u64,
    pub body: Vec<u8>,
    pub hash: Vec<u8>,
}

impl Row {
    /// # Errors
    /// When it is no record of any Mayday's.
    pub fn record(&self) -> Result<Record, JournalFault> {
        Record::read(&self.body).map_err(|_| corrupt(self.seq, "cannot be read"))
    }
}

/// Many records in few pieces of memory.
pub struct Page {
    pub first: u64,
    pub last: u64,
    /// Each number is one more than that before: an order that a store takes for granted, and a flipped bit breaks.
    pub in_order: bool,
    /// One after the other, and where each ends: nothing has to be looked for in them.
    pub(super) bodies: Vec<u8>,
    pub(super) ends: Vec<usize>,
    /// One after the other.
    pub(super) hashes: Vec<u8>,
}

impl Page {
    /// Of records that were fetched one by one.
    pub fn of(rows: &[Row]) -> Option<Self> {
        let (first, last) = (rows.first()?.seq, rows.last()?.seq);
        let in_order = rows.iter().zip(first..).all(|(row, seq)| row.seq == seq);
        let mut page = Self { first, last, in_order, bodies: Vec::new(), ends: Vec::new(), hashes: Vec::new() };
        for row in rows {
            page.bodies.extend(&row.body);
            page.ends.push(page.bodies.len());
            page.hashes.extend(&row.hash);
        }
        Some(page)
    }

    /// The text of each record.
    pub fn bodies(&self) -> impl Iterator<Item = &[u8]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        // Ends that make no sense leave nothing, and nothing fits no chain.
        starts.zip(&self.ends).map(|(start, end)| self.bodies.get(start..*end).unwrap_or_default())
    }

    /// The hash of each record, as it is kept; something shorter at the end is one that was damaged.
    pub fn hashes(&self) -> impl Iterator<Item = &[u8]> {
        self.hashes.chunks(size_of::<Hash>())
    }
}

/// Where records are kept, as the chain is read from it.
#[async_trait]
pub trait Pages: Send + Sync {
    /// Some thousand records after `seq`; `None` if there are none.
    async fn page(&self, after: u64) -> Result<Option<Page>, JournalFault>;
    /// At most `limit` records after `seq`.
    async fn rows(&self, after: u64, limit: usize) -> Result<Vec<Row>, JournalFault>;
    /// The hash that is kept of a record, in hex.
    async fn stored(&self, seq: u64) -> Result<Option<String>, JournalFault>;
    /// Which journal it is: made at random with it. Empty in one of an older Mayday; `None` if this is no journal that this Mayday knows.
    async fn identity(&self) -> Result<Option<String>, JournalFault>;
}

/// Every record's text, as it was written, with its number.
///
/// # Errors
/// When it cannot be read.
pub async fn texts(journal: &dyn Pages, after: u64, limit: usize) -> Result<Vec<(u64, String)>, JournalFault> {
    let rows = journal.rows(after, limit).await?;
    Ok(rows.into_iter().map(|row| (row.seq, String::from_utf8_lossy(&row.body).into_owned())).collect())
}

/// Records that are to be written after `tail`, and what the store keeps of them.
///
/// # Errors
/// When the tail's hash is none, or an event has no JSON form.
pub fn draft(tail: &Chain, at: At, events: Vec<(Actor, Event)>) -> Result<(Written, Vec<Row>), JournalFault> {
    let unfit = |why: String| JournalFault { what: why, next: "tell who keeps Mayday".into() };
    let mut head = unhead(tail).ok_or_else(|| unfit(format!("`{}` is no hash of a record", tail.head)))?;
    let (mut seq, mut rows, mut records) = (tail.records, Vec::new(), Vec::new());
    for (actor, event) in events {
        seq += 1;
        let record = Record { seq, at, actor, event };
        let body =
            serde_json::to_vec(&record).map_err(|error| unfit(format!("an event cannot be written: {error}")))?;
        head = hash(&head, &body);
        rows.push(Row { seq, body, hash: head.to_vec() });
        records.push(record);
    }
    let first = rows.first().map(|row| hex(&row.hash)).unwrap_or_default();
    Ok((Written { records, first, chain: Chain { records: seq, head: head_of(seq, &head) } }, rows))
}

/// The hash that the next record is chained to.
fn unhead(tail: &Chain) -> Option<Hash> {
    if tail.records == 0 { Some([0; 32]) } else { unhex(&tail.head) }
}

/// As a chain tells its head: nothing of no records.
pub fn head_of(seq: u64, hash: &Hash) -> String {
    if seq == 0 { String::new() } else { hex(hash) }
}

/// What a store has after a point that was read before, proven to follow it.
///
/// # Errors
/// Also when it has never been there: it is another history, or an older copy.
pub async fn pages(journal: &dyn Pages, after: &Chain, limit: usize) -> Result<(Vec<Record>, Chain), JournalFault> {
    let rows = journal.rows(after.records, limit).await?;
    if rows.is_empty() && journal.stored(after.records).await?.unwrap_or_default() != after.head {
        return Err(corrupt(after.records, "is not the one that was read before, or is gone"));
    }
    follow(after, &rows)
}

/// What follows `after`, proven record by record.
///
/// # Errors
/// When a number is missing, a record does not fit the chain, or it makes no sense.
pub fn follow(after: &Chain, rows: &[Row]) -> Result<(Vec<Record>, Chain), JournalFault> {
    let mut head = unhead(after).ok_or_else(|| corrupt(after.records, "has a hash that is none"))?;
    let (mut seq, mut records) = (after.records, Vec::with_capacity(rows.len()));
    for row in rows {
        if row.seq != seq + 1 {
            return Err(corrupt(seq + 1, "is missing"));
        }
        (seq, head) = (row.seq, hash(&head, &row.body));
        if row.hash != head {
            return Err(corrupt(seq, "does not fit the chain"));
        }
        let record = row.record()?;
        if record.seq != seq {
            return Err(corrupt(seq, "says another number of itself"));
        }
        records.push(record);
    }
    Ok((records, Chain { records: seq, head: head_of(seq, &head) }))
}

/// The whole chain, recomputed from its first record. Fetching a page and proving the one before go on side by side.
///
/// # Errors
/// When it cannot be read, or names the first record that does not fit.
pub async fn whole(journal: &dyn Pages) -> Result<Chain, JournalFault> {
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
    Ok(Chain { records: seq, head: head_of(seq, &head) })
}

/// Whether its numbers follow that of the record before.
pub fn is_gapless(page: &Page, before: u64) -> bool {
    page.first == before + 1 && page.in_order
}

/// The chain's head after the page, if every record of it fits.
pub fn prove(mut head: Hash, page: &Page) -> Option<Hash> {
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
pub async fn first_that_does_not_fit(journal: &dyn Pages, mut seq: u64, mut head: Hash) -> JournalFault {
    loop {
        let rows = match journal.rows(seq, ROWS).await {
            Ok(rows) if rows.is_empty() => return corrupt(seq, "or one near it cannot be read in its place"),
            Ok(rows) => rows,
            Err(fault) => return fault,
        };
        for row in rows {
            if row.seq != seq + 1 {
                return corrupt(seq + 1, "is missing");
            }
            (seq, head) = (row.seq, hash(&head, &row.body));
            if row.hash != head {
                return corrupt(seq, "does not fit the chain");
            }
        }
    }
}

pub fn hash(previous: &[u8], body: &[u8]) -> Hash {
    Sha256::new().chain_update(previous).chain_update(body).finalize().into()
}

pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

pub fn unhex(text: &str) -> Option<Hash> {
    let bytes = text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

/// The beginning of a hash that somebody noted, as it is looked for; `None` if it is none.
pub fn beginning(head: &str) -> Option<String> {
    let plain = head.to_ascii_lowercase();
    (!plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(plain)
}

pub fn corrupt(seq: u64, why: &str) -> JournalFault {
    const NEXT: &str = "keep the state directory as evidence (`mayday journal export` reads what is there), and work with an empty \
        one by --state-dir";
    let what = format!("record {seq} {why}: the journal was altered after it was written");
    JournalFault { what, next: NEXT.into() }
}

/// What read in the background was not read to its end.
pub fn broken(error: JoinError) -> JournalFault {
    JournalFault {
        what: format!("reading it broke off: {error}"),
        next: "try again; if it stays, tell who keeps Mayday".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(text: &str) -> (Actor, Event) {
        (Actor::engine(), Event::NoteAdded { text: text.into() })
    }

    #[test]
    fn what_is_drafted_follows_and_what_was_altered_does_not() {
        let at = "2026-11-30T10:00:00Z".parse().unwrap();
        let (one, rows) = draft(&Chain::default(), at, vec![note("one")]).unwrap();
        let (two, more) = draft(&one.chain, at, vec![note("two"), note("three")]).unwrap();
        assert_eq!((two.chain.records, hex(&more[0].hash)), (3, two.first.clone()));
        let all: Vec<Row> = rows.into_iter().chain(more).collect();
        assert_eq!(follow(&Chain::default(), &all).unwrap().1, two.chain);
        assert_eq!(follow(&one.chain, &all[1..]).unwrap(), (two.records, two.chain.clone()));
        assert_eq!(prove([0; 32], &Page::of(&all).unwrap()).map(|head| hex(&head)), Some(two.chain.head));
        assert!(follow(&Chain::default(), &all[1..]).unwrap_err().what.contains("record 1 is missing"));
        for (nth, expected) in [(0, "record 1 does not fit"), (2, "record 3 does not fit")] {
            let mut altered = all.clone();
            altered[nth].body.push(b' ');
            assert!(follow(&Chain::default(), &altered).unwrap_err().what.contains(expected));
            assert_eq!(prove([0; 32], &Page::of(&altered).unwrap()), None);
        }
        let another = Chain { records: 1, head: hex(&[7; 32]) };
        assert!(follow(&another, &all[1..]).unwrap_err().what.contains("record 2 does not fit"));
    }
}
