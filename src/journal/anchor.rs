//! The anchor: how far the journal had come, kept apart from it. Two slots are written in turn, so that a torn write loses the newest
//! and never both. A thread of its own writes them: what hangs there hangs alone. The anchor of a commit is durable before the next one
//! begins, so it is one behind at most.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::chain::hex;
use crate::domain::journal::JournalFault;

const NAME: &str = "journal.anchor";
/// The form of a slot; one of another form is not read.
const FORMAT: u32 = 1;
/// Bytes of a slot, and from one to the next: no block of a disk holds both.
const SLOT: usize = 1024;
const STRIDE: u64 = 4096;

/// Where a journal lies: what tells a copy from the original.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Of the machine's id, a hash; `None` where it has none.
    pub machine: Option<String>,
    /// This start of the machine; `None` where that cannot be told.
    pub boot: Option<String>,
    pub device: u64,
    pub inode: u64,
}

impl Place {
    /// Of a file that exists.
    pub fn of(file: &Path) -> io::Result<Self> {
        let it = fs::metadata(file)?;
        let read = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
        let machine = read("/etc/machine-id").filter(|id| !id.is_empty());
        let machine = machine.map(|id| hex(&Sha256::digest(format!("mayday {id}")))[..16].to_owned());
        Ok(Self { machine, boot: read("/proc/sys/kernel/random/boot_id"), device: it.dev(), inode: it.ino() })
    }

    /// Whether a journal that was here before lies there now. The number of a device may change when the machine starts again; within
    /// one start it does not.
    pub fn is_other_than(&self, now: &Self) -> bool {
        let machines = self.machine.as_ref().zip(now.machine.as_ref());
        machines.is_some_and(|(before, now)| before != now)
            || self.inode != now.inode
            || self.boot.is_some() && self.boot == now.boot && self.device != now.device
    }
}

/// How far a journal had come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    format: u32,
    /// Counts the writes of the anchor.
    turn: u64,
    /// Which journal: made at random with it.
    pub journal: String,
    pub records: u64,
    /// The hash of the last of them, in hex.
    pub head: String,
    pub place: Place,
}

impl Mark {
    pub fn new(journal: String, records: u64, head: String, place: Place) -> Self {
        Self { format: FORMAT, turn: 0, journal, records, head, place }
    }

    pub fn next(&self, records: u64, head: String) -> Self {
        Self { turn: self.turn + 1, records, head, ..self.clone() }
    }

    /// The same journal, which lies there now.
    pub fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    fn slot(&self) -> Vec<u8> {
        // Plain data: it always has a JSON form.
        let line = serde_json::to_string(self).unwrap_or_default();
        let mut bytes = format!("{line}\n{}\n", hex(&Sha256::digest(&line))).into_bytes();
        bytes.resize(SLOT, b' ');
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(bytes).ok()?.lines();
        let (line, sum) = (lines.next()?, lines.next()?);
        let whole = sum == hex(&Sha256::digest(line));
        serde_json::from_str(line).ok().filter(|mark: &Self| whole && mark.format == FORMAT)
    }
}

/// What is found of an anchor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Missing,
    /// The file is there, and neither slot can be read.
    Unreadable,
    Known(Mark),
}

pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// The newest whole slot.
pub(super) fn load(dir: &Path) -> io::Result<Anchor> {
    let bytes = match fs::read(path(dir)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Anchor::Missing),
        Err(error) => return Err(error),
    };
    let slots = [0, STRIDE as usize].map(|start| bytes.get(start..(start + SLOT).min(bytes.len())));
    let newest = slots.into_iter().flatten().filter_map(Mark::read).max_by_key(|mark| mark.turn);
    Ok(newest.map_or(Anchor::Unreadable, Anchor::Known))
}

/// Makes the anchor's file anew; an older one is there whole until this one is.
pub(super) fn create(dir: &Path, mark: &Mark) -> io::Result<()> {
    let draft = dir.join("journal.anchor.draft");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    let mut bytes = mark.slot();
    bytes.resize(STRIDE as usize, b' ');
    bytes.extend(mark.slot());
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path(dir))?;
    File::open(dir)?.sync_all()
}

/// What the thread is asked for.
enum Ask {
    Write(Mark),
    /// Are the files still those that were opened? `deep`: and does the anchor say what was written last?
    Look {
        deep: bool,
    },
    /// The log was made anew by SQLite.
    NewLog,
}

type Answer = oneshot::Sender<Result<(), JournalFault>>;

/// The thread that keeps the anchor.
pub(super) struct Keeper {
    asks: mpsc::Sender<(Ask, Answer)>,
}

/// A device and a file on it.
type Id = (u64, u64);

fn id(path: &Path) -> Option<Id> {
    fs::metadata(path).ok().map(|it| (it.dev(), it.ino()))
}

struct Kept {
    dir: PathBuf,
    anchor: File,
    last: Mark,
    journal: (PathBuf, Option<Id>),
    log: (PathBuf, Option<Id>),
    own: (PathBuf, Option<Id>),
}

impl Keeper {
    /// Begins to keep an anchor that exists and says `last`.
    pub fn start(dir: &Path, journal: &Path, last: Mark) -> io::Result<Self> {
        let own = path(dir);
        let anchor = OpenOptions::new().read(true).write(true).open(&own)?;
        let log = PathBuf::from(format!("{}-wal", journal.display()));
        let mut kept = Kept {
            dir: dir.into(),
            anchor,
            last,
            journal: (journal.into(), id(journal)),
            log: (log, None),
            own: (own.clone(), id(&own)),
        };
        let (asks, asked) = mpsc::channel::<(Ask, Answer)>();
        std::thread::Builder::new().name("anchor".into()).spawn(move || {
            while let Ok((ask, answer)) = asked.recv() {
                // Whoever asked may be gone; what was done stays done.
                let _ = answer.send(kept.answer(ask));
            }
        })?;
        Ok(Self { asks })
    }

