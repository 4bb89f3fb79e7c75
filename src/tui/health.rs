//! What the screen shows of the roll-up of health.

use std::collections::VecDeque;

use crate::domain::estate::Service;
use crate::domain::health::Status;
use crate::domain::ids::RegionId;
use crate::domain::rollup::RollUp;
use crate::domain::time::At;
use crate::domain::view::Snapshot;

/// What is known of one subject in one region.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen<'a> {
    pub status: Status,
    /// The newest latency of the slowest probe, in milliseconds.
    pub latency: Option<u32>,
    pub history: Option<&'a VecDeque<Option<u32>>>,
    /// The words of the worst probe.
    pub detail: &'a str,
}

/// What is known of a service in a region.
pub fn service<'a>(snap: &'a Snapshot, now: At, service: &Service, region: &RegionId) -> Seen<'a> {
    of(snap.service(service, region, now))
}

/// What is known of a region itself.
pub fn region<'a>(snap: &'a Snapshot, now: At, id: &RegionId) -> Seen<'a> {
    of(snap.region(id, now))
}

/// What a cell shows of a roll-up.
pub fn of(all: RollUp<'_>) -> Seen<'_> {
    let slowest = all.said.iter().filter_map(|it| it.live).filter(|it| it.reading.latency_ms.is_some());
    let slowest = slowest.rev().max_by_key(|it| it.reading.latency_ms);
    Seen {
        status: all.status(),
        latency: slowest.and_then(|it| it.reading.latency_ms),
        history: slowest.map(|it| &it.history),
        detail: all.worst().map_or("no probe looks at it", |worst| worst.detail),
    }
}
