//! What is unprotected: per datastore, what would no longer hold if the region that serves were lost now.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::fact::backup::Worth;
use crate::domain::fact::health::Status;
use crate::domain::fact::live::SurveyLive;
use crate::domain::fact::recovery::{Member, Role, Survey};
use crate::domain::ids::{RegionId, SystemId};
use crate::domain::rule::rollup::{Readings, roll_up, said};
use crate::domain::rule::state::State;
use crate::domain::spec::estate::{Estate, SystemSpec};
use crate::domain::spec::probe::Subject;
use crate::domain::time::{At, seconds_between};
use crate::domain::words::words;

words! {
    /// A way in which data, or the way back to it, is unprotected.
    Gap {
        /// It could not be looked at: unknown is not protected.
        Unknown = "unknown",
        /// More than one member takes writes: each has a history of its own.
        SplitHistory = "split-history",
        /// The region that was left is there again, and nothing stopped its writers.
        NotFenced = "not-fenced",
        /// No healthy copy outside the region that serves.
        NoCopy = "no-copy",
        /// A copy is there, and further behind than the RPO allows.
        Behind = "behind",
        /// A backup is not of what is written to now, too old, or missing.
        Backup = "backup",
    }
}

impl Gap {
    /// Whether nothing may be moved while it is so. A backup comes by itself once it is switched on, and nothing waits for it.
    pub fn blocks(self) -> bool {
        self != Self::Backup
    }
}

/// One thing that is unprotected, in words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Unprotected {
    /// The datastore; `None` for the region as a whole.
    pub store: Option<SystemId>,
    pub gap: Gap,
    pub detail: String,
}

/// All that is unprotected now, the worst first. Empty means: the loss of the serving region would lose no more than the RPO allows.
pub fn unprotected(
    estate: &Estate,
    state: &State,
    surveys: &BTreeMap<SystemId, SurveyLive>,
    readings: &Readings,
    now: At,
) -> Vec<Unprotected> {
    let serving = state.serving(estate);
    let mut found: Vec<Unprotected> = Vec::new();
    for store in estate.stores_at(&serving) {
        let say = |(gap, detail)| Unprotected { store: Some(store.id.clone()), gap, detail };
        found.extend(of_store(estate, store, surveys.get(&store.id), &serving, now).into_iter().map(say));
    }
    for spec in &estate.backups {
        let detail = match state.backups.get(&spec.id) {
            Some(known) if known.worth == Worth::Fresh => continue,
            Some(known) => format!("{}: {} ({})", spec.title, known.worth, known.detail),
            None => format!("{}: not looked at yet", spec.title),
        };
        found.push(Unprotected { store: Some(spec.subject.clone()), gap: Gap::Backup, detail });
    }
    found.extend(not_fenced(estate, state, readings, now));
    found.sort_by_key(|it| it.gap);
    found
}

fn of_store(
    estate: &Estate,
    store: &SystemSpec,
    taken: Option<&SurveyLive>,
    serving: &RegionId,
    now: At,
) -> Vec<(Gap, String)> {
    let survey = match taken.map(|taken| taken.current(estate.policy.survey_every, now)) {
        None => return vec![(Gap::Unknown, "was not looked at yet".into())],
        Some(Err(why)) => return vec![(Gap::Unknown, why)],
        Some(Ok(survey)) => survey,
    };
    if let Some(split) = split(survey) {
        return vec![(Gap::SplitHistory, split)];
    }
    let outside = |member: &&Member| member.region.as_ref().is_some_and(|region| region != serving);
    let holds =
        |member: &&Member| member.status == Status::Healthy && matches!(member.role, Role::Replica | Role::Writer);
    if !survey.members.iter().filter(outside).any(|member| holds(&member)) {
        let there: Vec<&str> = survey.members.iter().filter(outside).map(|member| member.name.as_str()).collect();
        let there = if there.is_empty() { "none is known".into() } else { format!("see {}", there.join(", ")) };
        return vec![(Gap::NoCopy, format!("no healthy copy outside {serving}: {there}"))];
    }
    let target = store.class.and_then(|class| estate.rpo(class));
    match (&survey.standby_point, target) {
        (Some(point), Some(target)) if seconds_between(point.at, now) > target.as_secs_f64() => {
            let behind = seconds_between(point.at, now);
            vec![(Gap::Behind, format!("the copy outside {serving} is {behind:.0} s behind; the RPO allows {target}"))]
        }
        (None, Some(_)) => {
            vec![(Gap::Unknown, format!("how far the copy outside {serving} is behind is not known"))]
        }
        _ => Vec::new(),
    }
}

/// Members that take writes beside each other, in words.
fn split(survey: &Survey) -> Option<String> {
    let writes =
        |member: &&Member| member.role == Role::Writer && matches!(member.status, Status::Healthy | Status::Degraded);
    let writers: Vec<String> = survey.members.iter().filter(writes).map(Member::placed).collect();
    (writers.len() > 1).then(|| format!("{} each take writes: their histories differ", writers.join(" and ")))
}

/// A region that was silent when it was left may have come back, with everything that writes still running.
fn not_fenced(estate: &Estate, state: &State, readings: &Readings, now: At) -> Option<Unprotected> {
    let moved = state.moved.as_ref().filter(|moved| !moved.fenced)?;
    let there = estate.probes.iter().filter(|probe| probe.region.as_ref() == Some(&moved.from));
    let said: Vec<Status> = there.map(|probe| said(probe, readings, now).status).collect();
    let (region, writes) = (&moved.from, "what writes there was never stopped");
    let (gap, detail) = if said.iter().any(|status| matches!(status, Status::Healthy | Status::Degraded)) {
        (Gap::NotFenced, format!("{region} answers again, and {writes}"))
    } else if said.is_empty() || said.contains(&Status::Unknown) {
        (Gap::Unknown, format!("whether {region} answers again is not known, and {writes}"))
    } else {
        return None;
    };
    Some(Unprotected { store: None, gap, detail })
}

/// Whether clients can be brought back to `home`: nothing that blocks is unprotected, and the region has been well for `settle`.
///
/// # Errors
/// Why not, in words.
pub fn home_is_sound(
    estate: &Estate,
    state: &State,
    surveys: &BTreeMap<SystemId, SurveyLive>,
    readings: &Readings,
    home: &RegionId,
    now: At,
) -> Result<(), String> {
    let blocking = unprotected(estate, state, surveys, readings, now).into_iter().filter(|it| it.gap.blocks());
    let words = |it: Unprotected| match it.store {
        Some(store) => format!("{store} ({}): {}", it.gap, it.detail),
        None => it.detail,
    };
    let blocking: Vec<String> = blocking.map(words).collect();
    if !blocking.is_empty() {
        return Err(blocking.join("; "));
    }
    let seen = roll_up(estate, readings, &Subject::Region(home.clone()), Some(home), now);
    let Some(worst) = seen.worst() else {
        return Err(format!("nothing probes {home} as a region: whether it is well is unknown"));
    };
    match (worst.status, seen.since()) {
        (Status::Healthy, Some(since)) => {
            let (well, settle) = (seconds_between(since, now), estate.policy.settle);
            let short = well < settle.as_secs_f64();
            if short { Err(format!("{home} has been well for {well:.0} s of {settle}")) } else { Ok(()) }
        }
        (status, _) => Err(format!("{home} is {status}: {}", worst.detail)),
    }
}
