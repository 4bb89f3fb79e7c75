//! `mayday journal copy`: a journal moves to another place, as it was written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::failure::Failure;
use super::places::Places;
use super::say::say;
use super::{kinds, ledger};
use crate::cli::args::Format;
use crate::cli::exit::Exit;
use crate::config;
use crate::journal::{Lock, Pages, Reader, SharedJournal, SqliteJournal, Target, copy as copied};

/// Where a journal is.
enum Place {
    /// In a state directory, which nothing else works on meanwhile.
    Own(PathBuf, #[expect(dead_code, reason = "held as long as the place is used")] Lock),
    /// And how long an engine that shares it may be silent.
    Shared(SharedJournal, Duration),
}

impl Place {
    async fn find(places: &Places, named: &str) -> Result<Self, Failure> {
        let own = |dir: &Path| Ok(Self::Own(dir.to_path_buf(), Lock::take(dir)?));
        match named {
            "own" => own(&places.state),
            "shared" => {
                let config = config::load(&places.config, &kinds())?;
                let journal = ledger::shared(&config.journal, places).await?;
                let none = "the config shares no journal → name its place in [journal]";
                let lease = config.journal.lease;
                journal.map(|journal| Self::Shared(journal, lease)).ok_or_else(|| Failure::new(Exit::Config, none))
            }
            dir => own(Path::new(dir)),
        }
    }
}

/// Copies a journal, and proves the copy.
///
/// # Errors
/// When one of them cannot be read or written, an engine works on one, or there is another journal already.
pub async fn copy(places: &Places, from: &str, to: &str, format: Format) -> Result<Exit, Failure> {
    if from == to {
        return Err(Failure::new(Exit::Usage, "both places are the same → name another one"));
    }
    let (from_place, to_place) = (Place::find(places, from).await?, Place::find(places, to).await?);
    let reader;
    let source: &dyn Pages = match &from_place {
        Place::Own(dir, _) => {
            reader = Reader::open(dir).await?;
            &reader
        }
        Place::Shared(journal, _) => journal.reading(),
    };
    let who = ledger::who(&places.state, None)?;
    let chain = match &to_place {
        Place::Own(dir, _) => {
            let own = SqliteJournal::open(dir).await?;
            let chain = copied(source, &Target::Own(&own), &who, Duration::ZERO).await?;
            crate::domain::journal::Journal::close(&own).await;
            chain
        }
        Place::Shared(journal, lease) => copied(source, &Target::Shared(journal), &who, *lease).await?,
    };
    let text = format!("copied {} records from {from} to {to}; both end with the head {}", chain.records, chain.head);
    say(format, &serde_json::json!({ "records": chain.records, "head": chain.head }), text)
}
