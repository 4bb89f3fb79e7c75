//! Commands: what is asked of the engine, by people and by its own effects; and why one is refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::alert::Alert;
use super::backup::Worth;
use super::comms::{Found, Handed, Parcel};
use super::drill::DrillResult;
use super::findings::{Baseline, Evidence};
use super::health::{Status, Trouble};
use super::process::Process;
use super::readiness::Brief;
use super::run::{Mode, Run};
use super::system::{Begun, Checked, Observed, Preview, Receipt, Verified};
use crate::domain::actor::{Actor, Origin};
use crate::domain::clock::{Anchor, Drift};
use crate::domain::fact::comms::HandOver;
use crate::domain::fault::Fault;
use crate::domain::ids::{BackupId, ChannelId, IncidentId, ItemId, MessageId, PlanId, ProbeId, RunId, StepId};
use crate::domain::spec::comms::{Audience, Purpose, Text};
use crate::domain::spec::plan::StepSpec;
use crate::domain::spec::severity::{Answers, Severity};
use crate::domain::time::At;

/// A command with its sender.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    pub actor: Actor,
    pub origin: Origin,
    pub command: Command,
}

/// What an operator can ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    Arm {},
    Disarm {},
    /// No new step starts until released.
    Hold {
        #[serde(default)]
        reason: String,
    },
    Release {
        #[serde(default)]
        reason: String,
    },
    Declare {
        title: String,
        severity: Severity,
        /// It is practice.
        #[serde(default)]
        drill: bool,
    },
    SetSeverity {
        severity: Severity,
        reason: String,
    },
    /// Correct the title of the incident: every message from now on has it.
    SetTitle {
        title: String,
    },
    /// Become the commander of the incident.
    TakeCommand {},
    Note {
        text: String,
    },
    CloseIncident {
        note: String,
        /// Why items of the checklist that are open stay so.
        #[serde(default)]
        despite: String,
        /// Tell everyone that it is resolved, with it.
        #[serde(default)]
        tell: bool,
    },
    /// Mayday looks at it anew first.
    TickItem {
        item: ItemId,
        /// The reason, where what Mayday sees stands against it.
        #[serde(default)]
        note: String,
    },
    SkipItem {
        item: ItemId,
        reason: String,
    },
    ReopenItem {
        item: ItemId,
        reason: String,
    },
    LookAtItem {
        item: ItemId,
    },
    StartRun {
        plan: PlanId,
        mode: Mode,
        #[serde(default)]
        reason: String,
        /// Answer the gates that the plan lets `--yes` answer.
        #[serde(default)]
        unattended: bool,
    },
    /// Look again: observation, guards and preview are made anew.
    Refresh {
        run: RunId,
        step: StepId,
    },
    Confirm {
        run: RunId,
        step: StepId,
        /// What a typed gate asked for.
        #[serde(default)]
        phrase: String,
        /// When the evidence was taken that was looked at: what has changed since is not confirmed.
        #[serde(default)]
        seen: Option<At>,
    },
    /// Go on although a guard stands against it.
    Override {
        run: RunId,
        step: StepId,
        /// `override ` and the phrase of the step.
        phrase: String,
        reason: String,
    },
    Retry {
        run: RunId,
        step: StepId,
        #[serde(default)]
        reason: String,
    },
    Skip {
        run: RunId,
        step: StepId,
        reason: String,
    },
    MarkDone {
        run: RunId,
        step: StepId,
        reason: String,
    },
    Revert {
        run: RunId,
        step: StepId,
        reason: String,
    },
    Abandon {
        run: RunId,
        reason: String,
    },

    /// What other monitoring says. Not for cockpits.
    TakeAlerts {
        alerts: Vec<Alert>,
    },

    /// What came of a drill that was played beside this engine. Not for cockpits.
    RecordDrill {
        result: Box<DrillResult>,
    },

    /// Tell everyone how things stand. It goes out when it can no longer be taken back.
    Tell {
        purpose: Purpose,
        /// In place of what Mayday would write.
        #[serde(default)]
        texts: BTreeMap<Audience, Text>,
        /// All when empty.
        #[serde(default)]
        audiences: Vec<Audience>,
        /// Put into what Mayday writes.
        #[serde(default)]
        note: String,
        /// One that was closed lately: that it holds, or is over. The open one when left out.
        #[serde(default)]
        incident: Option<IncidentId>,
        /// Why `resolved` is told while items of the checklist are open.
        #[serde(default)]
        despite: String,
    },
    /// Take a message back before it goes out.
    Recall {
        message: MessageId,
    },
    /// Try once more what failed or is not known, after somebody has looked.
    RetryDelivery {
        message: MessageId,
        channel: ChannelId,
        #[serde(default)]
        reason: String,
    },
    /// Say whether what is not known has arrived, after somebody has looked where Mayday cannot.
    SettleDelivery {
        message: MessageId,
        channel: ChannelId,
        arrived: bool,
        reason: String,
    },
    /// Work on it: the page needs nobody else.
    Acknowledge {},
    /// Become the one who speaks for the incident.
    TakeCommunications {},
    /// Tell the team who is to take over, with a brief of how things stand.
    HandOver {
        hand_over: HandOver,
        #[serde(default)]
        note: String,
    },
    /// Give the severity that the answers come to.
    AssessSeverity {
        answers: Answers,
    },
    /// Take back all that a run did, as far as that is possible.
    RevertRun {
        run: RunId,
        /// `revert ` and the plan; `override revert ` and the plan against what speaks against it.
        phrase: String,
        reason: String,
    },
}

