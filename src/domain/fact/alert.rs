//! Alerts of somebody else's monitoring: shown as they are, and counted for a trigger only where the config says so.
//!
//! Who sends them speaks of its own sight and by its own clock: `since` is when Mayday heard of it. A sender that falls silent has not
//! said that all is well: an alert that was not repeated for longer than `[alerts] repeat` is shown as old, and counts no more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::ids::RegionId;
use crate::domain::spec::alert::{AlertPolicy, AlertRule};
use crate::domain::spec::estate::Estate;
use crate::domain::text::clean;
use crate::domain::time::{At, seconds_between};
use crate::domain::words::words;

/// So many alerts are kept at most; those that come beyond them are told as not taken.
pub const MOST: usize = 500;

/// So many labels are kept of one.
const LABELS: usize = 40;

/// An alert that was last heard of so long ago is forgotten, in seconds.
const FORGOTTEN: f64 = 7.0 * 86_400.0;

/// A repetition is journalled no sooner than this after what was last heard of the alert, in seconds.
const AGAIN: f64 = 600.0;

/// The label that names an alert, as Alertmanager has it.
pub const NAME: &str = "alertname";

/// The label that says where it is.
pub const REGION: &str = "region";

words! {
    /// What its sender says of an alert.
    Ringing {
        Firing = "firing",
        /// The sender itself cannot tell (CloudWatch's INSUFFICIENT_DATA).
        Unknown = "unknown",
        Resolved = "resolved",
    }
}

/// One alert, as it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// The same for every word on the same alert: `alertmanager:5ef77f1f8a3ecb8d`.
    pub id: String,
    pub is: Ringing,
    /// `alertmanager`, `cloudwatch`
    pub source: String,
    /// Its name is the label `alertname`.
    pub labels: BTreeMap<String, String>,
    /// What it says, in a line.
    #[serde(default)]
    pub summary: String,
    /// Since when, by the sender's own clock.
    #[serde(default)]
    pub starts_at: Option<At>,
}

impl Alert {
    /// The same, harmless and bounded.
    pub fn cleaned(self) -> Self {
        let labels = self.labels.into_iter().take(LABELS).map(|(name, value)| (clean(&name), clean(&value)));
        Self {
            id: clean(&self.id),
            source: clean(&self.source),
            labels: labels.collect(),
            summary: clean(&self.summary),
            ..self
        }
    }

    pub fn name(&self) -> &str {
        self.labels.get(NAME).map_or("an alert without a name", String::as_str)
    }

    /// `RegionDown (us-east-1): every probe fails`
    pub fn words(&self) -> String {
        let place = self.labels.get(REGION).map(|region| format!(" ({region})")).unwrap_or_default();
        let summary = if self.summary.is_empty() { String::new() } else { format!(": {}", self.summary) };
        format!("{}{place}{summary}", self.name())
    }
}

/// An alert that is not resolved, and when it was heard of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Heard {
    pub alert: Alert,
    /// When Mayday first heard that it is so, by the engine's clock.
    pub since: At,
    pub last: At,
}

impl Heard {
    /// Since when it is so: by its sender's clock, which knew of it before Mayday did, but never later than it was heard of.
    pub fn began(&self) -> At {
        self.alert.starts_at.map_or(self.since, |at| at.min(self.since))
    }

    /// Whether its sender has been silent on it for longer than it may.
    pub fn is_old(&self, policy: &AlertPolicy, now: At) -> bool {
        seconds_between(self.last, now) > policy.repeat.as_secs_f64()
    }
}

/// The alerts that are not resolved, by id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Alerts(pub BTreeMap<String, Heard>);

impl Alerts {
    /// Whether this is worth a record: something has changed, or was not repeated for a while.
    pub fn is_news(&self, alert: &Alert, now: At) -> bool {
        match (self.0.get(&alert.id), alert.is) {
            (None, is) => is != Ringing::Resolved,
            (Some(known), _) => known.alert != *alert || seconds_between(known.last, now) > AGAIN,
        }
    }

    pub fn is_full(&self) -> bool {
        self.0.len() >= MOST
    }

