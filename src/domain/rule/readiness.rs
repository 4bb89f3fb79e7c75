//! Readiness: would a plan work right now? Everything is looked at, nothing is changed. What could not be looked at is unknown, and
//! unknown is not ready.

use std::collections::BTreeMap;

use super::view::{Snapshot, StepPreview};
use crate::domain::fact::backup::Worth;
use crate::domain::fact::guard::{Guard, GuardVerdict};
use crate::domain::fact::readiness::{Assessment, CONTROL_PLANE_GUARD, Fact, Finding, Finds};
use crate::domain::fact::recovery::Loss;
use crate::domain::fact::system::{Checked, Fitness, Observed, OldWriter, PromotionFacts};
use crate::domain::fault::Fault;
use crate::domain::ids::{ChannelId, RegionId};
use crate::domain::rule::comms::escalations;
use crate::domain::spec::comms::{IN_PART, Purpose};
use crate::domain::spec::estate::Estate;
use crate::domain::spec::kinds::StepRole;
use crate::domain::spec::plan::{Plan, StepSpec};
use crate::domain::time::{At, Span};

/// Facts that differ between regions, or that only one side has.
pub fn parity(facts: &[Fact], regions: &[RegionId]) -> Vec<Finding> {
    let mut by_name: BTreeMap<(&str, &str), BTreeMap<&RegionId, &str>> = BTreeMap::new();
    for fact in facts {
        by_name.entry((&fact.subject, &fact.name)).or_default().insert(&fact.region, &fact.value);
    }
    let finding = |finds, detail| Finding { step: None, name: "parity".into(), finds, detail };
    let seen: Vec<&RegionId> = regions.iter().filter(|it| facts.iter().any(|fact| fact.region == **it)).collect();
    if let ([alone], true) = (&seen[..], regions.len() > 1) {
        let detail = format!("only {alone} says what it runs: whether the other region is alike is not known");
        return vec![finding(Finds::Warn, detail)];
    }
    // What has no two sides has none that could differ.
    if seen.len() < 2 {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for ((subject, name), values) in &by_name {
        let missing = seen.iter().find(|region| !values.contains_key(**region));
        let mut said = values.values();
        let first = said.next();
        if let Some(region) = missing {
            findings.push(finding(Finds::Warn, format!("{subject} has no {name} in {region}")));
        } else if said.any(|value| Some(value) != first) {
            let all: Vec<String> = values.iter().map(|(region, value)| format!("{value} in {region}")).collect();
            findings.push(finding(Finds::Warn, format!("{name} of {subject} differs: {}", all.join(", "))));
        }
    }
    if findings.is_empty() {
        findings.push(finding(Finds::Pass, format!("{} facts are the same in both regions", by_name.len())));
    }
    findings
}

/// What the engine learnt from the systems for a plan.
pub struct Evidence<'e> {
    pub steps: Vec<(&'e StepPreview, &'e Result<Fitness, Fault>)>,
    /// For each pair of sides that ought to be alike: what was seen, or why nothing could be.
    pub parity: Vec<Result<Vec<Fact>, Fault>>,
    /// For each way to reach people: what it said when it was asked, or why nobody would be reached by it.
    pub reach: Vec<(ChannelId, Result<String, Fault>)>,
    /// Plans are about leaving this region.
    pub threatened: RegionId,
}

/// Holds a plan against what was learnt.
pub fn assess(view: &Snapshot, plan: &Plan, evidence: &Evidence<'_>) -> Assessment {
    let mut findings = Vec::new();
    for (preview, fitness) in &evidence.steps {
        let Some(spec) = plan.step(&preview.step) else { continue };
        findings.extend(of_step(view, plan, spec, preview, fitness));
    }
    for facts in &evidence.parity {
        match facts {
            Ok(facts) => {
                let sides = sides(&view.estate, plan);
                let facts: Vec<Fact> = facts.iter().filter(|fact| sides.contains(&fact.region)).cloned().collect();
                findings.extend(parity(&facts, &sides));
            }
            Err(fault) => findings.push(Finding {
                step: None,
                name: "parity".into(),
                finds: Finds::Unknown,
                detail: fault.to_string(),
            }),
        }
    }
    findings.extend(backups(view, plan));
    findings.extend(own_needs(view, plan, &evidence.threatened));
    findings.extend(evidence.reach.iter().map(channel));
    Assessment { plan: plan.id.clone(), at: view.now, findings }
}

/// The regions that ought to be alike for a plan: the one that is left, and the one that it leads to.
fn sides(estate: &Estate, plan: &Plan) -> Vec<RegionId> {
    match &plan.target {
        Some(target) => vec![estate.primary(), target.clone()],
        None => estate.regions.iter().map(|region| region.id.clone()).collect(),
    }
}

