//! A snapshot of the fold beside the journal, so that a start reads only what came after it. It is a cache: whatever does not fit the
//! chain or this build is passed over, and the journal is folded from its first record.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::chain::{Pages, hex, unhex};
use super::reader::Reader;
use super::replay::fold;
use crate::domain::journal::{Chain, JournalFault};
use crate::domain::state::State;

/// Of a journal in the state directory, and of one that engines share: neither says anything of the other.
pub(super) const OWN: &str = "journal.fold";
pub(super) const SHARED: &str = "ledger.fold";
const FORMAT: u32 = 1;

/// What the state that follows this line is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Title {
    format: u32,
    /// The program that folded it: another one may fold otherwise.
    program: String,
    journal: String,
    seq: u64,
    /// The chain's hash at that record, in hex.
    head: String,
    /// Of the bytes of the state.
    sum: String,
}

/// This build: its version, and its file.
fn program() -> Option<String> {
    let file = fs::metadata(std::env::current_exe().ok()?).ok()?;
    Some(format!("{} {} {}.{}", env!("CARGO_PKG_VERSION"), file.len(), file.mtime(), file.mtime_nsec()))
}

/// Whether a fold lies there.
pub(super) fn is_kept(dir: &Path) -> bool {
    dir.join(OWN).exists()
}

/// Keeps the fold up to the record with this hash. Whether it can be read back as it was is looked at first.
pub(super) fn keep(file: &Path, journal: &str, head: &str, state: &State) -> io::Result<()> {
    let Some(program) = program() else { return Ok(()) };
    let mut body = Vec::new();
    ciborium::into_writer(state, &mut body).map_err(io::Error::other)?;
    let again: State = ciborium::from_reader(&body[..]).map_err(io::Error::other)?;
    if &again != state {
        return Err(io::Error::other("the state cannot be read back as it was"));
    }
    let (journal, head, sum) = (journal.to_owned(), head.to_owned(), hex(&Sha256::digest(&body)));
    let title = Title { format: FORMAT, program, journal, seq: state.seq, head, sum };
    let (draft, dir) = (file.with_added_extension("draft"), file.parent().unwrap_or(Path::new(".")));
    let mut kept = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    kept.write_all(&serde_json::to_vec(&title)?)?;
    kept.write_all(b"\n")?;
    kept.write_all(&body)?;
    kept.sync_all()?;
    fs::rename(&draft, file)?;
    File::open(dir)?.sync_all()
}

/// What was kept of this journal by this build, and the hash it belongs to.
fn load(file: &Path, journal: &str) -> Option<(Title, State)> {
    let bytes = fs::read(file).ok()?;
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (title, body) = (serde_json::from_slice::<Title>(&bytes[..end]).ok()?, &bytes[end + 1..]);
    let fits = title.format == FORMAT && Some(&title.program) == program().as_ref() && title.journal == journal;
    if !fits || title.sum != hex(&Sha256::digest(body)) {
        return None;
    }
    let state: State = ciborium::from_reader(body).ok()?;
    (state.seq == title.seq).then_some((title, state))
}

/// What was kept of a journal that cannot be asked now, and the chain up to there.
pub(super) fn last_known(file: &Path, journal: &str) -> Option<(State, Chain)> {
    let (title, state) = load(file, journal)?;
    Some((state, Chain { records: title.seq, head: title.head }))
}

/// The state that follows from the journal: from its snapshot and what came after, or from every record. What came before a snapshot is
/// not proven here.
///
/// # Errors
/// As [`replay`](super::replay()).
pub async fn resume(journal: &Reader) -> Result<State, JournalFault> {
    resumed(journal, journal.dir().join(OWN)).await
}

/// The same of a journal whose snapshot is this file.
pub(super) async fn resumed(journal: &dyn Pages, file: PathBuf) -> Result<State, JournalFault> {
    let identity = journal.identity().await?.unwrap_or_default();
    let loaded = tokio::task::spawn_blocking(move || load(&file, &identity)).await.ok().flatten();
    if let Some((title, state)) = loaded
        && journal.stored(state.seq).await?.as_ref() == Some(&title.head)
        && let Some(head) = unhex(&title.head)
    {
        return fold(journal, state, head).await;
    }
    super::replay(journal).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::actor::Actor;
    use crate::domain::event::Event;
    use crate::domain::journal::Journal;
    use crate::journal::bench::write;
    use crate::journal::{SqliteJournal, replay};

    async fn append(journal: &SqliteJournal, reason: &str) {
        let event = Event::HoldSet { reason: reason.into() };
        write(journal, vec![(Actor::engine(), event)]).await.unwrap();
    }

    #[tokio::test]
    async fn a_snapshot_is_taken_only_where_it_fits_the_chain() {
        let dir = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(dir.path()).await.unwrap();
        append(&journal, "one").await;
        let mut kept = replay(journal.reader()).await.unwrap();
        // Something no record says, so that it shows where the state came from.
        kept.runs = 77;
        journal.keep(&kept).await.unwrap();
        append(&journal, "two").await;
        let state = resume(journal.reader()).await.unwrap();
        assert_eq!((state.seq, state.runs, state.hold.unwrap().reason.as_str()), (2, 77, "two"));
        let whole = fs::read(dir.path().join(OWN)).unwrap();
        for place in [5, 40, whole.len() / 2, whole.len() - 2] {
            let mut flipped = whole.clone();
            flipped[place] ^= 1;
            fs::write(dir.path().join(OWN), flipped).unwrap();
            assert_eq!(resume(journal.reader()).await.unwrap().runs, 0, "byte {place}");
        }
        // Of a history that was another one.
        let text = String::from_utf8_lossy(&whole[..whole.iter().position(|it| *it == b'\n').unwrap()]).into_owned();
        let title: Title = serde_json::from_str(&text).unwrap();
        super::keep(&dir.path().join(OWN), &title.journal, &"0".repeat(64), &kept).unwrap();
        assert_eq!(resume(journal.reader()).await.unwrap().runs, 0);
        super::keep(&dir.path().join(OWN), "another", &title.head, &kept).unwrap();
        assert_eq!(resume(journal.reader()).await.unwrap().runs, 0);
    }
}
