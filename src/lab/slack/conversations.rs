//! Channels: made, found, joined, read.

use serde_json::{Value, json};

use super::super::inbox::Message;
use super::call::{Answered, Args, Call, Refusal};
use super::{BOT_USER, CHANNELS, Channel, PLACE, Posted, Ts};

/// The longest name of a channel.
const NAME: usize = 80;

/// The most that one page holds, and how many it has when nobody says.
const PAGE: usize = 999;
const USUAL: usize = 100;

/// A cursor is opaque to clients: how many were told already, or where the next page begins.
const CURSOR: &str = "next:";

pub fn create(call: &mut Call<'_>) -> Answered {
    let name = call.args.text("name").ok_or("invalid_name_required")?;
    if name.chars().count() > NAME {
        return Err("invalid_name_maxlength".into());
    }
    if !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_')) {
        return Err("invalid_name_specials".into());
    }
    if call.workspace.channels.iter().any(|it| it.name == name) {
        return Err("name_taken".into());
    }
    if call.workspace.channels.len() == CHANNELS {
        return Err("restricted_action".into());
    }
    let told = call.workspace.create(name, call.now, BOT_USER, true).told();
    call.inbox.take(Message {
        service: PLACE,
        kind: "channel",
        to: vec![format!("#{name}")],
        details: told.clone(),
        ..Message::default()
    });
    Ok(json!({ "channel": told }))
}

pub fn join(call: &mut Call<'_>) -> Answered {
    let place = call.place()?;
    let channel = &mut call.workspace.channels[place];
    let mut told = json!({});
    if std::mem::replace(&mut channel.member, true) {
        told["warning"] = "already_in_channel".into();
        told["response_metadata"] = json!({ "warnings": ["already_in_channel"] });
    }
    told["channel"] = channel.told();
    Ok(told)
}

pub fn info(call: &mut Call<'_>) -> Answered {
    Ok(json!({ "channel": call.channel()?.told() }))
}

pub fn list(call: &mut Call<'_>) -> Answered {
    let most = call.args.number("limit", USUAL)?.clamp(1, PAGE);
    let from: usize = cursor(call.args)?.unwrap_or(0);
    let channels = &call.workspace.channels;
    let page: Vec<Value> = channels.iter().skip(from).take(most).map(Channel::told).collect();
    let next = from + page.len();
    let next = if next < channels.len() { format!("{CURSOR}{next}") } else { String::new() };
    Ok(json!({ "channels": page, "response_metadata": { "next_cursor": next } }))
}

fn cursor<T: std::str::FromStr>(args: &Args) -> Result<Option<T>, Refusal> {
    let Some(given) = args.text("cursor") else { return Ok(None) };
    given.strip_prefix(CURSOR).and_then(|rest| rest.parse().ok()).map(Some).ok_or("invalid_cursor".into())
}

/// Which messages are wanted: those between two moments, with or without the moments themselves.
struct Span {
    oldest: Option<Ts>,
    latest: Option<Ts>,
    inclusive: bool,
}

impl Span {
    fn read(args: &Args) -> Result<Self, Refusal> {
        let [oldest, latest] = ["oldest", "latest"].map(|name| args.moment(name, "invalid_arguments"));
        Ok(Self { oldest: oldest?, latest: latest?, inclusive: args.flag("inclusive") })
    }

    fn has(&self, ts: Ts) -> bool {
        let edge = self.inclusive && (Some(ts) == self.oldest || Some(ts) == self.latest);
        edge || (self.oldest.is_none_or(|oldest| ts > oldest) && self.latest.is_none_or(|latest| ts < latest))
    }
}

/// The channel's messages and the beginnings of its threads, the newest first.
pub fn history(call: &mut Call<'_>) -> Answered {
    let channel = readable(call)?;
    let span = Span::read(call.args)?;
    let before: Option<i64> = cursor(call.args)?;
    let roots = channel.messages.iter().rev().filter(|posted| posted.thread.is_none() && span.has(posted.ts));
    page(call.args, channel, roots.filter(|posted| before.is_none_or(|before| posted.ts.0 <= before)))
}

/// A thread: its beginning, then the replies as they came.
pub fn replies(call: &mut Call<'_>) -> Answered {
    let channel = readable(call)?;
    let ts = call.args.moment("ts", "thread_not_found")?.ok_or("thread_not_found")?;
    let root = channel.find(ts).map(|found| found.thread.unwrap_or(found.ts)).ok_or("thread_not_found")?;
    let span = Span::read(call.args)?;
    let from: Option<i64> = cursor(call.args)?;
    let thread = channel.find(root).into_iter().chain(channel.replies(root).filter(|posted| span.has(posted.ts)));
    page(call.args, channel, thread.filter(|posted| from.is_none_or(|from| posted.ts.0 >= from)))
}

fn readable<'a>(call: &'a Call<'_>) -> Result<&'a Channel, Refusal> {
    let channel = call.channel()?;
    if channel.member { Ok(channel) } else { Err("not_in_channel".into()) }
}

fn page<'a>(args: &Args, channel: &Channel, found: impl Iterator<Item = &'a Posted>) -> Answered {
    let most = args.number("limit", USUAL)?.clamp(1, PAGE);
    let metadata = args.flag("include_all_metadata");
    let mut found = found.peekable();
    let messages: Vec<Value> = found.by_ref().take(most).map(|posted| channel.message(posted, metadata)).collect();
    let mut told = json!({ "messages": messages, "has_more": found.peek().is_some() });
    if let Some(next) = found.peek() {
        told["response_metadata"] = json!({ "next_cursor": format!("{CURSOR}{}", next.ts.0) });
    }
    Ok(told)
}
