use std::time::Duration;

use super::*;
use crate::domain::fact::health::Status;
use crate::domain::fact::recovery::RecoveryPoint;
use crate::domain::fact::run::Mode;
use crate::domain::rule::decide::bench::{Bench, estate};
use crate::domain::spec::severity::Severity;
use crate::domain::time::{after, before};

const EAST: &str = "us-east-1";

/// An incident whose failure was seen 15 s before `now`, with an RTO of 300 s and an RPO of 3600 s.
fn declared() -> (Bench, Incident) {
    let bench = Bench::running();
    let incident = bench.state.incident.clone().unwrap();
    (bench, incident)
}

fn later(at: At, seconds: u64) -> At {
    after(at, Duration::from_secs(seconds))
}

fn earlier(at: At, seconds: u64) -> At {
    before(at, Duration::from_secs(seconds))
}

/// What became of the incident, in seconds after it was declared.
#[derive(Clone, Copy)]
enum Course {
    Lasts,
    /// Nobody knows since when.
    Undated,
    Back(u64),
    /// It was there at the first look.
    BackUnseen(u64),
    /// Nobody saw it back.
    Closed(u64),
}

impl Course {
    fn take(self, incident: &mut Incident, now: At) {
        let clocks = &mut incident.clocks;
        match self {
            Self::Lasts => {}
            Self::Undated => clocks.t0.clear(),
            Self::Closed(seconds) => incident.closed_at = Some(later(now, seconds)),
            Self::Back(seconds) | Self::BackUnseen(seconds) => {
                clocks.t5.insert(Tier::Critical, later(now, seconds));
                if let Self::BackUnseen(_) = self {
                    clocks.t0_not_later.insert(Tier::Critical);
                }
            }
        }
    }
}

#[test]
fn a_target_is_met_or_missed_only_where_both_ends_are_known() {
    use Course::*;
    let rows = [
        ("it lasts", Lasts, 100, Some(115.0), None),
        ("it lasts as long as was promised", Lasts, 285, Some(300.0), None),
        ("it lasts too long", Lasts, 286, Some(301.0), Some(false)),
        ("nobody knows since when", Undated, 900, None, None),
        ("back just in time", Back(285), 900, Some(300.0), Some(true)),
        ("back a second late", Back(286), 900, Some(301.0), Some(false)),
        ("back in time, and nobody saw it begin", BackUnseen(0), 900, Some(15.0), None),
        ("back too late by what was seen of it", BackUnseen(400), 900, Some(415.0), Some(false)),
        ("closed, and never seen to be back", Closed(20), 900, Some(35.0), None),
        ("closed too late", Closed(600), 900, Some(615.0), Some(false)),
    ];
    for (what, course, seconds, elapsed, met) in rows {
        let (bench, mut incident) = declared();
        course.take(&mut incident, bench.now);
        let rto = &rto(&bench.estate, &incident, later(bench.now, seconds))[0];
        assert_eq!((rto.elapsed, rto.met), (elapsed, met), "{what}");
        assert_eq!(rto.recovered, matches!(course, Back(_) | BackUnseen(_)), "{what}");
        assert_eq!(rto.at_least, matches!(course, BackUnseen(_)), "{what}");
    }
    let (bench, mut incident) = declared();
    Back(7).take(&mut incident, bench.now);
    assert_eq!(rto(&bench.estate, &incident, later(bench.now, 900))[0].since_declared, Some(7.0));
}

fn point(at: At, measured: bool) -> RecoveryPoint {
    RecoveryPoint { at, region: Some("us-west-2".into()), source: "test".into(), measured }
}

