//! `mayday notify` and `mayday outbox`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::failure::Failure;
use super::say::{ask, say};
use crate::api::client::Client;
use crate::cli::args::{Format, NotifyArgs, OutboxCommand};
use crate::cli::exit::Exit;
use crate::cli::outbox;
use crate::domain::command::Ask;
use crate::domain::comms::{Delivery, Message, PartPhase, Posted, Purpose, due};
use crate::domain::ids::{ChannelId, IncidentId, MessageId};

/// How often it is looked whether all has been sent, and for how long.
const LOOK: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(120);

/// Tells everyone, and waits until every channel has answered.
///
/// # Errors
/// When it is refused, or the engine is lost.
pub async fn notify(client: &Client, args: NotifyArgs, format: Format) -> Result<Exit, Failure> {
    let view = client.snapshot().await?;
    let none = || Failure::new(Exit::Refused, "no update is due → name one: mayday notify investigating");
    let purpose = match args.status {
        Some(purpose) => purpose,
        // Of a closed one, its end is what there is to tell.
        None if args.incident.is_some() => Purpose::Resolved,
        None => due(&view.estate, &view.state).ok_or_else(none)?.purpose,
    };
    if args.dry_run {
        let drafts = client.drafts(&args.message).await?;
        let missing = || Failure::new(Exit::Refused, format!("there is nothing to say as `{purpose}` now"));
        let of = |it: &Message| args.incident.as_ref().is_none_or(|id| it.incident.as_str() == id);
        let draft = drafts.into_iter().find(|it| it.purpose == purpose && of(it)).ok_or_else(missing)?;
        return say(format, &draft, outbox::draft(&draft, &args.audience));
    }
    let known: Vec<MessageId> = view.state.outbox.messages.iter().map(|it| it.message.id.clone()).collect();
    let (incident, despite) = (args.incident.map(IncidentId::from), args.despite);
    let (texts, audiences, note) = (Default::default(), args.audience, args.message);
    let told = Ask::Tell { purpose, texts, audiences, note, incident, despite };
    let accepted = client.ask(&told).await?;
    if args.no_wait {
        return say(format, &accepted, accepted.note.clone().unwrap_or_default());
    }
    if let (Some(note), Format::Text) = (&accepted.note, format) {
        writeln!(io::stderr(), "{note}")?;
    }
    let (begun, mut told) = (Instant::now(), BTreeMap::new());
    loop {
        let view = client.snapshot().await?;
        let own = |it: &&Posted| !known.contains(&it.message.id) && it.message.purpose == purpose;
        let posted = view.state.outbox.messages.iter().find(own);
        let settled = posted.is_none_or(Posted::is_settled);
        for line in posted.map(|it| outbox::news(it, view.now, &mut told)).unwrap_or_default() {
            writeln!(io::stderr(), "{line}")?;
        }
        if settled || begun.elapsed() > PATIENCE {
            let all = posted.is_some_and(|it| it.deliveries.values().all(|it| it.phase() == PartPhase::Sent));
            say(format, &outbox::json(&view), outbox::text(&view))?;
            return Ok(if all { Exit::Ok } else { Exit::Failed });
        }
        sleep(LOOK).await;
    }
}

/// Shows the outbox, or acts on it.
///
/// # Errors
/// When it is refused, or the engine is lost.
pub async fn outbox(client: &Client, command: OutboxCommand, format: Format) -> Result<Exit, Failure> {
    match command {
        OutboxCommand::List => {
            let view = client.snapshot().await?;
            say(format, &outbox::json(&view), outbox::text(&view))
        }
        OutboxCommand::Recall { message } => ask(client, Ask::Recall { message: message.into() }, format).await,
        OutboxCommand::Retry { message, channel, reason } => {
            let message = MessageId::from(message);
            for channel in named(client, &message, channel, STUCK).await? {
                let asked = Ask::RetryDelivery { message: message.clone(), channel, reason: reason.clone() };
                client.ask(&asked).await?;
            }
            let view = client.snapshot().await?;
            say(format, &outbox::json(&view), outbox::text(&view))
        }
        OutboxCommand::Settle { message, fate, channel, reason } => {
            let (message, arrived) = (MessageId::from(message), fate == "arrived");
            for channel in named(client, &message, channel, &[PartPhase::Unknown]).await? {
                let (message, reason) = (message.clone(), reason.clone());
                client.ask(&Ask::SettleDelivery { message, channel, arrived, reason }).await?;
            }
            let view = client.snapshot().await?;
            say(format, &outbox::json(&view), outbox::text(&view))
        }
    }
}

/// What can be tried once more.
const STUCK: &[PartPhase] = &[PartPhase::Failed, PartPhase::Unknown, PartPhase::Retrying];

/// The channel that was named, or all that have a part of the message in one of these phases.
async fn named(
    client: &Client,
    message: &MessageId,
    channel: Option<String>,
    phases: &[PartPhase],
) -> Result<Vec<ChannelId>, Failure> {
    if let Some(channel) = channel {
        return Ok(vec![ChannelId::from(channel)]);
    }
    let view = client.snapshot().await?;
    let missing = || Failure::new(Exit::Refused, format!("there is no message {message} → see `mayday outbox list`"));
    let posted = view.state.outbox.get(message).ok_or_else(missing)?;
    let is = |it: &Delivery| it.parts.iter().any(|part| phases.contains(&part.phase)) || phases.contains(&it.phase());
    let open: Vec<ChannelId> = posted.deliveries.iter().filter(|(_, it)| is(it)).map(|(id, _)| id.clone()).collect();
    if open.is_empty() {
        let words: Vec<&str> = phases.iter().map(|phase| phase.word()).collect();
        return Err(Failure::new(Exit::Refused, format!("nothing of {message} is {}", words.join(" or "))));
    }
    Ok(open)
}
