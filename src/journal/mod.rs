//! The durable event log: SQLite, one writer, each record chained to the one before by SHA-256.

mod lock;
mod reader;
mod replay;
mod sqlite;

pub use lock::{Lock, LockFault, folder, own_file};
pub use reader::Reader;
pub use replay::replay;
pub use sqlite::SqliteJournal;
