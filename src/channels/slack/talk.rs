//! The calls of the Web API, each once, with what a failure of it means. Answers are read no further than is needed: one that says
//! more than its documentation must not turn a message that was sent into a doubt.

use std::collections::HashMap;

use futures::future::BoxFuture;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use slack_morphism::api::{SlackApiChatPostMessageRequest, SlackApiChatUpdateRequest};
use slack_morphism::errors::SlackClientError;
use slack_morphism::{ClientResult, SlackClientSession, SlackMessageContent, SlackMessageMetadata};

use super::connector::Connector;
use super::words::{archived, refused};
use crate::channels::exchange::{Purport, Reply, Silence, Voice};
use crate::domain::comms::Parcel;
use crate::domain::system::Fault;
use crate::domain::text::clean;

/// What our messages are marked as.
const EVENT: &str = "mayday_message";

/// How much one page of messages holds, and how many are looked through: 1,000 messages.
const PAGE: &str = "200";
const PAGES: usize = 5;

/// The same of channels, whose pages may be larger: 20,000 of them. <https://docs.slack.dev/reference/methods/conversations.list>
const CHANNEL_PAGE: &str = "1000";
const CHANNEL_PAGES: usize = 20;

/// Where a message is.
pub struct Place {
    pub channel: String,
    pub ts: String,
}

/// What came of looking for a message.
pub enum Search {
    Found(Place),
    Nowhere,
    /// There was more than is looked through.
    TooMuch,
}

pub struct Talk<'a> {
    pub session: SlackClientSession<'a, Connector>,
    pub voice: &'a Voice,
}

#[derive(Deserialize)]
struct Posted {
    channel: String,
    ts: String,
}

#[derive(Deserialize)]
struct Done {}

#[derive(Deserialize)]
struct Permalink {
    permalink: String,
}

#[derive(Deserialize)]
struct Team {
    team: String,
}

#[derive(Deserialize)]
struct One {
    channel: Conversation,
}

#[derive(Deserialize)]
struct Conversation {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    is_member: bool,
    #[serde(default)]
    is_archived: bool,
    /// What it was called before.
    #[serde(default)]
    previous_names: Vec<String>,
}

/// Which channel a name means.
pub enum Named {
    Here(String),
    /// Its id, and what it is called now.
    Renamed(String, String),
    Archived,
    Nowhere,
}

/// A channel, by its id.
pub struct Standing {
    pub name: String,
    pub is_member: bool,
    pub is_archived: bool,
}

/// One page of a list.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    channels: Vec<Conversation>,
    #[serde(default)]
    messages: Vec<Seen>,
    response_metadata: Option<Next>,
}

#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    next_cursor: String,
}

/// A message, anybody's.
#[derive(Deserialize)]
struct Seen {
    ts: String,
    #[serde(default)]
    metadata: Value,
}

impl Seen {
    fn is(&self, parcel: &Parcel) -> bool {
        self.metadata["event_type"] == EVENT && self.metadata["event_payload"]["message"] == parcel.message.as_str()
    }
}

impl Page {
    fn next(&self) -> Option<String> {
        self.response_metadata.as_ref().map(|it| it.next_cursor.clone()).filter(|cursor| !cursor.is_empty())
    }
}

/// Whether it is an id and no name, which has no capitals.
pub fn is_id(channel: &str) -> bool {
    let id = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    channel.starts_with(['C', 'G']) && channel.chars().all(id)
}

fn content(text: &str, parcel: Option<&Parcel>) -> SlackMessageContent {
    let content = SlackMessageContent::new().with_text(text.to_owned());
    match parcel {
        Some(parcel) => {
            let (incident, message) = (parcel.incident.to_string(), parcel.message.to_string());
            let marks = [("incident", incident), ("message", message), ("journal", parcel.journal())];
            let marks = marks.into_iter().filter(|(_, mark)| !mark.is_empty());
            let payload: HashMap<String, String> = marks.map(|(name, mark)| (name.to_owned(), mark)).collect();
            content.with_metadata(SlackMessageMetadata::new(EVENT.into()).with_event_payload(payload))
        }
        None => content,
    }
}

