//! Notes upon the incident that an event opened, by the REST API:
//! <https://developer.pagerduty.com/api-reference/a1ac30885eb7a-create-a-note-on-an-incident>.
//!
//! A note ends with the message's id: by that it is recognised when its answer was lost.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Method, RequestBuilder, Url};
use serde::Deserialize;
use serde_json::json;

use super::super::exchange::{Purport, Voice, base};
use super::super::line::{CA, Line, PROXY};
use super::{PREFIX, VENDOR, key};
use crate::domain::comms::{
    Audience, Channel, ChannelFactory, ChannelKind, ChannelSpec, Doubles, Found, Parcel, Purpose,
};
use crate::domain::kinds::{Param, ParamType};
use crate::domain::system::{Fault, Receipt};
use crate::domain::text::clean;
use crate::outbound::secret::{Keep, Secret};

/// Its limit is counted by the minute: <https://developer.pagerduty.com/docs/rest-api-rate-limits>.
const CALM: Duration = Duration::from_secs(60);

/// How long an accepted event may take until there is an incident to be noted upon.
const OPENING: Duration = Duration::from_secs(5);

pub static KIND: ChannelKind = ChannelKind {
    name: "pagerduty-notes",
    title: "PagerDuty: notes upon the incident",
    audiences: &[Audience::Internal],
    carries: &[Purpose::Investigating, Purpose::Identified, Purpose::Monitoring, Purpose::Resolved, Purpose::Handoff],
    doubles: Doubles::Recognised,
    params: &[
        Param::required("token", ParamType::Secret, "a REST API key that may write"),
        Param::required(
            "from",
            ParamType::Text,
            "the e-mail address of the account's user in whose name notes are written",
        ),
        PREFIX,
        Param::default("url", ParamType::Url, "https://api.pagerduty.com", "where the REST API is"),
        CA,
        PROXY,
    ],
};

pub struct NotesFactory;

impl ChannelFactory for NotesFactory {
    fn kind(&self) -> &'static ChannelKind {
        &KIND
    }

    fn connect(&self, spec: &ChannelSpec) -> Result<Arc<dyn Channel>, Fault> {
        let (voice, params) = (Voice::new(&spec.id, spec.audience, VENDOR, CALM), &spec.params);
        let from = params.text("from")?.to_owned();
        if !from.contains('@') || reqwest::header::HeaderValue::from_str(&from).is_err() {
            return Err(voice.unfit("`from` is no e-mail address"));
        }
        let line = Line::new(params, &voice)?;
        Ok(Arc::new(Notes {
            url: base(params, &voice)?,
            token: Keep::new(params.secret("token")),
            prefix: params.text("prefix")?.to_owned(),
            from,
            voice: voice.by(&line),
            line,
        }))
    }
}

struct Notes {
    url: String,
    token: Keep,
    from: String,
    prefix: String,
    line: Line,
    voice: Voice,
}

#[derive(Deserialize)]
struct Incidents {
    incidents: Vec<Incident>,
}

#[derive(Deserialize)]
struct Incident {
    id: String,
    html_url: Option<String>,
}

#[derive(Deserialize)]
struct Noted {
    note: Note,
}

#[derive(Deserialize)]
struct Listed {
    notes: Vec<Note>,
}

#[derive(Deserialize)]
struct Note {
    id: String,
    #[serde(default)]
    content: String,
}

fn receipt(note: &Note, incident: &Incident) -> Receipt {
    let link = incident.html_url.as_deref().map(|link| ("link".to_owned(), clean(link)));
    let known = [("id", &note.id), ("incident", &incident.id)].map(|(name, id)| (name.to_owned(), clean(id)));
    known.into_iter().chain(link).collect()
}

/// How a note is told from all others.
fn mark(parcel: &Parcel) -> String {
    format!("[{}]", parcel.message)
}

impl Notes {
    async fn token(&self) -> Result<Secret, Fault> {
        let token = self.token.read(self.voice.channel.as_str()).await?;
        token.ok_or_else(|| self.voice.unfit("there is no token"))
    }

    async fn request(&self, method: Method, path: &str, token: &Secret) -> Result<RequestBuilder, Fault> {
        let url = format!("{}/{path}", self.url);
        let client = self.voice.client(&self.line, &url).await?;
        Ok(client
            .request(method, url)
            .header("Accept", "application/vnd.pagerduty+json;version=2")
            .header("Authorization", format!("Token token={}", token.expose()))
            .header("From", &self.from))
    }

    /// The newest incident of the key: after one was resolved, the same key opens another.
    async fn incident(&self, parcel: &Parcel, token: &Secret) -> Result<Option<Incident>, Fault> {
        let key = key(&self.prefix, parcel);
        let query =
            [("incident_key", key.as_str()), ("sort_by", "created_at:desc"), ("limit", "1"), ("date_range", "all")];
        let url = Url::parse_with_params(&format!("{}/incidents", self.url), query);
        let url = url.map_err(|error| self.voice.unfit(format!("`url` is no URL: {error}")))?;
        let query = url.query().unwrap_or_default();
        let request = self.request(Method::GET, &format!("incidents?{query}"), token).await?;
        let found: Incidents = self.voice.read(request, Some(token), Purport::Asks).await?;
        Ok(found.incidents.into_iter().next())
    }
}

#[async_trait]
impl Channel for Notes {
    async fn deliver(&self, parcel: &Parcel) -> Result<Receipt, Fault> {
        self.voice.allow(parcel)?;
        let token = self.token().await?;
        let Some(incident) = self.incident(parcel, &token).await? else {
            let what = format!("PagerDuty has no incident {} yet", key(&self.prefix, parcel));
            return Err(self.voice.later(what).retry_after(OPENING));
        };
        let content = format!("{}\n\n{}\n\n{}", parcel.text.subject, parcel.text.body, mark(parcel));
        let request = self.request(Method::POST, &format!("incidents/{}/notes", incident.id), &token).await?;
        let request = request.json(&json!({ "note": { "content": content } }));
        let noted: Noted = self.voice.read(request, Some(&token), Purport::Tells).await?;
        Ok(receipt(&noted.note, &incident))
    }

    async fn find(&self, parcel: &Parcel) -> Result<Found, Fault> {
        let token = self.token().await?;
        let Some(incident) = self.incident(parcel, &token).await? else { return Ok(Found::NotThere) };
        let request = self.request(Method::GET, &format!("incidents/{}/notes", incident.id), &token).await?;
        let listed: Listed = self.voice.read(request, Some(&token), Purport::Asks).await?;
        let note = listed.notes.into_iter().find(|note| note.content.contains(&mark(parcel)));
        Ok(note.map_or(Found::NotThere, |note| Found::There(receipt(&note, &incident))))
    }

    async fn reach(&self) -> Result<String, Fault> {
        let token = self.token().await?;
        let request = self.request(Method::GET, "incidents?limit=1", &token).await?;
        self.voice.ask(request, Some(&token), Purport::Asks).await?;
        Ok(format!("the REST API answers; notes are written as {}", clean(&self.from)))
    }
}
