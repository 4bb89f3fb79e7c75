//! `mayday ready`: would the plans work right now?

use serde_json::{Value, json};

use super::text::table;
use crate::domain::hidden::{HiddenDependency, Without};
use crate::domain::readiness::{Assessment, Finds, Ready};
use crate::domain::view::Snapshot;

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

/// Where no plan fits the estate: that nothing was held against reality, and what is wrong with the ways to reach people, which every
/// estate needs.
pub fn without_plans(view: &Snapshot) -> String {
    let mut out = "No plan fits this estate, so there is none to look at → mayday check -v\n".to_owned();
    for spec in &view.estate.channels {
        let words = match view.live.channels.get(&spec.id).map(|known| &known.reach) {
            None => "unknown  it was not asked yet".to_owned(),
            Some(Ok(words)) => format!("pass     {words}"),
            Some(Err(fault)) => format!("warn     {fault}"),
        };
        out += &format!("  {words}\n");
    }
    out
}

/// For programs: the plans without the region, and what they and Mayday itself depend on there.
pub fn without_json(found: &Without) -> Value {
    json!({ "without": found.region, "ready": found.ready(), "plans": json(&found.assessments), "hidden": found.hidden })
}

/// For people: each plan in a line, and every hidden dependency with a way to be rid of it.
pub fn without(found: &Without, everything: bool) -> String {
    let region = &found.region;
    let mut out = format!("Every way into {region} was refused, and nothing was changed.\n");
    for it in &found.assessments {
        out += &format!("{} without {region}: {}\n", it.plan, it.ready());
    }
    if found.assessments.is_empty() {
        out += &format!("No plan leaves {region}: nothing would be moved if it fails.\n");
    }
    let shown: Vec<&HiddenDependency> =
        found.hidden.iter().filter(|it| everything || it.finds != Finds::Pass).collect();
    if shown.is_empty() {
        return out + "No hidden dependency was found.\n";
    }
    out += "Hidden dependencies:\n";
    for it in shown {
        out += &format!("  {:<7} {}: {}\n", it.finds.word(), it.of, it.what);
        if !it.rid.is_empty() {
            out += &format!("          → {}\n", it.rid);
        }
    }
    out
}

/// Whether a plan would not work, or nobody knows.
pub fn fails(assessments: &[Assessment]) -> bool {
    assessments.is_empty() || assessments.iter().any(|it| it.ready() > Ready::AtRisk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hidden_dependency_is_told_with_a_way_to_be_rid_of_it() {
        let hidden = |of: &str, finds, rid: &str| HiddenDependency {
            of: of.into(),
            finds,
            what: "leads there".into(),
            rid: rid.into(),
        };
        let found = Without {
            region: "us-east-1".into(),
            assessments: Vec::new(),
            hidden: vec![hidden("vault", Finds::Fail, "keep a copy"), hidden("database", Finds::Pass, "")],
        };
        let text = without(&found, false);
        assert!(text.contains("fail    vault: leads there\n          → keep a copy"), "{text}");
        assert!(text.contains("No plan leaves us-east-1") && !text.contains("database"), "{text}");
        assert!(without(&found, true).contains("pass    database"));
        assert_eq!(found.ready(), Ready::NotReady);
    }
}
