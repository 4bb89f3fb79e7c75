//! The log of an engine, which lives for years: one file and the one before it, each of a bounded size.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::journal::own_file;

/// A log file of this many bytes is put aside, over the one that was put aside before it: 16 MiB at most are kept.
const LARGEST: u64 = 8 << 20;

/// The file behind standard error, if it is Mayday's to bound.
static BOUNDED: Mutex<Option<Bounded>> = Mutex::new(None);

struct Bounded {
    path: PathBuf,
    length: u64,
}

/// Opens a log for whoever writes to its end, in a file that is not too large.
///
/// # Errors
/// When it cannot be opened, or is not Mayday's own (a symbolic link).
pub fn open(path: &Path) -> io::Result<File> {
    let file = own_file(path)?;
    if file.metadata()?.len() < LARGEST {
        return Ok(file);
    }
    set_aside(path)
}

/// Puts a log aside and begins a new one.
fn set_aside(path: &Path) -> io::Result<File> {
    let mut before = path.as_os_str().to_owned();
    before.push(".1");
    fs::rename(path, before)?;
    own_file(path)
}

/// Bounds what this process writes to standard error, if that is this file: a service manager's journal has bounds of its own.
pub fn bound(path: &Path) {
    let own = rustix::fs::fstat(io::stderr());
    let (Ok(own), Ok(there)) = (own, fs::symlink_metadata(path)) else { return };
    if there.is_file() && (own.st_dev, own.st_ino) == (there.dev(), there.ino()) {
        let bounded = Bounded { path: path.to_owned(), length: there.len() };
        *BOUNDED.lock().unwrap_or_else(PoisonError::into_inner) = Some(bounded);
    }
}

/// Standard error, kept to its bound.
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut bounded = BOUNDED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(log) = bounded.as_mut() {
            log.length += bytes.len() as u64;
            if log.length > LARGEST {
                log.turn();
            }
        }
        io::stderr().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl Bounded {
    /// Puts aside what is there and begins anew, in the same file: standard error, where panics speak too, stays what it is. Where there
    /// is no room for that, what is there goes: a log must not fill the disk that the journal is on.
    fn turn(&mut self) {
        self.length = 0;
        let mut before = self.path.as_os_str().to_owned();
        before.push(".1");
        // Whatever is there by that name, a symbolic link for instance, is not written through.
        let _ = fs::remove_file(&before);
        let kept = own_file(Path::new(&before)).and_then(|mut to| io::copy(&mut File::open(&self.path)?, &mut to));
        if kept.is_err() {
            let _ = fs::remove_file(&before);
        }
        if let Ok(file) = own_file(&self.path) {
            // Every write goes to the end of the file, wherever that is by then.
            let _ = file.set_len(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_grows_while_it_is_written_is_put_aside_and_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engine.log");
        let mut writer = open(&path).unwrap();
        let mut bounded = Bounded { path: path.clone(), length: 0 };
        for word in ["first", "second", "third"] {
            writeln!(writer, "{word}").unwrap();
            bounded.turn();
        }
        writeln!(writer, "fourth").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "fourth\n", "what was opened before goes on");
        assert_eq!(fs::read_to_string(dir.path().join("engine.log.1")).unwrap(), "third\n");
        assert_eq!(fs::metadata(dir.path().join("engine.log.1")).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_log_that_is_too_large_is_put_aside_and_only_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engine.log");
        open(&path).unwrap().write_all(b"first\n").unwrap();
        open(&path).unwrap().write_all(b"second\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "first\nsecond\n");
        for word in ["old", "older"] {
            File::options().write(true).open(&path).unwrap().set_len(LARGEST).unwrap();
            writeln!(open(&path).unwrap(), "{word}").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{word}\n"));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "one is kept, and no more");
        assert_eq!(fs::metadata(dir.path().join("engine.log.1")).unwrap().len(), LARGEST);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }
}
