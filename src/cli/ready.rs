//! `mayday ready`: would the plans work right now?

use serde_json::{Value, json};

use super::text::table;
use crate::domain::readiness::{Assessment, Finds, Ready};

/// For programs.
pub fn json(assessments: &[Assessment]) -> Value {
    let of = |it: &Assessment| json!({ "plan": it.plan, "at": it.at, "ready": it.ready(), "score": it.score(), "findings": it.findings });
    assessments.iter().map(of).collect()
}

/// For people: each plan in a line, and what is not as it should be.
pub fn text(assessments: &[Assessment], everything: bool) -> String {
    let mut out = String::new();
    for assessment in assessments {
        out += &format!("{}  {}  {} of 100\n", assessment.plan, assessment.ready(), assessment.score());
        let shown = assessment.findings.iter().filter(|it| everything || it.finds != Finds::Pass);
        let mut rows: Vec<(Finds, Vec<String>)> = shown
            .map(|it| {
                let step = it.step.as_ref().map_or_else(|| "plan".into(), ToString::to_string);
                (it.finds, vec![format!("  {}", it.finds), step, it.name.clone(), it.detail.clone()])
            })
            .collect();
        rows.sort_by_key(|(finds, _)| std::cmp::Reverse(*finds));
        let rows: Vec<Vec<String>> = rows.into_iter().map(|(_, row)| row).collect();
        if !rows.is_empty() {
            out += &table(&["", "", "", ""], &rows);
        }
    }
    out.lines().filter(|line| !line.trim().is_empty()).map(|line| format!("{line}\n")).collect()
}

/// Whether a plan would not work, or nobody knows.
pub fn fails(assessments: &[Assessment]) -> bool {
    assessments.is_empty() || assessments.iter().any(|it| it.ready() > Ready::AtRisk)
}
