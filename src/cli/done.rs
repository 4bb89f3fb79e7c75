//! What a command that only asks says once the engine has taken it: what happened, and to what.

use crate::domain::command::Ask;
use crate::domain::run::Mode;

/// In a sentence. What goes on from here (a step that is tried again) is said as what it is: begun, not done.
pub fn words(ask: &Ask) -> String {
    match ask {
        Ask::Arm {} => "the cockpit is armed".into(),
        Ask::Disarm {} => "the cockpit is view only again".into(),
        Ask::Hold { .. } => "HOLD is on: nothing new starts; what is under way finishes → mayday hold off".into(),
        Ask::Release { .. } => "HOLD is off: what waits may start".into(),
        Ask::Declare { title, severity, .. } => format!("{severity} declared: {title}"),
        Ask::SetSeverity { severity, .. } => format!("the severity is {severity}"),
        Ask::AssessSeverity { answers } => format!("the severity is {}, by the answers", answers.severity()),
        Ask::SetTitle { title } => format!("the title is now: {title}"),
        Ask::TakeCommand {} => "you are the commander".into(),
        Ask::TakeCommunications {} => "you speak for the incident".into(),
        Ask::HandOver { hand_over, .. } => {
            format!("the team is told that {} is to take {}; it is yours until then", hand_over.to, hand_over.duty)
        }
        Ask::Acknowledge {} => "acknowledged: you work on it".into(),
        Ask::Note { .. } => "the note is in the journal".into(),
        Ask::CloseIncident { .. } => "the incident is closed → mayday report".into(),
        Ask::TickItem { item, .. } => format!("{item}: ticked"),
        Ask::SkipItem { item, .. } => format!("{item}: left out"),
        Ask::ReopenItem { item, .. } => format!("{item}: open again"),
        Ask::LookAtItem { item } => format!("{item}: looked at"),
        Ask::StartRun { plan, mode: Mode::Rehearsal, .. } => format!("{plan}: the rehearsal has started"),
        Ask::StartRun { plan, mode, .. } => format!("{plan}: the run has started ({mode})"),
        Ask::Refresh { step, .. } => format!("{step}: looking again"),
        Ask::Confirm { step, .. } => format!("{step}: confirmed"),
        Ask::Override { step, .. } => format!("{step}: its guards are overridden, and it starts"),
        Ask::Retry { step, .. } => format!("{step}: trying again → mayday failover follow"),
        Ask::Skip { step, .. } => format!("{step}: skipped"),
        Ask::MarkDone { step, .. } => format!("{step}: marked as done by hand"),
        Ask::Revert { step, .. } => format!("{step}: being reverted → mayday failover follow"),
        Ask::RevertRun { run, .. } => format!("{run}: being reverted → mayday failover follow"),
        Ask::Abandon { run, .. } => format!("{run} is abandoned: nothing more of it starts, what was done stays"),
        Ask::TakeAlerts { .. } => "the alerts are heard".into(),
        Ask::RecordDrill { result } => format!("the drill {} is recorded", result.name),
        Ask::Tell { purpose, .. } => format!("`{purpose}` goes out"),
        Ask::Recall { message } => format!("{message} is taken back: nothing of it was sent"),
        Ask::RetryDelivery { message, channel, .. } => format!("{message}: sent to {channel} again"),
        Ask::SettleDelivery { message, channel, arrived: true, .. } => format!("{message}: {channel} has it"),
        Ask::SettleDelivery { message, channel, arrived: false, .. } => {
            format!("{message}: it has not reached {channel} → mayday outbox retry {message}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_said_of_what_it_happened_to() {
        let (run, step, reason) = ("INC-1.1", "promote-database", String::new());
        let of = |ask: Ask| words(&ask);
        let hold = of(Ask::Hold { reason: reason.clone() });
        assert!(hold.starts_with("HOLD is on"), "{hold}");
        for said in [
            of(Ask::Retry { run: run.into(), step: step.into(), reason: reason.clone() }),
            of(Ask::Skip { run: run.into(), step: step.into(), reason: reason.clone() }),
            of(Ask::MarkDone { run: run.into(), step: step.into(), reason: reason.clone() }),
            of(Ask::Revert { run: run.into(), step: step.into(), reason: reason.clone() }),
            of(Ask::Confirm { run: run.into(), step: step.into(), phrase: String::new(), seen: None }),
        ] {
            assert!(said.starts_with("promote-database: ") && said != "done", "{said}");
        }
        assert!(of(Ask::Abandon { run: run.into(), reason }).starts_with("INC-1.1 is abandoned"));
    }
}
