//! Discord: a message in a channel, by the URL of the channel's webhook: <https://discord.com/developers/docs/resources/webhook>.
//!
//! Nobody can ask a webhook what it took without the id that its answer gives, so a lost answer stays unknown until a person looks.
//!
//! | what an installation can be like | Mayday |
//! |---|---|
//! | a webhook of a text channel, or of a thread in one | supported (`?thread_id=` in the URL) |
//! | a webhook that was deleted | refused by `ready` |
//! | a text of more than 4,096 characters | cut, and the outbox says so |
//! | `@everyone`, roles and people in a text | shown as they are, nobody is notified |
//! | limits of a webhook (429) | tried again after the time that is asked for |
//! | a webhook of a forum, a bot | not supported: a forum wants a title for each message |

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use super::exchange::{CUT, Purport, Voice, fitted, secret_url};
use super::line::{CA, Line, PROXY};
use crate::domain::comms::{
    Audience, Channel, ChannelFactory, ChannelKind, ChannelSpec, Doubles, Found, Parcel, Purpose,
};
use crate::domain::incident::Severity;
use crate::domain::kinds::{Param, ParamType};
use crate::domain::system::{Fault, Receipt};
use crate::domain::text::clean;
use crate::outbound::secret::Keep;

const VENDOR: &str = "Discord";

/// How long it is left alone when it does not say for how long.
const CALM: Duration = Duration::from_secs(5);

/// The longest title and text of an embed: <https://discord.com/developers/docs/resources/message#embed-object-embed-limits>.
const LONGEST_TITLE: usize = 256;
const LONGEST: usize = 4096;

/// What Discord's Markdown acts upon.
const MARKS: &[char] = &['\\', '*', '_', '~', '`', '|', '>', '#', '[', ']', '(', ')', '<', '@', '-', ':'];

pub static KIND: ChannelKind = ChannelKind {
    name: "discord",
    title: "Discord",
    audiences: &[Audience::Internal, Audience::Public],
    carries: &[Purpose::Investigating, Purpose::Identified, Purpose::Monitoring, Purpose::Resolved],
    doubles: Doubles::Undetectable,
    params: &[
        Param::required(
            "webhook",
            ParamType::Secret,
            "the URL of the channel's webhook; whoever knows it can write there",
        ),
        CA,
        PROXY,
    ],
};

pub struct DiscordFactory;

impl ChannelFactory for DiscordFactory {
    fn kind(&self) -> &'static ChannelKind {
        &KIND
    }

    fn connect(&self, spec: &ChannelSpec) -> Result<Arc<dyn Channel>, Fault> {
        let voice = Voice::new(&spec.id, spec.audience, VENDOR, CALM);
        let Some(place) = spec.params.secret("webhook") else { return Err(voice.unfit("it needs `webhook`")) };
        let line = Line::new(&spec.params, &voice)?;
        Ok(Arc::new(Discord { webhook: Keep::new(Some(place)), voice: voice.by(&line), line }))
    }
}

struct Discord {
    webhook: Keep,
    line: Line,
    voice: Voice,
}

#[derive(Deserialize)]
struct Posted {
    id: String,
}

#[derive(Deserialize)]
struct Hook {
    name: Option<String>,
}

/// Text as it is, whatever stands in it.
fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| MARKS.contains(&c).then_some('\\').into_iter().chain([c])).collect()
}

fn color(severity: Severity, purpose: Purpose) -> u32 {
    match (purpose, severity) {
        (Purpose::Resolved, _) => 0x2e_a0_43,
        (_, Severity::Sev1 | Severity::Sev2) => 0xd0_30_30,
        _ => 0xd0_a0_20,
    }
}

fn message(parcel: &Parcel) -> (Value, bool) {
    let (title, _) = fitted(&escaped(&parcel.text.subject), LONGEST_TITLE);
    let (text, cut) = fitted(&escaped(&parcel.text.body), LONGEST);
    let embed = json!({
        "title": title, "description": text, "color": color(parcel.severity, parcel.purpose),
        "footer": { "text": format!("{} · {}", parcel.incident, parcel.message) },
    });
    (json!({ "embeds": [embed], "allowed_mentions": { "parse": [] } }), cut)
}

