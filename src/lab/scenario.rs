//! Scenarios: what goes wrong, and when. One file each under `assets/lab/scenarios`, and one row here.

use std::time::Duration;

use serde::Deserialize;

use super::estate::duration;
use super::faults::{Condition, places};
use super::world::{Extent, World};

macro_rules! scenarios {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../../assets/lab/scenarios/", $name, ".toml")))),*]
    };
}

const FILES: [(&str, &str); 11] = scenarios! {
    "region-dark" "region-returns" "api-throttled" "control-plane-down" "az-outage" "slow-region" "flapping" "replica-lag" "split-brain"
    "stale-backups" "three-regions"
};

/// The scenario of a demo that names none.
pub const DEFAULT: &str = FILES[0].0;

/// A scenario.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    #[serde(skip)]
    pub name: &'static str,
    pub title: String,
    /// What happens, and what is expected of whoever watches.
    pub about: String,
    /// How bad an engineer would call it.
    pub severity: String,
    /// The plan that answers it, if one does.
    pub plan: Option<String>,
    /// The lab that it needs.
    #[serde(rename = "regions", default)]
    pub extent: Extent,
    #[serde(rename = "event")]
    pub events: Vec<Event>,
}

/// One thing that changes, once or again and again.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct Event {
    /// After so much time of the lab's clock.
    at: Vec<Duration>,
    /// As [`super::faults`] has it.
    pub place: String,
    pub condition: Condition,
}

impl Event {
    /// After so much time of the lab's clock, once.
    pub fn once(at: Duration, place: &str, condition: Condition) -> Self {
        Self { at: vec![at], place: place.into(), condition }
    }
}

/// An event as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// On the lab's clock, after the start: `20s`.
    after: String,
    place: String,
    /// As [`Condition::named`] has it.
    condition: String,
    /// How slow, in real time: `900ms`.
    by: Option<String>,
    /// It happens `times` times, once in so long on the lab's clock.
    every: Option<String>,
    times: Option<u32>,
}

impl TryFrom<Written> for Event {
    type Error = String;

    fn try_from(it: Written) -> Result<Self, String> {
        let length = |text: &String| duration(text).ok_or_else(|| format!("`{text}` is no length of time"));
        let after = length(&it.after)?;
        let at = match (&it.every, it.times) {
            (None, None) => vec![after],
            (Some(every), Some(times @ 1..=1000)) => {
                let every = length(every)?;
                (0..times).map(|nth| after + every * nth).collect()
            }
            _ => return Err("`every` and `times` (1 to 1000) go together".into()),
        };
        let condition = Condition::named(&it.condition, it.by.as_ref().map(length).transpose()?)?;
        let known = places().contains(&it.place);
        known.then_some(()).ok_or_else(|| format!("there is no place `{}`", it.place))?;
        Ok(Self { at, place: it.place, condition })
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
        scenario.events.iter().flat_map(|event| event.at.iter().map(move |at| (*at, event))).collect();
    events.sort_by_key(|(at, _)| *at);
    for (at, event) in events {
        tokio::time::sleep_until(start + world.pace.scale(at)).await;
        world.truth().faults.set(&event.place, event.condition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_reads() {
        for scenario in all().unwrap() {
            assert!(!scenario.title.is_empty() && !scenario.about.is_empty(), "{}", scenario.name);
            assert!(!scenario.events.is_empty(), "{}", scenario.name);
        }
    }

    #[test]
    fn an_event_can_come_again_and_again() {
        let event = |text: &str| toml::from_str::<Event>(text);
        let flaps = "after = '2s'\nplace = 'app@us-east-1'\ncondition = 'refused'\nevery = '4s'\ntimes = 3";
        assert_eq!(event(flaps).unwrap().at, [2, 6, 10].map(Duration::from_secs));
        let slow = "after = '0s'\nplace = 'dns'\ncondition = 'slow'\nby = '900ms'";
        assert_eq!(event(slow).unwrap().condition, Condition::Slow(Duration::from_millis(900)));
        for wrong in [
            "after = '2s'\nplace = 'app@us-east-1'\ncondition = 'dark'\nevery = '4s'",
            "after = '2s'\nplace = 'app@us-east-1'\ncondition = 'dark'\nby = '4s'",
            "after = '2s'\nplace = 'app@mars'\ncondition = 'dark'",
            "after = 'soon'\nplace = 'dns'\ncondition = 'dark'",
        ] {
            assert!(event(wrong).is_err(), "{wrong}");
        }
    }
}
