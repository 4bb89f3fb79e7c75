//! Opsgenie, and Jira Service Management, which has the same alerts: wakes whoever is on call, and says when somebody has it and when it
//! is over. <https://docs.opsgenie.com/docs/alert-api>
//!
//! An alert is known by its alias, which is the incident: a second one of an alias that is open is counted and wakes nobody anew, so
//! sending one twice does no harm. 202 means accepted: somebody is paged a little later.
//!
//! | what an account can be like | Mayday |
//! |---|---|
//! | the United States, Europe | `url` |
//! | Jira Service Management | `url = "https://api.atlassian.com/jsm/ops/integration"` |
//! | a key of an API integration of a team | supported; the alert goes to that team |
//! | a key that may not write | refused by `ready` |
//! | limits (429) | tried again after the time that is asked for |
//! | notes upon the alert, who is on call | not supported: see the channel where the team works |

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::RequestBuilder;
use serde::Deserialize;
use serde_json::{Value, json};

use super::exchange::{CUT, Purport, Voice, base, fitted};
use super::line::{CA, Line, PROXY};
use crate::domain::comms::{
    Audience, Channel, ChannelFactory, ChannelKind, ChannelSpec, Doubles, Found, Parcel, Purpose,
};
use crate::domain::incident::Severity;
use crate::domain::kinds::{Param, ParamType};
use crate::domain::system::{Fault, Receipt};
use crate::domain::text::clean;
use crate::outbound::secret::{Keep, Secret};

const VENDOR: &str = "Opsgenie";

/// How long it is left alone when it does not say for how long: its limits are counted by the minute.
const CALM: Duration = Duration::from_secs(10);

/// The longest message, alias and description, in characters: <https://docs.opsgenie.com/docs/alert-api#create-alert>.
const LONGEST_MESSAGE: usize = 130;
const LONGEST_ALIAS: usize = 512;
const LONGEST: usize = 15_000;

/// An alias that no incident has: closing it is accepted and does nothing.
const NOBODY: &str = "mayday-reach";

pub static KIND: ChannelKind = ChannelKind {
    name: "opsgenie",
    title: "Opsgenie: page, acknowledge, close",
    audiences: &[Audience::Internal],
    carries: &[Purpose::Page, Purpose::Acknowledge, Purpose::Resolved],
    doubles: Doubles::Recognised,
    params: &[
        Param::required("api_key", ParamType::Secret, "the key of the team's API integration"),
        Param::default(
            "prefix",
            ParamType::Text,
            "",
            "stands before the incident's id in the alias: for estates that share one integration",
        ),
        Param::default(
            "url",
            ParamType::Url,
            "https://api.opsgenie.com",
            "the API; https://api.eu.opsgenie.com in Europe",
        ),
        CA,
        PROXY,
    ],
};

pub struct OpsgenieFactory;

impl ChannelFactory for OpsgenieFactory {
    fn kind(&self) -> &'static ChannelKind {
        &KIND
    }

    fn connect(&self, spec: &ChannelSpec) -> Result<Arc<dyn Channel>, Fault> {
        let (voice, params) = (Voice::new(&spec.id, spec.audience, VENDOR, CALM), &spec.params);
        let line = Line::new(params, &voice)?;
        Ok(Arc::new(Opsgenie {
            url: base(params, &voice)?,
            key: Keep::new(params.secret("api_key")),
            prefix: params.text("prefix")?.to_owned(),
            voice: voice.by(&line),
            line,
        }))
    }
}

struct Opsgenie {
    url: String,
    key: Keep,
    prefix: String,
    line: Line,
    voice: Voice,
}

#[derive(Deserialize)]
struct Accepted {
    #[serde(rename = "requestId")]
    request: String,
}

fn priority(severity: Severity) -> &'static str {
    match severity {
        Severity::Sev1 => "P1",
        Severity::Sev2 => "P2",
        Severity::Sev3 => "P3",
        Severity::Sev4 => "P4",
    }
}

impl Opsgenie {
    async fn key(&self) -> Result<Secret, Fault> {
        let key = self.key.read(self.voice.channel.as_str()).await?;
        key.ok_or_else(|| self.voice.unfit("there is no key"))
    }

    fn alias(&self, parcel: &Parcel) -> String {
        format!("{}{}", self.prefix, parcel.incident).chars().take(LONGEST_ALIAS).collect()
    }

    async fn post(&self, path: &str, body: &Value, key: &Secret) -> Result<RequestBuilder, Fault> {
        let url = format!("{}/v2/alerts{path}", self.url);
        let client = self.voice.client(&self.line, &url).await?;
        Ok(client.post(url).header("Authorization", format!("GenieKey {}", key.expose())).json(body))
    }

