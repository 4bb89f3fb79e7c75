use super::*;
use crate::domain::fact::health::{Reading, Status};
use crate::domain::fact::live::ProbeLive;
use crate::domain::spec::classes::Tier;
use crate::domain::spec::estate::{Objectives, Policy, Region, RegionRole, Service};
use crate::domain::spec::params::Params;
use crate::domain::spec::probe::ProbeSpec;
use crate::domain::time::Span;

const EAST: &str = "us-east-1";
const WEST: &str = "us-west-2";

fn estate() -> Estate {
    let region = |id: &str, role| Region { id: id.into(), role, title: id.into(), systems: Default::default() };
    let probe = |subject: Subject, region: &str| ProbeSpec {
        id: format!("{subject:?}@{region}").into(),
        kind: "http.get".into(),
        system: "http".into(),
        subject,
        region: Some(region.into()),
        every: Span::secs(5),
        timeout: Span::secs(2),
        fall: 3,
        window: None,
        rise: 2,
        params: Params::default(),
    };
    let names = ["api", "auth", "web"];
    let both = [EAST, WEST].into_iter();
    let of_services = both.clone().flat_map(|region| names.map(|name| probe(Subject::Service(name.into()), region)));
    let of_regions = both.map(|region| probe(Subject::Region(region.into()), region));
    Estate {
        name: "test".into(),
        environment: crate::domain::spec::estate::Environment::Production,
        runs_in: None,
        regions: vec![region(EAST, RegionRole::Primary), region(WEST, RegionRole::Standby)],
        services: names.map(|name| Service { id: name.into(), title: name.into(), tier: Tier::Critical }).into(),
        systems: Vec::new(),
        probes: of_services.chain(of_regions).collect(),
        backups: Vec::new(),
        contacts: Default::default(),
        dependencies: Vec::new(),
        drills: Vec::new(),
        checklist: Vec::new(),
        channels: Vec::new(),
        comms: Default::default(),
        alerts: Default::default(),
        objectives: Objectives { rto: Default::default(), rpo: Default::default() },
        policy: Policy::default(),
    }
}

/// Readings by which the probes that `wanted` takes went down five seconds after they were last well, and stay so until `now`.
fn down(estate: &Estate, at: At, wanted: impl Fn(&ProbeSpec) -> bool) -> Readings {
    let live = |probe: &ProbeSpec| {
        let (status, detail) = if wanted(probe) { (Status::Down, "no answer") } else { (Status::Healthy, "200") };
        let at = after(at, Duration::from_secs(5));
        let reading = Reading::new(status, detail);
        ProbeLive { at, status, reading, since: Some(START), history: Default::default() }
    };
    estate.probes.iter().map(|probe| (probe.id.clone(), live(probe))).collect()
}

const START: At = At::UNIX_EPOCH;

fn told(estate: &Estate, readings: &Readings) -> Vec<Trigger> {
    triggers(estate, &State::default(), readings, after(START, Duration::from_secs(5)), [].into_iter())
}

#[test]
fn a_dark_region_is_told_with_what_is_met_first() {
    let (estate, start) = (estate(), START);
    let readings = down(&estate, start, |probe| probe.region.as_ref().is_some_and(|it| it.as_str() == EAST));
    let all = told(&estate, &readings);
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
    let (estate, start) = (estate(), START);
    let is = |probe: &ProbeSpec, name: &str| probe.subject == Subject::Service(name.into());
    assert_eq!(told(&estate, &down(&estate, start, |probe| is(probe, "api"))), []);
    let two = down(&estate, start, |probe| is(probe, "api") || is(probe, "web"));
    assert_eq!(told(&estate, &two).len(), 1);
}

#[test]
fn half_of_the_services_is_enough_whatever_their_number() {
    for (services, down_ones, fires) in
        [(3, 1, false), (3, 2, true), (2, 1, true), (2, 0, false), (1, 1, true), (1, 0, false), (0, 0, false)]
    {
        let mut estate = estate();
        estate.services.truncate(services);
        let first: Vec<Subject> =
            estate.services.iter().take(down_ones).map(|service| Subject::Service(service.id.clone())).collect();
        let readings = down(&estate, START, |probe| first.contains(&probe.subject));
        assert_eq!(!told(&estate, &readings).is_empty(), fires, "{down_ones} of {services}");
    }
}

