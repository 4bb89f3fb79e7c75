//! The record of a run, from the state alone.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::domain::estate::Estate;
use crate::domain::recovery::Loss;
use crate::domain::run::{Run, StepRun};
use crate::domain::state::State;
use crate::domain::time::{At, seconds_between};
use crate::domain::verdict;

/// For programs: the incident, the run, and how both stand against the objectives.
pub(super) fn json(estate: &Estate, state: &State, run: &Run, now: At) -> Value {
    let incident = state.incident.as_ref();
    json!({
        "written_at": now,
        "incident": incident,
        "run": run,
        "rto": incident.map(|incident| verdict::rto(estate, incident, now)),
        "rpo": incident.map(|incident| verdict::rpo(estate, incident, Some(run))),
    })
}

/// For people.
pub(super) fn markdown(estate: &Estate, state: &State, run: &Run, now: At) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = compose(&mut out, estate, state, run, now);
    out
}

fn compose(out: &mut String, estate: &Estate, state: &State, run: &Run, now: At) -> std::fmt::Result {
    writeln!(out, "# {}: {}\n", run.id, run.plan.title)?;
    writeln!(out, "- Estate: {}", estate.name)?;
    writeln!(out, "- Mode: {}, started {} by {}", run.mode, run.started_at, run.by)?;
    if !run.reason.is_empty() {
        writeln!(out, "- Reason: {}", run.reason)?;
    }
    writeln!(out, "- Plan: `{}` (SHA-256 {})", run.plan.id, run.plan.fingerprint)?;
    if let Some(incident) = &state.incident {
        writeln!(out, "- Incident: {} {} — {}", incident.id, incident.severity, incident.title)?;
        objectives(out, estate, incident, run, now)?;
    }
    writeln!(out, "\n## Steps\n\n| step | outcome | took | detail |\n|---|---|---|---|")?;
    for (spec, step) in run.in_order() {
        writeln!(out, "| {} | {} | {} | {} |", cell(&spec.title), step.phase, took(step), cell(&step.detail))?;
    }
    Ok(())
}

fn objectives(
    out: &mut String,
    estate: &Estate,
    incident: &crate::domain::incident::Incident,
    run: &Run,
    now: At,
) -> std::fmt::Result {
    writeln!(
        out,
        "\n## Recovery time\n\n| tier | from disruption | from declaration | objective | met |\n|---|---|---|---|---|"
    )?;
    for it in verdict::rto(estate, incident, now) {
        let (all, declared) = (seconds(it.elapsed), seconds(it.since_declared));
        writeln!(out, "| {} | {all} | {declared} | {:.0} s | {} |", it.tier, it.target, met(it.met))?;
    }
    writeln!(out, "\n## Recovery point\n\n| data class | loss | objective | met |\n|---|---|---|---|")?;
    for it in verdict::rpo(estate, incident, Some(run)) {
        let loss = match it.loss {
            Loss::Unknown => "unknown".to_owned(),
            Loss::Estimated { seconds } => format!("{seconds:.1} s (estimated)"),
            Loss::Measured { seconds } => format!("{seconds:.1} s (measured)"),
        };
        writeln!(out, "| {} | {loss} | {:.0} s | {} |", it.class, it.target, met(it.met))?;
    }
    Ok(())
}

fn seconds(value: Option<f64>) -> String {
    value.map_or_else(|| "unknown".into(), |value| format!("{value:.1} s"))
}

fn met(value: Option<bool>) -> &'static str {
    match value {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "not known",
    }
}

fn took(step: &StepRun) -> String {
    let begun = step.begun.as_ref().map(|begun| begun.at);
    seconds(begun.zip(step.ended_at).map(|(begun, ended)| seconds_between(begun, ended))).replace("unknown", "")
}

/// Text that stays within its cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
