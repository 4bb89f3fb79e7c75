//! Atlassian Statuspage's API, and the truth about the page: its components and its incidents.
//!
//! <https://developer.statuspage.io/>

mod api;
mod wanted;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Site;
use super::limit::Limit;
use wanted::Wanted;

/// The place of its faults, and the name of its endpoint.
pub const PLACE: &str = "statuspage";
/// Opens nothing but the lab.
pub const TOKEN: &str = "lab-statuspage";
/// The page's id.
pub const PAGE: &str = "labpage";

/// "Each API token is limited to 1 request / second".
const REQUEST_EVERY: Duration = Duration::from_secs(1);
const BURST: u32 = 5;

/// The most incidents that are kept.
const INCIDENTS: usize = 500;

/// A component's id, its name, and the services of GenNet behind it.
const COMPONENTS: [(&str, &str, &str); 4] = [
    ("api", "API", "api-gateway, auth"),
    ("grn", "Network inference", "grn-engine, ml-inference"),
    ("workflows", "Workflows", "workflow"),
    ("web", "Web portal", "web-portal"),
];

/// What a component can be, and the impact that an incident has by it.
const COMPONENT_STATUSES: [(&str, &str); 5] = [
    ("operational", "none"),
    ("under_maintenance", "none"),
    ("degraded_performance", "minor"),
    ("partial_outage", "major"),
    ("major_outage", "critical"),
];

const STATUSES: [&str; 4] = ["investigating", "identified", "monitoring", "resolved"];

/// From the least to the worst.
const IMPACTS: [&str; 4] = ["none", "minor", "major", "critical"];

