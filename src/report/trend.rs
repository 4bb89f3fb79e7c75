//! How drills have gone over time: every figure and every step, drill by drill.

use std::collections::BTreeSet;

use serde::Serialize;

use super::doc::{Block, Column};
use super::text::Cell;
use super::words::length;
use crate::domain::describe::Tone;
use crate::domain::drill::DrillResult;
use crate::domain::estate::{DataClass, Tier};
use crate::domain::ids::{DrillId, StepId};
use crate::domain::time::At;

/// A step or a figure that takes this much longer than usual is remarked on ...
const SLOWER: f64 = 1.25;
/// ... unless the difference is below this, in seconds.
const NOISE: f64 = 2.0;

/// Past drills, the oldest first, and what each took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trend {
    pub drills: Vec<(DrillId, At, bool)>,
    pub rows: Vec<Row>,
}

/// One figure over the drills.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// `RTO critical`, `RPO database`, or the step.
    pub what: String,
    /// Seconds, a drill each; absent where it was not known.
    pub seconds: Vec<Option<f64>>,
    /// The median of those before the last.
    pub usual: Option<f64>,
    /// The last took clearly longer than usual.
    pub slower: bool,
}

/// The trend over these drills, given the oldest first; of steps, those of the last drill in their order, then what only older ones had.
pub fn trend(drills: &[(DrillId, DrillResult)]) -> Trend {
    let mut rows = Vec::new();
    let row = |what: String, of: &dyn Fn(&DrillResult) -> Option<f64>| {
        let seconds: Vec<Option<f64>> = drills.iter().map(|(_, result)| of(result)).collect();
        seconds.iter().any(Option::is_some).then(|| Row::new(what, seconds))
    };
    rows.extend(Tier::ALL.iter().filter_map(|tier| row(format!("RTO {tier}"), &|it| it.rto.get(tier).copied())));
    rows.extend(
        DataClass::ALL.iter().filter_map(|class| row(format!("RPO {class}"), &|it| it.rpo.get(class).copied())),
    );
    let mut seen = BTreeSet::new();
    let steps = drills.iter().rev().flat_map(|(_, result)| result.steps.keys());
    let steps: Vec<&StepId> = steps.filter(|step| seen.insert(*step)).collect();
    rows.extend(steps.into_iter().filter_map(|step| row(step.to_string(), &|it| it.steps.get(step).copied())));
    Trend { drills: drills.iter().map(|(id, result)| (id.clone(), result.started_at, result.passed)).collect(), rows }
}

impl Row {
    fn new(what: String, seconds: Vec<Option<f64>>) -> Self {
        let (last, before) = seconds.split_last().map_or((None, &[][..]), |(last, before)| (*last, before));
        let usual = median(before.iter().flatten().copied().collect());
        let slower = last.zip(usual).is_some_and(|(last, usual)| is_slower(last, usual));
        Self { what, seconds, usual, slower }
    }
}

/// Whether a length is clearly more than what it is compared with.
pub(super) fn is_slower(seconds: f64, usual: f64) -> bool {
    seconds > usual * SLOWER && seconds - usual > NOISE
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    let even = values.len().is_multiple_of(2);
    Some(if even { (values[middle - 1] + upper) / 2.0 } else { upper })
}

impl Trend {
    /// The newest `most` drills as a table.
    pub fn block(&self, most: usize) -> Block {
        let from = self.drills.len().saturating_sub(most);
        let number = |title: String| Column { title, number: true };
        let mut head = vec![Column { title: "seconds of".into(), number: false }];
        head.extend(self.drills[from..].iter().map(|(_, at, passed)| {
            let failed = if *passed { "" } else { " (failed)" };
            number(format!("{}{failed}", at.strftime("%Y-%m-%d")))
        }));
        head.push(number("usual".into()));
        let cells = |row: &Row| {
            let mut cells = vec![Cell::from(row.what.as_str())];
            cells.extend(row.seconds[from..].iter().map(|it| it.map_or_else(String::new, length).into()));
            if let (true, Some(last)) = (row.slower, cells.last_mut()) {
                last.tone = Tone::Warn;
            }
            cells.push(Cell::new(Tone::Quiet, row.usual.map_or_else(String::new, length)));
            cells
        };
        Block::Table { head, rows: self.rows.iter().map(cells).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::drill::tests::result;
    use super::*;

    #[test]
    fn what_takes_longer_than_usual_is_remarked_on() {
        let drill = |at: &str, promote: f64, extra: Option<f64>| {
            let mut drill = result();
            drill.started_at = at.parse().unwrap();
            drill.steps = [("promote".into(), promote)].into();
            drill.steps.extend(extra.map(|seconds| ("verify".into(), seconds)));
            (DrillId::from(at), drill)
        };
        let trend = trend(&[
            drill("2026-09-01T00:00:00Z", 60.0, Some(1.0)),
            drill("2026-10-01T00:00:00Z", 64.0, None),
            drill("2026-11-01T00:00:00Z", 120.0, Some(2.0)),
        ]);
        let row = |what: &str| trend.rows.iter().find(|row| row.what == what).unwrap();
        assert_eq!(row("promote").usual, Some(62.0));
        assert!(row("promote").slower);
        let verify = row("verify");
        assert_eq!(verify.seconds, [Some(1.0), None, Some(2.0)]);
        assert!(!verify.slower, "twice as long, but what is a second");
        let Block::Table { head, rows } = trend.block(2) else { panic!("a table") };
        assert_eq!(
            head.iter().map(|it| it.title.as_str()).collect::<Vec<_>>()[1..],
            ["2026-10-01 (failed)", "2026-11-01 (failed)", "usual"]
        );
        assert!(rows.iter().all(|row| row.len() == head.len()));
    }
}