#[async_trait]
impl Channel for Discord {
    async fn deliver(&self, parcel: &Parcel) -> Result<Receipt, Fault> {
        self.voice.allow(parcel)?;
        let (mut url, secret) = secret_url(&self.webhook, &self.voice).await?;
        // Without it the answer says nothing of what became of the message.
        url.query_pairs_mut().append_pair("wait", "true");
        let (message, cut) = message(parcel);
        let request = self.voice.client(&self.line, url.as_str()).await?.post(url).json(&message);
        let posted: Posted = self.voice.read(request, Some(&secret), Purport::Tells).await?;
        let cut = cut.then(|| (CUT.to_owned(), format!("Discord takes {LONGEST} characters, and the end is missing")));
        Ok([("id".to_owned(), clean(&posted.id))].into_iter().chain(cut).collect())
    }

    async fn find(&self, _parcel: &Parcel) -> Result<Found, Fault> {
        Ok(Found::Untold("a webhook cannot be asked what it took; look into the channel in Discord".into()))
    }

    /// A webhook tells what it is to whoever has its URL.
    async fn reach(&self) -> Result<String, Fault> {
        let (url, secret) = secret_url(&self.webhook, &self.voice).await?;
        let request = self.voice.client(&self.line, url.as_str()).await?.get(url);
        let hook: Hook = self.voice.read(request, Some(&secret), Purport::Asks).await?;
        Ok(format!("the webhook is there ({})", clean(&hook.name.unwrap_or_else(|| "without a name".into()))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{self, Asked, Vendor, ok, says};
    use super::*;
    use crate::domain::comms::Text;
    use crate::domain::system::FaultClass;

    fn connect(url: &str) -> Arc<dyn Channel> {
        let given = json!({ "webhook": bench::secret(&format!("{url}/api/webhooks/1/hush")) });
        DiscordFactory.connect(&bench::spec(&KIND, Audience::Public, given)).unwrap()
    }

    #[tokio::test]
    async fn an_update_is_an_embed_that_notifies_nobody() {
        let vendor = Vendor::start(|asked: &Asked| match asked.method.as_str() {
            "GET" => ok(json!({ "id": "1", "name": "status", "token": "hush" })),
            _ => ok(json!({ "id": "42" })),
        })
        .await;
        let channel = connect(&vendor.url);
        assert!(channel.reach().await.unwrap().contains("status"));
        let text = Text { subject: "east".into(), body: "@everyone *now* a_b".into() };
        let parcel = Parcel { text, ..bench::parcel(Purpose::Identified) };
        assert_eq!(channel.deliver(&parcel).await.unwrap()["id"], "42");
        let asked = &vendor.asked()[1];
        assert_eq!(asked.path, "/api/webhooks/1/hush?wait=true");
        let said = asked.json();
        assert_eq!(said["allowed_mentions"]["parse"], json!([]));
        assert_eq!(said["embeds"][0]["description"], "\\@everyone \\*now\\* a\\_b");
    }

    #[tokio::test]
    async fn discord_says_why_not_and_its_url_stays_a_secret() {
        for (answer, class, words) in [
            (says(404, json!({ "message": "Unknown Webhook" })), FaultClass::Permanent, "Unknown Webhook"),
            ((429, vec![("retry-after", "0.5".to_owned())], "{}".to_owned()), FaultClass::Transient, "too many"),
            (says(500, json!({})), FaultClass::Ambiguous, "500"),
        ] {
            let vendor = Vendor::start(move |_| answer.clone()).await;
            let fault = connect(&vendor.url).deliver(&bench::parcel(Purpose::Resolved)).await.unwrap_err();
            assert!(fault.class == class && fault.what.contains(words), "{fault}");
            assert!(!fault.to_string().contains("hush"), "{fault}");
        }
    }
}
