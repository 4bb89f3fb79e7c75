//! Reviews on disk: each is written the moment its incident closes, and again when something follows of it. They are derived from the
//! journal, so one that is missing is written when the engine starts.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;

use super::Handle;
use crate::domain::event::{Event, Record};
use crate::domain::ids::IncidentId;
use crate::domain::journal::{Journal, JournalFault};
use crate::domain::review::{Documents, Reporter};
use crate::domain::time::At;
use crate::domain::view::Update;

/// Where reviews are kept, and who writes them.
pub(super) struct Archive {
    pub reporter: Arc<dyn Reporter>,
    pub journal: Arc<dyn Journal>,
    pub folder: PathBuf,
}

/// Why a review was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveFault {
    #[error("{0}")]
    Journal(#[from] JournalFault),
    #[error("{}: {error}", .folder.display())]
    Disk { folder: PathBuf, error: std::io::Error },
    #[error("there is no such incident in the journal")]
    Missing,
}

impl Archive {
    pub fn path(&self, name: &str, form: &str) -> PathBuf {
        self.folder.join(format!("{name}.{form}"))
    }

    /// The review as the journal has it now, and where it lies if it was written.
    pub async fn review(&self, incident: Option<&IncidentId>, now: At) -> Result<Option<Documents>, JournalFault> {
        let Some(mut documents) = self.reporter.review(&*self.journal, incident, now).await? else { return Ok(None) };
        let paths = documents.forms().map(|(form, _)| self.path(documents.incident.as_str(), form));
        documents.files = paths.iter().filter(|path| path.exists()).map(|path| path.display().to_string()).collect();
        Ok(Some(documents))
    }

    /// Writes the review of an incident under a name; the path of the Markdown.
    pub async fn write(&self, incident: &IncidentId, name: &str, now: At) -> Result<PathBuf, ArchiveFault> {
        let documents = self.reporter.review(&*self.journal, Some(incident), now).await?;
        let documents = documents.ok_or(ArchiveFault::Missing)?;
        for (form, text) in documents.forms() {
            self.put(&self.path(name, form), text).map_err(|error| {
                let folder = self.folder.clone();
                ArchiveFault::Disk { folder, error }
            })?;
        }
        Ok(self.path(name, "md"))
    }

    /// Beside the final name first: a file is there whole or not at all.
    fn put(&self, path: &std::path::Path, text: &str) -> std::io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let mut draft = path.as_os_str().to_owned();
        draft.push(".draft");
        // One that an engine left behind when it died; its mode and where it leads are not ours to trust.
        match std::fs::remove_file(&draft) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    }
}

pub(super) fn start(engine: &Handle) {
    engine.spawn(keep(engine.clone()));
}

async fn keep(engine: Handle) {
    let (view, mut updates) = engine.subscribe();
    if let Some(past) = view.state.past.front()
        && !engine.shared.archive.path(past.id.as_str(), "md").exists()
    {
        write(&engine).await;
    }
    loop {
        match updates.recv().await {
            Ok(Update::Record { record }) if calls_for(&engine, &record) => write(&engine).await,
            // What was missed may have been a closing.
            Err(RecvError::Lagged(_)) if engine.shared.state().incident.is_none() => write(&engine).await,
            Err(RecvError::Closed) => return,
            _ => {}
        }
    }
}

/// A closing, and what follows of it.
fn calls_for(engine: &Handle, record: &Record) -> bool {
    let peace = || engine.shared.state().incident.is_none();
    match &record.event {
        Event::IncidentClosed { .. } => true,
        Event::DeliverySent { .. } | Event::DeliveryFailed { at: None, .. } | Event::DeliveryUnknown { .. } => peace(),
        Event::DrillEnded { .. } => peace(),
        _ => false,
    }
}

async fn write(engine: &Handle) {
    let state = engine.shared.state();
    let Some(past) = state.past.front() else { return };
    match engine.shared.archive.write(&past.id, past.id.as_str(), engine.shared.now()).await {
        Ok(path) => tracing::info!(path = %path.display(), "the review is written"),
        Err(fault) => {
            tracing::error!(%fault, incident = %past.id, "the review cannot be written; `mayday report` prints it")
        }
    }
}
