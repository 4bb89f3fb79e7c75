//! `mayday failover`: a run, followed line by line, and judged at its end.

use std::fmt::Write;

use serde_json::{Value, json};

use super::exit::Exit;
use super::status;
use super::steps::{steps_json, steps_table};
use super::text::clock;
use crate::domain::describe::{describe, is_passing};
use crate::domain::event::Record;
use crate::domain::plan::{Gate, StepSpec};
use crate::domain::run::{Mode, Outcome, Run, StepPhase, StepRun};
use crate::domain::system::GuardVerdict;
use crate::domain::time::seconds_between;
use crate::domain::view::Snapshot;

/// One line of progress for a record, or none if it says nothing new: how long it has been, against what was promised.
pub fn progress(view: &Snapshot, record: &Record) -> Option<String> {
    if is_passing(&record.event) {
        return None;
    }
    let (_, what) = describe(record);
    let who = if record.actor.uid.is_some() { format!(" ({})", record.actor) } else { String::new() };
    Some(format!("{}  {what}{who}", elapsed(view, record)))
}

/// `0:42 of 5:00` since the disruption for the tier that is due next, or the time of day outside an incident.
fn elapsed(view: &Snapshot, record: &Record) -> String {
    let next = status::rto(view).into_iter().filter(|it| !it.recovered).min_by(|a, b| a.target.total_cmp(&b.target));
    let clocks = view.state.incident.as_ref().map(|incident| &incident.clocks);
    let since = next.and_then(|it| Some((seconds_between(*clocks?.t0.get(&it.tier)?, record.at), it)));
    match since {
        Some((seconds, it)) => format!("{:>6} of {:<5} {:<8}", clock(seconds), clock(it.target), it.tier),
        None => format!("{:>24}", record.at.strftime("%T UTC")),
    }
}

/// What a gate shows, for a terminal.
pub fn card(spec: &StepSpec, step: &StepRun) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = compose_card(&mut out, spec, step);
    out
}

fn compose_card(out: &mut String, spec: &StepSpec, step: &StepRun) -> std::fmt::Result {
    let Some(card) = &step.card else { return Ok(()) };
    writeln!(out, "\n  {} — {}", spec.id, spec.title)?;
    writeln!(out, "  {}", card.summary)?;
    card.diff.iter().try_for_each(|line| writeln!(out, "    {line}"))?;
    if let Some((class, loss)) = &card.loss {
        writeln!(out, "  expected loss: {} of {class} data", super::text::loss(*loss))?;
    }
    writeln!(out, "  undo: {}", card.undo)?;
    for guard in &card.guards {
        let word = match guard.verdict {
            GuardVerdict::Pass => "ok    ",
            GuardVerdict::Warn => "warn  ",
            GuardVerdict::Block => "BLOCKS",
        };
        writeln!(out, "  {word} {}: {}", guard.name, guard.detail)?;
    }
    Ok(())
}

/// What an operator at a plain terminal is asked at a gate.
pub fn question(spec: &StepSpec) -> String {
    match spec.gate {
        Gate::Typed => format!("  type {} to go on, or nothing to leave it: ", spec.phrase),
        _ => "  type y to go on, or nothing to leave it: ".into(),
    }
}

/// Whether the answer goes on.
pub fn is_yes(spec: &StepSpec, answer: &str) -> bool {
    match spec.gate {
        Gate::Typed => answer.trim() == spec.phrase,
        _ => matches!(answer.trim(), "y" | "Y" | "yes"),
    }
}

/// What somebody has to do for a run that goes no further by itself.
pub fn waiting(run: &Run) -> String {
    let mut out = String::from("The run waits for a human:\n");
    for (spec, step) in
        run.in_order().filter(|(_, step)| step.phase.waits_for_human() || step.phase == StepPhase::Reverted)
    {
        let (id, phrase) = (&spec.id, &spec.phrase);
        let next = match step.phase {
            StepPhase::Gated if spec.gate == Gate::Typed => format!("mayday step confirm {id} --phrase {phrase}"),
            StepPhase::Gated => format!("mayday step confirm {id}"),
            StepPhase::Blocked => format!(
                "fix it and `mayday step retry {id}`, or `mayday step override {id} --phrase 'override {phrase}' --reason …`"
            ),
            StepPhase::Asking => {
                format!("look by hand, then `mayday step done {id} --reason …` or `mayday step retry {id} --reason …`")
            }
            _ => format!("mayday step retry|skip|done|revert {id} --reason …"),
        };
        // A fault also says on which system, what it means, and how to mend it.
        let why = step.fault.as_ref().map_or_else(|| step.detail.clone(), ToString::to_string);
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {id} is {}: {why}\n    → {next}", step.phase);
    }
    out.push_str("It goes on from wherever it is answered; follow it with `mayday failover follow`.\n");
    out
}

/// How fast what was played on lived: at another pace than that of life no length says whether an objective would be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    OfLife,
    Another,
}

/// The end of a run, for people.
pub fn summary(view: &Snapshot, run: &Run, pace: Pace) -> String {
    let verdicts = match (run.mode.acts(), pace) {
        (false, _) => String::new(),
        (true, Pace::OfLife) => format!("\n{}", status::verdicts(view)),
        (true, Pace::Another) => format!("\n{}", status::judged(view, |_| "not comparable")),
    };
    format!("\n{}{verdicts}", steps_table(run))
}

/// The end of a run, for programs.
pub fn summary_json(view: &Snapshot, run: &Run) -> Value {
    json!({
        "run": run.id, "plan": run.plan.id, "mode": run.mode, "outcome": run.outcome,
        "waits_for_human": run.waits_for_human(view.state.hold.is_some()), "incident": view.state.incident.as_ref().map(|it| &it.id),
        "steps": steps_json(run), "rto": status::rto(view), "rpo": status::rpo(view),
    })
}

/// What the program's exit says of a run.
pub fn judge(view: &Snapshot, run: &Run) -> Exit {
    match run.outcome {
        None => Exit::WaitsForHuman,
        Some(Outcome::Abandoned | Outcome::Reverted) => Exit::Failed,
        Some(Outcome::Completed) if run.mode == Mode::Rehearsal => Exit::Ok,
        Some(Outcome::Completed) => {
            let touched =
                |tier: &crate::domain::estate::Tier| run.plan.steps.iter().any(|step| step.recovers.contains(tier));
            let rto = status::rto(view).into_iter().filter(|it| touched(&it.tier)).all(|it| it.met == Some(true));
            let moved = |class| run.plan.steps.iter().any(|step| step.class == Some(class));
            let rpo = status::rpo(view).into_iter().filter(|it| moved(it.class)).all(|it| it.met == Some(true));
            if rto && rpo { Exit::Ok } else { Exit::ObjectiveMissed }
        }
    }
}
