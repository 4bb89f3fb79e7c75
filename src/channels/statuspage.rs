//! Atlassian Statuspage: what the public reads. One incident on the page for each of Mayday's, updated until it is resolved.
//!
//! The API v1: <https://developer.statuspage.io/>. It has no key against doubles, so the incident carries ours in its `metadata`, and
//! the page is looked at before an incident is opened. Its limit of a request a second is measured over a minute, so the three requests
//! of a first message pass at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::exchange::{Purport, Voice, base};
use crate::domain::comms::{
    Audience, Channel, ChannelFactory, ChannelKind, ChannelSpec, ComponentStatus, Doubles, Found, Parcel, Purpose,
};
use crate::domain::incident::Severity;
use crate::domain::kinds::{Param, ParamType};
use crate::domain::system::{Fault, Receipt};
use crate::domain::text::clean;
use crate::outbound::http::client;
use crate::outbound::secret::{Keep, Secret};

const VENDOR: &str = "Statuspage";

/// The window of its rate limit; it does not say how much of it is left.
const CALM: Duration = Duration::from_secs(60);

/// The most that one page of a list holds: <https://developer.statuspage.io/#operation/getPagesPageIdIncidents>.
const LISTED: usize = 100;

/// So many pages of components are read: a status page has a few dozen.
const PAGES: usize = 10;

/// Our corner of an incident's metadata, whose values have to be objects.
const CORNER: &str = "mayday";

/// What earlier messages leave: the id of the page's incident.
const INCIDENT: &str = "incident";

pub static KIND: ChannelKind = ChannelKind {
    name: "statuspage",
    title: "Atlassian Statuspage",
    audiences: &[Audience::Public],
    carries: &[Purpose::Investigating, Purpose::Identified, Purpose::Monitoring, Purpose::Resolved],
    doubles: Doubles::Recognised,
    params: &[
        Param::required("page", ParamType::Text, "the id of the page"),
        Param::required("token", ParamType::Secret, "an API key that may manage incidents"),
        Param::default(
            "notify",
            ParamType::Flag,
            "true",
            "whether the page tells its subscribers too; never left to the page's own default",
        ),
        Param::default("url", ParamType::Url, "https://api.statuspage.io", "where the API is"),
    ],
};

pub struct StatuspageFactory;

impl ChannelFactory for StatuspageFactory {
    fn kind(&self) -> &'static ChannelKind {
        &KIND
    }

    fn connect(&self, spec: &ChannelSpec) -> Result<Arc<dyn Channel>, Fault> {
        let voice = Voice::new(&spec.id, spec.audience, VENDOR, CALM);
        let (params, page) = (&spec.params, spec.params.text("page")?);
        if page.is_empty() || !page.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(voice.unfit("`page` is no id of a page: letters and digits, from the page's own settings"));
        }
        Ok(Arc::new(Statuspage {
            root: format!("{}/v1/pages/{page}", base(params, &voice)?),
            token: Keep::new(params.secret("token")),
            notify: params.flag("notify"),
            voice,
        }))
    }
}

struct Statuspage {
    /// The URL of the page.
    root: String,
    token: Keep,
    notify: bool,
    voice: Voice,
}

/// An incident on the page, as far as it matters.
#[derive(Deserialize)]
struct Incident {
    id: String,
    shortlink: Option<String>,
    #[serde(default)]
    metadata: Value,
    #[serde(default)]
    incident_updates: Vec<Update>,
}

#[derive(Deserialize)]
struct Update {
    status: String,
    body: Option<String>,
}

#[derive(Deserialize)]
struct Component {
    id: String,
    name: String,
}

impl Incident {
    fn corner(&self, name: &str) -> Option<&str> {
        self.metadata[CORNER][name].as_str()
    }

    fn is_of(&self, parcel: &Parcel) -> bool {
        self.corner("incident") == Some(parcel.incident.as_str())
    }

    /// Whether it has this message: the newest by its mark, an older one by its words.
    fn has(&self, parcel: &Parcel) -> bool {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let said = |update: &Update| {
            update.status == parcel.purpose.word()
                && update.body.as_deref().map(words) == Some(words(&parcel.text.body))
        };
        self.corner("message") == Some(parcel.message.as_str()) || self.incident_updates.iter().any(said)
    }

    /// Whether the message is among its updates. There is always one: where none is told, they were left out.
    fn answers(&self, parcel: &Parcel) -> Found {
        match () {
            () if self.has(parcel) => Found::There(self.receipt()),
            () if self.incident_updates.is_empty() => {
                Found::Untold("the page does not tell the incident's updates".into())
            }
            () => Found::NotThere,
        }
    }

