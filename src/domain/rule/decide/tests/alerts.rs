//! What other monitoring says is kept where it is news, and nothing is done about it.

use std::collections::BTreeMap;

use super::bench::Bench;
use crate::domain::fact::alert::{Alert, MOST, Ringing};
use crate::domain::fact::command::Ask;
use crate::domain::fact::event::Event;

fn alert(number: usize, is: Ringing) -> Alert {
    let labels = BTreeMap::from([("alertname".to_owned(), format!("Alert{number}"))]);
    let (id, source) = (format!("alertmanager:{number}"), "alertmanager".into());
    Alert { id, is, source, labels, summary: String::new(), starts_at: None }
}

fn heard(bench: &Bench) -> usize {
    bench.events(|event| matches!(event, Event::AlertHeard { .. }))
}

#[test]
fn what_is_said_again_is_no_news() {
    let mut bench = Bench::new();
    let take = |bench: &mut Bench, is| bench.ask(Ask::TakeAlerts { alerts: vec![alert(1, is)] }).unwrap();
    assert!(take(&mut bench, Ringing::Firing).effects.is_empty(), "nothing is done about it");
    take(&mut bench, Ringing::Firing);
    assert_eq!(heard(&bench), 1);
    take(&mut bench, Ringing::Resolved);
    take(&mut bench, Ringing::Resolved);
    assert_eq!(heard(&bench), 2);
    assert!(bench.state.alerts.0.is_empty());
}

#[test]
fn a_flood_is_bounded_and_it_is_said_what_was_not_taken() {
    let mut bench = Bench::new();
    let alerts = (0..MOST + 3).map(|number| alert(number, Ringing::Firing)).collect();
    let note = bench.ask(Ask::TakeAlerts { alerts }).unwrap().note.unwrap();
    assert!(note.contains("3 NOT taken"), "{note}");
    assert_eq!(bench.state.alerts.0.len(), MOST);
}
