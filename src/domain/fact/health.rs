//! Health: readings become a status by hysteresis, statuses roll up. Unknown is never healthy.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::spec::probe::Hysteresis;
use crate::domain::text::clean;
use crate::domain::time::{At, seconds_between};
use crate::domain::words::words;

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
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
    /// Of a target that works: how long one was waited for that does not is no latency, and a line of such waits looks like one.
    pub fn took(mut self, time: Duration) -> Self {
        let works = matches!(self.status, Status::Healthy | Status::Degraded);
        self.latency_ms = works.then(|| u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
        self
    }
}

/// A stretch of readings that are not healthy, with good ones in between that are too few to end it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Trouble {
    /// The last healthy reading before the first that was not; `None` when none was seen: it began at a moment that nobody knows.
    pub last_healthy: Option<At>,
    /// The first reading of the stretch that was down: it cannot have begun later.
    pub first_down: Option<At>,
}

/// What hysteresis needs to remember of a probe between readings.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    pub status: Status,
    /// Since when `status` is what is seen, by the readings of this life of the engine. A failure counts from the last healthy reading
    /// before it, or from the first one that failed.
    pub since: Option<At>,
    /// The stretch of trouble that the latest readings belong to.
    pub trouble: Option<Trouble>,
    /// The latest readings since the status last changed, the oldest first; no more than hysteresis asks about.
    recent: VecDeque<Status>,
    /// Healthy readings in a row, up to the latest.
    well: u8,
    /// The latest healthy reading: the earliest moment a disruption can have begun.
    pub last_healthy: Option<At>,
    /// The latest healthy reading, and the first that was down after it, since readings came without a gap.
    seen_well: Option<At>,
    seen_down: Option<At>,
    latest: Option<At>,
}

impl Track {
    /// After an earlier life of the engine: nothing is believed of what it saw, but for when the trouble began that it left behind.
    pub fn resume(trouble: Option<Trouble>, last_healthy: Option<At>) -> Self {
        Self {
            status: Status::Unknown,
            since: None,
            trouble,
            recent: VecDeque::new(),
            well: 0,
            last_healthy,
            seen_well: None,
            seen_down: None,
            latest: None,
        }
    }

    /// Nothing was read for longer than a reading counts (`fresh`, in seconds): what was believed is not known any more.
    pub fn lapse(&mut self, at: At, fresh: f64) {
        if self.latest.is_some_and(|latest| seconds_between(latest, at) > fresh) {
            self.status = Status::Unknown;
            (self.since, self.seen_well, self.seen_down, self.latest) = (None, None, None, None);
            self.recent.clear();
        }
    }

    /// Takes a reading in; says the new status if this reading changed it. From unknown the first reading decides.
    pub fn take(&mut self, reading: &Reading, at: At, hysteresis: Hysteresis) -> Option<Status> {
        self.note(reading.status, at, hysteresis);
        let Hysteresis { fall, window, rise } = hysteresis;
        self.recent.push_back(reading.status);
        while self.recent.len() > usize::from(window.max(fall).max(rise).max(1)) {
            self.recent.pop_front();
        }
        let changed = match self.status {
            Status::Unknown => Some(reading.status),
            believed => self.worse(fall, window).filter(|to| *to > believed).or_else(|| self.better(rise)),
        };
        let to = changed.filter(|to| *to != self.status)?;
        self.recent.clear();
        self.status = to;
        let seen = self.seen_well.or(self.seen_down).filter(|_| to == Status::Down);
        self.since = Some(seen.unwrap_or(at));
        Some(to)
    }

    /// Keeps when trouble began. It ends with as many healthy readings as could not hide a failure from hysteresis.
    fn note(&mut self, status: Status, at: At, Hysteresis { fall, window, rise }: Hysteresis) {
        self.since.get_or_insert(at);
        let first = self.latest.replace(at).is_none();
        if status == Status::Healthy {
            // Nobody looked for a while: what was before has ended at some time.
            self.trouble.take_if(|_| first);
            (self.last_healthy, self.seen_well, self.seen_down) = (Some(at), Some(at), None);
            self.well = self.well.saturating_add(1);
            self.trouble.take_if(|_| self.well >= window.max(fall).max(rise));
            return;
        }
        self.well = 0;
        let last_healthy = self.last_healthy;
        let trouble = self.trouble.get_or_insert(Trouble { last_healthy, first_down: None });
        if status == Status::Down {
            self.seen_down.get_or_insert(at);
            trouble.first_down.get_or_insert(at);
        }
    }

