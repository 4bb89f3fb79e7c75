//! The lead, an object that is changed only as it was seen.

use serde::{Deserialize, Serialize};

use super::BucketStore;
use crate::domain::journal::{JournalFault, Lead, Term, Who};
use crate::domain::objects::{Object, When};
use crate::domain::time::At;

pub(super) const LEAD: &str = "lead";

/// The object of the lead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Led {
    pub term: u64,
    pub beat: u64,
    pub who: Who,
    pub since: At,
    pub resigned: bool,
}

impl Led {
    pub fn told(&self) -> Lead {
        let Self { term, beat, who, since, resigned } = self.clone();
        Lead { term: Term(term), who, beat, since, resigned }
    }
}

impl BucketStore {
    pub(super) async fn look_at_lead(&self, led: &mut Option<(Led, String)>) -> Result<(), JournalFault> {
        let found = self.get(LEAD).await?;
        let read = |it: Object| match serde_json::from_str(&it.body) {
            Ok(lead) => Ok((lead, it.tag)),
            Err(error) => Err(self.odd(&format!("the object `{LEAD}` is none of Mayday's: {error}"))),
        };
        *led = found.map(read).transpose()?;
        Ok(())
    }

    /// Changes the lead as `change` says, as long as it is one that it says something of.
    pub(super) async fn led(&self, change: impl Fn(&Led) -> Option<Led>) -> Result<bool, JournalFault> {
        let mut led = self.led.lock().await;
        for _ in 0..3 {
            if led.is_none() {
                self.look_at_lead(&mut led).await?;
            }
            let Some((new, tag)) = led.as_ref().and_then(|(lead, tag)| Some((change(lead)?, tag.clone()))) else {
                return Ok(false);
            };
            match self.swap(LEAD, &self.text(&new)?, When::Unchanged(&tag)).await {
                Ok(Some(tag)) => {
                    *led = Some((new, tag));
                    return Ok(true);
                }
                // It is not as it was read last: what it is now decides.
                Ok(None) => *led = None,
                Err(fault) => {
                    *led = None;
                    return Err(fault);
                }
            }
        }
        Ok(false)
    }
}
