//! Speaking to people from the cockpit: one key shows what would be told, one sends it, one takes it back.

use std::collections::BTreeMap;

use crate::domain::command::{Ask, RefusalReason};
use crate::domain::comms::{Affected, Broken, Data, Duty, Message, PartPhase, Purpose as Status, due};
use crate::domain::ids::{ChannelId, MessageId};

use super::app::{App, Request};
use super::keymap::{self, Action};
use super::layers::form::{FATES, SEVERITIES};
use super::layers::{Field, Form, Layer, Purpose, Question, Tell};
use super::theme::Role;

/// The three questions, and a severity that overrides them.
pub(super) fn severity_form() -> Form {
    let fields = vec![
        Field::choice("affected", Affected::WORDS, 1),
        Field::choice("broken", Broken::WORDS, 3),
        Field::choice("data", Data::WORDS, 0),
        Field::choice("severity", SEVERITIES, 0),
        Field::optional("reason", ""),
    ];
    Form::new("how bad is it?", Purpose::Severity, fields)
        .about(["Who is hit, what does not work, is data lost or about to be?".to_owned()])
        .said("severity set")
}

fn nothing_to_tell() -> String {
    format!("no incident is open, so there is nothing to tell → {} declares one", keymap::key(Action::Declare))
}

impl App {
    /// Takes back what can still be taken back, or asks for what would be told now.
    pub(super) fn tell(&mut self) -> Vec<Request> {
        if let Some(recall) = self.recall() {
            return recall;
        }
        let closed = self.mirror.as_ref().is_some_and(|mirror| !mirror.state.closed.is_empty());
        if !self.has_incident() && !closed {
            self.say(Role::Warn, nothing_to_tell());
            return Vec::new();
        }
        vec![Request::Drafts]
    }

    /// Sends the proposed update as it would be written now, without showing it first: what makes that safe is that it can be taken back.
    pub(super) fn tell_now(&mut self) -> Vec<Request> {
        let Some(mirror) = self.mirror.as_ref().filter(|mirror| mirror.state.incident.is_some()) else {
            self.say(Role::Warn, nothing_to_tell());
            return Vec::new();
        };
        let tell = keymap::key(Action::Tell);
        if mirror.state.outbox.recallable(self.now()).is_some() {
            self.say(Role::Warn, format!("an update is on its way already → {tell} takes it back"));
            return Vec::new();
        }
        let Some(proposed) = due(&mirror.estate, &mirror.state) else {
            self.say(Role::Warn, format!("no update is proposed → {tell} shows what could be told"));
            return Vec::new();
        };
        let open = mirror.state.incident.iter().flat_map(|it| it.checklist.open()).count();
        if proposed.purpose == Status::Resolved && open > 0 {
            self.say(
                Role::Warn,
                format!("“resolved” is not sent unseen while {open} checks are open: look at it first"),
            );
            return vec![Request::Drafts];
        }
        let ask = Ask::Tell {
            purpose: proposed.purpose,
            texts: BTreeMap::new(),
            audiences: Vec::new(),
            note: String::new(),
            incident: None,
            despite: String::new(),
        };
        self.ask_if(ask, "")
    }

    /// Takes back the newest message that has not gone out yet.
    pub(super) fn recall(&self) -> Option<Vec<Request>> {
        if self.read_only {
            return None;
        }
        let message = self.mirror.as_ref()?.state.outbox.recallable(self.now())?.message.id.clone();
        let said = format!("{message} taken back: nothing was sent");
        Some(self.ask(Ask::Recall { message }, said))
    }

    pub(super) fn show_drafts(&mut self, drafts: Vec<Message>) {
        if drafts.is_empty() {
            self.say(Role::Warn, "there is nothing to tell: no incident is open, and none was closed recently");
            return;
        }
        let due = self.mirror.as_ref().and_then(|mirror| due(&mirror.estate, &mirror.state)).map(|it| it.purpose);
        let afterwards = !self.has_incident();
        // Of a closed one, its end is what there is to tell.
        let due = due.or(afterwards.then_some(Status::Resolved));
        let at = drafts.iter().position(|it| Some(it.purpose) == due).unwrap_or(0);
        self.layers.retain(|layer| !matches!(layer, Layer::Tell(_)));
        self.layers.push(Layer::Tell(Box::new(Tell::new(drafts, at, afterwards))));
    }

