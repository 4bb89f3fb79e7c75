//! PagerDuty: who is on call, the Events API that pages them, the REST API that tells what became of it, and the truth behind them.
//!
//! <https://developer.pagerduty.com/docs/introduction>

mod events;
mod incidents;
mod on_calls;
mod rest;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Site;
use super::inbox::{Inbox, Message};
use super::limit::Limit;
use super::world::Tick;

/// The places of its faults, and the names of its endpoints: the REST API, and the Events API.
pub const PLACE: &str = "pagerduty";
pub const EVENTS_PLACE: &str = "pagerduty-events";
const EVENTS_ENDPOINT: &str = "pagerduty.events";
/// These open nothing but the lab.
pub const TOKEN: &str = "labpagerduty";
pub const ROUTING_KEY: &str = "labrouting";

const POLICY: &str = "PLABPLATFORM";
const SERVICE: &str = "GenNet platform";

/// "960 requests per minute" for each token of the REST API; the throttle of the Events API is not published.
const REQUEST_EVERY: Duration = Duration::from_micros(62_500);
const REQUEST_BURST: u32 = 60;
const EVENT_EVERY: Duration = Duration::from_millis(500);
const EVENT_BURST: u32 = 20;

/// How long an event needs from being accepted to being acted upon.
const PROCESSING: Duration = Duration::from_secs(1);

/// The most incidents and events that are kept.
const INCIDENTS: usize = 500;
const EVENTS: usize = 1000;

/// Somebody on call: the level on the policy, and how to reach them.
struct Person {
    level: u32,
    id: &'static str,
    name: &'static str,
    email: &'static str,
    phone: &'static str,
}

const PEOPLE: [Person; 3] = [
    Person { level: 1, id: "PLAB001", name: "Ada Okafor", email: "ada.okafor@gennet.example", phone: "5550100" },
    Person { level: 2, id: "PLAB002", name: "Mateo Silva", email: "mateo.silva@gennet.example", phone: "5550101" },
    Person { level: 3, id: "PLAB003", name: "Ingrid Holm", email: "ingrid.holm@gennet.example", phone: "5550102" },
];

/// What another object is called.
fn reference(id: &str, kind: &str, summary: &str) -> Value {
    json!({
        "id": id, "type": format!("{kind}_reference"), "summary": summary,
        "self": format!("https://api.pagerduty.com/{kind}s/{id}"),
        "html_url": format!("https://gennet.pagerduty.com/{kind}s/{id}"),
    })
}

