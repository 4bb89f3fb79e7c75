//! A chain that is whole, held against what is known of it from elsewhere: the anchor that says how far it had come.

use std::path::Path;

use super::anchor::{self, Anchor};
use super::chain::Pages;
use super::file::explain;
use crate::domain::journal::{Chain, JournalFault};

/// The anchor beside the journal.
pub(super) fn anchor(dir: &Path) -> Result<Anchor, JournalFault> {
    anchor::load(dir).map_err(|error| explain(&anchor::path(dir), &sqlx::Error::Io(error)))
}

/// Whether a chain that is whole reaches as far as the anchor says, and is the same there. Without an anchor, as beside a copy of the
/// file alone, there is nothing to hold it against.
pub(super) async fn fits(journal: &dyn Pages, chain: &Chain, anchor: Anchor) -> Result<(), JournalFault> {
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
