//! A journal that does not fit its anchor is not opened by itself: a person says with a phrase that names the loss that it is to go on.

use std::fs;
use std::io;
use std::path::Path;

use sqlx::Connection;

use super::anchor::{self, Anchor, Mark, Place};
use super::chain::Pages;
use super::file::{self, explain};
use super::reader::{Reader, place};
use crate::domain::actor::Actor;
use crate::domain::event::Event;
use crate::domain::journal::JournalFault;
use crate::domain::time::At;

/// Why a journal is not opened by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Doubt {
    /// The file is not there, or empty.
    Gone {
        records: u64,
    },
    /// Neither it nor its anchor is there, and what an engine kept beside it is.
    Lost,
    Shorter {
        have: u64,
        records: u64,
    },
    /// The record that the anchor names is another.
    Rewritten {
        at: u64,
    },
    /// It is not the journal that the anchor is of.
    Another,
    NoAnchor {
        have: u64,
    },
    Copy,
}

/// Whether no engine has ever kept a journal here: nothing of one is there, and nothing says that one was.
pub fn is_fresh(dir: &Path) -> bool {
    !place(dir).exists() && matches!(anchor::load(dir), Ok(Anchor::Missing)) && !super::snapshot::is_kept(dir)
}

impl Doubt {
    /// What a person types to go on.
    fn phrase(&self) -> String {
        let lost = |count: u64| if count == 1 { "1 record".to_owned() } else { format!("{count} records") };
        match self {
            Self::Gone { records } => format!("all {} are gone", lost(*records)),
            Self::Lost => "the journal and its anchor are gone".into(),
            Self::Shorter { have, records } => format!("shorter by {}", lost(records - have)),
            Self::Rewritten { at } => format!("another history up to record {at}"),
            Self::Another => "another journal".into(),
            Self::NoAnchor { .. } => "without its anchor".into(),
            Self::Copy => "no other engine has the original".into(),
        }
    }

    fn what(&self) -> String {
        match self {
            Self::Gone { records } => format!("it is not there, or empty, and {records} records were durable"),
            Self::Lost => {
                "neither it nor its anchor is there, and what an earlier engine kept beside it is (journal.fold)".into()
            }
            Self::Shorter { have, records } => {
                format!("it ends at record {have}, and {records} were durable: {} are lost", records - have)
            }
            Self::Rewritten { at } => {
                format!("its record {at} is not the one that was durable: the history was rewritten")
            }
            Self::Another => "it is another journal than the one that was kept here".into(),
            Self::NoAnchor { have } => format!(
                "it has {have} records, and the anchor that says how many there were (journal.anchor) is missing or cannot be read"
            ),
            Self::Copy => {
                "it is a copy, or was moved or restored: two engines that go on from one journal tell everybody twice"
                    .into()
            }
        }
    }
}

/// A journal and what its anchor says about it.
pub(super) struct Standing {
    pub mark: Option<Mark>,
    doubts: Vec<Doubt>,
}

impl Standing {
    /// Looks without changing anything: SQLite itself would clear away what is left of a damaged journal.
    pub async fn find(dir: &Path) -> Result<Self, JournalFault> {
        let path = place(dir);
        let unreadable = |error: io::Error| explain(&path, &sqlx::Error::Io(error));
        let anchor = anchor::load(dir).map_err(unreadable)?;
        let mark = if let Anchor::Known(mark) = &anchor { Some(mark.clone()) } else { None };
        let empty = fs::metadata(&path).map_or_else(|_| !path.exists(), |it| it.len() == 0);
        if empty {
            let doubts = match &mark {
                Some(mark) if mark.records > 0 => vec![Doubt::Gone { records: mark.records }],
                None if anchor == Anchor::Missing && super::snapshot::is_kept(dir) => vec![Doubt::Lost],
                _ => Vec::new(),
            };
            return Ok(Self { mark, doubts });
        }
        let reader = Reader::open(dir).await?;
        let found = Self::held(&reader, anchor, mark).await;
        // Whoever opens it next is alone with it.
        reader.close().await;
        found
    }

