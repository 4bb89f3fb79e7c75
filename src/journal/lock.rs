//! One engine per state directory: an advisory lock on a file that names its holder. The lock goes with the process, however it ends.
//! What lies in the directory is its owner's alone: others can neither put something there nor lead a file of Mayday's elsewhere.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

const NAME: &str = "engine.lock";
/// Whoever is not the owner may write.
const OTHERS_WRITE: u32 = 0o022;
/// Of a folder that everybody may write to, as `/tmp` is: what lies in it can be replaced by its owner only.
const STICKY: u32 = 0o1000;

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
    #[error("the state directory {} is not safe: {why} → {next}", dir.display())]
    Open { dir: PathBuf, why: String, next: String },
}

/// Makes a state directory, if it is missing: what it will hold tells how to break the platform, so only its owner may enter.
///
/// # Errors
/// When it is missing and cannot be made, or when others could write to it: they could put a journal, a log or a socket of theirs there.
pub fn folder(dir: &Path) -> Result<(), LockFault> {
    let unusable = |error| LockFault::Unusable { dir: dir.into(), error };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(unusable)?;
    let found = fs::metadata(dir).map_err(unusable)?;
    let own = rustix::process::geteuid().as_raw();
    open_to_others(&found, own).map_or(Ok(()), |(why, next)| {
        let next = next.replace("DIR", &dir.display().to_string());
        Err(LockFault::Open { dir: dir.into(), why, next })
    })?;
    // A symbolic link is followed first: its target counts.
    let Ok(real) = dir.canonicalize() else { return Ok(()) };
    for above in real.ancestors().skip(1) {
        let mode = fs::metadata(above).map_err(unusable)?.mode();
        if mode & 0o002 != 0 && mode & STICKY == 0 {
            let why = format!("everybody may rename what is in {}, and it is in there", above.display());
            let next = format!("chmod o-w {}, or choose another with --state-dir", above.display());
            return Err(LockFault::Open { dir: dir.into(), why, next });
        }
    }
    Ok(())
}

/// Why others could change what is in a directory, and what helps.
fn open_to_others(found: &Metadata, own: u32) -> Option<(String, String)> {
    let other = "or choose another with --state-dir";
    if found.uid() != own && found.uid() != 0 {
        let name = uzers::get_user_by_uid(found.uid()).map(|user| user.name().to_string_lossy().into_owned());
        let name = name.unwrap_or_else(|| format!("uid {}", found.uid()));
        return Some((format!("it belongs to {name}"), format!("run the engine as {name}, {other}")));
    }
    let mode = found.mode();
    (mode & OTHERS_WRITE != 0).then(|| {
        let who = if mode & 0o002 != 0 { "everybody" } else { "its group" };
        (format!("{who} can write to it (mode {:04o})", mode & 0o7777), format!("chmod go-w DIR, {other}"))
    })
}

/// Opens a file of Mayday's own for appending: made for its owner alone whatever the umask says, and never where a symbolic link leads.
///
/// # Errors
/// When it cannot be opened, is a symbolic link, or is no regular file.
pub fn own_file(path: &Path) -> io::Result<File> {
    open(path, OpenOptions::new().append(true))
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Not even for a moment may the opening of a pipe wait.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = options.create(true).mode(0o600).custom_flags(flags.bits().cast_signed()).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => {
            io::Error::other(format!("{} is a symbolic link; remove it", path.display()))
        }
        _ => error,
    })?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other(format!("{} is no regular file; remove it", path.display())));
    }
    if found.mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

impl Lock {
    /// Takes the lock of a state directory, which is made if it is missing.
    ///
    /// # Errors
    /// When another engine holds it, the directory cannot be written to, or others can write to it.
    pub fn take(dir: &Path) -> Result<Self, LockFault> {
        let unusable = |error| LockFault::Unusable { dir: dir.into(), error };
        folder(dir)?;
        let path = dir.join(NAME);
        let mut file = open(&path, OpenOptions::new().read(true).write(true).truncate(false)).map_err(unusable)?;
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
    use std::os::unix::fs::symlink;

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

    #[test]
    fn a_directory_that_others_can_write_to_is_refused_in_words() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        for (mode, who) in [(0o777, "everybody"), (0o1777, "everybody"), (0o770, "its group")] {
            fs::create_dir_all(&state).unwrap();
            fs::set_permissions(&state, Permissions::from_mode(mode)).unwrap();
            let refused = Lock::take(&state).unwrap_err().to_string();
            assert!(refused.contains(who) && refused.contains("chmod go-w"), "{mode:o}: {refused}");
            assert!(!state.join(NAME).exists(), "{mode:o}: something was made there");
        }
        fs::set_permissions(&state, Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        let refused = Lock::take(&state).unwrap_err().to_string();
        assert!(refused.contains("rename"), "{refused}");
        fs::set_permissions(dir.path(), Permissions::from_mode(0o1777)).unwrap();
        Lock::take(&state).unwrap();
    }

    #[test]
    fn a_file_leads_nowhere_else_and_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, dir.path().join(NAME)).unwrap();
        let refused = Lock::take(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("symbolic link"), "{refused}");
        symlink(&victim, dir.path().join("engine.log")).unwrap();
        assert!(own_file(&dir.path().join("engine.log")).is_err());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        let wide = dir.path().join("wide");
        fs::write(&wide, "").unwrap();
        fs::set_permissions(&wide, Permissions::from_mode(0o666)).unwrap();
        own_file(&wide).unwrap();
        assert_eq!(fs::metadata(&wide).unwrap().mode() & 0o777, 0o600);
        assert!(own_file(dir.path()).is_err(), "a folder is no file");
    }
}
