//! What a decision about messages needs from around it: who writes the texts, and into how many parts each channel splits them.

use std::collections::BTreeMap;

use super::wording::{Bare, Wording};
use crate::domain::fault::Fault;
use crate::domain::ids::ChannelId;

/// The parts of each channel as they were last counted, or why they could not be.
pub type Counts = BTreeMap<ChannelId, Result<u32, Fault>>;

/// How an engine speaks.
#[derive(Clone, Copy)]
pub struct Voice<'a> {
    pub wording: &'a dyn Wording,
    /// `None` where nobody counts: then every channel has one part.
    pub counts: Option<&'a Counts>,
}

impl Voice<'_> {
    /// For asking the rules what they would say: nothing is worded, and every channel counts.
    pub fn mute() -> Voice<'static> {
        Voice { wording: &Bare, counts: None }
    }

    /// The parts of a channel; `None` when they are not known.
    pub fn parts(&self, channel: &ChannelId) -> Option<u32> {
        match self.counts {
            None => Some(1),
            Some(counts) => counts.get(channel)?.as_ref().ok().copied(),
        }
    }

    /// Why its parts are not known.
    pub fn fault(&self, channel: &ChannelId) -> Option<Fault> {
        self.counts?.get(channel)?.as_ref().err().cloned()
    }
}
