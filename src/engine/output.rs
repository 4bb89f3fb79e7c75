//! What commands of the operator's print: the last of it is kept beside the reviews, and the end of that in the journal.

use std::collections::VecDeque;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;

use crate::domain::ids::{RunId, StepId};

/// So much of it is kept.
const MOST: usize = 64 << 10;
/// So much of that goes into the journal: lines, and characters of each.
const LINES: usize = 20;
const LINE: usize = 200;
/// How long a disk may take: nobody waits for what was printed.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Default)]
pub struct Output {
    lines: VecDeque<String>,
    bytes: usize,
    /// Some of its beginning is gone.
    cut: bool,
}

impl Output {
    /// Takes a line that is harmless and has no secret in it.
    pub fn take(&mut self, line: &str) {
        self.bytes += line.len() + 1;
        self.lines.push_back(line.to_owned());
        while self.bytes > MOST
            && let Some(first) = self.lines.pop_front()
        {
            self.bytes -= first.len() + 1;
            self.cut = true;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Its last lines.
    pub fn tail(&self) -> Vec<String> {
        let from = self.lines.len().saturating_sub(LINES);
        self.lines.iter().skip(from).map(|line| line.chars().take(LINE).collect()).collect()
    }

    /// Writes it to a file of its own; its path, or nothing where the disk would not have it. The journal has the end all the same.
    pub async fn write(self, folder: &Path, run: &RunId, step: &StepId, attempt: u32) -> Option<String> {
        let folder = folder.join("output").join(name(run.as_str()));
        let path = folder.join(format!("{}.{attempt}.txt", name(step.as_str())));
        let written = tokio::task::spawn_blocking(move || self.put(&folder, &path).map(|()| path));
        match timeout(PATIENCE, written).await {
            Ok(Ok(Ok(path))) => Some(path.display().to_string()),
            Ok(Ok(Err(error))) => {
                tracing::warn!(%error, "what a command printed could not be kept");
                None
            }
            _ => None,
        }
    }

    fn put(&self, folder: &Path, path: &PathBuf) -> std::io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut file = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        if self.cut {
            writeln!(file, "(only the last {} KiB were kept)", MOST >> 10)?;
        }
        for line in &self.lines {
            writeln!(file, "{line}")?;
        }
        Ok(())
    }
}

/// An id as the name of a file.
fn name(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_of_it_is_kept() {
        let mut output = Output::default();
        for at in 0..5000 {
            output.take(&format!("line {at} {}", "x".repeat(40)));
        }
        let tail = output.tail();
        assert!(tail.len() == LINES && tail[LINES - 1].starts_with("line 4999 "), "{tail:?}");
        let folder = tempfile::tempdir().unwrap();
        let path = output.write(folder.path(), &"INC-1.1".into(), &"move/dns".into(), 2).await.unwrap();
        assert!(path.ends_with("output/INC-1.1/move-dns.2.txt"), "{path}");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("(only the last 64 KiB") && text.len() < MOST + 100 && text.contains("line 4999 "));
        let nowhere = std::path::Path::new("/proc/nowhere");
        let mut output = Output::default();
        output.take("x");
        assert_eq!(output.write(nowhere, &"r".into(), &"s".into(), 1).await, None, "and nothing fails for it");
    }
}
