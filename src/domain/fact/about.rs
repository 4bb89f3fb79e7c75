//! What each event is about.

use super::event::Event;
use crate::domain::ids::{RunId, StepId};

/// What an event is about: the part of the state that it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// It is kept for whoever reads the journal.
    Nothing,
    Engine,
    /// What was seen outside.
    World,
    /// Who may act, and whether anything may begin.
    Cockpit,
    Drill,
    /// An incident, its checklist, and what is said of it.
    Incident,
    Run,
    Step,
}

impl Event {
    /// What it is about. Every event is named here, so that none is left out of the fold by mistake.
    pub fn about(&self) -> About {
        match self {
            Self::LeadTaken { .. } => About::Nothing,
            Self::JournalAccepted { .. } | Self::Newer { .. } | Self::NoteAdded { .. } => About::Nothing,
            Self::EngineStarted { .. } | Self::ClockStepped { .. } => About::Engine,
            Self::ProbeChanged { .. } | Self::BackupChanged { .. } | Self::AlertHeard { .. } => About::World,
            Self::ReadinessAssessed { .. } | Self::BaselineTaken { .. } => About::World,
            Self::CockpitArmed { .. } | Self::CockpitDisarmed { .. } => About::Cockpit,
            Self::HoldSet { .. } | Self::HoldReleased { .. } => About::Cockpit,
            Self::DrillBegun { .. } | Self::DrillEnded { .. } | Self::DrillLost { .. } => About::Drill,
            Self::IncidentDeclared { .. }
            | Self::TitleChanged { .. }
            | Self::SeverityChanged { .. }
            | Self::IncidentClosed { .. } => About::Incident,
            Self::CommandTaken {} | Self::CommunicationsTaken {} | Self::PageAcknowledged { .. } => About::Incident,
            Self::MessageComposed { .. } | Self::MessageRecalled { .. } | Self::DeliveryTrying { .. } => {
                About::Incident
            }
            Self::DeliverySent { .. } | Self::DeliveryFailed { .. } | Self::DeliveryUnknown { .. } => About::Incident,
            Self::DeliverySplit { .. } | Self::DeliverySettled { .. } | Self::DeliveryRetried { .. } => About::Incident,
            Self::ChecklistFixed { .. } | Self::ItemAdded { .. } | Self::ItemSeen { .. } => About::Incident,
            Self::ItemTicked { .. } | Self::ItemSkipped { .. } | Self::ItemReopened { .. } => About::Incident,
            Self::RunStarted { .. } | Self::RunEnded { .. } | Self::RunReverting { .. } => About::Run,
            Self::RunRevertStopped { .. } => About::Run,
            Self::StepPreparing { .. } | Self::StepPrepared { .. } | Self::StepLookedAgain { .. } => About::Step,
            Self::GateAnswered { .. } | Self::GateConfirmed { .. } | Self::GuardsOverridden { .. } => About::Step,
            Self::SecondAwaited { .. } | Self::StepApplying { .. } | Self::StepRunsAs { .. } => About::Step,
            Self::StepGoesBy { .. }
            | Self::StepPrinted { .. }
            | Self::StepApplied { .. }
            | Self::StepUncertain { .. } => About::Step,
            Self::StepNotDone { .. } | Self::StepFound { .. } | Self::StepUnknowable { .. } => About::Step,
            Self::StepVerified { .. } | Self::StepRetrying { .. } | Self::StepFailed { .. } => About::Step,
            Self::StepRetried { .. } | Self::StepSkipped { .. } | Self::StepDoneByHand { .. } => About::Step,
            Self::StepReverting { .. } | Self::StepReverted { .. } => About::Step,
        }
    }

    /// The run and the step it is about.
    pub fn step(&self) -> Option<(&RunId, &StepId)> {
        match self {
            Self::StepPreparing { run, step }
            | Self::StepPrepared { run, step, .. }
            | Self::StepLookedAgain { run, step }
            | Self::GateAnswered { run, step }
            | Self::GateConfirmed { run, step, .. }
            | Self::GuardsOverridden { run, step, .. }
            | Self::SecondAwaited { run, step, .. }
            | Self::StepApplying { run, step, .. }
            | Self::StepRunsAs { run, step, .. }
            | Self::StepGoesBy { run, step, .. }
            | Self::StepPrinted { run, step, .. }
            | Self::StepApplied { run, step, .. }
            | Self::StepUncertain { run, step, .. }
            | Self::StepNotDone { run, step, .. }
            | Self::StepFound { run, step, .. }
            | Self::StepUnknowable { run, step, .. }
            | Self::StepVerified { run, step, .. }
            | Self::StepRetrying { run, step, .. }
            | Self::StepFailed { run, step, .. }
            | Self::StepRetried { run, step, .. }
            | Self::StepSkipped { run, step, .. }
            | Self::StepDoneByHand { run, step, .. }
            | Self::StepReverting { run, step, .. }
            | Self::StepReverted { run, step, .. } => Some((run, step)),
            _ => None,
        }
    }
}
