//! A webhook: any system that takes a message by HTTP. What it is sent is a template, so that Cachet, Instatus, Teams and the like need
//! no code of their own; `config.example.toml` has them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde_json::{Value, json};

use super::exchange::{Purport, Reply, Voice, send};
use super::line::{CA, Line, PROXY};
use crate::domain::comms::{
    Audience, Channel, ChannelFactory, ChannelKind, ChannelSpec, ComponentStatus, Doubles, Found, Parcel, Purpose, Text,
};
use crate::domain::incident::Severity;
use crate::domain::kinds::{Param, ParamType};
use crate::domain::params::Params;
use crate::domain::system::{Fault, Receipt};
use crate::domain::text::clean;
use crate::outbound::secret::{Keep, Secret};

const VENDOR: &str = "the webhook";

/// How long it is left alone when it does not say for how long.
const CALM: Duration = Duration::from_secs(30);

/// No template needs so many steps: one that does loops for ever.
const FUEL: u64 = 100_000;

/// What the first message leaves: the id that its answer gave.
const MADE: &str = "made";

const METHODS: &[&str] = &["POST", "PUT", "PATCH"];

pub static KIND: ChannelKind = ChannelKind {
    name: "webhook",
    title: "A webhook: HTTP with a body of your own",
    audiences: &[Audience::Internal, Audience::Public, Audience::Customers],
    carries: &[
        Purpose::Page,
        Purpose::Acknowledge,
        Purpose::Investigating,
        Purpose::Identified,
        Purpose::Monitoring,
        Purpose::Resolved,
        Purpose::Handoff,
    ],
    doubles: Doubles::Undetectable,
    params: &[
        Param::optional("url", ParamType::Url, "where it is sent to"),
        Param::optional("secret_url", ParamType::Secret, "the same, where the URL itself is a secret; one of the two"),
        Param::default("method", ParamType::Choice(METHODS), "POST", "how it is sent"),
        Param::default(
            "headers",
            ParamType::Map,
            "{}",
            "further headers; `{{ secret }}` in one is replaced by the secret",
        ),
        Param::optional("secret", ParamType::Secret, "what the headers call `{{ secret }}`"),
        Param::default(
            "body",
            ParamType::Text,
            "{\"subject\": {{ subject }}, \"text\": {{ text }}, \"status\": {{ purpose }}, \"severity\": {{ severity }}, \"incident\": {{ incident }}, \"message\": {{ message }}, \"drill\": {{ drill }}, \"components\": {{ components }}}",
            "a template of JSON: every value comes quoted and escaped",
        ),
        Param::optional(
            "id_pointer",
            ParamType::Text,
            "where the answer to the first message says what it made, as a JSON pointer",
        ),
        Param::optional(
            "update_url",
            ParamType::Text,
            "where later messages of the incident are sent to; `{{ id }}` in it is what the first one made",
        ),
        Param::default("update_method", ParamType::Choice(METHODS), "POST", "how later messages are sent"),
        Param::optional("update_body", ParamType::Text, "the body of later messages, where it differs"),
        Param::optional("expect_status", ParamType::Integer, "the status that is right; 200 to 299 when left out"),
        Param::optional(
            "idempotency_header",
            ParamType::Text,
            "the header by which the receiver drops a double: then a lost answer is no doubt",
        ),
        CA,
        PROXY,
    ],
};

pub struct WebhookFactory;

impl ChannelFactory for WebhookFactory {
    fn kind(&self) -> &'static ChannelKind {
        &KIND
    }

    fn connect(&self, spec: &ChannelSpec) -> Result<Arc<dyn Channel>, Fault> {
        let (voice, params) = (Voice::new(&spec.id, spec.audience, VENDOR, CALM), &spec.params);
        let target = match (params.opt_text("url"), params.secret("secret_url")) {
            (Some(url), None) => Target::Known(url.to_owned()),
            (None, Some(place)) => Target::Secret(Keep::new(Some(place))),
            _ => return Err(voice.unfit("it needs `url` or `secret_url`, and not both")),
        };
        let line = Line::new(params, &voice)?;
        let idempotency = params.opt_text("idempotency_header").map(|name| header_name(name, &voice)).transpose()?;
        let webhook = Webhook {
            first: Way { method: method(params.text("method")?), body: params.text("body")?.to_owned() },
            later: params.opt_text("update_url").map(|url| Later {
                url: url.to_owned(),
                way: Way {
                    method: method(params.opt_text("update_method").unwrap_or(METHODS[0])),
                    body: params.opt_text("update_body").or(params.opt_text("body")).unwrap_or_default().to_owned(),
                },
            }),
            headers: params.map("headers"),
            secret: Keep::new(params.secret("secret")),
            id_pointer: params.opt_text("id_pointer").map(str::to_owned),
            expected: expected(params, &voice)?,
            target,
            idempotency,
            voice: voice.by(&line),
            line,
        };
        webhook.try_out()?;
        Ok(Arc::new(webhook))
    }
}

