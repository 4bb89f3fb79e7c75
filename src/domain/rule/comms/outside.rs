//! What an incident leaves open outside: the last word that each audience read, the page at its vendor, what did not arrive, and what
//! the status page still calls broken. Whoever closes an incident sees it, and what is still to be told can be told afterwards.

use std::collections::BTreeMap;

use serde::Serialize;

use super::standing;
use crate::domain::fact::comms::{PartPhase, Posted, moment};
use crate::domain::ids::{ChannelId, IncidentId, MessageId};
use crate::domain::rule::describe::{Said, Tone};
use crate::domain::rule::state::State;
use crate::domain::spec::comms::{Audience, ComponentStatus, Purpose, is_pager};
use crate::domain::spec::estate::Estate;
use crate::domain::time::{At, seconds_between};

/// For so many seconds after it was closed, what an incident left open outside is the next thing to do.
const REMINDS: f64 = 24.0 * 60.0 * 60.0;

/// The last update that an audience was told.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct LastWord {
    pub audience: Audience,
    pub purpose: Purpose,
    pub at: At,
}

/// A delivery that is not with people.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Undelivered {
    pub message: MessageId,
    pub channel: ChannelId,
    pub phase: PartPhase,
    pub words: String,
}

/// What is open outside.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Outside {
    pub incident: IncidentId,
    /// Of every audience that was told something.
    pub words: Vec<LastWord>,
    /// Channels at whose vendor a page is open.
    pub pages: Vec<ChannelId>,
    pub undelivered: Vec<Undelivered>,
    /// What the status page was last told of components, if that is not operational.
    pub components: BTreeMap<String, ComponentStatus>,
}

impl Outside {
    /// Nobody is left with an older word, no page is open, and everything has arrived.
    pub fn is_closed(&self) -> bool {
        self.untold().is_empty() && self.pages.is_empty() && self.undelivered.is_empty() && self.components.is_empty()
    }

    /// The audiences that were told something, and not that it is over.
    pub fn untold(&self) -> Vec<&LastWord> {
        self.words.iter().filter(|it| it.purpose != Purpose::Resolved).collect()
    }

    /// What is open, a line each; empty when nothing is.
    pub fn lines(&self) -> Vec<Said> {
        let untold = self.untold();
        let told = untold.iter().map(|it| {
            (Tone::Warn, format!("{} last read `{}` at {}, not `resolved`", it.audience, it.purpose, moment(it.at)))
        });
        let pages = self.pages.iter().map(|it| (Tone::Warn, format!("the page is open at {it}")));
        let undelivered = self.undelivered.iter().map(|it| {
            let tone = if it.phase == PartPhase::Failed { Tone::Bad } else { Tone::Warn };
            (tone, format!("{} to {}: {}", it.message, it.channel, it.words))
        });
        let components = self.components.iter().map(|(name, status)| {
            (Tone::Warn, format!("the status page calls {name} {}", status.word().replace('-', " ")))
        });
        told.chain(pages).chain(undelivered).chain(components).collect()
    }

    /// The same in a few words: `public, customers last read monitoring; the page is open`.
    pub fn brief(&self) -> String {
        let mut parts = Vec::new();
        let untold: Vec<&str> = self.untold().iter().map(|it| it.audience.word()).collect();
        if !untold.is_empty() {
            parts.push(format!("`resolved` was not told to {}", untold.join(", ")));
        }
        if !self.pages.is_empty() {
            parts.push("the page is open".to_owned());
        }
        if !self.undelivered.is_empty() {
            parts.push(format!("{} deliveries have not arrived", self.undelivered.len()));
        }
        if !self.components.is_empty() {
            parts.push(format!("{} components are not operational on the status page", self.components.len()));
        }
        parts.join("; ")
    }
}

/// A message that an audience has read, or may have, or is about to.
fn reaches(estate: &Estate, posted: &Posted, audience: Audience) -> bool {
    let of = |id: &ChannelId| estate.channel(id).is_some_and(|spec| spec.audience == audience && !is_pager(spec));
    posted.deliveries.iter().any(|(id, it)| of(id) && (it.sent() > 0 || it.phase() != PartPhase::Failed))
}

