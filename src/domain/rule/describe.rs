//! The journal in words: one line an event, the same on the screen, on the command line and in the report.

use crate::domain::clock;
use crate::domain::fact::alert::Ringing;
use crate::domain::fact::backup::Worth;
use crate::domain::fact::comms::Message;
use crate::domain::fact::drill::DrillResult;
use crate::domain::fact::event::{Event, Prepared, Record};
use crate::domain::fact::findings::Evidence;
use crate::domain::fact::health::Status;
use crate::domain::fact::readiness::{Brief, Ready};
use crate::domain::fact::run::Mode;
use crate::domain::ids::{ChannelId, MessageId, StepId};
use crate::domain::words::words;

words! {
    /// How a line is meant, whatever it is drawn with.
    Tone {
        Quiet = "quiet",
        Plain = "plain",
        /// Somebody's own words.
        Strong = "strong",
        Good = "good",
        Warn = "warn",
        Bad = "bad",
        Unknown = "unknown",
        /// Under way.
        Busy = "busy",
        /// The frame of what follows: a run, a message.
        Accent = "accent",
    }
}

/// What was said, and how it is meant.
pub type Said = (Tone, String);

pub fn status(status: Status) -> (Tone, &'static str) {
    match status {
        Status::Healthy => (Tone::Good, "healthy"),
        Status::Degraded => (Tone::Warn, "degraded"),
        Status::Unknown => (Tone::Unknown, "unknown"),
        Status::Down => (Tone::Bad, "DOWN"),
    }
}

pub fn worth(worth: Worth) -> (Tone, &'static str) {
    match worth {
        Worth::Fresh => (Tone::Good, "fresh"),
        Worth::Weak => (Tone::Warn, "weak"),
        Worth::Unknown => (Tone::Unknown, "unknown"),
        Worth::Stale => (Tone::Bad, "STALE"),
        Worth::Missing => (Tone::Bad, "MISSING"),
    }
}

pub fn ready(ready: Ready) -> (Tone, &'static str) {
    match ready {
        Ready::Ready => (Tone::Good, "ready"),
        Ready::AtRisk => (Tone::Warn, "at risk"),
        Ready::Unknown => (Tone::Unknown, "unknown"),
        Ready::NotReady => (Tone::Bad, "NOT READY"),
    }
}

