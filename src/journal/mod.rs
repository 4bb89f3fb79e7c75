//! The durable event log: records, each chained to the one before by SHA-256. Where they are kept is one file each: [`sqlite`] for the one
//! engine of a state directory, with an anchor beside it that says how far it had come; [`postgres`], [`bucket`] and [`shared_file`] for
//! engines that share a journal. The [`chain`] knows none of them.

mod anchor;
mod bucket;
mod chain;
mod copy;
mod doubt;
mod ears;
mod file;
mod lock;
mod postgres;
mod reader;
mod replay;
mod shared;
mod shared_file;
mod slots;
mod snapshot;
mod sqlite;
mod store;
mod verify;

pub use chain::{Pages, texts};
pub use copy::{Target, copy};
pub use doubt::{accept, doubts, is_fresh};
pub use lock::{Lock, LockFault, folder, own_file};
pub use reader::Reader;
pub use replay::replay;
pub use shared::{Place, SharedJournal};
pub use snapshot::resume;
pub use sqlite::SqliteJournal;

/// A name that nothing else has.
///
/// # Errors
/// When the system gives no random bytes.
pub fn random_name() -> std::io::Result<String> {
    file::identity()
}

#[cfg(test)]
mod bench {
    use crate::domain::actor::Actor;
    use crate::domain::event::{Event, Record};
    use crate::domain::journal::{Appended, Journal, JournalFault, Who};

    /// Writes as the one engine there is.
    pub async fn write(journal: &dyn Journal, events: Vec<(Actor, Event)>) -> Result<Vec<Record>, JournalFault> {
        let who = Who { engine: "e".into(), name: "here".into(), version: "1".into() };
        let led = journal.leader().await?;
        let term = journal.lead(&who, led.as_ref()).await?.expect("nobody else leads");
        match journal.append(term, &journal.tail().await?, jiff::Timestamp::now(), events).await {
            Appended::Durable(written) => Ok(written.records),
            Appended::NotWritten(fault) | Appended::Unknown(_, fault) | Appended::Fenced(fault) => Err(fault),
        }
    }
}
