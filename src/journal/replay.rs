//! Replay: the fold of a whole journal. Fetching, proving, reading and folding go on side by side, a page at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::{JoinHandle, spawn_blocking};

use super::chain::{Hash, Page, Pages, broken, corrupt, first_that_does_not_fit, is_gapless, prove};
use crate::domain::event::{Event, Record};
use crate::domain::journal::JournalFault;
use crate::domain::state::State;

/// Pages being read while earlier ones are folded.
const AHEAD: usize = 3;

/// The state that follows from every record of the journal.
///
/// # Errors
/// When the journal cannot be read, was altered, or holds a record that makes no sense to this build: an engine must not act on half
/// of its memory, nor on somebody else's.
pub async fn replay(journal: &dyn Pages) -> Result<State, JournalFault> {
    fold(journal, State::default(), [0; 32]).await
}

/// The state that follows from one that is known, at a record with this hash.
pub(super) async fn fold(journal: &dyn Pages, mut state: State, mut head: Hash) -> Result<State, JournalFault> {
    let (mut after, mut known) = (state.seq, state.seq);
    let mut pages: VecDeque<Reading> = VecDeque::new();
    loop {
        let page = journal.page(after).await?.map(Arc::new);
        if let Some(page) = &page {
            if !is_gapless(page, after) {
                return Err(first_that_does_not_fit(journal, known, head).await);
            }
            after = page.last;
        }
        let more = page.is_some();
        pages.extend(page.map(Reading::start));
        while pages.len() > if more { AHEAD } else { 0 } {
            let Some(reading) = pages.pop_front() else { break };
            let page = reading.page.clone();
            let proof = spawn_blocking(move || prove(head, &page));
            let records = reading.records.await.map_err(broken)?;
            let Some(next) = proof.await.map_err(broken)? else {
                return Err(first_that_does_not_fit(journal, known, head).await);
            };
            for record in records? {
                if let Event::Newer { kind, .. } = &record.event {
                    return Err(newer(record.seq, kind));
                }
                if record.seq != state.seq + 1 {
                    return Err(corrupt(state.seq + 1, "says another number of itself"));
                }
                state.apply(&record);
            }
            (head, known) = (next, reading.page.last);
        }
        if !more {
            return Ok(state);
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
        Self { page, records: spawn_blocking(move || read(&text)) }
    }
}

fn read(page: &Page) -> Result<Vec<Record>, JournalFault> {
    let bodies = page.bodies().zip(page.first..);
    bodies.map(|(body, seq)| Record::read(body).map_err(|_| corrupt(seq, "cannot be read"))).collect()
}

/// What an engine says to a record that it does not understand.
pub(super) fn newer(seq: u64, kind: &str) -> JournalFault {
    JournalFault {
        what: format!(
            "record {seq} is of a newer Mayday ({kind}); this one ({}) would act on half of what is known",
            env!("CARGO_PKG_VERSION")
        ),
        next: "start the newer version; `mayday journal tail`, `journal export` and `report` read it with this one too"
            .into(),
    }
}
