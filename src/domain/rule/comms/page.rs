//! How the page of an incident stands: one reading for the rule that escalates, the pane, the header and the command line.

use crate::domain::fact::comms::Acknowledged;
use crate::domain::rule::state::State;
use crate::domain::spec::comms::{Audience, ChannelSpec, Purpose};
use crate::domain::spec::estate::Estate;
use crate::domain::time::{At, after};

/// How the page of the open incident stands.
#[derive(Clone, Debug, PartialEq)]
pub enum PageStanding<'s> {
    /// Nobody was paged by this program.
    Nobody,
    Acknowledged(&'s Acknowledged),
    /// That it is over was told: nobody is awaited any more.
    Over,
    Open {
        since: At,
        /// When somebody else is woken; `None` when nobody will be.
        escalates: Option<At>,
        /// Somebody else was woken already.
        escalated: bool,
    },
}

/// The channels that wake somebody else when nobody acknowledges.
pub fn escalations(estate: &Estate, drill: bool) -> impl Iterator<Item = &ChannelSpec> {
    let wakes = move |spec: &&ChannelSpec| {
        let carries = spec.carries.contains(&Purpose::Page) && spec.audience == Audience::Internal;
        spec.escalation && carries && spec.exists_in(drill)
    };
    estate.channels.iter().filter(wakes)
}

/// `None` when no incident is open.
pub fn page_standing<'s>(estate: &Estate, state: &'s State) -> Option<PageStanding<'s>> {
    let incident = state.incident.as_ref()?;
    let outbox = &state.outbox;
    let Some(page) = outbox.page(&incident.id) else {
        return Some(outbox.acknowledged.as_ref().map_or(PageStanding::Nobody, PageStanding::Acknowledged));
    };
    if let Some(known) = &outbox.acknowledged {
        return Some(PageStanding::Acknowledged(known));
    }
    if outbox.latest(&incident.id).is_some_and(|it| it.message.purpose == Purpose::Resolved) {
        return Some(PageStanding::Over);
    }
    let paged = |spec: &ChannelSpec| outbox.of(&incident.id).any(|it| it.deliveries.contains_key(&spec.id));
    let escalated = escalations(estate, incident.drill).any(paged);
    let ways = escalations(estate, incident.drill).next().is_some();
    let since = page.message.send_at;
    let escalates = (ways && !escalated).then(|| after(since, estate.comms.acknowledge(incident.severity).0));
    Some(PageStanding::Open { since, escalates, escalated })
}
