//! The checklist: what has to be true before an incident is over, what Mayday sees of each item, and what a human says about it.
//!
//! An item is *watched* when there is something that Mayday can look at by itself; what it sees is its evidence. A human ticks it or
//! skips it. A tick is never taken back in silence: when evidence turns to fail after it, the item is open again, with the tick and the
//! reason beside it, and somebody has to answer once more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::actor::Actor;
use super::estate::{ProbeSpec, words};
use super::event::{Event, Record};
use super::ids::{ItemId, ProbeId, RegionId};
use super::text::clean;
use super::time::At;

words! {
    /// What Mayday itself sees of an item, in the order of concern.
    Evidence {
        Pass = "pass",
        /// It could not be looked at, or nothing is configured that could be looked at. Unknown is never a pass.
        Unknown = "unknown",
        Fail = "fail",
    }
}

words! {
    /// What Mayday can look at by itself, besides the checks that the config adds.
    Sight {
        /// Every service is healthy in the region that serves, for as long as `policy.settle`.
        Services = "services",
        /// How far each promoted store had come was measured, is within its RPO, and the stores agree with each other.
        RecoveryPoints = "recovery-points",
        /// Counts and checksums of what was written before the incident are what they were.
        Tallies = "tallies",
        /// Probes answer about as fast as before the incident.
        Latency = "latency",
        /// The plan's own synthetic transactions, along the path of a client, succeed.
        ClientPath = "client-path",
        /// Probes report, and whoever pages people answers.
        Watching = "watching",
        /// What sends clients to the region that serves was set, and is not only how things happen to stand.
        Pinned = "pinned",
    }
}

/// An item, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Item {
    pub id: ItemId,
    pub title: String,
    /// What to do.
    pub what: String,
    /// Why it matters.
    pub why: String,
    #[serde(default)]
    pub sees: Vec<Sight>,
    /// The checks that the config adds, by id.
    #[serde(default)]
    pub checks: Vec<ProbeId>,
}

/// The item that stays open while clients are served and nothing keeps it so, and the plan that keeps it so.
pub const PIN: &str = "pin-clients";

impl Item {
    /// Clients are served from `region` as things happen to stand.
    pub fn pin(region: &RegionId) -> Self {
        Self {
            id: PIN.into(),
            title: format!("Clients pinned to {region}"),
            what: format!(
                "Once the API that moves clients answers again, run the plan {PIN} (mayday failover run {PIN}), or use its commands by hand \
                 (mayday by-hand {PIN}). Until then do not let the other region pass its health checks."
            ),
            why: format!(
                "Clients were found in {region}, and nobody sent them there: health checks did. When the other region passes them again, clients go \
                 back by themselves, to stores that are out of date."
            ),
            sees: vec![Sight::Pinned],
            checks: Vec::new(),
        }
    }

    /// Whether Mayday looks at anything; otherwise only a human can tell.
    pub fn is_watched(&self) -> bool {
        !self.sees.is_empty() || !self.checks.is_empty()
    }
}

/// `[[checklist]]` of the config: an item, and how its checks look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ItemSpec {
    pub item: Item,
    pub checks: Vec<ProbeSpec>,
}

/// How much of something there is, and a digest of its content where it can be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Sum {
    pub count: u64,
    #[serde(default)]
    pub checksum: Option<String>,
}

/// What each store, or table, or bucket holds.
pub type Tally = BTreeMap<String, Sum>;

/// What was held of everything that was written until a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Tallied {
    pub until: At,
    pub tally: Tally,
}

/// How things were while they were well: what "normal" and "as before" mean.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Baseline {
    /// The median of a probe's latencies, in milliseconds.
    pub latencies: BTreeMap<ProbeId, u32>,
    /// By the check that counted.
    pub tallies: BTreeMap<ProbeId, Tallied>,
}

impl Baseline {
    pub fn is_empty(&self) -> bool {
        self.latencies.is_empty() && self.tallies.is_empty()
    }

    /// This one, and what only an older one knows.
    pub fn or(mut self, older: &Self) -> Self {
        for (probe, latency) in &older.latencies {
            self.latencies.entry(probe.clone()).or_insert(*latency);
        }
        for (check, tallied) in &older.tallies {
            self.tallies.entry(check.clone()).or_insert_with(|| tallied.clone());
        }
        self
    }
}

/// What one look at one thing found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Finding {
    /// The sight or the check.
    pub of: String,
    pub evidence: Evidence,
    pub detail: String,
}

impl Finding {
    pub fn new(of: impl Into<String>, evidence: Evidence, detail: impl AsRef<str>) -> Self {
        Self { of: of.into(), evidence, detail: clean(detail.as_ref()) }
    }
}

