//! A review as a document: what one wants to know first comes first.

use super::course;
use super::doc::{Block, Doc, Section, Tile, table};
use super::figure::{self, Bar};
use super::review::{
    Answer, Delivered, DeliveryReview, Entry, ItemReview, MessageReview, Review, RunReview, StepReview, Verified,
};
use super::text::Cell;
use super::words::{length, length_or_unknown, loss, met, moment, time};
use crate::domain::checklist::Evidence;
use crate::domain::describe::{self, Tone};
use crate::domain::incident::Onset;
use crate::domain::recovery::Loss;
use crate::domain::run::StepPhase;
use crate::domain::time::{At, seconds_between};
use crate::domain::verdict::{RpoVerdict, RtoVerdict};

pub fn document(review: &Review) -> Doc {
    let mut sections = vec![objectives(review), clocks(review), open_actions(review), decisions(review)];
    sections.extend(review.runs.iter().map(|run| steps(review, run)));
    sections.push(differences(review));
    sections.push(messages(review));
    sections.push(checklist(review));
    sections.push(people(review));
    if !review.notes.is_empty() {
        let notes = review
            .notes
            .iter()
            .map(|it| vec![time(it.at).into(), it.by.name.as_str().into(), it.words.as_str().into()]);
        sections.push(Section::new("Notes", vec![table(&["UTC", "who", "note"], notes.collect())]));
    }
    sections.push(timeline(review));
    sections.push(journal(review));
    Doc {
        kind: if review.drill { "Post-incident review of a drill".into() } else { "Post-incident review".into() },
        title: review.title.clone(),
        badges: badges(review),
        summary: review.summary.clone(),
        sections,
        colophon: format!(
            "Written by Mayday {} from records {} to {} of the journal and nothing else; every moment is UTC.",
            env!("CARGO_PKG_VERSION"),
            review.journal.first,
            review.journal.last
        ),
    }
}

fn badges(review: &Review) -> Vec<Cell> {
    let mut all = vec![Cell::from(review.incident.as_str()), Cell::new(Tone::Bad, review.severity.word())];
    if review.drill {
        all.push(Cell::new(Tone::Accent, "drill"));
    }
    let phase =
        if review.closed_at.is_some() { Cell::new(Tone::Good, "closed") } else { Cell::new(Tone::Warn, "open") };
    all.push(phase);
    let missed = review.rto.iter().any(|it| it.met == Some(false)) || review.rpo.iter().any(|it| it.met == Some(false));
    let unknown = review.rto.iter().any(|it| it.met.is_none()) || review.rpo.iter().any(|it| it.met.is_none());
    all.push(match (review.promise.is_some(), missed, unknown) {
        (false, _, _) => Cell::new(Tone::Unknown, "objectives not recorded"),
        (_, true, _) => Cell::new(Tone::Bad, "objectives missed"),
        (_, _, true) => Cell::new(Tone::Unknown, "objectives not known"),
        _ => Cell::new(Tone::Good, "objectives met"),
    });
    all
}

