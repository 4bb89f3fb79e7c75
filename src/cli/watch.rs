//! `mayday watch`: everything that happens in plain lines, for a screen reader, a pipe or a log. No line is ever taken back.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::text;
use crate::domain::alert::{Heard, Ringing};
use crate::domain::describe::{self, Tone, describe};
use crate::domain::estate::Subject;
use crate::domain::event::Record;
use crate::domain::health::Status;
use crate::domain::outlook::outlook;
use crate::domain::rollup::said;
use crate::domain::run::Run;
use crate::domain::time::At;
use crate::domain::verdict::{self, RtoVerdict};
use crate::domain::view::Snapshot;

fn time(at: At) -> String {
    at.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}

/// How things stand, told once at the beginning and after every loss.
pub fn opening(view: &Snapshot, now: At) -> Vec<String> {
    let state = &view.state;
    let serving = state.serving(&view.estate);
    let mut lines = vec![format!("{} {}: {serving} serves", time(now), view.estate.name)];
    let ill = view.estate.probes.iter().filter_map(|probe| {
        let known = said(probe, &view.live.probes, now);
        if known.status == Status::Healthy {
            return None;
        }
        let subject = match &probe.subject {
            Subject::Service(id) => id.to_string(),
            Subject::Region(id) => format!("region {id}"),
            Subject::System(id) => id.to_string(),
        };
        Some(format!("{subject} {}: {}, {}", probe.id, describe::status(known.status).1, known.detail))
    });
    lines.extend(ill);
    let firing = |heard: &&Heard| heard.alert.is != Ringing::Resolved && !heard.is_old(&view.estate.alerts, now);
    let alerts = state.alerts.0.values().filter(firing);
    lines.extend(alerts.map(|it| format!("alert of {}, {}: {}", it.alert.source, it.alert.is, it.alert.words())));
    match &state.incident {
        Some(it) => lines.push(format!("incident {} {} {}: {}", it.id, it.severity, it.phase, it.title)),
        None => lines.push("no incident is open".into()),
    }
    if let Some(run) = state.run.as_ref().filter(|run| run.is_open()) {
        lines.push(progress(run));
    }
    if let Some(hold) = &state.hold {
        lines.push(format!("HOLD by {}: nothing new starts", hold.by));
    }
    lines
}

/// `run RUN of regional-failover (live): 4 of 15 steps over; waiting for somebody: promote-cache`
fn progress(run: &Run) -> String {
    let over = run.steps.values().filter(|step| step.phase.is_over()).count();
    let waiting: Vec<&str> =
        run.in_order().filter(|(_, step)| step.phase.waits_for_human()).map(|(spec, _)| spec.id.as_str()).collect();
    let waiting =
        if waiting.is_empty() { String::new() } else { format!("; waiting for somebody: {}", waiting.join(", ")) };
    format!("run {} of {} ({}): {over} of {} steps over{waiting}", run.id, run.plan.id, run.mode, run.steps.len())
}

/// One line for one record: when, how it is meant where that matters, what, and who.
pub fn line(record: &Record) -> String {
    let (tone, words) = describe(record);
    let meant = match tone {
        Tone::Bad => "trouble: ",
        Tone::Warn => "attention: ",
        _ => "",
    };
    format!("{} {meant}{words} ({})", time(record.at), record.actor)
}

/// The clocks of the open incident, and how far its run is; nothing in peace. What the cockpit says first is said first here, too.
pub fn clocks(view: &Snapshot, now: At) -> Option<String> {
    let incident = view.state.incident.as_ref()?;
    let run = view.state.run.as_ref().filter(|run| run.incident.as_ref() == Some(&incident.id));
    let mut parts: Vec<String> = verdict::rto(&view.estate, incident, now).iter().map(rto).collect();
    parts.extend(verdict::rpo(&view.estate, incident, run).iter().map(|it| {
        let over = if it.met == Some(false) { ", MISSED" } else { "" };
        format!("{} RPO {} of {}{over}", it.class, text::loss(it.loss), text::length(it.target))
    }));
    if let Some(run) = run.filter(|run| run.is_open()) {
        parts.push(progress(run));
        parts.extend(forecast(view, run, now));
    }
    Some(format!(
        "{} {}, {}, {}; clocks: {}",
        time(now),
        region(view, now),
        incident.severity,
        incident.phase,
        parts.join("; ")
    ))
}