    /// What is asked of an alert that is known by its alias.
    fn of(alias: &str, verb: &str) -> String {
        let alias = percent_encoding::utf8_percent_encode(alias, percent_encoding::NON_ALPHANUMERIC);
        format!("/{alias}/{verb}?identifierType=alias")
    }
}

#[async_trait]
impl Channel for Opsgenie {
    async fn deliver(&self, parcel: &Parcel) -> Result<Receipt, Fault> {
        self.voice.allow(parcel)?;
        let (alias, key) = (self.alias(parcel), self.key().await?);
        let (text, cut) = fitted(&parcel.text.body, LONGEST);
        let (path, body) = match parcel.purpose {
            Purpose::Page => {
                let (message, _) = fitted(&parcel.text.subject, LONGEST_MESSAGE);
                let details =
                    json!({ "incident": parcel.incident, "message": parcel.message, "journal": parcel.journal() });
                let alert = json!({
                    "message": message, "alias": alias, "description": text, "details": details,
                    "priority": priority(parcel.severity), "source": "Mayday",
                });
                (String::new(), alert)
            }
            Purpose::Acknowledge => (Self::of(&alias, "acknowledge"), json!({ "source": "Mayday" })),
            Purpose::Resolved => (Self::of(&alias, "close"), json!({ "source": "Mayday" })),
            other => return Err(self.voice.broken(format!("an alert has no state for `{other}`"))),
        };
        let request = self.post(&path, &body, &key).await?;
        let accepted: Accepted = self.voice.read(request, Some(&key), Purport::Tells).await?;
        let cut = (cut && parcel.purpose == Purpose::Page)
            .then(|| (CUT.to_owned(), format!("Opsgenie takes {LONGEST} characters, and the end is missing")));
        Ok([("id".to_owned(), clean(&accepted.request))].into_iter().chain(cut).collect())
    }

    /// A second alert of an alias is merged with the first, and one that is closed stays so.
    async fn find(&self, _parcel: &Parcel) -> Result<Found, Fault> {
        Ok(Found::Harmless)
    }

    async fn reach(&self) -> Result<String, Fault> {
        let key = self.key().await?;
        let alias = format!("{}{NOBODY}", self.prefix);
        let request = self.post(&Self::of(&alias, "close"), &json!({ "source": "Mayday" }), &key).await?;
        self.voice.ask(request, Some(&key), Purport::Asks).await?;
        Ok("the API takes alerts of this key".into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{self, Vendor, says};
    use super::*;
    use crate::domain::system::FaultClass;

    #[tokio::test]
    async fn an_alert_is_opened_acknowledged_and_closed_by_its_alias() {
        let vendor =
            Vendor::start(|_| says(202, json!({ "result": "Request will be processed", "requestId": "r1" }))).await;
        let given = json!({ "api_key": bench::secret("hush"), "url": vendor.url, "prefix": "a/" });
        let channel = OpsgenieFactory.connect(&bench::spec(&KIND, Audience::Internal, given)).unwrap();
        channel.reach().await.unwrap();
        for purpose in [Purpose::Page, Purpose::Acknowledge, Purpose::Resolved] {
            assert_eq!(channel.deliver(&bench::parcel(purpose)).await.unwrap()["id"], "r1");
        }
        let asked = vendor.asked();
        let paths: Vec<&str> = asked.iter().map(|it| it.path.as_str()).collect();
        let of = |verb: &str, alias: &str| format!("/v2/alerts/{alias}/{verb}?identifierType=alias");
        let alias = "a%2FINC%2D20261123%2D1";
        assert_eq!(
            paths,
            [&*of("close", "a%2Fmayday%2Dreach"), "/v2/alerts", &of("acknowledge", alias), &of("close", alias)]
        );
        assert_eq!(asked[1].headers["authorization"], "GenieKey hush");
        let alert = asked[1].json();
        assert_eq!((&alert["alias"], &alert["priority"]), (&json!("a/INC-20261123-1"), &json!("P1")));
    }

    #[tokio::test]
    async fn opsgenie_says_why_not() {
        for (status, class) in
            [(401, FaultClass::Permanent), (422, FaultClass::Permanent), (429, FaultClass::Transient)]
        {
            let vendor = Vendor::start(move |_| says(status, json!({ "message": "Key hush is wrong" }))).await;
            let given = json!({ "api_key": bench::secret("hush"), "url": vendor.url });
            let channel = OpsgenieFactory.connect(&bench::spec(&KIND, Audience::Internal, given)).unwrap();
            let fault = channel.deliver(&bench::parcel(Purpose::Page)).await.unwrap_err();
            assert!(fault.class == class && !fault.to_string().contains("hush"), "{fault}");
        }
    }
}