fn objectives(review: &Review) -> Section {
    if review.promise.is_none() {
        let words =
            "This journal is from before the objectives were kept with an incident: nothing can be said of them.";
        return Section::new("Recovery against what was promised", vec![Block::Text(words.into())]);
    }
    let tile = |label: String, seconds: Option<f64>, verdict: Option<bool>, note: String| Tile {
        label,
        value: Cell::new(met(verdict).tone, seconds.map_or_else(|| "unknown".into(), length)),
        note,
    };
    let rto_tile = |it: &RtoVerdict| {
        let so_far = if it.recovered { "" } else { ", never verified" };
        let note = format!("{}, promised {}{so_far}", met(it.met).text, length(it.target));
        let found = tile(format!("RTO {}", it.tier), it.elapsed, it.met, note);
        let value = if it.at_least { bound(it, found.value) } else { found.value };
        Tile { value, ..found }
    };
    let rpo_tile = |it: &RpoVerdict| {
        let how = match it.loss {
            Loss::Unknown => "",
            Loss::Estimated { .. } => ", estimated",
            Loss::Measured { .. } => ", measured",
        };
        let note = format!("{}, promised {}{how}", met(it.met).text, length(it.target));
        tile(format!("RPO {}", it.class), it.loss.seconds(), it.met, note)
    };
    let tiles = review.rto.iter().map(rto_tile).chain(review.rpo.iter().map(rpo_tile)).collect();
    let rto_bars = review.rto.iter().map(|it| Bar::new(&format!("RTO {}", it.tier), it.elapsed, it.target, it.met));
    let rpo_bars =
        review.rpo.iter().map(|it| Bar::new(&format!("RPO {}", it.class), it.loss.seconds(), it.target, it.met));
    let bars: Vec<Bar> = rto_bars.chain(rpo_bars).collect();
    let rto = review.rto.iter().map(|it| {
        vec![
            it.tier.word().into(),
            if it.at_least { bound(it, length_or_unknown(it.elapsed)) } else { length_or_unknown(it.elapsed) },
            length_or_unknown(it.since_declared),
            length(it.target).into(),
            met(it.met),
        ]
    });
    let rpo = review.rpo.iter().map(|it| {
        let tone = if it.loss == Loss::Unknown { Tone::Unknown } else { Tone::Plain };
        vec![it.class.word().into(), Cell::new(tone, loss(it.loss)), length(it.target).into(), met(it.met)]
    });
    let blocks = vec![
        Block::Tiles(tiles),
        Block::Figure(figure::bars(&bars)),
        table(
            &["recovery time", "#from disruption (t5 − t0)", "#from declaration (t5 − t2)", "#promised", "verdict"],
            rto.collect(),
        ),
        table(&["recovery point", "#lost (t0 − recovery point)", "#promised", "verdict"], rpo.collect()),
    ];
    Section::new("Recovery against what was promised", blocks)
}

/// A length that is a lower bound: nobody saw the failure begin.
fn bound(it: &RtoVerdict, cell: Cell) -> Cell {
    let words = it.elapsed.map_or_else(|| "unknown".into(), |seconds| format!("at least {}", length(seconds)));
    Cell::new(cell.tone, words)
}

fn clocks(review: &Review) -> Section {
    let clocks = &review.clocks;
    let t0 = clocks.disruption().map(|(at, _)| at);
    let row = |name: &str, what: &str, at: Option<At>| {
        let after = t0.zip(at).map(|(t0, at)| format!("+{}", length(seconds_between(t0, at))));
        let at = at.map_or_else(|| Cell::new(Tone::Unknown, "not known"), |at| moment(at).into());
        vec![Cell::new(Tone::Strong, name), what.into(), at, after.unwrap_or_default().into()]
    };
    let onset = clocks.disruption().map_or(Onset::Declaration, |(_, onset)| onset);
    let disrupted = format!("disrupted: {}", onset.words());
    let mut rows = vec![
        row("t0", &disrupted, t0),
        row("t1", "detected", clocks.t1),
        row("t2", "declared", clocks.t2),
        row("t3", "first action", clocks.t3),
        row("t4", "technically up", clocks.t4),
    ];
    let tiers = review.rto.iter().map(|it| it.tier);
    rows.extend(tiers.map(|tier| {
        let from = clocks.t0.get(&tier).copied();
        let at = clocks.t5.get(&tier).copied();
        let after = from.zip(at).map(|(from, at)| format!("+{}", length(seconds_between(from, at))));
        let mut row = row("t5", &format!("{tier} verified along a client's path"), at);
        row[3] = after.unwrap_or_default().into();
        row
    }));
    let mut blocks = vec![table(&["clock", "what", "when", "#after t0"], rows)];
    if let Some(figure) = course::course(review) {
        blocks.insert(0, Block::Figure(figure));
    }
    if !review.severities.is_empty() {
        let rows = review.severities.iter().map(|it| {
            vec![time(it.at).into(), it.by.name.as_str().into(), it.to.word().into(), it.reason.as_str().into()]
        });
        blocks.push(table(&["UTC", "who", "severity became", "reason"], rows.collect()));
    }
    Section::new("The course of it", blocks)
}

