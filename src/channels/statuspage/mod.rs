//! Atlassian Statuspage: what the public reads. One incident on the page for each of Mayday's, updated until it is resolved.
//!
//! The API v1: <https://developer.statuspage.io/>. It has no key against doubles, so the incident carries ours in its `metadata`, and
//! the page is looked at before an incident is opened. Its limit of a request a second is measured over a minute, so the few requests
//! of a first message pass at once.
//!
//! | what a page can look like | Mayday |
//! |---|---|
//! | more components or incidents than one page of a list holds | every list is read until nothing new comes; one without end is refused by `ready`, never taken for the whole |
//! | a component in a group | by its name, as long as no other component has it; else as `group/name`, or by its id |
//! | two components of one name | refused by `ready`, with both names as they have to be written; the words of an incident go out all the same |
//! | a group's name in `[comms.components]` | refused by `ready`: "is a group, which takes no status"; the words go out |
//! | a component that was renamed or deleted | refused by `ready`, with the name that is nearest; the words go out |
//! | components that the page refuses in the middle of it (422) | the words go out without them, and the outbox says so |
//! | an incident that somebody deleted on the page | another is opened, and the outbox says so |
//! | an audience-specific or private page | the same API |
//! | scheduled maintenance, templates, metrics | not touched |

mod components;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use self::components::{Component, sorted};
use super::exchange::{Purport, Voice, base, send};
use super::line::{CA, Line, PROXY};
use crate::domain::comms::{
    Audience, Channel, ChannelFactory, ChannelKind, ChannelSpec, ComponentStatus, Doubles, Found, IN_PART, Parcel,
    Purpose,
};
use crate::domain::incident::Severity;
use crate::domain::kinds::{Param, ParamType};
use crate::domain::system::{Fault, Receipt};
use crate::domain::text::clean;
use crate::outbound::secret::{Keep, Secret};

const VENDOR: &str = "Statuspage";

/// The window of its rate limit; it does not say how much of it is left.
const CALM: Duration = Duration::from_secs(60);

/// The most that one page of a list holds: <https://developer.statuspage.io/#operation/getPagesPageIdIncidents>.
const LISTED: usize = 100;

/// No list comes in smaller pages than this: a shorter one is the last.
const LEAST: usize = 20;

/// So many pages of a list are read: 5,000 components, and the incidents of years.
const PAGES: usize = 50;

/// Our corner of an incident's metadata, whose values have to be objects.
const CORNER: &str = "mayday";

/// What earlier messages leave: the id of the page's incident.
const INCIDENT: &str = "incident";

/// What of a message the page was not told.
const UNKNOWN: &str = "unknown components";
const UNSET: &str = "components not set";
const ANEW: &str = "opened anew";

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
        CA,
        PROXY,
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
        let line = Line::new(params, &voice)?;
        Ok(Arc::new(Statuspage {
            root: format!("{}/v1/pages/{page}", base(params, &voice)?),
            token: Keep::new(params.secret("token")),
            notify: params.flag("notify"),
            shown: spec.components.clone(),
            voice: voice.by(&line),
            line,
        }))
    }
}

struct Statuspage {
    /// The URL of the page.
    root: String,
    token: Keep,
    notify: bool,
    /// The components that the estate's services are shown as.
    shown: Vec<String>,
    line: Line,
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

/// An entry of a list, known by its id.
trait Entry {
    fn id(&self) -> &str;
}

impl Entry for Incident {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Entry for Component {
    fn id(&self) -> &str {
        &self.id
    }
}

/// What was read of a list.
struct Listed<T> {
    all: Vec<T>,
    /// It was read to its end.
    whole: bool,
}

/// What is said besides the message's own words.
struct Told {
    incident: Incident,
    notes: Receipt,
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
    async fn request(&self, method: Method, path: &str, token: &Secret) -> Result<RequestBuilder, Fault> {
        let url = format!("{}/{path}", self.root);
        let client = self.voice.client(&self.line, &url).await?;
        Ok(client.request(method, url).header("Authorization", format!("OAuth {}", token.expose())))
    }

    async fn token(&self) -> Result<Secret, Fault> {
        let token = self.token.read(self.voice.channel.as_str()).await?;
        token.ok_or_else(|| self.voice.unfit("there is no token"))
    }

    /// A list, page by page, until nothing new comes or what is looked for is there. `size` is what the list calls the length of a page.
    async fn list<T: DeserializeOwned + Entry>(
        &self,
        (path, size): (&str, &str),
        token: &Secret,
        enough: impl Fn(&T) -> bool,
    ) -> Result<Listed<T>, Fault> {
        let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
        for page in 1..=PAGES {
            let path = format!("{path}?{size}={LISTED}&page={page}");
            let request = self.request(Method::GET, &path, token).await?;
            let told: Vec<T> = self.voice.read(request, Some(token), Purport::Asks).await?;
            let (count, before) = (told.len(), all.len());
            all.extend(told.into_iter().filter(|it| seen.insert(it.id().to_owned())));
            if count < LEAST || all.len() == before || all[before..].iter().any(&enough) {
                return Ok(Listed { all, whole: true });
            }
        }
        Ok(Listed { all, whole: false })
    }

    /// Every component: one that is only on the second page is no component that the page does not know.
    async fn components(&self, token: &Secret) -> Result<Vec<Component>, Fault> {
        let listed = self.list(("components", "per_page"), token, |_: &Component| false).await?;
        match listed.whole {
            true => Ok(listed.all),
            false => Err(self.voice.later(format!("the page has more than {} components", listed.all.len()))),
        }
    }