fn method(word: &str) -> Method {
    match word {
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        _ => Method::POST,
    }
}

fn expected(params: &Params, voice: &Voice) -> Result<Option<StatusCode>, Fault> {
    let Some(given) = params.opt_integer("expect_status") else { return Ok(None) };
    let status = u16::try_from(given).ok().and_then(|status| StatusCode::from_u16(status).ok());
    status.map(Some).ok_or_else(|| voice.unfit(format!("`expect_status`: {given} is no HTTP status")))
}

fn header_name(name: &str, voice: &Voice) -> Result<HeaderName, Fault> {
    name.parse().map_err(|_| voice.unfit(format!("`{}` is no name of a header", clean(name))))
}

enum Target {
    Known(String),
    Secret(Keep),
}

/// How a message is sent.
struct Way {
    method: Method,
    body: String,
}

/// How later messages of an incident are sent.
struct Later {
    url: String,
    way: Way,
}

struct Webhook {
    target: Target,
    first: Way,
    later: Option<Later>,
    headers: BTreeMap<String, String>,
    secret: Keep,
    id_pointer: Option<String>,
    expected: Option<StatusCode>,
    idempotency: Option<HeaderName>,
    line: Line,
    voice: Voice,
}

/// Renders a template. Values of JSON are escaped as JSON, those of anything else not at all.
fn render(template: &str, escape: AutoEscape, values: &Value) -> Result<String, String> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(move |_| escape.clone());
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    // The error's own words name the place; its `Debug` would show the values, a secret among them.
    let values = minijinja::Value::from(Serde(values));
    environment.template_from_str(template).and_then(|it| it.render(values)).map_err(|error| error.to_string())
}

/// What a body is made of.
fn body(template: &str, parcel: &Parcel) -> Result<String, String> {
    let shown = |(name, status): (&String, &ComponentStatus)| json!({ "name": name, "status": status });
    let values = json!({
        "message": parcel.message,
        "incident": parcel.incident,
        "journal": parcel.journal(),
        "title": parcel.title,
        "purpose": parcel.purpose,
        "severity": parcel.severity,
        "drill": parcel.drill,
        "subject": parcel.text.subject,
        "text": parcel.text.body,
        "components": parcel.components.iter().map(shown).collect::<Vec<_>>(),
        "id": parcel.thread.get(MADE),
    });
    render(template, AutoEscape::Json, &values)
}

impl Webhook {
    /// Whether the templates can be rendered at all: better known when it starts than when it burns.
    fn try_out(&self) -> Result<(), Fault> {
        let parcel = Parcel {
            message: "INC-20260101-1.m1".into(),
            incident: "INC-20260101-1".into(),
            title: "title".into(),
            purpose: Purpose::Investigating,
            severity: Severity::Sev1,
            drill: false,
            text: Text { subject: "subject".into(), body: "text \"quoted\"".into() },
            chain: None,
            components: BTreeMap::new(),
            part: 0,
            parts: 1,
            only: Vec::new(),
            thread: [(MADE.to_owned(), "1".to_owned())].into(),
        };
        let later = self.later.iter().map(|later| ("update_body", &later.way.body));
        for (name, template) in [("body", &self.first.body)].into_iter().chain(later) {
            self.body(template, &parcel).map_err(|why| self.voice.unfit(format!("`{name}`: {why}")))?;
        }
        if let Some(later) = &self.later {
            let url = self.later_url(later, "1")?;
            Url::parse(&url).map_err(|error| self.voice.unfit(format!("`update_url` is no URL: {error}")))?;
        }
        self.headers(&Secret::new("x"), &parcel).map(drop)
    }

