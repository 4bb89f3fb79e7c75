//! Whether a key was meant for where it arrives. A form that closes sooner than its writer thought must not let the rest of a sentence
//! page people, and a text that is pasted without brackets must not act at all.
//!
//! Time is handed in: nothing here reads a clock.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::domain::time::{At, after, seconds_between};

use super::keymap::Context;

/// Keys that follow each other faster than this were not pressed one by one.
const BUNCH: std::time::Duration = std::time::Duration::from_millis(20);
/// So many of them are a paste. Fewer may have been held up by a bad line.
const PASTE: usize = 3;
/// So long a layer has to be on screen before a key on it reaches people.
const SETTLE: std::time::Duration = std::time::Duration::from_millis(300);
/// Whoever goes on typing after a form has closed pauses no longer than this.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

/// How keys come in, and since when what they act on is on screen.
#[derive(Debug, Default)]
pub struct Typing {
    last: Option<(At, KeyEvent)>,
    /// Keys of the bunch that is under way.
    count: usize,
    /// Those of them that wait to be told from a paste.
    waiting: Vec<KeyEvent>,
    /// A text layer has closed, and there was no pause since.
    carried: bool,
    /// The layer on top, and since when.
    top: Option<(usize, Context, At)>,
    settled: bool,
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// It counts now.
    Alone,
    /// It counts once nothing has followed it for a moment: [`Typing::release`].
    Waits,
    /// It is held down, and has been taken in.
    Held,
    /// It is a part of a text that was pasted where no text is taken.
    Pasted,
}

/// Whether a key is one of those that a text is made of.
fn is_of_text(key: KeyEvent) -> bool {
    let plain = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    plain && matches!(key.code, KeyCode::Char(_) | KeyCode::Enter | KeyCode::Tab)
}

impl Typing {
    /// Takes in a key that no text layer takes. `acts`: it does more than look, so it has to wait for what follows it.
    pub fn key(&mut self, key: KeyEvent, at: At, acts: bool) -> Came {
        let held = self.tick(key, at);
        if !is_of_text(key) {
            return Came::Alone;
        }
        if self.count >= PASTE {
            self.waiting.clear();
            return Came::Pasted;
        }
        if held {
            return if self.waiting.is_empty() && !acts { Came::Alone } else { Came::Held };
        }
        if acts || self.count > 1 {
            self.waiting.push(key);
            return Came::Waits;
        }
        Came::Alone
    }

    /// Takes in a key that is text where it arrives. Says whether it came as a part of a paste.
    pub fn text(&mut self, key: KeyEvent, at: At) -> bool {
        self.tick(key, at);
        self.count > 1
    }

    /// Says whether the key is one that is held down: it repeats itself as fast as a paste, and is none.
    fn tick(&mut self, key: KeyEvent, at: At) -> bool {
        let gap = self.last.map(|(last, _)| seconds_between(last, at));
        let bunched = gap.is_some_and(|gap| gap < BUNCH.as_secs_f64());
        let held = bunched && self.last.is_some_and(|(_, last)| last == key);
        self.carried &= gap.is_some_and(|gap| gap < PAUSE.as_secs_f64());
        if !bunched {
            self.count = 1;
        } else if !held {
            self.count += 1;
        }
        self.last = Some((at, key));
        held
    }

    /// The keys that waited and were followed by nothing.
    pub fn release(&mut self, at: At) -> Vec<KeyEvent> {
        let over = self.last.is_none_or(|(last, _)| after(last, BUNCH) <= at);
        if over { std::mem::take(&mut self.waiting) } else { Vec::new() }
    }

    /// Takes note of what is on top.
    pub fn shows(&mut self, depth: usize, context: Context, at: At) {
        let before = self.top;
        if before.is_none_or(|(was, of, _)| (was, of) != (depth, context)) {
            self.carried |= before.is_some_and(|(_, of, _)| of.takes_text() && !context.takes_text());
            self.top = Some((depth, context, at));
        }
        self.settled = self.top.is_some_and(|(.., since)| after(since, SETTLE) <= at);
    }

