//! Records become a review: the fold of the journal, and of one incident what it takes to tell it.
//!
//! An incident begins with the first trouble after the last healthy reading before it was declared, and ends with what follows of it
//! when it is closed: deliveries that were under way, steps that are taken back. Records have to come from the first one on, because what
//! was true before counts too: how long a step took the last time, which probes were ill.

mod actions;
mod items;
mod messages;
mod people;
mod runs;
mod summary;

use std::collections::{BTreeMap, VecDeque};

use super::review::{Brief, Entry, FORMAT, JournalRange, Review, SeverityChange};
use super::text::tidy;
use crate::domain::actor::Actor;
use crate::domain::describe::{describe, is_passing};
use crate::domain::drill::DrillResult;
use crate::domain::event::{Event, Record};
use crate::domain::health::Status;
use crate::domain::ids::{DrillId, IncidentId, PlanId};
use crate::domain::incident::{Incident, Onset, Phase};
use crate::domain::run::{Outcome, Run};
use crate::domain::state::State;
use crate::domain::text::is_harmful;
use crate::domain::time::At;
use crate::domain::verdict::Promise;
use items::Items;
use messages::Messages;
use people::People;
use runs::Runs;

/// So many of the latest records are kept for the trouble that an incident may turn out to have begun with.
const BEFORE: usize = 2000;

/// Folds records, and keeps one incident.
pub struct Reviewer {
    /// The one that is asked for; `None`: the latest.
    wanted: Option<IncidentId>,
    state: State,
    before: VecDeque<Record>,
    /// The latest drill of each plan.
    drills: BTreeMap<PlanId, (DrillId, DrillResult)>,
    found: Option<Found>,
}

/// What is gathered of the incident.
struct Found {
    incident: Incident,
    promise: Option<Promise>,
    communications: Option<Actor>,
    closed_by: Option<Actor>,
    closing: String,
    /// The state at its end.
    end: Option<Box<State>>,
    /// Another one was declared: nothing more belongs to it.
    over: bool,
    first: u64,
    last: u64,
    last_at: At,
    severities: Vec<SeverityChange>,
    timeline: Vec<Entry>,
    decisions: Vec<Entry>,
    notes: Vec<Entry>,
    runs: Runs,
    messages: Messages,
    items: Items,
    people: People,
}

impl Reviewer {
    pub fn new(wanted: Option<IncidentId>) -> Self {
        let (state, before, drills) = (State::default(), VecDeque::new(), BTreeMap::new());
        Self { wanted, state, before, drills, found: None }
    }

    /// Takes the next record in.
    pub fn take(&mut self, record: &Record) {
        if record.actor.name.contains(is_harmful) {
            let actor = Actor { name: tidy(&record.actor.name), ..record.actor.clone() };
            return self.take(&Record { actor, ..record.clone() });
        }
        if let Event::IncidentDeclared { incident, .. } = &record.event {
            if let Some(found) = &mut self.found {
                found.runs.keep(&self.state);
                found.over = true;
            }
            if self.wanted.as_ref().is_none_or(|wanted| wanted == incident) {
                self.declared(record);
                return;
            }
        }
        if let Event::DrillEnded { drill, result } = &record.event {
            self.drills.insert(result.plan.clone(), (drill.clone(), DrillResult::clone(result)));
        }
        if let Some(found) = self.found.as_mut().filter(|found| !found.over && found.owns(record, &self.state)) {
            found.take(record, &self.state, &self.drills);
        }
        self.fold(record);
    }

    fn fold(&mut self, record: &Record) {
        if let (Event::IncidentClosed { .. }, Some(found)) = (&record.event, &mut self.found)
            && !found.over
            && found.end.is_none()
        {
            found.closed(record, &self.state);
        }
        self.state.apply(record);
        if !is_passing(&record.event) {
            self.before.push_back(record.clone());
            if self.before.len() > BEFORE {
                self.before.pop_front();
            }
        }
    }

    fn declared(&mut self, record: &Record) {
        let before = std::mem::take(&mut self.before);
        self.state.apply(record);
        let Some(incident) = self.state.incident.clone() else { return };
        let start = incident.clocks.disruption().filter(|(_, onset)| *onset != Onset::Declaration).map(|(at, _)| at);
        let mut found = Found::new(incident, record);
        // What came before t0 was healthy; from the first trouble on it belongs to the incident.
        let lately =
            before.iter().skip_while(|before| start.is_none_or(|start| before.at < start) || !is_trouble(before));
        for earlier in lately.chain([record]) {
            found.first = found.first.min(earlier.seq);
            found.tell(earlier);
        }
        self.found = Some(found);
    }

