//! Microsoft Teams: a card in a channel, by the URL that a workflow gives ("Post to a channel when a webhook request is received"):
//! <https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook>.
//!
//! Nobody can ask a webhook what it took, so a lost answer stays unknown until a person looks.
//!
//! | what an installation can be like | Mayday |
//! |---|---|
//! | a workflow's webhook | supported |
//! | an incoming webhook of the old connectors, where one still works | supported: it says in words with status 200 when it has failed, and that is read |
//! | a text of more than 28 KB | cut, and the outbox says so |
//! | four messages a second, more are refused (429) | tried again after the time that is asked for |
//! | a bot, the Graph API, threads | not supported: each update is a card of its own |

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::exchange::{CUT, Purport, Reply, Voice, fitted, secret_url, send};
use super::line::{CA, Line, PROXY};
use crate::domain::comms::{
    Audience, Channel, ChannelFactory, ChannelKind, ChannelSpec, Doubles, Found, Parcel, Purpose,
};
use crate::domain::incident::Severity;
use crate::domain::kinds::{Param, ParamType};
use crate::domain::system::{Fault, Receipt};
use crate::outbound::secret::{Keep, Secret};

const VENDOR: &str = "Microsoft Teams";

/// How long it is left alone when it does not say for how long.
const CALM: Duration = Duration::from_secs(30);

/// A card may have 28 KB with all around the text: so many characters, of which none takes more than four bytes in UTF-8, fit surely.
const LONGEST: usize = 5000;

/// How an old connector says, with status 200, that it has failed.
const FAILED: &str = "Webhook message delivery failed";

pub static KIND: ChannelKind = ChannelKind {
    name: "teams",
    title: "Microsoft Teams",
    audiences: &[Audience::Internal],
    carries: &[Purpose::Investigating, Purpose::Identified, Purpose::Monitoring, Purpose::Resolved, Purpose::Handoff],
    doubles: Doubles::Undetectable,
    params: &[
        Param::required(
            "webhook",
            ParamType::Secret,
            "the URL that the channel's workflow gave; whoever knows it can write there",
        ),
        CA,
        PROXY,
    ],
};

pub struct TeamsFactory;

impl ChannelFactory for TeamsFactory {
    fn kind(&self) -> &'static ChannelKind {
        &KIND
    }

    fn connect(&self, spec: &ChannelSpec) -> Result<Arc<dyn Channel>, Fault> {
        let voice = Voice::new(&spec.id, spec.audience, VENDOR, CALM);
        let Some(place) = spec.params.secret("webhook") else { return Err(voice.unfit("it needs `webhook`")) };
        let line = Line::new(&spec.params, &voice)?;
        Ok(Arc::new(Teams { webhook: Keep::new(Some(place)), voice: voice.by(&line), line }))
    }
}

struct Teams {
    webhook: Keep,
    line: Line,
    voice: Voice,
}

fn color(severity: Severity, purpose: Purpose) -> &'static str {
    match (purpose, severity) {
        (Purpose::Resolved, _) => "Good",
        (_, Severity::Sev1 | Severity::Sev2) => "Attention",
        _ => "Warning",
    }
}

/// The card, and whether the text was cut. Runs of a rich text are shown as they are: what comes from outside can neither be a link nor
/// mention anybody. <https://adaptivecards.io/explorer/RichTextBlock.html>
fn card(parcel: &Parcel) -> (Value, bool) {
    let (subject, _) = fitted(&parcel.text.subject, LONGEST / 10);
    let (body, cut) = fitted(&parcel.text.body, LONGEST);
    let plain = |text: &str| json!({ "type": "RichTextBlock", "inlines": [{ "type": "TextRun", "text": text }] });
    let head = json!({
        "type": "TextRun", "text": subject, "weight": "Bolder", "size": "Medium",
        "color": color(parcel.severity, parcel.purpose),
    });
    let head = json!({ "type": "RichTextBlock", "inlines": [head] });
    let lines = body.lines().filter(|line| !line.trim().is_empty()).map(plain);
    let foot =
        json!({ "type": "TextRun", "text": format!("{} · {}", parcel.incident, parcel.message), "isSubtle": true });
    let foot = json!({ "type": "RichTextBlock", "inlines": [foot] });
    let all: Vec<Value> = [head].into_iter().chain(lines).chain([foot]).collect();
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": all,
        "msteams": { "width": "Full" },
    });
    let attachment = json!({ "contentType": "application/vnd.microsoft.card.adaptive", "content": card });
    (json!({ "type": "message", "attachments": [attachment] }), cut)
}