    /// Folds one in.
    pub fn take(&mut self, alert: &Alert, at: At) {
        self.0.retain(|_, known| seconds_between(known.last, at) <= FORGOTTEN);
        if alert.is == Ringing::Resolved {
            self.0.remove(&alert.id);
            return;
        }
        let since = self.0.get(&alert.id).filter(|known| known.alert.is == alert.is).map_or(at, |known| known.since);
        self.0.insert(alert.id.clone(), Heard { alert: alert.clone(), since, last: at });
    }

    /// The alert that counts for leaving `region` by a rule of the config, the soonest met first, and since when it would be met.
    pub fn counted<'a>(&'a self, estate: &'a Estate, region: &RegionId, now: At) -> Option<(&'a Heard, &'a AlertRule)> {
        let policy = &estate.alerts;
        let firing = self.0.values().filter(|heard| heard.alert.is == Ringing::Firing && !heard.is_old(policy, now));
        let counted = firing.filter_map(|heard| {
            let rule = policy.count.iter().filter(|rule| rule.fits(&heard.alert, estate, region));
            Some((heard, rule.min_by_key(|rule| rule.after)?))
        });
        counted.min_by_key(|(heard, rule)| crate::domain::time::after(heard.since, rule.after.0))
    }
}

impl AlertRule {
    fn fits(&self, alert: &Alert, estate: &Estate, serving: &RegionId) -> bool {
        let labelled = alert.labels.get(REGION);
        let known = labelled.and_then(|id| estate.regions.iter().find(|region| region.id.as_str() == id));
        let region = self.region.as_ref().or(known.map(|region| &region.id));
        self.labels.iter().all(|(name, value)| alert.labels.get(name) == Some(value))
            && region.is_none_or(|region| region == serving)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> At {
        At::from_second(seconds).unwrap()
    }

    fn alert(is: Ringing) -> Alert {
        let labels = [(NAME, "RegionDown"), (REGION, "us-east-1")].map(|(name, value)| (name.into(), value.into()));
        let (id, source) = ("alertmanager:1".into(), "alertmanager".into());
        Alert { id, is, source, labels: labels.into(), summary: "every\nprobe fails".into(), starts_at: None }.cleaned()
    }

    #[test]
    fn an_alert_is_kept_until_it_is_resolved_and_since_it_first_fired() {
        let mut alerts = Alerts::default();
        let firing = alert(Ringing::Firing);
        assert!(alerts.is_news(&firing, at(0)) && !alerts.is_news(&alert(Ringing::Resolved), at(0)));
        alerts.take(&firing, at(0));
        assert!(!alerts.is_news(&firing, at(60)), "a repetition is no news at once");
        assert!(alerts.is_news(&firing, at(700)), "after a while it is");
        alerts.take(&firing, at(700));
        let known = &alerts.0["alertmanager:1"];
        assert_eq!((known.since, known.last), (at(0), at(700)));
        let began = |starts_at| Heard { alert: Alert { starts_at, ..firing.clone() }, ..known.clone() }.began();
        assert_eq!(
            [None, Some(at(-90)), Some(at(90))].map(began),
            [at(0), at(-90), at(0)],
            "never later than it was heard of"
        );
        assert_eq!(known.alert.words(), "RegionDown (us-east-1): every probe fails");
        assert!(!known.is_old(&AlertPolicy::default(), at(700 + 5 * 3600)));
        assert!(known.is_old(&AlertPolicy::default(), at(701 + 5 * 3600)), "silence is no good news");
        alerts.take(&alert(Ringing::Unknown), at(800));
        assert_eq!(alerts.0["alertmanager:1"].since, at(800), "that it cannot be told is another state");
        alerts.take(&alert(Ringing::Resolved), at(900));
        assert!(alerts.0.is_empty());
    }

    #[test]
    fn what_nobody_spoke_of_for_a_week_is_forgotten() {
        let mut alerts = Alerts::default();
        alerts.take(&alert(Ringing::Firing), at(0));
        let other = Alert { id: "alertmanager:2".into(), ..alert(Ringing::Firing) };
        alerts.take(&other, at(8 * 86_400));
        assert_eq!(alerts.0.keys().collect::<Vec<_>>(), ["alertmanager:2"]);
    }
}