/// What a record says. A table: every event has its row, so that a new one cannot be forgotten.
pub fn describe(record: &Record) -> Said {
    use Event as E;
    use Tone::{Accent, Bad, Busy, Good, Plain, Quiet, Strong, Warn};
    match &record.event {
        E::EngineStarted { version, .. } => (Quiet, format!("engine {version} started")),
        E::LeadTaken { engine, .. } => (Plain, format!("the engine on {engine} leads from here on")),
        E::ClockStepped { by, drift } if drift.is_none() => {
            (Warn, format!("the wall clock {}, and is right again by the engine's time", clock::jumped(*by)))
        }
        E::ClockStepped { by, drift } => (Warn, format!("the wall clock {}; {}", clock::jumped(*by), drift.words())),
        E::JournalAccepted { phrase, what, .. } => (Bad, format!("took the journal as it is ({phrase}): {what}")),
        E::Newer { kind, .. } => (Tone::Unknown, format!("{kind}: of a newer Mayday, not understood by this one")),
        E::ProbeChanged { probe, to, detail, .. } => {
            let (tone, word) = status(*to);
            (tone, format!("{probe} {word} {detail}"))
        }
        E::BackupChanged { backup, to, detail } => {
            let (tone, word) = worth(*to);
            (tone, with(format!("backup {backup} {word}"), detail))
        }
        E::ReadinessAssessed { plans } => readiness(plans),
        E::CockpitArmed { .. } => (Quiet, "armed a cockpit".into()),
        E::CockpitDisarmed { .. } => (Quiet, "disarmed a cockpit".into()),
        E::HoldSet { reason } => (Warn, with("HOLD: nothing new starts", reason)),
        E::HoldReleased { reason } => (Good, with("hold released", reason)),
        E::IncidentDeclared { incident, title, severity, drill, .. } => {
            let practice = if *drill { " (drill)" } else { "" };
            (Bad, format!("declared {incident} {severity}{practice}: {title}"))
        }
        E::SeverityChanged { severity, reason } => (Warn, with(format!("severity is {severity}"), reason)),
        E::TitleChanged { title } => (Plain, format!("the title is now: {title}")),
        E::CommandTaken {} => (Plain, "took command".into()),
        E::CommunicationsTaken {} => (Plain, "took communications".into()),
        E::PageAcknowledged { by } => (Good, with("page acknowledged", by)),
        E::MessageComposed { message } => (Accent, composed(message)),
        E::MessageRecalled { message } => (Warn, format!("{message} taken back before it was sent")),
        E::DeliveryTrying { message, channel, part, attempt } => {
            let words = if *attempt > 1 { format!("sending, attempt {attempt}") } else { "sending".into() };
            (Quiet, to(message, channel, *part, words))
        }
        E::DeliverySent { message, channel, part, .. } => (Good, to(message, channel, *part, "sent")),
        E::DeliveryFailed { message, channel, part, fault, at: Some(_) } => {
            (Warn, to(message, channel, *part, format!("not sent, will try again: {}", fault.what)))
        }
        E::DeliveryFailed { message, channel, part, fault, at: None } => {
            (Bad, to(message, channel, *part, format!("not sent: {}", fault.what)))
        }
        E::DeliveryUnknown { message, channel, part, fault } => {
            (Warn, to(message, channel, *part, format!("may have been sent: {}", fault.what)))
        }
        E::DeliverySplit { message, channel, part, rest } => {
            let (count, why) = (rest.iter().map(|it| it.only.len()).sum::<usize>(), rest.first().map(|it| &*it.why));
            let words = format!("{count} of it not taken yet: {}", why.unwrap_or_default());
            (Quiet, to(message, channel, *part, words))
        }
        E::DeliverySettled { message, channel, arrived: true, reason } => {
            (Good, with(to(message, channel, 0, "has arrived, by the word of a person"), reason))
        }
        E::DeliverySettled { message, channel, arrived: false, reason } => {
            (Bad, with(to(message, channel, 0, "has NOT arrived, by the word of a person"), reason))
        }
        E::DeliveryRetried { message, channel, reason } => {
            (Plain, with(to(message, channel, 0, "asked to be sent again"), reason))
        }
        E::ItemSeen { item, evidence, detail } => {
            let (tone, word) = seen(*evidence);
            (tone, with(format!("{item}: {word}"), detail))
        }
        E::ItemAdded { item } => (Warn, with(format!("{}: to do before the end", item.id), &item.title)),
        E::ItemTicked { item, note, against: None } => (Good, with(format!("{item}: ticked"), note)),
        E::ItemTicked { item, note, against: Some(evidence) } => {
            (Warn, with(format!("{item}: ticked AGAINST “{evidence}”"), note))
        }
        E::ItemSkipped { item, reason } => (Warn, with(format!("{item}: skipped"), reason)),
        E::ItemReopened { item, reason } => (Warn, with(format!("{item}: open again"), reason)),
        E::ChecklistFixed { items, baseline } => {
            let known = format!("{} latencies and {} counts", baseline.latencies.len(), baseline.tallies.len());
            (Quiet, format!("{} items to check before the end; baseline from before: {known}", items.len()))
        }
        E::BaselineTaken { baseline } => {
            (Quiet, format!("baseline saved: {} probes, {} counts", baseline.latencies.len(), baseline.tallies.len()))
        }
        E::DrillEnded { drill, result } => drilled(drill.as_str(), result),
        E::DrillBegun { name } => (Busy, format!("the drill {name} is due: it begins by itself")),
        E::DrillLost { name, fault } => (Bad, format!("the drill {name} came to nothing: {}", fault.what)),
        E::AlertHeard { alert } => {
            let tone = match alert.is {
                Ringing::Firing => Warn,
                Ringing::Unknown => Tone::Unknown,
                Ringing::Resolved => Good,
            };
            (tone, format!("alert of {} {}: {}", alert.source, alert.is, alert.words()))
        }
        E::NoteAdded { text } => (Strong, format!("note: {text}")),
        E::IncidentClosed { note } => (Good, with("incident closed", note)),
        E::RunStarted { run, plan, mode: Mode::Rehearsal, reason, .. } => {
            (Plain, with(format!("started a rehearsal of {} as {run}: nothing is changed", plan.id), reason))
        }
        E::RunStarted { run, plan, mode, reason, .. } => {
            (Accent, with(format!("started {} ({mode}) as {run}", plan.id), reason))
        }
        E::StepPreparing { step, .. } => on(step, Quiet, "looking"),
        E::StepPrepared { step, differs, .. } if !differs.is_empty() => {
            on(step, Warn, format!("gate open, and it has CHANGED: {}", differs.join("; ")))
        }
        E::StepPrepared { step, card, verdict, .. } => {
            let (tone, words) = prepared(card.observed.words(), &card.summary, *verdict);
            on(step, tone, words)
        }
        E::StepLookedAgain { step, .. } => on(step, Quiet, "looked again: nothing has changed"),
        E::GateAnswered { step, .. } => {
            on(step, Plain, "confirmed on old evidence: counts once the same is seen again")
        }
        E::GateConfirmed { step, cleared: false, .. } => on(step, Plain, "confirmed by one of two"),
        E::GateConfirmed { step, unattended: true, .. } => on(step, Plain, "gate answered by --yes"),
        E::GateConfirmed { step, .. } => on(step, Plain, "gate confirmed"),
        E::GuardsOverridden { step, guards, reason, .. } => {
            on(step, Warn, with(format!("OVERRODE {}", guards.join(", ")), reason))
        }
        E::SecondAwaited { step, wish, reason, .. } => {
            on(step, Warn, with(format!("one of two people wants {}", wish.words()), reason))
        }
        E::StepApplying { step, attempt: 1, .. } => on(step, Busy, "applying"),
        E::StepApplying { step, attempt, .. } => on(step, Busy, format!("applying, attempt {attempt}")),
        E::StepRunsAs { step, process, .. } => on(step, Quiet, format!("runs as process {}", process.pid)),
        E::StepGoesBy { step, receipt, .. } => {
            on(step, Warn, format!("goes on by {}", receipt.get("way").map_or("another way", String::as_str)))
        }
        E::StepPrinted { step, lines, file, .. } => {
            let last = lines.last().map(String::as_str).unwrap_or_default();
            let kept = file.as_ref().map(|file| format!(" (all of it: {file})")).unwrap_or_default();
            on(step, Quiet, format!("printed: {last}{kept}"))
        }
        E::StepApplied { step, .. } => on(step, Busy, "applied; waiting for the effect"),
        E::StepUncertain { step, fault, .. } => on(step, Warn, format!("may have happened: {}", fault.what)),
        E::StepNotDone { step, detail, .. } => on(step, Plain, format!("had not happened: {detail}")),
        E::StepFound { step, detail, .. } => on(step, Plain, detail.as_str()),
        E::StepUnknowable { step, why, .. } => on(step, Warn, format!("cannot tell: {why}")),
        E::StepVerified { step, detail, .. } => on(step, Good, with("done", detail)),
        E::StepRetrying { step, fault, .. } => on(step, Warn, format!("will try again: {}", fault.what)),
        E::StepFailed { step, fault, .. } => on(step, Bad, format!("failed: {}", fault.what)),
        E::StepRetried { step, reason, .. } => on(step, Plain, with("retried", reason)),
        E::StepSkipped { step, reason, .. } => on(step, Warn, with("skipped", reason)),
        E::StepDoneByHand { step, reason, .. } => on(step, Good, with("done by hand", reason)),
        E::StepReverting { step, reason, .. } => on(step, Warn, with("reverting", reason)),
        E::StepReverted { step, .. } => on(step, Warn, "reverted"),
        E::RunReverting { run, reason } => (Warn, with(format!("{run} is taken back"), reason)),
        E::RunRevertStopped { run, step, why } => (Bad, format!("{run} could not be taken back at {step}: {why}")),
        E::RunEnded { run, outcome, reason, mode: Some(Mode::Rehearsal) } => {
            (Plain, with(format!("{run} rehearsal {outcome}, nothing was changed"), reason))
        }
        E::RunEnded { run, outcome, reason, mode: Some(Mode::Drill) } => {
            (Accent, with(format!("{run} drill {outcome}"), reason))
        }
        E::RunEnded { run, outcome, reason, .. } => (Accent, with(format!("{run} {outcome}"), reason)),
    }
}