/// What effects report back.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// The engine has replayed its journal.
    Started {
        version: String,
        /// Where its time stands, where that is known, and how far it is ahead of the wall clock.
        anchor: Option<Anchor>,
        drift: Drift,
    },
    /// One of several engines has taken the lead.
    Leads {
        engine: String,
        term: u64,
    },
    /// The wall clock has jumped against the engine's time, by so many seconds.
    ClockStepped {
        by: f64,
        drift: Drift,
    },
    Probe {
        probe: ProbeId,
        to: Status,
        detail: String,
        last_healthy: Option<At>,
        trouble: Option<Trouble>,
    },
    Backup {
        backup: BackupId,
        to: Worth,
        detail: String,
    },
    Readiness {
        plans: Vec<Brief>,
    },
    ItemSeen {
        item: ItemId,
        evidence: Evidence,
        detail: String,
    },
    /// How things are while they are well.
    BaselineTaken {
        baseline: Baseline,
    },
    /// Time has passed, and a rule of the plan is met by now.
    TriggerMet {},
    Prepared {
        run: RunId,
        step: StepId,
        outcome: Result<Box<Preparation>, Fault>,
    },
    /// A look by itself at a step whose gate is open.
    LookedAgain {
        run: RunId,
        step: StepId,
        outcome: Result<Box<Preparation>, Fault>,
    },
    /// What a command of the operator's printed while a step was applied or reverted.
    Printed {
        run: RunId,
        step: StepId,
        attempt: u32,
        lines: Vec<String>,
        file: Option<String>,
    },
    /// The process that will do a step's work stands ready, and has done nothing yet.
    RunsAs {
        run: RunId,
        step: StepId,
        attempt: u32,
        process: Process,
    },
    /// One of several ways is about to be gone, and nothing of it has been changed yet.
    GoesBy {
        run: RunId,
        step: StepId,
        attempt: u32,
        receipt: Receipt,
    },
    Applied {
        run: RunId,
        step: StepId,
        attempt: u32,
        outcome: Result<Receipt, Fault>,
    },
    Observed {
        run: RunId,
        step: StepId,
        outcome: Result<Observed, Fault>,
    },
    Verified {
        run: RunId,
        step: StepId,
        outcome: Result<Verified, Fault>,
    },
    Reverted {
        run: RunId,
        step: StepId,
        outcome: Result<Receipt, Fault>,
    },
    /// The pause before another try is over.
    RetryDue {
        run: RunId,
        step: StepId,
    },

    /// Time has passed, and a drill may be due by now.
    DrillsDue {},
    /// A drill that the engine began has ended; what came of it was recorded by itself.
    DrillOver {
        name: String,
        outcome: Result<(), Fault>,
    },

    /// What became of an attempt to deliver a part.
    Delivered {
        message: MessageId,
        channel: ChannelId,
        part: u32,
        attempt: u32,
        outcome: Result<Handed, Fault>,
    },
    /// Whether a part is with the vendor already.
    Looked {
        message: MessageId,
        channel: ChannelId,
        part: u32,
        outcome: Result<Found, Fault>,
    },
    /// Time has passed, and something of communications is due.
    CommsDue {},
}