/// Whether an earlier step of the plan sees to what a guard found.
fn is_seen_to(plan: &Plan, spec: &StepSpec, guard: &Guard) -> bool {
    let Some(kind) = &guard.settled_by else { return false };
    let before = plan.ancestors(&spec.id);
    plan.steps.iter().any(|step| step.kind == *kind && step.system == spec.system && before.contains(&step.id))
}

fn of_step(
    view: &Snapshot,
    plan: &Plan,
    spec: &StepSpec,
    seen: &StepPreview,
    fitness: &Result<Fitness, Fault>,
) -> Vec<Finding> {
    let made = |name: &str, finds, detail: String| Finding {
        step: Some(spec.id.clone()),
        name: name.to_owned(),
        finds,
        detail,
    };
    let mut findings: Vec<Finding> =
        target(spec, seen, fitness).into_iter().map(|(finds, detail)| made("target", finds, detail)).collect();
    // A fault that was told already need not be told three times, and what is done needs nothing any more.
    if !matches!(seen.observed, Ok(Observed::Done { .. }) | Err(_)) {
        findings.extend(seen.preview.as_ref().err().map(|fault| made("preview", Finds::Unknown, fault.to_string())));
        match &seen.checked {
            Ok(Checked { guards, promotion }) => {
                let lasting = guards.iter().filter(|it| !it.situational && !is_seen_to(plan, spec, it));
                findings.extend(lasting.map(|it| made(&it.name, finds(it), it.detail.clone())));
                if spec.role == StepRole::Promotes {
                    findings.extend(
                        promotion_ready(view, spec, promotion.as_ref())
                            .map(|(name, finds, detail)| made(name, finds, detail)),
                    );
                }
            }
            Err(fault) => findings.push(made("guards", Finds::Unknown, fault.to_string())),
        }
    }
    match fitness {
        Ok(Fitness { guards }) => {
            findings.extend(guards.iter().map(|it| made(&it.name, it.verdict.into(), it.detail.clone())));
        }
        Err(fault) => findings.push(made("access", Finds::Unknown, fault.to_string())),
    }
    findings
}

/// What a guard means in peace.
fn finds(guard: &Guard) -> Finds {
    match (guard.name.as_str(), guard.verdict) {
        (CONTROL_PLANE_GUARD, GuardVerdict::Warn) => Finds::Fail,
        (_, verdict) => verdict.into(),
    }
}

/// What reality says of what a step is about. A step that only looks says nothing by not having looked yet: whether it could is for its
/// guards to tell, and where it has none, nobody knows.
fn target(spec: &StepSpec, seen: &StepPreview, fitness: &Result<Fitness, Fault>) -> Option<(Finds, String)> {
    let lasting = |all: &[Guard]| all.iter().any(|it| !it.situational);
    let speaks = || match (fitness, &seen.checked) {
        (Err(_), _) => true,
        (Ok(fitness), checked) => {
            !fitness.guards.is_empty() || checked.as_ref().is_ok_and(|checked| lasting(&checked.guards))
        }
    };
    Some(match (&seen.observed, fitness) {
        (Ok(Observed::Impossible { why }), _) => (Finds::Fail, why.clone()),
        (Ok(Observed::Unknowable { why }), _) if spec.role.mutates() => (Finds::Warn, why.clone()),
        // What only looks has told that it saw nothing.
        (Ok(Observed::Unknowable { why }), _) => (Finds::Unknown, why.clone()),
        (Ok(Observed::NotDone { .. } | Observed::InProgress { .. }), _) if !spec.role.acts() && speaks() => {
            return None;
        }
        (Ok(Observed::NotDone { detail } | Observed::InProgress { detail }), _) if !spec.role.acts() => {
            (Finds::Unknown, format!("{detail}: whether it could be looked at is not known"))
        }
        // A region whose writers nobody could reach passes for fenced, or no failover would go on without it.
        (Ok(Observed::Done { detail }), Err(_)) if spec.role == StepRole::Fences => (Finds::Unknown, detail.clone()),
        (Ok(seen), _) => (Finds::Pass, seen.words().to_owned()),
        (Err(fault), _) => (Finds::Unknown, fault.to_string()),
    })
}

