//! What `-o json` prints where it is put together from several values. A test holds each against what is really printed, key by key.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;

use crate::cli::connect::Tried;
use crate::config::{LeftOut, Mistake};
use crate::domain::actor::Actor;
use crate::domain::alert::Alert;
use crate::domain::backup::{BackupCopy, Worth};
use crate::domain::checklist::{Answer, Evidence, ItemLook, Reopened, Seen, Standing};
use crate::domain::comms::{Acknowledged, Message, Outside, PartPhase, Proposal};
use crate::domain::contacts::{Contact, OnCallLive, Support};
use crate::domain::estate::{DataClass, Estate, RegionRole, Tier};
use crate::domain::event::Event;
use crate::domain::health;
use crate::domain::hidden::HiddenDependency;
use crate::domain::ids::{
    BackupId, ChannelId, IncidentId, ItemId, PlanId, ProbeId, RegionId, RunId, ServiceId, StepId, SystemId,
};
use crate::domain::incident::Incident;
use crate::domain::journal::Chain;
use crate::domain::lead::Engines;
use crate::domain::live::SurveyLive;
use crate::domain::readiness::{Brief, Finding, Ready};
use crate::domain::run::{Mode, Outcome, StepPhase};
use crate::domain::schedule::{Drill, DrillSpec, Due};
use crate::domain::state::Hold;
use crate::domain::system::Fault;
use crate::domain::target::Choice;
use crate::domain::time::{At, Span};
use crate::domain::trigger::Trigger;
use crate::domain::verdict::{RpoVerdict, RtoVerdict};
use crate::domain::wayback::Unprotected;

/// An alert of other monitoring.
#[derive(JsonSchema)]
pub struct AlertNow {
    pub alert: Alert,
    /// When Mayday first heard that it is so, and when for the last time.
    pub since: At,
    pub last: At,
    /// It was not repeated for longer than it may be.
    pub old: bool,
    /// It counts for a trigger.
    pub counts: bool,
}

/// How things stand, as of the engine's clock.
#[derive(JsonSchema)]
pub struct StatusAnswer {
    pub now: At,
    /// Its name.
    pub estate: String,
    /// The region that clients are sent to.
    pub serving: RegionId,
    pub hold: Option<Hold>,
    pub incident: Option<Incident>,
    /// The latest run.
    pub run: Option<RunNow>,
    /// The rules of the plan whose condition holds.
    pub triggers: Vec<Trigger>,
    /// What other monitoring says, and is not resolved.
    pub alerts: Vec<AlertNow>,
    pub rto: Vec<RtoVerdict>,
    pub rpo: Vec<RpoVerdict>,
    pub regions: Vec<RegionNow>,
    pub services: Vec<ServiceNow>,
    /// Of everything that is not healthy, what was seen of it.
    pub why: Vec<WhyNow>,
    /// Only where a probe takes the way that clients take.
    pub clients_path: Vec<ClientsPathNow>,
    /// Every probe, with what it says now.
    pub probes: Vec<ProbeNow>,
    pub datastores: Vec<DatastoreNow>,
    pub backups: Vec<BackupNow>,
    pub exposure: BTreeMap<DataClass, Exposure>,
    pub readiness: Vec<ReadinessNow>,
    pub checklist: ChecklistAnswer,
    pub way_back: WayBackAnswer,
    /// Why the journal cannot be written, while it cannot.
    pub journal_fault: Option<String>,
    /// The engines that share the journal; nothing where this is the only one.
    pub engines: Option<Engines>,
    pub clock: ClockNow,
    pub journal: Option<Chain>,
    /// The files of the config that are not what was loaded, by name.
    pub config_changed: Vec<String>,
    /// What the open incident, or the last closed one, has left open outside.
    pub outside: Option<Outside>,
}

/// The engine's own time against the wall clock.
#[derive(JsonSchema)]
pub struct ClockNow {
    /// Negative is behind.
    pub ahead_of_wall_seconds: f64,
    /// What to know of it; nothing while both agree.
    pub words: Option<String>,
}

/// What was last seen of a service along the clients' path.
#[derive(JsonSchema)]
pub struct ClientsPathNow {
    pub id: ServiceId,
    pub status: health::Status,
    pub detail: Option<String>,
}

#[derive(JsonSchema)]
pub struct RunNow {
    pub id: RunId,
    pub plan: PlanId,
    pub mode: Mode,
    pub open: bool,
    pub outcome: Option<Outcome>,
    pub waits_for_human: bool,
    pub steps: Vec<StepNow>,
}

#[derive(JsonSchema)]
pub struct StepNow {
    pub id: StepId,
    pub title: String,
    pub kind: String,
    pub phase: StepPhase,
    pub attempts: u32,
    /// From the first attempt to the end.
    pub seconds: Option<f64>,
    pub detail: String,
    pub fault: Option<Fault>,
}

