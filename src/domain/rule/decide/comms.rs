//! What is said, to whom and when. A message is fixed and durable before any of it is sent; each part is tried in its turn; what may
//! have arrived is looked for before anything else; and in a drill only channels for drills are ever named.

use std::collections::BTreeMap;
use std::time::Duration;

use super::parts::sent;
use super::{Draft, need_reason, parts, refuse};
use crate::domain::fact::command::{Effect, Errand, Refusal, RefusalReason as Why};
use crate::domain::fact::comms::{Beside, Found, HandOver, Handed, Message, Part, PartPhase, Posted};
use crate::domain::fact::event::Event;
use crate::domain::fact::incident::Incident;
use crate::domain::fault::{Fault, FaultClass};
use crate::domain::ids::{ChannelId, IncidentId, MessageId};
use crate::domain::rule::comms::{PageStanding, components, facts, page_standing};
use crate::domain::rule::state::State;
use crate::domain::spec::comms::{Audience, ChannelSpec, Purpose, Text, audiences, is_pager};
use crate::domain::spec::estate::Estate;
use crate::domain::spec::severity::Answers;
use crate::domain::text::clean_lines;
use crate::domain::time::{At, after, seconds_between};

/// What somebody asks to be told.
#[derive(Default)]
pub(super) struct Wish<'w> {
    pub texts: Option<&'w BTreeMap<Audience, Text>>,
    /// All when empty.
    pub audiences: &'w [Audience],
    pub note: &'w str,
    pub hand_over: Option<HandOver>,
    /// It is for the escalation.
    pub escalated: bool,
    /// It can be taken back for so long.
    pub take_back: Duration,
    /// The open one where none is named.
    pub incident: Option<&'w IncidentId>,
    /// Only the page at its vendor is ended by it.
    pub only_page: bool,
}

/// The channels that a message goes out by. In a drill, those that are not for drills are not there.
///
/// **Rule 42.** A drill never reaches customers or the public: those channels are not there.
fn channels<'d>(draft: &'d Draft<'_>, purpose: Purpose, wish: &Wish<'_>) -> Vec<&'d ChannelSpec> {
    let state = draft.state();
    let Some(incident) = subject(state, wish.incident) else { return Vec::new() };
    let was_paged = |spec: &ChannelSpec| state.outbox.of(&incident.id).any(|it| it.deliveries.contains_key(&spec.id));
    let fits = |spec: &&ChannelSpec| {
        let escalation = if purpose == Purpose::Page {
            spec.escalation == wish.escalated
        } else {
            !spec.escalation || was_paged(spec)
        };
        spec.exists_in(incident.drill)
            && spec.carries.contains(&purpose)
            && audiences(purpose).contains(&spec.audience)
            && (wish.audiences.is_empty() || wish.audiences.contains(&spec.audience))
            && escalation
            && (!wish.only_page || (is_pager(spec) && was_paged(spec)))
    };
    draft.cx.estate.channels.iter().filter(fits).collect()
}

/// The message as it would be sent now: the draft that is previewed and what is composed are made by this alone.
pub(super) fn draft_message(draft: &Draft<'_>, purpose: Purpose, wish: &Wish<'_>) -> Option<Message> {
    let (cx, state) = (draft.cx, draft.state());
    let incident = subject(state, wish.incident)?;
    let is_closed = incident.closed_at.is_some();
    let send_at = after(cx.now, wish.take_back);
    // Nobody is reminded of a closed one, so nothing more is promised.
    let next_due = (purpose.is_update() && purpose != Purpose::Resolved && !is_closed)
        .then(|| after(send_at, cx.estate.comms.every(incident.severity).0));
    let beside =
        Beside { next_due, note: clean_lines(wish.note), hand_over: wish.hand_over.clone(), escalated: wish.escalated };
    let facts = facts(cx.estate, (state, cx.readings), incident, purpose, &beside, cx.now);
    let (mut texts, mut deliveries) = (BTreeMap::new(), BTreeMap::new());
    for spec in channels(draft, purpose, wish) {
        deliveries.insert(spec.id.clone(), cx.voice.parts(&spec.id).unwrap_or(0));
        let audience = spec.audience;
        let given = wish.texts.and_then(|texts| texts.get(&audience));
        texts.entry(audience).or_insert_with(|| {
            let text = given.cloned().unwrap_or_else(|| cx.voice.wording.write(purpose, audience, &facts));
            label(text, incident.drill)
        });
    }
    Some(Message {
        id: message_id(incident, number(state, incident), &cx.chain.head),
        incident: incident.id.clone(),
        purpose,
        severity: incident.severity,
        drill: incident.drill,
        texts,
        components: components(cx.estate, state, cx.readings, cx.now),
        send_at,
        next_due,
        deliveries,
        chain: Some(cx.chain.clone()).filter(|chain| chain.records > 0),
        only_page: wish.only_page,
    })
}

