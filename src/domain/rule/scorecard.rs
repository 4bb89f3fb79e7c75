//! The score card of a game day: how soon it was seen, declared and mended, and what went wrong on the way. Read from the journal alone,
//! but for when it was broken, which only whoever broke it knows.

use serde::Serialize;

use super::state::State;
use super::verdict;
use super::verdict::{RpoVerdict, RtoVerdict};
use crate::domain::fact::event::{Event, Record};
use crate::domain::fact::incident::Incident;
use crate::domain::fact::run::Run;
use crate::domain::spec::classes::Tier;
use crate::domain::spec::estate::Estate;
use crate::domain::time::{At, seconds_between};

/// A declaration later than so many seconds after the detection is late.
const PROMPT: f64 = 120.0;

/// Something that cost points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deduction {
    pub points: u32,
    pub why: String,
}

/// What a game came to. Lengths are in seconds; what did not happen is absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreCard {
    /// Of 100.
    pub points: u32,
    pub deductions: Vec<Deduction>,
    /// From the failure to the first probe that said so.
    pub detect: Option<f64>,
    /// From there to the declaration.
    pub declare: Option<f64>,
    /// From there to the first change.
    pub act: Option<f64>,
    pub rto: Vec<RtoVerdict>,
    pub rpo: Vec<RpoVerdict>,
    /// Asked for, and refused.
    pub refused: u32,
    pub overridden: usize,
    pub skipped: usize,
    pub retried: usize,
    pub reverted: usize,
    /// Updates that were promised for a moment, and those of them that came by then.
    pub promised: usize,
    pub on_time: usize,
    pub closed: bool,
}

/// The incident as it was at its end, with its run.
struct End {
    incident: Incident,
    run: Option<Run>,
    at: At,
    closed: bool,
}

/// Folds the journal up to the end of the first incident.
fn end(records: &[Record]) -> Option<End> {
    let mut state = State::default();
    for record in records {
        if matches!(record.event, Event::IncidentClosed { .. })
            && let Some(incident) = state.incident.clone()
        {
            return Some(End { incident, run: state.run, at: record.at, closed: true });
        }
        state.apply(record);
    }
    Some(End { incident: state.incident?, run: state.run, at: state.at?, closed: false })
}

/// The card; `broken_at` is when the failure happened, and `refused` how often something was refused.
pub fn score(estate: &Estate, records: &[Record], broken_at: At, refused: u32) -> ScoreCard {
    let end = end(records);
    let count = |which: fn(&Event) -> bool| records.iter().filter(|record| which(&record.event)).count();
    let clocks = end.as_ref().map(|end| end.incident.clocks.clone()).unwrap_or_default();
    let between = |from: Option<At>, to: Option<At>| Some(seconds_between(from?, to?).max(0.0));
    let (promised, on_time) = updates(records, end.as_ref());
    let mut card = ScoreCard {
        points: 0,
        deductions: Vec::new(),
        detect: between(Some(broken_at), clocks.t1),
        declare: between(clocks.t1, clocks.t2),
        act: between(clocks.t2, clocks.t3),
        rto: end.as_ref().map(|it| verdict::rto(estate, &it.incident, it.at)).unwrap_or_default(),
        rpo: end.as_ref().map(|it| verdict::rpo(estate, &it.incident, it.run.as_ref())).unwrap_or_default(),
        refused,
        overridden: count(|event| matches!(event, Event::GuardsOverridden { .. })),
        skipped: count(|event| matches!(event, Event::StepSkipped { .. } | Event::StepDoneByHand { .. })),
        retried: count(|event| matches!(event, Event::StepRetried { .. })),
        reverted: count(|event| matches!(event, Event::StepReverting { .. })),
        promised,
        on_time,
        closed: end.as_ref().is_some_and(|end| end.closed),
    };
    card.deductions = deductions(&card, end.is_some());
    card.points = 100u32.saturating_sub(card.deductions.iter().map(|it| it.points).sum());
    card
}

