//! The durable event log: SQLite, one writer, each record chained to the one before by SHA-256, and an anchor beside it that says how
//! far it had come.

mod anchor;
mod doubt;
mod lock;
mod reader;
mod replay;
mod snapshot;
mod sqlite;
mod verify;

pub use doubt::{accept, doubts, is_fresh};
pub use lock::{Lock, LockFault, folder, own_file};
pub use reader::Reader;
pub use replay::replay;
pub use snapshot::resume;
pub use sqlite::SqliteJournal;
