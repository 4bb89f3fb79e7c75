//! What a demo, a drill or a game left behind when it was killed, swept away by the next one. Its servers died with it and its
//! engine ends when its standard input closes; what stays are folders, and an engine that hangs.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::api::client::Client;
use crate::lab::alive;

use super::places::Places;

/// How the names of the folders begin.
pub const PREFIX: &str = "mayday-";

/// Removes every folder below `base` that a process of this user claimed and that no process holds any more. An engine that still
/// answers in it is ended first.
pub async fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) || !is_ours(&path) {
            continue;
        }
        let Some(_held) = alive::abandoned(&path) else { continue };
        // It ends by itself; where it hangs, this ends it in order. None answers usually.
        let _ = Client::new(&Places::within(&path).socket).stop().await;
        // What cannot be removed is tried again by the next one.
        let _ = fs::remove_dir_all(&path);
    }
}

/// A folder itself, and no link to one, of this user.
pub fn is_ours(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|it| it.is_dir() && it.uid() == rustix::process::geteuid().as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::alive::claim;

    #[tokio::test]
    async fn only_what_a_dead_process_left_is_swept_away() {
        let base = tempfile::tempdir().unwrap();
        let [left, held, strange, other] = ["mayday-left", "mayday-held", "mayday-strange", "other"].map(|name| {
            let dir = base.path().join(name);
            fs::create_dir_all(dir.join("state")).unwrap();
            dir
        });
        drop(claim(&left).unwrap());
        drop(claim(&other).unwrap());
        let holds = claim(&held).unwrap();
        std::os::unix::fs::symlink(&other, base.path().join("mayday-link")).unwrap();
        sweep(base.path()).await;
        assert!(!left.exists());
        assert!(held.exists() && strange.exists() && other.exists() && base.path().join("mayday-link").exists());
        drop(holds);
        sweep(base.path()).await;
        assert!(!held.exists() && other.exists());
    }
}
