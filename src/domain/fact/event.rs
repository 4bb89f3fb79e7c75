//! Events: everything that is ever known about an incident, in the order in which it became known.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::alert::Alert;
use super::backup::Worth;
use super::clocks::Clocks;
use super::comms::{Message, Split};
use super::drill::DrillResult;
use super::findings::{Baseline, Evidence};
use super::health::{Status, Trouble};
use super::process::Process;
use super::promise::Promise;
use super::readiness::Brief;
use super::recovery::RecoveryPoint;
use super::run::{GateCard, Instead, Mode, Outcome};
use super::system::Receipt;
use crate::domain::actor::Actor;
use crate::domain::clock::{Anchor, Drift};
use crate::domain::fault::Fault;
use crate::domain::ids::{
    BackupId, ChannelId, DrillId, IncidentId, ItemId, MessageId, ProbeId, RegionId, RunId, SessionId, StepId, SystemId,
};
use crate::domain::spec::checklist::Item;
use crate::domain::spec::plan::Plan;
use crate::domain::spec::severity::Severity;
use crate::domain::time::At;
use crate::domain::words::words;

/// One fact. Adding a variant or an optional field is compatible; a journal is never rewritten.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    /// A person took a journal that did not fit its anchor as it was.
    JournalAccepted {
        /// What was typed.
        phrase: String,
        /// What did not fit.
        what: String,
        /// How many records had been durable, and the chain's hash at the last of them.
        records: u64,
        head: String,
    },
    /// Of a newer Mayday, which alone knows what it means: read, shown and handed on, never acted on.
    Newer {
        kind: String,
        /// The whole record, as it was written.
        record: String,
    },
    /// A new engine took the journal over; cockpits that were armed are not any more.
    EngineStarted {
        version: String,
        /// Where its time stands by the uptime of its machine; `None` in journals from before this was kept, and where it is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        anchor: Option<Anchor>,
        /// How far its time is ahead of the wall clock, in seconds.
        #[serde(default, skip_serializing_if = "crate::domain::clock::agrees")]
        drift: Drift,
    },
    /// One of several engines that share the journal leads from here on.
    LeadTaken {
        engine: String,
        /// Raised by every lead.
        term: u64,
    },
    /// The wall clock has jumped, by so many seconds: negative is back. Nothing was stopped or rushed by it.
    ClockStepped {
        by: f64,
        /// How far the engine's time is ahead of it since.
        drift: Drift,
    },
    ProbeChanged {
        probe: ProbeId,
        to: Status,
        detail: String,
        /// When it was last seen healthy; `None` when it never was, as far as this life of the engine has seen.
        last_healthy: Option<At>,
        /// The stretch of trouble that it belongs to, of a probe that is not healthy; `None` in journals from before this was kept.
        #[serde(default)]
        trouble: Option<Trouble>,
    },
    BackupChanged {
        backup: BackupId,
        to: Worth,
        detail: String,
    },
    /// Other monitoring says something that it had not said before, or says it once more after a while.
    AlertHeard {
        alert: Box<Alert>,
    },
    /// The plans were held against reality.
    ReadinessAssessed {
        plans: Vec<Brief>,
    },
    CockpitArmed {
        session: SessionId,
    },
    CockpitDisarmed {
        session: SessionId,
    },
    HoldSet {
        reason: String,
    },
    HoldReleased {
        reason: String,
    },
    IncidentDeclared {
        incident: IncidentId,
        title: String,
        severity: Severity,
        clocks: Clocks,
        region: RegionId,
        points: BTreeMap<SystemId, RecoveryPoint>,
        /// It is practice: nobody outside is told, and every message says so.
        #[serde(default)]
        drill: bool,
        /// What it will be held against; `None` in journals from before this was kept.
        #[serde(default)]
        promise: Option<Box<Promise>>,
    },
    SeverityChanged {
        severity: Severity,
        reason: String,
    },
    TitleChanged {
        title: String,
    },
    CommandTaken {},
    /// Becomes the one who speaks for the incident.
    CommunicationsTaken {},
    /// Somebody works on it: by the page's own acknowledgement, or by a key here.
    PageAcknowledged {
        /// Who, and how it was learnt.
        by: String,
    },
    /// A message is fixed; it goes out at its `send_at` unless it is taken back.
    MessageComposed {
        message: Box<Message>,
    },
    MessageRecalled {
        message: MessageId,
    },
    /// The intent, durable before a part is tried.
    DeliveryTrying {
        message: MessageId,
        channel: ChannelId,
        part: u32,
        attempt: u32,
    },
    DeliverySent {
        message: MessageId,
        channel: ChannelId,
        part: u32,
        receipt: Receipt,
    },
    /// Nothing was sent; tried again at `at`, or not by itself.
    DeliveryFailed {
        message: MessageId,
        channel: ChannelId,
        part: u32,
        fault: Fault,
        at: Option<At>,
    },
    /// It may have been sent, and nobody can look: it is not sent again by itself.
    DeliveryUnknown {
        message: MessageId,
        channel: ChannelId,
        part: u32,
        fault: Fault,
    },
    /// Of a part only some were taken: the others become parts of their own.
    DeliverySplit {
        message: MessageId,
        channel: ChannelId,
        part: u32,
        rest: Vec<Split>,
    },
    /// A human has looked where Mayday cannot, and says whether what is not known has arrived.
    DeliverySettled {
        message: MessageId,
        channel: ChannelId,
        arrived: bool,
        reason: String,
    },
    /// A human has looked, and asked for another try of what failed or is not known.
    DeliveryRetried {
        message: MessageId,
        channel: ChannelId,
        reason: String,
    },
    /// How things were while they were well.
    BaselineTaken {
        baseline: Box<Baseline>,
    },
    /// The items in force for the incident that was just declared, and what is known of better times.
    ChecklistFixed {
        items: Vec<Item>,
        baseline: Box<Baseline>,
    },
    /// What was done has left something to do before the incident is over.
    ItemAdded {
        item: Item,
    },
    /// What Mayday sees of an item of the checklist has changed.
    ItemSeen {
        item: ItemId,
        evidence: Evidence,
        detail: String,
    },
    ItemTicked {
        item: ItemId,
        note: String,
        /// The evidence that stood against it, if it did; `note` is then the reason.
        against: Option<String>,
    },
    ItemSkipped {
        item: ItemId,
        reason: String,
    },
    /// It is open again.
    ItemReopened {
        item: ItemId,
        reason: String,
    },
    DrillEnded {
        drill: DrillId,
        result: Box<DrillResult>,
    },
    /// The engine begins one by itself: durable before it does, so that it never begins twice.
    DrillBegun {
        name: String,
    },
    /// What it began could not be played, or ended without a result.
    DrillLost {
        name: String,
        fault: Fault,
    },
    NoteAdded {
        text: String,
    },
    IncidentClosed {
        note: String,
    },
    RunStarted {
        run: RunId,
        plan: Arc<Plan>,
        mode: Mode,
        reason: String,
        unattended: bool,
    },
    StepPreparing {
        run: RunId,
        step: StepId,
    },
    /// It was observed, checked and previewed.
    StepPrepared {
        run: RunId,
        step: StepId,
        card: Box<GateCard>,
        verdict: Prepared,
        /// Of a gate that was open before: what this look says otherwise than the one before it, in what matters.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        differs: Vec<String>,
    },
    /// An open gate was looked at anew, and everything is as its card says.
    StepLookedAgain {
        run: RunId,
        step: StepId,
    },
    /// Somebody has answered a gate on evidence that was too old: it counts once the same is seen anew.
    GateAnswered {
        run: RunId,
        step: StepId,
    },
    GateConfirmed {
        run: RunId,
        step: StepId,
        /// No further answer is needed.
        cleared: bool,
        /// Answered by `--yes`.
        unattended: bool,
    },
    GuardsOverridden {
        run: RunId,
        step: StepId,
        guards: Vec<String>,
        reason: String,
        cleared: bool,
    },
    /// The first of two people wants it skipped, called done, or its guards overridden: nothing happens before the second does.
    SecondAwaited {
        run: RunId,
        step: StepId,
        wish: Instead,
        /// Of an override: the guards that the first has seen.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        guards: Vec<String>,
        reason: String,
    },
    /// The intent, durable before the change is tried.
    StepApplying {
        run: RunId,
        step: StepId,
        attempt: u32,
    },
    /// In which process the work of a step is done that is being applied or reverted: durable before the work begins.
    StepRunsAs {
        run: RunId,
        step: StepId,
        process: Process,
    },
    /// Which of several ways to its effect is gone after others did not answer, and how it was there before: durable before that change is
    /// tried.
    StepGoesBy {
        run: RunId,
        step: StepId,
        receipt: Receipt,
    },
    /// What a command of the operator's printed: its last lines, and the file that has more of it.
    StepPrinted {
        run: RunId,
        step: StepId,
        attempt: u32,
        lines: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
    },
    StepApplied {
        run: RunId,
        step: StepId,
        receipt: Receipt,
    },
    /// It may or may not have happened: it is observed before anything else.
    StepUncertain {
        run: RunId,
        step: StepId,
        fault: Fault,
    },
    /// After an uncertainty, reality said that it had not happened.
    StepNotDone {
        run: RunId,
        step: StepId,
        detail: String,
    },
    /// After an uncertainty, reality said that it happened or is happening.
    StepFound {
        run: RunId,
        step: StepId,
        detail: String,
    },
    /// Whether it happened cannot be told from outside.
    StepUnknowable {
        run: RunId,
        step: StepId,
        why: String,
    },
    StepVerified {
        run: RunId,
        step: StepId,
        detail: String,
        point: Option<RecoveryPoint>,
    },
    StepRetrying {
        run: RunId,
        step: StepId,
        fault: Fault,
        at: At,
    },
    StepFailed {
        run: RunId,
        step: StepId,
        fault: Fault,
    },
    /// An operator asked for another try.
    StepRetried {
        run: RunId,
        step: StepId,
        reason: String,
    },
    StepSkipped {
        run: RunId,
        step: StepId,
        reason: String,
    },
    StepDoneByHand {
        run: RunId,
        step: StepId,
        reason: String,
    },
    StepReverting {
        run: RunId,
        step: StepId,
        reason: String,
    },
    StepReverted {
        run: RunId,
        step: StepId,
        receipt: Receipt,
    },
    RunEnded {
        run: RunId,
        outcome: Outcome,
        reason: String,
        /// What the run was for; `None` in journals from before this was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<Mode>,
    },
    /// The whole run is taken back, step by step; an ended one is open again until it is.
    RunReverting {
        run: RunId,
        reason: String,
    },
    /// A step could not be taken back: a human decides how it goes on.
    RunRevertStopped {
        run: RunId,
        step: StepId,
        why: String,
    },
}

