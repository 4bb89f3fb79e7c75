//! Marks a folder as that of a process that lives, so that another one knows what a killed one left behind.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// A file in the folder, locked for as long as its process lives: the system lets go of it however that ends.
const NAME: &str = "alive";

/// Marks a new folder as that of this process, until what is given back is dropped.
///
/// # Errors
/// When the file cannot be made.
pub fn claim(dir: &Path) -> io::Result<File> {
    let file = File::create(dir.join(NAME))?;
    file.lock()?;
    Ok(file)
}

/// Takes the mark off again: whatever is in the folder is left alone from now on.
///
/// # Errors
/// When the file cannot be removed.
pub fn disclaim(dir: &Path) -> io::Result<()> {
    std::fs::remove_file(dir.join(NAME))
}

/// Whether the process lives that claimed a folder.
pub fn is_held(dir: &Path) -> bool {
    let lock = File::open(dir.join(NAME)).map(|file| file.try_lock());
    matches!(lock, Ok(Err(TryLockError::WouldBlock)))
}

/// What keeps others from a folder that a process claimed and none holds any more. `None` while one does, and without a claim: then it
/// is somebody else's, or is being made right now.
pub fn abandoned(dir: &Path) -> Option<File> {
    let file = File::open(dir.join(NAME)).ok()?;
    match file.try_lock() {
        Ok(()) => Some(file),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
    }
}
