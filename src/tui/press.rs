//! What becomes of a key, and of a text that is pasted: text goes where text is taken, and what acts has to be known for no paste.

use ratatui::crossterm::event::KeyEvent;

use super::app::{App, Dirty, Request};
use super::keymap::{self, Action, Danger};
use super::theme::Role;
use super::typing::Came;

impl App {
    /// A key as it comes in: text goes where text is taken, and what acts waits until it is known to be no paste.
    pub(super) fn key(&mut self, key: KeyEvent) -> Vec<Request> {
        self.message = None;
        let (context, name) = (self.context(), keymap::name(key));
        let action = keymap::find(context, &name).map(|row| row.action);
        if context.takes_text() {
            let pasted = self.typing.text(key, self.at);
            let Some(layer) = self.layers.last_mut() else { return Vec::new() };
            // The end of a pasted line is no answer to a form.
            let ends_line = pasted && action == Some(Action::Submit);
            if layer.takes_text(action) {
                layer.type_key(key);
            } else if ends_line {
                layer.type_text("\n");
            } else {
                return self.pressed(key);
            }
            self.filter_live();
            return Vec::new();
        }
        let acts = keymap::find(context, &name).is_some_and(|row| row.danger != Danger::Looks || row.leaves());
        match self.typing.key(key, self.at, acts) {
            Came::Alone => self.pressed(key),
            Came::Waits | Came::Held => Vec::new(),
            Came::Pasted => {
                self.say(Role::Dim, "pasted text does nothing here");
                Vec::new()
            }
        }
    }

    /// What the keys do that were followed by nothing.
    pub(super) fn released(&mut self) -> Vec<Request> {
        let mut requests = Vec::new();
        for key in self.typing.release(self.at) {
            self.dirty = Dirty::Now;
            requests.extend(self.pressed(key));
        }
        requests
    }

    /// A key that counts.
    fn pressed(&mut self, key: KeyEvent) -> Vec<Request> {
        let (context, name) = (self.context(), keymap::name(key));
        let row = keymap::find(context, &name);
        // A key that came with the one that has opened a text layer.
        if let Some(layer) = self.layers.last_mut()
            && layer.takes_text(row.map(|row| row.action))
        {
            layer.type_key(key);
            self.filter_live();
            return Vec::new();
        }
        let Some(row) = row else {
            self.say(Role::Dim, format!("{name} does nothing here → {} shows what does", keymap::key(Action::Help)));
            return Vec::new();
        };
        if let Some(why) = self.unbound(row) {
            self.say(Role::Warn, format!("{name} ({}) is not possible: {why}", row.title));
            return Vec::new();
        }
        self.act(row.action, &name)
    }

    pub(super) fn paste(&mut self, text: &str) {
        if let Some(layer) = self.layers.last_mut() {
            // Terminals end the lines of what they paste as the Enter key does.
            let text = text.replace("\r\n", "\n").replace('\r', "\n");
            layer.type_text(&crate::domain::text::clean_lines(&text));
            self.filter_live();
        }
    }
}
