//! What each action of the keymap does to the model, and what it asks of the shell.

mod incident;
mod runs;
mod steps;
mod walk;

use crate::domain::command::Ask;
use crate::domain::ids::StepId;
use crate::domain::run::Mode;

use super::app::{App, Request, Scroll};
use super::keymap::{self, Action};
use super::layers::palette::{Does, Palette};
use super::layers::{Field, Form, Layer, Purpose, Question, Reader, Text};
use super::look::Look;
use super::panes::Pane;
use super::theme::Role;

/// How far a page goes.
const PAGE: isize = 10;

impl App {
    /// Does what a row of the keymap says; `key` is how it was called.
    pub(in crate::tui) fn act(&mut self, action: Action, key: &str) -> Vec<Request> {
        if action.reaches_people() && !self.typing.is_meant() {
            self.say(
                Role::Warn,
                format!(
                    "not done ({}): it came too soon, or with other keys → press it again",
                    keymap::of(action).title
                ),
            );
            return Vec::new();
        }
        match action {
            Action::Detach => return vec![Request::Detach],
            Action::Suspend => return vec![Request::Suspend],
            Action::Redraw => return vec![Request::Redraw],
            Action::Hold => return self.hold(),
            Action::Arm => return self.arm(),
            Action::Yes => return self.yes(),
            Action::Submit => return self.submit(),
            Action::Confirm => return self.confirm(),
            Action::LookAgain => return self.look_again(),
            Action::StartLive => return self.start(Mode::Live),
            Action::Rehearse => return self.start(Mode::Rehearsal),
            Action::TakeCommand => return self.ask_if(Ask::TakeCommand {}, "you are the commander"),
            Action::ByHand => return self.by_hand(),
            Action::Copy => return self.copy(),
            Action::Report => return vec![Request::Report],
            Action::Up => self.go(-1),
            Action::Down => self.go(1),
            Action::PageUp => self.go(-PAGE),
            Action::PageDown => self.go(PAGE),
            Action::Top => self.go(isize::MIN),
            Action::Bottom => self.go(isize::MAX),
            Action::Back => return self.back(),
            Action::Tell => return self.tell(),
            Action::TellNow => return self.tell_now(),
            Action::SendUpdate => return self.send_update(),
            Action::ChooseStatus | Action::EditText | Action::KeepText => self.on_message(action, key),
            Action::Acknowledge => return self.ask_if(Ask::Acknowledge {}, "acknowledged: you work on it"),
            Action::TakeCommunications => return self.ask_if(Ask::TakeCommunications {}, "you speak for the incident"),
            Action::HandOver => self.hand_over(),
            Action::Open => self.open(),
            Action::NextWaiting => self.next_waiting(),
            Action::Override => self.override_guards(),
            Action::Retry if self.focus == Pane::Communications && self.layers.is_empty() => self.retry_delivery(),
            Action::Retry | Action::Skip | Action::MarkDone | Action::Revert => self.verb(action),
            Action::Declare => self.declare(),
            Action::RunPlan => self.choose_plan(None),
            Action::Note | Action::CloseIncident | Action::Abandon | Action::SetSeverity | Action::SetTitle => {
                self.about_incident(action);
            }
            Action::FocusPane => self.focus_on(Pane::of_key(key).unwrap_or(self.focus)),
            Action::NextPane => self.focus_on(self.focus.after(1)),
            Action::PreviousPane => self.focus_on(self.focus.after(-1)),
            Action::Zoom => self.zoomed = !self.zoomed,
            Action::Filter => self.filter(),
            Action::Palette => self.layers.push(Layer::Palette(Box::default())),
            Action::Help => self.read("help", Text::Keys(self.context())),
            Action::Contacts => self.read("whom to call", Text::Contacts),
            Action::Theme => self.switch_theme(&self.options.themes.after(&self.theme.name)),
            Action::Walk => self.walk(),
            Action::GoOn => return self.go_on(),
            Action::SkipItem | Action::ReopenItem => self.answer_item(action),
            Action::LookAtItem => return self.look_at_item(),
            Action::NextPage => self.turn(1),
            Action::PreviousPage => self.turn(-1),
            Action::WayBack => self.read("the way back", Text::WayBack),
            Action::RevertRun => self.revert_run(),
            Action::BringBack => self.bring_back(),
            Action::NextField | Action::PreviousField | Action::Less | Action::More => {
                self.in_form(action);
                self.on_message(action, key);
            }
        }
        Vec::new()
    }

