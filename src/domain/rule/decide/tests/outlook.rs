//! What is left of a run.

use std::collections::BTreeMap;

use super::bench::Bench;
use crate::domain::fact::run::{LastTime, Mode};
use crate::domain::ids::StepId;
use crate::domain::rule::outlook::{Outlook, outlook};

fn left(bench: &Bench, timed: &[(&str, f64)], goal: &str) -> Outlook {
    let last = |seconds| LastTime { at: bench.now, mode: Mode::Live, seconds };
    let history: BTreeMap<StepId, LastTime> =
        timed.iter().map(|(id, seconds)| (StepId::from(*id), last(*seconds))).collect();
    let run = bench.state.run.as_ref().unwrap();
    outlook(run, Some(&history), |spec| spec.id.as_str() == goal, bench.now)
}

fn path(outlook: &Outlook) -> Vec<&str> {
    outlook.path.iter().map(StepId::as_str).collect()
}

const TIMED: [(&str, f64); 6] =
    [("fence", 5.0), ("promote", 60.0), ("scale", 30.0), ("measure", 1.0), ("dns", 40.0), ("client", 3.0)];

#[test]
fn the_longest_chain_is_what_is_left() {
    let mut bench = Bench::running();
    let all = left(&bench, &TIMED, "client");
    assert_eq!((path(&all), all.projected()), (vec!["fence", "promote", "measure", "dns", "client"], Some(109.0)));
    bench.finish("fence", "");
    bench.prepared("promote", bench.sound(2));
    bench.confirm("promote", "db").unwrap();
    bench.pass(45);
    let rest = left(&bench, &TIMED, "client");
    assert_eq!(rest.projected(), Some(30.0 + 40.0 + 3.0), "45 of the 60 seconds are over: now scale takes longer");
    assert_eq!(path(&rest), ["scale", "dns", "client"]);
}

#[test]
fn only_what_leads_to_the_goal_counts() {
    let bench = Bench::running();
    let some = left(&bench, &TIMED, "scale");
    assert_eq!((path(&some), some.left, some.projected()), (vec!["scale"], 1, Some(30.0)));
}

#[test]
fn what_was_never_timed_is_unknown_not_zero() {
    let bench = Bench::running();
    let some = left(&bench, &TIMED[..5], "client");
    assert_eq!((some.untimed, some.left, some.projected()), (1, 6, None));
    assert_eq!(some.seconds, 106.0, "the rest of the chain is still known");
    let none = left(&bench, &[], "client");
    assert_eq!((none.untimed, none.projected()), (6, None));
    assert_eq!(path(&none).len(), 5, "without times the chain of most steps is the longest");
}

#[test]
fn nothing_is_left_of_nothing() {
    let bench = Bench::running();
    assert_eq!(left(&bench, &TIMED, "no such step"), Outlook::default());
}