    /// The review of what was asked for; `None` if there was none. An open incident is judged as of `now`.
    pub fn finish(mut self, now: At) -> Option<Review> {
        let mut found = self.found.take()?;
        if !found.over {
            found.runs.keep(&self.state);
        }
        if found.end.is_none() {
            if let Some(open) = &self.state.incident {
                found.incident = open.clone();
            }
            found.end = Some(Box::new(self.state));
        }
        Some(found.review(now))
    }
}

fn is_trouble(record: &Record) -> bool {
    matches!(&record.event, Event::ProbeChanged { to, .. } if *to != Status::Healthy)
}

impl Found {
    fn new(incident: Incident, record: &Record) -> Self {
        let promise = match &record.event {
            Event::IncidentDeclared { promise, .. } => promise.as_deref().cloned(),
            _ => None,
        };
        Self {
            incident,
            promise,
            communications: None,
            closed_by: None,
            closing: String::new(),
            end: None,
            over: false,
            first: record.seq,
            last: record.seq,
            last_at: record.at,
            severities: Vec::new(),
            timeline: Vec::new(),
            decisions: Vec::new(),
            notes: Vec::new(),
            runs: Runs::default(),
            messages: Messages::default(),
            items: Items::default(),
            people: People::default(),
        }
    }

    /// While it is open everything belongs to it; after that only what follows of it.
    fn owns(&self, record: &Record, state: &State) -> bool {
        if self.end.is_none() {
            return true;
        }
        match &record.event {
            Event::MessageComposed { message } => message.incident == self.incident.id,
            Event::RunEnded { run, .. } => self.runs.has(run),
            Event::DrillEnded { .. } => self.incident.drill && state.incident.is_none(),
            event => match (event.step(), messages::of(event)) {
                (Some((run, _)), _) => self.runs.has(run),
                (None, Some(message)) => self.messages.has(message),
                (None, None) => false,
            },
        }
    }

    fn take(&mut self, record: &Record, state: &State, drills: &BTreeMap<PlanId, (DrillId, DrillResult)>) {
        match &record.event {
            Event::SeverityChanged { severity, reason } => self.severities.push(SeverityChange {
                at: record.at,
                by: record.actor.clone(),
                to: *severity,
                reason: tidy(reason),
            }),
            Event::CommunicationsTaken {} => self.communications = Some(record.actor.clone()),
            Event::RunStarted { .. } => self.runs.begin(record, state, drills),
            _ => {}
        }
        self.runs.take(record);
        self.messages.take(record);
        self.items.take(record);
        self.tell(record);
    }

    /// One line of the timeline, if it says something.
    fn tell(&mut self, record: &Record) {
        (self.last, self.last_at) = (record.seq, record.at);
        self.people.take(record);
        if is_passing(&record.event) {
            return;
        }
        let (tone, words) = describe(record);
        let against_advice = is_against_advice(&record.event);
        let by = record.actor.clone();
        let entry = Entry { seq: record.seq, at: record.at, by, tone, words: tidy(&words), against_advice };
        if is_decision(&record.event) {
            self.decisions.push(entry.clone());
        }
        if matches!(record.event, Event::NoteAdded { .. }) {
            self.notes.push(entry.clone());
        }
        self.timeline.push(entry);
    }

    /// The state as it was just before the closing, and what the closing says.
    fn closed(&mut self, record: &Record, state: &State) {
        let mut end = Box::new(state.clone());
        if let Some(incident) = &mut end.incident {
            incident.closed_at = Some(record.at);
            incident.phase = Phase::Closed;
            self.incident = incident.clone();
        }
        if let Event::IncidentClosed { note } = &record.event {
            self.closing = tidy(note);
        }
        self.closed_by = Some(record.actor.clone());
        self.end = Some(end);
    }