    pub(in crate::tui) fn ask(&self, ask: Ask, said: impl Into<String>) -> Vec<Request> {
        vec![Request::Ask { ask, said: said.into() }]
    }

    /// Pushes a layer if the rules would let its command through; says why not otherwise.
    pub(in crate::tui) fn push_if(&mut self, ask: &Ask, layer: Layer) {
        match self.may(ask) {
            Ok(()) => self.layers.push(layer),
            Err(refusal) => self.say(Role::Warn, refusal.to_string()),
        }
    }

    fn hold(&mut self) -> Vec<Request> {
        if self.mirror.as_ref().is_none_or(|mirror| mirror.state.hold.is_none()) {
            return self.ask(
                Ask::Hold { reason: String::new() },
                format!("HOLD: nothing new starts → {} releases", keymap::key(Action::Hold)),
            );
        }
        let ask = Ask::Release { reason: String::new() };
        let question = Question {
            title: "release HOLD?".into(),
            lines: vec!["Everything that waits and whose gate is answered will start at once.".into()],
            ask: ask.clone(),
            said: "released".into(),
        };
        self.push_if(&ask, Layer::Question(question));
        Vec::new()
    }

    fn arm(&mut self) -> Vec<Request> {
        if self.armed().is_some() {
            return self.ask(Ask::Disarm {}, "disarmed: view only");
        }
        let expires = self.mirror.as_ref().map(|mirror| mirror.estate.policy.arm_expires.to_string());
        self.layers.push(Layer::Question(Question {
            title: "arm this cockpit?".into(),
            lines: vec![
                "Armed, this cockpit can change systems. Every gate still asks.".into(),
                format!("It is view-only again after {} without a key.", expires.unwrap_or_default()),
            ],
            ask: Ask::Arm {},
            said: format!("armed → {} disarms", keymap::key(Action::Arm)),
        }));
        Vec::new()
    }

    fn yes(&mut self) -> Vec<Request> {
        let Some(Layer::Question(question)) = self.layers.pop() else { return Vec::new() };
        self.ask(question.ask, question.said)
    }

    /// Asks if the rules would let it through; says why not otherwise.
    pub(in crate::tui) fn ask_if(&mut self, ask: Ask, said: impl Into<String>) -> Vec<Request> {
        match self.may(&ask) {
            Ok(()) => self.ask(ask, said),
            Err(refusal) => {
                self.say(Role::Warn, refusal.to_string());
                Vec::new()
            }
        }
    }

    fn submit(&mut self) -> Vec<Request> {
        if let Some(Layer::Form(form)) = self.layers.last()
            && form.purpose.reaches_people()
            && form.is_at_end()
            && !self.typing.is_settled()
        {
            self.say(Role::Warn, "not sent: the form has only just opened → look at it, then press Enter again");
            return Vec::new();
        }
        match self.layers.last_mut() {
            Some(Layer::Form(form)) => match form.submit() {
                Err(wrong) => self.say(Role::Warn, wrong),
                Ok(None) => {}
                Ok(Some(values)) => {
                    let (ask, said) = (form.purpose.ask(&values), form.said.clone());
                    self.layers.pop();
                    let Some(ask) = ask else { return Vec::new() };
                    match ask {
                        Ask::Confirm { .. } | Ask::Override { .. } => self.close_card(),
                        Ask::StartRun { .. } => self.show_run(),
                        _ => {}
                    }
                    return self.ask(ask, said);
                }
            },
            Some(Layer::Palette(palette)) => {
                let at = palette.at;
                let chosen = self.palette().and_then(|palette| palette.found(self).into_iter().nth(at));
                self.layers.pop();
                return chosen.map(|item| self.do_item(item.does)).unwrap_or_default();
            }
            _ => {}
        }
        Vec::new()
    }

    fn palette(&self) -> Option<&Palette> {
        match self.layers.last() {
            Some(Layer::Palette(palette)) => Some(palette),
            _ => None,
        }
    }

    fn do_item(&mut self, does: Does) -> Vec<Request> {
        match does {
            Does::Act(action) => return self.act(action, ""),
            Does::Theme(name) => self.switch_theme(&name),
            Does::Pane(pane) => self.focus_on(pane),
            Does::Plan(at) => self.choose_plan(Some(at)),
        }
        Vec::new()
    }

    fn in_form(&mut self, action: Action) {
        let Some(Layer::Form(form)) = self.layers.last_mut() else { return };
        match action {
            Action::NextField => form.step(1),
            Action::PreviousField => form.step(-1),
            Action::Less => form.choose(-1),
            _ => form.choose(1),
        }
    }