words! {
    /// What a preparation led to.
    Prepared {
        /// It is done already: nothing to do.
        AlreadyDone = "already-done",
        /// Somebody is at it already: only the effect is waited for.
        InProgress = "in-progress",
        /// Reality or a guard stands against it.
        Blocked = "blocked",
        /// A gate has to be answered.
        Gate = "gate",
        /// Nothing stands in its way.
        Clear = "clear",
        /// A rehearsal ends here.
        Rehearsed = "rehearsed",
    }
}

/// An event as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Record {
    /// Counts from 1 without gaps.
    pub seq: u64,
    pub at: At,
    pub actor: Actor,
    pub event: Event,
}

impl Record {
    /// A record from its JSON. What this Mayday does not know of a newer one becomes an [`Event::Newer`]: a chain that fits proves that it
    /// was written so.
    ///
    /// # Errors
    /// When it is no record of any Mayday's.
    pub fn read(text: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Kind {
            #[serde(rename = "type")]
            kind: String,
        }
        #[derive(Deserialize)]
        struct Frame {
            seq: u64,
            at: At,
            actor: Actor,
            event: Kind,
        }
        serde_json::from_slice(text).or_else(|_| {
            let Frame { seq, at, actor, event } = serde_json::from_slice(text)?;
            let record = String::from_utf8_lossy(text).into_owned();
            Ok(Self { seq, at, actor, event: Event::Newer { kind: event.kind, record } })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_a_newer_mayday_is_called_that_and_kept_whole() {
        let text = |event: &str| {
            format!(r#"{{"seq":7,"at":"2026-11-29T05:00:00Z","actor":{{"name":"x","uid":1}},"event":{event}}}"#)
        };
        let known = Record::read(text(r#"{"type":"note-added","text":"a"}"#).as_bytes()).unwrap();
        assert_eq!(known.event, Event::NoteAdded { text: "a".into() });
        for (event, named) in [
            (r#"{"type":"tide-turned","by":3}"#, "tide-turned"),
            (r#"{"type":"probe-changed","probe":"a","to":"glowing","detail":"","last_healthy":null}"#, "probe-changed"),
        ] {
            let written = text(event);
            let newer = Record::read(written.as_bytes()).unwrap();
            assert_eq!(newer.event, Event::Newer { kind: named.into(), record: written });
            assert_eq!(newer.seq, 7);
            let again = serde_json::to_vec(&newer).unwrap();
            assert_eq!(Record::read(&again).unwrap(), newer, "it can be handed on");
        }
        for nothing in ["", "{}", "x", r#"{"seq":1}"#] {
            Record::read(nothing.as_bytes()).unwrap_err();
        }
    }
}