fn open_actions(review: &Review) -> Section {
    let block = match review.actions.is_empty() {
        true => Block::Text("Nothing that Mayday knows of.".into()),
        false => Block::Boxes(
            review.actions.iter().map(|it| (false, format!("{}: {}", it.because, it.what).into())).collect(),
        ),
    };
    Section::new("Open actions", vec![block])
}

fn line(entry: &Entry) -> Vec<Cell> {
    let tone = if entry.against_advice { Tone::Bad } else { entry.tone };
    // A whole page of trouble in colour cannot be read: only what went against advice or failed stands out.
    let tone = if matches!(tone, Tone::Bad | Tone::Strong) { tone } else { Tone::Plain };
    vec![time(entry.at).into(), entry.by.name.as_str().into(), Cell::new(tone, entry.words.as_str())]
}

fn decisions(review: &Review) -> Section {
    let block = match review.decisions.is_empty() {
        true => Block::Text("Nobody decided anything.".into()),
        false => table(&["UTC", "who", "what, and why"], review.decisions.iter().map(line).collect()),
    };
    Section::new("Decisions and overrides", vec![block])
}

fn steps(review: &Review, run: &RunReview) -> Section {
    let facts = vec![
        ("Plan".into(), format!("{} ({})", run.title, run.plan).into()),
        ("Plan's SHA-256".into(), Cell::code(run.fingerprint.as_str())),
        ("Mode".into(), run.mode.word().into()),
        ("Started".into(), format!("{} by {}", moment(run.started_at), run.by).into()),
        ("Reason".into(), or(&run.reason, "not given").into()),
        (
            "Ended".into(),
            match (run.ended_at, run.outcome) {
                (Some(at), Some(outcome)) => format!("{}, {outcome}", moment(at)).into(),
                _ => Cell::new(Tone::Warn, "not yet"),
            },
        ),
        (
            "Point of no return".into(),
            match &run.no_return {
                Some((step, at)) => format!("{step}, begun {}", moment(*at)).into(),
                None => "not passed".into(),
            },
        ),
        ("What made it as long as it was".into(), {
            let chain: Vec<&str> = run.critical.iter().map(|it| it.as_str()).collect();
            chain.join(" → ").into()
        }),
    ];
    let rows = run.steps.iter().map(|step| step_row(run, step)).collect();
    let head = ["step", "outcome", "#began", "#took", "#last time", "#tries", "answered by", "detail"];
    let mut blocks = vec![Block::Facts(facts), table(&head, rows)];
    let faults = run.steps.iter().flat_map(|step| step.faults.iter().map(move |fault| (&step.id, fault)));
    let mut faults: Vec<_> = faults.collect();
    faults.sort_by_key(|(_, (at, _))| *at);
    if !faults.is_empty() {
        let rows = faults
            .into_iter()
            .map(|(step, (at, why))| vec![time(*at).into(), Cell::code(step.as_str()), why.as_str().into()]);
        blocks.push(table(&["UTC", "step", "what went wrong on the way"], rows.collect()));
    }
    let left = run.steps.iter().flat_map(|step| step.receipt.iter().map(move |(name, value)| (&step.id, name, value)));
    let receipts: Vec<Vec<Cell>> = left
        .map(|(step, name, value)| vec![Cell::code(step.as_str()), name.as_str().into(), Cell::code(value.as_str())])
        .collect();
    if !receipts.is_empty() {
        blocks.push(table(&["step", "receipt", "value"], receipts));
    }
    blocks.extend(run.steps.iter().filter_map(|step| {
        let printed = step.printed.as_ref().filter(|it| !it.lines.is_empty())?;
        let file = printed.file.as_ref().map(|file| format!(", all of it in {file}")).unwrap_or_default();
        let lines = printed.lines.clone();
        Some(Block::Quote { of: format!("What `{}` printed last{file}", step.id), lines })
    }));
    let several = review.runs.len() > 1;
    let title = if several { format!("Run {}", run.id) } else { "The run, step by step".into() };
    Section { title, blocks }
}