/// Which message of its incident it is. What is composed is counted for the open one, and all of it is kept of one that is closed.
fn number(state: &State, incident: &Incident) -> u32 {
    let kept = state.outbox.messages.iter().filter(|it| it.message.incident == incident.id).count();
    let kept = u32::try_from(kept).unwrap_or(u32::MAX);
    if incident.closed_at.is_some() { kept + 1 } else { state.outbox.composed.max(kept) + 1 }
}

/// An id that never comes twice: where a journal lost its end and the count begins again, its head is another.
fn message_id(incident: &Incident, number: u32, head: &str) -> MessageId {
    let mark = head.get(..8).map_or_else(String::new, |mark| format!("-{mark}"));
    MessageId::new(format!("{}.m{number}{mark}", incident.id))
}

/// Harmless text; in a drill every one says so, whoever wrote it.
fn label(text: Text, drill: bool) -> Text {
    let (subject, body) = (clean_lines(&text.subject).replace('\n', " "), clean_lines(&text.body));
    if !drill {
        return Text { subject, body };
    }
    let once = |text: String, label: &str| if text.starts_with(label) { text } else { format!("{label}{text}") };
    Text { subject: once(subject, "DRILL: "), body: once(body, "DRILL. This is an exercise; nothing has failed.\n\n") }
}

/// Fixes a message. Nothing is sent before it is durable and its time has come.
///
/// **Rule 43.** What is said is durable before it is sent, and can be taken back until then.
pub(super) fn compose(draft: &mut Draft<'_>, purpose: Purpose, wish: &Wish<'_>) -> Result<MessageId, Refusal> {
    if subject(draft.state(), wish.incident).is_none() {
        super::open_incident(draft)?;
    }
    let blank = |text: &Text| text.subject.trim().is_empty() || text.body.trim().is_empty();
    if let Some((audience, _)) = wish.texts.into_iter().flatten().find(|(_, text)| blank(text)) {
        let why = format!("the text for the {audience} audience has no subject or no body");
        return refuse(Why::ReasonMissing, why, "write it, or let Mayday write it");
    }
    let Some(message) = draft_message(draft, purpose, wish).filter(|it| !it.deliveries.is_empty()) else {
        let drill = subject(draft.state(), wish.incident).is_some_and(|it| it.drill);
        let why = if drill { " in a drill" } else { "" };
        return refuse(
            Why::Conflict,
            format!("there is no channel that carries `{purpose}`{why}"),
            "add a [[channel]] to the config; `mayday kinds` lists what each kind carries",
        );
    };
    let id = message.id.clone();
    let deaf: Vec<ChannelId> =
        message.deliveries.iter().filter(|(_, parts)| **parts == 0).map(|(id, _)| id.clone()).collect();
    draft.event(Event::MessageComposed { message: Box::new(message) });
    for channel in deaf {
        let fault = draft.cx.voice.fault(&channel).unwrap_or_else(|| {
            Fault::permanent(channel.as_str(), "its recipients were not known yet")
                .means("nobody was told by it")
                .next("send the update again in a moment")
        });
        draft.event(Event::DeliveryFailed { message: id.clone(), channel, part: 0, fault, at: None });
    }
    Ok(id)
}

