//! What the probes say of a subject in a region, and how fresh that is. A reading that is older than it may be says nothing any more.

use std::collections::VecDeque;

use crate::domain::estate::{Estate, ProbeSpec, Subject, Tier};
use crate::domain::health::Status;
use crate::domain::ids::{RegionId, ServiceId};
use crate::domain::incident::Severity;
use crate::domain::time::{At, seconds_between};
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
pub fn service<'a>(snap: &'a Snapshot, now: At, id: &ServiceId, region: &RegionId) -> Seen<'a> {
    of(snap, now, |probe| {
        matches!(&probe.subject, Subject::Service(known) if known == id) && probe.region.as_ref() == Some(region)
    })
}

/// What is known of a region itself.
pub fn region<'a>(snap: &'a Snapshot, now: At, id: &RegionId) -> Seen<'a> {
    of(snap, now, |probe| matches!(&probe.subject, Subject::Region(known) if known == id))
}

fn of<'a>(snap: &'a Snapshot, now: At, wanted: impl Fn(&ProbeSpec) -> bool) -> Seen<'a> {
    let mut seen = Seen { status: Status::Healthy, latency: None, history: None, detail: "" };
    let mut probes = 0;
    for probe in snap.estate.probes.iter().filter(|probe| wanted(probe)) {
        let (status, detail) = status(snap, now, probe);
        if probes == 0 || status > seen.status {
            (seen.status, seen.detail) = (status, detail);
        }
        if let Some(live) = snap.live.probes.get(&probe.id)
            && live.reading.latency_ms.is_some_and(|latency| seen.latency.is_none_or(|known| latency > known))
        {
            (seen.latency, seen.history) = (live.reading.latency_ms, Some(&live.history));
        }
        probes += 1;
    }
    if probes == 0 { Seen { status: Status::Unknown, detail: "no probe looks at it", ..seen } } else { seen }
}

fn status<'a>(snap: &'a Snapshot, now: At, probe: &ProbeSpec) -> (Status, &'a str) {
    let Some(live) = snap.live.probes.get(&probe.id) else {
        // Nothing was read since this engine started: the last known trouble is still the best guess, the last known health is not.
        return match snap.state.probes.get(&probe.id) {
            Some(known) if known.status == Status::Down => (Status::Down, &known.detail),
            _ => (Status::Unknown, "not looked at yet"),
        };
    };
    if seconds_between(live.at, now) > probe.stays_fresh() {
        return (Status::Unknown, "the last reading is too old");
    }
    (live.status, &live.reading.detail)
}

/// What is down in the region that serves, in words for a title; and how bad that is.
pub fn trouble(snap: &Snapshot, now: At) -> Option<(String, Severity)> {
    let serving = snap.state.serving(&snap.estate);
    let down = |tier: Tier| {
        let services = snap.estate.services.iter().filter(move |service| Estate::counts_for(service.tier, tier));
        services.filter(|service| self::service(snap, now, &service.id, &serving).status == Status::Down)
    };
    let names: Vec<&str> = down(Tier::Platform).map(|service| service.id.as_str()).collect();
    let dark = region(snap, now, &serving).status == Status::Down;
    if dark || (!names.is_empty() && names.len() == snap.estate.services.len()) {
        let title = format!("{serving} is down: {} of {} services", names.len(), snap.estate.services.len());
        return Some((title, Severity::Sev1));
    }
    let severity = if down(Tier::Critical).next().is_some() { Severity::Sev1 } else { Severity::Sev2 };
    (!names.is_empty()).then(|| (format!("{} down in {serving}", names.join(", ")), severity))
}
