//! Slack: one message an incident in the channel where people look, kept up to date, and every update in its thread.
//!
//! Slack has no key against doubles. Every message carries its id in `metadata`, which people do not see, and by that it is looked for
//! after an answer that was lost: <https://docs.slack.dev/messaging/message-metadata/>. The app needs the scopes `chat:write`,
//! `channels:read`, `channels:history` (`groups:history` for a private channel), and `channels:manage` if it makes channels.
//!
//! | what a workspace can be like | Mayday |
//! |---|---|
//! | a public channel by `#name`, any by its id | supported; a private one has to be given by its id, which `ready` says |
//! | up to 20,000 channels | the list is read to its end, and the id kept for ten minutes |
//! | a channel that was renamed | found by its earlier name; the outbox and `ready` say what it is called now |
//! | a channel that is archived | refused by `ready`: "is archived", with what to do |
//! | the app is no member, or lacks a scope | refused by `ready`, with the invitation or the scope |
//! | a channel that only some may write to | refused in words when it is written to: Slack does not tell before |
//! | a text of more than 40,000 characters | cut, and the outbox says so; the first message is kept up to date with 4,000 |
//! | `&`, `<`, `>`, `<!channel>` in a text | escaped: nobody is notified by a pod's name |
//! | limits of the workspace | kept by all of its channels, each method by itself, for as long as Slack asks |
//! | a root message that somebody deleted | the next update begins a new thread |
//! | Enterprise Grid, GovSlack | `url`; a token of the one workspace |
//! | an incoming webhook instead of an app | the kind `webhook` |

mod connector;
mod talk;
mod words;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use slack_morphism::{SlackApiToken, SlackClient};

use self::connector::Connector;
use self::talk::{Named, Place, Talk};
use super::exchange::{Voice, base};
use super::line::{CA, Line, PROXY};
use crate::domain::comms::{
    Audience, Channel, ChannelFactory, ChannelKind, ChannelSpec, Doubles, Found, Parcel, Purpose,
};
use crate::domain::kinds::{Param, ParamType};
use crate::domain::system::{Fault, Receipt};
use crate::outbound::secret::Keep;

const VENDOR: &str = "Slack";

/// How long it is left alone when it does not say for how long: <https://docs.slack.dev/apis/web-api/rate-limits/>.
const CALM: Duration = Duration::from_secs(30);

/// For how long the id of a channel is believed.
const KNOWN: Duration = Duration::from_secs(600);

/// What earlier messages leave: the channel's id, the message that is kept up to date, and the incident's own channel.
const CHANNEL: &str = "channel";
const ROOT: &str = "root";
const ROOM: &str = "room";

/// What did not go as it should.
const CUT: &str = "cut";
const RENAMED: &str = "renamed";

pub static KIND: ChannelKind = ChannelKind {
    name: "slack",
    title: "Slack",
    audiences: &[Audience::Internal],
    carries: &[Purpose::Investigating, Purpose::Identified, Purpose::Monitoring, Purpose::Resolved, Purpose::Handoff],
    doubles: Doubles::Recognised,
    params: &[
        Param::required(
            "channel",
            ParamType::Text,
            "where people look: #name, or the id (a private channel needs its id)",
        ),
        Param::required("token", ParamType::Secret, "the bot token of the app (xoxb-…)"),
        Param::default(
            "incident_channel",
            ParamType::Flag,
            "false",
            "whether every incident is given a channel of its own to work in, named by its id",
        ),
        Param::default("url", ParamType::Url, "https://slack.com/api", "where the Web API is"),
        CA,
        PROXY,
    ],
};

pub struct SlackFactory;

impl ChannelFactory for SlackFactory {
    fn kind(&self) -> &'static ChannelKind {
        &KIND
    }

    fn connect(&self, spec: &ChannelSpec) -> Result<Arc<dyn Channel>, Fault> {
        let (voice, params) = (Voice::new(&spec.id, spec.audience, VENDOR, CALM), &spec.params);
        let channel = params.text("channel")?.trim_start_matches('#').to_owned();
        if channel.is_empty() || channel.contains(char::is_whitespace) {
            return Err(voice.unfit("`channel` names no channel"));
        }
        let line = Line::new(params, &voice)?;
        Ok(Arc::new(Slack {
            voice: voice.clone().by(&line),
            client: SlackClient::new(Connector { url: base(params, &voice)?, line }),
            token: Keep::new(params.secret("token")),
            makes_rooms: params.flag("incident_channel"),
            channel,
            known: Mutex::default(),
        }))
    }
}

struct Slack {
    client: SlackClient<Connector>,
    token: Keep,
    /// By its name or its id.
    channel: String,
    makes_rooms: bool,
    /// The id of the channel, and when it was found out: a workspace may have ten thousand, and lists them some times a minute.
    known: Mutex<Option<(String, Instant)>>,
    voice: Voice,
}

impl Slack {
    async fn token(&self) -> Result<SlackApiToken, Fault> {
        let token = self.token.read(self.voice.channel.as_str()).await?;
        let token = token.ok_or_else(|| self.voice.unfit("there is no token"))?;
        Ok(SlackApiToken::new(token.expose().into()))
    }

    /// The id of the channel.
    async fn id(&self, talk: &Talk<'_>) -> Result<String, Fault> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((id, _)) = known.filter(|(_, since)| since.elapsed() < KNOWN) {
            return Ok(id);
        }
        let id = talk.id_of(&self.channel).await?;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((id.clone(), Instant::now()));
        Ok(id)
    }

    fn talk<'a>(&'a self, token: &'a SlackApiToken) -> Talk<'a> {
        Talk { session: self.client.open_session(token), voice: &self.voice }
    }
}

