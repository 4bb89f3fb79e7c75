//! The steps of a run as rows: of `status`, and of the end of `failover`.

use serde_json::{Value, json};

use super::text::{length, table};
use crate::domain::plan::StepSpec;
use crate::domain::run::{Run, StepRun};
use crate::domain::time::seconds_between;

/// Seconds from the first attempt to the end.
fn took(step: &StepRun) -> Option<f64> {
    let begun = step.begun.as_ref()?.at;
    Some(seconds_between(begun, step.ended_at?))
}

pub fn steps_json(run: &Run) -> Value {
    let step = |(spec, step): (&StepSpec, &StepRun)| {
        json!({
            "id": spec.id, "title": spec.title, "kind": spec.kind, "phase": step.phase, "attempts": step.attempts,
            "seconds": took(step), "detail": step.detail, "fault": step.fault,
        })
    };
    Value::Array(run.in_order().map(step).collect())
}

pub fn steps_table(run: &Run) -> String {
    let row = |(spec, step): (&StepSpec, &StepRun)| {
        let took = took(step).map(length).unwrap_or_default();
        vec![spec.id.to_string(), step.phase.to_string(), took, step.detail.clone()]
    };
    table(&["step", "outcome", "took", "detail"], &run.in_order().map(row).collect::<Vec<_>>())
}