/// A moment as the API writes it.
fn written(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Who did something to an incident.
#[derive(Clone, Copy)]
enum Agent {
    Person(&'static Person),
    /// Whoever sends events.
    Integration,
}

impl Agent {
    fn told(self) -> Value {
        match self {
            Self::Person(person) => reference(person.id, "user", person.name),
            Self::Integration => reference("PLABSERVICE", "service", SERVICE),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Triggered,
    Acknowledged,
    Resolved,
}

impl Status {
    const ALL: [Self; 3] = [Self::Triggered, Self::Acknowledged, Self::Resolved];

    fn word(self) -> &'static str {
        match self {
            Self::Triggered => "triggered",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }
}

struct Note {
    id: String,
    at: Timestamp,
    by: &'static Person,
    content: String,
}

struct Incident {
    id: String,
    number: u64,
    key: String,
    title: String,
    urgency: &'static str,
    status: Status,
    created: Timestamp,
    /// When and by whom its status was changed last.
    changed: (Timestamp, Agent),
    acknowledged: Vec<(Timestamp, Agent)>,
    level: u32,
    notes: Vec<Note>,
}

impl Incident {
    /// Whether that changed anything.
    fn set(&mut self, status: Status, by: Agent, at: Timestamp) -> bool {
        if self.status == Status::Resolved || (self.status == status && status != Status::Acknowledged) {
            return false;
        }
        if status == Status::Acknowledged {
            self.acknowledged.push((at, by));
        }
        (self.status, self.changed) = (status, (at, by));
        true
    }

    fn responder(&self) -> &'static Person {
        PEOPLE.iter().find(|person| person.level == self.level).unwrap_or(&PEOPLE[0])
    }
}

/// An event that was accepted, and is acted upon when it is due.
struct Event {
    due: Timestamp,
    status: Status,
    key: String,
    title: String,
    urgency: &'static str,
}

/// The account.
pub struct Account {
    /// The newest last.
    incidents: VecDeque<Incident>,
    events: VecDeque<Event>,
    requests: Limit,
    arrivals: Limit,
    /// Counts what gets an id.
    serial: u64,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            incidents: VecDeque::new(),
            events: VecDeque::new(),
            requests: Limit::new(REQUEST_EVERY, REQUEST_BURST),
            arrivals: Limit::new(EVENT_EVERY, EVENT_BURST),
            serial: 0,
        }
    }
}

impl Account {
    /// Acts upon the events that are due.
    pub fn tick(&mut self, inbox: &mut Inbox, tick: &Tick<'_>) {
        while self.events.front().is_some_and(|event| event.due <= tick.now) {
            let Some(event) = self.events.pop_front() else { return };
            self.act(event, inbox, tick.now);
        }
    }

    fn act(&mut self, event: Event, inbox: &mut Inbox, now: Timestamp) {
        let open = self.incidents.iter_mut().find(|it| it.key == event.key && it.status != Status::Resolved);
        match (open, event.status) {
            // An open incident takes further events of its key in; what there is no incident for is dropped.
            (Some(_), Status::Triggered) | (None, Status::Acknowledged | Status::Resolved) => {}
            (Some(incident), status) => {
                incident.set(status, Agent::Integration, now);
            }
            (None, Status::Triggered) => self.page(event, inbox, now),
        }
    }

    fn page(&mut self, event: Event, inbox: &mut Inbox, now: Timestamp) {
        let id = self.id("Q");
        let Event { key, title, urgency, .. } = event;
        inbox.take(Message {
            service: PLACE,
            kind: "page",
            to: vec![PEOPLE[0].name.into()],
            title: title.clone(),
            mark: Some(key.clone()),
            details: json!({ "incident": id }),
            ..Message::default()
        });
        self.incidents.push_back(Incident {
            id,
            number: self.serial,
            key,
            title,
            urgency,
            status: Status::Triggered,
            created: now,
            changed: (now, Agent::Integration),
            acknowledged: Vec::new(),
            level: PEOPLE[0].level,
            notes: Vec::new(),
        });
        if self.incidents.len() > INCIDENTS {
            self.incidents.pop_front();
        }
    }

    fn id(&mut self, letter: &str) -> String {
        self.serial += 1;
        format!("{letter}LAB{:010}", self.serial)
    }

    /// A person picks the phone up: acknowledges every incident that is triggered, or those of one key. `by` is an id, a name or an
    /// e-mail address; the one on call when left out. Tells who that was, and the incidents' ids.
    ///
    /// # Errors
    /// The names of those there are, when there is no such person.
    pub fn acknowledge(
        &mut self,
        key: Option<&str>,
        by: Option<&str>,
    ) -> Result<(&'static str, Vec<String>), Vec<&'static str>> {
        let person = match by {
            None => Some(&PEOPLE[0]),
            Some(by) => PEOPLE.iter().find(|it| [it.id, it.name, it.email].contains(&by)),
        };
        let person = person.ok_or_else(|| PEOPLE.iter().map(|it| it.name).collect::<Vec<_>>())?;
        let wanted = |it: &&mut Incident| it.status == Status::Triggered && key.is_none_or(|key| it.key == key);
        let mut ids = Vec::new();
        for incident in self.incidents.iter_mut().filter(wanted) {
            incident.set(Status::Acknowledged, Agent::Person(person), Timestamp::now());
            ids.push(incident.id.clone());
        }
        Ok((person.name, ids))
    }
}

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    rest::start(site).await?;
    events::start(site).await
}