/// Wakes whoever is on call, where the config wants that.
pub(super) fn page(draft: &mut Draft<'_>) {
    if draft.cx.estate.comms.page {
        // Without a channel that pages there is nobody to wake by this program; the pane says so.
        let _ = compose(draft, Purpose::Page, &Wish::default());
    }
}

/// Somebody works on it.
pub(super) fn acknowledge(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    super::open_incident(draft)?;
    if let Some(known) = &draft.state().outbox.acknowledged {
        return refuse(Why::Conflict, format!("{} has acknowledged it", known.by), "");
    }
    let by = draft.envelope.actor.name.clone();
    draft.event(Event::PageAcknowledged { by });
    // No channel has to be told.
    let _ = compose(draft, Purpose::Acknowledge, &Wish::default());
    Ok(())
}

pub(super) fn recall(draft: &mut Draft<'_>, id: &MessageId) -> Result<(), Refusal> {
    let now = draft.cx.now;
    match draft.state().outbox.get(id) {
        None => refuse(Why::NotFound, format!("there is no message {id}"), "see `mayday outbox list`"),
        Some(posted) if posted.recalled.is_some() => {
            refuse(Why::Conflict, format!("{id} has been taken back already"), "")
        }
        Some(posted) if !posted.is_recallable(now) => refuse(
            Why::Conflict,
            format!("{id} is on its way: it cannot be taken back any more"),
            "send an update that puts it right",
        ),
        Some(_) => {
            draft.event(Event::MessageRecalled { message: id.clone() });
            Ok(())
        }
    }
}

pub(super) fn retry(draft: &mut Draft<'_>, id: &MessageId, channel: &ChannelId, reason: &str) -> Result<(), Refusal> {
    let Some(posted) = draft.state().outbox.get(id) else {
        return refuse(Why::NotFound, format!("there is no message {id}"), "see `mayday outbox list`");
    };
    let Some(delivery) = posted.deliveries.get(channel) else {
        return refuse(Why::NotFound, format!("{id} does not go out by `{channel}`"), "see `mayday outbox list`");
    };
    if delivery.parts.is_empty() {
        let why = "its recipients were not known when it was composed";
        return refuse(Why::Conflict, why, "fix what is wrong with them, then send the update again");
    }
    let open = [PartPhase::Failed, PartPhase::Unknown, PartPhase::Retrying];
    if !delivery.parts.iter().any(|part| open.contains(&part.phase)) {
        return refuse(Why::Conflict, format!("nothing of {id} to `{channel}` has failed"), "");
    }
    if delivery.parts.iter().any(|part| part.phase == PartPhase::Unknown) && clean_lines(reason).is_empty() {
        return refuse(
            Why::ReasonMissing,
            "it may have been sent: a second try may tell people twice",
            "look whether it has arrived, then say what you saw",
        );
    }
    let (message, channel, reason) = (id.clone(), channel.clone(), crate::domain::text::clean(reason));
    draft.event(Event::DeliveryRetried { message, channel, reason });
    Ok(())
}

/// Gives the severity that the answers come to.
pub(super) fn assess(draft: &mut Draft<'_>, answers: Answers) -> Result<(), Refusal> {
    super::open_incident(draft)?;
    draft.event(Event::SeverityChanged { severity: answers.severity(), reason: answers.words() });
    Ok(())
}

/// Tells the team who is to take over, with a brief of how things stand. Whoever takes it says so themselves.
pub(super) fn hand_over(draft: &mut Draft<'_>, hand_over: &HandOver, note: &str) -> Result<(), Refusal> {
    let to = crate::domain::text::clean(&hand_over.to);
    need_reason(&to)?;
    let hand_over = Some(HandOver { to, duty: hand_over.duty });
    compose(draft, Purpose::Handoff, &Wish { note, hand_over, ..Wish::default() }).map(|_| ())
}