    /// Moves in whatever is on top.
    pub(in crate::tui) fn go(&mut self, by: isize) {
        if let Some(layer) = self.layers.last() {
            if let Some(scroll) = layer.scroll() {
                layer.looks_elsewhere();
                scroll.by(by);
                return;
            }
            let found = self.palette().map_or(0, |palette| palette.found(self).len());
            let plans = self.mirror.as_ref().map_or(0, |mirror| mirror.plans.len());
            match self.layers.last_mut() {
                Some(Layer::Plans(list)) => list.at = moved(list.at, by, plans),
                Some(Layer::Palette(palette)) => palette.at = moved(palette.at, by, found),
                _ => {}
            }
            return;
        }
        match (self.focus, self.shown_run()) {
            (Pane::Plan, Some(run)) => {
                let ids: Vec<StepId> = super::panes::plan::order(run);
                let at = self.step().and_then(|step| ids.iter().position(|id| *id == step)).unwrap_or(0);
                self.selected = ids.get(moved(at, by, ids.len())).cloned();
                self.scrolls[Pane::Step as usize].to(0);
            }
            (Pane::Plan, None) => {
                let plans = self.mirror.as_ref().map_or(0, |mirror| mirror.plans.len());
                self.plan_at = moved(self.plan_at, by, plans);
            }
            (pane, _) => self.scrolls[pane as usize].by(by),
        }
    }

    fn back(&mut self) -> Vec<Request> {
        if self.layers.is_empty()
            && let Some(recall) = self.recall()
        {
            return recall;
        }
        if let Some(Layer::Tell(tell)) = self.layers.last_mut()
            && tell.is_editing()
        {
            tell.drop_edit();
            return Vec::new();
        }
        if let Some(layer) = self.layers.pop() {
            if matches!(&layer, Layer::Form(form) if form.purpose == Purpose::Filter) {
                self.filter = None;
            }
        } else if self.filter.take().is_some() {
        } else if self.zoomed {
            self.zoomed = false;
        } else if self.selected.take().is_none() {
            let detach = keymap::key(Action::Detach);
            self.say(Role::Dim, format!("nothing to step back from → {detach} detaches; the engine and a run go on"));
        }
        Vec::new()
    }

    pub(in crate::tui) fn focus_on(&mut self, pane: Pane) {
        self.focus = pane;
        if self.shares_a_place(pane) {
            self.asked_aside = Some(pane);
        }
    }

    fn filter(&mut self) {
        let known = self.filter.take().filter(|(pane, _)| *pane == self.focus).map(|(_, text)| text);
        let text = known.unwrap_or_default();
        let form = Form::new(format!("filter {}", self.focus), Purpose::Filter, vec![Field::optional("show", &text)]);
        self.filter = Some((self.focus, text));
        self.layers.push(Layer::Form(Box::new(form)));
    }

    /// A filter counts while it is being typed.
    pub(in crate::tui) fn filter_live(&mut self) {
        if let Some(Layer::Form(form)) = self.layers.last()
            && form.purpose == Purpose::Filter
        {
            let text = form.fields[0].value();
            self.filter = (!text.is_empty()).then_some((self.focus, text));
        }
    }

    fn read(&mut self, title: &str, text: Text) {
        self.layers.push(Layer::Reader(Reader { title: title.to_owned(), text, scroll: Scroll::default() }));
    }

    fn switch_theme(&mut self, name: &str) {
        match self.options.themes.load(name, self.options.depth) {
            Ok(theme) => {
                self.say(Role::Dim, format!("theme {}", theme.name));
                self.theme = theme;
            }
            Err(why) => self.say(Role::Bad, why),
        }
    }

    fn copy(&mut self) -> Vec<Request> {
        let Some(snap) = &self.mirror else { return Vec::new() };
        let look = Look { app: self, snap, now: self.now() };
        let (what, text) = match self.layers.last() {
            Some(layer) => ("this", layer.text(&look)),
            None => (self.focus.word(), self.focus.text(&look)),
        };
        if text.is_empty() {
            self.say(Role::Dim, "there is nothing to copy here");
            return Vec::new();
        }
        let said =
            format!("{what}: {} lines copied to your terminal's clipboard, if it allows that", text.lines().count());
        self.say(Role::Good, said);
        vec![Request::Copy(text)]
    }
}

/// An index moved within a list, stopping at its ends.
fn moved(at: usize, by: isize, len: usize) -> usize {
    at.saturating_add_signed(by).min(len.saturating_sub(1))
}