    pub(super) fn send_update(&mut self) -> Vec<Request> {
        let Some(Layer::Tell(tell)) = self.layers.last() else { return Vec::new() };
        let Some(ask) = tell.ask() else { return Vec::new() };
        match (self.may(&ask), ask) {
            (Err(refusal), Ask::Tell { purpose, texts, audiences, note, incident, .. })
                if refusal.reason == RefusalReason::ReasonMissing && purpose == Status::Resolved =>
            {
                let despite = String::from("asked in the cockpit, and told all the same");
                let ask = Ask::Tell { purpose, texts, audiences, note, incident, despite };
                self.layers.pop();
                self.layers.push(Layer::Question(Question {
                    title: "tell `resolved` now?".into(),
                    lines: vec![format!("{}.", refusal.why)],
                    ask,
                    said: String::new(),
                }));
                Vec::new()
            }
            (Err(refusal), _) => {
                self.say(Role::Warn, refusal.to_string());
                Vec::new()
            }
            (Ok(()), ask) => {
                self.layers.pop();
                self.ask(ask, "")
            }
        }
    }

    /// A key of the preview.
    pub(super) fn on_message(&mut self, action: Action, key: &str) {
        let Some(Layer::Tell(tell)) = self.layers.last_mut() else { return };
        match action {
            Action::ChooseStatus => tell.choose(key.parse::<usize>().unwrap_or(1) - 1),
            Action::Less => tell.choose(tell.at.saturating_sub(1)),
            Action::More => tell.choose(tell.at + 1),
            Action::NextField => tell.next_audience(1),
            Action::PreviousField => tell.next_audience(-1),
            Action::EditText => tell.edit(),
            Action::KeepText => tell.keep(),
            _ => {}
        }
    }

    pub(super) fn hand_over(&mut self) {
        let fields = vec![Field::choice("what", Duty::WORDS, 0), Field::text("to", ""), Field::optional("note", "")];
        let form = Form::new("hand over", Purpose::HandOver, fields)
            .about(["The team is told, with a brief of how things stand. It stays yours until the other one takes it."
                .to_owned()])
            .said("handed over: the brief is on its way");
        let hand_over = crate::domain::comms::HandOver { duty: Duty::Command, to: "-".into() };
        self.push_if(&Ask::HandOver { hand_over, note: String::new() }, Layer::Form(Box::new(form)));
    }

    /// Tries the newest delivery again that did not get through.
    pub(super) fn retry_delivery(&mut self) {
        let stuck = |phase| matches!(phase, PartPhase::Failed | PartPhase::Unknown | PartPhase::Retrying);
        let messages = self.mirror.as_ref().into_iter().flat_map(|mirror| mirror.state.outbox.messages.iter().rev());
        let mut all =
            messages.flat_map(|it| it.deliveries.iter().map(|(id, way)| (it.message.id.clone(), id.clone(), way)));
        let Some((message, channel, delivery)) = all.find(|(.., way)| stuck(way.phase())) else {
            self.say(Role::Good, "everything that was said has arrived");
            return;
        };
        if delivery.phase() == PartPhase::Unknown {
            return self.settle_delivery(message, channel);
        }
        let form = Form::new(
            format!("send {message} to {channel} again"),
            Purpose::RetryDelivery(message.clone(), channel.clone()),
            vec![Field::optional("reason", "")],
        )
        .about(["Nothing of it was sent.".to_owned()])
        .said("on its way again");
        let ask = Ask::RetryDelivery { message, channel, reason: "-".into() };
        self.push_if(&ask, Layer::Form(Box::new(form)));
    }

    /// Nobody but a person can look whether it has arrived.
    fn settle_delivery(&mut self, message: MessageId, channel: ChannelId) {
        let form = Form::new(
            format!("what became of {message} to {channel}"),
            Purpose::SettleDelivery(message.clone(), channel.clone()),
            vec![Field::choice("it has", FATES, 0), Field::text("you saw", "")],
        )
        .about(["It may have been sent. Look whether it has arrived, and say what you saw.".to_owned()])
        .said("noted");
        let ask = Ask::SettleDelivery { message, channel, arrived: true, reason: "-".into() };
        self.push_if(&ask, Layer::Form(Box::new(form)));
    }
}