/// Whether it only leads up to something that is told anyway: whoever reads what happened can do without it.
pub fn is_passing(event: &Event) -> bool {
    match event {
        Event::CockpitArmed { .. } | Event::CockpitDisarmed { .. } | Event::ReadinessAssessed { .. } => true,
        Event::BaselineTaken { .. } | Event::ChecklistFixed { .. } => true,
        Event::StepLookedAgain { .. } => true,
        Event::StepPreparing { .. } | Event::StepRunsAs { .. } | Event::StepPrinted { .. } => true,
        Event::DeliveryTrying { .. } | Event::DeliverySplit { .. } => true,
        Event::StepPrepared { verdict, .. } => *verdict == Prepared::Clear,
        _ => false,
    }
}

fn on(step: &StepId, tone: Tone, words: impl AsRef<str>) -> Said {
    (tone, format!("{step}: {}", words.as_ref()))
}

/// Parts are batches of recipients; the first needs no number.
fn to(message: &MessageId, channel: &ChannelId, part: u32, words: impl AsRef<str>) -> String {
    let part = if part > 0 { format!(", part {}", part + 1) } else { String::new() };
    format!("{message} to {channel}{part}: {}", words.as_ref())
}

pub fn seen(evidence: Evidence) -> (Tone, &'static str) {
    match evidence {
        Evidence::Pass => (Tone::Good, "holds"),
        Evidence::Fail => (Tone::Bad, "does NOT hold"),
        Evidence::Unknown => (Tone::Unknown, "cannot be seen"),
    }
}

