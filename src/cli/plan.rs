//! `mayday plan` and `mayday by-hand`.

use std::fmt::Write;
use std::sync::Arc;

use serde_json::{Value, json};

use super::text::table;
use crate::domain::plan::Plan;
use crate::domain::remedy;
use crate::domain::system::{Fault, GuardVerdict, Observed};
use crate::domain::target;
use crate::domain::view::{Snapshot, StepByHand, StepPreview};
use crate::domain::wayback::{self, FAILBACK};

pub fn list_json(view: &Snapshot) -> Value {
    let of = |plan: &Arc<Plan>| {
        let mut said = json!({ "id": plan.id, "title": plan.title, "about": plan.about, "steps": plan.steps.len() });
        if plan.target.is_some() {
            let choices = target::table(view, plan.name(), view.now);
            said["choice"] = json!(choices.into_iter().find(|choice| choice.plan == plan.id));
        }
        said
    };
    Value::Array(offered(view).iter().map(of).collect())
}

/// The regions that a plan leads to, the best first, as a table.
pub fn choices(view: &Snapshot, name: &str) -> String {
    let rows: Vec<Vec<String>> =
        target::table(view, name, view.now).iter().map(|choice| choice.cells().to_vec()).collect();
    table(&target::HEAD, &rows)
}

pub fn list(view: &Snapshot) -> String {
    let row = |plan: &Arc<Plan>| vec![plan.id.to_string(), plan.steps.len().to_string(), plan.title.clone()];
    let mut out = table(&["plan", "steps", "what it does"], &offered(view).iter().map(row).collect::<Vec<_>>());
    if let Some(leaving) = remedy::leaving(view, view.now).filter(|plan| plan.target.is_some()) {
        out += &format!(
            "\nThe regions that {} leads to, the best first:\n{}",
            leaving.name(),
            choices(view, leaving.name())
        );
    }
    out
}

/// The plans of the estate, and the way back where it can be made now.
fn offered(view: &Snapshot) -> Vec<Arc<Plan>> {
    let made = wayback::plan(&view.estate, &view.state, &view.plans, &FAILBACK.into()).ok();
    let made = made.filter(|made| view.plans.iter().all(|plan| plan.id != made.id));
    view.plans.iter().cloned().chain(made).collect()
}

pub fn show(plan: &Plan) -> String {
    let rows: Vec<Vec<String>> = plan
        .steps
        .iter()
        .map(|step| {
            let needs: Vec<&str> = step.needs.iter().map(|need| need.as_str()).collect();
            let needs = if needs.is_empty() { "-".to_owned() } else { needs.join(", ") };
            let ways: Vec<&str> = step.ways.iter().map(|way| way.kind.as_str()).collect();
            vec![
                step.id.to_string(),
                step.gate.to_string(),
                step.undo.to_string(),
                if ways.is_empty() { step.kind.clone() } else { ways.join(", else ") },
                step.title.clone(),
                needs,
            ]
        })
        .collect();
    let head = ["step", "gate", "undo", "kind", "what it does", "after"];
    format!("{}: {}\n{}\n\n{}", plan.id, plan.title, plan.about, table(&head, &rows))
}

/// Every step held against reality.
pub fn preview(steps: &[StepPreview]) -> String {
    let mut out = String::new();
    for step in steps {
        // Writing to a String cannot fail.
        let _ = preview_one(&mut out, step);
    }
    out
}

fn preview_one(out: &mut String, step: &StepPreview) -> std::fmt::Result {
    let state = match &step.observed {
        Ok(Observed::Done { .. }) => "done already",
        Ok(Observed::InProgress { .. }) => "in progress",
        Ok(Observed::NotDone { .. }) => "to do",
        Ok(Observed::Impossible { .. }) => "IMPOSSIBLE",
        Ok(Observed::Unknowable { .. }) => "cannot be told",
        Err(_) => "UNKNOWN",
    };
    writeln!(out, "{} [{state}] {}", step.step, step.title)?;
    let mut faults: Vec<&Fault> = Vec::new();
    match &step.observed {
        Ok(observed) => writeln!(out, "    now    {}", observed.words())?,
        Err(fault) => faults.push(fault),
    }
    match &step.preview {
        Ok(preview) => {
            if !preview.summary.is_empty() {
                writeln!(out, "    would  {}", preview.summary)?;
            }
            preview.diff.iter().try_for_each(|line| writeln!(out, "           {line}"))?;
        }
        Err(fault) => faults.push(fault),
    }
    match &step.checked {
        Ok(checked) => {
            for guard in checked.guards.iter().filter(|guard| guard.verdict != GuardVerdict::Pass) {
                let word = if guard.verdict == GuardVerdict::Block { "BLOCKS" } else { "warns " };
                writeln!(out, "    {word} {}: {}", guard.name, guard.detail)?;
            }
        }
        Err(fault) => faults.push(fault),
    }
    faults.dedup();
    faults.iter().try_for_each(|fault| writeln!(out, "    cannot {fault}"))
}

/// For a shell: titles as comments.
pub fn by_hand(steps: &[StepByHand]) -> String {
    let mut out = String::new();
    for step in steps {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# {}: {}", step.step, step.title);
        for line in &step.lines {
            let _ = writeln!(out, "{line}");
        }
        out.push('\n');
    }
    out
}