/// How many updates were promised for a moment that has come, and how many of them came by then.
fn updates(records: &[Record], end: Option<&End>) -> (usize, usize) {
    let Some(end) = end else { return (0, 0) };
    let messages: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::MessageComposed { message } if message.is_update() => Some(message),
            _ => None,
        })
        .collect();
    let (mut promised, mut on_time) = (0, 0);
    for (nth, message) in messages.iter().enumerate() {
        let Some(due) = message.next_due else { continue };
        let next = messages.get(nth + 1).map(|next| next.send_at);
        match next {
            Some(next) => (promised, on_time) = (promised + 1, on_time + usize::from(next <= due)),
            None => promised += usize::from(due < end.at),
        }
    }
    (promised, on_time)
}

fn deductions(card: &ScoreCard, declared: bool) -> Vec<Deduction> {
    if !declared {
        return vec![Deduction { points: 100, why: "no incident was declared".into() }];
    }
    let mut all = Vec::new();
    let mut takes = |points: u32, why: String| {
        if points > 0 {
            all.push(Deduction { points, why });
        }
    };
    for it in card.rto.iter().filter(|it| it.met != Some(true)) {
        let points = if it.tier == Tier::Critical { 25 } else { 10 };
        takes(points, format!("the RTO of {} was not met", it.tier));
    }
    for it in card.rpo.iter().filter(|it| it.met != Some(true)) {
        takes(10, format!("the RPO of {} was not met, or is unknown", it.class));
    }
    if card.declare.is_none_or(|seconds| seconds > PROMPT) {
        takes(10, format!("declared later than {PROMPT:.0} s after it was seen"));
    }
    let each = |count: usize, points: u32, most: u32| (u32::try_from(count).unwrap_or(most) * points).min(most);
    takes(each(card.refused as usize, 2, 10), format!("asked for what was refused: {} times", card.refused));
    takes(each(card.overridden, 5, 20), format!("overrode guards: {} times", card.overridden));
    takes(each(card.skipped, 5, 20), format!("skipped steps, or did them by hand: {} times", card.skipped));
    takes(each(card.retried, 2, 10), format!("tried steps again: {} times", card.retried));
    takes(each(card.reverted, 3, 12), format!("took steps back: {} times", card.reverted));
    let late = card.promised - card.on_time;
    takes(each(late, 5, 20), format!("{late} of {} promised updates were late", card.promised));
    if !card.closed {
        takes(5, "the incident was not closed".into());
    }
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::fact::command::Ask;
    use crate::domain::rule::decide::bench::{Bench, estate};
    use crate::domain::time::before;

    #[test]
    fn without_an_incident_there_are_no_points() {
        let card = score(&estate(), &[], At::UNIX_EPOCH, 0);
        assert_eq!((card.points, card.deductions.len()), (0, 1));
        assert_eq!((card.detect, card.declare), (None, None));
    }

    #[test]
    fn the_moments_are_counted_from_the_failure_and_wrong_turns_cost_points() {
        let mut bench = Bench::running();
        let t1 = bench.state.incident.as_ref().unwrap().clocks.t1.unwrap();
        let run = bench.run();
        bench.ask(Ask::Skip { run: run.clone(), step: "scale".into(), reason: "no time".into() }).unwrap();
        bench.ask(Ask::Abandon { run, reason: "enough".into() }).unwrap();
        bench.ask(Ask::CloseIncident { note: String::new(), despite: String::new(), tell: false }).unwrap();
        let card = score(&bench.estate, &bench.records, before(t1, Duration::from_secs(7)), 3);
        assert_eq!((card.detect, card.declare), (Some(7.0), Some(10.0)));
        assert_eq!((card.skipped, card.refused, card.closed), (1, 3, true));
        let why: Vec<&str> = card.deductions.iter().map(|it| it.why.as_str()).collect();
        assert!(why.iter().any(|it| it.contains("RTO of critical")), "{why:?}");
        assert_eq!(card.points, 100 - 25 - 10 - 6 - 5, "{why:?}");
    }
}
