//! One engine per state directory: an advisory lock on a file that names its holder. The lock goes with the process, however it ends.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const NAME: &str = "engine.lock";

/// Held as long as this value lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockFault {
    #[error("another engine (pid {pid}) works on {} → use that one (`mayday status`), or stop it: mayday engine stop", dir.display())]
    Held { pid: String, dir: PathBuf },
    #[error("the state directory {} cannot be used: {error} → let it be written to and its disk have room, or choose another with --state-dir", dir.display())]
    Unusable { dir: PathBuf, error: io::Error },
}

/// Makes a state directory, if it is missing: what it will hold tells how to break the platform, so only its owner may enter.
///
/// # Errors
/// When it is missing and cannot be made.
pub fn folder(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

impl Lock {
    /// Takes the lock of a state directory, which is made if it is missing.
    ///
    /// # Errors
    /// When another engine holds it, or the directory cannot be written to.
    pub fn take(dir: &Path) -> Result<Self, LockFault> {
        let unusable = |error| LockFault::Unusable { dir: dir.into(), error };
        folder(dir).map_err(unusable)?;
        let path = dir.join(NAME);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // The holder's number is a courtesy; without it the message is still true.
                let _ = file.read_to_string(&mut pid);
                return Err(LockFault::Held { pid: pid.trim().to_owned(), dir: dir.into() });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(unusable)?;
        writeln!(file, "{}", std::process::id()).map_err(unusable)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_engine_is_told_who_holds_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let held = Lock::take(dir.path()).unwrap();
        let refused = Lock::take(dir.path()).unwrap_err().to_string();
        assert!(refused.contains(&format!("pid {}", std::process::id())), "{refused}");
        drop(held);
        Lock::take(dir.path()).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = Lock::take(&file.path().join("state")).unwrap_err().to_string();
        assert!(refused.contains("cannot be used") && refused.contains("--state-dir"), "{refused}");
    }
}
