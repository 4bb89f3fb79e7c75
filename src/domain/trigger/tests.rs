use std::sync::Arc;

use super::super::actor::Actor;
use super::super::estate::{Objectives, Policy, ProbeSpec, Region, RegionRole, Service, Tier};
use super::super::event::{Event, Record};
use super::super::params::Params;
use super::super::time::Span;
use super::*;

const EAST: &str = "us-east-1";
const WEST: &str = "us-west-2";

fn estate() -> Estate {
    let region = |id: &str, role| Region { id: id.into(), role, title: id.into() };
    let probe = |subject: Subject, region: &str| ProbeSpec {
        id: format!("{subject:?}@{region}").into(),
        kind: "http.get".into(),
        system: "http".into(),
        subject,
        region: Some(region.into()),
        every: Span::secs(5),
        timeout: Span::secs(2),
        fall: 3,
        rise: 2,
        params: Params::default(),
    };
    let names = ["api", "auth", "web"];
    let both = [EAST, WEST].into_iter();
    let of_services = both.clone().flat_map(|region| names.map(|name| probe(Subject::Service(name.into()), region)));
    let of_regions = both.map(|region| probe(Subject::Region(region.into()), region));
    Estate {
        name: "test".into(),
        environment: crate::domain::estate::Environment::Production,
        regions: vec![region(EAST, RegionRole::Primary), region(WEST, RegionRole::Standby)],
        services: names.map(|name| Service { id: name.into(), title: name.into(), tier: Tier::Critical }).into(),
        systems: Vec::new(),
        probes: of_services.chain(of_regions).collect(),
        backups: Vec::new(),
        contacts: Default::default(),
        dependencies: Vec::new(),
        drills: Vec::new(),
        channels: Vec::new(),
        comms: Default::default(),
        objectives: Objectives { rto: Default::default(), rpo: Default::default() },
        policy: Policy::default(),
    }
}

/// A state in which the probes that `wanted` takes went down, five seconds after they were last well.
fn down(estate: &Estate, at: At, wanted: impl Fn(&ProbeSpec) -> bool) -> State {
    let mut state = State::default();
    for (probe, seq) in estate.probes.iter().filter(|probe| wanted(probe)).zip(1..) {
        let last_healthy = Some(after(at, Duration::ZERO));
        let event =
            Event::ProbeChanged { probe: probe.id.clone(), to: Status::Down, detail: "no answer".into(), last_healthy };
        let at = after(at, Duration::from_secs(5));
        state.apply(&Arc::new(Record { seq, at, actor: Actor::engine(), event }));
    }
    state
}

fn told(estate: &Estate, state: &State) -> Vec<Trigger> {
    triggers(estate, state, [].into_iter())
}

#[test]
fn a_dark_region_is_told_with_what_is_met_first() {
    let (estate, start) = (estate(), At::UNIX_EPOCH);
    let state = down(&estate, start, |probe| probe.region.as_ref().is_some_and(|it| it.as_str() == EAST));
    let all = told(&estate, &state);
    let rules: Vec<Rule> = all.iter().map(|trigger| trigger.rule).collect();
    assert_eq!(rules, [Rule::ChecksFailing, Rule::RegionUnavailable]);
    let [checks, region] = &all[..] else { unreachable!() };
    assert_eq!(region.since, start, "counted from the last time it was well");
    assert_eq!(region.seconds_left(after(start, Duration::from_secs(170))), 130.0);
    assert!(!region.is_met(after(start, Duration::from_secs(299))));
    assert!(region.is_met(after(start, Duration::from_secs(300))));
    assert_eq!(checks.evidence, "3 of 3 services of us-east-1 are down");
    assert!(checks.is_met(after(start, Duration::from_secs(60))));
}

#[test]
fn one_service_of_three_is_no_reason_to_leave() {
    let (estate, start) = (estate(), At::UNIX_EPOCH);
    let is = |probe: &ProbeSpec, name: &str| probe.subject == Subject::Service(name.into());
    assert_eq!(told(&estate, &down(&estate, start, |probe| is(probe, "api"))), []);
    let two = down(&estate, start, |probe| is(probe, "api") || is(probe, "web"));
    assert_eq!(told(&estate, &two).len(), 1);
}

#[test]
fn the_standby_has_no_rule() {
    let (estate, start) = (estate(), At::UNIX_EPOCH);
    let state = down(&estate, start, |probe| probe.region.as_ref().is_some_and(|it| it.as_str() == WEST));
    assert_eq!(told(&estate, &state), []);
}
