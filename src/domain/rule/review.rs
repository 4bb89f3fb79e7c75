//! The review of an incident, as the engine and whoever asks it see it: documents that somebody else knows how to write.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::journal::{JournalFault, Records};
use crate::domain::ids::IncidentId;
use crate::domain::time::At;

/// The review of an incident in every form it is written in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Documents {
    pub incident: IncidentId,
    pub markdown: String,
    pub html: String,
    pub json: String,
    /// Where it was written to, if it was.
    #[serde(default)]
    pub files: Vec<String>,
}

impl Documents {
    /// Each with the ending of its file's name.
    pub fn forms(&self) -> [(&'static str, &str); 3] {
        [("md", &self.markdown), ("html", &self.html), ("json", &self.json)]
    }
}

/// Writes reviews.
#[async_trait]
pub trait Reporter: Send + Sync {
    /// From the records alone: the review of an incident, or of the latest one; `None` if there was none. An open one is judged as of
    /// `now`.
    ///
    /// # Errors
    /// When the journal cannot be read. One that was altered is read, and the review says so.
    async fn review(
        &self,
        records: &dyn Records,
        incident: Option<&IncidentId>,
        now: At,
    ) -> Result<Option<Documents>, JournalFault>;
}
