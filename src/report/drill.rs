//! The evidence of a drill: what auditors ask for (SOC 2 A1.3, ISO 22301 8.5, DORA art. 11 and its technical standards): the scenario, who
//! took part, what was covered, the figures against what was promised, whether the data came over whole, what went otherwise, what has to
//! be done, whether the way back was walked, and room to sign.

use serde_json::{Value, json};

use super::doc::{Block, Doc, Section, Tile, table};
use super::figure;
use super::text::Cell;
use super::trend::{is_slower, trend};
use super::words::{count, length, length_or_unknown, met, moment};
use crate::domain::describe::Tone;
use crate::domain::drill::{Check, DrillEvidence, DrillResult};
use crate::domain::estate::{DataClass, Tier};
use crate::domain::ids::DrillId;
use crate::domain::time::seconds_between;

/// So many drills stand side by side in the trend.
const SIDE_BY_SIDE: usize = 6;

/// A figure against what was promised.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Figure {
    /// `RTO critical`
    pub name: String,
    pub target: f64,
    pub seconds: Option<f64>,
    /// `None`: could not be told.
    pub met: Option<bool>,
    /// Why it is an estimate, if it is one.
    pub estimated: Option<String>,
    /// Why it cannot be held against the target, if it cannot: `not comparable at 30x`.
    pub incomparable: Option<String>,
}

/// Every figure that something was promised for.
pub fn figures(evidence: &DrillEvidence) -> Vec<Figure> {
    let result = &evidence.result;
    let incomparable = result.incomparable();
    let of = |name: String, target: f64, seconds: Option<f64>, estimated: Option<String>| Figure {
        name,
        target,
        seconds,
        met: seconds.filter(|_| incomparable.is_none()).map(|seconds| seconds <= target),
        estimated,
        incomparable: incomparable.clone(),
    };
    let rto = Tier::ALL.iter().filter_map(|tier| {
        let target = evidence.objectives.rto.get(tier)?.as_secs_f64();
        Some(of(format!("RTO {tier}"), target, result.rto.get(tier).copied(), None))
    });
    let rpo = DataClass::ALL.iter().filter_map(|class| {
        let target = evidence.objectives.rpo.get(class)?.as_secs_f64();
        let estimated = evidence.estimated.get(class).cloned();
        Some(of(format!("RPO {class}"), target, result.rpo.get(class).copied(), estimated))
    });
    rto.chain(rpo).collect()
}

/// For programs: the evidence, its verdicts, and the drill before it.
pub fn json(evidence: &DrillEvidence, past: &[(DrillId, DrillResult)]) -> Value {
    json!({
        "format": 1, "evidence": evidence, "figures": figures(evidence),
        "trend": trend(&with_this(evidence, past)),
    })
}

fn with_this(evidence: &DrillEvidence, past: &[(DrillId, DrillResult)]) -> Vec<(DrillId, DrillResult)> {
    let before = past.iter().filter(|(id, _)| *id != evidence.drill).cloned();
    before.chain([(evidence.drill.clone(), evidence.result.clone())]).collect()
}

/// The evidence as a document; `past` are earlier drills of the same plan, the oldest first.
pub fn document(evidence: &DrillEvidence, past: &[(DrillId, DrillResult)]) -> Doc {
    let result = &evidence.result;
    let verdict = if result.passed { Cell::new(Tone::Good, "passed") } else { Cell::new(Tone::Bad, "FAILED") };
    Doc {
        kind: "Drill evidence".into(),
        title: format!("{} on {}", result.name, result.estate),
        badges: vec![verdict, Cell::new(Tone::Quiet, result.cadence.word()), evidence.drill.as_str().into()],
        summary: summary(evidence),
        sections: vec![
            scenario(evidence),
            measured(evidence),
            stages(evidence),
            integrity(evidence),
            deviations(evidence, past),
            steps(evidence, past),
            Section::new("Actions", vec![boxes(&evidence.actions, "Nothing has to be done.")]),
            way_back(evidence),
            signatures(),
        ],
        colophon: colophon(evidence),
    }
}

