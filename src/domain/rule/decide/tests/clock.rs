//! The clocks: a wall clock that jumps is a word in the journal, and nothing else.

use super::bench::Bench;
use crate::domain::clock;
use crate::domain::fact::command::Report;
use crate::domain::rule::state::State;

#[test]
fn a_wall_clock_that_is_set_moves_no_due_time() {
    let mut bench = Bench::new();
    let before = bench.state.clone();
    bench.report(Report::ClockStepped { by: -3600.0, drift: clock::Drift(3600.0) });
    let (at, by) = bench.state.clock.stepped.unwrap();
    assert_eq!((by, at, bench.effects.len()), (-3600.0, bench.now, 0));
    let same = State {
        seq: before.seq,
        at: before.at,
        began: before.began,
        clock: before.clock.clone(),
        ..bench.state.clone()
    };
    assert_eq!(same, before, "nothing but what is known of the clocks has changed");
    // An engine that begins with the same difference has no news; one with another tells it.
    let steps = |bench: &mut Bench, drift| {
        let anchor = Some(clock::Anchor { boot: "b".into(), uptime: 5.0, at: bench.now });
        bench.report(Report::Started { version: "2".into(), anchor, drift: clock::Drift(drift) });
        (bench.state.clock.stepped, bench.state.clock.drift.0)
    };
    assert_eq!(steps(&mut bench, 3600.0), (Some((at, -3600.0)), 3600.0));
    assert_eq!(steps(&mut bench, 7200.0), (Some((bench.now, -3600.0)), 7200.0));
    assert_eq!(steps(&mut bench, 0.0), (None, 0.0));
}