    fn receipt(&self) -> Receipt {
        let link = self.shortlink.as_deref().map(|link| ("link".to_owned(), clean(link)));
        let id = clean(&self.id);
        [("id".to_owned(), id.clone()), (INCIDENT.to_owned(), id)].into_iter().chain(link).collect()
    }
}

fn impact(severity: Severity) -> &'static str {
    match severity {
        Severity::Sev1 => "critical",
        Severity::Sev2 => "major",
        Severity::Sev3 => "minor",
        Severity::Sev4 => "none",
    }
}

fn state(status: ComponentStatus) -> &'static str {
    match status {
        ComponentStatus::Operational => "operational",
        ComponentStatus::Degraded => "degraded_performance",
        ComponentStatus::PartialOutage => "partial_outage",
        ComponentStatus::MajorOutage => "major_outage",
    }
}

impl Statuspage {
    fn request(&self, method: Method, path: &str, token: &Secret) -> Result<RequestBuilder, Fault> {
        let client = client().map_err(|why| self.voice.broken(why))?;
        Ok(client
            .request(method, format!("{}/{path}", self.root))
            .header("Authorization", format!("OAuth {}", token.expose())))
    }

    async fn token(&self) -> Result<Secret, Fault> {
        let token = self.token.read(self.voice.channel.as_str()).await?;
        token.ok_or_else(|| self.voice.unfit("there is no token"))
    }

    async fn list<T: serde::de::DeserializeOwned>(&self, path: &str, token: &Secret) -> Result<T, Fault> {
        self.voice.read(self.request(Method::GET, path, token)?, Some(token), Purport::Asks).await
    }

    /// The page's ids of the components, and the names that it does not know. Whoever renamed one shall not silence the rest.
    async fn components(&self, parcel: &Parcel, token: &Secret) -> Result<(Map<String, Value>, Vec<String>), Fault> {
        let (mut known, mut unknown) = (Map::new(), Vec::new());
        if parcel.components.is_empty() {
            return Ok((known, unknown));
        }
        let all = self.all_components(token).await?;
        let ids: BTreeMap<String, String> = all.into_iter().map(|it| (it.name, it.id)).collect();
        for (name, status) in &parcel.components {
            match ids.get(name) {
                Some(id) => drop(known.insert(id.clone(), state(*status).into())),
                None => unknown.push(name.clone()),
            }
        }
        Ok((known, unknown))
    }

    /// Every component: one that is only on the second page is no component that the page does not know.
    async fn all_components(&self, token: &Secret) -> Result<Vec<Component>, Fault> {
        let mut all = Vec::new();
        for page in 1..=PAGES {
            let path = format!("components?per_page={LISTED}&page={page}");
            let told: Vec<Component> = self.list(&path, token).await?;
            let last = told.len() < LISTED;
            all.extend(told);
            if last {
                break;
            }
        }
        Ok(all)
    }

    /// The incident on the page that is this one, if it is known or still open.
    async fn open(&self, parcel: &Parcel, token: &Secret) -> Result<Option<String>, Fault> {
        if let Some(id) = parcel.thread.get(INCIDENT) {
            return Ok(Some(id.clone()));
        }
        let unresolved: Vec<Incident> = self.list("incidents/unresolved", token).await?;
        Ok(unresolved.into_iter().find(|it| it.is_of(parcel)).map(|it| it.id))
    }

    /// What the incident becomes.
    fn wanted(&self, parcel: &Parcel, components: Map<String, Value>, is_new: bool) -> Value {
        let mut wanted = json!({
            "status": parcel.purpose.word(),
            "body": parcel.text.body,
            "impact_override": impact(parcel.severity),
            "deliver_notifications": self.notify,
            "metadata": { CORNER: {
                "incident": parcel.incident, "message": parcel.message, "journal": parcel.journal(),
            } },
        });
        if is_new {
            wanted["name"] = parcel.text.subject.clone().into();
        }
        if !components.is_empty() {
            wanted["component_ids"] = components.keys().cloned().collect();
            wanted["components"] = components.into();
        }
        json!({ "incident": wanted })
    }
}

/// Whether the newest incidents of the page have a message. Of a list that is full, or that does not say whose its incidents are, the
/// rest is not known.
fn found(newest: Vec<Incident>, parcel: &Parcel) -> Found {
    let unmarked = newest.iter().any(|it| it.metadata.is_null());
    let (full, mut ours) = (newest.len() >= LISTED, newest.into_iter().filter(|it| it.is_of(parcel)));
    match ours.next() {
        Some(incident) => incident.answers(parcel),
        None if full => {
            Found::Untold(format!("none of the newest {LISTED} incidents of the page is it; there may be more"))
        }
        None if unmarked => {
            Found::Untold("the page does not tell the metadata by which its incidents are known".into())
        }
        None => Found::NotThere,
    }
}