#[derive(JsonSchema)]
pub struct RegionNow {
    pub id: RegionId,
    pub role: RegionRole,
    pub status: health::Status,
    pub tiers: BTreeMap<Tier, health::Status>,
}

#[derive(JsonSchema)]
pub struct ServiceNow {
    pub id: ServiceId,
    pub tier: Tier,
    pub regions: BTreeMap<RegionId, health::Status>,
}

/// What one probe says now.
#[derive(JsonSchema)]
pub struct ProbeNow {
    pub id: ProbeId,
    pub kind: String,
    /// The service, system or region that it looks at.
    pub subject: String,
    pub region: Option<RegionId>,
    pub status: health::Status,
    /// When it looked last; `null` when it has not, or that is too long ago.
    pub at: Option<At>,
    pub since: Option<At>,
    pub latency_ms: Option<u32>,
    pub detail: String,
}

/// Why a service in a region is not healthy, or the region itself.
#[derive(JsonSchema)]
pub struct WhyNow {
    /// `null`: the region itself.
    pub service: Option<ServiceId>,
    pub region: RegionId,
    pub status: health::Status,
    /// The probe that says the worst.
    pub probe: ProbeId,
    pub detail: String,
}

#[derive(JsonSchema)]
pub struct DatastoreNow {
    pub id: SystemId,
    pub class: Option<DataClass>,
    pub live: Option<SurveyLive>,
}

#[derive(JsonSchema)]
pub struct ReadinessNow {
    pub at: At,
    pub plan: Brief,
}

/// By class of data; seconds, and `null` is unknown.
#[derive(JsonSchema)]
pub struct Exposure {
    /// What would be lost if the serving region vanished.
    pub region_lost_seconds: Option<f64>,
    /// How old the data would be after a restore.
    pub restored_seconds: Option<f64>,
    pub rpo: Option<Span>,
}

/// Who leads and who follows.
#[derive(JsonSchema)]
pub struct EnginesAnswer {
    pub now: At,
    /// Whether several engines share the journal.
    pub shared: bool,
    /// The part of the engine that answers.
    pub part: String,
    /// What is wrong; nothing if nothing is.
    pub trouble: Option<String>,
    pub engines: Option<Engines>,
}

/// The backups, and what each is worth.
#[derive(JsonSchema)]
pub struct BackupsAnswer {
    pub now: At,
    pub backups: Vec<BackupNow>,
    pub exposure: BTreeMap<DataClass, Exposure>,
}

#[derive(JsonSchema)]
pub struct BackupNow {
    pub id: BackupId,
    pub title: String,
    pub subject: SystemId,
    pub class: Option<DataClass>,
    pub worth: Worth,
    pub reasons: Vec<String>,
    /// The newest moment that can be restored to.
    pub point: Option<At>,
    pub age_seconds: Option<f64>,
    pub allowed: Option<Span>,
    pub retention: Option<Span>,
    pub regions: Option<BTreeSet<RegionId>>,
    /// When it was looked at.
    pub seen: Option<At>,
    /// Why it could not be looked at.
    pub fault: Option<String>,
    pub copies: Option<Vec<BackupCopy>>,
}

/// A plan held against reality.
#[derive(JsonSchema)]
pub struct ReadyAnswer {
    pub plan: PlanId,
    pub at: At,
    pub ready: Ready,
    /// From 0 to 100.
    pub score: u32,
    pub findings: Vec<Finding>,
}

/// Why a command failed; nothing else is printed then, or only what was found before.
#[derive(JsonSchema)]
pub struct FailureAnswer {
    /// What happened, and what to run next.
    pub error: String,
    /// The exit code.
    pub exit: u8,
    /// What that exit code means.
    pub meaning: String,
}

/// Plans held against reality without a region.
#[derive(JsonSchema)]
pub struct WithoutAnswer {
    pub without: RegionId,
    /// All plans, and what Mayday itself depends on.
    pub ready: Ready,
    pub plans: Vec<ReadyAnswer>,
    /// The worst first.
    pub hidden: Vec<HiddenDependency>,
}

/// Whom to call.
#[derive(JsonSchema)]
pub struct ContactsAnswer {
    pub on_call: OnCallLive,
    pub escalation: Vec<Contact>,
    pub aws_support: Option<Support>,
}

/// A plan in a line.
#[derive(JsonSchema)]
pub struct PlanLine {
    pub id: PlanId,
    pub title: String,
    pub about: String,
    pub steps: u32,
    /// Of a plan that leads to one of several regions: how that one stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
}

