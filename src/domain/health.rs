//! Health: readings become a status by hysteresis, statuses roll up. Unknown is never healthy.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::estate::words;
use super::text::clean;
use super::time::At;

words! {
    /// What a probe, a service, a tier or a region is believed to be, in the order of concern.
    Status { Healthy = "healthy", Degraded = "degraded", Unknown = "unknown", Down = "down", }
}

impl Status {
    /// The roll-up of several statuses: the worst one; nothing to go by is unknown.
    pub fn worst(statuses: impl IntoIterator<Item = Status>) -> Status {
        statuses.into_iter().max().unwrap_or(Status::Unknown)
    }

    /// The roll-up of the copies of one service: as good as its best copy.
    pub fn best(statuses: impl IntoIterator<Item = Status>) -> Status {
        statuses.into_iter().min().unwrap_or(Status::Unknown)
    }
}

/// What one look saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    pub status: Status,
    /// What was seen, in a few cleaned words: `200 in 12 ms`, `connection refused`, `3/3 pods`.
    pub detail: String,
    /// How long the look took, in milliseconds; `None` where that says nothing about the target.
    pub latency_ms: Option<u32>,
}

impl Reading {
    pub fn new(status: Status, detail: impl AsRef<str>) -> Self {
        Self { status, detail: clean(detail.as_ref()), latency_ms: None }
    }
    pub fn healthy(detail: impl AsRef<str>) -> Self {
        Self::new(Status::Healthy, detail)
    }
    pub fn degraded(detail: impl AsRef<str>) -> Self {
        Self::new(Status::Degraded, detail)
    }
    pub fn down(detail: impl AsRef<str>) -> Self {
        Self::new(Status::Down, detail)
    }
    pub fn unknown(detail: impl AsRef<str>) -> Self {
        Self::new(Status::Unknown, detail)
    }
    pub fn took(mut self, time: Duration) -> Self {
        self.latency_ms = Some(u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
        self
    }
}

/// What hysteresis needs to remember of a probe between readings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Track {
    pub status: Status,
    /// The status that the latest readings ask for, and how many in a row did.
    pub candidate: Status,
    pub streak: u8,
    /// When the latest healthy reading was taken: the earliest moment a disruption can have begun.
    pub last_healthy: Option<At>,
}

impl Default for Track {
    fn default() -> Self {
        Self { status: Status::Unknown, candidate: Status::Unknown, streak: 0, last_healthy: None }
    }
}

impl Track {
    /// Takes a reading in; says the new status if this reading changed it. From unknown the first reading decides; otherwise
    /// `fall` readings in a row are needed to get worse and `rise` to get better.
    pub fn take(&mut self, reading: &Reading, at: At, fall: u8, rise: u8) -> Option<Status> {
        if reading.status == Status::Healthy {
            self.last_healthy = Some(at);
        }
        self.streak = if reading.status == self.candidate { self.streak.saturating_add(1) } else { 1 };
        self.candidate = reading.status;
        if self.candidate == self.status {
            return None;
        }
        let needed = if self.status == Status::Unknown {
            1
        } else if self.candidate > self.status {
            fall
        } else {
            rise
        };
        (self.streak >= needed.max(1)).then(|| {
            self.status = self.candidate;
            self.status
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(track: &mut Track, statuses: &[Status]) -> Vec<Status> {
        let at = At::UNIX_EPOCH;
        statuses.iter().filter_map(|status| track.take(&Reading::new(*status, ""), at, 3, 2)).collect()
    }

    #[test]
    fn a_flap_is_not_an_outage() {
        use Status::*;
        let mut track = Track::default();
        assert_eq!(feed(&mut track, &[Healthy]), [Healthy]);
        assert_eq!(feed(&mut track, &[Down, Down, Healthy, Down, Healthy]), []);
        assert_eq!(feed(&mut track, &[Down, Down, Down]), [Down]);
        assert_eq!(feed(&mut track, &[Healthy, Down, Healthy, Healthy]), [Healthy]);
    }

    #[test]
    fn unknown_is_never_healthy() {
        use Status::*;
        assert_eq!(Status::worst([Healthy, Unknown]), Unknown);
        assert_eq!(Status::worst([]), Unknown);
        assert_eq!(Status::worst([Unknown, Down]), Down);
        let mut track = Track::default();
        feed(&mut track, &[Healthy]);
        assert_eq!(feed(&mut track, &[Unknown, Unknown, Unknown]), [Unknown]);
    }
}
