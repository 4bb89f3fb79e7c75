//! What is published of what is true now.

use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::checklist::Baseline;
use crate::domain::live::Live;
use crate::domain::rollup::Readings;

/// Changed and announced under one lock, so that a snapshot and the updates after it never miss or double anything.
pub(super) struct Published {
    pub live: Live,
    /// How things were while they were well.
    pub baseline: Baseline,
}

/// What the probes say, for the steps that wait for it.
#[derive(Clone)]
pub(super) struct Seen(pub Arc<Mutex<Published>>);

impl Seen {
    pub fn with<T>(&self, then: impl FnOnce(&Readings) -> T) -> T {
        then(&self.0.lock().unwrap_or_else(PoisonError::into_inner).live.probes)
    }
}
