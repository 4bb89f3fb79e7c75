//! What Mayday sees of the items of the checklist, as far as it follows from what is known: the roll-up of services, recovery points,
//! latencies against better times, and whether anybody is watching. Unknown is never a pass.

use super::rollup::said;
use super::verdict;
use super::view::Snapshot;
use crate::domain::fact::findings::{Baseline, Evidence, Finding, Tallied, Tally};
use crate::domain::fact::health::Status;
use crate::domain::fact::incident::Incident;
use crate::domain::fact::live::ProbeLive;
use crate::domain::fact::recovery::{Loss, Role};
use crate::domain::fact::run::Run;
use crate::domain::ids::RegionId;
use crate::domain::spec::checklist::Sight;
use crate::domain::spec::estate::SystemSpec;
use crate::domain::spec::kinds::StepRole;
use crate::domain::spec::probe::{ProbeSpec, Subject};
use crate::domain::time::{At, Span, seconds_between};

/// So many of the latest looks make "now": one slow answer is no slowness.
const LATEST: usize = 5;

/// What is added to a latency below this many milliseconds is not felt (Nielsen's limit for what seems instantaneous).
const UNFELT: u32 = 100;

/// A latency above so many times what it was is not normal.
const NORMAL: u32 = 2;

/// What is seen of one thing, where that follows from what is known already; `None` where somebody has to be asked.
pub fn look(sight: Sight, view: &Snapshot, now: At) -> Option<Finding> {
    let (evidence, detail) = match sight {
        Sight::Services => services(view, now),
        Sight::RecoveryPoints => recovery_points(view, now),
        Sight::Latency => latency(view, now),
        Sight::Watching => watching(view, now),
        Sight::Tallies | Sight::ClientPath | Sight::Pinned => return None,
    };
    Some(Finding::new(sight.word(), evidence, detail))
}

type Seen = (Evidence, String);

/// The latest reading of a probe, unless it is too old to say anything.
fn fresh<'v>(view: &'v Snapshot, probe: &'v ProbeSpec, now: At) -> Option<&'v ProbeLive> {
    said(probe, &view.live.probes, now).live
}

fn in_region<'v>(view: &'v Snapshot, region: &'v RegionId) -> impl Iterator<Item = &'v ProbeSpec> {
    view.estate.probes.iter().filter(move |probe| probe.region.as_ref() == Some(region))
}

fn is_of_service(probe: &&ProbeSpec) -> bool {
    matches!(probe.subject, Subject::Service(_))
}

fn services(view: &Snapshot, now: At) -> Seen {
    let region = view.state.serving(&view.estate);
    let (mut ill, mut blind, mut since) = (Vec::new(), Vec::new(), None::<At>);
    for service in &view.estate.services {
        let seen = view.service(service, &region, now);
        since = since.max(seen.since());
        match seen.status() {
            _ if !seen.is_probed() => blind.push(format!("{} is not probed", service.id)),
            Status::Healthy => {}
            Status::Unknown => blind.push(format!("{} is unknown", service.id)),
            status => ill.push(format!("{} is {status}", service.id)),
        }
    }
    if !ill.is_empty() {
        return (Evidence::Fail, format!("in {region}, {}", ill.join(", ")));
    }
    let (Some(since), true) = (since, blind.is_empty()) else {
        let what = if blind.is_empty() { "no service is probed".into() } else { blind.join(", ") };
        return (Evidence::Unknown, format!("in {region}, {what}"));
    };
    let (healthy_for, settle) = (seconds_between(since, now), view.estate.policy.settle);
    if healthy_for < settle.as_secs_f64() {
        return (Evidence::Unknown, format!("all healthy in {region}, but not for {settle} yet"));
    }
    (Evidence::Pass, format!("all {} services in {region} are healthy", view.estate.services.len()))
}

/// The run of the open incident that changed something, or tried to.
fn acting<'v>(view: &'v Snapshot, incident: &Incident) -> Option<&'v Run> {
    view.state.run.as_ref().filter(|run| run.mode.acts() && run.incident.as_ref() == Some(&incident.id))
}

fn recovery_points(view: &Snapshot, now: At) -> Seen {
    let Some(incident) = &view.state.incident else { return (Evidence::Unknown, "no incident is open".into()) };
    if let Some((store, writers)) = view.split() {
        return (Evidence::Fail, format!("{store} has {} writers: {}", writers.len(), writers.join(", ")));
    }
    let run = acting(view, incident);
    let elsewhere = view.state.serving(&view.estate) != incident.region;
    if !run.is_some_and(promoted) && !elsewhere && incident.measured.is_empty() {
        return where_they_were(view, incident, now);
    }
    let (mut told, mut worst) = (Vec::new(), Evidence::Pass);
    let verdicts = verdict::rpo(&view.estate, incident, run).into_iter();
    for verdict in verdicts.filter(|it| incident.touched.contains(&it.class)) {
        let (class, target) = (verdict.class, Span(std::time::Duration::from_secs_f64(verdict.target)));
        let (evidence, words) = match (verdict.loss, verdict.met) {
            (Loss::Measured { seconds }, Some(true)) => (Evidence::Pass, format!("{class} lost {seconds:.1} s")),
            (Loss::Measured { seconds }, _) => {
                (Evidence::Fail, format!("{class} lost {seconds:.0} s, and its RPO allows {target}"))
            }
            (Loss::Estimated { seconds }, _) => {
                (Evidence::Unknown, format!("{class}: about {seconds:.0} s lost, estimated and not measured"))
            }
            (Loss::Unknown, _) => (Evidence::Unknown, format!("{class}: how much was lost is unknown")),
        };
        worst = worst.max(evidence);
        told.push((evidence, words));
    }
    if told.is_empty() {
        return (Evidence::Unknown, "no RPO is set for what was promoted".into());
    }
    told.extend(apart(view, incident));
    let worst = told.iter().map(|(evidence, _)| *evidence).max().unwrap_or(worst);
    let words: Vec<String> = told.into_iter().filter(|(it, _)| *it == worst).map(|(_, words)| words).collect();
    (worst, words.join(", "))
}