fn summary(evidence: &DrillEvidence) -> Vec<String> {
    let (result, figures) = (&evidence.result, figures(evidence));
    let took = length(seconds_between(result.started_at, evidence.ended_at));
    let kept = figures.iter().filter(|it| it.met == Some(true)).count();
    let mut lines = vec![
        format!("Played on {} within {took}.", moment(result.started_at)),
        match result.incomparable() {
            None => format!("{kept} of {} were met.", count(figures.len(), "objective", "objectives")),
            Some(why) => format!("The figures are {why}: none of the objectives was put to the test."),
        },
    ];
    let failed: Vec<&str> = result.stages.iter().filter(|it| !it.1).map(|(stage, _, _)| stage.word()).collect();
    if !failed.is_empty() {
        lines.push(format!("These stages failed: {}.", failed.join(", ")));
    }
    if evidence.way_back.held.is_none() {
        lines.push("The way back was not tried.".into());
    }
    lines
}

fn scenario(evidence: &DrillEvidence) -> Section {
    let result = &evidence.result;
    let who = evidence.participants.iter().map(|it| vec![it.name.as_str().into(), it.part.as_str().into()]);
    let who: Vec<Vec<Cell>> = who.collect();
    let people = match who.is_empty() {
        true => Block::Text("Nobody took part: it was automated.".into()),
        false => table(&["who", "part"], who),
    };
    let list = |items: &[String]| if items.is_empty() { "nothing".to_owned() } else { items.join(", ") };
    let facts = vec![
        ("Scenario".into(), result.scenario.as_str().into()),
        ("What went wrong".into(), evidence.about.as_str().into()),
        ("Plan".into(), format!("{} ({})", evidence.plan_title, result.plan).into()),
        ("Plan's SHA-256".into(), Cell::code(evidence.fingerprint.as_str())),
        ("Played on".into(), result.estate.as_str().into()),
        ("Begun".into(), moment(result.started_at).into()),
        ("Ended".into(), moment(evidence.ended_at).into()),
        ("Covered".into(), list(&evidence.scope).into()),
        ("Left out".into(), list(&evidence.left_out).into()),
    ];
    Section::new("Scenario, scope and people", vec![Block::Facts(facts), people])
}

/// A figure that cannot be held against its target says so in place of a verdict.
fn verdict(figure: &Figure) -> Cell {
    let why = figure.incomparable.as_deref().filter(|_| figure.seconds.is_some());
    why.map_or_else(|| met(figure.met), |why| Cell::new(Tone::Unknown, why))
}

fn measured(evidence: &DrillEvidence) -> Section {
    let figures = figures(evidence);
    let tile = |it: &Figure| {
        let verdict = verdict(it);
        let value = Cell::new(verdict.tone, it.seconds.map_or_else(|| "unknown".into(), length));
        Tile { label: it.name.clone(), value, note: format!("{} of {}", verdict.text, length(it.target)) }
    };
    let row = |it: &Figure| {
        let how = match (&it.estimated, it.seconds) {
            (_, None) => "could not be told".to_owned(),
            (Some(why), _) => format!("estimated: {why}"),
            (None, _) => "measured".into(),
        };
        vec![it.name.as_str().into(), length_or_unknown(it.seconds), length(it.target).into(), verdict(it), how.into()]
    };
    let bars = figures.iter().map(|it| figure::Bar::new(&it.name, it.seconds, it.target, it.met)).collect::<Vec<_>>();
    let rows = figures.iter().map(row).collect();
    let blocks = vec![
        Block::Tiles(figures.iter().map(tile).collect()),
        Block::Figure(figure::bars(&bars)),
        table(&["objective", "#took or lost", "#promised", "verdict", "how it is known"], rows),
    ];
    Section::new("Measured against what was promised", blocks)
}

fn stages(evidence: &DrillEvidence) -> Section {
    let row = |(stage, passed, word): &(crate::domain::drill::Stage, bool, String)| {
        let verdict = if *passed { Cell::new(Tone::Good, "passed") } else { Cell::new(Tone::Bad, "FAILED") };
        vec![stage.word().into(), verdict, word.as_str().into()]
    };
    let rows = evidence.result.stages.iter().map(row).collect();
    let mut blocks = vec![table(&["stage", "verdict", "what was seen"], rows)];
    let left = &evidence.result.left_behind;
    if !left.is_empty() {
        blocks.push(Block::Text("Left behind, and to be removed by hand:".into()));
        blocks.push(Block::List(left.iter().map(|it| Cell::new(Tone::Warn, it.as_str())).collect()));
    }
    Section::new("Stages", blocks)
}