/// Where the incident's messages are, once there is one.
fn known(parcel: &Parcel) -> Option<(&str, &str)> {
    parcel.thread.get(CHANNEL).map(String::as_str).zip(parcel.thread.get(ROOT).map(String::as_str))
}

/// The first message of an incident. The incident's own channel is made before, and without it people are told all the same.
async fn open(slack: &Slack, talk: &Talk<'_>, parcel: &Parcel) -> Result<Receipt, Fault> {
    let mut receipt = Receipt::new();
    if slack.makes_rooms && !parcel.thread.contains_key(ROOM) {
        match talk.room(&words::room(parcel)).await {
            Ok(id) => receipt.insert(ROOM.into(), id),
            Err(fault) => receipt.insert("no channel of its own".into(), fault.what),
        };
    }
    let room = receipt.get(ROOM).or(parcel.thread.get(ROOM)).map(String::as_str);
    let text = words::message(parcel, room, words::LONGEST);
    let (place, renamed) = talk.post_to(&slack.channel, &text, parcel).await?;
    receipt.extend(renamed.map(|now| (RENAMED.to_owned(), format!("#{} is called #{now} now", slack.channel))));
    receipt.extend(cut(parcel));
    receipt
        .extend([(ROOT, &place.ts), (CHANNEL, &place.channel)].map(|(name, value)| (name.to_owned(), value.clone())));
    receipt.extend(shown(talk, &place).await);
    Ok(receipt)
}

/// What is said where not all of it fits.
fn cut(parcel: &Parcel) -> Option<(String, String)> {
    let words = || format!("Slack takes {} characters, and the end is missing", words::LONGEST);
    words::is_too_long(parcel).then(|| (CUT.to_owned(), words()))
}

/// A later message: in the thread of the first one, which is brought up to date before. That can be done again and again and wakes
/// nobody, so that its failure is no reason not to tell.
async fn follow(talk: &Talk<'_>, parcel: &Parcel, channel: &str, root: &str) -> Result<Option<Receipt>, Fault> {
    let mut receipt = Receipt::new();
    if parcel.purpose.is_update() {
        let room = parcel.thread.get(ROOM).map(String::as_str);
        if let Err(fault) = talk.update(channel, root, &words::message(parcel, room, words::LONGEST_UPDATE)).await {
            receipt.insert("first message not updated".into(), fault.what);
        }
    }
    match talk.reply(channel, root, &words::message(parcel, None, words::LONGEST), parcel).await? {
        Some(place) => {
            receipt.extend(cut(parcel));
            receipt.extend(shown(talk, &place).await);
            Ok(Some(receipt))
        }
        None => Ok(None),
    }
}

/// What people see of the receipt.
async fn shown(talk: &Talk<'_>, place: &Place) -> Receipt {
    let link = talk.link(place).await.map(|link| ("link".to_owned(), link));
    [("id".to_owned(), place.ts.clone())].into_iter().chain(link).collect()
}

#[async_trait]
impl Channel for Slack {
    async fn deliver(&self, parcel: &Parcel) -> Result<Receipt, Fault> {
        self.voice.allow(parcel)?;
        let token = self.token().await?;
        let talk = self.talk(&token);
        if let Some((channel, root)) = known(parcel)
            && let Some(receipt) = follow(&talk, parcel, channel, root).await?
        {
            return Ok(receipt);
        }
        // There is no first message, or somebody deleted it.
        open(self, &talk, parcel).await
    }

    async fn find(&self, parcel: &Parcel) -> Result<Found, Fault> {
        let token = self.token().await?;
        let talk = self.talk(&token);
        let place = match known(parcel) {
            Some((channel, root)) => talk.find_reply(channel, root, parcel).await?,
            None => talk.find_root(&self.id(&talk).await?, parcel).await?,
        };
        let mut receipt = match place {
            talk::Search::Found(place) => {
                let mut receipt = shown(&talk, &place).await;
                if known(parcel).is_none() {
                    receipt.extend([(ROOT.to_owned(), place.ts), (CHANNEL.to_owned(), place.channel)]);
                }
                receipt
            }
            talk::Search::Nowhere => return Ok(Found::NotThere),
            talk::Search::TooMuch => {
                return Ok(Found::Untold("so much was said since that it was not all looked through".into()));
            }
        };
        if self.makes_rooms && !parcel.thread.contains_key(ROOM) {
            // It was made before the message that was found.
            if let Ok(Named::Here(id)) = talk.named(&words::room(parcel)).await {
                receipt.insert(ROOM.into(), id);
            }
        }
        Ok(Found::There(receipt))
    }

    async fn reach(&self) -> Result<String, Fault> {
        let token = self.token().await?;
        let talk = self.talk(&token);
        let team = talk.team().await?;
        let id = self.id(&talk).await?;
        let channel = talk.standing(&id).await?;
        if channel.is_archived {
            return Err(words::archived(&self.voice, &format!("#{}", channel.name)));
        }
        if channel.is_member {
            let renamed = match talk::is_id(&self.channel) || channel.name == self.channel {
                true => String::new(),
                false => format!(" (it is called #{} now: put that into the config)", channel.name),
            };
            Ok(format!("logged in to {team}, and a member of {}{renamed}", self.channel))
        } else {
            let invite = format!("invite the app to {} (/invite), or nobody is told there", self.channel);
            Err(self.voice.broken(format!("the app is no member of {}", self.channel)).next(invite))
        }
    }
}