fn or<'t>(text: &'t str, none: &'t str) -> &'t str {
    if text.is_empty() { none } else { text }
}

fn step_row(run: &RunReview, step: &StepReview) -> Vec<Cell> {
    let outcome = match step.phase {
        StepPhase::Done | StepPhase::Rehearsed => Tone::Good,
        StepPhase::ByHand | StepPhase::Skipped | StepPhase::Reverted => Tone::Warn,
        StepPhase::Failed | StepPhase::Blocked | StepPhase::Asking => Tone::Bad,
        _ => Tone::Plain,
    };
    let began =
        step.begun_at.map_or_else(String::new, |at| format!("+{}", length(seconds_between(run.started_at, at))));
    let before = step.before.as_ref().map_or_else(String::new, |before| length(before.seconds));
    let mut who: Vec<String> = step.confirmed_by.iter().map(ToString::to_string).collect();
    if !step.overridden.is_empty() {
        who.push(format!("OVERRODE {}", step.overridden.join(", ")));
    }
    let mut detail = step.detail.clone();
    if step.no_return {
        detail = format!("{detail} (no way back)");
    }
    let tries = if step.attempts == 0 { String::new() } else { step.attempts.to_string() };
    vec![
        Cell::code(step.id.as_str()),
        Cell::new(outcome, step.phase.word()),
        began.into(),
        step.seconds.map_or_else(String::new, length).into(),
        Cell::new(Tone::Quiet, before),
        tries.into(),
        who.join(", ").into(),
        detail.trim().into(),
    ]
}

fn differences(review: &Review) -> Section {
    let block = match review.differences.is_empty() {
        true if review.runs.iter().flat_map(|run| &run.steps).any(|step| step.before.is_some()) => {
            Block::Text("No step took clearly longer or less than the last time.".into())
        }
        true => Block::Text("There is nothing to compare with: no drill and no run of this plan came before.".into()),
        false => {
            let row = |it: &super::review::Difference| {
                let slower = it.seconds > it.before.seconds;
                let tone = if slower { Tone::Warn } else { Tone::Good };
                let change = it.seconds - it.before.seconds;
                let sign = if slower { "+" } else { "−" };
                vec![
                    Cell::code(it.step.as_str()),
                    length(it.seconds).into(),
                    length(it.before.seconds).into(),
                    Cell::new(tone, format!("{sign}{}", length(change.abs()))),
                    format!("{} of {}", it.before.of, moment(it.before.at)).into(),
                ]
            };
            let rows = review.differences.iter().map(row).collect();
            table(&["step", "#took", "#before", "#change", "compared with"], rows)
        }
    };
    Section::new("What differed from the last time", vec![block])
}

fn messages(review: &Review) -> Section {
    if review.messages.is_empty() {
        return Section::new("Messages", vec![Block::Text("Nobody was told anything by Mayday.".into())]);
    }
    let row = |(message, it): (&MessageReview, &DeliveryReview)| {
        let tone = match it.state {
            Delivered::Sent if !it.caveats.is_empty() => Tone::Warn,
            Delivered::Sent => Tone::Good,
            Delivered::Waiting | Delivered::Recalled => Tone::Warn,
            Delivered::Failed => Tone::Bad,
            Delivered::Unknown => Tone::Unknown,
        };
        let receipt = ["link", "id"].iter().find_map(|name| it.receipt.get(*name)).cloned().unwrap_or_default();
        let parts = if it.parts > 1 { format!(", {} of {} parts", it.sent, it.parts) } else { String::new() };
        vec![
            message.id.as_str().into(),
            it.channel.as_str().into(),
            Cell::new(tone, format!("{}{parts}", it.state)),
            it.at.map_or_else(String::new, time).into(),
            it.attempts.to_string().into(),
            Cell::code(receipt),
            it.fault.iter().chain(&it.caveats).cloned().collect::<Vec<_>>().join("; ").into(),
        ]
    };
    let all = review.messages.iter().flat_map(|message| message.deliveries.iter().map(move |it| (message, it)));
    let rows: Vec<Vec<Cell>> = all.map(row).collect();
    let mut blocks = vec![table(&["message", "channel", "outcome", "#UTC", "#tries", "receipt", "trouble"], rows)];
    for message in &review.messages {
        blocks.extend(message.texts.iter().map(|(audience, text)| Block::Quote {
            of: format!(
                "{} {} for {audience}, {} by {}: {}",
                message.id,
                message.purpose,
                time(message.at),
                message.by,
                text.subject
            ),
            lines: text.body.lines().map(str::to_owned).collect(),
        }));
    }
    Section::new("Messages", blocks)
}