fn held(check: &Check) -> Cell {
    match check.held {
        Some(true) => Cell::new(Tone::Good, "holds"),
        Some(false) => Cell::new(Tone::Bad, "does NOT hold"),
        None => Cell::new(Tone::Unknown, "not known"),
    }
}

fn integrity(evidence: &DrillEvidence) -> Section {
    let row = |it: &Check| vec![it.what.as_str().into(), held(it), it.detail.as_str().into()];
    let rows: Vec<Vec<Cell>> = evidence.integrity.iter().map(row).collect();
    let block = match rows.is_empty() {
        true => Block::Text("Neither backups nor data were checked: their integrity is not known.".into()),
        false => table(&["check", "verdict", "what was seen"], rows),
    };
    Section::new("Backup and data integrity", vec![block])
}

fn deviations(evidence: &DrillEvidence, past: &[(DrillId, DrillResult)]) -> Section {
    let mut found: Vec<Cell> = evidence.deviations.iter().map(|it| it.as_str().into()).collect();
    let alike = |it: &&(DrillId, DrillResult)| it.0 != evidence.drill && it.1.lived() == evidence.result.lived();
    if let Some((id, last)) = past.iter().rfind(alike) {
        found.extend(evidence.result.steps.iter().filter_map(|(step, now)| {
            let before = *last.steps.get(step)?;
            let words = format!("{step} took {}; in {id} it took {}", length(*now), length(before));
            is_slower(*now, before).then(|| Cell::new(Tone::Warn, words))
        }));
    }
    let block = match found.is_empty() {
        true => Block::Text("Nothing went otherwise than planned.".into()),
        false => Block::List(found),
    };
    Section::new("Deviations", vec![block])
}

fn steps(evidence: &DrillEvidence, past: &[(DrillId, DrillResult)]) -> Section {
    let titles = evidence.steps.iter().map(|(id, title)| {
        let took = evidence.result.steps.get(id).copied();
        let took = took.map_or_else(|| Cell::new(Tone::Unknown, "not timed"), |seconds| length(seconds).into());
        vec![Cell::code(id.as_str()), title.as_str().into(), took]
    });
    let mut blocks = vec![table(&["step", "what it does", "#took"], titles.collect())];
    let all = with_this(evidence, past);
    if all.len() > 1 {
        blocks.push(Block::Text("Over the latest drills:".into()));
        blocks.push(trend(&all).block(SIDE_BY_SIDE));
    }
    Section::new("Steps and trend", blocks)
}

fn boxes(items: &[String], none: &str) -> Block {
    match items.is_empty() {
        true => Block::Text(none.into()),
        false => Block::Boxes(items.iter().map(|it| (false, it.as_str().into())).collect()),
    }
}

fn way_back(evidence: &DrillEvidence) -> Section {
    let back = &evidence.way_back;
    let verdict = match back.held {
        None => Cell::new(Tone::Warn, "not tried"),
        Some(_) => held(back),
    };
    let facts = vec![(back.what.clone(), verdict), ("Remark".into(), back.detail.as_str().into())];
    Section::new("Way back", vec![Block::Facts(facts)])
}

fn signatures() -> Section {
    let parts = ["Led by", "Reviewed by", "Accepted for the business by"];
    let row = |part: &&str| vec![Cell::from(*part), "".into(), "".into(), "".into()];
    Section::new("Sign-off", vec![table(&["part", "name", "date", "signature"], parts.iter().map(row).collect())])
}

