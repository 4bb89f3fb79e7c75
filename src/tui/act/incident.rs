//! What keys do to the incident as a whole.

use crate::domain::command::Ask;
use crate::domain::incident::Severity;
use crate::domain::remedy;
use crate::domain::review::Documents;

use super::super::app::App;
use super::super::keymap::{self, Action};
use super::super::layers::{Field, Form, Layer, Purpose, Text};
use super::super::tell::severity_form;
use super::super::theme::Role;

impl App {
    pub(super) fn declare(&mut self) {
        let trouble = self.mirror.as_ref().and_then(|mirror| remedy::trouble(mirror, self.now()));
        let (title, severity) = trouble.map_or((String::new(), Severity::Sev3), |it| (it.title, it.severity));
        let at = Severity::ALL.iter().position(|known| *known == severity).unwrap_or(0);
        let fields = vec![Field::choice("severity", Severity::WORDS, at), Field::text("title", &title)];
        let form = Form::new("declare an incident", Purpose::Declare, fields)
            .about(["The clocks count from the last healthy reading before the failure.".to_owned()])
            .said(format!(
                "declared → {} arms, {} runs a plan",
                keymap::key(Action::Arm),
                keymap::key(Action::RunPlan)
            ));
        let ask = Ask::Declare { title: "-".into(), severity, drill: false };
        self.push_if(&ask, Layer::Form(Box::new(form)));
    }

    /// The review over everything else, with where its files are.
    pub(in crate::tui) fn show_report(&mut self, documents: &Documents) {
        let files = match documents.files.as_slice() {
            [] => "It is written to the records when the incident closes; now: mayday report --format html --out FILE"
                .into(),
            files => format!("Files: {}", files.join(", ")),
        };
        let text = format!("{files}\n\n{}", documents.markdown);
        self.read(&format!("review of {}", documents.incident), Text::Markdown(text));
    }

    pub(super) fn about_incident(&mut self, action: Action) {
        let reason = || Field::text("reason", "");
        let (ask, form) = match action {
            Action::Note => {
                let form = Form::new("note", Purpose::Note, vec![Field::text("note", "")]).said("noted");
                (Ask::Note { text: "-".into() }, form)
            }
            Action::CloseIncident => {
                let form = self.closing();
                (Ask::CloseIncident { note: "-".into(), despite: "-".into(), tell: false }, form)
            }
            Action::SetTitle => {
                let incident = self.mirror.as_ref().and_then(|mirror| mirror.state.incident.as_ref());
                let title = incident.map_or("", |incident| incident.title.as_str());
                let fields = vec![Field::text("title", title)];
                let form = Form::new("correct the title", Purpose::Title, fields).said("the title is corrected");
                (Ask::SetTitle { title: "-".into() }, form)
            }
            Action::SetSeverity => {
                let form = severity_form();
                (Ask::SetSeverity { severity: Severity::Sev1, reason: "-".into() }, form)
            }
            _ => {
                let Some(run) = self.run().map(|run| run.id.clone()) else {
                    self.say(Role::Dim, format!("nothing was run yet → {} runs a plan", keymap::key(Action::RunPlan)));
                    return;
                };
                let form = Form::new(format!("abandon {run}"), Purpose::Abandon(run.clone()), vec![reason()])
                    .about(["Steps that were done stay done; nothing more of this run starts.".to_owned()])
                    .dangerous()
                    .said("the run is abandoned");
                (Ask::Abandon { run, reason: "-".into() }, form)
            }
        };
        self.push_if(&ask, Layer::Form(Box::new(form)));
    }
}
