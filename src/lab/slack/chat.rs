//! Messages: posted, updated, linked to.

use std::time::Instant;

use serde_json::{Value, json};

use super::super::inbox::Message;
use super::call::{Answered, Args, Call, Refusal};
use super::{BOT, BOT_USER, MESSAGES, PLACE, Posted, TEAM, TEAM_URL, Ts};

/// A longer text is cut off when it is posted, and refused in an update.
///
/// <https://docs.slack.dev/reference/methods/chat.postMessage>, <https://docs.slack.dev/reference/methods/chat.update>
const LONGEST_POST: usize = 40_000;
const LONGEST_UPDATE: usize = 4_000;

/// The most blocks of a message, and the longest text in those that have a limit of their own.
///
/// <https://docs.slack.dev/reference/block-kit/blocks>
const BLOCKS: usize = 50;
const BLOCK_TEXTS: [(&str, usize); 2] = [("section", 3000), ("header", 150)];

pub fn who(_: &mut Call<'_>) -> Answered {
    Ok(json!({
        "url": TEAM_URL, "team": "GenNet", "user": "mayday", "team_id": TEAM, "user_id": BOT_USER, "bot_id": BOT,
        "is_enterprise_install": false,
    }))
}

pub fn post(call: &mut Call<'_>) -> Answered {
    // The one method that also knows channels by their names.
    let wanted = call.args.required("channel")?;
    let name = wanted.trim_start_matches('#');
    let place = call.workspace.channels.iter().position(|it| it.id == wanted || it.name == name);
    let place = place.ok_or("channel_not_found")?;
    let content = Content::read(call.args)?;
    let text: String = content.text.unwrap_or_default().chars().take(LONGEST_POST).collect();
    if text.is_empty() && content.blocks.is_none() {
        return Err("no_text".into());
    }
    let thread = call.args.moment("thread_ts", "invalid_thread_ts")?;
    let channel = &call.workspace.channels[place];
    if !channel.member {
        return Err("not_in_channel".into());
    }
    // A reply to a reply goes into the thread that both are in.
    let thread = match thread {
        Some(ts) => {
            channel.find(ts).map(|root| Some(root.thread.unwrap_or(root.ts))).ok_or("cannot_reply_to_message")?
        }
        None => None,
    };
    let id = channel.id.clone();
    call.workspace.posts.take(&id, Instant::now(), call.pace).map_err(Refusal::Throttled)?;
    let ts = call.workspace.name_message(call.now);
    let metadata = content.metadata.filter(|given| !is_empty(given));
    let posted = Posted { ts, thread, text, blocks: content.blocks, metadata, edited: None };
    let messages = &mut call.workspace.channels[place].messages;
    messages.push_back(posted);
    if messages.len() > MESSAGES {
        messages.pop_front();
    }
    Ok(told(call, place, ts, if thread.is_some() { "reply" } else { "post" }))
}

pub fn update(call: &mut Call<'_>) -> Answered {
    let place = call.place()?;
    let ts = call.args.moment("ts", "message_not_found")?.ok_or("message_not_found")?;
    let content = Content::read(call.args)?;
    if content.text.is_none() && content.blocks.is_none() {
        return Err("no_text".into());
    }
    if content.text.is_some_and(|text| text.chars().count() > LONGEST_UPDATE) {
        return Err("msg_too_long".into());
    }
    let messages = &mut call.workspace.channels[place].messages;
    let posted = messages.iter_mut().find(|posted| posted.ts == ts).ok_or("message_not_found")?;
    // Text alone takes the blocks away; metadata stays unless it is given.
    match (content.text, content.blocks) {
        (_, Some(blocks)) => posted.blocks = Some(blocks),
        (Some(_), None) => posted.blocks = None,
        (None, None) => {}
    }
    if let Some(text) = content.text {
        posted.text = text.to_owned();
    }
    if let Some(given) = content.metadata {
        posted.metadata = (!is_empty(&given)).then_some(given);
    }
    posted.edited = Some(Ts(call.now.as_microsecond()));
    Ok(told(call, place, ts, "update"))
}

pub fn permalink(call: &mut Call<'_>) -> Answered {
    let channel = call.channel()?;
    let ts = call.args.moment("message_ts", "message_not_found")?.ok_or("message_not_found")?;
    channel.find(ts).ok_or("message_not_found")?;
    let link = format!("{TEAM_URL}archives/{}/p{}", channel.id, ts.to_string().replace('.', ""));
    Ok(json!({ "channel": channel.id, "permalink": link }))
}

fn is_empty(metadata: &Value) -> bool {
    metadata.as_object().is_some_and(|object| object.is_empty())
}

/// What a message is made of, as far as it is given.
struct Content<'a> {
    text: Option<&'a str>,
    blocks: Option<Value>,
    metadata: Option<Value>,
}

impl<'a> Content<'a> {
    fn read(args: &'a Args) -> Result<Self, Refusal> {
        let blocks = args.json("blocks", "invalid_blocks_format")?;
        if let Some(blocks) = &blocks {
            let list = blocks.as_array().ok_or("invalid_blocks_format")?;
            if list.len() > BLOCKS || !list.iter().all(is_sound) {
                return Err("invalid_blocks".into());
            }
        }
        let metadata = args.json("metadata", "invalid_metadata_format")?;
        let named = |it: &Value| it["event_type"].is_string() && it["event_payload"].is_object();
        if metadata.as_ref().is_some_and(|it| !is_empty(it) && !named(it)) {
            return Err("invalid_metadata_format".into());
        }
        Ok(Self { text: args.text("text"), blocks, metadata })
    }
}

fn is_sound(block: &Value) -> bool {
    let Some(kind) = block["type"].as_str() else { return false };
    let text = block["text"]["text"].as_str().map_or(0, |text| text.chars().count());
    BLOCK_TEXTS.iter().all(|(of, longest)| *of != kind || (1..=*longest).contains(&text) || block["fields"].is_array())
}

/// Puts the message into the inbox as it is now, and answers with it.
fn told(call: &mut Call<'_>, place: usize, ts: Ts, kind: &'static str) -> Value {
    let channel = &call.workspace.channels[place];
    let message = channel.find(ts).map(|posted| channel.message(posted, true)).unwrap_or_default();
    let text = message["text"].clone();
    call.inbox.take(Message {
        service: PLACE,
        kind,
        to: vec![format!("#{}", channel.name)],
        text: text.as_str().unwrap_or_default().to_owned(),
        mark: message.get("metadata").map(|given| given["event_payload"].to_string()),
        details: json!({ "channel": channel.id, "message": message }),
        ..Message::default()
    });
    json!({ "channel": channel.id, "ts": ts.to_string(), "text": text, "message": message })
}
