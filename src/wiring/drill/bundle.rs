//! The evidence of a drill on disk: documents for people and for programs, and what they rest on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::play::Played;
use crate::cli::status;
use crate::domain::drill::{Check, DrillEvidence, DrillResult, Participant};
use crate::domain::estate::{DataClass, Objectives};
use crate::domain::event::{Event, Record};
use crate::domain::ids::DrillId;
use crate::domain::recovery::Loss;
use crate::domain::run::{Run, StepPhase};
use crate::domain::schedule::Drill;
use crate::domain::target::likeliest;
use crate::domain::verdict::RpoVerdict;
use crate::domain::view::Snapshot;
use crate::journal::own_file;
use crate::report;

/// Writes everything into `folder`, which is made if it is not there. `past` are earlier drills of the plan, the oldest first.
///
/// # Errors
/// When the folder cannot be written to.
pub fn write(folder: &Path, drill: &Drill, played: &Played, past: &[(DrillId, DrillResult)]) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let evidence = evidence(drill, played);
    let document = report::drill::document(&evidence, past);
    let lines = played.records.iter().map(|record| serde_json::to_string(record).map(|line| line + "\n"));
    let journal = lines.collect::<Result<String, _>>()?;
    // Where a secret is kept may be in the config, but never the secret; still, only its fingerprint leaves the machine with the bundle.
    let fingerprint = json!({
        "config_sha256": hex(&Sha256::digest(&played.config)),
        "plan": drill.result.plan, "plan_sha256": evidence.fingerprint,
        "version": evidence.version, "journal": played.chain,
    });
    let files = [
        ("evidence.md", document.markdown()),
        ("evidence.html", document.html()),
        ("evidence.json", format!("{:#}\n", report::drill::json(&evidence, past))),
        ("junit.xml", report::junit(&evidence)),
        ("journal.jsonl", journal),
        ("fingerprint.json", format!("{fingerprint:#}\n")),
        ("clean-up.json", format!("{:#}\n", json!(played.traces))),
        ("changes.json", format!("{:#}\n", json!(played.changes))),
    ];
    for (name, text) in files {
        let mut file = own_file(&folder.join(name))?;
        file.set_len(0)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the documents are written from.
fn evidence(drill: &Drill, played: &Played) -> DrillEvidence {
    let view = played.view.as_ref();
    let run = view.and_then(|view| view.state.run.as_ref());
    let plan = run.map(|run| &run.plan).or_else(|| {
        let plans = view.into_iter().flat_map(|view| &view.plans);
        let plan = view.map(|view| likeliest(view, &drill.result.plan));
        plans.into_iter().find(|it| Some(&it.id) == plan.as_ref())
    });
    let unpromised = || Objectives { rto: BTreeMap::new(), rpo: BTreeMap::new() };
    let objectives = view.map(|view| view.estate.objectives.clone());
    DrillEvidence {
        drill: drill.id.clone(),
        result: drill.result.clone(),
        ended_at: drill.ended_at,
        about: played.about.clone(),
        plan_title: plan.map(|plan| plan.title.clone()).unwrap_or_default(),
        fingerprint: plan.map(|plan| plan.fingerprint.clone()).unwrap_or_default(),
        version: env!("CARGO_PKG_VERSION").into(),
        objectives: objectives.unwrap_or_else(unpromised),
        estimated: view.into_iter().flat_map(status::rpo).filter_map(estimate).collect(),
        participants: participants(&played.records),
        scope: view.map(scope).unwrap_or_default(),
        left_out: left_out(played),
        integrity: played.checks.clone(),
        deviations: deviations(&played.records, run),
        actions: actions(drill),
        way_back: Check {
            what: "the standby served long enough, and the way back was walked".into(),
            held: None,
            detail: "it was not tried in this drill".into(),
        },
        steps: plan.into_iter().flat_map(|plan| &plan.steps).map(|it| (it.id.clone(), it.title.clone())).collect(),
        journal: played.chain.clone(),
    }
}

fn estimate(it: RpoVerdict) -> Option<(DataClass, String)> {
    matches!(it.loss, Loss::Estimated { .. }).then(|| (it.class, "not measured on the copy that serves now".to_owned()))
}

/// Everybody who caused a record, with the part that they took.
fn participants(records: &[Record]) -> Vec<Participant> {
    let part = |record: &Record| match &record.event {
        Event::IncidentDeclared { .. } if record.actor.uid.is_some() => Some("declared the incident"),
        Event::GateConfirmed { unattended: true, .. } => Some("answered the gates in advance (--yes)"),
        Event::GateConfirmed { .. } => Some("answered gates"),
        Event::RunStarted { .. } => Some("began the recovery"),
        Event::StepVerified { .. } => Some("performed and verified the steps"),
        _ => None,
    };
    let taken = records.iter().filter_map(|record| Some((record.actor.name.clone(), part(record)?)));
    let all: BTreeSet<(String, &str)> = taken.collect();
    all.into_iter().map(|(name, part)| Participant { name, part: part.into() }).collect()
}

fn scope(view: &Snapshot) -> Vec<String> {
    let estate = &view.estate;
    let names = |all: Vec<String>| all.join(", ");
    vec![
        format!("regions: {}", names(estate.regions.iter().map(|it| format!("{} ({})", it.id, it.role)).collect())),
        format!("services: {}", names(estate.services.iter().map(|it| it.id.to_string()).collect())),
        format!("datastores: {}", names(estate.datastores().map(|it| it.id.to_string()).collect())),
    ]
}

fn left_out(played: &Played) -> Vec<String> {
    let mut left = vec!["people outside: a drill tells no customers and not the public".to_owned()];
    if !played.changes.is_empty() {
        left.push(
            "the production estate: the drill was played on the embedded lab, which speaks the vendors' protocols"
                .into(),
        );
    }
    left
}

/// What went otherwise than the plan says.
fn deviations(records: &[Record], run: Option<&Run>) -> Vec<String> {
    let said = records.iter().filter_map(|record| match &record.event {
        Event::GuardsOverridden { step, guards, reason, .. } => {
            Some(format!("{step}: {} overridden by {} ({reason})", guards.join(", "), record.actor))
        }
        Event::StepSkipped { step, reason, .. } => Some(format!("{step}: skipped by {} ({reason})", record.actor)),
        Event::StepDoneByHand { step, reason, .. } => {
            Some(format!("{step}: done by hand by {} ({reason})", record.actor))
        }
        Event::StepRetrying { step, fault, .. } => Some(format!("{step}: tried again after: {}", fault.what)),
        Event::StepUncertain { step, fault, .. } => Some(format!("{step}: outcome unknown for a time: {}", fault.what)),
        Event::StepFailed { step, fault, .. } => Some(format!("{step}: failed: {}", fault.what)),
        _ => None,
    });
    let unfinished = run.into_iter().flat_map(|run| run.in_order());
    let unfinished = unfinished.filter(|(_, step)| matches!(step.phase, StepPhase::Blocked | StepPhase::Asking));
    said.chain(unfinished.map(|(spec, step)| format!("{}: {}: {}", spec.id, step.phase, step.detail))).collect()
}

/// What has to be done about it.
fn actions(drill: &Drill) -> Vec<String> {
    let failed = drill.result.stages.iter().filter(|(_, passed, _)| !passed);
    let mut actions: Vec<String> = failed.map(|(stage, _, why)| format!("fix what failed in {stage}: {why}")).collect();
    actions.extend(drill.result.left_behind.iter().map(|what| format!("remove by hand: {what}")));
    if !drill.result.passed {
        actions.push(format!("rehearse again: mayday drill run {}", drill.result.name));
    }
    actions
}
