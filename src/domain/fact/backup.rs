//! Backups: which copies there are, how old the newest good one is, where it lies, and whether that is enough.
//!
//! A copy that could not be looked at is not fresh, a partial one is not good, and one that lies only in the region it protects
//! protects nothing.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::guard::{Guard, GuardVerdict};
use super::health::Status;
use crate::domain::actor::is_false;
use crate::domain::clock::{Drift, STEP, agrees, length};
use crate::domain::ids::RegionId;
use crate::domain::spec::backup::BackupSpec;
use crate::domain::text::clean;
use crate::domain::time::{At, Span, is_ahead, seconds_between};
use crate::domain::words::words;

/// So many copies of one backup are kept in a look; the newest matter.
pub const COPIES: usize = 64;

/// A copy that is smaller than this share of its like, or larger than its inverse, is remarked on.
const USUAL: f64 = 0.5;

/// So many other copies make a size usual.
const LIKE: usize = 3;

/// A copy of fewer bytes holds nothing: an empty archive, or the head of a dump that broke off.
const HOLLOW: u64 = 512;

/// A look that failed for longer than so many intervals says nothing any more.
const LOOKS: u32 = 3;

/// One that neither failed nor succeeded waits for its turn: so many seconds longer before that says something.
const LATE: f64 = 120.0;

words! {
    /// What became of one copy.
    CopyState { Good = "good", Running = "running", Partial = "partial", Failed = "failed", }
}

/// One copy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BackupCopy {
    /// The moment whose data it holds, as far as that is known: when it was begun, not when it was done.
    pub at: At,
    pub state: CopyState,
    /// Bytes, where its system tells.
    #[serde(default)]
    pub size: Option<u64>,
    /// Cleaned: `neo4j-2026-11-23T04-00-00.backup`.
    pub name: String,
}

impl BackupCopy {
    /// Whether it can be restored from, as far as can be told from outside.
    pub fn is_good(&self) -> bool {
        self.state == CopyState::Good && !self.is_hollow()
    }

    fn is_hollow(&self) -> bool {
        self.size.is_some_and(|size| size < HOLLOW)
    }
}

/// What one look at a backup saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BackupLook {
    /// Newest first.
    pub copies: Vec<BackupCopy>,
    /// Where the copies lie; empty when that is not known.
    #[serde(default)]
    pub regions: Vec<RegionId>,
    /// How long copies are kept, as their system says.
    #[serde(default)]
    pub keeps: Option<Span>,
    /// The newest moment that can be restored to, when it is not that of the newest good copy (a log between copies).
    #[serde(default)]
    pub point: Option<At>,
    /// The oldest such moment.
    #[serde(default)]
    pub oldest: Option<At>,
    /// What else protects the data, or fails to: versioning, replication, a schedule.
    #[serde(default)]
    pub guards: Vec<Guard>,
    /// A place where copies can lie did not say what it has: there may be more, and elsewhere, than is told here.
    #[serde(default, skip_serializing_if = "is_false")]
    pub partial: bool,
    /// By so many seconds the host's clock differed from the engine's time at the look. Its copies are dated by other clocks, and which of
    /// the two these agree with, nobody knows; 0 where there is no difference.
    #[serde(default, skip_serializing_if = "agrees")]
    pub drift: Drift,
}

impl BackupLook {
    /// Of copies in any order, the newest [`COPIES`].
    pub fn of(mut copies: Vec<BackupCopy>) -> Self {
        copies.sort_by_key(|copy| std::cmp::Reverse(copy.at));
        copies.truncate(COPIES);
        Self { copies, ..Self::default() }
    }

    pub fn at(mut self, region: impl Into<Option<RegionId>>) -> Self {
        self.regions.extend(region.into());
        self
    }

    /// The newest copy that can be restored from.
    pub fn newest_good(&self) -> Option<&BackupCopy> {
        self.copies.iter().find(|copy| copy.is_good())
    }

    /// The newest moment that can be restored to.
    pub fn restorable(&self) -> Option<At> {
        self.point.or_else(|| self.newest_good().map(|copy| copy.at))
    }

    /// Where the copies of `spec` lie, as far as that is known.
    pub fn places<'l>(&'l self, spec: &'l BackupSpec) -> BTreeSet<&'l RegionId> {
        self.regions.iter().chain(&spec.region).collect()
    }

    /// There are copies that are called good, and nothing is in any of them.
    fn is_all_hollow(&self) -> bool {
        let mut good = self.copies.iter().filter(|copy| copy.state == CopyState::Good).peekable();
        good.peek().is_some() && good.all(BackupCopy::is_hollow)
    }

