//! Scenarios: what goes wrong, and when. One file each under `assets/lab/scenarios`, and one row here.

use std::time::Duration;

use serde::Deserialize;

use super::faults::{CONDITIONS, Condition};
use super::world::World;

const FILES: [(&str, &str); 3] = [
    ("region-dark", include_str!("../../assets/lab/scenarios/region-dark.toml")),
    ("region-returns", include_str!("../../assets/lab/scenarios/region-returns.toml")),
    ("api-throttled", include_str!("../../assets/lab/scenarios/api-throttled.toml")),
];

/// The scenario of a demo that names none.
pub const DEFAULT: &str = FILES[0].0;

/// A scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    #[serde(skip)]
    pub name: &'static str,
    pub title: String,
    pub about: String,
    /// How bad an engineer would call it.
    pub severity: String,
    /// The plan that answers it.
    pub plan: String,
    #[serde(rename = "event")]
    pub events: Vec<Event>,
}

/// One thing that changes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Seconds of the lab's clock after the start, written `20s`.
    after: String,
    /// As [`super::faults`] has it.
    pub place: String,
    /// A word of [`CONDITIONS`], or `up`.
    condition: String,
}

impl Event {
    fn after(&self) -> Option<Duration> {
        self.after.strip_suffix('s')?.parse().ok().map(Duration::from_secs)
    }

    fn condition(&self) -> Option<Condition> {
        let named = CONDITIONS.iter().find(|(word, _, _)| *word == self.condition).map(|(_, condition, _)| *condition);
        if self.condition == "up" { Some(Condition::Up) } else { named }
    }
}

/// Every scenario, in the order of the table.
///
/// # Errors
/// When an embedded file is not a scenario: a mistake of the build, which a test keeps out.
pub fn all() -> Result<Vec<Scenario>, toml::de::Error> {
    let read = |(name, text): &(&'static str, &str)| toml::from_str(text).map(|scenario| Scenario { name, ..scenario });
    FILES.iter().map(read).collect()
}

/// Plays a scenario to its end on the lab's clock.
pub async fn play(world: &World, scenario: &Scenario) {
    let start = tokio::time::Instant::now();
    let mut events: Vec<(Duration, &Event)> =
        scenario.events.iter().filter_map(|event| Some((event.after()?, event))).collect();
    events.sort_by_key(|(after, _)| *after);
    for (after, event) in events {
        tokio::time::sleep_until(start + world.pace.scale(after)).await;
        if let Some(condition) = event.condition() {
            world.truth().faults.set(&event.place, condition);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_reads() {
        for scenario in all().unwrap() {
            assert!(!scenario.title.is_empty() && !scenario.events.is_empty(), "{}", scenario.name);
            for event in &scenario.events {
                assert!(event.after().is_some() && event.condition().is_some(), "{}: {event:?}", scenario.name);
            }
        }
    }
}