#[async_trait]
impl Channel for Statuspage {
    async fn deliver(&self, parcel: &Parcel) -> Result<Receipt, Fault> {
        self.voice.allow(parcel)?;
        if !KIND.carries.contains(&parcel.purpose) {
            return Err(self.voice.broken(format!("a status page has no status for `{}`", parcel.purpose)));
        }
        let token = self.token().await?;
        let (components, unknown) = self.components(parcel, &token).await?;
        let open = self.open(parcel, &token).await?;
        let wanted = self.wanted(parcel, components, open.is_none());
        let (method, path) = match open {
            Some(id) => (Method::PATCH, format!("incidents/{id}")),
            None => (Method::POST, "incidents".to_owned()),
        };
        let request = self.request(method, &path, &token)?.json(&wanted);
        let told: Incident = self.voice.read(request, Some(&token), Purport::Tells).await?;
        let mut receipt = told.receipt();
        if !unknown.is_empty() {
            receipt.insert("unknown components".into(), clean(&unknown.join(", ")));
        }
        Ok(receipt)
    }

    async fn find(&self, parcel: &Parcel) -> Result<Found, Fault> {
        let token = self.token().await?;
        if let Some(id) = parcel.thread.get(INCIDENT) {
            let incident: Incident = self.list(&format!("incidents/{id}"), &token).await?;
            return Ok(incident.answers(parcel));
        }
        Ok(found(self.list(&format!("incidents?limit={LISTED}"), &token).await?, parcel))
    }

    async fn reach(&self) -> Result<String, Fault> {
        let token = self.token().await?;
        let components = self.all_components(&token).await?;
        let told = if self.notify { "its subscribers are told" } else { "its subscribers are not told" };
        Ok(format!("the page answers, {} components; {told}", components.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::comms::Text;

    #[test]
    fn purposes_are_the_words_of_the_page() {
        let words: Vec<&str> = KIND.carries.iter().map(|purpose| purpose.word()).collect();
        assert_eq!(words, ["investigating", "identified", "monitoring", "resolved"]);
    }

    fn incident(metadata: Value) -> Incident {
        let first = json!({ "status": "investigating", "body": "another text" });
        serde_json::from_value(json!({ "id": "p1", "metadata": metadata, "incident_updates": [first] })).unwrap()
    }

    #[test]
    fn what_was_not_all_looked_through_is_not_said_to_be_nowhere() {
        let parcel = Parcel {
            message: "INC-1.m1".into(),
            incident: "INC-1".into(),
            title: "east is dark".into(),
            purpose: Purpose::Investigating,
            severity: Severity::Sev1,
            drill: false,
            text: Text { subject: "s".into(), body: "b".into() },
            chain: None,
            components: BTreeMap::new(),
            part: 0,
            parts: 1,
            thread: Receipt::new(),
        };
        let ours = |message: &str| incident(json!({ CORNER: { "incident": "INC-1", "message": message } }));
        let other = || incident(json!({}));
        let many = |count| (0..count).map(|_| other()).collect::<Vec<_>>();
        let there = |found: &Found| matches!(found, Found::There(_));
        let nowhere = |found: &Found| *found == Found::NotThere;
        let untold = |found: &Found| matches!(found, Found::Untold(_));
        let bare = |message: &str| Incident { incident_updates: Vec::new(), ..ours(message) };
        type Row<'a> = (&'a str, Vec<Incident>, &'a dyn Fn(&Found) -> bool);
        let rows: [Row<'_>; 9] = [
            ("ours, and none of its updates is told", vec![bare("INC-1.m0")], &untold),
            ("it is there by its mark alone", vec![bare("INC-1.m1")], &there),
            ("it is there", vec![other(), ours("INC-1.m1")], &there),
            ("ours without it", vec![ours("INC-1.m0"), other()], &nowhere),
            ("nothing at all", Vec::new(), &nowhere),
            ("only others", many(3), &nowhere),
            ("a full list of others", many(LISTED), &untold),
            ("no metadata is told", vec![incident(Value::Null)], &untold),
            ("ours is told, though others are not", vec![incident(Value::Null), ours("INC-1.m1")], &there),
        ];
        for (what, incidents, is) in rows {
            let found = found(incidents, &parcel);
            assert!(is(&found), "{what}: {found:?}");
        }
    }
}