    fn goes_back_to(&self) -> Option<At> {
        let oldest = self.copies.iter().rev().find(|copy| copy.is_good());
        self.oldest.or_else(|| oldest.map(|copy| copy.at))
    }
}

/// The latest that is known of a backup.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BackupLive {
    /// When `look` was taken.
    pub at: Option<At>,
    /// The latest one that succeeded.
    pub look: BackupLook,
    /// Why the latest attempt failed, if it did.
    pub fault: Option<String>,
}

words! {
    /// What a backup is worth, in the order of concern.
    Worth {
        Fresh = "fresh",
        /// There is a good and fresh copy, and something is wrong all the same.
        Weak = "weak",
        /// It could not be looked at: unknown is not fresh.
        Unknown = "unknown",
        /// The newest good copy is older than allowed.
        Stale = "stale",
        /// There is no good copy, or nothing that protects.
        Missing = "missing",
    }
}

impl Worth {
    /// How it is marked on a screen.
    pub fn status(self) -> Status {
        match self {
            Self::Fresh => Status::Healthy,
            Self::Weak => Status::Degraded,
            Self::Unknown => Status::Unknown,
            Self::Stale | Self::Missing => Status::Down,
        }
    }
}

/// What a backup is worth now, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Judged {
    pub worth: Worth,
    /// What is wrong, the worst first; empty when nothing is.
    pub reasons: Vec<String>,
    /// The newest moment that can be restored to, and its age in seconds.
    pub point: Option<At>,
    pub age: Option<f64>,
}

impl Judged {
    pub fn words(&self) -> String {
        self.reasons.join("; ")
    }
}

/// Judges a backup: `threatened` is the region whose loss it has to survive.
pub fn judge(spec: &BackupSpec, known: Option<&BackupLive>, threatened: &RegionId, now: At) -> Judged {
    let mut found: Vec<(Worth, String)> = Vec::new();
    let seen = known.and_then(|known| known.at.map(|at| (known, at)));
    let Some((known, at)) = seen else {
        let why = known.and_then(|known| known.fault.clone()).unwrap_or_else(|| "not looked at yet".into());
        return Judged { worth: Worth::Unknown, reasons: vec![why], point: None, age: None };
    };
    let look = &known.look;
    let point = look.restorable();
    let point = point.filter(|_| !look.is_all_hollow());
    let age = point.map(|point| seconds_between(point, now).max(0.0));
    let limit = spec.every.as_secs_f64() * f64::from(LOOKS) + known.fault.as_ref().map_or(LATE, |_| 0.0);
    if seconds_between(at, now) > limit {
        let why = known.fault.as_deref().unwrap_or("nobody has looked since");
        found.push((Worth::Unknown, format!("last seen {} ago: {why}", rough(seconds_between(at, now)))));
    }
    if let Some(ahead) = point.filter(|point| is_ahead(*point, now)) {
        let by = rough(seconds_between(now, ahead));
        let what =
            format!("the newest copy is dated {by} ahead of now, so how old it is, is not known: look at its clock");
        found.push((Worth::Unknown, what));
    }
    if spec.max_age.is_none() && look.guards.is_empty() {
        found.push((Worth::Unknown, "the look told nothing of what protects the data".into()));
    }
    found.extend(freshness(spec, age, look.drift));
    found.extend(newest(look));
    found.extend(place(spec, look, threatened));
    found.extend(kept(spec, look, now));
    found.extend(size(look));
    found.extend(look.guards.iter().filter_map(|guard| match guard.verdict {
        GuardVerdict::Pass => None,
        GuardVerdict::Warn => Some((Worth::Weak, guard.detail.clone())),
        GuardVerdict::Block => Some((Worth::Missing, guard.detail.clone())),
    }));
    found.sort_by_key(|(worth, _)| std::cmp::Reverse(*worth));
    let worth = found.first().map_or(Worth::Fresh, |(worth, _)| *worth);
    Judged { worth, reasons: found.into_iter().map(|(_, why)| why).collect(), point, age }
}

/// What has no `max_age` has no copies of its own: its guards speak for it.
fn freshness(spec: &BackupSpec, age: Option<f64>, drift: Drift) -> Option<(Worth, String)> {
    let allowed = spec.max_age?;
    let Some(age) = age else { return Some((Worth::Missing, "there is no good copy".into())) };
    let stale = |age: f64| age > allowed.as_secs_f64();
    // Where the host's clock jumped, the copies' clock agrees with the time before it or with the time after it.
    let other = age + drift.0;
    if stale(age) != stale(other) && !is_in_the_future(other) {
        let ages = format!("{} or {}", rough(age.min(other)), rough(age.max(other)));
        let by = length(drift.0);
        let what = format!(
            "the host's clock is {by} off the engine's time, so the newest good copy is {ages} old; {allowed} is allowed: set \
             the clock right"
        );
        return Some((Worth::Unknown, what));
    }
    stale(age).then(|| (Worth::Stale, format!("the newest good copy is {} old; {allowed} is allowed", rough(age))))
}

