//! Slack: one message an incident in the channel where people look, kept up to date, and every update in its thread.
//!
//! Slack has no key against doubles. Every message carries its id in `metadata`, which people do not see, and by that it is looked for
//! after an answer that was lost: <https://docs.slack.dev/messaging/message-metadata/>. The app needs the scopes `chat:write`,
//! `channels:read`, `channels:history` (`groups:history` for a private channel), and `channels:manage` if it makes channels.

mod connector;
mod talk;
mod words;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use slack_morphism::{SlackApiToken, SlackClient};

use self::connector::Connector;
use self::talk::{Place, Talk};
use super::exchange::{Voice, base};
use crate::domain::comms::{
    Audience, Channel, ChannelFactory, ChannelKind, ChannelSpec, Doubles, Found, Parcel, Purpose,
};
use crate::domain::kinds::{Param, ParamType};
use crate::domain::system::{Fault, Receipt};
use crate::outbound::secret::Keep;

const VENDOR: &str = "Slack";

/// How long it is left alone when it does not say for how long: <https://docs.slack.dev/apis/web-api/rate-limits/>.
const CALM: Duration = Duration::from_secs(30);

/// What earlier messages leave: the channel's id, the message that is kept up to date, and the incident's own channel.
const CHANNEL: &str = "channel";
const ROOT: &str = "root";
const ROOM: &str = "room";

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
        Ok(Arc::new(Slack {
            client: SlackClient::new(Connector { url: base(params, &voice)? }),
            token: Keep::new(params.secret("token")),
            makes_rooms: params.flag("incident_channel"),
            channel,
            voice,
        }))
    }
}

struct Slack {
    client: SlackClient<Connector>,
    token: Keep,
    /// By its name or its id.
    channel: String,
    makes_rooms: bool,
    voice: Voice,
}

impl Slack {
    async fn token(&self) -> Result<SlackApiToken, Fault> {
        let token = self.token.read(self.voice.channel.as_str()).await?;
        let token = token.ok_or_else(|| self.voice.unfit("there is no token"))?;
        Ok(SlackApiToken::new(token.expose().into()))
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
    let place = talk.post(&slack.channel, None, &words::message(parcel, room), parcel).await?;
    receipt
        .extend([(ROOT, &place.ts), (CHANNEL, &place.channel)].map(|(name, value)| (name.to_owned(), value.clone())));
    receipt.extend(shown(talk, &place).await);
    Ok(receipt)
}

/// A later message: in the thread of the first one, which is brought up to date before. That can be done again and again and wakes
/// nobody, so that its failure is no reason not to tell.
async fn follow(talk: &Talk<'_>, parcel: &Parcel, channel: &str, root: &str) -> Result<Option<Receipt>, Fault> {
    let mut receipt = Receipt::new();
    if parcel.purpose.is_update() {
        let room = parcel.thread.get(ROOM).map(String::as_str);
        if let Err(fault) = talk.update(channel, root, &words::message(parcel, room)).await {
            receipt.insert("first message not updated".into(), fault.what);
        }
    }
    match talk.reply(channel, root, &words::message(parcel, None), parcel).await? {
        Some(place) => {
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
            None => talk.find_root(&talk.id_of(&self.channel).await?, parcel).await?,
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
            if let Ok(Some(id)) = talk.named(&words::room(parcel)).await {
                receipt.insert(ROOM.into(), id);
            }
        }
        Ok(Found::There(receipt))
    }

    async fn reach(&self) -> Result<String, Fault> {
        let token = self.token().await?;
        let talk = self.talk(&token);
        let team = talk.team().await?;
        let id = talk.id_of(&self.channel).await?;
        if talk.is_member(&id).await? {
            Ok(format!("logged in to {team}, and a member of {}", self.channel))
        } else {
            let invite = format!("invite the app to {} (/invite), or nobody is told there", self.channel);
            Err(self.voice.broken(format!("the app is no member of {}", self.channel)).next(invite))
        }
    }
}