    /// Whether what is on top has been there for long enough to be read.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Whether a key that reaches people was meant to: by itself, on something that was there to be seen.
    pub fn is_meant(&self) -> bool {
        self.settled && !self.carried && self.count <= 1
    }

    /// When to look again.
    pub fn wakes(&self) -> Option<At> {
        let settles = self.top.filter(|_| !self.settled).map(|(.., since)| after(since, SETTLE));
        let waits = self.last.filter(|_| !self.waiting.is_empty()).map(|(last, _)| after(last, BUNCH));
        settles.into_iter().chain(waits).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> At {
        after("2026-11-23T14:00:00Z".parse().unwrap(), Duration::from_millis(millis))
    }

    fn key(c: char) -> KeyEvent {
        KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)
    }

    #[test]
    fn a_paste_does_nothing_and_a_key_by_itself_counts() {
        let mut typing = Typing::default();
        assert_eq!(typing.key(key('H'), at(0), true), Came::Waits);
        assert_eq!(typing.release(at(10)), []);
        assert_eq!(typing.release(at(20)), [key('H')]);
        let mut typing = Typing::default();
        let came: Vec<Came> =
            "Hello".chars().enumerate().map(|(nth, c)| typing.key(key(c), at(nth as u64), true)).collect();
        assert_eq!(came, [Came::Waits, Came::Waits, Came::Pasted, Came::Pasted, Came::Pasted]);
        assert_eq!(typing.release(at(500)), [], "nothing of it is left over");
        assert_eq!(typing.key(key('x'), at(600), true), Came::Waits, "and a pause ends it");
    }

    #[test]
    fn two_keys_that_a_bad_line_brings_together_both_count() {
        let mut typing = Typing::default();
        assert_eq!(typing.key(key('5'), at(0), false), Came::Alone);
        assert_eq!(typing.key(key('z'), at(1), false), Came::Waits);
        assert!(!typing.is_meant(), "neither of them reaches people");
        assert_eq!(typing.release(at(30)), [key('z')]);
    }

    #[test]
    fn a_key_that_is_held_down_goes_on_to_look() {
        let mut typing = Typing::default();
        for nth in 0..10 {
            assert_eq!(typing.key(key('j'), at(nth * 10), false), Came::Alone, "{nth}");
        }
        let mut typing = Typing::default();
        assert_eq!(typing.key(key('H'), at(0), true), Came::Waits);
        assert_eq!(typing.key(key('H'), at(10), true), Came::Held, "and acts once");
        assert_eq!(typing.release(at(40)), [key('H')]);
    }

    #[test]
    fn what_is_typed_on_after_a_form_has_closed_reaches_nobody() {
        let mut typing = Typing::default();
        typing.shows(1, Context::Form, at(0));
        for nth in 0..8 {
            assert!(!typing.text(key('x'), at(1000 + nth * 120)));
        }
        typing.shows(0, Context::Main, at(1840));
        for nth in 0..7 {
            let now = at(1960 + nth * 120);
            typing.key(key('a'), now, true);
            typing.shows(0, Context::Main, now);
            assert!(!typing.is_meant(), "key {nth} of the rest of the sentence");
        }
        typing.key(key('a'), at(3300), true);
        typing.shows(0, Context::Main, at(3300));
        assert!(typing.is_meant(), "after a pause it is meant");
    }

    #[test]
    fn a_layer_has_to_be_there_to_be_read() {
        let mut typing = Typing::default();
        typing.shows(0, Context::Main, at(0));
        typing.key(key('u'), at(1000), true);
        typing.shows(1, Context::Tell, at(1020));
        typing.key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE), at(1200), true);
        assert!(!typing.is_meant());
        assert_eq!(typing.wakes(), Some(at(1220)), "first the key that waits");
        typing.release(at(1220));
        assert_eq!(typing.wakes(), Some(at(1320)));
        typing.shows(1, Context::Tell, at(1320));
        typing.key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE), at(1400), true);
        assert!(typing.is_meant());
    }
}