    fn ask(&self, ask: Ask) -> oneshot::Receiver<Result<(), JournalFault>> {
        let (answer, answered) = oneshot::channel();
        // A thread that is gone drops the answer, which is told as a fault.
        let _ = self.asks.send((ask, answer));
        answered
    }

    /// Begins to write; the answer comes once it is durable.
    pub fn write(&self, mark: Mark) -> oneshot::Receiver<Result<(), JournalFault>> {
        self.ask(Ask::Write(mark))
    }

    pub async fn look(&self, deep: bool) -> Result<(), JournalFault> {
        settled(self.ask(Ask::Look { deep })).await
    }

    pub async fn new_log(&self) -> Result<(), JournalFault> {
        settled(self.ask(Ask::NewLog)).await
    }
}

/// The answer of the thread.
pub(super) async fn settled(answer: oneshot::Receiver<Result<(), JournalFault>>) -> Result<(), JournalFault> {
    let gone = |_| JournalFault {
        what: "what keeps the journal's anchor has ended".into(),
        next: "restart the engine: mayday engine stop, then mayday engine".into(),
    };
    answer.await.map_err(gone)?
}

impl Kept {
    fn answer(&mut self, ask: Ask) -> Result<(), JournalFault> {
        match ask {
            Ask::Write(mark) => self.write(mark),
            Ask::Look { deep } => self.look(deep),
            Ask::NewLog => {
                self.log.1 = None;
                Ok(())
            }
        }
    }

    fn write(&mut self, mark: Mark) -> Result<(), JournalFault> {
        let place = STRIDE * (mark.turn % 2);
        let written = self.anchor.write_all_at(&mark.slot(), place).and_then(|()| self.anchor.sync_data());
        written.map_err(|error| JournalFault {
            what: format!("{}: its anchor cannot be written: {error}", self.journal.0.display()),
            next: "look at the disk: is there room, does it fail? nothing is done until it can be written".into(),
        })?;
        self.last = mark;
        if self.log.1.is_none() {
            self.log.1 = id(&self.log.0);
        }
        Ok(())
    }

    fn look(&self, deep: bool) -> Result<(), JournalFault> {
        for (path, opened) in [&self.journal, &self.log, &self.own] {
            if opened.is_some() && id(path) != *opened {
                return Err(severed(path, "was removed or replaced while the engine ran"));
            }
        }
        let load = || load(&self.dir);
        if deep && load().is_ok_and(|found| found != Anchor::Known(self.last.clone())) {
            return Err(severed(&self.own.0, "was written by somebody else while the engine ran"));
        }
        Ok(())
    }
}

fn severed(path: &Path, why: &str) -> JournalFault {
    JournalFault {
        what: format!(
            "{} {why}: what happens now would be remembered by nobody, so nothing new is begun",
            path.display()
        ),
        next:
            "put the files back as they were; or stop this engine (mayday engine stop), see that no other one works on \
            this directory, and start it again"
                .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(inode: u64, device: u64, boot: &str, machine: &str) -> Place {
        Place { machine: Some(machine.into()), boot: Some(boot.into()), device, inode }
    }

    #[test]
    fn a_torn_or_flipped_slot_loses_the_newest_and_never_both() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path()).unwrap(), Anchor::Missing);
        let first = Mark::new("a".repeat(32), 1, "b".repeat(64), place(1, 2, "boot", "here"));
        create(dir.path(), &first).unwrap();
        assert_eq!(load(dir.path()).unwrap(), Anchor::Known(first.clone()));
        let second = first.next(2, "c".repeat(64));
        let file = OpenOptions::new().write(true).open(path(dir.path())).unwrap();
        file.write_all_at(&second.slot(), STRIDE).unwrap();
        assert_eq!(load(dir.path()).unwrap(), Anchor::Known(second.clone()));
        // The last is one of the checksum's.
        let end = second.slot().trim_ascii_end().len() as u64;
        for torn in [1, 40, end - 2] {
            file.write_all_at(&second.slot(), STRIDE).unwrap();
            file.write_all_at(b"#", STRIDE + torn).unwrap();
            assert_eq!(load(dir.path()).unwrap(), Anchor::Known(first.clone()), "byte {torn}");
        }
        file.write_all_at(b"#", 3).unwrap();
        assert_eq!(load(dir.path()).unwrap(), Anchor::Unreadable);
        file.set_len(0).unwrap();
        assert_eq!(load(dir.path()).unwrap(), Anchor::Unreadable);
    }

    #[test]
    fn a_copy_is_another_file_or_on_another_machine_and_a_restart_is_neither() {
        let before = place(1, 2, "monday", "here");
        for (now, other) in [
            (before.clone(), false),
            (place(1, 3, "tuesday", "here"), false),
            (place(1, 3, "monday", "here"), true),
            (place(9, 2, "monday", "here"), true),
            (place(9, 2, "tuesday", "here"), true),
            (place(1, 2, "tuesday", "there"), true),
            (Place { machine: None, boot: None, ..before.clone() }, false),
        ] {
            assert_eq!(before.is_other_than(&now), other, "{now:?}");
        }
    }
}