#[test]
fn a_loss_is_known_only_where_every_store_is() {
    let measured = |seconds: f64| Loss::Measured { seconds };
    let estimated = |seconds: f64| Loss::Estimated { seconds };
    // What was known of a store's copy, and what a run measured: both in seconds before the disruption.
    type Row = (&'static str, Option<(&'static str, u64)>, Option<&'static [u64]>, Loss, Option<bool>);
    let rows: [Row; 8] = [
        ("nothing is known", None, None, Loss::Unknown, None),
        ("as much as is allowed", Some(("db", 3600)), None, estimated(3600.0), Some(true)),
        ("a second more", Some(("db", 3601)), None, estimated(3601.0), Some(false)),
        ("a point of another store", Some(("cache", 0)), None, Loss::Unknown, None),
        ("measured", None, Some(&[5]), measured(5.0), Some(true)),
        ("measured twice: the worse counts", None, Some(&[5, 7]), measured(7.0), Some(true)),
        ("measured, and too much", None, Some(&[3601]), measured(3601.0), Some(false)),
        ("measured, and nothing came of it", Some(("db", 1)), Some(&[]), Loss::Unknown, None),
    ];
    for (what, known, read, loss, met) in rows {
        let (bench, mut incident) = declared();
        let t0 = incident.clocks.written_until().unwrap();
        incident.points.extend(known.map(|(store, seconds)| (store.into(), point(earlier(t0, seconds), false))));
        let points = read.map(|all| all.iter().map(|seconds| point(earlier(t0, *seconds), true)).collect());
        incident.measured.extend(points.map(|points| (DataClass::Database, points)));
        let rpo = &rpo(&bench.estate, &incident, None)[0];
        assert_eq!((rpo.loss, rpo.met), (loss, met), "{what}");
    }
    let (bench, mut incident) = declared();
    incident.points.insert("db".into(), point(bench.now, false));
    incident.clocks.t0.clear();
    assert_eq!(rpo(&bench.estate, &incident, None)[0].loss, Loss::Unknown, "nobody knows until when clients wrote");
}

#[test]
fn of_two_stores_the_one_that_is_unknown_counts() {
    let mut estate = estate();
    let second = crate::domain::spec::estate::SystemSpec { id: "second".into(), ..estate.systems[0].clone() };
    estate.systems.push(second);
    let (_, mut incident) = declared();
    let t0 = incident.clocks.written_until().unwrap();
    incident.points.insert("db".into(), point(earlier(t0, 5), false));
    assert_eq!(rpo(&estate, &incident, None)[0].loss, Loss::Unknown);
    incident.points.insert("second".into(), point(earlier(t0, 9), false));
    assert_eq!(rpo(&estate, &incident, None)[0].loss, Loss::Estimated { seconds: 9.0 });
    estate.systems.clear();
    let none = &rpo(&estate, &incident, None)[0];
    assert_eq!((none.loss, none.met), (Loss::Unknown, None), "a class without a store lost nobody knows what");
}

#[test]
fn what_a_run_has_measured_so_far_is_an_estimate_and_a_rehearsal_measures_nothing() {
    let (mut bench, mut incident) = declared();
    let t0 = incident.clocks.written_until().unwrap();
    incident.points.insert("db".into(), point(earlier(t0, 5), false));
    let run = bench.state.run.as_mut().unwrap();
    run.steps.get_mut("measure").unwrap().point = Some(point(earlier(t0, 30), true));
    let run = run.clone();
    assert_eq!(rpo(&bench.estate, &incident, Some(&run))[0].loss, Loss::Estimated { seconds: 30.0 });
    let rehearsal = Run { mode: Mode::Rehearsal, ..run.clone() };
    assert_eq!(rpo(&bench.estate, &incident, Some(&rehearsal))[0].loss, Loss::Estimated { seconds: 5.0 });
    // Clients wrote to the copy before it was read: how far it had come is hidden.
    let mut late = run;
    late.steps.get_mut("measure").unwrap().point = Some(point(later(bench.now, 60), true));
    assert_eq!(rpo(&bench.estate, &incident, Some(&late))[0].loss, Loss::Estimated { seconds: 5.0 });
}

#[test]
fn a_failure_that_nobody_saw_has_no_t0_but_its_declaration() {
    let mut bench = Bench::new();
    bench.probe(EAST, Status::Healthy);
    let title = "on purpose".into();
    bench.ask(crate::domain::fact::command::Ask::Declare { title, severity: Severity::Sev3, drill: false }).unwrap();
    let incident = bench.state.incident.clone().unwrap();
    assert_eq!(incident.clocks.disruption().unwrap().1, Onset::Declaration);
    assert!(!rto(&bench.estate, &incident, bench.now)[0].at_least);
}