fn promoted(run: &Run) -> bool {
    run.in_order().any(|(spec, step)| spec.role == StepRole::Promotes && step.phase.is_in_effect())
}

/// Nothing was promoted by a run: then every store has to be seen to be the copy that it was.
fn where_they_were(view: &Snapshot, incident: &Incident, now: At) -> Seen {
    let stands = |store: &SystemSpec| writer_stays(view, store, incident, now);
    let astray: Vec<String> = view.estate.datastores().filter_map(|store| stands(store).err()).collect();
    match astray.is_empty() {
        true => (
            Evidence::Pass,
            format!("nothing was promoted: the stores of {} are the copies they were", incident.region),
        ),
        false => (Evidence::Unknown, some(&astray)),
    }
}

/// Whether the writer of a store is seen in the region that served. One that passes for a writer, only because nobody sees it, is none.
fn writer_stays(view: &Snapshot, store: &SystemSpec, incident: &Incident, now: At) -> Result<(), String> {
    let unknown = |why: String| format!("who writes to {} is not known: {why}", store.id);
    let taken = view.live.surveys.get(&store.id).ok_or_else(|| unknown("it was not looked at yet".into()))?;
    let survey = taken.current(view.estate.policy.survey_every, now).map_err(unknown)?;
    let mut writers = survey.members.iter().filter(|member| member.role == Role::Writer);
    let elsewhere = writers.clone().find_map(|it| it.region.as_ref().filter(|region| **region != incident.region));
    if let Some(region) = elsewhere {
        let what = format!("{} is written to in {region}", store.id);
        return Err(format!("{what}, and how far that copy had come was not measured"));
    }
    match writers.any(|writer| writer.status < Status::Unknown && writer.region.is_some()) {
        true => Ok(()),
        false => Err(unknown(format!("no writer is seen in {}", incident.region))),
    }
}

/// How far the measured copies lie apart: no further than the strictest RPO among them, or they contradict each other.
fn apart(view: &Snapshot, incident: &Incident) -> Option<Seen> {
    let mut points: Vec<At> = incident.measured.values().flatten().map(|point| point.at).collect();
    points.sort();
    let apart = seconds_between(*points.first()?, *points.last()?);
    let strictest = incident.measured.keys().filter_map(|class| view.estate.rpo(*class)).min()?;
    Some(match apart > strictest.as_secs_f64() {
        true => (Evidence::Fail, format!("the stores lie {apart:.0} s apart, and {strictest} is allowed")),
        false => (Evidence::Pass, format!("the stores agree within {apart:.1} s")),
    })
}

/// The median of the latest looks; `None` if too few of them got an answer.
fn recently(live: &ProbeLive) -> Option<u32> {
    let latest = live.history.iter().rev().take(LATEST).copied();
    let answered: Vec<u32> = latest.flatten().collect();
    (answered.len() > LATEST / 2).then(|| median(answered)).flatten()
}

/// The middle one.
pub fn median(mut values: Vec<u32>) -> Option<u32> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// How fast it was for clients: the probe of the region that served then, else its own.
fn normal(view: &Snapshot, incident: &Incident, baseline: &Baseline, probe: &ProbeSpec) -> Option<u32> {
    let same = |other: &&ProbeSpec| other.subject == probe.subject && other.kind == probe.kind;
    let then = in_region(view, &incident.region).find(same).and_then(|other| baseline.latencies.get(&other.id));
    then.or_else(|| baseline.latencies.get(&probe.id)).copied()
}