/// A moment as the API writes it.
fn written(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

struct Component {
    id: &'static str,
    name: &'static str,
    about: &'static str,
    status: &'static str,
    created: Timestamp,
    updated: Timestamp,
}

impl Component {
    fn told(&self) -> Value {
        json!({
            "id": self.id, "page_id": PAGE, "group_id": null, "name": self.name, "description": self.about,
            "status": self.status, "group": false, "showcase": true, "only_show_if_degraded": false,
            "automation_email": "", "position": COMPONENTS.iter().position(|(id, ..)| *id == self.id).map(|at| at + 1),
            "start_date": null, "created_at": written(self.created), "updated_at": written(self.updated),
        })
    }
}

/// One update of an incident, as subscribers got it.
struct Update {
    id: String,
    at: Timestamp,
    status: &'static str,
    body: String,
    deliver_notifications: bool,
    /// A component, what it was, and what it is.
    affected: Vec<(&'static str, &'static str, &'static str)>,
}

impl Update {
    fn told(&self, incident: &str) -> Value {
        let name = |id: &str| COMPONENTS.iter().find(|(known, ..)| *known == id).map(|(_, name, _)| *name);
        let affected: Vec<Value> = self
            .affected
            .iter()
            .map(|(id, old, new)| json!({ "code": id, "name": name(id), "old_status": old, "new_status": new }))
            .collect();
        let at = written(self.at);
        json!({
            "id": self.id, "incident_id": incident, "status": self.status, "body": self.body, "created_at": at,
            "updated_at": at, "display_at": at, "affected_components": affected,
            "deliver_notifications": self.deliver_notifications, "custom_tweet": null, "tweet_id": null,
            "twitter_updated_at": null, "wants_twitter_update": false,
        })
    }
}

struct Incident {
    id: String,
    name: String,
    status: &'static str,
    /// What somebody chose, whatever the components say.
    impact_override: Option<&'static str>,
    components: Vec<&'static str>,
    metadata: Value,
    created: Timestamp,
    updated: Timestamp,
    monitoring: Option<Timestamp>,
    resolved: Option<Timestamp>,
    /// The worst that its components were, as long as nobody overrides it.
    impact: &'static str,
    /// The newest last.
    updates: Vec<Update>,
}

/// The page.
pub struct Page {
    components: Vec<Component>,
    /// The newest last.
    incidents: VecDeque<Incident>,
    requests: Limit,
    /// Counts what gets an id.
    serial: u64,
}

impl Page {
    pub fn gennet(now: Timestamp) -> Self {
        let component = |(id, name, about)| {
            let status = COMPONENT_STATUSES[0].0;
            Component { id, name, about, status, created: now, updated: now }
        };
        let components = COMPONENTS.into_iter().map(component).collect();
        Self { components, incidents: VecDeque::new(), requests: Limit::new(REQUEST_EVERY, BURST), serial: 0 }
    }

    fn id(&mut self) -> String {
        self.serial += 1;
        format!("lab{:09}", self.serial)
    }

    fn open(&mut self, wanted: &Wanted, now: Timestamp) -> String {
        let id = self.id();
        self.incidents.push_back(Incident {
            id: id.clone(),
            name: String::new(),
            status: STATUSES[0],
            impact_override: None,
            components: Vec::new(),
            metadata: json!({}),
            created: now,
            updated: now,
            monitoring: None,
            resolved: None,
            impact: IMPACTS[0],
            updates: Vec::new(),
        });
        if self.incidents.len() > INCIDENTS {
            self.incidents.pop_front();
        }
        let at = self.incidents.len() - 1;
        self.change(at, wanted, now);
        id
    }

    /// Does what is wanted of the incident at `at`. A change of status, or words, make an update that subscribers may get.
    fn change(&mut self, at: usize, wanted: &Wanted, now: Timestamp) {
        let affected = self.set_components(&wanted.statuses, now);
        let update = self.id();
        let incident = &mut self.incidents[at];
        incident.updated = now;
        if let Some(name) = &wanted.name {
            incident.name.clone_from(name);
        }
        if let Some(metadata) = &wanted.metadata {
            incident.metadata = metadata.clone();
        }
        incident.impact_override = wanted.impact_override.or(incident.impact_override);
        let named = wanted.component_ids.iter().flatten().chain(wanted.statuses.iter().map(|(id, _)| id));
        for id in named {
            if !incident.components.contains(id) {
                incident.components.push(id);
            }
        }
        let new = incident.updates.is_empty() || wanted.status.is_some_and(|status| status != incident.status);
        incident.status = wanted.status.unwrap_or(incident.status);
        match incident.status {
            "monitoring" => incident.monitoring = incident.monitoring.or(Some(now)),
            "resolved" => incident.resolved = incident.resolved.or(Some(now)),
            _ => incident.resolved = None,
        }
        let (status, body) = (incident.status, wanted.body.clone().unwrap_or_default());
        if new || !body.is_empty() || !affected.is_empty() {
            let deliver_notifications = wanted.deliver_notifications;
            incident.updates.push(Update { id: update, at: now, status, body, deliver_notifications, affected });
        }
        self.assess(at);
    }

    /// Sets components; tells each that changed, what it was and what it is.
    fn set_components(
        &mut self,
        statuses: &[(&'static str, &'static str)],
        now: Timestamp,
    ) -> Vec<(&'static str, &'static str, &'static str)> {
        let mut affected = Vec::new();
        for (id, status) in statuses {
            let Some(component) = self.components.iter_mut().find(|it| it.id == *id) else { continue };
            let old = std::mem::replace(&mut component.status, status);
            component.updated = now;
            affected.push((*id, old, *status));
        }
        affected
    }

    fn assess(&mut self, at: usize) {
        let impact_of = |status: &str| COMPONENT_STATUSES.iter().find(|it| it.0 == status).map_or("none", |it| it.1);
        let rank = |impact: &str| IMPACTS.iter().position(|it| *it == impact);
        let incident = &self.incidents[at];
        let of = self.components.iter().filter(|it| incident.components.contains(&it.id));
        let now = of.map(|it| impact_of(it.status)).chain([incident.impact]).max_by_key(|it| rank(it));
        self.incidents[at].impact = incident.impact_override.or(now).unwrap_or(IMPACTS[0]);
    }

    fn told(&self, incident: &Incident) -> Value {
        let components: Vec<Value> =
            self.components.iter().filter(|it| incident.components.contains(&it.id)).map(Component::told).collect();
        let updates: Vec<Value> = incident.updates.iter().rev().map(|update| update.told(&incident.id)).collect();
        json!({
            "id": incident.id, "page_id": PAGE, "name": incident.name, "status": incident.status,
            "impact": incident.impact, "impact_override": incident.impact_override, "components": components,
            "metadata": incident.metadata, "incident_updates": updates,
            "created_at": written(incident.created), "updated_at": written(incident.updated),
            "started_at": written(incident.created), "monitoring_at": incident.monitoring.map(written),
            "resolved_at": incident.resolved.map(written), "scheduled_for": null, "scheduled_until": null,
            "shortlink": format!("https://stspg.io/{}", incident.id), "postmortem_body": null,
        })
    }
}

pub async fn start(site: &mut Site<'_>) -> io::Result<()> {
    api::start(site).await
}
