//! Slack's Web API, and the truth about the workspace: channels, messages, threads.
//!
//! <https://docs.slack.dev/apis/web-api/>

mod api;
mod call;
mod chat;
mod conversations;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Site;
use super::limit::Limit;

/// The place of its faults, and the name of its endpoint.
pub const PLACE: &str = "slack";
/// Opens nothing but the lab.
pub const TOKEN: &str = "lab-slack";

const TEAM: &str = "TLAB001";
const TEAM_URL: &str = "https://gennet.slack.com/";
const APP: &str = "ALAB001";
const BOT: &str = "BLAB001";
/// Who the app is in the workspace, and whoever made the channels that were there before.
const BOT_USER: &str = "ULAB001";
const OTHER_USER: &str = "ULAB002";

/// "Generally, one message per second per channel, with short bursts beyond that": <https://docs.slack.dev/apis/web-api/rate-limits/>.
const MESSAGE_EVERY: Duration = Duration::from_secs(1);
const BURST: u32 = 4;

/// The most channels, and the most messages of each.
const CHANNELS: usize = 500;
const MESSAGES: usize = 5000;

/// The channels that are there from the beginning, and whether the app is a member.
const CHANNELS_BEFORE: [(&str, bool); 3] = [("general", true), ("incidents", true), ("engineering", false)];

/// A message's name: microseconds since 1970, unique in the workspace. On the wire `1700000000.000100`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ts(i64);

impl Ts {
    const SECOND: i64 = 1_000_000;

    /// Reads also what stands for a moment between messages: `1700000000`, `1700000000.5`.
    fn parse(text: &str) -> Option<Self> {
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        if fraction.len() > 6 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let micros: i64 = format!("{fraction:0<6}").parse().ok()?;
        let seconds: i64 = seconds.parse().ok().filter(|seconds| *seconds >= 0)?;
        seconds.checked_mul(Self::SECOND)?.checked_add(micros).map(Self)
    }
}

impl std::fmt::Display for Ts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:06}", self.0 / Self::SECOND, self.0 % Self::SECOND)
    }
}

/// A message of the app's.
struct Posted {
    ts: Ts,
    /// The message whose thread this one is in.
    thread: Option<Ts>,
    text: String,
    blocks: Option<Value>,
    metadata: Option<Value>,
    edited: Option<Ts>,
}

struct Channel {
    id: String,
    name: String,
    created: Timestamp,
    creator: &'static str,
    /// Whether the app is in it.
    member: bool,
    /// The oldest first.
    messages: VecDeque<Posted>,
}

impl Channel {
    fn find(&self, ts: Ts) -> Option<&Posted> {
        self.messages.iter().find(|posted| posted.ts == ts)
    }

    fn replies(&self, root: Ts) -> impl DoubleEndedIterator<Item = &Posted> {
        self.messages.iter().filter(move |posted| posted.thread == Some(root))
    }

    /// As the API tells it.
    fn told(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "name_normalized": self.name, "created": self.created.as_second(),
            "creator": self.creator, "is_channel": true, "is_group": false, "is_im": false, "is_mpim": false,
            "is_private": false, "is_archived": false, "is_general": self.name == "general", "is_shared": false,
            "is_member": self.member, "num_members": 12,
            "topic": { "value": "", "creator": "", "last_set": 0 },
            "purpose": { "value": "", "creator": "", "last_set": 0 },
        })
    }

    /// A message as the API tells it; its metadata only to those who ask for it.
    fn message(&self, posted: &Posted, metadata: bool) -> Value {
        let mut told = json!({
            "type": "message", "user": BOT_USER, "bot_id": BOT, "app_id": APP, "team": TEAM,
            "text": posted.text, "ts": posted.ts.to_string(),
        });
        if let Some(blocks) = &posted.blocks {
            told["blocks"] = blocks.clone();
        }
        if let Some(given) = posted.metadata.as_ref().filter(|_| metadata) {
            told["metadata"] = given.clone();
        }
        if let Some(edited) = posted.edited {
            told["edited"] = json!({ "user": BOT_USER, "ts": edited.to_string() });
        }
        let replies = self.replies(posted.ts).count();
        if let Some(root) = posted.thread {
            told["thread_ts"] = root.to_string().into();
            told["parent_user_id"] = BOT_USER.into();
        } else if let Some(latest) = self.replies(posted.ts).next_back() {
            told["thread_ts"] = posted.ts.to_string().into();
            told["reply_count"] = replies.into();
            told["reply_users_count"] = 1.into();
            told["reply_users"] = json!([BOT_USER]);
            told["latest_reply"] = latest.ts.to_string().into();
        }
        told
    }
}

/// The workspace.
pub struct Workspace {
    channels: Vec<Channel>,
    posts: Limit,
    /// The newest message's.
    last: Ts,
}

impl Workspace {
    pub fn gennet(now: Timestamp) -> Self {
        let mut workspace =
            Self { channels: Vec::new(), posts: Limit::new(MESSAGE_EVERY, BURST), last: Ts(now.as_microsecond()) };
        for (name, member) in CHANNELS_BEFORE {
            workspace.create(name, now, OTHER_USER, member);
        }
        workspace
    }

    fn create(&mut self, name: &str, created: Timestamp, creator: &'static str, member: bool) -> &Channel {
        let id = format!("CLAB{:03}", self.channels.len() + 1);
        let at = self.channels.len();
        self.channels.push(Channel { id, name: name.into(), created, creator, member, messages: VecDeque::new() });
        &self.channels[at]
    }

    /// A name for a message that is posted now.
    fn name_message(&mut self, now: Timestamp) -> Ts {
        self.last = Ts(now.as_microsecond().max(self.last.0 + 1));
        self.last
    }
}

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    api::start(site).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_messages_name_survives_the_wire() {
        for text in ["1700000000.000100", "0.000001"] {
            assert_eq!(Ts::parse(text).map(|ts| ts.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Ts::parse("1700000000.5"), Some(Ts(1_700_000_000_500_000)));
        assert_eq!(Ts::parse("17"), Some(Ts(17_000_000)));
        for wrong in ["", "x", "-1", "1.-5", "1.0000000", "99999999999999999999", "9223372036854775807.0"] {
            assert_eq!(Ts::parse(wrong), None, "{wrong}");
        }
    }
}
