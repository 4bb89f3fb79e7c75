//! The files that a config is made of, and whether they are still what they were.

use std::collections::BTreeMap;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use super::include;

/// The most bytes that one file of a config may have.
const LARGEST: u64 = 4 << 20;

/// Every file that a config was read from, and what stood in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    main: PathBuf,
    /// Folders of which every file counts: plans and templates of the operator's own.
    folders: Vec<PathBuf>,
    /// By path; `None` for one that cannot be read.
    contents: BTreeMap<PathBuf, Option<[u8; 32]>>,
}

/// What tells cheaply that something was written: the paths with their inode, length and time of change.
pub type Glance = Vec<(PathBuf, Option<(u64, u64, i64, i64)>)>;

impl Files {
    /// Looks at the config `main` and at all that it leads to.
    pub fn look(main: &Path, folders: Vec<PathBuf>) -> Self {
        let paths = paths(main, &folders);
        let contents = paths.into_iter().map(|path| {
            let content = read_file(&path).ok().map(|bytes| digest(&bytes));
            (path, content)
        });
        Self { main: main.into(), contents: contents.collect(), folders }
    }

    /// The same with the texts that were read, whatever stands in the files by now.
    pub fn of_read(main: &Path, folders: Vec<PathBuf>, read: &[(PathBuf, [u8; 32])]) -> Self {
        let mut files = Self::look(main, folders);
        files.contents.extend(read.iter().map(|(path, content)| (path.clone(), Some(*content))));
        files
    }

    /// A look that reads no more than the config itself; equal to an earlier one as long as nothing was written.
    pub fn glance(&self) -> Glance {
        let seen = |path: &PathBuf| fs::metadata(path).ok().map(|it| (it.ino(), it.len(), it.mtime(), it.mtime_nsec()));
        paths(&self.main, &self.folders).into_iter().map(|path| (path.clone(), seen(&path))).collect()
    }

    /// The files that are not what they were: changed, gone, or new.
    pub fn changed(&self) -> Vec<PathBuf> {
        let now = Self::look(&self.main, self.folders.clone());
        let all: std::collections::BTreeSet<&PathBuf> = self.contents.keys().chain(now.contents.keys()).collect();
        let differs = |path: &&&PathBuf| self.contents.get(**path) != now.contents.get(**path);
        all.iter().filter(differs).map(|path| (*path).clone()).collect()
    }
}

pub fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Reads a file that a person wrote. A pipe or a device in its place would be waited for, or read, for ever.
///
/// # Errors
/// When it cannot be read, is no regular file, or is larger than any such file.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    // Before it is opened, as the opening alone may make a device do something; and after, as it may be another file by then.
    regular(&fs::metadata(path)?)?;
    let flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    regular(&file.metadata()?)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        let what = format!("it is larger than {} MiB, the most that such a file may have", LARGEST >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(bytes)
}

/// The same, as text.
///
/// # Errors
/// Also when it is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    let no_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not text in UTF-8");
    String::from_utf8(read_file(path)?).map_err(no_text)
}

fn regular(found: &Metadata) -> io::Result<()> {
    if found.is_file() { Ok(()) } else { Err(io::Error::other("it is no regular file")) }
}

/// Whether a file is none of the operator's: editors and tools keep their locks, copies and drafts in hidden ones.
pub fn hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn paths(main: &Path, folders: &[PathBuf]) -> Vec<PathBuf> {
    let text = read_text(main).unwrap_or_default();
    let mut all: Vec<PathBuf> = include::gather(&text, main).read.into_iter().map(|(path, _)| path).collect();
    for folder in folders {
        let entries = fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        let named = |path: &Path| path.extension().is_some_and(|it| it == "toml" || it == "md");
        let kept = |path: &PathBuf| named(path) && !hidden(path) && !path.is_dir();
        all.extend(entries.filter(kept));
    }
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_regular_files_of_a_sensible_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        symlink("/dev/zero", at("device")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        for name in ["pipe", "device", "socket", "folder"] {
            let refused = read_file(&at(name)).unwrap_err().to_string();
            assert_eq!(refused, "it is no regular file", "{name}");
        }
        fs::File::create(at("large")).unwrap().set_len(LARGEST + 1).unwrap();
        let refused = read_file(&at("large")).unwrap_err().to_string();
        assert!(refused.contains("larger than 4 MiB"), "{refused}");
        fs::File::create(at("most")).unwrap().set_len(LARGEST).unwrap();
        assert_eq!(read_file(&at("most")).unwrap().len() as u64, LARGEST);
        assert_eq!(read_file(&at("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::write(at("latin"), b"caf\xe9").unwrap();
        assert!(read_text(&at("latin")).unwrap_err().to_string().contains("UTF-8"));
        symlink(at("text"), at("link")).unwrap();
        fs::write(at("text"), "text").unwrap();
        assert_eq!(read_text(&at("link")).unwrap(), "text");
    }

    #[test]
    fn hidden_files_are_no_part_of_a_config() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("mayday.toml"), "").unwrap();
        fs::create_dir(at("plans")).unwrap();
        let files = Files::look(&at("mayday.toml"), vec![at("plans")]);
        symlink("ann@host.1", at("plans/.#move.toml")).unwrap();
        assert_eq!(files.changed(), Vec::<PathBuf>::new());
        fs::write(at("plans/move.toml"), "").unwrap();
        assert_eq!(files.changed(), [at("plans/move.toml")]);
    }
}