/// What an incident has left open outside, as of `now`.
pub fn outside(estate: &Estate, state: &State, incident: &IncidentId, now: At) -> Outside {
    let updates = || state.outbox.of(incident).filter(|it| it.message.is_update()).rev();
    let last = |audience: &Audience| {
        let posted = updates().find(|it| reaches(estate, it, *audience))?;
        Some(LastWord { audience: *audience, purpose: posted.message.purpose, at: posted.message.send_at })
    };
    let page = updates().find(|it| reaches(estate, it, Audience::Public));
    let broken = page.into_iter().flat_map(|it| &it.message.components);
    Outside {
        incident: incident.clone(),
        words: Audience::ALL.iter().filter_map(last).collect(),
        pages: open_pages(estate, state, incident),
        undelivered: undelivered(state, incident, now),
        components: broken
            .filter(|(_, status)| **status != ComponentStatus::Operational)
            .map(|(name, status)| (name.clone(), *status))
            .collect(),
    }
}

/// Channels that were paged by, and have not been told that it is over.
pub fn open_pages(estate: &Estate, state: &State, incident: &IncidentId) -> Vec<ChannelId> {
    let with = |id: &ChannelId, purpose: Purpose| {
        let carried = state.outbox.of(incident).filter(|it| it.message.purpose == purpose);
        carried.filter_map(|it| it.deliveries.get(id)).any(|it| it.phase() != PartPhase::Failed)
    };
    let pagers = estate.channels.iter().filter(|spec| is_pager(spec));
    let open = pagers.filter(|spec| with(&spec.id, Purpose::Page) && !with(&spec.id, Purpose::Resolved));
    open.map(|spec| spec.id.clone()).collect()
}

/// The newest message on each channel, where it has not arrived: an older one was overtaken by it.
fn undelivered(state: &State, incident: &IncidentId, now: At) -> Vec<Undelivered> {
    let mut newest = BTreeMap::new();
    for posted in state.outbox.of(incident) {
        newest.extend(posted.deliveries.iter().map(|(channel, delivery)| (channel, (posted, delivery))));
    }
    let open = newest.into_iter().filter(|(_, (_, delivery))| delivery.phase() != PartPhase::Sent);
    open.map(|(channel, (posted, delivery))| Undelivered {
        message: posted.message.id.clone(),
        channel: channel.clone(),
        phase: delivery.phase(),
        words: standing(delivery, now).1,
    })
    .collect()
}

/// What the last closed incident has left open outside, for as long as that is worth a reminder; `None` while another is open.
pub fn left_open(estate: &Estate, state: &State, now: At) -> Option<Outside> {
    let last = state.closed.front().filter(|_| state.incident.is_none())?;
    let fresh = last.closed_at.is_some_and(|at| seconds_between(at, now) < REMINDS);
    fresh.then(|| outside(estate, state, &last.id, now)).filter(|it| !it.is_closed())
}

/// The newest update, where it reached nobody, or nobody of an audience: what was written there, nobody has read.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Unreached {
    pub message: MessageId,
    pub audiences: Vec<Audience>,
    /// It reached nobody at all.
    pub everybody: bool,
}

/// The newest update of the open incident, or of the last closed one, if somebody whom it was for was not reached by it.
pub fn unreached(estate: &Estate, state: &State) -> Option<Unreached> {
    let incident = state.incident.as_ref().or(state.closed.front())?;
    let newest = state.outbox.of(&incident.id).rfind(|it| it.message.is_update())?;
    let failed = |audience: &&Audience| {
        let of = |id: &ChannelId| estate.channel(id).is_some_and(|spec| spec.audience == **audience && !is_pager(spec));
        let mut ways = newest.deliveries.iter().filter(|(id, _)| of(id)).peekable();
        ways.peek().is_some() && ways.all(|(_, it)| it.phase() == PartPhase::Failed && it.sent() == 0)
    };
    let audiences: Vec<Audience> = Audience::ALL.iter().filter(failed).copied().collect();
    let everybody = newest.reached_nobody();
    (everybody || !audiences.is_empty()).then(|| Unreached { message: newest.message.id.clone(), audiences, everybody })
}
