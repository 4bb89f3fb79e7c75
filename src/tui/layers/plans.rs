//! The list of plans: what each is for, and how it can be run now.

use ratatui::text::Line;

use crate::domain::kinds::Undo;
use crate::domain::run::Mode;
use crate::domain::target;

use super::super::app::App;
use super::super::format::{column, fit_name, wrap};
use super::super::keymap::{self, Action};
use super::super::look::Look;
use super::super::theme::Role;
use super::{Plans, Sheet, targets};

pub fn sheet(look: &Look<'_>, plans: &Plans, most: usize) -> Sheet {
    let columns = most.min(72);
    let mut lines = Vec::new();
    for (at, plan) in look.snap.plans.iter().enumerate() {
        let chosen = at == plans.at;
        let role = if chosen { Role::Selected } else { Role::Text };
        let mark = if chosen { "▸" } else { " " };
        let steps = format!("{} steps", plan.steps.len());
        let name = column(
            &format!("{mark} {}", fit_name(plan.id.as_str(), columns.saturating_sub(13))),
            columns.saturating_sub(10),
        );
        lines.push(Line::from(vec![look.span(name, role), look.span(column(&steps, 10), role)]));
    }
    lines.push(Line::default());
    if let Some(plan) = look.snap.plans.get(plans.at) {
        let title = wrap(&plan.title, columns).into_iter();
        lines.extend(title.map(|text| Line::from(look.span(text, Role::Strong))));
        lines.extend(wrap(&plan.about, columns).into_iter().map(|text| Line::from(look.span(text, Role::Text))));
        if let Some(region) = &plan.target {
            let choices = target::table(look.snap, plan.name(), look.now);
            let all = targets::lines(&choices, region);
            let shown = all.iter().flat_map(|text| wrap(text, columns));
            lines.extend(shown.map(|text| Line::from(look.span(text, Role::Dim))));
        }
        let finals = plan.steps.iter().filter(|step| step.undo == Undo::PointOfNoReturn).count();
        if finals > 0 {
            let words = format!("! {finals} of its steps cannot be taken back; each asks before it acts");
            lines.extend(wrap(&words, columns).into_iter().map(|text| Line::from(look.span(text, Role::Warn))));
        }
        lines.push(Line::default());
        lines.extend(how(look, columns));
    }
    let mut sheet = Sheet::new("run a plan", lines, columns);
    sheet.keys = vec![
        (keymap::key(Action::StartLive), "run live".into()),
        (keymap::key(Action::Rehearse), "rehearse, nothing is changed".into()),
        (keymap::key(Action::Arm), "arm".into()),
        ("Esc", "back".into()),
    ];
    sheet.reveal = Some(plans.at);
    sheet
}

/// Whether a live run could be started now.
fn how(look: &Look<'_>, columns: usize) -> Vec<Line<'static>> {
    let app: &App = look.app;
    let (words, role) = if app.run().is_some_and(crate::domain::run::Run::is_open) {
        ("a run is open already: one at a time".to_owned(), Role::Warn)
    } else if look.snap.state.incident.is_none() {
        (format!("a live run needs an incident: Esc, then {}", keymap::key(Action::Declare)), Role::Warn)
    } else if app.armed().is_none() {
        (format!("a live run needs an armed cockpit: {}", keymap::key(Action::Arm)), Role::Warn)
    } else {
        ("armed: every gate will ask".to_owned(), Role::Good)
    };
    let lines = wrap(&format!("{}: {words}", Mode::Live), columns).into_iter();
    lines.map(|text| Line::from(look.span(text, role))).collect()
}