/// When the run under way will have recovered the most urgent tier, as the pane of the plan says it: `critical in about 2:10`.
fn forecast(view: &Snapshot, run: &Run, now: At) -> Option<String> {
    let incident = view.state.incident.as_ref().filter(|_| run.mode.acts())?;
    let recovers = |tier| run.plan.steps.iter().any(|spec| spec.recovers.contains(&tier));
    let open = verdict::rto(&view.estate, incident, now).into_iter().filter(|it| !it.recovered && recovers(it.tier));
    let tier = open.min_by_key(|it| it.tier)?.tier;
    let left = outlook(run, view.state.history.get(&run.plan.id), |spec| spec.recovers.contains(&tier), now);
    Some(match left.projected() {
        Some(seconds) => format!("{tier} in about {}", text::clock(seconds)),
        None => format!("{tier}: time left unknown, {} steps have no past timing", left.untimed),
    })
}

/// `us-east-1 DOWN`, as the first row of the cockpit begins: which region serves, and how it is.
fn region(view: &Snapshot, now: At) -> String {
    let serving = view.state.serving(&view.estate);
    let (status, some) = view.whole(&serving, now);
    match (status, some) {
        (Status::Healthy, _) => format!("{serving} serves"),
        (_, Some((count, all))) => format!("{serving} {count} of {all} {}", describe::status(status).1),
        (_, None) => format!("{serving} {}", describe::status(status).1),
    }
}

fn rto(it: &RtoVerdict) -> String {
    let target = text::clock(it.target);
    let Some(elapsed) = it.elapsed else { return format!("{} RTO unknown of {target}", it.tier) };
    let spent = format!("{}{}", text::at_least(it.at_least), text::clock(elapsed));
    match (it.recovered, it.met) {
        (true, None) => format!("{} RTO {spent} of {target}, unknown: nobody saw it begin", it.tier),
        (true, met) => format!("{} RTO {spent} of {target}, {}", it.tier, text::met(met)),
        (false, Some(false)) => format!("{} RTO {spent} of {target}, OVER", it.tier),
        (false, _) => format!("{} RTO {spent} of {target}, {} left", it.tier, text::clock(it.target - elapsed)),
    }
}

pub fn lost(at: At, why: &str) -> String {
    format!("{} trouble: the engine is lost, looking for it again; what was said is old ({why})", time(at))
}

/// The same as a line of JSON each; `watch` says which.
pub fn opening_json(view: &Snapshot, now: At) -> Value {
    json!({
        "watch": "opening", "at": now, "estate": view.estate.name, "serving": view.state.serving(&view.estate),
        "incident": view.state.incident, "run": view.state.run.as_ref().map(|run| &run.id), "seq": view.state.seq,
        "hold": view.state.hold.is_some(),
    })
}

pub fn line_json(record: &Record) -> Value {
    json!({ "watch": "record", "at": record.at, "seq": record.seq, "actor": record.actor, "words": describe(record).1, "event": record.event })
}

pub fn clocks_json(view: &Snapshot, now: At) -> Option<Value> {
    let incident = view.state.incident.as_ref()?;
    let run = view.state.run.as_ref().filter(|run| run.incident.as_ref() == Some(&incident.id));
    let rto = verdict::rto(&view.estate, incident, now);
    Some(
        json!({ "watch": "clocks", "at": now, "incident": incident.id, "rto": rto, "rpo": verdict::rpo(&view.estate, incident, run) }),
    )
}

pub fn lost_json(at: At, why: &str) -> Value {
    json!({ "watch": "lost", "at": at, "why": why })
}
