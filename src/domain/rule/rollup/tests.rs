use std::time::Duration;

use super::*;
use crate::domain::fact::health::{Reading, Track};
use crate::domain::rule::decide::bench;
use crate::domain::spec::classes::Tier;
use crate::domain::spec::probe::Hysteresis;
use crate::domain::time::{Span, after};

const EAST: &str = "us-east-1";

fn at(seconds: u64) -> At {
    after(At::UNIX_EPOCH, Duration::from_secs(seconds))
}

fn read(status: Status, taken: u64, since: u64) -> ProbeLive {
    let reading = Reading::new(status, "as told");
    ProbeLive { at: at(taken), status, reading, since: Some(at(since)), history: Default::default() }
}

/// An estate whose one service has two probes in the east, read every 5 s and given 2 s to answer.
fn estate() -> Estate {
    let mut estate = bench::estate();
    let second = ProbeSpec { id: "second@us-east-1".into(), ..estate.probes[0].clone() };
    estate.probes.push(second);
    estate
}

fn seen(first: Option<ProbeLive>, second: Option<ProbeLive>, now: u64) -> (Status, Option<At>) {
    let estate = estate();
    let both = [("api@us-east-1", first), ("second@us-east-1", second)];
    let readings: Readings = both.into_iter().filter_map(|(id, live)| Some((id.into(), live?))).collect();
    let seen = of_service(&estate, &readings, &estate.services[0], Some(&EAST.into()), at(now));
    (seen.status(), seen.since())
}

#[test]
fn what_could_not_be_looked_at_is_unknown_and_never_healthy() {
    use Status::*;
    let well = || Some(read(Healthy, 100, 40));
    let fresh = 100 + 5 * 3 + 2 + 2;
    let rows = [
        ("both are healthy", well(), well(), 105, Healthy, Some(40)),
        ("healthy since the younger of the two", well(), Some(read(Healthy, 100, 90)), 105, Healthy, Some(90)),
        ("the last moment that a reading counts", well(), well(), fresh, Healthy, Some(40)),
        ("a second later it does not", well(), well(), fresh + 1, Unknown, None),
        ("one is too old", Some(read(Healthy, 80, 40)), well(), 105, Unknown, None),
        ("one was not looked at by this engine", None, well(), 105, Unknown, None),
        ("none was", None, None, 105, Unknown, None),
        ("one was refused", Some(read(Unknown, 100, 40)), well(), 105, Unknown, Some(40)),
        ("one is down, the other not looked at", Some(read(Down, 100, 40)), None, 105, Down, None),
        ("one is slow", Some(read(Degraded, 100, 60)), well(), 105, Degraded, Some(60)),
    ];
    for (what, first, second, now, status, since) in rows {
        assert_eq!(seen(first, second, now), (status, since.map(at)), "{what}");
    }
}

#[test]
fn a_service_without_a_probe_in_a_place_is_unknown_there() {
    let estate = estate();
    let readings: Readings = [("api@us-west-2".into(), read(Status::Healthy, 100, 40))].into();
    let status = |region: Option<&str>| {
        let region = region.map(RegionId::from);
        of_service(&estate, &readings, &estate.services[0], region.as_ref(), at(100)).status()
    };
    assert_eq!(status(Some("us-west-2")), Status::Healthy);
    assert_eq!(status(Some("eu-central-1")), Status::Unknown);
    assert_eq!(status(None), Status::Unknown, "no probe follows the clients' path");
}

#[test]
fn the_clients_path_is_a_place_of_its_own() {
    let mut estate = estate();
    estate.probes[2].region = None;
    let readings: Readings = [
        ("api@us-east-1".into(), read(Status::Healthy, 100, 40)),
        ("second@us-east-1".into(), read(Status::Down, 100, 60)),
    ]
    .into();
    let seen = |region: Option<&RegionId>| of_service(&estate, &readings, &estate.services[0], region, at(100));
    assert_eq!(seen(Some(&EAST.into())).status(), Status::Healthy, "it does not count against the region");
    assert_eq!((seen(None).status(), seen(None).down_since()), (Status::Down, Some(at(60))));
}