    fn is_json(&self) -> bool {
        let kind = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE.as_str()));
        kind.is_none_or(|(_, kind)| kind.contains("json"))
    }

    fn body(&self, template: &str, parcel: &Parcel) -> Result<String, String> {
        let body = body(template, parcel)?;
        if self.is_json() {
            serde_json::from_str::<Value>(&body).map_err(|error| format!("what it makes is no JSON: {error}"))?;
        }
        Ok(body)
    }

    fn headers(&self, secret: &Secret, parcel: &Parcel) -> Result<HeaderMap, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, template) in &self.headers {
            let text = render(template, AutoEscape::None, &json!({ "secret": secret.expose() }))
                .map_err(|why| self.voice.unfit(format!("the header `{}`: {why}", clean(name))))?;
            let mut value = HeaderValue::from_str(&text)
                .map_err(|_| self.voice.unfit(format!("the header `{}` holds what no header may", clean(name))))?;
            value.set_sensitive(true);
            headers.insert(header_name(name, &self.voice)?, value);
        }
        if let Some(name) = &self.idempotency {
            let mark = format!("{}.{}", parcel.message, parcel.part);
            let mark =
                HeaderValue::from_str(&mark).map_err(|_| self.voice.broken("the message's id fits no header"))?;
            headers.insert(name.clone(), mark);
        }
        Ok(headers)
    }

    fn later_url(&self, later: &Later, id: &str) -> Result<String, Fault> {
        let safe = percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC).to_string();
        render(&later.url, AutoEscape::None, &json!({ "id": safe }))
            .map_err(|why| self.voice.unfit(format!("`update_url`: {why}")))
    }

    async fn first_url(&self) -> Result<String, Fault> {
        match &self.target {
            Target::Known(url) => Ok(url.clone()),
            Target::Secret(keep) => {
                let secret = keep.read(self.voice.channel.as_str()).await?;
                Ok(secret.map_or_else(String::new, |secret| secret.expose().to_owned()))
            }
        }
    }

    fn parse(&self, url: &str) -> Result<Url, Fault> {
        let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        parsed.ok_or_else(|| self.voice.broken("its URL is no http or https URL"))
    }

    async fn secret(&self) -> Result<Secret, Fault> {
        let secret = self.secret.read(self.voice.channel.as_str()).await?;
        Ok(secret.unwrap_or_else(|| Secret::new("")))
    }

    fn is_right(&self, reply: &Reply) -> bool {
        self.expected.map_or_else(|| reply.status.is_success(), |expected| reply.status == expected)
    }

    /// Only the answer to the first message says what it made: those to later ones speak of the update.
    fn receipt(&self, reply: &Reply, is_first: bool) -> Receipt {
        let mut receipt: Receipt = [("status".to_owned(), reply.status.as_u16().to_string())].into();
        let answer: Option<Value> = serde_json::from_str(&reply.body).ok();
        let pointer = self.id_pointer.as_ref().filter(|_| is_first);
        let made = match pointer.zip(answer.as_ref()).and_then(|(pointer, answer)| answer.pointer(pointer)) {
            Some(Value::String(id)) => clean(id),
            Some(Value::Number(id)) => id.to_string(),
            _ => return receipt,
        };
        receipt.insert("id".into(), made.clone());
        receipt.insert(MADE.into(), made);
        receipt
    }
}

#[async_trait]
impl Channel for Webhook {
    async fn deliver(&self, parcel: &Parcel) -> Result<Receipt, Fault> {
        self.voice.allow(parcel)?;
        let made = parcel.thread.get(MADE);
        let (url, way) = match (&self.later, made) {
            (Some(later), Some(id)) => (self.later_url(later, id)?, &later.way),
            _ => (self.first_url().await?, &self.first),
        };
        let body = self.body(&way.body, parcel).map_err(|why| self.voice.broken(format!("the body: {why}")))?;
        let (place, url, secret) = (url.clone(), self.parse(&url)?, self.secret().await?);
        let client = self.voice.client(&self.line, url.as_str()).await?;
        let request = client.request(way.method.clone(), url).headers(self.headers(&secret, parcel)?).body(body);
        // A URL that is a secret may be repeated, too.
        let place = matches!(self.target, Target::Secret(_)).then(|| Secret::new(place));
        let sent = send(request, Some(&secret)).await.map(|reply| match &place {
            Some(place) => reply.without(place),
            None => reply,
        });
        let reply = sent.map_err(|silence| self.voice.silent(&silence, Purport::Tells))?;
        if self.is_right(&reply) {
            Ok(self.receipt(&reply, made.is_none()))
        } else {
            Err(self.voice.refused(&reply, Purport::Tells))
        }
    }

    async fn find(&self, _parcel: &Parcel) -> Result<Found, Fault> {
        Ok(match &self.idempotency {
            // The receiver drops a double by its header.
            Some(_) => Found::Harmless,
            None => Found::Untold("a webhook cannot be asked what it took; look where its messages appear".into()),
        })
    }

    /// HEAD changes nothing anywhere (RFC 9110), and whatever answers it is there.
    async fn reach(&self) -> Result<String, Fault> {
        let url = self.parse(&self.first_url().await?)?;
        let client = self.voice.client(&self.line, url.as_str()).await?;
        let reply = send(client.head(url), None).await;
        let reply = reply.map_err(|silence| self.voice.silent(&silence, Purport::Asks))?;
        let status = reply.status.as_u16();
        Ok(format!("something answers there (HEAD: {status}); whether it takes messages cannot be asked"))
    }
}
