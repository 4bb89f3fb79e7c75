//! What another config must not take away.

use super::bench::Bench;
use crate::domain::fact::command::Ask;
use crate::domain::rule::reload::may;
use crate::domain::spec::classes::Tier;
use crate::domain::spec::estate::{Environment, Estate};

/// A failover that has moved clients, with its incident open.
fn moved() -> Bench {
    let mut bench = Bench::running();
    for (name, phrase) in
        [("fence", ""), ("scale", ""), ("promote", "db"), ("measure", ""), ("dns", ""), ("client", "")]
    {
        bench.pass(10);
        bench.finish(name, phrase);
    }
    bench
}

fn refused(bench: &Bench, change: fn(&mut Estate)) -> String {
    let mut new = bench.estate.clone();
    change(&mut new);
    may(&bench.state, &bench.estate, &new).err().map(|it| it.to_string()).unwrap_or_default()
}

type Row = (&'static str, fn(&mut Estate), &'static str);

#[test]
fn an_incident_keeps_what_it_is_measured_and_mended_by() {
    let bench = moved();
    let rows: [Row; 6] = [
        ("nothing", |_| {}, ""),
        ("a system", |new| new.systems.clear(), "system db"),
        ("a service", |new| new.services.clear(), "service api"),
        ("a tier", |new| new.services[0].tier = Tier::Standard, "service api is critical"),
        ("objectives", |new| new.objectives.rto.clear(), "the objectives"),
        ("environment", |new| new.environment = Environment::Test, "the estate is production"),
    ];
    for (what, change, why) in rows {
        let said = refused(&bench, change);
        assert!(said.contains(why) && said.is_empty() == why.is_empty(), "{what}: {said}");
    }
}

#[test]
fn what_moved_clients_is_kept_until_they_are_back() {
    let mut bench = moved();
    bench.ask(Ask::CloseIncident { note: String::new(), despite: "test".into(), tell: false }).unwrap();
    assert!(bench.state.incident.is_none());
    let said = refused(&bench, |new| new.systems.clear());
    assert!(said.contains("system db") && said.contains("are not back"), "{said}");
    assert_eq!(refused(&bench, |new| new.objectives.rto.clear()), "", "nothing is measured by them now");
    assert_eq!(refused(&Bench::new(), |new| new.systems.clear()), "", "nothing was moved");
}
