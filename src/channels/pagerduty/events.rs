//! The Events API v2: pages, acknowledges, resolves. <https://developer.pagerduty.com/docs/send-alert-event>
//!
//! An event of a key that is open already is merged into its alert and wakes nobody anew, so sending one twice does no harm.
//! 202 means accepted: somebody is paged a little later.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::RequestBuilder;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::exchange::{Purport, Voice, base};
use super::super::line::{CA, Line, PROXY};
use super::{PREFIX, VENDOR, key};
use crate::domain::comms::{
    Audience, Channel, ChannelFactory, ChannelKind, ChannelSpec, Doubles, Found, Parcel, Purpose,
};
use crate::domain::incident::Severity;
use crate::domain::kinds::{Param, ParamType};
use crate::domain::system::{Fault, Receipt};
use crate::domain::text::clean;
use crate::outbound::secret::{Keep, Secret};

/// How long to wait after 429, which says nothing of it.
const CALM: Duration = Duration::from_secs(10);

/// The longest summary, in characters.
const LONGEST_SUMMARY: usize = 1024;

/// A key that no incident has: an event that resolves it is accepted and dropped.
const NOBODY: &str = "mayday-reach";

pub static KIND: ChannelKind = ChannelKind {
    name: "pagerduty",
    title: "PagerDuty: page, acknowledge, resolve",
    audiences: &[Audience::Internal],
    carries: &[Purpose::Page, Purpose::Acknowledge, Purpose::Resolved],
    doubles: Doubles::Recognised,
    params: &[
        Param::required("routing_key", ParamType::Secret, "the integration key of the service that is paged"),
        Param::default("source", ParamType::Text, "mayday", "what PagerDuty shows as the source of the alert"),
        PREFIX,
        Param::default("url", ParamType::Url, "https://events.pagerduty.com", "where the Events API is"),
        CA,
        PROXY,
    ],
};

pub struct PagesFactory;

impl ChannelFactory for PagesFactory {
    fn kind(&self) -> &'static ChannelKind {
        &KIND
    }

    fn connect(&self, spec: &ChannelSpec) -> Result<Arc<dyn Channel>, Fault> {
        let (voice, params) = (Voice::new(&spec.id, spec.audience, VENDOR, CALM), &spec.params);
        let line = Line::new(params, &voice)?;
        Ok(Arc::new(Pages {
            url: format!("{}/v2/enqueue", base(params, &voice)?),
            routing_key: Keep::new(params.secret("routing_key")),
            source: params.text("source")?.to_owned(),
            prefix: params.text("prefix")?.to_owned(),
            voice: voice.by(&line),
            line,
        }))
    }
}

struct Pages {
    url: String,
    routing_key: Keep,
    source: String,
    prefix: String,
    line: Line,
    voice: Voice,
}

#[derive(Deserialize)]
struct Accepted {
    dedup_key: String,
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Sev1 => "critical",
        Severity::Sev2 => "error",
        Severity::Sev3 => "warning",
        Severity::Sev4 => "info",
    }
}

impl Pages {
    async fn secret(&self) -> Result<Secret, Fault> {
        let secret = self.routing_key.read(self.voice.channel.as_str()).await?;
        secret.ok_or_else(|| self.voice.unfit("there is no routing key"))
    }

    fn event(&self, parcel: &Parcel) -> Result<Value, Fault> {
        let action = match parcel.purpose {
            Purpose::Page => "trigger",
            Purpose::Acknowledge => "acknowledge",
            Purpose::Resolved => "resolve",
            other => return Err(self.voice.broken(format!("there is no event for `{other}`"))),
        };
        let mut event = json!({ "event_action": action, "dedup_key": key(&self.prefix, parcel) });
        if parcel.purpose == Purpose::Page {
            let summary: String = parcel.text.subject.chars().take(LONGEST_SUMMARY).collect();
            event["client"] = "Mayday".into();
            event["payload"] = json!({
                "summary": summary, "source": self.source, "severity": severity(parcel.severity),
                "custom_details": {
                    "incident": parcel.incident, "message": parcel.message, "text": parcel.text.body,
                    "journal": parcel.journal(),
                },
            });
        }
        Ok(event)
    }

    async fn request(&self, mut event: Value, secret: &Secret) -> Result<RequestBuilder, Fault> {
        event["routing_key"] = secret.expose().into();
        Ok(self.voice.client(&self.line, &self.url).await?.post(&self.url).json(&event))
    }
}

#[async_trait]
impl Channel for Pages {
    async fn deliver(&self, parcel: &Parcel) -> Result<Receipt, Fault> {
        self.voice.allow(parcel)?;
        let event = self.event(parcel)?;
        let secret = self.secret().await?;
        let request = self.request(event, &secret).await?;
        let accepted: Accepted = self.voice.read(request, Some(&secret), Purport::Tells).await?;
        Ok([("id".to_owned(), clean(&accepted.dedup_key))].into())
    }

    /// PagerDuty merges a second event of the same key with the first.
    async fn find(&self, _parcel: &Parcel) -> Result<Found, Fault> {
        Ok(Found::Harmless)
    }

    async fn reach(&self) -> Result<String, Fault> {
        let secret = self.secret().await?;
        let event = json!({ "event_action": "resolve", "dedup_key": format!("{}{NOBODY}", self.prefix) });
        self.voice.ask(self.request(event, &secret).await?, Some(&secret), Purport::Asks).await?;
        Ok("the Events API takes events of this key".into())
    }
}
