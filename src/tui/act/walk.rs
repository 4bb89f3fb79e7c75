//! What the keys of the walkthrough do.

use crate::domain::command::{Ask, RefusalReason};
use crate::domain::comms::outside;
use crate::domain::decide::{has_to_be_walked, open_checks};
use crate::domain::ids::ItemId;
use crate::domain::incident::Incident;
use crate::domain::walkthrough::Key;

use super::super::app::{App, Request};
use super::super::keymap::{self, Action};
use super::super::layers::form::CLOSINGS;
use super::super::layers::{Field, Form, Layer, Purpose, Walk, walk};
use super::super::theme::Role;

impl App {
    pub(in crate::tui) fn walk(&mut self) {
        match Walk::begin(self) {
            Some(walk) => self.layers.push(Layer::Walk(walk)),
            None => self.say(Role::Dim, "nothing is known yet: connecting to the engine"),
        }
    }

    fn walking(&self) -> Option<&Walk> {
        match self.layers.last() {
            Some(Layer::Walk(walk)) => Some(walk),
            _ => None,
        }
    }

    pub(in crate::tui) fn turn(&mut self, by: isize) {
        let pages = walk::pages(self);
        if let Some(Layer::Walk(walk)) = self.layers.last_mut() {
            walk.go(&pages, by);
        }
    }

    /// An item was answered: on to what is still open.
    pub(in crate::tui) fn leave_page(&mut self, item: &ItemId) {
        let pages = walk::pages(self);
        for layer in &mut self.layers {
            if let Layer::Walk(walk) = layer {
                walk.leave(&pages, item);
            }
        }
    }

    /// The item of the page that is shown. Says so when it has none.
    fn item(&mut self) -> Option<ItemId> {
        let page = self.walking().and_then(|walk| walk::page(self, walk));
        match page.map(|page| page.key) {
            Some(Key::Item(item)) => Some(item),
            _ => {
                let next = keymap::key(Action::NextPage);
                self.say(Role::Dim, format!("this page is no item of the checklist → {next}: next page"));
                None
            }
        }
    }

    /// Does what the page is about.
    pub(in crate::tui) fn go_on(&mut self) -> Vec<Request> {
        let Some(page) = self.walking().and_then(|walk| walk::page(self, walk)) else { return Vec::new() };
        let action = page.acts.first().copied().map(walk::action);
        let Some(action) = action else {
            let next = keymap::key(Action::NextPage);
            self.say(Role::Dim, format!("there is nothing to do on this page but to wait → {next}: next page"));
            return Vec::new();
        };
        if action == Action::GoOn {
            return self.tick();
        }
        let row = keymap::of(action);
        match self.unbound(row) {
            Some(why) => {
                self.say(Role::Warn, format!("{} is not possible: {why}", row.title));
                Vec::new()
            }
            None => self.act(action, ""),
        }
    }

    /// Ticks, or asks for the reason where what Mayday sees stands against it.
    fn tick(&mut self) -> Vec<Request> {
        let Some(item) = self.item() else { return Vec::new() };
        if let Some(why) = self.unbound(keymap::of(Action::SkipItem)) {
            self.say(Role::Warn, format!("nothing is ticked: {why}"));
            return Vec::new();
        }
        let said = format!("{item}: ticked");
        let ask = Ask::TickItem { item: item.clone(), note: String::new() };
        match self.may(&ask) {
            Ok(()) => return vec![Request::Ask { ask, said }],
            Err(refusal) if refusal.reason == RefusalReason::ReasonMissing => {
                let form =
                    Form::new(format!("tick {item} all the same?"), Purpose::Tick(item), vec![Field::text("why", "")])
                        .about([
                            refusal.why,
                            "Mayday looks once more; your reason is journalled with what it sees.".into(),
                        ])
                        .dangerous()
                        .said(said);
                self.layers.push(Layer::Form(Box::new(form)));
            }
            Err(refusal) => self.say(Role::Warn, refusal.to_string()),
        }
        Vec::new()
    }

    pub(in crate::tui) fn answer_item(&mut self, action: Action) {
        let Some(item) = self.item() else { return };
        let reason = String::from("-");
        let (ask, purpose) = match action {
            Action::SkipItem => (Ask::SkipItem { item: item.clone(), reason }, Purpose::SkipItem(item.clone())),
            _ => (Ask::ReopenItem { item: item.clone(), reason }, Purpose::ReopenItem(item.clone())),
        };
        if let Err(refusal) = self.may(&ask) {
            self.say(Role::Warn, refusal.to_string());
            return;
        }
        let title = keymap::of(action).title;
        let form = Form::new(format!("{title} {item}"), purpose, vec![Field::text("reason", "")])
            .about([keymap::of(action).help.to_owned()])
            .said(format!("{item}: {title}"));
        self.layers.push(Layer::Form(Box::new(form)));
    }

    pub(in crate::tui) fn look_at_item(&mut self) -> Vec<Request> {
        let Some(item) = self.item() else { return Vec::new() };
        let said = format!("Mayday has looked at {item}");
        let ask = Ask::LookAtItem { item };
        match self.may(&ask) {
            Ok(()) => vec![Request::Ask { ask, said }],
            Err(refusal) => {
                self.say(Role::Warn, refusal.to_string());
                Vec::new()
            }
        }
    }

    /// The form that closes the incident: with what is still open outside, and `resolved` to be told with it; where items are open that
    /// had to be walked through, it asks why they stay so.
    pub(in crate::tui) fn closing(&self) -> Form {
        let Some(mirror) = &self.mirror else {
            return Form::new("close the incident", Purpose::Close { tells: false }, vec![Field::text("note", "")]);
        };
        let (state, run) = (&mirror.state, mirror.state.run.as_ref());
        let incident = state.incident.as_ref();
        let left = incident.map(|it| outside(&mirror.estate, state, &it.id, self.now()));
        let tells = left.as_ref().is_some_and(|left| !left.untold().is_empty());
        let walked = |it: &&Incident| has_to_be_walked(it, run) || (tells && open_checks(it, run) > 0);
        let open: Vec<&str> = incident
            .filter(walked)
            .map(|incident| incident.checklist.open().map(|it| it.item.title.as_str()).collect())
            .unwrap_or_default();
        let mut fields = vec![Field::text("note", "")];
        let mut about = vec!["How it ended, in a sentence: it stays in the journal.".to_owned()];
        if let Some(left) = left.filter(|left| !left.is_closed()) {
            about.push("Still open outside:".to_owned());
            about.extend(left.lines().into_iter().map(|(_, words)| format!("! {words}")));
            if !left.pages.is_empty() {
                about.push("The page is resolved with it.".to_owned());
            }
        }
        if tells {
            fields.push(Field::choice("outside", CLOSINGS, 0));
        }
        if !open.is_empty() {
            fields.push(Field::text("reason items stay open", ""));
            about.push(format!(
                "{} items are open: {}. Walk through them ({}), or say why they stay open.",
                open.len(),
                open.join(", "),
                keymap::key(Action::Walk)
            ));
        }
        let purpose = Purpose::Close { tells };
        let form = Form::new("close the incident", purpose, fields).about(about).said("the incident is closed");
        if open.is_empty() { form } else { form.dangerous() }
    }
}
