//! The engine's time, and who looks whether the wall clock has jumped against it. [`crate::domain::clock`] says which time is which.

use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::Handle;
use crate::domain::clock::{Anchor, Clock, Drift, STEP, Steady};
use crate::domain::command::Report;
use crate::domain::run::Run;
use crate::domain::state::State;
use crate::domain::time::{At, seconds_between};

/// How often the wall clock is looked at.
const BEAT: Duration = Duration::from_secs(1);

/// Two looks at one clock that are further apart say nothing of another clock that was read in between.
const BLINK: Duration = Duration::from_millis(100);

/// The longest nap of whoever waits for a moment: a timer does not count while the machine is suspended, the engine's time does.
const NAP: Duration = Duration::from_secs(5);

/// This machine's clocks: `CLOCK_BOOTTIME` for what nobody sets.
pub struct Machine {
    boot: Option<String>,
}

impl Machine {
    pub fn new() -> Self {
        // In a namespace of its own a process counts from elsewhere.
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
        let namespace = fs::read_link("/proc/self/ns/time").unwrap_or_default();
        Self { boot: boot.ok().map(|boot| format!("{} {}", boot.trim(), namespace.display()).trim().to_owned()) }
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for Machine {
    fn wall(&self) -> At {
        Timestamp::now()
    }

    fn uptime(&self) -> Duration {
        let now = clock_gettime(ClockId::Boottime);
        Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
    }

    fn boot(&self) -> Option<String> {
        self.boot.clone()
    }
}

/// The time of one engine.
pub(super) struct Timeline {
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
}

struct Kept {
    steady: Steady,
    /// As it was last told.
    drift: Drift,
}

/// The wall clock has jumped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Jump {
    /// Seconds; negative is back.
    pub by: f64,
    pub drift: Drift,
}

impl Timeline {
    /// Takes the wall clock, or goes on from where the last engine of this boot was while something is under way; in either case never
    /// before the latest record.
    pub fn begin(clock: Arc<dyn Clock>, state: &State) -> Self {
        let (wall, uptime) = (clock.wall(), clock.uptime());
        let carried = || state.clock.carried_on(clock.boot().as_deref(), uptime);
        let at = is_under_way(state).then(carried).flatten().unwrap_or(wall);
        let at = state.at.map_or(at, |last| last.max(at));
        Self { clock, kept: Mutex::new(Kept { steady: Steady::new(at, uptime), drift: Drift::of(at, wall) }) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now(&self) -> At {
        self.kept().steady.now(self.clock.uptime())
    }

    /// A record of that time is in the journal.
    pub fn not_before(&self, at: At) {
        self.kept().steady.not_before(at, self.clock.uptime());
    }

    pub fn drift(&self) -> Drift {
        self.kept().drift
    }

    /// Where it stands by the uptime of this boot, where that can be told.
    pub fn anchor(&self) -> Option<Anchor> {
        let (boot, uptime) = (self.clock.boot()?, self.clock.uptime());
        Some(Anchor { boot, uptime: uptime.as_secs_f64(), at: self.kept().steady.now(uptime) })
    }

    /// What another system calls now, or called then.
    pub fn to_wall(&self, at: At) -> At {
        self.drift().to_wall(at)
    }

    /// A moment that another system names.
    pub fn own(&self, foreign: At) -> At {
        self.drift().to_engine(foreign, self.now())
    }

    /// Whether the wall clock has jumped since the last look.
    pub fn look(&self) -> Option<Jump> {
        let (before, wall, uptime) = (self.clock.uptime(), self.clock.wall(), self.clock.uptime());
        if uptime.saturating_sub(before) > BLINK {
            return None;
        }
        let mut kept = self.kept();
        let now = kept.steady.now(uptime);
        let by = kept.drift.0 - seconds_between(wall, now);
        if by.abs() < STEP {
            return None;
        }
        kept.drift = Drift::of(now, wall);
        Some(Jump { by, drift: kept.drift })
    }
}

/// Whether a jump of the engine's own time would be felt: something is under way that is timed.
fn is_under_way(state: &State) -> bool {
    state.incident.is_some()
        || state.run.as_ref().is_some_and(Run::is_open)
        || state.drilling.is_some()
        || state.outbox.messages.iter().any(|it| !it.is_settled())
}

pub(super) fn start(engine: &Handle) {
    engine.spawn(watch(engine.clone()));
}

async fn watch(engine: Handle) {
    let mut beats = interval_at(Instant::now() + BEAT, BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        if let Some(Jump { by, drift }) = engine.shared.time.look() {
            tracing::warn!(by, ahead = drift.0, "the wall clock has jumped; the engine goes on by its own time");
            engine.report(Report::ClockStepped { by, drift }).await;
        }
    }
}

/// Sleeps until the engine's time is there.
pub(super) async fn until(time: &Timeline, at: At) {
    loop {
        let left = seconds_between(time.now(), at);
        if left <= 0.0 {
            return;
        }
        sleep(Duration::try_from_secs_f64(left).unwrap_or(NAP).min(NAP)).await;
    }
}

/// Beats by the engine's time: one that fell into a suspension of the machine is made up for once, soon after.
pub(super) struct Beats {
    time: Arc<Timeline>,
    next: At,
    every: Duration,
}

impl Beats {
    pub fn new(engine: &Handle, first: Duration, every: Duration) -> Self {
        let time = engine.shared.time.clone();
        let next = crate::domain::time::after(time.now(), first);
        Self { time, next, every }
    }

    pub async fn tick(&mut self) {
        until(&self.time, self.next).await;
        self.next = crate::domain::time::after(self.time.now(), self.every);
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::time::{after, before};

    /// Clocks that are where a test puts them.
    struct Hands(Mutex<(Duration, f64)>);

    const BORN: Duration = Duration::from_secs(500);

    impl Hands {
        fn truth(&self) -> At {
            let born: At = "2026-11-23T10:00:00Z".parse().unwrap();
            after(born, self.uptime().saturating_sub(BORN))
        }
    }

    impl Clock for Hands {
        fn wall(&self) -> At {
            let off = self.0.lock().unwrap().1;
            self.truth().saturating_add(SignedDuration::from_secs_f64(off)).unwrap()
        }
        fn uptime(&self) -> Duration {
            self.0.lock().unwrap().0
        }
        fn boot(&self) -> Option<String> {
            Some("a boot".into())
        }
    }

    #[test]
    fn this_machine_counts_and_names_its_boot() {
        let machine = Machine::new();
        let first = machine.uptime();
        assert!(first > Duration::ZERO);
        while machine.uptime() == first {}
        assert!(machine.uptime() > first);
        assert_eq!(machine.boot(), Machine::new().boot());
    }

    proptest! {
        /// However the wall clock is set, time goes on by the uptime; every jump is told once, and what others date keeps its age.
        #[test]
        fn no_wall_clock_moves_it(beats in prop::collection::vec(
            (1u64..100_000, prop::option::of(-200_000.0f64..200_000.0), 0u64..90_000), 1..40,
        )) {
            let hands = Arc::new(Hands(Mutex::new((BORN, 0.0))));
            let time = Timeline::begin(hands.clone(), &State::default());
            let mut told = 0.0;
            for (millis, set, age) in beats {
                {
                    let mut hands = hands.0.lock().unwrap();
                    hands.0 += Duration::from_millis(millis);
                    hands.1 = set.unwrap_or(hands.1);
                }
                told += time.look().map_or(0.0, |jump| jump.by);
                prop_assert_eq!(time.look(), None, "it is told once");
                prop_assert_eq!(time.now(), hands.truth());
                let off = hands.0.lock().unwrap().1;
                prop_assert!((told - off).abs() <= STEP, "{} was told, and it is {}", told, off);
                let foreign = before(hands.wall(), Duration::from_secs(age));
                let seen = seconds_between(time.own(foreign), time.now());
                prop_assert!((seen - age as f64).abs() <= 2.0 * STEP, "{} s old is taken for {} s", age, seen);
            }
        }
    }
}
