//! The durable event log: SQLite, one writer, each record chained to the one before by SHA-256.

mod lock;
mod replay;
mod sqlite;

pub use lock::{Lock, LockFault};
pub use replay::replay;
pub use sqlite::SqliteJournal;