#[test]
fn all_have_to_be_down_for_a_region_to_be_silent() {
    let mut estate = estate();
    for probe in &mut estate.probes {
        probe.subject = Subject::Region(EAST.into());
    }
    let ids = ["api@us-east-1", "api@us-west-2", "second@us-east-1"];
    let since = |all: [Option<ProbeLive>; 3]| {
        let readings: Readings = ids.into_iter().zip(all).filter_map(|(id, live)| Some((id.into(), live?))).collect();
        let subject = Subject::Region(EAST.into());
        roll_up(&estate, &readings, &subject, Some(&EAST.into()), at(100)).all_down_since()
    };
    let down = |since| Some(read(Status::Down, 100, since));
    assert_eq!(since([down(40), down(60), down(50)]), Some(at(60)));
    assert_eq!(since([down(40), None, down(50)]), None, "one was not looked at");
    assert_eq!(since([down(40), Some(read(Status::Unknown, 100, 40)), down(50)]), None, "one was refused");
}

/// Feeds a track every five seconds; says what it believes after each.
fn feed(track: &mut Track, from: u64, statuses: &[Status]) -> Vec<Status> {
    let hysteresis = Hysteresis { fall: 3, window: 3, rise: 2 };
    let take = |(nth, status): (u64, &Status)| {
        track.take(&Reading::new(*status, ""), at(from + nth * 5), hysteresis);
        track.status
    };
    (0..).zip(statuses).map(take).collect()
}

#[test]
fn nothing_of_an_earlier_life_is_believed() {
    use Status::*;
    let mut track = Track::resume(None, None);
    assert_eq!(feed(&mut track, 100, &[Healthy, Healthy]), [Healthy, Healthy]);
    assert_eq!(track.since, Some(at(100)), "healthy since the first reading of this life");
    let mut dark = Track::resume(None, None);
    assert_eq!(feed(&mut dark, 100, &[Down]), [Down], "not healthy for as long as hysteresis takes");
    assert_eq!(dark.trouble.unwrap().last_healthy, None, "nobody saw it begin");
    assert_eq!(dark.trouble.unwrap().first_down, Some(at(100)));
}

#[test]
fn a_gap_in_the_readings_is_the_end_of_what_was_believed() {
    use Status::*;
    let mut track = Track::default();
    feed(&mut track, 100, &[Healthy, Healthy]);
    track.lapse(at(110), 19.0);
    assert_eq!(track.status, Healthy, "that is no gap");
    track.lapse(at(200), 19.0);
    assert_eq!((track.status, track.since), (Unknown, None));
    feed(&mut track, 200, &[Healthy]);
    assert_eq!(track.since, Some(at(200)), "how it was in between is not known");
}

#[test]
fn a_failure_counts_from_the_last_healthy_reading_and_trouble_from_before_its_first() {
    use Status::*;
    let mut track = Track::default();
    feed(&mut track, 100, &[Healthy, Down, Down, Healthy, Down, Down]);
    assert_eq!(track.status, Healthy);
    feed(&mut track, 130, &[Down]);
    assert_eq!((track.status, track.since), (Down, Some(at(115))));
    let trouble = track.trouble.unwrap();
    assert_eq!((trouble.last_healthy, trouble.first_down), (Some(at(100)), Some(at(105))), "the stretch began before");
    feed(&mut track, 135, &[Healthy, Healthy]);
    assert!(track.trouble.is_some(), "two good readings do not end what three bad ones in a row were asked for");
    feed(&mut track, 145, &[Healthy]);
    assert_eq!(track.trouble, None);
}

#[test]
fn how_long_a_reading_counts_follows_from_its_probe() {
    let probe = &estate().probes[0];
    assert_eq!(probe.stays_fresh(), 19.0);
    let slow = ProbeSpec { every: Span::secs(60), timeout: Span::secs(10), ..probe.clone() };
    assert_eq!(slow.stays_fresh(), 192.0);
    assert_eq!(estate().services[0].tier, Tier::Critical);
}