fn is_in_the_future(age: f64) -> bool {
    age < -STEP
}

/// A newer attempt that came to nothing.
fn newest(look: &BackupLook) -> Option<(Worth, String)> {
    let copy = look.copies.iter().find(|copy| copy.state != CopyState::Running)?;
    if copy.state == CopyState::Good && copy.is_hollow() {
        let size = bytes(copy.size.unwrap_or_default() as f64);
        return Some((Worth::Weak, format!("the newest copy has {size}, too little to hold anything: {}", copy.name)));
    }
    (copy.state != CopyState::Good)
        .then(|| (Worth::Weak, format!("the newest attempt is {}: {}", copy.state, copy.name)))
}

fn place(spec: &BackupSpec, look: &BackupLook, threatened: &RegionId) -> Option<(Worth, String)> {
    spec.max_age?;
    let regions = look.places(spec);
    if regions.is_empty() {
        return Some((Worth::Weak, "where its copies are is not known".into()));
    }
    let only_here = regions.iter().all(|region| *region == threatened);
    only_here.then(|| match look.partial {
        true => (
            Worth::Unknown,
            format!("all copies that were seen are in {threatened}; whether there are others elsewhere could not be looked at"),
        ),
        false => (Worth::Weak, format!("all copies are in {threatened}; if that region fails they are lost")),
    })
}

fn kept(spec: &BackupSpec, look: &BackupLook, now: At) -> Option<(Worth, String)> {
    let (wanted, allowed) = (spec.retention?, spec.max_age.unwrap_or(Span::secs(0)));
    if let Some(keeps) = look.keeps {
        return (keeps < wanted).then(|| (Worth::Weak, format!("copies are kept {keeps}; {wanted} is wanted")));
    }
    let Some(oldest) = look.goes_back_to() else {
        // Where there is nothing to restore to at all, that is said already.
        let what = format!("how far back it can be restored is not known; {wanted} is wanted");
        return look.restorable().map(|_| (Worth::Weak, what));
    };
    let back = seconds_between(oldest, now);
    // The oldest copy may be due to go: it reaches back as far as is wanted, but for one interval.
    let short = back + allowed.as_secs_f64() < wanted.as_secs_f64();
    short.then(|| (Worth::Weak, format!("copies go back {} only; {wanted} is wanted", rough(back))))
}

/// The newest good copy against the median of its like.
fn size(look: &BackupLook) -> Option<(Worth, String)> {
    let mut good = look.copies.iter().filter(|copy| copy.state == CopyState::Good).filter_map(|copy| copy.size);
    let newest = good.next()? as f64;
    let mut others: Vec<u64> = good.collect();
    others.sort_unstable();
    let usual = *others.get(others.len() / 2).filter(|_| others.len() >= LIKE)? as f64;
    let odd = newest < usual * USUAL || newest * USUAL > usual;
    odd.then(|| (Worth::Weak, format!("the newest copy has {} instead of the usual {}", bytes(newest), bytes(usual))))
}

/// A length of time for people: its two largest units.
pub fn rough(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    let unit = match seconds {
        0..60 => 1,
        60..86_400 => 60,
        _ => 3600,
    };
    Span::secs(seconds / unit * unit).to_string()
}

/// `1.2 GB`
pub fn bytes(count: f64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut scaled = count;
    for unit in UNITS {
        if scaled < 1000.0 || unit == UNITS[4] {
            return if unit == "B" { format!("{scaled:.0} B") } else { format!("{scaled:.1} {unit}") };
        }
        scaled /= 1000.0;
    }
    unreachable!("the last unit returns")
}

/// The copies of a chain that are worth something: the newest full one, and the increments after it up to the first gap that is
/// longer than `gap`. Whatever follows a gap has lost its footing.
pub fn chain(full: Option<At>, increments: &[At], gap: Span) -> (Option<At>, Option<At>) {
    let Some(base) = full else { return (None, None) };
    let mut sorted: Vec<At> = increments.iter().copied().filter(|at| *at > base).collect();
    sorted.sort();
    let mut end = base;
    for at in sorted {
        if seconds_between(end, at) > gap.as_secs_f64() {
            return (Some(end), Some(at));
        }
        end = at;
    }
    (Some(end), None)
}

/// A copy of a name and a moment, its name cleaned.
pub fn copy(at: At, state: CopyState, name: &str, size: Option<u64>) -> BackupCopy {
    BackupCopy { at, state, size, name: clean(name) }
}

#[cfg(test)]
mod tests;