impl Talk<'_> {
    fn fault(&self, error: &SlackClientError, purport: Purport) -> Fault {
        let tells = purport == Purport::Tells;
        let doubt = |what: String| if tells { self.voice.doubtful(what) } else { self.voice.later(what) };
        match error {
            SlackClientError::ApiError(error) => {
                refused(self.voice, &error.code, error.errors.as_deref().unwrap_or_default(), tells)
            }
            SlackClientError::RateLimitError(error) => self.voice.throttled(error.retry_after),
            SlackClientError::HttpError(error) => self.voice.refused(&Reply::of(error.status_code), purport),
            SlackClientError::SystemError(error) => {
                match error.cause.as_ref().and_then(|cause| cause.downcast_ref::<Silence>()) {
                    Some(silence) => self.voice.silent(silence, purport),
                    None => doubt("Slack's answer cannot be told".into()),
                }
            }
            SlackClientError::ProtocolError(error) => {
                doubt(format!("Slack answers what cannot be read: {}", clean(&error.json_error.to_string())))
            }
            other => doubt(clean(&other.to_string())),
        }
    }

    fn told<T>(&self, answer: ClientResult<T>, purport: Purport) -> Result<T, Fault> {
        answer.map_err(|error| self.fault(&error, purport))
    }

    async fn get<T: DeserializeOwned + Send>(&self, method: &str, query: &[(&str, &str)]) -> Result<T, Fault> {
        let params: Vec<(&str, Option<&str>)> = query.iter().map(|(name, value)| (*name, Some(*value))).collect();
        self.told(self.session.http_session_api.http_get(method, &params, None).await, Purport::Asks)
    }

    /// Says something that was not said before, in a channel by its id or its name.
    pub fn post<'a>(
        &'a self,
        channel: &'a str,
        thread: Option<&'a str>,
        text: &'a str,
        parcel: &'a Parcel,
    ) -> BoxFuture<'a, Result<Place, Fault>> {
        Box::pin(async move { self.told(self.try_post(channel, thread, text, parcel).await, Purport::Tells) })
    }

    /// The same where the channel was given by a name that it has no more: by its id, if there is one. Slack has refused it before, so
    /// nothing was said yet.
    pub async fn post_to(&self, channel: &str, text: &str, parcel: &Parcel) -> Result<(Place, Option<String>), Fault> {
        let first = self.try_post(channel, None, text, parcel).await;
        let lost = matches!(&first, Err(SlackClientError::ApiError(error)) if error.code == "channel_not_found");
        if lost
            && !is_id(channel)
            && let Named::Renamed(id, now) = self.named(channel).await?
        {
            return Ok((self.post(&id, None, text, parcel).await?, Some(now)));
        }
        Ok((self.told(first, Purport::Tells)?, None))
    }

    async fn try_post(&self, channel: &str, thread: Option<&str>, text: &str, parcel: &Parcel) -> ClientResult<Place> {
        let request = SlackApiChatPostMessageRequest::new(channel.into(), content(text, Some(parcel)))
            .opt_thread_ts(thread.map(Into::into))
            .with_unfurl_links(false)
            .with_unfurl_media(false);
        let posted: Posted = self.session.http_session_api.http_post("chat.postMessage", &request, None).await?;
        Ok(Place { channel: clean(&posted.channel), ts: clean(&posted.ts) })
    }

    /// The same in a thread; nowhere, when there is no such thread any more.
    pub fn reply<'a>(
        &'a self,
        channel: &'a str,
        root: &'a str,
        text: &'a str,
        parcel: &'a Parcel,
    ) -> BoxFuture<'a, Result<Option<Place>, Fault>> {
        Box::pin(async move {
            match self.try_post(channel, Some(root), text, parcel).await {
                Err(SlackClientError::ApiError(error))
                    if matches!(
                        error.code.as_str(),
                        "cannot_reply_to_message" | "thread_not_found" | "message_not_found"
                    ) =>
                {
                    Ok(None)
                }
                answer => self.told(answer, Purport::Tells).map(Some),
            }
        })
    }

    /// Makes a message say something else. Its metadata stays.
    pub fn update<'a>(&'a self, channel: &'a str, ts: &'a str, text: &'a str) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let request = SlackApiChatUpdateRequest::new(channel.into(), content(text, None), ts.into());
            let done: ClientResult<Done> = self.session.http_session_api.http_post("chat.update", &request, None).await;
            self.told(done, Purport::Asks).map(drop)
        })
    }

    /// A link to a message; none is no misfortune.
    pub async fn link(&self, place: &Place) -> Option<String> {
        let query = [("channel", place.channel.as_str()), ("message_ts", place.ts.as_str())];
        let link: Result<Permalink, Fault> = self.get("chat.getPermalink", &query).await;
        link.ok().map(|it| clean(&it.permalink))
    }

    /// The id of a new channel, or of the one that was made when this was tried before.
    pub fn room<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(async move {
            let wanted = json!({ "name": name });
            let made: ClientResult<One> =
                self.session.http_session_api.http_post("conversations.create", &wanted, None).await;
            match made {
                Err(SlackClientError::ApiError(error)) if error.code == "name_taken" => match self.named(name).await? {
                    Named::Here(id) => Ok(id),
                    Named::Archived => Err(self.voice.broken(format!("#{name} is archived"))),
                    _ => Err(self.voice.broken(format!("#{name} is taken, and the app cannot see it"))),
                },
                made => self.told(made, Purport::Asks).map(|made| clean(&made.channel.id)),
            }
        })
    }

    /// The public channel that a name means: the one that has it, else the one that had it.
    pub fn named<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Named, Fault>> {
        Box::pin(async move {
            let (mut cursor, mut found) = (String::new(), Named::Nowhere);
            for _ in 0..CHANNEL_PAGES {
                let query = [("limit", CHANNEL_PAGE), ("exclude_archived", "false"), ("cursor", cursor.as_str())];
                let page: Page = self.get("conversations.list", &query).await?;
                for it in &page.channels {
                    let had = it.previous_names.iter().any(|old| old == name);
                    match it.is_archived {
                        false if it.name == name => return Ok(Named::Here(clean(&it.id))),
                        true if it.name == name => found = Named::Archived,
                        false if had && matches!(found, Named::Nowhere) => {
                            found = Named::Renamed(clean(&it.id), clean(&it.name));
                        }
                        _ => {}
                    }
                }
                match page.next() {
                    Some(next) => cursor = next,
                    None => return Ok(found),
                }
            }
            let what = format!("#{name} is not among the first {CHANNEL_PAGES} pages of channels, and there are more");
            Err(self.voice.broken(what).next("give the channel by its id, then `mayday outbox retry`"))
        })
    }

    /// The id of a channel that the config names, by either.
    pub fn id_of<'a>(&'a self, channel: &'a str) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(async move {
            if is_id(channel) {
                return Ok(channel.to_owned());
            }
            match self.named(channel).await? {
                Named::Here(id) | Named::Renamed(id, _) => Ok(id),
                Named::Archived => Err(archived(self.voice, &format!("#{channel}"))),
                Named::Nowhere => {
                    let what = format!("there is no channel #{channel} that the app can see");
                    let next = format!(
                        "give [[channel]] {} the channel's id: a private one has no other name",
                        self.voice.channel
                    );
                    Err(self.voice.broken(what).next(format!("{next}; then `mayday outbox retry`")))
                }
            }
        })
    }

    pub fn team(&self) -> BoxFuture<'_, Result<String, Fault>> {
        Box::pin(async move {
            let team: Team = self.get("auth.test", &[]).await?;
            Ok(clean(&team.team))
        })
    }

    pub fn standing<'a>(&'a self, channel: &'a str) -> BoxFuture<'a, Result<Standing, Fault>> {
        Box::pin(async move {
            let One { channel } = self.get("conversations.info", &[("channel", channel)]).await?;
            let Conversation { name, is_member, is_archived, .. } = channel;
            Ok(Standing { name: clean(&name), is_member, is_archived })
        })
    }

    /// Looks for a message that begins a thread.
    pub fn find_root<'a>(&'a self, channel: &'a str, parcel: &'a Parcel) -> BoxFuture<'a, Result<Search, Fault>> {
        Box::pin(async move { self.find("conversations.history", &[("channel", channel)], channel, parcel).await })
    }

    /// Looks for a message in a thread.
    pub fn find_reply<'a>(
        &'a self,
        channel: &'a str,
        root: &'a str,
        parcel: &'a Parcel,
    ) -> BoxFuture<'a, Result<Search, Fault>> {
        Box::pin(async move {
            self.find("conversations.replies", &[("channel", channel), ("ts", root)], channel, parcel).await
        })
    }

    async fn find(
        &self,
        method: &str,
        within: &[(&str, &str)],
        channel: &str,
        parcel: &Parcel,
    ) -> Result<Search, Fault> {
        let mut cursor = String::new();
        for _ in 0..PAGES {
            let more = [("include_all_metadata", "true"), ("limit", PAGE), ("cursor", cursor.as_str())];
            let query: Vec<(&str, &str)> = within.iter().copied().chain(more).collect();
            let page: Page = self.get(method, &query).await?;
            if let Some(seen) = page.messages.iter().find(|seen| seen.is(parcel)) {
                return Ok(Search::Found(Place { channel: channel.to_owned(), ts: clean(&seen.ts) }));
            }
            match page.next() {
                Some(next) => cursor = next,
                None => return Ok(Search::Nowhere),
            }
        }
        Ok(Search::TooMuch)
    }
}