fn colophon(evidence: &DrillEvidence) -> String {
    let journal = evidence.journal.as_ref().map_or_else(String::new, |chain| {
        format!(" Its journal holds {} records; the hash of the last is {}.", chain.records, chain.head)
    });
    format!("Written by Mayday {} from the journal of the drill.{journal}", evidence.version)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::drill::{Cadence, Participant, Stage};
    use crate::domain::estate::Objectives;
    use crate::domain::time::Span;

    pub fn result() -> DrillResult {
        DrillResult {
            name: "regional".into(),
            cadence: Cadence::Quarterly,
            plan: "regional-failover".into(),
            scenario: "region-loss".into(),
            estate: "lab".into(),
            pace: 1,
            started_at: "2026-11-01T09:00:00Z".parse().unwrap(),
            passed: false,
            stages: vec![
                (Stage::Isolate, true, "the lab is a world of its own".into()),
                (Stage::Execute, true, "11 steps".into()),
                (Stage::CleanUp, false, "the bucket lab-canary is left".into()),
            ],
            rto: [(Tier::Critical, 212.5)].into(),
            rpo: [(DataClass::Database, 1.8)].into(),
            steps: [("promote".into(), 93.0), ("dns".into(), 12.0)].into(),
            left_behind: vec!["s3://lab-canary".into()],
            bundle: "drills/DRILL-20261101-1".into(),
        }
    }

    pub fn evidence() -> DrillEvidence {
        DrillEvidence {
            drill: "DRILL-20261101-1".into(),
            result: result(),
            ended_at: "2026-11-01T09:12:30Z".parse().unwrap(),
            about: "us-east-1 goes dark <at once>".into(),
            plan_title: "Regional failover".into(),
            fingerprint: "ab".repeat(32),
            version: "0.1.0".into(),
            objectives: Objectives {
                rto: [(Tier::Critical, Span::secs(300)), (Tier::Platform, Span::secs(1800))].into(),
                rpo: [(DataClass::Database, Span::secs(3600))].into(),
            },
            estimated: [(DataClass::Database, "a client wrote before it was measured".into())].into(),
            participants: vec![Participant { name: "anna".into(), part: "commander".into() }],
            scope: vec!["us-east-1".into(), "orders".into()],
            left_out: vec!["customers' mail".into()],
            integrity: vec![Check {
                what: "the rows of orders are those from before".into(),
                held: Some(true),
                detail: "4,211 rows | same checksum".into(),
            }],
            deviations: vec!["the standby was scaled by hand".into()],
            actions: vec!["remove s3://lab-canary".into()],
            way_back: Check { what: "the way back was walked".into(), held: None, detail: "no time".into() },
            steps: vec![
                ("promote".into(), "promote the replica".into()),
                ("dns".into(), "move the names".into()),
                ("verify".into(), "a real transaction".into()),
            ],
            journal: Some(crate::domain::journal::Chain { records: 214, head: "cd".repeat(32) }),
        }
    }

    #[test]
    fn the_evidence_says_what_auditors_ask() {
        insta::assert_snapshot!(document(&evidence(), &[]).markdown());
    }

    #[test]
    fn a_step_that_was_faster_in_the_last_drill_is_a_deviation() {
        let mut last = result();
        last.steps.insert("promote".into(), 40.0);
        let text = document(&evidence(), &[("DRILL-20261001-1".into(), last)]).markdown();
        assert!(text.contains("promote took 1 min 33 s; in DRILL-20261001-1 it took 40 s"), "{text}");
        assert!(text.contains("Over the latest drills"), "{text}");
    }

    #[test]
    fn a_figure_of_a_fast_estate_is_never_met_and_never_missed() {
        let mut fast = evidence();
        fast.result.pace = 30;
        assert!(figures(&fast).iter().all(|it| it.met.is_none()));
        let text = document(&fast, &[]).markdown();
        assert!(text.contains("not comparable at 30x") && !text.contains("| met |"), "{text}");
        let junit = crate::report::junit(&fast);
        assert!(junit.contains("<skipped") && junit.contains("not comparable at 30x"), "{junit}");
        // Journals from before the pace was kept have it in the name of the estate.
        let old = DrillResult { pace: 0, estate: "lab, 10x".into(), ..result() };
        assert_eq!((old.lived(), result().lived()), (10, 1));
        assert_eq!(DrillResult { pace: 0, ..result() }.lived(), 1);
    }

    #[test]
    fn unknown_is_neither_met_nor_missed() {
        let all = figures(&evidence());
        let of = |name: &str| all.iter().find(|it| it.name == name).unwrap();
        assert_eq!((of("RTO critical").met, of("RTO platform").met), (Some(true), None));
        let page = document(&evidence(), &[]).html();
        assert!(page.contains("us-east-1 goes dark &lt;at once&gt;") && !page.contains("<at once>"));
    }
}
