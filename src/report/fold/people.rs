//! Who took part, and in what.

use super::super::review::Person;
use super::super::text::tidy;
use crate::domain::actor::Actor;
use crate::domain::event::{Event, Record};
use crate::domain::time::At;

#[derive(Default)]
pub struct People(Vec<Track>);

struct Track {
    who: Actor,
    first_at: At,
    /// What was done, once and often, and how many times.
    did: Vec<(Did, usize)>,
}

/// `answered a gate`, and `answered # gates` for several.
type Did = (&'static str, &'static str);

fn did(event: &Event) -> Option<Did> {
    Some(match event {
        Event::IncidentDeclared { .. } => ("declared it", "declared it"),
        Event::CommandTaken {} => ("commander", "commander"),
        Event::CommunicationsTaken {} => ("communications", "communications"),
        Event::PageAcknowledged { .. } => ("acknowledged the page", "acknowledged # pages"),
        Event::RunStarted { .. } => ("started a run", "started # runs"),
        Event::GateConfirmed { .. } => ("answered a gate", "answered # gates"),
        Event::GuardsOverridden { .. } => ("overrode guards", "overrode guards # times"),
        Event::StepRetried { .. }
        | Event::StepSkipped { .. }
        | Event::StepReverting { .. }
        | Event::SecondAwaited { .. } => ("decided on a step", "decided on steps # times"),
        Event::StepDoneByHand { .. } => ("did a step by hand", "did # steps by hand"),
        Event::HoldSet { .. } => ("held everything", "held everything # times"),
        Event::SeverityChanged { .. } => ("changed the severity", "changed the severity # times"),
        Event::TitleChanged { .. } => ("corrected the title", "corrected the title # times"),
        Event::MessageComposed { .. } => ("wrote a message", "wrote # messages"),
        Event::ItemTicked { .. } | Event::ItemSkipped { .. } => ("answered for an item", "answered for # items"),
        Event::NoteAdded { .. } => ("noted something", "wrote # notes"),
        Event::IncidentClosed { .. } => ("closed it", "closed it"),
        _ => return None,
    })
}

impl People {
    pub fn take(&mut self, record: &Record) {
        let Some(did) = did(&record.event) else { return };
        // Who took a page elsewhere is known by name alone.
        let who = match &record.event {
            Event::PageAcknowledged { by } if record.actor.uid.is_none() => Actor::named(tidy(by), None),
            _ if record.actor.uid.is_some() => record.actor.clone(),
            _ => return,
        };
        let at =
            self.0.iter().position(|track| (track.who.uid, &track.who.name) == (who.uid, &who.name)).unwrap_or_else(
                || {
                    self.0.push(Track { who, first_at: record.at, did: Vec::new() });
                    self.0.len() - 1
                },
            );
        let known = &mut self.0[at].did;
        match known.iter_mut().find(|(known, _)| *known == did) {
            Some((_, times)) => *times += 1,
            None => known.push((did, 1)),
        }
    }

    pub fn review(self) -> Vec<Person> {
        let words = |((once, often), times): &(Did, usize)| match times {
            1 => (*once).to_owned(),
            times => often.replace('#', &times.to_string()),
        };
        let person = |track: Track| Person {
            who: track.who,
            first_at: track.first_at,
            did: track.did.iter().map(words).collect(),
        };
        self.0.into_iter().map(person).collect()
    }
}
