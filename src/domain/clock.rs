//! The one clock. An engine takes the wall clock once and goes on by a clock that nobody sets; a wall clock that jumps against it is seen
//! and told, and neither stops nor rushes anything.
//!
//! Which time is which:
//!
//! - *The engine's time* is that of every record, due time, age, poll and clock of an objective. It never goes back, never stands still,
//!   counts the time that the machine was suspended, and goes on over a restart of the engine while something is under way.
//! - *The wall clock* of the engine's host is what other systems call now: their timestamps (recovery points, copies, certificates,
//!   events) are read by it, requests are signed by it, and what is written to people is written in it. Where the two differ, moments
//!   are carried over at the border, in both directions ([`Drift`]).
//! - *A cockpit, a `watch`* takes the engine's time with each whole, and goes on by its own machine's clock that nobody sets.

use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::time::{At, after, seconds_between};

/// A wall clock that is so many seconds off is told; what is less is how clocks are, and is no step.
pub const STEP: f64 = 0.5;

/// What a machine knows of time.
pub trait Clock: Send + Sync {
    /// What people and other systems call now; it may be set at any time.
    fn wall(&self) -> At;

    /// The time since some moment of this boot: it never goes back, nobody sets it, and it counts while the machine is suspended.
    fn uptime(&self) -> Duration;

    /// What `uptime` is counted from: two readings with the same word can be compared, also those of two processes. `None` when that is
    /// not known.
    fn boot(&self) -> Option<String>;
}

/// Goes on from one moment by a clock that nobody sets.
#[derive(Clone, Copy, Debug)]
pub struct Steady {
    at: At,
    uptime: Duration,
}

impl Steady {
    pub fn new(at: At, uptime: Duration) -> Self {
        Self { at, uptime }
    }

    pub fn now(&self, uptime: Duration) -> At {
        after(self.at, uptime.saturating_sub(self.uptime))
    }

    /// Goes on from `at` if it is not there yet.
    pub fn not_before(&mut self, at: At, uptime: Duration) {
        if self.now(uptime) < at {
            *self = Self { at, uptime };
        }
    }
}

/// Where an engine's time stood by its machine's uptime when it began: the next engine of the same boot goes on from there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Anchor {
    pub boot: String,
    /// Seconds.
    pub uptime: f64,
    /// The engine's time at that uptime.
    pub at: At,
}

/// How far the engine's time is ahead of the wall clock of its host, in seconds; negative when it is behind, 0 when they agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Drift(pub f64);

impl Drift {
    /// Nothing unless it is worth a word.
    pub fn of(engine: At, wall: At) -> Self {
        let ahead = seconds_between(wall, engine);
        if ahead.abs() < STEP { Self(0.0) } else { Self(ahead) }
    }

    pub fn is_none(self) -> bool {
        self.0 == 0.0
    }

    /// What a person has to know of it.
    pub fn words(self) -> String {
        let side = if self.0 > 0.0 { "behind" } else { "ahead of" };
        format!("the host's clock is {} {side} the engine's time; ages and due times go on", length(self.0))
    }

    fn span(self) -> SignedDuration {
        SignedDuration::try_from_secs_f64(self.0).unwrap_or_default()
    }

    /// What the wall clock shows at a moment of the engine's time.
    pub fn to_wall(self, engine: At) -> At {
        engine.saturating_sub(self.span()).unwrap_or(engine)
    }

    /// A moment that another system names, on the engine's time. What nobody can know yet shows that it is the wall clock that is wrong:
    /// it is then taken as it is.
    pub fn to_engine(self, foreign: At, now: At) -> At {
        let own = foreign.saturating_add(self.span()).unwrap_or(foreign);
        let ahead = |at: At| seconds_between(now, at) > STEP;
        if ahead(own) && !ahead(foreign) { foreign } else { own }
    }
}

/// For a record that has nothing to say of it.
pub fn agrees(drift: &Drift) -> bool {
    drift.is_none()
}

/// What the journal knows of the clocks of the engine that keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ClockState {
    /// Where the engine's time stood when its engine began, and by which uptime.
    pub began: Option<Anchor>,
    pub drift: Drift,
    /// When the wall clock was last seen to jump, and by how many seconds: negative is back.
    pub stepped: Option<(At, f64)>,
}

impl ClockState {
    /// An engine begins.
    pub fn begin(&mut self, anchor: Option<&Anchor>, drift: Drift) {
        let stepped = self.stepped.filter(|_| !drift.is_none());
        *self = Self { began: anchor.cloned(), drift, stepped };
    }