    fn review(self, now: At) -> Review {
        // Whoever asks may have a clock that is behind the engine's.
        let now = now.max(self.last_at);
        let incident = &self.incident;
        let as_of = incident.closed_at.map_or(now, |_| self.last_at);
        let (runs, tracks) = self.runs.review();
        let (rto, rpo) = match &self.promise {
            Some(promise) => (promise.rto(incident, now), promise.rpo(incident, tracks.last())),
            None => (Vec::new(), Vec::new()),
        };
        let mut review = Review {
            format: FORMAT,
            incident: incident.id.clone(),
            title: tidy(&incident.title),
            severity: incident.severity,
            phase: incident.phase,
            drill: incident.drill,
            region: incident.region.clone(),
            as_of,
            declared_by: incident.declared_by.clone(),
            commander: incident.commander.clone(),
            communications: self.communications,
            closed_at: incident.closed_at,
            closed_by: self.closed_by,
            closing: self.closing,
            summary: Vec::new(),
            clocks: incident.clocks.clone(),
            rto,
            rpo,
            severities: self.severities,
            timeline: self.timeline,
            decisions: self.decisions,
            notes: self.notes,
            differences: runs::differences(&runs),
            runs,
            messages: self.messages.review(),
            checklist: self.items.review(),
            actions: Vec::new(),
            people: self.people.review(),
            journal: JournalRange { first: self.first, last: self.last, ..JournalRange::default() },
            promise: self.promise,
        };
        review.actions = actions::actions(&review, self.end.as_deref());
        review.summary = summary::summary(&review);
        review
    }
}

fn is_against_advice(event: &Event) -> bool {
    matches!(event, Event::GuardsOverridden { .. } | Event::ItemTicked { against: Some(_), .. })
}

/// What somebody decided, or the policy in their place.
fn is_decision(event: &Event) -> bool {
    match event {
        Event::HoldSet { .. } | Event::HoldReleased { .. } => true,
        Event::IncidentDeclared { .. } | Event::SeverityChanged { .. } | Event::IncidentClosed { .. } => true,
        Event::CommandTaken {} | Event::CommunicationsTaken {} => true,
        Event::MessageRecalled { .. } | Event::DeliveryRetried { .. } | Event::DeliverySettled { .. } => true,
        Event::ItemSkipped { .. } | Event::ItemReopened { .. } => true,
        Event::RunStarted { .. } | Event::GateConfirmed { .. } => true,
        Event::StepRetried { .. } | Event::StepSkipped { .. } | Event::StepDoneByHand { .. } => true,
        Event::StepReverting { .. } | Event::SecondAwaited { .. } => true,
        Event::RunEnded { outcome, .. } => *outcome == Outcome::Abandoned,
        event => is_against_advice(event),
    }
}

/// Folds records, and keeps every incident in a line.
#[derive(Default)]
pub struct Lister {
    state: State,
    promise: Option<Promise>,
    briefs: Vec<Brief>,
}

impl Lister {
    pub fn take(&mut self, record: &Record) {
        if matches!(record.event, Event::IncidentClosed { .. }) {
            self.note(Some(record.at), record.at);
        }
        self.state.apply(record);
        if let Event::IncidentDeclared { incident, title, severity, drill, promise, .. } = &record.event {
            self.promise = promise.as_deref().cloned();
            self.briefs.push(Brief {
                incident: incident.clone(),
                title: tidy(title),
                severity: *severity,
                drill: *drill,
                declared_at: record.at,
                closed_at: None,
                commander: None,
                runs: 0,
                rto: Vec::new(),
                rpo: Vec::new(),
            });
        }
    }

    fn own_run(&self) -> Option<Run> {
        let incident = self.state.incident.as_ref().map(|incident| &incident.id);
        self.state.run.clone().filter(|run| run.incident.as_ref() == incident)
    }

    /// What the open incident has come to.
    fn note(&mut self, closed_at: Option<At>, now: At) {
        let run = self.own_run();
        let (Some(incident), Some(brief)) = (&self.state.incident, self.briefs.last_mut()) else { return };
        (brief.severity, brief.closed_at, brief.runs) = (incident.severity, closed_at, self.state.runs);
        brief.title = tidy(&incident.title);
        brief.commander.clone_from(&incident.commander);
        let incident = Incident { closed_at, ..incident.clone() };
        if let Some(promise) = &self.promise {
            brief.rto = promise.rto(&incident, now);
            brief.rpo = promise.rpo(&incident, run.as_ref());
        }
    }

    /// The newest first.
    pub fn finish(mut self, now: At) -> Vec<Brief> {
        let now = self.state.at.map_or(now, |last| last.max(now));
        self.note(None, now);
        self.briefs.reverse();
        self.briefs
    }
}
