//! Replay: the fold of a whole journal. Fetching, reading and folding go on side by side, a page at a time.

use std::collections::VecDeque;

use tokio::task::JoinHandle;

use super::SqliteJournal;
use crate::domain::event::Record;
use crate::domain::journal::JournalFault;
use crate::domain::state::State;

/// Pages being read while earlier ones are folded.
const AHEAD: usize = 3;

/// The state that follows from every record of the journal.
///
/// # Errors
/// When the journal cannot be read, or a record makes no sense to this build: an engine must not act on half of its memory.
pub async fn replay(journal: &SqliteJournal) -> Result<State, JournalFault> {
    let (mut state, mut after) = (State::default(), 0);
    let mut pages: VecDeque<JoinHandle<Result<Vec<Record>, JournalFault>>> = VecDeque::new();
    loop {
        let page = journal.page(after).await?;
        if let Some(page) = &page {
            after += page.lines().count() as u64;
        }
        let more = page.is_some();
        pages.extend(page.map(|page| tokio::task::spawn_blocking(move || read(&page))));
        while pages.len() > if more { AHEAD } else { 0 } {
            let Some(page) = pages.pop_front() else { break };
            let records = page.await.map_err(|error| unreadable(&error.to_string()))??;
            for record in &records {
                if record.seq != state.seq + 1 {
                    return Err(unreadable(&format!("record {} is missing", state.seq + 1)));
                }
                state.apply(record);
            }
        }
        if !more {
            return Ok(state);
        }
    }
}

fn read(page: &str) -> Result<Vec<Record>, JournalFault> {
    page.lines().map(|line| serde_json::from_str(line).map_err(|error| unreadable(&error.to_string()))).collect()
}

fn unreadable(why: &str) -> JournalFault {
    let what = format!("a record cannot be read by this Mayday ({}): {why}", env!("CARGO_PKG_VERSION"));
    JournalFault { what, next: "run `mayday journal verify`; if it is whole, use the version that wrote it".into() }
}