/// The post-recovery checks.
#[derive(JsonSchema)]
pub struct ChecklistAnswer {
    /// `null` in peace: the items are those that would be asked then.
    pub incident: Option<IncidentId>,
    pub open: u32,
    pub items: Vec<ItemNow>,
}

/// An item; in peace only its words.
#[derive(JsonSchema)]
pub struct ItemNow {
    pub id: ItemId,
    pub title: String,
    pub what: String,
    pub why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub look: Option<ItemLook>,
    /// What Mayday sees that stands against an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reopened: Option<Reopened>,
}

/// What is unprotected since the failover, and how clients come back.
#[derive(JsonSchema)]
pub struct WayBackAnswer {
    pub serving: RegionId,
    pub moved: Option<MovedNow>,
    pub unprotected: Vec<Unprotected>,
    pub failback: Option<Failback>,
}

#[derive(JsonSchema)]
pub struct MovedNow {
    pub run: RunId,
    pub plan: PlanId,
    pub from: RegionId,
    pub to: RegionId,
    pub at: At,
    pub fenced: bool,
    pub revert_until: Option<At>,
    pub revert_seconds_left: Option<f64>,
    /// What speaks against reverting it: only the longer phrase does it then.
    pub revert_despite: Vec<String>,
}

#[derive(JsonSchema)]
pub struct Failback {
    pub to: RegionId,
    pub refused_because: Option<String>,
}

/// The end of a run.
#[derive(JsonSchema)]
pub struct RunAnswer {
    pub run: RunId,
    pub plan: PlanId,
    pub mode: Mode,
    pub outcome: Option<Outcome>,
    pub waits_for_human: bool,
    pub incident: Option<IncidentId>,
    pub steps: Vec<StepNow>,
    pub rto: Vec<RtoVerdict>,
    pub rpo: Vec<RpoVerdict>,
}

/// What was said, and how it fares.
#[derive(JsonSchema)]
pub struct OutboxAnswer {
    /// The next update.
    pub due: Option<Proposal>,
    /// Who speaks for the incident.
    pub lead: Option<Actor>,
    pub acknowledged: Option<Acknowledged>,
    pub messages: Vec<MessageNow>,
}

#[derive(JsonSchema)]
pub struct MessageNow {
    pub message: Message,
    pub by: Actor,
    pub at: At,
    /// Who took it back, and when.
    pub recalled: Option<(Actor, At)>,
    pub settled: bool,
    pub deliveries: Vec<DeliveryNow>,
}

#[derive(JsonSchema)]
pub struct DeliveryNow {
    pub channel: ChannelId,
    pub phase: PartPhase,
    pub parts: u32,
    pub sent: u32,
    pub done_at: Option<At>,
    pub took_seconds: Option<f64>,
    /// What the vendor calls it.
    pub id: Option<String>,
    pub link: Option<String>,
    pub next_try_at: Option<At>,
    pub fault: Option<Fault>,
}

/// The drills, and the results by name.
#[derive(JsonSchema)]
pub struct DrillsAnswer {
    pub drills: Vec<DrillSpec>,
    pub results: BTreeMap<String, Vec<Drill>>,
}

/// Every drill with its standing.
#[derive(JsonSchema)]
pub struct ScheduleAnswer {
    pub now: At,
    pub under_way: Option<String>,
    pub drills: Vec<Due>,
}

/// Whether the config and its plans are sound.
#[derive(JsonSchema)]
pub struct CheckAnswer {
    pub sound: bool,
    pub mistakes: Vec<Mistake>,
    /// Secrets that are not where the config says, seen from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<String>>,
    /// Whether a plan moves clients out of the primary region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaves_primary: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plans: Option<Vec<CheckedPlan>>,
    /// Built-in plans that do not fit this estate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<Vec<LeftOut>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estate: Option<Estate>,
    /// With `--connect`: what came of trying each address, credential and permission once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<Vec<Tried>>,
}

#[derive(JsonSchema)]
pub struct CheckedPlan {
    pub id: PlanId,
    pub steps: u32,
}

/// A line of `mayday watch`.
#[derive(JsonSchema)]
#[serde(tag = "watch", rename_all = "lowercase")]
pub enum WatchLine {
    /// How things stand, told at the beginning and after every loss.
    Opening {
        at: At,
        estate: String,
        serving: RegionId,
        incident: Option<Box<Incident>>,
        run: Option<RunId>,
        seq: u64,
        hold: bool,
    },
    /// Something happened.
    Record { at: At, seq: u64, actor: Actor, words: String, event: Box<Event> },
    /// The clocks of the open incident.
    Clocks { at: At, incident: IncidentId, rto: Vec<RtoVerdict>, rpo: Vec<RpoVerdict> },
    /// The engine does not answer.
    Lost { at: At, why: String },
}
