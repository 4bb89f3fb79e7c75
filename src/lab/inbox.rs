//! What was said: every message that a communication server took, whether or not its answer came back.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// The most messages that are kept, and the most bytes of them; the oldest go first.
const MOST: usize = 5000;
const ROOM: usize = 64 << 20;

/// The services that take messages.
pub const SERVICES: [&str; 5] = ["slack", "statuspage", "pagerduty", "smtp", "webhook"];

/// A message as it was taken. What it says is the sender's text: whoever shows it makes it harmless first.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Message {
    /// Counts messages from 1; never reused.
    pub serial: u64,
    pub at: Timestamp,
    /// One of [`SERVICES`].
    pub service: &'static str,
    /// What it is there: `post`, `reply`, `incident`, `trigger`, …
    pub kind: &'static str,
    /// The channel, the page, or the recipients.
    #[serde(rename = "where")]
    pub to: Vec<String>,
    pub title: String,
    pub text: String,
    /// What the sender would recognise it by: metadata, a deduplication key, a Message-ID.
    pub mark: Option<String>,
    /// Whatever else belongs to it, in the service's own words.
    pub details: Value,
}

impl Message {
    fn size(&self) -> usize {
        self.text.len() + self.title.len() + self.details.to_string().len()
    }
}

/// Every message, the newest last.
#[derive(Default)]
pub struct Inbox {
    messages: VecDeque<Message>,
    serial: u64,
    size: usize,
}

impl Inbox {
    /// Keeps a message; gives it its number and its time.
    pub fn take(&mut self, message: Message) -> u64 {
        self.serial += 1;
        let message = Message { serial: self.serial, at: Timestamp::now(), ..message };
        self.size += message.size();
        self.messages.push_back(message);
        while self.messages.len() > MOST || self.size > ROOM {
            let Some(gone) = self.messages.pop_front() else { break };
            self.size -= gone.size();
        }
        self.serial
    }

    /// The messages of one service, or all.
    pub fn of<'a>(&'a self, service: Option<&'a str>) -> impl Iterator<Item = &'a Message> {
        self.messages.iter().filter(move |it| service.is_none_or(|service| it.service == service))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_messages_make_room() {
        let mut inbox = Inbox::default();
        for _ in 0..MOST + 2 {
            inbox.take(Message { service: "slack", ..Message::default() });
        }
        let serials: Vec<u64> = inbox.of(Some("slack")).map(|it| it.serial).collect();
        assert_eq!((serials.len(), serials[0], serials[MOST - 1]), (MOST, 3, MOST as u64 + 2));
        let large = || Message { text: "x".repeat(ROOM / 2), ..Message::default() };
        inbox.take(large());
        let last = inbox.take(large());
        assert_eq!(inbox.of(None).map(|it| it.serial).collect::<Vec<_>>(), [last]);
    }
}