fn latency(view: &Snapshot, now: At) -> Seen {
    let Some(incident) = &view.state.incident else { return (Evidence::Unknown, "no incident is open".into()) };
    let (region, baseline) = (view.state.serving(&view.estate), &incident.checklist.baseline);
    let (mut slow, mut blind, mut judged, mut slowest) = (Vec::new(), Vec::new(), 0, None::<(u32, u32, String)>);
    for probe in in_region(view, &region).filter(is_of_service) {
        let Some(live) = fresh(view, probe, now) else {
            blind.push(format!("{} does not report", probe.id));
            continue;
        };
        let Some(then) = normal(view, incident, baseline, probe) else {
            // Some probes say nothing of how fast their target is.
            if live.reading.latency_ms.is_some() {
                blind.push(format!("how fast {} was is not known", probe.id));
            }
            continue;
        };
        let Some(current) = recently(live) else {
            blind.push(format!("{} got too few answers", probe.id));
            continue;
        };
        judged += 1;
        if current > then.saturating_mul(NORMAL).max(then + UNFELT) {
            slow.push(format!("{} takes {current} ms, and took {then} ms", probe.id));
        }
        if slowest.as_ref().is_none_or(|(known, ..)| current > *known) {
            slowest = Some((current, then, probe.id.to_string()));
        }
    }
    match (slow.is_empty(), blind.is_empty(), slowest) {
        (false, ..) => (Evidence::Fail, slow.join(", ")),
        (true, true, Some((current, then, probe))) => {
            (Evidence::Pass, format!("{judged} probes as before; the slowest is {probe}: {current} ms, was {then} ms"))
        }
        (true, true, None) => (Evidence::Unknown, format!("no probe of a service in {region} tells how fast it is")),
        (true, false, _) => (Evidence::Unknown, some(&blind)),
    }
}

/// The first few, and how many more.
fn some(all: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = all.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if all.len() > SHOWN { format!("{shown} and {} more", all.len() - SHOWN) } else { shown }
}

fn watching(view: &Snapshot, now: At) -> Seen {
    if let Some(fault) = &view.live.journal_fault {
        return (Evidence::Fail, format!("Mayday's own journal cannot be written: {fault}"));
    }
    if view.estate.probes.is_empty() {
        return (Evidence::Unknown, "no probe is configured: nothing is watched".into());
    }
    // What was not looked at since this engine started is not silent: it is not known.
    let silent = |it: &&ProbeSpec| view.live.probes.contains_key(&it.id) && fresh(view, it, now).is_none();
    let silent: Vec<String> = view.estate.probes.iter().filter(silent).map(|it| it.id.to_string()).collect();
    if !silent.is_empty() {
        return (Evidence::Fail, format!("these probes do not report any more: {}", some(&silent)));
    }
    if view.estate.probes.iter().any(|it| !view.live.probes.contains_key(&it.id)) {
        return (Evidence::Unknown, "not every probe has looked yet".into());
    }
    let region = view.state.serving(&view.estate);
    let blind: Vec<String> = in_region(view, &region)
        .filter(|it| said(it, &view.live.probes, now).status == Status::Unknown)
        .map(|it| it.id.to_string())
        .collect();
    if !blind.is_empty() {
        return (Evidence::Unknown, format!("what these probes look at in {region} is unknown: {}", some(&blind)));
    }
    let probes = format!("all {} probes report", view.estate.probes.len());
    let Some(pagerduty) = &view.estate.contacts.pagerduty else {
        return (
            Evidence::Unknown,
            format!("{probes}, but nobody can be asked whether alerts arrive: no PagerDuty is configured"),
        );
    };
    let rota = &view.live.on_call;
    match rota.now(pagerduty, now) {
        Ok(Some(person)) => (Evidence::Pass, format!("{probes}; PagerDuty answers, and {} is on call", person.name)),
        Ok(None) => (Evidence::Fail, format!("{probes}, but PagerDuty says that nobody is on call")),
        // Whoever should be paged cannot be: that is what this item is about.
        Err(why) if rota.fault.is_some() => (Evidence::Fail, format!("{probes}, but {why}")),
        Err(why) => (Evidence::Unknown, format!("{probes}, but {why}")),
    }
}

/// What is held now of what was written until the moment of the baseline, against what was held then.
pub fn compare(check: &str, then: &Tallied, now: &Tally) -> Finding {
    let (mut wrong, mut blind, mut rows) = (Vec::new(), Vec::new(), 0);
    for (store, before) in &then.tally {
        let Some(after) = now.get(store) else {
            blind.push(format!("{store} is not counted any more"));
            continue;
        };
        rows += after.count;
        if after.count < before.count {
            wrong.push(format!("{store} misses {} of {} that it held", before.count - after.count, before.count));
        } else if before.checksum.is_some() && after.checksum.is_none() {
            blind.push(format!("{store} has no checksum any more"));
        } else if before.checksum.is_some() && after.checksum != before.checksum {
            wrong
                .push(format!("{store} holds something else than it did ({} then, {} now)", before.count, after.count));
        }
    }
    if then.tally.is_empty() {
        blind.push("no store was counted then".into());
    }
    let until = then.until.strftime("%H:%M:%S UTC");
    let (evidence, words) = match (wrong.is_empty(), blind.is_empty()) {
        (false, _) => (Evidence::Fail, format!("of what was written until {until}, {}", wrong.join(", "))),
        (true, false) => (Evidence::Unknown, blind.join(", ")),
        (true, true) => (
            Evidence::Pass,
            format!("all {rows} that {} stores held at {until} are there, unchanged", then.tally.len()),
        ),
    };
    Finding::new(check, evidence, words)
}

#[cfg(test)]
mod tests;