impl Teams {
    async fn post(&self, card: &Value) -> Result<Reply, Fault> {
        let (url, secret) = secret_url(&self.webhook, &self.voice).await?;
        let client = self.voice.client(&self.line, url.as_str()).await?;
        let reply = send(client.post(url).json(card), Some(&secret)).await;
        reply.map_err(|silence| self.voice.silent(&silence, Purport::Tells))
    }
}

#[async_trait]
impl Channel for Teams {
    async fn deliver(&self, parcel: &Parcel) -> Result<Receipt, Fault> {
        self.voice.allow(parcel)?;
        let (card, cut) = card(parcel);
        let reply = self.post(&card).await?;
        match reply.body.contains(FAILED) {
            true if reply.body.contains("429") => return Err(self.voice.throttled(reply.pause)),
            true => return Err(self.voice.doubtful(format!("Microsoft Teams answers {}", reply.words()))),
            false if !reply.status.is_success() => return Err(self.voice.refused(&reply, Purport::Tells)),
            false => {}
        }
        let status = [("status".to_owned(), reply.status.as_u16().to_string())];
        let cut = cut.then(|| (CUT.to_owned(), "a card has no room for all of it, and the end is missing".to_owned()));
        Ok(status.into_iter().chain(cut).collect())
    }

    async fn find(&self, _parcel: &Parcel) -> Result<Found, Fault> {
        Ok(Found::Untold("a webhook cannot be asked what it took; look into the channel in Teams".into()))
    }

    /// HEAD changes nothing anywhere (RFC 9110), and whatever answers it is there.
    async fn reach(&self) -> Result<String, Fault> {
        let (url, secret): (_, Secret) = secret_url(&self.webhook, &self.voice).await?;
        let client = self.voice.client(&self.line, url.as_str()).await?;
        let reply = send(client.head(url), Some(&secret)).await;
        let reply = reply.map_err(|silence| self.voice.silent(&silence, Purport::Asks))?;
        let status = reply.status.as_u16();
        Ok(format!("something answers there (HEAD: {status}); whether it takes messages cannot be asked"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{self, Vendor, ok, says};
    use super::*;
    use crate::domain::comms::Text;
    use crate::domain::system::FaultClass;

    fn connect(url: &str) -> Arc<dyn Channel> {
        let given = json!({ "webhook": bench::secret(&format!("{url}/workflows/hush")) });
        TeamsFactory.connect(&bench::spec(&KIND, Audience::Internal, given)).unwrap()
    }

    #[tokio::test]
    async fn an_update_is_a_card_of_plain_text() {
        let vendor = Vendor::start(|_| says(202, json!({}))).await;
        let text = Text { subject: "east is down".into(), body: "[a link](http://evil)\n\n<at>everybody</at>".into() };
        let parcel = Parcel { text, ..bench::parcel(Purpose::Identified) };
        let receipt = connect(&vendor.url).deliver(&parcel).await.unwrap();
        assert_eq!(receipt["status"], "202");
        let card = vendor.asked()[0].json()["attachments"][0]["content"].clone();
        let runs: Vec<&str> =
            card["body"].as_array().unwrap().iter().filter_map(|it| it["inlines"][0]["text"].as_str()).collect();
        assert_eq!(runs[..3], ["east is down", "[a link](http://evil)", "<at>everybody</at>"]);
        assert!(!card.to_string().contains("TextBlock\"") || card.to_string().contains("RichTextBlock"), "{card}");
        let long = Parcel { text: Text { subject: "s".into(), body: "😀".repeat(40_000) }, ..parcel };
        assert!(connect(&vendor.url).deliver(&long).await.unwrap().contains_key(CUT));
        assert!(vendor.asked()[1].body.len() < 28 << 10, "{}", vendor.asked()[1].body.len());
    }

    #[tokio::test]
    async fn teams_says_why_not_and_its_url_stays_a_secret() {
        for (answer, class) in [
            (says(404, json!("hush is gone")), FaultClass::Permanent),
            (says(429, json!("slow down")), FaultClass::Transient),
            (says(502, json!("")), FaultClass::Ambiguous),
            (
                ok(json!("Webhook message delivery failed with error: ... returned HTTP error 429")),
                FaultClass::Transient,
            ),
            (
                ok(json!("Webhook message delivery failed with error: ... returned HTTP error 403")),
                FaultClass::Ambiguous,
            ),
        ] {
            let vendor = Vendor::start(move |_| answer.clone()).await;
            let fault = connect(&vendor.url).deliver(&bench::parcel(Purpose::Resolved)).await.unwrap_err();
            assert!(fault.class == class && !fault.to_string().contains("/workflows/hush"), "{fault}");
        }
    }
}