fn composed(message: &Message) -> String {
    let audiences: Vec<&str> = message.texts.keys().map(|audience| audience.word()).collect();
    let subject = message.texts.values().next().map_or("", |text| text.subject.as_str());
    with(format!("{} {} for {}", message.id, message.purpose, audiences.join(", ")), subject)
}

fn drilled(drill: &str, result: &DrillResult) -> Said {
    let failed: Vec<&str> = result.stages.iter().filter(|it| !it.1).map(|(stage, _, _)| stage.word()).collect();
    match result.passed {
        true => (Tone::Good, format!("{drill} {} passed", result.name)),
        false => (Tone::Bad, with(format!("{drill} {} FAILED", result.name), &failed.join(", "))),
    }
}

/// The plan that is worst off speaks for all.
fn readiness(plans: &[Brief]) -> Said {
    let Some(worst) = plans.iter().max_by_key(|it| (it.ready, std::cmp::Reverse(it.score))) else {
        return (Tone::Quiet, "no plan to hold against reality".into());
    };
    let (tone, word) = ready(worst.ready);
    let others = if plans.len() > 1 { format!(", worst of {} plans", plans.len()) } else { String::new() };
    let what = match worst.ready {
        Ready::Ready if plans.len() > 1 => format!("all {} plans are ready", plans.len()),
        _ => format!("{} {word}, {} of 100{others}", worst.plan, worst.score),
    };
    let tone = if worst.ready == Ready::Ready { Tone::Quiet } else { tone };
    (tone, with(what, &worst.reasons.join(", ")))
}

