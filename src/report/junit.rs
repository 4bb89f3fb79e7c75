//! A drill as JUnit XML, the form that CI systems read: a test case for every stage, figure and check.

use std::fmt::{self, Write};

use super::drill::{Figure, figures};
use super::text::escape;
use super::words::length;
use crate::domain::drill::{Check, DrillEvidence};
use crate::domain::time::seconds_between;

enum Verdict {
    Passed,
    Failed(String),
    /// Nobody tried it.
    Skipped(String),
}

struct Case {
    class: &'static str,
    name: String,
    seconds: Option<f64>,
    verdict: Verdict,
}

/// A suite of the drill's stages, of its figures against what was promised, of its checks, of the way back and of what is left behind.
/// What could not be told is a failure; only what was not tried, or
/// cannot be held against anything, is skipped.
pub fn junit(evidence: &DrillEvidence) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = compose(&mut out, evidence, &cases(evidence));
    out
}

fn cases(evidence: &DrillEvidence) -> Vec<Case> {
    let result = &evidence.result;
    let mut cases: Vec<Case> = result
        .stages
        .iter()
        .map(|(stage, passed, word)| Case {
            class: "stage",
            name: stage.to_string(),
            seconds: None,
            verdict: if *passed { Verdict::Passed } else { Verdict::Failed(word.clone()) },
        })
        .collect();
    cases.extend(figures(evidence).into_iter().map(|it| Case {
        class: "objective",
        name: format!("{} within {}", it.name, length(it.target)),
        seconds: it.seconds,
        verdict: judged(&it),
    }));
    cases.extend(evidence.integrity.iter().map(|it| check("integrity", it, false)));
    cases.push(check("way back", &evidence.way_back, true));
    let left = &result.left_behind;
    let verdict = if left.is_empty() { Verdict::Passed } else { Verdict::Failed(left.join("; ")) };
    cases.push(Case { class: "clean-up", name: "nothing is left behind".into(), seconds: None, verdict });
    cases
}

fn judged(figure: &Figure) -> Verdict {
    if let (Some(why), Some(_)) = (&figure.incomparable, figure.seconds) {
        return Verdict::Skipped(why.clone());
    }
    match (figure.met, figure.seconds) {
        (Some(true), _) => Verdict::Passed,
        (_, Some(seconds)) => Verdict::Failed(format!("{} instead of {}", length(seconds), length(figure.target))),
        (_, None) => Verdict::Failed("could not be told".into()),
    }
}

fn check(class: &'static str, check: &Check, may_skip: bool) -> Case {
    let verdict = match check.held {
        Some(true) => Verdict::Passed,
        None if may_skip => Verdict::Skipped(check.detail.clone()),
        None => Verdict::Failed(format!("could not be told: {}", check.detail)),
        Some(false) => Verdict::Failed(check.detail.clone()),
    };
    Case { class, name: check.what.clone(), seconds: None, verdict }
}

fn compose(out: &mut String, evidence: &DrillEvidence, cases: &[Case]) -> fmt::Result {
    let failed = cases.iter().filter(|it| matches!(it.verdict, Verdict::Failed(_))).count();
    let skipped = cases.iter().filter(|it| matches!(it.verdict, Verdict::Skipped(_))).count();
    let (result, all) = (&evidence.result, cases.len());
    let suite = format!("mayday.drill.{}", result.name);
    let took = seconds_between(result.started_at, evidence.ended_at).max(0.0);
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    let counts = format!("tests=\"{all}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\" time=\"{took:.3}\"");
    writeln!(out, "<testsuites name=\"mayday\" {counts}>")?;
    let at = result.started_at.strftime("%Y-%m-%dT%H:%M:%SZ");
    writeln!(out, "  <testsuite name=\"{}\" timestamp=\"{at}\" {counts}>", escape(&suite))?;
    writeln!(out, "    <properties>")?;
    let properties = [
        ("drill", evidence.drill.as_str()),
        ("plan", result.plan.as_str()),
        ("scenario", &result.scenario),
        ("estate", &result.estate),
        ("bundle", &result.bundle),
    ];
    for (name, value) in properties {
        writeln!(out, "      <property name=\"{name}\" value=\"{}\"/>", escape(value))?;
    }
    writeln!(out, "    </properties>")?;
    for case in cases {
        let time = case.seconds.map_or_else(String::new, |seconds| format!(" time=\"{seconds:.3}\""));
        let class = escape(&format!("{suite}.{}", case.class));
        write!(out, "    <testcase classname=\"{class}\" name=\"{}\"{time}", escape(&case.name))?;
        match &case.verdict {
            Verdict::Passed => writeln!(out, "/>")?,
            Verdict::Failed(why) => writeln!(out, "><failure message=\"{}\"/></testcase>", escape(why))?,
            Verdict::Skipped(why) => writeln!(out, "><skipped message=\"{}\"/></testcase>", escape(why))?,
        }
    }
    writeln!(out, "  </testsuite>\n</testsuites>")
}

#[cfg(test)]
mod tests {
    use super::super::drill::tests::evidence;
    use super::*;

    #[test]
    fn a_reader_of_junit_finds_every_verdict() {
        let mut evidence = evidence();
        evidence.integrity[0].held = None;
        evidence.integrity[0].detail = "a <b> & \"c\"\u{1b}".into();
        let text = junit(&evidence);
        let read = roxmltree::Document::parse(&text).unwrap();
        let cases: Vec<_> = read.descendants().filter(|it| it.has_tag_name("testcase")).collect();
        let suite = read.descendants().find(|it| it.has_tag_name("testsuite")).unwrap();
        assert_eq!(suite.attribute("tests"), Some(cases.len().to_string().as_str()));
        let of =
            |name: &str| cases.iter().find(|it| it.attribute("name").is_some_and(|it| it.starts_with(name))).unwrap();
        assert!(!of("execute").has_children());
        let unknown = of("the rows").first_element_child().unwrap();
        assert_eq!(unknown.tag_name().name(), "failure", "unknown is not a pass");
        assert_eq!(unknown.attribute("message"), Some("could not be told: a <b> & \"c\""));
        assert_eq!(of("the way back").first_element_child().unwrap().tag_name().name(), "skipped");
        assert_eq!(of("RTO critical").attribute("time"), Some("212.500"));
        let missed = of("RTO platform").first_element_child().unwrap();
        assert_eq!(missed.attribute("message"), Some("could not be told"));
    }
}