/// One look at all that is watched of an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ItemLook {
    pub at: At,
    pub findings: Vec<Finding>,
}

impl ItemLook {
    /// The worst finding counts; nothing to go by is unknown.
    pub fn evidence(&self) -> Evidence {
        self.findings.iter().map(|it| it.evidence).max().unwrap_or(Evidence::Unknown)
    }

    /// The words of what counts.
    pub fn detail(&self) -> String {
        let evidence = self.evidence();
        let words = self.findings.iter().filter(|it| it.evidence == evidence).map(|it| it.detail.as_str());
        let words = words.collect::<Vec<_>>().join("; ");
        if words.is_empty() { "nothing was looked at".into() } else { clean(&words) }
    }
}

/// What was seen when the evidence last changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Seen {
    pub evidence: Evidence,
    pub detail: String,
    pub at: At,
}

/// What a human says about an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Answer {
    Ticked { by: Actor, at: At, note: String, against: Option<String> },
    Skipped { by: Actor, at: At, reason: String },
}

/// Why an item is open again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Reopened {
    pub by: Actor,
    pub at: At,
    pub reason: String,
    /// What had been said before.
    pub was: Option<Answer>,
}

words! {
    /// Where an item stands.
    Standing {
        Open = "open",
        /// It had been answered.
        Reopened = "reopened",
        Ticked = "ticked",
        Skipped = "skipped",
    }
}

impl Standing {
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Reopened)
    }
}

/// An item of an incident's checklist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ItemState {
    pub item: Item,
    pub seen: Option<Seen>,
    pub answer: Option<Answer>,
    pub reopened: Option<Reopened>,
}

impl ItemState {
    pub fn new(item: Item) -> Self {
        Self { item, seen: None, answer: None, reopened: None }
    }

    pub fn standing(&self) -> Standing {
        match (&self.answer, &self.reopened) {
            (Some(Answer::Ticked { .. }), _) => Standing::Ticked,
            (Some(Answer::Skipped { .. }), _) => Standing::Skipped,
            (None, Some(_)) => Standing::Reopened,
            (None, None) => Standing::Open,
        }
    }

    /// What is known of a watched item; `None` for one that only a human can tell.
    pub fn evidence(&self) -> Option<Evidence> {
        self.item.is_watched().then(|| self.seen.as_ref().map_or(Evidence::Unknown, |seen| seen.evidence))
    }

    /// What stands against a tick now, in words: evidence that fails or is unknown.
    pub fn against(&self) -> Option<String> {
        match (self.evidence()?, &self.seen) {
            (Evidence::Pass, _) => None,
            (evidence, Some(seen)) => Some(format!("{evidence}: {}", seen.detail)),
            (evidence, None) => Some(format!("{evidence}: not looked at yet")),
        }
    }

    fn apply(&mut self, record: &Record) {
        let (by, at) = (record.actor.clone(), record.at);
        match &record.event {
            Event::ItemSeen { evidence, detail, .. } => {
                self.seen = Some(Seen { evidence: *evidence, detail: detail.clone(), at });
            }
            Event::ItemTicked { note, against, .. } => {
                let (note, against) = (note.clone(), against.clone());
                self.answer = Some(Answer::Ticked { by, at, note, against });
            }
            Event::ItemSkipped { reason, .. } => {
                self.answer = Some(Answer::Skipped { by, at, reason: reason.clone() });
            }
            Event::ItemReopened { reason, .. } => {
                self.reopened = Some(Reopened { by, at, reason: reason.clone(), was: self.answer.take() });
            }
            _ => {}
        }
    }
}

/// The checklist of an incident: fixed when it is declared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Checklist {
    pub items: Vec<ItemState>,
    pub baseline: Baseline,
}

impl Checklist {
    pub fn item(&self, id: &ItemId) -> Option<&ItemState> {
        self.items.iter().find(|it| &it.item.id == id)
    }

    /// The items that nobody has answered for, or that are open again.
    pub fn open(&self) -> impl Iterator<Item = &ItemState> {
        self.items.iter().filter(|it| it.standing().is_open())
    }

    /// Folds one record in.
    pub fn apply(&mut self, record: &Record) {
        match &record.event {
            Event::ChecklistFixed { items, baseline } => {
                self.items = items.iter().cloned().map(ItemState::new).collect();
                self.baseline = Baseline::clone(baseline);
            }
            Event::ItemAdded { item } => self.items.push(ItemState::new(item.clone())),
            Event::ItemSeen { item, .. }
            | Event::ItemTicked { item, .. }
            | Event::ItemSkipped { item, .. }
            | Event::ItemReopened { item, .. } => {
                if let Some(known) = self.items.iter_mut().find(|it| &it.item.id == item) {
                    known.apply(record);
                }
            }
            _ => {}
        }
    }
}
