//! The roll-up of health: the one place where readings become the status of a service, a system or a region. Rules, guards, triggers,
//! the checklist, messages, the command line and the screen all ask here, so that none of them is calmer than another.
//!
//! A reading counts while its probe allows it ([`ProbeSpec::stays_fresh`]). What is older, and what this engine has not looked at
//! since it started, is unknown, whatever an earlier life of the engine believed.

use std::collections::BTreeMap;

use crate::domain::fact::health::Status;
use crate::domain::fact::live::ProbeLive;
use crate::domain::ids::{ProbeId, RegionId};
use crate::domain::spec::estate::{Estate, Service};
use crate::domain::spec::probe::{ProbeSpec, Subject};
use crate::domain::time::{At, seconds_between};

/// The latest reading of each probe, of this life of the engine.
pub type Readings = BTreeMap<ProbeId, ProbeLive>;

/// What one probe says now.
#[derive(Clone, Debug, PartialEq)]
pub struct Said<'v> {
    pub probe: &'v ProbeSpec,
    pub status: Status,
    /// Since when, as far as this life of the engine has seen; `None` when it says nothing.
    pub since: Option<At>,
    /// What was seen, or why nothing was.
    pub detail: &'v str,
    /// The reading, unless it says nothing any more.
    pub live: Option<&'v ProbeLive>,
}

/// What one probe says at `now`.
pub fn said<'v>(probe: &'v ProbeSpec, readings: &'v Readings, now: At) -> Said<'v> {
    let unknown = |detail| Said { probe, status: Status::Unknown, since: None, detail, live: None };
    match readings.get(&probe.id) {
        None => unknown("not looked at since this engine started"),
        Some(live) if seconds_between(live.at, now) > probe.stays_fresh() => unknown("the last reading is too old"),
        Some(live) => {
            let detail = &live.reading.detail;
            Said { probe, status: live.status, since: live.since, detail, live: Some(live) }
        }
    }
}

/// All that is said of one subject in one place.
#[derive(Clone, Debug, PartialEq)]
pub struct RollUp<'v> {
    /// One for each of its probes; none at all is unknown.
    pub said: Vec<Said<'v>>,
}

/// What the probes of `subject` in `region` say at `now`. Without a region: along the path of clients, which is no region's own (a
/// name's answer, a global address). What a probe of the region itself looks at is in that region.
pub fn roll_up<'v>(
    estate: &'v Estate,
    readings: &'v Readings,
    subject: &Subject,
    region: Option<&RegionId>,
    now: At,
) -> RollUp<'v> {
    let here = |probe: &&ProbeSpec| match subject {
        Subject::Region(_) => true,
        Subject::Service(_) | Subject::System(_) => probe.region.as_ref() == region,
    };
    let probes = estate.probes.iter().filter(|probe| probe.subject == *subject).filter(here);
    RollUp { said: probes.map(|probe| said(probe, readings, now)).collect() }
}

/// [`roll_up`] of a service.
pub fn of_service<'v>(
    estate: &'v Estate,
    readings: &'v Readings,
    service: &Service,
    region: Option<&RegionId>,
    now: At,
) -> RollUp<'v> {
    roll_up(estate, readings, &Subject::Service(service.id.clone()), region, now)
}

impl<'v> RollUp<'v> {
    pub fn is_probed(&self) -> bool {
        !self.said.is_empty()
    }

    /// The worst that a probe says.
    pub fn status(&self) -> Status {
        Status::worst(self.said.iter().map(|it| it.status))
    }

    /// The probe that says the worst, the first of its kind.
    pub fn worst(&self) -> Option<&Said<'v>> {
        self.said.iter().rev().max_by_key(|it| it.status)
    }

    /// Since when every probe has said what it says; `None` when one says nothing.
    pub fn since(&self) -> Option<At> {
        self.said.iter().map(|it| it.since).collect::<Option<Vec<At>>>()?.into_iter().max()
    }

    /// Since when one probe at least has been down, by the one that has been the longest.
    pub fn down_since(&self) -> Option<At> {
        self.said.iter().filter(|it| it.status == Status::Down).filter_map(|it| it.since).min()
    }

    /// Since when all of its probes have been down; `None` when one is not, and when there is none.
    pub fn all_down_since(&self) -> Option<At> {
        let down = |it: &Said<'_>| it.since.filter(|_| it.status == Status::Down);
        self.said.iter().map(down).collect::<Option<Vec<At>>>()?.into_iter().max()
    }

    /// A probe has not looked yet since this engine started: what it sees is not known, and will be soon.
    pub fn is_early(&self, readings: &Readings) -> bool {
        self.said.iter().any(|it| !readings.contains_key(&it.probe.id))
    }
}

#[cfg(test)]
mod tests;