    /// The page's ids of a message's components with their states, and what is wrong with the others. Whoever renamed one shall not
    /// silence the rest: nothing of it keeps the words back.
    async fn affected(&self, parcel: &Parcel, token: &Secret) -> (Map<String, Value>, Vec<String>) {
        if parcel.components.is_empty() {
            return (Map::new(), Vec::new());
        }
        let all = match self.components(token).await {
            Ok(all) => all,
            Err(fault) => return (Map::new(), vec![fault.what]),
        };
        let (known, wrong) = sorted(&all, parcel.components.keys());
        let of = |(name, id): (String, String)| Some((id, Value::from(state(*parcel.components.get(&name)?))));
        (known.into_iter().filter_map(of).collect(), wrong)
    }

    /// The page's incident that is this one and still open.
    async fn unresolved(&self, parcel: &Parcel, token: &Secret) -> Result<Option<String>, Fault> {
        let ours = |it: &Incident| it.is_of(parcel);
        let listed = self.list(("incidents/unresolved", "per_page"), token, ours).await?;
        Ok(listed.all.into_iter().find(ours).map(|it| it.id))
    }

    /// Tells once. What the page refuses to take it has not told: the words go out without it. Each refusal takes one thing away, so that
    /// this ends.
    async fn tell(&self, parcel: &Parcel, mut components: Map<String, Value>, token: &Secret) -> Result<Told, Fault> {
        let mut notes = Receipt::new();
        let mut open = match parcel.thread.get(INCIDENT) {
            Some(id) => Some(id.clone()),
            None => self.unresolved(parcel, token).await?,
        };
        loop {
            let wanted = self.wanted(parcel, &components, open.is_none());
            let (method, path) = match &open {
                Some(id) => (Method::PATCH, format!("incidents/{id}")),
                None => (Method::POST, "incidents".to_owned()),
            };
            let request = self.request(method, &path, token).await?.json(&wanted);
            let reply = send(request, Some(token)).await;
            let reply = reply.map_err(|silence| self.voice.silent(&silence, Purport::Tells))?;
            match reply.status {
                StatusCode::NOT_FOUND if open.is_some() => {
                    let deleted = open.take();
                    open = self.unresolved(parcel, token).await?.filter(|id| Some(id) != deleted.as_ref());
                    if open.is_none() {
                        notes.insert(ANEW.into(), "somebody had deleted it there".into());
                    }
                }
                StatusCode::UNPROCESSABLE_ENTITY if !components.is_empty() => {
                    notes.insert(UNSET.into(), format!("the page refuses them ({})", reply.words()));
                    components.clear();
                }
                status if status.is_success() => {
                    let incident = serde_json::from_str(&reply.body).map_err(|error| {
                        self.voice
                            .doubtful(format!("Statuspage answers what cannot be read ({error}): {}", reply.words()))
                    })?;
                    return Ok(Told { incident, notes });
                }
                _ => return Err(self.voice.refused(&reply, Purport::Tells)),
            }
        }
    }

    /// An incident of the page, unless it was deleted there.
    async fn incident(&self, id: &str, token: &Secret) -> Result<Option<Incident>, Fault> {
        let request = self.request(Method::GET, &format!("incidents/{id}"), token).await?;
        let reply = send(request, Some(token)).await;
        let reply = reply.map_err(|silence| self.voice.silent(&silence, Purport::Asks))?;
        match reply.status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => serde_json::from_str(&reply.body)
                .map(Some)
                .map_err(|error| self.voice.later(format!("Statuspage answers what cannot be read: {error}"))),
            _ => Err(self.voice.refused(&reply, Purport::Asks)),
        }
    }

    /// What the incident becomes.
    fn wanted(&self, parcel: &Parcel, components: &Map<String, Value>, is_new: bool) -> Value {
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
            wanted["components"] = components.clone().into();
        }
        json!({ "incident": wanted })
    }
}

/// Whether the incidents of the page have a message. Of a list that was not read to its end, or that does not say whose its incidents
/// are, the rest is not known.
fn found(listed: Listed<Incident>, parcel: &Parcel) -> Found {
    let Listed { all, whole } = listed;
    let (count, unmarked) = (all.len(), all.iter().any(|it| it.metadata.is_null()));
    match all.into_iter().find(|it| it.is_of(parcel)) {
        Some(incident) => incident.answers(parcel),
        None if !whole => {
            Found::Untold(format!("none of the newest {count} incidents of the page is it; there may be more"))
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
        let (components, wrong) = self.affected(parcel, &token).await;
        let told = self.tell(parcel, components, &token).await?;
        let mut receipt = told.incident.receipt();
        receipt.extend(told.notes);
        if !wrong.is_empty() {
            receipt.insert(UNKNOWN.into(), clean(&wrong.join("; ")));
        }
        Ok(receipt)
    }

    async fn find(&self, parcel: &Parcel) -> Result<Found, Fault> {
        let token = self.token().await?;
        if let Some(id) = parcel.thread.get(INCIDENT)
            && let Some(incident) = self.incident(id, &token).await?
        {
            return Ok(incident.answers(parcel));
        }
        let ours = |it: &Incident| it.is_of(parcel);
        Ok(found(self.list(("incidents", "limit"), &token, ours).await?, parcel))
    }

    async fn reach(&self) -> Result<String, Fault> {
        let token = self.token().await?;
        let components = self.components(&token).await?;
        let (_, wrong) = sorted(&components, self.shown.iter());
        if !wrong.is_empty() {
            let fault = Fault::permanent(self.voice.channel.as_str(), clean(&wrong.join("; ")));
            return Err(fault.means(IN_PART).next("put it right in [comms.components], then `mayday check`"));
        }
        let told = if self.notify { "its subscribers are told" } else { "its subscribers are not told" };
        Ok(format!("the page answers, {} components; {told}", components.len()))
    }
}
