//! The watchman of the journal: whether its files are still those that were opened, and fit together. What is wrong is told like a disk
//! that fails, and nothing new begins meanwhile: nothing can be made durable.

use std::time::Duration;

use super::Handle;
use crate::domain::live::LiveChange;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(60);
/// So many records after the last snapshot the next one is kept: a start reads no more than these and a minute's.
const RECORDS: u64 = 5000;

pub(super) fn start(engine: &Handle) {
    engine.spawn(watch(engine.clone()));
}

async fn watch(engine: Handle) {
    // A start does not read what was true long ago: that is proven now, beside everything else.
    let (mut whole, mut told) = (true, false);
    let mut kept = engine.shared.state().seq;
    loop {
        match engine.shared.journal.check(whole).await {
            Ok(()) if told => {
                engine.shared.live(LiveChange::Journal { fault: None });
                told = false;
            }
            Ok(()) => {}
            Err(fault) => {
                tracing::error!(%fault, "the journal is not what it was");
                engine.shared.live(LiveChange::Journal { fault: Some(fault.to_string()) });
                told = true;
            }
        }
        whole = false;
        let state = engine.shared.state();
        // Of a journal that may be out of reach one day, the last that is known here is as new as can be.
        let enough = if engine.shared.pen.is_shared() { 1 } else { RECORDS };
        if !told && state.seq >= kept + enough {
            kept = state.seq;
            if let Err(fault) = engine.shared.journal.keep(&state).await {
                tracing::warn!(%fault, "no snapshot was kept");
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}