    /// Where the engine's time stands by the uptime of the same boot; `None` when it cannot be told.
    pub fn carried_on(&self, boot: Option<&str>, uptime: Duration) -> Option<At> {
        let anchor = self.began.as_ref().filter(|anchor| Some(&*anchor.boot) == boot)?;
        let passed = Duration::try_from_secs_f64(uptime.as_secs_f64() - anchor.uptime).ok()?;
        Some(after(anchor.at, passed))
    }

    /// What a person has to know of it; `None` while the clocks agree.
    pub fn words(&self) -> Option<String> {
        if self.drift.is_none() {
            return None;
        }
        let since = self.stepped.map(|(at, _)| format!(" since {}", at.strftime("%F %T UTC"))).unwrap_or_default();
        Some(format!("{}{since}", self.drift.words()))
    }
}

/// A length of time without its sign: `0.8s`, `1h`, `2d3h`.
pub fn length(seconds: f64) -> String {
    let seconds = seconds.abs();
    if seconds < 10.0 {
        return format!("{seconds:.1}s");
    }
    super::time::Span(Duration::from_secs(seconds.round() as u64)).to_string()
}

/// `went back by 1h`, `jumped ahead by 0.8s`
pub fn jumped(by: f64) -> String {
    let word = if by < 0.0 { "went back" } else { "jumped ahead" };
    format!("{word} by {}", length(by))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: f64) -> At {
        let base: At = "2026-11-23T10:00:00Z".parse().unwrap();
        base.saturating_add(SignedDuration::from_secs_f64(seconds)).unwrap()
    }

    #[test]
    fn a_moment_that_another_names_keeps_its_age_over_a_step_of_the_wall_clock() {
        for step in [-86_400.0, -3600.0, -1.0, 1.0, 3600.0, 86_400.0] {
            // The engine has counted an hour, and its host's clock was set on the way; the other's clock is right by it.
            let (now, wall) = (at(3600.0), at(3600.0 + step));
            let drift = Drift::of(now, wall);
            for age in [0.0, 10.0, 7200.0] {
                let foreign = at(3600.0 + step - age);
                let own = drift.to_engine(foreign, now);
                assert!((seconds_between(own, now) - age).abs() < 0.001, "{step} {age}");
                assert_eq!(drift.to_wall(own), foreign);
            }
        }
    }

    #[test]
    fn a_point_from_the_future_is_taken_as_it_is_read_where_that_makes_sense() {
        // The wall clock went back by an hour and is wrong: a copy of ten seconds ago seems to be of the future.
        let (now, wall) = (at(3600.0), at(0.0));
        assert_eq!(Drift::of(now, wall).to_engine(at(3590.0), now), at(3590.0));
    }

    #[test]
    fn small_differences_are_no_step() {
        assert!(Drift::of(at(0.4), at(0.0)).is_none());
        assert!(!Drift::of(at(0.0), at(0.6)).is_none());
    }

    #[test]
    fn an_engine_of_the_same_boot_goes_on_and_one_of_another_does_not() {
        let began = Some(Anchor { boot: "a".into(), uptime: 100.0, at: at(0.0) });
        let known = ClockState { began, ..ClockState::default() };
        let carried = |boot, uptime| known.carried_on(boot, Duration::from_secs(uptime));
        assert_eq!(carried(Some("a"), 160), Some(at(60.0)));
        assert_eq!(carried(Some("a"), 99), None, "that is not the same boot, whatever it says");
        assert_eq!(carried(Some("b"), 160), None);
        assert_eq!(carried(None, 160), None);
    }

    proptest! {
        #[test]
        fn it_never_goes_back_and_never_stands_still(
            beats in prop::collection::vec((1u64..100_000, prop::option::of(-100_000.0f64..100_000.0)), 1..50),
        ) {
            let mut uptime = Duration::from_secs(1000);
            let mut steady = Steady::new(at(0.0), uptime);
            let mut last = steady.now(uptime);
            for (millis, record) in beats {
                uptime += Duration::from_millis(millis);
                let now = steady.now(uptime);
                prop_assert!(now > last);
                last = now;
                if let Some(seconds) = record {
                    steady.not_before(at(seconds), uptime);
                    let lifted = steady.now(uptime);
                    prop_assert_eq!(lifted, now.max(at(seconds)));
                    last = lifted;
                }
            }
        }
    }
}