#[test]
fn what_could_not_be_looked_at_is_told_beside_what_is_down() {
    let (estate, is) = (estate(), |probe: &ProbeSpec, name: &str| probe.subject == Subject::Service(name.into()));
    let mut readings = down(&estate, START, |probe| is(probe, "api") || is(probe, "auth"));
    let evidence = |readings: &Readings| told(&estate, readings)[0].evidence.clone();
    assert_eq!(evidence(&readings), "2 of 3 services of us-east-1 are down");
    for probe in estate.probes.iter().filter(|probe| is(probe, "web")) {
        readings.get_mut(&probe.id).unwrap().status = Status::Unknown;
    }
    assert_eq!(evidence(&readings), "2 of 3 services of us-east-1 are down; 1 could not be looked at");
}

#[test]
fn the_standby_has_no_rule() {
    let (estate, start) = (estate(), START);
    let readings = down(&estate, start, |probe| probe.region.as_ref().is_some_and(|it| it.as_str() == WEST));
    assert_eq!(told(&estate, &readings), []);
}

#[test]
fn what_was_not_read_or_not_lately_is_no_outage() {
    let estate = estate();
    let east = |probe: &ProbeSpec| probe.region.as_ref().is_some_and(|it| it.as_str() == EAST);
    let dark = down(&estate, START, east);
    assert_eq!(told(&estate, &dark).len(), 2);
    assert_eq!(told(&estate, &Readings::new()), [], "an engine that has just started has seen nothing");
    let late = after(START, Duration::from_secs(5 + 19 + 1));
    assert_eq!(triggers(&estate, &State::default(), &dark, late, [].into_iter()), [], "nobody reads any more");
    let blind = dark.into_iter().map(|(id, live)| (id, ProbeLive { status: Status::Unknown, ..live })).collect();
    assert_eq!(told(&estate, &blind), [], "what is unknown is not down");
}

#[test]
fn the_clients_path_speaks_for_no_region() {
    let mut estate = estate();
    for probe in estate.probes.iter_mut().filter(|it| matches!(it.subject, Subject::Service(_))) {
        probe.region = None;
    }
    let dark = down(&estate, START, |probe| probe.region.is_none());
    assert_eq!(told(&estate, &dark), [], "a name that does not answer is no reason to leave the region");
}

#[test]
fn an_alert_counts_only_where_the_config_says_so_and_for_the_region_that_serves() {
    use crate::domain::fact::alert::{Alert, Alerts, Ringing};
    use crate::domain::spec::alert::AlertRule;
    use crate::domain::time::Span;
    let alert = |is: Ringing, region: &str| {
        let labels = [("alertname", "RegionDown"), ("region", region)].map(|(name, value)| (name.into(), value.into()));
        let (id, source) = ("alertmanager:1".into(), "alertmanager".into());
        Alert { id, is, source, labels: labels.into(), summary: String::new(), starts_at: None }
    };
    let state = |alert: &Alert| {
        let mut alerts = Alerts::default();
        alerts.take(alert, START);
        State { alerts, ..State::default() }
    };
    let rule = |name: &str| AlertRule {
        labels: [("alertname".to_owned(), name.to_owned())].into(),
        region: None,
        after: Span::secs(120),
    };
    let told = |rules: Vec<AlertRule>, alert: &Alert, seconds: u64| {
        let mut estate = estate();
        estate.alerts.count = rules;
        let now = after(START, Duration::from_secs(seconds));
        triggers(&estate, &state(alert), &Readings::new(), now, [].into_iter())
    };
    let fires = alert(Ringing::Firing, EAST);
    assert_eq!(told(Vec::new(), &fires, 5), [], "nothing counts by itself");
    let [met] = &told(vec![rule("RegionDown")], &fires, 5)[..] else { panic!("it does not count") };
    assert_eq!((met.rule, met.since, met.met_at), (Rule::AlertFiring, START, after(START, Duration::from_secs(120))));
    assert_eq!(told(vec![rule("Other")], &fires, 5), []);
    assert_eq!(told(vec![rule("RegionDown")], &alert(Ringing::Firing, WEST), 5), [], "the standby has no rule");
    assert_eq!(told(vec![rule("RegionDown")], &alert(Ringing::Unknown, EAST), 5), [], "what cannot be told counts not");
    assert_eq!(told(vec![rule("RegionDown")], &alert(Ringing::Firing, "moon"), 5).len(), 1, "no region of the estate");
    assert_eq!(told(vec![rule("RegionDown")], &fires, 5 * 3600 + 1), [], "nobody has said it since");
}