fn prepared(observed: &str, summary: &str, verdict: Prepared) -> Said {
    match verdict {
        Prepared::AlreadyDone => (Tone::Plain, with("done already", observed)),
        Prepared::InProgress => (Tone::Plain, with("under way", observed)),
        Prepared::Blocked => (Tone::Bad, with("BLOCKED", observed)),
        Prepared::Gate => (Tone::Warn, with("gate open", summary)),
        Prepared::Clear => (Tone::Quiet, "nothing in its way".into()),
        Prepared::Rehearsed => (Tone::Plain, with("rehearsed", summary)),
    }
}

fn with(what: impl Into<String>, detail: &str) -> String {
    let what = what.into();
    if detail.is_empty() { what } else { format!("{what}: {detail}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::actor::Actor;
    use crate::domain::fault::Fault;
    use crate::domain::time::At;

    fn said(event: Event) -> Said {
        describe(&Record { seq: 1, at: At::UNIX_EPOCH, actor: Actor::engine(), event })
    }

    #[test]
    fn what_may_be_wrong_is_never_said_as_if_it_were_right() {
        let fault = Fault::ambiguous("slack", "the answer never came");
        let (message, channel) = (MessageId::from("INC-1.m1"), ChannelId::from("ops"));
        let unknown = Event::DeliveryUnknown { message: message.clone(), channel: channel.clone(), part: 2, fault };
        let words = "INC-1.m1 to ops, part 3: may have been sent: the answer never came".to_owned();
        assert_eq!(said(unknown), (Tone::Warn, words));
        let failed = Event::DeliveryFailed {
            message,
            channel,
            part: 0,
            fault: Fault::permanent("slack", "channel_not_found"),
            at: None,
        };
        assert_eq!(said(failed), (Tone::Bad, "INC-1.m1 to ops: not sent: channel_not_found".into()));
        let ticked = |against| Event::ItemTicked { item: "access".into(), note: "seen by Ben".into(), against };
        assert_eq!(said(ticked(None)).0, Tone::Good);
        let (tone, words) = said(ticked(Some("login fails".into())));
        assert_eq!((tone, words.as_str()), (Tone::Warn, "access: ticked AGAINST “login fails”: seen by Ben"));
        let unseen = Event::ItemSeen { item: "access".into(), evidence: Evidence::Unknown, detail: String::new() };
        assert_eq!(said(unseen), (Tone::Unknown, "access: cannot be seen".into()));
    }

    #[test]
    fn one_of_two_answers_is_not_a_confirmation() {
        let gate =
            |cleared, unattended| Event::GateConfirmed { run: "R".into(), step: "promote".into(), cleared, unattended };
        assert_eq!(said(gate(false, false)).1, "promote: confirmed by one of two");
        assert_eq!(said(gate(true, true)).1, "promote: gate answered by --yes");
        assert_eq!(said(gate(true, false)).1, "promote: gate confirmed");
    }

    #[test]
    fn the_worst_plan_speaks_for_all() {
        let brief = |plan: &str, ready, score| Brief {
            plan: plan.into(),
            ready,
            score,
            reasons: vec!["move-dns: access".into()],
        };
        let event = Event::ReadinessAssessed {
            plans: vec![
                brief("a", Ready::AtRisk, 90),
                brief("b", Ready::NotReady, 80),
                brief("c", Ready::NotReady, 85),
            ],
        };
        let words = "b NOT READY, 80 of 100, worst of 3 plans: move-dns: access".to_owned();
        assert_eq!(said(event), (Tone::Bad, words));
    }
}