    /// A journal held against its anchor.
    async fn held(reader: &Reader, anchor: Anchor, mark: Option<Mark>) -> Result<Self, JournalFault> {
        let unreadable = |error: io::Error| explain(reader.path(), &sqlx::Error::Io(error));
        let Some(identity) = reader.identity().await? else { return Ok(Self { mark, doubts: Vec::new() }) };
        let tail = reader.tail().await?;
        let Some(known) = &mark else {
            // One of an older Mayday never had an anchor; one without records was being made.
            let orphan = !identity.is_empty() && tail.0 > 0 || anchor == Anchor::Unreadable;
            let doubts = if orphan { vec![Doubt::NoAnchor { have: tail.0 }] } else { Vec::new() };
            return Ok(Self { mark, doubts });
        };
        let mut doubts = Vec::new();
        if identity != known.journal {
            doubts.push(Doubt::Another);
        } else if tail.0 < known.records {
            doubts.push(Doubt::Shorter { have: tail.0, records: known.records });
        } else if known.records > 0 && reader.stored(known.records).await?.as_ref() != Some(&known.head) {
            doubts.push(Doubt::Rewritten { at: known.records });
        }
        if known.place.is_other_than(&Place::of(reader.path()).map_err(unreadable)?) {
            doubts.push(Doubt::Copy);
        }
        Ok(Self { mark, doubts })
    }

    pub fn phrase(&self) -> Option<String> {
        let phrases: Vec<String> = self.doubts.iter().map(Doubt::phrase).collect();
        (!phrases.is_empty()).then(|| phrases.join(", "))
    }

    fn what(&self) -> String {
        self.doubts.iter().map(Doubt::what).collect::<Vec<_>>().join("; ")
    }

    /// What an engine says that does not start.
    pub fn fault(&self, dir: &Path) -> Option<JournalFault> {
        let phrase = self.phrase()?;
        let next = format!(
            "put the files back that belong here; or, if you know what is lost and that no other engine goes on from it: \
            mayday journal accept '{phrase}'"
        );
        Some(JournalFault { what: format!("{}: {}", place(dir).display(), self.what()), next })
    }
}

/// Takes a journal as it is: what does not fit its anchor is written into it, and a new anchor is made. Nothing else may work on the
/// directory meanwhile. `None` if there is nothing to accept.
///
/// # Errors
/// When the phrase is not the one that names what is lost, or the journal cannot be written.
pub async fn accept(dir: &Path, phrase: &str, actor: Actor, at: At) -> Result<Option<String>, JournalFault> {
    let standing = Standing::find(dir).await?;
    let (Some(wanted), Some(fault)) = (standing.phrase(), standing.fault(dir)) else { return Ok(None) };
    if phrase != wanted {
        return Err(fault);
    }
    let path = place(dir);
    let unwritable = |error: io::Error| explain(&path, &sqlx::Error::Io(error));
    set_aside(dir, at).map_err(unwritable)?;
    let identity = file::identity().map_err(unwritable)?;
    let (records, head) = standing.mark.as_ref().map_or((0, String::new()), |it| (it.records, it.head.clone()));
    let event = Event::JournalAccepted { phrase: wanted, what: standing.what(), records, head };
    let database = |error: sqlx::Error| explain(&path, &error);
    let mut connection = file::connect(&path).await?;
    let chain = file::begin_again(&mut connection, &identity, (actor, event), at).await.map_err(database)?;
    connection.close().await.map_err(database)?;
    let place = Place::of(&path).map_err(unwritable)?;
    anchor::create(dir, &Mark::new(identity, chain.records, chain.head, place)).map_err(unwritable)?;
    Ok(Some(standing.what()))
}

/// Keeps what tells of the loss: SQLite clears a log away that it cannot use.
fn set_aside(dir: &Path, at: At) -> io::Result<()> {
    let kept = dir.join(format!("journal.kept-{}", at.as_second()));
    super::folder(&kept).map_err(io::Error::other)?;
    for name in ["journal.anchor", "journal.db-wal"] {
        let from = dir.join(name);
        if from.exists() {
            fs::copy(from, kept.join(name))?;
        }
    }
    Ok(())
}

/// What does not fit about a journal, and what to type to go on all the same; `None` if nothing.
///
/// # Errors
/// When it cannot be read.
pub async fn doubts(dir: &Path) -> Result<Option<JournalFault>, JournalFault> {
    Ok(Standing::find(dir).await?.fault(dir))
}