    /// As bad as so many of the latest readings at least: two that are down and one that is unknown are three that are not healthy.
    fn worse(&self, fall: u8, window: u8) -> Option<Status> {
        let mut latest: Vec<Status> = self.recent.iter().rev().take(usize::from(window.max(fall))).copied().collect();
        latest.sort_unstable_by_key(|status| Reverse(*status));
        latest.get(usize::from(fall.max(1)) - 1).copied()
    }

    /// The worst of the latest readings, when every one of them is better than what is believed.
    fn better(&self, rise: u8) -> Option<Status> {
        let needed = usize::from(rise.max(1));
        let latest = || self.recent.iter().rev().take(needed);
        latest().max().copied().filter(|worst| latest().count() == needed && *worst < self.status)
    }
}

/// Nothing was looked at yet, and nothing is known of what was before.
impl Default for Track {
    fn default() -> Self {
        Self::resume(None, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed_by(track: &mut Track, window: u8, statuses: &[Status]) -> Vec<Status> {
        let hysteresis = Hysteresis { fall: 3, window, rise: 2 };
        let take = |status: &Status| track.take(&Reading::new(*status, ""), At::UNIX_EPOCH, hysteresis);
        statuses.iter().filter_map(take).collect()
    }

    fn feed(track: &mut Track, statuses: &[Status]) -> Vec<Status> {
        feed_by(track, 3, statuses)
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
    fn three_of_five_are_enough_where_five_are_looked_at() {
        use Status::*;
        let mut track = Track::default();
        feed_by(&mut track, 5, &[Healthy]);
        assert_eq!(feed_by(&mut track, 5, &[Down, Healthy, Healthy, Down, Healthy, Healthy, Down]), []);
        assert_eq!(feed_by(&mut track, 5, &[Healthy, Down]), [], "the first of these three is too long ago");
        assert_eq!(feed_by(&mut track, 5, &[Down]), [Down]);
        assert_eq!(feed_by(&mut track, 5, &[Healthy, Down, Healthy, Healthy]), [Healthy]);
        assert_eq!(feed_by(&mut track, 5, &[Down, Down]), [], "what led to the last outage does not count again");
    }

    #[test]
    fn readings_that_are_ill_in_different_ways_are_ill() {
        use Status::*;
        let mut track = Track::default();
        feed(&mut track, &[Healthy]);
        assert_eq!(feed(&mut track, &[Down, Unknown, Down]), [Unknown]);
        assert_eq!(feed(&mut track, &[Down]), [Down], "from unknown the first reading decides");
        assert_eq!(feed(&mut track, &[Degraded, Healthy]), [Degraded]);
        assert_eq!(feed(&mut track, &[Healthy, Degraded, Healthy, Healthy]), [Healthy]);
    }

    #[test]
    fn waiting_in_vain_is_no_latency() {
        let took = |reading: Reading| reading.took(Duration::from_secs(2)).latency_ms;
        assert_eq!(took(Reading::degraded("slow")), Some(2000));
        assert_eq!((took(Reading::down("no answer")), took(Reading::unknown("no answer"))), (None, None));
    }

    #[test]
    fn the_best_of_nothing_is_unknown_and_of_several_the_best() {
        use Status::*;
        let rows = [
            (&[][..], Unknown),
            (&[Down, Healthy], Healthy),
            (&[Down, Unknown], Unknown),
            (&[Unknown, Degraded], Degraded),
            (&[Down], Down),
        ];
        for (statuses, best) in rows {
            assert_eq!(Status::best(statuses.iter().copied()), best, "{statuses:?}");
        }
    }

    #[test]
    fn what_was_believed_lapses_only_when_nobody_read_for_longer_than_a_reading_counts() {
        let at = |seconds: i64| At::from_second(seconds).unwrap();
        for (seconds, lapsed) in [(19, false), (20, true)] {
            let mut track = Track::default();
            track.take(&Reading::healthy(""), at(0), Hysteresis { fall: 3, window: 3, rise: 2 });
            track.lapse(at(seconds), 19.0);
            assert_eq!(track.status == Status::Unknown, lapsed, "after {seconds} s");
        }
        let mut fresh = Track::default();
        fresh.lapse(at(1000), 19.0);
        assert_eq!(fresh, Track::default(), "of nothing that was read nothing lapses");
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