/// Starts what may start: the escalation of a page that nobody answers, and the next part of every delivery.
pub(super) fn advance(draft: &mut Draft<'_>) {
    if draft.state().hold.is_none() && escalation_due(draft).is_some_and(|at| at <= draft.cx.now) {
        let wish = Wish { escalated: true, ..Wish::default() };
        // Refused only without a channel for it, which was looked at.
        let _ = compose(draft, Purpose::Page, &wish);
    }
    let ids: Vec<ChannelId> = draft.cx.estate.channels.iter().map(|spec| spec.id.clone()).collect();
    for channel in ids {
        while let Some(next) = next_of(draft, &channel) {
            match next {
                Next::Begin(message, part) => begin(draft, &message, &channel, part),
                Next::Supersede(message, by) => supersede(draft, &message, &channel, &by),
            }
        }
    }
}

/// When the escalation is paged, if nobody acknowledges before; `None` when it was paged, or there is nothing to page it by.
fn escalation_due(draft: &Draft<'_>) -> Option<At> {
    match page_standing(draft.cx.estate, draft.state())? {
        PageStanding::Open { escalates, .. } => escalates,
        PageStanding::Nobody | PageStanding::Acknowledged(_) | PageStanding::Over => None,
    }
}

/// What is next on a channel.
enum Next {
    Begin(MessageId, u32),
    /// Nothing of the first is sent, and the second, which is newer, waits.
    Supersede(MessageId, MessageId),
}

/// Messages go out by a channel one after the other and part by part, so that threads stay in order, no channel has more parts whose
/// outcome is open than it takes at once, and one that fails delays no other.
///
/// **Rule 44.** A channel tells one thing after the other, and one that fails delays no other.
fn next_of(draft: &Draft<'_>, channel: &ChannelId) -> Option<Next> {
    let (state, now) = (draft.state(), draft.cx.now);
    let held = state.hold.as_ref().map(|hold| hold.at);
    let goes = |posted: &&Posted| {
        // HOLD keeps back what was composed before it and what nobody asked for; a person may speak during it.
        let may = held.is_none_or(|since| posted.at > since && posted.by.uid.is_some());
        let open = posted.deliveries.get(channel).is_some_and(|it| !it.is_settled());
        may && open && posted.recalled.is_none() && posted.message.send_at <= now
    };
    // What was begun before a HOLD is still awaited.
    let parts = state.outbox.messages.iter().filter_map(|it| it.deliveries.get(channel)).flat_map(|it| &it.parts);
    let trying = parts.filter(|part| part.phase == PartPhase::Trying).count();
    let mut queue = state.outbox.messages.iter().filter(goes);
    let head = queue.next()?;
    let delivery = head.deliveries.get(channel)?;
    let most = draft.cx.estate.channel(channel).map_or(1, |spec| spec.abreast(delivery.parts.len()));
    if trying >= most {
        return None;
    }
    let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let due = |part: &Part| part.next.is_none_or(|next| next <= now);
    // A vendor that asked to be left alone is left alone with the other parts too.
    let asked = |part: &Part| part.fault.as_ref().is_some_and(|fault| fault.retry_after.is_some());
    let paused = delivery.parts.iter().any(|part| part.phase == PartPhase::Retrying && !due(part) && asked(part));
    let ready = |phase| delivery.parts.iter().position(|part| part.phase == phase && due(part));
    let next = ready(PartPhase::Waiting).or_else(|| ready(PartPhase::Retrying)).filter(|_| !paused);
    if let Some(at) = next {
        return Some(Next::Begin(head.message.id.clone(), number(at)));
    }
    if trying > 0 {
        return None;
    }
    let newer = queue.find(|it| it.message.is_update() && it.message.incident == head.message.incident)?;
    let stale = head.message.is_update() && delivery.sent() == 0;
    stale.then(|| Next::Supersede(head.message.id.clone(), newer.message.id.clone()))
}

