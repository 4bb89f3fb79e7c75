//! Hidden scenarios, for a game day: what goes wrong is drawn from a seed, and the same seed is the same day.

use std::time::Duration;

use super::faults::Condition;
use super::scenario::{Event, Scenario};
use super::world::Extent;

/// What is drawn. Every day can be won: the standby stays whole.
pub struct Hidden {
    pub scenario: Scenario,
    /// When the failure that has to be answered happens, on the lab's clock.
    pub disruption: Duration,
}

/// Something that changes: after so many seconds, a place, its condition.
type Change = (u64, &'static str, Condition);

/// A thing that can go wrong, in words, with its changes counted from its beginning.
type Trouble = (&'static str, &'static [Change]);

const SLOW: Condition = Condition::Slow(Duration::from_millis(800));

/// What takes the region away.
const FAILURES: [Trouble; 4] = [
    ("us-east-1 goes dark: nothing answers any more", &[(0, "*@us-east-1", Condition::Dark)]),
    ("us-east-1 refuses every connection", &[(0, "*@us-east-1", Condition::Refused)]),
    (
        "us-east-1 gets slow, and half a minute later it is dark",
        &[(0, "*@us-east-1", SLOW), (30, "*@us-east-1", Condition::Dark)],
    ),
    (
        "us-east-1 flickers twice before it stays dark",
        &[(0, "*@us-east-1", Condition::Dark), (4, "*@us-east-1", Condition::Up), (10, "*@us-east-1", Condition::Dark)],
    ),
];

/// What makes it harder, counted from the failure.
const COMPLICATIONS: [Trouble; 5] = [
    (
        "Route 53 answers `too many requests` for a minute and a half",
        &[(5, "route53", Condition::Throttled), (95, "route53", Condition::Up)],
    ),
    (
        "CloudWatch of us-west-2 does not answer for a minute: the lag is unknown",
        &[(0, "cloudwatch@us-west-2", Condition::Dark), (60, "cloudwatch@us-west-2", Condition::Up)],
    ),
    ("us-east-1 comes back after six minutes, with its old writers", &[(360, "*@us-east-1", Condition::Up)]),
    (
        "Slack answers `too many requests` for two minutes",
        &[(0, "slack", Condition::Throttled), (120, "slack", Condition::Up)],
    ),
    ("PagerDuty's API is slow for three minutes", &[(0, "pagerduty", SLOW), (180, "pagerduty", Condition::Up)]),
];

/// What looks bad before it, and is no reason to leave the region.
const DECOYS: [Trouble; 3] = [
    (
        "one cache replica is gone for a while",
        &[(5, "redis-2@us-east-1", Condition::Dark), (15, "redis-2@us-east-1", Condition::Up)],
    ),
    ("Velero's copies fail in part", &[(5, "velero@us-east-1", Condition::Partial)]),
    (
        "the front door of us-east-1 is slow for a moment",
        &[(5, "app@us-east-1", SLOW), (15, "app@us-east-1", Condition::Up)],
    ),
];

/// A stream of numbers: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one<'t>(&mut self, of: &'t [Trouble]) -> &'t Trouble {
        &of[self.below(of.len() as u64) as usize]
    }
}

/// The day of a seed.
pub fn draw(seed: u64) -> Hidden {
    let mut numbers = Numbers(seed);
    let disruption = 25 + numbers.below(50);
    let mut told = Vec::new();
    let mut events = Vec::new();
    let mut happens = |(words, changes): &Trouble, from: u64| {
        told.push((from, format!("{from} s: {words}")));
        events.extend(
            changes
                .iter()
                .map(|(after, place, condition)| Event::once(Duration::from_secs(from + after), place, *condition)),
        );
    };
    if numbers.below(2) == 0 {
        happens(numbers.one(&DECOYS), 0);
    }
    happens(numbers.one(&FAILURES), disruption);
    let first = numbers.below(COMPLICATIONS.len() as u64 + 1) as usize;
    if let Some(trouble) = COMPLICATIONS.get(first) {
        happens(trouble, disruption);
        let second = numbers.below(COMPLICATIONS.len() as u64 * 2) as usize;
        if let Some(other) = COMPLICATIONS.get(second).filter(|_| second != first) {
            happens(other, disruption);
        }
    }
    let lines: Vec<String> = told.into_iter().map(|(_, line)| line).collect();
    let scenario = Scenario {
        name: "hidden",
        title: format!("Game day {seed}"),
        about: lines.join("\n"),
        severity: "sev1".into(),
        plan: Some("regional-failover".into()),
        extent: Extent::Two,
        events,
    };
    Hidden { scenario, disruption: Duration::from_secs(disruption) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::lab::faults::places;

    #[test]
    fn the_same_seed_is_the_same_day_and_others_differ() {
        assert_eq!(draw(7).scenario.about, draw(7).scenario.about);
        let days: BTreeSet<String> = (0..50).map(|seed| draw(seed).scenario.about).collect();
        assert!(days.len() > 40, "{} of 50 days differ", days.len());
    }

    #[test]
    fn every_day_loses_the_region_leaves_the_standby_whole_and_breaks_only_what_there_is() {
        let known = places();
        for seed in 0..200 {
            let day = draw(seed);
            assert!(day.scenario.events.iter().all(|it| known.contains(&it.place)), "{seed}");
            assert!(day.scenario.events.iter().any(|it| it.place == "*@us-east-1"), "{seed}");
            let spared = |place: &str| !place.ends_with("us-west-2") || place == "cloudwatch@us-west-2";
            assert!(day.scenario.events.iter().all(|it| spared(&it.place)), "{seed}");
        }
    }
}
