//! Parts of a delivery: what of one a vendor took, and what a person says of one that nobody could look for.

use super::{Draft, need_reason, refuse};
use crate::domain::fact::command::{Refusal, RefusalReason as Why};
use crate::domain::fact::comms::{Handed, PartPhase, Rest, Split};
use crate::domain::fact::event::Event;
use crate::domain::fact::system::Receipt;
use crate::domain::fault::Fault;
use crate::domain::ids::{ChannelId, MessageId};
use crate::domain::time::{after, seconds_between};

/// What a vendor took, and those of a part whom it did not: they become parts of their own, so that nobody waits for them.
pub(super) fn taken(draft: &mut Draft<'_>, message: &MessageId, channel: &ChannelId, part: u32, handed: &Handed) {
    let (now, give_up) = (draft.cx.now, draft.cx.estate.comms.give_up.as_secs_f64());
    let known = draft.state().outbox.part(message, channel, part);
    let began = known.and_then(|part| part.began).unwrap_or(now);
    let lasts = seconds_between(began, now) < give_up;
    let over = |why: &str| {
        Fault::transient(channel.as_str(), why)
            .means("these were not told")
            .next("`mayday outbox retry` tries them once more")
    };
    let failed =
        |part, fault, at| Event::DeliveryFailed { message: message.clone(), channel: channel.clone(), part, fault, at };
    if let (false, [rest]) = (handed.taken, &handed.rest[..]) {
        let at = lasts.then(|| after(now, rest.wait));
        return draft.event(failed(part, over(&rest.why), at));
    }
    let first =
        draft.state().outbox.get(message).and_then(|it| it.deliveries.get(channel)).map_or(0, |it| it.parts.len());
    let waits = |rest: &Rest| !rest.wait.is_zero();
    let split = |rest: &Rest| Split {
        only: rest.only.clone(),
        next: (waits(rest) && lasts).then(|| after(now, rest.wait)),
        why: rest.why.clone(),
    };
    if !handed.rest.is_empty() {
        let rest = handed.rest.iter().map(split).collect();
        draft.event(Event::DeliverySplit { message: message.clone(), channel: channel.clone(), part, rest });
    }
    sent(draft, message, channel, part, &handed.receipt);
    for (at, rest) in handed.rest.iter().enumerate().filter(|(_, rest)| waits(rest) && !lasts) {
        let part = u32::try_from(first + at).unwrap_or(u32::MAX);
        draft.event(failed(part, over(&rest.why), None));
    }
}

/// Says what became of what nobody could look for, after a person did.
pub(super) fn settle(
    draft: &mut Draft<'_>,
    (id, channel): (&MessageId, &ChannelId),
    arrived: bool,
    reason: &str,
) -> Result<(), Refusal> {
    let Some(posted) = draft.state().outbox.get(id) else {
        return refuse(Why::NotFound, format!("there is no message {id}"), "see `mayday outbox list`");
    };
    let Some(delivery) = posted.deliveries.get(channel) else {
        return refuse(Why::NotFound, format!("{id} does not go out by `{channel}`"), "see `mayday outbox list`");
    };
    if !delivery.parts.iter().any(|part| part.phase == PartPhase::Unknown) {
        let why = format!("what became of {id} to `{channel}` is known");
        return refuse(Why::Conflict, why, "only what is UNKNOWN needs a word");
    }
    let reason = crate::domain::text::clean(reason);
    need_reason(&reason)?;
    let (message, channel) = (id.clone(), channel.clone());
    draft.event(Event::DeliverySettled { message, channel, arrived, reason });
    Ok(())
}

pub(super) fn sent(draft: &mut Draft<'_>, message: &MessageId, channel: &ChannelId, part: u32, receipt: &Receipt) {
    let (message, channel, receipt) = (message.clone(), channel.clone(), receipt.clone());
    draft.event(Event::DeliverySent { message, channel, part, receipt });
}