fn begin(draft: &mut Draft<'_>, message: &MessageId, channel: &ChannelId, part: u32) {
    let attempt = draft.state().outbox.part(message, channel, part).map_or(1, |part| part.attempts + 1);
    let (id, way) = (message.clone(), channel.clone());
    draft.event(Event::DeliveryTrying { message: id, channel: way, part, attempt });
    if let Some(errand) = errand(draft, message, channel, part) {
        draft.effect(Effect::Deliver(errand));
    }
}

fn supersede(draft: &mut Draft<'_>, message: &MessageId, channel: &ChannelId, by: &MessageId) {
    let parts = draft.state().outbox.get(message).and_then(|it| it.deliveries.get(channel)).map(|it| it.parts.len());
    for part in 0..parts.unwrap_or(0) {
        let what = format!("{by} is newer, and nothing of this one was sent");
        let fault = Fault::permanent(channel.as_str(), what).means("the newer one goes out instead");
        let part = u32::try_from(part).unwrap_or(u32::MAX);
        draft.event(Event::DeliveryFailed {
            message: message.clone(),
            channel: channel.clone(),
            part,
            fault,
            at: None,
        });
    }
}

/// All that is needed to deliver a part, or to look for it.
fn errand(draft: &Draft<'_>, message: &MessageId, channel: &ChannelId, part: u32) -> Option<Errand> {
    let state = draft.state();
    let attempt = state.outbox.part(message, channel, part)?.attempts;
    let spec = draft.cx.estate.channel(channel)?;
    let of = &state.outbox.get(message)?.message.incident;
    let open = state.incident.as_ref().filter(|it| &it.id == of).map(|it| it.title.as_str());
    let title = open.or_else(|| state.past.iter().find(|it| &it.id == of).map(|it| it.title.as_str()))?;
    let parcel = state.outbox.parcel(message, channel, title, spec.audience, part)?;
    Some(Errand { channel: channel.clone(), attempt, parcel })
}

/// Where a part stands whose outcome is awaited.
fn awaited(draft: &Draft<'_>, message: &MessageId, channel: &ChannelId, part: u32) -> bool {
    let part = draft.state().outbox.part(message, channel, part);
    part.is_some_and(|part| part.phase == PartPhase::Trying)
}

pub(super) fn delivered(
    draft: &mut Draft<'_>,
    (message, channel, part): (&MessageId, &ChannelId, u32),
    attempt: u32,
    outcome: &Result<Handed, Fault>,
) {
    let is_this = draft.state().outbox.part(message, channel, part).is_some_and(|it| it.attempts == attempt);
    if !is_this || !awaited(draft, message, channel, part) {
        return;
    }
    match outcome {
        Ok(handed) => parts::taken(draft, message, channel, part, handed),
        Err(fault) if fault.class == FaultClass::Ambiguous => look(draft, message, channel, part),
        Err(fault) => failed(draft, message, channel, part, fault),
    }
}

/// **Rule 45.** A message that may have arrived is looked for before it is sent again; where nobody can look, it is not sent again by
/// itself.
pub(super) fn found(
    draft: &mut Draft<'_>,
    (message, channel, part): (&MessageId, &ChannelId, u32),
    outcome: &Result<Found, Fault>,
) {
    if !awaited(draft, message, channel, part) {
        return;
    }
    let unknown = |fault| Event::DeliveryUnknown { message: message.clone(), channel: channel.clone(), part, fault };
    match outcome {
        Ok(Found::There(receipt)) => sent(draft, message, channel, part, receipt),
        Ok(Found::NotThere) => {
            let fault = Fault::transient(channel.as_str(), "the answer was lost; it was looked for, and is not there");
            failed(draft, message, channel, part, &fault);
        }
        Ok(Found::Harmless) => {
            let what = "the answer was lost; whether it arrived is not known, and a second one is dropped as a double";
            failed(draft, message, channel, part, &Fault::transient(channel.as_str(), what));
        }
        Ok(Found::Untold(why)) => draft.event(unknown(
            Fault::ambiguous(channel.as_str(), why.clone())
                .means("it may have been sent; it is not sent again by itself")
                .next("look whether it has arrived, then `mayday outbox settle` says what you saw"),
        )),
        Err(fault) => draft.event(unknown(fault.clone())),
    }
}

