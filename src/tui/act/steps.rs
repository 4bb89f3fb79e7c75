//! What keys do to a step: answer its gate, decide on it, and show it by hand.

use crate::domain::command::Ask;
use crate::domain::ids::StepId;
use crate::domain::plan::{Gate, StepSpec};
use crate::domain::run::{Run, StepPhase};
use crate::domain::view::StepByHand;

use super::super::app::{App, Request, Scroll};
use super::super::keymap::{self, Action};
use super::super::layers::form::verb;
use super::super::layers::{Card, Field, Form, Layer, Purpose, Reader, Text, card};
use super::super::panes::Pane;
use super::super::theme::Role;

impl App {
    /// The run, the spec of the step that keys act on, and its id. Says what is missing.
    pub(super) fn target(&mut self) -> Option<(&Run, &StepSpec)> {
        let id = self.step();
        if id.is_none() {
            self.say(Role::Dim, format!("no plan is running → {} runs one", keymap::key(Action::RunPlan)));
        }
        let run = self.shown_run()?;
        Some((run, run.plan.step(&id?)?))
    }

    pub(super) fn confirm(&mut self) -> Vec<Request> {
        let estate = self.mirror.as_ref().map(|mirror| mirror.estate.clone());
        let Some((run, spec)) = self.target() else { return Vec::new() };
        let Some(ask) = card::ask(Action::Confirm, run, spec) else { return Vec::new() };
        let (id, step, gate, phrase) = (run.id.clone(), spec.id.clone(), spec.gate, spec.phrase.clone());
        let card = run.step(&spec.id).and_then(|known| known.card.as_ref());
        let seen = card.map(|card| card.at);
        let stakes = card.zip(estate).map(|(card, estate)| card::stakes(&estate, spec, card)).unwrap_or_default();
        if let Err(refusal) = self.may(&ask) {
            self.say(Role::Warn, refusal.to_string());
            return Vec::new();
        }
        let said = format!("{step}: confirmed");
        if gate == Gate::Typed {
            let form = Form::new(
                format!("confirm {step}"),
                Purpose::Confirm(id, step, seen),
                vec![Field::phrase("name", &phrase)],
            )
            .about(stakes)
            .about([format!("Type the target's name to go ahead: {phrase}")])
            .dangerous()
            .said(said);
            self.layers.push(Layer::Form(Box::new(form)));
            return Vec::new();
        }
        self.close_card();
        self.ask(Ask::Confirm { run: id, step, phrase: String::new(), seen }, said)
    }

    /// Takes the card away, and lets the selection follow what matters again.
    pub(super) fn close_card(&mut self) {
        self.layers.retain(|layer| !matches!(layer, Layer::Card(_)));
        self.selected = None;
    }

    pub(super) fn override_guards(&mut self) {
        let Some((run, spec)) = self.target() else { return };
        let Some(ask) = card::ask(Action::Override, run, spec) else { return };
        let blocks = run.step(&spec.id).and_then(|step| step.card.as_ref());
        let blocks: Vec<String> = blocks
            .into_iter()
            .flat_map(|card| card.blocks().map(|guard| format!("✗ {}: {}", guard.name, guard.detail)))
            .collect();
        let fields = vec![Field::phrase("phrase", &card::override_phrase(spec)), Field::text("reason", "")];
        let form = Form::new(
            format!("override the guards of {}", spec.id),
            Purpose::Override(run.id.clone(), spec.id.clone()),
            fields,
        )
        .about(blocks)
        .about(["Mayday advises against this. It is journalled with your name and reason.".to_owned()])
        .dangerous()
        .said(format!("{}: guards overridden", spec.id));
        self.push_if(&ask, Layer::Form(Box::new(form)));
    }

    pub(super) fn verb(&mut self, action: Action) {
        let title = keymap::of(action).title;
        let Some((run, spec)) = self.target() else { return };
        let (id, step) = (run.id.clone(), spec.id.clone());
        let Some(ask) = verb(action, id.clone(), step.clone(), "-".into()) else { return };
        // Whoever has it begun again while nobody can tell whether it happened has to say why.
        let plain = action == Action::Retry && run.phase(&step) != StepPhase::Asking;
        let field = if plain { Field::optional("reason", "") } else { Field::text("reason", "") };
        let form = Form::new(format!("{title}: {step}"), Purpose::Verb(action, id, step.clone()), vec![field])
            .about([keymap::of(action).help.to_owned()])
            .said(format!("{step}: {title}"));
        self.push_if(&ask, Layer::Form(Box::new(form)));
    }

    pub(super) fn look_again(&mut self) -> Vec<Request> {
        let Some((run, spec)) = self.target() else { return Vec::new() };
        let ask = Ask::Refresh { run: run.id.clone(), step: spec.id.clone() };
        let said = format!("looking again at {}", spec.id);
        match self.may(&ask) {
            Ok(()) => self.ask(ask, said),
            Err(refusal) => {
                self.say(Role::Warn, refusal.to_string());
                Vec::new()
            }
        }
    }

    pub(in crate::tui) fn open(&mut self) {
        let waiting = self.waiting();
        let chosen = self.focus == Pane::Plan || self.focus == Pane::Step || self.selected.is_some();
        let step = if chosen { self.step() } else { waiting.first().cloned().or_else(|| self.step()) };
        match step {
            Some(step) => self.layers.push(Layer::Card(Card { step, scroll: Scroll::default() })),
            None if self.focus == Pane::Plan => self.choose_plan(None),
            None => {
                let run = keymap::key(Action::RunPlan);
                self.say(Role::Dim, format!("no step waits, and no plan is running → {run} runs one"));
            }
        }
    }

    pub(super) fn next_waiting(&mut self) {
        let waiting = self.waiting();
        let at = self.step().and_then(|step| waiting.iter().position(|id| *id == step));
        let Some(next) = waiting.get(at.map_or(0, |at| (at + 1) % waiting.len())).cloned() else {
            self.say(Role::Good, "nothing waits for you");
            return;
        };
        if let Some(Layer::Card(card)) = self.layers.last_mut() {
            *card = Card { step: next, scroll: Scroll::default() };
        } else {
            (self.selected, self.focus) = (Some(next), Pane::Plan);
        }
    }

    pub(super) fn by_hand(&mut self) -> Vec<Request> {
        let Some((run, spec)) = self.target() else { return Vec::new() };
        vec![Request::ByHand { step: spec.id.clone(), plan: run.plan.id.clone() }]
    }

    pub(in crate::tui) fn show_by_hand(&mut self, step: &StepId, steps: &[StepByHand]) {
        let Some(found) = steps.iter().find(|known| &known.step == step) else {
            self.say(Role::Warn, format!("the engine knows no commands for {step}"));
            return;
        };
        let mut text = vec![format!("# {}", found.title)];
        text.extend(found.lines.iter().cloned());
        let done = keymap::key(Action::MarkDone);
        text.extend([String::new(), format!("# done? then {done} marks the step done, with a reason")]);
        let run = self.shown_run();
        let open = |known: &&StepByHand| run.is_none_or(|run| !run.phase(&known.step).is_in_effect());
        let rest = steps.iter().skip_while(|known| &known.step != step).skip(1).filter(open);
        text.extend(rest.flat_map(|known| {
            let title = [String::new(), format!("# Later, {}: {}", known.step, known.title)];
            title.into_iter().chain(known.lines.iter().cloned())
        }));
        let reader = Reader { title: format!("{step} by hand"), text: Text::Plain(text), scroll: Scroll::default() };
        self.layers.push(Layer::Reader(reader));
    }
}
