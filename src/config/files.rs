//! The files that a config is made of, and whether they are still what they were.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::disk::{digest, hidden, read_file, read_text};
use super::include;

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

    use super::*;

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