/// Looks for a part before anything else. Where nobody can look any more, that is said: it would be awaited for ever.
fn look(draft: &mut Draft<'_>, message: &MessageId, channel: &ChannelId, part: u32) {
    if let Some(errand) = errand(draft, message, channel, part) {
        return draft.effect(Effect::Find(errand));
    }
    let fault =
        Fault::ambiguous(channel.as_str(), "this channel is not in the config any more, so nobody can look there")
            .means("it may have been sent; it is not sent again by itself")
            .next("look whether it has arrived, and send an update by another channel if it has not");
    let (message, channel) = (message.clone(), channel.clone());
    draft.event(Event::DeliveryUnknown { message, channel, part, fault });
}

/// Nothing was sent: tried again after a pause that grows, or as long as the vendor asked for; then a human decides.
///
/// **Rule 46.** A delivery that fails is tried again for as long as the policy says; then it is a person's.
fn failed(draft: &mut Draft<'_>, message: &MessageId, channel: &ChannelId, part: u32, fault: &Fault) {
    let (policy, comms, now) = (&draft.cx.estate.policy, &draft.cx.estate.comms, draft.cx.now);
    let known = draft.state().outbox.part(message, channel, part);
    let (began, attempts) = known.map_or((now, 1), |part| (part.began.unwrap_or(now), part.attempts));
    let grown =
        policy.retry_floor.0.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(policy.retry_ceiling.0);
    let pause = fault.retry_after.map_or(grown, |asked| asked.0.max(Duration::from_millis(100)));
    let lasts = seconds_between(began, now) < comms.give_up.as_secs_f64();
    let at = (fault.class == FaultClass::Transient && lasts).then(|| after(now, pause));
    let (message, channel, fault) = (message.clone(), channel.clone(), fault.clone());
    draft.event(Event::DeliveryFailed { message, channel, part, fault, at });
}

/// After a replay: what was being tried may have arrived, so it is looked for; nothing is sent blindly.
pub(super) fn started(draft: &mut Draft<'_>) {
    let mut open = Vec::new();
    for posted in &draft.state().outbox.messages {
        for (channel, delivery) in &posted.deliveries {
            let trying = delivery.parts.iter().enumerate().filter(|(_, part)| part.phase == PartPhase::Trying);
            open.extend(trying.map(|(at, _)| (posted.message.id.clone(), channel.clone(), at)));
        }
    }
    for (message, channel, at) in open {
        look(draft, &message, &channel, u32::try_from(at).unwrap_or(u32::MAX));
    }
}

/// When the next thing of communications after `since` comes due by itself.
pub fn wakes(estate: &Estate, state: &State, since: At) -> Option<At> {
    let parts = |posted: &Posted| {
        let parts = posted.deliveries.values().flat_map(|it| &it.parts);
        let next = parts.filter(|part| !part.is_settled() && part.phase != PartPhase::Trying);
        next.map(|part| part.next.unwrap_or(posted.message.send_at)).collect::<Vec<_>>()
    };
    let deliveries = state.outbox.messages.iter().filter(|it| it.recalled.is_none()).flat_map(parts);
    let escalation = match page_standing(estate, state) {
        Some(PageStanding::Open { escalates, .. }) => escalates,
        _ => None,
    };
    deliveries.chain(escalation).filter(|at| *at > since).min()
}

/// The incident that a message is about: the named one, open or closed not long ago; the open one where none is named.
pub(super) fn subject<'s>(state: &'s State, named: Option<&IncidentId>) -> Option<&'s Incident> {
    let Some(named) = named else { return state.incident.as_ref() };
    state.incident.iter().chain(&state.closed).find(|it| it.id == *named)
}