/// What the preparation of a step found.
#[derive(Clone, Debug, PartialEq)]
pub struct Preparation {
    pub observed: Observed,
    pub preview: Preview,
    pub checked: Checked,
}

/// Anything that `decide` decides on.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    Ask(Ask),
    Report(Report),
}

/// What the shell has to do once the events are durable. Each effect ends in a [`Report`].
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Observe, check and preview.
    Prepare(Job),
    Apply(Job),
    /// Observe only: something may have happened.
    Observe(Job),
    Verify(Job),
    Revert(Job),
    /// Report `RetryDue` at this moment.
    RetryAt(Job, At),

    /// Play the drill of this name, and report `DrillOver`.
    Drill(String),

    /// Make one attempt to deliver a part.
    Deliver(Errand),
    /// Look whether a part has arrived.
    Find(Errand),
}

/// One part of one delivery, with all that is needed to make it.
#[derive(Clone, Debug, PartialEq)]
pub struct Errand {
    pub channel: ChannelId,
    pub attempt: u32,
    pub parcel: Parcel,
}

/// Which step an effect is for, with all it needs to act.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub run: RunId,
    pub step: StepSpec,
    pub attempt: u32,
    pub begun: Option<Begun>,
    pub way_back: WayBack,
}

impl Job {
    /// The job of a step as its run stands.
    pub fn of(run: &Run, step: &StepId) -> Option<Self> {
        let (spec, known) = (run.plan.step(step)?, run.step(step)?);
        let (attempt, begun) = (known.attempts, known.begun.clone());
        let way_back = if known.reverts > 1 { WayBack::Again } else { WayBack::First };
        Some(Self { run: run.id.clone(), step: spec.clone(), attempt, begun, way_back })
    }
}

/// What is known of earlier tries to take a step back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayBack {
    /// There was none.
    First,
    /// There was one, and a person wants another: whatever cannot be told, that person has looked at.
    Again,
    /// The engine died in the middle of one: nobody has looked.
    Resumed,
}

/// Why a command was refused: nothing happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, thiserror::Error)]
#[error("{why}{}", arrow(.next))]
pub struct Refusal {
    pub reason: RefusalReason,
    pub why: String,
    /// What to press or run next; may be empty.
    pub next: String,
}

fn arrow(next: &str) -> String {
    if next.is_empty() { String::new() } else { format!(" → {next}") }
}

/// The kinds of refusal, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalReason {
    ReadOnly,
    NotArmed,
    Held,
    NotFound,
    /// It does not fit the state of things (a gate that is not open, a second run).
    Conflict,
    WrongPhrase,
    ReasonMissing,
    SecondPerson,
    StaleEvidence,
    Unsafe,
}

impl Refusal {
    pub fn new(reason: RefusalReason, why: impl Into<String>, next: impl Into<String>) -> Self {
        Self { reason, why: why.into(), next: next.into() }
    }
}
