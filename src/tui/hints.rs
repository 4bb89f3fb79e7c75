//! What the footer offers: the keys that make sense as things stand.

use crate::domain::comms::left_open;
use crate::domain::run::Run;
use crate::domain::wayback::undoing;

use super::app::App;
use super::keymap::{self, Action, Context};
use super::layers::form::verb;

impl App {
    /// The rows that the footer shows where the operator is.
    pub fn hints(&self) -> Vec<&'static keymap::Binding> {
        let context = self.context();
        let quiet = [
            Action::Up,
            Action::Down,
            Action::PageUp,
            Action::PageDown,
            Action::Top,
            Action::Bottom,
            Action::FocusPane,
            Action::PreviousPane,
            Action::Redraw,
            Action::Suspend,
            Action::Back,
            Action::Open,
        ];
        let mut rows: Vec<_> = keymap::rows(context)
            .filter(|row| !quiet.contains(&row.action) && self.unbound(row).is_none() && self.helps(row.action))
            .collect();
        let first = [Action::Help, Action::Hold, Action::Arm, Action::Detach, Action::Walk];
        rows.sort_by_key(|row| first.iter().position(|action| *action == row.action).unwrap_or(first.len()));
        rows.dedup_by_key(|row| row.action);
        if context == Context::Main { rows } else { Vec::new() }
    }

    /// What a row does as things stand.
    pub fn title(&self, row: &keymap::Binding) -> &'static str {
        let held = self.mirror.as_ref().is_some_and(|mirror| mirror.state.hold.is_some());
        match (row.action, held, self.armed().is_some()) {
            (Action::Hold, true, _) => "release",
            (Action::Hold, false, _) => "hold",
            (Action::Arm, _, true) => "disarm",
            (Action::Arm, _, false) => "arm",
            _ => row.title,
        }
    }

    /// Whether an action makes sense as things stand, so that it is worth a place in the footer.
    fn helps(&self, action: Action) -> bool {
        let state = self.mirror.as_ref().map(|mirror| &mirror.state);
        let incident = state.is_some_and(|state| state.incident.is_some());
        let speaks = self.mirror.as_ref().is_some_and(|mirror| !mirror.estate.channels.is_empty());
        let open = self.run().is_some_and(Run::is_open);
        match action {
            Action::Declare => !incident,
            Action::Tell | Action::TellNow => {
                let left = self.mirror.as_ref().and_then(|it| left_open(&it.estate, &it.state, self.now()));
                speaks && (incident || left.is_some())
            }
            Action::TakeCommunications | Action::HandOver => incident && speaks,
            Action::Acknowledge => incident && speaks && state.is_some_and(|state| state.outbox.acknowledged.is_none()),
            Action::TakeCommand | Action::SetSeverity | Action::SetTitle | Action::CloseIncident => incident && !open,
            Action::Walk => incident,
            Action::Abandon => open,
            Action::RunPlan => !open,
            Action::WayBack => state.is_some_and(|state| state.moved.is_some()),
            Action::BringBack => {
                !open && self.mirror.as_ref().is_some_and(|it| it.state.serving(&it.estate) != it.estate.primary())
            }
            Action::RevertRun => {
                !open && self.run().is_some_and(|run| run.mode.acts() && !undoing(run).back.is_empty())
            }
            Action::NextWaiting => !self.waiting().is_empty(),
            Action::LookAgain | Action::ByHand => open,
            Action::Retry | Action::Skip | Action::MarkDone | Action::Revert => {
                let found = self.step().and_then(|step| {
                    let run = self.shown_run()?;
                    verb(action, run.id.clone(), step, "-".into())
                });
                found.is_some_and(|ask| self.may(&ask).is_ok())
            }
            _ => true,
        }
    }
}
