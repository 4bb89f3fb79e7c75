//! The journal in words: one line an event.

use crate::domain::event::{Event, Prepared, Record};
use crate::domain::health::Status;
use crate::domain::readiness::{Brief, Ready};

use super::mark;
use super::theme::Role;

/// What a record says, and how it is to be coloured.
pub fn describe(record: &Record) -> (Role, String) {
    if record.event.step().is_some() {
        return describe_step(&record.event);
    }
    match &record.event {
        Event::EngineStarted { version } => (Role::Dim, format!("engine {version} started")),
        Event::ProbeChanged { probe, to, detail, .. } => {
            let role = if *to == Status::Healthy { Role::Good } else { mark::status(*to).role };
            (role, format!("{probe} {} {detail}", mark::status(*to).word))
        }
        Event::BackupChanged { backup, to, detail } => {
            let mark = mark::worth(*to);
            (mark.role, with(&format!("backup {backup} {}", mark.word), detail))
        }
        Event::ReadinessAssessed { plans } => readiness(plans),
        Event::CockpitArmed { .. } => (Role::Dim, "armed a cockpit".into()),
        Event::CockpitDisarmed { .. } => (Role::Dim, "disarmed a cockpit".into()),
        Event::HoldSet { reason } => (Role::Warn, with("HOLD: nothing new starts", reason)),
        Event::HoldReleased { reason } => (Role::Good, with("hold released", reason)),
        Event::IncidentDeclared { incident, title, severity, .. } => {
            (Role::Bad, format!("declared {incident} {severity}: {title}"))
        }
        Event::SeverityChanged { severity, reason } => (Role::Warn, with(&format!("severity is {severity}"), reason)),
        Event::CommandTaken {} => (Role::Text, "took command".into()),
        Event::NoteAdded { text } => (Role::Strong, format!("note: {text}")),
        Event::IncidentClosed { note } => (Role::Good, with("incident closed", note)),
        Event::RunStarted { run, plan, mode, reason, .. } => {
            (Role::Accent, with(&format!("started {} ({mode}) as {run}", plan.id), reason))
        }
        Event::RunEnded { run, outcome, reason } => (Role::Accent, with(&format!("{run} {outcome}"), reason)),
        _ => (Role::Dim, "something that this version does not know".into()),
    }
}

/// The plan that is worst off speaks for all.
fn readiness(plans: &[Brief]) -> (Role, String) {
    let Some(worst) = plans.iter().max_by_key(|it| (it.ready, std::cmp::Reverse(it.score))) else {
        return (Role::Dim, "no plan to hold against reality".into());
    };
    let mark = mark::ready(worst.ready);
    let others = if plans.len() > 1 { format!(", worst of {} plans", plans.len()) } else { String::new() };
    let what = match worst.ready {
        Ready::Ready if plans.len() > 1 => format!("all {} plans are ready", plans.len()),
        _ => format!("{} {}, {} of 100{others}", worst.plan, mark.word, worst.score),
    };
    let role = if worst.ready == Ready::Ready { Role::Dim } else { mark.role };
    (role, with(&what, &worst.reasons.join(", ")))
}

fn describe_step(event: &Event) -> (Role, String) {
    let Some((_, step)) = event.step() else { return (Role::Dim, String::new()) };
    let (role, words) = match event {
        Event::StepPreparing { .. } => (Role::Dim, "looking".into()),
        Event::StepPrepared { card, verdict, .. } => prepared(card.observed.words(), &card.summary, *verdict),
        Event::GateConfirmed { cleared: true, unattended: false, .. } => (Role::Text, "gate confirmed".into()),
        Event::GateConfirmed { cleared: true, .. } => (Role::Text, "gate answered by --yes".into()),
        Event::GateConfirmed { .. } => (Role::Text, "confirmed by one of two".into()),
        Event::GuardsOverridden { guards, reason, .. } => {
            (Role::Warn, with(&format!("OVERRODE {}", guards.join(", ")), reason))
        }
        Event::StepApplying { attempt: 1, .. } => (Role::Busy, "applying".into()),
        Event::StepApplying { attempt, .. } => (Role::Busy, format!("applying, attempt {attempt}")),
        Event::StepApplied { .. } => (Role::Busy, "applied; waiting for the effect".into()),
        Event::StepUncertain { fault, .. } => (Role::Warn, format!("may have happened: {}", fault.what)),
        Event::StepNotDone { detail, .. } => (Role::Text, format!("had not happened: {detail}")),
        Event::StepFound { detail, .. } => (Role::Text, detail.clone()),
        Event::StepUnknowable { why, .. } => (Role::Warn, format!("cannot tell: {why}")),
        Event::StepVerified { detail, .. } => (Role::Good, with("done", detail)),
        Event::StepRetrying { fault, .. } => (Role::Warn, format!("will try again: {}", fault.what)),
        Event::StepFailed { fault, .. } => (Role::Bad, format!("failed: {}", fault.what)),
        Event::StepRetried { reason, .. } => (Role::Text, with("retried", reason)),
        Event::StepSkipped { reason, .. } => (Role::Warn, with("skipped", reason)),
        Event::StepDoneByHand { reason, .. } => (Role::Good, with("done by hand", reason)),
        Event::StepReverting { reason, .. } => (Role::Warn, with("reverting", reason)),
        Event::StepReverted { .. } => (Role::Warn, "reverted".into()),
        _ => (Role::Dim, String::new()),
    };
    (role, format!("{step}: {words}"))
}

fn prepared(observed: &str, summary: &str, verdict: Prepared) -> (Role, String) {
    match verdict {
        Prepared::AlreadyDone => (Role::Text, with("done already", observed)),
        Prepared::InProgress => (Role::Text, with("under way", observed)),
        Prepared::Blocked => (Role::Bad, with("BLOCKED", observed)),
        Prepared::Gate => (Role::Warn, with("gate open", summary)),
        Prepared::Clear => (Role::Dim, "nothing in its way".into()),
        Prepared::Rehearsed => (Role::Text, with("rehearsed", summary)),
    }
}

fn with(what: &str, detail: &str) -> String {
    if detail.is_empty() { what.into() } else { format!("{what}: {detail}") }
}