/// In peacetime the old writer lives, and has to: only what would stand against a promotion in earnest counts.
fn promotion_ready(
    view: &Snapshot,
    spec: &StepSpec,
    facts: Option<&PromotionFacts>,
) -> impl Iterator<Item = (&'static str, Finds, String)> {
    let Some(facts) = facts else {
        return vec![("loss", Finds::Unknown, "nothing is known of the copy to be promoted".into())].into_iter();
    };
    let mut found = Vec::new();
    if let Some(quorum) = facts.quorum {
        let (finds, word) =
            if quorum { (Finds::Pass, "there is a quorum") } else { (Finds::Fail, "there is no quorum") };
        found.push(("quorum", finds, word.to_owned()));
    }
    if facts.old_writer == OldWriter::Unknown {
        let detail = "whether the old writer lives cannot be told from here: in earnest that refuses the promotion, \
                      unless the writers were stopped before";
        found.push(("old-writer", Finds::Unknown, detail.to_owned()));
    }
    if !facts.lossless {
        let target = spec.class.and_then(|class| view.estate.rpo(class));
        found.push(match (Loss::of(facts.believed_point(view.now), view.now).seconds(), target) {
            (None, _) => ("loss", Finds::Unknown, "how much would be lost is unknown".into()),
            (Some(lost), Some(target)) if lost > target.as_secs_f64() => {
                ("loss", Finds::Fail, format!("{} would be lost; {target} is allowed", span(lost)))
            }
            (Some(lost), Some(_)) => ("loss", Finds::Pass, format!("{} would be lost", span(lost))),
            (Some(lost), None) => ("loss", Finds::Warn, format!("{} would be lost; no RPO is set", span(lost))),
        });
    }
    found.into_iter()
}

/// A way to reach people: without it they learn later, and nothing is recovered any later.
fn channel((channel, reached): &(ChannelId, Result<String, Fault>)) -> Finding {
    let (finds, detail) = match reached {
        Ok(words) => (Finds::Pass, format!("{channel}: {words}")),
        Err(fault) if fault.means.starts_with(IN_PART) => (Finds::Warn, format!("{channel}: {fault}")),
        Err(fault) => (Finds::Warn, format!("nobody would be reached by {channel}: {fault}")),
    };
    Finding { step: None, name: "channel".into(), finds, detail }
}

fn span(seconds: f64) -> Span {
    Span::millis((seconds.max(0.0) * 10.0) as u64 * 100)
}

/// The backups of what the plan touches: what is left when a promotion fails, or carries corruption over.
fn backups(view: &Snapshot, plan: &Plan) -> Vec<Finding> {
    let touched = |system| plan.steps.iter().any(|step| step.system == system && step.role.mutates());
    let judged = view.backups(view.now).into_iter().filter(|(spec, _)| touched(spec.subject.clone()));
    judged
        .map(|(spec, judged)| Finding {
            step: None,
            name: "backup".into(),
            finds: match judged.worth {
                Worth::Fresh => Finds::Pass,
                Worth::Weak | Worth::Stale => Finds::Warn,
                Worth::Unknown => Finds::Unknown,
                Worth::Missing => Finds::Fail,
            },
            detail: match judged.reasons.is_empty() {
                true => format!("{} is fresh", spec.title),
                false => format!("{}: {}", spec.title, judged.words()),
            },
        })
        .collect()
}

/// What Mayday and its people need themselves.
fn own_needs(view: &Snapshot, plan: &Plan, threatened: &RegionId) -> Vec<Finding> {
    let made = |name: &str, finds, detail| Finding { step: None, name: name.to_owned(), finds, detail };
    let mut findings = Vec::new();
    if plan.flees() {
        let here = view.estate.dependencies.iter().filter(|it| it.region == *threatened);
        findings.extend(here.map(|it| match &it.instead {
            Some(instead) => {
                made("dependency", Finds::Pass, format!("{} sits in {threatened}; instead: {instead}", it.name))
            }
            None => {
                let detail =
                    format!("{} sits in {threatened}, which this plan flees, and nothing replaces it", it.name);
                made("dependency", Finds::Warn, detail)
            }
        }));
    }
    findings.push(match &view.live.journal_fault {
        Some(fault) => made("journal", Finds::Fail, fault.clone()),
        None => made("journal", Finds::Pass, "takes events".into()),
    });
    let pages = view.estate.channels.iter().any(|spec| spec.carries.contains(&Purpose::Page) && !spec.escalation);
    if pages && escalations(&view.estate, false).next().is_none() {
        let detail = "when nobody acknowledges the page, nobody else is woken: set escalation = true on a [[channel]]";
        findings.push(made("escalation", Finds::Warn, detail.to_owned()));
    }
    if let Some(pagerduty) = &view.estate.contacts.pagerduty {
        let (finds, detail) = match view.live.on_call.now(pagerduty, view.now) {
            Ok(Some(first)) => (Finds::Pass, format!("{} is on call", first.name)),
            Ok(None) => (Finds::Warn, "nobody is on call".into()),
            Err(why) => (Finds::Warn, format!("who is on call is not known: {why}")),
        };
        findings.push(made("on-call", finds, detail));
    }
    findings
}

impl Estate {
    /// Whether an assessment taken at `at` is too old to be believed.
    pub fn assessment_is_old(&self, at: At, now: At) -> bool {
        crate::domain::time::seconds_between(at, now) > self.policy.readiness_every.as_secs_f64() * 2.0
    }
}

#[cfg(test)]
mod tests;