fn checklist(review: &Review) -> Section {
    if review.checklist.is_empty() {
        return Section::new("Checklist", vec![Block::Text("Nothing of the checklist was looked at.".into())]);
    }
    let row = |it: &ItemReview| {
        let answer = match (it.answer, &it.against) {
            (Answer::Ticked, None) => Cell::new(Tone::Good, "ticked"),
            (Answer::Ticked, Some(_)) => Cell::new(Tone::Bad, "ticked against the evidence"),
            (Answer::Skipped, _) => Cell::new(Tone::Warn, "skipped"),
            (Answer::Open, _) => Cell::new(Tone::Warn, "open"),
        };
        let (tone, word) = describe::seen(it.evidence.unwrap_or(Evidence::Unknown));
        let seen = if it.detail.is_empty() { word.to_owned() } else { format!("{word}: {}", it.detail) };
        let who = it.by.as_ref().map_or_else(String::new, |by| by.name.clone());
        let at = it.at.map_or_else(String::new, time);
        vec![it.title.as_str().into(), answer, who.into(), at.into(), it.note.as_str().into(), Cell::new(tone, seen)]
    };
    let rows = review.checklist.iter().map(row).collect();
    Section::new("Checklist", vec![table(&["item", "answer", "who", "#UTC", "note", "what Mayday saw"], rows)])
}

fn people(review: &Review) -> Section {
    let rows = review
        .people
        .iter()
        .map(|it| vec![it.who.name.as_str().into(), it.did.join(", ").into(), moment(it.first_at).into()]);
    let rows: Vec<Vec<Cell>> = rows.collect();
    let facts = vec![
        ("Commander".into(), name(review.commander.as_ref())),
        ("Communications".into(), name(review.communications.as_ref())),
    ];
    Section::new("People", vec![Block::Facts(facts), table(&["who", "part", "first seen"], rows)])
}

fn name(actor: Option<&crate::domain::actor::Actor>) -> Cell {
    actor.map_or_else(|| Cell::new(Tone::Unknown, "nobody"), |actor| actor.name.as_str().into())
}

fn timeline(review: &Review) -> Section {
    Section::new("Timeline", vec![table(&["UTC", "who", "what"], review.timeline.iter().map(line).collect())])
}

fn journal(review: &Review) -> Section {
    let it = &review.journal;
    let hash = |hash: &Option<String>| hash.as_deref().map_or_else(|| Cell::new(Tone::Unknown, "not read"), Cell::code);
    let verified = match &it.verified {
        Verified::Whole { records, head } => Cell::new(
            Tone::Good,
            format!("the chain of all {records} records was recomputed and fits; its head is {head}"),
        ),
        Verified::Broken { why } => Cell::new(Tone::Bad, format!("ALTERED: {why}")),
        Verified::NotYet => Cell::new(Tone::Unknown, "not recomputed"),
    };
    let facts = vec![
        ("Records".into(), format!("{} to {}", it.first, it.last).into()),
        ("Hash of the first".into(), hash(&it.first_hash)),
        ("Hash of the last".into(), hash(&it.last_hash)),
        ("Verification".into(), verified),
        ("As of".into(), moment(review.as_of).into()),
    ];
    Section::new("Journal", vec![Block::Facts(facts)])
}
