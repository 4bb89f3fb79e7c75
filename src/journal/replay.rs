//! Replay: the fold of a whole journal. Fetching, proving, reading and folding go on side by side, a page at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use super::reader::{Hash, Page, Reader, hash};
use crate::domain::event::Record;
use crate::domain::journal::{JournalFault, Records};
use crate::domain::state::State;

/// Pages being read while earlier ones are folded.
const AHEAD: usize = 3;

/// The state that follows from every record of the journal.
///
/// # Errors
/// When the journal cannot be read, was altered, or holds a record that makes no sense to this build: an engine must not act on half
/// of its memory, nor on somebody else's.
pub async fn replay(journal: &Reader) -> Result<State, JournalFault> {
    match fold(journal).await? {
        Some(state) => Ok(state),
        None => {
            // Names the record.
            journal.verify().await?;
            Err(unreadable("its hash does not fit"))
        }
    }
}

/// `None` if the chain is broken.
async fn fold(journal: &Reader) -> Result<Option<State>, JournalFault> {
    let (mut state, mut after, mut head) = (State::default(), 0, [0; 32]);
    let mut pages: VecDeque<Reading> = VecDeque::new();
    loop {
        let page = journal.page(after).await?.map(Arc::new);
        if let Some(page) = &page {
            after += page.bodies.lines().count() as u64;
        }
        let more = page.is_some();
        pages.extend(page.map(Reading::start));
        while pages.len() > if more { AHEAD } else { 0 } {
            let Some(reading) = pages.pop_front() else { break };
            let page = reading.page.clone();
            let proof = spawn_blocking(move || prove(head, &page));
            let records = reading.records.await.map_err(broken)?;
            match proof.await.map_err(broken)? {
                Some(next) => head = next,
                None => return Ok(None),
            }
            for record in records? {
                if record.seq != state.seq + 1 {
                    return Ok(None);
                }
                state.apply(&record);
            }
        }
        if !more {
            return Ok(Some(state));
        }
    }
}

/// A page being read.
struct Reading {
    page: Arc<Page>,
    records: JoinHandle<Result<Vec<Record>, JournalFault>>,
}

impl Reading {
    fn start(page: Arc<Page>) -> Self {
        let text = page.clone();
        Self { page, records: spawn_blocking(move || read(&text.bodies)) }
    }
}

/// The chain's head after the page, if every record of it fits.
fn prove(mut head: Hash, page: &Page) -> Option<Hash> {
    let mut kept = page.hashes.as_bytes().chunks(2 * head.len());
    for body in page.bodies.lines() {
        head = hash(&head, body);
        if !reads(kept.next()?, &head) {
            return None;
        }
    }
    kept.next().is_none().then_some(head)
}

/// Whether these upper-case digits are the hash.
fn reads(digits: &[u8], hash: &Hash) -> bool {
    let digit = |half: u8| b"0123456789ABCDEF"[usize::from(half)];
    digits.iter().copied().eq(hash.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]))
}

fn read(bodies: &str) -> Result<Vec<Record>, JournalFault> {
    bodies.lines().map(|line| serde_json::from_str(line).map_err(|error| unreadable(&error.to_string()))).collect()
}

fn broken(error: JoinError) -> JournalFault {
    unreadable(&error.to_string())
}

fn unreadable(why: &str) -> JournalFault {
    let what = format!("a record cannot be read by this Mayday ({}): {why}", env!("CARGO_PKG_VERSION"));
    JournalFault { what, next: "run `mayday journal verify`; if it is whole, use the version that wrote it".into() }
}
